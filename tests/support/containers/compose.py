"""The services of a compose file."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]

_KNOWN = {"build", "image", "entrypoint", "command", "environment", "ports", "volumes", "networks", "depends_on"}
"""The attributes of services that this module reads."""


@dataclass(frozen=True)
class Service:
    """One service of a compose file.

    Attributes:
        entrypoint: in place of that of the image; None keeps it.
        command: the same for the command.
        ports: such as `127.0.0.1:8400:8400`.
        volumes: names of volumes by their path in the container.
        address: its fixed address; None for any.
        conditions: the condition under which it starts, by name of another service.
    """

    name: str
    entrypoint: Sequence[str] | None
    command: Sequence[str] | None
    environment: Mapping[str, str]
    ports: Sequence[str]
    volumes: Mapping[str, str]
    address: str | None
    conditions: Mapping[str, str]


@dataclass(frozen=True)
class Composition:
    """The content of a compose file.

    Attributes:
        subnet: the addresses of its network.
    """

    services: Mapping[str, Service]
    subnet: str


def read_composition(path: Path = ROOT / "compose.yaml", *, environment: Mapping[str, str]) -> Composition:
    """Read a compose file. `environment`: the variables that its text contains."""
    described = yaml.safe_load(_interpolated(path.read_text(), environment))
    services = {name: _service(name, each) for name, each in described["services"].items()}
    (config,) = described["networks"]["default"]["ipam"]["config"]
    assert set(described["volumes"]) >= {name for each in services.values() for name in each.volumes.values()}
    return Composition(services, config["subnet"])


def _service(name: str, described: Mapping[str, Any]) -> Service:  # Any: YAML
    assert set(described) <= _KNOWN, f"{name}: add {set(described) - _KNOWN} to tests/support/containers/compose.py"
    mounted = [each.split(":") for each in described.get("volumes", [])]
    return Service(
        name=name,
        entrypoint=described.get("entrypoint"),
        command=described.get("command"),
        environment=described.get("environment", {}),
        ports=described.get("ports", []),
        volumes={target: source for source, target in mounted},
        address=described.get("networks", {}).get("default", {}).get("ipv4_address"),
        conditions={other: each["condition"] for other, each in described.get("depends_on", {}).items()},
    )


def _interpolated(text: str, environment: Mapping[str, str]) -> str:
    """Replace `${NAME:-default}` as Compose does: an empty variable also has the default."""
    return re.sub(r"\$\{(\w+):-([^}]*)\}", lambda found: environment.get(found[1]) or found[2], text)
