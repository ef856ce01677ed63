"""forward: the query algorithm, against an upstream that does what it is told."""
import os
import ssl
import struct
import sys
import threading
import time

import pytest
import wire
from server import Waypost, free_port, own_address, wait_for

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../fake"))
from resolver import CLOSE, Resolver, address, name, record  # noqa: E402

FORMERR, SERVFAIL, NXDOMAIN, REFUSED = 1, 2, 3, 5


def waypost(body, **kw):
    """One worker: connections and positions are then the same from question to question."""
    kw.setdefault("env", {"WAYPOST_WORKERS": "1"})
    return Waypost(".:{dns} {\n errors\n prometheus localhost:{xmetrics}\n%s\n}\n" % body, **kw)


def ask(w, qname="www.example.org", qtype="A", how=wire.udp, timeout=8, **kw):
    return how(w.port["dns"], wire.query(qname, qtype, qid=4711, **kw), timeout=timeout)


def ede(reply):
    """Codes of the extended errors in a reply."""
    return [int(o.code) for o in wire.parse(reply).options if int(o.otype) == 15]


def timed(fn):
    start = time.monotonic()
    return fn(), time.monotonic() - start


# --- what goes up, what comes back -----------------------------------------------------------

def test_reply_is_passed_on():
    def on(q):
        return q.reply(address(), rcode=0, flags=0x8580)
    with Resolver(on) as up, waypost(f"forward . 127.0.0.1:{up.port}") as w:
        r = ask(w, "wWw.ExaMple.org")
        assert r[:2] == struct.pack(">H", 4711) and r[12:29] == name("wWw.ExaMple.org")
        m = wire.parse(r)
        assert wire.sections(r)[0] == {"www.example.org. A 192.0.2.77"} and m.flags & 0x0580 == 0x0580
        q = up.asked[0]
        assert q.name == "wWw.ExaMple.org." and q.flags == 0x0100 and q.rest == b"" and q.proto == "udp"


@pytest.mark.parametrize("flags", [0x0000, 0x0100, 0x0110, 0x0120])
def test_flags_go_up_unchanged(flags):
    with Resolver() as up, waypost(f"forward . 127.0.0.1:{up.port}") as w:
        assert ask(w, flags=flags) is not None
        assert up.asked[0].flags == flags


def test_edns_goes_up_without_options_of_one_hop():
    options = wire.option(10, b"12345678") + wire.option(11) + wire.option(12, bytes(7)) + wire.option(8, b"\0\1\x18\0\xc0\0\2")
    kept = wire.option(10, b"12345678") + wire.option(8, b"\0\1\x18\0\xc0\0\2")
    with Resolver() as up, waypost(f"forward . 127.0.0.1:{up.port}") as w:
        r = ask(w, extra=wire.opt(1400, options, do=True))
        assert up.asked[0].rest == wire.opt(1400, kept, do=True)
        assert wire.parse(r).edns == 0


def test_upstream_options_come_back_but_not_those_of_its_hop():
    def on(q):
        opts = wire.option(11, b"\0\x64") + wire.option(3, b"ns1") + wire.option(12, bytes(5))
        return q.reply(address(), additional=[wire.opt(4096, opts)])
    with Resolver(on) as up, waypost(f"forward . 127.0.0.1:{up.port}") as w:
        m = wire.parse(ask(w, extra=wire.opt(1400)))
        assert [(int(o.otype), o.to_wire()) for o in m.options] == [(3, b"ns1")] and m.payload == 1400


def test_no_opt_for_who_sent_none():
    def on(q):
        return q.reply(address(), additional=[wire.opt(4096)])
    with Resolver(on) as up, waypost(f"forward . 127.0.0.1:{up.port}") as w:
        assert wire.parse(ask(w)).edns == -1


def test_smuggled_octets_are_not_passed_on():  # nothing behind the last record becomes one
    with Resolver() as up, waypost(f"forward . 127.0.0.1:{up.port}") as w:
        msg = wire.query("www.example.org", qid=1, extra=wire.opt(1232)) + record(name("evil.example"), 1, b"\1\2\3\4")
        assert wire.udp(w.port["dns"], msg) is not None
        assert up.asked[0].rest == wire.opt(1232)


def test_ixfr_takes_its_soa_along():
    soa = record(name("example.org"), 6, name("a") + name("b") + struct.pack(">5I", 7, 1, 1, 1, 1))
    with Resolver() as up, waypost(f"forward . 127.0.0.1:{up.port}") as w:
        msg = wire.query("example.org", 251, qid=1, extra=soa)
        msg = msg[:8] + b"\0\1\0\0" + msg[12:]
        assert wire.tcp(w.port["dns"], msg) is not None
        assert up.asked[0].msg[6:12] == b"\0\0\0\1\0\0" and up.asked[0].rest == soa


# --- protocol --------------------------------------------------------------------------------

CUT = [("", "udp", ["udp"], True), ("", "tcp", ["tcp"], False), ("force_tcp", "udp", ["tcp"], False),
       ("prefer_udp", "tcp", ["udp", "tcp"], False), ("prefer_udp", "udp", ["udp", "tcp"], False),
       ("force_tcp\nprefer_udp", "udp", ["tcp"], False)]


@pytest.mark.parametrize("options, client, over, cut", CUT)
def test_protocol(options, client, over, cut):
    def on(q):
        return q.reply(flags=0x8380) if q.proto == "udp" else q.reply(address())
    with Resolver(on) as up, waypost(f"forward . 127.0.0.1:{up.port} {{\n{options}\n}}") as w:
        r = ask(w, how=wire.udp if client == "udp" else wire.tcp)
        assert [q.proto for q in up.asked] == over and len({q.id for q in up.asked}) == len(over)
        assert bool(wire.parse(r).flags & 0x0200) == cut


def test_reply_that_is_too_long_or_cut_short_becomes_tc():
    def on(q):
        if q.name.startswith("long"):
            return q.reply(*[address(i) for i in range(60)])
        return q.reply(address(), address(5))[:-3]
    with Resolver(on) as up, waypost(f"forward . 127.0.0.1:{up.port}") as w:
        for who in ("long.example", "short.example"):
            m = wire.parse(ask(w, who))
            assert m.flags & 0x0200 and not m.answer and m.rcode() == 0


# --- replies that are none -------------------------------------------------------------------

WRONG = {
    "wrong id": lambda q: q.reply(address(66), qid=q.id ^ 1),
    "wrong name": lambda q: q.reply(address(66), question=name("evil.example") + q.question[-4:]),
    "wrong type": lambda q: q.reply(address(66), question=q.question[:-4] + b"\0\x1c\0\1"),
    "no question": lambda q: q.reply(question=b"", qd=0),
    "not a reply": lambda q: q.reply(address(66), flags=0),
    "garbage": lambda q: struct.pack(">H", q.id) + b"\xff" * 40,
    "three octets": lambda q: b"abc",
}


@pytest.mark.parametrize("what", WRONG)
def test_datagram_that_does_not_fit_is_waited_past(what):  # CVE-2023-28452, CVE-2023-30464: one known field right
    def on(q):
        return [(0, WRONG[what](q)), (0.05, q.reply(address()))]
    with Resolver(on) as up, waypost(f"forward . 127.0.0.1:{up.port}") as w:
        assert wire.sections(ask(w))[0] == {"www.example.org. A 192.0.2.77"}


@pytest.mark.parametrize("what", ["wrong name", "wrong type", "no question"])
@pytest.mark.parametrize("how", [wire.udp, wire.tcp])
def test_other_question_is_formerr(what, how):
    with Resolver(lambda q: WRONG[what](q)) as up, waypost(f"forward . 127.0.0.1:{up.port}") as w:
        r, took = timed(lambda: ask(w, how=how))
        assert wire.rcode(r) == FORMERR and not wire.parse(r).answer and took < 1.5
        assert len(up.queries()) == 1


def test_malformed_reply_goes_to_the_next_upstream():
    def bad(q):
        return struct.pack(">H", q.id) + b"\xff" * 60
    with Resolver(bad) as one, Resolver() as two, \
            waypost(f"forward . 127.0.0.1:{one.port} 127.0.0.1:{two.port} {{\nforce_tcp\npolicy sequential\n}}") as w:
        assert wire.sections(ask(w))[0] == {"www.example.org. A 192.0.2.77"}


# --- upstreams that fail ---------------------------------------------------------------------

def test_dead_upstream():  # U56
    with Resolver(lambda q: None) as up, waypost(f"forward . 127.0.0.1:{up.port}") as w:
        r, took = timed(lambda: ask(w, extra=wire.opt()))
        assert wire.rcode(r) == SERVFAIL and ede(r) == [22] and 1.9 < took < 2.5
        assert wire.rcode(ask(w, "b.example")) == SERVFAIL
        wait_for(lambda: "i/o timeout" in w.output())
        w.says(f"->127.0.0.1:{up.port}: i/o timeout")


def test_refused_port_is_told_at_once():  # no try waits for what is known to be in vain
    with waypost(f"forward . 127.0.0.1:{free_port()}") as w:
        r, took = timed(lambda: ask(w, extra=wire.opt()))
        assert wire.rcode(r) == SERVFAIL and ede(r) == [23] and took < 0.5
        r, took = timed(lambda: ask(w, how=wire.tcp))
        assert wire.rcode(r) == SERVFAIL and took < 0.5
        wait_for(lambda: "connect: connection refused" in w.output() and "read: connection refused" in w.output())


def test_the_other_upstream_answers():
    with Resolver() as good, waypost(f"forward . 127.0.0.1:{free_port()} 127.0.0.1:{good.port} {{\npolicy sequential\n}}") as w:
        for how in (wire.udp, wire.tcp):
            r, took = timed(lambda: ask(w, how=how))
            assert wire.sections(r)[0] == {"www.example.org. A 192.0.2.77"} and took < 0.5


def test_silent_tls_then_a_good_one(tmp_path):  # no try waits for what is known to be in vain
    with Resolver(silent_tls=True) as bad, Resolver() as good, \
            waypost(f"forward . tls://127.0.0.1:{bad.tls_port} 127.0.0.1:{good.port} {{\npolicy sequential\n}}") as w:
        r, took = timed(lambda: ask(w))
        assert wire.sections(r)[0] == {"www.example.org. A 192.0.2.77"} and took < 3


def test_down_upstream_is_skipped_and_comes_back():
    state = {"up": False}
    with Resolver(lambda q: q.reply(address()) if state["up"] else None) as a, Resolver() as b, \
            waypost(f"forward . 127.0.0.1:{a.port} 127.0.0.1:{b.port} {{\npolicy sequential\nread_timeout 200ms\nhealth_check 50ms domain probe.example no_rec\nmax_fails 1\n}}") as w:
        assert ask(w) is not None
        assert len(a.queries()) >= 1
        wait_for(lambda: len(a.probes()) >= 3)  # the third goes out when two have failed
        assert {(q.name, q.flags) for q in a.probes()} == {("probe.example.", 0)}
        n = len(a.queries())
        r, took = timed(lambda: ask(w, "b.example"))
        assert took < 0.15 and len(a.queries()) == n
        state["up"] = True
        n = len(a.probes())
        wait_for(lambda: len(a.probes()) > n)
        time.sleep(0.2)
        assert ask(w, "c.example") is not None
        assert a.queries()[-1].name == "c.example."
        n = len(a.probes())
        time.sleep(0.3)
        assert len(a.probes()) == n  # nobody asks a healthy one


def test_all_down():
    with Resolver(lambda q: None) as up:
        for fast in ("", "failfast_all_unhealthy_upstreams"):
            with waypost(f"forward . 127.0.0.1:{up.port} {{\nread_timeout 300ms\nhealth_check 20ms\nmax_fails 1\n{fast}\n}}") as w:
                ask(w)
                wait_for(lambda: len(up.probes()) >= 3, 10)
                r, took = timed(lambda: ask(w, "b.example", extra=wire.opt()))
                assert wire.rcode(r) == SERVFAIL and ede(r) == [22]
                assert took < 0.2 if fast else 0.25 < took < 0.6
                if fast:
                    wait_for(lambda: "no healthy proxies" in w.output())
            up.asked.clear()


def test_lost_datagram_costs_half_the_timeout():
    with Resolver(lambda q: None if q.number == 1 else q.reply(address())) as up, waypost(f"forward . 127.0.0.1:{up.port}") as w:
        r, took = timed(lambda: ask(w))
        assert wire.rcode(r) == 0 and 0.9 < took < 1.5
        assert len({q.id for q in up.asked}) == 1


def test_attempts():
    with Resolver(lambda q: CLOSE) as up:
        for n, want in (("", 2), ("max_connect_attempts 1", 1), ("max_connect_attempts 5", 5)):
            up.asked.clear()
            with waypost(f"forward . 127.0.0.1:{up.port} {{\nforce_tcp\nmax_fails 0\n{n}\n}}") as w:
                assert wire.rcode(ask(w)) == SERVFAIL
                assert len(up.asked) == want
                wait_for(lambda: "EOF" in w.output())


def test_without_bound_it_ends_after_five_seconds():
    with waypost(f"forward . 127.0.0.1:{free_port()} {{\nmax_connect_attempts 0\nmax_fails 0\n}}") as w:
        r, took = timed(lambda: ask(w))
        assert wire.rcode(r) == SERVFAIL and 4.8 < took < 5.6


# --- kept connections ------------------------------------------------------------------------

def test_connection_is_kept_and_a_closed_one_does_not_count():
    with Resolver() as up, waypost(f"forward . 127.0.0.1:{up.port} {{\nforce_tcp\nmax_connect_attempts 1\n}}") as w:
        for i in range(5):
            assert wire.rcode(ask(w, f"a{i}.example")) == 0
        assert up.connections == 1
        up.close_connections()
        assert wire.rcode(ask(w, "b.example")) == 0


def test_closed_after_every_reply():
    def on(q):
        return [(0, q.reply(address())), (0, CLOSE)]
    with Resolver(on) as up, waypost(f"forward . 127.0.0.1:{up.port} {{\nforce_tcp\nmax_connect_attempts 1\n}}") as w:
        for i in range(10):
            assert wire.rcode(ask(w, f"a{i}.example")) == 0


def test_replies_out_of_order_on_one_connection():
    def on(q):
        return [(0.3 if q.name.startswith("slow") else 0, q.reply(address()))]
    with Resolver(on) as up, waypost(f"forward . 127.0.0.1:{up.port} {{\nforce_tcp\n}}") as w:
        got = []
        def one(n):
            got.append((wire.rcode(ask(w, n)), n))
        threads = [threading.Thread(target=one, args=(n,)) for n in ["slow%d.example" % i for i in range(40)] + ["fast%d.example" % i for i in range(40)]]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert len(got) == 80 and all(r == 0 for r, _ in got)
        assert up.connections <= 40


def test_expire_and_max_age():
    with Resolver() as up, waypost(f"forward . 127.0.0.1:{up.port} {{\nforce_tcp\nexpire 300ms\nmax_age 600ms\n}}") as w:
        ask(w, "a.example")
        ask(w, "b.example")
        assert up.connections == 1
        wait_for(lambda: not up.open, 3)
        end = time.monotonic() + 1.5
        while time.monotonic() < end:  # never idle: the age ends it
            ask(w, "c.example")
            time.sleep(0.05)
        assert 3 <= up.connections <= 6


# --- TLS and HTTPS ---------------------------------------------------------------------------

@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    from clients import certificate as make
    return make(str(tmp_path_factory.mktemp("tls")), "dns.example")


@pytest.mark.usefixtures("provider")
def test_tls(certificate):
    with Resolver(tls=certificate) as up:
        rows = [(f"tls://127.0.0.1:{up.tls_port}", "", 0), (f"tls://127.0.0.1%dns.example:{up.tls_port}", "", 0),
                (f"tls://127.0.0.1:{up.tls_port}%dns.example", "", 0),
                (f"tls://127.0.0.1:{up.tls_port}", "tls_servername dns.example", 0),
                (f"tls://127.0.0.1:{up.tls_port}", "tls_servername other.example", SERVFAIL)]
        for to, option, want in rows:
            with waypost(f"forward . {to} {{\ntls {certificate[0]}\n{option}\n}}") as w:
                for i in range(3):
                    assert wire.rcode(ask(w, f"a{i}.example", timeout=10)) == want, (to, option, w.output())
        assert all(q.proto == "tls" for q in up.queries())
        # without the roots of the test nothing is trusted
        with waypost(f"forward . tls://127.0.0.1:{up.tls_port}") as w:
            assert wire.rcode(ask(w)) == SERVFAIL
            wait_for(lambda: "tls: " in w.output())


@pytest.mark.usefixtures("provider")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["v12", "v13"])
def test_tls_session_is_reused(certificate, version):
    with Resolver(lambda q: [(0, q.reply(address())), (0.02, CLOSE)], tls=certificate, newest_tls=version) as up, \
            waypost(f"forward . tls://127.0.0.1:{up.tls_port} {{\ntls {certificate[0]}\n}}") as w:
        for i in range(6):
            assert wire.rcode(ask(w, f"a{i}.example")) == 0
            time.sleep(0.1)
        assert up.connections >= 6 and up.resumed >= 4


@pytest.mark.usefixtures("provider")
@pytest.mark.parametrize("option, method", [("", "POST"), ("doh_method GET", "GET"), ("doh_method POST", "POST")])
def test_https(certificate, option, method):
    with Resolver(tls=certificate) as up, \
            waypost(f"forward . https://127.0.0.1:{up.https_port} {{\ntls {certificate[0]}\n{option}\n}}") as w:
        for i in range(5):
            assert wire.rcode(ask(w, f"a{i}.example")) == 0, w.output()
        assert wire.rcode(ask(w, "x.example", extra=wire.opt(4096, wire.option(10, b"abcdefgh")))) == 0
        q = up.queries()[0]
        assert q.proto == "https" and q.id == 0
        assert q.http[":method"] == method and q.http[":authority"] == f"127.0.0.1:{up.https_port}"
        assert q.http[":path"].split("?")[0] == "/dns-query" and q.http["accept"] == "application/dns-message"
        assert q.http.get("content-type") == ("application/dns-message" if method == "POST" else None)
        assert up.connections <= 2


@pytest.mark.usefixtures("provider")
def test_https_host_name(certificate):
    with Resolver(tls=certificate) as up, \
            waypost(f"forward . https://127.0.0.1%ignored:{up.https_port} {{\ntls {certificate[0]}\ntls_servername dns.example\n}}") as w:
        assert wire.rcode(ask(w)) == 0
        assert up.queries()[0].http[":authority"] == "dns.example"


@pytest.mark.usefixtures("provider")
def test_https_errors(certificate):
    def on(q):
        if q.name == "status.example.":
            return b"status:503:" + q.reply(address())
        if q.name == "empty.example.":
            return b""
        if q.name == "big.example.":
            return bytes(70000)
        if q.name == "close.example.":
            return CLOSE
        return q.reply(*[address(i) for i in range(200)])
    with Resolver(on, tls=certificate) as up, \
            waypost(f"forward . https://127.0.0.1:{up.https_port} {{\ntls {certificate[0]}\nmax_connect_attempts 1\nmax_fails 0\n}}") as w:
        for who in ("status", "empty", "big", "close"):
            assert wire.rcode(ask(w, who + ".example")) == SERVFAIL, who
        m = wire.parse(ask(w, "www.example", how=wire.tcp))
        assert len(m.answer[0]) == 200
        w.says("unexpected HTTP status 503")


# --- choosing --------------------------------------------------------------------------------

def order(w, *ups, n=12):
    """Which upstream got each of n questions."""
    seen = []
    for i in range(n):
        before = [len(u.queries()) for u in ups]
        assert ask(w, f"q{i}.example") is not None
        seen.append([len(u.queries()) - b for u, b in zip(ups, before)].index(1))
    return seen


def test_policies():
    with Resolver() as a, Resolver() as b, Resolver() as c:
        to = " ".join(f"127.0.0.1:{u.port}" for u in (a, b, c))
        with waypost(f"forward . {to} {{\npolicy round_robin\n}}") as w:
            assert order(w, a, b, c) == [1, 2, 0] * 4
        with waypost(f"forward . {to} {{\npolicy sequential\n}}") as w:
            assert order(w, a, b, c) == [0] * 12
        with waypost(f"forward . {to}") as w:
            seen = order(w, a, b, c, n=90)
            assert all(10 < seen.count(i) < 55 for i in range(3))


def test_duplicates_count_once():
    with Resolver() as a, Resolver() as b, \
            waypost(f"forward . 127.0.0.1:{a.port} dns://127.0.0.1:{a.port} 127.0.0.1:{b.port} {{\npolicy round_robin\n}}") as w:
        assert order(w, a, b, n=6) == [1, 0] * 3


def test_failover():
    with Resolver(lambda q: q.reply(rcode=SERVFAIL)) as a, Resolver(lambda q: q.reply(rcode=REFUSED)) as b, \
            Resolver(lambda q: q.reply(rcode=NXDOMAIN)) as c:
        to = [f"127.0.0.1:{u.port}" for u in (a, b, c)]
        with waypost(f"forward . {' '.join(to)} {{\npolicy sequential\nfailover SERVFAIL refused\n}}") as w:
            assert wire.rcode(ask(w)) == NXDOMAIN
        with waypost(f"forward . {' '.join(to[:2])} {{\npolicy sequential\nfailover SERVFAIL REFUSED\n}}") as w:
            n = len(a.asked), len(b.asked)
            assert wire.rcode(ask(w)) == REFUSED  # the last one's, each asked once
            assert (len(a.asked), len(b.asked)) == (n[0] + 1, n[1] + 1)


def test_next():
    def first(q):
        if q.name.startswith("nodata"):
            return q.reply()
        return q.reply(rcode=NXDOMAIN if q.name.startswith("nx") else SERVFAIL if q.name.startswith("fail") else 0,
                       *([address(1)] if q.name.startswith("www") else []))
    with Resolver(first) as a, Resolver(lambda q: q.reply(address(2))) as b, Resolver(lambda q: q.reply(rcode=NXDOMAIN)) as c:
        body = (f"forward . 127.0.0.1:{a.port} {{\nnext NXDOMAIN\nnext_on_nodata\n}}\n"
                f"forward other.example 127.0.0.1:{c.port}\n"
                f"forward . 127.0.0.1:{b.port} {{\nnext NXDOMAIN\n}}\n")
        with waypost(body) as w:
            assert wire.sections(ask(w, "www.example"))[0] == {"www.example. A 192.0.2.1"}
            assert wire.sections(ask(w, "nx.example"))[0] == {"nx.example. A 192.0.2.2"}
            assert wire.sections(ask(w, "nodata.example"))[0] == {"nodata.example. A 192.0.2.2"}
            assert wire.rcode(ask(w, "fail.example")) == SERVFAIL
            assert wire.rcode(ask(w, "nx.other.example")) == NXDOMAIN
        with waypost(f"forward . 127.0.0.1:{c.port} {{\nnext NXDOMAIN\n}}") as w:  # nothing follows
            assert wire.rcode(ask(w, "nx.example")) == NXDOMAIN


def test_from_and_except():
    with Resolver(lambda q: q.reply(address(1))) as a, Resolver(lambda q: q.reply(address(2))) as b:
        body = (f"forward example.org 127.0.0.1:{a.port} {{\nexcept sub.example.org example.org\n}}\n"
                f"forward . 127.0.0.1:{b.port} {{\nexcept net\n}}\n")
        with waypost(body) as w:
            rows = [("example.org", 1), ("sub.example.org", 2), ("x.SUB.example.org", 2), ("notexample.org", 2), ("x.net", None)]
            for qname, want in rows:
                r = ask(w, qname)
                if want is None:
                    assert wire.rcode(r) == SERVFAIL
                else:
                    assert wire.parse(r).answer[0][0].to_text() == f"192.0.2.{want}", qname
            wait_for(lambda: "plugin/forward: no next plugin found" in w.output())


# --- many at a time --------------------------------------------------------------------------

def test_same_questions_are_one():  # CVE-2023-30464
    import socket
    with Resolver(lambda q: [(0.5, q.reply(address()))]) as up, waypost(f"forward . 127.0.0.1:{up.port}") as w:
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        s.connect(("127.0.0.1", w.port["dns"]))
        s.settimeout(3)
        for i in range(200):
            s.send(wire.query("wWw.example" if i % 2 else "www.EXAMPLE", qid=i))
        got = [s.recv(4096) for _ in range(200)]
        assert {struct.unpack(">H", m[:2])[0] for m in got} == set(range(200))
        for m in got:
            odd = struct.unpack(">H", m[:2])[0] % 2
            assert m[12:25] == name("wWw.example" if odd else "www.EXAMPLE")
        assert len(up.asked) == 1
        # what differs is asked apart
        for extra, flags in ((b"", 0x0100), (b"", 0x0110), (wire.opt(), 0x0100), (wire.opt(do=True), 0x0100)):
            s.send(wire.query("b.example", extra=extra, flags=flags))
        for _ in range(4):
            s.recv(4096)
        assert len(up.asked) == 5


def test_max_concurrent():
    import socket
    with Resolver(lambda q: [(0.4, q.reply(address()))]) as up, waypost(f"forward . 127.0.0.1:{up.port} {{\nmax_concurrent 3\n}}") as w:
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.connect(("127.0.0.1", w.port["dns"]))
        s.settimeout(3)
        for i in range(8):
            s.send(wire.query(f"q{i}.example", qid=i))
        codes = [wire.rcode(s.recv(4096)) for _ in range(8)]
        assert sorted(codes) == [0] * 3 + [REFUSED] * 5
        assert wire.rcode(ask(w, "later.example")) == 0
        wait_for(lambda: "concurrent queries exceeded maximum 3" in w.output())


def test_hundreds_of_slow_ones_do_not_hold_up_others():
    import socket
    with Resolver(lambda q: [(1.0 if q.name.startswith("slow") else 0, q.reply(address()))]) as up, waypost(f"forward . 127.0.0.1:{up.port}") as w:
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.connect(("127.0.0.1", w.port["dns"]))
        s.settimeout(4)
        for i in range(100):
            s.send(wire.query(f"slow{i}.example", qid=i))
        r, took = timed(lambda: ask(w, "fast.example"))
        assert wire.rcode(r) == 0 and took < 0.5
        got = {struct.unpack(">H", s.recv(4096)[:2])[0] for _ in range(100)}
        assert got == set(range(100))


# --- upstreams from files and names ----------------------------------------------------------

def test_resolv_conf_is_followed():  # 002-17
    one, two = own_address(1), own_address(2)
    with Resolver(lambda q: q.reply(address(1)), host=one, port=53) as a, \
            Resolver(lambda q: q.reply(address(2)), host=two, port=53) as b, \
            waypost("forward . {dir}/resolv.conf", files={"resolv.conf": f"search x\nnameserver {one}\noptions ndots:5\n"}) as w:
        def last():
            return wire.parse(ask(w, "q.example")).answer[0][0].to_text()
        assert last() == "192.0.2.1"
        with open(w.path("resolv.conf.new"), "w") as f:
            f.write(f"# new\nnameserver {two}\nnameserver bogus\n")
        os.rename(w.path("resolv.conf.new"), w.path("resolv.conf"))
        wait_for(lambda: last() == "192.0.2.2", 6)
        open(w.path("resolv.conf"), "w").close()  # no servers: the known ones stay
        wait_for(lambda: "the known ones stay" in w.output(), 6)
        assert last() == "192.0.2.2"
        os.remove(w.path("resolv.conf"))
        time.sleep(1.5)
        assert last() == "192.0.2.2"
        with open(w.path("resolv.conf"), "w") as f:
            f.write(f"nameserver {one}\nnameserver {two}\n")
        wait_for(lambda: last() == "192.0.2.1", 10, 0.1)


def test_host_names_are_resolved_at_the_start():
    def on(q):
        if q.name != "ns.example.":
            return q.reply(rcode=NXDOMAIN)
        if q.type == 1:
            return q.reply(record(b"\xc0\x0c", 5, name("real.example")), record(name("real.example"), 1, bytes([127, 0, 0, 1])))
        return q.reply()
    with Resolver(on) as resolver, Resolver() as up, \
            waypost(f"forward . ns.example:{up.port} {{\nresolver 127.0.0.1:{resolver.port}\n}}") as w:
        assert [(q.name, q.type) for q in resolver.asked] == [("ns.example.", 1), ("ns.example.", 28)]
        assert wire.rcode(ask(w)) == 0 and len(up.asked) == 1


def test_source_address():
    with Resolver() as up, waypost(f"forward . 127.0.0.1:{up.port} {{\nsource_address 127.0.0.9\n}}") as w:
        assert wire.rcode(ask(w)) == 0 and wire.rcode(ask(w, how=wire.tcp)) == 0
        assert {(q.proto, q.peer[0]) for q in up.asked} == {("udp", "127.0.0.9"), ("tcp", "127.0.0.9")}


# --- what is counted and said ----------------------------------------------------------------

def test_metrics():
    import urllib.request
    with Resolver(lambda q: q.reply(rcode=NXDOMAIN if q.name[0] == "n" else 0)) as up, waypost(f"forward . 127.0.0.1:{up.port}") as w:
        for i in range(3):
            ask(w, "a.example")
        ask(w, "n.example", how=wire.tcp)
        text = urllib.request.urlopen(f"http://localhost:{w.port['xmetrics']}/metrics").read().decode()
        to = f'to="127.0.0.1:{up.port}"'
        assert f'coredns_proxy_request_duration_seconds_count{{proxy_name="forward",rcode="NOERROR",{to}}} 3' in text or \
            f'coredns_proxy_request_duration_seconds_count{{proxy_name="forward",{to},rcode="NOERROR"}} 3' in text
        counts = {}
        for line in text.splitlines():
            if line.startswith("coredns_proxy_conn_cache_") and to in line:
                proto = line.split('proto="')[1].split('"')[0]
                counts[line.split("{")[0][25:], proto] = float(line.split()[-1])
        assert counts["hits_total", "udp"] + counts["misses_total", "udp"] == 3
        assert counts["hits_total", "tcp"] + counts["misses_total", "tcp"] == 1
        assert "coredns_forward_healthcheck_broken_total 0" in text
        assert "coredns_forward_max_concurrent_rejects_total 0" in text


def test_reload_keeps_answering():
    with Resolver() as up, waypost(f"forward . 127.0.0.1:{up.port}") as w:
        import signal
        for i in range(10):
            assert wire.rcode(ask(w, f"a{i}.example")) == 0
            w.write(f".:{{dns}} {{\nforward . 127.0.0.1:{up.port} {{\nmax_fails {i}\n}}\n}}\n")
            w.kill(signal.SIGUSR1)
            wait_for(lambda: w.output().count("Reloading complete") == i + 1)
        assert wire.rcode(ask(w, how=wire.tcp)) == 0


# --- names that no upstream is asked for -----------------------------------------------------

SPECIAL = [
    ("U62-localhost", "localhost", "A", 0, {"localhost. A 127.0.0.1"}),
    ("U62-below", "a.LocalHost", "AAAA", 0, {"a.localhost. AAAA ::1"}),
    ("U62-nodata", "localhost", "TXT", 0, set()),
    ("U62-invalid", "x.invalid", "A", NXDOMAIN, set()),
    ("U62-onion", "x.onion", "A", NXDOMAIN, set()),
    ("D02", "_dns.resolver.arpa", "SVCB", 0, set()),
    ("D03", "resolver.arpa", "A", 0, set()),
    ("D04", "x.resolver.arpa", "A", 0, set()),
]


@pytest.fixture(scope="module")
def special():
    with Resolver() as up, waypost(f"forward . 127.0.0.1:{up.port}") as w:
        yield up, w


@pytest.mark.parametrize("row, qname, qtype, rcode, answer", SPECIAL, ids=[r[0] for r in SPECIAL])
def test_special_name(special, row, qname, qtype, rcode, answer):
    up, w = special
    r = ask(w, qname, qtype)
    assert wire.rcode(r) == rcode and wire.sections(r)[0] == answer and r[2] & 4 and r[3] & 0x80
    assert bool(wire.sections(r)[1]) == (not answer)  # a SOA, to remember the denial by
    assert not up.asked


@pytest.mark.parametrize("row, qname", [("U62-longer", "notlocalhost"), ("U62-inside", "invalid.example"), ("U62-test", "x.test"),
                                        ("U62-home", "x.home.arpa")])
def test_ordinary_name(row, qname):
    with Resolver() as up, waypost(f"forward . 127.0.0.1:{up.port}") as w:
        assert wire.rcode(ask(w, qname)) == 0 and len(up.asked) == 1


@pytest.mark.parametrize("row, zone, body", [("U62-from", ".", "forward invalid 127.0.0.1:%d"), ("U62-zone", "x.invalid", "forward . 127.0.0.1:%d"),
                                             ("U62-class", ".", "forward . 127.0.0.1:%d")])
def test_special_name_that_is_asked_for(row, zone, body):
    with Resolver() as up, Waypost("%s:{dns} {\n%s\n}\n" % (zone, body % up.port)) as w:
        assert wire.rcode(ask(w, "x.invalid", **({"qclass": 3} if row == "U62-class" else {}))) == 0 and len(up.asked) == 1
