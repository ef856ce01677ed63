"""A root file system run as a container runtime runs it: mounts and network of its own, the root read-only, a user that is
not root, no capabilities but NET_BIND_SERVICE, no new privileges. Needs root."""
import ctypes
import os
import socket
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
while [ "$1" != -- ]; do mount --bind "${1%%:*}" "$root${1#*:}"; shift; done; shift
mount -o remount,ro,bind "$root"
ip link set lo up
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


class Container(Process):
    def __init__(self, root, argv, mounts=()):
        self.netns = None
        pairs = [f"{a}:{b}" for a, b in mounts]
        super().__init__(["unshare", "-m", "-n", "sh", "-c", PREPARE, "sh", str(root), *pairs, "--", *argv],
                         env={"PYTHON": sys.executable, "SELF": os.path.abspath(__file__)})

    def socket(self, kind):
        """A socket in the container's network, which stays there. Only the thread that makes it goes there."""
        made = []

        def make():
            with open(f"/proc/{self.pid}/ns/net") as ns:
                _call(_libc.setns(ns.fileno(), CLONE_NEWNET))
            made.append(socket.socket(socket.AF_INET, kind))
            made[0].settimeout(5)
        t = threading.Thread(target=make)
        t.start()
        t.join()
        return made[0]

    def connect(self, port, seconds=20):
        """A connection, as soon as somebody listens."""
        def attempt():
            assert self.alive(), self.output()
            s = self.socket(socket.SOCK_STREAM)
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return s
            s.close()
            return None
        return wait_for(attempt, seconds, step=0.05)

    def ask(self, message):
        with self.socket(socket.SOCK_DGRAM) as s:
            s.sendto(message, ("127.0.0.1", 53))
            return s.recv(65535)

    def get(self, port, path):
        """(status, body) of a plain GET."""
        with self.connect(port) as s:
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
    os.execve(sys.argv[2], sys.argv[2:], {"PATH": "/usr/bin"})
