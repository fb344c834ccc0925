"""Tests of features that all routes share: error responses, CORS, Date header, journal entries, and reports of bugs."""

import json
import logging
import sys
from contextlib import suppress

import httpx
import pytest
from starlette.types import Message

from odyssey_mock import MockOdyssey
from odyssey_mock.http.app import Service
from tests.support.work_counts import instructions_of

ROUTES = [
    ("POST", "/auth/token"),
    ("GET", "/regions"),
    ("GET", "/ping/us-east-1"),
    ("POST", "/sessions/request"),
    ("POST", "/sessions/token"),
    ("POST", "/telemetry"),
]

LARGEST_RESPONSE = 3700
"""Maximum number of instructions for a response to `GET /regions` without a token, without uvicorn. It takes 3000."""


@pytest.mark.off_contract("an unknown route")
async def test_unknown_route_is_404(http: httpx.AsyncClient) -> None:
    answer = await http.get("/nope")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


@pytest.mark.off_contract("an unsupported method")
@pytest.mark.parametrize(("method", "path"), [*ROUTES, ("GET", "/_mock/health")])
async def test_unsupported_method_is_405_with_allowed_methods(http: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await http.request("PATCH", path)
    assert (answer.status_code, answer.json()) == (405, {"detail": "Method Not Allowed"})
    assert method in answer.headers["allow"]


@pytest.mark.off_contract("an unsupported method")
@pytest.mark.parametrize("method", ["ody_Xk29fQ7LmZw83bTr5VyN", "A" * 9000], ids=["key", "long"])
async def test_journal_masks_and_cuts_unknown_methods(
    http: httpx.AsyncClient, odyssey_mock: MockOdyssey, method: str
) -> None:
    assert (await http.request(method, "/auth/token")).status_code == 405
    entry = odyssey_mock.journal.entries[-1]
    assert "Xk29fQ7L" not in f"{entry.name} {entry.encoded}"
    assert len(entry.name) <= 200
    assert entry.memory >= len(entry.encoded)


CATS = "\N{CAT FACE}" * 300
LONG = f"{'a' * 3000}\N{CAT FACE}"
"""Text of which Python needs four bytes for each character, because of the last one."""


@pytest.mark.off_contract("an unknown field, parameter or region")
@pytest.mark.parametrize(
    ("method", "url", "note", "is_escaped"),
    [
        ("POST", "/auth/token", CATS, False),
        ("POST", "/auth/token", LONG, False),
        ("POST", "/auth/token", CATS, True),
        ("POST", "/auth/token", LONG, True),
        ("POST", f"/auth/token?note={LONG}", "", False),
        ("GET", f"/ping/{LONG}", "", False),
        ("GET", f"/ping/{'%01' * 1000}", "", False),
    ],
    ids=["body", "long body", "escapes", "long escapes", "query", "path", "control characters"],
)
async def test_journal_counts_the_memory_of_text(
    http: httpx.AsyncClient, odyssey_mock: MockOdyssey, method: str, url: str, note: str, *, is_escaped: bool
) -> None:
    body = json.dumps({"api_key": "ody_journal", "note": note}, ensure_ascii=is_escaped)
    await http.request(method, url, content=body if method == "POST" else None)
    entry = odyssey_mock.journal.entries[-1]
    memory = entry.memory
    assert memory >= sys.getsizeof(entry.encoded)
    assert entry.memory == memory


@pytest.mark.parametrize(("method", "path"), [*ROUTES, ("POST", "/nope"), ("DELETE", "/auth/token")])
async def test_preflight_passes_for_every_path(http: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await http.options(
        path,
        headers={
            "Origin": "https://app.example",
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "authorization, content-type, x-anything",
            "Access-Control-Request-Private-Network": "true",
        },
    )
    assert answer.status_code == 200
    allowed = answer.headers
    assert allowed["access-control-allow-origin"] == "*"
    assert method in allowed["access-control-allow-methods"]
    assert "x-anything" in allowed["access-control-allow-headers"]
    assert allowed["access-control-allow-private-network"] == "true"


@pytest.mark.off_contract("an unknown route")
@pytest.mark.parametrize("path", ["/regions", "/nope", "/_mockery"])
async def test_other_origins_can_read_every_response(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path, headers={"Origin": "https://app.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    exposed = {name.strip() for name in answer.headers["access-control-expose-headers"].split(",")}
    assert exposed >= {"Location", "ETag", "Link", "WWW-Authenticate"}


@pytest.mark.odyssey(clock="manual")
async def test_date_header_follows_the_servers_clock(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    await odyssey_mock.advance(86_400)
    assert (await http.get("/_mock/health")).headers["date"] == "Fri, 02 Jan 2026 00:00:00 GMT"


async def test_journal_has_both_bodies_without_secrets(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    answer = await http.post("/auth/token", json={"api_key": odyssey_mock.api_key})
    (entry,) = odyssey_mock.journal.entries
    assert (entry.kind, entry.name) == ("rest", "POST /auth/token")
    assert entry.account is not None
    assert entry.data == {
        "method": "POST",
        "route": "/auth/token",
        "path": "/auth/token",
        "query": {},
        "request": {"api_key": "***"},
        "status": 200,
        "response": {"access_token": "***", "token_type": "bearer", "expires_in": 3600},
    }
    for secret in (odyssey_mock.api_key, answer.json()["access_token"]):
        assert secret not in odyssey_mock.journal.to_jsonl()


@pytest.mark.off_contract("an unsupported method and an unknown route")
async def test_journal_has_route_template_and_request_path(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    await http.get("/ping/us-east-1?x=1")
    await http.put("/ping/us-east-1")
    await http.get("/nope")
    assert [(entry.name, entry.data["path"], entry.data["status"]) for entry in odyssey_mock.journal.entries] == [
        ("GET /ping/{region}", "/ping/us-east-1", 204),
        ("PUT /ping/{region}", "/ping/us-east-1", 405),
        ("GET /nope", "/nope", 404),
    ]


async def test_journal_shortens_images_in_bodies(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    image = f"data:image/png;base64,{'A' * (256 << 10)}"
    await http.post("/telemetry", json={"events": [{"name": "seen", "image": image, "images": [image]}]})
    (entry,) = odyssey_mock.journal.find("rest")
    assert entry.data["request"] == {"events": [{"name": "seen", "image": image[:64], "images": [image[:64]]}]}


async def test_journal_shortens_long_strings_in_bodies(
    authorized: httpx.AsyncClient, odyssey_mock: MockOdyssey
) -> None:
    await authorized.post("/telemetry", json={"events": [{"name": "x" * 100_000}]})
    (entry,) = odyssey_mock.journal.find("rest", "POST /telemetry")
    assert entry.data["request"]["events"][0]["name"] == "x" * 65_536 + "... and 34464 characters more"


@pytest.mark.off_contract("the journal shows the body as `omitted`")
async def test_journal_omits_bodies_with_many_values(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    await http.post("/telemetry", json={"events": [{}] * 3_000})
    (entry,) = odyssey_mock.journal.find("rest")
    assert entry.data["request"] == {"omitted": "9012 bytes of JSON with more than 5000 values"}


@pytest.mark.off_contract("sends query parameters that the contract does not list")
async def test_journal_omits_a_query_of_many_parameters(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    await http.get("/ping/us-east-1", params={"n": ["1"] * 101})
    (entry,) = odyssey_mock.journal.find("rest")
    assert entry.data["query"] == {"omitted": "101 parameters"}


@pytest.mark.off_contract("sends query parameters that the contract does not list")
async def test_journal_has_the_query_without_secrets(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    await http.get("/ping/us-east-1", params={"token": "t", "signature": "s", "n": ["1", "2"]})
    (entry,) = odyssey_mock.journal.find("rest")
    assert entry.data["query"] == {"token": "***", "signature": "***", "n": ["1", "2"]}


async def test_unexpected_exception_is_500_and_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(api_key: str) -> None:
        raise LookupError("raised by the test")

    async with MockOdyssey() as mock, httpx.AsyncClient(base_url=mock.url, trust_env=False) as http:
        monkeypatch.setattr(mock.backend.accounts, "authenticate", fail)
        with caplog.at_level(logging.ERROR, "odyssey_mock"):
            body = {"api_key": mock.api_key}
            answer = await http.post("/auth/token", json=body, headers={"Origin": "https://app.example"})
    assert answer.status_code == 500
    assert answer.json()["detail"].startswith("unexpected LookupError in the mock")
    assert answer.headers["access-control-allow-origin"] == "*"
    (note,) = mock.journal.find("note", "defect")
    assert note.data["error"] == "LookupError('raised by the test')"
    assert note.data["at"] == "http /auth/token"
    assert any(frame.endswith(" fail") for frame in note.data["trace"])
    assert [record.exc_info is not None for record in caplog.records] == [True]
    assert mock.journal.find("rest")[0].data["status"] == 500


@pytest.mark.parametrize("origin", [{}, {"Origin": "https://app.example"}])
async def test_vary_states_all_headers_that_matter(http: httpx.AsyncClient, origin: dict[str, str]) -> None:
    api = await http.get("/regions", headers=origin)
    console = await http.get("/", headers={"Accept": "text/html", **origin})
    control = await http.get("/_mock/health", headers={"Accept": "text/html"})
    assert (api.headers.get_list("vary"), console.headers.get_list("vary")) == (["Origin"], ["Accept, Origin"])
    assert "vary" not in control.headers


async def test_request_costs_few_instructions(odyssey_mock: MockOdyssey) -> None:
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/regions",
        "raw_path": b"/regions",
        "query_string": b"",
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
        "headers": [(b"host", b"a")],
    }
    statuses: list[int] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    service = Service(odyssey_mock.backend, odyssey_mock.go_away)
    await service(dict(scope), receive, send)  # creates the routes

    def respond() -> None:
        with suppress(StopIteration):
            service(dict(scope), receive, send).send(None)

    used = instructions_of(respond)
    assert statuses == [401, 401]
    assert used < LARGEST_RESPONSE
