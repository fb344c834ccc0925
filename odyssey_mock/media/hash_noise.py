"""Pseudorandom numbers from hashes: the same seed gives the same numbers in every process."""

from hashlib import shake_256

import numpy as np
from numpy.typing import NDArray


def fractions(*seed: str | int, count: int) -> NDArray[np.float64]:
    """Return `count` pseudorandom numbers from 0 (included) to 1 (excluded) that depend only on `seed`.

    A larger `count` only appends numbers: the first numbers stay the same.
    """
    text = "\x1f".join(map(str, seed))
    # Prompts are parsed from JSON, which can contain lone surrogates.
    digest = shake_256(text.encode("utf-8", "surrogatepass")).digest(4 * count)
    return np.frombuffer(digest, ">u4") / 2**32


def fraction(*seed: str | int) -> float:
    """Return one pseudorandom number from 0 (included) to 1 (excluded) that depends only on `seed`."""
    return float(fractions(*seed, count=1)[0])
