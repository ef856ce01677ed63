"""forward beside a real CoreDNS: one upstream that does what the name says, both servers in front of it."""
import os
import struct
import sys

import intended
import pytest
import wire
from compare import differences, product, ask_both
from server import Waypost

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../fake"))
from resolver import Resolver, address, name, record  # noqa: E402

SOA = record(name("example"), 6, name("ns.example") + name("h.example") + struct.pack(">5I", 1, 2, 3, 4, 300), ttl=900)
NS = record(name("example"), 2, name("ns.example"))
GLUE = record(name("ns.example"), 1, bytes([192, 0, 2, 53]))
POINTER = b"\xc0\x0c"


def opt(q, *options, flags=0, rcode=0):
    return b"\0" + struct.pack(">HHBBHH", 41, 1400, rcode, 0, flags, sum(map(len, options))) + b"".join(options)


REPLIES = {
    "plain": lambda q: q.reply(address()),
    "many": lambda q: q.reply(*[address(i) for i in range(20)]),
    "huge": lambda q: q.reply(*[address(i % 250) + b"" for i in range(250)]) if q.proto == "tcp" else q.reply(flags=0x8380),
    "overlong": lambda q: q.reply(*[address(i) for i in range(120)]),
    "sections": lambda q: q.reply(address(), authority=[NS], additional=[GLUE]),
    "nx": lambda q: q.reply(rcode=3, authority=[SOA]),
    "nodata": lambda q: q.reply(authority=[SOA]),
    "referral": lambda q: q.reply(authority=[NS], additional=[GLUE], flags=0x8000),
    "servfail": lambda q: q.reply(rcode=2),
    "refused": lambda q: q.reply(rcode=5),
    "formerr": lambda q: q.reply(rcode=1),
    "rcode11": lambda q: q.reply(rcode=11),
    "aa": lambda q: q.reply(address(), flags=0x8400),
    "ad": lambda q: q.reply(address(), flags=0x81a0),
    "zbit": lambda q: q.reply(address(), flags=0x81c0),
    "norec": lambda q: q.reply(address(), flags=0x8000),
    "cut": lambda q: q.reply(address(), address(2), flags=0x8380),
    "short": lambda q: q.reply(address(), address(2))[:-3] if q.proto == "udp" else q.reply(address(), address(2)),
    "trailing": lambda q: q.reply(address()) + b"rubbish",
    "alias": lambda q: q.reply(record(POINTER, 5, b"\3www" + b"\xc0" + bytes([12 + 1 + len("alias")])),
                               record(b"\xc0" + bytes([len(q.question) + 12 + 12]), 1, b"\1\2\3\4")),
    "mx": lambda q: q.reply(record(POINTER, 15, b"\0\5" + name("mail.example")), record(POINTER, 15, b"\0\6\4mai2\xc0\x0c")),
    "txt": lambda q: q.reply(record(POINTER, 16, b"\3abc\0\2\xff\"")),
    "srv": lambda q: q.reply(record(POINTER, 33, b"\0\1\0\2\0\x35" + name("srv.example"))),
    "unknown": lambda q: q.reply(record(POINTER, 65280, b"\1\2\3")),
    "opt": lambda q: q.reply(address(), additional=[opt(q)]) if q.rest else q.reply(address()),
    "optdo": lambda q: q.reply(address(), additional=[opt(q, flags=0x8000)]) if q.rest else q.reply(address()),
    "nsid": lambda q: q.reply(address(), additional=[opt(q, wire.option(3, b"u1"))]) if q.rest else q.reply(address()),
    "ede": lambda q: q.reply(rcode=2, additional=[opt(q, wire.option(15, b"\0\x16why"))]) if q.rest else q.reply(rcode=2),
    "badcookie": lambda q: q.reply(rcode=7, additional=[opt(q, rcode=1)]) if q.rest else q.reply(rcode=2),
    "optfirst": lambda q: q.reply(address(), additional=[opt(q), GLUE]) if q.rest else q.reply(address(), additional=[GLUE]),
    "wrongname": lambda q: q.reply(address(), question=name("evil.example") + q.question[-4:]),
    "wrongtype": lambda q: q.reply(address(), question=q.question[:-4] + b"\0\x1c\0\1"),
    "noquestion": lambda q: q.reply(question=b"", qd=0),
    "twice": lambda q: q.reply(question=q.question * 2, qd=2),
}


def on(q):
    return REPLIES[q.name.split(".")[0].lower()](q)


SLOW = ("wrongname", "wrongtype", "noquestion", "twice")  # waypost waits a moment for the true reply


def questions():
    quick = [f"{r}.example" for r in REPLIES if r not in SLOW]
    yield from product(quick, ["A", "TXT"], tcp=[False, True], edns=[None, 512, 4096], do=[False, True])
    yield from product(quick, ["A"], tcp=[False, True], edns=[None, 1232], cd=[False, True], ad=[False, True], rd=[False, True])
    yield from product([f"{r}.example" for r in SLOW], ["A"], tcp=[False, True], edns=[None, 1232])


@pytest.mark.parametrize("option", ["", "force_tcp", "prefer_udp"])
def test_same_answers(coredns, option):
    conf = ".:{dns} {\n forward . 127.0.0.1:{xup} {\n  max_fails 0\n%s\n }\n}\n" % option
    with Resolver(on) as up, Waypost(conf, ports={"xup": up.port}) as w, Waypost(conf, ports={"xup": up.port}, binary=coredns) as c:
        bad, n, silent = [], 0, 0
        for q in questions():
            n += 1
            ours, theirs = ask_both(q, w.port["dns"], c.port["dns"])
            silent += ours is None
            diff = differences(ours, theirs)
            left = [d for d in diff if intended.row("forward", q, d, diff) is None]
            if left:
                bad.append(f"{q}\n" + "\n".join(f"    {k}: waypost {a}\n    {' ' * len(k)}  coredns {b}" for k, a, b in left))
        assert n > 900 and silent == 0
        assert not bad, f"{len(bad)} of {n} questions differ\n" + "\n".join(bad[:40])


QUERIES = [wire.query("plain.example", flags=f, extra=x) for f in (0, 0x0100, 0x0110, 0x0120, 0x0130)
           for x in (b"", wire.opt(0), wire.opt(1232, do=True), wire.opt(4096, wire.option(8, b"\0\1\x18\0\xc0\0\2") + wire.option(65001, b"x")))]


@pytest.mark.parametrize("how", ["udp", "tcp"])
def test_same_queries_upstream(coredns, how):
    """What the upstream is asked is the same, octet for octet, but for the id."""
    conf = ".:{dns} {\n forward . 127.0.0.1:{xup}\n}\n"
    with Resolver(on) as up, Waypost(conf, ports={"xup": up.port}) as w, Waypost(conf, ports={"xup": up.port}, binary=coredns) as c:
        for msg in QUERIES + [wire.query("PlAiN.eXample", "ANY"), wire.query("plain.example", "TXT", qclass=3)]:
            seen = []
            for s in (w, c):
                up.asked.clear()
                assert getattr(wire, how)(s.port["dns"], msg) is not None
                seen.append((up.asked[0].proto, up.asked[0].msg[2:]))
            assert seen[0] == seen[1], msg


# --- what differs on purpose: both sides -----------------------------------------------------

def pair(coredns, up, options="", **kw):
    conf = ".:{dns} {\n forward . 127.0.0.1:{xup} {\n  max_fails 0\n%s\n }\n}\n" % options
    return (Waypost(conf, ports={"xup": up.port}, env={"WAYPOST_WORKERS": "1"}, **kw),
            Waypost(conf, ports={"xup": up.port}, binary=coredns, **kw))


def test_hop_options(coredns):  # D-forward-hop
    msg = wire.query("plain.example", extra=wire.opt(1232, wire.option(11) + wire.option(12, bytes(9)) + wire.option(65001, b"x")))
    with Resolver(on) as up:
        ours, theirs = pair(coredns, up)
        with ours as w, theirs as c:
            for s in (w, c):
                assert wire.udp(s.port["dns"], msg) is not None
            assert up.asked[0].rest == wire.opt(1232, wire.option(65001, b"x"))
            assert up.asked[1].rest == msg[-len(up.asked[1].rest):]


def test_forged_datagram(coredns):  # D-forward-forged
    def forged(q):
        return [(0, q.reply(address(66), question=name("evil.example") + q.question[-4:])), (0.05, q.reply(address()))]
    with Resolver(forged) as up:
        ours, theirs = pair(coredns, up)
        with ours as w, theirs as c:
            msg = wire.query("plain.example")
            assert wire.sections(wire.udp(w.port["dns"], msg))[0] == {"plain.example. A 192.0.2.77"}
            assert wire.rcode(wire.udp(c.port["dns"], msg)) == 1


def test_silent_upstream(coredns):  # D-forward-silent, D-forward-ede
    import time
    with Resolver(lambda q: None) as up:
        ours, theirs = pair(coredns, up)
        with ours as w, theirs as c:
            for s, least, most, codes in ((w, 1.9, 2.5, [22]), (c, 3.8, 5.5, [])):
                start = time.monotonic()
                r = wire.udp(s.port["dns"], wire.query("plain.example", extra=wire.opt()), timeout=8)
                assert wire.rcode(r) == 2 and least < time.monotonic() - start < most
                assert [int(o.code) for o in wire.parse(r).options if int(o.otype) == 15] == codes


def test_same_questions(coredns):  # D-forward-merge
    import socket
    with Resolver(lambda q: [(0.3, q.reply(address()))]) as up:
        ours, theirs = pair(coredns, up)
        with ours as w, theirs as c:
            counts = []
            for s in (w, c):
                up.asked.clear()
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                    client.connect(("127.0.0.1", s.port["dns"]))
                    client.settimeout(3)
                    for i in range(10):
                        client.send(wire.query("plain.example", qid=i))
                    for _ in range(10):
                        client.recv(4096)
                counts.append(len(up.asked))
            assert counts == [1, 10]
