"""The rule for the internals of aiortc that this package replaces, because aiortc has no public way to do so."""

from __future__ import annotations

from aiortc import RTCRtpReceiver

from odyssey_client.redaction import get_logger

logger = get_logger(__name__)


def can_replace(receiver: RTCRtpReceiver, *names: str, what: str, otherwise: str) -> bool:
    """Return whether a receiver has all these attributes. If not, log a warning: the caller must replace none.

    Args:
        receiver: A receiver of any version of aiortc.
        names: The attributes.
        what: What they are.
        otherwise: What happens without a replacement.
    """
    if all(hasattr(receiver, name) for name in names):
        return True
    warn_of_other_version(what, otherwise)
    return False


def warn_of_other_version(what: str, otherwise: str) -> None:
    """Log that this version of aiortc has other internals, and what happens because they are not replaced."""
    logger.warning("this version of aiortc has no replaceable %s; %s", what, otherwise)
