"""Certificates for tests, made by openssl(1) once for a run."""
import functools
import hashlib
import os
import subprocess
import tempfile

_dir = tempfile.TemporaryDirectory(prefix="waypost-pki-")
DIR = _dir.name


def path(name):
    return os.path.join(DIR, name)


def _openssl(*args):
    subprocess.run(["openssl", *args], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def _key(name, rsa=False):
    if rsa:
        _openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", path(name + ".key"))
        return
    _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path(name + ".key"))


def ca(name="ca"):
    """A CA: path of its certificate."""
    return _ca(name)


@functools.lru_cache(maxsize=None)
def _ca(name):
    _key(name)
    _openssl("req", "-x509", "-new", "-key", path(name + ".key"), "-days", "30", "-subj", f"/CN={name}",
             "-out", path(name + ".pem"))
    return path(name + ".pem")


def cert(name, issuer="ca", usage="serverAuth", days=30, rsa=False, san=None, from_to=None):
    """(certificate, key) signed by the CA; the key is of P-256 unless said. from_to: years, each its first day."""
    return _cert(name, issuer, usage, days, rsa, san, from_to)


@functools.lru_cache(maxsize=None)
def _cert(subject, issuer, usage, days, rsa, san, from_to):
    """Each in files of its own: somebody else uses another one of the same name."""
    ca(issuer)
    name = subject.replace("*", "star") + "-" + hashlib.sha256(repr((issuer, usage, days, rsa, san, from_to)).encode()).hexdigest()[:12]
    _key(name, rsa)
    _openssl("req", "-new", "-key", path(name + ".key"), "-subj", f"/CN={subject}", "-out", path(name + ".csr"))
    with open(path(name + ".ext"), "w") as f:
        f.write(f"basicConstraints=CA:FALSE\nextendedKeyUsage={usage}\nsubjectAltName={san or f'DNS:{subject},IP:127.0.0.1'}\n")
    if days > 0 and from_to is None:
        _openssl("x509", "-req", "-in", path(name + ".csr"), "-CA", path(issuer + ".pem"), "-CAkey",
                 path(issuer + ".key"), "-CAcreateserial", "-days", str(days), "-extfile", path(name + ".ext"), "-out",
                 path(name + ".pem"))
    else:
        _dated(name, issuer, *(from_to or (2020, 2021)))
    return path(name + ".pem"), path(name + ".key")


def _dated(name, issuer, first, last):
    """A certificate of other times: `openssl x509` of 3.0 cannot choose them, `openssl ca` can."""
    base = path(name + ".ca")
    os.makedirs(base, exist_ok=True)
    open(os.path.join(base, "index.txt"), "w").close()
    with open(os.path.join(base, "conf"), "w") as f:
        f.write(f"[ca]\ndefault_ca=d\n[d]\ndatabase={base}/index.txt\nnew_certs_dir={base}\nserial={base}/serial\n"
                "default_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n")
    with open(os.path.join(base, "serial"), "w") as f:
        f.write("1000\n")
    _openssl("ca", "-batch", "-config", os.path.join(base, "conf"), "-in", path(name + ".csr"), "-cert",
             path(issuer + ".pem"), "-keyfile", path(issuer + ".key"), "-startdate", f"{first}0101000000Z", "-enddate",
             f"{last}0101000000Z", "-extfile", path(name + ".ext"), "-out", path(name + ".pem"), "-notext")


def ocsp(name):
    """A fresh OCSP response that calls the certificate good, as octets."""
    pem, _ = cert(name)
    serial = subprocess.run(["openssl", "x509", "-in", pem, "-noout", "-serial"], check=True, capture_output=True,
                            text=True).stdout.strip().split("=")[1]
    with open(path("index.txt"), "w") as f:
        f.write(f"V\t300101000000Z\t\t{serial}\tunknown\t/CN={name}\n")
    out = path("response.der")
    _openssl("ocsp", "-index", path("index.txt"), "-rsigner", path("ca.pem"), "-rkey", path("ca.key"), "-CA", path("ca.pem"),
             "-issuer", path("ca.pem"), "-cert", pem, "-ndays", "2", "-noverify", "-no_nonce", "-respout", out)
    with open(out, "rb") as f:
        return f.read()
