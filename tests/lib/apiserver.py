"""A real Kubernetes API server on a real etcd, and a small client for it: JSON over HTTPS, connections kept, a few threads."""
import base64
import concurrent.futures
import http.client
import json
import os
import shutil
import signal
import ssl
import tempfile
import threading

import etcd
import pki
from server import Process, free_port, wait_for

ADMIN = "admin-token"
USERS = ("dns", "some", "bare")  # each with a token, and nothing that it may do before it is bound to a role
# only what is looked at, and what the server itself cannot do without
GROUPS = ("api/v1", "apiextensions.k8s.io/v1", "apiregistration.k8s.io/v1", "authentication.k8s.io/v1", "authorization.k8s.io/v1",
          "discovery.k8s.io/v1", "networking.k8s.io/v1", "rbac.authorization.k8s.io/v1", "coordination.k8s.io/v1")
# those that wait for controllers, which do not run here
ADMISSION_OFF = (
    "ServiceAccount,TaintNodesByCondition,LimitRanger,ResourceQuota,Priority,DefaultTolerationSeconds,RuntimeClass,PodSecurity,DefaultStorageClass,"
    "MutatingAdmissionWebhook,ValidatingAdmissionWebhook,ValidatingAdmissionPolicy,MutatingAdmissionPolicy,StorageObjectInUseProtection,"
    "DefaultIngressClass,PodGroupProtection,PodGroupWorkloadExists,NodeDeclaredFeatureValidator,PersistentVolumeClaimResize,PodTopologyLabels,"
    "PodResizeValidator,JobValidation,CertificateApproval,CertificateSigning,CertificateSubjectRestriction,ClusterTrustBundleAttest")
PATHS = {  # kind: (group and version, plural, in a namespace)
    "Namespace": ("api/v1", "namespaces", False), "Service": ("api/v1", "services", True), "Pod": ("api/v1", "pods", True),
    "EndpointSlice": ("apis/discovery.k8s.io/v1", "endpointslices", True),
    "ServiceImport": ("apis/multicluster.x-k8s.io/v1alpha1", "serviceimports", True),
    "CustomResourceDefinition": ("apis/apiextensions.k8s.io/v1", "customresourcedefinitions", False),
    "ClusterRole": ("apis/rbac.authorization.k8s.io/v1", "clusterroles", False),
    "ClusterRoleBinding": ("apis/rbac.authorization.k8s.io/v1", "clusterrolebindings", False),
}
SERVICE_IMPORT_CRD = {
    "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {
        "name": "serviceimports.multicluster.x-k8s.io",
        "annotations": {"api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/mcs-api"}},
    "spec": {"group": "multicluster.x-k8s.io", "scope": "Namespaced",
             "names": {"kind": "ServiceImport", "plural": "serviceimports", "singular": "serviceimport"},
             "versions": [{"name": "v1alpha1", "served": True, "storage": True, "subresources": {"status": {}},
                           "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}]}}


class Error(Exception):
    def __init__(self, code, text):
        super().__init__(f"{code} {text[:600]}")
        self.code = code


def path_of(o):
    """(collection, object)."""
    group, plural, inside = PATHS[o["kind"]]
    head = f"/{group}/namespaces/{o['metadata']['namespace']}/{plural}" if inside else f"/{group}/{plural}"
    return head, f"{head}/{o['metadata']['name']}"


class Client:
    """Calls from any thread: each has its own connection."""

    THREADS = 6

    def __init__(self, port, ca, token=ADMIN):
        self.port, self.token = port, token
        self.tls = ssl.create_default_context(cafile=ca)
        self.local = threading.local()

    def call(self, method, path, body=None, kind="application/json"):
        """What came back, from JSON; Error when it is no 2xx."""
        headers = {"Authorization": "Bearer " + self.token, "Content-Type": kind, "Accept": "application/json"}
        data = None if body is None else json.dumps(body)
        for again in (True, False):
            c = getattr(self.local, "c", None)
            if c is None:
                c = self.local.c = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=self.tls)
            try:
                c.request(method, path, data, headers)
                r = c.getresponse()
                text = r.read()
                break
            except (OSError, http.client.HTTPException):
                c.close()
                self.local.c = None
                if not again:
                    raise
        if r.status >= 300:
            raise Error(r.status, text.decode(errors="replace"))
        return json.loads(text) if text[:1] == b"{" else text

    def create(self, o):
        """With its status, if it has one, which is another call."""
        collection, own = path_of(o)
        made = self.call("POST", collection, o)
        if o.get("status"):
            made = self.call("PATCH", own + "/status", {"status": o["status"]}, "application/merge-patch+json")
        return made

    def patch(self, o, change, sub=""):
        return self.call("PATCH", path_of(o)[1] + sub, change, "application/merge-patch+json")

    def replace(self, o):
        return self.call("PUT", path_of(o)[1], o)

    def delete(self, o):
        """At once: there is no kubelet and no controller to wait for."""
        self.call("DELETE", path_of(o)[1], {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0})
        if o["kind"] == "Namespace":
            self.call("PUT", path_of(o)[1] + "/finalize", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": o["metadata"]["name"]}, "spec": {"finalizers": []}})

    def each(self, what, objects):
        """what(object) for all, some at a time."""
        with concurrent.futures.ThreadPoolExecutor(self.THREADS) as pool:
            return list(pool.map(what, objects))


class ApiServer:
    """One server on free ports. Its data is etcd's, and outlives restarts."""

    def __init__(self, binary, etcd_binary=None, args=()):
        self.binary, self.args = binary, list(args)
        self.dir = tempfile.mkdtemp(prefix="waypost-apiserver-")
        self.member = etcd.Member(binary=etcd_binary)
        self.port = free_port()
        self.ca = pki.ca("kube-ca")
        self.process = None
        self.tokens = {u: f"{u}-token" for u in USERS}  # read when it starts
        self.client = Client(self.port, self.ca)

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}"

    def path(self, name):
        return os.path.join(self.dir, name)

    def launch(self, wait=True):
        cert, key = pki.cert("kube-apiserver", "kube-ca", san="DNS:localhost,DNS:kube-apiserver,IP:127.0.0.1")
        _, signer = pki.cert("kube-accounts", "kube-ca", rsa=True)
        with open(self.path("tokens"), "w") as f:
            f.write(f'{ADMIN},admin,u0,"system:masters"\n' + "".join(f"{t},{u},{u}\n" for u, t in self.tokens.items()))
        self.process = Process([
            self.binary, "--etcd-servers", self.member.url, "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1",
            f"--secure-port={self.port}", "--tls-cert-file", cert, "--tls-private-key-file", key, "--client-ca-file", self.ca,
            "--token-auth-file", self.path("tokens"), "--authorization-mode=RBAC", "--anonymous-auth=false",
            "--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file", signer,
            "--service-account-signing-key-file", signer, "--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112",
            "--endpoint-reconciler-type=none", "--enable-priority-and-fairness=false", "--profiling=false", "--cert-dir", self.dir,
            "--disable-admission-plugins=" + ADMISSION_OFF, "--max-requests-inflight=0", "--max-mutating-requests-inflight=0",
            "--runtime-config=api/all=false," + ",".join(g + "=true" for g in GROUPS), *self.args])
        return self.wait_ready() if wait else self

    def wait_ready(self):
        def up():
            assert self.process.alive(), self.process.output()[-3000:]
            try:
                return self.client.call("GET", "/readyz") == b"ok"
            except (OSError, Error, http.client.HTTPException):
                return False
        wait_for(up, 60, step=0.05)
        return self

    def halt(self):
        """At once: else it waits for watches to end."""
        self.process.kill(signal.SIGKILL)
        self.process.wait(30)
        self.process.dir.cleanup()
        self.process = None

    def kubeconfig(self, user="dns", certificate=False, url=None, file=None):
        """Its text: with the user's token, or with a certificate in its name, and then the context is "other". file: of the token, beside it."""
        who = {"tokenFile": file} if file else {"token": self.tokens[user]}
        if certificate:
            cert, key = pki.cert(user, "kube-ca", usage="clientAuth")
            who = {"client-certificate": cert, "client-key-data": base64.b64encode(open(key, "rb").read()).decode()}
        return json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "main",
            "contexts": [{"name": "other" if certificate else "main", "context": {"cluster": "k", "user": user}}],
            "clusters": [{"name": "k", "cluster": {"server": url or self.url, "certificate-authority": self.ca}}], "users": [{"name": user, "user": who}]}, indent=1)

    def compact(self):
        """Every watch that begins before now gets 410."""
        self.member.client.compact(self.member.client.current_revision())

    def __enter__(self):
        self.member.start()
        return self.launch()

    def __exit__(self, *exc):
        if self.process:
            self.halt()
        self.member.close()
        shutil.rmtree(self.dir, ignore_errors=True)


def allow(client, name, rules, user=None):
    """A cluster role for the user, who has its name unless said: rules are [(group, resource)], to list and to watch."""
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    client.create({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": [
        {"apiGroups": [g], "resources": [r], "verbs": ["list", "watch"]} for g, r in rules]})
    client.create({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name}, "roleRef": role,
                   "subjects": [{"kind": "User", "name": user or name, "apiGroup": "rbac.authorization.k8s.io"}]})
