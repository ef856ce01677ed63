"""etcd as a client meets it when something else answers in its place, and leases with odd ids."""
import os
import random
import socket
import struct
import threading
import time

import etcd
import gateway
import http2
import pytest
import wire
from etcd_server import Etcd, event
from http2 import CONTINUATION, DATA, END_HEADERS, HEADERS, SETTINGS, frame
from server import Waypost, wait_for

SERVFAIL = 2
HEAD = b"\x88" + http2.field(b"content-type", b"application/grpc")
ETCD = ".:{dns} {\n file {dir}/db.waypost.test waypost.test\n etcd way.test {\n endpoint http://127.0.0.1:%d\n }\n}\n"


class Rogue:
    """Accepts on a port of its own; say(send, stream) is what follows each call."""

    def __init__(self, say, hello=frame(SETTINGS)):
        self.say, self.hello, self.calls, self.connections = say, hello, 0, 0
        self.s = socket.create_server(("127.0.0.1", 0))
        self.port = self.s.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                c, _ = self.s.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    def serve(self, c):
        try:
            c.sendall(self.hello)
            if self.say is None:
                time.sleep(5)
                return
            wire.read_exact(c, len(http2.PREFACE))
            while True:
                head = wire.read_exact(c, 9)
                if head is None:
                    return
                n, kind, flags, stream = int.from_bytes(head[:3], "big"), head[3], head[4], int.from_bytes(head[5:], "big")
                if n and wire.read_exact(c, n) is None:
                    return
                if kind == SETTINGS and not flags & 1:
                    c.sendall(frame(SETTINGS, 1))
                elif kind == HEADERS:
                    self.calls += 1
                    self.say(c.sendall, stream)
        except OSError:
            pass
        finally:
            c.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.s.close()


def message(payload, announced=None):
    return b"\0" + struct.pack(">I", len(payload) if announced is None else announced) + payload


def answer(data, times=1):
    def say(send, stream):
        send(frame(HEADERS, END_HEADERS, stream, HEAD))
        for _ in range(times):
            send(frame(DATA, 0, stream, data))
    return say


def drip(send, stream):
    send(frame(HEADERS, END_HEADERS, stream, HEAD))
    for octet in message(bytes(1000)):
        send(frame(DATA, 0, stream, bytes([octet])))
        time.sleep(0.1)


def endless_head(send, stream):
    send(frame(HEADERS, 0, stream, HEAD))
    for _ in range(1000):
        send(frame(CONTINUATION, 0, stream, http2.field(b"a", b"x" * 120) * 120))


WRONG_TYPES = b"".join(bytes([n << 3 | t]) + b"\xff" * 12 for n in range(1, 6) for t in range(8))
ROGUES = {
    "AV086-4-gb-frame": answer(message(b"", 0xffffffff)), "AV086-2-gb-frame": answer(message(b"", 0x7fffffff) + bytes(1000), 20),
    "AV086-wrong-wire-types": answer(message(WRONG_TYPES)), "AV086-length-past-the-end": answer(message(b"\x12\xff\xff\xff\xff\x0f")),
    "AV086-many-empty-messages": answer(message(b"") * 2000, 50), "AV086-rubbish": answer(message(random.Random(1).randbytes(16000)), 4),
    "AV086-slow-loris": drip, "AV086-endless-header": endless_head, "AV086-silence-after-head": answer(b""),
    "AV086-no-http2": None,
}


@pytest.mark.parametrize("say", ROGUES.values(), ids=ROGUES)
def test_rogue_etcd(say):
    """Its names are SERVFAIL, those of others are served, memory is bounded, the log is not flooded."""
    hello = os.urandom(65536) if say is None else frame(SETTINGS)
    files = {"db.waypost.test": gateway.fixture.ZONE}
    with Rogue(say, hello) as r, Waypost(ETCD % r.port, files=files) as w:
        with gateway.watched(w, mb=64):
            wait_for(lambda: r.connections > 0 and (say is None or r.calls > 0), 10)
            time.sleep(1.5)
            assert wire.rcode(wire.udp(w.port["dns"], wire.query("a.way.test"))) == SERVFAIL
        assert len(w.output()) < 20000


# --- a store whose messages are well made, and what is in them is not --------------------------------------------

DEEP = {
    "AV086-arrays": "[" * 1_000_000, "AV086-arrays-closed": "[" * 500_000 + "]" * 500_000, "AV086-objects": '{"a":' * 200_000,
    "AV086-in-a-field": '{"host":"192.0.2.7","x":' + "[" * 900_000, "AV086-one-string": '{"text":"' + "\\u0041" * 160_000 + '"}',
}


@pytest.mark.parametrize("value", DEEP.values(), ids=DEEP)
def test_deep_json(value):
    """The value hides its key; the stack is not the measure of what JSON may hold."""
    with Etcd() as r, Waypost(ETCD % r.port, files={"db.waypost.test": gateway.fixture.ZONE}) as w, gateway.bounded(w, mb=48):
        r.put("/skydns/test/way/deep", value)
        r.put("/skydns/test/way/ok", '{"host":"192.0.2.8"}')
        def answer(name):
            return wire.udp(w.port["dns"], wire.query(name))
        wait_for(lambda: wire.sections(answer("ok.way.test"))[0] == {"ok.way.test. A 192.0.2.8"})
        assert not wire.sections(answer("deep.way.test"))[0]
        assert len(w.output()) < 20000


def flood(r, messages, events):
    """Every message changes each of `events` keys once."""
    revision = 10
    for n in range(messages):
        body = b""
        for i in range(events):
            revision += 1
            body += etcd.field(11, event(f"/skydns/test/way/n{i}", '{"host":"10.0.%d.%d"}' % (n >> 8, n & 255), revision))
        yield etcd.field(1, r.header(revision)) + etcd.field(2, 1) + body


@pytest.mark.parametrize("row", ["AV086-events"])
def test_flood_of_events(row):
    """As many changes as a store can send: names are answered meanwhile, and in the end with the last."""
    with Etcd() as r:
        messages, sent = list(flood(r, 300, 400)), []

        def said(q):
            for _ in range(2):  # both watches stand
                yield q.get()
            for m in messages:
                sent.append(m)
                yield m
            yield from iter(q.get, None)
        r.watch_said = said
        with Waypost(ETCD % r.port, files={"db.waypost.test": gateway.fixture.ZONE}) as w, gateway.watched(w, mb=64):
            wait_for(lambda: len(sent) == len(messages), 60)
            wait_for(lambda: wire.sections(wire.udp(w.port["dns"], wire.query("n399.way.test")))[0] == {"n399.way.test. A 10.0.1.43"}, 60)


IDS = [("AV015-low-word", (7 << 32) | 5), ("AV015-large-low-word", (7 << 32) | 0xfffffff0), ("AV015-sign", (1 << 62) | 0x80000000), ("AV015-small", 3)]


@pytest.fixture(scope="module")
def mirrored():
    with etcd.Member() as m, Waypost(ETCD % m.client_port, files={"db.waypost.test": gateway.fixture.ZONE}) as w:
        yield m, w


@pytest.mark.parametrize("lease", [pytest.param(i[1], id=i[0]) for i in IDS])
def test_time_is_that_of_the_lease_not_its_id(mirrored, lease):
    m, w = mirrored
    m.client.call("Lease/LeaseGrant", etcd.field(1, 100) + etcd.field(2, lease))
    m.client.put(f"/skydns/test/way/n{lease}", '{"host":"192.0.2.9"}', lease)

    def ttl():
        r = wire.parse(wire.udp(w.port["dns"], wire.query(f"n{lease}.way.test")))
        return r.answer[0].ttl if r.answer else None

    wait_for(lambda: 60 <= (ttl() or 0) <= 101, 10)  # until the lease is looked up it is the shortest there may be
