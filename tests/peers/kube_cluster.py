"""A real API server with a fixture, and what servers need to reach it."""
import concurrent.futures
import contextlib
import os
import subprocess

import apiserver
import kube_corefiles
import kube_store
import pki
from server import Waypost

SEED = int(os.environ.get("WAYPOST_SEED", "1"))
WATCHED = (("", "services"), ("", "endpoints"), ("", "pods"), ("", "namespaces"), ("discovery.k8s.io", "endpointslices"))  # as the manifests allow
IMPORTS = ("multicluster.x-k8s.io", "serviceimports")


def own_addresses():
    """Of this machine, but loopback: the servers take them for theirs."""
    said = subprocess.run(["ip", "-o", "addr", "show", "scope", "global"], capture_output=True, text=True, check=True).stdout
    return [line.split()[3].split("/")[0] for line in said.splitlines()]


@contextlib.contextmanager
def loaded(binary, etcd_binary):
    with apiserver.ApiServer(binary, etcd_binary) as k:
        k.client.create(apiserver.SERVICE_IMPORT_CRD)
        apiserver.allow(k.client, "dns", WATCHED)
        apiserver.allow(k.client, "imports", [IMPORTS], user="dns")
        k.store = kube_store.Store(SEED, own_addresses())
        k.objects = []
        for together in k.store.everything():
            k.client.each(k.client.create, together)
            k.objects += together
        yield k


def files(k):
    return {**kube_corefiles.FILES, "token": k.kubeconfig(), "certificate": k.kubeconfig("dns", certificate=True)}


def access(k):
    cert, key = pki.cert("dns", "kube-ca", usage="clientAuth")
    return {"url": k.url, "cert": cert, "key": key, "ca": k.ca}


class CoreDNS(Waypost):
    """Ended at once."""

    def stop(self, seconds=15):
        self.proc.kill()
        self.proc.wait()
        return 0




def both_started(ours, theirs, given, coredns):
    """Two servers that start beside each other, with these Corefiles."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(Waypost, ours, given), pool.submit(CoreDNS, theirs, given, binary=coredns)]
    if any(j.exception() for j in jobs):  # none stays alone
        for j in jobs:
            if not j.exception():
                j.result().stop()
    return [j.result() for j in jobs]
