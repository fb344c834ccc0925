"""Paths of the control API, and how a refusal begins. The module needs no extra, so that `doctor` can import it."""

CONTROL_PATH = "/_mock"
"""Path of the control API, which is not part of the service and not recorded in the journal."""

HEALTH_PATH = f"{CONTROL_PATH}/health"
"""Path of the health check. It needs no token, because it reveals only the version, and container engines poll it."""

UNKNOWN_HOST = "the control API accepts only hosts that are known to be the mock"
"""The beginning of the reason for status 403 because of a host."""
