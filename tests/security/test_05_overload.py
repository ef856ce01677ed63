"""More than each listener takes, from another process: memory is flat, health answers, UDP goes on, and what was
flooded serves again as soon as the flood ends."""
import http.client
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import clients
import flood
import gateway
import pytest
import server
import wire
from gateway import TRANSPORTS, WWW
from server import wait_for

SECONDS = 1.5
SHORT = "timeouts {\n read 1s\n write 1s\n idle 2s\n}"


@pytest.fixture(scope="module")
def w(tmp_path_factory):
    with gateway.gateway(tmp_path_factory.mktemp("tls"), options=SHORT) as running:
        yield running


def healthy(w):
    c = http.client.HTTPConnection("127.0.0.1", w.port["health"], timeout=3)
    c.request("GET", "/health")
    r = c.getresponse()
    body = r.read()
    c.close()
    return r.status == 200 and body == b"OK"


@pytest.mark.parametrize("kind", [pytest.param(k, id="AV003-" + k) for k in flood.KINDS])
def test_flood(w, kind):
    transport = kind.split("-")[0]
    before = gateway.descriptors(w.pid)
    argv = [sys.executable, os.path.join(gateway.HERE, "flood.py"), kind, str(gateway.port(w, transport)), str(SECONDS)]
    # the flood of datagrams fills the queue that the watchdog's question stands in, too
    with gateway.watched(w, mb=64, lost=0.2 if kind == "udp" else 0.05, p99_s=2.0 if kind == "udp" else 0.1):
        env = {**os.environ, **({"FLOOD_SMALL": "1"} if gateway.sanitized() else {})}
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=env) as attack:
            time.sleep(SECONDS / 2)
            assert healthy(w)
            out, _ = attack.communicate(timeout=60)
    assert attack.returncode == 0 and int(out) > 0
    assert gateway.serves(w)
    wait_for(lambda: gateway.descriptors(w.pid) <= before + 8, 15)


@pytest.mark.parametrize("transport", ["tcp", "dot"])
def test_ten_thousand_pipelined(w, transport):
    n = 10000
    c = gateway.client(w, transport)
    c.s.settimeout(20)
    with gateway.watched(w, mb=16):
        data = b"".join(wire.framed(wire.query("www.waypost.test", qid=i)) for i in range(n))
        sender = threading.Thread(target=c.s.sendall, args=(data,)) if transport == "tcp" else None
        ids = set()
        if sender is not None:
            sender.start()
            for _ in range(n):
                ids.add(wire.read_message(c.s)[:2])
            sender.join()
        else:  # one TLS object is for one thread: in parts that fit the socket
            size = len(data) // n
            for at in range(0, n, 500):
                c.s.sendall(data[at * size:(at + 500) * size])
                for _ in range(500):
                    ids.add(wire.read_message(c.s)[:2])
        assert len(ids) == n
    c.s.close()


def test_half_open_handshakes_are_bounded(tmp_path, provider):
    """Of the handshakes that wait for their peers the oldest goes: memory stays, and who answers gets in."""
    import ssl
    with gateway.gateway(tmp_path, env={"WAYPOST_WORKERS": "1"}) as w:
        held = []
        with gateway.bounded(w, mb=40):
            for _ in range(700):
                to, back = ssl.MemoryBIO(), ssl.MemoryBIO()
                with pytest.raises(ssl.SSLWantReadError):
                    clients.context().wrap_bio(back, to).do_handshake()
                s = socket.create_connection(("127.0.0.1", w.port["tls"]), 5)
                s.sendall(to.read())
                assert s.recv(1) == b"\x16"  # the server's flight: now it waits for ours
                held.append(s)
        for s in held:
            s.setblocking(False)
        wait_for(lambda: sum(1 for s in held if is_closed(s)) == 700 - 512, 10)
        assert is_closed(held[0]) and not is_closed(held[-1])
        assert gateway.verdict(w, "dot", WWW) == 0
        with urllib.request.urlopen(f"http://127.0.0.1:{w.port['prom']}/metrics", timeout=5) as r:
            lines = r.read().decode().splitlines()
        seen = [x for x in lines if x.startswith("waypost_refused_total{") and 'limit="handshakes"' in x]
        assert sum(float(x.split()[-1]) for x in seen) == 700 - 512 + 1
        for s in held:
            s.close()


@pytest.mark.timing
def test_memory_of_many_connections_goes_back(tmp_path, provider):
    """What they leave in pieces between what stays is the kernel's again, within some seconds."""
    with gateway.gateway(tmp_path, options="timeouts {\n read 60s\n idle 60s\n}") as w:  # until all of them are there
        before = gateway.status(w.pid, "VmRSS")
        held = [clients.context(["dot"]).wrap_socket(socket.create_connection(("127.0.0.1", w.port["tls"]), 5)) for _ in range(1500)]
        assert gateway.status(w.pid, "VmRSS") > before + 12 * gateway.MB
        for s in held:
            s.close()
        wait_for(lambda: gateway.status(w.pid, "VmRSS") < before + 6 * gateway.MB, 30)


def is_closed(s):
    """All that came is thrown away."""
    try:
        while s.recv(65536):
            pass
        return True
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def limited(tmp_path, n):
    """A server that may have n descriptors."""
    path = tmp_path / "limited"
    path.write_text(f'#!/bin/sh\nulimit -n {n}\nexec {server.WAYPOST} "$@"\n')
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("row", ["L07"])
def test_descriptors_run_out(tmp_path, row):
    """Connections beyond the limit wait, or take the place of those idle longest; the ones in use are served; nothing
    spins; all is well when the others go."""
    with gateway.gateway(tmp_path, options=SHORT, binary=limited(tmp_path, 100), env={"WAYPOST_WORKERS": "1"}) as w:
        assert gateway.descriptors(w.pid) < 90
        held, there = [], [gateway.client(w, t) for t in ("tcp", "dot", "doh", "grpc")]
        in_use = lambda: [wire.rcode(c.ask(WWW)) for c in there] == [0] * 4  # noqa: E731
        with gateway.watched(w, mb=32):
            for where in ("dns", "tls", "http", "grpc", "health", "prom"):
                for i in range(100):
                    assert i % 5 or in_use()
                    s = socket.socket()
                    s.setblocking(False)
                    s.connect_ex(("127.0.0.1", w.port[where]))
                    held.append(s)
            assert in_use()
            time.sleep(0.3)
            cpu = gateway.cpu_s(w.pid)
            time.sleep(0.5)
            assert gateway.cpu_s(w.pid) - cpu < 0.35
            for s in held:
                s.close()
        there[3].channel.close()
        assert gateway.serves(w)
        wait_for(lambda: answers(w), 10)


def answers(w):
    try:
        return healthy(w)
    except OSError:
        return False


def test_descriptors_run_out_for_upstreams(tmp_path):
    """No socket for an upstream is SERVFAIL for that question, and the next one is answered."""
    from resolver import Resolver
    with Resolver() as up:
        conf = f".:{{dns}} {{\n {SHORT}\n forward . 127.0.0.1:{up.port} {{\n force_tcp\n expire 1s\n max_fails 0\n max_connect_attempts 1\n }}\n}}\n"
        with server.Waypost(conf, binary=limited(tmp_path, 64), env={"WAYPOST_WORKERS": "1"}) as w:
            held = []
            for _ in range(200):
                s = socket.socket()
                s.setblocking(False)
                s.connect_ex(("127.0.0.1", w.port["dns"]))
                held.append(s)
            time.sleep(0.2)
            r = wire.udp(w.port["dns"], wire.query("a.test"), timeout=8)
            assert r is not None and wire.rcode(r) in (0, 2)
            for s in held:
                s.close()
            wait_for(lambda: wire.rcode(wire.udp(w.port["dns"], wire.query("b.test"), timeout=8)) == 0, 10)


@pytest.mark.parametrize("row", ["AV065"])
def test_storm_of_connections_reloads_and_end(tmp_path, row):
    """Connections made and torn down on every transport while the configuration is loaded again and again, and
    then the end comes in the middle of it."""
    import signal
    w = gateway.gateway(tmp_path, options=SHORT)
    stop = threading.Event()

    def storm(transport):
        while not stop.is_set():
            try:
                c = gateway.client(w, transport)
                c.ask(WWW)
                if transport == "grpc":
                    c.channel.close()
                elif transport != "doh":
                    c.s.close()
            except Exception:
                pass

    with w:
        threads = [threading.Thread(target=storm, args=(t,), daemon=True) for t in TRANSPORTS]
        for t in threads:
            t.start()
        end = time.monotonic() + 3
        n = 0
        while time.monotonic() < end:
            n += 1
            with open(w.conf) as f:
                text = f.read()
            with open(w.conf, "w") as f:
                f.write(text + f"# {n}\n")
            w.kill(signal.SIGUSR1)
            time.sleep(0.05)
        assert w.alive(), w.output()[-3000:]
        assert gateway.serves(w, ("udp",))
        w.kill(signal.SIGTERM)
        code = w.wait(20)
        stop.set()
        for t in threads:
            t.join(10)
        text = w.output()
        assert code == 0 and "Sanitizer" not in text, text[-4000:]


@pytest.mark.parametrize("transport", ["dot", "doh"])
def test_connection_outlives_its_listener(tmp_path, transport):
    """A listener leaves while connections are in the middle of their handshakes. What they ask afterwards meets the
    configuration that they came under, or their end."""
    import signal
    with gateway.gateway(tmp_path) as w:
        held = [socket.create_connection(("127.0.0.1", gateway.port(w, transport)), 5) for _ in range(8)]
        with open(w.conf, "w") as f:
            f.write("other.test:%d {\n whoami\n}\n" % w.port["dns"])
        w.kill(signal.SIGUSR1)
        wait_for(lambda: "Reloading complete" in w.output())
        assert wire.udp(w.port["dns"], wire.query("other.test"), timeout=3) is not None
        for s in held:
            try:
                with clients.context().wrap_socket(s, server_hostname="localhost") as t:
                    t.settimeout(2)
                    t.sendall(wire.framed(WWW) if transport == "dot" else
                              b"POST /dns-query HTTP/1.1\r\nHost: a\r\nContent-Type: application/dns-message\r\n"
                              b"Content-Length: %d\r\n\r\n%s" % (len(WWW), WWW))
                    t.recv(4096)
            except OSError:
                pass  # it was told to go: nothing of it is left either
        w.kill(signal.SIGTERM)
        assert w.wait(20) == 0 and "Sanitizer" not in w.output(), w.output()[-4000:]


@pytest.mark.parametrize("how", ["end", "reload"])
@pytest.mark.parametrize("option", ["serve_stale 1h immediate", "serve_stale 1h verify 100ms", "prefetch 1 1m 90%"])
def test_refresh_outlives_its_configuration(option, how):
    """A question asked again behind the client's back ends after the configuration it belongs to was replaced."""
    import signal
    from resolver import Resolver, address
    alive = [True]
    with Resolver(lambda q: q.reply(address(ttl=2)) if alive[0] else None) as up:
        conf = (f".:{{dns}} {{\n cache 10 {{\n success 100 10 1\n {option}\n }}\n forward . 127.0.0.1:{up.port} {{\n"
                " read_timeout 700ms\n max_connect_attempts 1\n max_fails 0\n }\n}\n")
        with server.Waypost(conf) as w:
            for i in range(3):
                wire.udp(w.port["dns"], wire.query(f"n{i}.test"))
            alive[0] = False
            time.sleep(2.1 if "stale" in option else 0.9)
            for i in range(3):
                for _ in range(3):
                    wire.udp(w.port["dns"], wire.query(f"n{i}.test"), timeout=3)
            if how == "end":
                return  # the sanitizers' reports, and the exit code, are looked at
            w.write(conf.replace("cache 10", "cache 11"))
            w.kill(signal.SIGUSR1)
            wait_for(lambda: "reload" in w.output().lower(), 10)
            time.sleep(1.5)
            alive[0] = True
            assert wire.udp(w.port["dns"], wire.query("after.test"), timeout=3) is not None
