from collections.abc import Mapping

import pytest


@pytest.fixture(scope="session")
def odyssey_settings() -> Mapping[str, object]:
    """Make the frames of all mocks small, which saves time."""
    return {"portrait_size": (176, 320)}
