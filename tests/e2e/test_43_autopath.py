"""autopath with a search list from a file: which names are asked, in which order, and what becomes of the replies.
With `@kubernetes` it is shown where that backend is."""
import os
import re
import sys
import threading
import time
import urllib.request

import clients
import pytest
import wire
from server import Waypost, wait_for
from test_28_proxy import v2

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../fake"))
from resolver import CLOSE, Resolver, address, name, record  # noqa: E402

SOA = "IN SOA ns.test. h.test. 1 1 1 1 60\n@ 60 IN NS ns.test.\n"
FILES = {
    "resolv.conf": "nameserver 192.0.2.1\nsearch ignored.test\nsearch bar.test BAZ.test.\noptions ndots:5\n",
    "db.bar": f"@ 60 {SOA}x 60 IN A 192.0.2.2\nc 60 IN CNAME other\nother 60 IN A 192.0.2.9\n*.wild 60 IN A 192.0.2.10\n",
    "db.baz": f"@ 60 {SOA}y 50 IN A 192.0.2.3\ny 50 IN A 192.0.2.4\nc2 60 IN CNAME y\nmx 60 IN MX 10 y\n"
              "srv 60 IN SRV 1 2 3 y\ntxt 60 IN TXT \"a text\"\nreal 30 IN PTR y\nbig 60 IN TXT " + " ".join([f'"{"b" * 200}"'] * 12) + "\n",
    "db.ex": f"@ 60 {SOA}www 77 IN A 192.0.2.80\n",
}
ZONES = "file {dir}/db.bar bar.test\n file {dir}/db.baz baz.test\n file {dir}/db.ex ex.test\n"
LOCAL = ".:{dns} {\n errors\n prometheus 127.0.0.1:{metrics}\n autopath {dir}/resolv.conf\n minimal\n " + ZONES + "}\n"


def ask(port, qname, rtype="A", timeout=10, **kw):
    """(rcode, answers in order), or None: no reply came."""
    msg = wire.udp(port, wire.query(qname, rtype), timeout, **kw)
    return None if msg is None else told(msg)


def told(msg):
    m = wire.parse(msg)
    return wire.rcode(msg), [f"{s.name} {s.ttl} {wire.dns.rdatatype.to_text(s.rdtype)} {r}" for s in m.answer for r in s]


def metric(w, text):
    with urllib.request.urlopen(f"http://127.0.0.1:{w.port['metrics']}/metrics", timeout=10) as r:
        body = r.read().decode()
    found = re.findall(rf"^{re.escape(text)} (\S+)$", body, re.M)
    return float(found[0]) if found else 0.0


@pytest.fixture(scope="module")
def w():
    with Waypost(LOCAL, files=FILES) as server:
        yield server


# What real CoreDNS 1.15.0 says, but for the rows of D-autopath-alias and D-autopath-first.
ANSWERS = [
    ("x.bar.test", "A", 0, ["x.bar.test. 60 A 192.0.2.2"]),
    ("y.bar.test", "A", 0, ["y.bar.test. 50 CNAME y.baz.test.", "y.baz.test. 50 A 192.0.2.3", "y.baz.test. 50 A 192.0.2.4"]),
    ("Y.bAr.Test", "A", 0, ["Y.bAr.Test. 50 CNAME Y.baz.test.", "Y.baz.test. 50 A 192.0.2.3", "Y.baz.test. 50 A 192.0.2.4"]),
    ("www.ex.test.bar.test", "A", 0, ["www.ex.test.bar.test. 77 CNAME www.ex.test.", "www.ex.test. 77 A 192.0.2.80"]),
    ("www.ex.test.bar.test", "AAAA", 0, []),
    ("x.bar.test", "AAAA", 0, []),
    ("c.bar.test", "A", 0, ["c.bar.test. 60 CNAME other.bar.test.", "other.bar.test. 60 A 192.0.2.9"]),  # D-autopath-alias
    ("c2.bar.test", "A", 0, ["c2.bar.test. 60 CNAME c2.baz.test.", "c2.baz.test. 60 CNAME y.baz.test.",
                             "y.baz.test. 50 A 192.0.2.3", "y.baz.test. 50 A 192.0.2.4"]),
    ("mx.bar.test", "MX", 0, ["mx.bar.test. 60 CNAME mx.baz.test.", "mx.baz.test. 60 MX 10 y.baz.test."]),
    ("srv.bar.test", "SRV", 0, ["srv.bar.test. 60 CNAME srv.baz.test.", "srv.baz.test. 60 SRV 1 2 3 y.baz.test."]),
    ("txt.bar.test", "TXT", 0, ["txt.bar.test. 60 CNAME txt.baz.test.", 'txt.baz.test. 60 TXT "a text"']),
    ("real.bar.test", "PTR", 0, ["real.bar.test. 30 CNAME real.baz.test.", "real.baz.test. 30 PTR y.baz.test."]),
    ("q.wild.bar.test", "A", 0, ["q.wild.bar.test. 60 A 192.0.2.10"]),
    ("nope.bar.test", "A", 3, []),
    ("bar.test", "SOA", 0, ["bar.test. 60 SOA ns.test. h.test. 1 1 1 1 60"]),  # D-autopath-first
    ("bar.test", "A", 0, []),
    ("y.baz.test", "A", 0, ["y.baz.test. 50 A 192.0.2.3", "y.baz.test. 50 A 192.0.2.4"]),
    ("x.baz.test", "A", 3, []),
    ("www.ex.test", "A", 0, ["www.ex.test. 77 A 192.0.2.80"]),
    ("xbar.test", "A", 5, []),  # not below bar.test, and no zone has it
]


@pytest.mark.parametrize("qname, rtype, rcode, answers", [pytest.param(*r, id=f"{r[0]}-{r[1]}") for r in ANSWERS])
def test_answers(w, qname, rtype, rcode, answers):
    msg = wire.udp(w.port["dns"], wire.query(qname, rtype, extra=wire.opt()), 10)
    assert msg[12:].startswith(wire.name(qname)), "the question is the client's, as it spelled it"
    got = told(msg)
    assert got[0] == rcode
    assert sorted(got[1]) == sorted(answers) and got[1][:1] == answers[:1], "the alias comes first"


def test_large_reply(w):
    """One that does not fit a datagram is cut there and whole by TCP, with its alias."""
    cut = wire.parse(wire.udp(w.port["dns"], wire.query("big.bar.test", "TXT", extra=wire.opt()), 10))
    assert cut.flags & 0x0200 and not cut.answer or len(cut.answer) == 1
    rcode, answers = told(wire.tcp(w.port["dns"], wire.query("big.bar.test", "TXT"), 10))
    assert rcode == 0 and answers[0] == "big.bar.test. 60 CNAME big.baz.test." and answers[1].count("b" * 200) == 12


def test_counter_and_labels(w):
    key = f'coredns_autopath_success_total{{server="dns://:{w.port["dns"]}"}}'
    before = metric(w, key)
    for qname, rtype in (("x.bar.test", "A"), ("y.bar.test", "A"), ("www.ex.test.bar.test", "AAAA")):
        ask(w.port["dns"], qname, rtype)
    assert metric(w, key) == before + 3
    for qname in ("nope.bar.test", "www.ex.test", "bar.test"):
        ask(w.port["dns"], qname)
    assert metric(w, key) == before + 3


# --- on every way in -----------------------------------------------------------------------------


def test_transports(tmp_path):
    cert, key = clients.certificate(tmp_path)
    body = f"{{\n tls {cert} {key}\n autopath {{dir}}/resolv.conf\n cache 60\n {ZONES}}}\n"
    corefile = f".:{{dns}} {body}tls://.:{{tls}} {body}https://.:{{https}} {body}" + \
        f"grpc://.:{{grpc}} {{\n autopath {{dir}}/resolv.conf\n cache 60\n {ZONES}}}\n" + \
        f".:{{proxy}} {{\n proxyproto {{\n allow 127.0.0.0/8\n }}\n autopath {{dir}}/resolv.conf\n cache 60\n {ZONES}}}\n"
    with Waypost(corefile, files=FILES) as w:
        ways = {"udp": clients.Udp(w.port["dns"]), "tcp": clients.Tcp(w.port["dns"]), "dot": clients.Dot(w.port["tls"]),
                "doh": clients.Doh(w.port["https"]), "grpc": clients.Grpc(w.port["grpc"]), "proxy": clients.Tcp(w.port["proxy"])}
        ways["proxy"].s.sendall(v2())
        for way, c in ways.items():
            for _ in range(2):
                assert told(c.ask(wire.query("www.ex.test.bar.test")))[1] == \
                    ["www.ex.test.bar.test. 60 CNAME www.ex.test.", "www.ex.test. 60 A 192.0.2.80"], way
                assert told(c.ask(wire.query("www.ex.test.bar.test", "AAAA"))) == (0, []), way
                assert told(c.ask(wire.query("nope.bar.test")))[0] == 3, way


# --- an upstream behind it -----------------------------------------------------------------------


class Upstream(Resolver):
    """NXDOMAIN with an SOA but for what `names` has: records, or what to do."""

    def __init__(self, **names):
        self.names = {k.replace("__", "."): v for k, v in names.items()}
        super().__init__(self.answer)

    def answer(self, q):
        what = self.names.get(q.name.lower())
        if callable(what):
            return what(q)
        if what is not None:
            return what
        soa = record(name("test"), 6, name("ns.test") + name("h.test") + b"\0\0\0\x01" * 5, 60)
        return q.reply(rcode=3, authority=[soa])

    def names_asked(self):
        return [q.name.lower() for q in self.asked]


def behind(up, before="", inside="cache\n", search="s.test corp.test"):
    return Waypost(".:{dns} {\n errors\n prometheus 127.0.0.1:{metrics}\n autopath {dir}/r\n " + before + inside +
                   f" forward . 127.0.0.1:{up.port}\n}}\n", files={"r": f"search {search}\n"})


def test_each_name_is_asked_once_and_kept_under_itself():
    up = Upstream(**{"www.ex.test.": lambda q: q.reply(address(80) if q.type == 1 else b"", rcode=0) if q.type == 1 else
                     q.reply(authority=[record(name("ex.test"), 6, name("ns.test") + name("h.test") + b"\0\0\0\x01" * 5, 60)])})
    with up, behind(up) as w:
        three = ["www.ex.test.s.test.", "www.ex.test.corp.test.", "www.ex.test."]
        for _ in range(3):
            assert ask(w.port["dns"], "www.ex.test.s.test") == (0, ["www.ex.test.s.test. 60 CNAME www.ex.test.", "www.ex.test. 60 A 192.0.2.80"])
        assert up.names_asked() == three
        assert ask(w.port["dns"], "www.ex.test") == (0, ["www.ex.test. 60 A 192.0.2.80"])
        assert ask(w.port["dns"], "www.ex.test.corp.test") == (3, [])
        assert up.names_asked() == three, "they are kept under the names that were asked, not under the client's"
        for _ in range(3):
            assert ask(w.port["dns"], "www.ex.test.s.test", "AAAA") == (0, [])
        assert up.names_asked() == three * 2


@pytest.mark.parametrize("search", [pytest.param("bar.test baz.test", id="K330")])
def test_order(search):
    with Upstream() as up, behind(up, search=search) as w:
        assert ask(w.port["dns"], "x.bar.test") == (3, []) and up.names_asked() == ["x.bar.test.", "x.baz.test.", "x."]


def test_names_that_would_be_too_long():
    """With the first name of the list it is a name, with the second it is none: that one is passed over."""
    long = ".".join(["l" * 61] * 3 + ["l" * 58])
    with Upstream() as up, behind(up) as w:
        assert len(wire.name(long + ".s.test")) == 253
        assert ask(w.port["dns"], long + ".s.test") == (3, []) and up.names_asked() == [long + ".s.test.", long + "."]


FAILURES = [
    # what upstream says of the names, in order: the reply to the client, names asked
    ("written-servfail-is-taken", {"a.corp.test.": lambda q: q.reply(rcode=2)}, (2, []), 2),
    ("written-refused-is-taken", {"a.s.test.": lambda q: q.reply(rcode=5)}, (5, []), 1),
    ("nothing-found", {}, (3, []), 3),
]


@pytest.mark.parametrize("names, reply, n", [pytest.param(*r[1:], id=r[0]) for r in FAILURES])
def test_failures(names, reply, n):
    up = Upstream(**names)
    with up, behind(up) as w:
        assert ask(w.port["dns"], "a.s.test") == reply and len(up.asked) == n


def test_error_of_a_plugin_ends_the_search():
    """An upstream that is silent, and a name that no plugin has."""
    up = Upstream(**{"a.corp.test.": lambda q: None})
    with up, behind(up, inside="") as w:
        assert ask(w.port["dns"], "a.s.test", timeout=20) == (2, [])
        assert "a." not in up.names_asked()
        assert metric(w, f'coredns_autopath_success_total{{server="dns://:{w.port["dns"]}"}}') == 0
        assert "a.s.test. A" in wait_for(lambda: "ERROR" in w.output() and w.output()), "told of the name that was asked"


def test_dropped():
    """What is dropped gave nothing; when the first name gave nothing and no other does, nothing is sent."""
    rules = "acl s.test {{\n drop type TXT\n }}\n acl corp.test {{\n drop type A\n }}\n".replace("{{", "{").replace("}}", "}")
    up = Upstream(**{"b.": lambda q: q.reply(address(3))})
    with up, behind(up, before=rules) as w:
        assert ask(w.port["dns"], "a.s.test", "TXT", timeout=0.5) is None
        assert ask(w.port["dns"], "a.s.test", "A") == (3, []), "the reply to the first name"
        assert ask(w.port["dns"], "b.s.test") == (0, ["b.s.test. 60 CNAME b.", "b. 60 A 192.0.2.3"])
        assert not [q for q in up.asked if q.name == "a.corp.test." and q.type == 1]


def test_blocked_by_either_name():
    """A client that may not have the answer does not get it by the search list, also when it is kept already."""
    rules = "acl ex.test {\n allow net 127.0.0.1/32\n block\n }\n"
    up = Upstream(**{"www.ex.test.": lambda q: q.reply(address(80))})
    with up, behind(up, before=rules) as w:
        for source, rcode in (("127.0.0.1", 0), ("127.0.0.2", 5), ("127.0.0.1", 0)):
            assert ask(w.port["dns"], "www.ex.test.s.test", source=(source, 0))[0] == rcode


def test_alias_of_whole_messages():
    """Records whose names lean on each other, as upstreams send them: what is read is what was said."""
    def chain(q):
        n = len(q.question)
        to = b"\x05alias" + b"\xc0\x0e"  # leans on the question's second label
        cname = record(b"\xc0\x0c", 5, to, 70)
        at = 12 + n + 12  # of alias...
        a = record((0xc000 | at).to_bytes(2, "big"), 1, bytes([192, 0, 2, 8]), 33)
        return q.reply(cname, a, authority=[record(b"\xc0\x0e", 2, b"\2ns\xc0\x0e")], additional=[record(b"\2ns\xc0\x0e", 1, bytes([192, 0, 2, 9]))])

    def foreign(q):
        return q.reply(record(b"\xc0\x0c", 5, name("x.y.test")), record(name("x.y.test"), 64, b"\0\1" + name("z.test"), 30))

    up = Upstream(**{"w.ex.test.": chain, "f.ex.test.": foreign})
    with up, behind(up, inside="") as w:
        msg = wire.udp(w.port["dns"], wire.query("w.ex.test.s.test"), 10)
        assert told(msg) == (0, ["w.ex.test.s.test. 70 CNAME w.ex.test.", "w.ex.test. 70 CNAME alias.ex.test.", "alias.ex.test. 33 A 192.0.2.8"])
        assert wire.sections(msg)[1:] == ({"ex.test. NS ns.ex.test."}, {"ns.ex.test. A 192.0.2.9"})
        assert told(wire.udp(w.port["dns"], wire.query("f.ex.test.s.test"), 10))[1] == \
            ["f.ex.test.s.test. 60 CNAME f.ex.test.", "f.ex.test. 60 CNAME x.y.test.", "x.y.test. 30 SVCB 1 z.test."]


def test_signed_data_is_not_vouched_for_with_the_alias():
    up = Upstream(**{"w.ex.test.": lambda q: q.reply(address(1), flags=0x81a0)})
    with up, behind(up, inside="") as w:
        assert wire.parse(wire.udp(w.port["dns"], wire.query("w.ex.test", flags=0x0120), 10)).flags & 0x20
        assert not wire.parse(wire.udp(w.port["dns"], wire.query("w.ex.test.s.test", flags=0x0120), 10)).flags & 0x20


def test_ede_of_the_reply_that_is_taken():
    ede = b"\0\0\x29\x04\xd0\0\0\0\0" + (6 + 4).to_bytes(2, "big") + b"\0\x0f\0\6\0\x03aged"
    up = Upstream(**{"w.ex.test.": lambda q: q.reply(address(1), additional=[ede]), "w.ex.test.s.test.":
                     lambda q: q.reply(rcode=3, additional=[ede.replace(b"aged", b"nope")])})
    with up, behind(up, inside="") as w:
        for qname, text in (("w.ex.test.s.test", [(3, "aged")]), ("n.ex.test.s.test", []), ("w.ex.test", [(3, "aged")])):
            m = wire.parse(wire.udp(w.port["dns"], wire.query(qname, extra=wire.opt()), 10))
            assert [(int(o.code), o.text) for o in m.options] == text


def test_clients_that_go_away_while_names_are_asked():
    gate = threading.Event()
    up = Upstream(**{"a.corp.test.": lambda q: None if not gate.is_set() else q.reply(address(1))})
    with up, behind(up, inside="") as w:
        cs = [clients.Tcp(w.port["dns"]) for _ in range(20)]
        for c in cs:
            c.s.sendall(wire.framed(wire.query("a.s.test")))
        wait_for(lambda: "a.corp.test." in up.names_asked())
        for c in cs:
            c.s.close()
        gate.set()
        wait_for(lambda: (ask(w.port["dns"], "a.s.test", timeout=20) or (2,))[0] == 0)
        assert w.alive()


def test_pipelined_waiting_questions():
    """Many at once that all wait between names: each gets its own."""
    def on(q):
        n = q.name.split(".")[0]
        return [(0.02, q.reply(address(int(n[1:]))))] if q.name.lower() == f"{n}." else [(0.01, q.reply(rcode=3))]
    with Resolver(on) as up, behind(up, inside="") as w:
        c = clients.Tcp(w.port["dns"])
        for i in range(1, 60):
            c.s.sendall(wire.framed(wire.query(f"h{i}.s.test", qid=i)))
        for _ in range(1, 60):
            msg = wire.read_message(c.s)
            i = msg[0] << 8 | msg[1]
            assert told(msg) == (0, [f"h{i}.s.test. 60 CNAME h{i}.", f"h{i}. 60 A 192.0.2.{i}"])


def test_names_that_answers_lead_to_are_whole():
    """rewrite asks for the new target of an alias: `t.s.test` is not looked for as `t`."""
    up = Upstream(**{"al.ex.test.": lambda q: q.reply(record(b"\xc0\x0c", 5, name("old.ex.test"))), "t.": lambda q: q.reply(address(66))})
    with up, behind(up, before="rewrite cname exact old.ex.test. t.s.test.\n") as w:
        assert ask(w.port["dns"], "al.ex.test") == (0, ["al.ex.test. 60 CNAME t.s.test."])
        assert "t." not in up.names_asked()
        assert ask(w.port["dns"], "t.s.test")[1][1] == "t. 60 A 192.0.2.66"


def test_stale_and_prefetch():
    """A name found by the list is refreshed in the background under itself."""
    last = [1]
    up = Upstream(**{"w.ex.test.": lambda q: q.reply(address(last[0], ttl=1))})
    inside = "cache {\n success 100 3600 1\n serve_stale 1h immediate\n prefetch 1 1m 90%\n }\n"
    with up, behind(up, inside=inside) as w:
        def now():
            rcode, answers = ask(w.port["dns"], "w.ex.test.s.test")
            assert rcode == 0 and answers[0].endswith(" CNAME w.ex.test.") and answers[1].startswith("w.ex.test. ")
            return int(answers[1].rsplit(".", 1)[1])
        assert now() == 1
        last[0] = 2
        wait_for(lambda: now() == 2, 10, 0.1)
        asked = up.names_asked()
        assert asked.count("w.ex.test.") >= 2 and "w.ex.test.s.test." in asked


# --- life ------------------------------------------------------------------------------------------


def test_a_changed_file_is_used():
    with Waypost(LOCAL, files={**FILES, "resolv.conf": "search elsewhere.test\n"}) as w:
        path = os.path.join(w.home.name, "resolv.conf")
        assert ask(w.port["dns"], "y.bar.test")[0] == 3
        for text, found in (("search bar.test baz.test\n", True), ("domain bar.test\n", False), ("search bar.test\nsearch\n", False),
                            ("# search x\n\tsearch bar.test . baz.test bad..name\n", True)):
            with open(path + ".new", "w") as f:
                f.write(text)
            os.rename(path + ".new", path)
            wait_for(lambda: (ask(w.port["dns"], "y.bar.test")[0] == 0) == found, 10, 0.05)
        os.unlink(path)
        time.sleep(1.2)  # one look at it
        assert ask(w.port["dns"], "y.bar.test")[0] == 0, "a file that is gone changes nothing"


BAD = [
    ("no-argument", "autopath", "no resolv-conf specified"),
    ("no-file", "autopath {dir}/none", 'failed to parse "{dir}/none": open {dir}/none: no such file or directory'),
    ("folder", "autopath {dir}", 'failed to parse "{dir}": read {dir}: is a directory'),
    ("no-support", "autopath @file", "file does not implement the AutoPather interface"),
    ("own-file", "autopath {dir}/resolv.conf {\n resolv_conf\n }", "Wrong argument count"),
    ("own-file-gone", "autopath @errors {\n resolv_conf {dir}/none\n }", "errors does not implement"),
    ("unknown", "autopath {dir}/resolv.conf {\n what\n }", "unknown property 'what'"),
]


@pytest.mark.parametrize("line, text", [pytest.param(*r[1:], id=r[0]) for r in BAD])
def test_refused(line, text):
    w = Waypost(".:{dns} {\n errors\n " + line + "\n " + ZONES + "}\n", files=FILES, wait=False)
    with w:
        assert w.wait(20) == 1 and text.replace("{dir}", w.home.name) in w.output()


def test_a_plugin_that_is_not_there():
    with Waypost(".:{dns} {\n autopath @kubernetes\n " + ZONES + "}\n", files=FILES) as w:
        assert ask(w.port["dns"], "y.bar.test")[0] == 3
        w.says("autopath: there is no kubernetes in this server block")


def test_zones_and_repetition():
    body = " autopath {dir}/none.conf\n autopath ex.test {dir}/resolv.conf\n"
    with Waypost(".:{dns} {\n" + body.replace("none.conf", "r2") + ZONES + "}\n", files={**FILES, "r2": ""}) as w:
        assert ask(w.port["dns"], "y.bar.test")[0] == 3, "the last line says which zones"
    with Waypost(".:{dns} {\n autopath bar.test 10.0.0.0/8 {dir}/resolv.conf\n" + ZONES + "}\n", files=FILES) as w:
        assert ask(w.port["dns"], "y.bar.test")[0] == 0


def test_explain(w):
    from test_52_explain import details, explain, steps
    e = explain(w, "y.bar.test")
    assert [s for s in steps(e, "reply") if s[0] == "autopath"] == [("autopath", "again"), ("autopath", "next")]
    assert details(e, "autopath")["first"] == "bar.test."
    first, second = [s for s in e["steps"] if s["plugin"] == "autopath" and s["phase"] == "reply"]
    assert first["details"]["question"] == "y.baz.test. A" and second["details"]["names_tried"] == 2
    assert e["reply"]["answer"][0].startswith("y.bar.test. ") and e["answered_by"] in ("file", "cache")


assert CLOSE is not None
