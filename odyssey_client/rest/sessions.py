"""REST calls for sessions and their tokens (protocol.md section 2).

Requests for tokens are retried (rest/retries.py). A request for a session is repeated only while no streamer is free.
It is not retried after an error, because the service may have opened a session although its response was lost.

A session that the service granted to a call that failed or was cancelled would stay occupied for 15 minutes. No REST
call ends a session, so `Sessions` ends it through its socket, or keeps it for the next call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from odyssey_client.credentials import ClientCredentials, is_signaling_url
from odyssey_client.errors import OdysseyError, QueueTimeoutError, SessionLostError
from odyssey_client.models import JSON, StreamerCapabilities
from odyssey_client.rest.error_mapping import readable
from odyssey_client.rest.fields import Fields
from odyssey_client.rest.regions import measure
from odyssey_client.rest.retries import retrying
from odyssey_client.rest.transport import Transport
from odyssey_client.service_errors import NOT_QUEUED

POLL_INTERVAL_S = 1.0

GRANT_LIMIT_S = 1.0
"""Seconds that a cancelled call waits for the responses that grant it a session, to end this session."""

type OnQueued = Callable[[int, str], None]
"""Called each time no streamer is free, with the number of such responses (1, 2, ...) and the service's message."""

type EndSession = Callable[[ClientCredentials], Awaitable[bool]]
"""Ends the session of the credentials within a time limit, and returns whether the service was told."""

_REQUEST = "/sessions/request"
_TOKEN = "/sessions/token"  # noqa: S105 - a path


@dataclass(frozen=True, slots=True)
class _Session:
    """A session that the service has granted, and that has no token yet."""

    id: str
    signaling_url: str
    capabilities: StreamerCapabilities


class Sessions:
    """The sessions of one client: REST calls that open and renew them."""

    def __init__(self, transport: Transport, end_session: EndSession) -> None:
        self._transport = transport
        self._end_session = end_session
        self._unused: list[_Session] = []
        """Sessions that no caller has received, and that may still be open. The next calls of `open` use them."""

    async def open(self, on_queued: OnQueued) -> ClientCredentials:
        """Measure the latency of each region, then open a session; wait for a free streamer.

        The waiting is limited by ``AdvancedConfig.queue_timeout_s``. ``on_queued`` is called each time no streamer is
        free and the request will be repeated. A call that is cancelled ends the session that it was granted.

        Raises:
            OdysseyConfigError: the client has no API key.
            QueueTimeoutError: no streamer became free in time.
            OdysseyUsageError: a limit of the account is reached, such as its number of concurrent sessions.
            OdysseyError: a call failed for another reason.
        """
        await retrying(self._transport.authenticate, self._transport.retries, self._transport.clock)
        latencies = await measure(self._transport)
        clock = self._transport.clock
        queue_timeout = self._transport.config.advanced.queue_timeout_s
        deadline = clock.monotonic() + queue_timeout
        refusals = 0
        while True:
            try:
                return await self._ending_if_cancelled(self._grant(latencies, is_queued=queue_timeout > 0))
            except QueueTimeoutError as error:
                refusal = error
            remaining = deadline - clock.monotonic()
            if remaining <= 0:
                raise refusal
            refusals += 1
            on_queued(refusals, readable(refusal.detail))
            await clock.sleep(min(POLL_INTERVAL_S, remaining))

    async def renew(self, credentials: ClientCredentials) -> ClientCredentials:
        """Return ``credentials`` with a new token; without an API key, return them unchanged.

        The call is not retried, because the connection repeats the whole attempt to reconnect.

        Raises:
            SessionLostError: the session no longer exists, or belongs to another account.
            OdysseyError: the call failed for another reason.
        """
        if self._transport.config.api_key is None:
            return credentials
        token, expires_in = await self._token(credentials.session_id)
        return replace(credentials, session_token=token, expires_in=expires_in)

    async def _ending_if_cancelled(self, granting: Coroutine[object, object, ClientCredentials]) -> ClientCredentials:
        """Return the result of ``granting``. If the caller is cancelled meanwhile, end the session that it grants."""
        task = asyncio.create_task(granting, name="odyssey session")
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            with suppress(TimeoutError, OdysseyError):
                async with self._transport.clock.timeout(GRANT_LIMIT_S):
                    credentials = await asyncio.shield(task)
                await self._end(credentials)
            raise
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})

    async def _end(self, credentials: ClientCredentials) -> None:
        has_ended = False
        try:
            has_ended = await self._end_session(credentials)
        finally:
            # Not earlier: another call must not take a session that is about to end.
            if not has_ended:
                session = _Session(credentials.session_id, credentials.signaling_url, credentials.capabilities)
                self._unused.append(session)

    async def _grant(self, latencies: Mapping[str, float], *, is_queued: bool) -> ClientCredentials:
        """Return credentials of an unused session, or else of a new one.

        Raises:
            QueueTimeoutError: no streamer is free.
            OdysseyError: a call failed for another reason.
        """
        while self._unused:
            session = self._unused.pop()
            try:
                return await self._credentials(session)
            except SessionLostError:
                continue  # it has ended meanwhile
            except asyncio.CancelledError:
                self._unused.append(session)
                raise
        session = await self._request(latencies, route=f"POST {_REQUEST}" if is_queued else NOT_QUEUED)
        try:
            return await self._credentials(session)
        except SessionLostError:
            raise
        except (OdysseyError, asyncio.CancelledError):
            self._unused.append(session)
            raise

    async def _request(self, latencies: Mapping[str, float], *, route: str) -> _Session:
        body: JSON = {"region_latencies": dict(latencies)} if latencies else {}
        answer = Fields(await self._transport.request("POST", _REQUEST, json=body, route=route), f"POST {_REQUEST}")
        session_id = answer.text("session_id")
        signaling_url = answer.text("signalling_url").rstrip("/")
        if not signaling_url.startswith(("ws://", "wss://")) or not is_signaling_url(signaling_url):
            raise answer.wrong("signalling_url", "a WebSocket URL")
        capabilities = answer.object("capabilities")
        # Without capabilities in the response, the streamer is assumed to accept no images.
        has_images = capabilities.flag("image_to_video") if capabilities is not None else False
        return _Session(session_id, signaling_url, StreamerCapabilities(has_images))

    async def _credentials(self, session: _Session) -> ClientCredentials:
        """Request a token for ``session``, with retries; return the credentials."""
        transport = self._transport
        token, expires_in = await retrying(lambda: self._token(session.id), transport.retries, transport.clock)
        return ClientCredentials(
            session_id=session.id,
            signaling_url=session.signaling_url,
            session_token=token,
            expires_in=expires_in,
            capabilities=session.capabilities,
        )

    async def _token(self, session_id: str) -> tuple[str, int]:
        """Request a token for a session; return the token and its lifetime in seconds."""
        answer = await self._transport.request("POST", _TOKEN, json={"session_id": session_id})
        fields = Fields(answer, f"POST {_TOKEN}")
        return fields.text("session_token"), int(fields.number("expires_in"))
