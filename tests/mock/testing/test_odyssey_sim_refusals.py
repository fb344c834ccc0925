"""Tests of `@pytest.mark.odyssey_sim` and its command-line options: errors for invalid use, and help texts."""

import pytest

from tests.support.project import OPTIONS, run, run_apart

pytest_plugins = ["pytester"]


def test_invalid_use_is_reported_with_reason(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import unittest

        import pytest
        from hypothesis import given, strategies as st

        @pytest.fixture
        async def made_elsewhere():
            return 1

        @pytest.fixture
        def indirectly(made_elsewhere):
            return 1

        @pytest.fixture
        def too_early(odyssey_sim):
            return odyssey_sim.client()

        @pytest.mark.odyssey_sim
        async def test_async_fixture(indirectly): ...

        @pytest.mark.odyssey_sim
        async def test_mock(odyssey_mock): ...

        @pytest.mark.odyssey_sim
        async def test_too_early(too_early): ...

        @pytest.mark.odyssey_sim
        def test_sync(): ...

        @pytest.mark.odyssey_sim
        @given(st.integers())
        async def test_given(number): ...

        @pytest.mark.odyssey_sim(200)
        async def test_by_position(): ...

        class TestOfUnittest(unittest.TestCase):
            @pytest.mark.odyssey_sim
            async def test_it(self): assert False

        class TestOfUnittestToo(unittest.IsolatedAsyncioTestCase):
            @pytest.mark.odyssey_sim
            async def test_it(self): ...

        @pytest.mark.odyssey_sim(seeds=0)
        async def test_no_seeds(): ...

        @pytest.mark.odyssey_sim(seed=3)
        async def test_seed(): ...

        @pytest.mark.odyssey_sim(timout=3)
        async def test_misspelled(): ...

        @pytest.mark.odyssey_sim(weather=[["reset"]])
        async def test_weather_too_deep(): ...

        @pytest.mark.odyssey_sim(depth="deep")
        async def test_depth(): ...

        @pytest.mark.odyssey_sim(weather=["reset", "hail"])
        async def test_weather(): ...

        @pytest.mark.odyssey_sim(timeout=True)
        async def test_timeout(): ...

        @pytest.mark.odyssey_sim(clock="manual")
        async def test_clock(): ...

        @pytest.mark.odyssey_sim(streamer=3)
        async def test_setting(): ...

        @pytest.mark.odyssey_sim(faults=[{"at": "nowhere", "do": "reset"}])
        async def test_fault(): ...
        """,
        "-o",
        "asyncio_mode=auto",
    )
    result.assert_outcomes(errors=5, failed=13)
    result.stdout.fnmatch_lines(
        [
            "the fixture 'made_elsewhere' is async, but does not run in the simulated event loop *Move its code *",
            "the fixture 'odyssey_mock' does not run in the simulated world *Use odyssey_sim.mock instead.",
            "E*AttributeError: odyssey_sim.client is available only inside the test: *",
            "@pytest.mark.odyssey_sim does not support unittest.TestCase: make TestOfUnittest a plain class, *",
            "@pytest.mark.odyssey_sim does not support unittest.TestCase: make TestOfUnittestToo a plain class, *",
            "@pytest.mark.odyssey_sim requires an async test: define it with `async def`",
            "@pytest.mark.odyssey_sim cannot be combined with @given: *OdysseyMachine*",
            "@pytest.mark.odyssey_sim accepts only keyword arguments, got (200,)",
            "@pytest.mark.odyssey_sim: seeds must be a whole number above 0, got 0",
            "@pytest.mark.odyssey_sim: seed cannot be set in a simulated test: *--odyssey-seed=N*",
            "@pytest.mark.odyssey_sim: unknown setting 'timout'; did you mean 'timeout'[?]",
            "@pytest.mark.odyssey_sim: unknown weather ?'reset'?; known: *",
            "@pytest.mark.odyssey_sim: depth must be 'light' or 'full', got 'deep'",
            "@pytest.mark.odyssey_sim: unknown weather 'hail'; known: reset, half_open, partition, clock_jump",
            "@pytest.mark.odyssey_sim: timeout must be a number of virtual seconds above 0, got True",
            "@pytest.mark.odyssey_sim: clock cannot be set in a simulated test: time is virtual *",
            "@pytest.mark.odyssey_sim: unknown setting 'streamer'; did you mean 'streamers'? *",
            "@pytest.mark.odyssey_sim: *nowhere*",
        ]
    )


def test_missing_extra_is_reported(pytester: pytest.Pytester) -> None:
    # The process of the run is a fork of one that has imported the simulated world.
    pytester.makeconftest(
        """
        import sys

        for name in list(sys.modules):
            if name.startswith(("odyssey_mock.sim.", "odyssey_mock.testing.simulated", "simloop")):
                del sys.modules[name]
        sys.modules["simloop"] = None
        """
    )
    result = run_apart(
        pytester,
        """
        import pytest

        @pytest.mark.odyssey_sim
        async def test_it(): ...

        def test_others(): ...
        """,
    )
    result.assert_outcomes(errors=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            (
                "@pytest.mark.odyssey_sim requires simloop; install the extras `mock` and `sim`: "
                "pip install 'odyssey-testkit?mock,sim?'"
            )
        ]
    )


def test_replay_command_is_relative_to_current_directory(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeini("[pytest]")
    here = pytester.mkdir("here")
    (here / "test_it.py").write_text(
        "import pytest\n@pytest.mark.odyssey_sim\nasync def test_it(odyssey_sim): assert odyssey_sim.seed < 2\n"
    )
    monkeypatch.chdir(here)
    result = pytester.runpytest_inprocess(*OPTIONS)
    result.stdout.fnmatch_lines(["*to reproduce: pytest test_it.py::test_it --odyssey-seed=2"])
    pytester.runpytest_inprocess(*OPTIONS, "test_it.py::test_it", "--odyssey-seed=2").assert_outcomes(failed=1)
    monkeypatch.chdir(pytester.mkdir("elsewhere"))
    result = pytester.runpytest_inprocess(*OPTIONS, str(here))
    result.stdout.fnmatch_lines([f"*to reproduce: pytest {(here / 'test_it.py').as_posix()}::test_it --odyssey-seed=2"])


def test_marker_and_options_appear_in_help(pytester: pytest.Pytester) -> None:
    markers = pytester.runpytest_inprocess(*OPTIONS, "--markers")
    markers.stdout.fnmatch_lines(["@pytest.mark.odyssey_sim(seeds=50, *): run this async test in a simulated world *"])
    described = pytester.runpytest_inprocess(*OPTIONS, "--help")
    described.stdout.fnmatch_lines(["*--odyssey-seed=N*", "*--odyssey-seeds=N*"])
