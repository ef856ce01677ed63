"""etcd: lines of the failure table about members in trouble, names outside, and the end."""
import time

import etcd
import etcd_rows
import pytest
import wire
from server import Waypost, free_port, wait_for
from test_33_etcd_faults import GOOD, Watcher, a, always, ask, corefile, metric, synced

NOSPACE = 1


@pytest.fixture(scope="module")
def member():
    with etcd.Member() as m:
        yield m


def member_id(m):
    return etcd.parse(m.client.call("Maintenance/Status")[1][0])[2][0]


def alarm(m, which, on):
    m.client.call("Maintenance/Alarm", etcd.field(1, 1 if on else 2) + etcd.field(2, member_id(m)) + etcd.field(3, which))


@pytest.mark.parametrize("_", ["F07"])
def test_leader_changes(_):
    with etcd.Cluster() as cluster:
        cluster.members[0].client.put("/skydns/test/way/x", GOOD % 1)
        with synced(Waypost(corefile(cluster.urls))) as w:
            with Watcher(w, "x.way.test", always(("NOERROR", ["192.0.2.1"]))):
                for i in range(3):
                    leader = cluster.members[0].client.call("Maintenance/Status")[4][0]
                    at = next(m for m in cluster.members if member_id(m) == leader)
                    other = next(m for m in cluster.members if m is not at)
                    at.client.call("Maintenance/MoveLeader", etcd.field(1, member_id(other)))
                    other.client.put(f"/skydns/test/way/r{i}", GOOD % 7)
                    wait_for(lambda: a(w, f"r{i}.way.test") == ("NOERROR", ["192.0.2.7"]), 10)
            assert metric(w, "coredns_etcd_reloads_total") == 1


@pytest.mark.parametrize("_", ["F15"])
def test_one_key_becomes_malformed(member, _):
    c = member.client
    c.put("/skydns/test/way/f15/x", GOOD % 1)
    c.put("/skydns/test/way/beside", GOOD % 2)
    with synced(Waypost(corefile(member.url))) as w:
        for i in range(2):
            c.put("/skydns/test/way/f15/x", '{"host":')
            wait_for(lambda: a(w, "f15.way.test") == ("SERVFAIL", []), 5)
            assert a(w, "beside.way.test") == ("NOERROR", ["192.0.2.2"])
            assert metric(w, "coredns_etcd_malformed_keys") == 1
            assert w.output().count("malformed value of key /skydns/test/way/f15/x") == i + 1
            c.put("/skydns/test/way/f15/x", GOOD % 3)
            wait_for(lambda: a(w, "f15.way.test") == ("NOERROR", ["192.0.2.3"]), 5)
            assert metric(w, "coredns_etcd_malformed_keys") == 0


@pytest.mark.parametrize("_", ["F26"])
def test_learner_is_passed_over(_):
    with etcd.Member() as m:
        learner = etcd.Member("m2", args=["--initial-cluster-state", "existing"])
        try:
            m.client.put("/skydns/test/way/x", GOOD % 1)
            m.client.call("Cluster/MemberAdd", etcd.field(1, learner.peer_url) + etcd.field(2, True))
            learner.start(f"m1={m.peer_url},m2={learner.peer_url}", wait=False)

            def answers():
                try:
                    return learner.connect().call("Maintenance/Status").get(10) == [1]
                except etcd.Error:
                    return False
            wait_for(answers)
            for urls in (f"{learner.url} {m.url}", f"{m.url} {learner.url}"):
                with synced(Waypost(corefile(urls))) as w:
                    assert a(w, "x.way.test") == ("NOERROR", ["192.0.2.1"])
                    wait_for(lambda: metric(w, "coredns_etcd_synced") == 1)
        finally:
            learner.close()


@pytest.mark.parametrize("_", ["F27"])
def test_no_space(member, _):
    c = member.client
    c.put("/skydns/test/way/x", GOOD % 1)
    alarm(member, NOSPACE, True)
    try:
        with synced(Waypost(corefile(member.url))) as w:
            assert a(w, "x.way.test") == ("NOERROR", ["192.0.2.1"])
            with pytest.raises(etcd.Error, match="space"):
                c.put("/skydns/test/way/x", GOOD % 2)
            assert a(w, "x.way.test") == ("NOERROR", ["192.0.2.1"])
            alarm(member, NOSPACE, False)
            c.put("/skydns/test/way/x", GOOD % 3)
            wait_for(lambda: a(w, "x.way.test") == ("NOERROR", ["192.0.2.3"]), 5)
    finally:
        alarm(member, NOSPACE, False)


OUTSIDE = ".:{dns} {\n errors\n etcd za.test zb.test {\n endpoint %s\n }\n forward . 127.0.0.1:%d {\n max_fails 0\n }\n}\n"


@pytest.mark.parametrize("_", ["E206"])
def test_apex_while_etcd_fails(_):
    """The zone's own addresses come from the mirror as ever: nobody is asked, so nothing fails half-way."""
    with etcd.Member() as m, etcd_rows.resolver() as r:
        m.client.put("/skydns/test/za/x", GOOD % 70)
        m.client.put("/skydns/test/zb/dns/apex/a", GOOD % 71)
        with synced(Waypost(OUTSIDE % (m.url, r.port))) as w:
            m.kill()
            assert a(w, "za.test") == ("NOERROR", ["192.0.2.70"])
            assert a(w, "zb.test") == ("NOERROR", ["192.0.2.71"])


@pytest.mark.parametrize("_", ["F38"])
def test_upstream_of_aliases_is_down(member, _):
    c = member.client
    c.put("/skydns/test/za/f38/a", '{"host":"ext.partner.example"}')
    c.put("/skydns/test/za/f38/b", GOOD % 1)
    with synced(Waypost(OUTSIDE % (member.url, free_port()))) as w:
        rcode, data, _ = ask(w, "f38.za.test")
        assert rcode == "NOERROR" and "192.0.2.1" in data and set(data) <= {"192.0.2.1", "ext.partner.example."}


@pytest.mark.parametrize("_", ["F39"])
def test_circle_of_aliases_across_zones(member, _):
    c = member.client
    c.put("/skydns/test/za/f39/a", '{"host":"f39.zb.test"}')
    c.put("/skydns/test/za/f39/b", GOOD % 1)
    c.put("/skydns/test/zb/f39/a", '{"host":"f39.za.test"}')
    c.put("/skydns/test/zb/f39/b", GOOD % 2)
    with etcd_rows.resolver() as r, synced(Waypost(OUTSIDE % (member.url, r.port))) as w:
        t0 = time.monotonic()
        for name in ("f39.za.test", "f39.zb.test"):
            for _ in range(20):
                reply = wire.tcp(w.port["dns"], wire.query(name))
                m = etcd_rows.parse(reply)
                assert m.rcode() == 0 and len(reply) < 4096
                assert {"192.0.2.1", "192.0.2.2"} & {x.split(" ")[3] for x in etcd_rows.section(m.answer)}
        assert time.monotonic() - t0 < 5


@pytest.mark.parametrize("_", ["F42"])
def test_nothing_is_ever_written(member, _):
    c = member.client
    c.put("/skydns/test/way/x", GOOD % 1, c.grant(100))
    before = c.current_revision()
    leases = c.call("Lease/LeaseLeases").get(2)
    with synced(Waypost(corefile(member.url))) as w:
        assert a(w, "x.way.test")[0] == "NOERROR"
        wait_for(lambda: metric(w, "waypost_etcd_lease_requests_total", 0) > 0)
        t0 = time.monotonic()
        assert w.stop() == 0 and time.monotonic() - t0 < 5
    assert c.current_revision() == before and c.call("Lease/LeaseLeases").get(2) == leases
