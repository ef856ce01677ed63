/* waypost import kube-dns: from its ConfigMap to a Corefile. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/kubernetes/command/commands.h"
#include "backends/kubernetes/kube_dns.h"
#include "waypost/base/arena.h"

enum { ROOM = 64 << 20, IMPORTED = 0, IMPORT_REFUSED = 1, IMPORT_USAGE = 2, IMPORT_FAILED = 3 };

struct import_options {
    const char *domain;
};

static int say(int code, const char *what)
{
    fprintf(stderr, "waypost import kube-dns: %s\n", what);
    return code;
}

/* Standard input to its end, or one octet more than the most. Negative: -errno. */
static int read_all(struct wp_arena *a, char **ret, size_t *ret_len)
{
    size_t n = 0, cap = WP_KUBE_DNS_MAX + 1;
    char *text = wp_arena_alloc(a, cap);

    if (text == NULL)
        return -ENOMEM;
    while (n < cap) {
        ssize_t r = read(STDIN_FILENO, text + n, cap - n);

        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -errno;
        if (r == 0)
            break;
        n += (size_t)r;
    }
    *ret = text;
    *ret_len = n;
    return 0;
}

static int print(const struct wp_kube_dns *k)
{
    wp_kube_dns_corefile(k, stdout);
    if (fflush(stdout) != 0 || ferror(stdout))
        return say(IMPORT_FAILED, "standard output cannot be written");
    /* also where it is read when the output went to a file */
    if (k->n_federations > 0)
        say(0, "note: federations are not carried over; the Corefile names them in a comment");
    if (k->n_unknown > 0)
        say(0, "note: keys that kube-dns does not have are left out; the Corefile names them in a "
               "comment");
    return IMPORTED;
}

static int run(void *options, const struct wp_command_line *line)
{
    const struct import_options *o = options;
    char why[WP_KUBE_DNS_WHY], *text = NULL;
    struct wp_kube_dns k;
    struct wp_arena arena;
    size_t len = 0;
    int r, code;

    (void)line;
    if (isatty(STDIN_FILENO))
        say(0, "reading a ConfigMap from standard input");
    wp_arena_init(&arena, ROOM);
    r = read_all(&arena, &text, &len);
    if (r < 0)
        code = say(IMPORT_FAILED, wp_strerror(r));
    else if (wp_kube_dns_parse(text, len, o->domain, &arena, why, &k) < 0)
        code = say(IMPORT_REFUSED, why);
    else
        code = print(&k);
    wp_arena_done(&arena);
    return code;
}

static const struct wp_arg args[] = {
    {"domain", WP_ARG_TEXT, offsetof(struct import_options, domain), "NAME", "cluster.local",
     "the cluster's domain", 0, 0},
    {0},
};
static const struct wp_exit exits[] = {
    {IMPORTED, "the Corefile is on standard output"},
    {IMPORT_REFUSED, "what stands in the ConfigMap cannot be used: line and word are told"},
    {IMPORT_USAGE, "the command line cannot be read"},
    {IMPORT_FAILED, "reading or writing failed"},
    {0, NULL},
};
static const struct wp_command import_kube_dns = {
    .name = "import kube-dns",
    .words = "< CONFIGMAP",
    .summary = "Print a Corefile that does what a ConfigMap of kube-dns says",
    .text = "The ConfigMap comes from standard input, as YAML or JSON:\n"
            "kubectl -n kube-system get configmap kube-dns -o yaml | waypost import kube-dns\n"
            "Its stubDomains and upstreamNameservers become forward.\n"
            "Federations are named in a comment: Kubernetes gave them up.",
    .args = args,
    .size = sizeof(struct import_options),
    .usage_code = IMPORT_USAGE,
    .exits = exits,
    .run = run,
};

const struct wp_command *const kubernetes_commands[] = {
    &import_kube_dns,
    NULL,
};
