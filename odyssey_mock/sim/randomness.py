"""Named streams of random numbers, all derived from the seed of a run.

Drawing from one stream does not change the others. If the client sends one more request, for example, the server's ids,
the delays of the network and the scenario stay the same.
"""

from __future__ import annotations

import random
import uuid


class Randomness:
    """The random streams of one seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._streams: dict[str, random.Random] = {}

    def stream(self, name: str) -> random.Random:
        """Return the stream called `name`; the same seed and name give the same numbers in every process."""
        if name not in self._streams:
            # `random.Random` hashes strings with SHA-512, independent of PYTHONHASHSEED.
            self._streams[name] = random.Random(f"{self.seed}/{name}")  # noqa: S311 - it must be repeatable
        return self._streams[name]

    def entropy(self, name: str) -> ClientEntropy:
        """Return a source of ids and jitter for a client. It draws from the stream called `name`."""
        return ClientEntropy(self.stream(name))

    def number(self, name: str) -> int:
        """Draw a number from the stream called `name`, for example to seed another generator."""
        return self.stream(name).getrandbits(64)


class ClientEntropy:
    """An `odyssey_client.Entropy` that draws from one stream."""

    def __init__(self, stream: random.Random) -> None:
        self._stream = stream

    def uuid(self) -> str:
        return str(uuid.UUID(int=self._stream.getrandbits(128), version=4))

    def uniform(self, low: float, high: float) -> float:
        return self._stream.uniform(low, high)
