/* A question over a cluster: an octet that chooses the options, one for the type, then the name as
 * text. Properties: the reply can be read to its last octet, says NOERROR, NXDOMAIN or REFUSED and
 * fits a message; the same comes when every answer takes the long way; A and AAAA agree on whether
 * the name is there. */
#include "fuzz.h"

#include <stdarg.h>

#define CHECK_AT(what, cond) CHECK(((void)(what), (cond)))
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define print_error(...) fprintf(stderr, __VA_ARGS__)
#include "backends/kubernetes/answer_world.h"

#define ZONES "kubernetes cluster.local clusterset.local in-addr.arpa ip6.arpa { \n"
static const char *const options[] = {
    "",
    "pods insecure",
    "pods verified\nendpoint_pod_names",
    "zonal",
    "multicluster clusterset.local",
    "ignore empty_service",
    "answer endpoints",
    "fallthrough",
};
/* Every namespace is listed: no question is a common one. */
#define LONG_WAY "\nnamespaces shop infra hidden\n"

static const uint16_t types[] = {
    WP_TYPE_A,   WP_TYPE_AAAA, WP_TYPE_SRV,   WP_TYPE_PTR, WP_TYPE_CNAME, WP_TYPE_TXT,  WP_TYPE_NS,
    WP_TYPE_SOA, WP_TYPE_MX,   WP_TYPE_HTTPS, WP_TYPE_ANY, WP_TYPE_AXFR,  WP_TYPE_HINFO};

static struct answer_world worlds[COUNT(options)][2];

static void open_world(size_t i, size_t way)
{
    struct answer_world *w = &worlds[i][way];
    char lines[500];

    snprintf(lines, sizeof(lines), ZONES "%s%s\n}", options[i], way == 1 ? LONG_WAY : "");
    answer_open(w, lines);
    kube_load(&w->kube, "cluster.jsonl");
    kube_load(&w->kube, "multicluster.jsonl");
    kube_load(&w->kube, "zonal.jsonl");
}

/* The reply as text; checked. */
static const char *answer(struct answer_world *w, const char *name, uint16_t type)
{
    char question[1200], word[16];
    const char *text;
    struct wp_rd rd;

    snprintf(question, sizeof(question), "%s %s tcp", name, wp_type_text(type, word));
    asker_run(&w->asker, question);
    text = asker_text(&w->asker, question);
    CHECK(w->asker.q->out_len >= WP_HEADER_LEN && w->asker.q->out_len <= WP_MSG_MAX);
    CHECK(strncmp(text, "NOERROR", 7) == 0 || strncmp(text, "NXDOMAIN", 8) == 0 ||
          strncmp(text, "REFUSED", 7) == 0);
    rd = wp_rd_from(w->asker.q->out, w->asker.q->out_len);
    rd.pos = WP_HEADER_LEN;
    CHECK(wp_name_skip(&rd) == 0);
    wp_rd_skip(&rd, 4);
    for (unsigned left = wp_be16(w->asker.q->out + 6) + wp_be16(w->asker.q->out + 8) +
                         wp_be16(w->asker.q->out + 10);
         left > 0; left--) {
        struct wp_rr_at at;
        CHECK(wp_rr_next(&rd, &at) == 0);
    }
    CHECK(rd.pos == w->asker.q->out_len);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char name[1100], text[WP_NAME_TEXT_MAX];
    struct answer_world *quick, *slow;
    struct wp_name wire;
    const char *first, *second;
    uint16_t type;
    size_t i;

    if (size < 3 || size - 2 >= sizeof(name))
        return 0;
    i = data[0] % COUNT(options);
    type = types[data[1] % COUNT(types)];
    memcpy(name, data + 2, size - 2);
    name[size - 2] = '\0';
    if (strlen(name) != size - 2 || wp_name_parse(name, &wire) < 0)
        return 0;
    wp_name_text(wire.wire, text);
    if (strchr(text, ' ') != NULL)
        return 0;
    for (size_t way = 0; way < 2; way++)
        if (worlds[i][way].p == NULL)
            open_world(i, way);
    quick = &worlds[i][0];
    slow = &worlds[i][1];
    first = answer(quick, text, type);
    second = answer(slow, text, type);
    CHECK(strcmp(first, second) == 0);
    first = answer(quick, text, WP_TYPE_A);
    second = answer(slow, text, WP_TYPE_AAAA);
    CHECK((strncmp(first, "NX", 2) == 0) == (strncmp(second, "NX", 2) == 0));
    return 0;
}
