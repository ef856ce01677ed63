"""What the servers of a Nomad region know: registrations, namespaces, tokens, the index of each table, and who waits for what.

All agents of nomad.py look at one State. Bodies are made once for each registration and kept for each service, so that
thousands of services cost little. Indexes are those of raft: one for the region, and for each table the last that changed it."""
import asyncio
import json
import random
import uuid

EVENTS_KEPT = 100
SMALL = 16  # services; in a table as small as this every change wakes everybody, as neighbours in the tree


def short(value):
    """As Nomad writes it: members by name, which brings an event's type and its index after all else."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


class Token:
    """What the bearer may do. namespaces: those with read-job; None: all, as a management token. sees: those in which it has
    some other right, enough to be told that they exist."""

    def __init__(self, namespaces=None, workload=False, agent_read=False, sees=()):
        self.namespaces, self.workload, self.sees = namespaces, workload, sees
        self.management = namespaces is None
        self.agent_read = agent_read or self.management

    def lists(self, namespace):
        return self.management or namespace in (self.namespaces or ())

    def reads(self, namespace):
        """Reads of one namespace; every workload may, whatever its policies say."""
        return self.workload or self.lists(namespace)

    def knows(self, namespace):
        return self.lists(namespace) or namespace in self.sees


class Registration:
    __slots__ = ("fields", "body")

    def __init__(self, fields):
        self.fields, self.body = fields, short(fields).encode()


class Wait(asyncio.Event):
    """One blocking query that waits."""

    for_nothing = False  # told to come back though nothing has changed


class State:
    def __init__(self):
        self.index = 10  # of the region; a leader's first entries are no registrations
        self.services_index = 1  # of the table; never told as 0
        self.namespaces_index = 1
        self.names = {"default": "Default shared namespace"}
        self.services = {}  # (namespace, name): {ID: Registration}
        self.where = {}  # (namespace, ID): (namespace, name)
        self.checks = {}  # allocation: {check's ID: result}
        self.tokens = None  # {secret: Token}; None: no ACLs
        self.anonymous = Token(namespaces=frozenset())
        self.events = []  # [(index, [(namespace, keys, encoded event)])]
        self.events_kept = EVENTS_KEPT
        self.waiting = {}  # key: set of Wait
        self.streams = set()  # of queues: see nomad_stream.py
        self.bodies = {}  # (namespace, name): octets; forgotten when it changes
        self.listed = {}  # (namespace, name): what a list says of it; forgotten when it changes
        self.lists = {}  # frozenset of namespaces or None: (services_index, octets)

    # --- who waits ---

    def wait_on(self, keys, event):
        for k in keys:
            self.waiting.setdefault(k, set()).add(event)

    def leave(self, keys, event):
        for k in keys:
            s = self.waiting.get(k)
            if s:
                s.discard(event)
                if not s:
                    del self.waiting[k]

    def wake(self, *keys, for_nothing=False):
        """Who waits for one of these looks again; without keys: everybody."""
        for k in keys or list(self.waiting):
            for event in self.waiting.get(k, ()):
                event.for_nothing |= for_nothing
                event.set()

    # --- registrations ---

    def next_index(self):
        self.index += 1
        return self.index

    def put(self, namespace, name, fields, index):
        """Adds a registration or changes it; False when it is as it was."""
        service = self.services.setdefault((namespace, name), {})
        old = service.get(fields["ID"])
        fields["CreateIndex"] = old.fields["CreateIndex"] if old else index
        fields["ModifyIndex"] = old.fields["ModifyIndex"] if old else index
        if old and old.fields == fields:
            return False
        fields["ModifyIndex"] = index
        service[fields["ID"]] = Registration(fields)
        self.where[(namespace, fields["ID"])] = (namespace, name)
        self._changed(namespace, name, index)
        return True

    def drop(self, namespace, id_, index):
        """Takes a registration away; its fields."""
        key = self.where.pop((namespace, id_))
        service = self.services[key]
        gone = service.pop(id_)
        if not service:
            del self.services[key]
        self._changed(*key, index)
        return gone.fields

    def _changed(self, namespace, name, index):
        self.services_index = index
        self.bodies.pop((namespace, name), None)
        self.listed.pop((namespace, name), None)
        self.wake("*", namespace, (namespace, name))
        if len(self.services) <= SMALL:
            self.wake(*(k for k in list(self.waiting) if k != "namespaces"))

    def of_service(self, namespace, name):
        """Registrations in the order of the API: by ID."""
        service = self.services.get((namespace, name), {})
        return [service[i] for i in sorted(service)]

    def body(self, namespace, name):
        key = (namespace, name)
        if key not in self.services:
            return b"[]"
        if key not in self.bodies:
            self.bodies[key] = b"[" + b",".join(r.body for r in self.of_service(*key)) + b"]"
        return self.bodies[key]

    def list_body(self, allowed):
        """allowed: the namespaces that are told; None: all. Services are in no order: each time in another one."""
        key = None if allowed is None else frozenset(allowed)
        kept = self.lists.get(key)
        if kept and kept[0] == self.services_index:
            return kept[1]
        by_namespace = {}
        for at, regs in self.services.items():
            if key is None or at[0] in key:
                if at not in self.listed:
                    tags = sorted({t for r in regs.values() for t in r.fields["Tags"] or ()})
                    self.listed[at] = short({"ServiceName": at[1], "Tags": tags})
                by_namespace.setdefault(at[0], []).append(self.listed[at])
        for namespace, services in by_namespace.items():
            first = random.randrange(len(services))
            by_namespace[namespace] = f'{{"Namespace":{short(namespace)},"Services":[{",".join(services[first:] + services[:first])}]}}'
        octets = f"[{','.join(by_namespace.values())}]".encode()
        self.lists[key] = (self.services_index, octets)
        return octets

    # --- events ---

    def publish(self, index, kind, fields_of):
        """One entry of the stream's buffer: the registrations that one entry of raft touched."""
        entries = []
        for f in fields_of:
            event = {"Topic": "Service", "Type": kind, "Key": f["ID"], "Namespace": f["Namespace"],
                     "FilterKeys": [f["JobID"], f["ServiceName"]], "Index": index, "Payload": {"Service": f}}
            entries.append(("Service", f["Namespace"], (f["ID"], f["JobID"], f["ServiceName"]), short(event)))
        self.events.append((index, entries))
        del self.events[:-self.events_kept]
        for stream in self.streams:
            stream.put_nowait((index, entries))

    def end_streams(self, secret=None):
        """Streams opened with this token end; None: all."""
        for stream in list(self.streams):
            if secret is None or stream.secret == secret:
                stream.put_nowait(None)

    # --- everything at once ---

    def copy(self):
        """What a snapshot holds."""
        return {"index": self.index, "services_index": self.services_index, "namespaces_index": self.namespaces_index, "names": dict(self.names),
                "services": {k: dict(v) for k, v in self.services.items()}, "where": dict(self.where), "tokens": self.tokens and dict(self.tokens)}

    def restore(self, kept):
        """As after `operator snapshot restore`: tables are as they were, with the indexes that they had; streams end; who waits goes on
        waiting, since no index is beyond his. Raft goes on: the next change has an index beyond all before."""
        at = max(self.index, kept["index"])
        for k, v in kept.items():
            setattr(self, k, dict(v) if isinstance(v, dict) else v)
        self.services = {k: dict(v) for k, v in kept["services"].items()}
        self.index = at
        self.bodies.clear()
        self.listed.clear()
        self.lists.clear()
        self.events.clear()
        self.end_streams()
        self.wake()

    def empty(self):
        """What a cluster that was made anew holds."""
        return {**State().copy(), "tokens": self.tokens}


class Stream(asyncio.Queue):
    """What one reader of the event stream has not seen yet."""

    def __init__(self, secret):
        super().__init__()
        self.secret = secret


def make_id(name, alloc, port):
    return f"_nomad-task-{alloc}-group-g-{name}-p{port}"


def allocation(number):
    """The number'th allocation: IDs sort as they were made, which is the order of answers."""
    return str(uuid.UUID(int=(number << 80) | 0x4000_8000_0000_0000_0000))
