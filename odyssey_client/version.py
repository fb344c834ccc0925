"""The version of the distribution `odyssey-testkit`, which contains `odyssey_client` and `odyssey_mock`."""

from __future__ import annotations

import functools


@functools.cache
def client_version() -> str:
    """Return the version of the distribution; ``0`` if it is not installed."""
    from importlib import metadata  # noqa: PLC0415 - importing it takes 20 ms, and most programs do not need it

    try:
        return metadata.version("odyssey-testkit")
    except metadata.PackageNotFoundError:
        return "0"
