"""Request targets (RFC 9112 section 3.2): the absolute form, which clients send to proxies, becomes the origin form."""

import re

import h11

_ABSOLUTE = re.compile(rb"(?:https?|wss?)://(?:[^/?#@]*@)?(?P<authority>[^/?#@]*)(?P<rest>.*)", re.IGNORECASE)


class TargetingConnection(h11.Connection):
    """An HTTP/1.1 connection whose requests all have a target in origin form, or `*`."""

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """Return the next event, as `h11.Connection` does.

        Raises:
            h11.RemoteProtocolError: the request is invalid.
        """
        event = super().next_event()
        return in_origin_form(event) if isinstance(event, h11.Request) else event


def in_origin_form(request: h11.Request) -> h11.Request:
    """Return `request` with a target in origin form, and with the host of an absolute target as its `Host` header.

    A server must accept absolute targets, and prefer their host to the `Host` header (RFC 9112 section 3.2.2).

    Raises:
        h11.RemoteProtocolError: an absolute target has no host.
    """
    found = _ABSOLUTE.fullmatch(request.target)
    if found is None:
        return request
    if not found["authority"]:
        raise h11.RemoteProtocolError("expected a host in the absolute request target, got none")
    path: bytes = found["rest"]
    if not path and request.method == b"OPTIONS":
        path = b"*"  # RFC 9112 section 3.2.4
    elif not path.startswith(b"/"):
        path = b"/" + path
    others = [(name, value) for name, value in request.headers if name != b"host"]
    return h11.Request(
        method=request.method,
        target=path,
        headers=[(b"host", found["authority"]), *others],
        http_version=request.http_version,
    )
