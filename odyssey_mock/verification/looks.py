"""What the checks look at: functions that return the values of one kind from the observations of a run."""

from __future__ import annotations

import base64
import itertools
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from odyssey_mock.verification.expectations import Absent, Seen, field_of, is_number
from odyssey_mock.verification.observations import Description, Exchange, Message, Observations, says_nothing

if TYPE_CHECKING:
    from odyssey_client.models import JSON

type Look = Callable[[Observations], Iterator[Seen]]
"""Returns the observed values of one kind; none if the run had no occasion."""


MISSING = frozenset({404, 405, 410})
"""Statuses of routes that the service does not have."""


@dataclass(frozen=True, slots=True)
class Calls:
    """Selects exchanges of one operation of the contract.

    Attributes:
        operation: method and path, such as `POST /auth/token`.
        when: which of its exchanges to select.
    """

    operation: str
    when: Callable[[Exchange], bool] = lambda _: True

    def among(self, seen: Observations) -> Iterator[Exchange]:
        """Return the selected exchanges that have a response which says something about the protocol."""
        return (
            each
            for each in seen.exchanges
            if f"{each.method} {each.route}" == self.operation
            and each.status is not None
            and not says_nothing(each.status)
            and self.when(each)
        )

    def status(self) -> Look:
        """Look at the status."""
        return lambda seen: (Seen(each.status, self.operation, "status") for each in self.among(seen))

    def field(self, path: str) -> Look:
        """Look at a field of the bodies of successful responses. Without any, look at statuses of a missing route."""

        def look(seen: Observations) -> Iterator[Seen]:
            calls = list(self.among(seen))
            successful = [each for each in calls if 200 <= (each.status or 0) < 300]
            for each in successful:
                yield from (Seen(value, each.where, place) for place, value in field_of(each.body, path))
            if not successful:
                yield from (no_route(each, f"$.{path}") for each in calls if each.status in MISSING)

        return look

    def error_field(self, path: str) -> Look:
        """Look at a field of the bodies of all selected responses."""
        return lambda seen: (
            Seen(value, each.where, place) for each in self.among(seen) for place, value in field_of(each.body, path)
        )

    def header(self, name: str) -> Look:
        """Look at a header of the response."""
        return lambda seen: (
            Seen(each.headers.get(name, Absent(tuple(each.headers))), each.where, f"header {name}")
            for each in self.among(seen)
        )


def no_route(exchange: Exchange, path: str = "$") -> Seen:
    """Return what was seen of a route that the service does not have."""
    return Seen(f"status {exchange.status}", exchange.where, path, "a successful response")


@dataclass(frozen=True, slots=True)
class Received:
    """Selects messages of the service of one type."""

    lane: str
    type: str

    def field(self, path: str) -> Look:
        """Look at a field of the messages."""

        def look(seen: Observations) -> Iterator[Seen]:
            for each in seen.messages:
                if each.sender == "server" and each.lane == self.lane and each.type == self.type:
                    for place, value in field_of(each.content, path):
                        yield Seen(value, where(each), place)

        return look


def where(message: Message) -> str:
    """Return the place of a message for findings, such as `signaling: offer`."""
    return f"{message.channel or message.lane}: {message.type or 'message'}"


def named(operation: str, case: str) -> Calls:
    """Select the requests to which a step gave a name."""
    return Calls(operation, lambda call: call.case == case)


def fact(step: str, path: str) -> Look:
    """Look at what a step has noted."""

    def look(seen: Observations) -> Iterator[Seen]:
        run = seen.step(step)
        head = path.partition(".")[0].removesuffix("[]")
        if run is not None and run.facts.get(head) is not None:
            for _, value in field_of(dict(run.facts), path):
                yield Seen(value, f"the step {step}", path)

    return look


# Tokens.


def claims(name: str) -> Look:
    """Look at a claim of the session tokens, or with `alg` at the algorithm in their header."""

    def look(seen: Observations) -> Iterator[Seen]:
        for each in Calls("POST /sessions/token", lambda call: call.status == 200).among(seen):
            token = each.body.get("session_token") if isinstance(each.body, dict) else None
            parts = token.split(".") if isinstance(token, str) else []
            part = parts[0 if name == "alg" else 1] if len(parts) == 3 else ""
            yield Seen(field_of(_decoded(part), name)[0][1], "the session token", name)

    return look


def _decoded(part: str) -> JSON:
    try:
        value: JSON = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except ValueError:
        return None
    return value


def token_of_session(seen: Observations) -> Iterator[Seen]:
    """Look whether each session token names the session for which it was requested."""
    calls = list(Calls("POST /sessions/token", lambda call: call.status == 200).among(seen))
    for each, claim in zip(calls, claims("session_id")(seen), strict=True):
        asked = each.sent.get("session_id") if isinstance(each.sent, dict) else None
        yield Seen(claim.value == asked, "the session token", "session_id")


def token_lifetime(seen: Observations) -> Iterator[Seen]:
    """Look at the seconds by which `exp` of a session token differs from its `expires_in`, from its creation on."""
    calls = list(Calls("POST /sessions/token", lambda call: call.status == 200).among(seen))
    for each, claim in zip(calls, claims("exp")(seen), strict=True):
        lifetime = each.body.get("expires_in") if isinstance(each.body, dict) else None
        if not isinstance(claim.value, Absent) and is_number(claim.value) and is_number(lifetime):
            late = float(str(claim.value)) - (each.served_at(seen.began_at) + float(str(lifetime)))
            yield Seen(round(late), "the session token", "exp")
        else:
            yield claim


# Signaling.


def first_message(seen: Observations) -> Iterator[Seen]:
    """Look at the type of the first message of the service on each socket that led to a connection."""
    for step in dict.fromkeys(each.step for each in seen.descriptions if each.kind == "offer"):
        for each in seen.messages:
            if each.step == step and each.lane == "signaling" and each.sender == "server":
                yield Seen(each.type, "signaling", "first message")
                break


def offers_from(seen: Observations) -> Iterator[Seen]:
    """Look at who makes the offer of a live connection."""
    for each in live_descriptions(seen, "offer"):
        yield Seen(each.sender, "signaling", "sender of the offer")


def live_descriptions(seen: Observations, kind: str) -> Iterator[Description]:
    """Return the descriptions of live connections: a spectator makes its offer itself."""
    for step, group in itertools.groupby(sorted(seen.descriptions, key=lambda it: it.step), lambda it: it.step):
        first = next((each for each in seen.messages if each.step == step and each.type == "offer"), None)
        for each in group:
            is_spectators = first is None or (
                step == "broadcast" and (each.kind == "offer") == (each.sender == "client")
            )
            if each.kind == kind and not is_spectators:
                yield each


def spectator_answers(seen: Observations) -> Iterator[Description]:
    """Return the answers of the service to spectators."""
    return (each for each in seen.descriptions if each.kind == "answer" and each.sender == "server")


def described_by_service(seen: Observations) -> Iterator[Description]:
    """Return every description that the service has made."""
    return (each for each in seen.descriptions if each.sender == "server")


def media_kinds(seen: Observations) -> Iterator[Seen]:
    """Look at the media of the offers, such as `video, application`."""
    for each in live_descriptions(seen, "offer"):
        yield Seen(", ".join(re.findall(r"^m=(\w+)", each.sdp, re.MULTILINE)), "signaling: offer", "media")


def video_directions(seen: Observations) -> Iterator[Seen]:
    """Look at the direction of the video in the offers."""
    for each in live_descriptions(seen, "offer"):
        for section in _sections(each.sdp, "video"):
            found = re.search(r"^a=(sendrecv|sendonly|recvonly|inactive)", section, re.MULTILINE)
            yield Seen(found[1] if found else "sendrecv", "signaling: offer", "direction")


def video_has_stream(seen: Observations) -> Iterator[Seen]:
    """Look whether the video of the offers belongs to a stream."""
    for each in live_descriptions(seen, "offer"):
        for section in _sections(each.sdp, "video"):
            found = re.search(r"^a=msid:(\S+)", section, re.MULTILINE)
            yield Seen(found is not None and found[1] != "-", "signaling: offer", "a=msid")


def codecs(seen: Observations) -> Iterator[Seen]:
    """Look at the names of the codecs in every description of the service, without media that are refused."""
    for each in described_by_service(seen):
        used = [part for part in _sections(each.sdp) if not re.search(r"^a=inactive\r?$", part, re.MULTILINE)]
        for name in dict.fromkeys(re.findall(r"^a=rtpmap:\d+ ([^/\s]+)/", "".join(used), re.MULTILINE)):
            yield Seen(name, f"the {each.kind} of the service", "codec")


def used_codecs(seen: Observations) -> Iterator[Seen]:
    """Look at the first codec of the video in each answer of a live connection."""
    for each in live_descriptions(seen, "answer"):
        for section in _sections(each.sdp, "video"):
            first = re.match(r"m=video \d+ \S+ (\d+)", section)
            name = re.search(rf"^a=rtpmap:{first[1]} ([^/\s]+)/", section, re.MULTILINE) if first else None
            if name:
                yield Seen(name[1], "the video of a live connection", "codec")


def candidate_types(seen: Observations) -> Iterator[Seen]:
    """Look at the types of the service's candidates."""
    for place, line in _candidates(seen):
        if found := re.search(r" typ (\S+)", line):
            yield Seen(found[1], place, "candidate type")


def candidate_protocols(seen: Observations) -> Iterator[Seen]:
    """Look at the protocols of the service's candidates."""
    for place, line in _candidates(seen):
        if found := re.match(r"candidate:\S+ \d+ (\S+)", line):
            yield Seen(found[1].lower(), place, "candidate protocol")


def _candidates(seen: Observations) -> Iterator[tuple[str, str]]:
    for each in described_by_service(seen):
        for line in re.findall(r"^a=(candidate:.+)", each.sdp, re.MULTILINE):
            yield f"the {each.kind} of the service", line
    for message in seen.messages:
        content = message.content
        if message.sender == "server" and message.type == "ice_candidate" and isinstance(content, dict):
            yield "signaling: ice_candidate", str(content.get("candidate"))


def trickled(seen: Observations) -> Iterator[Seen]:
    """Look at the number of candidates that the service sends after its offer."""
    for step in dict.fromkeys(each.step for each in live_descriptions(seen, "offer")):
        count = sum(
            1
            for each in seen.messages
            if each.step == step and each.sender == "server" and each.type == "ice_candidate"
        )
        yield Seen(count, "signaling", "trickled candidates")


def _sections(sdp: str, kind: str = "") -> list[str]:
    return [part for part in re.split(r"^(?=m=)", sdp, flags=re.MULTILINE) if part.startswith(f"m={kind}")]


# The peer connection.


def channels(seen: Observations) -> Iterator[Seen]:
    """Look at the labels of the data channels that the service opens."""
    for each in seen.states:
        if each.transport == "channel" and each.state.endswith(" open"):
            yield Seen(each.state.removesuffix(" open"), "the peer connection", "data channel")


def channel_count(seen: Observations) -> Iterator[Seen]:
    """Look at the number of data channels of each connection."""
    opened = [each for each in seen.states if each.transport == "channel" and each.state.endswith(" open")]
    for step in dict.fromkeys(each.step for each in opened):
        yield Seen(sum(1 for each in opened if each.step == step), "the peer connection", "data channels")


def channel_order(seen: Observations) -> Iterator[Seen]:
    """Look at the order in which the data channels of each connection opened."""
    opened = [each for each in seen.states if each.transport == "channel" and each.state.endswith(" open")]
    for step in dict.fromkeys(each.step for each in opened):
        labels = [each.state.removesuffix(" open") for each in opened if each.step == step]
        yield Seen(", ".join(labels), "the peer connection", "order of the data channels")


def channels_after_dtls(seen: Observations) -> Iterator[Seen]:
    """Look whether DTLS was connected before each data channel opened."""
    for each in seen.states:
        if each.transport == "channel" and each.state.endswith(" open"):
            is_secure = any(
                it.step == each.step and it.transport == "dtls" and it.state == "connected" and it.at <= each.at
                for it in seen.states
            )
            yield Seen(is_secure, "the peer connection", "DTLS before the data channels")


def expanded_prompt(seen: Observations) -> Iterator[Seen]:
    """Look whether each `applied_prompt` is the prompt with words added."""
    prompts: dict[str, str] = {}
    for each in seen.messages:
        content = each.content if isinstance(each.content, dict) else {}
        if each.type == "interactive_stream_start":
            prompts.setdefault(each.step, str(content.get("prompt")))
        elif each.type == "stream_started":
            applied, prompt = str(content.get("applied_prompt")), prompts.get(each.step, "")
            is_longer = len(applied) > len(prompt)
            yield Seen(
                applied.startswith(prompt) and is_longer, where(each), "$.applied_prompt, begins with the prompt"
            )


def both(*several: Look) -> Look:
    """Look at the values of several looks."""
    return lambda seen: itertools.chain.from_iterable(look(seen) for look in several)


def sent_on(kind: str) -> Look:
    """Look at the channel of the service's messages of one type."""
    return lambda seen: (
        Seen(each.channel, where(each), "channel")
        for each in seen.messages
        if each.sender == "server" and each.type == kind and each.lane == "channel"
    )


def replies(sent: str, received: str) -> Look:
    """Look whether the messages of the client in a stream got a reply of a type. Of the starts, only the first counts.

    The step `credentials` sends messages without a stream.
    """

    def look(seen: Observations) -> Iterator[Seen]:
        for step in ("live", "broadcast"):
            talk = [each for each in seen.messages if each.lane == "channel" and each.step == step]
            asked = [at for at, each in enumerate(talk) if each.sender == "client" and each.type == sent]
            for at in asked[:1] if sent == "interactive_stream_start" else asked:
                later = [each.type for each in talk[at + 1 :] if each.sender == "server"]
                yield Seen(received in later, f"clientToStreamer: {sent}", received)

    return look


def broadcast_follows_start(seen: Observations) -> Iterator[Seen]:
    """Look at the type of the message before `broadcast_ready`."""
    got = [each for each in seen.messages if each.lane == "channel" and each.sender == "server"]
    for before, each in itertools.pairwise(got):
        if each.type == "broadcast_ready" and before.step == each.step:
            yield Seen(before.type, "streamerToClient: broadcast_ready", "message before it")


def frame_size(step: str) -> Look:
    """Look at the size of the last frame that a step has noted, as `1280x704`."""

    def look(seen: Observations) -> Iterator[Seen]:
        if frames := _frames(seen, step, "stream_frames"):
            width, height, _ = frames[-1]
            yield Seen(f"{width:g}x{height:g}", f"the video of the step {step}", "size")

    return look


def frame_interval(seen: Observations) -> Iterator[Seen]:
    """Look at the median time between two frames of the live stream, in milliseconds of the sender's clock."""
    frames = _frames(seen, "live", "stream_frames")
    if len(frames) > 2:
        gaps = [after[2] - before[2] for before, after in itertools.pairwise(frames)]
        yield Seen(round(median(gaps)), "the video of the live stream", "milliseconds between two frames")


def _frames(seen: Observations, step: str, name: str) -> list[Sequence[float]]:
    frames = seen.fact(step, name)
    return [each for each in frames if isinstance(each, list)] if isinstance(frames, list) else []  # type: ignore[misc]


# Jobs and recordings.

JOB_ORDER = ("pending", "dispatched", "processing", "completed")


def job_statuses(seen: Observations) -> Iterator[Seen]:
    """Look at the statuses of the job in the order in which they were read."""
    calls = Calls("GET /simulation-jobs/{job_id}", lambda call: call.step == "simulation" and call.status == 200)
    read = [each.body.get("status") for each in calls.among(seen) if isinstance(each.body, dict)]
    if read:
        yield Seen([key for key, _ in itertools.groupby(read)], "GET /simulation-jobs/{job_id}", "statuses")


def newest_first(operation: str, entries: str, time: str) -> Look:
    """Look whether the entries of a list are ordered by a time, the newest first."""

    def look(seen: Observations) -> Iterator[Seen]:
        for each in Calls(operation).among(seen):
            listed = each.body.get(entries) if isinstance(each.body, dict) else None
            rows = [it for it in listed if isinstance(it, dict)] if isinstance(listed, list) else []
            times = [_time(it.get(time)) for it in rows]
            if len(times) > 1 and None not in times:  # the schema says what a time is
                known = [each for each in times if each is not None]
                yield Seen(known == sorted(known, reverse=True), operation, f"$.{entries}")

    return look


def _time(value: JSON) -> float | None:
    """Return a time in RFC 3339 as seconds since the epoch; None if it is none."""
    try:
        return datetime.fromisoformat(str(value)).timestamp()
    except (ValueError, OverflowError):
        return None


def files(name: str, *, file: str | None = None) -> Look:
    """Look at a property of the files of recordings."""

    def look(seen: Observations) -> Iterator[Seen]:
        found = seen.fact("recordings", "files")
        for each in found if isinstance(found, list) else []:
            if not isinstance(each, dict) or file not in {None, each["file"]}:
                continue
            status = each["changed_signature"] if name == "changed_signature" else each["status"]
            is_content = name in {"head", "lines"}
            if isinstance(status, int) and not says_nothing(status) and (not is_content or 200 <= status < 300):
                yield Seen(each[name], f"the file {each['file']} of a recording", name)

    return look


def has_video(call: Exchange) -> bool:
    """Return whether a response has a recording with a video."""
    return call.status == 200 and isinstance(call.body, dict) and call.body.get("video_url") is not None


def signed_for(seen: Observations) -> Iterator[Seen]:
    """Look at the seconds for which presigned URLs are valid, if their query says so."""
    for each in Calls("GET /recordings/{stream_id}", lambda call: call.status == 200).among(seen):
        body = each.body if isinstance(each.body, dict) else {}
        for name in ("video_url", "events_url", "thumbnail_url", "preview_url"):
            query = {key.lower(): value for key, value in parse_qsl(urlsplit(str(body.get(name) or "")).query)}
            if (lifetime := query.get("x-amz-expires", "")).isdigit():
                yield Seen(int(lifetime), "presigned URLs", "lifetime in seconds")
            elif (end := query.get("expires", "")).isdigit():
                yield Seen(round(int(end) - each.served_at(seen.began_at)), "presigned URLs", "lifetime in seconds")


def signed_with(seen: Observations) -> Iterator[Seen]:
    """Look at the names of the parameters of presigned URLs."""
    for each in Calls("GET /recordings/{stream_id}", lambda call: call.status == 200).among(seen):
        body = each.body if isinstance(each.body, dict) else {}
        for name in ("video_url", "events_url", "thumbnail_url", "preview_url"):
            if url := body.get(name):
                yield Seen(", ".join(key for key, _ in parse_qsl(urlsplit(str(url)).query)), "presigned URLs", "query")


def counted_frames(seen: Observations) -> Iterator[Seen]:
    """Look at the frames of each recording, divided by its duration and by the frame rate of the live stream."""
    intervals = [float(str(each.value)) for each in frame_interval(seen)]
    for each in Calls("GET /recordings/{stream_id}", lambda call: call.step == "recordings").among(seen):
        count, seconds = (each.body.get(name) if isinstance(each.body, dict) else None for name in _LENGTHS)
        if intervals and is_number(count) and is_number(seconds) and float(str(seconds)) > 0:
            ratio = float(str(count)) / float(str(seconds)) * intervals[0] / 1000
            yield Seen(round(ratio, 2), each.where, "frames of the recording for each frame of the stream")


_LENGTHS = ("frame_count", "duration_seconds")


def simulated_widths(seen: Observations) -> Iterator[Seen]:
    """Look at the width of the streams of the landscape job, in the list of recordings."""
    known = seen.fact("simulation", "simulated_streams")
    for each in Calls("GET /stream-recordings").among(seen):
        listed = each.body.get("recordings") if isinstance(each.body, dict) else None
        for entry in listed if isinstance(listed, list) else []:
            if isinstance(entry, dict) and isinstance(known, list) and entry.get("stream_id") in known:
                yield Seen(entry.get("width"), each.where, "$.recordings[].width")


def nearest_region(seen: Observations) -> Iterator[Seen]:
    """Look whether each granted session is in the region with the lowest latency that the client has sent."""
    for each in Calls("POST /sessions/request", lambda call: call.status == 200).among(seen):
        latencies = each.sent.get("region_latencies") if isinstance(each.sent, dict) else None
        granted = each.body.get("region") if isinstance(each.body, dict) else None
        if isinstance(latencies, dict) and latencies:
            nearest = min(latencies, key=lambda name: float(str(latencies[name])))
            yield Seen(granted == nearest, each.where, "region")


def with_latencies(seen: Observations) -> Iterator[Seen]:
    """Look at the statuses of session requests that have latencies."""
    for each in Calls("POST /sessions/request").among(seen):
        if isinstance(each.sent, dict) and each.sent.get("region_latencies"):
            yield Seen(each.status, "POST /sessions/request", "status with latencies")


def json_types(seen: Observations) -> Iterator[Seen]:
    """Look at the types of the bodies of the REST API."""
    for each in seen.exchanges:
        is_rest = each.url.startswith(f"{seen.api_url}/") and each.route not in {None, "/ping/{region}", "/config"}
        if is_rest and each.method != "OPTIONS" and each.body is not None and not (each.route or "").startswith(_FILES):
            yield Seen(each.headers.get("content-type", ""), each.where, "content-type")


_FILES = ("/artifacts/", "/hls/", "/whep")


def message_types(seen: Observations) -> Iterator[Seen]:
    """Look at the types of the messages on the signaling socket."""
    for each in seen.messages:
        if each.lane == "signaling" and each.sender == "server":
            yield Seen(each.type, where(each), "$.type")


def has_claim(name: str) -> Look:
    """Look whether the session tokens have a claim. Its value may identify the account."""
    return lambda seen: (
        Seen(not isinstance(each.value, Absent) and each.value is not None, each.where, name)
        for each in claims(name)(seen)
    )


def ice_server_kinds(seen: Observations) -> Iterator[Seen]:
    """Look at the schemes of the ICE servers of a live connection, such as `stun`."""
    for each in Calls("GET /config", lambda call: call.step == "live").among(seen):
        servers = each.body.get("iceServers") if isinstance(each.body, dict) else None
        kinds = []
        for server in servers if isinstance(servers, list) else []:
            urls = server.get("urls") if isinstance(server, dict) else None
            kinds += [str(url).partition(":")[0] for url in (urls if isinstance(urls, list) else [urls])]
        yield Seen(", ".join(kinds), each.where, "$.iceServers[].urls")


def refused_audio(seen: Observations) -> Iterator[Seen]:
    """Look at the direction of the audio in the answers to spectators."""
    for each in spectator_answers(seen):
        for section in _sections(each.sdp, "audio"):
            found = re.search(r"^a=(sendrecv|sendonly|recvonly|inactive)", section, re.MULTILINE)
            yield Seen(found[1] if found else "sendrecv", "the answer of WHEP", "direction of the audio")


def regions_of_jobs(seen: Observations) -> Iterator[Seen]:
    """Look whether jobs have a region once they are dispatched, and none before."""
    for each in Calls("GET /simulation-jobs/{job_id}", lambda call: call.step == "simulation").among(seen):
        if isinstance(each.body, dict) and each.status == 200:
            has_region = each.body.get("assigned_region") is not None
            yield Seen(has_region == (each.body.get("status") != "pending"), each.where, "$.assigned_region")
