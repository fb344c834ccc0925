"""Tests of consent checks, whose late responses count."""

import asyncio
from collections.abc import Sequence

import pytest

from odyssey_client.rtc.consent import accept_late_consent
from tests.support.consent_checks import checks_until_closed, first_round_trip
from tests.support.simulated_loops import play


@pytest.mark.parametrize(
    ("answers", "sent"),
    [("", 6), ("y", 7), ("nnnnnynnnnnyn", 18), ("llllllllll", 17)],
    ids=["silent", "silent later", "five missed twice", "late"],
)
async def test_consent_expires_after_six_missed_checks(
    monkeypatch: pytest.MonkeyPatch, answers: str, sent: int
) -> None:
    assert await checks_until_closed(monkeypatch, accept_late_consent, answers) == sent


async def test_no_check_continues_after_consent_expired(monkeypatch: pytest.MonkeyPatch) -> None:
    await checks_until_closed(monkeypatch, accept_late_consent, "")
    await asyncio.sleep(0)  # noqa: TID251 - lets the cancelled checks end; no time passes
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize(
    ("delays", "seconds"),
    [
        ([0.04], 0.04),
        ([0.9], 0.9),
        ([None, 0.04], 0.04),
        ([None, None, 0.7], 0.7),
        ([1.2, 0.3], 0.3),
        ([0.6, 0.3], 0.6),
    ],
    ids=["in time", "late", "repeated once", "repeated twice", "repetition is faster", "repetition is slower"],
)
def test_round_trip_has_no_pause_before_a_repetition(delays: Sequence[float | None], seconds: float) -> None:
    assert play(lambda: first_round_trip(accept_late_consent, delays)) == pytest.approx(seconds)
