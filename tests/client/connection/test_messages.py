"""Tests of parsing and encoding messages of the signaling socket and the data channels."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client.connection.messages import (
    SIGNALING,
    STREAMER_TO_CLIENT,
    Answer,
    BroadcastUnusable,
    ClientDisconnecting,
    IceCandidate,
    InteractiveStreamEnd,
    InteractiveStreamStart,
    Keepalive,
    MessageError,
    Offer,
    OutgoingMessage,
    ServiceError,
    SignalingMessage,
    StreamerMessage,
    Update,
    encode,
    parse,
)
from odyssey_client.events import BroadcastReady, InteractAcknowledged, StreamEnded, StreamFailed, StreamStarted
from odyssey_client.models import BroadcastInfo

READERS = {**SIGNALING, **STREAMER_TO_CLIENT}
VALID: dict[str, tuple[dict[str, Any], SignalingMessage | StreamerMessage]] = {
    "offer": ({"sdp": "v=0"}, Offer("v=0")),
    "ice_candidate": (
        {"candidate": "candidate:1", "sdpMid": "0", "sdpMLineIndex": 0},
        IceCandidate("candidate:1", "0", 0),
    ),
    "error": ({"reason": "streamer_disconnected"}, ServiceError("streamer_disconnected")),
    "stream_started": ({"stream_id": "s", "applied_prompt": "p"}, StreamStarted("s", "p")),
    "update_acknowledged": ({"prompt": "p"}, InteractAcknowledged("p")),
    "stream_ended": ({}, StreamEnded()),
    "broadcast_ready": (
        {"webrtc_url": "https://host", "spectator_token": "t", "broadcast_url": None},
        BroadcastReady(BroadcastInfo("https://host", "t", None)),
    ),
    "interactive_stream_error": ({"reason": "r", "message": "m"}, StreamFailed("r", "m")),
}
OPTIONAL = {
    ("ice_candidate", "candidate"),
    ("ice_candidate", "sdpMid"),
    ("ice_candidate", "sdpMLineIndex"),
    ("stream_started", "applied_prompt"),
    ("interactive_stream_error", "message"),
}
FIELDS = [(kind, name) for kind, (fields, _) in VALID.items() for name in fields if kind != "broadcast_ready"]
"""All pairs of a message type and one of its fields, for which an invalid value makes the message invalid."""
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def text_of(kind: str, fields: dict[str, Any]) -> str:
    return json.dumps({"type": kind, **fields})


def test_every_known_message_type_is_tested() -> None:
    assert set(VALID) == set(READERS)


@pytest.mark.parametrize("kind", VALID)
def test_message_is_parsed_and_unknown_fields_ignored(kind: str) -> None:
    fields, value = VALID[kind]
    assert parse("here", READERS, text_of(kind, {**fields, "added": {"later": 1}})) == value


@pytest.mark.parametrize(("kind", "name"), FIELDS)
def test_field_of_wrong_type_is_named(kind: str, name: str) -> None:
    fields, _ = VALID[kind]
    with pytest.raises(MessageError, match=rf"here: {kind}\.{name} must be .*, got an array") as raised:
        parse("here", READERS, text_of(kind, {**fields, name: []}))
    assert raised.value.kind == kind


@pytest.mark.parametrize(("kind", "name"), FIELDS)
def test_missing_required_field_is_named(kind: str, name: str) -> None:
    fields = {key: value for key, value in VALID[kind][0].items() if key != name}
    for text in (text_of(kind, fields), text_of(kind, {**fields, name: None})):
        if (kind, name) in OPTIONAL:
            assert type(parse("here", READERS, text)) is type(VALID[kind][1])
        else:
            with pytest.raises(MessageError, match=rf"{kind}\.{name} must be .*, got nothing"):
                parse("here", READERS, text)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"webrtc_url": None}, "webrtc_url must be a string, got nothing"),
        ({"webrtc_url": ""}, "webrtc_url must be a non-empty string, got an empty string"),
        ({"webrtc_url": 7}, "webrtc_url must be a string, got a number"),
        ({"spectator_token": None}, "spectator_token must be a string, got nothing"),
        ({"spectator_token": ""}, "spectator_token must be a non-empty string, got an empty string"),
        ({"spectator_token": ["t"]}, "spectator_token must be a string, got an array"),
        ({"broadcast_url": {}}, "broadcast_url must be a string, got an object"),
    ],
)
def test_unusable_broadcast_names_the_reason(changed: dict[str, Any], why: str) -> None:
    fields = {**VALID["broadcast_ready"][0], **changed}
    assert parse("here", READERS, text_of("broadcast_ready", fields)) == BroadcastUnusable(
        f"here: broadcast_ready.{why}"
    )
    without = {name: value for name, value in fields.items() if value is not None or name == "broadcast_url"}
    assert isinstance(parse("here", READERS, text_of("broadcast_ready", without)), BroadcastUnusable)


def test_unknown_message_type_parses_to_none() -> None:
    assert parse("here", READERS, '{"type": "of the future"}') is None


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\x00\xff", "got a binary message of 2 bytes"),
        ("", "expected JSON text, got ''"),
        ("[" * 50_000, "expected JSON text"),
        ("[" + "0," * 100_000 + "0]", "expected JSON of at most 100000 values, got up to 100002"),
        ('"' + "x" * 2**20 + '"', "expected at most 1048576 characters, got 1048578"),
        ("9" * 5000, "expected integers of at most 1000 digits, got one of 5000"),
        ("NaN", "expected JSON text, got 'NaN'"),
        ("[1]", "expected a JSON object, got an array"),
        ("7", "expected a JSON object, got a number"),
        ("true", "expected a JSON object, got a boolean"),
        ("null", "expected a JSON object, got null"),
        ("{}", "one whose `type` is null"),
        ('{"type": 7}', "one whose `type` is a number"),
    ],
)
def test_malformed_message_error_shows_what_was_received(data: str | bytes, says: str) -> None:
    with pytest.raises(MessageError, match=says) as raised:
        parse("here", READERS, data)
    assert len(str(raised.value)) < 200


@given(message=JSON_VALUES, kind=st.sampled_from(sorted(READERS)))
def test_any_json_parses_or_raises_message_error(message: Any, kind: str) -> None:
    given = {**message, "type": kind} if isinstance(message, dict) else message
    with suppress(MessageError):
        parse("here", READERS, json.dumps(given))


@given(prompt=st.text())
def test_any_prompt_survives_encoding(prompt: str) -> None:
    assert json.loads(encode(Update(prompt))) == {"type": "update", "prompt": prompt}


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (Answer("v=0\r\n"), r'{"type":"answer","sdp":"v=0\r\n"}'),
        (Keepalive(), '{"type":"keepalive"}'),
        (ClientDisconnecting(), '{"type":"client_disconnecting"}'),
        (
            InteractiveStreamStart("a café", portrait=True, broadcast=False),
            '{"type":"interactive_stream_start","prompt":"a café","portrait":true,"broadcast":false}',
        ),
        (
            InteractiveStreamStart("", portrait=False, broadcast=True, bypass_prompt_expansion=False, image="data:,x"),
            (
                '{"type":"interactive_stream_start","prompt":"","portrait":false,"broadcast":true,'
                '"bypass_vlm_expansion":false,"input_image_base64":"data:,x"}'
            ),
        ),
        (Update("a café"), '{"type":"update","prompt":"a café"}'),
        (InteractiveStreamEnd(), '{"type":"interactive_stream_end"}'),
    ],
    ids=lambda each: type(each).__name__,
)
def test_message_is_encoded_with_fields_in_order(message: OutgoingMessage, text: str) -> None:
    assert encode(message) == text
