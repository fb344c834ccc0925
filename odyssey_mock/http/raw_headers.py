"""`header`, which finds a header in those of an ASGI scope or message.

Each request looks for several headers. Starlette's `Headers` would encode the name and decode the value at every look.
"""

from collections.abc import Iterable


def header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str | None:
    """Return the value of the first header with this name, which is in lower case; None if there is none."""
    for each, value in headers:
        if each == name:
            return value.decode("latin-1")
    return None
