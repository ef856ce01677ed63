/* gRPC framing (each message: flag octet, four octets of length, message) and CoreDNS's DnsPacket
 * (`bytes msg = 1`), by hand: one field needs no allocation and no generated code.
 * No I/O here: octets come as the HTTP/2 DATA frames bring them. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "waypost/base/err.h"

enum {
    WP_GRPC_HEAD_LEN = 5,
    /* A DNS message in a DnsPacket: tag and a length of three octets. */
    WP_GRPC_PACKET_MAX = 65535 + 4,
    /* Room for everything before the DNS message in a frame. */
    WP_GRPC_DNS_HEAD_MAX = WP_GRPC_HEAD_LEN + 4,
};

/* Where the reader of one stream stands. */
struct wp_grpc_reader {
    uint32_t max;              /* octets a message may have */
    uint32_t len, left;        /* of the message: announced, still to come; set with the head */
    uint8_t head[WP_GRPC_HEAD_LEN];
    uint8_t n_head;            /* octets of the head that are here */
    bool compressed;           /* the flag of the message now read */
    bool complete;             /* a message has ended; the next octet begins another */
};

void wp_grpc_reader_init(struct wp_grpc_reader *r, uint32_t max);
/* Take octets: part of a head, or a piece of a message. Call again while octets are left.
 * *ret_piece and *ret_len are the piece, inside data (length 0: none); r->complete is set when
 * it ends the message (also of an empty message, then without a piece).
 * @return octets consumed, at least 1 when len > 0; WP_ELIMIT when more than max is announced
 *         (before any of it is taken); WP_EMALFORMED for flags other than 0 and 1. After an error
 *         the reader is of no more use. */
int wp_grpc_read(struct wp_grpc_reader *r, const uint8_t *data, size_t len,
                 const uint8_t **ret_piece, size_t *ret_len) WP_MUSTCHECK;
/* May the stream end here? False in the middle of a frame. */
bool wp_grpc_reader_is_between(const struct wp_grpc_reader *r);

/* The head of an uncompressed message of len octets. */
void wp_grpc_head(uint8_t head[WP_GRPC_HEAD_LEN], uint32_t len);

/* The DNS message in a DnsPacket: a view into data, length 0 when the field is absent. Unknown
 * fields are skipped, of several messages the last one counts (proto3).
 * @return 0, or WP_EMALFORMED: not protobuf, a group, field 1 of another type */
int wp_dns_packet_read(const uint8_t *data, size_t len, const uint8_t **ret_msg,
                       size_t *ret_len) WP_MUSTCHECK;
/* Everything that stands before a DNS message of msg_len (at most 65535) octets in a gRPC frame;
 * returns its length. */
size_t wp_dns_packet_head(uint8_t buf[WP_GRPC_DNS_HEAD_MAX], size_t msg_len);
