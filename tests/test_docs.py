"""The pages say what is: their tables are the code's, their examples run, their links lead somewhere."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from odyssey_mock import MockOdyssey

ROOT = Path(__file__).parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(ROOT / "docs" / name for name in ("architecture.md", "protocol.md", "fault-matrix.md", "simulation.md")),
]
EXAMPLE_LIMIT = 60.0
"""Seconds; an example takes about three."""

pytest_plugins = ["pytester"]


SIMULATION = "docs/simulation.md"

FEW = """
from hypothesis import settings

settings.register_profile("few", max_examples=5, deadline=None)
settings.load_profile("few")
"""
"""A `conftest.py` for examples that Hypothesis would play a hundred times."""


def examples(which: str, page: str = "README.md") -> list[str]:
    """Find the Python blocks of a page that contain `which`."""
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    return [block for block in blocks if which in block]


def test_the_transition_tables_are_those_of_the_code() -> None:
    drawing = [sys.executable, str(ROOT / "scripts" / "draw_tables.py"), "--check"]
    checked = subprocess.run(drawing, cwd=ROOT, capture_output=True, text=True, check=False, timeout=EXAMPLE_LIMIT)

    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_the_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())

    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_the_pages_name_exist(page: Path) -> None:
    named = re.findall(r"`((?:odyssey_client|odyssey_mock|tests|scripts|fixtures|docs)/[\w./-]*)`", page.read_text())

    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_readme_has_both_kinds_of_examples() -> None:
    assert examples("def test_")
    assert examples("asyncio.run")


@pytest.mark.parametrize("example", examples("def test_"))
def test_an_example_of_a_test_passes_as_it_stands(example: str, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(example)
    pytester.makeini("[pytest]\nasyncio_mode = auto\n")

    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", timeout=EXAMPLE_LIMIT)

    result.assert_outcomes(passed=example.count("def test_"))


@pytest.mark.parametrize("example", examples("asyncio.run"))
async def test_an_example_of_a_program_runs_against_the_mock(example: str, tmp_path: Path) -> None:
    async with MockOdyssey() as mock:
        program = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            example,
            cwd=tmp_path,
            env={**os.environ, "ODYSSEY_API_URL": mock.url, "ODYSSEY_API_KEY": mock.api_key},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(EXAMPLE_LIMIT):
            _, complaints = await program.communicate(b"\n")  # for one that waits for a key

    assert program.returncode == 0, complaints.decode()


def test_the_page_on_simulation_begins_with_the_example_of_the_readme() -> None:
    (example,) = examples("def test_", SIMULATION)
    assert example in examples("def test_")


def test_the_example_of_a_state_machine_passes_as_it_stands(pytester: pytest.Pytester) -> None:
    (example,) = examples("OdysseyMachine", SIMULATION)
    pytester.makeconftest(FEW)
    pytester.makepyfile(example)

    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", timeout=EXAMPLE_LIMIT)

    result.assert_outcomes(passed=1)


def test_the_example_of_a_scenario_runs() -> None:
    (example,) = examples("explore(", SIMULATION)

    program = subprocess.run(
        [sys.executable, "-c", example], capture_output=True, text=True, check=False, timeout=EXAMPLE_LIMIT
    )

    assert program.returncode == 0, program.stderr
