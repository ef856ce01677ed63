"""One waypost with every listener, and the eye on it during an attack."""
import contextlib
import functools
import glob
import json
import os
import subprocess
import sys
import time

import clients
import fixture
import server
import wire

HERE = os.path.dirname(os.path.abspath(__file__))
TRANSPORTS = ("udp", "tcp", "dot", "doh", "grpc")
WWW = wire.query("www.waypost.test")
MB = 1 << 20


@functools.lru_cache(maxsize=None)
def sanitized():
    """Address and thread sanitizers keep freed memory and take their time."""
    with open(server.WAYPOST, "rb") as f:
        text = f.read()
    return b"__asan_init" in text or b"__tsan_init" in text


def gateway(folder, body=None, options="", before="", files=None, ports=None, **kw):
    """Every listener with the same body: {dns} UDP and TCP, {tls} DoT, {https} and {http} DoH, {grpc}. `before`:
    blocks of its own."""
    cert, key = clients.certificate(folder)
    body = body or "file {dir}/db.waypost.test waypost.test"
    tls = f"tls {cert} {key}"
    blocks = [f".:{{dns}} {{\n health 127.0.0.1:{{health}}\n prometheus 127.0.0.1:{{prom}}\n{options}\n{body}\n}}\n"]
    for scheme, port, more in (("tls", "tls", tls), ("https", "https", tls), ("https", "http", ""), ("grpc", "grpc", "")):
        blocks.append(f"{scheme}://.:{{{port}}} {{\n prometheus 127.0.0.1:{{prom}}\n{more}\n{options}\n{body}\n}}\n")
    w = server.Waypost(before + "".join(blocks), files={**fixture.FILES, **(files or {})}, ports=ports, **kw)
    w.cert = cert
    return w


def port(w, transport):
    return w.port[{"udp": "dns", "tcp": "dns", "dot": "tls", "doh": "https", "grpc": "grpc"}[transport]]


CLIENT = {"udp": clients.Udp, "tcp": clients.Tcp, "dot": clients.Dot, "doh": clients.Doh, "grpc": clients.Grpc}


def client(w, transport):
    return CLIENT[transport](port(w, transport))


MARK = b"\x6d\x6b" + WWW[2:]


def ask_or_mark(c, msg):
    """The reply. After a short silence a question that has an answer tells what is never answered from what is still to come;
    where nothing is answered at all, it is waited for no longer than a client would."""
    c.s.settimeout(0.3)
    try:
        return c.ask(msg)
    except TimeoutError:
        c.s.settimeout(2)
        r = c.ask(MARK)
        if r[:2] == MARK[:2]:
            raise
        return r


def verdict(w, transport, msg):
    """What a client gets for these octets: an rcode, "refused" (the transport's own error) or "silence"."""
    try:
        c = client(w, transport)
        if transport in ("udp", "tcp", "dot"):
            with c.s:
                return wire.rcode(ask_or_mark(c, msg))
        try:
            return wire.rcode(c.ask(msg))
        finally:
            if transport == "grpc":
                c.channel.close()
    except (EOFError, TimeoutError, ConnectionError):
        return "silence"
    except AssertionError:
        return "refused"
    except Exception as e:
        if hasattr(e, "code"):
            return "refused"
        raise


def serves(w, transports=TRANSPORTS):
    for t in transports:
        server.wait_for(lambda t=t: verdict(w, t, WWW) == 0, 10)
    return True


def status(pid, field):
    with open(f"/proc/{pid}/status") as f:
        for line in f:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    raise KeyError(field)


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def cpu_s(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cores_s(pid):
    """How long its threads had a core so far, and how long they were ready for one that others had."""
    had = waited = 0
    for task in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        with contextlib.suppress(OSError), open(task) as f:
            ran, queued, _ = map(int, f.read().split())
            had, waited = had + ran / 1e9, waited + queued / 1e9
    return had, waited


class Watch:
    """What was seen: grown, and of the watchdog asked, lost, p99, max, nap_p99; and how many times as long as alone on the
    machine the process took for its work (stretch)."""


@contextlib.contextmanager
def bounded(w, mb=64):
    """The process lives, and grows by less than `mb` at its highest. Sanitizers keep what was freed."""
    before = status(w.pid, "VmRSS")
    with open(f"/proc/{w.pid}/clear_refs", "w") as f:
        f.write("5")  # the highest mark starts anew
    seen = Watch()
    yield seen
    assert w.alive(), w.output()[-4000:]
    seen.grown = status(w.pid, "VmHWM") - before
    assert seen.grown < (1024 if sanitized() else mb) * MB, vars(seen)


@contextlib.contextmanager
def watched(w, mb=64, lost=0.02, p99_s=0.1):
    """The same, and UDP is answered throughout, in time unless sanitizers take it."""
    argv = [sys.executable, os.path.join(HERE, "watchdog.py"), str(w.port["dns"]), WWW.hex()]
    before = cores_s(w.pid)
    with bounded(w, mb) as seen, subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as dog:
        try:
            assert dog.stdout.readline() == "watching\n"
            t0 = time.monotonic()
            yield seen
            time.sleep(max(0.0, 0.3 - (time.monotonic() - t0)))
        finally:
            out, _ = dog.communicate("\n", timeout=30)
        had, waited = (b - a for a, b in zip(before, cores_s(w.pid)))
        seen.__dict__.update(json.loads(out), stretch=1 + max(0.0, waited) / max(had, 1e-3))
    assert seen.asked > 0 and seen.lost <= max(1, lost * seen.asked), vars(seen)
    assert sanitized() or seen.p99 < p99_s * seen.stretch + 2 * seen.nap_p99, vars(seen)
