"""waypost import kube-dns: from a ConfigMap to a Corefile that loads."""
import glob
import os
import subprocess

import pytest
from server import TOP, WAYPOST

DIR = os.path.join(TOP, "tests/scenario/kubernetes/import")
MAPS = {os.path.basename(p).split(".")[0]: p for p in glob.glob(DIR + "/*") if not p.endswith(".Corefile")}
EMPTY = b"kind: ConfigMap\n"


def run(*args, text=EMPTY, **more):
    return subprocess.run([WAYPOST, "import", "kube-dns", *args], input=text, capture_output=True, timeout=30, **more)


def golden(name):
    with open(MAPS[name], "rb") as f, open(os.path.join(DIR, name + ".Corefile"), "rb") as want:
        return f.read(), want.read()


@pytest.mark.parametrize("row", ["004-10-empty", "004-10-stub-and-upstream", "004-10-federation", "004-36-federation"])
def test_golden(row):
    text, want = golden(row.split("-", 2)[2])
    r = run(text=text)
    assert r.returncode == 0 and r.stdout == want, r.stdout.decode() + r.stderr.decode()
    assert (b"federations are not carried over" in r.stderr) == (b"federation" in text)


@pytest.mark.parametrize("name", sorted(MAPS))
def test_it_loads(name, tmp_path):
    """As it is but for the node's resolv.conf, and the cluster that a pod would be told about."""
    resolv = tmp_path / "resolv.conf"
    resolv.write_text("nameserver 192.0.2.1\n")
    conf = tmp_path / "Corefile"
    conf.write_bytes(run(text=golden(name)[0]).stdout.replace(b"/etc/resolv.conf", str(resolv).encode())
                     .replace(b"        pods insecure", b"        endpoint http://127.0.0.1:1\n        pods insecure"))
    r = subprocess.run([WAYPOST, "check", "-conf", conf], capture_output=True, text=True, timeout=30)
    assert r.returncode == 0, r.stderr


@pytest.mark.parametrize("row", ["004-16-hashes-are-told"])
def test_names_that_change_are_told(row):
    assert b"no\n# longer the hashes that kube-dns made" in run().stdout


def test_domain():
    assert b"    kubernetes k8s.example in-addr.arpa ip6.arpa {\n" in run("--domain", "K8s.Example.").stdout
    text = b"kind: ConfigMap\ndata:\n  stubDomains: '{\"cluster.local\": [\"192.0.2.1\"]}'\n"
    assert b"\ncluster.local:53 {\n" in run("--domain=k8s.example", text=text).stdout
    r = run("--domain", "a b")
    assert (r.returncode, r.stdout, r.stderr) == (1, b"", b"waypost import kube-dns: a b: is not a domain name\n")


@pytest.mark.parametrize("text,why", [
    (b"", "line 1: there is nothing"), (b"kind: Secret\n", "line 1: Secret: is not a ConfigMap"),
    (b"kind: ConfigMap\ndata:\n  stubDomains: |\n    {\"a.b\":\n      [\"ns\"]}\n", "line 5: ns: is not an address, nor ADDRESS:PORT"),
    (b"{" * 1000, "yaml: line 2: too deep"), (b"kind: ConfigMap\nx: \xff\n", "yaml: line 2: "),
    (b"#" * (2 << 20) + b"#", "larger than 2097152 octets"), (b"a: &x [*x]\nkind: ConfigMap\ndata: *x\n", "line 1: data: is not a mapping")],
    ids=["nothing", "kind", "server", "deep", "octets", "large", "itself"])
def test_bad(text, why):
    r = run(text=text)
    assert r.returncode == 1 and r.stdout == b"" and r.stderr.decode().startswith("waypost import kube-dns: " + why), r.stderr


def test_exit_codes():
    assert run("--nonsense").returncode == 2 and run("word").returncode == 2
    assert subprocess.run([WAYPOST, "import"], capture_output=True).returncode == 2
    with open("/dev/full", "wb") as full:
        r = subprocess.run([WAYPOST, "import", "kube-dns"], input=EMPTY, stdout=full, stderr=subprocess.PIPE, timeout=30)
    assert r.returncode == 3 and b"standard output cannot be written" in r.stderr
    folder = os.open(DIR, os.O_RDONLY)
    try:
        assert subprocess.run([WAYPOST, "import", "kube-dns"], stdin=folder, capture_output=True, timeout=30).returncode == 3
    finally:
        os.close(folder)


def test_help():
    r = subprocess.run([WAYPOST, "help", "import", "kube-dns"], capture_output=True, text=True)
    assert r.returncode == 0 and "--domain NAME" in r.stdout and "Exit" in r.stdout
    assert "import kube-dns" in subprocess.run([WAYPOST, "help"], capture_output=True, text=True).stdout


@pytest.mark.parametrize("row,line,what", [
    ("004-36-federation-in-a-Corefile", "federation cluster.local {\n  east east.feds.example\n }", "has dropped it (1.7.0), as Kubernetes did; take it out"),
    ("004-36-proxy-in-a-Corefile", "proxy . /etc/resolv.conf", "has dropped it (1.5.0); write 'forward' in its place")], ids=lambda v: v if v.startswith("004") else "")
def test_directives_of_old_clusters(row, line, what, tmp_path):
    conf = tmp_path / "Corefile"
    conf.write_text(".:53 {\n errors\n %s\n whoami\n}\n" % line)
    r = subprocess.run([WAYPOST, "check", "-conf", conf], capture_output=True, text=True)
    assert r.returncode == 1 and r.stderr.count("\n") == 1, r.stderr
    assert f"Unknown directive '{line.split()[0]}': CoreDNS {what}" in r.stderr
