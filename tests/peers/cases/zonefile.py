"""Zone files: every kind of answer."""
from compare import Question, product

TYPES = ["A", "AAAA", "NS", "SOA", "MX", "TXT", "SRV", "CNAME", "DNAME", "PTR", "ANY", "DS", "HINFO", "CAA", "TYPE65280"]
SHORT = ["A", "AAAA", "MX", "SRV", "NS", "SOA", "ANY", "CNAME"]

EXAMPLE = """$ORIGIN example.org.
$TTL 300
@       SOA ns1 hostmaster 7 7200 1800 86400 300
@       NS ns1
@       NS ns2.elsewhere.test.
@       MX 10 mail
@       MX 20 mail.elsewhere.test.
@       TXT "v=spf1 -all" "second string"
@       A 192.0.2.100
ns1     A 192.0.2.1
        AAAA 2001:db8::1
mail    A 192.0.2.2
www     A 192.0.2.3
www     A 192.0.2.4
www     AAAA 2001:db8::3
WwW2    60 A 192.0.2.5
alias   CNAME www
alias2  CNAME alias
out     CNAME www.elsewhere.test.
dangling CNAME nope
loop1   CNAME loop2
loop2   CNAME loop1
_http._tcp SRV 10 5 80 www
_http._tcp SRV 20 5 8080 www.elsewhere.test.
*.wild  A 192.0.2.20
*.wild  TXT "wild"
x.ent.wild A 192.0.2.21
*.calias CNAME www
b.ent   A 192.0.2.30
a.b.c.deep A 192.0.2.31
sub     NS ns.sub
sub     NS ns1
ns.sub  A 192.0.2.40
ns.sub  AAAA 2001:db8::40
signed  NS ns.elsewhere.test.
signed  DS 12345 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
tosub   CNAME host.sub
dn      DNAME other.example.org.
t.other A 192.0.2.50
dnself  DNAME dnself.example.org.
long    TXT "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789" "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
big     TXT "%s" "%s" "%s" "%s" "%s" "%s"
https   HTTPS 1 . alpn=h2,h3 ipv4hint=192.0.2.60
svc     SVCB 0 www.example.org.
svc2    SVCB 1 mail.example.org. port=8443
caa     CAA 0 issue "ca.example.net"
naptr   NAPTR 100 10 "U" "E2U+sip" "!^.*$!sip:a@example.org!" .
ptr     PTR www
hinfo   HINFO "cpu" "os"
esc\\.dot A 192.0.2.70
""" % (("z" * 200,) * 6)

NAMES = ["example.org", "ns1.example.org", "mail.example.org", "www.example.org", "WWW.Example.ORG", "www2.example.org", "alias.example.org",
         "alias2.example.org", "out.example.org", "dangling.example.org", "_http._tcp.example.org", "_tcp.example.org", "a.wild.example.org",
         "a.b.wild.example.org", "wild.example.org", "ent.wild.example.org", "x.ent.wild.example.org", "z.ent.wild.example.org", "k.calias.example.org",
         "ent.example.org", "b.ent.example.org", "c.ent.example.org", "deep.example.org", "c.deep.example.org", "b.c.deep.example.org",
         "sub.example.org", "host.sub.example.org", "ns.sub.example.org", "signed.example.org", "x.signed.example.org", "tosub.example.org",
         "dn.example.org", "t.dn.example.org", "u.dn.example.org", "none.example.org", "x.none.example.org", "long.example.org", "big.example.org",
         "https.example.org", "svc.example.org", "svc2.example.org", "caa.example.org", "naptr.example.org", "ptr.example.org", "hinfo.example.org",
         "org", "elsewhere.test", "*.wild.example.org"]

REVERSE = """$ORIGIN 2.0.192.in-addr.arpa.
$TTL 600
@ SOA ns1.example.org. hostmaster.example.org. 1 2 3 4 600
@ NS ns1.example.org.
1 PTR ns1.example.org.
3 PTR www.example.org.
3 PTR web.example.org.
"""

ROOT = """$ORIGIN .
$TTL 300
@ SOA a.root. host.root. 1 2 3 4 300
@ NS a.root.
a.root. A 192.0.2.99
tld. NS ns.tld.
ns.tld. A 192.0.2.98
here. TXT "at the root"
"""

FILES = {"db.example.org": EXAMPLE, "db.reverse": REVERSE, "db.root": ROOT}


def every():
    # The reference answers a CNAME loop over two names with the chain it walked; ours is compared in a case of its own.
    yield from product(NAMES, TYPES)


def variants():
    yield from product(["www.example.org", "alias.example.org", "none.example.org", "big.example.org", "sub.example.org", "a.wild.example.org"],
                       ["A", "TXT", "MX"], edns=[None, 512, 1232], do=[False, True], tcp=[False, True])


CASES = {
    "types": {"corefile": "example.org:{dns} {\n file {dir}/db.example.org\n}\n", "files": FILES, "questions": every},
    "variants": {"corefile": "example.org:{dns} {\n file {dir}/db.example.org\n}\n", "files": FILES, "questions": variants},
    "in-root-block": {"corefile": ".:{dns} {\n file {dir}/db.example.org example.org\n whoami\n}\n", "files": FILES,
                      "questions": lambda: (q for q in product(NAMES, SHORT) if q.name.endswith("example.org"))},
    "fallthrough": {"corefile": ".:{dns} {\n file {dir}/db.example.org example.org {\n fallthrough\n }\n local\n any\n}\n", "files": FILES,
                    "questions": lambda: product(NAMES, SHORT)},
    "fallthrough-zone": {"corefile": ".:{dns} {\n file {dir}/db.example.org example.org {\n fallthrough none.example.org\n }\n local\n}\n",
                         "files": FILES, "questions": lambda: product(NAMES, ["A", "MX"])},
    "loops": {"corefile": "example.org:{dns} {\n file {dir}/db.example.org\n}\n", "files": FILES,
              "questions": lambda: product(["loop1.example.org", "loop2.example.org", "dnself.example.org", "a.dnself.example.org"], ["A", "CNAME", "TXT"])},
    "reverse": {"corefile": "192.0.2.0/24:{dns} {\n file {dir}/db.reverse\n}\n", "files": FILES,
                "questions": lambda: product([f"{i}.2.0.192.in-addr.arpa" for i in (1, 2, 3)] + ["2.0.192.in-addr.arpa", "1.3.0.192.in-addr.arpa"],
                                             ["PTR", "A", "SOA", "NS"])},
    "root-zone": {"corefile": ".:{dns} {\n file {dir}/db.root\n}\n", "files": FILES,
                  "questions": lambda: product([".", "here", "tld", "x.tld", "ns.tld", "a.root", "root", "nope"], ["A", "NS", "SOA", "TXT", "DS"])},
    "parent-and-child": {"corefile": "example.org:{dns} {\n file {dir}/db.example.org\n}\nsub.example.org:{dns} {\n local\n any\n}\n",
                         "files": FILES, "questions": lambda: product(["sub.example.org", "x.sub.example.org", "www.example.org"], ["A", "DS", "ANY", "NS"])},
    "two-zones": {"corefile": ".:{dns} {\n file {dir}/db.example.org example.org\n file {dir}/db.reverse 2.0.192.in-addr.arpa\n}\n", "files": FILES,
                  "questions": lambda: product(["www.example.org", "out.example.org", "1.2.0.192.in-addr.arpa", "other.test"], SHORT + ["PTR"])},
    "cached": {"corefile": "example.org:{dns} {\n cache\n file {dir}/db.example.org\n}\n", "files": FILES,
               "questions": lambda: [q for q in product(NAMES, ["A", "MX", "NS"]) for _ in (0, 1)]},
    "cached-short": {"corefile": "example.org:{dns} {\n cache 20 {\n success 1000 20 15\n denial 1000 10 7\n }\n file {dir}/db.example.org\n}\n",
                     "files": FILES, "questions": lambda: [q for q in product(NAMES[:20], ["A", "TXT"]) for _ in (0, 1)]},
    "minimal": {"corefile": "example.org:{dns} {\n minimal\n file {dir}/db.example.org\n}\n", "files": FILES, "questions": lambda: product(NAMES, SHORT)},
    "loadbalance": {"corefile": "example.org:{dns} {\n loadbalance\n file {dir}/db.example.org\n}\n", "files": FILES,
                    "questions": lambda: product(NAMES[:20], ["A", "MX", "SRV"])},
    "any": {"corefile": "example.org:{dns} {\n any\n file {dir}/db.example.org\n}\n", "files": FILES, "questions": lambda: product(NAMES, ["ANY"])},
    "bufsize": {"corefile": "example.org:{dns} {\n bufsize 600\n file {dir}/db.example.org\n}\n", "files": FILES,
                "questions": lambda: product(["big.example.org", "long.example.org", "www.example.org"], ["TXT", "A"], edns=[None, 512, 1232], tcp=[False, True])},
    "header": {"corefile": "example.org:{dns} {\n header {\n response clear aa\n response set ra\n query clear rd\n }\n file {dir}/db.example.org\n}\n",
               "files": FILES, "questions": lambda: product(NAMES[:12], ["A", "MX"], rd=[True, False])},
    "header-cached": {"corefile": "example.org:{dns} {\n cache\n header {\n response clear aa\n }\n file {dir}/db.example.org\n}\n",
                      "files": FILES, "questions": lambda: [q for q in product(NAMES[:8], ["A"]) for _ in (0, 1)]},
    "rewrite-suffix": {"corefile": ".:{dns} {\n rewrite name suffix .shop.test. .example.org. answer auto\n file {dir}/db.example.org example.org\n}\n",
                       "files": FILES, "questions": lambda: product([n.replace("example.org", "shop.test") for n in NAMES if n.endswith(".example.org")], ["A", "MX", "SRV", "CNAME"])},
    "rewrite-value": {"corefile": ".:{dns} {\n rewrite name regex (.*)\\.shop\\.test {1}.example.org answer name (.*)\\.example\\.org {1}.shop.test answer value (.*)\\.example\\.org {1}.shop.test\n file {dir}/db.example.org example.org\n}\n",
                      "files": FILES, "questions": lambda: product([n.replace("example.org", "shop.test") for n in NAMES if n.endswith(".example.org")][:25], ["A", "SRV", "CNAME"])},
    "rewrite-cname": {"corefile": ".:{dns} {\n rewrite cname exact www.example.org. mail.example.org.\n file {dir}/db.example.org example.org\n}\n",
                      "files": FILES, "questions": lambda: product(["alias.example.org", "alias2.example.org", "www.example.org", "k.calias.example.org"], ["A", "CNAME"])},
    "rewrite-ttl": {"corefile": ".:{dns} {\n rewrite ttl regex .*\\.example\\.org 100-200\n file {dir}/db.example.org example.org\n}\n",
                    "files": FILES, "questions": lambda: product(NAMES[:14], ["A", "MX"])},
    "acl": {"corefile": "example.org:{dns} {\n acl sub.example.org {\n block\n }\n acl {\n filter type MX\n allow\n }\n file {dir}/db.example.org\n}\n",
            "files": FILES, "questions": lambda: product(NAMES[:32], ["A", "MX"])},
    "nsid-metadata-errors": {"corefile": "example.org:{dns} {\n errors\n log\n metadata\n nsid x\n file {dir}/db.example.org\n}\n", "files": FILES,
                             "questions": lambda: product(NAMES[:10], ["A"], edns=[None, 1232])},
    "snippet": {"corefile": "(common) {\n errors\n cache 30\n minimal\n}\nexample.org:{dns} {\n import common\n file {dir}/db.example.org\n}\n2.0.192.in-addr.arpa:{dns} {\n import common\n file {dir}/db.reverse\n}\n",
                "files": FILES, "questions": lambda: product(["www.example.org", "3.2.0.192.in-addr.arpa", "nope.example.org"], ["A", "PTR", "MX"])},
    "notify-and-transfer": {"corefile": "example.org:{dns} {\n file {dir}/db.example.org\n}\n", "files": FILES,
                            "questions": lambda: [Question("example.org", t, tcp=True) for t in ("AXFR",)] + [Question("www.example.org", "SOA", opcode=4)]},
    "hosts": {"corefile": ".:{dns} {\n hosts {dir}/hosts example.org {\n 192.0.2.9 inline.example.org\n fallthrough\n }\n local\n any\n}\n",
              "files": {"hosts": "192.0.2.1 a.example.org b.example.org # c\n2001:db8::1 a.example.org\n192.0.2.2 *.w.example.org\n192.0.2.3 other.test\nbad line\n"},
              "questions": lambda: product(["a.example.org", "A.example.org", "b.example.org", "inline.example.org", "x.w.example.org", "x.y.w.example.org",
                                            "other.test", "none.example.org", "1.2.0.192.in-addr.arpa", "9.2.0.192.in-addr.arpa", "3.2.0.192.in-addr.arpa",
                                            "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"], ["A", "AAAA", "PTR", "MX", "TXT"])},
    "hosts-final": {"corefile": "example.org:{dns} {\n hosts {\n 192.0.2.9 inline.example.org\n 192.0.2.10 inline.example.org\n ttl 77\n no_reverse\n }\n}\n",
                    "questions": lambda: product(["inline.example.org", "none.example.org", "9.2.0.192.in-addr.arpa"], ["A", "AAAA", "PTR", "MX"])},
}
