"""Tests of the sync client in subprocesses: Ctrl-C, forks, and the exit of the process."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import av
import httpx
import pytest

from odyssey_mock.sync import MockOdyssey
from tests.support.forks import start_python
from tests.support.interrupts import interruptible
from tests.support.served import served
from tests.support.tls_contexts import NO_CERTIFICATES

LIMIT_S = 30.0

PREAMBLE = """
import atexit, os, sys, threading
from pathlib import Path
import odyssey_client
from odyssey_client.sync import Odyssey, connect_to_stream

def say(*words):
    print(*words, flush=True)

"""


@pytest.fixture(scope="module")
def service() -> Iterator[dict[str, str]]:
    """Run a mock in another process; yield environment variables with its URL and API key."""
    with served("--portrait-size", "176", "320") as (_, ready):
        yield {**os.environ, "ODYSSEY_API_URL": ready["url"], "ODYSSEY_API_KEY": ready["api_key"]}


def begin(code: str, environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    with interruptible():
        return start_python(
            *("-W", "error", "-c", PREAMBLE + code, *arguments),
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )


def run(code: str, environment: dict[str, str], *arguments: str) -> tuple[int, str, str]:
    """Run Python code in a subprocess; return its exit code, standard output and standard error."""
    with begin(code, environment, *arguments) as process:
        output, errors = process.communicate(timeout=LIMIT_S)
    return process.returncode, output, errors


# Ctrl-C.

INTERRUPTED = """
client = Odyssey()
client.connect()
client.start_stream("A castle")
try:
    say("ready")
    {call}
except KeyboardInterrupt:
    say("interrupted", client.is_connected)
client.interact("Night")
client.disconnect()
say(client.current_status)
"""


@pytest.mark.parametrize(
    "call",
    ['client.interact("[stall] Night")', "for frame in client.frames(): pass", "next(client.events())"],
    ids=["call", "frames", "events"],
)
def test_interrupt_ends_a_call_of_a_usable_client(service: dict[str, str], call: str) -> None:
    with begin(INTERRUPTED.format(call=call), service) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, output, errors) == (0, "interrupted True\ndisconnected\n", "")


CONNECTING = """
client = Odyssey()
try:
    say("ready")
    client.connect()
except KeyboardInterrupt:
    say("interrupted", client.current_status)
client.disconnect()
raise KeyboardInterrupt
"""


def test_interrupted_connect_leaves_nothing_open(hanging_service: dict[str, str]) -> None:
    with begin(CONNECTING, hanging_service) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == -signal.SIGINT
    assert output == "interrupted disconnected\n"
    assert errors.splitlines()[-1] == "KeyboardInterrupt"


@pytest.fixture
def hanging_service(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Run a mock that never answers the request for a token."""
    faults = tmp_path / "faults.json"
    faults.write_text('[{"at": "rest.auth.token", "do": "no_answer"}]')
    with served("--faults", str(faults)) as (_, ready):
        yield {**os.environ, "ODYSSEY_API_URL": ready["url"], "ODYSSEY_API_KEY": ready["api_key"]}


# Forks.

FORKED = """
import warnings
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)

def in_child(work):
    child = os.fork()
    if child == 0:
        try:
            work()
            code = 0
        except BaseException as error:
            say(repr(error))
            code = 1
        os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
"""

CHILD_HAS_OWN_CONNECTION = """
client = Odyssey()
client.connect()
frames, parents = client.frames(), client.current_session_id
client.start_stream("A castle")

def work():
    assert not client.is_connected
    try:
        next(frames)
    except odyssey_client.InvalidStateError as error:
        say(error)
    with client:
        client.connect()
        assert client.current_session_id != parents
        client.start_stream("A cave")

in_child(work)
assert client.current_session_id == parents
assert client.interact("Night").startswith("Night")
next(frames)
client.disconnect()
"""

CHILD_OF_IDLE_CLIENT = """
client = Odyssey()
client.list_simulations()

def work():
    assert client.list_simulations().total == 0
    client.disconnect()

for _ in range(2):
    in_child(work)
client.list_simulations()
client.disconnect()
"""


def test_forked_child_connects_by_itself(service: dict[str, str]) -> None:
    code, output, errors = run(FORKED + CHILD_HAS_OWN_CONNECTION, service)
    assert (code, errors) == (0, "")
    assert "next() was called in a forked child process" in output


def test_forked_children_use_an_idle_client(service: dict[str, str]) -> None:
    assert run(FORKED + CHILD_OF_IDLE_CLIENT, service) == (0, "", "")


# The exit of the process.

STOPPING = """
import asyncio
from odyssey_client.sync.background import background

class Stoppable:
    async def stop(self):
        await asyncio.to_thread(say, "stopped")

stoppable = Stoppable()
background("test").stop_at_exit(stoppable)
"""


def test_to_thread_works_while_process_exits(service: dict[str, str]) -> None:
    """While the process exits, `stop` of an object can call `asyncio.to_thread`.

    Python starts no new threads at this time, so the call must use an existing one.
    """
    assert run(STOPPING, service) == (0, "stopped\n", "")


RECORDING = """
client = Odyssey()
client.connect().record(sys.argv[1]).start()
frames = client.frames()
for _ in range(10):
    next(frames)
"""


def test_exit_completes_a_recording(service: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    assert run(RECORDING, service, str(path)) == (0, "", "")
    assert list(tmp_path.iterdir()) == [path]
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) >= 9


OPENING = """
client = Odyssey()
threading.Thread(target=client.connect, daemon=True).start()
try:
    sys.stdin.readline()
except KeyboardInterrupt:
    pass
"""


@pytest.mark.parametrize("is_interrupted", [False, True], ids=["end of the program", "Ctrl-C"])
def test_exit_ends_a_session_that_is_opening(is_interrupted: bool) -> None:
    delay = {"at": "rest.sessions.token", "do": "delay", "seconds": 0.3, "times": 1}
    with MockOdyssey(faults=[delay]) as mock:
        environment = {**os.environ, "ODYSSEY_API_URL": mock.url, "ODYSSEY_API_KEY": mock.api_key}
        with begin(OPENING, environment) as process:
            mock.wait_for("fault", "rest.sessions.token")
            if is_interrupted:
                process.send_signal(signal.SIGINT)
            _, errors = process.communicate("go on\n", timeout=LIMIT_S)
        assert (process.returncode, errors) == (0, "")
        mock.wait_for("state", "session", to="closed", event="client_left")


EXITS = {
    "connected": "",
    "streaming": 'client.start_stream("A castle")',
    "another client": "other = Odyssey(); other.connect()",
    "handlers": "client.disconnect(); client.connect(on_video_frame=lambda: None)",
    "reader": "frames = client.frames(); next(frames)",
    "daemon threads": """
client.start_stream("A castle")
for work in (lambda: list(client.frames()), lambda: client.interact("[stall] x"), lambda: next(Odyssey().events())):
    threading.Thread(target=work, daemon=True).start()
""",
    "spectator": """
ready = threading.Event()
client.disconnect()
events = client.events()
client.connect()
client.start_stream("A castle", broadcast=True)
info = next(event.info for event in events if isinstance(event, odyssey_client.BroadcastReady))
spectator = connect_to_stream(info.webrtc_url, info.spectator_token)
next(spectator.frames())
""",
    "functions at exit": "atexit.register(client.disconnect); atexit.register(client.start_stream, 'A castle')",
}


@pytest.mark.parametrize("code", EXITS.values(), ids=EXITS)
def test_exit_with_connected_client_is_silent(service: dict[str, str], code: str) -> None:
    program = f"client = Odyssey()\nclient.connect()\n{code}\nsay('exits')"
    with begin(program, service) as process:
        assert process.stdout is not None
        if (line := process.stdout.readline()) != "exits\n":
            rest = process.communicate(timeout=LIMIT_S)
            pytest.fail(f"expected the program to print 'exits', got {line!r}, then (stdout, stderr): {rest}")
        began = time.monotonic()  # noqa: TID251 - the duration of another process
        output, errors = process.communicate(timeout=LIMIT_S)
        took = time.monotonic() - began  # noqa: TID251 - as above
    assert (process.returncode, output, errors) == (0, "", "")
    assert took < 3.0
    state = httpx.get(f"{service['ODYSSEY_API_URL']}/_mock/state", trust_env=False, verify=NO_CERTIFICATES).json()
    assert [each["state"] for each in state["sessions"] if each["state"] != "closed"] == []
