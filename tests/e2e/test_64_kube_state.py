"""kubernetes: what was saved answers after a start with the API server away."""
import glob
import os
import signal
import urllib.error
import urllib.request

import dns.edns
import dns.rcode
import kube
import pytest
import wire
from server import wait_for

STALE, NOT_READY, STALE_NXDOMAIN = 3, 14, 19
WEB = "web.shop.svc.cluster.local"
MORE = 'hosts {\n        192.0.2.77 other.test\n        fallthrough\n    }\n    cache 30'


def ask(w, name, qtype="A"):
    """(rcode, data, codes of extended errors)"""
    m = wire.parse(wire.udp(w.port["dns"], wire.query(name, qtype, extra=wire.opt()), timeout=5))
    data = sorted(r.to_text() for s in m.answer for r in s)
    return dns.rcode.to_text(m.rcode()), data, [int(o.code) for o in m.options if int(o.otype) == 15]


def ready(w):
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{w.port['ready']}/ready", timeout=5).status
    except urllib.error.HTTPError as e:
        return e.code


def files(state, end=".state"):
    return sorted(glob.glob(os.path.join(state, "*" + end)))


def gateway(api, state, options="", **args):
    return kube.gateway(api, f"state {state}\n        {options}", more=MORE, **args)


def saved(api, state, options=""):
    """A run that has saved what it has."""
    with gateway(api, state, options) as w:
        wait_for(lambda: files(state))
    assert files(state)
    return w


@pytest.fixture
def kube_api():
    with kube.cluster() as api:
        yield api


@pytest.fixture
def state(tmp_path):
    return str(tmp_path / "state")


def test_saved_data_is_served_and_marked(kube_api, state):
    api = kube_api
    saved(api, state, "pods verified")
    api.stop()
    with gateway(api, state, "pods verified") as w:
        assert ask(w, WEB) == ("NOERROR", ["10.96.1.10"], [STALE])
        assert ask(w, WEB) == ("NOERROR", ["10.96.1.10"], [STALE]), "the cache does not hide it"
        assert ask(w, "nope.shop.svc.cluster.local") == ("NXDOMAIN", [], [STALE_NXDOMAIN])
        assert ask(w, "db.shop.svc.cluster.local")[1] == ["10.244.4.1", "10.244.4.2", "10.244.4.3"]
        assert ask(w, "10-244-1-5.shop.pod.cluster.local")[1] == ["10.244.1.5"]
        assert ask(w, "other.test") == ("NOERROR", ["192.0.2.77"], [])
        wait_for(lambda: ready(w) == 200)
        w.says("saved", "are served until the API server answers")
        api.put(kube.service("shop", "web", ["10.96.1.99"]))
        api.delete("Service", "shop", "v6")
        api.start()
        wait_for(lambda: ask(w, WEB) == ("NOERROR", ["10.96.1.99"], []), seconds=60)
        assert ask(w, "v6.shop.svc.cluster.local", "AAAA") == ("NXDOMAIN", [], [])
        assert ask(w, "db.shop.svc.cluster.local") == ("NOERROR", ["10.244.4.1", "10.244.4.2", "10.244.4.3"], [])


def test_without_saved_data_there_is_none(kube_api, state):
    kube_api.stop()
    with gateway(kube_api, state, "startup_timeout 100ms") as w:
        assert ask(w, WEB) == ("SERVFAIL", [], [NOT_READY])
        assert ask(w, "other.test") == ("NOERROR", ["192.0.2.77"], [])
        assert ready(w) == 503
        kube_api.start()
        wait_for(lambda: ask(w, WEB) == ("NOERROR", ["10.96.1.10"], []), seconds=60)
        wait_for(lambda: ready(w) == 200)


def test_a_killed_process_has_saved(kube_api, state):
    with gateway(kube_api, state) as w:
        wait_for(lambda: files(state))
        w.kill(signal.SIGKILL)
        w.wait(10)
    kube_api.stop()
    with gateway(kube_api, state) as w:
        assert ask(w, WEB) == ("NOERROR", ["10.96.1.10"], [STALE])


def test_other_selectors_are_another_source(kube_api, state):
    saved(kube_api, state)
    kube_api.stop()
    with gateway(kube_api, state, "labels app=x\n        startup_timeout 100ms") as w:
        assert ask(w, WEB) == ("SERVFAIL", [], [NOT_READY])


def test_a_bad_file_is_set_aside(kube_api, state):
    saved(kube_api, state)
    with open(files(state)[0], "r+b") as f:
        f.seek(-3, os.SEEK_END)
        octet = f.read(1)
        f.seek(-3, os.SEEK_END)
        f.write(bytes([octet[0] ^ 1]))
    kube_api.stop()
    with gateway(kube_api, state, "startup_timeout 100ms") as w:
        assert ask(w, WEB) == ("SERVFAIL", [], [NOT_READY])
        assert files(state, ".bad") or files(state, ".state.bad")


def test_off(kube_api, state):
    with kube.gateway(kube_api, "state off", more=f"state {state}") as w:
        assert ask(w, WEB) == ("NOERROR", ["10.96.1.10"], [])
    assert files(state) == []
