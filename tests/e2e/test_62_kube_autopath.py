"""`autopath @kubernetes`: pods are known by their addresses, on every way in; and what `metadata` says of them. The
cluster is tests/scenario/kubernetes/cluster.jsonl with pods of this machine's addresses."""
import os
import re
import socket
import sys
import urllib.request

import clients
import kube
import pytest
import wire
from server import Waypost, wait_for
from test_28_proxy import v2

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../fake"))
from resolver import Resolver, address, name, record  # noqa: E402

SHOP, INFRA, SIX = "10.244.1.5", "10.244.2.50", "fd00:10:244::50"  # pods of the scenario
NEAR_SHOP, NEAR_INFRA, TWO, NODE, NOBODY = "127.0.0.21", "127.0.0.22", "127.0.0.23", "127.0.0.24", "127.0.0.99"
PODS = [kube.pod("shop", "near", NEAR_SHOP), kube.pod("infra", "near", NEAR_INFRA), kube.pod("shop", "two", "10.244.9.9", TWO, labels={"a/b": "d"}),
        kube.pod("shop", "agent", NODE), kube.pod("infra", "agent", NODE)]
FILES = {"own": "search corp.example\n"}
SOA = record(name("example.test"), 6, name("ns.example.test") + name("h.example.test") + b"\0\0\0\x01" * 5, 30)


def upstream(q):
    found = {"www.example.test.": 80, "infoblox.example.test.": 81}.get(q.name.lower())
    if found is None:
        return q.reply(rcode=3, authority=[SOA])
    return q.reply(record(b"\xc0\x0c", 1, bytes([192, 0, 2, found]), 60)) if q.type == 1 else q.reply(authority=[SOA])


def corefile(api, inside="", options="pods verified", keys=".:{dns}", before="", autopath="autopath @kubernetes {\n resolv_conf {dir}/own\n }", last=""):
    return (f"{keys} {{\n errors\n {before}\n {autopath}\n {inside}\n kubernetes cluster.local {{\n endpoint {api.url}\n {options}\n }}\n {last}\n}}\n")


def server(api, up=None, metrics=True, **args):
    last = f"forward . 127.0.0.1:{up.port}" if up else ""
    before = args.pop("before", "") + ("\nprometheus 127.0.0.1:{metrics}" if metrics else "")
    return Waypost(corefile(api, before=before, last=last, **args), files=FILES)


@pytest.fixture(scope="module")
def api():
    with kube.cluster() as server:
        for p in PODS:
            server.put(p)
        yield server


@pytest.fixture
def up():
    with Resolver(upstream) as r:
        yield r


def names(up):
    return [q.name.lower() for q in up.asked]


def told(msg):
    m = wire.parse(msg)
    return wire.rcode(msg), [f"{s.name} {s.ttl} {wire.dns.rdatatype.to_text(s.rdtype)} {r}" for s in m.answer for r in s]


def ask(w, source, qname, qtype="A"):
    """From an address of this machine; "~" stands for the cluster's zone."""
    qname = qname.replace("~", "cluster.local")
    msg = wire.udp(w.port["dns"], wire.query(qname, qtype), 10, source=(source, 0))
    assert msg[12:].startswith(wire.name(qname)), "the question is the client's"
    return told(msg)


def counter(w):
    with urllib.request.urlopen(f"http://127.0.0.1:{w.port['metrics']}/metrics", timeout=10) as r:
        found = re.findall(r"^coredns_autopath_success_total\{server=\"dns://:\d+\"\} (\S+)$", r.read().decode(), re.M)
    return float(found[0]) if found else 0.0


WEB, INFRA_WEB = "10.96.1.10", "10.96.2.10"
# id, client, question, type: rcode, answers; how much the counter grows; names that the upstream is asked
ROWS = [
    ("K318", NEAR_SHOP, "web.shop.svc.~", "A", 0, ["web.shop.svc.~. 5 A " + WEB], 1, []),
    ("K319", NEAR_SHOP, "web.infra.shop.svc.~", "A", 0, ["web.infra.shop.svc.~. 5 CNAME web.infra.svc.~.", "web.infra.svc.~. 5 A " + INFRA_WEB], 1, []),
    ("K320", NEAR_SHOP, "web.infra.svc.shop.svc.~", "A", 0, ["web.infra.svc.shop.svc.~. 5 CNAME web.infra.svc.~.", "web.infra.svc.~. 5 A " + INFRA_WEB], 1, []),
    ("K321", NEAR_SHOP, "web.infra.svc.~.shop.svc.~", "A", 0, ["web.infra.svc.~.shop.svc.~. 5 CNAME web.infra.svc.~.", "web.infra.svc.~. 5 A " + INFRA_WEB], 1,
     ["web.infra.svc.~.corp.example."]),
    ("K322", NEAR_SHOP, "www.example.test.shop.svc.~", "A", 0, ["www.example.test.shop.svc.~. 60 CNAME www.example.test.", "www.example.test. 60 A 192.0.2.80"], 1,
     ["www.example.test.corp.example.", "www.example.test."]),
    ("K323", NEAR_SHOP, "www.example.test.shop.svc.~", "AAAA", 0, [], 1, ["www.example.test.corp.example.", "www.example.test."]),
    ("K324", NEAR_SHOP, "gone.example.test.shop.svc.~", "A", 3, [], 0, ["gone.example.test.corp.example.", "gone.example.test."]),
    ("K325", NEAR_SHOP, "www.example.test", "A", 0, ["www.example.test. 60 A 192.0.2.80"], 0, ["www.example.test."]),
    ("K326", NEAR_SHOP, "web.infra.svc.~", "A", 0, ["web.infra.svc.~. 5 A " + INFRA_WEB], 0, []),
    ("K327", NEAR_SHOP, "shop.svc.~", "A", 0, [], 0, []),  # D-autopath-first
    ("K328", NOBODY, "www.example.test.shop.svc.~", "A", 3, [], 0, []),
    ("K331b", TWO, "www.example.test.shop.svc.~", "A", 0, ["www.example.test.shop.svc.~. 60 CNAME www.example.test.", "www.example.test. 60 A 192.0.2.80"], 1,
     ["www.example.test.corp.example.", "www.example.test."]),
    ("K331b-name", TWO, "web.infra.shop.svc.~", "A", 0, ["web.infra.shop.svc.~. 5 CNAME web.infra.svc.~.", "web.infra.svc.~. 5 A " + INFRA_WEB], 1, []),
    # a pod of a node's network shares its address with pods of other namespaces (D-autopath-host)
    ("node-shop", NODE, "web.infra.shop.svc.~", "A", 0, ["web.infra.shop.svc.~. 5 CNAME web.infra.svc.~.", "web.infra.svc.~. 5 A " + INFRA_WEB], 1, []),
    ("node-infra", NODE, "web.shop.infra.svc.~", "A", 0, ["web.shop.infra.svc.~. 5 CNAME web.shop.svc.~.", "web.shop.svc.~. 5 A " + WEB], 1, []),
    ("other-namespace", NEAR_INFRA, "web.infra.shop.svc.~", "A", 3, [], 0, []),
    ("srv", NEAR_SHOP, "_http._tcp.web.infra.shop.svc.~", "SRV", 0,
     ["_http._tcp.web.infra.shop.svc.~. 5 CNAME _http._tcp.web.infra.svc.~.", "_http._tcp.web.infra.svc.~. 5 SRV 0 100 80 web.infra.svc.~."], 1, []),
    ("no-such-service", NEAR_SHOP, "nope.shop.svc.~", "AAAA", 3, [], 0, ["nope.corp.example.", "nope."]),
    ("004-22", NEAR_SHOP, "infoblox.example.test.shop.svc.~", "A", 0,
     ["infoblox.example.test.shop.svc.~. 60 CNAME infoblox.example.test.", "infoblox.example.test. 60 A 192.0.2.81"], 1,
     ["infoblox.example.test.corp.example.", "infoblox.example.test."]),
]


@pytest.fixture(scope="module")
def plain(api):
    with Resolver(upstream) as up, server(api, up) as w:
        w.up = up
        yield w


@pytest.mark.parametrize("client, qname, qtype, rcode, answers, more, asked", [pytest.param(*r[1:], id=r[0]) for r in ROWS])
def test_row(plain, client, qname, qtype, rcode, answers, more, asked):
    before, n = counter(plain), len(plain.up.asked)
    assert ask(plain, client, qname, qtype) == (rcode, [a.replace("~", "cluster.local") for a in answers])
    assert names(plain.up)[n:] == [a.replace("~", "cluster.local") for a in asked]
    assert counter(plain) == before + more


@pytest.mark.parametrize("options", [pytest.param("pods insecure", id="K329"), pytest.param("pods disabled", id="K329-disabled")])
def test_pods_are_not_known(api, up, options):
    with server(api, up, options=options) as w:
        assert ask(w, NEAR_SHOP, "www.example.test.shop.svc.~") == (3, []) and not up.asked


@pytest.mark.parametrize("own", [pytest.param("search corp.example\n", id="K331")])
def test_name_that_no_plugin_has(api, own):
    with server(api) as w:
        assert ask(w, NEAR_SHOP, "nope.shop.svc.~") == (2, []) and counter(w) == 0
        assert "no next plugin found" in wait_for(lambda: "ERROR" in w.output() and w.output())
        assert ask(w, NEAR_SHOP, "web.infra.shop.svc.~")[0] == 0


@pytest.mark.parametrize("acl", [pytest.param("acl {\n drop type A\n }", id="K331a")])
def test_everything_is_dropped(api, up, acl):
    with server(api, up, inside=acl) as w:
        query = wire.query("web.infra.shop.svc.cluster.local")
        assert wire.udp(w.port["dns"], query, 0.5, source=(NEAR_SHOP, 0)) is None
        assert ask(w, NEAR_SHOP, "web.infra.shop.svc.~", "AAAA") == (0, []) and w.alive()


@pytest.mark.parametrize("mode", [pytest.param("serve_stale 1h immediate", id="K331c"), pytest.param("serve_stale 1h verify 100ms", id="K331c-verify"),
                                  pytest.param("serve_stale 1h verify", id="K331c-verify-all")])
def test_refreshed_in_the_background(api, mode):
    last = [1]
    with Resolver(lambda q: q.reply(address(last[0], ttl=1)) if q.name == "www.example.test." else q.reply(rcode=3, authority=[SOA])) as up:
        with server(api, up, inside="cache {\n success 100 3600 1\n prefetch 1 1m 90%\n " + mode + "\n }") as w:
            def now():
                rcode, answers = ask(w, NEAR_SHOP, "www.example.test.shop.svc.~")
                assert rcode == 0 and len(answers) == 2 and answers[0].endswith(" CNAME www.example.test.")
                return int(answers[1].rsplit(".", 1)[1])
            assert now() == 1
            last[0] = 2
            wait_for(lambda: now() == 2, 15, 0.1)
            assert set(names(up)) == {"www.example.test.corp.example.", "www.example.test."}


@pytest.mark.parametrize("cache", [pytest.param("cache 30", id="004-20")])
def test_a_pod_asks_once(api, up, cache):
    """Where a resolver asked five times: once, two of the names leave the cluster, and what they gave is remembered."""
    with server(api, up, inside=cache) as w:
        for _ in range(3):
            for qname in ("www.example.test.shop.svc.~", "gone.example.test.shop.svc.~"):
                ask(w, NEAR_SHOP, qname)
        assert names(up) == ["www.example.test.corp.example.", "www.example.test.", "gone.example.test.corp.example.", "gone.example.test."]


# --- ways in -------------------------------------------------------------------------------------

WAYS = ["udp", "tcp", "proxy-udp", "proxy-tcp", "proxy-tcp-six", "proxy-dot", "dot", "doh"]
CONNECT = socket.create_connection


def transports(api, up, cert, key):
    one = {"before": f"tls {cert} {key}", "inside": "cache 30", "last": f"forward . 127.0.0.1:{up.port}"}
    proxy = {**one, "before": one["before"] + "\n proxyproto {\n allow 127.0.0.0/8\n }"}
    return "".join(corefile(api, keys=keys, **o) for keys, o in (
        (".:{dns}", one), (".:{proxy}", proxy), ("tls://.:{tls}", one), ("tls://.:{ptls}", proxy), ("https://.:{https}", one),
    ))


class Datagrams(clients.Udp):
    def __init__(self, port, source, head=b""):
        super().__init__(port)
        self.s.close()
        self.s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.s.bind((source, 0))
        self.s.connect(("127.0.0.1", port))
        self.s.settimeout(10)
        self.head = head

    def ask(self, msg):
        return super().ask(self.head + msg)


def client(way, w, ip, monkeypatch):
    """One whose questions come from ip."""
    near = {SHOP: NEAR_SHOP, INFRA: NEAR_INFRA}.get(ip, ip)
    if way == "udp":
        return Datagrams(w.port["dns"], near)
    if way == "proxy-udp":
        return Datagrams(w.port["proxy"], "127.0.0.1", v2(family=0x12, src=ip))
    if way.startswith("proxy-tcp"):
        c = clients.Tcp(w.port["proxy"])
        c.s.sendall(v2(src=SIX if way == "proxy-tcp-six" and ip == SHOP else ip))
        return c
    if way == "proxy-dot":
        c = clients.Tcp(w.port["ptls"])
        c.s.sendall(v2(src=ip))
        c.s = clients.context(["dot"]).wrap_socket(c.s)
        return c
    monkeypatch.setattr(clients.socket, "create_connection", lambda to, timeout: CONNECT(to, timeout, (near, 0)))
    return {"tcp": lambda: clients.Tcp(w.port["dns"]), "dot": lambda: clients.Dot(w.port["tls"]), "doh": lambda: clients.Doh(w.port["https"])}[way]()


@pytest.fixture(scope="module")
def everywhere(api, tmp_path_factory):
    cert, key = clients.certificate(tmp_path_factory.mktemp("cert"))
    with Resolver(upstream) as up, Waypost(transports(api, up, cert, key), files=FILES) as w:
        w.up = up
        yield w


def ageless(answers):
    """Without the TTLs, which count down in the cache."""
    return [re.sub(r" \d+ ", " ", a, count=1) for a in answers]


@pytest.mark.parametrize("way", [pytest.param(w, id=f"004-23-{w}") for w in WAYS])
def test_every_way_in(everywhere, monkeypatch, way):
    """Same questions of two namespaces, alternating, with a cache that all share: nobody gets the other's."""
    shop, infra = (client(way, everywhere, ip, monkeypatch) for ip in (SHOP, INFRA))
    z = "cluster.local"
    for _ in range(3):
        assert ageless(told(shop.ask(wire.query(f"web.infra.shop.svc.{z}")))[1][1:]) == [f"web.infra.svc.{z}. A {INFRA_WEB}"]
        assert told(infra.ask(wire.query(f"web.infra.shop.svc.{z}"))) == (3, [])
        assert ageless(told(infra.ask(wire.query(f"web.shop.infra.svc.{z}")))[1][1:]) == [f"web.shop.svc.{z}. A {WEB}"]
        assert told(shop.ask(wire.query(f"web.shop.infra.svc.{z}"))) == (3, [])
        for c, ns in ((shop, "shop"), (infra, "infra")):
            rcode, answers = told(c.ask(wire.query(f"www.example.test.{ns}.svc.{z}")))
            assert rcode == 0 and ageless(answers[:1])[0] == f"www.example.test.{ns}.svc.{z}. CNAME www.example.test."
            assert told(c.ask(wire.query(f"www.example.test.{ns}.svc.{z}", "AAAA"))) == (0, [])
            assert told(c.ask(wire.query(f"gone.example.test.{ns}.svc.{z}")))[0] == 3
    outside = names(everywhere.up)
    assert not [n for n in outside if n.endswith(z + ".")], "what is the cluster's stays inside"


def test_grpc(api, up):
    """Its client has an address of this machine that cannot be chosen: a pod has it."""
    api.put(kube.pod("shop", "here", "127.0.0.1"))
    text = corefile(api, keys="grpc://.:{grpc}", last=f"forward . 127.0.0.1:{up.port}")
    try:
        with Waypost(text, files=FILES) as w:
            c = clients.Grpc(w.port["grpc"])
            assert told(c.ask(wire.query("web.infra.shop.svc.cluster.local")))[1][1:] == [f"web.infra.svc.cluster.local. 5 A {INFRA_WEB}"]
    finally:
        api.delete("Pod", "shop", "here")


# --- changes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", [pytest.param(None, id="004-21")])
def test_changes_are_seen_at_once(row):
    """With a cache in front: a service made after it was denied, an address that goes to a pod of another namespace."""
    with kube.cluster() as api, Resolver(upstream) as up:
        api.put(kube.pod("shop", "mover", "127.0.0.31"))
        with server(api, up, inside="cache 3600") as w:
            for _ in range(2):
                assert ask(w, "127.0.0.31", "late.infra.shop.svc.~") == (3, [])
                assert ask(w, "127.0.0.31", "web.infra.shop.svc.~")[0] == 0
            api.put(kube.service("infra", "late", ["10.96.7.7"]))
            wait_for(lambda: ask(w, "127.0.0.31", "late.infra.shop.svc.~")[1][1:] == ["late.infra.svc.cluster.local. 5 A 10.96.7.7"])
            api.delete("Pod", "shop", "mover")
            api.put(kube.pod("infra", "mover", "127.0.0.31"))
            wait_for(lambda: ask(w, "127.0.0.31", "late.infra.shop.svc.~") == (3, []))
            wait_for(lambda: ask(w, "127.0.0.31", "web.shop.infra.svc.~")[1][1:] == ["web.shop.svc.cluster.local. 5 A " + WEB])


def test_api_server_away(up):
    """What is known of pods and services goes on."""
    with kube.cluster() as api:
        api.put(kube.pod("shop", "near", NEAR_SHOP))
        with server(api, up) as w:
            wait_for(lambda: ask(w, NEAR_SHOP, "web.infra.shop.svc.~")[0] == 0)
            api.stop()
            for _ in range(3):
                assert ask(w, NEAR_SHOP, "web.infra.shop.svc.~")[0] == 0 and ask(w, NEAR_SHOP, "www.example.test.shop.svc.~")[0] == 0


# --- metadata -------------------------------------------------------------------------------------

LABELS = ["parse-error", "kind", "namespace", "service", "endpoint", "port-name", "protocol", "client-namespace", "client-pod-name", "client-label/a/b"]
FORMAT = "SAW " + " ".join("{/kubernetes/%s}" % n for n in LABELS)
NONE = ["-"] * len(LABELS)


def labels(**of):
    """Of a name within the zone its parts are there, empty or not."""
    none = {n: "" for n in LABELS[1:7]} if "kind" in of else {}
    return [of.get(n.replace("-", "_").replace("/", "_"), none.get(n, "-")) for n in LABELS]


METADATA = [
    ("K332", NOBODY, "_http._tcp.s.ns.svc.~", labels(port_name="http", protocol="tcp", service="s", namespace="ns", kind="svc")),
    ("K333", NOBODY, "ep.s.ns.svc.~", labels(endpoint="ep", service="s", namespace="ns", kind="svc")),
    ("K334", NOBODY, "10-240-0-1.podns.pod.~", labels(kind="pod", service="10-240-0-1", namespace="podns")),
    ("K335", NOBODY, "foo.bar.notapod.~", None),
    ("K336", NOBODY, "other.test", NONE),
    ("K337", SIX, "other.test", labels(client_namespace="shop", client_pod_name="six", client_label_a_b="c")),
    ("K337a", TWO, "other.test", labels(client_namespace="shop", client_pod_name="two", client_label_a_b="d")),
    ("K337a-first", "10.244.9.9", "other.test", labels(client_namespace="shop", client_pod_name="two", client_label_a_b="d")),
]


@pytest.fixture(scope="module")
def watched(api):
    text = corefile(api, autopath="", before="import {dir}/log.conf\n metadata\n proxyproto {\n allow 127.0.0.0/8\n }", last="whoami")
    with Waypost(text, files={"log.conf": f'log . "{FORMAT}"\n'}) as w:
        yield w


@pytest.mark.parametrize("source, qname, want", [pytest.param(*r[1:], id=r[0]) for r in METADATA])
def test_labels_in_the_log(watched, source, qname, want):
    def lines():
        return [line.split("SAW ")[1] for line in watched.output().splitlines() if "SAW " in line]
    n = len(lines())
    c = clients.Tcp(watched.port["dns"])
    c.s.sendall(v2(src=source))
    c.ask(wire.query(qname.replace("~", "cluster.local")))
    (line,) = wait_for(lambda: lines()[n:])
    if want is None:
        assert line.startswith("invalid query name ") and line.split()[3:] == NONE[1:]
    else:
        assert line.split(" ") == want


def test_rewrite_by_the_namespace_of_the_client(api):
    """A pod's own namespace in the name that it is answered by."""
    rule = r"rewrite name regex (.*)\.mine\.test {1}.{kubernetes/client-namespace}.svc.cluster.local metadata answer auto" + "\n"
    text = corefile(api, autopath="", before="metadata\n import {dir}/rewrite.conf", inside="cache 30")
    with Waypost(text, files={"rewrite.conf": rule}) as w:
        for _ in range(2):
            for source, found in ((NEAR_SHOP, WEB), (NEAR_INFRA, INFRA_WEB), (TWO, WEB)):
                assert ask(w, source, "web.mine.test") == (0, [f"web.mine.test. 5 A {found}"])
