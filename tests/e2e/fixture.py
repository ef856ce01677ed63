"""The fixture of the transports' acceptance tables: zone waypost.test, a back end that answers after a
second, one that never does, a policy that drops. blocks(scheme) gives the Corefile for any listener."""
import socket
import struct
import threading
import time

from server import free_port

BIG = " ".join('"' + "x" * 99 + "%d" % (i % 10) + '"' for i in range(20))


def huge():
    """About 60 kB of TXT in one record set: 235 records of 255 octets."""
    return "".join(f'huge TXT "{i:03d}{"y" * 250}"\n' for i in range(226))


ZONE = f"""$ORIGIN waypost.test.
$TTL 300
@ SOA ns hostmaster 1 3600 600 86400 60
@ 300 NS ns
ns A 192.0.2.53
www A 192.0.2.1
www AAAA 2001:db8::1
zero 0 A 192.0.2.9
long 86400 A 192.0.2.10
alias CNAME www
dangling CNAME nope
big TXT {BIG}
{huge()}"""

FILES = {"db.waypost.test": ZONE}


def blocks(scheme="", options="", port="dns"):
    """Server blocks of the fixture for one scheme; options go into every block."""
    def block(zone, body):
        return f"{scheme}{zone}:{{{port}}} {{\n{options}\n{body}\n}}\n"
    return (block("waypost.test", "file {dir}/db.waypost.test") +
            block("slow.waypost.test", "forward . 127.0.0.1:{xslow}") +
            block("dead.waypost.test", "forward . 127.0.0.1:{xdead}") +
            block("drop.waypost.test", "acl {\n drop\n}\nlocal"))


class Upstream:
    """Answers every A question with 192.0.2.77 after `delay` seconds; None: never."""

    def __init__(self, delay):
        self.delay, self.asked = delay, 0
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.port = free_port()
        self.udp.bind(("127.0.0.1", self.port))
        self.tcp = socket.socket()
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.tcp.bind(("127.0.0.1", self.port))
        self.tcp.listen(64)
        for f in (self.serve_udp, self.serve_tcp):
            threading.Thread(target=f, daemon=True).start()

    def answer(self, msg):
        end = msg.index(b"\0", 12) + 5
        head = msg[:2] + struct.pack(">5H", 0x8180 | (msg[2] & 1) << 8, 1, 1, 0, 0)
        return head + msg[12:end] + b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + bytes([192, 0, 2, 77])

    def later(self, msg, send):
        self.asked += 1
        if self.delay is None:
            return
        def run():
            time.sleep(self.delay)
            try:
                send(self.answer(msg))
            except OSError:
                pass
        threading.Thread(target=run, daemon=True).start()

    def serve_udp(self):
        while True:
            try:
                msg, peer = self.udp.recvfrom(65535)
            except OSError:
                return
            self.later(msg, lambda r, peer=peer: self.udp.sendto(r, peer))

    def serve_tcp(self):
        while True:
            try:
                conn, _ = self.tcp.accept()
            except OSError:
                return
            threading.Thread(target=self.stream, args=(conn,), daemon=True).start()

    def stream(self, conn):
        data = b""
        while True:
            try:
                part = conn.recv(65535)
            except OSError:
                return
            if not part:
                return
            data += part
            while len(data) >= 2 and len(data) >= 2 + struct.unpack(">H", data[:2])[0]:
                n = struct.unpack(">H", data[:2])[0]
                self.later(data[2:2 + n], lambda r: conn.sendall(struct.pack(">H", len(r)) + r))
                data = data[2 + n:]

    def close(self):
        self.udp.close()
        self.tcp.close()


class Upstreams:
    """slow and dead, with their ports for Waypost(ports=...)."""

    def __enter__(self):
        self.slow, self.dead = Upstream(1.0), Upstream(None)
        self.ports = {"xslow": self.slow.port, "xdead": self.dead.port}
        return self

    def __exit__(self, *exc):
        self.slow.close()
        self.dead.close()
