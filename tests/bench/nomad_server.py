"""The agent of a measurement: tests/fake/nomad.py in a process of its own, with services "svc-00000", "svc-00001", ... in namespace "default".

    with NomadServer(5000, 10) as s:
        ... address s.url ...
        at, address = s.change(7)  # the first instance of service 7 has this address since then (time.monotonic_ns)
        s.asked()                  # {route: requests since the last time}"""
import collections
import multiprocessing
import os
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests/fake"))
from nomad import Nomad  # noqa: E402

FIRST_PORT = 20000


def name(k):
    return f"svc-{k:05d}"


def address(n):
    return f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}"


def addresses(k, instances):
    return sorted(address(k * instances + i) for i in range(instances))


def serve(pipe, services, instances, core):
    if core is not None:
        os.sched_setaffinity(0, {core})
    n, changed = Nomad(), 0
    for k in range(services):
        n.register_all([{"name": name(k), "address": address(k * instances + i), "port": FIRST_PORT + i, "id": f"_nomad-task-{k:05d}-{i:03d}-{name(k)}-http",
                         "tags": ["http", "v1"]} for i in range(instances)])
    with n:
        pipe.send(n.url)
        while True:
            try:
                word, *args = pipe.recv()
            except EOFError:
                return
            if word == "change":
                changed += 1
                to = f"172.16.{changed >> 8 & 255}.{changed & 255}"
                at = time.monotonic_ns()
                n.register(name(args[0]), address=to, port=FIRST_PORT, id=f"_nomad-task-{args[0]:05d}-000-{name(args[0])}-http", tags=["http", "v1"])
                pipe.send((at, to))
            elif word == "asked":
                pipe.send(dict(collections.Counter(r.route for r in n.requests)))
                n.forget()


class NomadServer:
    def __init__(self, services, instances, core=None):
        self.pipe, theirs = multiprocessing.Pipe()
        mine = self.pipe

        def child():
            mine.close()
            serve(theirs, services, instances, core)
        self.process = multiprocessing.get_context("fork").Process(target=child, daemon=True)
        self.process.start()
        theirs.close()
        self.url = self.pipe.recv()

    def _ask(self, *words):
        self.pipe.send(words)
        return self.pipe.recv()

    def change(self, k):
        return self._ask("change", k)

    def asked(self):
        return self._ask("asked")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.pipe.close()
        self.process.terminate()
        self.process.join(10)
