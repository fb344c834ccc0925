import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

type Ask = Callable[[str], str]


@pytest.fixture(scope="session")
def ask(odyssey_url: str) -> Iterator[Ask]:
    """Start the application once for all tests; yield a function that sends it a prompt and returns its reply."""
    environment = {**os.environ, "ODYSSEY_API_URL": odyssey_url, "ODYSSEY_API_KEY": "ody_key_of_the_application"}
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).parent / "app.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as app:
        assert app.stdin is not None
        assert app.stdout is not None
        send, replies = app.stdin, app.stdout

        def ask(prompt: str) -> str:
            print(prompt, file=send, flush=True)
            return replies.readline()

        yield ask
        send.close()
