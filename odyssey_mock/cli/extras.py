"""Checks that the extras `mock` and `sim` of `odyssey-testkit` are installed. Commands of `odyssey-mock` need them."""

import importlib.util

import click

from odyssey_mock.doctor.required_modules import MOCK_MODULES


def require_mock() -> None:
    """Check that the extra `mock` is installed.

    Raises:
        click.ClickException: the extra is not installed.
    """
    if not all(importlib.util.find_spec(name) for name in MOCK_MODULES):
        raise click.ClickException("odyssey-mock requires the extra `mock`: pip install 'odyssey-testkit[mock]'")


def require_sim(command: str) -> None:
    """Check that the extra `sim` is installed, which `command` requires.

    Raises:
        CannotExploreError: the extra is not installed.
    """
    from odyssey_mock.explore.options import CannotExploreError  # noqa: PLC0415 - only the explorer needs this module

    if importlib.util.find_spec("simloop") is None:
        raise CannotExploreError(
            f"odyssey-mock {command} requires the extra `sim`: pip install 'odyssey-testkit[mock,sim]'"
        )
