"""Three real etcd members, the faults that befall them, and a constant asker that says what clients saw meanwhile."""
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

import dns.rcode
import etcd
import etcd_rows
import wire
from server import free_port, wait_for

FAST = ("--heartbeat-interval", "50", "--election-timeout", "500", "--strict-reconfig-check=false")
LOST_S = 2.0


# --- members ----------------------------------------------------------------------------------------


class Cluster:
    """Members on 127.0.0.1. What is asked of "the cluster" goes to whichever member does it."""

    def __init__(self, n=3, binary=None, args=FAST):
        self.members = [etcd.Member(f"m{i + 1}", binary, list(args)) for i in range(n)]
        self.args = args

    def start(self):
        names = ",".join(f"{m.name}={m.peer_url}" for m in self.members)
        for m in self.members:
            m.start(names, wait=False)
        for m in self.members:
            m.wait_ready()
        return self

    def close(self):
        for m in self.members:
            if m.process:
                m.signal(signal.SIGCONT)
            m.close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.close()

    @property
    def urls(self):
        return " ".join(m.url for m in self.members)

    def others(self, *members):
        return [m for m in self.members if m not in members]

    def status(self, member, timeout=0.5):
        """{version, leader, revision, member}: None when it does not say."""
        try:
            r = member.client.call("Maintenance/Status", timeout=timeout)
        except etcd.Error:
            member.connect()  # else the channel takes its time to try again
            return None
        head = etcd.parse(r[1][0])
        return {"leader": r.get(4, [0])[0], "member": head[2][0], "revision": head.get(3, [0])[0],
                "term": head.get(4, [0])[0]}

    def leader(self, among=None):
        """The member that leads, as most of those asked see it."""
        def find():
            seen = {m: self.status(m) for m in among or self.members if m.process}
            by_id = {s["member"]: m for m, s in seen.items() if s}
            leaders = [s["leader"] for s in seen.values() if s]
            for id_ in set(leaders):
                if id_ in by_id and leaders.count(id_) * 2 > len(self.members):
                    return by_id[id_]
            return None
        return wait_for(find, 10, step=0.02)

    def lead(self, member):
        """Make it the leader."""
        leader = self.leader()
        if leader is not member:
            leader.client.call("Maintenance/MoveLeader", etcd.field(1, self.member_id(member)))
            wait_for(lambda: self.leader() is member)
        return member

    def put(self, key, value, among=None, seconds=10):
        """As soon as somebody acknowledges it; the revision."""
        end = time.monotonic() + seconds
        while True:
            for m in among or self.members:
                if not m.process:
                    continue
                try:
                    r = m.client.call("KV/Put", etcd.put_request(key, value), timeout=0.7)
                    return m.client.revision(r)
                except etcd.Error as e:
                    why = e
                    m.connect()
            assert time.monotonic() < end, why
            time.sleep(0.01)

    def restore(self, file, token):
        """All members' data from a snapshot; they are stopped."""
        names = ",".join(f"{m.name}={m.peer_url}" for m in self.members)
        for m in self.members:
            shutil.rmtree(m.data)
            etcdctl("snapshot", "restore", file, "--name", m.name, "--data-dir", m.data, "--initial-cluster", names,
                    "--initial-advertise-peer-urls", m.peer_url, "--initial-cluster-token", token)

    # --- membership ---

    def member_id(self, member):
        return self.status(member, 5)["member"]

    def remove(self, member):
        """As `etcdctl member remove`: it then ends by itself."""
        by = self.others(member)[0]
        by.client.call("Cluster/MemberRemove", etcd.field(1, self.member_id(member)))
        self.members.remove(member)

    def add(self, name, learner=False, wait=True):
        m = etcd.Member(name, self.members[0].binary, [*self.args, "--initial-cluster-state", "existing"])
        self.members[0].client.call("Cluster/MemberAdd", etcd.field(1, m.peer_url) + etcd.field(2, learner))
        m.start(",".join(f"{x.name}={x.peer_url}" for x in [*self.members, m]), wait=False)
        m.connect()
        self.members.append(m)
        if wait:
            m.wait_ready()
        return m


def connected(w, members):
    """The member that waypost talks to: by its sockets."""
    def find():
        ports, inodes = set(), set()
        for fd in os.listdir(f"/proc/{w.pid}/fd"):
            try:
                target = os.readlink(f"/proc/{w.pid}/fd/{fd}")
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
        for table in ("tcp", "tcp6"):  # gRPC's sockets are IPv6 ones with mapped addresses
            with open(f"/proc/{w.pid}/net/{table}") as f:
                for line in list(f)[1:]:
                    p = line.split()
                    if p[3] == "01" and p[9] in inodes:
                        address, port = p[2].split(":")
                        ports.add((socket.inet_ntoa(bytes.fromhex(address)[::-1][:4]), int(port, 16)))
        hits = [m for m in members if (m.host, m.client_port) in ports]
        return hits[0] if len(hits) == 1 else None
    return wait_for(find)


def etcdctl(*args, **kw):
    env = {**os.environ, "ETCDCTL_API": "3"}
    r = subprocess.run(["etcdctl", *args], env=env, capture_output=True, text=True, timeout=30, **kw)
    assert r.returncode == 0, r.stdout + r.stderr
    return r.stdout


# --- asking -----------------------------------------------------------------------------------------


class Asker(threading.Thread):
    """Asks all the while, without waiting for answers. Each name has the answers that are right: an answer must
    have been right at some time between its question and itself. `lost` and `wrong` say what was not."""

    def __init__(self, port, host="127.0.0.1", pause=0.005, sock=None):
        super().__init__(daemon=True)
        self.to, self.pause = (host, port), pause
        self.sock = sock or socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.lock = threading.Lock()
        self.right = {}   # name: [[answer, from, until]]
        self.latest = {}  # name: (answer, when its question was sent)
        self.waiting = {}
        self.lost, self.wrong, self.n, self.slowest, self.over = [], [], 0, 0.0, False

    # --- what is right ---

    def allow(self, name, *answers):
        """From now on these are right, too. An answer: addresses, or an rcode."""
        now = time.monotonic()
        with self.lock:
            for answer in answers:
                self.right.setdefault(name, []).append([self._answer(answer), now, None])
        return self

    def only(self, name, answer, seconds=20):
        """Wait until it is answered; from then on nothing else is right. The seconds that took."""
        t0, want = time.monotonic(), self._answer(answer)
        wait_for(lambda: self.latest.get(name, (None, 0))[0] == want, seconds, step=0.001)
        with self.lock:
            sent = self.latest[name][1]
            for r in self.right[name]:
                if r[0] != want and r[2] is None:
                    r[2] = sent
        return time.monotonic() - t0

    @staticmethod
    def _answer(answer):
        return answer if isinstance(answer, str) else tuple(sorted(answer))

    # --- asking ---

    def _ask(self, name, number):
        now = time.monotonic()
        qid = number & 0xFFFF
        self.sock.sendto(wire.query(name, qid=qid), self.to)
        self.waiting[qid] = (name, now)

    def _take(self):
        reply = self.sock.recv(4096)
        now = time.monotonic()
        name, sent = self.waiting.pop(struct.unpack(">H", reply[:2])[0], (None, 0))
        if name is None:
            return
        m = etcd_rows.parse(reply)
        data = tuple(sorted(rr.address for rrs in m.answer for rr in rrs if rr.rdtype == 1))
        answer = data or dns.rcode.to_text(m.rcode())
        with self.lock:
            ok = any(r[0] == answer and r[1] <= now and (r[2] is None or r[2] >= sent) for r in self.right[name])
            if not ok:
                self.wrong.append((name, answer, [r for r in self.right[name]], sent, now))
            if sent >= self.latest.get(name, (None, 0))[1]:
                self.latest[name] = (answer, sent)
        self.slowest = max(self.slowest, now - sent)
        self.n += 1

    def run(self):
        number = 0
        due = time.monotonic()
        while not self.over or self.waiting:
            now = time.monotonic()
            if not self.over and now >= due:
                names = list(self.right)
                if names:
                    self._ask(names[number % len(names)], number)
                    number += 1
                due = now + self.pause
            if select.select([self.sock], [], [], max(0, min(due - now, self.pause)))[0]:
                self._take()
            for qid, (name, sent) in list(self.waiting.items()):
                if now - sent > LOST_S:
                    self.lost.append((name, sent))
                    del self.waiting[qid]

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        if exc[0] is None:
            before = self.n
            wait_for(lambda: self.n > before + 20)
        self.over = True
        self.join()
        self.sock.close()
        if exc[0] is None:
            assert not self.wrong, (len(self.wrong), self.wrong[:3])
            assert not self.lost, (len(self.lost), self.lost[:3])


__all__ = ["free_port"]
