"""Property: a service that repeats secrets anywhere, in any encoding, does not bring them into errors and logs."""

import asyncio
import logging
import pickle
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from odyssey_client import AdvancedConfig, ClientCredentials, Odyssey, OdysseyError, connect_to_stream
from odyssey_client.errors import SignalingError
from odyssey_client.redaction import MASK, watch_library_logs
from tests.support.echoed_secrets import ENCODINGS, leaks, random_secrets
from tests.support.echoing_service import HTTP_PLACES, SOCKET_PLACES, EchoingService, echoing

LIMIT = 20.0
QUICK = AdvancedConfig(
    max_retries=0,
    request_max_retries=0,
    queue_timeout_s=0,
    initial_retry_delay_ms=1,
    max_retry_delay_ms=1,
    connect_timeout_s=5,
    telemetry=True,
)
few = settings(max_examples=12, phases=[Phase.explicit, Phase.generate])  # no shrinking: an example takes 50 ms


class Outputs(logging.Handler):
    """Collects the text of all log records at level DEBUG, and of the errors passed to `add`."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts += [self.format(record), repr(vars(record))]

    def add(self, error: BaseException) -> None:
        """Add the traceback, all attributes, the pickle, and the same of each cause and context of ``error``."""
        self.texts += traceback.format_exception(error)
        chain, seen = [error], set[int]()
        while chain:
            each = chain.pop()
            if id(each) not in seen:
                seen.add(id(each))
                self.texts += [str(each), repr(each), repr(each.args), repr(vars(each))]
                chain += [link for link in (each.__cause__, each.__context__) if link is not None]
                chain += each.exceptions if isinstance(each, BaseExceptionGroup) else ()
        if isinstance(error, OdysseyError):
            self.texts.append(pickle.dumps(error).decode("latin-1"))

    def leaked(self, *secrets: str) -> list[str]:
        return [text for text in self.texts for secret in secrets if leaks(text, secret)]


@contextmanager
def outputs() -> Iterator[Outputs]:
    """Collect all outputs in the block, with every logger at level DEBUG."""
    watch_library_logs()  # creates the loggers of the libraries
    collected = Outputs()
    loggers = [each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger)]
    levels = {logger: logger.level for logger in (logging.root, *loggers)}
    for logger in levels:
        logger.setLevel(logging.DEBUG)
    logging.root.addHandler(collected)
    try:
        yield collected
    finally:
        logging.root.removeHandler(collected)
        for logger, level in levels.items():
            logger.setLevel(level)


def run(
    call: str,
    place: str,
    echo: str,
    use: Callable[[EchoingService], Awaitable[object]],
    *secrets: str,
    good: Mapping[str, object] | None = None,
) -> Outputs:
    """Run ``use`` with a service that repeats ``echo`` in responses to ``call``; assert that no output has a secret."""

    async def main(collected: Outputs) -> None:
        async with asyncio.timeout(LIMIT), echoing(call, place, echo, good or {}) as service:
            try:
                await use(service)
            except OdysseyError as error:
                collected.add(error)

    with outputs() as collected:
        asyncio.run(main(collected), debug=True)
    assert collected.texts
    assert collected.leaked(*secrets) == []
    return collected


def api(service: EchoingService) -> str:
    return f"http://127.0.0.1:{service.port}"


encodings = st.sampled_from(sorted(ENCODINGS)).map(ENCODINGS.__getitem__)


@few
@given(st.sampled_from(HTTP_PLACES), encodings, random_secrets())
@example("request id", ENCODINGS["plain"], "7aKq3vXz0Lm2Pw8Rt5Q9")
def test_echoed_api_key_is_in_no_output(place: str, encode: Callable[[str], str], secret: str) -> None:
    key = f"ody_{secret}"

    async def use(service: EchoingService) -> None:
        async with Odyssey(key, api_url=api(service), advanced=QUICK) as odyssey:
            await odyssey.list_simulations()

    run("/auth/token", place, encode(key), use, secret)


@few
@given(st.sampled_from(HTTP_PLACES), encodings, random_secrets())
@example("usage error", ENCODINGS["plain"], "7aKq3vXz0Lm2Pw8Rt5Q9")
def test_echoed_access_token_is_in_no_output(place: str, encode: Callable[[str], str], token: str) -> None:
    async def use(service: EchoingService) -> None:
        async with Odyssey("ody_key_of_a_test", api_url=api(service), advanced=QUICK) as odyssey:
            await odyssey.simulate(
                script=[{"timestamp_ms": 0, "start": {"prompt": "A"}}, {"timestamp_ms": 9, "end": {}}]
            )

    good = {"/auth/token": {"access_token": token, "token_type": "bearer", "expires_in": 3600}}
    run("/simulation-jobs", place, encode(token), use, token, good=good)


@few
@given(st.sampled_from(SOCKET_PLACES), encodings, random_secrets(), random_secrets())
@example("error reason", ENCODINGS["plain"], "7aKq3vXz0Lm2Pw8Rt5Q9", "7aturnPassw0rdQ9")
@example("offer", ENCODINGS["plain"], "7aKq3vXz0Lm2Pw8Rt5Q9", "7aturnPassw0rdQ9")
def test_echoed_session_token_is_in_no_output(
    place: str, encode: Callable[[str], str], token: str, password: str
) -> None:
    async def use(service: EchoingService) -> None:
        url = f"ws://127.0.0.1:{service.port}/signaling"
        odyssey = Odyssey.keyless(api_url=api(service), advanced=QUICK)
        async with odyssey:
            events = odyssey.events()
            try:
                await odyssey.connect_with_credentials(ClientCredentials("session", url, token, 600))
            finally:
                await odyssey.disconnect()
                async for event in events:
                    logging.getLogger("application").info("%r", event)

    good = {"/signaling/config": {"iceServers": [{"urls": ["turn:127.0.0.1:1"], "credential": password}]}}
    # The client answers an offer only after it has received the ICE servers, and so knows the password.
    echo = encode(password if place == "offer" else token)
    run("/signaling/client", place, echo, use, *((password,) if place == "offer" else (token,)), good=good)


@few
@given(st.sampled_from(HTTP_PLACES), encodings, random_secrets())
@example("location", ENCODINGS["plain"], "7aKq3vXz0Lm2Pw8Rt5Q9")
def test_echoed_spectator_token_is_in_no_output(place: str, encode: Callable[[str], str], token: str) -> None:
    run("/stream/whep", place, encode(token), lambda each: connect_to_stream(f"{api(each)}/stream", token), token)


def test_handshake_is_not_redirected_to_another_host() -> None:
    token = "7aKq3vXz0Lm2Pw8Rt5Q9"
    elsewhere: list[str] = []

    async def use(service: EchoingService) -> None:
        async with echoing("/", "status line", "", {}) as other:
            service.location = f"ws://127.0.0.1:{other.port}/x?token={token}"
            odyssey = Odyssey.keyless(api_url=api(service), advanced=QUICK)
            with pytest.raises(SignalingError, match="HTTP 302"):
                await odyssey.connect_with_credentials(
                    ClientCredentials("s", f"ws://127.0.0.1:{service.port}/signaling", token, 600)
                )
            elsewhere.extend(other.seen)

    run("/signaling/client", "location", token, use, token)
    assert elsewhere == []


def test_errors_show_what_is_no_secret() -> None:
    async def use(service: EchoingService) -> None:
        async with Odyssey("ody_7aKq3vXz0Lm2Pw8Rt5Q9", api_url=api(service), advanced=QUICK) as odyssey:
            await odyssey.list_simulations()

    shown = run("/auth/token", "usage error", "Bearer 7aKq3vXz0Lm2Pw8Rt5Q9 of ody_7aKq", use, "7aKq3vXz0Lm2Pw8Rt5Q9")
    assert [text for text in shown.texts if f"Bearer {MASK} of ody_7aKq" in text]
