"""Sources of random ids and secrets: the operating system, or a generator with a seed for repeatable runs."""

import base64
import random  # noqa: TID251 - the source of randomness itself
import secrets  # noqa: TID251 - the source of randomness itself
import uuid
from typing import Protocol

from odyssey_mock.core.redaction import Secrets

SECRET_BYTES = 16
"""Minimum size of a token that is a secret; an `ETag` is shorter."""

_SYSTEM = secrets.SystemRandom()
"""Shared by all mocks: it has no state, and creating one takes longer than creating a token."""


class Entropy(Protocol):
    """A source of random ids, secrets and numbers."""

    def uuid(self) -> str:
        """Return a random version 4 UUID (RFC 9562) as a string of 36 characters."""

    def token(self, nbytes: int) -> str:
        """Return `nbytes` random bytes as URL-safe base64 without padding."""

    def number(self, bits: int) -> int:
        """Return a random number from 0 to 2**bits - 1."""


class _RandomEntropy:
    def __init__(self, source: random.Random) -> None:
        self._source = source

    def uuid(self) -> str:
        return str(uuid.UUID(int=self.number(128), version=4))

    def token(self, nbytes: int) -> str:
        return base64.urlsafe_b64encode(self._source.randbytes(nbytes)).rstrip(b"=").decode()

    def number(self, bits: int) -> int:
        return self._source.getrandbits(bits)


class SystemEntropy(_RandomEntropy):
    """Randomness of the operating system."""

    def __init__(self) -> None:
        super().__init__(_SYSTEM)


class SeededEntropy(_RandomEntropy):
    """Randomness from a seed: the same values in every process. For tests only: the seed reveals the secrets.

    Each `start`, from 0, gives other values, for a server that is started again.
    """

    def __init__(self, seed: int, *, start: int = 0) -> None:
        super().__init__(random.Random(f"{seed}/{start}" if start else seed))  # noqa: S311 - must be repeatable


class RememberingEntropy:
    """A source of randomness that adds its tokens to the secrets of a mock."""

    def __init__(self, source: Entropy, secrets: Secrets) -> None:
        self._source = source
        self._secrets = secrets

    def uuid(self) -> str:
        return self._source.uuid()

    def token(self, nbytes: int) -> str:
        token = self._source.token(nbytes)
        if nbytes >= SECRET_BYTES:
            self._secrets.add(token)
        return token

    def number(self, bits: int) -> int:
        return self._source.number(bits)
