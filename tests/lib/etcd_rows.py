"""The rows of tests/scenario/etcd: data sets and questions; and what stands outside the zones."""
import os
import sys

import dns.message
import dns.rcode
import dns.rdatatype

from server import TOP

sys.path.insert(0, os.path.join(TOP, "tests/fake"))
from resolver import Resolver, name, record  # noqa: E402

DIR = os.path.join(TOP, "tests/scenario/etcd")
ZONES = "way.test za.test zb.test zc.test zd.test ze.test zf.test zg.test 192.0.2.0/24 2001:db8::/32"


def _lines(file):
    with open(os.path.join(DIR, file), encoding="utf-8") as f:
        for line in f:
            if not line.startswith("#"):
                yield line.rstrip("\n").split("\t")


def data_sets():
    """{set: [(key, seconds of lease or None, value)]}."""
    out = {}
    for s, key, lease, value in _lines("keys.txt"):
        if s == "BAD":
            value = value.replace("\\n", "\n")
        out.setdefault(s, []).append(("/skydns" + key, int(lease) if lease else None, value))
    return out


class Row:
    def __init__(self, fields):
        (self.id, self.set, self.options, self.name, self.type, self.rcode, answer, self.soa, additional) = fields
        self.answer = answer.split(" | ") if answer else []
        self.additional = additional.split(" | ") if additional else []

    def __repr__(self):
        return self.id


ROWS = [Row(f) for f in _lines("questions.txt")]


# --- outside ---------------------------------------------------------------------------------------

EXT, AL = "ext.partner.example.", "al.partner.example."
_V4, _V6 = bytes([198, 51, 100, 7]), bytes.fromhex("20010db800ff00000000000000000007")


def outside(q):
    """What the resolver behind `forward` says: section 18 of the conformance table."""
    who, t = q.name.lower(), q.type
    data = {1: _V4, 28: _V6, 16: b"\x0cfrom outside"}.get(t)
    if who == EXT:
        return q.reply(record(b"\xc0\x0c", t, data)) if data else q.reply()
    if who == AL:
        cname = record(b"\xc0\x0c", 5, name(EXT))
        return q.reply(cname, record(name(EXT), t, data)) if data else q.reply(cname)
    if who == "absent.way.test.":
        return q.reply(record(b"\xc0\x0c", 1, bytes([203, 0, 113, 9])))
    return q.reply(rcode=3)


def resolver():
    return Resolver(outside)


# --- answers as text -------------------------------------------------------------------------------


def section(rrsets):
    """Records in the order of the wire, as the rows write them. (dnspython joins equal owners and types.)"""
    return [f"{s.name.to_text()} {s.ttl} {dns.rdatatype.to_text(s.rdtype)} {rdata_text(r)}" for s in rrsets for r in s]


def rdata_text(r):
    if r.rdtype == dns.rdatatype.TXT:
        return " ".join('"%s"' % x.decode() for x in r.strings)
    if r.rdtype == dns.rdatatype.SOA:
        return f"{r.mname} {r.rname} * {r.refresh} {r.retry} {r.expire} {r.minimum}"
    return r.to_text()


def parse(octets):
    """Every record apart, in the order of the wire."""
    return dns.message.from_wire(octets, one_rr_per_rrset=True)


def same(have, want, slack):
    """Equal texts; TTLs may be `slack` less or more."""
    if len(have) != len(want):
        return False
    for h, w in zip(have, want):
        h, w = h.split(" "), w.split(" ")
        if h[:1] + h[2:] != w[:1] + w[2:] or abs(int(h[1]) - int(w[1])) > slack:
            return False
    return True


def check(row, octets, slack=0):
    m = parse(octets)
    answer, authority, additional = section(m.answer), section(m.authority), section(m.additional)
    text = f"{row.id} {row.name} {row.type}: {dns.rcode.to_text(m.rcode())}\n {answer}\n {authority}\n {additional}"
    assert dns.rcode.to_text(m.rcode()) == row.rcode, text
    assert same(answer, row.answer, slack), text + f"\nwant {row.answer}"
    assert same(additional, row.additional, slack), text + f"\nwant {row.additional}"
    if row.soa:
        assert len(authority) == 1, text
        mail = ["ns.dns." + row.soa, "hostmaster." + row.soa] if row.soa != "." else ["ns.dns.", "hostmaster."]
        assert authority[0] == f"{row.soa} 30 SOA {mail[0]} {mail[1]} * 7200 1800 86400 30", text
    else:
        assert not authority, text
    assert m.flags & 0x0400 and not m.flags & 0x0080 and not m.flags & 0x0200, text
    assert m.question[0].name.to_text() == row.name + ".", text
    if row.type == "SOA":
        assert abs(m.answer[0][0].serial - _now()) < 5, text


def _now():
    import time
    return int(time.time())


# --- the mirror's state, from outside ------------------------------------------------------------


def metric(text, name, default=None, **labels):
    """The sum of the samples of a family that have these labels."""
    want = [f'{k}="{v}"' for k, v in labels.items()]
    hits = [float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
            if line.startswith((name + "{", name + " ")) and all(w in line for w in want)]
    return sum(hits) if hits else default
