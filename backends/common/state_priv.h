/* What state.c (the life of a source's file, and when), state_write.c and state_read.c share.
 *
 * The file, numbers in network order:
 *
 *   8 octets   WP_STATE_MAGIC
 *   u32        WP_STATE_VERSION
 *   blocks     u32 length of the payload, u8 kind, payload, u32 checksum
 *
 * The checksum (CRC-32) is of everything before it, from the first octet of the file on: blocks can
 * be neither left out nor exchanged. Kinds, in this order:
 *
 *   H  once    i64 time of saving (Unix, ms), u16 length and octets of: backend, meta; u32 length
 *              and octets of: identity
 *   D  any     records: u32 length, octets
 *   E  once    u64 number of records; the file ends here */
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include "backends/common/state.h"
#include "waypost/base/wr.h"

#define WP_STATE_MAGIC "\x89WPSTATE"
enum {
    WP_STATE_VERSION = 1,
    WP_STATE_START = 12, /* octets before the first block */
    WP_STATE_BLOCK_HEAD = 5,
    WP_STATE_CRC = 4,
    WP_STATE_PAYLOAD_MAX = WP_STATE_RECORD_MAX + 4,
    WP_STATE_QUEUE_MAX = 8, /* blocks that wait to be written */
    WP_STATE_IDENTITY_MAX = 64 << 10,
};
enum wp_state_kind { WP_STATE_HEAD = 'H', WP_STATE_RECORDS = 'D', WP_STATE_END = 'E' };

static inline void wp_state_put64(uint8_t *p, uint64_t v)
{
    wp_put32(p, (uint32_t)(v >> 32));
    wp_put32(p + 4, (uint32_t)v);
}

/* On its way to the file; data has room for head and checksum. */
struct wp_state_block {
    struct wp_state_block *next;
    enum wp_state_kind kind;
    size_t len, cap; /* of the payload */
    uint8_t data[];
};
struct wp_state_block *wp_state_block_new(enum wp_state_kind kind, size_t cap); /* NULL: memory */
static inline uint8_t *wp_state_payload(struct wp_state_block *b)
{
    return b->data + WP_STATE_BLOCK_HEAD;
}

/* The checksum of what `crc` is of, followed by these octets. */
uint32_t wp_state_crc(uint32_t crc, const void *octets, size_t len);

/* --- state_write.c: the temporary file; the writing thread's --------------------------------- */

struct wp_state_file {
    const char *dir, *path, *temp;
    uint64_t max;
    int fd; /* -1: none is open */
    uint32_t crc;
    uint64_t octets;
};
/* Lock a file of that name, which is made when it is not there. The descriptor; -EBUSY: it is
 * locked; -errno. */
int wp_state_lock(const char *path) WP_MUSTCHECK;
/* Make and lock the temporary file and write its start. -EBUSY: another process writes it. */
int wp_state_file_open(struct wp_state_file *f) WP_MUSTCHECK;
/* -errno; WP_ELIMIT: larger than may be. */
int wp_state_file_block(struct wp_state_file *f, struct wp_state_block *b) WP_MUSTCHECK;
int wp_state_file_commit(struct wp_state_file *f) WP_MUSTCHECK; /* it is on the disk afterwards */
void wp_state_file_abandon(struct wp_state_file *f); /* nothing of it stays; accepts a closed one */

/* --- state_read.c ---------------------------------------------------------------------------- */

/* Takes over the descriptor. *ret_why after WP_EMALFORMED. */
int wp_state_reader_new(int fd, const struct wp_state_config *c, struct wp_state_info *ret_info,
                        char ret_why[128], struct wp_state_reader **ret) WP_MUSTCHECK;
const char *wp_state_reader_why(const struct wp_state_reader *r);

/* --- state_find.c ---------------------------------------------------------------------------- */

/* Ours, or root's, and nobody else may write it. */
struct stat;
bool wp_state_is_trusted(const struct stat *st);
/* No file of our own: rename the newest one of kin that nobody uses to ours. */
void wp_state_adopt(struct wp_state *s);

/* --- the source ------------------------------------------------------------------------------- */

struct wp_series;
struct wp_state_stats {
    struct wp_series *age, *live, *saved, *octets, *done, *failed;
    _Atomic int64_t known_ms;
};

struct wp_state {
    struct wp_state_config c; /* copies */
    char *path, *temp, *lock_path;
    int lock_fd;    /* -1: not held. Taken when the file is read, later the thread's */
    struct wp_state_stats stats;
    /* the backend's thread: */
    bool dirty, aged;
    uint64_t dirty_ns, began_ns;        /* began 0: never */
    struct wp_state_block *open, *last; /* being filled; the one that ends the save */
    uint64_t n_records, n_left_out;

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    /* by lock: */
    struct wp_state_block *queue, **queue_end;
    unsigned n_queued;
    bool busy, ended, failed, cancel, confirm, stop, gone, orphan;
    _Atomic bool again;         /* the last save failed */
    _Atomic uint64_t last_size; /* of the file, octets */
    /* the thread's: */
    struct wp_state_file file;
    int64_t start_ms;
    uint64_t writing_records, writing_left_out;
    bool told_once;
    int64_t told_failure_ms;
};

/* state_stats.c */
void wp_state_stats_init(struct wp_state *s);
void wp_state_stats_drop(struct wp_state *s);
