"""Start, signals, reload: the process as its operator meets it."""
import os
import signal
import time

import pytest
import wire
from server import Waypost, wait_for

LOCAL = ".:{dns} {\n    local\n}\n"


def ask(w):
    r = wire.udp(w.port["dns"], wire.query("localhost", qid=7))
    return r is not None and wire.rcode(r) == 0 and r[-4:] == bytes([127, 0, 0, 1])


def test_answers_on_udp_and_tcp():
    with Waypost(LOCAL) as w:
        assert ask(w)
        r = wire.tcp(w.port["dns"], wire.query("localhost"))
        assert r[-4:] == bytes([127, 0, 0, 1])


@pytest.mark.parametrize("sig, code", [(signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGQUIT, 0)])
def test_signal_ends_it(sig, code):
    with Waypost(LOCAL) as w:
        t0 = time.monotonic()
        w.kill(sig)
        assert w.wait() == code
        assert time.monotonic() - t0 < 2


@pytest.mark.parametrize("sig", [signal.SIGHUP, signal.SIGUSR1])
def test_reload_takes_the_new_file(sig):
    with Waypost(".:{dns} {\n    any\n}\n") as w:
        assert not ask(w)
        w.write(LOCAL)
        w.kill(sig)
        wait_for(lambda: "Reloading complete" in w.output())
        assert ask(w)


def test_reload_of_a_bad_file_changes_nothing():
    with Waypost(LOCAL) as w:
        w.write(".:{dns} {\n    nonsense\n}\n")
        w.kill(signal.SIGHUP)
        wait_for(lambda: "Restart failed" in w.output())
        w.says("Unknown directive 'nonsense'")
        w.says("Corefile:2")
        assert ask(w)


def test_pidfile():
    with Waypost(LOCAL, args=["-pidfile", "pid"]) as w:
        assert wait_for(lambda: os.path.exists(w.path("pid")) and open(w.path("pid")).read()) == f"{w.pid}\n"
