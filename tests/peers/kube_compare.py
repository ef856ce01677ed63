"""Two servers over one cluster, asked the same: what is not the same and not explained."""
import collections

import kube_intended
from asker import ask_all, ask_together, differences, unordered

SLACK = {"cached": 60}  # seconds by which TTLs may differ where each has its own cache


def unlike(ours, theirs, slack=1):
    """What differs, as words: sections are sets."""
    return differences(unordered(ours), unordered(theirs), slack)


def is_chained(reply):
    """An address stands behind the CNAME that leads to it."""
    at = {}
    for n, (owner, rtype, _, _, data) in enumerate(reply.sections[0]):
        at.setdefault(("to", data.lower()) if rtype == 5 else ("of", owner.lower()), n)
    return all(n > at.get(("to", name), -1) for (what, name), n in at.items() if what == "of")


def told(ours, theirs):
    """Where two replies differ, to be read."""
    if ours is None or theirs is None:
        return f"    waypost {ours and ours.text()}\n    coredns {theirs and theirs.text()}"
    out = [f"    flags {ours.flags:04x} {theirs.flags:04x} octets {ours.octets} {theirs.octets} opt {ours.opt} {theirs.opt}"]
    for name, a, b in zip(("answer", "authority", "additional"), unordered(ours).sections, unordered(theirs).sections):
        for who, mine, other in (("waypost", a, b), ("coredns", b, a)):
            more = list((collections.Counter(mine) - collections.Counter(other)).elements())
            if more:
                out.append(f"    {name}: of {len(mine)} only {who} has {len(more)}: " + "; ".join(f"{o!r} {ttl} {t} {d!r}" for o, t, _, ttl, d in more[:3]))
    return "\n".join(out)


class Compared:
    """ours, theirs: ports by block."""

    def __init__(self, ours, theirs):
        self.ours, self.theirs = ours, theirs
        self.asked, self.equal, self.rows, self.bad = 0, 0, collections.Counter(), []

    def both(self, block, questions):
        a, b = ask_together((self.ours[block], questions, False), (self.theirs[block], questions, True))
        # which records a cut reply holds is chance, as is their order: then all of it is compared. Ours may not be the only one that is cut.
        cut = [i for i, (x, y) in enumerate(zip(a, b)) if x is not None and y is not None and y.tc and not questions[i].tcp]
        whole = [questions[i].but(tcp=True) for i in cut]
        for i, x, y in zip(cut, *ask_together((self.ours[block], whole, False), (self.theirs[block], whole, True))):
            a[i], b[i] = x, y
        return a, b

    def compare(self, block, questions):
        slack = SLACK.get(block, 1)
        left = []
        for q, a, b in zip(questions, *self.both(block, questions)):
            self.asked += 1
            if a is not None and (not a.sound or not is_chained(a)):
                self.bad.append(f"{block}: {q}\n    waypost {a.text()}")
            elif unlike(a, b, slack):
                left.append((q, a, b))
            else:
                self.equal += 1
        self.explain(block, left, slack)

    def explain(self, block, left, slack):
        why = [kube_intended.row(block, q, a, b, slack) for q, a, b in left]
        wanted = [(i, *w) for i, (q, a, b) in enumerate(left) if why[i] is None and a is not None for w in kube_intended.elsewhere(q, block, b)]
        for place in dict.fromkeys(w[2] for w in wanted):
            those = [w for w in wanted if w[2] == place]
            for (i, row, _, _), there in zip(those, ask_all(self.theirs[place], [w[3] for w in those], peer=True)):
                q, a, b = left[i]
                if why[i] is None and kube_intended.is_explained(row, q, a, b, there, slack):
                    why[i] = row
        self.rows.update(w for w in why if w is not None)
        self.bad += [f"{block}: {q}\n{told(a, b)}" for (q, a, b), w in zip(left, why) if w is None]

    def check(self):
        assert not self.bad, f"{self}: {len(self.bad)} differ\n" + "\n".join(self.bad[:12])

    def __str__(self):
        return f"{self.asked} questions, {self.equal} answers equal, meant: " + (", ".join(f"{n} {r}" for r, n in sorted(self.rows.items())) or "none")


