"""An HTTP/2 client that lets a test see and send everything: requests on streams, answers in the order they
come, resets, GOAWAY, settings. Malformed things go out with `raw`."""
import socket
import time

import clients
import h2.config
import h2.connection
import h2.events
import h2.settings


class Stream:
    def __init__(self):
        self.status, self.headers, self.trailers, self.body = None, {}, {}, b""
        self.ended, self.reset, self.order = False, None, None

    @property
    def done(self):
        return self.ended or self.reset is not None


class H2:
    def __init__(self, port, tls=True, alpn=("h2",), ctx=None, settings=None, host="127.0.0.1"):
        self.s = socket.create_connection((host, port), 5)
        if tls:
            self.s = (ctx or clients.context(alpn)).wrap_socket(self.s, server_hostname="localhost")
        config = h2.config.H2Configuration(client_side=True, header_encoding="utf-8", validate_outbound_headers=False,
                                           normalize_outbound_headers=False)
        self.c = h2.connection.H2Connection(config)
        if settings:
            self.c.local_settings.update(settings)
            self.c.local_settings.acknowledge()
        self.c.initiate_connection()
        self.streams, self.goaway, self.closed, self.n_events, self.pings = {}, [], False, 0, 0
        self.remote = {}
        self.flush()

    def flush(self):
        data = self.c.data_to_send()
        if data and not self.closed:
            try:
                self.s.sendall(data)
            except OSError:
                self.closed = True

    def raw(self, data):
        self.flush()
        try:
            self.s.sendall(data)
        except OSError:
            self.closed = True

    def start(self, method, path, headers=(), body=None, end=True):
        """Send a request; its stream id."""
        sid = self.c.get_next_available_stream_id()
        self.streams[sid] = Stream()
        fields = [(":method", method), (":scheme", "https"), (":authority", "localhost"), (":path", path), *headers]
        self.c.send_headers(sid, fields, end_stream=body is None and end)
        if body is not None:
            left = body
            while len(left) > 16384:
                self.c.send_data(sid, left[:16384])
                left = left[16384:]
            self.c.send_data(sid, left, end_stream=end)
        self.flush()
        return sid

    def event(self, e):
        self.n_events += 1
        s = self.streams.get(getattr(e, "stream_id", None))
        if isinstance(e, h2.events.ResponseReceived):
            s.headers = dict(e.headers)
            s.status, s.order = int(s.headers[":status"]), self.n_events
        elif isinstance(e, h2.events.DataReceived):
            s.body += e.data
            self.c.acknowledge_received_data(e.flow_controlled_length, e.stream_id)
        elif isinstance(e, h2.events.TrailersReceived):
            s.trailers = dict(e.headers)
        elif isinstance(e, h2.events.StreamEnded):
            s.ended = True
        elif isinstance(e, h2.events.StreamReset) and s:
            s.reset = int(e.error_code)
        elif isinstance(e, h2.events.ConnectionTerminated):
            self.goaway.append((int(e.error_code), e.last_stream_id, e.additional_data or b""))
        elif isinstance(e, h2.events.RemoteSettingsChanged):
            self.remote.update({int(k): v.new_value for k, v in e.changed_settings.items()})
        elif isinstance(e, h2.events.PingAckReceived):
            self.pings += 1

    def read(self, until, seconds=5):
        """Events until `until()` is true; False when the time is over or the connection closed before."""
        end = time.monotonic() + seconds
        while not until():
            left = end - time.monotonic()
            if left <= 0 or self.closed:
                return until()
            self.s.settimeout(left)
            try:
                data = self.s.recv(65536)
            except (socket.timeout, TimeoutError):
                continue
            except OSError:
                data = b""
            if not data:
                self.closed = True
                return until()
            for e in self.receive(data):
                self.event(e)
            self.flush()
        return True

    def receive(self, data):
        return self.c.receive_data(data)

    def ask(self, method, path, headers=(), body=None, seconds=5):
        sid = self.start(method, path, headers, body)
        assert self.read(lambda: self.streams[sid].done, seconds), (self.goaway, self.closed)
        return self.streams[sid]

    def wait_closed(self, seconds):
        self.read(lambda: False, seconds)
        return self.closed

    def close(self):
        self.s.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
