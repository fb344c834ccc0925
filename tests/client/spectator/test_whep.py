"""Which address of a resource is taken for the service's own."""

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
def test_it_is_of_the_origin_that_was_asked(location: str, resource: str | None) -> None:
    assert _resource(POST, location) == resource
