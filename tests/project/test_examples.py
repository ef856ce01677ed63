"""Every example that a README shows loads."""
import os
import re
import subprocess

import pytest
import source
from server import WAYPOST

FENCE = re.compile(r"^```corefile\n(.*?)^```$", re.M | re.S)


def examples():
    for path in source.files(".md"):
        for n, text in enumerate(FENCE.findall(source.read(path)), 1):
            yield pytest.param(path, text, id=f"{os.path.dirname(path) or 'README'}-{n}")


def make_certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=x",
                    "-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"], check=True, capture_output=True)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cert")
    make_certificate(folder)
    return folder


def test_there_are_examples():
    assert len(list(examples())) >= 35


@pytest.mark.parametrize("path, text", examples())
def test_example_loads(path, text, tmp_path, certificate):
    """Absolute paths of an example are led into the test's folder; certificates are put where it names them."""
    conf = re.sub(r"(?<![\w:/.-])/(etc|var|usr|srv|run|path)(?=/)", str(tmp_path) + r"/\1", text)
    for word in re.findall(r"[^\s{}\"]+\.(?:pem|crt|key)\b", conf):
        at = tmp_path / word
        os.makedirs(at.parent, exist_ok=True)
        at.write_bytes((certificate / ("key.pem" if "key" in at.name else "cert.pem")).read_bytes())
    for word in re.findall(r"(?:root|state|directory)\s+([^\s{}]+)", conf):
        os.makedirs(tmp_path / word, exist_ok=True)
    if "/etc/resolv.conf" in conf:
        os.makedirs(tmp_path / "etc", exist_ok=True)
        (tmp_path / "etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
    (tmp_path / "Corefile").write_text(conf)
    r = subprocess.run([WAYPOST, "check", "-conf", "Corefile"], cwd=tmp_path, capture_output=True, text=True,
                       env={**os.environ, "HOME": str(tmp_path)}, timeout=20)
    assert r.returncode == 0, f"{path}:\n{text}\n{r.stdout}{r.stderr}"


LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")


def links():
    for path in source.files(".md"):
        for to in LINK.findall(source.read(path)):
            yield pytest.param(path, to, id=f"{path}-{to}")


@pytest.mark.parametrize("path, to", links())
def test_link_leads_somewhere(path, to):
    assert os.path.exists(os.path.join(source.TOP, os.path.dirname(path), to)), f"{path}: {to}"
