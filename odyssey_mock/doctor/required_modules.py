"""The modules that both packages import from other distributions, and what to install for each."""

from collections.abc import Mapping
from types import MappingProxyType

MOCK_MODULES = ("starlette", "uvicorn", "pydantic", "jwt", "yaml", "h11", "cryptography")
"""Modules that the extra `mock` installs."""
REQUIRED: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(
            ("aioice", "aiortc", "av", "click", "httpx", "ifaddr", "numpy", "PIL", "pillow_heif", "rich", "websockets"),
            "odyssey-testkit",
        ),
        **dict.fromkeys(MOCK_MODULES, "odyssey-testkit[mock]"),
    }
)
"""The modules that the mock and the client import, each with what to install for it."""
