"""waypost list, deregister, etcd bad: what operators do in etcd."""
import json
import os
import subprocess
import sys
import time

import etcd
import pytest
from registrar import QUICK, Registrar, keys, lease_of, run
from server import TOP, WAYPOST, wait_for

sys.path.insert(0, os.path.join(TOP, "tests/fake"))
from proxy import Proxy  # noqa: E402


@pytest.fixture(scope="module")
def store():
    with etcd.Member(args=QUICK) as m:
        yield m


def test_list(store):
    c = store.client
    lease = c.grant(100)
    c.put("/skydns/test/list/web/1", '{"host":"192.0.2.1","port":8080,"priority":3,"text":"x","ttl":9}', lease)
    revision = c.put("/skydns/test/list/db", '{"host":"db.example.","weight":4}')
    code, out, err = run(store, "list", "list.test")
    assert code == 0 and err == ""
    rows = [line.split() for line in out.splitlines()]
    assert rows[0] == ["NAME", "ADDRESS", "PORT", "LEASE", "KEY", "REVISION"]
    assert rows[1] == ["db.list.test.", "db.example.", "0", "-", "/skydns/test/list/db", str(revision)]
    assert rows[2][:3] == ["1.web.list.test.", "192.0.2.1", "8080"] and 90 < int(rows[2][3].rstrip("s")) <= 100
    code, out, err = run(store, "list", "--zone", "list.test", "--json")
    db, web = json.loads(out)
    assert code == 0 and db == {"name": "db.list.test.", "host": "db.example.", "weight": 4, "key": "/skydns/test/list/db",
                                "revision": revision}
    assert web["lease"] == f"{lease:x}" and web["lease_remaining_s"] > 90 and web["port"] == 8080
    assert run(store, "list", "empty.test") == (0, "", "")
    assert run(store, "list", "empty.test", "--json") == (0, "[\n]\n", "")


def test_list_is_read_in_pages(store):
    store.client.load((f"/pages/x/{i:04}", '{"host":"192.0.2.1"}') for i in range(2500))
    code, out, err = run(store, "list", "--path", "/pages", "--json")
    assert code == 0 and len(json.loads(out)) == 2500
    store.client.delete_prefix("/pages/")


def leased_services(store, prefix, n):
    """As so many registrars: a lease for each key."""
    client = store.client
    grant = client.channel.unary_unary("/etcdserverpb.Lease/LeaseGrant", request_serializer=None, response_deserializer=None)
    leases = [etcd.parse(f.result())[2][0] for f in [grant.future(etcd.field(1, 1000)) for _ in range(n)]]
    put = client.channel.unary_unary("/etcdserverpb.KV/Txn", request_serializer=None, response_deserializer=None)
    for at in range(0, n, 100):
        put(b"".join(etcd.field(2, etcd.field(2, etcd.put_request(f"{prefix}/{i}", '{"host":"192.0.2.1"}', lease)))
                     for i, lease in enumerate(leases[at:at + 100], at)))
    return leases


def test_list_of_many_leases(store):
    """Each is told; two keys may share one."""
    leases = leased_services(store, "/leased/x", 300)
    store.client.put("/leased/y/1", '{"host":"192.0.2.2"}', leases[7])
    store.client.put("/leased/y/2", '{"host":"192.0.2.2"}')
    code, out, err = run(store, "list", "--path", "/leased", "--json")
    rows = json.loads(out)
    assert code == 0 and len(rows) == 302 and err == ""
    assert {r["lease"] for r in rows if "lease" in r} == {f"{x:x}" for x in leases}
    assert all(900 < r["lease_remaining_s"] <= 1000 for r in rows if "lease" in r)
    assert [r["key"] for r in rows if "lease" not in r] == ["/leased/y/2"]
    for lease in leases:
        store.client.call("Lease/LeaseRevoke", etcd.field(1, lease))


def test_leases_are_not_asked_for_one_by_one(store):
    """To a member that is far, that would take the way there and back for each."""
    leases, way_s = leased_services(store, "/far/x", 400), 0.02
    with Proxy(store.client_port) as far:
        far.delay = way_s
        t0 = time.monotonic()
        p = subprocess.run([WAYPOST, "list", "--path", "/far", "--json", "--endpoint", f"http://127.0.0.1:{far.port}"],
                           text=True, capture_output=True, timeout=60)
        took = time.monotonic() - t0
    assert p.returncode == 0 and p.stdout.count("lease_remaining_s") == 400
    assert took < len(leases) * 2 * way_s / 2
    store.client.delete_prefix("/far/")


@pytest.mark.timing
def test_short_command_is_not_held_up(store):
    """It ends before etcd has answered for the first time."""
    for _ in range(5):
        t0 = time.monotonic()
        with Registrar(store, "short.dev", command=["true"]) as r:
            assert r.wait() == 0
        assert time.monotonic() - t0 < 0.9
    wait_for(lambda: keys(store, "short.dev") == {})


@pytest.mark.parametrize("what", ["000-28"])
def test_bad(store, what):
    """Judged by what the backend reads with."""
    c = store.client
    bad = [("/skydns/test/bad//e", '{"host":"192.0.2.1"}', "key", 17, "an empty label"),
           ("/skydns/test/bad/Up", '{"host":"192.0.2.1"}', "key", 17, "upper-case"),
           ("/skydns/test/bad/half", '{"host":"192.0.2.1"', "value", 19, "the text ends too early"),
           ("/skydns/test/bad/none", '{"port":1}', "value", 0, "neither host nor text"),
           ("/skydns/test/bad/port", '{"host":"192.0.2.1","port":"80"}', "value", 20, "port must be an integer")]
    for key, value, *_ in bad:
        c.put(key, value)
    c.put("/skydns/test/bad/good", '{"host":"192.0.2.1"}')
    code, out, err = run(store, "etcd", "bad", "bad.test", "--json")
    found = json.loads(out)
    assert code == 1 and err == "" and len(found) == len(bad)
    for f, (key, _value, where, offset, why) in zip(found, bad):
        assert (f["key"], f["in"]) == (key, where) and why in f["reason"], f
        assert f["offset"] == offset or key == "/skydns/test/bad//e", f
    code, out, err = run(store, "etcd", "bad", "bad.test")
    assert code == 1 and [line.split(": ")[0] for line in out.splitlines()] == [b[0] for b in bad]
    assert "/skydns/test/bad/port: value octet 20: port must be an integer (revision " in out
    code, out, err = run(store, "list", "bad.test")
    assert code == 0 and len(out.splitlines()) == 2 and "5 of 6 keys cannot be served" in err
    assert run(store, "etcd", "bad", "good.bad.test") == (0, "all 1 keys can be served\n", "")
    c.delete_prefix("/skydns/test/bad/")


def test_deregister(store):
    c = store.client
    for i, port in ((1, 80), (1, 81), (2, 80), (3, 80)):
        c.put(f"/skydns/test/de/web/{i}-{port}", '{"host":"192.0.2.%d","port":%d}' % (i, port))
    c.put("/skydns/test/de/web/blue/1", '{"host":"192.0.2.1"}')
    c.put("/skydns/test/de/web/v6", '{"host":"2001:db8:0::1"}')
    for words in (["192.0.2.9"], ["192.0.2.1", "82"]):
        code, out, err = run(store, "deregister", "web.de.test", *words)
        assert (code, out) == (1, "") and "nothing is registered as web.de.test with address " + words[0] in err
    assert run(store, "deregister", "web.de.test", "192.0.2.1", "81") == (0, "removed /skydns/test/de/web/1-81\n", "")
    assert run(store, "deregister", "web.de.test", "192.0.2.2", "--json") == (0, '[\n "/skydns/test/de/web/2-80"\n]\n', "")
    assert run(store, "deregister", "web.de.test", "2001:DB8::1")[1] == "removed /skydns/test/de/web/v6\n"
    assert len(run(store, "deregister", "web", "--zone", "de.test")[1].splitlines()) == 2
    code, out, err = run(store, "deregister", "web.de.test", "--json")
    assert (code, out) == (1, "[\n]\n") and "1 such keys lie deeper: --below" in err
    assert run(store, "deregister", "web.de.test", "--below")[0] == 0
    assert keys(store, "web.de.test") == {}


def test_deregister_is_final(store):
    """The registrar keeps its lease and does not put the key back; its text goes too."""
    with Registrar(store, "final.dev", "--text", "x", ttl=4).up() as r:
        lease = lease_of(store, "final.dev")
        code, out, err = run(store, "deregister", "final.dev", "192.0.2.1")
        assert code == 0 and len(out.splitlines()) == 2
        end = time.monotonic() + 1.5  # more than the time between two signs of life
        wait_for(lambda: time.monotonic() > end)
        assert keys(store, "final.dev") == {} and store.client.time_to_live(lease) >= 0 and r.alive()
