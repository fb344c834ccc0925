"""All that is random in a run, from one seed, in streams that have names.

A draw from one stream does not shift the others: one request more of the client leaves the server's ids, the network's
delays and the scenario as they were.
"""

from __future__ import annotations

import random
import uuid


class Randomness:
    """The streams of one seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._streams: dict[str, random.Random] = {}

    def stream(self, name: str) -> random.Random:
        """The stream of that name: the same draws for the same seed and name, in every process."""
        if name not in self._streams:
            # Strings are hashed by SHA-512 here, whatever PYTHONHASHSEED says.
            self._streams[name] = random.Random(f"{self.seed}/{name}")  # noqa: S311 - repeatable is what it is for
        return self._streams[name]

    def entropy(self, name: str) -> ClientEntropy:
        """What a client draws its ids and jitter from."""
        return ClientEntropy(self.stream(name))

    def number(self, name: str) -> int:
        """A seed for something else that is seeded by a number."""
        return self.stream(name).getrandbits(64)


class ClientEntropy:
    """`odyssey_client.Entropy` from one stream."""

    def __init__(self, stream: random.Random) -> None:
        self._stream = stream

    def uuid(self) -> str:
        return str(uuid.UUID(int=self._stream.getrandbits(128), version=4))

    def uniform(self, low: float, high: float) -> float:
        return self._stream.uniform(low, high)
