"""`CurrentSettings`, the settings of a mock that can change while it runs."""

from collections.abc import Mapping, Sequence
from typing import Protocol, Unpack

from odyssey_mock.settings import (
    LIMIT_NAMES,
    SETTINGS,
    ChangeableSettings,
    FixedSettingError,
    Plan,
    Settings,
    check_name,
)

_INSTEAD: Mapping[str, str] = {
    "keys": "add accounts with `mock.add_account` in Python",
    "faults": "add and remove faults with `mock.faults` or `POST /_mock/faults`",
    "clock": "move the clock with `mock.advance` or `POST /_mock/clock/advance`",
    "speed": "change the speed with `mock.clock.set_speed` or `PUT /_mock/clock/speed`",
}
"""For a setting that cannot change at run time: what to do instead."""


def check_changeable(name: str) -> None:
    """Check that the setting `name` can change while a mock runs.

    Raises:
        UnknownSettingError: `name` is not the name of a setting.
        FixedSettingError: the setting cannot change.
    """
    check_name(name)
    if SETTINGS[name].applies is None:
        raise FixedSettingError(
            f"{name} cannot change while the mock runs; {_INSTEAD.get(name, 'start another mock with the new value')}"
        )


class ChangeSettings(Protocol):
    """A function that changes the settings of a running mock."""

    def __call__(self, *, plan: Plan | None = None, **changes: Unpack[ChangeableSettings]) -> None:
        """Change settings; the parameters are those of `CurrentSettings.change`."""


class CurrentSettings:
    """The settings of a mock. `now` is the current `Settings` object; a change replaces this object.

    Code that runs as long as the mock reads `now` at every use. A session, a broadcast and the run of a job keep the
    `Settings` that were current when they were created, so that a later change does not affect them.
    """

    def __init__(self, initial: Settings) -> None:
        self._initial = initial
        self._now = initial

    @property
    def now(self) -> Settings:
        """The current settings."""
        return self._now

    def change(self, *, plan: Plan | None = None, **changes: Unpack[ChangeableSettings]) -> Sequence[str]:
        """Change settings, and return the names of the settings whose values changed. After an error, none has changed.

        Raises:
            UnknownSettingError: a keyword in `changes` is not the name of a setting.
            FixedSettingError: a setting cannot change while the mock runs.
            SettingsError: a value is invalid, or the plan is unknown.
        """
        for name in changes:
            check_changeable(name)
        before, self._now = self._now, self._now.replace(plan=plan, **changes)
        named = [*changes, *(name for name in LIMIT_NAMES if plan is not None and name not in changes)]
        return [name for name in named if getattr(before, name) != getattr(self._now, name)]

    def reset(self) -> None:
        """Restore the settings with which the mock was started."""
        self._now = self._initial
