"""How an agent of Nomad answers requests: nomad.py's other half. Runs in the loop of its server."""
import asyncio
import random
import re
import time
import urllib.parse
import zlib

from nomad_filter import Bad, Wrong, compile_filter
from nomad_state import Stream, Wait, short

TEXT = "text/plain; charset=utf-8"
NEVER_MS = 9223372036854  # since a server without a leader has heard from one: the most that Go's time.Duration holds
WAIT_MAX_S = 300.0
DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
TRUE = ("1", "t", "T", "TRUE", "true", "True")
FALSE = ("0", "f", "F", "FALSE", "false", "False")


class Refuse(Exception):
    def __init__(self, code, text):
        super().__init__(text)
        self.code, self.text = code, text


def duration(text):
    """Seconds of a duration in Go's spelling."""
    body = text[1:] if text[:1] in "+-" else text
    if body == "0":
        return 0.0
    parts = DURATION.findall(body)
    if not parts or "".join(n + u for n, u in parts) != body:
        raise Refuse(400, "Invalid wait time")
    seconds = sum(float(n) * UNITS[u] for n, u in parts)
    return -seconds if text[0] == "-" else seconds


class Asked:
    """One request, for assertions. route: what it was for, see Handler.ROUTES; None: nothing that is known."""

    def __init__(self, r, route, agent):
        path, _, text = r.path.partition("?")
        self.raw, self.method, self.connection, self.time, self.agent = r.path, r.method, r.connection, time.monotonic(), agent
        self.path, self.text = urllib.parse.unquote(path), text
        self.segments = [urllib.parse.unquote(s) for s in path.split("/")]
        self.many = urllib.parse.parse_qs(text, keep_blank_values=True)
        self.query = {k: v[0] for k, v in self.many.items()}
        self.headers = dict(r.headers)
        self.route = route
        self.code = None  # what it was answered, once it was

    @property
    def blocking(self):
        return int(self.query.get("index") or 0) > 0

    @property
    def token(self):
        """The secret that it was sent with, as Nomad looks for it."""
        given = self.headers.get("x-nomad-token", "").strip()
        if given:
            return given
        scheme, _, rest = self.headers.get("authorization", "").partition(" ")
        return rest.split()[0] if scheme.lower() == "bearer" and rest.split() else ""

    def __repr__(self):
        return f"{self.code} {self.raw}"


class Query:
    """What most endpoints read from a request."""

    def __init__(self, asked, region):
        q = asked.query
        self.namespace = q.get("namespace") or "default"
        self.region = q.get("region") or region
        self.stale = self._stale(q)
        self.per_page = q.get("per_page", "")
        if self.per_page and not self.per_page.lstrip("-+").isdigit():
            raise Refuse(400, "Expect a number for `per_page` query string parameter")
        self.next_token, self.filter, self.choose = q.get("next_token", ""), q.get("filter", ""), q.get("choose", "")
        self.wait_s = duration(q["wait"]) if q.get("wait") else 0.0
        index = q.get("index", "")
        if index and not index.isdigit():
            raise Refuse(400, "Invalid index")
        self.index = int(index or 0)

    @staticmethod
    def _stale(q):
        text = q.get("stale")
        if text is None or text in FALSE:
            return False
        if text and text not in TRUE:
            raise Refuse(400, "Expect `true` or `false` for `stale` query string parameter")
        return True

    def block_s(self):
        """How long a blocking query waits: at most 300 s, and up to a sixteenth more so that not all come back at once."""
        s = min(self.wait_s, WAIT_MAX_S) if self.wait_s > 0 else WAIT_MAX_S
        return s + random.random() * s / 16


class Told:
    """Notes in the log what a request was answered."""

    def __init__(self, a, asked):
        self._a, self._asked = a, asked

    def __getattr__(self, name):
        return getattr(self._a, name)

    async def head(self, code, headers=(), length=None):
        self._asked.code = code
        await self._a.head(code, headers, length)


class Handler:
    """What requests to one agent get. `state` may be that of other agents as well."""

    ROUTES = {"services": r"/v1/services", "service": r"/v1/service/[^/]*(?:/[^/]*)?", "namespaces": r"/v1/namespaces", "events": r"/v1/event/stream",
              "self": r"/v1/agent/self", "health": r"/v1/agent/health", "leader": r"/v1/status/leader",
              "checks": r"/v1/client/allocation/[^/]+/checks"}

    def __init__(self, state, name="agent-1", log=None):
        self.state, self.name = state, name
        self.requests = [] if log is None else log
        self.faults = []
        self.region = "global"
        self.leader = True  # False: an election, or the others are not to be reached
        self.hold_s = 0.0  # how long a request waits for a leader before it is refused; a real agent: 5 s and a bit
        self.last_contact_ms = 0
        self.hung = False  # nothing is answered any more, not even what was asked before
        self.gzip = True  # with it everything is compressed that may be: errors too, and two octets
        self.plain_stream_errors = False  # True: streams are refused as old agents do, with a status
        self.basic = None  # "user:password" as wanted by a proxy in front
        self.missing = set()  # routes that this agent has not: 404
        self.heartbeat_s = 30.0
        self.running = 0  # requests under way
        self.most = 0  # most of them at a time

    async def task_api(self, a, r):
        """The socket in a task's secrets: nothing without a token, even where there are no ACLs."""
        if not Asked(r, None, self.name).token:
            self.requests.append(Asked(r, None, self.name))
            octets = b"Unauthorized"
            await a.head(401, [("Content-Type", TEXT)], len(octets))
            await a.data(octets)
            return
        await self(a, r)

    async def __call__(self, a, r):
        path = r.path.partition("?")[0]
        asked = Asked(r, next((n for n, p in self.ROUTES.items() if re.fullmatch(p, path)), None), self.name)
        self.requests.append(asked)
        a = Told(a, asked)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if self.hung:
                await asyncio.sleep(86400)
            fault = self._fault(asked)
            if fault:
                await fault(a, asked, lambda b: self._answer(b, asked))
            else:
                await self._answer(a, asked)
        finally:
            self.running -= 1

    def _fault(self, asked):
        for f in self.faults:
            route, where, what, left = f
            if route in (None, asked.route) and (where is None or where(asked)):
                if left is not None:
                    f[3] -= 1
                    if f[3] == 0:
                        self.faults.remove(f)
                return what
        return None

    async def _answer(self, a, asked):
        try:
            if self.basic and asked.headers.get("authorization") != self.basic:
                raise Refuse(401, "Unauthorized\n")
            if asked.route is None or asked.route in self.missing:
                raise Refuse(404, "")
            if asked.method != "GET":
                raise Refuse(405, "Invalid method")
            await getattr(self, "_" + asked.route)(a, asked)
        except Refuse as e:
            await self._whole(a, asked, e.code, e.text.encode(), TEXT)

    async def _whole(self, a, asked, code, octets, kind="application/json", headers=()):
        if self.hung:
            await asyncio.sleep(86400)
        head = [("Vary", "Accept-Encoding"), *headers, ("Content-Type", kind)]
        if self.gzip and "gzip" in asked.headers.get("accept-encoding", ""):
            squeeze = zlib.compressobj(1, zlib.DEFLATED, 31)
            octets = squeeze.compress(octets) + squeeze.flush()
            head.append(("Content-Encoding", "gzip"))
        await a.head(code, head, len(octets))
        await a.data(octets)
        await a.end()

    # --- who may ---

    def _bearer(self, asked):
        tokens = self.state.tokens
        if tokens is None:
            return None
        if not asked.token:
            return self.state.anonymous
        if asked.token not in tokens:
            raise Refuse(403, "Permission denied")
        return tokens[asked.token]

    async def _reach(self, q):
        """A request that only a leader answers, or stale any server of the region."""
        if q is not None and q.region != self.region:
            raise Refuse(500, "No path to region")
        end = time.monotonic() + self.hold_s
        while not self.leader and not (q is not None and q.stale):
            if time.monotonic() >= end:
                raise Refuse(500, "No cluster leader")
            await asyncio.sleep(0.02)

    # --- blocking queries ---

    async def _meta(self, a, asked, q, keys, run):
        """run() -> (index, octets, more headers), again after each change that touches one of `keys`, until the index is beyond
        the one that was asked for or the time is over."""
        await self._reach(q)
        index, octets, more = run()
        if q.index > 0 and index <= q.index:
            end = time.monotonic() + q.block_s()
            event = Wait()
            self.state.wait_on(keys, event)
            try:
                while index <= q.index and not event.for_nothing:
                    try:
                        await asyncio.wait_for(event.wait(), max(0.0, end - time.monotonic()))
                    except asyncio.TimeoutError:
                        break
                    event.clear()
                    await self._reach(q)
                    index, octets, more = run()
            finally:
                self.state.leave(keys, event)
        await self._whole(a, asked, 200, octets, headers=[
            ("X-Nomad-Index", str(index)), ("X-Nomad-Lastcontact", str(self.last_contact_ms if self.leader else NEVER_MS)),
            ("X-Nomad-Knownleader", "true" if self.leader else "false"), *more])

    async def _services(self, a, asked):
        q = Query(asked, self.region)
        bearer = self._bearer(asked)
        if q.namespace == "*":
            def run():
                allowed = None if bearer is None or bearer.management else set(n for n in self.state.names if bearer.lists(n))
                if allowed is not None and not allowed:
                    return 0, b"[]", ()  # neither an error nor an index
                return self.state.services_index, self.state.list_body(allowed), ()
        else:
            if bearer is not None and not bearer.reads(q.namespace):
                raise Refuse(403, "Permission denied")

            def run():
                return self.state.services_index, self.state.list_body({q.namespace}), ()
        await self._meta(a, asked, q, [q.namespace], run)

    async def _service(self, a, asked):
        q = Query(asked, self.region)
        name = "/".join(asked.segments[3:])
        if not name:
            raise Refuse(400, "missing service name")
        if "/" in name:  # a name and an ID, of which only DELETE knows; decoded before it is taken apart
            raise Refuse(405, "Invalid method")
        bearer = self._bearer(asked)
        if bearer is not None and not bearer.reads(q.namespace):
            raise Refuse(403, "Permission denied")
        await self._meta(a, asked, q, [(q.namespace, name)], lambda: (self.state.services_index, *self._page(q, name)))

    def _page(self, q, name):
        if not (q.filter or q.per_page or q.next_token or q.choose):
            return self.state.body(q.namespace, name), ()
        try:
            passes = compile_filter(q.filter) if q.filter else lambda f: True
        except Bad as e:
            raise Refuse(400, f"failed to create result paginator: failed to read filter expression: {e}")
        limit, out, more = int(q.per_page or 0), [], ()
        for r in self.state.of_service(q.namespace, name):
            token = f"{q.namespace}.{r.fields['ID']}"
            if q.next_token and token < q.next_token:
                continue
            try:
                if not passes(r.fields):
                    continue
            except Wrong as e:
                raise Refuse(400, f"failed to read result page: {e}")
            if limit > 0 and len(out) == limit:
                more = [("X-Nomad-Nexttoken", token)]
                break
            out.append(r)
        if q.choose:
            out = self._choose(out, q.choose)
        return b"[" + b",".join(r.body for r in out) + b"]", more

    @staticmethod
    def _choose(regs, text):
        count, bar, key = text.partition("|")
        if not bar or not key or not count.isdigit():
            raise Refuse(400, "failed to choose services: Parameter for choose must be in form '<number>|<key>'")
        return sorted(regs, key=lambda r: zlib.crc32((r.fields["ID"] + key).encode()))[:int(count)]

    async def _namespaces(self, a, asked):
        q = Query(asked, self.region)
        bearer = self._bearer(asked)

        def run():
            s = self.state
            told = [{"Name": n, "Description": d, "CreateIndex": 1, "ModifyIndex": 1} for n, d in sorted(s.names.items())
                    if bearer is None or bearer.knows(n)]
            return s.namespaces_index, short(told).encode(), ()
        await self._meta(a, asked, q, ["namespaces"], run)

    # --- about agents and allocations ---

    async def _self(self, a, asked):
        bearer = self._bearer(asked)
        if bearer is not None and not bearer.agent_read:
            raise Refuse(403, "Permission denied")
        await self._whole(a, asked, 200, short({"config": {"Region": self.region, "Datacenter": "dc1", "Version": {"Version": "2.0.6"}},
                                                "member": {"Name": self.name + "." + self.region, "Status": "alive"}, "stats": {}}).encode())

    async def _health(self, a, asked):
        try:
            await self._reach(Query(asked, self.region))
            ok = {"ok": True, "message": "ok"}
            await self._whole(a, asked, 200, short({"server": ok, "client": ok}).encode())
        except Refuse as e:
            await self._whole(a, asked, e.code, short({"server": {"ok": False, "message": e.text}}).encode(), TEXT)

    async def _leader(self, a, asked):
        q = Query(asked, self.region)
        await self._reach(q)
        if not self.leader:
            return await self._whole(a, asked, 200, b'""')
        await self._whole(a, asked, 200, b'"127.0.0.1:4647"')

    async def _checks(self, a, asked):
        q = Query(asked, self.region)
        bearer = self._bearer(asked)
        if bearer is not None and not bearer.reads(q.namespace):
            raise Refuse(403, "Permission denied")
        alloc = asked.segments[4]
        if len(alloc) != 36:
            raise Refuse(500, "alloc lookup failed: index error: UUID must be 36 characters")
        if alloc in self.state.checks:
            octets = short(self.state.checks[alloc]).encode()
        elif any(r.fields["AllocID"] == alloc for s in self.state.services.values() for r in s.values()):
            octets = b"null"  # it has none
        else:
            raise Refuse(404, f'Unknown allocation "{alloc}"')
        await self._whole(a, asked, 200, octets)

    # --- events ---

    async def _events(self, a, asked):
        index = asked.query.get("index") or "0"
        if not index.lstrip("+-").isdigit():
            raise Refuse(400, f'Unable to parse index: strconv.Atoi: parsing "{index}": invalid syntax')
        q = Query(asked, self.region)
        wanted = list(self.state.names) if q.namespace == "*" else [q.namespace]
        if not self.leader:
            await asyncio.sleep(86400)
        try:
            await self._reach(q)
            bearer = self._bearer(asked)
            if bearer is not None and not all(bearer.lists(n) for n in wanted):
                raise Refuse(403, "Permission denied")
        except Refuse:
            if self.plain_stream_errors:
                raise
            await self._stream_head(a, asked)
            await asyncio.sleep(86400)  # neither a line nor the end
        topics = [t.partition(":")[::2] for t in asked.many.get("topic", ["*"])]
        stream = Stream(asked.token)
        kept = self.state.events
        at = next((i for i, (n, _) in enumerate(kept) if n >= int(index)), len(kept) - 1) if int(index) > 0 else 0
        for entry in kept[max(at, 0):]:
            stream.put_nowait(entry)
        self.state.streams.add(stream)
        try:
            await self._stream_head(a, asked)
            await self._run_stream(a, stream, wanted, topics)
        finally:
            self.state.streams.discard(stream)

    @staticmethod
    async def _stream_head(a, asked):
        """Neither a length nor chunks: the end of the connection ends it."""
        asked.code = 200
        await a.raw(b"HTTP/1.1 200 OK\r\nConnection: close\r\nCache-Control: no-cache\r\nContent-Type: application/json\r\n"
                    b"Vary: Accept-Encoding\r\n\r\n")

    async def _run_stream(self, a, stream, namespaces, topics):
        await a.raw(b"{}\n")
        beat = time.monotonic() + self.heartbeat_s
        while True:
            try:
                entry = await asyncio.wait_for(stream.get(), max(0.0, beat - time.monotonic()))
            except asyncio.TimeoutError:
                beat += self.heartbeat_s
                await a.raw(b"{}\n")
                continue
            if self.hung:
                await asyncio.sleep(86400)
            if entry is None:
                a.cut()
                return
            index, events = entry
            told = [e for topic, ns, keys, e in events if ns in namespaces and any(
                t in ("*", topic) and (k in ("", "*") or k in keys) for t, k in topics)]
            if told:
                await a.raw(f'{{"Events":[{",".join(told)}],"Index":{index}}}\n'.encode())
