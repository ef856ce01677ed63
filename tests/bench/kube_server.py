"""The API server of a measurement: a cluster of kube_cluster.py, encoded before anybody asks, in a process of its own. It
lists, streams lists, watches, and tells of changes and of 410 when it is told to.

    with KubeServer(proto=True, services=10000, endpoints=150000, pods=150000) as s:
        ... endpoint s.url ...
        began = s.update(7)        # slice 7 has other addresses now; when the event was written (time.monotonic_ns)
        s.expire()                 # every watch ends with 410: all is listed again
        s.updates(rate, seconds)   # runs by itself until s.updated() tells how many there were"""
import asyncio
import multiprocessing
import os
import socket
import sys
import time
import urllib.parse

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests/fake"))
import kube_cluster  # noqa: E402
from http_wire import Serve  # noqa: E402

PIECE = 1 << 18
TURN_S = 0.005  # between the batches of many updates
ADDRESS_OF_CLIENT = "127.0.0.1"
REVISION = 900000000


def chunk(octets):
    return b"%x\r\n%s\r\n" % (len(octets), octets)


def pieces(parts):
    """Chunks of about PIECE octets."""
    out, held, size = [], [], 0
    for p in parts:
        held.append(p)
        size += len(p)
        if size >= PIECE:
            out.append(chunk(b"".join(held)))
            held, size = [], 0
    return out + ([chunk(b"".join(held))] if held else [])


class Cluster:
    """All bodies, encoded."""

    def __init__(self, proto, services, endpoints, pods):
        self.form = kube_cluster.Form(proto)
        self.services, self.slices = services, endpoints // kube_cluster.PER_SLICE
        self.counts = {"namespaces": kube_cluster.NAMESPACES, "services": services, "endpointslices": self.slices, "pods": pods}
        self.lists, self.streams, self.octets = {}, {}, {}
        for c, n in self.counts.items():
            parts = self.form.list(c, n, services)
            self.octets[c] = sum(map(len, parts))
            self.lists[c] = pieces(parts)
            events = (self.form.event(b"ADDED", c, self.form.object(c, k, services, 100000000 + k)) for k in range(n))
            self.streams[c] = pieces([*events, *self.extra(c), self.bookmark(c)])
        self.version = 200000000
        self.turns = [0] * self.slices

    def extra(self, collection):
        """The pod that asks: for autopath."""
        if collection != "pods":
            return []
        pod = {"metadata": {"name": "client", "namespace": kube_cluster.namespace_of(0), "resourceVersion": "7"},
               "status": {"phase": "Running", "podIP": ADDRESS_OF_CLIENT, "podIPs": [{"ip": ADDRESS_OF_CLIENT}]}}
        return [self.form.event(b"ADDED", "pods", self.form.encode("Pod", pod))]

    def bookmark(self, collection):
        kind = kube_cluster.KINDS[collection][0]
        meta = {"resourceVersion": str(REVISION), "annotations": {"k8s.io/initial-events-end": "true"}}
        return self.form.event(b"BOOKMARK", collection, self.form.encode(kind, {"metadata": meta}))

    def changed(self, k, turn=None):
        """Slice k with other addresses than before: in turn those of the next slice, and its own."""
        self.version += 1
        self.turns[k] = 1 - self.turns[k] if turn is None else turn
        first = self.slices * kube_cluster.PER_SLICE + k if self.turns[k] else k * kube_cluster.PER_SLICE
        numbers = range(first, first + (1 if self.turns[k] else kube_cluster.PER_SLICE))
        return self.form.event(b"MODIFIED", "endpointslices", self.form.endpoint_slice(k, k % self.services, numbers, self.version))


class Server:
    def __init__(self, cluster, pipe, sock):
        self.cluster, self.pipe, self.sock = cluster, pipe, sock
        self.watchers = {c: set() for c in cluster.counts}
        self.asked = []
        self.many = 0

    async def answer(self, a, r):
        path, _, query = r.path.partition("?")
        c, q = path.rsplit("/", 1)[1], dict(urllib.parse.parse_qsl(query))
        self.asked.append((c, "watch" in q, "sendInitialEvents" in q))
        proto = "application/vnd.kubernetes.protobuf" in dict(r.headers).get("accept", "") and self.cluster.form.proto
        kind = "application/vnd.kubernetes.protobuf" if proto else "application/json"
        if c not in self.watchers:
            return await a.head(404, length=0)
        if "watch" not in q:
            await a.head(200, [("content-type", kind)])
            await self.send(a, self.cluster.lists[c])
            return await a.end()
        await a.head(200, [("content-type", kind + ";stream=watch" if proto else kind)])
        if "sendInitialEvents" in q:
            await self.send(a, self.cluster.streams[c])
        over = asyncio.Event()
        self.watchers[c].add((a, over))
        try:
            await over.wait()
            await a.end()
        finally:
            self.watchers[c].discard((a, over))

    async def send(self, a, chunks):
        for p in chunks:
            await a.raw(p)

    async def tell(self, collection, octets):
        for a, _ in list(self.watchers[collection]):
            await a.data(octets)

    async def expire(self):
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "too old resource version: 1 (2)",
                  "reason": "Expired", "code": 410}
        octets = self.cluster.form.error(status)
        for c, watchers in self.watchers.items():
            await self.tell(c, octets)
            for _, over in list(watchers):
                over.set()

    async def updates(self, rate, seconds):
        """Encoded before they begin: each slice in two forms, which it takes in turn."""
        some = min(self.cluster.slices, 500)
        forms = [[chunk(self.cluster.changed(k, turn)) for k in range(some)] for turn in (0, 1)]
        self.pipe.send("ready")
        start, told = time.monotonic(), 0
        while (now := time.monotonic()) < start + seconds:
            due = int((now - start) * rate)
            if due > told:
                batch = b"".join(forms[n // some % 2][n % some] for n in range(told, min(due, told + 2000)))
                told = min(due, told + 2000)
                for a, _ in list(self.watchers["endpointslices"]):
                    await a.raw(batch)
            await asyncio.sleep(TURN_S)
        self.many = told
        self.pipe.send(("updated", told))

    async def command(self, word, *args):
        if word == "update":
            octets = self.cluster.changed(args[0])
            began = time.monotonic_ns()
            await self.tell("endpointslices", octets)
            self.pipe.send(began)
        elif word == "expire":
            await self.expire()
            self.pipe.send(None)
        elif word == "updates":
            self.running = asyncio.ensure_future(self.updates(*args))
        elif word == "asked":
            self.pipe.send(self.asked)
            self.asked = []
        elif word == "watches":
            self.pipe.send({c: len(w) for c, w in self.watchers.items()})

    async def run(self):
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        commands = asyncio.Queue()

        def readable():
            try:
                commands.put_nowait(self.pipe.recv())
            except EOFError:
                over.set()
        loop.add_reader(self.pipe.fileno(), readable)
        await asyncio.start_server(Serve(self.answer), sock=self.sock, backlog=128)

        async def obey():
            while True:
                await self.command(*await commands.get())
        task = asyncio.ensure_future(obey())
        await over.wait()
        task.cancel()


def serve(pipe, sock, cluster, core):
    if core is not None:
        os.sched_setaffinity(0, {core})
    asyncio.run(Server(cluster, pipe, sock).run())


class KubeServer:
    """cluster: made before, so that several can serve it. core: to run on."""

    def __init__(self, cluster, core=None):
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as Go does; accepted ones inherit it
        self.sock.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.sock.getsockname()[1]}"
        self.pipe, theirs = multiprocessing.Pipe()
        mine = self.pipe

        def child():
            mine.close()
            serve(theirs, self.sock, cluster, core)
        self.process = multiprocessing.get_context("fork").Process(target=child, daemon=True)
        self.process.start()
        theirs.close()
        self.pid = self.process.pid

    def _ask(self, *words):
        self.pipe.send(words)
        return self.pipe.recv()

    def update(self, k):
        return self._ask("update", k)

    def expire(self):
        self._ask("expire")

    def updates(self, rate, seconds):
        self._ask("updates", rate, seconds)

    def updated(self):
        return self.pipe.recv()[1]

    def asked(self):
        """(collection, watch?, streaming list?) since the last time."""
        return self._ask("asked")

    def watches(self):
        return self._ask("watches")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.pipe.close()
        self.process.terminate()
        self.process.join(10)
        self.sock.close()
