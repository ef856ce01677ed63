/* The Corefile of a kube-dns: what kubeadm gives to CoreDNS, with its stub domains and upstreams.
 */
#include "backends/kubernetes/kube_dns.h"

static void put_forward(const struct wp_kube_dns_servers *s, FILE *out)
{
    fputs("    forward .", out);
    for (unsigned i = 0; i < s->n; i++)
        fprintf(out, " %s", s->at[i]);
    fputs(s->n == 0 ? " /etc/resolv.conf\n" : "\n", out);
}

static void put_head(const struct wp_kube_dns *k, FILE *out)
{
    fputs("# Made from the ConfigMap of kube-dns by `waypost import kube-dns`.\n"
          "# Endpoints of headless services have names made from their addresses "
          "(10-1-2-3.SVC.NS.svc), no\n"
          "# longer the hashes that kube-dns made; what does not exist is cached as well, for 30 "
          "seconds at most.\n",
          out);
    if (k->n_federations > 0)
        fprintf(out,
                "# NOT CARRIED OVER: federations. Kubernetes gave them up, and names like\n"
                "# SVC.NS.%s.svc.%s are no longer answered. They were:\n",
                k->federations[0].name, k->cluster);
    for (unsigned i = 0; i < k->n_federations; i++)
        fprintf(out, "#     %s=%s\n", k->federations[i].name, k->federations[i].domain);
    if (k->n_unknown > 0)
        fputs("# NOT CARRIED OVER: keys that kube-dns does not have:\n", out);
    for (unsigned i = 0; i < k->n_unknown; i++)
        fprintf(out, "#     %s\n", k->unknown[i]);
}

static void put_stub(const struct wp_kube_dns_stub *s, FILE *out)
{
    fprintf(out, "%s:53 {\n    errors\n    cache 30\n    loop\n", s->domain);
    put_forward(&s->servers, out);
    fputs("}\n", out);
}

void wp_kube_dns_corefile(const struct wp_kube_dns *k, FILE *out)
{
    put_head(k, out);
    fprintf(out,
            ".:53 {\n"
            "    errors\n"
            "    health {\n"
            "        lameduck 5s\n"
            "    }\n"
            "    ready\n"
            "    kubernetes %s in-addr.arpa ip6.arpa {\n"
            "        pods insecure\n"
            "        fallthrough in-addr.arpa ip6.arpa\n"
            "        ttl 30\n"
            "    }\n"
            "    prometheus :9153\n",
            k->cluster);
    put_forward(&k->upstreams, out);
    fputs("    cache 30\n    loop\n    reload\n    loadbalance\n}\n", out);
    for (unsigned i = 0; i < k->n_stubs; i++)
        put_stub(&k->stubs[i], out);
}
