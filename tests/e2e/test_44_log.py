"""log: one line for each question, as text and as JSON."""
import json
import re
import signal

import pytest
import wire
from server import Waypost, wait_for

ZONE = """$ORIGIN example.org.
@ 300 IN SOA ns hostmaster 1 3600 600 86400 60
@ 300 IN NS ns
ns 300 IN A 192.0.2.53
www 300 IN A 192.0.2.1
www 300 IN A 192.0.2.2
alias 300 IN CNAME www
"""
FILES = {"db": ZONE}
BLOCK = "example.org:{dns} {\n    log LOG\n    file {dir}/db\n}\n"


# Formats come through the environment: "{name}" in a Corefile of a test stands for a port.
ENV = {"COMBINED": "{combined}", "NAME": "{name}", "ONE": "one {name}", "TWO": "two {name}", "TYPED": "{name} {type}"}


def conf(log):
    return BLOCK.replace("LOG", log)


def lines(w, start="[INFO] "):
    return [x for x in w.output().splitlines() if x.startswith(start)]


def ask(w, *args, **kw):
    tcp = kw.pop("tcp", False)
    return (wire.tcp if tcp else wire.udp)(w.port["dns"], wire.query(*args, **kw), timeout=1)


def wait_lines(w, n):
    return wait_for(lambda: len(lines(w)) >= n and lines(w))


def test_default_format():
    with Waypost(conf(""), FILES) as w:
        ask(w, "wWw.example.org", qid=57022)
        line = wait_lines(w, 1)[0]
        assert re.fullmatch(r'\[INFO\] 127\.0\.0\.1:\d+ - 57022 "A IN www\.example\.org\. udp 33 false 512" NOERROR '
                            r'qr,aa,rd 134 0\.\d+s', line), line


# what is asked, what the line shows after the name
SHOWN = [
    ("over TCP", dict(qname="www.example.org", tcp=True), 'tcp 33 false 65535" NOERROR qr,aa,rd 134'),
    ("EDNS and DO", dict(qname="www.example.org", extra=wire.opt(4096, do=True)), 'udp 44 true 4096" NOERROR qr,aa,rd 134'),
    ("EDNS size below 512", dict(qname="www.example.org", extra=wire.opt(100)), 'udp 44 false 512" NOERROR qr,aa,rd 134'),
    ("no RD, CD", dict(qname="www.example.org", flags=0x0010), 'udp 33 false 512" NOERROR qr,aa,cd 134'),
    ("CNAME", dict(qname="alias.example.org"), 'udp 35 false 512" NOERROR qr,aa,rd 182'),
    ("NXDOMAIN", dict(qname="nx.example.org"), 'udp 32 false 512" NXDOMAIN qr,aa,rd 115'),
    ("NODATA", dict(qname="www.example.org", qtype="AAAA"), 'udp 33 false 512" NOERROR qr,aa,rd 116'),
]


@pytest.mark.parametrize("asked, shown", [x[1:] for x in SHOWN], ids=[x[0] for x in SHOWN])
def test_what_is_shown(asked, shown):
    with Waypost(conf(""), FILES) as w:
        ask(w, **asked)
        assert shown in wait_lines(w, 1)[0]


CLASSES = [
    ("all", {"www", "nx", "www6", "none"}),
    ("success", {"www"}),
    ("denial", {"nx", "www6"}),
    ("error", {"none"}),
    ("denial error", {"nx", "www6", "none"}),
    ("success all", {"www", "nx", "www6", "none"}),
]


@pytest.mark.parametrize("classes, shown", CLASSES, ids=[c[0] for c in CLASSES])
def test_classes(classes, shown):
    text = (".:{dns} {\n    log . {$TYPED} {\n        class CLASSES\n    }\n    file {dir}/db example.org\n}\n"
            .replace("CLASSES", classes))
    names = {"www": ("www.example.org", "A"), "nx": ("nx.example.org", "A"), "www6": ("www.example.org", "AAAA"),
             "none": ("example.net", "A")}
    with Waypost(text, FILES, env=ENV) as w:
        for key in names:
            ask(w, *names[key])
        w.stop()
        assert lines(w, "[INFO] ")[:-1] == [f"[INFO] {n}. {t}" for k, (n, t) in names.items() if k in shown]


def test_first_rule_that_matches_counts():
    text = """.:{dns} {
    log www.example.org {$ONE} {
        class denial
    }
    log example.org {$TWO}
    log
    file {dir}/db example.org
}
"""
    with Waypost(text, FILES, env=ENV) as w:
        ask(w, "www.example.org")  # the first rule, and not its class: no line
        ask(w, "alias.example.org")
        ask(w, "example.net")
        got = wait_lines(w, 2)
        assert got[0] == "[INFO] two alias.example.org."
        assert '"A IN example.net. udp' in got[1] and "REFUSED qr,rd 29 " in got[1]
        w.stop()
        assert len(lines(w)) == 3  # and the line of SIGTERM


def test_dropped_question_and_odd_name():
    text = ".:{dns} {\n    log\n    acl {\n        drop type TXT\n    }\n    local\n}\n"
    with Waypost(text) as w:
        assert ask(w, "a.example", "TXT") is None
        assert '"TXT IN a.example. udp 27 false 512" - - 0 ' in wait_lines(w, 1)[0]
        ask(w, "\0\xff\n\".x", 65280)
        assert r'"TYPE65280 IN \000\255\010\".x. udp' in wait_lines(w, 2)[1]


def test_lines_are_written_before_the_end():
    with Waypost(conf(". {$COMBINED}"), FILES, env=ENV) as w:
        for i in range(50):
            ask(w, "www.example.org", qid=i)
        w.kill(signal.SIGTERM)
        assert w.wait() == 0
        ids = [int(x.split(" - ")[1].split()[0]) for x in lines(w) if " - " in x]
        assert sorted(ids) == list(range(50))
        assert all(x.endswith('s "0"') for x in lines(w) if " - " in x)


# --- -log-format json -----------------------------------------------------------------------------

KEYS = ["time", "level", "msg", "plugin", "client_ip", "client_port", "qname", "qtype", "qclass", "protocol", "id",
        "opcode", "request_size", "dnssec_ok", "bufsize", "rcode", "response_size", "duration_seconds"]


def records(w):
    return [json.loads(x, object_pairs_hook=dict) for x in w.output().splitlines()]


@pytest.mark.parametrize("quiet", [False, True], ids=["J01", "J02"])
def test_json_records(quiet):
    args = ["-log-format=json"] + (["-quiet"] if quiet else [])
    with Waypost(conf(""), FILES, args=args) as w:
        ask(w, "www.example.org", qid=9, extra=wire.opt(1400, do=True))
        wait_for(lambda: any(r.get("plugin") == "log" for r in records(w)))
        every = records(w)
        assert all({"time", "level", "msg"} <= set(r) for r in every)
        assert any("example.org." in r["msg"] and "plugin" not in r for r in every) != quiet
        r = [r for r in every if r.get("plugin") == "log"][0]
        assert list(r) == KEYS
        want = {"level": "INFO", "client_ip": "127.0.0.1", "qname": "www.example.org.", "qtype": "A", "qclass": "IN",
                "protocol": "udp", "id": 9, "opcode": 0, "request_size": 44, "dnssec_ok": True, "bufsize": 1400,
                "rcode": "NOERROR", "response_size": 134}
        assert {k: r[k] for k in want} == want
        assert 0 < r["duration_seconds"] < 1 and r["msg"].endswith("s") and r["client_port"] > 0
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[+-]\d\d:\d\d)", r["time"])


@pytest.mark.parametrize("sig, text", [(signal.SIGINT, "SIGINT: Shutting down"), (signal.SIGTERM, "SIGTERM: Shutting down")],
                         ids=["J08", "SIGTERM"])
def test_json_life_cycle(sig, text):
    with Waypost(conf(""), FILES, args=["-log-format", "json"]) as w:
        w.kill(sig)
        w.wait()
        r = [r for r in records(w) if text in r["msg"]]
        assert len(r) == 1 and r[0]["level"] == "INFO" and "plugin" not in r[0]
        assert r[0]["msg"].startswith("[INFO] ")


@pytest.mark.parametrize("formats", [(". {$ONE}", ". {$TWO}")], ids=["J07"])
def test_json_and_reload(formats):
    with Waypost(conf(formats[0]), FILES, args=["-log-format=json"], env=ENV) as w:
        ask(w, "www.example.org")
        wait_for(lambda: any(r["msg"] == "one www.example.org." for r in records(w)))
        w.write(conf(formats[1]))
        w.kill(signal.SIGUSR1)
        wait_for(lambda: any("Reloading complete" in r["msg"] for r in records(w)))
        ask(w, "www.example.org")
        wait_for(lambda: any(r["msg"] == "two www.example.org." for r in records(w)))


def test_json_of_a_dropped_question():
    text = ".:{dns} {\n    log\n    acl {\n        drop type TXT\n    }\n    local\n}\n"
    with Waypost(text, args=["-log-format=json"]) as w:
        ask(w, "a.example", "TXT")
        wait_for(lambda: any(r.get("plugin") == "log" for r in records(w)))
        r = [r for r in records(w) if r.get("plugin") == "log"][0]
        assert r["rcode"] is None and r["response_size"] == 0
