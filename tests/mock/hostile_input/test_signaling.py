"""Property tests: any frames on the signaling socket, and any messages on socket and data channel."""

import itertools
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from odyssey_mock import MockOdyssey
from tests.support.hostile import examples, json_values, mutated, unharmed
from tests.support.raw import RawApi, RawPeer, raw_peer, raw_socket, receive
from tests.support.raw_frames import frame, upgrade
from tests.support.streams import START

pytestmark = [
    pytest.mark.off_contract("the client sends any bytes"),
    # A failure with a long message must not be hidden by a warning that its representation is long.
    pytest.mark.filterwarnings("ignore:Generating overly large repr"),
    pytest.mark.odyssey(portrait_size=(88, 160), landscape_size=(160, 88), fps=10, plan="unlimited", streamers=10**6),
]
REUSED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
"""All examples of a test use one mock, which must survive them."""

FIELDS = ("sdp", "candidate", "sdpMid", "sdpMLineIndex", "prompt", "portrait", "input_image_base64")

messages = st.one_of(
    st.sampled_from(
        [
            {"type": "keepalive"},
            {"type": "answer", "sdp": "v=0"},
            {"type": "ice_candidate", "candidate": "candidate:1 1 udp 1 127.0.0.1 70000 typ host", "sdpMid": "0"},
            {**START, "input_image_base64": "data:image/png;base64,AAAA"},
            {"type": "update", "prompt": "rain"},
        ]
    ).map(lambda message: json.dumps(message).encode()),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["answer", "ice_candidate", "keepalive", "update", "interactive_stream_start", "x"])},
        optional=dict.fromkeys(FIELDS, json_values),
    ).map(lambda message: json.dumps(message).encode()),
    json_values.map(lambda value: json.dumps(value).encode()),
    mutated(json.dumps({**START, "portrait": True, "broadcast": False}).encode()),
    st.sampled_from([b"[" * 100_000, b'{"type": "keepalive"' + b" " * 70_000, b'{"type": 1e999}', b'"' + b"\\u" * 9]),
    st.binary(max_size=80),
)

frames = st.builds(
    frame,
    st.sampled_from([0, 1, 1, 1, 2, 8, 9, 10]) | st.integers(0, 15),
    messages | st.binary(max_size=4),
    fin=st.sampled_from([True, True, False]),
    rsv=st.sampled_from([0, 0, 0, 0, 1, 2, 4, 7]),
    masked=st.sampled_from([True, True, True, True, False]),
    length=st.none() | st.none() | st.sampled_from([0, 125, 126, 1 << 16, (64 << 20) + 1, (1 << 63) - 1]),
)


@given(st.lists(frames, max_size=5).map(b"".join) | st.binary(max_size=60))
@settings(REUSED, max_examples=examples(12))
@example(frame(1, b"\xff"))
@example(frame(1, b"{\xc3", fin=False) + frame(0, b"\x28}"))
async def test_any_frames_leave_the_mock_unharmed(
    odyssey_mock: MockOdyssey, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    async with RawApi(odyssey_mock) as api:
        session = await api.request_session()
        token = await api.token_for(session["session_id"])
    url = f"{session['signalling_url']}/client/{session['session_id']}?token={token}"
    with unharmed(odyssey_mock, caplog):
        async with upgrade(url) as connection:
            await connection.head()
            connection.writer.write(sent)
            connection.writer.write_eof()
            await connection.rest()
        where: dict[str, Any] = {"session": session["session_id"], "from": "signaling"}  # Any: as `wait_for` takes them
        left = await odyssey_mock.wait_for("state", "session", **where)
        if left.data["to"] == "waiting":
            async with raw_socket(session, token) as socket:
                assert (await receive(socket))["type"] == "offer"


_numbers = itertools.count()


@pytest_asyncio.fixture
async def peer(odyssey_mock: MockOdyssey) -> AsyncIterator[RawPeer]:
    """Yield a connected peer, and start a stream with it at the end of the test."""
    async with raw_peer(odyssey_mock) as connected:
        yield connected
        connected.say({**START, "prompt": "the last one"})
        while "the last one" not in (await connected.hear()).get("applied_prompt", ""):
            pass


@given(st.lists(st.tuples(st.booleans(), messages, st.booleans()), min_size=1, max_size=6))
@settings(REUSED, max_examples=examples(25))
async def test_any_messages_leave_the_connection_usable(
    odyssey_mock: MockOdyssey, peer: RawPeer, caplog: pytest.LogCaptureFixture, sent: list[tuple[bool, bytes, bool]]
) -> None:
    with unharmed(odyssey_mock, caplog):
        await send(odyssey_mock, peer, sent)
        peer.say({"type": "interactive_stream_end"})
        unknown = f"message-{next(_numbers)}"
        peer.say({"type": unknown})
        while unknown not in (await peer.hear()).get("message", ""):
            pass


async def send(mock: MockOdyssey, peer: RawPeer, sent: Sequence[tuple[bool, bytes, bool]]) -> None:
    """Send each message on the socket or on the data channel, as text if possible and asked for, and wait for all."""
    for is_on_socket, data, is_text in sent:
        message: str | bytes = data
        if is_text:
            try:
                message = data.decode()
            except UnicodeDecodeError:
                message = data
        if is_on_socket:
            await peer.say_on_socket(message)
        else:
            peer.say(message)
    number = next(_numbers)
    await peer.say_on_socket({"type": "keepalive", "number": number})
    await mock.wait_for("signaling", "keepalive", message={"type": "keepalive", "number": number})
