"""Protobuf as a real API server writes it: kube_proto.py makes the same octets of the JSON that the server tells, and the
API server of tests/fake the same items; custom resources are JSON whatever is asked for."""
import http.client
import json
import ssl

import kube
import kube_proto
import peers
import pytest
from apiserver import ADMIN, SERVICE_IMPORT_CRD, ApiServer
from kube_encode import PROTOBUF
from server import wait_for

OBJECTS = [
    kube.namespace("shop"),
    kube.service("shop", "web", ("10.96.7.1", "fd00:10:96::71"), port=("http/TCP/80", "dns/UDP/53"), labels={"a": "b"}, ipFamilyPolicy="RequireDualStack",
                 selector={"app": "web"}),
    kube.service("shop", "db"),
    kube.external_name("shop", "out", "example.org"),
    {**kube.service("shop", "lb", ("10.96.7.2",), type="LoadBalancer", externalIPs=["192.0.2.1"]),
     "status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.1"}, {"hostname": "lb.example"}]}}},
    kube.endpoint_slice("shop", "db", [kube.endpoint("10.0.0.1", hostname="db-0", zone="Zone-A", nodeName="n1"), kube.endpoint("10.0.0.2", False),
                                       {"addresses": ["10.0.0.3"], "conditions": {},
                                        "targetRef": {"kind": "Pod", "namespace": "shop", "name": "p", "uid": "u"}}]),
    {**kube.endpoint_slice("shop", "db", [], name="empty"), "ports": [{"name": "x", "port": None}]},
    kube.pod("shop", "p", "10.0.0.3", "fd00::3", labels={"app": "web"}, finalizers=["example.org/wait"]),
]
OBJECTS[-1]["spec"] = {"nodeName": "n1", "containers": [{"name": "main", "image": "image:1", "ports": [{"containerPort": 80}],
                                                         "readinessProbe": {"httpGet": {"path": "/", "port": "http"}}}]}
PATHS = {"Service": "/api/v1/services", "EndpointSlice": "/apis/discovery.k8s.io/v1/endpointslices", "Pod": "/api/v1/pods", "Namespace": "/api/v1/namespaces"}
IMPORTS = "/apis/multicluster.x-k8s.io/v1alpha1/serviceimports"
METADATA = ";as=PartialObjectMetadata%s;g=meta.k8s.io;v=v1"


@pytest.fixture(scope="module")
def real():
    with ApiServer(peers.kube_apiserver(), peers.etcd37()) as server:
        for o in [SERVICE_IMPORT_CRD, *OBJECTS]:
            server.client.create(o)
        server.client.delete(OBJECTS[-1])  # it waits for its finalizer
        wait_for(lambda: ask(server, IMPORTS, "application/json")[0] == 200, 20)
        yield server


def ask(side, path, accept):
    """(status, content type, body)"""
    secure = isinstance(side, ApiServer)
    c = http.client.HTTPSConnection("127.0.0.1", side.port, timeout=20, context=ssl.create_default_context(cafile=side.ca)) if secure else \
        http.client.HTTPConnection("127.0.0.1", side.port, timeout=20)
    c.request("GET", path, headers={"Authorization": "Bearer " + ADMIN, "Accept": accept})
    r = c.getresponse()
    body = r.read()
    c.close()
    return r.status, r.getheader("Content-Type"), body


def both(side, path, form=""):
    status, kind, text = ask(side, path, "application/json" + form)
    assert kind == "application/json"
    proto = ask(side, path, f"{PROTOBUF}{form}, application/json{form}")
    assert proto[0] == status
    return [json.loads(line) for line in text.splitlines()], proto[1], proto[2]


def enveloped(obj, raw=None):
    return kube_proto.envelope(obj["kind"], obj["apiVersion"], kube_proto.message(obj["kind"], obj) if raw is None else raw)


def as_list(doc):
    kind = doc["kind"].removesuffix("List")
    items = b"".join(kube_proto.counted(2, kube_proto.message(kind, i)) for i in doc["items"])
    return enveloped(doc, kube_proto.counted(1, kube_proto.message("ListMeta", doc["metadata"])) + items)


@pytest.mark.parametrize("kind", PATHS)
def test_list(real, kind):
    (doc,), content, octets = both(real, PATHS[kind])
    assert content == PROTOBUF and len(doc["items"]) >= 1 and octets == as_list(doc)


def test_metadata_alone(real):
    (doc,), content, octets = both(real, PATHS["Namespace"], METADATA % "List")
    assert content == PROTOBUF and octets == as_list(doc)


def test_page(real):
    (doc,), content, octets = both(real, PATHS["Service"] + "?limit=2")
    token = doc["metadata"]["continue"].encode()
    assert doc["metadata"]["remainingItemCount"] > 0 and octets == as_list(doc) and token in octets


def events(docs):
    """Bookmarks at the end come when they like, and at revisions of their own."""
    return [kube_proto.frame(d["type"].encode(), enveloped(d["object"])) for d in docs if d["type"] != "BOOKMARK"]


def frames(octets):
    out = []
    while octets:
        size = 4 + int.from_bytes(octets[:4], "big")
        out.append(octets[:size])
        octets = octets[size:]
    return out


@pytest.mark.parametrize("kind", PATHS)
def test_watch(real, kind):
    docs, content, octets = both(real, PATHS[kind] + "?watch=1&resourceVersion=0&timeoutSeconds=1")
    assert content == PROTOBUF + ";stream=watch" and len(docs) >= 1 and sorted(frames(octets)) == sorted(events(docs))


def test_streamed_list(real):
    query = "?watch=1&timeoutSeconds=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
    docs, _, octets = both(real, PATHS["EndpointSlice"] + query)
    end = next(d for d in docs if d["type"] == "BOOKMARK")["object"]
    found = frames(octets)
    assert set(events(docs)) <= set(found)
    assert end["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"} and end["addressType"] == ""
    now = int(end["metadata"]["resourceVersion"])  # of a moment before
    ends = [{**end, "metadata": {**end["metadata"], "resourceVersion": str(now + n)}} for n in range(100)]
    assert any(kube_proto.frame(b"BOOKMARK", enveloped(e)) in found for e in ends), (end, found[-1])


def test_refused(real):
    for path in ("/api/v1/services?continue=xyz", "/api/v1/services?resourceVersion=999999999"):
        (doc,), content, octets = both(real, path)
        assert content == PROTOBUF
        if "continue" in path:  # the other one tells the revision of the moment
            assert octets == enveloped(doc)


def test_custom_resource(real):
    for query in ("", "?watch=1&resourceVersion=0&timeoutSeconds=1"):
        status, kind, _ = ask(real, IMPORTS + query, f"{PROTOBUF}, application/json")
        assert (status, kind) == (200, "application/json")


@pytest.mark.parametrize("kind", PATHS)
def test_fake_says_the_same(real, kind):
    (doc,), content, octets = both(real, PATHS[kind])
    with kube.KubeApi([{**i, "kind": kind, "apiVersion": doc["apiVersion"]} for i in doc["items"]]) as fake:
        fake.set(protobuf=True)
        ours, our_content, our_octets = both(fake, PATHS[kind])
        assert our_content == content and our_octets == as_list(ours[0])
        assert [i["metadata"]["name"] for i in ours[0]["items"]] == [i["metadata"]["name"] for i in doc["items"]]
        theirs, stream = (frames(ask(s, PATHS[kind] + "?watch=1&resourceVersion=0&timeoutSeconds=1", PROTOBUF)[2]) for s in (real, fake))
        assert sorted(theirs) == sorted(stream)
        docs, _, refusal = both(fake, PATHS[kind] + "?continue=xyz")
        assert refusal == enveloped(docs[0])
        assert ask(fake, IMPORTS, f"{PROTOBUF}, application/json")[1] == "application/json"
