"""REST calls for sessions and their tokens, with a queue while no streamer is free (protocol.md section 2).

Requests for tokens are retried (rest/retries.py). A request for a session is not: if its response is lost, the service
may have opened a session.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from odyssey_client.credentials import ClientCredentials, is_signaling_url
from odyssey_client.errors import QueueTimeoutError
from odyssey_client.models import JSON, StreamerCapabilities
from odyssey_client.rest.error_mapping import readable
from odyssey_client.rest.fields import Fields
from odyssey_client.rest.regions import measure
from odyssey_client.rest.retries import retrying
from odyssey_client.rest.transport import Transport
from odyssey_client.service_errors import NOT_QUEUED

POLL_INTERVAL_S = 1.0

type OnQueued = Callable[[int, str], None]
"""Called each time no streamer is free, with the number of such responses (1, 2, ...) and the service's message."""

_REQUEST = "/sessions/request"
_TOKEN = "/sessions/token"  # noqa: S105 - a path


class Sessions:
    """The sessions of one client: REST calls that open and renew them."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def open(self, on_queued: OnQueued) -> ClientCredentials:
        """Measure the latency of each region, then open a session.

        Raises:
            OdysseyConfigError: the client has no API key.
            OdysseyError: a call failed; see `open_session`.
        """
        await retrying(self._transport.authenticate, self._transport.retries, self._transport.clock)
        latencies = await measure(self._transport)
        return await open_session(self._transport, latencies=latencies, on_queued=on_queued)

    async def renew(self, credentials: ClientCredentials) -> ClientCredentials:
        """Return ``credentials`` with a new token; without an API key, return them unchanged.

        The call is not retried, because the connection repeats the whole attempt to reconnect.

        Raises:
            SessionLostError: the session no longer exists, or belongs to another account.
            OdysseyError: the call failed for another reason.
        """
        if self._transport.config.api_key is None:
            return credentials
        token, expires_in = await _token(self._transport, credentials.session_id)
        return replace(credentials, session_token=token, expires_in=expires_in)


async def open_session(
    transport: Transport, *, latencies: Mapping[str, float] | None = None, on_queued: OnQueued | None = None
) -> ClientCredentials:
    """Request a session and its token; wait at most ``AdvancedConfig.queue_timeout_s`` for a free streamer.

    Args:
        transport: The transport to the service.
        latencies: The latencies that `odyssey_client.rest.regions.measure` returned.
        on_queued: Called each time no streamer is free and the request will be repeated.

    Raises:
        QueueTimeoutError: no streamer became free in time.
        OdysseyUsageError: a limit of the account is reached, such as its number of concurrent sessions.
        OdysseyError: a call failed for another reason.
    """
    session = await _request(transport, latencies, on_queued)
    session_id = session.text("session_id")
    signaling_url = session.text("signalling_url").rstrip("/")
    if not signaling_url.startswith(("ws://", "wss://")) or not is_signaling_url(signaling_url):
        raise session.wrong("signalling_url", "a WebSocket URL")
    capabilities = session.object("capabilities")
    token, expires_in = await retrying(lambda: _token(transport, session_id), transport.retries, transport.clock)
    return ClientCredentials(
        session_id=session_id,
        signaling_url=signaling_url,
        session_token=token,
        expires_in=expires_in,
        # Without capabilities in the response, the streamer is assumed to accept no images.
        capabilities=StreamerCapabilities(capabilities.flag("image_to_video") if capabilities is not None else False),
    )


async def _token(transport: Transport, session_id: str) -> tuple[str, int]:
    """Request a token for a session; return the token and its lifetime in seconds."""
    answer = await transport.request("POST", _TOKEN, json={"session_id": session_id})
    fields = Fields(answer, f"POST {_TOKEN}")
    return fields.text("session_token"), int(fields.number("expires_in"))


async def _request(transport: Transport, latencies: Mapping[str, float] | None, on_queued: OnQueued | None) -> Fields:
    clock = transport.clock
    deadline = clock.monotonic() + transport.config.advanced.queue_timeout_s
    route = f"POST {_REQUEST}" if transport.config.advanced.queue_timeout_s else NOT_QUEUED
    body: JSON = {"region_latencies": dict(latencies)} if latencies else {}
    refusals = 0
    while True:
        try:
            return Fields(await transport.request("POST", _REQUEST, json=body, route=route), f"POST {_REQUEST}")
        except QueueTimeoutError as error:
            refusal = error
        remaining = deadline - clock.monotonic()
        if remaining <= 0:
            raise refusal
        refusals += 1
        if on_queued is not None:
            on_queued(refusals, readable(refusal.detail))
        await clock.sleep(min(POLL_INTERVAL_S, remaining))
