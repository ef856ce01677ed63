/* micro_kube_proto FOLDER: what reading the lists of a cluster costs, as JSON and as protobuf: taken apart in pieces
 * of 16 KiB, and each object read. FOLDER as kube_cluster.py fills it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backends/kubernetes/decode.h"
#include "backends/kubernetes/proto_decode.h"
#include "backends/kubernetes/proto_split.h"

enum { PIECE = 16384, ROUNDS = 3 };

struct reading {
    bool proto, decode;
    enum wp_kube_collection collection;
    struct wp_arena arena;
    size_t n, addresses;
};

static double now_s(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int item(void *arg, const char *type, const char *text, size_t len)
{
    static const struct wp_kube_decode_config config;
    struct wp_kube_decode_error e;
    struct wp_kube_object o;
    struct reading *r = arg;
    int err;

    (void)type;
    r->n++;
    if (!r->decode)
        return 0;
    wp_arena_reset(&r->arena);
    err = (r->proto ? wp_kube_proto_decode : wp_kube_decode)(&config, r->collection, text, len,
                                                             &r->arena, &o, &e);
    if (err < 0) {
        fprintf(stderr, "%s\n", e.text);
        return err;
    }
    r->addresses += o.n_ips + o.n_endpoints;
    return 0;
}

static int skipped(void *arg, const char *type, const char *head, size_t head_len, size_t len)
{
    (void)head_len;
    return item(arg, type, head, len);
}

static int feed(struct reading *r, const char *text, size_t len)
{
    static const struct wp_kube_split_ops ops = {.item = item, .skipped = skipped};
    struct wp_kube_proto_split *p = wp_kube_proto_split_new(WP_KUBE_LIST, &ops, r);
    struct wp_kube_split *s = wp_kube_split_new(WP_KUBE_LIST, &ops, r);
    int err = p == NULL || s == NULL ? -ENOMEM : 0;

    for (size_t at = 0; err == 0 && at < len; at += PIECE) {
        size_t n = len - at < PIECE ? len - at : PIECE;
        err = r->proto ? wp_kube_proto_split_feed(p, text + at, n)
                       : wp_kube_split_feed(s, text + at, n);
    }
    if (err == 0)
        err = r->proto ? wp_kube_proto_split_end(p, NULL) : wp_kube_split_end(s, NULL, NULL);
    wp_kube_proto_split_free(p);
    wp_kube_split_free(s);
    return err;
}

static void measure(const char *folder, enum wp_kube_collection c, bool proto)
{
    double best[2] = {1e9, 1e9};
    struct reading r = {.proto = proto, .collection = c};
    char path[4096];
    struct stat st;
    char *text;
    int fd;

    snprintf(path, sizeof(path), "%s/%s.%s", folder, wp_kube_collection_name(c), proto ? "pb" : "json");
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        perror(path);
        exit(1);
    }
    text = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    wp_arena_init(&r.arena, 0);
    for (int round = 0; round < 2 * ROUNDS; round++) {
        double start = now_s();
        r.n = r.addresses = 0;
        r.decode = round % 2;
        if (text == MAP_FAILED || feed(&r, text, (size_t)st.st_size) < 0)
            exit(1);
        start = now_s() - start;
        best[round % 2] = start < best[round % 2] ? start : best[round % 2];
    }
    printf("%-14s %-8s %7.1f MB, %6zu objects, %6zu addresses: split %6.1f ms, with decoding %6.1f ms "
           "(%.0f MB/s)\n",
           wp_kube_collection_name(c), proto ? "protobuf" : "JSON", (double)st.st_size / 1e6, r.n,
           r.addresses, best[0] * 1e3, best[1] * 1e3, (double)st.st_size / 1e6 / best[1]);
    wp_arena_done(&r.arena);
    munmap(text, (size_t)st.st_size);
    close(fd);
}

int main(int argc, char **argv)
{
    static const enum wp_kube_collection all[] = {WP_KUBE_SERVICES, WP_KUBE_SLICES, WP_KUBE_PODS};

    if (argc != 2) {
        fprintf(stderr, "micro_kube_proto FOLDER\n");
        return 1;
    }
    for (size_t i = 0; i < 3; i++)
        for (int proto = 0; proto < 2; proto++)
            measure(argv[1], all[i], proto);
    return 0;
}
