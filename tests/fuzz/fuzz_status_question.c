/* The query of GET /explain: what is read, written again in one way, reads the same; and the reason
 * for what cannot be read is one line. */
#include "fuzz.h"
#include "server/status/question.h"
#include "waypost/base/addr.h"

static size_t write_name(const struct wp_name *n, char *out)
{
    size_t len = 0;

    if (n->len == 1)
        out[len++] = '.';
    for (size_t at = 0; n->wire[at] != 0; at += 1u + n->wire[at]) {
        for (unsigned i = 1; i <= n->wire[at]; i++)
            len += (size_t)sprintf(out + len, "\\%03u", n->wire[at + i]);
        out[len++] = '.';
    }
    out[len] = '\0';
    return len;
}

static void write_again(const struct question *q, char *out)
{
    char addr[WP_ADDR_TEXT_MAX];

    out += sprintf(out, "format=%s&name=", q->text ? "text" : "json");
    out += write_name(&q->name, out);
    out += sprintf(out, "&type=TYPE%u&class=CLASS%u&do=%d&edns=%d&cd=%d&rd=%d", q->type, q->cls,
                   q->dnssec_ok, q->has_edns, q->checking_disabled, !q->no_recursion);
    if (q->has_transport)
        out += sprintf(out, "&transport=%s", question_transport_text(q->transport));
    if (q->client.family != 0)
        out += sprintf(out, "&client=%s", wp_addr_ip_text(&q->client, addr));
    if (q->listener[0] != '\0')
        sprintf(out, "&listener=%s", q->listener);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char query[8192], again[4096];
    struct question q, p;
    char why[128] = "";

    if (size >= sizeof(query))
        return 0;
    memcpy(query, data, size);
    query[size] = '\0';
    if (question_read(query, &q, why) < 0) {
        CHECK(strlen(why) > 1 && strchr(why, '\n') == why + strlen(why) - 1);
        return 0;
    }
    CHECK(q.name.len > 0 && strlen(q.listener) < sizeof(q.listener));
    write_again(&q, again);
    CHECK(question_read(again, &p, why) == 0);
    CHECK(p.name.len == q.name.len && memcmp(p.name.wire, q.name.wire, q.name.len) == 0);
    CHECK(p.type == q.type && p.cls == q.cls && p.text == q.text && p.dnssec_ok == q.dnssec_ok);
    CHECK(p.has_edns == q.has_edns && p.checking_disabled == q.checking_disabled);
    CHECK(p.no_recursion == q.no_recursion && p.has_transport == q.has_transport);
    CHECK(!q.has_transport || p.transport == q.transport);
    CHECK(wp_addr_equal(&p.client, &q.client) && p.client.family == q.client.family);
    CHECK(strcmp(p.listener, q.listener) == 0);
    return 0;
}
