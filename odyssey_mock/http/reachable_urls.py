"""The URLs at which clients reach a mock, for the output of `odyssey-mock serve`."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from odyssey_mock.core.url_parts import Authority, BaseUrl

type Reach = Literal["local", "network", "public"]
"""From where clients can use a URL.

`local`: from this machine. `network`: from machines in its networks too. `public`: as the setting `public_url` states.
"""

LOCALHOST = "127.0.0.1"
"""The address to which `localhost` resolves on every machine. On some, it does not resolve to ::1."""


@dataclass(frozen=True, slots=True)
class ReachableUrl:
    """A URL at which clients reach the mock, and from where."""

    url: str
    reach: Reach


def reachable_urls(
    listening_url: str, *, addresses: Iterable[str], accepts: Callable[[str], bool], public_url: str | None
) -> Sequence[ReachableUrl]:
    """Return every URL at which clients reach a mock: those of this machine first, the public URL last.

    Args:
        listening_url: the URL of the address on which the mock listens.
        addresses: the addresses of this machine.
        accepts: returns whether a connection to an address arrives at the mock.
        public_url: the setting of this name.
    """
    public = [] if public_url is None else [ReachableUrl(public_url, "public")]
    listening = BaseUrl.read(listening_url)
    if listening is None:  # the host has a zone, as in fe80::1%eth0, or characters that are not ASCII
        return [ReachableUrl(listening_url, "network"), *public]
    accepted = [Authority.of(each).host for each in addresses if accepts(each)]
    own = listening.authority.host
    hosts = [own, *accepted]
    if LOCALHOST in hosts:
        hosts.append("localhost")
    urls = {_at(listening, host): _reach(host) for host in dict.fromkeys(hosts)}
    found = [ReachableUrl(url, reach) for url, reach in urls.items()]
    found.sort(key=lambda each: each.reach == "network")  # stable: the other order stays
    return [*found, *public]


def _at(listening: BaseUrl, host: str) -> str:
    return str(replace(listening, authority=replace(listening.authority, host=host)))


def _reach(host: str) -> Reach:
    return "local" if Authority(host).is_local else "network"
