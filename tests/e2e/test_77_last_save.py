"""The end comes while the last known data is being written: the outcome is waited for, and what fails is written again."""
import socket

import etcd
import kube
import nomads
import pytest
from server import Waypost, wait_for
from test_35_etcd_disk import Disk
from test_35_etcd_state import A, corefile, files

pytestmark = pytest.mark.timing  # a program with sanitizers takes no preloaded library


def start_etcd(member, state, **args):
    member.client.put("/skydns/test/way/n1/x", A % 1)
    return Waypost(corefile(member.url, state), **args)


def start_kubernetes(api, state, **args):
    return kube.gateway(api, f"state {state}", **args)


def start_nomad(region, state, **args):
    nomads.fill(region)
    return nomads.gateway(region, f"state {state}", **args)


BACKENDS = {"etcd": (etcd.Member, start_etcd), "kubernetes": (kube.cluster, start_kubernetes), "nomad": (nomads.region, start_nomad)}


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("fails", [True, False], ids=["fails", "ends well"])
@pytest.mark.parametrize("name", BACKENDS)
def test_end_while_saving(name, fails, tmp_path):
    source, start = BACKENDS[name]
    disk = Disk(tmp_path)
    disk.set("h")
    with source() as s, start(s, tmp_path / "s", env=disk.env) as w:
        wait_for(lambda: files(tmp_path / "s", ".tmp"))
        w.kill()
        wait_for(lambda: "Shutting down servers" in w.output() and not listens(w.port["dns"]))
        disk.set("o" if fails else "")
        assert w.wait(30) == 0
        assert ("not saved to" in w.output()) == fails  # the process has ended: all is written
    assert len(files(tmp_path / "s")) == 1 and not files(tmp_path / "s", ".tmp")
