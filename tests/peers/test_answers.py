"""Beside a real CoreDNS 1.15.0 on the same Corefile: the same answers, or a difference that is meant and
has its row in deploy/DIFFERENCES.md."""
import importlib
import os
import pkgutil

import pytest

import cases
import intended
from compare import ask_both, differences
from server import TOP, Process, Waypost, wait_for

ALL = {f"{m.name}-{name}": case for m in pkgutil.iter_modules(cases.__path__)
       for name, case in importlib.import_module(f"cases.{m.name}").CASES.items()}


def run_both(case, coredns):
    with Waypost(case["corefile"], files=case.get("files")) as w:
        xports = {**w.port}
        with Waypost(case["corefile"], files=case.get("files"), binary=coredns,
                     ports={k: v for k, v in xports.items() if k.startswith("x")}) as c:
            yield w, c


@pytest.mark.parametrize("name", ALL)
def test_same_answers(name, coredns):
    case = ALL[name]
    bad, n = [], 0
    for w, c in run_both(case, coredns):
        for q in case["questions"]():
            n += 1
            diff = differences(*ask_both(q, w.port["dns"], c.port["dns"]))
            left = [d for d in diff if intended.row(name, q, d, diff) is None]
            if left:
                bad.append(f"{q}\n" + "\n".join(f"    {k}: waypost {a}\n    {' ' * len(k)}  coredns {b}" for k, a, b in left))
    assert n > 0
    assert not bad, f"{len(bad)} of {n} questions differ\n" + "\n".join(bad[:12])


def test_enough_questions():
    assert len(ALL) >= 60
    assert sum(len(list(c["questions"]())) for c in ALL.values()) >= 3000


def test_every_intended_difference_has_its_row():
    with open(os.path.join(TOP, "deploy/DIFFERENCES.md")) as f:
        text = f.read()
    for row in intended.ROWS:
        assert f"| {row} |" in text, row


__all__ = ["Process", "wait_for"]
