"""TCP: the transports table 17.2, row by row. Rows left out: T26 (TCP Fast Open is not offered), T28
(test_42_transfer.py)."""
import os
import signal
import socket
import struct
import threading
import time

import dns.edns
import fixture
import pytest
import wire
from server import Waypost, wait_for

SHORT = "timeouts {\n read 1s\n write 1s\n idle 2s\n}\n"


@pytest.fixture(scope="module")
def w():
    with fixture.Upstreams() as up, Waypost(fixture.blocks(), files=fixture.FILES, ports=up.ports) as server:
        yield server


@pytest.fixture(scope="module")
def short():
    with fixture.Upstreams() as up:
        with Waypost(fixture.blocks(options=SHORT), files=fixture.FILES, ports=up.ports) as server:
            yield server


def connect(server, timeout=4.0, rcvbuf=None):
    s = socket.socket()
    if rcvbuf:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
    s.settimeout(timeout)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.connect(("127.0.0.1", server.port["dns"]))
    return s


def ids(s, n):
    return [struct.unpack(">H", wire.read_message(s)[:2])[0] for _ in range(n)]


def closed(s, seconds=2.0):
    """The server ended it and nothing came before."""
    s.settimeout(seconds)
    try:
        return s.recv(1) == b""
    except ConnectionResetError:
        return True


def is_www(reply):
    return wire.rcode(reply) == 0 and wire.sections(reply)[0] == {"www.waypost.test. A 192.0.2.1"}


def still_serves(server):
    return is_www(wire.tcp(server.port["dns"], wire.A))


# --- one write, what comes back ---------------------------------------------------------------------------------

WWW = wire.query("www.waypost.test")


def with_id(qid, name="www.waypost.test", qtype="A", **kw):
    return wire.framed(wire.query(name, qtype, qid=qid, **kw))


ONCE = [
    ("T01", wire.framed(wire.A), {0}, False),
    ("T03", with_id(1) + with_id(2) + with_id(3), {1, 2, 3}, False),
    ("T08", b"\0\0", set(), True),
    ("T08-after-a-query", with_id(9) + b"\0\0", {9}, True),
    ("T09", b"\0\x0b" + bytes(11), set(), True),
    ("T11", wire.framed(wire.A[:2] + b"\x81\0" + wire.A[4:]) + with_id(7), {7}, False),
]


@pytest.mark.parametrize("data, want, ends", [pytest.param(*r[1:], id=r[0]) for r in ONCE])
def test_one_write(w, data, want, ends):
    with connect(w) as s:
        s.sendall(data)
        got = [wire.read_message(s) for _ in want]
        assert {struct.unpack(">H", r[:2])[0] for r in got} == want
        assert all(is_www(r) for r in got)
        if ends:
            assert closed(s)
        else:
            s.sendall(with_id(99))
            assert ids(s, 1) == [99]  # nothing else was in between


@pytest.mark.parametrize("row", ["T01"])
def test_one_segment(w, row):
    with connect(w) as s:
        s.sendall(wire.framed(wire.A))
        data = s.recv(65535)
        assert struct.unpack(">H", data[:2])[0] == len(data) - 2


@pytest.mark.parametrize("row", ["T02"])
def test_octet_by_octet(w, row):
    with connect(w) as s:
        for octet in wire.framed(wire.A):
            s.send(bytes([octet]))
            time.sleep(0.005)
        assert is_www(wire.read_message(s))


@pytest.mark.parametrize("row", ["T04"])
def test_slow_does_not_delay(w, row):
    with connect(w) as s:
        t0 = time.monotonic()
        s.sendall(with_id(1, "slow.waypost.test") + with_id(2))
        assert ids(s, 1) == [2] and time.monotonic() - t0 < 0.2
        assert ids(s, 1) == [1] and 0.9 < time.monotonic() - t0 < 3


@pytest.mark.parametrize("row", ["T05"])
@pytest.mark.parametrize("name", ["www.waypost.test", "slow.waypost.test"])
def test_pipeline(w, name, row):
    """150 at once, the limit being 100; those of `slow` are 50 more than may wait."""
    with connect(w, timeout=8) as s:
        s.sendall(b"".join(with_id(i, name) for i in range(150)))
        assert sorted(ids(s, 150)) == list(range(150))


@pytest.mark.parametrize("row", ["T06"])
def test_same_id_twice(w, row):
    with connect(w) as s:
        s.sendall(with_id(5) + with_id(5, "slow.waypost.test"))
        assert ids(s, 2) == [5, 5]


@pytest.mark.parametrize("name", ["www.waypost.test", "slow.waypost.test"])
@pytest.mark.parametrize("row", ["T07"])
def test_half_close(w, name, row):
    with connect(w) as s:
        s.sendall(with_id(3, name))
        s.shutdown(socket.SHUT_WR)
        assert ids(s, 1) == [3]
        assert s.recv(1) == b""


@pytest.mark.parametrize("row", ["T10"])
def test_cut_message(w, row):
    with connect(w) as s:
        s.sendall(b"\x01\xf4" + wire.A)
        s.shutdown(socket.SHUT_WR)
        assert s.recv(1) == b""


@pytest.mark.parametrize("row", ["T12"])
def test_formerr_keeps_the_connection(w, row):
    with connect(w) as s:
        s.sendall(wire.framed(struct.pack(">6H", 8, 0x0100, 0, 0, 0, 0)))
        assert wire.rcode(wire.read_message(s)) == 1
        s.sendall(with_id(9))
        assert ids(s, 1) == [9]


# --- deadlines --------------------------------------------------------------------------------------------------

def ends_between(s, low, high, t0):
    s.settimeout(high + 1)
    data = s.recv(65535)
    took = time.monotonic() - t0
    assert data == b"" and low <= took <= high, (data, took)


@pytest.mark.timing
@pytest.mark.parametrize("row, data", [("T13", b"GET / HTTP/1.0\r\n\r\n"), ("T14", b""), ("S14", b"\x16\3\1\0\xf0")])
def test_nothing_useful(short, row, data):
    with connect(short) as s:
        t0 = time.monotonic()
        s.sendall(data)
        ends_between(s, 0.9, 2.0, t0)


@pytest.mark.timing
@pytest.mark.parametrize("row", ["T14"])
def test_default_read_timeout(w, row):
    with connect(w) as s:
        ends_between(s, 2.0, 4.0, time.monotonic())


@pytest.mark.timing
@pytest.mark.parametrize("row", ["T15"])
def test_drip(short, row):
    with connect(short) as s:
        s.sendall(with_id(1))
        assert ids(s, 1) == [1]
        t0 = time.monotonic()
        for octet in wire.framed(wire.A):
            try:
                s.send(bytes([octet]))
            except OSError:
                break
            time.sleep(0.25)
            if time.monotonic() - t0 > 3:
                break
        assert closed(s)
        assert time.monotonic() - t0 < 3.5


@pytest.mark.timing
@pytest.mark.parametrize("row", ["T16"])
def test_idle(short, row):
    with connect(short) as s:
        s.sendall(wire.framed(wire.A))
        assert is_www(wire.read_message(s))
        ends_between(s, 1.8, 3.0, time.monotonic())


@pytest.mark.parametrize("row", ["T17"])
def test_max_queries(row):
    options = "timeouts {\n maxtcpqueries 3\n}\n"
    with fixture.Upstreams() as up:
        with Waypost(fixture.blocks(options=options), files=fixture.FILES, ports=up.ports) as server:
            with connect(server) as s:
                s.sendall(b"".join(with_id(i, "slow.waypost.test" if i == 1 else "www.waypost.test")
                                   for i in range(4)))
                assert sorted(ids(s, 3)) == [0, 1, 2]
                assert s.recv(1) == b""


# --- size -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("row, name, low", [("T18", "big", 2000), ("T19", "huge", 55000)])
def test_large(w, row, name, low):
    r = wire.tcp(w.port["dns"], wire.query(name + ".waypost.test", "TXT"))
    assert low < len(r) <= 65535
    assert not r[2] & 2  # TC
    m = wire.parse(r)
    assert len(m.answer) == 1


@pytest.mark.timing
@pytest.mark.parametrize("row", ["T20"])
def test_not_reading(short, row):
    rss = resident(short.pid)
    with connect(short, rcvbuf=4096) as s:
        s.setblocking(False)
        t0 = time.monotonic()
        try:
            while time.monotonic() - t0 < 0.3:
                s.send(wire.framed(wire.query("huge.waypost.test", "TXT")))
        except BlockingIOError:
            pass
        assert resident(short.pid) - rss < 30e6
        wait_for(lambda: not peer_is_open(s), 4)
        took = time.monotonic() - t0
        assert 0.9 < took < 3.5, took
    assert still_serves(short)


def resident(pid):
    with open(f"/proc/{pid}/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peer_is_open(s):
    """False when the server's side was reset: data cannot be sent any more."""
    try:
        s.send(b"\0")
        return True
    except BlockingIOError:
        return True
    except OSError:
        return False


# --- EDNS -------------------------------------------------------------------------------------------------------

def options_of(reply):
    return {o.otype: o for o in wire.parse(reply).options}


@pytest.mark.parametrize("row", ["T21"])
def test_keepalive(w, row):
    r = wire.tcp(w.port["dns"], wire.query("www.waypost.test", extra=wire.opt(options=wire.option(11))))
    assert is_www(r)
    assert wire.option(11, struct.pack(">H", 100)) in r[-40:]


@pytest.mark.parametrize("row", ["T22"])
def test_keepalive_with_value(w, row):
    r = wire.tcp(w.port["dns"], wire.query("www.waypost.test", extra=wire.opt(options=wire.option(11, b"\0\x64"))))
    assert is_www(r) or wire.rcode(r) == 1


@pytest.mark.parametrize("row", ["T23"])
def test_padding_is_for_encrypted(w, row):
    r = wire.tcp(w.port["dns"], wire.query("www.waypost.test", extra=wire.opt(options=wire.option(12))))
    assert is_www(r) and 12 not in options_of(r) and len(r) < 200


# --- the rest ---------------------------------------------------------------------------------------------------

def limited(option):
    text = f"waypost.test:{{dns}} {{\n timeouts {{\n {option}\n }}\n file {{dir}}/db.waypost.test\n}}\n"
    return Waypost(text, files=fixture.FILES)


def serves(s):
    try:
        s.sendall(wire.framed(wire.A))
        r = wire.read_message(s)
        return r is not None and is_www(r)
    except OSError:
        return False


@pytest.mark.parametrize("row", ["T24"])
def test_connection_limit(row):
    """A new connection takes the place of the one idle longest on its worker, or is closed; never more than the
    limit are open, and those that are answer."""
    with limited("maxconnections 4") as w:
        conns = []
        for _ in range(12):
            s = connect(w)
            conns.append((s, serves(s)))
        open_now = [s for s, _ in conns if serves(s)]
        assert 1 <= len(open_now) <= 4
        open_now[0].close()
        wait_for(lambda: one_more(w))
        for s, _ in conns:
            s.close()


def one_more(w):
    with connect(w) as s:
        return serves(s)


@pytest.mark.parametrize("row", ["T25"])
def test_per_client_limit(row):
    with limited("maxperclient 2") as w:
        def both():
            # the test's own look at the port may still count
            a, b = connect(w), connect(w)
            if serves(a) and serves(b):
                return a, b
            a.close(), b.close()
        a, b = wait_for(both)
        with connect(w) as third:
            assert closed(third)
        a.close()
        wait_for(lambda: one_more(w))
        assert serves(b)
        b.close()


@pytest.mark.parametrize("row", ["T27"])
def test_reset_in_the_middle(w, row):
    with connect(w) as other:
        for _ in range(50):
            s = connect(w)
            s.sendall(b"".join(with_id(i, "huge.waypost.test", "TXT") for i in range(20)) +
                      with_id(50, "slow.waypost.test"))
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()
        other.sendall(with_id(1))
        assert ids(other, 1) == [1]
    assert w.alive() and still_serves(w)


@pytest.mark.parametrize("row", ["T29"])
def test_axfr_not_allowed(w, row):
    assert wire.rcode(wire.tcp(w.port["dns"], wire.query("waypost.test", "AXFR"))) in (4, 5)


@pytest.mark.parametrize("row", ["T30"])
def test_drain(row):
    """SIGTERM while an answer is owed: it comes, with keepalive 0; then the connection ends; idle ones end at once."""
    with fixture.Upstreams() as up, Waypost(fixture.blocks(), files=fixture.FILES, ports=up.ports) as server:
        with connect(server) as busy, connect(server) as idle:
            idle.sendall(with_id(1))
            assert ids(idle, 1) == [1]
            busy.sendall(wire.framed(wire.query("slow.waypost.test", extra=wire.opt(options=wire.option(11)))))
            time.sleep(0.2)
            server.kill(signal.SIGTERM)
            assert idle.recv(1) == b""
            r = wire.read_message(busy)
            assert wire.rcode(r) == 0 and r.endswith(wire.option(11, b"\0\0"))
            assert busy.recv(1) == b""
        assert server.wait(6) == 0


T31 = [
    ("T31-U63", wire.query("www.waypost.test", flags=5 << 11, qid=4), 4),
    ("T31-U66", wire.query("www.waypost.test", flags=2 << 11, qid=4), 4),
    ("T31-U67", struct.pack(">6H", 4, 0x0100, 1, 0, 2, 0) + WWW[12:] + 2 * (b"\0\0\1\0\1" + bytes(4) + b"\0\4abcd"), 1),
    ("T31-U68", wire.query("www.waypost.test", flags=0x8000 | 5 << 11, qid=4), None),
]


@pytest.mark.parametrize("msg, rcode", [pytest.param(*r[1:], id=r[0]) for r in T31])
def test_refused_messages(w, msg, rcode):
    with connect(w) as s:
        s.sendall(wire.framed(msg))
        if rcode is not None:
            assert wire.rcode(wire.read_message(s)) == rcode
        s.sendall(with_id(9))
        assert ids(s, 1) == [9]


def test_long_pipeline_needs_no_stack():
    """Advisory 27: a million queries on one connection, with 64 KiB of stack for every thread."""
    with Waypost("waypost.test:{dns} {\n file {dir}/db.waypost.test\n}\n", files=fixture.FILES) as server:
        n, batch = 100_000, with_id(1) * 500
        with connect(server, timeout=20) as s:
            def send():
                for _ in range(n // 500):
                    s.sendall(batch)
            t = threading.Thread(target=send)
            t.start()
            want, got = None, 0
            while got < (want or 1) * n:
                data = s.recv(1 << 20)
                assert data
                if want is None:
                    want = 2 + struct.unpack(">H", data[:2])[0]
                got += len(data)
            t.join()
            assert got == want * n
        assert resident(server.pid) < 64e6
