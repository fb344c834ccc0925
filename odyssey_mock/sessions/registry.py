"""The registry of a mock's sessions, each of which occupies one streamer."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from odyssey_mock.accounts.accounts import Account, Accounts
from odyssey_mock.accounts.session_tokens import SessionTokens
from odyssey_mock.core.clock import Clock, Deadline
from odyssey_mock.core.entropy import Entropy
from odyssey_mock.core.picklable_error import PicklableError
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.current_settings import CurrentSettings
from odyssey_mock.recordings.stream_records import StreamRecord
from odyssey_mock.sessions.session_identity import SessionIdentity

if TYPE_CHECKING:
    from odyssey_mock.sessions.session import MakeSession, Session


class NoStreamerError(PicklableError):
    """Every streamer is in use. The response is 503, and the client retries."""


class ConcurrentLimitError(PicklableError):
    """The account has reached its limit of concurrent sessions."""

    def __init__(self, active: int, limit: int) -> None:
        super().__init__(f"Maximum concurrent sessions ({limit}) reached")
        self.active = active
        self.limit = limit


class SessionRegistry:
    """Creates sessions and keeps them until they are closed."""

    def __init__(
        self,
        *,
        settings: CurrentSettings,
        clock: Clock,
        entropy: Entropy,
        accounts: Accounts,
        tokens: SessionTokens,
        make_session: MakeSession,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._entropy = entropy
        self._accounts = accounts
        self._tokens = tokens
        self._make_session = make_session
        self._sessions: dict[str, Session] = {}
        self._leaving: dict[Session, None] = {}
        """Sessions that have released their streamer but are still closing their peer and socket: an ordered set."""
        self._expiries: dict[str, Deadline] = {}
        """The deadline of each session's latest token, by session id."""
        self.is_unused = True
        """Whether no session has been created yet."""

    @property
    def sessions(self) -> Mapping[str, Session]:
        """The sessions that occupy a streamer, by id, oldest first."""
        return MappingProxyType(self._sessions)

    def request(self, account: Account, latencies: Mapping[str, float]) -> Session:
        """Create a session on a free streamer, in the region with the lowest of the client's `latencies`.

        Raises:
            ConcurrentLimitError: the account has reached its limit of concurrent sessions.
            NoStreamerError: every streamer is in use.
        """
        limits = self._accounts.limits_of(account.id)
        limit = limits.concurrent_sessions
        held = [session for session in self._sessions.values() if session.account_id == account.id]
        if limit is not None and len(held) >= limit:
            raise ConcurrentLimitError(len(held), limit).because(
                f"the account has {_listed(held)} (setting `concurrent_sessions`: {limit})"
            )
        if len(self._sessions) >= self._settings.now.streamers:
            raise NoStreamerError().because(
                f"all streamers are in use: {_listed([*self._sessions.values()])} of all accounts "
                f"(setting `streamers`: {self._settings.now.streamers})"
            )
        regions = [region.id for region in self._settings.now.regions]
        identity = SessionIdentity(
            id=self._entropy.uuid(),
            account_id=account.id,
            limits=limits,
            may_bypass=account.bypass_vlm_expansion,
            streamer_id=f"streamer-{self._entropy.uuid()[:8]}",
            region=min(regions, key=lambda region: latencies.get(region, float("inf"))),
        )
        session = self._make_session(
            identity,
            on_released=self._release,
            on_gone=lambda session: self._leaving.pop(session, None),
        )
        self._sessions[session.id] = session
        self.is_unused = False
        return session

    def get(self, session_id: str) -> Session | None:
        """Return the session with this id; None if the id is unknown or the session has ended."""
        return self._sessions.get(session_id)

    def frames_made(self, record: StreamRecord) -> int:
        """Return how many frames of a running stream were made; 0 for one of a simulation job, which makes none."""
        session = self.get(record.session_id or "")
        return session.frames_made if session is not None and session.stream is record else 0

    def token_for(self, session: Session) -> str:
        """Create a token for the session. The session ends if all its tokens expire before a client connects.

        Only the latest token needs a deadline, because earlier tokens expire first.
        """
        lifetime = self._settings.now.session_token_lifetime
        if (earlier := self._expiries.pop(session.id, None)) is not None:
            earlier.cancel()
        left = self._tokens.expiry(lifetime) - self._clock.time()
        self._expiries[session.id] = self._clock.call_later(left, "session token", session.unused)
        session.issued_token(lifetime)
        return self._tokens.mint(session.id, session.account_id, lifetime)

    async def close(self) -> None:
        """End every session; return once all are completely closed."""
        # Repeat, because clients may request sessions while the others are closing.
        while sessions := [*self._sessions.values(), *self._leaving]:
            async with asyncio.TaskGroup() as tasks:
                for session in sessions:
                    tasks.create_task(session.shut_down())

    def snapshot(self, now: float) -> list[JSON]:
        """Return the sessions as `GET /_mock/state` shows them; see `Session.snapshot`."""
        return [session.snapshot(now, self._expiries.get(session.id)) for session in self._sessions.values()]

    def _release(self, session: Session) -> None:
        del self._sessions[session.id]
        if (expiry := self._expiries.pop(session.id, None)) is not None:
            expiry.cancel()
        if session.is_served:
            self._leaving[session] = None


def _listed(sessions: Sequence[Session]) -> str:
    """Return the number of sessions and their states, as text: `2 sessions (1 connected, 1 stale)`."""
    states = Counter(session.state.value for session in sessions)
    shown = ", ".join(f"{number} {state}" for state, number in states.items())
    return f"{len(sessions)} session{'' if len(sessions) == 1 else 's'}" + (f" ({shown})" if shown else "")
