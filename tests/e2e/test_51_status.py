"""`waypost status`: what a running process says of itself, against what is known from outside."""
import json
import os
import signal
import socket
import subprocess

import etcd
import pytest
import wire
from server import NOWHERE, WAYPOST, Waypost, wait_for

ZONE = """$ORIGIN example.org.
@ 3600 IN SOA ns hostmaster 7 3600 600 86400 300
@ IN NS ns
ns IN A 192.0.2.1
www IN A 192.0.2.80
"""


def run(*args, env=None, place=NOWHERE):
    return subprocess.run([WAYPOST, *args], capture_output=True, text=True, timeout=30,
                          env={**os.environ, "WAYPOST_RUNTIME_DIR": str(place), **(env or {})})


def status(w, *args):
    """Of this process, found by itself; its socket comes a moment after its ports."""
    wait_for(lambda: sockets(w.home.name))
    r = run("status", "--json", *args, place=w.home.name)
    assert r.returncode == 0, r.stderr
    return json.loads(r.stdout)


def backend(s, plugin):
    return [b for b in s["backends"] if b["plugin"] == plugin]


def sockets(place):
    return sorted(n for n in os.listdir(place) if n.endswith(".sock"))


@pytest.fixture(scope="module")
def member():
    with etcd.Member() as m:
        for i in range(5):
            m.client.put(f"/skydns/test/way/n{i}", '{"host":"192.0.2.%d"}' % i)
        m.client.put("/skydns/test/way/bad", "{")
        yield m


@pytest.fixture(scope="module")
def plain():
    """Without etcd: a zone file, hosts, upstreams, a cache."""
    with Waypost("""example.org:{dns} {
    cache
    file {dir}/db.example
}
.:{dns} {
    hosts {dir}/hosts {
        fallthrough
    }
    forward . 127.0.0.1:{xaway}
}
""", files={"db.example": ZONE, "hosts": "192.0.2.9 a.test\n"}) as w:
        yield w


def test_process_and_generation(plain):
    s = status(plain)
    assert s["pid"] == plain.pid and s["config"] == plain.conf and s["version"]
    assert 0 <= s["uptime_s"] < 600 and s["started"].endswith("Z")
    g = s["generation"]
    assert g["number"] == 1 and len(g["sha512"]) == 128 and s["reloads"]["done"] == s["reloads"]["failed"] == 0
    assert s["reloads"]["last_error"] is None and s["reloads"]["is_current"] is True and s["reloads"]["running_s"] is None


def test_listeners_workers_cache(plain):
    before = status(plain)
    with socket.create_connection(("127.0.0.1", plain.port["dns"])) as held:
        for _ in range(3):
            assert wire.udp(plain.port["dns"], wire.query("www.example.org", "A"))[3] & 15 == 0
        s = wait_for(lambda: (lambda s: s["listeners"][0]["connections"] == 1 and s)(status(plain)))
        assert held
    line = s["listeners"][0]
    assert line["listener"] == f"dns://:{plain.port['dns']}" and line["transports"] == "udp,tcp" and line["zones"] == 2
    assert line["max_connections"] == 10000
    assert all(w["answers"] for w in s["workers"])

    def asked(x):
        return sum(w["questions"] for w in x["workers"])
    assert asked(s) - asked(before) == 3
    (c,) = s["caches"]
    assert (c["plugin"], c["block"], c["hits"], c["misses"], c["answers"], c["denials"]) == ("cache", "example.org.", 2, 1, 1, 0)
    assert 100 < c["octets"] < 1000 and c["max_answers"] == 9984
    assert c["place"] == f"{plain.conf}:1"


def test_file_hosts_forward(plain):
    wire.udp(plain.port["dns"], wire.query("nobody.test", "A"), timeout=10)
    s = status(plain)
    ((f,), (h,), (fw,)) = (backend(s, p) for p in ("file", "hosts", "forward"))
    (z,) = f["zones"]
    assert (z["zone"], z["file"], z["loaded"], z["serial"], z["last_error"]) == \
        ("example.org.", os.path.join(plain.home.name, "db.example"), True, 7, None)
    assert z["records"] == 4 and z["octets"] > 0 and z["read"] and z["file_time"]
    assert h["entries"] == 2 and h["file"] == os.path.join(plain.home.name, "hosts")
    (st,) = fw["stanzas"]
    (u,) = st["upstreams"]
    assert u["upstream"] == f"127.0.0.1:{plain.port['xaway']}" and u["kind"] == "dns" and st["from"] == "."
    assert u["failed_tries"] > 0 and "refused" in u["last_error"] and u["last_error_time"] and u["rtt_ns"] is None
    wait_for(lambda: backend(status(plain), "forward")[0]["stanzas"][0]["upstreams"][0]["state"] == "down")
    (problem,) = status(plain)["problems"]
    assert problem.startswith(f"forward ({plain.conf}:5): {u['upstream']} is down: ") and "refused" in problem


def test_text(plain):
    r = run("status", place=plain.home.name)
    assert r.returncode == 0 and "generation:\n  number  1\n" in r.stdout
    assert f"pid      {plain.pid}\n" in r.stdout and "listener " in r.stdout and "_" not in r.stdout.split("config")[0]
    assert all(line == line.rstrip() for line in r.stdout.splitlines())


def test_zone_that_cannot_be_read_any_more():
    with Waypost("example.org:{dns} {\n file {dir}/db.example {\n reload 100ms\n }\n}\n", files={"db.example": ZONE}) as w:
        assert backend(status(w), "file")[0]["zones"][0]["last_error"] is None
        with open(os.path.join(w.home.name, "db.example"), "w") as f:
            f.write(ZONE.replace("SOA ns hostmaster 7", "SOA ns hostmaster 8") + "bad IN A nonsense\n")
        z = wait_for(lambda: (lambda z: z["last_error"] and z)(backend(status(w), "file")[0]["zones"][0]))
        assert "nonsense" in z["last_error"] and z["serial"] == 7 and z["last_error_time"]
        assert status(w)["problems"] == [f"file ({w.conf}:1): {z['last_error']}"]
        with open(os.path.join(w.home.name, "db.example"), "w") as f:
            f.write(ZONE.replace("SOA ns hostmaster 7", "SOA ns hostmaster 9"))
        wait_for(lambda: (lambda z: z["last_error"] is None and z["serial"] == 9)(backend(status(w), "file")[0]["zones"][0]))


# --- reload -----------------------------------------------------------------------------------


@pytest.mark.parametrize("_", ["000-16-the-new-generation-shows"])
def test_reloads(_):
    """A reload shows; one that fails shows why, and the generation stays; the socket is the same all the time."""
    with Waypost(".:{dns} {\n whoami\n}\n") as w:
        first, name = status(w), sockets(w.home.name)
        inode = os.stat(os.path.join(w.home.name, name[0])).st_ino
        assert name == [f"{w.pid}.sock"]
        w.write("example.org:{dns} {\n whoami\n}\n")
        w.kill(signal.SIGUSR1)
        second = wait_for(lambda: (lambda s: s["generation"]["number"] == 2 and s)(status(w)))
        assert second["generation"]["sha512"] != first["generation"]["sha512"] and second["reloads"]["done"] == 1
        assert second["generation"]["age_s"] <= second["uptime_s"]
        w.write("example.org:{dns} {\n nonsense\n}\n")
        w.kill(signal.SIGUSR1)
        third = wait_for(lambda: (lambda s: s["reloads"]["failed"] == 1 and s)(status(w)))
        assert third["generation"]["number"] == 2 and third["generation"]["sha512"] == second["generation"]["sha512"]
        assert len(third["problems"]) == 1 and "nonsense" in third["problems"][0]
        assert "nonsense" in third["reloads"]["last_error"] and third["reloads"]["last_failure"] and third["reloads"]["is_current"] is False
        os.unlink(w.conf)
        w.kill(signal.SIGHUP)
        assert "no such file" in wait_for(lambda: (lambda s: s["reloads"]["failed"] == 2 and s)(status(w)))["reloads"]["last_error"]
        w.write(".:{dns} {\n whoami\n}\n")
        w.kill(signal.SIGUSR1)
        fourth = wait_for(lambda: (lambda s: s["generation"]["number"] == 3 and s)(status(w)))
        assert fourth["problems"] == [] and fourth["reloads"]["is_current"] is True and fourth["generation"]["sha512"] == first["generation"]["sha512"]
        assert os.stat(os.path.join(w.home.name, name[0])).st_ino == inode


def test_reload_under_way(member):
    """One that waits for a new cluster: the pages answer all the while, and tell of it."""
    with Waypost("way.test:{dns} {\n etcd {\n endpoint %s\n }\n}\n" % member.url) as w:
        wait_for(lambda: backend(status(w), "etcd")[0]["state"] == "in step")
        w.write("way.test:{dns} {\n etcd {\n endpoint http://127.0.0.1:{xaway}\n }\n}\n")
        w.kill(signal.SIGUSR1)
        s = wait_for(lambda: (lambda s: s["reloads"]["running_s"] is not None and s)(status(w)))
        assert s["generation"]["number"] == 1 and backend(s, "etcd")[0]["state"] == "in step" and 0 <= s["reloads"]["running_s"] < 60


def test_corefile_that_reload_cannot_parse_is_told_once():
    with Waypost(".:{dns} {\n whoami\n reload 2s 1s\n}\n") as w:
        w.write(".:{dns} {\n whoami\n")
        s = wait_for(lambda: (lambda s: s["reloads"]["failed"] and s)(status(w)))
        lines = w.output().count("parse failed")
        wait_for(lambda: w.output().count("parse failed") > lines)
        assert s["reloads"]["last_error"] and status(w)["reloads"]["failed"] == 1


# --- etcd ---------------------------------------------------------------------------------------


def test_etcd_in_step(member, tmp_path):
    with Waypost("way.test:{dns} {\n etcd {\n path /skydns\n endpoint %s\n state %s\n }\n}\n" % (member.url, tmp_path)) as w:
        e = wait_for(lambda: (lambda e: e["state"] == "in step" and e)(backend(status(w), "etcd")[0]))
        rev = member.client.put("/skydns/test/way/new", '{"host":"192.0.2.77"}', lease=member.client.grant(60))
        e = wait_for(lambda: (lambda e: e["revision"] == rev and e)(backend(status(w), "etcd")[0]))
        assert (e["keys"], e["malformed_keys"], e["leases"], e["connected"], e["held"]) == (7, 1, 1, True, False)
        assert e["endpoint"] in member.url and e["source"].endswith("/skydns") and int(e["cluster_id"], 16) and e["octets"] > 0
        assert 0 <= e["heard_age_s"] < 60 and 0 <= e["changed_age_s"] < 60 and 0 < e["apply_ns"] < 10**9
        assert [p.split(": ", 1)[1] for p in status(w)["problems"]] == [e["source"] + ": 1 malformed keys (waypost etcd bad)"]
        (z,) = e["zones"]
        assert (z["zone"], z["below"], z["state"], z["keys"], z["behind_s"]) == ("way.test.", "/skydns/test/way", "in step", 7, 0)
        z = wait_for(lambda: (lambda z: z["saved_file"] and z)(backend(status(w), "etcd")[0]["zones"][0]))
        assert os.path.dirname(z["saved_file"]) == str(tmp_path) and 0 <= z["saved_age_s"] < 60
        member.client.delete("/skydns/test/way/new")


def test_etcd_away(tmp_path):
    with etcd.Member() as m:
        m.client.put("/skydns/test/way/a", '{"host":"192.0.2.1"}')
        corefile = "way.test:{dns} {\n etcd {\n endpoint %s\n credentials root s3cr3t-word\n state %s\n }\n}\n" % (m.url, tmp_path)
        with Waypost(corefile) as w:
            e = wait_for(lambda: (lambda e: e["state"] == "in step" and e)(backend(status(w), "etcd")[0]))
            wait_for(lambda: backend(status(w), "etcd")[0]["zones"][0]["saved_file"])
            m.kill()
            e = wait_for(lambda: (lambda e: e["state"] == "behind" and e["last_error"] and e)(backend(status(w), "etcd")[0]))
            assert e["keys"] == 1 and e["last_error_time"] and e["endpoint"] in e["last_error"] and e["zones"][0]["behind_s"] >= 1
            assert any("not in step: " in p for p in status(w)["problems"])
            assert "s3cr3t" not in run("status", "--json", place=w.home.name).stdout
        with Waypost(corefile) as w:
            e = wait_for(lambda: (lambda e: e["state"] == "saved" and e)(backend(status(w), "etcd")[0]))
            assert e["keys"] == 1 and e["heard_age_s"] is None and e["connected"] is False
            assert any("way.test.: served from saved data" in p for p in status(w)["problems"])


# --- which process ------------------------------------------------------------------------------


def test_nobody(tmp_path):
    r = run("status", place=tmp_path)
    assert r.returncode == 3 and "no running waypost was found" in r.stderr and r.stdout == ""
    assert run("status", "--socket", str(tmp_path / "x")).returncode == 3
    assert run("status", "--socket", "4194304", place=tmp_path).returncode == 3


@pytest.mark.parametrize("args", [("x",), ("--nonsense",), ("--socket",)])
def test_usage(args):
    r = run("status", *args)
    assert r.returncode == 2 and "waypost help status" in r.stderr


def test_two_processes(tmp_path):
    env = {"WAYPOST_RUNTIME_DIR": str(tmp_path)}
    with Waypost(".:{dns} {\n whoami\n}\n", env=env) as a, Waypost(".:{dns} {\n whoami\n}\n", env=env) as b:
        wait_for(lambda: len(sockets(tmp_path)) == 2)
        r = run("status", place=tmp_path)
        assert r.returncode == 4 and "--socket" in r.stderr
        for w in (a, b):
            assert str(w.pid) in r.stderr and w.conf in r.stderr
            for name in (str(w.pid), str(tmp_path / f"{w.pid}.sock")):
                assert json.loads(run("status", "--json", "--socket", name, place=tmp_path).stdout)["pid"] == w.pid
        b.stop()
        assert json.loads(run("status", "--json", place=tmp_path).stdout)["pid"] == a.pid


def test_socket_goes_with_the_process_and_dead_ones_with_the_next_start(tmp_path):
    env = {"WAYPOST_RUNTIME_DIR": str(tmp_path)}
    with Waypost(".:{dns} {\n whoami\n}\n", env=env) as a:
        wait_for(lambda: sockets(tmp_path))
        assert sockets(tmp_path) == [f"{a.pid}.sock"] and os.stat(tmp_path / f"{a.pid}.sock").st_mode & 0o777 == 0o600
        with Waypost(".:{dns} {\n whoami\n}\n", env=env) as killed:
            wait_for(lambda: f"{killed.pid}.sock" in sockets(tmp_path))
            killed.kill(signal.SIGKILL)
            killed.wait()
        assert f"{killed.pid}.sock" in sockets(tmp_path)
        assert json.loads(run("status", "--json", place=tmp_path).stdout)["pid"] == a.pid  # dead ones do not count
        (tmp_path / "1.sock").write_text("no socket: left alone")
        with Waypost(".:{dns} {\n whoami\n}\n", env=env) as c:
            wait_for(lambda: f"{c.pid}.sock" in sockets(tmp_path))
            assert sockets(tmp_path) == sorted(["1.sock", f"{a.pid}.sock", f"{c.pid}.sock"])
            c.kill(signal.SIGQUIT)
            c.wait()
        assert sockets(tmp_path) == sorted(["1.sock", f"{a.pid}.sock"])
        a.stop()
    assert sockets(tmp_path) == ["1.sock"]


def test_admin_path_and_off(tmp_path):
    path = str(tmp_path / "own.sock")
    with Waypost(".:{dns} {\n whoami\n admin %s\n}\n" % path) as w:
        wait_for(lambda: os.path.exists(path))
        assert sockets(w.home.name) == [] and json.loads(run("status", "--json", "--socket", path).stdout)["pid"] == w.pid
        with Waypost(".:{dns} {\n whoami\n admin %s\n}\n" % path) as late:  # the first one has it
            wait_for(lambda: "No admin socket: " + path in late.output())
            assert json.loads(run("status", "--json", "--socket", path).stdout)["pid"] == w.pid
        w.write(".:{dns} {\n whoami\n admin off\n}\n")
        w.kill(signal.SIGUSR1)
        wait_for(lambda: not os.path.exists(path))
        assert run("status", place=w.home.name).returncode == 3
        w.write(".:{dns} {\n whoami\n}\n")
        w.kill(signal.SIGUSR1)
        wait_for(lambda: sockets(w.home.name))
        assert status(w)["generation"]["number"] == 3
    with Waypost("a.test:{dns} {\n whoami\n}\nb.test:{dns} {\n whoami\n admin off\n}\nc.test:{dns} {\n whoami\n admin %s\n}\n" % path) as w:
        wait_for(lambda: "CoreDNS-" in w.output())
        assert sockets(w.home.name) == [] and not os.path.exists(path)  # the first block that says something


@pytest.mark.parametrize("line,why", [("admin", "Wrong argument count"), ("admin a b", "Wrong argument count"),
                                      ("admin a\n admin b", "only be used once")])
def test_admin_line(line, why, tmp_path):
    (tmp_path / "Corefile").write_text(".:1053 {\n %s\n whoami\n}\n" % line)
    r = run("check", "-conf", str(tmp_path / "Corefile"))
    assert r.returncode == 1 and why in r.stderr


def test_place_that_cannot_be_written_is_no_reason_to_stop(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    for env, line in (({"WAYPOST_RUNTIME_DIR": str(file / "below")}, ""), ({}, "admin %s/x.sock" % file), ({}, "admin /%s" % ("x" * 200))):
        with Waypost(".:{dns} {\n whoami\n %s\n}\n" % line, env=env) as w:
            wait_for(lambda: "No admin socket: " in w.output())
            assert wire.udp(w.port["dns"], wire.query("a.test", "A"))[3] & 15 == 0


@pytest.mark.skipif(os.getuid() != 0 or subprocess.run(["unshare", "-mn", "true"]).returncode != 0, reason="needs name spaces")
@pytest.mark.parametrize("env,run_options,place", [
    ({}, "ro", None), ({}, "rw", "/run/waypost"), ({"XDG_RUNTIME_DIR": "{tmp}/x"}, "ro", "{tmp}/x/waypost"),
    ({"RUNTIME_DIRECTORY": "{tmp}/r:{tmp}/x", "XDG_RUNTIME_DIR": "{tmp}/x"}, "rw", "{tmp}/r"),
    ({"RUNTIME_DIRECTORY": "{tmp}/none"}, "ro", None)],
    ids=["read-only-container", "usual", "of-a-user", "of-a-service", "service-without-directory"])
def test_places(env, run_options, place, tmp_path):
    """Where the socket is without a word about it, and that the command finds it there. Without a place for a file it
    has a name in the network."""
    def fill(text):
        return text.replace("{tmp}", str(tmp_path))
    for name in ("x", "r"):
        (tmp_path / name).mkdir()
    conf = tmp_path / "Corefile"
    conf.write_text(".:1053 {\n whoami\n}\n")
    script = ('mount -t tmpfs -o %s none /run || exit 8; "$0" -conf %s >%s/log & P=$!; trap "kill $P; wait $P" EXIT; '
              'for i in $(seq 400); do "$0" status --json && break; sleep 0.05; done >&2; [ $i -lt 400 ] || exit 9; '
              'find /run %s -type s; grep -o "@waypost/.*" /proc/net/unix | sort -u; echo $P' % (run_options, conf, tmp_path, tmp_path))
    clean = {k: v for k, v in os.environ.items() if k not in ("XDG_RUNTIME_DIR", "RUNTIME_DIRECTORY", "WAYPOST_RUNTIME_DIR")}
    r = subprocess.run(["unshare", "-mn", "sh", "-c", script, WAYPOST], capture_output=True, text=True, timeout=60,
                       env={**clean, **{k: fill(v) for k, v in env.items()}})
    assert r.returncode == 0 and '"config": "%s"' % conf in r.stderr, r.stdout + r.stderr
    *found, pid = r.stdout.split()
    assert found == [f"@waypost/{pid}" if place is None else f"{fill(place)}/{pid}.sock"]


@pytest.mark.skipif(os.getuid() != 0 or subprocess.run(["unshare", "-mnpf", "true"]).returncode != 0, reason="needs name spaces")
def test_containers_in_one_network(tmp_path):
    """Their processes have the same number; each is asked from its own container, and found there alone."""
    for i in (1, 2):
        (tmp_path / f"Corefile{i}").write_text(".:%d {\n whoami\n}\n" % (1052 + i))
    one = ('"$0" -conf %s/Corefile$1 & P=$!; for i in $(seq 200); do "$0" status --json >%s/out$1 && break; sleep 0.05; done; '
           'touch %s/done$1; for i in $(seq 400); do [ -e %s/done1 ] && [ -e %s/done2 ] && break; sleep 0.05; done; '
           '"$0" status --json >%s/out$1; kill $P; wait $P' % ((tmp_path,) * 6))
    script = ('mount -t tmpfs -o ro none /run || exit 8; for n in 1 2; do unshare -pf --mount-proc sh -c "$1" "$0" $n & done; '
              'wait; grep -o "@waypost.*" /proc/net/unix; exit 0')
    env = {k: v for k, v in os.environ.items() if k not in ("XDG_RUNTIME_DIR", "RUNTIME_DIRECTORY", "WAYPOST_RUNTIME_DIR")}
    r = subprocess.run(["unshare", "-mn", "sh", "-c", script, WAYPOST, one], capture_output=True, text=True, env=env, timeout=60)
    assert r.returncode == 0 and "@waypost" not in r.stdout, r.stdout + r.stderr
    told = [json.loads((tmp_path / f"out{i}").read_text()) for i in (1, 2)]
    assert [os.path.basename(t["config"]) for t in told] == ["Corefile1", "Corefile2"] and told[0]["pid"] == told[1]["pid"]


@pytest.mark.skipif(os.getuid() != 0, reason="needs another user")
def test_other_users_are_not_answered(tmp_path):
    os.chmod(tmp_path, 0o755)
    for p in tmp_path.parents:
        if str(p).startswith("/tmp/"):
            os.chmod(p, 0o755)
    path = str(tmp_path / "own.sock")

    def as_nobody(*args):
        def drop():
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        return subprocess.run([WAYPOST, *args], capture_output=True, text=True, preexec_fn=drop, timeout=30,
                              env={**os.environ, "WAYPOST_RUNTIME_DIR": str(tmp_path)})
    with Waypost(".:{dns} {\n whoami\n}\n", env={"WAYPOST_RUNTIME_DIR": str(tmp_path)}):
        wait_for(lambda: sockets(tmp_path))
        r = as_nobody("status")
        assert r.returncode == 3 and "permission denied" in r.stderr
    with Waypost(".:{dns} {\n whoami\n admin %s\n}\n" % path):
        wait_for(lambda: os.path.exists(path))
        assert as_nobody("status", "--socket", path).returncode == 3
        os.chmod(path, 0o666)  # whatever the mode says
        r = as_nobody("status", "--socket", path)
        assert r.returncode == 1 and r.stdout == "" and "another user" in r.stderr


# --- HTTP ----------------------------------------------------------------------------------------


def http(w, head):
    wait_for(lambda: sockets(w.home.name))
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(os.path.join(w.home.name, f"{w.pid}.sock"))
        s.sendall(head.encode())
        out = b""
        while True:
            piece = s.recv(65536)
            if not piece:
                return out.decode()
            out += piece


@pytest.mark.parametrize("request_line,code", [
    ("GET /status", 200), ("HEAD /status", 200), ("GET /status?format=text", 200), ("GET /status?format=json", 200),
    ("GET /status?format=xml", 400), ("GET /status?x", 400), ("POST /status", 405), ("GET /", 404), ("GET /metrics", 404),
    ("GET /status?" + "x" * 5000, 414), ("nonsense", 400)])
def test_requests(plain, request_line, code):
    out = http(plain, request_line + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert out.startswith(f"HTTP/1.1 {code} ")
    assert (out.split("\r\n\r\n", 1)[1] == "") == request_line.startswith("HEAD")


def test_pipelined_and_given_up(plain):
    """Several requests on a connection are answered in order; clients that leave, or do not read, harm nobody."""
    one = "GET /status HTTP/1.1\r\nHost: x\r\n\r\n"
    out = http(plain, one * 3 + one.replace("Host", "Connection: close\r\nHost"))
    assert out.count("HTTP/1.1 200 OK") == 4
    for _ in range(100):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(os.path.join(plain.home.name, f"{plain.pid}.sock"))
            s.sendall(one.encode())
    held = [socket.socket(socket.AF_UNIX) for _ in range(80)]
    for s in held:
        s.connect(os.path.join(plain.home.name, f"{plain.pid}.sock"))
    assert status(plain)["pid"] == plain.pid
    for s in held:
        s.close()
