"""The life of the process: the transports table, rows L. L02 is in test_22_doh.py, L03 in test_41_reload.py, L07
to L09 in tests/security."""
import os
import re
import signal
import socket
import subprocess
import sys
import time

import clients
import fixture
import pki
import pytest
import wall
import wire
from server import WAYPOST, Waypost, free_port, wait_for

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../fake"))
from resolver import Resolver, address  # noqa: E402

LOCAL = ".:{dns} {\n    local\n}\n"
BADCOOKIE = 23


def everything():
    cert, key = pki.cert("ns.waypost.test")
    tls = f"tls {cert} {key}\n"
    body = "file {dir}/db.waypost.test waypost.test"
    return "".join(f"{scheme}.:{{{port}}} {{\n{more}{body}\n}}\n" for scheme, port, more in (
        ("", "dns", ""), ("tls://", "dot", tls), ("https://", "doh", tls), ("grpc://", "grpc", "")))


@pytest.mark.timing
@pytest.mark.parametrize("row", ["L01"])
def test_end_when_idle(row):
    with Waypost(everything(), files=fixture.FILES) as w:
        c = clients.Tcp(w.port["dns"])
        assert wire.rcode(c.ask(wire.A)) == 0  # a connection that says nothing more does not hold it up
        t0 = time.monotonic()
        w.kill(signal.SIGTERM)
        assert w.wait() == 0
        assert time.monotonic() - t0 < 1


@pytest.mark.parametrize("row", ["L04"])
@pytest.mark.parametrize("text, line, why", [
    (".:{dns} {\n    nonsense\n}\n", 2, "Unknown directive 'nonsense'"),
    (".:{dns} {\n    local\n", 2, "Unexpected token 'local', expecting '}'"),
], ids=["directive", "brace"])
def test_reload_of_a_bad_file(row, text, line, why):
    """The old configuration serves, the error is told, and the check that a script makes before it asks for a reload
    fails."""
    with Waypost(LOCAL) as w:
        w.write(text)
        w.kill(signal.SIGHUP)
        wait_for(lambda: "Restart failed" in w.output())
        told = next(part for part in w.output().splitlines() if "[ERROR]" in part)
        assert f"Corefile:{line}" in told and why in told
        assert wire.rcode(wire.udp(w.port["dns"], wire.query("localhost"))) == 0
        r = subprocess.run([WAYPOST, "check", "-conf", w.conf], capture_output=True, text=True, timeout=20)
        assert r.returncode == 1 and why in r.stderr


@pytest.mark.parametrize("row", ["L05"])
def test_check_only(row, tmp_path):
    """Its addresses are taken, and its upstream would notice a connection: it opens neither."""
    upstream = socket.create_server(("127.0.0.1", 0))
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    port, health, prom = (s.getsockname()[1] for s in taken)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", port))
    good = (f".:{port} {{\n bind 127.0.0.1\n health 127.0.0.1:{health}\n prometheus 127.0.0.1:{prom}\n"
            f" forward . 127.0.0.1:{upstream.getsockname()[1]} {{\n force_tcp\n }}\n}}\n")
    conf = tmp_path / "Corefile"

    def check(text):
        conf.write_text(text)
        return subprocess.run([WAYPOST, "check", "-conf", str(conf)], capture_output=True, text=True, timeout=20)

    r = check(good)
    assert (r.returncode, r.stdout, r.stderr) == (0, f"{conf}: ok\n", "")
    upstream.setblocking(False)
    with pytest.raises(BlockingIOError):
        upstream.accept()
    r = check(good.replace("force_tcp", "force_http"))
    assert (r.returncode, r.stdout) == (1, "")
    assert r.stderr.startswith(f"{conf}:6: forward: ") and "force_http" in r.stderr
    for s in (upstream, udp, *taken):
        s.close()


@pytest.mark.parametrize("row", ["L06"])
@pytest.mark.parametrize("kind, name", [(socket.SOCK_STREAM, "tcp"), (socket.SOCK_DGRAM, "udp")], ids=["tcp", "udp"])
def test_address_is_taken(row, kind, name, tmp_path):
    port = free_port()
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", port))
        if kind == socket.SOCK_STREAM:
            s.listen()
        conf = tmp_path / "Corefile"
        conf.write_text(f".:{port} {{\n bind 127.0.0.1\n local\n}}\n")
        r = subprocess.run([WAYPOST, "-conf", str(conf)], capture_output=True, text=True, timeout=20)
    assert r.returncode == 1
    assert f"listen {name} 127.0.0.1:{port}: bind: address already in use" in r.stderr + r.stdout


# --- the clock on the wall ---------------------------------------------------------------------------

def cookie_of(reply):
    return next(o.to_wire() for o in wire.parse(reply).options if o.otype == 10)


@pytest.mark.timing
@pytest.mark.parametrize("row", ["L10"])
@pytest.mark.parametrize("step", [3700, -3700], ids=["forwards", "back"])
def test_clock_is_set(row, step, tmp_path):
    def on(q):
        return None if q.name.startswith("dead") else [(0.6, q.reply(address(ttl=40)))]
    clock = wall.Wall(tmp_path)
    with Resolver(on) as up:
        conf = (f".:{{dns}} {{\n cache\n log\n forward . 127.0.0.1:{up.port} {{\n read_timeout 1s\n max_connect_attempts 1\n max_fails 0\n }}\n}}\n"
                ".:{cookie} {\n cookie {\n enforce\n }\n whoami\n}\n")
        with Waypost(conf, env=clock.env) as w:
            port, strict = w.port["dns"], w.port["cookie"]

            def with_cookie(data):
                return wire.udp(strict, wire.query("x.test", extra=wire.opt(options=wire.option(10, data))))

            def full_rcode(r):
                return wire.parse(r).rcode()

            c = clients.Tcp(port)
            assert wire.rcode(c.ask(wire.query("a.test"))) == 0
            old = cookie_of(with_cookie(b"12345678"))
            assert full_rcode(with_cookie(old)) == 0
            # one question is on its way to an upstream, another one will have no answer
            c.s.sendall(wire.framed(wire.query("b.test", qid=2)) + wire.framed(wire.query("dead.test", qid=3)))
            t0 = time.monotonic()
            wait_for(lambda: len(up.queries()) == 3)
            clock.set(step)
            got = [wire.read_message(c.s) for _ in range(2)]
            assert [(r[1], wire.rcode(r)) for r in got] == [(2, 0), (3, 2)]
            assert 0.9 < time.monotonic() - t0 < 4
            # what was cached is as old as it is
            n = len(up.queries())
            r = wire.parse(c.ask(wire.query("a.test")))
            assert 30 <= r.answer[0].ttl <= 40 and len(up.queries()) == n
            # a cookie that is older than it may be, or from the future, is given anew
            fresh = with_cookie(old)
            assert full_rcode(fresh) == BADCOOKIE and cookie_of(fresh) != old
            assert full_rcode(with_cookie(cookie_of(fresh))) == 0
            # and the log shows the new time
            stamp = re.findall(r"\d{4}-\d\d-\d\d.\d\d:\d\d:\d\d", w.output())
            assert not stamp or stamp[0] != stamp[-1]
            c.s.close()
