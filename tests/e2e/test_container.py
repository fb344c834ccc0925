"""Tests of the image, the compose file and the workflows of the documentation, without a Docker daemon.

`tests/support/containers/` executes the instructions of the Dockerfile, and runs containers in namespaces of Linux.
"""

from pathlib import Path

import pytest

from tests.support.containers.on_docker_host import require_containers, run_on_docker_host
from tests.support.containers.scenarios import Images
from tests.support.containers.workflows import read_jobs
from tests.support.forks import run_python
from tests.support.pages import COMPOSE, WORKFLOW, Block, blocks, projects

YAML = blocks("yaml")
WORKFLOWS = [block for block in YAML if block.code.startswith(WORKFLOW)]

SCHEMAS = {WORKFLOW: "vendor.github-workflows", COMPOSE: "vendor.compose-spec"}
"""Schemas of check-jsonschema for the `yaml` blocks that begin so."""
REMOTE_PAGE = "use-a-remote-machine.md"
LIMIT = 60.0
"""Timeout in seconds for check-jsonschema."""


@pytest.fixture(scope="module")
def images() -> Images:
    require_containers()
    return Images.build()


def test_image_serves_as_an_unprivileged_user(images: Images, tmp_path: Path) -> None:
    images.save(tmp_path)

    found = run_on_docker_host("serve_and_stop", str(tmp_path))

    assert found["status"] == {"Uid": "10001", "CapEff": "0000000000000000"}
    assert found["package"].startswith("/opt/odyssey/lib/")
    assert found["frame"] == [704, 1280]
    assert found["exit_code"] == 0, f"expected exit code 0 after SIGTERM, got {found['exit_code']}: {found['output']}"
    assert found["stop_seconds"] < 5, "expected an end within 5 s, also on a busy machine"
    assert "No fonts for" not in found["output"]
    assert "--publish 50000-50100" in found["diagnosis"], "expected the advice of doctor about unpublished UDP ports"


def test_compose_file_serves_containers_and_other_machines(images: Images, tmp_path: Path) -> None:
    images.save(tmp_path)

    found = run_on_docker_host("compose_up", str(tmp_path))

    exit_code, output = found["app"]
    assert exit_code == 0, f"expected exit code 0 of the service app, got {exit_code}: {output}"
    assert "704x1280" in output
    assert found["frame"] == [704, 1280]
    assert found["recordings"] == [1, 2], "expected the stream of the other machine also after a restart"


def test_commands_of_remote_machine_page_work(tmp_path: Path) -> None:
    require_containers()
    (serve,) = commands(REMOTE_PAGE, "odyssey-mock serve ")
    (exports,) = commands(REMOTE_PAGE, "export ")

    found = run_on_docker_host("remote_machine", str(tmp_path), serve, exports)

    assert found == {"frame": [704, 1280], "recordings": 1, "exit_code": 0}


def commands(page: str, beginning: str) -> list[str]:
    """Return the shell blocks of a how-to page that begin so."""
    return [block.code for block in blocks("sh") if block.page.name == page and block.code.startswith(beginning)]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=str)
def test_commands_of_workflow_succeed(workflow: Block, images: Images, tmp_path: Path) -> None:
    ((name, job),) = read_jobs(workflow.code).items()
    images.for_job(job).save(tmp_path)
    workspace = tmp_path / "workspace"
    (workspace / "odyssey-testkit").mkdir(parents=True)
    for project in projects():
        if project.first.page == workflow.page:
            for file, content in project.files.items():
                (workspace / file).write_text(content)

    found = run_on_docker_host("run_job", str(tmp_path), workflow.code, name)

    assert found["steps"], "expected commands after the installation, got none"
    assert [exit_code for exit_code, _ in found["steps"]] == [0] * len(found["steps"]), found["steps"]


@pytest.mark.parametrize(("beginning", "schema"), SCHEMAS.items())
def test_file_for_another_program_follows_its_schema(beginning: str, schema: str, tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.yaml" for number, block in enumerate(YAML) if block.code.startswith(beginning)]
    for file in files:
        file.write_text(YAML[int(file.stem)].code)

    checked = run_python(
        *("-m", "check_jsonschema", "--builtin-schema", schema), *map(str, files), cwd=tmp_path, limit_s=LIMIT
    )

    assert checked.returncode == 0, f"expected valid files, got: {checked.stdout}{checked.stderr}"
