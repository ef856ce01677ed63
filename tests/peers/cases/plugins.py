"""Small plugins, mostly in front of local answers."""
import dns.edns

from compare import Question, product

NAMES = ["localhost", "x.localhost", "localhost.example.org", "LocalHost.", "127.in-addr.arpa", "1.0.0.127.in-addr.arpa",
         "2.0.0.127.in-addr.arpa", "0.in-addr.arpa", "255.in-addr.arpa", "x.0.in-addr.arpa", "example.org", "a.b.c.example.org", "."]
TYPES = ["A", "AAAA", "NS", "SOA", "PTR", "MX", "TXT"]
NSID = dns.edns.GenericOption(3, b"")
COOKIE = dns.edns.GenericOption(10, b"12345678")
OTHER = dns.edns.GenericOption(65001, b"abc")


def usual():
    yield from product(NAMES, TYPES)


def edns():
    yield from product(NAMES[:4], ["A", "SOA"], edns=[None, 512, 1232, 4096], do=[False, True])
    for o in ([NSID], [COOKIE], [OTHER], [NSID, COOKIE, OTHER]):
        yield Question("localhost", "A", options=o)
        yield Question("nothing.example.org", "A", options=o)


def chaos():
    for n in ("version.bind", "version.server", "hostname.bind", "id.server", "VERSION.bind", "other.bind"):
        for t in ("TXT", "A", "ANY"):
            for c in ("CH", "IN", "HS"):
                yield Question(n, t, c)


AUTOPATH = {
    "resolv.conf": "search bar.test BAZ.test.\n",
    "db.bar": "@ 60 IN SOA ns h 1 1 1 1 60\n@ 60 IN NS ns\nns 60 IN A 192.0.2.1\nx 60 IN A 192.0.2.2\nc 60 IN CNAME other\n"
              "other 60 IN A 192.0.2.9\n*.wild 60 IN A 192.0.2.10\n",
    "db.baz": "@ 60 IN SOA ns h 1 1 1 1 60\n@ 60 IN NS ns\nns 60 IN A 192.0.2.1\ny 50 IN A 192.0.2.3\ny 50 IN A 192.0.2.4\n"
              "c2 60 IN CNAME y\nc3 60 IN CNAME x.bar.test.\nmx 60 IN MX 10 y\n_s._tcp 60 IN SRV 1 2 3 y\ntxt 60 IN TXT \"a b\" c\n",
    "db.ex": "@ 60 IN SOA ns h 1 1 1 1 60\n@ 60 IN NS ns\nns 60 IN AAAA 2001:db8::1\nwww 77 IN A 192.0.2.80\n",
}


def autopath():
    names = ["x.bar.test", "X.BaR.tEst", "y.bar.test", "Y.bAr.test", "c.bar.test", "c2.bar.test", "c3.bar.test", "mx.bar.test", "txt.bar.test",
             "_s._tcp.bar.test", "www.ex.test.bar.test", "WWW.Ex.test.Bar.test", "ex.test.bar.test", "nope.bar.test", "NoPe.Bar.test", "q.wild.bar.test",
             "bar.test.bar.test", "bar.test", "y.baz.test", "nope.baz.test", "www.ex.test", "xbar.test", "x.x.bar.test", "baz.test.bar.test"]
    yield from product(names, ["A", "AAAA", "MX", "TXT", "SRV", "NS", "SOA", "CNAME", "ANY", "HTTPS"])
    yield from product(names, ["A", "TXT"], edns=[512, 1232], do=[False, True], tcp=[False, True])


CASES = {
    "autopath": {"corefile": ".:{dns} {\n autopath {dir}/resolv.conf\n file {dir}/db.bar bar.test\n file {dir}/db.baz baz.test\n"
                             " file {dir}/db.ex ex.test\n}\n", "files": AUTOPATH, "questions": autopath},
    "local": {"corefile": ".:{dns} {\n local\n}\n", "questions": usual},
    "local-prefix-off": {"corefile": ".:{dns} {\n local {\n localhost_prefix off\n }\n}\n", "questions": usual},
    "any": {"corefile": ".:{dns} {\n any\n local\n}\n", "questions": lambda: product(NAMES, ["ANY", "A", "HINFO"])},
    "nsid": {"corefile": ".:{dns} {\n nsid gw one\n local\n}\n", "questions": edns},
    "bufsize": {"corefile": ".:{dns} {\n bufsize 700\n local\n}\n", "questions": edns},
    "plain-edns": {"corefile": ".:{dns} {\n local\n}\n", "questions": edns},
    "chaos": {"corefile": ".:{dns} {\n chaos v1\n local\n}\n",
              "questions": lambda: (q for q in chaos() if "authors" not in q.name)},
    "acl-block": {"corefile": ".:{dns} {\n acl {\n block type AAAA net 127.0.0.0/8\n }\n local\n}\n", "questions": edns},
    "acl-filter": {"corefile": ".:{dns} {\n acl example.org {\n filter type A\n allow type MX\n block\n }\n local\n}\n", "questions": usual},
    "acl-nets": {"corefile": ".:{dns} {\n acl {\n allow net 10.0.0.0/8\n block net *\n }\n local\n}\n", "questions": edns},
    "header": {"corefile": ".:{dns} {\n header {\n response set ra aa\n response clear rd\n }\n local\n}\n", "questions": usual},
    "zones": {"corefile": "example.org:{dns} example.net:{dns} {\n any\n local\n}\nlocalhost:{dns} {\n local\n}\n",
              "questions": lambda: product(NAMES + ["example.net", "x.example.net", "xexample.net"], ["A", "ANY", "DS"])},
    "no-handlers": {"corefile": "example.org:{dns}\n", "questions": usual},
    "only-filters": {"corefile": ".:{dns} {\n cache\n minimal\n}\n", "questions": usual},
    "reverse-cidr": {"corefile": "10.0.0.0/15:{dns} 192.168.1.1/23:{dns} 2001:db8::/32:{dns} {\n any\n}\n",
                     "questions": lambda: product(["1.0.10.in-addr.arpa", "1.1.10.in-addr.arpa", "1.2.10.in-addr.arpa",
                                                   "9.0.168.192.in-addr.arpa", "9.1.168.192.in-addr.arpa", "9.2.168.192.in-addr.arpa",
                                                   "1.8.b.d.0.1.0.0.2.ip6.arpa", "9.b.d.0.1.0.0.2.ip6.arpa"], ["ANY", "A"])},
    "rewrite-exact": {"corefile": ".:{dns} {\n rewrite name exact a.test localhost\n local\n}\n",
                      "questions": lambda: product(["a.test", "A.Test", "b.a.test", "localhost"], TYPES)},
    "rewrite-suffix": {"corefile": ".:{dns} {\n rewrite stop name suffix .a.test. .localhost. answer auto\n local\n}\n",
                       "questions": lambda: product(["x.a.test", "a.test", "y.x.a.test"], TYPES)},
    "rewrite-prefix": {"corefile": ".:{dns} {\n rewrite name prefix a. localhost. answer auto\n local\n}\n",
                       "questions": lambda: product(["a.example.org", "a.", "b.a.org"], TYPES)},
    "rewrite-regex": {"corefile": ".:{dns} {\n rewrite name regex (.*)\\.a\\.test {1}.localhost answer name (.*)\\.localhost {1}.a.test\n local\n}\n",
                      "questions": lambda: product(["x.a.test", "y.x.a.test", "a.test"], TYPES)},
    "rewrite-type": {"corefile": ".:{dns} {\n rewrite type MX A\n local\n}\n", "questions": lambda: product(["localhost", "x.localhost"], TYPES)},
    "rewrite-ttl": {"corefile": ".:{dns} {\n rewrite continue ttl localhost 30\n rewrite ttl suffix .localhost. -100\n local\n}\n",
                    "questions": lambda: product(["localhost", "x.localhost"], TYPES)},
    "rewrite-rcode": {"corefile": ".:{dns} {\n rewrite rcode regex .* NXDOMAIN SERVFAIL\n local\n}\n", "questions": usual},
    "rewrite-rcode-unwritten": {"corefile": ".:{dns} {\n rewrite rcode exact no.test SERVFAIL NXDOMAIN\n local\n}\n",
                                "questions": lambda: product(["no.test", "other.test"], TYPES)},
    "rewrite-continue": {"corefile": ".:{dns} {\n rewrite continue name a.test b.test\n rewrite name b.test localhost\n local\n}\n",
                         "questions": lambda: product(["a.test", "b.test"], TYPES)},
    "rewrite-edns": {"corefile": ".:{dns} {\n rewrite edns0 local set 0xffee hello\n local\n}\n", "questions": edns},
    "rewrite-block": {"corefile": ".:{dns} {\n rewrite stop {\n name exact a.test localhost\n answer auto\n }\n local\n}\n",
                      "questions": lambda: product(["a.test", "localhost"], TYPES)},
    "cache": {"corefile": ".:{dns} {\n cache 30\n local\n}\n", "questions": lambda: list(usual()) + list(usual())},
    "cache-denial": {"corefile": ".:{dns} {\n cache {\n success 5000 100 10\n denial 5000 50 20\n }\n local\n}\n",
                     "questions": lambda: list(usual()) + list(usual())},
    "cache-edns": {"corefile": ".:{dns} {\n cache\n local\n}\n", "questions": lambda: list(edns()) + list(edns())},
    "minimal": {"corefile": ".:{dns} {\n minimal\n local\n}\n", "questions": usual},
    "loadbalance": {"corefile": ".:{dns} {\n loadbalance\n local\n}\n", "questions": usual},
    "opcodes": {"corefile": ".:{dns} {\n local\n}\n",
                "questions": lambda: (Question("localhost", "A", opcode=o, tcp=t) for o in (0, 1, 2, 4, 5) for t in (False, True))},
    "flags": {"corefile": ".:{dns} {\n local\n}\n",
              "questions": lambda: product(["localhost", "no.test"], ["A", "MX"], rd=[True, False], cd=[True, False], ad=[True, False], tcp=[True, False])},
    "classes": {"corefile": ".:{dns} {\n local\n}\n",
                "questions": lambda: (Question(n, "A", c) for n in ("localhost", "no.test") for c in ("CH", "HS", "NONE", "ANY", "CLASS7"))},
}
