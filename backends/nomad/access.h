/* How the agents of one Nomad region are reached: addresses, token, TLS, what every request carries. The environment
 * counts where the lines say nothing (an empty text says nothing), as for Nomad's own clients (NOMAD_ADDR, NOMAD_TOKEN, NOMAD_REGION,
 * NOMAD_NAMESPACE, NOMAD_HTTP_AUTH, NOMAD_CACERT, NOMAD_CAPATH, NOMAD_CLIENT_CERT, NOMAD_CLIENT_KEY,
 * NOMAD_TLS_SERVER_NAME, NOMAD_SKIP_VERIFY). Files (token, certificates) are read again when they
 * change. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "backends/common/http_client.h"
#include "waypost/base/err.h"

/* What the lines say. NULL or empty: not said. Paths are joined to `root`. */
struct wp_nomad_agents {
    const char *const *addresses; /* URLs: http:, https:, unix:; of a path in one nothing is used, as in Nomad's clients */
    unsigned n_addresses;
    const char *token, *token_file; /* the file wins over the environment */
    const char *region;
    const char *ca_file, *ca_dir; /* the file wins; all certificates of a folder's files, whatever their names */
    const char *cert_file, *key_file, *server_name;
    bool insecure;
};
enum { WP_NOMAD_ADDRESSES_MAX = 32 };

struct wp_arena;
struct wp_nomad_access;

/* What a segment of a path, or a parameter, holds: percent-encoded. NULL: memory. */
char *wp_nomad_escape(struct wp_arena *a, const char *text, size_t len);

/* The lines and the environment together; texts are copied. WP_ECONFIG with why: an address that is none ("invalid
 * address 'X': ..."), one of certificate and key only ("Both client cert and client key must be
 * provided"), token and token_file. No file is opened. Main thread. */
int wp_nomad_access_new(const struct wp_nomad_agents *a, char why[256],
                        struct wp_nomad_access **ret) WP_MUSTCHECK;
void wp_nomad_access_free(struct wp_nomad_access *a); /* accepts NULL */

/* Everything that tells this source from another, secrets only as a digest; for sharing and saved state. One item a
 * line: "agent URL" for each, "region", "namespace", "secrets", names of files. */
const char *wp_nomad_access_identity(const struct wp_nomad_access *a);
unsigned wp_nomad_access_n(const struct wp_nomad_access *a);
/* "127.0.0.1:4646", "unix:///secrets/api.sock": for log lines and labels; no user, no password. */
const char *wp_nomad_access_name(const struct wp_nomad_access *a, unsigned agent);

/* Counts up when files have changed: requests that wait long must be begun anew. Looks at the files at
 * most once in WP_NOMAD_FILES_MS, or at once with `now` (after a 403, or when TLS has failed). A file that is not good
 * any more is logged once, and what it held before stays. Engine thread. */
enum {
    WP_NOMAD_FILES_MS = 5000,
    WP_NOMAD_TOKEN_MAX = 64 * 1024, /* octets of a token file */
    WP_NOMAD_PEM_MAX = 1 << 20,     /* of a PEM file, and of all in a folder together */
};
unsigned wp_nomad_access_generation(struct wp_nomad_access *a, uint64_t now_ns, bool now);

/* Fill in a request to an agent, all but method and limits of the call: path_and_query begins
 * with "/v1/" and has its parameters but `region`, and `namespace` of the environment where it says none; they
 * are added here. What *r points at lives in the access object until its next call. 0, -ENOMEM; WP_ECONFIG with
 * why: a file has never been good. Engine thread. */
int wp_nomad_access_request(struct wp_nomad_access *a, unsigned agent, const char *path_and_query,
                            struct wp_httpc_request *r, char why[256]) WP_MUSTCHECK;
