from collections.abc import Mapping

import pytest


@pytest.fixture
def anyio_backend() -> tuple[str, Mapping[str, bool]]:
    return "asyncio", {"use_uvloop": True}
