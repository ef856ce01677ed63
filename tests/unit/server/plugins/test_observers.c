/* errors, log, debug, prometheus, health, ready: what their directives accept, and their errors in
 * CoreDNS's words (checked against 1.15.0; where it names no place, waypost does). */
#include "check.h"
#include "server/config/conf_load.h"

#define AT(line) "C:" #line " - Error during parsing: "
#define ARGS(line, word) AT(line) "Wrong argument count or unexpected line ending after '" word "'"
#define ONCE "this plugin can only be used once per Server Block"

/* error "": the directive is accepted */
static const struct {
    const char *text, *error;
} cases[] = {
    {"log", ""},
    {"log .", ""},
    {"log example.org example.net", ""},
    {"log . {combined}", ""},
    {"log . \"{remote} {/forward/upstream}\"", ""},
    {"log\nlog example.org", ""},
    {"log {\nclass all\n}", ""},
    {"log . {\nclass success denial\nclass error\n}", ""},
    {"log a..b", "plugin/log: " AT(2) "not a domain name: 'a..b'"},
    {"log {\nclass\n}", "plugin/log: " ARGS(3, "class")},
    {"log {\nclass foo\n}", "plugin/log: " AT(3) "invalid Class: foo"},
    {"log {\nclass ALL\n}", "plugin/log: " AT(3) "invalid Class: ALL"},
    {"log {\nbar\n}", "plugin/log: " AT(3) "unknown property 'bar'"},

    {"errors", ""},
    {"errors stdout", ""},
    {"errors {\nstacktrace\n}", ""},
    {"errors {\nconsolidate 5m \".* i/o timeout$\"\nconsolidate 30s \"^failed to .+\" warning "
     "show_first\n}",
     ""},
    {"errors {\nconsolidate -5m x debug\nconsolidate 0 x info\n}", ""},
    {"errors {\nconsolidate 5m x show_first show_first\n}", ""},
    {"errors a b", "plugin/errors: " ARGS(2, "b")},
    {"errors foo", "plugin/errors: " AT(2) "invalid log file: foo"},
    {"errors {\nfoo\n}", "plugin/errors: " AT(3) "Unknown field foo"},
    {"errors {\nstacktrace x\n}", "plugin/errors: " AT(3) "Unknown field x"},
    {"errors {\nconsolidate\n}", "plugin/errors: " ARGS(3, "consolidate")},
    {"errors {\nconsolidate 5m\n}", "plugin/errors: " ARGS(3, "5m")},
    {"errors {\nconsolidate 5m a error show_first b\n}", "plugin/errors: " ARGS(3, "b")},
    {"errors {\nconsolidate 5 x\n}",
     "plugin/errors: " AT(3) "time: missing unit in duration \"5\""},
    {"errors {\nconsolidate 5m (?=x)\n}",
     "plugin/errors: " AT(3) "error parsing regexp: look-around are not supported: `(?=x)`"},
    {"errors {\nconsolidate 5m x warning error\n}",
     "plugin/errors: " AT(3) "multiple log levels specified in consolidate"},
    {"errors {\nconsolidate 5m x foo\n}",
     "plugin/errors: " AT(3) "unknown option in consolidate: foo"},
    {"errors {\nconsolidate 5m x show_first warning\n}",
     "plugin/errors: " AT(3) "log level must come before show_first in consolidate"},
    {"errors\nerrors", "plugin/errors: " ONCE},

    {"debug", ""},
    {"debug\ndebug", ""},
    {"debug x", "plugin/debug: " ARGS(2, "x")},
    {"debug {\nx\n}", "plugin/debug: " AT(2) "Unexpected token '{', expecting argument"},

    {"prometheus", ""},
    {"prometheus :9153 {\nruntime_metrics\ntls /nowhere\n}", ""}, /* the file is looked at later */
    {"prometheus a b", "plugin/prometheus: " ARGS(2, "b")},
    {"prometheus 9153", "plugin/prometheus: " AT(2) "address 9153: missing port in address"},
    {"prometheus {\nfoo\n}", "plugin/prometheus: " AT(3) "unknown option: foo"},
    {"prometheus {\ntls\n}", "plugin/prometheus: " ARGS(3, "tls")},
    {"prometheus {\ntls a b\n}", "plugin/prometheus: " ARGS(3, "b")},
    {"prometheus {\nruntime_metrics x\n}", "plugin/prometheus: " ARGS(3, "x")},
    {"prometheus\nprometheus", "plugin/prometheus: " ONCE},

    {"health", ""},
    {"health localhost:8080 {\nlameduck 5s\n}", ""},
    {"health {\nlameduck -5s\n}", ""},
    {"health :8080\nhealth :8081", ""},
    {"health a b", "plugin/health: " ARGS(2, "b")},
    {"health 8080", "plugin/health: " AT(2) "address 8080: missing port in address"},
    {"health {\nfoo\n}", "plugin/health: " AT(3) "unknown property 'foo'"},
    {"health {\nlameduck\n}", "plugin/health: " ARGS(3, "lameduck")},
    {"health {\nlameduck 1s 2s\n}", "plugin/health: " ARGS(3, "2s")},
    {"health {\nlameduck 5\n}",
     "plugin/health: " AT(3) "unable to parse lameduck duration value: '5' : time: missing unit in "
                             "duration \"5\""},

    {"ready", ""},
    {"ready :8181 {\nmonitor until-ready\n}", ""},
    {"ready [::1]:8181 {\nmonitor continuously\n}", ""},
    {"ready a b", "plugin/ready: " ARGS(2, "b")},
    {"ready 8080", "plugin/ready: " AT(2) "address 8080: missing port in address"},
    {"ready ::1:8080", "plugin/ready: " AT(2) "address ::1:8080: too many colons in address"},
    {"ready {\nfoo\n}", "plugin/ready: " AT(3) "unknown property 'foo'"},
    {"ready {\nmonitor\n}", "plugin/ready: " ARGS(3, "monitor")},
    {"ready {\nmonitor foo\n}", "plugin/ready: " AT(3) "monitor type 'foo' not supported"},
    {"ready {\nmonitor until-ready continuously\n}", "plugin/ready: " ARGS(3, "continuously")},
    {"ready\nready", "plugin/ready: " ONCE},
};

static void load(struct loaded *l, const char *directive)
{
    char text[512];

    snprintf(text, sizeof(text), "a.example b.example {\n%s\n}\n", directive);
    conf_load(l, text);
}

static void test_errors(void)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct loaded l;
        load(&l, cases[i].text);
        if (strcmp(conf_load_error(&l, 0), cases[i].error) != 0)
            print_error("got  %s\n", conf_load_error(&l, 0));
        CHECK_AT(cases[i].text, strcmp(conf_load_error(&l, 0), cases[i].error) == 0);
        CHECK_AT(cases[i].text, l.report.n == (cases[i].error[0] != '\0'));
        conf_unload(&l);
    }
}

/* Which of them stand in the chain, in which order, and what they set. */
static void test_chain_and_settings(void)
{
    static const char *const chain[] = {"prometheus", "errors", "log"};
    struct loaded l;

    load(&l, "log\nerrors {\nstacktrace\n}\nready\nhealth\ndebug\nprometheus");
    CHECK(l.r == 0 && l.blocks[0].n_chain == COUNT(chain) && l.blocks[0].n_all == 6);
    for (size_t i = 0; i < COUNT(chain); i++)
        CHECK_AT(chain[i], strcmp(l.blocks[0].chain[i].plugin->name, chain[i]) == 0);
    CHECK(l.blocks[0].set.debug && l.blocks[0].set.stacktrace);
    conf_unload(&l);
}

RUN_TESTS(TEST(test_errors), TEST(test_chain_and_settings))
