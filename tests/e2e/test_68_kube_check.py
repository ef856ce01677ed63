"""What `waypost check` notes of the lines of `kubernetes`."""
import subprocess

import pytest
from server import WAYPOST

OLD = "upstream\nupstream 192.0.2.1\nresyncperiod 5m\nresyncperiod 10m\ntransfer to *\ntransfer to 192.0.2.1"


def check(tmp_path, options):
    path = tmp_path / "Corefile"
    path.write_text("cluster.local {\n kubernetes {\n%s\n }\n}\n" % options, encoding="utf-8")
    r = subprocess.run([WAYPOST, "check", "-conf", str(path)], capture_output=True, text=True, timeout=60)
    return r.returncode, r.stdout + r.stderr


@pytest.mark.parametrize("word", ["upstream", "resyncperiod", "transfer"])
def test_old_words_are_noticed_once(tmp_path, word):
    code, text = check(tmp_path, OLD)
    assert code == 0, text
    assert text.count(f": {word} has no effect any more") == 1, text


def test_pods_insecure_is_noted(tmp_path):
    code, text = check(tmp_path, "pods insecure")
    assert code == 0 and text.count("pods insecure answers every address below pod.ZONE") == 1, text
    code, text = check(tmp_path, "pods verified")
    assert code == 0 and "pods insecure" not in text, text


def test_programs_are_refused_by_name(tmp_path):
    config = tmp_path / "config"
    config.write_text("""apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: k, user: me}}]
clusters: [{name: k, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: me, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: aws}}}]
""", encoding="utf-8")
    code, text = check(tmp_path, f"kubeconfig {config}")
    assert code == 1 and "config\": line 6: exec: not supported" in text, text
