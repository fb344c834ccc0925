"""Check that the extra `mock` of `odyssey-testkit` is installed, which the commands of `odyssey-mock` need."""

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
