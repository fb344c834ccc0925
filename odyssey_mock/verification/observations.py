"""What a run of the program has observed: plain data, which the checks judge.

The data is not redacted, because checks read tokens and addresses. Nothing of it is written before `masking.py` has
masked it, and the representations of the objects leave it out.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Literal, cast
from urllib.parse import urljoin, urlsplit

from odyssey_client.models import JSON
from odyssey_client.trace.events import TraceEvent
from odyssey_mock.verification.contract_documents import Contract

CASE_HEADER = "X-Odyssey-Verify"
"""A header with which steps name some of their requests, for the checks."""

type Sender = Literal["client", "server"]
type Outcome = Literal["done", "failed", "skipped"]


def says_nothing(status: int | None) -> bool:
    """Return whether a status says nothing about the protocol: a limit of the account, a fault, or no free machine."""
    return status is not None and (status == 429 or status >= 500)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRun:
    """How one step of the program went.

    Attributes:
        name: the name of the step.
        outcome: whether it was done.
        reason: why it was not done; empty if it was.
        seconds: how long it took.
        facts: what the step itself has noted, such as the sizes of frames.
    """

    name: str
    outcome: Outcome
    reason: str = ""
    seconds: float = 0.0
    facts: Mapping[str, JSON] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One HTTP request with its response.

    Attributes:
        step: the step that sent the request.
        method: the method.
        url: the complete URL.
        route: the path in the contract, such as `/recordings/{stream_id}`; None if the contract has no such path.
        status: the status; None if there was no response.
        headers: the headers of the response, by their names in lower case.
        sent: the body of the request.
        body: the body of the response.
        at: when the request was sent, in seconds on the time axis of the run.
        case: the name that the step gave to the request; empty if it gave none.
    """

    step: str
    method: str
    url: str = field(repr=False)
    route: str | None
    status: int | None
    headers: Mapping[str, str] = field(repr=False)
    sent: JSON = field(repr=False)
    body: JSON = field(repr=False)
    at: float
    case: str = ""

    def served_at(self, began_at: float) -> float:
        """Return when the service answered, in seconds since the epoch, by its own clock if it sends its time."""
        try:
            return parsedate_to_datetime(self.headers.get("date", "")).timestamp()
        except (ValueError, OverflowError):
            return began_at + self.at

    @property
    def where(self) -> str:
        """The request and its status, for findings."""
        return f"{self.method} {self.route or _path(self.url)} -> {self.status}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message on the signaling socket or on a data channel.

    Attributes:
        step: the step.
        lane: where the message was sent.
        channel: the label of the data channel; None for the socket.
        sender: who sent it.
        content: the message as JSON.
        at: when it was sent or received, in seconds on the time axis of the run.
    """

    step: str
    lane: Literal["signaling", "channel"]
    channel: str | None
    sender: Sender
    content: JSON = field(repr=False)
    at: float

    @property
    def type(self) -> str | None:
        """The `type` of the message; None if it has none."""
        kind = self.content.get("type") if isinstance(self.content, dict) else None
        return kind if isinstance(kind, str) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """One SDP description: an offer or an answer."""

    step: str
    kind: str
    sender: Sender
    sdp: str = field(repr=False)
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerState:
    """One change of a state of a peer, such as `dtls` `connected`."""

    step: str
    transport: str
    state: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """Everything that a run has observed, in the order of time."""

    api_url: str
    began_at: float
    steps: Sequence[StepRun]
    exchanges: Sequence[Exchange] = field(repr=False)
    messages: Sequence[Message] = field(repr=False)
    descriptions: Sequence[Description] = field(repr=False)
    states: Sequence[PeerState] = field(repr=False)

    def step(self, name: str) -> StepRun | None:
        """Return the run of a step; None if the program was run without it."""
        return next((step for step in self.steps if step.name == name), None)

    def fact(self, step: str, name: str) -> JSON:
        """Return what a step has noted; None if it has not."""
        run = self.step(step)
        return None if run is None else run.facts.get(name)


def observed(
    api_url: str, began_at: float, steps: Iterable[StepRun], events: Mapping[str, Iterable[TraceEvent]]
) -> Observations:
    """Return the observations of a run.

    Args:
        api_url: the URL of the service.
        began_at: the start of the time axis, in seconds since the epoch.
        steps: the steps.
        events: the recorded events of each step, by its name.
    """
    found = sorted(((name, each) for name, recorded in events.items() for each in recorded), key=lambda it: it[1].at)
    routes = _Routes(api_url)
    exchanges = [_exchange(step, event) for step, event in found if event.lane == "http" and event.end is not None]
    for exchange in exchanges:
        routes.learn(exchange)
    return Observations(
        api_url=api_url,
        began_at=began_at,
        steps=tuple(steps),
        exchanges=tuple(replace(each, route=routes.route(each.url)) for each in exchanges),
        messages=tuple(each for step, event in found for each in _messages(step, event)),
        descriptions=tuple(
            Description(
                step=step, kind=event.name, sender=cast("Sender", event.sender), sdp=str(event.data["sdp"]), at=event.at
            )
            for step, event in found
            if event.lane == "sdp" and "sdp" in event.data
        ),
        states=tuple(
            PeerState(
                step=step,
                transport=str(event.data.get("transport")),
                state=str(event.data.get("state")),
                at=event.at,
            )
            for step, event in found
            if event.lane == "peer"
        ),
    )


def _exchange(step: str, event: TraceEvent) -> Exchange:
    data = event.data
    sent, received = (cast("Mapping[str, JSON]", data.get(name) or {}) for name in ("request", "response"))
    status = data.get("status")
    headers, asked = (
        {name.lower(): value for name, value in cast("Sequence[Sequence[str]]", part.get("headers", ()))}
        for part in (received, sent)
    )
    return Exchange(
        step=step,
        method=str(data["method"]),
        url=str(data["url"]),
        route=None,
        status=status if isinstance(status, int) else None,
        headers=headers,
        sent=sent.get("body"),
        body=received.get("body"),
        at=event.at,
        case=asked.get(CASE_HEADER.lower(), ""),
    )


def _messages(step: str, event: TraceEvent) -> Iterator[Message]:
    if event.lane in {"signaling", "channel"} and "message" in event.data and event.sender is not None:
        channel = event.data.get("channel")
        yield Message(
            step=step,
            lane="signaling" if event.lane == "signaling" else "channel",
            channel=channel if isinstance(channel, str) else None,
            sender=event.sender,
            content=event.data["message"],
            at=event.at,
        )


class _Routes:
    """Finds the path in the contract of a URL.

    Paths of the REST API follow the URL of the service. All others are those that responses and messages contain.
    """

    def __init__(self, api_url: str) -> None:
        self._base = api_url.rstrip("/")
        self._known: dict[str, str] = {}

    def learn(self, exchange: Exchange) -> None:
        """Note the addresses in a response."""
        if isinstance(exchange.body, dict):
            for region in _objects(exchange.body.get("regions")):
                self._note(region.get("ping_url"), "/ping/{region}")
            for stream in [exchange.body, *_objects(exchange.body.get("streams"))]:
                for name in ("video_url", "preview_url", "thumbnail_url", "events_url"):
                    self._note(stream.get(name), "/artifacts/{stream_id}/{artifact}")
        if (place := exchange.headers.get("location")) and exchange.status == 201:
            with suppress(ValueError):  # an invalid URL
                self._note(urljoin(exchange.url, place), "/whep/{resource}")

    def _note(self, url: JSON, route: str) -> None:
        if isinstance(url, str):
            self._known[_without_query(url)] = route

    def route(self, url: str) -> str | None:
        """Return the path in the contract; None if there is none."""
        bare = _without_query(url)
        if bare in self._known:
            return self._known[bare]
        if bare.startswith(f"{self._base}/"):
            path = bare.removeprefix(self._base)
            for template, pattern in _rest_paths():
                if pattern.fullmatch(path):
                    return template
        ends = ("/config", "/whep")
        return next((end for end in ends if bare.endswith(end)), "/hls/{file}" if bare.endswith(".m3u8") else None)


@cache
def _rest_paths() -> Sequence[tuple[str, re.Pattern[str]]]:
    """Return the paths below the URL of the service, with patterns that match them."""
    return [
        (template, re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))))
        for template, item in Contract.load().openapi["paths"].items()
        if "servers" not in item
    ]


def _objects(value: JSON) -> list[dict[str, JSON]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _path(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:  # such as `https://[`
        return "an invalid URL"


def _without_query(url: str) -> str:
    return re.split(r"[?#]", url, maxsplit=1)[0]
