"""An etcd of the test's own: gRPC by grpcio, a store in memory, and replies that can be anything at all.

Each of `range_reply`, `watch_said` and `lease_reply` is None, or replaces what is said:
    range_reply(request fields, honest reply octets) -> octets, or raises Refuse
    watch_said(queue of honest messages) -> generator of octets; its end ends the stream
    lease_reply(honest octets) -> octets"""
import bisect
import os
import queue
import sys
import threading
from concurrent import futures

import grpc

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from etcd import field, parse  # noqa: E402


class Refuse(Exception):
    def __init__(self, code, text=""):
        super().__init__(text)
        self.code, self.text = code, text


def kv(key, value, mod, lease=0):
    return field(1, key) + field(2, mod) + field(3, mod) + field(4, 1) + field(5, value) + field(6, lease)


def event(key, value, mod, lease=0):
    """A PUT, or without a value a DELETE."""
    return field(1, value is None) + field(2, kv(key, value or b"", mod, lease))


class Etcd:
    def __init__(self, address="127.0.0.1:0", credentials=None):
        self.store, self.revision, self.history, self.compacted = {}, 1, [], 0
        self.range_reply = self.watch_said = self.lease_reply = None
        self.ranges = self.streams = self.lease_calls = 0
        self.lock = threading.RLock()
        self.queues = []  # (queue, {watch id: (key, end)}) of each stream
        self.server = grpc.server(futures.ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 0), ("grpc.max_send_message_length", -1)])
        self.server.add_generic_rpc_handlers([self])
        self.port = self.server.add_secure_port(address, credentials) if credentials else self.server.add_insecure_port(address)
        self.url = f"http://127.0.0.1:{self.port}"
        self.server.start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.cut()
        self.server.stop(0).wait(5)

    # --- the store ---

    def header(self, revision=None):
        return field(1, 77) + field(2, 1) + field(3, self.revision if revision is None else revision)

    def put(self, key, value, lease=0):
        with self.lock:
            self.revision += 1
            self.store[key.encode()] = (value.encode(), self.revision, lease)
            self._tell(key.encode(), event(key, value, self.revision, lease))

    def delete(self, key):
        with self.lock:
            self.revision += 1
            del self.store[key.encode()]
            self._tell(key.encode(), event(key, None, self.revision))

    def _tell(self, key, octets):
        self.history.append((key, self.revision, octets))
        for q, watches in self.queues:
            for i, (begin, end) in watches.items():
                if begin <= key < end if end else key == begin:
                    q.put(field(1, self.header()) + field(2, i) + field(11, octets))

    def say(self, octets):
        """A message of its own on every stream."""
        with self.lock:
            for q, _ in self.queues:
                q.put(octets)

    def cut(self):
        """Every stream ends."""
        with self.lock:
            for q, _ in self.queues:
                q.put(None)

    # --- calls ---

    def service(self, call):
        name = call.method.rsplit("/", 1)[1]
        if name == "Watch":
            return grpc.stream_stream_rpc_method_handler(self._watch)
        f = {"Range": self._range, "Status": lambda q: field(1, self.header()) + field(2, "3.7.3") + field(4, 1), "LeaseTimeToLive": self._lease}.get(name)
        return f and grpc.unary_unary_rpc_method_handler(lambda q, context: self._unary(f, q, context))

    @staticmethod
    def _unary(f, q, context):
        try:
            return f(parse(q))
        except Refuse as e:
            context.abort(e.code, e.text)

    def _range(self, q):
        with self.lock:
            self.ranges += 1
            begin, end = q[1][0], q.get(2, [b""])[0]
            limit, revision, keys_only = (q.get(n, [0])[0] for n in (3, 4, 8))
            names = sorted(self.store)
            at = bisect.bisect_left(names, begin)
            hits = [k for k in names[at:] if k < end] if end else [k for k in names[at:at + 1] if k == begin]
            hits = [k for k in hits if not revision or self.store[k][1] <= revision]
            if revision and not end:  # as it was then
                past = [octets for k, r, octets in self.history if k == begin and r <= revision]
                if past and not (hits and self.store[begin][1] <= revision):
                    e = parse(past[-1])
                    return field(1, self.header()) + (b"" if e.get(1) else field(2, e[2][0]))
            more = bool(limit) and len(hits) > limit
            body = b"".join(field(2, kv(k, b"" if keys_only else self.store[k][0], *self.store[k][1:])) for k in (hits[:limit] if more else hits))
            honest = field(1, self.header()) + body + field(3, more) + field(4, len(hits))
        return self.range_reply(q, honest) if self.range_reply else honest

    def _lease(self, q):
        self.lease_calls += 1
        honest = field(1, self.header()) + field(2, q[1][0]) + field(3, 100) + field(4, 100)
        return self.lease_reply(honest) if self.lease_reply else honest

    def _watch(self, requests, context):
        q, watches = queue.Queue(), {}
        with self.lock:
            self.streams += 1
            self.queues.append((q, watches))
        context.add_callback(lambda: q.put(None))
        threading.Thread(target=self._requests, args=(requests, q, watches), daemon=True).start()
        try:
            yield from self.watch_said(q) if self.watch_said else iter(q.get, None)
        finally:
            with self.lock:
                self.queues.remove((q, watches))

    def _requests(self, requests, q, watches):
        try:
            for octets in requests:
                self._asked(parse(octets), q, watches)
        except Exception:  # the stream is over
            q.put(None)

    def _asked(self, m, q, watches):
        with self.lock:
            if 3 in m:
                q.put(field(1, self.header()) + field(2, -1))  # all watches of the stream
            elif 2 in m:
                watches.pop(parse(m[2][0]).get(1, [0])[0], None)
            else:
                c = parse(m[1][0])
                begin, end, start, i = c[1][0], c.get(2, [b""])[0], c[3][0], c[7][0]
                q.put(field(1, self.header()) + field(2, i) + field(3, True))
                if start <= self.compacted:
                    q.put(field(1, self.header()) + field(2, i) + field(4, True) + field(5, self.compacted))
                    return
                watches[i] = (begin, end)
                for key, revision, octets in self.history:
                    if revision >= start and (begin <= key < end if end else key == begin):
                        q.put(field(1, self.header()) + field(2, i) + field(11, octets))
