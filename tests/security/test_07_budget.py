"""One client holds nine tenths of the connections there may be: another one is served at once."""
import http.client
import socket

import clients
import fixture
import gateway
import http2
import pytest
import server
import wire
from gateway import WWW

BUDGET = 40


@pytest.fixture(scope="module")
def w(tmp_path_factory):
    cert, key = clients.certificate(tmp_path_factory.mktemp("tls"))
    file = "file {dir}/db.waypost.test waypost.test"
    limits = {"tcp": f"timeouts {{\n maxconnections {BUDGET}\n}}", "doh": f"https {{\n max_connections {BUDGET}\n}}",
              "grpc": f"grpc_server {{\n max_connections {BUDGET}\n}}"}
    conf = "".join(f"{scheme}.:{{{port}}} {{\n{tls}\n{limits[limit]}\n{file}\n}}\n" for scheme, port, tls, limit in (
        ("", "dns", "", "tcp"), ("tls://", "tls", f"tls {cert} {key}", "tcp"), ("https://", "https", f"tls {cert} {key}", "doh"),
        ("grpc://", "grpc", "", "grpc")))
    with server.Waypost(conf, files=fixture.FILES) as running:
        yield running


def held(w, transport):
    """A connection that was of use, and stays."""
    if transport == "grpc":
        return http2.connect(w, "grpc")
    c = gateway.client(w, transport)
    assert wire.rcode(c.ask(WWW)) == 0
    return c.c.sock if transport == "doh" else c.s


def served(w, transport, source):
    """Another client's connection, from the handshake to the answer."""
    raw = socket.create_connection(("127.0.0.1", gateway.port(w, transport)), 5, source_address=(source, 0))
    raw.settimeout(5)
    if transport == "grpc":
        with raw:
            raw.sendall(http2.HELLO + http2.request("grpc", 1, WWW))
            got, _ = http2.frames(raw, 5.0, lambda f: f[0] == http2.DATA)
            return any(k == http2.DATA and b"\xc0\0\2\1" in p for k, _, _, p in got)
    with raw if transport == "tcp" else clients.context().wrap_socket(raw) as s:
        if transport == "doh":
            c = http.client.HTTPConnection("127.0.0.1")
            c.sock = s
            c.request("POST", "/dns-query", WWW, {"content-type": "application/dns-message"})
            return wire.rcode(c.getresponse().read()) == 0
        s.sendall(wire.framed(WWW))
        return wire.rcode(wire.read_message(s)) == 0


@pytest.mark.parametrize("row", ["L09"])
@pytest.mark.parametrize("transport", ["tcp", "dot", "doh", "grpc"])
def test_nine_tenths_held_by_one(w, transport, row):
    taken = [held(w, transport) for _ in range(BUDGET * 9 // 10)]
    for source in ("127.0.0.2", "127.0.0.3", "127.0.0.2"):
        assert served(w, transport, source)
    for s in taken:
        s.close()
