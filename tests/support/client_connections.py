"""`connection_to`, which creates a `ClientConnection` without a session."""

from typing import Any

from odyssey_mock import MockOdyssey
from odyssey_mock.core.clock import Clock
from odyssey_mock.rtc.host_candidates import HostCandidates
from odyssey_mock.sessions.client_connection import ClientConnection
from odyssey_mock.sessions.session_identity import SessionIdentity
from odyssey_mock.sessions.signaling_socket import SignalingSocket
from odyssey_mock.settings import LatencyProfile, Limits


def connection_to(
    socket: SignalingSocket,
    mock: MockOdyssey,
    peers: Any,  # Any: a stub
    *,
    clock: Clock | None = None,
    profile: LatencyProfile = "instant",
) -> ClientConnection:
    identity = SessionIdentity(
        id="s", account_id="a", limits=Limits(), may_bypass=True, streamer_id="streamer-1", region="us-east-1"
    )
    return ClientConnection(
        socket,
        identity,
        journal=mock.journal,
        faults=mock.backend.faults,
        clock=clock or mock.backend.clock,
        peers=peers,
        offered=HostCandidates(),
        networks=mock.backend.networks,
        profile=profile,
        channel_delay=0.0,
        on_peer=lambda *_: None,
        current_stream=lambda: None,
        on_keyframe_wanted=lambda: None,
    )
