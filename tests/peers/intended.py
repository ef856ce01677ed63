"""Differences that are meant: each has a row, by this id, in deploy/DIFFERENCES.md."""

ROWS = ("D-udp-cap", "D-opt-unasked", "D-do-unasked")


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
    return None
