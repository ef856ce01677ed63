"""Objects of the Kubernetes API as the protobuf messages that an API server makes of them
(application/vnd.kubernetes.protobuf). The table has the fields of the kinds that clients of DNS read and enough of the
rest for objects of their usual size; a field that is not in it is an error.

Alone: kube_proto.py KIND < OBJECT.json > OBJECT.pb"""
import calendar
import json
import sys
import time

MAGIC = b"k8s\0"

# NAME=NUMBER:TYPE. s: string, i: number, b: bool, m: map of strings, q: map of quantities, else a message; `*` before
# the type: repeated; `!` behind it: written also when it is empty, as Go does where there is no pointer. A field
# without a name is one that JSON has no level for.
MESSAGES = {
    "ObjectMeta": "name=1:s! generateName=2:s! namespace=3:s! selfLink=4:s! uid=5:s! resourceVersion=6:s! generation=7:i! creationTimestamp=8:Time! "
                  "deletionTimestamp=9:Time deletionGracePeriodSeconds=10:i labels=11:m annotations=12:m ownerReferences=13:*OwnerReference "
                  "finalizers=14:*s managedFields=17:*ManagedFields",
    "OwnerReference": "kind=1:s! name=3:s! uid=4:s! apiVersion=5:s! controller=6:b blockOwnerDeletion=7:b",
    "ManagedFields": "manager=1:s! operation=2:s! apiVersion=3:s! time=4:Time fieldsType=6:s! fieldsV1=7:FieldsV1 subresource=8:s!",
    "ListMeta": "selfLink=1:s! resourceVersion=2:s! continue=3:s! remainingItemCount=4:i",
    "Status": "metadata=1:ListMeta! status=2:s! message=3:s! reason=4:s! details=5:StatusDetails code=6:i!",
    "StatusDetails": "name=1:s! group=2:s! kind=3:s! causes=4:*StatusCause retryAfterSeconds=5:i! uid=6:s!",
    "StatusCause": "reason=1:s! message=2:s! field=3:s!",

    "Service": "metadata=1:ObjectMeta! spec=2:ServiceSpec! status=3:ServiceStatus!",
    "ServiceSpec": "ports=1:*ServicePort selector=2:m clusterIP=3:s! type=4:s! externalIPs=5:*s sessionAffinity=7:s! loadBalancerIP=8:s! "
                   "loadBalancerSourceRanges=9:*s externalName=10:s! externalTrafficPolicy=11:s! healthCheckNodePort=12:i! "
                   "publishNotReadyAddresses=13:b! ipFamilyPolicy=17:s clusterIPs=18:*s ipFamilies=19:*s allocateLoadBalancerNodePorts=20:b "
                   "loadBalancerClass=21:s internalTrafficPolicy=22:s trafficDistribution=23:s",
    "ServicePort": "name=1:s! protocol=2:s! port=3:i! targetPort=4:IntOrString! nodePort=5:i! appProtocol=6:s",
    "ServiceStatus": "loadBalancer=1:LoadBalancerStatus! conditions=2:*Condition",
    "LoadBalancerStatus": "ingress=1:*LoadBalancerIngress",
    "LoadBalancerIngress": "ip=1:s! hostname=2:s! ipMode=3:s",
    "Condition": "type=1:s! status=2:s! observedGeneration=3:i! lastTransitionTime=4:Time! reason=5:s! message=6:s!",

    "EndpointSlice": "metadata=1:ObjectMeta! endpoints=2:*Endpoint ports=3:*EndpointPort addressType=4:s!",
    "Endpoint": "addresses=1:*s conditions=2:EndpointConditions! hostname=3:s targetRef=4:ObjectReference nodeName=6:s zone=7:s hints=8:EndpointHints",
    "EndpointConditions": "ready=1:b serving=2:b terminating=3:b",
    "EndpointPort": "name=1:s protocol=2:s port=3:i appProtocol=4:s",
    "EndpointHints": "forZones=1:*Named forNodes=2:*Named",
    "Named": "name=1:s!",
    "ObjectReference": "kind=1:s! namespace=2:s! name=3:s! uid=4:s! apiVersion=5:s! resourceVersion=6:s! fieldPath=7:s!",

    "Namespace": "metadata=1:ObjectMeta! spec=2:NamespaceSpec! status=3:NamespaceStatus!",
    "NamespaceSpec": "finalizers=1:*s",
    "NamespaceStatus": "phase=1:s!",
    "PartialObjectMetadata": "metadata=1:ObjectMeta!",

    "Pod": "metadata=1:ObjectMeta! spec=2:PodSpec! status=3:PodStatus!",
    "PodSpec": "volumes=1:*Volume containers=2:*Container restartPolicy=3:s! terminationGracePeriodSeconds=4:i dnsPolicy=6:s! nodeSelector=7:m "
               "serviceAccountName=8:s! serviceAccount=9:s! nodeName=10:s! hostNetwork=11:b! hostPID=12:b! hostIPC=13:b! securityContext=14:Empty "
               "hostname=16:s! subdomain=17:s! schedulerName=19:s! initContainers=20:*Container tolerations=22:*Toleration priorityClassName=24:s! "
               "priority=25:i enableServiceLinks=30:b preemptionPolicy=31:s",
    "Empty": "",
    "Volume": "name=1:s! =2:VolumeSource!",
    "VolumeSource": "projected=26:ProjectedVolumeSource",
    "ProjectedVolumeSource": "sources=1:*VolumeProjection defaultMode=2:i",
    "VolumeProjection": "configMap=3:ConfigMapProjection serviceAccountToken=4:TokenProjection",
    "TokenProjection": "audience=1:s! expirationSeconds=2:i path=3:s!",
    "ConfigMapProjection": "=1:Named! items=2:*KeyToPath",
    "KeyToPath": "key=1:s! path=2:s! mode=3:i",
    "Container": "name=1:s! image=2:s! command=3:*s args=4:*s workingDir=5:s! ports=6:*ContainerPort env=7:*EnvVar resources=8:Resources! "
                 "volumeMounts=9:*VolumeMount livenessProbe=10:Probe readinessProbe=11:Probe terminationMessagePath=13:s! imagePullPolicy=14:s! "
                 "stdin=16:b! stdinOnce=17:b! tty=18:b! terminationMessagePolicy=20:s!",
    "ContainerPort": "name=1:s! hostPort=2:i! containerPort=3:i! protocol=4:s! hostIP=5:s!",
    "EnvVar": "name=1:s! value=2:s! valueFrom=3:EnvVarSource",
    "EnvVarSource": "fieldRef=1:FieldSelector",
    "FieldSelector": "apiVersion=1:s! fieldPath=2:s!",
    "Resources": "limits=1:q requests=2:q",
    "VolumeMount": "name=1:s! readOnly=2:b! mountPath=3:s! subPath=4:s! subPathExpr=6:s!",
    "Probe": "=1:ProbeHandler! initialDelaySeconds=2:i! timeoutSeconds=3:i! periodSeconds=4:i! successThreshold=5:i! failureThreshold=6:i!",
    "ProbeHandler": "httpGet=2:HTTPGet",
    "HTTPGet": "path=1:s! port=2:IntOrString! host=3:s! scheme=4:s!",
    "Toleration": "key=1:s! operator=2:s! value=3:s! effect=4:s! tolerationSeconds=5:i",
    "PodStatus": "phase=1:s! conditions=2:*PodCondition message=3:s! reason=4:s! hostIP=5:s! podIP=6:s! startTime=7:Time containerStatuses=8:*ContainerStatus "
                 "qosClass=9:s! initContainerStatuses=10:*ContainerStatus nominatedNodeName=11:s! podIPs=12:*IP resize=14:s! hostIPs=16:*IP "
                 "observedGeneration=17:i!",
    "IP": "ip=1:s!",
    "PodCondition": "type=1:s! status=2:s! lastProbeTime=3:Time! lastTransitionTime=4:Time! reason=5:s! message=6:s! observedGeneration=7:i!",
    "ContainerStatus": "name=1:s! state=2:ContainerState! lastState=3:ContainerState! ready=4:b! restartCount=5:i! image=6:s! imageID=7:s! "
                       "containerID=8:s! started=9:b",
    "ContainerState": "running=2:Running",
    "Running": "startedAt=1:Time!",
}


def varint(n):
    n &= (1 << 64) - 1  # negative numbers take ten octets
    out = bytearray()
    while n > 0x7f:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def counted(number, octets):
    return varint(number << 3 | 2) + varint(len(octets)) + octets


def number(field, n):
    return varint(field << 3) + varint(n)


def _parse(rows):
    out = []
    for row in rows.split():
        name, _, rest = row.partition("=")
        n, _, what = rest.partition(":")
        out.append((name, int(n), what.strip("*!"), what.startswith("*"), what.endswith("!")))
    return out


_TABLE = {name: _parse(rows) for name, rows in MESSAGES.items()}
_KNOWN = {}


def _known(name):
    """Names that JSON may have in this message."""
    if name not in _KNOWN:
        _KNOWN[name] = {n for row in _TABLE[name] for n in ([row[0]] if row[0] else _known(row[2]))}
    return _KNOWN[name]


def _time(text):
    if not text:
        return b""
    return number(1, calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))) + number(2, 0)


def _map(field, value, make):
    return b"".join(counted(field, counted(1, k.encode()) + counted(2, make(v))) for k, v in sorted(value.items()))


def _one(field, what, value):
    if what == "s":
        return counted(field, (value or "").encode())
    if what == "i":
        return number(field, int(value or 0))
    if what == "b":
        return number(field, bool(value))
    if what == "m":
        return _map(field, value or {}, str.encode)
    if what == "q":
        return _map(field, value or {}, lambda v: counted(1, v.encode()))
    if what == "Time":
        return counted(field, _time(value))
    if what == "IntOrString":
        return counted(field, number(1, isinstance(value, str)) + number(2, value if isinstance(value, int) else 0) +
                       counted(3, value.encode() if isinstance(value, str) else b""))
    if what == "FieldsV1":
        return counted(field, counted(1, json.dumps(value, separators=(",", ":")).encode()))
    return counted(field, message(what, value or {}))


def message(name, obj):
    """The message of an object as JSON has it. What is null is not there."""
    if not isinstance(obj, dict):
        raise ValueError(f"{name}: not an object: {obj!r}")
    unknown = {k for k, v in obj.items() if v is not None} - _known(name) - {"kind", "apiVersion"}
    if unknown:
        raise KeyError(f"{name}: {sorted(unknown)}")
    out = []
    for key, field, what, many, always in _TABLE[name]:
        value = obj.get(key) if key else {k: v for k, v in obj.items() if k in _known(what)}
        if many:
            out += [_one(field, what, v) for v in value or ()]
        elif value is not None or always:
            out.append(_one(field, what, value))
    return b"".join(out)


def envelope(kind, api, raw):
    """Unknown: which kind it is, and its message."""
    return envelope_head(kind, api, len(raw)) + raw + ENVELOPE_TAIL


def envelope_head(kind, api, length):
    return MAGIC + counted(1, counted(1, api.encode()) + counted(2, kind.encode())) + varint(2 << 3 | 2) + varint(length)


ENVELOPE_TAIL = counted(3, b"") + counted(4, b"")  # no encoding of the content, and no other type


def frame(word, enveloped):
    """An event of a watch."""
    event = counted(1, word) + counted(2, counted(1, enveloped))
    return len(event).to_bytes(4, "big") + event


def main():
    obj = json.load(sys.stdin)
    sys.stdout.buffer.write(envelope(sys.argv[1], obj.get("apiVersion", "v1"), message(sys.argv[1], obj)))


if __name__ == "__main__":
    main()
