"""Functions that create scripts and requests of simulation jobs, and a backend without HTTP and with a manual clock."""

from typing import Any

from odyssey_mock.accounts.accounts import Account
from odyssey_mock.backend import Backend
from odyssey_mock.core.clock import ManualClock
from odyssey_mock.core.entropy import SeededEntropy
from odyssey_mock.core.url_parts import is_loopback
from odyssey_mock.current_settings import CurrentSettings
from odyssey_mock.settings import Priority, Settings
from odyssey_mock.simulations.job_machine import JobState
from odyssey_mock.simulations.job_records import JobRecord
from odyssey_mock.simulations.request import JobRequest
from odyssey_mock.simulations.scripts import Script, ScriptAction
from odyssey_mock.system_network import SystemNetwork

BROKEN_IMAGE = "data:image/png;base64,bm8gcGljdHVyZQ=="


def a_backend(**settings: Any) -> tuple[Backend, ManualClock]:  # Any: as `Settings` takes them
    clock = ManualClock()
    backend = Backend(
        settings=CurrentSettings(Settings(**settings)),
        clock=clock,
        entropy=SeededEntropy(7),
        network=SystemNetwork(),
        listening_url="http://127.0.0.1:9",
        stun_port=9,
        accepts=is_loopback,
    )
    return backend, clock


def an_account(name: str = "one", priority: Priority = "normal") -> Account:
    return Account(id=f"acct_{name}", bypass_vlm_expansion=True, simulation_priority=priority)


def a_script(seconds: float = 10.0, *interactions: str, prompt: str = "A cat", image: str | None = None) -> Script:
    """Return a script that lasts `seconds`, with the interactions evenly spaced between start and end."""
    end = round(seconds * 1000)
    step = end // (len(interactions) + 1)
    changes = [ScriptAction(step * number, "interact", each) for number, each in enumerate(interactions, 1)]
    return Script((ScriptAction(0, "start", prompt, image), *changes, ScriptAction(end, "end")))


def a_request(*scripts: Script, url: str | None = None, portrait: bool = True, bypass: bool = False) -> JobRequest:
    wanted = None if url is not None else scripts or (a_script(),)
    return JobRequest(scripts=wanted, script_url=url, portrait=portrait, bypass=bypass)


def states(record: JobRecord) -> list[JobState]:
    return [state for state, _ in record.history]
