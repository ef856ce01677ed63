"""Zones of a cluster transferred from CoreDNS and from waypost, side by side: the same records."""
import kube_transfer
import pytest
import wire
from server import Waypost
from test_kube_rows import CoreDns


@pytest.fixture(scope="module")
def worlds(coredns):
    both = kube_transfer.World(Waypost), kube_transfer.World(lambda text: CoreDns(text, binary=coredns))
    yield both
    for w in both:
        w.close()


def test_differences(worlds):
    """D-kube-transfer-cluster, D-kube-transfer-reverse, D-kube-transfer-origin."""
    ours, theirs = (w.axfr("multicluster", "clusterset.local").texts() for w in worlds)
    assert "10-1-0-2.hl.shop.svc.clusterset.local. 5 A 10.1.0.2" in theirs and "10-1-0-2.c1.hl.shop.svc.clusterset.local. 5 A 10.1.0.2" in ours
    assert {t.replace(".c1.hl.", ".hl.") for t in kube_transfer.own(ours)} == set(kube_transfer.own(theirs))
    ours, theirs = (w.axfr("reverse", "96.10.in-addr.arpa").texts() for w in worlds)
    assert "web.shop.svc.96.10.in-addr.arpa. 5 A 10.96.1.10" in theirs and "10.1.96.10.in-addr.arpa. 5 PTR web.shop.svc.cluster.local." in ours
    q = wire.query("svc.cluster.local", "AXFR")
    assert [wire.rcode(w.tcp("base", q)) == 0 for w in worlds] == [False, True]


def sets():
    return [s for s in kube_transfer.SETS if s not in ("multicluster", "reverse")]


@pytest.mark.parametrize("name", sets())
def test_same_records(worlds, name):
    ours, theirs = (w.axfr(name).texts() for w in worlds)
    assert sorted(set(kube_transfer.own(ours))) == sorted(set(kube_transfer.own(theirs)))
    for t in ours, theirs:
        assert " SOA " in t[0] and t[0] == t[-1] and " NS " in t[1]
