"""CoreDNS's `grpc` forwarder as a client of our gRPC listener: row G25."""
import os
import sys

import pytest
import wire
from server import Process, Waypost, free_port, wait_for

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e"))
import fixture  # noqa: E402


@pytest.mark.parametrize("row", ["G25"])
def test_coredns_forwards_to_us(coredns, tmp_path, row):
    zone = "grpc://waypost.test:{grpc} {\nfile {dir}/db.waypost.test\n}\n"
    with Waypost(zone, files=fixture.FILES) as w:
        port = free_port()
        conf = tmp_path / "Corefile"
        conf.write_text(f".:{port} {{\nbind 127.0.0.1\ngrpc . 127.0.0.1:{w.port['grpc']}\n}}\n")
        with Process([coredns, "-conf", str(conf)]):
            wait_for(lambda: wire.udp(port, wire.A, timeout=0.3))
            for _ in range(20):
                assert wire.sections(wire.udp(port, wire.A))[0] == {"www.waypost.test. A 192.0.2.1"}
            nx = wire.parse(wire.udp(port, wire.NX))
            assert nx.rcode() == 3 and nx.authority
            assert len(wire.tcp(port, wire.query("huge.waypost.test", "TXT"))) > 50000
