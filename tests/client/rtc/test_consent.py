"""Tests of consent checks, whose late responses count."""

import asyncio

import pytest

from odyssey_client.rtc.consent import accept_late_consent
from tests.support.consent_checks import checks_until_closed


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
