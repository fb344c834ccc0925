"""`Backend`, which creates all services of one server, such as accounts, sessions and jobs, and connects them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from odyssey_mock.accounts.accounts import Accounts
from odyssey_mock.accounts.session_tokens import SessionTokens
from odyssey_mock.accounts.usage import Usage
from odyssey_mock.broadcasts.monitors import Monitors
from odyssey_mock.broadcasts.registry import Broadcasts
from odyssey_mock.client_networks import ClientNetworks
from odyssey_mock.core.clock import Clock, Deadline, PaceChange
from odyssey_mock.core.entropy import Entropy, RememberingEntropy, SeededEntropy
from odyssey_mock.core.journal import Journal
from odyssey_mock.core.state_store import NO_STATE, SavedSecrets, StateStore
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.core.telemetry_store import TelemetryStore
from odyssey_mock.core.udp_ports import UdpPorts
from odyssey_mock.core.url_parts import Authority, BaseUrl
from odyssey_mock.current_settings import CurrentSettings
from odyssey_mock.faults.registry import Faults
from odyssey_mock.recordings.artifact_urls import ArtifactUrls
from odyssey_mock.recordings.file_store import FileStore
from odyssey_mock.recordings.frame_pictures import FramePictures
from odyssey_mock.recordings.recordings import Recordings
from odyssey_mock.recordings.stream_records import INTERRUPTED, StreamStore
from odyssey_mock.rtc.host_candidates import HostCandidates
from odyssey_mock.rtc.protocols import MockNetwork
from odyssey_mock.sessions.registry import SessionRegistry
from odyssey_mock.sessions.session_factory import SessionFactory
from odyssey_mock.setting_values import to_data
from odyssey_mock.settings import ChangeableSettings, Plan, Settings
from odyssey_mock.simulations.jobs import Jobs

if TYPE_CHECKING:
    from odyssey_mock.media.frame_encoder import FrameEncoder, MakeFrameEncoder
    from odyssey_mock.media.timeline import Timeline

SECRETS: Mapping[str, int] = {"faults": 16, "session tokens": 32, "artifact URLs": 32, "control token": 18}
"""The secrets of a mock: the name under which each is saved, and its number of random bytes."""


def drawn(timeline: Timeline, bitrate: int | None) -> FrameEncoder:
    """Return a frame encoder that draws and encodes the frames of `timeline`."""
    from odyssey_mock.media.frame_encoder import drawn as make  # noqa: PLC0415 - see `odyssey_mock.media`

    return make(timeline, bitrate)


@dataclass(eq=False)
class Backend:
    """The services of one server. Only `server.py` and `http/app.py` use it; other code uses single services."""

    settings: CurrentSettings
    clock: Clock
    entropy: Entropy
    network: MockNetwork
    listening_url: str
    """The URL of the address on which the server listens, without a trailing slash."""
    stun_port: int
    """The UDP port of the mock's STUN server."""
    accepts: Callable[[str], bool]
    """Returns whether a connection to an address of this machine arrives at the server."""
    api_key: str = ""
    """An API key that the server accepts, which is not one that a client has brought."""
    frame_encoder: MakeFrameEncoder = drawn
    """Factory of the encoders of live streams."""
    listens_on_loopback: bool = True
    """Whether the server listens only on a loopback address, which other machines cannot reach."""
    state: StateStore = NO_STATE
    """Where the services save their records, and from which they restore those of an earlier process."""
    recordings_directory: Path | None = None
    """The directory that keeps recorded files; None for a temporary directory."""
    first_response: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once a request has been answered."""
    secrets: SavedSecrets = field(init=False)
    journal: Journal = field(init=False)
    faults: Faults = field(init=False)
    accounts: Accounts = field(init=False)
    tokens: SessionTokens = field(init=False)
    telemetry: TelemetryStore = field(init=False)
    """The telemetry events that clients sent, oldest first."""
    sessions: SessionRegistry = field(init=False)
    streams: StreamStore = field(init=False)
    usage: Usage = field(init=False)
    networks: ClientNetworks = field(init=False)
    broadcasts: Broadcasts = field(init=False)
    monitors: Monitors = field(init=False)
    session_factory: SessionFactory = field(init=False)
    recordings: Recordings = field(init=False)
    pictures: FramePictures = field(init=False)
    jobs: Jobs = field(init=False)
    _offered: HostCandidates = field(init=False)
    """The ICE host candidates of all peers."""
    _deadlines_fired: int = field(init=False, default=0)
    _speed: float | None = field(init=False)
    """The speed of the clock at the start; None if the clock never moves by itself."""

    def __post_init__(self) -> None:
        initial = self.settings.now
        self._offered = _host_candidates(initial, self.stun_port)
        self.journal = Journal(self.clock.time, initial.journal_limit, initial.journal_bytes)
        self.state.keep_journal(self.journal)
        for server in initial.ice_servers:
            self.journal.secrets.add(server.get("credential", ""))
        is_seeded = isinstance(self.entropy, SeededEntropy)
        self.entropy = RememberingEntropy(self.entropy, self.journal.secrets)
        self.secrets = SavedSecrets(self.state, self.entropy)
        if is_seeded:
            # Otherwise the ids and a fault's random decisions would depend on which secret is needed first, and when.
            for name in SECRETS:
                self._secret(name)()
        self._speed = self.clock.speed
        self.clock.observe(self._note_deadline)
        self.clock.observe_pace(self._note_pace)
        self.faults = Faults(self.journal, self._secret("faults"), initial.faults, self.state)
        remember = self.journal.secrets.add
        self.accounts = Accounts(self.settings, self.clock, self.entropy, self.state, remember=remember)
        self.tokens = SessionTokens(self.clock, self._secret("session tokens"), remember=remember)
        self.telemetry = TelemetryStore(initial.journal_limit, initial.journal_bytes)
        self.streams = StreamStore(initial.streams_limit, self.state)
        self.usage = Usage(self.clock, self.accounts, self.streams, self.state)
        self.networks = ClientNetworks(self.settings, self.clock, self._secret("faults"))
        self.broadcasts = Broadcasts(
            settings=self.settings,
            clock=self.clock,
            entropy=self.entropy,
            journal=self.journal,
            peers=self.network,
            offered=self._offered,
            networks=self.networks,
            streams=self.streams,
            base_url=self.url,
        )
        self.monitors = Monitors(settings=self.settings, peers=self.network, offered=self._offered)
        self.session_factory = SessionFactory(
            settings=self.settings,
            clock=self.clock,
            entropy=self.entropy,
            network=self.network,
            offered=self._offered,
            networks=self.networks,
            journal=self.journal,
            faults=self.faults,
            streams=self.streams,
            broadcasts=self.broadcasts,
            monitors=self.monitors,
            make_frame_encoder=self.frame_encoder,
        )
        self.sessions = SessionRegistry(
            settings=self.settings,
            clock=self.clock,
            entropy=self.entropy,
            accounts=self.accounts,
            tokens=self.tokens,
            make_session=self.session_factory,
        )
        settings = self.settings  # a function that refers to `self` would make the backend a reference cycle
        urls = ArtifactUrls(
            self.clock,
            self._secret("artifact URLs"),
            lambda: settings.now.artifact_url_lifetime,
            remember=remember,
        )
        self.recordings = Recordings(self.streams, urls, self.clock, FileStore(self.recordings_directory))
        self.pictures = FramePictures(self.streams, self.sessions.frames_made)
        self.jobs = Jobs(
            settings=self.settings,
            clock=self.clock,
            entropy=self.entropy,
            network=self.network,
            journal=self.journal,
            faults=self.faults,
            accounts=self.accounts,
            usage=self.usage,
            streams=self.streams,
            state=self.state,
        )

    async def restore(self) -> None:
        """Continue what an earlier process has left in `state`: its jobs run, and its incomplete files are deleted."""
        if self.recordings_directory is not None:
            await self.recordings.tidy(self.recordings_directory)
        if self.state.stopped_at is not None:
            self.journal.record("state", "server", {"from": "stopped", "to": "up", "why": "the mock was started again"})
        for stream in self.streams.interrupted:
            data: dict[str, JSON] = {"from": "running", "to": "idle", "event": "broke", "why": INTERRUPTED}
            if stream.session_id is not None:
                self.journal.record(
                    "state", "stream", data, account=stream.account_id, session=stream.session_id, stream=stream.id
                )
        self.jobs.restore()

    @property
    def is_unused(self) -> bool:
        """Whether the server has only answered requests, so that nothing has to be ended.

        It then has had no session, has no stream, broadcast, job or file, and no deadline is pending or has fired.
        """
        return (
            self.sessions.is_unused
            and not (self.streams.records or self.broadcasts or self.jobs or self._deadlines_fired)
            and not self.clock.pending
            and self.recordings.is_unused
        )

    @property
    def url(self) -> str:
        """Base URL of the server, without a trailing slash: the setting `public_url`, or else `listening_url`."""
        return self.settings.now.public_url or self.listening_url

    @cached_property
    def control_token(self) -> str:
        """The token for the control API: the setting, or a generated token, which is saved."""
        token = self.settings.now.control_token or self._secret("control token")()
        self.journal.secrets.add(token)
        return token

    @property
    def is_exposed(self) -> bool:
        """Whether other machines can reach the server, so that they need the control token for the control API."""
        public = BaseUrl.read(self.settings.now.public_url or "")
        return not self.listens_on_loopback or not (public is None or public.authority.is_local)

    @property
    def expects_token(self) -> bool:
        """Whether the settings suggest that some requests need the control token: those of other hosts or proxies."""
        settings = self.settings.now
        hosts = [Authority.of(host) for host in settings.control_hosts]
        return self.is_exposed or bool(settings.trusted_proxies) or not all(host.is_local for host in hosts)

    def _note_deadline(self, deadline: Deadline) -> None:
        self._deadlines_fired += 1
        self.journal.record("deadline", deadline.name, due=deadline.when)

    def _note_pace(self, change: PaceChange) -> None:
        self.journal.record("note", f"clock {change}", speed=self.clock.speed)

    def let_go(self) -> None:
        """Drop the callbacks by which the services refer to each other and to observers, once the server has ended.

        Reference counts can then free an ended mock with everything that it has. Only the garbage collector could free
        the cycles, and in a test run with hundreds of mocks that takes time from every test.
        """
        self.journal.drop_observers()
        self.streams.drop_observers()

    def change_settings(self, *, plan: Plan | None = None, **changes: Unpack[ChangeableSettings]) -> None:
        """Change settings, and record the change in the journal; see `MockOdyssey.change_settings`."""
        before = self.settings.now
        changed = self.settings.change(plan=plan, **changes)
        if not changed:
            return
        shown = {
            name: {"from": to_data(getattr(before, name)), "to": to_data(getattr(self.settings.now, name))}
            for name in changed
        }
        self.journal.record("note", "settings changed", changes=shown)
        self.networks.settings_changed()
        self.jobs.hand_out()

    async def reset(self) -> None:
        """End all sessions, broadcasts and jobs, and delete all records and the journal; see `MockOdyssey.reset`."""
        # First, for requests that arrive while this waits, and again at the end, for changes made in the meantime.
        self._restore_start()
        await self.sessions.close()
        await self.broadcasts.close()
        await self.monitors.close()
        await self.jobs.reset()
        self.streams.clear()
        self.usage.clear()
        await self.recordings.settle()
        self.faults.reset()
        self.networks.reset()
        self.accounts.clear()
        self.telemetry.clear()
        self._restore_start()
        self.journal.clear()

    def _secret(self, name: str) -> Callable[[], str]:
        """Return a function that returns a secret, and generates it at the first call."""
        return partial(self.secrets.token, name, SECRETS[name])

    def _restore_start(self) -> None:
        """Restore the settings and the pace of the clock with which the mock was started."""
        self.settings.reset()
        if self.clock.is_paused:
            self.clock.resume()
        if self._speed is not None and self.clock.speed != self._speed:
            self.clock.set_speed(self._speed)


def _host_candidates(settings: Settings, stun_port: int) -> HostCandidates:
    ports = settings.udp_port_range
    return HostCandidates(
        loopback_only=settings.loopback_only,
        ports=UdpPorts(ports, without=stun_port) if ports is not None else None,
        advertised=settings.udp_addresses,
    )
