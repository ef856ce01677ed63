/* PROXY headers in front of datagrams, and the sessions of senders that send the header once in a
 * datagram of its own (udp_session_tracking). A worker's own: one peer's datagrams reach one
 * socket. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "waypost/plugin/block.h"
#include "waypost/plugin/query.h"

struct wp_proxy_sessions;

void wp_proxy_sessions_free(struct wp_proxy_sessions *s);
/* Takes the header off q->wire and sets client, local and TLVs. False: nothing may be answered (a
 * bad header, version 1 or one that does not name UDP, a header without payload, a peer that may
 * send none). Bad ones are logged at a limited rate.
 * *sessions is made when first needed; NULL is none. */
bool wp_proxy_datagram(struct wp_proxy_sessions **sessions, const struct wp_proxy_settings *set,
                       struct wp_query *q, uint64_t now_ns);
