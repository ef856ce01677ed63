"""Many questions at once, in octets: what is asked, and what came back as plain values. (A parser of its own: what is
compared is what stands on the wire, letters and order included.)"""
import concurrent.futures
import copy
import select
import socket
import struct
import threading
import time

import wire

WINDOW = 48
SILENCE_S = (1, 3)  # CoreDNS, the first and the second time; we are never silent, and may take longer
EDE = 15
TYPE = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "HINFO": 13, "MX": 15, "TXT": 16, "AAAA": 28, "LOC": 29, "SRV": 33,
        "NAPTR": 35, "DNAME": 39, "OPT": 41, "DS": 43, "RRSIG": 46, "NSEC": 47, "DNSKEY": 48, "TLSA": 52, "SVCB": 64, "HTTPS": 65,
        "SPF": 99, "IXFR": 251, "AXFR": 252, "ANY": 255, "CAA": 257, "TYPE65280": 65280}
NAME_AT = {2: 0, 5: 0, 12: 0, 39: 0, 15: 2, 33: 6}  # octets before the name
TYPE_TEXT = {v: k for k, v in TYPE.items()}


class Question:
    """labels: a tuple of octet strings."""

    def __init__(self, labels, qtype, tcp=False, size=None, do=False, flags=0x0100, qclass=1):
        self.labels, self.qtype, self.tcp, self.size, self.do = labels, qtype, tcp, size, do
        self.flags, self.qclass = flags, qclass
        self.mute = False  # a peer is expected to be silent

    @property
    def key(self):
        return (self.labels, self.qtype, self.tcp, self.size, self.do, self.flags, self.qclass)

    def but(self, **changes):
        """The same question, asked another way."""
        q = Question(*self.key)
        q.mute = self.mute
        for k, v in changes.items():
            setattr(q, k, v)
        return q

    def wire(self, qid):
        name = b"".join(bytes([len(x)]) + x for x in self.labels) + b"\0"
        extra = b"" if self.size is None else wire.opt(self.size, do=self.do)
        return struct.pack(">6H", qid, self.flags, 1, 0, 0, 1 if extra else 0) + name + \
            struct.pack(">2H", TYPE[self.qtype], self.qclass) + extra

    def __str__(self):
        name = ".".join(x.decode("latin-1") if x.isascii() and x.decode().isprintable() else repr(x) for x in self.labels)
        return f"{name}. {self.qtype}{' tcp' if self.tcp else ''}{'' if self.size is None else f' edns={self.size}'}" \
               f"{' do' if self.do else ''}{'' if self.qclass == 1 else f' class={self.qclass}'}" \
               f"{'' if self.flags == 0x0100 else f' flags={self.flags:04x}'}"


# --- what came back -------------------------------------------------------------------------------


def _name(m, at):
    """(octets without pointers, what stands behind it)."""
    out, end, hops = b"", None, 0
    while True:
        n = m[at]
        if n >= 0xC0:
            end = at + 2 if end is None else end
            at = (n & 0x3F) << 8 | m[at + 1]
            hops += 1
            assert hops < 128, "pointers without end"
            continue
        out += m[at:at + 1 + n]
        at += 1 + n
        if n == 0:
            return out, at if end is None else end


def _data(m, rtype, at, n):
    if rtype in NAME_AT:
        return m[at:at + NAME_AT[rtype]] + _name(m, at + NAME_AT[rtype])[0]
    if rtype == 6:
        mname, at2 = _name(m, at)
        rname, at2 = _name(m, at2)
        serial = struct.unpack(">I", m[at2:at2 + 4])[0]
        now = abs(serial - time.time()) < 60  # etcd's is the time
        return mname + rname + (b"(now)" if now else m[at2:at2 + 4]) + m[at2 + 4:at + n]
    return m[at:at + n]


class Reply:
    """sections: three lists of (owner, type, class, ttl, data) in the order of the wire; opt: (size, flags, options) or None.
    sound: no name is too long."""

    def __init__(self, m):
        self.octets = len(m)
        _, self.flags, qd, *counts = struct.unpack(">6H", m[:12])
        at = 12
        self.question = []
        for _ in range(qd):
            name, at = _name(m, at)
            self.question.append((name, m[at:at + 4]))
            at += 4
        self.sections, self.opt = ([], [], []), None
        for section, count in zip(self.sections, counts):
            for _ in range(count):
                owner, at = _name(m, at)
                rtype, cls, ttl, n = struct.unpack(">HHIH", m[at:at + 10])
                at += 10
                if rtype == 41:
                    assert self.opt is None, "two OPT"
                    self.opt = (cls, ttl, self._options(m[at:at + n]))
                else:
                    section.append((owner, rtype, cls, ttl, _data(m, rtype, at, n)))
                at += n
        assert at == len(m), "octets behind the message"
        self.sound = all(len(x) <= 255 for x in [*self.names_in_data(), *(r[0] for s in self.sections for r in s)])

    def names_in_data(self):
        return [r[4][NAME_AT[r[1]]:] for s in self.sections for r in s if r[1] in NAME_AT]

    @staticmethod
    def _options(data):
        out, at = [], 0
        while at < len(data):
            code, n = struct.unpack(">HH", data[at:at + 4])
            if code != EDE:
                out.append((code, data[at + 4:at + 4 + n]))
            at += 4 + n
        return out

    @property
    def rcode(self):
        return self.flags & 15

    @property
    def tc(self):
        return bool(self.flags & 0x0200)

    def text(self):
        def record(r):
            return f"{r[0]!r} {r[3]} {TYPE_TEXT.get(r[1], r[1])} {r[4][:80]!r}"
        parts = [f"flags={self.flags:04x} opt={self.opt} {self.octets} octets"]
        for name, s in zip(("answer", "authority", "additional"), self.sections):
            if s:
                parts.append(f"{name}({len(s)}): " + "; ".join(record(r) for r in s[:6]))
        return "\n            ".join(parts)


def _records(section, fold):
    return [(r[0].lower(), *r[1:]) for r in section] if fold else section


def _near(x, y, slack):
    """Leases of the stores end after ten minutes or more, and count down between two questions."""
    return abs(x - y) <= (90 if 500 < min(x, y) and max(x, y) < 100000 and 4000 not in (x, y) else slack)


def differences(a, b, slack=0, fold=False):
    """What of two replies is not the same, as a set of words. fold: owners may be spelled otherwise."""
    if a is None or b is None:
        return set() if a is b else {"reply"}
    out = set()
    if a.flags != b.flags:
        out.add("rcode" if a.rcode != b.rcode else "flags")
    if a.question != b.question:
        out.add("question")
    if a.opt != b.opt:
        out.add("opt")
    for name, x, y in zip(("answer", "authority", "additional"), a.sections, b.sections):
        x, y = _records(x, fold), _records(y, fold)
        if len(x) != len(y) or any(r[:3] + r[4:] != s[:3] + s[4:] or not _near(r[3], s[3], slack) for r, s in zip(x, y)):
            out.add(name)
    return out


def unordered(reply):
    """The same with each section sorted, and SOA records without their serial: what servers agree on that count their own changes and keep
    records in no order."""
    if reply is None:
        return None
    out = copy.copy(reply)

    def timeless(r):
        return r if r[1] != 6 else (*r[:4], (r[4][:-21] if r[4][-21:-16] == b"(now)" else r[4][:-20]) + b"(serial)" + r[4][-16:])
    out.sections = tuple(sorted(timeless(r) for r in s) for s in reply.sections)
    return out


# --- asking ---------------------------------------------------------------------------------------


def _ask_udp(port, batch, out, silence):
    """batch: [(index, question)], at most 65536."""
    waiting, todo = {}, list(enumerate(batch))[::-1]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        s.connect(("127.0.0.1", port))
        last = time.monotonic()
        while todo or waiting:
            while todo and len(waiting) < WINDOW:
                qid, (index, q) = todo.pop()
                s.send(q.wire(qid))
                waiting[qid] = index, time.monotonic()
            if select.select([s], [], [], 0.2)[0]:
                m = s.recv(65535)
                index, _ = waiting.pop(struct.unpack(">H", m[:2])[0], (None, 0))
                if index is not None:
                    out[index] = Reply(m)
                    last = time.monotonic()
                continue
            if time.monotonic() - last > silence:
                for qid in list(waiting):
                    del waiting[qid]
                last = time.monotonic()


def _ask_tcp(port, batch, out, silence):
    s = None
    for index, q in batch:
        if s is None:
            s = socket.create_connection(("127.0.0.1", port), silence)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            s.sendall(wire.framed(q.wire(index & 0xFFFF)))
            m = wire.read_message(s)
            out[index] = None if m is None else Reply(m)
        except socket.timeout:
            m = None
        if m is None:
            s.close()
            s = None
    if s is not None:
        s.close()


def ask_all(port, questions, peer=False, hopeful=False):
    """Their replies; None where nothing came. What a `peer` is silent about is asked once more,
    unless that is no surprise."""
    out = [None] * len(questions)

    def run(indices, silence):
        udp = [(i, questions[i]) for i in indices if not questions[i].tcp]
        tcp = [(i, questions[i]) for i in indices if questions[i].tcp]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            jobs = [pool.submit(_ask_udp, port, udp[i:i + 20000], out, silence) for i in range(0, len(udp), 20000)]
            jobs += [pool.submit(_ask_tcp, port, tcp[i::6], out, silence) for i in range(6) if tcp[i::6]]
            for j in jobs:
                j.result()
    run(range(len(questions)), SILENCE_S[0] if peer else 10)
    if peer:
        run([i for i, r in enumerate(out) if r is None and (hopeful or not questions[i].mute)], SILENCE_S[1])
    return out


def ask_together(*asks):
    """[(port, questions, peer)] side by side: the replies of each."""
    out = [None] * len(asks)

    def one(i):
        out[i] = ask_all(*asks[i])
    threads = [threading.Thread(target=one, args=(i,)) for i in range(len(asks))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return out
