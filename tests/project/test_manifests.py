"""deploy/kubernetes: the Deployment is kubeadm's but for what is meant to differ, and the files agree with each other. That an API
server takes them is shown in tests/peers."""
import os
import re
import subprocess

import pytest
import source
import yaml
from server import TOP, WAYPOST

HERE = "deploy/kubernetes/"
# kubeadm's Deployment (cmd/kubeadm/app/phases/addons/dns), as paths and values
KUBEADM = {
    "apiVersion": "apps/v1", "kind": "Deployment",
    "metadata.name": "coredns", "metadata.namespace": "kube-system", "metadata.labels.k8s-app": "kube-dns",
    "spec.replicas": 2, "spec.strategy.type": "RollingUpdate", "spec.strategy.rollingUpdate.maxUnavailable": 1,
    "spec.selector.matchLabels.k8s-app": "kube-dns", "spec.template.metadata.labels.k8s-app": "kube-dns",
    "pod.priorityClassName": "system-cluster-critical", "pod.serviceAccountName": "coredns", "pod.dnsPolicy": "Default",
    "pod.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution.0.weight": 100,
    "affine.labelSelector.matchExpressions.0.key": "k8s-app", "affine.labelSelector.matchExpressions.0.operator": "In",
    "affine.labelSelector.matchExpressions.0.values.0": "kube-dns", "affine.topologyKey": "kubernetes.io/hostname",
    "pod.tolerations.0.key": "CriticalAddonsOnly", "pod.tolerations.0.operator": "Exists",
    "pod.tolerations.1.key": "node-role.kubernetes.io/control-plane", "pod.tolerations.1.effect": "NoSchedule",
    "pod.nodeSelector.kubernetes.io/os": "linux",
    "box.name": "coredns", "box.image": "coredns", "box.imagePullPolicy": "IfNotPresent",
    "box.args.0": "-conf", "box.args.1": "/etc/coredns/Corefile",
    "box.resources.limits.memory": "170Mi", "box.resources.requests.cpu": "100m", "box.resources.requests.memory": "70Mi",
    "box.volumeMounts.0.name": "config-volume", "box.volumeMounts.0.mountPath": "/etc/coredns", "box.volumeMounts.0.readOnly": True,
    **{f"box.ports.{i}.{k}": v for i, p in enumerate([(53, "dns", "UDP"), (53, "dns-tcp", "TCP"), (9153, "metrics", "TCP"),
                                                    (8080, "liveness-probe", "TCP"), (8181, "readiness-probe", "TCP")])
       for k, v in zip(("containerPort", "name", "protocol"), p)},
    "box.livenessProbe.httpGet.path": "/health", "box.livenessProbe.httpGet.port": "liveness-probe", "box.livenessProbe.httpGet.scheme": "HTTP",
    "box.livenessProbe.initialDelaySeconds": 60, "box.livenessProbe.timeoutSeconds": 5, "box.livenessProbe.successThreshold": 1,
    "box.livenessProbe.failureThreshold": 5,
    "box.readinessProbe.httpGet.path": "/ready", "box.readinessProbe.httpGet.port": "readiness-probe", "box.readinessProbe.httpGet.scheme": "HTTP",
    "box.securityContext.allowPrivilegeEscalation": False, "box.securityContext.capabilities.add.0": "NET_BIND_SERVICE",
    "box.securityContext.capabilities.drop.0": "ALL", "box.securityContext.readOnlyRootFilesystem": True,
    "pod.volumes.0.name": "config-volume", "pod.volumes.0.configMap.name": "coredns",
    "pod.volumes.0.configMap.items.0.key": "Corefile", "pod.volumes.0.configMap.items.0.path": "Corefile",
}
SHORT = (("spec.template.spec.containers.0.", "box."), ("spec.template.spec.", "pod."),
         ("pod.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution.0.podAffinityTerm.", "affine."))
MEANT = {"box.image", "box.resources.requests.memory", "box.securityContext.runAsNonRoot", "box.securityContext.runAsUser",
         "box.securityContext.runAsGroup", "box.securityContext.seccompProfile.type", "box.volumeMounts.1.name", "box.volumeMounts.1.mountPath",
         "pod.volumes.1.name", "pod.volumes.1.emptyDir.sizeLimit"}
# of the chart's values.yaml: what may be set, as far as we set it
CHART = {"image": {"repository", "tag"}, "replicaCount": None, "service": {"name"}, "serviceAccount": {"create", "name"}, "k8sAppLabelOverride": None,
         "priorityClassName": None, "resources": {"requests", "limits"}, "podSecurityContext": None, "securityContext": None,
         "readinessProbe": {"initialDelaySeconds"}, "extraVolumes": None, "extraVolumeMounts": None}


class Strict(yaml.SafeLoader):
    """A key that stands twice is an error."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(k, deep=True) for k, _ in node.value]
        assert len(keys) == len(set(keys)), f"{node.start_mark}: {keys}"
        return super().construct_mapping(node, deep)


def load(name):
    return [d for d in yaml.load_all(source.read(HERE + name), Strict) if d is not None]


def flat(value, path=""):
    if isinstance(value, (dict, list)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {k: v for name, part in items for k, v in flat(part, f"{path}{name}.").items()}
    path = path[:-1]
    for long, short in SHORT:
        path = path.replace(long, short, 1) if path.startswith(long) else path
    return {path: value}


def box(manifest):
    return manifest["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize("row", ["004-1-difference"])
def test_deployment_is_kubeadms(row):
    ours = flat(load("deployment.yaml")[0])
    differs = {k for k in set(ours) | set(KUBEADM) if ours.get(k) != KUBEADM.get(k)}
    assert differs == MEANT


def test_rights_are_kubeadms():
    account, role, binding = load("rbac.yaml")
    watched = {"": {"endpoints", "services", "pods", "namespaces"}, "discovery.k8s.io": {"endpointslices"}}
    assert {r["apiGroups"][0]: set(r["resources"]) for r in role["rules"]} == watched
    assert all(set(r) == {"apiGroups", "resources", "verbs"} and r["verbs"] == ["list", "watch"] and len(r["apiGroups"]) == 1 for r in role["rules"])
    assert role["metadata"]["name"] == binding["roleRef"]["name"] == "system:coredns"
    assert binding["subjects"] == [{"kind": "ServiceAccount", **account["metadata"]}]
    assert load("deployment.yaml")[0]["spec"]["template"]["spec"]["serviceAccountName"] == account["metadata"]["name"]


def test_files_agree():
    version = re.search(r"^project\(waypost VERSION (\S+)", source.read("CMakeLists.txt"), re.M)[1]
    deployment, (config, daemon), (values,) = load("deployment.yaml")[0], load("node-local.yaml"), load("helm-values.yaml")
    (overlay,) = load("kustomization.yaml")
    assert box(deployment)["image"] == box(daemon)["image"] == f"waypost:{version}"
    assert values["image"]["tag"] == overlay["images"][0]["newTag"] == version
    assert overlay["resources"] == ["deployment.yaml"] and overlay["images"][0]["name"] == "waypost"
    pod = values["podSecurityContext"]
    assert {**pod, **values["securityContext"]} == box(deployment)["securityContext"] == box(daemon)["securityContext"]
    user = re.search(r"^USER_ID=(\d+)", source.read(HERE + "image-root"), re.M)[1]
    assert f"USER {user}:{user}" in source.read(HERE + "Containerfile") and pod["runAsUser"] == pod["runAsGroup"] == int(user)
    assert values["resources"]["requests"] == box(deployment)["resources"]["requests"]
    assert values["extraVolumes"] == deployment["spec"]["template"]["spec"]["volumes"][1:]
    assert values["extraVolumeMounts"] == box(deployment)["volumeMounts"][1:]
    assert box(daemon)["args"] == box(deployment)["args"]
    assert daemon["spec"]["template"]["spec"]["volumes"][0]["configMap"]["name"] == config["metadata"]["name"]
    for name in ("Containerfile", "README.md"):
        assert set(re.findall(r"waypost:(\d[\d.]*\d)", source.read(HERE + name))) == {version}


def test_values_are_the_charts():
    (values,) = load("helm-values.yaml")
    assert set(values) == set(CHART)
    assert all(keys is None or set(values[name]) <= keys for name, keys in CHART.items())


def test_containerfile_copies_what_the_build_needs():
    text = source.read(HERE + "Containerfile")
    copied = set(re.findall(r"^COPY (\w+) \1$", text, re.M)) | set(re.search(r"^COPY (.*) \./$", text, re.M)[1].split())
    for path in copied | {"deploy/packages", "deploy/kubernetes/image-root"}:
        assert os.path.exists(os.path.join(TOP, path)), path
    needed = {p.split("/")[0] for p in source.code()} | {"CMakeLists.txt", "CMakePresets.json", "README.md", "deploy"}
    assert needed <= copied, needed - copied


def test_node_local_corefile(tmp_path):
    (tmp_path / "Corefile").write_text(load("node-local.yaml")[0]["data"]["Corefile"])
    r = subprocess.run([WAYPOST, "check", "-conf", tmp_path / "Corefile"], capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
