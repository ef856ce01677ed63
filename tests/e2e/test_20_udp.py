"""UDP: the transports table 17.1, row by row."""
import random
import socket
import struct
import threading
import time

import dns.rdatatype
import fixture
import pytest
import wire
from server import Waypost

FORMERR, NOTIMP, REFUSED, SERVFAIL, NXDOMAIN = 1, 4, 5, 2, 3


@pytest.fixture(scope="module")
def w():
    with fixture.Upstreams() as up:
        extra = ".:{nsid} {\n nsid gw1\n local\n}\n"
        with Waypost(fixture.blocks() + extra, files=fixture.FILES, ports=up.ports) as server:
            server.up = up
            yield server


def head(qd=1, an=0, ns=0, ar=0, flags=0x0100, qid=0):
    return struct.pack(">6H", qid, flags, qd, an, ns, ar)


Q = wire.name("www.waypost.test") + struct.pack(">2H", 1, 1)
RR = wire.name("x.test") + struct.pack(">HHIH", 1, 1, 60, 4) + b"\1\2\3\4"
LONG = b"".join(bytes([63]) + b"a" * 63 for _ in range(3))
NAME_255 = LONG + bytes([48]) + b"a" * 48 + wire.name("waypost.test")
NAME_256 = LONG + bytes([49]) + b"a" * 49 + wire.name("waypost.test")
assert len(NAME_255) == 255 and len(NAME_256) == 256

IS = {
    "silence": lambda r: r is None,
    "formerr": lambda r: wire.rcode(r) == FORMERR and r[6:12] == bytes(6),
    "formerr12": lambda r: wire.rcode(r) == FORMERR and len(r) == 12,
    "notimp": lambda r: wire.rcode(r) == NOTIMP,
    "refused": lambda r: wire.rcode(r) == REFUSED,
    "refused or notauth": lambda r: wire.rcode(r) in (REFUSED, 9),
    "no data served": lambda r: wire.rcode(r) in (FORMERR, NOTIMP, REFUSED) and not wire.parse(r).answer,
    "answer": lambda r: wire.rcode(r) == 0 and wire.sections(r)[0] == {"www.waypost.test. A 192.0.2.1"},
    "nodata": lambda r: wire.rcode(r) == 0 and not wire.parse(r).answer and wire.parse(r).authority,
}

ROWS = [
    ("U13-0", b"", "silence"), ("U13-1", b"\0", "silence"), ("U13-11", bytes(11), "silence"),
    ("U14", wire.A[:2] + b"\x81\0" + wire.A[4:], "silence"),
    ("U15", wire.query("www.waypost.test", flags=2 << 11), "notimp"),
    ("U16", wire.query("www.waypost.test", flags=15 << 11), "notimp"),
    ("U17", wire.query("waypost.test", "SOA", flags=5 << 11), "notimp"),
    ("notify", wire.query("waypost.test", "SOA", flags=4 << 11), "silence"),
    ("U19", head(qd=0), "formerr12"),
    ("U20", head(qd=2) + Q + Q, "formerr"),
    ("U21-an", head(an=2) + Q + RR + RR, "formerr"),
    ("U21-ns", head(ns=2) + Q + RR + RR, "formerr"),
    ("U21-ar", head(ar=3) + Q + RR + RR + RR, "formerr"),
    ("U22", head(ar=1) + Q, "formerr"),
    ("U24", wire.A[:20], "formerr"),
    ("U25", wire.A + bytes(10), "answer"),
    ("U26", head() + b"\x40" + b"a" * 64 + b"\0\0\1\0\1", "formerr"),
    ("U27", head() + b"\xc0\x0c\0\1\0\1", "formerr"),
    ("U28", head() + NAME_256 + b"\0\1\0\1", "formerr"),
    ("U30", head(ar=2) + Q + wire.opt() + wire.opt(), "formerr"),
    ("U31", head(ar=1) + Q + wire.opt(owner=wire.name("x")), "formerr"),
    ("U32", head(an=1) + Q + wire.opt(), "formerr"),
    ("U33", head(ar=1) + Q + wire.opt(options=b"\0\x64\0\x08abc"), "formerr"),
    ("U49", wire.query("www.waypost.test", flags=0), "answer"),
    ("U50", wire.query("version.bind", "TXT", qclass=3), "refused"),
    ("U51", wire.query("www.waypost.test", qclass=255), "refused"),
    ("U53", wire.query("waypost.test", "AXFR"), "no data served"),
    ("U54", wire.query("www.waypost.test", 65280), "nodata"),
    ("U63", wire.query("www.waypost.test", flags=5 << 11), "notimp"),
    ("U66", wire.query("www.waypost.test", flags=2 << 11), "notimp"),
    ("U67", head(ns=2) + Q + RR + RR, "formerr"),
    ("U68", wire.query("www.waypost.test", flags=0x8000 | 5 << 11), "silence"),
]


@pytest.mark.parametrize("what, msg, want", ROWS, ids=[r[0] for r in ROWS])
def test_row(w, what, msg, want):
    r = wire.udp(w.port["dns"], msg, timeout=0.3 if want == "silence" else 2)
    assert want == "silence" or r is not None
    assert IS[want](r), r
    assert IS["answer"](wire.udp(w.port["dns"], wire.A))


@pytest.mark.parametrize("row", ["U01"])
def test_plain_answer(w, row):
    r = wire.udp(w.port["dns"], wire.with_id(wire.A, 0x1234))
    m = wire.parse(r)
    assert r[:2] == b"\x12\x34" and r[2] & 0x84 == 0x84 and m.rcode() == 0 and m.edns == -1
    assert [(s.ttl, [x.to_text() for x in s]) for s in m.answer] == [(300, ["192.0.2.1"])]


@pytest.mark.parametrize("row, size, seen", [("U02", 1232, 1232), ("U12", 65535, 65535)])
def test_opt_comes_back(w, row, size, seen):
    m = wire.parse(wire.udp(w.port["dns"], wire.query("www.waypost.test", extra=wire.opt(size))))
    assert m.edns == 0 and m.payload == seen and not m.options


@pytest.mark.parametrize("row", ["U03"])
def test_case_is_kept(w, row):
    r = wire.udp(w.port["dns"], wire.query("wWw.WayPost.TEST"))
    assert r[12:30] == wire.name("wWw.WayPost.TEST") and wire.rcode(r) == 0


@pytest.mark.parametrize("row, name, rtype, rcode", [
    ("U04", "nx.waypost.test", "A", NXDOMAIN), ("U05", "www.waypost.test", "MX", 0), ("U29", None, "A", NXDOMAIN)])
def test_negative(w, row, name, rtype, rcode):
    msg = wire.query(name, rtype) if name else head() + NAME_255 + b"\0\1\0\1"
    m = wire.parse(wire.udp(w.port["dns"], msg))
    assert m.rcode() == rcode and not m.answer
    assert [dns.rdatatype.to_text(s.rdtype) for s in m.authority] == ["SOA"]


@pytest.mark.parametrize("row, name, types, rcode", [("U06", "alias", ["CNAME", "A"], 0), ("U07", "dangling", ["CNAME"], NXDOMAIN)])
def test_alias(w, row, name, types, rcode):
    m = wire.parse(wire.udp(w.port["dns"], wire.query(name + ".waypost.test")))
    assert [dns.rdatatype.to_text(s.rdtype) for s in m.answer] == types and m.rcode() == rcode


@pytest.mark.parametrize("row", ["U08"])
def test_no_route(w, row):
    r = wire.udp(w.port["dns"], wire.query("other.example"))
    assert wire.rcode(r) == REFUSED and r[12:27] == wire.name("other.example")


@pytest.mark.parametrize("row, opt, limit", [("U09", None, 512), ("U10", 4096, 1232), ("U11-0", 0, 512), ("U11-511", 511, 512)])
def test_too_big(w, row, opt, limit):
    r = wire.udp(w.port["dns"], wire.query("big.waypost.test", "TXT", extra=b"" if opt is None else wire.opt(opt)))
    m = wire.parse(r)
    assert len(r) <= limit and r[2] & 2 and len(m.question) == 1 and (m.edns >= 0) == (opt is not None)


@pytest.mark.parametrize("row", ["U23"])
def test_header_only(w, row):
    r = wire.udp(w.port["dns"], head(), timeout=0.5)
    assert r is None or wire.rcode(r) in (FORMERR, SERVFAIL)


@pytest.mark.parametrize("row", ["U34"])
def test_badvers(w, row):
    m = wire.parse(wire.udp(w.port["dns"], wire.query("www.waypost.test", extra=wire.opt(version=1))))
    assert m.rcode() == 16 and m.edns == 0 and m.payload >= 512 and not m.answer


OPTIONS = [
    ("U35", wire.option(100, b"ab")), ("U36", wire.option(10, b"12345678")), ("U45", wire.option(12, bytes(20))),
    ("U46", wire.option(11)), ("U61", wire.option(8, b"\0\1\x18\0\x0a\0\0")),
    ("U69", wire.option(3) + wire.option(10, b"12345678") + wire.option(9) + wire.option(11) + wire.option(12, bytes(8))),
]


@pytest.mark.parametrize("row, options", OPTIONS, ids=[r[0] for r in OPTIONS])
def test_options_do_not_come_back(w, row, options):
    r = wire.udp(w.port["dns"], wire.query("www.waypost.test", extra=wire.opt(options=options)))
    m = wire.parse(r)
    assert IS["answer"](r) and m.edns == 0 and not m.options


@pytest.mark.parametrize("row, options, want", [("U43", wire.option(3), b"gw1"), ("U43-data", wire.option(3, b"x"), b"gw1"), ("U44", b"", None)])
def test_nsid(w, row, options, want):
    m = wire.parse(wire.udp(w.port["nsid"], wire.query("localhost", extra=wire.opt(options=options))))
    assert [o.to_wire() for o in m.options if o.otype == 3] == ([want] if want else [])


@pytest.mark.parametrize("row, flags", [("U47-z", 0x0140), ("U47-rcode", 0x0105), ("U47-tc", 0x0300), ("U47-ad", 0x0120), ("U47-ra", 0x0180)])
def test_odd_bits(w, row, flags):
    r = wire.udp(w.port["dns"], wire.query("www.waypost.test", flags=flags))
    assert IS["answer"](r) and not r[3] & 0x40 and not r[2] & 2


@pytest.mark.parametrize("row, bit", [("U48", 0x10)])
def test_cd(w, row, bit):
    assert wire.udp(w.port["dns"], wire.query("www.waypost.test", flags=0x0100 | bit))[3] & bit


@pytest.mark.parametrize("row", ["U52"])
def test_any_is_small(w, row):
    r = wire.udp(w.port["dns"], wire.query("www.waypost.test", "ANY"))
    assert len(r) <= 512 and len(wire.parse(r).answer) <= 1


@pytest.mark.parametrize("row", ["U55"])
def test_do_is_copied(w, row):
    m = wire.parse(wire.udp(w.port["dns"], wire.query("www.waypost.test", extra=wire.opt(do=True))))
    assert m.ednsflags & 0x8000 and m.answer and not any(s.rdtype == 46 for s in m.answer)


@pytest.mark.parametrize("row", ["U56"])
def test_dead_upstream(w, row):
    t0 = time.monotonic()
    r = wire.udp(w.port["dns"], wire.query("dead.waypost.test", extra=wire.opt()), timeout=8)
    m = wire.parse(r)
    assert m.rcode() == SERVFAIL
    assert [o.code for o in m.options if o.otype == 15][0] in (22, 23)
    assert time.monotonic() - t0 < 3.9  # once read_timeout, not twice


@pytest.mark.parametrize("row", ["U57"])
def test_drop(w, row):
    assert wire.udp(w.port["dns"], wire.query("drop.waypost.test"), timeout=0.5) is None


@pytest.mark.parametrize("row", ["U58"])
def test_reply_from_the_address_asked(w, row):
    for host in ("127.0.0.1", "127.0.0.2", "127.9.9.9"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(2)
            s.sendto(wire.A, (host, w.port["dns"]))
            assert s.recvfrom(4096)[1] == (host, w.port["dns"])
    assert wire.udp(w.port["dns"], wire.A, host="::1") is not None


@pytest.mark.parametrize("row", ["U59"])
def test_burst(w, row):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        s.settimeout(1)
        got = set()
        def read():
            try:
                while len(got) < 10000:
                    got.add(s.recv(512)[:2])
            except socket.timeout:
                pass
        t = threading.Thread(target=read)
        t.start()
        for i in range(10000):
            s.sendto(wire.query(f"n{i}.waypost.test", qid=i), ("127.0.0.1", w.port["dns"]))
        t.join()
    assert len(got) > 5000
    assert IS["answer"](wire.udp(w.port["dns"], wire.A))


@pytest.mark.parametrize("row", ["U60"])
def test_source_port_0(w, row):
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as s:
        s.sendto(struct.pack(">4H", 0, w.port["dns"], 8 + len(wire.A), 0) + wire.A, ("127.0.0.1", 0))
    assert IS["answer"](wire.udp(w.port["dns"], wire.A))
    assert w.alive()


@pytest.mark.parametrize("row", ["L08"])
def test_random_octets(w, row):
    rnd = random.Random(7)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for _ in range(20000):
            s.sendto(rnd.randbytes(rnd.choice((5, 12, 30, 60, 300))), ("127.0.0.1", w.port["dns"]))
    assert IS["answer"](wire.udp(w.port["dns"], wire.A))


def test_slow_does_not_hold_others(w):
    t = threading.Thread(target=wire.udp, args=(w.port["dns"], wire.query("slow.waypost.test"), 3))
    t.start()
    t0 = time.monotonic()
    assert IS["answer"](wire.udp(w.port["dns"], wire.A))
    assert time.monotonic() - t0 < 0.2
    t.join()
