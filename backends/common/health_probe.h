/* Are endpoints well? Each distinct target (address, port, what is asked) is probed again and again
 * on the admin loop, once for all who care: a group is one of them (a mirror, with one thread of
 * its own), and holds one probe of each target that its data names.
 *
 * Bounded: so many connections at a time and so many begun each second, whatever the data says;
 * beyond that targets are probed less often. What a target sends is read as far as its status,
 * redirects are not followed, names are not resolved. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "waypost/base/addr.h"
#include "waypost/plugin/loop.h"

enum {
    WP_PROBE_FLYING_MAX = 256,    /* connections at a time */
    WP_PROBE_BEGUN_PER_10MS = 10, /* probes */
    WP_PROBE_TARGETS_MAX = 65536,
    WP_PROBE_PATH_MAX = 255,
    WP_PROBE_TEXT_MAX = WP_ADDR_TEXT_MAX + WP_PROBE_PATH_MAX + 16,
};

/* TCP: the connection comes about. HTTP: GET is answered with a status of 200 to 399. */
enum wp_probe_kind { WP_PROBE_TCP, WP_PROBE_HTTP };
struct wp_probe_spec {
    struct wp_addr to;
    enum wp_probe_kind kind;
    const char *path; /* HTTP; printable, no blanks, begins with a slash */
    size_t path_len;
};
/* "tcp://192.0.2.1:80", "http://[2001:db8::1]:80/healthz". */
const char *wp_probe_spec_text(const struct wp_probe_spec *s, char buf[WP_PROBE_TEXT_MAX]);

/* How often; after how many failures in a row a target counts as down. One success makes it well.
 * Who shares a target gets the shortest times that anybody wants. */
struct wp_probe_terms {
    uint64_t interval_ns, timeout_ns;
    unsigned fails;
};

enum wp_probe_verdict { WP_PROBE_UNKNOWN, WP_PROBE_UP, WP_PROBE_DOWN };
/* Of one probe. LOCAL: it could not be made (no descriptors): that says nothing of the target. */
enum wp_probe_result {
    WP_PROBE_OK,
    WP_PROBE_REFUSED,
    WP_PROBE_UNREACHABLE,
    WP_PROBE_TIMEOUT,
    WP_PROBE_STATUS,
    WP_PROBE_REPLY, /* no HTTP */
    WP_PROBE_LOCAL,
    WP_PROBE_RESULTS,
};
const char *wp_probe_result_text(enum wp_probe_result r);

struct wp_probe_target;
struct wp_probe_group;

/* What a group has of a target; begins a struct of the group's own, of its `size`. */
struct wp_probe {
    struct wp_probe_group *group;
    struct wp_probe_target *target;
    uint32_t refs;                      /* the owner's */
    enum wp_probe_verdict verdict;      /* as last taken; the owner's */
    enum wp_probe_result why;           /* of the last failure */
    struct wp_probe *next;              /* of the target */
    struct wp_probe *next_news, **news; /* news NULL: there are none of it */
};

/* Set by the owner before the first join, with all else zero. */
struct wp_probe_group {
    struct wp_loop *loop; /* the admin loop */
    struct wp_probe_terms terms;
    size_t size;
    /* There are news: once until wp_probe_take has said that there are no more; never after the
     * last probe was left. Admin thread, by a lock: it may post, no more. */
    void (*wake)(struct wp_probe_group *g);
    struct wp_probe *news, **last_news; /* by the lock */
    bool woken;
};

/* The owner's thread. A reference to the group's probe of the target: the verdict is known at once
 * if another group has asked for it before. -ENOMEM; WP_ELIMIT: there are too many targets. */
int wp_probe_join(struct wp_probe_group *g, const struct wp_probe_spec *s,
                  struct wp_probe **ret) WP_MUSTCHECK;
void wp_probe_leave(struct wp_probe *p);
/* The next probe whose verdict has changed, NULL: none. */
struct wp_probe *wp_probe_take(struct wp_probe_group *g);
void wp_probe_spec_of(const struct wp_probe *p, struct wp_probe_spec *ret);
/* Nothing of targets that were left is under way any more. Main thread, the loop runs. */
void wp_probe_settle(struct wp_loop *loop);
