"""`Requests`: the requests that the mock received on one route, for plain `assert` statements.

::

    assert len(mock.requests("POST /sessions/token")) == 2
    assert [each.status for each in mock.requests("POST /sessions/request")] == [503, 200]
    assert mock.requests("POST /auth/token")[0].request == {"api_key": "***"}

The representation of the list is short, because pytest shows it when an `assert` fails.
"""

import difflib
import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Self

from odyssey_mock.assertions.failures import ReadableJournal, differences, shown
from odyssey_mock.core.journal import PLACES, Entry
from odyssey_mock.core.strict_json import JSON

SHOWN_REQUESTS = 5
"""Maximum number of requests in the representation of `Requests`; the others are only counted."""


class Request(Entry):
    """A request and its response: a journal entry of the kind `rest`, with properties for its data."""

    __slots__ = ()

    @classmethod
    def of(cls, entry: Entry) -> Self:
        """Create a request from its journal entry."""
        return cls(
            entry.index, entry.time, entry.kind, entry.name, entry.account, entry.session, entry.stream, entry.encoded
        )

    @property
    def status(self) -> int | None:
        """The status of the response; None if there was no response."""
        status: int | None = self.data["status"]
        return status

    @property
    def path(self) -> str:
        """The path of the request; secrets in it are masked."""
        path: str = self.data["path"]
        return path

    @property
    def query(self) -> Mapping[str, Any]:  # Any: as for `Entry.data`
        """The query parameters by name; the value is a list if a name occurs more than once."""
        query: Mapping[str, Any] = self.data["query"]
        return query

    @property
    def request(self) -> Any:  # Any: as for `Entry.data`
        """The JSON body of the request; None if it had none. Secrets are masked."""
        return self.data["request"]

    @property
    def response(self) -> Any:  # Any: as for `Entry.data`
        """The JSON body of the response; None if it had none. Secrets are masked."""
        return self.data["response"]

    def __repr__(self) -> str:
        return f"<Request #{self.index} {self.name}: {self._answer}>"

    @property
    def _answer(self) -> str:
        return "no response" if self.status is None else str(self.status)


class Requests(list[Request]):
    """The result of `mock.requests`: the matching requests on one route, oldest first.

    Its `repr` also shows the most similar request on the route that does not match, if there is one.
    """

    def __init__(self, matching: Iterable[Request], wanted: str, nearest: str) -> None:
        super().__init__(matching)
        self._wanted = wanted
        self._nearest = nearest

    def __repr__(self) -> str:
        listed = [f"#{each.index} {each._answer}" for each in self[:SHOWN_REQUESTS]]  # noqa: SLF001 - of this module
        if len(self) > SHOWN_REQUESTS:
            listed.append(f"and {len(self) - SHOWN_REQUESTS} more")
        many = "1 request" if len(self) == 1 else f"{len(self)} requests"
        told = f": {', '.join(listed)}" if listed else ""
        return f"<{many} {self._wanted}{told}{self._nearest}>"


def requests(
    journal: ReadableJournal, route: str, routes: Collection[str], *, since: int, where: Mapping[str, JSON]
) -> Requests:
    """Return the requests on a route that have the given values.

    Args:
        journal: the journal of the mock.
        route: a method with a route (`GET /recordings/{stream_id}`) or with a path (`GET /recordings/abc`).
        routes: all routes of the mock, each with its method.
        since: journal entries before this index are ignored.
        where: values that the journal entry of a request must have, as in `Entry.matches`.

    Raises:
        ValueError: the mock has no such route, and received no request with this method and path.
    """
    __tracebackhide__ = True
    path = json.dumps(route.partition(" ")[2], ensure_ascii=False)
    on_route = [
        Request.of(entry)
        for entry in journal.since(since)
        # The data is decoded only if it contains the path, because that takes a hundred times as long.
        if entry.kind == "rest" and (entry.name == route or (path in entry.encoded and _target(entry) == route))
    ]
    if not on_route and not any(_leads_to(route, each) for each in routes):
        raise ValueError(_unknown(route, routes))
    matching = [each for each in on_route if not each.differences(where)]
    conditions = f" with {', '.join(f'{key}={shown(value)}' for key, value in where.items())}" if where else ""
    others = [each for each in on_route if each.differences(where)]
    return Requests(matching, f"{route}{conditions}", _nearest(others, where))


def _target(entry: Entry) -> str:
    """Return the method and the path of a request."""
    data = entry.data
    return f"{data['method']} {data['path']}"


def _nearest(others: Iterable[Request], where: Mapping[str, JSON]) -> str:
    near = min(others, key=lambda each: (len(each.differences(where)), -each.index), default=None)
    if near is None:
        return ""
    found = differences(where, near.data | {key: getattr(near, key) for key in PLACES})
    return f"; the most similar other request is #{near.index}: {'; '.join(map(str, found))}"


def _leads_to(route: str, template: str) -> bool:
    """Return whether a method and path match `template`, a method and route with parameters such as `{stream_id}`."""
    parts, expected = route.split("/"), template.split("/")
    return len(parts) == len(expected) and all(
        each == part or each.startswith("{") for part, each in zip(parts, expected, strict=True)
    )


def _unknown(route: str, routes: Collection[str]) -> str:
    near = difflib.get_close_matches(route, routes, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"the routes are {', '.join(sorted(routes))}"
    return f"expected the method and route of a request, got {route!r}, which the mock does not have; {hint}"
