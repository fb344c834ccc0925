"""The checks, in the order in which they run."""

import os
from collections.abc import Callable, Iterator, Mapping

from odyssey_mock.doctor.findings import Finding
from odyssey_mock.doctor.installation import (
    check_browsers,
    check_codecs,
    check_fonts,
    check_packages,
    check_python,
)
from odyssey_mock.doctor.machine import check_clock, check_descriptors, check_disk
from odyssey_mock.doctor.network import check_loopback, check_port, check_proxies, check_session, check_udp


def checks(port: int) -> Mapping[str, Callable[[], Finding]]:
    """Return all checks by name. `port`: the port on which the mock is to listen."""
    return {
        "Python": check_python,
        "packages": check_packages,
        "codecs": check_codecs,
        "loopback": check_loopback,
        f"port {port}": lambda: check_port(port),
        "UDP": check_udp,
        "proxies": lambda: check_proxies(os.environ),
        "clock": check_clock,
        "disk": check_disk,
        "file descriptors": check_descriptors,
        "fonts": check_fonts,
        "browsers": check_browsers,
        "live session": check_session,
    }


def run_checks(wanted: Mapping[str, Callable[[], Finding]], begin: Callable[[str], None]) -> Iterator[Finding]:
    """Run checks one after the other, and yield the finding of each. `begin(name)` is called before each check.

    A check that fails with an error of its own, for example because a package is missing, is an error too.
    """
    for name, check in wanted.items():
        begin(name)
        try:
            yield check()
        except Exception as error:
            yield Finding(
                check=name,
                status="error",
                found=f"the check failed: {type(error).__name__}: {error}",
                advice="First do what the other checks advise, and run `odyssey-mock doctor` again.",
            )
