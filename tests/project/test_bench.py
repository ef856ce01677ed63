"""The benchmark runs: waypost over every transport, one short round."""
import json
import os
import subprocess

import source
from server import TOP

CASES = ("udp", "tcp", "tcp-single", "dot", "dot-single", "dot-handshake", "doh", "doh-single", "doh-get", "grpc")


def test_one_round(tmp_path):
    """The binaries are the build's; the generator is built there if nobody has."""
    subprocess.run(["cmake", "--build", source.build_dir(), "--target", "load"], check=True, capture_output=True, timeout=300)
    r = subprocess.run([os.path.join(TOP, "tests/bench/run"), "--rounds", "1", "--seconds", "0.1", "--names", "1000", "--peers", "waypost",
                        "--build", source.build_dir(), "--json", str(tmp_path / "rows")], capture_output=True, text=True, timeout=120)
    assert r.returncode == 0, r.stdout + r.stderr
    rows = [json.loads(line) for line in (tmp_path / "rows").read_text().splitlines()]
    assert [row["case"] for row in rows] == list(CASES)
    for row in rows:
        assert row["answers"] > 0 and row["wrong"] == 0, row
