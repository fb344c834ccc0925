"""Entries of simulation scripts as decoded JSON, and functions that create valid and invalid ones."""

from typing import Any

type Entry = dict[str, Any]  # Any: some tests send invalid fields

START: Entry = {"timestamp_ms": 0, "start": {"prompt": "A cat"}}
INTERACT: Entry = {"timestamp_ms": 3000, "interact": {"prompt": "It looks out"}}
END: Entry = {"timestamp_ms": 9000, "end": {}}


def at(timestamp_ms: object, entry: Entry) -> Entry:
    return {**entry, "timestamp_ms": timestamp_ms}


def start(**fields: object) -> Entry:
    return {"timestamp_ms": 0, "start": {"prompt": "A cat", **fields}}
