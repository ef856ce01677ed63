"""Transfers of zones over a cluster: servers with sets of options, each on addresses of its own, and what is to be in
the zones."""
import kube
import wire
import xfr
from netns import Netns

SELF, TWO = ("192.0.2.53",), ("192.0.2.53", "2001:db8::53")
SETS = {  # options, zones, scenarios, the server's addresses
    "base": ("", "cluster.local", ("cluster",), SELF),
    "two": ("", "cluster.local", ("cluster",), TWO),
    "only-shop": ("namespaces shop", "cluster.local", ("cluster",), SELF),
    "open": ("namespace_labels tier=open", "cluster.local", ("cluster",), SELF),
    "noendpoints": ("noendpoints", "cluster.local", ("cluster",), SELF),
    "podnames": ("endpoint_pod_names\nttl 30", "cluster.local", ("cluster",), SELF),
    "multicluster": ("multicluster clusterset.local", "cluster.local clusterset.local", ("cluster", "multicluster"), SELF),
    "reverse": ("", "cluster.local 10.96.0.0/16 10.244.0.0/16", ("cluster",), SELF),
}


class World:
    """start(corefile) begins the server under test, a Process with port["dns"], when a set is first asked for."""

    def __init__(self, start):
        self.start, self.nets, self.running, self.apis = start, {}, {}, {}

    def server(self, name):
        if name not in self.running:
            options, zones, scenarios, addresses = SETS[name]
            if addresses not in self.nets:
                self.nets[addresses] = Netns(*addresses)
            net = self.nets[addresses]
            self.apis[name] = net.run(lambda: kube.KubeApi(kube.scenario(*scenarios)).start())
            text = kube.corefile(self.apis[name], f"startup_timeout 60s\n{options}", zones, "transfer {\nto 127.0.0.1\n}")
            self.running[name] = net, net.run(self.start, text)
        return self.running[name]

    def run(self, name, f, *args, **kw):
        """f(port, ...) where the server is."""
        net, w = self.server(name)
        return net.run(f, w.port["dns"], *args, **kw)

    def axfr(self, name, zone="cluster.local"):
        return self.run(name, xfr.axfr, zone)

    def tcp(self, name, msg, **kw):
        return self.run(name, wire.tcp, msg, **kw)

    def close(self):
        for _, w in self.running.values():
            w.__exit__(None, None, None)
        for api in self.apis.values():
            api.close()
        for net in self.nets.values():
            net.close()


def own(texts, zone="cluster.local."):
    """Without the SOA, whose serial is the server's own."""
    return [t for t in texts if " SOA " not in t]
