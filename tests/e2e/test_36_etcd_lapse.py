"""Leases that end while etcd is away: the name goes within a second, also from the cache, names without a
lease stay, what was renewed comes back; and while etcd is there nothing goes by the gateway's clock."""
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import dns.rcode
import etcd
import etcd_rows
import pytest
import wire
from server import TOP, Waypost, wait_for
from test_33_etcd_faults import metric

sys.path.insert(0, os.path.join(TOP, "tests/fake"))
from proxy import Proxy  # noqa: E402

LEASE = 3
SLACK = 0.6  # of a loaded machine
CONF = """.:{dns} {
    prometheus 127.0.0.1:{metrics}
    etcd way.test {
        endpoint %(url)s
        min-lease-ttl 1s
    }
}
.:{cached} {
    cache 30
    etcd way.test {
        endpoint %(url)s
        lapsed drop
        min-lease-ttl 1s
    }
}
.:{kept} {
    etcd way.test {
        endpoint %(url)s/
        lapsed keep
    }
}
"""


def ask(w, name, port="dns"):
    """(rcode, addresses, least TTL)"""
    reply = wire.udp(w.port[port], wire.query(name, "A", qid=5), timeout=5)
    assert reply is not None, "a question was lost"
    m = etcd_rows.parse(reply)
    return dns.rcode.to_text(m.rcode()), [r[0].to_text() for r in m.answer], min([r.ttl for r in m.answer], default=0)


def rcodes(w, name, ports=("dns", "cached")):
    return {ask(w, name, p)[0] for p in ports}


starting = threading.Lock()  # free ports are found one after the other


class Leased:
    """A member, a gateway that reaches it through a proxy, a name without and one with a lease."""

    def __init__(self):
        with starting:
            self.member = etcd.Member().start()
            self.proxy = Proxy(self.member.client_port)
            self.w = Waypost(CONF % {"url": f"http://127.0.0.1:{self.proxy.port}"})
        wait_for(lambda: self.w.output().count("watching") == 2)  # one mirror for each kind of `lapsed`
        self.client = self.member.client
        self.client.put("/skydns/test/way/x/1", '{"host":"192.0.2.1"}')
        self.granted = time.monotonic()
        self.lease = self.client.grant(LEASE)
        self.client.put("/skydns/test/way/l/1", '{"host":"192.0.2.2"}', self.lease)
        self.client.put("/skydns/test/way/l/2", '{"host":"192.0.2.3"}', self.lease)
        wait_for(lambda: rcodes(self.w, "l.way.test", ("dns", "cached", "kept")) == {"NOERROR"})
        self.wait_known("l.way.test")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.w.__exit__(*exc)
        self.proxy.stop()
        self.member.close()

    def wait_known(self, name):
        """What is left is: before, the least is said."""
        wait_for(lambda: ask(self.w, name)[2] > 1)

    def gone(self):
        """When it is, on both ports; x is answered all the while."""
        while True:
            r = rcodes(self.w, "l.way.test")
            t = time.monotonic()
            assert rcodes(self.w, "x.way.test", ("dns", "cached", "kept")) == {"NOERROR"}
            if r == {"NXDOMAIN"}:
                return t
            assert t < self.granted + LEASE + 10
            time.sleep(0.02)

    def renew(self, pause, also=lambda: None):
        """In the background, until the block ends."""
        return Renewed(self, pause, also)


class Renewed(threading.Thread):
    def __init__(self, s, pause, also):
        super().__init__()
        self.s, self.pause, self.also, self.over = s, pause, also, threading.Event()

    def run(self):
        while not self.over.is_set():
            self.s.client.keep_alive(self.s.lease)
            self.also()
            self.over.wait(self.pause)

    def __enter__(self):
        self.start()

    def __exit__(self, *exc):
        self.over.set()
        self.join()


def cut(s):
    s.proxy.cut()


def hole(s):
    s.proxy.hole = True


def stop(s):
    s.member.signal(signal.SIGSTOP)


def kill(s):
    s.member.kill()


WAYS = {"connections are refused": cut, "packets vanish": hole, "the member is stopped": stop, "the member is killed": kill}


def goes_on_time(way):
    with Leased() as s:
        time.sleep(1)
        WAYS[way](s)
        gone = s.gone() - s.granted
        assert LEASE <= gone <= LEASE + 1 + SLACK, gone
        assert metric(s.w, "waypost_etcd_lapsed_keys") == 2
        assert metric(s.w, "coredns_etcd_keys") == 6
        assert ask(s.w, "l.way.test", "kept") == ("NOERROR", ["192.0.2.2", "192.0.2.3"], 30)
        wait_for(lambda: "2 keys are not answered any more: their lease has ended and etcd is away" in s.w.output())
        if way == "the member is stopped":
            s.member.signal(signal.SIGCONT)


def comes_back(way):
    """Renewed elsewhere: out of sight while we are cut off, then back; what was not renewed is gone for good."""
    with Leased() as s:
        other = s.client.grant(LEASE)
        s.client.put("/skydns/test/way/o/1", '{"host":"192.0.2.4"}', other)
        wait_for(lambda: rcodes(s.w, "o.way.test") == {"NOERROR"})
        s.wait_known("o.way.test")
        WAYS[way](s)
        bad = []
        with s.renew(0.1):
            wait_for(lambda: rcodes(s.w, "l.way.test") | rcodes(s.w, "o.way.test") == {"NXDOMAIN"})
            wait_for(lambda: not s.client.get("/skydns/test/way/o/1"))
        with s.renew(0.05, lambda: bad.extend(rcodes(s.w, "o.way.test") - {"NXDOMAIN"})):
            s.proxy.mend()
            wait_for(lambda: rcodes(s.w, "l.way.test") == {"NOERROR"}, 20)
            wait_for(lambda: metric(s.w, "coredns_etcd_keys") == 6)  # x and two of l, twice
            assert metric(s.w, "waypost_etcd_lapsed_keys") == 0
            assert rcodes(s.w, "o.way.test", ("dns", "cached", "kept")) == {"NXDOMAIN"}
        assert not bad
        wait_for(lambda: "2 keys are answered again: their lease was renewed" in s.w.output())


def never_a_gap(_):
    """A short lease that is kept alive, late each time."""
    with Leased() as s, s.renew(1.7):
        end = time.monotonic() + 8
        while time.monotonic() < end:
            assert rcodes(s.w, "l.way.test") == {"NOERROR"}
            time.sleep(0.01)
        assert "not answered any more" not in s.w.output()


def never_a_gap_when_it_was_stopped(_):
    """The gateway itself was, for longer than the lease."""
    with Leased() as s, s.renew(1.7):
        for pause in (3.2, 4.1):
            os.kill(s.w.pid, signal.SIGSTOP)
            time.sleep(pause)
            os.kill(s.w.pid, signal.SIGCONT)
            end = time.monotonic() + 1
            while time.monotonic() < end:
                assert rcodes(s.w, "l.way.test") == {"NOERROR"}
        assert "not answered any more" not in s.w.output()


def etcd_says_so(_):
    with Leased() as s:
        assert s.gone() - s.granted <= LEASE + 1 + SLACK
        assert "not answered any more" not in s.w.output() and metric(s.w, "waypost_etcd_lapsed_keys") == 0


CASES = {f"{fn.__name__}: {way}": (fn, way) for fn, way in
         [(goes_on_time, way) for way in WAYS] +
         [(comes_back, "connections are refused"), (comes_back, "packets vanish"), (never_a_gap, "connected"),
          (never_a_gap_when_it_was_stopped, "connected"), (etcd_says_so, "connected")]}


@pytest.fixture(scope="module")
def runs():
    """All at once: they wait most of the time."""
    with ThreadPoolExecutor(len(CASES)) as pool:
        yield {case: pool.submit(fn, way) for case, (fn, way) in CASES.items()}


@pytest.mark.parametrize("case", CASES)
def test_lapse(runs, case):
    runs[case].result()


@pytest.mark.parametrize("line", ["lapsed", "lapsed never", "lapsed keep drop"])
def test_bad_lines(tmp_path, line):
    import subprocess

    from server import WAYPOST
    conf = tmp_path / "Corefile"
    conf.write_text(".:53 {\n etcd way.test {\n %s\n }\n}\n" % line)
    p = subprocess.run([WAYPOST, "check", "-conf", str(conf)], capture_output=True, text=True, timeout=10)
    assert p.returncode != 0 and "lapsed" in p.stdout + p.stderr
