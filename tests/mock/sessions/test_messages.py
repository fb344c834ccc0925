"""Tests of parsing client messages, of the errors for invalid ones, and of encoding server messages."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.sessions.messages import (
    DATA_CHANNEL,
    SIGNALING,
    Answer,
    BroadcastReady,
    End,
    IceCandidate,
    InteractiveStreamError,
    MessageError,
    Offer,
    ServerMessage,
    SignalingError,
    Start,
    StreamEnded,
    StreamStarted,
    Update,
    UpdateAcknowledged,
    decode,
    encode,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def test_start_has_protocol_defaults() -> None:
    assert DATA_CHANNEL.parse({"type": "interactive_stream_start"}) == Start(
        prompt="", portrait=True, input_image_base64=None, broadcast=False, bypass_vlm_expansion=None
    )


def test_each_channel_accepts_only_its_own_messages() -> None:
    assert DATA_CHANNEL.parse({"type": "update", "prompt": "x"}) == Update(prompt="x")
    assert DATA_CHANNEL.parse({"type": "interactive_stream_end"}) == End()
    assert SIGNALING.parse({"type": "answer", "sdp": "v=0"}) == Answer(sdp="v=0")
    with pytest.raises(MessageError, match=r"signaling: expected a `type` of answer, .*; got 'update'"):
        SIGNALING.parse({"type": "update", "prompt": "x"})
    with pytest.raises(MessageError, match=r"clientToStreamer: expected a `type` of .*; got 'answer'"):
        DATA_CHANNEL.parse({"type": "answer", "sdp": "v=0"})


def test_unknown_field_is_ignored() -> None:
    assert DATA_CHANNEL.parse({"type": "update", "prompt": "x", "strength": 3}) == Update(prompt="x")


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        ({"type": "update"}, "update.prompt is missing; send it"),
        ({"type": "update", "prompt": 5}, "update.prompt: expected a valid string, got a number"),
        ({"type": "interactive_stream_start", "portrait": "yes"}, "portrait: expected a valid boolean, got a string"),
        ({"type": "interactive_stream_start", "prompt": None}, "prompt: expected a valid string, got null"),
    ],
)
def test_invalid_field_error_states_expected_and_received(message: dict[str, object], fault: str) -> None:
    with pytest.raises(MessageError) as raised:
        DATA_CHANNEL.parse(message)
    assert fault in str(raised.value)


def test_error_lists_every_invalid_field() -> None:
    with pytest.raises(MessageError, match=r"prompt: .*; interactive_stream_start\.broadcast: "):
        DATA_CHANNEL.parse({"type": "interactive_stream_start", "prompt": [], "broadcast": 1})


@pytest.mark.parametrize("got", ["[1]", '"text"', "3", "null", "true"])
def test_json_other_than_an_object_is_rejected(got: str) -> None:
    with pytest.raises(MessageError, match="expected a JSON object with a `type`, got"):
        SIGNALING.parse(decode("signaling", got))


@pytest.mark.parametrize("got", ["", "{", "nonsense", "[" * 100_000])
def test_invalid_json_is_rejected(got: str) -> None:
    with pytest.raises(MessageError, match="signaling: expected JSON text"):
        decode("signaling", got)


def test_binary_message_is_rejected_with_its_size() -> None:
    with pytest.raises(MessageError, match="got a binary message of 3 bytes; send text"):
        decode("signaling", b"abc")


@given(json_values, st.sampled_from([SIGNALING.channel, DATA_CHANNEL.channel]))
def test_rejection_fits_in_one_short_line(value: object, channel: str) -> None:
    dialect = SIGNALING if channel == SIGNALING.channel else DATA_CHANNEL
    with pytest.raises(MessageError) as raised:
        dialect.parse(decode(channel, json.dumps(value)))
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 1000


@given(st.none() | st.text(), st.none() | st.text(), st.none() | st.integers())
def test_candidate_is_parsed_unchanged(candidate: str | None, mid: str | None, line: int | None) -> None:
    message = {"type": "ice_candidate", "candidate": candidate, "sdpMid": mid, "sdpMLineIndex": line}
    assert SIGNALING.parse(message) == IceCandidate(candidate=candidate, sdpMid=mid, sdpMLineIndex=line)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (Offer("v=0"), '{"type": "offer", "sdp": "v=0"}'),
        (SignalingError("streamer_not_available"), '{"type": "error", "reason": "streamer_not_available"}'),
        (
            StreamStarted("s", "A cat"),
            '{"type": "stream_started", "stream_id": "s", "applied_prompt": "A cat"}',
        ),
        (UpdateAcknowledged("A dog"), '{"type": "update_acknowledged", "prompt": "A dog"}'),
        (StreamEnded(), '{"type": "stream_ended"}'),
        (
            BroadcastReady("http://w", "t", None),
            '{"type": "broadcast_ready", "webrtc_url": "http://w", "spectator_token": "t", "broadcast_url": null}',
        ),
        (
            InteractiveStreamError("r", "m"),
            '{"type": "interactive_stream_error", "reason": "r", "message": "m"}',
        ),
    ],
)
def test_encoded_message_has_type_then_fields_in_order(message: ServerMessage, text: str) -> None:
    assert json.dumps(encode(message)) == text
