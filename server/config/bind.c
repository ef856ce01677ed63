/* All instances of a configuration, directive by directive in the one order, all blocks in file
 * order for each: so a directive can rely on what those before it have set. */
#include <string.h>

#include "server/config/bind_priv.h"

static bool has_line(const struct wp_block *block, const char *name)
{
    for (unsigned i = 0; i < block->n_lines; i++) {
        if (strcmp(block->lines[i].words[0], name) == 0)
            return true;
    }
    return false;
}

/* Room for one node of each directive that can be in the block. */
static int make_room(struct binder *b, struct wp_block *block)
{
    unsigned n = 0;

    for (const struct wp_directive *d = b->directives; d->name != NULL; d++)
        n += d->plugin != NULL && has_line(block, d->name);
    block->all = wp_arena_array(b->arena, n, sizeof(*block->all));
    block->chain = wp_arena_array(b->arena, n, sizeof(*block->chain));
    return block->all != NULL && block->chain != NULL ? 0 : -ENOMEM;
}

static int set_up(struct binder *b, struct wp_block *block, const struct wp_plugin *p)
{
    struct wp_node node = {.plugin = p};
    int r = conf_instance(b, block, p, &node.self);

    if (node.self == NULL)
        return r;
    block->all[block->n_all++] = node;
    if (p->in_chain != NULL ? p->in_chain(node.self) : !p->config_only) {
        if (block->n_chain == WP_CHAIN_MAX)
            return wp_conf_report_add(b->report, WP_CONF_PARSE, p->name, block->file, block->line,
                                      "more than %d plugins in one server block", WP_CHAIN_MAX);
        block->chain[block->n_chain++] = node;
    }
    block->has_filter |= p->filter != NULL;
    block->has_metadata |= strcmp(p->name, "metadata") == 0;
    return r;
}

static int set_up_all(struct binder *b, struct wp_block *blocks, unsigned n)
{
    for (const struct wp_directive *d = b->directives; d->name != NULL; d++) {
        for (unsigned i = 0; d->plugin != NULL && i < n; i++) {
            if (has_line(&blocks[i], d->name) && set_up(b, &blocks[i], d->plugin) == -ENOMEM)
                return -ENOMEM;
        }
    }
    return 0;
}

int wp_conf_bind(const struct wp_conf *conf, uint16_t default_port, bool check_only, void *gen,
                 struct wp_arena *arena, struct wp_conf_report *report,
                 struct wp_block **ret_blocks, unsigned *ret_n)
{
    struct binder b = {.arena = arena,
                       .report = report,
                       .directives = conf->directives,
                       .default_port = default_port,
                       .check_only = check_only};
    struct wp_block *blocks = wp_arena_array(arena, conf->n_blocks, sizeof(*blocks));
    unsigned before = report->n;
    int r = 0;

    if (blocks == NULL)
        return -ENOMEM;
    *ret_blocks = blocks;
    *ret_n = conf->n_blocks;
    for (unsigned i = 0; r == 0 && i < conf->n_blocks; i++) {
        blocks[i].gen = gen;
        blocks[i].index = i;
        r = conf_block_init(&b, &conf->blocks[i], &blocks[i]);
        if (r == 0)
            r = make_room(&b, &blocks[i]);
    }
    if (r == 0)
        r = set_up_all(&b, blocks, conf->n_blocks);
    if (r == 0)
        r = conf_conflicts(&b, blocks, conf->n_blocks);
    if (r == 0 && report->n > before)
        r = WP_ECONFIG;
    return r;
}

void wp_conf_unbind(struct wp_block *blocks, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        for (unsigned j = 0; j < blocks[i].n_all; j++) {
            if (blocks[i].all[j].plugin->stop != NULL)
                blocks[i].all[j].plugin->stop(blocks[i].all[j].self);
        }
        blocks[i].n_all = blocks[i].n_chain = 0;
    }
}

void *wp_block_plugin(const struct wp_block *b, const char *name)
{
    for (unsigned i = 0; i < b->n_all; i++) {
        if (strcmp(b->all[i].plugin->name, name) == 0)
            return b->all[i].self;
    }
    return NULL;
}
