"""etcd: options (rows E167-E189, E201-E207 of the table), and the lines of the etcd lesson (000-*)."""
import os
import subprocess
import time

import dns.rcode
import etcd
import etcd_rows
import pytest
import wire
from server import WAYPOST, Waypost, free_port, wait_for
from test_33_etcd_faults import once

BASE = [(k, v) for k, _, v in etcd_rows.data_sets()["BASE"]]
BAD = [(k, v) for k, _, v in etcd_rows.data_sets()["BAD"]]
APEX = [(k, v) for k, _, v in etcd_rows.data_sets()["APEX"]]


@pytest.fixture(scope="module")
def member():
    with etcd.Member() as m:
        yield m


@pytest.fixture(scope="module")
def upstream():
    with etcd_rows.resolver() as r:
        yield r


def start(member, upstream, data, body, zone=".", directive=""):
    """waypost on exactly this data."""
    c = member.client
    c.delete(b"\0", b"\0")
    for key, value in data:
        c.put(key, value)
    w = Waypost("%s:{dns} {\n errors\n etcd %s {\n endpoint %s\n%s\n }\n forward . 127.0.0.1:%d\n}\n" %
                (zone, directive, member.url, body, upstream.port))
    wait_for(lambda: "watching" in w.output())
    return w


def ask(w, name, rtype="A"):
    m = etcd_rows.parse(wire.tcp(w.port["dns"], wire.query(name, rtype, qid=3)))
    return (dns.rcode.to_text(m.rcode()), etcd_rows.section(m.answer), etcd_rows.section(m.additional),
            [r.split(" ")[0] for r in etcd_rows.section(m.authority)])


ZONES = etcd_rows.ZONES
WAY = [("/skydns/dev/my-web-app/1", '{"host":"10.0.1.100","port":8080}')]
A1 = "my-web-app.dev. 300 A 10.0.1.100"

# (id, data, zone of the block, zones of the directive, options, [(name, type, rcode, answer, additional, soa)])
ROWS = [
    ("E167", BASE, ".", ZONES, "fallthrough",
     [("absent.way.test", "A", "NOERROR", ["absent.way.test. 60 A 203.0.113.9"], [], [])]),
    ("E168", BASE, ".", ZONES, "fallthrough", [("api.prod.east.way.test", "AAAA", "NOERROR", [], [], ["way.test."])]),
    ("E169", BAD, ".", ZONES, "fallthrough", [("str.b.way.test", "A", "SERVFAIL", [], [], ["way.test."])]),
    ("E170", BASE, ".", ZONES, "fallthrough 2.0.192.in-addr.arpa",
     [("absent.way.test", "A", "NXDOMAIN", [], [], ["way.test."])]),
    ("E171", BASE, ".", ZONES, "fallthrough 2.0.192.in-addr.arpa",
     [("99.2.0.192.in-addr.arpa", "PTR", "NXDOMAIN", [], [], [])]),
    ("E172", BASE, "way.test", "", "", [("api.prod.east.way.test", "A", "NOERROR",
                                         ["api.prod.east.way.test. 300 A 192.0.2.11", "api.prod.east.way.test. 300 A 192.0.2.12"], [], [])]),
    ("E173", [("/skydns/test/way/solo", '{"host":"192.0.2.4"}')], ".", "", "",
     [("solo.way.test", "A", "NOERROR", ["solo.way.test. 300 A 192.0.2.4"], [], []),
      ("absent.example", "A", "NXDOMAIN", [], [], ["."])]),
    ("E174", BASE, ".", "test way.test", "", [("absent.way.test", "A", "NXDOMAIN", [], [], ["way.test."]),
                                              ("absent.test", "A", "NXDOMAIN", [], [], ["test."])]),
    ("E175", [("/other/test/way/p/i1", '{"host":"192.0.2.9"}')], ".", ZONES, "path /other",
     [("p.way.test", "A", "NOERROR", ["p.way.test. 300 A 192.0.2.9"], [], [])]),
    ("E176", [("/other/test/way/p/i1", '{"host":"192.0.2.9"}')], ".", ZONES, "path other",
     [("p.way.test", "A", "NOERROR", ["p.way.test. 300 A 192.0.2.9"], [], [])]),
    ("E177", [("/a/b/test/way/p/i1", '{"host":"192.0.2.9","port":1}')], ".", ZONES, "path /a/b",
     [("p.way.test", "SRV", "NOERROR", ["p.way.test. 300 SRV 10 100 1 i1.p.way.test."], ["i1.p.way.test. 300 A 192.0.2.9"], [])]),
    # no prefix, no zone: there is no key of the zone itself
    ("E173-root", [("/way/p", '{"host":"192.0.2.9"}')], ".", "", "path /", [("p.way", "A", "NOERROR", ["p.way. 300 A 192.0.2.9"], [], [])]),
    ("E178", WAY, ".", "", "zones dev", [("my-web-app.dev", "A", "NOERROR", [A1], [], [])]),
    ("E179", WAY, ".", "", "zones dev",
     [("my-web-app.dev", "SRV", "NOERROR", ["my-web-app.dev. 300 SRV 10 100 8080 1.my-web-app.dev."],
       ["1.my-web-app.dev. 300 A 10.0.1.100"], [])]),
    ("E180", WAY, ".", "", "zones dev",
     [("_my-web-app._tcp.dev", "SRV", "NOERROR", ["_my-web-app._tcp.dev. 300 SRV 0 10 8080 my-web-app.dev."], [A1], []),
      ("_my-web-app._udp.dev", "SRV", "NOERROR", ["_my-web-app._udp.dev. 300 SRV 0 10 8080 my-web-app.dev."], [A1], []),
      ("_my-web-app._tcp.dev", "A", "NXDOMAIN", [], [], ["dev."]), ("_other._tcp.dev", "SRV", "NXDOMAIN", [], [], ["dev."]),
      ("_my-web-app._sctp.dev", "SRV", "NXDOMAIN", [], [], ["dev."])]),
    ("E181", WAY + [("/skydns/dev/my-web-app/2", '{"host":"10.0.1.101","port":8080,"weight":7,"ttl":50}')], ".", "", "zones dev",
     [("_my-web-app._tcp.dev", "SRV", "NOERROR", ["_my-web-app._tcp.dev. 50 SRV 0 10 8080 my-web-app.dev."],
       [A1, "my-web-app.dev. 50 A 10.0.1.101"], [])]),
    ("E182", WAY + [("/skydns/dev/my-web-app/2", '{"host":"10.0.1.101","port":8081}')], ".", "", "zones dev",
     [("_my-web-app._tcp.dev", "SRV", "NOERROR", ["_my-web-app._tcp.dev. 300 SRV 0 10 8080 1.my-web-app.dev.",
                                                  "_my-web-app._tcp.dev. 300 SRV 0 10 8081 2.my-web-app.dev."],
       ["1.my-web-app.dev. 300 A 10.0.1.100", "2.my-web-app.dev. 300 A 10.0.1.101"], [])]),
    ("E183", WAY + [("/skydns/dev/_tcp/_my-web-app/x", '{"host":"10.0.1.200","port":9}')], ".", "", "zones dev",
     [("_my-web-app._tcp.dev", "SRV", "NOERROR", ["_my-web-app._tcp.dev. 300 SRV 10 100 9 x._my-web-app._tcp.dev."],
       ["x._my-web-app._tcp.dev. 300 A 10.0.1.200"], [])]),
    ("E184", WAY, ".", "", "zones dev", [("ext.partner.example", "A", "NOERROR", ["ext.partner.example. 60 A 198.51.100.7"], [], [])]),
    ("E201", [("/skydns/test/za/x", '{"host":"192.0.2.70"}')], ".", ZONES, "no_apex_fallback",
     [("za.test", t, "NXDOMAIN", [], [], ["za.test."]) for t in ("A", "AAAA", "CAA")]),
    ("E201-without", [("/skydns/test/za/x", '{"host":"192.0.2.70"}')], ".", ZONES, "",
     [("za.test", "A", "NOERROR", ["za.test. 300 A 192.0.2.70"], [], [])] +
     [("za.test", t, "NOERROR", [], [], ["za.test."]) for t in ("AAAA", "CAA")]),
    ("E202", [("/skydns/test/za/x", '{"host":"192.0.2.70"}'), ("/skydns/test/za/dns/apex/a", '{"host":"192.0.2.1"}')], ".", ZONES,
     "no_apex_fallback", [("za.test", "A", "NOERROR", ["za.test. 300 A 192.0.2.1"], [], []),
                          ("za.test", "AAAA", "NOERROR", [], [], ["za.test."])]),
    ("E203", APEX, ".", ZONES, "no_apex_fallback",
     [("za.test", "SRV", "NOERROR", ["za.test. 300 SRV 10 50 0 x.za.test.", "za.test. 300 SRV 10 50 0 y.za.test."],
       ["x.za.test. 300 A 192.0.2.70", "y.za.test. 300 A 192.0.2.71"], []),
      ("zd.test", "TXT", "NOERROR", ['zd.test. 300 TXT "apex text"'], [], []), ("za.test", "NS", "NXDOMAIN", [], [], ["za.test."]),
      ("za.test", "SOA", "NOERROR", ["za.test. 30 SOA ns.dns.za.test. hostmaster.za.test. * 7200 1800 86400 30"], [], []),
      ("x.za.test", "A", "NOERROR", ["x.za.test. 300 A 192.0.2.70"], [], [])]),
    ("E204", [("/skydns/test/za/x", '{"host":"192.0.2.70"}')], ".", ZONES, "no_apex_fallback\nfallthrough",
     [("za.test", "A", "NXDOMAIN", [], [], [])]),
    ("E207", [("/skydns/test/way/s/huge/a", '{"host":"192.0.2.44","port":1,"targetstrip":9223372036854775807}')], ".", ZONES, "",
     [("huge.s.way.test", "SRV", "NOERROR", ["huge.s.way.test. 300 SRV 10 100 1 a.huge.s.way.test."],
       ["a.huge.s.way.test. 300 A 192.0.2.44"], [])]),
    ("000-13-svcb", WAY + [("/skydns/dev/my-web-app/2", '{"host":"10.0.1.101","port":8080,"ttl":50}'),
                           ("/skydns/dev/my-web-app/6", '{"host":"2001:db8::1","port":8080}'),
                           ("/skydns/dev/my-web-app/n", '{"host":"ext.partner.example","port":8443,"priority":20}'),
                           ("/skydns/dev/one/1", '{"host":"10.0.1.102","port":8080}'),
                           ("/skydns/dev/one/2", '{"host":"ext.partner.example","port":8080,"priority":20}'),
                           ("/skydns/dev/none/1", '{"host":"10.0.1.103","port":-1}')], ".", "", "zones dev\nsvcb",
     [q for t in ("SVCB", "HTTPS") for q in [
         ("my-web-app.dev", t, "NOERROR", [
             f'my-web-app.dev. 300 {t} 10 1.my-web-app.dev. port="8080" ipv4hint="10.0.1.100"',
             f'my-web-app.dev. 50 {t} 10 2.my-web-app.dev. port="8080" ipv4hint="10.0.1.101"',
             f'my-web-app.dev. 300 {t} 10 6.my-web-app.dev. port="8080" ipv6hint="2001:db8::1"',
             f'my-web-app.dev. 300 {t} 20 ext.partner.example. port="8443"'], [], []),
         ("one.dev", t, "NOERROR", [f'one.dev. 300 {t} 10 . port="8080" ipv4hint="10.0.1.102"',
                                    f'one.dev. 300 {t} 20 ext.partner.example. port="8080"'], [], []),
         ("none.dev", t, "NOERROR", [], [], ["dev."]), ("gone.dev", t, "NXDOMAIN", [], [], ["dev."])]]),
    ("000-13-svcb-is-off", WAY, ".", "", "zones dev",
     [("my-web-app.dev", t, "NOERROR", [], [], ["dev."]) for t in ("SVCB", "HTTPS")]),
    # a host that is no name, or a key that is none, hides itself only
    ("hosts-that-are-no-names", [("/skydns/test/way/n/a", '{"host":"a..b"}'), ("/skydns/test/way/n/b", '{"host":"192.0.2.1","port":5}'),
               ("/skydns/test/way/n//c", '{"host":"192.0.2.2","port":6}')], ".", ZONES, "",
     [("n.way.test", "A", "NOERROR", ["n.way.test. 300 A 192.0.2.2", "n.way.test. 300 A 192.0.2.1"], [], []),
      ("n.way.test", "SRV", "NOERROR", ["n.way.test. 300 SRV 10 100 5 b.n.way.test."], ["b.n.way.test. 300 A 192.0.2.1"], [])]),
    # names in presentation form, escapes in TXT as CoreDNS 1.15.0 packs them
    ("escapes-as-packed", [("/skydns/test/way/e", r'{"text":"a\\065b\\400c\\q \\"}'), ("/skydns/test/way/x\\.y/i", '{"host":"192.0.2.3"}'),
               ("/skydns/test/way/sl/ash", '{"host":"192.0.2.4"}')], ".", ZONES, "",
     [("ash/sl.way.test", "A", "NXDOMAIN", [], [], ["way.test."]), ("sl/ash.way.test", "A", "NOERROR", ["sl/ash.way.test. 300 A 192.0.2.4"], [], [])]),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r[0])
def test_row(member, upstream, row):
    _, data, zone, directive, options, questions = row
    with start(member, upstream, data, options, zone, directive) as w:
        for name, rtype, rcode, answer, additional, soa in questions:
            assert ask(w, name, rtype) == (rcode, answer, additional, soa), name


def test_huge_targetstrip_is_quick(member, upstream):
    """E207"""
    with start(member, upstream, [("/skydns/test/way/s/huge/%d" % i, '{"host":"192.0.2.44","port":%d,"targetstrip":9223372036854775807}' % i)
                                  for i in range(200)], "", ".", ZONES) as w:
        t0 = time.monotonic()
        assert ask(w, "huge.s.way.test", "SRV")[0] == "NOERROR"
        assert time.monotonic() - t0 < 0.5


# --- lines that are refused, in CoreDNS's words ----------------------------------------------------

ERRORS = [
    ("E185", "endpoints http://127.0.0.1:1", "unknown property 'endpoints'"),
    ("E186", "credentials u", "credentials requires 2 arguments"),
    ("E186", "credentials", "Wrong argument count or unexpected line ending after 'credentials'"),
    ("E186", "credentials a b c", "credentials requires 2 arguments"),
    ("E187", "tls a b c d", "maximum of three arguments allowed for TLS config, found 4"),
    ("E187", "tls /nonexistent/ca.pem", "/nonexistent/ca.pem"),
    ("E188", "min-lease-ttl 1y", "invalid min-lease-ttl value"),
    ("E188", "min-lease-ttl -30s", "invalid min-lease-ttl value"),
    ("E188", "min-lease-ttl abc", "invalid min-lease-ttl value"),
    ("E188", "min-lease-ttl 4294967296", "invalid min-lease-ttl value"),
    ("E185", "ready-after", "Wrong argument count or unexpected line ending after 'ready-after'"),
    ("E185", "ready-after soon", "invalid ready-after value"),
    ("E185", "max-memory", "Wrong argument count or unexpected line ending after 'max-memory'"),
    ("E185", "max-memory 4G", "invalid max-memory value"),
    ("E185", "max-memory 1 2", "unknown property '2'"),
    ("E188", "max-lease-ttl 1y", "invalid max-lease-ttl value"),
    ("E188", "max-lease-ttl", "Wrong argument count or unexpected line ending after 'max-lease-ttl'"),
    ("E205", "no_apex_fallback x", "Wrong argument count or unexpected line ending after"),
    ("E205", "svcb x", "Wrong argument count or unexpected line ending after"),
    ("E185", "path", "Wrong argument count or unexpected line ending after 'path'"),
    ("E185", "path /a b", "unknown property 'b'"),
    ("E185", "endpoint", "Wrong argument count or unexpected line ending after 'endpoint'"),
    ("E185", "endpoint http://a:1,http://b:2", "separated by blanks"),
    ("E185", "debug x", "unknown property 'x'"),
]


@pytest.mark.parametrize("row", ERRORS, ids=lambda r: f"{r[0]} {r[1]}")
def test_refused(row, tmp_path):
    conf = tmp_path / "Corefile"
    conf.write_text(".:%d {\n    etcd {\n        %s\n    }\n}\n" % (free_port(), row[1]))
    p = subprocess.run([WAYPOST, "-conf", str(conf)], capture_output=True, text=True, timeout=10)
    assert p.returncode == 1
    assert row[2] in p.stdout + p.stderr
    assert "plugin/etcd: " in p.stdout + p.stderr
    p = subprocess.run([WAYPOST, "check", "-conf", str(conf)], capture_output=True, text=True, timeout=10)
    assert p.returncode == 1 and ":3: etcd: " in p.stdout + p.stderr


def test_twice_in_a_block_is_refused(tmp_path):
    conf = tmp_path / "Corefile"
    conf.write_text(".:%d {\n    etcd a\n    etcd b\n}\n" % free_port())
    p = subprocess.run([WAYPOST, "check", "-conf", str(conf)], capture_output=True, text=True, timeout=10)
    assert p.returncode == 1 and "only be used once" in p.stdout + p.stderr


@pytest.mark.parametrize("text", ["2h30m", "90s", "30", "0", '""', "1500ms", "1h30m45s", '" 60 "'], ids=lambda t: f"E189 {t}")
def test_durations(text, tmp_path):
    conf = tmp_path / "Corefile"
    conf.write_text(".:%d {\n    etcd {\n        min-lease-ttl %s\n        upstream 1.2.3.4\n        stubzones\n        debug\n    }\n}\n" %
                    (free_port(), text))
    p = subprocess.run([WAYPOST, "check", "-conf", str(conf)], capture_output=True, text=True, timeout=10)
    assert p.returncode == 0, p.stdout + p.stderr


# --- the etcd lesson, line by line -------------------------------------------------------------------


def etcdctl(member, *args):
    return subprocess.run(["etcdctl", "--endpoints", member.url, *args], env={**os.environ, "ETCDCTL_API": "3"},
                          capture_output=True, text=True, check=True, timeout=20).stdout


@pytest.fixture(scope="module")
def lesson(member, upstream):
    """The lesson's Corefile, with our ports."""
    member.client.delete(b"\0", b"\0")
    w = Waypost(""".:{dns} {
    etcd {
        zones dev
        path /skydns
        endpoint %s
    }
    cache 30
    forward . 127.0.0.1:%d
    reload
    log
    errors
}
""" % (member.url, upstream.port))
    with w:
        wait_for(lambda: "watching" in w.output())
        yield w


def answers(w, name, rtype="A"):
    """Answer data without owner and TTL, through UDP, which the cache may answer."""
    m = etcd_rows.parse(wire.udp(w.port["dns"], wire.query(name, rtype)))
    return dns.rcode.to_text(m.rcode()), [r.split(" ", 2)[2] for r in etcd_rows.section(m.answer)]


def soon(w, want, name, rtype="A", seconds=1.0):
    wait_for(lambda: answers(w, name, rtype) == want, seconds)


class TestLesson:
    """In the order of the text: each step builds on the one before."""

    @pytest.mark.parametrize("_", ["000-5"])
    def test_put(self, lesson, member, _):
        assert answers(lesson, "my-web-app.dev") == ("NXDOMAIN", [])
        assert "OK" in etcdctl(member, "put", "/skydns/dev/my-web-app/1", '{"host":"10.0.1.100", "port":8080}')
        soon(lesson, ("NOERROR", ["A 10.0.1.100"]), "my-web-app.dev")

    @pytest.mark.parametrize("_", ["000-12"])
    def test_a(self, lesson, _):
        m = etcd_rows.parse(wire.udp(lesson.port["dns"], wire.query("my-web-app.dev")))
        assert m.flags & 0x0400 and m.answer[0].ttl <= 30 and m.answer[0][0].address == "10.0.1.100"

    @pytest.mark.parametrize("_", ["000-2"])
    def test_id_is_a_name(self, lesson, _):
        assert answers(lesson, "1.my-web-app.dev") == ("NOERROR", ["A 10.0.1.100"])

    @pytest.mark.parametrize("_", ["000-13"])
    def test_port(self, lesson, _):
        assert answers(lesson, "my-web-app.dev", "SRV") == ("NOERROR", ["SRV 10 100 8080 1.my-web-app.dev."])

    @pytest.mark.parametrize("_", ["000-14", "000-15", "X2", "X3"])
    def test_service_form(self, lesson, _):
        assert answers(lesson, "_my-web-app._tcp.dev", "SRV") == ("NOERROR", ["SRV 0 10 8080 my-web-app.dev."])

    @pytest.mark.parametrize("_", ["000-8", "000-11"])
    def test_the_rest_is_forwarded(self, lesson, _):
        assert answers(lesson, "ext.partner.example") == ("NOERROR", ["A 198.51.100.7"])

    @pytest.mark.parametrize("_", ["000-17"])
    def test_log(self, lesson, _):
        wait_for(lambda: '"A IN my-web-app.dev. udp' in lesson.output())

    @pytest.mark.parametrize("_", ["000-3", "000-23"])
    def test_more_instances(self, lesson, member, _):
        for i, last in (("b7f2", 101), ("x1", 102)):
            etcdctl(member, "put", f"/skydns/dev/my-web-app/{i}", '{"host":"10.0.1.%d","port":8080}' % last)
        soon(lesson, ("NOERROR", ["A 10.0.1.100", "A 10.0.1.101", "A 10.0.1.102"]), "my-web-app.dev")

    @pytest.mark.parametrize("_", ["000-24"])
    def test_weights(self, lesson, member, _):
        for i, weight in enumerate((10, 20, 30)):
            etcdctl(member, "put", f"/skydns/dev/weighted/{i}", '{"host":"10.0.2.%d","port":1,"weight":%d,"priority":5}' % (i, weight))
        soon(lesson, ("NOERROR", [f"SRV 5 {s} 1 {i}.weighted.dev." for i, s in enumerate((16, 33, 50))]), "weighted.dev", "SRV")

    @pytest.mark.parametrize("_", ["000-20"])
    def test_modified(self, lesson, member, _):
        etcdctl(member, "put", "/skydns/dev/moved", '{"host":"10.0.3.1"}')
        soon(lesson, ("NOERROR", ["A 10.0.3.1"]), "moved.dev")
        etcdctl(member, "put", "/skydns/dev/moved", '{"host":"10.0.3.2"}')
        soon(lesson, ("NOERROR", ["A 10.0.3.2"]), "moved.dev")

    @pytest.mark.parametrize("_", ["000-10"])
    def test_cache_never_hides_a_change(self, lesson, member, _):
        """Put, see it within 100 ms though the old answer was just cached; many times."""
        for i in range(50):
            member.client.put("/skydns/dev/cached/1", '{"host":"10.9.0.%d"}' % i)
            wait_for(lambda: answers(lesson, "cached.dev") == ("NOERROR", [f"A 10.9.0.{i}"]), 0.1, step=0.001)
            assert answers(lesson, "cached.dev") == ("NOERROR", [f"A 10.9.0.{i}"])

    @pytest.mark.parametrize("_", ["000-18", "E191"])
    def test_deleted(self, lesson, member, _):
        member.client.put("/skydns/dev/gone/1", '{"host":"10.9.1.1"}')
        soon(lesson, ("NOERROR", ["A 10.9.1.1"]), "gone.dev")
        member.client.delete("/skydns/dev/gone/1")
        wait_for(lambda: answers(lesson, "gone.dev") == ("NXDOMAIN", []), 0.1, step=0.001)

    @pytest.mark.parametrize("_", ["000-4"])
    def test_spaces_and_unknown_fields(self, lesson, member, _):
        etcdctl(member, "put", "/skydns/dev/odd", '{"port":8080 , "zz":[1,{}], "host":"10.0.1.100"}')
        soon(lesson, ("NOERROR", ["A 10.0.1.100"]), "odd.dev")

    @pytest.mark.parametrize("_", ["000-27", "000-28", "E200"])
    def test_malformed(self, lesson, member, _):
        c = member.client
        c.put("/skydns/dev/mixed/good", '{"host":"10.0.4.1"}')
        c.put("/skydns/dev/mixed/bad", "{bad")
        c.put("/skydns/dev/alone", '{"port":"8080"}')
        soon(lesson, ("SERVFAIL", []), "alone.dev")
        assert answers(lesson, "mixed.dev") == ("NOERROR", ["A 10.0.4.1"])
        lesson.says("malformed value of key /skydns/dev/alone")
        lesson.says("at octet 1: port must be an integer")
        c.put("/skydns/dev/alone", '{"port":8080,"host":"10.0.4.2"}')
        soon(lesson, ("NOERROR", ["A 10.0.4.2"]), "alone.dev")
        c.delete_prefix("/skydns/dev/alone")
        c.delete_prefix("/skydns/dev/mixed")

    @pytest.mark.parametrize("_", ["000-21"])
    def test_types(self, lesson, member, _):
        data = {"/skydns/dev/t/a": '{"host":"10.1.1.1","mail":true}', "/skydns/dev/t6": '{"host":"2001:db8::6"}',
                "/skydns/dev/tc": '{"host":"t6.dev"}', "/skydns/dev/tt": '{"text":"words"}',
                "/skydns/dev/dns/ns/n1": '{"host":"10.1.1.3"}'}
        for k, v in data.items():
            member.client.put(k, v)
        soon(lesson, ("NOERROR", ["NS n1.ns.dns.dev."]), "dev", "NS")
        assert answers(lesson, "t.dev", "MX") == ("NOERROR", ["MX 10 a.t.dev."])
        assert answers(lesson, "t6.dev", "AAAA") == ("NOERROR", ["AAAA 2001:db8::6"])
        assert answers(lesson, "tc.dev", "CNAME") == ("NOERROR", ["CNAME t6.dev."])
        assert answers(lesson, "tc.dev", "AAAA") == ("NOERROR", ["CNAME t6.dev.", "AAAA 2001:db8::6"])
        assert answers(lesson, "tt.dev", "TXT") == ("NOERROR", ['TXT "words"'])
        assert answers(lesson, "dev", "SOA")[1][0].startswith("SOA ns.dns.dev. hostmaster.dev.")


@pytest.mark.parametrize("path", ["/skydns", "skydns"], ids=lambda p: f"000-9 {p}")
def test_path_spellings(member, upstream, path):
    with start(member, upstream, WAY, f"zones dev\npath {path}") as w:
        assert ask(w, "my-web-app.dev")[1] == [A1]


@pytest.mark.parametrize("_", ["000-26"])
def test_each_prefix_its_own_keys(member, upstream, _):
    data = [("/one/dev/x", '{"host":"10.0.0.1"}'), ("/other/dev/x", '{"host":"10.0.0.2"}')]
    for path, last in (("/one", 1), ("/other", 2)):
        with start(member, upstream, data, f"zones dev\npath {path}") as w:
            assert ask(w, "x.dev")[1] == [f"x.dev. 300 A 10.0.0.{last}"]


@pytest.mark.parametrize("_", ["000-7", "000-6", "000-16", "X1"])
def test_the_lessons_corefile_is_good(tmp_path, _):
    conf = tmp_path / "Corefile"
    conf.write_text(".:53 {\n    etcd {\n        zones dev\n        path /skydns\n    }\n    cache 30\n    forward . 8.8.8.8\n"
                    "    reload\n    log\n}\n")
    p = subprocess.run([WAYPOST, "check", "-conf", str(conf)], capture_output=True, text=True, timeout=10)
    assert p.returncode == 0, p.stdout + p.stderr


@pytest.mark.parametrize("_", ["000-1"])
def test_nothing_about_a_service_in_the_corefile(member, upstream, _):
    with start(member, upstream, [], "zones dev") as w:
        member.client.put("/skydns/dev/a/1", '{"host":"10.9.9.9"}')
        wait_for(lambda: ask(w, "a.dev")[1] == ["a.dev. 300 A 10.9.9.9"], 1)


@pytest.mark.parametrize("_", ["000-25", "E193"])
@once
def test_lease_counts_down(member, upstream, _):
    c = member.client
    with start(member, upstream, [], "zones dev\nmin-lease-ttl 2s") as w:
        lease = c.grant(20)
        c.put("/skydns/dev/leased", '{"host":"10.9.9.9"}', lease)

        def ttl():
            a = ask(w, "leased.dev")[1]
            return int(a[0].split(" ")[1]) if a else None
        wait_for(lambda: 2 < (ttl() or 0) <= 20)  # the bound, until etcd has told
        seen = set()
        end = time.monotonic() + 3.5
        while time.monotonic() < end:
            seen.add(ttl())
            time.sleep(0.05)
        assert len(seen) >= 3 and max(seen) <= 20 and max(seen) - min(seen) <= 5, seen
        c.keep_alive(lease)
        low = ttl()
        wait_for(lambda: ttl() > low, 9)  # asked again after a third of the lease


@pytest.mark.parametrize("_", ["E192", "F29"])
@once
def test_lease_ends(member, upstream, _):
    """The name goes with its key, within a second, though the answer stands in the cache for half a minute."""
    c = member.client
    conf = ".:{dns} {\n etcd dev {\n endpoint %s\n }\n cache 60\n forward . 127.0.0.1:%d\n}\n"
    with Waypost(conf % (member.url, upstream.port)) as w:
        wait_for(lambda: "watching" in w.output())
        for n in range(3):
            c.put(f"/skydns/dev/short{n}/1", '{"host":"10.9.9.9"}', c.grant(2))
        for n in range(3):
            wait_for(lambda n=n: ask(w, f"short{n}.dev")[1] == [f"short{n}.dev. 30 A 10.9.9.9"], 1)
        for n in range(3):
            wait_for(lambda n=n: not c.get(f"/skydns/dev/short{n}/1") or not ask(w, f"short{n}.dev")[1], 10)
            t0 = time.monotonic()
            wait_for(lambda n=n: ask(w, f"short{n}.dev")[0] == "NXDOMAIN", 2)
            assert time.monotonic() - t0 < 1
