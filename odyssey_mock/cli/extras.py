"""Check that the extras of `odyssey-testkit` are installed that the commands of `odyssey-mock` need."""

import importlib.util

import click

from odyssey_mock.doctor.required_modules import MOCK_MODULES

VERIFY_MODULES = ("jsonschema", "referencing", "rfc3339_validator")
"""Modules that the extra `verify` installs."""


def require_mock() -> None:
    """Check that the extra `mock` is installed.

    Raises:
        click.ClickException: the extra is not installed.
    """
    if not all(importlib.util.find_spec(name) for name in MOCK_MODULES):
        raise click.ClickException("odyssey-mock requires the extra `mock`: pip install 'odyssey-testkit[mock]'")


def require_verify() -> None:
    """Check that the extra `verify` is installed.

    Raises:
        click.UsageError: the extra is not installed.
    """
    if not all(importlib.util.find_spec(name) for name in VERIFY_MODULES):
        raise click.UsageError("odyssey-mock verify requires the extra `verify`: pip install 'odyssey-testkit[verify]'")
