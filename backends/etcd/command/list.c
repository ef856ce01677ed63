/* waypost list: what is registered. waypost etcd bad: what of it cannot be served. */
#include <errno.h>
#include <string.h>

#include "backends/etcd/command/commands.h"
#include "backends/etcd/command/keys.h"

enum { ROOM = 1u << 31 }; /* for all keys and values */

/* A column's text. */
static void put_column(const char *text, size_t len, int width)
{
    int n = etcd_put_text(stdout, text, len);

    printf("%*s", n < width ? width - n + 2 : 2, "");
}

static void put_string(const char *name, const char *text, size_t len)
{
    if (len == 0)
        return;
    printf(",\"%s\":", name);
    etcd_put_json(stdout, text, len);
}

/* --- list ----------------------------------------------------------------------------------- */

static void list_json(const struct etcd_key *k, const struct etcd_entry *e)
{
    printf("{\"name\":");
    etcd_put_json(stdout, e->name, strlen(e->name));
    put_string("host", e->host, strlen(e->host));
    etcd_put_number(stdout, "port", e->v.port);
    etcd_put_number(stdout, "priority", e->v.priority);
    etcd_put_number(stdout, "weight", e->v.weight);
    etcd_put_number(stdout, "ttl", e->v.ttl);
    put_string("text", e->v.text, e->v.text_len);
    put_string("group", e->v.group, e->v.group_len);
    if (k->lease != 0)
        printf(",\"lease\":\"%llx\"", (unsigned long long)k->lease);
    if (k->left_s >= 0)
        printf(",\"lease_remaining_s\":%lld", (long long)k->left_s);
    put_string("key", k->key, k->len);
    printf(",\"revision\":%lld}", (long long)k->revision);
}

struct widths {
    int name, host, key;
};

static int widest(int so_far, const char *text)
{
    enum { MOST = 60 };
    size_t n = strlen(text);

    return n > MOST || (int)n <= so_far ? so_far : (int)n;
}

static void list_text(const struct etcd_key *k, const struct etcd_entry *e, const struct widths *w)
{
    const char *host = e->host[0] != '\0' ? e->host : "-";
    char number[32];

    put_column(e->name, strlen(e->name), w->name);
    put_column(host, strlen(host), w->host);
    snprintf(number, sizeof(number), "%lld", (long long)e->v.port);
    put_column(number, strlen(number), 5);
    if (k->lease == 0)
        snprintf(number, sizeof(number), "-");
    else if (k->left_s < 0)
        snprintf(number, sizeof(number), "?");
    else
        snprintf(number, sizeof(number), "%llds", (long long)k->left_s);
    put_column(number, strlen(number), 6);
    put_column(k->key, k->len, w->key);
    printf("%lld\n", (long long)k->revision);
}

/* Once for the columns, once to print. What cannot be served is counted. */
static int each_entry(const struct etcd_keys *keys, bool json, bool print, struct widths *w,
                      size_t *ret_bad)
{
    size_t shown = 0;

    *ret_bad = 0;
    for (size_t i = 0; i < keys->n; i++) {
        struct etcd_entry e;
        if (etcd_entry_read(keys, &keys->at[i], &e) < 0)
            return -ENOMEM;
        *ret_bad += e.is_bad;
        if (!e.is_bad && print && json) {
            fputs(shown++ > 0 ? ",\n " : " ", stdout);
            list_json(&keys->at[i], &e);
        } else if (!e.is_bad && print) {
            list_text(&keys->at[i], &e, w);
        } else if (!e.is_bad) {
            w->name = widest(w->name, e.name);
            w->host = widest(w->host, e.host);
            w->key = widest(w->key, keys->at[i].key);
        }
        etcd_entry_done(&e);
    }
    return 0;
}

static int print_list(const struct etcd_place *p, const struct etcd_keys *keys, bool json)
{
    struct widths w = {.name = 4, .host = 7, .key = 3};
    size_t bad;

    if (json)
        fputs("[\n", stdout);
    else if (each_entry(keys, json, false, &w, &bad) == 0 && bad < keys->n)
        printf("%-*s  %-*s  PORT   LEASE   %-*s  REVISION\n", w.name, "NAME", w.host, "ADDRESS",
               w.key, "KEY");
    if (each_entry(keys, json, true, &w, &bad) < 0) {
        etcd_say(p->who, "out of memory");
        return ETCD_EXIT_AWAY;
    }
    if (json)
        fputs(keys->n > bad ? "\n]\n" : "]\n", stdout);
    if (bad > 0)
        etcd_say(p->who, "%zu of %zu keys cannot be served: see waypost etcd bad", bad, keys->n);
    return ETCD_EXIT_OK;
}

static int list_run(void *options, const struct wp_command_line *line)
{
    const struct etcd_access *a = options;
    struct wp_etcd_client *c = NULL;
    struct wp_arena arena;
    struct etcd_place p = {.who = "list", .arena = &arena};
    struct etcd_keys keys;
    struct wp_name name;
    int code;

    wp_arena_init(&arena, ROOM);
    code = etcd_look(a, line, line->n_words > 0 ? line->words[0] : NULL, &p, &name, &c);
    if (code == 0 && (etcd_keys_read(c, &p, &name, &keys) != WP_GRPC_OK ||
                      etcd_keys_ask_leases(c, &p, &keys) != WP_GRPC_OK))
        code = etcd_failed(&p, c);
    else if (code == 0)
        code = print_list(&p, &keys, a->json);
    wp_etcd_client_free(c);
    wp_arena_done(&arena);
    return code;
}

static const struct wp_arg no_more[] = {{0}};
static const struct wp_exit list_exits[] = {
    {ETCD_EXIT_OK, "the list was printed, also when nothing is registered"},
    {ETCD_EXIT_USAGE, "the line cannot be read"},
    {ETCD_EXIT_AWAY, "etcd cannot be reached, or refuses"},
    {0},
};
const struct wp_command etcd_command_list = {
    .name = "list",
    .words = "[ZONE]",
    .summary = "What is registered in etcd, at and below ZONE or everywhere",
    .text = "A line for each key: its name, the address, the port, what is left of the lease, the "
            "key and its revision.",
    .args = no_more,
    .shared = etcd_access_args,
    .size = sizeof(struct etcd_access),
    .max_words = 1,
    .takes_conf = true,
    .usage_code = ETCD_EXIT_USAGE,
    .exits = list_exits,
    .run = list_run,
};

/* --- etcd bad ------------------------------------------------------------------------------- */

static void bad_json(const struct etcd_key *k, const struct etcd_entry *e)
{
    printf("{\"key\":");
    etcd_put_json(stdout, k->key, k->len);
    put_string("name", e->name, strlen(e->name));
    printf(",\"in\":\"%s\",\"offset\":%zu,\"reason\":", e->in_key ? "key" : "value",
           e->flaw.offset);
    etcd_put_json(stdout, e->flaw.text, strlen(e->flaw.text));
    printf(",\"revision\":%lld}", (long long)k->revision);
}

static void bad_text(const struct etcd_key *k, const struct etcd_entry *e)
{
    etcd_put_text(stdout, k->key, k->len);
    printf(": %s octet %zu: ", e->in_key ? "key" : "value", e->flaw.offset);
    etcd_put_text(stdout, e->flaw.text, strlen(e->flaw.text));
    printf(" (revision %lld)\n", (long long)k->revision);
}

static int print_bad(const struct etcd_place *p, const struct etcd_keys *keys, bool json)
{
    size_t bad = 0;

    if (json)
        fputs("[\n", stdout);
    for (size_t i = 0; i < keys->n; i++) {
        struct etcd_entry e;
        if (etcd_entry_read(keys, &keys->at[i], &e) < 0) {
            etcd_say(p->who, "out of memory");
            return ETCD_EXIT_AWAY;
        }
        if (e.is_bad && json)
            fputs(bad > 0 ? ",\n " : " ", stdout);
        if (e.is_bad)
            (json ? bad_json : bad_text)(&keys->at[i], &e);
        bad += e.is_bad;
        etcd_entry_done(&e);
    }
    if (json)
        fputs(bad > 0 ? "\n]\n" : "]\n", stdout);
    else if (bad == 0)
        printf("all %zu keys can be served\n", keys->n);
    return bad > 0 ? ETCD_EXIT_NONE : ETCD_EXIT_OK;
}

static int bad_run(void *options, const struct wp_command_line *line)
{
    const struct etcd_access *a = options;
    struct wp_etcd_client *c = NULL;
    struct wp_arena arena;
    struct etcd_place p = {.who = "etcd bad", .arena = &arena};
    struct etcd_keys keys;
    struct wp_name name;
    int code;

    wp_arena_init(&arena, ROOM);
    code = etcd_look(a, line, line->n_words > 0 ? line->words[0] : NULL, &p, &name, &c);
    if (code == 0 && etcd_keys_read(c, &p, &name, &keys) != WP_GRPC_OK)
        code = etcd_failed(&p, c);
    else if (code == 0)
        code = print_bad(&p, &keys, a->json);
    wp_etcd_client_free(c);
    wp_arena_done(&arena);
    return code;
}

static const struct wp_exit bad_exits[] = {
    {ETCD_EXIT_OK, "all keys can be served"},
    {ETCD_EXIT_NONE, "some cannot: they were printed"},
    {ETCD_EXIT_USAGE, "the line cannot be read"},
    {ETCD_EXIT_AWAY, "etcd cannot be reached, or refuses"},
    {0},
};
const struct wp_command etcd_command_bad = {
    .name = "etcd bad",
    .words = "[ZONE]",
    .summary = "Keys in etcd that cannot be served, and why",
    .text = "Malformed values, values with nothing to answer, keys that are no domain name or that "
            "no question reaches.",
    .args = no_more,
    .shared = etcd_access_args,
    .size = sizeof(struct etcd_access),
    .max_words = 1,
    .takes_conf = true,
    .usage_code = ETCD_EXIT_USAGE,
    .exits = bad_exits,
    .run = bad_run,
};
