/* The commands of this directive. */
#pragma once
#include "waypost/plugin/command.h"

extern const struct wp_command *const kubernetes_commands[];
