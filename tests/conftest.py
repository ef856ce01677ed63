"""Row ids: a test whose parameter id begins with a row's id ("U09", "000-12") is that row's proof. Results go
to the file named by WAYPOST_ROWS: id, test, result."""
import os
import re
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import server  # noqa: E402

ROW = re.compile(r"\[(?:.*?[-_])??((?:[A-Z]{1,2}\d{2,3}[a-z]?)|(?:\d{3}-\d{1,3})|(?:X\d))(?=[\]_\- ])")


@pytest.fixture(scope="module", params=["openssl", "wolfssl"])
def provider(request):
    """The TLS library of every waypost that the test or its fixtures start. A library that is not here is a failure."""
    return request.param


@pytest.hookimpl(tryfirst=True)  # before any fixture
def pytest_runtest_setup(item):
    params = item.callspec.params if hasattr(item, "callspec") else {}
    server.Waypost.tls_provider = params.get("provider")


def pytest_configure(config):
    config.addinivalue_line("markers", "timing: measures time; not run on slow builds")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    path = os.environ.get("WAYPOST_ROWS")
    if not path or (report.when != "call" and report.outcome == "passed"):
        return
    m = ROW.search(item.nodeid)
    if m:
        with open(path, "a") as f:
            f.write(f"{m.group(1)}\t{item.nodeid}\t{report.outcome}\n")
