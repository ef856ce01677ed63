/* Requests: GET, PUT, POST and DELETE of /v1/services, and what each is answered. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/etcd/command/agent.h"

enum { TOP_LEN = sizeof(AGENT_TOP) - 1 };

static void say(struct wp_http_answer *a, int status, const char *why)
{
    a->status = status;
    a->type = "application/json";
    a->body = a->to_free = agent_show_error(why, &a->len);
}

static void show(struct wp_http_answer *a, int status, struct agent_service *s)
{
    a->status = status;
    a->type = "application/json";
    a->body = a->to_free = agent_show(s, &a->len);
}

static void not_allowed(struct wp_http_answer *a, const char *allow)
{
    say(a, 405, "no such method here");
    a->headers = allow;
}

/* --- who may ask ---------------------------------------------------------------------------- */

/* "localhost", or an address: a name could be pointed at this host by whoever owns it, for a
 * browser to ask in its user's name (DNS rebinding). */
static bool is_local_name(const char *host)
{
    char text[300];
    struct wp_addr a;

    snprintf(text, sizeof(text), "%s", host);
    if (host[0] == '[')
        return wp_addr_parse(text, 80, &a) == 0;
    text[strcspn(text, ":")] = '\0';
    return text[0] == '\0' || strcasecmp(text, "localhost") == 0 || wp_addr_parse_ip(text, &a) == 0;
}

/* Without an early end: what is right is not to be learned octet by octet. */
static bool is_same(const char *a, const char *b)
{
    size_t n = strlen(b);
    unsigned differs = 0;

    if (strlen(a) != n)
        return false;
    for (size_t i = 0; i < n; i++)
        differs |= (unsigned)(a[i] ^ b[i]);
    return differs == 0;
}

static bool may_ask(const struct agent *g, const struct wp_http_request *rq,
                    struct wp_http_answer *a)
{
    if (rq->origin[0] != '\0')
        say(a, 403, "pages of a browser are not answered");
    else if (!g->is_remote && !is_local_name(rq->host))
        say(a, 403, "Host is neither an address nor localhost");
    else if (g->token != NULL && !is_same(rq->authorization, g->token))
        say(a, 401, "a token is wanted: Authorization: Bearer TOKEN");
    else
        return true;
    return false;
}

/* --- what is asked -------------------------------------------------------------------------- */

static void put(struct agent *g, const struct wp_http_request *rq, const char *id, bool may_replace,
                struct wp_http_answer *a)
{
    struct agent_service *s = NULL;
    char why[ETCD_SAID] = "";
    int status = agent_put(g, id, rq->body, rq->body_len, may_replace, &s, why);

    if (s != NULL)
        show(a, status, s);
    else
        say(a, status, why);
}

static void answer_all(struct agent *g, const struct wp_http_request *rq, struct wp_http_answer *a)
{
    if (strcmp(rq->method, "GET") == 0 || strcmp(rq->method, "HEAD") == 0) {
        a->type = "application/json";
        a->compressible = true;
        a->body = a->to_free = agent_show_all(g, &a->len);
    } else if (strcmp(rq->method, "PUT") == 0 || strcmp(rq->method, "POST") == 0) {
        put(g, rq, NULL, strcmp(rq->method, "PUT") == 0, a);
    } else {
        not_allowed(a, "Allow: GET, HEAD, POST, PUT\r\n");
    }
}

static void answer_one(struct agent *g, const struct wp_http_request *rq, const char *id,
                       struct wp_http_answer *a)
{
    struct agent_service *s = agent_find(g, id, strlen(id));

    if (strcmp(rq->method, "PUT") == 0 && agent_id_ok(id)) {
        put(g, rq, id, true, a);
    } else if (s == NULL) {
        say(a, 404, "no such service");
    } else if (strcmp(rq->method, "GET") == 0 || strcmp(rq->method, "HEAD") == 0) {
        show(a, 200, s);
    } else if (strcmp(rq->method, "DELETE") == 0) {
        show(a, 200, s);
        agent_remove(s);
    } else {
        not_allowed(a, "Allow: DELETE, GET, HEAD, PUT\r\n");
    }
}

/* ID/pass and ID/fail */
static void answer_check_in(struct agent *g, const struct wp_http_request *rq, const char *id,
                            size_t len, struct wp_http_answer *a)
{
    struct agent_service *s = agent_find(g, id, len);
    const char *word = id + len + 1;
    bool well = strcmp(word, "pass") == 0;

    if (s == NULL || (!well && strcmp(word, "fail") != 0))
        say(a, 404, s == NULL ? "no such service" : "no such page");
    else if (strcmp(rq->method, "PUT") != 0 && strcmp(rq->method, "POST") != 0)
        not_allowed(a, "Allow: POST, PUT\r\n");
    else if (!agent_check_in(s, well))
        say(a, 400, "the service was registered without check_in");
    else
        show(a, 200, s);
}

void agent_answer(void *arg, const struct wp_http_request *rq, struct wp_http_answer *a)
{
    struct agent *g = arg;
    const char *id = rq->path + TOP_LEN, *slash;

    if (!may_ask(g, rq, a))
        return;
    id += *id == '/';
    slash = strchr(id, '/');
    if (*id == '\0')
        answer_all(g, rq, a);
    else if (slash != NULL)
        answer_check_in(g, rq, id, (size_t)(slash - id), a);
    else
        answer_one(g, rq, id, a);
    if (a->body == NULL) { /* memory is short */
        a->status = 503;
        a->len = 0;
    }
}
