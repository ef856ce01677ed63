"""Reload under load: no question is lost on UDP or on any open connection."""
import os
import signal
import threading

import clients
import pytest
import wire
from server import Waypost, wait_for

RELOADS = int(os.environ.get("RELOADS", 100))
ZONE = "$ORIGIN a.test.\n$TTL 300\n@ SOA ns host %d 3600 600 86400 60\n@ NS ns\nwww A 192.0.2.1\n"


def corefile(cert, key, mark):
    body = f"errors\ncache 30\nnsid {mark}\nfile {{dir}}/db a.test"
    tls = f"tls {cert} {key}"
    return (f"a.test:{{dns}} {{\n{body}\n}}\n" f"tls://a.test:{{tls}} {{\n{tls}\n{body}\n}}\n"
            f"https://a.test:{{https}} {{\n{tls}\n{body}\n}}\n" f"grpc://a.test:{{grpc}} {{\n{body}\n}}\n")


class Asker(threading.Thread):
    def __init__(self, client):
        super().__init__(daemon=True)
        self.client, self.n, self.error, self.end, self.marks = client, 0, None, False, set()

    def run(self):
        try:
            while not self.end:
                r = self.client.ask(wire.query("www.a.test", qid=self.n & 0xffff, extra=wire.opt(options=wire.option(3))))
                assert wire.rcode(r) == 0 and r[6:8] == b"\0\1"
                self.marks |= {o.to_wire() for o in wire.parse(r).options if o.otype == 3}
                self.n += 1
        except Exception as e:  # noqa: BLE001
            self.error = e


@pytest.mark.timing
def test_100_reloads_lose_nothing(tmp_path):
    cert, key = clients.certificate(tmp_path)
    with Waypost(corefile(cert, key, "m0"), files={"db": ZONE % 1}) as w:
        p = w.port
        askers = [Asker(clients.Udp(p["dns"])), Asker(clients.Udp(p["dns"])), Asker(clients.Tcp(p["dns"])),
                  Asker(clients.Dot(p["tls"])), Asker(clients.Doh(p["https"])), Asker(clients.Grpc(p["grpc"]))]
        for a in askers:
            a.start()
        wait_for(lambda: all(a.n > 0 or a.error for a in askers))
        for i in range(1, RELOADS + 1):
            w.write(corefile(cert, key, f"m{i}"))
            w.kill(signal.SIGHUP)
            wait_for(lambda i=i: w.output().count("Reloading complete") == i)
            before = [a.n for a in askers]
            wait_for(lambda: all(a.n > b + 1 or a.error for a, b in zip(askers, before)))
        for a in askers:
            a.end = True
        for a in askers:
            a.join(5)
        assert [a.error for a in askers] == [None] * len(askers)
        assert all(a.marks == {b"m%d" % i for i in range(RELOADS + 1)} for a in askers)


def test_reload_with_another_zone_keeps_connections(tmp_path):
    with Waypost("a.test:{dns} {\nfile {dir}/db\n}\n", files={"db": ZONE % 1, "db2": (ZONE % 2).replace("a.test", "b.test")}) as w:
        c = clients.Tcp(w.port["dns"])
        assert wire.rcode(c.ask(wire.query("www.a.test"))) == 0
        assert wire.rcode(c.ask(wire.query("www.b.test"))) == 5
        w.write("b.test:{dns} {\nfile {dir}/db2\n}\n")
        w.kill(signal.SIGUSR1)
        wait_for(lambda: "Reloading complete" in w.output())
        assert wire.rcode(c.ask(wire.query("www.b.test"))) == 0
        assert wire.rcode(c.ask(wire.query("www.a.test"))) == 5


def test_removed_listener_closes(tmp_path):
    with Waypost("a.test:{dns} {\nfile {dir}/db\n}\na.test:{other} {\nfile {dir}/db\n}\n", files={"db": ZONE % 1}) as w:
        c = clients.Tcp(w.port["other"])
        assert wire.rcode(c.ask(wire.query("www.a.test"))) == 0
        w.write("a.test:{dns} {\nfile {dir}/db\n}\n")
        w.kill(signal.SIGUSR1)
        wait_for(lambda: "Reloading complete" in w.output())
        wait_for(lambda: c.s.recv(1) == b"")
        assert wire.udp(w.port["other"], wire.query("www.a.test"), timeout=0.3) is None
        assert wire.rcode(wire.udp(w.port["dns"], wire.query("www.a.test"))) == 0
