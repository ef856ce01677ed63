"""An upstream that does what it is told: answers, late, wrongly, cut, twice, or not at all, over UDP, TCP,
TLS and HTTPS. What it was asked is in `asked`.

    with Resolver(on) as r:      # on(question) says what happens, see below
        ... "forward . 127.0.0.1:%d" % r.port ...

on(q) returns octets to send, None to stay silent, CLOSE to close the connection (streams), or a list
of (seconds, one of these). Without `on` every question gets one address."""
import asyncio
import ssl
import struct
import threading

import h2.config
import h2.connection
import h2.events
from torn import abort

CLOSE = object()


def name(text):
    return b"".join(bytes([len(p)]) + p.encode("latin-1") for p in text.rstrip(".").split(".") if p) + b"\0"


def record(owner, rtype, data, ttl=60, cls=1):
    return owner + struct.pack(">HHIH", rtype, cls, ttl, len(data)) + data


def address(last=77, ttl=60):
    return record(b"\xc0\x0c", 1, bytes([192, 0, 2, last]), ttl)


class Question:
    """A query as it came; `number` counts from 1, `peer` is where it came from."""

    def __init__(self, msg, proto, peer, number):
        self.msg, self.proto, self.peer, self.number = msg, proto, peer, number
        self.id, self.flags = struct.unpack(">2H", msg[:4])
        at, labels = 12, []
        while msg[at]:
            labels.append(msg[at + 1:at + 1 + msg[at]].decode("latin-1"))
            at += 1 + msg[at]
        self.name = ".".join(labels) + "."
        self.type, self.cls = struct.unpack(">2H", msg[at + 1:at + 5])
        self.question = msg[12:at + 5]
        self.rest = msg[at + 5:]
        self.http = {}

    def reply(self, *answers, rcode=0, flags=0x8180, qid=None, question=None, authority=(), additional=(), qd=1):
        """A reply to it; any part can be made wrong."""
        question = self.question if question is None else question
        flags = flags & ~0x011f | self.flags & 0x0110 | rcode  # RD and CD as asked
        head = struct.pack(">6H", self.id if qid is None else qid, flags,
                           qd, len(answers), len(authority), len(additional))
        return head + question + b"".join(answers) + b"".join(authority) + b"".join(additional)


class Resolver:
    def __init__(self, on=None, tls=None, host="127.0.0.1", port=0, silent_tls=False, newest_tls=None):
        """tls: (certificate, key) paths; then `tls_port` and `https_port` are there too. silent_tls: the TLS
        port accepts connections and says nothing. newest_tls: ssl.TLSVersion."""
        self.on = on or (lambda q: q.reply(address()))
        self.host, self.port, self.tls, self.silent_tls, self.newest_tls = host, port, tls, silent_tls, newest_tls
        self.asked, self.connections, self.resumed = [], 0, 0
        self.lock = threading.Lock()
        self.open = set()
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self.thread.start()
        assert ready.wait(10) and self.error is None, self.error

    # --- life --------------------------------------------------------------------------------

    def _run(self, ready):
        asyncio.set_event_loop(self.loop)
        self.error = None
        try:
            self.loop.run_until_complete(self._listen())
        except Exception as e:
            self.error = e
        ready.set()
        if self.error is None:
            self.loop.run_forever()

    async def _listen(self):
        loop = self.loop
        for _ in range(50):  # the same port for both
            udp, _ = await loop.create_datagram_endpoint(lambda: Udp(self), local_addr=(self.host, self.port))
            port = udp.get_extra_info("sockname")[1]
            try:
                self.servers = [await loop.create_server(lambda: Tcp(self, "tcp"), self.host, port)]
                break
            except OSError:
                udp.close()
                assert self.port == 0
        self.udp, self.port = udp, port
        if self.silent_tls:
            self.servers.append(await loop.create_server(lambda: Silent(self), self.host, 0))
            self.tls_port = self.servers[-1].sockets[0].getsockname()[1]
        elif self.tls:
            for attribute, factory, alpn in (("tls_port", lambda: Tcp(self, "tls"), None),
                                             ("https_port", lambda: Doh(self), ["h2"])):
                ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                ctx.load_cert_chain(*self.tls)
                if self.newest_tls:
                    ctx.maximum_version = self.newest_tls
                if alpn:
                    ctx.set_alpn_protocols(alpn)
                self.servers.append(await loop.create_server(factory, self.host, 0, ssl=ctx))
                setattr(self, attribute, self.servers[-1].sockets[0].getsockname()[1])

    def call(self, fn):
        """Run fn on the resolver's thread and wait."""
        done = threading.Event()
        self.loop.call_soon_threadsafe(lambda: (fn(), done.set()))
        assert done.wait(10)

    def close_connections(self):
        self.call(lambda: [c.transport.close() for c in list(self.open)])

    def stop(self):
        def down():
            self.udp.close()
            for s in self.servers:
                s.close()
            for c in list(self.open):
                abort(c.transport)
        if self.thread.is_alive():
            self.call(down)
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join(10)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()

    # --- asking ------------------------------------------------------------------------------

    def names(self, qtype=None):
        with self.lock:
            return [q.name for q in self.asked if qtype is None or q.type == qtype]

    def probes(self):
        """Health checks look like this."""
        with self.lock:
            return [q for q in self.asked if q.type == 2]

    def queries(self):
        with self.lock:
            return [q for q in self.asked if q.type != 2]

    def handle(self, msg, proto, peer, send, close, http=None):
        with self.lock:
            q = Question(msg, proto, peer, len(self.asked) + 1)
            q.http = http or {}
            self.asked.append(q)
        steps = self.on(q)
        if not isinstance(steps, list):
            steps = [(0, steps)]
        for delay, what in steps:
            if what is None:
                continue
            fn, args = (close, ()) if what is CLOSE else (send, (what,))
            if delay == 0:
                fn(*args)
            else:
                self.loop.call_later(delay, fn, *args)


class Udp(asyncio.DatagramProtocol):
    def __init__(self, r):
        self.r = r

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, peer):
        self.r.handle(data, "udp", peer, lambda m: self.transport.sendto(m, peer), lambda: None)


class Stream(asyncio.Protocol):
    def __init__(self, r):
        self.r, self.data = r, b""

    def connection_made(self, transport):
        self.transport = transport
        self.peer = transport.get_extra_info("peername")
        self.r.open.add(self)
        self.r.connections += 1
        tls = transport.get_extra_info("ssl_object")
        self.r.resumed += bool(tls and tls.session_reused)

    def connection_lost(self, exc):
        self.r.open.discard(self)

    def write(self, data):
        if not self.transport.is_closing():
            self.transport.write(data)


class Silent(Stream):
    def data_received(self, data):
        pass


class Tcp(Stream):
    """Length before each message; `raw:` octets are sent as they are."""

    def __init__(self, r, proto):
        super().__init__(r)
        self.proto = proto

    def data_received(self, data):
        self.data += data
        while len(self.data) >= 2:
            n = struct.unpack(">H", self.data[:2])[0]
            if len(self.data) < 2 + n:
                break
            msg, self.data = self.data[2:2 + n], self.data[2 + n:]
            self.r.handle(msg, self.proto, self.peer, self.send, self.transport.close)

    def send(self, msg):
        self.write(msg[4:] if msg[:4] == b"raw:" else struct.pack(">H", len(msg)) + msg)


class Doh(Stream):
    """RFC 8484. Octets that begin with `status:NNN:` are sent with that status."""

    def connection_made(self, transport):
        super().connection_made(transport)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.write(self.h2.data_to_send())
        self.requests = {}

    def data_received(self, data):
        for e in self.h2.receive_data(data):
            if isinstance(e, h2.events.RequestReceived):
                self.requests[e.stream_id] = (dict(e.headers), b"")
            elif isinstance(e, h2.events.DataReceived):
                headers, body = self.requests[e.stream_id]
                self.requests[e.stream_id] = (headers, body + e.data)
                self.h2.acknowledge_received_data(e.flow_controlled_length, e.stream_id)
            elif isinstance(e, h2.events.StreamEnded):
                self.request(e.stream_id)
        self.write(self.h2.data_to_send())

    def request(self, stream):
        import base64
        headers, body = self.requests.pop(stream)
        if headers[":method"] == "GET":
            text = headers[":path"].split("dns=", 1)[1]
            body = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        self.r.handle(body, "https", self.peer, lambda m: self.send(stream, m), self.transport.close, headers)

    def send(self, stream, msg):
        status = "200"
        if msg[:7] == b"status:":
            status, msg = msg[7:10].decode(), msg[11:]
        try:
            self.h2.send_headers(stream, [(":status", status), ("content-type", "application/dns-message")])
            self.h2.send_data(stream, msg, end_stream=True)
        except h2.exceptions.ProtocolError:
            return  # the stream was given up
        self.write(self.h2.data_to_send())
