"""What can befall a request to the API server of kube_api.py: each makes a `what` for KubeApi.fault()."""
import json

import http_faults
from http_faults import body, close, delay, drip, garbage, hang, html, redirect, silent, torn, typed, whole  # noqa: F401
from kube_encode import status as status_object


def status(code, reason="InternalError", message="on demand", retry_after=None):
    async def what(a, asked, serve):
        octets = json.dumps(status_object(code, reason, message)).encode()
        await whole(a, code, octets, "application/json", [("retry-after", str(retry_after))] if retry_after is not None else [])
    return what


def endless(octets=b"x" * 65536, head=b'{"type":"ADDED","object":{"metadata":{"name":"'):
    """One line without end."""
    return http_faults.endless(octets, head)
