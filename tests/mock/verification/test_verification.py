"""Tests of one complete run of `odyssey-mock verify` against a new mock: its findings, files and cost.

`ALTERED` has observations of this run with one alteration each. The mocks in `test_altered_mocks.py` really differ.
"""

import asyncio
import json
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from odyssey_client.models import JSON
from odyssey_client.trace import read_trace
from odyssey_mock import MockOdyssey
from odyssey_mock.trace.diff import Compared, difference
from odyssey_mock.verification.checks import verified_statements
from odyssey_mock.verification.html_report import html_report
from odyssey_mock.verification.judgment import judge
from odyssey_mock.verification.observations import Exchange, Message, Observations
from odyssey_mock.verification.program import Program, Run
from odyssey_mock.verification.report import Report, report_of, text_report
from odyssey_mock.verification.trace_file import write_run


@dataclass(frozen=True)
class Complete:
    """A complete run, with what the mock knows of it."""

    run: Run
    api_key: str
    sessions: int
    stream_seconds: float
    jobs: list[str]
    sessions_left: int

    @property
    def seen(self) -> Observations:
        return self.run.observations

    @property
    def report(self) -> Report:
        return report_of(self.seen.api_url, self.seen.began_at, self.run.recording.duration, judge(self.seen))


async def completed() -> Complete:
    async with MockOdyssey() as mock:
        run = await Program(mock.api_key, mock.url).run()
        ended = [(each.started_at, each.ended_at) for each in mock.streams.values() if each.session_id is not None]
        return Complete(
            run,
            mock.api_key,
            sessions=len(mock.requests("POST /sessions/request")),
            stream_seconds=sum((end or float("inf")) - start for start, end in ended),
            jobs=sorted(str(job.status) for job in mock.jobs.values()),
            sessions_left=len(mock.sessions),
        )


@pytest.fixture(scope="module")
def complete() -> Complete:
    return asyncio.run(completed())


def named(seen: Observations) -> dict[str, str]:
    """Return what a judgment names besides confirmed statements, with what was seen."""
    return {
        f"{found.verdict} {found.statement.id if found.statement else found.what}": found.seen
        for found in judge(seen).findings
        if found.verdict != "confirmed"
    }


def test_new_mock_confirms_every_tested_statement(complete: Complete) -> None:
    assert [(step.name, step.reason) for step in complete.seen.steps if step.outcome != "done"] == []
    assert named(complete.seen) == {}
    assert {found.statement.id for found in judge(complete.seen).findings if found.statement} == verified_statements()
    assert len(verified_statements()) >= 175


def test_program_costs_what_it_announces(complete: Complete) -> None:
    assert complete.sessions == 3
    assert complete.sessions_left == 0
    assert 0 < complete.stream_seconds < 20
    assert complete.jobs == ["cancelled", "completed"]


# Alterations of what was observed.


def bodies(route: str, change: Callable[[Any], Any]) -> Callable[[Observations], Observations]:
    """Change the bodies of the successful responses of a route, such as `GET /regions`."""

    def changed(each: Exchange) -> Exchange:
        is_it = f"{each.method} {each.route}" == route and each.status == 200
        return replace(each, body=change(each.body)) if is_it else each

    return lambda seen: replace(seen, exchanges=[changed(each) for each in seen.exchanges])


def messages(kind: str, change: Callable[[Any], Any]) -> Callable[[Observations], Observations]:
    """Change the messages of the service of one type."""

    def changed(each: Message) -> Message:
        is_it = each.type == kind and each.sender == "server"
        return replace(each, content=change(each.content)) if is_it else each

    return lambda seen: replace(seen, messages=[changed(each) for each in seen.messages])


def described(old: str, new: str) -> Callable[[Observations], Observations]:
    """Change the descriptions of the service."""
    return lambda seen: replace(
        seen,
        descriptions=[
            replace(each, sdp=each.sdp.replace(old, new)) if each.sender == "server" else each
            for each in seen.descriptions
        ],
    )


def facts(step: str, **changes: Any) -> Callable[[Observations], Observations]:
    """Change what a step has noted. Any: facts differ in type."""
    return lambda seen: replace(
        seen,
        steps=[replace(each, facts={**each.facts, **changes}) if each.name == step else each for each in seen.steps],
    )


def further_message(seen: Observations) -> Observations:
    started = next(each for each in seen.messages if each.type == "stream_started")
    return replace(seen, messages=[*seen.messages, replace(started, content={"type": "stream_paused"})])


def without(name: str) -> Callable[[Any], Any]:
    return lambda body: {key: value for key, value in body.items() if key != name}


DETAIL: JSON = {"detail": [{"loc": ["body", "odyssey_testkit"], "msg": "Extra inputs", "type": "extra_forbidden"}]}

ALTERED: Mapping[str, tuple[Callable[[Observations], Observations], dict[str, str]]] = {
    "a field is missing": (
        bodies("GET /stream-recordings", without("total")),
        {"contradicted rest.recordings.fields": "the fields recordings, limit, offset"},
    ),
    "a field of a list is new": (
        bodies("GET /simulation-jobs", lambda body: {**body, "jobs": [{**job, "cost": 1} for job in body["jobs"]]}),
        {"new field `$.jobs[].cost`": "cost"},
    ),
    "a field has another type": (
        bodies("GET /simulation-jobs/{job_id}", lambda body: {**body, "retry_count": "0"}),
        {"contradicted rest.job.fields": '"0"'},
    ),
    "a message has a new field": (
        messages("update_acknowledged", lambda content: {**content, "frame": 7}),
        {"new field `$.frame`": "frame"},
    ),
    "a field of a message has another name": (
        messages("stream_started", lambda content: {**without("applied_prompt")(content), "prompt": "A cat"}),
        {
            "contradicted channel.started.applied-prompt": "the fields type, stream_id, prompt",
            "contradicted channel.started.expanded-prompt": "false",
            "new field `$.prompt`": "prompt",
        },
    ),
    "unknown fields are refused": (
        lambda seen: replace(
            seen,
            exchanges=[
                replace(each, status=422, body=DETAIL) if each.case == "unknown-field" else each
                for each in seen.exchanges
            ],
        ),
        {"contradicted rest.request.unknown-fields": "422"},
    ),
    "a recording exists later": (
        lambda seen: replace(
            seen,
            exchanges=[
                replace(each, status=404, body={"detail": "Recording not found"}) if each.case == "ended" else each
                for each in seen.exchanges
            ],
        ),
        {"contradicted recording.live.at-once": "404"},
    ),
    "a second start restarts the stream": (
        facts("live", second_start={"type": "stream_started"}),
        {"contradicted reason.start.already-active": "the fields type"},
    ),
    "a type of message is new": (further_message, {"new message type `stream_paused`": "stream_paused"}),
    "a codec is new": (described("VP8/90000", "AV1/90000"), {"new codec AV1": "AV1"}),
    "candidates use TCP": (
        described(" 1 udp ", " 1 tcp "),
        {"new candidate protocol tcp": "tcp"},
    ),
    "the frames have another size": (
        facts("broadcast", stream_frames=[[720, 1280, 0.0]]),
        {"contradicted peer.video.portrait": '"720x1280"'},
    ),
}


@pytest.mark.parametrize("case", ALTERED)
def test_alteration_is_named_and_nothing_else(case: str, complete: Complete) -> None:
    alter, expected = ALTERED[case]
    assert named(alter(complete.seen)) == expected


def test_false_assumption_is_named_as_such(complete: Complete) -> None:
    pings = replace(
        complete.seen,
        exchanges=[
            replace(each, status=200) if each.route == "/ping/{region}" else each for each in complete.seen.exchanges
        ],
    )
    altered = replace(complete, run=replace(complete.run, observations=pings))
    report = altered.report
    assert report.to_json()["false_assumptions"] == ["rest.ping.status"]
    shown = "\n".join(text_report(report))
    assert "rest.ping.status [M]: The mock answers a ping with 204" in shown
    assert "expected 204, got 200 (GET /ping/{region})" in shown
    assert "This is an assumption of this project, which is false." in shown
    assert "This is an assumption of this project, which is false." in html_report(report)


# Files.


def secrets(complete: Complete) -> set[str]:
    """Return the keys, tokens, signatures, fingerprints and addresses that the run has used."""
    text = "\n".join(
        json.dumps([each.url, each.sent, each.body, dict(each.headers)]) for each in complete.seen.exchanges
    )
    text += "\n".join(json.dumps(each.content) for each in complete.seen.messages)
    found = {
        "key": {complete.api_key},
        "tokens": set(re.findall(r'"(?:access_token|session_token|spectator_token)": "([^"]+)"', text)),
        "signatures": set(re.findall(r"signature=([0-9a-f]{32,})", text)),
        "fingerprints": set(re.findall(r"fingerprint:sha-256 ([0-9A-F:]{32,})", text)),
        "passwords": set(re.findall(r"ice-pwd:([^\\]+)", text)),
        "resources": set(re.findall(r'"location": "[^"]*/([^"/]+)"', text)),
        "addresses": set(re.findall(r"candidate:\S+ \d+ \S+ \d+ (\S+)", text)) | {"127.0.0.1"},
    }
    assert all(found.values()), f"expected secrets of every kind, got {found}"
    return set().union(*found.values())


def test_no_file_has_a_secret_or_an_address(complete: Complete, tmp_path: Path) -> None:
    report = complete.report
    write_run(complete.run, tmp_path / "verify.odytrace")
    texts = {
        "JSON": json.dumps(report.to_json()),
        "HTML": html_report(report),
        "terminal": "\n".join(text_report(report)),
    }
    with zipfile.ZipFile(tmp_path / "verify.odytrace") as file:
        texts |= {name: file.read(name).decode() for name in file.namelist() if not name.endswith(".jpg")}
    assert set(texts) == {"JSON", "HTML", "terminal", "manifest.json", "events.jsonl"}
    hidden = secrets(complete)
    assert {(name, secret) for name, text in texts.items() for secret in hidden if secret in text} == set()


def test_representations_have_no_secret(complete: Complete) -> None:
    seen = complete.seen
    texts = map(repr, (complete.run, judge(seen), *seen.exchanges, *seen.messages, *seen.descriptions, *seen.steps))
    hidden = secrets(complete) - {"127.0.0.1"}
    assert {secret for text in texts for secret in hidden if secret in text} == set()


def test_trace_of_a_run_can_be_compared(complete: Complete, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.odytrace", "b.odytrace")]
    for path in paths:
        write_run(complete.run, path)
    with read_trace(paths[0]) as first, read_trace(paths[1]) as second:
        assert {event.actor for event in first.events} >= {"authentication", "live", "broadcast", "simulation"}
        assert difference(Compared(first, ()), Compared(second, ())) is None


def test_report_has_every_finding_and_step(complete: Complete) -> None:
    told = cast("Any", json.loads(json.dumps(complete.report.to_json())))
    assert told["counts"] == {"contradicted": 0, "new": 0, "not seen": 0, "confirmed": len(verified_statements())}
    assert [step["name"] for step in told["steps"]] == [
        "authentication",
        "rest",
        "live",
        "credentials",
        "broadcast",
        "simulation",
        "recordings",
    ]
    lifetime = next(each for each in told["findings"] if each["statement"] == "rest.token.expires-in")
    assert lifetime == {
        "verdict": "confirmed",
        "statement": "rest.token.expires-in",
        "sources": ["C"],
        "what": "The `expires_in` of an access token is 3600 seconds.",
        "where": "POST /auth/token -> 200",
        "expected": "3600",
        "seen": "3600",
    }
    page = html_report(complete.report)
    assert page.count("<article>") == len(verified_statements())
    assert "rest.token.expires-in" in page
