/* Certificates of the block's TLS listeners. They are loaded when the listeners are made, where
 * blocks that share one are compared. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "waypost/plugin/block.h"
#include "waypost/plugin/log.h"
#include "waypost/plugin/plugin.h"
#include "waypost/tls/tls.h"

static int parse_files(void *self, struct wp_setup *s, const struct wp_line *line)
{
    struct wp_tls_settings *t = &s->block->set.tls;
    const char **to[] = {&t->cert, &t->key, &t->ca};

    (void)self;
    if (t->set)
        return wp_setup_fail(s, "TLS already configured for this server instance");
    if (line->n_words == 1)
        return wp_setup_error(s, line,
                              "certificates by ACME are not in this build of waypost: "
                              "give the files of a certificate and its key");
    if (line->n_words != 3 && line->n_words != 4)
        return wp_setup_arg_error(s, line);
    for (unsigned i = 1; i < line->n_words; i++) {
        *to[i - 1] = wp_setup_path(s, line->words[i]);
        if (*to[i - 1] == NULL)
            return -ENOMEM;
    }
    t->set = true;
    return 0;
}

static int parse_auth(void *self, struct wp_setup *s, const struct wp_line *line)
{
    static const struct {
        const char *word;
        enum wp_client_auth auth;
    } modes[] = {
        {"nocert", WP_AUTH_NONE},
        {"request", WP_AUTH_REQUEST},
        {"require", WP_AUTH_REQUIRE},
        {"verify_if_given", WP_AUTH_VERIFY_IF_GIVEN},
        {"require_and_verify", WP_AUTH_REQUIRE_AND_VERIFY},
    };

    (void)self;
    if (line->n_words != 2)
        return wp_setup_arg_error(s, line);
    for (size_t i = 0; i < WP_COUNT(modes); i++) {
        if (strcmp(line->words[1], modes[i].word) == 0) {
            s->block->set.tls.client_auth = modes[i].auth;
            return 0;
        }
    }
    return wp_setup_error(s, line, "unknown authentication type '%s'", line->words[1]);
}

static int parse_keylog(void *self, struct wp_setup *s, const struct wp_line *line)
{
    (void)self;
    if (line->n_words != 2)
        return wp_setup_arg_error(s, line);
    s->block->set.tls.keylog = wp_setup_path(s, line->words[1]);
    if (s->block->set.tls.keylog == NULL)
        return -ENOMEM;
    if (!s->check_only)
        wp_log(WP_WARNING, "tls", "Writing TLS Key Log to \"%s\"", s->block->set.tls.keylog);
    return 0;
}

static int parse_certificate(void *self, struct wp_setup *s, const struct wp_line *line)
{
    struct wp_tls_settings *t = &s->block->set.tls;

    (void)self;
    if (line->n_words != 3)
        return wp_setup_arg_error(s, line);
    if (t->n_more == WP_TLS_CERTIFICATES)
        return wp_setup_error(s, line, "more than %d certificates", WP_TLS_CERTIFICATES + 1);
    for (unsigned i = 0; i < 2; i++) {
        t->more[t->n_more][i] = wp_setup_path(s, line->words[i + 1]);
        if (t->more[t->n_more][i] == NULL)
            return -ENOMEM;
    }
    t->n_more++;
    return 0;
}

static int parse_strict(void *self, struct wp_setup *s, const struct wp_line *line)
{
    (void)self;
    if (line->n_words != 1)
        return wp_setup_arg_error(s, line);
    s->block->set.tls.strict_sni = true;
    return 0;
}

static int parse_file(void *self, struct wp_setup *s, const struct wp_line *line)
{
    struct wp_tls_settings *t = &s->block->set.tls;
    const char **to = strcmp(line->words[0], "ocsp") == 0 ? &t->ocsp : &t->tickets;

    (void)self;
    if (line->n_words != 2)
        return wp_setup_arg_error(s, line);
    *to = wp_setup_path(s, line->words[1]);
    return *to != NULL ? 0 : -ENOMEM;
}

/* Opened now, so that what is missing has a line, also on a block without a listener of its own. */
static int parse_provider(void *self, struct wp_setup *s, const struct wp_line *line)
{
    char why[WP_TLS_ERR_MAX];

    (void)self;
    if (line->n_words != 2)
        return wp_setup_arg_error(s, line);
    if (wp_tls_provider_check(line->words[1], why) < 0)
        return wp_setup_error(s, line, "%s", why);
    s->block->set.tls.provider = line->words[1];
    return 0;
}

static bool has_listener(const struct wp_block *b)
{
    for (unsigned i = 0; i < b->n_keys; i++) {
        if (b->keys[i].scheme != WP_SCHEME_DNS && b->keys[i].scheme != WP_SCHEME_UNIX)
            return true;
    }
    return false;
}

static int check_file(struct wp_setup *s, const char *path, const char *said)
{
    if (path == NULL || access(path, R_OK) == 0)
        return 0;
    return wp_setup_fail(s, "%s: open %s: %s", said, path, wp_setup_errno(s, errno));
}

/* Where no listener loads the files, a wrong path is told here. */
static int check(void *self, struct wp_setup *s)
{
    static const char no_cert[] = "could not load TLS cert";
    const struct wp_tls_settings *t = &s->block->set.tls;
    int r;

    (void)self;
    if (has_listener(s->block))
        return 0;
    r = check_file(s, t->cert, no_cert);
    if (r == 0)
        r = check_file(s, t->key, no_cert);
    if (r == 0)
        r = check_file(s, t->ca, "error reading CA");
    for (unsigned i = 0; r == 0 && i < 2 * t->n_more; i++)
        r = check_file(s, t->more[i / 2][i % 2], no_cert);
    if (r == 0)
        r = check_file(s, t->ocsp, "could not load OCSP response");
    if (r == 0)
        r = check_file(s, t->tickets, "could not load ticket keys");
    return r;
}

/* Who is asking, for `view`, `log` and what else reads metadata. */
static void metadata(void *self, struct wp_query *q)
{
    const struct wp_peer *p = q->tls_peer;

    (void)self;
    if (q->tls_server_name != NULL)
        wp_query_meta_set(q, "tls/server_name", q->tls_server_name);
    if (p == NULL)
        return;
    if (p->name != NULL)
        wp_query_meta_set(q, "tls/client", p->name);
    if (p->san != NULL)
        wp_query_meta_set(q, "tls/client_san", p->san);
    wp_query_meta_set(q, "tls/client_issuer", p->issuer);
    wp_query_meta_set(q, "tls/client_key", p->key);
    wp_query_meta_set(q, "tls/verified", p->verified ? "true" : "false");
}

static const struct wp_option tls_options[] = {
    {.name = "", .kind = WP_OPT_CALL, .parse = parse_files, .help = "CERT KEY [CA]"},
    {.name = "client_auth",
     .kind = WP_OPT_CALL,
     .parse = parse_auth,
     .help = "nocert|request|require|verify_if_given|require_and_verify; nocert"},
    {.name = "certificate",
     .kind = WP_OPT_CALL,
     .parse = parse_certificate,
     .help = "CERT KEY: one more, for the names in it; up to 15 times"},
    {.name = "strict_sni",
     .kind = WP_OPT_CALL,
     .parse = parse_strict,
     .help = "refuse clients that ask for a name of no certificate"},
    {.name = "ocsp",
     .kind = WP_OPT_CALL,
     .parse = parse_file,
     .help = "file of the OCSP response to staple to the first certificate"},
    {.name = "ticket_keys",
     .kind = WP_OPT_CALL,
     .parse = parse_file,
     .help = "file of the keys of session tickets, 80 octets each; keys of its own"},
    {.name = "keylog",
     .kind = WP_OPT_CALL,
     .parse = parse_keylog,
     .help = "file for the secrets of connections, to decrypt captures"},
    {.name = "provider",
     .kind = WP_OPT_CALL,
     .parse = parse_provider,
     .help = "openssl|wolfssl: the TLS library; what -tls-provider says, or openssl"},
    {0},
};

const struct wp_plugin wp_plugin_tls = {
    .name = "tls",
    .options = tls_options,
    .unknown = "unknown option '%s'",
    .config_only = true,
    .check = check,
    .metadata = metadata,
};
