"""Zone files: a validator believes the signed answers; reloading; what is refused. Hosts files: reloading, log
lines, metrics. whoami."""
import os
import re
import socket
import time
import urllib.request

import dns.flags
import dns.rdatatype
import pytest
import signer
import wire
from server import Waypost, wait_for

NOERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5

SIGNED = """@ 300 IN SOA ns.signed.test. admin.signed.test. 7 7200 900 1209600 60
@ 300 IN NS ns.signed.test.
ns 300 IN A 127.0.0.1
www 300 IN A 192.0.2.1
www 300 IN AAAA 2001:db8::1
alias 300 IN CNAME www.signed.test.
towild 300 IN CNAME q.w.signed.test.
tonope 300 IN CNAME nope.signed.test.
tonodata 300 IN CNAME ns.signed.test.
a.b.c 300 IN A 192.0.2.2
*.w 300 IN A 192.0.2.3
*.w 300 IN TXT "wild"
x.w 300 IN A 192.0.2.4
deep.ent.w 300 IN A 192.0.2.5
*.cw 300 IN CNAME www.signed.test.
k.*.sw 300 IN A 192.0.2.6
@ 300 IN MX 10 www.signed.test.
sub 300 IN NS ns.sub.signed.test.
ns.sub 300 IN A 127.0.0.1
d 300 IN DNAME w.signed.test.
Mixed 300 IN A 192.0.2.7
"""


@pytest.fixture(scope="module")
def validator():
    text, key = signer.signed("signed.test.", SIGNED)
    with Waypost("signed.test:{dns} {\n file {dir}/db\n}\n", files={"db": text}) as w:
        with signer.Validator("signed.test.", w.port["dns"], key) as v:
            yield v


@pytest.mark.parametrize("name, rtype, rcode, answers", [
    ("www", "A", NOERROR, 1), ("www", "AAAA", NOERROR, 1), ("", "SOA", NOERROR, 1), ("", "NS", NOERROR, 1), ("", "MX", NOERROR, 1),
    ("", "DNSKEY", NOERROR, 1), ("mixed", "A", NOERROR, 1), ("a.b.c", "A", NOERROR, 1),
    ("www", "TXT", NOERROR, 0), ("", "TXT", NOERROR, 0),
    ("b.c", "A", NOERROR, 0), ("c", "A", NOERROR, 0),
    ("nope", "A", NXDOMAIN, 0), ("zzz", "A", NXDOMAIN, 0), ("0", "A", NXDOMAIN, 0), ("x.www", "A", NXDOMAIN, 0), ("q.b.c", "A", NXDOMAIN, 0),
    ("q.w", "A", NOERROR, 1), ("q.r.w", "TXT", NOERROR, 1), ("q.w", "MX", NOERROR, 0), ("q.x.w", "A", NXDOMAIN, 0), ("ent.w", "A", NOERROR, 0),
    ("q.ent.w", "A", NXDOMAIN, 0), ("*.w", "A", NOERROR, 1), ("q.sw", "A", NOERROR, 0), ("q.cw", "A", NOERROR, 2), ("q.cw", "MX", NOERROR, 1),
    ("alias", "A", NOERROR, 2), ("alias", "TXT", NOERROR, 1), ("towild", "A", NOERROR, 2), ("towild", "MX", NOERROR, 1),
    ("tonope", "A", NXDOMAIN, 1), ("tonodata", "AAAA", NOERROR, 1),
    ("q.d", "A", NOERROR, 3), ("x.d", "A", NOERROR, 3), ("d", "DNAME", NOERROR, 1),
    ("sub", "DS", NOERROR, 0),
])
def test_validated(validator, name, rtype, rcode, answers):
    got = validator.ask(f"{name}.signed.test" if name else "signed.test", rtype)
    assert (got[0], got[1], len(got[2])) == (rcode, True, answers), (got, validator.process.output()[-3000:])


# --- reloading ------------------------------------------------------------------------------------


def zone(serial, address="192.0.2.1", more=""):
    return f"@ 300 SOA ns admin {serial} 7200 900 1209600 60\n@ 300 NS ns\nns 300 A 192.0.2.53\nwww 300 A {address}\n{more}"


def answer(port, name, rtype="A"):
    m = wire.parse(wire.udp(port, wire.query(name, rtype)))
    return m.rcode(), sorted(r.to_text() for s in m.answer for r in s)


def put(w, name, text):
    with open(w.path(name) + ".new", "w") as f:
        f.write(text)
    os.rename(w.path(name) + ".new", w.path(name))


def test_zone_reload():
    conf = """.:{dns} {
  cache
  file {dir}/db example.org {
    reload 200ms
  }
  file {dir}/late late.test
  file {dir}/after after.test {
    reload_by_mtime
  }
}
"""
    with Waypost(conf, files={"db": zone(5), "after": zone(9)}) as w:
        port = w.port["dns"]
        w.says('Failed to open "open ', '/late: no such file or directory": trying again in 200ms')
        assert answer(port, "www.example.org") == (NOERROR, ["192.0.2.1"])
        assert answer(port, "www.late.test")[0] == SERVFAIL
        assert answer(port, "www.after.test")[0] == NOERROR  # not withheld for the missing one's sake
        put(w, "db", zone(4, "192.0.2.2"))  # any other serial; the cache must not hide it
        wait_for(lambda: answer(port, "www.example.org")[1] == ["192.0.2.2"], 5)
        assert re.search(r'\[INFO\] plugin/file: Successfully reloaded zone "example.org." in ".*/db" with 4 SOA serial', w.output())
        put(w, "late", zone(1))
        wait_for(lambda: answer(port, "www.late.test")[0] == NOERROR, 5)
        put(w, "db", zone(4, "192.0.2.3"))  # same serial: not taken
        put(w, "after", zone(9, "192.0.2.4"))  # by time: taken, once
        wait_for(lambda: answer(port, "www.after.test")[1] == ["192.0.2.4"], 5)
        put(w, "db", "@ 300 SOA ns admin 8 7200 900 1209600 60\nwww 300 A x\n")
        wait_for(lambda: '[ERROR] plugin/file: Parsing zone "example.org.": failed to parse file' in w.output(), 5)
        assert answer(port, "www.example.org") == (NOERROR, ["192.0.2.2"])
        put(w, "db", zone(9, "192.0.2.5").replace("@ 300 SOA", "example.net. 300 SOA"))
        wait_for(lambda: "has SOA owner example.net. that does not match origin example.org." in w.output(), 5)
        assert answer(port, "www.example.org") == (NOERROR, ["192.0.2.2"])
        os.unlink(w.path("db"))
        wait_for(lambda: 'Failed to open zone "example.org."' in w.output(), 5)
        assert answer(port, "www.example.org") == (NOERROR, ["192.0.2.2"])
        wait_for(lambda: w.output().count('Successfully reloaded zone "after.test."') == 1)


def test_corefile_reload_keeps_zones():
    big = "".join(f"n{i} 300 A 10.{i >> 16}.{i >> 8 & 255}.{i & 255}\n" for i in range(20000))
    with Waypost("example.org:{dns} {\n file {dir}/db\n}\n", files={"db": zone(1, more=big)}) as w:
        port = w.port["dns"]
        w.write("example.org:{dns} {\n file {dir}/db {\n reload 1s\n }\n nsid x\n}\n")
        w.kill(10)  # SIGUSR1
        wait_for(lambda: wire.parse(wire.udp(port, wire.query("www.example.org", extra=wire.opt(options=wire.option(3))))).options, 10)
        assert answer(port, "n19999.example.org") == (NOERROR, ["10.0.78.31"])
        put(w, "db", zone(2, "192.0.2.2"))
        wait_for(lambda: answer(port, "www.example.org")[1] == ["192.0.2.2"], 10)
        assert answer(port, "n19999.example.org")[0] == NXDOMAIN


def test_zone_refusals():
    with Waypost("example.org:{dns} {\n file {dir}/db\n}\n", files={"db": zone(1)}) as w:
        port = w.port["dns"]
        for rtype in ("AXFR", "IXFR"):
            assert wire.rcode(wire.tcp(port, wire.query("example.org", rtype))) == REFUSED
        assert wire.udp(port, wire.query("example.org", "SOA", flags=4 << 11), timeout=0.5) is None
        wait_for(lambda: "[INFO] plugin/file: Dropping notify from 127.0.0.1 for example.org." in w.output(), 5)
        m = wire.parse(wire.udp(port, wire.query("nope.example.org")))
        assert [(dns.rdatatype.to_text(s.rdtype), s.ttl) for s in m.authority] == [("SOA", 60)]


def test_wildcard_metadata():
    conf = 'example.org:{dns} {\n metadata\n log . "wild {/zone/wildcard}"\n file {dir}/db\n}\n'
    with Waypost(conf, files={"db": zone(1, more="*.w 300 A 192.0.2.9\n")}) as w:
        assert answer(w.port["dns"], "q.w.example.org") == (NOERROR, ["192.0.2.9"])
        wait_for(lambda: "wild *.w.example.org." in w.output(), 5)


# --- hosts -------------------------------------------------------------------------------------------


def metrics(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as r:
        return r.read().decode()


def test_hosts_reload_and_metrics():
    conf = """.:{dns} {
  prometheus 127.0.0.1:{metrics}
  cache
  hosts {dir}/hosts example.org {
    192.0.2.9 inline.example.org
    reload 100ms
  }
}
"""
    with Waypost(conf, files={"hosts": "192.0.2.1 a.example.org b.example.org\n"}) as w:
        port = w.port["dns"]
        assert answer(port, "a.example.org") == (NOERROR, ["192.0.2.1"])
        text = metrics(w.port["metrics"])
        assert f'coredns_hosts_entries{{hostsfile="{w.path("hosts")}"}} 6' in text
        stamp = float(re.search(r"^coredns_hosts_reload_timestamp_seconds ([0-9.e+]+)$", text, re.M).group(1))
        assert abs(stamp - os.stat(w.path("hosts")).st_mtime) < 1
        put(w, "hosts", "192.0.2.2 a.example.org\n")
        wait_for(lambda: answer(port, "a.example.org") == (NOERROR, ["192.0.2.2"]), 5)
        assert answer(port, "b.example.org")[0] == SERVFAIL
        assert f'coredns_hosts_entries{{hostsfile="{w.path("hosts")}"}} 4' in metrics(w.port["metrics"])
        os.unlink(w.path("hosts"))  # what there was stays
        time.sleep(0.4)
        assert answer(port, "a.example.org") == (NOERROR, ["192.0.2.2"])
        put(w, "hosts", "192.0.2.3 a.example.org\n")
        wait_for(lambda: answer(port, "a.example.org") == (NOERROR, ["192.0.2.3"]), 5)
        assert answer(port, "inline.example.org") == (NOERROR, ["192.0.2.9"])


def test_hosts_long_fields():
    five = "x" * (5 << 20)
    text = f"192.0.2.1 first.example.org\n192.0.2.2 {five} second.example.org\n{'9' * 2000} lost.example.org\n" + \
           "192.0.2.3 " + " ".join(f"n{i}.example.org" for i in range(300000)) + "\n192.0.2.4 last.example.org\n"
    with Waypost(".:{dns} {\n hosts {dir}/hosts\n}\n", files={"hosts": text}) as w:
        port = w.port["dns"]
        for name, address in (("first", 1), ("second", 2), ("n0", 3), ("n299999", 3), ("last", 4)):
            assert answer(port, f"{name}.example.org") == (NOERROR, [f"192.0.2.{address}"])
        assert answer(port, "lost.example.org")[0] == SERVFAIL
        log = [line for line in w.output().splitlines() if line.startswith("[ERROR]")]
        where = f'[ERROR] plugin/hosts: Hosts file "{w.path("hosts")}", line '
        assert log == [where + "2: name longer than 1024 bytes, dropping the name", where + "3: address longer than 1024 bytes, dropping the line"]


# --- whoami ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, tcp", [("Example.ORG", False), ("example.org", True), (".", False)])
def test_whoami(name, tcp):
    with Waypost(".:{dns} {\n whoami\n}\n") as w:
        msg = wire.query(name, "MX")
        if tcp:
            with socket.create_connection(("127.0.0.1", w.port["dns"]), 5) as s:
                me = s.getsockname()[1]
                s.sendall(wire.framed(msg))
                m = wire.parse(wire.read_message(s))
        else:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.settimeout(5)
                s.connect(("127.0.0.1", w.port["dns"]))
                me = s.getsockname()[1]
                s.send(msg)
                m = wire.parse(s.recv(4096))
        proto = "tcp" if tcp else "udp"
        dotted = name if name == "." else name + "."
        assert m.rcode() == NOERROR and m.flags & dns.flags.AA and not m.answer and not m.authority
        assert [(s.name.to_text(), s.ttl, dns.rdatatype.to_text(s.rdtype), s[0].to_text()) for s in m.additional] == [
            (dotted, 0, "A", "127.0.0.1"), (f"_{proto}.{'' if name == '.' else dotted}", 0, "SRV", f"0 0 {me} .")]
