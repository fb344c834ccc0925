"""Lists of the command line: a page of them, or all."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Sequence

import click

PAGE = click.IntRange(1, 100)


def paging_options[**P, T](function: Callable[P, T]) -> Callable[P, T]:
    """Add ``--limit``, ``--offset`` and ``--all``, as ``limit``, ``offset`` and ``everything``."""
    for option in (
        click.option("--all", "everything", is_flag=True, help="All there are, however many."),
        click.option("--offset", type=click.IntRange(min=0), help="How many of the newest to leave out."),
        click.option("--limit", type=PAGE, help="How many at most.  [default: what the service gives]"),
    ):
        function = option(function)
    return function


def check_paging(*, limit: int | None, offset: int | None, everything: bool) -> None:
    if everything and (limit is not None or offset is not None):
        raise click.UsageError("--all goes without --limit and --offset.")


async def gather[T](items: AsyncIterable[T]) -> list[T]:
    return [item async for item in items]


def footer(shown: Sequence[object], total: int, offset: int, what: str) -> str:
    """Say of which part of how many a list is; empty where it is the whole."""
    if len(shown) >= total:
        return ""
    if not shown:
        return f"There are {total} {what}, and none after the first {offset}."
    return f"{offset + 1} to {offset + len(shown)} of {total} {what}; --all lists all."
