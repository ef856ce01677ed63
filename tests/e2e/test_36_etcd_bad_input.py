"""etcd: keys and values that nobody should write, on a real etcd: each hides itself, not its neighbours."""
import json
import re
import subprocess
import time

import clients
import etcd
import etcd_rows
import pytest
import wire
from server import WAYPOST, Waypost, wait_for
from test_33_etcd_faults import corefile, metric, synced

IP = "192.0.2.1"
H = f'"host":"{IP}"'
BAD = "SERVFAIL"


def number(field, text):
    return "{%s,%s:%s}" % (H, json.dumps(field), text)


# name: (value, type asked for, what is answered, what the log says of it and at which octet)
VALUES = {
    # what CoreDNS reads, however odd
    "duplicate": ('{"host":"192.0.2.9","host":"192.0.2.1"}', "A", [IP], None),
    "duplicate-other-case": ('{"host":"192.0.2.9","HOST":"192.0.2.1"}', "A", [IP], None),
    "duplicate-null": ('{"host":"192.0.2.1","host":null}', "A", [IP], None),
    "lone-high": ('{"text":"a\\ud800b"}', "TXT", ['"a\ufffdb"'], None),
    "lone-low": ('{"text":"a\\udc00b"}', "TXT", ['"a\ufffdb"'], None),
    "swapped": ('{"text":"\\udc00\\ud800"}', "TXT", ['"\ufffd\ufffd"'], None),
    "pair": ('{"text":"\\ud83d\\ude00"}', "TXT", ['"\U0001f600"'], None),
    "escaped-nul": ('{"text":"a\\u0000b"}', "TXT", ['"a\x00b"'], None),
    "no-utf8": (b'{"text":"a\xffb"}', "TXT", ['"a\ufffdb"'], None),
    "overlong-utf8": (b'{"text":"\xc0\x80"}', "TXT", ['"\ufffd\ufffd"'], None),
    "white-space": (" \n\t{%s}\r\n " % H, "A", [IP], None),
    "negative-port": (number("port", "-2"), "SRV", ["10 100 65534 negative-port.v.way.test."], None),
    "large-port": (number("port", "65537"), "SRV", ["10 100 1 large-port.v.way.test."], None),
    "largest-port": (number("port", "9223372036854775807"), "SRV", ["10 100 65535 largest-port.v.way.test."], None),
    "unused-number": (number("x", "9" * 400), "A", [IP], None),
    "unused-exponent": (number("x", "1e999"), "A", [IP], None),
    "unused-nesting": (number("x", "[" * 9999 + "]" * 9999), "A", [IP], None),
    "unused-megabyte": (number("x", '"%s"' % ("y" * 1_500_000)), "A", [IP], None),
    "null": ("null", "A", [], None),
    # what it does not
    "duplicate-type": ('{"host":1,"host":"192.0.2.1"}', "A", BAD, "at octet 1: host must be a string"),
    "nul": (b'{"text":"a\0b"}', "TXT", BAD, "at octet 10: a control character"),
    "control": (b'{"text":"a\x1bb"}', "TXT", BAD, "at octet 10: a control character"),
    "byte-order-mark": (b"\xef\xbb\xbf{%s}" % H.encode(), "A", BAD, "at octet 0: a value is missing"),
    "over-port": (number("port", "9223372036854775808"), "A", BAD, "at octet 20: port must be an integer"),
    "fraction": (number("port", "1.5"), "A", BAD, "at octet 20: port must be an integer"),
    "exponent": (number("port", "1e3"), "A", BAD, "at octet 20: port must be an integer"),
    "leading-zero": (number("port", "080"), "A", BAD, "at octet 28"),
    "not-a-number": (number("port", "NaN"), "A", BAD, "at octet 27: a value is missing"),
    "string-port": (number("port", '"80"'), "A", BAD, "at octet 20: port must be an integer"),
    "number-host": ('{"host":192}', "A", BAD, "at octet 1: host must be a string"),
    "number-mail": (number("mail", "1"), "A", BAD, "at octet 20: mail must be true or false"),
    "negative-ttl": (number("ttl", "-1"), "A", BAD, "at octet 20: ttl must be within 0..4294967295"),
    "large-ttl": (number("ttl", "4294967296"), "A", BAD, "at octet 20: ttl must be within 0..4294967295"),
    "deep": (number("x", "[" * 10000 + "]" * 10000), "A", BAD, "at octet 10023: too deep"),
    "deep-objects": ('{"a":' * 10001 + "1" + "}" * 10001, "A", BAD, "too deep"),
    "trailing": ("{%s} x" % H, "A", BAD, "at octet 21: more than one value"),
    "trailing-comma": ("{%s,}" % H, "A", BAD, "at octet 20: a string is missing"),
    "cut": ('{"text":"abc', "TXT", BAD, "at octet 12: the text ends too early"),
    "empty": ("", "A", BAD, "at octet 0"),
    "list": ("[]", "A", BAD, "at octet 0: the value must be an object"),
    "escape": ('{"text":"\\x41"}', "TXT", BAD, "at octet 10: there is no such escape"),
    "host-label": ('{"host":"%s.test"}' % ("a" * 64), "SRV", BAD, "at octet 8: host is neither an address nor a domain name"),
    "host-name": ('{"host":"%s"}' % ".".join(["a" * 60] * 5), "SRV", BAD, "at octet 8: host is neither an address nor a domain name"),
}
# key below /skydns/test/way/, what the log shows of it, where the flaw is
KEYS = {
    b"k/over/" + b"l" * 64: ("k/over/" + "l" * 64, "at octet 24: a label of more than 63 octets"),
    b"k/empty//x": ("k/empty//x", "at octet 25: an empty label"),
    b"k/long/" + b"/".join([b"b" * 60] * 4): ("k/long/bbb", "at octet 7: more than 255 octets"),
    b"k/deep/" + b"/".join([b"a"] * 1000): ("k/deep/a/a/a", "at octet 7: more than 255 octets"),
    b"k/huge/" + b"h" * 70000: ("k/huge/hhh", "at octet 65535: longer than any name"),
}
GOOD_KEYS = {b"k/bin/\xff\x00\x1b": "\\255\\000\\027.bin.k.way.test.", b"k/max/" + b"m" * 63: "m" * 63 + ".max.k.way.test.",
             b"k/full/" + b"/".join([b"f"] * 115): "f." * 115 + "full.k.way.test."}


def data(reply):
    m = etcd_rows.parse(reply)
    return BAD if m.rcode() == 2 else [r.split(" ", 3)[3] for r in etcd_rows.section(m.answer)]


def ask(w, name, rtype="A"):
    return data(wire.tcp(w.port["dns"], wire.query(name, rtype, qid=3), timeout=10))


def texts(w):
    """Lines about bad keys and values."""
    return [x for x in w.output().split("\n") if "malformed value of key" in x or "no name can be made" in x]


@pytest.fixture(scope="module")
def member():
    with etcd.Member() as m:
        yield m


@pytest.fixture(scope="module")
def read(member):
    """One run of waypost which meets everything bad one after the other, a few lines of log at a time."""
    c = member.client
    c.put("/skydns/test/way/beside", "{%s}" % H)
    lines = []
    rows = list({f"v/{k}".encode(): v[0] for k, v in VALUES.items()}.items()) + [(k, "{%s,\"port\":1}" % H) for k in [*KEYS, *GOOD_KEYS]]
    for i in range(0, len(rows), 15):  # a process tells of twenty each minute
        c.delete_prefix("/skydns/test/way/v/")
        c.delete_prefix("/skydns/test/way/k/")
        with synced(Waypost(corefile(member.url))) as w:
            for n, (key, value) in enumerate(rows[i:i + 15]):
                if n % 2:
                    c.put(b"/skydns/test/way/" + key, value)  # half are listed, half come as events
            c.put("/skydns/test/way/last", "{%s}" % H)
            wait_for(lambda: ask(w, "last.way.test") == [IP])
            c.delete("/skydns/test/way/last")
            lines += texts(w)
        for n, (key, value) in enumerate(rows[i:i + 15]):
            if n % 2 == 0:
                c.put(b"/skydns/test/way/" + key, value)
        with synced(Waypost(corefile(member.url))) as w:
            lines += texts(w)
    for key, value in rows:
        c.put(b"/skydns/test/way/" + key, value)
    with synced(Waypost(corefile(member.url))) as w:
        yield w, lines


@pytest.mark.parametrize("name", VALUES)
def test_value(read, name):
    w, lines = read
    _, rtype, answer, flaw = VALUES[name]
    assert ask(w, f"{name}.v.way.test", rtype) == answer
    assert ask(w, "beside.way.test") == [IP]
    mine = [x for x in lines if f"/v/{name} (" in x]
    assert flaw is None and not mine or mine and all(flaw in x and len(x) < 400 for x in mine), mine


@pytest.mark.parametrize("key", KEYS, ids=lambda k: k.split(b"/")[1].decode())
def test_key(read, key):
    """It makes no name, so no record names it; what stands above it is answered."""
    w, lines = read
    shown, flaw = KEYS[key]
    above = ".".join(reversed(key.split(b"/")[1].decode().split("/"))) + ".k.way.test"
    assert ask(w, above, "SRV") == []
    assert ask(w, above) in ([IP], [])  # the record is the name's own, too; beyond 65535 octets it is nobody's
    mine = [x for x in lines if shown in x]
    assert mine and all(flaw in x and len(x) < 900 for x in mine), mine


@pytest.mark.parametrize("key", GOOD_KEYS, ids=lambda k: k.split(b"/")[1].decode())
def test_odd_key(read, key):
    """Any octets, 63 of them in a label, as many labels as a name may have."""
    w, lines = read
    assert ask(w, f"{key.split(b'/')[1].decode()}.k.way.test", "SRV") == [f"10 100 1 {GOOD_KEYS[key]}"]
    assert not [x for x in lines if key.split(b"/")[1].decode() + "/" in x]


def test_all_of_it_is_counted(read):
    w, _ = read
    bad = sum(1 for v in VALUES.values() if v[3])
    assert metric(w, "coredns_etcd_malformed_keys") == bad
    assert metric(w, "waypost_etcd_bad_records_total") == bad + len(KEYS)
    wait_for(lambda: f"{bad + len(KEYS) - 20} more malformed keys and values" in w.output())
    assert len(texts(w)) == 20
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", w.output())


def test_json_log_is_json(member, read):
    """Also with octets in it that are no text."""
    with Waypost(corefile(member.url), args=["-log-format", "json"]) as w:
        wait_for(lambda: "watching" in w.output())
        with open(w.out_path, "rb") as f:
            lines = [json.loads(x) for x in f.read().decode("utf-8").split("\n") if x.startswith("{")]
        assert any("malformed value" in x["msg"] for x in lines)


def test_command_tells_of_each(member, read):
    r = subprocess.run([WAYPOST, "etcd", "bad", "way.test", "--endpoint", member.url, "--json"], capture_output=True, text=True, timeout=30)
    assert r.returncode == 1
    json.loads(r.stdout)
    for name, (_, _, _, flaw) in VALUES.items():
        assert (f"/v/{name}\"" in r.stdout) == (flaw is not None or name == "null"), name


# --- many ------------------------------------------------------------------------------------------


def rss(w):
    with open(f"/proc/{w.pid}/status") as f:
        return int(re.search(r"VmHWM:\s+(\d+)", f.read())[1]) << 10


def test_a_flood_of_bad_keys(member):
    """100,000 at once: some lines and a count, memory of some hundred octets each, everybody else is answered."""
    c = member.client
    c.put("/skydns/test/flood/ok", "{%s}" % H)
    with synced(Waypost(corefile(member.url, zone="flood.test"))) as w:
        before = rss(w)
        c.load(((f"/skydns/test/flood/b{i % 100}/x{i}", '{"host":' + "[" * (i % 50)) for i in range(100_000)), batch=128)
        wait_for(lambda: metric(w, "coredns_etcd_malformed_keys") == 100_000, 60)
        assert ask(w, "ok.flood.test") == [IP] and ask(w, "b7.flood.test") == BAD
        wait_for(lambda: "more malformed keys and values" in w.output())
        assert len(w.output()) < 10_000
        assert rss(w) - before < (1024 if "asan" in WAYPOST else 100) << 20
    c.delete_prefix("/skydns/test/flood/")


TRANSPORTS = {"tcp": clients.Tcp, "dot": clients.Dot, "doh": clients.Doh, "grpc": clients.Grpc}
N = 10_000


def test_ten_thousand_records(member, tmp_path):
    """Each transport: what fits, TC, within a second; UDP within what the client said, others within 65535 octets."""
    c = member.client
    c.load((f"/skydns/test/many/n/i{i}", '{"host":"10.1.%d.%d","port":80,"mail":true}' % (i >> 8, i & 255)) for i in range(N))
    c.load((f"/skydns/test/many/t/i{i}", '{"text":"t%d"}' % i) for i in range(N))
    cert, key = clients.certificate(tmp_path)
    body = "etcd many.test {\n endpoint %s\n }" % member.url
    text = corefile(member.url, zone="many.test")
    for scheme, port in (("tls", "dot"), ("https", "doh"), ("grpc", "grpc")):
        text += f"{scheme}://.:{{{port}}} {{\n{'' if port == 'grpc' else f'tls {cert} {key}'}\n{body}\n}}\n"
    with synced(Waypost(text)) as w:
        for name, rtype in (("n", "A"), ("n", "SRV"), ("n", "MX"), ("t", "TXT"), ("n", "ANY")):
            for size in (0, 512, 1232, 4096, 65535):
                reply = wire.udp(w.port["dns"], wire.query(f"{name}.many.test", rtype, extra=wire.opt(size) if size else b""), timeout=5)
                m = etcd_rows.parse(reply)
                assert len(reply) <= min(max(size, 512), 1232) and bool(m.answer) == (rtype != "ANY")
                assert bool(m.flags & 0x200) == (rtype != "ANY")
            for transport, client in TRANSPORTS.items():
                begun = time.monotonic()
                reply = client(w.port["dns" if transport == "tcp" else transport]).ask(wire.query(f"{name}.many.test", rtype))
                took = time.monotonic() - begun
                m = etcd_rows.parse(reply)
                assert len(reply) <= 65535 and bool(m.flags & 0x200) == (rtype != "ANY"), (transport, rtype)
                assert rtype == "ANY" or len(reply) > 60000 and len(m.answer) > 1000, (transport, rtype, len(reply))
                assert took < (20 if "asan" in WAYPOST else 3)
    c.delete_prefix("/skydns/test/many/")
