"""waypost register, of one service and of many, where etcd, the clock or the service itself does not behave."""
import json
import os
import signal
import socket
import subprocess
import time

import etcd
import pytest
import wall
from registrar import QUICK, Registrar, keys, lease_of, own_store, store  # noqa: F401
from server import WAYPOST, Process, free_port, wait_for

NOSPACE = 1


def agent(*options, env=None):
    port = free_port()
    a = Process([WAYPOST, "register", "--listen", f"127.0.0.1:{port}", *options], env=env)
    a.port = port
    wait_for(lambda: "listening on" in a.output())
    return a


def agent_with(name, ttl, *options, env=None):
    """An agent that knows of one service."""
    a = agent(*options, env=env)
    body = json.dumps({"name": name, "address": "192.0.2.1", "port": 80, "ttl": ttl})
    subprocess.run(["curl", "-fsS", f"http://127.0.0.1:{a.port}/v1/services", "-d", body], check=True, stdout=subprocess.DEVNULL)
    return a


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_told_to_end_while_it_connects_for_the_first_time(scheme):
    """Nobody answers: the command hears of it at once, and nothing holds up the end."""
    for command in (["sh", "-c", "trap 'exit 5' TERM; echo ready; while :; do sleep 0.01; done"], None):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}"
            with Registrar(None, "first.dev", "--endpoint", url, command=command) as r:
                silent.accept()[0].close() if command is None else wait_for(lambda: "ready" in r.output())
                t0 = time.monotonic()
                r.kill()
                assert r.wait() == (5 if command else 0)
                assert time.monotonic() - t0 < 10


@pytest.mark.timing
def test_told_to_end_while_it_connects_in_time():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for scheme in ("http", "https"):
            with Registrar(None, "first.dev", "--endpoint", f"{scheme}://127.0.0.1:{silent.getsockname()[1]}", command=None) as r:
                for _ in range(2):  # what gRPC opens, and what looks for the reason
                    silent.settimeout(1)
                    try:
                        silent.accept()[0]
                    except TimeoutError:
                        pass
                t0 = time.monotonic()
                assert r.stop() == 0 and time.monotonic() - t0 < 2


def test_command_that_goes_into_the_background(store, tmp_path):
    """What was run has ended: so does the registration. The one left behind is not touched."""
    pid = tmp_path / "pid"
    with Registrar(store, "daemon.dev", command=["sh", "-c", f"sleep 1000 >&- 2>&- & echo $! > {pid}; sleep 0.3"]).up() as r:
        assert r.wait() == 0
    assert keys(store, "daemon.dev") == {}
    os.kill(int(pid.read_text()), signal.SIGKILL)  # it is there


def test_no_quorum(tmp_path):
    """Two of three members are away for longer than the lease: the record stands again, or still, without a hand."""
    with etcd.Cluster(args=QUICK) as cluster:
        where = [x for m in cluster.members for x in ("--endpoint", m.url)]
        with Registrar(None, "one.quorum", *where, ttl=2).up() as r, agent_with("many.quorum", 2, *where) as a:
            m = cluster.members[0]
            wait_for(lambda: keys(m, "many.quorum"))
            for away in cluster.members[1:]:
                away.kill()
            wait_for(lambda: "failed" in r.output() or "trying on" in r.output(), 30)
            wait_for(lambda: "trying on" in a.output(), 30)
            assert r.alive() and a.alive()
            for away in cluster.members[1:]:
                away.start()
            for name in ("one.quorum", "many.quorum"):
                wait_for(lambda name=name: len(keys(m.connect() and m, name)) == 1)
            end = time.monotonic() + 3  # and goes on
            while time.monotonic() < end:
                assert len(keys(m, "one.quorum")) == len(keys(m, "many.quorum")) == 1
                time.sleep(0.1)
            assert r.stop() == 143 and a.stop() == 0
        assert keys(m, "one.quorum") == keys(m, "many.quorum") == {}


def test_no_space(own_store):
    """What stands is kept alive, what is new waits; one that is replaced stays as it was."""
    def alarm(on):
        own_store.client.call("Maintenance/Alarm", etcd.field(1, 1 if on else 2) + etcd.field(2, member) + etcd.field(3, NOSPACE))

    def tell(name):
        body = json.dumps({"id": "a", "name": name, "address": "192.0.2.1", "port": 80, "ttl": 1})
        out = subprocess.run(["curl", "-fsS", "-X", "PUT", f"http://127.0.0.1:{a.port}/v1/services", "-d", body], check=True, capture_output=True)
        return json.loads(out.stdout)

    member = etcd.parse(own_store.client.call("Maintenance/Status")[1][0])[2][0]
    with Registrar(own_store, "old.dev", ttl=1).up(), agent("--endpoint", own_store.url) as a:
        tell("agent.dev")
        wait_for(lambda: keys(own_store, "agent.dev"))
        alarm(True)
        tell("replaced.dev")
        with Registrar(own_store, "new.dev", ttl=1).said("space exceeded"):
            wait_for(lambda: "space exceeded" in tell("replaced.dev").get("error", ""))
            end = time.monotonic() + 1.5
            while time.monotonic() < end:
                assert len(keys(own_store, "old.dev")) == len(keys(own_store, "agent.dev")) == 1
                time.sleep(0.1)
            alarm(False)
            wait_for(lambda: keys(own_store, "new.dev") and keys(own_store, "replaced.dev"))
            assert keys(own_store, "agent.dev") == {}


def test_token_is_old(own_store, tmp_path):
    """The users change and the lease goes: the next write needs another token."""
    def root():
        token = own_store.client.call("Auth/Authenticate", etcd.field(1, "root") + etcd.field(2, "rootpw"))[2][0].decode()
        return own_store.connect(token)

    secret = tmp_path / "secret"
    secret.write_text("root:rootpw")
    etcd.enable_auth(own_store.client, "rootpw")
    root()
    with Registrar(own_store, "token.dev", "--credentials-file", str(secret), ttl=3).up() as r:
        lease = lease_of(own_store, "token.dev")
        own_store.client.call("Auth/UserAdd", etcd.field(1, "another") + etcd.field(2, "x"))
        root().call("Lease/LeaseRevoke", etcd.field(1, lease))
        r.up(2)
        assert lease_of(own_store, "token.dev") != lease


@pytest.mark.timing
def test_clock_is_set(store, tmp_path):
    """Forwards and back by an hour: leases are kept by a clock that nobody sets."""
    clock = wall.Wall(tmp_path)
    health = ["--health", "exec:true", "--health-interval", "100ms"]
    with Registrar(store, "clock.dev", *health, ttl=1, env=clock.env).up() as r, \
            agent_with("clocks.dev", 1, "--endpoint", store.url, env=clock.env) as a:
        wait_for(lambda: keys(store, "clocks.dev"))
        for seconds in (3600, -3600):
            clock.set(seconds)
            end = time.monotonic() + 1.2
            while time.monotonic() < end:
                assert len(keys(store, "clock.dev")) == len(keys(store, "clocks.dev")) == 1
                time.sleep(0.05)
        assert "lost" not in r.output() + a.output() and "again" not in r.output() + a.output()


def test_many_at_once(store):
    """Replicas that start together: each has its own record, and takes only its own away."""
    argv = [WAYPOST, "register", "crowd.dev", "192.0.2.1", "80", "--endpoint", store.url, "--exit-timeout", "20s"]
    crowd = [subprocess.Popen(argv, stderr=subprocess.DEVNULL) for _ in range(20)]
    try:
        wait_for(lambda: len(keys(store, "crowd.dev")) == 20, 60)
        for p in crowd[:10]:
            p.terminate()
        assert [p.wait(30) for p in crowd[:10]] == [0] * 10
        assert len(keys(store, "crowd.dev")) == 10
        for p in crowd[10:]:
            p.terminate()
        assert {p.wait(30) for p in crowd} == {0}
        assert keys(store, "crowd.dev") == {}
    finally:
        for p in crowd:
            p.kill()
            p.wait()
