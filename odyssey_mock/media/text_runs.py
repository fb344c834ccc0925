"""Division of text into parts that are drawn in one piece: clusters, units between line breaks, and runs of one font.

A cluster is a character with its marks, or an emoji sequence. A run has one font and one direction. Runs are returned
in visual order, from left to right; the order within a run is left to the shaping engine. This is the Unicode
bidirectional algorithm (UAX #9) without embeddings, which is enough for one line of a prompt.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from odyssey_mock.media.fonts import BUNDLED, FontFile, FontSet, is_emoji, is_joiner

_ZWJ = "\u200d"
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_REGIONAL_INDICATORS = range(0x1F1E6, 0x1F200)
_LONGEST_EMOJI = 16
"""Maximum number of characters in a cluster of emoji. The longest that fonts have, a couple with skin tones, has 10."""
_RIGHT_TO_LEFT = {"R", "AL"}
_WIDE = {"W", "F"}
_BRACKETS = {"(": ")", "[": "]", "{": "}"}
_IN_NUMBERS = {".", ",", ":", "/"}


@dataclass(frozen=True, slots=True)
class Run:
    """A part of a line that is drawn with one font, in one direction."""

    text: str
    font: FontFile
    is_rtl: bool


def clusters(text: str) -> list[str]:
    """Divide `text` into clusters: a cluster is a character with its marks, or an emoji sequence."""
    found: list[str] = []
    for character in text:
        if found and _continues(found[-1], character):
            found[-1] += character
        else:
            found.append(character)
    return found


def characters(cluster: str) -> list[str]:
    """Divide a cluster into characters, each with the joiners after it."""
    found: list[str] = []
    for character in cluster:
        if found and is_joiner(character):
            found[-1] += character
        else:
            found.append(character)
    return found


def _continues(cluster: str, character: str) -> bool:
    code = ord(character)
    if cluster[0] == " ":
        return False
    return (
        unicodedata.category(character).startswith("M")
        or is_joiner(character)
        or (len(cluster) < _LONGEST_EMOJI and (code in _SKIN_TONES or _is_joined(cluster, character)))
        or (code in _REGIONAL_INDICATORS and len(cluster) == 1 and ord(cluster) in _REGIONAL_INDICATORS)
    )


def _is_joined(cluster: str, character: str) -> bool:
    # Arrows in emoji sequences are symbols of mathematics.
    return cluster[-1] == _ZWJ and is_emoji_like(cluster) and unicodedata.category(character)[0] == "S"


def is_emoji_like(cluster: str) -> bool:
    """Return whether `cluster` is an emoji, or a symbol that can begin an emoji sequence."""
    return "\ufe0f" in cluster or is_emoji(cluster[0]) or unicodedata.category(cluster[0]) == "So"


def units(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the parts of `text` between which a line may break, each with whether a space precedes it.

    A line may break at a space, and between characters of Chinese, Japanese or Korean, but not before punctuation.
    """
    for number, word in enumerate(text.split(" ")):
        part, after_space = "", number > 0
        for cluster in clusters(word):
            if part and _may_break(part[-1], cluster[0]):
                yield part, after_space
                part, after_space = "", False
            part += cluster
        if part:
            yield part, after_space


def _may_break(before: str, after: str) -> bool:
    wide = unicodedata.east_asian_width(after) in _WIDE or unicodedata.east_asian_width(before) in _WIDE
    return wide and unicodedata.category(after) not in {"Pe", "Pf", "Po"} and unicodedata.category(before) != "Ps"


def is_right_to_left(text: str) -> bool:
    """Return whether the first letter of `text` that has a direction runs from right to left."""
    strong = (unicodedata.bidirectional(c) for c in text)
    return next((kind in _RIGHT_TO_LEFT for kind in strong if kind in {"L", *_RIGHT_TO_LEFT}), False)


def runs(text: str, fonts: FontSet, *, is_rtl: bool = False) -> list[Run]:
    """Divide one line of text into runs, from left to right.

    Args:
        text: the line. A character that none of `fonts` has is drawn with the bundled font.
        fonts: the fonts to choose from.
        is_rtl: whether the paragraph runs from right to left.
    """
    if text.isascii() and not is_rtl:
        return [Run(text, BUNDLED, is_rtl=False)] if text else []
    parts = clusters(text)
    directed = zip(parts, _directions(parts, is_rtl=is_rtl), _fonts(parts, fonts), _numbers(parts), strict=True)
    blocks: list[tuple[bool, list[Run]]] = []
    for rtl, block in groupby(directed, key=lambda each: each[1]):
        pieces = [
            Run("".join(part for part, *_ in piece), font, is_rtl=rtl and not is_number)
            for (font, is_number), piece in groupby(block, key=lambda each: each[2:])
        ]
        blocks.append((rtl, pieces[::-1] if rtl else pieces))
    return [run for _, pieces in (blocks[::-1] if is_rtl else blocks) for run in pieces]


def _directions(parts: Sequence[str], *, is_rtl: bool) -> list[bool]:
    """Return for each cluster whether it is in a part that runs from right to left.

    Spaces, digits and punctuation have the direction of the letters on both sides if these have the same direction,
    otherwise the direction of the paragraph.
    """
    kinds = [unicodedata.bidirectional(part[0]) for part in parts]
    strong = [True if kind in _RIGHT_TO_LEFT else False if kind == "L" else None for kind in kinds]
    _direct_brackets(parts, strong, is_rtl=is_rtl)
    after = list[bool | None](strong)
    following: bool | None = None
    for at in reversed(range(len(strong))):
        following = strong[at] if strong[at] is not None else following
        after[at] = following
    directions: list[bool] = []
    before: bool | None = None
    for own, following in zip(strong, after, strict=True):
        before = own if own is not None else before
        directions.append(own if own is not None else before if before == following and before is not None else is_rtl)
    return directions


def _direct_brackets(parts: Sequence[str], strong: list[bool | None], *, is_rtl: bool) -> None:
    """Set the direction of both brackets of each pair in `strong` (rule N0 of UAX #9).

    If a letter between the brackets has the direction of the paragraph, the brackets get this direction. Otherwise they
    get the direction of the text before them. Brackets without letters between them get no direction.
    """
    opened: list[int] = []
    for at, part in enumerate(parts):
        if part in _BRACKETS:
            opened.append(at)
        elif opened and part == _BRACKETS[parts[opened[-1]]]:
            first = opened.pop()
            inside = set(strong[first + 1 : at]) - {None}
            before = next((each for each in reversed(strong[:first]) if each is not None), is_rtl)
            if inside:
                strong[first] = strong[at] = is_rtl if is_rtl in inside else before


def _numbers(parts: Sequence[str]) -> list[bool]:
    """Return for each cluster whether it is part of a number. Numbers run from left to right in every text."""
    digits = [unicodedata.bidirectional(part[0]) in {"EN", "AN"} for part in parts]
    return [
        digits[at] or (0 < at < len(parts) - 1 and part in _IN_NUMBERS and digits[at - 1] and digits[at + 1])
        for at, part in enumerate(parts)
    ]


def _fonts(parts: Sequence[str], fonts: FontSet) -> list[FontFile]:
    """Return the font of each cluster. If one font has all clusters of a word, all of them get this font."""
    words = [(is_space, list(word)) for is_space, word in groupby(parts, key=lambda part: part == " ")]
    chosen = [
        font
        for is_space, word in words
        for font in ([BUNDLED] * len(word) if is_space else _fonts_of_word(word, fonts))
    ]
    # A space between words of one font belongs to their run, so that the shaping engine orders the words. Spaces of
    # emoji fonts are too wide.
    for at in range(1, len(parts) - 1):
        before, after = parts[at - 1], parts[at + 1]
        if (
            parts[at] == " "
            and chosen[at - 1] == chosen[at + 1]
            and not (is_emoji_like(before) or is_emoji_like(after))
        ):
            chosen[at] = chosen[at - 1]
    return chosen


def _fonts_of_word(word: Sequence[str], fonts: FontSet) -> list[FontFile]:
    own = [fonts.font_of(part) or BUNDLED for part in word]
    letters = [(part, font) for part, font in zip(word, own, strict=True) if not is_emoji_like(part)]
    other = next((font for _, font in letters if font != BUNDLED), None)
    if other is None or not all(font == other or other.has(part) for part, font in letters):
        return own
    return [font if is_emoji_like(part) else other for part, font in zip(word, own, strict=True)]
