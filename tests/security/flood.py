"""One kind of overload against one port, for some seconds, from a process of its own.

Usage: flood.py KIND PORT SECONDS. It tells how many connections or messages it made."""
import os
import socket
import ssl
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../lib"))
import clients  # noqa: E402
import http2  # noqa: E402
import wire  # noqa: E402
from http2 import DATA, END_HEADERS, HEADERS, PREFACE, SETTINGS, WINDOW, frame  # noqa: E402

WWW = wire.query("www.waypost.test")
# sixty kilobytes for sixty octets; a build with sanitizers, twenty times slower, would be busy for minutes
HUGE = wire.query(("big" if os.environ.get("FLOOD_SMALL") else "huge") + ".waypost.test", "TXT")
HOLD = 2000  # connections held at a time: ten times what DoH and gRPC take


def connect(port, alpn=None):
    s = socket.create_connection(("127.0.0.1", port), 2)
    s.settimeout(2)
    return clients.context(alpn).wrap_socket(s) if alpn else s


def each(port, end, alpn, do):
    """do(socket) on connection after connection; those it returns True for are held."""
    held, n = [], 0
    while time.monotonic() < end:
        try:
            s = connect(port, alpn)
            n += 1
            if do(s):
                held.append(s)
            else:
                s.close()
        except OSError:
            pass
        if len(held) >= HOLD:
            held.pop(0).close()
    return n


def silent(port, end):
    return each(port, end, None, lambda s: True)


def handshakes(port, end, alpn):
    """A whole handshake, one query's beginning, gone."""
    return each(port, end, alpn, lambda s: False)


def half_handshakes(port, end):
    def do(s):
        to, back = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = clients.context().wrap_bio(back, to)
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        s.sendall(to.read())
        return True
    return each(port, end, None, do)


def slow(port, end, alpn, first):
    def do(s):
        s.sendall(first)
        return True
    return each(port, end, alpn, do)


def unread(port, end, alpn):
    """Large answers asked for and never read: the window is closed."""
    def do(s):
        s.setblocking(False)
        try:
            for _ in range(50):
                s.send(wire.framed(HUGE))
        except OSError:
            pass
        return True
    return each(port, end, alpn, do)


def zero_window(port, end, app, alpn):
    def do(s):
        s.sendall(PREFACE + frame(SETTINGS, 0, 0, b"\0\4\0\0\0\0") + b"".join(http2.request(app, n, HUGE) for n in range(1, 200, 2)))
        return True
    return each(port, end, alpn, do)


def streams(port, end, app, alpn):
    """As many requests as the connection takes, their bodies held back; then the next connection."""
    def do(s):
        s.sendall(PREFACE + frame(SETTINGS) + b"".join(frame(HEADERS, END_HEADERS, n, http2.FIELDS[app]) + frame(DATA, 0, n, b"\0") for n in range(1, 500, 2)) +
                  frame(WINDOW, 0, 0, b"\0\0\0\1"))
        return True
    return each(port, end, alpn, do)


def pipeline(port, end, alpn):
    n = 0
    while time.monotonic() < end:
        try:
            s = connect(port, alpn)
            while time.monotonic() < end:
                s.sendall(wire.framed(WWW) * 200)
                for _ in range(200):
                    if wire.read_message(s) is None:
                        raise OSError
                n += 200
        except OSError:
            pass
    return n


def datagrams(port, end):
    n = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(("127.0.0.1", port))
        s.setblocking(False)
        while time.monotonic() < end:
            for _ in range(64):
                try:
                    s.send(WWW)
                    n += 1
                except OSError:
                    pass
            try:
                while True:
                    s.recv(2048)
            except OSError:
                pass
            time.sleep(0.001)
    return n


KINDS = {
    "tcp-silent": lambda p, e: silent(p, e), "tcp-pipeline": lambda p, e: pipeline(p, e, None), "tcp-unread": lambda p, e: unread(p, e, None),
    "tcp-slow": lambda p, e: slow(p, e, None, b"\0\x21\0"), "udp": datagrams,
    "dot-silent": lambda p, e: silent(p, e), "dot-handshakes": lambda p, e: handshakes(p, e, ["dot"]), "dot-half": half_handshakes,
    "dot-pipeline": lambda p, e: pipeline(p, e, ["dot"]), "dot-unread": lambda p, e: unread(p, e, ["dot"]),
    "dot-slow": lambda p, e: slow(p, e, ["dot"], b"\0\x21\0"),
    "doh-handshakes": lambda p, e: handshakes(p, e, ["h2"]), "doh-half": half_handshakes,
    "doh-slow-head": lambda p, e: slow(p, e, ["http/1.1"], b"POST /dns-query HTTP/1.1\r\nHost: x\r\n"),
    "doh-slow-body": lambda p, e: slow(p, e, ["http/1.1"], b"POST /dns-query HTTP/1.1\r\nHost: x\r\nContent-Type: application/dns-message\r\nContent-Length: 60000\r\n\r\n\0"),
    "doh-streams": lambda p, e: streams(p, e, "doh", ["h2"]), "doh-zero-window": lambda p, e: zero_window(p, e, "doh", ["h2"]),
    "grpc-silent": lambda p, e: silent(p, e), "grpc-streams": lambda p, e: streams(p, e, "grpc", None),
    "grpc-zero-window": lambda p, e: zero_window(p, e, "grpc", None), "grpc-slow": lambda p, e: slow(p, e, None, PREFACE[:20]),
}

if __name__ == "__main__":
    kind, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    print(KINDS[kind](port, time.monotonic() + seconds))
