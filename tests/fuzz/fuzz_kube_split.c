/* A body of the API server. The first octet chooses list or watch, the second the size of the pieces.
 * Properties: the size of the pieces changes nothing; what jansson takes as a whole is taken, and gives the
 * same items, the same events and the same rest; what is taken, and whose parts jansson takes, jansson takes as
 * a whole (lists: of an event only type and object are looked at). */
#include "fuzz.h"

#include <jansson.h>
#include "backends/kubernetes/split.h"

enum { FLAGS = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL };

/* What was handed out: each as {"type":..., "object":...}; null for what jansson does not take. */
struct heard {
    json_t *all;
    bool bad; /* one was no JSON */
};

static int hear(void *arg, const char *type, const char *text, size_t len)
{
    struct heard *h = arg;
    json_t *one = json_object(), *object = len > 0 ? json_loadb(text, len, FLAGS, NULL) : NULL;
    json_t *word = json_string(type); /* NULL: no UTF-8 */

    CHECK(len == 0 || (text[0] == '{' && len >= 2));
    h->bad |= (len > 0 && object == NULL) || word == NULL;
    json_object_set_new(one, "type", word != NULL ? word : json_null());
    json_object_set_new(one, "object", object != NULL ? object : json_null());
    json_array_append_new(h->all, one);
    return 0;
}

static int hear_skipped(void *arg, const char *type, const char *head, size_t head_len, size_t len)
{
    (void)arg;
    (void)type;
    (void)head;
    (void)head_len;
    (void)len;
    abort(); /* no input is that large */
}

static int run(enum wp_kube_split_kind kind, const uint8_t *data, size_t size, size_t each, struct heard *h, char **rest)
{
    static const struct wp_kube_split_ops ops = {.item = hear, .skipped = hear_skipped};
    struct wp_kube_split *s = wp_kube_split_new(kind, &ops, h);
    const char *outside;
    size_t len;
    int r = 0;

    CHECK(s != NULL);
    h->all = json_array();
    *rest = NULL;
    for (size_t at = 0; r == 0 && at < size; at += each) {
        size_t n = size - at < each ? size - at : each;
        char *piece = malloc(n);
        CHECK(piece != NULL);
        memcpy(piece, data + at, n);
        r = wp_kube_split_feed(s, piece, n);
        free(piece);
    }
    if (r == 0)
        r = wp_kube_split_end(s, &outside, &len);
    if (r == 0) {
        CHECK(strlen(outside) <= len);
        h->bad |= strlen(outside) != len; /* jansson stops at a NUL */
        *rest = malloc(len + 1);
        CHECK(*rest != NULL);
        memcpy(*rest, outside, len + 1);
    }
    CHECK(r == 0 || r == WP_EMALFORMED || r == WP_ELIMIT || r == WP_ECLOSED);
    wp_kube_split_free(s);
    return r;
}

/* As a list whole: is what was handed out the same? */
static void compare_list(json_t *whole, int r, const struct heard *h, const char *rest)
{
    json_t *items = json_object_get(whole, "items"), *outside;
    size_t i;
    json_t *item;

    json_array_foreach(items, i, item)
        if (!json_is_object(item)) {
            CHECK(r != 0);
            return;
        }
    CHECK(r == 0 && !h->bad);
    outside = json_loads(rest, FLAGS, NULL);
    CHECK(outside != NULL);
    if (json_array_size(json_object_get(outside, "items")) > 0) {
        json_decref(outside); /* a name that is "items" only when unescaped */
        return;
    }
    CHECK(json_array_size(h->all) == json_array_size(items));
    json_array_foreach(items, i, item)
        CHECK(json_equal(item, json_object_get(json_array_get(h->all, i), "object")));
    if (json_is_array(items))
        json_array_clear(items);
    CHECK(json_equal(whole, outside));
    json_decref(outside);
}

static void check_list(const uint8_t *data, size_t size, int r, const struct heard *h, const char *rest)
{
    json_t *whole = json_loadb((const char *)data, size, FLAGS, NULL), *outside;

    if (whole != NULL && json_is_object(whole) && r != WP_ELIMIT && memchr(data, '\0', size) == NULL)
        compare_list(whole, r, h, rest);
    if (whole == NULL && r == 0 && !h->bad) {
        outside = json_loads(rest, FLAGS, NULL);
        CHECK(outside == NULL);
        json_decref(outside);
    }
    json_decref(whole);
}

static void check_watch(const uint8_t *data, size_t size, int r, const struct heard *h)
{
    const char *text = (const char *)data;
    json_error_t e;
    size_t n = 0;

    if (memchr(data, '\\', size) != NULL || memchr(data, '\0', size) != NULL || h->bad) /* names and types are compared as they stand */
        return;
    for (size_t at = 0; at < size;) {
        json_t *event, *one, *type, *object;
        if (strchr(" \t\r\n", text[at]) != NULL && text[at] != '\0') {
            at++;
            continue;
        }
        event = json_loadb(text + at, size - at, FLAGS | JSON_DISABLE_EOF_CHECK, &e);
        if (event == NULL || !json_is_object(event) || r == WP_ELIMIT) {
            json_decref(event);
            return;
        }
        one = json_array_get(h->all, n++);
        CHECK(one != NULL);
        type = json_object_get(event, "type");
        object = json_object_get(event, "object");
        CHECK(!json_is_string(type) || json_equal(type, json_object_get(one, "type")));
        CHECK(!json_is_object(object) || json_equal(object, json_object_get(one, "object")));
        CHECK(json_is_object(object) || json_is_null(json_object_get(one, "object")));
        json_decref(event);
        at += (size_t)e.position;
    }
    CHECK(r == 0 && json_array_size(h->all) == n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum wp_kube_split_kind kind;
    struct heard whole = {0}, pieces = {0};
    char *rest, *again;
    size_t each;
    int r;

    if (size < 2)
        return 0;
    kind = data[0] & 1 ? WP_KUBE_WATCH : WP_KUBE_LIST;
    each = data[1] % 32 + 1;
    data += 2;
    size -= 2;
    r = run(kind, data, size, size + 1, &whole, &rest);
    CHECK(run(kind, data, size, each, &pieces, &again) == r);
    CHECK(json_equal(whole.all, pieces.all) && whole.bad == pieces.bad);
    CHECK((rest == NULL) == (again == NULL) && (rest == NULL || strcmp(rest, again) == 0));
    if (kind == WP_KUBE_LIST)
        check_list(data, size, r, &whole, rest);
    else
        check_watch(data, size, r, &whole);
    json_decref(whole.all);
    json_decref(pieces.all);
    free(rest);
    free(again);
    return 0;
}
