"""The statements that `odyssey-mock verify` tests: for each, where to look and what to expect.

`checks` has one row per statement. The report and `docs/reference/truth.md` read from it which statements are tested.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from odyssey_mock.verification import looks
from odyssey_mock.verification.conformance import Conformance
from odyssey_mock.verification.contract_documents import Contract, Violation
from odyssey_mock.verification.expectations import (
    COUNT,
    FLAG,
    HTTP_URL,
    LIST,
    OPTIONAL_URL,
    SUCCESS,
    TEXT,
    TRUE,
    Expectation,
    Seen,
    between,
    equals,
    matches,
    one_of,
)
from odyssey_mock.verification.looks import Calls, Look, Received, claims, fact, files, named, sent_on
from odyssey_mock.verification.observations import Exchange, Message, Observations
from odyssey_mock.verification.steps import INVALID_JOBS

if TYPE_CHECKING:
    from odyssey_client.models import JSON


@dataclass(frozen=True, slots=True)
class Check:
    """How one statement is tested.

    Attributes:
        statement: the id of the statement.
        step: the step that causes what is looked at.
        look: returns the observed values. If there are none, the statement was not seen.
        expected: what each value is, if the statement is true.
    """

    statement: str
    step: str
    look: Look
    expected: Expectation


# The contract.


@dataclass(frozen=True, slots=True)
class Entry:
    """An exchange or a message in the form in which `Conformance` checks it."""

    index: int
    kind: str
    data: Mapping[str, object]


@cache
def _conformance() -> Conformance:
    return Conformance()


_PLACES = MappingProxyType({"/ping/{region}": "/ping/region", "/whep/{resource}": "/whep/resource"})
"""Paths for routes whose address the service chooses."""
_UNCHECKED = frozenset({None, "/artifacts/{stream_id}/{artifact}", "/hls/{file}"})
"""Routes of files, which another server may have. The rows of recordings and of HLS have what is expected of them."""


def violations(seen: Exchange | Message) -> list[Violation]:
    """Return how the service violates the contract in one exchange or message."""
    if isinstance(seen, Message):
        data: dict[str, object] = {"from": seen.sender, "message": seen.content, "channel": seen.channel}
        entry = Entry(0, seen.lane, data)
    elif seen.route in _UNCHECKED or seen.status is None:
        return []
    else:
        path = _PLACES.get(seen.route or "", (seen.route or "").replace("{", "").replace("}", ""))
        answer = {"method": seen.method, "path": path, "status": seen.status, "query": {}}
        entry = Entry(0, "rest", {**answer, "request": seen.sent, "response": seen.body})
    return [each.violation for each in _conformance().check(entry) if each.side == "server"]


def place(violation: Violation) -> str:
    """Return the JSON path of a violation, with `[]` for each index and with the name of a missing field."""
    path = "".join(
        f"[]{part.partition(']')[2]}" if index else part for index, part in enumerate(violation.path.split("["))
    )
    return path if violation.missing is None else f"{path}.{violation.missing}"


_AS_DESCRIBED = "the fields of openapi.json"


def conforms(calls: Calls, name: str) -> Check:
    """Return a check that the bodies of successful responses have the fields of the contract; more are not an error."""

    def look(seen: Observations) -> Iterator[Seen]:
        found = list(calls.among(seen))
        is_there = any(each.status == 200 for each in found)
        for each in found:
            if each.status == 200:
                wrong = [violation for violation in violations(each) if not violation.surplus]
                yield from (
                    Seen(violation.got, each.where, place(violation), f"{violation.expected} at {place(violation)}")
                    for violation in wrong
                )
                if not wrong:
                    yield Seen(_AS_DESCRIBED, each.where)
            elif not is_there and each.status in looks.MISSING:
                yield looks.no_route(each)

    step = "simulation" if "job" in name else "recordings"
    return Check(name, step, look, equals(_AS_DESCRIBED))


def _event_lines(seen: Observations) -> Iterator[tuple[str, JSON]]:
    """Yield the place and the value of each line of the files of events; None for a line that is no JSON."""
    for each in files("lines", file="events")(seen):
        for line in each.value if isinstance(each.value, list) else []:
            try:
                yield each.where, json.loads(str(line))
            except ValueError:
                yield each.where, None


def _event_lines_are_json(seen: Observations) -> Iterator[Seen]:
    for where, value in _event_lines(seen):
        yield Seen(isinstance(value, dict), where, "line")


def _event_lines_conform(seen: Observations) -> Iterator[Seen]:
    contract = Contract.load()
    for where, value in _event_lines(seen):
        yield Seen(not list(contract.violations("recording-event", "", value)), where, "line")


# Rows.


_TOKEN = named("POST /auth/token", "")
_WRONG_KEY = named("POST /auth/token", "wrong-key")
_MALFORMED_KEY = named("POST /auth/token", "malformed-key")
_REGIONS = named("GET /regions", "")
_SESSION = Calls("POST /sessions/request")
_SESSION_TOKEN = named("POST /sessions/token", "")
_WHEP = named("POST /whep", "")


def _in(step: str, operation: str) -> Calls:
    """Select the requests of one step."""
    return Calls(operation, lambda call: call.step == step)


def _query(text: str) -> Calls:
    """Select requests by the method, the path and the query, such as `GET /simulation-jobs?limit=101`."""
    operation = text.partition("?")[0]
    return Calls(operation, lambda call: call.url.endswith(text.partition(" ")[2]))


_ACCEPTED = Expectation(
    "a socket that is accepted and then closed", lambda got: isinstance(got, dict) and "code" in got
)


def _reply(message: str, name: str) -> Look:
    """Look at a field of the reply to a message without a stream."""
    return fact("credentials", f"reply_to_{message}.{name}")


def _has(*names: str) -> Expectation:
    """Expect a list of names in a header that has some of them."""
    wanted = {name.lower() for name in names}
    return Expectation(
        f"a list with {', '.join(names)}",
        lambda got: isinstance(got, str) and wanted <= set(got.lower().replace(" ", "").split(",")),
    )


_REFUSALS = MappingProxyType({"bad-offer": 400, "content-type": 415, "accept": 406, "ended-stream": 404})
"""Statuses of refused offers, by the names of the requests."""


def _contains(text: str) -> Expectation:
    return Expectation(f"text that contains `{text}`", lambda got: isinstance(got, str) and text in got)


def _rows() -> Iterable[Check]:
    yield from _authentication_rows()
    yield from _rest_rows()
    yield from _session_rows()
    yield from _channel_rows()
    yield from _broadcast_rows()
    yield from _job_rows()
    yield from _recording_rows()


def _authentication_rows() -> Iterator[Check]:
    step = "authentication"
    yield Check("rest.token.route", step, _TOKEN.status(), equals(200))
    yield Check("rest.token.api-key", step, _TOKEN.status(), equals(200))
    unknown = named("POST /auth/token", "unknown-field")
    yield Check("rest.request.unknown-fields", step, unknown.status(), equals(200))
    yield Check("limit.access-token.lifetime", step, _TOKEN.field("expires_in"), equals(3600))
    yield Check("rest.token.access-token", step, _TOKEN.field("access_token"), TEXT)
    yield Check("rest.token.type", step, _TOKEN.field("token_type"), equals("bearer"))
    yield Check("rest.token.expires-in", step, _TOKEN.field("expires_in"), equals(3600))
    yield Check("rest.token.unknown-key", step, _WRONG_KEY.status(), equals(401))
    yield Check("rest.token.malformed-key", step, _MALFORMED_KEY.status(), equals(422))
    no_token = named("GET /regions", "no-token")
    rejected = looks.both(no_token.status(), named("GET /regions", "wrong-token").status())
    yield Check("rest.bearer.rejected", step, rejected, equals(401))
    yield Check("rest.error.string", step, _WRONG_KEY.error_field("detail"), TEXT)
    yield Check("rest.error.detail", step, no_token.error_field("detail"), TEXT)
    yield Check("rest.error.422-list", step, _MALFORMED_KEY.error_field("detail"), LIST)
    first = _MALFORMED_KEY.error_field("detail[].loc")
    yield Check(
        "rest.error.422-loc",
        step,
        first,
        Expectation(
            "a list that begins with `body` or `query`",
            lambda got: isinstance(got, list) and bool(got) and got[0] in ("body", "query"),
        ),
    )


def _rest_rows() -> Iterator[Check]:
    step = "rest"
    yield Check("rest.regions.list", step, _REGIONS.field("regions"), LIST)
    yield Check("rest.regions.id", step, _REGIONS.field("regions[].id"), TEXT)
    yield Check("rest.regions.ping-url", step, _REGIONS.field("regions[].ping_url"), HTTP_URL)
    pings = _in("rest", "GET /ping/{region}")
    yield Check("rest.ping.success", step, pings.status(), SUCCESS)
    yield Check("rest.ping.status", step, pings.status(), equals(204))
    yield Check("rest.recording.unknown", step, named("GET /recordings/{stream_id}", "unknown").status(), equals(404))
    yield Check("rest.job.unknown", step, named("GET /simulation-jobs/{job_id}", "unknown").status(), equals(404))
    cancel = named("DELETE /simulation-jobs/{job_id}", "unknown")
    yield Check("rest.job-cancel.unknown", step, cancel.status(), equals(404))
    yield Check(
        "rest.session-token.unknown-session", step, named("POST /sessions/token", "unknown").status(), equals(404)
    )
    yield Check("rest.recordings.invalid", step, _query("GET /stream-recordings?limit=101").status(), equals(422))
    yield Check("rest.recordings.limit", step, _query("GET /stream-recordings").field("limit"), equals(50))
    yield Check("rest.jobs.invalid", step, _query("GET /simulation-jobs?limit=101").status(), equals(422))
    yield Check("rest.jobs.limit", step, _query("GET /simulation-jobs").field("limit"), equals(20))
    for case in INVALID_JOBS:
        yield Check(case, step, named("POST /simulation-jobs", case).status(), equals(422))
    invalid = _in(step, "POST /simulation-jobs")
    yield Check("rest.job-request.invalid-script", step, invalid.status(), equals(422))
    yield Check("rest.bearer.header", step, _REGIONS.status(), equals(200))
    yield Check("rest.ping.no-token", step, pings.status(), SUCCESS)
    yield Check("rest.body.json", step, looks.json_types, _contains("application/json"))
    yield Check("rest.openapi.served", step, fact(step, "has_openapi"), TRUE)
    telemetry = Calls("POST /telemetry")
    yield Check("rest.telemetry.route", step, telemetry.status(), SUCCESS)
    yield Check("rest.telemetry.success", step, telemetry.status(), SUCCESS)
    yield Check("rest.telemetry.token", step, _in(step, "POST /telemetry").status(), SUCCESS)
    yield Check("rest.telemetry.status", step, telemetry.status(), equals(202))
    preflight = Calls("OPTIONS /sessions/request")
    yield Check("rest.cors.preflight", step, preflight.status(), SUCCESS)
    yield Check("rest.cors.any-origin", step, preflight.header("access-control-allow-origin"), equals("*"))


def _session_rows() -> Iterator[Check]:
    step = "live"
    yield Check("rest.session.route", step, _SESSION.status(), equals(200))
    for name, field in (("id", "session_id"), ("streamer-id", "streamer_id"), ("model", "model"), ("region", "region")):
        yield Check(f"rest.session.{name}", step, _SESSION.field(field), TEXT)
    url = matches(r"wss?://[^?#]*[^/?#]", "a WebSocket URL without a slash at its end")
    yield Check("rest.session.signalling-url", step, _SESSION.field("signalling_url"), url)
    yield Check("rest.session.image-to-video", step, _SESSION.field("capabilities.image_to_video"), FLAG)
    yield Check("rest.session-token.route", step, _SESSION_TOKEN.status(), equals(200))
    yield Check("rest.session-token.value", step, _SESSION_TOKEN.field("session_token"), TEXT)
    yield Check("rest.session-token.expires-in", step, _SESSION_TOKEN.field("expires_in"), equals(600))
    yield Check("rest.session-token.jwt", step, claims("alg"), equals("HS256"))
    yield Check("rest.session-token.session-id", step, looks.token_of_session, TRUE)
    yield Check("rest.session-token.exp", step, looks.token_lifetime, between(-10, 10, "s after `expires_in`"))
    yield Check("rest.session-token.subject", step, looks.both(*map(looks.has_claim, ("sub", "iat"))), TRUE)
    yield Check("rest.session-token.request", step, _SESSION_TOKEN.status(), equals(200))
    second = named("POST /sessions/token", "second-token")
    yield Check("rest.session-token.any-number", "credentials", second.status(), equals(200))
    yield Check("rest.session.latencies", step, looks.with_latencies, equals(200))
    yield Check("rest.session.nearest-region", step, looks.nearest_region, TRUE)
    yield Check("signaling.config.own-stun", step, looks.ice_server_kinds, equals("stun"))
    yield Check("signaling.socket.address", step, looks.first_message, TEXT)
    yield Check("signaling.message.json", step, looks.message_types, TEXT)
    config = Calls("GET /config", lambda call: call.step in {"live", "credentials"})
    yield Check("signaling.config.route", step, config.field("iceServers"), LIST)
    urls = Expectation("text, or a list of texts", lambda got: isinstance(got, str | list) and bool(got))
    yield Check("signaling.config.urls", step, config.field("iceServers[].urls"), urls)
    yield Check("signaling.config.no-token", step, config.status(), equals(200))
    yield Check("signaling.offer.first", step, looks.first_message, equals("offer"))
    yield Check("signaling.offer.sdp", step, Received("signaling", "offer").field("sdp"), matches(r"v=0\r?\n.*", "SDP"))
    yield Check("signaling.offer.from-server", step, looks.offers_from, equals("server"))
    yield Check(
        "peer.media.one-video-track", step, looks.media_kinds, one_of("video, application", "application, video")
    )
    yield Check("peer.media.sendonly", step, looks.video_directions, equals("sendonly"))
    yield Check("peer.sctp.in-offer", step, looks.media_kinds, _contains("application"))
    yield Check("peer.track.in-stream", step, looks.video_has_stream, TRUE)
    yield Check("peer.codec.h264", step, looks.used_codecs, equals("H264"))
    yield Check("candidate.own.host-only", step, looks.candidate_types, equals("host"))
    yield Check("candidate.own.in-offer", step, looks.trickled, equals(0))
    yield Check("rest.credentials.handed-over", "credentials", fact("credentials", "connected"), TRUE)
    ended = fact("credentials", "ended_session.code")
    yield Check("session.unknown.rejected", "credentials", ended, equals(1008))
    reason = Received("signaling", "error").field("reason")
    yield Check("signaling.error.reasons", "credentials", reason, TEXT)
    yield Check("session.rejection.after-accept", "credentials", fact("credentials", "ended_session"), _ACCEPTED)
    replied = "credentials"
    yield Check("reason.update.no-stream", replied, _reply("update", "reason"), equals("no_active_stream"))
    yield Check("reason.message.invalid", replied, _reply("unknown", "reason"), equals("invalid_message"))
    yield Check("channel.error.fields", replied, Received("channel", "interactive_stream_error").field("message"), TEXT)
    yield Check("channel.end.without-stream", replied, fact(replied, "reply_to_end"), equals("none"))
    already = fact("live", "second_start.reason")
    yield Check("reason.start.already-active", step, already, equals("stream_already_active"))


def _channel_rows() -> Iterator[Check]:
    step = "live"
    yield Check("channel.open.by-server", step, looks.channels, one_of("streamerToClient", "clientToStreamer"))
    yield Check("channel.names.two", step, looks.channel_count, equals(2))
    yield Check("channel.open.order", step, looks.channel_order, equals("streamerToClient, clientToStreamer"))
    yield Check("channel.open.after-dtls", step, looks.channels_after_dtls, TRUE)
    yield Check("peer.video.always", step, fact(step, "idle_frames"), between(1, 1e9, "frames"))
    yield Check("peer.video.landscape", step, looks.frame_size("live"), equals("1280x704"))
    yield Check("peer.video.portrait", "broadcast", looks.frame_size("broadcast"), equals("704x1280"))
    yield Check("peer.video.frame-rate", step, looks.frame_interval, between(40, 62, "ms between two frames"))
    yield Check("peer.video.fps", step, looks.frame_interval, between(49, 51, "ms between two frames"))
    started = Received("channel", "stream_started")
    yield Check("channel.start.type", step, looks.replies("interactive_stream_start", "stream_started"), TRUE)
    yield Check("channel.started.stream-id", step, started.field("stream_id"), TEXT)
    yield Check("channel.started.applied-prompt", step, started.field("applied_prompt"), TEXT)
    yield Check("channel.started.expanded-prompt", step, looks.expanded_prompt, TRUE)
    yield Check("channel.update.type", step, looks.replies("update", "update_acknowledged"), TRUE)
    yield Check("channel.update.acknowledged", step, sent_on("update_acknowledged"), equals("streamerToClient"))
    yield Check("channel.update.applied-prompt", step, Received("channel", "update_acknowledged").field("prompt"), TEXT)
    yield Check("channel.end.type", step, looks.replies("interactive_stream_end", "stream_ended"), TRUE)
    yield Check("channel.end.reply", step, sent_on("stream_ended"), equals("streamerToClient"))


def _broadcast_rows() -> Iterator[Check]:
    step = "broadcast"
    ready = Received("channel", "broadcast_ready")
    yield Check("broadcast.ready.webrtc-url", step, ready.field("webrtc_url"), HTTP_URL)
    yield Check("broadcast.ready.spectator-token", step, ready.field("spectator_token"), TEXT)
    yield Check("broadcast.ready.broadcast-url", step, ready.field("broadcast_url"), OPTIONAL_URL)
    yield Check("broadcast.ready.after-start", step, looks.broadcast_follows_start, equals("stream_started"))
    yield Check("broadcast.whep.protocol", step, fact(step, "spectator_frames[]"), LIST)
    config = Calls("GET /config", lambda call: call.step == "broadcast")
    yield Check("whep.config.route", step, config.field("iceServers"), LIST)
    options = Calls("OPTIONS /whep", lambda call: not call.case)
    yield Check("whep.options.preflight", step, named("OPTIONS /whep", "preflight").status(), SUCCESS)
    yield Check("whep.options.status", step, options.status(), equals(204))
    yield Check("whep.options.link", step, options.header("link"), _contains('rel="ice-server"'))
    yield Check("whep.answer.status", step, _WHEP.status(), equals(201))
    for name, header in (("location", "location"), ("etag", "etag"), ("headers", "accept-patch")):
        yield Check(f"whep.answer.{name}", step, _WHEP.header(header), TEXT)
    delete = Calls("DELETE /whep/{resource}")
    first = replace(delete, when=lambda call: not call.case)
    yield Check("whep.delete.route", step, first.status(), SUCCESS)
    yield Check("whep.delete.status", step, first.status(), equals(200))
    yield Check("whep.delete.again", step, named(delete.operation, "again").status(), equals(404))
    wrong = named("POST /whep", "wrong-token")
    yield Check("whep.error.token", step, wrong.status(), equals(401))
    yield Check("whep.error.authenticate", step, wrong.header("www-authenticate"), _contains("Bearer"))
    yield Check("whep.error.body", step, wrong.error_field("status"), equals("error"))
    exposed = wrong.header("access-control-expose-headers")
    yield Check("rest.cors.location", step, exposed, _has("Location"))
    yield Check("rest.cors.exposed", step, exposed, _has("Location", "ETag", "Link", "WWW-Authenticate", "Retry-After"))
    for case, status in _REFUSALS.items():
        yield Check(f"whep.error.{case}", step, named("POST /whep", case).status(), equals(status))
    yield Check("whep.token.bearer", step, named("POST /whep", "bearer-token").status(), equals(400))
    yield Check("whep.error.method", step, Calls("PUT /whep").status(), equals(405))
    patch = "PATCH /whep/{resource}"
    yield Check("whep.error.bad-fragment", step, named(patch, "bad-fragment").status(), equals(400))
    yield Check("whep.error.if-match", step, named(patch, "if-match").status(), equals(412))
    yield Check("whep.offer.token", step, _WHEP.status(), equals(201))
    relative = matches(r"/.*", "a path")
    yield Check("whep.answer.relative-location", step, _WHEP.header("location"), relative)
    yield Check("whep.media.audio-inactive", step, looks.refused_audio, equals("inactive"))
    yield Check("hls.playlist.address", step, fact(step, "hls_url_is_below"), TRUE)
    yield Check("hls.file.token", step, named("GET /hls/{file}", "no-token").status(), equals(401))
    yield Check("hls.playlist.url", step, fact(step, "playlist.begins"), equals("#EXTM3U"))
    yield Check("hls.playlist.tokens", step, fact(step, "playlist.entries_have_token"), TRUE)
    yield Check(
        "hls.playlist.type", step, fact(step, "playlist.content_type"), _contains("application/vnd.apple.mpegurl")
    )
    yield Check("hls.playlist.version", step, fact(step, "playlist.version"), equals("#EXT-X-VERSION:7"))
    yield Check("hls.segment.format", step, fact(step, "segment.is_fragment"), TRUE)
    yield Check("hls.playlist.ended", step, fact(step, "ended_playlist.has_end"), TRUE)


def _job_rows() -> Iterator[Check]:
    step = "simulation"
    create = _in("simulation", "POST /simulation-jobs")
    yield Check("rest.job-request.route", step, create.status(), equals(200))
    cancelled = _in("simulation", "DELETE /simulation-jobs/{job_id}")
    yield Check("rest.job-cancel.route", step, cancelled.status(), equals(200))
    yield Check("rest.job-cancel.mock", step, cancelled.field("status"), equals("cancelled"))
    yield conforms(create, "rest.job-request.fields")
    yield conforms(_in("simulation", "GET /simulation-jobs/{job_id}"), "rest.job.fields")
    yield conforms(Calls("GET /simulation-jobs"), "rest.jobs.fields")
    order = Expectation(
        f"statuses in the order {', '.join(looks.JOB_ORDER)}",
        lambda got: isinstance(got, list) and got == [each for each in looks.JOB_ORDER if each in got] and bool(got),
    )
    yield Check("job.status.values", step, looks.job_statuses, order)
    yield Check(
        "rest.jobs.newest-first", "recordings", looks.newest_first("GET /simulation-jobs", "jobs", "created_at"), TRUE
    )
    completed = _query("GET /simulation-jobs?status=completed&limit=5")
    yield Check("rest.jobs.filters", "recordings", completed.field("jobs[].status"), equals("completed"))
    skipped = _query("GET /simulation-jobs?limit=1&offset=1")
    yield Check("rest.jobs.offset", "recordings", skipped.field("offset"), equals(1))
    yield Check("rest.job-request.portrait", "recordings", looks.simulated_widths, equals(1280))
    yield Check("job.region.assigned", step, looks.regions_of_jobs, TRUE)
    late = _in("recordings", "DELETE /simulation-jobs/{job_id}")
    yield Check("rest.job-cancel.too-late", "recordings", late.status(), equals(400))


def _recording_rows() -> Iterator[Check]:
    step = "recordings"
    # A recording that is not ready in time is missing, or has no video.
    one = Calls("GET /recordings/{stream_id}", lambda call: call.step == step and call.status != 404)
    ready = replace(one, when=lambda call: call.step == step and looks.has_video(call))
    yield conforms(one, "rest.recording.route")
    yield conforms(Calls("GET /stream-recordings"), "rest.recordings.fields")
    ordered = looks.newest_first("GET /stream-recordings", "recordings", "started_at")
    yield Check("rest.recordings.newest-first", step, ordered, TRUE)
    skipped = _query("GET /stream-recordings?limit=1&offset=1")
    yield Check("rest.recordings.offset", step, skipped.field("offset"), equals(1))
    running = named("GET /recordings/{stream_id}", "running")
    yield Check("recording.running.null", "live", running.field("video_url"), equals(None))
    yield Check("recording.stream.every", step, ready.field("frame_count"), COUNT)
    video = matches(r".{4}ftyp.*", "an MP4 file")
    yield Check(
        "recording.video.mp4", step, looks.both(files("head", file="video"), files("head", file="preview")), video
    )
    yield Check("recording.thumbnail.jpeg", step, files("head", file="thumbnail"), matches(r"ÿØÿ.*", "a JPEG file"))
    yield Check("recording.events.jsonl", step, _event_lines_are_json, TRUE)
    yield Check("recording.events.fields", step, _event_lines_conform, TRUE)
    yield Check("recording.url.presigned", step, looks.signed_for, between(3590, 3610, "s"))
    yield Check("recording.url.signature", step, looks.signed_with, equals("expires, signature"))
    ended = named("GET /recordings/{stream_id}", "ended")
    yield Check("recording.live.at-once", "live", ended.status(), equals(200))
    yield Check(
        "recording.frames.count", step, looks.counted_frames, between(0.95, 1.05, "times the frame rate of the stream")
    )
    yield Check("recording.url.conditions", step, files("status", file="video"), equals(206))
    yield Check("recording.url.invalid-signature", step, files("changed_signature"), equals(403))


@cache
def checks() -> Sequence[Check]:
    """Return every check, in the order of the program."""
    return tuple(_rows())


def verified_statements() -> frozenset[str]:
    """Return the ids of the statements that `odyssey-mock verify` tests."""
    return frozenset(check.statement for check in checks())
