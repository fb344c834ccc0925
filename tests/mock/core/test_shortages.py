"""Tests of shortages: the text of the refusal for file descriptors and for UDP ports."""

from odyssey_mock.core.file_descriptors import DETAIL
from odyssey_mock.core.shortages import refusal_of
from odyssey_mock.core.udp_ports import OutOfPortsError


def test_shortages_are_found_in_groups_of_errors() -> None:
    ports = OutOfPortsError(98, "no port is left")
    assert refusal_of(OSError(24, "Too many open files")) == DETAIL
    assert refusal_of(ports) == "no port is left"
    assert refusal_of(ExceptionGroup("", [ValueError(), ExceptionGroup("", [ports])])) == "no port is left"


def test_other_errors_are_no_shortages() -> None:
    assert refusal_of(OSError(98, "Address already in use")) is None
    assert refusal_of(ExceptionGroup("", [ValueError()])) is None
