"""Who took part in a trace, and which two events are records of one message.

A message that both sides record appears twice in a trace: once when it was sent, once when it arrived.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict, deque
from collections.abc import Hashable, Iterable, Sequence
from urllib.parse import urlsplit

from odyssey_client.trace import TraceEvent
from odyssey_mock.core.sequence_diagram import natural_order

TEST, CLIENT, SERVER = "test", "client", "server"
"""Names of participants for events that name no client and no server."""

MESSAGE_LANES = frozenset({"signaling", "sdp", "channel"})
"""Lanes whose events with a sender are messages."""

EARLY = 0.05
"""Seconds by which a message may arrive before it was sent. Both sides read the clock after the fact."""


def is_message(event: TraceEvent) -> bool:
    """Return whether an event is a message between client and server, but no HTTP exchange."""
    return event.lane in MESSAGE_LANES and event.sender is not None


class Participants:
    """The test, the clients and the servers of a trace."""

    def __init__(self, events: Iterable[TraceEvent]) -> None:
        events = tuple(events)
        self._clients = {event.actor for event in events if event.side == "client" and event.actor is not None}
        self._client_of_session: dict[str, str] = {}
        self._server_of_session: dict[str, str] = {}
        for event in events:
            if event.session is None:
                continue
            if event.side == "client" and event.actor is not None:
                self._client_of_session.setdefault(event.session, event.actor)
            elif event.side == "server":
                self._server_of_session.setdefault(event.session, self._server(event))
        self._only_client = next(iter(self._clients)) if len(self._clients) == 1 else CLIENT
        servers = {self._server(event) for event in events if event.side == "server"}
        self._only_server = next(iter(servers)) if len(servers) == 1 else SERVER
        seen = {self.of(event) for event in events}
        seen.update(self.other(event) for event in events if is_message(event) or event.lane == "http")
        servers.add(self._only_server)
        tests, last = seen & {TEST}, seen & servers
        clients = sorted(seen - tests - last, key=natural_order)
        self.columns = (*tests, *clients, *sorted(last, key=natural_order))
        """All participants: the test, then the clients, then the servers."""

    def of(self, event: TraceEvent) -> str:
        """Return the participant that recorded an event."""
        if event.side == "test":
            return TEST
        if event.side == "server":
            return self._server(event)
        return event.actor or self._client_of_session.get(event.session or "", self._only_client)

    def other(self, event: TraceEvent) -> str:
        """Return the participant at the other end of a message or an HTTP exchange."""
        session = event.session or ""
        if event.side != "server":
            return self._server_of_session.get(session, self._only_server)
        if event.actor in self._clients:
            return event.actor or self._only_client
        return self._client_of_session.get(session, self._only_client)

    def ends(self, event: TraceEvent) -> tuple[str, str]:
        """Return the sender and the receiver of a message."""
        own, other = self.of(event), self.other(event)
        return (own, other) if event.sender == event.side else (other, own)

    def _server(self, event: TraceEvent) -> str:
        """Return the name of a server. In a trace of several hosts, it is the host; else the actor is a client."""
        return SERVER if event.actor is None or event.actor in self._clients else event.actor


def pairs(events: Sequence[TraceEvent]) -> dict[int, int]:
    """Find the messages and HTTP exchanges that both sides recorded.

    Returns:
        For the index of the sender's record, the index of the receiver's. The sender of an HTTP exchange is the client.
    """
    found: dict[int, int] = {}
    repeated = copies(events)
    left = [
        index
        for index, event in enumerate(events)
        if (is_message(event) or event.lane == "http") and index not in repeated
    ]
    # First messages of a session with the same content, then the others in order: one side may show less of a message,
    # and may not know the session yet.
    for key in (_session_and_content, _session_and_name, _content, _name):
        waiting: defaultdict[Hashable, deque[int]] = defaultdict(deque)
        for index in left:
            if _is_sent(events[index]):
                waiting[key(events[index])].append(index)
        for index in left:
            event = events[index]
            if _is_sent(event) or not (sent := waiting.get(key(event))):
                continue
            first = events[sent[0]]
            is_same_session = None in {first.session, event.session} or first.session == event.session
            if is_same_session and first.at <= event.at + EARLY:
                found[sent.popleft()] = index
        taken = {*found, *found.values()}
        left = [index for index in left if index not in taken]
    return found


def copies(events: Sequence[TraceEvent]) -> set[int]:
    """Return the indexes of descriptions and candidates that the same side also recorded as a signaling message."""
    signaled = Counter((event.side, event.actor, *_name(event)) for event in events if event.lane == "signaling")
    found = set[int]()
    for index, event in enumerate(events):
        key = (event.side, event.actor, *_name(event))
        if event.lane == "sdp" and signaled[key] > 0:
            signaled[key] -= 1
            found.add(index)
    return found


def _is_sent(event: TraceEvent) -> bool:
    return event.side == ("client" if event.lane == "http" else event.sender)


def _name(event: TraceEvent) -> tuple[Hashable, ...]:
    if event.lane == "http":
        method, _, path = event.name.partition(" ")
        url = event.data.get("url")  # in the name, the server has the pattern of the path
        return event.lane, method, urlsplit(url).path if isinstance(url, str) else path
    # The service calls a candidate `ice_candidate`. A side records descriptions in one of two lanes, or in both.
    return event.lane.replace("sdp", "signaling"), event.name.removeprefix("ice_"), event.sender


def _content(event: TraceEvent) -> tuple[Hashable, ...]:
    message = event.data.get("message")
    sdp = message.get("sdp") if isinstance(message, dict) else event.data.get("sdp")
    return *_name(event), json.dumps(message if sdp is None else sdp, sort_keys=True)


def _session_and_name(event: TraceEvent) -> tuple[Hashable, ...]:
    return event.session or "", *_name(event)


def _session_and_content(event: TraceEvent) -> tuple[Hashable, ...]:
    return event.session or "", *_content(event)
