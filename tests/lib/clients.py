"""Clients that keep one connection and ask again and again."""
import base64
import http.client
import socket
import ssl
import subprocess

import wire


def certificate(folder, name="localhost"):
    """A self-signed certificate; (certificate, key) paths."""
    cert, key = f"{folder}/cert.pem", f"{folder}/key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    return cert, key


def context(alpn=()):
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.check_hostname, ctx.verify_mode = False, ssl.CERT_NONE
    if alpn:
        ctx.set_alpn_protocols(list(alpn))
    return ctx


class Udp:
    def __init__(self, port):
        self.s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.s.connect(("127.0.0.1", port))
        self.s.settimeout(3)

    def ask(self, msg):
        self.s.send(msg)
        return self.s.recv(65535)


class Tcp:
    def __init__(self, port):
        self.s = socket.create_connection(("127.0.0.1", port), 5)

    def ask(self, msg):
        self.s.sendall(wire.framed(msg))
        r = wire.read_message(self.s)
        if r is None:
            raise EOFError("the server closed the connection")
        return r


class Dot(Tcp):
    def __init__(self, port):
        super().__init__(port)
        self.s = context(["dot"]).wrap_socket(self.s)


class Doh:
    """HTTP/1.1, one connection: a server that closes it is an error, not a reason to connect again."""

    def __init__(self, port, tls=True):
        raw = socket.create_connection(("127.0.0.1", port), 5)
        self.c = http.client.HTTPConnection("127.0.0.1", port)
        self.c.sock = context(["http/1.1"]).wrap_socket(raw) if tls else raw
        self.c.auto_open = 0

    def ask(self, msg):
        self.c.request("POST", "/dns-query", msg, {"content-type": "application/dns-message"})
        r = self.c.getresponse()
        body = r.read()
        assert r.status == 200, r.status
        return body


class Grpc:
    def __init__(self, port):
        import grpc
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.enable_retries", 0)])
        self.call = self.channel.unary_unary("/coredns.dns.DnsService/Query", request_serializer=self.pack,
                                             response_deserializer=self.unpack)

    @staticmethod
    def varint(n):
        out = b""
        while n > 127:
            out, n = out + bytes([n & 127 | 128]), n >> 7
        return out + bytes([n])

    @classmethod
    def pack(cls, msg):
        return b"\x0a" + cls.varint(len(msg)) + msg

    @staticmethod
    def unpack(data):
        i = 1
        while data[i] > 127:
            i += 1
        return data[i + 1:]

    def ask(self, msg):
        return self.call(msg, timeout=5)


def base64url(msg):
    return base64.urlsafe_b64encode(msg).rstrip(b"=").decode()
