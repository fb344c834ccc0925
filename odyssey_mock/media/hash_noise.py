"""Numbers that look drawn at random and are the same in every process: hashes of what they are for."""

from hashlib import shake_256

import numpy as np
from numpy.typing import NDArray


def fractions(*seed: str | int, count: int) -> NDArray[np.float64]:
    """Draw `count` numbers from 0 up to 1 that follow from `seed` alone.

    A longer draw from the same seed begins with the shorter one.
    """
    text = "\x1f".join(map(str, seed))
    # Prompts come from JSON, which can hold lone surrogates.
    digest = shake_256(text.encode("utf-8", "surrogatepass")).digest(4 * count)
    return np.frombuffer(digest, ">u4") / 2**32


def fraction(*seed: str | int) -> float:
    """Draw one number from 0 up to 1 that follows from `seed` alone."""
    return float(fractions(*seed, count=1)[0])
