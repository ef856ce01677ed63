"""A region for CoreDNS and waypost beside each other: services by chance, Corefiles over them, questions about them."""
import random

from asker import Question
from nomad import Nomad

NAMESPACES = ("default", "ops", "team-a", "x")
LABELS = ("web", "db", "api", "cache", "a", "Big", "x-1", "very-" + "l" * 58, "default", "service", "nomad")
TAGS = ("blue", "green", "canary", "v1", "priority=5")
TYPES = ("A", "AAAA", "SRV")
OTHERS = ("TXT", "MX", "NS", "SOA", "CNAME", "ANY", "HTTPS", "PTR", "CAA", "TYPE65280")

# block: (its zone, words behind `nomad`, options, lines beside it, zone that is asked for, share of the questions)
BLOCKS = {
    "plain": ("service.nomad", "", "", "", "service.nomad", 6),
    "root": (".", "", "", "", "service.nomad", 2),
    "ttl0": ("service.nomad", "", "ttl 0", "", "service.nomad", 1),
    "ttl3600": ("service.nomad", "", "ttl 3600", "", "service.nomad", 1),
    "filter": ("service.nomad", "", 'filter "Tags not contains blue"', "", "service.nomad", 3),
    "other": ("svc.corp.test", "svc.corp.test", "ttl 7", "", "svc.corp.test", 3),
    "short": ("nomad", "nomad", "", "", "nomad", 2),
    "inside": ("nomad", "service.nomad", "", "", "service.nomad", 2),
    "two": ("service.nomad", "", "address %(second)s", "", "service.nomad", 2),
    "cached": ("service.nomad", "", "ttl 60", "cache 60", "service.nomad", 2),
    "hosts": (".", "", "", "hosts {\n 192.0.2.1 www.example.test\n fallthrough\n }", "service.nomad", 1),
}
BLOCK = """%s:{%s} {
 errors
 %s
 nomad %s {
 address %s
 %s
 }
}
"""


def corefile(n, more=""):
    """more: an option that only waypost has."""
    def block(name):
        zone, words, options, beside, _, _ = BLOCKS[name]
        return BLOCK % (zone, name, beside, words, n.url, "\n ".join((options % {"second": n.urls[1]} if "%(" in options else options, more)))
    return "".join(block(name) for name in BLOCKS)


class Region(Nomad):
    """Services that change by chance."""

    def __init__(self, seed=1):
        super().__init__(agents=2)
        self.r, self.next = random.Random(seed), 0

    def fill(self, services=60):
        self.register_all([i for _ in range(services) for i in self.some()])
        return self

    def address(self):
        self.next += 1
        n = self.next
        return self.r.choices((f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", f"2001:db8::{n:x}", f"::ffff:10.7.{n >> 8 & 255}.{n & 255}", "10.0.0.1", f"h{n}.example.test"),
                              (60, 25, 10, 10, 1))[0]

    def instance(self, name, namespace):
        r = self.r
        tags = r.choice((None, [], [r.choice(TAGS)], r.sample(TAGS, 2)))
        return dict(name=name, namespace=namespace, address=self.address(), port=r.choice((0, 80, 8080, 65535, r.randrange(65536))), tags=tags)

    def some(self):
        """The instances of one service."""
        r = self.r
        name, namespace = f"{r.choice(LABELS)[:60]}{r.choice(('', '', '-2', '-3'))}", r.choice(NAMESPACES)
        return [self.instance(name, namespace) for _ in range(r.choices((1, 2, 3, 9, 60), (6, 4, 3, 2, 1))[0])]

    @property
    def names(self):
        return self.run(lambda: sorted(self.state.services))

    def change(self):
        """One of what happens to services; (namespace, name) of what has changed."""
        r, (namespace, name) = self.r, self.r.choice(self.names)
        what = r.choice(("new", "more", "less", "gone", "moved", "tags", "quiet"))
        if what == "new":
            those = self.some()
            self.register_all(those)
            return those[0]["namespace"], those[0]["name"]
        ids = [i["ID"] for i in self.instances(name, namespace)]
        if what == "more":
            self.register(**self.instance(name, namespace))
        elif what in ("moved", "tags"):
            old = r.choice(self.instances(name, namespace))
            new = self.instance(name, namespace)
            self.register(name, namespace, new["address"] if what == "moved" else old["Address"], old["Port"], tags=new["tags"], id=old["ID"], alloc=old["AllocID"])
        elif what == "gone":
            self.deregister(name, namespace)
        else:
            self.deregister(namespace=namespace, id=r.choice(ids), event="ServiceDeregistration" if what == "less" else r.choice((None, "AllocationUpdated")))
        return namespace, name


def labels(*words):
    return tuple(x.encode() for w in words for x in w.split(".") if x)


def spelled(r, words):
    return tuple(bytes(r.choice((c, c ^ 0x20)) if 65 <= c & 0xDF <= 90 else c for c in w) for w in words)


def about(r, zone, namespace, name, qtype=None):
    """One question about a service, or beside it."""
    words = r.choices((labels(name, namespace), labels(name, r.choice(NAMESPACES)), labels("nope", namespace), labels(name, "nope"), labels("x", "y", name, namespace),
                       labels(name, namespace, "extra"), labels(name), labels()), (14, 2, 2, 1, 1, 1, 1, 1))[0]
    whole = words + labels(zone)
    if r.random() < 0.2:
        whole = spelled(r, whole)
    qtype = qtype or r.choice(TYPES * 4 + OTHERS)
    return Question(whole, qtype, tcp=r.random() < 0.25, size=r.choice((None, None, 512, 1232)), do=r.random() < 0.1)


def questions(r, names, block, count):
    zone = BLOCKS[block][4]
    return [about(r, zone, *r.choice(names)) for _ in range(count)]
