/* The checks of an allocation, by their ID. */
#include <errno.h>
#include <string.h>

#include "backends/nomad/decode_priv.h"

int wp_nomad_decode_checks(const char *text, size_t len,
                           int (*fn)(void *arg, struct wp_nomad_text service, bool ok), void *arg,
                           char why[256])
{
    struct wp_nomad_decoder d;
    struct wp_json_slice id, key;

    wp_nomad_decoder_init(&d, text, len);
    for (wp_json_pull_enter(&d.json, '{'); wp_json_pull_member(&d.json, &id);) {
        struct wp_nomad_text service = {"", 0}, status = {"", 0};
        wp_arena_reset(&d.scratch);
        d.json.field = "check";
        for (wp_json_pull_enter(&d.json, '{'); wp_json_pull_member(&d.json, &key);) {
            if (wp_nomad_member_is(&d, key, "Service"))
                service = wp_nomad_read_text(&d);
            else if (wp_nomad_member_is(&d, key, "Status"))
                status = wp_nomad_read_text(&d);
            else
                wp_json_pull_skip(&d.json);
        }
        if (d.json.error == 0 && service.len > 0)
            wp_nomad_told(&d, fn(arg, service, !wp_nomad_text_is(status, "failure")));
    }
    return wp_nomad_decoder_end(&d, why);
}
