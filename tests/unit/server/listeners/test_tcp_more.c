/* Replies of several messages over TCP: order, back-pressure, limits, and every way to an early
 * end; messages that are kept for later. */
#include "server/listeners/stream_rig.h"

#include <poll.h>

#include "server/listeners/stream_priv.h"
#include "server/listeners/tcp_priv.h"

static void ask_for(struct rig *r, int fd, uint16_t id, uint8_t messages)
{
    uint8_t m[22];

    rig_message(m, id, 'm');
    m[2 + 13] = messages;
    rig_send(r, fd, m, sizeof(m));
}

/* A client that takes little at a time. */
static int dial_slow(struct rig *r)
{
    int fd = rig_dial(r), small = 128 << 10;

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    return fd;
}

/* What came so far of the message that is coming. */
struct reader {
    uint8_t buf[2 + 65535];
    size_t got;
};

/* IDs of all messages that come, in order, as long as some come. */
static unsigned read_all(struct rig *r, int fd, uint16_t *ids, unsigned cap)
{
    static struct reader in;
    unsigned n = 0, idle = 0;

    in.got = 0;
    while (n < cap && idle < 30) {
        size_t want = in.got < 2 ? 2 : 2 + (size_t)wp_be16(in.buf);
        ssize_t got = recv(fd, in.buf + in.got, want - in.got, MSG_DONTWAIT);

        if (got == 0 || (got < 0 && errno != EAGAIN))
            break;
        if (got < 0) { /* the kernel's own timers: windows of slow clients open late */
            struct pollfd p = {.fd = fd, .events = POLLIN};

            rig_pass(r, MS);
            idle = poll(&p, 1, 10) > 0 ? 0 : idle + 1;
            continue;
        }
        idle = 0;
        in.got += (size_t)got;
        if (in.got > 2 && in.got == 2 + (size_t)wp_be16(in.buf)) {
            ids[n++] = wp_be16(in.buf + 2);
            in.got = 0;
        }
    }
    return n;
}

static void test_all_messages(void)
{
    struct rig r = {0};
    uint16_t ids[80];
    int fd;

    rig_open(&r, &wp_listener_tcp);
    fd = rig_dial(&r);
    ask_for(&r, fd, 7, 1);
    assert_int_equal(read_all(&r, fd, ids, 80), 1);
    ask_for(&r, fd, 8, 40);
    assert_int_equal(read_all(&r, fd, ids, 80), 40);
    for (unsigned i = 0; i < 40; i++)
        assert_int_equal(ids[i], 8);
    assert_int_equal(rig_made, 41);
    rig_ask(&r, fd, 9, 'a');
    assert_int_equal(rig_answer_id(&r, fd), 9);
    /* idle from here on, as after any answer */
    rig_pass(&r, 9 * SEC);
    rig_ask(&r, fd, 10, 'a');
    assert_int_equal(rig_answer_id(&r, fd), 10);
    rig_pass(&r, 11 * SEC);
    assert_int_equal(rig_answer_id(&r, fd), -1);
    close(fd);
    rig_close(&r);
}

/* Two of one connection go one after the other; other questions are answered in between. */
static void test_between(void)
{
    struct rig r = {0};
    uint8_t m[66];
    uint16_t ids[64];
    unsigned at_plain = 0, at_second = 0, n;
    int fd;

    rig_open(&r, &wp_listener_tcp);
    fd = rig_dial(&r);
    rig_message(m, 1, 'm');
    m[2 + 13] = 20;
    rig_message(m + 22, 2, 'm');
    m[22 + 2 + 13] = 20;
    rig_message(m + 44, 3, 'a');
    rig_send(&r, fd, m, sizeof(m));
    n = read_all(&r, fd, ids, 64);
    assert_int_equal(n, 41);
    for (unsigned i = n; i-- > 0;) {
        if (ids[i] == 3)
            at_plain = i;
        if (ids[i] == 2)
            at_second = i;
    }
    assert_true(at_plain < 2);
    assert_in_range(at_second, 20, 21);
    close(fd);
    rig_close(&r);
}

/* Nothing is made that the client does not take; what it holds up is its own affair. */
static void test_not_reading(void)
{
    struct rig r = {0};
    uint16_t ids[256];
    unsigned made;
    int fd, other;

    rig_open(&r, &wp_listener_tcp);
    r.group.limits.write_ns = 1000 * SEC;
    fd = dial_slow(&r);
    other = rig_dial(&r);
    ask_for(&r, fd, 1, 200);
    for (unsigned i = 0; i < 50; i++)
        rig_pass(&r, MS);
    made = rig_made;
    assert_in_range(made, 1, 199); /* the kernel's buffers, and one message */
    for (unsigned i = 0; i < 20; i++)
        rig_pass(&r, MS);
    assert_int_equal(rig_made, made);
    ask_for(&r, other, 2, 20);
    assert_int_equal(read_all(&r, other, ids, 256), 20);
    assert_int_equal(rig_made, made + 20);
    assert_int_equal(read_all(&r, fd, ids, 256), 200);
    close(fd);
    close(other);
    rig_close(&r);
}

/* A millisecond's worth of one connection is followed by that of the next. */
static void test_in_turns(void)
{
    struct rig r = {0};
    int fd[3];

    rig_open(&r, &wp_listener_tcp);
    for (unsigned i = 0; i < 3; i++) {
        fd[i] = rig_dial(&r);
        ask_for(&r, fd[i], 1, 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        unsigned before = rig_made;

        r.now += MS;
        wp_loop_set_now(r.loop, r.now);
        rig_turns(&r, 1);
        assert_in_range(rig_made - before, 0,
                        WP_STREAM_MORE_BATCH - 2); /* of three, in any phase */
    }
    for (unsigned i = 0; i < 3; i++) {
        uint16_t id;

        assert_int_equal(read_all(&r, fd[i], &id, 1), 1);
        close(fd[i]);
    }
    rig_close(&r);
}

/* The client is gone in the middle: the query ends. */
static void test_gone(void)
{
    struct rig r = {0};
    struct linger hard = {1, 0};
    uint16_t id;
    int fd;

    rig_open(&r, &wp_listener_tcp);
    fd = dial_slow(&r);
    ask_for(&r, fd, 1, 0);
    assert_int_equal(read_all(&r, fd, &id, 1), 1);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)), 0);
    close(fd);
    rig_pass(&r, MS);
    assert_int_equal(rig_cancelled, 1);
    assert_int_equal(rig_n_waiting, 0);
    rig_close(&r);
}

/* FIN behind the question: the answer comes all the same. */
static void test_half_closed(void)
{
    struct rig r = {0};
    uint16_t ids[32];
    int fd;

    rig_open(&r, &wp_listener_tcp);
    fd = rig_dial(&r);
    ask_for(&r, fd, 1, 12);
    shutdown(fd, SHUT_WR);
    assert_int_equal(read_all(&r, fd, ids, 32), 12);
    assert_int_equal(rig_answer_id(&r, fd), -1);
    close(fd);
    rig_close(&r);
}

/* Taking an octet now and then, or asking this and that meanwhile, does not hold it for ever. */
static void test_too_slow(void)
{
    struct rig r = {0};
    uint8_t octets[64];
    unsigned waited = 0;
    int fd;

    rig_open(&r, &wp_listener_tcp);
    r.group.limits.write_ns = 1000 * SEC;
    fd = dial_slow(&r);
    ask_for(&r, fd, 1, 0);
    for (unsigned i = 0; i < 20; i++)
        rig_pass(&r, MS);
    for (; rig_cancelled == 0 && waited < 100; waited++) {
        ssize_t n = recv(fd, octets, sizeof(octets), MSG_DONTWAIT);

        assert_true(n > 0);
        rig_pass(&r, SEC);
    }
    assert_in_range(waited, WP_DNS_TAKE_NS / SEC - 1,
                    WP_DNS_TAKE_NS / SEC + 20); /* since the last message */
    close(fd);
    rig_close(&r);
}

/* It cannot go on, or somebody has ended it: the client must not take what it has for the whole. */
static void test_broken(void)
{
    static const struct {
        const char *what;
        bool first; /* before the first message */
        int how;    /* of rig_broken; 0: the query is cancelled */
    } rows[] = {
        {"no memory, nothing sent", true, -ENOMEM},
        {"no memory, in the middle", false, -ENOMEM},
        {"cancelled in the middle", false, 0},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct rig r = {0};
        uint16_t ids[256];
        unsigned n;
        int fd;

        rig_open(&r, &wp_listener_tcp);
        r.group.limits.write_ns = 1000 * SEC;
        fd = dial_slow(&r);
        rig_broken = rows[i].first ? rows[i].how : 0;
        ask_for(&r, fd, 1, 250);
        rig_pass(&r, MS);
        rig_broken = rows[i].how;
        if (rows[i].how == 0)
            wp_query_cancel(rig_waiting[0]);
        n = read_all(&r, fd, ids, 256);
        CHECK_AT(rows[i].what, rows[i].first ? n == 0 : n < 250);
        CHECK_AT(rows[i].what, rig_answer_id(&r, fd) == -1);
        CHECK_AT(rows[i].what, rig_n_waiting == 0 && rig_cancelled == 1);
        close(fd);
        rig_close(&r);
    }
}

/* A listener that leaves lets it end, and ends then. */
static void test_drain(void)
{
    struct rig r = {0};
    uint16_t ids[64];
    int fd;

    rig_open(&r, &wp_listener_tcp);
    fd = dial_slow(&r);
    ask_for(&r, fd, 1, 30);
    r.listener->ops->drain(r.listener, rig_closed, &r);
    rig_turns(&r, 2);
    assert_int_equal(r.closed, 0);
    assert_int_equal(read_all(&r, fd, ids, 64), 30);
    assert_int_equal(rig_answer_id(&r, fd), -1);
    close(fd);
    rig_pass(&r, SEC);
    assert_int_equal(r.closed, 1);
    rig_close(&r);
}

/* An answer makes a place for what is kept, and in the same turn a timer or an event of the
 * connection runs: what is kept is taken up all the same. */
static void test_place_beside_timer(void)
{
    struct rig r = {0};
    uint8_t m[4 * 22];
    int fd;

    rig_limits(&r.group.limits);
    r.group.limits.pipeline = 2;
    rig_open(&r, &wp_listener_tcp);
    fd = rig_dial(&r);
    for (unsigned i = 0; i < 4; i++)
        rig_message(m + i * 22, (uint16_t)i, 's');
    rig_send(&r, fd, m, sizeof(m));
    assert_int_equal(rig_n_waiting, 2);
    r.now += 4 * SEC; /* the first message's deadline, which is over but still in the wheel */
    wp_loop_set_now(r.loop, r.now);
    rig_finish(0);
    rig_finish(0);
    rig_turns(&r, 3);
    assert_int_equal(rig_n_waiting, 2);
    rig_finish(0);
    rig_finish(0);
    for (unsigned i = 0; i < 4; i++)
        assert_true(rig_answer_id(&r, fd) >= 0);
    close(fd);
    rig_close(&r);
}

RUN_TESTS(TEST(test_all_messages), TEST(test_between), TEST(test_not_reading), TEST(test_in_turns),
          TEST(test_gone), TEST(test_half_closed), TEST(test_too_slow), TEST(test_broken),
          TEST(test_drain), TEST(test_place_beside_timer))
