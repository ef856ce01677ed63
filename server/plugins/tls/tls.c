/* Certificates of the block's TLS listeners. They are loaded when the listeners are made, where
 * blocks that share one are compared. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "waypost/plugin/block.h"
#include "waypost/plugin/log.h"
#include "waypost/plugin/plugin.h"

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

static bool has_listener(const struct wp_block *b)
{
    for (unsigned i = 0; i < b->n_keys; i++) {
        if (b->keys[i].scheme != WP_SCHEME_DNS && b->keys[i].scheme != WP_SCHEME_UNIX)
            return true;
    }
    return false;
}

/* Where no listener loads the files, a wrong path is told here. */
static int check(void *self, struct wp_setup *s)
{
    const struct wp_tls_settings *t = &s->block->set.tls;
    const struct {
        const char *path, *said;
    } files[] = {{t->cert, "could not load TLS cert"},
                 {t->key, "could not load TLS cert"},
                 {t->ca, "error reading CA"}};

    (void)self;
    for (size_t i = 0; !has_listener(s->block) && i < WP_COUNT(files); i++) {
        if (files[i].path != NULL && access(files[i].path, R_OK) < 0)
            return wp_setup_fail(s, "%s: open %s: %s", files[i].said, files[i].path,
                                 wp_setup_errno(s, errno));
    }
    return 0;
}

/* Who is asking, for `view`, `log` and what else reads metadata. */
static void metadata(void *self, struct wp_query *q)
{
    (void)self;
    if (q->tls_server_name != NULL)
        wp_query_meta_set(q, "tls/server_name", q->tls_server_name);
    if (q->tls_client == NULL)
        return;
    wp_query_meta_set(q, "tls/client", q->tls_client);
    wp_query_meta_set(q, "tls/verified", q->tls_verified ? "true" : "false");
}

static const struct wp_option tls_options[] = {
    {.name = "", .kind = WP_OPT_CALL, .parse = parse_files, .help = "CERT KEY [CA]"},
    {.name = "client_auth",
     .kind = WP_OPT_CALL,
     .parse = parse_auth,
     .help = "nocert|request|require|verify_if_given|require_and_verify; nocert"},
    {.name = "keylog",
     .kind = WP_OPT_CALL,
     .parse = parse_keylog,
     .help = "file for the secrets of connections, to decrypt captures"},
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
