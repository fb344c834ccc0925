"""A fake service for a client with an API key. Tests script its REST responses and its signaling."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from odyssey_client import AdvancedConfig, Odyssey
from tests.client.rest.conftest import Answer, Asked, Service
from tests.support.scripted_streamer import Script, Session, scripted

KEY = "ody_reconnecting_key"
ACCESS_TOKEN = "access-token-of-the-service"
TOKEN, REQUEST = "POST /sessions/token", "POST /sessions/request"
GONE = Answer(404, {"detail": "No such session"})
FULL = Answer(503, {"detail": "All streamers are busy"})


def quick(**settings: Any) -> AdvancedConfig:
    """Return client settings with retry delays of 10 ms and without telemetry. `settings` replace these values."""
    return AdvancedConfig(
        **{
            "initial_retry_delay_ms": 10,
            "max_retry_delay_ms": 10,
            "operation_timeout_s": 10,
            "connect_timeout_s": 10,
            "telemetry": False,
            **settings,
        }
    )


class Whole(Service):
    """The REST part of the fake service. It numbers sessions and session tokens in the order of the requests."""

    def __init__(self, signaling_url: str) -> None:
        super().__init__()
        self._signaling_url = signaling_url
        self._sessions, self._tokens = itertools.count(1), itertools.count(1)
        access = {"access_token": ACCESS_TOKEN, "token_type": "bearer", "expires_in": 3600}
        self.script |= {
            "POST /auth/token": Answer(body=access),
            "GET /regions": Answer(body={"regions": []}),
            REQUEST: self.session,
            TOKEN: self.token,
        }

    async def session(self, _: Asked | None = None) -> Answer:
        return Answer(
            body={
                "session_id": f"session-{next(self._sessions)}",
                "signalling_url": self._signaling_url,
                "streamer_id": "streamer",
                "model": "model",
                "region": "region",
                "capabilities": {"image_to_video": False},
            }
        )

    async def token(self, _: Asked | None = None) -> Answer:
        return Answer(body={"session_token": f"session-token-{next(self._tokens)}", "expires_in": 600})

    def then(self, call: str, *answers: Answer) -> None:
        """Respond to the next requests for ``call`` with ``answers``, in order. Later requests are answered as before.

        ``call`` is a method and a path, such as `POST /sessions/token`.
        """
        usual, coming = self.script[call], list(answers)

        async def answer(asked: Asked) -> Answer:
            if coming:
                return coming.pop(0)
            assert callable(usual)
            return await usual(asked)

        self.script[call] = answer


@asynccontextmanager
async def whole_service(*scripts: Script) -> AsyncIterator[Whole]:
    """Run the fake service, and yield its REST part.

    The first connection to the signaling socket plays the first of ``scripts``, the second connection the second one.
    When all scripts have been played, further connections play the last one.
    """
    async with scripted(*scripts) as credentials:
        service = Whole(credentials.signaling_url)
        async with await asyncio.start_server(service.serve, "127.0.0.1", 0) as server:
            service.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            yield service


def client_of(service: Whole, **settings: Any) -> Odyssey:
    """Return a client that uses `service`, has an API key, and reconnects after 10 ms."""
    return Odyssey(KEY, api_url=service.url, advanced=quick(**settings))


class Told:
    """Records the calls of a client's handlers as ``(handler, arguments)``. `until` waits for a call."""

    def __init__(self) -> None:
        self.all: list[tuple[str, tuple[Any, ...]]] = []
        self._received = asyncio.Event()

    def handlers(self, *names: str) -> dict[str, Any]:
        return {f"on_{name}": self._teller(name) for name in names or NAMES}

    def _teller(self, name: str) -> Any:
        def tell(*arguments: Any) -> None:
            self.all.append((name, arguments))
            self._received.set()

        return tell

    def of(self, name: str) -> list[tuple[Any, ...]]:
        return [arguments for told, arguments in self.all if told == name]

    @property
    def statuses(self) -> list[str]:
        return [str(status) for status, _ in self.of("status_change")]

    @property
    def errors(self) -> list[tuple[type[Exception], bool]]:
        return [(type(error), fatal) for error, fatal in self.of("error")]

    async def until(self, name: str, *first: object, times: int = 1) -> None:
        """Wait for ``times`` calls of the handler ``name`` whose arguments start with ``first``."""
        async with asyncio.timeout(10):
            while sum(arguments[: len(first)] == first for arguments in self.of(name)) < times:
                self._received.clear()
                await self._received.wait()


NAMES = (
    "connected",
    "disconnected",
    "stream_started",
    "stream_ended",
    "interact_acknowledged",
    "stream_error",
    "error",
    "status_change",
)


async def stay_up(session: Session) -> None:
    """Script: connect to the client, and stay connected until it closes the socket."""
    await session.come_up()
    await session.until_closed()


async def stream(session: Session) -> None:
    """Script: connect to the client, start a stream, and stay connected until the client closes the socket."""
    await session.come_up()
    await session.start_stream()
    await session.until_closed()


async def lose_both(session: Session) -> None:
    """Script: connect to the client, then close the peer and the socket."""
    await session.come_up()
    await session.peer.close()
    await session.socket.close(1011)


async def lose_socket(session: Session) -> None:
    """Script: connect to the client, then close the socket as a service does after an internal error."""
    await session.come_up()
    await session.socket.close(1011, "broken down")


async def lose_peer(session: Session) -> None:
    """Script: connect to the client, then close the peer. The socket stays open, but nothing more is sent."""
    await session.come_up()
    await session.peer.close()
    await session.until_closed()


async def refuse(session: Session) -> None:
    """Script: close the socket with an error instead of sending an offer."""
    await session.socket.close(1011, "not yet")


async def report_unavailable(session: Session) -> None:
    """Script: send the error `streamer_not_available` instead of an offer."""
    await session.send({"type": "error", "reason": "streamer_not_available"})
    await session.until_closed()


async def offer_nonsense(session: Session) -> None:
    """Script: send an offer that is not valid SDP."""
    await session.send({"type": "offer", "sdp": "v=0\r\nnonsense"})
    await session.until_closed()


async def never_offer(session: Session) -> None:
    """Script: accept the socket, and send nothing."""
    await session.until_closed()


def after(what: asyncio.Event, script: Script) -> Script:
    """Return a script that waits until the event ``what`` is set, and then runs ``script``."""

    async def wait_first(session: Session) -> object:
        await what.wait()
        return await script(session)

    return wait_first
