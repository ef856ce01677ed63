"""CoreDNS's gRPC service: the acceptance table, row by row, with grpcio's client and with one that sends what it
likes. Over TLS: test_26_tls_clients.py."""
import struct
import subprocess
import threading
import time

import fixture
import grpc
import pytest
import wire
from clients import Grpc
from h2client import H2
from server import Waypost, wait_for

QUERY = "/coredns.dns.DnsService/Query"
TYPE = [("content-type", "application/grpc"), ("te", "trailers")]
OK, CANCELLED, INVALID, DEADLINE, EXHAUSTED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE = 0, 1, 3, 4, 8, 12, 13, 14
A, NX = wire.A, wire.NX
SLOW = wire.query("x.slow.waypost.test")


@pytest.fixture(scope="module")
def w():
    few = "grpc://waypost.test:{few} {\ngrpc_server {\n max_connections 2\n}\nfile {dir}/db.waypost.test\n}\n"
    none = "grpc://waypost.test:{none} {\ngrpc_server {\n max_connections 0\n max_streams 0\n}\nfile {dir}/db.waypost.test\n}\n"
    with fixture.Upstreams() as up:
        corefile = fixture.blocks("grpc://", "", "grpc") + few + none
        with Waypost(corefile, files=fixture.FILES, ports=up.ports) as server:
            server.up = up
            yield server


def framed(packet, flag=0):
    return bytes([flag]) + struct.pack(">I", len(packet)) + packet


def call(w, body, path=QUERY, headers=TYPE, port="grpc"):
    """One call, body sent as it is; the stream when it has ended. A new connection."""
    with H2(w.port[port], False) as c:
        return c.ask("POST", path, headers, body)


def status(s):
    return int(s.trailers.get("grpc-status", s.headers.get("grpc-status", -1)))


def message(s):
    assert status(s) == OK and s.status == 200 and s.headers["content-type"] == "application/grpc"
    flag, n = struct.unpack(">BI", s.body[:5])
    assert flag == 0 and n == len(s.body) - 5
    return Grpc.unpack(s.body[5:])


def head(qd=1, an=0, ns=0, ar=0, flags=0x0100):
    return struct.pack(">6H", 0, flags, qd, an, ns, ar)


def padded(size):
    n = size - len(A) - 15
    return A[:10] + b"\0\1" + A[12:] + wire.opt(1232, wire.option(12, bytes(n)))


def dns(msg):
    return framed(Grpc.pack(msg))


def with_type(value):
    return [("content-type", value)]


GZIP = [*TYPE, ("grpc-encoding", "gzip")]
Q = A[12:]
# id, body, path, headers, HTTP status, grpc-status (-1: none), rcode
ROWS = [
    ("G01", dns(wire.with_id(A, 0x1234)), QUERY, TYPE, 200, OK, 0),
    ("G01-proto", dns(A), QUERY, with_type("application/grpc+proto"), 200, OK, 0),
    ("G02-nx", dns(NX), QUERY, TYPE, 200, OK, 3),
    ("G02-dead", dns(wire.query("x.dead.waypost.test")), QUERY, TYPE, 200, OK, 2),
    ("G02-refused", dns(wire.query("other.example")), QUERY, TYPE, 200, OK, 5),
    ("G03", dns(b""), QUERY, TYPE, 200, INVALID, 0),
    ("G03-nothing", framed(b""), QUERY, TYPE, 200, INVALID, 0),
    ("G04-11", dns(A[:11]), QUERY, TYPE, 200, INVALID, 0),
    ("G04-qr", dns(A[:2] + b"\x81\0" + A[4:]), QUERY, TYPE, 200, INVALID, 0),
    ("G04-qd0", dns(head(qd=0)), QUERY, TYPE, 200, INVALID, 0),
    ("G04-qd2", dns(head(qd=2) + Q + Q), QUERY, TYPE, 200, INVALID, 0),
    ("G04-update", dns(wire.query("www.waypost.test", flags=5 << 11)), QUERY, TYPE, 200, INVALID, 0),
    ("G04-rubbish", dns(b"\x37" * 40), QUERY, TYPE, 200, INVALID, 0),
    ("G05", dns(padded(65535)), QUERY, TYPE, 200, OK, 0),
    ("G06", dns(padded(65535) + b"\0"), QUERY, TYPE, 200, EXHAUSTED, 0),
    ("G08", framed(b"\xff\xff\xff\xff"), QUERY, TYPE, 200, INTERNAL, 0),
    ("G09", framed(Grpc.pack(A) + b"\x12\x03abc"), QUERY, TYPE, 200, OK, 0),
    ("G10-method", dns(A), "/coredns.dns.DnsService/Nope", TYPE, 200, UNIMPLEMENTED, 0),
    ("G10-service", dns(A), "/x.Y/Query", TYPE, 200, UNIMPLEMENTED, 0),
    ("G11", dns(A), QUERY, with_type("application/json"), 415, -1, 0),
    ("G12", framed(b"abcd", 1), QUERY, GZIP, 200, UNIMPLEMENTED, 0),
    ("G13", framed(b"abcd", 1), QUERY, TYPE, 200, INTERNAL, 0),
    ("G18", dns(wire.query("big.waypost.test", "TXT")), QUERY, TYPE, 200, OK, 0),
    ("G18-huge", dns(wire.query("huge.waypost.test", "TXT")), QUERY, TYPE, 200, OK, 0),
    ("G21", dns(wire.query("drop.waypost.test")), QUERY, TYPE, 200, UNAVAILABLE, 0),
    ("G22", dns(A) + dns(A), QUERY, TYPE, 200, INTERNAL, 0),
]


@pytest.mark.parametrize("row, body, path, headers, http, code, rcode", ROWS, ids=[r[0] for r in ROWS])
def test_row(w, row, body, path, headers, http, code, rcode):
    s = call(w, body, path, headers)
    assert (s.status, status(s)) == (http, code), (s.headers, s.trailers)
    if code == OK:
        msg = message(s)
        m = wire.parse(msg)
        assert m.rcode() == rcode and not msg[2] & 2 and msg[:2] == (b"\x12\x34" if row == "G01" else b"\0\0")
    if row.startswith("G18"):
        assert len(s.body) > 2000
    if row == "G12":
        assert s.headers["grpc-accept-encoding"] == "identity"
    assert status(call(w, dns(A))) == OK


@pytest.mark.parametrize("row", ["G07"])
def test_announced_size(w, row):
    with H2(w.port["grpc"], False) as c:
        sid = c.start("POST", QUERY, TYPE, b"\0\x40\0\0\0", end=False)
        assert c.read(lambda: c.streams[sid].done, 2) and status(c.streams[sid]) == EXHAUSTED
        assert status(c.ask("POST", QUERY, TYPE, dns(A))) == OK


# --- with grpcio -------------------------------------------------------------------------------------------------------

def failure(fn, *args, **kw):
    with pytest.raises(grpc.RpcError) as e:
        fn(*args, **kw)
    return e.value.code()


@pytest.mark.parametrize("row", ["G01-grpcio", "G20"])
def test_grpcio(w, row):
    g = Grpc(w.port["grpc"])
    assert wire.sections(g.ask(A))[0] == {"www.waypost.test. A 192.0.2.1"}
    assert wire.rcode(g.ask(NX)) == 3
    assert failure(g.ask, A[:11]) == grpc.StatusCode.INVALID_ARGUMENT
    assert failure(g.ask, wire.query("drop.waypost.test")) == grpc.StatusCode.UNAVAILABLE
    assert len(g.ask(wire.query("huge.waypost.test", "TXT"))) > 50000
    g.channel.close()


def test_grpcio_other_method(w):
    g = Grpc(w.port["grpc"])
    nope = g.channel.unary_unary("/coredns.dns.DnsService/Nope", request_serializer=Grpc.pack, response_deserializer=Grpc.unpack)
    assert failure(nope, A, timeout=5) == grpc.StatusCode.UNIMPLEMENTED
    g.channel.close()


@pytest.mark.parametrize("row", ["G14"])
def test_deadline(w, row):
    g = Grpc(w.port["grpc"])
    t = time.monotonic()
    assert failure(g.call, SLOW, timeout=0.1) == grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - t < 0.5
    assert wire.rcode(g.ask(A)) == 0
    g.channel.close()
    # the server's own word, for a client that does not look at its clock
    with H2(w.port["grpc"], False) as c:
        t = time.monotonic()
        s = c.ask("POST", QUERY, [*TYPE, ("grpc-timeout", "100m")], dns(SLOW))
        assert status(s) == DEADLINE and 0.09 < time.monotonic() - t < 0.6


@pytest.mark.parametrize("row", ["G15"])
def test_cancel(w, row):
    g = Grpc(w.port["grpc"])
    before = w.up.slow.asked
    future = g.call.future(SLOW, timeout=5)
    wait_for(lambda: w.up.slow.asked > before)
    future.cancel()
    assert future.cancelled() and wire.rcode(g.ask(A)) == 0
    g.channel.close()


@pytest.mark.parametrize("row", ["G16"])
def test_many_calls(w, row):
    g = Grpc(w.port["grpc"])
    futures = [g.call.future(wire.query(f"n{i}.slow.waypost.test"), timeout=20) for i in range(300)]
    assert all(wire.rcode(f.result()) == 0 for f in futures)
    g.channel.close()


@pytest.mark.parametrize("row", ["G16-told"])
def test_streams_told(w, row):
    with H2(w.port["grpc"], False) as c, H2(w.port["none"], False) as unlimited:
        assert c.read(lambda: 3 in c.remote) and c.remote[3] == 256
        assert unlimited.read(lambda: 3 in unlimited.remote) and unlimited.remote[3] == 2**31 - 1


@pytest.mark.parametrize("row", ["G17"])
def test_connection_limit(w, row):
    first = [H2(w.port["few"], False) for _ in range(2)]
    assert all(status(c.ask("POST", QUERY, TYPE, dns(A))) == OK for c in first)
    third = H2(w.port["few"], False)
    sid = third.start("POST", QUERY, TYPE, dns(A))
    assert not third.read(lambda: third.streams[sid].done, 0.5) and not third.closed
    assert status(first[0].ask("POST", QUERY, TYPE, dns(A))) == OK
    first[1].close()
    assert third.read(lambda: third.streams[sid].done, 5) and status(third.streams[sid]) == OK
    first[0].close()
    third.close()


@pytest.mark.parametrize("row", ["G17-unlimited"])
def test_no_connection_limit(w, row):
    many = [H2(w.port["none"], False) for _ in range(220)]
    assert all(status(c.ask("POST", QUERY, TYPE, dns(A))) == OK for c in many)
    for c in many:
        c.close()


# --- pings, idleness, drain --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("row", ["G26"])
def test_ping_flood(w, row):
    with H2(w.port["grpc"], False) as c:
        c.read(lambda: 3 in c.remote)
        c.raw(b"\0\0\x08\x06\0\0\0\0\0abcdefgh" * 1000)
        assert c.wait_closed(3) and c.goaway[-1][0] == 11 and c.goaway[-1][2] == b"too_many_pings"
    assert status(call(w, dns(A))) == OK


@pytest.mark.timing
@pytest.mark.parametrize("row", ["G26-idle"])
def test_idle_channel_is_kept(w, row):
    with H2(w.port["grpc"], False) as c:
        assert status(c.ask("POST", QUERY, TYPE, dns(A))) == OK
        assert not c.wait_closed(11.5) and not c.goaway
        assert status(c.ask("POST", QUERY, TYPE, dns(A))) == OK


@pytest.mark.parametrize("row", ["G23"])
def test_stop_while_a_call_runs(row):
    with fixture.Upstreams() as up, Waypost(fixture.blocks("grpc://", "", "grpc"), files=fixture.FILES, ports=up.ports) as w:
        g, out = Grpc(w.port["grpc"]), []
        t = threading.Thread(target=lambda: out.append(g.ask(SLOW)))
        t.start()
        wait_for(lambda: up.slow.asked == 1)
        w.kill()
        t.join(5)
        assert out and wire.rcode(out[0]) == 0
        g.channel.close()
        assert w.wait(6) == 0


def test_h2load(w, tmp_path):
    (tmp_path / "q").write_bytes(dns(A))
    out = subprocess.run(["h2load", "-n", "20000", "-c", "10", "-m", "32", "-d", f"{tmp_path}/q", "-H", "content-type: application/grpc",
                          "-H", "te: trailers", f"http://127.0.0.1:{w.port['grpc']}{QUERY}"],
                         capture_output=True, text=True, timeout=60, check=True).stdout
    assert "20000 succeeded, 0 failed" in out, out
