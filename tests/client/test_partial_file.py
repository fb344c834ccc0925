"""Tests of hidden files: which are leftovers of killed processes, and which belong to a running writer."""

import errno
import fcntl
import os
import subprocess
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from odyssey_client.partial_file import PartialFile
from odyssey_client.rest.atomic_file import AtomicFile

KIND = "test"


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def left(target: Path) -> list[Path]:
    """Return the paths of the partial files that ended processes left for `target`. The files are not deleted."""
    found = []
    for each in PartialFile.leftovers(target, KIND):
        found.append(each.path)
        each.close()
    return found


def test_file_of_running_writer_is_no_leftover(tmp_path: Path) -> None:
    target = tmp_path / "a"
    one, other = PartialFile.create(target, KIND), PartialFile.create(target, KIND)
    assert one.path != other.path
    assert left(target) == []
    one.close()
    assert left(target) == [one.path]
    other.close()
    assert left(target) == sorted([one.path, other.path])


def test_leftover_is_locked_while_it_is_handled(tmp_path: Path) -> None:
    target = tmp_path / "a"
    PartialFile.create(target, KIND).close()
    for each in PartialFile.leftovers(target, KIND):
        assert left(target) == []
        each.delete()
    assert names(tmp_path) == []


def test_leftovers_of_other_target_or_purpose_are_separate(tmp_path: Path) -> None:
    PartialFile.create(tmp_path / "a", KIND).close()
    assert left(tmp_path / "b") == []
    assert list(PartialFile.leftovers(tmp_path / "a", "other")) == []


def test_child_process_with_the_handle_keeps_the_lock(tmp_path: Path) -> None:
    target = tmp_path / "a"
    made = PartialFile.create(target, KIND)
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=[made.file.fileno()]) as child:
        made.close()
        assert left(target) == []
        child.kill()
    assert left(target) == [made.path]


@pytest.mark.parametrize("kind", ["link", "pipe", "directory"])
def test_other_kinds_of_files_are_no_leftovers(kind: str, tmp_path: Path) -> None:
    target = tmp_path / "a"
    made = PartialFile.create(target, KIND)
    made.delete()
    match kind:
        case "link":
            (tmp_path / "b").touch()
            made.path.symlink_to(tmp_path / "b")
        case "pipe":
            os.mkfifo(made.path)
        case _:
            made.path.mkdir()
    assert left(target) == []


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=255).filter(
    lambda name: name not in {".", ".."} and len(name.encode()) <= 255
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=NAMES)
@example(name="x" * 251 + ".mp4")
@example(name="ü" * 125 + ".mp4")
@example(name="a." + "x" * 253)
def test_hidden_name_contains_target_name(name: str, tmp_path: Path) -> None:
    PartialFile.create(tmp_path / name, KIND).close()
    (found,) = PartialFile.leftovers_in(tmp_path, KIND)
    suffix = Path(name).suffix
    if len(name.encode()) <= 96:
        assert found.target_name == name
    else:
        assert name.startswith(found.target_name.removesuffix(suffix))
        assert 92 < len(found.target_name.encode()) <= 96
        assert found.target_name.endswith(suffix) or len(suffix.encode()) >= 96
    assert len(found.path.name.encode()) <= 143
    found.delete()


def test_without_locks_no_file_is_a_leftover(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    target = tmp_path / "a"
    made = PartialFile.create(target, KIND)
    made.close()
    assert left(target) == []
    assert names(tmp_path) == [made.path.name]


def test_file_taken_before_its_lock_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, lock = tmp_path / "a", fcntl.flock
    taken: list[Path] = []

    def take_first(file: object, operation: int) -> None:
        if not taken:
            (path,) = tmp_path.glob(".odyssey-*")
            taken.append(path)
            path.unlink()
        lock(file, operation)  # type: ignore[arg-type]

    monkeypatch.setattr(fcntl, "flock", take_first)
    made = PartialFile.create(target, KIND)
    assert made.path not in taken
    assert names(tmp_path) == [made.path.name]
    made.close()


def test_new_file_at_hidden_path_is_kept(tmp_path: Path) -> None:
    made = PartialFile.create(tmp_path / "a", KIND)
    made.replace(tmp_path / "a")
    made.path.write_bytes(b"another writer")
    made.delete()
    assert names(tmp_path) == [made.path.name, "a"]


def test_concurrent_writers_lose_no_file(tmp_path: Path) -> None:
    target = tmp_path / "a"

    def work(number: int) -> None:
        for turn in range(20):
            made = PartialFile.create(target, KIND)
            made.file.write(f"{number}-{turn}".encode())
            for each in PartialFile.leftovers(target, KIND):
                each.delete()
            made.take_free_name(tmp_path / f"{number}-{turn}")
            made.delete()

    threads = [threading.Thread(target=work, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    expected = {f"{number}-{turn}": f"{number}-{turn}" for number in range(4) for turn in range(20)}
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == expected


def test_leftover_of_download_is_deleted_by_next_one(tmp_path: Path) -> None:
    target = tmp_path / "a"
    killed, running = AtomicFile(target, overwrite=False), AtomicFile(target, overwrite=False)
    killed.open()
    running.open()
    killed._opened().close()
    kept = running._opened().path.name
    following = AtomicFile(target, overwrite=False)
    following.open()
    assert names(tmp_path) == sorted([kept, following._opened().path.name])
    following.close()
    running.close()
    assert names(tmp_path) == []
