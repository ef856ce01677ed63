"""kubernetes: answers of the API server that are none. What was known stays, the other collections go on, an error names
the resource, memory is bounded, and all is well again when it is over."""
import re
from concurrent.futures import ThreadPoolExecutor

import kube
import pytest
from kube import ask, faults
from server import wait_for

DOMAIN = "svc.cluster.local"
NONSENSE = {  # what services are answered, and what is told of it
    "HTML": (faults.html(), r'content type "text/html"'),
    "redirect": (faults.redirect("http://127.0.0.1:1/"), "302: redirects are not followed"),
    "wrong content type": (faults.typed("text/plain"), 'content type "text/plain"'),
    "no content type": (faults.typed(""), r'content type " ?"'),
    "garbage": (faults.garbage(1 << 20), "what came is no (list|watch)"),
    "array": (faults.body(b"[1,2,3]"), "what came is no (list|watch)"),
    "brackets": (faults.body(b"{" * 100000), "without the end of an object|what came is no (list|watch)"),
    "torn in an object": (faults.torn(20000), "body ends|Failed to watch"),
    "torn early": (faults.torn(7), "body ends|Failed to watch"),
    "closed at once": (faults.close(), "Failed to watch"),
    "endless line": (faults.endless(), "without the end of an object"),
    "500 in HTML": (faults.body(b"<html>" + b"x" * 100000, "text/html", 500), "HTTP status 500"),
    "status of success": (faults.body(b'{"kind":"Status","apiVersion":"v1","status":"Success","code":200}'), "Failed to watch"),
}
WHERE = ("at the start", "later")
RSS_MB = 150  # of the endless ones, in any build


def rss_mb(w):
    with open(f"/proc/{w.pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmHWM:\s+(\d+) kB", f.read())[1]) / 1024


def told(w, pattern):
    return next((line for line in w.output().splitlines() if "[ERROR]" in line and "*v1.Service" in line and re.search(pattern, line)), None)


def scenario(what, where):
    fault, pattern = NONSENSE[what]
    with kube.cluster() as api:
        if where == "at the start":
            api.fault("services", fault, times=None)
        with kube.gateway(api, "pods insecure\nstartup_timeout 200ms") as w:
            if where == "later":
                wait_for(lambda: kube.answers(w, f"db.shop.{DOMAIN}") == ["10.244.4.1", "10.244.4.2", "10.244.4.3"])
                api.fault("services", fault, times=None)
                api.error(410, "Expired", "too old resource version", "services")
            wait_for(lambda: told(w, pattern), 60)
            # the other collections: a namespace and a pod's name
            api.put(kube.namespace("fresh"))
            wait_for(lambda: ask(w, "fresh.pod.cluster.local").rcode() == 0)
            if where == "later":  # what was known
                assert kube.answers(w, f"web.shop.{DOMAIN}") == ["10.96.1.10"]
                assert kube.answers(w, f"db-0.db.shop.{DOMAIN}") == ["10.244.4.1"]
                assert ask(w, f"nope.shop.{DOMAIN}").rcode() == 3
            else:
                assert ask(w, f"nope.shop.{DOMAIN}").rcode() == 2  # not synced: nobody knows
            memory = rss_mb(w)
            api.heal()
            api.put(kube.service("shop", "healed", ("10.96.9.4",)))
            wait_for(lambda: kube.answers(w, f"healed.shop.{DOMAIN}") == ["10.96.9.4"], 60)
            wait_for(lambda: kube.answers(w, f"web.shop.{DOMAIN}") == ["10.96.1.10"])  # behind it in the same list
            assert memory < RSS_MB, memory


@pytest.fixture(scope="module")
def results():
    """All beside each other: most of the time is waiting for the next attempt."""
    with ThreadPoolExecutor(8) as pool:
        yield {(what, where): pool.submit(scenario, what, where) for where in WHERE for what in NONSENSE}


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("what", NONSENSE)
def test_nonsense(results, what, where):
    results[what, where].result()
