#!/usr/bin/python3
"""http_server.py DIR: an HTTP server that misbehaves on demand, for tests of HTTP clients.

DIR holds cert.pem and key.pem, and of the other listeners NAME.pem and NAME.key. Prints one line
"NAME=PORT ..." for the listeners: plain, tls (HTTP/2 or 1.1, by ALPN), expired, wrong (a name that
nobody asks for), stranger (another CA), client (wants a certificate of ca.pem); and makes the socket DIR/sock.
It ends with its standard input. The path says what a request gets, see PATHS; each answer tells in x-connection which
connection it came by. The plain listener is also a proxy (CONNECT, and absolute URLs, answered like any)."""
import asyncio
import gzip
import ssl
import sys
import zlib

import h2.config
import h2.connection
import h2.events
import h2.exceptions
from torn import abort

connections = 0
hold = asyncio.Event()  # /hold waits for a request for /release


class Request:
    def __init__(self, method, path, headers, body=b""):
        self.method, self.path, self.headers, self.body = method, path, headers, body


class Plain:
    """Answers over HTTP/1.1."""

    def __init__(self, writer, number):
        self.w, self.number, self.chunked = writer, number, False
        self.is_h2 = False

    async def head(self, status, headers=(), length=None):
        lines = [f"HTTP/1.1 {status} X", f"x-connection: {self.number}"]
        self.chunked = length is None
        lines += ["transfer-encoding: chunked"] if self.chunked else [f"content-length: {length}"]
        lines += [f"{k}: {v}" for k, v in headers]
        self.w.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        await self.w.drain()

    async def data(self, octets):
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

    def __init__(self, conn, sid):
        self.conn, self.sid, self.number = conn, sid, conn.number
        self.is_h2 = True

    async def head(self, status, headers=(), length=None):
        more = [] if length is None else [("content-length", str(length))]
        self.conn.c.send_headers(self.sid, [(":status", str(status)), ("x-connection", str(self.number)), *more, *headers])
        await self.conn.flush()

    async def data(self, octets):
        while octets:
            room = min(self.conn.c.local_flow_control_window(self.sid), self.conn.c.max_outbound_frame_size)
            if room <= 0:
                self.conn.window.clear()
                await self.conn.window.wait()
                continue
            self.conn.c.send_data(self.sid, octets[:room])
            octets = octets[room:]
            await self.conn.flush()

    async def end(self):
        self.conn.c.end_stream(self.sid)
        await self.conn.flush()

    def cut(self):
        abort(self.conn.w.transport)


# --- what paths do ---------------------------------------------------------------------------

async def whole(a, status, body, headers=()):
    await a.head(status, headers, len(body))
    if body:
        await a.data(body)
    await a.end()


async def hello(a, r, args):
    await whole(a, 200, b"hello", [("content-type", "text/plain"), ("x-more", "of this")])


async def echo(a, r, args):
    lines = [f"{r.method} {r.path}"] + sorted(f"{k}: {v}" for k, v in r.headers)
    await whole(a, 200, "\n".join(lines).encode() + b"\n\n" + r.body)


async def status(a, r, args):
    await whole(a, int(args["n"]), b"body", [("content-type", "application/json"), ("retry-after", args.get("after", "7"))])


async def redirect(a, r, args):
    await whole(a, 302, b"there", [("location", "/hello")])


async def pieces(a, r, args):
    await a.head(200)
    for i in range(int(args["n"])):
        await a.data(f"piece {i}\n".encode())
        await asyncio.sleep(int(args.get("ms", 1)) / 1000)
    await a.end()


async def big(a, r, args):
    n = int(args["n"])
    await a.head(200, (), n)
    for at in range(0, n, 16384):
        await a.data(bytes((at >> 14) & 0xff for _ in range(1)) * min(16384, n - at))
    await a.end()


async def torn(a, r, args):
    await a.head(200, (), 100)
    await a.data(b"0123456789")
    await asyncio.sleep(0.02)
    a.cut()


async def torn_chunk(a, r, args):
    await a.head(200)
    await a.data(b"0123456789")
    await asyncio.sleep(0.02)
    a.cut()


async def hang(a, r, args):
    await asyncio.sleep(3600)


async def drip(a, r, args):
    await a.head(200)
    await a.data(b"first\n")
    await asyncio.sleep(3600)


async def freeze(a, r, args):
    """Nobody hears from this connection any more, but it stays open."""
    a.conn.frozen = True
    await asyncio.sleep(3600)


async def held(a, r, args):
    await hold.wait()
    await whole(a, 200, b"held")


async def release(a, r, args):
    hold.set()
    await whole(a, 200, b"released")


async def early(a, r, args):
    await a.raw(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nx-more: not this\r\n\r\n")
    await hello(a, r, args)


async def endless_headers(a, r, args):
    await a.raw(b"HTTP/1.1 200 OK\r\n")
    while True:
        await a.raw(b"x-again: and again and again and again\r\n" * 50)


async def long_header(a, r, args):
    await a.raw(b"HTTP/1.1 200 OK\r\nx-long: ")
    while True:
        await a.raw(b"a" * 4096)


async def endless_early(a, r, args):
    while True:
        await a.raw(b"HTTP/1.1 103 Early Hints\r\nx-more: again and again\r\n\r\n" * 50)


async def silent(a, r, args):
    a.cut()


async def garbage(a, r, args):
    await a.raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    a.w.close()


async def zipped(a, r, args):
    takes = any(k == "accept-encoding" and "gzip" in v for k, v in r.headers)
    body = b"compressed " * 1000
    await whole(a, 200, gzip.compress(body) if takes else b"as it is", [("content-encoding", "gzip")] if takes else [])


async def bomb(a, r, args):
    """Never ends: a thousand octets of zeros for each that is sent."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    await a.head(200, [("content-encoding", "gzip")])
    while True:
        octets = squeeze.compress(bytes(1 << 20))
        if octets:
            await a.data(octets)
        await asyncio.sleep(0)


async def bad_gzip(a, r, args):
    await whole(a, 200, b"\x1f\x8b\x08\x00 this is no deflate stream at all", [("content-encoding", "gzip")])


async def secret(a, r, args):
    """Only for those who know it."""
    ok = dict(r.headers).get("authorization") == "Bearer " + args["token"]
    await whole(a, 200 if ok else 401, b'{"kind":"Status"}')


async def listing(a, r, args):
    """A list as an API server gives it, compressed when that is wanted."""
    body = '{"kind":"List","metadata":{"resourceVersion":"7"},"items":[' + ",".join(
        f'{{"metadata":{{"name":"n{i}"}},"text":"{"}]" * (i % 50)}"}}' for i in range(int(args["n"]))) + ']}'
    takes = any(k == "accept-encoding" and "gzip" in v for k, v in r.headers)
    body = gzip.compress(body.encode()) if takes else body.encode()
    await a.head(200, [("content-type", "application/json")] + ([("content-encoding", "gzip")] if takes else []))
    await a.data(body)
    await a.end()


async def events(a, r, args):
    """A watch: events cut into pieces anywhere, and the end of the connection in the middle of one."""
    text = "".join(f'{{"type":"ADDED","object":{{"n":{i}}}}}\n' for i in range(int(args["n"]))) + '{"type":"DELE'
    await a.head(200, [("content-type", "application/json")])
    for at in range(0, len(text), 7):
        await a.data(text[at:at + 7].encode())
        if at % 140 == 0:
            await asyncio.sleep(0.001)
    a.cut()


PATHS = {"/" + f.__name__.replace("_", "-"): f for f in (
    hello, echo, status, redirect, pieces, big, torn, torn_chunk, hang, drip, freeze, held, release, early, endless_headers, long_header,
    endless_early, silent, garbage, zipped, bomb, bad_gzip, secret, listing, events)}


async def answer(a, r):
    path = r.path
    if "://" in path:
        path = "/" + path.split("://", 1)[1].partition("/")[2]
    path, _, query = path.partition("?")
    args = dict(w.split("=", 1) for w in query.split("&") if "=" in w)
    try:
        if path in PATHS:
            await PATHS[path](a, r, args)
        else:
            await whole(a, 404, b"no such path")
    except (ConnectionError, OSError, h2.exceptions.ProtocolError):
        pass


# --- connections -----------------------------------------------------------------------------

async def tunnel(reader, writer, target):
    host, _, port = target.rpartition(":")
    if host == "refused.test":
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        return
    r2, w2 = await asyncio.open_connection("127.0.0.1", int(port))
    writer.write(b"HTTP/1.1 200 Connected\r\nx-proxy: yes\r\n\r\n")

    async def pump(src, dst):
        try:
            while octets := await src.read(65536):
                dst.write(octets)
                await dst.drain()
        except OSError:
            pass
        dst.close()
    await asyncio.gather(pump(reader, w2), pump(r2, writer))


async def serve_http1(reader, writer, number):
    while line := await reader.readline():
        method, path, _ = line.decode().split(" ", 2)
        headers = []
        while (h := await reader.readline()) not in (b"\r\n", b""):
            name, _, value = h.decode().partition(":")
            headers.append((name.lower(), value.strip()))
        if method == "CONNECT":
            await tunnel(reader, writer, path)
            return
        n = int(dict(headers).get("content-length", 0))
        body = await reader.readexactly(n) if n else b""
        await answer(Plain(writer, number), Request(method, path, headers, body))


class Http2:
    def __init__(self, reader, writer, number):
        self.r, self.w, self.number = reader, writer, number
        self.c = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.window, self.frozen, self.requests, self.tasks = asyncio.Event(), False, {}, {}

    async def flush(self):
        if self.frozen:
            await asyncio.sleep(3600)
        self.w.write(self.c.data_to_send())
        await self.w.drain()

    def event(self, e):
        if isinstance(e, h2.events.RequestReceived):
            h = dict(e.headers)
            rest = [(k, v) for k, v in e.headers]
            self.requests[e.stream_id] = Request(h[":method"], h[":path"], rest)
        elif isinstance(e, h2.events.DataReceived):
            self.requests[e.stream_id].body += e.data
            self.c.acknowledge_received_data(e.flow_controlled_length, e.stream_id)
        elif isinstance(e, h2.events.StreamEnded):
            self.tasks[e.stream_id] = asyncio.create_task(answer(Stream(self, e.stream_id), self.requests.pop(e.stream_id)))
        elif isinstance(e, h2.events.StreamReset):
            self.tasks[e.stream_id].cancel()
        elif isinstance(e, (h2.events.WindowUpdated, h2.events.RemoteSettingsChanged)):
            self.window.set()

    async def run(self):
        self.c.initiate_connection()
        await self.flush()
        while octets := await self.r.read(65536):
            if self.frozen:
                continue
            for e in self.c.receive_data(octets):
                self.event(e)
            await self.flush()
        for t in self.tasks.values():
            t.cancel()


async def serve(reader, writer):
    global connections
    connections += 1
    tls = writer.get_extra_info("ssl_object")
    try:
        if tls is not None and tls.selected_alpn_protocol() == "h2":
            await Http2(reader, writer, connections).run()
        else:
            await serve_http1(reader, writer, connections)
    except (OSError, ValueError, asyncio.IncompleteReadError, h2.exceptions.ProtocolError):
        pass
    finally:
        writer.close()


def context(folder, name, key, alpn=("h2", "http/1.1")):
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(f"{folder}/{name}", f"{folder}/{key}")
    ctx.set_alpn_protocols(list(alpn))
    return ctx


async def main(folder):
    contexts = {"plain": None, "tls": context(folder, "cert.pem", "key.pem")}
    for name in ("expired", "wrong", "stranger"):
        contexts[name] = context(folder, name + ".pem", name + ".key")
    contexts["client"] = context(folder, "cert.pem", "key.pem", ["http/1.1"])
    contexts["client"].verify_mode = ssl.CERT_REQUIRED
    contexts["client"].load_verify_locations(f"{folder}/ca.pem")
    servers = {n: await asyncio.start_server(serve, "127.0.0.1", 0, ssl=c) for n, c in contexts.items()}
    await asyncio.start_unix_server(serve, f"{folder}/sock")
    print(" ".join(f"{n}={s.sockets[0].getsockname()[1]}" for n, s in servers.items()), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.get_event_loop_policy().get_event_loop().set_exception_handler(lambda loop, context: None)
try:
    asyncio.get_event_loop_policy().get_event_loop().run_until_complete(main(sys.argv[1]))
except KeyboardInterrupt:
    pass
