"""Validation of `POST /simulation-jobs` requests (`protocol.md` sections 2 and 8)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from odyssey_mock.core.strict_json import JSON
from odyssey_mock.simulations.script_url import ScriptUrlError, parse_url
from odyssey_mock.simulations.scripts import (
    Place,
    Script,
    ScriptFault,
    ScriptFaults,
    describe,
    script_in,
)

SOURCES = ("script", "scripts", "script_url")
"""Fields that contain the scripts of a job or their URL.

A request has exactly one of these keys. A key with the value null counts too.
"""

FLAGS: Mapping[str, bool] = {"portrait": True, "output_video": True, "bypass_vlm_expansion": False}
"""The boolean fields of a request, with their defaults."""


class InvalidRequestError(ValueError):
    """A request for a job is invalid.

    Attributes:
        faults: the first validation errors, each with `loc`, `msg` and `type`; at most one for each `loc`. If there
            are more than `FAULT_LIMIT`, a further one states the number of the others.
    """

    def __init__(self, faults: Sequence[ScriptFault], more: int = 0) -> None:
        super().__init__(list(faults), more)
        self.faults = list(faults)
        if more:
            self.faults.append({"loc": ["body"], "msg": f"and {more} more", "type": "too_many_errors"})


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A valid request for a job. Either `scripts` or `script_url` is None."""

    scripts: tuple[Script, ...] | None
    """One or more scripts, each of which becomes a stream."""
    script_url: str | None = field(repr=False)
    """The http or https URL of the only script, fetched when the job begins."""
    portrait: bool
    bypass: bool
    """Whether prompts are applied unchanged (`bypass_vlm_expansion`)."""
    from_page: bool = False
    """Whether a web page of another origin submitted the job."""


def read_request(body: JSON, *, from_page: bool = False) -> JobRequest:
    """Parse the decoded body of a request. `from_page`: whether a web page of another origin sent it.

    Raises:
        InvalidRequestError: the body is invalid; the error lists the first faults.
    """
    if not isinstance(body, dict):
        message = f"expected an object, got {describe(body)}"
        raise InvalidRequestError([{"loc": ["body"], "msg": message, "type": "dict_type"}])
    faults = ScriptFaults()
    present = [name for name in SOURCES if name in body]
    if len(present) != 1:
        found = " and ".join(present) or "none"
        faults.add(("body",), f"expected exactly one of {', '.join(SOURCES)}, got {found}", "value_error")
    scripts: list[Script] = []
    if "script" in body:
        scripts = _read_scripts([body["script"]], [("body", "script")], faults)
    if "scripts" in body:
        scripts = _read_batch(body["scripts"], faults)
    if "script_url" in body:
        _check_url(body["script_url"], faults)
    flags = {name: body.get(name, default) for name, default in FLAGS.items()}
    for name, value in flags.items():
        if not isinstance(value, bool):
            faults.add(("body", name), f"expected true or false, got {describe(value)}", "bool_type")
    if faults:
        raise InvalidRequestError(faults.listed, faults.more)
    return JobRequest(
        scripts=tuple(scripts) if scripts else None,
        script_url=body.get("script_url"),
        portrait=flags["portrait"],
        bypass=flags["bypass_vlm_expansion"],
        from_page=from_page,
    )


def _read_batch(value: object, faults: ScriptFaults) -> list[Script]:
    place: Place = ("body", "scripts")
    if not isinstance(value, list):
        faults.add(place, f"expected an array of scripts, got {describe(value)}", "list_type")
        return []
    if not value:
        faults.add(place, "expected one script or more, got an empty array", "too_short")
    return _read_scripts(value, [(*place, index) for index in range(len(value))], faults)


def _read_scripts(values: list[object], places: list[Place], faults: ScriptFaults) -> list[Script]:
    """Return the valid scripts of `values`; add the faults of the invalid ones to `faults`."""
    found = [script_in(value, place, faults) for value, place in zip(values, places, strict=True)]
    return [script for script in found if script is not None]


def _check_url(value: object, faults: ScriptFaults) -> None:
    place: Place = ("body", "script_url")
    if not isinstance(value, str):
        faults.add(place, f"expected an http or https URL, got {describe(value)}", "string_type")
        return
    try:
        parse_url(value)
    except ScriptUrlError as error:
        faults.add(place, str(error), "url_parsing")
