"""The version of this distribution, which both packages of it have."""

from __future__ import annotations

import functools


@functools.cache
def client_version() -> str:
    """Return the version of this distribution; ``0`` where it runs without being installed."""
    from importlib import metadata  # noqa: PLC0415 - it takes 20 ms to import, and few ask

    try:
        return metadata.version("odyssey-testkit")
    except metadata.PackageNotFoundError:
        return "0"
