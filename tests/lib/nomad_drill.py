"""A region of Nomad, a waypost over it, and somebody who asks all the time: nothing but right answers may come.

    with Drill(agents=2) as d:
        with d.watch("web.default"):
            d.region.agents[0].stop()
            d.seen("later")          # a change is visible, by whichever way
"""
import re
import threading
import time
import urllib.request

import nomads
from server import wait_for

WEB = ["10.1.0.1", "10.1.0.2"]
STALE_S = 30
MARK = 3  # EDE: stale answer


class Watcher(threading.Thread):
    """Asks again and again; every answer must be one of `allowed`: (rcode, addresses)."""

    def __init__(self, w, name, *allowed, pause=0.02):
        super().__init__(daemon=True)
        self.w, self.name_, self.allowed, self.pause = w, name, allowed, pause
        self.bad, self.n, self.over = [], 0, threading.Event()

    def run(self):
        while not self.over.is_set():
            got = nomads.answer(self.w, self.name_, timeout=20)
            got = got and (got.rcode, [r.split()[-1] for r in got.answer])
            self.n += 1
            if got not in self.allowed:
                self.bad.append(got)
            self.over.wait(self.pause)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        if exc[0] is None:
            wait_for(lambda: self.n > 5, 60)
        self.over.set()
        self.join(60)
        if exc[0] is None:
            assert not self.bad, self.bad[:5]


class Drill:
    """options, directive...: as of nomads.gateway; `agents` and the rest: as of Nomad."""

    def __init__(self, options="", gateway=None, known=True, region=None, **args):
        self.region = region or nomads.region(**args)
        self.options, self.gateway, self.known, self.n = options, gateway or {}, known, 0

    def __enter__(self):
        try:
            self.w = nomads.gateway(self.region, self.options, **self.gateway)
            if self.known:
                nomads.wait_answers(self.w, "web.default", WEB, seconds=30)
                wait_for(lambda: self.metric("coredns_nomad_synced") == 1 and self.metric("waypost_nomad_behind_seconds") == 0, 30)
        except BaseException:
            self.region.close()
            raise
        return self

    def __exit__(self, *exc):
        try:
            self.w.__exit__(*exc)
        finally:
            self.region.close()

    def ask(self, name="web.default", qtype="A", **args):
        return nomads.answer(self.w, name, qtype, timeout=20, **args)

    def addresses(self, name="web.default"):
        return nomads.addresses(self.w, name, timeout=20)

    def watch(self, name="web.default", want=("NOERROR", WEB), *more, **args):
        return Watcher(self.w, name, want, *more, **args)

    def metric(self, family, **labels):
        """The sum of a family's samples with these labels; None: there is none."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.w.port['metrics']}/metrics", timeout=20) as r:
            text = r.read().decode()
        found = [float(m[2]) for m in re.finditer(rf"^{family}(?:{{([^}}]*)}})? (\S+)$", text, re.M)
                 if all(f'{k}="{v}"' in (m[1] or "") for k, v in labels.items())]
        return sum(found) if found else None

    def said(self, *words):
        """A line of the log with all these words."""
        return any(all(x in line for x in words) for line in self.w.output().splitlines())

    def wait_said(self, *words, seconds=30):
        wait_for(lambda: self.said(*words), seconds)

    def seen(self, name=None, seconds=90):
        """A new service is answered; how long that took."""
        self.n += 1
        name = name or f"later-{self.n}"
        before = time.monotonic()
        self.region.register(name, "default", f"10.9.0.{self.n}", 80)
        wait_for(lambda: self.addresses(f"{name}.default") == [f"10.9.0.{self.n}"], seconds, step=0.02)
        return time.monotonic() - before

    def becomes_stale(self):
        """The same answers, before long with the mark of what is old."""
        assert self.ask().ede is None and self.addresses() == WEB
        wait_for(lambda: self.ask().ede == MARK, STALE_S + 60, step=0.2)
        assert self.addresses() == WEB and self.metric("coredns_nomad_stale_answers_total") >= 1
        assert self.metric("waypost_nomad_behind_seconds") >= STALE_S

    def is_well(self):
        """Changes are seen and nothing is old."""
        self.seen()
        wait_for(lambda: self.ask().ede is None and self.metric("waypost_nomad_behind_seconds") == 0, 60, step=0.1)
        assert self.addresses() == WEB

    def requests(self, seconds, **args):
        """How many requests came in so much time."""
        before = len(self.region.asked(**args))
        time.sleep(seconds)
        return len(self.region.asked(**args)) - before
