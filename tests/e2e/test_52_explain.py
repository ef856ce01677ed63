"""`waypost explain`: a question's way through the running process, as told, against what a client gets."""
import json
import os
import re
import signal
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import etcd
import pytest
import wire
from server import Waypost, wait_for
from test_51_status import ZONE, backend, http, run, sockets, status

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../fake"))
from resolver import Resolver, address  # noqa: E402

ZONE = ZONE + "alias IN CNAME www\nout IN CNAME host.other.test.\n"
COREFILE = """.:{dns} {
    errors
    log
    acl blocked.test {
        block net 192.0.2.0/24
    }
    rewrite name old.example.org www.example.org
    cache
    hosts {dir}/hosts {
        fallthrough
    }
    file {dir}/db.example example.org
    etcd way.test {
        endpoint ENDPOINT
        fallthrough none.way.test
    }
    forward . 127.0.0.1:UPSTREAM
}
only.test:{other} {
    whoami
}
"""


def explain(w, *args, code=0):
    wait_for(lambda: sockets(w.home.name))
    r = run("explain", "--json", *args, place=w.home.name)
    assert r.returncode == code, r.stderr + r.stdout
    return json.loads(r.stdout) if code == 0 else r.stderr


def steps(e, phase="question", depth=0):
    return [(s["plugin"], s["decision"]) for s in e["steps"] if s["phase"] == phase and s["depth"] == depth]


def details(e, plugin, phase="question", depth=0):
    (s,) = [s for s in e["steps"] if (s["plugin"], s["phase"], s["depth"]) == (plugin, phase, depth)]
    return s["details"]


def answers(w, name, rtype="A", port="dns"):
    return sorted(wire.sections(wire.udp(w.port[port], wire.query(name, rtype), timeout=10))[0])


@pytest.fixture(scope="module")
def up():
    def on(q):
        return q.reply(address(77, ttl=60))
    with Resolver(on) as r:
        yield r


@pytest.fixture(scope="module")
def member():
    with etcd.Member() as m:
        yield m


@pytest.fixture(scope="module")
def lease(member):
    return member.client.grant(600)


@pytest.fixture(scope="module")
def keys(member, lease):
    """key -> revision"""
    c = member.client
    put = {"/skydns/test/way/a/1": ('{"host":"192.0.2.1"}', 0), "/skydns/test/way/a/2": ('{"host":"192.0.2.2"}', lease),
           "/skydns/test/way/al": ('{"host":"a.way.test"}', 0), "/skydns/test/way/ext": ('{"host":"host2.other.test"}', 0),
           "/skydns/test/way/srv/x": ('{"host":"192.0.2.3","port":80}', 0)}
    return {k: c.put(k, v, lease=n) for k, (v, n) in put.items()}


@pytest.fixture(scope="module")
def w(member, keys, up):
    text = COREFILE.replace("ENDPOINT", member.url).replace("UPSTREAM", str(up.port))
    with Waypost(text, files={"db.example": ZONE, "hosts": "192.0.2.9 a.test\n"}) as w:
        wait_for(lambda: backend(status(w), "etcd")[0]["state"] == "in step")
        yield w


# --- where answers come from --------------------------------------------------------------------


def test_etcd(w, keys, lease):
    e = explain(w, "a.way.test")
    assert e["question"] == {"name": "a.way.test.", "type": "A", "class": "IN", "listener": f"dns://:{w.port['dns']}",
                             "transport": "udp", "client": "127.0.0.1"}
    assert e["block"] == {"zone": ".", "place": f"{w.conf}:1", "view": None}
    assert steps(e) == [("errors", "next"), ("log", "next"), ("rewrite", "next"), ("acl", "next"), ("cache", "next"),
                        ("hosts", "next"), ("file", "next"), ("etcd", "answered")]
    assert steps(e, "reply") == [("cache", "next"), ("log", "next"), ("errors", "next")]
    assert e["answered_by"] == "etcd" and details(e, "etcd")["looked_at"] == "/skydns/test/way/a" and details(e, "etcd")["state"] == "in step"
    one, two = sorted(e["sources"], key=lambda s: s["key"])
    assert one == {"source": "etcd", "key": "/skydns/test/way/a/1", "mod_revision": keys["/skydns/test/way/a/1"], "lease": None, "lease_left_s": None}
    assert (two["key"], two["mod_revision"], int(two["lease"], 16)) == ("/skydns/test/way/a/2", keys["/skydns/test/way/a/2"], lease)
    assert two["lease_left_s"] is None or 500 < two["lease_left_s"] <= 600
    assert e["reply"]["rcode"] == "NOERROR" and "aa" in e["reply"]["flags"] and e["reply"]["sent"] is True
    assert [re.sub(r" \d+ IN", "", a) for a in sorted(e["reply"]["answer"])] == ["a.way.test. A 192.0.2.1", "a.way.test. A 192.0.2.2"]
    # it was a question like any other: it is kept, and the client gets the same
    assert details(e, "cache")["cache"] == "miss" and details(e, "cache", "reply")["kept_for"] > 0
    again = explain(w, "a.way.test.", "a")
    assert again["answered_by"] == "cache" and steps(again)[-1] == ("cache", "answered") and details(again, "cache")["cache"] == "hit"
    (source,) = again["sources"]
    assert source["source"] == "cache" and 0 < source["ttl_left"] <= 300 and details(again, "cache")["ttl_left"] == source["ttl_left"]
    assert len(answers(w, "a.way.test")) == 2


def test_etcd_alias_and_srv(w, keys):
    e = explain(w, "al.way.test")
    assert {s["key"] for s in e["sources"]} == {"/skydns/test/way/al", "/skydns/test/way/a/1", "/skydns/test/way/a/2"}
    e = explain(w, "srv.way.test", "SRV")
    assert [s["key"] for s in e["sources"]] == ["/skydns/test/way/srv/x"] and e["reply"]["additional"]


def test_etcd_lookup_outside_of_the_zone(w, up):
    e = explain(w, "ext.way.test")
    assert steps(e)[-1] == ("etcd", "answered") and steps(e, depth=1)[-1] == ("forward", "answered")
    assert {s["source"] for s in e["sources"]} == {"etcd", "forward"}
    (s,) = [s for s in e["steps"] if s["plugin"] == "etcd" and s["depth"] == 0]
    assert s["waited_ns"] > 0 and len(e["reply"]["answer"]) == 2


def test_no_such_name(w):
    e = explain(w, "nobody.way.test")
    assert e["reply"]["rcode"] == "NXDOMAIN" and e["sources"] == [] and e["answered_by"] == "etcd"
    assert details(e, "etcd")["rcode"] == "NXDOMAIN" and "SOA" in e["reply"]["authority"][0]


def test_fallthrough(w):
    e = explain(w, "none.way.test")
    assert steps(e)[-2:] == [("etcd", "next"), ("forward", "answered")]


def test_file(w):
    e = explain(w, "alias.example.org")
    (s,) = e["sources"]
    assert s == {"source": "file", "zone": "example.org.", "file": os.path.join(w.home.name, "db.example"), "serial": 7}
    assert [a.split()[3] for a in e["reply"]["answer"]] == ["CNAME", "A"]
    e = explain(w, "nobody.example.org")
    assert e["reply"]["rcode"] == "NXDOMAIN" and details(e, "file")["name"] == "not in the zone"


def test_file_lookup_outside_of_the_zone(w, up):
    e = explain(w, "out.example.org")
    assert [s["source"] for s in e["sources"]] == ["file", "forward"] and steps(e, depth=1)[-1] == ("forward", "answered")


def test_hosts(w):
    e = explain(w, "a.test")
    assert e["sources"] == [{"source": "hosts", "file": os.path.join(w.home.name, "hosts"), "corefile_lines": 0}]
    e = explain(w, "-x", "192.0.2.9")
    assert e["question"]["name"] == "9.2.0.192.in-addr.arpa." and e["question"]["type"] == "PTR"
    assert e["reply"]["answer"][0].endswith(" PTR a.test.")


def test_forward(w, up):
    e = explain(w, "far.test")
    d = details(e, "forward")
    assert d["upstream"] == f"127.0.0.1:{up.port}" and d["over"] == "udp" and d["failed_tries"] == 0 and 0 < d["rtt_ns"] < 10**10
    assert e["sources"] == [{"source": "forward", "upstream": d["upstream"], "rtt_ns": d["rtt_ns"]}]
    (s,) = [s for s in e["steps"] if s["plugin"] == "forward"]
    assert s["decision"] == "answered" and 0 < s["waited_ns"] < e["took_ns"]
    assert details(explain(w, "far2.test", "--transport", "tcp"), "forward")["over"] == "tcp"


def test_rewrite(w):
    e = explain(w, "old.example.org")
    assert details(e, "rewrite")["question"] == "www.example.org. A" and details(e, "rewrite")["rules_applied"] == 1
    assert details(e, "rewrite", "reply")["question"] == "old.example.org. A"
    assert e["reply"]["answer"][0].startswith("old.example.org. ")
    assert details(explain(w, "www.example.org"), "rewrite") == {"rules_applied": 0}


def test_acl(w):
    e = explain(w, "x.blocked.test", "--client", "192.0.2.55")
    assert steps(e)[-1] == ("acl", "answered") and details(e, "acl")["verdict"] == "block" and details(e, "acl")["rule_for"] == "blocked.test."
    assert e["reply"]["rcode"] == "REFUSED" and e["question"]["client"] == "192.0.2.55" and e["answered_by"] == "acl"
    assert details(explain(w, "x.blocked.test", "--client", "2001:db8::1"), "acl")["verdict"] == "allow"


def test_block_and_listener(w):
    e = explain(w, "x.only.test", "--listener", f"dns://:{w.port['other']}")
    assert e["block"]["zone"] == "only.test." and e["block"]["place"].endswith(":%d" % (COREFILE[:COREFILE.index("only.test")].count("\n") + 1)) and e["answered_by"] == "whoami"
    e = explain(w, "elsewhere.test", "--listener", f"dns://:{w.port['other']}")
    assert e["block"] is None and e["steps"] == [] and e["reply"]["rcode"] == "REFUSED" and e["answered_by"] is None
    assert "no such listener; there are: dns://:" in explain(w, "a.test", "--listener", "dns://:1", code=1)
    assert "no such listener" in explain(w, "a.test", "--transport", "doh", code=1)


def test_transports():
    with Waypost("https://.:{https} {\n whoami\n}\ngrpc://.:{grpc} {\n file {dir}/db.example example.org\n}\n", files={"db.example": ZONE}) as w:
        e = explain(w, "a.test")  # no UDP anywhere: the first listener there is
        assert (e["question"]["transport"], e["question"]["listener"], e["answered_by"]) == ("doh", f"https://:{w.port['https']}", "whoami")
        e = explain(w, "www.example.org", "--transport", "grpc")
        assert (e["question"]["transport"], e["question"]["listener"], e["answered_by"]) == ("grpc", f"grpc://:{w.port['grpc']}", "file")
        assert "no such listener" in explain(w, "a.test", "--transport", "dot", code=1)


def test_stale():
    up2 = {"lives": True}
    with Resolver(lambda q: q.reply(address(77, ttl=1)) if up2["lives"] else None) as r, Waypost(
            ".:{dns} {\n cache {\n success 100 3600 1\n serve_stale 1h\n }\n forward . 127.0.0.1:%d\n}\n" % r.port) as w:
        assert explain(w, "far.test")["answered_by"] == "forward"
        up2["lives"] = False
        e = wait_for(lambda: (lambda e: details(e, "cache")["cache"] == "stale" and e)(explain(w, "far.test")))
        assert e["answered_by"] == "cache" and details(e, "cache")["ttl_left"] <= 0 and e["sources"][0]["age_s"] >= 1


def test_flags_and_dnssec(w):
    e = explain(w, "far3.test", "AAAA", "--do", "--transport", "tcp")
    assert e["question"]["transport"] == "tcp" and e["question"]["type"] == "AAAA"
    out = http(w, "GET /explain?name=a.test&edns=1&cd=1&rd=0 HTTP/1.1\r\nConnection: close\r\n\r\n")
    flags = json.loads(out.split("\r\n\r\n", 1)[1])["reply"]["flags"]
    assert "cd" in flags and "rd" not in flags


# --- like any other question -----------------------------------------------------------------------


def test_counted_and_logged(w):
    before = sum(x["questions"] for x in status(w)["workers"])
    explain(w, "logged.example.org", "--client", "198.51.100.7")
    assert sum(x["questions"] for x in status(w)["workers"]) == before + 1
    wait_for(lambda: re.search(r"198\.51\.100\.7:\d+ - \d+ \"A IN logged\.example\.org\. udp .* NXDOMAIN", w.output()))


def test_text(w):
    r = run("explain", "alias.example.org", "TXT", place=w.home.name)
    assert r.returncode == 0 and re.search(r"^  plugin +phase +depth +decision +at +took +waited +details$", r.stdout, re.M)
    assert re.search(r"^  file +question +0 +answered ", r.stdout, re.M) and re.search(r"^  flags +aa, rd$", r.stdout, re.M)
    assert all(line == line.rstrip() for line in r.stdout.splitlines())


@pytest.mark.parametrize("name,shown", [(r"a\032b.example.org", r"a\ b.example.org."), ("*.example.org", "*.example.org."),
                                        ("a&b%c#d?e.example.org", "a&b%c#d?e.example.org."), (".", "."),
                                        ("\\000" * 63 + "." + "x" * 63 + ".example.org", "\\000" * 63 + "." + "x" * 63 + ".example.org.")])
def test_names(w, name, shown):
    assert explain(w, name)["question"]["name"] == shown


def test_large_reply():
    zone = ZONE + "".join(f"big IN A 10.{i // 256}.{i % 256}.1\n" for i in range(2000))
    with Waypost("example.org:{dns} {\n file {dir}/db.example\n}\n", files={"db.example": zone}) as w:
        e = explain(w, "big.example.org")
        assert "tc" in e["reply"]["flags"] and len(e["reply"]["answer"]) < 50
        e = explain(w, "big.example.org", "--transport", "tcp")
        assert "tc" not in e["reply"]["flags"] and len(e["reply"]["answer"]) == 1000 and e["reply"]["incomplete"] is True


# --- bounds ----------------------------------------------------------------------------------------


def test_upstream_that_never_answers():
    """The story is told when forward gives up; a hundred at once are held to a number, and none of them is lost."""
    with Resolver(lambda q: None) as up, Waypost(".:{dns} {\n forward . 127.0.0.1:%d\n}\n" % up.port, env={"WAYPOST_WORKERS": "1"}) as w:
        start = time.monotonic()
        with ThreadPoolExecutor(50) as pool:
            def one(i):
                return http(w, f"GET /explain?name=n{i}.test&edns=1 HTTP/1.1\r\nConnection: close\r\n\r\n")
            out = list(pool.map(one, range(50)))
        codes = [o[9:12] for o in out]
        assert set(codes) == {"200", "503"} and codes.count("200") == 32, codes
        e = json.loads(next(o for o in out if o[9:12] == "200").split("\r\n\r\n", 1)[1])
        assert e["reply"]["rcode"] == "SERVFAIL" and e["reply"]["extended_error"] == 22 and "timeout" in e["reply"]["error"]
        assert details(e, "forward")["failed_tries"] >= 1 and "timeout" in details(e, "forward")["last_failure"]
        assert time.monotonic() - start < 15
        assert explain(w, "again.test")["reply"]["rcode"] == "SERVFAIL"


def test_client_that_leaves_and_process_that_ends_meanwhile():
    with Resolver(lambda q: None) as up, Waypost(".:{dns} {\n forward . 127.0.0.1:%d\n}\n" % up.port) as w:
        held = []
        wait_for(lambda: sockets(w.home.name))
        for i in range(8):
            s = socket.socket(socket.AF_UNIX)
            s.connect(os.path.join(w.home.name, f"{w.pid}.sock"))
            s.sendall(f"GET /explain?name=x{i}.test HTTP/1.1\r\nConnection: close\r\n\r\n".encode())
            held.append(s)
        wait_for(lambda: sum(x["waiting"] for x in status(w)["workers"]) == 8)
        for s in held[:4]:
            s.close()
        w.write(".:{dns} {\n whoami\n}\n")
        w.kill(signal.SIGUSR1)
        wait_for(lambda: status(w)["generation"]["number"] == 2)
        assert explain(w, "a.test")["answered_by"] == "whoami"  # the new one, while the old one still waits
        for s in held[4:]:
            s.settimeout(15)
            assert b"forward" in s.recv(65536) + s.recv(65536)
            s.close()


def test_end_while_one_waits():
    with Resolver(lambda q: None) as up, Waypost(".:{dns} {\n forward . 127.0.0.1:%d\n}\n" % up.port) as w:
        wait_for(lambda: sockets(w.home.name))
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(os.path.join(w.home.name, f"{w.pid}.sock"))
            s.sendall(b"GET /explain?name=x.test HTTP/1.1\r\n\r\n")
            wait_for(lambda: sum(x["waiting"] for x in status(w)["workers"]) == 1)
            assert w.stop() == 0


# --- what cannot be read -----------------------------------------------------------------------------


@pytest.mark.parametrize("query,code,why", [
    ("", 400, "name: is missing"), ("name=", 400, "name"), ("name=a..b", 400, "name"), ("name", 400, "needs a value"), ("name=a&name=b", 400, "given twice"),
    ("name=a%2eb", 400, "name"), ("name=" + "a." * 600, 400, "name"), ("name=a&type=NONSENSE", 400, "type"), ("name=a&client=x", 400, "client"),
    ("name=a&transport=smtp", 400, "transport"), ("name=a&do=2", 400, "do"), ("name=a&x=1", 400, "x: no such parameter"),
    ("name=a&format=xml", 400, "format"), ("name=a&listener=" + "x" * 400, 400, "listener"), ("name=a&listener=x", 404, "no such listener"),
    ("name=a&class=CH", 200, "CH"), ("name=a&type=TYPE65280", 200, "TYPE65280"), ("name=a&", 200, "a."), ("name=a&&&type=MX", 400, "no such parameter")])
def test_targets(w, query, code, why):
    out = http(w, f"GET /explain?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert out.startswith(f"HTTP/1.1 {code} ") and why in out.split("\r\n\r\n", 1)[1]
    assert http(w, f"POST /explain?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").startswith("HTTP/1.1 405")


@pytest.mark.parametrize("args,why", [((), "NAME"), (("a", "b", "c"), "one word too many"), (("a", "NONSENSE"), "no such type"), (("a..b",), "not a name"),
                                      (("-x", "nowhere"), "not an address"), (("-x", "192.0.2.1", "a"), "one word too many"), (("a", "--client", "x y"), "cannot be read"),
                                      (("a", "--listener", "a&b"), "cannot be read")])
def test_usage(w, args, why):
    assert why in explain(w, *args, code=2)
