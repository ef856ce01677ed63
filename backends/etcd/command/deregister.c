/* waypost deregister: take keys of a name away. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "backends/etcd/command/commands.h"
#include "backends/etcd/command/keys.h"
#include "etcd.pb-c.h"
#include "waypost/base/text.h"

enum { ROOM = 1 << 28 };

struct options {
    struct etcd_access access;
    bool below;
};

/* What must match; all of it. */
struct wanted {
    char host[WP_NAME_TEXT_MAX]; /* as etcd_entry_read spells it, "" for any */
    int64_t port;                /* -2: any */
};
enum { ANY_PORT = -2 };

static int read_wanted(const struct etcd_place *p, const struct wp_command_line *line,
                       struct wanted *ret)
{
    unsigned char addr[16];
    struct wp_name name;

    *ret = (struct wanted){.port = ANY_PORT};
    if (line->n_words > 1) {
        const char *text = line->words[1];
        if (inet_pton(AF_INET, text, addr) == 1) {
            inet_ntop(AF_INET, addr, ret->host, sizeof(ret->host));
        } else if (inet_pton(AF_INET6, text, addr) == 1) {
            inet_ntop(AF_INET6, addr, ret->host, sizeof(ret->host));
        } else if (wp_name_parse(text, &name) == 0) {
            wp_name_text(name.wire, ret->host);
        } else {
            return etcd_say(p->who, "%s: neither an address nor a domain name", text);
        }
    }
    if (line->n_words > 2 && wp_int_parse(line->words[2], -1, UINT16_MAX, &ret->port) < 0)
        return etcd_say(p->who, "%s: not a port", line->words[2]);
    return 0;
}

/* The name's own keys: it, and one element more. */
static bool is_own(const struct etcd_key *k, size_t base)
{
    return k->len <= base || memchr(k->key + base + 1, '/', k->len - base - 1) == NULL;
}

static bool is_wanted(const struct wanted *w, const struct etcd_entry *e)
{
    return (w->host[0] == '\0' || wp_text_ieq(w->host, e->host)) &&
           (w->port == ANY_PORT || w->port == e->v.port);
}

/* Only as it was seen: what was put again meanwhile stays. A gRPC status. */
static int take_away(struct wp_etcd_client *c, const struct etcd_key *k, bool *ret_gone)
{
    Etcd__TxnRequest q = ETCD__TXN_REQUEST__INIT;
    Etcd__Compare same = ETCD__COMPARE__INIT, *compare = &same;
    Etcd__RequestOp op = ETCD__REQUEST_OP__INIT, *ops = &op;
    Etcd__DeleteRangeRequest del = ETCD__DELETE_RANGE_REQUEST__INIT;
    const void *reply = NULL;
    int status;

    del.key = same.key = (ProtobufCBinaryData){k->len, (uint8_t *)(uintptr_t)k->key};
    same.target = ETCD__COMPARE__TARGET__MOD;
    same.target_union_case = ETCD__COMPARE__TARGET_UNION_MOD_REVISION;
    same.mod_revision = k->revision;
    op.request_case = ETCD__REQUEST_OP__REQUEST_REQUEST_DELETE_RANGE;
    op.request_delete_range = &del;
    q.n_compare = q.n_success = 1;
    q.compare = &compare;
    q.success = &ops;
    status = wp_etcd_client_call(c, WP_ETCD_TXN, &q.base, &reply);
    *ret_gone = status == WP_GRPC_OK && ((const Etcd__TxnResponse *)reply)->succeeded;
    return status;
}

struct tally {
    size_t gone, changed, below;
};

static const char *last_label(const struct etcd_key *k)
{
    const char *slash = strrchr(k->key, '/');

    return slash != NULL ? slash + 1 : k->key;
}

/* The text that `register --text` put beside a record: under its lease, with its label and "-t". */
static bool goes_with(const struct etcd_key *k, const struct etcd_key *host)
{
    const char *label = last_label(host), *mine = last_label(k);
    size_t n = strlen(label);

    return host->lease != 0 && k->lease == host->lease && strncmp(mine, label, n) == 0 &&
           strcmp(mine + n, "-t") == 0;
}

static void tell(const struct etcd_place *p, const struct etcd_key *k, bool gone, bool json,
                 struct tally *t)
{
    t->gone += gone;
    t->changed += !gone;
    if (!gone) {
        etcd_say(p->who, "%s: changed meanwhile, left alone", k->key);
    } else if (json) {
        fputs(t->gone > 1 ? ",\n " : " ", stdout);
        etcd_put_json(stdout, k->key, k->len);
    } else {
        printf("removed ");
        etcd_put_text(stdout, k->key, k->len);
        putchar('\n');
    }
}

/* What is wanted, with what goes with it. NULL: no memory. */
static bool *mark(const struct options *o, const struct etcd_place *p, const struct etcd_keys *keys,
                  const struct wanted *w, size_t base, struct tally *t)
{
    bool *take = wp_arena_array(p->arena, keys->n + 1, sizeof(*take));

    for (size_t i = 0; take != NULL && i < keys->n; i++) {
        struct etcd_entry e;
        if (etcd_entry_read(keys, &keys->at[i], &e) < 0)
            return NULL;
        take[i] = is_wanted(w, &e);
        etcd_entry_done(&e);
        if (take[i] && !o->below && !is_own(&keys->at[i], base)) {
            take[i] = false;
            t->below++;
        }
    }
    for (size_t i = 0; take != NULL && i < keys->n; i++)
        for (size_t j = 0; take[i] && j < keys->n; j++)
            take[j] |= goes_with(&keys->at[j], &keys->at[i]);
    return take;
}

/* A gRPC status. */
static int take_all(const struct options *o, struct wp_etcd_client *c, const struct etcd_place *p,
                    const struct etcd_keys *keys, const bool *take, struct tally *t)
{
    int status = take == NULL ? WP_GRPC_RESOURCE_EXHAUSTED : WP_GRPC_OK;

    for (size_t i = 0; status == WP_GRPC_OK && i < keys->n; i++) {
        bool gone;

        if (!take[i])
            continue;
        status = take_away(c, &keys->at[i], &gone);
        if (status == WP_GRPC_OK)
            tell(p, &keys->at[i], gone, o->access.json, t);
    }
    return status;
}

static int answer(const struct etcd_place *p, const struct wp_command_line *line,
                  const struct tally *t)
{
    if (t->gone > 0)
        return ETCD_EXIT_OK;
    if (t->changed == 0)
        etcd_say(p->who, "nothing is registered as %s%s%s%s%s", line->words[0],
                 line->n_words > 1 ? " with address " : "", line->n_words > 1 ? line->words[1] : "",
                 line->n_words > 2 ? " and port " : "", line->n_words > 2 ? line->words[2] : "");
    if (t->below > 0)
        etcd_say(p->who, "%zu such keys lie deeper: --below takes them too", t->below);
    return ETCD_EXIT_NONE;
}

static int remove_keys(const struct options *o, struct wp_etcd_client *c,
                       const struct etcd_place *p, const struct wp_command_line *line,
                       const struct wp_name *name, const struct wanted *w)
{
    const char *base = etcd_access_key(p, name);
    struct tally t = {0};
    struct etcd_keys keys;
    int status = base != NULL ? etcd_keys_read(c, p, name, &keys) : WP_GRPC_RESOURCE_EXHAUSTED;

    if (o->access.json)
        fputs("[\n", stdout);
    if (status == WP_GRPC_OK)
        status = take_all(o, c, p, &keys, mark(o, p, &keys, w, strlen(base), &t), &t);
    if (o->access.json)
        fputs(t.gone > 0 ? "\n]\n" : "]\n", stdout);
    return status != WP_GRPC_OK ? etcd_failed(p, c) : answer(p, line, &t);
}

static int run(void *options, const struct wp_command_line *line)
{
    const struct options *o = options;
    struct wp_etcd_client *c = NULL;
    struct wp_arena arena;
    struct etcd_place p = {.who = "deregister", .arena = &arena};
    struct wp_name name;
    struct wanted w;
    int code;

    wp_arena_init(&arena, ROOM);
    code = read_wanted(&p, line, &w) < 0
               ? ETCD_EXIT_USAGE
               : etcd_look(&o->access, line, line->words[0], &p, &name, &c);
    if (code == 0)
        code = remove_keys(o, c, &p, line, &name, &w);
    wp_etcd_client_free(c);
    wp_arena_done(&arena);
    return code;
}

static const struct wp_arg args[] = {
    {"below", WP_ARG_FLAG, offsetof(struct options, below), NULL, NULL,
     "also keys of names below NAME, tags among them", 0, 0},
    {0},
};
static const struct wp_exit exits[] = {
    {ETCD_EXIT_OK, "something was removed"},
    {ETCD_EXIT_NONE, "nothing matches"},
    {ETCD_EXIT_USAGE, "the line cannot be read"},
    {ETCD_EXIT_AWAY, "etcd cannot be reached, or refuses"},
    {0},
};
const struct wp_command etcd_command_deregister = {
    .name = "deregister",
    .words = "NAME [ADDRESS [PORT]]",
    .summary = "Take the keys of a name out of etcd, all or those of one address or port",
    .text = "A waypost register that runs does not put its key back.",
    .args = args,
    .shared = etcd_access_args,
    .size = sizeof(struct options),
    .min_words = 1,
    .max_words = 3,
    .takes_conf = true,
    .usage_code = ETCD_EXIT_USAGE,
    .exits = exits,
    .run = run,
};
