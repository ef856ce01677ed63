"""Flags, exit codes, where the Corefile comes from, what is printed, JSON log, `waypost check`."""
import json
import os
import pty
import signal
import subprocess
import tempfile

import pytest
import wire
from server import WAYPOST, Process, Waypost, free_port, wait_for


def run(*args, cwd=None, stdin="", env=None):
    """To its end: exit code, stdout, stderr."""
    with tempfile.TemporaryDirectory(prefix="waypost-cli-") as folder:
        p = subprocess.run([WAYPOST, *args], cwd=cwd or folder, input=stdin, text=True, capture_output=True,
                           timeout=20, env={**os.environ, **(env or {})})
        return p.returncode, p.stdout, p.stderr


@pytest.fixture
def folder(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)
    write.path = tmp_path
    return write


# --- flags ---------------------------------------------------------------------------------------

USAGE = ["-conf", "-dns.port", "-log-format", "-p ", "-pidfile", "-plugins", "-quiet", "-tls-provider", "-version"]


@pytest.mark.parametrize("args, code, said", [
    (["-foo"], 2, "flag provided but not defined: -foo\n"),
    (["-conf"], 2, "flag needs an argument: -conf\n"),
    (["---quiet"], 2, "bad flag syntax: ---quiet\n"),
    (["-quiet=x"], 2, 'invalid boolean value "x" for -quiet: parse error\n'),
    (["-h"], 0, ""),
    (["--help"], 0, ""),
])
def test_usage(args, code, said):
    got, out, err = run(*args)
    assert got == code and out == "" and err.startswith(said + "Usage of ")
    assert all(flag in err for flag in USAGE)


@pytest.mark.parametrize("args, said", [
    (["a", "b"], "extra command line arguments: [a b]\n"),
    (["--", "-x"], "extra command line arguments: [-x]\n"),
    (["-version", "x"], "extra command line arguments: [x]\n"),
    (["-log-format=yaml", "x"], 'unknown log format "yaml": expected text or json\n'),
    (["-conf", "nofile"], "loading Caddyfile via flag: open nofile: no such file or directory\n"),
    (["-conf", "/"], "loading Caddyfile via flag: read /: is a directory\n"),
    (["-p", "70000"], "address 70000: invalid port\n"),
    (["-dns.port", "abc"], "lookup tcp/abc: unknown port\n"),
    (["-tls-provider", "nss"], "-tls-provider: unknown TLS provider 'nss': openssl and wolfssl are known\n"),
])
def test_refused(args, said):
    assert run(*args) == (1, "", said)


def test_version():
    code, out, err = run("--version")
    lines = out.split("\n")
    assert code == 0 and err == "" and len(lines) == 4 and lines[3] == ""
    assert lines[0] == "CoreDNS-1.15.0" and len(lines[1].split(", ")) == 3
    assert lines[2].startswith("TLS: openssl 3.")
    assert ("wolfssl" in lines[2]) == ("GPLv3" in lines[2])  # the notice, where there is something to notice


def test_plugins():
    code, out, err = run("-plugins=true")
    names = out.split()
    assert code == 0 and err == ""
    assert [n for n in names if n != "on"] == sorted(n for n in names if n != "on")
    assert "on" not in names or names[-1] == "on"
    assert {"root", "bind", "cache"} <= set(names)


# --- where the Corefile comes from -----------------------------------------------------------------

def test_corefile_of_the_folder(folder):
    folder("Corefile", ".:1 {\n nonsense\n}\n")
    assert run(cwd=folder.path) == (1, "", "Corefile:2 - Error during parsing: Unknown directive 'nonsense'\n")


def test_unreadable_default(folder):
    (folder.path / "Corefile").mkdir()
    assert run(cwd=folder.path) == (1, "", "read Corefile: is a directory\n")


@pytest.mark.parametrize("text", [None, "", "# only a comment\n", "(snippet) {\n root /\n}\n"])
def test_built_in(folder, text):
    port = free_port()
    if text is not None:
        folder("Corefile", text)
    with Process([WAYPOST, "-p", str(port)], cwd=folder.path) as p:
        wait_for(lambda: "CoreDNS-" in p.output())
        assert p.output().startswith(f".:{port}\n")
        assert wire.udp(port, wire.query("a.example"))
        assert p.stop() == 0
        p.says('"A IN a.example. udp')  # `log` is there too


def test_stdin(folder):
    text = ".:1 {\n nonsense\n}\n"
    assert run("-conf", "stdin", stdin=text, cwd=folder.path) == (
        1, "", "/dev/stdin:2 - Error during parsing: Unknown directive 'nonsense'\n")


def test_stdin_is_kept_for_reloads(folder):
    port = free_port()
    read, write = os.pipe()
    os.write(write, f".:{port} {{\n    any\n}}\n".encode())
    os.close(write)
    with Process([WAYPOST, "-conf", "stdin"], cwd=folder.path, stdin=read) as p:
        os.close(read)
        wait_for(lambda: "CoreDNS-" in p.output())
        p.kill(signal.SIGUSR1)
        wait_for(lambda: "Reloading complete" in p.output())
        assert wire.udp(port, wire.query("a.example", qtype=255))[3] & 15 == 0  # still `any`
        assert p.stop() == 0


def test_terminal_on_stdin_is_not_read(folder):
    folder("Corefile", ".:1 {\n nonsense\n}\n")
    ours, theirs = pty.openpty()
    try:
        p = subprocess.run([WAYPOST, "-conf", "stdin"], cwd=folder.path, stdin=theirs, text=True,
                           capture_output=True, timeout=20)
    finally:
        os.close(ours)
        os.close(theirs)
    assert p.returncode == 1 and p.stderr.startswith("Corefile:2 - ")


def test_no_reload_of_the_built_in(folder):
    with Process([WAYPOST, "-p", str(free_port())], cwd=folder.path) as p:
        wait_for(lambda: "CoreDNS-" in p.output())
        p.kill(signal.SIGUSR1)
        wait_for(lambda: "SIGUSR1: no Caddyfile loader with which to reload Caddyfile" in p.output())


def test_import_beside_the_file_not_the_working_directory(folder):
    conf = folder("conf/Corefile", "import blocks/*.conf\n")
    folder("conf/blocks/a.conf", ".:1 {\n nonsense\n}\n")
    folder("blocks/a.conf", "")
    code, out, err = run("-conf", conf, cwd=folder.path)
    assert (code, out) == (1, "")
    assert err == f"{folder.path}/conf/blocks/a.conf:2 - Error during parsing: Unknown directive 'nonsense'\n"


# --- what a start prints -----------------------------------------------------------------------------

ZONES = """b.example:{a} A.example:{a} x_y:{a} tls://t:{b} {{
    bind 127.0.0.1
    multisocket 2
    any
}}
"""


def zone_file(folder):
    a, b = free_port(), free_port()
    lines = [f"a.example.:{a} on 127.0.0.1", f"b.example.:{a} on 127.0.0.1",
             'Warning: Domain "x_y." does not follow RFC1035 preferred syntax', f"x_y.:{a} on 127.0.0.1"]
    return folder("Corefile", ZONES.format(a=a, b=b)), lines, f"tls://t.:{b} on 127.0.0.1"


def test_zone_lines(folder):
    conf, lines, tls = zone_file(folder)
    with Process([WAYPOST, "-conf", conf]) as p:
        wait_for(lambda: "waypost-" in p.output())
        out = p.output().split("\n")
        assert out[:-3] == lines + lines + [tls, tls]  # once for each socket
        assert out[-3] == "CoreDNS-1.15.0"
        assert p.stop() == 0


def test_quiet(folder):
    conf, _, _ = zone_file(folder)
    with Process([WAYPOST, "-conf", conf, "-quiet", "-pidfile", str(folder.path / "pid")]) as p:
        wait_for(lambda: (folder.path / "pid").exists())
        assert p.output() == ""
        assert p.stop() == 0
        assert p.output() == "[INFO] SIGTERM: Shutting down servers then terminating\n"


# --- JSON log ----------------------------------------------------------------------------------------

LOGGED = ".:{dns} {\n    log\n    any\n}\n"


def records(text):
    got = [json.loads(line) for line in text.splitlines()]
    assert all(list(r)[:3] == ["time", "level", "msg"] for r in got)
    return got


@pytest.mark.parametrize("row", ["J01"])
def test_json_every_line(row):
    with Waypost(LOGGED, args=["-log-format=json"]) as w:
        assert wire.udp(w.port["dns"], wire.query("a.example"))
        wait_for(lambda: '"plugin":"log"' in w.output())
        assert w.stop() == 0
        got = records(w.output())
        assert [r["msg"] for r in got if r["msg"].startswith(f".:{w.port['dns']}")]
        assert [r for r in got if r["msg"].startswith("CoreDNS-1.15.0\nlinux/")]


@pytest.mark.parametrize("row", ["J02"])
def test_json_quiet(row):
    with Waypost(LOGGED, args=["-log-format=json", "-quiet"]) as w:
        assert wire.udp(w.port["dns"], wire.query("a.example"))
        wait_for(lambda: '"plugin":"log"' in w.output())
        assert not [r for r in records(w.output()) if "CoreDNS-" in r["msg"] or r["msg"].startswith(".:")]


def fatal(*args, **kwargs):
    code, out, err = run(*args, **kwargs)
    assert code == 1 and out == ""
    got = records(err)
    assert len(got) == 1 and got[0]["level"] == "FATAL"
    return got[0]["msg"]


@pytest.mark.parametrize("row", ["J03"])
def test_json_fatal(row, folder):
    conf = folder("Corefile", ".:1 {\n nonsense\n}\n")
    assert fatal("-log-format", "json", "-conf", conf) == (
        f"{conf}:2 - Error during parsing: Unknown directive 'nonsense'")


@pytest.mark.parametrize("row", ["J04"])
def test_json_extra_arguments(row):
    assert fatal("-log-format=json", "extra") == "extra command line arguments: [extra]"


def test_json_unreadable_file():
    assert fatal("-log-format=json", "-conf", "no") == "loading Caddyfile via flag: open no: no such file or directory"


@pytest.mark.parametrize("row", ["J05"])
def test_unknown_log_format(row):
    assert run("-log-format=yaml") == (1, "", 'unknown log format "yaml": expected text or json\n')


@pytest.mark.parametrize("row", ["J06"])
def test_version_is_never_json(row):
    code, out, err = run("-log-format=json", "-version")
    assert code == 0 and err == "" and out.startswith("CoreDNS-1.15.0\nlinux/")
    code, out, err = run("-log-format=json", "-plugins")
    assert code == 0 and err == "" and "cache\n" in out
    code, out, err = run("-log-format=json", "-nothing")
    assert code == 2 and out == "" and err.startswith("flag provided but not defined: -nothing\nUsage of ")


@pytest.mark.parametrize("row", ["J07"])
def test_json_after_reload(row):
    with Waypost(LOGGED, args=["-log-format=json"]) as w:
        w.write(".:{dns} {\n    log . \"{>id} again\"\n    any\n}\n")
        w.kill(signal.SIGUSR1)
        wait_for(lambda: "Reloading complete" in w.output())
        assert wire.udp(w.port["dns"], wire.query("a.example"))
        wait_for(lambda: "again" in w.output())
        assert w.stop() == 0
        assert [r for r in records(w.output()) if r.get("plugin") == "log" and r["msg"].endswith("again")]


@pytest.mark.parametrize("row", ["J08"])
def test_json_signal(row):
    with Waypost(LOGGED, args=["-log-format=json"]) as w:
        w.kill(signal.SIGINT)
        assert w.wait() == 0
        assert [r for r in records(w.output()) if "SIGINT: Shutting down" in r["msg"]]


# --- check -------------------------------------------------------------------------------------------

def test_check_of_a_good_file(folder):
    conf = folder("Corefile", ".:53 {\n    any\n}\n")
    assert run("check", "-conf", conf) == (0, f"{conf}: ok\n", "")
    assert run("check", cwd=folder.path) == (0, "Corefile: ok\n", "")


def test_check_opens_nothing(folder):
    with Waypost(".:{dns} {\n    any\n}\n") as w:
        assert run("check", "-conf", w.conf) == (0, f"{w.conf}: ok\n", "")


def test_check_tells_every_error(folder):
    folder("blocks/more", "more.example {\n    timeouts {\n        read 0\n        idle x\n    }\n}\n")
    conf = folder("Corefile", """a.example b..c {
    nonsense
    root
    https {
        max_streams -1
        what
    }
    dnssec
}
https://a.example {
    tls nothing.pem nothing.key
    import nowhere
}
quic://a.example {
}
a.example:53 {
}
import blocks/*
""")
    code, out, err = run("check", "-conf", conf)
    assert code == 1 and out == ""
    assert err.replace(f"{folder.path}/", "").splitlines() == [
        "Corefile:1: error inspecting server blocks: zone is not a valid domain name: b..c",
        "Corefile:2: nonsense: Unknown directive 'nonsense'",
        "Corefile:3: root: Wrong argument count or unexpected line ending after 'root'",
        "Corefile:5: https: max_streams must be a non-negative integer: -1",
        "Corefile:6: https: unknown property 'what'",
        "Corefile:8: dnssec: directive 'dnssec' of CoreDNS is not in this build of waypost",
        "Corefile:10: tls: could not load TLS cert: open nothing.pem: no such file or directory",
        "Corefile:12: import: File to import not found: nowhere",
        "Corefile:14: quic:// listeners are not in this build of waypost",
        "Corefile:16: cannot serve dns://a.example.:53 - it is already defined",
        "blocks/more:3: timeouts: timeout provided '0s' needs to be between 1 second and 24 hours",
        "blocks/more:4: timeouts: failed to parse duration 'x'",
    ]


def test_every_directive_of_coredns_is_known(folder):
    names = """root metadata geoip cancel proxyproto quic grpc_server https https3 timeouts multisocket reload nsid
        bufsize bind debug trace ready health pprof shed prometheus errors log dnstap local dns64 siit any chaos
        loadbalance tsig rewrite autopath acl cache header dnssec tls minimal template transfer dynupdate hosts route53
        azure clouddns k8s_external kubernetes file auto secondary etcd loop forward grpc erratic whoami on sign view
        nomad""".split()
    assert len(names) == 62
    conf = folder("Corefile", "a {\n" + "".join(f"    {n}\n" for n in names) + "}\n")
    _, _, err = run("check", "-conf", conf)
    assert "Unknown directive" not in err
    built = set(run("-plugins")[1].split())
    for line, name in enumerate(names, 2):
        told = f"{conf}:{line}: {name}: directive '{name}' of CoreDNS is not in this build of waypost\n" in err
        assert told == (name not in built), name


@pytest.mark.parametrize("args, code, said", [
    (["-x"], 2, "flag provided but not defined: -x\nUsage of waypost check:\n"),
    (["-h"], 0, "Usage of waypost check:\n"),
    (["x"], 1, "extra command line arguments: [x]\n"),
    (["-conf", "no"], 1, "loading Caddyfile via flag: open no: no such file or directory\n"),
    (["-p", "x"], 1, "lookup tcp/x: unknown port\n"),
])
def test_check_flags(args, code, said):
    got, out, err = run("check", *args)
    assert got == code and out == "" and err.startswith(said)


def test_check_uses_the_default_port(folder):
    conf = folder("Corefile", "a {\n}\na:5300 {\n}\n")
    assert run("check", "-conf", conf)[0] == 0
    assert run("check", "-conf", conf, "-dns.port", "5300") == (
        1, "", f"{conf}:3: cannot serve dns://a.:5300 - it is already defined\n")


@pytest.mark.parametrize("option, said", [
    ("provider nss", "tls: unknown TLS provider 'nss': openssl and wolfssl are known"),
    ("provider", "tls: Wrong argument count or unexpected line ending after 'provider'"),
])
def test_check_tells_of_the_tls_library(folder, option, said):
    conf = folder("Corefile", f". {{\n    tls cert.pem key.pem {{\n        {option}\n    }}\n}}\n")
    assert run("check", "-conf", conf) == (1, "", f"{conf}:3: {said}\n")
