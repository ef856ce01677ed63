"""The record tables of the Kubernetes DNS specification 1.1.0 (github.com/kubernetes/dns, docs/specification.md) with its
own examples: what must exist, and where CoreDNS 1.15.0 departs from it. TTLs, priorities and weights are not prescribed."""
import ipaddress
import socket

import dns.rcode
import dns.rdatatype
import kube
import wire
from kube_rows import Resolver, record

ZONES = "cluster.local in-addr.arpa ip6.arpa"
KUBE, HEADLESS = "kubernetes.default.svc.cluster.local.", "headless.default.svc.cluster.local."


def reverse(address):
    return ipaddress.ip_address(address).reverse_pointer + "."


OBJECTS = [
    kube.namespace("default"),
    kube.service("default", "kubernetes", ("10.3.0.1", "2001:db8::1"), port=("https/TCP/443", "dns/UDP/53")),
    kube.service("default", "unnamed", ("10.3.0.2",), port=("/TCP/8000",)),
    kube.service("default", "headless", port=("https/TCP/443", "metrics/TCP/9100")),
    kube.endpoint_slice("default", "headless", [kube.endpoint("10.3.0.100", hostname="my-pet"), kube.endpoint("10.3.0.101", hostname="my-pet-2"),
                                                kube.endpoint("10.3.0.102", hostname="my-pet-2"), "10.3.0.103",
                                                kube.endpoint("10.3.0.104", ready=False, hostname="sick-pet")],
                        port=("https/TCP/443", "metrics/TCP/9100")),
    kube.endpoint_slice("default", "headless", [kube.endpoint("2001:db8::100", hostname="my-pet"), "2001:db8::103"],
                        port=("https/TCP/443", "metrics/TCP/9100"), name="headless-2"),
    kube.service("default", "plain", port=("/TCP/8000",)),
    kube.endpoint_slice("default", "plain", [kube.endpoint("10.3.0.110", hostname="only")], port=("/TCP/8000",)),
    kube.service("default", "idle"),
    kube.endpoint_slice("default", "idle", [kube.endpoint("10.3.0.120", ready=False)]),
    {**kube.service("default", "tolerant"), "metadata": kube.meta("default", "tolerant", annotations={
        "service.alpha.kubernetes.io/tolerate-unready-endpoints": "true"})},
    kube.endpoint_slice("default", "tolerant", [kube.endpoint("10.3.0.130", ready=False)]),
    kube.external_name("default", "foo", "www.example.com"),
    kube.external_name("default", "within", KUBE),
    kube.external_name("default", "nowhere", "nobody.default.svc.cluster.local"),
    kube.external_name("default", "number", "192.0.2.9"),
]
PETS = {"my-pet": ("10.3.0.100", "2001:db8::100"), "my-pet-2": ("10.3.0.101", "10.3.0.102"), "10-3-0-103": ("10.3.0.103",),
        "2001-db8--103": ("2001:db8::103",)}


def _srv(port, name, pets=PETS):
    return [f"{name} SRV {port} {p}.{HEADLESS}" for p in pets]


# section, name, type, records that answer: "OWNER TYPE DATA", or an rcode
MUST = [
    ("2.2", "dns-version.cluster.local.", "TXT", ['dns-version.cluster.local. TXT "1.1.0"']),
    ("2.3.1", KUBE, "A", [f"{KUBE} A 10.3.0.1"]),
    ("2.3.1", KUBE, "AAAA", [f"{KUBE} AAAA 2001:db8::1"]),
    ("2.3.2", f"_https._tcp.{KUBE}", "SRV", [f"_https._tcp.{KUBE} SRV 443 {KUBE}"]),
    ("2.3.2", f"_dns._udp.{KUBE}", "SRV", [f"_dns._udp.{KUBE} SRV 53 {KUBE}"]),
    ("2.3.2", f"_https._udp.{KUBE}", "SRV", "NXDOMAIN"),
    ("2.3.2", "_8000._tcp.unnamed.default.svc.cluster.local.", "SRV", "NXDOMAIN"),
    ("2.3.3", reverse("10.3.0.1"), "PTR", [f"{reverse('10.3.0.1')} PTR {KUBE}"]),
    ("2.3.3", reverse("2001:db8::1"), "PTR", [f"{reverse('2001:db8::1')} PTR {KUBE}"]),
    ("2.4.1", HEADLESS, "A", [f"{HEADLESS} A {a}" for p in PETS.values() for a in p if ":" not in a]),
    ("2.4.1", HEADLESS, "AAAA", [f"{HEADLESS} AAAA {a}" for p in PETS.values() for a in p if ":" in a]),
    ("2.4.1", f"my-pet.{HEADLESS}", "A", [f"my-pet.{HEADLESS} A 10.3.0.100"]),
    ("2.4.1", f"my-pet.{HEADLESS}", "AAAA", [f"my-pet.{HEADLESS} AAAA 2001:db8::100"]),
    ("2.4.1", f"my-pet-2.{HEADLESS}", "A", [f"my-pet-2.{HEADLESS} A 10.3.0.101", f"my-pet-2.{HEADLESS} A 10.3.0.102"]),
    ("2.4.1", f"sick-pet.{HEADLESS}", "A", "NXDOMAIN"),
    ("2.4.1", "idle.default.svc.cluster.local.", "A", "NXDOMAIN"),
    ("2.4.1", "idle.default.svc.cluster.local.", "AAAA", "NXDOMAIN"),
    ("2.4.2", f"_https._tcp.{HEADLESS}", "SRV", _srv(443, f"_https._tcp.{HEADLESS}")),
    ("2.4.2", f"_metrics._tcp.{HEADLESS}", "SRV", _srv(9100, f"_metrics._tcp.{HEADLESS}")),
    ("2.4.2", HEADLESS, "SRV", _srv(443, HEADLESS) + _srv(9100, HEADLESS)),  # N endpoints times M ports
    ("2.4.2", "_8000._tcp.plain.default.svc.cluster.local.", "SRV", "NXDOMAIN"),
    *(("2.4.3", reverse(a), "PTR", [f"{reverse(a)} PTR {p}.{HEADLESS}"]) for p, addresses in PETS.items() for a in addresses),
    ("2.5", "foo.default.svc.cluster.local.", "A", ["foo.default.svc.cluster.local. CNAME www.example.com.", "www.example.com. A 192.0.2.53"]),
    ("2.5", "foo.default.svc.cluster.local.", "AAAA", ["foo.default.svc.cluster.local. CNAME www.example.com.", "www.example.com. AAAA 2001:db8::1"]),
    ("2.5", "within.default.svc.cluster.local.", "A", [f"within.default.svc.cluster.local. CNAME {KUBE}", f"{KUBE} A 10.3.0.1"]),
    ("2.1", "KUBERNETES.Default.SVC.Cluster.Local.", "A", ["KUBERNETES.Default.SVC.Cluster.Local. A 10.3.0.1"]),
    ("2.1", f"_HTTPS._Tcp.{HEADLESS.upper()}", "SRV", [r.replace(HEADLESS, "headless.default.svc.CLUSTER.LOCAL.")
                                                     for r in _srv(443, f"_HTTPS._Tcp.{HEADLESS.upper()}")]),
]
# What CoreDNS does in spite of the specification, and we as it does.
DEPARTS = [
    ("2.3.2", "unnamed.default.svc.cluster.local.", "SRV", ["unnamed.default.svc.cluster.local. SRV 8000 unnamed.default.svc.cluster.local."]),
    ("2.3.2", "_._tcp.unnamed.default.svc.cluster.local.", "SRV", ["_._tcp.unnamed.default.svc.cluster.local. SRV 8000 unnamed.default.svc.cluster.local."]),
    ("2.4.2", "plain.default.svc.cluster.local.", "SRV", ["plain.default.svc.cluster.local. SRV 8000 only.plain.default.svc.cluster.local."]),
    # the annotation is for those who write EndpointSlices: they set ready
    ("2.1", "tolerant.default.svc.cluster.local.", "A", "NXDOMAIN"),
    # no CNAME where its target inside the zone has nothing, or is no name
    ("2.5", "nowhere.default.svc.cluster.local.", "A", []),
    ("2.5", "number.default.svc.cluster.local.", "A", "NXDOMAIN"),
    ("2.5", "number.default.svc.cluster.local.", "CNAME", "NXDOMAIN"),
    # "must exist" for 1.0.1 and before: only with `pods insecure`
    ("2.6", "10-3-0-1.default.pod.cluster.local.", "A", "NXDOMAIN"),
]


def outside(q):
    data = {1: socket.inet_aton("192.0.2.53"), 28: socket.inet_pton(socket.AF_INET6, "2001:db8::1")}.get(q.type)
    if q.name.lower() != "www.example.com.":
        return q.reply(rcode=3)
    return q.reply(record(b"\xc0\x0c", q.type, data)) if data else q.reply()


def resolver():
    return Resolver(outside)


def corefile(api, behind):
    return kube.corefile(api, zones=ZONES, more=f"forward . 127.0.0.1:{behind.port}")


def _text(owner, r):
    if r.rdtype == dns.rdatatype.SRV:
        return f"{owner} SRV {r.port} {r.target}"
    return f"{owner} {dns.rdatatype.to_text(r.rdtype)} {r.to_text()}"


def check(port, row):
    _, name, qtype, want = row
    m = wire.parse(wire.tcp(port, wire.query(name, qtype)))
    have = sorted(_text(s.name, r) for s in m.answer for r in s)
    if isinstance(want, str):
        assert dns.rcode.to_text(m.rcode()) == want and not have, m
    else:
        assert dns.rcode.to_text(m.rcode()) == "NOERROR" and have == sorted(want), f"{m}\nwant {sorted(want)}"
    for s in m.additional:  # only what the answer speaks of
        targets = {r.target.to_text().lower() for a in m.answer for r in a if r.rdtype == dns.rdatatype.SRV}
        assert s.name.to_text().lower() in targets, m
