"""How an API server writes lists, events and statuses: here is all that depends on what a client accepts."""
import json
import re

_REVISION = re.compile(rb'"resourceVersion":"\d*"')


class Json:
    type = "application/json"
    watch_type = "application/json"

    def __init__(self, collection):
        self.c = collection
        self.kind, self.api = collection.kind, collection.api
        self.list_kind = self.kind + "List"
        # Items of a list tell neither kind nor apiVersion, except those of custom resources.
        self.bare = "x-k8s.io" not in self.api

    def list_head(self, revision, token="", left=0):
        meta = {"resourceVersion": str(revision)}
        if token:
            meta["continue"] = token
        if left:
            meta["remainingItemCount"] = left
        head = json.dumps({"kind": self.list_kind, "apiVersion": self.api, "metadata": meta}, separators=(",", ":"))
        return head[:-1].encode() + b',"items":['

    def list_items(self, items, first):
        texts = [self.item(i) if self.bare else self.whole(i) for i in items]
        return (b"" if first else b",") + b",".join(texts)

    list_tail = b"]}\n"

    def item(self, item):
        return item.data

    def whole(self, item):
        data = self.item(item)
        if data[:1] != b"{":
            return data  # told as it is: nobody's object
        head = f'{{"kind":"{self.kind}","apiVersion":"{self.api}"'.encode()
        return head + (b"" if data[1:2] == b"}" else b",") + data[1:]

    def event(self, word, item, revision=None):
        """`revision`: told in place of the object's own, for one that goes."""
        data = self.whole(item)
        if revision is not None:
            data = _REVISION.sub(b'"resourceVersion":"%d"' % revision, data, 1)
        return b'{"type":"%s","object":%s}\n' % (word, data)

    def bookmark(self, revision, initial_end=False):
        meta = {"resourceVersion": str(revision), "creationTimestamp": None}
        if initial_end:
            meta["annotations"] = {"k8s.io/initial-events-end": "true"}
        obj = {"kind": self.kind, "apiVersion": self.api, "metadata": meta}
        return json.dumps({"type": "BOOKMARK", "object": obj}, separators=(",", ":")).encode() + b"\n"

    def error(self, status):
        return json.dumps({"type": "ERROR", "object": status}, separators=(",", ":")).encode() + b"\n"


class JsonMetadata(Json):
    """Only the metadata of objects: what `as=PartialObjectMetadata` asks for."""

    def __init__(self, collection):
        super().__init__(collection)
        self.kind, self.api, self.list_kind, self.bare = "PartialObjectMetadata", "meta.k8s.io/v1", "PartialObjectMetadataList", False

    def item(self, item):
        return json.dumps({"metadata": json.loads(item.data).get("metadata")}, separators=(",", ":"), ensure_ascii=False).encode()


def negotiate(accept, collection):
    """The first form of the Accept header that is known; None: not acceptable."""
    for part in (accept or "application/json").split(","):
        words = [w.strip() for w in part.split(";")]
        if words[0] in ("application/json", "*/*", "application/*"):
            as_what = dict(w.split("=", 1) for w in words[1:] if "=" in w).get("as", "")
            if as_what.startswith("PartialObjectMetadata"):
                return JsonMetadata(collection)
            if not as_what:
                return Json(collection)
    return None


def status(code, reason, message, details=None):
    obj = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason}
    if details:
        obj["details"] = details
    return {**obj, "code": code}
