"""etcd: what tests/e2e expects of odd keys and values is what CoreDNS makes of them, but for what deploy/DIFFERENCES.md says."""
import os
import sys

import dns.exception
import etcd
import pytest
import wire
from server import TOP, Waypost, wait_for

sys.path.insert(0, os.path.join(TOP, "tests/e2e"))
pytest.register_assert_rewrite("test_36_etcd_bad_input")
from test_36_etcd_bad_input import BAD, GOOD_KEYS, H, KEYS, VALUES, data  # noqa: E402

NO_NAME = ("host-label", "host-name")  # D-etcd-malformed
BELOW_10000 = "[" * 9998 + "]" * 9998


@pytest.fixture(scope="module")
def both(coredns):
    with etcd.Member() as m:
        for name, (value, *_) in VALUES.items():
            m.client.put(f"/skydns/test/way/v/{name}", value)
        for key in [*KEYS, *GOOD_KEYS]:
            m.client.put(b"/skydns/test/way/" + key, "{%s,\"port\":1}" % H)
        m.client.put("/skydns/test/way/v/below", '{%s,"x":%s}' % (H, BELOW_10000))
        text = ".:{dns} {\n etcd way.test {\n endpoint %s\n }\n}\n" % m.url
        with Waypost(text) as w, Waypost(text, binary=coredns) as c:
            wait_for(lambda: "watching" in w.output())
            yield w, c


def ask(server, name, rtype):
    """None: no reply that can be read."""
    try:
        return data(wire.tcp(server.port["dns"], wire.query(name, rtype, qid=3), timeout=2))
    except (OSError, EOFError, TypeError, dns.exception.DNSException):
        return None


@pytest.mark.parametrize("name", VALUES)
def test_value(both, name):
    w, c = both
    for rtype in ("A", "SRV", "TXT"):
        ours, theirs = ask(w, f"{name}.v.way.test", rtype), ask(c, f"{name}.v.way.test", rtype)
        if name in NO_NAME:
            assert ours == BAD and theirs in (None, [])
        else:
            assert ours == theirs, rtype


@pytest.mark.parametrize("key", [*KEYS, *GOOD_KEYS], ids=lambda k: k.split(b"/")[1].decode())
def test_key(both, key):
    """A record whose name cannot be is left out; CoreDNS sends what no client can read, or nothing."""
    w, c = both
    above = key.split(b"/")[1].decode() + ".k.way.test"
    for rtype in ("A", "SRV"):
        ours, theirs = ask(w, above, rtype), ask(c, above, rtype)
        if key in KEYS and rtype == "SRV":
            assert ours == [] and theirs in (None, [])
        elif b"huge" in key:
            assert ours == [] and theirs == ["192.0.2.1"]
        else:
            assert ours == theirs, rtype


def test_depth(both):
    w, c = both
    assert ask(w, "below.v.way.test", "A") == ask(c, "below.v.way.test", "A") == ["192.0.2.1"]
