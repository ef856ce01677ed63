/* One declaration for each command of the program. */
#pragma once
#include "waypost/plugin/command.h"

extern const struct wp_command command_status, command_explain;
