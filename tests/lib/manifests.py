"""The files of deploy/kubernetes as objects, and the Deployment of kubeadm that they are measured by."""
import os

import yaml
from server import TOP

HERE = os.path.join(TOP, "deploy/kubernetes")
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


class Strict(yaml.SafeLoader):
    """A key that stands twice is an error."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(k, deep=True) for k, _ in node.value]
        assert len(keys) == len(set(keys)), f"{node.start_mark}: {keys}"
        return super().construct_mapping(node, deep)


def read(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as f:
        return f.read()


def load(name):
    return [d for d in yaml.load_all(read(name), Strict) if d is not None]


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
