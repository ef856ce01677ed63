/* NOTIFY (RFC 1996): each address after `to` is told of a new version of a zone, up to three times
 * until it says that it has heard. All of it runs on the admin loop. A zone that changes again
 * while somebody is being told of it is told of once more afterwards, however often it changed. */
#include "server/plugins/transfer/transfer.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "waypost/base/rd.h"
#include "waypost/base/wr.h"

enum { TRIES = 3, AT_A_TIME = 16, LISTS = 256, WHY_MAX = 256 };
static const uint64_t TRY_NS = UINT64_C(2000000000);
/* Who is told asks back at once; our sockets open after start(). */
static const uint64_t START_NS = UINT64_C(500000000);

/* One zone and whom to tell. Exists while it is queued or under way. */
struct job {
    struct transfer_notify *n;
    struct job *next_queued, *next_in_list;
    const struct transfer_rule *rule;
    const struct transfer_to *to;
    const char *holder;
    struct wp_name zone;
    unsigned tries;
    bool running, again; /* again: there was another change meanwhile */
    uint16_t id;
    struct wp_io io; /* fd -1: none */
    struct wp_timer timer;
    char why[WHY_MAX];
};

struct transfer_notify {
    struct wp_loop *loop;
    struct job *queue, **last;
    struct job *lists[LISTS]; /* all jobs, by zone */
    unsigned n_running;
    uint64_t not_before_ns; /* 0: nothing was asked for yet */
    struct wp_timer wait;
};

static void run_queue(struct transfer_notify *n);

/* --- one try --------------------------------------------------------------------------------- */

static void close_socket(struct job *j)
{
    wp_timer_cancel(&j->timer);
    if (j->io.fd < 0)
        return;
    wp_io_del(&j->io);
    close(j->io.fd);
    j->io.fd = -1;
}

/* In Go's words, so that readers of logs find what they look for. */
static void note_why(struct job *j, const char *op, const char *what)
{
    char local[WP_ADDR_TEXT_MAX] = "";
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    struct wp_addr a;

    if (j->io.fd >= 0 && getsockname(j->io.fd, (struct sockaddr *)&sa, &len) == 0) {
        wp_addr_from_sockaddr((struct sockaddr *)&sa, &a);
        wp_addr_text(&a, local);
    }
    snprintf(j->why, sizeof(j->why), "\"%s udp %s%s%s: %s\"", op, local,
             local[0] != '\0' ? "->" : "", j->to->text, what);
}

static int open_socket(struct job *j)
{
    struct sockaddr_storage sa;
    socklen_t len = wp_addr_to_sockaddr(&j->to->addr, &sa);
    int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), r;

    if (fd < 0)
        return -errno;
    if (j->rule->source.family != 0) {
        struct sockaddr_storage from;
        socklen_t from_len = wp_addr_to_sockaddr(&j->rule->source, &from);

        if (bind(fd, (struct sockaddr *)&from, from_len) < 0)
            goto failed;
    }
    if (connect(fd, (struct sockaddr *)&sa, len) < 0)
        goto failed;
    j->io.fd = fd;
    r = wp_io_add(j->n->loop, &j->io, WP_IO_READ);
    if (r == 0)
        return 0;
    j->io.fd = -1;
    close(fd);
    return r;
failed:
    r = -errno;
    close(fd);
    return r;
}

static size_t write_message(const struct job *j, uint8_t *out, size_t cap)
{
    struct wp_wr wr = wp_wr_to(out, cap);

    wp_wr_u16(&wr, j->id);
    wp_wr_u16(&wr, WP_OPCODE_NOTIFY << 11 | WP_FLAG_AA);
    wp_wr_u16(&wr, 1);
    wp_wr_u16(&wr, 0);
    wp_wr_u32(&wr, 0);
    wp_wr_bytes(&wr, j->zone.wire, j->zone.len);
    wp_wr_u16(&wr, WP_TYPE_SOA);
    wp_wr_u16(&wr, WP_CLASS_IN);
    return wr.len;
}

/* True: the answer, or two seconds without one, will tell. */
static bool send_one(struct job *j)
{
    uint8_t msg[WP_HEADER_LEN + WP_NAME_MAX + 4];
    int r = getrandom(&j->id, sizeof(j->id), 0) == sizeof(j->id) ? open_socket(j) : -EIO;

    if (r < 0) {
        note_why(j, "dial", wp_strerror(r));
        return false;
    }
    if (send(j->io.fd, msg, write_message(j, msg, sizeof(msg)), MSG_NOSIGNAL) < 0) {
        note_why(j, "write", wp_strerror(-errno));
        close_socket(j);
        return false;
    }
    wp_timer_set(j->n->loop, &j->timer, wp_loop_now(j->n->loop) + TRY_NS);
    return true;
}

/* --- a job's life ---------------------------------------------------------------------------- */

static struct job **list_of(struct transfer_notify *n, const uint8_t *zone)
{
    return &n->lists[wp_name_hash(zone) % LISTS];
}

static void enqueue(struct job *j)
{
    j->next_queued = NULL;
    *j->n->last = j;
    j->n->last = &j->next_queued;
}

static void finish(struct job *j, bool accepted)
{
    struct transfer_notify *n = j->n;
    struct job **at = list_of(n, j->zone.wire);
    char zone[WP_NAME_TEXT_MAX];

    close_socket(j);
    n->n_running--;
    if (!accepted)
        wp_log(WP_WARNING, j->holder,
               "Failed sending notifies: notify for zone \"%s\" was not accepted by \"%s\": %s",
               wp_name_text(j->zone.wire, zone), j->to->text, j->why);
    j->running = false;
    if (j->again) {
        j->again = false;
        enqueue(j);
        return;
    }
    while (*at != j)
        at = &(*at)->next_in_list;
    *at = j->next_in_list;
    free(j);
}

/* The tries that are left, until one is under way. */
static void go_on(struct job *j)
{
    close_socket(j);
    while (j->tries < TRIES) {
        j->tries++;
        if (send_one(j))
            return;
    }
    finish(j, false);
}

static void on_answer(struct wp_io *io, uint32_t events)
{
    struct job *j = (struct job *)((char *)io - offsetof(struct job, io));
    struct transfer_notify *n = j->n;
    uint8_t msg[WP_HEADER_LEN + 500];
    ssize_t len = recv(io->fd, msg, sizeof(msg), 0);
    char rcode[16];

    (void)events;
    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (len < 0) {
        note_why(j, "read", errno == ECONNREFUSED ? "read: connection refused" : strerror(errno));
        go_on(j);
    } else if (len < WP_HEADER_LEN || wp_be16(msg) != j->id || !(msg[2] & 0x80) ||
               (msg[2] >> 3 & 15) != WP_OPCODE_NOTIFY) {
        return; /* of somebody else: the answer may still come */
    } else if ((msg[3] & 15) == WP_RCODE_NOERROR) {
        finish(j, true);
    } else {
        snprintf(j->why, sizeof(j->why), "rcode was \"%s\"", wp_rcode_text(msg[3] & 15, rcode));
        go_on(j);
    }
    run_queue(n);
}

static void on_timeout(struct wp_timer *t)
{
    struct job *j = (struct job *)((char *)t - offsetof(struct job, timer));
    struct transfer_notify *n = j->n;

    note_why(j, "read", "i/o timeout");
    go_on(j);
    run_queue(n);
}

static void on_wait(struct wp_timer *t)
{
    run_queue((struct transfer_notify *)((char *)t - offsetof(struct transfer_notify, wait)));
}

static void run_queue(struct transfer_notify *n)
{
    if (n->not_before_ns == 0)
        n->not_before_ns = wp_loop_now(n->loop) + START_NS;
    if (n->queue != NULL && wp_loop_now(n->loop) < n->not_before_ns) {
        wp_timer_set(n->loop, &n->wait, n->not_before_ns);
        return;
    }
    while (n->queue != NULL && n->n_running < AT_A_TIME) {
        struct job *j = n->queue;

        n->queue = j->next_queued;
        if (n->queue == NULL)
            n->last = &n->queue;
        n->n_running++;
        j->running = true;
        j->tries = 0;
        go_on(j);
    }
}

static void tell(struct transfer_notify *n, const struct transfer_rule *rule,
                 const struct transfer_to *to, const char *holder, const uint8_t *apex)
{
    struct job **list = list_of(n, apex), *j;

    for (j = *list; j != NULL; j = j->next_in_list) {
        if (j->to != to || !wp_name_equal(j->zone.wire, apex))
            continue;
        j->again = j->running; /* one that is queued tells of this change, too */
        return;
    }
    j = calloc(1, sizeof(*j));
    if (j == NULL) {
        wp_log(WP_WARNING, holder, "Failed sending notifies: %s", wp_strerror(-ENOMEM));
        return;
    }
    *j = (struct job){.n = n, .rule = rule, .to = to, .holder = holder, .next_in_list = *list};
    j->io = (struct wp_io){.fd = -1, .fn = on_answer};
    j->timer.fn = on_timeout;
    j->zone.len = (uint8_t)wp_name_size(apex);
    memcpy(j->zone.wire, apex, j->zone.len);
    *list = j;
    enqueue(j);
}

void transfer_notify(struct transfer *t, const char *holder, const uint8_t *apex)
{
    const struct transfer_rule *rule;
    struct wp_qname name;

    if (t->notify == NULL || wp_qname_set(&name, apex, wp_name_size(apex)) < 0)
        return;
    rule = transfer_rule_for(t, &name);
    for (unsigned i = 0; rule != NULL && i < rule->n_to; i++) {
        if (!rule->to[i].any && rule->to[i].addr.port != 0)
            tell(t->notify, rule, &rule->to[i], holder, apex);
    }
    run_queue(t->notify);
}

/* --- start and stop -------------------------------------------------------------------------- */

int transfer_notify_start(struct transfer *t, struct wp_env *env)
{
    struct transfer_notify *n = calloc(1, sizeof(*n));

    if (n == NULL)
        return -ENOMEM;
    n->loop = env->admin;
    n->last = &n->queue;
    n->wait.fn = on_wait;
    t->notify = n;
    return 0;
}

static void stop_all(void *arg, struct wp_loop *loop)
{
    struct transfer *t = arg;
    struct transfer_notify *n = t->notify;

    (void)loop;
    t->notify = NULL;
    wp_timer_cancel(&n->wait);
    for (unsigned i = 0; i < LISTS; i++) {
        struct job *next;

        for (struct job *j = n->lists[i]; j != NULL; j = next) {
            next = j->next_in_list;
            close_socket(j);
            free(j);
        }
    }
    free(n);
}

void transfer_notify_stop(struct transfer *t)
{
    if (t->notify != NULL)
        wp_loop_call(t->notify->loop, stop_all, t);
}
