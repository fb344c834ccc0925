"""Tests of the journal entries of requests: which of their parts they contain, shorten and mask."""

import json
import sys

import httpx
import pytest

from odyssey_mock import MockOdyssey


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
