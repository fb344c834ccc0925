"""The ASGI application: its routes and middleware.

The outermost middleware closes connections with unread request bodies (`request_body.py`). The second determines the
URL at which the client reaches the mock (`public_urls.py`). The CORS middleware is next, so that browsers can also read
error responses, except those of the control API. Then follow the `Date` header from the server's clock; the journal
entries of requests; the wait for saved state; the handling of unexpected exceptions; the fault point `server`. Each
route declares its own fault points and the maximum size of its bodies (`http/routes/`). The control API has a
middleware of its own (`control_access.py`). Errors have FastAPI's form (`protocol.md` section 2).
"""

import math
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from functools import cached_property, lru_cache, partial
from typing import override

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from odyssey_mock.backend import Backend
from odyssey_mock.core.file_descriptors import RETRY_AFTER, ShortageLog, is_shortage
from odyssey_mock.core.journal import Journal
from odyssey_mock.core.redaction import get_logger
from odyssey_mock.core.shortages import refusal_of
from odyssey_mock.core.state_store import NO_STATE, StateStore
from odyssey_mock.core.url_parts import BaseUrl
from odyssey_mock.http.callers import Callers
from odyssey_mock.http.control_access import ControlAccess, ControlPolicy, is_control, is_foreign
from odyssey_mock.http.errors import ErrorResponses, note_cause
from odyssey_mock.http.fault_points import FaultGate, ServiceRoute
from odyssey_mock.http.lazy_routes import LazyRoutes
from odyssey_mock.http.outage import GoAway, OutagePoint
from odyssey_mock.http.public_urls import IgnoredHeaders, PublicUrls, service_path
from odyssey_mock.http.raw_headers import header
from odyssey_mock.http.recorded_exchange import RecordedExchange
from odyssey_mock.http.request_body import UnreadBodies
from odyssey_mock.http.router import FreeRouter
from odyssey_mock.http.routes.artifacts import ArtifactRoutes
from odyssey_mock.http.routes.control import ControlRoutes
from odyssey_mock.http.routes.hls import HlsRoutes
from odyssey_mock.http.routes.openapi import OPENAPI_PATH, OpenApiRoutes
from odyssey_mock.http.routes.pages import ROOT, ConsoleLink, PageRoutes, opens_console
from odyssey_mock.http.routes.regions import REGIONS_PATH, RegionRoutes
from odyssey_mock.http.routes.signaling import SignalingRoutes
from odyssey_mock.http.routes.telemetry import TelemetryRoutes
from odyssey_mock.http.routes.whep import WhepRoutes
from odyssey_mock.http.state_view import StateView
from odyssey_mock.http.usage_error_forms import RegionsNoted, UsageErrorForms
from odyssey_mock.state.errors import StateWriteError

EXPOSED_HEADERS = (
    "Location",
    "ETag",
    "Link",
    "WWW-Authenticate",
    "Retry-After",
    "Accept-Patch",
    "Accept-Post",
    "Allow",
    "ID",
    "Accept-Ranges",
    "Content-Range",
    "Content-Length",
)
"""Response headers that pages of other origins may read, in addition to the CORS-safelisted response headers."""

logger = get_logger("odyssey_mock")


def is_own(path: str) -> bool:
    """Return whether only the mock has this path, and the service does not."""
    return path == OPENAPI_PATH or is_control(path)


def is_for_mock(scope: Scope) -> bool:
    """Return whether a request is for the mock, and not for the service.

    These requests have no journal entries and no fault points.
    """
    return is_own(service_path(scope)) or opens_console(scope)


class Application:
    """The ASGI application that serves a backend.

    It is created with the first request, so that a mock starts faster.
    """

    def __init__(self, backend: Backend, go_away: GoAway) -> None:
        """Create the application; `go_away` is the function that takes the server offline."""
        self._backend = backend
        self._go_away = go_away
        self._app: Service | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._created()(scope, receive, send)
        self._backend.first_response.set()

    def let_go(self) -> None:
        """Drop the routes and the reference to the server, once it has ended; see `Backend.let_go`."""
        self._app, self._go_away = None, _gone

    @property
    def route_names(self) -> Collection[str]:
        """The routes of the service, each with its method, such as `POST /auth/token`."""
        return {
            f"{method} {route.template}"
            for route in self._created().routes
            if isinstance(route, ServiceRoute) and route.path != ROOT and not is_own(route.path)
            for method in route.methods or ()
        }

    def _created(self) -> "Service":
        if self._app is None:
            self._app = Service(self._backend, self._go_away)
        return self._app


async def _gone(_seconds: float | None) -> None:
    """Do nothing: takes the place of `go_away` when the server has ended."""


class Service:
    """The ASGI application with the middleware and the routes of a mock."""

    def __init__(self, backend: Backend, go_away: GoAway) -> None:
        self._backend = backend
        self._go_away = go_away
        self._callers = Callers(
            accounts=backend.accounts, tokens=backend.tokens, sessions=backend.sessions, streams=backend.streams
        )
        self._forms = UsageErrorForms(lambda: backend.settings.now.usage_error_form)
        self._errors = ErrorResponses(self._forms.form_for)
        gate = FaultGate(backend.faults, backend.clock, backend.settings, self._errors)
        self._lazy = LazyRoutes(_Parts(backend, gate, self._callers, self._forms, go_away), _PARTS)
        self._router = FreeRouter([self._lazy, _WholeServer()])
        self._app = self._middleware(self._router)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    @property
    def routes(self) -> Sequence[BaseRoute]:
        """All routes, in place of the `LazyRoutes` that create them."""
        return [*self._lazy.routes, *self._router.routes[1:]]

    def _middleware(self, app: ASGIApp) -> ASGIApp:
        """Return `app` within the middleware of the mock, from the inside to the outside."""
        backend = self._backend
        app = OutagePoint(app, faults=backend.faults, callers=self._callers, go_away=self._go_away, spared=is_for_mock)
        app = RegionsNoted(app, forms=self._forms, path=REGIONS_PATH)
        app = _Answered(app, errors=self._errors, journal=backend.journal)
        if backend.state is not NO_STATE:
            app = _Saved(app, state=backend.state)
        app = _Journalled(app, journal=backend.journal)
        app = _Dated(app, now=backend.clock.time)
        app = _CrossOrigin(app)
        app = PublicUrls(
            app,
            public_url=backend.settings.now.public_url,
            trusted_proxies=backend.settings.now.trusted_proxies,
            stun_port=backend.stun_port,
            udp_addresses=backend.settings.now.udp_addresses,
            servers=backend.settings.now.ice_servers,
            ignored=IgnoredHeaders(backend.journal).report,
        )
        return UnreadBodies(app)


@dataclass(frozen=True, slots=True)
class _Parts:
    """The parts of the service and of the control API, each a method that creates its routes.

    pydantic takes 0.1 s to import and to prepare. A method whose routes use it imports their module.
    """

    backend: Backend
    gate: FaultGate
    callers: Callers
    forms: UsageErrorForms
    go_away: GoAway

    def auth(self) -> Sequence[BaseRoute]:
        from odyssey_mock.http.routes.auth import AuthRoutes  # noqa: PLC0415

        return AuthRoutes(gate=self.gate, callers=self.callers, accounts=self.backend.accounts).routes()

    def regions(self) -> Sequence[BaseRoute]:
        backend = self.backend
        return RegionRoutes(
            gate=self.gate, callers=self.callers, accounts=backend.accounts, settings=backend.settings
        ).routes()

    def live(self) -> Sequence[BaseRoute]:
        from odyssey_mock.http.routes.sessions import SessionRoutes  # noqa: PLC0415

        backend = self.backend
        return SessionRoutes(
            gate=self.gate,
            callers=self.callers,
            settings=backend.settings,
            accounts=backend.accounts,
            usage=backend.usage,
            sessions=backend.sessions,
            forms=self.forms,
        ).routes()

    def signaling(self) -> Sequence[BaseRoute]:
        backend = self.backend
        return SignalingRoutes(
            gate=self.gate,
            callers=self.callers,
            clock=backend.clock,
            journal=backend.journal,
            faults=backend.faults,
            tokens=backend.tokens,
            sessions=backend.sessions,
            settings=backend.settings,
        ).routes()

    def simulations(self) -> Sequence[BaseRoute]:
        from odyssey_mock.http.routes.simulations import SimulationRoutes  # noqa: PLC0415

        backend = self.backend
        return SimulationRoutes(
            gate=self.gate,
            callers=self.callers,
            accounts=backend.accounts,
            usage=backend.usage,
            jobs=backend.jobs,
            streams=backend.streams,
            recordings=backend.recordings,
            is_foreign=partial(is_foreign, policy=control_policy(backend)),
        ).routes()

    def recorded(self) -> Sequence[BaseRoute]:
        from odyssey_mock.http.routes.recordings import RecordingRoutes  # noqa: PLC0415

        backend = self.backend
        return RecordingRoutes(
            gate=self.gate,
            callers=self.callers,
            accounts=backend.accounts,
            streams=backend.streams,
            recordings=backend.recordings,
        ).routes()

    def artifacts(self) -> Sequence[BaseRoute]:
        backend = self.backend
        return ArtifactRoutes(
            gate=self.gate, callers=self.callers, streams=backend.streams, recordings=backend.recordings
        ).routes()

    def telemetry(self) -> Sequence[BaseRoute]:
        backend = self.backend
        return TelemetryRoutes(
            gate=self.gate,
            callers=self.callers,
            accounts=backend.accounts,
            journal=backend.journal,
            telemetry=backend.telemetry,
        ).routes()

    def broadcasts(self) -> Sequence[BaseRoute]:
        gate, callers, broadcasts = self.gate, self.callers, self.backend.broadcasts
        whep = WhepRoutes(gate=gate, callers=callers, broadcasts=broadcasts)
        return [*whep.routes(), *HlsRoutes(gate=gate, callers=callers, broadcasts=broadcasts).routes()]

    def document(self) -> Sequence[BaseRoute]:
        return OpenApiRoutes().routes()

    def console(self) -> Sequence[BaseRoute]:
        return [ConsoleLink()]

    def control(self) -> Sequence[BaseRoute]:
        backend, clock = self.backend, self.backend.clock
        view = StateView(
            clock=clock,
            sessions=backend.sessions,
            streams=backend.streams,
            broadcasts=backend.broadcasts,
            jobs=backend.jobs,
            telemetry=backend.telemetry,
            secrets=backend.journal.secrets,
        )
        return ControlRoutes(
            clock=clock,
            view=view,
            forget=backend.reset,
            access=Middleware(ControlAccess, policy=control_policy(backend), token=lambda: backend.control_token),
            more=partial(self.more_control, view),
        ).routes()

    def more_control(self, view: StateView) -> Sequence[BaseRoute]:
        """Create the routes of the control API that `ControlRoutes` does not have."""
        from odyssey_mock.http.routes.accounts import AccountRoutes  # noqa: PLC0415
        from odyssey_mock.http.routes.clock import ClockRoutes  # noqa: PLC0415
        from odyssey_mock.http.routes.events import EventRoutes  # noqa: PLC0415
        from odyssey_mock.http.routes.faults import FaultRoutes  # noqa: PLC0415
        from odyssey_mock.http.routes.frames import FrameRoutes  # noqa: PLC0415
        from odyssey_mock.http.routes.journal import JournalRoutes  # noqa: PLC0415
        from odyssey_mock.http.routes.machines import MachineRoutes  # noqa: PLC0415
        from odyssey_mock.http.routes.monitors import MonitorRoutes  # noqa: PLC0415
        from odyssey_mock.http.routes.overview import OverviewRoutes  # noqa: PLC0415
        from odyssey_mock.http.routes.recorded_streams import RecordedStreamRoutes  # noqa: PLC0415
        from odyssey_mock.http.routes.session_actions import SessionActionRoutes  # noqa: PLC0415
        from odyssey_mock.http.routes.settings import SettingRoutes  # noqa: PLC0415
        from odyssey_mock.http.routes.simulations import ScriptCheckRoutes  # noqa: PLC0415

        backend, clock, journal = self.backend, self.backend.clock, self.backend.journal
        sessions, streams, recordings = backend.sessions, backend.streams, backend.recordings
        return [
            *JournalRoutes(journal).routes(),
            *FaultRoutes(clock=backend.clock, faults=backend.faults, leave=self.go_away).routes(),
            *SettingRoutes(settings=backend.settings, change=backend.change_settings).routes(),
            *EventRoutes(clock=clock, journal=journal, sessions=sessions, view=view).routes(),
            *MachineRoutes().routes(),
            *MonitorRoutes(monitors=backend.monitors).routes(),
            *SessionActionRoutes(sessions=sessions).routes(),
            *FrameRoutes(pictures=backend.pictures).routes(),
            *PageRoutes().routes(),
            *ClockRoutes(clock).routes(),
            *AccountRoutes(
                api_key=lambda: backend.api_key,
                accounts=backend.accounts,
                usage=backend.usage,
                sessions=sessions,
                jobs=backend.jobs,
            ).routes(),
            *ScriptCheckRoutes().routes(),
            *RecordedStreamRoutes(streams=streams, recordings=recordings, secrets=journal.secrets).routes(),
            *OverviewRoutes(
                api_key=lambda: backend.api_key,
                listening_url=backend.listening_url,
                clock=clock,
                settings=backend.settings,
                journal=journal,
                sessions=sessions,
                streams=streams,
                broadcasts=backend.broadcasts,
                jobs=backend.jobs,
                faults=backend.faults,
            ).routes(),
        ]


_PARTS: Mapping[str, Callable[[_Parts], Sequence[BaseRoute]]] = {
    "auth": _Parts.auth,
    "regions": _Parts.regions,
    "ping": _Parts.regions,
    "sessions": _Parts.live,
    "signaling": _Parts.signaling,
    "simulation-jobs": _Parts.simulations,
    "recordings": _Parts.recorded,
    "stream-recordings": _Parts.recorded,
    "artifacts": _Parts.artifacts,
    "telemetry": _Parts.telemetry,
    "config": _Parts.broadcasts,
    "broadcast": _Parts.broadcasts,
    "openapi.json": _Parts.document,
    "_mock": _Parts.control,
    "": _Parts.console,
}
"""For the first segment of each path, the part that creates its routes."""


class _WholeServer(BaseRoute):
    """The route of `OPTIONS *`, which asks whether the server can be reached (RFC 9110 section 9.3.7)."""

    @override
    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        is_asked = scope["type"] == "http" and scope["method"] == "OPTIONS" and service_path(scope) == "*"
        return (Match.FULL if is_asked else Match.NONE), {}

    @override
    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await Response(status_code=204)(scope, receive, send)


def control_policy(backend: Backend) -> ControlPolicy:
    """Return the policy of the control API, from the settings and the address on which the mock listens."""
    settings = backend.settings.now
    return ControlPolicy(
        # With the host 0.0.0.0, browsers and programs on this machine can also use the address 0.0.0.0.
        names=[*settings.control_hosts, settings.host],
        public_url=BaseUrl.read(settings.public_url) if settings.public_url else None,
        listens_on_loopback=backend.listens_on_loopback,
    )


class _CrossOrigin:
    """Lets pages of all origins use the service (CORS), but not the control API."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    @cached_property
    def _shared(self) -> CORSMiddleware:
        return CORSMiddleware(
            self._app,
            allow_origins=["*"],
            allow_methods=["*"],
            allow_headers=["*"],
            allow_private_network=True,
            expose_headers=EXPOSED_HEADERS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_control(service_path(scope)):
            return await self._app(scope, receive, send)
        if header(scope["headers"], b"origin") is not None:
            return await self._shared(scope, receive, send)

        # Most clients are no browsers. For them, the middleware of Starlette would do no more, but slower.
        async def varied(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": _varying_by_origin(message["headers"])}
            await send(message)

        return await self._app(scope, receive, varied)


def _varying_by_origin(headers: Iterable[tuple[bytes, bytes]]) -> Sequence[tuple[bytes, bytes]]:
    """Return response headers with `Origin` in `Vary`, because the response to a page of another origin differs."""
    varies = [value for name, value in headers if name == b"vary"]
    return [*[each for each in headers if each[0] != b"vary"], (b"vary", b", ".join([*varies, b"Origin"]))]


class _Dated:
    """Adds a `Date` header to every response, as an origin server with a clock must (RFC 9110 section 6.6.1)."""

    def __init__(self, app: ASGIApp, now: Callable[[], float]) -> None:
        self._app = app
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)

        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = (b"date", _http_date(math.floor(self._now())))
                message = {**message, "headers": [*message["headers"], date]}
            await send(message)

        return await self._app(scope, receive, dated)


@lru_cache(maxsize=1)
def _http_date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()


class _Journalled:
    """Records each request as a `rest` entry in the journal, before the client receives the end of the response."""

    def __init__(self, app: ASGIApp, journal: Journal) -> None:
        self._app = app
        self._journal = journal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_for_mock(scope):
            return await self._app(scope, receive, send)
        exchange = RecordedExchange(scope)

        async def said(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                exchange.is_json = header(message["headers"], b"content-type") == "application/json"
            elif message["type"] == "http.response.body":
                exchange.response.extend(message.get("body", b"") if exchange.is_json else b"")
                if not message.get("more_body", False):
                    exchange.record(self._journal)
            await send(message)

        try:
            return await self._app(scope, receive, said)
        finally:
            exchange.record(self._journal)


class _Saved:
    """Sends a response only when all changes that precede it are saved, including those of the request.

    If they cannot be saved, the response has status 500 and states why. The request may have taken effect.
    """

    def __init__(self, app: ASGIApp, state: StateStore) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        is_refused = False

        async def saved(message: Message) -> None:
            nonlocal is_refused
            if message["type"] == "http.response.start":
                try:
                    await self._state.flush()
                except StateWriteError as error:
                    is_refused = True
                    note_cause(scope, str(error))
                    await JSONResponse({"detail": str(error)}, 500)(scope, receive, send)
            if not is_refused:
                await send(message)

        return await self._app(scope, receive, saved)


class _Answered:
    """Responds to errors. An unexpected exception gets status 500, and is reported in the log and the journal."""

    def __init__(self, app: ASGIApp, errors: ErrorResponses, journal: Journal) -> None:
        self._app = app
        self._errors = errors
        self._journal = journal
        self._shortage = ShortageLog()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def said(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, said)
        except ClientDisconnect:
            # The client disconnected before its request was complete. This is not a bug; the journal records it.
            return None
        except Exception as error:
            response = None if has_begun else self._errors.response_to(HTTPConnection(scope), error)
            if response is not None:
                return await response(scope, receive, send)
            if (refusal := refusal_of(error)) is not None:
                # Not a bug: a file or a socket could not be opened.
                if is_shortage(error):
                    self._shortage.note()
                note_cause(scope, refusal)
                if scope["type"] == "http" and not has_begun:
                    await JSONResponse({"detail": refusal}, 503, {"Retry-After": RETRY_AFTER})(scope, receive, send)
                return None
            # Any exception here is a bug in the mock, which must get a response and a report.
            what = f"{scope['type']} {scope['path']}"
            logger.exception("unexpected exception in the mock, at %s", what)
            self._journal.record("note", "defect", at=what, error=repr(error), trace=_trace(error))
            if scope["type"] != "http" or has_begun:
                raise
            detail = f"unexpected {type(error).__name__} in the mock; see its log and GET /_mock/journal?name=defect"
            return await JSONResponse({"detail": detail}, 500)(scope, receive, send)


def _trace(error: BaseException) -> Sequence[str]:
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)[-8:]]
