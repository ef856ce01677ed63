/* A load of DNS questions for one server: what all transports share. Closed loop: a fixed number of
 * questions is in flight, so the server sets the pace, unless a rate is given. One thread, no
 * allocation in the UDP loop.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum load_transport { LOAD_UDP, LOAD_TCP, LOAD_DOT, LOAD_DOH, LOAD_GET, LOAD_GRPC };
/* Header, "h0000000.bench.test.", type A, class IN: all questions of a run have one length, with
 * names of another form (UDP) at most so many octets. */
enum {
    LOAD_QUESTION = 37,
    LOAD_QUESTION_MAX = 12 + 255 + 4,
    LOAD_DEPTH_MAX = 256,
    LOAD_CONNS_MAX = 256
};

struct load {
    enum load_transport transport;
    uint16_t port;         /* at 127.0.0.1 */
    unsigned conns, depth; /* depth: questions in flight for each connection or socket */
    bool once;             /* a connection for each question, with a whole TLS handshake */
    bool resume;           /* or with one that the last connection's ticket shortens */
    uint32_t names, next;  /* names h0000000 to names - 1 are in the zone */
    uint8_t form[LOAD_QUESTION_MAX];   /* the question of number 0, */
    uint8_t places[LOAD_QUESTION_MAX]; /* and which digit of the number an octet is, from 1 on; 0:
                                          none */
    size_t question;
    double rate; /* questions per second, of UDP; 0: as many as the server takes */
    uint64_t right, wrong, lost;
    uint64_t octets, resumed; /* of replies; connections that a ticket shortened */
    uint64_t asked, pace_ns;  /* with a rate: since then, 0: it begins */
    uint32_t *waits;          /* with a rate: microseconds to each reply, LOAD_WAITS_MAX at most */
    size_t n_waits;
};
enum { LOAD_WAITS_MAX = 1 << 24 };

/* The form of questions: a name in which each run of # stands for the last digits of the number.
 * false: it is no name. */
bool load_form(struct load *l, const char *name);
/* The next question, of l->question octets, its id 0. */
void load_question(struct load *l, uint8_t *to);
/* Counts a reply: right is one with answers, without error. */
void load_reply(struct load *l, const uint8_t *msg, size_t len);
/* Ends the program: the server or the machine is not fit for a measurement. */
_Noreturn void load_die(const char *what);
uint64_t load_now_ns(void);

/* One turn: read what came (wait 20 ms at most), ask anew. */
void load_udp_open(struct load *l);
void load_udp_turn(struct load *l);
void load_stream_open(struct load *l);
void load_stream_turn(struct load *l);

/* HTTP/2 of one connection: octets in, octets out. Requests to /dns-query or the gRPC method. */
struct load_h2;
struct load_h2 *load_h2_new(struct load *l);
void load_h2_free(struct load_h2 *h);
/* Asks until `depth` are in flight. */
void load_h2_ask(struct load_h2 *h);
/* false: the server has ended it. */
bool load_h2_read(struct load_h2 *h, const uint8_t *data, size_t len);
/* Octets to send, valid until the next call; 0: none. */
size_t load_h2_pending(struct load_h2 *h, const uint8_t **ret_data);
