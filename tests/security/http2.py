"""HTTP/2 as octets, for frames that no library would send."""
import socket

import clients

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS = 1, 4


def frame(kind, flags=0, stream=0, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


HELLO = PREFACE + frame(SETTINGS)


def field(name, value):
    """A literal that is not put into the table; lengths below 127."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


DOH = b"\x83\x87\x01\x01a\x04\x0a/dns-query"  # POST, https, authority "a"
GRPC = b"\x83\x86\x01\x01a\x04\x1d/coredns.dns.DnsService/Query" + field(b"content-type", b"application/grpc") + field(b"te", b"trailers")
FIELDS = {"doh": DOH, "grpc": GRPC}


def body(app, msg):
    if app == "doh":
        return msg
    packed = clients.Grpc.pack(msg)
    return b"\0" + len(packed).to_bytes(4, "big") + packed


def request(app, stream, msg, extra=b""):
    return frame(HEADERS, END_HEADERS, stream, FIELDS[app] + extra) + frame(DATA, END_STREAM, stream, body(app, msg))


def connect(w, app, hello=HELLO, timeout=3.0):
    s = socket.create_connection(("127.0.0.1", w.port["https" if app == "doh" else "grpc"]), 5)
    if app == "doh":
        s = clients.context(["h2"]).wrap_socket(s)
    s.settimeout(timeout)
    s.sendall(hello)
    return s


def send(s, data, seconds=5.0):
    """As much as the server takes; how many octets. It ends early when the server closes or stops reading."""
    s.settimeout(seconds)
    sent = 0
    try:
        while sent < len(data):
            n = s.send(data[sent:sent + 16384])
            sent += n
    except OSError:
        pass
    return sent


def frames(s, seconds=1.0, until=None):
    """Frames that come until the server is silent for so long, or closes: [(type, flags, stream, payload)], closed."""
    got, data = [], b""
    s.settimeout(seconds)
    while True:
        try:
            part = s.recv(65536)
        except TimeoutError:
            return got, False
        except OSError:
            return got, True
        if not part:
            return got, True
        data += part
        while len(data) >= 9 and len(data) >= 9 + int.from_bytes(data[:3], "big"):
            n = int.from_bytes(data[:3], "big")
            got.append((data[3], data[4], int.from_bytes(data[5:9], "big") & 0x7fffffff, data[9:9 + n]))
            data = data[9 + n:]
            if until is not None and until(got[-1]):
                return got, False


def goaway(got):
    """The code of the last GOAWAY, or None."""
    return next((int.from_bytes(p[4:8], "big") for k, _, _, p in reversed(got) if k == GOAWAY), None)
