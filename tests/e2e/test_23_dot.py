"""TLS and DoT: the transports table 17.3, row by row, with each TLS library. Rows left out, with the unit test that
stands for them where there is one: S19 (keys rotate every 12 hours) and S20: tests/unit/tls/test_tls.c."""
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import time

import fixture
import pki
import pytest
import wire
from server import Process, Waypost, wait_for

pytestmark = pytest.mark.usefixtures("provider")
FILES = fixture.FILES
WWW = {"www.waypost.test. A 192.0.2.1"}


def corefile(tls, zone="waypost.test", options=""):
    return f"tls://{zone}:{{tls}} {{\n {tls}\n {options}\n file {{dir}}/db.waypost.test waypost.test\n}}\n"


def tls_line(cert, key, ca=None, mode=None):
    return f"tls {cert} {key} {ca or ''}" + (f" {{\n client_auth {mode}\n }}" if mode else "")


@pytest.fixture(scope="module")
def w(provider):
    with Waypost(corefile(tls_line(*pki.cert("ns.waypost.test"))), files=FILES) as server:
        yield server


def context(alpn=None, version=None, ciphers=None, cert=None, lowest=None):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    if lowest:
        c.minimum_version = lowest
    if version:
        c.maximum_version = version
    if ciphers:
        c.set_ciphers(ciphers)
    if alpn:
        c.set_alpn_protocols(alpn)
    if cert:
        c.load_cert_chain(*cert)
    return c


def connect(server, ctx=None, sni=None, session=None, timeout=4.0):
    raw = socket.create_connection(("127.0.0.1", server.port["tls"]), timeout)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return (ctx or context()).wrap_socket(raw, server_hostname=sni, session=session)


def ask(s, msg=wire.A):
    s.sendall(wire.framed(msg))
    return wire.read_message(s)


def answered(server, ctx=None, sni=None):
    """True: the canonical answer came. False: the server refused, at whatever point."""
    try:
        with connect(server, ctx, sni) as s:
            r = ask(s)
            return r is not None and wire.sections(r)[0] == WWW
    except (ssl.SSLError, ConnectionError):
        return False


def alert(server, ctx):
    """The alert that refused us, as OpenSSL names it."""
    with pytest.raises((ssl.SSLError, ConnectionError)) as e:
        with connect(server, ctx) as s:
            assert ask(s) is None, "answered"
            raise ConnectionError("closed")
    return (getattr(e.value, "reason", None) or str(e.value)).upper().replace(" ", "_")


def test_library(w, provider):
    """The library that was asked for is the one that serves, and nobody pays for another."""
    with open(f"/proc/{w.pid}/maps") as f:
        assert ("libwolfssl" in f.read()) == (provider == "wolfssl")


# --- versions, suites, ALPN -------------------------------------------------------------------------------------

HELLOS = [
    ("S01", dict(alpn=["dot"]), "TLSv1.3", "dot"),
    ("S02", dict(version=ssl.TLSVersion.TLSv1_2, ciphers="ECDHE-ECDSA-AES128-GCM-SHA256"), "TLSv1.2", None),
    ("S05", dict(), "TLSv1.3", None),
    ("S07", dict(alpn=["h2", "dot"]), "TLSv1.3", "dot"),
]


@pytest.mark.parametrize("how, version, alpn", [pytest.param(*r[1:], id=r[0]) for r in HELLOS])
def test_served(w, how, version, alpn):
    with connect(w, context(**how)) as s:
        assert s.version() == version and s.selected_alpn_protocol() == alpn
        assert wire.sections(ask(s))[0] == WWW


OLD = dict(ciphers="ALL:@SECLEVEL=0")
REFUSED = [
    ("S03-1.0", dict(lowest=ssl.TLSVersion.TLSv1, version=ssl.TLSVersion.TLSv1, **OLD), "PROTOCOL_VERSION"),
    ("S03-1.1", dict(lowest=ssl.TLSVersion.TLSv1_1, version=ssl.TLSVersion.TLSv1_1, **OLD), "PROTOCOL_VERSION"),
    ("S04-cbc", dict(version=ssl.TLSVersion.TLSv1_2, ciphers="ECDHE-ECDSA-AES128-SHA"), "HANDSHAKE_FAILURE"),
    ("S04-rsa", dict(version=ssl.TLSVersion.TLSv1_2, ciphers="AES128-GCM-SHA256"), "HANDSHAKE_FAILURE"),
    ("S06", dict(alpn=["h2"]), "NO_APPLICATION_PROTOCOL"),
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("how, why", [pytest.param(*r[1:], id=r[0]) for r in REFUSED])
def test_refused(w, how, why):
    assert why in alert(w, context(**how))


@pytest.mark.parametrize("row, sni", [("S09", "unknown.example"), ("S10", None)])
def test_default_certificate(w, row, sni):
    with connect(w, sni=sni) as s:
        assert b"ns.waypost.test" in s.getpeercert(binary_form=True)
        assert wire.sections(ask(s))[0] == WWW


# --- several certificates ---------------------------------------------------------------------------------------

FIRST, RSA, SECOND, WILD = "ns.waypost.test", "rsa/ns.waypost.test", "second.example", "*.wild.example"


def with_more(*options):
    """The first one has a P-256 key; its name has one with an RSA key as well."""
    files = [pki.cert(SECOND), pki.cert(FIRST, rsa=True), pki.cert(WILD)]
    return "tls %s %s {\n%s\n}" % (*pki.cert(FIRST), "\n".join([f"certificate {c} {k}" for c, k in files] + list(options)))


@pytest.fixture(scope="module")
def several(provider):
    """Default and strict."""
    with Waypost(corefile(with_more()), files=FILES) as one, Waypost(corefile(with_more("strict_sni")), files=FILES) as two:
        yield {"default": one, "strict": two}


def shown(server, sni=None, **how):
    """Subject and kind of key of the certificate that a client is shown, by openssl(1): python cannot limit what it verifies."""
    args = ["openssl", "s_client", "-connect", "127.0.0.1:%d" % server.port["tls"], "-showcerts", "-tlsextdebug"]
    args += ["-servername", sni] if sni else ["-noservername"]
    for name, value in how.items():
        args += ["-" + name] + ([value] if value else [])
    out = subprocess.run(args, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    text = out.stdout + out.stderr
    if "BEGIN CERTIFICATE" not in text:
        return "alert 112" if "unrecognized name" in text.lower() or "alert number 112" in text else text
    name = text.split("subject=CN = ")[1].split("\n")[0]
    return ("rsa/" if "Server public key is 2048 bit" in text else "") + name


CHOICES = [
    ("S08", "default", SECOND, {}, SECOND), ("S08-case", "default", "SECOND.Example", {}, SECOND),
    ("S08-strict", "strict", SECOND, {}, SECOND), ("S08-tls12", "default", SECOND, {"tls1_2": None}, SECOND),
    ("S08-wildcard", "default", "a.wild.example", {}, WILD), ("S08-first", "default", FIRST, {}, FIRST),
    ("S09-two-labels", "default", "a.b.wild.example", {}, FIRST), ("S09-bare", "strict", "wild.example", {}, "alert 112"),
    ("S09", "default", "unknown.example", {}, FIRST), ("S09-strict", "strict", "unknown.example", {}, "alert 112"),
    ("S09-strict-tls12", "strict", "unknown.example", {"tls1_2": None}, "alert 112"),
    ("S10-several", "default", None, {}, FIRST), ("S10-strict", "strict", None, {}, FIRST),
    ("S11", "default", FIRST, {"sigalgs": "RSA-PSS+SHA256:RSA+SHA256"}, RSA),
    ("S11-no-name", "default", None, {"sigalgs": "RSA-PSS+SHA256"}, RSA),
    ("S11-tls12", "default", FIRST, {"tls1_2": None, "sigalgs": "RSA+SHA256"}, RSA),
    ("S11-ecdsa", "strict", FIRST, {"sigalgs": "ECDSA+SHA256"}, FIRST),
]


@pytest.mark.parametrize("mode, sni, how, want", [pytest.param(*r[1:], id=r[0]) for r in CHOICES])
def test_choice(several, mode, sni, how, want):
    assert shown(several[mode], sni, **how) == want


@pytest.mark.parametrize("row, sni", [("S08-answer", SECOND), ("S08-answer-wild", "x.wild.example")])
def test_answer_under_another_certificate(several, row, sni):
    ctx = context()
    with connect(several["strict"], ctx, sni=sni) as s:
        assert wire.sections(ask(s))[0] == WWW
        session = s.session
    with connect(several["strict"], ctx, sni=sni, session=session) as s:
        assert s.session_reused and wire.sections(ask(s))[0] == WWW


MORE_BAD = [
    ("argument", "certificate x.pem", "Wrong argument count or unexpected line ending after 'x.pem'"),
    ("strict", "strict_sni yes", "Wrong argument count or unexpected line ending after 'yes'"),
    ("ocsp", "ocsp", "Wrong argument count or unexpected line ending after 'ocsp'"),
    ("file", "certificate /none.pem /none.key", "could not load TLS cert: open /none.pem: no such file or directory"),
    ("keys", "ticket_keys /none.keys", "could not load ticket keys: open /none.keys: no such file or directory"),
    ("no keys", "ticket_keys /dev/null", "could not load ticket keys: /dev/null: not one to 8 keys of 80 octets"),
    ("response", "ocsp /none.der", "could not load OCSP response: open /none.der: no such file or directory"),
]


@pytest.mark.parametrize("what, option, why", MORE_BAD, ids=[b[0] for b in MORE_BAD])
def test_bad_option(what, option, why):
    assert why in starts(corefile(with_more(option)))


def test_too_many():
    assert "more than 16 certificates" in starts(corefile(with_more(*["certificate %s %s" % pki.cert(SECOND)] * 13)))


@pytest.mark.parametrize("row", ["S43-more"])
def test_blocks_say_the_same(row):
    assert "server certificates differ" in starts(corefile(with_more()) + corefile(tls_line(*pki.cert(FIRST)), zone="other.test"))
    assert "server name policies differ" in starts(corefile(with_more()) + corefile(with_more("strict_sni"), zone="other.test"))


def staple(server):
    out = subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % server.port["tls"], "-status"],
                         stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20).stdout
    return "OCSP Response Status: successful" in out


# one that is out of date: tests/unit/tls/test_tls_context.c
STAPLES = [("S41", FIRST, None), ("S41-foreign", SECOND, "the OCSP response is for another certificate")]


@pytest.mark.parametrize("row, name, warning", STAPLES, ids=[r[0] for r in STAPLES])
def test_ocsp(row, name, warning, provider):
    """Debian's wolfSSL cannot, and says so at the start."""
    line = "tls %s %s {\nocsp {dir}/ocsp.der\n}" % pki.cert(FIRST)
    files = {**FILES, "ocsp.der": pki.ocsp(name)}
    if provider == "wolfssl":
        assert "use provider openssl, or no ocsp" in starts(corefile(line), files)
        return
    with Waypost(corefile(line), files=files) as server:
        assert staple(server) == (warning is None)
        assert answered(server)
        if warning:
            server.says(f"[WARNING] plugin/tls: tls://:{server.port['tls']}: {warning}: nothing is stapled")
        else:
            assert "[WARNING]" not in server.output()
            with open(server.path("ocsp.der"), "wb") as f:
                f.write(b"rubbish")
            server.kill(signal.SIGUSR1)
            wait_for(lambda: "the OCSP response cannot be read: nothing is stapled" in server.output())
            assert not staple(server) and answered(server)


@pytest.mark.parametrize("row, data", [("S12", wire.framed(wire.A)), ("S13", b"GET / HTTP/1.0\r\n\r\n")])
def test_not_tls(w, row, data):
    with socket.create_connection(("127.0.0.1", w.port["tls"]), 3) as s:
        s.sendall(data)
        got = b""
        while part := s.recv(4096):
            got += part
        assert got == b"" or got[0] == 21  # an alert


@pytest.mark.timing
@pytest.mark.parametrize("row", ["S15"])
def test_silent(w, row):
    with socket.create_connection(("127.0.0.1", w.port["tls"]), 8) as s:
        t0 = time.monotonic()
        assert s.recv(1) == b""
        assert 2 < time.monotonic() - t0 <= 6


@pytest.mark.parametrize("row", ["S16"])
def test_hello_in_many_records(w, row):
    ctx, out, inn = context(), ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ctx.wrap_bio(inn, out)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    hello = out.read()
    body, step = hello[5:], len(hello) // 10 + 1
    with socket.create_connection(("127.0.0.1", w.port["tls"]), 3) as s:
        for i in range(0, len(body), step):
            part = body[i:i + step]
            s.sendall(hello[:3] + struct.pack(">H", len(part)) + part)
            time.sleep(0.002)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                s.sendall(out.read())
                inn.write(s.recv(65536))
        tls.write(wire.framed(wire.A))
        s.sendall(out.read())
        data = b""
        while len(data) < 40:
            try:
                data += tls.read(4096)
            except ssl.SSLWantReadError:
                inn.write(s.recv(65536))
        assert wire.sections(data[2:])[0] == WWW


@pytest.mark.parametrize("row", ["S18"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_resumed(w, version, row):
    ctx = context(version=version)
    with connect(w, ctx) as s:
        ask(s)
        session = s.session
    for _ in range(3):
        with connect(w, ctx, session=session) as s:
            assert s.session_reused
            assert wire.sections(ask(s))[0] == WWW
            session = s.session


@pytest.mark.parametrize("row", ["S17"])
def test_renegotiation(w, row, provider):
    """python's ssl cannot ask for it; openssl(1) does on a line "R". wolfSSL ends the connection."""
    refusal = {"openssl": ":no renegotiation:", "wolfssl": "SSL alert number 10"}[provider]
    argv = ["openssl", "s_client", "-tls1_2", "-connect", f"127.0.0.1:{w.port['tls']}"]
    with Process(argv, stdin=subprocess.PIPE) as p:
        wait_for(lambda: "Verify return code" in p.output())
        p.proc.stdin.write(b"R\n")
        p.proc.stdin.flush()
        wait_for(lambda: not p.alive())
        p.proc.stdin.close()
        assert "RENEGOTIATING" in p.output() and refusal in p.output()
    assert answered(w)


@pytest.mark.parametrize("row", ["S19-file"])
def test_resumed_at_another_server(row, tmp_path):
    """Two processes with the same keys; the second already has a newer one in front."""
    (tmp_path / "one").write_bytes(bytes(range(80)))
    (tmp_path / "two").write_bytes(bytes(range(80, 160)) + bytes(range(80)))
    text = corefile("tls %s %s {\n ticket_keys %s\n }" % (*pki.cert("ns.waypost.test"), "%s"))
    with Waypost(text % (tmp_path / "one"), files=FILES) as one, Waypost(text % (tmp_path / "two"), files=FILES) as two:
        ctx = context()
        with connect(one, ctx) as s:
            ask(s)
            session = s.session
        with connect(two, ctx, session=session) as s:
            assert s.session_reused and wire.sections(ask(s))[0] == WWW
            session = s.session
        with connect(one, ctx, session=session) as s:
            assert not s.session_reused and wire.sections(ask(s))[0] == WWW


@pytest.mark.parametrize("row", ["S21"])
def test_no_compression(w, row):
    with connect(w) as s:
        assert s.compression() is None


@pytest.mark.parametrize("row", ["S22"])
def test_three_in_a_record(w, row):
    with connect(w) as s:
        s.sendall(b"".join(wire.framed(wire.with_id(wire.A, i)) for i in (1, 2, 3)))
        assert {struct.unpack(">H", wire.read_message(s)[:2])[0] for _ in range(3)} == {1, 2, 3}


# --- padding ----------------------------------------------------------------------------------------------------

def padding(reply):
    return [o for o in wire.parse(reply).options if o.otype == 12]


@pytest.mark.parametrize("row, name", [("S23", "www"), ("S23-large", "big")])
def test_padded(w, row, name):
    with connect(w) as s:
        qtype = "A" if name == "www" else "TXT"
        r = ask(s, wire.query(name + ".waypost.test", qtype, extra=wire.opt(options=wire.option(12))))
        assert len(r) % 468 == 0
        pad = padding(r)
        assert len(pad) == 1 and set(pad[0].data) <= {0}


@pytest.mark.parametrize("row", ["S24"])
def test_opt_without_padding(w, row):
    with connect(w) as s:
        r = ask(s, wire.A_OPT)
        assert wire.parse(r).edns == 0 and not padding(r) and len(r) < 200


@pytest.mark.parametrize("row", ["S25"])
def test_no_opt(w, row):
    with connect(w) as s:
        r = ask(s)
        assert wire.parse(r).edns == -1 and len(r) < 200


@pytest.mark.parametrize("row", ["S26"])
def test_fin_without_close_notify(w, row):
    s = connect(w)
    s.sendall(wire.framed(wire.A))
    assert wire.sections(wire.read_message(s))[0] == WWW
    raw = socket.socket(fileno=s.detach())
    raw.shutdown(socket.SHUT_WR)
    raw.settimeout(2)
    while raw.recv(4096):
        pass
    raw.close()
    assert answered(w)
    assert "[ERROR]" not in w.output()


@pytest.mark.parametrize("row", ["S46"])
def test_update_not_enabled(w, row):
    with connect(w) as s:
        assert wire.rcode(ask(s, wire.query("www.waypost.test", flags=5 << 11))) == 4


# --- certificates that change -----------------------------------------------------------------------------------

def serial(server):
    with connect(server) as s:
        der = s.getpeercert(binary_form=True)
    return "two.waypost.test" if b"two.waypost.test" in der else "one.waypost.test"


@pytest.fixture
def changing():
    (c1, k1), _ = pki.cert("one.waypost.test"), pki.cert("two.waypost.test")
    files = {**FILES, "live.pem": open(c1).read(), "live.key": open(k1).read()}
    with Waypost(corefile(tls_line("{dir}/live.pem", "{dir}/live.key")), files=files) as server:
        yield server


def put(server, name):
    cert, key = pki.cert(name) if name else (None, None)
    for live, new in (("live.key", key), ("live.pem", cert)):
        if new:
            shutil.copy(new, server.path(live))
        else:
            with open(server.path(live), "w") as f:
                f.write("rubbish\n")


# without being told: test_27_tls_reload.py
@pytest.mark.parametrize("row", ["S27"])
def test_new_certificate(changing, row):
    with connect(changing) as old:
        assert wire.sections(ask(old))[0] == WWW
        assert serial(changing) == "one.waypost.test"
        put(changing, "two.waypost.test")
        changing.kill(signal.SIGUSR1)
        wait_for(lambda: serial(changing) == "two.waypost.test")
        assert wire.sections(ask(old))[0] == WWW


@pytest.mark.parametrize("row", ["S28"])
def test_rubbish_certificate(changing, row):
    put(changing, None)
    changing.kill(signal.SIGUSR1)
    wait_for(lambda: "[ERROR]" in changing.output())
    changing.says("failed to find any PEM data")
    assert serial(changing) == "one.waypost.test"
    assert answered(changing)


# --- client certificates ----------------------------------------------------------------------------------------

GOOD = lambda: pki.cert("good.client", usage="clientAuth")
STRANGER = lambda: pki.cert("stranger.client", issuer="otherca", usage="clientAuth")
EXPIRED = lambda: pki.cert("expired.client", usage="clientAuth", days=-1)
SERVER = lambda: pki.cert("server.usage", usage="serverAuth")
NONE = lambda: None

MODES = [
    ("S29", "nocert", NONE, True), ("S29-with-one", "nocert", STRANGER, True),
    ("S30", "request", NONE, True), ("S31", "request", STRANGER, True), ("S31-expired", "request", EXPIRED, True),
    ("S32", "require", NONE, False), ("S33", "require", STRANGER, True), ("S33-expired", "require", EXPIRED, True),
    ("S34", "verify_if_given", NONE, True), ("S35", "verify_if_given", STRANGER, False),
    ("S35-good", "verify_if_given", GOOD, True),
    ("S36", "require_and_verify", NONE, False),
    ("S37-expired", "require_and_verify", EXPIRED, False), ("S37-usage", "require_and_verify", SERVER, False),
    ("S37-unknown", "require_and_verify", STRANGER, False),
    ("S38", "require_and_verify", GOOD, True),
]


@pytest.fixture(scope="module")
def by_mode(provider):
    servers = {}

    def get(mode):
        if mode not in servers:
            line = tls_line(*pki.cert("ns.waypost.test"), pki.ca(), mode)
            servers[mode] = Waypost(corefile(line), files=FILES)
        return servers[mode]
    yield get
    for s in servers.values():
        s.__exit__(None, None, None)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["v12", "v13"])
@pytest.mark.parametrize("mode, who, served", [pytest.param(*r[1:], id=r[0]) for r in MODES])
def test_client_auth(by_mode, mode, who, served, version):
    assert answered(by_mode(mode), context(version=version, cert=who())) == served


@pytest.mark.parametrize("mode, who, want", [
    pytest.param("require_and_verify", GOOD, "good.client true", id="S38-identity"),
    pytest.param("require", STRANGER, "stranger.client false", id="S33-identity"),
    pytest.param("nocert", NONE, "- -", id="S29-identity"),
])
def test_identity_is_logged(mode, who, want):
    line = tls_line(*pki.cert("ns.waypost.test"), pki.ca(), mode)
    files = {**FILES, "log.conf": 'log . "SAW {/tls/server_name} {/tls/client} {/tls/verified}"\n'}
    with Waypost(corefile(line, options="metadata\n import {dir}/log.conf"), files=files) as w:
        assert answered(w, context(cert=who()), "ns.waypost.test")
        wait_for(lambda: f"SAW ns.waypost.test {want}" in w.output(), 5)


@pytest.mark.parametrize("row", ["S38-names"])
def test_all_of_the_identity(row):
    cert, key = pki.cert("names.client", usage="clientAuth", san="DNS:n.example,URI:spiffe://a.example/b?c,email:d@e.example")
    spki = subprocess.run(f"openssl x509 -in {cert} -noout -pubkey | openssl pkey -pubin -outform DER | openssl sha256 -r",
                          shell=True, check=True, capture_output=True, text=True).stdout.split()[0]
    line = tls_line(*pki.cert("ns.waypost.test"), pki.ca(), "require_and_verify")
    files = {**FILES, "log.conf": 'log . "SAW {/tls/client_san} {/tls/client_issuer} {/tls/client_key}"\n'}
    with Waypost(corefile(line, options="metadata\n import {dir}/log.conf"), files=files) as w:
        assert answered(w, context(cert=(cert, key)))
        wait_for(lambda: f"SAW DNS:n.example,URI:spiffe://a.example/b?c,email:d@e.example CN=ca {spki}" in w.output(), 5)


ALERTS = [
    ("S32", "require", NONE, ("CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE", "BAD_CERTIFICATE")),
    ("S35", "verify_if_given", STRANGER, ("UNKNOWN_CA", "BAD_CERTIFICATE")),
    ("S36", "require_and_verify", NONE, ("CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE", "BAD_CERTIFICATE")),
    ("S37-expired", "require_and_verify", EXPIRED, ("CERTIFICATE_EXPIRED", "BAD_CERTIFICATE")),
    ("S37-usage", "require_and_verify", SERVER, ("BAD_CERTIFICATE", "UNSUPPORTED_CERTIFICATE")),
]


@pytest.mark.parametrize("mode, who, why", [pytest.param(*r[1:], id=r[0]) for r in ALERTS])
def test_client_auth_alert(by_mode, mode, who, why):
    got = alert(by_mode(mode), context(cert=who()))
    assert any(a in got for a in why), got


@pytest.mark.parametrize("row", ["S42"])
def test_resumption_after_ca_change(row, provider):
    """wolfSSL forgets a certificate with the session: it gives no ticket to who showed one."""
    good = GOOD()
    with open(pki.ca()) as f:
        files = {**FILES, "clients.pem": f.read()}
    line = tls_line(*pki.cert("ns.waypost.test"), "{dir}/clients.pem", "require_and_verify")
    with Waypost(corefile(line), files=files) as server:
        ctx = context(cert=good)
        with connect(server, ctx) as s:
            ask(s)
            session = s.session
        with connect(server, ctx, session=session) as s:
            assert s.session_reused == (provider == "openssl") and wire.sections(ask(s))[0] == WWW
            session = s.session
        shutil.copy(pki.ca("otherca"), server.path("clients.pem"))
        server.kill(signal.SIGUSR1)
        wait_for(lambda: "Reloading complete" in server.output())
        with pytest.raises((ssl.SSLError, ConnectionError)):
            with connect(server, ctx, session=session) as s:
                assert ask(s) is None
                raise ConnectionError


# --- configuration ----------------------------------------------------------------------------------------------

def starts(text, files=None):
    """None when it starts; its output when it refuses."""
    server = Waypost(text, files=files or FILES, wait=False)
    try:
        code = server.wait(10)
        assert code == 1
        return server.output()
    except subprocess.TimeoutExpired:
        return None
    finally:
        server.__exit__(AssertionError, None, None)


@pytest.mark.parametrize("row", ["S39"])
def test_unknown_mode(row):
    out = starts(corefile(tls_line(*pki.cert("ns.waypost.test"), mode="always")))
    assert "unknown authentication type 'always'" in out


@pytest.mark.parametrize("row", ["S40"])
def test_one_argument(row):
    assert starts(corefile("tls " + pki.cert("ns.waypost.test")[0])) is not None


def two_blocks(one, two):
    return corefile(one) + corefile(two, zone="other.test")


def policies():
    base = pki.cert("ns.waypost.test")
    return {
        "certificate": (tls_line(*base), tls_line(*pki.cert("ns2.waypost.test")), "server certificates differ"),
        "mode": (tls_line(*base), tls_line(*base, mode="request"), "client authentication policies differ"),
        "ca": (tls_line(*base, pki.ca()), tls_line(*base, pki.ca("otherca")), "client CA pools differ"),
        "without": (tls_line(*base), "", "TLS is configured for only one server block"),
    }


@pytest.mark.parametrize("what", ["certificate", "mode", "ca", "without"])
@pytest.mark.parametrize("row", ["S43"])
def test_conflict(what, row):
    one, two, why = policies()[what]
    out = starts(two_blocks(one, two))
    assert "conflicting TLS configuration for shared listener tls://" in out
    assert 'between zones "waypost.test." and "other.test.": ' + why in out


@pytest.mark.parametrize("row", ["S44"])
def test_same_policy(row):
    line = tls_line(*pki.cert("ns.waypost.test"))
    with Waypost(two_blocks(line, line), files=FILES) as server:
        with connect(server) as s:
            assert wire.sections(ask(s))[0] == WWW
            assert wire.rcode(ask(s, wire.query("x.other.test"))) == 5  # a block whose chain has no such zone


@pytest.mark.parametrize("row", ["S45"])
def test_conflict_on_reload(row):
    line = tls_line(*pki.cert("ns.waypost.test"))
    with Waypost(corefile(line), files=FILES) as server:
        server.write(two_blocks(*policies()["certificate"][:2]))
        server.kill(signal.SIGUSR1)
        wait_for(lambda: "server certificates differ" in server.output())
        assert answered(server)


def test_without_tls_it_is_plain():
    """As CoreDNS: a tls:// block without certificates speaks DNS over TCP."""
    with Waypost(corefile(""), files=FILES) as server:
        assert wire.sections(wire.tcp(server.port["tls"], wire.A))[0] == WWW
