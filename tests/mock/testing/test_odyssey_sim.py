"""Tests of `@pytest.mark.odyssey_sim` in a user's project, in both modes of pytest-asyncio."""

import re

import pytest

from tests.support.project import run, run_apart, seed_and_story

pytest_plugins = ["pytester"]


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_ordinary_test_runs_once_per_seed(pytester: pytest.Pytester, mode: str) -> None:
    result = run_apart(
        pytester,
        """
        import asyncio
        import os
        import time

        import pytest
        from odyssey_client import Odyssey

        met = {}

        def note(name, world):
            met.setdefault(name, []).append(world.seed)

        class Application:
            def __init__(self):
                self._client = Odyssey()

            async def stream(self):
                await self._client.connect()
                await self._client.start_stream("A cat")
                applied = await self._client.interact("It wakes up")
                await self._client.disconnect()
                return applied

        @pytest.fixture
        def word(monkeypatch):
            monkeypatch.setenv("WORD", "wakes")
            yield "wakes"

        @pytest.mark.odyssey_sim(seeds=3)
        async def test_application_uses_simulated_mock(odyssey_sim, word):
            assert word in await Application().stream()
            assert os.environ["WORD"] == word
            odyssey_sim.mock.expect("update")
            note("application", odyssey_sim)

        class TestMethods:
            @pytest.mark.parametrize("seconds", [3600.0])
            @pytest.mark.odyssey_sim(seeds=2, timeout=7200, weather="calm", fps=4)
            async def test_sleep_advances_virtual_time(self, odyssey_sim, seconds):
                began, wall = time.monotonic(), time.time()
                await asyncio.sleep(seconds)
                assert time.monotonic() - began == time.time() - wall == odyssey_sim.now() == seconds
                assert odyssey_sim.mock.settings.fps == 4
                note("hour", odyssey_sim)

        async def test_fixture_without_marker_is_sufficient(odyssey_sim):
            note("fixture", odyssey_sim)

        @pytest.mark.odyssey_sim(seeds=2)
        async def test_marker_without_fixture_is_sufficient():
            assert (await Odyssey().list_simulations()).jobs == ()
            asyncio.create_task(asyncio.sleep(3600))  # cancelled at the end of the loop, as with asyncio.run

        @pytest.mark.odyssey_sim(seeds=5)
        async def test_networks_differ_between_seeds(odyssey_sim):
            await odyssey_sim.client().list_simulations()
            note("times", odyssey_sim)
            assert odyssey_sim.now() not in met.setdefault("seen", [])
            met["seen"].append(odyssey_sim.now())

        @pytest.mark.odyssey_sim(seeds=5)
        async def test_skip_ends_all_seeds(odyssey_sim):
            note("skipped", odyssey_sim)
            pytest.skip("enough")

        @pytest.mark.asyncio
        async def test_unmarked_test_runs_in_real_loop():
            loop = asyncio.get_running_loop()
            assert "Simulated" not in type(loop).__name__

        def test_seeds_ran_in_order():
            assert met["application"] == [0, 1, 2] and met["hour"] == [0, 1] and len(met["fixture"]) == 50
            assert met["times"] == [0, 1, 2, 3, 4] and met["skipped"] == [0]
            assert "ODYSSEY_API_URL" not in os.environ and "ODYSSEY_API_KEY" not in os.environ
        """,
        "-o",
        f"asyncio_mode={mode}",
    )
    result.assert_outcomes(passed=7, skipped=1)


FAILING = """
    import pytest

    class Unlucky(Exception):
        pass

    async def deep_inside(world):
        if world.chance.stream("mine").random() < 0.2:
            raise Unlucky(f"with seed {world.seed}")

    @pytest.mark.odyssey_sim(seeds=100)
    async def test_luck(odyssey_sim):
        await odyssey_sim.client().list_simulations()
        await deep_inside(odyssey_sim)
"""


def test_failing_seed_is_reported_and_replayable(pytester: pytest.Pytester) -> None:
    result = run(pytester, FAILING)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            ">*await deep_inside(odyssey_sim)",
            "E*Unlucky: with seed *",
            "E*failed with seed *; to reproduce: pytest *::test_luck --odyssey-seed=*",
            "*odyssey_sim: the seed that failed*",
            "seed *, after * s of virtual time; to reproduce: *",
            "what the server recorded (2 entries):",
            "*seconds  client *odyssey",
            "* |-- POST /auth/token (status=200) --->|",
            "*GET /simulation-jobs (status=200)*",
        ]
    )
    result.stdout.no_fnmatch_line("*plugin.py*")
    seed = int(re.findall(r"--odyssey-seed=(\d+)", result.stdout.str())[0])
    again = run_apart(pytester, FAILING, f"--odyssey-seed={seed}")
    again.assert_outcomes(failed=1)
    assert seed_and_story(again.stdout.str()) == seed_and_story(result.stdout.str())
    assert seed > 0, f"expected seed 0 to pass and a later seed to fail, got failing seed {seed}"
    run(pytester, FAILING, "--odyssey-seed=0").assert_outcomes(passed=1)
    run(pytester, FAILING, f"--odyssey-seeds={seed}").assert_outcomes(passed=1)


def test_blocking_calls_are_rejected_by_name(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import socket
        import threading
        import time
        import urllib.request

        import pytest

        pytestmark = pytest.mark.odyssey_sim(seeds=2)

        async def test_sleep():
            time.sleep(0.1)

        async def test_connection():
            socket.create_connection(("127.0.0.1", 9))

        async def test_request(odyssey_sim):
            urllib.request.urlopen(odyssey_sim.mock.url)

        async def test_thread():
            threading.Thread(target=print).start()
        """,
    )
    result.assert_outcomes(failed=4)
    result.stdout.fnmatch_lines(
        [
            ">*time.sleep(0.1)",
            "E*SandboxError: time.sleep(0.1) is not allowed in a simulation: use `await asyncio.sleep()`",
            ">*socket.create_connection(*",
            "E*SandboxError: socket.getaddrinfo('127.0.0.1', 9, *",
            ">*urllib.request.urlopen(*",
            "E*SandboxError: socket.*",
            ">*threading.Thread(target=print).start()",
            "E*SandboxError: _thread.start_*",  # new_thread, and joinable_thread from Python 3.13 on
        ]
    )


def test_endless_test_reports_where_it_waits(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import asyncio
        import pytest

        @pytest.mark.odyssey_sim(timeout=5)
        async def test_waits_for_lost_event(odyssey_sim):
            await asyncio.Event().wait()

        @pytest.mark.odyssey_sim(timeout=5)
        async def test_sleeps_without_end(odyssey_sim):
            while True:
                await asyncio.sleep(1)

        @pytest.mark.odyssey_sim(timeout=5)
        async def test_waits_without_passing_time(odyssey_sim):
            while not odyssey_sim.mock.sessions:
                await asyncio.sleep(0)

        async def fail():
            raise ValueError("raised by a background task")

        @pytest.mark.odyssey_sim
        async def test_background_failure_alone(odyssey_sim):
            asyncio.create_task(fail())
            await asyncio.sleep(1)

        @pytest.mark.odyssey_sim
        async def test_background_failure_with_failed_assertion(odyssey_sim):
            asyncio.create_task(fail())
            await asyncio.sleep(1)
            assert odyssey_sim.mock.streams

        @pytest.mark.odyssey_sim
        async def test_timeout_of_test_itself(odyssey_sim):
            async with asyncio.timeout(1):
                await asyncio.Event().wait()
        """,
    )
    result.assert_outcomes(failed=6)
    result.stdout.fnmatch_lines(
        [
            ">*await asyncio.Event().wait()",
            "E*EndlessError: expected the test to end within 5 s of virtual time, but it is still waiting.*",
            ">*await asyncio.sleep(1)",
            "E*EndlessError: expected the test to end within 5 s of virtual time, but it is still waiting.*",
            "E*EndlessError: * callbacks ran while no virtual time passed: * in test_waits_without_passing_time*",
            "E*ValueError: raised by a background task",
            "E*assert *",
            "E*in addition, a background task failed: ValueError('raised by a background task')",
            "E*TimeoutError",
        ]
    )
