"""Health checks of records: what fails leaves the answers and comes back, nothing is probed that nobody asked for,
and when all fail the policy says what is answered."""
import re
import socket
import subprocess
import threading
import time

import dns.rcode
import etcd
import etcd_rows
import pytest
import wire
from server import WAYPOST, Waypost, free_port, wait_for
from test_33_etcd_faults import metric

INTERVAL, FAILS = 0.3, 2
CONF = """.:{dns} {
    prometheus 127.0.0.1:{metrics}
    etcd way.test {
        endpoint %(url)s
        health_checks on
        health_interval 300ms 200ms 2
    }
}
.:{cached} {
    cache 300
    etcd way.test {
        endpoint %(url)s
        health_checks on all
        health_interval 300ms 200ms 2
    }
}
.:{none} {
    etcd way.test {
        endpoint %(url)s
        health_checks on none
        health_interval 300ms 200ms 2
    }
}
.:{off} {
    etcd way.test {
        endpoint %(url)s/
    }
}
"""


class Backend:
    """A port that may or may not answer; HTTP with a status that can be changed."""

    def __init__(self):
        self.port = free_port()
        self.status, self.n, self.paths = 200, 0, set()
        self.listener = None

    def start(self):
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=32)
        threading.Thread(target=self._run, args=(self.listener,), daemon=True).start()
        return self

    def _run(self, listener):
        while True:
            try:
                s, _ = listener.accept()
            except OSError:
                return
            self.n += 1
            s.settimeout(1)
            try:
                request = s.recv(4096).decode()
                if request:
                    self.paths.add(request.split(" ")[1])
                    s.sendall(b"HTTP/1.1 %d X\r\nLocation: http://127.0.0.1:1/\r\n\r\n" % self.status)
            except OSError:
                pass
            s.close()

    def stop(self):
        if self.listener is not None:
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
        self.listener = None


class World:
    def __init__(self):
        self.member = etcd.Member().start()
        self.client = self.member.client
        self.w = Waypost(CONF % {"url": self.member.url})
        wait_for(lambda: self.w.output().count("watching") == 2)

    def put(self, name, host, port, health=None, more=""):
        health = f',"health":{health}' if health else ""
        self.client.put(f"/skydns/test/way/{name}", f'{{"host":"{host}","port":{port}{health}{more}}}')

    def ask(self, name, port="dns", rtype="A"):
        """(rcode, data, texts of extended errors)"""
        reply = wire.udp(self.w.port[port], wire.query(name + ".way.test", rtype, qid=5, extra=wire.opt()), timeout=5)
        assert reply is not None, "a question was lost"
        m = etcd_rows.parse(reply)
        return (dns.rcode.to_text(m.rcode()), sorted(r.split(" ", 3)[3] for r in etcd_rows.section(m.answer)),
                [o.text for o in m.options if int(o.otype) == 15])

    def close(self):
        self.w.__exit__(None, None, None)
        self.member.close()


@pytest.fixture(scope="module")
def world():
    w = World()
    yield w
    assert "[ERROR]" not in re.sub(r"\[ERROR\].*malformed health.*", "", w.w.output())
    w.close()


@pytest.fixture
def backend():
    b = Backend().start()
    yield b
    b.stop()


UNWELL = ["all endpoints are unhealthy"]


@pytest.mark.parametrize("case", ["tcp", "http"])
def test_leaves_and_comes_back(world, backend, case):
    """The third host of three is one whose port can be stopped."""
    name = f"svc-{case}"
    health = '{"tcp":true}' if case == "tcp" else '{"http":"/healthz"}'
    world.put(f"{name}/1", "192.0.2.1", 80)
    world.put(f"{name}/2", "127.0.0.1", backend.port, health)
    both, one = ("NOERROR", ["127.0.0.1", "192.0.2.1"], []), ("NOERROR", ["192.0.2.1"], [])
    wait_for(lambda: backend.n > 1)
    for port in ("dns", "cached", "none", "off"):
        wait_for(lambda port=port: world.ask(name, port) == both)
    backend.stop()
    t0 = time.monotonic()
    wait_for(lambda: world.ask(name) == one)
    assert time.monotonic() - t0 < INTERVAL * FAILS + 0.6  # of a busy machine
    for port in ("cached", "none"):
        assert world.ask(name, port) == one
    assert world.ask(name, "off") == both
    assert world.ask(name, "dns", "SRV")[1] == [f"10 100 80 1.{name}.way.test."]
    target = f'tcp://127.0.0.1:{backend.port}' if case == "tcp" else f'http://127.0.0.1:{backend.port}/healthz'
    assert metric(world.w, "waypost_etcd_health_up", target=target) == 0
    world.w.says(f"{target} is not well (refused): 1 keys leave the answers")
    backend.start()
    for port in ("dns", "cached", "none"):
        wait_for(lambda port=port: world.ask(name, port) == both)
    assert metric(world.w, "waypost_etcd_health_up", target=target) == 1
    assert metric(world.w, "waypost_health_probes_total", 0, result="ok") > 0
    assert metric(world.w, "waypost_health_probes_total", 0, result="refused") >= FAILS
    if case == "http":
        assert backend.paths == {"/healthz"}
        backend.status = 503
        wait_for(lambda: world.ask(name) == one)
        backend.status = 302  # not followed: it is an answer
        wait_for(lambda: world.ask(name) == both)
    world.client.delete_prefix(f"/skydns/test/way/{name}/")
    wait_for(lambda: metric(world.w, "waypost_etcd_health_up", target=target) is None)
    n = backend.n
    time.sleep(2 * INTERVAL)
    assert backend.n <= n + 1  # nobody probes it any more


def test_all_are_unhealthy(world):
    """all: every one of them, marked; none: as if there were no such keys."""
    dead = free_port()
    for i in (1, 2):
        world.put(f"dead/{i}", f"127.0.0.{i}", dead, '{"tcp":true}')
    world.put("alive", "192.0.2.9", 80)
    both = ["127.0.0.1", "127.0.0.2"]
    wait_for(lambda: world.ask("dead", "none") == ("NXDOMAIN", [], []))
    wait_for(lambda: world.ask("dead") == ("NOERROR", both, UNWELL))
    for port in ("dns", "cached", "cached"):
        answer = world.ask("dead", port)
        assert answer[:2] == ("NOERROR", both) and answer[2] in ([UNWELL] if port == "dns" else [UNWELL, []])  # a cache keeps no marks
        assert world.ask("dead", port, "AAAA") == ("NOERROR", [], [])  # the name exists
        assert world.ask("1.dead", port)[:2] == ("NOERROR", both[:1])
        assert len(world.ask("dead", port, "SRV")[1]) == 2
        assert world.ask("nosuch", port) == ("NXDOMAIN", [], [])
        assert world.ask("alive", port) == ("NOERROR", ["192.0.2.9"], [])
    assert world.ask("dead", "none", "AAAA")[0] == "NXDOMAIN"
    assert world.ask("dead", "off") == ("NOERROR", both, [])
    world.put("dead/3", "192.0.2.3", 80)  # one without a check: it is enough
    for port in ("dns", "cached", "none"):
        wait_for(lambda port=port: world.ask("dead", port) == ("NOERROR", ["192.0.2.3"], []))
    world.client.delete("/skydns/test/way/dead/3")
    wait_for(lambda: world.ask("dead", "cached")[:2] == ("NOERROR", both))
    world.client.delete_prefix("/skydns/test/way/dead/")
    wait_for(lambda: world.ask("dead", "cached")[0] == "NXDOMAIN")


def test_off_ignores_it(world):
    for i, health in enumerate(('{"tcp":1}', '{"nonsense":1}', "[]", '"x"', "17", "null")):
        world.put(f"odd{i}", "127.0.0.1", 1, health)
    for i in range(6):
        wait_for(lambda i=i: world.ask(f"odd{i}", "off") == ("NOERROR", ["127.0.0.1"], []))


def test_malformed_is_told_once_and_not_checked(world):
    port = free_port()
    world.put("bad/1", "127.0.0.1", port, '{"exec":"true"}')
    wait_for(lambda: "malformed health of key /skydns/test/way/bad/1 (revision" in world.w.output())
    line = next(x for x in world.w.output().splitlines() if "/way/bad/1" in x)
    assert re.search(r"at octet \d+: health.exec is none of tcp, http, port: it is not checked", line), line
    time.sleep(3 * INTERVAL)
    assert world.ask("bad") == ("NOERROR", ["127.0.0.1"], [])
    wait_for(lambda: world.w.output().count("/way/bad/1") == 1)


def test_one_prober_for_all(world, backend):
    """Ten records and three blocks: one connection in each interval."""
    for i in range(10):
        world.put(f"many{i}", "127.0.0.1", backend.port, '{"tcp":true}')
    wait_for(lambda: backend.n > 2)
    n, t0 = backend.n, time.monotonic()
    time.sleep(2)
    took, n = time.monotonic() - t0, backend.n - n
    assert n <= took / INTERVAL * 1.15 + 2
    backend.stop()
    for i in range(10):
        wait_for(lambda i=i: world.ask(f"many{i}", "none")[0] == "NXDOMAIN", 5)


def test_a_reload_keeps_states(world, backend):
    backend.stop()
    world.put("kept/1", "127.0.0.1", backend.port, '{"tcp":true}')
    world.put("kept/2", "192.0.2.1", 80)
    one = ("NOERROR", ["192.0.2.1"], [])
    wait_for(lambda: world.ask("kept", "none") == one)
    over = []
    bad = []

    def watch():
        while not over:
            r = world.ask("kept", "none")
            if r != one:
                bad.append(r)
    t = threading.Thread(target=watch)
    t.start()
    try:
        conf = CONF % {"url": world.member.url}
        for n in ("", "health_checks on none\n fallthrough"):
            world.w.write(conf.replace("health_checks on none", n) if n else conf + "# 1\n")
            world.w.kill(10)
            time.sleep(1)
    finally:
        over.append(True)
        t.join()
    assert not bad, bad[:3]


def test_lapsed_and_unwell(world, backend):
    """Unwell records of a lease: whichever reason is over first, the other one stays."""
    backend.stop()
    lease = world.client.grant(3)
    world.client.put("/skydns/test/way/both/1", '{"host":"127.0.0.1","port":%d,"health":{"tcp":true}}' % backend.port, lease)
    wait_for(lambda: world.ask("both") == ("NOERROR", ["127.0.0.1"], UNWELL))
    world.member.kill()
    wait_for(lambda: world.ask("both", "dns")[0] == "NXDOMAIN", 8)  # its lease has ended: it is none of all
    backend.start()
    time.sleep(3 * INTERVAL)
    assert world.ask("both")[0] == "NXDOMAIN"
    world.member.start()
    world.client = world.member.client
    wait_for(lambda: world.ask("both") == ("NOERROR", ["127.0.0.1"], []), 15)  # a new leader renews leases


@pytest.mark.parametrize("line, why", [
    ("health_checks", "Wrong argument count"), ("health_checks maybe", "neither on nor off"), ("health_checks on some", "neither all nor none"),
    ("health_checks off none", "Wrong argument count"), ("health_interval", "Wrong argument count"), ("health_interval 5", "health_interval"),
    ("health_interval 1ms", "health_interval"), ("health_interval 1s 2s", "the timeout is longer"), ("health_interval 1s 1s 0", "no number of failures"),
    ("health_checks on\n health_interval 1s 500ms 3", None), ("health_interval 1s", None), ("health_checks off", None)])
def test_lines(tmp_path, line, why):
    conf = tmp_path / "Corefile"
    conf.write_text(".:53 {\n etcd way.test {\n %s\n }\n}\n" % line)
    p = subprocess.run([WAYPOST, "check", "-conf", str(conf)], capture_output=True, text=True, timeout=10)
    assert (p.returncode == 0) == (why is None) and (why or "") in p.stdout + p.stderr, p.stdout + p.stderr
