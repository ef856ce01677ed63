"""Changes to a cluster by chance, one after another, and how to know that a server has seen all that came before."""
import copy
import random

from asker import Question, ask_all
from kube_questions import text
from kube_store import IMPORTED, LONG, PORTS, STRAY, meta
from server import wait_for

NAMES = ("web", "db", "api", "a", "svc", LONG)


class Cluster:
    """What is in some namespaces of their own, which change() changes. The store makes the objects."""

    def __init__(self, client, store, spaces, seed=7):
        store.r = random.Random(seed)  # whatever it has been used for before
        self.client, self.store, self.r = client, store, store.r
        self.all_spaces, self.spaces, self.objects = spaces, {}, {}
        for n in spaces:
            self.put(meta("Namespace", n))

    def put(self, o):
        m = o["metadata"]
        if o["kind"] == "Namespace":
            self.spaces[m["name"]] = o
        else:
            self.objects[o["kind"], m["namespace"], m["name"]] = o
        self.client.create(o)
        return [o]

    def drop(self, o):
        m = o["metadata"]
        if m.get("finalizers"):
            return self.let_go(o)
        self.client.delete(o)
        if o["kind"] == "Namespace":  # its objects stay, as no controller runs; nobody can reach them
            del self.spaces[m["name"]]
        else:
            del self.objects[o["kind"], m["namespace"], m["name"]]
        return [o]

    def write(self, o, **fields):
        """Replace some of its fields; what was and what is."""
        m = o["metadata"]
        new = copy.deepcopy(o)
        status = fields.pop("status", None)
        for k, v in fields.items():
            new[k] = v
        self.client.patch(new, {k: new[k] for k in fields})
        if status is not None:
            new["status"] = status
            self.client.patch(new, {"status": status}, "/status")
        self.objects[o["kind"], m["namespace"], m["name"]] = new
        return [o, new]

    def some(self, kind):
        """One of these in a namespace that is there, or None."""
        those = sorted((k for k in self.objects if k[0] == kind and k[1] in self.spaces))
        return self.objects[self.r.choice(those)] if those else None

    def a_name(self, kind):
        """(namespace, name) that no such object has."""
        for _ in range(20):
            space, name = self.r.choice(sorted(self.spaces)), self.r.choice(NAMES)
            if (kind, space, name) not in self.objects:
                return space, name
        return None

    # --- one change each: the objects that it is about, before and after ---

    def new_service(self):
        at = self.a_name("Service")
        return at and self.put(self.store.service(*at))

    def gone_service(self):
        o = self.some("Service")
        return o and self.drop(o)

    def other_ports(self):
        o = self.some("Service")
        if o is None:
            return None
        ports = [{"name": n or "x", "protocol": t, "port": p} for n, t, p in self.r.choice(PORTS[1:])]
        return self.write(o, spec={**o["spec"], "ports": ports})

    def other_addresses(self):
        """Of the outside, or another target."""
        o = self.some("Service")
        if o is None:
            return None
        if o["spec"].get("type") == "ExternalName":
            return self.write(o, spec={**o["spec"], "externalName": self.store.target(o["metadata"]["namespace"], o["metadata"]["name"])})
        if o["spec"].get("type") == "LoadBalancer":
            return self.write(o, status={"loadBalancer": {"ingress": self.store.ingress()}})
        return self.write(o, spec={**o["spec"], "externalIPs": [f"198.51.100.{self.r.randrange(1, 40)}"]})

    def new_slice(self):
        o = self.some("Service")
        if o is None:
            return None
        m = o["metadata"]
        ports = [(p.get("name", ""), p["protocol"], p["port"]) for p in o["spec"].get("ports", [])]
        return self.put(self.store.slice(m["namespace"], m["name"], ports, self.r.choice(["IPv4", "IPv4", "IPv6"])))

    def gone_slice(self):
        o = self.some("EndpointSlice")
        return o and self.drop(o)

    def flap(self):
        """Endpoints come, go, or are not ready."""
        o = self.some("EndpointSlice")
        if o is None:
            return None
        ends = copy.deepcopy(o["endpoints"])
        kind = self.r.randrange(3)
        if kind == 0 and ends:
            e = self.r.choice(ends)
            e["conditions"] = {"ready": not e.get("conditions", {}).get("ready", True)}
        elif kind == 1 and ends:
            ends.pop(self.r.randrange(len(ends)))
        else:
            pool = self.store.pool6 if o["addressType"] == "IPv6" else self.store.stray4 if STRAY in o["metadata"]["labels"] else self.store.pool4
            ends.append(self.store.endpoint(o["addressType"], False, pool))
        return self.write(o, endpoints=ends)

    def move(self):
        """A slice to another service."""
        o = self.some("EndpointSlice")
        if o is None:
            return None
        labels = {**o["metadata"]["labels"]}
        key = next((k for k in (IMPORTED, "kubernetes.io/service-name") if k in labels), None)
        if key is None:
            return None
        labels[key] = self.r.choice(NAMES)
        return self.write(o, metadata={**o["metadata"], "labels": labels})

    def new_pod(self):
        return self.put(self.store.pod(self.r.choice(sorted(self.spaces)), f"p-{next(self.store.slices)}"))

    def gone_pod(self):
        o = self.some("Pod")
        return o and self.drop(o)

    def other_pod(self):
        """Another address, an end, or a deletion that waits."""
        o = self.some("Pod")
        if o is None:
            return None
        kind = self.r.randrange(3)
        if kind == 0:
            return self.write(o, status=self.store.pod("x", "x")["status"])
        if kind == 1:
            return self.write(o, status={**o["status"], "phase": self.r.choice(["Succeeded", "Failed", "Running"])})
        if o["metadata"].get("finalizers") is None:
            changed = self.write(o, metadata={**o["metadata"], "finalizers": ["waypost.test/keep"]})
            self.client.delete(o)
            return changed
        return self.let_go(o)

    def let_go(self, o):
        """The deletion that waits goes through."""
        self.client.patch(o, {"metadata": {"finalizers": None}})
        del self.objects["Pod", o["metadata"]["namespace"], o["metadata"]["name"]]
        return [o]

    def let_all_go(self):
        """Whoever knew such a pod still has it, and whoever comes anew never sees it: until it is gone, two servers may differ."""
        for o in [o for o in self.objects.values() if o["kind"] == "Pod" and o["metadata"].get("finalizers")]:
            self.let_go(o)

    def new_import(self):
        at = self.a_name("ServiceImport")
        if at is None:
            return None
        made = self.store.imported(*at)
        for o in made:
            self.put(o)
        return made

    def gone_import(self):
        o = self.some("ServiceImport")
        return o and self.drop(o)

    def namespace(self):
        """One comes or goes, with what is in it or without."""
        gone = sorted(set(self.all_spaces) - set(self.spaces))
        if gone:
            self.put(meta("Namespace", gone[0]))
            return [self.spaces[gone[0]], *(o for k, o in self.objects.items() if k[1] == gone[0])]
        name = self.r.choice(self.all_spaces)
        inside = [o for k, o in self.objects.items() if k[1] == name]
        for o in inside if self.r.random() < 0.5 else ():
            if not o["metadata"].get("finalizers"):
                self.drop(o)
        return self.drop(self.spaces[name]) + inside

    KINDS = (("new_service", 10), ("gone_service", 5), ("other_ports", 5), ("other_addresses", 7), ("new_slice", 12), ("gone_slice", 4), ("flap", 20), ("move", 5), ("new_pod", 6),
             ("gone_pod", 3), ("other_pod", 7), ("new_import", 5), ("gone_import", 2), ("namespace", 3))

    def change(self):
        """(what it was, the objects it was about)."""
        while True:
            kind = self.r.choices([k for k, _ in self.KINDS], [n for _, n in self.KINDS])[0]
            touched = getattr(self, kind)()
            if touched:
                return kind, touched


# --- markers ----------------------------------------------------------------------------------------


BACK_S = 120  # no more than this until what was away is there again: tries are up to a minute apart


class Markers:
    """One object of each watched kind: a server that knows its latest state knows what came before it in that collection."""

    def __init__(self, client, space="marks"):
        self.client, self.space, self.n = client, space, 0
        client.create(meta("Namespace", space))
        self.service = meta("Service", "m", self.space, spec={"type": "ExternalName", "externalName": "m0.partner.example"})
        headless = meta("Service", "e", self.space, spec={"clusterIP": "None", "ports": [{"port": 1}]})
        slices = [meta("EndpointSlice", name, self.space, {label: "e", "multicluster.kubernetes.io/source-cluster": "east"}, "discovery.k8s.io/v1", addressType="IPv4",
                       ports=[{"port": 1}], endpoints=[]) for name, label in (("e", "kubernetes.io/service-name"), ("i", IMPORTED))]
        self.slice, self.import_slice = slices
        self.pod = meta("Pod", "p", self.space, spec={"containers": [{"name": "c", "image": "i"}]}, status={"phase": "Running"})
        self.imported = meta("ServiceImport", "e", self.space, {}, "multicluster.x-k8s.io/v1alpha1", spec={"type": "Headless", "ports": [{"port": 1}]})
        self.other = meta("ServiceImport", "o", self.space, {}, "multicluster.x-k8s.io/v1alpha1", spec={"type": "ClusterSetIP", "ips": ["10.112.0.1"], "ports": [{"port": 1}]})
        for o in (self.service, headless, *slices, self.pod, self.imported, self.other):
            client.create(o)

    def put(self):
        """[(question, octets that its answer holds)]."""
        self.n += 1
        n = self.n
        address = f"10.25{n >> 16}.{n >> 8 & 255}.{n & 255}"
        ends = {"endpoints": [{"addresses": [address], "conditions": {"ready": True}}]}
        octets = bytes(int(x) for x in address.split("."))
        self.client.each(lambda call: self.client.patch(*call), [
            (self.service, {"spec": {"externalName": f"m{n}.partner.example"}}), (self.slice, ends), (self.import_slice, ends),
            (self.pod, {"status": {"podIP": address, "podIPs": [{"ip": address}]}}, "/status"), (self.other, {"spec": {"ports": [{"port": n % 65536}]}})])
        self.client.create(meta("Namespace", f"{self.space}-{n}"))

        def q(name, qtype, zone="cluster.local"):
            return Question(text(name) + text(zone), qtype, tcp=True)
        return [(q(f"m.{self.space}.svc", "CNAME"), b"m%d" % n), (q(f"e.{self.space}.svc", "A"), octets), (q(f"e.{self.space}.svc", "A", "clusterset.local"), octets),
                (q(address.replace(".", "-") + f".{self.space}.pod", "A"), octets), (q(f"o.{self.space}.svc", "SRV", "clusterset.local"), (n % 65536).to_bytes(2, "big") + b"\1o"),
                (q(f"{self.space}-{n}.svc", "A"), None)]

    @staticmethod
    def is_seen(port, marks):
        for (_, want), reply in zip(marks, ask_all(port, [q for q, _ in marks])):
            if reply is None or reply.rcode != 0 or (want is not None and not any(want in r[4] for r in reply.sections[0])):
                return False
        return True

    def settle(self, *ports):
        """All of these servers have seen what came before."""
        marks = self.put()
        for port in ports:
            wait_for(lambda p=port: self.is_seen(p, marks), BACK_S, step=0.002)
