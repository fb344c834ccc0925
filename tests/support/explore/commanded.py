"""The command `odyssey-mock explore`, with an explorer that plays nothing."""

from click.testing import CliRunner, Result

from odyssey_mock.cli.app import main
from odyssey_mock.explore.commands import Tools
from odyssey_mock.explore.outcome import PlaySeed
from tests.support.explore.scenarios import draw, play, shrink

COMMIT, CODE = "abc1234", "0123456789abcdef"
"""Of which version the code is, with the fixture `of_one_version`."""


def explore(*options: str, play: PlaySeed = play) -> Result:
    """Run it in this process."""
    return CliRunner().invoke(main, ["explore", *options], obj=Tools(draw, play, shrink), catch_exceptions=False)
