"""Both packages tell the version of their distribution."""

from importlib import metadata

import pytest

import odyssey_client
import odyssey_mock
from odyssey_client.version import client_version


def test_both_packages_tell_the_version_of_the_distribution() -> None:
    assert odyssey_client.__version__ == odyssey_mock.__version__ == metadata.version("odyssey-testkit")


def test_the_version_is_0_where_nothing_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    client_version.cache_clear()
    try:
        assert odyssey_client.__version__ == "0"
    finally:
        client_version.cache_clear()
