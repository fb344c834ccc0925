"""`Backend`, which creates all services of one server, such as accounts, sessions and jobs, and connects them."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from odyssey_mock.accounts.accounts import Accounts
from odyssey_mock.accounts.session_tokens import SessionTokens
from odyssey_mock.accounts.usage import Usage
from odyssey_mock.broadcasts.registry import Broadcasts
from odyssey_mock.core.clock import Clock
from odyssey_mock.core.entropy import Entropy
from odyssey_mock.core.journal import Journal
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.faults.registry import Faults
from odyssey_mock.media.frame_encoder import MakeFrameEncoder, drawn
from odyssey_mock.recordings.artifact_urls import ArtifactUrls
from odyssey_mock.recordings.recordings import Recordings
from odyssey_mock.recordings.stream_records import StreamStore
from odyssey_mock.rtc.protocols import MockNetwork
from odyssey_mock.sessions.client_connection import ClientConnection
from odyssey_mock.sessions.registry import SessionRegistry
from odyssey_mock.sessions.session import Session
from odyssey_mock.sessions.session_lifecycle import SessionVideo
from odyssey_mock.sessions.stream_setup import StreamSetup
from odyssey_mock.settings import Settings
from odyssey_mock.simulations.jobs import Jobs


@dataclass(eq=False)
class Backend:
    """The services of one server. Only `server.py` and `http/app.py` use it; other code uses single services."""

    settings: Settings
    clock: Clock
    entropy: Entropy
    network: MockNetwork
    base_url: str
    """Base URL of the server, without a trailing slash."""
    stun_url: str
    """The URL of the mock's STUN server (RFC 7064), for the ICE configuration of clients."""
    frame_encoder: MakeFrameEncoder = drawn
    """Factory of the encoders of live streams."""
    journal: Journal = field(init=False)
    faults: Faults = field(init=False)
    accounts: Accounts = field(init=False)
    tokens: SessionTokens = field(init=False)
    telemetry: deque[Mapping[str, JSON]] = field(init=False)
    """The telemetry events that clients sent, oldest first."""
    sessions: SessionRegistry = field(init=False)
    streams: StreamStore = field(init=False)
    usage: Usage = field(init=False)
    broadcasts: Broadcasts = field(init=False)
    recordings: Recordings = field(init=False)
    jobs: Jobs = field(init=False)

    def __post_init__(self) -> None:
        self.journal = Journal(self.clock.time, self.settings.journal_limit)
        self.clock.observe(lambda deadline: self.journal.record("deadline", deadline.name, due=deadline.when))
        self.faults = Faults(self.journal, self.entropy.token(16), self.settings.faults)
        self.accounts = Accounts(self.settings, self.clock, self.entropy)
        self.tokens = SessionTokens(self.clock, self.entropy)
        self.telemetry = deque(maxlen=self.settings.journal_limit)
        self.streams = StreamStore(self.settings.streams_limit)
        self.usage = Usage(self.clock, self.accounts, self.streams)
        self.broadcasts = Broadcasts(
            settings=self.settings,
            clock=self.clock,
            entropy=self.entropy,
            journal=self.journal,
            peers=self.network,
            streams=self.streams,
            base_url=self.base_url,
        )
        self.sessions = SessionRegistry(
            settings=self.settings,
            clock=self.clock,
            entropy=self.entropy,
            accounts=self.accounts,
            tokens=self.tokens,
            make_session=self._session_maker(),
        )
        urls = ArtifactUrls(self.clock, self.entropy, self.settings.artifact_url_lifetime)
        self.recordings = Recordings(self.streams, urls)
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
        )

    def _session_maker(self) -> partial[Session]:
        """Return a factory of sessions: `Session` with the arguments that are the same for all sessions."""
        connect = partial(
            ClientConnection,
            journal=self.journal,
            faults=self.faults,
            clock=self.clock,
            peers=self.network,
            loopback_only=self.settings.loopback_only,
        )
        setup = StreamSetup(
            settings=self.settings,
            clock=self.clock,
            entropy=self.entropy,
            faults=self.faults,
            make_frame_encoder=self.frame_encoder,
        )
        make_video = partial(
            SessionVideo,
            settings=self.settings,
            clock=self.clock,
            journal=self.journal,
            faults=self.faults,
            streams=self.streams,
            broadcasts=self.broadcasts,
            setup=setup,
        )
        return partial(
            Session,
            settings=self.settings,
            clock=self.clock,
            journal=self.journal,
            connect=connect,
            make_video=make_video,
        )

    async def reset(self) -> None:
        """End all sessions, broadcasts and jobs, and delete what was recorded; see `MockOdyssey.reset`."""
        await self.sessions.close()
        await self.broadcasts.close()
        await self.jobs.reset()
        self.streams.clear()
        self.usage.clear()
        await self.recordings.settle()
        self.faults.reset()
        self.accounts.clear()
        self.telemetry.clear()
        self.journal.clear()
