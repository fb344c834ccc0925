"""Tests that fonts are found where platforms and packages keep them, and that the most suitable one is chosen."""

import pwd
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from odyssey_mock.media import fonts as fonts_module
from odyssey_mock.media.fonts import BUNDLED, FontFile, FontSet, bundled_fonts, font_folders, font_set, machine_fonts
from tests.support.fonts import require_fonts

HOME = Path("/home/anna")


@pytest.mark.parametrize(
    ("platform", "environment", "folders"),
    [
        (
            "linux",
            {},
            ["/home/anna/.local/share/fonts", "/usr/local/share/fonts", "/usr/share/fonts", "/home/anna/.fonts"],
        ),
        (
            "linux",
            {"XDG_DATA_HOME": "/x", "XDG_DATA_DIRS": "/y::/z"},
            ["/x/fonts", "/y/fonts", "/z/fonts", "/home/anna/.fonts"],
        ),
        ("darwin", {}, ["/System/Library/Fonts", "/Library/Fonts", "/home/anna/Library/Fonts"]),
        (
            "win32",
            {"WINDIR": "/windows", "LOCALAPPDATA": "/local"},
            ["/windows/Fonts", "/local/Microsoft/Windows/Fonts"],
        ),
    ],
)
def test_fonts_are_in_folders_of_the_platform(
    platform: str, environment: Mapping[str, str], folders: list[str]
) -> None:
    assert [folder.as_posix() for folder in font_folders(platform, environment, HOME)] == folders


@pytest.mark.parametrize(
    ("platform", "environment", "folders"),
    [
        ("linux", {}, ["/usr/local/share/fonts", "/usr/share/fonts"]),
        ("linux", {"XDG_DATA_HOME": "/x", "XDG_DATA_DIRS": "/y"}, ["/x/fonts", "/y/fonts"]),
        ("darwin", {}, ["/System/Library/Fonts", "/Library/Fonts"]),
        ("win32", {"WINDIR": "/windows"}, ["/windows/Fonts"]),
        (
            "win32",
            {"WINDIR": "/windows", "LOCALAPPDATA": "/local"},
            ["/windows/Fonts", "/local/Microsoft/Windows/Fonts"],
        ),
    ],
)
def test_folders_of_a_missing_home_are_left_out(
    platform: str, environment: Mapping[str, str], folders: list[str]
) -> None:
    assert [folder.as_posix() for folder in font_folders(platform, environment, None)] == folders


def test_user_without_a_home_has_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(uid: int) -> pwd.struct_passwd:
        raise KeyError(uid)

    fonts = set(fonts_module._installed())
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(RuntimeError, match="home"):
        Path.home()
    assert set(fonts_module._installed()) <= fonts


def test_bundled_font_is_used_if_possible() -> None:
    assert bundled_fonts().font_of("a") == bundled_fonts().font_of("©") == BUNDLED
    assert bundled_fonts().font_of("\u4e2d") is None
    assert machine_fonts().font_of("a") == BUNDLED


def test_setting_chooses_the_fonts() -> None:
    assert font_set("machine") is machine_fonts()
    assert font_set("bundled") is bundled_fonts()


def test_fonts_are_found_once_if_needed() -> None:
    looked = list[int]()

    def find() -> list[Path]:
        looked.append(1)
        return []

    fonts = FontSet(find)
    assert fonts.font_of("cat©") == BUNDLED
    assert looked == []
    assert (fonts.font_of("\u4e2d"), fonts.font_of("\u6587")) == (None, None)
    assert looked == [1]


def test_missing_scripts_are_listed() -> None:
    assert FontSet().missing() == [
        "accented Latin",
        "Greek",
        "Cyrillic",
        "Chinese",
        "Japanese",
        "Korean",
        "Arabic",
        "Hebrew",
        "Devanagari",
        "Thai",
        "emoji",
    ]


def test_damaged_and_other_files_are_ignored(tmp_path: Path) -> None:
    for name in ("broken.ttf", "empty.otf", "readme.txt"):
        (tmp_path / name).write_bytes(b"not a font" if name != "empty.otf" else b"")
    fonts = FontSet(lambda: [*tmp_path.iterdir(), tmp_path / "absent.ttc"])
    assert fonts.font_of("\u4e2d") is None


def test_blank_character_has_the_font_of_its_script() -> None:
    font = require_fonts().font_of("\N{BRAILLE PATTERN DOTS-123456}")
    if font is None:
        pytest.skip("no font for Braille on this machine")
    assert machine_fonts().font_of("\N{BRAILLE PATTERN BLANK}") is not None
    assert bundled_fonts().font_of("\N{BRAILLE PATTERN BLANK}") is None


@pytest.fixture
def cyrillic() -> Path:
    """Return the path of a font with Cyrillic letters."""
    font = require_fonts().font_of("\u0416")
    assert font is not None
    assert font.path is not None
    return Path(font.path)


def test_regular_sans_font_is_preferred(tmp_path: Path, cyrillic: Path) -> None:
    for name in (
        "A-Bold.ttf",
        "B-Serif.ttf",
        "C.ttf",
        "D-Sans-Italic.ttf",
        "E-Sans.ttf",
        "LastResort.ttf",
        "F-Sans.txt",
    ):
        shutil.copy(cyrillic, tmp_path / name)
    paths = sorted(tmp_path.iterdir())
    for find in (lambda: paths, lambda: paths[::-1]):
        fonts = FontSet(find)
        assert fonts.font_of("\u0416") == FontFile(str(tmp_path / "E-Sans.ttf"))


def test_choice_does_not_depend_on_earlier_texts(tmp_path: Path) -> None:
    text = ["\u0416", "\u00e9", "\u4e2d", "\u05d0", "\u0e01", "\u0634", "\u2600", "\U0001f408"]
    require_fonts()
    chosen = [FontSet(fonts_module._installed).font_of(each) for each in text]
    backwards = FontSet(fonts_module._installed)
    assert [backwards.font_of(each) for each in reversed(text)][::-1] == chosen


def test_fonts_of_an_installed_package_are_found(
    tmp_path: Path, cyrillic: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "manimgx_fonts"
    package.mkdir()
    (package / "__init__.py").touch()
    shutil.copy(cyrillic, package / "Sans[wght].ttf")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert package / "Sans[wght].ttf" in set(fonts_module._installed())
