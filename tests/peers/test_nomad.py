"""Beside CoreDNS 1.15.0 over one Nomad: with `negative coredns` the same records in the same order, letters included, cut at the same place;
the same is logged and counted of them."""
import re

import nomads
import pytest
import wire
from server import Waypost, wait_for

CONF = """service.nomad:{dns} nomad:{dns} {
    log
    errors
    debug
    prometheus 127.0.0.1:{metrics}
    nomad service.nomad {
        address %s
        ttl 17
        %s
    }
}
"""
NAMES = ["solo.default", "web.default", "web.ops", "six.default", "dual.default", "same.default", "mapped.default", "host.default",
         "zero.default", "tagged.default", "mixed.default", "nope.default", "solo.ops", "solo.missing", "x.y.solo.default",
         "solo.default.extra", "wide.default", "wider.default", "a b.default", "a\"b.default", "-.-", "_x._tcp.solo.default", "*.default",
         "solo.*", "solo", "", "x" * 63 + ".default", "solo." + "y" * 63]
TYPES = ["A", "AAAA", "SRV", "TXT", "MX", "NS", "SOA", "CNAME", "ANY", "HTTPS", "PTR", "TYPE65280"]
SPELLINGS = [str, str.upper, str.title, str.swapcase]


@pytest.fixture(scope="module")
def both(coredns):
    with nomads.region() as n:
        n.register_all([dict(name="wide", address=f"10.9.0.{i}", port=i) for i in range(1, 29)])
        n.register_all([dict(name="wider", address=f"2001:db8::{i:x}", port=i) for i in range(1, 300)])
        with Waypost(CONF % (n.url, "negative coredns")) as ours, Waypost(CONF % (n.url, ""), binary=coredns) as theirs:
            wait_for(lambda: nomads.answer(ours, "solo.default").rcode == "NOERROR")
            yield ours, theirs


def ask(w, octets, tcp):
    return (wire.tcp if tcp else wire.udp)(w.port["dns"], octets, 5.0)


@pytest.mark.parametrize("qtype", TYPES)
def test_same_replies(both, qtype):
    """Without EDNS, which has differences of its own."""
    different, n = [], 0
    for name in NAMES:
        for spell in SPELLINGS:
            for tcp in (False, True):
                q = wire.query(spell(f"{name}.service.nomad".lstrip(".")), qtype, qid=7, flags=0x0100)
                ours, theirs = (nomads.read(ask(w, q, tcp)) for w in both)
                n += 1
                if ours != theirs:
                    different.append((spell(name), tcp, ours, theirs))
    assert n == len(NAMES) * 8
    assert not different, "\n".join(map(str, different[:3])) + f"\n... {len(different)}"


def test_same_sizes_in_the_log(both):
    """Replies of nomad are compressed in CoreDNS, too: that is what it counts."""
    def sizes(w):
        return re.findall(r'"(SRV|A|TXT) IN ([a-z.]+) tcp \d+ false 65535" (\w+) (\S+) (\d+) ', w.output())
    names = [f"{n}.service.nomad" for n in ("solo.default", "same.default", "host.default", "nope.default", "wide.default", "wider.default")]
    before = [len(sizes(w)) for w in both]
    for name in names:
        for qtype in ("A", "SRV", "TXT"):
            for w in both:
                ask(w, wire.query(name, qtype), True)
    for w, n in zip(both, before):
        wait_for(lambda: len(sizes(w)) == n + 3 * len(names))
    assert sorted(sizes(both[0])[before[0]:]) == sorted(sizes(both[1])[before[1]:])


def test_same_counts(both):
    """Questions by namespace, as far as there are such namespaces."""
    def counts(w):
        server = "dns://:%d" % w.port["dns"]
        return [nomads.metric(w, f'coredns_nomad_{kind}_requests_total{{namespace="{ns}",server="{server}"}}')
                for kind in ("success", "failed") for ns in ("default", "ops")]

    def rises(w):
        before = counts(w)
        for name in ("solo.default", "nope.default", "web.ops", "solo.ops", "host.default", "solo"):
            for qtype in ("A", "AAAA", "SRV", "MX"):
                ask(w, wire.query(name + ".service.nomad", qtype), False)
        return [b - a for a, b in zip(before, counts(w))]
    assert rises(both[0]) == rises(both[1])


def test_same_debug_lines(both):
    lines = []
    for w in both:
        ask(w, wire.query("SOLO.Ops.service.nomad"), False)
        want = "[DEBUG] plugin/nomad: Looking up record for svc: solo namespace: ops"
        wait_for(lambda: want in w.output())
        lines.append(want)
    assert lines[0] == lines[1]


# What both refuse, and the words for it.
BAD = ["ttl -1", "ttl 3601", "ttl abc", "ttl", "ttl 1 2", "Invalid_Property x", "address", "address :x:", "token", "token a b", "filter",
       "filter a b", "ttl 99999999999999999999"]


@pytest.mark.parametrize("line", BAD)
def test_same_errors(coredns, line):
    said = []
    for binary in (None, coredns):
        with Waypost("service.nomad:{dns} {\n nomad {\n  %s\n }\n}\n" % line, binary=binary, wait=False) as w:
            assert w.wait() == 1
            text = next(t for t in w.output().splitlines() if "nomad" in t)
            said.append(re.sub(r"^plugin/nomad: (plugin/nomad: |\S+:\d+ - Error during parsing: )", "", text).split("': ")[0])
    assert said[0] == said[1]
