"""Tests of the functions that the sandbox of a simulated run replaces, and of those that it blocks."""

import concurrent.futures
import importlib
import importlib.resources
import inspect
import multiprocessing
import os
import queue
import random  # noqa: TID251 - under test
import secrets  # noqa: TID251 - under test
import socket
import subprocess
import sys
import threading
import time
import timeit
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from odyssey_mock.sim import sandbox
from odyssey_mock.sim.randomness import Randomness
from odyssey_mock.sim.sandbox import SandboxError, sandboxed

EPOCH = 1_767_225_600.0


LATE = """
import os
import random
import secrets
import socket
import subprocess
import sys
import threading
import time
from time import monotonic

subprocess.run([sys.executable, "-c", ""], check=True)
with socket.socket() as listener:
    listener.bind(("127.0.0.1", 0))
done = threading.Event()
threading.Thread(target=done.set).start()
assert done.wait(10)
time.sleep(0)
random.seed(1)
drawn = random.random(), secrets.token_hex(), os.urandom(8)
now = time.time()
"""
"""A module that does everything that the sandbox blocks or replaces."""


@pytest.fixture
def late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Create an importable package that imports its submodule with the content `LATE`; yield the package's name."""
    name = "imported_in_a_run"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text(f"from {name}.inner import monotonic, now\n")
    (tmp_path / name / "inner.py").write_text(LATE)
    (tmp_path / name / "broken.py").write_text("raise ZeroDivisionError\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    for each in (name, f"{name}.inner"):
        sys.modules.pop(each, None)


class Inside:
    """A fake source of time and entropy for the sandbox; its time never advances."""

    def __init__(self, seed: int = 1) -> None:
        self.now = 12.25
        self._bytes = Randomness(seed).stream("bytes")

    def time(self) -> float:
        return EPOCH + self.now

    def monotonic(self) -> float:
        return self.now

    def urandom(self, size: int, /) -> bytes:
        return self._bytes.randbytes(size)


@pytest.fixture
def udp() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        yield opened


@pytest.fixture
def tcp() -> Iterator[socket.socket]:
    with socket.socket() as opened:
        yield opened


def reaches(name: str) -> "pytest.RaisesExc[SandboxError]":
    return pytest.raises(SandboxError, match=rf"^{name}\(.*\) (is not allowed in a|would block the) simulation: \w+")


def test_sleep_raises_an_error_that_names_it() -> None:
    with sandboxed(Inside()), pytest.raises(SandboxError, match=r"time\.sleep\(0\.5\).*await asyncio\.sleep\(\)"):
        time.sleep(0.5)  # noqa: TID251 - must be blocked


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("socket.connect", lambda tcp, udp: tcp.connect(("127.0.0.1", 9))),
        ("socket.connect", lambda tcp, udp: tcp.connect_ex(("127.0.0.1", 9))),
        ("socket.bind", lambda tcp, udp: tcp.bind(("127.0.0.1", 0))),
        ("socket.sendto", lambda tcp, udp: udp.sendto(b"x", ("127.0.0.1", 9))),
        ("socket.sendmsg", lambda tcp, udp: udp.sendmsg([b"x"], [], 0, ("127.0.0.1", 9))),
        ("socket.getaddrinfo", lambda tcp, udp: socket.getaddrinfo("localhost", 80)),
        ("socket.getaddrinfo", lambda tcp, udp: urllib.request.urlopen("http://localhost:9/")),
        ("socket.gethostbyname", lambda tcp, udp: socket.gethostbyname("localhost")),
        ("socket.getnameinfo", lambda tcp, udp: socket.getnameinfo(("127.0.0.1", 80), 0)),
    ],
)
def test_network_of_the_machine_is_blocked(
    name: str, call: Callable[[socket.socket, socket.socket], object], tcp: socket.socket, udp: socket.socket
) -> None:
    with sandboxed(Inside()), reaches(name):
        call(tcp, udp)


def test_starting_a_thread_is_blocked() -> None:
    with sandboxed(Inside()):
        with reaches("_thread.start_(new|joinable)_thread"):
            threading.Thread(target=int).start()
        with concurrent.futures.ThreadPoolExecutor() as pool, reaches("_thread.start_(new|joinable)_thread"):
            pool.submit(int)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("subprocess.Popen", lambda: subprocess.run(["true"], check=False)),
        ("os.system", lambda: os.system("true")),
        ("os.fork", os.fork),
        ("os.fork", lambda: multiprocessing.get_context("fork").Process(target=int).start()),
        ("os.posix_spawn", lambda: os.posix_spawn("/bin/true", ["true"], {})),
        ("os.exec", lambda: os.execv("/bin/true", ["true"])),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="these calls exist only on POSIX")
def test_starting_a_process_is_blocked(name: str, call: Callable[[], object]) -> None:
    with sandboxed(Inside()), reaches(name):
        call()


@pytest.mark.parametrize(
    "wait",
    [
        lambda: threading.Event().wait(),
        lambda: threading.Event().wait(10),
        lambda: queue.Queue[int]().get(),
        lambda: threading.Semaphore(0).acquire(),
        lambda: concurrent.futures.Future[int]().result(),
        lambda: threading.Barrier(2).wait(),
    ],
)
def test_waiting_for_another_thread_is_an_error(wait: Callable[[], object]) -> None:
    with sandboxed(Inside()), reaches("threading.Condition.wait"):
        wait()


def test_input_is_an_error() -> None:
    with sandboxed(Inside()), reaches("builtins.input"):
        input()


def test_calls_that_do_not_wait_are_allowed() -> None:
    with sandboxed(Inside()):
        done = concurrent.futures.Future[int]()
        done.set_result(1)
        assert done.result() == 1
        full: queue.Queue[int] = queue.Queue()
        full.put(2)
        assert full.get() == 2
        assert threading.Lock().acquire(timeout=1)
        assert not threading.Semaphore(0).acquire(timeout=0)
        with pytest.raises(queue.Empty):
            full.get_nowait()


def test_time_functions_return_virtual_time() -> None:
    inside = Inside()
    with sandboxed(inside):
        for _ in range(2):
            assert time.time() == EPOCH + inside.now  # noqa: TID251 - under test
            assert time.time_ns() == round((EPOCH + inside.now) * 1e9)
            for read in (time.monotonic, time.perf_counter):  # noqa: TID251
                assert read() == inside.now
            for read_ns in (time.monotonic_ns, time.perf_counter_ns):
                assert read_ns() == round(inside.now * 1e9)
            inside.now += 3600


def draws() -> list[object]:
    return [
        os.urandom(8),  # noqa: TID251
        random.random(),
        random.SystemRandom().random(),
        secrets.token_hex(),
        secrets.randbelow(1000),
        uuid.uuid4(),  # noqa: TID251
    ]


def test_random_functions_depend_on_the_seed() -> None:
    def drawn(seed: int) -> list[object]:
        with sandboxed(Inside(seed)):
            return [*draws(), *draws()]

    assert drawn(1) == drawn(1)
    assert all(one != other for one, other in zip(drawn(1), drawn(2), strict=True))
    assert all(one != other for one, other in zip(drawn(1)[:6], drawn(1)[6:], strict=True))


def test_module_is_executed_outside_of_the_sandbox(late: str) -> None:
    with sandboxed(Inside()):
        expected = draws()
    with sandboxed(Inside()):
        module = importlib.import_module(late)
        assert draws() == expected
        with reaches("time.sleep"):
            time.sleep(1)  # noqa: TID251
        with reaches("subprocess.Popen"):
            subprocess.run(["true"], check=False)
    assert module.now > EPOCH + 3600
    assert module.monotonic is time.monotonic  # noqa: TID251


def test_module_keeps_its_own_loader(late: str) -> None:
    with sandboxed(Inside()):
        inside = importlib.import_module(late)
        found = importlib.util.find_spec(late)
    del sys.modules[late]
    outside = importlib.import_module(late)
    assert type(inside.__loader__) is type(outside.__loader__)
    assert inside.__spec__ is found
    assert inside.__spec__ is not None
    assert inside.__spec__.loader is inside.__loader__
    assert inspect.getsource(inside) == inspect.getsource(outside)
    assert (importlib.resources.files(inside) / "inner.py").read_text() == LATE


def test_module_that_fails_leaves_the_sandbox_intact(late: str) -> None:
    with sandboxed(Inside()):
        with pytest.raises(ZeroDivisionError):
            importlib.import_module(f"{late}.broken")
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(f"{late}.missing")
        assert time.time() == Inside().time()  # noqa: TID251
        with reaches("time.sleep"):
            time.sleep(1)  # noqa: TID251


def test_import_in_another_thread_keeps_the_sandbox(late: str, tmp_path: Path) -> None:
    (tmp_path / late / "inner.py").write_text("import time\nnow, monotonic = time.time(), 0\n")
    go, done = threading.Event(), threading.Lock()

    def look() -> None:
        go.wait()
        importlib.import_module(late)
        done.release()

    done.acquire()
    other = threading.Thread(target=look)
    other.start()
    with sandboxed(Inside()):
        go.set()
        assert done.acquire(timeout=10)
        with reaches("time.sleep"):
            time.sleep(1)  # noqa: TID251
    other.join()
    assert sys.modules[late].now > EPOCH + 3600


@pytest.mark.parametrize("fails", [False, True])
def test_everything_is_restored_afterward(*, fails: bool) -> None:
    def everything() -> list[object]:
        names = ("time", "monotonic", "perf_counter", "time_ns", "monotonic_ns", "perf_counter_ns", "sleep")
        return [
            *(getattr(time, name) for name in names),
            os.urandom,  # noqa: TID251
            vars(random)["_urandom"],
            threading.Condition.wait,
            random.getstate(),
        ]

    before, finders = everything(), list(sys.meta_path)
    try:
        with sandboxed(Inside()):
            assert all(one is not other for one, other in zip(before, everything(), strict=True))
            random.random()
            if fails:
                raise ZeroDivisionError
    except ZeroDivisionError:
        assert fails
    assert everything() == before
    assert sys.meta_path == finders
    time.sleep(0)  # noqa: TID251 - takes no time; would fail in the sandbox
    threading.Thread(target=int).start()
    assert sandbox._thread is None


def test_other_threads_are_not_affected() -> None:
    found: list[object] = []
    go, done = threading.Event(), threading.Lock()

    def look() -> None:
        go.wait()
        time.sleep(0)  # noqa: TID251 - as above
        found.extend([abs(time.time() - EPOCH) > 1000, os.urandom(4)])  # noqa: TID251
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
        threading.Thread(target=int).start()
        done.release()

    done.acquire()
    other = threading.Thread(target=look)
    other.start()
    with sandboxed(Inside()):
        expected = Inside().urandom(20)[16:]
        go.set()
        assert done.acquire(timeout=10)
    other.join()
    assert found[0] is True
    assert found[1] != expected


def test_nested_run_in_the_same_thread_is_rejected() -> None:
    with sandboxed(Inside()):
        with pytest.raises(SandboxError, match="already in progress in this process"), sandboxed(Inside(2)):
            pass
        assert time.monotonic() == Inside().now  # noqa: TID251
        with reaches("time.sleep"):
            time.sleep(1)  # noqa: TID251
    with sandboxed(Inside()):
        pass


def test_second_run_in_another_thread_is_rejected() -> None:
    caught: list[BaseException] = []

    def begin() -> None:
        go.wait()
        try:
            with sandboxed(Inside()):
                pass
        except SandboxError as error:
            caught.append(error)
        done.release()

    go, done = threading.Event(), threading.Lock()
    done.acquire()
    other = threading.Thread(target=begin)
    other.start()
    with sandboxed(Inside()):
        go.set()
        assert done.acquire(timeout=10)
    other.join()
    assert len(caught) == 1


def test_audit_hook_is_added_once_and_is_cheap() -> None:
    hooks: list[object] = []
    for _ in range(3):
        with sandboxed(Inside()), pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "addaudithook", hooks.append)
    assert hooks == []

    def asked() -> None:
        raise AssertionError("expected the audit hook not to look up the thread outside of a run, but it did")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading, "get_ident", asked)
        sys.audit("socket.connect", None, ("127.0.0.1", 9))
    # The limit is two microseconds per call: much more than the hook needs, and negligible compared with a system call.
    assert min(timeit.repeat(lambda: sandbox._watch("socket.connect", ()), number=1000, repeat=5)) < 0.002
