"""How an API server writes lists, events and statuses: here is all that depends on what a client accepts."""
import json
import re

import kube_proto

PROTOBUF = "application/vnd.kubernetes.protobuf"
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

    def list_head(self, revision, token, left, items):
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


class Proto(Json):
    """Kinds of the server itself as messages; objects that do not fit into them cannot be told."""

    type = PROTOBUF
    watch_type = PROTOBUF + ";stream=watch"

    def list_head(self, revision, token, left, items):
        meta = {"resourceVersion": str(revision), "continue": token, "remainingItemCount": left if token else None}
        head = kube_proto.counted(1, kube_proto.message("ListMeta", meta))
        length = len(head) + sum(len(kube_proto.counted(2, self.item(i))) for i in items)
        return kube_proto.envelope_head(self.list_kind, self.api, length) + head

    def list_items(self, items, first):
        return b"".join(kube_proto.counted(2, self.item(i)) for i in items)

    list_tail = kube_proto.ENVELOPE_TAIL

    def item(self, item):
        if item.proto is None:
            item.proto = kube_proto.message(self.kind, json.loads(item.data))
        return item.proto

    def _event(self, word, obj):
        return kube_proto.frame(word, kube_proto.envelope(self.kind, self.api, obj))

    def event(self, word, item, revision=None):
        if revision is None:
            return self._event(word, self.item(item))
        obj = json.loads(item.data)
        obj["metadata"]["resourceVersion"] = str(revision)
        return self._event(word, kube_proto.message(self.kind, obj))

    def bookmark(self, revision, initial_end=False):
        meta = {"resourceVersion": str(revision), **({"annotations": {"k8s.io/initial-events-end": "true"}} if initial_end else {})}
        return self._event(b"BOOKMARK", kube_proto.message(self.kind, {"metadata": meta}))

    def error(self, status):
        return kube_proto.frame(b"ERROR", proto_status(status))


class ProtoMetadata(Proto):
    def __init__(self, collection):
        super().__init__(collection)
        self.kind, self.api, self.list_kind = "PartialObjectMetadata", "meta.k8s.io/v1", "PartialObjectMetadataList"

    def item(self, item):
        return kube_proto.message(self.kind, {"metadata": json.loads(item.data)["metadata"]})


def proto_status(obj):
    return kube_proto.envelope("Status", "v1", kube_proto.message("Status", obj))


def negotiate(accept, collection, protobuf=False):
    """The first form of the Accept header that is known; None: not acceptable.
    protobuf: it is spoken; never for custom resources."""
    for part in (accept or "application/json").split(","):
        words = [w.strip() for w in part.split(";")]
        as_what = dict(w.split("=", 1) for w in words[1:] if "=" in w).get("as", "")
        metadata = as_what.startswith("PartialObjectMetadata")
        if as_what and not metadata:
            continue
        if words[0] in ("application/json", "*/*", "application/*"):
            return (JsonMetadata if metadata else Json)(collection)
        if words[0] == PROTOBUF and protobuf and "x-k8s.io" not in collection.api:
            return (ProtoMetadata if metadata else Proto)(collection)
    return None


def status(code, reason, message, details=None):
    obj = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason}
    if details:
        obj["details"] = details
    return {**obj, "code": code}
