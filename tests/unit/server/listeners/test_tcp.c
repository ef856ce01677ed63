#include "server/listeners/stream_rig.h"

/* T01, T03, T06, T11: what goes in at once and the IDs that come out. */
static const struct {
    const char *what, *commands;
    uint16_t ids[8];
    int answers[8];
} cases[] = {
    {"T01 one", "a", {1}, {1, -EAGAIN}},
    {"T03 three at once", "aaa", {1, 2, 3}, {1, 2, 3, -EAGAIN}},
    {"T06 same ID twice", "aa", {5, 5}, {5, 5, -EAGAIN}},
    {"T11 a response, then a query", "ra", {4, 7}, {7, -EAGAIN}},
    {"dropped by policy", "za", {1, 2}, {2, -EAGAIN}},
    {"T18/T19 large", "ba", {1, 2}, {1, 2, -EAGAIN}},
    {"T08 length 0 after a query", "a0", {1, 0}, {1, -1}},
    {"T08 length 0", "0", {0}, {-1}},
    {"T09 length 11", "1", {0}, {-1}},
};

static void test_answers(void)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct rig r = {0};
        uint8_t out[256];
        size_t len = 0;
        int fd;

        rig_open(&r, &wp_listener_tcp);
        fd = rig_dial(&r);
        for (unsigned k = 0; cases[i].commands[k] != '\0'; k++) {
            char c = cases[i].commands[k];

            len += rig_message(out + len, cases[i].ids[k], c);
            if (c == 'r')
                out[len - 22 + 4] = 0x80; /* QR */
            if (c == '0' || c == '1') {
                len -= 22;
                wp_put16(out + len, c == '0' ? 0 : 11);
                len += c == '0' ? 2 : 13;
            }
        }
        rig_send(&r, fd, out, len);
        for (unsigned k = 0; k < 8; k++) {
            int id = rig_answer_id(&r, fd);

            CHECK_AT(cases[i].what, id == cases[i].answers[k]);
            if (id < 0)
                break;
        }
        close(fd);
        rig_close(&r);
    }
}

/* T02: one octet in a segment; also a message of the largest length. */
static void test_dripped(void)
{
    struct rig r = {0};
    uint8_t m[22], big[2 + 65535] = {0};
    int fd;

    rig_open(&r, &wp_listener_tcp);
    fd = rig_dial(&r);
    for (unsigned round = 0; round < 3; round++) {
        rig_message(m, (uint16_t)round, 'a');
        for (unsigned i = 0; i < sizeof(m); i++) {
            assert_int_equal(rig_runs, round);
            rig_send(&r, fd, m + i, 1);
        }
        assert_int_equal(rig_answer_id(&r, fd), round);
    }
    rig_message(big, 9, 'z');
    wp_put16(big, 65535);
    for (size_t at = 0; at < sizeof(big); at += 1111)
        rig_send(&r, fd, big + at, sizeof(big) - at < 1111 ? sizeof(big) - at : 1111);
    assert_int_equal(rig_runs, 4);
    assert_int_equal(rig_last.wire_len, 65535);
    close(fd);
    rig_close(&r);
}

/* T04: out of order; an answer never goes to another message. */
static void test_out_of_order(void)
{
    struct rig r = {0};
    int fd;

    rig_open(&r, &wp_listener_tcp);
    fd = rig_dial(&r);
    rig_ask(&r, fd, 1, 's');
    rig_ask(&r, fd, 2, 'a');
    rig_ask(&r, fd, 3, 's');
    assert_int_equal(rig_answer_id(&r, fd), 2);
    assert_int_equal(rig_answer_id(&r, fd), -EAGAIN);
    rig_finish(1);
    assert_int_equal(rig_answer_id(&r, fd), 3);
    rig_finish(0);
    assert_int_equal(rig_answer_id(&r, fd), 1);
    close(fd);
    rig_close(&r);
}

/* A waiting query may end while another one of the connection runs and writes. */
static void test_done_within_run(void)
{
    struct rig r = {0};
    uint8_t m[66];
    int fd;

    rig_open(&r, &wp_listener_tcp);
    fd = rig_dial(&r);
    rig_message(m, 1, 's');
    rig_message(m + 22, 2, 'n');
    rig_message(m + 44, 3, 'a');
    rig_send(&r, fd, m, sizeof(m));
    assert_int_equal(rig_answer_id(&r, fd), 1);
    assert_int_equal(rig_answer_id(&r, fd), 3);
    rig_finish(0);
    assert_int_equal(rig_answer_id(&r, fd), 2);
    close(fd);
    rig_close(&r);
}

/* T05: the limit stops reading and loses nothing. */
static void test_pipeline(void)
{
    struct rig r = {0};
    uint8_t m[150 * 22];
    bool seen[150] = {0};
    int fd;

    rig_limits(&r.group.limits);
    r.group.limits.pipeline = 10;
    rig_open(&r, &wp_listener_tcp);
    fd = rig_dial(&r);
    for (unsigned i = 0; i < 150; i++)
        rig_message(m + i * 22, (uint16_t)i, 's');
    rig_send(&r, fd, m, sizeof(m));
    assert_int_equal(rig_n_waiting, 10);
    for (unsigned i = 0; i < 150; i++) {
        int id;

        rig_finish(rig_n_waiting / 2);
        id = rig_answer_id(&r, fd);
        assert_true(id >= 0 && id < 150 && !seen[id]);
        seen[id] = true;
        assert_true(rig_n_waiting <= 10);
    }
    assert_int_equal(rig_answer_id(&r, fd), -EAGAIN);
    assert_int_equal(rig_queries, 0);
    close(fd);
    rig_close(&r);
}

/* T07, T10, RFC 7766 s6.2.4: what was asked before the FIN is answered. */
static void test_half_close(void)
{
    struct rig r = {0};
    int fd, partial;

    rig_open(&r, &wp_listener_tcp);
    fd = rig_dial(&r);
    rig_ask(&r, fd, 1, 's');
    rig_ask(&r, fd, 2, 'a');
    shutdown(fd, SHUT_WR);
    assert_int_equal(rig_answer_id(&r, fd), 2);
    assert_int_equal(rig_answer_id(&r, fd), -EAGAIN);
    rig_finish(0);
    assert_int_equal(rig_answer_id(&r, fd), 1);
    assert_int_equal(rig_answer_id(&r, fd), -1);
    close(fd);
    partial = rig_dial(&r);
    rig_send(&r, partial, "\x01\xf4\0\1\0\0aaaaaa", 12); /* T10: length 500 */
    shutdown(partial, SHUT_WR);
    assert_int_equal(rig_answer_id(&r, partial), -1);
    close(partial);
    rig_close(&r);
}

/* T14, T15, T16: deadlines are for messages. */
static void test_deadlines(void)
{
    struct rig r = {0};
    uint8_t m[22];
    int silent, drip, idle;

    rig_open(&r, &wp_listener_tcp);
    silent = rig_dial(&r);
    rig_pass(&r, 2900 * MS);
    assert_int_equal(rig_answer_id(&r, silent), -EAGAIN);
    rig_pass(&r, 200 * MS);
    assert_int_equal(rig_answer_id(&r, silent), -1);

    drip = rig_dial(&r);
    rig_ask(&r, drip, 1, 'a');
    assert_int_equal(rig_answer_id(&r, drip), 1);
    rig_pass(&r, 5 * SEC);
    rig_message(m, 2, 'a');
    for (unsigned i = 0; i < 6; i++) {
        rig_send(&r, drip, m + i, 1);
        assert_int_equal(rig_answer_id(&r, drip), -EAGAIN);
        rig_pass(&r, 490 * MS);
    }
    rig_pass(&r, 200 * MS);
    assert_int_equal(rig_answer_id(&r, drip), -1);

    idle = rig_dial(&r);
    rig_ask(&r, idle, 1, 'a');
    assert_int_equal(rig_answer_id(&r, idle), 1);
    rig_pass(&r, 9 * SEC);
    rig_ask(&r, idle, 2, 'a');
    assert_int_equal(rig_answer_id(&r, idle), 2);
    rig_pass(&r, 9900 * MS);
    assert_int_equal(rig_answer_id(&r, idle), -EAGAIN);
    rig_pass(&r, 200 * MS);
    assert_int_equal(rig_answer_id(&r, idle), -1);
    close(silent);
    close(drip);
    close(idle);
    rig_close(&r);
}

/* A waiting query is no idleness; an unfinished message behind it still has its deadline. */
static void test_deadline_while_waiting(void)
{
    struct rig r = {0};
    int fd;

    rig_open(&r, &wp_listener_tcp);
    fd = rig_dial(&r);
    rig_ask(&r, fd, 1, 's');
    rig_pass(&r, 30 * SEC);
    assert_int_equal(rig_answer_id(&r, fd), -EAGAIN);
    rig_send(&r, fd, "\0", 1);
    rig_pass(&r, 4 * SEC);
    assert_int_equal(rig_answer_id(&r, fd), -EAGAIN); /* still owed: the first one's answer */
    rig_finish(0);
    assert_int_equal(rig_answer_id(&r, fd), 1);
    assert_int_equal(rig_answer_id(&r, fd), -1);
    close(fd);
    rig_close(&r);
}

/* T17 */
static void test_max_queries(void)
{
    struct rig r = {0};
    uint8_t m[4 * 22];
    int fd;

    rig_limits(&r.group.limits);
    r.group.limits.max_queries = 3;
    rig_open(&r, &wp_listener_tcp);
    fd = rig_dial(&r);
    for (unsigned i = 0; i < 4; i++)
        rig_message(m + i * 22, (uint16_t)i, i == 1 ? 's' : 'a');
    rig_send(&r, fd, m, sizeof(m));
    assert_int_equal(rig_answer_id(&r, fd), 0);
    assert_int_equal(rig_answer_id(&r, fd), 2);
    assert_int_equal(rig_answer_id(&r, fd), -EAGAIN);
    rig_finish(0);
    assert_int_equal(rig_answer_id(&r, fd), 1);
    assert_int_equal(rig_answer_id(&r, fd), -1); /* a FIN, not an RST: nothing was lost */
    close(fd);
    rig_close(&r);
}

/* T20: a client that does not read is cut off after the write timeout; what waits for it is
 * bounded. */
static void test_not_reading(void)
{
    struct rig r = {0};
    uint8_t m[22];
    unsigned runs;
    int fd;

    rig_open(&r, &wp_listener_tcp);
    fd = rig_dial(&r);
    rig_message(m, 1, 'b');
    for (unsigned i = 0; i < 1000; i++) {
        if (send(fd, m, sizeof(m), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            break;
        rig_turns(&r, 1);
    }
    rig_turns(&r, 50); /* the kernel moves what it can */
    runs = rig_runs;
    assert_true(runs < 200); /* the kernel's buffers and little more: 60 kB each */
    rig_pass(&r, 4900 * MS);
    assert_int_equal(wp_guard_connections(&r.group), 1);
    assert_int_equal(rig_runs, runs);
    rig_pass(&r, 200 * MS);
    assert_int_equal(wp_guard_connections(&r.group), 0);
    close(fd);
    rig_close(&r);
}

/* The same client, reading again: everything comes. */
static void test_reading_again(void)
{
    struct rig r = {0};
    uint8_t m[22];
    int fd;

    rig_open(&r, &wp_listener_tcp);
    fd = rig_dial(&r);
    for (unsigned i = 0; i < 300; i++) {
        rig_message(m, (uint16_t)i, 'b');
        assert_int_equal(send(fd, m, sizeof(m), MSG_NOSIGNAL), sizeof(m));
        rig_turns(&r, 1);
    }
    assert_true(rig_runs < 300);
    for (int i = 0; i < 300; i++)
        assert_int_equal(rig_answer_id(&r, fd), i);
    assert_int_equal(rig_runs, 300);
    close(fd);
    rig_close(&r);
}

/* T27: an RST in the middle; queries that wait are cancelled and end in peace. */
static void test_reset(void)
{
    struct rig r = {0};
    struct linger hard = {.l_onoff = 1};
    int fd, other;

    for (unsigned later = 0; later < 2; later++) {
        rig_cancel_later = later == 1;
        rig_open(&r, &wp_listener_tcp);
        fd = rig_dial(&r);
        other = rig_dial(&r);
        rig_ask(&r, fd, 1, 's');
        rig_ask(&r, fd, 2, 's');
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
        close(fd);
        rig_turns(&r, 3);
        assert_int_equal(rig_cancelled, 2);
        assert_int_equal(wp_guard_connections(&r.group), 1);
        rig_cancel_later = false;
        while (rig_n_waiting > 0)
            rig_finish(0);
        rig_ask(&r, other, 3, 'a');
        assert_int_equal(rig_answer_id(&r, other), 3);
        close(other);
        rig_close(&r);
    }
}

/* T24: at the limit the connection idle longest makes room; busy ones do not. */
static void test_connection_limit(void)
{
    struct rig r = {0};
    int fd[4];

    rig_limits(&r.group.limits);
    r.group.limits.max_connections = 3;
    rig_open(&r, &wp_listener_tcp);
    for (unsigned i = 0; i < 3; i++) {
        fd[i] = rig_dial(&r);
        rig_ask(&r, fd[i], 1, 'a');
        assert_int_equal(rig_answer_id(&r, fd[i]), 1);
    }
    rig_ask(&r, fd[0], 2, 's'); /* active last, and busy */
    fd[3] = rig_dial(&r);
    rig_ask(&r, fd[3], 4, 's');
    assert_int_equal(rig_answer_id(&r, fd[1]), -1);
    assert_int_equal(rig_answer_id(&r, fd[2]), -EAGAIN);
    rig_ask(&r, fd[2], 5, 's');
    close(fd[1]);
    fd[1] = rig_dial(&r); /* now all are busy */
    assert_int_equal(rig_answer_id(&r, fd[1]), -1);
    close(fd[1]);
    rig_finish(0);
    assert_int_equal(rig_answer_id(&r, fd[0]), 2);
    fd[1] = rig_dial(&r);
    rig_ask(&r, fd[1], 6, 'a');
    assert_int_equal(rig_answer_id(&r, fd[1]), 6);
    for (unsigned i = 0; i < 4; i++)
        close(fd[i]);
    rig_close(&r);
}

/* T25 */
static void test_per_client(void)
{
    struct rig r = {0};
    int fd[3];

    rig_limits(&r.group.limits);
    r.group.limits.max_per_client = 2;
    rig_open(&r, &wp_listener_tcp);
    for (unsigned i = 0; i < 3; i++)
        fd[i] = rig_dial(&r);
    assert_int_equal(rig_answer_id(&r, fd[1]), -EAGAIN);
    assert_int_equal(rig_answer_id(&r, fd[2]), -1);
    close(fd[0]);
    rig_turns(&r, 3);
    close(fd[2]);
    fd[2] = rig_dial(&r);
    rig_ask(&r, fd[2], 6, 'a');
    assert_int_equal(rig_answer_id(&r, fd[2]), 6);
    close(fd[1]);
    close(fd[2]);
    rig_close(&r);
}

/* No query to be had on this worker: the message waits, it is not lost. */
static void test_no_query(void)
{
    struct rig r = {0};
    int fd;

    rig_open(&r, &wp_listener_tcp);
    fd = rig_dial(&r);
    rig_max_queries = 1;
    rig_ask(&r, fd, 1, 's');
    rig_ask(&r, fd, 2, 'a');
    rig_pass(&r, 50 * MS);
    assert_int_equal(rig_answer_id(&r, fd), -EAGAIN);
    rig_finish(0);
    assert_int_equal(rig_answer_id(&r, fd), 1);
    rig_pass(&r, 50 * MS);
    assert_int_equal(rig_answer_id(&r, fd), 2);
    close(fd);
    rig_close(&r);
}

/* T30: what was asked is answered, then the connection goes; closed() comes once, last. */
static void test_drain(void)
{
    struct rig r = {0};
    uint8_t m[22];
    int idle, busy, asked;

    rig_open(&r, &wp_listener_tcp);
    idle = rig_dial(&r);
    busy = rig_dial(&r);
    asked = rig_dial(&r);
    rig_ask(&r, busy, 1, 's');
    rig_message(m, 2, 'a'); /* in the socket when the drain comes */
    assert_int_equal(send(asked, m, sizeof(m), 0), sizeof(m));
    r.listener->ops->drain(r.listener, rig_closed, &r);
    assert_int_equal(r.closed, 0);
    assert_true(rig_last.draining);
    assert_int_equal(rig_answer_id(&r, asked), 2);
    assert_int_equal(rig_answer_id(&r, asked), -1);
    assert_int_equal(rig_answer_id(&r, idle), -1);
    assert_int_equal(rig_answer_id(&r, busy), -EAGAIN);
    close(idle);
    close(asked);
    rig_turns(&r, 3);
    assert_int_equal(r.closed, 0);
    rig_finish(0);
    assert_int_equal(rig_answer_id(&r, busy), 1);
    assert_int_equal(rig_answer_id(&r, busy), -1);
    close(busy);
    rig_turns(&r, 3);
    assert_int_equal(r.closed, 1);
    rig_close(&r);
}

/* L01: clients that do not close their side do not hold the end up. */
static void test_drain_of_lingering(void)
{
    struct rig r = {0};
    int idle, lingering;

    rig_limits(&r.group.limits);
    r.group.limits.max_queries = 1;
    rig_open(&r, &wp_listener_tcp);
    idle = rig_dial(&r);
    lingering = rig_dial(&r);
    rig_ask(&r, lingering, 1, 'a');
    r.listener->ops->drain(r.listener, rig_closed, &r);
    rig_pass(&r, 250 * MS);
    assert_int_equal(r.closed, 1);
    close(idle);
    close(lingering);
    rig_close(&r);
}

/* Advisory 28: one that always has something to say does not keep the others waiting. */
static void test_fair(void)
{
    struct rig r = {0};
    enum { N = 20000 };
    uint8_t *m = calloc(N, 22), one[22];
    int greedy, other;
    ssize_t sent;

    rig_open(&r, &wp_listener_tcp);
    greedy = rig_dial(&r);
    other = rig_dial(&r);
    for (unsigned i = 0; i < N; i++)
        rig_message(m + i * 22, 1, 'z');
    sent = send(greedy, m, N * 22, MSG_DONTWAIT);
    assert_true(sent > 150000);
    rig_message(one, 7, 'a');
    assert_int_equal(send(other, one, sizeof(one), 0), sizeof(one));
    rig_turns(&r, 1);
    assert_true(rig_runs < sent / 22 / 2); /* a part of what the greedy one has sent */
    assert_int_equal(recv(other, one, sizeof(one), MSG_DONTWAIT), sizeof(one));
    free(m);
    close(greedy);
    close(other);
    rig_close(&r);
}

static uint32_t dice(void)
{
    static uint32_t state = 12345;

    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

/* However a stream of messages is cut, the answers are the same. */
static void test_any_segmentation(void)
{
    struct rig r = {0};
    uint8_t m[40 * 22];
    int fd;

    rig_open(&r, &wp_listener_tcp);
    fd = rig_dial(&r);
    for (unsigned i = 0; i < 40; i++)
        rig_message(m + i * 22, (uint16_t)i, "azsb"[i % 4]);
    for (unsigned round = 0; round < 100; round++) {
        bool seen[40] = {0};

        for (size_t at = 0, n; at < sizeof(m); at += n) {
            n = 1 + dice() % (round % 2 ? 7 : 200);
            n = n < sizeof(m) - at ? n : sizeof(m) - at;
            rig_send(&r, fd, m + at, n);
            while (dice() % 3 == 0 && rig_n_waiting > 0)
                rig_finish(dice() % rig_n_waiting);
        }
        while (rig_n_waiting > 0)
            rig_finish(dice() % rig_n_waiting);
        for (unsigned i = 0; i < 30; i++) { /* three of four are answered */
            int id = rig_answer_id(&r, fd);

            assert_true(id >= 0 && id < 40 && id % 4 != 1 && !seen[id]);
            seen[id] = true;
        }
        assert_int_equal(rig_answer_id(&r, fd), -EAGAIN);
    }
    close(fd);
    rig_close(&r);
}

static void test_drain_without_connections(void)
{
    struct rig r = {0};

    rig_open(&r, &wp_listener_tcp);
    r.listener->ops->drain(r.listener, rig_closed, &r);
    assert_int_equal(r.closed, 0);
    rig_turns(&r, 1);
    assert_int_equal(r.closed, 1);
    rig_close(&r);
}

/* After our FIN unread input is thrown away for a while, so that no RST takes our answers. */
static void test_linger(void)
{
    struct rig r = {0};
    uint8_t m[22 * 2];
    int fd;

    rig_limits(&r.group.limits);
    r.group.limits.max_queries = 1;
    rig_open(&r, &wp_listener_tcp);
    fd = rig_dial(&r);
    rig_message(m, 1, 'a');
    rig_message(m + 22, 2, 'a');
    rig_send(&r, fd, m, sizeof(m));
    for (unsigned i = 0; i < 100; i++)
        rig_ask(&r, fd, 3, 'a');
    assert_int_equal(rig_answer_id(&r, fd), 1);
    assert_int_equal(rig_answer_id(&r, fd), -1);
    assert_int_equal(rig_runs, 1);
    assert_int_equal(wp_guard_connections(&r.group), 1);
    rig_pass(&r, 2100 * MS);
    assert_int_equal(wp_guard_connections(&r.group), 0);
    close(fd);
    rig_close(&r);
}

/* A new generation's limits and routes hold for what comes next on an old connection. */
static void test_swap(void)
{
    struct rig r = {0};
    struct wp_group next;
    const struct wp_route *route = (const struct wp_route *)&next;
    int fd;

    rig_open(&r, &wp_listener_tcp);
    fd = rig_dial(&r);
    rig_ask(&r, fd, 1, 'a');
    assert_int_equal(rig_answer_id(&r, fd), 1);
    next = r.group;
    next.route = route;
    next.limits.idle_ns = 1 * SEC;
    r.listener->ops->swap(r.listener, &next);
    rig_ask(&r, fd, 2, 'a');
    assert_int_equal(rig_answer_id(&r, fd), 2);
    assert_ptr_equal(rig_last.route, route);
    rig_pass(&r, 1100 * MS);
    assert_int_equal(rig_answer_id(&r, fd), -1);
    close(fd);
    rig_close(&r);
}

/* Many connections of one turn with output, more than there are buffers. */
static void test_many_writers(void)
{
    struct rig r = {0};
    int fd[40];

    rig_open(&r, &wp_listener_tcp);
    for (unsigned i = 0; i < COUNT(fd); i++) {
        fd[i] = rig_dial(&r);
        for (unsigned k = 0; k < 3; k++)
            rig_ask(&r, fd[i], (uint16_t)(i * 3 + k), 's');
    }
    while (rig_n_waiting > 0)
        rig_finish((rig_n_waiting * 7) % rig_n_waiting);
    for (unsigned i = 0; i < COUNT(fd); i++) {
        unsigned sum = 0;

        for (unsigned k = 0; k < 3; k++) {
            int id = rig_answer_id(&r, fd[i]);

            assert_int_equal(id / 3, i);
            sum += (unsigned)id % 3;
        }
        assert_int_equal(sum, 3);
        close(fd[i]);
    }
    rig_close(&r);
}

/* Advisory 27: a million pipelined messages need no stack. Here a few thousand in one read, each
 * cheap; the loop is the same. */
static void test_long_batch(void)
{
    struct rig r = {0};
    enum { N = 2000 };
    uint8_t *m = malloc(N * 22);
    int fd;

    rig_open(&r, &wp_listener_tcp);
    fd = rig_dial(&r);
    for (unsigned i = 0; i < N; i++)
        rig_message(m + i * 22, (uint16_t)i, 'a');
    rig_send(&r, fd, m, N * 22);
    for (int i = 0; i < N; i++)
        assert_int_equal(rig_answer_id(&r, fd), i);
    free(m);
    close(fd);
    rig_close(&r);
}

RUN_TESTS(TEST(test_answers), TEST(test_dripped), TEST(test_out_of_order),
          TEST(test_done_within_run), TEST(test_pipeline), TEST(test_half_close),
          TEST(test_deadlines), TEST(test_deadline_while_waiting), TEST(test_max_queries),
          TEST(test_not_reading), TEST(test_reading_again), TEST(test_reset),
          TEST(test_connection_limit), TEST(test_per_client), TEST(test_no_query), TEST(test_drain),
          TEST(test_drain_without_connections), TEST(test_linger), TEST(test_swap),
          TEST(test_many_writers), TEST(test_long_batch), TEST(test_drain_of_lingering),
          TEST(test_fair), TEST(test_any_segmentation))
