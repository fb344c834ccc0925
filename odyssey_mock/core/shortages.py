"""Recognition of shortages, because of which the mock refuses a request: no file descriptors or UDP ports are left."""

from odyssey_mock.core.file_descriptors import DETAIL, is_shortage
from odyssey_mock.core.udp_ports import OutOfPortsError


def refusal_of(error: BaseException) -> str | None:
    """Return the text of the refusal if `error`, or one of the errors of a group, is a shortage; otherwise None."""
    if is_shortage(error):
        return DETAIL
    if isinstance(error, BaseExceptionGroup):
        return next((text for each in error.exceptions if (text := refusal_of(each)) is not None), None)
    return str(error) if isinstance(error, OutOfPortsError) else None
