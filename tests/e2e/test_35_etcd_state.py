"""etcd: what was saved answers after a start with etcd away."""
import glob
import os
import re
import shutil
import signal
import struct
import subprocess
import time
import zlib

import etcd
import etcd_rows
import pytest
import wire
from server import WAYPOST, Waypost, free_port, wait_for
from test_33_etcd_faults import metrics

A = '{"host":"192.0.2.%d","port":80}'
AWAY = 3  # extended error: stale answer


def corefile(endpoint, state, extra="", zone="way.test"):
    return """.:{dns} {
    prometheus 127.0.0.1:{metrics}
    errors
    etcd %s {
        endpoint %s
        state %s
        %s
    }
}
""" % (zone, endpoint, state, extra)


def ask(w, name, rtype="A"):
    """(rcode, {data: ttl}, codes of extended errors)."""
    reply = wire.udp(w.port["dns"], wire.query(name, rtype, qid=9, extra=wire.opt()), timeout=3)
    m = etcd_rows.parse(reply)
    answers = {" ".join(r.split(" ")[3:]): int(r.split(" ")[1]) for r in etcd_rows.section(m.answer)}
    return m.rcode(), answers, [int(o.code) for o in m.options if int(o.otype) == 15]


def host(n):
    return f"192.0.2.{n}"


def metric(w, name, **labels):
    return etcd_rows.metric(metrics(w), name, 0, **labels)


def files(state, end=".state"):
    return sorted(glob.glob(os.path.join(state, "*" + end)))


def live(w, n=1):
    wait_for(lambda: w.output().count("loaded ") >= n and "watching" in w.output())
    return w


@pytest.fixture(scope="module")
def member():
    with etcd.Member() as m:
        c = m.client
        for i in range(1, 4):
            c.put(f"/skydns/test/way/n{i}/x", A % i)
        c.put("/skydns/test/way/al", '{"host":"n1.way.test","ttl":9}')
        c.put("/skydns/test/way/txt", '{"text":"hello","mail":true,"group":"g","priority":7,"targetstrip":1}')
        yield m


@pytest.fixture(scope="module")
def saved(member, tmp_path_factory):
    """A directory with the file of a run that has ended; etcd runs, and there is a place where none does."""
    top = tmp_path_factory.mktemp("saved")
    with Waypost(corefile(member.url, top / "s")) as w:
        live(w)
        assert ask(w, "n1.way.test") == (0, {host(1): 300}, [])
        t0 = time.monotonic()
        wait_for(lambda: files(top / "s"))
        assert time.monotonic() - t0 < 5
        wait_for(lambda: "saved 5 records" in w.output())
        assert metric(w, "waypost_state_source", data="live") == 1
        assert metric(w, "waypost_state_age_seconds") == 0
        assert metric(w, "waypost_state_saves_total", result="ok") == 1
    return top / "s"


class Away:
    """The saved files for a start in which etcd does not answer: a member that is stopped, its port closed."""

    def __init__(self, member, saved, path):
        self.member, self.state = member, path / "s"
        shutil.copytree(saved, self.state)
        self.file = files(self.state)[0]

    def __enter__(self):
        self.member.kill()
        return self

    def __exit__(self, *exc):
        if self.member.process is None:
            self.member.start()


@pytest.fixture
def away(member, saved, tmp_path):
    with Away(member, saved, tmp_path) as a:
        yield a


def test_files(saved):
    assert os.stat(saved).st_mode & 0o777 == 0o700
    assert [os.stat(f).st_mode & 0o777 for f in files(saved)] == [0o600] and not files(saved, ".tmp")


def test_away_and_back(member, away):
    with Waypost(corefile(member.url, away.state)) as w:
        assert ask(w, "n1.way.test") == (0, {host(1): 30}, [AWAY])  # the first question
        assert ask(w, "n2.way.test") == (0, {host(2): 30}, [AWAY])
        assert ask(w, "al.way.test") == (0, {"n1.way.test.": 9, host(1): 30}, [AWAY])
        assert ask(w, "txt.way.test", "TXT") == (0, {'"hello"': 30}, [AWAY])
        assert ask(w, "none.way.test")[0] == 3 and ask(w, "none.way.test")[2] == [19]
        assert metric(w, "waypost_state_source", data="saved") == 1
        assert 0 < metric(w, "waypost_state_age_seconds") < 3600
        assert metric(w, "coredns_etcd_stale_answers_total") >= 5
        w.says("5 keys of revision")
        member.start()
        member.client.put("/skydns/test/way/n2/x", A % 22)
        wait_for(lambda: ask(w, "n2.way.test") == (0, {host(22): 300}, []))
        assert ask(w, "n1.way.test") == (0, {host(1): 300}, [])
        assert metric(w, "waypost_state_source", data="live") == 1 and metric(w, "waypost_state_age_seconds") == 0
        assert re.search(r"\(start\): 0 added, [01] changed, 0 removed", w.output())  # a difference, not a new list
        member.client.put("/skydns/test/way/n2/x", A % 2)
        wait_for(lambda: ask(w, "n2.way.test") == (0, {host(2): 300}, []))


def test_a_healthy_start_serves_live_data(member, saved, tmp_path):
    """What was saved is there too, and nobody sees it."""
    shutil.copytree(saved, tmp_path / "s")
    member.client.put("/skydns/test/way/n3/x", A % 33)
    try:
        with Waypost(corefile(member.url, tmp_path / "s")) as w:
            assert ask(w, "n3.way.test") == (0, {host(33): 300}, [])
    finally:
        member.client.put("/skydns/test/way/n3/x", A % 3)


def test_cached_answers_go_with_the_saved_data(member, away):
    text = corefile(member.url, away.state).replace("errors", "errors\n    cache 300")
    with Waypost(text) as w:
        assert ask(w, "n1.way.test") == (0, {host(1): 30}, [AWAY])
        for _ in range(3):  # marked each time: no copy is kept
            assert ask(w, "n1.way.test") == (0, {host(1): 30}, [AWAY])
        member.start()
        wait_for(lambda: ask(w, "n1.way.test")[1][host(1)] > 30)


# --- another store --------------------------------------------------------------------------------


def test_an_older_store(saved, tmp_path):
    """The same endpoint has less history, other data, keys that were saved with the same revisions."""
    shutil.copytree(saved, tmp_path / "s")
    m = etcd.Member()
    try:
        m.start()
        for i in range(1, 4):
            m.client.put(f"/skydns/test/way/n{i}/x", A % (i + 100))
        with Waypost(corefile(m.url, tmp_path / "t")) as w:
            live(w)
            for _ in range(20):
                m.client.put("/skydns/test/way/n1/x", A % 201)
            wait_for(lambda: ask(w, "n1.way.test")[1] == {host(201): 300})
        m.kill()
        m.wipe()
        m.start()
        m.client.put("/skydns/test/way/n2/x", A % 202)
        with Waypost(corefile(m.url, tmp_path / "t")) as w:
            wait_for(lambda: ask(w, "n2.way.test") == (0, {host(202): 300}, []))
            assert ask(w, "n1.way.test")[0] == 3
            w.says("went back in time since the data was saved")
    finally:
        m.close()


def test_two_sources(member, saved, tmp_path):
    """Another prefix, another endpoint, another zone: another file each, all of them in one directory."""
    state = tmp_path / "s"
    member.client.put("/two/test/way/n1/x", A % 101)
    text = corefile(member.url, state) + """two.test:{dns} {
    etcd way.test two.test {
        endpoint %s
        path /two
        state %s
    }
}
""" % (member.url, state)
    text = text.replace("two.test:{dns}", ".:{other}").replace("etcd way.test two.test", "etcd way.test")
    with Waypost(text) as w:
        live(w, 2)
        wait_for(lambda: len(files(state)) == 2)
    member.kill()
    try:
        with Waypost(text) as w:
            assert ask(w, "n1.way.test") == (0, {host(1): 30}, [AWAY])
            w.port["dns"] = w.port["other"]
            assert ask(w, "n1.way.test") == (0, {host(101): 30}, [AWAY])
        with Waypost(corefile(f"http://127.0.0.1:{free_port()}", state)) as w:
            assert ask(w, "n1.way.test")[0] == 2  # nothing is known of that one
        with Waypost(corefile(member.url, state, zone="test")) as w:
            assert ask(w, "n1.way.test")[0] == 2
    finally:
        member.start()


# --- files ------------------------------------------------------------------------------------------


def change(path, how):
    data = open(path, "rb").read()
    if how == "torn":
        data = data[:-20]
    elif how == "empty":
        data = b""
    elif how == "changed":
        data = data[:len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1:]
    elif how == "newer format":
        data = data[:8] + struct.pack(">I", 2) + data[12:]
    elif how == "no record":  # every checksum is right
        head = struct.unpack(">I", data[12:16])[0] + 5 + 12
        data = data[:head + 4]
        for kind, payload in ((b"D", struct.pack(">I", 3) + b"abc"), (b"E", struct.pack(">Q", 1))):
            data += struct.pack(">I", len(payload)) + kind + payload
            data += struct.pack(">I", zlib.crc32(data))
    open(path, "wb").write(data)


@pytest.mark.parametrize("how,why", [("torn", "ends early"), ("empty", "ends early"), ("changed", "checksum of block"),
                                     ("newer format", "version 2, this program knows 1"), ("no record", "a record that is none")])
def test_a_bad_file(member, saved, tmp_path, how, why):
    """Never trusted, kept for whoever wants to look, written anew."""
    shutil.copytree(saved, tmp_path / "s")
    path = files(tmp_path / "s")[0]
    change(path, how)
    with Waypost(corefile(member.url, tmp_path / "s")) as w:
        live(w)
        assert ask(w, "n1.way.test") == (0, {host(1): 300}, [])
        assert why in w.output() and os.path.exists(path + ".bad"), w.output()
    assert os.path.getsize(path) > 100


def test_a_bad_file_and_etcd_away(member, away):
    change(away.file, "no record")
    with Waypost(corefile(member.url, away.state)) as w:
        rcode, answers, codes = ask(w, "n1.way.test")
        assert (rcode, answers, codes) == (2, {}, [14])


def test_unwritable_directory(member, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with Waypost(corefile(member.url, tmp_path / "file")) as w:
        live(w)
        assert ask(w, "n1.way.test") == (0, {host(1): 300}, [])
        wait_for(lambda: "not saved to" in w.output())
        assert metric(w, "waypost_state_saves_total", result="failed") == 1


def test_full_disk(member, saved, tmp_path):
    """A limit of the process stands for the disk's: what was saved before stays."""
    shutil.copytree(saved, tmp_path / "s")
    path = files(tmp_path / "s")[0]
    before = open(path, "rb").read()
    member.client.load((f"/skydns/test/way/full/k{i}", '{"text":"%s"}' % ("x" * 200)) for i in range(2000))
    try:
        with Waypost(corefile(member.url, tmp_path / "s"), wait=False) as w:
            subprocess.run(["prlimit", "--pid", str(w.pid), "--fsize=100000:unlimited"], check=True)
            live(w.wait_ready())
            wait_for(lambda: "not saved to" in w.output())
            assert open(path, "rb").read() == before and not files(tmp_path / "s", ".tmp")
            assert ask(w, "n1.way.test") == (0, {host(1): 300}, [])
            subprocess.run(["prlimit", "--pid", str(w.pid), "--fsize=unlimited:unlimited"], check=True)
        assert os.path.getsize(path) > 100000  # saved at the end
    finally:
        member.client.delete_prefix("/skydns/test/way/full/")


# --- time -------------------------------------------------------------------------------------------


def test_max_stale(member, away):
    old = time.time() - 100
    data = open(away.file, "rb").read()
    assert data[16:17] == b"H"
    at = 17  # the time of saving, in a block with a checksum
    data = data[:at] + struct.pack(">q", int(old * 1000)) + data[at + 8:]
    n = struct.unpack(">I", data[12:16])[0]
    out, i = data[:12], 12
    while i < len(data):
        n = struct.unpack(">I", data[i:i + 4])[0]
        out += data[i:i + 5 + n]
        out += struct.pack(">I", zlib.crc32(out))
        i += 5 + n + 4
    open(away.file, "wb").write(out)
    os.utime(away.file, (old, old))
    with Waypost(corefile(member.url, away.state, "max_stale 90s")) as w:
        assert ask(w, "n1.way.test") == (2, {}, [14])
    with Waypost(corefile(member.url, away.state, "max_stale 10m")) as w:
        assert ask(w, "n1.way.test") == (0, {host(1): 30}, [AWAY])
        assert 100 <= metric(w, "waypost_state_age_seconds") < 200
    os.utime(away.file)  # confirmed until now
    with Waypost(corefile(member.url, away.state, "max_stale 90s")) as w:
        assert ask(w, "n1.way.test") == (0, {host(1): 30}, [AWAY])


def test_max_stale_while_it_runs(member, tmp_path):
    """The same for data that is out of step."""
    with Waypost(corefile(member.url, "off", "max_stale 1s")) as w:
        live(w)
        member.kill()
        try:
            wait_for(lambda: ask(w, "n1.way.test") == (2, {}, [14]))
        finally:
            member.start()
        wait_for(lambda: ask(w, "n1.way.test") == (0, {host(1): 300}, []))


def test_a_lease_that_ended_meanwhile(member, tmp_path):
    c = member.client
    short, long = c.grant(3), c.grant(3000)
    c.put("/skydns/test/way/short/x", A % 8, short)
    c.put("/skydns/test/way/long/x", A % 9, long)
    c.put("/skydns/test/way/n1/x", A % 1)
    try:
        with Waypost(corefile(member.url, tmp_path / "s")) as w:
            live(w)
            wait_for(lambda: ask(w, "short.way.test")[1] == {host(8): 30})
            wait_for(lambda: ask(w, "long.way.test")[1].get(host(9), 0) > 300)  # both times are known
            end = time.monotonic() + c.time_to_live(short) + 2  # etcd rounds it off, for us and for waypost
        member.kill()
        with Waypost(corefile(member.url, tmp_path / "s")) as w:
            served = ask(w, "short.way.test")
            assert served in ((0, {host(8): 30}, [AWAY]), (3, {}, [19]))  # whichever side of the end
            wait_for(lambda: ask(w, "short.way.test") == (3, {}, [19]))  # it ends while saved data is served
            assert ask(w, "long.way.test") == (0, {host(9): 30}, [AWAY])
            assert ask(w, "n1.way.test") == (0, {host(1): 30}, [AWAY])
        wait_for(lambda: time.monotonic() > end)
        with Waypost(corefile(member.url, tmp_path / "s")) as w:
            assert ask(w, "short.way.test") == (3, {}, [19])
            assert ask(w, "long.way.test") == (0, {host(9): 30}, [AWAY])
            wait_for(lambda: "1 were left out because their lease has ended" in w.output())
    finally:
        if member.process is None:
            member.start()
        member.client.revoke(long)


# --- where ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("top,inside,env,where", [
    ("state {dir}/a", "", None, "a"), ("state {dir}/a", "state {dir}/b", None, "b"), ("state {dir}/a", "state off", None, None),
    ("state off", "state {dir}/b", None, "b"), ("", "", "c", "c"), ("state off", "", "c", None), ("", "", "gone", None)])
def test_directory(member, tmp_path, top, inside, env, where):
    (tmp_path / "c").mkdir()
    text = """.:{dns} {
    etcd way.test {
        endpoint %s
        %s
    }
}
.:{other} {
    %s
    whoami
}
""" % (member.url, inside, top)
    with Waypost(text.replace("{dir}", str(tmp_path)), env={"STATE_DIRECTORY": f"{tmp_path / env}:/x"} if env else None) as w:
        live(w)
        told = "saved state is off" in w.output()
        assert told == (env == "gone")
    assert [d for d in "abc" if (tmp_path / d).is_dir() and os.listdir(tmp_path / d)] == ([where] if where else [])


def test_reload(member, tmp_path):
    """What a block held is saved when a reload takes the block away, and where the new lines say so."""
    text = corefile(member.url, tmp_path / "a")
    with Waypost(text) as w:
        live(w)
        w.write(text.replace(str(tmp_path / "a"), str(tmp_path / "b")))
        w.kill(signal.SIGUSR1)
        wait_for(lambda: files(tmp_path / "a") and "Reloading complete" in w.output())
    assert len(files(tmp_path / "a")) == len(files(tmp_path / "b")) == 1


@pytest.mark.parametrize("line,inside,why", [
    ("state", "", "Wrong argument count"), ("state a b", "", "Wrong argument count"), ("state a\nstate b", "", "only be used once"),
    ("", "state", "Wrong argument count"), ("", "max_stale", "max_stale"), ("", "max_stale 10", "max_stale"),
    ("", "max_stale 1ms", "max_stale"), ("state off", "state off", None), ("state d", "max_stale 1h", None)])
def test_lines(tmp_path, line, inside, why):
    path = tmp_path / "Corefile"
    path.write_text("way.test {\n%s\netcd {\n%s\n}\n}\n" % (line, inside))
    r = subprocess.run([WAYPOST, "check", "-conf", path], capture_output=True, text=True)
    assert (r.returncode != 0) == (why is not None), r
    assert why is None or why in r.stdout + r.stderr, r
    assert not (tmp_path / "d").exists()


def test_killed(member, tmp_path):
    """kill -9 about when it saves at the end: the next start has a whole file, and one that is not older."""
    state, c, last = tmp_path / "s", member.client, 0
    c.load((f"/skydns/test/way/kill/k{i}", '{"text":"%s"}' % ("x" * 200)) for i in range(3000))
    try:
        for i in range(1, 13):
            c.put("/skydns/test/way/kill/k0", '{"text":"v%d"}' % i)
            with Waypost(corefile(member.url, state)) as w:
                live(w)
                w.kill(signal.SIGTERM)
                time.sleep(i * 0.004)
                w.kill(signal.SIGKILL)
                w.wait()
                text = w.output()
            saved = [int(n) for n in re.findall(r"3\d{3} keys of revision (\d+)", text)]
            assert not saved or saved[0] >= last
            last = saved[0] if saved else last
            assert not files(state, ".bad") and len(files(state, ".tmp")) <= 1 and "is not used" not in text
        assert last > 0
    finally:
        member.client.delete_prefix("/skydns/test/way/kill/")
