"""The jobs of workflows of GitHub Actions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml


@dataclass(frozen=True)
class ServiceContainer:
    """A container that runs during a job. The tests run the image of the Dockerfile in place of its image."""

    environment: Mapping[str, str]
    ports: Sequence[str]


@dataclass(frozen=True)
class Job:
    """One job of a workflow.

    Attributes:
        installation: the `run` of the step that installs this project; None if there is none.
        commands: the `run` of its other steps, in order, without those that use actions.
    """

    environment: Mapping[str, str]
    services: Mapping[str, ServiceContainer]
    installation: str | None
    commands: Sequence[str]


def read_jobs(text: str) -> Mapping[str, Job]:
    """Read the jobs of a workflow."""
    return {name: _job(each) for name, each in yaml.safe_load(text)["jobs"].items()}


def _job(described: Mapping[str, Any]) -> Job:  # Any: YAML
    commands = [step["run"] for step in described["steps"] if "run" in step]
    services = {
        name: ServiceContainer(each.get("env", {}), each.get("ports", []))
        for name, each in described.get("services", {}).items()
    }
    # Nothing can use the project before it is installed, so this is the first command.
    installs = bool(commands) and commands[0].startswith("pip install ")
    return Job(
        environment=described.get("env", {}),
        services=services,
        installation=commands[0] if installs else None,
        commands=commands[1:] if installs else commands,
    )
