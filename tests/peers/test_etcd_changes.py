"""While keys change: after each change our answers are those of CoreDNS, which asks etcd for each question. And what `waypost register` writes is
answered alike."""
import json
import random

import etcd
import etcd_store
import pytest
from asker import Question, ask_all, ask_together, differences
from server import WAYPOST, Process, Waypost, wait_for

CHANGES = 300
KEYS = 40  # so many are never reached: D-etcd-limit is another test's subject
TYPES = ("A", "AAAA", "SRV", "TXT", "MX", "CNAME", "PTR", "CAA")
COREFILE = """.:{dns} {
    etcd way.test other.test {
        endpoint %s
    }
}
"""
LABELS = ("a", "b", "c", "*", "dns", "apex")


@pytest.fixture
def both(coredns):
    with etcd.Member() as m:
        text = COREFILE % m.url
        with Waypost(text) as w, Waypost(text, binary=coredns) as c:
            yield m.client, w.port["dns"], c.port["dns"], m.url


def value(r):
    text = etcd_store.value(r).replace(".partner.example", ".other.test").replace(".zd.test", ".way.test")
    return text


def a_change(r, client, keys):
    """Some puts and deletes, one by one, in one transaction or by the end of a lease; the paths that were touched."""
    touched = {}
    for _ in range(r.choice([1, 1, 1, 3, 12])):
        path = r.choice(["/test/way/", "/test/way/", "/test/other/"]) + "/".join(r.choice(LABELS) for _ in range(r.randrange(1, 5)))
        gone = r.random() < len(keys) / KEYS
        touched[r.choice(list(keys)) if gone else path] = None if gone else value(r)
    puts = [("/skydns" + p, v) for p, v in touched.items() if v is not None]
    deletes = ["/skydns" + p for p, v in touched.items() if v is None]
    kind = r.randrange(4)
    if kind == 0:
        client.txn(puts, deletes)
    elif kind == 1 and puts:
        lease = client.grant(1000)
        for key, v in puts:
            client.put(key, v, lease)
        for key in deletes:
            client.delete(key)
        if r.random() < 0.5:
            client.revoke(lease)
            touched.update({key[len("/skydns"):]: None for key, _ in puts})
    elif kind == 2 and r.random() < 0.1:
        top = r.choice(list(touched)).rpartition("/")[0]
        client.delete_prefix("/skydns" + top + "/")
        for p in [p for p in keys if p.startswith(top + "/")]:
            touched[p] = None
        touched = {p: None if p.startswith(top + "/") else keys.get(p) for p in touched}
    else:
        for key, v in puts:
            client.put(key, v)
        for key in deletes:
            client.delete(key)
    for p, v in touched.items():
        keys.pop(p, None)
        if v is not None:
            keys[p] = v
    return list(touched)


def questions(r, paths):
    """The names of the paths, what is above, and a wildcard."""
    out = {}
    for path in paths:
        labels = tuple(x.encode() for x in reversed(path.split("/")[1:]))
        for i in range(len(labels) - 1):
            out[labels[i:]] = None
        out[(b"*",) + labels[1:]] = None
    for labels in out:
        for qtype in r.sample(TYPES, 3) if len(labels) > 2 else ("TXT",):
            yield Question(labels, qtype, tcp=True)


def settled(client, port, n):
    """waypost has seen what came before."""
    client.put("/skydns/test/other/settled", json.dumps({"text": f"change {n}"}))
    probe = [Question((b"settled", b"other", b"test"), "TXT")]
    wait_for(lambda: b"change %d" % n in ask_all(port, probe)[0].sections[0][0][4] if ask_all(port, probe)[0].sections[0] else False, step=0.001)




def only_ttls(a, b):
    return bool(differences(a, b, 2)) and not differences(a, b, 1 << 33)


def test_each_change_is_answered(both, capsys):
    client, ours, theirs, _ = both
    r, keys, asked, bad = random.Random(7), {}, 0, []
    for n in range(CHANGES):
        paths = a_change(r, client, keys)
        settled(client, ours, n)
        those = list(questions(r, paths))
        a, b = ask_together((ours, those, False), (theirs, those, True))
        asked += len(those)
        if any(only_ttls(x, y) for x, y in zip(a, b)):  # what is left of a new lease is asked for in a moment
            wait_for(lambda: not any(only_ttls(x, y) for x, y in zip(*ask_together((ours, those, False), (theirs, those, True)))))
        for q, x, y in zip(those, a, b):
            if differences(x, y, 2) and not only_ttls(x, y):
                bad.append(f"change {n}: {q}\n    waypost {x and x.text()}\n    coredns {y and y.text()}")
    with capsys.disabled():
        print(f"\netcd: {CHANGES} changes, {asked} questions")
    assert asked > 5 * CHANGES
    assert not bad, f"{len(bad)} differ\n" + "\n".join(bad[:8])


def test_what_register_writes(both):
    client, ours, theirs, url = both
    runs = (["api.way.test", "192.0.2.1", "8080"], ["api.way.test", "192.0.2.2", "8081", "--tag", "blue", "--priority", "5", "--weight", "70"],
            ["api.way.test", "2001:db8::1", "8080", "--ttl", "60"], ["x.api.way.test", "192.0.2.3", "0", "--text", "a note"])
    processes = [Process([WAYPOST, "register", *args, "--endpoint", url]) for args in runs]
    try:
        wait_for(lambda: len(client.get("/skydns/", etcd.prefix_end("/skydns/"))) == len(runs) + 1)  # one with its tag
        settled(client, ours, 0)
        names = ("api.way.test", "blue.api.way.test", "x.api.way.test", "way.test", "*.way.test", "nope.api.way.test")
        those = [Question(tuple(n.encode().split(b".")), t, tcp=True) for n in names for t in TYPES]
        wait_for(lambda: not any(differences(a, b, 1) for a, b in zip(*ask_together((ours, those, False), (theirs, those, True)))))  # leases are asked for
    finally:
        for p in processes:
            assert p.stop() == 0, p.output()
            p.dir.cleanup()
    settled(client, ours, 1)
    for q, a, b in zip(those, *ask_together((ours, those, False), (theirs, those, True))):
        assert not differences(a, b), f"{q}: {a.text()} {b.text()}"
