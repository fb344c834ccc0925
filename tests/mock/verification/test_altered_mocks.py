"""Tests that `odyssey-mock verify` names what a mock does differently, and nothing else.

Each mock really runs and differs in one matter. Only the steps that show the matter are run. `test_verification.py`
applies further alterations to the observations of one complete run.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from starlette.types import Message, Scope

from odyssey_mock import MockOdyssey
from odyssey_mock.rtc import streamer_peer
from odyssey_mock.rtc.peer_connection import preferred_codecs
from odyssey_mock.verification import steps
from odyssey_mock.verification.judgment import Judgment, judge
from odyssey_mock.verification.program import Program
from tests.support.altered_service import Change, alter, json_body, renamed

type Named = Mapping[str, str]
"""What a judgment names besides confirmed statements: `verdict what` with what was seen."""


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the steps, each of which is run by several tests."""
    monkeypatch.setattr(steps, "_SILENCE_S", 0.05)
    monkeypatch.setattr(steps, "_FRAMES", 8)


async def judged(*names: str, prepare: Callable[[MockOdyssey], object] = lambda _: None, **settings: Any) -> Judgment:
    """Run some steps against a new mock; return the judgment. Any: settings differ in type."""
    async with MockOdyssey(**settings) as mock:
        prepare(mock)
        run = await Program(mock.api_key, mock.url, steps=names).run()
    assert [(step.name, step.reason) for step in run.observations.steps if step.outcome != "done"] == []
    return judge(run.observations)


def named(judgment: Judgment) -> Named:
    """Return what a judgment names, by the id of the statement or else by the thing."""
    return {
        f"{found.verdict} {found.statement.id if found.statement else found.what}": found.seen
        for found in judgment.findings
        if found.verdict != "confirmed"
    }


def other_close_code(scope: Scope, message: Message) -> Message:
    if message["type"] == "websocket.close" and message.get("code") == 1008:
        return {**message, "code": 4001}
    return message


def offer_changed(change: Callable[[str], str]) -> Change:
    """Change the SDP of the offers on the signaling socket."""

    def changed(scope: Scope, message: Message) -> Message:
        if message["type"] == "websocket.send" and '"offer"' in (message.get("text") or ""):
            content = json.loads(message["text"])
            return {**message, "text": json.dumps({**content, "sdp": change(content["sdp"])})}
        return message

    return changed


def answered(method: str, path: str, status: int, instead: int, body: bytes | None = None) -> Change:
    """Answer requests that get `status` with another status, and with `body` if it is given."""

    def changed(scope: Scope, message: Message) -> Message:
        request = (scope["type"], scope.get("method"), scope["path"], message.get("status"))
        if request == ("http", method, path, status):
            return {**message, "status": instead, **({} if body is None else {"body": body})}
        return message

    return changed


SESSIONS: Mapping[str, tuple[Change, Named]] = {
    "a renamed field": (
        json_body("/sessions/request", renamed("streamer_id", "streamer")),
        {
            "contradicted rest.session.streamer-id": "the fields session_id, signalling_url, streamer, model, region, "
            "capabilities",
            "new field `$.streamer`": "streamer",
        },
    ),
    "a new field": (
        json_body("/sessions/token", lambda body: {**body, "renewable": True}),
        {"new field `$.renewable`": "renewable"},
    ),
    "another close code": (other_close_code, {"contradicted session.unknown.rejected": "4001"}),
    "another candidate type": (
        offer_changed(lambda sdp: sdp.replace("typ host", "typ srflx raddr 0.0.0.0 rport 9", 1)),
        {"contradicted candidate.own.host-only": '"srflx"'},
    ),
    "another direction": (
        offer_changed(lambda sdp: sdp.replace("a=sendonly", "a=sendrecv", 1)),
        {"contradicted peer.media.sendonly": '"sendrecv"'},
    ),
}


@pytest.mark.parametrize("case", SESSIONS)
async def test_altered_session_is_named(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    change, expected = SESSIONS[case]
    alter(monkeypatch, change)
    assert named(await judged("credentials")) == expected


REST: Mapping[str, tuple[Change, Named]] = {
    "another status": (
        answered("POST", "/auth/token", 401, 400),
        {"contradicted rest.token.unknown-key": "400", "new status 400 of POST /auth/token": "400"},
    ),
    "a new route": (
        json_body("/openapi.json", lambda body: {**body, "paths": {**body["paths"], "/worlds": {"get": {}}}}),
        {"new route GET /worlds": "GET /worlds"},
    ),
    "a fault of the service": (
        answered("GET", "/openapi.json", 200, 503),
        {
            "not seen rest.openapi.served": "the service gave no occasion in the step `rest`, after "
            "GET /openapi.json -> 503"
        },
    ),
    "another default": (
        json_body("/stream-recordings", lambda body: {**body, "limit": 25 if body["limit"] == 50 else body["limit"]}),
        {"contradicted rest.recordings.limit": "25"},
    ),
}


@pytest.mark.parametrize("case", REST)
async def test_altered_rest_api_is_named(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    change, expected = REST[case]
    alter(monkeypatch, change)
    assert named(await judged("rest")) == expected


async def test_missing_route_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    alter(monkeypatch, answered("GET", "/simulation-jobs", 200, 404, b'{"detail": "Not Found"}'))
    assert named(await judged("rest")) == {
        "new status 404 of GET /simulation-jobs": "404",
        "contradicted rest.jobs.limit": "status 404",
        "contradicted rest.jobs.fields": "status 404",
    }


@pytest.mark.parametrize(
    ("settings", "names", "expected"),
    [
        (
            {"access_token_lifetime": 1800},
            (),
            {"contradicted rest.token.expires-in": "1800", "contradicted limit.access-token.lifetime": "1800"},
        ),
        ({"session_token_lifetime": 300}, ("credentials",), {"contradicted rest.session-token.expires-in": "300"}),
        (
            {"fps": 10},
            ("live",),
            {"contradicted peer.video.frame-rate": "100", "contradicted peer.video.fps": "100"},
        ),
    ],
)
async def test_other_times_are_named(settings: Mapping[str, Any], names: tuple[str, ...], expected: Named) -> None:
    assert named(await judged(*names, **settings)) == expected


async def test_unknown_type_of_message_is_named() -> None:
    judgment = await judged(
        "credentials", prepare=lambda mock: mock.faults.add(at="signaling.connected", do="unknown_type")
    )
    assert named(judgment) == {"new message type `weather_report`": "weather_report"}


async def test_other_codec_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    only = [codec for codec in preferred_codecs() if "h264" not in codec.mimeType.lower()]
    monkeypatch.setattr(streamer_peer, "preferred_codecs", lambda: only[:2])
    assert named(await judged("credentials")) == {"contradicted peer.codec.h264": '"VP8"'}


async def test_failed_step_explains_what_was_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    change = json_body("/sessions/request", lambda body: {**body, "capabilities": {"image_to_video": "yes"}})
    alter(monkeypatch, change)
    async with MockOdyssey() as mock:
        run = await Program(mock.api_key, mock.url, steps=["credentials"]).run()
    found = dict(named(judge(run.observations)))
    assert found.pop("contradicted rest.session.image-to-video") == '"yes"'
    assert len(found) > 2
    assert {"not seen rest.credentials.handed-over", "not seen session.unknown.rejected"} <= set(found)
    reason = "the step `credentials` failed: Unexpected response to POST /sessions/request: capabilities.image_to_video"
    assert {name: seen for name, seen in found.items() if not seen.startswith(reason)} == {}


async def test_nothing_is_tried_without_an_access_token(monkeypatch: pytest.MonkeyPatch) -> None:
    alter(monkeypatch, json_body("/auth/token", renamed("access_token", "token")))
    async with MockOdyssey() as mock:
        run = await Program(mock.api_key, mock.url).run()
        assert len(mock.requests("POST /sessions/request")) == len(mock.jobs) == 0
    found = dict(named(judge(run.observations)))
    assert found.pop("contradicted rest.token.access-token") == "the fields token, token_type, expires_in"
    assert found.pop("new field `$.token`") == "token"
    reasons = {
        name: seen for name, seen in found.items() if "the step `authentication` failed: POST /auth/token" in seen
    }
    assert found == reasons
