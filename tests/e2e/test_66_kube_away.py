"""The API server away in each of its ways: what was known is answered, and said to be old after 30 seconds; other zones do not
notice; what changed meanwhile is there when it comes back. All of them at once: most of it is waiting."""
import json
import re
import socket
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import dns.edns
import dns.message
import kube
import pytest
import wire
from server import Waypost, wait_for
from wall import Wall

WEB = "web.shop.svc.cluster.local"
STALE_S = 30
SLOW_S = 10
RETRY_S = 60  # between two tries at a collection, at most: 30 seconds and as much of chance again
OTHER = """
    }
    other.test:{dns} {
        hosts {
            192.0.2.9 www.other.test
        }
"""


def scrape(w, family):
    """The sum over its series, 0 without one."""
    with urllib.request.urlopen(f"http://127.0.0.1:{w.port['metrics']}/metrics", timeout=10) as r:
        text = r.read().decode()
    return sum(float(v) for v in re.findall(rf"^{family}(?:{{[^}}]*}})? (\S+)$", text, re.M))


def is_ready(w):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{w.port['ready']}/ready", timeout=5) as r:
            return r.status == 200
    except OSError:
        return False


def ask(w, name, qtype="A"):
    return dns.message.from_wire(wire.udp(w.port["dns"], wire.query(name, qtype, extra=wire.opt()), timeout=10))


def ede(reply):
    return [int(o.code) for o in reply.options if o.otype == dns.edns.EDE]


def address(reply):
    return sorted(r.to_text() for s in reply.answer for r in s)


def other_zone(w):
    """Another zone's answer, at once."""
    began = time.monotonic()
    reply = ask(w, "www.other.test")
    assert address(reply) == ["192.0.2.9"] and ede(reply) == []
    return time.monotonic() - began


class Drill:
    """A cluster with a gateway over it that knows everything, and what the right answers are."""

    def __init__(self, **args):
        self.api = kube.cluster().start()
        self.args = args
        self.right = None

    def __enter__(self):
        self.w = kube.gateway(self.api, more=OTHER, **self.args)
        wait_for(lambda: is_ready(self.w), 30)
        self.right = address(ask(self.w, WEB))
        assert self.right and ede(ask(self.w, WEB)) == []
        return self

    def __exit__(self, *exc):
        self.w.__exit__(*exc)
        self.api.close()

    def last_known(self):
        """Now as before, and later with the mark of what is old."""
        w = self.w
        assert address(ask(w, WEB)) == self.right
        wait_for(lambda: ede(ask(w, WEB)) == [3], STALE_S + 60, step=0.2)
        reply = ask(w, WEB)
        assert address(reply) == self.right and reply.answer[0].ttl <= 30
        denied = ask(w, "none.shop.svc.cluster.local")
        assert denied.rcode() == 3 and ede(denied) == [19]
        other_zone(w)
        assert scrape(w, "waypost_kubernetes_behind_seconds") >= STALE_S and scrape(w, "waypost_kubernetes_stale_answers_total") >= 2
        assert is_ready(w)  # it has data, and replacing it by nothing helps nobody

    def back(self):
        """What changed meanwhile is there, and nothing is old."""
        self.api.put(kube.service("shop", "meanwhile", ("10.96.77.7",)))
        wait_for(lambda: address(ask(self.w, "meanwhile.shop.svc.cluster.local")) == ["10.96.77.7"], RETRY_S + 30, step=0.1)
        wait_for(lambda: ede(ask(self.w, WEB)) == [], RETRY_S + 30, step=0.1)
        assert address(ask(self.w, WEB)) == self.right
        wait_for(lambda: scrape(self.w, "waypost_kubernetes_behind_seconds") == 0, 30, step=0.2)


def down(tmp):
    with Drill() as d:
        d.api.stop()
        d.last_known()
        d.api.start()
        d.back()


def hung(tmp):
    """Connections are taken, and nothing comes."""
    with Drill() as d:
        d.api.fault(None, kube.faults.hang(), times=None)
        d.api.cut()
        d.last_known()
        d.api.heal()
        d.api.cut()
        d.back()


def forbidden(tmp):
    """One of the collections may not be read any more."""
    with Drill() as d:
        d.api.handler.forbidden.add("endpointslices")
        d.api.cut()
        d.api.compact()
        d.last_known()
        d.w.says('type="*v1.EndpointSlice"')
        d.api.handler.forbidden.clear()
        d.back()


def expired(tmp):
    """The token is no longer good; the file has a new one before long."""
    token, config = tmp / "token", tmp / "kubeconfig"
    token.write_text("first")
    with kube.cluster() as api:
        api.handler.tokens = {"first": "dns"}
        config.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
            "clusters": [{"name": "k", "cluster": {"server": api.url}}], "users": [{"name": "u", "user": {"tokenFile": str(token)}}]}))
        d = Drill()
        d.api.close()
        d.api = api
        d.w = Waypost(kube.corefile(api, more=OTHER).replace(f"endpoint {api.url}", f"kubeconfig {config}"))
        with d.w as w:
            wait_for(lambda: is_ready(w), 30)
            d.right = address(ask(w, WEB))
            api.handler.tokens = {"second": "dns"}
            api.cut()
            d.last_known()
            token.write_text("second")
            d.back()


def restarted(tmp):
    """Started again while the API server is away: the saved data, said to be old from the first moment."""
    options = f"state {tmp}"
    with Drill(options=options) as d:
        wait_for(lambda: any(p.suffix not in (".lock", ".tmp") for p in tmp.iterdir()), 60)
        d.api.stop()
        d.w.stop()
        with kube.gateway(d.api, options, more=OTHER) as w:
            reply = ask(w, WEB)
            assert address(reply) == d.right and ede(reply) == [3] and reply.answer[0].ttl <= 30
            denied = ask(w, "none.shop.svc.cluster.local")
            assert denied.rcode() == 3 and ede(denied) == [19]
            other_zone(w)
            d.api.start()
            wait_for(lambda: ede(ask(w, WEB)) == [], RETRY_S + 30, step=0.1)
            assert address(ask(w, WEB)) == d.right and is_ready(w)


def start(tmp, prepare, options="", synced_within=0):
    """What is there from the first moment on; the time that the start took."""
    with kube.cluster() as api:
        prepare(api)
        began = time.monotonic()
        with kube.gateway(api, options, more=OTHER, wait=False) as w:
            wait_for(lambda: w.alive() and opened(w.port["dns"]), 60, step=0.02)
            took = time.monotonic() - began
            assert other_zone(w) < 2
            found = (ask(w, WEB).rcode(), is_ready(w), scrape(w, "waypost_kubernetes_synced"))
            # on a machine so busy that we come late there may be data already, where there ever is
            assert found == (2, False, 0) or (synced_within and time.monotonic() - began >= SLOW_S), found
            if synced_within:
                wait_for(lambda: is_ready(w), synced_within, step=0.2)
                assert ask(w, WEB).rcode() == 0
    return took


def opened(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def start_down(tmp):
    """By default a start waits for five seconds, as CoreDNS's does."""
    took = start(tmp, lambda api: api.stop())
    assert 5 <= took, took


def start_soon(tmp):
    took = start(tmp, lambda api: api.stop(), "startup_timeout 1s")
    assert 1 <= took, took


def start_slow(tmp):
    """Ten seconds for each request: the start does not wait for them, and nothing needs to be started again."""
    took = start(tmp, lambda api: api.fault(None, kube.faults.delay(SLOW_S), times=None), synced_within=120)
    assert 5 <= took, took


def start_forbidden(tmp):
    """A right is missing, and comes."""
    with kube.cluster() as api:
        api.handler.forbidden.add("endpointslices")
        with kube.gateway(api, "startup_timeout 1s", more=OTHER) as w:
            assert ask(w, WEB).rcode() in (0, 2) and not is_ready(w)
            other_zone(w)
            wait_for(lambda: 'type="*v1.EndpointSlice"' in w.output(), 30)
            assert "type=\"*v1.Service\"" not in w.output()
            api.handler.forbidden.clear()
            wait_for(lambda: is_ready(w), RETRY_S + 30, step=0.2)
            assert ask(w, WEB).rcode() == 0


DRILLS = {f.__name__: f for f in (down, hung, forbidden, expired, restarted, start_down, start_soon, start_slow, start_forbidden)}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    with ThreadPoolExecutor(len(DRILLS)) as pool:
        yield {name: pool.submit(f, tmp_path_factory.mktemp(name)) for name, f in DRILLS.items()}


@pytest.mark.parametrize("name", DRILLS)
def test_away(results, name):
    results[name].result()


@pytest.mark.timing
@pytest.mark.parametrize("seconds", [86400, -86400])
def test_clocks_differ(seconds, tmp_path):
    """A day forth or back: nothing becomes old, and what changes is seen."""
    wall = Wall(tmp_path)
    with Drill(env=wall.env) as d:
        wall.set(seconds)
        d.api.put(kube.service("shop", "later", ("10.96.77.8",)))
        wait_for(lambda: address(ask(d.w, "later.shop.svc.cluster.local")) == ["10.96.77.8"])
        assert ede(ask(d.w, WEB)) == [] and scrape(d.w, "waypost_kubernetes_behind_seconds") == 0
