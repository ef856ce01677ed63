"""health and ready: what a balancer and an orchestrator ask."""
import signal
import socket
import time
import urllib.error
import urllib.request

import pytest
import wire
from server import Waypost, wait_for

HEALTH = ".:{dns} {\n    health localhost:{health}\n    prometheus localhost:{metrics}\n    local\n}\n"


def get(w, port, path, method="GET"):
    rq = urllib.request.Request(f"http://localhost:{w.port[port]}{path}", method=method)
    try:
        with urllib.request.urlopen(rq, timeout=5) as r:
            return r.status, r.read()
    except urllib.error.HTTPError as e:
        return e.code, e.read()


def accepts(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_health_answers(method):
    with Waypost(HEALTH) as w:
        assert get(w, "health", "/health", method) == (200, b"OK")
        assert get(w, "health", "/other", method)[0] == 404


def test_health_asks_itself():
    with Waypost(HEALTH) as w:
        wait_for(lambda: b"coredns_health_request_duration_seconds_count 2" in get(w, "metrics", "/metrics")[1])
        text = get(w, "metrics", "/metrics")[1]
        assert b"coredns_health_request_failures_total 0" in text
        assert b'coredns_health_request_duration_seconds_bucket{le="2.5"} 2' in text
        assert "plugin/health" not in w.output()


def test_two_blocks_on_one_address():
    text = HEALTH + "example.org:{dns} {\n    health localhost:{health}\n    local\n}\n"
    with Waypost(text) as w:
        for _ in range(10):
            assert get(w, "health", "/health") == (200, b"OK")


def test_health_and_ready_on_one_address():
    text = ".:{dns} {\n    health localhost:{health}\n    ready localhost:{health}\n    local\n}\n"
    with Waypost(text) as w:
        for _ in range(10):
            assert get(w, "health", "/health") == (200, b"OK")
            assert get(w, "health", "/ready") == (200, b"OK")


def test_health_address_that_cannot_be_had():
    with Waypost(".:{dns} {\n    health 192.0.2.1:{xhealth}\n    local\n}\n", wait=False) as w:
        assert w.wait() == 1
        w.says(f"listen tcp 192.0.2.1:{w.port['xhealth']}: bind: cannot assign requested address")


def test_port_of_another_process():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        text = ".:{dns} {\n    health 127.0.0.1:{xhealth}\n    local\n}\n"
        with Waypost(text, wait=False, ports={"xhealth": s.getsockname()[1]}) as w:
            assert w.wait() == 1
            w.says("bind: address already in use")


def test_lameduck():
    text = ".:{dns} {\n    health localhost:{health} {\n        lameduck 700ms\n    }\n    ready localhost:{ready}\n    local\n}\n"
    with Waypost(text) as w:
        t0 = time.monotonic()
        w.kill(signal.SIGTERM)
        wait_for(lambda: "[INFO] plugin/health: Going into lameduck mode for 700ms\n" in w.output())
        wait_for(lambda: not accepts(w.port["ready"]))  # ready closes at once
        assert get(w, "health", "/health") == (200, b"OK")
        assert wire.rcode(wire.udp(w.port["dns"], wire.query("localhost"))) == 0
        assert w.wait() == 0
        assert 0.7 <= time.monotonic() - t0 < 3


def test_no_lameduck_at_reload():
    text = ".:{dns} {\n    health localhost:{health} {\n        lameduck 1h\n    }\n    local\n}\n"
    with Waypost(text) as w:
        w.kill(signal.SIGUSR1)
        wait_for(lambda: "Reloading complete" in w.output())
        assert "lameduck" not in w.output()
        w.write(text.replace("lameduck 1h", "lameduck 1ms"))
        w.kill(signal.SIGUSR1)
        wait_for(lambda: w.output().count("Reloading complete") == 2)


def test_pages_stay_during_reload_and_move_with_the_address():
    text = ".:{dns} {\n    health localhost:{PORT}\n    ready localhost:{ready}\n    local\n}\n"
    with Waypost(text.replace("PORT", "health")) as w:
        for n in range(1, 6):
            w.kill(signal.SIGUSR1)
            while w.output().count("Reloading complete") < n:
                assert get(w, "health", "/health") == (200, b"OK")
                assert get(w, "ready", "/ready") == (200, b"OK")
        old = w.port["health"]
        w.write(text.replace("PORT", "moved"))
        w.kill(signal.SIGUSR1)
        wait_for(lambda: accepts(w.port["moved"]))
        wait_for(lambda: not accepts(old))


def test_ready_without_reporters():
    with Waypost(".:{dns} {\n    ready localhost:{ready}\n    local\n}\n") as w:
        assert get(w, "ready", "/ready") == (200, b"OK")
        assert get(w, "ready", "/") [0] == 404


def test_ready_address_that_cannot_be_had_is_passed_over():
    with Waypost(".:{dns} {\n    ready 192.0.2.1:{xready}\n    local\n}\n") as w:
        assert wire.rcode(wire.udp(w.port["dns"], wire.query("localhost"))) == 0
        assert "ready" not in w.output()


def test_a_backend_that_has_no_data_yet():
    text = ".:{dns} {\n    ready localhost:{ready}\n    etcd example.org {\n        endpoint http://127.0.0.1:{xetcd}\n    }\n    local\n}\n"
    with Waypost(text) as w:
        assert get(w, "ready", "/ready") == (503, b"etcd")
        wait_for(lambda: '[INFO] plugin/ready: Plugins not ready: "etcd"\n' in w.output())
