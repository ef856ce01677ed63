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
    for name in ["waypost", "waypost.8"] + [n for n in os.listdir(source.build_dir()) if n.endswith(".so")]:
        shutil.copy2(os.path.join(source.build_dir(), name), build / name)
    run("cmake", "--install", build)
    return top / "usr"


def test_what_is_installed(prefix):
    for path in ("bin/waypost", "lib/waypost/waypost-grpc.so", "lib/waypost/waypost-http.so", "include/waypost/base/err.h", "include/waypost/dns/name.h", "include/waypost/tls/tls.h",
                 "include/waypost/plugin/plugin.h", "lib/pkgconfig/waypost.pc", "lib/systemd/system/waypost.service",
                 "share/man/man8/waypost.8", "share/doc/waypost/README.md", "share/doc/waypost/examples/Corefile.etcd",
                 "share/doc/waypost/examples/README.md", "share/doc/waypost/examples/plugin-hello/hello.c",
                 "share/doc/waypost/examples/backend-hello/Makefile"):
        assert os.path.exists(prefix / path), path
    assert not os.path.exists(prefix / "include/waypost/server"), "the server's own headers are nobody else's"
    assert "waypost" in run(prefix / "bin/waypost", "-version")


@pytest.mark.parametrize("name, needs", [pytest.param("plugin-hello", 5, id="001-5-plugin-hello"),
                                         pytest.param("backend-hello", 5, id="001-5-backend-hello")])
def test_example_builds_outside_the_tree(prefix, tmp_path, name, needs):
    """A copy of the folder, the installed prefix and nothing else; it loads into the installed program."""
    env = {**os.environ, "PKG_CONFIG_PATH": str(prefix / "lib/pkgconfig"), "CFLAGS": "-O2 -Wall -Wextra -Wshadow -Werror"}
    shutil.copytree(prefix / "share/doc/waypost/examples" / name, tmp_path / name)
    said = run("make", "-C", tmp_path / name, env=env)
    assert f"-I{prefix}/include" in said and TOP + "/" not in said.replace(str(tmp_path), "")
    run("make", "-C", tmp_path / name, "install", env=env)
    made = [n for n in os.listdir(tmp_path / name) if n.endswith(".so")]
    assert len(made) == 1
    plugin = made[0].removesuffix(".so")
    path = prefix / "lib/waypost/plugins" / made[0]
    assert os.stat(path).st_mode & 0o777 == 0o644
    wanted = set(re.findall(r"\bU (wp_\w+)", run("nm", "-D", path)))
    assert len(wanted) >= needs
    (tmp_path / "Corefile").write_text(f"example.org:1053 {{\n load {plugin} {path}\n {plugin}\n}}\n")
    assert run(prefix / "bin/waypost", "check", "-conf", tmp_path / "Corefile").endswith(": ok\n")
    (tmp_path / "plugin.cfg").write_text(f"log:log\n{plugin}:{path}\n")
    listed = run(prefix / "bin/waypost", "-plugin.cfg", tmp_path / "plugin.cfg", "-plugins", "-order").split()
    assert listed[listed.index("log") + 1] == plugin
    r = subprocess.run(["make", "-B", "-C", tmp_path / name], capture_output=True, text=True, env={**os.environ, "PKG_CONFIG_LIBDIR": "/nonexistent"})
    assert r.returncode != 0 and "pkg-config does not know waypost: set PKG_CONFIG_PATH" in r.stderr


def public_words(prefix):
    """Functions and objects that the installed headers declare, in the words of a compiler: the types of its debug output are not
    needed, so each is taken as `&name` and the ones that are none do not compile."""
    words = set()
    for part in ("base", "dns", "tls", "plugin"):
        for name in sorted(os.listdir(prefix / "include/waypost" / part)):
            text = re.sub(r"/\*.*?\*/", "", (prefix / "include/waypost" / part / name).read_text(), flags=re.S)
            text = re.sub(r"^static inline .*?^}", "", text, flags=re.S | re.M)
            words |= set(re.findall(r"^(?!typedef|static|#|struct \w+ \{)[\w ]+?[ *](wp_\w+)\(", text, re.M))
            words |= set(re.findall(r"^extern [^;(]*?\b(wp_\w+)(?:\[\w*\])?;", text, re.M))
            words |= set(re.findall(r"^extern [^;]*\(\*(wp_\w+)\)", text, re.M))
    return words - {"wp_plugin_module"}


def test_everything_declared_is_there(prefix, tmp_path):
    """A plugin that takes the address of all that the headers declare."""
    words = sorted(public_words(prefix))
    assert len(words) > 200 and {"wp_reply_begin", "wp_catalog_put", "wp_change_version", "wp_tls_ctx_unref"} <= set(words)
    headers = sorted(os.path.relpath(os.path.join(d, n), prefix / "include") for d, _, ns in os.walk(prefix / "include/waypost") for n in ns)
    text = "".join(f'#include "{h}"\n' for h in headers)
    text += "static const struct wp_plugin all = {.name = \"all\"};\n"
    text += "__attribute__((visibility(\"default\"))) extern const void *const everything[];\nconst void *const everything[] = {\n"
    text += "".join(f"    (const void *)&{w},\n" for w in words) + "};\nWP_PLUGIN_EXPORT(all);\n"
    (tmp_path / "all.c").write_text(text)
    run("gcc", "-std=gnu17", "-fPIC", "-shared", "-D_GNU_SOURCE", f"-I{prefix}/include", "all.c", "-o", "all.so", cwd=tmp_path)
    wanted = set(re.findall(r"\bU (wp_\w+)", run("nm", "-D", tmp_path / "all.so")))
    assert wanted == set(words)
    (tmp_path / "Corefile").write_text(".:1053 {\n load all all.so\n}\n")
    assert run(prefix / "bin/waypost", "check", "-conf", tmp_path / "Corefile").endswith(": ok\n")
    # and what is nobody's business is not there
    shown = set(re.findall(r" [TDBRV] (\w+)$", run("nm", "-D", prefix / "bin/waypost"), re.M))
    assert not shown & {"conf_order_read", "wp_conf_parse", "wp_gen_new", "wp_run", "main"} and "wp_log" in shown


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
