"""`STATUS_TRANSITIONS`, the order of the statuses that a client may report."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from odyssey_client import ConnectionStatus

_BEGINNING = frozenset({ConnectionStatus.AUTHENTICATING, ConnectionStatus.CONNECTING})

STATUS_TRANSITIONS: Mapping[ConnectionStatus | None, frozenset[ConnectionStatus]] = MappingProxyType(
    {
        None: frozenset({*_BEGINNING, ConnectionStatus.FAILED, ConnectionStatus.DISCONNECTED}),
        ConnectionStatus.AUTHENTICATING: frozenset(
            {*_BEGINNING, ConnectionStatus.FAILED, ConnectionStatus.DISCONNECTED}
        ),
        ConnectionStatus.CONNECTING: frozenset(
            {
                ConnectionStatus.CONNECTING,
                ConnectionStatus.CONNECTED,
                ConnectionStatus.FAILED,
                ConnectionStatus.DISCONNECTED,
            }
        ),
        ConnectionStatus.RECONNECTING: frozenset(
            {
                ConnectionStatus.RECONNECTING,
                ConnectionStatus.CONNECTED,
                ConnectionStatus.FAILED,
                ConnectionStatus.DISCONNECTED,
            }
        ),
        ConnectionStatus.CONNECTED: frozenset(
            {ConnectionStatus.RECONNECTING, ConnectionStatus.FAILED, ConnectionStatus.DISCONNECTED}
        ),
        ConnectionStatus.DISCONNECTED: frozenset(),
        ConnectionStatus.FAILED: frozenset(),
    }
)
"""The statuses that may follow each status of one connection (protocol.md sections 3 and 9)."""
