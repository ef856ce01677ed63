"""What can befall a request to the agents of nomad.py: each makes a `what` for Agent.fault()."""
import http_faults
from http_faults import body, close, delay, drip, endless, garbage, hang, headers, html, redirect, silent, torn, typed  # noqa: F401

TEXT = "text/plain; charset=utf-8"
TOO_MANY = "Your IP is issuing too many concurrent connections, please rate limit your calls\n"


def status(code, text="rpc error: on demand"):
    return body(text.encode(), TEXT, code)


def denied():
    return status(403, "Permission denied")


def no_leader():
    return status(500, "No cluster leader")


def too_many():
    """429 before the request is read, and the end of the connection."""
    async def what(a, asked, serve):
        octets = TOO_MANY.encode()
        await a.head(429, [("content-type", "text/plain"), ("connection", "close")], len(octets))
        await a.data(octets)
        a.w.close()
    return what


def json(octets, index=12):
    """These octets with the headers of a good answer."""
    octets = octets if isinstance(octets, bytes) else octets.encode()
    return body(octets, headers=[("X-Nomad-Index", str(index)), ("X-Nomad-Knownleader", "true"), ("X-Nomad-Lastcontact", "0")])


def null(index=12):
    return json(b"null", index)


def index(value):
    """The right answer with another index; None: without one."""
    return http_faults.headers(x_nomad_index=None if value is None else str(value))
