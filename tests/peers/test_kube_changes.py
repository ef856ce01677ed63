"""While a cluster changes: after each change our answers are those of CoreDNS, which keeps none of them; ours come from a cache as well."""
import os
import random

import kube_compare
import kube_intended
import kube_questions
import pytest
from asker import ask_together
from kube_changes import Cluster, Markers
from kube_cluster import both_started, files
from kube_corefiles import PARTNER

SPACES = ("c1", "c2", "c3")
CHANGES = int(os.environ.get("WAYPOST_CHANGES", "220"))
SEED = int(os.environ.get("WAYPOST_SEED", "7"))
ASKED = 24
ZONES = "cluster.local clusterset.local in-addr.arpa ip6.arpa"
BLOCK = """.:{%s} {
 errors
 %s
 k8s_external ext.test {
  headless
 }
 kubernetes %s {
  kubeconfig {dir}/%s
  pods verified
  zonal
  multicluster clusterset.local
  startup_timeout 20s
 }
 %s
}
"""
OURS = BLOCK % ("plain", "", ZONES, "token", PARTNER) + BLOCK % ("cached", "cache 30", ZONES, "token", PARTNER)
THEIRS = BLOCK % ("plain", "", ZONES, "token", PARTNER)
ANY = 1 << 33


@pytest.fixture(scope="module")
def markers(kube):
    return Markers(kube.client)


@pytest.fixture(scope="module")
def cluster(kube):
    return Cluster(kube.client, kube.store, SPACES, SEED)


@pytest.fixture
def both(kube, coredns, markers):
    w, c = both_started(OURS, THEIRS, files(kube), coredns)
    with w, c:
        yield w, c


def about(r, objects):
    return kube_questions.some(r, kube_questions.Names(objects), ASKED)


def slices_of(cluster, touched):
    """With what names of theirs lead to."""
    own = {(o["metadata"]["namespace"], o["metadata"]["name"]) for o in touched if o["kind"] in ("Service", "ServiceImport")}
    return [o for k, o in cluster.objects.items() if k[0] == "EndpointSlice" and (k[1], str(o["metadata"]["labels"].get("kubernetes.io/service-name"))) in own]


def is_hidden(ours, theirs, gone):
    """D-kube-hidden: PTR names what is in namespaces that are gone; ours does not."""
    hidden = [r for r in theirs.sections[0] if r[1] == 12 and any(b"%c%s\3svc" % (len(n), n.encode()) in r[4] for n in gone)]
    left = set(theirs.sections[0]) - set(hidden)
    return bool(hidden) and {(r[0], r[4]) for r in ours.sections[0]} == {(r[0], r[4]) for r in left} and ours.rcode == (0 if left else 3)


def is_younger(cached, reply):
    """What comes from a cache has the least of its TTLs, or less."""
    return all(x[3] <= max(r[3] for r in s) for mine, s in zip(cached.sections, reply.sections) for x in mine)


def differing(w, c, questions, gone):
    """What is answered otherwise by any block of ours."""
    plain, cached, theirs = ask_together((w.port["plain"], questions, False), (w.port["cached"], questions, False), (c.port["plain"], questions, True))
    out = []
    for q, p, k, t in zip(questions, plain, cached, theirs):
        for what, reply, slack in (("plain", p, 1), ("cached", k, ANY)):
            same = not kube_compare.unlike(reply, t, slack) and (what == "plain" or is_younger(reply, t))
            if not same and not (reply and t and (is_hidden(reply, t, gone) or kube_intended.row("headless", q, reply, t, slack))):
                out.append(f"{what}: {q}\n{kube_compare.told(reply, t)}")
    return out


def test_each_change_is_answered(both, cluster, markers, capsys):
    w, c = both
    r, asked, bad, counts = random.Random(SEED), 0, [], {}
    for n in range(CHANGES):
        before = about(r, list(cluster.objects.values())[-12:]) if cluster.objects else []
        kind, touched = cluster.change()
        counts[kind] = counts.get(kind, 0) + 1
        markers.settle(w.port["plain"], w.port["cached"], c.port["plain"])
        those = before + about(r, touched + slices_of(cluster, touched))
        asked += len(those)
        bad += [f"change {n}, {kind}: {x}" for x in differing(w, c, those, set(SPACES) - set(cluster.spaces))]
    with capsys.disabled():
        print(f"\n{CHANGES} changes, {asked} questions: {counts}", end="")
    assert asked > 10 * CHANGES
    assert not bad, f"{len(bad)} differ\n" + "\n".join(bad[:10])
