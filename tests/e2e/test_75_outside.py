"""Plugins from outside: loaded by a plugin.cfg or by `load`, in their place, with everything that built-in ones have."""
import os
import re
import signal
import subprocess
import urllib.request

import outside
import pytest
import wire
from server import TOP, WAYPOST, Waypost, wait_for

# what outside.wrong() makes; the fixture compares
WRONG = ["old", "small", "garbage", "empty", "nameless", "alien", "gone", "oldgone", "text", "cut", "folder", "open", "absent"]
HELLO = "example.org:{dns} {\n    load hello {hello}\n    errors\n    log\n    hello {\n        text TEXT\n    }\n}\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Name -> path of the object."""
    top = tmp_path_factory.mktemp("outside")
    paths = {n: outside.compile_c(top / f"{n}.so", s) for n, s in outside.EXAMPLES.items()}
    paths["plain"] = outside.plain(top / "plain.so")
    paths["log"] = outside.plain(top / "log.so", "log")
    paths["geoip"] = outside.plain(top / "geoip.so", "geoip")
    paths["early"] = outside.plain(top / "early.so", "early", '.before = "cache"')
    paths["lost"] = outside.plain(top / "lost.so", "lost", '.after = "nobody"')
    paths["other"] = outside.plain(top / "other.so", "plain")
    paths["Bad-Name"] = outside.plain(top / "Bad-Name.so", "Bad-Name")
    return paths


@pytest.fixture(scope="module")
def wrong(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wrong")
    told = outside.wrong(folder)
    assert sorted(told) == sorted(WRONG)
    return folder, told


def run(*argv, **more):
    r = subprocess.run([WAYPOST, *map(str, argv)], capture_output=True, text=True, timeout=60, **more)
    return r.returncode, r.stdout, r.stderr


def order(*argv):
    code, out, err = run(*argv, "-plugins", "-order")
    assert code == 0, err
    return out.split()


def fill(text, made):
    return re.sub(r"\{(\w[\w-]*)\}", lambda m: made.get(m[1], m[0]), text)


def ask(w, name, kind="TXT"):
    return wire.parse(wire.udp(w.port["dns"], wire.query(name, kind), timeout=10))


def answers(reply):
    return sorted(str(rr) for rrset in reply.answer for rr in rrset)


# --- what it gets ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("row", ["001-1", "001-10", "004-35"])
def test_is_listed(made, tmp_path, row):
    cfg = tmp_path / "plugin.cfg"
    cfg.write_text(fill("log:log\nhello:{hello}\n", made))
    code, out, _ = run("-plugin.cfg", cfg, "-plugins")
    names = out.split()
    assert code == 0 and "hello" in names and names == sorted(n for n in names if n != "on") + (["on"] if "on" in names else [])
    assert "hello" not in run("-plugins")[1].split()


@pytest.mark.parametrize("how", ["001-2-load", "001-6-plugin.cfg"])
def test_everything_for_nothing(made, tmp_path, how):
    """log, errors, metrics, cache, metadata, options, reload: none of it is in the example's code."""
    conf = """example.org:{dns} {
    LOAD
    prometheus 127.0.0.1:{metrics}
    errors
    metadata
    log . "seen {/hello/text}"
    cache 30
    hello {
        text MARK
        ttl 2m
    }
    book {
        record www 60 A 192.0.2.1
        record www 60 A 192.0.2.2
    }
}
"""
    cfg = tmp_path / "plugin.cfg"
    cfg.write_text(fill("log:log\nhello:{hello}\nfile:file\nbook:{book}\n", made))
    by_line = fill("load hello {hello}\n    load book {book}", made)
    conf = conf.replace("LOAD", by_line if "load" in how else "")
    args = () if "load" in how else ("-plugin.cfg", str(cfg))
    with Waypost(conf.replace("MARK", "one"), args=args) as w:
        r = ask(w, "hello.example.org")
        assert answers(r) == ['"one"'] and r.answer[0].ttl == 120
        for _ in range(2):
            assert answers(ask(w, "www.example.org", "A")) == ["192.0.2.1", "192.0.2.2"]
        wait_for(lambda: "seen one" in w.output())
        w.says('[INFO] plugin/hello: greeting with "one" in 1 zones')
        text = urllib.request.urlopen(f"http://127.0.0.1:{w.port['metrics']}/metrics", timeout=10).read().decode()
        assert re.search(r'^hello_greetings_total\{server="dns://:\d+"\} 1$', text, re.M)
        assert re.search(r"^coredns_cache_hits_total\{.*\} 1$", text, re.M)
        assert re.search(r'^coredns_dns_responses_total\{.*rcode="NOERROR".*\} 3$', text, re.M)
        assert re.search(r'^coredns_plugin_enabled\{name="hello",.*\} 1$', text, re.M)
        w.write(conf.replace("MARK", "two").replace("192.0.2.2", "192.0.2.3"))
        w.kill(signal.SIGUSR1)
        wait_for(lambda: "Reloading complete" in w.output())
        assert answers(ask(w, "hello.example.org")) == ['"two"']
        assert answers(ask(w, "www.example.org", "A")) == ["192.0.2.1", "192.0.2.3"], "the cache forgot what was before the reload"


ANSWERS = """www A: NOERROR 192.0.2.1 192.0.2.2
WWW A: NOERROR 192.0.2.1 192.0.2.2
www AAAA: NOERROR 2001:db8::1
www MX: NOERROR SOA
alias A: NOERROR www.example.org. 192.0.2.1 192.0.2.2
alias CNAME: NOERROR www.example.org.
alias MX: NOERROR www.example.org. SOA
away A: NOERROR nowhere.test.
mail MX: NOERROR 10 www.example.org.
a.b.wild TXT: NOERROR "any" "name"
a.b.wild A: NOERROR SOA
b.wild TXT: NOERROR "any" "name"
wild TXT: NOERROR SOA
deep A: NOERROR SOA
very.deep A: NOERROR 192.0.2.9
no A: NXDOMAIN SOA
a.www A: NXDOMAIN SOA
@ SOA: NOERROR ns.dns.example.org. hostmaster.example.org. SERIAL 7200 1800 86400 300
@ NS: NOERROR ns.dns.example.org.
@ TXT: NOERROR "apex"
"""
BOOK = """example.org:{dns} {
    load book {book}
    book {
        record www 60 A 192.0.2.1
        record mail 60 MX "10 www"
        record www 60 AAAA 2001:db8::1
        record www.example.org. 60 A 192.0.2.2
        record alias 60 CNAME www
        record away 60 CNAME nowhere.test.
        record *.wild 60 TXT any name
        record very.deep 60 A 192.0.2.9
        record @ 60 TXT apex
    }
    ready 127.0.0.1:{ready}
}
"""


@pytest.fixture(scope="module")
def book(made):
    with Waypost(fill(BOOK, made)) as w:
        yield w


@pytest.mark.parametrize("row", [pytest.param(r, id="001-29-" + r.split(":")[0].replace(" ", "-")) for r in ANSWERS.strip().split("\n")])
def test_answers_are_the_cores(book, row):
    """A backend of 150 lines that only names records: the rest of the protocol is not its business."""
    question, want = row.split(": ", 1)
    name, kind = question.split()
    r = ask(book, "example.org" if name == "@" else name + ".example.org", kind)
    got = [["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN"][r.rcode()]]
    for rrset in r.answer:
        got += sorted(str(rr) for rr in rrset)
    assert r.flags & 0x0400, "AA"
    if r.authority:
        assert str(r.authority[0].name) == "example.org." and r.authority[0].ttl == 300
        got.append("SOA")
    assert re.sub(r"(hostmaster\.example\.org\.) \d+", r"\1 SERIAL", " ".join(got)) == want


@pytest.mark.parametrize("name", [pytest.param(n, id=f"001-29-{n}") for n in outside.EXAMPLES])
def test_example_is_short(name):
    with open(os.path.join(TOP, outside.EXAMPLES[name]), encoding="utf-8") as f:
        assert len(f.readlines()) < 150


@pytest.mark.parametrize("rcode, want", [(2, 2), (5, 5), (1, 1), (4, 4), (99, 2)], ids=lambda v: f"001-11-{v}")
def test_rcode_without_a_reply(made, rcode, want):
    """What a handler returns without having written a reply becomes one of the server."""
    with Waypost(fill(f".:{{dns}} {{\n load plain {{plain}}\n plain {{\n rcode {rcode}\n }}\n whoami\n}}\n", made)) as w:
        r = ask(w, "a.test")
        assert r.rcode() == want and not r.answer and str(r.question[0].name) == "a.test."


@pytest.mark.parametrize("behind, want", [("", 2), ("whoami", 0)], ids=["001-13-nobody", "001-13-somebody"])
def test_not_ours(made, behind, want):
    with Waypost(fill(f".:{{dns}} {{\n load hello {{hello}}\n errors\n hello\n {behind}\n}}\n", made)) as w:
        assert ask(w, "elsewhere.test").rcode() == want
        if not behind:
            wait_for(lambda: "plugin/hello: no next plugin found" in w.output())


def test_status_explain_help(made, tmp_path):
    with Waypost(fill(HELLO, made).replace("TEXT", "hi")) as w:
        env = {**os.environ, "WAYPOST_RUNTIME_DIR": w.home.name}
        code, out, err = run("explain", "hello.example.org", "TXT", env=env, cwd=w.home.name)
        assert code == 0 and re.search(r"hello +question .* greeting hi", out), out + err
    cfg = tmp_path / "plugin.cfg"
    cfg.write_text(fill("hello:{hello}\n", made))
    code, out, _ = run("-plugin.cfg", cfg, "help", "hello")
    assert code == 0 and f"hello: a directive from {made['hello']}\n" in out and "  ttl DURATION\n    \thow long others may keep it (default 1h)\n" in out
    assert run("help", "hello")[0] == 2
    code, out, _ = run("help", "cache")
    assert code == 0 and out.startswith("cache: a directive\nOptions:\n")
    assert "not in this build" in run("help", "geoip")[1]


# --- its place ------------------------------------------------------------------------------------------------------------

def beside(names, *wanted):
    at = names.index(wanted[0])
    return tuple(names[at:at + len(wanted)]) == wanted


CFGS = [
    ("where it wants", "hello:{hello}", ("log", "hello", "local")),
    ("where it wants: before", "early:{early}", ("acl", "early", "cache")),
    ("with the backends", "plain:{plain}", ("etcd", "plain", "loop")),
    ("behind the line before it", "# a comment\n\ncache:cache\nhello:{hello}", ("cache", "hello", "header")),
    ("in front of the first", "hello:{hello}\ncache:cache", ("acl", "hello", "cache")),
    ("two", "log:log\nplain:{plain}\nhello:{hello}\ncache:cache", ("log", "plain", "hello", "local")),
    ("two in front", "plain:{plain}\nhello:{hello}\nlog:log", ("errors", "plain", "hello", "log", "local")),
    ("built-in ones change places", "cache:cache\nlog:log", ("errors", "cache", "local")),
    ("one that CoreDNS has and this build has not", "geoip:{geoip}", ("metadata", "geoip", "cancel")),
    ("the same, elsewhere", "log:log\ngeoip:{geoip}", ("log", "geoip", "local")),
    ("other places of known ones do not matter", "on:github.com/coredns/caddy/onevent\nhello:{hello}\nlog:log", ("errors", "hello", "log")),
    ("relative", "log:log\nhello:./hello.so", ("log", "hello", "local")),
    ("blanks", "  log:log \r\n\thello:{hello}\t\n", ("log", "hello", "local")),
]


@pytest.mark.parametrize("text, want", [pytest.param(t, w, id="001-6-" + n) for n, t, w in CFGS] +
                         [pytest.param("log:log\nhello:{hello}", ("log", "hello"), id="001-7-absolute"),
                          pytest.param("log:log\nhello:hello.so", ("log", "hello"), id="001-7-relative")])
def test_plugin_cfg(made, tmp_path, text, want):
    if "./" in text or ":hello.so" in text:
        os.symlink(made["hello"], tmp_path / "hello.so")
    cfg = tmp_path / "plugin.cfg"
    cfg.write_text(fill(text, made))
    names = order("-plugin.cfg", cfg)
    # neighbours of this build: what is not in it stands between them
    assert beside(names, *want) or beside([n for n in names if n in want], *want), names
    assert set(order()) <= set(names) and len(names) == len(set(names))


def test_stock_plugin_cfg(tmp_path):
    """CoreDNS's own list changes nothing but the place of nomad."""
    cfg = tmp_path / "plugin.cfg"
    cfg.write_text("".join(f"{n}:{n}\n" for n in """root metadata geoip cancel proxyproto quic grpc_server https https3 timeouts multisocket
        reload nsid bufsize bind debug trace ready health pprof shed prometheus errors log dnstap local dns64 siit any chaos loadbalance tsig
        rewrite autopath acl cache header dnssec tls minimal template transfer dynupdate hosts route53 azure clouddns k8s_external kubernetes
        file auto secondary etcd loop forward grpc erratic whoami on sign view nomad""".split()))
    assert [n for n in order("-plugin.cfg", cfg) if n != "nomad"] == [n for n in order() if n != "nomad"]


@pytest.mark.parametrize("line, want", [
    ("load hello {hello}", ("log", "hello", "local")),
    ("load hello {hello} after cache", ("cache", "hello", "header")),
    ("load hello {hello} before cache", ("acl", "hello", "cache")),
    ("load plain {plain} after log\n load hello {hello}", ("log", "plain", "hello", "local")),
    ("load plain {plain} after hello", None),
    ("load hello {hello}\n load plain {plain} before hello", ("log", "plain", "hello")),
    ("load hello {hello}\n load hello {hello}\n load hello {hello} after log", ("log", "hello", "local")),
    ("load hello {hello} after log\n hello\n}\nb.test:1053 {\n hello", ("log", "hello", "local")),
])
def test_load_place(made, tmp_path, line, want):
    conf = tmp_path / "Corefile"
    conf.write_text(fill(f"a.test:1053 {{\n {line}\n}}\n", made))
    code, out, err = run("check", "-conf", conf)
    if want is None:
        assert code == 1 and err == f"{conf}:2: load: 'plain' is to stand after 'hello', which is no directive\n"
        return
    assert code == 0, err
    names = order("-conf", conf)
    assert beside([n for n in names if n in want], *want) and names.index(want[-1]) - names.index(want[0]) == len(want) - 1


def test_load_in_a_snippet(made, tmp_path):
    (tmp_path / "plugins.conf").write_text("(outside) {\n load hello sub/hello.so\n}\n")
    os.mkdir(tmp_path / "sub")
    os.symlink(made["hello"], tmp_path / "sub/hello.so")
    conf = tmp_path / "Corefile"
    conf.write_text("import plugins.conf\na.test:1053 {\n import outside\n hello\n}\nb.test:1053 {\n import outside\n hello\n}\n")
    assert run("check", "-conf", conf) == (0, f"{conf}: ok\n", "")


# --- what is wrong ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("how", ["load", "plugin.cfg"])
def test_wrong_object(wrong, tmp_path, name, how):
    folder, told = wrong
    conf, cfg = tmp_path / "Corefile", tmp_path / "plugin.cfg"
    path = folder / f"{name}.so"
    conf.write_text("a.test:1053 {\n whoami\n" + (f" load {name} {path}\n" if how == "load" else "") + "}\n")
    cfg.write_text(f"log:log\n{name}:{path}\n")
    args = ["-conf", conf] + (["-plugin.cfg", cfg] if how != "load" else [])
    at = f"{conf}:3: load: " if how == "load" else f"{cfg}:2: "
    code, out, err = run("check", *args)
    assert code == 1 and out == "" and err.startswith(at) and str(path) in err and told[name] in err and err.count("\n") == 1, err
    code, out, err = run(*args)
    where = f"{conf}:3" if how == "load" else f"{cfg}:2"
    assert code == 1 and err.count("\n") == 1 and f"{where} - Error during parsing: " in err and told[name] in err


BAD_LINES = [
    ("load", "one line is wanted: load NAME PATH [after|before DIRECTIVE]"),
    ("load hello", "one line is wanted"),
    ("load hello {hello} after", "one line is wanted"),
    ("load hello {hello} after log x", "one line is wanted"),
    ("load hello {hello} {\n  x\n }", "one line is wanted"),
    ("load hello {hello} beside log", "'beside' is neither 'after' nor 'before'"),
    ("load hello {hello} after nobody", "'hello' is to stand after 'nobody', which is no directive"),
    ("load hello {hello} after hello", "'hello' cannot stand beside itself"),
    ("load lost {lost}", "'lost' is to stand after 'nobody', which is no directive"),
    ("load hallo {hello}", "is named 'hello', not 'hallo'"),
    ("load log {log}", "'log' is a directive of waypost itself: a plugin from outside needs another name"),
    ("load Bad-Name {Bad-Name}", "'Bad-Name' is no name for a directive"),
    ("load import {hello}", "'import' is no name for a directive"),
    ("load load {hello}", "'load' is no name for a directive"),
    ("load plain {plain}\n load plain {other}", "'plain' is loaded already, from "),
    ("load hello {hello}\n load hello {hello} after cache", "'hello' is loaded already, in another place"),
    ("hello\n load hello {hello}", "Unknown directive 'hello'"),
    ("load hello {hello}\n hello {\n  text\n }", "hello: "),
    ("load hello {hello}\n hello {\n  ttl 1y\n }", "hello: "),
    ("load hello {hello}\n hello {\n  nonsense\n }", "hello: unknown property 'nonsense'"),
    ("load hello {hello}\n hello\n hello", "hello: this plugin can only be used once per Server Block"),
    ("load hello {hello}\n hello {\n  text " + "x" * 256 + "\n }", "hello: the text has 256 octets, at most 255 are possible"),
    ("load book {book}\n book {\n  record x 60 A nonsense\n }", "book: 'nonsense' is no data of type A"),
    ("load book {book}\n book {\n  record x 60 NONSENSE 1\n }", "book: 'NONSENSE' is no type of records"),
    ("load book {book}\n book {\n  record x.other. 60 A 192.0.2.1\n }", "book: 'x.other.' is no name in the zone"),
    ("load book {book}\n book {\n  record x 60 A\n }", "book: Wrong argument count or unexpected line ending after 'A'"),
    ("load book {book}\n book {\n  record x soon A 192.0.2.1\n }", "book: "),
]


@pytest.mark.parametrize("line, want", BAD_LINES)
def test_wrong_line(made, tmp_path, line, want):
    conf = tmp_path / "Corefile"
    conf.write_text(fill(f"a.test:1053 {{\n {line}\n}}\n", made))
    code, out, err = run("check", "-conf", conf)
    assert code == 1 and out == "" and want in err and all(e.startswith(f"{conf}:") for e in err.strip().split("\n")), err


def test_limits(tmp_path):
    """64 objects in a process, 64 plugins in a block; one more of either is told of."""
    names = [f"p{i:06d}" for i in range(65)]
    first = outside.plain(tmp_path / "first.so", "p000000")
    with open(first, "rb") as f:
        octets = f.read()
    assert octets.count(b"p000000\0") == 1
    for name in names:
        (tmp_path / f"{name}.so").write_bytes(octets.replace(b"p000000\0", name.encode() + b"\0"))
    conf = tmp_path / "Corefile"
    load = [f" load {n} {n}.so\n" for n in names]
    conf.write_text("a.test:1053 {\n" + "".join(load[:64]) + "".join(f" {n}\n" for n in names[:64]) + "}\n")
    assert run("check", "-conf", conf) == (0, f"{conf}: ok\n", "")
    conf.write_text("a.test:1053 {\n" + "".join(load[:64]) + "".join(f" {n}\n" for n in names[:64]) + " whoami\n}\n")
    assert run("check", "-conf", conf) == (1, "", f"{conf}:1: whoami: more than 64 plugins in one server block\n")
    conf.write_text("a.test:1053 {\n" + "".join(load) + " whoami\n}\n")
    assert run("check", "-conf", conf) == (1, "", f"{conf}:66: load: cannot load {tmp_path}/{names[64]}.so: more than 64 plugins from outside\n")


BAD_CFGS = [
    ("hello", 1, "'hello' is not NAME:PLACE"),
    ("log:log\n:x.so", 2, "':x.so' is not NAME:PLACE"),
    ("hello:", 1, "'hello:' is not NAME:PLACE"),
    ("nomad2:github.com/x/y", 1, "'nomad2' is not in this build, and 'github.com/x/y' is no shared object: write nomad2:PATH.so"),
    ("log:log\ncache:cache\nlog:log", 3, "'log' stands twice"),
    ("hello:{hello}\nhello:{hello}", 2, "'hello' stands twice"),
    ("log:{log}", 1, "'log' is a directive of waypost itself"),
    ("hallo:{hello}", 1, "is named 'hello', not 'hallo'"),
    ("lost:{lost}", 1, "'lost' is to stand after 'nobody', which is no directive"),
    ("log:log\nhello:nothing/here.so", 2, "nothing/here.so: no such file or directory"),
]


@pytest.mark.parametrize("text, line, want", BAD_CFGS)
def test_wrong_plugin_cfg(made, tmp_path, text, line, want):
    cfg = tmp_path / "plugin.cfg"
    cfg.write_text(fill(text + "\n", made))
    for args in (["-plugins"], ["check"], ["help", "log"]):
        argv = ["-plugin.cfg", cfg, *args] if args != ["check"] else [*args, "-plugin.cfg", cfg]
        code, out, err = run(*argv)
        place = f"{cfg}:{line}" + (" - Error during parsing: " if args == ["-plugins"] else ": ")
        assert code == 1 and out == "" and place in err and want in err, (args, out, err)


def test_plugin_cfg_that_cannot_be_read(tmp_path):
    for path, why in ((tmp_path / "absent", "no such file or directory"), (tmp_path, "is a directory")):
        code, _, err = run("-plugin.cfg", path, "-plugins")
        assert code == 1 and why in err
    (tmp_path / "nul").write_bytes(b"log:log\n\0hello:x.so\n")
    assert "NUL octet" in run("-plugin.cfg", tmp_path / "nul", "-plugins")[2]


# --- reload -----------------------------------------------------------------------------------------------------------------

def test_reload(made, wrong, tmp_path):
    """A bad module keeps the old generation; a new one is loaded while the process runs; a changed file counts at the next start."""
    mine = tmp_path / "hello.so"
    mine.write_bytes(open(made["hello"], "rb").read())
    conf = HELLO.replace("{hello}", str(mine))
    with Waypost(conf.replace("TEXT", "one")) as w:
        assert answers(ask(w, "hello.example.org")) == ['"one"']
        for n, name in enumerate(("old", "absent"), 1):
            w.write(conf.replace("TEXT", "two").replace("    errors\n", f"    errors\n    load {name} {wrong[0]}/{name}.so\n"))
            w.kill(signal.SIGUSR1)
            wait_for(lambda n=n: w.output().count("Restart failed") == n)
            assert "Corefile:4 - Error during parsing: " in w.output() and wrong[1][name] in w.output()
            assert answers(ask(w, "hello.example.org")) == ['"one"']
        # another file under the old name, as `install` puts it there
        (tmp_path / "new.so").write_bytes(mine.read_bytes())
        os.rename(tmp_path / "new.so", mine)
        w.write(fill(conf, made).replace("TEXT", "three").replace("    errors\n", f"    errors\n    load book {made['book']}\n    book\n"))
        w.kill(signal.SIGUSR1)
        wait_for(lambda: "Reloading complete" in w.output())
        wait_for(lambda: f"[WARNING] {mine} has changed: what was loaded from it stays in use until the next start" in w.output())
        assert answers(ask(w, "hello.example.org")) == ['"three"'] and ask(w, "x.example.org", "A").rcode() == 3
        # without it, and with it again
        w.write("example.org:{dns} {\n    whoami\n}\n")
        w.kill(signal.SIGUSR1)
        wait_for(lambda: w.output().count("Reloading complete") == 2)
        assert not ask(w, "hello.example.org").answer
        w.write(conf.replace("TEXT", "four"))
        w.kill(signal.SIGUSR1)
        wait_for(lambda: w.output().count("Reloading complete") == 3)
        assert answers(ask(w, "hello.example.org")) == ['"four"']
        wait_for(lambda: w.output().count("has changed") == 1)
