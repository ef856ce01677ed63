"""deploy/kubernetes: the Deployment is kubeadm's but for what is meant to differ, and the files agree with each other. That an API
server takes them is shown in tests/peers."""
import os
import re
import shutil
import subprocess

import pytest
import source
from manifests import KUBEADM, box, flat, load, read
from server import TOP, WAYPOST

MEANT = {"box.image", "box.resources.requests.memory", "box.securityContext.runAsNonRoot", "box.securityContext.runAsUser",
         "box.securityContext.runAsGroup", "box.securityContext.seccompProfile.type", "box.volumeMounts.1.name", "box.volumeMounts.1.mountPath",
         "pod.volumes.1.name", "pod.volumes.1.emptyDir.sizeLimit"}
# of the chart's values.yaml: what may be set, as far as we set it
CHART = {"image": {"repository", "tag"}, "replicaCount": None, "service": {"name"}, "serviceAccount": {"create", "name"}, "k8sAppLabelOverride": None,
         "priorityClassName": None, "resources": {"requests", "limits"}, "podSecurityContext": None, "securityContext": None,
         "readinessProbe": {"initialDelaySeconds"}, "extraVolumes": None, "extraVolumeMounts": None}


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
    user = re.search(r"^USER_ID=(\d+)", read("image-root"), re.M)[1]
    assert f"USER {user}:{user}" in read("Containerfile") and pod["runAsUser"] == pod["runAsGroup"] == int(user)
    assert values["resources"]["requests"] == box(deployment)["resources"]["requests"]
    assert values["extraVolumes"] == deployment["spec"]["template"]["spec"]["volumes"][1:]
    assert values["extraVolumeMounts"] == box(deployment)["volumeMounts"][1:]
    assert box(daemon)["args"] == box(deployment)["args"]
    assert daemon["spec"]["template"]["spec"]["volumes"][0]["configMap"]["name"] == config["metadata"]["name"]
    for name in ("Containerfile", "README.md"):
        assert set(re.findall(r"waypost:(\d[\d.]*\d)", read(name))) == {version}


def test_values_are_the_charts():
    (values,) = load("helm-values.yaml")
    assert set(values) == set(CHART)
    assert all(keys is None or set(values[name]) <= keys for name, keys in CHART.items())


def test_containerfile_copies_what_the_build_needs(tmp_path):
    """What it copies can be configured, which fails when a file is missing, and holds the whole of the program."""
    text = read("Containerfile")
    copied = set(re.findall(r"^COPY (\w+) \1$", text, re.M)) | set(re.search(r"^COPY (.*) \./$", text, re.M)[1].split())
    assert {p.split("/")[0] for p in source.code()} <= copied
    for path in copied:
        (shutil.copytree if os.path.isdir(os.path.join(TOP, path)) else shutil.copy)(os.path.join(TOP, path), tmp_path / path)
    r = subprocess.run(["cmake", "--preset", "release"], cwd=tmp_path, capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    steps = re.search(r"cmake --build --preset release --target (.*) \\\n && (\S+) build/release /image", text)
    known = subprocess.run(["ninja", "-C", tmp_path / "build/release", "-t", "targets", "all"], capture_output=True, text=True).stdout
    assert all(f"\n{t}: phony" in known or f"\n{t}: " in known for t in steps[1].split()) and os.access(tmp_path / steps[2], os.X_OK)


def test_node_local_corefile(tmp_path):
    (tmp_path / "Corefile").write_text(load("node-local.yaml")[0]["data"]["Corefile"])
    r = subprocess.run([WAYPOST, "check", "-conf", tmp_path / "Corefile"], capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
