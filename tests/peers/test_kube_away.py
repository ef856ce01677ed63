"""The API server goes away, hangs, forgets, or forbids: nobody is answered wrongly meanwhile, and what was missed is known afterwards."""
import signal

import apiserver
import kube_compare
import kube_questions
import pytest
from asker import ask_all
from cluster import Asker
from kube_changes import BACK_S, Cluster, Markers
from kube_cluster import CoreDNS, files
from kube_store import meta
from proxy import Proxy
from server import Waypost, wait_for

ZONES = "cluster.local clusterset.local in-addr.arpa ip6.arpa"
BLOCK = """.:{%s} {
 errors
 %s
 kubernetes %s {
  kubeconfig {dir}/%s
  pods verified
  multicluster clusterset.local
  startup_timeout 20s
  %s
 }
}
"""
COREFILE = BLOCK % ("plain", "", ZONES, "proxied", "") + BLOCK % ("cached", "cache 30", ZONES, "proxied", "")
THEIRS = BLOCK % ("plain", "", ZONES, "token", "") + BLOCK % ("twin", "", ZONES, "token", "labels !stray")
HERE = "svc.cluster.local"
MISSED = 40


class Moving:
    """A service with an endpoint that moves."""

    def __init__(self, client, space):
        self.client, self.space, self.n = client, space, 0
        self.address = f"10.96.200.{space.encode()[0]}"
        client.create(meta("Namespace", space))
        self.still = meta("Service", "still", space, spec={"clusterIP": self.address, "clusterIPs": [self.address], "ports": [{"port": 80}]})
        self.slice = meta("EndpointSlice", "moving-1", space, {"kubernetes.io/service-name": "moving"}, "discovery.k8s.io/v1", addressType="IPv4", ports=[{"port": 80}],
                          endpoints=[{"addresses": ["10.251.0.0"], "conditions": {"ready": True}}])
        for o in (self.still, meta("Service", "moving", space, spec={"clusterIP": "None", "ports": [{"port": 80}]}), self.slice):
            client.create(o)

    def ask(self, port):
        a = Asker(port, pause=0.003)
        a.allow(f"still.{self.space}.{HERE}", [self.address]).allow(f"none.{self.space}.{HERE}", "NXDOMAIN")
        return a.allow(f"moving.{self.space}.{HERE}", [f"10.251.0.{self.n}"])

    def move(self, *askers):
        """From the moment on in which the new answer comes, no old one may."""
        self.n += 1
        for a in askers:
            a.allow(f"moving.{self.space}.{HERE}", [f"10.251.0.{self.n}"])
        self.client.patch(self.slice, {"endpoints": [{"addresses": [f"10.251.0.{self.n}"], "conditions": {"ready": True}}]})
        for a in askers:
            a.only(f"moving.{self.space}.{HERE}", [f"10.251.0.{self.n}"], BACK_S)


@pytest.fixture(scope="module")
def served(kube):
    """Reached by a way on which nothing may come through."""
    with Proxy(kube.port) as proxy:
        given = {**files(kube), "proxied": kube.kubeconfig(url=f"https://127.0.0.1:{proxy.port}")}
        moving = Moving(kube.client, "away")
        with Waypost(COREFILE, given) as w:
            yield w, proxy, moving


def goes_on(*askers):
    """Some hundred answers more."""
    before = [a.n for a in askers]
    wait_for(lambda: all(a.n > n + 100 for a, n in zip(askers, before)))


def test_killed_and_started_again(kube, served):
    w, _, moving = served
    with moving.ask(w.port["plain"]) as a, moving.ask(w.port["cached"]) as b:
        moving.move(a, b)
        for _ in range(2):
            kube.halt()
            goes_on(a, b)
            kube.launch()
            moving.move(a, b)


def test_hung(kube, served):
    w, _, moving = served
    with moving.ask(w.port["plain"]) as a, moving.ask(w.port["cached"]) as b:
        kube.process.kill(signal.SIGSTOP)
        try:
            goes_on(a, b)
        finally:
            kube.process.kill(signal.SIGCONT)
        moving.move(a, b)


def test_history_that_is_gone(kube, served, coredns):
    """What happened while nothing came through cannot be had from a watch any more, neither from the API server nor from the etcd behind it."""
    w, proxy, moving = served
    changed = Cluster(kube.client, kube.store, ("d1", "d2"))
    for _ in range(MISSED):
        changed.change()
    markers = Markers(kube.client, "marks-away")
    markers.settle(w.port["plain"], w.port["cached"])
    with moving.ask(w.port["plain"]) as a, moving.ask(w.port["cached"]) as b:
        touched = list(changed.objects.values())
        names = kube_questions.Names(touched)
        asked = kube_questions.some(kube.store.r, names, 400)
        ask_all(w.port["cached"], asked)  # now it has them all
        proxy.hole = True
        for _ in range(MISSED):
            touched += changed.change()[1]
        kube.compact()
        kube.halt()
        kube.launch()  # it knows nothing older than this
        goes_on(a, b)
        proxy.mend()
        moving.move(a, b)
        changed.let_all_go()
        markers.settle(w.port["plain"], w.port["cached"])
    asked += kube_questions.some(kube.store.r, kube_questions.Names(touched), 400)
    with CoreDNS(THEIRS, files(kube), binary=coredns) as c:
        for block in ("plain", "cached"):
            compared = kube_compare.Compared({block: w.port[block]}, {block: c.port["plain"], block + "twin": c.port["twin"]})
            compared.compare(block, [q for q in asked if q.qtype != "PTR"])
            compared.check()


# --- rights -----------------------------------------------------------------------------------------


def test_one_resource_is_forbidden(kube):
    """The other collections go on, the log names the one; once it is allowed it is there without a restart."""
    moving = Moving(kube.client, "rights")
    apiserver.allow(kube.client, "some", [("", "services"), ("", "namespaces")])
    text = ".:{dns} {\n errors\n kubernetes cluster.local {\n kubeconfig {dir}/some\n startup_timeout 100ms\n }\n}\n"
    with Waypost(text, {"some": kube.kubeconfig("some")}) as w:
        def answer(name):
            reply = ask_all(w.port["dns"], [kube_questions.Question(kube_questions.text(f"{name}.rights.{HERE}"), "A")])[0]
            return reply.rcode, [".".join(str(x) for x in r[4]) for r in reply.sections[0]]
        wait_for(lambda: answer("still") == (0, [moving.address]))
        wait_for(lambda: 'endpointslices.discovery.k8s.io is forbidden: User "some" cannot' in w.output())
        assert answer("moving") == answer("none") == (2, [])  # nobody knows yet
        assert "services is forbidden" not in w.output() and "namespaces is forbidden" not in w.output()
        apiserver.allow(kube.client, "slices", [("discovery.k8s.io", "endpointslices")], user="some")
        wait_for(lambda: answer("moving") == (0, ["10.251.0.0"]), BACK_S)
        assert answer("none") == (3, [])


def test_token_that_no_longer_counts(kube):
    """A token is refused in the middle; later the file has another one."""
    moving = Moving(kube.client, "tokens")
    apiserver.allow(kube.client, "bare", [("", "services"), ("", "namespaces"), ("discovery.k8s.io", "endpointslices")])
    given = {"token": kube.tokens["bare"], "config": kube.kubeconfig("bare", file="token")}
    with Waypost(".:{dns} {\n errors\n kubernetes cluster.local {\n kubeconfig {dir}/config\n }\n}\n", given) as w:
        with moving.ask(w.port["dns"]) as a:
            moving.move(a)
            kube.tokens["bare"] += "-2"
            kube.halt()
            kube.launch()
            wait_for(lambda: "Unauthorized" in w.output(), BACK_S)
            goes_on(a)
            with open(w.path("token"), "w") as f:
                f.write(kube.tokens["bare"])
            moving.move(a)
