"""Beside CoreDNS 1.15.0 over the same API server, with the same Corefiles: thousands of questions about a cluster of more than 1,500 objects.
What is not the same must be a difference that is meant (deploy/DIFFERENCES.md)."""
import os

import kube_compare
import kube_corefiles
import kube_intended
import kube_questions
import pytest
from kube_cluster import access, both_started, files
from server import TOP

SEEDS = [int(s) for s in os.environ.get("WAYPOST_SEEDS", "1").split()]
SHARE = int(os.environ.get("WAYPOST_QUESTIONS", "70"))  # questions of the smallest share of a seed


@pytest.fixture(scope="module")
def both(kube, coredns):
    text = kube_corefiles.corefile(access(kube))
    w, c = both_started(text, text + kube_corefiles.twins(), files(kube), coredns)
    with w, c:
        yield w, c


@pytest.fixture(scope="module")
def names(kube):
    return kube_questions.Names(kube.objects)


@pytest.mark.parametrize("block", kube_corefiles.OPTIONS)
def test_same_answers(block, both, names, capsys):
    w, c = both
    compared = kube_compare.Compared(w.port, c.port)
    for seed in SEEDS:
        compared.compare(block, kube_questions.questions(seed, names, block, kube_corefiles.OPTIONS[block][3] * SHARE))
    with capsys.disabled():
        print(f"\n{block}: {compared}", end="")
    compared.check()


def test_enough():
    assert len(kube_corefiles.OPTIONS) >= 20
    assert SHARE * sum(o[3] for o in kube_corefiles.OPTIONS.values()) >= 5000


def test_objects_of_every_kind(kube):
    assert len(kube.objects) >= 1500
    assert {"Namespace", "Service", "EndpointSlice", "Pod", "ServiceImport"} <= {o["kind"] for o in kube.objects}


def test_every_intended_difference_has_its_row():
    with open(os.path.join(TOP, "deploy/DIFFERENCES.md")) as f:
        text = f.read()
    for row in kube_intended.ROWS:
        assert f"| {row} |" in text, row
