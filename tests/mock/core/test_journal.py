"""Tests of the journal: entries in order and without secrets, and the messages of timeouts."""

import asyncio
import json
import pickle
import sys
import weakref
from collections.abc import Mapping
from dataclasses import FrozenInstanceError
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.core.journal import Entry, Journal, JournalTimeoutError, masked_text
from odyssey_mock.core.redaction import REDACTED, is_secret_name
from odyssey_mock.core.strict_json import JSON
from tests.support.work_counts import instructions_of

SECRET_NAMES = (
    "access_token",
    "api_key",
    "authorization",
    "credential",
    "password",
    "session_token",
    "Set-Cookie",
    "sig",
    "signature",
    "spectator_token",
    "token",
    "X-Amz-Signature",
)


def journal(limit: int = 100) -> Journal:
    ticks = count()
    return Journal(lambda: float(next(ticks)), limit)


# Includes lone surrogates and NaN: clients can send them as JSON escapes or with a lax JSON encoder.
text = st.text(st.characters(categories=["L", "N", "P", "S", "Z", "Cs"]), max_size=8)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | text
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3), max_leaves=8
)
clean_text = st.text(max_size=8)
clean_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | clean_text,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(clean_text.filter(lambda key: not is_secret_name(key)), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(clean_values)
def test_entry_returns_the_recorded_data(value: JSON) -> None:
    assert journal().record("note", "name", {"value": value}).data == {"value": value}


@given(values)
def test_any_client_data_can_be_recorded_and_exported(value: JSON) -> None:
    written = journal()
    written.record("signaling", str(value), {"from": "client", "message": value})
    (line,) = written.to_jsonl().encode().splitlines()
    assert json.loads(line)["data"]["from"] == "client"


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("http://a/b?expires=9&signature=abc", "http://a/b?expires=9&signature=***"),
        ("https://a/b?X-Amz-Date=9&X-Amz-Signature=abc", "https://a/b?X-Amz-Date=9&X-Amz-Signature=***"),
        ("http://anna:secret@a/b?c=d", "http://***@a/b?c=d"),
        ("http://a/b@c?d=e@f", "http://a/b@c?d=e@f"),
        ("HTTPS://a/b?Signature=abc&expires=9#c", "HTTPS://a/b?Signature=***&expires=9#c"),
        ("ws://a/b?token=abc&token=def", "ws://a/b?token=***&token=***"),
        ("http://a/b?notoken=abc", "http://a/b?notoken=abc"),
        ("no URL at all?token=abc", "no URL at all?token=abc"),
        ("see https://a/b?sig=abc#access_token=d, or c", "see https://a/b?sig=***#access_token=*** or c"),
    ],
)
def test_secrets_in_urls_are_masked(url: str, kept: str) -> None:
    assert journal().record("note", "name", {"urls": [url]}).data == {"urls": [kept]}


def test_too_deeply_nested_data_is_omitted() -> None:
    value: JSON = []
    for _ in range(5000):
        value = [value]
    assert journal().record("note", "deep", {"value": value}).data == {"omitted": "nested too deeply"}


def test_huge_data_is_replaced_with_its_length() -> None:
    long = "y" * 2**20
    entry = journal().record("signaling", "x" * 100_000, {"from": "client", "message": long}, account="acct_1", why="?")
    assert entry.data == {"from": "client", "message": {"omitted": "1048578 characters of JSON"}, "why": "?"}
    assert len(entry.name) == 200
    many = {f"key {number}": "y" * 900 for number in range(1200)}
    assert journal().record("note", "many", many, account="acct_1").data == {"omitted": "1095691 characters of JSON"}
    fits = "y" * (2**20 - 14)
    assert journal().record("note", "large", {"message": fits}, account="acct_1").data == {"message": fits}


def test_entry_without_an_account_keeps_less_data() -> None:
    written = journal()
    kept = {"request": "y" * 60_000}
    assert written.record("rest", "POST /auth/token", kept).data == kept
    longer = written.record("rest", "POST /auth/token", {"request": "y" * 70_000}, status=422)
    assert longer.data == {"request": {"omitted": "70002 characters of JSON"}, "status": 422}
    assert len(written.record("rest", "POST /x", {"request": "y" * 70_000}, account="acct_1").data["request"]) == 70_000


def test_data_that_is_not_json_raises_type_error() -> None:
    with pytest.raises(TypeError):
        journal().record("note", "set", {"value": {1, 2}})  # type: ignore[dict-item]


@given(
    st.sampled_from(SECRET_NAMES).flatmap(lambda key: st.sampled_from([key, key.upper(), key.title()])),
    st.recursive(
        st.just(...), lambda inner: st.lists(inner, min_size=1, max_size=2) | st.fixed_dictionaries({"x": inner})
    ),
)
def test_secrets_are_masked_at_any_depth(key: str, place: object) -> None:
    def put(where: object) -> Any:
        match where:
            case list():
                return [put(each) for each in where]
            case dict():
                return {name: put(each) for name, each in where.items()}
            case _:
                return {key: "ody_top_secret"}

    written = journal()
    written.record("rest", "POST /auth/token", {"request": put(place)})
    assert "ody_top_secret" not in written.to_jsonl()
    assert REDACTED in written.to_jsonl()


def test_each_secret_of_a_list_is_masked() -> None:
    query = journal().record("rest", "GET /", {"query": {"signature": ["abc", "def"]}})
    assert query.data == {"query": {"signature": [REDACTED, REDACTED]}}


def test_secret_that_is_not_a_string_is_kept() -> None:
    assert journal().record("rest", "x", {"request": {"api_key": 7}}).data == {"request": {"api_key": 7}}


def test_entries_are_immutable_copies() -> None:
    message: dict[str, JSON] = {"type": "update"}
    entry = journal().record("channel", "update", {"message": message})
    message["type"] = "other"
    entry.data["message"]["type"] = "other"
    assert entry.data == {"message": {"type": "update"}}
    with pytest.raises(FrozenInstanceError):
        entry.name = "other"  # type: ignore[misc]


@given(st.integers(1, 5), st.integers(0, 12))
def test_latest_entries_are_kept_and_indexes_continue(limit: int, recorded: int) -> None:
    written = journal(limit)
    for number in range(recorded):
        written.record("note", str(number))
    kept = range(max(0, recorded - limit), recorded)
    assert [(entry.index, entry.name) for entry in written.entries] == [(number, str(number)) for number in kept]
    written.clear()
    assert written.entries == ()
    assert written.record("note", "next").index == recorded


@given(st.lists(st.text(max_size=2000), max_size=12))
def test_entries_are_bounded_in_bytes(texts: list[str]) -> None:
    written = Journal(lambda: 0.0, 100, 5000)
    for each in texts:
        written.record("note", "text", {"text": each})
    kept = written.entries
    assert [entry.data["text"] for entry in kept] == texts[written.dropped :]
    sizes = [sys.getsizeof(entry.encoded) + 300 for entry in kept]
    assert sum(sizes) <= 5000 or len(kept) == 1
    if written.dropped:
        before = journal().record("note", "text", {"text": texts[written.dropped - 1]})
        assert sum(sizes) + sys.getsizeof(before.encoded) + 300 > 5000, (
            f"expected only entries that exceed 5000 bytes to be dropped, got {sizes} kept"
        )


async def test_dropped_entries_are_counted_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "odyssey_mock")
    written = journal(limit=2)
    for number in range(5):
        written.record("note", str(number))
    assert written.dropped == 3
    (line,) = caplog.messages
    assert line.startswith("the journal: the oldest entries are dropped from now on, because there are more than 2 ")
    with pytest.raises(JournalTimeoutError, match=r"\n3 older entries were dropped \(journal_limit, journal_bytes\)"):
        await written.wait_for("note", "0", timeout=0.001)
    written.clear()
    assert written.dropped == 0


def test_entries_are_found_by_kind_name_and_values() -> None:
    written = journal()
    offer = written.record("signaling", "offer", {"from": "server"}, session="a", account="acct")
    other = written.record("signaling", "offer", {"from": "server"}, session="b")
    answer = written.record("signaling", "answer", {"from": "client"}, session="a")
    state = written.record("state", "session", {"from": "waiting", "to": "signaling"}, session="a")
    assert written.find() == [offer, other, answer, state]
    assert written.find("signaling", "offer") == [offer, other]
    assert written.find(session="a", since=1) == [answer, state]
    assert written.find("state", to="signaling") == [state]
    assert written.find("state", to="closed") == []
    assert written.find(account="acct") == [offer]


async def test_wait_for_returns_an_existing_entry() -> None:
    written = journal()
    first = written.record("note", "x", n=1)
    second = written.record("note", "x", n=2)
    assert await written.wait_for("note", "x", 0) == first
    assert await written.wait_for("note", "x", 0, n=2) == second
    assert await written.wait_for("note", "x", 0, since=first.index + 1) == second


async def test_wait_for_waits_for_later_entries() -> None:
    written = journal()
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(written.wait_for("state", "stream", to=to)) for to in ("running", "idle", "idle")]
        asyncio.get_running_loop().call_soon(lambda: written.record("state", "stream", to="running"))
        asyncio.get_running_loop().call_soon(lambda: written.record("state", "stream", to="idle"))
    assert [task.result().index for task in waiting] == [0, 1, 1]


async def test_timeout_shows_nearest_entry_and_differences() -> None:
    written = journal()
    written.record("signaling", "offer", {"from": "server"}, session="a")
    written.record("channel", "update_acknowledged", {"from": "server"}, session="a")
    written.record("channel", "stream_started", {"from": "server"}, session="a")
    with pytest.raises(JournalTimeoutError) as error:
        await written.wait_for("channel", "update_acknowledge", 0.001, session="b")
    assert str(error.value) == (
        "expected a journal entry channel 'update_acknowledge' session='b', got none within 0.001 s\n"
        'most similar: #1 channel \'update_acknowledged\' session=a {"from":"server"}\n'
        "  name: expected 'update_acknowledge', got 'update_acknowledged'\n"
        "  session: expected 'b', got 'a'\n"
        'latest: #2 channel \'stream_started\' session=a {"from":"server"}'
    )


async def test_nearest_entry_can_have_another_kind() -> None:
    written = journal()
    written.record("note", "x")
    with pytest.raises(JournalTimeoutError, match="kind: expected 'peer', got 'note'"):
        await written.wait_for("peer", "x", 0.001)


async def test_timeout_message_states_that_journal_is_empty() -> None:
    with pytest.raises(JournalTimeoutError, match="the journal is empty"):
        await journal().wait_for("note", "x", 0.001)
    written = journal()
    written.record("note", "x")
    with pytest.raises(JournalTimeoutError, match="the journal has no entry from index 1 on"):
        await written.wait_for("note", "x", 0.001, since=1)


async def test_cancelled_wait_leaves_no_waiter() -> None:
    written = journal()
    waiting = asyncio.create_task(written.wait_for("note", "x"))
    asyncio.get_running_loop().call_soon(waiting.cancel)
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert written._waiters == []


def test_observers_see_later_entries_in_order() -> None:
    written = journal(limit=2)
    written.record("note", "before")
    seen: list[str] = []
    written.observe(lambda entry: seen.append(f"first {entry.name}"))
    written.observe(lambda entry: seen.append(f"second {entry.name}"))
    for name in ("a", "b", "c"):
        written.record("note", name)
    assert seen == ["first a", "second a", "first b", "second b", "first c", "second c"]


def observed_by_failing_observer() -> tuple[Journal, list[str]]:
    """Return a journal with two entries, and the calls of its two observers, the first of which raises an error."""
    written = journal()
    seen: list[str] = []

    def fail(entry: Entry) -> None:
        seen.append(f"failing {entry.name}")
        raise BrokenPipeError(32, "Broken pipe")

    written.observe(fail)
    written.observe(lambda entry: seen.append(entry.name))
    written.record("note", "a")
    written.record("note", "b")
    return written, seen


OBSERVER_FAILED = "an observer of the journal failed at entry 0; it is not called again"


def test_failing_observer_is_logged_and_not_called_again(caplog: pytest.LogCaptureFixture) -> None:
    written, seen = observed_by_failing_observer()
    assert seen == ["failing a", "a", "b"]
    assert [entry.name for entry in written.entries] == ["a", "b"]
    assert [each.message for each in caplog.records] == [OBSERVER_FAILED]


async def test_failing_observer_is_reported_to_the_event_loop() -> None:
    reports: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reports.append(context))
    _, seen = observed_by_failing_observer()
    assert seen == ["failing a", "a", "b"]
    assert [each["message"] for each in reports] == [OBSERVER_FAILED]
    assert isinstance(reports[0]["exception"], BrokenPipeError)


def test_api_keys_are_masked_anywhere_in_an_entry() -> None:
    written = journal()
    entry = written.record("note", "odd ody_hush", {"ody_hush": ["use ody_hush-1, melody_maker"]}, why="got ody_hush")
    assert (entry.name, entry.data, entry.why) == (
        "odd ody_...",
        {"ody_...": ["use ody_..., melody_maker"], "why": "got ody_..."},
        "got ody_...",
    )


async def test_reach_returns_once_the_entry_is_written() -> None:
    written = journal(limit=1)
    async with asyncio.TaskGroup() as tasks:
        reaching = tasks.create_task(written.reach(2))
        for _ in range(2):
            written.record("note", "x")
            for _ in range(3):
                await asyncio.sleep(0)  # noqa: TID251 - lets the other task run
            assert not reaching.done()
        written.record("note", "x")
    await written.reach(2)
    await written.reach(0)  # entry 0 was written, but the journal keeps only the latest
    written.clear()
    await written.reach(2)


async def test_cancelled_reach_leaves_no_waiter() -> None:
    written = journal()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await written.reach(0)
    assert not written._waiters


def test_text_has_one_line_for_each_entry() -> None:
    written = Journal(lambda: 7.25, 100)
    written.began_at = 5.0
    session = "1c6efce0-0000"
    written.record("rest", "POST /auth/token", status=200)
    written.record("rest", "GET /slow", status=None, why="the client left")
    written.record("signaling", "offer", {"from": "server"}, session=session)
    written.record("state", "session", {"from": "waiting", "to": "closed"}, session=session, why="it was unused")
    written.record("state", "socket", to="open")
    written.record("fault", "stream.start", do="error")
    assert written.to_text().splitlines() == [
        "     +2.25 s  -         rest       POST /auth/token 200",
        "     +2.25 s  -         rest       GET /slow (no response)                       the client left",
        "     +2.25 s  1c6efce0  signaling  offer from server",
        "     +2.25 s  1c6efce0  state      session waiting -> closed                     it was unused",
        "     +2.25 s  -         state      socket open",
        "     +2.25 s  -         fault      stream.start error",
    ]


@given(text, text)
def test_text_of_clients_adds_no_lines(name: str, why: str) -> None:
    written = journal()
    written.record("signaling", name, {"from": "client"}, why=why)
    assert len(written.to_text().splitlines()) == 1
    assert written.to_text()[:-1].isprintable()


def test_earlier_entries_are_not_looked_at() -> None:
    written = Journal(lambda: 0.0, limit=10_000)
    for number in range(1000):
        written.record("note", f"{number}")

    assert [entry.name for entry in written.since(997)] == ["997", "998", "999"]
    assert [entry.name for entry in written.find("note", since=998)] == ["998", "999"]
    assert len(written.since(0)) == 1000
    assert instructions_of(lambda: written.find("note", since=998)) < 300


def described_later(written: Journal, value: JSON, **places: str) -> tuple[Entry, list[str]]:
    """Record data that is encoded later; return the entry, and a list that shows each call for the data."""
    calls: list[str] = []

    def describe() -> Mapping[str, JSON]:
        calls.append("described")
        return {"value": value}

    return written.record_later("rest", "GET /regions", describe, 10, **places), calls


def test_later_data_is_encoded_once() -> None:
    entry, calls = described_later(journal(), 1)
    memory = entry.memory
    assert calls == [], "expected no data to be encoded before it is read"
    assert (entry.encoded, entry.data, str(entry)) == (
        '{"value":1}',
        {"value": 1},
        "#0 rest 'GET /regions' {\"value\":1}",
    )
    assert calls == ["described"]
    assert entry.memory == memory, "expected the same memory as before, which the journal subtracts"


def test_later_data_equals_the_same_text() -> None:
    later, _ = described_later(journal(), "x", account="acct_1")
    text = journal().record("rest", "GET /regions", {"value": "x"}, account="acct_1")
    other, _ = described_later(journal(), "y", account="acct_1")
    assert (later == text, later == other, hash(later) == hash(text)) == (True, False, True)
    assert pickle.loads(pickle.dumps(later)) == later
    assert repr(later) == repr(text)


@given(values)
def test_later_data_is_that_of_record(value: JSON) -> None:
    later, _ = described_later(journal(), value)
    assert later.encoded == journal().record("rest", "GET /regions", {"value": value}).encoded


@given(values)
def test_encoded_values_make_the_entry_of_record(value: JSON) -> None:
    written = journal()
    text = masked_text(value, written.secrets)
    written.record_text("telemetry", "x", {"event": text})
    assert written.entries[0].encoded == journal().record("telemetry", "x", {"event": value}).encoded


WEB_TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzb21lb25lIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("data", "masked"),
    [
        ({WEB_TOKEN: 1}, {"***": 1}),
        ({"text": f"uses {WEB_TOKEN}"}, {"text": "uses ***"}),
        ({"text": f"uses\n{WEB_TOKEN}"}, {"text": "uses\n***"}),
        ({"text": "melodeyJazz"}, {"text": "melodeyJazz"}),
    ],
)
def test_web_tokens_of_others_are_masked(data: Mapping[str, JSON], masked: Mapping[str, JSON]) -> None:
    written = journal()
    assert written.record("note", "x", data).data == masked
    assert json.loads(masked_text(data, written.secrets)) == masked


def test_secret_with_two_levels_of_escapes_is_masked() -> None:
    written = journal()
    written.secrets.add("Hx7Qpf2LmZ9sWk4T")
    text = "".join(rf"\\u{ord(each):04x}" for each in "Hx7Qpf2LmZ9sWk4T")
    assert written.record("note", "x", {"text": text}).data == {"text": "***"}
    assert json.loads(masked_text({"text": text}, written.secrets)) == {"text": "***"}


def test_encoded_values_are_bounded_and_masked() -> None:
    written = journal()
    written.secrets.add("Hx7Qpf2LmZ9sWk4T")
    masked = masked_text({"text": "uses Hx7Qpf2LmZ9sWk4T", "password": "x", "ody_hush": 1}, written.secrets)
    assert json.loads(masked) == {"text": "uses ***", "password": "***", "ody_...": 1}
    long = masked_text("y" * 70_000, written.secrets)
    assert written.record_text("telemetry", "x", {"event": long, "n": "1"}).data == {
        "event": {"omitted": "70002 characters of JSON"},
        "n": 1,
    }
    assert len(written.record_text("telemetry", "x", {"event": long}, account="acct_1").data["event"]) == 70_000


def test_later_data_masks_secrets_that_were_forgotten() -> None:
    written = journal()
    secret = f"{0:032x}".replace("0", "q")
    written.secrets.add(secret)
    entry, _ = described_later(written, secret)
    for number in range(1100):
        written.secrets.add(f"secret-{number:08d}-{number * 7919:08d}")
    assert not written.secrets.are_in(secret), "expected the secret to be forgotten"
    assert entry.data == {"value": REDACTED}


def test_entries_with_forgotten_secrets_are_encoded_gradually() -> None:
    written = journal()
    before = [described_later(written, number)[1] for number in range(10)]
    for number in range(1100):
        written.secrets.add(f"secret-{number:08d}-{number * 7919:08d}")
    encoded = []
    for _ in range(4):
        after = described_later(written, "later")[1]
        encoded.append((sum(map(len, before)), len(after)))
    assert encoded == [(4, 0), (8, 0), (10, 0), (10, 0)]
    assert len(written.entries) == 14


def test_encoded_entries_free_forgotten_secrets() -> None:
    written = journal()
    for number in range(2):
        described_later(written, number)
    forgotten = weakref.ref(written.secrets.kept)
    for number in range(1100):
        written.secrets.add(f"secret-{number:08d}-{number * 7919:08d}")
    described_later(written, "later")  # the two are encoded with it
    assert forgotten() is None


def test_later_entry_costs_little_until_it_is_read() -> None:
    written = journal()
    written.secrets.add("secret-00000001-12345678")
    value = {"regions": [{"id": f"region-{number}", "ping_url": "http://a/b"} for number in range(10)]}
    at_once = instructions_of(lambda: written.record("rest", "GET /regions", {"value": value}))
    later = instructions_of(lambda: described_later(written, value))
    assert later < at_once / 5, f"expected much less work than {at_once} instructions, got {later}"
