"""Metrics: each family has a name of ours, a HELP text, and a line in the README of its folder."""
import os
import re
import subprocess
import urllib.request

import dns.message
import dns.query
import pytest
import source
from server import TOP, Waypost

NAME = re.compile(r"(coredns|waypost|process|go)_[a-z0-9]+(_[a-z0-9]+)*")
FAMILY = re.compile(r"struct wp_family (?:const )?\w+(?:\[[^]]*\])* = \{(.*?)\};", re.S)
LITERAL = re.compile(r'(?:"(?:\\.|[^"\\])*"\s*)+')
# Names of CoreDNS that promtool finds odd; they are part of the contract.
ODD = {"coredns_cache_entries", "coredns_hosts_entries"}
PLACE = "deploy/METRICS.md"  # families of the server itself and of what backends share


def literals(text):
    """String literals, neighbours joined."""
    return ["".join(re.findall(r'"((?:\\.|[^"\\])*)"', m)) for m in LITERAL.findall(text)]


def families():
    """(file, name, help) of every family; macros are expanded by the compiler."""
    flags = source.compile_flags()
    found = []
    for path in source.code(".c"):
        if "struct wp_family " not in source.read(path):
            continue
        text = subprocess.run(["gcc", "-std=gnu17", "-E", "-P", *flags, os.path.join(TOP, path)], capture_output=True, text=True, check=True).stdout
        for init in FAMILY.findall(text):
            strings = literals(init)
            at = [i for i, s in enumerate(strings) if NAME.fullmatch(s) and (i + 1 < len(strings)) and " " in strings[i + 1]]
            assert at, f"{path}: no name and help in {{{init[:120]}}}"
            found += [(path, strings[i], strings[i + 1]) for i in at]
    return sorted(set(found))


def readme(path):
    m = re.match(r"(backends/(?!common/)\w+|server/plugins/\w+)/", path)
    return f"{m[1]}/README.md" if m else PLACE


def test_families_have_names_and_help():
    found = families()
    assert len(found) > 40
    bad = [f"{p}: {n}: {h!r}" for p, n, h in found if not NAME.fullmatch(n) or len(h) < 8]
    assert not bad, "\n".join(bad)


def test_nothing_that_looks_like_a_family_was_overlooked():
    """Every literal with a metric's prefix in the product is the name of a family found above, or of one in tables."""
    known = {n for _, n, _ in families()}
    bad = []
    for path in source.code(".c"):
        for s in re.findall(r'"((?:coredns|waypost)_[a-z0-9_]*[a-z0-9])"', source.read(path)):
            if s not in known:
                bad.append(f"{path}: {s}")
    assert not bad, "\n".join(bad)


def test_one_family_has_one_owner():
    owners = {}
    for path, name, _ in families():
        owners.setdefault(name, set()).add(path)
    bad = {n: p for n, p in owners.items() if len(p) > 1}
    assert not bad, bad


def test_readme_names_each_family():
    bad = [f"{readme(p)}: does not name {n}" for p, n, _ in families() if n not in source.read(readme(p))]
    assert not bad, "\n".join(bad)


COREFILE = """
.:{dns} {
    bind 127.0.0.1
    prometheus 127.0.0.1:{xmetrics}
    health 127.0.0.1:{xhealth}
    ready 127.0.0.1:{xready}
    errors
    log
    cache
    acl {
        block type TXT
        allow
    }
    hosts hosts home.test {
        fallthrough
    }
    file db.waypost.test waypost.test
    local
    reload
    forward up.test 127.0.0.1:{xnobody}
    whoami
}
"""
ZONE = "@ 300 SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\nwww A 192.0.2.1\n"


@pytest.fixture(scope="module")
def scrape():
    """The text after some questions, odd names among them."""
    with Waypost(COREFILE, files={"db.waypost.test": ZONE, "hosts": "192.0.2.9 nas.home.test\n"}) as w:
        for name in ("www.waypost.test.", "nx.waypost.test.", "nas.home.test.", "x.test.", 'a\\"b\\000\\010\\255.test.', "localhost.", "a.up.test."):
            for kind in ("A", "AAAA", "TXT"):
                q = dns.message.make_query(name, kind)
                dns.query.udp(q, "127.0.0.1", port=w.port["dns"], timeout=10)
                dns.query.tcp(q, "127.0.0.1", port=w.port["dns"], timeout=10)
        with urllib.request.urlopen(f"http://127.0.0.1:{w.port['xmetrics']}/metrics", timeout=5) as r:
            assert r.status == 200
            yield r.read().decode()


def test_promtool_accepts_a_scrape(scrape):
    r = subprocess.run(["promtool", "check", "metrics"], input=scrape, capture_output=True, text=True)
    said = [line for line in (r.stdout + r.stderr).split("\n") if line and line.split(" ")[0] not in ODD]
    assert not said, "\n".join(said)


def test_a_scrape_has_type_and_help_of_each(scrape):
    names = set(re.findall(r"^# TYPE (\S+) ", scrape, re.M))
    assert {"coredns_dns_requests_total", "coredns_dns_responses_total", "coredns_cache_misses_total", "process_cpu_seconds_total"} <= names
    for name in names:
        assert NAME.fullmatch(name)
        assert re.search(rf"^# HELP {name} \S", scrape, re.M), name
    helps = {n: h for _, n, h in families()}
    for name in names & set(helps):
        assert f"# HELP {name} " in scrape
