"""Tests of the program of `odyssey-mock verify`: steps that fail, limits, and accounts without capacity."""

from dataclasses import replace

import pytest

from odyssey_mock import MockOdyssey
from odyssey_mock.verification import program, stage
from odyssey_mock.verification.judgment import judge
from odyssey_mock.verification.observations import Observations
from odyssey_mock.verification.program import Program
from odyssey_mock.verification.steps import STEPS

SESSIONS = ("live", "credentials", "broadcast")


async def observed(mock: MockOdyssey, *steps: str, key: str | None = None, limit: float = 60.0) -> Observations:
    run = await Program(key or mock.api_key, mock.url, steps=steps, limit=limit).run()
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

    steps = {**STEPS, "rest": replace(STEPS["rest"], work=broken)}
    monkeypatch.setattr(program, "STEPS", steps)
    async with MockOdyssey() as mock:
        seen = await observed(mock, "rest", "credentials")
    assert outcomes(seen) == {"authentication": "done", "rest": "failed", "credentials": "done"}
    assert seen.steps[1].reason == "unexpected KeyError: 'not expected'"


async def test_program_stops_at_its_time_limit() -> None:
    async with MockOdyssey() as mock:
        mock.faults.add(at="job.dispatched", do="stall")
        seen = await observed(mock, "simulation", "recordings", limit=1.0)
        assert {str(job.status) for job in mock.jobs.values()} == {"cancelled"}
    assert outcomes(seen) == {"authentication": "done", "simulation": "failed", "recordings": "skipped"}
    assert seen.steps[1].reason == "the program reached its time limit"
    assert seen.steps[2].reason == "the program reached its time limit of 1 s"


async def test_step_stops_at_its_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "STEPS", {**STEPS, "credentials": replace(STEPS["credentials"], limit=0.5)})
    async with MockOdyssey() as mock:
        mock.faults.add(at="signaling.offer", do="silent")
        seen = await observed(mock, "credentials")
        assert not mock.sessions
    assert outcomes(seen) == {"authentication": "done", "credentials": "failed"}
    assert seen.steps[1].reason == "the step was not done within 0.5 s"
