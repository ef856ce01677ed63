/* A value of etcd. Properties: what is malformed is told within the text; what is good stays the
 * same with white space around it and survives packing; a text ends every value as malformed
 * when it is cut. */
#include "fuzz.h"

#include "backends/etcd/check.h"
#include "backends/etcd/record.h"

/* What is to be probed is the record's own address; a path is one that makes one line of a request. */
static void read_health(size_t len, const struct wp_etcd_scratch *scratch,
                        const struct wp_etcd_value *v)
{
    struct wp_etcd_flaw flaw = {0};
    struct wp_probe_spec s;
    int r = wp_etcd_health_read(scratch, v, &s, &flaw);

    CHECK(r == 0 || r == 1 || r == WP_EMALFORMED);
    CHECK(r >= 0 || (flaw.offset <= len && flaw.text[0] != '\0'));
    if (r != 1)
        return;
    CHECK(s.to.port > 0 && s.to.family == (v->kind == WP_ETCD_A ? 4 : 6));
    CHECK(memcmp(s.to.ip, v->addr, s.to.family == 4 ? 4 : 16) == 0);
    CHECK((s.kind == WP_PROBE_HTTP) == (s.path_len > 0) && s.path_len <= WP_PROBE_PATH_MAX);
    for (size_t i = 0; i < s.path_len; i++)
        CHECK(s.path[i] > ' ' && s.path[i] < 0x7f);
}

static struct wp_etcd_rec *read_rec(const char *text, size_t len, int *ret)
{
    struct wp_etcd_scratch scratch;
    struct wp_etcd_value v;
    struct wp_etcd_flaw flaw = {0};
    struct wp_etcd_rec *rec;

    *ret = wp_etcd_value_read(text, len, &scratch, &v, &flaw);
    CHECK(*ret == 0 || *ret == WP_EMALFORMED);
    CHECK((*ret == 0) == (v.kind != WP_ETCD_BAD));
    CHECK(*ret == 0 || (flaw.offset <= len && flaw.text[0] != '\0'));
    rec = wp_etcd_rec_new("/a/b", 4, &v, NULL, 7, 2);
    CHECK(rec != NULL);
    if (*ret == 0)
        read_health(len, &scratch, &v);
    if (*ret == 0) {
        struct wp_etcd_wide w = wp_etcd_rec_wide(rec);
        CHECK(w.port == v.port && w.priority == v.priority && w.weight == v.weight &&
              w.targetstrip == v.targetstrip);
        CHECK(memcmp(wp_etcd_rec_key(rec), "/a/b", 4) == 0);
        CHECK(rec->text_len == v.text_len &&
              memcmp(wp_etcd_rec_text(rec), v.text != NULL ? v.text : "", v.text_len) == 0);
        CHECK(rec->kind != WP_ETCD_ALIAS || rec->host_len == wp_name_size(wp_etcd_rec_host(rec)));
    }
    wp_etcd_scratch_done(&scratch);
    return rec;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    char *padded = malloc(size + 4);
    struct wp_etcd_rec *rec, *again;
    int r, r2;

    CHECK(padded != NULL);
    rec = read_rec(text, size, &r);
    memcpy(padded, " \n", 2);
    if (size > 0)
        memcpy(padded + 2, data, size);
    memcpy(padded + 2 + size, "\t\r", 2);
    again = read_rec(padded, size + 4, &r2);
    CHECK(r == r2 && wp_etcd_rec_equal(rec, again));
    if (r == 0 && size > 1 && data[0] == '{' && data[size - 1] == '}') {
        wp_etcd_rec_free(again);
        again = read_rec(text, size - 1, &r2);
        CHECK(r2 == WP_EMALFORMED);
    }
    wp_etcd_rec_free(rec);
    wp_etcd_rec_free(again);
    free(padded);
    return 0;
}
