"""Connections of asyncio that end at once."""
import contextlib


def abort(transport):
    """Without what is still to be sent. One of TLS that has gone by itself has nothing below it any more, which Python 3.11 takes
    for an error."""
    with contextlib.suppress(AttributeError):
        transport.abort()
