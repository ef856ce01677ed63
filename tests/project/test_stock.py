"""Corefiles that clusters come with: each loads as it is, in the image, told about its cluster as a pod is, and answers."""
import os
import shutil
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import dns.message
import dns.reversename
import image
import kube
import pki
import pytest
import wire
from container import Container, Network
from server import TOP, wait_for

sys.path.insert(0, os.path.join(TOP, "tests/fake"))
from resolver import Resolver  # noqa: E402

STOCK = os.path.join(TOP, "deploy/corefiles/stock")
API_PORT = 6443
SECRETS = "/var/run/secrets/kubernetes.io/serviceaccount"
POD_ADDRESS, CLUSTER_ADDRESS, UPSTREAM_ADDRESS = "10.244.1.2", "10.244.1.1", "10.96.0.11"
POD = {"KUBERNETES_SERVICE_HOST": CLUSTER_ADDRESS, "KUBERNETES_SERVICE_PORT": str(API_PORT)}
ARGS = ["-conf", "/etc/coredns/Corefile"]
NAMES = sorted(n for n in os.listdir(STOCK) if n != "README.md")
OURS = {"ours.example": "192.0.2.12"}  # of the folder custom
UPSTREAM = "192.0.2.77"
SPECIAL = {  # where one is not as most are
    "kubeadm-1.14": {"ready": None},
    "k3s": {"more": {"node1": "192.0.2.11", **OURS}},
    "aks": {"more": OURS},
    "gardener": {"port": 8053, "more": OURS},
    "openshift": {"port": 5353},
    "minikube": {"more": {"host.minikube.internal": "192.0.2.1"}},
    "node-local": {"host": "169.254.20.10", "ready": None, "metrics": 9253, "cluster": False},
}


def write_conf(name, port, folder):
    """What lies at /etc/coredns."""
    shutil.copy(os.path.join(STOCK, name), folder / "Corefile")
    (folder / "NodeHosts").write_text("192.0.2.11 node1\n")
    (folder / "custom").mkdir()
    (folder / "custom/a.override").write_text("nsid\n")
    (folder / "custom/a.server").write_text("ours.example:%d {\n hosts {\n  192.0.2.12 ours.example\n }\n}\n" % port)


def write_secrets(folder):
    (folder / "token").write_text("pod-token")
    shutil.copy(pki.ca("kube-ca"), folder / "ca.crt")
    (folder / "namespace").write_text("kube-system")


def api_certificate():
    return pki.cert("kube-of-stock", "kube-ca", san=f"IP:{CLUSTER_ADDRESS}")


def api_server():
    api = kube.KubeApi(kube.scenario(), tls=api_certificate(), host=CLUSTER_ADDRESS, port=API_PORT)
    api.handler.tokens = {"pod-token": "dns"}
    return api.start()


class Asker:
    def __init__(self, c, port, host):
        self.c, self.port, self.host = c, port, host

    def __call__(self, name, qtype="A"):
        return dns.message.from_wire(self.c.ask(wire.query(name, qtype), self.port, self.host))

    def text(self, name, qtype="A"):
        reply = self(name, qtype)
        return [r.to_text() for rrset in reply.answer for r in rrset]


def ask_all(ask, cluster, more):
    assert ask.text("www.example.org") == [UPSTREAM]
    for name, address in more.items():
        assert ask.text(name) == [address], name
    if not cluster:
        assert ask.text("web.shop.svc.cluster.local") == [UPSTREAM]
        return
    services = [o for o in kube.scenario() if o["kind"] == "Service" and o["spec"].get("clusterIP", "None") not in ("None", "") and ":" not in o["spec"]["clusterIP"]]
    assert len(services) > 3
    for o in services:
        name = f"{o['metadata']['name']}.{o['metadata']['namespace']}.svc.cluster.local."
        assert o["spec"]["clusterIP"] in ask.text(name), name
    name = str(dns.reversename.from_address(services[0]["spec"]["clusterIP"]))
    assert len(ask.text(name, "PTR")) == 1
    assert ask.text("10-1-2-3.shop.pod.cluster.local") == ["10.1.2.3"]
    assert ask("none.shop.svc.cluster.local").rcode() == 3
    assert ask("9.2.0.192.in-addr.arpa", "A").rcode() == 0  # fell through


def run(name, root, top, port=53, host="127.0.0.1", ready=8181, metrics=9153, cluster=True, more=None):
    conf, secrets, resolv = top / "conf", top / "secrets", top / "resolv.conf"
    conf.mkdir(parents=True)
    secrets.mkdir()
    write_conf(name, port, conf)
    write_secrets(secrets)
    resolv.write_text(f"nameserver {UPSTREAM_ADDRESS}\n")
    mounts = [(conf, "/etc/coredns"), (secrets, SECRETS), (resolv, "/etc/resolv.conf")]
    with Network(["169.254.20.10"]) as net, Network([UPSTREAM_ADDRESS]) as outside:
        net.join(outside, POD_ADDRESS, CLUSTER_ADDRESS)
        with Container(root, ["/usr/bin/waypost", "check", *ARGS], mounts, POD, net) as c:
            assert c.wait(30) == 0 and "/etc/coredns/Corefile: ok" in c.output(), c.output()
        api = outside.inside(api_server)
        upstream = outside.inside(lambda: Resolver(host=UPSTREAM_ADDRESS, port=53))
        try:
            with Container(root, ["/usr/bin/waypost", *ARGS], mounts, POD, net) as c:
                c.connect(port, host).close()
                if ready:
                    wait_for(lambda: c.get(ready, "/ready")[0] == 200, 30)
                ask = Asker(c, port, host)
                if cluster:
                    wait_for(lambda: ask("none.shop.svc.cluster.local").rcode() == 3, 30)
                ask_all(ask, cluster, more or {})
                assert c.get(8080, "/health", host)[0] == 200
                assert "coredns_dns_requests_total" in c.get(metrics, "/metrics")[1]
                c.kill(signal.SIGKILL)  # nobody waits for lameducks
                c.wait()
        finally:
            upstream.stop()
            api.stop()


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """All at once: most of their time is waiting."""
    top = image.folder(tmp_path_factory)
    api_certificate()
    with ThreadPoolExecutor(4) as pool:
        yield {name: pool.submit(run, name, top / "root", top / name, **SPECIAL.get(name, {})) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_stock(results, name):
    results[name].result()
