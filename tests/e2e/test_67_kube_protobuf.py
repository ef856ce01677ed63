"""An API server that speaks protobuf: the same answers as over one that does not, before and after changes, 410 and a list in pages."""
import kube
import pytest
from server import wait_for

PROTOBUF = "application/vnd.kubernetes.protobuf"
OPTIONS = "pods verified\n        endpoint_pod_names\n        zonal\n        multicluster clusterset.local"
ZONES = "cluster.local clusterset.local in-addr.arpa ip6.arpa"


@pytest.fixture(scope="module")
def both():
    """(API server, waypost) in JSON and in protobuf, over all scenarios."""
    names = ("cluster", "external", "multicluster", "zonal")
    with kube.cluster(*names) as a, kube.cluster(*names) as b:
        b.set(protobuf=True)
        with kube.gateway(a, OPTIONS, ZONES) as v, kube.gateway(b, OPTIONS, ZONES) as w:
            yield (a, v), (b, w)


def questions():
    """Every service, endpoint, pod and address of the scenarios, and some that are not there."""
    for o in kube.scenario("cluster", "external", "multicluster", "zonal"):
        meta = o["metadata"]
        name, ns = meta["name"], meta.get("namespace")
        if o["kind"] in ("Service", "ServiceImport"):
            zone = "cluster.local" if o["kind"] == "Service" else "clusterset.local"
            for qtype in ("A", "AAAA", "SRV", "CNAME", "TXT"):
                yield f"{name}.{ns}.svc.{zone}", qtype
            yield f"_http._tcp.{name}.{ns}.svc.{zone}", "SRV"
        elif o["kind"] == "EndpointSlice":
            service = (meta.get("labels") or {}).get("kubernetes.io/service-name", "none")
            for e in o.get("endpoints") or ():
                for label in (e.get("hostname"), (e.get("targetRef") or {}).get("name"), e["addresses"][0].replace(".", "-").replace(":", "-")):
                    yield f"{label}.{service}.{ns}.svc.cluster.local", "A"
                yield f"{(e.get('zone') or 'x').lower()}.pin._zone.{service}.{ns}.svc.cluster.local", "A"
        elif o["kind"] == "Pod":
            for ip in (o.get("status") or {}).get("podIPs") or ():
                yield f"{ip['ip'].replace('.', '-').replace(':', '-')}.{ns}.pod.cluster.local", "AAAA" if ":" in ip["ip"] else "A"
    yield "nobody.nowhere.svc.cluster.local", "A"


def said(w, name, qtype):
    m = kube.ask(w, name, qtype)
    return m and (m.rcode(), sorted(f"{s.name} {r.to_text()}" for s in m.answer for r in s))


def test_same_answers(both):
    (_, v), (b, w) = both
    asked = set(questions())
    answered = 0
    for name, qtype in sorted(asked):
        ours = said(v, name, qtype)
        assert ours == said(w, name, qtype), (name, qtype)
        answered += bool(ours[1])
    assert len(asked) > 150 and answered > 50
    for collection in ("services", "endpointslices", "pods", "namespaces", "serviceimports"):
        assert all(r.headers["accept"].startswith(PROTOBUF) for r in b.asked(collection)) and b.asked(collection)


def test_changes(both):
    """A service comes, changes and goes; the watch ends with 410, and what was missed is listed, in pages."""
    api, w = both[1]
    name = "fresh.shop.svc.cluster.local"
    api.put(kube.namespace("shop"))
    api.put(kube.service("shop", "fresh", ("10.96.200.1",)))
    wait_for(lambda: kube.answers(w, name) == ["10.96.200.1"])
    api.put(kube.service("shop", "fresh", ("10.96.200.2",)))
    wait_for(lambda: kube.answers(w, name) == ["10.96.200.2"])
    api.delete("Service", "shop", "fresh")
    wait_for(lambda: kube.ask(w, name).rcode() == 3)
    api.set(watch_list=False)
    api.error(410, "Expired", "too old resource version", "services")
    api.put(kube.service("shop", "fresh", ("10.96.200.3",)))
    wait_for(lambda: kube.answers(w, name) == ["10.96.200.3"], 30)
    assert any(not r.watch and r.code == 200 for r in api.asked("services"))
