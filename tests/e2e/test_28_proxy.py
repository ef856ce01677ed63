"""PROXY protocol: the transports table 17.8, rows P. DoQ and DoH3 are not in the build; DoH's P03 is with DoH's rows."""
import socket
import ssl
import struct

import fixture
import pki
import pytest
import wire
from server import Waypost

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
WWW = {"www.waypost.test. A 192.0.2.1"}
TLV = b"\xea\0\2\xca\xfe"
V1 = b"PROXY TCP4 192.0.2.50 192.0.2.1 1234 53\r\n"


def v2(command=0x21, family=0x11, src="192.0.2.50", tlv=b"", ports=(1234, 53)):
    af = socket.AF_INET6 if ":" in src else socket.AF_INET
    if af == socket.AF_INET6 and family >> 4 == 1:
        family = 0x20 | family & 15
    dst = "2001:db8::1" if af == socket.AF_INET6 else "192.0.2.1"
    body = socket.inet_pton(af, src) + socket.inet_pton(af, dst) + struct.pack(">2H", *ports) + tlv
    return SIGNATURE + bytes([command, family]) + struct.pack(">H", len(body)) + body


# What a policy sees: client, port, proto, and the TLV list. In a file of its own, so that its words in braces are
# not taken for ports.
FILES = {**fixture.FILES, "log.conf": 'log . "SAW {remote} {port} {proto} {/proxyproto/tlv}"\n'}


def corefile(option, extra=""):
    return (f"waypost.test:{{dns}} {{\n proxyproto {{\n {option}\n }}\n metadata\n {extra}\n"
            " import {dir}/log.conf\n file {dir}/db.waypost.test\n}\n")


ALLOW = "allow 127.0.0.0/8"


def server(option, extra=""):
    return Waypost(corefile(option, extra), files=FILES)


def connect(w, port="dns"):
    return socket.create_connection(("127.0.0.1", w.port[port]), 3)


def saw(w):
    """The newest client in the log. The log is written by a thread of its own."""
    return [line.split("SAW ")[1].split() for line in w.output().splitlines() if "SAW " in line]


def wait_saw(w, n):
    from server import wait_for
    return wait_for(lambda: len(saw(w)) >= n and saw(w), 5)


# --- TCP --------------------------------------------------------------------------------------------------------

BELIEVED = [
    ("P01", ALLOW, V1, "192.0.2.50"),
    ("P01-everybody", "default use", V1, "192.0.2.50"),
    ("P02", ALLOW, v2(src="2001:db8::50", tlv=TLV), "[2001:db8::50]"),
    ("P04", ALLOW, v2(command=0x20), "127.0.0.1"),
    ("P04-unknown", ALLOW, b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    ("P05-ignore", "allow 10.0.0.0/8", V1, "127.0.0.1"),
    ("no-header", ALLOW, b"", "127.0.0.1"),  # optional, as in CoreDNS 1.15.0
    ("no-header-reject", "allow 10.0.0.0/8\n default reject", b"", "127.0.0.1"),
]


@pytest.mark.parametrize("option, header, client", [pytest.param(*r[1:], id=r[0]) for r in BELIEVED])
def test_tcp(option, header, client):
    with server(option) as w:
        with connect(w) as s:
            s.sendall(header + wire.framed(wire.A))
            assert wire.sections(wire.read_message(s))[0] == WWW
            for _ in range(2):
                s.sendall(wire.framed(wire.A))
                assert wire.sections(wire.read_message(s))[0] == WWW
        assert {line[0] for line in wait_saw(w, 3)} == {client}
        assert {line[2] for line in saw(w)} == {"tcp"}


CLOSED = [
    ("P05-reject", "allow 10.0.0.0/8\n default reject", V1),
    ("P05-skip", "allow 10.0.0.0/8\n default skip", V1),
    ("P07-truncated", ALLOW, V1[:20]),
    ("P07-signature", ALLOW, SIGNATURE[:8] + b"XXXX"),
    ("P07-family", ALLOW, b"PROXY TCP4 ::1 ::2 1 2\r\n"),
    ("P07-short-block", ALLOW, v2()[:13] + b"\x21" + v2()[14:]),
    ("P07-length", ALLOW, SIGNATURE + b"\x21\x11\xff\xff"),
    ("P07-tlv", ALLOW, v2(tlv=b"\xea\0\xff1")),
]


@pytest.mark.parametrize("option, header", [pytest.param(*r[1:], id=r[0]) for r in CLOSED])
def test_tcp_closed(option, header):
    with server(option, "timeouts {\n read 1s\n}") as w:
        with connect(w) as s:
            s.sendall(header + wire.framed(wire.A))
            s.settimeout(4)
            try:
                assert s.recv(1) == b""
            except ConnectionResetError:
                pass
        assert w.alive() and not saw(w)


@pytest.mark.parametrize("row, header", [("P03", V1), ("P03-v2", v2())])
def test_before_tls(row, header):
    cert, key = pki.cert("ns.waypost.test")
    text = corefile(ALLOW, f"tls {cert} {key}").replace("waypost.test:{dns}", "tls://waypost.test:{tls}")
    with Waypost(text, files=FILES) as w:
        ctx = ssl.create_default_context(cafile=pki.ca())
        with connect(w, "tls") as raw:
            raw.sendall(header)
            with ctx.wrap_socket(raw, server_hostname="ns.waypost.test") as s:
                s.sendall(wire.framed(wire.A))
                assert wire.sections(wire.read_message(s))[0] == WWW
        assert wait_saw(w, 1)[0][0] == "192.0.2.50"


# --- UDP --------------------------------------------------------------------------------------------------------

def udp(w, *datagrams, answer=True):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(2 if answer else 0.4)
        for d in datagrams:
            s.sendto(d, ("127.0.0.1", w.port["dns"]))
        try:
            return wire.sections(s.recv(65535))[0] == WWW
        except socket.timeout:
            return False


UDP = [
    ("P08", ALLOW, [v2(family=0x12) + wire.A], "192.0.2.50"),
    ("P08-v6", ALLOW, [v2(family=0x12, src="2001:db8::50") + wire.A], "[2001:db8::50]"),
    ("P08-not-allowed", "allow 10.0.0.0/8", [v2(family=0x12) + wire.A], "127.0.0.1"),
    ("P04-udp", ALLOW, [v2(command=0x20, family=0x12) + wire.A], "127.0.0.1"),
    ("P09", ALLOW + "\n udp_session_tracking 10s", [v2(family=0x12), wire.A], "192.0.2.50"),
    ("P09-off", ALLOW, [v2(family=0x12)], None),
    ("P04-session", ALLOW + "\n udp_session_tracking 10s", [v2(command=0x20, family=0x12), wire.A], "127.0.0.1"),
    ("P07-udp", ALLOW, [SIGNATURE + b"\x21\x12\xff\xff" + wire.A], None),
    ("P08-v1", ALLOW, [V1 + wire.A], None),
    ("P08-stream", ALLOW, [v2() + wire.A], None),
    ("P08-reject", "allow 10.0.0.0/8\n default reject", [v2(family=0x12) + wire.A], None),
    ("no-header-udp", ALLOW, [wire.A], "127.0.0.1"),  # optional, as in CoreDNS 1.15.0
    ("no-header-session", ALLOW + "\n udp_session_tracking 10s", [wire.A], "127.0.0.1"),
]


@pytest.mark.parametrize("option, datagrams, client", [pytest.param(*r[1:], id=r[0]) for r in UDP])
def test_udp(option, datagrams, client):
    with server(option) as w:
        assert udp(w, *datagrams, answer=client is not None) == (client is not None)
        if client is not None:
            assert wait_saw(w, 1)[0][0] == client
            assert saw(w)[0][2] == "udp"
        elif len(datagrams[0]) > 40:
            w.says("[WARNING] dropping invalid Proxy Protocol packet from 127.0.0.1:")
        assert w.alive()


# --- metadata ---------------------------------------------------------------------------------------------------

NOOP = b"\4\0\3abc"
META = [
    ("P10", "tlv_metadata", v2(tlv=TLV), "ea0002cafe"),
    ("P10-noop", "tlv_metadata", v2(tlv=NOOP + TLV + NOOP), "ea0002cafe"),
    ("P11-off", "", v2(tlv=TLV), "-"),
    ("P11-v1", "tlv_metadata", V1, "-"),
    ("P11-local", "tlv_metadata", v2(command=0x20, tlv=TLV), "-"),
    ("P11-none", "tlv_metadata", v2(), "-"),
]


@pytest.mark.parametrize("option, header, want", [pytest.param(*r[1:], id=r[0]) for r in META])
@pytest.mark.parametrize("how", ["tcp", "udp"])
def test_tlv_metadata(option, header, want, how):
    if how == "udp" and header == V1:
        header = v2(family=0x12)
    with server(ALLOW + "\n " + option) as w:
        if how == "tcp":
            with connect(w) as s:
                s.sendall(header + wire.framed(wire.A))
                assert wire.sections(wire.read_message(s))[0] == WWW
        else:
            assert udp(w, header[:13] + bytes([header[13] & 0xf0 | 2]) + header[14:] + wire.A)
        assert wait_saw(w, 1)[0][3] == want


# --- what the address means -------------------------------------------------------------------------------------

@pytest.mark.parametrize("row", ["P12"])
def test_family_of_a_proxied_client(row):
    with server(ALLOW, "prometheus 127.0.0.1:{metrics}") as w:
        assert udp(w, v2(family=0x12) + wire.A)
        text = scrape(w.port["metrics"])
        assert 'coredns_dns_requests_total{family="1",proto="udp"' in text


def scrape(port):
    with socket.create_connection(("127.0.0.1", port), 3) as s:
        s.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        data = b""
        while part := s.recv(65536):
            data += part
    return data.decode()


@pytest.mark.parametrize("row", ["P13"])
def test_large_answer(row):
    with server(ALLOW) as w:
        with connect(w) as s:
            s.sendall(V1 + wire.framed(wire.query("huge.waypost.test", "TXT")))
            r = wire.read_message(s)
        assert len(r) > 50000 and not r[2] & 2


@pytest.mark.parametrize("row", ["P01-acl"])
def test_policy_uses_the_client(row):
    """An ACL acts on who asked, not on the proxy."""
    with server(ALLOW, "acl {\n block net 192.0.2.50/32\n}") as w:
        for header, rcode in ((V1, 5), (V1.replace(b".50", b".51"), 0)):
            with connect(w) as s:
                s.sendall(header + wire.framed(wire.A))
                assert wire.rcode(wire.read_message(s)) == rcode
