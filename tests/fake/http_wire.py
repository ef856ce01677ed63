"""HTTP/1.1 and HTTP/2 as a server speaks them, for servers that must be able to misbehave: whoever answers has the
connection in hand and may cut it, freeze it, or send octets that no HTTP knows.

    server = await asyncio.start_server(Serve(answer), ...)

answer(a, r): `a` is a Plain or a Stream to answer with, `r` the Request."""
import asyncio

import h2.config
import h2.connection
import h2.events
import h2.exceptions
from torn import abort

MISHAPS = (OSError, ValueError, asyncio.IncompleteReadError, h2.exceptions.ProtocolError)


class Request:
    def __init__(self, method, path, headers, body=b"", connection=0):
        self.method, self.path, self.headers, self.body, self.connection = method, path, headers, body, connection


class Plain:
    """Answers over HTTP/1.1."""

    is_h2 = False

    def __init__(self, writer, number):
        self.w, self.number, self.chunked = writer, number, False

    async def head(self, status, headers=(), length=None):
        self.chunked = length is None
        lines = [f"HTTP/1.1 {status} X"]
        lines += ["transfer-encoding: chunked"] if self.chunked else [f"content-length: {length}"]
        lines += [f"{k}: {v}" for k, v in headers]
        self.w.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        await self.w.drain()

    async def data(self, octets):
        if octets:
            self.w.write(b"%x\r\n%s\r\n" % (len(octets), octets) if self.chunked else octets)
            await self.w.drain()

    async def end(self):
        if self.chunked:
            self.w.write(b"0\r\n\r\n")
            await self.w.drain()

    async def raw(self, octets):
        self.w.write(octets)
        await self.w.drain()

    def cut(self):
        abort(self.w.transport)


class Stream:
    """Answers over HTTP/2."""

    is_h2 = True

    def __init__(self, conn, sid):
        self.conn, self.sid, self.number = conn, sid, conn.number

    async def head(self, status, headers=(), length=None):
        more = [] if length is None else [("content-length", str(length))]
        self.conn.c.send_headers(self.sid, [(":status", str(status)), *more, *headers])
        await self.conn.flush()

    async def data(self, octets):
        octets = memoryview(octets)
        while octets:
            room = min(self.conn.c.local_flow_control_window(self.sid), self.conn.c.max_outbound_frame_size)
            if room <= 0:
                self.conn.window.clear()
                await self.conn.window.wait()
                continue
            self.conn.c.send_data(self.sid, bytes(octets[:room]))
            octets = octets[room:]
            await self.conn.flush()

    async def end(self):
        self.conn.c.end_stream(self.sid)
        await self.conn.flush()

    def cut(self):
        abort(self.conn.w.transport)


class Http2:
    def __init__(self, reader, writer, number, answer):
        self.r, self.w, self.number, self.answer = reader, writer, number, answer
        self.c = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.window, self.frozen, self.requests, self.tasks = asyncio.Event(), False, {}, {}

    async def flush(self):
        if self.frozen:
            await asyncio.sleep(3600)
        self.w.write(self.c.data_to_send())
        await self.w.drain()

    async def _answer(self, sid):
        try:
            await self.answer(Stream(self, sid), self.requests.pop(sid))
        except MISHAPS:
            pass
        finally:
            self.tasks.pop(sid, None)

    def event(self, e):
        if isinstance(e, h2.events.RequestReceived):
            h = dict(e.headers)
            self.requests[e.stream_id] = Request(h[":method"], h[":path"], list(e.headers), b"", self.number)
        elif isinstance(e, h2.events.DataReceived):
            self.requests[e.stream_id].body += e.data
            self.c.acknowledge_received_data(e.flow_controlled_length, e.stream_id)
        elif isinstance(e, h2.events.StreamEnded):
            self.tasks[e.stream_id] = asyncio.create_task(self._answer(e.stream_id))
        elif isinstance(e, h2.events.StreamReset) and e.stream_id in self.tasks:
            self.tasks[e.stream_id].cancel()
        elif isinstance(e, (h2.events.WindowUpdated, h2.events.RemoteSettingsChanged)):
            self.window.set()

    async def run(self):
        self.c.initiate_connection()
        await self.flush()
        try:
            while octets := await self.r.read(65536):
                if self.frozen:
                    continue
                for e in self.c.receive_data(octets):
                    self.event(e)
                await self.flush()
        finally:
            for t in list(self.tasks.values()):
                t.cancel()


class Serve:
    """One for each listener; `connections` that are open: number -> writer."""

    def __init__(self, answer):
        self.answer, self.count, self.connections = answer, 0, {}

    async def __call__(self, reader, writer):
        self.count += 1
        number = self.count
        self.connections[number] = writer
        tls = writer.get_extra_info("ssl_object")
        try:
            if tls is not None and tls.selected_alpn_protocol() == "h2":
                await Http2(reader, writer, number, self.answer).run()
            else:
                await self._http1(reader, writer, number)
        except MISHAPS:
            pass
        finally:
            del self.connections[number]
            writer.close()

    async def _http1(self, reader, writer, number):
        ahead = b""
        while line := ahead + await reader.readline():
            method, path, _ = line.decode().split(" ", 2)
            headers = []
            while (h := await reader.readline()) not in (b"\r\n", b""):
                name, _, value = h.decode().partition(":")
                headers.append((name.lower(), value.strip()))
            n = int(dict(headers).get("content-length", 0))
            body = await reader.readexactly(n) if n else b""
            # A client that goes away while it is answered, for example from a watch, is noticed by its end of the stream.
            answer = asyncio.ensure_future(self.answer(Plain(writer, number), Request(method, path, headers, body, number)))
            gone = asyncio.ensure_future(reader.read(1))
            try:
                await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
                if gone.done() and not gone.result():
                    return
                await answer
                if not gone.done():
                    gone.cancel()
                    await asyncio.wait({gone})
                ahead = b"" if gone.cancelled() else gone.result()
            finally:
                answer.cancel()
                gone.cancel()
