"""Hosts files and inline lines."""
from compare import product

FILE = """# a comment line
192.0.2.1 one.example.org one # behind a line
192.0.2.2\ttwo.example.org TWO.Example.org alias.example.org
2001:db8::1 one.example.org
fe80::1%eth0 zoned.example.org
::ffff:192.0.2.9 mapped.example.org
192.0.2.1 again.example.org
192.0.2.3 one.example.org
192.0.2.3 one.example.org
192.0.2.4 *.wild.example.org
2001:db8::4 *.wild.example.org
192.0.2.5 exact.wild.example.org
192.0.2.6 other.example.com
192.0.2.7
not-an-address bad.example.org
192.0.2.256 bad2.example.org
010.0.0.1 bad3.example.org
192.0.2.8 a..b.example.org bad-dot.example.org.
192.0.2.10 trailing.example.org.
0.0.0.0 zero.example.org
192.0.2.11\x0bvt.example.org\x0cff.example.org
192.0.2.12 nbsp\u00a0name.example.org
192.0.2.13 nofile""" + "x" * 70 + """.example.org
   192.0.2.14   indented.example.org   second.example.org
192.0.2.15 deep.a.b.c.example.org
2001:db8::ABCD upper6.example.org
192.0.2.16 *.example.org.only
192.0.2.17 last.example.org"""
NAMES = """one.example.org ONE.example.org one two.example.org alias.example.org zoned.example.org mapped.example.org again.example.org
q.wild.example.org Q.Wild.example.org q.r.wild.example.org wild.example.org *.wild.example.org exact.wild.example.org other.example.com
bad.example.org bad2.example.org bad3.example.org bad-dot.example.org trailing.example.org zero.example.org vt.example.org ff.example.org
indented.example.org second.example.org deep.a.b.c.example.org a.b.c.example.org upper6.example.org last.example.org nope.example.org
example.org . inline.example.org x.inwild.example.org x.both.example.org one.both.example.org""".split()
REVERSE = """1.2.0.192.in-addr.arpa 2.2.0.192.in-addr.arpa 3.2.0.192.in-addr.arpa 4.2.0.192.in-addr.arpa 5.2.0.192.in-addr.arpa
6.2.0.192.in-addr.arpa 9.2.0.192.in-addr.arpa 99.2.0.192.in-addr.arpa 01.2.0.192.in-addr.arpa 2.0.192.in-addr.arpa 1.1.2.0.192.in-addr.arpa
256.2.0.192.in-addr.arpa x.2.0.192.in-addr.arpa 0.0.0.0.in-addr.arpa 77.2.0.192.in-addr.arpa
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa 1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.IP6.arpa
d.c.b.a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa 9.0.2.0.0.0.0.c.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.e.f.ip6.arpa 8.b.d.0.1.0.0.2.ip6.arpa""".split()
TYPES = ["A", "AAAA", "PTR", "MX", "TXT", "SOA", "NS", "ANY", "CNAME"]
INLINE = """ 192.0.2.77 inline.example.org
 192.0.2.78 one.example.org
 192.0.2.79 *.inwild.example.org
 192.0.2.80 *.both.example.org
 192.0.2.81 exact.wild.example.org
"""
BOTH_FILE = FILE + "\n192.0.2.20 *.both.example.org\n192.0.2.21 one.both.example.org\n2001:db8::20 one.both.example.org"


def case(options="", zones="", file=FILE, more="", key=".", names=None):
    return {
        "corefile": f"{key}:{{dns}} {{\n hosts {{dir}}/hosts {zones} {{\n{options}\n }}\n{more}\n}}\n",
        "files": {"hosts": file},
        "questions": lambda: [*product(names or NAMES, TYPES), *product(REVERSE, ["PTR", "A"])],
    }


CASES = {
    "file": case(),
    "file-and-inline": case(INLINE, file=BOTH_FILE),
    "inline": case(INLINE, file=""),
    "zones": case(INLINE, zones="example.org"),
    "keys": case(INLINE, key="example.org"),
    "reverse-zone-key": case(key="192.0.2.0/24"),
    "fallthrough-local": case(" fallthrough", more=" any", names=NAMES),
    "fallthrough-zones": case(INLINE + " fallthrough wild.example.org in-addr.arpa"),
    "fallthrough-unsupported": case(" 192.0.2.77 inline.example.org\n fallthrough\n fallthrough_unsupported"),
    "no-reverse": case(INLINE + " no_reverse"),
    "no-reverse-after": case(" no_reverse\n" + INLINE),
    "ttl": case(" ttl 77\n" + INLINE),
    "missing-file": {"corefile": ".:{dns} {\n hosts {dir}/nope {\n" + INLINE + " }\n}\n", "questions": lambda: product(NAMES[:4] + NAMES[-6:], TYPES)},
    "directory": {"corefile": ".:{dns} {\n hosts {dir} {\n" + INLINE + " }\n}\n", "questions": lambda: product(NAMES[:4] + NAMES[-6:], TYPES)},
    "long": case(file="192.0.2.1 " + "x" * 1025 + " good.example.org " + "y" * 5000 + " best.example.org\n" + "9" * 2000 + " lost.example.org\n" +
                 "192.0.2.2 " + " ".join(f"n{i}.example.org" for i in range(9000)) + "\n192.0.2.3 after.example.org\n",
                 names=["good.example.org", "best.example.org", "lost.example.org", "n0.example.org", "n8999.example.org", "after.example.org"]),
    "before-zone": {"corefile": ".:{dns} {\n hosts {dir}/hosts example.org {\n fallthrough\n }\n file {dir}/db example.org\n}\n",
                    "files": {"hosts": FILE, "db": "@ 60 SOA a b 1 2 3 4 5\n@ 60 NS a\none 60 A 198.51.100.1\nonly 60 A 198.51.100.2\n"},
                    "questions": lambda: product(NAMES + ["only.example.org"], TYPES)},
}
CASES["fallthrough-any"] = case(INLINE + " fallthrough", more=" any\n local")
