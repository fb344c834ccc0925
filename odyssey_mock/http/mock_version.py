"""The version of the mock."""

from functools import cache
from importlib.metadata import version


@cache
def mock_version() -> str:
    """Return the version of the installed package, which is read once in a process."""
    return version("odyssey-testkit")
