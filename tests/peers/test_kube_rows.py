"""The rows of questions over a cluster, asked of CoreDNS itself: what they expect is what it answers."""
import kube_rows
import pytest
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


@pytest.mark.parametrize("row", kube_rows.ROWS, ids=repr)
def test_row(world, row):
    kube_rows.check(row, world.ask(row))
