"""Tests of `GET /_mock/machines`."""

import httpx

from odyssey_mock.sessions.session_machine import SessionState
from odyssey_mock.sessions.stream_machine import StreamState
from odyssey_mock.simulations.job_machine import JobState


async def test_machines_have_states_and_transitions(http: httpx.AsyncClient) -> None:
    machines = (await http.get("/_mock/machines")).json()
    assert {name: machine["states"] for name, machine in machines.items()} == {
        "session": [*SessionState],
        "stream": [*StreamState],
        "job": [*JobState],
    }
    assert {name: machine["initial"] for name, machine in machines.items()} == {
        "session": "waiting",
        "stream": "idle",
        "job": "pending",
    }
    assert {"from": "starting", "event": "first_frame", "to": "running"} in machines["stream"]["transitions"]
    assert {"from": "connected", "event": "socket_lost", "to": "held"} in machines["session"]["transitions"]


async def test_events_that_change_nothing_are_left_out(http: httpx.AsyncClient) -> None:
    machines = (await http.get("/_mock/machines")).json()
    assert [
        each for machine in machines.values() for each in machine["transitions"] if each["from"] == each["to"]
    ] == []


async def test_every_state_can_be_reached(http: httpx.AsyncClient) -> None:
    for name, machine in (await http.get("/_mock/machines")).json().items():
        reached = {machine["initial"], *(each["to"] for each in machine["transitions"])}
        assert reached == {*machine["states"]}, f"the machine of a {name}"
