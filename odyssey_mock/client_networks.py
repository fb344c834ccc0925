"""`ClientNetworks`, the networks between a mock and its clients, which a setting or a fault impairs.

The delay of a packet passes on the event loop, which also paces the video. Silences pass on the mock's clock, as faults
do, so that `advance` reaches the end of a tunnel.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from odyssey_mock.core.clock import Clock
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.current_settings import CurrentSettings
from odyssey_mock.impairment.network_path import NetworkPath
from odyssey_mock.impairment.presets import profile_of
from odyssey_mock.impairment.profile import DIRECTIONS, Direction, NetworkProfile, TrafficKind
from odyssey_mock.rtc.protocols import Peer

type Cause = str
"""Why a network is impaired, for the journal: `the setting` or the label of a fault."""


class Note(Protocol):
    """A function that records a note about a client in the journal."""

    def __call__(self, name: str, data: Mapping[str, JSON]) -> object:
        """Record a note called `name`."""


class ClientNetworks:
    """The networks of all clients of one mock.

    Each client has a name, such as `client 1`, that depends only on how many clients have connected before. With the
    seed of the mock, the name determines which of its packets are lost.
    """

    def __init__(self, settings: CurrentSettings, clock: Clock, seed: Callable[[], str]) -> None:
        """Create it without clients. `seed` returns the seed of all random decisions, when it is first needed."""
        self._settings = settings
        self._clock = clock
        self._seed = seed
        self._present: dict[ClientNetwork, None] = {}
        self._joined: dict[str, int] = {}
        self._used: NetworkProfile | None = None
        self._since: float | None = None
        """The time of the clock when the first client got the profile of the setting: the silences count from it."""

    def join(self, peer: Peer, role: str, note: Note) -> ClientNetwork:
        """Return the network of a new client with the mock's peer `peer`. The caller must call `leave` at its end.

        `role`: what the client is, such as `client` or `spectator`. `note`: records notes about it.
        """
        number = self._joined[role] = self._joined.get(role, 0) + 1
        network = ClientNetwork(
            peer, f"{role} {number}", note, clock=self._clock, seed=self._seed, on_left=self._present.pop
        )
        self._present[network] = None
        self._use_setting([network])
        return network

    def settings_changed(self) -> None:
        """Apply the current setting to all clients."""
        self._use_setting([*self._present])

    def reset(self) -> None:
        """Count clients from 1 again, and silences from the next one."""
        self._joined.clear()
        self._since = None

    def _use_setting(self, networks: Sequence[ClientNetwork]) -> None:
        profile = profile_of(self._settings.now.network_profile)
        if profile != self._used:
            self._used, self._since = profile, None
        if not networks:
            return
        if self._since is None:
            # A client that connects again is still in the same tunnel.
            self._since = self._clock.monotonic()
        for network in networks:
            network.use_setting(profile, self._since)


class ClientNetwork:
    """The network between the mock and one client, a `DatagramNetwork` for the client's peer."""

    def __init__(
        self,
        peer: Peer,
        name: str,
        note: Note,
        *,
        clock: Clock,
        seed: Callable[[], str],
        on_left: Callable[[ClientNetwork], object],
    ) -> None:
        self.name = name
        self._peer: Peer | None = peer
        """None after `leave`, because a peer whose network is impaired refers to this object."""
        self._note = note
        self._clock = clock
        self._seed = seed
        self._on_left = on_left
        self._of_setting: NetworkProfile | None = None
        self._setting_since = 0.0
        self._of_fault: NetworkProfile | None = None
        self._profile: NetworkProfile | None = None
        """The profile that applies now; None if the network is not impaired."""
        self._paths: Mapping[Direction, NetworkPath] = {}
        self._since = 0.0
        """The time of the clock when this profile began to apply."""
        self._changes = 0
        self._changed: dict[asyncio.Event, None] = {}
        """Events for which calls of `deliver` wait during a silence."""

    def use_setting(self, profile: NetworkProfile | None, since: float) -> None:
        """Use the profile of the setting, unless a fault has another one. Silences count from `since`."""
        self._of_setting, self._setting_since = profile, since
        self._apply("the setting `network_profile`")

    def use_fault(self, profile: NetworkProfile | None, label: str) -> None:
        """Use the profile of the fault called `label` instead of the setting; None ends it."""
        self._of_fault = profile
        self._apply(label)

    def leave(self) -> None:
        """Note what was lost, because the client's connection has ended; may be called more than once."""
        if self._peer is not None:
            self._note_losses()
            self._peer = None
            self._on_left(self)

    def is_impaired(self, kind: TrafficKind) -> bool:
        """Return whether packets of this kind are impaired now."""
        return self._profile is not None and kind in self._profile.traffic

    def deliveries(self, direction: Direction, kind: TrafficKind, size: int, now: float) -> tuple[float, ...]:
        """Return the times at which the copies of a datagram are delivered; see `DatagramNetwork`."""
        if not self.is_impaired(kind):
            return (now,)
        path = self._paths[direction]
        return path.datagram(kind, size, now, self._elapsed if path.impairment.silence else 0.0)

    async def deliver(
        self, direction: Direction, kind: TrafficKind, size: int, sent: float, *, is_closed: Callable[[], bool]
    ) -> bool:
        """Wait until a message of a reliable connection, sent at the time `sent` of the event loop, is delivered.

        Messages of one kind and direction must be passed to this method one after the other. Return False if the
        message is lost, because the connection is closed during a silence: call `wake` when `is_closed()` changes.
        """
        loop = asyncio.get_running_loop()
        was_silent = await self._end_of_silence(direction, kind, is_closed)
        if was_silent and is_closed():
            return False
        if was_silent:
            sent = loop.time()
        if not self.is_impaired(kind):
            return True
        due = self._paths[direction].message(kind, size, sent)
        if (left := due - loop.time()) > 0:
            over = asyncio.Event()
            timer = loop.call_later(left, over.set)
            try:
                await over.wait()
            finally:
                timer.cancel()
        return True

    def wake(self) -> None:
        """Let calls of `deliver` that wait for the end of a silence find out whether they still have to."""
        for event in self._changed:
            event.set()

    async def _end_of_silence(self, direction: Direction, kind: TrafficKind, is_closed: Callable[[], bool]) -> bool:
        """Wait until no silence stops packets of this kind, or the connection is closed. Return if there was one."""
        was_silent = False
        while self.is_impaired(kind) and (left := self._paths[direction].impairment.silence_left(self._elapsed)):
            was_silent = True
            if is_closed():
                break
            over = asyncio.Event()
            self._changed[over] = None
            deadline = self._clock.call_later(left, f"network: end of the silence of {self.name}", over.set)
            try:
                await over.wait()
            finally:
                deadline.cancel()
                del self._changed[over]
        return was_silent

    @property
    def _elapsed(self) -> float:
        return self._clock.monotonic() - self._since

    def _apply(self, why: str) -> None:
        profile = self._of_setting if self._of_fault is None else self._of_fault
        if profile == self._profile or self._peer is None:
            return
        self._note_losses()
        self._profile = profile
        self._since = self._setting_since if self._of_fault is None else self._clock.monotonic()
        if profile is not None:
            seed = f"{self._seed()}/{self.name}/{self._changes}"
            self._changes += 1
            self._paths = {way: NetworkPath(profile.of(way), f"{seed}/{way}") for way in DIRECTIONS}
            self._peer.impair(self)
        shown = None if profile is None else profile.to_data()
        self._note("network changed", {"client": self.name, "profile": shown, "why": why})
        self.wake()

    def _note_losses(self) -> None:
        """Record what became of the packets under the profile that ends now."""
        if self._profile is None:
            return
        counted: dict[str, JSON] = {way: self._paths[way].to_data() for way in DIRECTIONS}
        self._note("network losses", {"client": self.name, **counted})
