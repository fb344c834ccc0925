"""Presigned URLs of artifacts. A URL gives access to one artifact until it expires (`protocol.md` section 6)."""

import hashlib
import hmac
import math
from collections.abc import Callable
from urllib.parse import quote

from odyssey_mock.core.clock import Clock

_MARK = "&signature="


class UrlError(Exception):
    """A URL is invalid or has expired; the message states the reason and does not contain the signature."""


class ArtifactUrls:
    """Creates and checks URLs that are signed with an HMAC-SHA256 (RFC 2104) of their path and expiry time.

    Args:
        clock: the clock that decides whether a URL has expired.
        secret: function that returns the secret of the server, with which the URLs are signed.
        lifetime: function that returns the number of seconds for which a new URL is valid.
        remember: function that is called with each signature, so that it can be masked in outputs.
    """

    def __init__(
        self,
        clock: Clock,
        secret: Callable[[], str],
        lifetime: Callable[[], float],
        *,
        remember: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._clock = clock
        self._remember = remember
        self._secret = secret
        self._lifetime = lifetime

    def make(self, base_url: str, stream_id: str, artifact: str) -> str:
        """Return the URL of a stream's artifact; it begins with `base_url`, which has no slash at the end."""
        expires = math.ceil(self._clock.time() + self._lifetime())
        signed = f"/artifacts/{quote(stream_id, safe='')}/{quote(artifact, safe='')}?expires={expires}"
        signature = self._signature(signed.encode())
        self._remember(signature)
        return f"{base_url}{signed}{_MARK}{signature}"

    def check(self, path: bytes, query: bytes) -> None:
        """Check that a URL was created by `make` and has not expired; `path` and `query` are as received.

        Raises:
            UrlError: the URL was not created by `make`, was modified, or has expired.
        """
        signed, _, signature = (path + b"?" + query).rpartition(_MARK.encode())
        # The signature covers the URL up to `_MARK`, undecoded, so that each URL has exactly one valid spelling.
        if not hmac.compare_digest(self._signature(signed).encode(), signature):
            raise UrlError("The signature of this URL is invalid; get the recording again for new URLs")
        late = self._clock.time() - int(signed.rpartition(b"=")[2])
        if late >= 0:
            raise UrlError(f"This URL expired {late:.0f} s ago; get the recording again for a new one")

    def _signature(self, signed: bytes) -> str:
        return hmac.new(self._secret().encode(), signed, hashlib.sha256).hexdigest()
