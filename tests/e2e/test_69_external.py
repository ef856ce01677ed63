"""k8s_external: its zone given away, freshness through a cache, what its lines may say."""
import subprocess

import dns.name
import dns.rdatatype
import dns.zone
import kube
import pytest
import wire
import xfr
from server import WAYPOST, wait_for

ZONE = "ext.example"
UPSTREAM = "hosts {\n198.51.100.7 lb.cloud.test\nfallthrough\n}"


def gateway(api, options="headless", more=""):
    return kube.gateway(api, more=f"k8s_external {ZONE} 113.0.203.in-addr.arpa {{\n{options}\n}}\ntransfer {{\nto *\n}}\n{UPSTREAM}\n{more}")


@pytest.fixture(scope="module")
def api():
    with kube.cluster("cluster", "external") as api:
        yield api


@pytest.fixture(scope="module")
def given(api):
    """(records as texts, the server)"""
    with gateway(api) as w:
        yield xfr.axfr(w.port["dns"], ZONE).texts(), w


def at(texts, name):
    owner = f"{name}.{ZONE}. "
    return sorted(" ".join(t.split(" ")[2:]) for t in texts if t.startswith(owner))


def test_frame(given):
    texts, _ = given
    assert texts[0] == texts[-1] and texts[0].startswith(f"{ZONE}. 5 SOA ns1.dns.{ZONE}. hostmaster.dns.{ZONE}. ")
    assert texts[1] == f"{ZONE}. 5 NS ns1.dns.{ZONE}."
    assert len(texts) - 1 == len(set(texts))


@pytest.mark.parametrize("name, want", [
    ("lb.shop", ["A 203.0.113.10", f"SRV 0 50 443 lb.shop.{ZONE}.", f"SRV 0 50 80 lb.shop.{ZONE}."]),
    ("_https._tcp.lb.shop", [f"SRV 0 100 443 lb.shop.{ZONE}."]),
    ("xip.shop", ["A 203.0.113.20", f"SRV 0 100 80 xip.shop.{ZONE}."]),
    ("lbn.shop", ["CNAME lb.cloud.test."]),
    ("_http._tcp.lbn.shop", ["SRV 0 100 80 lb.cloud.test."]),
    ("db-0.db.shop", ["A 10.244.4.1"]),
    ("web.shop", []),
    ("quiet.shop", []),
])
def test_records(given, name, want):
    assert at(given[0], name) == want


def test_every_record_is_what_a_question_gives(given):
    texts, w = given
    asked = 0
    for text in set(texts[1:-1]):
        owner, _, rtype, data = text.split(" ", 3)
        if rtype == "CNAME":
            continue  # the addresses that it leads to come with it
        answers = kube.answers(w, owner.rstrip("."), rtype)
        assert data in answers, text
        asked += 1
    assert asked > 20


def test_it_is_a_zone(given):
    """As a secondary reads it: no alias beside other data."""
    lines = "\n".join(given[0][:-1])
    zone = dns.zone.from_text(lines, origin=ZONE, relativize=False)
    for _, node in zone.nodes.items():
        kinds = {r.rdtype for r in node.rdatasets}
        assert dns.rdatatype.CNAME not in kinds or len(kinds) == 1


def test_only_what_shows(api):
    with gateway(api, "") as w:
        texts = xfr.axfr(w.port["dns"], ZONE).texts()
        assert at(texts, "lb.shop") and not at(texts, "db.shop")
        reply = wire.parse(wire.tcp(w.port["dns"], xfr.ixfr(ZONE, int(texts[0].split(" ")[5]))))
        assert len(reply.answer) == 1 and reply.answer[0].rdtype == dns.rdatatype.SOA
        assert wire.rcode(wire.tcp(w.port["dns"], wire.query("lb.shop." + ZONE, "AXFR"))) == 5


def test_a_change_is_seen_through_the_cache():
    with kube.cluster("cluster", "external") as api, gateway(api, more="cache 30") as w:
        assert kube.answers(w, f"fresh.shop.{ZONE}") == [] == kube.answers(w, f"fresh.shop.{ZONE}")
        assert kube.answers(w, "99.113.0.203.in-addr.arpa", "PTR") == []
        api.put(kube.service("shop", "fresh", ["10.96.9.9"], externalIPs=["203.0.113.99"]))
        wait_for(lambda: kube.answers(w, f"fresh.shop.{ZONE}") == ["203.0.113.99"])
        assert kube.answers(w, "99.113.0.203.in-addr.arpa", "PTR") == [f"fresh.shop.{ZONE}."]
        api.delete("Service", "shop", "fresh")
        wait_for(lambda: kube.answers(w, f"fresh.shop.{ZONE}") == [])
        assert kube.answers(w, "99.113.0.203.in-addr.arpa", "PTR") == []


@pytest.mark.parametrize("line, error", [
    ("ttl 3601", "ttl must be in range [0, 3600]: 3601"),
    ("ttl -1", "ttl must be in range [0, 3600]: -1"),
    ("ttl", "Wrong argument count"),
    ("apex", "Wrong argument count"),
    ("apex a..b", "'a..b' is no domain name"),
    ("headless x", "Wrong argument count"),
    ("zones a", "unknown property 'zones'"),
])
def test_bad_lines(tmp_path, line, error):
    conf = tmp_path / "Corefile"
    conf.write_text(f"example.org {{\n kubernetes cluster.local\n k8s_external {{\n  {line}\n }}\n}}\n")
    r = subprocess.run([WAYPOST, "check", "-conf", conf], capture_output=True, text=True, timeout=30)
    assert r.returncode != 0 and error in r.stderr and ":4" in r.stderr


def test_without_kubernetes(tmp_path):
    conf = tmp_path / "Corefile"
    conf.write_text("example.org {\n k8s_external\n}\n")
    r = subprocess.run([WAYPOST, "check", "-conf", conf], capture_output=True, text=True, timeout=30)
    assert r.returncode != 0 and "kubernetes plugin not loaded" in r.stderr
