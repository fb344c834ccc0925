"""`RecordedExchange`, which records a request and its response as a `rest` entry of the journal."""

from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from http.client import responses

from starlette.datastructures import QueryParams
from starlette.types import Scope

from odyssey_mock.core.excerpts import excerpt
from odyssey_mock.core.journal import LATER_LIMIT, PLACES, Journal
from odyssey_mock.core.redaction import REDACTED
from odyssey_mock.core.strict_json import JSON, read_json
from odyssey_mock.http.fault_points import ServiceRoute
from odyssey_mock.http.public_urls import service_path
from odyssey_mock.http.request_body import known_body_of

QUERY_SHOWN = 100
"""Maximum number of query parameters that the journal shows."""

SECRET_PARTS = frozenset({"resource"})
"""Path parameters that grant access to the resource they name, and are therefore masked in the journal."""

_PERCENT, _BACKSLASH = b"%\\"
"""The bytes with which escapes begin, as numbers: a `bytearray` finds a number several times as fast as `bytes`."""


class RecordedExchange:
    """One request and its response, as far as they were received and sent."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._recorded = False
        self.response = bytearray()
        self.status: int | None = None
        self.is_json = False

    def record(self, journal: Journal) -> None:
        """Record request and response in the journal, once. The status is null if there was no response."""
        if self._recorded:
            return
        self._recorded = True
        route = self._scope.get("route")
        template = route.template if isinstance(route, ServiceRoute) else service_path(self._scope)
        method = self._scope["method"]
        name, path, query = f"{method} {template}", _path(self._scope), self._scope["query_string"]
        body = known_body_of(self._scope)
        # Routes set these values: `request.state.account = ...`
        known = self._scope.get("state", {})
        why = known.get("why")
        places = {place: known.get(place) for place in PLACES}
        described = partial(
            _described,
            method=method,
            route=template,
            path=path,
            query=query,
            status=self.status,
            response=bytes(self.response),
            fault=known.get("fault"),
            why=why,
        )
        received = b"" if body is None else body.received
        size = len(path) + len(query) + len(why or "") + len(self.response) + len(received)
        # An unknown method is a text of the client, which must be masked and cut.
        is_known = isinstance(route, ServiceRoute) and method in (route.methods or ())
        if is_known and size <= LATER_LIMIT and _is_plain(path, query, received, self.response):
            later = None if body is None else body.shown_later()
            journal.record_later("rest", name, partial(described, later), size, **places)
        else:
            journal.record("rest", name, described(None if body is None else body.shown), **places)


def _is_plain(path: str, query: bytes, received: bytearray | bytes, response: bytearray) -> bool:
    """Return whether the text of a request needs about as much memory as it has bytes.

    Other text can need a multiple of that. Python needs four bytes for each character of a text that has an emoji, also
    if the emoji is escaped. JSON needs six for each control character of the path.
    """
    return (
        (path.isascii() and path.isprintable() and _PERCENT not in query)
        and (received.isascii() and _BACKSLASH not in received)
        and (response.isascii() and _BACKSLASH not in response)
    )


def _described(
    request: Callable[[], JSON] | None,
    *,
    method: str,
    route: str,
    path: str,
    query: bytes,
    status: int | None,
    response: bytes,
    fault: str | None,
    why: str | None,
) -> Mapping[str, JSON]:
    """Return the data of the journal entry of a request; `request` returns the JSON of its body."""
    data: dict[str, JSON] = {
        "method": method,
        "route": route,
        "path": path,
        "query": _query(query),
        "request": None if request is None else request(),
        "status": status,
        "response": _read_json(response),
    }
    # The name of the fault explains an unusual response.
    if fault is not None:
        data["fault"] = fault
    cause = _cause_of(status) if why is None else why
    if cause is not None:
        data["why"] = cause
    return data


def _cause_of(status: int | None) -> str | None:
    """Return the cause of a response for which no route has noted a cause; None for a successful response."""
    if status is None:
        return "the connection was closed before the response was sent"
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return "a bug in the mock; an earlier entry with the name `defect` has the exception"
    return responses.get(status, f"status {status}") if status >= HTTPStatus.BAD_REQUEST else None


def _path(scope: Scope) -> str:
    """Return the path of a request, with its parameters in `SECRET_PARTS` masked."""
    path = service_path(scope)
    secrets = (value for name, value in scope.get("path_params", {}).items() if name in SECRET_PARTS)
    for secret in secrets:
        path = path.replace(secret, REDACTED)
    return path


def _query(query: bytes) -> JSON:
    """Return the query parameters by name; the value is a list if a name occurs more than once."""
    if not query:
        return {}
    pairs = QueryParams(query).multi_items()
    if len(pairs) > QUERY_SHOWN:
        return {"omitted": f"{len(pairs)} parameters"}
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return {name: each[0] if len(each) == 1 else each for name, each in values.items()}


def _read_json(body: bytes) -> JSON:
    if not body:
        return None
    try:
        return excerpt(body, read_json(body))
    except ValueError:
        return None
