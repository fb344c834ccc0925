"""Tests of `expect`, `expect_none` and `expect_in_order`, which check the journal, and of their failure messages."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock import ExpectationError, MockOdyssey
from odyssey_mock.assertions.expectations import Step, Wanted, expect, expect_in_order, expect_none
from odyssey_mock.core.journal import Entry, Journal, Kind
from odyssey_mock.core.strict_json import JSON
from tests.support.raw import RawApi


class Time:
    """A clock whose time is set by the test."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def journal(time: Time) -> Journal:
    """Return a journal of one session.

    It contains a failed and a successful request for the session, and the end of the session when its token expired.
    """
    journal = Journal(time, limit=100)
    time.now += 0.5
    journal.record("rest", "POST /sessions/request", status=503, account="acct_a")
    time.now += 0.75
    journal.record("rest", "POST /sessions/request", status=200, account="acct_a", session="s1")
    journal.record("rest", "POST /sessions/token", status=200, session="s1")
    time.now += 600
    journal.record("deadline", "session token")
    journal.record("state", "session", {"from": "waiting", "to": "closed"}, session="s1")
    return journal


def wanted(name: str, kind: Kind | None = None, **where: JSON) -> Wanted:
    return Wanted(name, kind, where)


def message_of(call: Callable[[], object]) -> str:
    with pytest.raises(ExpectationError) as error:
        call()
    return str(error.value)


def test_first_matching_entry_is_returned(journal: Journal) -> None:
    assert expect(journal, wanted("POST /sessions/request"), count=None, since=0).index == 0
    assert expect(journal, wanted("POST /sessions/request", status=200), count=1, since=0).index == 1
    assert expect(journal, wanted("POST /sessions/request"), count=1, since=1).index == 1
    assert expect(journal, wanted("session", "state", session="s1", to="closed"), count=1, since=0).index == 4


def test_message_shows_nearest_entry_and_differences(journal: Journal) -> None:
    assert message_of(lambda: expect(journal, wanted("POST /sessions/token", status=404), count=None, since=0)) == (
        "expected POST /sessions/token with status=404, got none; "
        "the nearest entry is #2 POST /sessions/token at +1.25 s: status: expected 404, got 200"
    )
    assert message_of(lambda: expect(journal, wanted("POST /session/token"), count=None, since=0)) == (
        "expected POST /session/token, got none; the nearest entry is #2 POST /sessions/token at +1.25 s: "
        "name: expected 'POST /session/token', got 'POST /sessions/token'"
    )
    assert message_of(lambda: expect(journal, wanted("session", "deadline", to="closed"), count=None, since=0)) == (
        "expected session of kind deadline with to='closed', got none; "
        "the nearest entry is #3 session token at +601.25 s: "
        "name: expected 'session', got 'session token'; to: expected 'closed', the entry has no to"
    )
    assert message_of(lambda: expect(journal, wanted("session", "channel", to="open"), count=None, since=0)) == (
        "expected session of kind channel with to='open', got none; the nearest entry is #4 session at +601.25 s: "
        "kind: expected 'channel', got 'state'; to: expected 'open', got 'closed'"
    )


def test_more_than_two_differences_are_a_diff(journal: Journal) -> None:
    journal.record("channel", "update", {"from": "client", "channel": "events", "message": {"type": "x"}}, session="s1")
    sent: dict[str, JSON] = {"from": "server", "channel": "events", "sesion": "s1"}
    assert message_of(lambda: expect(journal, Wanted("updated", "channel", sent), count=None, since=0)).endswith(
        "the nearest entry is #5 update at +601.25 s (- expected, + got):\n"
        "  - name: 'updated'\n"
        "  + name: 'update'\n"
        "  - from: 'server'\n"
        "  + from: 'client'\n"
        "  - sesion: 's1'"
    )


def test_nested_objects_are_compared_by_key(journal: Journal) -> None:
    journal.record("channel", "update", message={"type": "x", "prompt": {"text": "A cat", "language": "en", "by": 1}})
    message: JSON = {"type": "x", "prompt": {"text": "A dog"}, "stream_id": 7}
    assert message_of(lambda: expect(journal, wanted("update", message=message), count=None, since=0)).endswith(
        "s (- expected, + got):\n"
        "  - message.prompt.text: 'A dog'\n"
        "  + message.prompt.text: 'A cat'\n"
        "  + message.prompt.language: 'en'\n"
        "  + message.prompt.by: 1\n"
        "  - message.stream_id: 7"
    )
    known: JSON = {"type": "x", "prompt": {"text": "A cat", "by": 1}}
    assert message_of(lambda: expect(journal, wanted("update", message=known), count=None, since=0)).endswith(
        "message.prompt.language: expected no value, got 'en'"
    )


def test_many_differences_are_counted(journal: Journal) -> None:
    fields: dict[str, JSON] = {f"field_{number}": number for number in range(11)}
    journal.record("note", "many", dict.fromkeys(fields, "x"))
    message = message_of(lambda: expect(journal, Wanted("many", None, fields), count=None, since=0))
    assert message.endswith("  - field_7: 7\n  + field_7: 'x'\n  and 3 more differences")


def test_late_difference_of_long_values_is_visible(journal: Journal) -> None:
    text = "a long prompt " * 20
    journal.record("note", "long", text=f"{text}in the snow")
    message = message_of(lambda: expect(journal, wanted("long", text=f"{text}in the sun"), count=None, since=0))
    assert message.endswith("text: expected ...long prompt in the sun', got ...long prompt in the snow'")


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        (Wanted("GET /regions", None, {"status": 200}), "status: expected 200, got None"),
        (Wanted("GET /regions", None, {"session": "s1"}), "session: expected 's1', got None"),
        (Wanted("GET /regions", None, {"sesion": "s1"}), "sesion: expected 's1', the entry has no sesion"),
    ],
)
def test_null_and_missing_values_are_distinguished(journal: Journal, missing: Wanted, told: str) -> None:
    journal.record("rest", "GET /regions", status=None)
    message = message_of(lambda: expect(journal, missing, count=None, since=0))
    assert message.endswith(told)


def test_long_values_are_shortened(journal: Journal) -> None:
    journal.record("signaling", "offer", message={"sdp": "v=0 " * 1000})
    message = message_of(lambda: expect(journal, wanted("offer", message="x" * 1000), count=None, since=0))
    assert len(message) < 700
    assert "got {'sdp': 'v=0 v=0" in message


def test_count_must_match_exactly(journal: Journal, time: Time) -> None:
    assert message_of(lambda: expect(journal, wanted("POST /sessions/request"), count=1, since=0)) == (
        "expected POST /sessions/request once, got it 2 times: "
        "#0 POST /sessions/request at +0.50 s, #1 POST /sessions/request at +1.25 s"
    )
    few = message_of(lambda: expect(journal, wanted("POST /sessions/request", status=503), count=3, since=0))
    assert few == (
        "expected POST /sessions/request with status=503 3 times, got it once: #0 POST /sessions/request at +0.50 s; "
        "the nearest entry is #1 POST /sessions/request at +1.25 s: status: expected 503, got 200"
    )
    for _ in range(6):
        journal.record("note", "again")
    assert message_of(lambda: expect(journal, wanted("again"), count=2, since=0)).endswith("s and 1 more")


@pytest.mark.parametrize("count", [0, -1])
def test_count_below_one_is_rejected(journal: Journal, count: int) -> None:
    with pytest.raises(ValueError, match=r"count must be 1 or more, got .*; use expect_none\(\)"):
        expect(journal, wanted("again"), count=count, since=0)


def test_message_states_that_journal_is_empty() -> None:
    journal = Journal(Time(), limit=10)
    assert message_of(lambda: expect(journal, wanted("offer"), count=None, since=0)) == (
        "expected offer, got none; the journal has no other entry"
    )
    assert message_of(lambda: expect(journal, wanted("offer"), count=None, since=7)) == (
        "expected offer, got none; the journal has no other entry from index 7 on"
    )


def test_unexpected_entry_is_shown(journal: Journal) -> None:
    expect_none(journal, wanted("POST /sessions/request", status=429), since=0)
    expect_none(journal, wanted("POST /sessions/request", status=503), since=1)
    assert message_of(lambda: expect_none(journal, wanted("POST /sessions/request", status=503), since=0)) == (
        "expected no POST /sessions/request with status=503, got it once; "
        'the first is #0 POST /sessions/request at +0.50 s: {"status":503}'
    )
    journal.record("note", "long", text="x" * 500)
    assert message_of(lambda: expect_none(journal, wanted("long"), since=0)).endswith("x...")


def test_steps_match_with_other_entries_between(journal: Journal) -> None:
    steps: list[Step] = [
        "POST /sessions/request",
        ("POST /sessions/request", {"status": 200}),
        ("session token", {"kind": "deadline"}),
        ("session", {"kind": "state", "to": "closed"}),
    ]
    assert [entry.index for entry in expect_in_order(journal, steps, since=0)] == [0, 1, 3, 4]
    assert expect_in_order(journal, [], since=0) == []


def test_message_shows_a_step_that_occurred_too_early(journal: Journal) -> None:
    backwards: list[Step] = ["session token", "POST /sessions/token"]
    assert message_of(lambda: expect_in_order(journal, backwards, since=0)) == (
        "step 2 of 2: expected POST /sessions/token after #3 session token at +601.25 s, got none; "
        "an earlier match is #2 POST /sessions/token at +1.25 s; "
        "the nearest entry is #4 session at +601.25 s: name: expected 'POST /sessions/token', got 'session'"
    )


def test_one_entry_does_not_match_two_steps(journal: Journal) -> None:
    message = message_of(lambda: expect_in_order(journal, ["session token", "session token"], since=0))
    assert message.startswith(
        "step 2 of 2: expected session token after #3 session token at +601.25 s, got none; the nearest entry is #4"
    )


names = st.sampled_from(["offer", "answer", "error"])


@given(st.lists(names, max_size=12), st.lists(names, max_size=5), st.integers(0, 5))
def test_order_matches_if_steps_are_a_subsequence(got: list[str], steps: list[str], since: int) -> None:
    journal = Journal(Time(), limit=100)
    for name in got:
        journal.record("signaling", name)
    rest = iter(got[since:])
    if all(step in rest for step in steps):
        found: list[Entry] = expect_in_order(journal, steps, since=since)
        assert [entry.name for entry in found] == steps
        assert [entry.index for entry in found] == sorted({entry.index for entry in found})
    else:
        message_of(lambda: expect_in_order(journal, steps, since=since))


@pytest.mark.odyssey(clock="manual")
async def test_expectations_work_on_a_running_mock(odyssey_mock: MockOdyssey) -> None:
    async with RawApi(odyssey_mock) as api:
        session = await api.request_session()
        await odyssey_mock.advance(900)
        await api.http.post("/sessions/token", json={"session_id": session["session_id"]})
    closed = odyssey_mock.expect("session", kind="state", to="closed", session=session["session_id"])
    odyssey_mock.expect("POST /sessions/token", status=404, count=1, since=closed.index)
    odyssey_mock.expect_none("POST /sessions/token", status=200)
    odyssey_mock.expect_in_order(
        ["POST /auth/token", ("dangling session", {"kind": "deadline"}), ("POST /sessions/token", {"status": 404})]
    )
    with pytest.raises(
        ExpectationError,
        match=r"^expected POST /sessions/token with status=200, got none; the nearest entry is #\d+ POST",
    ):
        odyssey_mock.expect("POST /sessions/token", status=200)
    with pytest.raises(ExpectationError, match=r"^expected no POST /sessions/token, got it once"):
        odyssey_mock.expect_none("POST /sessions/token")
    with pytest.raises(ExpectationError, match=r"^step 1 of 1: expected POST /sessions/request, got none; the nearest"):
        odyssey_mock.expect_in_order(["POST /sessions/request"], since=closed.index)
