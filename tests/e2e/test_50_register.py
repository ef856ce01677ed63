"""waypost register: what services do in etcd, and what DNS makes of it."""
import ctypes
import http.server
import json
import os
import pty
import re
import select
import signal
import socket
import ssl
import subprocess
import sys
import termios
import threading
import time

import dns.rcode
import etcd
import etcd_rows
import pki
import pytest
import wire
from registrar import QUICK, Registrar, children, keys, lease_of, own_store, run, store  # noqa: F401
from server import WAYPOST, Process, Waypost, free_port, wait_for

# --- the record ----------------------------------------------------------------------------------

def test_value_and_lease(store):
    with Registrar(store, "value.dev", "--priority", "5", "--weight", "7", "--record-ttl", "11", "--text", 'a "b"', ttl=20).up() as r:
        (host_key, host), (text_key, text) = sorted(keys(store, "value.dev").items())
        assert host == {"host": "192.0.2.1", "port": 80, "priority": 5, "weight": 7, "ttl": 11}
        assert text == {"text": 'a "b"', "ttl": 11} and text_key == host_key + "-t"
        assert 15 <= store.client.time_to_live(lease_of(store, "value.dev")) <= 20
        assert r.stop() == 143
    assert keys(store, "value.dev") == {}


@pytest.mark.parametrize("what", ["000-29", "000-18"])
def test_dns_follows(store, what):
    """The gateway's own backend reads it: A, SRV, TXT, tags; and it is gone with the command."""
    name = f"web{what[-2:]}.dev"
    conf = ".:{dns} {\n etcd dev {\n endpoint %s\n }\n}" % store.url

    def ask(qname, rtype="A"):
        m = etcd_rows.parse(wire.udp(w.port["dns"], wire.query(qname, rtype), timeout=3))
        return dns.rcode.to_text(m.rcode()), [r.split(" ", 3)[3] for r in etcd_rows.section(m.answer)]

    with Waypost(conf) as w:
        with Registrar(store, name, "--text", "hello", "--tag", "blue", "--tag", "v2").up():
            wait_for(lambda: ask(name) == ("NOERROR", ["192.0.2.1"]))
            assert ask("blue." + name) == ask("v2." + name) == ("NOERROR", ["192.0.2.1"])
            assert ask(name, "TXT") == ("NOERROR", ['"hello"'])
            assert [re.match(r"10 \d+ 80 \S+\.(blue|v2)\.web", x)[1] for x in ask(name, "SRV")[1]] == ["blue", "v2"]
        wait_for(lambda: ask(name)[0] == "NXDOMAIN")


def test_alias_and_no_port(store):
    with Registrar(store, "alias", "--zone", "dev", address="other.dev.", port=0).up():
        assert list(keys(store, "alias.dev").values()) == [{"host": "other.dev.", "port": -1}]


def test_replicas_are_told_apart(store):
    with Registrar(store, "many.dev").up(), Registrar(store, "many.dev").up(), \
            Registrar(store, "many.dev", address="2001:db8:1234:5678:9abc:def0:1234:5678").up():
        ids = keys(store, "many.dev")
        assert len(ids) == 3 and all(re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", i) for i in ids)
    assert keys(store, "many.dev") == {}


@pytest.mark.parametrize("what", ["000-30"])
def test_kill_9(store, what):
    """Nobody tells etcd: the lease ends."""
    with Registrar(store, "killed.dev", ttl=1).up() as r:
        child = next(iter(children(r.pid)))
        r.kill(signal.SIGKILL)
        r.wait()
        os.kill(child, signal.SIGKILL)
        wait_for(lambda: not keys(store, "killed.dev"))


@pytest.mark.timing
@pytest.mark.parametrize("what", ["000-30"])
def test_kill_9_in_time(store, what):
    with Registrar(store, "late.dev", ttl=2).up() as r:
        child = next(iter(children(r.pid)))
        r.kill(signal.SIGKILL)
        t0 = time.monotonic()
        r.wait()
        os.kill(child, signal.SIGKILL)
        wait_for(lambda: not keys(store, "late.dev"))
        assert time.monotonic() - t0 < 2 + 1


# --- the command ---------------------------------------------------------------------------------

@pytest.mark.parametrize("command, code", [
    (["true"], 0),
    (["sh", "-c", "exit 7"], 7),
    (["sh", "-c", "kill -KILL $$"], 137),
    (["sh", "-c", "kill -TERM $$"], 143),
    (["/nonexistent"], 127),
    (["/etc/passwd"], 126),
])
def test_exit_code(store, command, code):
    with Registrar(store, "exit.dev", command=command) as r:
        assert r.wait() == code, r.output()
    assert keys(store, "exit.dev") == {}


def test_command_starts_clean(store):
    """No signal is blocked, none ignored but those that were when we were started (nohup), nothing but the three
    descriptors is open."""
    with open("/proc/self/status") as f:
        inherited = int(re.search(r"SigIgn:\s*(\w+)", f.read())[1], 16)
    for own in (signal.SIGPIPE, signal.SIGXFSZ):  # Python's, which it does not hand on
        inherited &= ~(1 << (own - 1))
    look = "echo $(grep -E 'SigBlk|SigIgn' /proc/self/status) fds $(ls /proc/self/fd | wc -l)"
    with Registrar(store, "clean.dev", command=["sh", "-c", look]) as r:
        r.wait()
        blocked, ignored, fds = re.search(r"SigBlk: (\w+) SigIgn: (\w+) fds (\d+)", r.output()).groups()
        assert int(blocked, 16) == 0 and fds == "4"  # the fourth is the folder that is read
        assert (int(ignored, 16) ^ inherited) & 0x7fffffff == 0  # beyond are the C library's own


def test_nobody_reads_what_it_says(store):
    """A full pipe: the record is kept alive and taken away all the same."""
    r, w = os.pipe()
    os.set_blocking(w, False)
    try:
        while True:
            os.write(w, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(w, True)
    p = subprocess.Popen([WAYPOST, "register", "mute.dev", "192.0.2.1", "80", "--endpoint", store.url], stderr=w)
    try:
        wait_for(lambda: keys(store, "mute.dev"))
        p.send_signal(signal.SIGTERM)
        assert p.wait(15) == 0 and keys(store, "mute.dev") == {}
    finally:
        p.kill()
        p.wait()
        os.close(r)
        os.close(w)


@pytest.mark.parametrize("sig", ["TERM", "INT", "HUP", "QUIT"])
def test_without_a_command(store, sig):
    with Registrar(store, "alone.dev", command=None).up() as r:
        for ignored in (signal.SIGUSR1, signal.SIGWINCH):
            r.kill(ignored)
        r.kill(getattr(signal, "SIG" + sig))
        assert r.wait() == 0
    assert keys(store, "alone.dev") == {}


LISTENER = """
import os, select, signal, sys
r, w = os.pipe()
os.set_blocking(w, False)
signal.set_wakeup_fd(w)  # a signal that comes just before a read would wait for the read's end
for s in ("TERM", "INT", "HUP", "USR1", "USR2", "WINCH", "QUIT"):
    signal.signal(getattr(signal, "SIG" + s), lambda n, f, s=s: print("got", s, flush=True))
print("listening", flush=True)
while 0 not in select.select([0, r], [], [])[0]:
    os.read(r, 100)
sys.stdin.readline()
sys.exit(3)
"""


def test_signals_are_handed_on(store):
    """One after the other; TERM takes the record away while the command goes on with its end."""
    r, w = os.pipe()
    argv = [WAYPOST, "register", "sig.dev", "192.0.2.1", "80", "--endpoint", store.url, "--", sys.executable, "-c", LISTENER]
    with Process(argv, stdin=r) as p:
        wait_for(lambda: "listening" in p.output() and "registered" in p.output())
        for s in ("HUP", "USR1", "USR2", "WINCH", "INT", "QUIT"):
            p.kill(getattr(signal, "SIG" + s))
            wait_for(lambda s=s: f"got {s}\n" in p.output())
        assert len(keys(store, "sig.dev")) == 1
        p.kill(signal.SIGTERM)
        wait_for(lambda: "got TERM\n" in p.output())
        wait_for(lambda: not keys(store, "sig.dev"))
        assert p.alive()
        os.write(w, b"end\n")
        assert p.wait() == 3
        wait_for(lambda: p.output().count("got ") == 7)
    os.close(r)
    os.close(w)


def test_a_terminal_is_heard_once(store):
    """Its signals reach the whole group by themselves."""
    argv = [WAYPOST, "register", "tty.dev", "192.0.2.1", "80", "--endpoint", store.url, "--", sys.executable, "-c", LISTENER]
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(argv[0], argv)
    modes = termios.tcgetattr(fd)
    modes[3] |= termios.NOFLSH  # or the kernel drops what was written while it signals
    termios.tcsetattr(fd, termios.TCSANOW, modes)
    seen = bytearray()

    def says(text):
        while text not in seen:
            assert select.select([fd], [], [], 20)[0], seen
            seen.extend(os.read(fd, 4096))

    try:
        says(b"listening")
        says(b"registered")
        os.write(fd, b"\x03")
        says(b"got INT")
        os.kill(pid, signal.SIGUSR1)  # what was wrongly handed on would stand before this
        says(b"got USR1")
        os.write(fd, b"end\n")
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        pid = 0
        assert code == 3 and seen.count(b"got INT") == 1
    finally:
        os.close(fd)
        if pid:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def subreaper():
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: kept by exec


@pytest.mark.parametrize("how", ["subreaper", "first process"])
def test_adopted_children_are_reaped(store, how, tmp_path):
    """A grandchild loses its parent and ends; nothing of it is left. Where no name space may be made, the process only
    adopts as the first one of a container would."""
    own = how == "first process" and subprocess.run(["unshare", "-p", "-f", "true"], capture_output=True).returncode == 0
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    command = ["sh", "-c", f"(sh -c 'read x < {gate}' &) ; exec sleep 1000"]
    argv = [*(["unshare", "-p", "-f"] if own else []), WAYPOST, "register", "reap.dev", "192.0.2.1", "80", "--endpoint", store.url, "--",
            *command]
    p = subprocess.Popen(argv, stderr=subprocess.DEVNULL, preexec_fn=subreaper)
    try:
        pid = wait_for(lambda: next(iter(children(p.pid)), None)) if own else p.pid
        wait_for(lambda: len(children(pid)) == 2)
        with open(gate, "w") as f:
            f.write("x\n")
        wait_for(lambda: len(children(pid)) == 1)
        os.kill(pid, signal.SIGTERM)
        assert p.wait(15) == 143
    finally:
        if p.poll() is None:
            p.kill()


def test_service_manager(store, tmp_path):
    """READY=1 once the record stands; the command does not see the socket."""
    at = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(at)
        s.settimeout(20)
        with Registrar(store, "unit.dev", command=["sh", "-c", 'echo "[$NOTIFY_SOCKET]"; exec sleep 1000'],
                       env={"NOTIFY_SOCKET": at}) as r:
            assert s.recv(100) == b"READY=1"
            assert len(keys(store, "unit.dev")) == 1
            r.said("[]\n")
            r.kill()
            assert s.recv(100) == b"STOPPING=1"


# --- etcd goes and comes -------------------------------------------------------------------------

def test_etcd_comes_later(own_store):
    m = own_store
    m.kill()
    with Registrar(m, "later.dev", command=["sh", "-c", "echo running; exec sleep 1000"]) as r:
        r.said("running").said("UNAVAILABLE")
        assert m.url in r.output()
        m.start()
        r.up()
        assert len(keys(m, "later.dev")) == 1


def test_etcd_restarts(own_store):
    """The lease lives on and is kept alive; the command has not noticed."""
    m = own_store
    with Registrar(m, "restart.dev", ttl=60).up():
        lease = lease_of(m, "restart.dev")
        m.kill()
        m.start()
        assert lease_of(m, "restart.dev") == lease
        m.client.revoke(lease)
    with Registrar(m, "restart.dev", command=["sh", "-c", "echo once; exec sleep 1000"], ttl=1).up() as r:
        m.kill()
        r.said("UNAVAILABLE")
        m.start()
        wait_for(lambda: keys(m, "restart.dev"))
        wait_for(lambda: r.output().count("once") == 1)


def test_lease_is_lost(store):
    with Registrar(store, "lost.dev", ttl=2).up() as r:
        before = lease_of(store, "lost.dev")
        store.client.revoke(before)
        r.said("is gone: registering again").said("registered again")
        wait_for(lambda: keys(store, "lost.dev") and lease_of(store, "lost.dev") != before)


def test_etcd_is_wiped(own_store):
    m = own_store
    with Registrar(m, "wiped.dev", ttl=2).up() as r:
        m.kill()
        m.wipe()
        m.start()
        r.said("registered again")
        wait_for(lambda: len(keys(m, "wiped.dev")) == 1)


def test_next_endpoint(store):
    dead = f"http://127.0.0.1:{free_port()}"
    with Registrar(None, "second.dev", "--endpoint", dead, "--endpoint", store.url).up() as r:
        assert store.url in r.output()
    with Registrar(None, "env.dev", env={"ETCDCTL_ENDPOINTS": f"{dead},{store.url}"}).up():
        pass


def test_a_member_that_says_nothing_is_left_in_time(store):
    """Before the lease ends."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with Registrar(None, "silent.dev", "--endpoint", url, "--endpoint", store.url, ttl=1).up() as r:
            r.says(f"at {store.url}")


def test_end_does_not_wait_for_etcd(own_store):
    """A member that takes connections and says nothing."""
    with Registrar(own_store, "stuck.dev", "--exit-timeout", "100ms", ttl=100).up() as r:
        own_store.signal(signal.SIGSTOP)
        try:
            assert r.stop() == 143
            r.says("ends with its lease")
        finally:
            own_store.signal(signal.SIGCONT)


# --- health --------------------------------------------------------------------------------------

class Page(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_GET(self):
        self.send_response(Page.status if self.path == "/well" else 404)
        self.end_headers()

    def log_message(self, *args):
        pass


class Web:
    options = []

    def __init__(self, _tmp_path):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.check = f"http://127.0.0.1:{self.server.server_port}/well"

    def set(self, well):
        Page.status = 204 if well else 503

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class SecureWeb(Web):
    """Its certificate is for another name than the host that is asked."""

    def __init__(self, tmp_path):
        super().__init__(tmp_path)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*pki.cert("web.internal"))
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.check = self.check.replace("http://127.0.0.1", "https://localhost")
        self.options = ["--health-cacert", pki.ca(), "--health-tls-name", "web.internal"]


class Port:
    options = []

    def __init__(self, _tmp_path):
        self.port, self.socket = free_port(), None
        self.check = f"tcp:127.0.0.1:{self.port}"

    def set(self, well):
        self.close()
        if well:
            self.socket = socket.create_server(("127.0.0.1", self.port))

    def close(self):
        if self.socket:
            self.socket.close()
            self.socket = None


class Script:
    options = []

    def __init__(self, tmp_path):
        self.file = tmp_path / "well"
        self.check = f"exec:test -e {self.file}"

    def set(self, well):
        self.file.touch() if well else self.file.unlink(missing_ok=True)

    def close(self):
        pass


@pytest.mark.parametrize("kind", [Web, SecureWeb, Port, Script],
                         ids=["000-31-http", "000-31-https", "000-31-tcp", "000-31-exec"])
def test_health(store, kind, tmp_path):
    name = f"{kind.__name__.lower()}.dev"
    service = kind(tmp_path)
    try:
        service.set(False)
        options = ["--health", service.check, "--health-interval", "20ms", "--health-timeout", "10s", *service.options]
        with Registrar(store, name, *options, ttl=30) as r:
            r.said("the check fails: ")
            assert keys(store, name) == {}
            for i in range(2):
                service.set(True)
                wait_for(lambda: len(keys(store, name)) == 1)
                service.set(False)
                wait_for(lambda: not keys(store, name))
            wait_for(lambda: r.output().count("registered") == r.output().count("withdrawn") == 2)
    finally:
        service.close()


def test_check_that_hangs(store):
    """It fails, and is killed with what it has started."""
    options = ["--health", "exec:sleep 4711 & wait", "--health-interval", "10ms", "--health-timeout", "100ms"]
    with Registrar(store, "hang.dev", *options) as r:
        r.said("the check fails: check: Connection timed out")
        wait_for(lambda: len(children(r.pid)) <= 2)  # the command, and a check at most
    wait_for(lambda: "\nsleep 4711\n" not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout)
    assert keys(store, "hang.dev") == {}


@pytest.mark.parametrize("check, why", [
    ("tcp:", "is wanted"), ("tcp:h:0", "is wanted"), ("tcp:h:x", "is wanted"), ("udp:53", "is wanted"), ("exec:", "is wanted"),
    ("http://h:x/", "is wanted"), ("http:/a b", "is wanted"), ("https://h:x/", "is wanted"),
])
def test_no_such_check(check, why):
    code, out, err = run(None, "register", "x.dev", "192.0.2.1", "80", "--health", check)
    assert code == 125 and out == "" and f"--health {check}: " in err and why in err


@pytest.mark.parametrize("options, why", [
    ([], "tls: "), (["--health-cacert", "ca"], "web.internal"), (["--health-insecure"], None),
], ids=["unknown-signer", "other-name", "insecure"])
def test_certificate_of_a_check(store, tmp_path, options, why):
    """One that does not prove who answers is a failed check, and it is told why."""
    service = SecureWeb(tmp_path)
    options = [pki.ca() if o == "ca" else o for o in options]
    service.set(True)
    try:
        with Registrar(store, "tls.dev", "--health", service.check, "--health-interval", "20ms", *options) as r:
            if why:
                r.said("the check fails: localhost")
                assert "tls: " in r.output() and keys(store, "tls.dev") == {}
            else:
                r.up()
    finally:
        service.close()


# --- access --------------------------------------------------------------------------------------

def test_credentials_and_certificates(tmp_path):
    """Neither is ever on a command line; etcd's word about a wrong one is told, with who said it."""
    certificate, key = pki.cert("localhost")
    secret = tmp_path / "secret"
    with etcd.Member(args=[*QUICK, "--auth-token", "simple"], tls={"cert": certificate, "key": key, "ca": pki.ca()}) as m:
        etcd.enable_auth(m.client, "rootpw")
        secret.write_text("root\nrootpw\n")
        tls = ["--cacert", pki.ca()]
        with Registrar(m, "secret.dev", *tls, "--credentials-file", str(secret)).up() as r:
            with open(f"/proc/{r.pid}/cmdline") as f:
                assert "rootpw" not in f.read()
            for env in ({"ETCDCTL_USER": "root:rootpw"}, {"ETCDCTL_USER": "root", "ETCDCTL_PASSWORD": "rootpw"}):
                code, out, err = run(m, "list", "--json", env={**env, "ETCDCTL_CACERT": pki.ca()})
                assert code == 0 and [x["host"] for x in json.loads(out)] == ["192.0.2.1"], err
            assert "rootpw" not in r.output()
        code, out, err = run(m, "list", *tls)
        assert code == 3 and m.url in err and "user name is empty" in err
        secret.write_text("root:wrong")
        code, out, err = run(m, "list", *tls, "--credentials-file", str(secret))
        assert code == 3 and f"{m.url}: authenticate: INVALID_ARGUMENT" in err and "wrong" not in err
        code, out, err = run(m, "list", "--cacert", str(secret), "--credentials-file", str(secret))
        assert code == 3 and m.url in err


def test_corefile_says_where(store, tmp_path):
    """The block that serves the name; options of the line go before it."""
    conf = tmp_path / "Corefile"
    conf.write_text("a.test {\n etcd {\n endpoint http://127.0.0.1:1\n }\n}\n"
                    "b.test {\n etcd {\n path /other\n endpoint %s\n }\n}\n" % store.url)
    with Registrar(None, "x.b.test", "-conf", str(conf)).up():
        code, out, err = run(None, "list", "b.test", "-conf", str(conf), "--json")
        assert code == 0 and json.loads(out)[0]["key"].startswith("/other/test/b/x/"), err
    assert run(None, "list", "a.test", "-conf", str(conf))[0] == 3
    assert run(store, "list", "a.test", "-conf", str(conf)) == (0, "", "")
    conf.write_text(". {\n whoami\n}\n")
    code, out, err = run(None, "list", "-conf", str(conf))
    assert code == 2 and "no block has the directive etcd" in err
    conf.write_text(". {\n nonsense\n}\n")
    code, out, err = run(None, "list", "-conf", str(conf))
    assert code == 2 and "Corefile:2: " in err


# --- words ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("args, code, said", [
    (["register"], 125, "too few words: NAME ADDRESS PORT"),
    (["register", "x", "192.0.2.1", "80", "y"], 125, "y: one word too many"),
    (["register", "x", "192.0.2.1", "80", "--"], 125, "no command follows"),
    (["register", "x", "192.0.2.300", "80"], 125, "192.0.2.300: not an address"),
    (["register", "x", "0.0.0.0", "80"], 125, "nobody can connect"),
    (["register", "x", "fe80::1%lo", "80"], 125, "this host's links only"),
    (["register", "x", "192.0.2.1", "65536"], 125, "65536: not a port"),
    (["register", "x" * 64, "192.0.2.1", "80"], 125, "not a domain name"),
    (["register", ".", "192.0.2.1", "80"], 125, "the root has no addresses"),
    (["register", "any.dev", "192.0.2.1", "80"], 125, "any.dev.: the labels * and any stand for every name"),
    (["register", "x", "192.0.2.1", "80", "--tag", "A.b"], 125, "a tag is a label"),
    (["register", "x", "192.0.2.1", "80", "--ttl", "0"], 125, "--ttl 0: must be within 1..86400"),
    (["register", "x", "192.0.2.1", "80", "--ttl=x"], 125, "--ttl x: not a number"),
    (["register", "x", "192.0.2.1", "80", "--health-interval", "1y"], 125, "--health-interval 1y: not a duration"),
    (["register", "x", "192.0.2.1", "80", "--credentials-file", "/nonexistent"], 125, "/nonexistent: No such file"),
    (["register", "x", "192.0.2.1", "80", "--endpoint", "ftp://x"], 125, "endpoint ftp://x: "),
    (["register", "x", "192.0.2.1", "80", "--health-insecure", "--health", "tcp"], 125, "are for --health https:"),
    (["register", "x", "192.0.2.1", "80", "--health", "https:/", "--health-cacert", "/nonexistent"], 125, "/nonexistent: no such file"),
    (["list", "--json=1"], 2, "--json=1: takes no value"),
    (["list", "--endpoint"], 2, "--endpoint: needs a value"),
    (["list", "--cert", "x"], 2, "--cert and --key belong together"),
    (["list", "--nothing"], 2, "--nothing: no such option"),
    (["list", "--", "x"], 2, "no command is taken"),
    (["deregister", "x", "a..b"], 2, "a..b: neither an address nor a domain name"),
    (["deregister", "x", "192.0.2.1", "http"], 2, "http: not a port"),
    (["etcd"], 2, "etcd: no such command"),
    (["etcd", "good"], 2, "etcd good: no such command"),
    (["help", "nothing"], 2, "nothing: no such command"),
    (["list", "--endpoint", "http://127.0.0.1:1"], 3, "http://127.0.0.1:1: read: UNAVAILABLE: "),
])
def test_refused(args, code, said):
    got, out, err = run(None, *args)
    assert (got, out) == (code, "") and said in err, err


COMMANDS = ["register", "list", "deregister", "etcd bad"]


@pytest.mark.parametrize("name", COMMANDS)
def test_help(name):
    code, out, err = run(None, "help", *name.split())
    assert (code, err) == (0, "") and out.startswith(f"Usage: waypost {name} ")
    assert run(None, *name.split(), "--help") == run(None, *name.split(), "-h") == (0, out, "")
    assert "--endpoint URL" in out and "Exit status:" in out
    assert f"  {name} " in run(None, "help")[1]


def test_events_as_json(store):
    with Registrar(store, "events.dev", "--json").up() as r:
        r.stop()
        events = [json.loads(line) for line in r.output().splitlines()]
        assert [e["event"] for e in events] == ["registered", "withdrawn"]
        assert all(e["name"] == "events.dev." and re.match(r"\d{4}-\d\d-\d\dT\S+Z$", e["time"]) for e in events)
