/* The probe of `loop`: a query to ourselves, again each second until it is answered by the
 * instance that sent it. All on the admin loop. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/plugins/loop/loop.h"
#include "waypost/base/rd.h"
#include "waypost/base/wr.h"
#include "waypost/dns/msg.h"
#include "waypost/plugin/block.h"
#include "waypost/plugin/log.h"

#define SECOND 1000000000ull
enum { TRY_S = 2, PAUSE_S = 1, WINDOW_S = 30 };

static struct loop *of_timer(struct wp_timer *t)
{
    return (struct loop *)((char *)t - offsetof(struct loop, timer));
}

static void close_socket(struct loop *l)
{
    if (!l->open)
        return;
    wp_io_del(&l->io);
    close(l->io.fd);
    l->open = false;
}

/* --- names --------------------------------------------------------------------------------- */

/* R1.R2.ZONE: 124 random bits. 0 or a negative error. */
static int make_name(const struct wp_block *b, struct wp_name *ret)
{
    uint64_t r[2];
    char labels[64];
    struct wp_name two;

    if (getrandom(r, sizeof(r), 0) != sizeof(r))
        return -EIO;
    snprintf(labels, sizeof(labels), "%llu.%llu", (unsigned long long)(r[0] >> 2),
             (unsigned long long)(r[1] >> 2));
    if (wp_name_parse(labels, &two) < 0)
        return WP_EMALFORMED;
    return wp_name_join(two.wire, two.len - 1u, b->keys[0].zone, ret);
}

static int next_stage(struct loop *l, enum loop_stage stage)
{
    int r = make_name(l->env->block, &l->name[stage - LOOP_PROBING]);

    if (r < 0)
        return r;
    atomic_store(&l->own_seen, false);
    atomic_store(&l->seen, 0);
    atomic_store_explicit(&l->stage, stage, memory_order_release);
    l->until_ns = wp_loop_now(l->env->admin) + WINDOW_S * SECOND;
    return 0;
}

static void turn_off(struct loop *l)
{
    close_socket(l);
    wp_timer_cancel(&l->timer);
    atomic_store(&l->stage, LOOP_OFF);
}

/* --- one attempt --------------------------------------------------------------------------- */

static void on_readable(struct wp_io *io, uint32_t events);
static void attempt(struct wp_timer *t);

static void try_later(struct loop *l)
{
    uint64_t now_ns = wp_loop_now(l->env->admin);

    close_socket(l);
    atomic_store(&l->seen, 0);
    atomic_store(&l->own_seen, false);
    if (now_ns + PAUSE_S * SECOND > l->until_ns) {
        turn_off(l);
        return;
    }
    l->timer.fn = attempt;
    wp_timer_set(l->env->admin, &l->timer, now_ns + PAUSE_S * SECOND);
}

/* It did not come back within the time an upstream has. */
static void on_timeout(struct wp_timer *t)
{
    try_later(of_timer(t));
}

static int open_socket(struct loop *l)
{
    struct sockaddr_storage sa, own;
    socklen_t len = wp_addr_to_sockaddr(&l->target, &sa), own_len = sizeof(own);
    struct wp_addr a;
    int r;

    l->io = (struct wp_io){.fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
                           .fn = on_readable};
    if (l->io.fd < 0)
        return -errno;
    if (connect(l->io.fd, (struct sockaddr *)&sa, len) < 0 ||
        getsockname(l->io.fd, (struct sockaddr *)&own, &own_len) < 0)
        r = -errno;
    else
        r = wp_io_add(l->env->admin, &l->io, WP_IO_READ);
    if (r < 0) {
        close(l->io.fd);
        return r;
    }
    wp_addr_from_sockaddr((struct sockaddr *)&own, &a);
    atomic_store(&l->own_port, a.port);
    l->open = true;
    return 0;
}

static ssize_t send_query(struct loop *l)
{
    const struct wp_name *name = &l->name[atomic_load(&l->stage) - LOOP_PROBING];
    uint8_t buf[WP_NAME_MAX + 16];
    struct wp_wr wr = wp_wr_to(buf, sizeof(buf));

    if (getrandom(&l->id, sizeof(l->id), 0) != sizeof(l->id))
        return -1;
    wp_wr_u16(&wr, l->id);
    wp_wr_u16(&wr, WP_FLAG_RD);
    wp_wr_u16(&wr, 1);
    wp_wr_u32(&wr, 0);
    wp_wr_u16(&wr, 0);
    wp_wr_bytes(&wr, name->wire, name->len);
    wp_wr_u16(&wr, WP_TYPE_HINFO);
    wp_wr_u16(&wr, WP_CLASS_IN);
    return send(l->io.fd, buf, wr.len, 0);
}

static void attempt(struct wp_timer *t)
{
    struct loop *l = of_timer(t);

    close_socket(l);
    if (open_socket(l) < 0 || send_query(l) < 0) {
        try_later(l);
        return;
    }
    l->timer.fn = on_timeout;
    wp_timer_set(l->env->admin, &l->timer, wp_loop_now(l->env->admin) + TRY_S * SECOND);
}

/* The answer ends it, if it was this instance that was asked: at a reload the one before still
 * serves for a moment. */
static void on_readable(struct wp_io *io, uint32_t events)
{
    struct loop *l = (struct loop *)((char *)io - offsetof(struct loop, io));
    uint8_t buf[WP_HEADER_LEN];
    ssize_t n = recv(io->fd, buf, sizeof(buf), MSG_DONTWAIT);

    (void)events;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n == WP_HEADER_LEN && (wp_be16(buf) != l->id || !(buf[2] & 0x80)))
        return;
    if (n < WP_HEADER_LEN || atomic_load(&l->seen) == 0) {
        try_later(l); /* nobody there yet */
        return;
    }
    if (atomic_load(&l->stage) == LOOP_CONFIRMING)
        wp_log(WP_WARNING, "loop",
               "the probe's name was asked by somebody else, but a new one did not come back: no "
               "loop");
    turn_off(l);
}

/* --- from the workers ---------------------------------------------------------------------- */

static void on_mail(struct wp_mail *m)
{
    struct loop *l = (struct loop *)((char *)m - offsetof(struct loop, mail));

    if (atomic_load(&l->stage) != LOOP_PROBING)
        return;
    if (next_stage(l, LOOP_CONFIRMING) < 0)
        turn_off(l);
    else
        attempt(&l->timer);
}

void loop_probe_back(struct loop *l)
{
    l->mail.fn = on_mail;
    wp_loop_post(l->env->admin, &l->mail);
}

/* --- life ---------------------------------------------------------------------------------- */

/* The block's first listen address; everything of the machine: the loopback. */
static int find_target(struct loop *l)
{
    const struct wp_block *b = l->env->block;
    const char *host = b->set.n_bind > 0 ? b->set.bind[0] : "127.0.0.1";
    int r = wp_addr_parse_ip(host, &l->target);

    if (r == 0 && wp_addr_is_any(&l->target))
        r = wp_addr_parse_ip(l->target.family == 4 ? "127.0.0.1" : "::1", &l->target);
    l->target.port = b->keys[0].port;
    return r;
}

static void begin(void *arg, struct wp_loop *loop)
{
    struct loop *l = arg;

    (void)loop;
    if (next_stage(l, LOOP_PROBING) < 0)
        return;
    attempt(&l->timer);
}

static void end(void *arg, struct wp_loop *loop)
{
    (void)loop;
    turn_off(arg);
}

int loop_probe_start(struct loop *l)
{
    int r = find_target(l);

    if (r == 0)
        wp_loop_call(l->env->admin, begin, l);
    return r;
}

void loop_probe_stop(struct loop *l)
{
    if (l->env != NULL)
        wp_loop_call(l->env->admin, end, l);
}
