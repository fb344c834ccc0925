"""Errors as the command line tells them: in its own words, for people and for programs."""

from __future__ import annotations

import signal

from odyssey_client.cli.output import json_of
from odyssey_client.errors import (
    OdysseyError,
    OdysseyUsageError,
    ScriptError,
    SimulationCancelledError,
    SimulationFailedError,
    SimulationTimeoutError,
)
from odyssey_client.models import JSON

# What the library advises, and how that is done here.
_WORDS = (
    ("Pass Odyssey(api_key=...) or set the environment variable", "Set the environment variable"),
    ("; the limit is AdvancedConfig(request_timeout_s=...)", ""),
    (" The limit is AdvancedConfig.connect_timeout_s.", ""),
    (" It is the webrtc_url of BroadcastInfo.", ""),
    ("pass overwrite=True to replace it", "--overwrite replaces it"),
    ("list_simulations() tells", "`odyssey simulations list` tells"),
    ("get_simulate_status() tells", "`odyssey simulations show` tells"),
    ("list_stream_recordings() tells", "`odyssey recordings list` tells"),
    ("Leave bypass_prompt_expansion out", "Leave --bypass-prompt-expansion out"),
)


class StoppedError(OdysseyError):
    """The command was stopped by a signal."""

    default_code = "interrupted"

    def __init__(self, signum: signal.Signals, message: str) -> None:
        super().__init__(message)
        self.exit_code = 128 + signum


def error_text(error: OdysseyError) -> str:
    """Write an error for people, with the notes that a traceback would show."""
    label = "" if isinstance(error, StoppedError) else "Error: "
    return "\n  ".join([f"{label}{_translated(str(error))}", *map(_translated, getattr(error, "__notes__", ()))])


def error_document(error: OdysseyError) -> dict[str, JSON]:
    """Write an error for programs: ``code`` and ``message`` always, and what else there is of it."""
    document: dict[str, JSON] = {"code": error.code, "message": _translated(str(error)), "retryable": error.retryable}
    document |= {
        name: value
        for name in ("status", "detail", "request_id")
        if (value := getattr(error, name)) is not None  # what the service said
    }
    match error:
        case ScriptError():
            document["faults"] = [json_of(fault) for fault in error.faults]
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
