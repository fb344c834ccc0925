"""Conversion of errors to text and JSON. Advice for Python callers is replaced by advice for the command line."""

from __future__ import annotations

import signal

from odyssey_client.cli.output import ERROR_LABEL, json_of
from odyssey_client.errors import (
    OdysseyError,
    OdysseyUsageError,
    ScriptError,
    SimulationCancelledError,
    SimulationFailedError,
    SimulationTimeoutError,
)
from odyssey_client.models import JSON

# Advice in error messages for Python callers, and its replacement for the command line.
_WORDS = (
    ("Pass Odyssey(api_key=...) or set the environment variable", "Set the environment variable"),
    ("; the limit is AdvancedConfig(request_timeout_s=...)", ""),
    (" The limit is AdvancedConfig.connect_timeout_s.", ""),
    (" For a slow connection, raise AdvancedConfig(download_timeout_s=...).", ""),
    (" To download larger files, raise AdvancedConfig(max_download_bytes=...).", ""),
    (" (AdvancedConfig.max_retry_after_s)", ""),
    (" It is the webrtc_url of BroadcastInfo.", ""),
    ("as on_broadcast_ready received them", "as the host received them with `broadcast_ready`"),
    ("that on_broadcast_ready received for", "that the host received with `broadcast_ready` for"),
    ("pass overwrite=True to replace it", "pass --overwrite to replace it"),
    ("list_simulations()", "`odyssey simulations list`"),
    ("get_simulate_status()", "`odyssey simulations show`"),
    ("list_stream_recordings()", "`odyssey recordings list`"),
    ("Leave bypass_prompt_expansion out", "Leave --bypass-prompt-expansion out"),
)


class StoppedError(OdysseyError):
    """A signal stopped the command."""

    default_code = "interrupted"

    def __init__(self, signum: signal.Signals, message: str) -> None:
        super().__init__(message)
        self.exit_code = 128 + signum


def error_text(error: OdysseyError) -> str:
    """Return the text for an error, followed by its notes (`BaseException.add_note`)."""
    label = "" if isinstance(error, StoppedError) else f"{ERROR_LABEL} "
    return "\n  ".join([f"{label}{_translated(str(error))}", *map(_translated, getattr(error, "__notes__", ()))])


def error_document(error: OdysseyError) -> dict[str, JSON]:
    """Return the JSON object for an error: ``code``, ``message``, ``retryable`` and fields that depend on its class."""
    document: dict[str, JSON] = {"code": error.code, "message": _translated(str(error)), "retryable": error.retryable}
    document |= {
        name: value
        for name in ("status", "detail", "request_id")
        if (value := getattr(error, name)) is not None  # set if the service responded with an error
    }
    match error:
        case ScriptError():
            document["faults"] = [json_of(fault) for fault in error.faults]
            document["more_faults"] = error.more_faults
        case OdysseyUsageError():
            document |= {"action": error.action, "action_url": error.action_url, "details": error.details}
        case SimulationFailedError():
            document["stream_errors"] = {str(index): why for index, why in error.stream_errors.items()}
        case SimulationCancelledError():
            document["job"] = json_of(error.job)
        case SimulationTimeoutError() if error.job is not None:
            document["job"] = json_of(error.job)
    return document


def exit_code(error: OdysseyError) -> int:
    return error.exit_code if isinstance(error, StoppedError) else 1


def _translated(message: str) -> str:
    for theirs, ours in _WORDS:
        message = message.replace(theirs, ours)
    return message
