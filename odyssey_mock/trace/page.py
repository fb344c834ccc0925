"""The page that shows a trace: the files of `pages/viewer/` in one HTML file, which works from disk and offline."""

import base64
import hashlib
import json
import re
from functools import cache
from html import escape
from pathlib import Path

from odyssey_mock.pages import page_files

_PAGE = "viewer"
"""The folder of the page in `pages/`."""
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
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], page_files.text("viewer/index.html"))


@cache
def _parts() -> dict[str, str]:
    """Return the contents of the places of `index.html` that are the same in every page.

    An import map leads each name of a module to a `data:` URL, because a page on disk cannot import other files.
    """
    return {
        "style": page_files.style(_PAGE),
        "imports": json.dumps(
            {"imports": {name: _data_url(name, file) for name, file in page_files.module_files(_PAGE).items()}}
        ),
        "licenses": escape(page_files.licenses(_PAGE), quote=False),
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
