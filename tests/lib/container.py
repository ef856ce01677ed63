"""A root file system run as a container runtime runs it: mounts and network of its own, the root read-only, a user that is
not root, no capabilities but NET_BIND_SERVICE, no new privileges. Needs root."""
import ctypes
import json
import os
import socket
import subprocess
import sys
import threading

from server import Process, wait_for

USER = 65532
NET_BIND_SERVICE = 10
LAST_CAPABILITY = 40
_libc = ctypes.CDLL(None, use_errno=True)
PR_SET_KEEPCAPS, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 8, 24, 38
CAPSET = {"x86_64": 126, "aarch64": 91}[os.uname().machine]
CLONE_NEWNET = 0x40000000
# $1: the root; $2...: FROM:TO pairs, closed by "--"; then what is run
PREPARE = """set -e
root=$1; shift
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 dev "$root/dev"
for d in null urandom; do : >"$root/dev/$d"; mount --bind /dev/$d "$root/dev/$d"; done
while [ "$1" != -- ]; do
  from=${1%%:*} to=$root${1#*:}
  if [ -d "$from" ]; then mkdir -p "$to"; else mkdir -p "${to%/*}"; : >>"$to"; fi
  mount --bind "$from" "$to"; shift
done; shift
mount -o remount,ro,bind "$root"
exec "$PYTHON" "$SELF" "$root" "$@"
"""


def _call(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), "container")


def drop(keep=NET_BIND_SERVICE):
    """What a runtime does before it runs a container's process that is not root's."""
    for cap in range(LAST_CAPABILITY + 1):
        if cap != keep:
            _call(_libc.prctl(PR_CAPBSET_DROP, cap, 0, 0, 0))
    _call(_libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
    os.setgroups([])
    os.setresgid(USER, USER, USER)
    os.setresuid(USER, USER, USER)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)(1 << keep, 1 << keep, 0, 0, 0, 0)
    _call(_libc.syscall(CAPSET, header, data))
    _call(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


class Network(Process):
    """A network with nothing but its loopback interface, and these addresses on it."""

    def __init__(self, addresses=()):
        more = "".join(f"ip addr add {a}/32 dev lo && " for a in addresses)
        super().__init__(["unshare", "-n", "sh", "-c", f"ip link set lo up && {more}echo up && exec sleep infinity"])
        wait_for(lambda: "up" in self.output())
        self.file = f"/proc/{self.pid}/ns/net"

    def join(self, other, own, others):
        """A link between two, with an address (of a /24) at each end; for all else this one goes through the other."""
        def ip(net, *words):
            subprocess.run(["nsenter", f"--net={net.file}", "ip", *words], check=True)
        ip(self, "link", "add", "eth0", "type", "veth", "peer", "name", "eth1", "netns", str(other.pid))
        for net, name, address in ((self, "eth0", own), (other, "eth1", others)):
            ip(net, "addr", "add", f"{address}/24", "dev", name)
            ip(net, "link", "set", name, "up")
        ip(self, "route", "add", "default", "via", others)

    def inside(self, fn, *args):
        """fn(*args) of a thread in this network. Sockets that it makes, and threads that it starts, stay there."""
        made = []

        def enter():
            with open(self.file) as ns:
                _call(_libc.setns(ns.fileno(), CLONE_NEWNET))
            made.append(fn(*args))
        t = threading.Thread(target=enter)
        t.start()
        t.join()
        return made[0]

    def stop(self, seconds=15):
        self.proc.kill()
        return self.proc.wait(seconds)


class Container(Process):
    def __init__(self, root, argv, mounts=(), env=None, network=None):
        """mounts: (FROM, TO) pairs. network: one that others share; without, its own."""
        self.own = None if network else Network()
        self.network = network or self.own
        pairs = [f"{a}:{b}" for a, b in mounts]
        super().__init__(["nsenter", f"--net={self.network.file}", "unshare", "-m", "sh", "-c", PREPARE, "sh", str(root), *pairs, "--", *argv],
                         env={"PYTHON": sys.executable, "SELF": os.path.abspath(__file__), "INSIDE": json.dumps(env or {})})

    def __exit__(self, *exc):
        try:
            super().__exit__(*exc)
        finally:
            if self.own:
                self.own.__exit__(*exc)

    def socket(self, kind):
        s = self.network.inside(socket.socket, socket.AF_INET, kind)
        s.settimeout(5)
        return s

    def connect(self, port, host="127.0.0.1", seconds=20):
        """A connection, as soon as somebody listens."""
        def attempt():
            assert self.alive(), self.output()
            s = self.socket(socket.SOCK_STREAM)
            if s.connect_ex((host, port)) == 0:
                return s
            s.close()
            return None
        return wait_for(attempt, seconds, step=0.05)

    def ask(self, message, port=53, host="127.0.0.1"):
        with self.socket(socket.SOCK_DGRAM) as s:
            s.sendto(message, (host, port))
            return s.recv(65535)

    def get(self, port, path, host="127.0.0.1"):
        """(status, body) of a plain GET."""
        with self.connect(port, host) as s:
            s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            text = b"".join(iter(lambda: s.recv(65536), b""))
        head, _, body = text.partition(b"\r\n\r\n")
        return int(head.split()[1]), body.decode()

    def status(self):
        """/proc's status of the process, as texts."""
        with open(f"/proc/{self.pid}/status") as f:
            return {k: v.strip() for k, _, v in (line.partition(":") for line in f)}


if __name__ == "__main__":
    os.chroot(sys.argv[1])
    os.chdir("/")
    drop()
    os.execve(sys.argv[2], sys.argv[2:], {"PATH": "/usr/bin", **json.loads(os.environ["INSIDE"])})
