/* A response of Nomad's API; the first octet says of which kind. Properties: what is taken is JSON to the
 * other reader too; white space around it changes nothing; a text that is cut at its end is refused; nothing that is told is
 * longer than said, and all of it is UTF-8; a message can be logged; what is published of a service is what was told: as many
 * instances, each with its port and its tags. */
#include "fuzz.h"

#include "backends/common/json_text.h"
#include "backends/common/utf8.h"
#include "backends/nomad/build.h"

struct heard {
    uint64_t sum;
    size_t n;
};

static void take(struct heard *h, struct wp_nomad_text t, size_t max)
{
    CHECK(t.len <= max);
    for (size_t i = 0; i < t.len;) {
        size_t n = wp_utf8_len((const uint8_t *)t.at + i, t.len - i);
        CHECK(n > 0);
        i += n;
    }
    for (size_t i = 0; i < t.len; i++)
        h->sum = (h->sum ^ (uint8_t)t.at[i]) * 1099511628211u;
    h->sum = (h->sum ^ t.len) * 1099511628211u;
    h->n++;
}

static int on_registration(void *arg, const struct wp_nomad_registration *r)
{
    const struct wp_nomad_text texts[] = {r->id,      r->name,     r->namespace,
                                          r->address, r->alloc_id, r->datacenter};

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        take(arg, texts[i], WP_NOMAD_TEXT_MAX);
    CHECK(r->n_tags <= WP_NOMAD_TAGS_MAX && r->create_index <= INT64_MAX &&
          r->modify_index <= INT64_MAX);
    for (size_t i = 0; i < r->n_tags; i++)
        take(arg, r->tags[i], SIZE_MAX);
    return 0;
}

/* --- what is published --------------------------------------------------------------------------- */

static int on_build(void *arg, const struct wp_nomad_registration *r)
{
    struct wp_nomad_build *b = arg;

    CHECK(wp_nomad_build_add(b, r) == 0);
    return 0;
}

struct compared {
    const struct wp_nomad_service *v;
    uint32_t n;
};

static int on_compare(void *arg, const struct wp_nomad_registration *r)
{
    struct compared *c = arg;
    const struct wp_nomad_instance *i = &c->v->instances[c->n++];
    size_t n_tags = 0;

    CHECK(c->n <= c->v->n && i->port == r->port);
    if (i->family == WP_NOMAD_HOST)
        CHECK(i->host_len == r->address.len &&
              memcmp(wp_nomad_instance_host(c->v, i), r->address.at, r->address.len) == 0);
    for (size_t k = 0; k < r->n_tags; k++) {
        bool has = wp_nomad_instance_has_tag(c->v, i, r->tags[k].at, r->tags[k].len);
        CHECK(has == (r->tags[k].len <= UINT8_MAX));
        n_tags += has;
    }
    CHECK(i->n_tags == n_tags);
    return 0;
}

static void publish(const char *text, size_t len)
{
    static struct wp_nomad_build b = {.tags = true, .weights = true}; /* one, so that it logs little */
    struct compared c = {NULL, 0};
    struct wp_nomad_service *v;
    char why[256];

    wp_nomad_build_begin(&b);
    CHECK(wp_nomad_decode_service(text, len, on_build, &b, why) == 0);
    v = wp_nomad_build_end(&b, 1, "web", 3, "default", 7);
    CHECK(v != NULL && v->n_of[0] + v->n_of[1] + v->n_of[2] == v->n && v->n_unhealthy == 0);
    c.v = v;
    CHECK(wp_nomad_decode_service(text, len, on_compare, &c, why) == 0 && c.n == v->n);
    wp_nomad_service_free(v);
}

/* --- the other responses ------------------------------------------------------------------------- */

static int on_listed(void *arg, struct wp_nomad_text namespace, struct wp_nomad_text name)
{
    CHECK(namespace.len > 0 && name.len > 0);
    take(arg, namespace, WP_NOMAD_NAMESPACE_MAX);
    take(arg, name, WP_NOMAD_NAME_MAX);
    return 0;
}

static void on_ns(void *arg, struct wp_nomad_text namespace)
{
    take(arg, namespace, WP_NOMAD_TEXT_MAX);
}

static int on_name(void *arg, struct wp_nomad_text name)
{
    CHECK(name.len > 0);
    take(arg, name, WP_NOMAD_NAMESPACE_MAX);
    return 0;
}

static int on_event(void *arg, const struct wp_nomad_event *e)
{
    CHECK(e->name.len > 0 && e->namespace.len > 0 && e->index <= INT64_MAX);
    take(arg, e->name, WP_NOMAD_TEXT_MAX);
    take(arg, e->namespace, WP_NOMAD_TEXT_MAX);
    return 0;
}

static int on_check(void *arg, struct wp_nomad_text service, bool ok)
{
    (void)ok;
    CHECK(service.len > 0);
    take(arg, service, WP_NOMAD_TEXT_MAX);
    return 0;
}

static int decode(uint8_t kind, const char *text, size_t len, struct heard *h)
{
    char why[256] = "";
    uint64_t index;
    int r;

    *h = (struct heard){0, 0};
    switch (kind % 5) {
    case 0:
        r = wp_nomad_decode_service(text, len, on_registration, h, why);
        break;
    case 1:
        r = wp_nomad_decode_list(text, len, on_listed, on_ns, h, why);
        break;
    case 2:
        r = wp_nomad_decode_namespaces(text, len, on_name, h, why);
        break;
    case 3:
        r = wp_nomad_decode_event(text, len, on_event, h, &index, why);
        break;
    default:
        r = wp_nomad_decode_checks(text, len, on_check, h, why);
    }
    CHECK(r == 0 || r == WP_EMALFORMED);
    CHECK((r == 0) == (why[0] == '\0'));
    for (const char *c = why; *c != '\0'; c++)
        CHECK(*c >= ' ' && *c < 0x7f);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data + 1;
    struct heard h, again;
    struct wp_json_flaw flaw;
    struct wp_json value;
    size_t len = size - 1;
    char *padded;
    int r;

    if (size == 0)
        return 0;
    r = decode(data[0], text, len, &h);
    if (r == 0)
        CHECK(wp_json_parse(text, len, &value, &flaw) == 0);
    if (r == 0 && data[0] % 5 == 0)
        publish(text, len);
    padded = malloc(len + 4);
    CHECK(padded != NULL);
    memcpy(padded, " \n", 2);
    memcpy(padded + 2, text, len);
    memcpy(padded + 2 + len, "\t\r", 2);
    CHECK(decode(data[0], padded, len + 4, &again) == r);
    CHECK(h.sum == again.sum && h.n == again.n);
    free(padded);
    if (r == 0 && (text[len - 1] == '}' || text[len - 1] == ']'))
        CHECK(decode(data[0], text, len - 1, &again) == WP_EMALFORMED);
    return 0;
}
