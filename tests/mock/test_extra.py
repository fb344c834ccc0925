"""The package without its extra: what is missing, and how to get it."""

import subprocess
import sys

import pytest

WITHOUT = "import sys; sys.modules.update(dict.fromkeys({missing!r})); "
"""A module that is None in `sys.modules` cannot be imported."""


def run(missing: list[str], code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT.format(missing=missing) + code],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("missing", ["starlette", "uvicorn", "pydantic", "jwt"])
def test_a_name_that_needs_the_extra_says_how_to_get_it(missing: str) -> None:
    tried = run([missing], "from odyssey_mock import MockOdyssey")
    assert tried.returncode == 1
    assert tried.stderr.splitlines()[-1] == (
        f"ImportError: odyssey_mock needs {missing}, which comes with its extra: pip install 'odyssey-testkit[mock]'"
    )


def test_the_command_says_so_too() -> None:
    tried = run(["uvicorn"], "from odyssey_mock.cli import main; main(['serve'])")
    assert tried.returncode == 1
    assert tried.stderr.strip() == "Error: odyssey-mock needs its extra: pip install 'odyssey-testkit[mock]'"


def test_what_does_not_need_the_extra_works_without() -> None:
    missing = ["starlette", "uvicorn", "pydantic", "jwt"]
    tried = run(missing, "import odyssey_mock.testing.plugin, odyssey_client; from odyssey_mock import read_stamp")
    assert tried.returncode == 0, tried.stderr


def test_the_plugin_needs_nothing_of_the_simulation() -> None:
    loaded = run(
        ["simloop", "hypothesis"], "import odyssey_mock.testing.plugin; print('odyssey_mock.sim' in sys.modules)"
    )
    assert (loaded.returncode, loaded.stdout.strip()) == (0, "False"), loaded.stderr


def test_the_simulated_world_is_there_for_tests_that_name_it() -> None:
    imported = run([], "from odyssey_mock.testing import CLIENT, SERVER, World; print(World.__name__, CLIENT, SERVER)")
    assert imported.stdout.strip() == "World client odyssey", imported.stderr


def test_without_its_extra_the_simulated_world_says_how_to_get_it() -> None:
    tried = run(["simloop"], "from odyssey_mock.testing import World")
    assert tried.returncode == 1
    assert tried.stderr.splitlines()[-1] == (
        "ImportError: odyssey_mock.testing.World needs simloop, which comes with an extra: "
        "pip install 'odyssey-testkit[mock,sim]'"
    )
