"""Zone transfers, message by message, as a client takes them."""
import socket
import struct

import clients
import dns.rdatatype
import wire


def soa(serial, owner="example.org"):
    rdata = wire.name("a") + wire.name("b") + struct.pack(">5I", serial, 1, 1, 1, 1)
    return wire.name(owner) + struct.pack(">HHIH", 6, 1, 0, len(rdata)) + rdata


def ixfr(qname, serial, **kw):
    """The question of a client that has this serial."""
    q = wire.query(qname, "IXFR", **kw)
    return q[:8] + b"\0\1" + q[10:] + soa(serial)


def connect(port, tls=False, host="127.0.0.1", source=None, rcvbuf=None):
    s = socket.socket()
    if rcvbuf:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
    if source:
        s.bind((source, 0))
    s.settimeout(30)
    s.connect((host, port))
    return clients.context(["dot"]).wrap_socket(s) if tls else s


class Transfer:
    """One that has been asked for on a connection. Records are counted by the headers; the end is the second SOA, seen
    by the numbers at its end, so that a large zone need not be parsed."""

    def __init__(self, s, msg, qid=7):
        self.f, self.messages, self.n = s.makefile("rb", 1 << 17), [], 0
        self.tail = self.serial = None
        s.sendall(wire.framed(wire.with_id(msg, qid)))

    def next(self):
        m = self.f.read(struct.unpack(">H", self.f.read(2) or b"\0\0")[0])
        if not m:
            raise EOFError(f"after {self.n} records")
        if self.tail is None:
            answer = wire.parse_apart(m).answer
            assert answer and answer[0].rdtype == dns.rdatatype.SOA, f"rcode {wire.rcode(m)}"
            s = answer[0][0]
            self.tail = struct.pack(">5I", s.serial, s.refresh, s.retry, s.expire, s.minimum)
            self.serial = s.serial
        self.messages.append(m)
        self.n += struct.unpack_from(">H", m, 6)[0]
        return m

    def is_done(self, m):
        end = m[:-11] if struct.unpack_from(">H", m, 10)[0] else m
        return end.endswith(self.tail) and self.n > 1

    def all(self):
        while not self.is_done(self.next()):
            pass
        return self

    def records(self):
        """(owner, type, TTL, data) in the order of the wire."""
        return [(r.name, r.rdtype, r.ttl, r[0]) for m in self.messages for r in wire.parse_apart(m).answer]

    def walk(self):
        """(owner's text, type, rdata's octets) of every record: for zones that take dnspython minutes."""
        for m in self.messages:
            known, n, at = {}, struct.unpack_from(">H", m, 6)[0], 12

            def name(at):
                begin, text = at, []
                while m[at] and m[at] < 0xc0:
                    text.append(m[at + 1:at + 1 + m[at]].decode("latin-1"))
                    at += m[at] + 1
                if m[at]:
                    to = (m[at] & 0x3f) << 8 | m[at + 1]
                    text.append(known[to] if to in known else name(to)[0])
                known[begin] = out = ".".join(t for t in text if t) + ("" if m[at] else ".")
                return out, at + (2 if m[at] else 1)

            at = name(at)[1] + 4
            for _ in range(n):
                owner, at = name(at)
                rtype, _, _, rdlen = struct.unpack_from(">HHIH", m, at)
                yield owner, rtype, m[at + 10:at + 10 + rdlen]
                at += 10 + rdlen

    def texts(self):
        return [f"{n.to_text()} {ttl} {dns.rdatatype.to_text(t)} {r.to_text()}" for n, t, ttl, r in self.records()]


def axfr(port, qname="example.org", **kw):
    """The whole of it."""
    with connect(port, **kw) as s:
        return Transfer(s, wire.query(qname, "AXFR")).all()
