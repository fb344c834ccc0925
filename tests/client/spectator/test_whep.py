"""Tests of which WHEP resource URLs the client accepts."""

import pytest

from odyssey_client.spectator.whep import _resource

POST = "https://host/live/whep?token=t"


@pytest.mark.parametrize(
    ("location", "resource"),
    [
        ("/live/whep/1", "https://host/live/whep/1"),
        ("whep/1", "https://host/live/whep/1"),
        ("https://HOST:443/1", "https://HOST:443/1"),
        ("http://host/1", None),
        ("https://host:444/1", None),
        ("https://other/1", None),
        ("//other/1", None),
        ("file:///1", None),
        ("https://host:x/1", None),
        ("https://[::1", None),
        ("", None),
    ],
)
def test_resource_must_have_the_service_origin(location: str, resource: str | None) -> None:
    assert _resource(POST, location) == resource
