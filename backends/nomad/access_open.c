/* What the lines and the environment say together. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/common/url.h"
#include "backends/nomad/access_priv.h"
#include "waypost/base/digest.h"

struct opening {
    struct wp_nomad_access *a;
    const struct wp_nomad_agents *lines;
    char *why;
    bool nomem;
};

static const char *said(const char *s)
{
    return s != NULL && s[0] != '\0' ? s : NULL;
}

/* The lines' word or the variable's, copied: the lines go with their generation. NULL: neither. */
static char *word(struct opening *o, const char *line, const char *variable)
{
    const char *s = said(line) != NULL ? line : said(getenv(variable));
    char *mine = s != NULL ? wp_arena_strdup(&o->a->arena, s) : NULL;

    o->nomem |= s != NULL && mine == NULL;
    return mine;
}

static const char *param(struct opening *o, const char *name, const char *value)
{
    const char *text = value != NULL ? wp_nomad_param(&o->a->arena, name, value) : "";

    o->nomem |= text == NULL;
    return text;
}

/* "user:password" or "user". */
static const char *basic_of_environment(struct opening *o)
{
    char *user = word(o, NULL, "NOMAD_HTTP_AUTH"), *password;
    const char *basic;

    if (user == NULL)
        return NULL;
    password = strchr(user, ':');
    if (password != NULL)
        *password++ = '\0';
    basic = wp_basic_auth(&o->a->arena, user, password != NULL ? password : "");
    o->nomem |= basic == NULL;
    return basic;
}

static int open_addresses(struct opening *o)
{
    const char *fallback = said(getenv("NOMAD_ADDR"));
    const struct wp_nomad_agents *l = o->lines;
    const char *basic = basic_of_environment(o);
    struct wp_nomad_access *a = o->a;
    int r = 0;

    if (fallback == NULL)
        fallback = "http://127.0.0.1:4646";
    if (l->n_addresses > WP_NOMAD_ADDRESSES_MAX)
        return wp_nomad_say(o->why, "more than %d addresses", WP_NOMAD_ADDRESSES_MAX);
    a->n = l->n_addresses > 0 ? l->n_addresses : 1;
    for (unsigned i = 0; r == 0 && i < a->n; i++) {
        struct wp_nomad_agent *g = &a->agents[i];
        r = wp_nomad_url(a, l->n_addresses > 0 ? l->addresses[i] : fallback, o->why, g);
        if (r == 0 && g->basic == NULL)
            g->basic = basic;
    }
    return r;
}

static int open_token(struct opening *o)
{
    const struct wp_nomad_agents *l = o->lines;
    struct wp_nomad_access *a = o->a;
    const char *flaw;
    char *token;

    a->token_file = (struct wp_nomad_file){.what = "token file"};
    if (said(l->token) != NULL && said(l->token_file) != NULL)
        return wp_nomad_say(o->why, "token and token_file exclude each other");
    if (said(l->token_file) != NULL) {
        a->token_file.path = wp_arena_strdup(&a->arena, l->token_file);
        o->nomem |= a->token_file.path == NULL;
        return 0;
    }
    a->token = token = word(o, l->token, "NOMAD_TOKEN");
    flaw = token != NULL ? wp_nomad_token_flaw(token) : NULL;
    return flaw != NULL ? wp_nomad_say(o->why, "the token cannot be used: %s", flaw) : 0;
}

/* As Go reads it; anything else counts for nothing. */
static bool is_true(const char *s)
{
    static const char *const words[] = {"1", "t", "T", "true", "TRUE", "True"};

    for (size_t i = 0; s != NULL && i < sizeof(words) / sizeof(*words); i++)
        if (strcmp(s, words[i]) == 0)
            return true;
    return false;
}

static int open_tls(struct opening *o)
{
    const struct wp_nomad_agents *l = o->lines;
    struct wp_nomad_access *a = o->a;
    bool has_ca = said(l->ca_file) != NULL || said(l->ca_dir) != NULL;
    bool has_pair = said(l->cert_file) != NULL || said(l->key_file) != NULL;

    a->ca = (struct wp_nomad_file){.what = "CA file", .word = "CERTIFICATE"};
    a->cert = (struct wp_nomad_file){.what = "client certificate", .word = "CERTIFICATE"};
    a->key = (struct wp_nomad_file){.what = "client key", .word = "KEY"};
    /* what the lines say of the CA, or of the certificate, is not mixed with what the environment says */
    a->ca.path = word(o, l->ca_file, has_ca ? "" : "NOMAD_CACERT");
    if (a->ca.path == NULL) {
        a->ca.path = word(o, l->ca_dir, has_ca ? "" : "NOMAD_CAPATH");
        a->ca.is_dir = true;
        a->ca.what = "CA folder";
    }
    a->cert.path = word(o, l->cert_file, has_pair ? "" : "NOMAD_CLIENT_CERT");
    a->key.path = word(o, l->key_file, has_pair ? "" : "NOMAD_CLIENT_KEY");
    if (!o->nomem && (a->cert.path == NULL) != (a->key.path == NULL))
        return wp_nomad_say(o->why, "Both client cert and client key must be provided");
    a->server_name = word(o, l->server_name, "NOMAD_TLS_SERVER_NAME");
    a->insecure = l->insecure || is_true(getenv("NOMAD_SKIP_VERIFY"));
    return 0;
}

/* --- identity ---------------------------------------------------------------------------------- */

static void put_line(FILE *f, const char *what, const char *value)
{
    if (said(value) != NULL)
        fprintf(f, "%s %zu:%s\n", what, strlen(value), value);
}

static void add_secret(struct wp_digest *d, const char *s)
{
    if (s != NULL)
        wp_digest_add(d, s, strlen(s));
    wp_digest_add(d, "", 1);
}

static int put_secrets(FILE *f, const struct wp_nomad_access *a)
{
    struct wp_digest *d = wp_digest_new();
    uint8_t digest[WP_DIGEST_LEN];

    if (d != NULL) {
        add_secret(d, a->token);
        for (unsigned i = 0; i < a->n; i++)
            add_secret(d, a->agents[i].basic);
    }
    if (wp_digest_end(d, digest) < 0)
        return -ENOMEM;
    fputs("secrets ", f);
    for (size_t i = 0; i < 16; i++)
        fprintf(f, "%02x", digest[i]);
    fputc('\n', f);
    return 0;
}

static int make_identity(struct wp_nomad_access *a)
{
    size_t len = 0;
    FILE *f = open_memstream(&a->identity, &len);
    int r;

    if (f == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < a->n; i++)
        put_line(f, "agent", a->agents[i].unix_path != NULL ? a->agents[i].name : a->agents[i].base);
    put_line(f, "parameter", a->region_param);
    put_line(f, "parameter", a->ns_param);
    put_line(f, "token_file", a->token_file.path);
    put_line(f, a->ca.is_dir ? "ca_dir" : "ca_file", a->ca.path);
    put_line(f, "cert", a->cert.path);
    put_line(f, "key", a->key.path);
    put_line(f, "server_name", a->server_name);
    put_line(f, "insecure", a->insecure ? "yes" : NULL);
    r = put_secrets(f, a);
    return fclose(f) == 0 ? r : -ENOMEM;
}

int wp_nomad_access_new(const struct wp_nomad_agents *agents, char why[256],
                        struct wp_nomad_access **ret)
{
    struct opening o = {.a = calloc(1, sizeof(*o.a)), .lines = agents, .why = why};
    int r;

    if (o.a == NULL)
        return -ENOMEM;
    wp_arena_init(&o.a->arena, 0);
    r = open_addresses(&o);
    if (r == 0)
        r = open_token(&o);
    if (r == 0)
        r = open_tls(&o);
    if (r == 0) {
        o.a->region_param = param(&o, "region", word(&o, agents->region, "NOMAD_REGION"));
        o.a->ns_param = param(&o, "namespace", word(&o, NULL, "NOMAD_NAMESPACE"));
    }
    if (r == 0 && !o.nomem)
        r = make_identity(o.a);
    if (r == 0 && !o.nomem) {
        *ret = o.a;
        return 0;
    }
    wp_nomad_access_free(o.a);
    return o.nomem ? -ENOMEM : r;
}
