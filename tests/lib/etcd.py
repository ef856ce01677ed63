"""A real etcd and a small client for it: gRPC by grpcio, messages by hand (numbers as in proto/grpc/etcd.proto)."""
import os
import shutil
import signal
import tempfile
import time

import grpc

from server import Process, free_port, wait_for

ETCD34 = shutil.which("etcd") or "/usr/bin/etcd"
BINARY = ETCD34  # of members that name none; tests/peers runs the same tests with another one
ALL_KEYS = b"\0"


# --- messages -------------------------------------------------------------------------------------


def varint(v):
    v &= (1 << 64) - 1
    out = bytearray()
    while v > 0x7F:
        out.append(v & 0x7F | 0x80)
        v >>= 7
    out.append(v)
    return bytes(out)


def field(number, value):
    """One field: int and bool as varint, str and bytes with length; None and 0 are left out."""
    if value is None or value == 0 or value == b"" or value == "":
        return b""
    if isinstance(value, (int, bool)):
        return varint(number << 3) + varint(int(value))
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def parse(data):
    """{number: [values]}: ints, or bytes."""
    out, i = {}, 0

    def number():
        nonlocal i
        v = shift = 0
        while True:
            b = data[i]
            i += 1
            v |= (b & 0x7F) << shift
            shift += 7
            if b < 0x80:
                return v

    while i < len(data):
        tag = number()
        if tag & 7 == 0:
            value = number()
        else:
            n = number()
            value, i = data[i:i + n], i + n
        out.setdefault(tag >> 3, []).append(value)
    return out


def put_request(key, value, lease=0):
    return field(1, key) + field(2, value) + field(3, lease)


def prefix_end(prefix):
    prefix = prefix.encode() if isinstance(prefix, str) else prefix
    return prefix[:-1] + bytes([prefix[-1] + 1])


class Error(Exception):
    pass


class Client:
    def __init__(self, target, credentials=None, token=None, server_name=None):
        options = [("grpc.max_receive_message_length", -1), ("grpc.enable_http_proxy", 0),
                   ("grpc.use_local_subchannel_pool", 1)]
        if server_name:
            options.append(("grpc.ssl_target_name_override", server_name))
        self.channel = grpc.secure_channel(target, credentials, options) if credentials else \
            grpc.insecure_channel(target, options)
        self.token = token

    def close(self):
        self.channel.close()

    def call(self, method, request=b"", timeout=10):
        metadata = [("token", self.token)] if self.token else None
        f = self.channel.unary_unary("/etcdserverpb." + method, request_serializer=None, response_deserializer=None)
        try:
            return parse(f(request, timeout=timeout, metadata=metadata))
        except grpc.RpcError as e:
            raise Error(f"{method}: {e.code()} {e.details()}") from None

    def put(self, key, value, lease=0):
        """The revision of the put."""
        return self.revision(self.call("KV/Put", put_request(key, value, lease)))

    def delete(self, key, end=None):
        return self.revision(self.call("KV/DeleteRange", field(1, key) + field(2, end)))

    def delete_prefix(self, prefix):
        return self.delete(prefix, prefix_end(prefix))

    def txn(self, puts=(), deletes=()):
        """All of it in one revision: [(key, value)], [key]."""
        ops = [field(2, put_request(k, v)) for k, v in puts]
        ops += [field(3, field(1, k)) for k in deletes]
        return self.revision(self.call("KV/Txn", b"".join(field(2, op) for op in ops)))

    def load(self, items, batch=120):
        """Many keys, quickly."""
        items = list(items)
        calls = []
        f = self.channel.unary_unary("/etcdserverpb.KV/Txn", request_serializer=None, response_deserializer=None)
        for i in range(0, len(items), batch):
            q = b"".join(field(2, field(2, put_request(k, v))) for k, v in items[i:i + batch])
            calls.append(f.future(q, timeout=60))
            if len(calls) >= 32:
                calls.pop(0).result()
        for c in calls:
            c.result()

    def get(self, key, end=None):
        """[(key, value, mod revision, lease)]."""
        kvs = self.call("KV/Range", field(1, key) + field(2, end)).get(2, [])
        out = []
        for kv in kvs:
            m = parse(kv)
            out.append((m[1][0], m.get(5, [b""])[0], m[3][0], m.get(6, [0])[0]))
        return out

    def current_revision(self):
        return self.revision(self.call("KV/Range", field(1, b"\0") + field(3, 1)))

    @staticmethod
    def revision(reply):
        return parse(reply[1][0]).get(3, [0])[0]

    def compact(self, revision):
        self.call("KV/Compact", field(1, revision) + field(2, True))

    def grant(self, ttl, lease=0):
        """Its id, which may be chosen."""
        return self.call("Lease/LeaseGrant", field(1, ttl) + field(2, lease))[2][0]

    def revoke(self, lease):
        self.call("Lease/LeaseRevoke", field(1, lease))

    def time_to_live(self, lease):
        m = self.call("Lease/LeaseTimeToLive", field(1, lease))
        ttl = m.get(3, [0])[0]
        return ttl - (1 << 64) if ttl >> 63 else ttl

    def keep_alive(self, lease):
        f = self.channel.stream_stream("/etcdserverpb.Lease/LeaseKeepAlive", request_serializer=None,
                                       response_deserializer=None)
        call = f(iter([field(1, lease)]), timeout=5)
        return parse(next(call)).get(3, [0])[0]

    def authenticate(self, user, password):
        self.token = self.call("Auth/Authenticate", field(1, user) + field(2, password))[2][0].decode()


def add_user(c, user, password, role, key=None, end=None):
    """A user with one role that may read [key, end)."""
    c.call("Auth/RoleAdd", field(1, role))
    if key is not None:
        permission = field(2, key) + field(3, end)  # permType 0: READ
        c.call("Auth/RoleGrantPermission", field(1, role) + field(2, permission))
    c.call("Auth/UserAdd", field(1, user) + field(2, password))
    c.call("Auth/UserGrantRole", field(1, user) + field(2, role))


def enable_auth(c, root_password):
    c.call("Auth/UserAdd", field(1, "root") + field(2, root_password))
    c.call("Auth/RoleAdd", field(1, "root"))
    c.call("Auth/UserGrantRole", field(1, "root") + field(2, "root"))
    c.call("Auth/AuthEnable")


# --- servers --------------------------------------------------------------------------------------


class Member:
    """One etcd on free ports; its data outlives stops until close(). `before`: a command that executes the rest
    of its line."""

    def __init__(self, name="m1", binary=None, args=(), tls=None, host="127.0.0.1", before=()):
        self.name, self.binary, self.args, self.tls = name, binary or BINARY, list(args), tls
        self.host, self.before = host, before
        self.client_port, self.peer_port = free_port(), free_port()
        self.data = tempfile.mkdtemp(prefix="waypost-etcd-")
        self.process = None
        self.client = None
        self.cluster = None

    @property
    def scheme(self):
        return "https" if self.tls else "http"

    @property
    def url(self):
        return f"{self.scheme}://{self.host}:{self.client_port}"

    @property
    def peer_url(self):
        return f"http://{self.host}:{self.peer_port}"

    def start(self, cluster=None, wait=True):
        self.cluster = cluster or self.cluster or f"{self.name}={self.peer_url}"
        tls = []
        if self.tls:
            tls = ["--cert-file", self.tls["cert"], "--key-file", self.tls["key"]]
            if self.tls.get("client_ca"):
                tls += ["--client-cert-auth", "--trusted-ca-file", self.tls["client_ca"]]
        self.process = Process([
            *self.before, self.binary, "--name", self.name, "--data-dir", self.data,
            "--listen-client-urls", self.url, "--advertise-client-urls", self.url,
            "--listen-peer-urls", self.peer_url, "--initial-advertise-peer-urls", self.peer_url,
            "--initial-cluster", self.cluster, "--initial-cluster-token", "waypost-test", "--unsafe-no-fsync",
            "--logger", "zap", "--log-level", "error", "--quota-backend-bytes", str(8 << 30), *tls, *self.args])
        if wait:
            try:
                self.wait_ready()
            except BaseException:  # nobody is there to end it
                self.process.kill(signal.SIGKILL)
                raise
        return self

    def connect(self, token=None):
        """A client of this member; the one made last is self.client."""
        if self.client:
            self.client.close()
        credentials = None
        if self.tls:
            def read(k):
                return open(self.tls[k], "rb").read() if self.tls.get(k) else None
            credentials = grpc.ssl_channel_credentials(read("ca"), read("client_key"), read("client_cert"))
        self.client = Client(f"{self.host}:{self.client_port}", credentials, token, (self.tls or {}).get("server_name"))
        return self.client

    def wait_ready(self):
        def up():
            assert self.process.alive(), self.process.output()[-3000:]
            try:
                self.connect().call("KV/Range", field(1, b"\0"), timeout=2)
                return True
            except Error as e:
                return "user name is empty" in str(e)
        wait_for(up, 60, step=0.05)
        return self

    def signal(self, sig):
        self.process.kill(sig)
        if sig == signal.SIGSTOP:
            wait_for(self.is_stopped)

    def is_stopped(self):
        """Every thread: the signal takes its time."""
        tasks = f"/proc/{self.process.pid}/task"
        for task in os.listdir(tasks):
            with open(f"{tasks}/{task}/stat") as f:
                if f.read().rsplit(")", 1)[1].split()[0] not in "Tt":
                    return False
        return True

    def kill(self):
        """As power loss."""
        if self.process:
            self.process.kill(signal.SIGKILL)
            self.process.proc.wait()
            self.process.dir.cleanup()
            self.process = None

    def stop(self):
        """As an operator does; 3.7 waits for streams that are open, so not for long."""
        if self.process and self.process.alive():
            self.process.kill(signal.SIGCONT)
            self.process.kill(signal.SIGTERM)
            try:
                self.process.proc.wait(1)
            except Exception:
                pass
        self.kill()

    def wipe(self):
        """No data any more; only while stopped."""
        assert self.process is None
        shutil.rmtree(self.data)
        os.mkdir(self.data, 0o700)

    def close(self):
        self.kill()
        if self.client:
            self.client.close()
        shutil.rmtree(self.data, ignore_errors=True)

    def __enter__(self):
        return self.start() if self.process is None else self

    def __exit__(self, *exc):
        self.close()


class Cluster:
    """Members that know each other."""

    def __init__(self, n=3, binary=None, args=()):
        self.members = [Member(f"m{i + 1}", binary, args) for i in range(n)]

    def __enter__(self):
        all_of_them = ",".join(f"{m.name}={m.peer_url}" for m in self.members)
        for m in self.members:
            m.start(all_of_them, wait=False)
        for m in self.members:
            m.wait_ready()
        return self

    def __exit__(self, *exc):
        for m in self.members:
            m.close()

    @property
    def urls(self):
        return " ".join(m.url for m in self.members)


def timed(fn):
    t0 = time.monotonic()
    value = fn()
    return value, time.monotonic() - t0
