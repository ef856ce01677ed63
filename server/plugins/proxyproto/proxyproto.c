/* Whose PROXY headers are believed. The listeners read them; here are the settings, and the
 * metadata made from the headers' TLV list. */
#include <string.h>

#include "waypost/base/rd.h"
#include "waypost/base/text.h"
#include "waypost/plugin/block.h"
#include "waypost/plugin/plugin.h"

enum { TLV_NOOP = 4, TLV_HEAD = 3 }; /* haproxy's proxy-protocol.txt 2.2 */

struct proxyproto {
    struct wp_cidr *allow;
    unsigned n_allow;
    bool default_set;
    enum wp_proxy_default deflt;
    int64_t session_ns, sessions_max;
    bool tlv_metadata;
};

static int parse_allow(void *self, struct wp_setup *s, const struct wp_line *line)
{
    struct proxyproto *p = self;
    unsigned more = line->n_words - 1;
    struct wp_cidr *all = wp_arena_array(s->arena, p->n_allow + more, sizeof(*all));

    if (all == NULL)
        return -ENOMEM;
    if (p->n_allow > 0)
        memcpy(all, p->allow, p->n_allow * sizeof(*all));
    for (unsigned i = 1; i < line->n_words; i++) {
        const char *word = line->words[i];

        if (strchr(word, '/') == NULL || wp_cidr_parse(word, &all[p->n_allow + i - 1]) < 0)
            return wp_setup_fail(s, "%s: invalid CIDR address: %s", word, word);
    }
    p->allow = all;
    p->n_allow += more;
    return 0;
}

static int parse_default(void *self, struct wp_setup *s, const struct wp_line *line)
{
    static const char *const words[] = {
        [WP_PROXY_USE] = "use",
        [WP_PROXY_IGNORE] = "ignore",
        [WP_PROXY_REJECT] = "reject",
        [WP_PROXY_SKIP] = "skip",
    };
    struct proxyproto *p = self;

    for (size_t i = 0; line->n_words == 2 && i < WP_COUNT(words); i++) {
        if (wp_text_ieq(line->words[1], words[i])) {
            p->deflt = (enum wp_proxy_default)i;
            p->default_set = true;
            return 0;
        }
    }
    return wp_setup_arg_error(s, line);
}

static int parse_session(void *self, struct wp_setup *s, const struct wp_line *line)
{
    struct proxyproto *p = self;
    int64_t ns, max = p->sessions_max;

    if (line->n_words != 2 && line->n_words != 3)
        return wp_setup_arg_error(s, line);
    if (wp_duration_parse(line->words[1], &ns) < 0)
        return wp_setup_fail(s, "udp_session_tracking: invalid duration \"%s\": %s", line->words[1],
                             wp_setup_duration_why(s, line->words[1]));
    if (line->n_words == 3 && wp_int_parse(line->words[2], 1, INT32_MAX, &max) < 0)
        return wp_setup_fail(
            s, "udp_session_tracking: invalid max sessions \"%s\": must be a positive integer",
            line->words[2]);
    p->session_ns = ns > 0 ? ns : 0;
    p->sessions_max = max;
    return 0;
}

/* The settings of all lines, for the listener. */
static int check(void *self, struct wp_setup *s)
{
    const struct proxyproto *p = self;

    s->block->set.proxy = (struct wp_proxy_settings){
        .set = true,
        .tlv_metadata = p->tlv_metadata,
        .allow = p->allow,
        .n_allow = p->n_allow,
        .deflt = p->default_set   ? p->deflt
                 : p->n_allow > 0 ? WP_PROXY_IGNORE
                                  : WP_PROXY_USE,
        .udp_session_ns = p->session_ns,
        .udp_sessions_max = p->sessions_max,
    };
    return 0;
}

/* The list without its padding as lower-case hex; NULL: nothing is left, or no memory. */
static const char *tlv_text(struct wp_arena *arena, const uint8_t *tlv, size_t len)
{
    static const char hex[] = "0123456789abcdef";
    char *text = wp_arena_alloc(arena, 2 * len + 1), *to = text;
    struct wp_rd rd = wp_rd_from(tlv, len);

    while (text != NULL && wp_rd_left(&rd) >= TLV_HEAD) {
        const uint8_t *at = rd.buf + rd.pos;
        size_t n = TLV_HEAD + wp_be16(at + 1);

        if (wp_rd_bytes(&rd, n) == NULL)
            break;
        for (size_t i = 0; at[0] != TLV_NOOP && i < n; i++) {
            *to++ = hex[at[i] >> 4];
            *to++ = hex[at[i] & 15];
        }
    }
    if (to == text)
        return NULL;
    *to = '\0';
    return text;
}

static void metadata(void *self, struct wp_query *q)
{
    const struct proxyproto *p = self;
    const char *text;

    if (!p->tlv_metadata || q->proxy_tlv == NULL)
        return;
    text = tlv_text(q->arena, q->proxy_tlv, q->proxy_tlv_len);
    if (text != NULL)
        wp_query_meta_set(q, "proxyproto/tlv", text); /* without memory the label is not set */
}

static bool in_chain(const void *self)
{
    const struct proxyproto *p = self;

    return p->tlv_metadata;
}

/* In CoreDNS the metadata makes a handler of it, which shows in the metric plugin_enabled. */
static int serve(void *self, struct wp_query *q)
{
    (void)self;
    (void)q;
    return WP_STEP_NEXT;
}

static const struct wp_option proxyproto_options[] = {
    {.name = "allow",
     .kind = WP_OPT_CALL,
     .parse = parse_allow,
     .help = "CIDR ... whose headers are used; without: everybody's"},
    {.name = "default",
     .kind = WP_OPT_CALL,
     .parse = parse_default,
     .help = "use|ignore|reject|skip headers of all others"},
    {.name = "udp_session_tracking",
     .kind = WP_OPT_CALL,
     .parse = parse_session,
     .help = "DURATION [MAX] for which a header holds for the sender's next datagrams"},
    {.name = "tlv_metadata",
     .kind = WP_OPT_FLAG,
     .offset = offsetof(struct proxyproto, tlv_metadata),
     .help = "the TLV list as metadata proxyproto/tlv"},
    {0},
};

const struct wp_plugin wp_plugin_proxyproto = {
    .name = "proxyproto",
    .size = sizeof(struct proxyproto),
    .options = proxyproto_options,
    .unknown = "unknown option '%s'",
    .repeat = WP_REPEAT_LAST,
    .config_only = true,
    .in_chain = in_chain,
    .check = check,
    .serve = serve,
    .metadata = metadata,
};
