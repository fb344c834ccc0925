"""The instructions of a Dockerfile, by stage, and the settings that they give to an image."""

import io
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from string import Template
from types import MappingProxyType

from dockerfile_parse import DockerfileParser

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""The PATH that Docker gives to a container whose image sets none."""


@dataclass(frozen=True)
class Instruction:
    """One instruction of a Dockerfile.

    Attributes:
        name: in upper case, such as `RUN`.
        flags: the values of its `--NAME=VALUE`; of a repeated flag, all values.
        rest: the text after the flags.
    """

    name: str
    flags: Mapping[str, Sequence[str]]
    rest: str

    def __str__(self) -> str:
        flags = (f"--{name}={value}" for name, values in self.flags.items() for value in values)
        return " ".join([self.name, *flags, self.rest])

    def flag(self, name: str, default: str) -> str:
        """Return the last value of a flag."""
        return self.flags.get(name, [default])[-1]


@dataclass(frozen=True)
class Stage:
    """The instructions from one `FROM` to the next, without `FROM` itself.

    Attributes:
        base: the image or the earlier stage with which the stage begins.
    """

    name: str
    base: str
    instructions: Sequence[Instruction]


@dataclass(frozen=True)
class HealthCheck:
    """The instruction HEALTHCHECK.

    Attributes:
        timeout: seconds for one run of the command.
    """

    command: Sequence[str]
    timeout: float


@dataclass(frozen=True)
class Config:
    """What an image states about its containers."""

    environment: Mapping[str, str] = field(default_factory=lambda: {"PATH": DEFAULT_PATH})
    folder: str = "/"
    user: str = "root"
    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    health: HealthCheck | None = None
    stop_signal: str = "SIGTERM"

    def after(self, instruction: Instruction) -> "Config":
        """Return the settings after an instruction other than FROM, RUN and COPY.

        Raises:
            KeyError: this module does not know the instruction.
        """
        rest = Template(instruction.rest).safe_substitute(self.environment)
        match instruction.name:
            case "ENV":
                pairs = (each.partition("=") for each in shlex.split(rest))
                return replace(self, environment={**self.environment, **{name: value for name, _, value in pairs}})
            case "WORKDIR":
                return replace(self, folder=str(Path(self.folder, rest)))
            case "USER":
                return replace(self, user=rest)
            case "ENTRYPOINT":
                return replace(self, entrypoint=exec_form(instruction.rest), command=())
            case "CMD":
                return replace(self, command=exec_form(instruction.rest))
            case "EXPOSE":
                return self  # it publishes no port
            case "STOPSIGNAL":
                return replace(self, stop_signal=rest)
            case "HEALTHCHECK":
                return replace(self, health=_health(instruction))
        raise KeyError(f"{instruction.name} is not known; add it to tests/support/containers/dockerfile.py")


def read_stages(text: str) -> Sequence[Stage]:
    """Return the stages of a Dockerfile."""
    stages: list[Stage] = []
    for each in DockerfileParser(fileobj=io.BytesIO(text.encode())).structure:
        instruction = _instruction(each["instruction"], each["value"])
        if instruction.name == "COMMENT":
            continue
        if instruction.name == "FROM":
            base, _, name = re.fullmatch(r"(\S+)(\s+AS\s+(\S+))?", instruction.rest, re.IGNORECASE).groups("")  # type: ignore[union-attr]
            stages.append(Stage(name or str(len(stages)), base, ()))
        else:
            last = stages[-1]
            stages[-1] = replace(last, instructions=[*last.instructions, instruction])
    return stages


def exec_form(text: str) -> Sequence[str]:
    """Return the words of an instruction in exec form, which is JSON. A shell would not pass signals to the command."""
    words = json.loads(text)
    assert isinstance(words, list), f"expected the exec form, a list in JSON, got {text}"
    return words


def _instruction(name: str, value: str) -> Instruction:
    flags: dict[str, list[str]] = {}
    while (given := re.match(r"--([\w-]+)=(\S+)\s+", value)) is not None:
        flags.setdefault(given[1], []).append(given[2])
        value = value[given.end() :]
    return Instruction(name.upper(), MappingProxyType(flags), value.strip())


def _health(instruction: Instruction) -> HealthCheck:
    kind, _, command = instruction.rest.partition(" ")
    assert kind == "CMD", f"expected HEALTHCHECK CMD, got {instruction}"
    timeout = re.fullmatch(r"(\d+)s", instruction.flag("timeout", "30s"))
    assert timeout is not None, f"expected a timeout in seconds, such as 3s, got {instruction}"
    return HealthCheck(exec_form(command), float(timeout[1]))
