"""The second TLS library is optional: without libwolfssl-dev all but its module is built, and the configuration says so. What the
program says when it is asked for all the same: tests/e2e/test_27_tls_provider.py."""
import os
import subprocess

from server import TOP


def test_builds_without(tmp_path):
    found = tmp_path / "pkgconfig"
    found.mkdir()
    path = subprocess.run(["pkg-config", "--variable", "pc_path", "pkg-config"], capture_output=True, text=True, check=True).stdout
    for folder in reversed([f for f in path.strip().split(":") if os.path.isdir(f)]):
        for name in os.listdir(folder):
            if name != "wolfssl.pc":
                (found / name).unlink(missing_ok=True)
                (found / name).symlink_to(os.path.join(folder, name))
    r = subprocess.run(["cmake", "-S", TOP, "-B", tmp_path / "build", "-G", "Ninja", "-DWAYPOST_TESTS=OFF"], capture_output=True,
                       text=True, env={**os.environ, "PKG_CONFIG_LIBDIR": str(found)})
    assert r.returncode == 0, r.stderr
    assert "libwolfssl-dev is not installed: no waypost-tls-wolfssl.so" in r.stdout
    targets = subprocess.run(["ninja", "-C", tmp_path / "build", "-t", "targets", "all"], capture_output=True, text=True, check=True).stdout
    assert "waypost-http.so:" in targets and "wolfssl" not in targets
