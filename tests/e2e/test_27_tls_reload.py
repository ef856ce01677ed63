"""What a reload changes under clients, with both TLS libraries in one process: certificates, and what tickets are worth."""
import shutil
import signal
import socket
import ssl

import clients
import fixture
import pki
import pytest
import wire
from server import Waypost, wait_for

FILES = fixture.FILES
WWW = {"www.waypost.test. A 192.0.2.1"}
LIBRARIES = ["openssl", "wolfssl"]


def block(cert, key, library=None, port="tls", more=""):
    provider = f"provider {library}\n" if library else ""
    return f"tls://waypost.test:{{{port}}} {{\ntls {cert} {key} {{\n{provider}{more}\n}}\nfile {{dir}}/db.waypost.test\n}}\n"


def connect(w, port="tls", ctx=None, session=None):
    raw = socket.create_connection(("127.0.0.1", w.port[port]), 5)
    return (ctx or clients.context(["dot"])).wrap_socket(raw, session=session)


def ask(s):
    s.sendall(wire.framed(wire.A))
    return wire.sections(wire.read_message(s))[0]


# --- certificates ---------------------------------------------------------------------------------------------

def common_name(w, port):
    with connect(w, port) as s:
        der = s.getpeercert(binary_form=True)
    return "two" if b"two.waypost.test" in der else "one"


def put(w, stem, cert, key):
    shutil.copy(key, w.path(stem + ".key"))
    shutil.copy(cert, w.path(stem + ".pem"))


@pytest.mark.parametrize("row", ["S27-S28-by-itself"])
def test_certificates_change_by_themselves(row):
    """Nobody is told: four listeners of one process, two with each library; one of these gets a new certificate,
    the other one rubbish. Old connections go on."""
    (c1, k1), two = pki.cert("one.waypost.test"), pki.cert("two.waypost.test")
    files, text = dict(FILES), ""
    for what in ("new", "bad"):
        for library in LIBRARIES:
            stem = what + library
            files[stem + ".pem"], files[stem + ".key"] = open(c1).read(), open(k1).read()
            text += block(f"{{dir}}/{stem}.pem", f"{{dir}}/{stem}.key", library, stem)
    with Waypost(text, files=files) as w:
        old = {x: connect(w, "new" + x) for x in LIBRARIES}
        assert all(common_name(w, what + x) == "one" for x in LIBRARIES for what in ("new", "bad"))
        for library in LIBRARIES:
            put(w, "new" + library, *two)
            for end in (".pem", ".key"):
                with open(w.path("bad" + library + end), "w") as f:
                    f.write("rubbish\n")
        def taken():  # old connections are kept alive: their idle limit is shorter than the look at the files may take
            assert all(ask(s) == WWW for s in old.values())
            return all(common_name(w, "new" + x) == "two" for x in LIBRARIES)
        wait_for(taken, 25, 0.2)
        wait_for(lambda: all(f"tls://:{w.port['bad' + x]}" in w.output() for x in LIBRARIES), 25, 0.2)
        wait_for(lambda: w.output().count("failed to find any PEM data") == 2)
        assert all(common_name(w, "bad" + x) == "one" for x in LIBRARIES)
        for s in old.values():
            assert ask(s) == WWW
            s.close()


# --- tickets ---------------------------------------------------------------------------------------------------

def reload(w, text):
    done = w.output().count("Reloading complete")
    w.write(text)
    w.kill(signal.SIGUSR1)
    wait_for(lambda: w.output().count("Reloading complete") > done)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["S18-reload-v12", "S18-reload-v13"])
def test_tickets_over_reloads(version):
    """A ticket outlives a reload; after a change of the library it is worth a whole handshake, and no more trouble,
    and it is good again when the library is."""
    pair = pki.cert("one.waypost.test")
    ctx = clients.context(["dot"])
    ctx.maximum_version = version
    sessions = {}
    with Waypost(block(*pair, "openssl"), files=FILES) as w:
        def come(session=None):
            with connect(w, ctx=ctx, session=session) as s:
                assert ask(s) == WWW
                return s.session_reused, s.session
        for library, other in (LIBRARIES, LIBRARIES[::-1]):
            _, sessions[library] = come()
            reload(w, block(*pair, library, more="# again"))
            resumed, sessions[library] = come(sessions[library])
            assert resumed
            reload(w, block(*pair, other))
            assert not come(sessions[library])[0]
        assert come(sessions["openssl"])[0]
