"""kubernetes, k8s_external: the questions of tests/scenario/kubernetes/questions.txt, each set of options on a server of its own."""
import urllib.request

import kube
import kube_rows
import pytest
from kube import ask, kube_api  # noqa: F401
from server import Waypost, wait_for


@pytest.fixture(scope="module")
def world():
    w = kube_rows.World(Waypost)
    yield w
    w.close()


@pytest.mark.parametrize("row", kube_rows.ROWS, ids=repr)
def test_row(world, row):
    kube_rows.check(row, world.ask(row))


def test_other_types_ask_nobody(world):
    """HTTPS for a service with an external name: no data, and nobody outside is asked."""
    row = next(r for r in kube_rows.ROWS if r.id == "K108")
    _, resolver = world.net(kube_rows.SELF)
    kube_rows.check(row, world.ask(row))
    assert not [q for q in resolver.asked if q.type == 65]
    before = len(resolver.asked)
    kube_rows.check(row, world.ask(row))
    assert len(resolver.asked) == before


@pytest.mark.parametrize("row", ["K219-web.shop.svc.cluster.local-A"])
def test_without_an_api_server(kube_api, row):  # noqa: F811
    with kube.gateway(kube_api) as w:
        wait_for(lambda: kube.answers(w, "web.shop.svc.cluster.local") == ["10.96.1.10"])
        kube_api.stop()
        url = f"http://127.0.0.1:{w.port['ready']}/ready"
        wait_for(lambda: "Failed to watch" in w.output() or "connect" in w.output().lower())
        assert kube.answers(w, "web.shop.svc.cluster.local") == ["10.96.1.10"]
        assert ask(w, "nope.shop.svc.cluster.local").rcode() == 3
        assert urllib.request.urlopen(url, timeout=5).status == 200
