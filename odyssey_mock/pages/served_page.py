"""`ServedPage`, a web page that the mock serves: its HTML, its Content Security Policy and its files."""

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from odyssey_mock.pages import page_files

MEDIA_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".LICENSE": "text/plain; charset=utf-8",
}
"""The media types of the files that are served, by the suffix of their names. Other files are not served."""

SHARED = ("components", "vendor")
"""The folders of `pages/` whose files belong to every page."""


@dataclass(frozen=True)
class PageFile:
    """A file as it is sent."""

    content: bytes
    media_type: str

    @property
    def etag(self) -> str:
        """The strong entity tag of the content (RFC 9110 section 8.8.3)."""
        return f'"{hashlib.sha256(self.content).hexdigest()[:32]}"'


class ServedPage:
    """A web page of the folder `pages/NAME`.

    The methods read files, so call them in a thread. They read them each time, because a page has no build step: a
    change of a file shows when the page is loaded again.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def html(self) -> tuple[PageFile, str]:
        """Return `index.html`, and the source expression of its import map for the Content Security Policy.

        The place `{{imports}}` becomes the import map, with URLs relative to that of the page, and `{{licenses}}` the
        licenses of the libraries.
        """
        files = page_files.module_files(self.name)
        urls = {name: f"./files/{path.relative_to(page_files.PAGES).as_posix()}" for name, path in files.items()}
        imports = json.dumps({"imports": urls})
        parts = {"imports": imports, "licenses": escape(page_files.licenses(self.name), quote=False)}
        page = re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], page_files.text(f"{self.name}/index.html"))
        hashed = base64.b64encode(hashlib.sha256(imports.encode()).digest()).decode()
        return PageFile(page.encode(), "text/html; charset=utf-8"), f"'sha256-{hashed}'"

    def file(self, name: str) -> PageFile | None:
        """Return the file with the path `name` below `pages/`; None if the page has no such file.

        `NAME.css` is the style sheet of the page NAME with those of the components.
        """
        if name == f"{self.name}.css":
            return PageFile(page_files.style(self.name).encode(), MEDIA_TYPES[".css"])
        path = self._files().get(name)
        return None if path is None else PageFile(path.read_bytes(), MEDIA_TYPES[path.suffix])

    def _files(self) -> dict[str, Path]:
        """Return the files of the page by name. A name of a request is only looked up here, and is never a path."""
        return {
            f"{folder}/{path.name}": path
            for folder in (self.name, *SHARED)
            for path in (page_files.PAGES / folder).iterdir()
            if path.suffix in MEDIA_TYPES
        }


def content_policy(import_map: str, connect: Sequence[str] = ()) -> str:
    """Return the Content Security Policy of a page.

    The page loads only files of its own origin, runs no inline script except its import map, and inserts no text as
    HTML. No other page can show it in a frame.

    Args:
        import_map: the source expression of the import map.
        connect: origins with which the page may connect, in addition to its own.
    """
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' {import_map}",
            "style-src 'self'",
            "img-src 'self' data: blob:",
            "media-src 'self' blob:",
            " ".join(("connect-src 'self'", *connect)),
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )
