"""What access control, rewrite, cache, zones and the Corefile must not be led to do."""
import struct
import subprocess
import time

import gateway
import pytest
import server
import wire
from gateway import TRANSPORTS, WWW
from resolver import Resolver, address, name, record
from server import Waypost

SERVFAIL, REFUSED = 2, 5
LONG = ".".join(["a" * 63] * 3 + ["b" * 48])  # with .waypost.test. 255 octets on the wire


# --- access control ------------------------------------------------------------------------------

ACTIONS = [("AV029-block", "block", REFUSED), ("AV029-filter", "filter", 0), ("AV029-drop", "drop", None), ("AV029-allow", "allow", 0)]


@pytest.mark.parametrize("action, want", [pytest.param(*a[1:], id=a[0]) for a in ACTIONS])
def test_acl_on_every_transport(tmp_path, action, want):
    body = f"acl {{\n {action} net 127.0.0.0/8\n}}\nfile {{dir}}/db.waypost.test waypost.test"
    with gateway.gateway(tmp_path, body=body) as w:
        for t in TRANSPORTS:
            got = gateway.verdict(w, t, WWW)
            if want is not None:
                assert got == want, t
                continue
            assert got == ("refused" if t in ("doh", "grpc") else "silence"), t
        r = wire.udp(w.port["dns"], WWW, timeout=0.3)
        assert r is None or bool(wire.parse(r).answer) == (action == "allow")


BOTH = [("AV012-asked", "open.waypost.test"), ("AV012-rewritten", "www.waypost.test")]


@pytest.mark.parametrize("closed", [pytest.param(b[1], id=b[0]) for b in BOTH])
def test_acl_and_rewrite(tmp_path, closed):
    body = f"rewrite name exact open.waypost.test www.waypost.test\nacl {closed} {{\n block\n}}\nfile {{dir}}/db.waypost.test waypost.test"
    with gateway.gateway(tmp_path, body=body) as w:
        for t in TRANSPORTS:
            assert gateway.verdict(w, t, wire.query("open.waypost.test")) == REFUSED, t


@pytest.mark.parametrize("stale", [pytest.param(False, id="AV013"), pytest.param(True, id="AV055")])
def test_acl_and_cache(stale):
    """What one client may see, and the cache therefore has, another may not."""
    alive = [True]
    with Resolver(lambda q: q.reply(address(ttl=1)) if alive[0] else None) as up:
        body = "acl {\n allow net 127.0.0.1/32\n block\n}\ncache 10 {\n success 100 10 1\n serve_stale 1h\n}\n"
        with Waypost(f".:{{dns}} {{\n{body}forward . 127.0.0.1:{up.port}\n}}\n") as w:
            for _ in range(2):
                assert wire.rcode(wire.udp(w.port["dns"], WWW)) == 0
            if stale:
                alive[0] = False
                time.sleep(1.2)
                assert wire.rcode(wire.udp(w.port["dns"], WWW, timeout=8)) == 0
            for source in ("127.0.0.2", "127.0.0.3"):
                r = wire.udp(w.port["dns"], WWW, source=(source, 0))
                assert wire.rcode(r) == REFUSED and not wire.parse(r).answer


@pytest.mark.parametrize("size", [pytest.param(s, id=f"AV058-{s}") for s in (0, 512, 1232)])
def test_extended_error_in_a_small_reply(size):
    body = "acl {\n block\n}\nwhoami"
    with Waypost(f".:{{dns}} {{\n{body}\n}}\n") as w:
        r = wire.udp(w.port["dns"], wire.query(LONG + ".waypost.test", extra=wire.opt(size)))
        assert wire.rcode(r) == REFUSED and len(r) <= 512 and wire.parse(r).edns == 0


# --- cache ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("row", ["AV018"])
def test_cache_key_has_cd_do_class_and_subnet(row):
    """An answer for a client that checks itself is not given to one that does not; nor is that of another class, or
    for another subnet."""
    def on(q):
        at = q.rest.find(b"\0\x08\0\x07")
        if at >= 0:  # an answer for 10.0.N.0/24
            n = q.rest[at + 10]
            return q.reply(address(n), additional=[wire.opt(options=wire.option(8, b"\0\1\x18\x18" + bytes([10, 0, n])))])
        return q.reply(address(1 + (q.flags >> 4 & 1)))
    with Resolver(on) as up, Waypost(f".:{{dns}} {{\n cache\n forward . 127.0.0.1:{up.port}\n}}\n") as w:
        def ask(flags, **kw):
            return wire.udp(w.port["dns"], wire.query("www.example", flags=flags, **kw))

        def subnet(n):
            return wire.opt(options=wire.option(8, b"\0\1\x18\0" + bytes([10, 0, n])))

        for n in (10, 20, 10):
            assert wire.sections(ask(0x0100, extra=subnet(n)))[0] == {f"www.example. A 192.0.2.{n}"}
        for _ in range(2):
            assert ask(0x0110)[-4:] == b"\xc0\0\2\2"
            assert ask(0x0100)[-4:] == b"\xc0\0\2\1"
        for more in ({"extra": wire.opt(do=True)}, {"qclass": 3}):
            n = len(up.queries())
            ask(0x0100, **more)
            assert len(up.queries()) == n + 1


@pytest.mark.parametrize("row", ["AV098"])
def test_dead_upstream_is_tried_once(row):
    with Resolver(lambda q: None) as up:
        body = f"cache {{\n servfail 5s\n}}\nforward . 127.0.0.1:{up.port} {{\n read_timeout 300ms\n max_connect_attempts 1\n max_fails 0\n}}"
        with Waypost(f".:{{dns}} {{\n{body}\n}}\n", env={"WAYPOST_WORKERS": "1"}) as w:
            start = time.monotonic()
            n = 0
            while time.monotonic() - start < 1.5:
                assert wire.rcode(wire.udp(w.port["dns"], WWW, timeout=4)) == SERVFAIL
                n += 1
            # one try; a datagram that may have been lost goes out again
            assert n > 20 and len({q.id for q in up.queries()}) <= 2 and len(up.queries()) <= 2


@pytest.mark.parametrize("row", ["AV098-stale"])
def test_stale_entry_has_one_refresh(row):
    alive = [True]
    with Resolver(lambda q: q.reply(address(ttl=1)) if alive[0] else None) as up:
        body = (f"cache 10 {{\n success 100 10 1\n serve_stale 1h immediate\n}}\nforward . 127.0.0.1:{up.port} {{\n"
                " max_connect_attempts 1\n max_fails 0\n}")
        with Waypost(f".:{{dns}} {{\n{body}\n}}\n", env={"WAYPOST_WORKERS": "1"}) as w:
            assert wire.rcode(wire.udp(w.port["dns"], WWW)) == 0
            alive[0] = False
            time.sleep(1.2)
            start, n = len(up.queries()), 0
            end = time.monotonic() + 1.0
            while time.monotonic() < end:
                assert wire.rcode(wire.udp(w.port["dns"], WWW, timeout=4)) == 0
                n += 1
            assert n > 20 and len(up.queries()) - start <= 1


# --- rewrite -------------------------------------------------------------------------------------

@pytest.mark.parametrize("row", ["AV087"])
def test_rewritten_cname_that_meets_itself(row):
    def on(q):
        return q.reply(record(b"\xc0\x0c", 5, name("target.test")))
    with Resolver(on) as up:
        with Waypost(f".:{{dns}} {{\n rewrite cname exact target.test. loop.test.\n forward . 127.0.0.1:{up.port}\n}}\n") as w:
            with gateway.bounded(w, mb=8):
                t0 = time.monotonic()
                for i in range(50):
                    assert wire.udp(w.port["dns"], wire.query(f"n{i}.test")) is not None
                assert time.monotonic() - t0 < 50 * 0.05 or gateway.sanitized()
            assert len(up.queries()) <= 50 * 10  # the question and nine look-ups


NAME_RULES = {
    "AV054-suffix": "rewrite name suffix .a.test .%s.test" % LONG,
    "AV054-substring": "rewrite name substring a aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "AV054-regex": "rewrite name regex (.*) {1}.{1}.{1}.%s" % LONG,
    "AV054-auto": "rewrite name suffix .a.test .%s.test answer auto" % LONG,
    "AV054-answer": "rewrite stop {\n name regex (.*) {1}\n answer name (.*) {1}.{1}.{1}\n answer value (.*) {1}.{1}.{1}\n}",
    "AV054-cname": "rewrite cname regex (.*) {1}.{1}.{1}.{1}.",
}


@pytest.mark.parametrize("rule", NAME_RULES.values(), ids=NAME_RULES)
def test_names_that_grow_past_the_limit(rule):
    """Names of the greatest length through everything that makes names and lines of them."""
    def on(q):
        return q.reply(record(b"\xc0\x0c", 5, name(LONG + ".a.test")), record(name(LONG + ".a.test"), 15, b"\0\1" + name(LONG + ".waypost.test")))
    with Resolver(on) as up:
        files = {"rules": rule + "\n"}  # its braces are not ports
        conf = f".:{{dns}} {{\n import {{dir}}/rules\n log\n errors\n prometheus 127.0.0.1:{{prom}}\n cache\n loadbalance\n minimal\n forward . 127.0.0.1:{up.port}\n}}\n"
        with Waypost(conf, files=files) as w, gateway.bounded(w, mb=16):
            for host in (LONG + ".a.test", LONG + ".waypost.test", "a.test", "a" * 63 + ".a.test", "\xff" * 63 + "." + "\0" * 63 + ".a.test", "."):
                for t in ("A", "MX", "CNAME", "SRV"):
                    r = wire.udp(w.port["dns"], wire.query(host, t, qid=3), timeout=4)
                    assert r is not None and r[:2] == b"\0\3" and r[12:12 + len(name(host))].lower() == name(host).lower()


@pytest.mark.parametrize("row", ["AV038"])
def test_rewrite_in_a_full_message(row):
    """Room for the longer name is made by writing the message anew, not by moving octets."""
    with Resolver() as up:
        conf = f".:{{dns}} {{\n rewrite name exact a.test {LONG}.waypost.test\n forward . 127.0.0.1:{up.port} {{\n force_tcp\n }}\n}}\n"
        with Waypost(conf) as w, gateway.bounded(w, mb=16):
            base = len(wire.query("a.test", extra=wire.opt()))
            for spare in (0, 1, 100, 240, 300, 1000):
                msg = wire.query("a.test", extra=wire.opt(options=wire.option(65001, bytes(65535 - base - 4 - spare))))
                r = wire.tcp(w.port["dns"], msg, timeout=5)
                assert r is not None and r[12:12 + 8] == name("a.test")
            assert all(q.name == LONG + ".waypost.test." for q in up.queries())


# --- replies that are none, behind everything that looks at replies ------------------------------

LOOKERS = ["minimal", "cache", "loadbalance", "rewrite name suffix .a.test .b.test answer auto", "rewrite cname exact x. y.", "rewrite ttl suffix . 30",
           "header {\n response set aa\n}", "any", "bufsize 512", "nsid x", "log", "errors", "prometheus 127.0.0.1:{prom}", "cache {\n serve_stale\n prefetch 1 1m 90%\n}"]


@pytest.mark.parametrize("what", ["drop", "no-question", "header-only", "silence"])
@pytest.mark.parametrize("directive", [pytest.param(d, id="AV092-" + d.split("{")[0].strip().replace(" ", "_").replace("/", "_")) for d in LOOKERS])
def test_no_reply_behind(directive, what):
    def on(q):
        return {"no-question": q.reply(address(), question=b"", qd=0), "header-only": q.reply()[:12]}.get(what)
    with Resolver(on) as up:
        body = "acl {\n drop\n}\nwhoami" if what == "drop" else f"forward . 127.0.0.1:{up.port} {{\n read_timeout 200ms\n max_connect_attempts 1\n}}"
        with Waypost(f".:{{dns}} {{\n{directive}\n{body}\n}}\n") as w:
            for q in (wire.query("x.a.test"), wire.query("x.a.test", extra=wire.opt(do=True)), wire.query("x.a.test", "ANY")):
                r = wire.udp(w.port["dns"], q, timeout=0.15 if what == "drop" else 4)
                if what == "drop":
                    assert r is None or directive == "any"
                else:
                    assert r is not None and not any(a.rdtype == 1 for a in wire.parse(r).answer)
            assert w.alive()


# --- zones ---------------------------------------------------------------------------------------

ALIASES = "".join(f"c{i} CNAME c{i + 1}\n" for i in range(200)) + "self CNAME self\nto-self CNAME self\nx CNAME y\ny CNAME x\n" + \
    "d DNAME d.d\ne DNAME f\nf DNAME e\nw.e2 CNAME *.e2\n*.wild CNAME a.wild\n"
CHAINS = ["self", "to-self", "x", "c0", "a.d", "a.b.c.d", "a.e", "q.wild", "w.e2"]


@pytest.mark.parametrize("rtype", ["A", "TXT", "CNAME", "ANY"])
@pytest.mark.parametrize("host", [pytest.param(c, id="AV070-" + c) for c in CHAINS])
def test_alias_chains(chained, host, rtype):
    """Bounded in length, without a record twice; no answer grows by going round."""
    with gateway.bounded(chained, mb=8):
        r = wire.tcp(chained.port["dns"], wire.query(host + ".waypost.test", rtype))
    m = wire.parse(r)
    texts = [(s.name, s.rdtype, x.to_text()) for s in m.answer for x in s]
    assert len(texts) == len(set(texts)) and len(texts) <= 32 and len(r) < 4096


@pytest.mark.parametrize("host", [pytest.param(c, id="AV094-" + c) for c in ("self", "to-self")])
def test_circle_is_an_error(chained, host):
    m = wire.parse(wire.udp(chained.port["dns"], wire.query(host + ".waypost.test")))
    assert m.rcode() == SERVFAIL and not m.answer


@pytest.fixture(scope="module")
def chained():
    zone = "$ORIGIN waypost.test.\n$TTL 300\n@ SOA ns host 1 0 0 0 0\n@ NS ns\n" + ALIASES
    with Waypost("waypost.test:{dns} {\n file {dir}/db\n}\n", files={"db": zone}) as w:
        yield w


@pytest.mark.parametrize("row", ["AV023-soa-zeros"])
def test_zone_with_times_of_zero(chained, row):
    """Neither a busy loop of reloads nor a division."""
    cpu = gateway.cpu_s(chained.pid)
    time.sleep(0.5)
    assert gateway.cpu_s(chained.pid) - cpu < 0.2


BACKENDS = {"file": "file {dir}/db.waypost.test waypost.test", "hosts": "hosts {dir}/hosts waypost.test", "whoami": "whoami",
            "forward": "forward . 127.0.0.1:{xup}", "forward-tcp": "forward . 127.0.0.1:{xup} {\n force_tcp\n}", "cache": "cache\nforward . 127.0.0.1:{xup}"}


@pytest.mark.parametrize("backend", [pytest.param(b, id="AV025-" + b) for b in BACKENDS])
def test_transfers_on_every_transport(tmp_path, backend):
    """AXFR and IXFR, with and without the SOA that IXFR takes along: some answer, the process lives."""
    soa = record(name("waypost.test"), 6, name("a") + name("b") + struct.pack(">5I", 1, 1, 1, 1, 1))
    with Resolver(lambda q: q.reply(soa, address(), soa)) as up:
        with gateway.gateway(tmp_path, body=BACKENDS[backend], files={"hosts": "192.0.2.1 www.waypost.test\n"}, ports={"xup": up.port}) as w:
            for t in TRANSPORTS:
                for qtype in (251, 252):
                    plain = wire.query("waypost.test", qtype, qid=2)
                    with_soa = wire.query("waypost.test", qtype, qid=2, extra=soa)
                    for msg in (plain, with_soa[:8] + b"\0\1\0\0" + with_soa[12:]):
                        gateway.verdict(w, t, msg)
                        assert w.alive(), (t, qtype)
            assert gateway.verdict(w, "udp", WWW) is not None and w.alive()


# --- Corefile ------------------------------------------------------------------------------------

COREFILES = {
    "AV021-unclosed": ". {\n whoami\n", "AV021-unclosed-option": ". {\n cache {\n", "AV021-only-brace": "{", "AV021-open-many": "{" * 100000,
    "AV021-import-self": "import Corefile\n", "AV021-snippet-self": "(a) {\n import a\n}\n. {\n import a\n}\n",
    "AV021-snippets-in-a-circle": "(a) {\n import b\n}\n(b) {\n import a\n}\n. {\n import a\n}\n", "AV021-env": "{$X{$X{$X", "AV021-quote": ". {\n log \"", "AV021-zeros": "\0" * 100000,
    "AV022-64k": ". {\n rewrite name regex %s x\n whoami\n}\n" % ("(a|b)" * 13200),
    "AV022-nested": ". {\n rewrite name regex %s x\n whoami\n}\n" % ("(" * 2000 + "a" + ")*" * 2000),
    "AV022-counted": ". {\n rewrite name regex ((a{1,1000}){1,1000}){1,1000} x\n whoami\n}\n",
}


@pytest.mark.parametrize("text", COREFILES.values(), ids=COREFILES)
def test_corefile_is_refused_soon(tmp_path, text):
    path = tmp_path / "Corefile"
    path.write_bytes(text.encode())
    t0 = time.monotonic()
    r = subprocess.run([server.WAYPOST, "check", str(path)], capture_output=True, cwd=tmp_path, timeout=30)
    assert r.returncode == 1 and r.stderr + r.stdout, r
    assert time.monotonic() - t0 < (10 if gateway.sanitized() else 1)


@pytest.mark.parametrize("pattern", [pytest.param(p, id=f"AV022-time-{i}") for i, p in enumerate(["(a+)+$", "(a|aa)+$", "(.*a){20}", "(a*)*b", "(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)x"])])
def test_regex_takes_linear_time(pattern):
    rules = {"rules": f"rewrite name regex {pattern} x.test\n"}
    with Waypost(".:{dns} {\n import {dir}/rules\n whoami\n}\n", files=rules) as w:
        t0 = time.monotonic()
        for _ in range(10):
            assert wire.udp(w.port["dns"], wire.query(".".join(["a" * 63] * 3 + ["a" * 60]))) is not None
        assert time.monotonic() - t0 < 1 or gateway.sanitized()
