"""kubernetes, k8s_external: the questions of tests/scenario/kubernetes/questions.txt, each set of options on a server of its own."""
import kube_rows
import pytest
from server import Waypost


# Where waypost differs on purpose (deploy/DIFFERENCES.md): D-kube-hidden, D-kube-case.
OURS = {"K171": "NXD", "K228": "ns.dns.Cluster.local. + ns.dns.Cluster.local. A 192.0.2.53", "K229": "192.0.2.53"}


@pytest.fixture(scope="module")
def world():
    w = kube_rows.World(Waypost)
    yield w
    w.close()


@pytest.mark.parametrize("row", kube_rows.ROWS, ids=repr)
def test_row(world, row):
    ours = OURS.get(row.id, row.expect)
    kube_rows.check(kube_rows.Row(row.id, row.set, row.name, row.type, ours), world.ask(row))
