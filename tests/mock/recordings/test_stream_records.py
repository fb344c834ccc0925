"""Tests of the store of streams: it keeps the latest within its limits."""

import pytest

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
