#include "check.h"
#include "waypost/base/grace.h"
#include "waypost/server/worker.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MS UINT64_C(1000000)

static struct wp_loop *new_loop(void)
{
    struct wp_loop *loop;

    CHECK(wp_loop_new(3, &loop) == 0);
    return loop;
}

/* --- timers -------------------------------------------------------------------------------- */

struct probe {
    struct wp_timer timer;
    struct wp_loop *loop;
    int fired;
    uint64_t at_ns, again_ns;
};

static void on_probe(struct wp_timer *t)
{
    struct probe *p = (struct probe *)t;

    p->fired++;
    p->at_ns = wp_loop_now(p->loop);
    if (p->again_ns != 0)
        wp_timer_set(p->loop, t, p->again_ns);
}

/* Distances around every boundary between levels of the wheel. */
static const uint64_t distances_ns[] = {
    0,
    1,
    MS - 1,
    MS,
    MS + 1,
    63 * MS,
    64 * MS,
    65 * MS,
    4095 * MS,
    4096 * MS,
    4097 * MS,
    262143 * MS,
    262144 * MS,
    262145 * MS,
    16777216 * MS,
    1073741824 * MS,
    86400000 * MS,
    68719476736 * MS + 5,
    UINT64_MAX / 2,
};
static const uint64_t starts_ns[] = {
    0, 1, 63 * MS + 7, 64 * MS, 4095 * MS + 999999, 987654321987654};

static void test_timer_fires_in_time(void)
{
    for (size_t s = 0; s < COUNT(starts_ns); s++)
        for (size_t i = 0; i < COUNT(distances_ns); i++) {
            struct wp_loop *loop = new_loop();
            struct probe p = {.timer.fn = on_probe, .loop = loop};
            uint64_t due = starts_ns[s] + distances_ns[i];
            wp_loop_set_now(loop, starts_ns[s]);
            wp_timer_set(loop, &p.timer, due);
            CHECK(wp_timer_is_set(&p.timer));
            if (distances_ns[i] > 0) { /* never early */
                wp_loop_set_now(loop, due - 1);
                wp_loop_turn(loop, 0);
                CHECK(p.fired == 0);
            }
            wp_loop_set_now(loop, due + MS); /* resolution */
            wp_loop_turn(loop, 0);
            CHECK(p.fired == 1 && !wp_timer_is_set(&p.timer));
            wp_loop_set_now(loop, due + 100000 * MS);
            wp_loop_turn(loop, 0);
            CHECK(p.fired == 1);
            wp_loop_free(loop);
        }
}

static void test_timer_due_now_fires_next_turn(void)
{
    struct wp_loop *loop = new_loop();
    struct probe p = {.timer.fn = on_probe, .loop = loop, .again_ns = 5 * MS};

    wp_loop_set_now(loop, 5 * MS);
    wp_timer_set(loop, &p.timer, 5 * MS);
    CHECK(p.fired == 0);
    wp_loop_turn(loop, -1); /* does not wait; setting itself again does not spin */
    CHECK(p.fired == 1);
    wp_loop_turn(loop, -1);
    CHECK(p.fired == 2);
    wp_loop_free(loop);
}

static void test_timer_moves_and_cancels(void)
{
    struct wp_loop *loop = new_loop();
    struct probe p = {.timer.fn = on_probe, .loop = loop};

    wp_loop_set_now(loop, 0);
    for (uint64_t ms = 0; ms < 20000;
         ms += 10) { /* an idle timeout of 5 s, moved again and again */
        wp_loop_set_now(loop, ms * MS);
        wp_timer_set(loop, &p.timer, (ms + 5000) * MS);
        wp_loop_turn(loop, 0);
    }
    CHECK(p.fired == 0);
    wp_loop_set_now(loop, (19990 + 5000) * MS);
    wp_loop_turn(loop, 0);
    CHECK(p.fired == 1);
    wp_timer_set(loop, &p.timer, 30000 * MS);
    wp_timer_cancel(&p.timer);
    wp_timer_cancel(&p.timer);
    wp_loop_set_now(loop, 40000 * MS);
    wp_loop_turn(loop, 0);
    CHECK(p.fired == 1);
    wp_loop_free(loop);
}

struct pair {
    struct wp_timer timer;
    struct wp_timer *victim;
    int *fired;
};

static void on_pair(struct wp_timer *t)
{
    struct pair *p = (struct pair *)t;

    ++*p->fired;
    wp_timer_cancel(p->victim);
}

static void test_timer_cancels_another_of_the_same_turn(void)
{
    struct wp_loop *loop = new_loop();
    int fired = 0;
    struct pair a = {.timer.fn = on_pair, .fired = &fired};
    struct pair b = {.timer.fn = on_pair, .fired = &fired, .victim = &a.timer};

    a.victim = &b.timer;
    wp_loop_set_now(loop, 0);
    wp_timer_set(loop, &a.timer, MS);
    wp_timer_set(loop, &b.timer, MS);
    wp_loop_set_now(loop, 2 * MS);
    wp_loop_turn(loop, 0);
    CHECK(fired == 1 && !wp_timer_is_set(&a.timer) && !wp_timer_is_set(&b.timer));
    wp_loop_free(loop);
}

/* The wheel against the plainest twin: a list searched from end to end. */
static void test_timers_against_a_list(void)
{
    enum { N = 200, STEPS = 3000 };
    static struct probe p[N];
    struct wp_loop *loop = new_loop();
    uint64_t now = 12345 * MS;
    unsigned seed = 7;

    memset(p, 0, sizeof(p));
    wp_loop_set_now(loop, now);
    for (int step = 0; step < STEPS; step++) {
        struct probe *one = &p[rand_r(&seed) % N];
        unsigned what = (unsigned)rand_r(&seed) % 10;
        one->timer.fn = on_probe;
        one->loop = loop;
        if (what == 0)
            wp_timer_cancel(&one->timer);
        else if (what < 8)
            wp_timer_set(loop, &one->timer,
                         now + (uint64_t)rand_r(&seed) % (UINT64_C(1) << (rand_r(&seed) % 40)));
        else
            now += (uint64_t)rand_r(&seed) % (UINT64_C(1) << (rand_r(&seed) % 38));
        wp_loop_set_now(loop, now);
        wp_loop_turn(loop, 0);
        for (int i = 0; i < N; i++) {
            if (wp_timer_is_set(&p[i].timer))
                CHECK(p[i].timer.due_ns + MS > now); /* not late */
            else if (p[i].fired > 0)
                CHECK(p[i].at_ns <= now);
            if (p[i].fired > 0) {
                CHECK(p[i].at_ns >= p[i].timer.due_ns ||
                      wp_timer_is_set(&p[i].timer)); /* not early */
                p[i].fired = 0;
            }
        }
    }
    wp_loop_free(loop);
}

static void test_wait_is_bounded_by_timers(void)
{
    struct wp_loop *loop = new_loop();
    struct probe p = {.timer.fn = on_probe, .loop = loop};
    uint64_t start = wp_loop_clock(loop);

    wp_timer_set(loop, &p.timer, start + 30 * MS);
    while (p.fired == 0)
        wp_loop_turn(loop, -1);
    CHECK(p.at_ns >= start + 30 * MS);
    wp_loop_free(loop);
}

/* --- descriptors --------------------------------------------------------------------------- */

struct end {
    struct wp_io io;
    int calls;
    uint32_t events;
    struct end *kill;
};

static void on_end(struct wp_io *io, uint32_t events)
{
    struct end *e = (struct end *)io;

    e->calls++;
    e->events = events;
    if (e->kill != NULL)
        wp_io_del(&e->kill->io);
}

static void make_ends(struct end *a, struct end *b)
{
    int fd[2];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) == 0);
    *a = (struct end){.io = {.fd = fd[0], .fn = on_end}};
    *b = (struct end){.io = {.fd = fd[1], .fn = on_end}};
}

static void close_ends(struct end *a, struct end *b)
{
    wp_io_del(&a->io);
    wp_io_del(&b->io);
    wp_io_del(&b->io); /* twice is fine */
    close(a->io.fd);
    close(b->io.fd);
}

static void test_io_levels(void)
{
    struct wp_loop *loop = new_loop();
    struct end a, b;

    make_ends(&a, &b);
    CHECK(wp_io_add(loop, &a.io, WP_IO_READ) == 0);
    CHECK(wp_io_add(loop, &a.io, WP_IO_READ) == -EEXIST);
    wp_loop_turn(loop, 0);
    CHECK(a.calls == 0);
    CHECK(write(b.io.fd, "x", 1) == 1);
    wp_loop_turn(loop, 0);
    wp_loop_turn(loop, 0); /* level: again while unread */
    CHECK(a.calls == 2 && a.events == WP_IO_READ);
    wp_io_set(&a.io, WP_IO_READ | WP_IO_WRITE);
    wp_loop_turn(loop, 0);
    CHECK(a.calls == 3 && a.events == (WP_IO_READ | WP_IO_WRITE));
    wp_io_set(&a.io, 0); /* a pause */
    wp_loop_turn(loop, 0);
    CHECK(a.calls == 3);
    wp_io_set(&a.io, WP_IO_READ);
    wp_loop_turn(loop, 0);
    CHECK(a.calls == 4);
    wp_io_del(&a.io);
    wp_loop_turn(loop, 0);
    CHECK(a.calls == 4);
    close_ends(&a, &b);
    wp_loop_free(loop);
}

static void test_io_hangup_is_reported_in_a_pause(void)
{
    struct wp_loop *loop = new_loop();
    struct end a, b;

    make_ends(&a, &b);
    CHECK(wp_io_add(loop, &a.io, 0) == 0);
    CHECK(shutdown(b.io.fd, SHUT_RDWR) == 0);
    wp_loop_turn(loop, 0);
    CHECK(a.calls == 1 && (a.events & WP_IO_HANGUP) != 0);
    close_ends(&a, &b);
    wp_loop_free(loop);
}

static void test_io_deleted_in_the_same_turn(void)
{
    struct wp_loop *loop = new_loop();
    struct end a, b;

    make_ends(&a, &b);
    a.kill = &b;
    b.kill = &a;
    CHECK(wp_io_add(loop, &a.io, WP_IO_WRITE) == 0 && wp_io_add(loop, &b.io, WP_IO_WRITE) == 0);
    wp_loop_turn(loop, 0);
    wp_loop_turn(loop, 0);
    CHECK(a.calls + b.calls == 2 && (a.calls == 0 || b.calls == 0));
    close_ends(&a, &b);
    wp_loop_free(loop);
}

/* A callback that takes long, as one that copies megabytes does. */
static void busy(struct wp_io *io, uint32_t events)
{
    (void)io;
    (void)events;
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

/* What is urgent is seen between the others of one turn, unless it pauses or is gone. */
static void test_io_urgent(void)
{
    struct wp_loop *loop = NULL;
    struct end a, b, many[10][2];
    int before;

    CHECK(wp_loop_new(0, &loop) == 0); /* real time */
    make_ends(&a, &b);
    wp_io_urgent(&a.io); /* not added yet: nothing */
    CHECK(wp_io_add(loop, &a.io, WP_IO_READ) == 0);
    wp_io_urgent(&a.io);
    for (size_t i = 0; i < COUNT(many); i++) {
        make_ends(&many[i][0], &many[i][1]);
        many[i][0].io.fn = busy;
        CHECK(wp_io_add(loop, &many[i][0].io, WP_IO_WRITE) == 0);
    }
    wp_loop_turn(loop, 0);
    CHECK(a.calls == COUNT(many) - 1 && a.events == WP_IO_READ);
    wp_io_set(&a.io, 0);
    before = a.calls;
    wp_loop_turn(loop, 0);
    CHECK(a.calls == before);
    wp_io_set(&a.io, WP_IO_READ);
    wp_io_del(&a.io);
    wp_loop_turn(loop, 0);
    CHECK(a.calls == before);
    for (size_t i = 0; i < COUNT(many); i++)
        close_ends(&many[i][0], &many[i][1]);
    close_ends(&a, &b);
    wp_loop_free(loop);
}

/* --- tasks --------------------------------------------------------------------------------- */

struct job {
    struct wp_task task;
    struct wp_loop *loop;
    struct job *then;
    char name;
};
static char ran[64];

static void run_job(struct wp_task *task)
{
    struct job *j = (struct job *)task;
    size_t len = strlen(ran);

    if (len + 1 < sizeof(ran))
        ran[len] = j->name;
    if (j->then != NULL)
        wp_loop_defer(j->loop, &j->then->task);
}

static void test_tasks(void)
{
    struct wp_loop *loop = new_loop();
    struct job c = {.task.fn = run_job, .loop = loop, .name = 'c'};
    struct job b = {.task.fn = run_job, .loop = loop, .name = 'b'};
    struct job a = {.task.fn = run_job, .loop = loop, .name = 'a', .then = &c};

    memset(ran, 0, sizeof(ran));
    wp_loop_defer(loop, &a.task);
    wp_loop_defer(loop, &b.task);
    wp_loop_defer(loop, &a.task); /* not twice */
    wp_loop_turn(loop, -1);       /* does not wait */
    CHECK(strcmp(ran, "abc") == 0);

    memset(ran, 0, sizeof(ran));
    wp_loop_defer(loop, &a.task);
    wp_loop_defer(loop, &b.task);
    wp_loop_defer(loop, &c.task);
    wp_task_cancel(loop, &c.task);
    wp_task_cancel(loop, &c.task);
    wp_task_cancel(loop, &a.task);
    wp_loop_defer(loop, &c.task);
    wp_loop_turn(loop, -1);
    CHECK(strcmp(ran, "bc") == 0);

    memset(ran, 0, sizeof(ran));
    a.then = &a; /* for ever: the turn ends all the same */
    wp_loop_defer(loop, &a.task);
    wp_loop_turn(loop, -1);
    CHECK(strlen(ran) > 0 && strlen(ran) < 20);
    wp_task_cancel(loop, &a.task);
    wp_loop_free(loop);
}

/* --- mail ---------------------------------------------------------------------------------- */

enum { POSTERS = 3, LETTERS = 20000 };
struct letter {
    struct wp_mail mail;
    int from, number;
};
static struct {
    int next[POSTERS], total;
    struct wp_loop *loop;
    pthread_t thread;
} box;

static void on_letter(struct wp_mail *mail)
{
    struct letter *l = (struct letter *)mail;

    CHECK(pthread_equal(pthread_self(), box.thread));
    CHECK(l->number == box.next[l->from]); /* in the order of its poster */
    box.next[l->from]++;
    if (++box.total == POSTERS * LETTERS)
        wp_loop_stop(box.loop);
    free(l);
}

static void *post_letters(void *arg)
{
    int from = (int)(intptr_t)arg;

    for (int i = 0; i < LETTERS; i++) {
        struct letter *l = malloc(sizeof(*l));
        *l = (struct letter){.mail.fn = on_letter, .from = from, .number = i};
        wp_loop_post(box.loop, &l->mail);
        if (i % 1000 == 0)
            sched_yield(); /* lets the loop fall asleep now and then */
    }
    return NULL;
}

static void *run_loop(void *arg)
{
    wp_loop_run(arg);
    return NULL;
}

static void test_mail_from_threads(void)
{
    pthread_t posters[POSTERS];

    memset(&box, 0, sizeof(box));
    box.loop = new_loop();
    box.thread = pthread_self();
    for (intptr_t i = 0; i < POSTERS; i++)
        CHECK(pthread_create(&posters[i], NULL, post_letters, (void *)i) == 0);
    wp_loop_run(box.loop);
    for (int i = 0; i < POSTERS; i++)
        pthread_join(posters[i], NULL);
    CHECK(box.total == POSTERS * LETTERS);
    wp_loop_free(box.loop);
}

struct self_mail {
    struct wp_mail mail;
    struct wp_loop *loop;
    int runs;
};

static void on_self_mail(struct wp_mail *mail)
{
    struct self_mail *m = (struct self_mail *)mail;

    if (++m->runs < 3)
        wp_loop_post(m->loop, mail); /* its memory is ours again */
}

static void test_mail_to_itself(void)
{
    struct self_mail m = {.mail.fn = on_self_mail};

    m.loop = new_loop();
    wp_loop_post(m.loop, &m.mail);
    for (int i = 0; i < 3; i++)
        wp_loop_turn(m.loop, -1);
    CHECK(m.runs == 3);
    wp_loop_turn(m.loop, 0);
    CHECK(m.runs == 3);
    wp_loop_free(m.loop);
}

/* A loop that sleeps does not keep memory from being freed. */
static atomic_int gone;

static void on_gone(struct wp_grace_item *item)
{
    (void)item;
    atomic_store(&gone, 1);
}

static void test_sleeping_loop_holds_nothing(void)
{
    struct wp_loop *loop = new_loop();
    struct wp_grace_item item;
    pthread_t thread;

    CHECK(pthread_create(&thread, NULL, run_loop, loop) == 0);
    wp_grace_retire(&item, on_gone);
    while (wp_grace_reclaim() > 0)
        sched_yield();
    CHECK(atomic_load(&gone) == 1);
    wp_loop_stop(loop);
    pthread_join(thread, NULL);
    wp_loop_free(loop);
}

static void test_small_things(void)
{
    struct wp_loop *loop = new_loop();
    int user;

    CHECK(wp_loop_index(loop) == 3 && wp_loop_user(loop) == NULL);
    wp_loop_set_user(loop, &user);
    CHECK(wp_loop_user(loop) == &user);
    CHECK(wp_loop_clock(loop) >= wp_loop_now(loop));
    CHECK(wp_loop_unix_time(loop) > time(NULL) - 5 && wp_loop_unix_time(loop) <= time(NULL));
    wp_loop_set_now(loop, 2500 * MS);
    CHECK(wp_loop_now(loop) == 2500 * MS && wp_loop_clock(loop) == 2500 * MS);
    CHECK(wp_loop_unix_time(loop) == WP_LOOP_TEST_UNIX + 2);
    wp_loop_free(loop);
    wp_loop_free(NULL);
}

RUN_TESTS(TEST(test_timer_fires_in_time), TEST(test_timer_due_now_fires_next_turn),
          TEST(test_timer_moves_and_cancels), TEST(test_timer_cancels_another_of_the_same_turn),
          TEST(test_timers_against_a_list), TEST(test_wait_is_bounded_by_timers),
          TEST(test_io_levels), TEST(test_io_hangup_is_reported_in_a_pause),
          TEST(test_io_deleted_in_the_same_turn), TEST(test_io_urgent), TEST(test_tasks), TEST(test_mail_from_threads),
          TEST(test_mail_to_itself), TEST(test_sleeping_loop_holds_nothing),
          TEST(test_small_things))
