"""Recognition of requests that arrive after the end of the mock for which they are meant.

Several mocks use one address, one after the other. A client of an ended mock may still send requests, such as a retry
in a thread. Such requests contain a key, a token or an id that the ended mock has issued.
"""

import base64
import json
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence

from starlette.datastructures import QueryParams
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from odyssey_mock.core.entropy import Entropy
from odyssey_mock.core.strict_json import read_json
from odyssey_mock.http.raw_headers import header

REMEMBERED = 20_000
"""Maximum number of issued ids, tokens and keys that are remembered. A live session needs about ten of them."""
BODY_LIMIT = 64 * 1024
"""Maximum size in bytes of a body that is searched for an API key."""

SHOWN_PARTS = 2
"""Number of path segments in the description of a request. Later segments may be secrets."""

_PREFIXES = ("ody_", "streamer-")
"""Prefixes that a mock puts before a random value to make an API key or the id of a streamer."""


class IssuedValues:
    """Record of the ids, tokens and keys that mocks have issued. The owner of a value identifies the issuing mock."""

    def __init__(self) -> None:
        self._owners: OrderedDict[str, object] = OrderedDict()
        """A `dict` would need more time for each value that it forgets, the more it has forgotten."""

    def note(self, value: str, owner: object) -> None:
        """Record `owner` as the owner of `value`, in place of an earlier owner."""
        self._owners.pop(value, None)
        self._owners[value] = owner
        while len(self._owners) > REMEMBERED:
            self._owners.popitem(last=False)

    def owner_of(self, value: str) -> object | None:
        """Return the owner of `value`; None if no mock has issued it, or if it is no longer remembered."""
        return self._owners.get(value)


class NotingEntropy:
    """A source of entropy that records every UUID and token that it returns in `IssuedValues`."""

    def __init__(self, source: Entropy, issued: IssuedValues, owner: object) -> None:
        self._source = source
        self._issued = issued
        self._owner = owner

    def uuid(self) -> str:
        """Return a random UUID."""
        value = self._source.uuid()
        self._issued.note(value, self._owner)
        # The ids of streamers contain the first eight characters.
        self._issued.note(value[:8], self._owner)
        return value

    def token(self, nbytes: int) -> str:
        """Return a random token of `nbytes` bytes."""
        value = self._source.token(nbytes)
        self._issued.note(value, self._owner)
        return value

    def number(self, bits: int) -> int:
        """Return a random number of `bits` bits."""
        return self._source.number(bits)


class LateRequests:
    """ASGI middleware that answers requests for an ended mock with status 401, and passes on all other requests."""

    def __init__(self, app: ASGIApp, issued: IssuedValues, on_late: Callable[[object, str], None]) -> None:
        """Wrap `app`.

        Args:
            app: the application to which all other requests are passed.
            issued: the values that identify the mock of a request.
            on_late: called for each rejected request, with the owner of its values and a description of the request.
        """
        self._app = app
        self._issued = issued
        self._on_late = on_late
        self.current: object | None = None
        """The owner of the running mock; None if no mock is running."""
        self._running: dict[object, str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        owner = self._owner(values_of(scope))
        if owner is None and _is_login(scope):
            receive, body = await _read_ahead(receive)
            owner = self._owner(values_in(body))
        if owner is None or owner is self.current:
            await self._pass_on(scope, receive, send)
            return
        self._on_late(owner, _described(scope))
        await _reject(scope, receive, send)

    @property
    def running(self) -> Sequence[str]:
        """Descriptions of the HTTP requests whose responses have not ended."""
        return tuple(self._running.values())

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        number = object()
        self._running[number] = _described(scope)
        try:
            await self._app(scope, receive, send)
        finally:
            del self._running[number]

    def _owner(self, values: Iterator[str]) -> object | None:
        """Return `current` if it is the owner of one of `values`, otherwise the owner of the first known value."""
        owners = [owner for value in values if (owner := self._issued.owner_of(value)) is not None]
        return self.current if self.current in owners else next(iter(owners), None)


def _is_login(scope: Scope) -> bool:
    """Return whether the body of a request contains an API key. The path may begin with the prefix of a proxy."""
    is_post = scope["type"] == "http" and scope["method"] == "POST"
    return is_post and bool(scope["path"].endswith("/auth/token"))


def values_of(scope: Scope) -> Iterator[str]:
    """Yield the strings in a request's headers, query and path that may be a key, a token or an id of a mock."""
    authorization = header(scope["headers"], b"authorization") or ""
    yield from _readings(authorization.partition(" ")[2].strip())
    for value in QueryParams(scope["query_string"]).values() if scope["query_string"] else ():
        yield from _readings(value)
    for part in scope["path"].split("/"):
        yield from _readings(part)


def values_in(body: bytes) -> Iterator[str]:
    """Yield the strings in a JSON object that may be a key, a token or an id of a mock; none if `body` is not JSON."""
    try:
        fields = read_json(body)
    except (ValueError, RecursionError):
        return
    for value in fields.values() if isinstance(fields, dict) else ():
        if isinstance(value, str):
            yield from _readings(value)


def _readings(value: str) -> Iterator[str]:
    """Yield `value` and the issued value that it contains: the token in an API key, the id in a streamer id or JWT."""
    if not value:
        return
    yield value
    for prefix in _PREFIXES:
        if value.startswith(prefix):
            yield value.removeprefix(prefix)
    if value.count(".") == 2:
        payload = value.split(".")[1]
        try:
            claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        except (ValueError, RecursionError):
            return
        if isinstance(claims, dict) and isinstance(claims.get("session_id"), str):
            yield claims["session_id"]


def _described(scope: Scope) -> str:
    """Return a description of a request without secrets: the method and the beginning of the path."""
    parts = scope["path"].split("/")
    shown = "/".join(parts[: SHOWN_PARTS + 1])
    return f"{scope.get('method', 'WebSocket')} {shown}{'/...' if len(parts) > SHOWN_PARTS + 1 else ''}"


async def _read_ahead(receive: Receive) -> tuple[Receive, bytes]:
    """Read the beginning of a request's body. Return it, after a `receive` function that delivers the whole body."""
    messages: list[Message] = []
    body = bytearray()
    while len(body) <= BODY_LIMIT:
        message = await receive()
        messages.append(message)
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break

    async def again() -> Message:
        return messages.pop(0) if messages else await receive()

    return again, bytes(body)


async def _reject(scope: Scope, receive: Receive, send: Send) -> None:
    """Reject a request with status 401, or a WebSocket with close code 1008. Clients do not retry after either."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": "the mock of this session has ended"})
        return
    detail = (
        "this request has a key, a token or an id of a mock that has ended, for example of an earlier test; "
        "give a client that outlives a test a key of its own, such as ody_my_app"
    )
    body = json.dumps({"detail": detail}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 401, "headers": headers})
    await send({"type": "http.response.body", "body": body})
