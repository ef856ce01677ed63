"""Who may include whom: parts see only what lies below them, and each outside library has its wrapper."""
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
import source
from server import TOP

PB = r"[a-z_]+\.pb-c\.h"  # made by protoc-c from proto/grpc
# The first row that fits a file rules: what its quoted includes may be.
RULES = [
    (r"include/waypost/base/", r"waypost/base/"),
    (r"include/waypost/dns/", r"waypost/(base|dns)/"),
    (r"include/waypost/tls/", r"waypost/(base|tls)/"),
    (r"include/waypost/plugin/", r"waypost/(base|dns|plugin)/"),
    (r"include/waypost/server/", r"waypost/"),
    (r"proto/(\w+)/", rf"waypost/(base|dns)/|proto/\1/|{PB}"),
    (r"tls/", r"waypost/(base|tls)/|tls/"),
    (r"backends/common/", rf"waypost/(base|dns|plugin|tls)/|backends/common/|{PB}"),
    # no data of their own: what kubernetes has under other names, or several of it
    (r"backends/(k8s_external|kubernetai)/", r"waypost/(base|dns|plugin)/|backends/(common|kubernetes|\1)/"),
    (r"backends/(\w+)/", rf"waypost/(base|dns|plugin)/|backends/(common|\1)/|{PB}"),
    # metrics over TLS, as CoreDNS's web configuration has it; the names of TLS libraries
    (r"server/plugins/(prometheus|tls)/", r"waypost/(base|dns|plugin|tls)/|server/plugins/\1/"),
    (r"server/plugins/(\w+)/", r"waypost/(base|dns|plugin)/|server/plugins/\1/"),
    (r"server/main\.c", r"waypost/|server/process/run\.h"),
    (r"server/(\w+)/", r"waypost/|server/\1/|[a-z0-9_]+\.h"),
]
# header: the files that may include it
LIBRARIES = {
    "nghttp2/": r"server/listeners/http2_priv\.h|backends/common/upstream_h2\.c",
    "openssl/": r"tls/",
    "wolfssl/": r"tls/",
    "grpc/": r"backends/common/grpc_client\w*\.[ch]",
    "protobuf-c/": r"backends/(common|etcd)/",
    "pcre2.h": r"proto/base/regex\.c",
    "ldns/": r"proto/dns/rdata_ldns\.c",
    "jansson.h": r"backends/common/json\w*\.[ch]|backends/\w+/\w+\.c",
    "http_parser.h": r"server/listeners/http1_head\.[ch]|server/admin/http_priv\.h",
    "zlib.h": r"(server/admin/answer|backends/common/state_write)\.c",
    "yaml.h": r"server/plugins/prometheus/web_file\.c|backends/common/yaml_tree\.[ch]",
    "crypt.h": r"server/plugins/prometheus/\w+\.c",
    "curl/": r"backends/common/http_client\w*\.[ch]",
}
LIBC = r"(libc6-dev|linux-libc-dev|libgcc-\d+-dev|libcrypt-dev)(:\w+)?"


def rule(path):
    for pattern, allowed in RULES:
        m = re.match(pattern, path)
        if m:
            return m.expand(allowed) if m.groups() else allowed
    raise AssertionError(f"{path}: no rule says what this file may include")


def test_directions():
    bad = []
    for path in source.code():
        allowed = rule(path)
        for line, kind, name in source.includes(path):
            if kind == '"' and not re.match(allowed, name):
                bad.append(f'{path}:{line}: "{name}" is not for this part')
    assert not bad, "\n".join(bad)


def test_directions_find_an_intruder():
    for path, name in (("proto/dns/x.c", "waypost/plugin/loop.h"), ("tls/x.c", "waypost/dns/name.h"),
                       ("backends/etcd/x.c", "backends/file/y.h"), ("server/plugins/acl/x.c", "waypost/server/gen.h"),
                       ("server/plugins/acl/x.c", "server/plugins/any/y.h"), ("server/router/x.c", "backends/common/job.h")):
        assert not re.match(rule(path), name), (path, name)


def test_libraries_have_one_wrapper():
    bad = []
    for path in source.code():
        for line, kind, name in source.includes(path):
            for header, allowed in LIBRARIES.items():
                if kind == "<" and name.startswith(header) and not re.match(allowed, path):
                    bad.append(f"{path}:{line}: <{name}> belongs to {allowed}")
    assert not bad, "\n".join(bad)


def test_library_that_parses_json_is_met_in_one_place():
    users = [p for p in source.code() if any(n == "jansson.h" for _, _, n in source.includes(p))]
    assert len({os.path.dirname(p) for p in users}) <= 1, users


def test_every_other_header_is_the_c_library():
    """A library that no row above knows is a new dependency: it needs a row, and its package in deploy/packages."""
    packages = {w[1] for w in (line.split() for line in source.read("deploy/packages").split("\n")) if len(w) == 2 and w[0] in ("build", "optional")}
    names = {n for p in source.code() for _, k, n in source.includes(p) if k == "<"}
    bad = []
    for name in sorted(names):
        known = any(name.startswith(h) for h in LIBRARIES)
        found = subprocess.run(["gcc", "-x", "c", "-E", "-D_GNU_SOURCE", "-DPCRE2_CODE_UNIT_WIDTH=8", "-"], input=f"#include <{name}>\n",
                               capture_output=True, text=True).stdout
        m = re.search(rf'^# 1 "(/[^"]*/{re.escape(name)})"', found, re.M)
        assert m, f"<{name}> is not found"
        owner = subprocess.run(["dpkg", "-S", os.path.realpath(m[1])], capture_output=True, text=True).stdout.split(" ")[0].rstrip(":,")
        owner = re.sub(r":\w+$", "", owner)
        if not known and not re.fullmatch(LIBC, owner):
            bad.append(f"<{name}> of {owner}: no row in LIBRARIES")
        elif known and owner not in packages and not re.fullmatch(LIBC, owner):
            bad.append(f"<{name}> of {owner}: not in deploy/packages")
    assert not bad, "\n".join(bad)


def test_headers_have_pragma_once():
    bad = [p for p in source.code(".h") if "\n#pragma once\n" not in "\n" + source.read(p)]
    assert not bad, bad


@pytest.mark.parametrize("compiler", ["gcc", "clang-14"])
def test_every_header_compiles_alone(compiler, tmp_path):
    flags = [f for f in source.compile_flags() if f != "-Wunused"]

    def one(header):
        alone = tmp_path / (header.replace("/", "_") + ".c")
        alone.write_text(f'#include "{os.path.join(TOP, header)}"\n#include "{os.path.join(TOP, header)}"\nextern int wp_here;\n')
        r = subprocess.run([compiler, "-std=gnu17", "-fsyntax-only", *flags, str(alone)], capture_output=True, text=True)
        return r.returncode == 0 or f"{header}:\n{r.stderr[:1500]}"

    headers = source.code(".h")
    assert len(headers) > 20
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        bad = [r for r in pool.map(one, headers) if r is not True]
    assert not bad, "\n".join(bad)
