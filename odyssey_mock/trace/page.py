"""The page that shows a trace: the files of `viewer/` in one HTML file, which works from disk and offline."""

import base64
import hashlib
import json
import re
from functools import cache
from html import escape
from pathlib import Path

_VIEWER = Path(__file__).parent / "viewer"
_LIBRARIES = {
    "preact": "preact.js",
    "preact/hooks": "preact-hooks.js",
    "htm": "htm.js",
    "uplot": "uplot.js",
    "fflate": "fflate.js",
}
"""The libraries in `viewer/vendor/`, by the names with which modules import them."""
_SOURCE_MAP = re.compile(r"^//# sourceMappingURL=.*$", re.MULTILINE)


def viewer_page(trace: bytes | None, *, name: str = "trace.odytrace") -> str:
    """Return an HTML page that shows a trace.

    Args:
        trace: The contents of a trace file. None returns a page that shows the file that its user chooses or drops.
        name: Name of the file, which the page mentions if it cannot show it.
    """
    embedded = ""
    if trace is not None:
        content = base64.b64encode(trace).decode()
        embedded = f'<script type="application/x-odytrace" id="trace" data-name="{escape(name)}">{content}</script>'
    parts = {**_parts(), "trace": embedded}
    # A hash of everything in the page, so that nothing in the page can contain it.
    nonce = hashlib.sha256("".join(parts.values()).encode()).hexdigest()[:32]
    parts |= {"nonce": nonce, "policy": _policy(nonce, parts["style"])}
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], _read("index.html"))


def _module_files() -> dict[str, Path]:
    """Return the files of all modules of the viewer by the names with which modules import them."""
    libraries = {name: _VIEWER / "vendor" / file for name, file in _LIBRARIES.items()}
    return libraries | {f"viewer/{file.name}": file for file in sorted(_VIEWER.glob("*.js"))}


@cache
def _parts() -> dict[str, str]:
    """Return the contents of the places of `index.html` that are the same in every page.

    An import map leads each name of a module to a `data:` URL, because a page on disk cannot import other files.
    """
    licenses = "\n\n".join(
        f"{file.stem}\n\n{file.read_text(encoding='utf-8')}" for file in sorted((_VIEWER / "vendor").glob("*.LICENSE"))
    )
    return {
        "style": _read("vendor/uplot.css") + _read("viewer.css"),
        "imports": json.dumps({"imports": {name: _data_url(name, file) for name, file in _module_files().items()}}),
        "licenses": escape(licenses, quote=False),
    }


def _policy(nonce: str, style: str) -> str:
    """Return the Content Security Policy of a page: only scripts with `nonce` and their imports, and no requests."""
    hashed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'nonce-{nonce}'",
            f"style-src 'sha256-{hashed}'",
            "img-src data: blob:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _data_url(name: str, file: Path) -> str:
    """Return a module as a URL. Its last line gives its name to the developer tools of browsers."""
    code = _SOURCE_MAP.sub("", file.read_text(encoding="utf-8"))
    content = base64.b64encode(f"{code}\n//# sourceURL={name}\n".encode()).decode()
    return f"data:text/javascript;base64,{content}"


def _read(name: str) -> str:
    return (_VIEWER / name).read_text(encoding="utf-8")
