/* What came of an explained question. */
#include <stdio.h>
#include <string.h>

#include "server/status/explain_priv.h"
#include "waypost/base/rd.h"
#include "waypost/plugin/block.h"
#include "waypost/server/listener.h"

enum { RECORDS_MAX = 1000, RDATA_TEXT_MAX = 4096 };

static void put_asked(struct asking *k, struct wp_report *r)
{
    const struct question *q = &k->question;
    char name[WP_NAME_TEXT_MAX], buf[16], addr[WP_ADDR_TEXT_MAX];

    wp_report_open(r, "question");
    wp_report_text(r, "name", wp_name_text(q->name.wire, name));
    wp_report_text(r, "type", wp_type_text(q->type, buf));
    wp_report_text(r, "class", wp_class_text(q->cls, buf));
    wp_report_text(r, "listener", k->group->label);
    wp_report_text(r, "transport", question_transport_text(q->transport));
    wp_report_text(r, "client", wp_addr_ip_text(&k->q->client, addr));
    wp_report_close(r);
}

static void put_block(const struct wp_query *q, struct wp_report *r)
{
    const struct wp_block *b = q->block;
    char zone[WP_NAME_TEXT_MAX];

    if (b == NULL) { /* no zone of the listener holds the name */
        wp_report_none(r, "block");
        return;
    }
    wp_report_open(r, "block");
    wp_report_text(r, "zone", q->zone != NULL ? wp_name_text(q->zone, zone) : NULL);
    wp_report_printf(r, "place", "%s:%u", b->file, b->line);
    wp_report_text(r, "view", b->view);
    wp_report_close(r);
}

/* --- the message ------------------------------------------------------------------------------- */

static void put_flags(uint16_t flags, struct wp_report *r)
{
    static const struct {
        uint16_t bit;
        const char *name;
    } known[] = {{WP_FLAG_AA, "aa"}, {WP_FLAG_TC, "tc"}, {WP_FLAG_RD, "rd"},
                 {WP_FLAG_RA, "ra"}, {WP_FLAG_AD, "ad"}, {WP_FLAG_CD, "cd"}};

    wp_report_list(r, "flags");
    for (size_t i = 0; i < WP_COUNT(known); i++)
        if (flags & known[i].bit)
            wp_report_text(r, NULL, known[i].name);
    wp_report_close(r);
}

static void put_record(const struct wp_rr *rr, struct wp_report *r)
{
    char name[WP_NAME_TEXT_MAX], type[16], cls[16], rdata[RDATA_TEXT_MAX];

    if (wp_rdata_text(rr->type, rr->rdata, rr->rdlen, rdata, sizeof(rdata)) < 0)
        snprintf(rdata, sizeof(rdata), "(%u octets)", rr->rdlen);
    wp_report_printf(r, NULL, "%s %u %s %s %s", wp_name_text(rr->owner, name), rr->ttl,
                     wp_class_text(rr->cls, cls), wp_type_text(rr->type, type), rdata);
}

static void put_ede(const struct wp_query *q, struct wp_report *r)
{
    const struct wp_edns e = {.options = q->reply.options, .options_len = q->reply.options_len};
    uint16_t len = 0;
    const uint8_t *ede = e.options_len > 0 ? wp_edns_option_find(&e, WP_EDNS_EDE, &len) : NULL;

    if (ede == NULL || len < 2)
        return;
    wp_report_int(r, "extended_error", ede[0] << 8 | ede[1]);
    wp_report_printf(r, "extended_error_text", "%.*s", len - 2, (const char *)ede + 2);
}

static void put_sections(struct asking *k, struct wp_report *r)
{
    static const char *const names[WP_SECTIONS] = {"answer", "authority", "additional"};
    struct wp_query *q = k->q;
    struct wp_rd rd = wp_rd_from(q->out, q->out_len);
    unsigned left = RECORDS_MAX;

    rd.pos = WP_HEADER_LEN + (size_t)q->question_len;
    for (unsigned s = 0; s < WP_SECTIONS; s++) {
        unsigned n = (unsigned)q->out[6 + 2 * s] << 8 | q->out[7 + 2 * s];
        struct wp_rr rr;

        wp_report_list(r, names[s]);
        for (; n > 0 && left > 0 && wp_rr_read(&rd, &k->arena, &rr) == 0; n--, left--)
            if (rr.type != WP_TYPE_OPT)
                put_record(&rr, r);
        wp_report_close(r);
    }
    if (left == 0)
        wp_report_bool(r, "incomplete", true);
}

static void put_reply(struct asking *k, struct wp_report *r)
{
    struct wp_query *q = k->q;
    char rcode[16];

    wp_report_open(r, "reply");
    wp_report_bool(r, "sent", q->out_len > 0);
    if (q->out_len >= WP_HEADER_LEN) {
        wp_report_text(r, "rcode", wp_rcode_text(q->reply.rcode, rcode));
        put_flags((uint16_t)(q->out[2] << 8 | q->out[3]), r);
        wp_report_octets(r, "octets", q->out_len);
        put_ede(q, r);
    }
    if (q->reply.error != NULL)
        wp_report_text(r, "error", q->reply.error);
    if (q->cancelled)
        wp_report_bool(r, "cancelled", true);
    if (q->out_len >= WP_HEADER_LEN)
        put_sections(k, r);
    wp_report_close(r);
}

void asking_tell(struct asking *k)
{
    uint64_t took_ns = wp_loop_clock(k->loop) - k->began_ns;
    struct wp_report *r = &k->report;

    put_asked(k, r);
    put_block(k->q, r);
    wp_explain_tell(&k->story, r);
    wp_report_text(r, "answered_by", k->q->writer);
    wp_report_adopt(r, "sources", &k->story.sources, true);
    if (wp_report_is_empty(&k->story.sources)) {
        wp_report_list(r, "sources");
        wp_report_close(r);
    }
    put_reply(k, r);
    wp_report_ns(r, "took_ns", took_ns);
    if (r->incomplete)
        wp_report_bool(r, "incomplete", true);
}
