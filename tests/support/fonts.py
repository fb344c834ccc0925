"""A check that the machine has fonts for tests in many writing systems, and a fake `FontSet`."""

from collections.abc import Mapping

from odyssey_mock.media.fonts import BUNDLED, FontFile, FontSet, machine_fonts
from tests.support.requirements import require


def require_fonts() -> FontSet:
    """Return the fonts of the machine. If they lack a common writing system, the test is skipped or, in CI, fails."""
    fonts = machine_fonts()
    if missing := fonts.missing():
        require(f"this machine has no fonts for {', '.join(missing)}")
    return fonts


class TableOfFonts(FontSet):
    """A fake `FontSet`, created from a table of font names and their characters, in order of preference."""

    def __init__(self, table: Mapping[str, str]) -> None:
        super().__init__()
        self._table = {_TableFont(name, characters): characters for name, characters in table.items()}

    def font_of(self, cluster: str) -> FontFile | None:
        if cluster.isascii():
            return BUNDLED
        return next((font for font in self._table if font.has(cluster)), None)


class _TableFont(FontFile):
    __slots__ = ("_characters",)

    def __init__(self, name: str, characters: str) -> None:
        super().__init__(name)
        object.__setattr__(self, "_characters", frozenset(characters))

    def has(self, cluster: str) -> bool:
        characters: frozenset[str] = self._characters  # type: ignore[attr-defined]  # set above
        return all(c in characters or c in "\u200c\u200d\ufe0f" for c in cluster)
