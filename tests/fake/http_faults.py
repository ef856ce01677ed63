"""What can befall a request to any of the HTTP servers here. Each makes a `what`: a coroutine function (a, asked, serve), where
`a` is what answers go to (http_wire.py), `asked` the request, and serve(a) the right answer."""
import asyncio


async def whole(a, code, body, content_type="application/json", headers=()):
    await a.head(code, [("content-type", content_type), *headers], len(body))
    await a.data(body)
    await a.end()


def body(octets, content_type="application/json", code=200, headers=()):
    """Any answer at all."""
    async def what(a, asked, serve):
        await whole(a, code, octets, content_type, headers)
    return what


def html(code=200):
    page = b"<!DOCTYPE html><html><head><title>Please log in</title></head><body>" + b"<p>no</p>" * 100 + b"</body></html>"
    return body(page, "text/html", code)


def redirect(url, code=302):
    return body(b"", "text/plain", code, [("location", url)])


def delay(seconds):
    """The right answer, late."""
    async def what(a, asked, serve):
        await asyncio.sleep(seconds)
        await serve(a)
    return what


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


class Through:
    """An answer on its way, which may be cut, slowed down or changed."""

    def __init__(self, a):
        self.a, self.is_h2 = a, a.is_h2

    def __getattr__(self, name):
        return getattr(self.a, name)

    async def head(self, *args):
        await self.a.head(*args)

    async def data(self, octets):
        await self.a.data(octets)

    async def end(self):
        await self.a.end()


class _Torn(Through):
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


class _Slow(Through):
    def __init__(self, a, octets, seconds):
        super().__init__(a)
        self.n, self.seconds = octets, seconds

    async def data(self, octets):
        for at in range(0, len(octets), self.n):
            await self.a.data(octets[at:at + self.n])
            await asyncio.sleep(self.seconds)


class _Headed(Through):
    def __init__(self, a, headers):
        super().__init__(a)
        self.headers = {k.lower(): v for k, v in headers.items()}

    async def head(self, code, headers=(), length=None):
        kept = [(k, v) for k, v in headers if k.lower() not in self.headers]
        await self.a.head(code, kept + [(k, v) for k, v in self.headers.items() if v is not None], length)


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


def headers(**changed):
    """The right answer with other headers, "_" for "-"; None: without that one."""
    changed = {k.replace("_", "-"): v for k, v in changed.items()}

    async def what(a, asked, serve):
        await serve(_Headed(a, changed))
    return what


def typed(content_type):
    """The right answer under a wrong name."""
    return headers(content_type=content_type)


def endless(octets=b"x" * 65536, head=b'[{"ID":"'):
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
