"""What `@pytest.mark.odyssey_sim` refuses, and in which words."""

import pytest

from tests.support.project import OPTIONS, run, run_apart

pytest_plugins = ["pytester"]


def test_what_cannot_be_is_refused_in_clear_words(pytester: pytest.Pytester) -> None:
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
        async def test_misspelt(): ...

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
            "the fixture 'made_elsewhere' is async, and its event loop is not the simulated one, *Make what it makes *",
            "the fixture 'odyssey_mock' is async, *Take odyssey_sim, and of that odyssey_sim.mock.",
            "E*AttributeError: odyssey_sim.client is there only within the test, *",
            "@pytest.mark.odyssey_sim runs no methods of unittest.TestCase: make TestOfUnittest a class without it, *",
            "@pytest.mark.odyssey_sim runs no methods of unittest.TestCase: make TestOfUnittestToo a class *",
            "@pytest.mark.odyssey_sim runs async tests: write `async def`",
            "@pytest.mark.odyssey_sim and @given cannot be together: *OdysseyMachine*",
            "@pytest.mark.odyssey_sim takes settings by name, got (200,)",
            "@pytest.mark.odyssey_sim: expected seeds to be a whole number above 0, got 0",
            "@pytest.mark.odyssey_sim: seed cannot be chosen in a simulated world: *--odyssey-seed=N*",
            "@pytest.mark.odyssey_sim: did you mean 'timeout'? unknown setting 'timout'; *",
            "@pytest.mark.odyssey_sim: there is no weather ?'reset'?; known are *",
            "@pytest.mark.odyssey_sim: expected depth to be 'light' or 'full', got 'deep'",
            "@pytest.mark.odyssey_sim: there is no weather 'hail'; known are reset, half_open, partition, clock_jump",
            "@pytest.mark.odyssey_sim: expected timeout to be virtual seconds above 0, got True",
            "@pytest.mark.odyssey_sim: clock cannot be chosen in a simulated world: time is virtual already: *",
            "@pytest.mark.odyssey_sim: unknown setting 'streamer'; did you mean 'streamers'? *",
            "@pytest.mark.odyssey_sim: *nowhere*",
        ]
    )


def test_the_missing_extra_is_named_where_it_is_needed(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("import sys; sys.modules['simloop'] = None")
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
        ["@pytest.mark.odyssey_sim needs simloop, which is not installed: pip install 'odyssey-testkit?mock,sim?'"]
    )


def test_the_command_that_replays_is_for_where_pytest_was_started(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeini("[pytest]")
    here = pytester.mkdir("here")
    (here / "test_it.py").write_text(
        "import pytest\n@pytest.mark.odyssey_sim\nasync def test_it(odyssey_sim): assert odyssey_sim.seed < 2\n"
    )
    monkeypatch.chdir(here)
    result = pytester.runpytest_inprocess(*OPTIONS)
    result.stdout.fnmatch_lines(["*to see it again: pytest test_it.py::test_it --odyssey-seed=2"])
    pytester.runpytest_inprocess(*OPTIONS, "test_it.py::test_it", "--odyssey-seed=2").assert_outcomes(failed=1)
    monkeypatch.chdir(pytester.mkdir("elsewhere"))
    result = pytester.runpytest_inprocess(*OPTIONS, str(here))
    result.stdout.fnmatch_lines(
        [f"*to see it again: pytest {(here / 'test_it.py').as_posix()}::test_it --odyssey-seed=2"]
    )


def test_marker_fixture_and_options_are_documented(pytester: pytest.Pytester) -> None:
    markers = pytester.runpytest_inprocess(*OPTIONS, "--markers")
    markers.stdout.fnmatch_lines(["@pytest.mark.odyssey_sim(seeds=50, *): run this async test in a simulated world *"])
    described = pytester.runpytest_inprocess(*OPTIONS, "--help")
    described.stdout.fnmatch_lines(["*--odyssey-seed=N*", "*--odyssey-seeds=N*"])
