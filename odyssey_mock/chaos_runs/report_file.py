"""Writes the report of chaos runs to a file: HTML or JSON."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from odyssey_mock.chaos_runs.html_report import html_report
from odyssey_mock.chaos_runs.results import ChaosReport

FORMATS: Mapping[str, Callable[[ChaosReport], str]] = MappingProxyType(
    {".html": html_report, ".json": ChaosReport.to_text}
)
"""The function that formats a report, by the suffix of the file."""


class ReportFileError(ValueError):
    """The name of a report file ends with an unsupported suffix."""


def check_report_file(path: Path) -> None:
    """Check that the name of the file ends with a suffix of `FORMATS`.

    Raises:
        ReportFileError: the name has another suffix.
    """
    if path.suffix not in FORMATS:
        raise ReportFileError(f"expected a file name that ends with {' or '.join(FORMATS)}, got {str(path)!r}")


def write_report(report: ChaosReport, path: Path) -> None:
    """Write the report in the format that the suffix of the file selects. Missing directories are created.

    Raises:
        ReportFileError: the suffix is unknown.
        OSError: the file cannot be written.
    """
    check_report_file(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Messages of errors can contain lone surrogates, which UTF-8 cannot encode.
    path.write_text(FORMATS[path.suffix](report), encoding="utf-8", errors="backslashreplace")
