"""A server that is measured: on a core of its own, with one worker, its CPU time and memory read from outside; and the generator
that asks it from another core."""
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests/lib"))
import wire  # noqa: E402
from server import Process, free_port, wait_for  # noqa: E402

# Ahead of everything else on its core: where single answers are timed, the machine's other work must not be what is seen.
REAL_TIME = ["chrt", "-r", "10"] if os.geteuid() == 0 and shutil.which("chrt") else []


def cores():
    """(of the server, of everything else)."""
    have = sorted(os.sched_getaffinity(0))
    return have[0], have[-1]


def built(folder, *targets):
    """The folder that was named, as it is; or the release, built now."""
    if folder:
        return folder
    for argv in (["cmake", "--preset", "release"], ["cmake", "--build", "--preset", "release", "--target", "waypost", "load", *targets]):
        subprocess.run(argv, cwd=TOP, check=True, stdout=subprocess.DEVNULL)
    return os.path.join(TOP, "build/release")


class Gateway(Process):
    """name: waypost or coredns (named by COREDNS); corefile: text with {dns}."""

    def __init__(self, name, build, folder, corefile, ahead=False):
        self.name, self.port = name, free_port()
        conf = os.path.join(folder, f"{name}-{self.port}.conf")
        with open(conf, "w") as f:
            f.write(corefile.replace("{dns}", str(self.port)))
        program = os.path.join(build, "waypost") if name == "waypost" else os.environ["COREDNS"]
        self.began = time.monotonic()
        super().__init__([*(REAL_TIME if ahead else []), "taskset", "-c", str(cores()[0]), program, "-conf", conf], env={"WAYPOST_WORKERS": "1", "GOMAXPROCS": "1"})

    def cpu_s(self):
        return time.clock_gettime((~self.pid << 3) | 2)  # the clock of all its threads

    def memory_mb(self, field="VmRSS"):
        with open(f"/proc/{self.pid}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith(field)) / 1024

    def settled_mb(self, seconds):
        """Memory once it stands still; what a run-time gives back late counts for it."""
        low, since = self.memory_mb(), time.monotonic()
        while time.monotonic() < since + seconds:
            time.sleep(0.2)
            now = self.memory_mb()
            if abs(now - low) > 0.02 * low:
                low, since = now, time.monotonic()
        return self.memory_mb()

    def forget_peak(self):
        with open(f"/proc/{self.pid}/clear_refs", "w") as f:
            f.write("5")

    def ask(self, name, timeout=0.3):
        """The addresses; None: none, or no reply."""
        try:
            r = wire.udp(self.port, wire.query(name), timeout=timeout)
        except ConnectionError:
            return None
        return addresses(r) if r is not None and r[3] & 15 == 0 and r[7] > 0 else None

    def wait_answer(self, name, wanted, seconds=180):
        """Seconds from the start of the program."""
        def right():
            assert self.alive(), self.output()[-2000:]
            return self.ask(name, 0.02) == wanted
        wait_for(right, seconds, 0.002)
        return time.monotonic() - self.began


def addresses(r):
    """Of A records whose owners are compressed or not: the last four octets of each."""
    out, at = [], 12
    while r[at]:
        at += r[at] + 1
    at += 5
    for _ in range(r[6] << 8 | r[7]):
        while r[at] and r[at] < 0xc0:
            at += r[at] + 1
        at += 2 if r[at] >= 0xc0 else 1
        kind, size = r[at] << 8 | r[at + 1], r[at + 8] << 8 | r[at + 9]
        if kind == 1:
            out.append(".".join(str(b) for b in r[at + 10:at + 14]))
        at += 10 + size
    return sorted(out)


# --- the generator --------------------------------------------------------------------------------------

def load(build, g, *options, seconds):
    """One run of it, ahead of everything else on its core: to be started."""
    return [*REAL_TIME, "taskset", "-c", str(cores()[1]), os.path.join(build, "load"), "udp", "-p", str(g.port), "-P", str(g.pid), "-l", str(seconds), *options]


def run_load(argv):
    r = subprocess.run(argv, capture_output=True, text=True, timeout=300)
    row = json.loads(r.stdout)
    if row["wrong"]:
        print(f"  {row['wrong']} wrong replies", file=sys.stderr)
    return row


def prices(build, g, cases, rounds, each):
    """CPU of one answer, in microseconds: medians, asked in turn. cases: {name: options of load}."""
    rows = {c: [] for c in cases}
    for _ in range(rounds):
        for c, options in cases.items():
            rows[c].append(run_load(load(build, g, *options, seconds=each))["us"])
    return {c: sorted(v)[len(v) // 2] for c, v in rows.items()}


# --- around it --------------------------------------------------------------------------------------------

def go_first():
    """What else the machine does comes after us, if we may say so."""
    with contextlib.suppress(OSError):
        os.setsid()
    with contextlib.suppress(OSError):
        with open("/proc/self/autogroup", "w") as f:
            f.write("-15")


def table(bars, found):
    """Each figure beside CoreDNS's and the bar; how many are missed. bars: {key: (title, unit, must, aim, "ratio": of CoreDNS's, or None)}."""
    ours, theirs = found.get("waypost", {}), found.get("coredns", {})
    missed = 0
    print(f"\n{'':46}{'waypost':>10}{'CoreDNS':>10}   {'must':>9} {'aim':>9}")
    for key, (title, unit, must, aim, kind) in bars.items():
        if key not in ours:
            continue
        mine, other = ours[key], theirs.get(key)
        limits = [None if x is None or (kind and other is None) else x * other if kind else x for x in (must, aim)]
        verdict = "" if limits[0] is None else "MISSED" if mine > limits[0] else "aim" if limits[1] is None or mine <= limits[1] else "ok"
        missed += verdict == "MISSED"
        words = [f"{x:.2f}" if x is not None else "-" for x in (mine, other, *limits)]
        print(f"{title + ', ' + unit:46}{words[0]:>10}{words[1]:>10}   {words[2]:>9} {words[3]:>9}  {verdict}")
    print()
    for key in sorted({*ours, *theirs} - set(bars)):
        print(f"{key:46}{ours.get(key, float('nan')):10.2f}{theirs.get(key, float('nan')):10.2f}")
    return missed
