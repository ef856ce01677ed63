"""`cmake --install` into an empty prefix: what lies there works without the tree."""
import os
import re
import shutil
import subprocess

import pytest
import source
from server import TOP, WAYPOST
from test_examples import make_certificate


def run(*argv, **more):
    r = subprocess.run([str(a) for a in argv], capture_output=True, text=True, **more)
    assert r.returncode == 0, f"{argv}\n{r.stdout}{r.stderr}"
    return r.stdout + r.stderr


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """A configuration of its own, so that the paths in the files are those of the prefix; the binaries are the build's."""
    top = tmp_path_factory.mktemp("install")
    build = top / "build"
    run("cmake", "-S", TOP, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DWAYPOST_TESTS=OFF",
        f"-DCMAKE_INSTALL_PREFIX={top / 'usr'}", "-DCMAKE_INSTALL_LIBDIR=lib")
    for name in ("waypost", "waypost.8", "waypost-grpc.so", "waypost-http.so"):
        shutil.copy2(os.path.join(source.build_dir(), name), build / name)
    run("cmake", "--install", build)
    return top / "usr"


def test_what_is_installed(prefix):
    for path in ("bin/waypost", "lib/waypost/waypost-grpc.so", "lib/waypost/waypost-http.so", "include/waypost/base/err.h", "include/waypost/dns/name.h", "include/waypost/tls/tls.h",
                 "include/waypost/plugin/plugin.h", "lib/pkgconfig/waypost.pc", "lib/systemd/system/waypost.service",
                 "share/man/man8/waypost.8", "share/doc/waypost/README.md", "share/doc/waypost/examples/Corefile.etcd"):
        assert os.path.exists(prefix / path), path
    assert not os.path.exists(prefix / "include/waypost/server"), "the server's own headers are nobody else's"
    assert "waypost" in run(prefix / "bin/waypost", "-version")


def test_plugin_outside_the_tree_compiles(prefix, tmp_path):
    """And all it calls is there, in the program."""
    env = {**os.environ, "PKG_CONFIG_PATH": str(prefix / "lib/pkgconfig")}
    flags = run("pkg-config", "--cflags", "waypost", env=env).split()
    assert f"-I{prefix}/include" in flags
    shutil.copy(os.path.join(TOP, "tests/project/outside/refuse.c"), tmp_path)
    run("gcc", "-std=gnu17", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", *flags, "refuse.c", "-o", "refuse.so", cwd=tmp_path)
    needs = set(re.findall(r"\bU (wp_\w+)", run("nm", "-D", tmp_path / "refuse.so")))
    has = set(re.findall(r" [TDBRV] (wp_\w+)", run("nm", "-D", prefix / "bin/waypost")))
    assert len(needs) >= 4 and not needs - has, needs - has


@pytest.mark.parametrize("sample", sorted(n for n in os.listdir(os.path.join(TOP, "deploy/corefiles")) if n.startswith("Corefile.")))
def test_sample_loads(prefix, sample, tmp_path):
    make_certificate(tmp_path)
    text = (prefix / "share/doc/waypost/examples" / sample).read_text()
    assert text.startswith("# ")
    text = text.replace("/etc/waypost/", f"{tmp_path}/")
    if "/etc/resolv.conf" in text:
        (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\n")
        text = text.replace("/etc/resolv.conf", f"{tmp_path}/resolv.conf")
    (tmp_path / "kubeconfig").write_text(
        "current-context: c\ncontexts: [{name: c, context: {cluster: k}}]\nclusters: [{name: k, cluster: {server: 'http://127.0.0.1:1'}}]\n")
    (tmp_path / "Corefile").write_text(text)
    assert ": ok" in run(prefix / "bin/waypost", "check", "-conf", tmp_path / "Corefile")


def test_manual_page(prefix):
    page = prefix / "share/man/man8/waypost.8"
    r = subprocess.run(["groff", "-mandoc", "-Tutf8", "-ww", "-P-c", page], capture_output=True, text=True)
    assert r.returncode == 0 and not r.stderr, r.stderr
    shown = re.sub(r".\x08", "", r.stdout)
    usage = run(WAYPOST, "-h")
    flags = re.findall(r"^  -([\w.-]+)", usage, re.M)
    assert len(flags) >= 8
    shown = re.sub("[\u2010\u2212]", "-", shown)
    untold = [f for f in flags if not re.search(rf"-{re.escape(f)}(?![\w-])", shown)]
    assert not untold, untold
    for name in re.findall(r"^(\w+)$", run(WAYPOST, "-plugins"), re.M):
        assert f"\n.Ss {name}\n" in page.read_text(), name


def test_service_unit(prefix):
    unit = prefix / "lib/systemd/system/waypost.service"
    assert f"ExecStart={prefix}/bin/waypost " in unit.read_text()
    r = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
    assert r.returncode == 0 and not r.stderr, r.stderr


def test_unit_of_the_etcd_readme(tmp_path):
    """A service that registers itself: systemd takes it, and every option that the commands' section names is one."""
    text = source.read("backends/etcd/README.md").split("\n## Commands\n")[1].split("\n## ")[0]
    unit = tmp_path / "my-web-app.service"
    unit.write_text(re.search(r"```\n(\[Unit\]\n.*?)```", text, re.S)[1].replace("/usr/bin/waypost", WAYPOST).replace("/usr/bin/my-web-app", "/bin/true"))
    r = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
    assert r.returncode == 0 and not r.stderr, r.stderr
    told = set(re.findall(r"`(?:[^`\n]* )?--([a-z-]+)", text))
    known = set(re.findall(r"^  --([a-z-]+)", "".join(run(WAYPOST, "help", *c) for c in (["register"], ["list"], ["deregister"])), re.M))
    assert len(told) >= 15 and not told - known, told - known
