"""Text in frames, in the typeface bundled with Pillow, which looks the same on every machine."""

import unicodedata
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from odyssey_mock.media.planes import Plane

type Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_LONGEST = 600
"""Maximum number of characters of a text that are drawn; no panel has room for more."""

_SPELLED = str.maketrans(
    {
        "ß": "ss",
        "æ": "ae",
        "Æ": "AE",
        "œ": "oe",
        "Œ": "OE",
        "ø": "o",
        "Ø": "O",
        "ł": "l",
        "Ł": "L",
        "đ": "d",
        "ð": "d",
        "þ": "th",
        "\N{EN DASH}": "-",
        "\N{EM DASH}": "-",
        "\N{HYPHEN}": "-",
        "\N{NON-BREAKING HYPHEN}": "-",
        "\N{MINUS SIGN}": "-",
    }
)
"""Replacements for letters that the typeface lacks, and that Unicode does not decompose into ASCII letters."""


@lru_cache(maxsize=32)
def font(size: int) -> Font:
    """Load Pillow's default typeface at `size` pixels."""
    return ImageFont.load_default(size)


def plain(text: str) -> str:
    """Reduce `text` to one line of characters that the typeface can show.

    Whitespace becomes single spaces. Accents and invisible characters are removed. Characters of other scripts are
    kept, and drawn as boxes.
    """
    # Decomposing can only lengthen the text. Cut it first, so that a text of megabytes is cheap.
    spaced = " ".join(text[: 2 * _LONGEST].split()).translate(_SPELLED)
    decomposed = unicodedata.normalize("NFKD", spaced)
    shown = (c for c in decomposed if c == " " or unicodedata.category(c)[0] not in "MCZ")
    return "".join(shown)[:_LONGEST]


def wrap(text: str, font: Font, width: float, lines: int) -> list[str]:
    """Break `text` into at most `lines` lines of at most `width` pixels; an ellipsis marks text that was cut off.

    Lines break between words. A word is broken only if it is wider than a line.
    """
    wrapped: list[str] = []
    rest = plain(text)
    while rest:
        if len(wrapped) == lines:
            wrapped[-1] = ellipsised(wrapped[-1] + "…", font, width)
            break
        fits = _fitting(rest, font, width)
        if fits < len(rest) and (space := rest.rfind(" ", 1, fits + 1)) > 0:
            fits = space
        wrapped.append(rest[:fits].rstrip())
        rest = rest[fits:].lstrip()
    return wrapped


def ellipsised(text: str, font: Font, width: float) -> str:
    """Shorten one line of plain text to `width` pixels; an ellipsis marks text that was cut off."""
    if font.getlength(text) <= width:
        return text
    room = width - font.getlength("…")
    return text[: _fitting(text, font, room)].rstrip(" …") + "…"


def _fitting(text: str, font: Font, width: float) -> int:
    """Return how many characters of `text` fit in `width` pixels, or 1 if not even the first fits."""
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if font.getlength(text[:middle]) <= width:
            low = middle
        else:
            high = middle - 1
    return low


class Digits:
    """Draws numbers that change in each frame.

    Each character is rendered once, and then copied into the luma plane of every frame.

    Args:
        size: font size in pixels.
        ground, ink: luma of the background and of the text.
    """

    CHARACTERS = "0123456789:. #"

    def __init__(self, size: int, *, ground: int, ink: int) -> None:
        face = font(size)
        ascent, descent = face.getmetrics() if isinstance(face, ImageFont.FreeTypeFont) else (size, 0)
        self.height = ascent + descent
        digit = round(max(face.getlength(c) for c in "0123456789"))
        self._cells: dict[str, Plane] = {}
        for character in self.CHARACTERS:
            # All digits get the width of the widest, so that a running number does not wobble.
            width = digit if character.isdigit() else max(1, round(face.getlength(character)))
            cell = Image.new("L", (width, self.height), ground)
            ImageDraw.Draw(cell).text((width / 2, 0), character, fill=ink, font=face, anchor="ma")
            self._cells[character] = np.asarray(cell)

    def width(self, text: str) -> int:
        """Return the width of `text` in pixels."""
        return sum(self._cells[character].shape[1] for character in text)

    def draw(self, plane: Plane, left: int, top: int, text: str) -> None:
        """Draw `text` (only `CHARACTERS`) with its upper left corner at (left, top). The text must fit the plane."""
        for character in text:
            cell = self._cells[character]
            plane[top : top + self.height, left : left + cell.shape[1]] = cell
            left += cell.shape[1]
