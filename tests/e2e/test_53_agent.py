"""waypost register --listen: the agent of a host, told of services over HTTP."""
import http.client
import json
import os
import re
import signal
import socket
import stat
import subprocess
import time

import etcd
import pytest
from registrar import keys, lease_of, own_store, run, store  # noqa: F401
from server import TOP, WAYPOST, Process, free_port, wait_for


class Agent(Process):
    def __init__(self, m, *options, port=None, env=None):
        self.port = port or free_port()
        where = ["--endpoint", m.url] if m else []
        super().__init__([WAYPOST, "register", "--listen", f"127.0.0.1:{self.port}", "--exit-timeout", "20s", *where, *options], env=env)
        wait_for(lambda: "listening on" in self.output() or not self.alive())

    def ask(self, method, path="", body=None, **headers):
        """Status and JSON."""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        data = body if body is None or isinstance(body, (str, bytes)) else json.dumps(body)
        c.request(method, "/v1/services" + path, data, {k.replace("_", "-"): v for k, v in headers.items()})
        r = c.getresponse()
        text = r.read()
        c.close()
        assert r.getheader("Content-Type") == "application/json", text
        return r.status, json.loads(text)

    def put(self, name, status=201, **more):
        got, s = self.ask("PUT", "", {"name": name, "address": "192.0.2.1", "port": 80, **more})
        assert got == status, s
        return s

    def state(self, sid):
        return self.ask("GET", "/" + sid)[1]["state"]

    def up(self, sid):
        wait_for(lambda: self.state(sid) == "registered")
        return self


@pytest.fixture(scope="module")
def agent(store):
    with Agent(store) as a:
        yield a


# --- a service's life ------------------------------------------------------------------------------

@pytest.mark.parametrize("what", ["000-29-http"])
def test_life(store, agent, what):
    s = agent.put("life.dev", id="life-1", priority=5, weight=7, record_ttl=11, text="hello", tags=["blue", "v2"], ttl="20s")
    assert s["id"] == "life-1" and s["state"] in ("pending", "registered")
    agent.up("life-1")
    status, s = agent.ask("GET", "/life-1")
    assert {k: s[k] for k in ("name", "address", "port", "priority", "weight", "record_ttl", "text", "tags", "ttl")} == {
        "name": "life.dev.", "address": "192.0.2.1", "port": 80, "priority": 5, "weight": 7, "record_ttl": 11, "text": "hello",
        "tags": ["blue", "v2"], "ttl": 20}
    there = keys(store, "life.dev")
    assert sorted(re.sub("/.*", "/", k) if "/" in k else "text" for k in there) == ["blue/", "text", "v2/"]
    assert [v for k, v in there.items() if k.startswith("blue/")] == [{"host": "192.0.2.1", "port": 80, "priority": 5, "weight": 7, "ttl": 11}]
    assert s["key"].rpartition("/")[2] in "".join(there) and int(s["lease"], 16) == lease_of(store, "life.dev")
    assert 15 <= store.client.time_to_live(lease_of(store, "life.dev")) <= 20
    assert "life-1" in [x["id"] for x in agent.ask("GET")[1]["services"]]
    assert agent.ask("DELETE", "/life-1")[0] == 200 and agent.ask("GET", "/life-1")[0] == 404
    wait_for(lambda: not keys(store, "life.dev"))
    assert agent.ask("DELETE", "/life-1")[0] == 404


def test_id_is_made_up(store, agent):
    a, b = agent.put("made.dev")["id"], agent.put("made.dev")["id"]
    assert a != b
    agent.up(a).up(b)
    assert sorted(keys(store, "made.dev")) == sorted([a, b])
    for sid in (a, b):
        agent.ask("DELETE", "/" + sid)


def test_replaced_in_one_revision(store, agent):
    """Nobody sees a moment with none, or with both; another ttl needs another lease."""
    agent.put("old.dev", id="swap")
    agent.up("swap")
    lease = lease_of(store, "old.dev")
    agent.put("new.dev", id="swap", status=200, address="192.0.2.2")
    wait_for(lambda: keys(store, "new.dev"))  # it is "up" all the time
    (key, value, revision, new_lease), = store.client.get("/skydns/dev/new/", "/skydns/dev/new0")
    assert json.loads(value)["host"] == "192.0.2.2" and new_lease == lease and keys(store, "old.dev") == {}
    before = store.client.call("KV/Range", etcd.field(1, "/skydns/dev/old/") + etcd.field(2, "/skydns/dev/old0") + etcd.field(4, revision - 1))
    at_once = store.client.call("KV/Range", etcd.field(1, "/skydns/dev/old/") + etcd.field(2, "/skydns/dev/old0") + etcd.field(4, revision))
    assert len(before.get(2, [])) == 1 and 2 not in at_once
    agent.put("new.dev", id="swap", status=200, ttl=50)
    wait_for(lambda: [k[3] for k in store.client.get("/skydns/dev/new/", "/skydns/dev/new0") if k[3] != lease])
    assert store.client.time_to_live(lease) == -1 and 45 <= store.client.time_to_live(lease_of(store, "new.dev")) <= 50
    assert agent.ask("POST", "", {"id": "swap", "name": "x.dev", "address": "192.0.2.3", "port": 1})[0] == 409
    assert agent.ask("PUT", "/swap", {"id": "other", "name": "x.dev", "address": "192.0.2.3", "port": 1})[0] == 400
    assert agent.ask("PUT", "/swap", {"name": "third.dev", "address": "192.0.2.3", "port": 1})[0] == 200
    wait_for(lambda: len(keys(store, "third.dev")) == 1 and not keys(store, "new.dev"))
    agent.ask("DELETE", "/swap")


def test_told_again(store, agent):
    """By those who tell it every minute: nothing changes, and it counts as a check-in."""
    agent.put("again.dev", id="again", check_in="1h")
    agent.up("again")
    before = store.client.get("/skydns/dev/again/", "/skydns/dev/again0")
    agent.put("again.dev", id="again", check_in="1h", status=200)
    assert agent.state("again") == "registered"
    assert store.client.get("/skydns/dev/again/", "/skydns/dev/again0") == before
    assert agent.ask("PUT", "/again/fail")[1]["state"] == "withdrawn"
    wait_for(lambda: not keys(store, "again.dev"))
    assert agent.put("again.dev", id="again", check_in="1h", status=200)["checked_in"] is True
    agent.up("again")
    agent.ask("DELETE", "/again")


def test_check_in(store, agent):
    agent.put("in.dev", id="in", check_in="300ms")
    wait_for(lambda: agent.ask("GET", "/in")[1]["checked_in"] is False)
    wait_for(lambda: not keys(store, "in.dev"))
    assert agent.state("in") == "withdrawn"
    assert agent.ask("PUT", "/in/pass")[1]["checked_in"] is True
    wait_for(lambda: keys(store, "in.dev"))
    wait_for(lambda: not keys(store, "in.dev"))
    agent.put("in.dev", id="in", status=200, check_in="1h")
    wait_for(lambda: keys(store, "in.dev"))
    assert agent.ask("POST", "/in/fail")[1]["state"] == "withdrawn"
    wait_for(lambda: not keys(store, "in.dev"))
    agent.ask("DELETE", "/in")
    agent.put("free.dev", id="free")
    assert agent.ask("PUT", "/free/pass")[0] == 400 and agent.ask("GET", "/free/pass")[0] == 405
    assert agent.ask("PUT", "/free/other")[0] == 404 and agent.ask("PUT", "/nobody/pass")[0] == 404
    agent.ask("DELETE", "/free")


@pytest.mark.parametrize("what", ["000-31-agent"])
def test_check(store, agent, what):
    port = free_port()
    agent.put("checked.dev", id="checked", health={"check": f"tcp:127.0.0.1:{port}", "interval": "20ms", "timeout": "10s", "fails": 1})
    wait_for(lambda: agent.ask("GET", "/checked")[1]["health"]["state"] == "failing")
    status, s = agent.ask("GET", "/checked")
    assert s["state"] == "withdrawn" and "Connection refused" in s["health"]["reason"] and keys(store, "checked.dev") == {}
    with socket.create_server(("127.0.0.1", port)):
        wait_for(lambda: keys(store, "checked.dev"))
        agent.put("checked2.dev", id="checked", status=200, health=f"tcp:127.0.0.1:{port}")
        wait_for(lambda: keys(store, "checked2.dev") and not keys(store, "checked.dev"))
    agent.put("checked2.dev", id="checked", status=200, health={"check": f"tcp:127.0.0.1:{port}", "interval": "20ms"})
    wait_for(lambda: not keys(store, "checked2.dev"))
    agent.put("checked2.dev", id="checked", status=200)
    wait_for(lambda: keys(store, "checked2.dev"))
    agent.ask("DELETE", "/checked")


def test_as_many_checks_as_there_may_be(agent):
    for i in range(256):
        agent.put("many.dev", id=f"c{i}", health={"check": "tcp:127.0.0.1:1", "interval": "1h"})
    s = agent.put("many.dev", id="c256", status=503, health="tcp:127.0.0.1:1")
    assert s == {"error": "256 services with a check are registered already"}
    agent.put("many.dev", id="c7", status=200, health="tcp:127.0.0.1:2")
    for i in range(256):
        agent.ask("DELETE", f"/c{i}")
    agent.put("many.dev", id="c256", health="tcp:127.0.0.1:1")
    agent.ask("DELETE", "/c256")


# --- all of them -----------------------------------------------------------------------------------

def register_many(a, n, **more):
    c = http.client.HTTPConnection("127.0.0.1", a.port, timeout=20)
    for i in range(n):
        c.request("PUT", "/v1/services", json.dumps({"id": f"s{i}", "name": f"s{i}.all", "address": "192.0.2.1", "port": 80, **more}))
        r = c.getresponse()
        r.read()
        assert r.status == 201
    c.close()


def test_all_go_with_the_agent(store):
    with Agent(store) as a:
        register_many(a, 500)
        wait_for(lambda: {s["state"] for s in a.ask("GET")[1]["services"]} == {"registered"})
        found = store.client.get("/skydns/all/", "/skydns/all0")
        assert len(found) == len({lease for *_, lease in found}) == 500
        assert a.stop() == 0 and "end with their leases" not in a.output()
    assert store.client.get("/skydns/all/", "/skydns/all0") == []


@pytest.mark.parametrize("what", ["000-30-agent"])
def test_kill_9(store, what):
    with Agent(store) as a:
        register_many(a, 20, ttl=1)
        wait_for(lambda: len(store.client.get("/skydns/all/", "/skydns/all0")) == 20)
        end = time.monotonic() + 1.5  # they are kept alive
        while time.monotonic() < end:
            assert len(store.client.get("/skydns/all/", "/skydns/all0")) == 20
            time.sleep(0.1)
        a.kill(signal.SIGKILL)
        a.wait()
        wait_for(lambda: store.client.get("/skydns/all/", "/skydns/all0") == [])


def test_asleep_for_longer_than_the_leases(store):
    """A host that slept: all is registered again, by a registrar of one too."""
    one = Process([WAYPOST, "register", "slept.dev", "192.0.2.1", "80", "--ttl", "1", "--endpoint", store.url])
    with Agent(store) as a, one:
        register_many(a, 5, ttl=1)
        wait_for(lambda: len(store.client.get("/skydns/all/", "/skydns/all0")) == 5 and keys(store, "slept.dev"))
        for p in (a, one):
            p.kill(signal.SIGSTOP)
        try:
            wait_for(lambda: not store.client.get("/skydns/all/", "/skydns/all0") and not keys(store, "slept.dev"))
        finally:
            for p in (a, one):
                p.kill(signal.SIGCONT)
        wait_for(lambda: len(store.client.get("/skydns/all/", "/skydns/all0")) == 5 and keys(store, "slept.dev"))


def test_etcd_comes_late_and_is_wiped(own_store):
    """Registering does not wait for etcd; all is there again after each trouble."""
    own_store.kill()
    with Agent(own_store) as a:
        a.put("late.dev", id="late")
        wait_for(lambda: "UNAVAILABLE" in a.ask("GET", "/late")[1].get("error", ""))
        assert a.state("late") == "pending"
        own_store.start()
        a.up("late")
        assert len(keys(own_store, "late.dev")) == 1 and "error" not in a.ask("GET", "/late")[1]
        own_store.kill()
        own_store.wipe()
        own_store.start()
        wait_for(lambda: len(keys(own_store, "late.dev")) == 1)
        a.put("later.dev", id="later")
        wait_for(lambda: keys(own_store, "later.dev"))


def test_users(own_store, tmp_path):
    """With a password; a token that is not taken any more is replaced."""
    secret = tmp_path / "secret"
    secret.write_text("root:rootpw")
    etcd.enable_auth(own_store.client, "rootpw")
    token = own_store.client.call("Auth/Authenticate", etcd.field(1, "root") + etcd.field(2, "rootpw"))[2][0].decode()
    own_store.connect(token)
    with Agent(own_store, "--credentials-file", str(secret)) as a:
        a.put("user.dev", id="user")
        a.up("user")
        own_store.client.call("Auth/UserAdd", etcd.field(1, "another") + etcd.field(2, "x"))  # tokens of before are old
        token = own_store.client.call("Auth/Authenticate", etcd.field(1, "root") + etcd.field(2, "rootpw"))[2][0].decode()
        own_store.connect(token)
        a.put("user2.dev", id="user2")
        a.up("user2")
        assert keys(own_store, "user.dev") and keys(own_store, "user2.dev")
    secret.write_text("root:wrong")
    with Agent(own_store, "--credentials-file", str(secret), "--exit-timeout", "0s") as a:
        a.put("wrong.dev", id="wrong")
        wait_for(lambda: "authentication failed" in a.ask("GET", "/wrong")[1].get("error", ""))


def test_next_endpoint(store):
    with Agent(None, "--endpoint", "http://127.0.0.1:1", "--endpoint", store.url) as a:
        a.put("next.dev", id="next")
        a.up("next")
        a.says(f"at {store.url}")


def test_end_does_not_wait_for_etcd(own_store):
    with Agent(own_store, "--exit-timeout", "100ms") as a:
        a.put("stuck.dev", id="stuck", ttl=100)
        a.up("stuck")
        own_store.signal(signal.SIGSTOP)
        try:
            assert a.stop() == 0 and "1 records end with their leases" in a.output()
        finally:
            own_store.signal(signal.SIGCONT)


# --- requests --------------------------------------------------------------------------------------

GOOD = {"name": "x.dev", "address": "192.0.2.1", "port": 80}


@pytest.mark.parametrize("body, said", [
    ("", "octet 0"), ("{", "octet"), ("[" * 60000, "octet"), (b"\xff\xfe{}", "octet 0"), ("[]", "an object is wanted"), ("{}", "name is missing"),
    ({"name": "x.dev"}, "address is missing"), ({"name": "x.dev", "address": "192.0.2.1"}, "port is missing"),
    ({**GOOD, "prot": 1}, "prot: no such member"), ({**GOOD, "port": 65536}, "port: an integer within 0..65535"),
    ({**GOOD, "port": "80"}, "port: an integer"), ({**GOOD, "name": 1}, "name: a string"), ({**GOOD, "name": "a..b"}, "a..b: not a domain name"),
    ({**GOOD, "name": "*.dev"}, "stand for every name"), ({**GOOD, "name": "."}, "the root"), ({**GOOD, "zone": ".."}, "not a domain name"),
    ({**GOOD, "name": "x\0.dev"}, "name: a string is wanted"),
    ({**GOOD, "address": "192.0.2.300"}, "not an address"), ({**GOOD, "address": "0.0.0.0"}, "nobody can connect"),
    ({**GOOD, "id": "a/b"}, "id: 1 to 128 letters"), ({**GOOD, "id": ""}, "id: 1 to 128 letters"), ({**GOOD, "id": ".."}, "id: 1 to"),
    ({**GOOD, "tags": "x"}, "tags: a list"), ({**GOOD, "tags": ["A.b"]}, "a tag is a label"), ({**GOOD, "tags": ["x"] * 33}, "at most 32"),
    ({**GOOD, "ttl": 0}, "ttl: a duration within 1s..24h"), ({**GOOD, "ttl": "soon"}, "ttl: a duration"), ({**GOOD, "weight": -1}, "weight: an integer"),
    ({**GOOD, "health": 1}, "health: a string or an object"), ({**GOOD, "health": "udp:53"}, "is wanted"), ({**GOOD, "health": {}}, "health.check is missing"),
    ({**GOOD, "health": "exec:id"}, "commands are not run for others"), ({**GOOD, "health": {"check": "tcp", "fails": 0}}, "health.fails: an integer"),
    ({**GOOD, "health": {"check": "tcp", "x": 0}}, "health.x: no such member"), ({**GOOD, "health": {"check": "tcp", "insecure": 1}}, "true or false"),
    ({**GOOD, "health": {"check": "tcp", "insecure": True}}, "are for https"), ({**GOOD, "check_in": "1y"}, "check_in: a duration"),
    ({**GOOD, "name": "a" * 60 + ".dev", "tags": ["t" * 60], "zone": ".".join(["z" * 60] * 3)}, "longer than a domain name may be"),
])
def test_bad_body(agent, body, said):
    for method in ("PUT", "POST"):
        status, answer = agent.ask(method, "", body)
        assert status == 400 and said in answer["error"], answer


def test_large_body(agent):
    assert agent.ask("PUT", "", {**GOOD, "id": "large", "text": "x" * 60000})[0] == 201
    agent.ask("DELETE", "/large")
    c = http.client.HTTPConnection("127.0.0.1", agent.port, timeout=20)
    c.request("PUT", "/v1/services", b"x" * 65537)
    assert c.getresponse().status == 413
    c.close()


@pytest.mark.parametrize("method, path, status, allow", [
    ("DELETE", "", 405, "GET, HEAD, POST, PUT"), ("PATCH", "/x", 404, None), ("PUT", "/a%20b", 404, None), ("GET", "/x/y/z", 404, None),
])
def test_bad_request(agent, method, path, status, allow):
    assert agent.ask(method, path, GOOD)[0] == status
    c = http.client.HTTPConnection("127.0.0.1", agent.port, timeout=20)
    c.request(method, "/v1/services" + path)
    assert c.getresponse().getheader("Allow") == allow
    c.close()


def test_who_may_ask(agent):
    """Not the pages of a browser, also not those whose name has been pointed here."""
    assert agent.ask("GET", Origin="http://example.com")[0] == 403
    for host, status in (("localhost:80", 200), ("127.0.0.1", 200), ("[::1]:80", 200), ("agent.example.com", 403), ("127.0.0.1.example.com:80", 403)):
        assert agent.ask("GET", Host=host)[0] == status, host


def test_token(store, tmp_path):
    secret = tmp_path / "token"
    secret.write_text("s3cret\n")
    with Agent(store, "--token-file", str(secret)) as a:
        assert a.ask("GET")[0] == 401 and a.ask("GET", Authorization="Bearer s3cre")[0] == 401
        assert a.ask("GET", Authorization="Bearer s3creT")[0] == 401 and a.ask("GET", Authorization="Bearer s3cret")[0] == 200
        with open(f"/proc/{a.pid}/cmdline") as f:
            assert "s3cret" not in f.read()


# --- where it listens ------------------------------------------------------------------------------

def test_unix_socket(store, tmp_path):
    """Of its user and group; one left behind is taken over, one in use is not."""
    path = str(tmp_path / "agent.sock")
    argv = [WAYPOST, "register", "--listen", "unix:" + path, "--endpoint", store.url]

    def curl(*args):
        return subprocess.run(["curl", "-fsS", "--unix-socket", path, *args], text=True, capture_output=True, timeout=20)

    with Process(argv) as a:
        wait_for(lambda: "listening on " + path in a.output())
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
        assert json.loads(curl("http://localhost/v1/services", "-d", json.dumps(GOOD)).stdout)["name"] == "x.dev."
        with Process(argv) as b:
            assert b.wait() == 125 and "Address already in use" in b.output()
        a.kill(signal.SIGKILL)
        a.wait()
    with Process(argv) as a:
        wait_for(lambda: "listening on " + path in a.output())
        assert curl("http://localhost/v1/services").stdout == '{"services":[]}\n'
        assert a.stop() == 0
    assert not os.path.exists(path)


def test_port_in_use(store, agent):
    with Agent(store, port=agent.port) as a:
        assert a.wait() == 125 and f"--listen 127.0.0.1:{agent.port}: Address already in use" in a.output()


@pytest.mark.parametrize("args, said", [
    (["--listen", "8053"], "ADDRESS:PORT or unix:PATH is wanted"), (["--listen", "example.com:80"], "ADDRESS:PORT or unix:PATH"),
    (["--listen", "unix:"], "not a path"), (["--listen", "0.0.0.0:8053"], "other hosts could register there"),
    (["--listen", "[::]:8053"], "other hosts could"), (["--listen", "0.0.0.0:8053", "--listen-remote"], "--token-file"),
    (["--listen", "127.0.0.1:0", "--token-file", "/nonexistent"], "/nonexistent: No such file"),
    (["--listen", "127.0.0.1:0", "x.dev", "192.0.2.1", "80"], "not by NAME or COMMAND"),
    (["--listen", "127.0.0.1:0", "--", "true"], "not by NAME or COMMAND"),
    (["--listen", "127.0.0.1:0", "--tag", "x"], "over HTTP, not by options"),
    (["--listen-remote", "x.dev", "192.0.2.1", "80"], "are for --listen"),
])
def test_refused(args, said):
    code, out, err = run(None, "register", *args)
    assert (code, out) == (125, "") and said in err, err


def test_examples_of_the_readme(store):
    """Each is run as it stands, but for the port."""
    with open(os.path.join(TOP, "backends/etcd/README.md")) as f:
        examples = re.findall(r"^curl .*", f.read(), re.M)
    assert len(examples) == 6
    with Agent(store, "--zone", "dev") as a:
        answers = []
        for line in examples:
            p = subprocess.run(["sh", "-c", line.replace("127.0.0.1:8053", f"127.0.0.1:{a.port}")], text=True, capture_output=True, timeout=20)
            assert p.returncode == 0, line + p.stderr
            answers.append(json.loads(p.stdout))
        assert [x.get("id") for x in answers] == ["web-1", "db-1", "db-1", "web-1", None, "web-1"]
        wait_for(lambda: keys(store, "db.dev") and not keys(store, "web.dev"))
