"""Scripts as JSON text and in files, read strictly, and the images that such text can name."""

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
"""More than any script comes to: it has one image at most, and that has 25 MB."""

_DIGITS_READ = 400
"""A number with more of them is out of bounds whatever they are, and Python refuses to read several thousand."""


def read_file(file: str | os.PathLike[str], path: str) -> bytes:
    """Return the content of a file; ``path`` is where its script is, for the error.

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
        raise _refusal(path, f"a file of at most {MAX_SCRIPT_BYTES // 2**20} MiB", f"{name}, which has more")
    return content


def read_json(text: object, path: str) -> object:
    """Decode JSON text as RFC 8259 has it: no NaN, no key twice in an object. A byte order mark is passed over.

    Raises:
        ScriptError: it is no such text; the one fault says where in it.
    """
    if not isinstance(text, str | bytes | bytearray):
        raise _refusal(path, "JSON text", describe(text))
    try:
        decoded = text if isinstance(text, str) else text.decode()
    except UnicodeDecodeError as error:
        byte = f"the byte 0x{text[error.start]:02x} at {error.start}"
        raise _refusal(path, "JSON text in UTF-8", f"{byte}, which is not UTF-8") from None
    try:
        value: object = json.loads(
            decoded.removeprefix("\ufeff"), object_pairs_hook=_object, parse_constant=_refuse, parse_int=_number
        )
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise _refusal(path, "JSON text", f"a mistake at {where}: {error.msg}") from None
    except RecursionError:
        raise _refusal(path, "JSON text", "one that is nested too deeply") from None
    except _NoJsonError as error:
        raise _refusal(path, "JSON text", str(error)) from None
    return value


def checked(image: object) -> ImageSource:
    """Return ``image``, to be kept, if it can be sent; this decodes it.

    Raises:
        ImageError: it cannot.
    """
    held = hold_image(image)
    prepare_image(held, portrait=True)
    return held


def named_in(directory: str | os.PathLike[str] | None) -> TakeImage:
    """Make what takes an image as JSON can have it: a ``data:`` URL, or the path of a file from ``directory`` on."""

    def take(image: object) -> ImageSource:
        if isinstance(image, str) and image[:5].lower() == "data:":
            return checked(image)
        if directory is None or not isinstance(image, str):
            kinds = "a data: URL, as data:image/png;base64,..." + ("" if directory is None else ", or a path")
            raise ImageError(f"image must be {kinds}, got {describe(image)}")
        if re.match(r"(?i)https?://", image):
            return checked(image)  # which refuses it, and says why
        return checked(Path(directory, image))

    return take


class _NoJsonError(Exception):
    """Something that Python reads and JSON does not have."""


def _object(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise _NoJsonError(f"the key {describe(key)} twice in an object")
        found[key] = value
    return found


def _refuse(constant: str) -> Never:
    raise _NoJsonError(f"{constant}, which JSON does not have")


def _number(digits: str) -> int:
    return int(digits[:_DIGITS_READ])


def _refusal(path: str, expected: str, got: str) -> ScriptError:
    return ScriptError([ScriptFault(path, expected, got)])
