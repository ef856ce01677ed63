"""etcd: users, rights and tokens that change while waypost runs."""
import os
import subprocess
import time

import etcd
import etcd_rows
import pki
import pytest
import wire
from server import Waypost, wait_for
from test_33_etcd_faults import GOOD, Watcher, a, always, corefile, metric, synced

ROOT = "rootpw"
TOKEN_S = 2


def tokens(kind):
    """Arguments of a member whose tokens do not last."""
    if kind == "simple":
        return ["--auth-token", "simple", "--auth-token-ttl", str(TOKEN_S), "--bcrypt-cost", "4"]
    key, public = pki.path("jwt.key"), pki.path("jwt.pub")
    if not os.path.exists(key):
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        subprocess.run(["openssl", "rsa", "-in", key, "-pubout", "-out", public], check=True, capture_output=True)
    return ["--auth-token", f"jwt,pub-key={public},priv-key={key},sign-method=RS256,ttl={TOKEN_S}s", "--bcrypt-cost", "4"]


def root_of(m):
    """Somebody who may do all, with a token that is fresh."""
    c = m.connect()
    c.authenticate("root", ROOT)
    return c


def secured(m):
    c = m.client
    c.put("/skydns/test/way/x", GOOD % 1)
    for user in ("dns", "leaver", "blind"):
        etcd.add_user(c, user, f"{user}-pw", f"{user}-role", "/skydns/test/way/", "/skydns/test/way0")
    etcd.enable_auth(c, ROOT)


@pytest.fixture(params=["simple", "jwt"])
def forgetful(request):
    with etcd.Member(args=tokens(request.param)) as m:
        secured(m)
        yield m


def ttl(w, name):
    m = etcd_rows.parse(wire.udp(w.port["dns"], wire.query(name)))
    return m.answer[0].ttl if m.answer else None


def test_tokens_that_do_not_last(forgetful):
    """The stream outlives its token; every later call gets a new one. Nobody sees that, and no line tells of it."""
    with synced(Waypost(corefile(forgetful.url, "credentials dns dns-pw"))) as w:
        begun = time.monotonic()
        with Watcher(w, "x.way.test", always(("NOERROR", ["192.0.2.1"]))):
            wait_for(lambda: time.monotonic() > begun + 2 * TOKEN_S + 1)
            for i in range(2):
                root = root_of(forgetful)  # which makes its tokens old as well
                root.call("Auth/UserAdd", etcd.field(1, f"third{i}") + etcd.field(2, "x"))
                root = root_of(forgetful)
                root.put(f"/skydns/test/way/l{i}", GOOD % 3, root.grant(500))
                wait_for(lambda: (ttl(w, f"l{i}.way.test") or 0) > 300, 10)  # the lease was asked for: 30 until then
        assert metric(w, "coredns_etcd_endpoint_errors_total", 0) == 0
        assert "WARNING" not in w.output() and "ERROR" not in w.output(), w.output()


def test_users_change():
    """A password changed and changed back, a user deleted and made again, rights taken and given: the last data is served
    meanwhile, each is told once, and followed again within the half minute that a refused password waits."""
    with etcd.Member(args=tokens("simple")) as member:
        secured(member)
        users_change(member)


def users_change(member):
    text = corefile(member.url, "credentials dns dns-pw")
    for user in ("leaver", "blind"):
        text += f".:{{{user}}} {{\n etcd way.test {{\n endpoint {member.url}\n credentials {user} {user}-pw\n }}\n}}\n"
    refused = 'prefix "/skydns/test/way/" may not be read'
    with Waypost(text) as w:
        wait_for(lambda: w.output().count("watching") == 3)
        with Watcher(w, "x.way.test", always(("NOERROR", ["192.0.2.1"]))):
            root = root_of(member)
            root.call("Auth/UserChangePassword", etcd.field(1, "dns") + etcd.field(2, "another"))
            root = root_of(member)
            root.call("Auth/UserDelete", etcd.field(1, "leaver"))
            root = root_of(member)
            root.call("Auth/RoleRevokePermission", etcd.field(1, "blind-role") + etcd.field(2, "/skydns/test/way/") + etcd.field(3, "/skydns/test/way0"))
            member.stop()  # 3.4 asks for rights when a watch begins
            member.start()
            wait_for(lambda: w.output().count("authentication failed") == 2 and refused in w.output())
            root = root_of(member)
            root.call("Auth/UserChangePassword", etcd.field(1, "dns") + etcd.field(2, "dns-pw"))
            root = root_of(member)
            root.call("Auth/UserAdd", etcd.field(1, "leaver") + etcd.field(2, "leaver-pw"))
            root = root_of(member)
            root.call("Auth/UserGrantRole", etcd.field(1, "leaver") + etcd.field(2, "leaver-role"))
            root = root_of(member)
            root.call("Auth/RoleGrantPermission", etcd.field(1, "blind-role") + etcd.field(2, etcd.field(2, "/skydns/test/way/") + etcd.field(3, "/skydns/test/way0")))
            root_of(member).put("/skydns/test/way/new", GOOD % 5)
            wait_for(lambda: w.output().count("in step again") == 3, 45)
            for port in ("dns", "leaver", "blind"):
                w.port["dns"], keep = w.port[port], w.port["dns"]
                wait_for(lambda: a(w, "new.way.test") == ("NOERROR", ["192.0.2.5"]))
                w.port["dns"] = keep
        wait_for(lambda: w.output().count("authentication failed") == 2 and w.output().count(refused) == 1)
        assert not any(f"{user}-pw" in w.output() for user in ("dns", "leaver", "blind"))


def test_authentication_goes_and_comes(forgetful):
    """Disabled and enabled while waypost runs with credentials: it follows without them, and with them."""
    with synced(Waypost(corefile(forgetful.url, "credentials dns dns-pw"))) as w:
        with Watcher(w, "x.way.test", always(("NOERROR", ["192.0.2.1"]))):
            root_of(forgetful).call("Auth/AuthDisable")
            forgetful.stop()
            forgetful.start()
            forgetful.client.put("/skydns/test/way/off", GOOD % 6)
            wait_for(lambda: a(w, "off.way.test") == ("NOERROR", ["192.0.2.6"]))
            forgetful.client.call("Auth/AuthEnable")
            root = root_of(forgetful)
            root.put("/skydns/test/way/on", GOOD % 7, root.grant(500))
            wait_for(lambda: a(w, "on.way.test") == ("NOERROR", ["192.0.2.7"]))
            wait_for(lambda: (ttl(w, "on.way.test") or 0) > 300)
            forgetful.stop()
            forgetful.start()
            root_of(forgetful).put("/skydns/test/way/last", GOOD % 8)
            wait_for(lambda: a(w, "last.way.test") == ("NOERROR", ["192.0.2.8"]))
        wait_for(lambda: w.output().count("authentication is not enabled") == 1)
