"""Tests that a client on another machine can use every URL that the mock sends, directly and through a proxy."""

import os
import shutil
from pathlib import Path

import pytest

from tests.support.namespaces import run_in_namespace
from tests.support.pages import blocks
from tests.support.tls_server import certified

SCRIPT = Path(__file__).parents[1] / "support" / "two_machines.py"

NGINX = """
user root root;
daemon on;
master_process off;
pid nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    {server}
}}
"""
"""A configuration of nginx around the server of the documentation, for a user without rights to other folders."""


def test_urls_work_remotely_and_behind_a_proxy(tmp_path: Path) -> None:
    nginx = installed_nginx()
    certified(tmp_path, "10.98.0.1")
    (server,) = blocks("nginx")
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(NGINX.format(server=server.code.replace("/etc/ssl/example.com", str(tmp_path))))

    found = run_in_namespace("two machines", SCRIPT, nginx, str(configuration))

    of_both = {"stun": "10.98.0.1", "video": "ftyp"}
    assert found == {
        "http": {"urls": ["http://10.98.0.1:8400"], "signaling": "ws://10.98.0.1:8400", **of_both},
        "https": {"urls": ["https://10.98.0.1/mock"], "signaling": "wss://10.98.0.1/mock", **of_both},
    }


def installed_nginx() -> str:
    """Return the path of nginx. If it is not installed, skip the test or, in CI, fail it."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")  # not in the PATH of every user
    if program is None and os.environ.get("CI") == "true":
        pytest.fail("expected nginx, which CI must have, but it is not installed; scripts/test-needs installs it")
    if program is None:
        pytest.skip("nginx is not installed; scripts/test-needs installs it")
    return program
