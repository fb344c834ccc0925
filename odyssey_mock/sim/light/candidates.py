"""Candidates that come by themselves: light peers need none, and judge them as others do."""

from aiortc.sdp import candidate_from_sdp

from odyssey_mock.rtc.peer_connection import DescriptionError


def check_candidate(candidate: str) -> None:
    """Make sure that a text is a candidate line, or says that there are no more.

    Raises:
        DescriptionError: it is neither.
    """
    if not candidate or ".local " in candidate:
        return
    try:
        candidate_from_sdp(candidate.removeprefix("candidate:"))
    except (ValueError, IndexError, AssertionError) as error:
        raise DescriptionError("the candidate is no ICE candidate line (RFC 8839 section 5.1)") from error
