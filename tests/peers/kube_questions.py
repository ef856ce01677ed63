"""Questions about a cluster's objects: every name that they make, what is beside and below it, and addresses backwards."""
import ipaddress
import itertools
import random

from asker import Question
from etcd_questions import fits, spelled
from kube_corefiles import OPTIONS
from kube_store import IMPORTED, STRAY

MAIN = ("A", "AAAA", "SRV")
REST = ("CNAME", "TXT", "MX", "NS", "SOA", "PTR", "ANY", "HTTPS")
ODD = ("SVCB", "DS", "DNSKEY", "NAPTR", "CAA", "HINFO", "TYPE65280", "DNAME", "LOC")


def text(name):
    return tuple(x.encode() for x in name.rstrip(".").split(".") if x)


def dashed(address):
    out = address.replace(".", "-").replace(":", "-")
    return out + "0" if out.endswith("-") else out


def backwards(address):
    return text(ipaddress.ip_address(address).reverse_pointer)


class Names:
    """Of a list of objects: {kind of name: [labels left of the zone]}; `reverse` are whole names."""

    def __init__(self, objects):
        self.slices, self.by = {}, {k: {} for k in ("service", "port", "endpoint", "below", "pod", "space", "import", "zonal", "external", "fixed")}
        self.reverse, self.strays = {}, {}
        for o in objects:
            if o["kind"] == "EndpointSlice":
                labels = o["metadata"].get("labels", {})
                for key in ("kubernetes.io/service-name", IMPORTED):
                    if key in labels:
                        self.slices.setdefault((o["metadata"]["namespace"], labels[key]), []).append(o)
        for o in objects:
            getattr(self, "of_" + o["kind"].lower(), lambda o: None)(o)
        for t in ("", "svc", "pod", "dns", "ns.dns", "x.ns.dns", "dns-version", "x.dns-version", "nope", "svc.svc", "x.y.z.svc", "nope.svc", "nope.nope.svc", "*.svc", "any.any.svc",
                  "nope.pod", "10-1-2-3.nope.pod", "a.b.c.d.shop.svc", "_tcp.svc", "apex.dns", "_http._tcp.svc"):
            self.add("fixed", text(t))
        for t in ("10.in-addr.arpa", "96.10.in-addr.arpa", "in-addr.arpa", "ip6.arpa", "1.244.10.in-addr.arpa", "0.0.0.0.in-addr.arpa", "300.1.244.10.in-addr.arpa", "x.1.244.10.in-addr.arpa",
                  "01.1.96.10.in-addr.arpa", "0.0.d.f.ip6.arpa", "dns-version.in-addr.arpa", "dns-version.ip6.arpa", "ns.dns.in-addr.arpa", "svc.in-addr.arpa", "shop.svc.in-addr.arpa",
                  "web.shop.svc.in-addr.arpa", "10-1-2-3.shop.pod.ip6.arpa", "1.1.1.1.1.96.10.in-addr.arpa", "0.ip6.arpa"):
            self.reverse[text(t)] = None
        self.known = {k: list(v) for k, v in self.by.items()}
        self.reversed, self.stray = list(self.reverse), list(self.strays)

    def add(self, kind, *names):
        for labels in names:
            if all(labels):
                self.by[kind][labels] = None

    def back(self, address):
        if address.replace(":", "").replace(".", "").isalnum() and not address[0] in "ghijklmnopqrstuvwxyz":
            name = backwards(address)
            self.reverse.update(dict.fromkeys((name, (b"1",) + name, name[1:], (b"x", b"y", b"z") + name)))

    def of_namespace(self, o):
        n = o["metadata"]["name"].encode()
        self.add("space", (n, b"svc"), (n, b"pod"), (n,), (b"x", n, b"svc"), (b"10-9-8-7", n, b"pod"), (b"fd00--1", n, b"pod"), (b"10-9-8-07", n, b"pod"), (b"x", b"10-9-8-7", n, b"pod"))

    def of_service(self, o):
        m, spec = o["metadata"], o["spec"]
        ns, name = m["namespace"].encode(), m["name"].encode()
        base = (name, ns, b"svc")
        self.add("service", base)
        self.add("external", (name, ns), (b"x", name, ns), (b"x", b"y", name, ns), (b"a", b"b", b"c", name, ns), (b"_http", b"_tcp", name, ns), (ns,))
        self.ports(base, spec.get("ports", []), "port", (name, ns))
        for s in self.slices.get((m["namespace"], m["name"]), []):
            self.ports(base, s["ports"], "port", (name, ns))
            for e in s["endpoints"]:
                for label in self.endpoints(e):
                    self.add("endpoint", (label, *base))
                    self.add("external", (label, name, ns))
                    self.add("below", (b"x", label, *base), (b"_http", b"_tcp", label, *base))
                for how in ("pin", "prefer"):
                    self.add("zonal", text(f"{e.get('zone', 'nowhere')}.{how}._zone") + base)
        self.add("zonal", *(text(t) + base for t in ("nowhere.pin._zone", "nowhere.prefer._zone", "eu-west-1a.pin._zone", "eu-west-1a.best._zone", "eu-west-1a._zone", "pin._zone", "_zone",
                                                     "x.eu-west-1a.prefer._zone", "_http._tcp.pin._zone")))
        self.add("below", *(text(t) + base for t in ("_tcp", "_._tcp", "_http._", "_._", "bogus", "*", "a.b.c", "_nope._tcp", "http.tcp", "_HTTP._TCP", "__http._tcp", "a.b", "tcp", "_udp")))
        for a in [*spec.get("clusterIPs", []), *spec.get("externalIPs", []), *(i["ip"] for i in o.get("status", {}).get("loadBalancer", {}).get("ingress", []) if "ip" in i)]:
            if a != "None":
                self.back(a)

    def ports(self, base, ports, kind, short):
        for p in ports:
            n, t = (p.get("name") or "").encode(), p["protocol"].lower().encode()
            if len(n) < 60:
                self.add(kind, (b"_" + n, b"_" + t, *base), (b"_" + n, b"_tcp", *base), (b"_" + n, t, *base))
                self.add("external", (b"_" + n, b"_" + t, *short))

    @staticmethod
    def endpoints(e):
        """Labels that it has, or might have had."""
        out = [dashed(a) for a in e["addresses"] if len(dashed(a)) < 64] + [e.get("hostname", ""), e.get("targetRef", {}).get("name", "")]
        return [x.encode() for x in out if x and "." not in x and len(x) < 64]

    def of_endpointslice(self, o):
        for e in o["endpoints"]:
            for a in e["addresses"] if o["addressType"] != "FQDN" else []:
                if STRAY in o["metadata"]["labels"]:
                    self.strays[backwards(a)] = None
                else:
                    self.back(a)

    def of_pod(self, o):
        ns = o["metadata"]["namespace"].encode()
        for i in o.get("status", {}).get("podIPs", []):
            label = i["ip"].replace(".", "-").replace(":", "-").encode()
            d = dashed(i["ip"]).encode()
            self.add("pod", (label, ns, b"pod"), (d, ns, b"pod"), (label, b"infra", b"pod"), (b"x", label, ns, b"pod"), (b"x", b"y", label, ns, b"pod"), (b"x", b"y", b"z", label, ns, b"pod"))
            self.back(i["ip"])

    def of_serviceimport(self, o):
        m = o["metadata"]
        ns, name = m["namespace"].encode(), m["name"].encode()
        base = (name, ns, b"svc")
        if name == b"homeless":
            return
        self.add("import", base, (b"bogus", *base), (b"db-0", *base), (b"db-0", b"east", *base), (b"_http", b"_tcp", *base), (b"x", b"east", *base))
        self.ports(base, o["spec"].get("ports", []), "import", (name, ns))
        for s in self.slices.get((m["namespace"], m["name"]), []):
            c = s["metadata"]["labels"].get("multicluster.kubernetes.io/source-cluster")
            for e in s["endpoints"] if c else []:
                self.add("import", *((label, c.encode(), *base) for label in self.endpoints(e)), *((label, b"west", *base) for label in self.endpoints(e)))


# what a block is asked: kinds of names, and how often
MIX = {"service": 6, "port": 3, "endpoint": 4, "below": 3, "pod": 3, "space": 1, "fixed": 1, "reverse": 3}
MORE = {"zonal": {"zonal": 8}, "multi": {"import": 9}, "multinone": {"import": 9}, "multizonal": {"import": 5, "zonal": 5}, "external": {"external": 22}, "headless": {"external": 22},
        "verified": {"pod": 6}, "ttl3600": {"pod": 4}, "autopath": {"service": 10}, "plain": {"zonal": 1}}
SILENT = 8  # questions about slices without a service, of which each costs a wait for CoreDNS
SEARCH = ("svc.cluster.local", "cluster.local", "shop.svc.cluster.local", "infra.svc.cluster.local")


def zones_of(block, kind):
    zones = [z for z in OPTIONS[block][0].split() if "arpa" not in z and "/" not in z]
    zones = [z for z in zones if z != "."] + (["", "local"] if "." in zones else [])
    if kind == "import":
        return [z for z in zones if z.startswith(("cluster", "east"))][1:] or zones
    if kind == "external":
        return ["ext.test", "ext.test", "lb.test"]
    return zones


APEX = ("", "dns", "ns1.dns", "x.dns", "ns", "ns1.ns", "ns2.ns", "nope", "a.b.c.d.e.f")


def named(r, names, block, kind):
    """A whole name."""
    if kind == "reverse":
        return r.choice(names.reversed)
    if kind == "external" and r.random() < 0.08:
        return text(r.choice(APEX)) + text(r.choice(zones_of(block, kind)))
    labels = r.choice(names.known[kind])
    zone = r.choice(zones_of(block, kind))
    if block == "autopath" and r.random() < 0.6:  # as a client of the search list asks first
        return labels[:r.choice([1, 2, 3])] + text(r.choice(SEARCH))
    return labels + text(zone)


def asked(r, labels, qtype):
    q = Question(labels, qtype)
    kind = r.random()
    if kind < 0.45:
        q.tcp = True
    elif kind < 0.9:
        q.size = r.choice([1232, 1232, 512])
    q.do = q.size is not None and r.random() < 0.1
    q.flags = r.choice([0x0100] * 8 + [0x0000, 0x0110])
    return q


def one(r, names, block):
    mix = {**MIX, **MORE.get(block, {})}
    kind = r.choices(list(mix), list(mix.values()))[0]
    labels = named(r, names, block, kind)
    if r.random() < 0.1:
        labels = spelled(r, labels)
    types = ("PTR",) * 4 + MAIN if kind == "reverse" else MAIN * 3
    qtype = r.choice(types + REST + (r.choice(ODD),)) if r.random() < 0.5 else r.choice(types)
    if not fits(labels):
        return None
    q = asked(r, labels, qtype)
    q.mute = block == "root" and qtype == "PTR"  # D-kube-root
    return q


def questions(seed, names, block, count):
    """`count` different ones; those of "plain" and "external" begin with every service."""
    r, out = random.Random(f"{seed} {block}"), {}
    if block == "plain":
        for labels, qtype in [*itertools.product(names.known["service"], MAIN), *itertools.product(names.known["fixed"], MAIN + REST)]:
            q = Question(labels + text("cluster.local"), qtype, tcp=True)
            out[q.key] = q
    if block == "external":
        for labels, qtype in itertools.product(names.known["service"], ("A", "SRV")):
            q = Question(labels[:2] + text("ext.test"), qtype, tcp=True)
            out[q.key] = q
    if block in ("plain", "multi"):
        for labels in r.sample(names.stray, SILENT):
            q = Question(labels, "PTR")
            q.mute = True
            out[q.key] = q
    while len(out) < count:
        q = one(r, names, block)
        if q is not None:
            out.setdefault(q.key, q)
    return list(out.values())


def some(r, names, count):
    """Different ones about all that these objects make, over TCP."""
    out = {}
    known = {k: v for k, v in names.known.items() if v and k != "fixed"}
    for _ in range(count):
        kind = r.choice([*known, "reverse"])
        zone = {"external": "ext.test", "import": "clusterset.local"}.get(kind, "cluster.local")
        labels = r.choice(known[kind]) + text(zone) if kind != "reverse" else r.choice(names.reversed)
        if fits(labels):
            q = Question(labels, r.choice(MAIN * 2 + REST) if kind != "reverse" else "PTR", tcp=True)
            out[q.key] = q
    return list(out.values())
