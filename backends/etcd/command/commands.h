/* The commands of this directive. */
#pragma once
#include "waypost/plugin/command.h"

extern const struct wp_command etcd_command_register, etcd_command_list, etcd_command_deregister,
    etcd_command_bad;
extern const struct wp_command *const etcd_commands[];
