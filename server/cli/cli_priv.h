/* Shared by the commands. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct wp_cli;
struct wp_conf_source;
struct wp_gen;

/* -dns.port's text; false: has been refused. */
bool cli_port(const char *text, uint16_t *ret);
/* -tls-provider's word; false: has been refused. */
bool cli_tls_provider(const char *name);
/* Words argv[at..] that nobody asked for. */
void cli_extra(int argc, char **argv, int at);
/* The Corefile, set up and not started; every error has been told. 0, or the exit code. Generation
 * and text are the caller's to free, in this order, whatever is returned. */
int cli_load(const struct wp_cli *cli, struct wp_conf_source *ret_source, struct wp_gen **ret,
             char **ret_text);
