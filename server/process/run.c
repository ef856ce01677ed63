/* The life of the process after the command line: start, signals, the end (the Corefile rules 10). */
#include "server/process/run.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "server/process/reload.h"
#include "server/process/trim.h"
#include "waypost/plugin/log.h"
#include "waypost/server/admin.h"
#include "waypost/server/guard.h"
#include "waypost/server/log.h"
#include "waypost/tls/tls.h"

enum { REPORT_MAX = 4 << 20, TLS_POLL_S = 5 };
#define GRACE_NS 5000000000ull
#define SECOND_NS 1000000000ull

struct life {
    struct wp_process *process;
    struct wp_reloader reloader;
    const struct wp_run_options *options;
    int signal_fd;
    bool ending;
    uint64_t tls_due_ns, tickets_due_ns, cookies_due_ns;
    struct wp_trim trim;
};

static _Atomic bool look_asked;
static int look_fd = -1;

/* Any thread: plugin `reload`. */
static void look_again(void)
{
    uint64_t one = 1;
    ssize_t r;

    atomic_store(&look_asked, true);
    r = write(look_fd, &one, sizeof(one));
    (void)r;
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
}

static void pidfile_write(const char *path)
{
    FILE *f;

    if (path == NULL)
        return;
    f = fopen(path, "we");
    if (f == NULL || fprintf(f, "%d\n", (int)getpid()) < 0)
        wp_log_print("[ERROR] Could not write pidfile: %s", strerror(errno));
    if (f != NULL)
        fclose(f);
}

static void pidfile_remove(const char *path)
{
    if (path != NULL)
        unlink(path);
}

/* Everything goes at once. */
static _Noreturn void leave(struct life *l, int code)
{
    pidfile_remove(l->options->pidfile);
    if (l->process != NULL)
        wp_admin_remove(wp_process_status(l->process));
    wp_log_stop();
    _exit(code);
}

static void on_signal(struct life *l, int sig)
{
    switch (sig) {
    case SIGTERM:
    case SIGINT:
        if (!l->ending)
            return; /* the caller ends */
        if (sig == SIGINT) {
            wp_log_print("[INFO] SIGINT: Force quit");
            leave(l, 2);
        }
        return;
    case SIGQUIT:
        wp_log_print("[INFO] SIGQUIT: Quitting process immediately");
        leave(l, 0);
    case SIGUSR1:
        if (!l->ending)
            wp_reload_now(&l->reloader, "SIGUSR1");
        return;
    case SIGHUP:
        if (!l->ending)
            wp_reload_now(&l->reloader, "SIGHUP");
        return;
    case SIGUSR2:
        wp_log_print("[ERROR] SIGUSR2: upgrading in place is not supported: start the new binary, "
                     "then stop this one");
        return;
    default:
        return;
    }
}

/* Wait for a signal or an event, at most until due. The signal, or 0. */
static int wait_event(struct life *l, uint64_t due_ns)
{
    struct pollfd fd[] = {
        {.fd = l->signal_fd, .events = POLLIN},
        {.fd = wp_process_event_fd(l->process), .events = POLLIN},
    };
    uint64_t now = now_ns();
    uint64_t left_ms = due_ns > now ? (due_ns - now) / 1000000u + 1 : 0;
    int sig = 0;

    if (poll(fd, 2, left_ms > 60000 ? 60000 : (int)left_ms) < 0)
        return 0;
    if (fd[0].revents & POLLIN) {
        struct signalfd_siginfo info;

        if (read(l->signal_fd, &info, sizeof(info)) == sizeof(info)) {
            sig = (int)info.ssi_signo;
            on_signal(l, sig);
        }
    }
    if (fd[1].revents & POLLIN) {
        wp_process_reap(l->process);
        if (atomic_exchange(&look_asked, false) && !l->ending)
            wp_reload_if_changed(&l->reloader);
    }
    return sig;
}

static void wait_until(struct life *l, uint64_t due_ns, bool (*is_done)(const struct wp_process *))
{
    while (now_ns() < due_ns && (is_done == NULL || !is_done(l->process)))
        wait_event(l, due_ns);
}

/* Hooks that hold the end up while questions are still answered (health). */
static void lameduck(struct life *l)
{
    const struct wp_gen *gen = wp_process_gen(l->process);

    for (const struct wp_directive *d = gen->conf.directives; d->name != NULL; d++) {
        const struct wp_plugin *p = d->plugin;

        for (unsigned i = 0; p != NULL && p->lameduck != NULL && i < gen->n_blocks; i++) {
            void *self = wp_block_plugin(&gen->blocks[i], p->name);

            if (self != NULL)
                wait_until(l, now_ns() + (uint64_t)p->lameduck(self), NULL);
        }
    }
}

static int end(struct life *l, bool graceful)
{
    uint64_t due;

    l->ending = true;
    if (!graceful)
        pidfile_remove(l->options->pidfile);
    wp_gen_quiesce(wp_process_gen(l->process));
    lameduck(l);
    pidfile_remove(l->options->pidfile);
    due = now_ns() + GRACE_NS;
    if (graceful) {
        wp_process_drain(l->process);
        wait_until(l, due, wp_process_is_drained);
    }
    wp_process_close(l->process);
    wait_until(l, graceful ? due : now_ns() + SECOND_NS, wp_process_is_idle);
    wp_process_reap(l->process); /* draining may have taken all of the time */
    if (!wp_process_is_idle(l->process))
        leave(l, 0); /* a question still waits: its memory cannot be taken apart in order */
    return 0;
}

static int first_start(struct life *l, struct wp_conf_report *report)
{
    const struct wp_run_options *o = l->options;
    struct wp_gen *gen = NULL;
    int r = wp_gen_new(&o->source, o->text, o->len, false, wp_process_workers(l->process), report,
                       &gen);

    if (r < 0)
        return r;
    r = wp_process_apply(l->process, gen, report);
    if (r < 0) {
        if (wp_process_gen(l->process) != gen)
            wp_gen_free(gen);
        return r;
    }
    return 0;
}

static int signals(sigset_t *set)
{
    static const int handled[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2};

    sigemptyset(set);
    for (size_t i = 0; i < WP_COUNT(handled); i++)
        sigaddset(set, handled[i]);
    signal(SIGPIPE, SIG_IGN);
    /* before any thread: all of them inherit it */
    return sigprocmask(SIG_BLOCK, set, NULL) < 0 ? -errno : signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Certificates are looked at often; ticket keys change twice a day, the cookies' secret once. */
static void tend_secrets(struct life *l)
{
    uint64_t now = now_ns();

    if (now >= l->tls_due_ns) {
        wp_gen_refresh_tls(wp_process_gen(l->process));
        wp_trim_look(&l->trim, wp_process_gen(l->process));
        l->tls_due_ns = now + TLS_POLL_S * SECOND_NS;
    }
    if (now >= l->tickets_due_ns) {
        wp_tls_tickets_rotate();
        l->tickets_due_ns = now + WP_TLS_ROTATE_S * SECOND_NS;
    }
    if (now >= l->cookies_due_ns) {
        if (wp_guard_cookie_is_ready() && wp_guard_cookie_rotate() < 0)
            wp_log_print("[WARNING] No randomness for a new cookie secret: the old one goes on");
        l->cookies_due_ns = now + WP_COOKIE_ROTATE_S * SECOND_NS;
    }
}

static int live(struct life *l)
{
    for (;;) {
        int sig;

        tend_secrets(l);
        sig = wait_event(l, l->tls_due_ns);
        if (sig == SIGTERM) {
            wp_log_print("[INFO] SIGTERM: Shutting down servers then terminating");
            return end(l, true);
        }
        if (sig == SIGINT) {
            wp_log_print("[INFO] SIGINT: Shutting down");
            return end(l, false);
        }
    }
}

int wp_run(const struct wp_run_options *o)
{
    struct life l = {.options = o, .signal_fd = -1};
    struct wp_arena arena;
    struct wp_conf_report report;
    sigset_t set;
    int r;

    wp_arena_init(&arena, REPORT_MAX);
    wp_conf_report_init(&report, &arena);
    l.signal_fd = signals(&set);
    r = l.signal_fd < 0 ? l.signal_fd : wp_process_new(&l.process);
    if (r == 0)
        r = wp_log_start(wp_process_workers(l.process) + 1);
    if (r < 0)
        goto out;
    look_fd = wp_process_event_fd(l.process);
    wp_gen_look_again = look_again;
    wp_admin_conf(wp_process_status(l.process), o->source.path);
    l.reloader = (struct wp_reloader){.process = l.process, .source = &o->source};
    r = first_start(&l, &report);
    if (r < 0)
        goto out;
    if (!o->quiet)
        o->announce(wp_process_gen(l.process));
    pidfile_write(o->pidfile);
    wp_reload_say_version(&l.reloader);
    l.tls_due_ns = now_ns() + TLS_POLL_S * SECOND_NS;
    l.tickets_due_ns = now_ns() + WP_TLS_ROTATE_S * SECOND_NS;
    l.cookies_due_ns = now_ns() + WP_COOKIE_ROTATE_S * SECOND_NS;
    r = live(&l);
out:
    if (r < 0) {
        wp_log_fatal("%s", report.first != NULL ? wp_conf_error_text(&report, report.first)
                                                : wp_strerror(r));
        leave(&l, 1);
    }
    wp_process_free(l.process);
    wp_log_stop();
    if (l.signal_fd >= 0)
        close(l.signal_fd);
    wp_arena_done(&arena);
    return 0;
}
