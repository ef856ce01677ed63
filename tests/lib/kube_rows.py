"""The rows of tests/scenario/kubernetes/questions.txt: sets of options with their clusters, questions, and the check of
an answer. Any server can be asked: waypost, and CoreDNS to see that the rows tell the truth."""
import os
import socket
import sys
import time

import dns.flags
import dns.rcode
import dns.rdatatype
import kube
import wire
from netns import Netns
from server import wait_for

sys.path.insert(0, os.path.join(kube.TOP, "tests/fake"))
from resolver import Resolver, record  # noqa: E402

BEHIND = "203.0.113.53"  # what the next handler says to everything
SELF = ("192.0.2.53",)
EXTERNAL = ["ext.example", "113.0.203.in-addr.arpa"]
WITH_EXTERNAL = ("cluster", "external")
REVERSE = "cluster.local 10.96.0.0/16 10.244.0.0/16 fd00:10:244::/64"
NETWORKS = {"10.96.0.0/16": "96.10.in-addr.arpa.", "10.244.0.0/16": "244.10.in-addr.arpa.",
            "fd00:10:244::/64": "0.0.0.0.4.4.2.0.0.1.0.0.0.0.d.f.ip6.arpa."}


# --- sets ------------------------------------------------------------------------------------------

def _headless(name, subnet, n):
    return [kube.service("shop", name), kube.endpoint_slice("shop", name, [f"10.244.{subnet}.{i + 1}" for i in range(n)])]


MORE = [
    *_headless("h3", 13, 3), *_headless("h6", 14, 6), *_headless("h150", 15, 150),
    *_headless("dupe", 12, 1), kube.endpoint_slice("shop", "dupe", ["10.244.12.1"], name="dupe-2"),
    kube.service("shop", "longpod"),
    kube.endpoint_slice("shop", "longpod", [kube.endpoint("10.244.11.1", targetRef={"kind": "Pod", "name": "p" * 64})]),
    kube.external_name("shop", "exttc", "tc.example.test"),
]
PODS = [
    kube.pod("shop", "two", "10.244.2.60", "fd00:10:244::60"),
    {**kube.pod("shop", "one"), "status": {"phase": "Running", "podIP": "10.244.2.61"}},
]
FAR = [kube.service("shop", "far"), kube.endpoint_slice("shop", "far", [kube.endpoint("10.244.21.1", zone="corp.example.com")])]


def _kube_dns(*ips):
    return [kube.namespace("kube-system"), kube.service("kube-system", "kube-dns", ips, port=("dns/UDP/53",)),
            kube.endpoint_slice("kube-system", "kube-dns", ["192.0.2.53"], port=("dns/UDP/53",))]


class Set:
    def __init__(self, options="", zones="cluster.local", external=None, scenarios=("cluster",), objects=(), ttl=5, addresses=SELF, hang=()):
        """external: what stands in k8s_external { }. addresses: the server's. hang: collections that never answer, None for all."""
        self.options, self.zones, self.external, self.scenarios, self.objects = options, zones, external, scenarios, list(objects)
        self.ttl, self.addresses, self.hang = ttl, addresses, hang
        self.zone_names = [NETWORKS.get(z, z + ".") for z in zones.split(" ") + (EXTERNAL if external is not None else [])]

    def more(self):
        return f"k8s_external {' '.join(EXTERNAL)} {{\n{self.external}\n}}" if self.external is not None else ""


SETS = {
    "base": Set(objects=MORE),
    "podnames": Set("endpoint_pod_names", objects=MORE),
    "noendpoints": Set("noendpoints"),
    "ignore": Set("ignore empty_service"),
    "ignore-noendpoints": Set("ignore empty_service\nnoendpoints"),
    "insecure": Set("pods insecure"),
    "insecure-infra": Set("pods insecure\nnamespaces infra"),
    "verified": Set("pods verified", objects=PODS),
    "reverse": Set(zones=REVERSE, objects=MORE),
    "reverse-shop": Set("namespaces shop", zones=REVERSE),
    "reverse-open": Set("namespace_labels tier=open", zones=REVERSE),
    "reverse-verified": Set("pods verified", zones=REVERSE),
    "reverse-last": Set(zones="cluster.local other.local 10.96.0.0/16"),
    "kube-dns": Set(objects=_kube_dns("10.96.0.10")),
    "kube-dns-headless": Set(objects=_kube_dns("None")),
    "two": Set(addresses=("192.0.2.53", "2001:db8::53")),
    "ttl0": Set("ttl 0", ttl=0),
    "ttl30": Set("ttl 30", ttl=30),
    "ttl3600": Set("ttl 3600", ttl=3600),
    "only-shop": Set("namespaces shop"),
    "shop-ghost": Set("namespaces shop ghost"),
    "open": Set("namespace_labels tier=open"),
    "labels": Set("labels app=x"),
    "fallthrough": Set("fallthrough"),
    "fallthrough-svc": Set("fallthrough svc.cluster.local"),
    "unsynced": Set("startup_timeout 100ms", hang=(None,)),
    "unsynced-fallthrough": Set("startup_timeout 100ms\nfallthrough", hang=(None,)),
    "half-synced": Set("startup_timeout 1s", hang=("endpointslices",)),
    "multicluster": Set("multicluster clusterset.local", zones="cluster.local clusterset.local", scenarios=("cluster", "multicluster"),
                        objects=[kube.service_import("shop", "noips")]),
    "zonal": Set("zonal", scenarios=("cluster", "zonal"), objects=FAR),
    "zonal-off": Set(scenarios=("cluster", "zonal")),
    "ext": Set(external="headless", scenarios=WITH_EXTERNAL),
    "ext0": Set(external="", scenarios=WITH_EXTERNAL),
    "ext-apex": Set(external="headless\napex foo", scenarios=WITH_EXTERNAL),
    "ext-fallthrough": Set(external="headless\nfallthrough", scenarios=WITH_EXTERNAL),
    "ext-ttl": Set(external="headless\nttl 60", scenarios=WITH_EXTERNAL),
    "ext-unsynced": Set("startup_timeout 100ms", external="headless", scenarios=WITH_EXTERNAL, hang=(None,)),
}


# --- questions -------------------------------------------------------------------------------------

def _lines():
    with open(os.path.join(kube.DIR, "questions.txt"), encoding="utf-8") as f:
        for line in f:
            if not line.startswith("#"):
                yield line.rstrip("\n").replace("~", "cluster.local.").split("\t")


class Row:
    def __init__(self, id_, set_, name, qtype, expect):
        self.id, self.set, self.name, self.type, self.expect = id_, set_, name, qtype, expect
        self.cut = expect.endswith(" TC")
        self.rcode = {"NXD": "NXDOMAIN", "SF": "SERVFAIL", "REFUSED": "REFUSED"}.get(expect, "NOERROR")
        self.negative = expect in ("NXD", "NOD", "SF")
        self.own = expect not in ("NEXT", "REFUSED")
        text = expect.removesuffix(" TC") if self.own and not self.negative else ""
        answer, _, additional = text.partition(" + ")
        self.answer, self.additional = ([self._record(r) for r in part.split(" ; ") if r] for part in (answer, additional))
        if expect == "NEXT":
            self.answer = [f"{name} 60 A {BEHIND}"]

    def _record(self, text):
        """owner, ttl, type, data: what the rows leave out is filled in."""
        ttl, words = SETS[self.set].ttl, text.split(" ")
        if len(words) > 3 and words[0].endswith(".") and words[1].isdigit():
            return text
        if len(words) > 2 and words[0].endswith(".") and words[1] in ("A", "AAAA", "CNAME"):
            return " ".join([words[0], str(ttl), *words[1:]])
        return f"{self.name} {min(ttl, 300) if self.type == 'SOA' else ttl} {self.type} {text}"

    def soa(self):
        """What the authority section of a negative answer holds."""
        s = SETS[self.set]
        zone = max((z for z in s.zone_names if ("." + self.name.lower()).endswith("." + z)), key=len)
        external = s.external is not None and zone.rstrip(".") in EXTERNAL
        zone = self.name[len(self.name) - len(zone):]  # spelt as in the question
        ttl, names = (s.ttl, "ns1.dns.{0} hostmaster.dns.{0}") if external else (min(s.ttl, 300), "ns.dns.{0} hostmaster.{0}")
        return f"{zone} {ttl} SOA {names.format(zone)} * 7200 1800 86400 {s.ttl}"

    def __repr__(self):
        return f"{self.id}-{self.name.rstrip('.')[-60:]}-{self.type}"


def _rows(own):
    return [Row(i, s, n, t, ours[0] if own and ours else e) for i, s, n, types, e, *ours in _lines() for t in types.split(" ")]


ROWS, COREDNS_ROWS = _rows(True), _rows(False)


# --- answers ---------------------------------------------------------------------------------------

def texts(section):
    """Records in the order of the wire."""
    return [f"{s.name.to_text()} {s.ttl} {dns.rdatatype.to_text(s.rdtype)} {r.to_text()}" for s in section for r in s]


def _fits(have, want):
    """Equal texts; "*" stands for a serial: Unix seconds of late, or 0 where nothing has changed yet."""
    h, w = have.split(" "), want.split(" ")
    return len(h) == len(w) and all(x == y or (y == "*" and (x == "0" or abs(int(x) - time.time()) < 3600)) for x, y in zip(h, w))


def _same(have, want):
    return len(have) == len(want) and all(map(_fits, have, want))


def check(row, octets):
    assert octets is not None, f"{row.id}: no answer"
    m = wire.parse_apart(octets)
    answer, authority, additional = texts(m.answer), texts(m.authority), texts(m.additional)
    want = row.answer, row.additional, [row.soa()] if row.negative else []
    text = (f"{row.id} {row.name} {row.type}: {dns.rcode.to_text(m.rcode())} {dns.flags.to_text(m.flags)}\n {answer}\n {authority}\n "
            f"{additional}\nwant {row.expect}\n {want[0]}\n {want[2]}\n {want[1]}")
    assert dns.rcode.to_text(m.rcode()) == row.rcode, text
    ordered = list if any(" CNAME " in r for r in row.answer) else sorted
    assert _same(ordered(answer), ordered(row.answer)), text
    assert _same(sorted(additional), sorted(row.additional)), text
    assert _same(authority, want[2]), text
    assert m.question[0].name.to_text() == row.name and m.question[0].rdtype == dns.rdatatype.from_text(row.type), text
    assert bool(m.flags & dns.flags.AA) == row.own and m.flags & dns.flags.RD, text
    assert bool(m.flags & dns.flags.TC) == row.cut, text
    assert not row.own or not m.flags & dns.flags.RA, text


# --- the world around ------------------------------------------------------------------------------

def outside(q):
    """What stands behind `forward`. A name that nobody should ask it for gets an address by which that is seen."""
    who = q.name.lower()
    address, flags = {"api.example.test.": ("192.0.2.50", 0), "tc.example.test.": ("192.0.2.51", 0x0200),
                      "lb.cloud.test.": ("198.51.100.7", 0)}.get(who, (BEHIND, 0))
    if who == "gone.example.test.":
        return q.reply(rcode=3)
    return q.reply(record(b"\xc0\x0c", 1, socket.inet_aton(address)), flags=0x8180 | flags) if q.type == 1 else q.reply()


def settled(w, s):
    """All has arrived that will."""
    if not s.hang:
        return kube.is_ready(w)
    return None in s.hang or kube.answers(w, "web.shop.svc.cluster.local") == ["10.96.1.10"]


class World:
    """Servers for the sets, each begun when it is first asked for. start(corefile) begins the server under test: a
    Process with port["dns"]."""

    def __init__(self, start):
        self.start, self.nets, self.running, self.apis = start, {}, {}, []

    def net(self, addresses):
        if addresses not in self.nets:
            net = Netns(*addresses)
            self.nets[addresses] = net, net.run(Resolver, outside)
        return self.nets[addresses]

    def server(self, name):
        if name not in self.running:
            s = SETS[name]
            net, resolver = self.net(s.addresses)
            api = net.run(lambda: kube.KubeApi(kube.scenario(*s.scenarios) + s.objects).start())
            self.apis.append(api)
            for what in s.hang:
                api.fault(what, kube.faults.hang(), times=None)
            text = kube.corefile(api, s.options, s.zones, f"{s.more()}\nforward . 127.0.0.1:{resolver.port}")
            w = self.running[name] = net.run(self.start, text)
            net.run(wait_for, lambda: settled(w, s))
        return self.running[name]

    def ask(self, row):
        w = self.server(row.set)
        net, _ = self.net(SETS[row.set].addresses)
        q = wire.query(row.name, row.type, qid=7)
        octets = net.run(wire.udp, w.port["dns"], q, 5.0)
        if octets and octets[2] & 2 and not row.cut:
            octets = net.run(wire.tcp, w.port["dns"], q, 5.0)
        return octets

    def close(self):
        for w in self.running.values():
            w.__exit__(None, None, None)
        for api in self.apis:
            api.close()
        for net, resolver in self.nets.values():
            resolver.stop()
            net.close()
