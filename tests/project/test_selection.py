"""A build with some of the plugins: by names, or by a plugin.cfg of CoreDNS's form with one from outside the tree."""
import os
import re
import shutil
import subprocess

import pytest
import source
import wire
from server import TOP, WAYPOST, Waypost

ORDER = re.findall(r"^X\((\w+)\)", source.read("server/plugin_order.def"), re.M)


def configure(build, plugins="", cfg=""):
    return subprocess.run(["cmake", "-S", TOP, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", f"-DWAYPOST_PLUGINS={plugins}",
                           f"-DWAYPOST_PLUGIN_CFG={cfg}"], capture_output=True, text=True)


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """A folder that is configured again and again: the second time takes a moment."""
    return tmp_path_factory.mktemp("build")


def table(build):
    """(names in their order, those that are built)"""
    rows = re.findall(r'\{\.name = "(\w+)"(, \.plugin = &wp_plugin_\w+)?\}', (build / "plugin_table.c").read_text())
    return [n for n, _ in rows], [n for n, plugin in rows if plugin]


@pytest.fixture(scope="module")
def outside(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outside") / "hello"
    shutil.copytree(os.path.join(TOP, "deploy/examples/plugin-hello"), folder)
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory, outside):
    """errors, log, hello and whoami; the objects are those that the cache of the compiler has from the whole build."""
    build = tmp_path_factory.mktemp("small")
    (build / "plugin.cfg").write_text(f"# small\nerrors:errors\nhello:{os.path.relpath(outside, TOP)}\nlog:log\n\nwhoami:whoami\nroute53:route53\n")
    r = configure(build, cfg=build / "plugin.cfg")
    assert r.returncode == 0, r.stdout + r.stderr
    r = subprocess.run(["cmake", "--build", build, "--target", "waypost"], capture_output=True, text=True, env={**os.environ, "CCACHE_NOHASHDIR": "1"})
    assert r.returncode == 0, r.stdout[-3000:] + r.stderr
    return str(build / "waypost")


def needed(binary):
    return set(re.findall(r"\(NEEDED\).*\[(.*?)\]", subprocess.run(["readelf", "-d", binary], capture_output=True, text=True, check=True).stdout))


@pytest.mark.parametrize("row", ["003-15", "001-8"])
def test_small_binary(small, row):
    out = subprocess.run([small, "-plugins", "-order"], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["errors", "hello", "log", "whoami"]
    full = os.environ.get("WAYPOST") or WAYPOST
    assert os.path.getsize(small) < os.path.getsize(full) / 2
    gone = needed(full) - needed(small)
    assert not needed(small) - needed(full) and {n.split(".so")[0] for n in gone} >= {"libjansson", "libyaml-0", "libprotobuf-c", "libcrypt"}, gone
    assert not os.path.exists(os.path.join(os.path.dirname(small), "waypost-grpc.so"))


def test_small_binary_serves(small):
    conf = "example.org:{dns} {\n hello {\n  text small\n }\n log\n whoami\n}\n"
    with Waypost(conf, binary=small) as w:
        reply = wire.parse(wire.udp(w.port["dns"], wire.query("hello.example.org", "TXT"), timeout=10))
        assert str(reply.answer[0][0]) == '"small"'
        assert wire.rcode(wire.udp(w.port["dns"], wire.query("example.org"), timeout=10)) == 0


@pytest.mark.parametrize("directive", ["cache", "route53", "cookie"])
def test_what_is_left_out_is_refused_by_name(small, tmp_path, directive):
    (tmp_path / "Corefile").write_text(f".:1053 {{\n whoami\n {directive}\n}}\n")
    r = subprocess.run([small, "check", "-conf", "Corefile"], cwd=tmp_path, capture_output=True, text=True)
    assert r.returncode == 1 and r.stderr == f"Corefile:3: {directive}: directive '{directive}' of CoreDNS is not in this build of waypost\n"


@pytest.mark.parametrize("value, want", [("cache,forward", ["cache", "forward"]), ("forward cache", ["cache", "forward"]), ("k8s_external", ["k8s_external"])])
def test_names(build, value, want):
    r = configure(build, value)
    assert r.returncode == 0, r.stderr
    assert table(build) == (ORDER, want)
    assert ("wp_plugins.dir/backends/kubernetes/" in (build / "build.ninja").read_text()) == (value == "k8s_external")
    assert "add_test" not in (build / "CTestTestfile.cmake").read_text()


CFGS = [
    ("cache:cache\nlog:log\n", ["cache", "log"], {"log": "cache", "cache": "log"}),
    ("on:github.com/coredns/caddy/onevent\nwhoami:whoami\n", ["whoami"], {"on": "whoami", "whoami": "on"}),
    ("hello:{dir}\nlog:log\ncache:cache\n", ["hello", "log", "cache"], {"log": "hello log"}),
    ("log:log\nhello:{dir}\ncache:cache", ["log", "hello", "cache"], {"log": "log hello"}),
    ("hello:{dir}\n", ["hello"], {"loop": "hello loop"}),
    ("log:log\ngeoip:{geoip}\n", ["log", "geoip"], {"geoip": "log", "log": "geoip"}),
]


@pytest.mark.parametrize("text, built, places", [pytest.param(*c, id=f"001-6-build-{n}") for n, c in enumerate(CFGS)])
def test_plugin_cfg(build, tmp_path, outside, text, built, places):
    """Known names share their places, in the file's order; one from outside stands behind the line before it."""
    os.mkdir(tmp_path / "geoip")
    (tmp_path / "geoip/geoip.c").write_text('#include "waypost/plugin/plugin.h"\nconst struct wp_plugin wp_plugin_geoip = {.name = "geoip"};\n')
    (tmp_path / "plugin.cfg").write_text(text.format(dir=outside, geoip=tmp_path / "geoip"))
    r = configure(build, cfg=tmp_path / "plugin.cfg")
    assert r.returncode == 0, r.stderr
    names, got = table(build)
    assert got == built
    assert names == " ".join(places.get(n, n) for n in ORDER).split()


WRONG = [
    ("cache,nonsense", None, "WAYPOST_PLUGINS: 'nonsense' is no directive of this source tree"),
    ("route53", None, "WAYPOST_PLUGINS: 'route53' is no directive of this source tree"),
    ("cache", "log:log\n", "WAYPOST_PLUGINS and WAYPOST_PLUGIN_CFG: one of them says which plugins there are"),
    ("", None, "WAYPOST_PLUGIN_CFG: there is no file "),
    ("", "# nothing\n", "plugin.cfg: no plugin stands in it"),
    ("", "log:log\nhello\n", "plugin.cfg:2: 'hello' is not NAME:PLACE"),
    ("", "log:log\ncache:cache\nlog:log\n", "plugin.cfg:3: 'log' stands twice"),
    ("", "nomad2:github.com/x/y\n", "plugin.cfg:1: 'nomad2' is no directive of this source tree, and there is no "),
    ("", "\nhello:/x/hello.so\n", "plugin.cfg:2: '/x/hello.so' is a shared object: those are loaded when the program runs (-plugin.cfg)"),
    ("", "log:server/plugins/log\ncache:{log}\n", "plugin.cfg:1: 'log' is a directive of waypost itself"),
]


@pytest.mark.parametrize("plugins, text, want", WRONG)
def test_wrong(build, tmp_path, plugins, text, want):
    cfg = tmp_path / "plugin.cfg"
    if text is not None:
        cfg.write_text(text)
    r = configure(build, plugins, cfg if text is not None or not plugins else "")
    assert r.returncode != 0 and want in re.sub(r"\s+", " ", r.stderr), r.stderr


def test_without_the_second_tls_library(tmp_path):
    """Where pkg-config knows no wolfssl the configuration says what is left out, and is complete."""
    hide = tmp_path / "pkg-config"
    hide.write_text('#!/bin/sh\ncase "$*" in *wolfssl*) exit 1 ;; esac\nexec pkg-config "$@"\n')
    hide.chmod(0o755)
    r = subprocess.run(["cmake", "-S", TOP, "-B", tmp_path / "build", "-G", "Ninja", "-DWAYPOST_TESTS=OFF", f"-DPKG_CONFIG_EXECUTABLE={hide}"],
                       capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    assert "libwolfssl-dev is not installed: no waypost-tls-wolfssl.so" in r.stdout
    rules = (tmp_path / "build/build.ninja").read_text()
    assert "waypost-http.so" in rules and "wolfssl" not in rules
