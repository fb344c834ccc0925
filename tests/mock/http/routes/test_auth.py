"""Tests of `POST /auth/token` over a real socket."""

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odyssey_mock import MockOdyssey
from tests.support.tls_contexts import NO_CERTIFICATES


async def test_key_is_exchanged_for_a_bearer_token(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    answer = await http.post("/auth/token", json={"api_key": odyssey_mock.api_key})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert (body["token_type"], body["expires_in"]) == ("bearer", 3600)
    regions = await http.get("/regions", headers={"Authorization": f"bearer {body['access_token']}"})
    assert regions.status_code == 200


@pytest.mark.parametrize(
    ("api_key", "status", "detail"),
    [
        ("ody_invalid_1", 401, "Invalid API key"),
        ("ody_suspended_1", 403, "Account suspended: payment overdue"),
    ],
)
async def test_rejected_key_gets_the_reason(http: httpx.AsyncClient, api_key: str, status: int, detail: str) -> None:
    answer = await http.post("/auth/token", json={"api_key": api_key})
    assert (answer.status_code, answer.json()) == (status, {"detail": detail})


@pytest.mark.off_contract("the requests are malformed")
@pytest.mark.parametrize(
    ("body", "loc", "kind"),
    [
        (b'{"api_key": "nope"}', ["body", "api_key"], "string_pattern_mismatch"),
        (b'{"api_key": 7}', ["body", "api_key"], "string_type"),
        (b"{}", ["body", "api_key"], "missing"),
        (b"[]", ["body"], "model_type"),
        (b"", ["body"], "missing"),
        (b"{api_key}", ["body", 1], "json_invalid"),
        (b'{"api_key": NaN}', ["body"], "json_invalid"),
        (b"\xff", ["body"], "json_invalid"),
    ],
)
async def test_malformed_request_is_422_with_the_place(
    http: httpx.AsyncClient, body: bytes, loc: list[str | int], kind: str
) -> None:
    answer = await http.post("/auth/token", content=body)
    assert answer.status_code == 422
    (error,) = answer.json()["detail"]
    assert (error["loc"], error["type"]) == (loc, kind)
    assert error["msg"]


async def test_access_token_expires_on_the_mocks_clock() -> None:
    async with (
        MockOdyssey(clock="manual") as mock,
        httpx.AsyncClient(base_url=mock.url, trust_env=False, verify=NO_CERTIFICATES) as http,
    ):
        token = (await http.post("/auth/token", json={"api_key": mock.api_key})).json()["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        await mock.advance(3599)
        assert (await http.get("/regions")).status_code == 200
        await mock.advance(1)
        late = await http.get("/regions")
        assert (late.status_code, late.json()) == (401, {"detail": "Access token expired"})
        assert late.headers["www-authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.off_contract("the requests are random")
@given(st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_arbitrary_requests_never_cause_a_500(http: httpx.AsyncClient, data: st.DataObject) -> None:
    method, path = data.draw(
        st.sampled_from(
            [
                ("POST", "/auth/token"),
                ("POST", "/telemetry"),
                ("POST", "/sessions/request"),
                ("POST", "/sessions/token"),
                ("POST", "/_mock/clock/advance"),
                ("PUT", "/regions"),
                ("GET", "/_mock/journal"),
            ]
        )
    )
    words = st.sampled_from(["api_key", "events", "session_id", "seconds", "region_latencies"]) | st.text(max_size=5)
    bodies = st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | words,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
        max_leaves=6,
    )
    if data.draw(st.booleans()):
        answer = await http.request(method, path, json=data.draw(bodies))
    else:
        answer = await http.request(method, path, content=data.draw(st.binary(max_size=60)))
    assert answer.status_code < 500
    assert answer.is_success or set(answer.json()) == {"detail"}
