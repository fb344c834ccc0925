"""Tables that scripts write into the pages of docs/.

On a page, a table is between `<!-- table: NAME -->` and `<!-- /table -->`. All other text is written by hand.
"""

import re
from collections.abc import Mapping
from pathlib import Path

_PLACE = re.compile(
    r"(?P<begin><!-- table: (?P<name>\w+) -->\n)(?:(?!<!-- table: ).)*?(?P<end><!-- /table -->)", re.DOTALL
)


class TableError(Exception):
    """A page does not have one place for a table."""


def with_tables(page: Path, tables: Mapping[str, str]) -> str:
    """Return the text of a page with these tables, by name. Other tables of the page stay as they are.

    Raises:
        TableError: the page has no place for a table, or several.
    """
    text = page.read_text(encoding="utf-8")
    places = [place["name"] for place in _PLACE.finditer(text)]
    for name in tables:
        if (found := places.count(name)) != 1:
            raise TableError(f"{page.name}: expected one <!-- table: {name} --> to <!-- /table -->, got {found}")

    def drawn(place: re.Match[str]) -> str:
        name = place["name"]
        return f"{place['begin']}{tables[name]}{place['end']}" if name in tables else place[0]

    return _PLACE.sub(drawn, text)
