/* register --listen: an agent that keeps the records of many services, told what to do over HTTP.
 * Inside agent*.c. */
#pragma once
#include <pthread.h>
#include "backends/etcd/command/fleet.h"
#include "backends/etcd/command/health.h"
#include "backends/etcd/command/record.h"
#include "waypost/plugin/http_admin.h"
#include "waypost/plugin/loop.h"

enum {
    AGENT_SERVICES_MAX = 10000,
    AGENT_CHECKS_MAX = 256, /* each has a thread */
    AGENT_ID_MAX = 128,
    AGENT_TAGS_MAX = 32,
    AGENT_ROOM = 256 * 1024, /* of one body, taken apart */
    AGENT_BUCKETS = 4096,
    AGENT_CONNS = 512,
};
#define AGENT_TOP "/v1/services"
#define AGENT_SECOND 1000000000ll

/* What a request says of a service; strings are in the arena. */
struct agent_body {
    const char *id, *name, *zone; /* id, zone: or NULL */
    struct etcd_record record;
    int64_t lease_s;     /* 0: not told */
    int64_t check_in_ns; /* 0: none */
    const char *check;   /* of health; NULL: none */
    const char *check_tls_name;
    bool check_insecure;
    int64_t check_interval_ns, check_timeout_ns, check_fails;
};
/* JSON as it came. 0; -ENOMEM; WP_EMALFORMED with why. */
int agent_body_read(const char *text, size_t len, struct wp_arena *a, struct agent_body *ret,
                    char why[ETCD_SAID]) WP_MUSTCHECK;
bool agent_id_ok(const char *id);

struct agent;

/* The loop's, but for what is by the agent's lock. */
struct agent_service {
    struct agent *agent;
    struct agent_service *next; /* in its bucket */
    char *id;
    struct wp_arena arena; /* of the next ones */
    const char *told;      /* the request's body, told_len octets */
    size_t told_len;
    struct agent_body body;
    struct wp_name name;
    char name_text[WP_NAME_TEXT_MAX];
    struct etcd_pair *pairs;
    unsigned n_pairs;
    struct etcd_fleet_item *item;
    struct etcd_health *health;
    struct wp_timer check_in;
    int64_t changed_unix;
    bool is_well;   /* by lock: what the check says; true without one */
    bool is_here;   /* by lock: has checked in; true when it need not */
    bool is_judged; /* by lock: the check has said something */
    char why[160];  /* by lock: of the check */
};

struct agent {
    struct wp_loop *loop;
    struct wp_arena *arena;
    struct etcd_place place;
    const struct etcd_access *access;
    int64_t ttl_s; /* of services that name none */
    const char *check_cacert;
    bool is_remote; /* any Host is taken */
    char *token;    /* "Bearer ..." that every request must show; NULL: none */
    struct etcd_fleet *fleet;
    pthread_mutex_t lock;
    struct agent_service *bucket[AGENT_BUCKETS];
    unsigned n_services, n_checks;
};

/* --- agent_service.c: on the loop ----------------------------------------------------------- */

struct agent_service *agent_find(struct agent *g, const char *id, size_t len);
/* A new service, or another one in the place of that which has its id; the same once more is a sign
 * of life and changes nothing. An HTTP status: 200, 201, or what is wrong, with why. */
int agent_put(struct agent *g, const char *id, const char *text, size_t len, bool may_replace,
              struct agent_service **ret, char why[ETCD_SAID]);
/* Its record goes, it will not be found any more. */
void agent_remove(struct agent_service *s);
/* It says that it is well, or not. False: it need not. */
bool agent_check_in(struct agent_service *s, bool is_well);
/* All of them; the records are the fleet's to take away. */
void agent_forget_all(struct agent *g);

/* --- agent_show.c --------------------------------------------------------------------------- */

/* JSON, from malloc; NULL: no memory. */
char *agent_show(struct agent_service *s, size_t *ret_len);
char *agent_show_all(struct agent *g, size_t *ret_len);
char *agent_show_error(const char *why, size_t *ret_len);

/* --- agent_api.c ---------------------------------------------------------------------------- */

wp_http_fn agent_answer;

/* --- agent.c -------------------------------------------------------------------------------- */

/* Options of `register` that are the agent's. */
struct agent_options {
    const char *listen, *token_file, *check_cacert;
    bool remote;
    int64_t exit_ns, ttl_s;
};
/* Until a signal ends it. An exit code, or negative: the line or the start is wrong, told. */
int agent_run(const struct agent_options *o, const struct etcd_access *access,
              const struct wp_command_line *line, struct wp_arena *arena, bool *ret_must_leave);
