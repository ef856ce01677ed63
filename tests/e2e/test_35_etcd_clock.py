"""The clock on the wall is set while a store is followed: row F33 of the table of failures."""
import etcd
import pytest
import wall
import wire
from server import Waypost, wait_for

CONF = ".:{dns} {\n etcd dev {\n endpoint http://127.0.0.1:%d\n min-lease-ttl 1s\n }\n}\n"


@pytest.fixture(scope="module")
def member():
    with etcd.Member() as m:
        yield m


@pytest.mark.timing
@pytest.mark.parametrize("row", ["F33"])
@pytest.mark.parametrize("step", [3700, -3700], ids=["forwards", "back"])
def test_clock_is_set(member, tmp_path, step, row):
    """What is left of a lease counts down as before, events come as before; only the serial follows."""
    clock = wall.Wall(tmp_path)
    member.client.delete_prefix("/skydns/dev/")
    member.client.put("/skydns/dev/leased", '{"host":"10.0.0.1"}', member.client.grant(100))
    with Waypost(CONF % member.client_port, env=clock.env) as w:
        def ask(name, qtype="A"):
            return wire.parse(wire.udp(w.port["dns"], wire.query(name, qtype)))

        def ttl():
            m = ask("leased.dev")
            return m.answer[0].ttl if m.answer else None

        def serial():
            return ask("dev", "SOA").answer[0][0].serial

        wait_for(lambda: ttl() is not None and ttl() <= 100)
        before = serial()
        clock.set(step)
        assert 60 < ttl() <= 100
        wait_for(lambda: abs(serial() - before - step) < 60)
        assert 60 < ttl() <= 100
        member.client.put("/skydns/dev/new", '{"host":"10.0.0.2"}')
        wait_for(lambda: wire.sections(wire.udp(w.port["dns"], wire.query("new.dev")))[0] == {"new.dev. A 10.0.0.2"}, 5)
        assert ask("nosuch.dev").rcode() == 3
        assert "lost" not in w.output() and "[ERROR]" not in w.output()
