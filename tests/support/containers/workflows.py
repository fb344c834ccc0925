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
        commands: the `run` of its steps, in order. Its other steps use actions.
    """

    environment: Mapping[str, str]
    services: Mapping[str, ServiceContainer]
    commands: Sequence[str]


def read_jobs(text: str) -> Mapping[str, Job]:
    """Read the jobs of a workflow."""
    return {name: _job(each) for name, each in yaml.safe_load(text)["jobs"].items()}


def _job(described: Mapping[str, Any]) -> Job:  # Any: YAML
    steps = described["steps"]
    services = {
        name: ServiceContainer(each.get("env", {}), each.get("ports", []))
        for name, each in described.get("services", {}).items()
    }
    return Job(
        environment=described.get("env", {}),
        services=services,
        commands=[step["run"] for step in steps if "run" in step],
    )
