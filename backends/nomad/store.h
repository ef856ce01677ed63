/* The services that one source knows, and its namespaces, which are services without a name. One thread
 * writes; the workers read without locks, within one turn of their loop (waypost/base/grace.h). What is
 * published never changes but for its two times; a change is another block in the same slot. */
#pragma once
#include "backends/nomad/service.h"
#include "waypost/base/err.h"

struct wp_nomad_store;

/* source: for the keys of wp_changed. 0 or -ENOMEM. */
int wp_nomad_store_new(uint64_t source, struct wp_nomad_store **ret) WP_MUSTCHECK;
void wp_nomad_store_free(struct wp_nomad_store *s); /* no reader left; accepts NULL */

/* --- writer: one thread ------------------------------------------------------------------------ */

/* A service to be filled in and put, with room for so much; zeros. NULL: memory. */
struct wp_nomad_service *wp_nomad_service_alloc(uint32_t n, uint32_t octets_len);
void wp_nomad_service_free(struct wp_nomad_service *v); /* one that was not put */
/* Publish it, in the place of the one with the same name. It belongs to the store from here on, also
 * when it fails. -ENOMEM: nothing has changed. */
int wp_nomad_store_put(struct wp_nomad_store *s, struct wp_nomad_service *v) WP_MUSTCHECK;
void wp_nomad_store_remove(struct wp_nomad_store *s, struct wp_nomad_service *v);
struct wp_nomad_service *wp_nomad_store_get(const struct wp_nomad_store *s, uint64_t hash,
                                            const char *name, size_t name_len,
                                            const char *namespace, size_t namespace_len);
/* Whatever is answered of the service may be another thing from now on. */
void wp_nomad_store_touch(const struct wp_nomad_store *s, const struct wp_nomad_service *v);
/* All of them, in no order: start with *at 0; NULL at the end. Nothing may be put meanwhile but with
 * wp_nomad_store_tables looked at. */
struct wp_nomad_service *wp_nomad_store_each(const struct wp_nomad_store *s, size_t *at);
unsigned wp_nomad_store_tables(const struct wp_nomad_store *s); /* counts up when the order changes */
/* Free what no reader can see any more; how many blocks still wait. */
size_t wp_nomad_store_reap(void);

/* --- any thread -------------------------------------------------------------------------------- */

struct wp_nomad_figures {
    size_t services, instances; /* namespaces and what is known not to exist do not count */
    size_t octets;
};
struct wp_nomad_figures wp_nomad_store_figures(const struct wp_nomad_store *s);

/* Key of wp_changed of a service, there or not. */
uint64_t wp_nomad_store_key(const struct wp_nomad_store *s, uint64_t hash);

/* Readers, within one turn. NULL: not there. */
const struct wp_nomad_service *wp_nomad_store_find(const struct wp_nomad_store *s, uint64_t hash,
                                                   const char *name, size_t name_len,
                                                   const char *namespace, size_t namespace_len);
void wp_nomad_store_prefetch(const struct wp_nomad_store *s, uint64_t hash, unsigned step);
