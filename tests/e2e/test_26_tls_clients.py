"""DoT, DoH and gRPC over TLS for clients of other libraries: GnuTLS (kdig, gnutls-cli), OpenSSL (curl, python, openssl(1)),
BoringSSL (grpcio); with each of ours."""
import re
import socket
import ssl
import subprocess

import clients
import fixture
import grpc
import pki
import pytest
import wire
from clients import Grpc, base64url
from h2client import H2
from server import Waypost

pytestmark = pytest.mark.usefixtures("provider")
NAME = "ns.waypost.test"
WWW = {"www.waypost.test. A 192.0.2.1"}
DNS = "application/dns-message"
PATH, QUERY = "/dns-query", "/coredns.dns.DnsService/Query"
GET = f"GET {PATH}?dns={base64url(wire.A)} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
HUGE = wire.query("huge.waypost.test", "TXT")


def corefile(tls):
    return "".join(f"{scheme}://waypost.test:{{{port}}} {{\n{tls}\nfile {{dir}}/db.waypost.test\n}}\n"
                   for scheme, port in (("tls", "tls"), ("https", "https"), ("grpc", "grpc")))


@pytest.fixture(scope="module")
def w(provider):
    """P-256 and RSA."""
    tls = "tls %s %s {\ncertificate %s %s\n}" % (*pki.cert(NAME), *pki.cert(NAME, rsa=True))
    with Waypost(corefile(tls), files=fixture.FILES) as server:
        yield server


def run(*args, stdin="", seconds=20, check=True):
    r = subprocess.run([str(a) for a in args], input=stdin, capture_output=True, text=True, timeout=seconds)
    assert r.returncode == 0 or not check, r.stdout + r.stderr
    return r.stdout + r.stderr


# --- versions, suites, groups, keys -----------------------------------------------------------------------------

SUITES_13 = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]
SUITES_12 = [f"ECDHE-{kind}-{cipher}" for kind in ("ECDSA", "RSA")
             for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")]
# groups offered; a client of TLS 1.3 sends a share of the first one, and is asked for another where we lack it
GROUPS = [("X25519", "X25519"), ("P-256", "prime256v1"), ("P-384", "secp384r1"), ("P-521:P-256", "prime256v1"),
          ("X448:X25519", "X25519"), ("ffdhe2048:P-384", "secp384r1")]


def s_client(w, *args, port="tls"):
    """What OpenSSL says of a handshake in which it verified us."""
    return run("openssl", "s_client", "-connect", f"127.0.0.1:{w.port[port]}", "-brief", "-CAfile", pki.ca(), "-verify_return_error",
               "-verify_hostname", NAME, *args)


@pytest.mark.parametrize("suite", [pytest.param(s, id="S01-" + s) for s in SUITES_13] + [pytest.param(s, id="S02-" + s) for s in SUITES_12])
def test_suite(w, suite):
    how = ["-ciphersuites", suite] if suite in SUITES_13 else ["-tls1_2", "-cipher", suite]
    out = s_client(w, *how)
    assert f"Ciphersuite: {suite}\n" in out and "Verification: OK" in out


@pytest.mark.parametrize("offered, taken", [pytest.param(*g, id="S01-" + g[0]) for g in GROUPS])
def test_group(w, offered, taken):
    assert f"{taken}, " in re.search("Server Temp Key: .*", s_client(w, "-groups", offered))[0]


@pytest.mark.parametrize("offered, taken", [pytest.param(*g, id="S02-" + g[0]) for g in GROUPS[:3]])
def test_group_of_tls_12(w, offered, taken):
    assert f"{taken}, " in re.search("Server Temp Key: .*", s_client(w, "-tls1_2", "-groups", offered))[0]


KEYS = {"rsa": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "p384": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
        "ed25519": ["-algorithm", "ED25519"]}


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("kind", KEYS)
def test_kind_of_key(tmp_path, kind, version):
    """The only certificate has such a key, in PKCS #8, and was made by openssl(1)."""
    key, cert = tmp_path / "key", tmp_path / "cert"
    run("openssl", "genpkey", *KEYS[kind], "-out", key)
    run("openssl", "req", "-x509", "-new", "-key", key, "-days", "2", "-subj", "/CN=" + NAME, "-addext", "subjectAltName=DNS:" + NAME, "-out", cert)
    with Waypost(corefile(f"tls {cert} {key}"), files=fixture.FILES) as w:
        assert "Verification: OK" in s_client(w, version, "-CAfile", cert)


# --- ALPN ------------------------------------------------------------------------------------------------------

ALPN = [("H47", "https", ["http/1.1"], "http/1.1"), ("H48", "https", ["http/1.1", "h2"], "h2"), ("H48-other-order", "https", ["h2", "http/1.1"], "h2"),
        ("S05-https", "https", [], None), ("G01-alpn", "grpc", ["h2"], "h2"), ("S01-alpn", "tls", ["dot"], "dot")]


@pytest.mark.parametrize("port, offered, chosen", [pytest.param(*a[1:], id=a[0]) for a in ALPN])
def test_alpn(w, port, offered, chosen):
    with socket.create_connection(("127.0.0.1", w.port[port]), 5) as raw:
        s = clients.context(offered).wrap_socket(raw)
        assert s.selected_alpn_protocol() == chosen
        if chosen in (None, "http/1.1"):
            s.sendall(GET)
            assert s.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("port, offered", [pytest.param("https", "dot", id="H49"), pytest.param("grpc", "http/1.1", id="G19")])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["v12", "v13"])
def test_alpn_of_another_protocol(w, port, offered, version):
    ctx = clients.context([offered])
    ctx.maximum_version = version
    with socket.create_connection(("127.0.0.1", w.port[port]), 5) as raw:
        with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
            ctx.wrap_socket(raw)


# --- GnuTLS ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("how, port", [pytest.param("+tls", "tls", id="S01-kdig"), pytest.param("+https", "https", id="H02-kdig"),
                                       pytest.param("+https-get", "https", id="H01-kdig")])
def test_kdig(w, how, port):
    out = run("kdig", "@127.0.0.1", "-p", w.port[port], how, "+tls-ca=" + pki.ca(), f"+tls-hostname={NAME}", "+short", "www.waypost.test", "A")
    assert out.strip() == "192.0.2.1"


GNUTLS = {"S01": ("NORMAL:-VERS-ALL:+VERS-TLS1.3", "TLS1.3"), "S02": ("NORMAL:-VERS-ALL:+VERS-TLS1.2", "TLS1.2")}


@pytest.mark.parametrize("row", GNUTLS)
def test_gnutls(w, row):
    """And S18: it comes again with its ticket."""
    priority, version = GNUTLS[row]
    out = run("gnutls-cli", "--resume", "--x509cafile", pki.ca(), "--verify-hostname", NAME, "--sni-hostname", NAME, "--priority", priority,
              "--waitresumption", "-p", w.port["tls"], "127.0.0.1")
    assert "Status: The certificate is trusted." in out and f"({version}" in out
    assert "*** This is a resumed session" in out


# --- HTTP ------------------------------------------------------------------------------------------------------

CURL = [("H02-curl-http2", ["--http2"]), ("H02-curl-http1", ["--http1.1"]), ("H02-curl-tls12", ["--http2", "--tls-max", "1.2"])]


@pytest.mark.parametrize("args", [pytest.param(c[1], id=c[0]) for c in CURL])
def test_curl(w, tmp_path, args):
    (tmp_path / "q").write_bytes(wire.A)
    url = f"https://{NAME}:{w.port['https']}{PATH}"
    out = subprocess.run(["curl", "-s", "-S", "--max-time", "5", "--cacert", pki.ca(), "--resolve", f"{NAME}:{w.port['https']}:127.0.0.1", *args,
                          "-H", f"content-type: {DNS}", "--data-binary", f"@{tmp_path}/q", url, url], capture_output=True, check=True).stdout
    assert out.count(b"\xc0\0\2\1") == 2


def test_h2load(w, tmp_path):
    (tmp_path / "q").write_bytes(wire.A)
    out = run("h2load", "-n", 10000, "-c", 10, "-m", 32, "-d", tmp_path / "q", "-H", f"content-type: {DNS}", f"https://127.0.0.1:{w.port['https']}{PATH}",
              seconds=60)
    assert "10000 succeeded, 0 failed" in out and "status codes: 10000 2xx" in out, out


@pytest.mark.parametrize("row", ["H34"])
def test_large_both_ways(w, row):
    """Bodies of many TLS records: a question of 65,535 octets, an answer of sixty thousand, beside each other."""
    head = wire.A[:10] + b"\0\1" + wire.A[12:]
    msg = head + wire.opt(1232, wire.option(12, bytes(65535 - len(head) - 15)))
    assert len(msg) == 65535
    with H2(w.port["https"]) as c:
        ids = [c.start("POST", PATH, [("content-type", DNS)], m) for m in (HUGE, msg, HUGE)]
        assert c.read(lambda: all(c.streams[i].done for i in ids), 10)
        assert [c.streams[i].status for i in ids] == [200] * 3
        assert [len(c.streams[i].body) > 50000 for i in ids] == [True, False, True]


# --- gRPC ------------------------------------------------------------------------------------------------------

def ask_grpc(w, msg, **kw):
    with open(pki.ca(), "rb") as f:
        creds = grpc.ssl_channel_credentials(f.read(), **kw)
    options = [("grpc.enable_retries", 0), ("grpc.ssl_target_name_override", NAME)]
    with grpc.secure_channel(f"127.0.0.1:{w.port['grpc']}", creds, options=options) as channel:
        ask = channel.unary_unary(QUERY, request_serializer=Grpc.pack, response_deserializer=Grpc.unpack)
        return ask(msg, timeout=5)


@pytest.mark.parametrize("row", ["G01-tls"])
def test_grpcio(w, row):
    assert wire.sections(ask_grpc(w, wire.A))[0] == WWW


@pytest.mark.parametrize("row", ["G18-tls"])
def test_grpcio_huge(w, row):
    assert len(ask_grpc(w, HUGE)) > 50000


CLIENTS = [("good", dict(name="good.client", usage="clientAuth"), True), ("expired", dict(name="expired.client", usage="clientAuth", days=-1), False),
           ("stranger", dict(name="stranger.client", issuer="otherca", usage="clientAuth"), False), ("none", None, False)]


@pytest.fixture(scope="module")
def strict(provider):
    tls = "tls %s %s %s {\nclient_auth require_and_verify\n}" % (*pki.cert(NAME), pki.ca())
    with Waypost(corefile(tls), files=fixture.FILES) as server:
        yield server


@pytest.mark.parametrize("who, served", [pytest.param(*c[1:], id="G24-" + c[0]) for c in CLIENTS])
def test_client_certificate_of_grpc(strict, who, served):
    kw = {}
    if who:
        cert, key = pki.cert(**who)
        kw = {"certificate_chain": open(cert, "rb").read(), "private_key": open(key, "rb").read()}
    if served:
        assert wire.sections(ask_grpc(strict, wire.A, **kw))[0] == WWW
        return
    with pytest.raises(grpc.RpcError) as e:
        ask_grpc(strict, wire.A, **kw)
    assert e.value.code() == grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("who, served", [pytest.param(*c[1:], id="S36-https-" + c[0]) for c in CLIENTS])
def test_client_certificate_of_https(strict, who, served, version):
    pair = ["--cert", pki.cert(**who)[0], "--key", pki.cert(**who)[1]] if who else []
    url = f"https://{NAME}:{strict.port['https']}{PATH}?dns={base64url(wire.A)}"
    r = subprocess.run(["curl", "-s", "-S", "--max-time", "5", "--cacert", pki.ca(), "--resolve", f"{NAME}:{strict.port['https']}:127.0.0.1",
                        "--tls-max", version, *pair, url], capture_output=True)
    assert (r.returncode == 0 and b"\xc0\0\2\1" in r.stdout) == served, r.stderr
