"""nomad: options (R39-R42), names with tags, weights, health, duplicates, host names, the label of metrics, status and explain."""
import subprocess

import nomads
import pytest
from server import WAYPOST, Waypost, wait_for
from test_51_status import backend, status
from test_52_explain import details, explain

Z = ".service.nomad."


@pytest.fixture(scope="module")
def region():
    with nomads.region() as n:
        n.register_all([
            dict(name="api", address="10.7.0.1", port=1, tags=["blue", "dns-priority=5", "dns-weight=40"]),
            dict(name="api", address="10.7.0.2", port=2, tags=["Green", "dns-weight=70000"]),
            dict(name="hosted", address="10.7.1.1", port=1), dict(name="hosted", address="db.corp.example", port=2),
            dict(name="hosted", address="nowhere.corp.example", port=3), dict(name="hosted", address="10.7.1.2", port=4)])
        yield n


def checked(tmp_path, text):
    (tmp_path / "Corefile").write_text(text)
    r = subprocess.run([WAYPOST, "check", "-conf", "Corefile"], cwd=tmp_path, capture_output=True, text=True, timeout=20)
    return r.returncode, r.stderr.replace(str(tmp_path) + "/", "")


# what stands in the block -> what is said of line 4, None: nothing
LINES = [
    ("R39-below", "ttl -1", "ttl must be in range [0, 3600]: -1"),
    ("R39-above", "ttl 3601", "ttl must be in range [0, 3600]: 3601"),
    ("R39-word", "ttl abc", 'error parsing ttl: strconv.Atoi: parsing "abc": invalid syntax'),
    ("R39-none", "ttl", "exactly one ttl value is required"),
    ("R40-unknown", "invalid_property", "unknown property 'invalid_property'"),
    ("R41-address", "address", "at least one address is required"),
    ("R41-token", "token", "exactly one token is required"),
    ("R41-tokens", "token a b", "exactly one token is required"),
    ("R41-filter", "filter a b", "exactly one filter is required"),
    ("R42-upper", "ADDRESS http://127.0.0.1:4646", None),
    ("address", "address :x:", "invalid address ':x:'"),
    ("negative", "negative maybe", "invalid negative 'maybe': one of rfc2308, coredns"),
    ("zone", "zone a..b", "invalid zone 'a..b'"),
]


@pytest.mark.parametrize("row", LINES, ids=lambda r: r[0])
def test_lines(tmp_path, row):
    _, line, said = row
    code, err = checked(tmp_path, f"a {{\n nomad {{\n  region eu\n  {line}\n }}\n}}\n")
    assert (code, err.partition(f"Corefile:4: nomad: {said}")[1] != "") == ((0, False) if said is None else (1, True)), err


def test_more_than_one(tmp_path):
    assert "Corefile:2: nomad: one zone only: 'c'" in checked(tmp_path, "a {\n nomad b c\n}\n")[1]
    assert "Corefile:3: nomad: a second zone: 'c'" in checked(tmp_path, "a {\n nomad b {\n  zone c\n }\n}\n")[1]
    assert "this plugin can only be used once per Server Block" in checked(tmp_path, "a {\n nomad\n nomad\n}\n")[1]


def test_three_readmes(tmp_path):
    """Files that were written for the plugin's forks."""
    for text in ("nomad:1053 {\n errors\n debug\n health\n log\n nomad {\n  address http://127.0.0.1:4646\n  ttl 10\n }\n prometheus :9153\n cache 30\n}\n",
                 "service.nomad.:1053 {\n nomad {\n  zone service.nomad\n  address http://127.0.0.1:4646 unix:///secrets/api.sock\n  ttl 10\n }\n}\n",
                 "service.nomad.:1053 {\n nomad service.nomad {\n  address http://a:4646 http://b:4646\n  token t\n  ttl 10\n"
                 "  filter \"Tags not contains candidate\"\n }\n cache 30\n}\n"):
        assert checked(tmp_path, text) == (0, ""), text


def test_tags(region):
    with nomads.gateway(region, "tags\nweights") as w:
        nomads.wait_answers(w, "blue.api.default", ["10.7.0.1"])
        assert nomads.addresses(w, "GREEN.api.default") == ["10.7.0.2"]
        assert nomads.addresses(w, "api.default") == ["10.7.0.1", "10.7.0.2"]
        assert nomads.answer(w, "red.api.default").rcode == "NXDOMAIN"
        assert nomads.answer(w, "blue.api.default", "TXT").rcode == "NOERROR"
        assert nomads.answer(w, "api.default", "SRV").answer == [f"api.default{Z} 30 SRV 5 40 1 api.default{Z}",
                                                                  f"api.default{Z} 30 SRV 10 10 2 api.default{Z}"]
        # a service where the tag would be read as one goes first, as soon as it is there
        region.register("blue", "api", "10.7.9.9", 1)
        nomads.wait_answers(w, "blue.api.default", ["10.7.9.9"])
        region.deregister("blue", "api")
        nomads.wait_answers(w, "blue.api.default", ["10.7.0.1"])


def test_tags_that_must_be_asked_for():
    """Neither reading is known: both are asked for, one after the other."""
    with nomads.lesson() as n, nomads.gateway(n, "tags", zone="nomad") as w:
        n.register("multi", address="1.2.3.9", port=1, tags=["canary"])
        nomads.wait_answers(w, "canary.multi.default", ["1.2.3.9"])
        nomads.wait_answers(w, "canary.multi.default.nomad", ["1.2.3.9"], zone="")
        assert nomads.answer(w, "red.multi.default").rcode == "NXDOMAIN"


def test_duplicates(region):
    with nomads.gateway(region, "duplicates drop") as w:
        nomads.wait_answers(w, "same.default", ["10.1.0.5"])
        got = nomads.answer(w, "same.default", "SRV")
        assert [r.split()[5] for r in got.answer] == ["1", "2"] and len(got.additional) == 1


def test_host_names(region):
    hosts = "hosts {\n 192.0.2.7 db.corp.example\n 2001:db8::7 db.corp.example\n fallthrough\n}"
    with nomads.gateway(region, "hostnames skip") as w:
        nomads.wait_answers(w, "hosted.default", ["10.7.1.1", "10.7.1.2"])
        got = nomads.answer(w, "hosted.default", "SRV")
        assert [r.split()[5] for r in got.answer] == ["1", "4"] and len(got.additional) == 2
    with nomads.gateway(region, "hostnames resolve", zone=".", directive="service.nomad", more=hosts) as w:
        nomads.wait_answers(w, "hosted.default", ["10.7.1.1", "192.0.2.7", "10.7.1.2"])
        assert nomads.addresses(w, "hosted.default", "AAAA") == ["2001:db8::7"]
        got = nomads.answer(w, "hosted.default", "SRV")
        assert [r.split()[-1] for r in got.answer] == [f"hosted.default{Z}", "db.corp.example.", "nowhere.corp.example.", f"hosted.default{Z}"]
        assert len(got.additional) == 2


def test_health():
    with nomads.region() as n:
        n.register_all([dict(name="well", address=f"10.8.0.{i}", port=i, alloc=f"0000000{i}-0000-0000-0000-000000000000") for i in (1, 2, 3)])
        n.checks("00000001-0000-0000-0000-000000000000", well="success")
        n.checks("00000002-0000-0000-0000-000000000000", well="failure")
        with nomads.gateway(n, "health 1s") as w:
            nomads.wait_answers(w, "well.default", ["10.8.0.1", "10.8.0.3"])
            n.checks("00000002-0000-0000-0000-000000000000", well="success")
            nomads.wait_answers(w, "well.default", ["10.8.0.1", "10.8.0.2", "10.8.0.3"])
            for i in (1, 2, 3):
                n.checks(f"0000000{i}-0000-0000-0000-000000000000", well="failure")
            wait_for(lambda: nomads.answer(w, "well.default").ede == 0)
            assert nomads.addresses(w, "well.default") == ["10.8.0.1", "10.8.0.2", "10.8.0.3"]


def test_label_of_each_listener(region):
    with Waypost("service.nomad:{a} service.nomad:{b} {\n prometheus 127.0.0.1:{metrics}\n nomad {\n  address %s\n }\n}\n" % region.url) as w:
        for name in "ab":
            wait_for(lambda: nomads.answer(w.port[name], "solo.default").rcode == "NOERROR")
            assert nomads.metric(w, 'coredns_nomad_success_requests_total{namespace="default",server="dns://:%d"}' % w.port[name]) == 1


def test_status(region):
    with nomads.gateway(region, zone="nomad") as w:
        nomads.wait_answers(w, "web.default", ["10.1.0.1", "10.1.0.2"])
        (b,) = backend(status(w), "nomad")
        assert [z["zone"] for z in b["zones"]] == ["service.nomad.", "nomad."]


def test_explain(region):
    with nomads.gateway(region, "tags") as w:
        nomads.wait_answers(w, "blue.api.default", ["10.7.0.1"])
        d = details(explain(w, "blue.api.default.service.nomad"), "nomad")
        assert (d["zone"], d["service"], d["namespace"], d["tag"], d["found"]) == ("service.nomad.", "api", "default", "blue", "a service")
        assert (d["instances"], d["unhealthy"]) == (2, 0)
        d = details(explain(w, "nope.default.service.nomad"), "nomad")
        assert (d["service"], d["found"]) == ("nope", "no such service")
