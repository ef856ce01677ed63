"""waypost query: a question over each transport, what is printed of the reply, and what is said when none comes. kdig
asks the same of the same server and must read the same."""
import json
import os
import re
import socket
import subprocess
import threading
from concurrent import futures

import dns.reversename
import grpc
import pki
import pytest
from server import WAYPOST, Waypost, free_port, own_address

TRANSPORTS = ["udp", "tcp", "dot", "doh", "grpc"]
KINDS = {
    "A": "192.0.2.1", "AAAA": "2001:db8::1", "CAA": '0 issue "ca.example"', "CNAME": "www.q.test.", "DNAME": "d.example.",
    "DS": "12345 8 2 0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF", "EUI48": "00-11-22-33-44-55",
    "HINFO": '"x86" "linux"', "HTTPS": '1 . alpn="h2,h3" port="8443" ipv4hint="192.0.2.1"',
    "LOC": "52 22 23.000 N 04 53 32.000 E -2m 0.00m 10000m 10m", "MX": "10 mx.q.test.",
    "NAPTR": '100 10 "u" "sip+E2U" "!^.*$!sip:i@example.com!" .', "PTR": "host.q.test.",
    "RP": "mail.q.test. txt.q.test.", "SPF": '"v=spf1 -all"', "SRV": "1 2 8080 svc.q.test.",
    "SSHFP": "1 1 0123456789ABCDEF0123456789ABCDEF01234567", "SVCB": '1 svc.q.test. alpn="h2" port="53"',
    "TLSA": "3 1 1 " + "0123456789abcdef" * 4, "TXT": '"one" "two \\"quoted\\""',
    "URI": '10 1 "https://example.com/"', "TYPE65280": "\\# 4 0A000001",
    "CERT": "PKIX 0 0 AQID", "AFSDB": "1 afs.q.test.", "OPENPGPKEY": "AQID",
    "CDS": "12345 8 2 0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF", "NID": "10 0014:4fff:ff20:ee64",
}
ZONE = """$ORIGIN q.test.
$TTL 300
@ SOA ns hostmaster 1 3600 600 86400 60
@ NS ns
ns A 192.0.2.53
www A 192.0.2.1
www A 192.0.2.2
alias CNAME www
big TXT %s
""" % " ".join('"%s"' % (chr(97 + i) * 250) for i in range(12)) + "".join(f"k-{k} {k} {v}\n" for k, v in KINDS.items())


@pytest.fixture(scope="module")
def server():
    cert, key = pki.cert("dns.q.test", san="DNS:dns.q.test,IP:127.0.0.1")
    tls = f"tls {cert} {key}"
    conf = "".join(f"{scheme}.:{{{port}}} {{\n{options}\n bind 127.0.0.1\n nsid gate-1\n file {{dir}}/db q.test\n"
                   " forward dead.test 127.0.0.1:{xdead}\n}\n"
                   for scheme, port, options in (("", "dns", ""), ("tls://", "tls", tls), ("https://", "https", tls),
                                                 ("grpc://", "grpc", tls), ("grpc://", "clear", "")))
    with Waypost(conf, files={"db": ZONE}, ports={"xdead": free_port()}) as w:
        yield w


def query(*args, env=None):
    """To its end: exit code, stdout, stderr."""
    p = subprocess.run([WAYPOST, "query", *args], text=True, capture_output=True, timeout=60, env={**os.environ, **(env or {})})
    return p.returncode, p.stdout, p.stderr


def at(w, transport):
    """The words that choose server and transport."""
    port = w.port[{"dot": "tls", "doh": "https", "grpc": "grpc"}.get(transport, "dns")]
    tls = [] if transport in ("udp", "tcp") else ["--ca", pki.ca(), "--tls-name", "dns.q.test"]
    return [f"@127.0.0.1:{port}", "--transport", transport, *tls]


def kdig(w, transport, name, rtype):
    """The data of the answers, as the other client reads them; what it cannot speak is asked for over UDP."""
    how = {"tcp": ["+tcp"], "dot": ["+tls"], "doh": ["+https"]}.get(transport, [])
    port = w.port[{"dot": "tls", "doh": "https"}.get(transport, "dns")]
    p = subprocess.run(["kdig", "@127.0.0.1", "-p", str(port), *how, "+short", name, rtype], text=True, capture_output=True, timeout=30)
    assert p.returncode == 0, p.stderr
    return p.stdout.split("\n")[1:-1] if p.stdout.startswith("\n") else p.stdout.splitlines()  # a line of nothing for a TC


# --- the transports ------------------------------------------------------------------------------

@pytest.mark.parametrize("transport", TRANSPORTS)
def test_same_as_kdig(server, transport):
    for name, rtype, n in (("www.q.test", "A", 2), ("alias.q.test", "A", 3), ("big.q.test", "TXT", 1), ("none.q.test", "A", 0)):
        code, out, err = query(name, rtype, "--short", *at(server, transport))
        assert (code, err) == (0, "") and sorted(out.splitlines()) == sorted(kdig(server, transport, name, rtype))
        assert len(out.splitlines()) == n


@pytest.mark.parametrize("transport, word", zip(TRANSPORTS, ["UDP", "TCP", "TLS", "HTTPS", "gRPC"]))
def test_text(server, transport, word):
    """As a user of dig knows it."""
    code, out, err = query("www.q.test", "--do", "--nsid", *at(server, transport))
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert re.match(r";; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: \d+$", lines[0])
    assert lines[1] == ";; flags: qr aa rd; QUERY: 1, ANSWER: 2, AUTHORITY: 1, ADDITIONAL: 1"
    assert "; EDNS: version: 0, flags: do; udp: 1232" in lines and '; NSID: 67 61 74 65 2d 31 ("gate-1")' in lines
    assert ";www.q.test.\t\t\tIN\tA" in lines
    assert {"www.q.test.\t\t300\tIN\tA\t192.0.2.1", "www.q.test.\t\t300\tIN\tA\t192.0.2.2", "q.test.\t\t\t300\tIN\tNS\tns.q.test."} <= set(lines)
    assert f";; SERVER: 127.0.0.1#{server.port[dict(dot='tls', doh='https', grpc='grpc').get(transport, 'dns')]}(127.0.0.1) ({word})" in lines
    assert re.search(r";; Query time: \d+ msec\n(.*\n)*;; MSG SIZE  rcvd: \d+\n$", out)


@pytest.mark.parametrize("url, port", [("dns", "dns"), ("tls", "tls"), ("https", "https"), ("grpc", "clear")])
def test_url(server, url, port):
    tls = [] if url in ("dns", "grpc") else ["--ca", pki.ca()]
    name = "%dns.q.test" if tls else ""
    for word in (f"@{url}://127.0.0.1{name}:{server.port[port]}", f"@{url}://localhost:{server.port[port]}"):
        insecure = ["--tls-name", "dns.q.test"] if tls and "localhost" in word else []
        assert query("www.q.test", "--short", word, *tls, *insecure)[0] == 0, word


def test_the_address_is_in_the_certificate(server):
    assert query("www.q.test", "--short", f"@tls://127.0.0.1:{server.port['tls']}", "--ca", pki.ca())[0] == 0


def test_doh_path_and_get(server):
    where = at(server, "doh")
    assert query("www.q.test", "--short", "--get", *where)[1].split() == ["192.0.2.1", "192.0.2.2"]
    assert query("www.q.test", "--short", "--path", "/dns-query", *where)[0] == 0
    for path in (["--path", "/other"], []):
        url = [f"@https://127.0.0.1:{server.port['https']}{'' if path else '/other'}", "--ca", pki.ca(), *path]
        code, out, err = query("www.q.test", *url)
        assert (code, out) == (9, "") and "unexpected HTTP status 404" in err


# --- replies -------------------------------------------------------------------------------------

def test_truncated(server):
    """Over TCP then, unless told otherwise; the flag is shown."""
    code, out, err = query("big.q.test", "TXT", *at(server, "udp"))
    assert code == 0 and out.startswith(";; Truncated, retrying in TCP mode.\n;; ->>") and "(TCP)" in out and "ANSWER: 1" in out
    code, out, err = query("big.q.test", "TXT", "--ignore-tc", *at(server, "udp"))
    assert code == 0 and "flags: qr aa tc rd;" in out and "(UDP)" in out and "ANSWER SECTION" not in out


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_status(server, transport):
    """A reply is a reply, whatever it says."""
    code, out, err = query("none.q.test", *at(server, transport))
    assert (code, err) == (0, "") and "status: NXDOMAIN" in out and "AUTHORITY SECTION" in out
    code, out, err = query("x.dead.test", *at(server, transport))
    assert (code, err) == (0, "") and "status: SERVFAIL" in out and re.search(r"^; EDE: 2[23] \(", out, re.M), out


def test_flags_and_options(server):
    """What is sent is what was asked for."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 0))
    s.settimeout(10)
    got = []

    def answer():
        for _ in range(3):
            msg, who = s.recvfrom(4096)
            got.append(msg)
            s.sendto(msg[:2] + bytes([msg[2] | 0x80, 0]) + msg[4:], who)

    thread = threading.Thread(target=answer)
    thread.start()
    where = [f"@127.0.0.1:{s.getsockname()[1]}"]
    query("a.test", "TXT", "CH", "--no-rd", "--ad", "--cd", "--bufsize", "0", *where)
    query("-x", "2001:db8::1", *where)
    code, out, err = query("a.test", "--do", "--nsid", "--cookie", "--ecs", "192.0.2.77/20", "--bufsize", "4000", *where)
    thread.join()
    s.close()
    assert got[0][2:] == bytes.fromhex("0030 0001 0000 0000 0000 01 61 04 74657374 00 0010 0003")
    assert got[1][12:].startswith(dns.reversename.from_address("2001:db8::1").to_wire() + b"\0\x0c\0\1")
    opt = got[2][12 + 8 + 4:]
    assert opt[:11] == bytes.fromhex("00 0029 0fa0 00008000") + len(opt[11:]).to_bytes(2, "big")
    assert bytes.fromhex("00030000") in opt and bytes.fromhex("0008 0007 0001 14 00 c00000") in opt and bytes.fromhex("000a0008") in opt
    assert code == 0 and "; CLIENT-SUBNET: 192.0.0.0/20/0" in out and "; COOKIE: " in out


@pytest.mark.parametrize("kind", KINDS)
def test_kind(server, kind):
    code, out, err = query(f"k-{kind}.q.test", kind, "--json", *at(server, "udp"))
    assert code == 0, err
    answers = [a for a in json.loads(out)["responseMessage"]["answerRRs"] if a["TYPEname"] == kind]
    assert [a["rdata" + kind] for a in answers] == [KINDS[kind]]
    assert len(answers[0]["RDATAHEX"]) == 2 * answers[0]["RDLENGTH"]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_json(server, transport):
    """Every member that RFC 8427 has for a message; the octets say the same."""
    code, out, err = query("alias.q.test", "--do", "--nsid", "--json", *at(server, transport))
    assert (code, err) == (0, "")
    whole = json.loads(out)
    m = whole["responseMessage"]
    octets = bytes.fromhex(m["messageOctetsHEX"])
    assert len(octets) == whole["size"] and whole["timeMs"] > 0 and whole["cut"] is False
    assert {k: m[k] for k in ("QR", "Opcode", "AA", "TC", "RD", "RA", "AD", "CD", "RCODE", "QDCOUNT", "ANCOUNT", "NSCOUNT", "ARCOUNT")} == {
        "QR": 1, "Opcode": 0, "AA": 1, "TC": 0, "RD": 1, "RA": 0, "AD": 0, "CD": 0, "RCODE": 0, "QDCOUNT": 1, "ANCOUNT": 3, "NSCOUNT": 1,
        "ARCOUNT": 1}
    assert m["ID"] == int.from_bytes(octets[:2], "big") and m["RCODEname"] == "NOERROR"
    assert (m["QNAME"], m["QTYPE"], m["QTYPEname"], m["QCLASS"], m["QCLASSname"]) == ("alias.q.test.", 1, "A", 1, "IN")
    alias = m["answerRRs"][0]
    assert alias == {"NAME": "alias.q.test.", "TYPE": 5, "TYPEname": "CNAME", "CLASS": 1, "CLASSname": "IN", "TTL": 300,
                     "RDLENGTH": 12, "RDATAHEX": "037777770171047465737400", "rdataCNAME": "www.q.test."}
    assert sorted(a["rdataA"] for a in m["answerRRs"][1:]) == ["192.0.2.1", "192.0.2.2"]
    assert [a["rdataNS"] for a in m["authorityRRs"]] == ["ns.q.test."] and m["additionalRRs"] == []
    assert (m["EDNS"]["version"], m["EDNS"]["DO"]) == (0, 1)
    assert {"code": 3, "name": "NSID", "dataHEX": "676174652D31", "text": '67 61 74 65 2d 31 ("gate-1")'} in m["EDNS"]["options"]


# --- no reply ------------------------------------------------------------------------------------

class Odd:
    """A UDP server whose answer to everything is made by a function."""

    def __init__(self, answer):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((own_address(52), 0))
        self.answer = answer
        self.word = "@%s:%d" % self.socket.getsockname()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                msg, who = self.socket.recvfrom(4096)
            except OSError:
                return
            for reply in self.answer(msg):
                self.socket.sendto(reply, who)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.socket.close()


def reply_to(msg, question=None):
    return msg[:2] + b"\x81\x80\0\1\0\0\0\0\0\0" + (question or msg[12:12 + 8 + 4])


@pytest.mark.parametrize("answer", [
    lambda m: [],
    lambda m: [bytes([m[0] ^ 1]) + reply_to(m)[1:]],
    lambda m: [m],
    lambda m: [m[:5]],
], ids=["silence", "other-id", "echo", "short"])
def test_what_is_not_the_reply_is_not_taken(answer):
    with Odd(answer) as odd:
        code, out, err = query("a.test", odd.word, "--timeout", "300ms")
        assert (code, out) == (9, "") and odd.word[1:] in err and "over UDP: " in err and "i/o timeout" in err


def test_the_reply_behind_a_forged_one(server):
    with Odd(lambda m: [bytes([m[0] ^ 1]) + reply_to(m)[1:], reply_to(m)]) as odd:
        assert query("a.test", odd.word)[0] == 0


def test_record_that_is_spoilt(server):
    """An A of three octets is shown as it came; a message that ends early is not an answer."""
    with Odd(lambda m: [m[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + m[12:24] + b"\xc0\x0c\0\1\0\1\0\0\0\5\0\3abc"]) as odd:
        code, out, err = query("a.test", odd.word)
        assert code == 0 and "a.test.\t\t\t5\tIN\tA\t\\# 3 616263" in out
        code, out, err = query("a.test", odd.word, "--json")
        assert "rdataA" not in json.loads(out)["responseMessage"]["answerRRs"][0]


class Service:
    """A gRPC server that answers with what it is told, framed by grpcio."""

    def __init__(self, answer):
        method = grpc.unary_unary_rpc_method_handler(answer)  # octets in, octets out
        self.server = grpc.server(futures.ThreadPoolExecutor(2))
        self.server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("coredns.dns.DnsService", {"Query": method})])
        self.word = f"@127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.server.stop(0).wait()


def packet(msg):
    """A DnsPacket."""
    n, length = len(msg), b""
    while n > 0x7f:
        length, n = length + bytes([n & 0x7f | 0x80]), n >> 7
    return b"\x0a" + length + bytes([n]) + msg


def unavailable(_, context):
    context.abort(grpc.StatusCode.UNAVAILABLE, "not today")


def of_packet(request):
    return request[2:] if request[1] < 0x80 else request[3:]


@pytest.mark.parametrize("answer, said", [
    (unavailable, "gRPC status 14"),
    (lambda q, c: b"", "what came back is no DNS reply"),
    (lambda q, c: b"\x0a\xff", "what came back is no DNS reply"),
    (lambda q, c: b"\x08\x01", "what came back is no DNS reply"),
    (lambda q, c: packet(b"short"), "what came back is no DNS reply"),
    (lambda q, c: packet(of_packet(q)), "what came back is no DNS reply"),  # a question
    (lambda q, c: packet(reply_to(of_packet(q), b"\1b\4test\0\0\1\0\1")), "the reply is to another question"),
    (lambda q, c: b"x" * 70000, "over gRPC: "),
], ids=["status", "empty", "cut", "other-field", "short", "question", "another", "large"])
def test_grpc_that_is_no_reply(answer, said):
    with Service(answer) as s:
        code, out, err = query("a.test", s.word, "--transport", "grpc")
        assert (code, out) == (9, "") and said in err, err


def test_grpc_of_another_make():
    """grpcio frames as it likes; a message of 60 kB comes whole."""
    def answer(q, _):
        records = b"".join(b"\xc0\x0c\0\x10\0\1\0\0\0\5\x01\0\xff" + bytes([97 + i % 26]) * 255 for i in range(220))
        return packet(of_packet(q)[:2] + b"\x81\x80\0\1" + (220).to_bytes(2, "big") + b"\0\0\0\0" + of_packet(q)[12:24] + records)

    with Service(answer) as s:
        code, out, err = query("a.test", "TXT", s.word, "--transport", "grpc", "--short")
        assert (code, err) == (0, "") and len(out.splitlines()) == 220 and out.startswith('"' + "a" * 255 + '"')


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_refused(transport):
    """Nobody listens; whom was asked, and how, is told."""
    code, out, err = query("a.test", f"@127.0.0.1:{free_port()}", "--transport", transport, "--timeout", "5s")
    assert (code, out) == (9, "") and "connection refused" in err and "waypost query: 127.0.0.1:" in err


@pytest.mark.parametrize("transport", TRANSPORTS[1:])
def test_timeout(transport):
    with socket.create_server(("127.0.0.1", 0)) as s:
        code, out, err = query("a.test", "@127.0.0.1:%d" % s.getsockname()[1], "--transport", transport, "--timeout", "200ms")
    assert (code, out) == (9, "") and "i/o timeout" in err


@pytest.mark.parametrize("transport", TRANSPORTS[2:])
def test_certificate(server, transport):
    where = at(server, transport)[:3]
    for options, why in ((["--tls"] if transport == "grpc" else [], "signed by an unknown authority (as 127.0.0.1)"),
                         (["--ca", pki.ca("other")], "signed by an unknown authority (as 127.0.0.1)"),
                         (["--ca", pki.ca(), "--tls-name", "wrong.test"], "certificate is for another name (as wrong.test)")):
        code, out, err = query("www.q.test", *where, *options)
        assert (code, out) == (9, "") and "tls: " in err and why in err, err
    assert query("www.q.test", *where, "--insecure")[0] == 0


# --- words ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("args, said", [
    ([], "what is asked?"),
    (["a..b"], "a..b: not a domain name"),
    (["x" * 64], "not a domain name"),
    (["a.test", "AA"], "AA: no such type"),
    (["a.test", "TYPE65536"], "TYPE65536: no such type"),
    (["a.test", "AXFR"], "a transfer is more than a question"),
    (["a.test", "A", "XX"], "XX: no such class"),
    (["a.test", "A", "IN", "more"], "more: one word too many"),
    (["-x", "1.2.3"], "-x 1.2.3: not an address"),
    (["-x", "192.0.2.1", "A"], "A: one word too many"),
    (["a.test", "@"], "not a server"),
    (["a.test", "@127.0.0.1:0"], "not a server"),
    (["a.test", "@127.0.0.1:x"], "not a server"),
    (["a.test", "@127.0.0.1", "@127.0.0.2"], "one server is asked"),
    (["a.test", "@no-such-host.invalid"], "@no-such-host.invalid: "),
    (["a.test", "@quic://127.0.0.1"], "dns://, tls://, https:// or grpc://"),
    (["a.test", "@tls://127.0.0.1", "--transport", "udp"], "One of them is wrong"),
    (["a.test", "@127.0.0.1/dns"], "a path is for https"),
    (["a.test", "--transport", "smoke"], "udp, tcp, dot, doh or grpc"),
    (["a.test", "--ca", "x"], "certificates are for dot, doh and grpc"),
    (["a.test", "--get"], "are for doh"),
    (["a.test", "--transport", "doh", "--path", "x"], "--path x: not a path"),
    (["a.test", "--transport", "dot", "--ca", "/nonexistent"], "/nonexistent: no such file"),
    (["a.test", "--transport", "dot", "--cert", "x"], "--cert and --key belong together"),
    (["a.test", "--ecs", "x/8"], "--ecs x/8: ADDRESS/LENGTH"),
    (["a.test", "--bufsize", "0", "--do"], "leaves EDNS out"),
    (["a.test", "--bufsize", "65536"], "must be within 0..65535"),
    (["a.test", "--timeout", "0"], "must be within"),
])
def test_usage(args, said):
    code, out, err = query(*args)
    assert (code, out) == (1, "") and said in err, err


def test_help():
    p = subprocess.run([WAYPOST, "help", "query"], text=True, capture_output=True)
    assert p.returncode == 0 and p.stdout.startswith("Usage: waypost query [OPTIONS] NAME [TYPE [CLASS]] [@SERVER]")
