"""Nomad and Kubernetes in one process and one server block; zones of Nomad of any depth."""
import kube
import nomads
import pytest
import wire
from server import Waypost, wait_for

COREFILE = """.:{dns} {
    errors
    ready 127.0.0.1:{ready}
    kubernetes cluster.local {
        endpoint KUBE
    }
    nomad nomad {
        address NOMAD
        ttl 10
    }
    cache 30
}
service.nomad:{dns} {
    nomad {
        address NOMAD
    }
}
svc.dc1.example.org:{dns} {
    nomad svc.dc1.example.org {
        address NOMAD
    }
}
"""


@pytest.fixture(scope="module")
def both():
    with nomads.region() as n, kube.KubeApi([kube.namespace("shop"), kube.service("shop", "web", ["10.1.0.1"])]) as k:
        with Waypost(COREFILE.replace("KUBE", k.url).replace("NOMAD", " ".join(n.urls))) as w:
            names = ("redis.default.nomad", "web.shop.svc.cluster.local", "web.ops.service.nomad", "web.ops.svc.dc1.example.org")
            wait_for(lambda: all(answers(w, name) for name in names))
            yield w


def answers(w, name):
    m = wire.parse(wire.udp(w.port["dns"], wire.query(name), timeout=10))
    return sorted(r.to_text() for s in m.answer for r in s)


@pytest.mark.parametrize("name, want", [
    pytest.param("redis.default.nomad", ["192.168.29.76"], id="001-3-a-resolver-for-nomad"),
    pytest.param("solo.default.nomad", ["10.1.0.3"], id="001-4-nomad"),
    pytest.param("web.shop.svc.cluster.local", ["10.1.0.1"], id="001-4-kubernetes"),
    pytest.param("web.ops.nomad", ["10.2.0.1"], id="001-12-one-label"),
    pytest.param("web.ops.service.nomad", ["10.2.0.1"], id="001-12-two-labels"),
    pytest.param("web.ops.svc.dc1.example.org", ["10.2.0.1"], id="001-12-four-labels"),
    pytest.param("WeB.oPs.NOMAD", ["10.2.0.1"], id="001-12-any-case"),
])
def test_names(both, name, want):
    assert answers(both, name) == want
