"""What `waypost check` says of a Corefile that loads, and should not be left so."""
import subprocess

import pki
import pytest
from server import WAYPOST

VOUCHES = "the wildcard vouches for them; use pods verified"


def check(tmp_path, pods, names, more=""):
    """names: of the certificates, the first one the listener's own."""
    files = [pki.cert(f"lint-{i}-{'wild' if '*' in n else 'plain'}", san=f"DNS:{n}") for i, n in enumerate(names)]
    lines = "".join(f"  certificate {c} {k}\n" for c, k in files[1:])
    conf = tmp_path / "Corefile"
    tls = "tls %s %s {\n%s }" % (*files[0], lines) if files else ""
    conf.write_text("tls://.:8853 {\n %s\n kubernetes cluster.local {\n  endpoint http://127.0.0.1:1\n  %s\n }\n}\n" % (tls, pods)
                    if files else ".:53 {\n kubernetes cluster.local {\n  endpoint http://127.0.0.1:1\n  %s\n }\n}\n" % pods)
    r = subprocess.run([WAYPOST, "check", "-conf", conf], capture_output=True, text=True, timeout=30)
    assert r.returncode == 0, r.stderr
    return r.stdout + r.stderr


@pytest.mark.parametrize("row,pods,names,told", [
    ("004-37-wildcard", "pods insecure", ["*.shop.pod.cluster.local"], 1), ("004-37-two", "pods insecure", ["*.a.test", "*.b.test"], 2),
    ("004-37-second", "pods insecure", ["dns.test", "*.b.test"], 1), ("004-37-plain", "pods insecure", ["dns.test"], 0),
    ("004-37-clear", "pods insecure", [], 0), ("004-37-verified", "pods verified", ["*.shop.pod.cluster.local"], 0)], ids=lambda v: v if str(v).startswith("004") else "")
def test_wildcard(row, pods, names, told, tmp_path):
    text = check(tmp_path, pods, names)
    assert text.count(VOUCHES) == told, text
    assert ("pods verified is the safe choice" in text) == (pods == "pods insecure")
    for n in names:
        assert (f"certificate for {n} " in text) == (told > 0 and n.startswith("*"))
