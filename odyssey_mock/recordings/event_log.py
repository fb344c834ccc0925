"""The event log of a stream as JSON lines: `fixtures/contract/recording-event.schema.json` has one line."""

import json
from collections.abc import Iterator

from odyssey_mock.core.strict_json import JSON
from odyssey_mock.recordings.stream_records import StreamRecord


def event_log(record: StreamRecord) -> str:
    """Write what happened in a stream that has ended, a line for each event, in order.

    Prompts stand as they were applied; times are those of the frames that show the events.
    """
    # In ASCII: a prompt may have lone surrogates in it, which JSON can escape and UTF-8 cannot encode.
    return "".join(json.dumps(event) + "\n" for event in _events(record))


def _events(record: StreamRecord) -> Iterator[dict[str, JSON]]:
    timeline = record.timeline
    for change in timeline.changes:
        kind = "interact" if change.revision else "start"
        yield {"timestamp_ms": _milliseconds(record, change.index), "type": kind, "prompt": change.prompt}
    # One that failed before its end was known did so in its latest event.
    last = timeline.changes[-1].index if timeline.frames is None else timeline.frames
    if record.error is None:
        yield {"timestamp_ms": _milliseconds(record, last), "type": "end"}
    else:
        yield {"timestamp_ms": _milliseconds(record, last), "type": "error", "message": record.error}


def _milliseconds(record: StreamRecord, index: int) -> int:
    """Time of a frame, rounded down: the first frame that is not before it is again this one."""
    return index * 1000 // record.timeline.fps
