"""What an API server of Kubernetes knows: collections of objects at revisions, selectors, and the history that
watches are fed from. No network here; see kube_api.py."""
import base64
import bisect
import collections
import gc
import json
import re

KINDS = {  # kind: (collection, apiVersion, path)
    "Service": ("services", "v1", "/api/v1/services"),
    "EndpointSlice": ("endpointslices", "discovery.k8s.io/v1", "/apis/discovery.k8s.io/v1/endpointslices"),
    "Namespace": ("namespaces", "v1", "/api/v1/namespaces"),
    "Pod": ("pods", "v1", "/api/v1/pods"),
    "ServiceImport": ("serviceimports", "multicluster.x-k8s.io/v1alpha1", "/apis/multicluster.x-k8s.io/v1alpha1/serviceimports"),
}


OLD_PAGE = ("The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue "
            "parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided "
            "token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was "
            "returned and now may show up in the list.")


class Gone(Exception):
    """410: too old. `token` goes on with what is there now, for a list whose revision is forgotten."""

    def __init__(self, message, token=None):
        super().__init__(message)
        self.token = token


class Bad(Exception):
    """400."""


class Item:
    """One object at one revision. `data` is its JSON without kind and apiVersion, as items of a list are."""

    __slots__ = ("key", "rv", "labels", "fields", "data", "proto")  # proto: the same as a message, once it was asked for

    def __init__(self, key, rv, labels, fields, data):
        self.key, self.rv, self.labels, self.fields, self.data = key, rv, labels, fields, data
        self.proto = None


def identity(obj):
    meta = obj["metadata"]
    return f"{meta.get('namespace') or ''}/{meta['name']}"


def item_of(obj, rv, text=None):
    meta = obj["metadata"]
    fields = {"metadata.name": meta["name"], "metadata.namespace": meta.get("namespace") or ""}
    status = obj.get("status")
    if isinstance(status, dict) and isinstance(status.get("phase"), str):
        fields["status.phase"] = status["phase"]
    if text is None:
        meta = {**meta, "resourceVersion": str(rv)}
        bare = {"metadata": meta, **{k: v for k, v in obj.items() if k not in ("kind", "apiVersion", "metadata")}}
        text = json.dumps(bare, separators=(",", ":"), ensure_ascii=False).encode()
    labels = meta.get("labels")
    return Item(identity(obj), rv, labels if isinstance(labels, dict) else {}, fields, text)


def _bare(line, collection, rv):
    """The text of an object without kind and apiVersion, with this revision if one is given; None when it is not begun as usual."""
    head = b'{"kind":"%s","apiVersion":"%s","metadata":{' % (collection.kind.encode(), collection.api.encode())
    if not line.startswith(head):
        return None
    return b'{"metadata":{' + (b'"resourceVersion":"%d",' % rv if rv else b"") + line[len(head):].rstrip()


# --- selectors -------------------------------------------------------------------------------------

def _labels_part(text):
    m = re.fullmatch(r"(\S+)\s+(in|notin)\s+\((.*)\)", text)
    if m:
        key, word, values = m[1], m[2], {v.strip() for v in m[3].split(",")}
        if word == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    for sign, equal in (("!=", False), ("==", True), ("=", True)):
        if sign in text:
            key, value = (w.strip() for w in text.split(sign, 1))
            return (lambda labels: labels.get(key) == value) if equal else (lambda labels: labels.get(key) != value)
    if text.startswith("!"):
        return lambda labels: text[1:].strip() not in labels
    if not re.fullmatch(r"[\w./-]+", text):
        raise Bad(f"unable to parse requirement: {text!r}")
    return lambda labels: text in labels


def selector(labels, fields):
    """A test of an Item for the two texts of a request; None when everything passes."""
    parts = [_labels_part(p.strip()) for p in re.split(r",(?![^(]*\))", labels)] if labels else []
    wants = []
    for p in fields.split(",") if fields else ():
        m = re.fullmatch(r"([\w.]+)(!=|==|=)(.*)", p)
        if not m or m[1] not in ("metadata.name", "metadata.namespace", "status.phase"):
            raise Bad(f"field label not supported: {p!r}")
        wants.append((m[1], m[2] != "!=", m[3]))
    if not parts and not wants:
        return None
    return lambda i: all(p(i.labels) for p in parts) and all((i.fields.get(k, "") == v) is same for k, same, v in wants)


# --- collections -----------------------------------------------------------------------------------

class Collection:
    def __init__(self, store, kind):
        self.store, self.kind = store, kind
        self.name, self.api, self.path = KINDS[kind]
        self.items = {}
        self.history = collections.deque()  # (rv, before, after): Items, None for "not there"
        self.forgotten = 0  # changes up to this revision are not in `history` any more
        self.snapshots = {}  # (rv, selectors): sorted items, for the pages after the first
        self.watchers = []
        self._sorted = None

    def change(self, rv, before, after):
        """An object changes, comes (no `before`), or goes (no `after`)."""
        if after:
            self.items[after.key] = after
        else:
            del self.items[before.key]
        self._sorted = None
        self.history.append((rv, before, after))
        while len(self.history) > self.store.history:
            self.forgotten = self.history.popleft()[0]
        for w in self.watchers:
            w.tell(rv, before, after)

    def compact(self):
        """What was is forgotten, as after a compaction of etcd: older revisions are gone for lists and watches."""
        self.history.clear()
        self.snapshots.clear()
        self.forgotten = self.store.revision

    def sorted(self):
        if self._sorted is None:
            self._sorted = [self.items[k] for k in sorted(self.items)]
        return self._sorted

    def select(self, labels, fields):
        passes = selector(labels, fields)
        return [i for i in self.sorted() if passes(i)] if passes else self.sorted()

    def page(self, labels, fields, limit, token):
        """(items, revision, token of the next page, how many remain)."""
        if token:
            rv, start = self._open(token)
            if rv < 0:
                items, rv = self.select(labels, fields), self.store.revision
            else:
                items = self.snapshots.get((rv, labels, fields))
                if items is None:
                    raise Gone(OLD_PAGE, self._token(-1, start))
        else:
            rv, start, items = self.store.revision, "", self.select(labels, fields)
            if limit and len(items) > limit:
                self.snapshots[(rv, labels, fields)] = items
                while len(self.snapshots) > 16:
                    del self.snapshots[next(iter(self.snapshots))]
        at = bisect.bisect_left(items, start, key=lambda i: i.key)
        part = items[at:at + limit] if limit else items[at:]
        left = len(items) - at - len(part)
        return part, rv, self._token(rv, items[at + len(part)].key) if left else "", left

    def _token(self, rv, start):
        return base64.urlsafe_b64encode(json.dumps({"v": "meta.k8s.io/v1", "rv": rv, "start": start}).encode()).decode().rstrip("=")

    def _open(self, token):
        try:
            m = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
            return m["rv"], m["start"]
        except (ValueError, KeyError, TypeError):
            raise Bad("continue key is not valid")


class Store:
    """`history`: how many changes a collection remembers."""

    def __init__(self, history=10000):
        self.revision, self.history = 1, history
        self.of_kind = {k: Collection(self, k) for k in KINDS}
        self.of_name = {c.name: c for c in self.of_kind.values()}
        self.of_path = {c.path: c for c in self.of_kind.values()}

    def load(self, objects):
        """Objects that were there before anybody asked: no history. Their own revisions stay. Lines of JSON are objects, too."""
        gc.disable()  # many small objects that stay: looking for circles among them takes more time than all the rest
        for obj in objects:
            line, obj = (obj, json.loads(obj)) if isinstance(obj, bytes) else (None, obj)
            c = self.of_kind[obj["kind"]]
            own = obj["metadata"].get("resourceVersion")
            rv = int(own or self.revision + 1)
            self.revision = max(self.revision, rv)
            item = item_of(obj, rv, line and _bare(line, c, None if own else rv))
            c.items[item.key] = item
        gc.enable()
        for c in self.of_kind.values():
            c._sorted = None
            c.forgotten = self.revision

    def put(self, obj, text=None):
        """Adds or changes an object; its revision. `text`: octets told in place of it, with neither kind nor apiVersion."""
        self.revision += 1
        item, c = item_of(obj, self.revision, text), self.of_kind[obj["kind"]]
        c.change(self.revision, c.items.get(item.key), item)
        return self.revision

    def delete(self, kind, namespace, name):
        self.revision += 1
        c = self.of_kind[kind]
        c.change(self.revision, c.items[f"{namespace}/{name}"], None)
        return self.revision


def read_lines(*paths):
    for path in paths:
        with open(path, "rb") as f:
            yield from (line for line in f if line.strip())


def read_objects(*paths):
    return map(json.loads, read_lines(*paths))
