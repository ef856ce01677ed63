"""kubernetes, k8s_external: the questions of tests/scenario/kubernetes/questions.txt, each set of options on a server of its own."""
import kube_rows
import pytest
from server import Waypost


@pytest.fixture(scope="module")
def world():
    w = kube_rows.World(Waypost)
    yield w
    w.close()


@pytest.mark.parametrize("row", kube_rows.ROWS, ids=repr)
def test_row(world, row):
    kube_rows.check(row, world.ask(row))
