"""etcd: credentials and TLS (rows F18-F25)."""
import os
import shutil
import subprocess

import etcd
import pytest
from server import TOP, Waypost, free_port, wait_for
from test_33_etcd_faults import GOOD, a, always, corefile, metric, once, synced, Watcher


@pytest.fixture
def secured():
    """Authentication on; user `dns` may read the zone's keys, `other` something else."""
    with etcd.Member(args=["--auth-token", "simple"]) as m:
        c = m.client
        c.put("/skydns/test/way/x", GOOD % 1)
        etcd.add_user(c, "dns", "secret", "reader", "/skydns/test/way/", "/skydns/test/way0")
        etcd.add_user(c, "other", "secret", "outsider", "/elsewhere/", "/elsewhere0")
        etcd.enable_auth(c, "rootpw")
        root = m.connect()
        root.authenticate("root", "rootpw")
        yield m, root


def test_a_role_for_the_zone_is_enough(secured):
    """The key of the zone itself may not be read: it is taken as absent."""
    m, root = secured
    with synced(Waypost(corefile(m.url, "credentials dns secret"))) as w:
        assert a(w, "x.way.test") == ("NOERROR", ["192.0.2.1"])
        w.says('the key "/skydns/test/way" may not be read')
        root.put("/skydns/test/way/y", GOOD % 2)
        wait_for(lambda: a(w, "y.way.test") == ("NOERROR", ["192.0.2.2"]), 2)
        assert "secret" not in w.output()
        lease = root.grant(100)
        root.put("/skydns/test/way/l", GOOD % 3, lease)
        wait_for(lambda: metric(w, "waypost_etcd_lease_requests_total", 0) >= 1)


@pytest.mark.parametrize("_", ["F19", "F18"])
@once
def test_token_is_renewed(secured, _):
    """A restarted member does not know its old tokens."""
    m, _root = secured
    with synced(Waypost(corefile(m.url, "credentials dns secret"))) as w:
        for i in range(2):
            with Watcher(w, "x.way.test", always(("NOERROR", ["192.0.2.1"]))):
                m.stop()
                m.start()
                root = m.connect()
                root.authenticate("root", "rootpw")
                root.put(f"/skydns/test/way/new{i}", GOOD % 7)
                wait_for(lambda: a(w, f"new{i}.way.test") == ("NOERROR", ["192.0.2.7"]), 8)
        assert metric(w, "coredns_etcd_reloads_total") == 1


def test_rights_change_while_the_stream_lives(secured):
    """Users change: the next call has an old auth revision, and is made again with a new token."""
    m, root = secured
    with synced(Waypost(corefile(m.url, "credentials dns secret"))) as w:
        root.call("Auth/UserAdd", etcd.field(1, "third") + etcd.field(2, "x"))
        root.authenticate("root", "rootpw")
        root.put("/skydns/test/way/l", GOOD % 3, root.grant(100))
        wait_for(lambda: a(w, "l.way.test") == ("NOERROR", ["192.0.2.3"]), 5)


@pytest.mark.parametrize("_", ["F20"])
def test_wrong_password(secured, _):
    m, _root = secured
    with Waypost(corefile(m.url, "credentials dns wrong")) as w:
        assert a(w, "x.way.test") == ("SERVFAIL", [])
        assert a(w, "elsewhere.test")[0] == "NOERROR"
        wait_for(lambda: "authentication failed" in w.output())
        assert metric(w, "coredns_etcd_endpoint_errors_total", code="INVALID_ARGUMENT") == 1
        assert "wrong" not in w.output()


@pytest.mark.parametrize("_", ["F21"])
def test_no_permission(secured, _):
    m, _root = secured
    with Waypost(corefile(m.url, "credentials other secret")) as w:
        assert a(w, "x.way.test") == ("SERVFAIL", [])
        wait_for(lambda: 'prefix "/skydns/test/way/" may not be read' in w.output())
        assert metric(w, "coredns_etcd_endpoint_errors_total", code="PERMISSION_DENIED") == 1


@pytest.mark.parametrize("_", ["F22"])
def test_authentication_is_enabled_later(_):
    with etcd.Member() as m:
        m.client.put("/skydns/test/way/x", GOOD % 1)
        with synced(Waypost(corefile(m.url))) as w:
            etcd.enable_auth(m.client, "rootpw")
            m.stop()
            m.start()
            with Watcher(w, "x.way.test", always(("NOERROR", ["192.0.2.1"]))):
                wait_for(lambda: "the configuration needs `credentials USER PASSWORD`" in w.output(), 10)


@pytest.mark.parametrize("_", ["F23"])
def test_authentication_is_not_enabled(_):
    with etcd.Member() as m:
        m.client.put("/skydns/test/way/x", GOOD % 1)
        with synced(Waypost(corefile(m.url, "credentials dns secret"))) as w:
            assert a(w, "x.way.test") == ("NOERROR", ["192.0.2.1"])
            w.says("authentication is not enabled")


# --- TLS ----------------------------------------------------------------------------------------------


def openssl(*args, cwd):
    subprocess.run(["openssl", *args], cwd=cwd, check=True, capture_output=True)


def make_ca(folder, name):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}",
            "-keyout", f"{name}.key", "-out", f"{name}.pem", cwd=folder)


def make_cert(folder, ca, name, cn, san=""):
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={cn}", "-keyout", f"{name}.key",
            "-out", f"{name}.csr", cwd=folder)
    with open(os.path.join(folder, f"{name}.ext"), "w") as f:
        f.write(f"subjectAltName={san}\n" if san else "basicConstraints=CA:FALSE\n")
    openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-CAcreateserial", "-days", "2", "-extfile",
            f"{name}.ext", "-out", f"{name}.pem", cwd=folder)


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    d = str(tmp_path_factory.mktemp("pki"))
    for ca in ("ca", "stranger"):
        make_ca(d, ca)
    make_cert(d, "ca", "server", "etcd", "IP:127.0.0.1,DNS:localhost")
    make_cert(d, "ca", "misnamed", "etcd", "DNS:elsewhere.example")
    make_cert(d, "ca", "client", "dns")
    make_cert(d, "stranger", "wrong", "dns")
    return d


def member(pki, server="server", client_auth=False):
    tls = {"cert": f"{pki}/{server}.pem", "key": f"{pki}/{server}.key", "ca": f"{pki}/ca.pem"}
    if server == "misnamed":
        tls["server_name"] = "elsewhere.example"
    if client_auth:
        tls.update(client_ca=f"{pki}/ca.pem", client_cert=f"{pki}/client.pem", client_key=f"{pki}/client.key")
    return etcd.Member(tls=tls)


def test_tls_with_a_ca(pki):
    with member(pki) as m:
        m.client.put("/skydns/test/way/x", GOOD % 1)
        for url in (m.url, f"https://localhost:{m.client_port}", f"127.0.0.1:{m.client_port}"):
            with synced(Waypost(corefile(url, f"tls {pki}/ca.pem"))) as w:
                assert a(w, "x.way.test") == ("NOERROR", ["192.0.2.1"])
                m.client.put("/skydns/test/way/y", GOOD % 2)
                wait_for(lambda: a(w, "y.way.test") == ("NOERROR", ["192.0.2.2"]), 2)


def test_relative_paths_are_below_root(pki):
    with member(pki) as m:
        m.client.put("/skydns/test/way/x", GOOD % 1)
        with Waypost(".:{dns} {\n root %s\n etcd way.test {\n endpoint %s\n tls ca.pem\n }\n}\n" % (pki, m.url)) as w:
            wait_for(lambda: "watching" in w.output())


@pytest.mark.parametrize("_", ["F25"])
def test_client_certificate_and_its_rotation(pki, _, tmp_path):
    for ext in ("pem", "key"):
        shutil.copy(f"{pki}/wrong.{ext}", tmp_path / f"client.{ext}")
    with member(pki, client_auth=True) as m:
        m.client.put("/skydns/test/way/x", GOOD % 1)
        with Waypost(corefile(m.url, f"tls {tmp_path}/client.pem {tmp_path}/client.key {pki}/ca.pem")) as w:
            wait_for(lambda: "UNAVAILABLE" in w.output())
            assert a(w, "x.way.test") == ("SERVFAIL", [])
            for ext in ("pem", "key"):
                shutil.copy(f"{pki}/client.{ext}", tmp_path / f"client.{ext}")
            wait_for(lambda: a(w, "x.way.test") == ("NOERROR", ["192.0.2.1"]), 15)


@pytest.mark.parametrize("_", ["F24"])
def test_bad_server_certificate(pki, _):
    with member(pki) as m, member(pki, "misnamed") as misnamed:
        m.client.put("/skydns/test/way/x", GOOD % 1)
        for url, ca in ((m.url, "stranger"), (misnamed.url, "ca")):
            with Waypost(corefile(url, f"tls {pki}/{ca}.pem")) as w:
                wait_for(lambda: "UNAVAILABLE" in w.output())
                assert a(w, "x.way.test") == ("SERVFAIL", [])
                assert metric(w, "coredns_etcd_endpoint_errors_total", code="UNAVAILABLE") >= 1
        # another endpoint with a good one is used
        with synced(Waypost(corefile(f"{misnamed.url} {m.url}", f"tls {pki}/ca.pem"))) as w:
            assert a(w, "x.way.test") == ("NOERROR", ["192.0.2.1"])


def test_tls_does_nothing_for_http(pki):
    """The scheme of the first endpoint decides."""
    with etcd.Member() as m:
        m.client.put("/skydns/test/way/x", GOOD % 1)
        with synced(Waypost(corefile(m.url, f"tls {pki}/ca.pem"))) as w:
            assert a(w, "x.way.test") == ("NOERROR", ["192.0.2.1"])


def test_system_roots_do_not_know_our_ca(pki):
    with member(pki) as m:
        with Waypost(corefile(m.url)) as w:
            wait_for(lambda: "UNAVAILABLE" in w.output())
            assert a(w, "x.way.test") == ("SERVFAIL", [])


__all__ = ["TOP", "free_port"]
