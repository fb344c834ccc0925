"""Tests of the store of streams: it keeps the latest within its limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.media.timeline import Size, Timeline
from odyssey_mock.recordings import stream_records as module
from odyssey_mock.recordings.stream_records import StreamRecord, StreamStore


def record(number: int, *, image_bytes: int = 0, ended: bool = True) -> StreamRecord:
    timeline = Timeline(tag=number, size=Size(176, 320), prompt="p" * 100, image=bytes(image_bytes) or None)
    return StreamRecord(
        id=str(number),
        account_id="acct_1",
        timeline=timeline,
        prompt="",
        applied_prompt="",
        started_at=0.0,
        began=0.0,
        ended_at=1.0 if ended else None,
    )


@pytest.mark.parametrize(
    ("image_bytes", "kept"),
    [(0, ["3", "4", "5", "6", "7", "8", "9"]), (100, ["5", "6", "7", "8", "9"]), (901, ["9"]), (5000, [])],
)
def test_ended_streams_are_bounded_in_number_and_bytes(
    monkeypatch: pytest.MonkeyPatch, image_bytes: int, kept: list[str]
) -> None:
    monkeypatch.setattr(module, "RECORDS_BYTES", 1001)
    store, forgotten = StreamStore(7), list[str]()
    store.on_forgotten(forgotten.append)
    for number in range(10):
        store.remember(record(number, image_bytes=image_bytes))
    assert list(store.records) == kept
    assert forgotten == [str(number) for number in range(10) if str(number) not in kept]


def test_large_stream_replaces_several_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RECORDS_BYTES", 1001)
    store = StreamStore(7)
    for number, image_bytes in enumerate((0, 0, 850)):
        store.remember(record(number, image_bytes=image_bytes))
    assert list(store.records) == ["2"]


def test_running_streams_are_kept_above_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RECORDS_BYTES", 1000)
    store = StreamStore(7)
    for number in range(10):
        store.remember(record(number, image_bytes=5000, ended=number == 5))
    assert list(store.records) == [str(number) for number in range(10) if number != 5]


def test_each_stream_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[int | None] = []

    def memory(timeline: Timeline) -> int:
        measured.append(timeline.tag)
        return 0

    monkeypatch.setattr(module, "_memory", memory)
    store = StreamStore(limit=50)
    for number in range(200):
        store.remember(record(number))

    assert measured == [*range(200)]


streams = st.lists(st.tuples(st.integers(0, 600), st.booleans(), st.integers(0, 5)), max_size=30)


@given(streams, st.integers(1, 8))
def test_kept_streams_match_a_simple_model(given_streams: list[tuple[int, bool, int]], limit: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "RECORDS_BYTES", 1500)
        store, model = StreamStore(limit), list[StreamRecord]()
        for number, (image_bytes, has_ended, ends) in enumerate(given_streams):
            added = record(number, image_bytes=image_bytes, ended=has_ended)
            store.remember(added)
            model.append(added)
            # The rule: drop the oldest ended stream, while there are too many streams or the ended ones are too large.
            while ended := [each for each in model if each.ended_at is not None]:
                size = sum(100 + len(each.timeline.image or b"") for each in ended)
                if len(model) <= limit and size <= 1500:
                    break
                model.remove(ended[0])
            assert list(store.records.values()) == model
            running = [each for each in model if each.ended_at is None]
            for each in running[:ends]:
                each.ended_at = 2.0
                store.save(each)
            assert [*store.running.values()] == running[ends:]
            assert list(store.newest_first("acct_1")) == model[::-1]
            assert store.count_of("acct_1") == len(model)


def test_end_of_a_stream_is_reported_once() -> None:
    store, ended = StreamStore(7), list[str]()
    store.on_ended(lambda each: ended.append(each.id))
    running = record(1, ended=False)
    store.remember(running)
    store.save(running)
    assert ended == []

    running.ended_at = 1.0
    store.save(running)
    store.save(running)
    store.remember(record(2))
    assert ended == ["1", "2"]
