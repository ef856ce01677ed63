"""The Kubernetes DNS specification 1.1.0, table by table; see tests/lib/kube_spec.py."""
import kube_spec
import pytest
from kube import KubeApi, is_ready
from server import Waypost, wait_for


@pytest.fixture(scope="module")
def port():
    with KubeApi(kube_spec.OBJECTS) as api, kube_spec.resolver() as behind, Waypost(kube_spec.corefile(api, behind)) as w:
        wait_for(lambda: is_ready(w))
        yield w.port["dns"]


@pytest.mark.parametrize("row", kube_spec.MUST, ids=lambda r: f"{r[0]}-{r[1]}-{r[2]}")
def test_must(port, row):
    kube_spec.check(port, row)


@pytest.mark.parametrize("row", kube_spec.DEPARTS, ids=lambda r: f"{r[0]}-{r[1]}-{r[2]}")
def test_departs_as_coredns_does(port, row):
    kube_spec.check(port, row)
