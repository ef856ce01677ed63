"""A lesson on a DNS plugin for Nomad, line by line (tests/rows/lesson-nomad.tsv): its Corefile as it stands there, over an
agent where it is looked for when nothing else is said. The network is the test's own."""
import os
import re
import subprocess
import urllib.request

import dns.flags
import dns.rdatatype
import nomads
import pytest
import wire
from netns import Netns
from server import WAYPOST, Waypost, wait_for
from wall import Wall

COREFILE = """nomad:1053 {
    nomad {
        ttl 10
    }

    prometheus :9153
    cache 30
}
"""
PORTS = (25395, 20888, 26292)
HOST = "192.168.29.76"
REDIS = "redis.default.nomad"


class Lesson:
    def __init__(self):
        self.net = Netns()
        self.n = self.net.run(nomads.Nomad)
        self.n.agents[0].port = 4646
        self.n.start()
        for port in PORTS:
            self.n.register("redis", "default", HOST, port)
        self.n.register("own", "default", "10.1.0.1", 80, tags=["blue"])
        self.n.register("own", "default", "2001:db8::1", 81)
        self.n.register("two_words-one", "team-a", "10.1.0.2", 80)
        self.w = None

    def gateway(self, corefile=COREFILE, **args):
        return self.net.run(lambda: Waypost(corefile, ports={"dns": 1053}, **args))

    def ask(self, name=REDIS, qtype="A", send=wire.udp):
        return wire.parse_apart(self.net.run(send, 1053, wire.query(name, qtype, extra=wire.opt()), 5.0))

    def lines(self, name=REDIS, qtype="A", send=wire.udp):
        """As `dig +noall +answer +additional` shows them."""
        m = self.ask(name, qtype, send)
        return [f"{s.name.to_text()} {s.ttl} IN {dns.rdatatype.to_text(s.rdtype)} {s[0].to_text()}" for part in (m.answer, m.additional) for s in part]

    def data(self, name=REDIS, qtype="A", send=wire.udp):
        return [s[0].to_text() for s in self.ask(name, qtype, send).answer]

    def wait(self):
        self.net.run(wait_for, lambda: wire.rcode(wire.udp(1053, wire.query(REDIS), 5.0)) == 0)

    def page(self):
        return self.net.run(lambda: urllib.request.urlopen("http://127.0.0.1:9153/metrics", timeout=5).read().decode())

    def hits(self):
        return sum(float(v) for v in re.findall(r"^coredns_cache_hits_total\{.*\} (\S+)$", self.page(), re.M))


@pytest.fixture(scope="module")
def k():
    lesson = Lesson()
    try:
        with lesson.gateway() as lesson.w:
            lesson.wait()
            yield lesson
    finally:
        lesson.n.close()
        lesson.net.close()


def row(*ids):
    return pytest.mark.parametrize("_", ids)


@row("001-14-no-request-for-a-question")
def test_from_what_is_known(k, _):
    assert k.data("own.default.nomad") == ["10.1.0.1"]
    before = len(k.n.asked("service"))
    for i in range(300):
        assert k.data(REDIS) == [HOST] * 3 and k.ask(f"n{i}.default.nomad").rcode() == 3
    more = k.n.asked("service")[before:]  # 600 questions cost none; that everything listed is looked at again is nobody's question
    assert len(more) < 10 and not any("/n" in r.path.rsplit("/service", 1)[1] for r in more), more


@row("001-15-labels")
def test_labels(k, _):
    assert k.data("ReDiS.DeFaUlT.nOmAd") == [HOST] * 3
    assert k.data("two_words-one.team-a.nomad") == ["10.1.0.2"]


@row("001-16-types")
def test_types(k, _):
    assert k.data("own.default.nomad", "A") == ["10.1.0.1"] and k.data("own.default.nomad", "AAAA") == ["2001:db8::1"]
    m = k.ask(REDIS, "MX")
    assert m.rcode() == 0 and not m.answer
    assert [(s.name.to_text(), dns.rdatatype.to_text(s.rdtype)) for s in m.authority] == [("nomad.", "SOA")]


@row("001-17-ports", "001-24-the-same-three")
def test_one_for_each_allocation(k, _):
    told = [(i["Address"], i["Port"]) for i in k.n.instances("redis")]
    assert [int(d.split()[2]) for d in k.data(REDIS, "SRV")] == [port for _, port in told] == list(PORTS)
    assert k.data(REDIS) == [address for address, _ in told]


@row("001-20-corefile")
def test_corefile(k, _):
    assert k.data() == k.data(send=wire.tcp) == [HOST] * 3 and k.ask().flags & dns.flags.AA
    assert {r.headers["host"] for r in k.n.requests} == {"127.0.0.1:4646"}


@row("001-20-environment")
def test_environment(_):
    with nomads.region(acl=True) as n:
        n.token("secret", "default")
        env = {"NOMAD_ADDR": n.url, "NOMAD_TOKEN": "secret"}
        with Waypost("nomad:{dns} {\n nomad {\n  ttl 10\n }\n}\n", env=env) as w:
            nomads.wait_answers(w, "redis.default", [HOST] * 3, zone="nomad")
        assert {r.headers.get("x-nomad-token") for r in n.requests} == {"secret"}


@row("001-21-ttl", "001-23-hits", "001-18-with-the-cache")
def test_ttl_and_cache(k, _):
    name = "own.default.nomad"
    k.ask(name)
    before = k.hits()
    assert all(s.ttl <= 10 for s in k.ask(name).answer)
    assert k.hits() == before + 1
    wait_for(lambda: k.ask(name).answer[0].ttl < 10, 5, step=0.1)  # it counts down


@row("001-22-metrics")
def test_metrics(k, _):
    k.ask("two_words-one.team-a.nomad", "SRV")
    page = k.page()
    assert re.search(r'^coredns_nomad_success_requests_total\{namespace="team-a",server="dns://:1053"\} [1-9]', page, re.M), page
    assert re.search(r'^coredns_dns_requests_total\{.*zone="nomad\."\} [1-9]', page, re.M)


@row("001-25-over-tcp")
def test_over_tcp(k, _):
    assert k.data(send=wire.tcp) == [HOST] * 3 and all(0 < s.ttl <= 10 for s in k.ask(send=wire.tcp).answer)


@row("001-26-as-dig-shows-it")
def test_srv(k, _):
    k.n.register("fresh", "default", HOST, 25395)
    k.n.register("fresh", "default", HOST, 20888)
    k.net.run(wait_for, lambda: len(wire.parse_apart(wire.udp(1053, wire.query("fresh.default.nomad", "SRV"))).answer) == 2)
    name = "fresh.default.nomad."
    shown = [re.sub(r" \d+ IN", " 10 IN", line) for line in k.lines(name, "SRV")]
    assert shown == [f"{name} 10 IN SRV 10 10 {p} {name}" for p in (25395, 20888)] + [f"{name} 10 IN A {HOST}"] * 2


# --- beside the lesson -----------------------------------------------------------------------------


@row("001-25-duplicates")
def test_duplicates(_):
    with nomads.region() as n:
        for options, want in (("", 3), ("duplicates keep", 3), ("duplicates drop", 1)):
            with nomads.gateway(n, options) as w:
                nomads.wait_answers(w, "redis.default", [HOST] * want)


@row("001-15-tags")
def test_tags(_):
    with nomads.region() as n:
        with nomads.gateway(n, "tags") as w:
            nomads.wait_answers(w, "tagged.default", ["10.1.0.8", "10.1.0.9"])
            assert nomads.addresses(w, "green.tagged.default") == ["10.1.0.9"]
            assert nomads.answer(w, "red.tagged.default").rcode == "NXDOMAIN"


@pytest.mark.timing  # where there is a clock that can be set; else it takes half a minute
@row("001-18-away")
def test_last_known_data(_, tmp_path):
    """Without the cache; a new start while Nomad is away says that its data is old."""
    with nomads.region() as n:
        state = tmp_path / "state"
        state.mkdir()
        options = f"state {state}"
        with nomads.gateway(n, options) as w:
            nomads.wait_answers(w, "redis.default", [HOST] * 3)
            wait_for(lambda: any(p.suffix not in (".lock", ".tmp") for p in state.iterdir()), 60)
            n.agents[0].stop()
            assert nomads.addresses(w, "redis.default") == [HOST] * 3
        clock = Wall(tmp_path)
        clock.set(120)  # the data was saved two minutes ago
        with nomads.gateway(n, options, env=clock.env) as w:
            wait_for(lambda: nomads.answer(w, "redis.default").ede == 3, 60)
            assert nomads.addresses(w, "redis.default") == [HOST] * 3


@pytest.mark.timing  # the same clock
@pytest.mark.parametrize("seconds", [-86400, 86400])
def test_clock_is_set(seconds, tmp_path):
    """The time of day jumps while it is followed, saved state and cache beside it: changes are seen, nothing becomes stale."""
    clock = Wall(tmp_path)
    with nomads.region() as n:
        with nomads.gateway(n, f"state {tmp_path / 'state'}", more="cache 30", env=clock.env) as w:
            nomads.wait_answers(w, "redis.default", [HOST] * 3)
            clock.set(seconds)
            n.register("late", "default", "10.9.0.1", 1)
            nomads.wait_answers(w, "late.default", ["10.9.0.1"], seconds=5)
            n.deregister("late")
            wait_for(lambda: nomads.answer(w, "late.default").rcode == "NXDOMAIN", 5)
            reply = nomads.answer(w, "redis.default")
            assert len(reply.answer) == 3 and reply.ede is None


@row("001-19-four-paths")
def test_four_paths(_):
    with nomads.lesson() as n:
        with nomads.gateway(n, "ttl 2", zone="nomad") as w:
            def answer(name, qtype="A"):
                return nomads.answer(w, name + ".default", qtype, zone="nomad")
            wait_for(lambda: answer("example").rcode == "NOERROR", 30)
            assert nomads.addresses(w, "example.default", zone="nomad") == ["1.2.3.4"]
            assert nomads.addresses(w, "fakeipv6.default", "AAAA", zone="nomad") == ["2001:db8::1"]
            assert len(answer("multi").answer) == 3 and len(answer("multi", "SRV").answer) == 3
            assert answer("nonexistent").rcode == "NXDOMAIN"
            n.register("example", "default", "1.2.3.9", 1)  # and changes are seen while it is asked for
            wait_for(lambda: len(answer("example").answer) == 2, 30)


def check(folder, corefile, **env):
    (folder / "Corefile").write_text(corefile)
    return subprocess.run([WAYPOST, "check", "-conf", "Corefile"], cwd=folder, capture_output=True, text=True, timeout=20,
                          env={**os.environ, "HOME": str(folder), **env})


@pytest.mark.parametrize("words", [
    pytest.param("nomad {\n address http://127.0.0.1:4646\n token my-nomad-token\n ttl 10\n}", id="001-28-plugin"),
    pytest.param("nomad {\n zone service.consul\n address http://127.0.0.1:4646 http://127.0.0.2:4646\n address unix:///secrets/api.sock\n"
                 " token t\n ttl 10\n}", id="001-28-fork"),
    pytest.param('nomad service.nomad {\n address http://127.0.0.1:4646 http://127.0.0.2:4646\n token t\n ttl 30\n filter "Tags not contains candidate"\n}',
                 id="001-28-built-in"),
    pytest.param("nomad", id="001-28-nothing"),
])
def test_options_of_all_three(words, tmp_path):
    r = check(tmp_path, ". {\n" + words + "\n}\n")
    assert r.returncode == 0, r.stdout + r.stderr


CACHES = ("cache 30", "cache", "cache 10 nomad", "cache {\n success 5000 30 5\n denial 1000 10 5\n}", "cache 30 {\n prefetch 10 1m 20%\n}",
          "cache 30 {\n serve_stale 1h immediate\n}", "cache 30 {\n serve_stale 1h verify\n servfail 0s\n}", "cache 30 {\n servfail 10s\n keepttl\n}",
          "cache 30 {\n disable denial nomad\n}", "cache 30 {\n disable success\n disable denial\n}")


@pytest.mark.parametrize("words", [pytest.param(c, id=f"001-27-{i}") for i, c in enumerate(CACHES)])
def test_options_of_the_cache(words, tmp_path):
    r = check(tmp_path, "nomad:1053 {\n nomad {\n  ttl 10\n }\n" + words + "\n}\n")
    assert r.returncode == 0, r.stdout + r.stderr
