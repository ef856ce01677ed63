"""The questions over a cluster, asked of CoreDNS itself: what the rows expect is what it answers."""
import kube
import kube_rows
import kube_spec
import pytest
from kube import KubeApi, ask, kube_api  # noqa: F401
from server import Waypost, wait_for


class CoreDns(Waypost):
    """CoreDNS in the place of waypost."""

    def wait_ready(self):
        wait_for(lambda: "CoreDNS-" in self.output(), 30)
        return super().wait_ready()


@pytest.fixture(scope="module")
def world(coredns):
    w = kube_rows.World(lambda text: CoreDns(text, binary=coredns))
    yield w
    w.close()


@pytest.mark.parametrize("row", kube_rows.COREDNS_ROWS, ids=repr)
def test_row(world, row):
    kube_rows.check(row, world.ask(row))


@pytest.fixture(scope="module")
def spec_port(coredns):
    with KubeApi(kube_spec.OBJECTS) as api, kube_spec.resolver() as behind, CoreDns(kube_spec.corefile(api, behind), binary=coredns) as w:
        wait_for(lambda: kube.is_ready(w))
        yield w.port["dns"]


@pytest.mark.parametrize("row", kube_spec.MUST + kube_spec.DEPARTS, ids=lambda r: f"{r[0]}-{r[1]}-{r[2]}")
def test_specification(spec_port, row):
    kube_spec.check(spec_port, row)


# --- where we depart from it over input that is bad -------------------------------------------------

BAD_PORT = b'{"metadata":{"name":"bad","namespace":"shop"},"spec":{"ports":[{"port":"80"}]}}'
ODD = {  # what a service's spec says: (our data of A, CoreDNS's; None: no reply)
    "None beside others": ({"clusterIPs": ["10.96.9.9", "None"]}, ["10.96.9.9"], ["10.96.9.9", "None."]),
    "no address": ({"clusterIPs": None, "clusterIP": ""}, [], ["."]),
    "empty labels": ({"type": "ExternalName", "externalName": "a..b"}, [], None),
}


def data(w, name):
    m = ask(w, name + ".shop.svc.cluster.local")
    return m and sorted(r.to_text() for s in m.answer for r in s)


@pytest.fixture
def both(coredns, kube_api):  # noqa: F811
    text = kube.corefile(kube_api)
    with Waypost(text) as ours, CoreDns(text, binary=coredns) as theirs:
        wait_for(lambda: kube.is_ready(ours) and kube.is_ready(theirs))
        yield kube_api, ours, theirs


def test_one_bad_object(both):  # D-kube-bad-object
    api, ours, theirs = both
    api.put(kube.service("shop", "bad"), BAD_PORT)
    api.put(kube.service("shop", "later", ("10.96.9.9",)))
    wait_for(lambda: data(ours, "later") == ["10.96.9.9"])
    wait_for(lambda: "cannot unmarshal string" in theirs.output())
    assert data(theirs, "later") == [] and data(theirs, "web") == data(ours, "web") == ["10.96.1.10"]


@pytest.mark.parametrize("what", ODD)
def test_odd_values(both, what):  # D-kube-absurd
    api, ours, theirs = both
    spec, want, coredns_says = ODD[what]
    obj = kube.service("shop", "odd", ("10.96.9.9",))
    api.put({**obj, "spec": {**obj["spec"], **spec}})
    api.put(kube.service("shop", "after", ("10.96.9.8",)))
    for w in (ours, theirs):
        wait_for(lambda w=w: data(w, "after") == ["10.96.9.8"])
    assert data(ours, "odd") == want and data(theirs, "odd") == coredns_says
