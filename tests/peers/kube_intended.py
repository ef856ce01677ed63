"""Differences to CoreDNS over the same cluster that are meant: each has a row, by this id, in deploy/DIFFERENCES.md. What explains one is not its
looks: our answer must be the one that CoreDNS gives where what the row is about is taken away, or what is left of its own answer."""
import copy

from asker import differences, unordered
from kube_corefiles import TWINS

ROWS = ("D-owner-case", "D-kube-stray", "D-kube-hidden", "D-kube-fqdn", "D-kube-root", "D-kube-case", "D-kube-self", "D-external-alias", "D-autopath-first")
SPELLED = ("cached", "autopath", "stock")  # where a name may come as somebody else, or a search list, has spelled it
FIRST = (b"shop", b"svc", b"cluster", b"local")  # of the search list of who asks
CL = b"\x07cluster\x05local"


def elsewhere(q, block, theirs):
    """[(row, block of CoreDNS, question)]: where it may say what we say."""
    out = [("D-kube-case", block, q.but(labels=lower(q.labels)))] if theirs is not None else []
    if block in TWINS:
        out.append((TWINS[block][0], block + "twin", q))
    if block == "autopath" and lower(q.labels) == FIRST:
        out.append(("D-autopath-first", "verified", q))
    if q.qtype == "CNAME":  # which of them is the first is chance
        out.append(("D-kube-fqdn", block, q.but(qtype="A", tcp=True)))
    if block == "root":  # names of the root zone are those of another zone with less behind them
        out.append(("D-kube-root", "insecure", q.but(tcp=True) if lower(q.labels)[-1:] == (b"arpa",) else q.but(labels=lower(q.labels) + (b"cluster", b"local"), tcp=True)))
    return out


def lower(labels):
    return tuple(x.lower() for x in labels)


def is_explained(row, q, ours, theirs, there, slack):
    """Does this row explain our reply? there: what CoreDNS says elsewhere."""
    if there is None:
        return False
    a, t = unordered(ours), unordered(there)
    if row == "D-kube-case":  # those names whose zone it compares letter by letter
        return lower(q.labels) != q.labels and is_of_self(q) and theirs is not None and not unspelled(ours, there)
    if row == "D-kube-fqdn":
        cnames = {r[4] for r in there.sections[0] if r[1] == 5 and r[0].lower() == ours.question[0][0].lower()}
        return len(cnames) > 1 and len(ours.sections[0]) == 1 and ours.sections[0][0][4] in cnames
    if row == "D-kube-root":
        whole = {(*r[:2], r[2].replace(CL, b"")) for r in answers(there)}
        return (theirs is None or is_of_self(q)) and ours.rcode == there.rcode and answers(ours) == whole
    if row == "D-kube-stray" and theirs is not None and theirs.sound:
        return False
    return not differences(a, t, slack)


def row(block, q, ours, theirs, slack):
    """The id of the row that explains it without asking elsewhere, or None."""
    if ours is None or theirs is None:
        return None
    if block in ("external", "headless") and is_once(ours, theirs, slack):
        return "D-external-alias"
    if is_one_of(ours, theirs):
        return "D-kube-fqdn"
    if is_of_self(q) and (local := without_local(theirs)) is not None and not differences(unordered(ours), unordered(local), slack):
        return "D-kube-self"
    if not differences(unordered(ours), unordered(theirs), slack, fold=True) or (block in SPELLED and not unspelled(ours, theirs, slack)):
        return "D-owner-case"
    return None


def is_of_self(q):
    """NS, and ns.dns.ZONE."""
    return q.qtype == "NS" or lower(q.labels)[:2] == (b"ns", b"dns")


def unspelled(a, b, slack=1):
    """What differs but letters."""
    def folded(reply):
        out = unordered(reply)
        out.question = [(n.lower(), t) for n, t in out.question]
        out.sections = tuple(sorted((r[0].lower(), *r[1:4], r[4].lower() if r[1] in (2, 6, 12, 33) else r[4]) for r in s) for s in out.sections)
        return out
    return differences(folded(a), folded(b), slack)


def without_local(reply):
    """Without link-local addresses, if it has some."""
    out = copy.copy(reply)
    out.sections = tuple([r for r in s if r[1] != 28 or r[4][:2] != b"\xfe\x80"] for s in reply.sections)
    return out if out.sections != tuple(reply.sections) else None


def answers(reply):
    return {(r[1], r[3], r[4]) for r in reply.sections[0]}


def is_once(ours, theirs, slack):
    """Theirs has a CNAME, or what it leads to, more than once."""
    def records(reply):
        return {(r[0], r[1], 0 if slack > 1 else r[3], r[4]) for r in reply.sections[0]}
    rest = copy.copy(theirs)
    rest.sections = (ours.sections[0], *theirs.sections[1:])
    return any(r[1] == 5 for r in theirs.sections[0]) and len(ours.sections[0]) < len(theirs.sections[0]) and records(ours) == records(theirs) and \
        not differences(unordered(ours), unordered(rest))


def is_one_of(ours, theirs):
    """Theirs has CNAMEs beside addresses or beside each other: ours has the addresses, or else one of the CNAMEs with what it leads to."""
    asked = ours.question[0][0].lower()
    cnames = [r for r in theirs.sections[0] if r[1] == 5 and r[0].lower() == asked]
    own = [r for r in theirs.sections[0] if r[1] != 5 and r[0].lower() == asked]
    if not cnames or len(cnames) + len(own) < 2:
        return False
    rest = copy.copy(theirs)
    if own:
        rest.sections = (own, *theirs.sections[1:])
        return not differences(unordered(ours), unordered(rest))
    mine = [r for r in ours.sections[0] if r[0].lower() == asked]
    rest.sections = (ours.sections[0], *theirs.sections[1:])
    return len(mine) == 1 and mine[0] in cnames and set(ours.sections[0]) <= set(theirs.sections[0]) and not differences(unordered(ours), unordered(rest))
