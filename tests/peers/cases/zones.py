"""Zone files: one zone with everything, a signed one, several at once, syntax, fallthrough."""
from compare import Question, product

PLAIN = """$TTL 300
@ 3600 SOA ns1 admin ( 7 7200 900 1209600 60 ) ; parentheses
@ 3600 NS ns1
@ 3600 NS NS.Other.test.
@ MX 10 mail
@ MX 20 MAIL
@ MX 30 mx.other.test.
@ MX 40 nohost
@ TXT "apex"
ns1 A 192.0.2.53
ns1 AAAA 2001:db8::53
www A 192.0.2.1
www A 192.0.2.2
www AAAA 2001:db8::1
mail A 192.0.2.25
a.b.c A 192.0.2.3
_x._tcp SRV 0 5 80 WWW
_y._tcp SRV 0 5 80 nowhere
_y._tcp SRV 1 5 80 mail
svc HTTPS 1 www alpn=h2
svc SVCB 1 mail port=8080
alias CNAME WWW
alias2 CNAME alias
self CNAME self
toself CNAME self
loop1 CNAME loop2
loop2 CNAME loop1
dangling CNAME nope
toent CNAME b.c
towild CNAME x.wild
out CNAME host.other.test.
nowhere CNAME host.nowhere.invalid.
nxout CNAME nope.other.test.
nodataout CNAME txt.other.test.
back CNAME back.other.test.
tosub CNAME host.sub
toglue CNAME ns.sub
tods CNAME sub
srvalias CNAME _x._tcp
mxalias CNAME @
*.wild A 192.0.2.4
*.wild MX 10 www
*.cwild CNAME www
*.nwild NS ns1
deep.ent.wild A 192.0.2.5
*.wild.below TXT x
below A 192.0.2.6
k.*.starent A 192.0.2.7
sub NS ns.sub
sub NS ns1
sub NS ns.other.test.
sub DS 1 8 2 ABCDABCDABCDABCDABCDABCDABCDABCDABCDABCDABCDABCDABCDABCDABCDABCD
ns.sub A 192.0.2.54
ns.sub AAAA 2001:db8::54
x.ns.sub A 192.0.2.55
cut2.sub NS ns.cut2.sub
nods NS ns1
d DNAME target
d A 192.0.2.8
hidden.d A 192.0.2.9
host.target A 192.0.2.10
dl DNAME dl
dout DNAME other.test.
tod CNAME host.d
c1 CNAME c2
c2 CNAME c3
c3 CNAME c4
c4 CNAME c5
c5 CNAME c6
c6 CNAME c7
c7 CNAME c8
c8 CNAME c9
c9 CNAME c10
c10 CNAME c11
c11 A 192.0.2.11
has\\.dot A 192.0.2.12
has\\046dot2 A 192.0.2.13
zero 0 A 192.0.2.9
long 86400 A 192.0.2.9
caps TXT "UPPER lower" "two"
CapName A 192.0.2.14
ptr PTR Host.Example.
naptr NAPTR 1 2 "u" "E2U" "!a!b!" .
caa CAA 0 issue "ca.example"
unknown TYPE65280 \\# 2 ABCD
"""
PLAIN_NAMES = """@ ns1 www WWW mail a.b.c b.c c nope x.www _x._tcp _y._tcp _tcp svc alias alias2 self toself loop1 dangling toent
towild out nowhere nxout nodataout tosub toglue srvalias q.wild q.r.wild *.wild wild ent.wild q.ent.wild deep.ent.wild q.deep.ent.wild
q.cwild q.r.cwild cwild q.nwild q.below q.wild.below q.starent *.starent q.*.starent sub ns.sub q.sub x.ns.sub cut2.sub q.cut2.sub nods
q.nods d host.d hidden.d nope.d x.dl dl host.dout tod c1 c2 c3 has\\.dot has.dot has\\046dot2 zero long caps capname ptr naptr caa
unknown back tods mxalias""".split()
TYPES = ["A", "AAAA", "NS", "SOA", "CNAME", "MX", "TXT", "SRV", "DS", "DNAME", "HTTPS", "SVCB", "PTR", "ANY", "NSEC", "RRSIG", "TYPE65280"]
OTHER = """@ 60 SOA a b 1 2 3 4 5
@ 60 NS a
host 60 A 198.51.100.1
host 60 AAAA 2001:db8::9
txt 60 TXT x
back 60 CNAME back.example.org.
ns 60 A 198.51.100.2
mx 60 A 198.51.100.3
"""
BARE = "@ 60 SOA a b 1 2 3 4 5\n@ 60 NS a\na 60 A 192.0.2.1\nx.y 60 A 192.0.2.2\n*.z 60 TXT z\n"
ONLY_APEX = "@ 60 SOA a b 1 2 3 4 5\n@ 60 NS ns.other.test.\n"


def sig(kind, labels=3, signer="example.org."):
    return f"RRSIG {kind} 8 {labels} 300 20300101000000 20250101000000 1 {signer} AAAA"


SIGNED = "$TTL 300\n@ 3600 SOA ns1 admin 7 7200 900 1209600 60\n@ 3600 NS ns1\n@ 3600 NS ns.other.test.\n" + "".join(
    f"{owner} {kind} {data}\n" for owner, kind, data in (
        ("@", "MX", "10 www"), ("@", "NSEC", "alias NS SOA MX RRSIG NSEC"), ("alias", "CNAME", "www"),
        ("alias", "NSEC", "a.b CNAME RRSIG NSEC"), ("a.b", "A", "192.0.2.3"), ("a.b", "NSEC", "ns1 A RRSIG NSEC"),
        ("ns1", "A", "192.0.2.53"), ("ns1", "NSEC", "secure A RRSIG NSEC"), ("secure", "NS", "ns.secure"),
        ("secure", "DS", "1 8 2 ABCDABCDABCDABCDABCDABCDABCDABCDABCDABCDABCDABCDABCDABCDABCDABCD"),
        ("secure", "NSEC", "sub NS DS RRSIG NSEC"), ("ns.secure", "A", "192.0.2.54"), ("sub", "NS", "ns1"),
        ("sub", "NSEC", "towild NS RRSIG NSEC"), ("towild", "CNAME", "q.w"), ("towild", "NSEC", "*.w CNAME RRSIG NSEC"),
        ("*.w", "A", "192.0.2.4"), ("*.w", "NSEC", "www A RRSIG NSEC"), ("www", "A", "192.0.2.1"), ("www", "NSEC", "@ A RRSIG NSEC"))) + "".join(
    f"{owner} {sig(kind, labels)}\n" for owner, labels, kinds in (
        ("@", 2, "SOA NS MX NSEC"), ("alias", 3, "CNAME NSEC"), ("a.b", 4, "A NSEC"), ("ns1", 3, "A NSEC"), ("secure", 3, "DS NSEC"),
        ("sub", 3, "NSEC"), ("towild", 3, "CNAME NSEC"), ("*.w", 3, "A NSEC"), ("www", 3, "A NSEC")) for kind in kinds.split())
SIGNED_NAMES = "@ www alias a.b b nope zzz 0 x.a.b q.w r.q.w w *.w towild secure x.secure sub x.sub ns.secure".split()

SYNTAX = """$ORIGIN sub.example.org.
$TTL 1h
inner A 192.0.2.1
$ORIGIN example.org.
@ IN 2h SOA ns admin 1 2 3 4 5
  IN NS ns
ns 30m IN A 192.0.2.53
$GENERATE 1-5 gen$ A 192.0.2.$
$GENERATE 2-8/3 g${10,4,d}-${0,3,x} 77 IN CNAME gen$
$INCLUDE inc.db inc
txt TXT ( "one"
  two ; comment
  "th;ree" )
quoted TXT "a\\"b" "c\\\\d"
multi A 192.0.2.1
      A 192.0.2.2
      300 AAAA 2001:db8::2
esc\\097pe A 192.0.2.3
under_score A 192.0.2.4
x.a.b A 192.0.2.5
longtxt TXT "%s"
""" % ("x" * 600)
SYNTAX_NOTTL = "@ IN SOA ns admin 1 2 3 4 5\n@ IN NS ns\nns IN A 192.0.2.1\nx 77 A 192.0.2.1\ny A 192.0.2.2\nz IN A 192.0.2.3\n"
INC = "a A 192.0.2.7\n$TTL 5\nb A 192.0.2.8\n$ORIGIN x\nc A 192.0.2.9\n"
SYNTAX_NAMES = """@ ns inner inner.sub gen1 gen5 gen6 g0012-002 g0015-005 g0018-008 g0011-001 a.inc b.inc c.x c.x.inc txt quoted multi
escape under_score a.b x longtxt y z""".split()


def full(names, zone="example.org"):
    return [zone if n == "@" else f"{n}.{zone}" for n in names]


def one(text, corefile=None, names=PLAIN_NAMES, types=TYPES, zone="example.org", more=None, **variants):
    return {
        "corefile": corefile or f"{zone}:{{dns}} {{\n file {{dir}}/db\n}}\n",
        "files": {"db": text, "other": OTHER, "bare": BARE, "inc.db": INC, **(more or {})},
        "questions": lambda: product(full(names, zone), types, **variants),
    }


BOTH = "example.org:{dns} {\n file {dir}/db\n}\nother.test:{dns} {\n file {dir}/other\n}\n"
REVERSE = "@ 60 SOA a.example. b.example. 1 2 3 4 5\n@ 60 NS a.example.\n1 60 PTR one.example.\n*.7 60 PTR wild.example.\n"
ROOT = ". 60 SOA a. b. 1 2 3 4 5\n. 60 NS a.\na. 60 A 192.0.2.1\nexample. 60 NS ns.example.\nns.example. 60 A 192.0.2.2\n*.wild. 60 A 192.0.2.3\n"

CASES = {
    "zone": one(PLAIN),
    "zone-and-target": one(PLAIN, BOTH),
    "zone-do": one(PLAIN, BOTH, types=["A", "NS", "MX", "DS"], do=[True]),
    "zone-tcp": one(PLAIN, BOTH, types=["A", "SRV"], tcp=[True], rd=[True, False]),
    "zone-in-root-block": one(PLAIN, ".:{dns} {\n file {dir}/db example.org\n}\n"),
    "zones-of-one-block": {
        "corefile": ".:{dns} {\n file {dir}/db example.org\n file {dir}/other other.test\n file {dir}/bare bare.test sub.bare.test\n}\n",
        "files": {"db": PLAIN, "other": OTHER, "bare": BARE},
        "questions": lambda: product(full(PLAIN_NAMES[:40]) + full("@ host txt nope".split(), "other.test") +
                                     full("@ a y x.y z q.z nope sub a.sub x.y.sub".split(), "bare.test") + ["elsewhere.test", "."],
                                     ["A", "NS", "SOA", "TXT", "DS"])},
    "bare": one(BARE, names="@ a y x.y q.x.y z q.z r.q.z nope".split()),
    "only-apex": one(ONLY_APEX, names="@ a x.y".split()),
    "bare-fallthrough": one(BARE, "example.org:{dns} {\n local\n file {dir}/db {\n fallthrough\n }\n hosts {dir}/hosts {\n 192.0.2.99 nope.example.org example.org y.example.org z.example.org\n }\n}\n",
                            names="@ a y x.y z q.z nope nope2".split(), more={"hosts": ""}),
    "fallthrough-zones": one(PLAIN, "example.org:{dns} {\n file {dir}/db {\n fallthrough c.example.org\n }\n hosts {dir}/hosts {\n 192.0.2.99 nope.example.org x.c.example.org b.c.example.org\n }\n}\n",
                             more={"hosts": ""}, names="nope x.c b.c c www".split()),
    "last-in-chain": {"corefile": ".:{dns} {\n file {dir}/db example.org\n}\n", "files": {"db": BARE},
                      "questions": lambda: product(["example.com", "org", ".", "a.example.org"], ["A", "SOA", "AXFR", "IXFR"], tcp=[True, False])},
    "two-blocks": {"corefile": ".:{dns} {\n file {dir}/db example.org\n}\nexample.com:{dns} {\n local\n}\n", "files": {"db": BARE},
                   "questions": lambda: product(["example.com", "org", "a.example.org"], ["A", "SOA", "AXFR"])},
    "missing": {"corefile": "example.org:{dns} {\n file {dir}/nope\n}\n", "questions": lambda: product(["example.org", "a.example.org"], ["A", "SOA", "NS"])},
    "signed": one(SIGNED, BOTH, names=[n for n in SIGNED_NAMES if n not in ("secure", "x.secure", "sub", "x.sub", "ns.secure")],
                  types=["A", "MX", "NS", "SOA", "CNAME", "NSEC"], do=[True, False]),
    "signed-referrals": one(SIGNED, BOTH, names="secure x.secure sub x.sub ns.secure".split(), types=["A", "NS", "DS"], do=[True, False]),
    "syntax": one(SYNTAX, names=SYNTAX_NAMES, types=["A", "AAAA", "CNAME", "TXT", "NS", "SOA"]),
    "syntax-no-ttl": one(SYNTAX_NOTTL, names="@ ns x y z".split(), types=["A", "SOA", "NS"]),
    "reverse": {"corefile": "192.0.2.0/24:{dns} {\n file {dir}/db\n}\n", "files": {"db": REVERSE},
                "questions": lambda: product(["2.0.192.in-addr.arpa", "1.2.0.192.in-addr.arpa", "9.2.0.192.in-addr.arpa", "5.7.2.0.192.in-addr.arpa"],
                                             ["PTR", "SOA", "NS", "A"])},
    "root": {"corefile": ".:{dns} {\n file {dir}/db\n}\n", "files": {"db": ROOT},
             "questions": lambda: product([".", "a.", "example.", "x.example.", "ns.example.", "q.wild.", "nope.", "x.nope."], ["A", "NS", "SOA", "DS"])},
    "case": one(PLAIN, names="WWW wWw ALIAS Q.wILD x.SUB _X._TCP HOST.d".split(), types=["A", "SRV", "NS"], zone="EXAMPLE.org"),
    "opcodes": {"corefile": "example.org:{dns} {\n file {dir}/db\n}\n", "files": {"db": BARE},
                "questions": lambda: (Question(n, t, opcode=o) for n in ("example.org", "a.example.org") for t in ("SOA", "A") for o in (0, 2, 5))},
    "classes": {"corefile": "example.org:{dns} {\n file {dir}/db\n}\n", "files": {"db": BARE},
                "questions": lambda: (Question("a.example.org", "A", c) for c in ("CH", "ANY", "NONE"))},
    "cached": one(PLAIN, "example.org:{dns} {\n cache\n file {dir}/db\n}\nother.test:{dns} {\n cache\n file {dir}/other\n}\n",
                  # without chains that end nowhere: those are not kept here
                  names="www mail a.b.c b.c nope alias2 out q.wild host.d zero long".split() * 2, types=["A"]),
    "minimal": one(PLAIN, "example.org:{dns} {\n minimal\n file {dir}/db\n}\n", types=["A", "MX", "NS"]),
}
