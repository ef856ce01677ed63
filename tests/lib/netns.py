"""A network of one's own, where tests choose what addresses the machine has."""
import concurrent.futures
import ctypes
import os
import subprocess

CLONE_NEWNET = 0x40000000


class Netns:
    """Everything called by run() happens in a network namespace that holds only a loopback interface with these
    addresses; also in the threads and processes begun there."""

    def __init__(self, *addresses):
        assert os.getuid() == 0, "root is needed: the tests make network namespaces"
        self.addresses = addresses
        self.pool = concurrent.futures.ThreadPoolExecutor(1, initializer=self._enter)

    def _enter(self):
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "unshare")
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        for a in self.addresses:
            subprocess.run(["ip", "address", "add", f"{a}/{128 if ':' in a else 32}", "dev", "lo", *(["nodad"] if ":" in a else [])], check=True)

    def run(self, f, *args, **named):
        return self.pool.submit(f, *args, **named).result()

    def close(self):
        self.pool.shutdown()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
