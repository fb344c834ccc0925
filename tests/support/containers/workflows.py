"""The jobs of workflows of GitHub Actions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml


@dataclass(frozen=True)
class ServiceContainer:
    """A container that runs during a job."""

    image: str
    environment: Mapping[str, str]
    ports: Sequence[str]


@dataclass(frozen=True)
class Job:
    """One job of a workflow.

    Attributes:
        commands: the `run` of its steps, in order. Its other steps use actions.
        actions: the actions of its other steps, such as `actions/checkout`, without their versions.
    """

    environment: Mapping[str, str]
    services: Mapping[str, ServiceContainer]
    commands: Sequence[str]
    actions: Sequence[str]


def read_jobs(text: str) -> Mapping[str, Job]:
    """Read the jobs of a workflow."""
    return {name: _job(each) for name, each in yaml.safe_load(text)["jobs"].items()}


def _job(described: Mapping[str, Any]) -> Job:  # Any: YAML
    steps = described["steps"]
    services = {
        name: ServiceContainer(each["image"], each.get("env", {}), each.get("ports", []))
        for name, each in described.get("services", {}).items()
    }
    return Job(
        environment=described.get("env", {}),
        services=services,
        commands=[step["run"] for step in steps if "run" in step],
        actions=[step["uses"].partition("@")[0] for step in steps if "uses" in step],
    )
