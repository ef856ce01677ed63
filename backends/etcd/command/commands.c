#include "backends/etcd/command/commands.h"

const struct wp_command *const etcd_commands[] = {
    &etcd_command_register, &etcd_command_list, &etcd_command_deregister, &etcd_command_bad, NULL,
};
