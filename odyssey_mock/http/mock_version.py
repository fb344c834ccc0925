"""The version of the mock."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version


@cache
def mock_version() -> str:
    """Return the version of the installed package; `0` if it is not installed. It is read once in a process."""
    try:
        return version("odyssey-testkit")
    except PackageNotFoundError:
        return "0"
