"""etcd: endpoints from SRV records, as `etcdctl --discovery-srv` finds them. The resolver is one of our own, put in
the place of the host's in a mount namespace of waypost's."""
import itertools
import os
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import etcd
import etcd_rows
import pki
import pytest
import wire
from cluster import Asker, Cluster, connected
from server import TOP, WAYPOST, Waypost, free_port, own_address, wait_for
from test_36_etcd_cluster import GOOD, in_step, metric

sys.path.insert(0, os.path.join(TOP, "tests/fake"))
from resolver import Resolver, name, record  # noqa: E402

SRV = 33
PLAIN = "_etcd-client._tcp.etcd.test."
BEFORE = ("unshare", "-m", "sh", "-c", 'mount --bind resolv.conf /etc/resolv.conf && exec "$@"', "sh")
NUMBERS = itertools.count(50)


class Names:
    """The host's resolver, on port 53 of an address of our own: `services` is {name: [records]}; `rcode` for all;
    `silent`: no answers."""

    def __init__(self):
        assert os.getuid() == 0, "root is needed: a resolver of our own is put in the place of the host's"
        self.services, self.rcode, self.silent, self.hosts = {}, 0, False, set()
        self.address = own_address(next(NUMBERS))
        self.resolver = Resolver(self.answer, host=self.address, port=53)

    def answer(self, q):
        who = q.name.lower()
        if self.silent or self.rcode:
            return None if self.silent else q.reply(rcode=self.rcode)
        if q.type == SRV and who in self.services:
            return q.reply(*self.services[who])
        if who in self.hosts:
            return q.reply(*([record(b"\xc0\x0c", 1, bytes([127, 0, 0, 1]))] if q.type == 1 else []))
        return q.reply(rcode=3)

    def list(self, members, service=PLAIN, ttl=60, priorities=(0, 0, 0)):
        """Each member is a host of its own name."""
        self.hosts |= {f"{m.name}.etcd.test." for m in members}
        self.services[service] = [
            record(b"\xc0\x0c", SRV, struct.pack(">3H", p, 10, m.client_port) + name(f"{m.name}.etcd.test"), ttl)
            for m, p in zip(members, priorities)]

    def asked(self, service=PLAIN):
        return self.resolver.names(SRV).count(service)

    def conf(self):
        return f"nameserver {self.address}\noptions timeout:1 attempts:1\n"


@pytest.fixture
def names():
    n = Names()
    yield n
    n.resolver.stop()


def corefile(what="etcd.test", extra=""):
    return """.:{dns} {
    prometheus 127.0.0.1:{metrics}
    errors
    etcd way.test {
        discovery_srv %s
        %s
    }
    whoami
}
""" % (what, extra)


def waypost(names, *args, **kw):
    return Waypost(corefile(*args), files={"resolv.conf": names.conf()}, before=BEFORE, **kw)


def a(w, n):
    m = etcd_rows.parse(wire.udp(w.port["dns"], wire.query(n), timeout=5))
    return [rr.address for rrs in m.answer for rr in rrs if rr.rdtype == 1] or int(m.rcode())


@pytest.mark.parametrize("_", ["F04"])
def test_found_and_failed_over(names, _):
    """The resolver's trouble later makes no difference: what is known stays."""
    with Cluster() as c:
        c.put("/skydns/test/way/x", GOOD % 1)
        names.list(c.members)
        with in_step(waypost(names)) as w, Asker(w.port["dns"]).allow("x.way.test", ["192.0.2.1"]) as asker:
            w.says("srv:etcd.test/skydns: endpoints from DNS: http://m")
            assert metric(w, "waypost_etcd_discovered_endpoints") == 3
            assert metric(w, "waypost_etcd_discovery_lookups_total", result="ok") >= 1
            names.services[PLAIN] = []  # nothing listed: hosts can be resolved
            victim = connected(w, c.members)
            victim.kill()
            c.leader(c.others(victim))
            asker.allow("y.way.test", "NXDOMAIN", ["192.0.2.2"])
            c.put("/skydns/test/way/y", GOOD % 2, c.others(victim))
            assert asker.only("y.way.test", ["192.0.2.2"]) < 1
            url = f"http://{victim.name}.etcd.test:{victim.client_port}"
            assert metric(w, "coredns_etcd_endpoint_errors_total", endpoint=url) >= 1
            wait_for(lambda: "no SRV records of" in w.output() and "keeping the endpoints that are known" in w.output())
            assert metric(w, "waypost_etcd_discovery_lookups_total", result="error") >= 1
            assert metric(w, "waypost_etcd_discovered_endpoints") == 3


def test_list_changes_while_connected(names):
    """At the records' TTL (5 s at least): a member that is not listed any more is left once another one is found."""
    with Cluster() as c:
        c.put("/skydns/test/way/x", GOOD % 1)
        names.list(c.members[:1], ttl=1)
        with in_step(waypost(names)) as w, Asker(w.port["dns"]).allow("x.way.test", ["192.0.2.1"]) as asker:
            assert connected(w, c.members) is c.members[0]
            names.list(c.members[1:], ttl=1)
            wait_for(lambda: "DNS does not list the endpoint any more" in w.output(), 10)
            wait_for(lambda: connected(w, c.members) is not c.members[0], 5)
            in_step(w)
            asker.allow("y.way.test", "NXDOMAIN", ["192.0.2.2"])
            c.put("/skydns/test/way/y", GOOD % 2)
            assert asker.only("y.way.test", ["192.0.2.2"]) < 1


def run_with_trouble(trouble):
    names = Names()
    names.silent = trouble == "silent"
    names.rcode = 2 if trouble == "refused" else 0
    try:
        with etcd.Member() as m:
            m.client.put("/skydns/test/way/x", GOOD % 1)
            t0 = time.monotonic()
            with waypost(names) as w:
                assert time.monotonic() - t0 < 6
                assert a(w, "x.way.test") == 2 and a(w, "elsewhere.test") != 2
                wait_for(lambda: "no endpoint is known" in w.output())
                names.silent, names.rcode = False, 0
                names.list([m])
                wait_for(lambda: a(w, "x.way.test") == ["192.0.2.1"], 12)
    finally:
        names.resolver.stop()


@pytest.mark.parametrize("_", ["F02"])
def test_resolver_in_trouble_at_the_start(_):
    with ThreadPoolExecutor() as pool:  # it waits most of the time
        list(pool.map(run_with_trouble, ("nothing listed", "silent", "refused")))


def test_priority(names):
    with Cluster() as c:
        c.put("/skydns/test/way/x", GOOD % 1)
        for first in range(3):
            names.list(c.members, priorities=[0 if i == first else 10 for i in range(3)])
            with in_step(waypost(names)) as w:
                assert connected(w, c.members) is c.members[first]


def test_name_and_tls(names):
    """NAME goes behind the services; records with TLS count alone, and only they do with `tls`."""
    cert, key = pki.cert("*.etcd.test")
    with etcd.Member("sec", tls={"cert": cert, "key": key, "ca": pki.ca(), "server_name": "sec.etcd.test"}) as s, \
            etcd.Member("plain") as p:
        for i, m in enumerate((s, p)):
            m.client.put("/skydns/test/way/x", GOOD % (i + 1))
        names.list([s], "_etcd-client-ssl-dns._tcp.etcd.test.")
        names.list([p], "_etcd-client-dns._tcp.etcd.test.")
        with in_step(waypost(names, "etcd.test dns", f"tls {pki.ca()}")) as w:
            assert a(w, "x.way.test") == ["192.0.2.1"]
            assert names.asked("_etcd-client-dns._tcp.etcd.test.") == 0
        del names.services["_etcd-client-ssl-dns._tcp.etcd.test."]
        with in_step(waypost(names, "etcd.test dns")) as w:
            assert a(w, "x.way.test") == ["192.0.2.2"]
        with waypost(names, "etcd.test dns", f"tls {pki.ca()}") as w:  # never in the clear instead
            wait_for(lambda: "no SRV records of _etcd-client-ssl-dns._tcp.etcd.test" in w.output())
            assert a(w, "x.way.test") == 2


@pytest.mark.parametrize("lines,error", [
    ("endpoint http://127.0.0.1:1\ndiscovery_srv etcd.test", "endpoint and discovery_srv exclude each other"),
    ("discovery_srv etcd.test\nendpoint http://127.0.0.1:1", "endpoint and discovery_srv exclude each other"),
    ("discovery_srv", "Wrong argument count"), ("discovery_srv a b c", "Wrong argument count"),
    ("discovery_srv http://etcd.test", "is no domain"), ("discovery_srv etcd..test", "is no domain"),
    ("discovery_srv etcd.test a.b", "is no name of a service")])
def test_errors(lines, error, tmp_path):
    (tmp_path / "Corefile").write_text(".:%d {\netcd way.test {\n%s\n}\n}\n" % (free_port(), lines))
    r = subprocess.run([WAYPOST, "check", "-conf", str(tmp_path / "Corefile")], capture_output=True, text=True, timeout=20)
    assert r.returncode != 0 and error in r.stdout + r.stderr, r.stdout + r.stderr


def test_commands_use_it_too(names):
    """`-conf Corefile`: the block's endpoints, looked up."""
    with etcd.Member() as m:
        m.client.put("/skydns/test/way/x", GOOD % 1)
        names.list([m])
        with waypost(names) as w:
            r = subprocess.run([*BEFORE, WAYPOST, "list", "way.test", "-conf", w.conf], cwd=w.home.name, capture_output=True, text=True, timeout=20)
            assert r.returncode == 0 and "192.0.2.1" in r.stdout, r.stdout + r.stderr
            names.services.clear()
            r = subprocess.run([*BEFORE, WAYPOST, "list", "way.test", "-conf", w.conf], cwd=w.home.name, capture_output=True, text=True, timeout=20)
            assert r.returncode != 0 and "no SRV records of" in r.stderr, r.stdout + r.stderr
