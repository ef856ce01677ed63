"""Differences to CoreDNS on the same etcd that are meant: each has a row, by this id, in deploy/DIFFERENCES.md. What explains a difference
is never its looks: our answer must be the one that CoreDNS gives when what the row is about is taken away."""
import copy
import re

from asker import NAME_AT, differences

ROWS = ("D-udp-cap", "D-opt-small", "D-owner-case", "D-etcd-malformed", "D-etcd-key", "D-etcd-service", "D-etcd-prefix",
        "D-cache-unkept", "D-cache-ttl", "D-txt-cut")
UDP_MIN, UDP_MAX = 512, 1232
UNKEPT = "D-cache-unkept"


def elsewhere(q, block, only_ttls):
    """[(rows, path, question)]: where CoreDNS may give our answer. path: of the keys, "" is the block's own."""
    sizes = [((), q)]
    if not q.tcp and q.size is not None and q.size > UDP_MAX:
        sizes.append((("D-udp-cap",), q.but(size=UDP_MAX)))
    if q.size is not None and q.size < UDP_MIN:
        sizes.append((("D-opt-small",), q.but(size=UDP_MIN)))
    paths = [((), ""), (("D-etcd-malformed",), "good"), (("D-etcd-key",), "named")]
    if block == "cache":
        paths += [((UNKEPT,), "plain"), ((UNKEPT, "D-etcd-malformed"), "plain good"), ((UNKEPT, "D-etcd-key"), "plain named")]
    if only_ttls:
        paths = [p for p in paths if not p[0] or p[0] == (UNKEPT,)]
    if block in ("deep", "root"):
        paths = [((), ""), (("D-etcd-prefix",), "named")]
    return [(a + b, path, asked) for a, path in paths for b, asked in sizes]


def service_of(q):
    """The questions about the service that `_LABEL._tcp.REST SRV` names, or None."""
    if q.qtype != "SRV" or len(q.labels) < 3 or len(q.labels[0]) < 2 or q.labels[0][:1] != b"_" or q.labels[1].lower() not in (b"_tcp", b"_udp"):
        return None
    name = (q.labels[0][1:],) + q.labels[2:]
    return [q.but(labels=name, qtype=t, tcp=True) for t in ("SRV", "A", "AAAA")]


def explained(ours, there, q, rows, block, kinds):
    """Is our reply the one given elsewhere? The rows that are needed to say so, or None. OPT repeats the size of the question: of the
    one that was asked here, at least 512. An owner that is a name asked for, here or on the way, is spelled as it was asked."""
    if ours is None or there is None:
        return None
    slack = 60 if block == "cache" else 2  # what is cached is cached at different times
    if UNKEPT in rows:
        slack = 2
        if not is_not_kept(ours):
            return None
    elif block == "cache" and is_ttl_too_large(ours, there, kinds):
        return ("D-cache-ttl",)
    if ours.opt != there.opt and (q.size is None or ours.opt != (max(q.size, UDP_MIN), *there.opt[1:])):
        return None
    if "D-etcd-key" in rows:
        ours = with_names_only(ours, there)
    if not differences(ours, there, slack) - {"opt"}:
        return ()
    if is_cut_later(ours, there, q):
        return cut_rows(ours, there, q)
    if differences(ours, there, slack, fold=True) - {"opt"}:
        return None
    spelled = {ours.question[0][0], *ours.names_in_data()}
    other = [r[0] for s, t in zip(ours.sections, there.sections) for r, o in zip(s, t) if r[0] != o[0]]
    return ("D-owner-case",) if all(x in spelled for x in other) else None


def is_service(ours, theirs, service, slack):
    """Entries of the service that CoreDNS knows, with their addresses, where it knows no such name."""
    srv, *addresses = service
    if None in service:
        return False

    def ports(reply):
        return {r[4][4:6] for r in reply.sections[0] if r[1] == 33}
    known = {(r[1], r[4]) for a in [srv, *addresses] for s in a.sections for r in s}
    return bool(ports(ours)) and ports(ours) <= ports(srv) and len(ours.sections[0]) == sum(r[1] == 33 for r in ours.sections[0]) and \
        not ours.sections[1] and (ours.tc or all((r[1], r[4]) in known for r in ours.sections[2]))


def is_hostless(ours, good, kinds):
    """A name that has nothing but malformed values, hosts that are no name among them: SERVFAIL."""
    if ours is None or good is None or ours.rcode != 2 or good.sections[0] or not kinds or {k for _, _, k in kinds} - {"bad", "hostless"}:
        return False
    return "hostless" in {k for _, _, k in kinds} and [len(s) for s in ours.sections] == [0, 1, 0] and ours.sections[1][0][1] == 6


def is_ttl_too_large(ours, there, kinds):
    """*cache* takes a TTL beyond 31 bits as the longest there is, or as none (RFC 2181 s8)."""
    large = any(1 << 31 <= int(n) < 1 << 32 for _, v, _ in kinds for n in re.findall(rb"\d+", v))
    return large and not differences(ours, there, 1 << 32, fold=True) - {"opt"} and \
        all(r[3] <= 5 for s in ours.sections for r in s)


def is_not_kept(ours):
    """Cut, a transfer, or made from names elsewhere."""
    return ours.tc or ours.question[0][1][:2] == b"\0\xfc" or len(set(ours.names_in_data())) >= 3


def with_names_only(ours, there):
    """A key that makes no name may still say the address of a name above it, which is asked for on the way: not where it was emptied."""
    known = {(r[0].lower(), *r[1:3], r[4]) for r in there.sections[2]}
    more = [r for r in ours.sections[2] if r[1] in (1, 28) and (r[0].lower(), *r[1:3], r[4]) not in known and r[0] in ours.names_in_data()]
    ours = copy.copy(ours)
    ours.sections = (*ours.sections[:2], [r for r in ours.sections[2] if r not in more])
    return ours


def is_cut_later(ours, there, q):
    """Both are cut, theirs earlier: ours begins with theirs, but for the spelling of owners."""
    a, b = [[(n, r[0].lower(), *r[1:3], r[4]) for n, s in enumerate(m.sections) for r in s] for m in (ours, there)]
    return not q.tcp and ours.tc and there.tc and len(b) < len(a) and a[:len(b)] == b


def cut_rows(ours, there, q):
    """Why. It takes the length of a text or name with escapes for the length of its octets; and owners take more room when they are spelled
    apart."""
    other = any(r[0] != o[0] for s, t in zip(ours.sections, there.sections) for r, o in zip(s, t))
    escaped = q.qtype == "TXT" or any(re.search(rb"[^a-z0-9_*-]", label) for r in ours.sections[0] for label in labels(r))
    return ("D-owner-case",) if other else ("D-txt-cut",) if escaped else None


def labels(record):
    """Of the name in its data."""
    rest = record[4][NAME_AT[record[1]]:] if record[1] in NAME_AT else b""
    while rest and rest[0]:
        yield rest[1:1 + rest[0]]
        rest = rest[1 + rest[0]:]
