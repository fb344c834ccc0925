"""Tests of `POST /simulation-jobs` and `GET /simulation-jobs/{job_id}`: jobs from submission to end."""

import json

import httpx
import pytest

from odyssey_mock import AccountSettings, MockOdyssey
from tests.support.jobs import BROKEN_IMAGE
from tests.support.raw import RawApi
from tests.support.simulations import URLS, ids, job, listed, script, submit, wanted

manual = pytest.mark.odyssey(clock="manual", portrait_size=(176, 320), landscape_size=(320, 176))


@manual
async def test_new_job_is_pending(authorized: httpx.AsyncClient) -> None:
    answer = await authorized.post("/simulation-jobs", json=wanted())
    assert answer.status_code == 200
    body = answer.json()
    assert body == {
        "job_id": body["job_id"],
        "status": "pending",
        "priority": "normal",
        "created_at": "2026-01-01T00:00:00.000Z",
        "estimated_wait_minutes": 0.0,
    }
    assert await job(authorized, body["job_id"]) == {
        "job_id": body["job_id"],
        "status": "pending",
        "priority": "normal",
        "created_at": "2026-01-01T00:00:00.000Z",
        "dispatched_at": None,
        "started_at": None,
        "completed_at": None,
        "error_message": None,
        "assigned_region": None,
        "retry_count": 0,
        "streams": [],
    }


@manual
@pytest.mark.parametrize("batch", [False, True])
async def test_completed_job_has_recordings(
    odyssey_mock: MockOdyssey, authorized: httpx.AsyncClient, batch: bool
) -> None:
    body = {"portrait": False, "output_video": True}
    sources = {"scripts": [script(10), script(5)]} if batch else {"script": script(10)}
    job_id = (await authorized.post("/simulation-jobs", json=body | sources)).json()["job_id"]
    await odyssey_mock.advance(0.2)
    dispatched = await job(authorized, job_id)
    assert dispatched["status"] == "dispatched"
    assert (dispatched["dispatched_at"], dispatched["started_at"]) == ("2026-01-01T00:00:00.200Z", None)
    assert dispatched["assigned_region"] == "us-east-1"
    await odyssey_mock.advance(0.2)
    processing = await job(authorized, job_id)
    assert (processing["status"], processing["started_at"]) == ("processing", "2026-01-01T00:00:00.400Z")
    await odyssey_mock.advance(2)
    done = await job(authorized, job_id)
    assert (done["status"], done["error_message"]) == ("completed", None)
    assert done["completed_at"] == f"2026-01-01T00:00:0{1.9 if batch else 1.4}00Z"
    lengths = [10.0, 5.0] if batch else [10.0]
    assert [stream["script_index"] for stream in done["streams"]] == list(range(len(lengths)))
    assert [stream["duration_seconds"] for stream in done["streams"]] == lengths
    assert [stream["frame_count"] for stream in done["streams"]] == [20 * length for length in lengths]
    for stream in done["streams"]:
        assert {"status", "error_message"}.isdisjoint(stream)
        recording = (await authorized.get(f"/recordings/{stream['stream_id']}")).json()
        assert recording | {"script_index": stream["script_index"]} == stream
        for field in URLS:
            assert (await authorized.get(stream[field])).status_code == 200


@manual
async def test_job_shows_only_started_streams(odyssey_mock: MockOdyssey, authorized: httpx.AsyncClient) -> None:
    job_id = await submit(authorized, script(10), script(10), script(10))
    await odyssey_mock.advance(0.4 + 1.5)
    ended, running = (await job(authorized, job_id))["streams"]
    assert ended["frame_count"] == 200
    assert running == {
        "stream_id": running["stream_id"],
        **dict.fromkeys((*URLS, "frame_count", "duration_seconds")),
        "script_index": 1,
    }


@manual
async def test_failed_stream_has_message_and_events(odyssey_mock: MockOdyssey, authorized: httpx.AsyncClient) -> None:
    job_id = await submit(authorized, script(image=BROKEN_IMAGE), script())
    await odyssey_mock.advance(10)
    shown = await job(authorized, job_id)
    assert shown["status"] == "failed"
    failed, completed = shown["streams"]
    assert failed["status"] == "failed"
    assert shown["error_message"] == f"1 of 2 streams failed: script 0: {failed['error_message']}"
    assert failed["video_url"] is None
    events = (await authorized.get(failed["events_url"])).text.splitlines()
    assert json.loads(events[-1])["message"] == failed["error_message"]
    assert {"status", "error_message"}.isdisjoint(completed)
    assert completed["video_url"] is not None


@pytest.mark.odyssey(clock="manual", streams_limit=1)
async def test_forgotten_stream_has_null_fields(odyssey_mock: MockOdyssey, authorized: httpx.AsyncClient) -> None:
    job_id = await submit(authorized, script(), script())
    await odyssey_mock.advance(10)
    first, second = (await job(authorized, job_id))["streams"]
    assert first == {
        "stream_id": first["stream_id"],
        **dict.fromkeys((*URLS, "frame_count", "duration_seconds")),
        "script_index": 0,
    }
    assert second["frame_count"] == 200
    kept = [stream.record is not None for stream in odyssey_mock.jobs[job_id].streams]
    assert kept == [False, True], f"expected only the record of the stream that the mock remembers, got {kept}"


@manual
async def test_stream_urls_use_the_clients_host_name(odyssey_mock: MockOdyssey, authorized: httpx.AsyncClient) -> None:
    job_id = await submit(authorized)
    await odyssey_mock.advance(10)
    answer = await authorized.get(f"/simulation-jobs/{job_id}", headers={"Host": "mock.example:99"})
    (stream,) = answer.json()["streams"]
    assert {stream[field].split("/artifacts/")[0] for field in URLS} == {"http://mock.example:99"}
    assert answer.headers["cache-control"] == "no-store"


@manual
@pytest.mark.parametrize("portrait", [True, False])
async def test_portrait_selects_the_video_size(
    odyssey_mock: MockOdyssey, authorized: httpx.AsyncClient, portrait: bool
) -> None:
    job_id = await submit(authorized, portrait=portrait)
    await odyssey_mock.advance(10)
    (stream,) = (await job(authorized, job_id))["streams"]
    size = odyssey_mock.streams[stream["stream_id"]].timeline.size
    assert (size.width, size.height) == ((176, 320) if portrait else (320, 176))


@pytest.mark.off_contract("the requests are malformed")
@pytest.mark.parametrize(
    ("body", "faults"),
    [
        (b"", [(["body"], "missing")]),
        (b"{script}", [(["body", 1], "json_invalid")]),
        (b"[]", [(["body"], "dict_type")]),
        (b"{}", [(["body"], "value_error")]),
        (b'{"script_url": "file:///etc/passwd"}', [(["body", "script_url"], "url_parsing")]),
        (
            b'{"scripts": [[], [{"timestamp_ms": 0, "start": {"prompt": 7}}, {"timestamp_ms": 1}]], "portrait": "no"}',
            [
                (["body", "scripts", 0], "too_short"),
                (["body", "scripts", 1, 0, "start", "prompt"], "string_type"),
                (["body", "scripts", 1, 1], "value_error"),
                (["body", "portrait"], "bool_type"),
            ],
        ),
        (
            rb'{"script": [{"timestamp_ms": 0, "start": {"prompt": "\ud83d", "\udc08": 1}}, {"end": {}}]}',
            [
                (["body", "script", 0, "start", "\udc08"], "extra_forbidden"),
                (["body", "script", 0, "start", "prompt"], "string_unicode"),
                (["body", "script", 1, "timestamp_ms"], "missing"),
            ],
        ),
    ],
)
async def test_invalid_job_is_422_with_every_error(
    odyssey_mock: MockOdyssey, authorized: httpx.AsyncClient, body: bytes, faults: list[tuple[list[str | int], str]]
) -> None:
    answer = await authorized.post("/simulation-jobs", content=body)
    assert answer.status_code == 422
    assert [(each["loc"], each["type"]) for each in answer.json()["detail"]] == faults
    assert await ids(authorized) == []


@pytest.mark.off_contract("unknown fields, and an output_video that clients do not send")
async def test_unknown_fields_are_ignored(authorized: httpx.AsyncClient) -> None:
    body = wanted(output_video=False, fps=30)
    assert (await authorized.post("/simulation-jobs", json=body)).status_code == 200


@manual
@pytest.mark.odyssey(keys={"ody_plain": AccountSettings(bypass_privilege=False), "ody_trusted": AccountSettings()})
async def test_bypass_requires_the_privilege(odyssey_mock: MockOdyssey) -> None:
    body = wanted(bypass_vlm_expansion=True)
    async with RawApi(odyssey_mock, "ody_plain") as plain, RawApi(odyssey_mock, "ody_trusted") as trusted:
        refused = await plain.http.post("/simulation-jobs", json=body)
        assert refused.status_code == 403
        assert "bypass_vlm_expansion requires the expansion bypass privilege" in refused.json()["detail"]
        await submit(plain.http, bypass_vlm_expansion=False)
        await submit(trusted.http, bypass_vlm_expansion=True)
        await odyssey_mock.advance(10)
    expanded, kept = odyssey_mock.streams.values()
    assert (expanded.applied_prompt != "A cat", kept.applied_prompt) == (True, "A cat")


@pytest.mark.off_contract("a missing token and an invalid script")
async def test_checks_run_in_order_token_body_privilege(odyssey_mock: MockOdyssey) -> None:
    broken = {**wanted(), "scripts": [[]], "bypass_vlm_expansion": True}
    async with RawApi(odyssey_mock, "ody_no_bypass") as api:
        assert (await api.http.post("/simulation-jobs", json=broken)).status_code == 422
        del api.http.headers["Authorization"]
        assert (await api.http.post("/simulation-jobs", json=broken)).status_code == 401


@pytest.mark.odyssey(clock="manual", simulation_workers=1, queued_simulations=2)
async def test_full_queue_gets_retry_after(odyssey_mock: MockOdyssey, authorized: httpx.AsyncClient) -> None:
    first = await submit(authorized, script(60))
    await odyssey_mock.advance(0.2)
    assert (await job(authorized, first))["status"] == "dispatched"
    await submit(authorized)
    await submit(authorized)
    answer = await authorized.post("/simulation-jobs", json=wanted())
    assert answer.status_code == 429
    detail = answer.json()["detail"]
    wait = detail["details"]["retry_after_seconds"]
    assert (detail["error"], detail["details"]) == ("RATE_LIMITED", {"retry_after_seconds": wait})
    assert answer.headers["retry-after"] == str(wait)
    assert detail["message"] == (f"Simulations queued by this account: 2, limit: 2; retry in {wait} seconds")
    async with RawApi(odyssey_mock, "ody_another") as another:
        await submit(another.http)
    await odyssey_mock.advance(wait)
    await submit(authorized)


@pytest.mark.odyssey(simulation_workers=0, queued_simulations=1, usage_error_form="string")
async def test_full_queue_error_can_be_a_string(authorized: httpx.AsyncClient) -> None:
    await submit(authorized)
    answer = await authorized.post("/simulation-jobs", json=wanted())
    assert answer.status_code == 429
    assert answer.json()["detail"].startswith("Simulations queued by this account: 1, limit: 1; retry in ")


@pytest.mark.odyssey(keys={"ody_first": AccountSettings(), "ody_rush": AccountSettings(simulation_priority="high")})
async def test_job_has_the_priority_of_its_account(odyssey_mock: MockOdyssey) -> None:
    async with RawApi(odyssey_mock, "ody_rush") as rush:
        assert (await rush.http.post("/simulation-jobs", json=wanted())).json()["priority"] == "high"
        assert (await listed(rush.http))["jobs"][0]["priority"] == "high"
