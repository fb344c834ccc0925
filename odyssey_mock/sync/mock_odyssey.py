"""`MockOdyssey` for code outside of the mock's event loop: sync tests, other event loops, threads."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self, Unpack

from odyssey_mock.accounts.accounts import MockAccount
from odyssey_mock.assertions.expectations import Step
from odyssey_mock.assertions.histories import History, JobStateName, SessionStateName, StreamStateName
from odyssey_mock.assertions.requests import Requests
from odyssey_mock.core.clock import Deadline
from odyssey_mock.core.journal import Entry, Kind
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.http.reachable_urls import ReachableUrl
from odyssey_mock.recordings.stream_records import StreamRecord
from odyssey_mock.server import MockOdyssey as LoopMock
from odyssey_mock.settings import AccountKeywords, ChangeableSettings, ClockKind, MockOverrides, Plan, Settings
from odyssey_mock.sync.server_thread import ServerThread
from odyssey_mock.sync.views import (
    AsyncJobs,
    AsyncJournal,
    AsyncRecordings,
    AsyncSession,
    BroadcastView,
    ClockView,
    FaultsView,
    JobsView,
    JournalView,
    RecordingsView,
    SessionView,
)


class MockOdyssey:
    """A fake Odyssey service that runs in a background thread. Use it from any thread and any kind of code.

    It has the methods and properties of `odyssey_mock.MockOdyssey`, without `await`. Use it as a context manager. The
    journal can be read even after the block::

        with MockOdyssey(clock="manual") as mock:
            response = httpx.post(f"{mock.url}/auth/token", json={"api_key": mock.api_key})
            mock.advance(3600)

    Calls that wait, such as `advance` and `wait_for`, block. In async code, write ``await mock.aio.advance(3600)``:
    `aio` has the async forms of these calls under the same names, for asyncio and trio.

    All mocks of a process share one thread.

    Args:
        settings: the base settings; by default `Settings()`.
        plan: `free` or `unlimited` (`PLANS`): sets all account limits that `overrides` does not set.
        clock: `real` or `manual`; by default `settings.clock`.
        **overrides: single settings by name; see `odyssey_mock/settings.py`.

    Raises:
        UnknownSettingError: a keyword in `overrides` is not the name of a setting.
        SettingsError: the value of a setting is invalid, or the plan is unknown.
        FaultError: one of `faults` is invalid.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        plan: Plan | None = None,
        clock: ClockKind | None = None,
        **overrides: Unpack[MockOverrides],
    ) -> None:
        self._current: LoopMock | None = LoopMock(settings, plan=plan, clock=clock, **overrides)
        self._server: ServerThread | None = None
        self._is_over = False

    def __repr__(self) -> str:
        if self._server is None:
            return "<MockOdyssey not running>"
        return f"<MockOdyssey {self.url}{' ended' if self._is_over else ''}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a mock cannot be copied to another process; pass mock.url and mock.api_key to it instead")

    def __enter__(self) -> Self:
        if self._server is not None:
            state = "has ended" if self._is_over else "is already running"
            raise RuntimeError(f"{self!r} {state} and cannot be entered again; create another MockOdyssey")
        server = ServerThread.shared()
        server.execute(self._mock.__aenter__)
        self._server = server
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over = True
        self._thread.execute(lambda: self._mock.__aexit__(None, None, None))

    @property
    def aio(self) -> "AsyncCalls":
        """The async forms of the calls that wait: ``await mock.aio.advance(60)``."""
        return AsyncCalls(self._thread, self._mock)

    # Properties

    @property
    def settings(self) -> Settings:
        """The current settings. `change_settings` replaces them with another `Settings` object."""
        return self._mock.settings

    @property
    def api_key(self) -> str:
        """An API key that the mock accepts: the first key in the settings, or a generated key if they contain none."""
        return self._mock.api_key

    @property
    def url(self) -> str:
        """Base URL of the REST API, without a trailing slash: the setting `public_url`, or else `listening_url`."""
        return self._mock.url

    @property
    def listening_url(self) -> str:
        """The URL of the address on which the mock listens, for a proxy in front of it."""
        return self._mock.listening_url

    @property
    def urls(self) -> Sequence[ReachableUrl]:
        """Every URL at which clients reach the mock now: from this machine, from other machines, and `public_url`."""
        return self._thread.call(lambda: self._mock.urls)

    @property
    def root_certificate(self) -> Path | None:
        """The file with the root certificate that clients must trust; None without the setting `tls`.

        ::

            with MockOdyssey(tls=True) as mock:
                network = SystemNetwork(ca_file=mock.root_certificate)
                client = Odyssey(mock.api_key, api_url=mock.url, network=network)
        """
        return self._mock.root_certificate

    @property
    def control_token(self) -> str:
        """The token for the control API (`/_mock`): the setting `control_token`, or a generated token.

        Requests need it only if other machines can reach the mock; see "Run a server" in the documentation.
        """
        return self._thread.call(lambda: self._mock.control_token)

    @property
    def clock(self) -> ClockView:
        """The server's clock. A real clock has a speed, and can be paused.

        ::

            mock.clock.pause()
            mock.clock.resume()
            mock.clock.set_speed(10)
        """
        return ClockView(self._thread, self._mock.clock)

    @property
    def faults(self) -> FaultsView:
        """The faults that the mock injects; see `odyssey_mock.MockOdyssey.faults`."""
        return FaultsView(self._thread, self._mock.faults)

    @property
    def journal(self) -> JournalView:
        """The ordered record of requests, messages, state changes, deadlines and faults."""
        return JournalView(self._thread, self._mock.journal)

    @property
    def sessions(self) -> Mapping[str, SessionView]:
        """Copy of the current sessions by id, without those that are closing. Each session occupies one streamer."""
        current = self._thread.call(lambda: dict(self._mock.sessions))
        return {session_id: SessionView(self._thread, session) for session_id, session in current.items()}

    @property
    def streams(self) -> Mapping[str, StreamRecord]:
        """Copy of the running and ended streams by id. Above `streams_limit`, the oldest ended streams are deleted."""
        return self._thread.call(lambda: dict(self._mock.streams))

    @property
    def broadcasts(self) -> Mapping[str, BroadcastView]:
        """Copy of the broadcasts by stream id; see `odyssey_mock.MockOdyssey.broadcasts`."""
        current = self._thread.call(lambda: dict(self._mock.broadcasts))
        return {stream_id: BroadcastView(self._thread, broadcast) for stream_id, broadcast in current.items()}

    @property
    def jobs(self) -> JobsView:
        """The simulation jobs by id. A test can inspect or cancel a job, or make it lose its worker."""
        return JobsView(self._thread, self._mock.jobs)

    @property
    def recordings(self) -> RecordingsView:
        """The recordings of ended streams; `recordings.file(stream_id, "video.mp4")` returns a file's path."""
        return RecordingsView(self._thread, self._mock.recordings)

    @property
    def telemetry(self) -> Sequence[Mapping[str, JSON]]:
        """The telemetry events that clients sent, oldest first."""
        return self._thread.call(lambda: self._mock.telemetry)

    # Calls that wait; `AsyncCalls` has their async forms

    def reset(self) -> None:
        """End all sessions, broadcasts and jobs. Delete the records of streams and jobs, the telemetry and the journal.

        Access tokens become invalid, and the used hours of every account become 0. Time and address are kept.
        Settings, faults and the speed of the clock are set back to those of the start, and a paused clock continues. An
        outage (`go_away`) is ended first.
        """
        self._thread.run("reset()", self._mock.reset)

    def wait_for(self, kind: Kind, name: str, timeout: float = 5.0, *, since: int = 0, **where: JSON) -> Entry:
        """Block until a matching journal entry exists, and return it; see `Journal.wait_for`.

        `timeout` is in real seconds, even if the clock is manual.

        Raises:
            JournalTimeoutError: no matching entry was written within `timeout` seconds.
        """
        __tracebackhide__ = True
        return self._thread.run("wait_for(...)", lambda: self._mock.wait_for(kind, name, timeout, since=since, **where))

    def go_away(self, seconds: float | None = None) -> None:
        """Simulate an outage: cut all connections without closing them properly, and refuse new ones.

        Accounts, tokens and jobs are kept; sessions are kept for `session_grace` seconds. The address stays reserved.

        Args:
            seconds: the length of the outage on the server's clock; None: until `come_back()` is called.

        Raises:
            ValueError: `seconds` is negative or not a number.
        """
        self._thread.run("go_away(...)", lambda: self._mock.go_away(seconds))

    def come_back(self) -> None:
        """End an outage: listen again on the same address. Has no effect if there is no outage."""
        self._thread.run("come_back()", self._mock.come_back)

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass on the server's clock; return when the callbacks of all deadlines in this time have ended.

        A real clock jumps forward, and continues at its speed; see `Clock.advance`.

        Raises:
            ValueError: `seconds` is negative, not a number, or leads beyond the year 9999.
        """
        __tracebackhide__ = True
        self._thread.run("advance(...)", lambda: self._mock.advance(seconds))

    def advance_to_next(self) -> Deadline | None:
        """Advance the server's clock to the earliest pending deadline, and return it; None if no deadline is pending.

        See `Clock.advance_to_next`.

        Raises:
            ValueError: the deadline is beyond the year 9999.
        """
        __tracebackhide__ = True
        return self._thread.run("advance_to_next()", self._mock.advance_to_next)

    # Calls that do not wait

    def change_settings(self, *, plan: Plan | None = None, **changes: Unpack[ChangeableSettings]) -> None:
        """Change settings while the mock runs; see `odyssey_mock.MockOdyssey.change_settings`.

        Raises:
            UnknownSettingError: a keyword in `changes` is not the name of a setting.
            FixedSettingError: a setting cannot change while the mock runs.
            SettingsError: the value of a setting is invalid, or the plan is unknown.
        """
        __tracebackhide__ = True
        self._thread.call(lambda: self._mock.change_settings(plan=plan, **changes))

    def add_account(self, **keywords: Unpack[AccountKeywords]) -> MockAccount:
        """Add an account with its own API key, for example with another plan; see `AccountSettings`.

        Raises:
            SettingsError: the plan or a limit is invalid.
        """
        return self._thread.call(self._mock.add_account, **keywords)

    def expect(
        self, name: str, *, kind: Kind | None = None, count: int | None = None, since: int = 0, **where: JSON
    ) -> Entry:
        """Assert that the journal has a matching entry, and return the first; see `odyssey_mock.MockOdyssey.expect`.

        Raises:
            ExpectationError: no entry matches, or the number of matching entries is not `count`. The message shows
                the most similar entry.
            ValueError: `count` is below 1.
        """
        __tracebackhide__ = True
        return self._mock.expect(name, kind=kind, count=count, since=since, **where)

    def expect_none(self, name: str, *, kind: Kind | None = None, since: int = 0, **where: JSON) -> None:
        """Assert that the journal has no matching entry; the arguments are those of `expect`.

        Raises:
            ExpectationError: an entry matches. The message shows the first one.
        """
        __tracebackhide__ = True
        self._mock.expect_none(name, kind=kind, since=since, **where)

    def expect_in_order(self, steps: Sequence[Step], *, since: int = 0) -> Sequence[Entry]:
        """Assert that the journal has a matching entry for each step, in this order, and return these entries.

        See `odyssey_mock.MockOdyssey.expect_in_order`.

        Raises:
            ExpectationError: a step has no matching entry after the entry of the previous step. The message shows the
                most similar entry.
        """
        __tracebackhide__ = True
        return self._mock.expect_in_order(steps, since=since)

    def requests(self, route: str, *, since: int = 0, **where: JSON) -> Requests:
        """Return the requests that the mock received on one route; see `odyssey_mock.MockOdyssey.requests`.

        Raises:
            ValueError: the mock has no such route, and received no such request. The message names the most similar
                route.
        """
        __tracebackhide__ = True
        return self._mock.requests(route, since=since, **where)

    def stream(self, stream_id: str) -> History[StreamStateName]:
        """Return the states that a live or simulated stream went through.

        Raises:
            ExpectationError: the journal has no such stream.
        """
        __tracebackhide__ = True
        return self._mock.stream(stream_id)

    def session(self, session_id: str) -> History[SessionStateName]:
        """Return the states that a session went through.

        Raises:
            ExpectationError: the journal has no such session.
        """
        __tracebackhide__ = True
        return self._mock.session(session_id)

    def job(self, job_id: str) -> History[JobStateName]:
        """Return the states that a simulation job went through.

        Raises:
            ExpectationError: the journal has no such job.
        """
        __tracebackhide__ = True
        return self._mock.job(job_id)

    @property
    def _thread(self) -> ServerThread:
        if self._server is None:
            raise RuntimeError("the mock is not running; enter it first: with MockOdyssey() as mock: ...")
        return self._server

    @property
    def _mock(self) -> LoopMock:
        if self._current is None:
            raise RuntimeError("the mock is not running; enter it first: with MockOdyssey() as mock: ...")
        return self._current


class AsyncCalls:
    """The async forms of the methods of `MockOdyssey` that block. They wait in the caller's event loop."""

    def __init__(self, thread: ServerThread, mock: LoopMock) -> None:
        self._thread = thread
        self._mock = mock

    @property
    def jobs(self) -> AsyncJobs:
        """Async forms of the methods of `mock.jobs` that block."""
        return AsyncJobs(self._thread, self._mock.jobs)

    @property
    def journal(self) -> AsyncJournal:
        """Async forms of the methods of `mock.journal` that block."""
        return AsyncJournal(self._thread, self._mock.journal)

    @property
    def recordings(self) -> AsyncRecordings:
        """Async forms of the methods of `mock.recordings` that block."""
        return AsyncRecordings(self._thread, self._mock.recordings)

    @property
    def sessions(self) -> Mapping[str, AsyncSession]:
        """The sessions in `mock.sessions` by id, each with the async forms of its methods that block."""
        current = self._thread.call(lambda: dict(self._mock.sessions))
        return {session_id: AsyncSession(self._thread, session) for session_id, session in current.items()}

    async def reset(self) -> None:
        """End all sessions, broadcasts and jobs, and delete all records and the journal; see `MockOdyssey.reset`."""
        await self._thread.wait(self._mock.reset)

    async def wait_for(self, kind: Kind, name: str, timeout: float = 5.0, *, since: int = 0, **where: JSON) -> Entry:
        """Wait for a matching journal entry and return it; see `Journal.wait_for`.

        Raises:
            JournalTimeoutError: no matching entry was written within `timeout` seconds.
        """
        __tracebackhide__ = True
        return await self._thread.wait(lambda: self._mock.wait_for(kind, name, timeout, since=since, **where))

    async def go_away(self, seconds: float | None = None) -> None:
        """Simulate an outage; see `MockOdyssey.go_away`."""
        await self._thread.wait(lambda: self._mock.go_away(seconds))

    async def come_back(self) -> None:
        """End an outage: listen again on the same address."""
        await self._thread.wait(self._mock.come_back)

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass on the server's clock; return when the callbacks of all deadlines in this time have ended.

        A real clock jumps forward, and continues at its speed; see `Clock.advance`.

        Raises:
            ValueError: `seconds` is negative, not a number, or leads beyond the year 9999.
        """
        __tracebackhide__ = True
        await self._thread.wait(lambda: self._mock.advance(seconds))

    async def advance_to_next(self) -> Deadline | None:
        """Advance the server's clock to the earliest pending deadline, and return it; None if no deadline is pending.

        See `Clock.advance_to_next`.

        Raises:
            ValueError: the deadline is beyond the year 9999.
        """
        __tracebackhide__ = True
        return await self._thread.wait(self._mock.advance_to_next)
