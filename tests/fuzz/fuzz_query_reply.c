/* A reply as `waypost query` takes it apart and prints it. Properties: whatever is read can be printed,
 * in every form; the JSON is one value and holds the very octets; a reply that is not said to be cut has
 * as many records as its counts promise. */
#include "fuzz.h"

#include "backends/common/json.h"
#include "backends/forward/command/query.h"

/* stdout goes to a file in memory for the time of one call. */
static char *printed(int (*print)(const struct query *q), const struct query *q, size_t *ret_len)
{
    char *text = NULL;
    FILE *before = stdout;

    stdout = open_memstream(&text, ret_len);
    CHECK(stdout != NULL && print(q) == 0);
    fclose(stdout);
    stdout = before;
    return text;
}

static int print_text(const struct query *q)
{
    query_print(q);
    return 0;
}

static void check_json(const struct query *q)
{
    struct wp_json_error error;
    json_t *whole, *octets;
    char two[3];
    size_t len;
    char *text = printed(query_print_json, q, &len);

    CHECK(wp_json_load(text, len, &whole, &error) == 0);
    octets = json_object_get(json_object_get(whole, "responseMessage"), "messageOctetsHEX");
    CHECK(json_string_length(octets) == 2 * q->wire_len);
    for (size_t i = 0; i < q->wire_len; i++) {
        snprintf(two, sizeof(two), "%02X", q->wire[i]);
        CHECK(memcmp(json_string_value(octets) + 2 * i, two, 2) == 0);
    }
    json_decref(whole);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct query_options o = {0};
    struct wp_arena arena;
    struct query *q;
    uint8_t *exact;
    int r;

    if (size > WP_MSG_MAX)
        return 0;
    exact = malloc(size > 0 ? size : 1); /* so that one octet too many is seen */
    memcpy(exact, data, size);
    wp_arena_init(&arena, 256 << 20);
    q = wp_arena_zalloc(&arena, sizeof(*q));
    CHECK(q != NULL);
    q->o = &o;
    q->arena = &arena;
    q->host = "192.0.2.1";
    q->from = (struct wp_addr){.family = 4, .ip = {192, 0, 2, 1}, .port = 53};
    q->wire = exact;
    q->wire_len = size;
    r = query_read_reply(q);
    CHECK(r == 0 || r == WP_EMALFORMED);
    if (r == 0) {
        const struct query_reply *got = &q->reply;
        unsigned promised = (unsigned)got->counts[1] + got->counts[2] + got->counts[3];
        size_t len;

        CHECK(got->n + got->edns.present <= promised);
        CHECK(got->cut || got->n + got->edns.present == promised);
        free(printed(print_text, q, &len));
        o.brief = true;
        free(printed(print_text, q, &len));
        check_json(q);
    }
    wp_arena_done(&arena);
    free(exact);
    return 0;
}
