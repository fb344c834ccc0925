"""Strict reading of scripts from JSON text and files, and of the images that they name."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Never

from odyssey_client.errors import ImageError, ScriptError, ScriptFault, excerpt
from odyssey_client.media.image import prepare_image
from odyssey_client.media.image_source import ImageSource, hold_image
from odyssey_client.scripts.rules import TakeImage, describe

MAX_SCRIPT_BYTES = 64 * 2**20
"""Maximum size of a script file. A valid script is smaller, because it has at most one image, of up to 25 MB."""

_DIGITS_READ = 400
"""Maximum number of digits of an integer that are parsed; further digits are ignored.

Such an integer is out of range anyway, and `int` raises an error for several thousand digits.
"""


def read_file(file: str | os.PathLike[str], path: str) -> bytes:
    """Return the content of ``file``.

    ``path`` is the name of the script in reported faults, such as ``scripts[0]``; it is not the path of a file.

    Raises:
        ScriptError: the file cannot be read, or is too large.
    """
    if not isinstance(file, str | os.PathLike):
        raise _refusal(path, "the path of a JSON file", describe(file))
    name = excerpt(repr(os.fspath(file)), 200)
    try:
        with Path(file).open("rb") as opened:
            content = opened.read(MAX_SCRIPT_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        why = getattr(error, "strerror", None) or str(error)
        raise _refusal(path, "a file that can be read", f"{name}: {why}") from error
    if len(content) > MAX_SCRIPT_BYTES:
        raise _refusal(path, f"a file of at most {MAX_SCRIPT_BYTES // 2**20} MiB", f"{name}, which is larger")
    return content


def read_json(text: object, path: str) -> object:
    """Decode JSON text according to RFC 8259: without NaN and without duplicate keys. A byte order mark is ignored.

    ``path`` is the name of the script in reported faults, such as ``scripts[0]``.

    Raises:
        ScriptError: the text is not valid JSON. The error lists one fault, which states the position of a syntax error.
    """
    if not isinstance(text, str | bytes | bytearray):
        raise _refusal(path, "JSON text", describe(text))
    try:
        decoded = text if isinstance(text, str) else text.decode()
    except UnicodeDecodeError as error:
        byte = f"the byte 0x{text[error.start]:02x} at offset {error.start}"
        raise _refusal(path, "JSON text in UTF-8", f"{byte}, which is not UTF-8") from None
    try:
        value: object = json.loads(
            decoded.removeprefix("\ufeff"), object_pairs_hook=_object, parse_constant=_refuse, parse_int=_number
        )
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise _refusal(path, "JSON text", f"a syntax error at {where}: {error.msg}") from None
    except RecursionError:
        raise _refusal(path, "JSON text", "text that is nested too deeply") from None
    except _NoJsonError as error:
        raise _refusal(path, "JSON text", str(error)) from None
    return value


def checked(image: object) -> ImageSource:
    """Check that ``image`` can be sent, by decoding it. Return it in a form that can be read again later.

    Raises:
        ImageError: the image cannot be sent.
    """
    held = hold_image(image)
    prepare_image(held, portrait=True)
    return held


def named_in(directory: str | os.PathLike[str] | None) -> TakeImage:
    """Return a function that reads the images of a JSON script.

    It accepts ``data:`` URLs and, unless ``directory`` is None, paths relative to ``directory``.
    """

    def take(image: object) -> ImageSource:
        if isinstance(image, str) and image[:5].lower() == "data:":
            return checked(image)
        if directory is None or not isinstance(image, str):
            kinds = "a data: URL, such as data:image/png;base64,..." + ("" if directory is None else ", or a path")
            raise ImageError(f"image must be {kinds}, got {describe(image)}")
        if re.match(r"(?i)https?://", image):
            return checked(image)  # raises an error that advises a download
        return checked(Path(directory, image))

    return take


class _NoJsonError(Exception):
    """A text is not valid JSON, although `json.loads` accepts it."""


def _object(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise _NoJsonError(f"an object that has the key {describe(key)} twice")
        found[key] = value
    return found


def _refuse(constant: str) -> Never:
    raise _NoJsonError(f"{constant}, which is not valid in JSON")


def _number(digits: str) -> int:
    return int(digits[:_DIGITS_READ])


def _refusal(path: str, expected: str, got: str) -> ScriptError:
    return ScriptError([ScriptFault(path, expected, got)])
