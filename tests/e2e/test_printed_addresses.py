"""Tests that every URL that `odyssey-mock serve` prints can be opened."""

from pathlib import Path

from tests.support.namespaces import run_in_namespace

SCRIPT = Path(__file__).parents[1] / "support" / "printed_addresses.py"

LOOPBACK = ["Local 127.0.0.1", "Local localhost"]
IPV4 = [*LOOPBACK, "Network 10.99.0.2"]
EXPECTED = {
    "127.0.0.1": LOOPBACK,
    "::1": ["Local [::1]"],
    "0.0.0.0": IPV4,
    "::": ["Local [::1]", *LOOPBACK, "Network 10.99.0.2", "Network [fd00::2]"],
    "10.99.0.2": ["Network 10.99.0.2"],
    "fd00::2": ["Network [fd00::2]"],
    "localhost": ["Local localhost", "Local 127.0.0.1"],
}
"""For each host: the label and the host of each URL that the command prints."""


def test_every_printed_url_can_be_opened(tmp_path: Path) -> None:
    found = run_in_namespace("IPv4 and IPv6", SCRIPT, str(tmp_path))
    assert found == {f"{host}{tls}": hosts for host, hosts in EXPECTED.items() for tls in ("", " with TLS")}
