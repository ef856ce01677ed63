"""The cluster and the Corefile of a well-known lesson on DNS in Kubernetes, in a pod's place: the token and the CA lie
where a kubelet puts them, resolv.conf names the node's resolver, and the machine is the server's alone."""
import os
import shutil
import tempfile

import kube
import pki
import wire
from kube_rows import Resolver, record
from netns import Netns
from server import Waypost, wait_for

TOKEN = "a-token-of-the-cluster"
COREFILE = """.:{dns} {
    errors
    health {
        lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        upstream
        fallthrough in-addr.arpa ip6.arpa
    }
    prometheus :9153
    forward . /etc/resolv.conf
    cache 30
    loop
    reload
    loadbalance
}
"""
# run, then the command: with files of a pod, in a mount namespace of its own
PREPARE = ('mount -t tmpfs none /run && mkdir -p /run/secrets/kubernetes.io/serviceaccount && cp "$1"/token "$1"/ca.crt '
           '/run/secrets/kubernetes.io/serviceaccount && mount --bind "$1"/resolv.conf /etc/resolv.conf && shift && exec "$@"')
LABELS = {"app": "backend"}


def pod_of(i, ip, *more):
    return kube.pod("default", f"backend-pod-{i}", ip, *more, labels=LABELS)


def target(name):
    return {"kind": "Pod", "namespace": "default", "name": name}


OBJECTS = [
    kube.namespace("default"), kube.namespace("other"),
    kube.service("default", "backend", ("10.96.0.20", "fd00::20"), port=("/TCP/80",), labels=LABELS),
    pod_of(1, "10.1.2.3"), pod_of(2, "10.1.2.4"),
    kube.endpoint_slice("default", "backend", [kube.endpoint("10.1.2.3", targetRef=target("backend-pod-1")),
                                               kube.endpoint("10.1.2.4", targetRef=target("backend-pod-2"))],
                        port=("/TCP/8080",), labels=LABELS),
    kube.service("default", "peers", port=("/TCP/8080",)),
    kube.endpoint_slice("default", "peers", ["10.1.2.3", "10.1.2.4"], port=("/TCP/8080",)),
    kube.service("default", "headless", port=("https/TCP/443",)),
    kube.endpoint_slice("default", "headless", [
        kube.endpoint(f"172.17.0.{i}", targetRef=target(f"headless-65bb4c479f-{p}")) for i, p in ((14, "qv84p"), (18, "zc8lx"), (19, "q7lf2"), (20, "566rt"))],
        port=("https/TCP/443",)),
    kube.service("default", "twins"),
    kube.endpoint_slice("default", "twins", [kube.endpoint(f"10.1.3.{i}", hostname="twin") for i in (1, 2)]),
    kube.external_name("default", "extname", "www.example.test"),
    kube.external_name("default", "stub", "x.corp.local"),
    kube.service("other", "elsewhere", ("10.96.0.30",)),
]


def outside(q):
    """The node's resolver: names of example.test, and PTR for 9.9.9.9."""
    if q.type == 1 and q.name.endswith("example.test."):
        return q.reply(record(b"\xc0\x0c", 1, bytes([192, 0, 2, 80])))
    if q.type == 12 and q.name == "9.9.9.9.in-addr.arpa.":
        return q.reply(record(b"\xc0\x0c", 12, b"\x04dns9\x04quad\x03net\x00"))
    return q.reply(rcode=3)


class Lesson:
    """waypost with the lesson's Corefile over its cluster; everything is reached by net.run()."""

    def __init__(self, objects=OBJECTS, ca="lesson-ca"):
        self.net, self.dir = Netns("192.0.2.53"), tempfile.mkdtemp(prefix="waypost-lesson-")
        tls = pki.cert("kubernetes.default.svc", "lesson-ca", san="DNS:kubernetes.default.svc,IP:127.0.0.1")
        self.resolver = self.net.run(lambda: Resolver(outside, host="127.0.0.53", port=53))
        self.api = self.net.run(lambda: kube.KubeApi(objects, tls=tls).start())
        self.api.set(tokens={TOKEN: "system:serviceaccount:kube-system:coredns"})
        shutil.copy(pki.ca(ca), self.path("ca.crt"))
        for name, text in (("token", TOKEN + "\n"), ("resolv.conf", "search default.svc.cluster.local\nnameserver 127.0.0.53\noptions ndots:5\n")):
            with open(self.path(name), "w", encoding="ascii") as f:
                f.write(text)

    def path(self, name):
        return os.path.join(self.dir, name)

    def start(self, corefile=COREFILE, **args):
        env = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(self.api.port), **args.pop("env", {})}
        return self.net.run(lambda: Waypost(corefile, before=("unshare", "-m", "sh", "-c", PREPARE, "sh", self.dir), env=env, **args))

    def wait(self, w, name):
        """Until a name has an address: all has been listed then."""
        def known():
            octets = wire.udp(w.port["dns"], wire.query(name), 5.0)
            return octets is not None and wire.parse(octets).answer
        self.net.run(wait_for, known)
        return w

    def close(self):
        self.api.close()
        self.resolver.stop()
        self.net.close()
        shutil.rmtree(self.dir, ignore_errors=True)
