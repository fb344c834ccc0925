"""How soon a peer that is silent is given up."""

import aioice.stun
import pytest


@pytest.fixture
def quick_consent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that is silent is given up within a second, and not half a minute (RFC 7675)."""
    monkeypatch.setattr("aioice.ice.CONSENT_INTERVAL", 0.05)
    monkeypatch.setattr("aioice.ice.CONSENT_FAILURES", 1)
    monkeypatch.setattr(aioice.stun, "RETRY_RTO", 0.1)
    monkeypatch.setattr(aioice.stun, "RETRY_MAX", 2)
