"""The lessons on DNS in Kubernetes, line by line (tests/rows/lesson-kubernetes.tsv): the Corefile as it stands there, in a pod's place."""
import collections
import json
import urllib.request

import dns.flags
import dns.rcode
import kube
import kube_lesson
import pytest
import wire
from kube_lesson import COREFILE, Lesson
from server import wait_for
from test_51_status import run

BACKEND = "backend.default.svc.cluster.local"


class Running:
    def __init__(self, lesson, w):
        self.lesson, self.w, self.run = lesson, w, lesson.net.run

    def ask(self, name, qtype="A", port=None):
        return wire.parse(self.run(wire.udp, port or self.w.port["dns"], wire.query(name, qtype), 5.0))

    def data(self, name, qtype="A", port=None):
        """The answer's records in the order of the wire."""
        return [r.to_text() for s in self.ask(name, qtype, port).answer for r in s]

    def page(self, port, path):
        return self.run(lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5).read().decode())

    def rcode(self, name, qtype="A"):
        return dns.rcode.to_text(self.ask(name, qtype).rcode())


@pytest.fixture(scope="module")
def k():
    lesson = Lesson()
    w = lesson.wait(lesson.start(), "headless.default.svc.cluster.local")
    yield Running(lesson, w)
    w.kill(9)  # without its five seconds of lameduck
    w.wait()
    lesson.close()


def row(*ids):
    return pytest.mark.parametrize("_", ids)


@row("002-8-loads-and-serves", "002-14-upstream")
def test_corefile(k, _):
    assert k.data("extname.default.svc.cluster.local") == ["www.example.test.", "192.0.2.80"]
    assert k.data("other.example.test") == ["192.0.2.80"]
    assert len([line for line in k.w.output().splitlines() if "upstream" in line]) == 1  # one notice


@row("002-1-what-is-watched", "004-15-no-pods-unless-verified")
def test_watches(k, _):
    seen = {r.collection for r in k.lesson.api.requests if r.watch}
    assert seen == {"services", "endpointslices", "namespaces"}
    assert {r.headers["authorization"] for r in k.lesson.api.requests} == {"Bearer " + kube_lesson.TOKEN}


@row("002-2-loaded-and-listed")
def test_objects(k, _):
    pods = k.run(lambda: [i.key for i in k.lesson.api.store.of_name["pods"].select("app=backend", "")])
    assert pods == ["default/backend-pod-1", "default/backend-pod-2"]


@row("002-3-cluster-ip")
def test_cluster_ip(k, _):
    m = k.ask(BACKEND)
    assert [r.to_text() for s in m.answer for r in s] == ["10.96.0.20"] and m.answer[0].ttl <= 5 and m.flags & dns.flags.AA


@row("002-4-patterns", "002-12-three-zones", "002-22-the-zone-is-an-argument")
def test_patterns(k, _):
    base = "default.svc.cluster.local"
    assert k.data(f"backend.{base}", "AAAA") == ["fd00::20"]
    assert k.data(f"10-1-2-3.backend.{base}") == ["10.1.2.3"]
    assert k.data(f"_https._tcp.headless.{base}", "SRV")
    assert k.data("dns-version.cluster.local", "TXT") == ['"1.1.0"']
    assert k.data("20.0.96.10.in-addr.arpa", "PTR") == [f"backend.{base}."]
    assert k.rcode("cluster.local") == "NOERROR" and k.ask("cluster.local", "SOA").answer


@row("002-5-no-call-for-a-question")
def test_no_calls(k, _):
    before = len(k.lesson.api.requests)
    for i in range(500):
        assert k.rcode(f"n{i}.default.svc.cluster.local") == "NXDOMAIN" and k.rcode(BACKEND) == "NOERROR"
    assert len(k.lesson.api.requests) == before


@row("002-6-rotated", "002-21-loadbalance", "004-11-dns167-round-robin")
def test_rotation(k, _):
    firsts = collections.Counter(k.data("peers.default.svc.cluster.local")[0] for _ in range(40))
    assert set(firsts) == {"10.1.2.3", "10.1.2.4"}
    assert {k.data("extname.default.svc.cluster.local")[0] for _ in range(10)} == {"www.example.test."}  # CNAME first


@row("002-6-endpoints-of-a-cluster-ip-service")
def test_answer_endpoints(k, _):
    w = k.lesson.start(COREFILE.replace("upstream", "answer endpoints").replace("health {\n        lameduck 5s\n    }", "").replace(":9153", ":9154")
                       .replace("ready", "ready :8182"))
    try:
        k.lesson.wait(w, BACKEND)
        assert sorted(k.data(BACKEND, port=w.port["dns"])) == ["10.1.2.3", "10.1.2.4"]
    finally:
        w.__exit__(None, None, None)


@row("002-7-headless", "004-11-dns116-one-hostname")
def test_headless(k, _):
    assert sorted(k.data("peers.default.svc.cluster.local")) == ["10.1.2.3", "10.1.2.4"]
    assert sorted(k.data("twin.twins.default.svc.cluster.local")) == ["10.1.3.1", "10.1.3.2"]
    early = kube.endpoint_slice("default", "early", [kube.endpoint("10.1.4.1", conditions={"ready": True, "serving": False})])
    k.lesson.api.put(kube.service("default", "early", publishNotReadyAddresses=True))
    k.lesson.api.put(early)
    wait_for(lambda: k.data("early.default.svc.cluster.local") == ["10.1.4.1"])


@row("002-10-health", "002-11-ready", "002-16-metrics", "002-27-api-metrics", "002-28-cache-metrics", "004-12-metrics")
def test_pages(k, _):
    assert k.page(8080, "/health") == "OK" and k.page(8181, "/ready") == "OK"
    k.ask(BACKEND)
    text = k.page(9153, "/metrics")
    for family in ("coredns_dns_requests_total", "coredns_dns_request_duration_seconds_bucket", "coredns_dns_responses_total", "coredns_cache_hits_total",
                   "coredns_cache_misses_total", "coredns_cache_requests_total", 'coredns_kubernetes_rest_client_requests_total{code="200"'):
        assert "\n" + family in text, family


@row("002-13-pod-addresses-are-not-looked-up", "004-14-pod-addresses")
def test_pods_insecure(k, _):
    assert k.data("10-1-2-3.default.pod.cluster.local") == ["10.1.2.3"]
    assert k.data("10-9-9-9.default.pod.cluster.local") == ["10.9.9.9"]


@row("002-13-another-ca-is-refused")
def test_pods_insecure_says_nothing_of_tls(_):
    lesson = Lesson(ca="another-ca")
    try:
        w = lesson.start(COREFILE.replace("upstream", "startup_timeout 100ms"))
        k = Running(lesson, w)
        wait_for(lambda: "certificate" in w.output().lower())
        assert k.rcode(BACKEND) == "SERVFAIL" and not lesson.api.requests
        w.kill(9)
        w.wait()
    finally:
        lesson.close()


@row("002-15-fallthrough-of-reverse-names")
def test_fallthrough(k, _):
    assert k.data("9.9.9.9.in-addr.arpa", "PTR") == ["dns9.quad.net."]
    before = len(k.lesson.resolver.asked)
    assert k.rcode("nope.default.svc.cluster.local") == "NXDOMAIN"
    assert len(k.lesson.resolver.asked) == before


@row("002-18-cache-in-front", "002-23-changes-are-seen", "004-21-created-after-it-was-asked-for")
def test_changes(k, _):
    name = "fresh.default.svc.cluster.local"
    assert k.rcode(name) == "NXDOMAIN"  # and the cache in front keeps it for 30 s, or would
    k.lesson.api.put(kube.service("default", "fresh"))
    for addresses in (["10.1.5.1"], ["10.1.5.1", "10.1.5.2"], ["10.1.5.2"]):
        k.lesson.api.put(kube.endpoint_slice("default", "fresh", addresses))
        wait_for(lambda want=addresses: sorted(k.data(name)) == want, 3)
    k.lesson.api.delete("EndpointSlice", "default", "fresh-1")
    wait_for(lambda: k.rcode(name) == "NXDOMAIN", 3)


@row("002-25-reverse")
def test_reverse(k, _):
    assert k.data("20.0.96.10.in-addr.arpa", "PTR") == [BACKEND + "."]
    assert k.data("3.2.1.10.in-addr.arpa", "PTR") and f"10-1-2-3.{BACKEND}." in k.data("3.2.1.10.in-addr.arpa", "PTR")
    assert k.data("0.2.0.0." + "0." * 24 + "0.0.d.f.ip6.arpa", "PTR") == [BACKEND + "."]


@row("002-24-another-domain", "004-25-namespaces", "004-26-labels", "004-18-names-of-pods", "004-19-names-of-pods", "004-11-dns232-names-of-pods", "004-6-stub-domain",
     "004-11-dns131-stub-domain", "004-11-dns55-entries-of-ones-own", "004-15-verified")
def test_other_corefiles(others, _):
    k, port = others
    if _.startswith("002-24"):
        assert k.data("backend.default.svc.mycorp.local", port=port["mycorp"]) == ["10.96.0.20"]
        assert k.data("backend.default.svc.cluster.local", port=port["mycorp"]) == []
    elif _.startswith("004-25"):
        assert k.data(BACKEND, port=port["ns"]) == ["10.96.0.20"] and k.data("elsewhere.other.svc.cluster.local", port=port["ns"]) == []
    elif _.startswith("004-26"):
        assert k.data(BACKEND, port=port["labels"]) == ["10.96.0.20"] and k.data("peers.default.svc.cluster.local", port=port["labels"]) == []
    elif "pods" in _:
        assert sorted(k.data("headless.default.svc.cluster.local", "SRV", port["names"])) == sorted(
            f"0 25 443 headless-65bb4c479f-{p}.headless.default.svc.cluster.local." for p in ("qv84p", "zc8lx", "q7lf2", "566rt"))
    elif "stub" in _:  # through every block, not just this one
        assert k.data("stub.default.svc.cluster.local", port=port["dns"]) == ["x.corp.local.", "192.0.2.7"]
    elif "entries" in _:
        assert k.data("own.cluster.local", port=port["own"]) == ["192.0.2.8"] and k.data(BACKEND, port=port["own"]) == ["10.96.0.20"]
    else:
        assert k.data("10-1-2-3.default.pod.cluster.local", port=port["pods"]) == ["10.1.2.3"]
        assert k.data("10-9-9-9.default.pod.cluster.local", port=port["pods"]) == []


BLOCK = ".:{%s} {\n%s\n    kubernetes %s {\n    %s\n    }\n}\n"


@pytest.fixture(scope="module")
def others(k):
    """Blocks of options, each on a port of its own; corp.local has a block of hosts."""
    text = "".join(BLOCK % b for b in (
        ("mycorp", "", "mycorp.local", ""), ("ns", "", "cluster.local", "namespaces default"), ("labels", "", "cluster.local", "labels app=backend"),
        ("names", "", "cluster.local", "endpoint_pod_names"), ("pods", "", "cluster.local", "pods verified"), ("dns", "", "cluster.local", ""),
        ("own", "hosts {\n192.0.2.8 own.cluster.local\nfallthrough\n}", "cluster.local", "")))
    w = k.lesson.start(text + "corp.local:{dns} {\n    hosts {\n        192.0.2.7 x.corp.local\n    }\n}\n")
    for port in (p for name, p in w.port.items() if name != "mycorp"):
        wait_for(lambda port=port: k.data(BACKEND, port=port))
    yield Running(k.lesson, w), w.port
    w.__exit__(None, None, None)


@row("004-17-names-from-addresses")
def test_names_from_addresses(k, _):
    assert sorted(k.data("headless.default.svc.cluster.local", "SRV")) == [
        f"0 25 443 172-17-0-{i}.headless.default.svc.cluster.local." for i in (14, 18, 19, 20)]


@row("002-26-known-without-an-api-server")
def test_restart_without_api(_, tmp_path):
    """What was known is answered after a restart while nobody answers for the cluster, and other zones at once."""
    lesson = Lesson()
    try:
        corefile = COREFILE.replace("lameduck 5s", "").replace("upstream", "startup_timeout 100ms")
        env = {"STATE_DIRECTORY": str(tmp_path)}
        w = lesson.wait(lesson.start(corefile, env=env), "peers.default.svc.cluster.local")
        assert Running(lesson, w).data(BACKEND) == ["10.96.0.20"]
        w.__exit__(None, None, None)
        lesson.api.stop()
        w = lesson.start(corefile, env=env)
        k = Running(lesson, w)
        assert k.data(BACKEND) == ["10.96.0.20"] and sorted(k.data("peers.default.svc.cluster.local")) == ["10.1.2.3", "10.1.2.4"]
        assert k.data("other.example.test") == ["192.0.2.80"]
        w.__exit__(None, None, None)
    finally:
        lesson.close()


@row("002-30-step-by-step")
def test_explain(k, _):
    """Of a name that no cache has met."""
    k.lesson.api.put(kube.service("default", "traced", ("10.96.0.40",)))

    def explained():
        r = k.run(lambda: run("explain", "--json", "traced.default.svc.cluster.local", "A", place=k.w.home.name))
        assert r.returncode == 0, r.stderr
        return "10.96.0.40" in r.stdout and json.loads(r.stdout)
    told = wait_for(explained)
    steps = {s["plugin"]: s for s in told["steps"]}
    assert steps["kubernetes"]["decision"] == "answered" and steps["kubernetes"]["took_ns"] > 0, steps
    assert told["answered_by"] == "kubernetes" and told["sources"] == [{"source": "kubernetes", "service": "default/traced"}], told
