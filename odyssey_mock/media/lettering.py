"""Text in frames: `Lettering` draws the text of prompts in any script, `Digits` numbers that change in each frame."""

import unicodedata
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from odyssey_mock.media.fonts import BUNDLED, Face, FontSet, is_joiner
from odyssey_mock.media.planes import Plane
from odyssey_mock.media.text_runs import characters, clusters, runs, units

type Ink = tuple[int, int, int, int]
"""The color of text as red, green, blue and opacity, each from 0 to 255."""

_LONGEST = 600
"""Maximum number of characters of a text that are drawn; no panel has room for more."""

_NARROWEST = 0.12
"""Width of the narrowest characters, as a share of the font size. It avoids measuring text that is far too long."""

_DASHES = str.maketrans(dict.fromkeys("\N{EN DASH}\N{EM DASH}\N{HYPHEN}\N{NON-BREAKING HYPHEN}\N{MINUS SIGN}", "-"))
_FILLERS = str.maketrans(dict.fromkeys("\u115f\u1160\u3164\uffa0", " "))
"""Blank letters of Korean, which are also used as spaces; few fonts have them."""
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
    }
)
"""Replacements for letters that Unicode does not decompose into ASCII letters."""

_MIRRORED = str.maketrans("()[]{}<>", ")(][}{><")
"""Brackets as they look in text from right to left."""


class Lettering:
    """Draws and measures text of one size.

    Args:
        size: font size in pixels.
        fonts: the fonts to choose from.

    Attributes:
        height: height of a line, from the top of an accented capital to the bottom of a lowercase g.
    """

    def __init__(self, size: int, fonts: FontSet) -> None:
        self._size = size
        self._fonts = fonts
        font = BUNDLED.at(size).font
        self._ascent, _ = font.getmetrics()
        _, top, _, bottom = font.getbbox("Ág")
        self.height = round(bottom - min(0, top))

    def readable(self, text: str) -> str:
        """Reduce `text` to one line of characters that the fonts have.

        Whitespace becomes single spaces, and invisible characters are removed. Letters that no font has lose their
        accents. All other missing characters are replaced by their code points, as in "U+4E2D".
        """
        # Cut the text first, so that a text of megabytes is cheap.
        spaced = " ".join(text[: 2 * _LONGEST].translate(_FILLERS).split()).translate(_DASHES)
        if spaced.isascii():
            return " ".join("".join(filter(str.isprintable, spaced)).split())[:_LONGEST].rstrip()
        visible = (c for c in unicodedata.normalize("NFC", spaced) if _is_visible(c))
        shown, length = list[str](), 0
        for cluster in clusters("".join(visible)):
            font = self._fonts.font_of(cluster)
            if font is None:
                shown.append(self._replacement(cluster))
            elif font == BUNDLED:  # which draws a box for an invisible character
                shown.append("".join(c for c in cluster if not is_joiner(c)))
            else:
                shown.append(cluster)
            length += len(shown[-1])
            if length >= _LONGEST:
                break
        return " ".join("".join(shown).split())

    def _replacement(self, cluster: str) -> str:
        decomposed = unicodedata.normalize("NFKD", cluster.translate(_SPELLED))
        plain = "".join(c for c in decomposed if c == " " or unicodedata.category(c)[0] not in "MCZ")
        if plain and all(self._fonts.font_of(part) is not None for part in plain):
            return plain
        self._fonts.report_missing(cluster)
        return "".join(f" U+{ord(c):04X} " for c in cluster if not is_joiner(c))

    def length(self, text: str) -> float:
        """Return the width in pixels of one line of text. The text must be a result of `readable`."""
        return sum(_length(run.font.at(self._size), run.text, is_rtl=run.is_rtl) for run in runs(text, self._fonts))

    def line_height(self, text: str) -> int:
        """Return the distance in pixels between the lines of a text, which must be a result of `readable`.

        The distance is larger if the text needs other fonts than the bundled font: their letters may be taller.
        """
        is_tall = any(run.font != BUNDLED for run in runs(text, self._fonts))
        return round(self.height * (1.25 if is_tall else 1.04))

    def wrap(self, text: str, width: float, lines: int) -> list[str]:
        """Break a text into at most `lines` lines of `width` pixels; an ellipsis marks text that was cut off.

        The text must be a result of `readable`. A word is broken only if it is wider than a line.
        """
        wrapped: list[str] = []
        line = ""
        for unit, after_space in units(text):
            longer = f"{line} {unit}" if after_space and line else line + unit
            if self.length(longer) <= width:
                line = longer
                continue
            if line:
                wrapped.append(line)
            line = unit
            while len(wrapped) <= lines and self.length(line) > width:
                fits = self._fitting(line, width)
                wrapped.append(fits)
                line = line.removeprefix(fits)
            if len(wrapped) > lines:
                break
        if line:
            wrapped.append(line)
        if len(wrapped) > lines:
            wrapped = [*wrapped[: lines - 1], self.ellipsised(wrapped[lines - 1] + "…", width)]
        return wrapped

    def ellipsised(self, text: str, width: float) -> str:
        """Shorten a line of text to `width` pixels; an ellipsis marks text that was cut off.

        The text must be a result of `readable`.
        """
        if len(text) * self._size * _NARROWEST <= width and self.length(text) <= width:
            return text
        return self._fitting(text.rstrip("…"), width, ending="…")

    def _fitting(self, text: str, width: float, *, ending: str = "") -> str:
        """Return the longest beginning of `text` that fits in `width` pixels together with `ending`.

        The result has at least one character. A cluster is broken only if it is wider than `width`.
        """

        def cut(count: int) -> str:
            # Measure with the ending, whose font depends on the text before it.
            beginning = "".join(parts[:count])
            return beginning.rstrip() + ending if ending else beginning

        parts = clusters(text[: int(width / (self._size * _NARROWEST)) + 1])
        if parts and self.length(cut(1)) > width:
            parts = characters(parts[0])
        low, high = 1, len(parts)
        while low < high:
            middle = (low + high + 1) // 2
            if self.length(cut(middle)) <= width:
                low = middle
            else:
                high = middle - 1
        return cut(low)

    def draw(
        self, image: Image.Image, left: float, top: float, text: str, ink: Ink, *, right: float | None = None
    ) -> None:
        """Draw one line of text on an RGBA image, with the upper left corner of the line at (left, top).

        The text must be a result of `readable`. If `right` is given, `left` is ignored: the text belongs to a paragraph
        that runs from right to left, and the right end of the line is at `right`.
        """
        is_rtl = right is not None
        x = left if right is None else right - self.length(text)
        for run in runs(text, self._fonts, is_rtl=is_rtl):
            face = run.font.at(self._size)
            _draw(image, x, top + self._ascent, face, run.text, ink, is_rtl=run.is_rtl, in_color=run.font != BUNDLED)
            x += _length(face, run.text, is_rtl=run.is_rtl)


def _is_visible(character: str) -> bool:
    return character == " " or is_joiner(character) or unicodedata.category(character) not in {"Cc", "Cf"}


@lru_cache(maxsize=4096)
def _length(face: Face, text: str, *, is_rtl: bool) -> float:
    if face.is_shaped:
        return face.scale * face.font.getlength(text, direction="rtl" if is_rtl else "ltr")
    return face.scale * face.font.getlength(text)


def _draw(
    image: Image.Image, x: float, baseline: float, face: Face, text: str, ink: Ink, *, is_rtl: bool, in_color: bool
) -> None:
    if face.is_shaped:
        direction = "rtl" if is_rtl else "ltr"
    else:
        direction, text = None, text[::-1].translate(_MIRRORED) if is_rtl else text
    if face.scale == 1:
        draw = ImageDraw.Draw(image)
        draw.text((x, baseline), text, ink, face.font, "ls", direction=direction, embedded_color=in_color)
        return
    # A font that contains only bitmaps: draw at their size, then scale.
    ascent, descent = face.font.getmetrics()
    size = max(1, round(face.font.getlength(text, direction=direction))), ascent + descent
    drawn = Image.new("RGBA", size, (*ink[:3], 0))
    ImageDraw.Draw(drawn).text((0, ascent), text, ink, face.font, "ls", direction=direction, embedded_color=True)
    scaled = drawn.resize((max(1, round(size[0] * face.scale)), max(1, round(size[1] * face.scale))))
    place = round(x), round(baseline - ascent * face.scale)
    beyond = max(0, -place[0]), max(0, -place[1])
    image.alpha_composite(scaled, (max(0, place[0]), max(0, place[1])), beyond)


class Digits:
    """Draws numbers that change in each frame.

    Each character is rendered once, and then copied into the luma plane of every frame.

    Args:
        size: font size in pixels.
        ground, ink: luma of the background and of the text.
    """

    CHARACTERS = "0123456789:. #"

    def __init__(self, size: int, *, ground: int, ink: int) -> None:
        face = BUNDLED.at(size).font
        ascent, descent = face.getmetrics()
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
