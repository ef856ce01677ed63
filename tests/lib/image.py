"""The container image's root file system, as deploy/kubernetes/image-root makes it of the build under test."""
import os
import subprocess

from server import TOP, WAYPOST

IMAGE_ROOT = os.path.join(TOP, "deploy/kubernetes/image-root")


def make(root):
    return subprocess.run([IMAGE_ROOT, os.path.dirname(WAYPOST), root], capture_output=True, text=True)


def folder(tmp_path_factory):
    """A folder that other users can enter; `root` in it is the image's."""
    assert os.getuid() == 0, "root is needed: the image's program has a file capability"
    top = tmp_path_factory.mktemp("image")
    for p in (top, *top.parents):
        if str(p).startswith("/tmp/"):
            os.chmod(p, 0o755)
    r = make(top / "root")
    assert r.returncode == 0, r.stdout + r.stderr
    return top
