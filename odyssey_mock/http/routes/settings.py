"""The settings in the control API (`/_mock/settings`)."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from odyssey_mock.accounts.accounts import account_id
from odyssey_mock.core.redaction import REDACTED
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.current_settings import ChangeSettings, CurrentSettings, check_changeable
from odyssey_mock.faults.fault import Fault
from odyssey_mock.http.ascii_json import AsciiJSONResponse
from odyssey_mock.http.errors import ApiError, read_body, unprocessable
from odyssey_mock.http.fault_points import ServiceRoute
from odyssey_mock.setting_rules import SettingsError
from odyssey_mock.setting_values import from_data, to_data
from odyssey_mock.settings import (
    LIMIT_NAMES,
    PLAN,
    SETTING_NAMES,
    SETTINGS,
    AccountSettings,
    FixedSettingError,
    UnknownSettingError,
)


@dataclass(frozen=True, kw_only=True)
class SettingRoutes:
    """Routes that show and change the settings. `change` is the function that changes those settings."""

    settings: CurrentSettings
    change: ChangeSettings

    def routes(self) -> list[BaseRoute]:
        """Create the routes, below the prefix of the control API."""
        return [ServiceRoute("/settings", {"GET": self.listed, "POST": self.changed})]

    async def listed(self, _request: Request) -> Response:
        """List all settings by name. Accounts are shown by id, because API keys are secret."""
        now = self.settings.now
        listed: dict[str, JSON] = {}
        for name in SETTING_NAMES:
            setting = SETTINGS[name]
            listed[name] = {
                "value": _shown(name, getattr(now, name)),
                "default": _shown(name, setting.default),
                "expected": setting.rule.expected,
                "changeable": setting.applies is not None,
                "applies": setting.applies,
                "group": setting.group,
                "description": setting.description,
            }
        return AsciiJSONResponse({"settings": listed})

    async def changed(self, request: Request) -> Response:
        """Change settings, and show their new values. If one value is invalid, nothing changes."""
        body = await read_body(request, unique=True)
        if not isinstance(body, Mapping):
            raise unprocessable(["body"], "Input should be an object with settings by name", "model_type")
        given = dict(body)
        plan: Any = given.pop("plan", None)  # Any: checked below
        try:
            if "plan" in body:
                PLAN.check("plan", plan)
            changes = {name: _value(name, data) for name, data in given.items()}
            self.change(plan=plan, **changes)
        except FixedSettingError as error:
            raise ApiError(409, str(error)) from error
        except (SettingsError, UnknownSettingError) as error:
            raise unprocessable(["body"], str(error), "value_error") from error
        now = self.settings.now
        names = [*changes, *(name for name in LIMIT_NAMES if plan is not None and name not in changes)]
        return AsciiJSONResponse({"settings": {name: _shown(name, getattr(now, name)) for name in names}})


def _value(name: str, data: JSON) -> Any:  # Any: settings differ in type
    check_changeable(name)
    return from_data(name, data)


def _shown(name: str, value: Any) -> JSON:  # Any: settings differ in type
    """Return the value of a setting as data, without API keys and other secrets."""
    if name == "control_token":
        return value and REDACTED
    if name == "keys":
        return value and {account_id(key): _own(configured) for key, configured in value.items()}
    if name == "ice_servers":
        return [{**each, "credential": REDACTED} if "credential" in each else each for each in value]
    if name == "faults":
        return [Fault.of(each).to_json() for each in value]
    return to_data(value)


def _own(configured: AccountSettings) -> dict[str, JSON]:
    """Return the settings of an account that differ from their defaults, by name."""
    fields = {each.name: (getattr(configured, each.name), each.default) for each in dataclasses.fields(configured)}
    return {name: value for name, (value, default) in fields.items() if value != default}
