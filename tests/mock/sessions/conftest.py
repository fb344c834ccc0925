"""Fixture that shortens the detection of lost peers."""

import aioice.stun
import pytest


@pytest.fixture
def quick_consent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up a silent peer within a second instead of half a minute (consent checks, RFC 7675)."""
    monkeypatch.setattr("aioice.ice.CONSENT_INTERVAL", 0.05)
    monkeypatch.setattr("aioice.ice.CONSENT_FAILURES", 1)
    monkeypatch.setattr(aioice.stun, "RETRY_RTO", 0.1)
    monkeypatch.setattr(aioice.stun, "RETRY_MAX", 2)
