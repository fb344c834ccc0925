"""Thread-safe views of the parts of a mock: `mock.journal`, `mock.faults`, `mock.sessions` and so on.

A view has the methods and properties of the part that it represents, and runs them in the thread of the mock. Methods
that wait block the caller; `mock.aio` has their async forms.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Unpack, override

from odyssey_mock.broadcasts.broadcast import Broadcast
from odyssey_mock.broadcasts.spectator import Spectator, SpectatorState
from odyssey_mock.core.clock import Clock, Deadline
from odyssey_mock.core.journal import NOTHING, Entry, Journal, Kind
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.faults.keywords import FaultKeywords
from odyssey_mock.faults.registry import ActiveFault, Faults
from odyssey_mock.media.encoder import Codec
from odyssey_mock.recordings.file_store import StoredFile
from odyssey_mock.recordings.recordings import Recordings
from odyssey_mock.recordings.stream_records import StreamRecord
from odyssey_mock.sessions.session import Session
from odyssey_mock.sessions.session_machine import SessionState
from odyssey_mock.sessions.signaling_socket import INTERNAL_ERROR
from odyssey_mock.simulations.job_records import JobRecord
from odyssey_mock.simulations.jobs import Jobs
from odyssey_mock.sync.server_thread import ServerThread


class JournalView:
    """Thread-safe view of a mock's journal; see `Journal`."""

    def __init__(self, thread: ServerThread, journal: Journal) -> None:
        self._thread = thread
        self._journal = journal

    @property
    def began_at(self) -> float:
        """When the journal was created, in seconds since the epoch on the server's clock."""
        return self._journal.began_at

    @property
    def entries(self) -> Sequence[Entry]:
        """The entries that the journal still has, oldest first."""
        return self._journal.entries

    @property
    def next_index(self) -> int:
        """The index that the next entry of the journal will have."""
        return self._journal.next_index

    @property
    def dropped(self) -> int:
        """Number of old entries dropped since the server started or was reset (`journal_limit`, `journal_bytes`)."""
        return self._journal.dropped

    def to_text(self) -> str:
        """Return all entries as readable text, one line for each entry."""
        return self._journal.to_text()

    def find(self, kind: Kind | None = None, name: str | None = None, *, since: int = 0, **where: JSON) -> list[Entry]:
        """Return the matching entries from index `since` on, oldest first; see `Entry.matches`."""
        return self._journal.find(kind, name, since=since, **where)

    def wait_for(self, kind: Kind, name: str, timeout: float = 5.0, *, since: int = 0, **where: JSON) -> Entry:
        """Block until a matching entry exists, and return it; see `Journal.wait_for`.

        Raises:
            JournalTimeoutError: no matching entry was written within `timeout` seconds.
        """
        __tracebackhide__ = True
        return self._thread.run(
            "journal.wait_for(...)", lambda: self._journal.wait_for(kind, name, timeout, since=since, **where)
        )

    def record(
        self,
        kind: Kind,
        name: str,
        data: Mapping[str, JSON] = NOTHING,
        /,
        *,
        account: str | None = None,
        session: str | None = None,
        stream: str | None = None,
        **more: JSON,
    ) -> Entry:
        """Write an entry, for example a note of the test; see `Journal.record`.

        Raises:
            TypeError: `data` contains a value of a type that JSON does not have.
        """
        __tracebackhide__ = True
        return self._thread.call(
            self._journal.record, kind, name, data, account=account, session=session, stream=stream, **more
        )

    def clear(self) -> None:
        """Remove all entries. Indexes of later entries continue the count."""
        self._thread.call(self._journal.clear)

    def to_jsonl(self) -> str:
        """Return all entries as JSON Lines."""
        return self._journal.to_jsonl()


class FaultsView:
    """Thread-safe view of a mock's faults; see `Faults`."""

    def __init__(self, thread: ServerThread, faults: Faults) -> None:
        self._thread = thread
        self._faults = faults

    def __iter__(self) -> Iterator[ActiveFault]:
        return iter(self._thread.call(tuple, self._faults))

    def __len__(self) -> int:
        return len(self._faults)

    def __getitem__(self, fault_id: str) -> ActiveFault:
        return self._faults[fault_id]

    def add(self, described: Mapping[str, JSON] | None = None, /, **fields: Unpack[FaultKeywords]) -> ActiveFault:
        """Append a fault, given as a mapping, as keyword arguments, or as both, and return it as an `ActiveFault`.

        Raises:
            FaultError: the fault is invalid. It is not added.
        """
        __tracebackhide__ = True
        return self._thread.call(self._faults.add, described, **fields)

    def extend(self, described: Iterable[Mapping[str, JSON]]) -> list[ActiveFault]:
        """Append several faults, and return each as an `ActiveFault`.

        Raises:
            FaultError: a fault is invalid. No fault is added.
        """
        __tracebackhide__ = True
        return self._thread.call(self._faults.extend, described)

    def remove(self, fault_id: str) -> None:
        """Remove a fault. Effects that the fault has already caused continue.

        Raises:
            KeyError: no fault has this id.
        """
        self._thread.call(self._faults.remove, fault_id)

    def clear(self) -> None:
        """Remove all faults."""
        self._thread.call(self._faults.clear)

    def reset(self) -> None:
        """Restore the initial faults, with their counts `passed` and `fired` at 0."""
        self._thread.call(self._faults.reset)


class SessionView:
    """Thread-safe view of one session of a mock; see `Session`.

    Attributes:
        id: the id of the session.
        account_id: the account that opened the session.
        streamer_id: the streamer that the session occupies.
        region: the region of the streamer.
        created_at: when the session was created, in seconds since the epoch on the server's clock.
    """

    def __init__(self, thread: ServerThread, session: Session) -> None:
        self._thread = thread
        self._session = session
        self.id = session.id
        self.account_id = session.account_id
        self.streamer_id = session.streamer_id
        self.region = session.region
        self.created_at = session.created_at

    def __repr__(self) -> str:
        return f"<Session {self.id}, {self.state}>"

    @property
    def state(self) -> SessionState:
        """The state of the session's machine."""
        return self._session.state

    @property
    def stream(self) -> StreamRecord | None:
        """The running stream, or None."""
        return self._thread.call(lambda: self._session.stream)

    @property
    def is_served(self) -> bool:
        """Whether the signaling socket of the session's client is open or still closing."""
        return self._session.is_served

    @property
    def has_socket(self) -> bool:
        """Whether a client's signaling socket is open."""
        return self._session.has_socket

    def interact(self, prompt: str) -> str:
        """Change the picture of the running stream as an interaction of the client does; return the applied prompt.

        The client gets no message. See `Session.interact`.

        Raises:
            SessionStateError: no stream is running.
        """
        __tracebackhide__ = True
        return self._thread.call(self._session.interact, prompt)

    def end_stream(self) -> None:
        """End the running stream as the service can do: send `stream_ended`. The session continues.

        Raises:
            SessionStateError: no stream is running.
        """
        __tracebackhide__ = True
        self._thread.call(self._session.end_stream)

    def break_stream(self, reason: str, message: str) -> None:
        """Fail the running stream as if the model had crashed.

        Raises:
            SessionStateError: no stream is running.
        """
        __tracebackhide__ = True
        self._thread.call(self._session.break_stream, reason, message)

    def close_socket(self, code: int = INTERNAL_ERROR, reason: str = "") -> None:
        """Close the client's signaling socket with a WebSocket close code; see `Session.close_socket`.

        Raises:
            CloseFrameError: no endpoint may send the code, or the reason is too long.
            SessionStateError: no signaling socket of the session is open.
        """
        __tracebackhide__ = True
        self._thread.run("sessions[...].close_socket(...)", lambda: self._session.close_socket(code, reason))

    def abandon(self) -> None:
        """Leave the session as a closed browser tab does: the socket closes without `client_disconnecting`.

        A session whose client has connected ends, or becomes stale if `stale_session` is above 0. Before a client has
        connected, the session waits for another socket. The client's socket is closed with 1000, and the mock ignores
        all messages that it has received and not yet handled.

        Raises:
            SessionStateError: no signaling socket of the session is open.
        """
        self._thread.call(self._session.abandon)

    def vanish(self) -> None:
        """Make the peer stop sending and receiving, as if a cable were cut. Has no effect without a connection."""
        self._thread.call(self._session.vanish)

    def shut_down(self) -> None:
        """End the session from the server's side; return once it is completely closed."""
        self._thread.run("sessions[...].shut_down()", self._session.shut_down)


class SpectatorView:
    """Thread-safe view of one spectator of a broadcast; see `Spectator`.

    Attributes:
        number: the number of the spectator in its broadcast, from 1.
        resource: the secret part of the spectator's WHEP resource.
    """

    def __init__(self, thread: ServerThread, spectator: Spectator) -> None:
        self._thread = thread
        self._spectator = spectator
        self.number = spectator.number
        self.resource = spectator.resource

    def __repr__(self) -> str:
        return repr(self._spectator)

    @property
    def state(self) -> SpectatorState:
        """The state of the spectator."""
        return self._spectator.state

    @property
    def codec(self) -> Codec | None:
        """The negotiated codec; None before the SDP answer."""
        return self._spectator.codec

    @property
    def frames_dropped(self) -> int:
        """Number of frames dropped because the spectator was too slow, or was waiting for its first key frame."""
        return self._spectator.frames_dropped

    def leave(self, why: str) -> None:
        """End the spectator's connection, in any state. The `why` of the first call is the recorded reason."""
        self._thread.call(self._spectator.leave, why)

    def vanish(self, why: str) -> None:
        """Drop the spectator's connection without closing it properly, as when the network fails."""
        self._thread.call(self._spectator.vanish, why)


class BroadcastView:
    """Thread-safe view of one broadcast of a mock; see `Broadcast`.

    Attributes:
        stream_id: the id of the stream.
        account_id: the account that owns the stream.
        session_id: the session of the stream.
        token: the spectator token.
        webrtc_url: the base of the WHEP endpoint.
        hls_url: the URL of the playlist, including the token; None if HLS is disabled.
    """

    def __init__(self, thread: ServerThread, broadcast: Broadcast) -> None:
        self._thread = thread
        self._broadcast = broadcast
        self.stream_id = broadcast.stream_id
        self.account_id = broadcast.account_id
        self.session_id = broadcast.session_id
        self.token = broadcast.token
        self.webrtc_url = broadcast.webrtc_url
        self.hls_url = broadcast.hls_url

    def __repr__(self) -> str:
        return repr(self._broadcast)

    @property
    def is_over(self) -> bool:
        """Whether the stream has ended."""
        return self._broadcast.is_over

    @property
    def spectators(self) -> Mapping[str, SpectatorView]:
        """The spectators that are connecting, connected or closing, by `Spectator.resource`."""
        current = self._thread.call(lambda: dict(self._broadcast.spectators))
        return {resource: SpectatorView(self._thread, each) for resource, each in current.items()}

    @property
    def frames_encoded(self) -> Mapping[Codec, int]:
        """Number of frames encoded so far, by codec, for the host and all spectators together."""
        return self._thread.call(lambda: dict(self._broadcast.frames_encoded))


class JobsView(Mapping[str, JobRecord]):
    """Thread-safe view of a mock's simulation jobs; see `Jobs`."""

    def __init__(self, thread: ServerThread, jobs: Jobs) -> None:
        self._thread = thread
        self._jobs = jobs

    @override
    def __getitem__(self, job_id: str) -> JobRecord:
        return self._jobs[job_id]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._thread.call(tuple, self._jobs))

    @override
    def __len__(self) -> int:
        return len(self._jobs)

    def cancel(self, job_id: str) -> JobRecord:
        """Cancel a job.

        Raises:
            KeyError: the job is unknown.
            NotCancellableError: the job has ended, or it is being processed and `cancel_processing` is off.
        """
        return self._thread.call(self._jobs.cancel, job_id)

    def lose_worker(self, job_id: str) -> None:
        """Simulate the loss of a job's worker; block until its run has stopped. See `Jobs.lose_worker`.

        Raises:
            KeyError: the job is unknown.
            ValueError: the job is neither dispatched nor processing.
        """
        self._thread.run("jobs.lose_worker(...)", lambda: self._jobs.lose_worker(job_id))


class RecordingsView:
    """Thread-safe view of a mock's recordings; see `Recordings`."""

    def __init__(self, thread: ServerThread, recordings: Recordings) -> None:
        self._thread = thread
        self._recordings = recordings

    def file(self, stream_id: str, artifact: str) -> Path:
        """Return the path of one file of a stream's recording, written on first use; see `Recordings.file`.

        Raises:
            NoArtifactError: the stream or the artifact is unknown, the stream is running, or it has no video.
        """
        return self._thread.run("recordings.file(...)", lambda: self._recordings.file(stream_id, artifact))

    def stored(self, stream_id: str, artifact: str) -> StoredFile:
        """Return the file that `file` returns, together with its size and digest.

        Raises:
            NoArtifactError: the stream or the artifact is unknown, the stream is running, or it has no video.
        """
        return self._thread.run("recordings.stored(...)", lambda: self._recordings.stored(stream_id, artifact))


class ClockView:
    """Thread-safe view of a mock's clock; see `odyssey_mock.Clock`. `mock.advance` advances it."""

    def __init__(self, thread: ServerThread, clock: Clock) -> None:
        self._thread = thread
        self._clock = clock

    def time(self) -> float:
        """Return the time of the mock's clock in seconds since the epoch."""
        return self._clock.time()

    @property
    def speed(self) -> float | None:
        """Seconds of this clock per real second while it is not paused; None if it moves only by `advance`."""
        return self._clock.speed

    @property
    def is_paused(self) -> bool:
        """Whether the clock stands still because of `pause`."""
        return self._clock.is_paused

    def pause(self) -> None:
        """Let the clock stand still until `resume`. Deadlines fire only during `advance`; the video continues.

        Raises:
            ClockKindError: the clock never moves by itself.
        """
        self._thread.call(self._clock.pause)

    def resume(self) -> None:
        """Let a paused clock continue at its speed. Has no effect if the clock is not paused.

        Raises:
            ClockKindError: the clock never moves by itself.
        """
        self._thread.call(self._clock.resume)

    def set_speed(self, speed: float) -> None:
        """Let the clock run `speed` times as fast as real time. Pending deadlines fire earlier or later accordingly.

        A paused clock stays paused, and has this speed from `resume` on.

        Raises:
            ValueError: `speed` is 0 or less, not a number, or greater than 1,000,000.
            ClockKindError: the clock never moves by itself.
        """
        __tracebackhide__ = True
        self._thread.call(self._clock.set_speed, speed)

    @property
    def pending(self) -> Sequence[Deadline]:
        """The pending deadlines, earliest first."""
        return self._thread.call(lambda: self._clock.pending)


class AsyncJobs:
    """Async forms of the methods of `JobsView` that block."""

    def __init__(self, thread: ServerThread, jobs: Jobs) -> None:
        self._thread = thread
        self._jobs = jobs

    async def lose_worker(self, job_id: str) -> None:
        """Simulate the loss of a job's worker; see `Jobs.lose_worker`."""
        await self._thread.wait(lambda: self._jobs.lose_worker(job_id))


class AsyncRecordings:
    """Async forms of the methods of `RecordingsView`."""

    def __init__(self, thread: ServerThread, recordings: Recordings) -> None:
        self._thread = thread
        self._recordings = recordings

    async def file(self, stream_id: str, artifact: str) -> Path:
        """Return the path of one file of a stream's recording; see `Recordings.file`."""
        return await self._thread.wait(lambda: self._recordings.file(stream_id, artifact))

    async def stored(self, stream_id: str, artifact: str) -> StoredFile:
        """Return the file that `file` returns, together with its size and digest."""
        return await self._thread.wait(lambda: self._recordings.stored(stream_id, artifact))


class AsyncJournal:
    """Async form of `JournalView.wait_for`."""

    def __init__(self, thread: ServerThread, journal: Journal) -> None:
        self._thread = thread
        self._journal = journal

    async def wait_for(self, kind: Kind, name: str, timeout: float = 5.0, *, since: int = 0, **where: JSON) -> Entry:
        """Wait for a matching entry, and return it; see `Journal.wait_for`."""
        __tracebackhide__ = True
        return await self._thread.wait(lambda: self._journal.wait_for(kind, name, timeout, since=since, **where))


class AsyncSession:
    """Async forms of the methods of `SessionView` that block."""

    def __init__(self, thread: ServerThread, session: Session) -> None:
        self._thread = thread
        self._session = session

    async def shut_down(self) -> None:
        """End the session from the server's side; return once it is completely closed."""
        await self._thread.wait(self._session.shut_down)

    async def close_socket(self, code: int = INTERNAL_ERROR, reason: str = "") -> None:
        """Close the client's signaling socket with a WebSocket close code; see `Session.close_socket`."""
        await self._thread.wait(lambda: self._session.close_socket(code, reason))
