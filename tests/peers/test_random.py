"""Corefiles put together by chance (the same ones in every run) beside a real CoreDNS: plugins that are right alone
must be right together, in any order of lines."""
import random

import dns.exception
import intended
import pytest
from compare import Question, ask_both, differences
from server import Waypost

SEEDS = 14
QUESTIONS = 60

# The SOA's MINIMUM is not below any TTL: how long denials live is another test's subject.
ZONE = """$ORIGIN {zone}.
$TTL 300
@ SOA ns1 admin 7 3600 600 86400 300
@ NS ns1
@ NS ns2.other.test.
@ MX 10 mail
@ TXT "v=spf1 -all" "second"
ns1 A {net}.53
ns1 AAAA 2001:db8::53
mail A {net}.25
www 60 A {net}.1
www 60 A {net}.2
www AAAA 2001:db8::1
alias CNAME www
alias2 CNAME alias
ext CNAME www.example.net.
a.b.c TXT "deep"
*.wild A {net}.77
*.wild TXT "w"
x.wild MX 5 mail
_sip._tcp SRV 10 20 5060 www
_sip._tcp SRV 20 20 5060 mail
sub NS ns.sub
ns.sub A {net}.99
dn DNAME target
h.target A {net}.88
caa CAA 0 issue "ca.example.net"
naptr NAPTR 100 10 "u" "E2U+sip" "!^.*$!sip:info@example.com!" .
svc HTTPS 1 . alpn=h2 port=8443
UP.Case A {net}.44
"""
FILES = {"db.org": ZONE.format(zone="example.org", net="192.0.2"), "db.net": ZONE.format(zone="example.net", net="198.51.100")}
NAMES = ["www", "alias", "alias2", "ext", "", "nope", "a.b.c", "b.c", "c", "q.wild", "x.wild", "z.y.wild", "wild", "_sip._tcp", "sub",
         "h.sub", "h.dn", "dn", "caa", "naptr", "svc", "WwW", "up.case", "mail", "ns1", "k1", "k2", "k3", "k1.dev", "www.dev"]
TYPES = ["A"] * 5 + ["AAAA", "TXT", "MX", "NS", "SOA", "SRV", "CNAME", "ANY", "HTTPS", "CAA", "DS", "PTR", "NAPTR", "HINFO"]


def a_rule(r):
    def name():
        return r.choice(["www", "alias", "k1", "k2", "k3", "mail", "q.wild", "nope", "a.b.c"]) + ".example.org"
    return r.choice([
        lambda: f"name {name()}. {name()}.",
        lambda: f"name exact {name()} {name()}",
        lambda: "name prefix k1 www",
        lambda: "name suffix .dev.example.org. .example.org.",
        lambda: "name substring k2 mail",
        lambda: r"name regex (.*)\.dev\.example\.org {1}.example.net",
        lambda: r"name regex k([0-9])\.example\.org www.example.org answer name (.*)\.example\.org x{1}.example.org",
        lambda: "name suffix .example.org .example.net answer auto",
        lambda: "name exact k3.example.org www.example.net answer auto",
        lambda: f"type {r.choice(['A', 'AAAA', 'ANY', 'MX', 'TXT'])} {r.choice(['A', 'AAAA', 'HINFO', 'TXT'])}",
        lambda: f"ttl {r.choice(['exact', 'prefix', 'suffix', 'substring'])} "
                f"{r.choice(['www.example.org.', 'alias.example.org.'])} {r.choice(['15', '30-60', '-20', '100-'])}",
        lambda: r"ttl regex (.*)\.example\.org\.? 5-50",
        lambda: f"edns0 local {r.choice(['set', 'replace', 'append'])} 0xffee {r.choice(['0x61626364', '{client_ip}', 'hello'])}",
        lambda: "edns0 nsid set",
        lambda: f"edns0 subnet set {r.choice(['24 56', '0 0', '32 128'])}",
        lambda: f"rcode {r.choice(['exact', 'suffix', 'prefix', 'substring'])} {r.choice(['nope.example.org', '.example.org', 'www'])} "
                f"{r.choice(['NXDOMAIN', 'SERVFAIL', 'NOERROR'])} {r.choice(['NOERROR', 'REFUSED', 'NXDOMAIN'])}",
        lambda: f"cname exact {r.choice(['www', 'alias', 'ext'])}.example.org. {r.choice(['www.example.net.', 'mail.example.org.'])}",
        lambda: f"class {r.choice(['IN', 'CH', 'ANY'])} {r.choice(['IN', 'CH'])}",
    ])()


# (how often, one of these); lines are shuffled: their order in the file means nothing
LINES = [
    (.25, ["header {\n response set aa ra\n}", "header {\n response clear aa\n}", "header {\n query clear rd\n}",
           "header {\n response clear ra rd\n}"]),
    (.2, ["minimal"]), (.15, ["any"]), (.15, ["local"]), (.15, ["nsid srv1"]), (.15, ["metadata"]), (.2, ["loadbalance"]),
    (.2, ["bufsize 512", "bufsize 600", "bufsize 1232", "bufsize 4096"]),
    (.2, ["acl {\n block type MX net 127.0.0.0/8\n}", "acl example.org {\n filter type TXT net *\n}",
          "acl {\n allow net 127.0.0.1\n block\n}", "acl {\n drop type CAA net 127.0.0.1\n}",
          "acl {\n block type A AAAA net 10.0.0.0/8\n}"]),
    (.4, ["cache", "cache 30", "cache 60 {\n denial 100 20\n success 200 40 10\n}", "cache {\n keepttl\n}",
          "cache {\n servfail 0\n disable denial\n}", "cache 20 example.org"]),
    (.3, [f"hosts {{\n 192.0.2.201 k1.example.org\n 2001:db8::201 k1.example.org\n 192.0.2.202 k2.example.org www.example.org\n{more}"
          f" fallthrough{zones}\n}}" for more in ("", " ttl 77\n", " no_reverse\n") for zones in ("", " example.org", " k1.example.org")]),
    (.1, ["chaos V1 me"]),
    (1, ["file {dir}/db.org example.org", "file {dir}/db.org example.org {\n reload 0\n}"]),
    (.6, ["file {dir}/db.net example.net"]),
]


def a_corefile(r):
    lines = [r.choice(choices) for odds, choices in LINES if r.random() < odds]
    if r.random() < .75:
        # none that continues: CoreDNS then answers another question (D-rewrite-question)
        lines += [f"rewrite {r.choice(['', 'stop '])}{a_rule(r)}" for _ in range(r.randint(1, 3))]
    r.shuffle(lines)
    keys = " ".join(f"{z}:{{dns}}" for z in r.choice([".", "example.org example.net", "org net"]).split())
    return keys + " {\n" + "\n".join(" " + line for line in lines) + "\n}\n"


def some_questions(r):
    for _ in range(QUESTIONS):
        if r.random() < .05:
            yield r.choice([Question("version.bind.", "TXT", "CH"), Question("localhost.")])
            continue
        name, zone = r.choice(NAMES), r.choice(["example.org"] * 4 + ["example.net", "other.test"])
        size = r.choice([None, None, None, 512, 1232, 4096])
        yield Question(f"{name}.{zone}." if name else zone + ".", r.choice(TYPES), r.choice(["IN"] * 20 + ["CH", "ANY"]), edns=size,
                       do=size is not None and r.random() < .1, tcp=r.random() < .15, rd=r.random() < .8, cd=r.random() < .05)


def unexplained(q, diff):
    if q.edns is None:  # D-opt-unasked, also beside another difference
        diff = [d for d in diff if d[0] not in ("edns", "edns flags", "edns size", "options")]
    return [d for d in diff if intended.row("zones-random", q, d, diff) is None]


@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
def test_same_answers_of_a_random_corefile(seed, coredns):
    r = random.Random(seed)
    corefile, bad = a_corefile(r), []
    with Waypost(corefile, files=FILES) as w, Waypost(corefile, files=FILES, binary=coredns) as c:
        for q in some_questions(r):
            try:
                ours, theirs = ask_both(q, w.port["dns"], c.port["dns"], 2)
            except dns.exception.DNSException as e:
                bad.append(f"{q}: {e!r}")
                continue
            diff = [] if ours is None and theirs is None else differences(ours, theirs)
            bad += [f"{q}: {k}: waypost {x}, coredns {y}" for k, x, y in unexplained(q, diff)]
    assert not bad, corefile + "\n".join(bad[:8])
