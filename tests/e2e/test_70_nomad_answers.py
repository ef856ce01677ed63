"""nomad: the table of answers (R01-R68), negative answers in both styles."""
import socket
import threading
import time

import nomads
import pytest
import wire
from server import Waypost, wait_for

Z = ".service.nomad."
SOA_TAIL = "0 3600 600 86400 30"


@pytest.fixture(scope="module")
def region():
    with nomads.region() as n:
        yield n


@pytest.fixture(scope="module")
def servers(region):
    """Gateways by their options, each started when it is first needed."""
    kept = {}

    def get(options="", **args):
        key = (options, *sorted(args.items()))
        if key not in kept:
            w = kept[key] = nomads.gateway(region, options, **args)
            wait_for(lambda: nomads.answer(w, "solo.default", zone=args.get("ask", "service.nomad")).rcode != "SERVFAIL")
        return kept[key]
    yield get
    for w in kept.values():
        w.__exit__(None, None, None)


def a(name, *data, kind="A", ttl=30):
    return [f"{name}{Z} {ttl} {kind} {d}" for d in data]


def srv(name, *ports, target=None):
    return [f"{name}{Z} 30 SRV 10 10 {p} {target or name}{Z}" for p in ports]


def coredns_soa(name, ttl=30, zone="service.nomad."):
    return [f"{name}{Z} {ttl} SOA ns1.{name}{Z} hostmaster.{zone} {SOA_TAIL}"]


def zone_soa(ttl=30, zone="service.nomad."):
    return [f"{zone} {ttl} SOA ns1.{zone} hostmaster.{zone} {SOA_TAIL}"]


def check(w, name, qtype, rcode, answer, authority=(), additional=(), **args):
    got = nomads.answer(w, name, qtype, **args)
    assert (got.rcode, got.answer, got.authority, got.additional) == (rcode, list(answer), list(authority), list(additional))
    assert got.aa and not got.tc


# (id, name, type, answer, additional)
DATA = [
    ("R01", "solo.default", "A", a("solo.default", "10.1.0.3"), []),
    ("R02", "web.default", "A", a("web.default", "10.1.0.1", "10.1.0.2"), []),
    ("R03", "web.ops", "A", a("web.ops", "10.2.0.1"), []),
    ("R05", "six.default", "AAAA", a("six.default", "2001:db8::6", kind="AAAA"), []),
    ("R07", "dual.default", "A", a("dual.default", "10.1.0.4"), []),
    ("R08", "dual.default", "AAAA", a("dual.default", "2001:db8::4", kind="AAAA"), []),
    ("R09", "same.default", "A", a("same.default", "10.1.0.5", "10.1.0.5"), []),
    ("R10", "mapped.default", "A", a("mapped.default", "10.1.0.6"), []),
    ("R12", "solo.default", "SRV", srv("solo.default", 9000), a("solo.default", "10.1.0.3")),
    ("R13", "web.default", "SRV", srv("web.default", 8001, 8002), a("web.default", "10.1.0.1", "10.1.0.2")),
    ("R14", "dual.default", "SRV", srv("dual.default", 1, 2),
     a("dual.default", "10.1.0.4") + a("dual.default", "2001:db8::4", kind="AAAA")),
    ("R15", "same.default", "SRV", srv("same.default", 1, 2), a("same.default", "10.1.0.5", "10.1.0.5")),
    ("R16", "zero.default", "SRV", srv("zero.default", 0), a("zero.default", "10.1.0.10")),
    ("R17", "SOLO.Default", "A", a("SOLO.Default", "10.1.0.3"), []),
    ("R18", "SOLO.Default", "SRV", srv("SOLO.Default", 9000, target="solo.default"), a("solo.default", "10.1.0.3")),
    ("R30", "solo.default.extra", "A", a("solo.default.extra", "10.1.0.3"), []),
]


@pytest.mark.parametrize("row", DATA, ids=lambda r: f"{r[0]}-{r[1]}-{r[2]}")
@pytest.mark.parametrize("style", ["rfc2308", "coredns"])
def test_data(servers, row, style):
    _, name, qtype, answer, additional = row
    w = servers("" if style == "rfc2308" else "negative coredns")
    check(w, name, qtype, "NOERROR", answer, additional=additional)
    check(w, name, qtype, "NOERROR", answer, additional=additional, tcp=True)


# (id, name, type, rcode and SOA by CoreDNS's style, rcode by RFC 2308)
NEGATIVE = [
    ("R04", "solo.default", "AAAA", "NOERROR", False, "NOERROR"),
    ("R06", "six.default", "A", "NOERROR", False, "NOERROR"),
    ("R11", "mapped.default", "AAAA", "NOERROR", False, "NOERROR"),
    ("R19", "nope.default", "A", "NXDOMAIN", True, "NXDOMAIN"),
    ("R20", "nope.default", "AAAA", "NXDOMAIN", True, "NXDOMAIN"),
    ("R21", "nope.default", "SRV", "NXDOMAIN", True, "NXDOMAIN"),
    ("R22", "solo.ops", "A", "NXDOMAIN", True, "NXDOMAIN"),
    ("R23", "solo.missing-ns", "A", "NXDOMAIN", True, "NXDOMAIN"),
    ("R24", "solo.default", "TXT", "NXDOMAIN", True, "NOERROR"),
    ("R25", "solo.default", "MX", "NXDOMAIN", True, "NOERROR"),
    ("R25", "solo.default", "NS", "NXDOMAIN", True, "NOERROR"),
    ("R25", "solo.default", "CNAME", "NXDOMAIN", True, "NOERROR"),
    ("R25", "solo.default", "HTTPS", "NXDOMAIN", True, "NOERROR"),
    ("R26", "solo.default", "SOA", "NXDOMAIN", True, "NOERROR"),
    ("R27", "solo.default", "ANY", "NXDOMAIN", True, "NOERROR"),
    ("R28", "mixed.default", "A", "NXDOMAIN", True, "NXDOMAIN"),
    ("R29", "x.y.solo.default", "A", "NXDOMAIN", True, "NXDOMAIN"),
]


@pytest.mark.parametrize("row", NEGATIVE, ids=lambda r: f"{r[0]}-{r[1]}-{r[2]}-coredns")
def test_negative_as_coredns(servers, row):
    _, name, qtype, rcode, soa, _ = row
    check(servers("negative coredns"), name, qtype, rcode, coredns_soa(name) if soa else [])


@pytest.mark.parametrize("row", NEGATIVE, ids=lambda r: f"{r[0]}-{r[1]}-{r[2]}-rfc2308")
def test_negative_as_rfc2308(servers, row):
    _, name, qtype, _, _, rcode = row
    check(servers(), name, qtype, rcode, [], zone_soa())


def test_style_is_named(servers):
    check(servers("negative rfc2308"), "nope.default", "A", "NXDOMAIN", [], zone_soa())


@pytest.mark.parametrize("row", ["R31-solo.service.nomad", "R32-service.nomad"])
def test_too_short(servers, row):
    for style in ("", "negative coredns"):
        got = nomads.answer(servers(style), row[4:], zone="")
        assert (got.rcode, got.answer, got.authority) == ("SERVFAIL", [], [])


@pytest.mark.parametrize("row", ["R33-solo-hosts"])
def test_next_directive(region, row):
    """Too short for nomad: whoever stands beside it answers."""
    with nomads.gateway(region, zone=".", directive="service.nomad", more="hosts {\n 192.0.2.33 solo.service.nomad\n fallthrough\n }") as w:
        assert nomads.addresses(w, "solo") == ["192.0.2.33"]
        assert nomads.answer(w, "duo").rcode == "SERVFAIL"
        wait_for(lambda: "duo.service.nomad. says no service and namespace: the next directive is asked" in w.output())


@pytest.mark.parametrize("row", ["R34-host.default-A", "R35-host.default-SRV"])
def test_host_names(servers, row):
    qtype = row.rsplit("-", 1)[1]
    answer = a("host.default", "10.1.0.7") if qtype == "A" else srv("host.default", 1)
    more = a("host.default", "10.1.0.7") if qtype == "SRV" else []
    check(servers("negative coredns"), "host.default", qtype, "NXDOMAIN", answer + coredns_soa("host.default"), additional=more)
    check(servers(), "host.default", qtype, "NXDOMAIN", answer, zone_soa(), more)
    line = "db.corp.example, is no IP address"
    wait_for(lambda: line in servers().output())
    nomads.answer(servers(), "host.default")
    wait_for(lambda: servers().output().count(line) == 1)


@pytest.mark.parametrize("row", ["R36-0", "R37-3600", "R38-10"])
def test_ttl(servers, row):
    ttl = int(row[4:])
    check(servers(f"ttl {ttl}"), "solo.default", "A", "NOERROR", a("solo.default", "10.1.0.3", ttl=ttl))
    check(servers(f"ttl {ttl}"), "nope.default", "A", "NXDOMAIN", [], zone_soa(ttl))
    if ttl == 10:
        check(servers("ttl 10\nnegative coredns"), "nope.default", "A", "NXDOMAIN", coredns_soa("nope.default", 10))


@pytest.mark.parametrize("row", ["R43-not contains blue", "R44-contains red"])
def test_filter(servers, row):
    w = servers('filter "Tags %s"' % row[4:])
    wait_for(lambda: nomads.answer(w, "tagged.default").rcode == ("NOERROR" if row[:3] == "R43" else "NXDOMAIN"))
    if row[:3] == "R43":
        check(w, "tagged.default", "A", "NOERROR", a("tagged.default", "10.1.0.9"))
    else:
        check(w, "tagged.default", "A", "NXDOMAIN", [], zone_soa())


@pytest.mark.parametrize("row", ["R45-request"])
def test_request(row):
    with nomads.region() as n, nomads.gateway(n, 'filter "Tags not contains blue"\ntoken s3cret', env={"NOMAD_REGION": "global"}) as w:
        nomads.wait_answers(w, "tagged.default", ["10.1.0.9"])
        asked = [r for r in n.asked("service") if r.path.endswith("/tagged")][-1]
        assert asked.query["namespace"] == "default" and asked.query["filter"] == "Tags not contains blue"
        assert asked.query["region"] == "global" and asked.token == "s3cret"


@pytest.mark.parametrize("row", ["R46-svc.corp"])
def test_other_zone(region, row):
    for how in (dict(directive="svc.corp"), dict(options="zone svc.corp")):
        with nomads.gateway(region, zone="svc.corp", **how) as w:
            nomads.wait_answers(w, "solo.default", ["10.1.0.3"], zone="svc.corp")
            assert nomads.answer(w, "nope.default", zone="svc.corp").authority == zone_soa(zone="svc.corp.")


# --- the short form ------------------------------------------------------------------------------

REDIS = [f"redis.default.nomad. 10 A 192.168.29.76"] * 3
REDIS_SRV = [f"redis.default.nomad. 10 SRV 10 10 {p} redis.default.nomad." for p in (25395, 20888, 26292)]
# (id, name, type, over TCP, rcode, answer, additional)
LESSON = [
    ("R47", "redis.default.nomad", "A", False, "NOERROR", REDIS, []),
    ("R48", "redis.default.nomad", "SRV", False, "NOERROR", REDIS_SRV, REDIS),
    ("R49", "redis.default.nomad", "A", True, "NOERROR", REDIS, []),
    ("R49", "redis.default.nomad", "SRV", True, "NOERROR", REDIS_SRV, REDIS),
    ("R50", "redis.default.service.nomad", "A", False, "NOERROR", a("redis.default", *["192.168.29.76"] * 3, ttl=10), []),
    ("R51", "redis.nomad", "A", False, "SERVFAIL", [], []),
    ("R51", "x.redis.default.nomad", "A", False, "SERVFAIL", [], []),
]


@pytest.mark.parametrize("row", LESSON, ids=lambda r: f"{r[0]}-{r[1]}-{r[2]}-{'tcp' if r[3] else 'udp'}")
def test_short_form(servers, row):
    _, name, qtype, tcp, rcode, answer, additional = row
    got = nomads.answer(servers("ttl 10", zone="nomad"), name, qtype, "", tcp)
    assert (got.rcode, got.answer, got.additional) == (rcode, answer, additional)


def test_short_form_of_a_namespace_like_the_zone(servers, region):
    """a.service.nomad is too short for service.nomad: service a, namespace service."""
    region.register("a", "service", "10.4.0.1", 1)
    w = servers("ttl 10", zone="nomad")
    nomads.wait_answers(w, "a", ["10.4.0.1"])
    assert nomads.answer(w, "b").authority == zone_soa(10, "nomad.")
    region.deregister("a", "service")


@pytest.mark.parametrize("row", ["R52-www.corp.example.com"])
def test_foreign_names(servers, row):
    w = servers(zone=".")
    assert nomads.answer(w, "www.corp.example.com", zone="").rcode == "SERVFAIL"
    assert nomads.addresses(w, "redis.default.nomad", zone="") == ["192.168.29.76"] * 3


@pytest.mark.parametrize("row", ["R53-before-forward"])
def test_before_forward(region, row):
    with Waypost(".:{xup} {\n hosts {\n 192.0.2.53 solo.default.service.nomad www.example.com\n }\n}\n", wait=False) as up:
        with nomads.gateway(region, zone=".", directive="service.nomad", more="forward . 127.0.0.1:%d" % up.port["xup"]) as w:
            nomads.wait_answers(w, "solo.default", ["10.1.0.3"])
            wait_for(lambda: nomads.addresses(w, "www.example.com", zone="") == ["192.0.2.53"])


# --- agents that are away, or know little ---------------------------------------------------------

@pytest.mark.parametrize("row", ["R54-first-is-dead"])
def test_first_is_dead(row):
    with nomads.region(agents=2) as n:
        n.agents[0].stop()
        with nomads.gateway(n) as w:
            nomads.wait_answers(w, "solo.default", ["10.1.0.3"])


@pytest.mark.parametrize("row", ["R55-service-only"])
def test_service_only(row):
    with nomads.lesson() as n, nomads.gateway(n, zone="nomad") as w:
        nomads.wait_answers(w, "example.default.nomad", ["1.2.3.4"], zone="")
        nomads.wait_answers(w, "fakeipv6.default.nomad", ["2001:db8::1"], "AAAA", zone="")
        nomads.wait_answers(w, "multi.default.nomad", ["1.2.3.4", "1.2.3.5", "1.2.3.6"], zone="")
        assert nomads.answer(w, "nonexistent.default.nomad", zone="").rcode == "NXDOMAIN"


@pytest.mark.parametrize("row", ["R56-never-loaded"])
def test_never_loaded(row):
    """One SERVFAIL, and that it is not kept."""
    with nomads.region() as n:
        n.agents[0].stop()
        with nomads.gateway(n, more="cache 30") as w:
            for _ in range(2):
                got = nomads.answer(w, "solo.default")
                assert (got.rcode, got.answer, got.authority, got.ede) == ("SERVFAIL", [], [], 14)
            n.agents[0].start()
            nomads.wait_answers(w, "solo.default", ["10.1.0.3"])


@pytest.mark.parametrize("row", ["R57-dead-after-load"])
def test_dead_after_load(row):
    with nomads.region() as n, nomads.gateway(n) as w:
        nomads.wait_answers(w, "solo.default", ["10.1.0.3"])
        n.agents[0].stop()
        wait_for(lambda: "nomad" in w.output() and nomads.addresses(w, "solo.default") == ["10.1.0.3"])
        check(w, "solo.default", "SRV", "NOERROR", srv("solo.default", 9000), additional=a("solo.default", "10.1.0.3"))


@pytest.mark.parametrize("row", ["R58-late", "R59-gone"])
def test_changes(row):
    """Behind a cache that would keep both for longer."""
    with nomads.region() as n, nomads.gateway(n, more="cache 30") as w:
        nomads.wait_answers(w, "solo.default", ["10.1.0.3"])
        assert nomads.answer(w, "late.default").rcode == "NXDOMAIN"
        if row == "R58-late":
            n.register("late", address="10.1.0.99", port=1)
            nomads.wait_answers(w, "late.default", ["10.1.0.99"], seconds=10)
        else:
            n.deregister("solo")
            wait_for(lambda: nomads.answer(w, "solo.default").rcode == "NXDOMAIN", 10)
        hits = nomads.metric(w, 'coredns_cache_hits_total{server="dns://:%d",type="success",view="",zones="service.nomad."}' % w.port["dns"])
        assert nomads.addresses(w, "web.default") == nomads.addresses(w, "web.default") == ["10.1.0.1", "10.1.0.2"]
        assert nomads.metric(w, 'coredns_cache_hits_total{server="dns://:%d",type="success",view="",zones="service.nomad."}'
                             % w.port["dns"]) > hits


@pytest.mark.parametrize("row", ["R60-limited-token"])
def test_limited_token(row):
    with nomads.region(acl=True) as n:
        n.token("mine", "default")
        with nomads.gateway(n, "token mine") as w:
            nomads.wait_answers(w, "solo.default", ["10.1.0.3"])
            assert nomads.answer(w, "web.ops").rcode == "SERVFAIL"


@pytest.mark.parametrize("row", ["R61-workload"])
def test_workload_identity(row):
    with nomads.region(acl=True) as n:
        n.token("mine", workload=True)
        with nomads.gateway(n, "token mine") as w:
            nomads.wait_answers(w, "solo.default", ["10.1.0.3"])
            nomads.wait_answers(w, "web.default", ["10.1.0.1", "10.1.0.2"])
            nomads.wait_answers(w, "web.ops", ["10.2.0.1"])


def test_workload_identity_hears_of_changes():
    """Names that may not be listed are as fresh as others once the namespace is waited for, those that were denied before, too."""
    with nomads.region(acl=True) as n:
        n.token("mine", workload=True)
        with nomads.gateway(n, "token mine\nttl 300", more="cache 300") as w:
            nomads.wait_answers(w, "solo.default", ["10.1.0.3"])
            assert nomads.answer(w, "late.default").rcode == "NXDOMAIN"
            wait_for(lambda: any(r.query.get("namespace") == "default" for r in n.asked("services", blocking=True)))
            for i in range(3):
                n.register("late", address=f"10.9.0.{i}", port=80, id="it")
                nomads.wait_answers(w, "late.default", [f"10.9.0.{i}"], seconds=5)
            n.deregister("late")
            wait_for(lambda: nomads.answer(w, "late.default").rcode == "NXDOMAIN", 5)
            assert len(n.asked("service")) < 20


@pytest.mark.parametrize("row", ["R62-gzip"])
def test_gzip(row):
    with nomads.region() as n:
        n.register_all([dict(name="wide", address=f"10.9.0.{i}", port=i) for i in range(1, 31)])
        with nomads.gateway(n) as w:
            nomads.wait_answers(w, "wide.default", [f"10.9.0.{i}" for i in range(1, 31)], tcp=True)


@pytest.mark.parametrize("row", ["R63-null"])
def test_null(row):
    with nomads.lesson() as n:
        n.agents[0].fault(nomads.faults.null(), "service", None)
        with nomads.gateway(n) as w:
            wait_for(lambda: nomads.answer(w, "solo.default").rcode == "NXDOMAIN")
            check(w, "solo.default", "A", "NXDOMAIN", [], zone_soa())


@pytest.mark.parametrize("row", ["R64-unix"])
def test_unix_socket(row, tmp_path):
    path = str(tmp_path / "api.sock")
    with nomads.region(unix=path) as n, nomads.gateway(n, "token any", address=f"address unix://{path}") as w:
        nomads.wait_answers(w, "solo.default", ["10.1.0.3"])


@pytest.mark.parametrize("row", ["R65-do-and-class"])
def test_dnssec_ok_and_class(servers, row):
    port = servers().port["dns"]
    plain = wire.parse(wire.udp(port, wire.query("solo.default.service.nomad")))
    got = wire.parse(wire.udp(port, wire.query("solo.default.service.nomad", extra=wire.opt(do=True))))
    assert got.answer == plain.answer and got.edns == 0 and plain.edns == -1
    assert wire.rcode(wire.udp(port, wire.query("solo.default.service.nomad", qclass=3))) == 5


@pytest.mark.parametrize("row", ["R66-metrics"])
def test_metrics(row):
    with nomads.region() as n, nomads.gateway(n) as w:
        server = "dns://:%d" % w.port["dns"]

        def count(kind, namespace):
            return nomads.metric(w, f'coredns_nomad_{kind}_requests_total{{namespace="{namespace}",server="{server}"}}')
        wait_for(lambda: nomads.answer(w, "web.ops").rcode == "NOERROR")
        nomads.answer(w, "solo.default")
        nomads.answer(w, "nope.default")
        wait_for(lambda: count("success", "default") == 1 and count("failed", "default") == 1)
        for i in range(3):
            nomads.answer(w, f"solo.made-up-{i}")
        wait_for(lambda: count("failed", "other") == 3)
        assert count("failed", "made-up-0") == 0 and count("failed", "default") == 1


@pytest.mark.parametrize("row", ["R67-escaped"])
def test_escaped(row):
    """Names that are no names of services are asked for as they are, in one segment of the path."""
    with nomads.lesson() as n, nomads.gateway(n) as w:
        wait_for(lambda: nomads.answer(w, "example.default").rcode == "NOERROR")
        for label, path in (("a b", "a%20b"), ("a%b", "a%25b"), ("a?b", "a%3Fb"), ('a"b', "a%22b"), ("a\\b", "a%5Cb")):
            assert nomads.answer(w, label + ".default").rcode == "NXDOMAIN"
            assert n.asked("service")[-1].raw.partition("?")[0] == f"/v1/service/{path}"
        before = len(n.requests)
        assert nomads.answer(w, "a/b.default").rcode == "NXDOMAIN"  # Nomad would read another path: no service has such a name
        assert len(n.requests) == before


@pytest.mark.parametrize("row", ["R68-shared-request"])
def test_shared_request(row):
    with nomads.lesson() as n, nomads.gateway(n) as w:
        wait_for(lambda: nomads.answer(w, "example.default").rcode == "NOERROR")
        n.agents[0].fault(nomads.faults.delay(0.3), "service", None, lambda r: r.path.endswith("/multi"))
        got = []
        threads = [threading.Thread(target=lambda: got.append(nomads.addresses(w, "multi.default"))) for _ in range(8)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        assert got == [["1.2.3.4", "1.2.3.5", "1.2.3.6"]] * 8
        assert len([r for r in n.asked("service", blocking=False) if r.path.endswith("/multi")]) == 1


# --- large answers --------------------------------------------------------------------------------

def test_many_instances():
    """Cut over UDP, whole over TCP as far as a message goes."""
    with nomads.region() as n:
        n.load(1, 3000, "big")
        with nomads.gateway(n) as w:
            wait_for(lambda: nomads.answer(w, "svc-0.big", tcp=True).rcode == "NOERROR")
            over_udp, over_tcp = nomads.answer(w, "svc-0.big"), nomads.answer(w, "svc-0.big", tcp=True)
            assert over_udp.tc and 0 < len(over_udp.answer) < 100
            assert not over_tcp.tc and len(over_tcp.answer) == 3000
            got = nomads.answer(w, "svc-0.big", "SRV", tcp=True)
            assert got.tc and len(got.answer) > 1000 and not got.additional


# --- who does not want to wait ---------------------------------------------------------------------

@pytest.mark.timing
def test_deadline():
    """`cancel` ends the waiting before the request's own two seconds do."""
    with nomads.lesson() as n, nomads.gateway(n, more="cancel 100ms") as w:
        wait_for(lambda: nomads.answer(w, "example.default").rcode == "NOERROR")
        n.agents[0].hang()
        begun = time.monotonic()
        got = nomads.answer(w, "multi.default")
        assert got.rcode == "SERVFAIL" and time.monotonic() - begun < 1.5
        n.agents[0].heal()
        nomads.wait_answers(w, "multi.default", ["1.2.3.4", "1.2.3.5", "1.2.3.6"])


def test_client_that_leaves():
    """Its connection ends while its questions wait; others' go on."""
    with nomads.lesson() as n, nomads.gateway(n) as w:
        wait_for(lambda: nomads.answer(w, "example.default").rcode == "NOERROR")
        n.agents[0].fault(nomads.faults.delay(0.5), "service", None, lambda r: r.path.endswith("/multi"))
        with socket.create_connection(("127.0.0.1", w.port["dns"])) as s:
            for i in range(5):
                s.sendall(wire.framed(wire.query("multi.default.service.nomad", qid=i)))
            wait_for(lambda: any(r.path.endswith("/multi") for r in n.asked("service")))
        nomads.wait_answers(w, "multi.default", ["1.2.3.4", "1.2.3.5", "1.2.3.6"])
