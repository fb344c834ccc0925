"""Tests of the documentation: its tables match the code, its code blocks run, and its links and paths exist."""

import asyncio
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

import odyssey_client
import odyssey_client.sync
import odyssey_mock
import odyssey_mock.sync
import odyssey_mock.testing
from odyssey_mock import MockOdyssey, Settings
from odyssey_mock.accounts.accounts import TEST_KEYS
from odyssey_mock.cli.app import main
from odyssey_mock.faults.fault import Fault
from odyssey_mock.prompts.markers import markers_of
from tests.support.forks import run_pytest, run_python, start_python
from tests.support.pages import COMPOSE, PAGES, ROOT, WORKFLOW, Block, Project, blocks, projects
from tests.support.plain_commands import ENTRY_POINTS, plain_commands
from tests.support.project import run_fork
from tests.support.requirements import require
from tests.support.statement_places import ANCHOR

LIMIT = 60.0
"""Timeout in seconds for a program of a code block. Most take about 3 s."""

TRIO = ROOT / ".cache" / "kinds"
"""The folder into which `scripts/test-needs` installs trio, and other packages for `tests/kinds`."""

NPM_PACKAGES = ROOT / "tests" / "contract" / "browser" / "node_modules"
"""The folder into which `scripts/test-needs` installs the vendor's JavaScript client."""

FIELD_BUGS = ROOT / "docs" / "how-to" / "reproduce-field-bugs.md"

SMALL = Settings(portrait_size=(176, 320), landscape_size=(320, 176))
"""Settings of the mock for programs and shell commands: small frames, which are encoded fast."""

README_LINES = 150
PICTURE_BYTES = 200_000

NOT_RUN = {
    "make demo ": "runs the whole suite; tests/e2e runs the demo",
    "make coverage": "runs the whole suite",
    "pip install ": "installs this project, which is already installed",
    "python3 -m venv ": "installs this project, which is already installed",
    "odyssey-mock bench all": "takes minutes; tests/mock/cli passes its options",
    "odyssey-mock bench soak": "takes minutes; the suite runs it with --quick",
    "ODYSSEY_TEST_HOSTILE_CASES=": "takes minutes; the suite runs fewer cases",
    "odyssey-mock serve": "does not end; tests/mock/cli passes its options",
    "turnserver ": "does not end; tests/e2e/test_networks.py runs it",
    "python scripts/overload.py": "takes a minute; tests/e2e/test_overload.py runs it with few sessions",
    "sudo ufw ": "changes the firewall; tests/e2e/test_network_guides.py executes it in a network namespace",
    "mkcert -install": "changes the trusted certificates; tests/e2e/test_network_guides.py executes it",
    "mkdir to-phone": "does not end; tests/e2e/test_network_guides.py executes it",
    "python scripts/connections.py": "takes minutes; tests/e2e/test_networks.py runs a part of it",
    "python scripts/kill_campaign.py": "takes minutes; tests/mock/test_kill_campaign.py kills 5 servers",
    "pytest tests/": "is a part of the suite itself",
    'mkdir -p "$HOME/.pki/nssdb"': "tests/contract/browser/test_https.py runs it",
    "docker ": (
        "needs a Docker daemon. tests/e2e/test_container.py runs `serve` in the image, compose.yaml and the workflows "
        "without one. Nothing runs `docker login`, `docker push`, and `docker run` with other options"
    ),
    "ssh ": "needs another machine",
    "odyssey-mock explore ": "takes minutes; tests/mock/explore runs each option with few seeds",
}
"""First words of the shell blocks that this module does not run, each with the reason."""

INI = """
[pytest]
asyncio_mode = auto
odyssey_leftovers = error
"""
"""The `pytest.ini` for blocks that contain tests, but no file name. README.md tells readers to set `asyncio_mode`."""

FEW_EXAMPLES = """
from hypothesis import settings

settings.register_profile("few", max_examples=5, stateful_step_count=10, deadline=None)
settings.load_profile("few")
"""
"""The content of a `conftest.py` that limits Hypothesis to 5 examples instead of 100, of 10 steps instead of 50."""

FEW_SEEDS = "--odyssey-seeds=5"
"""An option of pytest that limits simulated tests to 5 seeds instead of 50."""

pytest_plugins = ["pytester"]


def is_test(block: Block) -> bool:
    return "def test_" in block.code or ".TestCase" in block.code


PYTHON = blocks("python")
TESTS = [block for block in PYTHON if is_test(block)]
PROGRAMS = [block for block in PYTHON if not is_test(block)]
SHELL = blocks("sh")
CONFIGURATIONS = [block for block in blocks("yaml") if not block.code.startswith((WORKFLOW, COMPOSE))]


def test_transition_tables_come_from_the_code() -> None:
    checked = run_python("-m", "draw_tables", "--check", cwd=ROOT / "scripts", limit_s=LIMIT)

    assert checked.returncode == 0, f"expected the tables in docs/ to match the code, got: {checked.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_have_targets(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)\s]*)\)", page.read_text())

    assert [link for link in links if not leads_somewhere(page, link)] == []


def leads_somewhere(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    return target.exists() and (not anchor or anchor in anchors(target))


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page: those that GitHub derives from its headings, and those of statements."""
    text = page.read_text()
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    derived = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return derived | set(ANCHOR.findall(text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_named_by_the_pages_exist(page: Path) -> None:
    named = re.findall(r"`((?:odyssey_client|odyssey_mock|tests|scripts|fixtures|docs)/[\w./-]*)`", page.read_text())

    assert [path for path in named if not (ROOT / path).exists()] == []


def test_index_lists_every_page() -> None:
    docs = ROOT / "docs"
    index = docs / "index.md"
    listed = {(docs / link).resolve() for link in re.findall(r"\]\(([\w/-]+\.\w+)\)", index.read_text())}
    in_contents = re.findall(r"^```{toctree}\n.*?\n\n(.*?)^```", index.read_text(), re.DOTALL | re.MULTILINE)
    contents = {path.with_suffix("") for part in in_contents for path in map(docs.joinpath, part.split())}
    pages = {*docs.rglob("*.md"), *docs.rglob("*.rst")} - {index}

    assert {page for page in listed if page.suffix in {".md", ".rst"}} == pages
    assert contents == {page.with_suffix("") for page in pages}


@pytest.mark.parametrize("package", [odyssey_client, odyssey_mock], ids=lambda package: package.__name__)
def test_architecture_page_names_every_part_of_the_package(package: ModuleType) -> None:
    layers = (ROOT / "docs" / "architecture.md").read_text().partition("## Layers")[2].partition("\n## ")[0]
    (table,) = [part for part in re.split(r"^(?=\*\*`)", layers, flags=re.MULTILINE) if package.__name__ in part[:20]]
    named = re.findall(r"`([^`]+)`", " ".join(re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)))
    folder = ROOT / package.__name__
    modules = {module.name for module in folder.glob("*.py")} - {"__init__.py"}
    packages = {f"{module.parent.name}/" for module in folder.glob("*/__init__.py")}

    assert (modules | packages) - {*named} == set()


@pytest.mark.parametrize(
    ("package", "page"),
    [
        (odyssey_client, "client"),
        (odyssey_client.sync, "client-sync"),
        (odyssey_mock, "mock"),
        (odyssey_mock.sync, "mock-sync"),
        (odyssey_mock.testing, "testing"),
    ],
)
def test_reference_describes_every_public_name(package: ModuleType, page: str) -> None:
    text = (ROOT / "docs" / "reference" / f"{page}.rst").read_text()
    described = re.findall(rf"^\.\. auto\w+:: {package.__name__}\.(\w+)$", text, re.MULTILINE)

    assert sorted(described) == sorted(package.__all__)


def test_reference_describes_every_name_of_the_plugin(pytester: pytest.Pytester) -> None:
    page = (ROOT / "docs" / "reference" / "plugin.md").read_text()
    shown = [run_fork(pytester, option).stdout.str() for option in ("--fixtures", "--markers", "--help")]

    fixtures = re.findall(r"^(odyssey_\w+)", shown[0], re.MULTILINE)
    markers = re.findall(r"^@pytest\.mark\.(odyssey\w*)", shown[1], re.MULTILINE)
    options = re.findall(r"^ +(?:(--odyssey[\w-]*)|(odyssey_\w+) \()", shown[2], re.MULTILINE)

    named = re.findall(r"^\| `(--odyssey[\w-]*|odyssey\w*)|, `(odyssey_\w+)` \|", page, re.MULTILINE)
    assert sorted("".join(name) for name in named) == sorted(fixtures + markers + ["".join(each) for each in options])


def test_readme_and_its_pictures_stay_small() -> None:
    readme = (ROOT / "README.md").read_text()
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", readme)

    assert len(readme.splitlines()) <= README_LINES
    assert pictures
    assert sum((ROOT / picture).stat().st_size for picture in pictures) < PICTURE_BYTES


@pytest.mark.parametrize("is_guide", [True, False], ids=["how-to guides", "other pages"])
def test_example_tests_of_pages_pass_unchanged(pytester: pytest.Pytester, is_guide: bool) -> None:
    chosen = [block for block in TESTS if ("how-to" in block.page.parts) is is_guide]
    pytester.makeconftest(FEW_EXAMPLES)
    pytester.makeini(INI)
    files = {f"test_{re.sub(r'\W', '_', str(block))}": block.code for block in chosen}
    pytester.makepyfile(**files)

    result = run_fork(pytester, "-p", "no:cacheprovider", FEW_SEEDS)

    outcomes = result.parseoutcomes()
    assert set(outcomes) == {"passed"}
    assert outcomes["passed"] >= sum(max(1, block.code.count("def test_")) for block in chosen)


@pytest.mark.parametrize("project", projects(), ids=str)
def test_project_of_page_runs_as_shown(project: Project, tmp_path: Path) -> None:
    require_programs(project)
    paths = [str(ROOT), str(TRIO)] if needs_trio(project) else [str(ROOT)]
    for name, content in project.files.items():
        (tmp_path / name).write_text(content)
    if needs_official_client(project):
        (tmp_path / "node_modules").symlink_to(NPM_PACKAGES)

    environment = {**os.environ, "PATH": scripts_first(), "PYTHONPATH": os.pathsep.join(paths)}
    returncode, output = run_commands(project.commands, tmp_path, environment)

    if project.output:
        assert (missing := lines_missing(project.output, output)) == [], (
            f"expected the output to contain the lines that the page shows, got one without {missing}:\n{output}"
        )
    else:
        assert returncode == 0, f"expected exit code 0, got {returncode} with this output:\n{output}"
        assert not re.search(r"\d+ (skipped|warning)", output), (
            f"expected no skipped tests and no warnings, got:\n{output}"
        )
        counts = [int(count) for count in re.findall(r"(\d+) (?:passed|tests? in)", output)]
        assert min(counts) >= project.tests, (
            f"expected {project.tests} tests to pass, got {min(counts)} in this output:\n{output}"
        )


def run_commands(commands: str, folder: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """Run the commands, in a shell if they need one; return the exit status of the last one, and the output."""
    limit = 2 * LIMIT
    if commands == "pytest\n":
        runs = [run_pytest(folder=folder, environment=environment, limit_s=limit)]
    elif (plain := plain_commands(commands)) is not None:
        runs = [run_python(*arguments, cwd=folder, env=environment, limit_s=limit) for arguments in plain]
    else:
        shell = ["sh", "-c", commands]
        runs = [
            subprocess.run(
                shell, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=limit
            )
        ]
    return runs[-1].returncode, "".join(ran.stdout + ran.stderr for ran in runs)


def require_programs(project: Project) -> None:
    """Skip the test if the sample project needs a program or package that is not installed. In CI, fail it instead."""
    missing = None
    if needs_trio(project) and not (TRIO / "trio").exists():
        missing = "trio"
    if any(name.endswith(".mjs") for name in project.files) and shutil.which("node") is None:
        missing = "Node.js"
    if needs_official_client(project) and not (NPM_PACKAGES / "@odysseyml").exists():
        missing = "the npm package @odysseyml/odyssey"
    require(missing and f"{missing} is not installed")


def needs_trio(project: Project) -> bool:
    return any('"trio"' in code for code in project.files.values())


def needs_official_client(project: Project) -> bool:
    return any("@odysseyml/odyssey" in code for code in project.files.values())


def lines_missing(shown: str, output: str) -> list[str]:
    """Return the lines of `shown` that are missing in `output`, or that it contains in another order.

    In `shown`, `...` matches any characters. A line that consists of `...` matches any number of lines.
    """
    lines = iter(output.splitlines())
    patterns = {line: re.escape(line).replace(re.escape("..."), ".*") for line in shown.splitlines() if line != "..."}
    return [line for line, pattern in patterns.items() if not any(re.fullmatch(pattern, each) for each in lines)]


def scripts_first() -> str:
    """Return a value for PATH that begins with the folder of this Python's commands, such as `odyssey-mock`."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Return a function that runs `odyssey-mock serve` without a server, and returns the settings of the server."""
    served: list[Settings] = []

    async def note(settings: Settings, **_: object) -> None:
        served.append(settings)

    def run_serve(*options: str) -> Settings:
        result = CliRunner().invoke(main, ["serve", *options])
        assert result.exit_code == 0, f"expected exit status 0, got {result.exit_code}:\n{result.output}"
        return served.pop()

    monkeypatch.setattr("odyssey_mock.cli.serve._serve", note)
    return run_serve


@pytest.mark.parametrize("block", CONFIGURATIONS, ids=str)
def test_config_file_of_page_is_valid(block: Block, tmp_path: Path, serve: Callable[..., Settings]) -> None:
    (tmp_path / "mock.yaml").write_text(block.code)
    assert serve("--config", str(tmp_path / "mock.yaml")) != serve(), (
        "expected the file to change a setting, got the default settings"
    )


@pytest.mark.parametrize("block", PROGRAMS, ids=str)
async def test_program_runs_against_the_mock(block: Block, tmp_path: Path) -> None:
    await run(partial(start_python, "-c", block.code), folder=tmp_path)


@pytest.mark.parametrize("block", [block for block in SHELL if not block.code.startswith(tuple(NOT_RUN))], ids=str)
async def test_shell_commands_run_against_the_mock(block: Block, tmp_path: Path) -> None:
    if "curl" in block.code and shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    shutil.copytree(ROOT / "fixtures" / "scripts", tmp_path / "fixtures" / "scripts")

    settings = Settings() if "odyssey-mock verify" in block.code else SMALL  # verify checks the size of frames
    plain = plain_commands(block.code)
    if plain is not None:
        await run(*(partial(start_python, *arguments) for arguments in plain), folder=tmp_path, settings=settings)
    else:
        shell = ["sh", "-e", "-c", block.code.replace("curl ", "curl --fail --silent --show-error ")]
        await run(partial(subprocess.Popen, shell, text=True), folder=tmp_path, settings=settings)


@pytest.mark.parametrize(
    ("script", "commands"),
    [
        (
            'odyssey stream "A cat"\npython -m unittest\n',
            [[*ENTRY_POINTS["odyssey"], "stream", "A cat"], ["-m", "unittest"]],
        ),
        ("python visit.py first.odytrace\n", [["-m", "visit", "first.odytrace"]]),
        ('odyssey-mock doctor --url "$ODYSSEY_API_URL"\n', None),
        ("odyssey simulations list | head\n", None),
        ("pytest\ncurl http://127.0.0.1\n", None),
        ('odyssey stream "A cat\nand a dog"\n', None),
        ("", None),
    ],
)
def test_only_scripts_without_shell_syntax_are_plain(script: str, commands: list[list[str]] | None) -> None:
    assert plain_commands(script) == commands


def test_plain_commands_call_the_functions_of_the_scripts() -> None:
    """The commands of the pages run in forks, and not the scripts that pip installs."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    functions = {name: target.split(":") for name, target in declared.items()}
    assert {name: arguments for name, arguments in ENTRY_POINTS.items() if name != "pytest"} == {
        name: ("-c", f"from {module} import {function}; {function}()") for name, (module, function) in functions.items()
    }


async def run(*programs: Callable[..., subprocess.Popen[str]], folder: Path, settings: Settings = SMALL) -> None:
    """Start a mock with `settings`, run programs that use it, one after the other, and assert that each exits with 0.

    Each of `programs` starts one with the given options of `subprocess.Popen`. The input of a program is one empty
    line, because some programs wait for Enter.
    """
    async with MockOdyssey(settings) as mock:
        environment = {"ODYSSEY_API_URL": mock.url, "ODYSSEY_API_KEY": mock.api_key, "XDG_CONFIG_HOME": str(folder)}
        for start in programs:
            program = await asyncio.to_thread(
                start,
                cwd=folder,
                env={**os.environ, **environment, "PATH": scripts_first()},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            try:
                _, errors = await asyncio.to_thread(program.communicate, "\n", LIMIT)
            finally:
                program.kill()

            assert program.returncode == 0, (
                f"expected exit code 0, got {program.returncode} with this error output:\n{errors}"
            )


def test_every_ini_block_names_its_file() -> None:
    assert blocks("ini") == []


def test_every_exempt_shell_block_exists() -> None:
    unused = [start for start in NOT_RUN if not any(block.code.startswith(start) for block in SHELL)]

    assert unused == []


def test_every_test_of_an_exempt_block_exists() -> None:
    named = [path for reason in NOT_RUN.values() for path in re.findall(r"tests/[\w./]*\w", reason)]

    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_json_block_is_a_valid_fault(block: Block) -> None:
    described = json.loads(block.code)

    assert described.items() <= Fault.of(described).to_json().items()


def ways_to_reproduce() -> list[tuple[str, ...]]:
    """Return the code in the column "reproduce with" of each table row of the page `FIELD_BUGS`."""
    rows = re.findall(r"^\| [^|]+ \| ([^|]+) \| [^|]+ \|$", FIELD_BUGS.read_text(), re.MULTILINE)
    return [tuple(re.findall(r"`([^`]+)`", column)) for column in rows if column != "reproduce with"]


@pytest.mark.parametrize("ways", ways_to_reproduce(), ids=" or ".join)
def test_field_bug_has_ways_to_reproduce_it(ways: tuple[str, ...], serve: Callable[..., Settings]) -> None:
    assert ways, (
        "expected code in the column 'reproduce with': a fault, options of serve, a test prompt or a test key; got none"
    )
    for way in ways:
        if way.startswith("{"):
            described = json.loads(way)
            assert described.items() <= Fault.of(described).to_json().items()
        elif way.startswith("--"):
            serve(*shlex.split(way))
        elif way.startswith("["):
            assert markers_of(way) != markers_of("")
        else:
            assert way in TEST_KEYS
