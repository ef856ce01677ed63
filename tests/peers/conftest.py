import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fake"))
import kube_cluster  # noqa: E402
import peers  # noqa: E402


@pytest.fixture(scope="session")
def coredns():
    return peers.coredns()


@pytest.fixture(scope="session")
def kube():
    """A cluster with everything in it."""
    with kube_cluster.loaded(peers.kube_apiserver(), peers.etcd37()) as k:
        yield k
