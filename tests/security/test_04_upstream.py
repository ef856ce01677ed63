"""Upstreams that lie, stall, repeat themselves or send too much, and queries that could be guessed."""
import random
import socket
import struct
import threading
import time
from collections import Counter

import clients
import gateway
import pytest
import wire
from gateway import MB
from resolver import CLOSE, Resolver, address, name, record
from server import Waypost, wait_for


def forwarder(up, options="", extra="", where=None, **kw):
    kw.setdefault("env", {"WAYPOST_WORKERS": "1"})
    to = where or f"127.0.0.1:{up.port}"
    return Waypost(f".:{{dns}} {{\n{extra}\n forward . {to} {{\n{options}\n }}\n}}\n", **kw)


def burst(w, msgs, seconds=5.0, lot=50):
    """Queries over UDP, a lot at a time; the replies by id."""
    got = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(("127.0.0.1", w.port["dns"]))
        s.settimeout(seconds)
        for i in range(0, len(msgs), lot):
            for m in msgs[i:i + lot]:
                s.send(m)
            try:
                for _ in msgs[i:i + lot]:
                    r = s.recv(65535)
                    got[struct.unpack(">H", r[:2])[0]] = r
            except TimeoutError:
                pass
    return got


@pytest.mark.parametrize("row", ["AV020", "AV062"])
def test_ids_and_ports_cannot_be_guessed(row):
    with Resolver() as up, forwarder(up, env={"WAYPOST_WORKERS": "2"}) as w:
        n = 4000
        burst(w, [wire.query(f"n{i}.test", qid=i) for i in range(n)])
        asked = up.queries()
        assert len(asked) >= 0.98 * n
        ids, ports = [q.id for q in asked], Counter(q.peer[1] for q in asked)
        for octet in (lambda v: v >> 8, lambda v: v & 255):
            seen = Counter(octet(v) for v in ids)
            chi2 = sum((seen[b] - len(ids) / 256) ** 2 / (len(ids) / 256) for b in range(256))
            assert 140 < chi2 < 400, chi2  # 255 degrees of freedom, one in millions beyond
        assert sum(1 for a, b in zip(ids, ids[1:]) if abs(a - b) < 16) < 0.01 * n
        order = sorted(ports)
        assert len(ports) >= 7 and max(ports.values()) <= 1024  # 512 for each socket; chance may give a port twice
        assert sum(1 for a, b in zip(order, order[1:]) if b - a <= 2) < len(order) // 2


@pytest.mark.parametrize("row", ["AV035"])
def test_ids_wrap_on_one_connection(row):
    """More queries than there are ids, over TCP to the upstream: every answer is that of its question."""
    def on(q):
        return q.reply(record(b"\xc0\x0c", 1, struct.pack(">I", int(q.name[1:].split(".")[0]))))
    with Resolver(on) as up, forwarder(up, "force_tcp\nmax_fails 0") as w, gateway.bounded(w, mb=32):
        n, lot, wrong, missing = 70000 if not gateway.sanitized() else 20000, 500, 0, 0
        c = clients.Tcp(w.port["dns"])
        c.s.settimeout(10)
        for first in range(0, n, lot):
            c.s.sendall(b"".join(wire.framed(wire.query(f"n{i}.test", qid=i & 0xffff)) for i in range(first, first + lot)))
            for _ in range(lot):
                r = wire.read_message(c.s)
                number = int(r[13:13 + r[12]].decode()[1:])
                missing += wire.rcode(r) != 0
                wrong += struct.unpack(">H", r[:2])[0] != number & 0xffff or (wire.rcode(r) == 0 and struct.unpack(">I", r[-4:])[0] != number)
        assert wrong == 0 and missing < 0.01 * n


@pytest.mark.parametrize("row", ["AV036"])
@pytest.mark.parametrize("over", ["udp", "tcp"])
def test_replies_with_every_id(row, over):
    """65,536 replies to one question, the right one among them; none is taken for another's."""
    def on(q):
        if not q.name.startswith("all"):
            return q.reply(address())
        bad = q.reply(address(66))[2:]
        lots = [struct.pack(">H", i) + bad for i in range(0, 65536, 1 if over == "tcp" else 16) if i != q.id]
        return [(0, m) for m in lots] + [(0.05, q.reply(address()))]
    with Resolver(on) as up, forwarder(up, "force_tcp" if over == "tcp" else "") as w, gateway.bounded(w, mb=16):
        r = wire.udp(w.port["dns"], wire.query("all.test"), timeout=8)
        assert wire.sections(r)[0] == {"all.test. A 192.0.2.77"}
        assert wire.sections(wire.udp(w.port["dns"], wire.query("www.test"), timeout=8))[0] == {"www.test. A 192.0.2.77"}


@pytest.mark.parametrize("row", ["AV052"])
def test_reply_with_many_names(row):
    """Thousands of distinct owners and targets: reading and writing it is linear."""
    def on(q):
        many = [record(name(f"{i:x}.{i * 7919 % 65536:x}.t"), 5, name(f"{i * 31 % 65536:x}.u")) for i in range(2200)]
        return q.reply(*many)
    with Resolver(on) as up, forwarder(up, "force_tcp", "rewrite ttl suffix . 30") as w, gateway.bounded(w, mb=32):
        cpu, n = gateway.cpu_s(w.pid), 20
        for i in range(n):
            assert wire.tcp(w.port["dns"], wire.query(f"n{i}.test"), timeout=8) is not None
        assert gateway.sanitized() or gateway.cpu_s(w.pid) - cpu < 0.02 * n


@pytest.mark.parametrize("row", ["AV033"])
@pytest.mark.parametrize("over", ["udp", "tcp"])
def test_transfers_leave_no_descriptor(row, over):
    soa = record(name("t"), 6, name("a") + name("b") + struct.pack(">5I", 1, 1, 1, 1, 1))
    answers = [lambda q: q.reply(soa, address(), soa), lambda q: q.reply(soa), lambda q: CLOSE, lambda q: q.reply(soa)[:-9]]
    with Resolver(lambda q: answers[q.number % 4](q)) as up:
        with forwarder(up, "expire 1s\nmax_fails 0\nread_timeout 200ms\nmax_connect_attempts 1" + ("\nforce_tcp" if over == "tcp" else "")) as w:
            before = gateway.descriptors(w.pid)
            burst(w, [wire.query("t", 251, qid=i) for i in range(600)], seconds=1.0)
            assert gateway.descriptors(w.pid) - before < 100
            wait_for(lambda: gateway.descriptors(w.pid) <= before + 2, 15)
            assert w.alive()


@pytest.mark.parametrize("row", ["AV034"])
def test_stalled_https_upstream(row, tmp_path):
    """What waits for it is bounded in memory and time."""
    with Resolver(lambda q: None, tls=clients.certificate(tmp_path)) as up:
        options = f"tls {tmp_path}/cert.pem\n tls_servername localhost\n max_fails 0\n read_timeout 500ms\n max_connect_attempts 1"
        with forwarder(up, options, where=f"https://127.0.0.1:{up.https_port}") as w, gateway.bounded(w, mb=64):
            got = burst(w, [wire.query(f"n{i}.test", qid=i) for i in range(3000)], seconds=2.0, lot=1500)
            assert got and all(wire.rcode(r) in (2, 5) for r in got.values())
        assert w.proc.returncode == 0


@pytest.mark.parametrize("row", ["AV073-client"])
@pytest.mark.parametrize("how", ["https", "tcp", "tls"])
def test_reply_without_end(row, how, tmp_path):
    """An upstream that never stops sending: what is read is bounded, the next upstream answers."""
    cert = clients.certificate(tmp_path)
    endless = b"raw:" + b"\xff\xff" + bytes(200_000)
    with Resolver(lambda q: endless if how != "https" else bytes(60_000) * 20, tls=cert) as bad, Resolver(tls=cert) as good:
        where = {"https": "https://127.0.0.1:%d", "tls": "tls://127.0.0.1:%d", "tcp": "127.0.0.1:%d"}[how]
        port = {"https": "https_port", "tls": "tls_port", "tcp": "port"}[how]
        to = " ".join(where % getattr(r, port) for r in (bad, good))
        options = f"policy sequential\nmax_fails 0\nread_timeout 300ms\nforce_tcp\n tls {cert[0]}\n tls_servername localhost"
        if how == "tcp":
            options = "policy sequential\nmax_fails 0\nread_timeout 300ms\nforce_tcp"
        if how == "https":
            options = options.replace("force_tcp\n", "")
        with forwarder(None, options, where=to) as w, gateway.bounded(w, mb=16):
            got = burst(w, [wire.query(f"n{i}.test", qid=i) for i in range(20)], seconds=4.0, lot=20)
            assert len(got) == 20
            assert w.alive()


@pytest.mark.parametrize("row", ["AV061"])
@pytest.mark.parametrize("how", ["tls", "https", "tcp"])
@pytest.mark.usefixtures("provider")
def test_connection_lost_at_any_moment(row, how, tmp_path):
    """Closed before, during and after answers, with questions open that clients give up or others take over."""
    rng = random.Random(1)
    def on(q):
        return rng.choice([q.reply(address()), CLOSE, None, [(0.01, CLOSE)], [(0, q.reply(address())), (0, CLOSE)], [(0.02, q.reply(address()))],
                           [(0, CLOSE), (0, q.reply(address()))]])
    cert = clients.certificate(tmp_path)
    with Resolver(on, tls=cert) as up:
        where = {"tls": f"tls://127.0.0.1:{up.__dict__['tls_port']}", "https": f"https://127.0.0.1:{up.https_port}", "tcp": f"127.0.0.1:{up.port}"}[how]
        options = "max_fails 0\nread_timeout 300ms\nexpire 1s\n" + ("force_tcp" if how == "tcp" else f"tls {cert[0]}\n tls_servername localhost")
        with forwarder(up, options, where=where) as w, gateway.bounded(w, mb=64):
            end, n = time.monotonic() + 2, 0
            while time.monotonic() < end:
                burst(w, [wire.query(f"n{n + i}.test", qid=i) for i in range(40)], seconds=0.2, lot=40)
                n += 40
            assert w.alive() and n >= 80


@pytest.mark.parametrize("row", ["AV056"])
def test_client_subnet_does_not_multiply_questions(row):
    """Ten clients who ask the same at once are one question, whatever cookies they add; each subnet is one more,
    since its answer may differ."""
    def on(q):
        return [(0.5, q.reply(address()))]
    with Resolver(on) as up, forwarder(up) as w:
        def ask(options):
            return wire.query("www.test", qid=random.randrange(65536), extra=wire.opt(options=options))
        subnets = [wire.option(8, b"\0\1\x18\0" + bytes([10, 0, i])) for i in range(5)]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(3)
            for o in subnets * 20:
                s.sendto(ask(o), ("127.0.0.1", w.port["dns"]))
            for _ in range(100):
                s.recv(4096)
        assert len(up.queries()) == 5


@pytest.mark.parametrize("row", ["AV060"])
def test_refresh_never_makes_a_time_longer(row):
    """The NS and glue of a referral count down with the answer they came in; another answer about the zone does not
    renew them."""
    def on(q):
        ns = [record(name("child.test"), 2, name("ns.child.test"), ttl=30)]
        if q.name == "a.child.test.":
            return q.reply(address(ttl=30), authority=ns)
        return q.reply(address(5, ttl=3600), authority=[record(name("child.test"), 2, name("ns.child.test"), ttl=3600)])
    with Resolver(on) as up, forwarder(up, extra="cache 3600") as w:
        def ttls(host):
            m = wire.parse(wire.udp(w.port["dns"], wire.query(host)))
            return [s.ttl for part in (m.answer, m.authority) for s in part]
        assert max(ttls("a.child.test")) <= 30
        ttls("b.child.test")
        time.sleep(1.1)
        assert max(ttls("a.child.test")) <= 29 and len([q for q in up.queries() if q.name[0] == "a"]) == 1


@pytest.mark.parametrize("row", ["AV057"])
def test_answers_that_are_late_are_not_a_burst_for_ever(row):
    """Questions of one client that an upstream holds back are one pulse at the most, bounded by read_timeout; a
    spoofed client gets one SERVFAIL each of the question's size, not the upstream's large answers afterwards."""
    big = [record(b"\xc0\x0c", 16, b"\xc8" + b"x" * 200) for _ in range(5)]
    def on(q):
        return [(1.0, q.reply(*big))]
    with Resolver(on) as up, forwarder(up, "read_timeout 300ms\nmax_connect_attempts 1\nmax_fails 0") as w:
        n = 500
        sent = got = 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(1.5)
            for i in range(n):
                m = wire.query(f"n{i}.test", "TXT", qid=i, extra=wire.opt(1232))
                sent += len(m)
                s.sendto(m, ("127.0.0.1", w.port["dns"]))
            try:
                while True:
                    got += len(s.recv(4096))
            except TimeoutError:
                pass
        assert got <= 2 * sent
        assert up.queries()


# --- the cache under names that never come again --------------------------------------------------

def flood_names(port, n, seed, out):
    rng = random.Random(seed)
    heads = [struct.pack(">6H", i, 0x0100, 1, 0, 0, 0) for i in range(256)]
    answered = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(("127.0.0.1", port))
        s.settimeout(1)
        for i in range(0, n, 64):
            for k in range(64):
                label = b"%015x" % rng.getrandbits(60)
                s.send(heads[k] + b"\x0f" + label + b"\x07waypost\x04test\0\0\1\0\1")
            try:
                for _ in range(64):
                    s.recv(2048)
                    answered += 1
            except TimeoutError:
                pass
    out.append(answered)


@pytest.mark.timing
@pytest.mark.parametrize("entries", [pytest.param(e, id=f"names-{e}") for e in (1024, 10000)])
def test_cache_is_bounded_by_its_capacity(entries):
    """A million random names through cache: memory stops growing when the capacity is reached."""
    zone = "$ORIGIN waypost.test.\n$TTL 300\n@ SOA ns host 1 3600 600 86400 60\n@ NS ns\n* A 192.0.2.1\n"
    conf = f"waypost.test:{{dns}} {{\n cache 3600 {{\n success {entries}\n denial {entries}\n }}\n file {{dir}}/db\n}}\n"
    with Waypost(conf, files={"db": zone}) as w:
        out = []
        flood_names(w.port["dns"], 20000, 1, out)
        with gateway.bounded(w, mb=16):
            threads = [threading.Thread(target=flood_names, args=(w.port["dns"], 240000, 2 + i, out)) for i in range(2)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
        assert sum(out) > 490000
        assert gateway.status(w.pid, "VmRSS") < 96 * MB
