"""nomad: what may go wrong (rows M01-M25): no wrong answer, no lost question. All drills at once: most of it is waiting."""
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import nomads
import pki
import pytest
import wire
from nomad_drill import WEB, Drill
from nomads import Nomad, faults
from server import wait_for


def stranger():
    return pki.cert("stranger.test", issuer="stranger-ca", san="DNS:nomad.test,IP:127.0.0.1")


def one_message(w, name):
    """The only reply to a question, and how long it took."""
    began = time.monotonic()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(20)
        s.sendto(wire.query(name + ".service.nomad", qid=77, extra=wire.opt()), ("127.0.0.1", w.port["dns"]))
        reply = nomads.read(s.recv(65535))
        took = time.monotonic() - began
        s.settimeout(0.3)
        with pytest.raises(socket.timeout):
            s.recv(65535)
    return reply, took


# --- agents ----------------------------------------------------------------------------------------


def down_at_start(_):
    region = nomads.region()
    region.agents[0].stop()
    with Drill(known=False, region=region) as d:
        reply, took = one_message(d.w, "web.default")
        assert reply.rcode == "SERVFAIL" and not reply.answer and took < 5, (reply, took)
        wait_for(lambda: one_message(d.w, "web.default")[1] < 0.5, 30)  # it is known by now: at once
        assert d.metric("coredns_nomad_synced") == 0
        d.wait_said("WARNING", "nomad")
        region.agents[0].start()
        wait_for(lambda: d.addresses() == WEB, 60)
        wait_for(lambda: d.metric("coredns_nomad_synced") == 1, 60)
        assert d.metric("coredns_nomad_reloads_total") >= 1
        d.is_well()


def only_one_dies(_):
    with Drill() as d:
        with d.watch():
            d.region.agents[0].stop()
            d.becomes_stale()
            d.wait_said("WARNING", "nomad")
            absent = d.ask("nope.default")
            assert absent.rcode == "NXDOMAIN"
            d.region.agents[0].start()
            d.is_well()


def one_of_three_dies(_):
    with Drill(agents=3) as d:
        used = next(i for i in range(3) if d.region.asked("services", agent=i))
        with d.watch():
            d.region.agents[used].stop()
            took = d.seen()
            assert took < 20, took
        assert [i for i in range(3) if i != used and d.region.asked("services", agent=i)]
        names = [f"127.0.0.1:{a.port}" for a in d.region.agents]
        assert sum(1 for n in names if d.metric("coredns_nomad_api_requests_total", address=n)) >= 2


def hung(_):
    with Drill(agents=2) as d:
        used = next(i for i in range(2) if d.region.asked("services", agent=i))
        with d.watch():
            d.region.agents[used].hang()
            d.seen()
        assert d.metric("coredns_nomad_api_requests_total", code="timeout") >= 1
        d.wait_said("WARNING", "nomad")


def no_leader(_):
    """Requests are held for as long as real agents hold them, and then refused."""
    with Drill(agents=2) as d:
        with d.watch():
            for a in d.region.agents:
                a.set(hold_s=5.1, leader=False)
            d.region.wake()
            d.wait_said("No cluster leader")
            d.seen()  # other servers have it, and may be asked
            assert any("stale" in r.query for r in d.region.requests)
            for a in d.region.agents:
                a.heal()
            d.region.wake()
            d.is_well()
            d.region.forget()
            d.seen()
            assert not any("stale" in r.query and r.route == "service" for r in d.region.requests)


def too_many(_):
    with Drill() as d:
        agent = d.region.agents[0]
        with d.watch():
            agent.fault(faults.too_many(), times=None)
            d.region.register("first", "default", "10.9.9.1", 80)  # something to ask for
            d.wait_said("429")
            assert d.requests(4) <= 20  # waits between
            assert d.metric("coredns_nomad_api_requests_total", code="429") >= 1
            agent.heal()
            d.is_well()


def tls_of_one_fails(_):
    """The first agent shows a certificate of a CA that nobody knows."""
    with Nomad(tls=stranger()) as bad:
        region = nomads.region(tls=pki.cert("nomad.test"))
        address = f"address {bad.url} {region.url}"
        with Drill(f"tls {pki.ca()}\ntls_servername nomad.test", region=region, gateway={"address": address}) as d:
            assert not bad.requests and d.metric("coredns_nomad_api_requests_total", code="tls") >= 1
            d.wait_said("certificate")
            with d.watch():
                d.seen()


def socket_goes(folder):
    path = str(folder / "api.sock")
    region = nomads.region(unix=path)
    region.token("secret", management=True)
    with Drill("token secret", region=region, gateway={"address": f"address unix://{path}"}) as d:
        with d.watch():
            region.agents[0].stop()
            d.wait_said("WARNING", "api.sock")
            region.agents[0].start()
            d.is_well()
        assert all(r.headers["x-nomad-token"] == "secret" for r in region.requests)


# --- rights ----------------------------------------------------------------------------------------


def denied_from_the_start(folder):
    token = folder / "token"
    token.write_text("wrong")
    region = nomads.region(acl=True)
    with Drill(f"token_file {token}", known=False, region=region) as d:
        wait_for(lambda: (d.ask().rcode, d.ask("nope.default").rcode) == ("SERVFAIL", "SERVFAIL"))
        d.wait_said("ERROR", "read-job")
        assert d.metric("coredns_nomad_api_requests_total", code="403") >= 1
        region.token("right", "default")
        token.write_text("right\n")
        wait_for(lambda: d.addresses() == WEB, 90)
        assert d.ask("web.ops").rcode == "SERVFAIL" and d.ask("nope.default").rcode == "NXDOMAIN"


def token_revoked(_):
    region = nomads.region(acl=True)
    region.token("secret", "default", "ops")
    with Drill("token secret", region=region) as d:
        with d.watch():
            region.revoke("secret")
            region.wake()
            d.wait_said("ERROR", "403")
            assert d.requests(5, route="services") <= 3
            assert d.metric("coredns_nomad_api_requests_total", code="403") >= 1
            region.token("secret", "default", "ops")
            d.is_well()


def workload(_):
    """It may read everything and list nothing."""
    region = nomads.region(acl=True)
    region.token("identity", workload=True)
    with Drill("token identity", known=False, region=region) as d:
        nomads.wait_answers(d.w, "web.default", WEB)
        assert d.addresses("solo.default") == ["10.1.0.3"] and d.addresses("web.ops") == ["10.2.0.1"]
        assert d.ask("nope.default").rcode == "NXDOMAIN"
        before = len([r for r in region.asked("service") if r.path.endswith("/nope")])
        assert before <= 1
        for _ in range(50):
            assert d.ask("nope.default").rcode == "NXDOMAIN"
        assert len([r for r in region.asked("service") if r.path.endswith("/nope")]) <= before + 2
        assert len([line for line in d.w.output().splitlines() if "no namespace is listed" in line]) == 1
        with d.watch():
            region.register("nope", "default", "10.9.0.200", 1)
            wait_for(lambda: d.addresses("nope.default") == ["10.9.0.200"], 40)


def filter_refused(_):
    with Drill('filter "Tags contains"', known=False) as d:
        wait_for(lambda: d.ask().rcode == "SERVFAIL")
        d.wait_said("ERROR", "failed to read filter expression")
        assert d.metric("coredns_nomad_api_requests_total", code="400") >= 1
        assert d.ask().rcode == "SERVFAIL"


def filter_refused_later(_):
    """As after an upgrade of the servers: what is known goes on."""
    with Drill('filter "Port != 77"') as d:
        with d.watch():
            d.region.agents[0].fault(faults.status(400, "failed to read result page: on demand"), "service", times=None)
            d.region.register("later", "default", "10.9.9.2", 80)
            d.wait_said("ERROR", "on demand")
            d.region.agents[0].heal()
            d.is_well()


# --- answers of the agents -------------------------------------------------------------------------


NONSENSE = {
    "torn": faults.torn(40), "cut": faults.json('[{"Namespace":"default","Services":[{"ServiceName":"we'), "no JSON": faults.json("no"),
    "object": faults.json('{"Namespace":"default"}'), "wrong types": faults.json('[{"ID":7,"Address":[],"Port":"x","ServiceName":{}}]'),
    "two lists": faults.json("[][]"), "empty": faults.json(b""), "bad gzip": faults.body(b"\x1f\x8b\x08\x00 no", headers=[("content-encoding", "gzip")]),
}


def nonsense(_):
    """In place of the list, and of a service that has changed."""
    with Drill() as d:
        agent = d.region.agents[0]
        with d.watch(), d.watch("solo.default", ("NOERROR", ["10.1.0.3"])):
            for name, what in NONSENSE.items():
                agent.fault(what, "services", times=1)
                agent.fault(what, "service", times=2)
                d.seen()
        d.wait_said("ERROR", "nomad")


def proxy_pages(_):
    with Drill() as d:
        agent = d.region.agents[0]
        with d.watch():
            for what in (faults.html(), faults.html(502), faults.redirect("http://192.0.2.1/login"), faults.status(503, "busy")):
                agent.fault(what, times=3)
                d.region.wake()
                d.seen()
            d.wait_said("ERROR", "nomad")
            assert not [r for r in d.region.requests if "login" in r.path]


def compressed(_):
    for wanted in (True, False):
        region = nomads.region()
        region.agents[0].set(gzip=wanted)
        with Drill(region=region) as d:
            d.seen()
            assert all("gzip" in r.headers["accept-encoding"] for r in region.asked("service"))


def index_back(_):
    """Restored from a snapshot: the indexes are smaller and some services are others."""
    with Drill() as d:
        kept = d.region.snapshot()
        d.seen("gone")
        d.region.deregister("solo")
        wait_for(lambda: d.ask("solo.default").rcode == "NXDOMAIN")
        with d.watch():
            d.region.restore(kept)
            d.region.agents[0].cut()
            wait_for(lambda: d.addresses("solo.default") == ["10.1.0.3"], 60)
            wait_for(lambda: d.ask("gone.default").rcode == "NXDOMAIN", 60)
            wait_for(lambda: d.metric("coredns_nomad_reloads_total", reason="index_back") == 1)
            d.wait_said("WARNING", "nomad")


def restored_empty(_):
    with Drill() as d:
        with d.watch():
            d.region.wipe()
            d.wait_said("ERROR", "300")
            assert d.metric("coredns_nomad_held") == 1
            assert d.addresses("solo.default") == ["10.1.0.3"]
        nomads.fill(d.region)  # the data comes back: nothing is held
        wait_for(lambda: d.metric("coredns_nomad_held") == 0, 60)
        d.is_well()


# --- changes ---------------------------------------------------------------------------------------


def last_one_goes(_):
    with Drill() as d:
        before = d.metric("coredns_nomad_registrations")
        with d.watch():
            d.region.deregister("solo")
            began = time.monotonic()
            wait_for(lambda: d.ask("solo.default").rcode == "NXDOMAIN", 10, step=0.01)
            print("gone after", time.monotonic() - began)
            wait_for(lambda: d.metric("coredns_nomad_registrations") == before - 1)


def node_lost(_):
    """Gone without an event that says so: of another type, or none at all."""
    with Drill() as d:
        with d.watch("six.default", ("NOERROR", [])):
            for name, event in (("solo", "NodeDeregistration"), ("zero", None), ("redis", "AllocationUpdated")):
                d.region.deregister(name, event=event)
                wait_for(lambda: d.ask(name + ".default").rcode == "NXDOMAIN", 10, step=0.01)
            one = d.region.instances("web")[0]["ID"]
            d.region.deregister(id=one, event=None)
            wait_for(lambda: d.addresses() == WEB[1:], 10)


def stream_gap(_):
    """More happens than the stream's buffer holds while nobody reads it; and a stream that says nothing at all."""
    with Drill() as d:
        agent = d.region.agents[0]
        agent.fault(faults.close(), "events", times=2)
        with d.watch():
            agent.cut()
            d.region.register("early", "default", "10.9.9.3", 80)
            d.region.busy(300)
            wait_for(lambda: d.addresses("early.default") == ["10.9.9.3"], 60)
            agent.fault(faults.silent(), "events", times=None)
            agent.cut()
            d.seen()
            d.region.deregister("early", event=None)
            wait_for(lambda: d.ask("early.default").rcode == "NXDOMAIN", 60)


def host_name(_):
    with Drill("negative coredns") as d:
        for _ in range(5):
            reply = d.ask("host.default")
            assert reply.rcode == "NXDOMAIN" and [r.split()[2] for r in reply.answer] == ["A", "SOA"]
        wait_for(lambda: "db.corp.example" in d.w.output())
        wait_for(lambda: d.w.output().count("db.corp.example") == 1)
    with Drill("hostnames skip") as d:
        assert d.addresses("host.default") == ["10.1.0.7"] and d.ask("host.default").rcode == "NOERROR"


def many_instances(_):
    with Drill() as d:
        for count, name in ((4000, "large"), (10000, "huge")):
            d.region.register_all([dict(name=name, address=f"10.{20 + i // 65536}.{i // 256 % 256}.{i % 256}", port=1) for i in range(count)])
            wait_for(lambda: d.ask(name + ".default", tcp=True).answer, 60)
            assert d.ask(name + ".default").tc and d.ask(name + ".default").rcode == "NOERROR"
        whole = d.ask("large.default", tcp=True)
        assert len(whole.answer) == 4000 and not whole.tc
        more = d.ask("huge.default", tcp=True)  # no message holds 10,000 addresses: 65,535 octets, 16 for each
        assert more.rcode == "NOERROR" and more.tc


def churn(_):
    """2,000 services change every second."""
    region = nomads.region()
    region.load(2000, 1)
    with Drill(region=region) as d:
        with d.watch(), d.watch("svc-77.default", ("NOERROR", ["10.0.0.77"])):
            region.forget()
            began = time.monotonic()
            for turn in range(4):
                region.register_all([dict(name=f"churn-{i}", address=f"10.{30 + turn}.{i // 256}.{i % 256}", port=1, id=f"c{i}") for i in range(2000)])
                time.sleep(max(0.0, began + turn + 1 - time.monotonic()))
            wait_for(lambda: d.addresses("churn-1999.default") == ["10.33.7.207"], 60)
            wait_for(lambda: d.metric("coredns_nomad_synced") == 1, 60)
            took = time.monotonic() - began
            assert len(region.asked("services")) <= took + 3
            assert region.agents[0].most <= 16


def loaded_again(_):
    with Drill("ttl 30") as d:
        def ttl():
            return int(d.ask().answer[0].split()[1])
        with d.watch():
            d.region.forget()
            conf = open(d.w.conf, encoding="utf-8").read()
            d.w.write(conf.replace("ttl 30", "ttl 20"))
            d.w.kill(signal.SIGUSR1)
            wait_for(lambda: ttl() == 20)
            d.seen()
            assert not [r for r in d.region.asked("services") if not r.blocking]  # nothing was begun anew
            assert d.metric("coredns_nomad_reloads_total", reason="config") == 1 and d.said("INFO", "followed on")
            d.region.forget()
            d.w.write(conf.replace("ttl 30", 'ttl 8\nfilter "Port != 77"'))  # another source: read before it is used
            d.w.kill(signal.SIGUSR1)
            wait_for(lambda: ttl() == 8)
            d.seen()
            assert [r for r in d.region.asked("service") if "filter" in r.query]


DRILLS = {
    "M01": down_at_start, "M02": down_at_start, "M03": only_one_dies, "M04": one_of_three_dies, "M05": hung, "M06": no_leader,
    "M07": denied_from_the_start, "M08": token_revoked, "M09": workload, "M10": filter_refused, "M10-later": filter_refused_later,
    "M11": too_many, "M12": nonsense, "M13": compressed, "M14": index_back, "M15": restored_empty, "M16": last_one_goes, "M17": node_lost,
    "M18": stream_gap, "M19": host_name, "M20": many_instances, "M21": churn, "M22": tls_of_one_fails, "M23": socket_goes,
    "M24": proxy_pages, "M25": loaded_again,
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    pki.ca()
    pki.cert("nomad.test")
    stranger()
    with ThreadPoolExecutor(8) as pool:
        yield {f: pool.submit(f, tmp_path_factory.mktemp("drill")) for f in set(DRILLS.values())}


@pytest.mark.parametrize("row", DRILLS)
def test_fault(results, row):
    results[DRILLS[row]].result()
