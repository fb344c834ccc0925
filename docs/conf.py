"""Configuration of Sphinx, which builds the documentation site (`make docs`)."""

import os
import re
from importlib.metadata import version as version_of
from pathlib import Path

import click
from sphinx.application import Sphinx

from odyssey_client.cli.app import main as odyssey
from odyssey_client.terminal.lazy_group import LazyCommand
from odyssey_mock.cli.app import main as odyssey_mock

DOCS = Path(__file__).parent
ROOT = DOCS.parent

project = "Odyssey Testkit"
version = release = version_of("odyssey-testkit")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
    "sphinxcontrib.mermaid",
]

html_theme = "furo"
html_title = f"{project} {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_copyright = False
html_copy_source = False

# GitHub draws these blocks too.
myst_fence_as_directive = ["mermaid"]
# Headings have the anchors that GitHub gives them: the pages can be read in both places.
myst_heading_anchors = 4

# The ids of statements in protocol.md are anchors in HTML, which Sphinx does not read.
# tests/test_docs.py checks the links to them.
nitpick_ignore_regex = [("myst", r"[a-z-]+\.[a-z0-9-]+\.[a-z0-9-]+")]

# In docstrings, `name` is a link if the site describes the name, and code otherwise.
default_role = "py:obj"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
# Dashes and quotes in the help of the commands are those of the command line.
smartquotes = False
# Both packages have a `Clock`. A signature names it without its package, and the first one becomes the link.
suppress_warnings = ["ref.python"]
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88

# A prompt is not a part of the command.
copybutton_prompt_text = "$ "

LINK = re.compile(r"\[([^\]]+)\]\((\.\./[^)#]+)(#[^)]*)?\)")
PAGES = {ROOT / "CONTRIBUTING.md": DOCS / "contributing.md", ROOT / "CHANGELOG.md": DOCS / "changelog.md"}
"""Files outside of this folder that the site includes, with the page of each."""


def link_to_repository(app: Sphinx, docname: str, source: list[str]) -> None:
    """Replace the links of a page to files that the site does not have by links to the repository.

    GitHub Actions states the address of the repository. Where it is unknown, the text of the link remains.
    """
    page = Path(app.env.doc2path(docname))
    repository = os.environ.get("GITHUB_REPOSITORY")

    def replaced(link: re.Match[str]) -> str:
        text, path, anchor = link[1], link[2], link[3] or ""
        target = (page.parent / path).resolve()
        if target.is_relative_to(DOCS):
            return link[0]
        if target in PAGES:
            return f"[{text}]({os.path.relpath(PAGES[target], page.parent)}{anchor})"
        if repository is None:
            return text
        return f"[{text}](https://github.com/{repository}/blob/main/{target.relative_to(ROOT)}{anchor})"

    source[0] = LINK.sub(replaced, source[0])


def import_commands(group: click.Group) -> None:
    """Import the subcommands of a group, which are otherwise imported when they are used."""
    for name, command in list(group.commands.items()):
        if isinstance(command, LazyCommand):
            group.add_command(command.load(), name)
    for command in group.commands.values():
        if isinstance(command, click.Group):
            import_commands(command)


def escape_asterisks(_app: Sphinx, _context: click.Context, lines: list[str]) -> None:
    """Escape glob patterns in the help of a command, which reStructuredText would read as emphasis."""
    lines[:] = [line.replace("*", r"\*") for line in lines]


def setup(app: Sphinx) -> None:
    """Connect the functions of this file to Sphinx."""
    app.connect("source-read", link_to_repository)
    for part in ("description", "options"):
        app.connect(f"sphinx-click-process-{part}", escape_asterisks)
    for group in (odyssey, odyssey_mock):
        import_commands(group)
