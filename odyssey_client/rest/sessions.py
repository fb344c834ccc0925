"""Getting a session and the token that opens it, in a queue while no streamer is free (protocol.md section 2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from odyssey_client.errors import NO_AVAILABLE_SESSIONS, QUEUE_TIMED_OUT, OdysseyApiError, QueueTimeoutError
from odyssey_client.models import JSON, ClientCredentials, StreamerCapabilities, is_signaling_url
from odyssey_client.rest.failures import readable
from odyssey_client.rest.fields import Fields
from odyssey_client.rest.transport import Transport

POLL_INTERVAL_S = 1.0

type OnQueued = Callable[[int, str], None]
"""Called with the number of refusals so far (1, 2, ...) and what the service said, each time no streamer is free."""

_REQUEST = "/sessions/request"
_TOKEN = "/sessions/token"  # noqa: S105 - a path


async def open_session(
    transport: Transport, *, latencies: Mapping[str, float] | None = None, on_queued: OnQueued | None = None
) -> ClientCredentials:
    """Ask for a session, queueing for at most ``AdvancedConfig.queue_timeout_s``, and for its token.

    Args:
        transport: The way to the service.
        latencies: What `odyssey_client.rest.regions.measure` gave.
        on_queued: Hears of every time that no streamer is free and the wait goes on.

    Raises:
        QueueTimeoutError: no streamer became free in time.
        OdysseyUsageError: a limit of the account, such as too many sessions at once.
        OdysseyError: any other failure of the calls.
    """
    session = await _request(transport, latencies, on_queued)
    session_id = session.text("session_id")
    signaling_url = session.text("signalling_url").rstrip("/")
    if not signaling_url.startswith(("ws://", "wss://")) or not is_signaling_url(signaling_url):
        raise session.wrong("signalling_url", "a WebSocket URL")
    capabilities = session.object("capabilities")
    answer = Fields(await transport.request("POST", _TOKEN, json={"session_id": session_id}), f"POST {_TOKEN}")
    return ClientCredentials(
        session_id=session_id,
        signaling_url=signaling_url,
        session_token=answer.text("session_token"),
        expires_in=int(answer.number("expires_in")),
        # A service that does not say takes no images.
        capabilities=StreamerCapabilities(capabilities.flag("image_to_video") if capabilities is not None else False),
    )


async def _request(transport: Transport, latencies: Mapping[str, float] | None, on_queued: OnQueued | None) -> Fields:
    clock = transport.clock
    deadline = clock.monotonic() + transport.config.advanced.queue_timeout_s
    body: JSON = {"region_latencies": dict(latencies)} if latencies else {}
    refusals = 0
    while True:
        try:
            return Fields(await transport.request("POST", _REQUEST, json=body), f"POST {_REQUEST}")
        except OdysseyApiError as error:
            if error.status != 503:
                raise
            refusal = error
        remaining = deadline - clock.monotonic()
        if remaining <= 0:
            raise _gave_up(refusal, transport.config.advanced.queue_timeout_s) from refusal
        refusals += 1
        if on_queued is not None:
            on_queued(refusals, readable(refusal.detail))
        await clock.sleep(min(POLL_INTERVAL_S, remaining))


def _gave_up(refusal: OdysseyApiError, queue_timeout: float) -> QueueTimeoutError:
    message, code = (QUEUE_TIMED_OUT, None) if queue_timeout else (NO_AVAILABLE_SESSIONS, "no_available_sessions")
    return QueueTimeoutError(
        message, code=code, status=refusal.status, detail=refusal.detail, request_id=refusal.request_id
    )
