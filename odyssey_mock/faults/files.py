"""Faults from a file, JSON or YAML."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from odyssey_mock.core.strict_json import JSON
from odyssey_mock.faults.fault import Fault, FaultError


class FaultFileError(Exception):
    """A file has no faults in it that there can be; the message says which file, where in it, and why not."""


def read_faults(path: Path) -> Sequence[Mapping[str, JSON]]:
    """Read a list of faults, or one fault; a file whose name ends in `.json` is JSON, any other YAML.

    Raises:
        FaultFileError: it cannot be read, or one of them cannot be.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FaultFileError(f"{path} cannot be read: {error}") from error
    read = _json(path, text) if path.suffix.lower() == ".json" else _yaml(path, text)
    faults = read if isinstance(read, list) else [read]
    for number, fault in enumerate(faults):
        try:
            Fault.of(fault)
        except FaultError as error:
            raise FaultFileError(f"{path}: fault {number}: {error}") from error
    return faults


def _json(path: Path, text: str) -> Any:  # Any: `Fault.of` judges it
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FaultFileError(f"{path} is not JSON: {error}") from error


def _yaml(path: Path, text: str) -> Any:  # Any: `Fault.of` judges it
    import yaml  # noqa: PLC0415 - only who has such a file needs it

    try:
        # Once through JSON: YAML knows dates, sets and more, which no fault has.
        return json.loads(json.dumps(yaml.safe_load(text), allow_nan=False))
    except (yaml.YAMLError, TypeError, ValueError, RecursionError) as error:
        raise FaultFileError(f"{path} is not YAML that could be JSON: {error}") from error
