#include "backends/common/zone_load.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include "backends/common/zone_text.h"
#include "waypost/base/rd.h"
#include "waypost/dns/types.h"

/* --- what is loaded -------------------------------------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
enum { LOADED_LISTS = 1024 };
/* By lock; zones with files, by their source, some perhaps on their way out. */
static struct wp_zone *loaded[LOADED_LISTS];

static struct wp_zone **loaded_list(uint64_t source)
{
    return &loaded[source % LOADED_LISTS];
}

uint64_t wp_zone_source(const char *path, const struct wp_name *origin)
{
    return wp_hash_mix(wp_hash_bytes(path, strlen(path)), wp_name_hash(origin->wire));
}

bool wp_zone_files_same(const struct wp_zone_file *files)
{
    for (const struct wp_zone_file *f = files; f != NULL; f = f->next) {
        struct wp_zone_file now = {0};
        struct stat st;

        if (stat(f->path, &st) < 0)
            return false;
        wp_zone_file_stat(&now, &st);
        if (now.device != f->device || now.inode != f->inode || now.size != f->size ||
            now.mtime_ns != f->mtime_ns)
            return false;
    }
    return files != NULL;
}

/* A reference, unless the last one is just being given up. */
static bool ref_if_alive(struct wp_zone *z)
{
    unsigned n = atomic_load(&z->refs);

    while (n > 0) {
        if (atomic_compare_exchange_weak(&z->refs, &n, n + 1))
            return true;
    }
    return false;
}

static struct wp_zone *find_loaded(const struct wp_zone_load *l)
{
    uint64_t source = wp_zone_source(l->path, l->origin);
    struct wp_zone *found = NULL;

    pthread_mutex_lock(&lock);
    for (struct wp_zone *z = *loaded_list(source); z != NULL && found == NULL; z = z->next_loaded) {
        if (z->source == source && strcmp(z->files->path, l->path) == 0 &&
            wp_name_equal(z->origin.wire, l->origin->wire) && wp_zone_files_same(z->files) &&
            ref_if_alive(z))
            found = z;
    }
    pthread_mutex_unlock(&lock);
    return found;
}

static void remember(struct wp_zone *z)
{
    pthread_mutex_lock(&lock);
    z->next_loaded = *loaded_list(z->source);
    *loaded_list(z->source) = z;
    pthread_mutex_unlock(&lock);
}

void wp_zone_forget(struct wp_zone *z)
{
    if (z->files == NULL)
        return;
    pthread_mutex_lock(&lock);
    for (struct wp_zone **at = loaded_list(z->source); *at != NULL; at = &(*at)->next_loaded) {
        if (*at == z) {
            *at = z->next_loaded;
            break;
        }
    }
    pthread_mutex_unlock(&lock);
}

/* --- loading --------------------------------------------------------------------------------- */

struct loader {
    struct wp_zone_load *l;
    struct wp_zone_maker *maker;
    bool seen_soa;
    char origin[WP_NAME_TEXT_MAX];
};

const char *wp_zone_file_error(struct wp_arena *a, const char *verb, const char *path, int err)
{
    char why[64];
    const char *text =
        wp_arena_printf(a, "%s %s: %s", verb, path, wp_zone_errno_text(err, why, sizeof(why)));

    return text == NULL ? wp_strerror(err) : text;
}

static int refuse(struct loader *ld, const char *error)
{
    ld->l->error = error;
    return error == NULL ? -ENOMEM : WP_ECONFIG;
}

static int64_t serial_of(const struct wp_zone_rr *rr)
{
    int mname = wp_name_len(rr->rdata, rr->rdlen);
    int rname = wp_name_len(rr->rdata + mname, rr->rdlen - (size_t)mname);

    return wp_be32(rr->rdata + mname + rname);
}

static int take_soa(struct loader *ld, const struct wp_zone_rr *rr)
{
    struct wp_zone_load *l = ld->l;
    char owner[WP_NAME_TEXT_MAX];

    if (!wp_name_equal(rr->owner->wire, l->origin->wire))
        return refuse(ld,
                      wp_arena_printf(l->arena,
                                      "file \"%s\" has SOA owner %s that does not match origin %s",
                                      l->path, wp_name_text(rr->owner->wire, owner), ld->origin));
    if (!ld->seen_soa && serial_of(rr) == l->known_serial)
        return WP_EEXISTS;
    ld->seen_soa = true;
    return 0;
}

static int take(void *arg, const struct wp_zone_rr *rr)
{
    struct loader *ld = arg;
    struct wp_zone_load *l = ld->l;
    char owner[WP_NAME_TEXT_MAX], cls[16];
    int r;

    if (l->cancel != NULL && atomic_load_explicit(l->cancel, memory_order_relaxed))
        return WP_ECANCELLED;
    if (rr->cls != WP_CLASS_IN)
        return refuse(ld, wp_arena_printf(l->arena,
                                          "failed to parse file \"%s\" for origin %s with error "
                                          "%s: class %s is not served at line: %u",
                                          l->path, ld->origin, rr->file,
                                          wp_class_text(rr->cls, cls), rr->line));
    if (rr->type == WP_TYPE_NSEC3 || rr->type == WP_TYPE_NSEC3PARAM)
        return refuse(ld, wp_arena_printf(
                              l->arena, "NSEC3 zone is not supported, dropping RR: %s for zone: %s",
                              wp_name_text(rr->owner->wire, owner), ld->origin));
    if (rr->type == WP_TYPE_SOA) {
        r = take_soa(ld, rr);
        if (r != 0)
            return r;
    }
    return wp_zone_maker_add(ld->maker, rr->owner->wire, rr->type, rr->ttl, rr->rdata, rr->rdlen);
}

int wp_zone_files_copy(struct wp_arena *a, const struct wp_zone_file *files,
                       const struct wp_zone_file **ret)
{
    const struct wp_zone_file *first = NULL, **last = &first;

    for (const struct wp_zone_file *f = files; f != NULL; f = f->next) {
        struct wp_zone_file *copy = wp_arena_dup(a, f, sizeof(*f));

        if (copy == NULL || (copy->path = wp_arena_strdup(a, f->path)) == NULL)
            return -ENOMEM;
        copy->next = NULL;
        *last = copy;
        last = (const struct wp_zone_file **)&copy->next;
    }
    *ret = first;
    return 0;
}

static int finish(struct loader *ld, const struct wp_zone_text *t)
{
    struct wp_zone_load *l = ld->l;
    struct wp_zone *z = NULL;
    int r;

    if (!ld->seen_soa)
        return refuse(ld, wp_arena_printf(l->arena, "file \"%s\" has no SOA record for origin %s",
                                          l->path, ld->origin));
    r = wp_zone_maker_finish(ld->maker, wp_zone_source(l->path, l->origin), &z);
    if (r == WP_ELIMIT)
        return refuse(ld, wp_arena_printf(
                              l->arena, "file \"%s\" has too many types at one name for origin %s",
                              l->path, ld->origin));
    if (r == 0)
        r = wp_zone_files_copy(&z->arena, t->files, &z->files);
    if (r < 0) {
        wp_zone_unref(z);
        return r;
    }
    remember(z);
    l->zone = z;
    return 0;
}

int wp_zone_load(struct wp_zone_load *l)
{
    struct loader ld = {.l = l};
    struct wp_zone_text t = {.arena = l->arena, .fn = take, .arg = &ld};
    struct wp_zone *z = find_loaded(l);
    int r;

    l->zone = NULL;
    l->shared = false;
    l->files = NULL;
    l->error = NULL;
    if (z != NULL && z->serial != l->known_serial)
        goto shared;
    wp_zone_unref(z); /* its serial is the known one: reading the file says that too */
    wp_name_text(l->origin->wire, ld.origin);
    r = wp_zone_maker_new(l->origin, &ld.maker);
    if (r < 0)
        return r;
    r = wp_zone_text_read(&t, l->path, l->origin);
    l->files = t.files;
    if (r == WP_EMALFORMED)
        r = refuse(&ld, wp_arena_printf(l->arena,
                                        "failed to parse file \"%s\" for origin %s with error %s",
                                        l->path, ld.origin, t.error));
    if (r == 0)
        r = finish(&ld, &t);
    wp_zone_maker_free(ld.maker);
    return r;
shared:
    l->zone = z;
    l->files = z->files;
    l->shared = true;
    return 0;
}
