"""The files of the web pages: modules, libraries, styles and licenses, by the names with which modules import them."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

PAGES = Path(__file__).parent
_LIBRARIES = {
    "preact": "preact.js",
    "preact/hooks": "preact-hooks.js",
    "htm": "htm.js",
    "uplot": "uplot.js",
    "fflate": "fflate.js",
}
"""The libraries in `vendor/`, by the names with which modules import them."""


@cache
def module_files(page: str) -> Mapping[str, Path]:
    """Return the files of the libraries, of the shared components and of a page, by the names of their imports.

    Args:
        page: the folder of the page, such as `viewer`.
    """
    libraries = {name: PAGES / "vendor" / file for name, file in _LIBRARIES.items()}
    own = {
        f"{folder}/{file.name}": file
        for folder in ("components", page)
        for file in sorted((PAGES / folder).glob("*.js"))
    }
    return libraries | own


def text(name: str) -> str:
    """Return the contents of a file, by its path below `pages/`."""
    return (PAGES / name).read_text(encoding="utf-8")


@cache
def style(page: str) -> str:
    """Return the style sheet of a page: that of the plots, of the components, and its own."""
    return "".join(
        map(text, ("vendor/uplot.css", "components/theme.css", "components/components.css", f"{page}/{page}.css"))
    )


@cache
def licenses() -> str:
    """Return the licenses of the libraries as text."""
    files = sorted((PAGES / "vendor").glob("*.LICENSE"))
    return "\n\n".join(f"{file.stem}\n\n{file.read_text(encoding='utf-8')}" for file in files)
