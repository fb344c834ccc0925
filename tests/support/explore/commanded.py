"""Runs `odyssey-mock explore` with stubs in place of the simulation."""

from click.testing import CliRunner, Result

from odyssey_mock.cli.app import main
from odyssey_mock.explore.commands import Tools
from odyssey_mock.explore.outcome import PlaySeed
from tests.support.explore.scenarios import draw, play, shrink

COMMIT, CODE = "abc1234", "0123456789abcdef"
"""Commit and code hash of the project that commands report in tests with the fixture `of_one_version`."""


def explore(*options: str, play: PlaySeed = play) -> Result:
    """Run `odyssey-mock explore` with `options` in this process; return click's result."""
    return CliRunner().invoke(main, ["explore", *options], obj=Tools(draw, play, shrink), catch_exceptions=False)
