"""deploy/kubernetes, taken by a real API server: every field is known to it, and the Deployment goes over kubeadm's."""
import copy

import kube
import manifests
import pytest
from apiserver import ApiServer, Error
from peers import kube_apiserver
from server import Waypost, wait_for

PLURAL = {"Deployment": "apis/apps/v1/namespaces/kube-system/deployments", "DaemonSet": "apis/apps/v1/namespaces/kube-system/daemonsets",
          "ConfigMap": "api/v1/namespaces/kube-system/configmaps", "ServiceAccount": "api/v1/namespaces/kube-system/serviceaccounts",
          "ClusterRole": "apis/rbac.authorization.k8s.io/v1/clusterroles",
          "ClusterRoleBinding": "apis/rbac.authorization.k8s.io/v1/clusterrolebindings"}


@pytest.fixture(scope="module")
def server():
    with ApiServer(kube_apiserver(), args=["--runtime-config=apps/v1=true"]) as server:
        def there():
            try:
                return server.client.call("GET", "/api/v1/namespaces/kube-system")
            except Error:
                return None
        wait_for(there, 60)
        yield server


@pytest.fixture
def api(server):
    return server.client


def apply(api, o, **more):
    """What `kubectl apply --server-side` sends."""
    query = "&".join(f"{k}={v}" for k, v in {"fieldManager": "test", "fieldValidation": "Strict", **more}.items())
    return api.call("PATCH", f"/{PLURAL[o['kind']]}/{o['metadata']['name']}?{query}", o, "application/apply-patch+yaml")


@pytest.mark.parametrize("name", ["rbac.yaml", "deployment.yaml", "node-local.yaml"])
def test_every_field_is_known(api, name):
    for o in manifests.load(name):
        made = apply(api, o)
        assert made["metadata"]["uid"]
        wrong = copy.deepcopy(o)
        wrong["metadata"]["labells"] = {}
        with pytest.raises(Error) as e:
            apply(api, wrong, dryRun="All")
        assert "labells" in str(e.value)


@pytest.mark.parametrize("row", ["004-1-over-kubeadms"])
def test_deployment_goes_over_kubeadms(api, row):
    """The selector of a Deployment can never change: ours is the same. What ours adds is gone when theirs comes back."""
    ours = manifests.load("deployment.yaml")[0]
    theirs = copy.deepcopy(ours)
    box = manifests.box(theirs)
    box["image"] = "coredns"
    for word in ("runAsNonRoot", "runAsUser", "runAsGroup", "seccompProfile"):
        del box["securityContext"][word]
    box["resources"]["requests"]["memory"] = "70Mi"
    del box["volumeMounts"][1:], theirs["spec"]["template"]["spec"]["volumes"][1:]
    apply(api, theirs, force="true")
    before = api.call("GET", f"/{PLURAL['Deployment']}/coredns")
    made = apply(api, ours, force="true")
    assert made["metadata"]["uid"] == before["metadata"]["uid"] and made["metadata"]["generation"] == before["metadata"]["generation"] + 1
    assert manifests.box(made)["image"] == manifests.box(ours)["image"]
    assert manifests.box(apply(api, theirs, force="true"))["securityContext"] == box["securityContext"]
    assert {k: v for k, v in manifests.flat({"spec": before["spec"]}).items() if manifests.KUBEADM.get(k, v) != v} == {}


@pytest.mark.parametrize("pods", ["insecure", "verified"])
def test_rights_suffice(server, pods):
    """Those of system:coredns, for all that the directive watches."""
    for o in manifests.load("rbac.yaml"):
        apply(server.client, o)
    apply(server.client, {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "dns"},
                          "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"},
                          "subjects": [{"kind": "User", "name": "dns", "apiGroup": "rbac.authorization.k8s.io"}]})
    text = kube.corefile("x", f"pods {pods}").replace("endpoint x", "kubeconfig {dir}/kubeconfig")
    with Waypost(text, {"kubeconfig": server.kubeconfig("dns")}) as w:
        wait_for(lambda: kube.answers(w, "kubernetes.default.svc.cluster.local") == ["10.96.0.1"], 60, step=0.05)
        assert kube.ask(w, "none.default.svc.cluster.local").rcode() == 3
        assert "forbidden" not in w.output()
