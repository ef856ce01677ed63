/* The length-prefixed protocol, shared by TCP and DoT. */
#pragma once
#include "server/listeners/conn_priv.h"

extern const struct wp_conn_proto wp_dns_tcp, wp_dns_dot;
