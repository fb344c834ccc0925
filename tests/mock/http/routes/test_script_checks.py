"""Tests of `POST /_mock/scripts/validate`: its errors are those with which the service rejects the same body."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odyssey_mock import MockOdyssey
from tests.support.simulations import script, wanted

INVALID: dict[str, Any] = {
    "no script": {"portrait": True},
    "two sources": {**wanted(), "script": script()},
    "an empty script": {"script": []},
    "no end": {"script": script()[:1]},
    "late start": {"script": [{"timestamp_ms": 5, "start": {"prompt": "A cat"}}, {"timestamp_ms": 9, "end": {}}]},
    "a wrong flag": {"script": script(), "portrait": "yes"},
    "an unknown key": {"script": [{"timestamp_ms": 0, "start": {"prompt": "A cat"}, "\ud800": 1}, *script()[1:]]},
    "many errors": {"script": [{}] * 200},
    "an array": [],
    "a private URL": {"script_url": "ftp://example.com/script.json"},
}

NAMES = (
    "script",
    "scripts",
    "script_url",
    "portrait",
    "priority",
    "timestamp_ms",
    "start",
    "interact",
    "end",
    "prompt",
)
like_scripts = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 9000) | st.sampled_from(["", "A cat", "\ud800", *NAMES]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=15,
)


@pytest.mark.off_contract("sends requests with unknown fields")
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.builds(lambda place, value: wanted(script(1)) | {place: value}, st.sampled_from(NAMES), like_scripts))
async def test_both_routes_have_the_same_errors(authorized: httpx.AsyncClient, body: dict[str, Any]) -> None:
    content = json.dumps(body)
    checked = (await authorized.post("/_mock/scripts/validate", content=content)).raise_for_status().json()
    job = await authorized.post("/simulation-jobs", content=content)
    assert job.status_code in {200, 422, 429}
    assert checked["errors"] == (job.json()["detail"] if job.status_code == 422 else [])
    assert checked["valid"] is (job.status_code != 422)


@pytest.mark.parametrize("case", INVALID)
async def test_errors_are_those_of_the_service(case: str, authorized: httpx.AsyncClient) -> None:
    body = json.dumps(INVALID[case])
    checked = (await authorized.post("/_mock/scripts/validate", content=body)).raise_for_status().json()
    refused = await authorized.post("/simulation-jobs", content=body)
    assert refused.status_code == 422
    assert checked == {"valid": False, "errors": refused.json()["detail"]}


@pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b'{"script": [NaN]}', b"\xff"])
async def test_text_that_is_no_json_is_an_error(body: bytes, authorized: httpx.AsyncClient) -> None:
    checked = (await authorized.post("/_mock/scripts/validate", content=body)).raise_for_status().json()
    refused = await authorized.post("/simulation-jobs", content=body)
    assert checked == {"valid": False, "errors": refused.json()["detail"]}


async def test_valid_script_creates_no_job(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    checked = await http.post("/_mock/scripts/validate", json=wanted(script(), script(5)))
    assert (checked.status_code, checked.json()) == (200, {"valid": True, "errors": []})
    assert (len(odyssey_mock.jobs), odyssey_mock.journal.entries) == (0, ())
