"""nomad: TLS in both directions and its rotation, the environment, tokens in files, checks of instances, weights."""
import base64
import os
import shutil

import nomads
import pki
import pytest
from nomad import allocation
from server import Waypost, wait_for

SOLO = ["10.1.0.3"]
NAME = "server.global.nomad"  # in the certificates of servers: no address matches it


def server_cert(issuer="ca"):
    return pki.cert(NAME if issuer == "ca" else f"{issuer}.{NAME}", issuer=issuer, san=f"DNS:{NAME}")


def client_cert(name="gateway", issuer="clients"):
    return pki.cert(name, issuer=issuer, usage="clientAuth")


def secure_region():
    return nomads.region(tls=server_cert(), client_ca=pki.ca("clients"))


def put(path, octets):
    """As whoever rotates secrets does it: never a file that is half written."""
    with open(path + ".new", "wb") as f:
        f.write(octets)
    os.rename(path + ".new", path)


def copy(source, path):
    with open(source, "rb") as f:
        put(path, f.read())


def answers(w):
    return nomads.addresses(w, "solo.default") == SOLO


def test_certificates_of_lines_and_their_rotation(tmp_path):
    cert, key, ca = (str(tmp_path / n) for n in ("cert", "key", "ca"))
    copy(client_cert()[0], cert)
    copy(client_cert()[1], key)
    copy(pki.ca(), ca)
    with secure_region() as n, nomads.gateway(n, f"tls {cert} {key} {ca}\ntls_servername {NAME}") as w:
        wait_for(lambda: answers(w))
        n.context.load_cert_chain(*server_cert("second"))  # both sides change to other CAs
        n.context.load_verify_locations(pki.ca("later"))
        copy(pki.ca("second"), ca)
        copy(client_cert("later-gateway", "later")[0], cert)
        copy(client_cert("later-gateway", "later")[1], key)
        n.agents[0].cut()
        n.register("late", "default", "10.9.0.1", 1)
        nomads.wait_answers(w, "late.default", ["10.9.0.1"], seconds=60)
        w.says("have changed")


@pytest.mark.parametrize("how", ["file", "folder", "unverified"])
def test_certificates_of_the_environment(how, tmp_path):
    env = {"NOMAD_CLIENT_CERT": client_cert()[0], "NOMAD_CLIENT_KEY": client_cert()[1], "NOMAD_TLS_SERVER_NAME": NAME}
    shutil.copy(pki.ca(), tmp_path / "of-any-name")
    env.update({"file": {"NOMAD_CACERT": pki.ca()}, "folder": {"NOMAD_CAPATH": str(tmp_path)},
                "unverified": {"NOMAD_SKIP_VERIFY": "true"}}[how])
    with secure_region() as n, nomads.gateway(n, address="", env={"NOMAD_ADDR": n.url + "/ui/", **env}) as w:
        wait_for(lambda: answers(w))


# what is wrong -> options, what the log says of it
REFUSED = {
    "no certificate of ours": ("tls {ca}\ntls_servername " + NAME, "[WARNING] plugin/nomad: 127.0.0.1:"),  # the peer may just close
    "a CA that does not know it": ("tls {cert} {key} {other}\ntls_servername " + NAME, "certificate"),
    "its address is not in it": ("tls {cert} {key} {ca}", "127.0.0.1"),
    "a file that is not there": ("tls {cert} {key} /nowhere/ca.pem", "/nowhere/ca.pem"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_tls_refused(what):
    options, said = REFUSED[what]
    cert, key = client_cert()
    with secure_region() as n, nomads.gateway(n, options.format(cert=cert, key=key, ca=pki.ca(), other=pki.ca("other"))) as w:
        wait_for(lambda: said in w.output())
        assert nomads.answer(w, "solo.default").rcode == "SERVFAIL"
        assert not n.requests


def test_user_of_the_environment():
    with nomads.region() as n:
        n.agents[0].set(basic="Basic " + base64.b64encode(b"user:pass word").decode())
        with nomads.gateway(n, env={"NOMAD_HTTP_AUTH": "user:pass word"}) as w:
            wait_for(lambda: answers(w))
            assert "pass" not in w.output()


def test_token_is_rotated(tmp_path):
    """A mounted secret: the folder behind a link is another one from now on. What was begun with the old token is begun anew."""
    for i, token in enumerate(("first", "second")):
        os.mkdir(tmp_path / token)
        (tmp_path / token / "token").write_text(token + "\n")
    os.symlink("first", tmp_path / "data")
    with nomads.region(acl=True) as n:
        n.token("first", "default")
        with nomads.gateway(n, f"token_file {tmp_path}/data/token") as w:
            wait_for(lambda: answers(w))
            n.token("second", "default", "ops")
            os.symlink("second", tmp_path / "new")
            os.rename(tmp_path / "new", tmp_path / "data")
            nomads.wait_answers(w, "web.ops", ["10.2.0.1"], seconds=60)
            wait_for(lambda: n.asked("services")[-1].token == "second")
            assert "first" not in w.output() and "second" not in w.output()


@pytest.mark.parametrize("env, options, said", [
    ({"NOMAD_CLIENT_CERT": "/c"}, "", "Both client cert and client key must be provided"),
    ({"NOMAD_ADDR": "http://user:secret@a b"}, "", "invalid address 'http://***@a b'"),
    ({"NOMAD_TOKEN": "a\nb"}, "", "control character"),
    ({}, "token secret\ntoken_file /x", "token"),
], ids=["half-a-pair", "address", "token", "two-tokens"])
def test_start_is_refused(env, options, said):
    w = Waypost(nomads.corefile("", options, address=""), env=env, wait=False)
    try:
        assert w.proc.wait(20) != 0
        assert said in w.output() and "secret" not in w.output()
    finally:
        w.kill()


# --- checks ----------------------------------------------------------------------------------------


def allocations(n, k, name="checked"):
    """k instances, an allocation each."""
    ids = [allocation(900 + i) for i in range(k)]
    for i, alloc in enumerate(ids):
        n.register(name, "default", f"10.7.0.{i + 1}", 80, alloc=alloc)
    return ids


def test_health():
    with nomads.region() as n:
        one, two, three = allocations(n, 3)
        n.checks(one, checked="failure")
        n.checks(two, checked="pending")  # the third one has no checks
        with nomads.gateway(n, "health 1s\nttl 1") as w:
            nomads.wait_answers(w, "checked.default", ["10.7.0.2", "10.7.0.3"], seconds=30)
            n.checks(one, checked="success")
            n.checks(two, checked="failure", other="success")
            nomads.wait_answers(w, "checked.default", ["10.7.0.1", "10.7.0.3"], seconds=30)
            n.checks(one, checked="failure")
            n.checks(three, checked="failure")
            wait_for(lambda: len(nomads.addresses(w, "checked.default")) == 3, 90)  # nobody is well
            assert nomads.answer(w, "checked.default").ede == 0
            n.checks(three, checked="success")
            nomads.wait_answers(w, "checked.default", ["10.7.0.3"], seconds=30)
            assert nomads.answer(w, "checked.default").ede is None
            assert nomads.metric(w, f'waypost_nomad_failing{{source="127.0.0.1:{n.port}"}}') == 2
            assert n.asked("checks")[-1].query["namespace"] == "default"


def test_health_that_may_not_be_read():
    """Refused: an instance whose check fails counts as well, and the log says why."""
    with nomads.region() as n:
        one, two = allocations(n, 2)
        n.checks(one, checked="failure")
        n.agents[0].fault(nomads.faults.denied(), "checks", times=None)
        with nomads.gateway(n, "health 1s") as w:
            wait_for(lambda: "checks of allocations may not be read" in w.output())
            assert nomads.addresses(w, "checked.default") == ["10.7.0.1", "10.7.0.2"]
            n.agents[0].heal()
            nomads.wait_answers(w, "checked.default", ["10.7.0.2"], seconds=90)


def test_health_is_off():
    with nomads.region() as n:
        one, = allocations(n, 1)
        n.checks(one, checked="failure")
        with nomads.gateway(n) as w:
            wait_for(lambda: nomads.addresses(w, "checked.default") == ["10.7.0.1"])
            assert not n.asked("checks")


def test_weights():
    with nomads.region() as n:
        n.register("weighed", "default", "10.8.0.1", 80, tags=["dns-priority=5", "dns-weight=200"])
        n.register("weighed", "default", "10.8.0.2", 81, tags=["dns-weight=70000"])
        with nomads.gateway(n, "weights") as w:
            wait_for(lambda: answers(w))
            got = nomads.answer(w, "weighed.default", "SRV").answer
            assert sorted(r.split(" SRV ")[1].rsplit(" ", 1)[0] for r in got) == ["10 10 81", "5 200 80"]
            wait_for(lambda: "tag dns-weight=70000 is passed over" in w.output())
