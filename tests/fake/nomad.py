#!/usr/bin/python3
"""The agents of a Nomad region, as far as readers of its services see them: lists, services, blocking queries with the index of
the whole table, namespaces, ACLs, pages, filters, checks, the event stream; and, told so, slow, leaderless, torn and nonsensical
answers. What they do was held against real agents, see NOMAD.md.

    with Nomad(agents=2) as n:              # HTTP in clear; tls=(certificate, key); unix="/a/path": the first agent there, too
        ... addresses n.urls ...
        n.register("web", "default", "10.1.0.1", 8001, tags=["blue"]); n.deregister("web")
        n.agents[0].fault(nomad_faults.status(500), "service", times=2); n.agents[0].stop(); n.agents[0].start()
        assert n.asked("service")[-1].query["namespace"] == "default"

Alone: nomad.py [--services N --instances M] [--port P] prints its URL and takes commands from its standard input, see COMMANDS."""
import argparse
import asyncio
import json
import os
import socket
import ssl
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from http_wire import Serve  # noqa: E402
from nomad_http import Handler  # noqa: E402
from nomad_state import State, Token, allocation, make_id  # noqa: E402
from torn import abort  # noqa: E402


class Agent:
    """One server of the region: its own port, faults and log; by default it knows what the others know."""

    def __init__(self, home, name, state, host="127.0.0.1", unix=None):
        self.home, self.host, self.port, self.unix = home, host, 0, unix
        self.handler = Handler(state, name, home.log)
        self.servers, self.serves = [], []

    @property
    def url(self):
        return f"{self.home.scheme}://{self.host}:{self.port}"

    def start(self):
        """Listens; again on the same port after stop()."""
        self.home.run(self._start)
        return self

    async def _start(self):
        s = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as Go does; accepted ones inherit it
        s.bind((self.host, self.port))
        self.port = s.getsockname()[1]
        self.serves = [Serve(self.handler), Serve(self.handler.task_api)]
        self.servers = [await asyncio.start_server(self.serves[0], sock=s, ssl=self.home.context, backlog=256)]
        if self.unix:
            if os.path.exists(self.unix):
                os.unlink(self.unix)
            self.servers.append(await asyncio.start_unix_server(self.serves[1], self.unix))

    def stop(self):
        """Nobody listens, and every connection is cut."""
        if self.servers:
            self.home.run(self._stop)

    async def _stop(self):
        for s in self.servers:
            s.close()
        self.servers = []
        if self.unix and os.path.exists(self.unix):
            os.unlink(self.unix)
        self._cut()
        await asyncio.sleep(0)

    def _cut(self):
        for serve in self.serves:
            for w in list(serve.connections.values()):
                abort(w.transport)

    def cut(self):
        """Every connection is cut; new ones are welcome."""
        self.home.run(self._cut)

    @property
    def connections(self):
        """How many are open."""
        return self.home.run(lambda: sum(len(s.connections) for s in self.serves))

    @property
    def accepted(self):
        """How many there have been since start()."""
        return self.home.run(lambda: sum(s.count for s in self.serves))

    # --- faults ---

    def fault(self, what, route=None, times=1, where=None):
        """The next `times` requests (None: all to come) of a route (None: of any) for which where(asked) is true get `what`, see
        nomad_faults.py. Routes: services service namespaces events self health leader checks."""
        self.home.run(lambda: self.handler.faults.append([route, where, what, times]))
        return self

    def heal(self):
        """No more faults."""
        self.home.run(self.handler.faults.clear)
        self.set(hung=False, leader=True)

    def set(self, **options):
        """leader, hold_s, hung, gzip, basic, missing, last_contact_ms, heartbeat_s, plain_stream_errors, region, state: see Handler."""
        assert all(hasattr(self.handler, k) for k in options), options
        self.home.run(lambda: [setattr(self.handler, k, v) for k, v in options.items()])
        return self

    def hang(self):
        """Connections live, but nothing is answered any more: neither what comes nor what waits."""
        return self.set(hung=True)

    def only(self, *routes):
        """All else is 404, as with a server made for a lesson."""
        return self.set(missing=set(Handler.ROUTES) - set(routes))

    @property
    def most(self):
        """Most requests that were under way at a time."""
        return self.home.run(lambda: self.handler.most)


class Nomad:
    def __init__(self, agents=1, tls=None, client_ca=None, unix=None, host="127.0.0.1", acl=False):
        """tls: paths of certificate and key; client_ca: who signs the certificates that clients must have."""
        self.scheme, self.context = "https" if tls else "http", None
        if tls:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*tls)
            self.context.set_alpn_protocols(["http/1.1"])
            if client_ca:
                self.context.verify_mode = ssl.CERT_REQUIRED
                self.context.load_verify_locations(client_ca)
        self.state, self.log, self.made = State(), [], 0
        if acl:
            self.state.tokens = {}
        self.agents = [Agent(self, f"agent-{i + 1}", self.state, host, unix if i == 0 else None) for i in range(agents)]
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda loop, context: None)
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.started = False

    # --- life ---

    def run(self, f, *args):
        """f(*args), or awaited when it is a coroutine function, in the servers' own thread."""
        async def go():
            value = f(*args)
            return await value if asyncio.iscoroutine(value) else value
        return asyncio.run_coroutine_threadsafe(go(), self.loop).result(60)

    def start(self):
        for a in self.agents:
            a.start()
        self.started = True
        return self

    def close(self):
        for a in self.agents:
            a.stop()
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
        return self if self.started else self.start()

    def __exit__(self, *exc):
        self.close()

    @property
    def url(self):
        return self.agents[0].url

    @property
    def port(self):
        return self.agents[0].port

    @property
    def urls(self):
        return [a.url for a in self.agents]

    # --- registrations ---

    def _fields(self, name, namespace="default", address="127.0.0.1", port=0, tags=(), id=None, alloc=None, job=None, node="node-1",
                datacenter="dc1"):
        self.made += 1
        alloc = alloc or allocation(self.made)
        return {"ID": id or make_id(name, alloc, port), "ServiceName": name, "Namespace": namespace, "NodeID": node,
                "Datacenter": datacenter, "JobID": job or name, "AllocID": alloc, "Tags": None if tags is None else list(tags),
                "Address": address, "Port": port}

    def _register(self, all_fields):
        for name in {f["Namespace"] for f in all_fields} - set(self.state.names):
            self._namespace(name, True)
        index = self.state.next_index()
        put = [f for f in all_fields if self.state.put(f["Namespace"], f["ServiceName"], f, index)]
        if put:
            self.state.publish(index, "ServiceRegistration", put)
        return [f["ID"] for f in all_fields]

    def register(self, name, namespace="default", address="127.0.0.1", port=0, **more):
        """One instance: tags, id (of one that is there: it changes), alloc, job, node, datacenter. Its ID, after which
        instances are told in order: as they were registered, unless `id` or `alloc` are given."""
        return self.run(lambda: self._register([self._fields(name, namespace, address, port, **more)]))[0]

    def register_all(self, many):
        """Dicts of register()'s arguments, in one entry of raft; their IDs."""
        return self.run(lambda: self._register([self._fields(**m) for m in many]))

    def load(self, services, instances, namespace="default"):
        """svc-0 ... svc-N with so many instances each, in one entry of raft and without events."""
        def go():
            index = self.state.next_index()
            for s in range(services):
                for i in range(instances):
                    n = s * instances + i
                    f = self._fields(f"svc-{s}", namespace, f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}", 20000 + i)
                    self.state.put(namespace, f["ServiceName"], f, index)
        self.run(go)

    def deregister(self, name=None, namespace="default", id=None, event="ServiceDeregistration"):
        """All instances of a service, or the one with this ID. event: what the stream calls it ("AllocationUpdated" as when an
        allocation ends by itself); None: it does not tell, as when garbage is collected."""
        def go():
            ids = [id] if id else sorted(self.state.services.get((namespace, name), {}))
            index = self.state.next_index()
            gone = [self.state.drop(namespace, i, index) for i in ids]
            if event:
                self.state.publish(index, event, gone)
        self.run(go)

    def instances(self, name, namespace="default"):
        """Registrations as the API tells them."""
        return self.run(lambda: [dict(r.fields) for r in self.state.of_service(namespace, name)])

    def _namespace(self, name, there):
        self.state.namespaces_index = self.state.next_index()
        if there:
            self.state.names[name] = ""
        else:
            self.state.names.pop(name)
        self.state.wake("namespaces")

    def namespace(self, name, there=True):
        """Makes a namespace, or takes it away. A registration makes its own."""
        self.run(self._namespace, name, there)

    def checks(self, alloc, **results):
        """The checks of an allocation: name="success" | "failure" | "pending", or a dict as the API tells it."""
        def go():
            self.state.checks[alloc] = {f"{name}-id": r if isinstance(r, dict) else {
                "ID": f"{name}-id", "Mode": "healthiness", "Status": r, "Output": "", "Timestamp": 1, "Group": "g", "Task": "server",
                "Service": name, "Check": name} for name, r in results.items()}
        self.run(go)

    @property
    def index(self):
        """Of the table of registrations."""
        return self.run(lambda: self.state.services_index)

    def busy(self, entries=1):
        """Entries of raft that have nothing to do with services: they take place in the stream's buffer."""
        self.run(lambda: [self.state.publish(self.state.next_index(), "EvaluationUpdated", []) for _ in range(entries)])

    def wake(self):
        """Every blocking query comes back though nothing has changed."""
        self.run(lambda: self.state.wake(for_nothing=True))

    def waiting(self):
        """How many blocking queries wait."""
        return self.run(lambda: len(set().union(*self.state.waiting.values())) if self.state.waiting else 0)

    def streams(self):
        """How many read the event stream."""
        return self.run(lambda: len(self.state.streams))

    def snapshot(self):
        return self.run(self.state.copy)

    def restore(self, kept):
        self.run(self.state.restore, kept)

    def wipe(self):
        """A cluster made anew: nothing in it, indexes from the beginning, and every connection is cut."""
        def go():
            fresh = self.state.empty()
            self.state.restore(fresh)
            self.state.index = fresh["index"]
        self.run(go)
        for a in self.agents:
            if a.servers:
                a.cut()

    # --- who may ---

    def token(self, secret, *namespaces, management=False, workload=False, agent_read=False, sees=()):
        """A token with read-job on these namespaces; a workload's own reads services everywhere but lists only these. Given anew
        it has other rights from then on; what runs is not ended. sees: namespaces with some other right."""
        def go():
            if self.state.tokens is None:
                self.state.tokens = {}
            self.state.tokens[secret] = Token(None if management else frozenset(namespaces), workload, agent_read, sees)
        self.run(go)
        return secret

    def revoke(self, secret):
        """Streams end; who waits is answered as if nothing had been, and refused when he asks again."""
        def go():
            self.state.tokens.pop(secret, None)
            self.state.end_streams(secret)
        self.run(go)

    # --- the log ---

    @property
    def requests(self):
        """Of all agents, in order."""
        return self.run(lambda: list(self.log))

    def asked(self, route=None, blocking=None, agent=None):
        """Requests of a route; agent: its place in `agents`."""
        name = None if agent is None else self.agents[agent].handler.name
        return [r for r in self.requests if route in (None, r.route) and blocking in (None, r.blocking) and name in (None, r.agent)]

    def forget(self):
        """The log begins anew."""
        self.run(self.log.clear)


def lesson():
    """The server of a lesson: four services, and no other path."""
    n = Nomad()
    n.agents[0].only("service")
    n.register("example", address="1.2.3.4", port=23202)
    n.register("fakeipv6", address="2001:db8::1", port=23202)
    for i, port in enumerate((23202, 29031, 27771)):
        n.register("multi", address=f"1.2.3.{4 + i}", port=port)
    return n


COMMANDS = """register JSON      arguments of register(); answered by the ID
deregister JSON    arguments of deregister()
index              the index of the table
asked              how many requests there were
quit"""


def obey(n, line):
    word, _, rest = line.strip().partition(" ")
    if word == "register":
        return n.register(**json.loads(rest))
    if word == "deregister":
        return n.deregister(**json.loads(rest)) or "ok"
    if word == "index":
        return n.index
    if word == "asked":
        return len(n.requests)
    raise ValueError(f"no such command: {line!r}; there are:\n{COMMANDS}")


def main():
    p = argparse.ArgumentParser(epilog=COMMANDS, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--services", type=int, default=0)
    p.add_argument("--instances", type=int, default=10)
    p.add_argument("--port", type=int, default=0)
    p.add_argument("--lesson", action="store_true")
    o = p.parse_args()
    n = lesson() if o.lesson else Nomad()
    n.agents[0].port = o.port
    n.load(o.services, o.instances)
    with n:
        print(n.url, flush=True)
        for line in sys.stdin:
            if line.strip() == "quit":
                break
            print(obey(n, line), flush=True)


if __name__ == "__main__":
    main()
