"""Random secrets, ways to encode them, and a check whether a text reveals one."""

import base64
from collections.abc import Callable, Mapping
from functools import lru_cache
from urllib.parse import quote

from hypothesis import strategies as st

PIECE = 8
"""Number of consecutive characters of a secret that no output may contain."""

ENCODINGS: Mapping[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "upper case": str.upper,
    "percent": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "percent once": lambda text: quote(text[:1], safe="") + f"%{ord(text[1]):02X}" + text[2:],
    "percent twice": lambda text: "".join(f"%25{byte:02X}" for byte in text.encode()),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 in the middle": lambda text: base64.urlsafe_b64encode(f"u:{text}!".encode()).decode(),
    "hex": lambda text: text.encode().hex(),
    "json": lambda text: "".join(f"\\u{ord(char):04x}" for char in text),
    "html": lambda text: "".join(f"&#{ord(char)};" for char in text),
}
"""Functions that encode a secret, as a hostile service may do before it repeats the secret."""


def random_secrets() -> st.SearchStrategy[str]:
    """Return a strategy for secrets that are random, as keys and tokens of a service are."""
    # Not a strategy for text: Hypothesis would draw words of the source code, which are no secrets.
    return st.binary(min_size=12, max_size=32).map(
        lambda data: f"7a{base64.urlsafe_b64encode(data).decode().rstrip('=')}Q9"
    )


def leaks(text: str, secret: str) -> bool:
    """Return whether ``text`` contains `PIECE` consecutive characters of ``secret``, in any of `ENCODINGS`."""
    return any(form in text for form in _forms(secret))


@lru_cache(maxsize=64)  # a test looks for one secret in hundreds of texts
def _forms(secret: str) -> frozenset[str]:
    pieces = [secret[start : start + PIECE] for start in range(len(secret) - PIECE + 1)]
    return frozenset(
        encode(piece)
        for piece in pieces
        for name, encode in ENCODINGS.items()
        if name not in {"base64", "base64 in the middle", "percent once"}
    ) | {base64.b64encode(secret[start : start + 12].encode()).decode() for start in range(len(secret) - 12 + 1)}
