"""Tests of one complete run of `odyssey-mock verify` against a new mock: its findings, files and cost.

`ALTERED` has observations of this run with one alteration each. The mocks in `test_altered_mocks.py` really differ.
"""

import asyncio
import itertools
import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odyssey_client.models import JSON
from odyssey_client.redaction import redacted
from odyssey_client.trace import read_trace
from odyssey_client.version import client_version
from odyssey_mock import MockOdyssey
from odyssey_mock.trace.diff import Compared, difference
from odyssey_mock.verification import judgment
from odyssey_mock.verification.checks import checks, verified_statements
from odyssey_mock.verification.expectations import Seen
from odyssey_mock.verification.html_report import html_report
from odyssey_mock.verification.judgment import judge
from odyssey_mock.verification.observations import Exchange, Message, Observations
from odyssey_mock.verification.program import Program, Run
from odyssey_mock.verification.report import Report, report_of, text_report
from odyssey_mock.verification.statements import statements
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


def test_words_of_the_program_are_no_secrets(complete: Complete) -> None:
    words = ["malformed", *(each.text for each in statements().values() if "ody_" not in each.text)]
    assert [text for text in words if redacted(text) != text] == []


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


def fact(step: str, name: str, change: Callable[[Any], Any]) -> Callable[[Observations], Observations]:
    """Change a part of what a step has noted. Any: facts differ in type."""
    return lambda seen: facts(step, **{name: change(seen.fact(step, name))})(seen)


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
    "a file is served with another signature": (
        fact("recordings", "files", lambda files: [{**each, "changed_signature": 200} for each in files]),
        {"contradicted recording.url.invalid-signature": "200"},
    ),
    "entries of a playlist have no token": (
        fact("broadcast", "playlist", lambda playlist: {**playlist, "entries_have_token": False}),
        {"contradicted hls.playlist.tokens": "false"},
    ),
    "an access token is null": (
        bodies("POST /auth/token", lambda body: {**body, "access_token": None}),
        {"contradicted rest.token.access-token": "null"},
    ),
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


@pytest.mark.parametrize(("credential", "shown"), [(5, "5"), (None, "null"), (["opaque"], "***"), ({"a": "b"}, "***")])
def test_only_secrets_are_masked_in_deviations(credential: JSON, shown: str, complete: Complete) -> None:
    servers = [{"urls": "stun:stun.example", "username": "me", "credential": credential}]
    altered = bodies("GET /config", lambda body: {**body, "iceServers": servers})(complete.seen)
    assert named(altered) == {"contradicted the schema of the contract at $.iceServers[].credential": shown}


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


def answered(status: int, *routes: str, step: str = "", body: JSON = None) -> Callable[[Observations], Observations]:
    """Answer routes, in one step or in all, with another status."""

    def changed(each: Exchange) -> Exchange:
        is_it = f"{each.method} {each.route}" in routes and step in {"", each.step}
        return replace(each, status=status, body=body) if is_it else each

    return lambda seen: replace(seen, exchanges=[changed(each) for each in seen.exchanges])


RECORDING = "GET /recordings/{stream_id}"


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_refusals_and_faults_of_the_service_contradict_nothing(status: int, complete: Complete) -> None:
    routes = {f"{each.method} {each.route}" for each in complete.seen.exchanges}
    found = named(answered(status, *routes, body="<html>Try again later</html>")(complete.seen))
    assert [name for name in found if not name.startswith("not seen ")] == []
    reason = found["not seen rest.token.expires-in"]
    assert reason.startswith("the service gave no occasion in the step `authentication`, after ")
    assert f"POST /auth/token -> {status}" in reason


def test_recording_that_is_not_ready_contradicts_nothing(complete: Complete) -> None:
    missing = answered(404, RECORDING, step="recordings", body={"detail": "Recording not found"})
    found = named(facts("recordings", files=[])(missing(complete.seen)))
    assert [name for name in found if not name.startswith("not seen ")] == []
    assert {"not seen rest.recording.route", "not seen recording.stream.every"} <= set(found)
    unfinished = bodies(RECORDING, lambda body: {**body, "video_url": None, "frame_count": None})
    found = named(facts("recordings", files=[])(unfinished(complete.seen)))
    assert [name for name in found if not name.startswith("not seen ")] == []
    assert "not seen recording.stream.every" in found


def test_missing_reply_contradicts_nothing(complete: Complete) -> None:
    silent = facts("credentials", reply_to_update=None, reply_to_unknown=None, reply_to_end=None)
    found = named(silent(complete.seen))
    assert set(found) == {
        "not seen reason.update.no-stream",
        "not seen reason.message.invalid",
        "not seen channel.end.without-stream",
    }


def test_playlist_without_entries_confirms_nothing(complete: Complete) -> None:
    found = named(facts("broadcast", playlist=None)(complete.seen))
    assert set(found) == {
        "not seen hls.playlist.url",
        "not seen hls.playlist.tokens",
        "not seen hls.playlist.type",
        "not seen hls.playlist.version",
    }


def test_lifetimes_use_the_clock_of_the_service(complete: Complete) -> None:
    """The clock of this machine is an hour late. Only the header `Date` shows it."""
    assert named(replace(complete.seen, began_at=complete.seen.began_at - 3600)) == {}


def test_times_with_other_offsets_are_compared_as_times(complete: Complete) -> None:
    def shifted(body: Any) -> Any:
        rows = [
            {**row, "created_at": datetime.fromisoformat(row["created_at"]).astimezone(timezone(hours)).isoformat()}
            for row, hours in zip(
                body["jobs"], itertools.cycle((timedelta(hours=-9), timedelta(hours=9))), strict=False
            )
        ]
        return {**body, "jobs": rows}

    assert named(bodies("GET /simulation-jobs", shifted)(complete.seen)) == {}


def test_names_of_parameters_are_no_new_routes(complete: Complete) -> None:
    routes = facts("rest", routes=["GET /recordings/{id}", "GET /worlds/{world_id}"])
    assert named(routes(complete.seen)) == {"new route GET /worlds/{world_id}": "GET /worlds/{world_id}"}


def test_check_that_fails_is_not_seen(complete: Complete, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Observations) -> Iterator[Seen]:
        raise ValueError("an odd value")

    check = replace(checks()[0], look=broken)
    monkeypatch.setattr(judgment, "checks", lambda: (check, *checks()[1:]))
    reason = f"the check of {check.statement} failed with ValueError: an odd value"
    assert named(complete.seen) == {f"not seen {check.statement}": reason}


def test_requests_have_headers_of_the_client(complete: Complete) -> None:
    sent = [
        dict(cast("list[tuple[str, str]]", cast("Any", event.data["request"])["headers"]))
        for event in complete.run.recording.events
        if event.lane == "http"
    ]
    assert {headers["user-agent"] for headers in sent} == {f"odyssey-testkit/{client_version()}"}
    assert {headers["accept"] for headers in sent} <= {"application/json", "application/sdp", "*/*", "text/html"}


ODD: tuple[JSON, ...] = (
    None,
    True,
    -1,
    10**400,
    float("inf"),
    float("nan"),
    "",
    "https://[",
    "\ud800",
    "9.9.9.9",
    [],
    [["body"], {"loc": {}}],
    {},
    {"loc": [["body"]], "status": [], "streams": {}, "recordings": [[]], "jobs": [None]},
)


@st.composite
def odd(draw: st.DrawFn, value: JSON, depth: int = 0) -> JSON:
    """Return JSON in which some value is an odd one."""
    if isinstance(value, dict) and value and depth < 4 and draw(st.booleans()):
        key = draw(st.sampled_from(sorted(value)))
        return {**value, key: draw(odd(value[key], depth + 1))}
    if isinstance(value, list) and value and depth < 4 and draw(st.booleans()):
        return [draw(odd(value[0], depth + 1)), *value[1:]]
    return draw(st.sampled_from(ODD))


@settings(max_examples=25)
@given(data=st.data())
def test_odd_values_end_in_a_report(complete: Complete, data: st.DataObject) -> None:
    routes = sorted({f"{each.method} {each.route}" for each in complete.seen.exchanges})
    kinds = sorted({each.type for each in complete.seen.messages if each.sender == "server" and each.type})
    names = [(step.name, name) for step in complete.seen.steps for name in sorted(step.facts)]
    route, kind = data.draw(st.sampled_from(routes)), data.draw(st.sampled_from(kinds))
    step, name = data.draw(st.sampled_from(names))
    seen = bodies(route, lambda body: data.draw(odd(body)))(complete.seen)
    seen = messages(kind, lambda content: data.draw(odd(content)))(seen)
    seen = facts(step, **{name: data.draw(odd(complete.seen.fact(step, name)))})(seen)
    seen = replace(seen, exchanges=[replace(each, url=data.draw(urls(each.url))) for each in seen.exchanges])
    report = report_of(seen.api_url, seen.began_at, 1.0, judge(seen))
    assert len(json.dumps(report.to_json())) > 1000
    assert "\n".join(text_report(report)).encode("utf-8", "backslashreplace")
    assert html_report(report)


def urls(url: str) -> st.SearchStrategy[str]:
    return st.sampled_from([url] * 9 + ["https://["])


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
