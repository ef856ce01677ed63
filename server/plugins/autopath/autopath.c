#include "server/plugins/autopath/autopath.h"

#include <stdlib.h>
#include <string.h>

#include "waypost/plugin/block.h"
#include "waypost/plugin/explain.h"
#include "waypost/plugin/log.h"

static const char OWN_FILE[] = "/etc/resolv.conf";

static const struct wp_family success_family = {
    .name = "coredns_autopath_success_total",
    .help = "Counter of requests that did autopath.",
    .kind = WP_COUNTER,
    .labels = {"server"},
};

/* One question's way along the list. */
struct walk {
    const uint8_t *question; /* the client's, as it spelled it */
    uint16_t question_len;
    uint8_t base_len;     /* octets of its name in front of the first name of the list */
    bool own_came, ended; /* the names of our own file are in `next`; the root has been given */
    unsigned tried;       /* names that gave nothing */
    const uint8_t *next;  /* what is left of the list */
    struct wp_kept_reply first; /* what the first name gave, for when nothing is found */
    struct wp_meta *meta; /* labels from before: those of a name that gave nothing are not ours */
};

/* --- configuration --------------------------------------------------------------------------- */

static int parse_head(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct autopath *a = self;
    const char *last = l->words[l->n_words - 1];
    int r;

    if (l->n_words < 2)
        return wp_setup_error(s, l, "no resolv-conf specified");
    if (last[0] == '@')
        a->by = last + 1;
    else
        a->file = last; /* like CoreDNS not below `root` */
    a->zones = (struct wp_zones){0};
    r = wp_setup_zones(s, l->words + 1, l->n_words - 2, &a->zones);
    if (r == 0 && a->zones.n == 0)
        a->zones = *s->zones;
    return r;
}

static int parse_own(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct autopath *a = self;

    if (l->n_words != 2)
        return wp_setup_arg_error(s, l);
    a->own = l->words[1];
    a->own_is_given = true;
    return 0;
}

static bool stands_in(const struct wp_block *b, const char *directive)
{
    for (unsigned i = 0; i < b->n_lines; i++) {
        if (strcmp(b->lines[i].words[0], directive) == 0)
            return true;
    }
    return false;
}

static int read_file(struct autopath *a, struct wp_setup *s, const char *path, bool must)
{
    struct autopath_list *l = NULL;
    char why[AUTOPATH_WHY];
    int r = autopath_list_read(path, &l, why);

    if (r == -ENOMEM)
        return r;
    if (r < 0 && must)
        return wp_setup_fail(s, "failed to parse \"%s\": %s: %s", path, why, wp_setup_errno(s, -r));
    if (r == 0 && l->left_out > 0)
        wp_log(WP_WARNING, "autopath", "%s: %u words of the search list are no names, or too many",
               path, l->left_out);
    a->path = path;
    atomic_store(&a->list, l);
    return 0;
}

static int autopath_check(void *self, struct wp_setup *s)
{
    struct autopath *a = self;
    const struct wp_plugin *by = a->by != NULL ? wp_setup_plugin(s, a->by) : NULL;

    if (by != NULL && !by->config_only && stands_in(s->block, a->by)) {
        if (by->search == NULL)
            return wp_setup_fail(s, "%s does not implement the AutoPather interface", a->by);
        a->source = by;
        return read_file(a, s, a->own != NULL ? a->own : OWN_FILE, a->own_is_given);
    }
    if (a->by != NULL && a->file == NULL)
        wp_log(WP_WARNING, "autopath", "there is no %s in this server block: nothing is done", a->by);
    return a->file != NULL ? read_file(a, s, a->file, true) : 0;
}

static int autopath_start(void *self, struct wp_env *env)
{
    struct autopath *a = self;

    a->env = env;
    if (a->source != NULL) {
        a->source_self = wp_block_plugin(env->block, a->by);
        if (a->source_self == NULL)
            return wp_env_fail(env, "%s is not there", a->by);
    }
    a->meters = wp_arena_array(env->arena, (size_t)env->n_workers, sizeof(*a->meters));
    if (a->meters == NULL)
        return -ENOMEM;
    if (a->path != NULL)
        autopath_watch(a);
    return 0;
}

static void autopath_stop(void *self)
{
    struct autopath *a = self;

    autopath_unwatch(a);
    free(atomic_load(&a->list));
}

/* --- on the way in --------------------------------------------------------------------------- */

/* Is the name below the first one of the list, and how many octets are in front of it? */
static bool is_below(const struct wp_qname *n, const uint8_t *first, uint8_t *ret_base)
{
    size_t len = wp_name_size(first);
    size_t at = n->len > len ? n->len - len : 0, label = 0;

    if (at == 0 || memcmp(n->wire + at, first, len) != 0)
        return false;
    while (label < n->n_labels && n->at[label] < at)
        label++;
    *ret_base = (uint8_t)at;
    return n->at[label] == at;
}

static const uint8_t *own_names(const struct autopath *a)
{
    const struct autopath_list *l = atomic_load_explicit(&a->list, memory_order_acquire);

    return l != NULL ? l->names : (const uint8_t *)"";
}

/* Names that an answer leads to are whole: nobody's resolver appends anything to them, and what is
 * found for one client must not be kept under a name that others ask. */
static bool is_ours(const struct autopath *a, const struct wp_query *q)
{
    return q->parent == NULL && wp_msg_opcode(&q->msg) == WP_OPCODE_QUERY &&
           q->msg.qtype != WP_TYPE_AXFR && q->msg.qtype != WP_TYPE_IXFR &&
           wp_zones_match(&a->zones, &q->msg.qname) != NULL;
}

static int autopath_serve(void *self, struct wp_query *q)
{
    struct autopath *a = self;
    const uint8_t *names;
    uint8_t base_len;
    struct walk *w;

    if (!is_ours(a, q))
        return WP_STEP_NEXT;
    names = a->source != NULL ? a->source->search(a->source_self, q) : own_names(a);
    if (names == NULL || names[0] == 0 || !is_below(&q->msg.qname, names, &base_len))
        return WP_STEP_NEXT;
    w = wp_arena_alloc(q->arena, sizeof(*w));
    if (w == NULL)
        return -ENOMEM;
    w->question = q->question;
    w->question_len = q->question_len;
    w->base_len = base_len;
    w->own_came = false;
    w->ended = false;
    w->tried = 0;
    w->next = a->source != NULL ? names + wp_name_size(names) : (const uint8_t *)"";
    w->meta = q->meta;
    if (WP_UNLIKELY(wp_query_is_explained(q))) {
        char text[WP_NAME_TEXT_MAX];

        wp_report_text(wp_explain_details(q), "first", wp_name_text(names, text));
    }
    wp_query_state_set(q, w);
    wp_query_want_reply(q);
    return WP_STEP_NEXT; /* the first name is the question as it stands */
}

/* --- on the way out -------------------------------------------------------------------------- */

enum verdict { TAKE, NEXT_NAME, GIVE_UP };

static enum verdict judge(const struct wp_query *q)
{
    const struct wp_reply *r = &q->reply;

    if (r->begun)
        return r->rcode == WP_RCODE_NXDOMAIN ? NEXT_NAME : TAKE;
    if (q->cancelled)
        return GIVE_UP;
    return !r->dropped && (r->err < 0 || r->error != NULL) ? GIVE_UP : NEXT_NAME;
}

static void count(struct autopath *a, const struct wp_query *q)
{
    struct autopath_meter *m = a->meters[q->worker];
    const char *server = wp_query_server(q);
    const char *values[] = {server};
    unsigned i = 0;

    while (i < AUTOPATH_METERS && m[i].server != server && m[i].server != NULL)
        i++;
    if (i == AUTOPATH_METERS) {
        wp_metric_add(wp_metric_series(&success_family, values), q->worker, 1);
        return;
    }
    if (m[i].server == NULL)
        m[i] = (struct autopath_meter){server, wp_metric_series(&success_family, values)};
    wp_metric_add(m[i].series, q->worker, 1);
}

/* The first name gave no more than the others: its reply it is, or none if it gave none. */
static int give_first(struct walk *w, struct wp_query *q)
{
    int r = wp_query_ask_as(q, w->question, w->question_len);

    if (r == 0)
        r = wp_reply_give_back(q, &w->first);
    q->meta = w->meta;
    return r < 0 ? r : WP_STEP_NEXT;
}

/* A copy of what the file says now: the query may wait, and the list be replaced meanwhile. */
static const uint8_t *copy_own(const struct autopath *a, struct wp_query *q)
{
    const struct autopath_list *l = atomic_load_explicit(&a->list, memory_order_acquire);
    size_t skip;

    if (l == NULL)
        return (const uint8_t *)"";
    skip = a->source == NULL && l->len > 1 ? wp_name_size(l->names) : 0;
    return wp_arena_dup(q->arena, l->names + skip, l->len - skip);
}

/* NULL: there is none, the root was the last. */
static const uint8_t *next_name(struct walk *w, const struct autopath *a, struct wp_query *q)
{
    const uint8_t *name = w->next;

    if (name[0] == 0 && !w->own_came) {
        w->own_came = true;
        name = copy_own(a, q);
        if (name == NULL)
            return NULL;
    }
    if (name[0] == 0) {
        if (w->ended)
            return NULL;
        w->ended = true;
        w->next = name;
        return name;
    }
    w->next = name + wp_name_size(name);
    return name;
}

/* The next question that is one, asked; or what the first one gave. */
static int go_on(struct walk *w, const struct autopath *a, struct wp_query *q)
{
    const uint8_t *name;

    w->tried++;
    while ((name = next_name(w, a, q)) != NULL) {
        size_t len = wp_name_size(name);
        uint8_t *question;

        if (w->base_len + len > WP_NAME_MAX)
            continue;
        question = wp_arena_alloc(q->arena, w->base_len + len + 4);
        if (question == NULL)
            return -ENOMEM;
        memcpy(question, w->question, w->base_len);
        memcpy(question + w->base_len, name, len);
        memcpy(question + w->base_len + len, w->question + w->question_len - 4, 4);
        q->meta = w->meta;
        return wp_query_again(q, question, (uint16_t)(w->base_len + len + 4));
    }
    return give_first(w, q);
}

static int take(struct walk *w, struct autopath *a, struct wp_query *q)
{
    int r = w->tried > 0 ? autopath_alias(q, w->question, w->question_len) : 0;

    if (r < 0)
        return r;
    count(a, q);
    return WP_STEP_NEXT;
}

static int autopath_reply(void *self, struct wp_query *q)
{
    struct autopath *a = self;
    struct walk *w = wp_query_state(q);
    enum verdict v = judge(q);
    int r = 0;

    if (WP_UNLIKELY(wp_query_is_explained(q)))
        wp_report_int(wp_explain_details(q), "names_tried", w->tried + 1);
    if (v == TAKE)
        r = take(w, a, q);
    if (v == NEXT_NAME && w->tried == 0)
        r = wp_reply_keep(q, &w->first);
    if (v == NEXT_NAME && r == 0)
        r = go_on(w, a, q);
    if (v == GIVE_UP || r < 0) { /* whatever is said is said of the client's own question */
        int e = wp_query_ask_as(q, w->question, w->question_len);

        r = e < 0 ? e : r;
    }
    return r;
}

static const struct wp_option options[] = {
    {.name = "", .kind = WP_OPT_CALL, .parse = parse_head, .help = "[ZONES...] RESOLV-CONF|@PLUGIN"},
    {.name = "resolv_conf",
     .kind = WP_OPT_CALL,
     .parse = parse_own,
     .help = "with @PLUGIN: what is read instead of /etc/resolv.conf"},
    {0},
};

const struct wp_plugin wp_plugin_autopath = {
    .name = "autopath",
    .size = sizeof(struct autopath),
    .options = options,
    .repeat = WP_REPEAT_COMBINE,
    .check = autopath_check,
    .start = autopath_start,
    .serve = autopath_serve,
    .reply = autopath_reply,
    .stop = autopath_stop,
};
