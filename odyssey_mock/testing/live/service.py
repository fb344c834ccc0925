"""The real service, and what the fixture `odyssey_mock` provides in its place."""

import os
from dataclasses import dataclass, field
from typing import NoReturn, Self

import pytest

from odyssey_client import AdvancedConfig, OdysseyConfigError, OdysseyError
from odyssey_client.config import API_KEY_VARIABLE, API_URL_VARIABLE, ClientConfig
from odyssey_client.redaction import remember
from odyssey_client.sync import Odyssey

OPTION = "--odyssey-live"
OF_SERVICE = frozenset({"url", "api_key"})
"""Attributes of the fixture `odyssey_mock` that the service has too."""
CHECK_LIMIT_S = 10.0
"""Maximum seconds for a response of the service at the start of the run. A working service answers within one."""


@dataclass(frozen=True, slots=True)
class Service:
    """The address of a service, and a key for it."""

    url: str
    key: str = field(repr=False)

    @classmethod
    def of_environment(cls) -> Self:
        """Read the key and the address from the environment variables.

        Raises:
            pytest.UsageError: there is no key, or a variable is invalid.
        """
        try:
            config = ClientConfig.resolve(env=os.environ)
            key = config.require_api_key()
        except OdysseyConfigError as error:
            raise pytest.UsageError(f"{OPTION}: {error}") from None
        remember(key)
        return cls(config.api_url, key)

    def check(self) -> None:
        """Check that the service answers and accepts the key. This needs no session.

        Raises:
            pytest.UsageError: the service cannot be reached, or does not accept the key.
        """
        advanced = AdvancedConfig(request_timeout_s=CHECK_LIMIT_S, request_max_retries=1, telemetry=False)
        # Not asyncio.run(), which would remove the event loop of this thread that tests may have.
        with Odyssey(self.key, api_url=self.url, advanced=advanced) as client:
            try:
                client.list_simulations(limit=1)
            except OdysseyError as error:
                raise pytest.UsageError(
                    f"{OPTION}: expected the service at {self.url} to accept the key in {API_KEY_VARIABLE}, got: "
                    f"{error} (the address is that of {API_URL_VARIABLE}, by default the vendor's)"
                ) from None


class LiveService:
    """The value of the fixture `odyssey_mock` in a run against the service. It only has the address and the key.

    Everything else skips the test, because only a mock has it.
    """

    def __init__(self, service: Service) -> None:
        self.url = self.shared_url = service.url
        self.api_key = service.key

    def __repr__(self) -> str:
        return f"<LiveService {self.url}>"

    def __getattr__(self, name: str) -> NoReturn:
        from odyssey_mock.sync import MockOdyssey  # noqa: PLC0415 - takes long to import, and few tests need it

        if name.startswith("_") or not hasattr(MockOdyssey, name):  # Hypothesis, for example, asks for such names
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        pytest.skip(f"the test uses odyssey_mock.{name}, and only a mock has it")
