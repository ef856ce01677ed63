/* A saved file. Three ways in, told by the first octet: the rest is a file, or records of a file
 * that is made here, or one key of etcd. Properties: a file that reads to its end holds what it
 * says; records come back as they were saved; a file of which one octet was changed, or that was
 * cut, does not read; a key that reads makes a record that is saved and read back the same. */
#include "fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

#include "backends/common/state_priv.h"
#include "backends/etcd/saved.h"

static const struct wp_state_config config = {
    .backend = "etcd", .identity = "fuzz", .max_octets = 1 << 20};

struct seen {
    const uint8_t *records; /* what must come, or NULL */
    size_t len, at;
    uint64_t n;
};

static int on_record(void *arg, const uint8_t *rec, size_t len)
{
    struct seen *s = arg;

    CHECK(len <= WP_STATE_RECORD_MAX);
    if (s->records != NULL) {
        CHECK(len <= s->len - s->at && memcmp(rec, s->records + s->at, len) == 0);
        s->at += len;
    } else if (len > 0 && rec[0] == 0xff) {
        return WP_EMALFORMED;
    }
    s->n++;
    return 0;
}

/* Reads to the end? */
static int read_file(int fd, struct seen *seen)
{
    struct wp_state_reader *r = NULL;
    struct wp_state_info info = {0};
    char why[128] = "";
    int e;

    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    e = wp_state_reader_new(dup(fd), &config, &info, why, &r);
    if (e < 0) {
        CHECK(e == WP_EMALFORMED && why[0] != '\0');
        return e;
    }
    CHECK(info.meta_len <= WP_STATE_META_MAX && info.known_ms <= wp_state_clock_ms());
    while ((e = wp_state_next(r, on_record, seen)) == 1)
        ;
    CHECK(e == 0 || (e == WP_EMALFORMED && wp_state_reader_why(r)[0] != '\0'));
    wp_state_close(r);
    return e;
}

static void put(int fd, const void *p, size_t len)
{
    CHECK(ftruncate(fd, 0) == 0 && pwrite(fd, p, len, 0) == (ssize_t)len);
}

static void put_block(struct wp_state_file *f, enum wp_state_kind kind, const uint8_t *p, size_t n)
{
    struct wp_state_block *b = wp_state_block_new(kind, n);

    CHECK(b != NULL);
    memcpy(wp_state_payload(b), p, n);
    b->len = n;
    CHECK(wp_state_file_block(f, b) == 0);
    free(b);
}

/* Records of lengths that the data itself tells. Returns their number. */
static uint64_t make_file(struct wp_state_file *f, const uint8_t *data, size_t size)
{
    static const uint8_t head[] = "\0\0\0\0\0\0\0\1\0\4etcd\0\0\0\0\0\4fuzz";
    uint8_t start[WP_STATE_START] = WP_STATE_MAGIC, count[8], record[4 + 256];
    uint64_t n = 0;

    wp_put32(start + 8, WP_STATE_VERSION);
    put(f->fd, start, sizeof(start));
    CHECK(lseek(f->fd, 0, SEEK_END) == (off_t)sizeof(start));
    f->octets = sizeof(start);
    f->crc = wp_state_crc(0, start, sizeof(start));
    put_block(f, WP_STATE_HEAD, head, sizeof(head) - 1);
    for (size_t at = 0; at < size; n++) {
        size_t len = data[at] + 1u < size - at ? data[at] + 1u : size - at;
        wp_put32(record, (uint32_t)len);
        memcpy(record + 4, data + at, len);
        put_block(f, WP_STATE_RECORDS, record, 4 + len);
        at += len;
    }
    wp_state_put64(count, n);
    put_block(f, WP_STATE_END, count, sizeof(count));
    return n;
}

static void check_round_trip(int fd, const uint8_t *data, size_t size, unsigned change)
{
    struct wp_state_file f = {.fd = fd, .max = 1 << 20};
    struct seen seen = {.records = data, .len = size};
    uint64_t n = make_file(&f, data, size);
    off_t at = (off_t)(change * 7919u % f.octets);
    uint8_t octet;

    CHECK(read_file(fd, &seen) == 0 && seen.n == n && seen.at == size);
    CHECK(pread(fd, &octet, 1, at) == 1);
    octet ^= (uint8_t)(1u << change % 8);
    CHECK(pwrite(fd, &octet, 1, at) == 1);
    seen = (struct seen){.records = data, .len = size};
    CHECK(read_file(fd, &seen) == WP_EMALFORMED);
    octet ^= (uint8_t)(1u << change % 8);
    CHECK(pwrite(fd, &octet, 1, at) == 1 && ftruncate(fd, at) == 0);
    seen = (struct seen){.records = data, .len = size};
    CHECK(read_file(fd, &seen) == WP_EMALFORMED);
}

static struct wp_etcd_rec *record_of(const struct wp_etcd_saved *s)
{
    struct wp_etcd_lease *lease = s->lease.id != 0 ? (struct wp_etcd_lease *)(uintptr_t)16 : NULL;
    struct wp_etcd_rec *rec = wp_etcd_rec_new(s->key, s->key_len, &s->value, lease, 0, 1);

    CHECK(rec != NULL);
    return rec;
}

static void check_key(const uint8_t *data, size_t size)
{
    struct wp_etcd_saved first, second;
    struct wp_etcd_rec *rec, *again;
    uint8_t *octets;

    if (wp_etcd_saved_read(data, size, &first) < 0)
        return;
    rec = record_of(&first);
    octets = malloc(wp_etcd_saved_size(rec));
    CHECK(octets != NULL);
    wp_etcd_saved_write(rec, &first.lease, octets);
    CHECK(wp_etcd_saved_read(octets, wp_etcd_saved_size(rec), &second) == 0);
    again = record_of(&second);
    CHECK(wp_etcd_rec_equal(rec, again) && first.lease.id == second.lease.id &&
          first.lease.end_ms == second.lease.end_ms && first.key_len == second.key_len &&
          memcmp(first.key, second.key, first.key_len) == 0);
    wp_etcd_rec_free(rec);
    wp_etcd_rec_free(again);
    free(octets);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    struct seen seen = {0};

    if (fd < 0)
        fd = memfd_create("fuzz", MFD_CLOEXEC);
    CHECK(fd >= 0);
    if (size < 2 || size > 100000)
        return 0;
    if (data[0] == 'R') {
        check_round_trip(fd, data + 2, size - 2, data[1] * 131u + (unsigned)size);
    } else if (data[0] == 'K') {
        check_key(data + 1, size - 1);
    } else {
        put(fd, data + 1, size - 1);
        (void)read_file(fd, &seen);
    }
    return 0;
}
