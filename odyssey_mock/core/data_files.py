"""`read_data_file`, which reads JSON, TOML and YAML files that contain only values of JSON."""

import json
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from odyssey_mock.core.strict_json import JSON

LARGEST = 2**20
"""Maximum size of a file in bytes."""
LONGEST = 8 * LARGEST
"""Maximum length of the content as JSON text. Anchors of YAML can make it much longer than the file."""


class DataFileError(Exception):
    """A file cannot be read or has invalid content. The message states the file and the reason."""


def read_data_file(path: Path) -> JSON:
    """Read a file: JSON if its name ends in `.json`, TOML if it ends in `.toml`, otherwise YAML.

    Raises:
        DataFileError: the file cannot be read, is larger than `LARGEST`, or has invalid content.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise DataFileError(f"{path} must have at most {LARGEST} bytes, got more")
        text = content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise DataFileError(f"{path} cannot be read: {error}") from error
    return _FORMATS.get(path.suffix.lower(), _yaml)(path, text)


def _json(path: Path, text: str) -> JSON:
    try:
        return _only_json(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise DataFileError(f"expected {path} to contain JSON, got invalid JSON: {error}") from error


def _toml(path: Path, text: str) -> JSON:
    try:
        return _only_json(tomllib.loads(text))
    except (TypeError, ValueError, RecursionError) as error:
        raise DataFileError(
            f"{path} must be TOML that contains only values of JSON, such as text, numbers and lists: {error}"
        ) from error


def _yaml(path: Path, text: str) -> JSON:
    import yaml  # noqa: PLC0415 - only needed for YAML files

    try:
        return _only_json(yaml.safe_load(text))
    except (yaml.YAMLError, TypeError, ValueError, RecursionError) as error:
        raise DataFileError(
            f"{path} must be YAML that contains only values of JSON, such as text, numbers and lists: {error}"
        ) from error


_FORMATS: Mapping[str, Callable[[Path, str], JSON]] = MappingProxyType({".json": _json, ".toml": _toml})


def _only_json(read: Any) -> JSON:  # Any: parsed data, whose types are checked here
    """Return a copy of parsed data. Reject dates, sets, NaN and other values that JSON does not have.

    Raises:
        TypeError: the data contains such a value.
        ValueError: the data contains itself, NaN or infinity, or is longer than `LONGEST`.
    """
    pieces: list[str] = []
    length = 0
    for piece in json.JSONEncoder(allow_nan=False).iterencode(read):
        pieces.append(piece)
        length += len(piece)
        if length > LONGEST:
            raise ValueError(f"the content must have at most {LONGEST} characters as JSON, got more")
    copied: JSON = json.loads("".join(pieces))
    return copied
