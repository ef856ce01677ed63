"""DNS cookies: rows U37 to U42 of the transports table, on every transport."""
import re
import struct
import subprocess
import time

import clients
import fixture
import pki
import pytest
import test_28_proxy as proxy
import wire
from server import Waypost

FORMERR, BADCOOKIE = 1, 23
CLIENT = b"12345678"
FIRST, SECOND = "000102030405060708090a0b0c0d0e0f", "ffeeddccbbaa99887766554433221100"


def cookie(*options):
    return "cookie {\n" + "\n".join(options) + "\n}"


@pytest.fixture(scope="module")
def w():
    tls = "tls %s %s" % pki.cert("ns.waypost.test")
    with fixture.Upstreams() as up:
        conf = "".join([
            fixture.blocks("", cookie(), port="on"),
            fixture.blocks("", cookie("enforce"), port="enforce"),
            fixture.blocks("", cookie(f"secret {SECOND}", f"secret {FIRST}", "enforce"), port="rolled"),
            fixture.blocks("", cookie(f"secret {FIRST}"), port="before"),
            fixture.blocks("", cookie("enforce") + "\nproxyproto {\n allow 127.0.0.0/8\n}", port="proxy"),
            fixture.blocks("tls://", tls + "\n" + cookie("enforce"), port="dotoff"),
        ] + [fixture.blocks(scheme + "://", (tls if scheme != "grpc" else "") + "\n" + cookie("enforce", "encrypted"), port=port)
             for scheme, port in (("tls", "dot"), ("https", "doh"), ("grpc", "grpc"))])
        with Waypost(conf, files=fixture.FILES, ports=up.ports) as server:
            server.up = up
            yield server


def asked(data=CLIENT, name="www.waypost.test", more=b""):
    return wire.query(name, extra=wire.opt(options=wire.option(10, data) + more))


def no_question(data=CLIENT):
    return struct.pack(">6H", 7, 0x0100, 0, 0, 0, 1) + wire.opt(options=wire.option(10, data))


def given(r):
    """(rcode, answers, the cookie or None)"""
    m = wire.parse(r)
    found = [o.to_wire() for o in m.options if o.otype == 10]
    assert len(found) <= 1
    return m.rcode(), len(m.answer), found[0] if found else None


def learn(w, port, source=None):
    rcode, _, got = given(wire.udp(w.port[port], asked(), source=source))
    assert rcode in (0, BADCOOKIE) and len(got) == 24 and got[:8] == CLIENT and got[8:12] == b"\1\0\0\0"
    assert abs(struct.unpack(">I", got[12:16])[0] - time.time()) < 60
    return got


@pytest.mark.parametrize("row", ["U37"])
def test_client_part_alone(w, row):
    rcode, answers, got = given(wire.udp(w.port["on"], asked()))
    assert (rcode, answers, len(got)) == (0, 1, 24) and got[:8] == CLIENT


LENGTHS = [("U38", 7), ("U38-long", 41), ("U38-empty", 0), ("U38-between", 15), ("U38-nine", 9)]


@pytest.mark.parametrize("row, n", LENGTHS, ids=[r[0] for r in LENGTHS])
def test_impossible_length(w, row, n):
    assert wire.rcode(wire.udp(w.port["on"], asked(bytes(n)))) == FORMERR


WRONG = [("U39", CLIENT + b"wrong!!!"), ("U39-ours-in-length", CLIENT + b"\1\0\0\0" + bytes(12)), ("U39-long", CLIENT + bytes(32)),
         ("U39-none", CLIENT)]


@pytest.mark.parametrize("row, data", WRONG, ids=[r[0] for r in WRONG])
def test_wrong_one(w, row, data):
    rcode, answers, got = given(wire.udp(w.port["enforce"], asked(data)))
    assert (rcode, answers) == (BADCOOKIE, 0) and got[:8] == CLIENT
    assert given(wire.udp(w.port["enforce"], asked(got)))[:2] == (0, 1)
    assert given(wire.udp(w.port["on"], asked(data)))[:2] == (0, 1)  # nobody insists there
    assert given(wire.tcp(w.port["enforce"], asked(data)))[:2] == (0, 1)  # nor where addresses are true


@pytest.mark.parametrize("row, port", [("U40", "on"), ("U40-enforced", "enforce")])
def test_reused(w, row, port):
    got = learn(w, port)
    assert given(wire.udp(w.port[port], asked(got))) == (0, 1, got)  # young: it stays the same


@pytest.mark.parametrize("row", ["U41"])
def test_somebody_elses(w, row):
    got = learn(w, "enforce", source=("127.0.0.1", 0))
    rcode, answers, fresh = given(wire.udp(w.port["enforce"], asked(got), source=("127.0.0.9", 0)))
    assert (rcode, answers) == (BADCOOKIE, 0) and fresh != got
    assert given(wire.udp(w.port["enforce"], asked(fresh), source=("127.0.0.9", 0)))[0] == 0


EMPTY = [("U42", CLIENT, 0), ("U42-wrong", CLIENT + bytes(16), BADCOOKIE), ("U42-length", bytes(9), FORMERR)]


@pytest.mark.parametrize("row, data, want", EMPTY, ids=[r[0] for r in EMPTY])
def test_without_question(w, row, data, want):
    r = wire.udp(w.port["on"], no_question(data))
    assert r[:2] == b"\0\7" and wire.parse(r).rcode() == want
    if want != FORMERR:
        got = given(r)[2]
        assert given(wire.udp(w.port["on"], no_question(got))) == (0, 0, got)


OFF = [("U42-off", no_question(), "dotoff", (FORMERR, 0, None)), ("U36-encrypted", asked(), "dotoff", (0, 1, None))]


@pytest.mark.parametrize("row, msg, port, want", OFF, ids=[r[0] for r in OFF])
def test_encrypted_listeners_do_without(w, row, msg, port, want):
    assert given(clients.Dot(w.port[port]).ask(msg)) == want


def test_others_are_answered_as_before(w):
    for msg in (wire.A, wire.A_OPT):
        r = wire.udp(w.port["enforce"], msg)
        assert wire.rcode(r) == 0 and not wire.parse(r).options


@pytest.mark.parametrize("transport", ["Tcp", "Dot", "Doh", "Grpc"])
@pytest.mark.parametrize("row", ["I05"])
def test_every_transport(w, row, transport):
    """A message without a question is answered with a cookie, also where its lack is an error otherwise."""
    client = getattr(clients, transport)(w.port["enforce" if transport == "Tcp" else transport.lower()])
    rcode, answers, got = given(client.ask(asked(CLIENT + bytes(16))))
    assert (rcode, answers) == (0, 1) and got[:8] == CLIENT
    assert given(client.ask(no_question()))[:2] == (0, 0)
    assert given(client.ask(no_question(got))) == (0, 0, got)
    assert given(client.ask(no_question(CLIENT + bytes(16))))[0] == BADCOOKIE


@pytest.mark.parametrize("row", ["AV053"])
def test_address_behind_a_proxy(w, row):
    """The cookie is that of the client, whichever proxy it came through."""
    def ask(client, data):
        return given(wire.udp(w.port["proxy"], proxy.v2(command=0x21, family=0x12, src=client) + asked(data)))
    got = ask("192.0.2.50", CLIENT)[2]
    assert ask("192.0.2.50", got) == (0, 1, got)
    assert ask("192.0.2.51", got)[0] == BADCOOKIE


@pytest.mark.parametrize("row", ["U40-secret"])
def test_secret_changes(w, row):
    """A cookie made with the secret before is good, and the next one is made with the new."""
    old = learn(w, "before")
    rcode, answers, new = given(wire.udp(w.port["rolled"], asked(old)))
    assert (rcode, answers) == (0, 1) and new != old
    assert given(wire.udp(w.port["rolled"], asked(new))) == (0, 1, new)
    assert given(wire.udp(w.port["before"], asked(new)))[2] != new  # it does not know that one


def test_upstreams_do_not_see_it(w):
    seen = []
    later = w.up.slow.later
    w.up.slow.later = lambda msg, send: (seen.append(msg), later(msg, send))
    try:
        other = wire.option(65001, b"kept")
        got = given(wire.udp(w.port["on"], asked(name="a.slow.waypost.test", more=other), timeout=5))
    finally:
        w.up.slow.later = later
    assert got[0] == 0 and len(got[2]) == 24
    assert [(o.otype, o.to_wire()) for o in wire.parse(seen[0]).options] == [(65001, b"kept")]


CLIENTS = [("U40-dig", ["dig", "+cookie", "+badcookie", "+tries=1", "+time=5"], r"COOKIE: [0-9a-f]{48} \(good\)"),
           ("U40-kdig", ["kdig", "+cookie", "+badcookie", "+retry=1", "+time=5"], r"NOERROR(?s:.*)COOKIE: [0-9A-F]{48}\n")]


@pytest.mark.parametrize("row, client, says", CLIENTS, ids=[c[0] for c in CLIENTS])
def test_clients_of_others(w, row, client, says):
    """They are told BADCOOKIE and ask again with the cookie that came with it."""
    out = subprocess.run([*client, "@127.0.0.1", "-p", str(w.port["enforce"]), "www.waypost.test"], capture_output=True,
                         text=True, timeout=20).stdout
    assert "192.0.2.1" in out and re.search(says, out), out


def test_truncated_answers_carry_it(w):
    m = wire.query("big.waypost.test", "TXT", extra=wire.opt(512, options=wire.option(10, CLIENT)))
    r = wire.udp(w.port["on"], m)
    assert len(r) <= 512 and r[2] & 2 and len(given(r)[2]) == 24


BAD = [
    ("word", cookie("never"), "Corefile:3 - Error during parsing: unknown property 'never'"),
    ("argument", "cookie yes", "Wrong argument count or unexpected line ending after 'yes'"),
    ("flag", cookie("enforce all"), "Wrong argument count or unexpected line ending after 'all'"),
    ("short", cookie("secret 0011"), "a secret has 32 hexadecimal digits"),
    ("digits", cookie("secret " + "0g" * 16), "a secret has 32 hexadecimal digits"),
    ("many", cookie(*[f"secret {FIRST}"] * 5), "more than 4 secrets"),
    ("twice", cookie() + "\n" + cookie(), "this plugin can only be used once per Server Block"),
]


@pytest.mark.parametrize("what, text, why", BAD, ids=[b[0] for b in BAD])
def test_refused(what, text, why):
    with Waypost(".:{dns} {\n%s\nwhoami\n}\n" % text, wait=False) as server:
        assert server.wait() == 1
        assert why in server.output() and "0g0g" not in server.output()


def test_one_policy_for_a_listener():
    text = "a.test:{dns} {\n%s\nwhoami\n}\nb.test:{dns} {\n%s\nwhoami\n}\n"
    with Waypost(text % (cookie(), cookie("enforce")), wait=False) as server:
        assert server.wait() == 1
        server.says(f"conflicting cookie settings for shared listener dns://:{server.port['dns']}")
    with Waypost(text % (cookie(), ""), wait=True) as server:  # one is enough for both
        assert given(wire.udp(server.port["dns"], asked(name="b.test")))[2] is not None
