"""An HTTP/2 client that lets a test see and send everything: requests on streams, answers in the order they
come, resets, GOAWAY, settings. Malformed things go out with `raw`."""
import socket
import time

import clients
import h2.config
import h2.connection
import h2.events
import hyperframe.frame


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
        # the library takes the first GOAWAY for the end of everything; running streams go on
        self.c._frame_dispatch_table[hyperframe.frame.GoAwayFrame] = self.on_goaway
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
            self.send(sid, body, end)
        self.flush()
        return sid

    def send(self, sid, body, end=True):
        """Octets of a body, as the server's windows allow."""
        stream = self.streams[sid]
        while True:
            n = min(len(body), self.c.local_flow_control_window(sid), self.c.max_outbound_frame_size)
            if n < len(body) and n == 0:
                self.flush()
                if not self.read(lambda: stream.done or self.c.local_flow_control_window(sid) > 0) or stream.done:
                    return
                continue
            self.c.send_data(sid, body[:n], end_stream=end and n == len(body))
            body = body[n:]
            if not body:
                return

    def on_goaway(self, f):
        self.goaway.append((f.error_code, f.last_stream_id, f.additional_data))
        return [], []

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
