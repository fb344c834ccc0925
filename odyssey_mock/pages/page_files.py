"""The files of the web pages: modules, libraries, styles and licenses, by the names with which modules import them."""

from collections.abc import Mapping
from pathlib import Path

PAGES = Path(__file__).parent
_LIBRARIES = {
    "preact": "preact.js",
    "preact/hooks": "preact-hooks.js",
    "htm": "htm.js",
    "uplot": "uplot.js",
    "fflate": "fflate.js",
}
"""The libraries in `vendor/` that the shared components use, by the names with which modules import them."""
_OWN_LIBRARIES = {"console": {"uqr": "uqr.js"}}
"""The libraries that only one page uses, by the page."""


def module_files(page: str) -> Mapping[str, Path]:
    """Return the files of the libraries, of the shared components and of a page, by the names of their imports.

    Args:
        page: the folder of the page, such as `viewer`.
    """
    libraries = {name: PAGES / "vendor" / file for name, file in _libraries(page).items()}
    own = {
        f"{folder}/{file.name}": file
        for folder in ("components", page)
        for file in sorted((PAGES / folder).glob("*.js"))
    }
    return libraries | own


def text(name: str) -> str:
    """Return the contents of a file, by its path below `pages/`."""
    return (PAGES / name).read_text(encoding="utf-8")


def style(page: str) -> str:
    """Return the style sheet of a page: that of the plots, of the components, and its own."""
    return "".join(
        map(text, ("vendor/uplot.css", "components/theme.css", "components/components.css", f"{page}/{page}.css"))
    )


def licenses(page: str) -> str:
    """Return the licenses of the libraries of a page as text."""
    names = {Path(file).stem.partition("-")[0] for file in _libraries(page).values()}
    files = [PAGES / "vendor" / f"{name}.LICENSE" for name in sorted(names)]
    return "\n\n".join(f"{file.stem}\n\n{file.read_text(encoding='utf-8')}" for file in files)


def _libraries(page: str) -> Mapping[str, str]:
    """Return the libraries of a page, by the names with which modules import them."""
    return _LIBRARIES | _OWN_LIBRARIES.get(page, {})
