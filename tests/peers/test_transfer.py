"""A zone file's zone transferred from CoreDNS and from waypost: the same records, the same refusals."""
import re

import pytest
import wire
import xfr
from server import Waypost
from test_kube_rows import CoreDns

ZONE = """$TTL 300
@ SOA ns1 host 7 7200 1800 86400 60
@ NS ns1
@ NS NS.Other.test.
@ MX 10 Mail
@ TXT "apex" "two"
ns1 A 192.0.2.53
WWW A 192.0.2.1
www A 192.0.2.2
a.b.c A 192.0.2.3
*.wild TXT "a wildcard"
sub NS ns2.sub
sub DS 1 8 2 ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB
ns2.sub A 192.0.2.54
alias CNAME www
d DNAME target
_x._tcp SRV 0 5 80 WWW
svc HTTPS 1 . alpn=h2
z\\001z CAA 0 issue "ca.test"
w TYPE65280 \\# 2 ABCD
"""
CONF = """.:{dns} {
 log
 errors
 file {dir}/db example.org a.example.test
 transfer example.org {
  to *
 }
 transfer example.test {
  to *
 }
 transfer a.example.test {
  to 192.0.2.1
 }
}
"""


@pytest.fixture(scope="module")
def both(coredns):
    with Waypost(CONF, files={"db": ZONE}) as ours, CoreDns(CONF, files={"db": ZONE}, binary=coredns) as theirs:
        yield ours, theirs


def test_same_records(both):
    ours, theirs = (xfr.axfr(w.port["dns"]).texts() for w in both)
    assert len(ours) == len(set(ours)) + 1 and [t.lower() for t in ours[:1]] == [t.lower() for t in theirs[:1]]
    assert sorted(ours) == sorted(theirs)
    assert [t.split(" ")[0] for t in ours] == [t.split(" ")[0] for t in theirs]  # names in the same order


QUESTIONS = {
    "ixfr-same": (xfr.ixfr("example.org", 7), True), "ixfr-older": (xfr.ixfr("example.org", 6), True), "ixfr-newer": (xfr.ixfr("example.org", 8), True),
    "ixfr-zero": (xfr.ixfr("example.org", 0), True), "ixfr-bare": (wire.query("example.org", "IXFR"), True), "udp": (wire.query("example.org", "AXFR"), False),
    "udp-ixfr": (xfr.ixfr("example.org", 7), False), "child": (wire.query("a.example.test", "AXFR"), True),
    "not-a-zone": (wire.query("www.example.org", "AXFR"), True), "nobody's": (wire.query("example.net", "AXFR"), True),
    "other-class": (wire.query("example.org", "AXFR", qclass=3), True),
}


@pytest.mark.parametrize("msg, tcp", QUESTIONS.values(), ids=QUESTIONS)
def test_same_answers(both, msg, tcp):
    got = [(wire.tcp if tcp else wire.udp)(w.port["dns"], wire.with_id(msg, 9)) for w in both]
    ours, theirs = ((m[3] & 15, sorted(f"{r.name} {r.ttl} {r[0]}" for r in wire.parse_apart(m).answer)) for m in got)
    assert ours == theirs


def test_same_log(both):
    for w in both:
        xfr.axfr(w.port["dns"])
        wire.tcp(w.port["dns"], xfr.ixfr("example.org", 7))
    ours, theirs = ([re.sub(r"127.0.0.1:\d+ - \d+|\d+\.\d+s$", "", line) for line in w.output().splitlines() if "transfer" in line or "AXFR IN example.org. tcp" in line]
                    for w in both)
    assert set(ours) == set(theirs)
