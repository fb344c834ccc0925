"""Tests of an application that runs in another process. The process is started once for all tests."""

import subprocess
import sys
from collections.abc import Callable

import pytest

from odyssey_mock.sync import MockOdyssey

LOG_IN = """
import json, os, urllib.request

body = json.dumps({"api_key": os.environ["ODYSSEY_API_KEY"]}).encode()
url = os.environ["ODYSSEY_API_URL"] + "/auth/token"
urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": "application/json"})).close()
"""


@pytest.mark.parametrize("prompt", ["Pet the cat", "Feed the cat"])
def test_application_applies_a_prompt(odyssey_mock: MockOdyssey, ask: Callable[[str], str], prompt: str) -> None:
    assert odyssey_mock.journal.entries == ()
    assert prompt in ask(prompt)
    odyssey_mock.expect("update_acknowledged", count=1)


@pytest.mark.odyssey(clock="manual")
def test_application_follows_the_clock(odyssey_mock: MockOdyssey, ask: Callable[[str], str]) -> None:
    ask("Pet the cat")
    began = odyssey_mock.journal.entries[0].time
    odyssey_mock.advance(60)
    ask("Feed the cat")
    assert odyssey_mock.journal.entries[-1].time == began + 60


def test_environment_of_a_test_reaches_its_processes(odyssey_mock: MockOdyssey) -> None:
    subprocess.run([sys.executable, "-c", LOG_IN], check=True, timeout=60)
    odyssey_mock.expect("POST /auth/token", count=1)
