"""Asking two servers the same questions and telling their answers apart."""
import itertools
import random

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype

TTL_SLACK = 1


class Question:
    """One question: name, type, and how it is asked."""

    def __init__(self, name, rtype="A", cls="IN", edns=None, do=False, options=(), tcp=False, rd=True, cd=False, ad=False,
                 opcode=0):
        self.name, self.rtype, self.cls = name, rtype, cls
        self.edns, self.do, self.options, self.tcp, self.rd, self.cd, self.ad = edns, do, options, tcp, rd, cd, ad
        self.opcode = opcode

    def __str__(self):
        flags = "".join(f" {k}" for k in ("tcp", "do", "cd", "ad") if getattr(self, k))
        return f"{self.name} {self.cls} {self.rtype}{flags}{'' if self.edns is None else f' edns={self.edns}'}{'' if self.rd else ' norec'}"

    def message(self):
        m = dns.message.make_query(dns.name.from_text(self.name), self.rtype, self.cls)
        m.flags = (dns.flags.RD if self.rd else 0) | (dns.flags.CD if self.cd else 0) | (dns.flags.AD if self.ad else 0)
        m.set_opcode(self.opcode)
        if self.edns is not None or self.do or self.options:
            m.use_edns(0, dns.flags.DO if self.do else 0, self.edns or 1232, options=list(self.options))
        return m

    def ask(self, port, timeout=6):
        m = self.message()
        m.id = random.randrange(65536)
        try:
            if self.tcp:
                return dns.query.tcp(m, "127.0.0.1", timeout, port, ignore_trailing=True)
            return dns.query.udp(m, "127.0.0.1", timeout, port, ignore_unexpected=True, ignore_trailing=True)
        except (dns.exception.Timeout, EOFError, OSError):
            return None


def ask_both(q, ours, theirs, timeout=6):
    """The replies of both ports. CoreDNS gets a second try when only it was silent: on a busy machine a datagram of the
    thousands goes missing. We get none."""
    a, b = q.ask(ours, timeout), q.ask(theirs, timeout)
    if a is not None and b is None:
        b = q.ask(theirs, timeout)
    return a, b


def records(section):
    """{(owner, class, type, data): ttl}; owners and names without regard to case."""
    out = {}
    for rrset in section:
        for r in rrset:
            out[(rrset.name.to_text().lower(), rrset.rdclass, dns.rdatatype.to_text(rrset.rdtype), r.to_text().lower())] = rrset.ttl
    return out


def view(m):
    """What is compared, as a dict of names to values."""
    if m is None:
        return {"reply": "none"}
    v = {
        "reply": "yes",
        "rcode": dns.rcode.to_text(m.rcode()),
        "flags": dns.flags.to_text(m.flags),
        "opcode": m.opcode(),
        "question": [q.to_text() for q in m.question],
        "edns": m.edns,
        "edns flags": m.ednsflags & 0x8000,
        "edns size": m.payload if m.edns >= 0 else None,
        "options": sorted((int(o.otype), o.to_wire().hex()) for o in m.options),
    }
    for name, section in (("answer", m.answer), ("authority", m.authority), ("additional", m.additional)):
        v[name] = records(section)
    return v


def differences(ours, theirs):
    """[(what, ours, theirs)]; TTLs may differ by one second."""
    a, b = view(ours), view(theirs)
    out = []
    for key in a.keys() | b.keys():
        x, y = a.get(key), b.get(key)
        if isinstance(x, dict) and isinstance(y, dict):
            if x.keys() != y.keys() or any(abs(x[k] - y[k]) > TTL_SLACK for k in x):
                out.append((key, x, y))
        elif x != y:
            out.append((key, x, y))
    return sorted(out, key=lambda d: d[0])


def product(names, types=("A",), **variants):
    """Questions: every name with every type, in every combination of the variants' lists."""
    keys = list(variants)
    for name, rtype in itertools.product(names, types):
        for values in itertools.product(*(variants[k] for k in keys)):
            yield Question(name, rtype, **dict(zip(keys, values)))
