"""Corefiles over one cluster, each a block of one process: (zones of kubernetes, its options, lines beside it, share of the questions)."""

from kube_store import LONG

CL = "cluster.local"
MC = "clusterset.local"
REVERSE = "in-addr.arpa ip6.arpa"
PARTNER = "file {dir}/partner partner.example"
FALLEN = "file {dir}/fallen cluster.local\n file {dir}/backwards in-addr.arpa"
FILES = {
    "partner": """$ORIGIN partner.example.
@ 60 SOA ns hostmaster 1 3600 600 86400 60
@ 60 NS ns
ns 60 A 198.51.100.53
@ 60 A 198.51.100.1
ext 60 A 198.51.100.7
ext 60 AAAA 2001:db8:ff::7
ext 60 TXT "from outside"
al 60 CNAME ext
back 60 CNAME web.shop.svc.cluster.local.
loop1 60 CNAME loop2
loop2 60 CNAME loop1
sub 60 NS ns.sub
*.wild 60 A 198.51.100.8
""" + "".join(f"big 60 A 198.51.101.{n}\n" for n in range(1, 60)),
    "fallen": """$ORIGIN cluster.local.
@ 60 SOA ns hostmaster 1 3600 600 86400 60
@ 60 NS ns
*.shop.svc 60 A 198.51.100.99
* 60 TXT "fallen"
""",
    "backwards": """$ORIGIN in-addr.arpa.
@ 60 SOA ns hostmaster 1 3600 600 86400 60
@ 60 NS ns
*.10 60 PTR fallen.cluster.local.
""",
}

KUBECONFIG = "kubeconfig {dir}/token"
OPTIONS = {
    "plain": (f"{CL} {REVERSE}", "", PARTNER, 24),
    "insecure": (f"{CL} {REVERSE}", "pods insecure", PARTNER, 3),
    "verified": (f"{CL} {REVERSE}", "pods verified", PARTNER, 4),
    "some": (f"{CL} {REVERSE}", "namespaces shop svc\n namespaces infra default", PARTNER, 3),
    "tiers": (f"{CL} {REVERSE}", "namespace_labels tier=open\n pods insecure", PARTNER, 3),
    "nottiers": (f"{CL} {REVERSE}", "namespace_labels tier notin (secret),tier\n pods verified", "", 2),
    "labels": (f"{CL} {REVERSE}", "labels env in (prod, qa),app notin (db)\n pods verified", PARTNER, 3),
    "podnames": (f"{CL} {REVERSE}", "endpoint_pod_names", PARTNER, 4),
    "noendpoints": (f"{CL} {REVERSE}", "noendpoints\n pods insecure", PARTNER, 2),
    "empty": (f"{CL} {REVERSE}", "ignore empty_service", PARTNER, 3),
    "ttl0": (f"{CL} {REVERSE}", "ttl 0", PARTNER, 2),
    "ttl3600": (f"{CL} {REVERSE}", "ttl 3600\n pods verified", PARTNER, 2),
    "fall": (f"{CL} {REVERSE}", "fallthrough", f"{PARTNER}\n {FALLEN}", 3),
    "fallsome": (f"{CL} {REVERSE}", "fallthrough in-addr.arpa shop.svc.cluster.local pod.cluster.local", f"{PARTNER}\n {FALLEN}", 3),
    "zonal": (f"{CL} {REVERSE}", "zonal\n endpoint_pod_names", PARTNER, 5),
    "multi": (f"{CL} {MC} {REVERSE}", f"multicluster {MC}", PARTNER, 6),
    "multinone": (f"{CL} {MC} east.{CL}", f"multicluster {MC} east.{CL}\n noendpoints\n ignore empty_service\n pods insecure", "", 2),
    "multizonal": (f"{CL} {MC}", f"multicluster {MC}\n zonal\n ignore empty_service\n labels app\n endpoint_pod_names", PARTNER, 2),
    "networks": (f"{CL} 10.96.0.0/16 10.240.0.0/12 fd00:10::/32", "", PARTNER, 3),
    "nested": (f"{CL} shop.svc.{CL} {MC} svc a.b.{CL}", "pods insecure", PARTNER, 2),
    "root": (".", "pods insecure", "", 2),
    "certificate": (f"{CL} {REVERSE}", "kubeconfig {dir}/certificate other", PARTNER, 1),
    "endpoint": (f"{CL} {REVERSE}", "endpoint %(url)s\n tls %(cert)s %(key)s %(ca)s\n apiserver_qps 100\n apiserver_burst 100", PARTNER, 1),
    "external": (f"{CL} {REVERSE}", "ttl 7", f"k8s_external ext.test lb.test\n {PARTNER}", 5),
    "headless": (f"{CL} {REVERSE}", "namespaces shop infra hidden n1", "k8s_external ext.test lb.test in-addr.arpa ip6.arpa {\n headless\n apex ns\n ttl 30\n fallthrough in-addr.arpa lb.test\n }\n " + PARTNER, 6),
    "autopath": (f"{CL} {REVERSE}", "pods verified", f"autopath @kubernetes\n {PARTNER}", 4),
    "cached": (f"{CL} {REVERSE}", "", f"cache 30\n {PARTNER}", 3),
    "bound": (f"{CL}", "", "bind 127.0.0.1", 1),
}
BLOCK = """.:{%s} {
 errors
 %s
 kubernetes %s {
 %s
 }
}
"""

def corefile(access):
    """The blocks of OPTIONS as one file; access: values of what is in the options."""
    out = []
    for name, (zones, options, beside, _) in OPTIONS.items():
        if "kubeconfig" not in options and "endpoint " not in options:
            options = f"{KUBECONFIG}\n {options}"
        out.append(BLOCK % (name, beside, zones, options % access if "%(" in options else options))
    return "".join(out)


# What CoreDNS alone is asked as well: the same block over a cluster without what a row of deploy/DIFFERENCES.md is about.
OPEN = "namespaces shop infra svc pod n1 n2 bare " + LONG
TWINS = {  # block: (row, its options)
    "plain": ("D-kube-stray", "labels !stray"),
    "cached": ("D-kube-stray", "labels !stray"),
    "multi": ("D-kube-stray", f"labels !stray\n multicluster {MC}"),
    "tiers": ("D-kube-hidden", f"{OPEN}\n pods insecure"),
    "nottiers": ("D-kube-hidden", f"{OPEN}\n pods verified"),
}


def twins():
    return "".join(BLOCK % (name + "twin", OPTIONS[name][2], OPTIONS[name][0], f"{KUBECONFIG}\n {options}") for name, (_, options) in TWINS.items())
