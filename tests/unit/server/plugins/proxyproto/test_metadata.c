/* Metadata proxyproto/tlv: the TLV list of a PROXY header in hex, without padding. */
#include "check.h"
#include "server/config/conf_load.h"

static const struct {
    const char *what, *tlv;
    size_t len;
    const char *text; /* NULL: not set */
} cases[] = {
    {"one", WIRE("\xea\0\3abc"), "ea0003616263"},
    {"two", WIRE("\1\0\2h2\2\0\1x"), "0100026832" "02000178"},
    {"empty value", WIRE("\xea\0\0"), "ea0000"},
    {"padding first", WIRE("\4\0\2zz\xea\0\1a"), "ea000161"},
    {"padding last", WIRE("\xea\0\1a\4\0\0"), "ea000161"},
    {"only padding", WIRE("\4\0\4zzzz"), NULL},
    {"high octets", WIRE("\xff\0\2\x0f\xf0"), "ff00020ff0"},
    {"cut in a head", WIRE("\xea\0\1a\1\0"), "ea000161"},
    {"cut in a value", WIRE("\xea\0\1a\1\0\5abc"), "ea000161"},
    {"nothing", WIRE(""), NULL},
};

static void test_text(void)
{
    struct loaded l;
    void *self;

    conf_load(&l, ". {\nproxyproto {\ntlv_metadata\n}\n}\n");
    CHECK(l.r == 0);
    self = wp_block_plugin(&l.blocks[0], "proxyproto");
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wp_query q = {.arena = &l.arena, .meta_on = true, .proxy_tlv = (const uint8_t *)cases[i].tlv,
                             .proxy_tlv_len = (uint16_t)cases[i].len};
        const char *got;

        l.blocks[0].all[0].plugin->metadata(self, &q);
        got = wp_query_meta(&q, "proxyproto/tlv");
        CHECK_AT(cases[i].what, (got == NULL) == (cases[i].text == NULL));
        CHECK_AT(cases[i].what, got == NULL || strcmp(got, cases[i].text) == 0);
    }
    conf_unload(&l);
}

static void test_only_when_asked_for(void)
{
    struct loaded l;
    struct wp_query q = {.meta_on = true, .proxy_tlv = (const uint8_t *)cases[0].tlv, .proxy_tlv_len = (uint16_t)cases[0].len};

    conf_load(&l, ". {\nproxyproto\n}\n");
    CHECK(l.r == 0 && l.blocks[0].n_chain == 0);
    q.arena = &l.arena;
    l.blocks[0].all[0].plugin->metadata(l.blocks[0].all[0].self, &q);
    CHECK(wp_query_meta(&q, "proxyproto/tlv") == NULL);
    conf_unload(&l);

    conf_load(&l, ". {\nproxyproto {\ntlv_metadata\n}\n}\n");
    q = (struct wp_query){.arena = &l.arena, .meta_on = true}; /* no header */
    l.blocks[0].all[0].plugin->metadata(l.blocks[0].all[0].self, &q);
    CHECK(wp_query_meta(&q, "proxyproto/tlv") == NULL);
    conf_unload(&l);
}

RUN_TESTS(TEST(test_text), TEST(test_only_when_asked_for))
