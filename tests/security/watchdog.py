"""Says "watching", asks one UDP question every few milliseconds until its standard input ends, then tells how it went: lost, the
99th percentile and the longest wait, and how late its own naps ended (what the machine's other work costs). A
process of its own, so that the attack's interpreter does not slow it down.

Usage: watchdog.py PORT QUERY-IN-HEX"""
import json
import select
import socket
import sys
import time

PAUSE_S, PATIENCE_S = 0.005, 2.0


def p99(values):
    return sorted(values)[int(len(values) * 0.99)] if values else 0.0


def main():
    port, msg = int(sys.argv[1]), bytes.fromhex(sys.argv[2])
    waits, naps, lost = [], [], 0
    print("watching", flush=True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(("127.0.0.1", port))
        s.settimeout(PATIENCE_S)
        n = 0
        while True:
            t0 = time.monotonic()
            if select.select([sys.stdin], [], [], PAUSE_S)[0]:
                break
            naps.append(time.monotonic() - t0 - PAUSE_S)
            n = (n + 1) & 0xffff
            t0 = time.monotonic()
            try:
                s.send(n.to_bytes(2, "big") + msg[2:])
                while s.recv(4096)[:2] != n.to_bytes(2, "big"):
                    pass
            except OSError:
                lost += 1
            waits.append(time.monotonic() - t0)
    print(json.dumps({"asked": len(waits), "lost": lost, "p99": p99(waits), "max": max(waits, default=0.0), "nap_p99": p99(naps)}))


main()
