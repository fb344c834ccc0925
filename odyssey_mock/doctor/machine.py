"""Checks of the machine: clock, disk and file descriptors."""

import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from odyssey_mock.doctor.findings import Finding

EARLIEST = datetime(2025, 1, 1, tzinfo=UTC).timestamp()
"""A time before the first release. A clock that shows an earlier one is wrong."""
COARSE_S = 0.005
"""A resolution of the clock above which the times of frames, 50 ms apart, are imprecise."""
TIMER_S, TIMERS, LATE_S = 0.01, 7, 0.025
"""Seconds of a timer, the number of timers, and the median delay above which video stutters: half a frame."""

LEAST_FREE = 500_000_000
"""Bytes of free disk space for recordings: about 1,000 streams of 150 s are larger, a test session is smaller."""
LEAST_DESCRIPTORS = 1024
"""File descriptors that suffice for about 50 sessions: each has sockets for signaling, HTTP and each address."""


def check_clock(
    now: float | None = None,
    resolution: float = time.get_clock_info("monotonic").resolution,
    delay: Callable[[], float] | None = None,
) -> Finding:
    """Check the time, the resolution of the clock and the delay of timers.

    `now`: seconds since the epoch; `delay()`: seconds by which a timer is late.
    """
    now = datetime.now(UTC).timestamp() if now is None else now
    shown = datetime.fromtimestamp(now, UTC).isoformat(sep=" ", timespec="seconds")
    if now < EARLIEST:
        advice = "Set the clock: tokens, signed URLs and TLS certificates depend on the time."
        return Finding(check="clock", status="error", found=f"the time is {shown}", advice=advice)
    late = (delay or _timer_delay)()
    found = f"{shown}, resolution {resolution * 1000:g} ms, timers {late * 1000:.1f} ms late"
    if resolution > COARSE_S or late > LATE_S:
        advice = "Video may stutter. Stop other programs, or give this machine more processors."
        return Finding(check="clock", status="warning", found=found, advice=advice)
    return Finding(check="clock", status="ok", found=found)


def _timer_delay() -> float:
    return asyncio.run(_measured_delay())


async def _measured_delay() -> float:
    """Return the median number of seconds by which timers of the event loop are late."""
    loop = asyncio.get_running_loop()
    delays = []
    for _ in range(TIMERS):
        due = loop.time() + TIMER_S
        done = asyncio.Event()
        loop.call_at(due, done.set)
        await done.wait()
        delays.append(loop.time() - due)
    return max(0.0, median(delays))


def check_disk(folder: Path | None = None, free: int | None = None) -> Finding:
    """Check that temporary files can be written, and that there is space for recordings."""
    try:
        folder = Path(tempfile.gettempdir()) if folder is None else folder
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"odyssey")
        free = shutil.disk_usage(folder).free if free is None else free
    except OSError as error:
        where = f"{folder}: " if folder else ""
        advice = "Set TMPDIR to a directory that can be written. The mock stores recordings there."
        return Finding(check="disk", status="error", found=f"{where}{error.strerror or error}", advice=advice)
    found = f"{free / 1e9:.1f} GB free in {folder}"
    if free < LEAST_FREE:
        advice = "Delete files, or set TMPDIR to a directory on another disk. The mock stores recordings there."
        return Finding(check="disk", status="warning", found=found, advice=advice)
    return Finding(check="disk", status="ok", found=found)


def check_descriptors(limit: int | None = None) -> Finding:
    """Check how many files and sockets a process can open. `limit`: None reads the limit of this process."""
    if limit is None:
        if sys.platform == "win32":
            return Finding(check="file descriptors", status="ok", found="no limit")
        import resource  # noqa: PLC0415 - not on Windows

        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if limit == resource.RLIM_INFINITY:
            return Finding(check="file descriptors", status="ok", found="no limit")
    found = f"a process can open {limit}"
    if limit < LEAST_DESCRIPTORS:
        advice = "For many sessions at once, raise the limit: ulimit -n 4096"
        return Finding(check="file descriptors", status="warning", found=found, advice=advice)
    return Finding(check="file descriptors", status="ok", found=found)
