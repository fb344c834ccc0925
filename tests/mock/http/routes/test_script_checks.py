"""Tests of `POST /_mock/scripts/validate`: its errors are those with which the service rejects the same body."""

import json
from typing import Any

import httpx
import pytest

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
