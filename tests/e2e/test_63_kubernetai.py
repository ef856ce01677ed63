"""kubernetai: several clusters in one server block, in order, with fallthrough, and joined."""
import os
import signal
import socket
import sys
import time

import kube
import pytest
import wire
from server import Waypost, wait_for

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../fake"))
from resolver import Resolver, address  # noqa: E402

NOWHERE = "http://127.0.0.1:1"  # nobody listens there
Z = "svc.cluster.local"


def api(*objects, **options):
    server = kube.KubeApi([kube.namespace("shop"), *objects], **options)
    return server


def line(server, options="", zones="cluster.local"):
    return f" kubernetai {zones} {{\n endpoint {getattr(server, 'url', server)}\n {options}\n }}\n"


def block(*lines, more="", last=""):
    return ".:{dns} {\n errors\n ready 127.0.0.1:{ready}\n prometheus 127.0.0.1:{metrics}\n " + more + "\n" + "".join(lines) + f" {last}\n}}\n"


def reply(w, qname, qtype="A", edns=False, source=None):
    msg = wire.udp(w.port["dns"], wire.query(qname, qtype, extra=wire.opt() if edns else b""), 10, source=source)
    assert msg is not None
    return wire.parse(msg)


def got(w, qname, qtype="A"):
    """(rcode, data of the answer, sorted)"""
    m = reply(w, qname, qtype)
    return m.rcode(), sorted(r.to_text() for s in m.answer for r in s)


@pytest.fixture(scope="module")
def three():
    """a: web, only-a, empty, both (headless); b: web, only-b, empty, both; c: another zone."""
    a = api(kube.service("shop", "web", ["10.1.0.1"]), kube.service("shop", "only-a", ["10.1.0.2"]), kube.service("shop", "empty", ["10.1.0.3"]),
            kube.service("shop", "both"), kube.endpoint_slice("shop", "both", ["10.1.9.1", "10.9.9.9"]),
            kube.service("shop", "half", ["10.1.0.4"]), kube.service("shop", "six", ["10.1.0.6"]), kube.external_name("shop", "alias", "a.example.test"),
            kube.external_name("shop", "mixed", "a.example.test"), kube.service("shop", "late-alias", ["10.1.0.7"]),
            kube.pod("shop", "near", "127.0.0.21", labels={"x": "a"}))
    b = api(kube.service("shop", "web", ["10.2.0.1"]), kube.service("shop", "only-b", ["10.2.0.2"]), kube.service("shop", "empty", ["10.2.0.3"]),
            kube.endpoint_slice("shop", "empty", ["10.2.9.3"]), kube.service("shop", "both"),
            kube.endpoint_slice("shop", "both", ["10.2.9.1", "10.2.9.2", "10.9.9.9"]), kube.service("shop", "six", ["fd00::2"]),
            kube.external_name("shop", "alias", "b.example.test"), kube.service("shop", "mixed", ["10.2.0.5"]), kube.external_name("shop", "late-alias", "b.example.test"),
            kube.namespace("infra"), kube.pod("infra", "near", "127.0.0.22"), kube.service("infra", "web", ["10.2.0.9"]))
    c = api(kube.service("shop", "web", ["10.3.0.1"]))
    with a, b, c:
        yield a, b, c


def on(q):
    return q.reply(address(66)) if q.type == 1 else q.reply()


@pytest.fixture(scope="module")
def up():
    with Resolver(on) as r:
        yield r


# --- in order ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chain(three, up):
    a, b, c = three
    text = block(line(a, "fallthrough"), line(b), line(c, zones="other.local"), line(c, "fallthrough", zones="open.local"), last=f"forward . 127.0.0.1:{up.port}")
    with Waypost(text) as w:
        yield w


IN_ORDER = [
    ("the-first", f"web.shop.{Z}", "A", (0, ["10.1.0.1"])),
    ("004-31", f"only-b.shop.{Z}", "A", (0, ["10.2.0.2"])),
    ("only-a", f"only-a.shop.{Z}", "A", (0, ["10.1.0.2"])),
    ("nodata-stays", f"six.shop.{Z}", "AAAA", (0, [])),
    ("headless", f"both.shop.{Z}", "A", (0, ["10.1.9.1", "10.9.9.9"])),
    ("nobody", f"nope.shop.{Z}", "A", (3, [])),
    ("namespace-of-b", f"web.infra.{Z}", "A", (0, ["10.2.0.9"])),
    ("other-zone", "web.shop.svc.other.local", "A", (0, ["10.3.0.1"])),
    ("other-zone-nobody", "only-a.shop.svc.other.local", "A", (3, [])),
    ("on-to-the-next-directive", "only-a.shop.svc.open.local", "A", (0, ["192.0.2.66"])),
    ("no-zone-of-theirs", "www.example.test", "A", (0, ["192.0.2.66"])),
    ("srv", f"_http._tcp.only-b.shop.{Z}", "SRV", (0, [f"0 100 80 only-b.shop.{Z}."])),
    ("txt", "dns-version.cluster.local", "TXT", (0, ['"1.1.0"'])),
]


@pytest.mark.parametrize("qname, qtype, want", [pytest.param(*r[1:], id=r[0]) for r in IN_ORDER])
def test_in_order(chain, qname, qtype, want):
    assert got(chain, qname, qtype) == want


def test_soa_is_the_first_ones(chain):
    m = reply(chain, "cluster.local", "SOA")
    assert m.rcode() == 0 and len(m.answer[0]) == 1
    assert wire.sections(m.to_wire())[0]


def test_without_fallthrough_the_first_decides(three):
    a, b, _ = three
    with Waypost(block(line(a), line(b))) as w:
        assert got(w, f"only-b.shop.{Z}") == (3, []) and got(w, f"only-a.shop.{Z}")[0] == 0


def test_services_without_endpoints_are_looked_for_elsewhere(three):
    """The example of the external plugin's manual."""
    a, b, _ = three
    with Waypost(block(line(a, "ignore empty_service\n fallthrough"), line(b))) as w:
        assert got(w, f"empty.shop.{Z}") == (0, ["10.2.0.3"]) and got(w, f"both.shop.{Z}")[1] == ["10.1.9.1", "10.9.9.9"]


# --- joined --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def joined(three, up):
    a, b, c = three
    text = block(line(a, "merge\n pods verified", "cluster.local 10.0.0.0/8"), line(b, "merge\n pods verified", "cluster.local 10.0.0.0/8"),
                 line(c, zones="cluster.local"), more="cache 3600", last=f"forward . 127.0.0.1:{up.port}")
    with Waypost(text) as w:
        yield w


JOINED = [
    ("004-31-union", f"both.shop.{Z}", "A", (0, ["10.1.9.1", "10.2.9.1", "10.2.9.2", "10.9.9.9"])),
    ("004-31-services", f"web.shop.{Z}", "A", (0, ["10.1.0.1", "10.2.0.1"])),
    ("only-a", f"only-a.shop.{Z}", "A", (0, ["10.1.0.2"])),
    ("only-b", f"only-b.shop.{Z}", "A", (0, ["10.2.0.2"])),
    ("families", f"six.shop.{Z}", "AAAA", (0, ["fd00::2"])),
    ("nodata-before-nxdomain", f"half.shop.{Z}", "AAAA", (0, [])),
    ("nobody", f"nope.shop.{Z}", "A", (3, [])),
    ("srv", f"_http._tcp.web.shop.{Z}", "SRV", (0, [f"0 100 80 web.shop.{Z}."])),
    ("srv-endpoints", f"_http._tcp.both.shop.{Z}", "SRV", (0, sorted([
        f"0 50 80 10-1-9-1.both.shop.{Z}.", f"0 50 80 10-9-9-9.both.shop.{Z}.", f"0 33 80 10-2-9-1.both.shop.{Z}.", f"0 33 80 10-2-9-2.both.shop.{Z}.",
        f"0 33 80 10-9-9-9.both.shop.{Z}."]))),
    ("ptr", "9.9.9.10.in-addr.arpa", "PTR", (0, [f"10-9-9-9.both.shop.{Z}."])),
    ("alias", f"alias.shop.{Z}", "A", (0, ["192.0.2.66", "a.example.test."])),
    ("alias-then-service", f"mixed.shop.{Z}", "A", (0, ["192.0.2.66", "a.example.test."])),
    ("namespace-of-b", f"web.infra.{Z}", "A", (0, ["10.2.0.9"])),
    ("service-then-alias", f"late-alias.shop.{Z}", "A", (0, ["10.1.0.7"])),
    ("apex", "cluster.local", "TXT", (3, [])),
]


@pytest.mark.parametrize("qname, qtype, want", [pytest.param(*r[1:], id=r[0]) for r in JOINED])
def test_joined(joined, qname, qtype, want):
    for _ in range(2):  # asked, and kept
        assert got(joined, qname, qtype) == want


def test_glue_of_all(joined):
    m = reply(joined, f"_http._tcp.both.shop.{Z}", "SRV")
    glue = sorted(r.to_text() for s in m.additional for r in s)
    assert glue == ["10.1.9.1", "10.2.9.1", "10.2.9.2", "10.9.9.9"]


def test_one_soa(joined):
    m = reply(joined, f"nope.shop.{Z}")
    assert len(m.authority) == 1 and len(reply(joined, "cluster.local", "SOA").answer[0]) == 1


def test_autopath_knows_pods_of_all(three, up):
    a, b, _ = three
    text = block(line(a, "merge\n pods verified"), line(b, "merge\n pods verified"), more="autopath @kubernetai {\n resolv_conf {dir}/none\n }\n cache",
                 last=f"forward . 127.0.0.1:{up.port}")
    with Waypost(text, files={"none": ""}) as w:
        for source, ns in (("127.0.0.21", "shop"), ("127.0.0.22", "infra")):
            m = reply(w, f"web.{'infra' if ns == 'shop' else 'shop'}.{ns}.{Z}", source=(source, 0))
            assert m.rcode() == 0 and m.answer[0][0].to_text() == f"web.{'infra' if ns == 'shop' else 'shop'}.{Z}."
        assert reply(w, f"web.infra.shop.{Z}", source=("127.0.0.22", 0)).rcode() == 3


def test_metadata(three):
    a, b, _ = three
    text = block(line(a, "fallthrough\n pods verified"), line(b, "pods verified"), more="metadata\n import {dir}/log.conf")
    with Waypost(text, files={"log.conf": 'log . "SAW {/kubernetes/client-namespace} {/kubernetes/client-label/x} {/kubernetes/service}"\n'}) as w:
        for source, want in (("127.0.0.21", "SAW shop a web"), ("127.0.0.22", "SAW infra - web")):
            reply(w, f"web.shop.{Z}", source=(source, 0))
            wait_for(lambda: want in w.output())


# --- changes, and clusters that are away ----------------------------------------------------------


def test_a_change_in_any_is_seen_at_once():
    with api(kube.service("shop", "web", ["10.1.0.1"])) as a, api() as b:
        with Waypost(block(line(a, "merge"), line(b, "merge"), more="cache 3600")) as w:
            assert got(w, f"web.shop.{Z}") == (0, ["10.1.0.1"]) and got(w, f"late.shop.{Z}") == (3, [])
            b.put(kube.service("shop", "web", ["10.2.0.1"]))
            wait_for(lambda: got(w, f"web.shop.{Z}") == (0, ["10.1.0.1", "10.2.0.1"]))
            b.put(kube.service("shop", "late", ["10.2.0.2"]))
            wait_for(lambda: got(w, f"late.shop.{Z}") == (0, ["10.2.0.2"]))
            a.delete("Service", "shop", "web")
            wait_for(lambda: got(w, f"web.shop.{Z}") == (0, ["10.2.0.1"]))
            b.delete("Service", "shop", "web")
            wait_for(lambda: got(w, f"web.shop.{Z}") == (3, []))


@pytest.mark.parametrize("options", ["fallthrough", "merge"])
def test_one_that_was_never_reached(three, options):
    """In front of the other: a start waits once, names of the others are answered, denials say that they may be wrong."""
    _, b, _ = three
    lines = line(NOWHERE, options + "\n startup_timeout 300ms"), line(NOWHERE, options + "\n startup_timeout 300ms"), line(b, options + "\n startup_timeout 300ms")
    with Waypost(block(*lines)) as w:
        w.says("starting server with unsynced Kubernetes API")
        assert got(w, f"web.shop.{Z}") == (0, ["10.2.0.1"]) and got(w, f"both.shop.{Z}") == (0, ["10.2.9.1", "10.2.9.2", "10.9.9.9"])
        if options == "merge":
            m = reply(w, f"nope.shop.{Z}", edns=True)
            assert m.rcode() == 3 and [int(o.code) for o in m.options] == [14]
        wait_for(lambda: socket.create_connection(("127.0.0.1", w.port["ready"]), 5).close() is None)


def test_denial_behind_one_that_was_never_reached(three):
    _, b, _ = three
    with Waypost(block(line(NOWHERE, "fallthrough\n startup_timeout 0s"), line(b))) as w:
        wait_for(lambda: got(w, f"web.shop.{Z}") == (0, ["10.2.0.1"]))
        m = reply(w, f"nope.shop.{Z}", edns=True)
        assert m.rcode() == 3 and [int(o.code) for o in m.options] == [14]


def test_ready_with_one_of_them(three):
    import urllib.error
    import urllib.request

    def status(w):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{w.port['ready']}/ready", timeout=5) as r:
                return r.status
        except urllib.error.HTTPError as e:
            return e.code
    _, b, _ = three
    with Waypost(block(line(NOWHERE, "startup_timeout 0s"), line(b, "startup_timeout 0s", "b.local"))) as w:
        wait_for(lambda: status(w) == 200)
    with Waypost(block(line(NOWHERE, "startup_timeout 0s"), line(NOWHERE, "startup_timeout 0s", "b.local"))) as w:
        assert status(w) == 503


def test_one_goes_away():
    with api(kube.service("shop", "web", ["10.1.0.1"])) as a, api(kube.service("shop", "web", ["10.2.0.1"])) as b:
        with Waypost(block(line(a, "merge"), line(b, "merge"), more="cache")) as w:
            assert got(w, f"web.shop.{Z}") == (0, ["10.1.0.1", "10.2.0.1"])
            a.stop()
            b.put(kube.service("shop", "late", ["10.2.0.2"]))
            wait_for(lambda: got(w, f"late.shop.{Z}") == (0, ["10.2.0.2"]))
            assert got(w, f"web.shop.{Z}") == (0, ["10.1.0.1", "10.2.0.1"]), "what it had stays"


@pytest.mark.timing
def test_a_start_waits_for_all_at_once():
    begun = time.monotonic()
    with Waypost(block(*[line(NOWHERE, "startup_timeout 1s", f"z{i}.local") for i in range(8)])) as w:
        assert time.monotonic() - begun < 5 and w.alive()


def test_status_has_each_of_them(three):
    from test_51_status import backend, status
    a, b, _ = three
    with Waypost(block(line(a, "fallthrough"), line(b))) as w:
        (row,) = backend(status(w), "kubernetai")
        assert [c["source"] for c in row["clusters"]] == [x.url.removeprefix("http://") for x in (a, b)] and {c["state"] for c in row["clusters"]} == {"in step"}


def test_reload_keeps_them(three):
    a, b, _ = three
    text = block(line(a, "fallthrough"), line(b))
    with Waypost(text) as w:
        asked = len(a.requests), len(b.requests)
        w.write(text.replace("errors", "errors\n log"))
        w.kill(signal.SIGUSR1)
        wait_for(lambda: "Reloading complete" in w.output())
        assert got(w, f"only-b.shop.{Z}") == (0, ["10.2.0.2"])
        assert (len(a.requests), len(b.requests)) == asked, "what has been listed is kept"


BAD = [
    ("unknown", "kubernetai cluster.local {\n what\n }", "unknown property 'what'"),
    ("argument", "kubernetai cluster.local {\n merge it\n }", "Wrong argument count or unexpected line ending after 'it'"),
    ("reverse", "kubernetai 10.0.0.0/8", "non-reverse zone name must be used"),
    ("second-line", "kubernetai cluster.local {\n endpoint http://127.0.0.1:1\n startup_timeout 0s\n }\n kubernetai b.local {\n ttl 4000\n }", "ttl must be in range [0, 3600]: 4000"),
    ("kubeconfig", "kubernetai cluster.local {\n kubeconfig {dir}/none\n }", "{dir}/none"),
]


@pytest.mark.parametrize("text, why", [pytest.param(*r[1:], id=r[0]) for r in BAD])
def test_refused(text, why):
    with Waypost(".:{dns} {\n " + text + "\n}\n", wait=False) as w:
        assert w.wait(20) == 1 and why.replace("{dir}", w.home.name) in w.output() and "plugin/kubernetai: " in w.output()
