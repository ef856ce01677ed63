"""DNS over HTTPS: the acceptance table, row by row. Rows that the table marks for it run over HTTP/2 and HTTP/1.1,
each with TLS and in the clear. What clients and TLS agree on: test_26_tls_clients.py."""
import http.client
import re
import socket
import struct
import subprocess
import time

import clients
import fixture
import pytest
import wire
from clients import base64url
from h2client import H2
from server import Waypost, wait_for

DNS = "application/dns-message"
TYPE = [("content-type", DNS)]
PATH = "/dns-query"
FLAGS_UPDATE, FLAGS_STATUS = 5 << 11, 2 << 11


@pytest.fixture(scope="module")
def w(tmp_path_factory):
    cert, key = clients.certificate(tmp_path_factory.mktemp("cert"))
    tls = f"tls {cert} {key}"
    few = f"https://waypost.test:{{few}} {{\n{tls}\nhttps {{\n max_connections 2\n}}\nfile {{dir}}/db.waypost.test\n}}\n"
    who = "https://who.test:{http} {\nwhoami\n}\n"
    cached = "https://cached.test:{http} {\ncache\nforward . 127.0.0.1:{xfast}\n}\n"
    admin = "https://metrics.test:{http} {\nprometheus 127.0.0.1:{metrics}\nlocal\n}\n"
    corefile = fixture.blocks("https://", tls, "https") + fixture.blocks("https://", "", "http") + few + who + cached + admin
    fast = fixture.Upstream(0)
    with fixture.Upstreams() as up:
        with Waypost(corefile, files=fixture.FILES, ports={**up.ports, "xfast": fast.port}) as server:
            server.up, server.fast = up, fast
            yield server
    fast.close()


# --- one request over each carrier ---------------------------------------------------------------------------------

class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


def over_h2(w, method, path, headers, body, tls):
    with H2(w.port["https" if tls else "http"], tls) as c:
        s = c.ask(method, path, headers, body)
        assert s.reset in (None, 0)
        return Answer(s.status, s.headers, s.body)


def over_h1(w, method, path, headers, body, tls):
    s = socket.create_connection(("127.0.0.1", w.port["https" if tls else "http"]), 5)
    if tls:
        s = clients.context(["http/1.1"]).wrap_socket(s)
    with s:
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *(f"{k}: {v}" for k, v in headers)]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        s.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b""))
        r = http.client.HTTPResponse(s, method=method)
        r.begin()
        return Answer(r.status, {k.lower(): v for k, v in r.getheaders()}, r.read())


CARRIERS = {
    "h2": lambda *a: over_h2(*a, True), "h2c": lambda *a: over_h2(*a, False),
    "h1": lambda *a: over_h1(*a, True), "h1c": lambda *a: over_h1(*a, False),
}


def get(msg, before="", after=""):
    return ("GET", f"{PATH}?{before}dns={base64url(msg)}{after}", [], None)


def post(msg, headers=TYPE, path=PATH):
    return ("POST", path, headers, msg)


def head(qd=1, an=0, ns=0, ar=0, flags=0x0100):
    return struct.pack(">6H", 0, flags, qd, an, ns, ar)


def padded(size):
    """The canonical query with an OPT whose padding makes it exactly that long."""
    n = size - len(wire.A) - 15
    return wire.A[:10] + b"\0\1" + wire.A[12:] + wire.opt(1232, wire.option(12, bytes(n)))


Q = wire.A[12:]
A, NX = wire.A, wire.NX

# --- what is expected -------------------------------------------------------------------------------------------------


def max_age(r):
    return int(re.fullmatch(r"max-age=(\d+)", r.headers["cache-control"])[1])


def is_message(r):
    assert r.status == 200 and r.headers["content-type"] == DNS
    assert int(r.headers["content-length"]) == len(r.body) or not r.body
    return wire.parse(r.body) if r.body else None


def answer(age, rcode=0):
    def check(r):
        m = is_message(r)
        assert m.rcode() == rcode and max_age(r) == age, (m, r.headers)
    return check


def www(r):
    m = is_message(r)
    assert r.body[:2] == b"\0\0" and max_age(r) == 300
    assert [x.to_text() for x in m.answer[0]] == ["192.0.2.1"]


def head_only(r):
    assert r.status == 200 and r.body == b"" and r.headers["content-type"] == DNS and max_age(r) == 300
    assert int(r.headers["content-length"]) > len(A)


def status(*codes):
    def check(r):
        assert r.status in codes, (r.status, r.body)
        assert r.headers["content-type"].startswith("text/plain") and len(r.body) < 100
        assert (r.status == 405) == ("allow" in r.headers)
    return check


def keeps_id(r):
    assert is_message(r) and r.body[:2] == b"\x12\x34"


def full(r):
    m = is_message(r)
    assert m.rcode() == 0 and len(r.body) > 2000 and not r.body[2] & 2 and len(m.answer) == 1


def no_keepalive(r):
    assert all(o.otype != 11 for o in is_message(r).options)


def padded_answer(r):
    assert is_message(r) and len(r.body) % 468 == 0


def opcode(flags):
    return wire.query("www.waypost.test", flags=flags)


BOTH, ONE = ("h2", "h2c", "h1", "h1c"), ("h2",)
ROWS = [
    ("H01", BOTH, get(A), www),
    ("H02", BOTH, post(A), www),
    ("H03", BOTH, ("HEAD", *get(A)[1:]), head_only),
    ("H04", ONE, post(wire.with_id(A, 0x1234)), keeps_id),
    ("H05", ONE, post(NX), answer(60, 3)),
    ("H06", ONE, post(wire.query("zero.waypost.test")), answer(0)),
    ("H07", ONE, post(wire.query("long.waypost.test")), answer(300)),  # the NS beside it has 300
    ("H08", ONE, post(wire.query("alias.waypost.test")), answer(300)),
    ("H09", ONE, post(wire.query("x.dead.waypost.test")), answer(5, 2)),
    ("H10", ONE, post(wire.query("other.example")), answer(5, 5)),
    ("H12", BOTH, ("GET", PATH, [], None), status(400)),
    ("H13", ONE, ("GET", PATH + "?dns=", [], None), status(400)),
    ("H14", ONE, get(A, after="&dns=" + base64url(A)), status(400)),
    ("H15-before", ONE, get(A, before="ct=x&"), www),
    ("H15-after", ONE, get(A, after="&x=1"), www),
    ("H16", ONE, get(A, after="=="), status(400)),
    ("H17-plus", ONE, ("GET", PATH + "?dns=AAAB+AAB", [], None), status(400)),
    ("H17-slash", ONE, ("GET", PATH + "?dns=AAAB/AAB", [], None), status(400)),
    ("H18", ONE, ("GET", PATH + "?dns=!!!" + base64url(A), [], None), status(400)),
    ("H19", ONE, ("GET", PATH + "?dns=%41" + base64url(A)[1:], [], None), www),
    ("H20-0", ONE, post(b""), status(400)),
    ("H20-11", ONE, get(A[:11]), status(400)),
    ("H21", ONE, get(A[:2] + b"\x81\0" + A[4:]), status(400)),
    ("H22", ONE, get(A[:20]), status(400)),
    ("H23-0", ONE, post(head(qd=0)), status(400)),
    ("H23-2", ONE, post(head(qd=2) + Q + Q), status(400)),
    ("H24-status", ONE, post(opcode(FLAGS_STATUS)), status(400)),
    ("H24-update", ONE, post(opcode(FLAGS_UPDATE)), status(400)),
    ("H25", ONE, post(wire.query("www.waypost.test", extra=wire.opt(version=1))), answer(5, 16)),
    ("H26-root", BOTH, ("GET", "/?dns=" + base64url(A), [], None), status(404)),
    ("H26-slash", BOTH, ("GET", PATH + "/?dns=" + base64url(A), [], None), status(404)),
    ("H26-below", BOTH, ("GET", PATH + "/x?dns=" + base64url(A), [], None), status(404)),
    ("H26-case", BOTH, ("GET", "/DNS-QUERY?dns=" + base64url(A), [], None), status(404)),
    ("H26-double", BOTH, ("GET", "/" + PATH + "?dns=" + base64url(A), [], None), status(404)),
    ("H27-dots", ONE, ("GET", "/x/.." + PATH + "?dns=" + base64url(A), [], None), status(404)),
    ("H27-escape", ONE, ("GET", "/dns%2Dquery?dns=" + base64url(A), [], None), status(404)),
    ("H28-put", BOTH, ("PUT", PATH, TYPE, A), status(405)),
    ("H28-delete", BOTH, ("DELETE", *get(A)[1:]), status(405)),
    ("H28-patch", BOTH, ("PATCH", PATH, TYPE, A), status(405)),
    ("H28-options", BOTH, ("OPTIONS", PATH, [], None), status(405)),
    ("H29", ONE, post(A, [("content-type", "text/plain")]), status(415)),
    ("H30", ONE, post(A, []), www),
    ("H31", ONE, post(A, [("content-type", "Application/DNS-Message")]), www),
    ("H32", ONE, post(A, [("content-type", DNS + "; charset=x")]), www),
    ("H33", BOTH, post(b""), status(400)),
    ("H34", BOTH, post(padded(65535)), lambda r: is_message(r).rcode() == 0),
    ("H35", BOTH, post(padded(65536)), status(413)),
    ("H37", ONE, post(A, [("x-big", "x" * 20000)]), status(431)),
    ("H38", ONE, post(A, [(f"x-field-{i}", "v") for i in range(300)]), www),
    ("H39", ONE, post(A, [*TYPE, ("accept", "text/html")]), www),
    ("H40", ONE, ("GET", PATH + "?name=www.waypost.test&type=A", [("accept", "application/dns-json")], None), status(400)),
    ("H42", ONE, post(wire.query("www.waypost.test", extra=wire.opt(1232, wire.option(11)))), no_keepalive),
    ("H43", ONE, post(wire.query("www.waypost.test", extra=wire.opt(1232, wire.option(12)))), padded_answer),
    ("H44", ONE, post(wire.query("big.waypost.test", "TXT", extra=wire.opt(512))), full),
    ("H67", ONE, post(wire.query("drop.waypost.test")), status(500)),
]


@pytest.mark.parametrize("row, carrier, request_, check",
                         [(r, c, q, k) for r, carriers, q, k in ROWS for c in carriers],
                         ids=[f"{r}-{c}" for r, carriers, _, _ in ROWS for c in carriers])
def test_row(w, row, carrier, request_, check):
    check(CARRIERS[carrier](w, *request_))


# --- limits -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("row", ["H35-announced"])
def test_length_announced(w, row):
    with H2(w.port["https"]) as c:
        sid = c.start("POST", PATH, [*TYPE, ("content-length", "10000000")], end=False)
        assert c.read(lambda: c.streams[sid].done, 2) and c.streams[sid].status == 413
        assert c.ask("POST", PATH, TYPE, A).status == 200


@pytest.mark.parametrize("carrier", ["H36-h1", "H36-h2"])
def test_long_target(w, carrier):
    target = PATH + "?dns=" + "A" * 90000
    if carrier.endswith("h1"):
        assert over_h1(w, "GET", target, [], None, True).status == 414
        return
    with H2(w.port["https"]) as c:
        c.c.max_outbound_frame_size = 16384
        sid = c.start("GET", target)
        c.read(lambda: c.streams[sid].done or c.goaway, 3)
        assert c.goaway or c.streams[sid].reset is not None or c.streams[sid].status in (400, 414, 431)


@pytest.mark.parametrize("row", ["H46"])
def test_many_streams(w, row):
    with H2(w.port["https"]) as c:
        c.read(lambda: 3 in c.remote)
        c.c.remote_settings[3] = 1000  # this client keeps to no limit
        c.c.remote_settings.acknowledge()
        sids = [c.start("POST", PATH, TYPE, wire.query("x.slow.waypost.test")) for _ in range(300)]
        assert c.read(lambda: all(c.streams[s].done for s in sids), 8)
        served = [s for s in sids if c.streams[s].status == 200]
        assert len(served) >= 250 and all(c.streams[s].reset == 7 for s in sids if s not in served)
        assert c.ask("POST", PATH, TYPE, A).status == 200


@pytest.mark.parametrize("row", ["H72"])
def test_connection_limit(w, row):
    first = [H2(w.port["few"]) for _ in range(2)]
    assert all(c.ask("POST", PATH, TYPE, A).status == 200 for c in first)
    third = socket.create_connection(("127.0.0.1", w.port["few"]), 5)
    third.settimeout(0.5)
    with pytest.raises((TimeoutError, socket.timeout, OSError)):
        clients.context(["h2"]).wrap_socket(third)  # nobody answers the hello
    third.close()
    assert first[0].ask("POST", PATH, TYPE, A).status == 200
    for c in first:
        c.close()
    wait_for(lambda: H2(w.port["few"]).ask("POST", PATH, TYPE, A).status == 200, 5)


SETTINGS = [("H73-first", "7", True, 7), ("H73-second", "7", False, 7), ("H74-zero", "0", True, 250), ("H74-nothing", None, True, 250),
            ("H75-one", "7", None, 7)]


@pytest.mark.parametrize("row, value, first, told", SETTINGS, ids=[s[0] for s in SETTINGS])
def test_max_streams(tmp_path, row, value, first, told):
    option = f"https {{\n max_streams {value}\n}}\n" if value else ""
    body = f"{option}whoami\n" if first else f"whoami\n{option}"
    more = "https://b:{https} {\nwhoami\n}\n" if first is None else ""
    with Waypost("https://a:{https} {\n" + body + "}\n" + more) as w:
        with H2(w.port["https"], tls=False) as c:
            assert c.read(lambda: 3 in c.remote) and c.remote[3] == told


BAD = [("H75-two", "https://a:{https} {\nhttps {\n max_streams 7\n}\nwhoami\n}\nhttps://b:{https} {\nhttps {\n max_streams 9\n}\nwhoami\n}\n"),
       *((f"H76-{v}", f"https://a:{{https}} {{\nhttps {{\n max_streams {v}\n}}\nwhoami\n}}\n") for v in ("-1", "abc", "4294967296")),
       ("H76-twice", "https://a:{https} {\nhttps {\n max_streams 1\n max_streams 2\n}\nwhoami\n}\n")]


@pytest.mark.parametrize("row, corefile", BAD, ids=[b[0] for b in BAD])
def test_start_refused(row, corefile):
    with Waypost(corefile, wait=False) as w:
        assert w.wait() == 1 and "max_streams" in w.output()


# --- streams and time ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("row", ["H45"])
def test_streams_are_independent(w, row):
    with H2(w.port["https"]) as c:
        slow = c.start("POST", PATH, TYPE, wire.query("x.slow.waypost.test"))
        fast = c.start("POST", PATH, TYPE, A)
        assert c.read(lambda: c.streams[fast].done, 0.5) and not c.streams[slow].done
        assert c.read(lambda: c.streams[slow].done, 3) and c.streams[slow].status == 200


@pytest.mark.parametrize("row", ["H66"])
def test_reset(w, row):
    with H2(w.port["https"]) as c:
        slow = c.start("POST", PATH, TYPE, wire.query("x.slow.waypost.test"))
        c.c.reset_stream(slow, 8)
        c.flush()
        assert c.ask("POST", PATH, TYPE, A).status == 200


@pytest.mark.parametrize("row", ["H64"])
def test_body_never_sent(w, row):
    with H2(w.port["https"]) as c:
        sid = c.start("POST", PATH, TYPE, end=False)
        t = time.monotonic()
        assert c.read(lambda: c.streams[sid].done, 4.5) and c.streams[sid].reset == 8
        assert 2.5 < time.monotonic() - t < 4
        assert c.ask("POST", PATH, TYPE, A).status == 200


@pytest.mark.timing
@pytest.mark.parametrize("row", ["H65"])
def test_idle(w, row):
    with H2(w.port["https"]) as c:
        assert c.ask("POST", PATH, TYPE, A).status == 200
        t = time.monotonic()
        assert c.wait_closed(12) and 9 < time.monotonic() - t < 11
        assert c.goaway == [(0, 1, b"")]


@pytest.mark.parametrize("row", ["H11"])
def test_age_in_the_cache(w, row):
    msg = wire.query("a.cached.test")
    first = over_h2(w, *post(msg), False)
    time.sleep(2.2)
    second = over_h2(w, *post(msg), False)
    asked = w.fast.asked
    assert max_age(first) == 60 and 56 <= max_age(second) <= 58
    assert wire.parse(second.body).answer[0].ttl == max_age(second) and asked == 1


# --- HTTP/1.1 -------------------------------------------------------------------------------------------------------------------

def exchange(w, data, seconds=3):
    """Everything that comes back on one connection in the clear, until the server closes or is quiet."""
    out = b""
    with socket.create_connection(("127.0.0.1", w.port["http"]), 5) as s:
        s.settimeout(seconds)
        s.sendall(data)
        try:
            while True:
                part = s.recv(65536)
                if not part:
                    return out, True
                out += part
                s.settimeout(0.3)
        except (socket.timeout, TimeoutError):
            return out, False
        except ConnectionResetError:
            return out, True


def lines(*extra, method="GET", target=None, version="1.1"):
    return "\r\n".join([f"{method} {target or get(A)[1]} HTTP/{version}", "Host: x", *extra, "", ""]).encode()


POST_HEAD = ("Content-Type: " + DNS,)
H1 = [
    ("H50", lines() + lines(target=get(NX)[1]), rb"HTTP/1.1 200 .*www.*HTTP/1.1 200 .*\x02nx", False),
    ("H51", lines(*POST_HEAD, "Transfer-Encoding: chunked", method="POST", target=PATH) + b"a\r\n" + A[:10] + b"\r\n18\r\n" + A[10:] +
     b"\r\n0\r\n\r\n", rb"HTTP/1.1 200 OK\r\n", False),
    ("H53", lines(*POST_HEAD, "Content-Length: 34", "Transfer-Encoding: chunked", method="POST", target=PATH) + A, rb"HTTP/1.1 400 ", True),
    ("H53-two-lengths", lines("Content-Length: 34", "Content-Length: 35", method="POST", target=PATH) + A, rb"HTTP/1.1 400 ", True),
    ("H54-lf", lines().replace(b"Host: x\r\n", b"Host: x\n"), rb"HTTP/1.1 400 ", True),
    ("H54-fold", lines("X: a", " b"), rb"HTTP/1.1 400 ", True),
    ("H54-nul", lines("X: a\0b"), rb"HTTP/1.1 400 ", True),
    ("H55", lines(version="1.0"), rb"HTTP/1.1 200 OK\r\n.*Connection: close\r\n", True),
    ("H28-connect", lines(method="CONNECT", target="x:443"), rb"HTTP/1.1 405 .*Allow: GET, HEAD, POST\r\n", False),
    ("no-host", b"GET / HTTP/1.1\r\n\r\n", rb"HTTP/1.1 400 ", True),
    ("http2-version", lines(version="2.0"), rb"HTTP/1.1 505 ", True),
]


@pytest.mark.parametrize("row, data, want, closes", H1, ids=[r[0] for r in H1])
def test_http1(w, row, data, want, closes):
    out, closed = exchange(w, data)
    assert re.match(want, out, re.S), out
    assert closed == closes


@pytest.mark.parametrize("row", ["H52"])
def test_continue(w, row):
    with socket.create_connection(("127.0.0.1", w.port["http"]), 5) as s:
        s.sendall(lines(*POST_HEAD, "Expect: 100-continue", "Content-Length: 34", method="POST", target=PATH))
        assert s.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        s.sendall(A)
        assert s.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("row", ["H50-slow"])
def test_pipeline_keeps_order(w, row):
    slow = get(wire.query("x.slow.waypost.test"))[1]
    out, closed = exchange(w, lines(target=slow) + lines())
    first, second = out.find(b"\x04slow"), out.find(b"\x03www\x07waypost")
    assert 0 < first < second and not closed


# --- hostile HTTP/2 -----------------------------------------------------------------------------------------------------------------

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags=0, stream=0, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


FIELDS = b"\x83\x87\x01\x01a\x04\x0a/dns-query"


def talk(w, data, seconds=5):
    """Frames that came back: (type, flags, stream, payload), until the server closed."""
    s = clients.context(["h2"]).wrap_socket(socket.create_connection(("127.0.0.1", w.port["https"]), 5))
    out, got = b"", []
    try:
        for i in range(0, len(data), 16384):
            s.sendall(data[i:i + 16384])
    except OSError:
        pass
    s.settimeout(0.5)
    end = time.monotonic() + seconds
    closed = False
    while time.monotonic() < end:
        try:
            part = s.recv(65536)
        except (socket.timeout, TimeoutError):
            break
        except OSError:
            part = b""
        if not part:
            closed = True
            break
        out += part
    s.close()
    while len(out) >= 9:
        n = int.from_bytes(out[:3], "big")
        got.append((out[3], out[4], int.from_bytes(out[5:9], "big"), out[9:9 + n]))
        out = out[9 + n:]
    return got, closed


def code(frames, kind, stream=0):
    for k, _, s, p in frames:
        if k == kind and s == stream:
            return int.from_bytes(p[4:8] if kind == 7 else p[:4], "big")
    return None


def post_frames(stream, msg, extra=b""):
    return frame(1, 4, stream, FIELDS + extra) + frame(0, 1, stream, msg)


HELLO = PREFACE + frame(4)
MALFORMED = [
    ("H57", frame(1, 5, 1, FIELDS + b"\0\1X\1y")), ("H58", frame(1, 5, 1, FIELDS + b"\x04\x01/")),
    ("H59", post_frames(1, A, b"\x0f\x0d\x0210")),
]


@pytest.mark.parametrize("row, data", MALFORMED, ids=[m[0] for m in MALFORMED])
def test_malformed_stream(w, row, data):
    frames, closed = talk(w, HELLO + data + post_frames(3, A))
    assert code(frames, 3, 1) == 1 and not closed
    assert any(k == 0 and s == 3 for k, _, s, _ in frames)


PINGS, SETTINGS_FLOOD = frame(6, 0, 0, b"12345678") * 10000, frame(4, 0, 0, b"\0\4\0\0\xff\xff") * 10000
RESETS = b"".join(frame(1, 4, s, FIELDS) + frame(3, 0, s, b"\0\0\0\x08") for s in range(1, 20000, 2))
CONTINUED = frame(1, 0, 1, FIELDS) + frame(9, 0, 1, b"\0\1a\x7f\x80\x7c" + b"x" * 15999) * 20
FATAL = [
    ("H56", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + frame(4), {1}), ("H56-no-settings", PREFACE + PINGS[:17], {1}),
    ("H60-data", HELLO + frame(0, 0, 0, b"x"), {1}), ("H60-settings", HELLO + frame(4, 0, 1), {1}),
    ("H61-ping", HELLO + PINGS, {11}), ("H61-settings", HELLO + SETTINGS_FLOOD, {11}),
    ("H62", HELLO + RESETS, {11}), ("H63", HELLO + CONTINUED, {11, 1}),
]


@pytest.mark.parametrize("row, data, codes", FATAL, ids=[f[0] for f in FATAL])
def test_fatal(w, row, data, codes):
    frames, closed = talk(w, data)
    assert closed and code(frames, 7) in codes, frames[-3:]
    assert over_h2(w, *post(A), True).status == 200


# --- who asks, what is counted --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("row", ["H69"])
def test_forwarded_for_is_not_believed(w, row):
    r = over_h2(w, *post(wire.query("who.test"), [*TYPE, ("x-forwarded-for", "192.0.2.77"), ("forwarded", "for=192.0.2.77")]), False)
    assert b"\x7f\0\0\1" in r.body and b"\xc0\0\2\x4d" not in r.body


def metric(w, line):
    c = http.client.HTTPConnection("127.0.0.1", w.port["metrics"], timeout=5)
    c.request("GET", "/metrics")
    text = c.getresponse().read().decode()
    m = re.search("^" + re.escape(line) + r" (\S+)$", text, re.M)
    return float(m[1]) if m else 0


def test_counter(w):
    line = 'coredns_dns_https_responses_total{server="https://:%d",status="404"}' % w.port["http"]
    before = metric(w, line)
    over_h1(w, "GET", "/x", [], None, False)
    over_h2(w, "GET", "/x", [], None, False)
    assert metric(w, line) == before + 2


def test_refusals_are_counted(w):
    line = 'waypost_refused_total{limit="h2_resets",server="https://:%d"}' % w.port["https"]
    before = metric(w, line)
    talk(w, HELLO + RESETS)
    assert metric(w, line) == before + 1


# --- other people's clients ---------------------------------------------------------------------------------------------------------------

# curl 7.88 cannot use a connection again that it began with prior knowledge: one request there
CURL = [("http1", ["--http1.1"], 2), ("http2", ["--http2-prior-knowledge"], 1)]


@pytest.mark.parametrize("what, args, n", CURL, ids=[c[0] for c in CURL])
def test_curl_in_the_clear(w, tmp_path, what, args, n):
    (tmp_path / "q").write_bytes(A)
    url = f"http://127.0.0.1:{w.port['http']}{PATH}"
    out = subprocess.run(["curl", "-s", "-S", "--max-time", "5", *args, "-H", f"content-type: {DNS}", "--data-binary",
                          f"@{tmp_path}/q", *[url] * n], capture_output=True, check=True).stdout
    assert out.count(b"\xc0\0\2\1") == n


# --- drain --------------------------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("row", ["L02-doh"])
def test_stop_while_a_query_runs(row):
    with fixture.Upstreams() as up, Waypost(fixture.blocks("https://", "", "http"), files=fixture.FILES, ports=up.ports) as w:
        with H2(w.port["http"], tls=False) as c:
            sid = c.start("POST", PATH, TYPE, wire.query("x.slow.waypost.test"))
            wait_for(lambda: up.slow.asked == 1)
            w.kill()
            assert c.read(lambda: c.streams[sid].done, 4) and c.streams[sid].status == 200
            assert c.goaway and c.goaway[0][:2] == (0, 2**31 - 1)
            assert c.wait_closed(2) and w.wait(3) == 0
