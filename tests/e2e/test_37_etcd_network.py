"""etcd: networks that fail. Each member and waypost stand in network namespaces of their own; between them a router (the
process of the scenario, in a namespace, too) that can drop silently what goes from one to another. All scenarios run
beside each other: most of their time is waiting."""
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
if __name__ == "__main__":
    sys.path[:0] = [HERE, os.path.join(HERE, "../lib")]

import etcd  # noqa: E402
from cluster import FAST, Cluster  # noqa: E402
from server import wait_for  # noqa: E402
from test_36_etcd_cluster import GOOD, World, metric  # noqa: E402

MOVE_S = 4.0  # silent for 2.5 s, then found and followed


# --- the network --------------------------------------------------------------------------------------


def ip(*lines):
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n", text=True, check=True, timeout=20)


class Net:
    """Nodes 10.77.N.2, each behind a link of its own to the router, 10.77.N.1."""

    def __init__(self, nodes):
        self.number = {n: i + 1 for i, n in enumerate(nodes)}
        ip("link set lo up")
        for n, i in self.number.items():
            ip(f"netns add {n}", f"link add v{n} type veth peer name eth0 netns {n}", f"addr add 10.77.{i}.1/30 dev v{n}",
               f"link set v{n} up")
            subprocess.run(["ip", "-n", n, "-batch", "-"], check=True, text=True, timeout=20, input=(
                f"addr add 10.77.{i}.2/30 dev eth0\nlink set lo up\nlink set eth0 up\nroute add default via 10.77.{i}.1\n"))
        with open("/proc/sys/net/ipv4/ip_forward", "w") as f:
            f.write("1")

    def address(self, node):
        return f"10.77.{self.number[node]}.2"

    def one_way(self, a, b, what="add"):
        """What a sends to b is lost."""
        ip(f"rule {what} from {self.address(a)} to {self.address(b)} pref 10 blackhole")

    def cut(self, a, b, what="add"):
        self.one_way(a, b, what)
        self.one_way(b, a, what)

    def mend(self, a, b):
        self.cut(a, b, "del")

    def link(self, node, up):
        ip(f"link set v{node} {'up' if up else 'down'}")


class Spread(Cluster):
    """Members in namespaces m1, m2, m3; waypost's is w."""

    def __init__(self):
        self.net = Net(["w", "m1", "m2", "m3"])
        self.args = FAST
        self.members = [etcd.Member(n, None, FAST, host=self.net.address(n), before=("ip", "netns", "exec", n)) for n in ("m1", "m2", "m3")]

    def world(self, endpoints=None, extra=""):
        return World(self, endpoints, extra, host=self.net.address("w"), before=("ip", "netns", "exec", "w"), wait=False)


# --- what befalls it --------------------------------------------------------------------------------------


def moves(c, t, break_, mend, code="DEADLINE_EXCEEDED"):
    """The connected member is lost silently: another one is followed, and this one again later."""
    here = t.connected()
    t0 = time.monotonic()
    break_(here.name)
    t.fresh(MOVE_S, c.others(here), since=t0)  # where only our side is not heard: still by the old one
    wait_for(lambda: t.connected() is not here, MOVE_S)
    assert metric(t.w, "coredns_etcd_endpoint_errors_total", endpoint=here.url, code=code) >= 1
    assert metric(t.w, "coredns_etcd_reloads_total", reason="start") == 1
    mend(here.name)
    t.fresh()


def cut_from_the_member(c):
    with c.world() as t:
        moves(c, t, lambda m: c.net.cut("w", m), lambda m: c.net.mend("w", m))


def one_direction_is_lost(c):
    with c.world() as t:
        moves(c, t, lambda m: c.net.one_way("w", m), lambda m: c.net.one_way("w", m, "del"))
        moves(c, t, lambda m: c.net.one_way(m, "w"), lambda m: c.net.one_way(m, "w", "del"))


def link_goes_down(c):
    with c.world() as t:
        here = t.connected()
        c.net.link(here.name, False)
        t0 = time.monotonic()
        t.fresh(MOVE_S, c.others(here), since=t0)
        assert t.connected() is not here
        c.net.link(here.name, True)
        t.fresh()


def cut_from_all(c):
    """For longer than any pause; then what is put is answered within a second of the repair."""
    with c.world() as t:
        for m in c.members:
            c.net.cut("w", m.name)
        wait_for(lambda: metric(t.w, "coredns_etcd_synced") == 0, 4)
        time.sleep(5)
        for m in c.members:
            c.net.mend("w", m.name)
        t.fresh(since=time.monotonic())


def cut_from_the_only_one(c):
    """The old connection would speak again only when TCP sends again, after a pause that grows."""
    with c.world(c.members[0].url) as t:
        c.net.cut("w", "m1")
        wait_for(lambda: metric(t.w, "coredns_etcd_synced") == 0, 4)
        time.sleep(5)
        c.net.mend("w", "m1")
        t.fresh(since=time.monotonic())


def links_of_all_go_down(c):
    with c.world() as t:
        for m in c.members:
            c.net.link(m.name, False)
        wait_for(lambda: metric(t.w, "coredns_etcd_synced") == 0, 4)
        time.sleep(3)
        for m in c.members:
            c.net.link(m.name, True)
        c.leader()
        t.fresh()


def member_is_cut_from_its_cluster(c):
    """We reach it, the others do not: it is left, and what it holds is never taken back."""
    with c.world() as t:
        alone = t.connected()
        others = c.others(alone)
        t.asker.allow("v.way.test", "NXDOMAIN", ["192.0.2.11"])
        c.put("/skydns/test/way/v", GOOD % 11)
        t.asker.only("v.way.test", ["192.0.2.11"])
        wait_for(lambda: c.status(alone)["revision"] == c.status(others[0])["revision"])
        for m in others:
            c.net.cut(alone.name, m.name)
        t0 = time.monotonic()
        t.asker.allow("v.way.test", ["192.0.2.12"])
        c.leader(others)
        c.put("/skydns/test/way/v", GOOD % 12, others)
        t.asker.only("v.way.test", ["192.0.2.12"])  # from here on nothing else is right
        print(f"left it after {time.monotonic() - t0:.2f} s")
        assert time.monotonic() - t0 < MOVE_S and t.connected() is not alone
        assert metric(t.w, "coredns_etcd_endpoint_errors_total", endpoint=alone.url, code="UNAVAILABLE") >= 1
        # only the member that lags is left: it is refused until it has caught up
        t.reload(alone.url, wait=False)
        wait_for(lambda: f"{alone.url}: status: UNAVAILABLE: the member knows no leader" in t.w.output(), 5)
        time.sleep(6)  # longer than a start without any data waits for a quorum
        assert c.status(alone)["revision"] < c.status(others[0])["revision"]
        assert "without a quorum" not in t.w.output() and "Reloading complete" not in t.w.output()
        for m in others:
            c.net.mend(alone.name, m.name)
        wait_for(lambda: (c.status(alone) or {"leader": 0})["leader"] != 0, step=0.005)
        t.fresh(2)  # the new mirror lists all
        wait_for(lambda: "Reloading complete" in t.w.output())
        assert t.connected() is alone


SCENARIOS = {f.__name__: (row, f) for row, f in [
    ("F06", cut_from_the_member), ("F06", one_direction_is_lost), ("F04", link_goes_down), ("F03", cut_from_all),
    ("F06", cut_from_the_only_one), ("F03", links_of_all_go_down), ("F05", member_is_cut_from_its_cluster)]}


# --- running them -------------------------------------------------------------------------------------------


def run(name):
    """In namespaces of its own, which end with it."""
    prepare = 'mkdir -p /run/netns && mount -t tmpfs none /run/netns && exec "$@"'
    env = {**os.environ, "WAYPOST_TEST_ETCD": etcd.BINARY}
    return subprocess.run(["unshare", "-m", "-n", "sh", "-c", prepare, "sh", sys.executable, os.path.abspath(__file__), name],
                          env=env, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def results():
    assert os.getuid() == 0, "root is needed: the tests make network namespaces"
    with ThreadPoolExecutor(4) as pool:
        yield {name: pool.submit(run, name) for name in SCENARIOS}


@pytest.mark.parametrize("row", [f"{row}-{name}" for name, (row, _) in SCENARIOS.items()])
def test_network(results, row):
    r = results[row.split("-", 1)[1]].result()
    print(r.stdout)
    assert r.returncode == 0, (r.stdout + r.stderr)[-6000:]


if __name__ == "__main__":
    etcd.BINARY = os.environ["WAYPOST_TEST_ETCD"]
    with Spread() as spread:
        SCENARIOS[sys.argv[1]][1](spread)
