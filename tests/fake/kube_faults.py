"""What can befall a request to the API server of kube_api.py: each makes a `what` for KubeApi.fault()."""
import asyncio
import json

from kube_encode import status as status_object


async def _whole(a, code, body, content_type, headers=()):
    await a.head(code, [("content-type", content_type), *headers], len(body))
    await a.data(body)
    await a.end()


def status(code, reason="InternalError", message="on demand", retry_after=None):
    async def what(a, asked, serve):
        body = json.dumps(status_object(code, reason, message)).encode()
        await _whole(a, code, body, "application/json", [("retry-after", str(retry_after))] if retry_after is not None else [])
    return what


def delay(seconds):
    """The right answer, late."""
    async def what(a, asked, serve):
        await asyncio.sleep(seconds)
        await serve(a)
    return what


def body(octets, content_type="application/json", code=200, headers=()):
    """Any answer at all."""
    async def what(a, asked, serve):
        await _whole(a, code, octets, content_type, headers)
    return what


def html():
    return body(b"<!DOCTYPE html><html><head><title>Please log in</title></head><body>" + b"<p>no</p>" * 100 + b"</body></html>", "text/html")


def redirect(url):
    return body(b"", "text/plain", 302, [("location", url)])


def close():
    """The connection ends before an answer."""
    async def what(a, asked, serve):
        a.cut()
    return what


def hang():
    """Never an answer."""
    async def what(a, asked, serve):
        await asyncio.sleep(86400)
    return what


def silent():
    """The head of an answer, and nothing more."""
    async def what(a, asked, serve):
        await a.head(200, [("content-type", "application/json")])
        await asyncio.sleep(86400)
    return what


class _Through:
    """An answer on its way, which may be cut or slowed down."""

    def __init__(self, a):
        self.a, self.is_h2 = a, a.is_h2

    async def head(self, *args):
        await self.a.head(*args)

    async def data(self, octets):
        await self.a.data(octets)

    async def end(self):
        await self.a.end()


class _Torn(_Through):
    def __init__(self, a, left):
        super().__init__(a)
        self.left = left

    async def data(self, octets):
        await self.a.data(octets[:self.left])
        self.left -= len(octets)
        if self.left <= 0:
            await asyncio.sleep(0.05)  # what was written goes out
            self.a.cut()
            await asyncio.sleep(86400)


class _Slow(_Through):
    def __init__(self, a, octets, seconds):
        super().__init__(a)
        self.n, self.seconds = octets, seconds

    async def data(self, octets):
        for at in range(0, len(octets), self.n):
            await self.a.data(octets[at:at + self.n])
            await asyncio.sleep(self.seconds)


class _Typed(_Through):
    def __init__(self, a, content_type):
        super().__init__(a)
        self.type = content_type

    async def head(self, code, headers=(), length=None):
        await self.a.head(code, [(k, v) for k, v in headers if k != "content-type"] + [("content-type", self.type)], length)


def torn(octets):
    """The right answer up to so many octets of its body, then the connection is cut."""
    async def what(a, asked, serve):
        await serve(_Torn(a, octets))
    return what


def drip(octets=1, seconds=0.0):
    """The right answer in pieces of so many octets, with a rest after each."""
    async def what(a, asked, serve):
        await serve(_Slow(a, octets, seconds))
    return what


def typed(content_type):
    """The right answer under a wrong name."""
    async def what(a, asked, serve):
        await serve(_Typed(a, content_type))
    return what


def endless(octets=b"x" * 65536, head=b'{"type":"ADDED","object":{"metadata":{"name":"'):
    """One line without end."""
    async def what(a, asked, serve):
        await a.head(200, [("content-type", "application/json")])
        await a.data(head)
        while True:
            await a.data(octets)
    return what


def garbage(count, piece=b"\x00\xff{]\"\\u\n" * 8192):
    """So many octets that mean nothing."""
    async def what(a, asked, serve):
        await a.head(200, [("content-type", "application/json")])
        for at in range(0, count, len(piece)):
            await a.data(piece[:count - at])
        await a.end()
    return what
