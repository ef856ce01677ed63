/* load TRANSPORT -p PORT [-P PID] [-l SECONDS] [-c CONNECTIONS] [-q DEPTH] [-n NAMES] [-r RATE]
 * [-f NAME] [-1] [-R] Asks 127.0.0.1 for hNNNNNNN.bench.test A over udp, tcp, dot, doh, get (DoH by
 * GET) or grpc (without TLS), and prints one line of JSON: answers per second and, with PID, the
 * CPU time that the server spent for each. -1: a connection for each question; -R: with the ticket
 * of an earlier one. -f: names of another form, each run of # being the last digits of a number
 * (UDP). -r: so many questions a second (UDP), and how long replies took. SIGINT ends it early.
 * tests/bench/run is what people call. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/load.h"

enum { WARM_MS = 300 };

_Noreturn void load_die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

bool load_form(struct load *l, const char *name)
{
    static const uint8_t head[12] = "\0\0\1\0\0\1\0\0\0\0\0\0", tail[5] = "\0\0\1\0\1";
    size_t len = strlen(name), at = sizeof(head), label = at;

    if (len == 0 || len > LOAD_QUESTION_MAX - sizeof(head) - 1 - sizeof(tail))
        return false;
    memset(l->places, 0, sizeof(l->places));
    memcpy(l->form, head, at);
    l->form[at++] = 0;
    for (size_t i = 0; i <= len; i++) {
        if (name[i] == '.' || name[i] == '\0') {
            if (at - label - 1 == 0 || at - label - 1 > 63)
                return false;
            l->form[label] = (uint8_t)(at - label - 1);
            label = at;
            l->form[at++] = 0;
            continue;
        }
        if (strspn(name + i, "#") > 9)
            return false;
        l->places[at] = name[i] == '#' ? (uint8_t)(strspn(name + i, "#")) : 0;
        l->form[at++] = (uint8_t)(name[i] == '#' ? '0' : name[i]);
    }
    memcpy(l->form + label, tail, sizeof(tail));
    l->question = label + sizeof(tail);
    return true;
}

void load_question(struct load *l, uint8_t *to)
{
    uint8_t digits[16] = {0};
    uint32_t n;

    /* A stride that shares no factor with any size in use visits every name, in no order that a
     * server's memory would like. */
    l->next = (uint32_t)(((uint64_t)l->next + 7919) % l->names);
    n = l->next;
    for (unsigned i = 1; n != 0; i++, n /= 10)
        digits[i] = (uint8_t)(n % 10);
    for (size_t i = 0; i < l->question; i++)
        to[i] = (uint8_t)(l->form[i] + digits[l->places[i]]);
}

void load_reply(struct load *l, const uint8_t *msg, size_t len)
{
    if (len > l->question && (msg[2] & 0x80) != 0 && (msg[3] & 15) == 0 && (msg[6] | msg[7]) != 0)
        l->right++;
    else
        l->wrong++;
    l->octets += len;
}

uint64_t load_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Seconds of CPU that a process and its children (NSD's) have had, 0 without a pid. */
static double cpu_of(long pid)
{
    char path[64];
    struct timespec t;
    clockid_t clock;
    double sum;
    FILE *f;

    if (pid <= 0 || clock_getcpuclockid((pid_t)pid, &clock) != 0 || clock_gettime(clock, &t) < 0)
        return 0;
    sum = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
    snprintf(path, sizeof(path), "/proc/%ld/task/%ld/children", pid, pid);
    if ((f = fopen(path, "re")) == NULL)
        return sum;
    for (long child; fscanf(f, "%ld", &child) == 1;)
        sum += cpu_of(child);
    fclose(f);
    return sum;
}

static enum load_transport transport(const char *word)
{
    static const char *const words[] = {"udp", "tcp", "dot", "doh", "get", "grpc"};

    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (word != NULL && strcmp(word, words[i]) == 0)
            return (enum load_transport)i;
    fprintf(stderr, "load: a transport: udp, tcp, dot, doh, get, grpc\n");
    exit(2);
}

static volatile sig_atomic_t enough; /* SIGINT: what was measured so far is told */

static void on_interrupt(int number)
{
    (void)number;
    enough = 1;
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

/* In milliseconds; over_1ms: how many took longer. */
static void print_waits(struct load *l)
{
    size_t n = l->n_waits, over = n;

    qsort(l->waits, n, sizeof(l->waits[0]), by_size);
    while (over > 0 && l->waits[over - 1] > 1000)
        over--;
    if (n != 0)
        printf(", \"p50\": %.3f, \"p99\": %.3f, \"p999\": %.3f, \"max\": %.3f, \"over_1ms\": %zu",
               l->waits[n / 2] / 1e3, l->waits[n * 99 / 100] / 1e3, l->waits[n * 999 / 1000] / 1e3,
               l->waits[n - 1] / 1e3, n - over);
}

static void measure(struct load *l, double seconds, long pid)
{
    void (*turn)(struct load *) = l->transport == LOAD_UDP ? load_udp_turn : load_stream_turn;
    uint64_t start = load_now_ns() + WARM_MS * 1000000u, end;
    double cpu, took;

    while (load_now_ns() < start)
        turn(l);
    l->right = l->wrong = l->lost = l->octets = l->resumed = l->asked = l->pace_ns = 0;
    l->n_waits = 0;
    cpu = cpu_of(pid);
    start = load_now_ns();
    end = start + (uint64_t)(seconds * 1e9);
    while (load_now_ns() < end && !enough)
        turn(l);
    cpu = cpu_of(pid) - cpu;
    took = (double)(load_now_ns() - start) / 1e9;
    printf("{\"answers\": %lu, \"per_s\": %.0f, \"wrong\": %lu, \"lost\": %lu, \"busy\": %.3f, "
           "\"us\": %.3f, \"octets\": %lu, \"resumed\": %lu",
           (unsigned long)l->right, (double)l->right / took, (unsigned long)l->wrong,
           (unsigned long)l->lost, cpu / took, l->right != 0 ? cpu * 1e6 / (double)l->right : 0,
           (unsigned long)l->octets, (unsigned long)l->resumed);
    if (l->rate > 0)
        print_waits(l);
    puts("}");
}

int main(int argc, char **argv)
{
    struct load l = {.conns = 8, .depth = 32, .names = 10000};
    const char *form = "h#######.bench.test";
    double seconds = 2;
    long pid = 0;

    for (int c; (c = getopt(argc, argv, "p:P:l:c:q:n:r:f:1R")) != -1;)
        switch (c) {
        case 'p':
            l.port = (uint16_t)atoi(optarg);
            break;
        case 'P':
            pid = atol(optarg);
            break;
        case 'l':
            seconds = atof(optarg);
            break;
        case 'c':
            l.conns = (unsigned)atoi(optarg);
            break;
        case 'q':
            l.depth = (unsigned)atoi(optarg);
            break;
        case 'n':
            l.names = (uint32_t)atol(optarg);
            break;
        case 'r':
            l.rate = atof(optarg);
            break;
        case 'f':
            form = optarg;
            break;
        case '1':
            l.once = true;
            break;
        case 'R':
            l.once = l.resume = true;
            break;
        default:
            return 2;
        }
    l.transport = transport(argv[optind]);
    signal(SIGINT, on_interrupt);
    if (l.once)
        l.depth = 1;
    if (l.port == 0 || seconds <= 0 || l.conns - 1 >= LOAD_CONNS_MAX ||
        l.depth - 1 >= LOAD_DEPTH_MAX || l.names - 1 >= 9999999 || !load_form(&l, form) ||
        (l.transport != LOAD_UDP && l.question != LOAD_QUESTION)) {
        fprintf(stderr, "load: see its source for the options and their ranges\n");
        return 2;
    }
    if (l.rate > 0 && (l.transport != LOAD_UDP ||
                       (l.waits = malloc(LOAD_WAITS_MAX * sizeof(l.waits[0]))) == NULL)) {
        fprintf(stderr, "load: a rate is for udp\n");
        return 2;
    }
    if (l.transport == LOAD_UDP)
        load_udp_open(&l);
    else
        load_stream_open(&l);
    measure(&l, seconds, pid);
    return l.right != 0 ? 0 : 1;
}
