#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "backends/etcd/command/keys.h"
#include "backends/etcd/command/record.h"
#include "waypost/base/addr.h"
#include "waypost/base/text.h"

enum { HOST_MAX = 20, ADDRESS_MAX = 24 }; /* of a label's 63 octets */

/* A question with such a label asks for every name beside it. */
static bool has_wildcard(const struct wp_name *name)
{
    for (const uint8_t *label = name->wire; *label != 0; label += 1 + *label) {
        if ((*label == 1 && label[1] == '*') || (*label == 3 && memcmp(label + 1, "any", 3) == 0))
            return true;
    }
    return false;
}

int etcd_record_name_check(const struct wp_name *name, const char *who)
{
    char text[WP_NAME_TEXT_MAX];

    if (name->len == 1)
        return etcd_say(who, "the root has no addresses");
    if (has_wildcard(name))
        return etcd_say(who, "%s: the labels * and any stand for every name",
                        wp_name_text(name->wire, text));
    return 0;
}

int etcd_record_check(const struct etcd_record *r, const char *who)
{
    struct wp_name name;
    struct wp_addr a;

    if (wp_addr_parse_ip(r->address, &a) == 0) {
        if (a.scope != 0 || strchr(r->address, '%') != NULL)
            return etcd_say(who, "%s: an address of this host's links only", r->address);
        if (wp_addr_is_any(&a))
            return etcd_say(who, "%s: nobody can connect to that", r->address);
    } else if (wp_name_parse(r->address, &name) < 0) {
        return etcd_say(who, "%s: neither an address nor a domain name", r->address);
    } else if (r->address[strspn(r->address, "0123456789.")] == '\0') {
        return etcd_say(who, "%s: not an address", r->address);
    }
    for (unsigned i = 0; i < r->tags.n; i++) {
        size_t len = strlen(r->tags.word[i]);
        if (len == 0 || len > WP_LABEL_MAX ||
            r->tags.word[i][strspn(r->tags.word[i], "abcdefghijklmnopqrstuvwxyz0123456789-_")] !=
                '\0')
            return etcd_say(who, "%s: a tag is a label of lower-case letters, digits, - and _",
                            r->tags.word[i]);
    }
    return 0;
}

/* What may stand in a label, at most `most` octets; others become hyphens, none at the ends. */
static size_t add_word(char *to, const char *text, size_t most)
{
    size_t n = 0;

    for (; *text != '\0' && n < most; text++) {
        uint8_t c = wp_lower((uint8_t)*text);
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (plain || n > 0)
            to[n++] = plain ? (char)c : '-';
    }
    while (n > 0 && to[n - 1] == '-')
        n--;
    return n;
}

/* HOST-ADDRESS-PORT-RANDOM: told apart by people, and by the last part for certain. At most 61
 * octets. */
static int make_id(const struct etcd_record *r, char id[WP_LABEL_MAX + 1])
{
    char host[256] = "", port[8];
    uint64_t number;
    size_t n;

    if (getrandom(&number, sizeof(number), 0) != sizeof(number))
        return -errno;
    gethostname(host, sizeof(host) - 1);
    host[strcspn(host, ".")] = '\0';
    n = add_word(id, host, HOST_MAX);
    if (n > 0)
        id[n++] = '-';
    n += add_word(id + n, r->address, ADDRESS_MAX);
    snprintf(port, sizeof(port), "%u", r->port);
    snprintf(id + n, WP_LABEL_MAX + 1 - n, "%s%s-%08x", r->port > 0 ? "-" : "",
             r->port > 0 ? port : "", (unsigned)(number >> 32));
    return 0;
}

/* In the arena; *text is there when the stream is closed. */
static char *finish(struct wp_arena *a, FILE *f, char **text)
{
    char *copy = NULL;

    if (fclose(f) == 0)
        copy = wp_arena_strdup(a, *text);
    free(*text);
    return copy;
}

static char *host_value(const struct etcd_record *r, struct wp_arena *a)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    if (f == NULL)
        return NULL;
    fputs("{\"host\":", f);
    etcd_put_json(f, r->address, strlen(r->address));
    etcd_put_number(f, "port", r->port > 0 ? r->port : -1); /* -1: not in SRV */
    etcd_put_number(f, "priority", r->priority);
    etcd_put_number(f, "weight", r->weight);
    etcd_put_number(f, "ttl", r->ttl_s);
    fputc('}', f);
    return finish(a, f, &text);
}

static char *text_value(const struct etcd_record *r, struct wp_arena *a)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    if (f == NULL)
        return NULL;
    fputs("{\"text\":", f);
    etcd_put_json(f, r->text, strlen(r->text));
    etcd_put_number(f, "ttl", r->ttl_s);
    fputc('}', f);
    return finish(a, f, &text);
}

int etcd_record_pairs(const struct etcd_record *r, const struct etcd_place *p,
                      const struct wp_name *name, struct etcd_pair **ret, unsigned *ret_n)
{
    unsigned n = (r->tags.n > 0 ? r->tags.n : 1) + (r->text != NULL);
    struct etcd_pair *pairs = wp_arena_array(p->arena, n, sizeof(*pairs));
    const char *base = etcd_access_key(p, name);
    char id[WP_LABEL_MAX + 1], *host = host_value(r, p->arena);
    unsigned i = 0;
    int e = make_id(r, id);

    if (pairs == NULL || base == NULL || host == NULL)
        return -ENOMEM;
    if (e < 0)
        return e;
    for (; i < r->tags.n; i++)
        pairs[i] = (struct etcd_pair){
            wp_arena_printf(p->arena, "%s/%s/%s", base, r->tags.word[i], id), host};
    if (i == 0)
        pairs[i++] = (struct etcd_pair){wp_arena_printf(p->arena, "%s/%s", base, id), host};
    /* Beside a host, text would hide an alias and never be asked for beside an address. */
    if (r->text != NULL)
        pairs[i++] = (struct etcd_pair){wp_arena_printf(p->arena, "%s/%s-t", base, id),
                                        text_value(r, p->arena)};
    for (i = 0; i < n; i++) {
        struct wp_name whole;
        if (pairs[i].key == NULL || pairs[i].value == NULL)
            return -ENOMEM;
        if (wp_etcd_path_name(pairs[i].key + strlen(p->src.prefix),
                              strlen(pairs[i].key) - strlen(p->src.prefix), &whole) < 0)
            return etcd_say(p->who, "%s: longer than a domain name may be", pairs[i].key);
    }
    *ret = pairs;
    *ret_n = n;
    return 0;
}
