"""waypost register and what it leaves in etcd."""
import json
import os
import subprocess

import etcd
import pytest
from server import WAYPOST, Process, wait_for

QUICK = ["--heartbeat-interval", "10", "--election-timeout", "100"]  # leases may be of one second then
SLEEP = ["sleep", "1000"]


@pytest.fixture(scope="module")
def store():
    """One for all tests of a file."""
    with etcd.Member(args=QUICK) as m:
        yield m


@pytest.fixture
def own_store():
    """For a test that does something to it."""
    with etcd.Member(args=QUICK) as m:
        yield m


def run(m, *args, env=None):
    """To its end: exit code, stdout, stderr."""
    where = ["--endpoint", m.url] if m else []
    p = subprocess.run([WAYPOST, *args, *where], text=True, capture_output=True, timeout=30, env={**os.environ, **(env or {})})
    return p.returncode, p.stdout, p.stderr


class Registrar(Process):
    """waypost register NAME 192.0.2.1 80 ... -- COMMAND"""

    def __init__(self, m, name, *options, command=SLEEP, address="192.0.2.1", port=80, ttl=30, env=None):
        where = ["--endpoint", m.url] if m else []
        super().__init__([WAYPOST, "register", name, address, str(port), "--ttl", str(ttl), "--exit-timeout", "20s", *where, *options,
                          *(["--", *command] if command else [])], env=env)

    def said(self, text, times=1):
        def enough():
            assert self.alive() or self.output().count(text) >= times, self.output()
            return self.output().count(text) >= times
        wait_for(enough)
        return self

    def up(self, times=1):
        return self.said("registered", times)


def path(name):
    return "/skydns/" + "/".join(reversed(name.split(".")))


def keys(m, name):
    """{key below the name: value}."""
    base = path(name) + "/"
    return {k.decode()[len(base):]: json.loads(v) for k, v, _rev, _lease in m.client.get(base, base[:-1] + "0")}


def lease_of(m, name):
    base = path(name) + "/"
    return m.client.get(base, base[:-1] + "0")[0][3]


def children(pid):
    """{pid: state} of the children of a process."""
    found = {}
    for p in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{p}/stat") as f:
                fields = f.read().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found[int(p)] = fields[0]
    return found
