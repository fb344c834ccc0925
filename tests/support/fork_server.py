"""A program that imports pytest and the packages once, and then runs Python commands in forks of its process.

A fork takes milliseconds. A new interpreter with the same imports takes one to two seconds of processor time.
`tests/support/forks.py` starts the program. Standard input is a socket. Each request on it describes a command, with
the files for the command's standard streams, and the answer is the id of the new process.

The program does not wait for the new process: it is orphaned, and so becomes a child of the process that asked for it.
"""

import argparse
import atexit
import gc
import importlib
import importlib.metadata
import io
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import types
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn, TextIO, override

import pytest

IMPORTS = (
    "certifi",
    "cryptography.hazmat.backends.openssl",
    "httpx",
    "jwt",
    "odyssey_client.bounded_websocket",
    *(
        f"odyssey_client.cli.{name}"
        for name in ("recordings", "simulate", "simulations", "stream", "validate", "watch")
    ),
    "odyssey_client.connection.connection",
    "odyssey_client.connection.streamer_link",
    "odyssey_client.rest.proxies",
    "odyssey_client.rtc.client_peer",
    "odyssey_client.rtc.host_addresses",
    "odyssey_client.rtc.spectator_peer",
    "odyssey_client.sync",
    *(
        f"odyssey_client.trace.{name}"
        for name in ("client_trace", "http_exchanges", "log_records", "network", "recorder", "thumbnails")
    ),
    *(f"odyssey_mock.cli.{name}" for name in ("chaos", "doctor", "exec", "explore", "serve", "trace")),
    *(
        f"odyssey_mock.http.routes.{name}"
        for name in (
            "accounts",
            "auth",
            "clock",
            "events",
            "faults",
            "frames",
            "journal",
            "machines",
            "monitors",
            "overview",
            "recorded_streams",
            "recordings",
            "session_actions",
            "sessions",
            "settings",
            "simulations",
        )
    ),
    "odyssey_mock.media.film",
    "odyssey_mock.media.frame_encoder",
    "odyssey_mock.rtc.spectator_peer",
    "odyssey_mock.rtc.streamer_peer",
    "odyssey_mock.sessions.session",
    "odyssey_mock.sessions.session_lifecycle",
    "odyssey_mock.sim.light.networks",
    "odyssey_mock.sim.run",
    "odyssey_mock.testing.per_test_mock",
    "odyssey_mock.testing.simulated",
    "odyssey_mock.testing.strategies",
    "odyssey_mock.testing.traced_tests",
    "odyssey_mock.trace.server_trace",
    "uvicorn.lifespan.off",
    "xdist.dsession",
    "xdist.looponfail",
)
"""Modules that most commands import, besides pytest and its plugins; some of them only when they are used.

httpcore is none of them: when it is imported, it looks for trio, which only some commands have.
"""

OPTIONS = (
    "--collect-only",
    "-p",
    "no:cacheprovider",
    "-o",
    "asyncio_default_fixture_loop_scope=function",
    "-c",
    os.devnull,
)
"""Options of a pytest run without tests. It must not use markers: pytest would know them in all later runs."""

SIGNALS = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
"""Signals that a new process ignores if the process that started it does."""

HYPOTHESIS = Path(__file__).parents[2] / ".hypothesis"
"""The folder of Hypothesis in this clone, in which the workers of the suite have already stored their tables."""

UNSUPPORTED = "preexec_fn, pass_fds, shell, executable, group, extra_groups, user, umask and process_group"
"""Options of `subprocess.Popen` that have no effect on a fork, and raise `ValueError`."""

LENGTH_BYTES = 8
"""The length of the number of bytes that begins a request."""


@dataclass(frozen=True)
class Command:
    """A command for the Python interpreter.

    Attributes:
        arguments: those after the name of the interpreter: `-W` options, then `-c`, `-m` or a file, and its arguments.
        folder: the working directory.
        environment: all environment variables. Of those that Python reads when it starts, only `PYTHONPATH`,
            `PYTHONUNBUFFERED` and the name of an encoding in `PYTHONIOENCODING` have an effect.
        ignored: the numbers of the signals in `SIGNALS` that the process ignores.
        is_session: whether the process is the leader of a new session.
    """

    arguments: Sequence[str]
    folder: str
    environment: Mapping[str, str]
    ignored: Sequence[int] = ()
    is_session: bool = False

    def send(self, receiver: socket.socket, files: Sequence[int]) -> None:
        """Send the command, with the files of its standard streams. `receive` returns them at the other end."""
        body = json.dumps(asdict(self)).encode()
        socket.send_fds(receiver, [len(body).to_bytes(LENGTH_BYTES)], files)
        receiver.sendall(body)


class Fork(subprocess.Popen[Any], ABC):  # Any: the streams of the process have bytes or text
    """A Python process that is a fork of another one, and a child of this process."""

    @abstractmethod
    def start(self, command: Command, files: Sequence[int]) -> int:
        """Return the id of a process that runs `command` with these files as its standard streams."""

    # Any: the arguments of a method of subprocess.Popen that is not public. It has them since Python 3.9.
    def _execute_child(
        self,
        args: Sequence[str],
        executable: Any,
        preexec_fn: Any,
        close_fds: bool,
        pass_fds: Any,
        cwd: str | Path | None,
        env: Mapping[str, str] | Mapping[bytes, bytes] | None,
        startupinfo: Any,
        creationflags: Any,
        shell: bool,
        p2cread: int,
        p2cwrite: int,
        c2pread: int,
        c2pwrite: int,
        errread: int,
        errwrite: int,
        restore_signals: bool,
        gid: Any,
        gids: Any,
        uid: Any,
        umask: int,
        start_new_session: bool,
        process_group: int,
    ) -> None:
        given = (executable, preexec_fn, tuple(pass_fds), shell, gid, gids, uid, umask, process_group)
        if given != (None, None, (), False, None, None, None, -1, -1):
            raise ValueError(f"expected none of the options {UNSUPPORTED}")
        variables = os.environ if env is None else env
        command = Command(
            arguments=list(args[1:]),
            folder=os.fspath(Path.cwd() if cwd is None else Path(cwd).absolute()),
            environment={os.fsdecode(name): os.fsdecode(value) for name, value in variables.items()},
            ignored=[each for each in SIGNALS if signal.getsignal(each) is signal.SIG_IGN],
            is_session=start_new_session,
        )
        files = [number if file == -1 else file for number, file in enumerate((p2cread, c2pwrite, errwrite))]
        self.pid: int = self.start(command, files)
        self._child_created = True
        self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)  # type: ignore[attr-defined]


def main() -> None:
    prepare()
    requests = socket.socket(fileno=0)
    while (received := receive(requests)) is not None:
        command, files = received
        process = orphan()
        if process is None:
            requests.detach()  # the command's standard input replaces it
            become(command, files)
            if list(command.arguments[:2]) == ["-m", "pytest"]:
                fork_workers(workers(command.arguments))
                run_and_end(command.arguments)
            run(command.arguments)
            return
        for file in files:
            os.close(file)
        requests.sendall(b"%d\n" % process)


def workers(arguments: Sequence[str]) -> int:
    """Return how many workers pytest-xdist starts for the option `-n` in these arguments of pytest."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-n", "--numprocesses", default="0")
    count: str = parser.parse_known_args(arguments)[0].numprocesses
    return int(count) if count.isdecimal() else 0


def fork_workers(count: int) -> None:
    """Fork the workers of pytest-xdist while this process has no threads, and let pytest-xdist use them.

    A worker is a new interpreter otherwise, and imports pytest and the packages again. So is each worker after these,
    which pytest-xdist starts when one has crashed.
    """
    idle: list[tuple[int, socket.socket]] = []
    for _ in range(count):
        ours, theirs = socket.socketpair()
        process = os.fork()
        if process == 0:
            for _, other in idle:
                other.close()
            ours.close()
            be_worker(theirs)
        theirs.close()
        idle.append((process, ours))
    if not idle:
        return

    from execnet import gateway_base, gateway_io  # noqa: PLC0415 - only runs with workers need it

    class Worker(Fork):
        @override
        def start(self, command: Command, files: Sequence[int]) -> int:
            process, receiver = idle.pop(0)
            with receiver:
                command.send(receiver, files)
            return process

    class WorkerIO(gateway_io.Popen2IOMaster):
        def __init__(self, args: Sequence[str], execmodel: gateway_base.ExecModel) -> None:
            if not idle:
                super().__init__(args, execmodel)
                return
            self.popen = Worker(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            gateway_base.Popen2IO.__init__(self, self.popen.stdin, self.popen.stdout, execmodel=execmodel)

    gateway_io.Popen2IOMaster = WorkerIO  # type: ignore[misc]  # execnet creates all workers with this class


def be_worker(requests: socket.socket) -> NoReturn:
    """Wait for the command of a worker of pytest-xdist, and run it. It does not come if pytest starts no worker."""
    received = receive(requests)
    if received is None:
        os._exit(0)
    command, files = received
    requests.close()
    become(command, files)
    run_and_end(command.arguments)


def receive(requests: socket.socket) -> tuple[Command, Sequence[int]] | None:
    """Return the next command and the files of its standard streams; None at the end of the requests."""
    length, files, _, _ = socket.recv_fds(requests, LENGTH_BYTES, 3)
    if not length:
        return None
    missing = int.from_bytes(length)
    body = bytearray()
    while missing > len(body):
        part = requests.recv(missing - len(body))
        if not part:
            return None  # the process that asked was interrupted
        body += part
    return Command(**json.loads(body)), files


def prepare() -> None:
    """Import pytest, its plugins, and the modules in `IMPORTS`.

    The plugins are imported by a run of pytest without tests, so that pytest rewrites their assertions.
    """
    del sys.path[0]  # the folder of this file
    remember_distributions()
    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as nowhere:
        shown, sys.stdout = sys.stdout, nowhere
        pytest.main([*OPTIONS, "--rootdir", folder, folder])
        sys.stdout = shown
    for name in IMPORTS:
        importlib.import_module(name)
    if "httpcore" in sys.modules:
        raise RuntimeError("expected pytest, its plugins and IMPORTS not to import httpcore, got an import of it")
    fill_caches_of_hypothesis()
    gc.collect()
    gc.freeze()  # so that forks do not copy the memory of these objects


def remember_distributions() -> None:
    """Let `importlib.metadata` read the files of each installed distribution once.

    Each run of pytest asks four times for the entry points of all distributions, which takes a quarter of its
    processor time.
    """
    for name in ("entry_points", "metadata"):
        setattr(importlib.metadata.PathDistribution, name, remembered(name))


def remembered(name: str) -> property:
    """Return a property like that of `Distribution` that computes its value once for each folder of metadata."""
    found: dict[str, object] = {}
    compute = getattr(importlib.metadata.Distribution, name).fget

    def get(distribution: importlib.metadata.PathDistribution) -> object:
        folder = str(distribution._path)  # no public attribute has it
        if folder not in found:
            found[folder] = compute(distribution)
        return found[folder]

    return property(get)


def fill_caches_of_hypothesis() -> None:
    """Run a property, for which Hypothesis reads a table of Unicode, and the constants in the modules of the packages.

    Hypothesis stores both in its folder, which is empty in a new project. Each command would take two seconds to
    create them again.
    """
    from hypothesis import given, settings, strategies  # noqa: PLC0415 - after pytest has rewritten its plugin
    from hypothesis.configuration import set_hypothesis_home_dir  # noqa: PLC0415 - as above

    # Hypothesis reads the constants for one in twenty texts.
    @settings(max_examples=2, derandomize=True, database=None, deadline=None)
    @given(strategies.lists(strategies.text(max_size=1), min_size=200))
    def any_property(texts: Sequence[str]) -> None:
        pass

    set_hypothesis_home_dir(HYPOTHESIS)
    # In another thread, because each thread has its own random numbers. Those of this thread would be the same in every
    # command.
    thread = threading.Thread(target=any_property)
    thread.start()
    thread.join()


def orphan() -> int | None:
    """Fork a process whose parent has ended. Return its id in this process, and None in the new one."""
    receiver, sender = os.pipe()
    parent = os.fork()
    if parent != 0:
        os.close(sender)
        with os.fdopen(receiver) as sent:
            process = int(sent.read())
        os.waitpid(parent, 0)
        return process
    process = os.fork()
    if process != 0:
        os.write(sender, b"%d" % process)
        os._exit(0)
    os.close(receiver)
    os.close(sender)
    return None


def become(command: Command, files: Sequence[int]) -> None:
    """Give this process the files, signals, working directory and environment of a new process for `command`."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    if command.is_session:
        os.setsid()
    for signum in SIGNALS:
        handler = signal.default_int_handler if signum == signal.SIGINT else signal.SIG_DFL
        signal.signal(signum, signal.SIG_IGN if signum in command.ignored else handler)
    os.chdir(command.folder)
    os.environ.clear()
    os.environ.update(command.environment)
    tempfile.tempdir = None  # it depends on the environment
    sys.stdin = open_stream(sys.stdin, command.environment)
    sys.stdout = open_stream(sys.stdout, command.environment)
    sys.stderr = open_stream(sys.stderr, command.environment)
    paths = command.environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = dict.fromkeys([*filter(None, paths), *sys.path])
    import xdist.plugin  # noqa: PLC0415 - after pytest has rewritten it
    from hypothesis.configuration import set_hypothesis_home_dir  # noqa: PLC0415 - as above

    xdist.plugin._sys_path[:] = ["", *sys.path]  # that of the workers, which pytest-xdist copies when it is imported
    set_hypothesis_home_dir(Path(command.folder) / ".hypothesis")


def open_stream(before: TextIO, environment: Mapping[str, str]) -> TextIO:
    """Return a standard stream like `before` for the file that now has its descriptor."""
    number = before.fileno()
    raw = io.FileIO(number, "r" if number == 0 else "w", closefd=False)
    is_unbuffered = number != 0 and bool(environment.get("PYTHONUNBUFFERED"))
    buffer = io.BufferedReader(raw) if number == 0 else raw if is_unbuffered else io.BufferedWriter(raw)
    return io.TextIOWrapper(
        buffer,
        encoding=environment.get("PYTHONIOENCODING", before.encoding),
        errors=before.errors,
        line_buffering=number == 2 or raw.isatty(),
        write_through=is_unbuffered,
    )


def run_and_end(arguments: Sequence[str]) -> NoReturn:
    """Call `run`, and end this process after its threads and the functions of `atexit`, as the interpreter does.

    The rest of the interpreter's finalization would take 0.08 s of processor time. Tests of the exit of a process
    need it. Runs of pytest do not.
    """
    status = 0
    try:
        run(arguments)
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    threading._shutdown()  # type: ignore[attr-defined]  # no public function waits for the threads
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def run(arguments: Sequence[str]) -> None:
    """Do in this process what the interpreter does with these arguments."""
    sys.orig_argv = [sys.executable, *arguments]
    if arguments[0] == "-u":  # a worker of pytest-xdist, which replaces its standard streams
        arguments = arguments[1:]
    while arguments[0] == "-W":
        warnings.simplefilter(arguments[1])  # type: ignore[arg-type]  # one of the words that it expects
        sys.warnoptions.append(arguments[1])
        arguments = arguments[2:]
    kind, *rest = arguments
    sys.argv[1:] = rest[1:]
    if kind == "-m":
        sys.path.insert(0, str(Path.cwd()))
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.path.insert(0, "")
        sys.argv[0] = "-c"
        module = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(rest[0], "<string>", "exec"), module.__dict__)
    else:
        raise ValueError(f"expected the arguments -c CODE or -m MODULE after -W options, got {kind!r}")


if __name__ == "__main__":
    main()
