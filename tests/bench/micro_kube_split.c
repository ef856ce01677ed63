/* micro_kube_split [MB]: how fast a list of EndpointSlices is taken apart, in pieces of 16 KiB. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backends/kubernetes/split.h"

static size_t n_items;

static int item(void *arg, const char *type, const char *text, size_t len)
{
    (void)arg;
    (void)type;
    (void)text;
    n_items += len > 0;
    return 0;
}

static int skipped(void *arg, const char *type, const char *head, size_t head_len, size_t len)
{
    (void)head_len;
    return item(arg, type, head, len);
}

/* An endpoint as a server writes it, about 300 octets. */
static size_t put_endpoint(char *to, unsigned i)
{
    return (size_t)sprintf(
        to,
        "{\"addresses\":[\"10.%u.%u.%u\"],\"conditions\":{\"ready\":true,\"serving\":true,"
        "\"terminating\":false},\"nodeName\":\"node-%05u.cluster.example\",\"targetRef\":{\"kind\":"
        "\"Pod\",\"namespace\":\"production\",\"name\":\"frontend-7d9f8b6c5-%05x\",\"uid\":"
        "\"0b1f7c4e-6a0e-4b7d-9c55-%012x\"},\"zone\":\"eu-west-1a\"}",
        i >> 16 & 255, i >> 8 & 255, i & 255, i % 5000, i, i);
}

static char *make_list(size_t max, size_t *ret_len)
{
    char *text = malloc(max + 65536);
    size_t len = 0;

    if (text == NULL)
        exit(1);
    len += (size_t)sprintf(
        text, "{\"kind\":\"EndpointSliceList\",\"apiVersion\":\"discovery.k8s.io/v1\",\"metadata\":"
              "{\"resourceVersion\":\"71\"},\"items\":[");
    for (unsigned i = 0; len < max; i++) {
        len += (size_t)sprintf(
            text + len,
            "%s{\"metadata\":{\"name\":\"frontend-%05x\",\"namespace\":\"production\",\"labels\":"
            "{\"kubernetes.io/"
            "service-name\":\"frontend\"}},\"addressType\":\"IPv4\",\"endpoints\":[",
            i > 0 ? "," : "", i);
        for (unsigned j = 0; j < 100; j++) {
            if (j > 0)
                text[len++] = ',';
            len += put_endpoint(text + len, i * 100 + j);
        }
        len += (size_t)sprintf(
            text + len, "],\"ports\":[{\"name\":\"http\",\"port\":8080,\"protocol\":\"TCP\"}]}");
    }
    *ret_len = len + (size_t)sprintf(text + len, "]}");
    return text;
}

int main(int argc, char **argv)
{
    static const struct wp_kube_split_ops ops = {.item = item, .skipped = skipped};
    size_t len, each[] = {16384, 1 << 30};
    char *text = make_list((argc > 1 ? strtoul(argv[1], NULL, 10) : 64) << 20, &len);

    for (size_t k = 0; k < 2; k++) {
        double best = 1e9;
        for (int round = 0; round < 5; round++) {
            struct wp_kube_split *s = wp_kube_split_new(WP_KUBE_LIST, &ops, NULL);
            struct timespec a, b;
            double t;
            n_items = 0;
            clock_gettime(CLOCK_MONOTONIC, &a);
            for (size_t at = 0; at < len; at += each[k])
                if (wp_kube_split_feed(s, text + at, len - at < each[k] ? len - at : each[k]) < 0)
                    return 1;
            clock_gettime(CLOCK_MONOTONIC, &b);
            if (wp_kube_split_end(s, NULL, NULL) < 0)
                return 1;
            wp_kube_split_free(s);
            t = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
            best = t < best ? t : best;
        }
        printf("%s: %.0f MB/s, %zu items\n", k == 0 ? "pieces of 16 KiB" : "one piece",
               (double)len / 1e6 / best, n_items);
    }
    free(text);
    return 0;
}
