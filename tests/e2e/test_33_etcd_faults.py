"""etcd: what may go wrong (rows F01-F42, E194-E199): no wrong answer, no lost question."""
import functools
import os
import signal
import sys
import threading
import time
import urllib.request

import dns.rcode
import etcd
import etcd_rows
import pytest
import wire
from cluster import connected
from server import TOP, Waypost, free_port, wait_for

sys.path.insert(0, os.path.join(TOP, "tests/fake"))
from proxy import Proxy  # noqa: E402

GOOD = '{"host":"192.0.2.%d","port":80}'


def corefile(endpoints, extra="", zone="way.test", more=""):
    return """.:{dns} {
    prometheus 127.0.0.1:{metrics}
    errors
    etcd %s {
        endpoint %s
        %s
    }
    whoami
}
%s""" % (zone, endpoints, extra, more)


def metrics(w):
    with urllib.request.urlopen(f"http://127.0.0.1:{w.port['metrics']}/metrics", timeout=5) as r:
        return r.read().decode()


def metric(w, name, default=None, **labels):
    return etcd_rows.metric(metrics(w), name, default, **labels)


def ask(w, name, rtype="A"):
    """(rcode, addresses or data, EDE codes)."""
    q = wire.query(name, rtype, qid=9, extra=wire.opt())
    reply = wire.udp(w.port["dns"], q, timeout=3)
    assert reply is not None, "a question was lost"
    m = etcd_rows.parse(reply)
    return dns.rcode.to_text(m.rcode()), [r.split(" ", 3)[3] for r in etcd_rows.section(m.answer)], \
        [int(o.code) for o in m.options if int(o.otype) == 15]


def a(w, name):
    return ask(w, name)[:2]


def synced(w):
    wait_for(lambda: "watching" in w.output())
    return w


def once(fn):
    """A scenario that proves several rows runs once."""
    done = []

    @functools.wraps(fn)
    def run(*args, **kw):
        if not done:
            fn(*args, **kw)
            done.append(True)
    return run


class Watcher(threading.Thread):
    """Asks every few milliseconds; every answer must be one of the allowed ones."""

    def __init__(self, w, name, allowed, rtype="A", pause=0.005):
        super().__init__(daemon=True)
        self.w, self.name_, self.allowed, self.rtype, self.pause = w, name, allowed, rtype, pause
        self.bad, self.n, self.slow, self.over = [], 0, 0.0, False

    def run(self):
        while not self.over:
            t0 = time.monotonic()
            try:
                r = ask(self.w, self.name_, self.rtype)[:2]
            except AssertionError as e:
                r = str(e)
            self.slow = max(self.slow, time.monotonic() - t0)
            self.n += 1
            if not self.allowed(r):
                self.bad.append(r)
            time.sleep(self.pause)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        if exc[0] is None:
            wait_for(lambda: self.n > 10)
        self.over = True
        self.join()
        if exc[0] is None:
            assert not self.bad, self.bad[:5]


def always(value):
    return lambda r: r == value


# --- start ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("_", ["E198", "F01", "F02"])
@once
def test_start_without_etcd(_):
    m = etcd.Member()
    try:
        t0 = time.monotonic()
        with Waypost(corefile(m.url)) as w:
            assert time.monotonic() - t0 < 3
            t0 = time.monotonic()
            rcode, data, ede = ask(w, "x.way.test")
            assert time.monotonic() - t0 < 0.05
            assert (rcode, data, ede) == ("SERVFAIL", [], [14])
            reply = etcd_rows.parse(wire.udp(w.port["dns"], wire.query("x.way.test")))
            assert [r.split(" ")[0] for r in etcd_rows.section(reply.authority)] == ["way.test."]
            assert ask(w, "elsewhere.test")[0] == "NOERROR"  # whoami: other zones are not touched
            assert ask(w, "way.test", "SOA")[0] == "NOERROR"
            assert metric(w, "coredns_etcd_synced") == 0
            w.says("plugin/etcd: http://127.0.0.1:", "UNAVAILABLE")
            m.start()
            m.client.put("/skydns/test/way/x", GOOD % 1)
            wait_for(lambda: a(w, "x.way.test") == ("NOERROR", ["192.0.2.1"]), 8)
            wait_for(lambda: metric(w, "coredns_etcd_synced") == 1)
            assert metric(w, "coredns_etcd_reloads_total", reason="start") == 1
    finally:
        m.close()


@pytest.mark.parametrize("_", ["F32"])
def test_unresolvable_endpoint_beside_a_good_one(_):
    with etcd.Member() as m:
        m.client.put("/skydns/test/way/x", GOOD % 1)
        for order in ((m.url, "http://no-such-host.invalid:2379"), ("http://no-such-host.invalid:2379", m.url)):
            with Waypost(corefile(" ".join(order))) as w:
                wait_for(lambda: a(w, "x.way.test") == ("NOERROR", ["192.0.2.1"]), 15)


def test_ready_after_the_first_load():
    m = etcd.Member()
    try:
        with Waypost(corefile(m.url, more=".:{other} {\n ready 127.0.0.1:{ready}\n etcd way.test {\n endpoint %s\n }\n}\n" % m.url)) as w:
            def status():
                try:
                    return urllib.request.urlopen(f"http://127.0.0.1:{w.port['ready']}/ready", timeout=3).status
                except urllib.error.HTTPError as e:
                    return e.code
            assert status() == 503
            m.start()
            wait_for(lambda: status() == 200, 10)
            m.stop()
            time.sleep(0.5)
            assert status() == 200  # never back
    finally:
        m.close()


def test_ready_after_a_while():
    """Data that never comes: other zones need not wait for it."""
    conf = ".:{dns} {\n ready 127.0.0.1:{ready}\n etcd way.test {\n endpoint http://127.0.0.1:%d\n ready-after %s\n }\n}\n"

    def status(w):
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{w.port['ready']}/ready", timeout=3).status
        except urllib.error.HTTPError as e:
            return e.code
    t0 = time.monotonic()
    with Waypost(conf % (free_port(), "3s")) as w:
        first = status(w)
        assert first == 503 or time.monotonic() - t0 > 3
        wait_for(lambda: status(w) == 200, 10)
    with Waypost(conf % (free_port(), "0")) as w:
        assert status(w) == 200


# --- away and back --------------------------------------------------------------------------------


@pytest.mark.parametrize("_", ["E195", "F03"])
@once
def test_all_members_die(_):
    with etcd.Member() as m:
        m.client.put("/skydns/test/way/x/1", GOOD % 1)
        m.client.put("/skydns/test/way/l/1", GOOD % 2, m.client.grant(20))
        with synced(Waypost(corefile(m.url))) as w:
            wait_for(lambda: a(w, "l.way.test")[0] == "NOERROR")
            m.kill()
            with Watcher(w, "x.way.test", always(("NOERROR", ["192.0.2.1"])), pause=0.05) as watch:
                wait_for(lambda: metric(w, "coredns_etcd_synced") == 0)
                assert ask(w, "x.way.test")[2] == []
                assert ask(w, "gone.way.test") == ("NXDOMAIN", [], [])
                wait_for(lambda: ask(w, "x.way.test")[2] == [3], 45, step=0.5)
                assert ask(w, "gone.way.test")[2] == [19]
                assert ask(w, "l.way.test") == ("NXDOMAIN", [], [19])  # its lease has ended meanwhile
                w.says("out of step for 30 s")
                assert metric(w, "coredns_etcd_stale_answers_total", 0) > 0
            assert watch.slow < 0.5
            m.start()
            wait_for(lambda: ask(w, "x.way.test")[2] == [], 12)
            assert metric(w, "coredns_etcd_reconnects_total") == 1
            wait_for(lambda: w.output().count("watching") == 1 and "in step again" in w.output())


@pytest.mark.parametrize("_", ["E197", "F04", "000-22"])
@once
def test_connected_member_is_killed(_):
    with etcd.Cluster() as cluster:
        c = cluster.members[0].client
        c.put("/skydns/test/way/x/1", GOOD % 1)
        with synced(Waypost(corefile(cluster.urls))) as w:
            for round in range(3):
                victim = connected(w, cluster.members)
                other = next(m for m in cluster.members if m is not victim)
                with Watcher(w, "x.way.test", always(("NOERROR", ["192.0.2.1"]))):
                    victim.kill()
                    wait_for(lambda: put_somewhere(other, f"/skydns/test/way/r{round}", GOOD % 7), 10)
                    t0 = time.monotonic()
                    wait_for(lambda: a(w, f"r{round}.way.test") == ("NOERROR", ["192.0.2.7"]), 10)
                    assert time.monotonic() - t0 < 5
                victim.start()
                wait_for(lambda: metric(w, "coredns_etcd_synced") == 1)
            assert metric(w, "coredns_etcd_reloads_total", reason="start") == 1


def put_somewhere(member, key, value):
    try:
        member.client.put(key, value)
        return True
    except etcd.Error:
        return False


@pytest.mark.parametrize("_", ["F05", "F06"])
@once
def test_connected_member_hangs(_):
    """SIGSTOP: the connection stays and says nothing."""
    with etcd.Cluster() as cluster:
        cluster.members[0].client.put("/skydns/test/way/x/1", GOOD % 1)
        with synced(Waypost(corefile(cluster.urls))) as w:
            victim = connected(w, cluster.members)
            other = next(m for m in cluster.members if m is not victim)
            with Watcher(w, "x.way.test", always(("NOERROR", ["192.0.2.1"])), pause=0.02):
                victim.signal(signal.SIGSTOP)
                try:
                    wait_for(lambda: put_somewhere(other, "/skydns/test/way/new", GOOD % 9), 20)
                    wait_for(lambda: a(w, "new.way.test") == ("NOERROR", ["192.0.2.9"]), 40, step=0.1)
                finally:
                    victim.signal(signal.SIGCONT)


@pytest.mark.parametrize("_", ["F06"])
def test_packets_vanish(_):
    """A connection that is open and dead is given up within 30 s, by keepalive."""
    with etcd.Member() as m, Proxy(m.client_port) as p:
        m.client.put("/skydns/test/way/x/1", GOOD % 1)
        with synced(Waypost(corefile(f"http://127.0.0.1:{p.port}"))) as w:
            p.hole = True
            wait_for(lambda: metric(w, "coredns_etcd_synced") == 0, 30, step=0.2)
            assert a(w, "x.way.test") == ("NOERROR", ["192.0.2.1"])
            p.cut()
            m.client.put("/skydns/test/way/y", GOOD % 2)
            p.mend()
            wait_for(lambda: a(w, "y.way.test") == ("NOERROR", ["192.0.2.2"]), 15)


@pytest.mark.parametrize("_", ["E194", "F08", "F09"])
@once
def test_history_is_compacted(_):
    """Missed changes that etcd has forgotten: listed again and compared."""
    with etcd.Member() as m, Proxy(m.client_port) as p:
        c = m.client
        c.load((f"/skydns/test/way/n{i}/1", GOOD % (i % 250)) for i in range(10000))
        with synced(Waypost(corefile(f"http://127.0.0.1:{p.port}"))) as w:
            assert metric(w, "coredns_etcd_keys") == 10000
            p.cut()
            wait_for(lambda: metric(w, "coredns_etcd_synced") == 0)
            for i in range(0, 10000, 100):
                c.delete(f"/skydns/test/way/n{i}/1")
                c.put(f"/skydns/test/way/n{i + 1}/1", GOOD % 251)
                c.put(f"/skydns/test/way/new{i}", GOOD % 252)
            c.compact(c.current_revision())
            assert a(w, "n0.way.test")[0] == "NOERROR"
            p.mend()
            wait_for(lambda: a(w, "new9900.way.test")[0] == "NOERROR", 15)
            wait_for(lambda: "100 added, 100 changed, 100 removed" in w.output())
            w.says("history compacted")
            assert metric(w, "coredns_etcd_reloads_total", reason="compacted") == 1
            for i in list(range(0, 10000, 100)) + list(range(1, 10000, 100)) + list(range(2, 200)):
                want = ("NXDOMAIN", []) if i % 100 == 0 else ("NOERROR", ["192.0.2.%d" % (251 if i % 100 == 1 else i % 250)])
                assert a(w, f"n{i}.way.test") == want, i
            # and it goes on from there
            c.put("/skydns/test/way/after", GOOD % 5)
            wait_for(lambda: a(w, "after.way.test") == ("NOERROR", ["192.0.2.5"]), 2)


@pytest.mark.parametrize("_", ["F16"])
def test_events_missed_meanwhile_are_replayed(_):
    """Catching up in fragments, large values, one answer at each time."""
    with etcd.Member() as m, Proxy(m.client_port) as p:
        c = m.client
        c.put("/skydns/test/way/x", GOOD % 1)
        with synced(Waypost(corefile(f"http://127.0.0.1:{p.port}"))) as w:
            p.cut()
            wait_for(lambda: metric(w, "coredns_etcd_synced") == 0)
            for i in range(300):
                c.put(f"/skydns/test/way/big/{i}", '{"text":"%s%d"}' % ("y" * 30000, i))
            p.mend()
            wait_for(lambda: metric(w, "coredns_etcd_keys") == 301, 15)
            assert "compacted" not in w.output()
            assert metric(w, "coredns_etcd_watch_events_total", type="put") == 300


# --- another data set --------------------------------------------------------------------------------


def restart_wiped(m, keys, args=None):
    m.stop()
    m.wipe()
    if args is not None:
        m.args = args
    m.start()
    for k, v in keys:
        m.client.put(k, v)


@pytest.mark.parametrize("_", ["E196", "F11"])
@once
def test_wiped(_):
    """The same cluster id, an empty store: the old data is held."""
    with etcd.Member() as m:
        for i in range(50):
            m.client.put(f"/skydns/test/way/x/{i}", GOOD % i)
        with synced(Waypost(corefile(m.url))) as w:
            before = a(w, "x.way.test")
            assert len(before[1]) == 50
            with Watcher(w, "x.way.test", always(before), pause=0.01):
                restart_wiped(m, [])
                wait_for(lambda: metric(w, "coredns_etcd_held_snapshot") == 1, 15)
                wait_for(lambda: metric(w, "coredns_etcd_synced") == 1, 15)
                m.client.put("/skydns/test/way/x/1", GOOD % 99)  # still less than a tenth
                time.sleep(0.3)
            w.says("went back in time", "the old data is served for 300 more seconds")
            for i in range(10):  # the data comes back: nothing is held any more
                m.client.put(f"/skydns/test/way/x/{i}", GOOD % (100 + i))
            wait_for(lambda: len(a(w, "x.way.test")[1]) == 10, 5)
            assert metric(w, "coredns_etcd_held_snapshot") == 0
            assert metric(w, "coredns_etcd_reloads_total", reason="revision_back") == 1


@pytest.mark.parametrize("_", ["F13"])
def test_restored_from_an_older_state(_):
    with etcd.Member() as m:
        for i in range(30):
            m.client.put(f"/skydns/test/way/k{i}", GOOD % i)
        with synced(Waypost(corefile(m.url))) as w:
            restart_wiped(m, [(f"/skydns/test/way/k{i}", GOOD % (i + 100)) for i in range(20)])
            wait_for(lambda: a(w, "k3.way.test") == ("NOERROR", ["192.0.2.103"]), 15)
            wait_for(lambda: a(w, "k25.way.test") == ("NXDOMAIN", []), 15)
            assert metric(w, "coredns_etcd_held_snapshot") == 0
            m.client.put("/skydns/test/way/k25", GOOD % 7)
            wait_for(lambda: a(w, "k25.way.test") == ("NOERROR", ["192.0.2.7"]), 3)


@pytest.mark.parametrize("_", ["F12"])
def test_another_cluster(_):
    with etcd.Member() as m:
        for i in range(30):
            m.client.put(f"/skydns/test/way/k{i}", GOOD % i)
        with synced(Waypost(corefile(m.url))) as w:
            restart_wiped(m, [], ["--initial-cluster-token", "another"])
            for _ in range(4):  # beyond the old revision
                for i in range(20):
                    m.client.put(f"/skydns/test/way/k{i}", GOOD % (i + 100))
            wait_for(lambda: a(w, "k3.way.test") == ("NOERROR", ["192.0.2.103"]), 15)
            wait_for(lambda: a(w, "k25.way.test") == ("NXDOMAIN", []), 15)


@pytest.mark.parametrize("_", ["F14"])
def test_everything_is_deleted_on_purpose(_):
    with etcd.Member() as m:
        m.client.load((f"/skydns/test/way/k{i}", GOOD % (i % 250)) for i in range(5000))
        with synced(Waypost(corefile(m.url))) as w:
            assert a(w, "k77.way.test")[0] == "NOERROR"
            m.client.delete_prefix("/skydns/")
            wait_for(lambda: a(w, "k77.way.test") == ("NXDOMAIN", []), 2)
            wait_for(lambda: metric(w, "coredns_etcd_keys") == 0)


# --- many changes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("_", ["E199"])
def test_a_transaction_is_seen_whole(_):
    """Twelve records change together, again and again: no answer ever mixes two versions."""
    with etcd.Member(args=["--max-txn-ops", "1000"]) as m:
        def version(v, n=12):
            return [(f"/skydns/test/way/x/{i}", GOOD % v) for i in range(n)] + \
                [(f"/skydns/test/way/other/{i}", GOOD % v) for i in range(500)]

        m.client.txn(version(1))
        with synced(Waypost(corefile(m.url))) as w:
            # each key carries its own port, so that SRV shows every record: all targets, one address
            def whole(r):
                return r[0] == "NOERROR" and len(r[1]) == 1
            with Watcher(w, "x.way.test", whole, pause=0.0), Watcher(w, "other.way.test", whole, pause=0.0):
                for v in range(2, 120):
                    m.client.txn(version(v))
            wait_for(lambda: a(w, "x.way.test") == ("NOERROR", ["192.0.2.119"]), 2)


@pytest.mark.parametrize("_", ["F29"])
def test_the_end_of_a_lease_takes_all_its_keys_at_once(_):
    """Thousands of keys in one revision."""
    with etcd.Member() as m:
        c = m.client
        lease = c.grant(600)
        items = [(f"/skydns/test/way/many/{i}", '{"host":"192.0.2.%d"}' % (i % 2 + 1)) for i in range(4000)]
        for i in range(0, len(items), 100):
            ops = b"".join(etcd.field(2, etcd.field(2, etcd.put_request(k, v, lease))) for k, v in items[i:i + 100])
            c.call("KV/Txn", ops)
        with synced(Waypost(corefile(m.url))) as w:
            both, none = ("NOERROR", ["192.0.2.1", "192.0.2.2"]), ("NXDOMAIN", [])
            assert a(w, "many.way.test") == both
            with Watcher(w, "many.way.test", lambda r: r in (both, none), pause=0.0):
                c.revoke(lease)
                wait_for(lambda: a(w, "many.way.test") == none, 2)
                time.sleep(0.2)
            assert a(w, "many.way.test") == none


@pytest.mark.parametrize("_", ["E190"])
def test_latency_is_that_of_the_event(_):
    """A put is seen in well under a second; the figures are printed."""
    with etcd.Member() as m:
        with synced(Waypost(corefile(m.url))) as w:
            times = []
            for i in range(200):
                m.client.put("/skydns/test/way/x", GOOD % (i % 250))
                t0 = time.monotonic()
                while a(w, "x.way.test") != ("NOERROR", [f"192.0.2.{i % 250}"]):
                    assert time.monotonic() - t0 < 1
                times.append(time.monotonic() - t0)
            times.sort()
            print(f"put -> answer: p50 {times[100] * 1e3:.2f} ms, p99 {times[197] * 1e3:.2f} ms, max {times[-1] * 1e3:.2f} ms")
            assert times[197] < 0.5


# --- reload ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("_", ["F36"])
def test_reload_keeps_the_mirror(_):
    with etcd.Member() as m:
        m.client.load((f"/skydns/test/way/k{i}", GOOD % (i % 250)) for i in range(3000))
        with synced(Waypost(corefile(m.url))) as w:
            with Watcher(w, "k77.way.test", always(("NOERROR", ["192.0.2.77"])), pause=0.0):
                for i in range(10):
                    w.write(corefile(m.url, more=f"# {i}\n", extra=f"min-lease-ttl {i + 1}s"))
                    w.kill(signal.SIGUSR1)
                    wait_for(lambda: w.output().count("Reloading complete") == i + 1)
            wait_for(lambda: w.output().count("loaded 3000 keys") == 1 and w.output().count("watching") == 1)
            m.client.put("/skydns/test/way/after", GOOD % 3)
            wait_for(lambda: a(w, "after.way.test") == ("NOERROR", ["192.0.2.3"]), 2)


@pytest.mark.parametrize("_", ["F37"])
def test_reload_with_other_endpoints(_):
    """The old ones are followed until the new ones have given their data."""
    with etcd.Member() as old, etcd.Member() as new, Proxy(new.client_port) as p:
        old.client.put("/skydns/test/way/x", GOOD % 1)
        new.client.put("/skydns/test/way/x", GOOD % 2)
        url = f"http://127.0.0.1:{p.port}"
        p.cut()
        with synced(Waypost(corefile(old.url))) as w:
            with Watcher(w, "x.way.test", lambda r: r in (("NOERROR", ["192.0.2.1"]), ("NOERROR", ["192.0.2.2"]))):
                w.write(corefile(url))
                w.kill(signal.SIGUSR1)
                wait_for(lambda: f"plugin/etcd: {url}: " in w.output())
                old.client.put("/skydns/test/way/y", GOOD % 3)
                wait_for(lambda: a(w, "y.way.test") == ("NOERROR", ["192.0.2.3"]), 5)
                assert "Reloading complete" not in w.output()
                p.mend()
                wait_for(lambda: "Reloading complete" in w.output())
                wait_for(lambda: a(w, "x.way.test") == ("NOERROR", ["192.0.2.2"]), 5)
            assert a(w, "y.way.test") == ("NXDOMAIN", [])
            assert metric(w, "coredns_etcd_reloads_total", reason="config") == 1
            # the end is not held up
            w.write(corefile(f"http://127.0.0.1:{free_port()}"))
            w.kill(signal.SIGUSR1)
            wait_for(lambda: "connect: UNAVAILABLE" in w.output().split("Reloading complete")[1])
            t0 = time.monotonic()
            assert w.stop() == 0 and time.monotonic() - t0 < 10


def test_zones_come_and_go_with_reloads():
    with etcd.Member() as m:
        for z in ("one", "two", "three"):
            m.client.put(f"/skydns/test/{z}/x", GOOD % len(z))
        with synced(Waypost(corefile(m.url, zone="one.test"))) as w:
            for i, zone in enumerate(("one.test two.test", "two.test three.test", "one.test", "test", "one.test two.test three.test")):
                w.write(corefile(m.url, zone=zone))
                w.kill(signal.SIGUSR1)
                wait_for(lambda: w.output().count("Reloading complete") == i + 1)
                for z in zone.split():
                    names = [z] if z != "test" else ["one.test", "two.test", "three.test"]
                    for n in names:
                        wait_for(lambda: a(w, "x." + n) == ("NOERROR", ["192.0.2.%d" % (len(n) - 5)]), 5)
            m.client.put("/skydns/test/two/y", GOOD % 8)
            wait_for(lambda: a(w, "y.two.test") == ("NOERROR", ["192.0.2.8"]), 2)


def test_one_mirror_for_all_blocks():
    with etcd.Member() as m:
        m.client.put("/skydns/test/way/x", GOOD % 1)
        more = "".join(".:{p%s} {\n etcd way.test {\n endpoint %s\n }\n}\n" % (c, m.url) for c in "abc")
        with synced(Waypost(corefile(m.url, more=more))) as w:
            wait_for(lambda: w.output().count("loaded 1 keys") == 1)
            assert metrics(w).count("\ncoredns_etcd_synced{") == 4
            for port in ("dns", "pa", "pb", "pc"):
                r = etcd_rows.parse(wire.udp(w.port[port], wire.query("x.way.test")))
                assert r.answer[0][0].address == "192.0.2.1"


def test_memory_limit():
    """Beyond `max-memory` nothing is taken over: what was there stays, and becomes stale."""
    with etcd.Member() as m:
        m.client.put("/skydns/test/way/x", GOOD % 1)
        with synced(Waypost(corefile(m.url, "max-memory 2"))) as w:
            m.client.load(((f"/skydns/test/way/many/{i}", GOOD % (i % 250)) for i in range(30000)), 100)
            wait_for(lambda: "would be larger than max-memory" in w.output())
            w.says("the mirror takes 1 MB; at max-memory (2 MB)")
            assert a(w, "x.way.test") == ("NOERROR", ["192.0.2.1"])
            assert metric(w, "waypost_etcd_mirror_bytes") < 5 << 20
            assert metric(w, "coredns_etcd_endpoint_errors_total", code="RESOURCE_EXHAUSTED") == 1
            assert metric(w, "coredns_etcd_synced") == 0


@pytest.mark.parametrize("_", ["F40"])
def test_slow_etcd(_):
    """Seconds for each call, answers as ever."""
    with etcd.Member() as m, Proxy(m.client_port) as p:
        m.client.put("/skydns/test/way/x", GOOD % 1)
        with synced(Waypost(corefile(f"http://127.0.0.1:{p.port}"))) as w:
            p.delay = 1.5
            with Watcher(w, "x.way.test", lambda r: r[0] == "NOERROR") as watch:
                for i in range(3):
                    m.client.put("/skydns/test/way/x", GOOD % (i + 2))
                wait_for(lambda: a(w, "x.way.test") == ("NOERROR", ["192.0.2.4"]), 30)
            assert watch.slow < 1


__all__ = ["free_port"]
