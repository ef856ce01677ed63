/* What there is under a name, and the records made of it. The service points into the store: within the
 * loop's turn. */
#pragma once
#include "backends/nomad/name.h"
#include "waypost/dns/rr.h"

enum { NOMAD_ASKED_PLAIN = 1, NOMAD_ASKED_TAGGED = 2 };

struct nomad_answer {
    struct nomad *p;
    struct wp_query *q;
    struct nomad_name name;
    const struct wp_nomad_key *key; /* the reading that was looked at last: one of `name` */
    const struct wp_nomad_service *service; /* of that, when it is there */
    const uint8_t *tag;             /* only instances with this one, or NULL */
    unsigned asked;                 /* which readings have been asked for */
    /* instances that count for the type that is asked, in the order of the API */
    const struct wp_nomad_instance **pick;
    uint32_t n_picks;
    unsigned lower_at; /* where the reply has the question name in lower case, 0: nowhere yet */
    bool broken;     /* one that is a host name ended them (NOMAD_HOSTS_FAIL) */
    bool has_hosts;  /* some of them are host names */
    bool all_unwell; /* there were no others */
};

/* The readings of the name, one after the other; what is found hangs on each that was looked at. */
enum wp_nomad_known nomad_find(struct nomad_answer *a);
/* The service is there or there is none: DONE, WAIT or an error. */
int nomad_answer(struct nomad_answer *a, enum wp_nomad_known known);
/* Nobody can tell whether there is one. */
int nomad_cannot_tell(struct nomad_answer *a);
/* The reply stands: tell if the data is old; count. Returns r. */
int nomad_finish(struct nomad_answer *a, int r);

/* Fill in `pick`. 0 or -ENOMEM. */
int nomad_pick(struct nomad_answer *a) WP_MUSTCHECK;

/* Address records of `pick` (of one family: the others have been left out), SRV records with their glue. The
 * reply is begun; what fits no message is cut (TC). 0 or a negative error. */
int nomad_write_addresses(struct nomad_answer *a) WP_MUSTCHECK;
int nomad_write_srv(struct nomad_answer *a) WP_MUSTCHECK;
/* Octets where records of len octets end up, n of them at most: as many as fit. */
uint8_t *nomad_room(struct wp_query *q, size_t len, uint32_t *n);

/* A reply without records but the SOA: DONE or an error. */
int nomad_deny(struct nomad_answer *a, uint16_t rcode);
/* NODATA, or what CoreDNS says instead. */
int nomad_no_data(struct nomad_answer *a);
/* An instance that is no address has ended the answer: its records stand, the rest of it is a name error. */
int nomad_write_broken(struct nomad_answer *a) WP_MUSTCHECK;
/* Where the reply has the question name in lower case; in its question, if nowhere else. */
unsigned nomad_lower_at(const struct nomad_answer *a);
void nomad_lower_is_at(struct nomad_answer *a, unsigned at);

/* Ask for a->key and go on when it is known. Returns as serve(). */
int nomad_wait(struct nomad_answer *a);
/* Addresses of instances that are host names, through the whole server. Returns as serve(). */
int nomad_resolve(struct nomad_answer *a);
/* The host name of an instance that has one; false: it is none. */
bool nomad_host_name(const struct nomad_answer *a, const struct wp_nomad_instance *i,
                     struct wp_name *ret);
/* A host name stands where an address should: said once. */
void nomad_tell_host(const struct nomad_answer *a, const struct wp_nomad_instance *i);

/* For a question that is explained. */
void nomad_explain(const struct nomad_answer *a, enum wp_nomad_known known);
