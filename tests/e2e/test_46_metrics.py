"""prometheus: the page, what is counted, TLS and passwords."""
import base64
import crypt
import gzip
import re
import signal
import ssl
import subprocess
import urllib.error
import urllib.request

import pytest
import wire
from server import Waypost, wait_for

ZONE = """$ORIGIN example.org.
@ 300 IN SOA ns hostmaster 1 3600 600 86400 60
@ 300 IN NS ns
ns 300 IN A 192.0.2.53
www 300 IN A 192.0.2.1
"""
FILES = {"db": ZONE}
TWO = """.:{dns} {
    prometheus localhost:{metrics}
    acl {
        drop type TXT
    }
    local
}
example.org:{dns} {
    prometheus localhost:{metrics}
    errors
    file {dir}/db
}
"""


def page(w, path="/metrics", headers=None, scheme="http", context=None):
    rq = urllib.request.Request(f"{scheme}://localhost:{w.port['metrics']}{path}", headers=headers or {})
    return urllib.request.urlopen(rq, timeout=5, context=context)


def metrics(w):
    """{name with labels: value}"""
    rows = page(w).read().decode().splitlines()
    return {k: float(v) for k, v in (x.rsplit(" ", 1) for x in rows if not x.startswith("#"))}


def ask(w, *args, tcp=False, **kw):
    return (wire.tcp if tcp else wire.udp)(w.port["dns"], wire.query(*args, **kw), timeout=1)


def server(w):
    return f'server="dns://:{w.port["dns"]}",view=""'


def test_counts():
    with Waypost(TWO, FILES) as w:
        ask(w, "www.example.org")
        ask(w, "WWW.example.org", extra=wire.opt(do=True))
        ask(w, "nx.example.org", "AAAA", tcp=True)
        ask(w, "www.example.org", 65280)
        ask(w, "nowhere.test")
        ask(w, "nowhere.test", "TXT")
        ask(w, "www.example.org", qclass=3)
        m, s, port = metrics(w), server(w), w.port["dns"]
        org, root, drop = f'{s},zone="example.org."', f'{s},zone="."', f'{s},zone="dropped"'

        def requests(proto, qtype, zone):
            return m.get(f'coredns_dns_requests_total{{family="1",proto="{proto}",server="dns://:{port}",'
                         f'type="{qtype}",view="",zone="{zone}"}}')
        assert requests("udp", "A", "example.org.") == 2
        assert requests("tcp", "AAAA", "example.org.") == 1
        assert requests("udp", "other", "example.org.") == 1
        assert requests("udp", "A", ".") == 1
        assert requests("udp", "TXT", ".") == 1
        assert requests("udp", "A", "dropped") == 1
        assert sum(v for k, v in m.items() if k.startswith("coredns_dns_requests_total{")) == 7

        def responses(plugin, rcode, zone):
            return m.get(f'coredns_dns_responses_total{{plugin="{plugin}",rcode="{rcode}",{zone}}}')
        assert responses("errors", "NOERROR", org) == 3
        assert responses("errors", "NXDOMAIN", org) == 1
        assert responses("", "SERVFAIL", root) == 1     # nobody answered
        assert responses("", "NOERROR", root) == 1      # dropped in silence
        assert responses("", "REFUSED", drop) == 1      # class CH
        assert m[f"coredns_dns_do_requests_total{{{org}}}"] == 1
        assert f"coredns_dns_do_requests_total{{{root}}}" not in m

        sizes = f'proto="udp",{org}'
        assert m[f"coredns_dns_request_size_bytes_count{{{sizes}}}"] == 3
        assert m[f"coredns_dns_request_size_bytes_sum{{{sizes}}}"] == 33 + 44 + 33
        assert m[f'coredns_dns_request_size_bytes_bucket{{{sizes},le="0"}}'] == 0
        assert m[f'coredns_dns_request_size_bytes_bucket{{{sizes},le="100"}}'] == 3
        assert m[f'coredns_dns_response_size_bytes_bucket{{{sizes},le="+Inf"}}'] == 3
        assert m[f'coredns_dns_response_size_bytes_bucket{{proto="udp",{root},le="0"}}'] == 2  # no reply written
        assert m[f"coredns_dns_request_duration_seconds_count{{{org}}}"] == 4
        buckets = [k for k in m if k.startswith(f"coredns_dns_request_duration_seconds_bucket{{{org}")]
        assert [re.search(r'le="(.*)"', k).group(1) for k in buckets] == [
            "0.00025", "0.0005", "0.001", "0.002", "0.004", "0.008", "0.016", "0.032", "0.064", "0.128", "0.256", "0.512",
            "1.024", "2.048", "4.096", "8.192", "+Inf"]


def test_plugin_enabled_and_reload():
    row = 'coredns_plugin_enabled{{name="{}",{},zone="{}"}}'
    with Waypost(TWO, FILES) as w:
        ask(w, "www.example.org")
        s, before = server(w), metrics(w)
        for name, zone in (("prometheus", "."), ("acl", "."), ("local", "."), ("prometheus", "example.org."),
                           ("errors", "example.org."), ("file", "example.org.")):
            assert before[row.format(name, s, zone)] == 1
        w.write(TWO.replace("    errors\n", "    log\n"))
        w.kill(signal.SIGUSR1)
        wait_for(lambda: "Reloading complete" in w.output())
        wait_for(lambda: row.format("errors", s, "example.org.") not in metrics(w))
        after = metrics(w)
        assert after[row.format("log", s, "example.org.")] == 1
        assert after[row.format("file", s, "example.org.")] == 1
        ask(w, "www.example.org")
        key = f'coredns_dns_request_duration_seconds_count{{{s},zone="example.org."}}'
        assert metrics(w)[key] == 2  # counts go on across a reload


def test_plugin_enabled_for_each_address():
    text = "example.org:{dns} {\n    bind 127.0.0.1 127.0.0.2\n    prometheus localhost:{metrics}\n    local\n}\n"
    with Waypost(text) as w:
        m = metrics(w)
        for host in ("127.0.0.1", "127.0.0.2"):
            for name in ("prometheus", "local"):
                assert m[f'coredns_plugin_enabled{{name="{name}",server="dns://{host}:{w.port["dns"]}",view="",'
                         'zone="example.org."}'] == 1


def test_the_page_stays_open_during_reloads():
    with Waypost(TWO, FILES) as w:
        for n in range(1, 6):
            w.kill(signal.SIGUSR1)
            while w.output().count("Reloading complete") < n:
                assert page(w).status == 200


@pytest.mark.parametrize("name", ["\"quoted\".x", "nul\0.x", "line\nfeed.x", "\xff\xfe.x", "back\\slash.x"], ids=["advisory-41"] * 5)
def test_promtool_accepts_the_page(name):
    with Waypost(TWO, FILES) as w:
        ask(w, name)
        ask(w, "www.example.org", extra=wire.opt(do=True))
        ask(w, name, 65280, qclass=3)
        text = page(w).read()
        r = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
        assert r.returncode == 0, r.stdout + r.stderr


def test_headers_gzip_and_other_paths():
    with Waypost(TWO, FILES) as w:
        r = page(w)
        assert r.headers["Content-Type"].startswith("text/plain; version=0.0.4; charset=utf-8")
        plain = r.read()
        r = page(w, headers={"Accept-Encoding": "gzip"})
        assert r.headers["Content-Encoding"] == "gzip"
        packed = gzip.decompress(r.read())
        assert packed.split(b"\n")[:4] == plain.split(b"\n")[:4]
        for path in ("/", "/metric", "/metrics/"):
            with pytest.raises(urllib.error.HTTPError) as e:
                page(w, path)
            assert e.value.code == 404


def test_process_and_build():
    with Waypost(TWO, FILES) as w:
        m = metrics(w)
        assert m["coredns_panics_total"] == 0
        assert [v for k, v in m.items() if re.match(r'coredns_build_info\{goversion="[^"]*",revision="[^"]*",version="[^"]+"\}', k)] == [1]
        assert m["process_resident_memory_bytes"] > 1e6
        assert m["process_max_fds"] >= m["process_open_fds"] > 10
        assert m["process_cpu_seconds_total"] >= 0
        with open(f"/proc/{w.pid}/stat") as f:
            vsize = int(f.read().rsplit(")", 1)[1].split()[20])
        assert abs(m["process_virtual_memory_bytes"] - vsize) < 2 ** 28


def test_address_that_cannot_be_had():
    text = ".:{dns} {\n    prometheus 192.0.2.1:{xmetrics}\n    local\n}\n"
    with Waypost(text) as w:
        assert wire.rcode(ask(w, "localhost")) == 0
        assert (f"[ERROR] Failed to start metrics handler: listen tcp 192.0.2.1:{w.port['xmetrics']}: bind: cannot assign "
                "requested address\n") in w.output()


# --- tls WEB_CONFIG_FILE ------------------------------------------------------------------------

def certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out",
                    "cert.pem"], cwd=folder, check=True, capture_output=True)


WEB = """tls_server_config:
  cert_file: cert.pem
  key_file: key.pem
  min_version: TLS12
http_server_config:
  http2: true
  headers:
    X-Frame-Options: deny
basic_auth_users:
  anna: HASH
"""


def authorization(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_tls_and_passwords(tmp_path):
    certificate(tmp_path)
    web = WEB.replace("HASH", crypt.crypt("geheim", crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=2 ** 5)))
    files = {"web.yml": web, "cert.pem": (tmp_path / "cert.pem").read_bytes(), "key.pem": (tmp_path / "key.pem").read_bytes()}
    text = ".:{dns} {\n    prometheus localhost:{metrics} {\n        tls {dir}/web.yml\n    }\n    local\n}\n"
    context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    with Waypost(text, files) as w:
        for _ in range(2):  # the second time the password is known
            r = page(w, headers=authorization("anna", "geheim"), scheme="https", context=context)
            assert b"coredns_build_info" in r.read() and r.headers["X-Frame-Options"] == "deny"
        for headers in ({}, authorization("anna", "falsch"), authorization("otto", "geheim"), authorization("anna", ""),
                        {"Authorization": "Basic ****"}, {"Authorization": "Bearer geheim"}):
            with pytest.raises(urllib.error.HTTPError) as e:
                page(w, headers=headers, scheme="https", context=context)
            assert e.value.code == 401 and e.value.headers["WWW-Authenticate"] == "Basic"
        with pytest.raises(OSError):
            page(w)  # no cleartext here


BAD_WEB = [
    ("missing file", None, "open {dir}/web.yml: no such file or directory"),
    ("not YAML", "a: [", "{dir}/web.yml:"),
    ("not a mapping", "- a", "{dir}/web.yml:1: not a mapping"),
    ("unknown key", "tls_server_config:\n  cert_file: c\n  key_file: k\nmagic: 1\n", "{dir}/web.yml:4: not supported: magic"),
    ("rate limit", "rate_limit:\n  burst: 1\n", "{dir}/web.yml:1: not supported: rate_limit"),
    ("ciphers", "tls_server_config:\n  cipher_suites: []\n", "{dir}/web.yml:2: not supported in tls_server_config: cipher_suites"),
    ("version", "tls_server_config:\n  min_version: TLS13\n", "{dir}/web.yml:2: not supported in tls_server_config: min_version"),
    ("client auth", "tls_server_config:\n  client_auth_type: Maybe\n", "{dir}/web.yml:2: Invalid ClientAuth: Maybe"),
    ("no key", "tls_server_config:\n  cert_file: cert.pem\n", "{dir}/web.yml: missing key_file"),
    ("no certificate", "tls_server_config:\n  cert_file: c\n  key_file: k\n", "{dir}/c"),
    ("no bcrypt", "basic_auth_users:\n  anna: geheim\n", "{dir}/web.yml:2: not a bcrypt hash for user: anna"),
    ("header", "http_server_config:\n  headers:\n    Server: x\n", "{dir}/web.yml:3: HTTP header can not be configured: Server"),
]


@pytest.mark.parametrize("web, why", [b[1:] for b in BAD_WEB], ids=[b[0] for b in BAD_WEB])
def test_bad_web_configuration(web, why):
    text = ".:{dns} {\n    prometheus localhost:{xmetrics} {\n        tls {dir}/web.yml\n    }\n    local\n}\n"
    with Waypost(text, {"web.yml": web} if web is not None else {}) as w:
        assert wire.rcode(ask(w, "localhost")) == 0  # the start goes on
        line = wait_for(lambda: [x for x in w.output().splitlines(True) if x.startswith("[ERROR] Invalid TLS config: ") and x.endswith("\n")])
        assert len(line) == 1 and why.replace("{dir}", w.home.name) in line[0], line
        with pytest.raises(OSError):
            urllib.request.urlopen(f"http://localhost:{w.port['xmetrics']}/metrics", timeout=2)
