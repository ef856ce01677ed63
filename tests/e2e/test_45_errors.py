"""errors: lines for questions that met an error, and their sums."""
import json
import signal

import pytest
import wire
from server import Waypost, wait_for

NO_NEXT = "plugin/errors: no next plugin found"


def conf(body=""):
    return ".:{dns} {\n    errors" + (" {\n" + body + "\n    }" if body else "") + "\n}\n"


def ask(w, n=1, name="a.example"):
    for _ in range(n):
        r = wire.udp(w.port["dns"], wire.query(name))
        assert wire.rcode(r) == 2


def lines(w):
    return [x for x in w.output().splitlines() if "plugin/errors: " in x]


def test_line():
    with Waypost(conf()) as w:
        ask(w, name="A.Example")
        assert wait_for(lambda: lines(w)) == [f"[ERROR] plugin/errors: 2 a.example. A: {NO_NEXT}"]


def test_json_line():
    with Waypost(conf(), args=["-log-format=json"]) as w:
        ask(w)
        wait_for(lambda: "no next" in w.output())
        r = [json.loads(x) for x in w.output().splitlines() if "no next" in x][0]
        assert list(r) == ["time", "level", "msg", "plugin"]
        assert (r["level"], r["msg"], r["plugin"]) == ("ERROR", f"2 a.example. A: {NO_NEXT}", "errors")


# the option, how many errors, the lines that must come (in order) within the period and after it
SUMS = [
    ("plain", "consolidate 300ms no.next", 3, [], ["[ERROR] plugin/errors: 3 errors like 'no.next' occurred in last 300ms"]),
    ("level", "consolidate 300ms found$ warning", 1, [], ["[WARNING] plugin/errors: 1 errors like 'found$' occurred in last 300ms"]),
    ("info", "consolidate 300ms found$ info", 2, [], ["[INFO] plugin/errors: 2 errors like 'found$' occurred in last 300ms"]),
    ("debug is not shown", "consolidate 100ms found$ debug", 2, [], []),
    ("show_first", "consolidate 300ms found$ warning show_first", 3, [f"[WARNING] plugin/errors: 2 a.example. A: {NO_NEXT}"],
     ["[WARNING] plugin/errors: 3 errors like 'found$' occurred in last 300ms"]),
    ("show_first, one only", "consolidate 100ms found$ show_first", 1, [f"[ERROR] plugin/errors: 2 a.example. A: {NO_NEXT}"], []),
    ("first pattern that matches", "consolidate 1h nothing\nconsolidate 200ms no\nconsolidate 200ms next", 2, [],
     ["[ERROR] plugin/errors: 2 errors like 'no' occurred in last 200ms"]),
    ("none matches", "consolidate 1h nothing", 2, [f"[ERROR] plugin/errors: 2 a.example. A: {NO_NEXT}"] * 2, []),
]


@pytest.mark.parametrize("option, n, first, after", [s[1:] for s in SUMS], ids=[s[0] for s in SUMS])
def test_consolidate(option, n, first, after):
    with Waypost(conf(option)) as w:
        ask(w, n)
        wait_for(lambda: len(lines(w)) >= len(first + after))
        assert lines(w) == first + after
        w.stop()
        assert lines(w) == first + after  # nothing is told twice


def test_a_new_period_begins_with_the_next_error():
    with Waypost(conf("consolidate 100ms found$")) as w:
        for n in (1, 2):
            ask(w)
            wait_for(lambda: len(lines(w)) == n)
        assert lines(w) == ["[ERROR] plugin/errors: 1 errors like 'found$' occurred in last 100ms"] * 2


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_sums_are_told_at_shutdown(sig):
    with Waypost(conf("consolidate 1h found$")) as w:
        ask(w, 4)
        w.kill(sig)
        w.wait()
        assert lines(w) == ["[ERROR] plugin/errors: 4 errors like 'found$' occurred in last 1h0m0s"]


def test_sums_are_told_at_reload():
    with Waypost(conf("consolidate 1h found$")) as w:
        ask(w, 2)
        w.write(conf())
        w.kill(signal.SIGUSR1)
        wait_for(lambda: lines(w))
        assert lines(w) == ["[ERROR] plugin/errors: 2 errors like 'found$' occurred in last 1h0m0s"]
