"""A zone signed with NSEC: enough of a signer for tests, and unbound to judge the answers."""
import os
import tempfile
import time

import dns.dnssec
import dns.flags
import dns.name
import dns.rdatatype
import dns.rdtypes.ANY.NSEC
import dns.rdtypes.ANY.RRSIG
import dns.rrset
import dns.zone
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from server import Process, free_port, wait_for
import wire


def signed(origin, text):
    """(zone text with DNSKEY, NSEC and RRSIG, the DNSKEY's line). Names below cuts are not signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    dnskey = dns.dnssec.make_dnskey(key.public_key(), dns.dnssec.Algorithm.ECDSAP256SHA256, flags=257)
    zone = dns.zone.from_text(text, origin=origin, relativize=False)
    apex = zone.origin
    zone.find_rdataset(apex, "DNSKEY", create=True).add(dnskey, 300)
    cuts = [n for n, node in zone.items() if n != apex and node.get_rdataset(1, dns.rdatatype.NS)]
    below = {n for n in zone for c in cuts if n != c and n.is_subdomain(c)}
    names = sorted(n for n in zone if n not in below)
    for i, n in enumerate(names):
        types = {r.rdtype for r in zone[n].rdatasets} | {dns.rdatatype.RRSIG, dns.rdatatype.NSEC}
        if n in cuts:
            types &= {dns.rdatatype.NS, dns.rdatatype.DS, dns.rdatatype.RRSIG, dns.rdatatype.NSEC}
        nsec = dns.rdtypes.ANY.NSEC.NSEC(1, dns.rdatatype.NSEC, names[(i + 1) % len(names)], windows(types))
        zone.find_rdataset(n, "NSEC", create=True).add(nsec, 60)
        for rdataset in list(zone[n].rdatasets):
            if n in cuts and rdataset.rdtype not in (dns.rdatatype.DS, dns.rdatatype.NSEC):
                continue
            rrset = dns.rrset.from_rdata_list(n, rdataset.ttl, list(rdataset))
            sig = sign(rrset, key, apex, dnskey)
            zone.find_rdataset(n, "RRSIG", rdataset.rdtype, create=True).add(sig, rdataset.ttl)
    return zone.to_text(relativize=False), f"{apex} 300 IN DNSKEY {dnskey.to_text()}"


def sign(rrset, key, signer, dnskey):
    """An RRSIG; a star does not count as a label (RFC 4034 section 3.1.3), which dnspython 2.3 overlooks."""
    now = int(time.time())
    labels = len(rrset.name) - 1 - (rrset.name.labels[0] == b"*")
    template = dns.rdtypes.ANY.RRSIG.RRSIG(1, dns.rdatatype.RRSIG, rrset.rdtype, dnskey.algorithm, labels, rrset.ttl, now + 86400, now - 3600,
                                           dns.dnssec.key_id(dnskey), signer, b"")
    der = key.sign(dns.dnssec._make_rrsig_signature_data(rrset, template), ec.ECDSA(hashes.SHA256()))
    r, s = decode_dss_signature(der)
    return template.replace(signature=r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def windows(types):
    """NSEC type bitmaps."""
    out = []
    for w in sorted({t >> 8 for t in types}):
        low = [t & 255 for t in types if t >> 8 == w]
        bits = bytearray(max(low) // 8 + 1)
        for t in low:
            bits[t // 8] |= 0x80 >> t % 8
        out.append((w, bytes(bits)))
    return tuple(out)


class Validator:
    """unbound that asks one server for one zone and believes one key."""

    def __init__(self, zone, server_port, anchor):
        self.home = tempfile.TemporaryDirectory(prefix="waypost-unbound-")
        self.port = free_port()
        conf = os.path.join(self.home.name, "unbound.conf")
        with open(conf, "w") as f:
            f.write(f"""server:
  interface: 127.0.0.1@{self.port}
  chroot: ""
  username: ""
  directory: "{self.home.name}"
  pidfile: ""
  use-syslog: no
  do-not-query-localhost: no
  module-config: "validator iterator"
  trust-anchor: "{anchor}"
  val-log-level: 2
  verbosity: 1
  qname-minimisation: no
  harden-dnssec-stripped: yes
  local-zone: "test." nodefault
remote-control:
  control-enable: no
stub-zone:
  name: "{zone}"
  stub-addr: 127.0.0.1@{server_port}
""")
        self.process = Process(["/usr/sbin/unbound", "-d", "-p", "-c", conf])

    def ask(self, name, rtype):
        """(rcode, authentic data, records of the answer)"""
        reply = wire.udp(self.port, wire.query(name, rtype, flags=0x0120, extra=wire.opt(4096, do=True)), timeout=10)
        assert reply is not None, self.process.output()
        m = wire.parse(reply)
        return m.rcode(), bool(m.flags & dns.flags.AD), sorted(r.to_text() for s in m.answer for r in s if s.rdtype != dns.rdatatype.RRSIG)

    def __enter__(self):
        wait_for(lambda: wire.udp(self.port, wire.query("localhost"), timeout=0.2) is not None)
        return self

    def __exit__(self, *exc):
        self.process.stop()
        self.process.dir.cleanup()
        self.home.cleanup()
