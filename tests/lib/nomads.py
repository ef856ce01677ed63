"""Regions of Nomad for tests: the agents of tests/fake/nomad.py with the services of the table of answers, and a waypost over
them.

    with nomads.region() as n, nomads.gateway(n, "tags") as w:
        assert nomads.answer(w, "solo.default").answer == ["solo.default.service.nomad. 30 A 10.1.0.3"]
"""
import os
import sys
from collections import namedtuple

import dns.rcode
import dns.rdatatype
import wire
from server import TOP, Waypost, wait_for

sys.path.insert(0, os.path.join(TOP, "tests/fake"))
import nomad_faults as faults  # noqa: E402,F401
from nomad import Nomad, lesson  # noqa: E402,F401

COREFILE = """%s:{dns} {
    errors
    debug
    prometheus 127.0.0.1:{metrics}
    nomad %s {
        %s
        %s
    }
    %s
}
"""

# service, namespace, [(address, port, tags)]
SERVICES = [
    ("web", "default", [("10.1.0.1", 8001, []), ("10.1.0.2", 8002, [])]),
    ("solo", "default", [("10.1.0.3", 9000, [])]),
    ("six", "default", [("2001:db8::6", 7000, [])]),
    ("dual", "default", [("10.1.0.4", 1, []), ("2001:db8::4", 2, [])]),
    ("same", "default", [("10.1.0.5", 1, []), ("10.1.0.5", 2, [])]),
    ("mapped", "default", [("::ffff:10.1.0.6", 3, [])]),
    ("host", "default", [("10.1.0.7", 1, []), ("db.corp.example", 2, [])]),
    ("tagged", "default", [("10.1.0.8", 0, ["blue"]), ("10.1.0.9", 0, ["green"])]),
    ("zero", "default", [("10.1.0.10", 0, [])]),
    ("Mixed", "default", [("10.1.0.11", 1, [])]),
    ("web", "ops", [("10.2.0.1", 8001, [])]),
    ("redis", "default", [("192.168.29.76", 25395, []), ("192.168.29.76", 20888, []), ("192.168.29.76", 26292, [])]),
]


def fill(n):
    n.register_all([dict(name=name, namespace=ns, address=a, port=p, tags=t) for name, ns, all in SERVICES for a, p, t in all])
    return n


def region(**options):
    """options: as of Nomad."""
    return fill(Nomad(**options).start())


def corefile(n, options="", zone="service.nomad", directive="", more="", address=None):
    """`zone`: the block's; `directive`: what stands behind the word nomad; `more`: behind the directive."""
    if address is None:
        address = "address " + (n if isinstance(n, str) else " ".join(n.urls))
    return COREFILE % (zone, directive, address, options, more)


def gateway(n, options="", zone="service.nomad", directive="", more="", address=None, **args):
    """args: as of Waypost."""
    return Waypost(corefile(n, options, zone, directive, more, address), **args)


Answer = namedtuple("Answer", "rcode answer authority additional ede aa tc id")


def text(section):
    return [f"{s.name.to_text()} {s.ttl} {dns.rdatatype.to_text(s.rdtype)} {r.to_text()}" for s in section for r in s]


def read(octets):
    m = wire.parse_apart(octets)
    ede = next((o.code.value if hasattr(o.code, "value") else int(o.code) for o in m.options if o.otype == 15), None)
    return Answer(dns.rcode.to_text(m.rcode()), text(m.answer), text(m.authority), text(m.additional), ede, bool(m.flags & 0x400),
                  bool(m.flags & 0x200), m.id)


def answer(w, name, qtype="A", zone="service.nomad", tcp=False, timeout=5.0, edns=True):
    """The reply; None when nothing came. `name` is relative to the zone ("" for none)."""
    octets = wire.query(name + ("." + zone if zone else ""), qtype, qid=77, extra=wire.opt() if edns else b"")
    got = (wire.tcp if tcp else wire.udp)(w if isinstance(w, int) else w.port["dns"], octets, timeout)
    return got and read(got)


def addresses(w, name, qtype="A", **args):
    a = answer(w, name, qtype, **args)
    return [r.split()[-1] for r in a.answer if r.split()[2] == qtype] if a else None


def wait_answers(w, name, want, qtype="A", seconds=20, **args):
    """Until the name has these addresses."""
    wait_for(lambda: addresses(w, name, qtype, **args) == want, seconds)


def metric(w, name):
    """The value of a sample, labels and all; 0 without it."""
    import urllib.request
    with urllib.request.urlopen(f"http://127.0.0.1:{w.port['metrics']}/metrics", timeout=5) as r:
        lines = r.read().decode().splitlines()
    return next((float(line.rsplit(" ", 1)[1]) for line in lines if line.rsplit(" ", 1)[0] == name), 0.0)
