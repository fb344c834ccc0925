"""Tests of the state machine that recognizes when a live stream begins and ends."""

import pytest

from odyssey_mock.testing.live.stream_machine import COUNTED, TRANSITIONS, StreamSign, WatchedStream, next_state


def counted(*signs: StreamSign) -> list[bool]:
    """Return whether a stream counts after each of the signs."""
    state, found = WatchedStream.NONE, []
    for sign in signs:
        state = next_state(state, sign)
        found.append(state in COUNTED)
    return found


def test_every_state_is_reachable() -> None:
    reached = {WatchedStream.NONE} | {state for row in TRANSITIONS.values() for state in row.values()}
    assert reached == set(TRANSITIONS) == set(WatchedStream)


@pytest.mark.parametrize(
    ("signs", "expected"),
    [
        pytest.param(("asked", "started", "ended"), [True, True, False], id="a stream"),
        pytest.param(("asked", "refused"), [True, False], id="a refused start"),
        pytest.param(("asked", "started", "refused"), [True, True, True], id="a refused interaction"),
        pytest.param(("started", "asked", "ended"), [True, True, False], id="a reply before the call returned"),
        pytest.param(("asked", "disconnected", "disconnected"), [True, False, False], id="a disconnected client"),
        pytest.param(
            ("asked", "disconnected", "connected", "ended"), [True, False, True, False], id="the same session"
        ),
        pytest.param(("asked", "disconnected", "connected_anew"), [True, False, False], id="a new session"),
        pytest.param(("asked", "disconnected", "ended", "connected"), [True, False, False, False], id="a late end"),
        pytest.param(("connected", "refused", "ended", "disconnected"), [False] * 4, id="no stream"),
    ],
)
def test_streams_count_until_they_end(signs: tuple[str, ...], expected: list[bool]) -> None:
    assert counted(*map(StreamSign, signs)) == expected
