"""`MockOdyssey`, a fake Odyssey service for tests."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, Unpack

from odyssey_mock.accounts.accounts import MockAccount
from odyssey_mock.assertions.expectations import Step, Wanted, expect, expect_in_order, expect_none
from odyssey_mock.assertions.histories import (
    JOB,
    SESSION,
    STREAM,
    History,
    JobStateName,
    SessionStateName,
    StreamStateName,
)
from odyssey_mock.assertions.requests import Requests, requests
from odyssey_mock.backend import Backend, drawn
from odyssey_mock.broadcasts.registry import Broadcasts
from odyssey_mock.core.clock import Clock, Deadline, ManualClock, RealClock
from odyssey_mock.core.entropy import Entropy, SeededEntropy, SystemEntropy
from odyssey_mock.core.journal import Entry, Journal, Kind
from odyssey_mock.core.redaction import get_logger
from odyssey_mock.core.state_store import NO_STATE
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.current_settings import CurrentSettings
from odyssey_mock.faults.fault import Fault
from odyssey_mock.faults.registry import Faults
from odyssey_mock.http.app import Application
from odyssey_mock.http.endpoint import Endpoint, OwnEndpoint
from odyssey_mock.http.outage import Outage
from odyssey_mock.http.reachable_urls import ReachableUrl, reachable_urls
from odyssey_mock.recordings.recordings import Recordings
from odyssey_mock.recordings.stream_records import StreamRecord
from odyssey_mock.rtc.protocols import MockNetwork
from odyssey_mock.settings import (
    AccountKeywords,
    AccountSettings,
    ChangeableSettings,
    ClockKind,
    MockOverrides,
    Plan,
    Settings,
)
from odyssey_mock.simulations.jobs import Jobs
from odyssey_mock.system_network import SystemNetwork

if TYPE_CHECKING:
    from odyssey_mock.media.frame_encoder import MakeFrameEncoder
    from odyssey_mock.sessions.session import Session
    from odyssey_mock.state.saved_state import SavedState
    from odyssey_mock.tls.server_tls import ServerTls

CLOSE_SESSIONS = 5.0
"""Maximum seconds that a closing mock waits for its spectators, and the same for its sessions and simulation jobs."""

logger = get_logger("odyssey_mock")

type MockObserver = Callable[[MockOdyssey], AbstractAsyncContextManager[object]]
"""A function that returns a context manager, which is entered when a mock has started, and exited when it stops."""
_observers: list[MockObserver] = []
"""The observers of all mocks that this process starts, in any thread."""


@contextmanager
def no_mock_observed() -> Iterator[None]:
    """During the block, enter no observers of `all_mocks_observed` for mocks that start."""
    kept = _observers[:]
    _observers.clear()
    try:
        yield
    finally:
        _observers[:] = kept


@contextmanager
def all_mocks_observed(observe: MockObserver) -> Iterator[None]:
    """During the block, enter `observe(mock)` for each mock of this process that starts."""
    _observers.append(observe)
    try:
        yield
    finally:
        _observers.remove(observe)


class MockOdyssey:
    """A fake Odyssey service with real HTTP, WebSocket and WebRTC, running in the current event loop.

    Use it as an async context manager. `url` is available from the start of the block. The journal can be read even
    after the block::

        async with MockOdyssey(clock="manual") as mock:
            client = Odyssey(mock.api_key, api_url=mock.url)

    Args:
        settings: the base settings; by default `Settings()`.
        plan: `free` or `unlimited` (`PLANS`): sets all account limits that `overrides` does not set.
        clock: `real`, `manual`, or a `Clock`, which the mock enters and exits; by default `settings.clock`.
        entropy: the source of ids and secrets; by default created from `settings.seed`. With `state_dir`, it must not
            return the values of an earlier start again.
        network: opens sockets and creates WebRTC peers; by default `SystemNetwork()`.
        frame_encoder: makes the video packets of live streams; by default frames are drawn and encoded.
        endpoint: the addresses of the mock; by default it opens its own on `settings.host` and `settings.port`.
        **overrides: single settings by name; see `odyssey_mock/settings.py`.

    Raises:
        UnknownSettingError: a keyword in `overrides` is not the name of a setting.
        SettingsError: the value of a setting is invalid, or the plan is unknown.
        FaultError: one of `faults` is invalid.
        CertificateError: at the start, a file of `tls_cert`, `tls_key` or `tls_dir` cannot be used.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        plan: Plan | None = None,
        clock: Clock | ClockKind | None = None,
        entropy: Entropy | None = None,
        network: MockNetwork | None = None,
        frame_encoder: MakeFrameEncoder = drawn,
        endpoint: Endpoint | None = None,
        **overrides: Unpack[MockOverrides],
    ) -> None:
        settings = settings or Settings()
        if isinstance(clock, str):
            settings = settings.replace(clock=clock)
            clock = None
        settings = settings.replace(plan=plan, **overrides) if plan or overrides else settings
        for fault in settings.faults:
            Fault.of(fault)
        self._settings = CurrentSettings(settings)
        self._clock = clock or (ManualClock() if settings.clock == "manual" else RealClock(settings.speed))
        seed = settings.seed
        self._entropy = entropy or (SystemEntropy() if seed is None else SeededEntropy(seed))
        self._network = network or SystemNetwork()
        self._frame_encoder = frame_encoder
        self._endpoint = endpoint
        keys = settings.keys
        self.api_key = f"ody_{self._entropy.token(18)}" if keys is None else next(iter(keys))
        """An API key that the mock accepts: the first key in the settings, or a generated key if they contain none."""
        self._backend: Backend | None = None
        self._outage: Outage | None = None
        self._application: Application | None = None
        self._resources: AsyncExitStack | None = None
        self._root_certificate: Path | None = None

    def __repr__(self) -> str:
        where = "not running" if self._backend is None else self._backend.url
        return f"<MockOdyssey {where}>"

    @property
    def backend(self) -> Backend:
        """The internal state of the server, for tests that need more than this class offers.

        Raises:
            RuntimeError: the mock has not been entered.
        """
        if self._backend is None:
            raise RuntimeError("the mock is not running; enter it first: async with MockOdyssey() as mock: ...")
        return self._backend

    @property
    def settings(self) -> Settings:
        """The current settings. `change_settings` replaces them with another `Settings` object."""
        return self._settings.now

    @property
    def url(self) -> str:
        """Base URL of the REST API, without a trailing slash: the setting `public_url`, or else `listening_url`."""
        return self.backend.url

    @property
    def listening_url(self) -> str:
        """The URL of the address on which the mock listens, for a proxy in front of it."""
        return self.backend.listening_url

    @property
    def urls(self) -> Sequence[ReachableUrl]:
        """Every URL at which clients reach the mock now: from this machine, from other machines, and `public_url`."""
        running = self.backend
        return reachable_urls(
            running.listening_url,
            addresses=self._network.ice_addresses(loopback_only=False),
            accepts=running.accepts,
            public_url=self.settings.public_url,
        )

    @property
    def root_certificate(self) -> Path | None:
        """The file with the root certificate that clients must trust; None without the setting `tls`.

        ::

            async with MockOdyssey(tls=True) as mock:
                network = SystemNetwork(ca_file=mock.root_certificate)
                client = Odyssey(mock.api_key, api_url=mock.url, network=network)
        """
        return self._root_certificate

    @property
    def control_token(self) -> str:
        """The token for the control API (`/_mock`): the setting `control_token`, or a generated token.

        Requests need it only if other machines can reach the mock; see "Run a server" in the documentation.
        """
        return self.backend.control_token

    @property
    def clock(self) -> Clock:
        """The server's clock. A real clock has a speed, and can be paused.

        ::

            mock.clock.pause()
            mock.clock.resume()
            mock.clock.set_speed(10)
        """
        return self._clock

    @property
    def faults(self) -> Faults:
        """The faults that the mock injects.

        ::

            mock.faults.add(at="rest.sessions.request", do="status", status=503, times=3)
        """
        return self.backend.faults

    @property
    def journal(self) -> Journal:
        """The ordered record of requests, messages, state changes, deadlines and faults."""
        return self.backend.journal

    @property
    def sessions(self) -> Mapping[str, Session]:
        """The current sessions by id, without those that are closing. Each session occupies one streamer."""
        return self.backend.sessions.sessions

    @property
    def streams(self) -> Mapping[str, StreamRecord]:
        """The running and ended streams by id. Above `streams_limit`, the oldest ended streams are deleted."""
        return self.backend.streams.records

    @property
    def broadcasts(self) -> Broadcasts:
        """The broadcasts by stream id, with their spectators and counts of encoded frames.

        An ended broadcast stays listed as long as its playlist can be fetched (`hls_linger`).
        """
        return self.backend.broadcasts

    @property
    def jobs(self) -> Jobs:
        """The simulation jobs by id. A test can inspect or cancel a job, or make it lose its worker.

        ::

            job = await client.simulate(script=script)
            await mock.advance(0.4)
            await mock.jobs.lose_worker(job.job_id)
            await mock.advance(60)

            record = mock.jobs[job.job_id]
            assert (record.status, record.retry_count) == ("completed", 1)
            assert [state for state, _ in record.history][:4] == ["pending", "dispatched", "processing", "pending"]
        """
        return self.backend.jobs

    @property
    def recordings(self) -> Recordings:
        """The recordings of ended streams; `await recordings.file(stream_id, "video.mp4")` returns a file's path."""
        return self.backend.recordings

    @property
    def telemetry(self) -> Sequence[Mapping[str, JSON]]:
        """The telemetry events that clients sent, oldest first."""
        return self.backend.telemetry.events

    @property
    def aio(self) -> Self:
        """The mock itself: ``await mock.aio.advance(60)`` works with this class and with `sync.MockOdyssey`."""
        return self

    def add_account(self, **keywords: Unpack[AccountKeywords]) -> MockAccount:
        """Add an account with its own API key, for example with another plan; see `AccountSettings`.

        ::

            other = mock.add_account(concurrent_sessions=1)
            client = Odyssey(other.api_key, api_url=mock.url)

        Raises:
            SettingsError: the plan or a limit is invalid.
        """
        return self.backend.accounts.add(AccountSettings(**keywords))

    def change_settings(self, *, plan: Plan | None = None, **changes: Unpack[ChangeableSettings]) -> None:
        """Change settings while the mock runs. If one value is invalid, nothing changes.

        ::

            mock.change_settings(concurrent_sessions=1, stream_duration=30)

        Some settings apply at once, others to new sessions, broadcasts or jobs; `host`, `clock` and some more cannot
        change. `GET /_mock/settings` shows this for each setting (`applies`). The journal records the change. `reset`
        and another start of the mock restore the initial settings.

        Args:
            plan: sets all account limits that `changes` does not set.
            **changes: settings by name.

        Raises:
            UnknownSettingError: a keyword in `changes` is not the name of a setting.
            FixedSettingError: a setting cannot change while the mock runs.
            SettingsError: the value of a setting is invalid, or the plan is unknown.
        """
        __tracebackhide__ = True
        self.backend.change_settings(plan=plan, **changes)

    async def reset(self) -> None:
        """End all sessions, broadcasts and jobs. Delete the records of streams and jobs, the telemetry and the journal.

        Access tokens become invalid, and the used hours of every account become 0. Time and address are kept.
        Settings, faults and the speed of the clock are set back to those of the start, and a paused clock continues. An
        outage (`go_away`) is ended first.
        """
        await self._running_outage().come_back()
        await self.backend.reset()

    async def wait_for(self, kind: Kind, name: str, timeout: float = 5.0, *, since: int = 0, **where: JSON) -> Entry:
        """Wait for a matching journal entry and return it; see `Journal.wait_for`.

        `timeout` is in real seconds, even if the clock is manual.

        Raises:
            JournalTimeoutError: no matching entry was written within `timeout` seconds.
        """
        __tracebackhide__ = True
        return await self.journal.wait_for(kind, name, timeout, since=since, **where)

    def expect(
        self, name: str, *, kind: Kind | None = None, count: int | None = None, since: int = 0, **where: JSON
    ) -> Entry:
        """Assert that the journal has a matching entry, and return the first one.

        ::

            mock.expect("POST /sessions/token", status=200)
            mock.expect("rest.sessions.request", kind="fault", count=3)

            connected = mock.expect("session", to="connected")
            mock.expect_none("interactive_stream_error", since=connected.index)
            mock.expect_in_order(["offer", "answer", ("session", {"to": "connected"}), "stream_started"])

        Args:
            name: the `Entry.name`: a route, a message type, a fault point, the name of a deadline, or the object whose
                state changed (`session`, `stream`, `socket`).
            kind: the `Entry.kind`; needed only if entries of several kinds have this name.
            count: the exact number of matching entries; None for one or more.
            since: entries before this index are ignored.
            **where: values that the entry must have, as in `Entry.matches`.

        Raises:
            ExpectationError: no entry matches, or the number of matching entries is not `count`. The message shows
                the most similar entry.
            ValueError: `count` is below 1.
        """
        __tracebackhide__ = True
        return expect(self.journal, Wanted(name, kind, where), count=count, since=since)

    def expect_none(self, name: str, *, kind: Kind | None = None, since: int = 0, **where: JSON) -> None:
        """Assert that the journal has no matching entry; the arguments are those of `expect`.

        Raises:
            ExpectationError: an entry matches. The message shows the first one.
        """
        __tracebackhide__ = True
        expect_none(self.journal, Wanted(name, kind, where), since=since)

    def expect_in_order(self, steps: Sequence[Step], *, since: int = 0) -> Sequence[Entry]:
        """Assert that the journal has a matching entry for each step, in this order, and return these entries.

        Other entries may be in between.

        Args:
            steps: for each step, a name, or a pair of a name and a mapping with `kind` and values, as for `expect`.
            since: entries before this index are ignored.

        Raises:
            ExpectationError: a step has no matching entry after the entry of the previous step. The message shows the
                most similar entry.
        """
        __tracebackhide__ = True
        return expect_in_order(self.journal, steps, since=since)

    def requests(self, route: str, *, since: int = 0, **where: JSON) -> Requests:
        """Return the requests that the mock received on one route, oldest first.

        ::

            assert len(mock.requests("POST /sessions/token")) == 2
            assert [each.status for each in mock.requests("POST /sessions/request")] == [503, 200]

        Args:
            route: the method, and the route (`GET /recordings/{stream_id}`) or the path of one request.
            since: journal entries before this index are ignored.
            **where: values that the requests must have, as in `Entry.matches`: `status=503`.

        Raises:
            ValueError: the mock has no such route, and received no such request. The message names the most similar
                route.
        """
        __tracebackhide__ = True
        routes = () if self._application is None else self._application.route_names
        return requests(self.journal, route, routes, since=since, where=where)

    def stream(self, stream_id: str) -> History[StreamStateName]:
        """Return the states that a live or simulated stream went through.

        ::

            mock.stream(stream_id).reached("ended")

        Raises:
            ExpectationError: the journal has no such stream.
        """
        __tracebackhide__ = True
        return History(STREAM, stream_id, self.journal)

    def session(self, session_id: str) -> History[SessionStateName]:
        """Return the states that a session went through.

        Raises:
            ExpectationError: the journal has no such session.
        """
        __tracebackhide__ = True
        return History(SESSION, session_id, self.journal)

    def job(self, job_id: str) -> History[JobStateName]:
        """Return the states that a simulation job went through.

        Raises:
            ExpectationError: the journal has no such job.
        """
        __tracebackhide__ = True
        return History(JOB, job_id, self.journal)

    async def go_away(self, seconds: float | None = None) -> None:
        """Simulate an outage: cut all connections without closing them properly, and refuse new ones.

        Accounts, tokens and jobs are kept; sessions are kept for `session_grace` seconds. The address stays reserved.

        Args:
            seconds: the length of the outage on the server's clock; None: until `come_back()` is called.

        Raises:
            ValueError: `seconds` is negative or not a number.
        """
        await self._running_outage().go(seconds)

    async def come_back(self) -> None:
        """End an outage: listen again on the same address. Has no effect if there is no outage."""
        await self._running_outage().come_back()

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass on the server's clock; return when the callbacks of all deadlines in this time have ended.

        A real clock jumps forward, and continues at its speed; see `Clock.advance`.

        Raises:
            ValueError: `seconds` is negative, not a number, or leads beyond the year 9999.
        """
        __tracebackhide__ = True
        await self._clock.advance(seconds)

    async def advance_to_next(self) -> Deadline | None:
        """Advance the server's clock to the earliest pending deadline, and return it; None if no deadline is pending.

        See `Clock.advance_to_next`.

        Raises:
            ValueError: the deadline is beyond the year 9999.
        """
        __tracebackhide__ = True
        return await self._clock.advance_to_next()

    async def __aenter__(self) -> Self:
        if self._resources is not None:
            raise RuntimeError(f"{self!r} is already running and cannot be entered again; create another MockOdyssey")
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError(
                "MockOdyssey requires an event loop of asyncio; with another library, such as trio, use "
                "odyssey_mock.sync.MockOdyssey, which has a loop of its own: with MockOdyssey() as mock: ..."
            ) from None
        async with AsyncExitStack() as resources:
            await resources.enter_async_context(self._clock)
            state = await self._open_state(resources)
            endpoint = self._endpoint
            if endpoint is None:
                tls = await self._tls()
                self._root_certificate = None if tls is None else tls.root_file
                context = None if tls is None else tls.context
                settings = self.settings
                own = OwnEndpoint(self._network, settings.host, settings.port, settings.udp_port_range, context)
                endpoint = await resources.enter_async_context(own)
            self._settings.reset()
            backend = Backend(
                settings=self._settings,
                clock=self._clock,
                entropy=self._entropy,
                network=self._network,
                listening_url=endpoint.base_url,
                stun_port=endpoint.stun_port,
                accepts=endpoint.accepts,
                listens_on_loopback=endpoint.is_loopback,
                frame_encoder=self._frame_encoder,
                state=state or NO_STATE,
                recordings_directory=None if state is None else state.recordings,
            )
            if self.settings.keys is None:
                self.api_key = backend.secrets.keep("api key", self.api_key)
            backend.api_key = self.api_key
            # Closed after the HTTP server, because requests may be waiting for a file.
            resources.push_async_callback(backend.recordings.close)
            await backend.restore()
            await backend.state.flush()
            self._application = Application(backend, self.go_away)
            http = await resources.enter_async_context(endpoint.serve(self._application))
            outage = Outage(
                http,
                clock=backend.clock,
                journal=backend.journal,
                sessions=backend.sessions,
                broadcasts=backend.broadcasts,
            )
            resources.push_async_callback(
                _end_all, backend, backend.jobs.close if state is None else backend.jobs.suspend
            )
            self._backend = backend
            self._outage = outage
            for observe in tuple(_observers):
                await resources.enter_async_context(observe(self))
            self._resources = resources.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        resources, self._resources = self._resources, None
        if resources is None:
            return
        try:
            await resources.__aexit__(kind, error, trace)
        finally:
            self.backend.let_go()
            if self._application is not None:
                self._application.let_go()

    async def _open_state(self, resources: AsyncExitStack) -> SavedState | None:
        """Open the directory of the setting `state_dir`, if any, and continue the time and the ids of its mock."""
        if self.settings.state_dir is None:
            return None
        from odyssey_mock.state.saved_state import SavedState  # noqa: PLC0415 - a mock without `state_dir` needs no SQLite

        state = await resources.enter_async_context(SavedState(Path(self.settings.state_dir), now=self._clock.time))
        if state.previous is not None:
            if self.settings.seed is not None and isinstance(self._entropy, SeededEntropy):
                # Otherwise the mock would give new objects the ids of saved ones.
                self._entropy = SeededEntropy(self.settings.seed, start=state.previous.starts)
            await self._clock.advance(max(0.0, state.previous.time - self._clock.time()))
        return state

    async def _tls(self) -> ServerTls | None:
        """Return how the mock speaks TLS; None if it does not."""
        settings = self.settings
        if not settings.tls and settings.tls_cert is None:
            return None
        # A mock without TLS needs no cryptography to start.
        from odyssey_mock.tls.server_tls import certificate_names, default_directory, issued_tls, tls_of_files  # noqa: PLC0415

        now = datetime.now(UTC)
        if settings.tls_cert is not None and settings.tls_key is not None:
            return await asyncio.to_thread(tls_of_files, Path(settings.tls_cert), Path(settings.tls_key), now=now)
        machine = socket.gethostname()
        names = certificate_names(
            host=settings.host,
            addresses=[*self._network.ice_addresses(loopback_only=False), *settings.udp_addresses],
            machine=machine,
            public_url=settings.public_url,
            control_hosts=settings.control_hosts,
        )
        directory = default_directory() if settings.tls_dir is None else Path(settings.tls_dir)
        return await asyncio.to_thread(issued_tls, directory, names, owner=machine, now=now)

    def _running_outage(self) -> Outage:
        if self._outage is None:
            raise RuntimeError("the mock is not running; enter it first: async with MockOdyssey() as mock: ...")
        return self._outage


async def _end_all(backend: Backend, end_jobs: Callable[[], Awaitable[None]]) -> None:
    if backend.is_unused:
        return
    async with AsyncExitStack() as ends:  # in the reverse order, and each of them even if another one fails
        ends.push_async_callback(_close_in_time, "spectators", backend.broadcasts.close)
        ends.push_async_callback(_close_in_time, "videos of the console", backend.monitors.close)
        ends.push_async_callback(_close_in_time, "sessions", backend.sessions.close)
        ends.push_async_callback(_close_in_time, "simulation jobs", end_jobs)


async def _close_in_time(what: str, close: Callable[[], Awaitable[None]]) -> None:
    try:
        async with asyncio.timeout(CLOSE_SESSIONS):
            await close()
    except TimeoutError:
        # Possible causes: a client does not read, or an image is being decoded. The caller can fix neither: only warn.
        logger.warning("closing the mock: %s did not end within %s s; their end was not awaited", what, CLOSE_SESSIONS)
