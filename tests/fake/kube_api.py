#!/usr/bin/python3
"""An API server of Kubernetes, as far as watching clients see it: lists in pages, watches, bookmarks, 410, 422, 429,
who may and who may not; and, told so, slow, torn and nonsensical answers.

    with KubeApi(objects) as api:           # HTTP in clear; tls=(certificate, key): HTTP/2 or 1.1 by ALPN
        ... endpoint api.url ...
        api.put({...}); api.delete("Service", "shop", "web"); api.compact(); api.bookmark()
        api.fault("services", kube_faults.status(500), times=2); api.stop(); api.start()
        assert api.asked("endpointslices", watch=True)[-1].query["resourceVersion"] == "7"

Alone: kube_api.py --objects FILE.jsonl [--port N] prints its URL and serves until its end."""
import argparse
import asyncio
import json
import os
import socket
import ssl
import sys
import threading
import time
import urllib.parse
import zlib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from http_wire import Serve  # noqa: E402
from kube_encode import PROTOBUF, negotiate, proto_status, status  # noqa: E402
from kube_objects import Bad, Gone, Store, read_lines, read_objects, selector  # noqa: E402,F401
from torn import abort  # noqa: E402

GZIP_FROM = 128 * 1024
AT_ONCE = 200  # items of a list that are written together


class Asked:
    """One request, for assertions."""

    def __init__(self, r, collection):
        path, _, text = r.path.partition("?")
        self.path, self.method, self.connection, self.time = path, r.method, r.connection, time.monotonic()
        self.text = text
        self.query = dict(urllib.parse.parse_qsl(text, keep_blank_values=True))
        self.headers = {k: v for k, v in r.headers if not k.startswith(":")}
        self.collection = collection
        self.watch = self.query.get("watch") in ("true", "1")
        self.code = None  # what it was answered, once it was

    def __repr__(self):
        return f"{self.code} {self.path}?{self.text}"


class Refuse(Exception):
    def __init__(self, code, reason, message, details=None, headers=()):
        super().__init__(message)
        self.status, self.headers = status(code, reason, message, details), list(headers)


class Watcher:
    """One watch that runs."""

    def __init__(self, encoding, passes, bookmarks):
        self.encoding, self.passes, self.bookmarks = encoding, passes or (lambda i: True), bookmarks
        self.lines, self.woken = [], asyncio.Event()

    def say(self, octets):
        self.lines.append(octets)
        self.woken.set()

    def tell(self, rv, before, after):
        was, is_ = before is not None and self.passes(before), after is not None and self.passes(after)
        if is_:
            self.say(self.encoding.event(b"MODIFIED" if was else b"ADDED", after))
        elif was:
            self.say(self.encoding.event(b"DELETED", before, rv))

    def end(self):
        self.say(None)


class Handler:
    """What requests get. Runs in the loop of its server."""

    def __init__(self, store):
        self.store = store
        self.requests, self.faults = [], []
        self.watch_list = True  # streaming lists: False as in old servers; "no progress" as over an old etcd, an ERROR in the stream
        self.gzip = True
        self.protobuf = False  # spoken with those who accept it; its objects must be of the right types
        self.tokens = None  # {token: user}: others get 401
        self.forbidden = set()  # collections that nobody may read
        self.bookmark_s = 60.0
        self.zipped = {}  # collection's name: (revision, selectors, form, octets) of the last whole list

    async def __call__(self, a, r):
        path = r.path.partition("?")[0]
        collection = self.store.of_path.get(path)
        asked = Asked(r, collection.name if collection else None)
        self.requests.append(asked)
        a = Told(a, asked)
        fault = self._fault(asked)
        if fault:
            await fault(a, asked, lambda b: self._answer(b, asked, collection))
        else:
            await self._answer(a, asked, collection)

    def _fault(self, asked):
        for f in self.faults:
            name, watch, _, left = f
            if name in (None, asked.collection) and watch in (None, asked.watch):
                if left is not None:
                    f[3] -= 1
                    if f[3] == 0:
                        self.faults.remove(f)
                return f[2]
        return None

    async def _answer(self, a, asked, collection):
        try:
            self._allowed(asked, collection)
            if asked.path in ("/readyz", "/livez", "/healthz"):
                await whole(a, 200, b"ok", "text/plain; charset=utf-8")
            elif asked.path == "/version":
                await whole(a, 200, json.dumps({"major": "1", "minor": "36", "gitVersion": "v1.36.3"}).encode())
            elif collection is None:
                raise Refuse(404, "NotFound", "the server could not find the requested resource")
            elif asked.method != "GET":
                raise Refuse(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
            else:
                encoding = negotiate(asked.headers.get("accept"), collection, self.protobuf)
                if encoding is None:
                    raise Refuse(406, "NotAcceptable", "only the following media types are accepted: application/json")
                await (self._watch if asked.watch else self._list)(a, asked, collection, encoding)
        except Refuse as e:
            await self._refuse(a, asked, e.status, e.headers)
        except Bad as e:
            await self._refuse(a, asked, status(400, "BadRequest", str(e)))
        except Gone as e:
            obj = status(410, "Expired", str(e))
            if e.token:
                obj["metadata"]["continue"] = e.token
            await self._refuse(a, asked, obj)

    async def _refuse(self, a, asked, obj, headers=()):
        if self.protobuf and asked.headers.get("accept", "").startswith(PROTOBUF):
            await whole(a, obj["code"], proto_status(obj), PROTOBUF, headers)
        else:
            await whole(a, obj["code"], json.dumps(obj).encode() + b"\n", headers=headers)

    def _allowed(self, asked, collection):
        user = "system:anonymous"
        if self.tokens is not None:
            word, _, token = asked.headers.get("authorization", "").partition(" ")
            user = self.tokens.get(token) if word == "Bearer" else None
            if user is None:
                raise Refuse(401, "Unauthorized", "Unauthorized")
        if collection and collection.name in self.forbidden:
            verb, group = "watch" if asked.watch else "list", collection.api.rpartition("/")[0]
            raise Refuse(403, "Forbidden", f'{collection.name}{"." + group if group else ""} is forbidden: User "{user}" cannot {verb} '
                         f'resource "{collection.name}" in API group "{group}" at the cluster scope',
                         {"group": group, "kind": collection.name} if group else {"kind": collection.name})

    # --- lists ---

    @staticmethod
    def _number(q, name, head=""):
        text = q.get(name, "")
        if text and not text.isdigit():
            raise Bad(f'{head}strconv.ParseInt: parsing "{text}": invalid syntax')
        return text, int(text or 0)

    def _revision(self, q):
        text, rv = self._number(q, "resourceVersion", "invalid resource version: ")
        if rv > self.store.revision and not q.get("watch"):
            raise Refuse(504, "Timeout", f"Timeout: Too large resource version: {rv}, current: {self.store.revision}",
                         {"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}], "retryAfterSeconds": 1},
                         [("retry-after", "1")])
        return text, rv

    async def _list(self, a, asked, c, encoding):
        q = asked.query
        token, match = q.get("continue", ""), q.get("resourceVersionMatch", "")
        if token and q.get("resourceVersion"):
            raise Bad("specifying resource version is not allowed when using continue")
        if match and not q.get("resourceVersion"):
            raise self._invalid("resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided")
        text, rv = self._revision(q)
        limit = self._number(q, "limit")[1]
        if text == "0" and match != "Exact":
            limit = 0  # as told from the cache of watches: all of it
        labels, fields = q.get("labelSelector", ""), q.get("fieldSelector", "")
        if match == "Exact" and rv != self.store.revision and rv <= c.forgotten:
            raise Gone("The resourceVersion for the provided list is too old.")
        items, revision, token, left = c.page(labels, fields, limit, token)
        left = 0 if labels or fields else left  # not counted when some are left out
        asked.code = 200
        zipped = self.gzip and "gzip" in asked.headers.get("accept-encoding", "")
        await self._send(a, c, encoding, items, (revision, token, left), zipped, not limit and (revision, labels, fields, type(encoding)))

    async def _send(self, a, c, encoding, items, meta, zipped, whole_as):
        kept = self.zipped.get(c.name)
        headers = [("content-type", encoding.type), ("audit-id", "00000000-0000-4000-8000-000000000000"), ("cache-control", "no-cache, private")]
        zipped = zipped and sum(len(i.data) for i in items[:10000]) > GZIP_FROM
        if zipped:
            headers += [("content-encoding", "gzip"), ("vary", "Accept-Encoding")]
        await a.head(200, headers)
        if zipped and whole_as and kept and kept[0] == whole_as:
            for part in kept[1]:
                await a.data(part)
            return await a.end()
        squeeze, parts = zlib.compressobj(4, zlib.DEFLATED, 31) if zipped else None, []
        async def put(octets, last=False):
            if squeeze:
                octets = squeeze.compress(octets) + (squeeze.flush() if last else b"")
                parts.append(octets)
            await a.data(octets)
        await put(encoding.list_head(*meta, items))
        for at in range(0, len(items), AT_ONCE):
            await put(encoding.list_items(items[at:at + AT_ONCE], at == 0))
        await put(encoding.list_tail, True)
        await a.end()
        if squeeze and whole_as:
            self.zipped[c.name] = (whole_as, parts)

    @staticmethod
    def _invalid(field, message):
        return Refuse(422, "Invalid", f'ListOptions.meta.k8s.io "" is invalid: {field}: Forbidden: {message}',
                      {"group": "meta.k8s.io", "kind": "ListOptions",
                       "causes": [{"reason": "FieldValueForbidden", "message": f"Forbidden: {message}", "field": field}]})

    # --- watches ---

    async def _watch(self, a, asked, c, encoding):
        q = asked.query
        initial, match = q.get("sendInitialEvents", ""), q.get("resourceVersionMatch", "")
        if initial and not self.watch_list:
            raise self._invalid("sendInitialEvents", "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled")
        if initial and match != "NotOlderThan":
            raise self._invalid("resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
        if match and not initial:
            raise self._invalid("resourceVersionMatch", "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided")
        labels, fields = q.get("labelSelector", ""), q.get("fieldSelector", "")
        passes = selector(labels, fields)
        text, rv = self._revision(q)
        bookmarks = q.get("allowWatchBookmarks") in ("true", "1")
        w = Watcher(encoding, passes, bookmarks)
        if initial and self.watch_list == "no progress":
            w.say(encoding.error(status(500, "InternalError", "a watch stream was requested by the client but the required storage "
                                        "feature RequestWatchProgress is disabled")))
            w.end()
        elif initial == "true" or (not initial and text in ("", "0")):
            w.lines += [encoding.event(b"ADDED", i) for i in c.select(labels, fields)]
            if initial and bookmarks:
                w.say(encoding.bookmark(self.store.revision, True))
        elif text not in ("", "0"):
            if rv < c.forgotten:
                w.say(encoding.error(status(410, "Expired", f"too old resource version: {rv} ({c.forgotten})")))
                w.end()
            for at, before, after in c.history:
                if at > rv:
                    w.tell(at, before, after)
        c.watchers.append(w)
        asked.code = 200
        try:
            await a.head(200, [("content-type", encoding.watch_type), ("cache-control", "no-cache, private")])
            await self._run(a, w, float(q.get("timeoutSeconds") or 1800))
        finally:
            c.watchers.remove(w)

    async def _run(self, a, w, seconds):
        now = time.monotonic
        end = now() + seconds
        mark = now() + self.bookmark_s
        while now() < end:
            w.woken.clear()
            lines, w.lines = w.lines, []
            over = None in lines
            if lines:
                lines = lines[:lines.index(None)] if over else lines
                for at in range(0, len(lines), AT_ONCE):
                    await a.data(b"".join(lines[at:at + AT_ONCE]))
            if over:
                break
            if w.lines:
                continue
            try:
                await asyncio.wait_for(w.woken.wait(), max(0.0, min(end, mark) - now()))
            except asyncio.TimeoutError:
                if w.bookmarks:
                    await a.data(w.encoding.bookmark(self.store.revision))
                mark = now() + self.bookmark_s
        await a.end()


class Told:
    """Notes in the log what a request was answered."""

    def __init__(self, a, asked):
        self._a, self._asked = a, asked

    def __getattr__(self, name):
        return getattr(self._a, name)

    async def head(self, code, headers=(), length=None):
        self._asked.code = code
        await self._a.head(code, headers, length)


async def whole(a, code, body, content_type="application/json", headers=()):
    await a.head(code, [("content-type", content_type), *headers], len(body))
    await a.data(body)
    await a.end()


class KubeApi:
    def __init__(self, objects=(), tls=None, client_ca=None, host="127.0.0.1", port=0, history=10000, http2=True):
        """tls: paths of certificate and key."""
        self.store = Store(history)
        self.store.load(objects)
        self.handler = Handler(self.store)
        self.host, self.port = host, port
        self.scheme, self.context = "https" if tls else "http", None
        if tls:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*tls)
            self.context.set_alpn_protocols(["h2", "http/1.1"] if http2 else ["http/1.1"])
            if client_ca:
                self.context.verify_mode = ssl.CERT_REQUIRED
                self.context.load_verify_locations(client_ca)
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda loop, context: None)
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.server = None

    # --- life ---

    @property
    def url(self):
        return f"{self.scheme}://{self.host}:{self.port}"

    def run(self, f, *args):
        """f(*args), or awaited when it is a coroutine function, in the server's own thread."""
        async def go():
            value = f(*args)
            return await value if asyncio.iscoroutine(value) else value
        return asyncio.run_coroutine_threadsafe(go(), self.loop).result(60)

    def start(self):
        """Listens; again on the same port after stop()."""
        self.run(self._start)
        return self

    async def _start(self):
        s = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as Go does; accepted ones inherit it
        s.bind((self.host, self.port))
        self.port = s.getsockname()[1]
        self.serve = Serve(self.handler)
        self.server = await asyncio.start_server(self.serve, sock=s, ssl=self.context, backlog=128)

    def stop(self):
        """Nobody listens, and every connection is cut."""
        if self.server:
            self.run(self._stop)

    async def _stop(self):
        self.server.close()
        self.server = None
        self._cut()
        await asyncio.sleep(0)

    def _cut(self):
        for w in list(self.serve.connections.values()):
            abort(w.transport)

    def cut(self):
        """Every connection is cut; new ones are welcome."""
        self.run(self._cut)

    def close(self):
        self.stop()
        self.run(self._cancel)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()

    async def _cancel(self):
        tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        for t in tasks:
            t.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def __enter__(self):
        return self if self.server else self.start()

    def __exit__(self, *exc):
        self.close()

    # --- objects ---

    def put(self, obj, text=None):
        """Adds an object or changes it; the revision. `text`: octets told in place of it, a JSON object without kind and apiVersion."""
        return self.run(self.store.put, obj, text)

    def put_all(self, objs):
        """Many at once, in one turn of the server."""
        return self.run(lambda: [self.store.put(o) for o in objs])

    def delete(self, kind, namespace, name):
        return self.run(self.store.delete, kind, namespace, name)

    def get(self, kind, namespace, name):
        """A copy of an object, ready to be changed and put."""
        item = self.run(lambda: self.store.of_kind[kind].items[f"{namespace}/{name}"])
        return {"kind": kind, "apiVersion": self.store.of_kind[kind].api, **json.loads(item.data)}

    def compact(self):
        """What was is forgotten: older revisions are 410 for lists and watches."""
        self.run(lambda: [c.compact() for c in self.store.of_name.values()])

    # --- watches ---

    def _watchers(self, collection):
        return [w for c in self.store.of_name.values() if collection in (None, c.name) for w in c.watchers]

    def watches(self, collection=None):
        """How many run."""
        return self.run(lambda: len(self._watchers(collection)))

    def bookmark(self, collection=None, revision=None):
        """A bookmark for all who want them; of the present revision when none is named."""
        self.run(lambda: [w.say(w.encoding.bookmark(revision or self.store.revision)) for w in self._watchers(collection) if w.bookmarks])

    def error(self, code, reason, message, collection=None):
        """An ERROR event to every watch."""
        self.run(lambda: [w.say(w.encoding.error(status(code, reason, message))) for w in self._watchers(collection)])

    def say(self, octets, collection=None):
        """These octets, whatever they are, to every watch."""
        self.run(lambda: [w.say(octets) for w in self._watchers(collection)])

    def end_watches(self, collection=None):
        """Watches end in good order, as at their timeout."""
        self.run(lambda: [w.end() for w in self._watchers(collection)])

    # --- faults and the log ---

    def fault(self, collection, what, times=1, watch=None):
        """The next `times` requests (None: all to come) of a collection (None: of any) get `what`, see kube_faults.py.
        watch: only lists (False), only watches (True)."""
        self.run(lambda: self.handler.faults.append([collection, watch, what, times]))

    def heal(self):
        """No more faults."""
        self.run(self.handler.faults.clear)

    def set(self, **options):
        """watch_list, gzip, protobuf, tokens, forbidden, bookmark_s: see Handler."""
        assert all(hasattr(self.handler, k) for k in options), options
        self.run(lambda: [setattr(self.handler, k, v) for k, v in options.items()])

    @property
    def requests(self):
        return self.run(lambda: list(self.handler.requests))

    def asked(self, collection, watch=None):
        return [r for r in self.requests if r.collection == collection and watch in (None, r.watch)]

    def forget(self):
        """The log begins anew."""
        self.run(self.handler.requests.clear)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--objects", action="append", default=[])
    p.add_argument("--port", type=int, default=0)
    p.add_argument("--no-watch-list", action="store_true")
    p.add_argument("--no-gzip", action="store_true")
    p.add_argument("--protobuf", action="store_true")
    o = p.parse_args()
    api = KubeApi(read_lines(*o.objects), port=o.port)
    api.set(watch_list=not o.no_watch_list, gzip=not o.no_gzip, protobuf=o.protobuf)
    with api:
        print(api.url, flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
