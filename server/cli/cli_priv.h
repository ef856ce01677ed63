/* Shared by the commands. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* -dns.port's text; false: has been refused. */
bool cli_port(const char *text, uint16_t *ret);
/* Words argv[at..] that nobody asked for. */
void cli_extra(int argc, char **argv, int at);
