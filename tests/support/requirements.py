"""What happens to a test if a program or package that it needs is missing."""

import os

import pytest


def require(missing: str | None) -> None:
    """If `missing` describes a missing requirement, skip the test or, in CI, fail it."""
    if missing is None:
        return
    reason = f"{missing}; run scripts/test-needs"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
