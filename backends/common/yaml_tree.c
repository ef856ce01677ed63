#include "backends/common/yaml_tree.h"

#include <stdio.h>
#include <string.h>
#include "waypost/base/arena.h"

enum { DEPTH_MAX = 64, EVENTS_MAX = 100000, ANCHORS_MAX = 256 };

const yaml_node_t *wp_yaml_root(struct wp_yaml *y)
{
    return yaml_document_get_root_node(&y->doc);
}

const yaml_node_t *wp_yaml_node(struct wp_yaml *y, int id)
{
    return yaml_document_get_node(&y->doc, id);
}

int wp_yaml_refuse(struct wp_yaml *y, const yaml_node_t *at, const char *word, const char *what)
{
    snprintf(y->why, WP_YAML_WHY, "%sline %zu: %.80s%s%s", y->before,
             y->line + at->start_mark.line + 1, word, word[0] != '\0' ? ": " : "", what);
    return WP_ECONFIG;
}

const char *wp_yaml_scalar(const yaml_node_t *n)
{
    return n != NULL && n->type == YAML_SCALAR_NODE ? (const char *)n->data.scalar.value : NULL;
}

bool wp_yaml_is_null(const yaml_node_t *n)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};

    if (n == NULL)
        return true;
    if (n->type != YAML_SCALAR_NODE || n->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    for (size_t i = 0; i < WP_COUNT(words); i++)
        if (strcmp(words[i], wp_yaml_scalar(n)) == 0)
            return true;
    return false;
}

int wp_yaml_member(struct wp_yaml *y, const yaml_node_t *map, const char *name,
                   const yaml_node_t **ret)
{
    *ret = NULL;
    if (wp_yaml_is_null(map))
        return 0;
    if (map->type != YAML_MAPPING_NODE)
        return wp_yaml_refuse(y, map, name, "stands in something that is not a mapping");
    for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top;
         p++) {
        const yaml_node_t *key = wp_yaml_node(y, p->key);
        const char *word = wp_yaml_scalar(key);
        if (word == NULL)
            continue;
        if (strcmp(word, "<<") == 0)
            return wp_yaml_refuse(y, key, word, "merged mappings are not supported");
        if (strcmp(word, name) == 0)
            *ret = wp_yaml_node(y, p->value);
    }
    if (wp_yaml_is_null(*ret))
        *ret = NULL;
    return 0;
}

int wp_yaml_text(struct wp_yaml *y, const yaml_node_t *map, const char *name, const char **ret)
{
    const yaml_node_t *n;
    int e = wp_yaml_member(y, map, name, &n);

    *ret = NULL;
    if (e < 0 || n == NULL)
        return e;
    if (n->type != YAML_SCALAR_NODE)
        return wp_yaml_refuse(y, n, name, "is not a text");
    if (memchr(n->data.scalar.value, '\0', n->data.scalar.length) != NULL)
        return wp_yaml_refuse(y, n, name, "holds a NUL");
    if (n->data.scalar.length == 0)
        return 0;
    *ret = wp_arena_strndup(y->arena, wp_yaml_scalar(n), n->data.scalar.length);
    return *ret != NULL ? 0 : -ENOMEM;
}

/* --- reading it ----------------------------------------------------------------------------- */

/* Of octets that are no text only the offset is told: the parser reads ahead of its mark. */
static size_t problem_line(const struct wp_yaml *y, const yaml_parser_t *parser)
{
    size_t line = 0;

    if (parser->error != YAML_READER_ERROR)
        return parser->problem_mark.line;
    for (size_t i = 0; i < parser->problem_offset && i < y->len; i++)
        line += y->text[i] == '\n';
    return line;
}

static int not_yaml(struct wp_yaml *y, const yaml_parser_t *parser)
{
    if (parser->error == YAML_MEMORY_ERROR)
        return -ENOMEM;
    snprintf(y->why, WP_YAML_WHY, "%syaml: line %zu: %.120s", y->before,
             y->line + problem_line(y, parser) + 1,
             parser->problem != NULL ? parser->problem : "not YAML");
    return WP_ECONFIG;
}

static bool has_anchor(const yaml_event_t *e)
{
    return (e->type == YAML_SCALAR_EVENT && e->data.scalar.anchor != NULL) ||
           (e->type == YAML_SEQUENCE_START_EVENT && e->data.sequence_start.anchor != NULL) ||
           (e->type == YAML_MAPPING_START_EVENT && e->data.mapping_start.anchor != NULL);
}

/* libyaml takes time that grows with the square of the depth, and of the number of anchors, so
 * these are looked at first, event by event. */
static int check_depth(struct wp_yaml *y, yaml_parser_t *parser)
{
    unsigned depth = 0, n = 0, anchors = 0;

    for (bool done = false; !done;) {
        yaml_event_t e;
        if (!yaml_parser_parse(parser, &e))
            return not_yaml(y, parser);
        if (e.type == YAML_SEQUENCE_START_EVENT || e.type == YAML_MAPPING_START_EVENT)
            depth++;
        else if (e.type == YAML_SEQUENCE_END_EVENT || e.type == YAML_MAPPING_END_EVENT)
            depth--;
        anchors += has_anchor(&e);
        done = e.type == YAML_DOCUMENT_END_EVENT || e.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&e);
        if (depth > DEPTH_MAX || ++n > EVENTS_MAX || anchors > ANCHORS_MAX) {
            snprintf(y->why, WP_YAML_WHY, "%syaml: line %zu: too %s", y->before,
                     y->line + parser->mark.line + 1, depth > DEPTH_MAX ? "deep" : "much");
            return WP_ECONFIG;
        }
    }
    return 0;
}

static int load(struct wp_yaml *y, yaml_parser_t *parser)
{
    return yaml_parser_load(parser, &y->doc) ? 0 : not_yaml(y, parser);
}

/* Runs fn over the text from its beginning. */
static int with_parser(struct wp_yaml *y, int (*fn)(struct wp_yaml *y, yaml_parser_t *parser))
{
    yaml_parser_t parser;
    int e;

    if (!yaml_parser_initialize(&parser))
        return -ENOMEM;
    yaml_parser_set_input_string(&parser, (const unsigned char *)y->text, y->len);
    e = fn(y, &parser);
    yaml_parser_delete(&parser);
    return e;
}

int wp_yaml_open(struct wp_yaml *y, const char *text, size_t len)
{
    int e;

    y->text = text;
    y->len = len;
    e = with_parser(y, check_depth);
    return e == 0 ? with_parser(y, load) : e;
}

void wp_yaml_close(struct wp_yaml *y)
{
    yaml_document_delete(&y->doc);
}
