"""Tests of the signaling socket: its URLs, its messages, and the error after it is closed."""

import pytest

from odyssey_client import ClientCredentials, SystemClock, SystemNetwork
from odyssey_client.connection.messages import Keepalive, ServiceError
from odyssey_client.connection.signaling import SignalingLostError, config_url, open_signaling, signaling_base
from tests.support.scripted_streamer import Session, scripted


def credentials(url: str) -> ClientCredentials:
    return ClientCredentials("session", url, "secret-token", 600)


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("ws://host/", "ws://host"),
        ("WSS://host:1/a//", "wss://host:1/a"),
        ("https://host/a?query#part", "wss://host/a"),
        ("http://[::1]:80", "ws://[::1]:80"),
    ],
)
def test_signaling_base_is_websocket_url_without_suffix(url: str, base: str) -> None:
    assert signaling_base(credentials(url)) == base


@pytest.mark.parametrize(
    ("url", "config"), [("wss://host/path/", "https://host/path/config"), ("ws://host:1", "http://host:1/config")]
)
def test_config_url_is_http_url_below_signaling_base(url: str, config: str) -> None:
    assert config_url(credentials(url)) == config


async def report(session: Session) -> None:
    await session.send({"type": "of the future"})
    await session.send({"type": "error", "reason": "streamer_not_available"})
    await session.socket.close(1011, "restarting")


async def test_messages_arrive_in_order_before_the_close() -> None:
    async with scripted(report) as theirs, open_signaling(theirs, SystemNetwork(), SystemClock()) as socket:
        assert await socket.receive() == ServiceError("streamer_not_available")
        for call in (socket.receive, lambda: socket.send(Keepalive())):
            with pytest.raises(SignalingLostError) as lost:
                await call()
            assert (lost.value.close_code, lost.value.close_reason) == (1011, "restarting")
        await socket.keep_alive(0.001)  # returns, because the socket is closed


async def test_open_failure_names_the_address_without_token() -> None:
    async with scripted(report) as gone:
        pass
    with pytest.raises(SignalingLostError, match=gone.signaling_url) as lost:
        async with open_signaling(credentials(gone.signaling_url), SystemNetwork(), SystemClock()):
            raise AssertionError("expected SignalingLostError while the signaling socket opens, but it opened")
    assert lost.value.close_code is None
    assert "secret" not in str(lost.value)
