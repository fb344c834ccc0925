"""A mock that runs in the event loop of whoever starts it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self, Unpack

from odyssey_mock.assertions import Step, Wanted, expect, expect_in_order, expect_none
from odyssey_mock.backend import Backend
from odyssey_mock.broadcasts.registry import Broadcasts
from odyssey_mock.core.clock import Clock, ManualClock, RealClock
from odyssey_mock.core.entropy import Entropy, SeededEntropy, SystemEntropy
from odyssey_mock.core.journal import Entry, Journal, Kind
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.faults.fault import Fault
from odyssey_mock.faults.registry import Faults
from odyssey_mock.http.app import create_app
from odyssey_mock.http.outage import Outage
from odyssey_mock.http.uvicorn_server import HttpServer
from odyssey_mock.media.frame_encoder import MakeFrameEncoder, drawn
from odyssey_mock.recordings.recordings import Recordings
from odyssey_mock.recordings.stream_records import StreamRecord
from odyssey_mock.rtc.protocols import MockNetwork
from odyssey_mock.rtc.stun import StunResponder
from odyssey_mock.sessions.session import Session
from odyssey_mock.settings import ClockKind, MockOverrides, Plan, Settings
from odyssey_mock.simulations.jobs import Jobs
from odyssey_mock.system_network import SystemNetwork

CLOSE_SESSIONS = 5.0
"""Seconds that sessions may take to end when the mock is left, and jobs as well."""

logger = logging.getLogger("odyssey_mock")

_LOOPBACK_OF = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not listened on
"""What to call a server that listens on every address."""


class MockOdyssey:
    """A fake Odyssey service: real HTTP, WebSocket and WebRTC, in this process and its event loop.

    An async context manager; the address and all else is known once it is entered, and what happened can still be read
    after it was left::

        async with MockOdyssey(clock="manual") as mock:
            client = Odyssey(mock.api_key, api_url=mock.url)

    Args:
        settings: what it is like; the defaults where not given.
        plan: `free` or `unlimited` (`PLANS`): all limits of accounts that are not named in `overrides`.
        clock: `real` or `manual`, or a clock that the mock enters and leaves; from `settings.clock` where not given.
        entropy: where ids come from; from `settings.seed` where not given.
        network: what it listens with; the operating system's where not given.
        frame_encoder: what makes the packets of live streams; they are drawn and encoded where not given.
        **overrides: single settings, by name; `odyssey_mock/settings.py` describes each.

    Raises:
        UnknownSettingError: a name is no setting.
        SettingsError: a setting has a value it cannot have, or there is no such plan.
        FaultError: one of `faults` cannot be.
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
        **overrides: Unpack[MockOverrides],
    ) -> None:
        settings = settings or Settings()
        if isinstance(clock, str):
            settings = settings.replace(clock=clock)
            clock = None
        self.settings = settings.replace(plan=plan, **overrides)
        for fault in self.settings.faults:
            Fault.of(fault)
        self._clock = clock or (ManualClock() if self.settings.clock == "manual" else RealClock(self.settings.speed))
        seed = self.settings.seed
        self._entropy = entropy or (SystemEntropy() if seed is None else SeededEntropy(seed))
        self._network = network or SystemNetwork()
        self._frame_encoder = frame_encoder
        keys = self.settings.keys
        self.api_key = f"ody_{self._entropy.token(18)}" if keys is None else next(iter(keys))
        """A key that it accepts: a new one, or the first of those configured."""
        self._backend: Backend | None = None
        self._outage: Outage | None = None
        self._resources: AsyncExitStack | None = None

    def __repr__(self) -> str:
        where = "not running" if self._backend is None else self._backend.base_url
        return f"<MockOdyssey {where}>"

    @property
    def backend(self) -> Backend:
        """What routes and streamers work on, for those who need more than this class shows.

        Raises:
            RuntimeError: the mock was not entered.
        """
        if self._backend is None:
            raise RuntimeError("this mock does not run yet: enter it first (async with MockOdyssey() as mock: ...)")
        return self._backend

    @property
    def url(self) -> str:
        """Base URL of the REST API, without a slash at its end."""
        return self.backend.base_url

    @property
    def clock(self) -> Clock:
        """The server's time."""
        return self._clock

    @property
    def faults(self) -> Faults:
        """What is to fail: `mock.faults.add(at="rest.sessions.request", do="status", status=503, times=3)`."""
        return self.backend.faults

    @property
    def journal(self) -> Journal:
        """What happened, in order."""
        return self.backend.journal

    @property
    def sessions(self) -> Mapping[str, Session]:
        """The sessions that hold a streamer, by id."""
        return self.backend.sessions.sessions

    @property
    def streams(self) -> Mapping[str, StreamRecord]:
        """Every stream that was started, by id."""
        return self.backend.streams.records

    @property
    def broadcasts(self) -> Broadcasts:
        """The streams that can be watched, by stream id, with their spectators and what was encoded for them.

        One that has ended is there as long as its playlist can be fetched (`hls_linger`).
        """
        return self.backend.broadcasts

    @property
    def jobs(self) -> Jobs:
        """The simulation jobs by id, and the workers that carry them out: to look at, to cancel, to lose a worker.

        A job that clients submitted is found by its `job_id`, and told by its `status` and `history`::

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
        """What streams have left behind; `await recordings.file(stream_id, "video.mp4")` is the path of a file."""
        return self.backend.recordings

    @property
    def telemetry(self) -> Sequence[Mapping[str, JSON]]:
        """The telemetry events that clients sent, oldest first."""
        return tuple(self.backend.telemetry)

    async def reset(self) -> None:
        """End every session and job and forget what has happened; settings, clock and address stay.

        Where it was away, it is back.
        """
        await self._running_outage().come_back()
        await self.backend.reset()

    async def wait_for(self, kind: Kind, name: str, timeout: float = 5.0, *, since: int = 0, **where: JSON) -> Entry:
        """Wait for an entry of the journal; `Journal.wait_for` says how.

        Raises:
            JournalTimeoutError: none came.
        """
        return await self.journal.wait_for(kind, name, timeout, since=since, **where)

    def expect(
        self, name: str, *, kind: Kind | None = None, count: int | None = None, since: int = 0, **where: JSON
    ) -> Entry:
        """Make sure that something has happened, and get the first entry of the journal that says so.

        ::

            mock.expect("POST /sessions/token", status=200)
            mock.expect("rest.sessions.request", kind="fault", count=3)
            connected = mock.expect("session", to="connected")
            mock.expect_none("interactive_stream_error", since=connected.index)
            mock.expect_in_order(["offer", "answer", ("session", {"to": "connected"}), "stream_started"])

        Args:
            name: what it is, as `Entry.name` has it: a route, the type of a message, a fault point, a deadline.
            kind: its kind, where the name alone could be something else as well.
            count: how often it has happened; None for once or more.
            since: entries before this index do not count.
            **where: values that it must have, as in `Entry.matches`.

        Raises:
            ExpectationError: it has not; the message tells what came nearest.
        """
        return expect(self.journal, Wanted(name, kind, where), count=count, since=since)

    def expect_none(self, name: str, *, kind: Kind | None = None, since: int = 0, **where: JSON) -> None:
        """Make sure that something has not happened; told as for `expect`.

        Raises:
            ExpectationError: it has; the message shows the first.
        """
        expect_none(self.journal, Wanted(name, kind, where), since=since)

    def expect_in_order(self, steps: Sequence[Step], *, since: int = 0) -> Sequence[Entry]:
        """Make sure that things have happened one after the other, with whatever between them; get an entry of each.

        Args:
            steps: each a name, or a name and an object with `kind` and values, as for `expect`.
            since: entries before this index do not count.

        Raises:
            ExpectationError: one has not, after the one before it; the message tells what came nearest.
        """
        return expect_in_order(self.journal, steps, since=since)

    async def go_away(self, seconds: float | None = None) -> None:
        """Break down: every connection is cut without a goodbye, and connecting is refused.

        What is known stays: accounts, tokens, jobs, and sessions for their grace. The address stays this mock's own.

        Args:
            seconds: when it comes back, on its clock; None for not before `come_back()`.
        """
        await self._running_outage().go(seconds)

    async def come_back(self) -> None:
        """Listen again, under the same address; nothing where it is not away."""
        await self._running_outage().come_back()

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass on a manual clock; `ManualClock.advance` says how.

        Raises:
            RuntimeError: the clock is not manual.
        """
        if not isinstance(self._clock, ManualClock):
            # A matter of how this mock was made, not of an argument's type.
            raise RuntimeError('only a manual clock can be advanced: MockOdyssey(clock="manual")')  # noqa: TRY004
        await self._clock.advance(seconds)

    async def __aenter__(self) -> Self:
        if self._resources is not None:
            raise RuntimeError(f"{self!r} runs already: make another one")
        async with AsyncExitStack() as resources:
            await resources.enter_async_context(self._clock)
            host = self.settings.host
            listener = self._network.listen(host, self.settings.port)
            resources.callback(listener.close)
            stun, responder = await self._network.datagrams(StunResponder, host, 0)
            resources.push_async_callback(responder.close)
            reachable = _LOOPBACK_OF.get(host, host)
            backend = Backend(
                settings=self.settings,
                clock=self._clock,
                entropy=self._entropy,
                network=self._network,
                base_url=f"http://{_authority(reachable, listener.getsockname()[1])}",
                stun_url=f"stun:{_authority(reachable, stun.get_extra_info('sockname')[1])}",
                frame_encoder=self._frame_encoder,
            )
            # After the server, whose requests may be waiting for a file.
            resources.push_async_callback(backend.recordings.close)
            app = create_app(backend, self.go_away)
            http = HttpServer(app, listener, self._network)
            outage = Outage(
                http,
                clock=backend.clock,
                journal=backend.journal,
                sessions=backend.sessions,
                broadcasts=backend.broadcasts,
            )
            await resources.enter_async_context(http)
            resources.push_async_callback(_close_in_time, "spectators", backend.broadcasts.close)
            resources.push_async_callback(_close_in_time, "sessions", backend.sessions.close)
            resources.push_async_callback(_close_in_time, "simulation jobs", backend.jobs.close)
            self._backend = backend
            self._outage = outage
            self._resources = resources.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        resources, self._resources = self._resources, None
        if resources is not None:
            await resources.__aexit__(kind, error, trace)

    def _running_outage(self) -> Outage:
        if self._outage is None:
            raise RuntimeError("this mock does not run yet: enter it first (async with MockOdyssey() as mock: ...)")
        return self._outage


async def _close_in_time(what: str, close: Callable[[], Awaitable[None]]) -> None:
    try:
        async with asyncio.timeout(CLOSE_SESSIONS):
            await close()
    except TimeoutError:
        # A client that does not read, or an image that is being decoded: no fault of whoever leaves the mock.
        logger.warning("%s did not end within %s s; what is left of them is cut", what, CLOSE_SESSIONS)


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
