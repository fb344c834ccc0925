"""Where ids and secrets come from: the operating system, or a seed that makes a run repeatable."""

import base64
import random  # noqa: TID251 - this is the seam
import secrets  # noqa: TID251 - this is the seam
import uuid
from typing import Protocol


class Entropy(Protocol):
    """A source of ids, secrets and numbers."""

    def uuid(self) -> str:
        """Draw a version 4 UUID (RFC 9562), as its 36 characters."""

    def token(self, nbytes: int) -> str:
        """Draw `nbytes` of chance as URL-safe base64 without padding."""

    def number(self, bits: int) -> int:
        """Draw a number from 0 to 2**bits - 1."""


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
    """The operating system's."""

    def __init__(self) -> None:
        super().__init__(secrets.SystemRandom())


class SeededEntropy(_RandomEntropy):
    """The same draws for the same seed, in every process. For tests: whoever knows the seed knows the secrets."""

    def __init__(self, seed: int) -> None:
        super().__init__(random.Random(seed))  # noqa: S311 - repeatable is what it is for
