"""forward with everything at once: several workers, clients over UDP and TCP, upstreams that come and go, a file
of servers that changes, reloads. No question is lost, nothing breaks; under the sanitizers, nothing races."""
import os
import random
import signal
import socket
import struct
import sys
import threading
import time

import wire
from clients import certificate
from server import Waypost, free_port, own_address, wait_for

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../fake"))
from resolver import CLOSE, Resolver, address  # noqa: E402

SECONDS = 6


def on(q):
    kind = q.name[0]
    if kind == "s":
        return [(0.05, q.reply(address()))]
    if kind == "t":
        return q.reply(flags=0x8380) if q.proto == "udp" else q.reply(address())
    if kind == "x" and random.random() < 0.5:
        return CLOSE if q.proto != "udp" else None
    if kind == "w" and q.proto == "udp":  # on a stream the id would be that of the query beside it
        return [(0, q.reply(address(66), qid=q.id ^ 1)), (0, q.reply(address()))]
    return q.reply(address())


class Clients:
    def __init__(self, port):
        self.port, self.stop, self.asked, self.missing, self.codes = port, False, 0, 0, {}
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=f, args=(i,)) for i, f in enumerate([self.udp] * 3 + [self.tcp] * 2)]
        for t in self.threads:
            t.start()

    def note(self, asked, replies):
        with self.lock:
            self.asked += asked
            self.missing += asked - len(replies)
            for r in replies:
                self.codes[r] = self.codes.get(r, 0) + 1

    def names(self, rng):
        return ["%s%d.example" % (rng.choice("aasxtw"), rng.randrange(300)) for _ in range(16)]

    def udp(self, seed):
        rng = random.Random(seed)
        while not self.stop:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.connect(("127.0.0.1", self.port))
                s.settimeout(7)
                names, codes = self.names(rng), []
                for i, n in enumerate(names):
                    s.send(wire.query(n, qid=i, extra=wire.opt() if rng.random() < 0.5 else b""))
                try:
                    while len(codes) < len(names):
                        codes.append(wire.rcode(s.recv(4096)))
                except OSError:
                    pass
                self.note(len(names), codes)

    def tcp(self, seed):
        rng = random.Random(seed)
        while not self.stop:
            codes, names = [], self.names(rng)
            try:
                with socket.create_connection(("127.0.0.1", self.port), 7) as s:
                    for i, n in enumerate(names):
                        s.sendall(wire.framed(wire.query(n, qid=i)))
                    if rng.random() < 0.2:
                        continue  # a client that does not wait
                    while len(codes) < len(names):
                        codes.append(wire.rcode(wire.read_message(s)))
            except (OSError, TypeError):
                pass
            self.note(len(names), codes)

    def end(self):
        self.stop = True
        for t in self.threads:
            t.join()


def test_everything_at_once(tmp_path):
    cert = certificate(str(tmp_path), "dns.example")
    with Resolver(on, host=own_address(1), port=53) as a, Resolver(on, host=own_address(2), port=53) as b, \
            Resolver(on, tls=cert) as c:
        assert a.port == b.port == 53
        body = (".:{dns} {\n errors\n prometheus localhost:{xmetrics}\n"
                " forward a0.example 127.0.0.1:%d {\n  next NOERROR\n  max_concurrent 5\n }\n"
                " forward . {dir}/servers tls://127.0.0.1:%d https://127.0.0.1:%d 127.0.0.1:%d {\n  prefer_udp\n  expire 200ms\n  max_age 500ms\n"
                "  health_check 20ms\n  failover SERVFAIL\n  tls %s\n }\n}\n" % (c.port, c.tls_port, c.https_port, free_port(), cert[0]))
        with Waypost(body, files={"servers": f"nameserver {own_address(1)}\n"}, env={"WAYPOST_WORKERS": "4"}) as w:
            clients = Clients(w.port["dns"])
            end, n = time.monotonic() + SECONDS, 0
            while time.monotonic() < end:
                n += 1
                with open(w.path("servers.new"), "w") as f:
                    f.write("".join(f"nameserver {own_address(i)}\n" for i in random.sample([1, 2, 3], random.randrange(1, 4))))
                os.rename(w.path("servers.new"), w.path("servers"))
                if n % 3 == 0:
                    w.kill(signal.SIGUSR1)
                if n % 4 == 0:
                    c.close_connections()
                time.sleep(0.4)
            clients.end()
            assert w.alive() and clients.asked > 200
            assert clients.missing <= clients.asked // 20, (clients.missing, clients.asked)  # TCP clients cut off by a reload
            assert clients.codes.get(0, 0) > clients.asked // 2, clients.codes
            assert set(clients.codes) <= {0, 2, 5}, clients.codes
            r = wire.udp(w.port["dns"], wire.query("a1.example"), timeout=7)
            assert wire.rcode(r) == 0
            assert struct.unpack(">H", r[6:8])[0] == 1
        wait_for(lambda: not w.alive())
