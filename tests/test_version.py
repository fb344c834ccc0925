"""Tests that both packages report the version of their distribution."""

from importlib import metadata

import pytest

import odyssey_client
import odyssey_mock
from odyssey_client.version import client_version


def test_both_packages_report_the_distribution_version() -> None:
    assert odyssey_client.__version__ == odyssey_mock.__version__ == metadata.version("odyssey-testkit")


def test_version_is_0_without_installed_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    client_version.cache_clear()
    try:
        assert odyssey_client.__version__ == "0"
    finally:
        client_version.cache_clear()
