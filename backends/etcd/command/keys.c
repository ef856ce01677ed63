#include "backends/etcd/command/keys.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "etcd.pb-c.h"
#include "waypost/base/text.h"

enum { PAGE_KEYS = 1000, KEYS_MIN = 64 };

/* --- reading -------------------------------------------------------------------------------- */

static int add(const struct etcd_place *p, struct etcd_keys *keys, const Etcd__KeyValue *kv)
{
    struct etcd_key *k;

    if (keys->n == 0 || (keys->n >= KEYS_MIN && (keys->n & (keys->n - 1)) == 0)) {
        size_t cap = keys->n == 0 ? KEYS_MIN : 2 * keys->n;
        k = wp_arena_array(p->arena, cap, sizeof(*k));
        if (k == NULL)
            return -ENOMEM;
        if (keys->n > 0)
            memcpy(k, keys->at, keys->n * sizeof(*k));
        keys->at = k;
    }
    k = &keys->at[keys->n];
    *k = (struct etcd_key){
        .key = wp_arena_strndup(p->arena, (const char *)kv->key.data, kv->key.len),
        .len = kv->key.len,
        .value = wp_arena_strndup(p->arena, (const char *)kv->value.data, kv->value.len),
        .value_len = kv->value.len,
        .lease = kv->lease,
        .revision = kv->mod_revision,
        .left_s = -1,
    };
    if (k->key == NULL || k->value == NULL)
        return -ENOMEM;
    keys->n++;
    return 0;
}

/* The keys of [from, end), or the one key; *revision: 0 for the newest, then what it was. */
static int read_range(struct wp_etcd_client *c, const struct etcd_place *p, const char *from,
                      const char *end, int64_t *revision, struct etcd_keys *keys)
{
    Etcd__RangeRequest q = ETCD__RANGE_REQUEST__INIT;
    const Etcd__RangeResponse *page;
    const void *reply = NULL;
    size_t len = strlen(from);
    int status;

    do {
        q.key = (ProtobufCBinaryData){len, (uint8_t *)(uintptr_t)from};
        if (end != NULL)
            q.range_end = (ProtobufCBinaryData){strlen(end), (uint8_t *)(uintptr_t)end};
        q.limit = PAGE_KEYS;
        q.revision = *revision;
        status = wp_etcd_client_call(c, WP_ETCD_RANGE, &q.base, &reply);
        if (status != WP_GRPC_OK)
            return status;
        page = reply;
        if (*revision == 0 && page->header != NULL)
            *revision = page->header->revision;
        for (size_t i = 0; i < page->n_kvs; i++) {
            if (add(p, keys, page->kvs[i]) < 0)
                return WP_GRPC_RESOURCE_EXHAUSTED;
        }
        if (page->n_kvs > 0) { /* on from behind the last: its terminating zero is the next octet */
            from = keys->at[keys->n - 1].key;
            len = keys->at[keys->n - 1].len + 1;
        }
    } while (page->more && page->n_kvs > 0);
    return WP_GRPC_OK;
}

int etcd_keys_read(struct wp_etcd_client *c, const struct etcd_place *p, const struct wp_name *name,
                   struct etcd_keys *ret)
{
    const char *key = etcd_access_key(p, name);
    char *below = key != NULL ? wp_arena_printf(p->arena, "%s/", key) : NULL;
    char *end = key != NULL ? wp_arena_printf(p->arena, "%s0", key) : NULL; /* '0' follows '/' */
    int64_t revision = 0;
    int status;

    *ret = (struct etcd_keys){.skip = strlen(p->src.prefix)};
    if (below == NULL || end == NULL)
        return WP_GRPC_RESOURCE_EXHAUSTED;
    if (*key != '\0') {
        status = read_range(c, p, key, NULL, &revision, ret);
        /* as the backend: a role for what is below is enough */
        if (status != WP_GRPC_OK && status != WP_GRPC_PERMISSION_DENIED)
            return status;
    }
    return read_range(c, p, below, end, &revision, ret);
}

static int by_lease(const void *a, const void *b)
{
    int64_t x = (*(struct etcd_key *const *)a)->lease, y = (*(struct etcd_key *const *)b)->lease;

    return x < y ? -1 : x > y;
}

/* One lease, as it is asked when asking for many has come to nothing: with a new token, at another
 * endpoint. A gRPC status. */
static int ask_lease(struct wp_etcd_client *c, int64_t lease, int64_t *ret_left_s)
{
    Etcd__LeaseTimeToLiveRequest q = ETCD__LEASE_TIME_TO_LIVE_REQUEST__INIT;
    const void *reply = NULL;
    int status;

    q.id = lease;
    status = wp_etcd_client_call(c, WP_ETCD_LEASE_TIME_TO_LIVE, &q.base, &reply);
    if (status == WP_GRPC_OK)
        *ret_left_s = ((const Etcd__LeaseTimeToLiveResponse *)reply)->ttl;
    else if (wp_etcd_client_is_refusal(status))
        *ret_left_s = -1;
    else
        return status;
    return WP_GRPC_OK;
}

static int ask_leases(struct wp_etcd_client *c, const int64_t *leases, int64_t *left_s, size_t n)
{
    int status = WP_GRPC_OK;

    wp_etcd_client_times_to_live(c, leases, left_s, n);
    for (size_t i = 0; status == WP_GRPC_OK && i < n; i++) {
        if (left_s[i] == WP_ETCD_LEFT_UNKNOWN)
            status = ask_lease(c, leases[i], &left_s[i]);
    }
    return status;
}

int etcd_keys_ask_leases(struct wp_etcd_client *c, const struct etcd_place *p,
                         struct etcd_keys *keys)
{
    struct etcd_key **order = wp_arena_array(p->arena, keys->n + 1, sizeof(*order));
    int64_t *leases = wp_arena_array(p->arena, keys->n + 1, sizeof(*leases));
    int64_t *left_s = wp_arena_array(p->arena, keys->n + 1, sizeof(*left_s));
    size_t n = 0, at = 0;
    int status;

    if (order == NULL || leases == NULL || left_s == NULL)
        return WP_GRPC_RESOURCE_EXHAUSTED;
    for (size_t i = 0; i < keys->n; i++)
        order[i] = &keys->at[i];
    qsort(order, keys->n, sizeof(*order), by_lease);
    for (size_t i = 0; i < keys->n; i++) {
        if (order[i]->lease != 0 && (n == 0 || leases[n - 1] != order[i]->lease))
            leases[n++] = order[i]->lease;
    }
    status = ask_leases(c, leases, left_s, n);
    for (size_t i = 0; status == WP_GRPC_OK && i < keys->n; i++) {
        if (order[i]->lease == 0)
            continue;
        at += leases[at] != order[i]->lease;
        order[i]->left_s = left_s[at];
    }
    return status;
}

/* --- one key -------------------------------------------------------------------------------- */

static void key_flaw(struct etcd_entry *e, size_t offset, const char *why)
{
    e->is_bad = e->in_key = true;
    e->flaw.offset = offset;
    snprintf(e->flaw.text, sizeof(e->flaw.text), "%s", why);
}

/* A question's name is lower-cased before it becomes a key. */
static void look_at_key(const struct etcd_keys *keys, const struct etcd_key *k,
                        struct etcd_entry *e)
{
    struct wp_name name;
    const char *why;
    size_t at;

    for (size_t i = keys->skip; i < k->len && !e->is_bad; i++) {
        if (k->key[i] >= 'A' && k->key[i] <= 'Z')
            key_flaw(e, i, "an upper-case letter: names are looked up in lower case");
    }
    if (wp_etcd_path_name(k->key + keys->skip, k->len - keys->skip, &name) == 0)
        wp_name_text(name.wire, e->name);
    why = wp_etcd_path_flaw(k->key + keys->skip, k->len - keys->skip, &at);
    if (why != NULL && !e->is_bad)
        key_flaw(e, keys->skip + at, why);
}

int etcd_entry_read(const struct etcd_keys *keys, const struct etcd_key *k, struct etcd_entry *ret)
{
    int r;

    *ret = (struct etcd_entry){0};
    r = wp_etcd_value_read(k->value, k->value_len, &ret->scratch, &ret->v, &ret->flaw);
    if (r == -ENOMEM)
        return r;
    ret->is_bad = r < 0;
    if (r == 0 && ret->v.kind == WP_ETCD_BARE) {
        ret->is_bad = true;
        snprintf(ret->flaw.text, sizeof(ret->flaw.text), "neither host nor text");
    }
    if (!ret->is_bad)
        look_at_key(keys, k, ret);
    else if (k->len >= keys->skip) {
        struct wp_name name;
        if (wp_etcd_path_name(k->key + keys->skip, k->len - keys->skip, &name) == 0)
            wp_name_text(name.wire, ret->name);
    }
    if (ret->v.kind == WP_ETCD_A || ret->v.kind == WP_ETCD_AAAA)
        inet_ntop(ret->v.kind == WP_ETCD_A ? AF_INET : AF_INET6, ret->v.addr, ret->host,
                  sizeof(ret->host));
    else if (ret->v.host.len > 0)
        wp_name_text(ret->v.host.wire, ret->host);
    return 0;
}

void etcd_entry_done(struct etcd_entry *e)
{
    wp_etcd_scratch_done(&e->scratch);
}

/* --- printing ------------------------------------------------------------------------------- */

void etcd_put_json(FILE *out, const char *text, size_t len)
{
    size_t cap = 6 * len + 1; /* an octet becomes \u00XX at most */
    char *clean = malloc(cap);

    fputc('"', out);
    if (clean != NULL)
        fwrite(clean, 1, wp_json_escape(text, len, clean, cap), out);
    fputc('"', out);
    free(clean);
}

void etcd_put_number(FILE *out, const char *name, int64_t n)
{
    if (n != 0)
        fprintf(out, ",\"%s\":%lld", name, (long long)n);
}

int etcd_put_text(FILE *out, const char *text, size_t len)
{
    int n = 0;

    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t)text[i];
        n += fprintf(out, c < ' ' || c >= 0x7f ? "\\x%02x" : "%c", c);
    }
    return n;
}

/* --- what looking commands share ------------------------------------------------------------ */

int etcd_failed(const struct etcd_place *p, const struct wp_etcd_client *c)
{
    etcd_say(p->who, "%s", wp_etcd_client_why(c));
    return ETCD_EXIT_AWAY;
}

int etcd_look(const struct etcd_access *a, const struct wp_command_line *line, const char *text,
              struct etcd_place *p, struct wp_name *ret_name, struct wp_etcd_client **ret)
{
    bool all = text == NULL && a->zone == NULL;
    char why[256];
    int r;

    if (text == NULL)
        text = all ? "." : "@";
    if (etcd_access_name(a, p->who, text, ret_name) < 0 ||
        etcd_access_open(a, line, all ? NULL : ret_name, p) < 0)
        return ETCD_EXIT_USAGE;
    r = wp_etcd_client_new(&p->src, why, ret);
    if (r < 0) {
        etcd_say(p->who, "%s", r == WP_EUNSUPPORTED ? why : wp_strerror(r));
        return ETCD_EXIT_AWAY;
    }
    return ETCD_EXIT_OK;
}
