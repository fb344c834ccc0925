"""The text of a media playlist (RFC 8216)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

MEDIA_TYPE = "application/vnd.apple.mpegurl"
INIT = "init.mp4"
VERSION = 7
"""Of the protocol: what fragmented MP4 takes (RFC 8216 section 7)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One segment in a playlist.

    Attributes:
        number: counts the segments of a stream, from 0.
        seconds: how long it is.
        began: when its first frame was made, in seconds since the epoch.
    """

    number: int
    seconds: float
    began: float

    @property
    def name(self) -> str:
        """Name of its file."""
        return f"segment_{self.number}.mp4"


def write_playlist(entries: Sequence[Entry], *, target: int, is_over: bool, query: str) -> str:
    """Write a playlist.

    Args:
        entries: the segments that it lists, oldest first; one at least.
        target: whole seconds that none of the stream's segments is longer than, rounded (section 4.3.3.1).
        is_over: whether no segment will follow.
        query: what follows the name of each file, with its question mark; empty for none.
    """
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{VERSION}",
        f"#EXT-X-TARGETDURATION:{target}",
        f"#EXT-X-MEDIA-SEQUENCE:{entries[0].number}",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        f'#EXT-X-MAP:URI="{INIT}{query}"',
    ]
    for entry in entries:
        began = datetime.fromtimestamp(entry.began, UTC).isoformat(timespec="milliseconds")
        lines += [
            f"#EXT-X-PROGRAM-DATE-TIME:{began.replace('+00:00', 'Z')}",
            f"#EXTINF:{entry.seconds:.5f},",
            entry.name + query,
        ]
    return "\n".join([*lines, *(["#EXT-X-ENDLIST"] if is_over else []), ""])
