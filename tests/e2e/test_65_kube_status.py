"""kubernetes: what `waypost status` tells of a cluster, in step and away."""
import kube
import pytest
from server import wait_for
from test_51_status import backend, status


@pytest.fixture
def api():
    with kube.cluster() as api:
        yield api


def told(w):
    (b,) = backend(status(w), "kubernetes")
    return b


def test_in_step(api):
    with kube.gateway(api, "pods verified") as w:
        b = wait_for(lambda: (lambda b: b["state"] == "in step" and b)(told(w)))
        assert b["server"] == api.url and b["behind_s"] == 0 and b["last_error"] is None
        assert [z["zone"] for z in b["zones"]] == ["cluster.local."]
        found = {r["resource"]: r for r in b["resources"]}
        assert set(found) == {"services", "endpointslices", "namespaces", "pods"}
        assert all(r["listed"] and r["watched"] and r["objects"] > 0 for r in found.values())
        n = found["services"]["objects"]
        api.put(kube.service("shop", "fresh", ["10.96.7.7"]))
        wait_for(lambda: {r["resource"]: r["objects"] for r in told(w)["resources"]}["services"] == n + 1)


def test_away(api):
    with kube.gateway(api) as w:
        wait_for(lambda: told(w)["state"] == "in step")
        api.stop()
        b = wait_for(lambda: (lambda b: b["last_error"] and b)(told(w)))
        assert b["state"] == "behind" and not any(r["watched"] for r in b["resources"])
        assert "refused" in b["last_error"] and b["last_error_time"]
        api.start()
        wait_for(lambda: told(w)["state"] == "in step", seconds=60)
