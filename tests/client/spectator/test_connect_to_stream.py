"""Tests of `connect_to_stream`: each kind of failure raises a specific error, and no connection stays open."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any, override

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse

from odyssey_client import (
    AdvancedConfig,
    BroadcastNotFoundError,
    ConnectTimeoutError,
    Odyssey,
    OdysseyApiError,
    OdysseyAuthError,
    OdysseyConfigError,
    OdysseyError,
    OdysseyUsageError,
    PeerError,
    ServiceUnreachableError,
    SpectatorState,
    SystemNetwork,
    UnexpectedResponseError,
    connect_to_stream,
)
from odyssey_client.rtc import ice_servers
from tests.support.leftovers import nothing_left
from tests.support.whep_server import TOKEN, Answer, WhepServer, good, whep_server

LIMIT = 10.0
IMPATIENT = AdvancedConfig(connect_timeout_s=0.5)


async def test_spectator_connects_receives_frames_and_disconnects() -> None:
    async with nothing_left(), whep_server() as server, asyncio.timeout(LIMIT):
        async with await connect_to_stream(server.url, TOKEN) as spectator:
            assert (spectator.is_connected, str(spectator.connection_state)) == (True, "connected")
            frame = await anext(spectator.frames())
            assert (frame.width, frame.height) == (64, 96)
            assert spectator.stream.latest_frame is not None
        assert (spectator.is_connected, spectator.connection_state) == (False, SpectatorState.CLOSED)
        assert spectator.stream.ended
        assert server.asked == ["GET /config", "POST /stream/whep", "DELETE /stream/whep/1"]
        assert TOKEN not in repr(spectator)


async def test_class_and_module_share_connect_to_stream() -> None:
    assert Odyssey.connect_to_stream is connect_to_stream
    assert Odyssey.keyless().connect_to_stream is connect_to_stream


@pytest.mark.parametrize("tail", ["", "/", "//", "?a=b", "#part"])
async def test_url_suffixes_are_accepted(tail: str) -> None:
    async with whep_server() as server, asyncio.timeout(LIMIT):
        spectator = await connect_to_stream(server.url + tail, TOKEN)
        assert spectator.is_connected
        await spectator.disconnect()


async def test_whitespace_around_url_and_token_is_stripped() -> None:
    async with whep_server() as server, asyncio.timeout(LIMIT):
        spectator = await connect_to_stream(f" {server.url}\n", f" {TOKEN}\r\n")
        assert spectator.is_connected
        await spectator.disconnect()


@pytest.mark.parametrize(
    ("url", "token", "says"),
    [
        (None, "t", "webrtc_url must be a non-empty string, got NoneType"),
        ("", "t", "webrtc_url must be a non-empty string, got an empty string"),
        ("   ", "t", "webrtc_url must be a non-empty string, got an empty string"),
        ("ws://host/a", "t", "webrtc_url must be an http or https URL"),
        ("http://", "t", "webrtc_url must be an http or https URL"),
        ("host/a", "t", "webrtc_url must be an http or https URL"),
        ("http://host:99999/", "t", "webrtc_url must be an http or https URL"),
        ("http://[::1/", "t", "webrtc_url must be an http or https URL"),
        ("https://user:secret@host/a", "t", "webrtc_url must not contain a user or password"),
        ("http://@host/a", "t", "webrtc_url must not contain a user or password"),
        ("http://h/\ud800", "t", "webrtc_url must be text that UTF-8 can encode"),
        ("http://host", None, "spectator_token must be a non-empty string, got NoneType"),
        ("http://host", "", "spectator_token must be a non-empty string, got an empty string"),
        ("http://host", "\udfff", "spectator_token must be text that UTF-8 can encode"),
    ],
)
async def test_invalid_arguments_are_rejected(url: Any, token: Any, says: str) -> None:
    with pytest.raises(OdysseyConfigError, match=f"^{re.escape(says)}") as raised:
        await connect_to_stream(url, token)
    assert "secret" not in str(raised.value)


async def test_advanced_of_wrong_type_is_rejected() -> None:
    with pytest.raises(OdysseyConfigError, match="advanced must be an AdvancedConfig or None, got dict"):
        await connect_to_stream("http://host", "t", advanced={})  # type: ignore[arg-type]


def refused(status: int, body: Any = None, **headers: str) -> Answer:
    async def answer(_server: WhepServer, _offer: str) -> Response:
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        if isinstance(body, str):
            return PlainTextResponse(body, status, told)
        return JSONResponse(body, status, told)

    return answer


@pytest.mark.parametrize(
    ("status", "body", "kind", "says", "retryable"),
    [
        (401, {"status": "error", "error": f"bad {TOKEN}"}, OdysseyAuthError, "spectator token", False),
        (403, "no", OdysseyAuthError, "spectator token", False),
        (404, {"status": "error", "error": "no such stream"}, BroadcastNotFoundError, "no such broadcast", False),
        (400, {"status": "error", "error": "bad SDP"}, OdysseyApiError, "HTTP 400 Bad Request: bad SDP", False),
        (400, {"detail": "bad SDP"}, OdysseyApiError, "HTTP 400 Bad Request: bad SDP", False),
        (500, f"<html>{TOKEN}</html>", OdysseyApiError, "HTTP 500", True),
        (503, None, OdysseyApiError, "HTTP 503", True),
        (429, {"detail": "slow down"}, OdysseyUsageError, "slow down", False),
    ],
)
async def test_error_status_raises_typed_error_without_token(
    status: int, body: Any, kind: type[OdysseyError], says: str, retryable: bool
) -> None:
    async with nothing_left(), whep_server(refused(status, body)) as server, asyncio.timeout(LIMIT):
        with pytest.raises(kind, match=says) as raised:
            await connect_to_stream(server.url, TOKEN)
        assert raised.value.status == (429 if status == 429 else status)
        assert raised.value.retryable is retryable
        for text in (str(raised.value), repr(raised.value), str(raised.value.detail)):
            assert TOKEN not in text
        assert server.asked == ["GET /config", "POST /stream/whep"]


async def test_redirect_is_not_followed() -> None:
    async def elsewhere(_server: WhepServer, _offer: str) -> Response:
        return RedirectResponse("http://127.0.0.1:9/")

    async with whep_server(elsewhere) as server, asyncio.timeout(LIMIT):
        with pytest.raises(OdysseyApiError, match="HTTP 307"):
            await connect_to_stream(server.url, TOKEN)


async def test_success_without_sdp_raises_and_deletes_resource() -> None:
    async def page(_server: WhepServer, _offer: str) -> Response:
        return Response("<html>", 201, {"Location": "/stream/whep/1"}, media_type="text/html")

    async with nothing_left(), whep_server(page) as server, asyncio.timeout(LIMIT):
        with pytest.raises(UnexpectedResponseError, match="without an SDP answer \\(text/html"):
            await connect_to_stream(server.url, TOKEN)
        assert server.asked[-1] == "DELETE /stream/whep/1"


def located(location: str) -> Answer:
    async def answer(server: WhepServer, offer: str) -> Response:
        return Response(await server.describe(offer), 201, {"Location": location})

    return answer


async def test_resource_of_another_origin_is_not_requested() -> None:
    async with whep_server() as elsewhere:
        for location in (f"{elsewhere.url}/whep/1", "file:///stream/whep/1", "http://[::1", "http://h:x/", ""):
            async with nothing_left(), whep_server(located(location)) as server, asyncio.timeout(LIMIT):
                async with await connect_to_stream(server.url, TOKEN) as spectator:
                    assert spectator.is_connected
                assert server.asked == ["GET /config", "POST /stream/whep"]
        assert elsewhere.asked == []


@pytest.mark.parametrize(
    "location", ["whep/1", "/stream/whep/1", "//{host}/stream/whep/1", "HTTP://{host}/stream/whep/1"]
)
async def test_all_forms_of_resource_url_are_resolved(location: str) -> None:
    async def answer(server: WhepServer, offer: str) -> Response:
        return await located(location.format(host=server.url.split("/")[2]))(server, offer)

    async with whep_server(answer) as server, asyncio.timeout(LIMIT):
        async with await connect_to_stream(server.url, TOKEN) as spectator:
            assert spectator.is_connected
        assert server.asked[-1] == "DELETE /stream/whep/1"


async def test_invalid_location_does_not_hide_the_error() -> None:
    async with whep_server(refused(404, Location="http://[::1")) as server, asyncio.timeout(LIMIT):
        with pytest.raises(BroadcastNotFoundError):
            await connect_to_stream(server.url, TOKEN)


@pytest.mark.parametrize(("status", "kind"), [(201, UnexpectedResponseError), (500, OdysseyApiError)])
async def test_endless_body_is_cut_off(status: int, kind: type[OdysseyError]) -> None:
    async def endless() -> AsyncIterator[str]:
        yield "v=0\r\na=fingerprint:x\r\n"
        for _ in range(30):
            yield "a=x\r\n" * 10_000
        await asyncio.Event().wait()

    async def answer(_server: WhepServer, _offer: str) -> Response:
        return StreamingResponse(endless(), status, {"Location": "/stream/whep/1"})

    async with nothing_left(), whep_server(answer) as server, asyncio.timeout(LIMIT):
        with pytest.raises(kind, match="at most 1048576 bytes, got more" if status == 201 else "HTTP 500") as raised:
            await connect_to_stream(server.url, TOKEN)
        assert len(str(raised.value)) < 1000
        assert raised.value.status == status


async def test_peer_error_shows_only_an_excerpt() -> None:
    async def answer(server: WhepServer, offer: str) -> Response:
        sdp = re.sub(r"a=setup:\w+", "a=setup:" + "x" * 40_000, await server.describe(offer))
        return Response(sdp, 201)

    async with whep_server(answer) as server, asyncio.timeout(LIMIT):
        with pytest.raises(PeerError, match="The service's answer cannot be applied") as raised:
            await connect_to_stream(server.url, TOKEN)
    assert len(str(raised.value)) < 1000


class OddNetwork(SystemNetwork):
    """A client network whose only ICE address is invalid, so that no SDP offer can be created."""

    @override
    def ice_addresses(self) -> Any:
        return [7]


async def test_failure_to_create_offer_raises_peer_error() -> None:
    async with nothing_left(), whep_server() as server, asyncio.timeout(LIMIT):
        with pytest.raises(PeerError, match="Cannot create an SDP offer: TypeError"):
            await connect_to_stream(server.url, TOKEN, network=OddNetwork())
        assert server.asked == ["GET /config"]


async def nonsense(_server: WhepServer, _offer: str) -> str:
    return "v=0\r\nnonsense"


async def without_fingerprint(server: WhepServer, offer: str) -> str:
    return re.sub(r"a=fingerprint:.*\r\n", "", await server.describe(offer))


async def without_video(server: WhepServer, offer: str) -> str:
    return (await server.describe(offer)).replace("a=sendonly", "a=inactive")


async def with_many_candidates(server: WhepServer, offer: str) -> str:
    many = "".join(f"a=candidate:1 1 udp 1 127.0.0.1 {port} typ host\r\n" for port in range(1, 102))
    return (await server.describe(offer)).replace("a=ice-ufrag", many + "a=ice-ufrag")


async def with_invalid_port(server: WhepServer, offer: str) -> str:
    return re.sub(r"127\.0\.0\.1 \d+ typ", "127.0.0.1 65536 typ", await server.describe(offer))


@pytest.mark.parametrize(
    "describe", [nonsense, without_fingerprint, without_video, with_many_candidates, with_invalid_port]
)
async def test_unusable_answer_raises_and_deletes_resource(
    describe: Callable[[WhepServer, str], Awaitable[str]],
) -> None:
    async def answer(server: WhepServer, offer: str) -> Response:
        return Response(await describe(server, offer), 201, {"Location": "/stream/whep/1"})

    async with nothing_left(), whep_server(answer) as server, asyncio.timeout(LIMIT):
        with pytest.raises(PeerError, match="The service's answer cannot be applied"):
            await connect_to_stream(server.url, TOKEN)
        assert server.asked[-1] == "DELETE /stream/whep/1"


async def never(_server: WhepServer, _offer: str) -> Response:
    await asyncio.Event().wait()
    raise AssertionError(
        "expected the server to wait until it is stopped, and to send no response, but the wait has ended"
    )


async def unreachable(server: WhepServer, offer: str) -> Response:
    """Respond with an SDP answer whose candidates have a port on which no peer listens."""
    sdp = re.sub(r"127\.0\.0\.1 \d+ typ", "127.0.0.1 9 typ", await server.describe(offer))
    await server.peers[-1].close()
    return Response(sdp, 201, {"Location": "/stream/whep/1"})


@pytest.mark.parametrize("answer", [never, unreachable])
async def test_connect_timeout_raises_and_closes_everything(answer: Answer) -> None:
    async with nothing_left(), whep_server(answer) as server, asyncio.timeout(LIMIT):
        with pytest.raises(ConnectTimeoutError, match=r"did not open within 0\.5 s.*connect_timeout_s"):
            await connect_to_stream(server.url, TOKEN, advanced=IMPATIENT)
        if answer is unreachable:
            assert server.asked[-1] == "DELETE /stream/whep/1"


async def test_peer_timeout_does_not_apply_while_connecting() -> None:
    settings = replace(IMPATIENT, peer_timeout_s=0.1)
    async with nothing_left(), whep_server(unreachable) as server, asyncio.timeout(LIMIT):
        with pytest.raises(ConnectTimeoutError):
            await connect_to_stream(server.url, TOKEN, advanced=settings)


async def test_unreachable_service_error_contains_no_token() -> None:
    async with whep_server() as gone:
        pass
    async with nothing_left(), asyncio.timeout(LIMIT):
        with pytest.raises(ServiceUnreachableError, match=re.escape(f"POST {gone.url}/whep got no answer")) as raised:
            await connect_to_stream(gone.url, TOKEN)
    assert TOKEN not in str(raised.value)


async def broken() -> Response:
    return Response("no", 500)


async def odd() -> Response:
    return JSONResponse({"iceServers": "none"})


async def deep() -> Response:
    return Response("[" * 200_000)


async def silent() -> Response:
    await asyncio.Event().wait()
    raise AssertionError


@pytest.mark.parametrize("config", [broken, odd, deep, silent])
async def test_connecting_works_without_ice_servers(config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ice_servers, "CONFIG_LIMIT_S", 0.1)
    async with whep_server(config=config) as server, asyncio.timeout(LIMIT):
        spectator = await connect_to_stream(server.url, TOKEN)
        assert spectator.is_connected
        await spectator.disconnect()


async def test_logs_contain_no_token(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with whep_server() as server, asyncio.timeout(LIMIT):
            spectator = await connect_to_stream(server.url, TOKEN)
            await anext(spectator.frames())
            await spectator.disconnect()
        async with whep_server(refused(500, TOKEN)) as server, asyncio.timeout(LIMIT):
            with pytest.raises(OdysseyApiError):
                await connect_to_stream(server.url, TOKEN)
    ours = [record for record in caplog.records if not record.name.startswith(("uvicorn", "odyssey_mock"))]
    assert ours
    assert not [record.getMessage() for record in ours if TOKEN in record.getMessage()]


@pytest.mark.parametrize("moment", range(12))
async def test_connect_cancelled_at_any_moment_closes_both_sides(moment: int) -> None:
    async with nothing_left(), whep_server() as server, asyncio.timeout(LIMIT):
        connecting = asyncio.create_task(connect_to_stream(server.url, TOKEN))
        # A connect takes about 0.1 s, so the moments range from its first step to after its last.
        await asyncio.wait([connecting], timeout=0.012 * moment)
        if connecting.done():
            await connecting.result().disconnect()
        else:
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting
        posts = sum(each.startswith("POST") for each in server.asked)
        deletes = sum(each.startswith("DELETE") for each in server.asked)
        assert deletes == posts


async def test_cancelled_connect_deletes_resource_of_slow_service() -> None:
    go = asyncio.Event()

    async def slow(server: WhepServer, offer: str) -> Response:
        await go.wait()
        return await good(server, offer)

    async with nothing_left(), whep_server(slow) as server, asyncio.timeout(LIMIT):
        connecting = asyncio.create_task(connect_to_stream(server.url, TOKEN))
        await server.got.wait()
        connecting.cancel()
        asyncio.get_running_loop().call_later(0.1, go.set)
        with pytest.raises(asyncio.CancelledError):
            await connecting
        assert server.asked[-1] == "DELETE /stream/whep/1"
