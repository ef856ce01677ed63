"""Beside CoreDNS 1.15.0 on the same etcd and the same Corefile: thousands of questions about keys of every kind, wanted or not. What is not
the same must be a difference that is meant (deploy/DIFFERENCES.md): each is shown by an answer that CoreDNS itself gives, to the
same question elsewhere. CoreDNS is the judge of what is a malformed value, too."""
import collections
import concurrent.futures
import os
import re

import etcd
import etcd_intended
import etcd_rows
import etcd_store
import pytest
from asker import Question, ask_all, ask_together, differences
from etcd_questions import Below, fits, labels_of, questions
from server import TOP, Waypost, wait_for

SEEDS = [int(s) for s in os.environ.get("WAYPOST_SEEDS", "1 2").split()]
COUNT = int(os.environ.get("WAYPOST_QUESTIONS", "2000"))  # of a seed, over all blocks

BLOCK = """.:{%s} {
    errors
    %s
    etcd %s {
        endpoint %s
        %s
    }
    file {dir}/partner partner.example
    %s
}
"""
ZONES = etcd_store.ZONES
# port: (in front, zones, options, behind, part of the questions)
BLOCKS = {
    "plain": ("", ZONES, "", "forward . 127.0.0.1:%(resolver)d", 10),
    "fall": ("", "way.test zt.test zh.test za.test zj.test 192.0.2.0/24", "fallthrough", "forward . 127.0.0.1:%(resolver)d", 3),
    "fallsome": ("", ZONES, "fallthrough t1.zt.test zd.test 2.0.192.in-addr.arpa", "forward . 127.0.0.1:%(resolver)d", 1),
    "nested": ("", ". test way.test t1.zt.test x1.t1.zt.test zt.test zm.test 2.0.192.in-addr.arpa", "path skydns", "", 3),
    "apex": ("", ZONES + " t1.zt.test t2.zt.test", "no_apex_fallback", "", 2),
    "lease": ("", ZONES, "min-lease-ttl 300\n        max-lease-ttl 1h", "", 1),
    "cache": ("cache 60", ZONES, "", "", 2),
    "rewrite": ("rewrite name suffix .svc.local .t1.zt.test answer auto", "way.test zt.test zo.test", "", "", 2),
    "deep": ("", ZONES, "path /a/b", "", 2),
    "root": ("", ZONES, "path /", "", 1),
}
# where only CoreDNS is asked, to see what it would say
WIDTH = 1000
PATHS = ("good", "named")
FILES = {"partner": """$ORIGIN partner.example.
@ 60 SOA ns hostmaster 1 3600 600 86400 60
@ 60 NS ns
ns 60 A 198.51.100.53
ext 60 A 198.51.100.7
ext 60 AAAA 2001:db8:ff::7
ext 60 TXT "from outside"
al 60 CNAME ext
back 60 CNAME x.t1.zt.test.
loop1 60 CNAME loop2
loop2 60 CNAME loop1
sub 60 NS ns.sub
*.wild 60 A 198.51.100.8
"""}


def corefile(url, resolver, paths=(None,)):
    """The blocks, each once for each path of its keys."""
    out = []
    for name, (front, zones, options, behind, _) in BLOCKS.items():
        for path in paths:
            mine = options
            if path is not None:
                mine = "\n        ".join(o for o in options.split("\n") if not o.strip().startswith("path")) + f"\n        path /{path}"
            out.append(BLOCK % (name + (path or ""), front, zones, url, mine, behind % {"resolver": resolver} if behind else ""))
    return "".join(out)


class CoreDNS(Waypost):
    """Ended at once: it waits for calls to etcd."""

    def stop(self, seconds=15):
        self.proc.kill()
        self.proc.wait()
        return 0


@pytest.fixture(scope="module")
def member():
    with etcd.Member() as m:
        yield m


# --- what CoreDNS can read ------------------------------------------------------------------------


PLAIN = re.compile(rb"(/[a-z0-9_*-]{1,20}){1,9}/?")
ADDRESS = re.compile(rb'"host": *"(192|2001:)[^ "]*"')
# an escape that is none in a host or key, of which CoreDNS makes something (\\300 modulo 256)
NO_ESCAPE = re.compile(rb'(?i)"host" *: *"[^"]*\\\\(?![01]\d\d|2[0-4]\d|25[0-5])\d|^/[^"{]*\\(?![01]\d\d|2[0-4]\d|25[0-5])\d')


def sort_out(keys, member, coredns):
    """{path: "bad" | "hostless" | "note" | "unnamed"}: values that CoreDNS cannot read, hosts that are no name, alone or beside a text, keys
    that are none. Each is asked for alone."""
    values = {v: n for n, v in enumerate(dict.fromkeys(k.value for k in keys))}
    odd = [k.path for k in keys if not PLAIN.fullmatch(k.path) and k.path.count(b"/") > 2]
    member.client.delete_prefix("/probe/")
    member.client.load([(b"/probe/test/v%d/i" % n, v) for v, n in values.items()] +
                       [(b"/probe/test/%03x" % n + b"/" + p.split(b"/", 3)[3], b'{"host":"192.0.2.1"}') for n, p in enumerate(odd)])
    text = ".:{dns} {\n etcd test {\n path /probe\n endpoint %s\n }\n}\n" % member.url
    with CoreDNS(text, binary=coredns) as c:
        asked = [Question((b"v%d" % n, b"test"), "TXT") for n in values.values()] + \
                [Question((b"i", b"v%d" % n, b"test"), "PTR", tcp=True) for n in values.values()] + \
                [Question((b"%03x" % n, b"test"), "SRV", tcp=True) for n in range(len(odd))]
        said = ask_all(c.port["dns"], asked, peer=True)
    texts, pointers, services = said[:len(values)], said[len(values):2 * len(values)], said[2 * len(values):]
    verdict = {}
    for v, n in values.items():
        has_text = texts[n] is not None and any(r[1] == 16 for r in texts[n].sections[0])
        if texts[n] is not None and texts[n].rcode == 2:
            verdict[v] = "bad"
        elif not is_sound(pointers[n]):
            verdict[v] = "note" if has_text else "hostless"
    verdict.update({v: "hostless" for v in values if NO_ESCAPE.search(v) and verdict.get(v) != "bad"})
    kinds = {k.path: verdict[k.value] for k in keys if k.value in verdict}
    names = {v for v, n in values.items() if pointers[n] is not None and pointers[n].sections[0]}
    value_of = {k.path: k.value for k in keys}
    for p, s in zip(odd, services):
        if value_of[p] in names:
            continue  # its host is the target
        if not is_sound(s) or b"//" in p or NO_ESCAPE.search(p):
            kinds.setdefault(p, "unnamed")
    return kinds


def is_sound(reply):
    return reply is not None and reply.sound and not reply.tc


def load(keys, kinds, member):
    """Everything below /skydns; below the other paths what CoreDNS can read."""
    c = member.client
    c.delete(b"\0", b"\0")
    leases = {s: c.grant(s) for s in {k.lease for k in keys} if s}
    good = [k for k in keys if kinds.get(k.path) not in ("bad", "hostless")]
    plain = []
    for prefix, those in ((b"/skydns", keys), (b"/good", good), (b"/named", good), (b"/a/b", good), (b"", good)):
        for k in those:
            kind, value = kinds.get(k.path), k.value
            if kind == "note" and prefix != b"/skydns":
                value = b'{"text":"note"}'
            if kind == "unnamed" and prefix not in (b"/skydns", b"/good"):
                value = b"{}"
            if k.lease:
                c.put(prefix + k.path, value, leases[k.lease])
            else:
                plain.append((prefix + k.path, value))
    c.load(plain)


# --- comparing ------------------------------------------------------------------------------------


class Compared:
    def __init__(self):
        self.asked, self.equal, self.rows, self.bad = set(), 0, collections.Counter(), []

    def add(self, block, questions, ours, theirs, elsewhere, service, kinds, slack):
        """elsewhere(block, path, questions), service(block, questions): what CoreDNS says there. kinds(question): of the keys it reads."""
        left = []
        for q, a, b in zip(questions, ours, theirs):
            self.asked.add((block,) + q.key)
            if differences(a, b, slack):
                left.append((q, a, b))
            else:
                self.equal += 1
        unsound = [q for q, a, _ in left if a is not None and not a.sound]
        assert not unsound, unsound[0]
        wanted = [(i, rows, path, asked) for i, (q, a, b) in enumerate(left)
                  for rows, path, asked in etcd_intended.elsewhere(q, block, not differences(a, b, 1 << 33, fold=True) - {"opt"})]
        why, there = {}, {}
        for path in dict.fromkeys(w[2] for w in wanted):
            those = [w for w in wanted if w[2] == path and w[0] not in why]
            for (i, rows, _, _), reply in zip(those, elsewhere(block, path, [w[3] for w in those])):
                q, a, b = left[i]
                there[i, path] = reply
                more = etcd_intended.explained(a, reply, q, rows, block, kinds(q))
                if i not in why and more is not None and rows + more:
                    why[i] = rows + more
        for i, (q, a, b) in enumerate(left):
            if i not in why and etcd_intended.is_hostless(a, there.get((i, "good")), kinds(q)):
                why[i] = ("D-etcd-malformed",)
            those = etcd_intended.service_of(q)
            if i not in why and those is not None and a is not None and a.rcode == 0 and b is not None and b.rcode == 3 and etcd_intended.is_service(a, b, service(block, those), slack):
                why[i] = ("D-etcd-service",)
            if i in why:
                self.rows.update(why[i])
            else:
                self.bad.append(f"{block}: {q} {str(kinds(q))[:WIDTH]}\n    {sorted(differences(a, b, slack))}\n    waypost {a and a.text()}\n    coredns {b and b.text()}" + "".join(
                    f"\n    {p} {sorted(differences(a, r, slack))} {r and r.text()}" for (n, p), r in there.items() if n == i and p))

    def __str__(self):
        return f"{len(self.asked)} questions, {self.equal} answers equal, meant: " + ", ".join(f"{n} {r}" for r, n in sorted(self.rows.items()))


def zone_names(zones):
    return [tuple(z.encode().split(b".")) if z != "." else () for z in zones.split() if "/" not in z]


def whole_names(keys):
    """Names of the conformance data."""
    return sorted({labels_of(k.path)[i:] for k in keys for i in (0, 1)})


def compare(seed, member, coredns, out, resolver):
    keys = etcd_store.store(seed)
    below, kinds = Below(keys), sort_out(keys, member, coredns)
    load(keys, kinds, member)
    paths = (None, *PATHS)
    with Waypost(corefile(member.url, resolver), FILES) as w, \
            CoreDNS(corefile(member.url, resolver, paths), FILES, binary=coredns) as c:
        for block, (_, zones, *_) in BLOCKS.items():
            probes = [Question((b"absent", *labels), "A") for labels in zone_names(zones)]
            wait_for(lambda: all(r.rcode != 2 for r in ask_all(w.port[block], probes)))  # all is loaded
        leased = [Question(labels_of(k.path), "TYPE65280") for k in keys if k.lease and fits(labels_of(k.path)) and ADDRESS.search(k.value)]
        leased = [q.but(qtype=t, tcp=True) for q in leased for t in ("A", "AAAA", "TXT") if len(below.of(q.labels)) == 1]
        wait_for(lambda: all(not differences(a, b, 2) for a, b in zip(*ask_together((w.port["plain"], leased, False), (c.port["plain"], leased, True)))))

        def elsewhere(block, path, those):
            port = path.replace(" ", "") if path.startswith("plain") else block + path
            return ask_all(c.port[port], those, peer=True, hopeful=path.endswith("named"))

        def service(block, those):
            return ask_all(c.port[block + ("named" if block in ("deep", "root") else "good")], those, peer=True)

        def kinds_of(q):
            return [(k.path[-60:], k.value, kinds.get(k.path)) for k in below.matching(q.labels)]
        def one(n, block, share):
            those = questions(seed * 100 + n, keys, COUNT * share // shares, whole_names(etcd_store.conformance()) if block == "plain" and seed == 1 else ())
            for q in those:
                q.mute = any(kind in ("hostless", "note", "unnamed") for _, _, kind in kinds_of(q))
            for slack in (2, 12) if block == "cache" else (2,):  # the second time from the cache
                ours, theirs = ask_together((w.port[block], those, False), (c.port[block], those, True))
                out.add(block, those, ours, theirs, elsewhere, service, kinds_of, slack)
        shares = sum(b[4] for b in BLOCKS.values())
        with concurrent.futures.ThreadPoolExecutor(len(BLOCKS)) as pool:  # most of the time is waiting for replies that never come
            for job in [pool.submit(one, n, block, b[4]) for n, (block, b) in enumerate(BLOCKS.items())]:
                job.result()



def test_same_answers(member, coredns, capsys):
    out = Compared()
    with etcd_rows.resolver() as r:
        for seed in SEEDS:
            compare(seed, member, coredns, out, r.port)
    with capsys.disabled():
        print(f"\netcd: {out}")
    assert not out.bad, f"{len(out.bad)} of {len(out.asked)} differ\n" + "\n".join(out.bad[:int(os.environ.get("WAYPOST_SHOWN", "12"))])
    assert len(out.asked) >= 1500
    if "WAYPOST_SEEDS" not in os.environ:
        assert set(out.rows) == set(etcd_intended.ROWS)  # a row that explains nothing any more is to go


def test_every_row_is_written_down():
    with open(os.path.join(TOP, "deploy/DIFFERENCES.md")) as f:
        text = f.read()
    for row in etcd_intended.ROWS:
        assert f"| {row} |" in text, row
