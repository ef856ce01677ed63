"""Differences that are meant: each has a row, by this id, in deploy/DIFFERENCES.md."""

ROWS = ("D-udp-cap", "D-opt-unasked", "D-do-unasked", "D-cname-ns", "D-cname-nodata", "D-ent-wildcard", "D-apex-exists",
        "D-zone-proofs", "D-soa-ttl",
        "D-autopath-first", "D-autopath-case")


def row(case, q, diff, all_diffs):
    """The id of the row that explains this difference (what, ours, theirs), or None."""
    what, ours, theirs = diff
    kinds = {d[0] for d in all_diffs}
    if "reply" in kinds:
        return None  # one of the two was silent
    if what in ("flags", "answer", "authority", "additional") and q.edns is not None and q.edns > 1232 and not q.tcp and \
            any(d[0] == "flags" and "TC" in d[1] and "TC" not in d[2] for d in all_diffs):
        return "D-udp-cap"
    if what in ("edns", "edns flags", "edns size", "options") and q.edns is None and not q.do and not q.options and \
            kinds <= {"edns", "edns flags", "edns size", "options"}:
        return "D-opt-unasked"
    if what == "edns flags" and not q.do and ours == 0 and theirs == 0x8000:
        return "D-do-unasked"
    if what == "authority" and soa_ttl_lower(ours, theirs):
        return "D-soa-ttl"
    if case.startswith(("zones-", "zonefile-")):
        return zone_row(case, q, diff, all_diffs)
    if case == "plugins-autopath":
        return autopath_row(q, diff) or zone_row(case, q, diff, all_diffs)
    return None


def autopath_row(q, diff):
    what, ours, theirs = diff
    if q.name.lower() == "bar.test":
        return "D-autopath-first"
    if what == "question" and [x.lower() for x in ours] == [x.lower() for x in theirs]:
        return "D-autopath-case"
    return None


def soa_ttl_lower(ours, theirs):
    """The same records, but the SOA of a denial lives no longer than its MINIMUM."""
    minimum = [int(k[3].split()[-1]) for k in ours if k[2] == "SOA"]
    lower = [k for k in ours if ours[k] != theirs.get(k)]
    return ours.keys() == theirs.keys() and minimum and lower and all(
        (k[2] == "SOA" or k[2] == "RRSIG" and k[3].startswith("soa ")) and ours[k] == minimum[0] < theirs[k] for k in lower)


def _types(section):
    return {k[2] for k in section} if isinstance(section, dict) else set()


def zone_row(case, q, diff, all_diffs):
    """Rows of answers from zone files."""
    what, ours, theirs = diff
    kinds = {d[0] for d in all_diffs}
    cname = any("CNAME" in _types(d[1]) | _types(d[2]) for d in all_diffs) or q.name.lower().split(".")[0] in ("loop1", "c2")
    if q.rtype == "NS" and cname and kinds <= {"rcode", "flags", "answer", "authority"}:
        return "D-cname-ns"
    if any(d[0] == "authority" and "SOA" in _types(d[1]) and "NS" in _types(d[2]) for d in all_diffs) and kinds <= {"authority", "answer"} and \
            (what == "authority" or ours.keys() == theirs.keys()):
        return "D-cname-nodata"
    if q.name.lower().startswith("ent.wild."):
        return "D-ent-wildcard"
    if what == "rcode" and case == "zones-only-apex" and q.name == "example.org":
        return "D-apex-exists"
    if what == "authority" and q.do and set(theirs) < set(ours) and all(
            k[2] == "NSEC" or k[2] == "RRSIG" and k[3].startswith("nsec ") for k in set(ours) - set(theirs)):
        return "D-zone-proofs"
    return None
