"""The stock Corefiles beside CoreDNS itself, over one cluster: the same answers."""
import os
import re
import sys
import urllib.request

import kube
import pytest
from compare import Question, ask_both, differences
from server import TOP, Waypost, wait_for

sys.path.insert(0, os.path.join(TOP, "tests/fake"))
from resolver import Resolver  # noqa: E402

STOCK = os.path.join(TOP, "deploy/corefiles/stock")
NAMES = ["eks", "gardener", "k3s", "kubeadm", "kubeadm-1.18", "minikube", "openshift", "rke2"]
TYPES = ["A", "AAAA", "SRV", "TXT", "MX", "NS", "SOA", "CNAME", "PTR", "HTTPS"]


def corefile(name, api, upstream):
    """As it is, but for addresses and ports that are this machine's, and the API server; replies in the order they have."""
    with open(os.path.join(STOCK, name)) as f:
        text = f.read()
    text = re.sub(r"^(\S*):(53|5353|8053) \{", r"\1:{dns} {", text, flags=re.M)
    text = re.sub(r"(kubernetes [^{]*\{)", rf"\1\n endpoint {api.url}", text)
    text = re.sub(r"prometheus +\S+", "prometheus 127.0.0.1:{metrics}", text)
    text = re.sub(r"health( +\{[^}]*\})?", "health 127.0.0.1:{health}", text)  # without lameduck
    text = re.sub(r"^( *)ready$", r"\1ready 127.0.0.1:{ready}", text, flags=re.M)
    text = re.sub(r"^ *(loadbalance.*|import .*)\n", "", text, flags=re.M)
    text = text.replace("/etc/coredns/NodeHosts", "{dir}/NodeHosts")
    return text.replace("/etc/resolv.conf", f"127.0.0.1:{upstream.port}").replace("192.0.2.53 192.0.2.54:5353", f"127.0.0.1:{upstream.port}")


def questions():
    names = {"cluster.local", "svc.cluster.local", "none.cluster.local", "shop.svc.cluster.local", "none.svc.cluster.local", "dns-version.cluster.local",
             "none.shop.svc.cluster.local", "10-1-2-3.shop.pod.cluster.local", "10-1-2-3.none.pod.cluster.local",
             "www.example.org", "host.minikube.internal", "node1", "x.corp.example", "version.bind", "web.shop.svc.foo.bar"}
    last = ["WEB.Shop.SVC.cluster.LOCAL"]  # CoreDNS keeps it so, and rewrite's rules no longer fit
    for o in kube.scenario():
        m = o["metadata"]
        if o["kind"] == "Service":
            own = f"{m['name']}.{m['namespace']}.svc.cluster.local"
            names |= {own, f"_http._tcp.{own}", f"_tcp.{own}", f"none.{own}"}
            names |= {".".join(reversed(ip.split("."))) + ".in-addr.arpa" for ip in o["spec"].get("clusterIPs") or [] if ip.count(".") == 3}
        elif o["kind"] == "EndpointSlice":
            for e in o.get("endpoints") or []:
                names |= {".".join(reversed(ip.split("."))) + ".in-addr.arpa" for ip in e.get("addresses") or [] if ip.count(".") == 3}
    for n in sorted(names) + last:
        for t in TYPES if n.lower().endswith("cluster.local") else ["A", "AAAA", "PTR"]:
            yield Question(n, t)


STARTED_S = 60  # the serial is when a server heard of the last change: of these two, when each has started


def serials(section):
    return [int(k[3].split()[2]) for k in section if k[2] == "SOA"]


def timeless(section):
    """The same without the serials of SOA records."""
    return {k if k[2] != "SOA" else (*k[:3], *k[3].split()[:2], *k[3].split()[3:]): ttl for k, ttl in section.items()}


def is_meant(what, ours, theirs):
    """Addresses that mean something on one link only are no glue; serials are a server's own."""
    if what == "additional" and ours == {k: v for k, v in theirs.items() if not k[3].startswith("fe80:")}:
        return True
    return what in ("answer", "authority") and timeless(ours) == timeless(theirs) and \
        all(abs(a - b) < STARTED_S for a, b in zip(serials(ours), serials(theirs)))


def is_ready(w):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{w.port['ready']}/ready", timeout=5) as r:
            return r.status == 200
    except OSError:
        return False


@pytest.fixture(scope="module")
def world():
    with kube.cluster() as api, Resolver() as upstream:
        yield api, upstream


@pytest.mark.parametrize("name", NAMES, ids=lambda n: f"004-2-{n}")
def test_same_answers(world, coredns, name):
    text = corefile(name, *world)
    files = {"NodeHosts": "192.0.2.11 node1\n"}
    with Waypost(text, files) as ours, Waypost(text, files, binary=coredns) as theirs:
        for w in (ours, theirs):
            wait_for(lambda w=w: is_ready(w), 30)
        n, bad = 0, []
        for q in questions():
            n += 1
            a, b = ask_both(q, ours.port["dns"], theirs.port["dns"])
            found = [d for d in differences(a, b) if not is_meant(*d)]
            if found:
                bad.append((str(q), found))
        assert n > 400
        assert not bad, f"{len(bad)} of {n}\n" + "\n".join(map(str, bad[:20]))
