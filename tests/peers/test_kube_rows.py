"""The questions over a cluster, asked of CoreDNS itself: what the rows expect is what it answers."""
import kube_rows
import kube_spec
import pytest
from kube import KubeApi
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
        yield w.port["dns"]


@pytest.mark.parametrize("row", kube_spec.MUST + kube_spec.DEPARTS, ids=lambda r: f"{r[0]}-{r[1]}-{r[2]}")
def test_specification(spec_port, row):
    kube_spec.check(spec_port, row)
