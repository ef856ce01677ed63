"""loop: a real circle ends the process, a client that knows the name does not."""
import os
import signal
import sys
import time

import pytest
import wire
from server import Waypost, free_port, wait_for

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../fake"))
from resolver import Resolver, address  # noqa: E402

SEE = 'see https://coredns.io/plugins/loop#troubleshooting. Query: "HINFO '


def ends(w):
    code = w.wait(10)
    assert code == 1, w.output()
    return wait_for(lambda: [line for line in w.output().splitlines() if "[FATAL]" in line])[0]


@pytest.mark.parametrize("workers", ["1", "4"])
@pytest.mark.parametrize("option", ["", "force_tcp", "policy sequential"])
def test_to_itself(workers, option):  # 002-19
    with Waypost(".:{dns} {\n loop\n forward . 127.0.0.1:{dns} {\n%s\n}\n}\n" % option, wait=False, env={"WAYPOST_WORKERS": workers}) as w:
        line = ends(w)
        assert line.startswith("[FATAL] plugin/loop: Loop (127.0.0.1:")
        assert f' -> :{w.port["dns"]}) detected for zone ".", {SEE}' in line


def test_over_another_server_and_below_a_zone():
    b = free_port()
    with Waypost(".:%d {\n forward . 127.0.0.1:{xback}\n}\n" % b, ports={"xback": free_port()}) as other, \
            Waypost("example.org:{dns} .:{dns} {\n bind 127.0.0.1\n loop\n forward . 127.0.0.1:%d\n}\n" % b, wait=False,
                    ports={"dns": other.port["xback"]}) as w:
        line = ends(w)
        assert f' -> 127.0.0.1:{w.port["dns"]}) detected for zone "example.org.", {SEE}' in line and '.example.org."' in line


def test_no_loop():
    with Resolver() as up, Waypost(f".:{{dns}} {{\n loop\n forward . 127.0.0.1:{up.port}\n}}\n") as w:
        q = wait_for(lambda: up.asked)[0]
        assert q.type == 13 and all(label.isdigit() and int(label) < 1 << 62 for label in q.name.rstrip(".").split("."))
        time.sleep(1.5)
        assert len(up.asked) == 1 and w.alive()
        for _ in range(5):  # it is off now: its name means nothing
            wire.udp(w.port["dns"], wire.query(q.name, "HINFO"))
        assert w.alive()


def test_client_that_knows_the_name():  # CVE-2026-26018
    def on(q):
        return [(1.0, q.reply(address()))]
    with Resolver(on) as up, Waypost(f".:{{dns}} {{\n loop\n forward . 127.0.0.1:{up.port}\n}}\n") as w:
        name = wait_for(lambda: up.names(13))[0]
        for i in range(50):
            wire.udp(w.port["dns"], wire.query(name, "HINFO", qid=i), timeout=0.001)
        wait_for(lambda: "no loop" in w.output(), 10)
        assert len(set(up.names(13))) == 2  # the first and the one that confirms
        assert wire.udp(w.port["dns"], wire.query("www.example"), timeout=3) is not None and w.alive()


def test_every_reload_probes_again():
    with Resolver() as up, Waypost(f".:{{dns}} {{\n loop\n forward . 127.0.0.1:{up.port}\n}}\n") as w:
        wait_for(lambda: len(up.names(13)) == 1)
        w.kill(signal.SIGUSR1)
        wait_for(lambda: "Reloading complete" in w.output())
        wait_for(lambda: len(set(up.names(13))) == 2, 5)
        w.write(".:{dns} {\n loop\n forward . 127.0.0.1:{dns}\n}\n")  # a loop that comes with the reload
        w.kill(signal.SIGUSR1)
        assert "detected for zone" in ends(w)


def test_errors():
    for body, want in (("loop x", "Wrong argument count or unexpected line ending after 'x'"),
                       ("loop\nloop", "plugin/loop: this plugin can only be used once per Server Block"),
                       ("loop {\na\n}", "Unexpected token '{', expecting argument")):
        with Waypost(".:{dns} {\n%s\n}\n" % body, wait=False) as w:
            assert w.wait(5) == 1 and want in w.output()
