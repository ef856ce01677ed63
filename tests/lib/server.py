"""Servers under test: each on free ports, in a folder of its own, stopped by its own pid."""
import fcntl
import functools
import itertools
import os
import re
import signal
import socket
import subprocess
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WAYPOST = os.environ.get("WAYPOST") or os.path.join(TOP, "build/release/waypost")
START_S = 20
NOWHERE = "/nonexistent/waypost"  # no test meets what another one has saved


class Block:
    """Addresses and ports that only this process's tests use: ports come from below the system's own range, so
    that neither an outgoing connection nor a test beside this one takes one between its choice and its use."""

    FIRST, SIZE, COUNT = 10000, 500, 44

    def __init__(self):
        for self.number in range(self.COUNT):
            self.lock = open(os.path.join(tempfile.gettempdir(), f"waypost-ports-{os.getuid()}-{self.number}"), "w")
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # until this process ends
                break
            except BlockingIOError:
                self.lock.close()
        else:
            raise RuntimeError("no free block of ports")
        first = self.FIRST + self.number * self.SIZE
        self.ports = itertools.cycle(range(first, first + self.SIZE))


@functools.lru_cache(maxsize=None)
def block():
    return Block()


def own_address(n):
    """The n-th loopback address of this process: any port there is free."""
    return f"127.1.{block().number}.{n}"


def free_port():
    """A port that is free on 127.0.0.1 for TCP and UDP, and not given out lately."""
    for port in itertools.islice(block().ports, Block.SIZE):
        with socket.socket() as t, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
            try:
                t.bind(("127.0.0.1", port))
                u.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port")


def wait_for(what, seconds=START_S, step=0.01):
    """Poll until what() is true; its value. AssertionError when the time is over."""
    end = time.monotonic() + seconds
    while True:
        value = what()
        if value:
            return value
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(step)


class Process:
    """A child process with its output in a file."""

    def __init__(self, argv, cwd=None, env=None, stdin=subprocess.DEVNULL):
        self.dir = tempfile.TemporaryDirectory(prefix="waypost-test-")
        self.out_path = os.path.join(self.dir.name, "out")
        self.argv = argv
        with open(self.out_path, "wb") as out:
            self.proc = subprocess.Popen(argv, cwd=cwd, env={**os.environ, **(env or {})}, stdin=stdin,
                                         stdout=out, stderr=subprocess.STDOUT)

    @property
    def pid(self):
        return self.proc.pid

    def output(self):
        with open(self.out_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def says(self, *texts):
        """It has written them, or does before long: a thread of its own writes what is told."""
        def missing():
            ended = not self.alive()
            left = [t for t in texts if t not in self.output()]
            assert not left or not ended, f"ended without {left}:\n{self.output()[-4000:]}"
            return left
        wait_for(lambda: not missing())

    def alive(self):
        return self.proc.poll() is None

    def kill(self, sig=signal.SIGTERM):
        if self.alive():
            self.proc.send_signal(sig)

    def wait(self, seconds=15):
        return self.proc.wait(seconds)

    def stop(self, seconds=15):
        """End it; the exit code. A process that does not end is killed, and that is an error."""
        self.kill()
        try:
            return self.proc.wait(seconds)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
            raise AssertionError(f"did not end within {seconds} s: {self.argv}\n{self.output()[-2000:]}")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        try:
            if self.alive():
                self.stop()
        finally:
            self.dir.cleanup()


class Waypost(Process):
    """waypost with a Corefile. `{name}` in it is replaced by a port: {dns} {tls} {https} {grpc} {a} ...; `{dir}`
    by the folder, where files={name: text} are written. `before`: a command that executes the rest of its line."""

    tls_provider = None  # of all that are started while a test of the fixture `provider` runs

    def __init__(self, corefile, files=None, args=(), binary=None, env=None, wait=True, ports=None, before=()):
        self.home = tempfile.TemporaryDirectory(prefix="waypost-conf-")
        self.port = dict(ports or {})
        self.conf = os.path.join(self.home.name, "Corefile")
        for name, text in (files or {}).items():
            path = os.path.join(self.home.name, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as f:
                f.write(text if isinstance(text, bytes) else text.encode())
        self.write(corefile)
        env = {"STATE_DIRECTORY": NOWHERE, "WAYPOST_RUNTIME_DIR": self.home.name, **(env or {})}
        tls = ["-tls-provider", self.tls_provider] if self.tls_provider else []
        super().__init__([*before, binary or WAYPOST, "-conf", self.conf, *tls, *args], cwd=self.home.name, env=env)
        if wait:
            self.wait_ready()

    def fill(self, text):
        def one(m):
            name = m.group(1)
            if name == "dir":
                return self.home.name
            if name not in self.port:
                self.port[name] = free_port()
            return str(self.port[name])
        return re.sub(r"\{([a-z][a-z0-9]*)\}", one, text)

    def write(self, corefile):
        with open(self.conf, "w") as f:
            f.write(self.fill(corefile))

    def path(self, name):
        return os.path.join(self.home.name, name)

    def wait_ready(self):
        """All TCP ports of the Corefile accept."""
        for name, port in self.port.items():
            if name.startswith("x"):
                continue  # ports of others: upstreams, etcd
            def up(port=port):
                assert self.alive(), f"ended with {self.proc.returncode}:\n{self.output()}"
                with socket.socket() as s:
                    s.settimeout(1)
                    return s.connect_ex(("127.0.0.1", port)) == 0
            wait_for(up)
        return self

    def __exit__(self, *exc):
        try:
            if self.alive():
                code = self.stop()
                assert code == 0 or exc[0] is not None, f"exit code {code}:\n{self.output()[-4000:]}"
            text = self.output()
            assert "Sanitizer" not in text and "runtime error" not in text, text[-8000:]
        finally:
            self.dir.cleanup()
            self.home.cleanup()
