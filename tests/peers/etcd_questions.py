"""Questions about a store of keys: every name in it, what is above, below and beside it, and ways to ask."""
import bisect
import itertools
import random
import re

from asker import Question

MAIN = ["A", "AAAA", "SRV", "TXT", "MX", "CNAME", "PTR", "NS", "SOA"]
MORE = ["ANY", "CAA", "HTTPS", "SVCB", "DS", "DNSKEY", "NAPTR", "LOC", "TYPE65280", "HINFO", "SPF", "TLSA", "DNAME", "NSEC", "RRSIG", "AXFR"]
MOST_KEYS = 100  # CoreDNS follows all their aliases; the whole of the zones is the subject of test_etcd.py
MISSING = (b"absent", b"zz-none", b"q", b"_http", b"a", b"1")


def fits(labels):
    return all(0 < len(x) < 64 for x in labels) and sum(len(x) + 1 for x in labels) + 1 <= 255


def labels_of(path):
    """The name that leads to a key, if a question can hold it: elements are labels' presentation text."""
    return tuple(re.sub(rb"\\(\d\d\d|.)", lambda m: bytes([int(m[1]) & 255]) if len(m[1]) == 3 else m[1], p.lower(), flags=re.S)
                 for p in reversed(path.split(b"/")) if p)


def names_of(keys):
    """All names of keys and what is above them, most common first."""
    out = {}
    for k in keys:
        labels = labels_of(k.path)
        for i in range(len(labels) - 1):
            if fits(labels[i:]):
                out[labels[i:]] = out.get(labels[i:], 0) + 1
    return list(out)


def spelled(r, labels):
    return tuple(bytes(c ^ 32 if 65 <= c & 0xDF <= 90 and r.random() < 0.5 else c for c in x) for x in labels)


def beside(r, labels):
    """A name near this one."""
    kind = r.randrange(10)
    if kind < 2:
        return (r.choice(MISSING),) + labels
    if kind < 3 and len(labels) > 2:
        return (r.choice(MISSING),) + labels[1:]
    if kind < 6 and len(labels) > 2:
        at = r.randrange(len(labels) - 1)
        return labels[:at] + (r.choice([b"*", b"any"]),) + labels[at + 1:]
    if kind < 7:
        return (r.choice([b"*", b"any"]),) + labels
    if kind < 8:
        return (b"_" + labels[0][:50], r.choice([b"_tcp", b"_udp", b"_TCP", b"_sctp"])) + labels[1:]
    if kind < 9 and len(labels) > 3:
        return (labels[0] + r.choice([b"/", b"//", b".", b" ", b"\\"]) + labels[1],) + labels[2:]
    return spelled(r, labels)


def asked(r, labels, qtype):
    """One way to ask it."""
    q = Question(labels, qtype)
    kind = r.random()
    if kind < 0.35:
        return q
    if kind < 0.5:
        q.tcp = True
    elif kind < 0.6:
        q.tcp, q.size = True, 1232
    elif kind < 0.95:
        q.size = r.choice([512, 512, 700, 1232, 1232, 4096, 65535, 0, 100])
    if q.size is not None:
        q.do = r.random() < 0.25
    q.flags = r.choice([0x0100] * 8 + [0x0000, 0x0110, 0x0120, 0x0130])
    if r.random() < 0.01:
        q.qclass = r.choice([3, 255, 4, 254])
    return q


class Below:
    """What a question makes CoreDNS read."""

    def __init__(self, keys):
        self.keys = sorted((([p for p in k.path.split(b"/") if p], k) for k in keys), key=lambda k: k[0])

    def of(self, labels):
        """The keys at and below the name, above its wildcards."""
        want = [x.lower() for x in reversed(labels)]
        stem = next((want[:i] for i, x in enumerate(want) if x in (b"*", b"any")), want)
        first = bisect.bisect_left(self.keys, stem, key=lambda k: k[0][:len(stem)])
        return [k for _, k in self.keys[first:bisect.bisect_right(self.keys, stem, key=lambda k: k[0][:len(stem)])]]

    def matching(self, labels):
        """Of those, which the wildcards match."""
        want = [x.lower() for x in reversed(labels)]
        return [k for k in self.of(labels) if all(w in (b"*", b"any", p) for w, p in itertools.zip_longest(
            want, [p for p in k.path.split(b"/") if p][:len(want)]))]


# what rows are about that chance may not bring
ALWAYS = [Question((b"90", b"zl", b"test"), "SRV", size=4096), Question((b"30", b"zl", b"test"), "AXFR", tcp=True), Question((b"long", b"zl", b"test"), "A"),
          Question((b"I007", b"90", b"Zl", b"test"), "SRV"), Question((b"_30", b"_tcp", b"zl", b"test"), "SRV", tcp=True),
          Question((b"escapes", b"zl", b"test"), "TXT", size=512)]


def questions(seed, keys, count, whole=()):
    """`count` different ones and the ones above; names in `whole` are asked for every type."""
    r = random.Random(seed)
    names, below = names_of(keys), Below(keys)
    out = {q.key: q for q in ALWAYS}

    def add(q):
        if fits(q.labels) and len(below.of(q.labels)) <= MOST_KEYS:
            out.setdefault(q.key, q)
    for labels in whole:
        for qtype in MAIN + MORE:
            add(Question(labels, qtype, tcp=qtype == "AXFR"))
    r.shuffle(names)
    while len(out) < count:
        for labels in names:
            labels = beside(r, labels) if r.random() < 0.4 else labels
            if r.random() < 0.15:
                labels = spelled(r, labels)
            for qtype in r.sample(MAIN, 3) + ([r.choice(MORE)] if r.random() < 0.3 else []):
                add(asked(r, labels, qtype))
            if len(out) >= count:
                break
    return list(out.values())
