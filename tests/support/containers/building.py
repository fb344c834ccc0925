"""Builds the image of a Dockerfile: one directory for each layer, kept for later builds as Docker does."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pathspec import PathSpec

from tests.support.containers.dockerfile import Config, Instruction, Stage, read_stages
from tests.support.containers.machine import base_id, entering, settings_of_pip, write_base

ROOT = Path(__file__).parents[3]
STORE = (ROOT / ".cache" / "containers").resolve()
"""The directory of the layers. git ignores it."""
LIMIT = 600.0
"""Timeout in seconds of one instruction. The first build downloads about 150 MB of packages."""
UNUSED_LIMIT = 86_400.0
"""Seconds after which a layer that no build has used is deleted."""


@dataclass(frozen=True)
class Image:
    """A built image, or a stage of it.

    Attributes:
        key: a digest of everything from which the image was built.
        layers: directories with the files of the layers, the lowest first.
    """

    key: str
    layers: Sequence[Path]
    config: Config


class BuildError(Exception):
    """An instruction of the Dockerfile failed. The message has its output."""


def build(dockerfile: Path = ROOT / "Dockerfile", *, more: str = "", store: Path = STORE) -> Image:
    """Build the last stage of a Dockerfile, and those that it needs. The directory of the file is the build context.

    `more`: text with further stages, of which the last one is built.

    Raises:
        BuildError: an instruction failed.
    """
    stages = read_stages(f"{dockerfile.read_text()}\n{more}")
    with _locked(store):
        builder = _Builder(dockerfile.parent, store, stages)
        built = builder.stage(stages[-1].name)
        builder.forget_unused()
        return built


class _Builder:
    def __init__(self, context: Path, store: Path, stages: Sequence[Stage]) -> None:
        self._context = context
        self._store = store
        self._stages = {stage.name: stage for stage in stages}
        self._built: dict[str, Image] = {}
        self._used: set[Path] = set()

    def stage(self, name: str) -> Image:
        if name not in self._built:
            stage = self._stages[name]
            image = self.stage(stage.base) if stage.base in self._stages else self._base()
            for instruction in stage.instructions:
                image = self._after(image, instruction)
            self._built[name] = image
        return self._built[name]

    def forget_unused(self) -> None:
        """Delete the layers that no build has used for a while.

        The modification time of the lock is the present on the clock of the file system: `_locked` has just truncated
        the file.
        """
        for layer in self._store.glob("layers/*"):
            if layer in self._used:
                os.utime(layer)
            elif layer.stat().st_mtime < (self._store / "lock").stat().st_mtime - UNUSED_LIMIT:
                shutil.rmtree(layer)

    def _base(self) -> Image:
        key = _digest(base_id())
        files = Image(key, [self._layer(key, lambda changes: write_base(changes / "files"))], Config())
        return self._run(files, Instruction("RUN", {}, "ldconfig"))  # Python may need its shared library

    def _after(self, image: Image, instruction: Instruction) -> Image:
        match instruction.name:
            case "RUN":
                return self._run(image, instruction)
            case "COPY":
                return self._copy(image, instruction)
            case "WORKDIR":
                config = image.config.after(instruction)
                return replace(self._run(image, Instruction("RUN", {}, f"mkdir -p {config.folder}")), config=config)
        return replace(image, key=_digest(image.key, str(instruction)), config=image.config.after(instruction))

    def _run(self, image: Image, instruction: Instruction) -> Image:
        mounts = [_Mount.read(flag) for flag in instruction.flags.get("mount", [])]
        key = _digest(image.key, str(instruction), *(self._digest_of(mount) for mount in mounts))

        def execute(changes: Path) -> None:
            with tempfile.TemporaryDirectory() as temporary:
                self._execute(image, instruction, mounts, changes, Path(temporary))

        return replace(image, key=key, layers=[*image.layers, self._layer(key, execute)])

    def _execute(
        self, image: Image, instruction: Instruction, mounts: Sequence["_Mount"], changes: Path, temporary: Path
    ) -> None:
        """Execute RUN, with the network of this machine."""
        root = temporary / "root"
        root.mkdir()
        places = {mount.target: self._source_of(mount, temporary) for mount in mounts}
        command = entering(
            image.layers,
            changes,
            root,
            ["sh", "-c", instruction.rest],
            environment={**settings_of_pip(), "HOME": "/root", **image.config.environment},
            user=image.config.user,
            folder=image.config.folder,
            mounts={**places, "/etc/resolv.conf": Path("/etc/resolv.conf")},
        )
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT)
        if ran.returncode != 0:
            raise BuildError(f"{instruction}: expected exit code 0, got {ran.returncode}:\n{ran.stdout}{ran.stderr}")

    def _copy(self, image: Image, instruction: Instruction) -> Image:
        """Execute COPY without flags: the sources are in the build context."""
        assert not instruction.flags, f"expected COPY without flags, got {instruction}"
        *sources, target = instruction.rest.split()
        key = _digest(image.key, str(instruction), *map(self._content, sources))
        place = Path(image.config.folder, target).relative_to("/")

        def copy(changes: Path) -> None:
            for source in sources:
                for name in self._names(source):
                    # As Docker does: a source that is a directory stands for its content.
                    is_folder = (self._context / source).is_dir()
                    inside = place / Path(name).relative_to(source) if is_folder else place / Path(name).name
                    into = changes / "files" / inside
                    into.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(self._context / name, into)

        return replace(image, key=key, layers=[*image.layers, self._layer(key, copy)])

    def _layer(self, key: str, write: Callable[[Path], None]) -> Path:
        """Return the directory of a layer, which `write` fills if no earlier build has done so."""
        layer = self._store / "layers" / key
        self._used.add(layer)
        if not layer.exists():
            changes = layer.with_suffix(".partial")
            shutil.rmtree(changes, ignore_errors=True)
            for name in ("files", "work"):
                (changes / name).mkdir(parents=True)
            write(changes)
            shutil.rmtree(changes / "work")
            changes.rename(layer)
        return layer / "files"

    def _source_of(self, mount: "_Mount", temporary: Path) -> Path:
        """Return what a mount shows: a cache, a path of the build context, or a directory of an earlier stage."""
        if mount.type == "cache":
            cache = Path.home() / ".cache" / "pip"
            assert mount.target == "/root/.cache/pip", f"expected the cache of pip, got {mount}"
            cache.mkdir(parents=True, exist_ok=True)
            return cache
        if not mount.stage:
            return self._context / mount.source
        found = [layer / mount.source.lstrip("/") for layer in self.stage(mount.stage).layers]
        (source,) = [each for each in found if each.exists()]
        return source

    def _digest_of(self, mount: "_Mount") -> str:
        if mount.type == "cache":
            return ""
        return self.stage(mount.stage).key if mount.stage else self._content(mount.source)

    def _content(self, source: str) -> str:
        """Return a digest of the files of a source in the build context."""
        files = {name: self._context / name for name in self._names(source)}
        return _digest(*(f"{name} {os.access(file, os.X_OK)} {_file_digest(file)}" for name, file in files.items()))

    def _names(self, source: str) -> Sequence[str]:
        """Return the files of a source in the build context, without those that `.dockerignore` excludes."""
        path = self._context / source
        files = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
        names = [str(each.relative_to(self._context)) for each in files]
        # The patterns of .dockerignore are anchored; those of .gitignore are not.
        ignored = PathSpec.from_lines("gitignore", (self._context / ".dockerignore").read_text().splitlines())
        kept = [name for name in names if not ignored.match_file(name)]
        assert kept, f"expected files at {source} that .dockerignore does not exclude, got none"
        return kept


@dataclass(frozen=True)
class _Mount:
    """A mount of RUN: `--mount=type=bind,...` or `--mount=type=cache,...`."""

    type: str
    target: str
    source: str = ""
    stage: str = ""

    @classmethod
    def read(cls, text: str) -> "_Mount":
        values: Mapping[str, str] = dict(each.split("=", 1) for each in text.split(","))
        return cls(values["type"], values["target"], values.get("source", ""), values.get("from", ""))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _locked(store: Path) -> Iterator[None]:
    """Let other builds wait."""
    store.mkdir(parents=True, exist_ok=True)
    with (store / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    try:
        build()
    except BuildError as error:
        sys.exit(str(error))
