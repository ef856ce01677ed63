"""Beside a real CoreDNS 1.15.0: the same log lines and the same metrics for the same questions."""
import json
import re
import urllib.request

import pytest
import wire
from server import Waypost, wait_for

ZONE = """$ORIGIN example.org.
@ 300 IN SOA ns hostmaster 1 3600 600 86400 60
@ 300 IN NS ns
ns 300 IN A 192.0.2.53
www 300 IN A 192.0.2.1
www 300 IN A 192.0.2.2
mail 300 IN MX 10 www
srv 300 IN SRV 1 2 53 ns
*.wild 300 IN TXT "x"
sub 300 IN NS ns.sub
ns.sub 300 IN A 192.0.2.99
"""
COREFILE = """.:{dns} {
    prometheus localhost:{metrics}
    log
    errors
}
drop.test:{dns} {
    prometheus localhost:{metrics}
    log
    acl {
        drop type TXT
    }
    whoami
}
example.org:{dns} {
    prometheus localhost:{metrics}
    log . {$FORMAT}
    file {dir}/db
}
example.net:{dns} {
    prometheus localhost:{metrics}
    log example.net {
        class denial error
    }
    whoami
}
"""
ENV = {"FORMAT": "{remote} {type} {class} {name} {proto} {size} {>do} {>bufsize} {>opcode} {rcode} {>rflags} {rsize} "
                 "{/no/label} { {proto} } x}y {nope}"}
NAMES = ["example.org", "www.example.org", "WwW.ExAmPlE.oRg", "mail.example.org", "srv.example.org",
         "a.wild.example.org", "nx.example.org", "x.sub.example.org", "a.example.net", "nowhere.test", "a.drop.test", "."]
TYPES = ["A", "AAAA", "SOA", "NS", "MX", "SRV", "DS", "ANY", "HTTPS", 65280]
FORMS = [dict(), dict(extra=wire.opt(1232)), dict(extra=wire.opt(4096, do=True)), dict(flags=0), dict(flags=0x0130)]


def questions():
    n = 0
    for qname in NAMES:
        for qtype in TYPES:
            n += 1
            yield n % 4 == 0, wire.query(qname, qtype, qid=n, **FORMS[n % len(FORMS)])
    for qname in ("nowhere.test", "a.example.net"):
        yield False, wire.query(qname, "A", qid=1, qclass=3)  # refused before any chain


def run(binary, args=()):
    """Everything the server says: log lines, and rows of its metrics page."""
    with Waypost(COREFILE, {"db": ZONE}, binary=binary, env=ENV, args=args) as w:
        for tcp, q in questions():
            (wire.tcp if tcp else wire.udp)(w.port["dns"], q)
        wire.udp(w.port["dns"], wire.query("x.drop.test", "TXT"), timeout=0.3)
        page = urllib.request.urlopen(f"http://localhost:{w.port['metrics']}/metrics").read().decode()
        wait_for(lambda: "TXT IN x.drop.test" in w.output())
        w.stop()
        return w.output().splitlines(), page.replace(str(w.port["dns"]), "PORT").splitlines()


@pytest.fixture(scope="module")
def both(coredns):
    return run(None), run(coredns)


def without_what_varies(line):
    line = re.sub(r"^\[INFO\] 127\.0\.0\.1:\d+ - ", "[INFO] 127.0.0.1:PORT - ", line)
    return re.sub(r" [0-9.e-]+s$", " DURATION", line)


def lines(said):
    """In CoreDNS lines of questions asked one after the other may change places."""
    return sorted(without_what_varies(x) for x in said if x.startswith(("[INFO] 127.", "[ERROR] plugin/errors")))


def explain(ours, theirs):
    return "\n".join(f"- {x}" for x in theirs if x not in ours) + "\n" + "\n".join(f"+ {x}" for x in ours if x not in theirs)


def test_log_lines(both):
    ours, theirs = lines(both[0][0]), lines(both[1][0])
    assert len(theirs) > 100
    assert ours == theirs, explain(ours, theirs)


FAMILIES = ("coredns_dns_", "coredns_panics_total", "coredns_plugin_enabled")


def rows(page):
    """Without what measures time."""
    kept = [x for x in page if x.startswith(FAMILIES) or x.split(" ")[2:3] and x.split(" ")[2].startswith(FAMILIES)]
    return [x for x in kept if not re.match(r"coredns_dns_request_duration_seconds_(sum|bucket)", x)]


def test_metrics(both):
    ours, theirs = rows(both[0][1]), rows(both[1][1])
    assert len(theirs) > 200
    assert ours == theirs, explain(ours, theirs)


def test_duration_buckets(both):
    def names(page):
        return [x.split(" ")[0] for x in page if x.startswith("coredns_dns_request_duration_seconds")]
    assert names(both[0][1]) == names(both[1][1])


def test_process_metrics(both):
    def names(page):
        return [x for x in page if x.startswith(("# HELP process_", "# TYPE process_"))]
    assert names(both[0][1]) == names(both[1][1])


def test_json_records(coredns):
    def records(said):
        kept = [json.loads(x) for x in said if x.startswith("{") and '"plugin":"log"' in x]
        for r in kept:
            for key in ("time", "client_port", "duration_seconds"):
                r[key] = type(r[key]).__name__
            r["msg"] = re.sub(r" [0-9.e-]+s$", "", re.sub(r":\d+ - ", " - ", r["msg"]))
        return sorted((json.dumps(r) for r in kept))  # keys in the order written
    ours = records(run(None, ["-log-format=json"])[0])
    theirs = records(run(coredns, ["-log-format=json"])[0])
    assert len(theirs) > 100
    assert ours == theirs, explain(ours, theirs)
