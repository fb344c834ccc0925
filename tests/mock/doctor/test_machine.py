"""Tests of the checks of clock, disk and file descriptors."""

import resource
from datetime import UTC, datetime
from pathlib import Path

import pytest

from odyssey_mock.doctor.machine import check_clock, check_descriptors, check_disk

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC).timestamp()


def test_plausible_clock_is_ok() -> None:
    finding = check_clock(NOW, resolution=1e-9, delay=lambda: 0.001)
    assert (finding.status, finding.found) == (
        "ok",
        "2026-05-01 12:00:00+00:00, resolution 1e-06 ms, timers 1.0 ms late",
    )


def test_clock_in_the_past_is_an_error() -> None:
    finding = check_clock(0.0)
    assert (finding.status, finding.found) == ("error", "the time is 1970-01-01 00:00:00+00:00")
    assert finding.advice.startswith("Set the clock")


@pytest.mark.parametrize(("resolution", "delay"), [(0.016, 0.0), (1e-9, 0.2)])
def test_imprecise_times_are_a_warning(resolution: float, delay: float) -> None:
    finding = check_clock(NOW, resolution=resolution, delay=lambda: delay)
    assert (finding.status, finding.advice.startswith("Video may stutter.")) == ("warning", True)


def test_delay_of_timers_is_measured() -> None:
    assert check_clock(NOW).found.endswith(" ms late")


def test_free_disk_space_is_shown(tmp_path: Path) -> None:
    finding = check_disk(tmp_path, free=77_400_000_000)
    assert (finding.status, finding.found) == ("ok", f"77.4 GB free in {tmp_path}")


def test_full_disk_is_a_warning(tmp_path: Path) -> None:
    finding = check_disk(tmp_path, free=100_000_000)
    assert (finding.status, finding.found) == ("warning", f"0.1 GB free in {tmp_path}")
    assert finding.advice.startswith("Delete files, or set TMPDIR")


def test_directory_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    finding = check_disk(tmp_path / "none")
    assert (finding.status, finding.found) == ("error", f"{tmp_path / 'none'}: No such file or directory")
    assert finding.advice.startswith("Set TMPDIR")


@pytest.mark.parametrize(("limit", "status"), [(256, "warning"), (1023, "warning"), (1024, "ok"), (1_000_000, "ok")])
def test_few_file_descriptors_are_a_warning(limit: int, status: str) -> None:
    finding = check_descriptors(limit)
    assert (finding.status, finding.found) == (status, f"a process can open {limit}")
    assert ("ulimit -n 4096" in finding.advice) == (status == "warning")


def test_limit_of_this_process_is_read() -> None:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert check_descriptors().found in {f"a process can open {limit}", "no limit"}
