"""The API server of tests/fake says what a real one says."""
import base64
import http.client
import json
import ssl

import kube
import peers
import pytest
from apiserver import ADMIN, ApiServer

OBJECTS = [kube.namespace("shop")] + [kube.service("shop", f"s{i}", (f"10.96.7.{i}",), labels={"n": str(i)}) for i in range(1, 6)]
OLD_PAGES = ["--feature-gates=ListFromCacheSnapshot=false"]  # from etcd, which forgets when it is told to
IN = "labelSelector=n"  # what we have made, not what a server makes itself
NAMES = "/api/v1/namespaces?fieldSelector=metadata.name%3Dshop"
METADATA = "application/json;as=PartialObjectMetadata%s;g=meta.k8s.io;v=v1"


class Side:
    def __init__(self, port, context, token):
        self.port, self.context, self.token = port, context, token

    def ask(self, path, token=None, **headers):
        """(status, content type, Retry-After, JSON documents)."""
        c = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=20, context=self.context) if self.context else \
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        c.request("GET", path, headers={"Authorization": "Bearer " + (token or self.token), "Accept": "application/json", **headers})
        r = c.getresponse()
        body = r.read()
        docs = [json.loads(line) for line in body.splitlines() if line.startswith(b"{")] if not body.startswith(b"{\n") else [json.loads(body)]
        c.close()
        return r.status, r.getheader("Content-Type"), r.getheader("Retry-After"), docs


@pytest.fixture(scope="module")
def sides():
    with ApiServer(peers.kube_apiserver(), peers.etcd37(), OLD_PAGES) as real, kube.KubeApi(OBJECTS) as fake:
        for o in OBJECTS:
            real.client.create(o)
        fake.set(tokens={ADMIN: "admin"})
        yield Side(real.port, ssl.create_default_context(cafile=real.ca), ADMIN), Side(fake.port, None, ADMIN), real, fake


REFUSED = [
    "/api/v1/services?resourceVersionMatch=NotOlderThan", "/api/v1/services?resourceVersion=999999999",
    "/api/v1/services?watch=1&timeoutSeconds=1&sendInitialEvents=true", "/api/v1/services?watch=1&timeoutSeconds=1&resourceVersionMatch=NotOlderThan",
]
BAD = ["/api/v1/services?continue=xyz", "/api/v1/services?resourceVersion=abc", "/api/v1/services?limit=x", "/api/v1/services?fieldSelector=spec.foo%3D1",
       "/api/v1/services?labelSelector=a%20in%20(b"]


@pytest.mark.parametrize("path", REFUSED)
def test_refused(sides, path):
    real, fake = (s.ask(path) for s in sides[:2])
    for side in (real, fake):  # revisions differ
        side[3][0]["message"] = side[3][0]["message"].partition(", current")[0]
    assert real == fake


@pytest.mark.parametrize("path", BAD)
def test_bad_request(sides, path):
    real, fake = (s.ask(path) for s in sides[:2])
    assert real[0] == fake[0] == 400 and real[3][0]["reason"] == fake[3][0]["reason"] == "BadRequest"


def test_strangers(sides):
    assert sides[0].ask("/api/v1/services", "nobody") == sides[1].ask("/api/v1/services", "nobody")


def test_forbidden(sides):
    fake = sides[3]
    fake.set(tokens={ADMIN: "admin", "dns-token": "dns"}, forbidden={"endpointslices", "services"})
    try:
        for path in ("/apis/discovery.k8s.io/v1/endpointslices", "/api/v1/services", "/api/v1/services?watch=1"):
            assert sides[0].ask(path, "dns-token") == sides[1].ask(path, "dns-token")
    finally:
        fake.set(forbidden=set())


def shape(side, path, **headers):
    """What of a list does not depend on the server's own past."""
    status, kind, _, (doc,) = side.ask(path, **headers)
    meta = doc["metadata"]
    assert meta["resourceVersion"].isdigit()
    return (status, kind, doc["kind"], doc["apiVersion"], sorted(meta), meta.get("remainingItemCount"), "kind" in doc["items"][0],
            [i["metadata"]["name"] for i in doc["items"]])


@pytest.mark.parametrize("query", ["", "&limit=2", "&limit=2&resourceVersion=0", "&resourceVersion=0", "&limit=5", "&limit=500"])
def test_list(sides, query):
    real, fake = (shape(s, f"/api/v1/services?{IN}{query}") for s in sides[:2])
    assert real == fake


def test_metadata_alone(sides):
    for path in (NAMES, NAMES + "&limit=1"):
        assert shape(sides[0], path, Accept=METADATA % "List") == shape(sides[1], path, Accept=METADATA % "List")


def test_pages(sides):
    def walk(side):
        token, names, counts = "", [], []
        while True:
            _, _, _, (doc,) = side.ask(f"/api/v1/services?{IN}&limit=2" + (f"&continue={token}" if token else ""))
            names.append([i["metadata"]["name"] for i in doc["items"]])
            counts.append(doc["metadata"].get("remainingItemCount"))
            token = doc["metadata"].get("continue", "")
            if not token:
                return names, counts
    assert walk(sides[0]) == walk(sides[1]) == ([["s1", "s2"], ["s3", "s4"], ["s5"]], [None] * 3)


def test_page_with_revision(sides):
    for s in sides[:2]:
        token = s.ask(f"/api/v1/services?{IN}&limit=2")[3][0]["metadata"]["continue"]
        assert s.ask(f"/api/v1/services?limit=2&continue={token}&resourceVersion=5")[0] == 400


def events(side, path, **headers):
    _, kind, _, docs = side.ask(path, **headers)
    return kind, [(d["type"], d["object"]["kind"], d["object"]["apiVersion"], d["object"]["metadata"].get("name"),
                   sorted(d["object"]["metadata"].get("annotations") or ()) if d["type"] == "BOOKMARK" else None) for d in docs]


STREAM = "watch=1&timeoutSeconds=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"


def first(side, path, **headers):
    """Up to the bookmark that ends the objects of now; there may be others after it."""
    kind, found = events(side, path, **headers)
    return kind, found[:next(i for i, e in enumerate(found) if e[4]) + 1]


def test_streaming_list(sides):
    def sort(answer):
        return answer[0], sorted(answer[1], key=str)
    assert sort(first(sides[0], f"/api/v1/services?{IN}&{STREAM}")) == sort(first(sides[1], f"/api/v1/services?{IN}&{STREAM}"))
    assert first(sides[0], f"{NAMES}&{STREAM}", Accept=METADATA % "") == first(sides[1], f"{NAMES}&{STREAM}", Accept=METADATA % "")


def test_watch_tells_what_changes(sides):
    def go(side, put, delete):
        rv = side.ask(f"/api/v1/services?{IN}")[3][0]["metadata"]["resourceVersion"]
        put(kube.service("shop", "new", ("10.96.7.99",), labels={"n": "x"}))
        delete("new")
        found = events(side, f"/api/v1/services?watch=1&timeoutSeconds=1&resourceVersion={rv}&{IN}")
        return found[0], [e for e in found[1] if e[0] != "BOOKMARK"]
    real, fake = sides[2:]
    ours = go(sides[1], fake.put, lambda n: fake.delete("Service", "shop", n))
    theirs = go(sides[0], real.client.create, lambda n: real.client.delete(kube.service("shop", n)))
    assert ours == theirs and [e[0] for e in ours[1]] == ["ADDED", "DELETED"]


def test_watch_of_tomorrow(sides):
    for s in sides[:2]:
        assert events(s, "/api/v1/services?watch=1&timeoutSeconds=1&resourceVersion=999999999") == ("application/json", [])


def test_compacted(sides):
    """A page of a list whose revision is forgotten: 410, with a token to go on without it."""
    real, fake = sides[2:]
    real.client.create(kube.service("shop", "late", ("10.96.7.98",), labels={"n": "6"}))
    real.compact()
    fake.put(kube.service("shop", "late", ("10.96.7.98",), labels={"n": "6"}))
    fake.compact()
    old = base64.urlsafe_b64encode(b'{"v":"meta.k8s.io/v1","rv":2,"start":"shop/s3"}').decode().rstrip("=")
    said = []
    for s in sides[:2]:
        status, kind, after, (doc,) = s.ask(f"/api/v1/services?{IN}&limit=2&continue={old}")
        rest = doc["metadata"].pop("continue")
        said.append((status, kind, after, doc, shape(s, f"/api/v1/services?{IN}&limit=2&continue={rest}")))
    assert said[0] == said[1] and said[0][0] == 410
