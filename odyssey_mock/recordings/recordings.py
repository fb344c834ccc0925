"""The recordings of streams; their files are written on first request (`protocol.md` section 6)."""

import asyncio
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path

from odyssey_mock.core.clock import Clock
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.recordings.artifact_urls import ArtifactUrls
from odyssey_mock.recordings.artifacts import ARTIFACTS, left_by
from odyssey_mock.recordings.file_store import PART, FileDroppedError, FileStore, StoredFile
from odyssey_mock.recordings.stream_records import StreamRecord, StreamStore

GRAIN = 1e-6
"""Tolerance in seconds when times since the epoch are compared, larger than the rounding error of floats."""


class NoArtifactError(LookupError):
    """The requested file of a recording does not exist; the message states the reason."""


class Recordings:
    """The recordings of the streams in a `StreamStore`. When the store drops a record, its files are deleted."""

    def __init__(self, streams: StreamStore, urls: ArtifactUrls, clock: Clock, files: FileStore) -> None:
        self.urls = urls
        self._streams = streams
        self._clock = clock
        self._store = files
        self._delayed = {
            each.id: each for each in streams.records.values() if each.recording_delay and each.ended_at is not None
        }
        """Ended streams whose recordings are not available yet, and some others."""
        streams.on_ended(self._stream_ended)
        streams.on_forgotten(self._drop)

    def available_of(self, account_id: str) -> tuple[Iterator[StreamRecord], int]:
        """Return the streams of an account whose recordings clients can get, newest first, and their number."""
        # Few streams are running or delayed, and an account can have thousands of others.
        for stream_id in [each.id for each in self._delayed.values() if self.is_available(each)]:
            del self._delayed[stream_id]
        waiting = [*self._streams.running.values(), *self._delayed.values()]
        absent = {each.id for each in waiting if each.account_id == account_id and not self.is_available(each)}
        records = self._streams.newest_first(account_id)
        return (each for each in records if each.id not in absent), self._streams.count_of(account_id) - len(absent)

    def is_available(self, record: StreamRecord) -> bool:
        """Return whether clients can get the recording. The recordings of simulation jobs are available at once."""
        return self.why_unavailable(record) is None

    def why_unavailable(self, record: StreamRecord) -> str | None:
        """Return why clients cannot get the recording yet; None if they can."""
        if not record.recording_delay:
            return None
        takes = f"its recording takes {record.recording_delay:g} s after its end (setting `latency`)"
        if record.ended_at is None:
            return f"the stream {record.id} is still running; {takes}"
        left = record.recording_delay - (self._clock.time() - record.ended_at)
        return f"the stream {record.id} has ended; {takes}, of which {left:.1f} s are left" if left >= GRAIN else None

    def describe(self, record: StreamRecord, base_url: str) -> dict[str, JSON]:
        """Return a stream's `Recording` as JSON, with newly signed URLs. The URL of a missing artifact is null.

        Args:
            record: the record of the stream.
            base_url: the beginning of the URLs: scheme and authority as the client uses them, without a trailing slash.
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
        """Return the path of one file of a stream's recording. The file is written on the first call.

        The file is deleted when the mock drops the record of the stream (`streams_limit`).

        Args:
            stream_id: the id of the stream.
            artifact: `video.mp4`, `preview.mp4`, `thumbnail.jpg` or `events.jsonl`.

        Raises:
            NoArtifactError: the stream or the artifact is unknown, the stream is running, or it has no video.
            RuntimeError: the mock is closed.
        """
        return (await self.stored(stream_id, artifact)).path

    async def stored(self, stream_id: str, artifact: str) -> StoredFile:
        """Return the file that `file` returns, together with its size and digest.

        Raises:
            NoArtifactError: the file does not exist, for the reasons listed for `file`.
            RuntimeError: the mock is closed.
        """
        record = self._streams.records.get(stream_id)
        if record is None:
            raise NoArtifactError(f"unknown stream {stream_id[:64]!r}: its record was dropped, or it never existed")
        wanted = ARTIFACTS.get(artifact)
        if wanted is None:
            raise NoArtifactError(f"expected one of {', '.join(ARTIFACTS)}, got {artifact[:64]!r}")
        if wanted not in left_by(record):
            raise NoArtifactError(f"the stream {stream_id} has no {artifact}: {_why_not(record)}")
        try:
            return await self._store.get(_name(stream_id, artifact), partial(wanted.write, record))
        except FileDroppedError:
            raise NoArtifactError(
                f"the record of the stream {stream_id} was dropped while its {artifact} was being written"
            ) from None

    @property
    def is_unused(self) -> bool:
        """Whether no file was requested yet."""
        return self._store.is_unused

    async def tidy(self, directory: Path) -> None:
        """Delete the incomplete files in the directory of an earlier process, and those of streams without a record."""
        known = {_name(stream_id, artifact) for stream_id in self._streams.records for artifact in ARTIFACTS}
        await asyncio.to_thread(_tidy, directory, known)

    async def settle(self) -> None:
        """Wait until no thread writes a file of a stream whose record was dropped; see `FileStore.settle`."""
        await self._store.settle()

    async def close(self) -> None:
        """Delete all files and refuse to write new ones; may be called more than once."""
        await self._store.close()

    def _stream_ended(self, record: StreamRecord) -> None:
        if record.recording_delay:
            self._delayed[record.id] = record

    def _drop(self, stream_id: str) -> None:
        self._delayed.pop(stream_id, None)
        for artifact in ARTIFACTS:
            self._store.drop(_name(stream_id, artifact))


def _tidy(directory: Path, known: Collection[str]) -> None:
    endings = (PART, *(f"-{artifact}" for artifact in ARTIFACTS))
    for path in directory.iterdir():
        if path.name not in known and path.name.endswith(endings):
            path.unlink(missing_ok=True)


def _name(stream_id: str, artifact: str) -> str:
    return f"{stream_id}-{artifact}"


def _why_not(record: StreamRecord) -> str:
    if record.ended_at is None:
        return "it is still running"
    return "it ended before its first frame" if record.error is None else f"it failed: {record.error}"
