"""Tests that a client on another machine can use every URL that the mock sends, directly and through a proxy."""

from pathlib import Path

from tests.support import nginx
from tests.support.namespaces import run_in_namespace
from tests.support.requirements import require

SCRIPT = Path(__file__).parents[1] / "support" / "two_machines.py"


def test_urls_work_remotely_proxied_and_with_tls(tmp_path: Path) -> None:
    require(nginx.missing())

    found = run_in_namespace("two machines", SCRIPT, str(tmp_path))

    of_both = {"stun": "10.98.0.1", "video": "ftyp"}
    assert found == {
        "http://10.98.0.1:8400": {
            "urls": ["http://10.98.0.1:8400"],
            "signaling": "ws://10.98.0.1:8400",
            **of_both,
        },
        "https://10.98.0.1/mock": {
            "urls": ["https://10.98.0.1/mock"],
            "signaling": "wss://10.98.0.1/mock",
            **of_both,
        },
        "https://10.98.0.1:8443": {
            "urls": ["https://10.98.0.1:8443"],
            "signaling": "wss://10.98.0.1:8443",
            **of_both,
        },
    }
