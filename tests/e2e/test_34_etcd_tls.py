"""etcd: certificates that are not what they should be, each with its reason; certificates that change on disk."""
import os
import shutil
import subprocess
import sys
import time

import etcd
import grpc
import pki
import pytest
from server import TOP, WAYPOST, Waypost, free_port, wait_for
from test_33_etcd_faults import GOOD, Watcher, a, always, corefile, metric, synced

sys.path.insert(0, os.path.join(TOP, "tests/fake"))
from etcd_server import Etcd  # noqa: E402

FILES_S = 5  # how often waypost looks at the files


def member(name, client_ca=None, **kw):
    """A member whose certificate is the one of that name; it may not be fit for a client of ours."""
    cert, key = pki.cert(name, **kw) if name != "alone" else (pki.ca("alone"), pki.path("alone.key"))
    tls = {"cert": cert, "key": key, "ca": pki.ca(), "server_name": name}
    if client_ca:
        c, k = pki.cert("client", usage="clientAuth")
        tls.update(client_ca=client_ca, client_cert=c, client_key=k)
    return etcd.Member(tls=tls)


# --- each reason in words ---------------------------------------------------------------------------

UNKNOWN = "TLS handshake with 127.0.0.1: the server's certificate is signed by an unknown authority"
REASONS = [  # which server, whether the scheme is the server's, the `tls` line, what is told
    ("wrong CA", "good.example", True, "tls {stranger}", UNKNOWN),
    ("no line: the system's roots", "good.example", True, "", UNKNOWN),
    ("wrong name", "elsewhere.example", True, "tls {ca}", "TLS handshake with 127.0.0.1: the server's certificate is for another name"),
    ("expired", "past.example", True, "tls {ca}", "the server's certificate has expired"),
    ("not yet valid", "future.example", True, "tls {ca}", "the server's certificate is not yet valid"),
    ("self-signed", "alone", True, "tls {ca}", "the server's certificate is self-signed"),
    ("plain at https", "plain", False, "tls {ca}", "the server speaks no TLS: the endpoint should be http"),
    ("TLS at http", "good.example", False, "", "the server speaks TLS: the endpoint should be https"),
    ("no client certificate", "strict.example", True, "tls {ca}", "the server wants a client certificate: alert "),
    ("client certificate of a stranger", "strict.example", True, "tls {foreign} {ca}", "the server refuses our client certificate: alert "),
    ("client certificate has expired", "strict.example", True, "tls {old} {ca}", "the server refuses our client certificate: alert "),
    ("nobody", None, True, "tls {ca}", "Connection refused"),
]


@pytest.fixture(scope="module")
def servers():
    made = {"good.example": member("good.example"), "elsewhere.example": member("elsewhere.example", san="DNS:elsewhere.example"),
            "past.example": member("past.example", days=0), "future.example": member("future.example", from_to=(2040, 2041)),
            "alone": member("alone"), "strict.example": member("strict.example", client_ca=pki.ca()), "plain": etcd.Member()}
    try:
        for m in made.values():
            m.start(wait=False)
        for m in made.values():
            wait_for(lambda: subprocess.run(["bash", "-c", f"</dev/tcp/127.0.0.1/{m.client_port}"], capture_output=True).returncode == 0)
        yield made
    finally:
        for m in made.values():
            m.close()


def test_reasons(servers):
    """Told once for each endpoint, however often it is tried; counted each time."""
    names = {"ca": pki.ca(), "stranger": pki.ca("stranger"), "foreign": " ".join(pki.cert("foreign", "stranger", usage="clientAuth")),
             "old": " ".join(pki.cert("old", usage="clientAuth", days=0))}
    text, urls = ".:{dns} {\n prometheus 127.0.0.1:{metrics}\n}\n", []
    for i, (_, server, same, line, _) in enumerate(REASONS):
        m = servers.get(server)
        scheme = ("https" if (m is None or bool(m.tls)) == same else "http")
        urls.append(f"{scheme}://127.0.0.1:{m.client_port if m else free_port()}")
        text += f".:{{p{i}}} {{\n etcd z{i}.test {{\n endpoint {urls[i]}\n path /p{i}\n {line.format(**names)}\n }}\n}}\n"
    with Waypost(text) as w:
        for (row, *_, why), url in zip(REASONS, urls):
            try:
                wait_for(lambda: any(url + ": " in x and why in x for x in w.output().splitlines()))
            except AssertionError:
                pytest.fail(f"{row}: {why} is not in\n{w.output()}")
        before = time.monotonic()
        wait_for(lambda: all(metric(w, "coredns_etcd_endpoint_errors_total", 0, endpoint=u, source=f"{u}/p{i}", code="UNAVAILABLE") >= 5
                             for i, u in enumerate(urls)), 60)
        assert time.monotonic() - before > 1, "endpoints are tried in a tight loop"
        out = [x for x in w.output().splitlines() if "UNAVAILABLE" in x]
        for (row, *_, why), url in zip(REASONS, urls):
            mine = [x for x in out if url + ": " in x]
            same = sum(u == url for u in urls)
            assert len(mine) <= 2 * same and sum(why in x for x in mine) <= same, (row, mine)
        assert "PRIVATE KEY" not in w.output()


def test_command_says_the_reason(servers):
    m = servers["past.example"]
    r = subprocess.run([WAYPOST, "list", "way.test", "--endpoint", m.url, "--cacert", pki.ca()], capture_output=True, text=True, timeout=30)
    assert r.returncode != 0 and "the server's certificate has expired" in r.stderr, r


@pytest.mark.parametrize("secure", [False, True])
def test_unix_socket(tmp_path, secure):
    """The certificate of a socket in the file system names localhost."""
    cert, key = pki.cert("localhost")
    credentials = grpc.ssl_server_credentials([(open(key, "rb").read(), open(cert, "rb").read())]) if secure else None
    with Etcd(f"unix:{tmp_path}/s", credentials) as r:
        r.put("/skydns/test/way/x", GOOD % 1)
        url = f"unixs://{tmp_path}/s" if secure else f"unix://{tmp_path}/s"
        with synced(Waypost(corefile(url, f"tls {pki.ca()}" if secure else ""))) as w:
            assert a(w, "x.way.test") == ("NOERROR", ["192.0.2.1"])


def test_name_of_a_host_and_of_an_address():
    """Each endpoint's own name is what its certificate must hold."""
    with member("localhost", san="DNS:localhost") as m:
        m.client.put("/skydns/test/way/x", GOOD % 1)
        line = f"tls {pki.ca()}"
        with synced(Waypost(corefile(f"{m.url} https://localhost:{m.client_port}", line))) as w:
            assert a(w, "x.way.test") == ("NOERROR", ["192.0.2.1"])
            assert "for another name" in w.output() or metric(w, "coredns_etcd_endpoint_errors_total", 0) == 0


# --- files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words,why", [
    ("", None), ("{ca}", None), ("{cert} {key}", None), ("{cert} {key} {ca}", None),
    ("{cert} {key} {ca} x", "maximum of three arguments allowed for TLS config, found 4"),
    ("missing.pem", "no such file"), (".", "directory"), ("{key}", "could not read root certs"),
    ("{cert} {other}", "private key does not match public key"), ("{key} {cert}", "PEM inputs may have been switched"),
    ("{cert} {locked}", "failed to parse private key"), ("{empty} {key}", "failed to find any PEM data in certificate input"),
    ("{cert} {empty}", "failed to find any PEM data in key input"), ("{cert} {key} {empty}", "could not read root certs"),
    ("{broken} {key}", "could not load TLS cert")])
def test_lines(tmp_path, words, why):
    cert, key = pki.cert("client", usage="clientAuth")
    (tmp_path / "empty").write_text("")
    (tmp_path / "broken").write_text(open(cert).read().replace("MII", "!!!", 1))
    subprocess.run(["openssl", "pkey", "-in", key, "-aes128", "-passout", "pass:geheim", "-out", tmp_path / "locked"], check=True)
    names = {"ca": pki.ca(), "cert": cert, "key": key, "other": pki.cert("good.example")[1], "empty": tmp_path / "empty",
             "broken": tmp_path / "broken", "locked": tmp_path / "locked"}
    path = tmp_path / "Corefile"
    path.write_text("way.test {\n etcd {\n endpoint https://127.0.0.1:1\n tls " + words.format(**names) + "\n }\n}\n")
    r = subprocess.run([WAYPOST, "check", "-conf", path], capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
    assert (r.returncode != 0) == (why is not None), r
    assert why is None or why in r.stdout + r.stderr, r
    assert "PRIVATE" not in (r.stdout + r.stderr).replace("PRIVATE KEY PEM", "")


def put(pair, folder, name, which=("pem", "key")):
    """As a tool for certificates does: each file replaced at once."""
    for source, ext in zip(pair, ("pem", "key")):
        if ext in which:
            shutil.copy(source, folder / f"new.{ext}")
            os.rename(folder / f"new.{ext}", folder / f"{name}.{ext}")


def test_files_change_while_the_connection_lives(tmp_path):
    """New ones count within seconds, without a connection having to break first; half of a pair is waited for."""
    reader, outsider = pki.cert("reader", usage="clientAuth"), pki.cert("outsider", usage="clientAuth")
    with member("strict2.example", client_ca=pki.ca()) as m:
        c = m.client
        c.put("/skydns/test/way/x", GOOD % 1)
        etcd.add_user(c, "reader", "", "reader", "/skydns/test/way/", "/skydns/test/way0")  # the name in the certificate
        etcd.add_user(c, "outsider", "", "outsider", "/elsewhere/", "/elsewhere0")
        etcd.enable_auth(c, "rootpw")
        for name in ("pair", "half"):
            put(reader, tmp_path, name)
        for name in ("reader", "ca"):
            shutil.copy(pki.ca() if name == "ca" else reader[0], tmp_path / f"{name}.pem")
        text = corefile(m.url, f"tls {tmp_path}/pair.pem {tmp_path}/pair.key {pki.ca()}")
        for i, line in enumerate((f"{tmp_path}/half.pem {tmp_path}/half.key {pki.ca()}", f"{reader[0]} {reader[1]} {tmp_path}/ca.pem")):
            text += f".:{{p{i}}} {{\n etcd way.test {{\n endpoint {m.url}\n tls {line}\n }}\n}}\n"
        with Waypost(text) as w:
            wait_for(lambda: w.output().count("watching") == 3)
            with Watcher(w, "x.way.test", always(("NOERROR", ["192.0.2.1"]))):
                begun = time.monotonic()
                put(outsider, tmp_path, "pair")
                put(outsider, tmp_path, "half", ("pem",))
                shutil.copy(pki.ca("stranger"), tmp_path / "ca.pem")
                # another user by another certificate; a pair that does not fit; nobody whom the new CA vouches for
                wait_for(lambda: "may not be read" in w.output() and "private key does not match" in w.output() and UNKNOWN in w.output(), 30)
                assert time.monotonic() - begun < FILES_S + 10
                wait_for(lambda: w.output().count("certificate files changed: connecting anew") == 2)
                wait_for(lambda: w.output().count("not usable, keeping the old ones") == 1)
                put(reader, tmp_path, "half")
                shutil.copy(pki.ca(), tmp_path / "ca.pem")
                wait_for(lambda: w.output().count("in step again") == 1, 30)
                assert metric(w, "coredns_etcd_endpoint_errors_total", 0, code="PERMISSION_DENIED") == 1
            wait_for(lambda: w.output().count("not usable") == 1)
