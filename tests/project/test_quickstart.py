"""The quickstart as its reader runs it: every listener answers, and Ctrl-C leaves nothing behind."""
import os
import re
import signal
import subprocess

import pytest
from server import TOP, Process, wait_for

QUICKSTART = os.path.join(TOP, "deploy/quickstart")


def without_colours(text):
    return re.sub(r"\x1b\[\d*m", "", text)


@pytest.mark.parametrize("args, answers", [
    ([], ["192.0.2.10"] * 4 + ["HTTP/2 200", "192.0.2.30"]),
    (["--etcd"], ["10.0.1.100"] * 4 + ["HTTP/2 200", "0 10 8080 my-web-app.dev.", "192.0.2.30"]),
], ids=["embedded", "etcd"])
def test_every_listener_answers(args, answers):
    r = subprocess.run([QUICKSTART, *args, "--once"], capture_output=True, text=True, timeout=240)
    out = without_colours(r.stdout)
    assert r.returncode == 0, out + r.stderr
    assert "All answered." in out and "waypost has ended." in out and "not the answer" not in out
    for answer in set(answers):
        assert out.count(answer) >= answers.count(answer), f"{answer}\n{out}"
    for what in ("UDP", "TCP", "DoT", "DoH", "curl", "gRPC"):
        assert re.search(rf"^{what} ", out, re.M), what


def group_members(group):
    """Processes of a process group that are not yet reaped."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
                fields = f.read().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(pid))
    return found


@pytest.mark.parametrize("args", [[], ["--etcd"]], ids=["embedded", "etcd"])
def test_ctrl_c_leaves_nothing(args):
    with Process(["setsid", QUICKSTART, *args]) as p:
        wait_for(lambda: "Running. Ctrl-C ends it." in p.output() or not p.alive(), 240)
        text = without_colours(p.output())
        folder = re.search(r"Corefile: (/tmp/waypost-quickstart\.\w+)/Corefile", text)[1]
        group = p.pid  # setsid became the script
        assert os.path.exists(folder) and len(group_members(group)) >= 2
        os.killpg(group, signal.SIGINT)  # what a terminal does
        assert p.wait(20) == 0, p.output()[-2000:]
        assert "waypost has ended." in p.output()
        wait_for(lambda: not group_members(group), 5)
        assert not os.path.exists(folder)


def test_unknown_flag_shows_usage():
    r = subprocess.run([QUICKSTART, "--nonsense"], capture_output=True, text=True, timeout=20)
    assert r.returncode == 2 and "quickstart [--etcd]" in r.stdout
