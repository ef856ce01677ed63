#include "backends/nomad/saved.h"

#include <string.h>

#include "waypost/base/hash.h"
#include "waypost/base/rd.h"
#include "waypost/base/wr.h"

/* flags, covered, lengths of the names, number of instances, octets; each instance; the octets. */
enum {
    HEAD = 4 + 4 + 4,
    INSTANCE = 16 + 2 + 3 * 2 + 4 + 2 * 2 + 4,
    ON_DEMAND = 1,
    UNHEALTHY = 1,
};

size_t wp_nomad_saved_size(const struct wp_nomad_service *v)
{
    return HEAD + (size_t)v->n * INSTANCE + v->octets_len;
}

static void put_instance(struct wp_wr *wr, const struct wp_nomad_instance *i)
{
    wp_wr_bytes(wr, i->addr, sizeof(i->addr));
    wp_wr_u8(wr, i->family);
    wp_wr_u8(wr, i->unhealthy ? UNHEALTHY : 0);
    wp_wr_u16(wr, i->port);
    wp_wr_u16(wr, i->priority);
    wp_wr_u16(wr, i->weight);
    wp_wr_u32(wr, i->text);
    wp_wr_u16(wr, i->host_len);
    wp_wr_u16(wr, i->n_tags);
    wp_wr_u32(wr, i->tags_len);
}

void wp_nomad_saved_write(const struct wp_nomad_service *v, uint8_t *to)
{
    struct wp_wr wr = wp_wr_to(to, wp_nomad_saved_size(v));

    wp_wr_u8(&wr, v->on_demand ? ON_DEMAND : 0);
    wp_wr_u8(&wr, v->covered);
    wp_wr_u8(&wr, v->name_len);
    wp_wr_u8(&wr, v->namespace_len);
    wp_wr_u32(&wr, v->n);
    wp_wr_u32(&wr, v->octets_len);
    for (uint32_t i = 0; i < v->n; i++)
        put_instance(&wr, &v->instances[i]);
    wp_wr_bytes(&wr, wp_nomad_service_octets(v), v->octets_len);
}

/* --- reading ----------------------------------------------------------------------------------- */

/* The tags are as many as it says, and end where it says. */
static bool tags_fit(const char *octets, const struct wp_nomad_instance *i)
{
    uint32_t at = i->text + i->host_len, end = at + i->tags_len;
    unsigned n = 0;

    for (; at < end; n++) {
        uint32_t len = (uint8_t)octets[at++];
        if (len > end - at)
            return false;
        at += len;
    }
    return n == i->n_tags;
}

static bool read_instance(struct wp_rd *rd, struct wp_nomad_service *v, struct wp_nomad_instance *i)
{
    const uint8_t *addr = wp_rd_bytes(rd, sizeof(i->addr));
    unsigned flags;

    if (addr == NULL)
        return false;
    memcpy(i->addr, addr, sizeof(i->addr));
    i->family = (uint8_t)wp_rd_u8(rd);
    flags = wp_rd_u8(rd);
    i->port = (uint16_t)wp_rd_u16(rd);
    i->priority = (uint16_t)wp_rd_u16(rd);
    i->weight = (uint16_t)wp_rd_u16(rd);
    i->text = wp_rd_u32(rd);
    i->host_len = (uint16_t)wp_rd_u16(rd);
    i->n_tags = (uint16_t)wp_rd_u16(rd);
    i->tags_len = wp_rd_u32(rd);
    if (flags > UNHEALTHY || i->family > WP_NOMAD_IPV6 || (i->family != WP_NOMAD_HOST && i->host_len > 0) ||
        i->text > v->octets_len || i->host_len > v->octets_len - i->text ||
        i->tags_len > v->octets_len - i->text - i->host_len)
        return false;
    i->unhealthy = flags == UNHEALTHY;
    v->n_of[i->family]++;
    v->n_unhealthy += i->unhealthy;
    return true;
}

static bool read_body(struct wp_rd *rd, struct wp_nomad_service *v)
{
    const uint8_t *octets;
    uint32_t names = (uint32_t)v->name_len + v->namespace_len;

    for (uint32_t n = 0; n < v->n; n++)
        if (!read_instance(rd, v, &v->instances[n]))
            return false;
    octets = wp_rd_bytes(rd, v->octets_len);
    if (octets == NULL || wp_rd_left(rd) != 0 || names > v->octets_len)
        return false;
    memcpy((char *)(uintptr_t)wp_nomad_service_octets(v), octets, v->octets_len);
    for (uint32_t n = 0; n < v->n; n++)
        if (v->instances[n].text < names || !tags_fit((const char *)octets, &v->instances[n]))
            return false;
    return true;
}

int wp_nomad_saved_read(const uint8_t *rec, size_t len, struct wp_nomad_service **ret)
{
    struct wp_rd rd = wp_rd_from(rec, len);
    unsigned flags = wp_rd_u8(&rd), covered = wp_rd_u8(&rd), name = wp_rd_u8(&rd),
             namespace = wp_rd_u8(&rd);
    uint32_t n = wp_rd_u32(&rd), octets = wp_rd_u32(&rd);
    struct wp_nomad_service *v;

    if (len < HEAD || (uint64_t)n * INSTANCE + octets != len - HEAD || flags > ON_DEMAND ||
        covered > WP_NOMAD_COVERED_ONCE || name > WP_NOMAD_NAME_MAX || namespace > WP_NOMAD_NAME_MAX ||
        namespace == 0 || (name == 0 && n > 0))
        return WP_EMALFORMED;
    v = wp_nomad_service_alloc(n, octets);
    if (v == NULL)
        return -ENOMEM;
    v->on_demand = flags & ON_DEMAND;
    v->covered = (uint8_t)covered;
    v->name_len = (uint8_t)name;
    v->namespace_len = (uint8_t)namespace;
    if (!read_body(&rd, v)) {
        wp_nomad_service_free(v);
        return WP_EMALFORMED;
    }
    v->hash = wp_nomad_hash(wp_nomad_service_name(v), name, wp_nomad_service_namespace(v), namespace);
    *ret = v;
    return 0;
}
