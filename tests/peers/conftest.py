import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import peers  # noqa: E402


@pytest.fixture(scope="session")
def coredns():
    return peers.coredns()
