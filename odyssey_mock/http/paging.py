"""`page_of`, which takes one page from a list that is too long to be copied."""

import itertools
from collections.abc import Iterable


def page_of[Item](items: Iterable[Item], total: int, *, offset: int, limit: int) -> list[Item]:
    """Return at most `limit` of the items, from `offset` on; `total` is their number, or a higher one.

    An offset above `total` gives an empty page.
    """
    start = min(offset, total)  # `islice` accepts no number above `sys.maxsize`
    return list(itertools.islice(items, start, start + min(limit, total)))
