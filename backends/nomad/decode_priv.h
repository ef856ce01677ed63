/* What the readers of Nomad's responses share. */
#pragma once
#include <string.h>
#include "backends/common/json_pull.h"
#include "backends/nomad/decode.h"

struct wp_nomad_decoder {
    struct wp_json_pull json;
    struct wp_arena scratch;
    struct wp_nomad_text name; /* of the service that is being read; empty: not known yet */
    int stop;                  /* what a callback returned */
};

void wp_nomad_decoder_init(struct wp_nomad_decoder *d, const char *text, size_t len);
/* The result of the reading, with why; nothing of the scratch memory is left. */
int wp_nomad_decoder_end(struct wp_nomad_decoder *d, char why[256]) WP_MUSTCHECK;
/* Is it this member? Then it is what messages name. */
bool wp_nomad_member_is(struct wp_nomad_decoder *d, struct wp_json_slice key, const char *name);
struct wp_nomad_text wp_nomad_read_text(struct wp_nomad_decoder *d);
/* Takes over what a callback returned. */
void wp_nomad_told(struct wp_nomad_decoder *d, int r);
static inline bool wp_nomad_text_is(struct wp_nomad_text t, const char *s)
{
    return t.len == strlen(s) && memcmp(t.at, s, t.len) == 0;
}
