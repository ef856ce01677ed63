"""The list of directives, the folders that hold them, and their READMEs."""
import os
import re
import subprocess

import pytest
import source
from server import TOP, WAYPOST

# CoreDNS 1.15.0's order; waypost's departure: nomad after etcd (deploy/DIFFERENCES.md, D-nomad-order).
COREDNS = """root metadata geoip cancel proxyproto quic grpc_server https https3 timeouts multisocket reload nsid bufsize bind
debug trace ready health pprof shed prometheus errors log dnstap local dns64 siit any chaos loadbalance tsig rewrite autopath
acl cache header dnssec tls minimal template transfer dynupdate hosts route53 azure clouddns k8s_external kubernetes file auto
secondary etcd loop forward grpc erratic whoami on sign view nomad""".split()
# directives that CoreDNS does not have: D-cookie, D-state, D-admin, D-kubernetai
OWN = ["cookie", "state", "admin", "kubernetai"]
SECTIONS = ["Name", "Description", "Syntax", "Examples", "Commands", "Metrics", "Bugs"]
NEEDED = SECTIONS[:4]  # commands, metrics (test_metrics.py) and known bugs only where there are any


def order():
    return re.findall(r"^X\((\w+)\)", source.read("server/plugin_order.def"), re.M)


def folders():
    """Directive -> its folder."""
    found = {}
    for part in ("server/plugins", "backends"):
        for name in sorted(os.listdir(os.path.join(TOP, part))):
            if os.path.isdir(os.path.join(TOP, part, name)) and name != "common":
                found[name] = f"{part}/{name}"
    return found


def built():
    out = subprocess.run([WAYPOST, "-plugins"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"^\s*(?:dns\.)?(\w+)$", out, re.M))


def test_order_is_coredns_order():
    ours = order()
    assert len(ours) == len(set(ours)) == len(COREDNS) + len(OWN) and len(COREDNS) == 62
    assert [n for n in ours if n not in ("nomad", *OWN)] == [n for n in COREDNS if n != "nomad"]
    assert ours[ours.index("nomad") - 1] == "etcd"


def test_every_folder_is_in_the_list():
    assert not set(folders()) - set(order())


@pytest.mark.parametrize("name", folders())
def test_folder_is_a_directive(name):
    path = f"{folders()[name]}/{name}.c"
    assert f"const struct wp_plugin wp_plugin_{name} =" in source.read(path)
    assert f'"{name}"' in source.read(path)
    assert name in built()


def test_the_first_readme_lists_them_all():
    listed = re.findall(r"^\| \[(\w+)\]\((\S+)/README\.md\)", source.read("README.md"), re.M)
    assert listed == sorted(folders().items())


@pytest.mark.parametrize("name", folders())
def test_readme(name):
    text = source.read(f"{folders()[name]}/README.md")
    assert text.startswith(f"# {name}\n")
    sections = re.findall(r"^## (.+)$", text, re.M)
    assert sections == [s for s in SECTIONS if s in sections or s in NEEDED]
    body = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, re.M | re.S))
    assert re.match(rf"\s*\*{name}\* - \S", body["Name"])
    assert "```" in body["Syntax"] and "```corefile" in body["Examples"]
    assert all(text.strip() for text in body.values())


def option_names(name):
    """The words of the folder's option rows."""
    words = set()
    for path in source.files(".c", under=(folders()[name],)):
        text = source.read(path)
        for table in re.findall(r"struct wp_option \w+\[\] = \{(.*?)\n\};", text, re.S):
            words |= set(re.findall(r'\{\s*(?:\.name = )?"([^"]*)"', table))
    return words - {"", "*"}


@pytest.mark.parametrize("name", [n for n in folders() if option_names(n)])
def test_readme_tells_every_option(name):
    text = source.read(f"{folders()[name]}/README.md")
    untold = [w for w in sorted(option_names(name)) if not re.search(rf"(?<![\w-]){re.escape(w)}(?![\w-])", text)]
    assert not untold, f"{name}: options that README.md does not name: {untold}"
