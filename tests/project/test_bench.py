"""The benchmark runs: waypost over every transport, one short round."""
import json
import os
import subprocess

import source
from server import TOP

CASES = ("udp", "tcp", "tcp-single", "dot", "dot-single", "dot-handshake", "doh", "doh-single", "doh-get", "grpc")
TLS_CASES = ("handshake", "handshake-rsa", "resumed", "dot", "doh", "dot-large")


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


def test_etcd(tmp_path):
    """The one over etcd, with few keys: it measures what it says, and nothing gets lost."""
    subprocess.run(["cmake", "--build", source.build_dir(), "--target", "load", "puts"], check=True, capture_output=True, timeout=300)
    r = subprocess.run([os.path.join(TOP, "tests/bench/etcd"), "--keys", "2000", "--seconds", "1", "--puts", "300", "--questions", "2000",
                        "--build", source.build_dir(), "--json", str(tmp_path / "out")], capture_output=True, text=True, timeout=120)
    assert os.path.exists(tmp_path / "out"), r.stdout + r.stderr
    out = json.loads((tmp_path / "out").read_text())
    assert out["questions"] >= 1000000 and out["etcd_calls_in_1M_questions"] == 0 == out["own_calls_in_1M_questions"], out
    assert out["puts_samples"] > 0 and out["puts_failed"] == out["puts_lost"] == 0, out
    assert out["asked_wrong"] == 0, out


def test_kubernetes(tmp_path):
    """The one over a cluster, a small one, without CoreDNS: every row is measured, in both encodings."""
    subprocess.run(["cmake", "--build", source.build_dir(), "--target", "load", "waypost-http"], check=True, capture_output=True, timeout=300)
    argv = [os.path.join(TOP, "tests/bench/kubernetes"), "--services", "200", "--endpoints", "2000", "--pods", "2000", "--seconds", "2", "--samples", "20",
            "--rounds", "1", "--each", "0.2", "--settle", "0.4", "--peers", "waypost", "--build", source.build_dir()]
    runs = {form: subprocess.Popen([*argv, "--form", form, "--json", str(tmp_path / form)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for form in ("protobuf", "json")}
    for form, run in runs.items():
        said = run.communicate(timeout=120)[0]
        assert os.path.exists(tmp_path / form) and "wrong" not in said, said
        out = json.loads((tmp_path / form).read_text())["waypost"]
        assert out["updates_done"] > 1000 and out["rss_mb"] > 1 and out["autopath_ratio"] > 0.5 and out["service_to_zone"] > 0.5, out
        assert out["first_s"] < 60 and out["first_pods_s"] < 60 and out["update_p50_ms"] < 1000, out


def test_nomad(tmp_path):
    """The one over an agent, with few services, without CoreDNS: every row is measured."""
    subprocess.run(["cmake", "--build", source.build_dir(), "--target", "load", "waypost-http"], check=True, capture_output=True, timeout=300)
    r = subprocess.run([os.path.join(TOP, "tests/bench/nomad"), "--services", "100", "--instances", "4", "--questions", "50000", "--samples", "20", "--rounds", "1",
                        "--each", "0.2", "--settle", "0.4", "--peers", "waypost", "--build", source.build_dir(), "--json", str(tmp_path / "out")],
                       capture_output=True, text=True, timeout=120)
    assert os.path.exists(tmp_path / "out") and "wrong" not in r.stderr, r.stdout + r.stderr
    out = json.loads((tmp_path / "out").read_text())["waypost"]
    assert out["requests"] == 0 and out["questions"] >= 50000, out
    assert out["memory_mb"] < 30 and out["change_p50_ms"] < 1000 and out["service_to_zone"] > 0.3, out


def test_tls(tmp_path):
    """The one of the TLS libraries: every case with each of them."""
    subprocess.run(["cmake", "--build", source.build_dir(), "--target", "load", "waypost-tls-wolfssl"], check=True, capture_output=True, timeout=300)
    r = subprocess.run([os.path.join(TOP, "tests/bench/tls"), "--rounds", "1", "--seconds", "0.1", "--names", "100", "--connections", "20",
                        "--build", source.build_dir(), "--json", str(tmp_path / "rows")], capture_output=True, text=True, timeout=120)
    assert r.returncode == 0, r.stdout + r.stderr
    rows = [json.loads(line) for line in (tmp_path / "rows").read_text().splitlines()]
    assert {(row["case"], row["library"]) for row in rows} == {(c, x) for c in (*TLS_CASES, "memory") for x in ("openssl", "wolfssl")}
    assert all(row["answers"] > 0 for row in rows if row["case"] != "memory")
