"""etcd that was good and turns bad: it speaks gRPC and says what no etcd says. What was known is served on,
others are answered in time, memory and the log are bounded, little CPU is spent."""
import os
import time

import etcd_server
import gateway
import grpc
import pytest
import wire
from etcd import field
from etcd_server import Refuse, event, kv
from server import Waypost, wait_for

COREFILE = """.:{dns} {
    file {dir}/db.waypost.test waypost.test
    etcd way.test {
        endpoint %s
        max-memory 16
    }
}
"""
# A message of 60 MB is there twice while it is read, and unpacks to no more than 96 MB beyond its size.
MEMORY_MB = 320
GOOD, NEW = '{"host":"192.0.2.1"}', '{"host":"192.0.2.2"}'
KEY = "/skydns/test/way/x"


def address(w, name="x.way.test"):
    r = wire.parse(wire.udp(w.port["dns"], wire.query(name)))
    return [rr.address for s in r.answer for rr in s]


def cpu_s(pid):
    with open(f"/proc/{pid}/stat") as f:
        p = f.read().rsplit(")", 1)[1].split()
    return (int(p[11]) + int(p[12])) / os.sysconf("SC_CLK_TCK")


# --- listings --------------------------------------------------------------------------------------


def page(e, keys, more=True, revision=None):
    return field(1, e.header(revision)) + b"".join(field(2, k) for k in keys) + field(3, more)


def endless(e):
    at = iter(range(1 << 40))

    def say(q, honest):
        return page(e, [kv(f"/skydns/test/way/{next(at):012}", GOOD, 1) for _ in range(500)]) if 2 in q and 8 not in q else honest
    return say


def refuse(code, text=""):
    def say(q, honest):
        raise Refuse(code, text)
    return lambda e: say


RANGES = {
    "AV086-endless-pages": endless,
    "AV086-the-same-page": lambda e: lambda q, honest: page(e, [kv("/skydns/test/way/a", GOOD, 1)]) if 2 in q else honest,
    "AV086-torn": lambda e: lambda q, honest: honest[:-3] if len(honest) > 40 else honest + b"\x12\x7f",
    "AV086-70-mb": lambda e: lambda q, honest: page(e, [kv("/skydns/test/way/a", "x" * (70 << 20), 1)]),
    "AV086-60-mb-of-nothing": lambda e: lambda q, honest: field(1, e.header()) + b"\x12\x00" * (30 << 20),
    "AV086-compacted": refuse(grpc.StatusCode.OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted"),
    "AV086-exhausted": refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, "too much"),
    "AV086-internal": refuse(grpc.StatusCode.INTERNAL, "x" * 5000),
}


@pytest.fixture
def pair():
    with etcd_server.Etcd() as e:
        e.put(KEY, GOOD)
        with Waypost(COREFILE % e.url, files={"db.waypost.test": gateway.fixture.ZONE}) as w:
            wait_for(lambda: "watching" in w.output())
            yield e, w


@pytest.mark.parametrize("lie", RANGES.values(), ids=RANGES)
def test_listing(pair, lie):
    e, w = pair
    with gateway.watched(w, mb=MEMORY_MB, p99_s=0.5):
        e.range_reply = lie(e)
        e.put(KEY, NEW)
        e.compacted = e.revision  # it has to be listed
        e.watch_said = lambda q: iter(())  # and the stream of now ends without having told
        e.cut()
        before, t0 = e.ranges, time.monotonic()
        e.watch_said = None
        wait_for(lambda: e.ranges > before, 10)
        time.sleep(0.4)
        assert address(w) in (["192.0.2.1"], ["192.0.2.2"])
        assert e.ranges - before < 2000
    assert len(w.output()) < 60000


# --- streams ---------------------------------------------------------------------------------------


def canceled(e, q):
    """Each watch is compacted as soon as it stands."""
    while (m := q.get()) is not None:
        yield m
        if b"\x18\x01" in m:
            yield field(1, e.header()) + field(2, etcd_server.parse(m)[2][0]) + field(4, True) + field(5, e.revision)


def then(*messages, times=1):
    """After both watches stand."""
    def say(e, q):
        for _ in range(2):
            m = q.get()
            if m is None:
                return
            yield m
        time.sleep(0.05)
        for _ in range(times):
            yield from (m(e) if callable(m) else m for m in messages)
        yield from iter(q.get, None)
    return say


def events(*octets, fragment=False):
    return lambda e: field(1, e.header()) + field(2, 1) + field(7, fragment) + b"".join(field(11, o) for o in octets)


DEEP = "[" * (1 << 20)
STREAMS = {
    "AV086-compacted-for-ever": canceled,
    "AV086-ends-at-once": lambda e, q: iter(()),
    "AV086-torn": then(b"\x0a\x05\x08"),
    "AV086-70-mb": then(events(event("/skydns/test/way/big", "x" * (70 << 20), 5))),
    "AV086-60-mb-of-nothing": then(lambda e: field(1, e.header()) + field(2, 1) + b"\x5a\x00" * (30 << 20)),
    "AV086-deep-json": then(events(event("/skydns/test/way/deep", DEEP, 1000)), times=5),
    "AV086-old-events": then(events(*[event(KEY, '{"host":"192.0.2.9"}', 1)] * 100), times=5000),
    "AV086-other-peoples-keys": then(events(event("/elsewhere/x", NEW, 99)), times=20000),
    "AV086-endless-fragments": then(lambda e: events(*[event(f"/skydns/test/way/f{i}", '{"text":"%s"}' % ("y" * 900), 50) for i in range(1000)],
                                                     fragment=True)(e), times=60),
    "AV086-progress-of-the-future": then(lambda e: field(1, e.header(1 << 60)) + field(2, -1), times=100),
    "AV086-unknown-watches": then(lambda e: field(1, e.header()) + field(2, 4711) + field(11, event(KEY, NEW, 99)), times=20000),
}
BUSY = ("old-events", "other-peoples-keys", "unknown-watches", "fragments")  # the time is that of reading them


@pytest.mark.parametrize("name", STREAMS)
def test_stream(pair, name):
    e, w = pair
    with gateway.watched(w, mb=MEMORY_MB, p99_s=0.5):
        e.watch_said = lambda q: STREAMS[name](e, q)
        before, t0, cpu = e.ranges + e.streams, time.monotonic(), cpu_s(w.pid)
        e.cut()
        wait_for(lambda: e.ranges + e.streams > before + 1, 10)
        time.sleep(0.6)
        assert address(w) == ["192.0.2.1"]
        assert e.ranges + e.streams - before < 200
        if not name.endswith(BUSY):
            assert gateway.sanitized() or cpu_s(w.pid) - cpu < 0.5 * (time.monotonic() - t0) + 0.3
    assert len(w.output()) < 60000


def test_good_again(pair):
    """After all that, the first honest words count."""
    e, w = pair
    e.watch_said = lambda q: STREAMS["AV086-torn"](e, q)
    e.range_reply = RANGES["AV086-torn"](e)
    e.cut()
    wait_for(lambda: "DATA_LOSS" in w.output())
    e.put(KEY, NEW)
    e.watch_said = e.range_reply = None
    e.cut()
    wait_for(lambda: address(w) == ["192.0.2.2"])
