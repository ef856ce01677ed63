/* Messages. Properties: the verdict on a query does not depend on what follows the last counted
 * record, and what is said of it is in the message; a message whose records can all be read is
 * written again with compression, read back the same, and is not longer than without. */
#include "fuzz.h"

#include "waypost/base/arena.h"
#include "waypost/base/rd.h"
#include "waypost/base/wr.h"
#include "waypost/dns/msg.h"
#include "waypost/dns/rr.h"

enum { ARENA_MAX = 4 << 20, RECORDS_MAX = 256 };

/* End of the last counted record, or 0. */
static size_t records_end(const uint8_t *data, size_t size, size_t at)
{
    struct wp_rd rd = wp_rd_from(data, size);
    unsigned n = wp_be16(data + 6) + wp_be16(data + 8) + wp_be16(data + 10);
    struct wp_rr_at rr;

    rd.pos = at;
    while (n-- > 0) {
        if (wp_rr_next(&rd, &rr) < 0)
            return 0;
    }
    return rd.pos;
}

/* A cookie's message has its OPT inside, and nothing is read behind what it counts. */
static void check_no_question(const uint8_t *data, size_t size, struct wp_msg *m)
{
    if (!wp_msg_parse_no_question(data, size, m))
        return;
    CHECK(wp_be16(data + 4) == 0 && wp_be32(data + 6) == 0 && wp_msg_opcode(m) == WP_OPCODE_QUERY);
    CHECK(m->question_len == 0 && m->edns.present && m->edns.version == 0);
    CHECK(m->edns.options >= data && m->edns.options + m->edns.options_len <= data + size);
}

static void check_query(const uint8_t *data, size_t size, unsigned opcodes)
{
    static struct wp_msg m, again;
    enum wp_intake v = wp_msg_parse_query(data, size, opcodes, &m);
    struct wp_name name;
    struct wp_rd rd;
    size_t end;

    if (v == WP_INTAKE_IGNORE) {
        CHECK(size < WP_HEADER_LEN || (data[2] & 0x80) != 0);
        return;
    }
    CHECK(v == WP_INTAKE_NOTIMP || (opcodes >> wp_msg_opcode(&m) & 1) != 0);
    if (m.question_len == 0) {
        CHECK(v != WP_INTAKE_OK && v != WP_INTAKE_BADVERS && m.qname.len == 1);
        if (v == WP_INTAKE_FORMERR_HEAD)
            check_no_question(data, size, &m);
        return;
    }
    rd = wp_rd_from(data, size);
    rd.pos = WP_HEADER_LEN;
    CHECK(wp_name_read(&rd, &name) == 0 && name.len + 4 == m.question_len);
    CHECK(wp_name_equal(name.wire, m.qname.wire) && m.question_len + 12u <= size);
    if (m.edns.present)
        CHECK(m.edns.options >= data && m.edns.options + m.edns.options_len <= data + size);
    if (v != WP_INTAKE_OK && v != WP_INTAKE_BADVERS)
        return;
    CHECK(m.tsig_at == 0 || m.tsig_at < size);
    end = records_end(data, size, WP_HEADER_LEN + (size_t)m.question_len);
    CHECK(end != 0 && end <= size);
    CHECK(wp_msg_parse_query(data, end, opcodes, &again) == v);
    CHECK(again.tsig_at == m.tsig_at && again.edns.udp_size == m.edns.udp_size);
    CHECK(end == WP_HEADER_LEN || wp_msg_parse_query(data, end - 1, opcodes, &again) != v);
}

static size_t name_len(const uint8_t *wire)
{
    int n = wp_name_len(wire, WP_NAME_MAX);

    CHECK(n > 0);
    return (size_t)n;
}

static void write_all(struct wp_wr *wr, const uint8_t *question, const struct wp_rr *rr, unsigned n)
{
    struct wp_comp comp;

    wp_comp_init(&comp);
    wp_wr_bytes(wr, "\0\0\0\0\0\1\0\0\0\0\0\0", WP_HEADER_LEN);
    wp_wr_name(wr, &comp, question);
    for (unsigned i = 0; i < n; i++)
        wp_wr_rr(wr, &comp, &rr[i]);
}

static void check_rebuild(const uint8_t *data, size_t size)
{
    static uint8_t wire[1 << 18];
    static struct wp_rr rr[RECORDS_MAX];
    struct wp_rd rd = wp_rd_from(data, size);
    struct wp_wr wr = wp_wr_to(wire, sizeof(wire));
    size_t plain = WP_HEADER_LEN;
    struct wp_name question, name;
    struct wp_arena arena;
    unsigned n = 0;

    rd.pos = size < WP_HEADER_LEN ? size : WP_HEADER_LEN;
    if (wp_name_read(&rd, &question) < 0)
        return;
    wp_arena_init(&arena, ARENA_MAX); /* a cap, so that memory bombs show up as findings */
    plain += question.len;
    for (; n < RECORDS_MAX && wp_rr_read(&rd, &arena, &rr[n]) == 0; n++)
        plain += name_len(rr[n].owner) + 10 + rr[n].rdlen;
    write_all(&wr, question.wire, rr, n);
    /* else 256 records, expanded, have outgrown the buffer: nothing to check */
    if (!wr.bad) {
        CHECK(wr.len <= plain);
        rd = wp_rd_from(wire, wr.len);
        rd.pos = WP_HEADER_LEN;
        CHECK(wp_name_read(&rd, &name) == 0 && wp_name_equal(name.wire, question.wire));
        for (unsigned i = 0; i < n; i++) {
            struct wp_rr back = {0};

            CHECK(wp_rr_read(&rd, &arena, &back) == 0);
            CHECK(back.type == rr[i].type && back.cls == rr[i].cls && back.ttl == rr[i].ttl);
            CHECK(memcmp(back.owner, rr[i].owner, name_len(rr[i].owner)) == 0); /* case too */
            CHECK(back.rdlen == rr[i].rdlen && memcmp(back.rdata, rr[i].rdata, back.rdlen) == 0);
        }
        CHECK(wp_rd_left(&rd) == 0);
    }
    wp_arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_query(data, size, 1 << WP_OPCODE_QUERY | 1 << WP_OPCODE_NOTIFY);
    check_query(data, size, 0xffff);
    check_rebuild(data, size);
    return 0;
}
