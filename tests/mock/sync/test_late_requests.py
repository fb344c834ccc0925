"""Tests of `LateRequests`, which recognizes requests that were meant for a mock that has ended."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import jwt
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from odyssey_mock.core.entropy import SystemEntropy
from odyssey_mock.sync.late_requests import REMEMBERED, IssuedValues, LateRequests, NotingEntropy

PLACES: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "authorization": lambda value: {"headers": {"Authorization": f"Bearer {value}"}},
    "query": lambda value: {"params": {"format": "json", "token": value}},
    "path": lambda value: {"path": f"/recordings/{value}/video.mp4"},
    "streamer": lambda value: {"path": f"/signaling/streamer-{value}/config"},
    "session token": lambda value: {"params": {"token": jwt.encode({"session_id": value}, "secret" * 8)}},
    "api key": lambda value: {"path": "/auth/token", "method": "POST", "json": {"api_key": f"ody_{value}"}},
    "prefix": lambda value: {"path": "/mock/auth/token", "method": "POST", "json": {"api_key": f"ody_{value}"}},
}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    body = await Request(scope, receive).body()
    await JSONResponse({"body": body.decode()})(scope, receive, send)


class Served:
    """An ASGI application behind `LateRequests`. The mock `old` has ended, the mock `new` is running."""

    def __init__(self) -> None:
        self.issued = IssuedValues()
        self.late: list[tuple[object, str]] = []
        self.requests = LateRequests(app, self.issued, lambda owner, request: self.late.append((owner, request)))
        self.requests.current = "new"

    def entropy(self, owner: str) -> NotingEntropy:
        return NotingEntropy(SystemEntropy(), self.issued, owner)

    def ask(self, *, path: str = "/regions", method: str = "GET", **request: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.requests)
            async with httpx.AsyncClient(transport=transport, base_url="http://mock") as client:
                return await client.request(method, path, **request)

        return asyncio.run(ask())


@given(st.sampled_from(sorted(PLACES)), st.sampled_from(["uuid", "token"]))
def test_old_value_is_recognized_in_every_place(place: str, kind: str) -> None:
    served = Served()
    entropy = served.entropy("old")
    value = entropy.uuid() if kind == "uuid" else entropy.token(18)
    response = served.ask(**PLACES[place](value))
    assert response.status_code == 401
    assert [owner for owner, _ in served.late] == ["old"]
    assert value not in served.late[0][1] or place in {"path", "streamer"}


@given(st.sampled_from(sorted(PLACES)), st.sampled_from(["new", None]))
def test_values_of_the_running_mock_pass(place: str, owner: str | None) -> None:
    served = Served()
    value = SystemEntropy().token(18) if owner is None else served.entropy(owner).token(18)
    assert served.ask(**PLACES[place](value)).status_code == 200
    assert served.late == []


def test_running_mock_takes_precedence() -> None:
    served = Served()
    old, new = served.entropy("old").uuid(), served.entropy("new").token(18)
    assert served.ask(path=f"/recordings/{old}", headers={"Authorization": f"Bearer {new}"}).status_code == 200


def test_same_value_belongs_to_the_latest_mock() -> None:
    served = Served()
    served.issued.note("seeded", "old")
    served.issued.note("seeded", "new")
    assert served.ask(params={"token": "seeded"}).status_code == 200


def test_body_is_passed_on_unchanged() -> None:
    served = Served()
    body = {"api_key": "ody_of_nobody", "more": "x" * 200_000}
    response = served.ask(path="/auth/token", method="POST", json=body)
    assert json.loads(response.json()["body"]) == body


def test_secret_parts_of_paths_are_not_shown() -> None:
    served = Served()
    secret = served.entropy("old").token(18)
    served.ask(path=f"/broadcast/stream/whep/{secret}", method="DELETE")
    assert served.late == [("old", "DELETE /broadcast/stream/...")]


def test_number_of_remembered_values_is_bounded() -> None:
    issued = IssuedValues()
    for number in range(REMEMBERED + 10):
        issued.note(str(number), "old")
    assert issued.owner_of("9") is None
    assert issued.owner_of("10") == "old"


def test_requests_in_progress_are_listed() -> None:
    served = Served()
    seen: list[object] = []

    async def looks(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(served.requests.running)
        await app(scope, receive, send)

    served.requests = LateRequests(looks, served.issued, lambda *_: None)
    served.ask()
    assert seen == [("GET /regions",)]
    assert served.requests.running == ()
