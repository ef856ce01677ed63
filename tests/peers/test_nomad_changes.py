"""nomad beside that of CoreDNS 1.15.0 over the same agents, with the same Corefiles (ours with `negative coredns`): answers, what
they are after each of many changes, and the order of records. What is not the same must be a difference that is meant."""
import collections
import os
import random

import pytest
from asker import Question, ask_all, ask_together, differences
from kube_cluster import both_started
from nomad_region import BLOCKS, TYPES, Region, about, corefile, labels, questions
from server import TOP, wait_for

SHARE = int(os.environ.get("WAYPOST_QUESTIONS", "70"))
CHANGES = 120
SLACK = {"cached": 60}  # each has its own cache
ROWS = ("D-nomad-suffix", "D-nomad-short", "D-nomad-negative", "D-owner-case")


@pytest.fixture(scope="module")
def region():
    with Region() as n:
        yield n.fill()


@pytest.fixture(scope="module")
def both(region, coredns):
    w, c = both_started(corefile(region, "negative coredns"), corefile(region), {}, coredns)
    with w, c:
        for block in BLOCKS:
            wait_for(lambda: same(w, c, block, [whole(block, *key, t) for key in region.names for t in ("A", "SRV")]) == [], 60, step=0.2)
        yield w, c


def whole(block, namespace, name, qtype):
    return Question(labels(name, namespace, BLOCKS[block][4]), qtype, tcp=True)


def compare(w, c, block, asked):
    """[(question, our reply, theirs)] of those that differ; where theirs is cut, both are asked again for all of it."""
    a, b = ask_together((w.port[block], asked, False), (c.port[block], asked, True))
    cut = [i for i, (x, y) in enumerate(zip(a, b)) if x is not None and y is not None and (x.tc or y.tc) and not asked[i].tcp]
    again = [asked[i].but(tcp=True) for i in cut]
    for i, x, y in zip(cut, *ask_together((w.port[block], again, False), (c.port[block], again, True))):
        assert a[i].tc == b[i].tc, f"{asked[i]}: only one is cut\n    waypost {a[i].text()}\n    coredns {b[i].text()}"
        a[i], b[i] = x, y
    return [(q, x, y) for q, x, y in zip(asked, a, b) if differences(x, y, SLACK.get(block, 1))]


def is_meant(c, block, q, ours, theirs):
    """Is the difference one that has a row?"""
    if None in (ours, theirs):
        return False
    if BLOCKS[block][0] == "." and len(q.labels) == 3 and theirs.rcode == 2:  # D-nomad-short: what it says where that is the zone
        return not differences(ours, ask_all(c.port["short"], [q], peer=True)[0])
    return block in SLACK and not differences(ours, theirs, SLACK[block], fold=True)  # D-owner-case: as somebody spelled it before


def same(w, c, block, asked):
    return [f"{block}: {q}\n    waypost {x and x.text()}\n    coredns {y and y.text()}" for q, x, y in compare(w, c, block, asked)
            if not is_meant(c, block, q, x, y)]


@pytest.mark.parametrize("block", BLOCKS)
def test_same_answers(region, both, block):
    asked = [about(random.Random(i), BLOCKS[block][4], *key) for i, key in enumerate(region.names)]
    asked += questions(random.Random(block), region.names, block, SHARE * BLOCKS[block][5])
    bad = same(*both, block, asked)
    assert not bad, f"{len(bad)} of {len(asked)} differ\n" + "\n".join(bad[:10])


def test_names_outside(region, both):
    """CoreDNS counts labels from the right, whatever they are."""
    w, c = both
    asked = [Question(labels(name), t) for name in ("www.corp.example.com", "a.b.c.d", "web.default.service.nomas") for t in TYPES]
    for q, ours, theirs in zip(asked, *ask_together((w.port["root"], asked, False), (c.port["root"], asked, True))):
        assert (ours.rcode, ours.sections) == (2, ([], [], [])), ours.text()
        assert theirs.rcode != 2, theirs.text()


def test_every_change_is_seen(region, both):
    w, c = both
    r = random.Random(5)
    blocks = [b for b in BLOCKS if b not in ("cached", "ttl3600")]
    for i in range(CHANGES):
        namespace, name = region.change()
        block = r.choice(blocks)
        asked = [whole(block, namespace, name, t) for t in TYPES]
        wait_for(lambda: same(w, c, block, asked) == [], 30, step=0.02)
        if i % 20 == 19:  # nothing else has changed
            asked = [whole(block, *key, t) for key in region.names for t in ("A", "SRV")]
            wait_for(lambda: same(w, c, block, asked) == [], 30, step=0.05)


def test_enough():
    assert len(BLOCKS) >= 6 and SHARE * sum(b[5] for b in BLOCKS.values()) >= 1000 and CHANGES >= 100


def test_many_kinds_of_answers(region, both):
    """The questions are about something."""
    asked = questions(random.Random(3), region.names, "plain", 600)
    rcodes = collections.Counter(a.rcode for a in ask_all(both[0].port["plain"], asked))
    assert all(rcodes[n] >= 30 for n in (0, 2, 3)), rcodes


def test_every_intended_difference_has_its_row():
    with open(os.path.join(TOP, "deploy/DIFFERENCES.md"), encoding="utf-8") as f:
        text = f.read()
    for row in ROWS:
        assert f"| {row} |" in text, row
