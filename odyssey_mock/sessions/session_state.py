"""How a session stands, with or without a line to its client: state, deadlines, slot, and what it shows."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from odyssey_mock.sessions.deadlines import Deadlines
from odyssey_mock.sessions.session_machine import Action, Event, SessionMachine, State
from odyssey_mock.sessions.session_video import SessionVideo

if TYPE_CHECKING:
    from odyssey_mock.backend import Backend


class SessionState:
    """The part of a session that waits for nobody.

    `due(event)` is called, and awaited, when a deadline has come; `on_released()` when the session gives its slot back.
    """

    def __init__(
        self,
        backend: "Backend",
        *,
        session_id: str,
        account_id: str,
        may_bypass: bool,
        due: Callable[[Event], Awaitable[None]],
        on_released: Callable[[], None],
    ) -> None:
        self.released = asyncio.Event()
        """Set once the session is over."""
        self._backend = backend
        self._limits = backend.accounts.limits_of(account_id)
        self._session_id = session_id
        self._account_id = account_id
        self._may_bypass = may_bypass
        self._due = due
        self._on_released = on_released
        self._machine = SessionMachine()
        self.show = self._new_show()
        self._deadlines = Deadlines(backend.clock, due)
        self._deadlines.arm(Event.DANGLING, backend.settings.dangling_session)

    @property
    def state(self) -> State:
        """Where the session stands."""
        return self._machine.state

    def happen(self, event: Event) -> tuple[Action, ...]:
        """Let `event` happen: do to the session what is to be done at once; return all that is to be done.

        So a slot is free the moment its session is over, however long the client takes to hear of it.
        """
        before = self._machine.state
        actions = self._machine.handle(event)
        if self._machine.state is not before:
            self._backend.journal.record(
                "state",
                "session",
                {"from": before, "to": self._machine.state, "event": event},
                account=self._account_id,
                session=self._session_id,
            )
        for action in actions:
            self._settle(action)
        return actions

    def touch(self) -> None:
        """The client has asked for something, or a stream has ended: the time without activity begins anew."""
        if self.state is State.CONNECTED:
            self._deadlines.arm(Event.INACTIVE, self._limits.inactivity)

    def _settle(self, action: Action) -> None:
        match action:
            case Action.ARM_LIMIT:
                self._deadlines.arm(Event.CONNECTION_OVERDUE, self._limits.connection_duration)
            case Action.ARM_INACTIVITY:
                self.touch()
            case Action.DISARM_INACTIVITY:
                self._deadlines.disarm(Event.INACTIVE)
            case Action.ARM_GRACE:
                self._deadlines.arm(Event.GRACE_OVER, self._backend.settings.session_grace)
            case Action.DISARM_GRACE:
                self._deadlines.disarm(Event.GRACE_OVER)
            case Action.DISARM:
                self._deadlines.disarm_all()
            case Action.DROP_LINE:
                self.show.leave()
                if not self._backend.settings.session_grace:
                    self.happen(Event.GRACE_OVER)
            case Action.HANG_UP:
                self.show.end()
                if self.state is State.WAITING:
                    self.show = self._new_show()
            case Action.RELEASE:
                self.released.set()
                self._on_released()
            case _:
                pass  # done to the line

    def _new_show(self) -> SessionVideo:
        return SessionVideo(
            self._backend,
            session_id=self._session_id,
            account_id=self._account_id,
            may_bypass=self._may_bypass,
            on_overdue=lambda: self._due(Event.STREAM_OVERDUE),
            on_ended=self.touch,
        )
