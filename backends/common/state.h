/* Saved state: the last known data of one source in a file, so that a start with the backend away
 * answers at once. What a record is only the backend knows; here are the file and its life:
 *
 *   a save   goes record by record into blocks that a thread of its own writes to a temporary file,
 *            which replaces the old one when it is whole and on the disk: a crash at any moment
 *            leaves a file that can be read. The backend's thread never waits: it encodes some
 *            blocks, does other work, goes on.
 *   reading  hands records over block by block. Nothing counts before the end was reached: what is
 *            torn, changed, of another source or of another version is set aside (NAME.bad, one is
 *            kept) and told with the reason.
 *
 * A file is named after backend and identity, and holds the identity word for word: two sources
 * never mix. A lock beside it (NAME.lock) is held while the source lives: of two processes with one
 * directory the second one reads, but says that it does not save. Files of other users are not
 * believed. Everything is the backend's thread's unless it says otherwise. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "waypost/base/err.h"

struct wp_state;
struct wp_state_reader;

enum {
    WP_STATE_DELAY_MS = 1000,       /* after a change, so that a burst is written once */
    WP_STATE_EVERY_MS = 30000,      /* a file is not written more often, */
    WP_STATE_AGED_MS = 60000,       /* nor for small changes of times, */
    WP_STATE_AGED_RATE = 1000,      /* and then no more octets in each millisecond on average */
    WP_STATE_STOP_MS = 5000,        /* a disk that hangs does not hold up the end for longer */
    WP_STATE_BLOCK = 128 << 10,     /* about 1 ms of work for whoever encodes or decodes it */
    WP_STATE_RECORD_MAX = 16 << 20, /* octets */
    WP_STATE_META_MAX = 256,
};
#define WP_STATE_OCTETS_MAX (UINT64_C(1) << 30)

/* Words are copied. */
struct wp_state_config {
    const char *dir;      /* made, 0700, when it is not there */
    const char *backend;  /* "etcd" */
    const char *source;   /* as metrics and log lines name it */
    const char *identity; /* everything that tells this source from others; no secrets */
    uint64_t max_octets;  /* of the file; 0: WP_STATE_OCTETS_MAX */
    /* Is what was saved under that identity, `len` octets, good for this source, too? When there is no
     * file of the source's own, the newest such is taken over. NULL: none is. */
    bool (*is_kin)(const char *identity, const char *other, size_t len);
};
/* Any thread. 0, -ENOMEM, or -errno of the thread. Touches no file. */
int wp_state_new(const struct wp_state_config *c, struct wp_state **ret) WP_MUSTCHECK;
/* Any thread. A save that has been ended is finished first, one that has not is given up. Accepts
 * NULL. */
void wp_state_free(struct wp_state *s);
const char *wp_state_path(const struct wp_state *s);
int64_t wp_state_clock_ms(void); /* Unix time: what files are stamped with */

/* --- reading ------------------------------------------------------------------------------- */

struct wp_state_info {
    int64_t saved_ms; /* when the save began */
    int64_t known_ms; /* when the data was last known to be good: that, or later */
    size_t meta_len;
    uint8_t meta[WP_STATE_META_MAX]; /* the backend's */
};
/* 0; WP_ENOTFOUND: nothing is saved; WP_EMALFORMED: it has been set aside; -ENOMEM, -errno (told).
 * No save may run. */
int wp_state_open(struct wp_state *s, struct wp_state_info *ret_info,
                  struct wp_state_reader **ret) WP_MUSTCHECK;
/* The record is valid during the call. 0, -ENOMEM, WP_EMALFORMED: no record of the backend. */
typedef int wp_state_record_fn(void *arg, const uint8_t *rec, size_t len);
/* The next block. 1: there is more; 0: that was all, and all was good; WP_EMALFORMED: the file was
 * bad and has been set aside, what it gave must be forgotten; -ENOMEM, -errno (told). */
int wp_state_next(struct wp_state_reader *r, wp_state_record_fn *fn, void *arg) WP_MUSTCHECK;
void wp_state_close(struct wp_state_reader *r); /* accepts NULL */

/* --- saving -------------------------------------------------------------------------------- */

/* Something is worth saving: changed data, or times that moved on (leases). */
void wp_state_changed(struct wp_state *s, uint64_t now_ns);
void wp_state_aged(struct wp_state *s, uint64_t now_ns);
/* When to begin a save (monotonic); UINT64_MAX: nothing to do, or one is being written. */
uint64_t wp_state_due(const struct wp_state *s);
bool wp_state_is_dirty(const struct wp_state *s);
/* All is on the disk: nothing is dirty, nor on its way there, where it may still fail. */
bool wp_state_is_settled(struct wp_state *s);
/* The data is what is saved, still: only the file's time moves. */
void wp_state_confirm(struct wp_state *s);

/* A save: begin, room for each record, end; or cancel. -EBUSY: the one before is being written;
 * -ENOMEM. */
int wp_state_begin(struct wp_state *s, uint64_t now_ns, const void *meta, size_t len) WP_MUSTCHECK;
/* Room for one record, to be filled before the next call. -EAGAIN: the disk has not caught up, come
 * back a little later; WP_ELIMIT: larger than WP_STATE_RECORD_MAX, leave it out; -ENOMEM or
 * WP_ECANCELLED (writing has failed, and was told): cancel. */
int wp_state_room(struct wp_state *s, size_t len, uint8_t **ret) WP_MUSTCHECK;
/* No more records. -EAGAIN, WP_ECANCELLED as above. Afterwards the outcome is the thread's to tell;
 * a failure makes the data dirty again. */
int wp_state_end(struct wp_state *s) WP_MUSTCHECK;
void wp_state_cancel(struct wp_state *s);
/* The end came and a save did not: whatever uses this directory is not waited for any more. */
void wp_state_hangs(struct wp_state *s);
bool wp_state_is_hung(const struct wp_state *s);
bool wp_state_is_busy(struct wp_state *s); /* a save has begun and is not on the disk yet */

/* --- what is served, for metrics ------------------------------------------------------------- */
enum wp_state_data { WP_STATE_NOTHING, WP_STATE_SAVED, WP_STATE_LIVE };
/* known_ms: since when the data is only the last known (Unix time); 0: it is current. Any thread.
 */
void wp_state_serves(struct wp_state *s, enum wp_state_data what, int64_t known_ms);
