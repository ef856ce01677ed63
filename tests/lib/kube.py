"""Clusters for tests: the API server of tests/fake with the objects of tests/scenario/kubernetes, and a waypost that
watches it. A test that only asks may share one (fixtures of module scope made from these); one that changes objects or
breaks things makes its own:

    with kube.cluster() as api, kube.gateway(api, "pods verified") as w:
        api.delete("Service", "shop", "web")
        wait_for(lambda: kube.ask(w, "web.shop.svc.cluster.local").rcode() == 3)
"""
import os
import sys
import urllib.request

import dns.rdatatype
import pytest
import wire
from server import TOP, Waypost

sys.path.insert(0, os.path.join(TOP, "tests/fake"))
import kube_faults as faults  # noqa: E402,F401
from kube_api import KubeApi, read_objects  # noqa: E402

DIR = os.path.join(TOP, "tests/scenario/kubernetes")

COREFILE = """.:{dns} {
    errors
    prometheus 127.0.0.1:{metrics}
    ready 127.0.0.1:{ready}
    kubernetes %s {
        endpoint %s
        %s
    }
    %s
}
"""


def scenario(*names):
    """Objects of cluster, external, multicluster, zonal; of `cluster` when none is named."""
    return list(read_objects(*(os.path.join(DIR, n + ".jsonl") for n in names or ("cluster",))))


def cluster(*names, **options):
    """An API server with these scenarios; options as of KubeApi."""
    return KubeApi(scenario(*names), **options)


def corefile(api, options="", zones="cluster.local", more=""):
    """`options` stand inside kubernetes { }, `more` behind it."""
    return COREFILE % (zones, api.url if isinstance(api, KubeApi) else api, options, more)


def gateway(api, options="", zones="cluster.local", more="", **args):
    """A waypost over the API server; args as of Waypost."""
    return Waypost(corefile(api, options, zones, more), **args)


def is_ready(w):
    """Everything has been listed: the page of `ready` says so."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{w.port['ready']}/ready", timeout=5) as r:
            return r.status == 200
    except OSError:
        return False


def ask(w, name, qtype="A", **args):
    """The reply over UDP, as dnspython reads it; None when nothing came."""
    octets = wire.udp(w if isinstance(w, int) else w.port["dns"], wire.query(name, qtype), **args)
    return octets and wire.parse(octets)


def answers(w, name, qtype="A"):
    """The data of the answer's records of that type, sorted."""
    m = ask(w, name, qtype)
    want = dns.rdatatype.from_text(qtype)
    return sorted(r.to_text() for s in m.answer if s.rdtype == want for r in s) if m else None

# --- objects ---------------------------------------------------------------------------------------

def meta(namespace, name, labels=None, **more):
    out = {"name": name, **({"namespace": namespace} if namespace else {}), **({"labels": labels} if labels else {})}
    return {**out, **more}


def namespace(name, labels=None):
    return {"kind": "Namespace", "apiVersion": "v1", "metadata": meta("", name, labels)}


def ports(*texts):
    """"http/TCP/80", "/TCP/8000" (no name)."""
    return [{**({"name": n} if n else {}), "protocol": t, "port": int(p)} for n, t, p in (x.split("/") for x in texts)]


def service(ns, name, ips=("None",), *, port=("http/TCP/80",), labels=None, **spec):
    """ips: cluster IPs, None for no such field; `spec`: more fields, or others' values (type, externalName, externalIPs)."""
    body = {"ports": ports(*port), "type": "ClusterIP", **({"clusterIP": ips[0], "clusterIPs": list(ips)} if ips else {}), **spec}
    return {"kind": "Service", "apiVersion": "v1", "metadata": meta(ns, name, labels), "spec": body}


def external_name(ns, name, target):
    return service(ns, name, None, type="ExternalName", externalName=target)


def endpoint(address, ready=True, **more):
    """more: hostname, zone, targetRef, nodeName."""
    return {"addresses": [address], "conditions": {"ready": ready, "serving": ready, "terminating": False}, **more}


def endpoint_slice(ns, of, endpoints, *, port=("http/TCP/80",), name=None, labels=None, **more):
    """A slice of the service `of`; endpoints: addresses, or what endpoint() makes."""
    endpoints = [endpoint(e) if isinstance(e, str) else e for e in endpoints]
    kind = "IPv6" if endpoints and ":" in endpoints[0]["addresses"][0] else "IPv4"
    labels = {"kubernetes.io/service-name": of, **(labels or {})}
    return {"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "metadata": meta(ns, name or f"{of}-1", labels), "addressType": kind,
            "endpoints": endpoints, "ports": ports(*port), **more}


def pod(ns, name, *ips, labels=None, phase="Running", **more):
    status = {"phase": phase, **({"podIP": ips[0], "podIPs": [{"ip": i} for i in ips]} if ips else {})}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": meta(ns, name, labels, **more), "spec": {}, "status": status}


def service_import(ns, name, ips=(), *, port=("http/TCP/80",), type="ClusterSetIP", **more):
    return {"kind": "ServiceImport", "apiVersion": "multicluster.x-k8s.io/v1alpha1", "metadata": meta(ns, name),
            "spec": {"type": type, "ips": list(ips), "ports": ports(*port)}, **more}


# --- fixtures --------------------------------------------------------------------------------------

@pytest.fixture
def kube_api():
    """An API server of one test's own, with the cluster of the scenario."""
    with cluster() as api:
        yield api


@pytest.fixture
def kube(kube_api):
    """(API server, waypost over it) of one test's own."""
    with gateway(kube_api) as w:
        yield kube_api, w
