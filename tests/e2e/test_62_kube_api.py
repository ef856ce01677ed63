"""kubernetes: what the API server does, and what is asked of it and answered then (rows K338-K360), and everything that
may go wrong between the two. All cases run beside each other, each with an API server and a waypost of its own: most of
their time is waiting."""
import concurrent.futures
import datetime
import os
import signal
import time
import urllib.error
import urllib.request

import dns.rcode
import etcd_rows
import kube
import pki
import pytest
from kube import faults
from server import wait_for

LABEL = ".shop.svc.cluster.local"


# --- looking -----------------------------------------------------------------------------------------

def rcode(w, name):
    m = kube.ask(w, name + LABEL)
    return m and dns.rcode.to_text(m.rcode())


def has(w, name, *addresses):
    """Wait until the name has these addresses."""
    wait_for(lambda: kube.answers(w, name + LABEL) == sorted(addresses))


def lacks(w, name):
    wait_for(lambda: rcode(w, name) == "NXDOMAIN")


def serial(w):
    return kube.ask(w, "cluster.local", "SOA").answer[0][0].serial


def page(w, name, path="metrics"):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{w.port[name]}/{path}", timeout=5) as r:
            return r.status, r.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()


def metric(w, name, **labels):
    return etcd_rows.metric(page(w, "metrics")[1], name, 0, **labels)


def in_step(w):
    """Synced, and every watch is open."""
    return metric(w, "waypost_kubernetes_synced") == 1 and metric(w, "waypost_kubernetes_behind_seconds") == 0


def watched(api, collection="services"):
    """The newest request of a watch that goes on somewhere."""
    return [r for r in api.asked(collection, watch=True) if "sendInitialEvents" not in r.query]


def lists(api, collection="services"):
    """Lists, streamed ones too."""
    return [r for r in api.asked(collection) if not r.watch or "sendInitialEvents" in r.query]


def world(*objects, **options):
    """An API server with the namespace shop and these objects."""
    return kube.KubeApi([kube.namespace("shop"), *objects], **options)


def a(n):
    return f"10.96.0.{n}"


ONE = kube.service("shop", "one", [a(1)])
TWO = kube.service("shop", "two", [a(2)])


# --- rows --------------------------------------------------------------------------------------------

def added():
    with world(*(kube.service("shop", f"s{i}", [a(i)]) for i in range(3))) as api, kube.gateway(api) as w:
        assert kube.answers(w, "s1" + LABEL) == [a(1)] and rcode(w, "s3") == "NXDOMAIN"
        api.put(kube.service("shop", "s3", [a(3)]))
        has(w, "s3", a(3))
        assert len(api.asked("services")) == 1


def deleted():
    with world(ONE) as api, kube.gateway(api) as w:
        has(w, "one", a(1))
        api.delete("Service", "shop", "one")
        lacks(w, "one")


def not_ready():
    both = [kube.endpoint("10.1.0.1"), kube.endpoint("10.1.0.2")]
    with world(kube.service("shop", "head"), kube.endpoint_slice("shop", "head", both)) as api, kube.gateway(api) as w:
        has(w, "head", "10.1.0.1", "10.1.0.2")
        api.put(kube.endpoint_slice("shop", "head", [both[0], kube.endpoint("10.1.0.2", ready=False)]))
        has(w, "head", "10.1.0.1")
        api.put(kube.endpoint_slice("shop", "head", [kube.endpoint("10.1.0.1", ready=False)]))
        lacks(w, "head")


def watch_times_out():
    with world(ONE) as api, kube.gateway(api) as w:
        rv = str(api.put(TWO))
        has(w, "two", a(2))
        time.sleep(1.1)  # one that is shorter is taken for a failure
        api.end_watches("services")
        wait_for(lambda: watched(api))
        assert watched(api)[0].query["resourceVersion"] == rv
        assert len(lists(api)) == 1 and 300 <= int(watched(api)[0].query["timeoutSeconds"]) <= 600


def bookmark():
    with world(ONE) as api, kube.gateway(api) as w:
        wait_for(lambda: in_step(w))
        api.bookmark("services", 900)
        time.sleep(1.1)
        api.end_watches("services")
        wait_for(lambda: watched(api))
        assert watched(api)[0].query["resourceVersion"] == "900"


def error_410():
    with world(ONE) as api, kube.gateway(api) as w:
        wait_for(lambda: in_step(w))
        api.fault("services", faults.delay(1))
        api.error(410, "Expired", "too old resource version: 1 (99)", "services")
        wait_for(lambda: len(lists(api)) == 2)
        for _ in range(20):
            assert rcode(w, "one") == "NOERROR"
        wait_for(lambda: in_step(w))
        api.put(TWO)
        has(w, "two", a(2))


def gone_in_between():
    with world(ONE, TWO) as api, kube.gateway(api) as w:
        has(w, "two", a(2))
        api.stop()
        api.delete("Service", "shop", "one")
        api.compact()
        api.start()
        lacks(w, "one")
        assert rcode(w, "two") == "NOERROR" and len(lists(api)) == 2
        assert metric(w, "waypost_kubernetes_lists_total", resource="services", reason="expired") == 1


def too_many_watches():
    with world(ONE) as api, kube.gateway(api) as w:
        rv = str(api.put(TWO))
        has(w, "two", a(2))
        api.fault("services", faults.status(429, "TooManyRequests"), watch=True)
        time.sleep(1.1)
        api.end_watches("services")
        wait_for(lambda: len(watched(api)) == 2)
        first, second = watched(api)
        assert first.query["resourceVersion"] == second.query["resourceVersion"] == rv and len(lists(api)) == 1
        assert second.time - first.time >= 0.8
        wait_for(lambda: in_step(w))


def connection_refused():
    with world(ONE) as api, kube.gateway(api) as w:
        rv = str(api.put(TWO))
        has(w, "two", a(2))
        time.sleep(1.1)
        api.stop()
        wait_for(lambda: w.output().count("connection refused") >= 3)
        assert rcode(w, "one") == "NOERROR" and metric(w, "waypost_kubernetes_synced") == 1
        api.start()
        wait_for(lambda: watched(api) and in_step(w))
        assert {r.query["resourceVersion"] for r in watched(api)} == {rv} and len(lists(api)) == 1
        assert page(w, "ready", "ready")[0] == 200


def kubeconfig(api, user="", ca=""):
    return f"""apiVersion: v1
kind: Config
current-context: x
contexts: [{{name: x, context: {{cluster: c, user: u}}}}]
clusters: [{{name: c, cluster: {{server: "{api.url}"{ca}}}}}]
users: [{{name: u, user: {{{user}}}}}]
"""


def with_kubeconfig(api, files, **words):
    text = kube.corefile(api).replace(f"endpoint {api.url}", "kubeconfig {dir}/config")
    return kube.Waypost(text, {"config": kubeconfig(api, **words), **files})


def new_token():
    with world(ONE) as api:
        api.set(tokens={"first": "dns"})
        with with_kubeconfig(api, {"token": "first\n"}, user="tokenFile: token") as w:
            has(w, "one", a(1))
            with open(w.path("token"), "w") as f:
                f.write("second\n")
            api.set(tokens={"second": "dns"})
            api.put(TWO)
            api.forget()
            time.sleep(1.1)
            api.cut()
            has(w, "two", a(2))
            wait_for(lambda: in_step(w))
            sent = [(r.code, r.headers["authorization"]) for r in api.requests]
            assert (401, "Bearer first") in sent and sent.count((401, "Bearer first")) <= 3, sent
            assert all(code == 200 for code, token in sent if token == "Bearer second"), sent


def no_streaming():
    with world(ONE) as api:
        api.set(watch_list=False)
        with kube.gateway(api) as w:
            has(w, "one", a(1))
            api.put(TWO)
            has(w, "two", a(2))
            plain = [r for r in api.asked("services") if not r.watch]
            assert len(plain) == 1 and plain[0].query == {"limit": "500", "resourceVersion": "0"}
            assert len(api.asked("services")) == 3 and api.asked("services")[0].code == 422


def torn_stream():
    many = [kube.service("shop", f"s{i}", [a(i)]) for i in range(20)]
    with world(*many) as api:
        api.fault("services", faults.torn(2000))
        api.fault("services", faults.delay(1.5))
        with kube.gateway(api, "startup_timeout 10ms") as w:
            wait_for(lambda: len(api.asked("services")) == 2)
            assert [rcode(w, f"s{i}") for i in range(20)] == ["SERVFAIL"] * 20
            has(w, "s19", a(19))
            assert rcode(w, "s0") == "NOERROR"


def three_pages():
    many = [kube.service("shop", f"s{i}", [f"10.97.{i // 250}.{i % 250}"]) for i in range(1200)]
    with world(*many) as api:
        api.set(watch_list=False)
        api.fault("services", faults.status(410, "Expired"), watch=False)
        with kube.gateway(api) as w:
            has(w, "s1199", "10.97.4.199")
            has(w, "s0", "10.97.0.0")
            asked = [r.query for r in api.asked("services") if not r.watch]
            assert asked[0] == {"limit": "500", "resourceVersion": "0"} and asked[1] == {"limit": "500"}
            assert [sorted(q) for q in asked[2:]] == [["continue", "limit"]] * 2


def second_page_expired():
    many = [kube.service("shop", f"s{i}", [f"10.97.{i // 250}.{i % 250}"]) for i in range(1200)]
    with world(*many) as api:
        api.set(watch_list=False)
        api.fault("services", faults.status(410, "Expired"), watch=False)
        api.fault("services", faults.delay(0), watch=False)
        api.fault("services", faults.status(410, "Expired"), watch=False)
        with kube.gateway(api) as w:
            has(w, "s1199", "10.97.4.199")
            asked = [r.query for r in api.asked("services") if not r.watch]
            assert len(asked) == 4 and "continue" in asked[2] and asked[3] == {}


def two_slices():
    slices = [kube.endpoint_slice("shop", "head", [f"10.1.0.{i}"], name=f"head-{i}") for i in (1, 2)]
    with world(kube.service("shop", "head"), *slices) as api, kube.gateway(api) as w:
        has(w, "head", "10.1.0.1", "10.1.0.2")
        api.delete("EndpointSlice", "shop", "head-1")
        has(w, "head", "10.1.0.2")


def pod_ends():
    name = "10-2-0-1.shop.pod.cluster.local"
    with world(kube.pod("shop", "p", "10.2.0.1")) as api, kube.gateway(api, "pods verified") as w:
        wait_for(lambda: kube.answers(w, name) == ["10.2.0.1"])
        before = metric(w, "waypost_kubernetes_watch_events_total", resource="pods", type="modified")
        api.put(kube.pod("shop", "p", "10.2.0.1", deletionTimestamp="2026-01-01T00:00:00Z"))
        wait_for(lambda: metric(w, "waypost_kubernetes_watch_events_total", resource="pods", type="modified") > before)
        assert kube.answers(w, name) == ["10.2.0.1"]
        api.delete("Pod", "shop", "p")
        wait_for(lambda: kube.answers(w, name) == [])


def namespace_goes():
    with world(ONE) as api, kube.gateway(api) as w:
        has(w, "one", a(1))
        api.delete("Namespace", "", "shop")
        lacks(w, "one")
        assert metric(w, "waypost_kubernetes_objects", resource="services") == 1


def never_answers():
    with world(ONE) as api:
        api.fault(None, faults.hang(), None)
        began = time.monotonic()
        with kube.gateway(api, "startup_timeout 1s") as w:
            assert 0.9 < time.monotonic() - began < 15
            assert rcode(w, "one") == "SERVFAIL" and page(w, "ready", "ready")[0] == 503
            w.says("plugin/kubernetes: waiting for Kubernetes API before starting server")
            wait_for(lambda: w.output().count("plugin/kubernetes: starting server with unsynced Kubernetes API") == 1)


def answers_late():
    with world(ONE) as api:
        api.fault(None, faults.delay(3), None)
        with kube.gateway(api, "startup_timeout 1s") as w:
            assert rcode(w, "one") == "SERVFAIL" and page(w, "ready", "ready")[0] == 503
            has(w, "one", a(1))
            wait_for(lambda: page(w, "ready", "ready")[0] == 200)


def unchanged_version():
    with world(ONE) as api, kube.gateway(api) as w:
        has(w, "one", a(1))
        before = serial(w)
        time.sleep(1.1)
        api.say(b'{"type":"MODIFIED","object":{"metadata":{"name":"one","namespace":"shop","resourceVersion":"%s"},"spec":{"clusterIP":"10.9.9.9",'
                b'"ports":[{"port":1}]}}}\n' % api.get("Service", "shop", "one")["metadata"]["resourceVersion"].encode(), "services")
        wait_for(lambda: metric(w, "waypost_kubernetes_watch_events_total", resource="services", type="modified") == 1)
        assert serial(w) == before and kube.answers(w, "one" + LABEL) == [a(1)]


def pod_serial(ips, then, changes):
    with world(kube.pod("shop", "p", *ips)) as api, kube.gateway(api, "pods verified") as w:
        wait_for(lambda: kube.answers(w, ips[0].replace(".", "-") + ".shop.pod.cluster.local"))
        before = serial(w)
        time.sleep(1.1)
        api.put(kube.pod("shop", "p", *then, labels={"a": "b"}))
        wait_for(lambda: metric(w, "waypost_kubernetes_watch_events_total", resource="pods", type="modified") == 1)
        assert (serial(w) != before) == changes
        for ip in {*ips, *then}:
            assert kube.answers(w, ip.replace(".", "-") + ".shop.pod.cluster.local") == ([ip] if ip in then else [])


def pod_unchanged():
    pod_serial(["10.2.0.1"], ["10.2.0.1"], False)


def pod_gains():
    pod_serial(["10.2.0.1"], ["10.2.0.1", "10.2.0.2"], True)


def pod_loses():
    pod_serial(["10.2.0.1", "10.2.0.2"], ["10.2.0.1"], True)


def pod_swaps():
    pod_serial(["10.2.0.1", "10.2.0.2"], ["10.2.0.3", "10.2.0.1"], True)


def pem(path):
    with open(path, "rb") as f:
        return f.read()


def new_ca():
    """The server's certificate is of another CA, and the file that we were told of holds that one."""
    first, second = (pki.cert(f"kube-{ca}", issuer=ca, san="IP:127.0.0.1") for ca in ("kube-ca-1", "kube-ca-2"))
    with world(ONE, tls=first) as api:
        with with_kubeconfig(api, {"ca.crt": pem(pki.ca("kube-ca-1"))}, ca=", certificate-authority: ca.crt") as w:
            has(w, "one", a(1))
            with open(w.path("ca.crt"), "wb") as f:
                f.write(pem(pki.ca("kube-ca-2")))
            api.stop()
            api.context.load_cert_chain(*second)
            api.start()
            api.put(TWO)
            has(w, "two", a(2))
            w.says("certificate")


def forbidden():
    with world(ONE) as api:
        api.set(forbidden={"endpointslices"})
        with kube.gateway(api, "startup_timeout 100ms") as w:
            line = wait_for(lambda: next((x for x in w.output().splitlines() if "Failed to watch" in x), None))
            assert line.startswith("[ERROR] plugin/kubernetes: Failed to watch: failed to list *v1.EndpointSlice: "), line
            assert 'endpointslices.discovery.k8s.io is forbidden: User "system:anonymous" cannot list resource' in line
            assert ' logger="UnhandledError" reflector="' in line and line.endswith(' type="*v1.EndpointSlice"')
            has(w, "one", a(1))
            assert page(w, "ready", "ready")[0] == 503 and rcode(w, "other") == "SERVFAIL"
            api.set(forbidden=set())
            wait_for(lambda: page(w, "ready", "ready")[0] == 200)
            assert rcode(w, "other") == "NXDOMAIN"


def annotated(of, when):
    s = kube.endpoint_slice("shop", of, ["10.1.0.1"])
    s["metadata"]["annotations"] = {"endpoints.kubernetes.io/last-change-trigger-time": when}
    return s


def ago(seconds):
    return (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=seconds)).isoformat()


LATENCY = "coredns_kubernetes_dns_programming_duration_seconds"


def latency(of, when, kind):
    with world(ONE, kube.service("shop", "head")) as api, kube.gateway(api) as w:
        wait_for(lambda: in_step(w))
        api.put(annotated(of, when if isinstance(when, str) else ago(when)))
        wait_for(lambda: metric(w, "waypost_kubernetes_objects", resource="endpointslices") == 1)
        count = metric(w, LATENCY + "_count")
        if kind:
            assert count == metric(w, LATENCY + "_count", service_kind=kind) == 1
            assert when <= metric(w, LATENCY + "_sum", service_kind=kind) < when + 10
        else:
            assert count == 0
        return w.output()


def latency_headless():
    latency("head", 2, "headless_with_selector")


def latency_cluster_ip():
    latency("one", 2, "cluster_ip")


def latency_unknown():
    latency("other", 2, None)


def latency_bad():
    assert "DnsProgrammingLatency cannot be calculated for Endpoints 'shop/one'; invalid \"endpoints.kubernetes.io/" \
        'last-change-trigger-time" annotation RFC3339 value of "yesterday"' in latency("one", "yesterday", None)


# --- lists that are none ------------------------------------------------------------------------------

def bad_answer(what, why):
    """A relist meets it: what is known stays, an error tells, and all is well as soon as the server is."""
    def case():
        with world(ONE, TWO) as api:
            api.set(watch_list=False)
            with kube.gateway(api) as w:
                has(w, "two", a(2))
                api.fault("services", what, 2, watch=False)
                api.delete("Service", "shop", "one")
                lacks(w, "one")
                api.error(410, "Expired", "old", "services")
                line = wait_for(lambda: next((x for x in w.output().splitlines() if "Failed to watch" in x), None))
                assert f"failed to list *v1.Service: 127.0.0.1:{api.port}: " in line and why in line, line
                assert rcode(w, "two") == "NOERROR"
                api.put(ONE)
                has(w, "one", a(1))
                assert rcode(w, "two") == "NOERROR"
    return case


def list_of(*items):
    return b'{"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"77"},"items":[' + b",".join(items) + b"]}"


BAD = {
    "html": (faults.html(), 'content type "text/html" is none of'),
    "redirect": (faults.redirect("http://127.0.0.1:1/"), "302: redirects are not followed"),
    "wrong type": (faults.typed("text/plain"), 'content type "text/plain"'),
    "garbage": (faults.garbage(1 << 20), "is no list"),
    "html in disguise": (faults.body(b"<html>"), "is no list"),
    "no items": (faults.body(b'{"kind":"ServiceList","metadata":{"resourceVersion":"77"}}'), "is no list"),
    "a status": (faults.status(200), "is no list"),
    "torn": (faults.torn(200), ""),
    "empty": (faults.body(b""), "ends within"),
    "closed": (faults.close(), ""),
    "500": (faults.status(500, message="etcd is gone"), "etcd is gone"),
    "half an object": (faults.body(list_of(b'{"metadata":{"name":"x"')), "ends within"),
    "endless line": (faults.endless(), "without the end of an object"),
}


def bad_objects():
    """Each is told, and changes nothing else."""
    texts = {
        "number": b'{"metadata":{"name":"bad","namespace":"shop","resourceVersion":"900"},"spec":{"ports":[{"port":"x"}]}}',
        "name": b'{"metadata":{"name":"a.b c","namespace":"shop","resourceVersion":"901"},"spec":{}}',
        "type": b'{"metadata":{"name":"one","namespace":"shop","resourceVersion":"902"},"spec":7}',
        "none": b'[]',
    }
    with world(ONE, TWO) as api, kube.gateway(api) as w:
        has(w, "two", a(2))
        for text in texts.values():
            api.say(b'{"type":"MODIFIED","object":' + text + b"}\n", "services")
        api.put(kube.service("shop", "three", [a(3)]))
        has(w, "three", a(3))
        assert kube.answers(w, "one" + LABEL) == [a(1)]
        assert metric(w, "waypost_kubernetes_bad_objects_total", resource="services") == len(texts)
        for name in ("services shop/bad: ", "services shop/one: "):
            w.says(f"[ERROR] plugin/kubernetes: 127.0.0.1:{api.port}: {name}")
        assert len(lists(api)) == 1


def large_list():
    """Its size is no matter: items go one by one."""
    item = b'{"metadata":{"name":"s%d","namespace":"shop","resourceVersion":"%d","annotations":{"x":"' + b"x" * 500000 + b'"}},"spec":{"clusterIP":"10.96.1.1","ports":[]}}'
    with world(ONE) as api:
        api.set(watch_list=False)
        big = list_of(*(item % (i, i + 1) for i in range(400)))
        assert len(big) > 200e6
        api.fault("services", faults.body(big), watch=False)
        with kube.gateway(api, "startup_timeout 60s") as w:
            has(w, "s399", "10.96.1.1")
            with open(f"/proc/{w.pid}/status") as f:
                peak = next(int(x.split()[1]) for x in f if x.startswith("VmHWM"))
            assert peak < 100000 or "asan" in os.environ.get("WAYPOST", ""), peak


# --- away -------------------------------------------------------------------------------------------

def hangs_later():
    """Connections live, nobody answers any more: what is known is answered."""
    with world(ONE) as api, kube.gateway(api) as w:
        wait_for(lambda: in_step(w))
        api.fault(None, faults.hang(), None)
        time.sleep(1.1)
        api.end_watches()
        wait_for(lambda: metric(w, "waypost_kubernetes_behind_seconds") >= 1)
        assert rcode(w, "one") == "NOERROR" and rcode(w, "two") == "NXDOMAIN"
        api.heal()
        api.cut()
        api.put(TWO)
        has(w, "two", a(2))
        wait_for(lambda: in_step(w))


def slow():
    """Each answer takes its time, also the first one; changes come at once when the watch is open."""
    with world(ONE) as api:
        api.fault(None, faults.delay(1.5), None)
        with kube.gateway(api) as w:
            has(w, "one", a(1))
            api.put(TWO)
            has(w, "two", a(2))
            time.sleep(1.1)
            api.end_watches()
            api.put(kube.service("shop", "three", [a(3)]))
            assert rcode(w, "one") == "NOERROR"
            has(w, "three", a(3))
            assert len(lists(api)) == 1


def told_to_end():
    """A start that waits for the API server ends when told."""
    with world(ONE) as api:
        api.fault(None, faults.hang(), None)
        with kube.gateway(api, "startup_timeout 1h", wait=False) as w:
            wait_for(lambda: "waiting for Kubernetes API before starting server" in w.output())
            began = time.monotonic()
            w.stop()
            assert time.monotonic() - began < 10


def one_connection():
    """HTTP/2: lists and watches of everything share one."""
    pair = pki.cert("kube-h2", san="IP:127.0.0.1")
    with world(ONE, kube.pod("shop", "p", "10.2.0.1"), tls=pair) as api:
        files = {"config": kubeconfig(api, ca=", certificate-authority: ca.crt"), "ca.crt": pem(pki.ca())}
        text = kube.corefile(api, "pods verified").replace(f"endpoint {api.url}", "kubeconfig {dir}/config")
        with kube.Waypost(text, files) as w:
            wait_for(lambda: in_step(w))
            assert len(api.requests) == 4 and len({r.connection for r in api.requests}) == 1


def two_clusters():
    """One is away from the start: the other does not wait for it longer than told, and never again."""
    text = kube.COREFILE % ("cluster.local", "%s", "startup_timeout 500ms", "")
    with world(ONE) as api, world() as other:
        other.stop()
        corefile = text % api.url + "second.local:{dns} {\n kubernetes {\n endpoint %s\n startup_timeout 500ms\n}\n}\n" % other.url
        with kube.Waypost(corefile) as w:
            has(w, "one", a(1))
            assert kube.ask(w, "one.shop.svc.second.local").rcode() == dns.rcode.SERVFAIL
            api.put(TWO)
            has(w, "two", a(2))
            assert metric(w, "waypost_kubernetes_synced", source=f"127.0.0.1:{api.port}") == 1
            assert metric(w, "waypost_kubernetes_synced", source=f"127.0.0.1:{other.port}") == 0


def survives_reload():
    """The cluster is the same one before and after."""
    with world(ONE) as api, kube.gateway(api) as w:
        wait_for(lambda: in_step(w))
        n = len(api.requests)
        w.write(kube.corefile(api, "ttl 77"))
        w.kill(signal.SIGUSR1)
        wait_for(lambda: kube.ask(w, "one" + LABEL).answer[0].ttl == 77)
        assert len(api.requests) == n
        w.write(kube.corefile(api, "pods verified"))
        w.kill(signal.SIGUSR1)
        wait_for(lambda: api.asked("pods"))
        has(w, "one", a(1))
        wait_for(lambda: api.watches("services") == 1)


def requests_are_counted():
    with world(ONE) as api:
        host = {"host": f"127.0.0.1:{api.port}"}
        api.set(watch_list=False)
        with kube.gateway(api) as w:
            wait_for(lambda: in_step(w))
            total = "coredns_kubernetes_rest_client_requests_total"
            assert metric(w, total, code="200", method="GET", **host) == 6 and metric(w, total, code="422", **host) in (1, 2, 3)
            for name in ("request", "rate_limiter"):
                assert metric(w, f"coredns_kubernetes_rest_client_{name}_duration_seconds_count", verb="GET", **host) == 3
            time.sleep(1.1)
            api.stop()
            wait_for(lambda: metric(w, total, code="<error>", **host) > 0)


CASES = {
    "K338-added": added,
    "K339-deleted": deleted,
    "K340-not-ready": not_ready,
    "K341-timeout": watch_times_out,
    "K342-bookmark": bookmark,
    "K343-error-410": error_410,
    "K344-gone": gone_in_between,
    "K345-429": too_many_watches,
    "K346-refused": connection_refused,
    "K347-token": new_token,
    "K348-422": no_streaming,
    "K349-torn-stream": torn_stream,
    "K350-pages": three_pages,
    "K351-page-410": second_page_expired,
    "K352-slices": two_slices,
    "K353-pod-ends": pod_ends,
    "K354-namespace": namespace_goes,
    "K355-never": never_answers,
    "K356-late": answers_late,
    "K357-same-version": unchanged_version,
    "K358-pod-same": pod_unchanged,
    "K358a-gains": pod_gains,
    "K358a-loses": pod_loses,
    "K358a-swaps": pod_swaps,
    "K358b-ca": new_ca,
    "K358c-403": forbidden,
    "K359-headless": latency_headless,
    "K360-cluster-ip": latency_cluster_ip,
    "K360-unknown": latency_unknown,
    "K360-bad": latency_bad,
    **{f"bad answer: {name}": bad_answer(*words) for name, words in BAD.items()},
    "bad objects": bad_objects,
    "large list": large_list,
    "hangs later": hangs_later,
    "slow": slow,
    "told to end": told_to_end,
    "one connection": one_connection,
    "two clusters": two_clusters,
    "reload": survives_reload,
    "requests are counted": requests_are_counted,
}


@pytest.fixture(scope="module")
def outcomes(request):
    """All that were chosen, some at a time."""
    mine = {i.callspec.params["case"] for i in request.session.items if i.fspath == request.fspath and hasattr(i, "callspec")}
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        yield {name: pool.submit(CASES[name]) for name in CASES if name in mine}


@pytest.mark.parametrize("case", CASES)
def test_case(outcomes, case):
    outcomes[case].result()
