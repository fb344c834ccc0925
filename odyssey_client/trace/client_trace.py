"""What one client records: its events, with its name and the ids of its session and stream."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Literal

from odyssey_client.errors import OdysseyConfigError
from odyssey_client.models import JSON
from odyssey_client.platform import Clock
from odyssey_client.redaction import get_logger
from odyssey_client.trace.described import described, error_text
from odyssey_client.trace.events import Lane, Manifest, Source
from odyssey_client.trace.log_records import record_logs, stop_recording_logs
from odyssey_client.trace.recorder import Data, Recorder, Span
from odyssey_client.trace.waiting import Waiting
from odyssey_client.version import client_version

logger = get_logger("odyssey_client.trace")

type Target = str | os.PathLike[str] | Recorder
"""Where a client records: the path of the file to write, or a recorder."""


class ClientTrace:
    """Records the events of one client.

    Attributes:
        recorder: Keeps the events.
        session: Id of the current or last session; None before the first.
        stream: Id of the running stream; None if there is none.
        is_due: Whether the file must be written once the running call has returned.
        is_restoring: Whether a connection that was lost is being restored.
    """

    def __init__(
        self, recorder: Recorder, path: Path | None = None, *, title: str = "", is_virtual: bool = False
    ) -> None:
        """Create a record without events. ``path`` is the file to write; None if the recorder belongs to the caller."""
        self.recorder = recorder
        self.session: str | None = None
        self.stream: str | None = None
        self.is_due = False
        self.is_restoring = False
        self._is_saved = True
        """Whether no call has begun since the file was written."""
        self._path = path
        self._title = title
        self._is_virtual = is_virtual
        self._actor = recorder.new_actor()
        self._generation = recorder.generation

    @property
    def actor(self) -> str:
        """The name of the client in the recording."""
        if self._generation != self.recorder.generation:
            self._generation, self._actor = self.recorder.generation, self.recorder.new_actor()
        return self._actor

    def add(
        self,
        lane: Lane,
        name: str,
        data: Data | None = None,
        *,
        at: float | None = None,
        sender: Literal["client", "server"] | None = None,
        error: str | None = None,
        image: bytes | None = None,
        size: int | None = None,
    ) -> None:
        """Record an event; see `Recorder.add`."""
        self.recorder.add(
            lane,
            name,
            data,
            at=at,
            actor=self.actor,
            session=self.session,
            stream=self.stream,
            sender=sender,
            error=error,
            image=image,
            size=size,
        )

    def begin(
        self, lane: Lane, name: str, data: Data | None = None, *, source: Source | None = None, size: int | None = None
    ) -> Span:
        """Record the beginning of a span; see `Recorder.begin`."""
        return self.recorder.begin(
            lane,
            name,
            data,
            actor=self.actor,
            session=self.session,
            stream=self.stream,
            source=source,
            size=size,
        )

    def begin_call(self, name: str, arguments: Mapping[str, object], source: Source | None) -> RecordedCall:
        """Record the beginning of a public call."""
        self._is_saved = False
        if self._path is not None:
            record_logs(self.recorder)
        return RecordedCall(self, name, {key: described(value) for key, value in arguments.items()}, source)

    def begin_callback(self, name: str, arguments: Sequence[object]) -> Span:
        """Record the beginning of a handler's call; the caller ends the span."""
        return self.begin("callback", name, {"event": described(arguments)})

    def transition(self, machine: str, before: str, after: str, why: str) -> None:
        """Record a transition of a state machine."""
        data: dict[str, JSON] = {"machine": machine, "from": before, "to": after, "why": why}
        self.add("state", f"{machine} {before} -> {after}", data)

    async def save(self) -> None:
        """Write the file, if there is one to write. A failure is only logged."""
        self.is_due, self._is_saved = False, True
        if self._path is None:
            return
        stop_recording_logs(self.recorder)
        thread = ThreadPoolExecutor(1, thread_name_prefix="odyssey-client-trace")
        try:
            await asyncio.get_running_loop().run_in_executor(thread, self._write, self._path)
        except RuntimeError:  # an exiting Python starts no threads
            self._write(self._path)
        finally:
            thread.shutdown(wait=False)

    async def save_rest(self) -> None:
        """Write the file, if a call has begun since it was written."""
        if not self._is_saved:
            await self.save()

    def _write(self, path: Path) -> None:
        from odyssey_client.trace.archive import write_trace  # noqa: PLC0415 - imports zipfile, which takes 10 ms

        try:
            recording = self.recorder.snapshot()
            manifest = Manifest(
                title=self._title,
                began_at=recording.began_at,
                duration=recording.duration,
                time="virtual" if self._is_virtual else "real",
                recorded_by=recorded_by(),
            )
            write_trace(path, recording, manifest)
        except Exception as error:
            logger.warning("the trace could not be written to %s: %s", path, error_text(error))


class RecordedCall(Waiting):
    """A public call that is being recorded."""

    __slots__ = ("_arguments", "_span")

    def __init__(self, trace: ClientTrace, name: str, arguments: Mapping[str, JSON], source: Source | None) -> None:
        super().__init__()
        self._arguments: dict[str, JSON] = {"arguments": dict(arguments)}
        self._span = trace.begin("call", name, self._arguments, source=source)
        self._span.update(self._pending)

    def returned(self, result: object) -> None:
        """Record that the call returned ``result``."""
        self._span.end(data={**self._arguments, "result": described(result)})

    def raised(self, error: BaseException) -> None:
        """Record that the call raised ``error``."""
        self._span.end(error=error_text(error), data=self._pending())

    def _pending(self) -> Mapping[str, JSON]:
        what = self.text()
        return self._arguments if what is None else {**self._arguments, "waiting_for": what}


def client_trace(target: Target, clock: Clock, title: str, *, is_virtual: bool) -> ClientTrace:
    """Return the record of a new client.

    Args:
        target: The file to write, or a recorder.
        clock: The clock of the client, for the time axis of the file.
        title: The title of the file.
        is_virtual: Whether the clock is not that of the operating system.

    Raises:
        OdysseyConfigError: ``target`` is something else.
    """
    if isinstance(target, Recorder):
        return ClientTrace(target)
    if not _is_path(target):
        got = "an empty string" if target == "" else type(target).__name__
        raise OdysseyConfigError(f"trace must be the path of a file to write, a trace.Recorder or None, got {got}")
    recorder = Recorder(now=clock.monotonic, began_at=clock.time())
    return ClientTrace(recorder, Path(target), title=title, is_virtual=is_virtual)


def _is_path(target: object) -> bool:
    if not isinstance(target, str | os.PathLike):
        return False
    path: object = os.fspath(target)
    return isinstance(path, str) and path != ""


def harmless[T](what: str, work: Callable[[], T], otherwise: T) -> T:
    """Return the result of ``work``.

    If it raises an exception, log it as a warning and return ``otherwise``: the recording must not change what is
    recorded.
    """
    try:
        return work()
    except Exception:
        logger.warning("%s could not be recorded", what, exc_info=True)
        return otherwise


@cache
def recorded_by() -> Mapping[str, str]:
    """Return the versions of the software that records, for `Manifest.recorded_by`."""
    import platform  # noqa: PLC0415 - only needed once, when a file is written
    from importlib import metadata  # noqa: PLC0415

    versions = {
        "odyssey_client": client_version(),
        "python": platform.python_version(),
        "platform": f"{platform.system()}-{platform.release()}-{platform.machine()}",
    }
    with suppress(metadata.PackageNotFoundError):
        versions["aiortc"] = metadata.version("aiortc")
    return versions
