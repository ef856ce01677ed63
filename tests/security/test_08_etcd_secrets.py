"""etcd's password: it works whatever it is made of, and no line, label, file or list of processes shows it."""
import glob
import os
import subprocess
import urllib.request

import etcd
import etcd_rows
import pytest
import wire
from server import WAYPOST, Process, Waypost, wait_for

SECRET = "geheim"  # in every password
PASSWORDS = {
    "plain": (SECRET, SECRET), "blank": (f'"{SECRET} with blanks"', f"{SECRET} with blanks"),
    "quote": (f'"{SECRET}\\"quoted\\""', f'{SECRET}"quoted"'), "backslash": (f"{SECRET}\\n\\\\x", f"{SECRET}\\n\\\\x"),
    "quoted backslash": (f'"{SECRET}\\n\\x"', f"{SECRET}\\n\\x"), "utf-8": (f"{SECRET}-päß-пароль-🔑", f"{SECRET}-päß-пароль-🔑"),
    "percent": (f"{SECRET}%s%n%%", f"{SECRET}%s%n%%"), "hash": (f'"{SECRET}#1"', f"{SECRET}#1"), "long": (SECRET * 500, SECRET * 500),
    "environment": ("{$ETCD_PASSWORD}", f"{SECRET}env"), "environment in quotes": ('"x {$ETCD_PASSWORD}"', f"x {SECRET}env"),
}
ENV = {"ETCD_PASSWORD": f"{SECRET}env"}


@pytest.fixture(scope="module")
def member():
    with etcd.Member(args=["--bcrypt-cost", "4"]) as m:
        m.client.put("/skydns/test/way/x", '{"host":"192.0.2.1"}')
        for i, (_, password) in enumerate(PASSWORDS.values()):
            # bcrypt looks at 72 octets, and 3.7 takes no more; what follows is sent all the same
            etcd.add_user(m.client, f"u{i}", password, f"r{i}", "/skydns/test/way/", "/skydns/test/way0")
        etcd.enable_auth(m.client, "rootpw")
        yield m


def everything(w, state=None):
    """What the outside can see of the process."""
    shown = [w.output()]
    for path in ("metrics", "health", "ready"):
        if path in w.port:
            with urllib.request.urlopen(f"http://127.0.0.1:{w.port[path]}/{path}", timeout=5) as r:
                shown.append(r.read().decode())
    with open(f"/proc/{w.pid}/cmdline") as f:
        shown.append(f.read())
    for path in glob.glob(f"{state}/*") if state else []:
        with open(path, "rb") as f:
            shown.append(f.read().decode("latin-1"))
    return "\n".join(shown)


def test_every_password_works_and_none_is_shown(member, tmp_path):
    """With `debug`, saved state, every admin page, after a reload, and when the server refuses it."""
    text = ".:{dns} {\n prometheus 127.0.0.1:{metrics}\n health 127.0.0.1:{health}\n ready 127.0.0.1:{ready}\n log\n errors\n debug\n whoami\n}\n"
    for i, (written, _) in enumerate(PASSWORDS.values()):
        for port, endpoint, password in ((f"p{i}", member.url, written), (f"q{i}", member.url.replace("//", f"//user:{SECRET}@"), f"{SECRET}wrong")):
            text += f".:{{{port}}} {{\n debug\n log\n etcd way.test {{\n endpoint {endpoint}\n credentials u{i} {password}\n state {tmp_path}/s\n }}\n}}\n"
    with Waypost(text, env=ENV) as w:
        wait_for(lambda: w.output().count("watching") == len(PASSWORDS) and w.output().count("authentication failed") == len(PASSWORDS), 40)
        for i, name in enumerate(PASSWORDS):
            r = etcd_rows.parse(wire.udp(w.port[f"p{i}"], wire.query("x.way.test")))
            assert r.answer and r.rcode() == 0, name
        wait_for(lambda: len(glob.glob(f"{tmp_path}/s/*.state")) == len(PASSWORDS))
        w.write(text.replace("log\n etcd", "etcd"))
        w.kill(10)  # SIGUSR1
        wait_for(lambda: "Reloading complete" in w.output(), 40)
        w.write(text + f".:53 {{\n etcd {{\n credentials u {SECRET} three\n }}\n}}\n")
        w.kill(10)
        wait_for(lambda: "credentials requires 2 arguments" in w.output())
        shown = everything(w, tmp_path / "s")
        assert "coredns_etcd_synced{" in shown and "what stands before the @ is not used" in shown
        assert SECRET not in shown, [x for x in shown.split("\n") if SECRET in x][:3]


@pytest.mark.parametrize("line", [
    f"credentials {SECRET}", f"credentials u {SECRET} x", f'credentials u "{SECRET}', f"credentials u {SECRET} {{", "credentials",
    f"endpoint ftp://u:{SECRET}@h", f"endpoint http://u:{SECRET}/x@h:x", f"endpoint http://u:{SECRET}@h:0", f"endpoint http://u:{SECRET}@a,http://u:{SECRET}@b",
    f"endpoint http://u:{SECRET}@h\n unknown"])
def test_lines_that_are_wrong(tmp_path, line):
    """The error says what is wrong with the line, and not all that stands in it; so do `check` and a start."""
    path = tmp_path / "Corefile"
    path.write_text("way.test {\n etcd {\n " + line + "\n }\n}\n")
    for argv in ([WAYPOST, "check", "-conf", path], [WAYPOST, "-conf", path, "-dns.port", "0"]):
        r = subprocess.run(argv, capture_output=True, text=True, timeout=20)
        assert r.returncode != 0 and "Corefile:" in r.stdout + r.stderr, r
        assert SECRET not in r.stdout + r.stderr, r


def test_commands(member, tmp_path):
    """A file, or the environment, which only the user's own processes can read; never the command line."""
    (tmp_path / "who").write_text(f"u0\n{SECRET}\n")
    argv = [WAYPOST, "register", "reg.way.test", "192.0.2.9", "80", "--endpoint", member.url.replace("//", f"//user:{SECRET}@"), "--credentials-file", str(tmp_path / "who")]
    with Process(argv[:6] + [member.url] + argv[7:]) as p:
        wait_for(lambda: "permission denied" in p.output() or not p.alive())  # it may read only
        with open(f"/proc/{p.pid}/cmdline") as f:
            assert SECRET not in f.read()
        assert SECRET not in p.output()
    for command in (["list", "way.test"], ["etcd", "bad", "way.test"]):
        for who in (f"u0\n{SECRET}wrong\n", f"u0:{SECRET}\n", f"{SECRET}\n", f"u0\n{SECRET}\n"):
            (tmp_path / "who").write_text(who)
            r = subprocess.run([WAYPOST, *command, *argv[5:]], capture_output=True, text=True, timeout=30)
            assert SECRET not in r.stdout + r.stderr, r
    assert r.returncode == 0, r
    env = {**os.environ, "ETCDCTL_USER": f"u0:{SECRET}"}
    r = subprocess.run([WAYPOST, "list", "way.test", "--endpoint", member.url], capture_output=True, text=True, timeout=30, env=env)
    assert r.returncode == 0 and "192.0.2.1" in r.stdout and SECRET not in r.stdout + r.stderr, r
