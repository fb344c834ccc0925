"""The report of `odyssey-mock bench --json`: the results, with the machine and the versions that they depend on."""

import os
import platform
import ssl
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from odyssey_client.models import JSON
from odyssey_mock.bench.rows import Result

PACKAGES = ("odyssey-testkit", "aiortc", "av", "numpy", "starlette", "uvicorn")


def report(results: Mapping[str, Sequence[Result]], *, command: str, at: datetime) -> dict[str, JSON]:
    """Return the report of the results of each benchmark, which `command` measured at the time `at`."""
    return {
        "command": command,
        "time": at.isoformat(timespec="seconds"),
        "machine": {
            "cpu": _cpu(),
            "cores": os.process_cpu_count() if hasattr(os, "process_cpu_count") else os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
        },
        "versions": {
            "python": platform.python_version(),
            **{package: _version(package) for package in PACKAGES},
            "openssl": ssl.OPENSSL_VERSION,
        },
        "rows": [{"benchmark": name, **row.to_json()} for name, rows in results.items() for row in rows],
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _cpu() -> str:
    """Return the model of the processor, as the operating system names it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    except OSError:  # only Linux has this file
        pass
    return platform.processor() or "unknown"
