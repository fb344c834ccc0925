"""Request fields of a simulation job (protocol.md sections 2 and 8)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from urllib.parse import urlsplit

from odyssey_client.media.image import prepare_image
from odyssey_client.media.image_source import hold_image
from odyssey_client.models import JSON
from odyssey_client.scripts.rules import Faults, TakeImage, describe, is_array, read_entries
from odyssey_client.scripts.script import Script, ScriptSource


def script_fields(
    *,
    script: ScriptSource | None,
    scripts: Sequence[ScriptSource] | None,
    script_url: str | None,
    portrait: bool,
) -> dict[str, JSON]:
    """Check the scripts, and return the request field that contains them, with images as ``data:`` URLs.

    Exactly one of the first three arguments must be given. Decoding an image takes up to about a second: call this in
    a thread if an event loop is running.

    Args:
        script: One script.
        scripts: Several scripts.
        script_url: The URL of a script.
        portrait: Whether images are fitted to 704x1280; otherwise to 1280x704.

    Raises:
        ScriptError: a script is invalid, or not exactly one of ``script``, ``scripts`` and ``script_url`` was given.
            The error lists the faults of all scripts.
    """
    sources = {"script": script, "scripts": scripts, "script_url": script_url}
    given = {name: value for name, value in sources.items() if value is not None}
    faults = Faults()
    if len(given) != 1:
        faults.add("simulate", f"exactly one of {', '.join(sources)}", " and ".join(given) or "none of them")
    fields = {
        name: _READERS[name](value, faults, lambda image: prepare_image(hold_image(image), portrait=portrait))
        for name, value in given.items()
        if len(given) == 1
    }
    faults.check()
    return fields


def _script(value: object, faults: Faults, take_image: TakeImage, path: str = "script") -> JSON:
    source = [entry.to_dict() for entry in value.entries] if isinstance(value, Script) else value
    return [entry.to_dict() for entry in read_entries(source, path, take_image, faults)]


def _scripts(value: object, faults: Faults, take_image: TakeImage) -> JSON:
    if not is_array(value):
        faults.add("scripts", "an array of scripts", describe(value))
        return None
    if not value:
        faults.add("scripts", "an array of at least one script", "an empty array")
    return [_script(each, faults, take_image, f"scripts[{index}]") for index, each in enumerate(value)]


def _script_url(value: object, faults: Faults, _take_image: TakeImage) -> JSON:
    if not isinstance(value, str) or not _is_web_address(value):
        # The message does not contain the URL, because it may be presigned.
        kind = "other text" if isinstance(value, str) else describe(value)
        faults.add("script_url", "an http or https URL with a host, such as https://host/script.json", kind)
        return None
    scheme, _, rest = value.partition("://")
    return f"{scheme.lower()}://{rest}"


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        is_good_port = parts.port != 0
    except ValueError:  # an invalid port or IPv6 address
        return False
    # This checks `netloc`, because `hostname` ignores text around brackets.
    is_host = _AUTHORITY.fullmatch(parts.netloc) is not None
    return is_host and is_good_port and _WEB_ADDRESS.fullmatch(url) is not None


_AUTHORITY = re.compile(r"(?:[^\[\]\x80-\U0010ffff]*@)?(?:\[[0-9A-Fa-f:.]+\]|[^\[\]:@\\%\s]+)(?::[0-9]*)?")
"""An optional user in ASCII without brackets, a host name or address, and an optional port.

The host must not contain a percent sign or a backslash, because URL parsers disagree on their meaning.
"""
_WEB_ADDRESS = re.compile(r"(?i:https?)://[^\x00-\x1f\x7f\ud800-\udfff]+")

_READERS: Mapping[str, Callable[[object, Faults, TakeImage], JSON]] = MappingProxyType(
    {"script": _script, "scripts": _scripts, "script_url": _script_url}
)
