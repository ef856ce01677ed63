"""Handshakes that are none, too much of them, and what comes in between, with each TLS library: the process lives, keeps its
size and serves the next client."""
import random
import socket
import ssl
import struct
import subprocess
import sys

import clients
import fixture
import gateway
import pki
import pytest
import wire
from gateway import WWW
from server import wait_for

SHORT = "timeouts {\n read 2s\n write 2s\n idle 3s\n}"
CCS, ALERT, HANDSHAKE, DATA, HEARTBEAT = 20, 21, 22, 23, 24
FLIGHT = (HANDSHAKE, ALERT)  # what a server may say to a stranger


@pytest.fixture(scope="module")
def w(tmp_path_factory, provider):
    with gateway.gateway(tmp_path_factory.mktemp("tls"), options=SHORT, env={"WAYPOST_WORKERS": "1"}) as running:
        yield running


def record(kind, body, version=0x0301):
    return struct.pack(">BHH", kind, version, len(body)) + body


def client_hello(**how):
    """One that OpenSSL makes, without the record around it."""
    to, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ctx = clients.context(["dot"])
    for name, value in how.items():
        setattr(ctx, name, value)
    with pytest.raises(ssl.SSLWantReadError):
        ctx.wrap_bio(back, to, server_hostname="www.waypost.test").do_handshake()
    return to.read()[5:]


def connect(w):
    s = socket.create_connection(("127.0.0.1", w.port["tls"]), 5)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def drain(s, seconds=6.0):
    """All that comes until the server closes."""
    got = b""
    s.settimeout(seconds)
    try:
        while part := s.recv(65536):
            got += part
    except ConnectionError:
        pass
    return got


def send(w, *parts, fin=True):
    """What the server says to these octets, to the end of the connection."""
    with connect(w) as s:
        try:
            for part in parts:
                s.sendall(part)
            if fin:
                s.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        return drain(s)


def kinds(octets):
    """The kinds of the records."""
    found = []
    while len(octets) >= 5:
        found.append(octets[0])
        octets = octets[5 + struct.unpack(">H", octets[3:5])[0]:]
    return found


# --- the first message -----------------------------------------------------------------------------------------

def test_hello_cut_anywhere(w):
    whole = record(HANDSHAKE, client_hello())
    with gateway.bounded(w, mb=16):
        for n in range(1, len(whole), 7):
            assert set(kinds(send(w, whole[:n]))) <= {ALERT}
    assert gateway.serves(w, ["dot", "doh"])


def mutations(hello, n):
    """The message with octets changed, left out, doubled, and lengths that lie; the frame around it right again."""
    rng = random.Random(17)
    for _ in range(n):
        b = bytearray(hello[4:])
        for _ in range(rng.randrange(1, 5)):
            at, what = rng.randrange(len(b)), rng.randrange(4)
            if what == 0:
                b[at] ^= 1 << rng.randrange(8)
            elif what == 1:
                b[at] = rng.choice([0, 1, 0x7f, 0x80, 0xff])
            elif what == 2:
                del b[at:at + rng.randrange(1, 8)]
            else:
                b[at:at] = b[max(0, at - rng.randrange(1, 40)):at]
        yield bytes([1]) + struct.pack(">I", len(b))[1:] + bytes(b)


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_mutated_hello(w, version):
    hello = client_hello(maximum_version=ssl.TLSVersion[version])
    with gateway.bounded(w, mb=16):
        for b in mutations(hello, 200):
            assert set(kinds(send(w, record(HANDSHAKE, b)))) <= {*FLIGHT, CCS, DATA}  # 1.3 encrypts from its second message on
    assert gateway.serves(w, ["dot", "doh"])


def extension(kind, body):
    return struct.pack(">HH", kind, len(body)) + body


def hello_with(*extensions, session=b"", suites=b"\x13\x01\x13\x02\x13\x03\xc0\x2b\xc0\x2f\xc0\x2c"):
    ext = b"".join(extensions)
    body = b"\x03\x03" + bytes(range(32)) + bytes([len(session)]) + session + struct.pack(">H", len(suites)) + suites + b"\1\0"
    body += struct.pack(">H", len(ext)) + ext
    return bytes([1]) + struct.pack(">I", len(body))[1:] + body


SNI = extension(0, b"\0\x08\0\0\x05a.com")
GROUPS = extension(10, b"\0\4\0\x17\0\x1d")
ALGORITHMS = extension(13, b"\0\4\4\3\x08\4")
V13 = extension(43, b"\2\3\4")
SHARE = extension(51, b"\0\x24\0\x1d\0\x20" + bytes([9]) + bytes(31))
PLAIN = (GROUPS, ALGORITHMS)
MODES = extension(45, b"\1\1")


def identities(*tickets, binder=b"\x20" + bytes(32)):
    """The last extension: tickets of TLS 1.3 with a binder each."""
    ids = b"".join(struct.pack(">H", len(t)) + t + bytes(4) for t in tickets)
    binders = binder * len(tickets)
    return extension(41, struct.pack(">H", len(ids)) + ids + struct.pack(">H", len(binders)) + binders)


HELLOS = {
    "sni-empty": hello_with(extension(0, b""), *PLAIN), "sni-no-name": hello_with(extension(0, b"\0\3\0\0\0"), *PLAIN),
    "sni-nul": hello_with(extension(0, b"\0\x08\0\0\5a\0com"), *PLAIN), "sni-twice": hello_with(SNI, SNI, *PLAIN),
    "sni-65k": hello_with(extension(0, b"\x3f\x03\0\x3f\0" + b"a" * 16128), *PLAIN),
    "alpn-empty": hello_with(extension(16, b"\0\0"), *PLAIN), "alpn-no-name": hello_with(extension(16, b"\0\1\0"), *PLAIN),
    "alpn-many": hello_with(extension(16, struct.pack(">H", 8000) + b"\1a" * 4000), *PLAIN),
    "groups-odd": hello_with(extension(10, b"\0\3\0\x17\0"), ALGORITHMS), "groups-none": hello_with(extension(10, b"\0\0"), ALGORITHMS, V13, SHARE),
    "algorithms-many": hello_with(GROUPS, extension(13, struct.pack(">H", 12000) + b"\4\3" * 6000)),
    "suites-odd": hello_with(*PLAIN, suites=b"\x13\x01\x13"), "suites-none": hello_with(*PLAIN, suites=b""),
    "suites-many": hello_with(*PLAIN, suites=b"\x13\x01" * 6000), "session-255": hello_with(*PLAIN, session=bytes(255)),
    "share-none": hello_with(GROUPS, ALGORITHMS, V13, extension(51, b"\0\0")),
    "share-many": hello_with(GROUPS, ALGORITHMS, V13, extension(51, struct.pack(">H", 36 * 300) + (b"\0\x1d\0\x20" + bytes(32)) * 300)),
    "share-zero": hello_with(GROUPS, ALGORITHMS, V13, extension(51, b"\0\x24\0\x1d\0\x20" + bytes(32))),
    "share-short": hello_with(GROUPS, ALGORITHMS, V13, extension(51, b"\0\5\0\x17\0\1\4")),
    "share-off-curve": hello_with(GROUPS, ALGORITHMS, V13, extension(51, b"\0\x45\0\x17\0\x41\4" + bytes(range(64)))),
    "ticket-12": hello_with(*PLAIN, extension(35, bytes(range(256)) * 4)), "ticket-12-short": hello_with(*PLAIN, extension(35, b"x")),
    "ticket-12-lies": hello_with(*PLAIN, extension(35, bytes(32) + b"\0\xb0" + bytes(148))),
    "ticket-13": hello_with(GROUPS, ALGORITHMS, V13, SHARE, MODES, identities(bytes(range(200)))),
    "ticket-13-lies": hello_with(GROUPS, ALGORITHMS, V13, SHARE, MODES, identities(bytes(32) + b"\0\xb0" + bytes(148))),
    "ticket-13-many": hello_with(GROUPS, ALGORITHMS, V13, SHARE, MODES, identities(*[bytes(180)] * 60)),
    "ticket-13-long": hello_with(GROUPS, ALGORITHMS, V13, SHARE, MODES, identities(bytes(12000))),
    "ticket-13-no-binder": hello_with(GROUPS, ALGORITHMS, V13, SHARE, MODES, identities(bytes(180), binder=b"")),
    "ticket-13-not-last": hello_with(identities(bytes(180)), GROUPS, ALGORITHMS, V13, SHARE, MODES),
    "cookie": hello_with(GROUPS, ALGORITHMS, V13, SHARE, extension(44, b"\0\x40" + bytes(64))),
    "extensions-many": hello_with(*PLAIN, *[extension(0xfa00 + i, b"") for i in range(1500)]),
    "extensions-twice": hello_with(*PLAIN, *PLAIN, V13, V13, SHARE, SHARE),
    "early-data": hello_with(GROUPS, ALGORITHMS, V13, SHARE, extension(42, b"")),
    "max-fragment": hello_with(*PLAIN, extension(1, b"\1")), "max-fragment-bad": hello_with(*PLAIN, extension(1, b"\xff")),
    "heartbeat": hello_with(*PLAIN, extension(15, b"\1")), "status": hello_with(*PLAIN, extension(5, b"\1\0\0\0\0")),
    "status-lies": hello_with(*PLAIN, extension(5, b"\1\xff\xff\0\0")), "truncated-hmac": hello_with(*PLAIN, extension(4, b"")),
    "raw-key": hello_with(*PLAIN, extension(20, b"\1\2")), "etm": hello_with(*PLAIN, extension(22, b""), suites=b"\xc0\x23"),
}


def test_odd_extensions(w):
    """Each on its own and in records of 64 octets."""
    with gateway.bounded(w, mb=16):
        for name, hello in HELLOS.items():
            small = b"".join(record(HANDSHAKE, hello[i:i + 64]) for i in range(0, len(hello), 64))
            for octets in (record(HANDSHAKE, hello), small):
                assert set(kinds(send(w, octets))) <= {*FLIGHT, CCS, DATA}, name
    assert gateway.serves(w, ["dot", "doh"])


ENDLESS = {
    # the message says that it is of 16 MB
    "long": lambda: [b"\1\xff\xff\xff\3\3"] + [bytes(16000)] * 64,
    "long-small": lambda: [b"\1\xff\xff\xff\3\3"] + [b"\0"] * 5000,
    "other-kind": lambda: [bytes([k]) + b"\0\0\0" for k in (0, 2, 4, 11, 12, 14, 15, 16, 20, 24)] * 100,
}


@pytest.mark.parametrize("what", ENDLESS)
def test_endless_hello(w, what):
    """A megabyte of it on thirty connections at once: nobody keeps that, and each is ended."""
    octets = b"".join(record(HANDSHAKE, b) for b in ENDLESS[what]())
    with gateway.watched(w, mb=24, p99_s=1.0):
        many = [connect(w) for _ in range(30)]
        for s in many:
            s.settimeout(4)
            try:
                s.sendall(octets)
            except OSError:
                pass
        assert all(set(kinds(drain(s))) <= {ALERT} for s in many)
        for s in many:
            s.close()
    assert gateway.serves(w, ["dot", "doh"])


@pytest.mark.parametrize("version", [PLAIN, (*PLAIN, V13, SHARE, MODES)], ids=["S18-foreign-v12", "S18-foreign-v13"])
def test_ticket_of_another_server(w, version):
    """Of any length and content it is worth a whole handshake: who used to be served by another program is served."""
    last = (lambda t: extension(35, t)) if version == PLAIN else identities
    rng = random.Random(3)
    assert kinds(send(w, record(HANDSHAKE, hello_with(*version))))[:1] == [HANDSHAKE]
    for n in (1, 16, 66, 100, 160, 176, 192, 208, 240, 256, 272, 400, 1000, 1400):
        for ticket in (rng.randbytes(n), bytes(n)):
            assert kinds(send(w, record(HANDSHAKE, hello_with(*version, last(ticket)))))[:1] == [HANDSHAKE], n


@pytest.mark.parametrize("row", ["S16-octets"])
def test_hello_of_one_octet_records(w, row):
    """An answer or an end, but no crash and no spinning."""
    octets = b"".join(record(HANDSHAKE, bytes([x])) for x in client_hello())
    with gateway.bounded(w, mb=16):
        for _ in range(5):
            assert set(kinds(send(w, octets))) <= {*FLIGHT, CCS, DATA}
    assert gateway.serves(w, ["dot"])


RECORDS = {
    "empty": record(HANDSHAKE, b"") * 2000, "ccs": record(CCS, b"\1") * 2000, "warnings": record(ALERT, b"\1\x5a") * 2000,
    "data": record(DATA, bytes(100)) * 50, "heartbeat": record(HEARTBEAT, b"\1\x40\0") * 50, "long": record(HANDSHAKE, bytes(18000)),
    "kind": record(99, bytes(20)), "version": record(HANDSHAKE, client_hello(), 0x0900), "ssl2": b"\x80\x2e\1\0\2\0\x15\0\0\0\x10" + bytes(60),
    "http": b"GET / HTTP/1.1\r\n\r\n", "zeros": bytes(4096), "ones": b"\xff" * 4096,
}


def test_odd_records(w):
    """Before the first message, after it, and a whole handshake goes on elsewhere."""
    hello = record(HANDSHAKE, client_hello())
    with gateway.bounded(w, mb=16):
        for name, octets in RECORDS.items():
            for parts in ((octets,), (octets, hello), (hello, octets)):
                assert HEARTBEAT not in kinds(send(w, *parts)), name
    assert gateway.serves(w, ["dot", "doh"])


# --- after the handshake ---------------------------------------------------------------------------------------

def established(w, version):
    """A connection that has asked, its socket bare again."""
    ctx = clients.context(["dot"])
    ctx.maximum_version = version
    s = ctx.wrap_socket(connect(w))
    s.sendall(wire.framed(WWW))
    assert wire.rcode(wire.read_message(s)) == 0
    return socket.socket(fileno=s.detach())


JUNK = {"data": record(DATA, bytes(64), 0x0303), "plain-alert": record(ALERT, b"\1\0", 0x0303), "handshake": record(HANDSHAKE, bytes(64), 0x0303),
        "heartbeat": record(HEARTBEAT, b"\1\x40\0", 0x0303), "ccs": record(CCS, b"\1", 0x0303) * 100, "empty": record(DATA, b"", 0x0303) * 1000,
        "long": record(DATA, bytes(17000), 0x0303), "zeros": bytes(1000), "hello": record(HANDSHAKE, client_hello(), 0x0303)}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["junk-v12", "junk-v13"])
def test_junk_after_the_handshake(w, version):
    """An alert or the end, and never a word in the clear."""
    with gateway.bounded(w, mb=16):
        for name, octets in JUNK.items():
            with established(w, version) as s:
                s.sendall(octets)
                assert set(kinds(drain(s))) <= {ALERT, DATA}, name
    assert gateway.serves(w, ["dot", "doh"])


@pytest.mark.parametrize("row", ["S17-keys"])
def test_new_keys(w, row):
    """A client may change its keys and ask for ours (TLS 1.3): openssl(1) does on "k" and "K"."""
    argv = ["openssl", "s_client", "-tls1_3", "-connect", f"127.0.0.1:{w.port['tls']}"]
    with gateway.bounded(w, mb=16), subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as p:
        seen = b""
        while b"Verify return code" not in seen:
            seen += p.stdout.readline()
        for _ in range(20):
            p.stdin.write(b"K\n")
            p.stdin.flush()
            while b"KEYUPDATE" not in seen:
                seen = p.stdout.readline()
            seen = b""
        p.stdin.write(b"Q\n")
        p.stdin.flush()
        p.stdin.close()
        rest = p.stdout.read()
    assert b"alert" not in rest and b"error" not in rest, rest
    assert gateway.serves(w, ["dot"])


# --- client certificates ---------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def asking(provider):
    """A listener that asks for certificates, whatever they are; another that verifies them."""
    cert, key = pki.cert("ns.waypost.test")
    tls = f"tls {cert} {key} {pki.ca()}"
    text = "".join(f"tls://.:{{{port}}} {{\n{tls} {{\nclient_auth {mode}\n}}\n{SHORT}\nfile {{dir}}/db.waypost.test waypost.test\n}}\n"
                   for port, mode in (("tls", "request"), ("strict", "require_and_verify")))
    with gateway.server.Waypost(text + ".:{dns} {\nfile {dir}/db.waypost.test waypost.test\n}\n", files=fixture.FILES) as running:
        yield running


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["S36-chain-v12", "S36-chain-v13"])
def test_endless_chain(asking, tmp_path, version):
    """A client's certificate with three hundred others behind it, a quarter of a megabyte: refused or served, not kept."""
    cert, key = pki.cert("good.client", usage="clientAuth")
    with open(cert) as f:
        one = f.read()
    (tmp_path / "chain.pem").write_text(one + one * 400)
    ctx = clients.context(["dot"])
    ctx.maximum_version = version
    ctx.load_cert_chain(tmp_path / "chain.pem", key)
    with gateway.bounded(asking, mb=24):
        for port in ("tls", "strict") * 10:
            try:
                with ctx.wrap_socket(socket.create_connection(("127.0.0.1", asking.port[port]), 5)) as s:
                    s.sendall(wire.framed(WWW))
                    wire.read_message(s)
            except OSError:
                pass
    assert gateway.verdict(asking, "dot", WWW) == 0


# --- floods ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", [pytest.param(k, id="AV003-" + k) for k in ("dot-half", "dot-handshakes", "dot-unread", "doh-zero-window")])
def test_flood(w, kind):
    """The kinds of test_05_overload.py in which the library matters."""
    argv = [sys.executable, gateway.os.path.join(gateway.HERE, "flood.py"), kind, str(gateway.port(w, kind.split("-")[0])), "1.0"]
    before = gateway.descriptors(w.pid)
    env = {**gateway.os.environ, **({"FLOOD_SMALL": "1"} if gateway.sanitized() else {})}
    with gateway.watched(w, mb=96, lost=0.05, p99_s=2.0):  # one worker; in software a megabyte takes it 4 ms
        assert int(subprocess.run(argv, capture_output=True, text=True, env=env, timeout=60, check=True).stdout) > 0
    assert gateway.serves(w, ["dot", "doh"])
    wait_for(lambda: gateway.descriptors(w.pid) <= before + 8, 15)
