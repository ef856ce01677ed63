"""Zones of a cluster given away: what is in them, serials, and changes while they are."""
import collections
import re
import threading
import time

import kube
import kube_transfer
import pytest
import wire
import xfr
from kube_transfer import own
from server import Waypost, wait_for

ZONE = "svc.cluster.local."
A, SRV = 1, 33


@pytest.fixture(scope="module")
def world():
    w = kube_transfer.World(Waypost)
    yield w
    w.close()


def of(texts, name, ns="shop"):
    """Records at the service and below it, without the zone and the TTL."""
    end = f"{name}.{ns}.{ZONE}"
    return [" ".join([w[0].removesuffix(ZONE).rstrip("."), *w[2:]]).replace(f".{ns}.{ZONE}", "") for w in (t.split(" ") for t in texts)
            if w[0] == end or w[0].endswith("." + end)]


@pytest.mark.parametrize("row", ["K269"])
def test_frame(world, row):
    t = world.axfr("base").texts()
    assert t[0] == t[-1] and t[0].startswith("cluster.local. 5 SOA ns.dns.cluster.local. hostmaster.cluster.local. ")
    assert t[1:3] == ["cluster.local. 5 NS ns.dns.cluster.local.", "ns.dns.cluster.local. 0 A 192.0.2.53"]
    names = [r.split(".svc.")[0].split(".")[-2] for r in t[3:-1]]
    assert names == sorted(names)
    assert {r for r in t if t.count(r) > 1} == {t[0], *(r for r in t if "twin." in r and " SRV " in r)}  # endpoints of one name


SERVICES = {
    "K270-web": ("web", ["web.shop A 10.96.1.10", "web.shop SRV 0 100 80 web", "_http._tcp.web.shop SRV 0 100 80 web",
                         "web.shop SRV 0 100 9100 web", "_metrics._tcp.web.shop SRV 0 100 9100 web"]),
    "K271-db": ("db", [r for ip, name, weight in (("A 10.244.4.1", "db-0", 33), ("A 10.244.4.2", "db-1", 33), ("A 10.244.4.3", "10-244-4-3", 33),
                                                  ("AAAA fd00:10:244::1", "fd00-10-244--1", 100))
                       for r in (f"db.shop {ip}", f"{name}.db.shop {ip}", f"_pg._tcp.db.shop SRV 0 {weight} 5432 {name}.db")]),
    "K272-noport": ("noport", ["noport.shop A 10.244.7.1", "10-244-7-1.noport.shop A 10.244.7.1"]),
    "K273-anon": ("anon", ["anon.shop A 10.96.1.15", "anon.shop SRV 0 100 8000 anon"]),
    "K274-ext": ("ext", ["ext.shop CNAME api.example.test."]), "K274-alias": ("alias", ["alias.shop CNAME web"]),
    "K274-dangling": ("dangling", ["dangling.shop CNAME nope"]), "K274-ipname": ("ipname", []),
    "K275-dual": ("dual", ["dual.shop A 10.96.1.13", "dual.shop AAAA fd00:10:96::13", "dual.shop SRV 0 100 80 dual",
                           "_http._tcp.dual.shop SRV 0 100 80 dual"]),
    "ports of one number": ("dns", ["dns.shop A 10.96.1.14", "dns.shop SRV 0 100 53 dns", "_dns._udp.dns.shop SRV 0 100 53 dns",
                                    "_dns-tcp._tcp.dns.shop SRV 0 100 53 dns"]),
}


@pytest.mark.parametrize("name, want", SERVICES.values(), ids=SERVICES)
def test_service(world, name, want):
    assert of(world.axfr("base").texts(), name) == want


@pytest.mark.parametrize("row", ["K276"])
def test_namespaces(world, row):
    t = world.axfr("only-shop").texts()
    assert all(".shop." + ZONE in r for r in t[3:-1]) and of(t, "web") == SERVICES["K270-web"][1]


@pytest.mark.parametrize("row", ["K277"])
def test_two_addresses(world, row):
    t = world.axfr("two").texts()
    assert t[1] == "cluster.local. 5 NS ns.dns.cluster.local." and sorted(t[2:4]) == ["ns.dns.cluster.local. 0 A 192.0.2.53", "ns.dns.cluster.local. 0 AAAA 2001:db8::53"]
    assert sum(" NS " in r for r in t) == 1


def settled(world, name="base", zone="cluster.local"):
    """The serial of a second that is over."""
    def serial():
        s = wire.parse(world.tcp(name, wire.query(zone, "SOA"))).answer[0][0].serial
        return s if time.time() >= s + 1.1 else 0  # the server's clock may be a tick behind
    return wait_for(serial)


@pytest.mark.parametrize("row, by", [("K278", 0), ("K279", -1), ("K279", 1), ("K279", -1000)])
def test_ixfr(world, row, by):
    serial = settled(world)
    m = wire.parse_apart(world.tcp("base", xfr.ixfr("cluster.local", serial + by)))
    assert m.answer[0][0].serial == serial
    assert len(m.answer) == 1 if by == 0 else len(m.answer) == world.axfr("base").n


@pytest.mark.parametrize("zone", [pytest.param(z, id="K280-" + z) for z in ("example.com", "svc.cluster.local", "web.shop.svc.cluster.local", "local")])
def test_other_zones(world, zone):
    m = wire.parse(world.tcp("base", wire.query(zone, "AXFR")))
    assert m.rcode() != 0 and not m.answer


@pytest.mark.parametrize("row", ["K281-udp", "K281-not-named"])
def test_refused(world, row):
    q = wire.query("cluster.local", "AXFR")
    if row == "K281-udp":
        r = world.run("base", wire.udp, q)
    else:
        def other(port):
            with xfr.connect(port, source="192.0.2.53") as s:
                s.sendall(wire.framed(q))
                return wire.read_message(s)
        r = world.run("base", other)
    assert wire.rcode(r) == 5 and r[6:8] == b"\0\0"


def test_imports(world):
    """D-kube-transfer-cluster: K282 is judged wrong, names are those that can be asked for."""
    t = world.axfr("multicluster", "clusterset.local").texts()
    assert "10-1-0-2.c1.hl.shop.svc.clusterset.local. 5 A 10.1.0.2" in t
    assert "_http._tcp.hl.shop.svc.clusterset.local. 5 SRV 0 25 80 10-1-0-2.c1.hl.shop.svc.clusterset.local." in t
    assert "front.shop.svc.clusterset.local. 5 A 10.112.0.1" in t
    for r in own(t)[2:]:
        name, ttl, rtype, data = r.split(" ", 3)
        m = wire.parse_apart(world.run("multicluster", wire.udp, wire.query(name, rtype)))
        # weights of questions are shared over all endpoints, those of transfers over a slice
        assert data.split(" ")[-1] in {x[0].to_text().split(" ")[-1] for x in m.answer}, r


def test_reverse(world):
    """D-kube-transfer-reverse: what is asked for there."""
    for zone, some in (("244.10.in-addr.arpa", "1.4.244.10.in-addr.arpa. 5 PTR db-0.db.shop.svc.cluster.local."),
                       ("96.10.in-addr.arpa", "10.1.96.10.in-addr.arpa. 5 PTR web.shop.svc.cluster.local.")):
        t = own(world.axfr("reverse", zone).texts())
        assert some in t and all(" PTR " in r for r in t[2:])
        for r in t[2:]:
            name, _, _, target = r.split(" ")
            m = wire.parse_apart(world.run("reverse", wire.udp, wire.query(name, "PTR")))
            assert target in {x[0].to_text() for x in m.answer}, r


@pytest.mark.parametrize("row", ["004-24"])
def test_zone_can_be_taken_over(world, row, tmp_path):
    """What came is a zone file that answers like the cluster, here from the backend `file`; the serial goes up."""
    t = world.axfr("base").texts()
    text = "\n".join(r.replace(" ", " ", 1) for r in t[:-1]) + "\n"
    with Waypost("cluster.local:{dns} {\n file {dir}/db\n}\n", files={"db": text}) as other:
        for name, qtype in (("web.shop.svc.cluster.local", "A"), ("_pg._tcp.db.shop.svc.cluster.local", "SRV"), ("db-0.db.shop.svc.cluster.local", "A")):
            theirs = wire.parse(wire.udp(other.port["dns"], wire.query(name, qtype))).answer[0]
            ours = wire.parse(world.run("base", wire.udp, wire.query(name, qtype))).answer[0]
            assert {r.to_text().split(" ")[-1] for r in theirs} == {r.to_text().split(" ")[-1] for r in ours}
    api = world.apis["base"]
    before = settled(world)
    net, _ = world.server("base")
    net.run(api.put, kube.service("shop", "late", ("10.96.9.9",)))
    wait_for(lambda: of(world.axfr("base").texts(), "late"))
    assert settled(world) > before and world.axfr("base").serial == settled(world)
    net.run(api.delete, "Service", "shop", "late")
    wait_for(lambda: not of(world.axfr("base").texts(), "late"))


# --- changes meanwhile -----------------------------------------------------------------------------

STAY, COME = 4000, 300


def many():
    """Services that stay, and one of endpoints that no message holds."""
    yield kube.namespace("big")
    for i in range(STAY):
        yield kube.service("big", f"stay{i}", (f"10.{100 + (i >> 16)}.{i >> 8 & 255}.{i & 255}",), port=("http/TCP/80", "a/TCP/81", "b/TCP/82", "c/UDP/83"))
    yield kube.service("big", "huge")
    for k in range(4):
        yield kube.endpoint_slice("big", "huge", [f"10.200.{k * 4 + (j >> 8)}.{j & 255}" for j in range(900)], port=("http/TCP/80", "a/TCP/81"), name=f"huge-{k}")


def test_changes_meanwhile():
    """A slow client, and services that come and go all the time: what stays is there once, what is there is whole, and the
    endpoints of one service are those of one moment."""
    with kube.KubeApi(list(many())) as api, kube.gateway(api, "startup_timeout 60s", more="transfer {\nto *\n}") as w:
        port = w.port["dns"]
        wait_for(lambda: xfr.axfr(port, "cluster.local").n > STAY * 9)
        end = threading.Event()

        def change():
            n = 0
            while not end.is_set():
                for i in range(COME):
                    api.put(kube.service("big", f"come{i}", (f"10.99.0.{i % 250}",))) if n % 2 == 0 else api.delete("Service", "big", f"come{i}")
                api.put(kube.endpoint_slice("big", "huge", [f"10.{201 + n % 50}.0.{j}" for j in range(200)], port=("http/TCP/80", "a/TCP/81"), name="huge-9"))
                n += 1

        changer = threading.Thread(target=change, daemon=True)
        changer.start()
        try:
            for _ in range(4):
                with xfr.connect(port, rcvbuf=65536) as s:
                    t = xfr.Transfer(s, wire.query("cluster.local", "AXFR"))
                    m = t.next()
                    while not t.is_done(m):
                        time.sleep(0.005)
                        m = t.next()
                records = list(t.walk())
                kinds = collections.Counter((re.sub(r"\d+", "", n.split(".big.")[0]), rtype) for n, rtype, _ in records)
                assert kinds["stay", A] == STAY and kinds["stay", SRV] == 4 * STAY
                assert [kinds[f"_{p}._tcp.stay", SRV] for p in "ab"] + [kinds["_http._tcp.stay", SRV], kinds["_c._udp.stay", SRV]] == [STAY] * 4
                assert len(set(records)) == len(records) - 1  # the SOA
                own = [tuple(data) for n, rtype, data in records if n.startswith("huge.big.") and rtype == A]
                late = {ip[1] for ip in own if ip[1] != 200}
                assert len(late) <= 1 and len(own) == 3600 + (200 if late else 0)
                assert kinds["_http._tcp.huge", SRV] == kinds["_a._tcp.huge", SRV] == len(own)
        finally:
            end.set()
            changer.join(30)


def test_several_clusters():
    """kubernetai: a zone of one cluster is given away, one that two of them hold is not."""
    with kube.cluster() as a, kube.cluster() as b:
        lines = "".join("kubernetai %s {\n endpoint %s\n startup_timeout 60s\n}\n" % (zones, api.url) for zones, api in (("a.local both.local", a), ("b.local both.local", b)))
        with Waypost(".:{dns} {\n errors\n%s transfer {\n to *\n}\n}\n" % lines) as w:
            wait_for(lambda: xfr.axfr(w.port["dns"], "b.local").n > 50)
            assert len(xfr.axfr(w.port["dns"], "a.local").texts()) > 50
            assert wire.rcode(wire.tcp(w.port["dns"], wire.query("both.local", "AXFR"))) == 5


def test_unreached():
    """No data yet: no zone, instead of one that is empty."""
    with kube.cluster() as api:
        api.fault(None, kube.faults.hang(), times=None)
        with kube.gateway(api, "startup_timeout 100ms", more="transfer {\nto *\n}") as w:
            r = wire.parse(wire.tcp(w.port["dns"], wire.query("cluster.local", "AXFR")))
            assert r.rcode() == 2 and not r.answer
