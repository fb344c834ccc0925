"""Tests of the page that shows a trace, as text. tests/contract/browser/test_trace_viewer.py opens it in browsers."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from odyssey_mock.trace.page import viewer_page
from tests.support import sample_traces


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the text of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self._is_inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))
        self.texts.append("")
        self._is_inside = True

    def handle_endtag(self, tag: str) -> None:
        self._is_inside = False

    def handle_data(self, data: str) -> None:
        if self._is_inside:
            self.texts[-1] += data

    def text(self, tag: str, **attributes: str) -> str:
        """Return the text of the only element with this tag and these attributes."""
        [place] = [
            number
            for number, (name, given) in enumerate(self.found)
            if name == tag and attributes.items() <= given.items()
        ]
        return self.texts[place]


@pytest.mark.parametrize("trace", [None, sample_traces.failed_assertion()], ids=["empty", "with trace"])
def test_page_refers_to_no_other_file(trace: bytes | None) -> None:
    elements = Elements(viewer_page(trace)).found

    links = [value for _, given in elements for name, value in given.items() if name in {"src", "href"}]
    assert links == ["data:,"], f"expected no link except the empty icon, got {links}"


def test_page_contains_the_trace_unchanged() -> None:
    trace = sample_traces.passed()

    embedded = Elements(viewer_page(trace)).text("script", id="trace")
    assert base64.b64decode(embedded) == trace


def test_policy_permits_only_the_inline_scripts() -> None:
    page = Elements(viewer_page(sample_traces.passed()))
    [policy] = [given["content"] for tag, given in page.found if given.get("http-equiv") == "Content-Security-Policy"]
    executed = [given for tag, given in page.found if tag == "script" and given.get("type") in {"importmap", "module"}]

    style = base64.b64encode(hashlib.sha256(page.text("style").encode()).digest()).decode()
    nonces = {given["nonce"] for given in executed}
    assert policy.split("; ") == [
        "default-src 'none'",
        f"script-src 'nonce-{nonces.pop()}'",
        f"style-src 'sha256-{style}'",
        "img-src data: blob:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    assert not nonces, f"expected one nonce for all scripts, got also {nonces}"


def test_nonce_differs_between_two_traces() -> None:
    nonces = [re.search(r"'nonce-(\w+)'", viewer_page(trace)) for trace in (sample_traces.passed(), None)]

    one, other = (found and found[1] for found in nonces)
    assert one != other


def test_name_of_the_file_is_escaped() -> None:
    page = Elements(viewer_page(sample_traces.passed(), name=sample_traces.MARKUP))

    [name] = [given["data-name"] for _, given in page.found if given.get("id") == "trace"]
    assert name == sample_traces.MARKUP
    assert all(tag != "img" for tag, _ in page.found), "expected the markup in the name to be no element"


def test_page_contains_the_licenses() -> None:
    licenses = Elements(viewer_page(None)).text("script", id="licenses")

    for name in ("preact", "htm", "uplot", "fflate"):
        assert f"{name}\n\n" in licenses, f"expected the license of {name} in the page"
