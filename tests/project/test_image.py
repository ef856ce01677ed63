"""The container image: what deploy/kubernetes/image-root puts into it runs as the manifests say, and there is nothing else."""
import os
import re
import stat

import dns.message
import image
import pytest
import wire
from container import USER, Container
from server import wait_for

COREFILE = ".:53 {\n errors\n health\n ready\n prometheus :9153\n reload 2s 1s\n template_here\n}\n"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return image.folder(tmp_path_factory) / "root"


class ConfigMap:
    """A mounted one: the file is a link through `..data`, which is swapped when the ConfigMap changes."""

    def __init__(self, top, text):
        self.top, self.n = top, 0
        top.mkdir()
        self.put(text)
        (top / "Corefile").symlink_to("..data/Corefile")

    def put(self, text):
        self.n += 1
        folder = f"..2026_{self.n}"
        (self.top / folder).mkdir()
        (self.top / folder / "Corefile").write_text(text)
        (self.top / "..new").symlink_to(folder)
        os.replace(self.top / "..new", self.top / "..data")


def corefile(line):
    return COREFILE.replace("template_here", line)


def test_files(root):
    """004-7: all functions in one container, and nothing else in it."""
    programs, found = [], []
    for folder, dirs, files in os.walk(root):
        for name in files:
            path = os.path.join(folder, name)
            mode = os.lstat(path)
            found.append(os.path.relpath(path, root))
            assert not mode.st_mode & (stat.S_ISUID | stat.S_ISGID) and not (mode.st_mode & 0o022 and not os.path.islink(path)), path
            if os.path.isfile(path) and not os.path.islink(path) and mode.st_mode & 0o111 and ".so" not in name:
                programs.append(found[-1])
    assert programs == ["usr/lib/waypost/waypost"]
    kinds = {re.sub(r"/doc/.*", "/doc", re.sub(r"[^/]*\.so[^/]*$", "*.so", f)) for f in found}
    assert kinds == {"usr/bin/waypost", "usr/lib/waypost/waypost", "usr/lib/waypost/*.so", "usr/lib/x86_64-linux-gnu/*.so", "usr/lib64/*.so",
                     "etc/passwd", "etc/group", "etc/nsswitch.conf", "etc/ssl/certs/ca-certificates.crt", "usr/share/doc",
                     "usr/share/grpc/roots.pem"}
    r = image.make(root)
    assert r.returncode == 1 and "not empty" in r.stderr


@pytest.mark.parametrize("row", ["004-1-arguments", "004-3-one-process", "004-7-one-container"])
def test_runs_as_the_manifests_say(root, row, tmp_path):
    conf = ConfigMap(tmp_path / "conf", corefile("whoami"))
    argv = ["/usr/bin/waypost", "-conf", "/etc/coredns/Corefile"]
    with Container(root, argv, [(conf.top, "/etc/coredns")]) as c:
        c.connect(53).close()
        reply = dns.message.from_wire(c.ask(wire.query("who.test", "A")))
        assert reply.rcode() == 0 and reply.additional[0][0].address == "127.0.0.1"
        assert c.get(8080, "/health") == (200, "OK") and c.get(8181, "/ready") == (200, "OK")
        assert "coredns_dns_requests_total" in c.get(9153, "/metrics")[1]
        told = c.status()
        assert told["Uid"].split() == told["Gid"].split() == [str(USER)] * 4 and told["Groups"].strip() == ""
        assert told["NoNewPrivs"] == "1"
        assert {k: int(told[k], 16) for k in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"CapPrm": 1 << 10, "CapEff": 1 << 10,
                                                                                        "CapBnd": 1 << 10, "CapAmb": 0}
        mounts = [line.split() for line in open(f"/proc/{c.pid}/mountinfo")]
        assert [m[5].split(",")[0] for m in mounts if m[4] == "/"] == ["ro"]
        with open(f"/proc/{c.pid}/task/{c.pid}/children") as f:
            assert f.read().split() == []
        assert c.stop() == 0, c.output()


@pytest.mark.parametrize("row", ["004-9-configmap-swapped"])
def test_changed_configmap_is_loaded(root, row, tmp_path):
    conf = ConfigMap(tmp_path / "conf", corefile("whoami"))
    with Container(root, ["/usr/bin/waypost", "-conf", "/etc/coredns/Corefile"], [(conf.top, "/etc/coredns")]) as c:
        c.connect(53).close()
        assert dns.message.from_wire(c.ask(wire.query("a.test", "A"))).additional
        conf.put(corefile("hosts {\n  192.0.2.7 a.test\n }"))
        wait_for(lambda: dns.message.from_wire(c.ask(wire.query("a.test", "A"))).answer)
        conf.put(corefile("nonsense"))
        wait_for(lambda: "nonsense" in c.output())
        assert dns.message.from_wire(c.ask(wire.query("a.test", "A"))).answer


def test_modules_are_found(root, tmp_path):
    """The client of etcd is a module with libraries of its own; it, too, sees read-only files."""
    conf = ConfigMap(tmp_path / "conf", corefile("etcd a.test {\n  endpoint http://127.0.0.1:1\n }"))
    with Container(root, ["/usr/bin/waypost", "-conf", "/etc/coredns/Corefile"], [(conf.top, "/etc/coredns")]) as c:
        c.connect(53).close()

        def mapped():
            with open(f"/proc/{c.pid}/maps") as f:
                return "waypost-grpc.so" in f.read()
        wait_for(mapped)


def test_state_in_a_volume(root, tmp_path):
    """Without a volume nothing is saved, which is said; with one, it is where the data is kept."""
    conf = ConfigMap(tmp_path / "conf", corefile("etcd a.test {\n  endpoint http://127.0.0.1:1\n }"))
    volume = tmp_path / "volume"
    volume.mkdir()
    os.chmod(volume, 0o777)  # as an emptyDir is
    argv, mounts = ["/usr/bin/waypost", "-conf", "/etc/coredns/Corefile"], [(conf.top, "/etc/coredns")]
    with Container(root, argv, mounts) as c:
        c.connect(53).close()
        wait_for(lambda: "/var/lib/waypost" in c.output())
    with Container(root, argv, [*mounts, (volume, "/var/lib/waypost")]) as c:
        c.connect(53).close()
        wait_for(lambda: any(n.name.endswith(".lock") for n in volume.rglob("*")))
