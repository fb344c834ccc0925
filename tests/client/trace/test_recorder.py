"""Recording of events in memory: times, spans, limits, threads."""

import gc
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client.trace import Recorder, Recording, TraceEvent


class Time:
    """A clock that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def recorder(time: Time) -> Recorder:
    return Recorder(now=time, began_at=1_000_000.0)


def only(recording: Recording) -> TraceEvent:
    (event,) = recording.events
    return event


def test_times_count_from_the_start(recorder: Recorder, time: Time) -> None:
    time.now += 1.5
    recorder.add("note", "one")
    time.now += 0.5
    recording = recorder.snapshot()

    assert only(recording).at == 1.5
    assert recording.duration == 2.0
    assert recording.began_at == 1_000_000.0


def test_events_are_ordered_by_time_across_lanes(recorder: Recorder, time: Time) -> None:
    recorder.add("log", "second", at=2.0)
    recorder.add("http", "first", at=1.0)
    recorder.add("log", "third", at=3.0)

    assert [event.name for event in recorder.snapshot().events] == ["first", "second", "third"]


def test_span_is_pending_until_its_end(recorder: Recorder, time: Time) -> None:
    span = recorder.begin("call", "interact", {"arguments": {"prompt": "Pet the cat"}})
    pending = only(recorder.snapshot())
    time.now += 2
    span.end(error="OperationTimeoutError: no answer", data={"result": None})
    ended = only(recorder.snapshot())

    assert pending.is_pending
    assert pending.data == {"arguments": {"prompt": "Pet the cat"}}
    assert (ended.at, ended.end, ended.is_pending) == (0.0, 2.0, False)
    assert (ended.error, ended.data) == ("OperationTimeoutError: no answer", {"result": None})


def test_second_end_of_a_span_has_no_effect(recorder: Recorder, time: Time) -> None:
    span = recorder.begin("call", "interact")
    span.end()
    time.now += 1
    span.end(error="late")
    span.update({"late": True})

    assert only(recorder.snapshot()) == TraceEvent(0.0, "call", "client", "interact", is_span=True, end=0.0)


def test_pending_span_shows_what_it_waits_for(recorder: Recorder) -> None:
    recorder.begin("call", "connect").update({"waiting_for": "the offer"})

    assert only(recorder.snapshot()).data == {"waiting_for": "the offer"}


def test_data_functions_are_called_by_the_snapshot(recorder: Recorder) -> None:
    values = {"value": 1}
    recorder.add("note", "deferred", lambda: dict(values), size=12)
    values["value"] = 2

    assert only(recorder.snapshot()).data == {"value": 2}


def test_clear_starts_again(recorder: Recorder, time: Time) -> None:
    span = recorder.begin("call", "of the test before")
    recorder.add("log", "before")
    time.now += 5
    recorder.clear(began_at=2_000_000.0)
    span.end()

    assert recorder.snapshot() == Recording(2_000_000.0, 0.0, ())


def test_largest_lane_loses_its_oldest_events() -> None:
    recorder = Recorder(limit_bytes=10_000)
    recorder.add("state", "session requested")
    for number in range(100):
        recorder.add("stats", f"{number:03}", {"text": "x" * 200})
    recording = recorder.snapshot()
    kept = [event.name for event in recording.events if event.lane == "stats"]

    assert recording.events[0].name == "session requested"
    assert kept == [f"{number:03}" for number in range(100 - len(kept), 100)]
    assert recording.dropped == {"stats": 100 - len(kept)}
    assert 10 < len(kept) < 50


def test_one_event_above_the_limit_is_kept() -> None:
    recorder = Recorder(limit_bytes=1000)
    recorder.add("http", "upload", {"body": "x" * 5000})

    assert only(recorder.snapshot()).name == "upload"


@given(st.lists(st.tuples(st.sampled_from(["log", "stats", "frame"]), st.integers(0, 3000)), max_size=60))
def test_recording_stays_within_its_limit(events: list[tuple[str, int]]) -> None:
    recorder = Recorder(limit_bytes=8000)
    for lane, length in events:
        recorder.add(lane, "event", image=b"x" * length)  # type: ignore[arg-type]
    recording = recorder.snapshot()

    assert sum(len(event.image or b"") for event in recording.events) <= 8000
    assert len(recording.events) + sum(recording.dropped.values()) == len(events)


def test_threads_record_at_the_same_time(recorder: Recorder) -> None:
    def record() -> None:
        for _ in range(500):
            recorder.begin("call", "one").end()

    threads = [threading.Thread(target=record) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        recorder.snapshot()
    recording = recorder.snapshot()

    assert len(recording.events) == 2000
    assert not any(event.is_pending for event in recording.events)


def test_further_events_are_merged_by_time(recorder: Recorder) -> None:
    recorder.add("http", "second", at=2.0)
    merged = recorder.snapshot().with_events([TraceEvent(1.0, "state", "server", "first")])

    assert [event.name for event in merged.events] == ["first", "second"]


def test_clients_have_different_names(recorder: Recorder) -> None:
    assert [recorder.new_actor(), recorder.new_actor()] == ["client 1", "client 2"]


def test_recording_within_a_recording_does_not_hang() -> None:
    """The garbage collector can cause a log record while the recorder is in use by the same thread."""
    seen: list[float] = []

    def now() -> float:
        if len(seen) == 2:  # in `snapshot`, which reads the clock while it holds the lock
            seen.append(0)
            used.add("log", "ERROR")
        seen.append(0)
        return 1.0

    used = Recorder(now=now)
    used.add("note", "one")
    used.snapshot()

    assert [event.name for event in used.snapshot().events] == ["one", "ERROR"]


def test_garbage_collected_during_a_snapshot(recorder: Recorder) -> None:
    """An exception would reach the caller: asyncio logs errors of forgotten tasks when they are collected."""
    collections: list[str] = []

    def collected(phase: str, _info: object) -> None:
        collections.append(phase)
        recorder.add("call", phase)
        recorder.add("log", phase)

    for _ in range(200):
        recorder.add("call", "one")
    recorder.add("note", "one")
    thresholds = gc.get_threshold()
    gc.callbacks.append(collected)
    gc.set_threshold(1, 10_000, 10_000)  # only young objects, which is fast
    try:
        read = recorder.snapshot()
        recorder.clear()
    finally:
        gc.callbacks.remove(collected)
        gc.set_threshold(*thresholds)

    assert collections
    assert sum(event.name == "one" for event in read.events) == 201


def test_clear_forgets_late_events(recorder: Recorder) -> None:
    """A client that was never disconnected would keep its last frame for the whole run."""
    recorder.add_late("key", lambda _began: [TraceEvent(0.0, "frame", "client", "last")])
    recorder.clear()

    assert recorder.snapshot().events == ()


def test_span_of_a_cleared_recording_is_forgotten(recorder: Recorder) -> None:
    span = recorder.begin("call", "connect")
    recorder.clear()
    span.end(data={"result": "x" * 1000})

    assert recorder.snapshot().events == ()
    recorder.add("note", "one")
    assert [event.name for event in recorder.snapshot().events] == ["one"]


def test_data_of_ended_spans_counts_toward_the_limit() -> None:
    recorder = Recorder(limit_bytes=3000)
    for number in range(5):
        recorder.begin("http", f"{number}").end(data={"body": "x" * 1000})
    recording = recorder.snapshot()

    assert [event.name for event in recording.events] == ["3", "4"]
    assert recording.dropped == {"http": 3}


def test_unmade_events_are_created_when_read(recorder: Recorder) -> None:
    made: list[int] = []

    def make(number: int) -> TraceEvent:
        made.append(number)
        return TraceEvent(float(number), "frame", "client", f"{number}")

    recorder.add_unmade(lambda: make(0))
    recorder.clear()
    recorder.add_unmade(lambda: make(1))
    recorder.add_unmade(lambda: None)
    first, second = recorder.snapshot(), recorder.snapshot()

    assert made == [1], "created once, and never after the recording was cleared"
    assert [event.name for event in first.events] == ["1"]
    assert second.events == first.events


def test_many_unmade_events_are_created_early(recorder: Recorder) -> None:
    made: list[int] = []
    for number in range(10):
        recorder.add_unmade(lambda number=number: made.append(number))  # type: ignore[misc]

    assert made == [0, 1], "the oldest, because each may keep a frame in memory"


def test_late_events_are_asked_for_at_each_reading(recorder: Recorder, time: Time) -> None:
    recorder.add_late("key", lambda began: [TraceEvent(time.now - began, "frame", "client", "last")])
    time.now += 1
    first = recorder.snapshot()
    time.now += 1
    second = recorder.snapshot()
    recorder.remove_late("key")
    recorder.remove_late("key")

    assert (first.events[0].at, second.events[0].at) == (1.0, 2.0)
    assert recorder.snapshot().events == ()
