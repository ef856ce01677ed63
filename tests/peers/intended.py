"""Differences that are meant: each has a row, by this id, in deploy/DIFFERENCES.md."""

ROWS = ("D-udp-cap", "D-opt-unasked", "D-do-unasked", "D-cname-ns", "D-cname-nodata", "D-ent-wildcard", "D-apex-exists",
        "D-zone-proofs")


def row(case, q, diff, all_diffs):
    """The id of the row that explains this difference (what, ours, theirs), or None."""
    what, ours, theirs = diff
    kinds = {d[0] for d in all_diffs}
    if what in ("flags", "answer", "authority", "additional") and q.edns is not None and q.edns > 1232 and not q.tcp and \
            any(d[0] == "flags" and "TC" in d[1] and "TC" not in d[2] for d in all_diffs):
        return "D-udp-cap"
    if what in ("edns", "edns flags", "edns size", "options") and q.edns is None and not q.do and not q.options and \
            kinds <= {"edns", "edns flags", "edns size", "options"}:
        return "D-opt-unasked"
    if what == "edns flags" and not q.do and ours == 0 and theirs == 0x8000:
        return "D-do-unasked"
    if case.startswith("zones-"):
        return zone_row(case, q, diff, all_diffs)
    return None


def _types(section):
    return {k[2] for k in section} if isinstance(section, dict) else set()


def zone_row(case, q, diff, all_diffs):
    """Rows of answers from zone files."""
    what, ours, theirs = diff
    kinds = {d[0] for d in all_diffs}
    cname = any("CNAME" in _types(d[1]) | _types(d[2]) for d in all_diffs) or q.name.lower().split(".")[0] in ("loop1", "c2")
    if q.rtype == "NS" and cname and kinds <= {"rcode", "flags", "answer", "authority"}:
        return "D-cname-ns"
    if what == "authority" and "SOA" in _types(ours) and "NS" in _types(theirs) and kinds == {"authority"}:
        return "D-cname-nodata"
    if what in ("answer", "authority", "additional") and q.name.lower() == "ent.wild.example.org":
        return "D-ent-wildcard"
    if what == "rcode" and case == "zones-only-apex" and q.name == "example.org":
        return "D-apex-exists"
    if what == "authority" and q.do and set(theirs) < set(ours) and all(
            k[2] == "NSEC" or k[2] == "RRSIG" and k[3].startswith("nsec ") for k in set(ours) - set(theirs)):
        return "D-zone-proofs"
    return None
