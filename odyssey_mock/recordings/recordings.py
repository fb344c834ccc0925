"""What streams have left, and the files of it, made when they are first asked for (`protocol.md` section 6)."""

from functools import partial
from pathlib import Path

from odyssey_mock.core.strict_json import JSON
from odyssey_mock.recordings.artifact_urls import ArtifactUrls
from odyssey_mock.recordings.artifacts import ARTIFACTS, left_by
from odyssey_mock.recordings.file_store import FileDroppedError, FileStore, StoredFile
from odyssey_mock.recordings.stream_records import StreamRecord, StreamStore


class NoArtifactError(LookupError):
    """There is no such file; the message says why."""


class Recordings:
    """The recordings of the streams that a mock remembers; a stream that is forgotten loses its files."""

    def __init__(self, streams: StreamStore, urls: ArtifactUrls) -> None:
        self.urls = urls
        self._streams = streams
        self._store = FileStore()
        streams.on_forgotten(self._drop)

    def describe(self, record: StreamRecord, base_url: str) -> dict[str, JSON]:
        """Give a stream's `Recording` as JSON, with fresh URLs; what the stream has not left is null.

        Args:
            record: the stream.
            base_url: what the URLs begin with: scheme and authority as the client knows them, without a slash.
        """
        left = left_by(record)
        urls = {
            artifact.field: self.urls.make(base_url, record.id, artifact.name) if artifact in left else None
            for artifact in ARTIFACTS.values()
        }
        return {
            "stream_id": record.id,
            **urls,
            "frame_count": record.frame_count,
            "duration_seconds": record.duration_seconds,
        }

    async def file(self, stream_id: str, artifact: str) -> Path:
        """Find a stream's file, made now where it was not asked for before; it stays until the stream is forgotten.

        Args:
            stream_id: the stream.
            artifact: `video.mp4`, `preview.mp4`, `thumbnail.jpg` or `events.jsonl`.

        Raises:
            NoArtifactError: no such stream or artifact; or the stream is on, or has left no film.
            RuntimeError: the mock was left.
        """
        return (await self.stored(stream_id, artifact)).path

    async def stored(self, stream_id: str, artifact: str) -> StoredFile:
        """Find a stream's file as `file` does, with what is known of it.

        Raises:
            NoArtifactError: as for `file`.
            RuntimeError: the mock was left.
        """
        record = self._streams.records.get(stream_id)
        if record is None:
            raise NoArtifactError(f"no stream {stream_id[:64]!r}: it was forgotten, or never was")
        wanted = ARTIFACTS.get(artifact)
        if wanted is None:
            raise NoArtifactError(f"expected one of {', '.join(ARTIFACTS)}, got {artifact[:64]!r}")
        if wanted not in left_by(record):
            raise NoArtifactError(f"the stream {stream_id} has no {artifact}: {_why_not(record)}")
        try:
            return await self._store.get(_name(stream_id, artifact), partial(wanted.write, record))
        except FileDroppedError:
            raise NoArtifactError(f"the stream {stream_id} was forgotten while its {artifact} was made") from None

    async def settle(self) -> None:
        """Wait until no thread works any more for a stream that was forgotten."""
        await self._store.settle()

    async def close(self) -> None:
        """Remove every file, and stop making them; may be called more than once."""
        await self._store.close()

    def _drop(self, stream_id: str) -> None:
        for artifact in ARTIFACTS:
            self._store.drop(_name(stream_id, artifact))


def _name(stream_id: str, artifact: str) -> str:
    return f"{stream_id}-{artifact}"


def _why_not(record: StreamRecord) -> str:
    if record.ended_at is None:
        return "it is still on"
    return "it ended before its first frame" if record.error is None else f"it failed: {record.error}"
