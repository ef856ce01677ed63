"""HTTP/2 and HTTP/1.1 under DoH and gRPC: frames, headers and bodies that cost the server more than the client."""
import http.client
import socket
import time

import clients
import fixture
import gateway
import http2
import pytest
import wire
from gateway import WWW
from http2 import CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, HELLO, PING, PRIORITY, RST, SETTINGS, WINDOW, frame
from server import wait_for

APPS = ["doh", "grpc"]
CALM = 11


@pytest.fixture(scope="module")
def w(tmp_path_factory):
    body = "forward slow.waypost.test 127.0.0.1:{xslow}\nforward dead.waypost.test 127.0.0.1:{xdead}\nfile {dir}/db.waypost.test waypost.test"
    with fixture.Upstreams() as up, gateway.gateway(tmp_path_factory.mktemp("tls"), body=body, ports=up.ports) as server:
        yield server


def cancel(s):
    return frame(RST, 0, s, b"\0\0\0\x08")


def streams(n):
    return range(1, 2 * n, 2)


def opened(app, s):
    return frame(HEADERS, END_HEADERS, s, http2.FIELDS[app])


# frames for one connection; the server ends it with one of these codes (None: it just goes on)
FLOODS = {
    "AV075-rapid-reset": lambda app: b"".join(opened(app, s) + cancel(s) for s in streams(20000)),
    "AV075-reset-of-running": lambda app: b"".join(http2.request(app, s, wire.query("x.dead.waypost.test")) + cancel(s) for s in streams(20000)),
    "AV076-window-overflow": lambda app: b"".join(opened(app, s) + frame(WINDOW, 0, s, b"\x7f\xff\xff\xff") for s in streams(20000)),
    "AV076-window-zero": lambda app: b"".join(opened(app, s) + frame(WINDOW, 0, s, bytes(4)) for s in streams(20000)),
    "AV076-priority-on-itself": lambda app: b"".join(opened(app, s) + frame(PRIORITY, 0, s, s.to_bytes(4, "big") + b"\0") for s in streams(20000)),
    "AV076-data-after-the-end": lambda app: b"".join(frame(HEADERS, END_HEADERS | END_STREAM, s, http2.FIELDS[app]) + frame(DATA, 0, s, b"x") for s in streams(20000)),
    "AV076-bad-length": lambda app: b"".join(frame(HEADERS, END_HEADERS, s, http2.FIELDS[app] + b"\x0f\x0d\x011") + frame(DATA, END_STREAM, s, b"xx") for s in streams(20000)),
    "AV076-bad-headers": lambda app: b"".join(frame(HEADERS, END_HEADERS, s, http2.FIELDS[app] + http2.field(b"A", b"b")) for s in streams(20000)),
    "AV077-continuation": lambda app: frame(HEADERS, 0, 1, http2.FIELDS[app]) + frame(CONTINUATION, 0, 1, b"") * 200000,
    "AV077-small-continuation": lambda app: frame(HEADERS, 0, 1, http2.FIELDS[app]) + frame(CONTINUATION, 0, 1, http2.field(b"a", b"b")) * 100000,
    "AV078-endless-headers": lambda app: frame(HEADERS, 0, 1, http2.FIELDS[app]) + frame(CONTINUATION, 0, 1, http2.field(b"a", b"x" * 120) * 120) * 1000,
    "AV080-indexed-headers": lambda app: frame(HEADERS, 0, 1, http2.FIELDS[app] + b"\x90" * 8000) + frame(CONTINUATION, 0, 1, b"\x90" * 16000) * 60,
    "AV079-frames-after-goaway": lambda app: frame(DATA, 0, 0, b"x") + (frame(SETTINGS, 0, 1) + frame(PING, 0, 0, b"1") + frame(99, 0, 1, b"x" * 100)) * 10000,
    "AV003-ping": lambda app: frame(PING, 0, 0, b"12345678") * 50000,
    "AV003-settings": lambda app: frame(SETTINGS, 0, 0, b"\0\4\0\0\xff\xff") * 50000,
    "AV003-empty-data": lambda app: opened(app, 1) + frame(DATA, 0, 1) * 100000,
}


@pytest.mark.parametrize("app", APPS)
@pytest.mark.parametrize("what", FLOODS)
def test_flood(w, what, app):
    """The connection is closed by a budget, long before the flood is read."""
    data = FLOODS[what](app)
    cpu = gateway.cpu_s(w.pid)
    with gateway.watched(w, mb=32):
        with http2.connect(w, app) as s:
            http2.send(s, data, 3)
            got, closed = http2.frames(s, 2.0)
            assert closed, (what, got[-3:])
    assert gateway.sanitized() or gateway.cpu_s(w.pid) - cpu < 2.0
    # nothing of it stays: calls that were cancelled do not count any more
    assert gateway.verdict(w, app, WWW) == 0


def gauge_free(w, app):
    """All the streams a client may have can be had."""
    with http2.connect(w, app) as s:
        s.sendall(b"".join(http2.request(app, n, WWW) for n in streams(200)))
        done = set()
        http2.frames(s, 3.0, lambda f: f[1] & END_STREAM and (done.add(f[2]) or len(done) == 200))
        return len(done) == 200


@pytest.mark.parametrize("app", APPS)
@pytest.mark.parametrize("row", ["AV049"])
def test_cancelled_streams_are_not_counted(w, row, app):
    """Queries that wait for an upstream, cancelled within the budget of resets, on connection after connection."""
    with gateway.watched(w, mb=32):
        for _ in range(10):
            with http2.connect(w, app) as s:
                s.sendall(b"".join(http2.request(app, n, wire.query(f"n{n}.dead.waypost.test")) for n in streams(100)))
                s.sendall(b"".join(cancel(n) for n in streams(100)) + frame(PING, 0, 0, b"12345678"))
                http2.frames(s, 2.0, lambda f: f[0] == PING)
    assert gauge_free(w, app)


@pytest.mark.parametrize("app", APPS)
@pytest.mark.parametrize("row", ["AV003-streams"])
def test_streams_above_the_limit(w, row, app):
    with gateway.watched(w, mb=32):
        with http2.connect(w, app) as s:
            http2.send(s, b"".join(opened(app, n) for n in streams(10000)), 3)
            got, _ = http2.frames(s, 1.0)
            assert sum(1 for f in got if f[0] == RST) > 0 or http2.goaway(got) is not None
    assert gauge_free(w, app)


@pytest.mark.parametrize("app", APPS)
@pytest.mark.parametrize("row", ["AV081", "AV082"])
def test_headers_over_the_limit_keep_the_table(w, row, app):
    """A block that expands too far is refused; the next request of the connection still decodes by the same table."""
    big = b"\x40\x01z\x7f" + b"\xa1\x1e" + b"v" * 4000  # literal into the table: z: v x 4000
    bomb = frame(HEADERS, 0, 1, http2.FIELDS[app] + big) + frame(CONTINUATION, END_HEADERS, 1, b"\xbe" * 2000)
    good = frame(HEADERS, END_HEADERS, 3, http2.FIELDS[app] + http2.field(b"x", b"y")) + frame(DATA, END_STREAM, 3, http2.body(app, WWW))
    with gateway.watched(w, mb=32):
        with http2.connect(w, app) as s:
            s.sendall(bomb + good)
            got, closed = http2.frames(s, 2.0, lambda f: f[2] == 3 and f[1] & END_STREAM)
            answered = any(k == DATA and n == 3 and b"\xc0\0\2\x01" in p for k, _, n, p in got)
            assert answered or closed, got  # either goes on rightly or ends; never a wrong decoding
            assert not any(k == DATA and n == 1 and b"\xc0\0\2\x01" in p for k, _, n, p in got)


@pytest.mark.parametrize("app", APPS)
@pytest.mark.parametrize("row", ["AV080-zero-window"])
def test_zero_window(w, row, app):
    """Answers that may not be sent are kept up to a bound, and window by single octets does not hold them long."""
    hello = http2.PREFACE + frame(SETTINGS, 0, 0, b"\0\4\0\0\0\0")
    held = []
    with gateway.watched(w, mb=48):
        for _ in range(10):
            s = http2.connect(w, app, hello)
            s.sendall(b"".join(http2.request(app, n, wire.query("huge.waypost.test", "TXT")) for n in streams(100)))
            held.append(s)
        time.sleep(0.5)
        for s in held:
            http2.send(s, b"".join(frame(WINDOW, 0, n, b"\0\0\0\1") for n in streams(100)), 1)
        time.sleep(0.5)
    for s in held:
        s.close()
    assert gateway.serves(w, [app])


def unread(s):
    s.setblocking(False)
    try:
        return s.recv(65536)
    except BlockingIOError:
        return b""
    except OSError:
        return None


@pytest.mark.parametrize("row", ["AV003-body", "AV073"])
@pytest.mark.parametrize("how", ["h1-length", "h1-chunked", "h2"])
def test_body_without_end(w, row, how):
    """A gigabyte: refused when announced, and when it just comes."""
    with gateway.watched(w, mb=16):
        if how == "h2":
            with http2.connect(w, "doh") as s:
                s.sendall(opened("doh", 1))
                sent = http2.send(s, frame(DATA, 0, 1, b"x" * 16384) * 500, 1)
                got, closed = http2.frames(s, 1.0)
                assert closed or any(k == HEADERS and n == 1 for k, _, n, _ in got)  # 413
                return
        s = clients.context(["http/1.1"]).wrap_socket(socket.create_connection(("127.0.0.1", w.port["https"]), 5))
        with s:
            s.settimeout(3)
            head = b"POST /dns-query HTTP/1.1\r\nHost: x\r\nContent-Type: application/dns-message\r\n"
            if how == "h1-length":
                s.sendall(head + b"Content-Length: 1000000000\r\n\r\n")
            else:
                s.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
            sent = http2.send(s, (b"4000\r\n" + bytes(16384) + b"\r\n") * 600, 2)
            assert sent < 9 * gateway.MB
            try:
                assert s.recv(65536)[:12] == b"HTTP/1.1 413"
            except ConnectionError:
                pass


@pytest.mark.parametrize("row", ["AV003-grpc-frame"])
def test_large_frame_announced(w, row):
    with gateway.watched(w, mb=16):
        for n in (1 << 30, 0xffffffff):
            with http2.connect(w, "grpc") as s:
                s.sendall(opened("grpc", 1) + frame(DATA, 0, 1, b"\0" + n.to_bytes(4, "big")))
                got, _ = http2.frames(s, 2.0, lambda f: f[2] == 1 and f[1] & END_STREAM)
                assert any(k == HEADERS and n == 1 for k, _, n, _ in got)
                http2.send(s, frame(DATA, 0, 1, bytes(16384)) * 100, 1)


@pytest.mark.parametrize("where", ["https", "http"])
@pytest.mark.parametrize("row", ["AV004"])
def test_long_query_string(w, row, where):
    """10 MB of `dns=`: the refusal comes after a few kilobytes."""
    with gateway.watched(w, mb=8):
        for _ in range(20):
            s = socket.create_connection(("127.0.0.1", w.port[where]), 5)
            if where == "https":
                s = clients.context(["http/1.1"]).wrap_socket(s)
            with s:
                s.settimeout(3)
                sent = http2.send(s, b"GET /dns-query?dns=" + b"A" * 10_000_000, 3)
                assert sent < 10_000_000
                try:
                    assert s.recv(65536)[:12] in (b"HTTP/1.1 414", b"HTTP/1.1 400", b"HTTP/1.1 431")
                except ConnectionError:
                    pass


@pytest.mark.parametrize("row", ["AV031"])
@pytest.mark.parametrize("how", ["h1", "h2"])
def test_failing_requests_keep_nothing(w, row, how):
    with gateway.watched(w, mb=8):
        if how == "h1":
            s = clients.context(["http/1.1"]).wrap_socket(socket.create_connection(("127.0.0.1", w.port["https"]), 5))
            c = http.client.HTTPConnection("127.0.0.1")
            c.sock = s
            for _ in range(2000):
                c.request("POST", "/nothing", b"x" * 500, {"content-type": "text/plain"})
                r = c.getresponse()
                r.read()
                assert r.status in (404, 415)
                if c.sock is None:
                    c.sock = clients.context(["http/1.1"]).wrap_socket(socket.create_connection(("127.0.0.1", w.port["https"]), 5))
            return
        n = 1
        for _ in range(20):
            with http2.connect(w, "doh") as s:
                for _ in range(10):
                    s.sendall(b"".join(http2.request("doh", k, b"x") for k in range(n, n + 200, 2)))
                    last = n + 198
                    http2.frames(s, 2.0, lambda f: f[2] == last and f[1] & END_STREAM)
                    n += 200
                n = 1


@pytest.mark.parametrize("app", APPS)
@pytest.mark.parametrize("row", ["AV026"])
def test_reset_and_goaway_at_any_state(w, row, app):
    """A request to each kind of answer, ended by the client at each octet of the way, at once or later."""
    ends = [cancel, lambda s: frame(GOAWAY, 0, 0, bytes(8)), lambda s: cancel(s) + frame(GOAWAY, 0, 0, bytes(8)), lambda s: b""]
    names = ["www.waypost.test", "x.slow.waypost.test", "x.dead.waypost.test", "huge.waypost.test"]
    end = time.monotonic() + (6 if gateway.sanitized() else 3)
    with gateway.watched(w, mb=48):
        for i in range(10000):
            if time.monotonic() > end:
                break
            name = names[i % 4]
            data = http2.request(app, 1, wire.query(name, "TXT" if name[0] == "h" else "A"))
            with http2.connect(w, app) as s:
                cut = len(data) if i % 3 else i * 7 % len(data)
                s.sendall(data[:cut] + (ends[i % len(ends)](1) if cut == len(data) else b""))
                if i % 5 == 0:
                    http2.frames(s, 0.01)
    assert gateway.serves(w)


@pytest.mark.parametrize("app", APPS + ["tcp"])
@pytest.mark.parametrize("row", ["AV028"])
def test_peer_that_always_has_data(w, row, app):
    """Others are served between two reads of it."""
    with gateway.watched(w) as seen:
        end = time.monotonic() + 1.5
        if app == "tcp":
            s = clients.Tcp(w.port["dns"]).s
            data = wire.framed(WWW) * 500
            s.settimeout(1)
            while time.monotonic() < end:
                try:
                    s.sendall(data)
                    s.recv(1 << 20)
                except OSError:
                    break
        else:
            s = http2.connect(w, app)
            n = 1
            while time.monotonic() < end:
                try:
                    s.sendall(b"".join(http2.request(app, k, WWW) for k in range(n, n + 100, 2)))
                    n += 100
                    s.recv(1 << 20)
                except OSError:
                    break
        s.close()
    assert seen.asked > 20 or gateway.sanitized()


ADMIN = {
    "AV043-header": b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 9000 + b"\r\n\r\n",
    "AV043-headers": b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 100000,
    "AV043-body": b"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n" + bytes(2_000_000),
}


@pytest.mark.parametrize("data", ADMIN.values(), ids=ADMIN)
@pytest.mark.parametrize("where", ["health", "prom"])
def test_admin_listener(w, data, where):
    with gateway.watched(w, mb=8):
        with socket.create_connection(("127.0.0.1", w.port[where]), 3) as s:
            http2.send(s, data, 2)
            try:
                assert s.recv(4096)[:10] in (b"HTTP/1.1 4", b"HTTP/1.1 2")
            except (ConnectionError, TimeoutError):
                pass
    assert page(w, where) == 200


def page(w, where):
    c = http.client.HTTPConnection("127.0.0.1", w.port[where], timeout=5)
    c.request("GET", "/health" if where == "health" else "/metrics")
    r = c.getresponse()
    r.read()
    c.close()
    return r.status


@pytest.mark.parametrize("row", ["AV043-connections"])
def test_admin_connections(w, row):
    """640 connections that say nothing: as many as there may be are kept, and a scrape gets through."""
    before = gateway.descriptors(w.pid)
    held = []
    with gateway.watched(w, mb=16):
        for _ in range(640):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(("127.0.0.1", w.port["prom"]))
            held.append(s)
        time.sleep(0.5)
        assert gateway.descriptors(w.pid) - before <= 2 * 64
        wait_for(lambda: tried(w), 10)
    for s in held:
        s.close()


def tried(w):
    try:
        return page(w, "prom") == 200
    except OSError:
        return False
