"""The time of day of one process, set forwards and back (tests/fake/clock.c)."""
import os
import struct

from server import WAYPOST


class Wall:
    """For Waypost(env=wall.env); set(seconds) from what it is."""

    def __init__(self, folder):
        self.path = str(folder / "step")
        self.set(0)
        self.env = {"LD_PRELOAD": os.path.join(os.path.dirname(os.path.abspath(WAYPOST)), "fake/clock.so"), "STEP_CLOCK": self.path}

    def set(self, seconds):
        with open(self.path, "r+b" if os.path.exists(self.path) else "wb") as f:
            f.write(struct.pack("q", seconds))
