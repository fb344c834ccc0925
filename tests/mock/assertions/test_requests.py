"""Tests of `mock.requests(route)`, the list of recorded requests, and of its `repr` in failed asserts."""

import pytest

from odyssey_mock import MockOdyssey
from odyssey_mock.assertions.requests import Requests, requests
from odyssey_mock.core.journal import Journal
from odyssey_mock.core.strict_json import JSON
from tests.support.raw import RawApi
from tests.support.work_counts import instructions_of

ROUTES = ["POST /sessions/token", "POST /sessions/request", "GET /recordings/{stream_id}"]


@pytest.fixture
def journal() -> Journal:
    journal = Journal(lambda: 0.0, limit=100)
    for status in (401, 200, None):
        details: dict[str, JSON] = {"method": "POST", "path": "/sessions/token", "query": {}, "status": status}
        journal.record("rest", "POST /sessions/token", details, request={"session_id": "s1"}, response=None)
    for stream_id in ("st_1", "st_2"):
        path = f"/recordings/{stream_id}"
        details = {"method": "GET", "path": path, "query": {"a": "1"}, "request": None, "response": {"x": 1}}
        journal.record("rest", "GET /recordings/{stream_id}", details, status=200, stream=stream_id)
    journal.record("rest", "GET /nowhere", method="GET", path="/nowhere", status=404)
    journal.record("note", "POST /sessions/token")
    return journal


def on(journal: Journal, route: str, *, since: int = 0, **where: JSON) -> Requests:
    return requests(journal, route, ROUTES, since=since, where=where)


def test_requests_of_a_route_have_typed_data(journal: Journal) -> None:
    found = on(journal, "POST /sessions/token")
    assert [each.status for each in found] == [401, 200, None]
    assert [each.index for each in found] == [0, 1, 2]
    assert found[0].request == {"session_id": "s1"}
    recording = on(journal, "GET /recordings/{stream_id}")[-1]
    assert (recording.path, recording.query, recording.response) == ("/recordings/st_2", {"a": "1"}, {"x": 1})
    assert recording.data == journal.entries[4].data


def test_requests_are_selected_by_values(journal: Journal) -> None:
    assert len(on(journal, "POST /sessions/token", status=200)) == 1
    assert len(on(journal, "POST /sessions/token", since=1)) == 2
    assert [each.stream for each in on(journal, "GET /recordings/st_2")] == ["st_2"]
    assert on(journal, "GET /recordings/{stream_id}", stream="st_9") == []
    assert on(journal, "POST /sessions/request") == []


def test_representation_lists_the_responses(journal: Journal) -> None:
    assert repr(on(journal, "POST /sessions/token")) == (
        "<3 requests POST /sessions/token: #0 401, #1 200, #2 no response>"
    )
    assert repr(on(journal, "POST /sessions/request")) == "<0 requests POST /sessions/request>"
    assert repr(on(journal, "GET /recordings/st_1")[0]) == "<Request #3 GET /recordings/{stream_id}: 200>"
    for _ in range(4):
        journal.record("rest", "POST /sessions/token", method="POST", path="/sessions/token", status=200)
    assert repr(on(journal, "POST /sessions/token")).endswith("#7 200, #8 200, and 2 more>")


def test_representation_shows_the_nearest_other_request(journal: Journal) -> None:
    assert repr(on(journal, "POST /sessions/token", status=404)) == (
        "<0 requests POST /sessions/token with status=404; the most similar other request is #2: "
        "status: expected 404, got None>"
    )
    assert repr(on(journal, "GET /recordings/{stream_id}", stream="st_2", path="/recordings/st_1")).endswith(
        "the most similar other request is #4: path: expected '/recordings/st_1', got '/recordings/st_2'>"
    )


@pytest.mark.parametrize(
    ("route", "hint"),
    [
        ("POST /session/token", "did you mean 'POST /sessions/token'?"),
        ("/sessions/token", "did you mean 'POST /sessions/token'?"),
        ("GET /recordings", "did you mean 'GET /recordings/{stream_id}'?"),
        ("x", "the routes are GET /recordings/{stream_id}, POST /sessions/request, POST /sessions/token"),
    ],
)
def test_unknown_route_names_the_nearest(journal: Journal, route: str, hint: str) -> None:
    with pytest.raises(ValueError, match="which the mock does not have") as error:
        on(journal, route)
    assert str(error.value).startswith(f"expected the method and route of a request, got {route!r}, ")
    assert str(error.value).endswith(f"; {hint}")


def test_received_request_needs_no_known_route(journal: Journal) -> None:
    assert [each.status for each in on(journal, "GET /nowhere")] == [404]


async def test_routes_are_those_of_the_mock(odyssey_mock: MockOdyssey) -> None:
    async with RawApi(odyssey_mock) as api:
        await api.request_session()
    assert len(odyssey_mock.requests("POST /sessions/request", status=200)) == 1
    assert odyssey_mock.requests("DELETE /simulation-jobs/job_1") == []
    assert odyssey_mock.requests("HEAD /regions") == []
    assert odyssey_mock.requests("GET /broadcast/{stream_id}/hls/{file}") == []
    with pytest.raises(ValueError, match=r"did you mean 'POST /sessions/token'\?$"):
        odyssey_mock.requests("POST /session/token")
    with pytest.raises(ValueError, match=r"got 'GET /_mock/state', which the mock does not have"):
        odyssey_mock.requests("GET /_mock/state")


def test_data_of_other_routes_is_not_decoded() -> None:
    few, many = Journal(lambda: 0.0, limit=10_000), Journal(lambda: 0.0, limit=10_000)
    for written, others in ((few, 1), (many, 300)):
        for _ in range(others):
            written.record("rest", "POST /auth/token", method="POST", path="/auth/token", status=200)
        written.record("rest", "GET /recordings/{stream_id}", method="GET", path="/recordings/abc", status=200)

    def found(written: Journal) -> int:
        return len(requests(written, "GET /recordings/abc", [], since=0, where={}))

    assert (found(few), found(many)) == (1, 1)
    added = instructions_of(lambda: found(many)) - instructions_of(lambda: found(few))
    assert added / 299 < 100, "decoding takes about 250 instructions"
