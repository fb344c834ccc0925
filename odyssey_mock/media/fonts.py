"""Fonts for text in frames: the font bundled with Pillow, and those that this machine or a Python package provides.

The bundled font has few characters. `FontSet.font_of` looks for the other characters in font files, first in those that
are made for the script. The result depends only on the files, so a prompt always looks the same on one machine.
"""

import importlib.util
import os
import re
import sys
import threading
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

from PIL import ImageFont

from odyssey_mock.core.redaction import get_logger
from odyssey_mock.media.font_characters import Characters, characters_of
from odyssey_mock.settings import Fonts

logger = get_logger(__name__)

PACKAGES = ("manimgx_fonts", "manimgx_fonts_cjk")
"""Python packages with fonts: those of the extra `fonts`."""

MOST_FILES = 3000
"""Maximum number of font files that are examined."""

_SUFFIXES = {".ttf", ".otf", ".ttc", ".otc"}
_STRIKES = (109, 136, 128, 160, 96, 64, 32, 20)
"""Sizes to try for fonts that contain only bitmaps, such as Noto Color Emoji (109) and Apple Color Emoji (160)."""

_PROBED = 16
"""Size in pixels at which a character is drawn to find out whether a font has it."""
_NO_CHARACTER = "\U0010ffff"
"""A code point that is never assigned. A font draws it as the box for missing characters."""

_JOINERS = {"\u200c", "\u200d", "\ufe0e", "\ufe0f", *map(chr, range(0xE0020, 0xE0080))}
"""Invisible characters that select the form of their neighbors: ZWNJ, ZWJ, variation selectors, and tags of flags."""

_BLANK = frozenset("\u2800\U00013441\U00013442\U0001d159")
"""Characters without ink in every font: the empty Braille cell, the blanks of hieroglyphs, and the null notehead."""

_UNDRAWN = {"Cn", "Co", "Cs"}
"""Categories of characters for which there are no fonts to install: unassigned, private use, and surrogates."""

_REGULAR_WEIGHT = 400
_WEIGHT_NAMES = {"weight", "wght"}

_PLACEHOLDERS = re.compile(r"lastresort|tofu|adobeblank|blank")
"""Names of fonts that show placeholders instead of characters."""
_LESS_READABLE = re.compile(
    r"bold|italic|oblique|black|heavy|thin|light|medium|condensed|narrow|mono|serif|display|unifont|kufi|nastaliq|looped"
)
"""Parts of names of fonts that are used only if no other font has the characters."""


@dataclass(frozen=True, slots=True)
class Script:
    """A writing system, or emoji, and how to recognize fonts for it.

    Attributes:
        name: the English name, for messages.
        sample: a character that every font for the script has.
        hints: parts of the names of suitable font files, in lower case.
    """

    name: str
    sample: str
    hints: tuple[str, ...] = ()


_CHINESE = ("cjk", "wqy", "fallback", "sourcehan", "pingfang", "hiragino", "heiti", "yahei", "notosanssc", "msgothic")
_EMOJI = Script("emoji", "\N{CAT}", ("emoji", "symbola"))
_SCRIPTS: Mapping[str, Script] = {
    "LATIN": Script("accented Latin", "\N{LATIN SMALL LETTER E WITH ACUTE}"),
    "GREEK": Script("Greek", "\N{GREEK CAPITAL LETTER OMEGA}"),
    "CYRILLIC": Script("Cyrillic", "\N{CYRILLIC CAPITAL LETTER ZHE}"),
    "CJK": Script("Chinese", "\u4e2d", _CHINESE),
    "HIRAGANA": Script("Japanese", "\N{HIRAGANA LETTER KA}", _CHINESE),
    "KATAKANA": Script("Japanese", "\N{KATAKANA LETTER KA}", _CHINESE),
    "HANGUL": Script("Korean", "\ud55c", (*_CHINESE, "nanum", "malgun", "gothicneo")),
    "ARABIC": Script("Arabic", "\N{ARABIC LETTER SHEEN}", ("arabic", "naskh", "geeza")),
    "HEBREW": Script("Hebrew", "\N{HEBREW LETTER ALEF}", ("hebrew",)),
    "DEVANAGARI": Script("Devanagari", "\N{DEVANAGARI LETTER KA}", ("devanagari", "lohit-deva", "kohinoor", "nirmala")),
    "BENGALI": Script("Bengali", "\N{BENGALI LETTER KA}", ("bengali", "bangla", "nirmala")),
    "TAMIL": Script("Tamil", "\N{TAMIL LETTER KA}", ("tamil", "nirmala")),
    "TELUGU": Script("Telugu", "\N{TELUGU LETTER KA}", ("telugu", "nirmala")),
    "GUJARATI": Script("Gujarati", "\N{GUJARATI LETTER KA}", ("gujarati", "nirmala")),
    "GURMUKHI": Script("Gurmukhi", "\N{GURMUKHI LETTER KA}", ("gurmukhi", "nirmala")),
    "KANNADA": Script("Kannada", "\N{KANNADA LETTER KA}", ("kannada", "nirmala")),
    "MALAYALAM": Script("Malayalam", "\N{MALAYALAM LETTER KA}", ("malayalam", "nirmala")),
    "SINHALA": Script("Sinhala", "\N{SINHALA LETTER ALPAPRAANA KAYANNA}", ("sinhala", "nirmala")),
    "THAI": Script("Thai", "\N{THAI CHARACTER KO KAI}", ("thai", "thonburi", "leelawadee")),
    "LAO": Script("Lao", "\N{LAO LETTER KO}", ("lao", "leelawadee")),
    "KHMER": Script("Khmer", "\N{KHMER LETTER KA}", ("khmer", "leelawadee")),
    "MYANMAR": Script("Burmese", "\N{MYANMAR LETTER KA}", ("myanmar",)),
    "GEORGIAN": Script("Georgian", "\N{GEORGIAN LETTER AN}", ("georgian",)),
    "ARMENIAN": Script("Armenian", "\N{ARMENIAN CAPITAL LETTER AYB}", ("armenian",)),
    "ETHIOPIC": Script("Ethiopic", "\N{ETHIOPIC SYLLABLE HA}", ("ethiopic", "abyssinica")),
}
"""Scripts by the first word of the Unicode names of their characters."""

_COMMON = ("LATIN", "GREEK", "CYRILLIC", "CJK", "HIRAGANA", "HANGUL", "ARABIC", "HEBREW", "DEVANAGARI", "THAI")
"""The scripts that `FontSet.missing` reports, with emoji."""


def script_of(cluster: str) -> Script | None:
    """Return the script of the first character of `cluster`; None for symbols, punctuation and rare scripts."""
    if "\ufe0f" in cluster or is_emoji(cluster[0]):
        return _EMOJI
    name = unicodedata.name(cluster[0], "")
    return _SCRIPTS.get(re.split(r"[ -]", name, maxsplit=1)[0])


def is_joiner(character: str) -> bool:
    """Return whether `character` is invisible and selects the form of its neighbors, as a zero-width joiner does."""
    return character in _JOINERS


def is_emoji(character: str) -> bool:
    """Return whether `character` is in one of the Unicode blocks of emoji, which are usually shown in color."""
    return "\U0001f1e6" <= character <= "\U0001faff"


@dataclass(frozen=True, slots=True)
class Face:
    """A font at one size.

    Attributes:
        font: the loaded font.
        scale: the factor from the size of `font` to the requested size; 1 unless the font contains only bitmaps.
        is_shaped: whether Pillow shapes text in this font: joins letters, orders them by direction, and so on.
    """

    font: ImageFont.FreeTypeFont
    scale: float = 1.0

    @property
    def is_shaped(self) -> bool:
        return self.font.layout_engine == ImageFont.Layout.RAQM


@dataclass(frozen=True, slots=True)
class FontFile:
    """A font file; `path` is None for the font bundled with Pillow."""

    path: str | None = None

    @property
    def name(self) -> str:
        """The name of the file in lower case, without folder."""
        return "" if self.path is None else Path(self.path).name.lower()

    def at(self, size: int) -> Face:
        """Return the font at `size` pixels.

        Raises:
            OSError: the file cannot be read.
        """
        return _face(self.path, size)

    def has(self, cluster: str) -> bool:
        """Return whether the font has all characters of `cluster`."""
        return all(c in _JOINERS or _has(self.path, c) for c in cluster)


BUNDLED = FontFile()


@lru_cache(maxsize=128)
def _face(path: str | None, size: int) -> Face:
    if path is None:
        font = ImageFont.load_default(size)
        if not isinstance(font, ImageFont.FreeTypeFont):
            raise OSError("expected Pillow with FreeType, got Pillow without it; install a wheel of Pillow from PyPI")
        return Face(font)
    try:
        font = ImageFont.truetype(path, size)
    except OSError:
        strike, font = _bitmaps(path)
        return Face(font, size / strike)
    _make_regular(font)
    return Face(font)


def _bitmaps(path: str) -> tuple[int, ImageFont.FreeTypeFont]:
    """Open a font that contains only bitmaps. Return the first of `_STRIKES` that it has, and the font at that size.

    Raises:
        OSError: the file cannot be read, or has no bitmaps of these sizes.
    """
    for strike in _STRIKES[:-1]:
        try:
            return strike, ImageFont.truetype(path, strike)
        except OSError:
            continue
    return _STRIKES[-1], ImageFont.truetype(path, _STRIKES[-1])


def _make_regular(font: ImageFont.FreeTypeFont) -> None:
    """Set a variable font to its regular weight, because the default weight of some fonts is thin."""
    try:
        axes = font.get_variation_axes()
    except (OSError, NotImplementedError):  # not a variable font
        return
    font.set_variation_by_axes(
        [
            _REGULAR_WEIGHT if _axis_name(axis["name"]) in _WEIGHT_NAMES else axis["default"] or axis["minimum"] or 0
            for axis in axes
        ]
    )


def _axis_name(name: object) -> str:
    return name.decode("ascii", "replace").lower() if isinstance(name, bytes) else str(name).lower()


@lru_cache(maxsize=1 << 16)
def _has(path: str | None, character: str) -> bool:
    if path is not None and ord(character) not in _characters(path):
        return False
    if character in _BLANK:
        return path is not None
    # A font may map a character to the box for missing ones, or to an empty glyph, so draw it.
    try:
        drawn = _drawn(path, character)
        return any(drawn[1]) and drawn != _placeholder(path)
    except (OSError, ValueError):  # not a font, or one that FreeType cannot draw
        return False


@lru_cache(maxsize=MOST_FILES)
def _characters(path: str) -> Characters:
    return characters_of(path)


@lru_cache(maxsize=1024)
def _placeholder(path: str | None) -> tuple[tuple[int, int], bytes]:
    return _drawn(path, _NO_CHARACTER)


def _drawn(path: str | None, character: str) -> tuple[tuple[int, int], bytes]:
    mask = _face(path, _PROBED).font.getmask(character)
    return mask.size, bytes(mask)


class FontSet:
    """The fonts from which text is drawn: the bundled font, and font files that are looked for on first use.

    Args:
        find: returns the paths of the font files.
        is_complete: whether the set has all fonts of this machine. If so, `report_missing` recommends more fonts.
    """

    def __init__(self, find: Callable[[], Iterable[Path]] = tuple, *, is_complete: bool = True) -> None:
        self._find = find
        self._is_complete = is_complete
        self._lock = threading.Lock()
        self._files: tuple[FontFile, ...] | None = None
        self._by_script: dict[Script, tuple[FontFile, ...]] = {}
        self._fonts: dict[str, FontFile | None] = {}
        self._reported: set[str] = set()

    def font_of(self, cluster: str) -> FontFile | None:
        """Return the font for a character with its marks; None if no font has all of them. Thread-safe."""
        if cluster.isascii():
            return BUNDLED
        with self._lock:
            if cluster not in self._fonts:
                if len(self._fonts) >= _MOST_CLUSTERS:
                    self._fonts.clear()
                self._fonts[cluster] = self._look_for(cluster)
            return self._fonts[cluster]

    def missing(self) -> Sequence[str]:
        """Return the names of common scripts for which there is no font."""
        scripts = [*(_SCRIPTS[name] for name in _COMMON), _EMOJI]
        return [each.name for each in scripts if self.font_of(each.sample) is None]

    def report_missing(self, cluster: str) -> None:
        """Log a warning that no font has `cluster`, once for each script.

        No warning is logged for unassigned characters and characters for private use.
        """
        if any(unicodedata.category(c) in _UNDRAWN for c in cluster):
            return
        script = script_of(cluster)
        name = "some symbols" if script is None else script.name
        with self._lock:
            if name in self._reported:
                return
            self._reported.add(name)
        code = f"U+{ord(cluster[0]):04X}"
        shown = f"prompts show the code points of these characters ({code})"
        if self._is_complete:
            logger.warning("no font for %s on this machine, so %s; %s", name, shown, ADVICE)
        else:
            logger.warning("no font for %s, because the setting `fonts` is `bundled`, so %s", name, shown)

    def _look_for(self, cluster: str) -> FontFile | None:
        if BUNDLED.has(cluster):
            return BUNDLED
        script = script_of(cluster)
        # A file without the sample has only some characters of the script, and words would be drawn in two fonts.
        sample = "" if script is None else script.sample
        return next((file for file in self._ranked(script) if file.has(sample) and file.has(cluster)), None)

    def _ranked(self, script: Script | None) -> tuple[FontFile, ...]:
        """Return all font files. The files that are most suitable for `script` come first."""
        if self._files is None:
            paths = islice((path for path in self._find() if path.suffix.lower() in _SUFFIXES), MOST_FILES)
            files = dict.fromkeys(FontFile(str(path)) for path in paths if not _PLACEHOLDERS.search(path.name.lower()))
            self._files = tuple(sorted(files, key=_rank))
        if script is None:
            return self._files
        if script not in self._by_script:
            hinted = sorted(self._files, key=lambda file: not any(hint in file.name for hint in script.hints))
            self._by_script[script] = tuple(hinted)
        return self._by_script[script]


_MOST_CLUSTERS = 1 << 14
"""Maximum number of clusters whose font a `FontSet` remembers."""

ADVICE = f"install fonts such as Noto, or run `pip install {' '.join(PACKAGES)}`".replace("_", "-")
"""What to do about missing fonts."""


def _rank(file: FontFile) -> tuple[int, bool, str, str]:
    return len(_LESS_READABLE.findall(file.name)), "sans" not in file.name, file.name, file.path or ""


@lru_cache(maxsize=1)
def machine_fonts() -> FontSet:
    """Return the fonts of this machine and of the installed packages. They are looked for once per process."""
    return FontSet(_installed)


@lru_cache(maxsize=1)
def bundled_fonts() -> FontSet:
    """Return only the font bundled with Pillow."""
    return FontSet(is_complete=False)


def font_set(fonts: Fonts) -> FontSet:
    """Return the fonts that the setting `fonts` names."""
    return machine_fonts() if fonts == "machine" else bundled_fonts()


def _installed() -> Iterator[Path]:
    for folder in (*_package_folders(), *font_folders(sys.platform, os.environ, _home())):
        for root, _, names in os.walk(folder):
            yield from (Path(root, name) for name in names)


def _package_folders() -> Iterator[Path]:
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        if spec is not None:
            yield from map(Path, spec.submodule_search_locations or ())


def _home() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:  # a process without HOME, whose user has no entry in the password database
        return None


def font_folders(platform: str, environment: Mapping[str, str], home: Path | None) -> list[Path]:
    """Return the folders in which a platform, as in `sys.platform`, keeps its fonts.

    Without a home folder, only the folders that do not depend on it are returned.
    """
    if platform == "win32":
        system = Path(environment.get("WINDIR", r"C:\Windows"))
        local = _paths(environment.get("LOCALAPPDATA")) or _below(home, "AppData", "Local")
        return [system / "Fonts", *(each / "Microsoft" / "Windows" / "Fonts" for each in local)]
    if platform == "darwin":
        return [Path("/System/Library/Fonts"), Path("/Library/Fonts"), *_below(home, "Library", "Fonts")]
    # The folders of fontconfig (XDG Base Directory Specification).
    data = _paths(environment.get("XDG_DATA_HOME")) or _below(home, ".local", "share")
    shared = environment.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    return [*(each / "fonts" for each in (*data, *_paths(*shared.split(":")))), *_below(home, ".fonts")]


def _paths(*paths: str | None) -> list[Path]:
    return [Path(each) for each in paths if each]


def _below(home: Path | None, *parts: str) -> list[Path]:
    return [] if home is None else [home.joinpath(*parts)]
