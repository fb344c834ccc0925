"""Tests of imports and commands in installations without the optional extras."""

import subprocess
import sys

import pytest

WITHOUT = "import sys; sys.modules.update(dict.fromkeys({missing!r})); "
"""Code that makes the modules `missing` impossible to import: it sets their entries in `sys.modules` to None."""


def run(missing: list[str], code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT.format(missing=missing) + code],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("missing", ["starlette", "uvicorn", "pydantic", "jwt"])
def test_import_error_names_the_missing_extra(missing: str) -> None:
    tried = run([missing], "from odyssey_mock import MockOdyssey")
    assert tried.returncode == 1
    assert tried.stderr.splitlines()[-1] == (
        f"ImportError: odyssey_mock requires {missing}; install the extra `mock`: pip install 'odyssey-testkit[mock]'"
    )


def test_command_names_the_missing_extra() -> None:
    tried = run(["uvicorn"], "from odyssey_mock.cli import main; main(['serve'])")
    assert tried.returncode == 1
    assert tried.stderr.strip() == "Error: odyssey-mock requires the extra `mock`: pip install 'odyssey-testkit[mock]'"


def test_plugin_and_client_work_without_the_extra() -> None:
    missing = ["starlette", "uvicorn", "pydantic", "jwt"]
    tried = run(missing, "import odyssey_mock.testing.plugin, odyssey_client; from odyssey_mock import read_stamp")
    assert tried.returncode == 0, f"expected imports without the extra `mock` to succeed, got:\n{tried.stderr}"


def test_plugin_does_not_import_the_simulation() -> None:
    loaded = run(
        ["simloop", "hypothesis"], "import odyssey_mock.testing.plugin; print('odyssey_mock.sim' in sys.modules)"
    )
    assert (loaded.returncode, loaded.stdout.strip()) == (0, "False"), (
        f"expected the plugin not to import odyssey_mock.sim, got {loaded.stdout!r} and:\n{loaded.stderr}"
    )


def test_simulated_world_can_be_imported() -> None:
    # In a new interpreter, in which this import is the first one: a cycle of imports would show here.
    imported = run([], "from odyssey_mock.testing import CLIENT, SERVER, World; print(World.__name__, CLIENT, SERVER)")
    assert imported.stdout.strip() == "World client odyssey", (
        f"expected 'World client odyssey', got {imported.stdout!r} and:\n{imported.stderr}"
    )


def test_simulated_world_names_its_missing_extra() -> None:
    tried = run(["simloop"], "from odyssey_mock.testing import World")
    assert tried.returncode == 1
    assert tried.stderr.splitlines()[-1] == (
        "ImportError: odyssey_mock.testing.World requires simloop; install the extra `sim`: "
        "pip install 'odyssey-testkit[mock,sim]'"
    )
