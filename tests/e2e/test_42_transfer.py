"""Zone transfers: AXFR and IXFR over TCP and DoT, who may have them, NOTIFY, slow clients and changes meanwhile."""
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

import clients
import dns.message
import dns.rdataset
import dns.rdatatype
import dns.rrset
import dns.zone
import pytest
import wire
from server import Waypost, free_port, own_address, wait_for
from xfr import Transfer, axfr, connect, ixfr

REFUSED, SERVFAIL = 5, 2
NAMES = """$TTL 300
@ SOA ns1 host %d 7200 1800 86400 60
@ NS ns1
@ NS ns2.sub
@ MX 10 Mail
@ TXT "apex"
ns1 A 192.0.2.53
ns1 AAAA 2001:db8::53
mail A 192.0.2.25
WWW A 192.0.2.1
www A 192.0.2.2
a.b.c A 192.0.2.3
*.wild TXT "a wildcard"
sub NS ns2.sub
ns2.sub A 192.0.2.54
alias CNAME www
_x._tcp SRV 0 5 80 WWW
svc HTTPS 1 . alpn=h2
z\\001z TXT "after a\\.z"
"""


def as_set(records):
    return {(n.to_text().lower(), t, ttl, r.to_text().lower()) for n, t, ttl, r in records}


def in_file(text, origin="example.org"):
    z = dns.zone.from_text(text, origin=origin, relativize=False)
    return {(n.to_text().lower(), s.rdtype, s.ttl, r.to_text().lower()) for n, s in z.iterate_rdatasets() for r in s}


@pytest.fixture(scope="module")
def w(tmp_path_factory):
    cert, key = clients.certificate(tmp_path_factory.mktemp("pki"))
    body = "log\nerrors\ncache\nprometheus localhost:{metrics}\nfile {dir}/db example.org\nfile {dir}/parent parent.test\nfile {dir}/child a.parent.test z.parent.test\n"
    rules = ("transfer 10.0.0.0/8 example.org {\n to * 127.0.0.1:99999\n}\ntransfer parent.test {\n to *\n}\ntransfer a.parent.test z.parent.test {\n to 127.0.0.3\n}\n")
    text = NAMES % 7
    conf = (".:{dns} {\n%s%s}\ntls://.:{tls} {\n tls %s %s\n%s%s}\n" % (body, rules, cert, key, body.replace("cache\n", "").replace("prometheus localhost:{metrics}\n", ""), rules) +
            "https://.:{https} {\n tls %s %s\n file {dir}/db example.org\n transfer {\n to *\n}\n}\ngrpc://.:{grpc} {\n file {dir}/db example.org\n transfer {\n to *\n}\n}\n" % (cert, key))
    with Waypost(conf, files={"db": text, "parent": text, "child": text}) as server:
        yield server


@pytest.mark.parametrize("tls", [pytest.param(False, id="T28-tcp"), pytest.param(True, id="T28-dot")])
def test_whole_zone(w, tls):
    t = axfr(w.port["tls" if tls else "dns"], tls=tls)
    records = t.records()
    assert records[0] == records[-1] and records[0][1] == dns.rdatatype.SOA
    assert [r[1] for r in records[1:3]] == [dns.rdatatype.NS] * 2
    assert len(records) == len(in_file(NAMES % 7)) + 1 and as_set(records) == in_file(NAMES % 7)
    names = [r[0] for r in records[3:-1]]
    assert names == sorted(names)  # dnspython compares names in canonical order
    for m in t.messages:
        assert struct.unpack_from(">H", m)[0] == 7 and m[2] & 0x84 == 0x84 and struct.unpack_from(">H", m, 4)[0] == 1
    z = dns.zone.Zone("example.org", relativize=False)
    for name, rtype, ttl, rdata in records:
        z.find_rdataset(name, rtype, create=True).add(rdata, ttl)
    z.check_origin()


def checked_by_tools(w, command):
    return subprocess.run(command, capture_output=True, text=True, timeout=20).stdout


def test_tools_take_it(w, tmp_path):
    """dig and kdig say that they have all of it, over TCP and TLS; nsd-checkzone finds nothing wrong with what came."""
    p = {k: str(v) for k, v in w.port.items()}
    n = len(in_file(NAMES % 7)) + 1
    out = checked_by_tools(w, ["dig", "@127.0.0.1", "-p", p["dns"], "example.org", "AXFR", "+onesoa"])
    assert f"XFR size: {n} records (messages 1" in out and "; Transfer failed" not in out, out
    for tls in ([], ["+tls"]):
        k = checked_by_tools(w, ["kdig", "@127.0.0.1", "-p", p["tls" if tls else "dns"], *tls, "example.org", "AXFR"])
        assert f"({n} record(s) in 1 message(s)" in k.replace("1 messages, ", "") or re.search(rf"1 messages, {n} records", k), k
    if shutil.which("nsd-checkzone"):
        (tmp_path / "zone").write_text(out)
        r = subprocess.run(["nsd-checkzone", "example.org", str(tmp_path / "zone")], capture_output=True, text=True, timeout=20)
        assert r.returncode == 0 and "is ok" in r.stdout, (r.stdout, r.stderr)


IXFR = {  # serial, records: 1 is "you have it"
    "same": (7, 1), "older": (6, None), "newer": (8, None), "none": (0, None),
}


@pytest.mark.parametrize("serial, records", IXFR.values(), ids=IXFR)
@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "dot"])
def test_ixfr(w, serial, records, tls):
    with connect(w.port["tls" if tls else "dns"], tls=tls) as s:
        s.sendall(wire.framed(ixfr("example.org", serial)))
        m = wire.parse_apart(wire.read_message(s))
    assert len(m.answer) == (records or len(in_file(NAMES % 7)) + 1) and m.answer[0][0].serial == 7
    assert m.flags & dns.flags.AA and m.question[0].rdtype == dns.rdatatype.IXFR


def test_ixfr_without_a_serial(w):
    assert wire.rcode(wire.tcp(w.port["dns"], wire.query("example.org", "IXFR"))) == SERVFAIL


TRANSPORTS = {"U53-udp": clients.Udp, "I18-doh": clients.Doh, "I18-grpc": clients.Grpc}


@pytest.mark.parametrize("client", TRANSPORTS, ids=TRANSPORTS)
def test_not_where_one_message_must_do(w, client):
    """I19, AV025: everybody may have the zone, but not this way."""
    kind = client.split("-")[1]
    port = w.port[{"udp": "dns", "doh": "https"}.get(kind, kind)]
    for msg in (wire.query("example.org", "AXFR"), ixfr("example.org", 7), ixfr("example.org", 1)):
        r = TRANSPORTS[client](port).ask(msg)
        assert wire.rcode(r) == REFUSED and r[6:8] == b"\0\0"


ACCESS = [  # zone, from, given?
    pytest.param("parent.test", "127.0.0.1", True, id="AV011-parent"), pytest.param("a.parent.test", "127.0.0.1", False, id="AV011-child-sorts-first"),
    pytest.param("z.parent.test", "127.0.0.1", False, id="AV011-child-sorts-last"), pytest.param("a.parent.test", "127.0.0.3", True, id="AV011-child-allowed"),
    pytest.param("Z.Parent.TEST", "127.0.0.3", True, id="AV011-any-case"), pytest.param("www.example.org", "127.0.0.1", False, id="T29-not-a-zone"),
]


@pytest.mark.parametrize("zone, source, given", ACCESS)
def test_access(w, zone, source, given):
    with connect(w.port["dns"], source=source) as s:
        s.sendall(wire.framed(wire.query(zone, "AXFR")))
        m = wire.parse_apart(wire.read_message(s))
    assert m.rcode() == (0 if given else REFUSED) and (len(m.answer) > 1) == given
    if given:
        assert m.question[0].name.to_text() == zone + "." and m.answer[0].name == dns.name.from_text(zone)


def test_port_that_is_none(w):
    w.says('[WARNING] plugin/transfer: "127.0.0.1:99999" is told of no new zones: that is no port\n')


def test_edns_and_between(w):
    """OPT goes back in the message; other questions on the connection are answered as ever; ANY class is not IN."""
    with connect(w.port["dns"]) as s:
        s.sendall(wire.framed(wire.query("example.org", "AXFR", qid=1, extra=wire.opt(do=True))) + wire.framed(wire.query("www.example.org", qid=2)))
        got = {}
        while len(got) < 2:
            m = wire.parse(wire.read_message(s))
            got[m.id] = m
        assert got[1].edns == 0 and got[1].ednsflags & 0x8000 and got[2].edns == -1
        assert len(got[2].answer[0]) == 2


def test_what_is_logged_and_counted(w):
    t = axfr(w.port["dns"])
    full = 29 + sum(len(n.to_wire()) + 10 + len(r.to_wire()) for n, _, _, r in t.records())
    wait_for(lambda: re.search(rf'"AXFR IN example\.org\. tcp 29 false 65535" NOERROR qr,aa,rd {full} \d', w.output()))
    assert re.search(rf'\[INFO\] plugin/transfer: Outgoing transfer of {t.n} records of zone "example\.org\." to 127\.0\.0\.1 for 7 SOA serial\n', w.output())
    wire.tcp(w.port["dns"], ixfr("example.org", 7))
    wait_for(lambda: '[INFO] plugin/transfer: Outgoing noop, incremental transfer for up to date zone "example.org." to 127.0.0.1 for 7 SOA serial\n' in w.output())


# --- NOTIFY ----------------------------------------------------------------------------------

class Secondary(threading.Thread):
    """Says to each NOTIFY what rcodes tells, one after the other, then NOERROR; None: nothing."""

    def __init__(self, host="127.0.0.1", rcodes=()):
        super().__init__(daemon=True)
        self.s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.s.bind((host, 0))
        self.port, self.rcodes, self.got = self.s.getsockname()[1], list(rcodes), []
        self.start()

    def run(self):
        while True:
            try:
                msg, peer = self.s.recvfrom(4096)
            except OSError:
                return
            rcode = self.rcodes.pop(0) if self.rcodes else 0
            if rcode is not None:
                self.s.sendto(msg[:2] + bytes([msg[2] | 0x80, rcode]) + msg[4:], peer)
            self.got.append((msg, peer[0]))


def notify_zone(serial):
    return NAMES % serial


def test_notify(tmp_path):
    a, b, c = Secondary(), Secondary(rcodes=[REFUSED, None, 0]), Secondary(rcodes=[REFUSED] * 9)
    nobody = free_port()
    conf = ("example.org:{dns} other.test:{dns} {\n file {dir}/db example.org {\n reload 1s\n}\n file {dir}/db other.test {\n reload 0\n}\n"
            f" transfer example.org {{\n to * 127.0.0.1:{a.port}\n to 127.0.0.1:{b.port} 127.0.0.1:{c.port} 127.0.0.1:{nobody}\n source {own_address(2)}\n}}\n}}\n")
    with Waypost(conf, files={"db": notify_zone(7)}) as w:
        wait_for(lambda: len(a.got) == 1 and len(b.got) == 3 and len(c.got) == 3)
        m = dns.message.from_wire(a.got[0][0])
        assert m.opcode() == 4 and m.flags & dns.flags.AA and m.question[0].name.to_text() == "example.org."
        assert m.question[0].rdtype == dns.rdatatype.SOA and a.got[0][1] == own_address(2)
        failed = '[WARNING] plugin/file: Failed sending notifies: notify for zone "example.org." was not accepted by "127.0.0.1:%d": %s'
        wait_for(lambda: failed % (c.port, 'rcode was "REFUSED"') in w.output())
        wait_for(lambda: failed % (nobody, f'"read udp {own_address(2)}:') in w.output() and "connection refused" in w.output())
        assert f'by "127.0.0.1:{b.port}"' not in w.output()
        with open(w.path("new"), "w") as f:
            f.write(notify_zone(8))
        shutil.move(w.path("new"), w.path("db"))
        wait_for(lambda: len(a.got) == 2 and len(b.got) == 4 and len(c.got) == 6)
        assert axfr(w.port["dns"]).serial == 8
        # a Corefile that is loaded again is a start, too
        w.kill(signal.SIGUSR1)
        w.write(conf + "# again\n")
        w.kill(signal.SIGUSR1)
        wait_for(lambda: len(a.got) >= 3)
        assert {dns.message.from_wire(g[0]).question[0].name.to_text() for g in a.got} == {"example.org."}
    assert a.is_alive() and len(a.got) <= 4


# --- large zones --------------------------------------------------------------------------------

LARGE = 200_000
SLOW = 128 << 10  # octets that a client's kernel takes, which are less than a zone
FILLER = "x" * 24


def large_zone(serial):
    yield "$TTL 300\n@ SOA ns1 host %d 7200 1800 86400 60\n@ NS ns1\nns1 A 192.0.2.53\nwww A 192.0.2.1\n" % serial
    for i in range(LARGE):
        yield f"h{i} TXT {FILLER}\n"


@pytest.fixture(scope="module")
def large():
    conf = ("example.org:{dns} {\n errors\n timeouts {\n write 1h\n}\n file {dir}/db {\n reload 1s\n}\n transfer {\n to *\n}\n}\n")
    with Waypost(conf, files={"db": "".join(large_zone(7))}) as server:
        yield server


def rss_kb(w):
    with open(f"/proc/{w.pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))


def descriptors(w):
    return len(os.listdir(f"/proc/{w.pid}/fd"))


def test_large_zone(large):
    t = axfr(large.port["dns"])
    assert t.n == LARGE + 5
    assert all(len(m) <= 64000 for m in t.messages) and all(len(m) > 62900 for m in t.messages[:-1])
    assert {m[:2] + m[4:6] for m in t.messages} == {b"\0\7\0\1"}
    assert len({r.name for r in wire.parse_apart(t.messages[len(t.messages) // 2]).answer}) > 1000


def test_twenty_at_a_time_and_slow(large):
    """Those that do not read hold up nobody and cost no copy of the zone; what they read later is all of it."""
    port = large.port["dns"]
    axfr(port)
    before = rss_kb(large)
    slow = [connect(port, rcvbuf=SLOW) for _ in range(20)]
    running = [Transfer(s, wire.query("example.org", "AXFR")) for s in slow]
    for t in running:
        t.next()
    for _ in range(20):
        assert len(wire.parse(wire.tcp(port, wire.query("www.example.org"))).answer) == 1
    assert axfr(port).n == LARGE + 5
    grown = rss_kb(large) - before
    assert grown < 20 * 400, f"{grown} kB for 20 transfers of {LARGE} records"
    threads = [threading.Thread(target=t.all, daemon=True) for t in running]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert [t.n for t in running] == [LARGE + 5] * 20
    for s in slow:
        s.close()


def test_clients_that_go_away(large):
    """AV033: what a client leaves behind in the middle is given back."""
    port = large.port["dns"]
    axfr(port)
    before = descriptors(large)
    for how in (0, 1):
        for _ in range(10):
            s = connect(port, rcvbuf=SLOW)
            Transfer(s, wire.query("example.org", "AXFR")).next()
            if how:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()
    wait_for(lambda: descriptors(large) <= before)
    wait_for(lambda: large.output().count("broken off after") >= 20)
    large.says('Outgoing transfer of zone "example.org." to 127.0.0.1 broken off after')
    assert axfr(port).n == LARGE + 5


def test_changes_meanwhile(large):
    """A transfer is of one version, over a new version of the zone and a new Corefile."""
    port = large.port["dns"]
    with connect(port, rcvbuf=SLOW) as s:
        t = Transfer(s, wire.query("example.org", "AXFR"))
        t.next()
        with open(large.path("new"), "w") as f:
            f.write("$TTL 300\n@ SOA ns1 host 8 7200 1800 86400 60\n@ NS ns1\nns1 A 192.0.2.53\n")
        shutil.move(large.path("new"), large.path("db"))
        wait_for(lambda: "with 8 SOA serial" in large.output())
        assert axfr(port).n == 4
        with open(large.conf) as f:
            text = f.read()
        with open(large.conf, "w") as f:
            f.write(text.replace("to *", "to 192.0.2.1"))
        large.kill(signal.SIGUSR1)
        wait_for(lambda: "Reloading complete" in large.output())
        assert wire.rcode(wire.tcp(port, wire.query("example.org", "AXFR"))) == REFUSED
        t.all()
        assert t.serial == 7 and t.n == LARGE + 5


@pytest.mark.timing
def test_answers_are_not_kept_waiting():
    """Four clients take a large zone as fast as they can: a question meanwhile waits for a part of a turn, not for a zone."""
    with Waypost("example.org:{dns} {\n file {dir}/db\n transfer {\n to *\n}\n}\n", files={"db": "".join(large_zone(7))}) as w:
        end, took = [False], []

        def take():
            while not end[0]:
                axfr(w.port["dns"])

        def ask():
            u = clients.Udp(w.port["dns"])
            for _ in range(100):
                t0 = time.monotonic()
                u.ask(wire.query("www.example.org"))
                took.append(time.monotonic() - t0)
                time.sleep(0.005)

        takers = [threading.Thread(target=take, daemon=True) for _ in range(4)]
        for t in takers:
            t.start()
        ask()
        end[0] = True
        for t in takers:
            t.join(60)
        took.sort()
        assert took[len(took) // 2] < 0.05, took[-10:]
