"""etcd: three real members and what befalls them. All the while clients ask: no wrong answer, no lost question, and
what is put after the recovery is answered within a second."""
import itertools
import signal
import time
import urllib.request

import cluster
import etcd_rows
import pytest
from cluster import Asker, Cluster, connected
from server import Waypost, wait_for

GOOD = '{"host":"192.0.2.%d","port":80}'
X = "/skydns/test/way/x/1"
NUMBERS = itertools.count(1)  # a name that is put is new to the cluster
FIRST_S = 1.0  # from the recovery to the first answer with what was put then


def corefile(endpoints, extra="", host="127.0.0.1"):
    return """.:{dns} {
    prometheus %s:{metrics}
    errors
    etcd way.test {
        endpoint %s
        %s
    }
}
""" % (host, endpoints, extra)


def metric(w, name, default=None, **labels):
    with urllib.request.urlopen(f"http://{getattr(w, 'host', '127.0.0.1')}:{w.port['metrics']}/metrics", timeout=5) as r:
        return etcd_rows.metric(r.read().decode(), name, default, **labels)


def in_step(w):
    wait_for(lambda: metric(w, "coredns_etcd_synced") == 1)
    return w


class World:
    """waypost before a cluster, and the asker: x.way.test is 192.0.2.1 whatever happens; fresh() puts something new."""

    def __init__(self, c, endpoints=None, extra="", host="127.0.0.1", **kw):
        self.c, self.host, self.extra = c, host, extra
        c.put(X, GOOD % 1)
        self.w = Waypost(corefile(endpoints or c.urls, extra, host), **kw)
        self.w.host = host
        try:
            wait_for(lambda: "CoreDNS-" in self.w.output())
            in_step(self.w)
        except BaseException:
            self.w.__exit__(None, None, None)
            raise
        self.asker = Asker(self.w.port["dns"], host).allow("x.way.test", ["192.0.2.1"])

    def __enter__(self):
        self.w.__enter__()
        self.asker.__enter__()
        return self

    def __exit__(self, *exc):
        try:
            self.asker.__exit__(*exc)
        finally:
            if exc[0] is not None:
                print(self.w.output()[-3000:])
            self.w.__exit__(*exc)

    def reload(self, endpoints, wait=True):
        """Other endpoints, in step with them."""
        before = self.w.output().count("Reloading complete")
        self.w.write(corefile(endpoints, self.extra, self.host))
        self.w.kill(signal.SIGUSR1)
        if wait:
            wait_for(lambda: self.w.output().count("Reloading complete") > before)
            in_step(self.w)

    def connected(self):
        return connected(self.w, self.c.members)

    def fresh(self, seconds=FIRST_S, among=None, since=None):
        """Put a name that was not there: until it is answered, in seconds; counted from `since`, else from the
        acknowledgement."""
        number = next(NUMBERS)
        name, address = f"n{number}.way.test", f"192.0.2.{number % 200 + 20}"
        self.asker.allow(name, "NXDOMAIN", [address])
        self.c.put(f"/skydns/test/way/n{number}/1", '{"host":"%s"}' % address, among)
        t0 = since or time.monotonic()
        self.asker.only(name, [address])
        took = time.monotonic() - t0
        print(f"first correct answer after {took:.3f} s")
        assert took < seconds, f"{took:.3f} s"
        return took


@pytest.fixture(scope="module")
def three():
    with Cluster() as c:
        yield c


@pytest.fixture(autouse=True)
def whole(request):
    """A case leaves the shared cluster as it found it."""
    yield
    if "three" in request.fixturenames:
        c = request.getfixturevalue("three")
        for m in c.members:
            if not m.process or not m.process.alive():
                m.kill()
                m.start(wait=False)
            m.signal(signal.SIGCONT)
        for m in c.members:
            m.wait_ready()


@pytest.mark.parametrize("_", ["E197", "F04"])
def test_connected_member_is_killed(three, _):
    with World(three) as t:
        victim = t.connected()
        victim.kill()
        three.leader(three.others(victim))
        t.fresh()
        assert metric(t.w, "coredns_etcd_reconnects_total") == 1
        assert metric(t.w, "coredns_etcd_endpoint_errors_total", endpoint=victim.url) >= 1
        assert metric(t.w, "coredns_etcd_reloads_total", reason="start") == 1  # it went on from where it was


@pytest.mark.parametrize("row", ["F07-other", "F04-connected"])
def test_leader_is_killed(three, row):
    with World(three) as t:
        here = t.connected()
        victim = three.lead(here if row.endswith("connected") else three.others(here)[0])
        t.fresh()
        victim.kill()
        three.leader(three.others(victim))
        t.fresh()


@pytest.mark.parametrize("row", ["F06-connected", "F07-leader", "F06-both"])
def test_member_says_nothing(three, row):
    """SIGSTOP: connections stay open and are silent. It is noticed within 4 s, without a quorum's trouble at once."""
    whom = row[4:]
    with World(three) as t:
        here = t.connected()
        leader = three.lead(here if whom == "both" else three.others(here)[0])
        victim = leader if whom == "leader" else here
        victim.signal(signal.SIGSTOP)
        t0 = time.monotonic()
        three.leader(three.others(victim))
        t.fresh(FIRST_S if whom == "leader" else 4)
        print(f"silent member: moved after {time.monotonic() - t0:.2f} s")
        if whom != "leader":
            assert t.connected() is not victim
            t.w.says("silent")
            assert metric(t.w, "coredns_etcd_endpoint_errors_total", endpoint=victim.url, code="DEADLINE_EXCEEDED") == 1
        victim.signal(signal.SIGCONT)
        t.fresh()


@pytest.mark.parametrize("_", ["F05"])
def test_no_quorum(three, _):
    """Two of three are gone: the last data is served; and what is put after the recovery is there at once."""
    with World(three) as t:
        stay = t.connected()
        gone = three.others(stay)
        for m in gone:
            m.kill()
        wait_for(lambda: metric(t.w, "coredns_etcd_synced") == 0)
        time.sleep(2)  # as long as an outage is: the pauses between attempts have grown
        t.w.says("no leader")
        gone[0].start(wait=False)
        three.leader([stay, gone[0]])
        t.fresh()
        assert metric(t.w, "coredns_etcd_synced") == 1
        assert metric(t.w, "coredns_etcd_reloads_total", reason="start") == 1


def test_all_members_away_for_a_while(three):
    """Longer than any pause between attempts."""
    with World(three) as t:
        for m in three.members:
            m.stop()
        wait_for(lambda: metric(t.w, "coredns_etcd_synced") == 0)
        time.sleep(4)
        for m in three.members:
            m.start(wait=False)
        three.leader()
        t.fresh()


@pytest.mark.parametrize("_", ["F07"])
def test_rolling_restart(three, _):
    """Each member once, with changes, compaction and defragmentation in between. No change is taken back."""
    with World(three) as t:
        t.asker.allow("v.way.test", "NXDOMAIN")
        value = 0
        for m in list(three.members):
            m.stop()
            m.start(wait=False)
            for _ in range(10):
                value += 1
                t.asker.allow("v.way.test", [f"192.0.2.{value}"])
                revision = three.put("/skydns/test/way/v", GOOD % value)
                t.asker.only("v.way.test", [f"192.0.2.{value}"])
            three.leader()
            three.members[0].client.compact(revision)
            for x in three.members:
                x.wait_ready().client.call("Maintenance/Defragment")
            t.fresh()
        assert "went back" not in t.w.output()


# --- members come and go ----------------------------------------------------------------------------------


def test_connected_member_is_removed():
    with Cluster() as c:
        with World(c) as t:
            victim = t.connected()
            c.remove(victim)
            t.fresh(2)  # it hands over and ends by itself
            c.leader()
            t.fresh()
            new = c.add("m4")
            t.fresh()
            t.reload(new.url)  # a member of its own, and the only one
            assert t.connected() is new
            t.fresh()
        victim.close()


@pytest.mark.parametrize("_", ["F26"])
def test_learner_among_the_endpoints(_):
    with Cluster() as c:
        learner = c.add("m4", learner=True, wait=False)
        with World(c, " ".join([learner.url, *(m.url for m in c.members[:3])])) as t:
            assert t.connected() is not learner
            t.fresh()
            t.connected().kill()
            c.leader([m for m in c.members if m.process])
            t.fresh()
            assert t.connected() is not learner


# --- another history --------------------------------------------------------------------------------------


def load(c, n):
    for i in range(n):
        c.put(f"/skydns/test/way/k{i}", GOOD % i)


@pytest.mark.parametrize("_", ["F13"])
def test_force_new_cluster(_):
    """One member's data directory, that lags, becomes the cluster: revisions go back."""
    with Cluster() as c:
        load(c, 20)
        with World(c) as t:
            leader = c.leader()
            lagging = c.others(leader)[0]
            wait_for(lambda: c.status(lagging)["revision"] == c.status(leader)["revision"])
            lagging.stop()  # not as power loss: it keeps what it has
            t.asker.allow("k3.way.test", ["192.0.2.3"], ["192.0.2.203"])
            for i in range(5):
                c.put(f"/skydns/test/way/k{i}", GOOD % (i + 200), c.others(lagging))
            t.asker.only("k3.way.test", ["192.0.2.203"])
            for m in c.others(lagging):
                m.kill()
            t.asker.allow("k3.way.test", ["192.0.2.3"])
            lagging.args.append("--force-new-cluster")
            lagging.start()
            t0 = time.monotonic()
            t.asker.only("k3.way.test", ["192.0.2.3"])
            assert time.monotonic() - t0 < FIRST_S
            t.fresh(among=[lagging])
            assert metric(t.w, "coredns_etcd_reloads_total", reason="revision_back") == 1
            t.w.says("went back in time")


@pytest.mark.parametrize("row", ["F13-same", "F12-another", "F13-same beyond", "F12-another beyond"])
def test_restored_from_a_snapshot(row):
    """`etcdctl snapshot restore` on all three: an older state. `beyond`: its revision is larger again by the time it
    can be asked, so that the number alone tells nothing."""
    same, beyond = "same" in row, "beyond" in row
    with Cluster() as c:
        load(c, 20)
        with World(c) as t:
            file = f"{c.members[0].data}.snapshot"
            etcdctl = cluster.etcdctl
            etcdctl("--endpoints", c.members[0].url, "snapshot", "save", file)
            t.asker.allow("k3.way.test", ["192.0.2.3"], ["192.0.2.203"]).allow("k25.way.test", "NXDOMAIN", ["192.0.2.25"])
            for i in range(5):
                c.put(f"/skydns/test/way/k{i}", GOOD % (i + 200))
            c.put("/skydns/test/way/k25", GOOD % 25)
            t.asker.only("k25.way.test", ["192.0.2.25"])
            t.asker.only("k3.way.test", ["192.0.2.203"])
            for m in c.members:
                m.kill()
            t.asker.allow("k3.way.test", ["192.0.2.3"]).allow("k25.way.test", "NXDOMAIN")
            c.restore(file, "waypost-test" if same else "another")
            if beyond:  # nobody sees it meanwhile
                public = [m.client_port for m in c.members]
                for m in c.members:
                    m.client_port = cluster.free_port()
                c.start()
                for i in range(30):
                    c.put("/skydns/test/way/other", GOOD % i)
                for m, port in zip(c.members, public):
                    m.kill()
                    m.client_port = port
            for m in c.members:
                m.start(wait=False)
            for m in c.members:
                m.connect()
            c.leader()
            t0 = time.monotonic()
            t.asker.only("k3.way.test", ["192.0.2.3"])
            t.asker.only("k25.way.test", "NXDOMAIN")
            print(f"restored data after {time.monotonic() - t0:.2f} s")
            assert time.monotonic() - t0 < FIRST_S
            t.fresh()
            assert metric(t.w, "coredns_etcd_reloads_total",
                          reason="revision_back" if same else "cluster_changed") == 1


@pytest.mark.parametrize("_", ["F11"])
def test_wiped(_):
    """Three empty members of the same configuration: the old data is held."""
    with Cluster() as c:
        load(c, 20)
        with World(c) as t:
            t.asker.allow("k3.way.test", ["192.0.2.3"])
            for m in c.members:
                m.kill()
                m.wipe()
            for m in c.members:
                m.start(wait=False)
            c.leader()
            wait_for(lambda: metric(t.w, "coredns_etcd_held_snapshot") == 1, 2)
            wait_for(lambda: metric(t.w, "coredns_etcd_synced") == 1, 2)
            t.w.says("the old data is served for 300 more seconds")
            assert metric(t.w, "coredns_etcd_reloads_total", reason="revision_back") == 1
            t.asker.allow("x.way.test", "NXDOMAIN")
            c.members[0].client.txn([(f"/skydns/test/way/k{i}", GOOD % i) for i in range(10)])  # it comes back: nothing is held
            wait_for(lambda: metric(t.w, "coredns_etcd_held_snapshot") == 0, 2)
            t.asker.only("x.way.test", "NXDOMAIN")
            t.fresh()
