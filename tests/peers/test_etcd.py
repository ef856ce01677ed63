"""etcd: the same answers as CoreDNS from the same store, record for record and in the same order; first the
conformance data, then stores made up at random."""
import itertools
import json
import os
import random

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import etcd
import etcd_rows
import pytest
import wire
from server import Waypost, wait_for

COREFILE = """.:{dns} {
    errors
    etcd %s {
        endpoint %s
%s
    }
    forward . 127.0.0.1:%d
}
"""
SECTIONS = ("answer", "authority", "additional")
TYPES = ["A", "AAAA", "SRV", "TXT", "MX", "CNAME", "PTR", "NS", "SOA", "HINFO", "ANY"]


# --- telling answers apart ------------------------------------------------------------------------


def view(octets):
    """What is compared: rcode, flags, and each section in the order of the wire."""
    m = dns.message.from_wire(octets, one_rr_per_rrset=True)
    asked = m.question[0].name

    def records(s):
        """An owner that is the question name may be a pointer to it: then it is spelled like it."""
        return [asked.to_text() + t[t.index(" "):] if rr.name == asked else t
                for rr, t in zip(s, etcd_rows.section(s))]
    return {"rcode": dns.rcode.to_text(m.rcode()), "flags": dns.flags.to_text(m.flags),
            "question": m.question[0].to_text(),
            **{s: records(getattr(m, s)) for s in SECTIONS}}


def ask(port, name, rtype):
    return wire.tcp(port, wire.query(name, rtype, qid=11), timeout=10)


def difference(name, rtype, w, c):
    a, b = view(ask(w, name, rtype)), view(ask(c, name, rtype))
    bad = [k for k in a if a[k] != b[k]]
    if bad == ["answer"] or bad == ["additional"] or bad == ["answer", "additional"]:
        if all(_ttl_slack(a[k], b[k]) for k in bad):
            return None
    if not bad or intended(name, rtype, a, b):
        return None
    def first(k):
        """From the first record that differs."""
        at = next((i for i, (x, y) in enumerate(zip(a[k], b[k])) if x != y), min(len(a[k]), len(b[k]))) if k in SECTIONS else 0
        return f"    {k}: waypost {a[k][at:at + 8]}\n    {' ' * len(k)}  coredns {b[k][at:at + 8]}"
    return f"{name} {rtype}\n" + "\n".join(first(k) for k in bad)


def _ttl_slack(a, b):
    """Leases count down between the two questions."""
    return etcd_rows.same(a, b, 2)


def intended(name, rtype, a, b):
    """deploy/DIFFERENCES.md."""
    if b["rcode"] == "SERVFAIL" and a["rcode"] != "SERVFAIL":
        return "D-etcd-malformed" if MALFORMED else None
    if rtype == "SRV" and name.startswith("_") and b["rcode"] == "NXDOMAIN":
        return "D-etcd-service"
    return None


MALFORMED = False


def run(member, coredns, options="", zones=etcd_rows.ZONES):
    """Both servers on the store."""
    with etcd_rows.resolver() as r:
        text = COREFILE % (zones, member.url, options, r.port)
        with Waypost(text) as w, Waypost(text, binary=coredns) as c:
            wait_for(lambda: "watching" in w.output())
            yield w.port["dns"], c.port["dns"]


@pytest.fixture(scope="module")
def member():
    with etcd.Member() as m:
        yield m


def ancestors(names):
    out = set()
    for n in names:
        labels = n.split(".")
        out.update(".".join(labels[i:]) for i in range(len(labels) - 1))
    return out


def names_of(keys):
    return [".".join(reversed([p for p in k[len("/skydns/"):].split("/") if p])) for k in keys]


# --- the conformance data, whole -------------------------------------------------------------------


def test_conformance_data(member, coredns):
    global MALFORMED
    c = member.client
    c.delete_prefix("/skydns/")
    keys = []
    for name, data in etcd_rows.data_sets().items():
        if name == "BAD":
            continue
        for key, _, value in data:
            c.put(key, value)
            keys.append(key)
    # below way.test everything answers at once, with weights that say so; ask everything there is
    names = sorted(ancestors(names_of(keys)) | {"absent.way.test", "*.al.way.test", "i1.*.prod.east.way.test", "any.test"})
    MALFORMED = False
    bad, n = [], 0
    for w, cd in run(member, coredns):
        for name, rtype in itertools.product(names, TYPES):
            n += 1
            bad.append(difference(name, rtype, w, cd))
    bad = [b for b in bad if b]
    assert n > 1500
    assert not bad, f"{len(bad)} of {n} differ\n" + "\n".join(bad[:8])


# --- leases ---------------------------------------------------------------------------------------

LEASES = [5, 29, 31, 100, 3600, 90000, 200000]
IDS = [(7 << 32) | 0xfffffff0, (1 << 62) | 0x80000000, (9 << 32) | 1, 4711]


@pytest.mark.parametrize("options", ["", "min-lease-ttl 10\nmax-lease-ttl 50s", "min-lease-ttl 2h\nmax-lease-ttl 1h", "max-lease-ttl 0"])
def test_leases(member, coredns, options):
    """What is left of a lease is the TTL, between bounds, whatever the lease's number and the TTL beside it."""
    c = member.client
    c.delete_prefix("/skydns/")
    names, leases = [], []
    for n, (left, own) in enumerate(itertools.product(LEASES, (0, 20, 400))):
        leases.append(c.grant(left + 1, IDS[n % len(IDS)] + (n << 40) if n < 12 else 0))
        c.put(f"/skydns/test/way/l{n}/i", json.dumps({"host": "192.0.2.9", "port": 1, **({"ttl": own} if own else {})}), leases[-1])
        names.append(f"l{n}.way.test")
    bad = []
    for w, cd in run(member, coredns, options=options):
        wait_for(lambda: all("300" not in str(view(ask(w, n, "A"))["answer"]) for n in names[:1]))
        wait_for(lambda: difference(names[-1], "A", w, cd) is None)  # the last one was asked for
        bad = [difference(name, rtype, w, cd) for name in names for rtype in ("A", "SRV", "MX")]
    for lease in leases:
        c.revoke(lease)
    assert not any(bad), "\n".join(b for b in bad if b)


# --- made up ----------------------------------------------------------------------------------------

LABELS = ["a", "b", "a-b", "c", "x1", "x10", "x2", "dns", "apex", "ns", "_tcp", "_a", "*"]


def random_host(rnd):
    kind = rnd.randrange(10)
    if kind < 4:
        return f"192.0.2.{rnd.randrange(1, 20)}"
    if kind < 5:
        return rnd.choice(["2001:db8::%x", "2001:DB8::%x", "::ffff:192.0.2.%d"]) % rnd.randrange(1, 9)
    if kind < 8:
        return ".".join(rnd.choice(LABELS[:8]) for _ in range(rnd.randrange(1, 3))) + rnd.choice([".way.test", ".way.test.", ".Way.Test"])
    return rnd.choice(["ext.partner.example", "al.partner.example.", "gone.partner.example", "way.test", "h.za.test"])


def random_value(rnd):
    v = {}
    if rnd.random() < 0.9:
        v["host"] = random_host(rnd)
    if rnd.random() < 0.15:
        v["text"] = rnd.choice(["t1", "t2", "x" * 255, "quo\"te", "semi;colon", "a" * 300])
    if rnd.random() < 0.5:
        v["port"] = rnd.choice([0, 80, 8080, -1, 65535, 65537])
    if rnd.random() < 0.3:
        v["priority"] = rnd.choice([0, 1, 10, 20, 65536, -1])
    if rnd.random() < 0.3:
        v["weight"] = rnd.choice([0, 1, 50, 97, 100, 193, 1000, -5])
    if rnd.random() < 0.3:
        v["mail"] = rnd.random() < 0.8
    if rnd.random() < 0.2:
        v["ttl"] = rnd.choice([0, 1, 60, 4000])
    if rnd.random() < 0.2:
        v["targetstrip"] = rnd.choice([0, 1, 2, 9])
    if rnd.random() < 0.15:
        v["group"] = rnd.choice(["g1", "g2"])
    return v


def random_store(rnd):
    store = {}
    for _ in range(rnd.randrange(10, 50)):
        zone = rnd.choice(["test/way", "test/way", "test/way", "test/za"])
        depth = rnd.randrange(1, 4)
        key = f"/skydns/{zone}/" + "/".join(rnd.choice(LABELS) for _ in range(depth)) + ("/" if rnd.random() < 0.03 else "")
        store[key] = json.dumps(random_value(rnd))
    return store


@pytest.mark.parametrize("seed", range(int(os.environ.get("WAYPOST_SEEDS", "8"))))
def test_random_stores(member, coredns, seed):
    global MALFORMED
    MALFORMED = False
    rnd = random.Random(seed)
    c = member.client
    bad, n = [], 0
    c.delete_prefix("/skydns/")
    for w, cd in run(member, coredns, options=rnd.choice(["", "fallthrough"])):
        for _ in range(6):
            c.delete_prefix("/skydns/")
            store = random_store(rnd)
            for key, value in store.items():
                c.put(key, value)
            c.put("/skydns/test/zg", '{"text":"%d"}' % n)
            wait_for(lambda: ('"%d"' % n) in str(view(ask(w, "zg.test", "TXT"))["answer"]))
            names = sorted(ancestors(names_of(store)))
            names += [rnd.choice(["*", "any", "q"]) + "." + x for x in rnd.sample(names, min(5, len(names)))]
            asked = rnd.sample(list(itertools.product(names, TYPES)), min(150, len(names) * len(TYPES)))
            for name, rtype in asked:
                n += 1
                d = difference(name, rtype, w, cd)
                if d:
                    bad.append(d + "\n    " + " ".join(f"{k}={v}" for k, v in store.items() if name.split(".")[0] in k or True)[:3000])
    assert n > 300
    assert not bad, f"{len(bad)} of {n} differ\n" + "\n".join(bad[:3])

