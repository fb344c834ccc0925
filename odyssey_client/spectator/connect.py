"""`connect_to_stream`: the one way to a `SpectatorConnection`."""

from __future__ import annotations

from urllib.parse import urlsplit

from odyssey_client.config import AdvancedConfig
from odyssey_client.errors import ConnectTimeoutError, OdysseyConfigError
from odyssey_client.platform import Clock, Network
from odyssey_client.spectator.connection import SpectatorConnection
from odyssey_client.system import default_platform


async def connect_to_stream(
    webrtc_url: str,
    spectator_token: str,
    *,
    advanced: AdvancedConfig | None = None,
    clock: Clock | None = None,
    network: Network | None = None,
) -> SpectatorConnection:
    """Watch a broadcast; return once it is connected. No API key is needed.

    `Odyssey.connect_to_stream` is this very function: what a client was configured with has no part in it.

    ::

        async with await connect_to_stream(info.webrtc_url, info.spectator_token) as spectator:
            spectator.on_disconnect(lambda: print("Broadcast ended"))
            async for frame in spectator.frames():
                ...

    Args:
        webrtc_url: Where it is, from `BroadcastInfo`.
        spectator_token: What opens it, from `BroadcastInfo`.
        advanced: Limits; ``connect_timeout_s`` is for all of the connecting, ``peer_timeout_s`` for the time
            without a frame.
        clock: The source of time; the machine's if None.
        network: The way out of the process; the machine's if None.

    Raises:
        OdysseyConfigError: an argument cannot be used; nothing was sent.
        OdysseyAuthError: the token is not that of the broadcast.
        BroadcastNotFoundError: there is no such broadcast, or it has ended.
        ConnectTimeoutError: it was not connected in time.
        PeerError: ICE or DTLS failed, or the answer cannot be used.
        ServiceUnreachableError: there was no HTTP answer.
        OdysseyApiError: any other refusal.
    """
    _check(webrtc_url, spectator_token)
    if advanced is not None and not isinstance(advanced, AdvancedConfig):
        raise OdysseyConfigError(f"advanced must be an AdvancedConfig or None, got {type(advanced).__name__}")
    settings = advanced or AdvancedConfig()
    limit = settings.connect_timeout_s
    seams = default_platform()
    clock = clock or seams.clock
    # As with keys, white space around them is no part of them: they are often read from files.
    url, token = webrtc_url.strip(), spectator_token.strip()
    connection = SpectatorConnection(
        url, token, peer_timeout=settings.peer_timeout_s, clock=clock, network=network or seams.network
    )
    connection.start()
    try:
        async with clock.timeout(limit):
            await connection.ready()
    except BaseException as error:
        # Failed or cancelled: nothing may be left of it either way.
        await connection.disconnect()
        if isinstance(error, TimeoutError):
            raise ConnectTimeoutError(
                f"The broadcast was not connected within {limit:g} s. The limit is AdvancedConfig.connect_timeout_s."
            ) from None
        raise
    return connection


def _check(webrtc_url: object, spectator_token: object) -> None:
    """Raise unless both can be used. Neither is shown: there may be a secret in the wrong place."""
    for name, value in (("webrtc_url", webrtc_url), ("spectator_token", spectator_token)):
        if not isinstance(value, str) or not value.strip():
            came = "an empty string" if isinstance(value, str) else type(value).__name__
            raise OdysseyConfigError(f"{name} must be a non-empty string, got {came}")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise OdysseyConfigError(f"{name} must be text that UTF-8 can hold, got half a surrogate pair") from None
    try:
        parts = urlsplit(str(webrtc_url).strip())
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise OdysseyConfigError(
            "webrtc_url must be an http or https URL, such as https://host/stream, got something else. "
            "It is the webrtc_url of BroadcastInfo."
        )
    if "@" in parts.netloc:
        raise OdysseyConfigError("webrtc_url must have no user and no password: the token is all it takes.")
