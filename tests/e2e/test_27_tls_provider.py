"""Which TLS library: by Corefile and flag, changed by a reload, missing or of another build. What each of them must do on a
listener is in test_23_dot.py and test_26_tls_clients.py, which run over both."""
import os
import shutil
import signal
import socket
import ssl
import subprocess

import fixture
import pki
import pytest
import wire
from server import WAYPOST, Waypost, wait_for

FILES = fixture.FILES
WWW = {"www.waypost.test. A 192.0.2.1"}
CERT = pki.cert("ns.waypost.test")


def dot(*options, key="tls"):
    tls = "\n".join(["tls %s %s {" % CERT, *options, "}"])
    return f"tls://waypost.test:{{{key}}} {{\n{tls}\nfile {{dir}}/db.waypost.test waypost.test\n}}\n"


def connect(server, key="tls"):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    return c.wrap_socket(socket.create_connection(("127.0.0.1", server.port[key]), 4))


def answered(s):
    s.sendall(wire.framed(wire.A))
    return wire.sections(wire.read_message(s))[0] == WWW


def library(server, key="tls"):
    """Each has a suite of its own in front."""
    with connect(server, key) as s:
        assert answered(s)
        return {"TLS_AES_128_GCM_SHA256": "openssl", "TLS_CHACHA20_POLY1305_SHA256": "wolfssl"}[s.cipher()[0]]


def maps_wolfssl(server):
    with open(f"/proc/{server.proc.pid}/maps") as f:
        return "libwolfssl" in f.read()


# --- chosen --------------------------------------------------------------------------------------

def test_each_block_its_own():
    with Waypost(dot() + dot("provider wolfssl", key="b"), files=FILES) as w:
        assert (library(w), library(w, "b")) == ("openssl", "wolfssl")


def test_nobody_pays_for_what_nobody_asks():
    with Waypost(dot("provider openssl"), files=FILES) as w:
        assert library(w) == "openssl" and not maps_wolfssl(w)


def test_flag_is_for_blocks_that_say_nothing():
    with Waypost(dot() + dot("provider openssl", key="b"), files=FILES, args=["-tls-provider", "wolfssl"]) as w:
        assert (library(w), library(w, "b")) == ("wolfssl", "openssl")


def test_reload_changes_it_under_connections():
    with Waypost(dot(), files=FILES) as w:
        first = connect(w)
        assert answered(first)
        w.write(dot("provider wolfssl"))
        w.kill(signal.SIGUSR1)
        wait_for(lambda: library(w) == "wolfssl")
        second = connect(w)
        assert answered(first) and answered(second)
        w.write(dot("provider openssl"))
        w.kill(signal.SIGUSR1)
        wait_for(lambda: library(w) == "openssl")
        assert answered(first) and answered(second)
        first.close()
        second.close()


def test_one_listener_one_library():
    text = dot("provider wolfssl") + dot("provider openssl").replace("tls://waypost.test", "tls://x.waypost.test")
    with Waypost(text, files=FILES, wait=False) as w:
        assert w.proc.wait(20) == 1
        w.says("TLS providers differ")


@pytest.mark.parametrize("option, said", [
    ("keylog keys.log", "TLS key log: wolfSSL is built without it here"),
    ("ocsp /dev/null", "OCSP response: this wolfSSL loses memory"),
])
def test_what_it_cannot_is_refused(option, said):
    with Waypost(dot("provider wolfssl", option), files=FILES, wait=False) as w:
        assert w.proc.wait(20) == 1
        w.says(said, "use provider openssl")


# --- towards others ------------------------------------------------------------------------------

@pytest.mark.parametrize("scheme", ["tls", "https"])
@pytest.mark.parametrize("ca, served", [("ca", True), ("otherca", False)])
def test_upstream(scheme, ca, served):
    """The flag reaches the clients of forward: it verifies, resumes, and speaks the right protocol."""
    upstream = dot().replace("tls://waypost.test:{tls}", "%s://waypost.test:{up}" % scheme)
    with Waypost(upstream, files=FILES) as up:
        text = (f".:{{dns}} {{\nforward . {scheme}://127.0.0.1:{up.port['up']} {{\ntls {pki.ca(ca)}\n"
                "tls_servername ns.waypost.test\n}\n}\n")
        with Waypost(text, args=["-tls-provider", "wolfssl"]) as w:
            assert maps_wolfssl(w)
            for _ in range(3):
                r = wire.udp(w.port["dns"], wire.A)
                assert (wire.sections(r)[0] == WWW) if served else wire.rcode(r) == 2


# --- missing, or of another build ----------------------------------------------------------------

@pytest.fixture
def alone(tmp_path):
    """The program without its modules; the Corefile asks for the one of TLS."""
    (tmp_path / "Corefile").write_text(". {\n    tls a b {\n        provider wolfssl\n    }\n}\n")
    shutil.copy(WAYPOST, tmp_path / "waypost")

    def run(*args):
        p = subprocess.run([tmp_path / "waypost", *args], cwd=tmp_path, text=True, capture_output=True, timeout=20)
        return p.returncode, p.stdout + p.stderr
    run.path = tmp_path
    return run


def test_without_the_module(alone):
    code, text = alone("check", "-conf", "Corefile")
    assert code == 1 and text.startswith("Corefile:3: tls: TLS provider wolfssl: ")
    assert "no module waypost-tls-wolfssl.so beside the program or at /" in text and "(build with libwolfssl-dev, and" in text
    code, text = alone("-tls-provider", "wolfssl")
    assert code == 1 and text.startswith("-tls-provider: TLS provider wolfssl: ")
    code, text = alone("-version")
    assert code == 0 and "TLS: openssl 3." in text and "GPL" not in text


def test_a_module_of_another_build(alone):
    source = alone.path / "other.c"
    source.write_text("const unsigned wp_tls_wolfssl[64] = {4711};\n")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", alone.path / "waypost-tls-wolfssl.so", source], check=True)
    code, text = alone("check", "-conf", "Corefile")
    assert code == 1 and "made for version 4711 of wp_tls_wolfssl, this program has " in text


def test_a_module_that_is_none(alone):
    (alone.path / "waypost-tls-wolfssl.so").write_text("rubbish")
    code, text = alone("check", "-conf", "Corefile")
    assert code == 1 and "waypost-tls-wolfssl.so: " in text and os.fspath(alone.path) in text
