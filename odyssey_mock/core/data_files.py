"""`read_data_file`, which reads JSON, TOML and YAML files that contain only values of JSON."""

import json
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, override

from odyssey_mock.core.redaction import without_keys
from odyssey_mock.core.strict_json import JSON, unique_names

LARGEST = 2**20
"""Maximum size of a file in bytes."""
LONGEST = 8 * LARGEST
"""Maximum length of the content as JSON text. Anchors of YAML can make it much longer than the file."""
DEEPEST = 100
"""Maximum number of nested brackets in YAML. The time to read brackets grows with the square of their depth."""
MOST_MERGED = 100_000
"""Maximum number of names that the merge keys (`<<`) of YAML may insert. Merges of merges can multiply them."""


class DataFileError(Exception):
    """A file cannot be read or has invalid content. The message states the file and the reason, without API keys."""


def read_data_file(path: Path) -> JSON:
    """Read a file: JSON if its name ends in `.json`, TOML if it ends in `.toml`, otherwise YAML.

    The file is UTF-8, with or without a byte order mark.

    Raises:
        DataFileError: the file cannot be read, is larger than `LARGEST`, or has invalid content, such as an object that
            has a name twice.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise DataFileError(f"{path} must have at most {LARGEST} bytes, got more")
        text = content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataFileError(f"{path} cannot be read: {error}") from error
    return _FORMATS.get(path.suffix.lower(), _yaml)(path, text)


def _json(path: Path, text: str) -> JSON:
    try:
        return _only_json(json.loads(text, object_pairs_hook=unique_names))
    except (ValueError, RecursionError) as error:
        raise DataFileError(f"expected {path} to contain JSON, got invalid JSON: {without_keys(str(error))}") from error


def _toml(path: Path, text: str) -> JSON:
    try:
        return _only_json(tomllib.loads(text))
    except (TypeError, ValueError, RecursionError) as error:
        raise DataFileError(
            f"{path} must be TOML that contains only values of JSON, such as text, numbers and lists: "
            f"{without_keys(str(error))}"
        ) from error


def _yaml(path: Path, text: str) -> JSON:
    import yaml  # noqa: PLC0415 - only needed for YAML files

    class Loader(yaml.SafeLoader):
        merged = 0
        """The number of names in all mappings that were merged into others."""
        depth = 0
        """How many mappings are being merged, one into the other."""

        @override
        def fetch_flow_collection_start(self, TokenClass: Any) -> None:  # Any: as in the base class
            if self.flow_level >= DEEPEST:
                problem = f"expected at most {DEEPEST} nested brackets, got more"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=self.get_mark())
            super().fetch_flow_collection_start(TokenClass)

        @override
        def flatten_mapping(self, node: yaml.MappingNode) -> None:
            self.depth += 1
            super().flatten_mapping(node)
            self.depth -= 1
            if not self.depth:
                return
            self.merged += len(node.value)  # before the names are inserted into the other mapping
            if self.merged > MOST_MERGED:
                problem = f"expected merge keys that insert at most {MOST_MERGED} names, got more"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)

        @override
        def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # Any: as in the base class
            try:
                return super().construct_object(node, deep=deep)
            except (AttributeError, LookupError) as error:
                # A constructor of PyYAML does not check its text: `!!bool x`, for example, raises KeyError.
                kind = node.tag.rpartition(":")[2]
                problem = f"expected a value of the type !!{kind}, got another value"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from error

        @override
        def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:  # Any: an anchor or None
            # Here, because the constructor sees a mapping only after its merge keys (`<<`) were replaced.
            node = super().compose_mapping_node(anchor)
            seen: set[tuple[str, str]] = set()
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode):
                    if (key.tag, key.value) in seen:
                        problem = f"an object must have each name once, got {key.value!r} twice"
                        raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
                    seen.add((key.tag, key.value))
            return node

    try:
        return _only_json(yaml.load(text, Loader))  # noqa: S506 - a safe loader
    except (yaml.YAMLError, TypeError, ValueError, RecursionError) as error:
        reason = str(error)
        if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
            # Not the whole error, which quotes lines of the file.
            place = error.problem_mark
            reason = f"{error.problem} (line {place.line + 1}, column {place.column + 1})"
        raise DataFileError(
            f"{path} must be YAML that contains only values of JSON, such as text, numbers and lists: "
            f"{without_keys(reason)}"
        ) from error


_FORMATS: Mapping[str, Callable[[Path, str], JSON]] = MappingProxyType({".json": _json, ".toml": _toml})


def _only_json(read: Any) -> JSON:  # Any: parsed data, whose types are checked here
    """Return a copy of parsed data. Reject dates, sets, NaN and other values that JSON does not have.

    Raises:
        TypeError: the data contains such a value.
        ValueError: the data contains itself, NaN or infinity, is longer than `LONGEST`, or has an object whose names
            are equal as text, such as 1 and "1".
    """
    pieces: list[str] = []
    length = 0
    for piece in json.JSONEncoder(allow_nan=False).iterencode(read):
        pieces.append(piece)
        length += len(piece)
        if length > LONGEST:
            raise ValueError(f"the content must have at most {LONGEST} characters as JSON, got more")
    copied: JSON = json.loads("".join(pieces), object_pairs_hook=unique_names)
    return copied
