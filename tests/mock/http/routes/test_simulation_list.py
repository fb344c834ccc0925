"""Tests of `/simulation-jobs`: listing and cancelling jobs, authorization, CORS and journal entries."""

import json

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odyssey_mock import MockOdyssey
from tests.support.jobs import BROKEN_IMAGE
from tests.support.raw import RawApi
from tests.support.simulations import PATHS, ids, job, listed, script, submit, wanted

manual = pytest.mark.odyssey(clock="manual")


@manual
@pytest.mark.parametrize(("seconds", "status"), [(0, "pending"), (0.2, "dispatched"), (0.4, "processing")])
async def test_active_job_can_be_cancelled(
    odyssey_mock: MockOdyssey, authorized: httpx.AsyncClient, seconds: float, status: str
) -> None:
    job_id = await submit(authorized)
    await odyssey_mock.advance(seconds)
    assert (await job(authorized, job_id))["status"] == status
    answer = await authorized.delete(f"/simulation-jobs/{job_id}")
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "job_id": job_id,
            "status": "cancelled",
            "priority": "normal",
            "created_at": "2026-01-01T00:00:00.000Z",
            "completed_at": f"2026-01-01T00:00:00.{seconds * 10:.0f}00Z",
            "error_message": None,
        },
    )
    again = await authorized.delete(f"/simulation-jobs/{job_id}")
    assert (again.status_code, again.json()) == (400, {"detail": "Cannot cancel a job that is cancelled"})
    shown = await job(authorized, job_id)
    assert (shown["status"], shown["streams"]) == ("cancelled", [])


@pytest.mark.odyssey(clock="manual", cancel_processing=False)
async def test_setting_prevents_cancelling_a_processing_job(
    odyssey_mock: MockOdyssey, authorized: httpx.AsyncClient
) -> None:
    job_id = await submit(authorized)
    await odyssey_mock.advance(0.4)
    answer = await authorized.delete(f"/simulation-jobs/{job_id}")
    assert (answer.status_code, answer.json()) == (400, {"detail": "Cannot cancel a job that is processing"})
    await odyssey_mock.advance(10)
    assert (await job(authorized, job_id))["status"] == "completed"


@pytest.mark.odyssey(clock="manual", simulation_workers=2)
async def test_list_filters_own_jobs_newest_first(odyssey_mock: MockOdyssey, authorized: httpx.AsyncClient) -> None:
    completed = await submit(authorized)
    failed = await submit(authorized, script(image=BROKEN_IMAGE))
    await odyssey_mock.advance(10)
    cancelled = await submit(authorized)
    await authorized.delete(f"/simulation-jobs/{cancelled}")
    processing = await submit(authorized)
    await odyssey_mock.advance(0.4)
    dispatched = await submit(authorized)
    await odyssey_mock.advance(0.2)
    pending = await submit(authorized)

    page = await listed(authorized)
    everything = [pending, dispatched, processing, cancelled, failed, completed]
    assert [each["job_id"] for each in page["jobs"]] == everything
    assert (page["total"], page["limit"], page["offset"]) == (6, 20, 0)
    statuses = ["pending", "dispatched", "processing", "cancelled", "failed", "completed"]
    assert [each["status"] for each in page["jobs"]] == statuses
    for job_id, status in zip(everything, statuses, strict=True):
        assert await ids(authorized, status=status) == [job_id]
    shown = await job(authorized, failed)
    assert page["jobs"][4] == {name: shown[name] for name in page["jobs"][4]}
    assert shown["error_message"]

    active = [pending, dispatched, processing]
    assert await ids(authorized, active="true") == active
    assert await ids(authorized, active="false") == everything
    assert await ids(authorized, active="true", status="dispatched") == [dispatched]
    assert await listed(authorized, active="true", status="failed") == {
        "jobs": [],
        "total": 0,
        "limit": 20,
        "offset": 0,
    }
    page = await listed(authorized, active="true", limit=2, offset=1)
    assert [each["job_id"] for each in page["jobs"]] == active[1:]
    assert (page["total"], page["limit"], page["offset"]) == (3, 2, 1)


@pytest.mark.odyssey(simulation_workers=0, queued_simulations=30)
async def test_pages_cover_the_whole_list(authorized: httpx.AsyncClient) -> None:
    newest_first = [await submit(authorized) for _ in range(23)][::-1]
    assert await ids(authorized) == newest_first[:20]
    assert await ids(authorized, offset=20) == newest_first[20:]
    assert await ids(authorized, limit=1, offset=22) == newest_first[-1:]
    assert await ids(authorized, limit=100) == newest_first
    assert await ids(authorized, offset=10**30) == []


@pytest.mark.off_contract("the parameters are malformed")
@pytest.mark.parametrize(
    ("query", "places"),
    [
        ("status=running", ["status"]),
        ("status=", ["status"]),
        ("status=PENDING", ["status"]),
        ("active=maybe", ["active"]),
        ("limit=0", ["limit"]),
        ("limit=101", ["limit"]),
        ("limit=ten", ["limit"]),
        ("limit=1.5", ["limit"]),
        ("offset=-1", ["offset"]),
        ("status=x&limit=-1&offset=x", ["status", "limit", "offset"]),
    ],
)
async def test_invalid_query_parameter_is_422(authorized: httpx.AsyncClient, query: str, places: list[str]) -> None:
    answer = await authorized.get(f"/simulation-jobs?{query}")
    assert answer.status_code == 422
    assert [each["loc"] for each in answer.json()["detail"]] == [["query", place] for place in places]


@pytest.mark.off_contract("the token is missing")
@pytest.mark.parametrize(
    ("method", "path"), [("POST", PATHS[0]), ("GET", PATHS[0]), ("GET", PATHS[1]), ("DELETE", PATHS[1])]
)
async def test_requests_without_token_have_no_effect(
    odyssey_mock: MockOdyssey, authorized: httpx.AsyncClient, method: str, path: str
) -> None:
    job_id = await submit(authorized)
    del authorized.headers["Authorization"]
    body = wanted() if method == "POST" else None
    answer = await authorized.request(method, path.format(job_id=job_id), json=body)
    assert (answer.status_code, answer.json()) == (401, {"detail": "Not authenticated"})
    assert [*odyssey_mock.jobs] == [job_id]
    assert odyssey_mock.jobs[job_id].status != "cancelled"


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_foreign_job_is_403_and_unknown_job_404(
    odyssey_mock: MockOdyssey, authorized: httpx.AsyncClient, method: str
) -> None:
    async with RawApi(odyssey_mock, "ody_another") as another:
        theirs = await submit(another.http)
        assert await ids(another.http) == [theirs]
    foreign = await authorized.request(method, f"/simulation-jobs/{theirs}")
    assert (foreign.status_code, foreign.json()) == (403, {"detail": "This simulation job belongs to another account"})
    unknown = await authorized.request(method, "/simulation-jobs/no-such-job")
    assert unknown.status_code == 404
    assert "not found" in unknown.json()["detail"]
    assert odyssey_mock.jobs[theirs].status != "cancelled"
    assert await listed(authorized) == {"jobs": [], "total": 0, "limit": 20, "offset": 0}


@pytest.mark.off_contract("an unsupported method")
@pytest.mark.parametrize(("path", "right"), [(PATHS[0], ("GET", "POST")), (PATHS[1], ("GET", "DELETE"))])
async def test_unsupported_job_method_is_405(http: httpx.AsyncClient, path: str, right: tuple[str, ...]) -> None:
    answer = await http.patch(path.format(job_id="any"))
    assert (answer.status_code, answer.json()) == (405, {"detail": "Method Not Allowed"})
    assert set(right) <= {method.strip() for method in answer.headers["allow"].split(",")}


@pytest.mark.parametrize("path", PATHS)
async def test_head_is_get_without_a_body(authorized: httpx.AsyncClient, path: str) -> None:
    path = path.format(job_id=await submit(authorized))
    answer = await authorized.head(path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", PATHS)
async def test_other_origins_can_call_job_routes(authorized: httpx.AsyncClient, path: str) -> None:
    path = path.format(job_id=await submit(authorized))
    headers = {"Origin": "https://app.example"}
    assert (await authorized.get(path, headers=headers)).headers["access-control-allow-origin"] == "*"
    for method in ("POST", "DELETE"):
        preflight = await authorized.options(path, headers={**headers, "Access-Control-Request-Method": method})
        assert preflight.status_code == 200
        assert method in preflight.headers["access-control-allow-methods"]


async def test_journal_has_account_and_shortened_images(
    odyssey_mock: MockOdyssey, authorized: httpx.AsyncClient
) -> None:
    job_id = await submit(authorized, script(image=f"data:image/png;base64,{'A' * 4000}"))
    (created,) = odyssey_mock.journal.find("rest", "POST /simulation-jobs")
    assert created.account == odyssey_mock.jobs[job_id].account_id
    assert len(created.data["request"]["scripts"][0][0]["start"]["image"]) == 64
    await job(authorized, job_id)
    (shown,) = odyssey_mock.journal.find("rest", "GET /simulation-jobs/{job_id}")
    assert shown.account == created.account


@pytest.mark.off_contract("the requests are random")
@given(st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_arbitrary_requests_never_cause_a_500(authorized: httpx.AsyncClient, data: st.DataObject) -> None:
    names = st.sampled_from(["script", "scripts", "script_url", "portrait", "timestamp_ms", "start", "end", "prompt"])
    values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(st.characters(), max_size=5) | names,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | st.text(max_size=3), inner, max_size=3),
        max_leaves=9,
    )
    query = data.draw(st.dictionaries(st.sampled_from(["status", "active", "limit", "offset"]), st.text(max_size=5)))
    answers = [
        await authorized.post("/simulation-jobs", content=json.dumps(data.draw(values)).encode()),
        await authorized.get("/simulation-jobs", params=query),
    ]
    for answer in answers:
        assert answer.status_code in {200, 422}
        assert answer.is_success or set(answer.json()) == {"detail"}
