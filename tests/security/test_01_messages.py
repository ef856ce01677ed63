"""Messages that are hostile in themselves, over every transport."""
import random
import socket
import struct
import time

import clients
import gateway
import pytest
import wire
from gateway import TRANSPORTS, WWW

FORMERR, SERVFAIL, NOTIMP = 1, 2, 4
Q = wire.name("www.waypost.test") + struct.pack(">2H", 1, 1)


@pytest.fixture(scope="module")
def w(tmp_path_factory):
    with gateway.gateway(tmp_path_factory.mktemp("tls")) as server:
        yield server


def head(qd=1, an=0, ns=0, ar=0, flags=0x0100, qid=7):
    return struct.pack(">6H", qid, flags, qd, an, ns, ar)


def fits(transport, msg):
    """What a datagram can be."""
    return msg[:4000] if transport == "udp" else msg


def pointers(n):
    """Questions whose names are each a label and a pointer to the one before: expanded, n squared octets."""
    out, last = b"", None
    for _ in range(n):
        at = 12 + len(out)
        out += b"\x3f" + b"a" * 63 + (b"\0" if last is None else struct.pack(">H", 0xc000 | last)) + b"\0\1\0\1"
        last = at if at < 0x3fff else last
    return out


BOMBS = {
    "AV006-questions-0": head(qd=0) + Q,
    "AV006-questions-2": head(qd=2) + Q + Q,
    "AV006-questions-65535": head(qd=65535) + Q,
    "AV006-compressed-questions": head(qd=10000) + Q + b"\xc0\x0c\0\1\0\1" * 10000,
    "AV006-growing-names": head(qd=900) + pointers(900),
    "AV006-pointer-loop": head() + b"\xc0\x0c\0\1\0\1",
    "AV006-pointer-chain": head(ar=1) + Q + b"".join(struct.pack(">H", 0xc000 | 12 + len(Q) + 2 * i - 2) for i in range(1, 8000)),
    "AV044-records-that-point": head(ar=5000) + Q + (b"\xc0\x0c\0\1\0\1\0\0\0\0\0\0") * 5000,
    "AV044-counts-that-lie": head(an=65535, ns=65535, ar=65535) + Q,
    "AV039-two-opt": head(ar=2) + Q + wire.opt() + wire.opt(),
}


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("msg", BOMBS.values(), ids=BOMBS)
def test_bomb(w, msg, transport):
    """The verdict is known before memory is taken, and costs no more than reading does."""
    msg = fits(transport, msg[:65535])
    cpu = gateway.cpu_s(w.pid)
    with gateway.bounded(w, mb=16):
        assert gateway.verdict(w, transport, msg) in (FORMERR, "refused")
        if transport in ("tcp", "dot"):
            c = gateway.client(w, transport)
            for _ in range(50):
                assert wire.rcode(c.ask(msg)) == FORMERR
    if not gateway.sanitized():
        assert gateway.cpu_s(w.pid) - cpu < 1.0


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("opcode", [pytest.param(n, id=f"AV007-opcode-{n}") for n in range(16)])
def test_opcodes(w, opcode, transport):
    """One verdict everywhere: DoH and gRPC say it in their own words."""
    msg = wire.query("www.waypost.test", "SOA" if opcode == 5 else "A", qid=1, flags=opcode << 11)
    plain = {0: 0, 4: "silence"}.get(opcode, NOTIMP)  # a NOTIFY is nobody's here: as CoreDNS, no word
    want = "refused" if transport in ("doh", "grpc") and opcode != 0 else plain
    assert gateway.verdict(w, transport, msg) == want


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("size", [pytest.param(n, id=f"AV068-size-{n}") for n in (0, 1, 2, 11, 12)])
def test_edge_sizes(w, size, transport):
    """Too short for a header: not a word of DNS comes back."""
    want = "refused" if transport in ("doh", "grpc") else "silence" if size < 12 else FORMERR
    assert gateway.verdict(w, transport, head(qd=0)[:size]) == want
    assert gateway.verdict(w, transport, WWW) == 0


NAMES = {
    **{f"AV045-label-{b:02x}": bytes([b]) + b"a" * (b & 63) + b"\0" for b in (0x40, 0x41, 0x7f, 0x80, 0xbf)},
    "AV045-256-octets": b"".join(b"\x3f" + b"a" * 63 for _ in range(4)) + b"\0",
    "AV045-no-end": b"\x03abc",
    "AV045-cut-label": b"\x3fabc",
    "AV045-cut-pointer": b"\xc0",
}


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_labels(w, name, transport):
    tail = b"" if len(name) < 5 else b"\0\1\0\1"
    assert gateway.verdict(w, transport, head() + name + tail) in (FORMERR, "refused")


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("label", [pytest.param(bytes(range(256))[a:a + 32], id=f"AV045-octets-{a:02x}") for a in range(0, 256, 32)])
def test_any_octet_may_be_in_a_label(w, label, transport):
    msg = head() + bytes([len(label)]) + label + wire.name("waypost.test") + b"\0\1\0\1"
    assert gateway.verdict(w, transport, msg) == 3


def every_option():
    return [wire.option(code, data) for code, data in (
        (3, b""), (5, b"\5\7"), (6, b"\1"), (7, b"\1"), (8, b"\0\1\x18\0\xc0\0\2"), (9, b""), (10, b"12345678"), (11, b""),
        (12, bytes(20)), (13, wire.name("a.test")), (14, b"\x4f\x66"), (15, b"\0\x16text"), (18, b""), (65001, b"x"))]


OPTIONS = {
    "AV050-16k-options": wire.option(65001) * 16000,
    "AV050-16k-padding": wire.option(12) * 16000,
    "AV051-each-twice": b"".join(o + o for o in every_option()),
    "AV051-each-many-times": b"".join(o * 100 for o in every_option()),
    "AV051-nsid-cookie-padding": (wire.option(3) + wire.option(10, b"12345678") + wire.option(12, bytes(468))) * 20,
    "AV091-padding": wire.option(12, bytes(4000)),
}


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_options(w, options, transport):
    """Many options cost what their octets cost, and none is given back."""
    if transport == "udp":
        options = options[:3900 if len(options) > 16000 else 4004]
    msg = wire.query("www.waypost.test", qid=3, extra=wire.opt(4096, options))
    assert len(msg) < 65536
    cpu, n = gateway.cpu_s(w.pid), 50
    c = gateway.client(w, transport)
    with gateway.bounded(w, mb=24):
        for _ in range(n):
            try:
                r = c.ask(msg)
            except TimeoutError:
                assert transport == "udp" and len(msg) > 4096  # longer than what is read of a datagram
                break
            assert wire.rcode(r) in (0, FORMERR) and len(r) < 520
    if not gateway.sanitized():
        assert gateway.cpu_s(w.pid) - cpu < 2.0
    if transport == "grpc":
        c.channel.close()


@pytest.mark.parametrize("transport", ["tcp", "dot", "doh", "grpc"])
@pytest.mark.parametrize("row", ["AV071"])
def test_short_after_large_sees_nothing_old(w, transport, row):
    """A cut query after a large one on the same connection is judged by its own octets."""
    c = gateway.client(w, transport)
    large = wire.query("www.waypost.test", extra=wire.opt(1232, wire.option(65001, WWW * 1000)))
    assert wire.rcode(c.ask(large)) == 0
    for cut in (12, 13, 20, len(WWW) - 5, len(WWW) - 1):
        if transport in ("tcp", "dot"):
            r = c.ask(WWW[:cut])
            assert wire.rcode(r) in (FORMERR, SERVFAIL) and len(r) <= cut
        elif transport == "grpc":
            with pytest.raises(Exception) as e:
                c.ask(WWW[:cut])
            assert e.value.code().name == "INVALID_ARGUMENT"
        else:
            with pytest.raises(AssertionError, match="400"):
                c.ask(WWW[:cut])
    assert wire.rcode(c.ask(WWW)) == 0


@pytest.mark.parametrize("row", ["AV039"])
def test_trailing_octets(w, row):
    """They may be ignored or refused, but not answered as a record."""
    for transport in TRANSPORTS:
        got = gateway.verdict(w, transport, WWW + wire.name("x") + struct.pack(">HHIH", 1, 1, 0, 4) + bytes(4))
        assert got in (0, FORMERR, "refused")


# --- floods of any octets -----------------------------------------------------------------------

def rubbish(seed, n):
    rng = random.Random(seed)
    return [rng.randbytes(rng.randrange(1, 600)) for _ in range(n)]


def pour(w, where, lead=b"", tls=None):
    """Random octets on fresh connections, behind what a proper client would send first."""
    end = time.monotonic() + 1.0
    for seed in range(40):
        if time.monotonic() > end:
            break
        try:
            s = socket.create_connection(("127.0.0.1", w.port[where]), 3)
            if tls:
                s = clients.context(tls).wrap_socket(s)
            s.settimeout(0.05)
            s.sendall(lead)
            for part in rubbish(seed, 20):
                s.sendall(part)
            s.recv(65536)
        except OSError:
            pass
        finally:
            s.close()


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
POURS = {
    "L08-tcp": ("dns", b"", None), "L08-dot": ("tls", b"", ["dot"]), "L08-dot-clear": ("tls", b"", None),
    "L08-doh-h1": ("https", b"", ["http/1.1"]), "L08-doh-h2": ("https", PREFACE, ["h2"]), "L08-doh-clear": ("https", b"", None),
    "L08-doh-h2c": ("http", PREFACE, None), "L08-doh-h1c": ("http", b"POST /dns-query HTTP/1.1\r\nHost: x\r\n", None),
    "L08-grpc": ("grpc", PREFACE, None), "L08-grpc-raw": ("grpc", b"", None), "L08-health": ("health", b"", None), "L08-metrics": ("prom", b"", None),
}


@pytest.mark.parametrize("where, lead, tls", POURS.values(), ids=POURS)
def test_rubbish(w, where, lead, tls):
    with gateway.watched(w):
        pour(w, where, lead, tls)
    assert gateway.serves(w)


@pytest.mark.parametrize("row", ["L08-udp"])
def test_rubbish_datagrams(w, row):
    with gateway.watched(w), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for seed in range(20):
            for part in rubbish(seed, 200):
                s.sendto(part, ("127.0.0.1", w.port["dns"]))
            time.sleep(0.02)
    assert gateway.serves(w)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("row", ["AV044-mutations"])
def test_mutated_queries(w, transport, row):
    """Octets changed at random in good messages, framed well."""
    rng = random.Random(5)
    good = wire.query("www.waypost.test", qid=9, extra=wire.opt(1232, b"".join(every_option())))
    end = time.monotonic() + 1.0
    with gateway.watched(w):
        while time.monotonic() < end:
            msg = bytearray(good)
            for _ in range(rng.randrange(1, 8)):
                msg[rng.randrange(len(msg))] = rng.randrange(256)
            if transport == "udp":
                wire.udp(w.port["dns"], bytes(msg), timeout=0.01)
            else:
                gateway.verdict(w, transport, bytes(msg))
    assert gateway.serves(w)
