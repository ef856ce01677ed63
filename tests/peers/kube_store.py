"""A cluster's objects from a seed: services of every kind, their slices, pods, imports of other clusters, in namespaces with labels. What
controllers would have written (slices, status) is written here; none runs."""
import itertools
import random
import zlib

LONG = "l" + "o" * 61 + "g"  # a label of 63 octets
NAMESPACES = {"shop": "open", "infra": "open", "hidden": "secret", "svc": "open", "pod": "open", "a": "secret", "n1": "open", "n2": "open",
              "n3": "", "n4": "secret", "bare": "open", LONG: "open"}
SYSTEM = ("default", "kube-system")
NAMES = ["web", "db", "api", "cache", "dns", "ns", "svc", "pod", "any", "apex", "tcp", "http", "dns-version", "a", "b", "web-1", "web-2", "xn--bcher-kva",
         "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "el", "tw", "th", "fo", "fi", "si", "se", "ei", "ni", "te", LONG]
ZONES = ("eu-west-1a", "eu-west-1b", "zone.with.dots", "Zone-C", "pin")
PORTS = (
    (), (("http", "TCP", 80),), (("http", "TCP", 80),), (("", "TCP", 8000),), (("", "UDP", 53),), (("dns", "UDP", 53), ("dns-tcp", "TCP", 53)),
    (("http", "TCP", 80), ("metrics", "TCP", 9100)), (("sip", "SCTP", 5060),), (("a", "TCP", 1), ("b", "UDP", 2), ("c", "SCTP", 3), ("tcp", "TCP", 4), ("http", "UDP", 80)),
    (("http", "TCP", 80), ("http-alt", "TCP", 8080), ("quic", "UDP", 443), ("tls", "TCP", 443)), (("pg", "TCP", 5432),), (("p-1", "TCP", 65535),))
HOSTS = ("db-0", "db-1", "db-2", "web-b", "twin", "twin", "a", "http", "pin", "x1", LONG)
PARTNER = ("ext.partner.example", "al.partner.example", "nope.partner.example", "loop1.partner.example", "x.wild.partner.example", "back.partner.example",
           "big.partner.example", "partner.example", "out.sub.partner.example")
KIND = ["cluster"] * 26 + ["v6"] * 6 + ["dual"] * 8 + ["headless"] * 26 + ["external"] * 18 + ["node"] * 4 + ["balanced"] * 12
IMPORTED = "multicluster.kubernetes.io/service-name"
CLUSTERS = ("east", "west", "c-3")
STRAY = "stray"  # a label of slices that name no service, of which CoreDNS makes names with an empty label


def meta(kind, name, namespace=None, labels=None, version="v1", **more):
    m = {"name": name, **({"namespace": namespace} if namespace else {}), **({"labels": labels} if labels else {})}
    return {"apiVersion": version, "kind": kind, "metadata": m, **more}


class Store:
    """Makes objects one after another."""

    def __init__(self, seed, own=()):
        self.r = random.Random(seed)
        self.own = own  # addresses of this machine, which the servers know as theirs
        self.ip4, self.ip6 = itertools.count(25600), itertools.count(0x100)
        self.slices = itertools.count(1)
        self.pool4 = list(dict.fromkeys(f"10.244.{self.r.randrange(40)}.{self.r.randrange(256)}" for _ in range(500)))
        self.pool6 = [f"fd00:10:244::{self.r.randrange(1, 1 << 16):x}" for _ in range(60)] + ["fd00:10:244:7::", "fd00:10:244:8::", "2001:db8::1:2:3", "fd00::"]
        self.stray4 = [f"10.245.{self.r.randrange(40)}.{self.r.randrange(256)}" for _ in range(80)]
        self.names = list(NAMES)

    # --- services ---

    def cluster_ips(self, kind):
        n, m = next(self.ip4), next(self.ip6)
        four, six = f"10.96.{n >> 8}.{n & 255}", f"fd00:10:96::{m:x}"
        if kind == "dual":
            return [four, six] if self.r.random() < 0.7 else [six, four]
        return [six] if kind == "v6" else [four]

    def labels(self):
        r = self.r
        return {k: r.choice(v) for k, v in {"app": ("web", "db", "x"), "env": ("prod", "qa", "dev")}.items() if r.random() < 0.8}

    def target(self, namespace, name):
        """Of an ExternalName."""
        r = self.r
        inside = f"{r.choice(self.names)}.{r.choice(list(NAMESPACES))}"
        return r.choice([
            lambda: r.choice(PARTNER), lambda: r.choice(PARTNER), lambda: f"{inside}.svc.cluster.local", lambda: f"{inside}.svc.cluster.local",
            lambda: f"{r.choice(self.names)}.{namespace}.svc.cluster.local", lambda: f"{name}.{namespace}.svc.cluster.local",
            lambda: f"x.{name}.{namespace}.svc.cluster.local", lambda: "192.0.2.9", lambda: f"{inside}.svc.clusterset.local",
            lambda: f"{inside}.lb.test", lambda: "10-244-1-5.shop.pod.cluster.local", lambda: "db-0." + inside + ".svc.cluster.local",
            lambda: "cluster.local", lambda: f"{inside}.svc.cluster.local.", lambda: "dns-version.cluster.local"])()

    def service(self, namespace, name, kind=None):
        r = self.r
        kind = kind or r.choice(KIND)
        ports = r.choice(PORTS if kind in ("headless", "external") else PORTS[1:])
        spec = {"ports": [{**({"name": n} if n else {}), "protocol": t, "port": p} for n, t, p in ports]}
        if kind == "external":
            spec.update(type="ExternalName", externalName=self.target(namespace, name))
        elif kind == "headless":
            spec.update(clusterIP="None", clusterIPs=["None"], publishNotReadyAddresses=r.random() < 0.2)
        else:
            ips = self.cluster_ips(kind if kind in ("v6", "dual") else r.choice(["v4", "v4", "v6", "dual"]) if kind != "cluster" else "v4")
            spec.update(clusterIP=ips[0], clusterIPs=ips, ipFamilies=["IPv6" if ":" in i else "IPv4" for i in ips],
                        ipFamilyPolicy="RequireDualStack" if len(ips) == 2 else "SingleStack",
                        type={"node": "NodePort", "balanced": "LoadBalancer"}.get(kind, "ClusterIP"))
        if r.random() < 0.12:
            spec["externalIPs"] = [r.choice(["198.51.100.%d" % r.randrange(1, 40), "2001:db8:e::%x" % r.randrange(1, 40)]) for _ in range(r.choice([1, 1, 2]))]
        o = meta("Service", name, namespace, self.labels(), spec=spec)
        if kind == "balanced":
            spec["allocateLoadBalancerNodePorts"] = False
            o["status"] = {"loadBalancer": {"ingress": self.ingress()}}
        return o

    def ingress(self):
        r = self.r
        return [r.choice([lambda: {"ip": f"203.0.113.{r.randrange(1, 60)}"}, lambda: {"ip": f"2001:db8:f::{r.randrange(1, 60):x}"},
                          lambda: {"hostname": r.choice(PARTNER)}, lambda: {"ip": "203.0.113.77", "hostname": "ext.partner.example"}])()
                for _ in range(r.choice([0, 1, 1, 1, 2, 3]))]

    # --- slices ---

    def endpoint(self, family, publish, pool):
        r = self.r
        several = r.random() < 0.1 and len(pool) > 100  # from among others: one address has one zone
        e = {"addresses": [r.choice(PARTNER)] if family == "FQDN" else r.sample(pool[:50], 2) if several else [r.choice(pool[50:])]}
        kind = r.random()
        if publish:
            e["conditions"] = {"ready": True, "serving": r.random() < 0.5}
        elif kind < 0.7:
            e["conditions"] = {"ready": True, "serving": True, "terminating": False}
        elif kind < 0.9:
            e["conditions"] = {"ready": False, "serving": r.random() < 0.5, "terminating": r.random() < 0.5}
        elif kind < 0.95:
            e["conditions"] = {}
        if r.random() < 0.35:
            e["hostname"] = r.choice(HOSTS)
        if r.random() < 0.5:
            e["targetRef"] = {"kind": "Pod", "name": r.choice(["web-7f9c-abcde", "db-2", "pod.with.dots", "p" * 63, "q" * 64, "job-1"]), "namespace": "shop"}
        zone = zlib.crc32(e["addresses"][0].encode()) % (2 * len(ZONES) - 3)  # one zone for one address
        if zone < len(ZONES):
            e["zone"] = ZONES[zone]
        if r.random() < 0.3:
            e["nodeName"] = "node-1"
        return e

    def slice(self, namespace, service, ports, family=None, count=None, publish=False, labels=None):
        r = self.r
        family = family or r.choice(["IPv4"] * 2 + ["IPv6"])
        n = r.choice([0, 1, 2, 2, 3, 5]) if count is None else count
        listed = [{"name": name, "protocol": t, "port": p + r.choice([0, 8000]) if p < 50000 else p} for name, t, p in ports]
        if listed and r.random() < 0.04:
            listed[0].pop("port")
        own = {"kubernetes.io/service-name": service} if service else {STRAY: "yes"}
        pool = self.pool6 if family == "IPv6" else self.pool4 if service else self.stray4
        return meta("EndpointSlice", f"{(service or 'stray')[:40]}-{next(self.slices)}", namespace, {**self.labels(), **own, **(labels or {})},
                    "discovery.k8s.io/v1", addressType=family, ports=listed, endpoints=[self.endpoint(family, publish, pool) for _ in range(n)])

    def slices_of(self, o):
        r, m = self.r, o["metadata"]
        ports = [(p.get("name", ""), p["protocol"], p["port"]) for p in o["spec"]["ports"]]
        if o["spec"].get("type") == "ExternalName":
            n = r.random() < 0.05
        else:
            n = r.choice([0, 1, 1, 1, 2, 3])
        names = r.random() < 0.03  # of hosts: all of them, as which slice is the first one is chance
        return [self.slice(m["namespace"], m["name"], ports if r.random() < 0.93 else r.choice(PORTS), "FQDN" if names else None,
                           publish=o["spec"].get("publishNotReadyAddresses")) for _ in range(n)]

    # --- pods, imports ---

    def pod(self, namespace, name):
        r = self.r
        ips = ([r.choice(self.pool4)] if r.random() < 0.9 else []) + ([r.choice(self.pool6)] if r.random() < 0.3 else [])
        status = {"phase": r.choice(["Running"] * 8 + ["Pending", "Succeeded", "Failed"])}
        if ips:
            r.shuffle(ips)
            status.update(podIP=ips[0], podIPs=[{"ip": i} for i in ips])
        return meta("Pod", name, namespace, self.labels(), spec={"containers": [{"name": "c", "image": "i"}]}, status=status)

    def imported(self, namespace, name):
        r = self.r
        headless = r.random() < 0.5
        spec = {"type": "Headless" if headless else "ClusterSetIP",
                "ports": [{**({"name": n} if n else {}), "protocol": t, "port": p} for n, t, p in r.choice(PORTS)]}
        if not headless and r.random() < 0.9:
            spec["ips"] = [f"10.112.{r.randrange(256)}.{r.randrange(256)}"] + ([f"fd00:10:112::{r.randrange(1, 999):x}"] if r.random() < 0.3 else [])
        o = meta("ServiceImport", name, namespace, self.labels(), "multicluster.x-k8s.io/v1alpha1", spec=spec)
        ports = [(p.get("name", ""), p["protocol"], p["port"]) for p in spec["ports"]]
        return [o] + [self.slice(namespace, "", ports, "IPv4", labels={IMPORTED: name, "multicluster.kubernetes.io/source-cluster": c})
                      for c in r.choices(CLUSTERS, (6, 6, 3), k=r.choice([0, 1, 2, 3]))]

    # --- all of it ---

    def everything(self):
        """[objects]: those of one list need nothing of it, only of those before."""
        r = self.r
        spaces = [meta("Namespace", n, labels={"tier": t} if t else None) for n, t in NAMESPACES.items()]
        services = [self.service(n, name) for n in (*NAMESPACES, "default") if n != "bare" for name in r.sample(self.names, 35)]
        dns = meta("Service", "kube-dns", "kube-system", {"k8s-app": "kube-dns"}, spec={"clusterIP": "10.96.0.10", "clusterIPs": ["10.96.0.10"], "ports": [
            {"name": "dns", "protocol": "UDP", "port": 53}, {"name": "dns-tcp", "protocol": "TCP", "port": 53}, {"name": "metrics", "protocol": "TCP", "port": 9153}]})
        slices = [s for o in services for s in self.slices_of(o)]
        ports = PORTS[6]
        slices += [self.slice("shop", "web", ports, "IPv4", 150), self.slice("infra", "db", ports, "IPv4", 40), self.slice("shop", "gone", ports), self.slice("n1", "", ports, "IPv4"),
                   self.slice("n2", "", (), "IPv4", 3)]
        for family in ("IPv4", "IPv6"):
            mine = [a for a in self.own if (":" in a) == (family == "IPv6")]
            if mine:
                slices.append(meta("EndpointSlice", "kube-dns-" + family.lower(), "kube-system", {"kubernetes.io/service-name": "kube-dns"}, "discovery.k8s.io/v1",
                                   addressType=family, ports=[{"name": "dns", "protocol": "UDP", "port": 53}],
                                   endpoints=[{"addresses": mine, "conditions": {"ready": True}}]))
        pods = [self.pod(n, f"{name}-{i}") for n in ("shop", "infra", "hidden", "n1", "default", "a") for i, name in enumerate(r.choices(self.names[:30], k=95))]
        asker = meta("Pod", "asker", "shop", {"app": "web"}, spec={"containers": [{"name": "c", "image": "i"}]},
                     status={"phase": "Running", "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]})  # whom autopath takes us for
        imports = [o for n in ("shop", "infra", "hidden", "n1", "n2") for name in r.sample(self.names, 12) for o in self.imported(n, name)]
        # of no cluster: its endpoints have no name
        imports += [meta("ServiceImport", "homeless", "shop", {}, "multicluster.x-k8s.io/v1alpha1", spec={"type": "Headless", "ports": [{"port": 80}]}),
                    self.slice("shop", "", PORTS[1], "IPv4", 2, labels={IMPORTED: "homeless"})]
        return [spaces, [dns, *services, *slices, *pods, asker, *imports]]
