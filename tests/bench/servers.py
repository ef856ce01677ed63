"""The servers of a measurement: each with one thread, on one core, on free ports, from one zone of addresses."""
import contextlib
import os
import shutil
import subprocess

import wire
from server import Process, free_port, wait_for

KNOWN = {"waypost": None, "knotd": "knotd", "nsd": "nsd", "unbound": "unbound", "dnsdist": "dnsdist", "coredns": None}
TRANSPORTS = {"waypost": "udp tcp dot doh get grpc", "knotd": "udp tcp", "nsd": "udp tcp dot", "unbound": "udp tcp dot doh get",
              "dnsdist": "udp tcp dot doh get", "coredns": "udp tcp dot doh get grpc"}


def installed():
    """Those that are here; Debian keeps daemons in /usr/sbin, which is not in everybody's PATH."""
    os.environ["PATH"] += ":/usr/sbin"
    return ["waypost", *(n for n, program in KNOWN.items() if program and shutil.which(program)),
            *(["coredns"] if os.environ.get("COREDNS") else [])]


def write_data(folder, n):
    """The zone, and unbound's form of it."""
    def address(i):
        return f"10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}"
    with open(f"{folder}/zone", "w") as f:
        f.write("$ORIGIN bench.test.\n$TTL 3600\n@ SOA ns root 1 3600 600 86400 300\n@ NS ns\nns A 127.0.0.1\n")
        f.writelines(f"h{i:07d} A {address(i)}\n" for i in range(n))
    with open(f"{folder}/local-data", "w") as f:
        f.write('local-zone: "bench.test." static\n')
        f.writelines(f'local-data: "h{i:07d}.bench.test. 3600 A {address(i)}"\n' for i in range(n))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=bench.test", "-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"],
                   check=True, capture_output=True)


class Server(Process):
    def __init__(self, name, folder, core, text, argv, ports, env=None):
        self.name, self.ports = name, ports
        self.conf = os.path.join(folder, f"{name}.conf")
        with open(self.conf, "w") as f:
            f.write(text)
        super().__init__(["taskset", "-c", str(core), *argv, self.conf], cwd=folder, env=env)

    def port(self, transport):
        return self.ports["doh" if transport == "get" else transport] if transport in TRANSPORTS[self.name].split() else None

    def wait_ready(self):
        def answers():
            assert self.alive(), f"{self.name}: {self.output()[-2000:]}"
            try:
                r = wire.udp(self.ports["udp"], wire.query("h0000000.bench.test"), timeout=0.2)
            except ConnectionError:
                return False
            return r is not None and r[7] > 0
        wait_for(answers, 60, 0.1)


# The word before the path of the configuration is part of each command line.
def waypost(folder, p, names, binary, _):
    return COREFILE.format(f=folder, **p), [binary, "-quiet", "-conf"], {"WAYPOST_WORKERS": "1"}


def coredns(folder, p, names, binary, _):
    return COREFILE.format(f=folder, **p), [os.environ["COREDNS"], "-quiet", "-conf"], {"GOMAXPROCS": "1"}


COREFILE = """bench.test:{udp} {{
    bind 127.0.0.1
    file {f}/zone bench.test
}}
tls://bench.test:{dot} https://bench.test:{doh} {{
    bind 127.0.0.1
    tls {f}/cert.pem {f}/key.pem
    file {f}/zone bench.test
}}
grpc://bench.test:{grpc} {{
    bind 127.0.0.1
    file {f}/zone bench.test
}}
"""


def knotd(folder, p, names, binary, _):
    return f"""server:
  rundir: {folder}
  listen: 127.0.0.1@{p["udp"]}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
  tcp-idle-timeout: 600
log:
  - target: stderr
    any: warning
database:
  storage: {folder}
template:
  - id: default
    storage: {folder}
    zonefile-load: whole
    zonefile-sync: -1
    journal-content: none
zone:
  - domain: bench.test
    file: zone
""", ["knotd", "-c"], {}


def nsd(folder, p, names, binary, _):
    return f"""server:
  ip-address: 127.0.0.1@{p["udp"]}
  ip-address: 127.0.0.1@{p["dot"]}
  server-count: 1
  username: ""
  zonesdir: "{folder}"
  database: ""
  pidfile: ""
  xfrdfile: "{folder}/xfrd.state"
  zonelistfile: "{folder}/zone.list"
  tcp-count: 1000
  tcp-timeout: 600
  rrl-ratelimit: 0
  tls-service-key: "{folder}/key.pem"
  tls-service-pem: "{folder}/cert.pem"
  tls-port: {p["dot"]}
remote-control:
  control-enable: no
zone:
  name: bench.test
  zonefile: zone
""", ["nsd", "-d", "-c"], {}


def unbound(folder, p, names, binary, _):
    return f"""server:
  interface: 127.0.0.1@{p["udp"]}
  interface: 127.0.0.1@{p["dot"]}
  interface: 127.0.0.1@{p["doh"]}
  num-threads: 1
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: ""
  use-syslog: no
  module-config: "iterator"
  incoming-num-tcp: 1000
  tcp-idle-timeout: 600000
  tls-service-key: "{folder}/key.pem"
  tls-service-pem: "{folder}/cert.pem"
  tls-port: {p["dot"]}
  https-port: {p["doh"]}
  http-query-buffer-size: 64m
  http-response-buffer-size: 64m
  include: "{folder}/local-data"
remote-control:
  control-enable: no
""", ["unbound", "-d", "-c"], {}


def dnsdist(folder, p, names, binary, backend):
    """Answers come from its cache; the backend is asked while it warms only."""
    return f"""setMaxTCPClientThreads(1)
setTCPRecvTimeout(600)
setUDPMultipleMessagesVectorSize(64)
setSecurityPollSuffix('')
addLocal('127.0.0.1:{p["udp"]}', {{reusePort=true}})
addTLSLocal('127.0.0.1:{p["dot"]}', '{folder}/cert.pem', '{folder}/key.pem', {{provider='openssl'}})
addDOHLocal('127.0.0.1:{p["doh"]}', '{folder}/cert.pem', '{folder}/key.pem', '/dns-query', {{idleTimeout=600}})
newServer({{address='127.0.0.1:{backend}', checkInterval=60, sockets=4}})
getPool(''):setCache(newPacketCache({max(4 * names, 200000)}, {{maxTTL=86400, numberOfShards=20}}))
""", ["dnsdist", "--supervised", "--disable-syslog", "-C"], {}


@contextlib.contextmanager
def started(names_of_servers, folder, names, core, binary):
    """Those servers, answering; `binary` is waypost's."""
    with contextlib.ExitStack() as stack:
        running, backend = [], None
        if "dnsdist" in names_of_servers:  # a backend of its own, so that what is measured is measured alone
            p = ports()
            text, argv, env = waypost(folder, p, names, binary, None)
            source = stack.enter_context(Server("waypost", folder, core, text, argv, p, env))
            source.wait_ready()
            backend = p["udp"]
        for name in names_of_servers:
            p = ports()
            text, argv, env = globals()[name](folder, p, names, binary, backend)
            running.append(stack.enter_context(Server(name, folder, core, text, argv, p, env)))
            running[-1].wait_ready()
        yield running


def ports():
    p = {t: free_port() for t in ("udp", "dot", "doh", "grpc")}
    p["tcp"] = p["udp"]
    return p
