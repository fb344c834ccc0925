"""The mock of the fixture `odyssey_mock`: one server for all tests of a process, with new state for each test."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, override

from starlette.types import ASGIApp, Receive, Scope, Send

from odyssey_mock.core.entropy import SeededEntropy, SystemEntropy
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.faults.registry import ActiveFault
from odyssey_mock.http.endpoint import SharedEndpoint
from odyssey_mock.server import MockOdyssey as LoopMock
from odyssey_mock.sessions.session_machine import SessionState
from odyssey_mock.settings import Settings
from odyssey_mock.sync import MockOdyssey
from odyssey_mock.sync.late_requests import IssuedValues, LateRequests, NotingEntropy
from odyssey_mock.sync.server_thread import ServerThread
from odyssey_mock.system_network import SystemNetwork

LATE_LIMIT = 100
"""Maximum number of late requests that are kept until they are reported."""
_IN_USE = frozenset({SessionState.CONNECTED, SessionState.RETURNING, SessionState.REJOINING})
"""States of a session whose client is connected, or is connecting again.

Sessions held during an outage are not included: the mock cannot notice whether their clients have disconnected.
"""
SETTLING_TURNS = 50
"""Maximum iterations of the event loop until the mock has noticed that a client closed the connection of a request."""
_DEFAULTS = Settings()
OWN_SERVER = frozenset({"host", "port", "udp_ports", "tls", "tls_dir", "tls_cert", "tls_key"})
"""Settings that require a separate server, because the address and the scheme of the shared server are fixed."""
STARTS_AT_ONCE = OWN_SERVER | {"state_dir"}
"""Settings with which a mock starts before the test, because it has to open ports or files."""


@dataclass(eq=False, slots=True)
class _Owner:
    """The test whose mock issued an id, a token or a key."""

    name: str


@dataclass(frozen=True, slots=True)
class Ending:
    """What a mock recorded about its test, collected at the end of the test.

    Attributes:
        left: descriptions of sessions, unused faults and pending requests that the test left behind.
        reached: how often the test reached each fault point.
        fired: how often the faults in the argument `extra` of `PerTestMock.begin` fired.
    """

    left: Sequence[str]
    reached: Mapping[str, int]
    fired: int


@dataclass(frozen=True, slots=True)
class _Begun:
    """The faults of a mock that has started.

    Attributes:
        settings: the faults in the settings of the mock.
        extra: the faults in the argument `extra` of `PerTestMock.begin`.
    """

    settings: Sequence[ActiveFault] = ()
    extra: Sequence[ActiveFault] = ()


async def _begin(mock: LoopMock, extra: Sequence[Mapping[str, JSON]]) -> _Begun:
    await mock.__aenter__()
    try:
        return _Begun(tuple(mock.faults), mock.faults.extend(extra))
    except BaseException:
        await mock.__aexit__(None, None, None)
        raise


class _Start:
    """The start of the mock of one test, which happens when the test first needs it.

    Attributes:
        begun: the faults of the mock; None until it has started.
    """

    def __init__(
        self, mock: LoopMock, extra: Sequence[Mapping[str, JSON]], stop_earlier: Callable[[], Awaitable[None]]
    ) -> None:
        """Prepare the start of `mock` with the faults `extra`. `stop_earlier` is called at the start, before it."""
        self.begun: _Begun | None = None
        self._mock = mock
        self._extra = extra
        self._stop_earlier = stop_earlier

    async def wait(self) -> None:
        """Start the mock. Call this in the server thread, once."""
        await self._stop_earlier()
        self.begun = await _begin(self._mock, self._extra)

    def now(self) -> None:
        """Start the mock, unless it has started. Call this in the server thread, for a mock of the shared server.

        Such a mock opens no ports and no files, so its start waits for nothing.
        """
        if self.begun is None:
            task = asyncio.Task(self.wait(), loop=asyncio.get_running_loop(), eager_start=True)
            assert task.done(), "the start of a mock of the shared server has waited"
            task.result()


class PerTestMock(MockOdyssey):
    """A mock whose state is new for each test. Its address stays the same.

    The plugin calls `begin` before a test and `end` after it.
    """

    def __init__(self, on_idle: Callable[[], None]) -> None:
        """Start the server, without a mock: until `begin`, requests get status 503.

        `on_idle` is called if the mock is used before `begin` or after `end`. It may call `begin`.
        """
        self._on_idle = on_idle
        self._current: LoopMock | None = None
        self._refused: str | None = None
        self._server = ServerThread.shared()
        self._issued = IssuedValues()
        self._owner: _Owner | None = None
        self._late: list[str] = []
        self._start: _Start | None = None
        """The start of the current mock."""
        self._awaited: _Start | None = None
        """The start of the mock of the running test, for the server thread; None between two tests."""
        self._released: LoopMock | None = None
        """A mock that no longer receives requests, and is stopped by the server thread when the next mock starts."""
        self._must_fire = True
        self._endpoint = self._thread.call(self._make_endpoint)
        self._thread.execute(self._endpoint.__aenter__)

    def __repr__(self) -> str:
        return f"<MockOdyssey {self.shared_url if self._current is None else self._url_of(self._current)}>"

    def close(self) -> None:
        """Close the shared server, after the last test."""
        self._thread.execute(self._close)

    @property
    def shared_url(self) -> str:
        """The address of the shared server, which is the same for all tests of this process."""
        return self._endpoint.base_url

    def needs_own_server(self, keywords: Iterable[str]) -> bool:
        """Return whether a mock with these settings cannot use the shared server."""
        return not OWN_SERVER.isdisjoint(keywords)

    def begin(
        self,
        name: str,
        keywords: Mapping[str, Any],  # Any: keyword arguments of `MockOdyssey`
        extra: Sequence[Mapping[str, JSON]] = (),
        *,
        must_fire: bool = True,
    ) -> None:
        """Start a new mock for the test called `name`.

        With the shared server, the mock starts in the server thread with the first request of the test, or when the
        test first uses its state. This saves a switch between the threads, and makes most tests faster.

        Args:
            name: the node id of the test.
            keywords: the settings of the mock.
            extra: faults in addition to those of the settings. Those that never fire are not reported as left behind.
            must_fire: whether to report faults of the settings that never fire as left behind.

        Raises:
            UnknownSettingError: a key of `keywords` is not the name of a setting.
            SettingsError: the value of a setting is invalid.
            FaultError: one of the faults is invalid.
        """
        owner = _Owner(name)
        settings = _DEFAULTS.replace(**keywords) if keywords else _DEFAULTS
        source = SystemEntropy() if settings.seed is None else SeededEntropy(settings.seed)
        self._has_own_server = self.needs_own_server(keywords)
        mock = LoopMock(
            settings,
            entropy=NotingEntropy(source, self._issued, owner),
            endpoint=None if self._has_own_server else self._endpoint,
        )
        start = _Start(mock, extra, self._stop_released)
        if extra or not STARTS_AT_ONCE.isdisjoint(keywords):
            self._thread.execute(start.wait)
        self._must_fire = must_fire
        self._current, self._owner, self._start = mock, owner, start
        self._requests.current = owner
        self._awaited = start

    def end(self) -> "Ending":
        """End the mock of the test: its sessions, jobs and connections. Its journal can still be read.

        A mock that has only answered requests is ended without a switch to the server thread, if that thread is idle.
        """
        if self._owner is None:
            raise RuntimeError("end() expected a running test, got none: call begin() first")
        try:
            return self._end_at_once() or self._thread.execute(self._end)
        finally:
            self._owner = self._requests.current = self._awaited = None

    def forget(self) -> None:
        """Drop the mock of the previous test, so that the next test cannot see its state."""
        if self._owner is None:
            self._current = self._start = None

    def late_requests(self) -> list[str]:
        """Return descriptions of the late requests that arrived since the previous call of this method."""
        found, self._late = self._late, []
        return found

    @contextmanager
    def refused(self, why: str) -> Iterator[None]:
        """During the block, raise `RuntimeError(why)` for every use of the mock except `url`."""
        before, self._refused = self._refused, why
        try:
            yield
        finally:
            self._refused = before

    @property
    @override
    def url(self) -> str:
        """Base URL of the REST API, without a trailing slash: the setting `public_url`, or else `listening_url`."""
        if self._refused is not None:
            return self.shared_url
        return self._url_of(self._of_test())

    @property
    @override
    def root_certificate(self) -> Path | None:
        """The file with the root certificate that clients must trust; None without the setting `tls`."""
        return self._of_test().root_certificate

    @property
    @override
    def api_key(self) -> str:
        """An API key that the mock accepts: the first key in the settings, or a generated key if they contain none."""
        return self._of_test().api_key

    @property
    @override
    def _mock(self) -> LoopMock:
        current = self._of_test()
        start = self._start
        if start is not None and start.begun is None:
            if self._owner is None:
                self._thread.execute(lambda: self._start_after_end(start, current))
            else:
                self._thread.call(start.now)
        return current

    def _url_of(self, mock: LoopMock) -> str:
        return mock.url if self._has_own_server else mock.settings.public_url or self.shared_url

    def _of_test(self) -> LoopMock:
        """Return the mock of the running test; between two tests, the mock of the previous test.

        Raises:
            RuntimeError: the mock must not be used now, or no test uses it.
        """
        if self._refused is not None:
            raise RuntimeError(self._refused)
        if self._owner is None:
            self._on_idle()
        if self._current is None:
            raise RuntimeError(
                "odyssey_mock has new state for each test that requests it, and no such test is running: add "
                'odyssey_mock to the arguments of the test, or write @pytest.mark.usefixtures("odyssey_mock")'
            )
        return self._current

    def _end_at_once(self) -> "Ending | None":
        """End a mock of the shared server that needs no wait. Return None if the mock must be ended by `_end`."""
        mock, start = self._current, self._start
        if mock is None or start is None or self._has_own_server or not self._thread.is_idle:
            return None
        if start.begun is None:
            return None if mock.settings.faults else Ending((), {}, 0)  # faults that never fired are reported
        if not (mock.backend.is_unused and self._endpoint.release()):
            return None
        self._released = mock
        return self._ending(mock, self._left_behind(mock))

    async def _start_after_end(self, start: _Start, mock: LoopMock) -> None:
        """Start and stop a mock that is first used after its test, so that its empty state can be read."""
        start.now()
        await mock.__aexit__(None, None, None)

    async def _stop_released(self) -> None:
        mock, self._released = self._released, None
        if mock is not None:
            await mock.__aexit__(None, None, None)

    async def _close(self) -> None:
        await self._stop_released()
        await self._endpoint.__aexit__(None, None, None)

    async def _end(self) -> "Ending":
        mock = self._mock
        left = self._left_behind(mock)
        for _ in range(SETTLING_TURNS):
            if not self._requests.running:
                break
            # A client may just have closed its connection. The mock notices when it reads from the socket.
            await asyncio.sleep(0)  # noqa: TID251 - lets other tasks run; no time passes
        left += [f"{each} still waits for its response" for each in self._requests.running]
        await mock.__aexit__(None, None, None)
        return self._ending(mock, left)

    def _ending(self, mock: LoopMock, left: Sequence[str]) -> "Ending":
        return Ending(left, mock.faults.reached, sum(each.fired for each in self._begun.extra))

    @property
    def _begun(self) -> _Begun:
        return _Begun() if self._start is None else self._start.begun or _Begun()

    def _started(self, app: ASGIApp) -> ASGIApp:
        """Return an application that starts the mock of the test, then passes the request to `app`."""

        async def start_and_pass_on(scope: Scope, receive: Receive, send: Send) -> None:
            if self._awaited is not None:
                self._awaited.now()
            await app(scope, receive, send)

        return start_and_pass_on

    def _make_endpoint(self) -> SharedEndpoint:
        def around(app: ASGIApp) -> LateRequests:
            self._requests = LateRequests(self._started(app), self._issued, self._note_late)
            return self._requests

        return SharedEndpoint(SystemNetwork(), Settings().host, 0, around)

    def _note_late(self, owner: object, request: str) -> None:
        assert isinstance(owner, _Owner)
        during = "between two tests" if self._owner is None else f"during {self._owner.name}"
        if len(self._late) < LATE_LIMIT:
            self._late.append(f"{request} of {owner.name} arrived after that test had ended, {during}")

    def _never_fired(self, active: ActiveFault) -> bool:
        """Return whether the test was expected to make this fault fire, but did not."""
        spared = self._begun.extra if self._must_fire else (*self._begun.settings, *self._begun.extra)
        must_fire = active not in spared and active.fault.probability >= 1
        return must_fire and active.fired == 0 and not active.fired_before_reset

    def _left_behind(self, mock: LoopMock) -> list[str]:
        connected = [each for each in mock.sessions.values() if each.state in _IN_USE]
        unfired = [each for each in mock.faults if self._never_fired(each)]
        return [
            *(f"the session {each.id} is {each.state}, but was not ended: call disconnect()" for each in connected),
            *(
                f"the fault at {each.fault.at} ({each.fault.do}) never fired ({each.why_not}): "
                "remove it, or let the test reach it"
                for each in unfired
            ),
        ]
