"""Recognition of requests that arrive after the end of the mock for which they are meant.

Several mocks use one address, one after the other. A client of an ended mock may still send requests, such as a retry
in a thread. They contain a key, a token or an id that the ended mock has issued.
"""

import base64
import json
from collections.abc import Callable, Iterator, Sequence

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from odyssey_mock.core.entropy import Entropy
from odyssey_mock.core.strict_json import read_json

REMEMBERED = 20_000
"""How many issued values are remembered. A mock issues about ten values for each live session."""
BODY_LIMIT = 64 * 1024
"""Maximum size in bytes of a body that is searched for an API key."""

SHOWN_PARTS = 2
"""How many parts of a path are shown. Later ones may be secrets."""

_PREFIXES = ("ody_", "streamer-")
"""Prefixes of keys and ids; the rest of the value comes from the entropy."""


class IssuedValues:
    """The values that mocks have issued: ids, tokens and keys, and the name of the mock that issued each."""

    def __init__(self) -> None:
        self._owners: dict[str, object] = {}

    def note(self, value: str, owner: object) -> None:
        """Record `owner` as the issuer of `value`, in place of any earlier one."""
        self._owners.pop(value, None)
        self._owners[value] = owner
        while len(self._owners) > REMEMBERED:
            del self._owners[next(iter(self._owners))]

    def owner_of(self, value: str) -> object | None:
        """Return who issued `value`, if it was issued."""
        return self._owners.get(value)


class NotingEntropy:
    """An entropy that notes every value that it returns in `IssuedValues`."""

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
        """Return a random number."""
        return self._source.number(bits)


class LateRequests:
    """An ASGI application that rejects late requests with status 401, and passes all others on."""

    def __init__(self, app: ASGIApp, issued: IssuedValues, on_late: Callable[[object, str], None]) -> None:
        """Create the application; `on_late(owner, request)` is called for each late request."""
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
        if owner is None and scope["type"] == "http" and (scope["method"], scope["path"]) == ("POST", "/auth/token"):
            receive, body = await _read_ahead(receive)
            owner = self._owner(values_in(body))
        if owner is None or owner is self.current:
            await self._pass_on(scope, receive, send)
            return
        self._on_late(owner, _described(scope))
        await _reject(scope, receive, send)

    @property
    def running(self) -> Sequence[str]:
        """The HTTP requests that wait for the end of their response."""
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
        """Return the owner of the first value with an owner; the owner of the running mock takes precedence."""
        owners = [owner for value in values if (owner := self._issued.owner_of(value)) is not None]
        return self.current if self.current in owners else next(iter(owners), None)


def values_of(scope: Scope) -> Iterator[str]:
    """Yield the parts of a request that may be a key, a token or an id of a mock."""
    connection = HTTPConnection(scope)
    yield from _readings(connection.headers.get("authorization", "").partition(" ")[2].strip())
    for value in connection.query_params.values():
        yield from _readings(value)
    for part in scope["path"].split("/"):
        yield from _readings(part)


def values_in(body: bytes) -> Iterator[str]:
    """Yield the strings of a JSON object that may be a key, a token or an id of a mock."""
    try:
        fields = read_json(body)
    except (ValueError, RecursionError):
        return
    for value in fields.values() if isinstance(fields, dict) else ():
        if isinstance(value, str):
            yield from _readings(value)


def _readings(value: str) -> Iterator[str]:
    """Yield `value`, and the value that it was made from: a token in a key, an id in a streamer's id or in a JWT."""
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
    """Return the method and the beginning of the path."""
    parts = scope["path"].split("/")
    shown = "/".join(parts[: SHOWN_PARTS + 1])
    return f"{scope.get('method', 'WebSocket')} {shown}{'/...' if len(parts) > SHOWN_PARTS + 1 else ''}"


async def _read_ahead(receive: Receive) -> tuple[Receive, bytes]:
    """Return the beginning of a request's body, and a `receive` that returns the whole body again."""
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
    """Reject a request: no client retries after a 401 or a close with code 1008."""
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
