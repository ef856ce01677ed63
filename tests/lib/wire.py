"""DNS messages as octets, and the plain ways to send them."""
import socket
import struct

import dns.message
import dns.rdatatype


def name(text):
    out = b""
    for label in text.rstrip(".").split("."):
        if label:
            out += bytes([len(label)]) + label.encode("latin-1")
    return out + b"\0"


def opt(size=1232, options=b"", version=0, do=False, owner=b"\0"):
    flags = version << 16 | (0x8000 if do else 0)
    return owner + struct.pack(">HHIH", 41, size, flags, len(options)) + options


def option(code, data=b""):
    return struct.pack(">HH", code, len(data)) + data


def query(qname, qtype="A", qid=0, flags=0x0100, qclass=1, extra=b"", n_extra=None):
    """A query; extra is put behind the question and counted as additional records."""
    t = qtype if isinstance(qtype, int) else int(dns.rdatatype.from_text(qtype))
    n = (1 if extra else 0) if n_extra is None else n_extra
    return struct.pack(">6H", qid, flags, 1, 0, 0, n) + name(qname) + struct.pack(">2H", t, qclass) + extra


# The canonical messages of the acceptance tables.
A = bytes.fromhex("000001000001000000000000 03777777 07776179706f7374 0474657374 00 0001 0001".replace(" ", ""))
A_OPT = A[:10] + b"\0\1" + A[12:] + opt(1232)
NX = query("nx.waypost.test")


def with_id(msg, qid):
    return struct.pack(">H", qid) + msg[2:]


def udp(port, msg, timeout=2.0, host="127.0.0.1", source=None):
    """The reply's octets, or None when nothing came."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as s:
        if source:
            s.bind(source)
        s.settimeout(timeout)
        s.sendto(msg, (host, port))
        try:
            return s.recvfrom(65535)[0]
        except socket.timeout:
            return None


def read_exact(s, n):
    data = b""
    while len(data) < n:
        part = s.recv(n - len(data))
        if not part:
            return None
        data += part
    return data


def read_message(s):
    """One length-prefixed message; None at the end of the stream."""
    head = read_exact(s, 2)
    return None if head is None else read_exact(s, struct.unpack(">H", head)[0])


def framed(msg):
    return struct.pack(">H", len(msg)) + msg


def tcp(port, msg, timeout=3.0, host="127.0.0.1"):
    with socket.create_connection((host, port), timeout) as s:
        s.sendall(framed(msg))
        return read_message(s)


def parse(octets):
    """dnspython's view; trailing octets are an error."""
    return dns.message.from_wire(octets)


def parse_apart(octets):
    """Every record apart, in the order of the wire: else dnspython joins equal owners and types."""
    return dns.message.from_wire(octets, one_rr_per_rrset=True)


def rcode(octets):
    return octets[3] & 15


def sections(octets):
    """(answer, authority, additional) as sets of text without TTL, OPT left out."""
    m = parse(octets)
    return tuple({f"{s.name.to_text().lower()} {dns.rdatatype.to_text(s.rdtype)} {r.to_text()}" for s in part for r in s}
                 for part in (m.answer, m.authority, m.additional))
