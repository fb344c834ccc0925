"""`read_faults`, which reads faults from JSON and YAML files."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from odyssey_mock.core.strict_json import JSON
from odyssey_mock.faults.fault import Fault, FaultError


class FaultFileError(Exception):
    """A file cannot be read or contains an invalid fault. The message states the file and the reason."""


def read_faults(path: Path) -> Sequence[Mapping[str, JSON]]:
    """Read one fault or a list of faults; the file is JSON if its name ends in `.json`, otherwise YAML.

    Raises:
        FaultFileError: the file cannot be read, or a fault is invalid.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FaultFileError(f"{path} cannot be read: {error}") from error
    read = _json(path, text) if path.suffix.lower() == ".json" else _yaml(path, text)
    faults = read if isinstance(read, list) else [read]
    for number, fault in enumerate(faults, 1):
        try:
            Fault.of(fault)
        except FaultError as error:
            raise FaultFileError(f"{path}: fault {number} of {len(faults)}: {error}") from error
    return faults


def _json(path: Path, text: str) -> Any:  # Any: `Fault.of` validates it
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FaultFileError(f"expected {path} to contain JSON, got invalid JSON: {error}") from error


def _yaml(path: Path, text: str) -> Any:  # Any: `Fault.of` validates it
    import yaml  # noqa: PLC0415 - only needed for YAML files

    try:
        # Converting to JSON rejects dates, sets and other YAML types that a fault cannot have.
        return json.loads(json.dumps(yaml.safe_load(text), allow_nan=False))
    except (yaml.YAMLError, TypeError, ValueError, RecursionError) as error:
        raise FaultFileError(
            f"{path} must be YAML that contains only values of JSON, such as text, numbers and lists: {error}"
        ) from error
