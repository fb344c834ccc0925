"""Tests of the REST calls for simulation jobs: requests, responses, errors and retries."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client.errors import (
    OdysseyApiError,
    OdysseyAuthError,
    OdysseyError,
    OdysseySimulationError,
    RateLimitError,
    ScriptError,
    ServiceUnreachableError,
    UnexpectedResponseError,
)
from odyssey_client.models import (
    JSON,
    SimulationJob,
    SimulationJobDetail,
    SimulationJobInfo,
    SimulationJobsList,
    SimulationJobStatus,
    SimulationStream,
)
from odyssey_client.rest.error_mapping import Failure
from odyssey_client.rest.simulations import _path, cancel_job, create_job, get_job, list_jobs
from odyssey_client.rest.transport import Transport

from .conftest import Answer, Service, VirtualClock

TOKEN = "POST /auth/token"
CREATE = "POST /simulation-jobs"
LIST = "GET /simulation-jobs"
GET = "GET /simulation-jobs/job-1"
CANCEL = "DELETE /simulation-jobs/job-1"

BODY: dict[str, JSON] = {"script": [], "portrait": True, "output_video": True}
HEAD = {"job_id": "job-1", "status": "pending", "priority": "normal", "created_at": "2026-01-31T12:00:00Z"}
CREATED = {**HEAD, "estimated_wait_minutes": 1.5}
INFO = {**HEAD, "completed_at": None, "error_message": None}
STREAM: dict[str, Any] = {
    "stream_id": "s-1",
    "video_url": "https://host/video.mp4?signature=1",
    "events_url": "https://host/events.jsonl?signature=1",
    "thumbnail_url": None,
    "preview_url": None,
    "frame_count": 180,
    "duration_seconds": 9.0,
    "script_index": 0,
}
BROKEN = {
    **dict.fromkeys(STREAM),
    "stream_id": "s-2",
    "script_index": 1,
    "status": "failed",
    "error_message": "The prompt was refused",
}
DETAIL: dict[str, Any] = {
    **INFO,
    "status": "failed",
    "dispatched_at": "2026-01-31T12:00:05Z",
    "started_at": "2026-01-31T12:00:06Z",
    "completed_at": "2026-01-31T12:00:20Z",
    "error_message": "1 of 2 streams failed",
    "assigned_region": "us-west",
    "retry_count": 1,
    "streams": [STREAM, BROKEN],
}


@pytest.fixture(autouse=True)
def jobs(service: Service) -> None:
    service.script[CREATE] = Answer(body=CREATED)
    service.script[LIST] = Answer(body={"jobs": [INFO], "total": 7, "limit": 20, "offset": 0})
    service.script[GET] = Answer(body=DETAIL)
    service.script[CANCEL] = Answer(body={**INFO, "status": "cancelled"})


# Requests and responses.


async def test_create_job_sends_given_body(service: Service, transport: Transport) -> None:
    job = await create_job(transport, BODY)
    assert job == SimulationJob("job-1", SimulationJobStatus.PENDING, "normal", "2026-01-31T12:00:00Z", 1.5)
    assert service.calls(CREATE)[0].body == BODY


async def test_job_has_its_streams_and_their_results(transport: Transport) -> None:
    job = await get_job(transport, "job-1")
    assert job == SimulationJobDetail(
        job_id="job-1",
        status=SimulationJobStatus.FAILED,
        priority="normal",
        created_at="2026-01-31T12:00:00Z",
        completed_at="2026-01-31T12:00:20Z",
        error_message="1 of 2 streams failed",
        dispatched_at="2026-01-31T12:00:05Z",
        started_at="2026-01-31T12:00:06Z",
        assigned_region="us-west",
        retry_count=1,
        streams=(
            SimulationStream(
                "s-1", STREAM["video_url"], STREAM["events_url"], None, None, frame_count=180, duration_seconds=9.0,
                script_index=0,
            ),
            SimulationStream(
                "s-2", None, None, None, None, None, None, 1, status="failed", error_message="The prompt was refused"
            ),
        ),
    )  # fmt: skip
    assert [stream.has_failed for stream in job.streams] == [False, True]


async def test_page_of_jobs_is_requested_and_read(service: Service, transport: Transport) -> None:
    call = f"{LIST}?status=failed&active=true&limit=5&offset=10"
    service.script[call] = Answer(body={"jobs": [INFO, INFO], "total": 2**53 - 1, "limit": 5, "offset": 10})
    page = await list_jobs(transport, {"status": "failed", "active": True, "limit": 5, "offset": 10})
    info = SimulationJobInfo("job-1", SimulationJobStatus.PENDING, "normal", "2026-01-31T12:00:00Z", None, None)
    assert page == SimulationJobsList((info, info), 2**53 - 1, 5, 10)
    assert (await list_jobs(transport, {})).total == 7


async def test_cancel_returns_cancelled_job(transport: Transport) -> None:
    assert (await cancel_job(transport, "job-1")).status == "cancelled"


async def test_missing_optional_fields_are_none(service: Service, transport: Transport) -> None:
    needed = {"job_id", "status", "priority", "created_at", "retry_count", "streams"}
    service.script[GET] = Answer(body={name: value for name, value in DETAIL.items() if name in needed})
    job = await get_job(transport, "job-1")
    assert (job.completed_at, job.error_message, job.assigned_region, job.dispatched_at) == (None, None, None, None)


@given(st.text(min_size=1, max_size=20))
def test_job_id_is_quoted_as_one_path_segment(job_id: str) -> None:
    path = _path(job_id)
    assert path.isascii()
    assert path.count("/") == 2
    assert not set("?#") & set(path)
    assert unquote(path.rpartition("/")[2]) == job_id


@pytest.mark.parametrize(
    ("call", "change", "path"),
    [
        (CREATE, {"job_id": ""}, "job_id"),
        (CREATE, {"status": "running"}, "status"),
        (CREATE, {"status": None}, "status"),
        (CREATE, {"priority": 3}, "priority"),
        (CREATE, {"estimated_wait_minutes": "soon"}, "estimated_wait_minutes"),
        (CREATE, {"estimated_wait_minutes": -1}, "estimated_wait_minutes"),
        (LIST, {"jobs": None}, "jobs"),
        (LIST, {"jobs": [INFO, {**INFO, "created_at": None}]}, "jobs[1].created_at"),
        (LIST, {"jobs": [3]}, "jobs[0]"),
        (LIST, {"total": 1.5}, "total"),
        (LIST, {"limit": "20"}, "limit"),
        (LIST, {"offset": None}, "offset"),
        (GET, {"retry_count": None}, "retry_count"),
        (GET, {"streams": {}}, "streams"),
        (GET, {"streams": [STREAM, {**STREAM, "frame_count": 1.5}]}, "streams[1].frame_count"),
        (GET, {"streams": [{**STREAM, "script_index": None}]}, "streams[0].script_index"),
        (GET, {"streams": [{**STREAM, "video_url": ""}]}, "streams[0].video_url"),
        (GET, {"error_message": 5}, "error_message"),
        (CANCEL, {"completed_at": 5}, "completed_at"),
    ],
)
async def test_invalid_response_names_field(
    call: str, change: dict[str, Any], path: str, service: Service, transport: Transport
) -> None:
    service.change(call, change)
    with pytest.raises(UnexpectedResponseError, match="Unexpected response to ") as caught:
        await CALLS[call](transport)
    assert caught.value.path == path


CALLS: dict[str, Callable[[Transport], Awaitable[object]]] = {
    CREATE: lambda transport: create_job(transport, BODY),
    LIST: lambda transport: list_jobs(transport, {}),
    GET: lambda transport: get_job(transport, "job-1"),
    CANCEL: lambda transport: cancel_job(transport, "job-1"),
}


# Errors.


@pytest.mark.parametrize("call", [GET, CANCEL])
@pytest.mark.parametrize(
    ("status", "code", "advice"),
    [
        (404, "job_not_found", r"no simulation job job-1\. Check the id with list_simulations\(\)"),
        (403, "job_not_yours", r"belongs to another account\. Use the API key that created it"),
    ],
)
async def test_unknown_job_and_foreign_job_errors_differ(
    call: str, status: int, code: str, advice: str, service: Service, transport: Transport
) -> None:
    service.script[call] = Answer(status, {"detail": "why not"}, {"X-Request-Id": "r-1"})
    with pytest.raises(OdysseySimulationError, match=f"{advice}.* The service says: why not") as caught:
        await CALLS[call](transport)
    error = caught.value
    assert (error.code, error.status, error.detail, error.request_id) == (code, status, "why not", "r-1")
    assert not error.retryable


async def test_failed_cancellation_gives_reason(service: Service, transport: Transport) -> None:
    service.script[CANCEL] = Answer(400, {"detail": "Cannot cancel a job that is completed"})
    with pytest.raises(OdysseySimulationError, match="Cannot cancel a job that is completed") as caught:
        await cancel_job(transport, "job-1")
    assert (caught.value.code, caught.value.status) == ("not_cancellable", 400)
    assert service.calls(GET) == []


async def test_bypass_without_privilege_gives_advice(service: Service, transport: Transport) -> None:
    service.script[CREATE] = Answer(403, {"detail": "requires the expansion bypass privilege"})
    with pytest.raises(OdysseySimulationError, match="Leave bypass_prompt_expansion out") as caught:
        await create_job(transport, {**BODY, "bypass_vlm_expansion": True})
    assert (caught.value.code, caught.value.status) == ("bypass_not_allowed", 403)
    with pytest.raises(OdysseyApiError, match="HTTP 403 Forbidden: requires"):
        await create_job(transport, BODY)


async def test_full_job_queue_is_not_retried(service: Service, transport: Transport, clock: VirtualClock) -> None:
    service.script[CREATE] = Answer(
        429, {"detail": {"error": "RATE_LIMITED", "message": "queue full", "details": {"retry_after_seconds": 1}}}
    )
    with pytest.raises(RateLimitError, match="queue full") as caught:
        await create_job(transport, BODY)
    assert caught.value.retry_after_seconds == 1
    assert (len(service.calls(CREATE)), clock.slept) == (1, [])


async def test_faults_found_by_service_have_their_paths(service: Service, transport: Transport) -> None:
    detail = [
        {"loc": ["body", "scripts", 1, 3, "interact", "prompt"], "msg": "expected text, got nothing", "type": "x"},
        {"loc": ["body"], "msg": "body: expected one", "type": "value_error"},
        {"loc": ["body", "script", 0], "msg": "script[0]: field required", "type": "missing"},
    ]
    service.script[CREATE] = Answer(422, {"detail": detail}, {"X-Request-Id": "r-2"})
    with pytest.raises(ScriptError) as caught:
        await create_job(transport, BODY)
    error = caught.value
    assert [fault.path for fault in error.faults] == ["scripts[1][3].interact.prompt", "the request", "script[0]"]
    assert str(error).splitlines() == [
        "3 faults:",
        "  scripts[1][3].interact.prompt: expected text, got nothing",
        "  the request: body: expected one",
        "  script[0]: field required",
    ]
    assert (error.status, error.detail, error.request_id) == (422, detail, "r-2")


@pytest.mark.parametrize(
    "detail", ["The script is bad", None, [], [3], [{"loc": []}], {"message": "The script is bad"}]
)
async def test_any_rejected_script_raises_script_error(detail: object, service: Service, transport: Transport) -> None:
    service.script[CREATE] = Answer(422, {"detail": detail})
    with pytest.raises(ScriptError, match=r"^the request: (The script is bad|the service rejected it|.*3|.*loc)"):
        await create_job(transport, BODY)


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(st.lists(st.fixed_dictionaries({}, optional={"loc": json, "msg": json, "type": json}) | json) | json)
def test_any_422_gives_readable_faults(detail: JSON) -> None:
    error = Failure(CREATE, 422, detail, "r-1").error()
    assert isinstance(error, ScriptError)
    assert error.faults
    assert all(line.isprintable() for line in str(error).split("\n"))


# Retries.


@pytest.mark.parametrize(
    "answer",
    [
        Answer(503, {"detail": "x"}),
        Answer(502, b""),
        Answer(500, {"detail": "x"}),
        Answer(raw=b""),
        Answer(200, b"<html>"),
        Answer(200, {"job_id": 5}),
    ],
)
async def test_create_is_sent_once_and_error_has_advice(
    answer: Answer, service: Service, transport: Transport, clock: VirtualClock
) -> None:
    service.script[CREATE] = answer
    with pytest.raises((OdysseyApiError, ServiceUnreachableError)) as caught:
        await create_job(transport, BODY)
    assert (len(service.calls(CREATE)), clock.slept) == (1, [])
    assert any("list_simulations()" in note for note in caught.value.__notes__)


async def test_rejected_job_error_has_no_note(service: Service, transport: Transport) -> None:
    service.script[CREATE] = Answer(422, {"detail": "bad"})
    with pytest.raises(ScriptError) as caught:
        await create_job(transport, BODY)
    assert not hasattr(caught.value, "__notes__")


async def test_token_request_for_job_is_retried(service: Service, transport: Transport, clock: VirtualClock) -> None:
    token = service.script[TOKEN]
    assert isinstance(token, Answer)
    service.script[TOKEN] = [Answer(503, {"detail": "x"}), Answer(raw=b""), token]
    assert (await create_job(transport, BODY)).job_id == "job-1"
    assert (len(service.calls(TOKEN)), len(service.calls(CREATE)), len(clock.slept)) == (3, 1, 2)


async def test_create_is_repeated_with_new_token_after_401(service: Service, transport: Transport) -> None:
    service.script[TOKEN] = [Answer(body={"access_token": f"access-{n}", "expires_in": 3600}) for n in (1, 2)]
    service.script[CREATE] = [Answer(401, {"detail": "expired"}), Answer(body=CREATED)]
    assert (await create_job(transport, BODY)).job_id == "job-1"
    assert [call.headers["authorization"] for call in service.calls(CREATE)] == ["Bearer access-1", "Bearer access-2"]
    service.script[CREATE] = Answer(401, {"detail": "expired"})
    with pytest.raises(OdysseyAuthError):
        await create_job(transport, BODY)


@pytest.mark.parametrize("call", [LIST, GET, CANCEL])
async def test_list_get_and_cancel_are_retried(
    call: str, service: Service, transport: Transport, clock: VirtualClock
) -> None:
    right = service.script[call]
    assert isinstance(right, Answer)
    service.script[call] = [Answer(503, {"detail": "x"}), Answer(raw=b""), Answer(504, b""), right]
    await CALLS[call](transport)
    assert (len(service.calls(call)), len(clock.slept)) == (4, 3)
    service.script[call] = Answer(503, {"detail": "x"})
    with pytest.raises(OdysseyError, match="HTTP 503") as caught:
        await CALLS[call](transport)
    assert caught.value.__notes__ == ["Tried 4 times."]


async def test_cancel_succeeds_if_lost_attempt_cancelled_job(service: Service, transport: Transport) -> None:
    service.script[CANCEL] = [Answer(raw=b""), Answer(400, {"detail": "Cannot cancel a job that is cancelled"})]
    service.script[GET] = Answer(body={**DETAIL, "status": "cancelled"})
    job = await cancel_job(transport, "job-1")
    assert type(job) is SimulationJobInfo
    assert (job.job_id, job.status) == ("job-1", "cancelled")


async def test_cancel_fails_if_job_ended_before_retry(service: Service, transport: Transport) -> None:
    service.script[CANCEL] = [Answer(raw=b""), Answer(400, {"detail": "Cannot cancel a job that is failed"})]
    with pytest.raises(OdysseySimulationError, match="Cannot cancel a job that is failed") as caught:
        await cancel_job(transport, "job-1")
    assert caught.value.code == "not_cancellable"
