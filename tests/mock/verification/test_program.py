"""Tests of the program of `odyssey-mock verify`: steps that fail, limits, and accounts without capacity."""

import asyncio
from dataclasses import replace

import pytest
from starlette.types import Message, Scope

from odyssey_mock import MockOdyssey
from odyssey_mock.verification import program, stage, steps
from odyssey_mock.verification.judgment import judge
from odyssey_mock.verification.observations import Observations
from odyssey_mock.verification.program import Program
from odyssey_mock.verification.steps import STEPS
from tests.support.altered_service import alter

SESSIONS = ("live", "credentials", "broadcast")


async def observed(mock: MockOdyssey, *names: str, key: str | None = None, limit: float = 60.0) -> Observations:
    run = await Program(key or mock.api_key, mock.url, steps=names, limit=limit).run()
    return run.observations


def outcomes(seen: Observations) -> dict[str, str]:
    return {step.name: step.outcome for step in seen.steps}


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("ody_no_capacity_1", "no streamer became free: No available sessions. Run the command again later."),
        ("ody_concurrent_limit_1", "a limit of the account is reached: Maximum concurrent sessions ("),
        ("ody_monthly_limit_1", "a limit of the account is reached: "),
    ],
)
async def test_no_session_is_requested_after_a_refusal(key: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "_SETTINGS", replace(stage._SETTINGS, queue_timeout_s=0.0))
    async with MockOdyssey() as mock:
        seen = await observed(mock, "rest", *SESSIONS, key=key)
        assert len(mock.requests("POST /sessions/request")) == 1
    assert outcomes(seen) == {
        "authentication": "done",
        "rest": "done",
        "live": "failed",
        "credentials": "skipped",
        "broadcast": "skipped",
    }
    live, credentials, broadcast = seen.steps[2:]
    assert live.reason.startswith(reason)
    assert credentials.reason == broadcast.reason == live.reason
    judgment = judge(seen)
    assert judgment.counts["contradicted"] == judgment.counts["new"] == 0


async def test_failed_step_does_not_stop_others() -> None:
    async with MockOdyssey() as mock:
        mock.faults.add(at="stream.start", do="error", reason="internal_error")
        seen = await observed(mock, "live", "credentials", "simulation", "recordings")
        assert not mock.sessions
    assert outcomes(seen) == {
        "authentication": "done",
        "live": "failed",
        "credentials": "done",
        "simulation": "done",
        "recordings": "done",
    }
    assert "internal_error" in seen.steps[1].reason


async def test_unexpected_error_fails_only_its_step(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_: stage.Stage) -> None:
        raise KeyError("not expected")

    monkeypatch.setattr(program, "STEPS", {**STEPS, "rest": replace(STEPS["rest"], work=broken)})
    async with MockOdyssey() as mock:
        seen = await observed(mock, "rest", "credentials")
    assert outcomes(seen) == {"authentication": "done", "rest": "failed", "credentials": "done"}
    assert seen.steps[1].reason == "unexpected KeyError: 'not expected'"


async def test_program_stops_at_its_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(_: stage.Stage) -> None:
        pass

    async def endless(_: stage.Stage) -> None:
        await asyncio.Event().wait()

    changed = {
        "authentication": replace(STEPS["authentication"], work=nothing),
        "simulation": replace(STEPS["simulation"], work=endless),
    }
    monkeypatch.setattr(program, "STEPS", {**STEPS, **changed})
    run = await Program("ody_key", "http://127.0.0.1:9", steps=("simulation", "recordings"), limit=0.01).run()
    seen = run.observations
    assert outcomes(seen) == {"authentication": "done", "simulation": "failed", "recordings": "skipped"}
    assert seen.steps[1].reason == "the program reached its time limit"
    assert seen.steps[2].reason == "the program reached its time limit of 0.01 s"


async def test_job_is_cancelled_when_its_step_ends_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "JOB_LIMIT_S", 0.05)
    async with MockOdyssey() as mock:
        mock.faults.add(at="job.dispatched", do="stall")
        seen = await observed(mock, "simulation")
        assert {str(job.status) for job in mock.jobs.values()} == {"cancelled"}
    assert outcomes(seen) == {"authentication": "done", "simulation": "failed"}


async def test_limit_of_the_stream_contains_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "LIVE_STREAM_LIMIT_S", 0.3)
    monkeypatch.setattr(steps, "BROADCAST_LIMIT_S", 0.3)
    async with MockOdyssey() as mock:
        mock.faults.add(at="stream.start", do="silent", times=2)
        seen = await observed(mock, "live", "broadcast")
        assert not mock.sessions
    assert [step.reason for step in seen.steps[1:]] == [
        "the stream was not done within 0.3 s",
        "the broadcast was not done within 0.3 s",
    ]


async def test_first_accepted_job_is_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    def accepted(scope: Scope, message: Message) -> Message:
        if (scope.get("method"), scope["path"], message.get("status")) == ("POST", "/simulation-jobs", 422):
            return {**message, "status": 200, "body": b'{"id": "job/1"}'}
        if (scope.get("method"), scope["path"]) == ("DELETE", "/simulation-jobs/job/1"):
            return {**message, "status": 200, "body": b"{}"}
        return message

    alter(monkeypatch, accepted)
    async with MockOdyssey() as mock:
        seen = await observed(mock, "rest")
        assert len(mock.requests("POST /simulation-jobs")) == 1
    assert outcomes(seen)["rest"] == "done"
    assert [each.url.rpartition("/")[2] for each in seen.exchanges if each.case == steps.CANCELLED_CASE] == ["job%2F1"]
    verdicts = {found.statement.id: found.verdict for found in judge(seen).findings if found.statement}
    assert verdicts["script.rule.non-empty"] == "contradicted"
    assert verdicts["script.rule.prompt"] == "not seen"
    assert verdicts["rest.job-cancel.unknown"] == "confirmed"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"id": "job-1"}', "the job job-1 with an invalid script was accepted and could not be cancelled"),
        (b"[]", "the job without an id with an invalid script was accepted and could not be cancelled"),
    ],
)
async def test_accepted_job_that_stays_is_named(body: bytes, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def accepted(scope: Scope, message: Message) -> Message:
        if (scope.get("method"), scope["path"], message.get("status")) == ("POST", "/simulation-jobs", 422):
            return {**message, "status": 200, "body": body}
        return message

    alter(monkeypatch, accepted)
    async with MockOdyssey() as mock:
        seen = await observed(mock, "rest")
        assert len(mock.requests("POST /simulation-jobs")) == 1
    assert (outcomes(seen)["rest"], seen.steps[1].reason) == ("failed", reason)


async def test_second_job_that_stays_fails_the_step() -> None:
    async with MockOdyssey() as mock:
        mock.faults.add(at="job.dispatched", do="stall")
        mock.faults.add(at="rest.simulations.cancel", do="status", status=500, times=1)
        seen = await observed(mock, "simulation")
        assert {str(job.status) for job in mock.jobs.values()} == {"cancelled"}
    assert outcomes(seen)["simulation"] == "failed"
    assert "HTTP 500" in seen.steps[1].reason


async def test_job_that_stays_after_a_failure_is_named() -> None:
    async with MockOdyssey() as mock:
        mock.faults.add(at="job.dispatched", do="stall")
        mock.faults.add(at="rest.simulations.cancel", do="status", status=500)
        seen = await observed(mock, "simulation")
        assert all(f"the job {job_id} could not be cancelled" in seen.steps[1].reason for job_id in mock.jobs)
        assert len(mock.jobs) == 2


async def test_refused_session_is_requested_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "SESSION_WAIT_S", 0.01)
    async with MockOdyssey() as mock:
        detail = "Maximum concurrent sessions (1) reached"
        mock.faults.add(at="rest.sessions.request", do="status", status=429, detail=detail, after=1, times=1)
        seen = await observed(mock, "credentials", "broadcast")
        assert len(mock.requests("POST /sessions/request")) == 3
        assert len(mock.streams) == 1
    assert outcomes(seen) == {"authentication": "done", "credentials": "done", "broadcast": "done"}


async def test_refused_spectator_starts_no_second_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "SESSION_WAIT_S", 0.01)
    async with MockOdyssey() as mock:
        mock.faults.add(at="whep.offer", do="status", status=429)
        seen = await observed(mock, "credentials", "broadcast")
        assert len(mock.requests("POST /sessions/request")) == 2
        assert len(mock.streams) == 1
    assert outcomes(seen) == {"authentication": "done", "credentials": "done", "broadcast": "failed"}


async def test_step_stops_at_its_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "STEPS", {**STEPS, "credentials": replace(STEPS["credentials"], limit=0.5)})
    async with MockOdyssey() as mock:
        mock.faults.add(at="signaling.offer", do="silent")
        seen = await observed(mock, "credentials")
        assert not mock.sessions
    assert outcomes(seen) == {"authentication": "done", "credentials": "failed"}
    assert seen.steps[1].reason == "the step was not done within 0.5 s"
