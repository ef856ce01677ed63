"""Every guard on every transport: no cell of the matrix is empty. A cell is what the client sees, or the
reason why the transport cannot meet that guard."""
import http.client
import select
import socket
import struct
import time

import clients
import grpc
import pki
import pytest
import wire
from server import Waypost, wait_for

ZONE = "$ORIGIN waypost.test.\n$TTL 300\n@ SOA ns host 1 3600 600 86400 60\n@ NS ns\nwww A 192.0.2.1\n"
TRANSPORTS = ("udp", "tcp", "dot", "doh", "grpc")
Q = wire.name("www.waypost.test") + struct.pack(">2H", 1, 1)


def head(qd=1, an=0, ns=0, ar=0, flags=0x0100):
    return struct.pack(">6H", 7, flags, qd, an, ns, ar)


def tsig():
    rdata = wire.name("hmac-sha256") + bytes(6) + struct.pack(">HH", 300, 16) + bytes(16) + struct.pack(">HHH", 7, 0, 0)
    return wire.name("key.test") + struct.pack(">HHIH", 250, 255, 0, len(rdata)) + rdata


# guard: (message, outcome) with the outcome in DNS words: an rcode, "silence" (nothing may be sent)
X = wire.name("x") + struct.pack(">HHIH", 1, 1, 0, 4) + bytes(4)
TOO_LONG = (b"\x3f" + b"a" * 63) * 4 + b"\0"
MESSAGES = {
    "I01-short": (wire.A[:11], "silence"),
    "I02-response": (wire.A[:2] + b"\x81\0" + wire.A[4:], "silence"),
    "I03-opcode": (wire.query("www.waypost.test", flags=2 << 11), 4),
    "I03-update": (wire.query("waypost.test", "SOA", flags=5 << 11), 4),
    "I04-no-question": (head(qd=0), 1),
    "I06-two-questions": (head(qd=2) + Q + Q, 1),
    "I07-answers": (head(an=2) + Q + X + X, 1),
    "I07-answer": (head(an=1) + Q + X, 1),
    "I08-authority": (head(ns=2) + Q + X + X, 1),
    "I09-additional": (head(ar=3) + Q + X + X + X, 1),
    "I10-counts-that-lie": (head(ar=1) + Q, 1),
    "I11-label": (head() + b"\x40" + b"a" * 64 + b"\0\0\1\0\1", 1),
    "I11-name": (head() + TOO_LONG + b"\0\1\0\1", 1),
    "I11-reserved": (head() + b"\x80\0\0\1\0\1", 1),
    "I12-pointer-to-itself": (head() + b"\xc0\x0c\0\1\0\1", 1),
    "I12-pointer-forward": (head() + b"\xc0\x12\0\1\0\1\0", 1),
    "I12-loop": (head() + b"\1a\xc0\x10\xc0\x0c\0\1\0\1", 1),
    "I13-question-cut": (head() + Q[:-1], 1),
    "I14-octets-behind": (wire.A + bytes(9), 0),
    "I15-class": (wire.query("www.waypost.test", qclass=3), 5),
    "I15-class-any": (wire.query("www.waypost.test", qclass=255), 5),
    "edns version": (wire.query("www.waypost.test", extra=wire.opt(version=1)), 16),
    "two opt": (head(ar=2) + Q + wire.opt() + wire.opt(), 1),
    "tsig unchecked": (head(ar=1) + Q + tsig(), 0),
    "I16-no-zone": (wire.query("other.test"), 5),
    "I18-axfr": (wire.query("waypost.test", "AXFR"), 5),
    "I18-ixfr": (wire.query("waypost.test", "IXFR"), 5),
    "I20-odd-bits": (wire.query("www.waypost.test", flags=0x03e5), 0),
    "I21-type-0": (wire.query("www.waypost.test", 0), 0),
    "I21-type-65535": (wire.query("nx.waypost.test", 65535), 3),
}
# Rejected by the gate: an error of the transport for DoH (400) and gRPC (INVALID_ARGUMENT).
GATE = {g for g in MESSAGES if g[:3] in ("I01", "I02", "I03", "I04", "I06", "I07", "I08", "I09", "I10", "I11", "I12", "I13")} | {"two opt"}


@pytest.fixture(scope="module")
def w(tmp_path_factory):
    cert, key = clients.certificate(tmp_path_factory.mktemp("tls"))
    body = "file {dir}/db waypost.test"
    limits = "timeouts {\n read 1s\n idle 2s\n maxconnections 4\n}"
    conf = "".join([
        "waypost.test:{dns} {\n%s\n}\n" % body,
        "tls://waypost.test:{tls} https://waypost.test:{https} grpc://waypost.test:{grpc} {\ntls %s %s\n%s\n}\n" % (cert, key, body),
        "waypost.test:{tcpl} {\n%s\n%s\n}\n" % (limits, body),
        "tls://waypost.test:{dotl} {\ntls %s %s\n%s\n%s\n}\n" % (cert, key, limits, body),
        "https://waypost.test:{dohl} {\ntls %s %s\ntimeouts {\n read 1s\n idle 2s\n}\nhttps {\n max_connections 4\n max_streams 4\n}\n%s\n}\n" % (cert, key, body),
        "grpc://waypost.test:{grpcl} {\ntimeouts {\n read 1s\n idle 2s\n}\ngrpc_server {\n max_connections 4\n max_streams 4\n}\n%s\n}\n" % body,
        "waypost.test:{tcpc} {\ntimeouts {\n maxperclient 2\n}\n%s\n}\n" % body,
        "tls://waypost.test:{dotc} {\ntls %s %s\ntimeouts {\n maxperclient 2\n}\n%s\n}\n" % (cert, key, body),
        "https://waypost.test:{dohc} {\ntls %s %s\ntimeouts {\n maxperclient 2\n}\n%s\n}\n" % (cert, key, body),
        "grpc://waypost.test:{grpcc} {\ntimeouts {\n maxperclient 2\n}\n%s\n}\n" % body,
    ])
    with Waypost(conf, files={"db": ZONE}, env={"WAYPOST_WORKERS": "1"}) as server:
        server.cert = cert
        yield server


def channel(w):
    creds = grpc.ssl_channel_credentials(open(w.cert, "rb").read())
    return grpc.secure_channel(f"localhost:{w.port['grpc']}", creds)


def seen(w, transport, msg):
    """What the client sees: an rcode, "silence", ("http", status) or ("grpc", code)."""
    if transport == "udp":
        r = wire.udp(w.port["dns"], msg, timeout=0.4)
    elif transport in ("tcp", "dot"):
        c = (clients.Tcp if transport == "tcp" else clients.Dot)(w.port["dns" if transport == "tcp" else "tls"])
        c.s.settimeout(0.4)
        c.s.sendall(wire.framed(msg))
        try:
            r = wire.read_message(c.s)
        except (TimeoutError, OSError):
            r = None
        c.s.close()
    elif transport == "doh":
        c = http.client.HTTPSConnection("127.0.0.1", w.port["https"], context=clients.context(["http/1.1"]), timeout=3)
        c.request("POST", "/dns-query", msg, {"content-type": "application/dns-message"})
        resp = c.getresponse()
        r = resp.read()
        if resp.status != 200:
            return ("http", resp.status)
    else:
        with channel(w) as ch:
            call = ch.unary_unary("/coredns.dns.DnsService/Query", request_serializer=clients.Grpc.pack,
                                  response_deserializer=clients.Grpc.unpack)
            try:
                r = call(msg, timeout=3)
            except grpc.RpcError as e:
                return ("grpc", e.code().name)
    return "silence" if r is None else wire.parse(r).rcode() if wire.rcode(r) == 0 and len(r) > 12 and tsig() not in msg else wire.rcode(r)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("guard", MESSAGES)
def test_message(w, guard, transport):
    msg, want = MESSAGES[guard]
    if guard in GATE and transport == "doh":
        want = ("http", 400)
    if guard in GATE and transport == "grpc":
        want = ("grpc", "INVALID_ARGUMENT")
    assert seen(w, transport, msg) == want


PORT = {"tcp": "tcp", "dot": "dot", "doh": "doh", "grpc": "grpc"}


def connect(w, transport, kind, source="127.0.0.1"):
    """A connection that has been accepted and has done its handshake, or None."""
    s = socket.create_connection(("127.0.0.1", w.port[transport + kind]), 3, source_address=(source, 0))
    s.settimeout(3)
    try:
        if transport == "dot":
            s = clients.context(["dot"]).wrap_socket(s)
        elif transport == "doh":
            s = clients.context(["http/1.1"]).wrap_socket(s)
        return s
    except OSError:
        return None


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"


def works(s, transport, seconds=0.5):
    """One question on the connection is answered (for gRPC: the server's SETTINGS come)."""
    if s is None:
        return False
    s.settimeout(seconds)
    try:
        if transport in ("tcp", "dot"):
            s.sendall(wire.framed(wire.A))
            return wire.read_message(s) is not None
        if transport == "doh":
            s.sendall(b"POST /dns-query HTTP/1.1\r\nhost: x\r\ncontent-type: application/dns-message\r\ncontent-length: %d\r\n\r\n" % len(wire.A) + wire.A)
            return s.recv(4096).startswith(b"HTTP/1.1 200")
        s.sendall(PREFACE)
        return len(s.recv(4096)) >= 9
    except OSError:
        return False


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_connections_of_a_listener(w, transport):
    if transport == "udp":
        return  # no connections: what bounds UDP is the in-flight limit, below
    held = [connect(w, transport, "l") for _ in range(4)]
    assert all(works(s, transport) for s in held)
    extra = connect(w, transport, "l") if transport in ("tcp", "grpc") else None
    # idle ones make room on TCP and DoT, otherwise the fifth waits or is closed; nobody else is harmed
    if transport == "grpc":
        assert not works(extra, transport)
    assert sum(works(s, transport) for s in held) >= 3
    for s in held + [extra]:
        if s is not None:
            s.close()
    def again():
        s = connect(w, transport, "l")
        ok = works(s, transport)
        if s is not None:
            s.close()
        return ok
    wait_for(again, 5)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_connections_of_one_client(w, transport):
    if transport == "udp":
        return  # no connections
    held = [connect(w, transport, "c") for _ in range(2)]
    assert all(works(s, transport) for s in held)
    try:
        third = connect(w, transport, "c")
    except OSError:
        third = None
    assert not works(third, transport)
    assert all(works(s, transport) for s in held) or transport == "grpc"
    for s in held + [third]:
        if s is not None:
            s.close()


def closed_after(s, least, most):
    s.settimeout(most + 2)
    t0 = time.monotonic()
    try:
        while s.recv(4096):
            pass
    except (ConnectionError, OSError):
        pass
    return least <= time.monotonic() - t0 <= most


@pytest.mark.timing
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_time_of_a_message(w, transport):
    if transport == "udp":
        return  # a datagram is whole or it is not there
    s = connect(w, transport, "l")
    first = {"tcp": b"\0\x22\0\0", "dot": b"\0\x22\0\0", "doh": b"POST /dns-query HTTP/1.1\r\nhost: x\r\n", "grpc": PREFACE[:10]}[transport]
    s.sendall(first)
    assert closed_after(s, 0.5, 3.5)
    s.close()


@pytest.mark.timing
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_idle_time(w, transport):
    if transport in ("udp", "grpc"):
        return  # nothing is kept; gRPC channels stay open by design, their number is what is bounded
    s = connect(w, transport, "l")
    assert works(s, transport)
    assert closed_after(s, 1.0, 4.5)
    s.close()


def limited(transport, options, connections=0):
    """A server with one listener; options are those of `timeouts`."""
    scheme = {"tcp": "", "dot": "tls://", "doh": "https://", "grpc": "grpc://"}[transport]
    body = "tls %s %s\n" % pki.cert("ns.waypost.test") if transport in ("dot", "doh") else ""
    if connections:
        body += {"doh": "https {\n max_connections %d\n}\n", "grpc": "grpc_server {\n max_connections %d\n}\n"}.get(
            transport, "timeouts {\n " + options + "\n maxconnections %d\n}\n") % connections
    if not connections or transport in ("doh", "grpc"):
        body += "timeouts {\n %s\n}\n" % options
    conf = "%swaypost.test:{%sx} {\n%sfile {dir}/db waypost.test\n}\n" % (scheme, transport, body)
    return Waypost(conf, files={"db": ZONE}, env={"WAYPOST_WORKERS": "1"})


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_rate_of_connections(transport):
    """Those over the rate wait; none is lost."""
    if transport == "udp":
        return  # no connections
    with limited(transport, "acceptrate 10") as server:
        t0 = time.monotonic()
        raw = [socket.create_connection(("127.0.0.1", server.port[transport + "x"]), 10) for _ in range(17)]
        alpn = {"dot": ["dot"], "doh": ["http/1.1"]}.get(transport)
        held = [clients.context(alpn).wrap_socket(s) if alpn else s for s in raw]
        assert all(works(s, transport, 10) for s in held)
        assert time.monotonic() - t0 > (17 - 10 - 1) / 10 - 0.05
        for s in held:
            s.close()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_idle_time_near_the_limit(transport):
    """The more of the connections are open, the sooner idle ones go, and no more of them than must."""
    if transport in ("udp", "grpc"):
        return  # nothing is kept; idle gRPC channels stay by design
    with limited(transport, "idle 60s", connections=16) as server:
        held = [connect(server, transport, "x") for _ in range(16)]
        assert all(works(s, transport, 10) for s in held)
        assert select.select(held, [], [], 20)[0]  # the end of one
        assert sum(works(s, transport, 10) for s in held) >= 12
        for s in held:
            s.close()


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("row", ["L09"])
def test_one_client_with_most_of_the_connections(transport, row):
    """Nine tenths of what the listener may have, all in use: another client is served all the same."""
    if transport == "udp":
        return  # no connections
    with limited(transport, "idle 60s", connections=20) as server:
        held = [connect(server, transport, "x") for _ in range(18)]
        assert all(works(s, transport, 10) for s in held)
        other = connect(server, transport, "x", source="127.0.0.9")
        assert works(other, transport, 10)
        for s in held + [other]:
            s.close()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_size(w, transport):
    """The largest message is served or refused in the transport's words, one octet more cannot come."""
    pad = 65535 - len(wire.query("www.waypost.test", extra=wire.opt())) - 4
    msg = wire.query("www.waypost.test", extra=wire.opt(options=wire.option(65001, bytes(pad))))
    assert len(msg) == 65535
    if transport == "udp":
        big = wire.query("www.waypost.test", extra=wire.opt(options=wire.option(65001, bytes(3000))))
        assert wire.rcode(wire.udp(w.port["dns"], big)) == 0
        return
    assert seen(w, transport, msg) == 0
    if transport == "doh":
        assert seen(w, transport, msg + b"x") == ("http", 413)
    if transport == "grpc":
        assert seen(w, transport, msg + b"x" * 8) == ("grpc", "RESOURCE_EXHAUSTED")


@pytest.mark.timing
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_questions_in_flight(transport, tmp_path):
    """Questions that wait for a back end are bounded; what is over the limit is refused or not read, and others
    are served on."""
    import fixture
    cert, key = clients.certificate(tmp_path)
    scheme = {"udp": "", "tcp": "", "dot": "tls://", "doh": "https://", "grpc": "grpc://"}[transport]
    options = f"tls {cert} {key}" if transport in ("dot", "doh") else ""
    with fixture.Upstreams() as up, Waypost(fixture.blocks(scheme, options), files=fixture.FILES, ports=up.ports,
                                            env={"WAYPOST_WORKERS": "1"}) as server:
        port = server.port["dns"]
        msgs = [wire.query(f"n{i}.dead.waypost.test", qid=i & 0xffff) for i in range(300)]
        if transport == "udp":
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            for m in msgs * 50:
                s.sendto(m, ("127.0.0.1", port))
        elif transport in ("tcp", "dot"):
            s = (clients.Tcp if transport == "tcp" else clients.Dot)(port).s
            s.settimeout(0.3)
            try:
                s.sendall(b"".join(wire.framed(m) for m in msgs))
            except OSError:
                pass
        elif transport == "doh":
            s = [clients.context(["http/1.1"]).wrap_socket(socket.create_connection(("127.0.0.1", port), 3)) for _ in range(20)]
            for c, m in zip(s, msgs):
                c.sendall(b"POST /dns-query HTTP/1.1\r\nhost: x\r\ncontent-type: application/dns-message\r\ncontent-length: %d\r\n\r\n" % len(m) + m)
        else:
            s = clients.Grpc(port)
            futures = [s.call.future(m, timeout=1) for m in msgs]
        client = {"udp": clients.Udp, "tcp": clients.Tcp, "dot": clients.Dot, "doh": clients.Doh, "grpc": clients.Grpc}[transport](port)
        def asked():
            try:
                return wire.rcode(client.ask(wire.A)) == 0
            except TimeoutError:  # UDP: the flood has filled the socket's queue; resolvers ask again
                return False
        assert any(asked() for _ in range(3 if transport == "udp" else 1))
