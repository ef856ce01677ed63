#include "waypost/plugin/change.h"

_Atomic uint32_t wp_change_version[WP_CHANGE_SLOTS];
