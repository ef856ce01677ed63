"""etcd: where the last known data is saved: disks in trouble, directories of others, endpoints that change."""
import os
import shutil
import time

import etcd
import pytest
from server import WAYPOST, Waypost, free_port, wait_for
from test_35_etcd_state import A, AWAY, ask, corefile, files, host, live, metric

FAKE = os.path.join(os.path.dirname(os.path.abspath(WAYPOST)), "fake/disk.so")
preload = pytest.mark.timing  # a program with sanitizers takes no preloaded library
SERVED = (0, {host(1): 30}, [AWAY])
LIVE = (0, {host(1): 300}, [])
NOTHING = (2, {}, [14])


@pytest.fixture(scope="module")
def member():
    with etcd.Member() as m:
        for i in range(1, 4):
            m.client.put(f"/skydns/test/way/n{i}/x", A % i)
        yield m


@pytest.fixture(scope="module")
def saved(member, tmp_path_factory):
    state = tmp_path_factory.mktemp("saved") / "s"
    with Waypost(corefile(member.url, state)) as w:
        live(w)
        wait_for(lambda: files(state))
        assert len(files(state, ".lock")) == 1
    assert not files(state, ".lock")
    return state


@pytest.fixture
def state(saved, tmp_path):
    """A copy of what an earlier run has saved."""
    shutil.copytree(saved, tmp_path / "s")
    return tmp_path / "s"


class Gone:
    """etcd does not answer."""

    def __init__(self, member):
        self.member = member

    def __enter__(self):
        self.member.kill()

    def __exit__(self, *exc):
        self.member.start()



# --- whose file ---------------------------------------------------------------------------------------


def test_endpoints_change(member, state):
    """A member more, one less, another order: what was saved is found while one of them is the same."""
    other = f"http://127.0.0.1:{free_port()}"
    with Gone(member):
        for endpoints, served in ((f"{other} {member.url}", True), (f"{member.url} {other}", True), (other, False)):
            with Waypost(corefile(endpoints, state)) as w:
                assert ask(w, "n1.way.test") == (SERVED if served else NOTHING), endpoints
                wait_for(lambda: not served or "is taken over from" in w.output())
                assert served or "is taken over from" not in w.output()  # of `other` alone nothing was ever saved
            assert len(files(state)) == 1 and not files(state, ".bad")
    with Waypost(corefile(f"{other} {member.url}", state)) as w:
        wait_for(lambda: ask(w, "n1.way.test") == LIVE)


def test_another_user_or_path_is_another_source(member, state):
    with Gone(member):
        for extra in ("path /other", "credentials u p"):
            with Waypost(corefile(member.url, state, extra)) as w:
                assert ask(w, "n1.way.test") == NOTHING
                assert "taken over" not in w.output()


def test_two_processes(member, state):
    """The second one says so, answers all the same, and saves when the first one is gone."""
    with Waypost(corefile(member.url, state)) as second:
        with Waypost(corefile(member.url, state)) as w:
            live(w)
            assert ask(w, "n1.way.test") == LIVE
            wait_for(lambda: "another process saves to" in w.output())
            assert "another process saves to" not in second.output()
            with Waypost(corefile(f"http://127.0.0.1:{free_port()} {member.url}", state)) as third:
                live(third)  # whose file it would be is in use: it is not taken away
                assert "taken over" not in third.output()
        assert not files(state, ".bad") and len(files(state)) == 2
    before = os.stat(files(state)[0]).st_mtime_ns
    with Waypost(corefile(member.url, state)) as w:
        live(w)
        member.client.put("/skydns/test/way/n9/x", A % 9)
        wait_for(lambda: ask(w, "n9.way.test")[1] == {host(9): 300})
    member.client.delete("/skydns/test/way/n9/x")
    assert max(os.stat(f).st_mtime_ns for f in files(state)) > before


# --- what is not believed -------------------------------------------------------------------------------


def foreign(path):
    os.chown(path, 4711, 4711)


def writable(path):
    os.chmod(path, 0o622)


def link(path):
    os.rename(path, path + ".elsewhere")
    os.symlink(path + ".elsewhere", path)


def directory(path):
    os.unlink(path)
    os.mkdir(path)


@pytest.mark.parametrize("change,why", [(foreign, "another user's"), (writable, "others may write it"), (link, "symbolic links"), (directory, "it is no file")])
def test_files_that_may_not_be_ours(member, state, change, why):
    """Nothing of it is served; a good one takes its place when etcd answers, where that can be."""
    path = files(state)[0]
    change(path)
    with Gone(member):
        with Waypost(corefile(member.url, state)) as w:
            assert ask(w, "n1.way.test") == NOTHING
            wait_for(lambda: why in w.output())
    with Waypost(corefile(member.url, state)) as w:
        live(w)
        assert ask(w, "n1.way.test") == LIVE
        wait_for(lambda: "saved 3 records" in w.output())
    assert os.path.isfile(path) and not os.path.islink(path) and os.stat(path).st_uid == os.geteuid()


def test_directory_for_everybody(member, saved, tmp_path):
    """As an emptyDir of Kubernetes is: said, and used."""
    (tmp_path / "s").mkdir()
    os.chmod(tmp_path / "s", 0o777)
    for f in files(saved):
        shutil.copy(f, tmp_path / "s")
    with Gone(member):
        with Waypost(corefile(member.url, tmp_path / "s")) as w:
            assert ask(w, "n1.way.test") == SERVED
            wait_for(lambda: "everybody may write to the directory" in w.output())


def test_directory_whose_parent_is_missing(member, tmp_path):
    with Waypost(corefile(member.url, tmp_path / "no" / "such")) as w:
        live(w)
        wait_for(lambda: "not saved to" in w.output() and "No such file or directory" in w.output())
        assert ask(w, "n1.way.test") == LIVE


# --- disks -----------------------------------------------------------------------------------------------


def mounted(tmp_path, state, options):
    """waypost with a file system of its own at `state`, which holds what `state` did; nobody else sees it."""
    path = tmp_path / "waypost"
    path.write_text(f"#!/bin/sh\nset -e\nexec unshare -m sh -c 'mount --make-rprivate / && mount -t tmpfs -o mode=700 tmpfs {state}.new && "
                    f"cp -p {state}/* {state}.new && mount -o remount,{options} {state}.new && mount --bind {state}.new {state} && "
                    f"{{ test {options} != ro || mount -o remount,bind,ro {state}; }} && exec {WAYPOST} \"$@\"' sh \"$@\"\n")
    path.chmod(0o755)
    os.mkdir(f"{state}.new")
    return str(path)


def inside(w, path):
    return f"/proc/{w.pid}/root{path}"


@pytest.fixture
def large(member):
    member.client.load((f"/skydns/test/way/full/k{i}", '{"text":"%s"}' % ("x" * 200)) for i in range(3000))
    yield
    member.client.delete_prefix("/skydns/test/way/full/")


@pytest.mark.parametrize("options,why", [("size=200k", "No space left on device"), ("ro", "Read-only file system")])
def test_full_or_read_only(member, state, tmp_path, large, options, why):
    """What was saved before stays and no half is left behind."""
    path = files(state)[0]
    before = open(path, "rb").read()
    with Waypost(corefile(member.url, state), binary=mounted(tmp_path, state, options)) as w:
        live(w)
        assert ask(w, "n1.way.test") == LIVE
        wait_for(lambda: "not saved to" in w.output())
        w.says(why)
        assert metric(w, "waypost_state_saves_total", result="failed") == 1
        with open(inside(w, path), "rb") as f:
            assert f.read() == before
        assert not files(inside(w, state), ".tmp")


class Disk:
    """For Waypost(env=disk.env): set('e') errors of fsync, 'h' it hangs, '' it is well."""

    def __init__(self, folder):
        self.path = str(folder / "fault")
        self.set("")
        self.env = {"LD_PRELOAD": FAKE, "DISK_FAULT": self.path}

    def set(self, fault):
        with open(self.path + ".new", "w") as f:
            f.write(fault)
        os.rename(self.path + ".new", self.path)


@preload
def test_fsync_fails(member, state, tmp_path):
    """As NFS tells that the server is full, late: the old file stays, and the next save is tried."""
    disk = Disk(tmp_path)
    disk.set("e")
    path = files(state)[0]
    before = open(path, "rb").read()
    with Waypost(corefile(member.url, state), env=disk.env) as w:
        live(w)
        member.client.put("/skydns/test/way/n3/x", A % 33)
        wait_for(lambda: "not saved to" in w.output() and "Input/output error" in w.output())
        assert open(path, "rb").read() == before and not files(state, ".tmp")
        disk.set("")
    assert open(path, "rb").read() != before
    member.client.put("/skydns/test/way/n3/x", A % 3)


@preload
def test_disk_hangs(member, tmp_path):
    """Questions are answered, and five ranges on one disk that hangs hold up the end no longer than one."""
    disk = Disk(tmp_path)
    zones = [f"z{i}.test" for i in range(5)]
    for z in zones:
        member.client.put("/skydns/test/%s/x" % z.split(".")[0], A % 7)
    w = Waypost(corefile(member.url, tmp_path / "s", zone=" ".join(zones)), env=disk.env)
    try:
        live(w, 5)
        wait_for(lambda: len(files(tmp_path / "s")) == 5)
        disk.set("h")
        for z in zones:
            member.client.put("/skydns/test/%s/x" % z.split(".")[0], A % 8)
        for z in zones:
            wait_for(lambda: ask(w, z) == (0, {host(8): 300}, []))
        begun = time.monotonic()
        w.kill()
        assert w.wait(30) == 0
        assert time.monotonic() - begun < 7
        w.says("not waiting any longer")  # the process has ended: all is written
    finally:
        disk.set("")
        w.kill(9)
        w.wait()
