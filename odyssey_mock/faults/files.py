"""`read_faults`, which reads faults from files, and `parse_faults`, which validates faults from other sources."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from odyssey_mock.core.data_files import DataFileError, read_data_file
from odyssey_mock.core.redaction import without_keys
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.faults.fault import Fault, FaultError


class FaultFileError(Exception):
    """A file cannot be read or has an invalid fault. The message states file and reason, without API keys."""


def read_faults(path: Path) -> Sequence[Mapping[str, JSON]]:
    """Read one fault or a list of faults from a JSON, TOML or YAML file; see `read_data_file`.

    Raises:
        FaultFileError: the file cannot be read, or a fault is invalid.
    """
    try:
        read = read_data_file(path)
    except DataFileError as error:
        raise FaultFileError(str(error)) from error
    return parse_faults(read, str(path))


def parse_faults(described: Any, source: str) -> Sequence[Mapping[str, JSON]]:  # Any: JSON
    """Validate one fault or a list of faults, and return them as a list. Messages begin with `source`.

    Raises:
        FaultFileError: a fault is invalid.
    """
    faults: list[Any] = described if isinstance(described, list) else [described]  # Any: `Fault.of` validates each
    for number, fault in enumerate(faults, 1):
        try:
            Fault.of(fault)
        except FaultError as error:
            reason = without_keys(str(error))
            raise FaultFileError(f"{source}: fault {number} of {len(faults)}: {reason}") from error
    return faults
