#include "backends/etcd/command/agent.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "waypost/base/addr.h"

enum { BACKLOG = 128, TOKEN_MAX = 512 };
static const char who[] = "register";

/* --- the socket ----------------------------------------------------------------------------- */

/* Where it listens: a path, or an address. */
struct place {
    const char *path; /* NULL: */
    struct wp_addr addr;
};

static bool is_loopback(const struct wp_addr *a)
{
    static const uint8_t one[16] = {[15] = 1};

    return a->family == 4 ? a->ip[0] == 127 : memcmp(a->ip, one, sizeof(one)) == 0;
}

static int read_listen(const struct agent_options *o, struct place *ret)
{
    char text[64];

    *ret = (struct place){0};
    if (strncmp(o->listen, "unix:", 5) == 0) {
        ret->path = o->listen + 5;
        if (*ret->path == '\0' || strlen(ret->path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
            return etcd_say(who, "--listen %s: not a path that a socket may have", o->listen);
        return 0;
    }
    snprintf(text, sizeof(text), "%s", o->listen);
    if (strncasecmp(text, "localhost:", 10) == 0)
        snprintf(text, sizeof(text), "127.0.0.1:%.10s", o->listen + 10);
    if (strrchr(text, ':') == NULL || wp_addr_parse(text, 0, &ret->addr) < 0)
        return etcd_say(who, "--listen %s: ADDRESS:PORT or unix:PATH is wanted", o->listen);
    if (!is_loopback(&ret->addr) && (!o->remote || o->token_file == NULL))
        return etcd_say(who,
                        "--listen %s: other hosts could register there: --listen-remote and "
                        "--token-file are wanted for that",
                        o->listen);
    return 0;
}

/* One that an agent has left behind is taken away; one that listens is not. */
static int bind_path(int fd, const struct sockaddr_un *to)
{
    mode_t before = umask(0117); /* its user and group */
    int r = bind(fd, (const struct sockaddr *)to, sizeof(*to)), probe;

    if (r < 0 && errno == EADDRINUSE) {
        probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        r = probe < 0 ? -1 : connect(probe, (const struct sockaddr *)to, sizeof(*to));
        if (probe >= 0 && r < 0 && errno == ECONNREFUSED && unlink(to->sun_path) == 0)
            r = bind(fd, (const struct sockaddr *)to, sizeof(*to));
        else if (probe < 0 || r == 0 || errno != ECONNREFUSED)
            r = (errno = EADDRINUSE, -1);
        if (probe >= 0) {
            int e = errno;
            close(probe);
            errno = e;
        }
    }
    umask(before);
    return r < 0 ? -errno : 0;
}

static int open_socket(struct place *p)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct sockaddr_storage ss;
    socklen_t len = p->path == NULL ? wp_addr_to_sockaddr(&p->addr, &ss) : 0;
    int on = 1, r,
        fd = socket(p->path != NULL ? AF_UNIX : ss.ss_family,
                    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    if (p->path != NULL) {
        strcpy(un.sun_path, p->path);
        r = bind_path(fd, &un);
    } else {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        r = bind(fd, (struct sockaddr *)&ss, len) < 0 ? -errno : 0;
    }
    if (r == 0 && listen(fd, BACKLOG) < 0)
        r = -errno;
    if (r < 0) {
        close(fd);
        return r;
    }
    if (p->path == NULL) { /* tells the port when 0 was asked for */
        len = sizeof(ss);
        getsockname(fd, (struct sockaddr *)&ss, &len);
        wp_addr_from_sockaddr((struct sockaddr *)&ss, &p->addr);
    }
    return fd;
}

/* --- start ---------------------------------------------------------------------------------- */

static int read_token(struct agent *g, const char *path)
{
    char text[TOKEN_MAX + 2];
    size_t n;
    FILE *f;

    if (path == NULL)
        return 0;
    f = fopen(path, "re");
    if (f == NULL)
        return etcd_say(who, "%s: %s", path, strerror(errno));
    n = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    text[n] = '\0';
    n = strcspn(text, "\r\n");
    if (n == 0 || n > TOKEN_MAX || strcspn(text, " \t") < n)
        return etcd_say(who, "%s: a word of at most %d octets is wanted", path, TOKEN_MAX);
    g->token = wp_arena_printf(g->arena, "Bearer %.*s", (int)n, text);
    return g->token == NULL ? etcd_say(who, "out of memory") : 0;
}

static int open_page(struct agent *g, struct place *p, struct wp_http_page **ret)
{
    const struct wp_http_site site = {
        .path = AGENT_TOP, .below = true, .takes_body = true, .fn = agent_answer, .arg = g};
    int fd = open_socket(p), r = fd;

    if (fd >= 0) {
        r = wp_http_open_on(g->loop, fd, AGENT_CONNS, &site, ret);
        if (r < 0)
            close(fd);
    }
    return r < 0 ? r : 0;
}

/* --- life ----------------------------------------------------------------------------------- */

static void wait_for_end(const struct etcd_signals *signals)
{
    struct signalfd_siginfo info;

    for (;;) {
        ssize_t n = read(signals->fd, &info, sizeof(info));
        int sig = n == (ssize_t)sizeof(info) ? (int)info.ssi_signo : 0;

        if (sig == SIGTERM || sig == SIGINT || sig == SIGHUP || sig == SIGQUIT)
            return;
        while (sig == SIGCHLD && waitpid(-1, NULL, WNOHANG) > 0) /* of the first process */
            ;
        if (n < 0 && errno != EINTR)
            return;
    }
}

static void forget_all(void *arg, struct wp_loop *loop)
{
    (void)loop;
    agent_forget_all(arg);
}

/* False: the process must end by _exit. */
static bool end(struct agent *g, struct wp_http_page *page, const struct agent_options *o,
                const struct etcd_teller *t)
{
    unsigned left;
    bool clean;

    etcd_notify(t, "STOPPING=1");
    wp_http_close(page);
    wp_loop_call(g->loop, forget_all, g);
    clean = etcd_fleet_stop(g->fleet, (unsigned)(o->exit_ns / 1000000), &left);
    if (left > 0)
        etcd_tell(t, "left", "%u records end with their leases", left);
    return clean;
}

static int serve(struct agent *g, const struct agent_options *o, struct place *p, bool *ret_clean)
{
    char text[WP_ADDR_TEXT_MAX], why[256];
    struct etcd_teller t = {
        .name = "agent", .json = g->access->json, .notify = getenv("NOTIFY_SOCKET")};
    struct wp_http_page *page = NULL;
    struct etcd_signals signals;
    int r = etcd_signals_take(&signals);

    if (r < 0)
        return etcd_say(who, "%s", wp_strerror(r));
    r = etcd_fleet_new(&g->place.src, g->access->json, why, &g->fleet);
    if (r < 0) {
        etcd_signals_give_back(&signals);
        return etcd_say(who, "%s", why);
    }
    r = open_page(g, p, &page);
    if (r == 0) {
        etcd_tell(&t, "listening", "listening on %s",
                  p->path != NULL ? p->path : wp_addr_text(&p->addr, text));
        etcd_notify(&t, "READY=1");
        wait_for_end(&signals);
        *ret_clean = end(g, page, o, &t);
        if (p->path != NULL)
            unlink(p->path);
    } else {
        unsigned left;
        etcd_say(who, "--listen %s: %s", o->listen, wp_strerror(r));
        *ret_clean = etcd_fleet_stop(g->fleet, 0, &left);
    }
    etcd_signals_give_back(&signals);
    return r;
}

int agent_run(const struct agent_options *o, const struct etcd_access *access,
              const struct wp_command_line *line, struct wp_arena *arena, bool *ret_must_leave)
{
    struct agent *g = wp_arena_zalloc(arena, sizeof(*g));
    struct place p;
    bool clean = true;
    int r = g == NULL ? etcd_say(who, "out of memory") : read_listen(o, &p);

    if (r < 0)
        return r;
    *g = (struct agent){
        .loop = line->loop,
        .arena = arena,
        .access = access,
        .ttl_s = o->ttl_s,
        .check_cacert = o->check_cacert,
        .is_remote = o->remote,
        .place = {.who = who, .arena = arena},
        .lock = PTHREAD_MUTEX_INITIALIZER,
    };
    r = read_token(g, o->token_file);
    if (r == 0)
        r = etcd_access_open(access, line, NULL, &g->place);
    if (r == 0)
        r = serve(g, o, &p, &clean);
    *ret_must_leave = !clean;
    return r;
}
