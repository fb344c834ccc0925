"""Presigned URLs of artifacts: who has one may fetch the file, until it expires (`protocol.md` section 6)."""

import hashlib
import hmac
import math
from urllib.parse import quote

from odyssey_mock.core.clock import Clock
from odyssey_mock.core.entropy import Entropy

_MARK = "&signature="


class UrlError(Exception):
    """A URL is not accepted; the message says why, and does not contain its signature."""


class ArtifactUrls:
    """Makes and checks URLs that end in an HMAC-SHA256 (RFC 2104) over path and expiry, under a secret of this server.

    Args:
        clock: what the expiry counts on.
        entropy: where the secret comes from.
        lifetime: seconds that a URL is good for.
    """

    def __init__(self, clock: Clock, entropy: Entropy, lifetime: float) -> None:
        self._clock = clock
        self._secret = entropy.token(32).encode()
        self._lifetime = lifetime

    def make(self, base_url: str, stream_id: str, artifact: str) -> str:
        """Make the URL of a stream's artifact, below `base_url` (without a slash at its end)."""
        expires = math.ceil(self._clock.time() + self._lifetime)
        signed = f"/artifacts/{quote(stream_id, safe='')}/{quote(artifact, safe='')}?expires={expires}"
        return f"{base_url}{signed}{_MARK}{self._signature(signed.encode())}"

    def check(self, path: bytes, query: bytes) -> None:
        """Accept a URL that `make` has made, by its path and query exactly as they came, and nothing else.

        Raises:
            UrlError: a character of it is another, something is missing or added, or it has expired.
        """
        signed, _, signature = (path + b"?" + query).rpartition(_MARK.encode())
        # Everything before the signature goes into it, undecoded: there is no second way to write the same URL.
        if not hmac.compare_digest(self._signature(signed).encode(), signature):
            raise UrlError("This URL is not as it was handed out; get the recording again for its URLs")
        late = self._clock.time() - int(signed.rpartition(b"=")[2])
        if late >= 0:
            raise UrlError(f"This URL expired {late:.0f} s ago; get the recording again for a new one")

    def _signature(self, signed: bytes) -> str:
        return hmac.new(self._secret, signed, hashlib.sha256).hexdigest()
