"""Tests of the guides for phones and https pages: their commands are executed, and a phone opens the app.

The phone is Chromium with the profile of a phone, in a network namespace of its own. A firewall lets only those ports
of the computer through that the guide opens.
"""

import shutil
from pathlib import Path

from tests.contract.browser import chromium, trust
from tests.support.namespaces import run_in_namespace
from tests.support.requirements import require

SCRIPT = Path(__file__).parents[1] / "support" / "networks" / "computer.py"
PORTRAIT = [704, 1280]


def test_phone_uses_the_mock_over_https() -> None:
    require(chromium.missing() or trust.missing())

    seen = run_in_namespace("phone", SCRIPT, "use-a-phone.md")

    assert seen == {"camera": None, "size": PORTRAIT}


def test_https_page_has_camera_and_mock() -> None:
    require(chromium.missing() or trust.missing())
    require(None if shutil.which("mkcert") else "mkcert is not installed")

    seen = run_in_namespace("phone", SCRIPT, "serve-an-https-page.md")

    assert seen == {"camera": "live", "size": PORTRAIT}
