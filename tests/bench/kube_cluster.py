"""A cluster of any size, as an API server tells of it, in JSON and in protobuf. Objects have the size and the shape that
real ones have (managedFields, probes, conditions); one of each kind is encoded, and numbers of fixed width are put into
its places, so that 150,000 pods are made in seconds.

Alone: kube_cluster.py FOLDER [--services N] [--endpoints N] [--pods N] writes services.json, services.pb, ..."""
import argparse
import json
import os
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests/fake"))
import kube_proto  # noqa: E402

PER_SLICE = 100
NAMESPACES = 100  # the last two digits of a service say which is its own
TIME = "2026-03-01T09:30:00Z"
KINDS = {"services": ("Service", "v1"), "endpointslices": ("EndpointSlice", "discovery.k8s.io/v1"), "pods": ("Pod", "v1"),
         "namespaces": ("Namespace", "v1")}


def namespace_of(service):
    return f"namespace-{service % NAMESPACES:03d}"


def address(n):
    """Of the n-th endpoint, and of its pod; always as many letters."""
    return f"10.{100 + n // 10000:03d}.{100 + n // 100 % 100:03d}.{100 + n % 100:03d}"


def cluster_ip(n):
    return f"10.{200 + n // 10000:03d}.{100 + n // 100 % 100:03d}.{100 + n % 100:03d}"


def _dots(fields):
    """managedFields as a server keeps them: a tree of names."""
    tree = {}
    for path in fields:
        at = tree
        for part in path.split(">"):
            at = at.setdefault(part if part.startswith("k:") else "f:" + part, {".": {}} if part.startswith("k:") else {})
    return tree


def _managed(manager, api, *fields, sub=None):
    row = {"manager": manager, "operation": "Update", "apiVersion": api, "time": TIME, "fieldsType": "FieldsV1", "fieldsV1": _dots(fields)}
    return {**row, "subresource": sub} if sub else row


def service():
    keys = [f'k:{{"port":{p},"protocol":"TCP"}}>{f}' for p in (80, 9100) for f in ("name", "port", "protocol", "targetPort")]
    meta = {"name": "service-SSSSS", "namespace": "namespace-NNN", "uid": "6f1d2c3b-0000-4000-8000-0000000SSSSS", "resourceVersion": "VVVVVVVVV",
            "creationTimestamp": TIME, "labels": {"app": "app-SSSSS", "app.kubernetes.io/managed-by": "Helm"},
            "annotations": {"meta.helm.sh/release-name": "app-SSSSS", "meta.helm.sh/release-namespace": "namespace-NNN"},
            "managedFields": [_managed("helm", "v1", "metadata>annotations>meta.helm.sh/release-name", "metadata>labels>app", "spec>internalTrafficPolicy",
                                       *("spec>ports>" + k for k in keys), "spec>selector", "spec>sessionAffinity", "spec>type")]}
    spec = {"ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080},
                      {"name": "metrics", "protocol": "TCP", "port": 9100, "targetPort": "metrics"}],
            "selector": {"app": "app-SSSSS"}, "clusterIP": "CCCCCCCCCCCCCC", "clusterIPs": ["CCCCCCCCCCCCCC"], "type": "ClusterIP",
            "sessionAffinity": "None", "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "internalTrafficPolicy": "Cluster"}
    return {"metadata": meta, "spec": spec, "status": {"loadBalancer": {}}}


def endpoint():
    return {"addresses": ["AAAAAAAAAAAAAA"], "conditions": {"ready": True, "serving": True, "terminating": False}, "nodeName": "node-DDDD",
            "targetRef": {"kind": "Pod", "namespace": "namespace-NNN", "name": "service-SSSSS-7f9c5d6b8d-PPPPPP",
                          "uid": "6f1d2c3b-0000-4000-8002-000000PPPPPP"}, "zone": "zone-Z"}


def endpoint_slice():
    meta = {"name": "service-SSSSS-IIIII", "generateName": "service-SSSSS-", "namespace": "namespace-NNN",
            "uid": "6f1d2c3b-0000-4000-8001-0000000IIIII", "resourceVersion": "VVVVVVVVV", "generation": 3, "creationTimestamp": TIME,
            "labels": {"app": "app-SSSSS", "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                       "kubernetes.io/service-name": "service-SSSSS"},
            "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": TIME},
            "ownerReferences": [{"apiVersion": "v1", "kind": "Service", "name": "service-SSSSS", "uid": "6f1d2c3b-0000-4000-8000-0000000SSSSS",
                                 "controller": True, "blockOwnerDeletion": True}],
            "managedFields": [_managed("kube-controller-manager", "discovery.k8s.io/v1", "addressType", "endpoints", "metadata>annotations",
                                       "metadata>generateName", "metadata>labels>app", "metadata>ownerReferences", "ports")]}
    return {"metadata": meta, "addressType": "IPv4", "endpoints": [], "ports": [{"name": "http", "protocol": "TCP", "port": 8080},
                                                                               {"name": "metrics", "protocol": "TCP", "port": 9100}]}


def pod():
    probe = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
    container = 'spec>containers>k:{"name":"main"}>'
    conditions = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"]
    meta = {"name": "service-SSSSS-7f9c5d6b8d-PPPPPP", "generateName": "service-SSSSS-7f9c5d6b8d-", "namespace": "namespace-NNN",
            "uid": "6f1d2c3b-0000-4000-8002-000000PPPPPP", "resourceVersion": "VVVVVVVVV", "generation": 1, "creationTimestamp": TIME,
            "labels": {"app": "app-SSSSS", "app.kubernetes.io/name": "app-SSSSS", "pod-template-hash": "7f9c5d6b8d"},
            "annotations": {"prometheus.io/port": "9100", "prometheus.io/scrape": "true"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "service-SSSSS-7f9c5d6b8d",
                                 "uid": "6f1d2c3b-0000-4000-8003-0000000SSSSS", "controller": True, "blockOwnerDeletion": True}],
            "managedFields": [
                _managed("kube-controller-manager", "v1", "metadata>annotations", "metadata>generateName", "metadata>labels>app",
                         "metadata>labels>app.kubernetes.io/name", "metadata>labels>pod-template-hash", "metadata>ownerReferences",
                         *(container + f for f in ("env", "image", "imagePullPolicy", "livenessProbe>failureThreshold", "livenessProbe>httpGet>path",
                                                   "livenessProbe>httpGet>port", "livenessProbe>periodSeconds", "name", "ports",
                                                   "readinessProbe>failureThreshold", "readinessProbe>httpGet>path", "readinessProbe>httpGet>port",
                                                   "readinessProbe>periodSeconds", "resources>limits>memory", "resources>requests>cpu",
                                                   "resources>requests>memory", "terminationMessagePath", "terminationMessagePolicy")),
                         "spec>dnsPolicy", "spec>enableServiceLinks", "spec>restartPolicy", "spec>schedulerName", "spec>securityContext",
                         "spec>terminationGracePeriodSeconds"),
                _managed("kubelet", "v1", *(f'status>conditions>k:{{"type":"{t}"}}>{f}' for t in conditions
                                            for f in ("lastProbeTime", "lastTransitionTime", "status", "type")),
                         "status>containerStatuses", "status>hostIP", "status>hostIPs", "status>phase", "status>podIP",
                         'status>podIPs>k:{"ip":"AAAAAAAAAAAAAA"}>ip', "status>startTime", sub="status")]}
    main = {"name": "main", "image": "registry.example/team/app:1.2.3", "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
            "env": [{"name": "POD_IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}}, {"name": "LOG_LEVEL", "value": "info"}],
            "resources": {"limits": {"memory": "256Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
            "volumeMounts": [{"name": "kube-api-access", "readOnly": True, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}],
            "livenessProbe": {"httpGet": {"path": "/live", "port": 8080, "scheme": "HTTP"}, **probe},
            "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080, "scheme": "HTTP"}, **probe},
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File", "imagePullPolicy": "IfNotPresent"}
    access = [{"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
              {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}]
    away = [{"key": f"node.kubernetes.io/{w}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300} for w in ("not-ready", "unreachable")]
    spec = {"volumes": [{"name": "kube-api-access", "projected": {"sources": access, "defaultMode": 420}}], "containers": [main],
            "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst", "serviceAccountName": "default",
            "serviceAccount": "default", "nodeName": "node-DDDD", "securityContext": {}, "schedulerName": "default-scheduler", "tolerations": away,
            "priority": 0, "enableServiceLinks": True, "preemptionPolicy": "PreemptLowerPriority"}
    ran = {"name": "main", "state": {"running": {"startedAt": TIME}}, "lastState": {}, "ready": True, "restartCount": 0,
           "image": "registry.example/team/app:1.2.3", "imageID": "registry.example/team/app@sha256:" + "0" * 64,
           "containerID": "containerd://" + "0" * 64, "started": True}
    status = {"phase": "Running", "conditions": [{"type": t, "status": "True", "lastProbeTime": None, "lastTransitionTime": TIME} for t in conditions],
              "hostIP": "10.250.100.100", "hostIPs": [{"ip": "10.250.100.100"}], "podIP": "AAAAAAAAAAAAAA", "podIPs": [{"ip": "AAAAAAAAAAAAAA"}],
              "startTime": TIME, "containerStatuses": [ran], "qosClass": "Burstable"}
    return {"metadata": meta, "spec": spec, "status": status}


def namespace():
    meta = {"name": "namespace-NNN", "uid": "6f1d2c3b-0000-4000-8004-000000000NNN", "resourceVersion": "VVVVVVVVV", "creationTimestamp": TIME,
            "labels": {"kubernetes.io/metadata.name": "namespace-NNN"}, "managedFields": [_managed("helm", "v1", "metadata>labels")]}
    return {"metadata": meta, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}


class Template:
    """Octets with places of fixed width: a run of one capital letter, WORD beside it fixed."""

    PLACES = {"SSSSS": "{s:05d}", "NNN": "{n:03d}", "VVVVVVVVV": "{v:09d}", "CCCCCCCCCCCCCC": "{c}", "AAAAAAAAAAAAAA": "{a}", "DDDD": "{d:04d}",
              "PPPPPP": "{p:06d}", "IIIII": "{i:05d}", "zone-Z": "zone-{z}"}

    def __init__(self, octets):
        self.parts, self.fields = [octets], []
        for place, field in self.PLACES.items():
            parts, fields = [], []
            for k, part in enumerate(self.parts):
                pieces = part.split(place.encode())
                for j, piece in enumerate(pieces):
                    parts.append(piece)
                    if j + 1 < len(pieces):
                        fields.append(field)
                if k < len(self.fields):
                    fields.append(self.fields[k])
            self.parts, self.fields = parts, fields
        self.names = sorted(set(self.fields))
        slots = [self.names.index(f) for f in self.fields]
        self.slots = slots

    def make(self, **values):
        words = [f.format(**values).encode() for f in self.names]
        out = [self.parts[0]]
        for slot, part in zip(self.slots, self.parts[1:]):
            out += (words[slot], part)
        return b"".join(out)


def _compact(obj):
    return json.dumps(obj, separators=(",", ":")).encode()


class Form:
    """One encoding: how an object of each kind is made. `item` of a list, without its place in it."""

    def __init__(self, proto):
        self.proto = proto
        say = self.encode
        self.plain = {c: Template(say(KINDS[c][0], o)) for c, o in (("services", service()), ("pods", pod()), ("namespaces", namespace()))}
        self.one_endpoint = Template(say("Endpoint", endpoint()))
        whole = endpoint_slice()
        if proto:  # endpoints are the second field, between metadata and ports
            parts = [kube_proto.message("EndpointSlice", {"metadata": whole["metadata"]}), kube_proto.message("EndpointSlice", whole)]
            cut = len(parts[0]) - len(kube_proto.counted(4, b""))  # addressType is written in any case
            self.slice = Template(parts[1][:cut]), Template(parts[1][cut:])
        else:
            head, tail = _compact(whole).split(b'"endpoints":[]')
            self.slice = Template(head + b'"endpoints":['), Template(b"]" + tail)

    def encode(self, kind, obj):
        return kube_proto.message(kind, obj) if self.proto else _compact(obj)

    def error(self, status):
        """The last event of a watch."""
        if self.proto:
            return kube_proto.frame(b"ERROR", kube_proto.envelope("Status", "v1", kube_proto.message("Status", status)))
        return b'{"type":"ERROR","object":%s}\n' % _compact(status)

    def endpoint_slice(self, i, service, numbers, version):
        """numbers: of its endpoints, which have their addresses and pods from them."""
        values = {"s": service, "n": service % NAMESPACES, "v": version, "i": i, "p": 0, "a": "", "d": 0, "z": 0}
        items = [self.one_endpoint.make(**{**values, "p": k, "a": address(k), "d": k % 5000, "z": k % 3}) for k in numbers]
        inner = b"".join(kube_proto.counted(2, e) for e in items) if self.proto else b",".join(items)
        return self.slice[0].make(**values) + inner + self.slice[1].make(**values)

    def object(self, collection, k, n_services, version):
        """The k-th of a collection. Slice k has the endpoints of pods 100k..100k+99, all of service k."""
        if collection == "endpointslices":
            return self.endpoint_slice(k, k % n_services, range(k * PER_SLICE, (k + 1) * PER_SLICE), version)
        s = k if collection == "services" else k // PER_SLICE % n_services
        n = k if collection == "namespaces" else s % NAMESPACES
        return self.plain[collection].make(s=s, n=n, v=version, c=cluster_ip(k % 1000000), a=address(k), d=k % 5000, p=k, i=0, z=0)

    def list(self, collection, count, n_services, version=100000000, revision=900000000):
        """The whole body of a list, in parts."""
        kind, api = KINDS[collection]
        items = (self.object(collection, k, n_services, version + k) for k in range(count))
        if self.proto:
            inside = [kube_proto.counted(1, kube_proto.message("ListMeta", {"resourceVersion": str(revision)}))]
            inside += [kube_proto.counted(2, i) for i in items]
            return [kube_proto.envelope_head(kind + "List", api, sum(map(len, inside))), *inside, kube_proto.ENVELOPE_TAIL]
        head = _compact({"kind": kind + "List", "apiVersion": api, "metadata": {"resourceVersion": str(revision)}})[:-1] + b',"items":['
        parts = [head]
        for k, i in enumerate(items):
            parts.append((b"," if k else b"") + i)
        return [*parts, b"]}\n"]

    def event(self, word, collection, obj):
        """One event of a watch."""
        kind, api = KINDS[collection]
        if self.proto:
            return kube_proto.frame(word, kube_proto.envelope(kind, api, obj))
        return b'{"type":"%s","object":{"kind":"%s","apiVersion":"%s",%s}\n' % (word, kind.encode(), api.encode(), obj[1:])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder")
    p.add_argument("--services", type=int, default=10000)
    p.add_argument("--endpoints", type=int, default=150000)
    p.add_argument("--pods", type=int, default=150000)
    a = p.parse_args()
    for proto in (False, True):
        form = Form(proto)
        for c, n in (("namespaces", NAMESPACES), ("services", a.services), ("endpointslices", a.endpoints // PER_SLICE), ("pods", a.pods)):
            path = os.path.join(a.folder, f"{c}.{'pb' if proto else 'json'}")
            with open(path, "wb") as f:
                f.writelines(form.list(c, n, a.services))
            print(path, os.path.getsize(path))


if __name__ == "__main__":
    main()
