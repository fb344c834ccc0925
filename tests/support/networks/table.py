"""The tables of `docs/reference/networks.md`: which clients reach a mock over which network, and from which pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from types import MappingProxyType
from typing import Literal, TypedDict

from odyssey_mock.settings import MockOverrides
from tests.support import coturn

CLIENTS: Mapping[str, str] = MappingProxyType(
    {
        "chromium": "Chromium",
        "firefox": "Firefox",
        "client": "`odyssey_client`",
        "spectator": "spectator (WHEP)",
        "hls": "HLS",
    }
)
"""The heading of each column. The browsers run the vendor's JavaScript client."""

BROWSERS = ("chromium", "firefox")


@dataclass(frozen=True)
class Network:
    """A kind of network between a mock and its clients: a row of the table of connections.

    Attributes:
        title: the first cell of the row.
        network: the key of `namespaces.NETWORKS`.
        url: the URL at which clients reach the mock.
        settings: the settings of the mock.
        has_tls: whether the mock itself serves https.
        programs: what runs beside the mock: `nginx` or `coturn`.
    """

    title: str
    network: str
    url: str
    settings: MockOverrides = field(default_factory=MockOverrides)
    has_tls: bool = False
    programs: Sequence[str] = ()


NETWORKS: Mapping[str, Network] = MappingProxyType(
    {
        "http": Network("http", "two machines", "http://10.98.0.1:8400"),
        "https": Network(
            "https",
            "two machines",
            "https://10.98.0.1:8400",
            has_tls=True,
        ),
        "proxy": Network(
            "https through nginx, below a path", "two machines", "https://10.98.0.1/mock", programs=["nginx"]
        ),
        "ports": Network(
            "one TCP port and a range of UDP ports forwarded",
            "port forwarding",
            "http://10.98.0.1:8400",
            {"udp_ports": "50000-50100", "udp_addresses": ["10.98.0.1"]},
        ),
        "turn": Network(
            "UDP blocked, a TURN server over TCP",
            "UDP blocked",
            "http://10.98.0.1:8400",
            {"ice_servers": [coturn.server_at("10.98.0.1")]},
            programs=["coturn"],
        ),
    }
)

_BOTH_TRANSPORTS = coturn.server_at("10.98.0.1")
_BOTH_TRANSPORTS["urls"] = [f"turn:10.98.0.1:{coturn.PORT}?transport={transport}" for transport in ("udp", "tcp")]

UNDOCUMENTED_NETWORKS: Mapping[str, Network] = MappingProxyType(
    {
        "turn over both": Network(
            "UDP blocked, a TURN server over UDP and TCP",
            "UDP blocked",
            "http://10.98.0.1:8400",
            {"ice_servers": [_BOTH_TRANSPORTS]},
            programs=["coturn"],
        ),
    }
)
"""Networks for tests only, with the Python clients."""

type Answer = Literal["yes", "asks", "no"]
"""Whether a page connects: always, only once the user has granted a permission, or never."""


class Connections(TypedDict):
    """How one client connected.

    Attributes:
        ms: for each connection, the milliseconds until the first frame.
        error: why the client did not connect; None if it did.
    """

    ms: Sequence[float]
    error: str | None


@dataclass(frozen=True)
class WebPage:
    """A page and the mock to which its client connects: a row of the table of pages.

    Attributes:
        scheme: the scheme of the page's URL.
        site: the place of the page: a key of `SITES`.
        api_url: the URL of the mock.
        chromium: what must happen in Chromium.
        firefox: what must happen in Firefox.
    """

    scheme: str
    site: str
    api_url: str
    chromium: Answer
    firefox: Answer

    @property
    def has_camera(self) -> bool:
        """Whether the page is a secure context, which may use the camera."""
        return self.scheme == "https" or self.site == "localhost"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.site} to {self.api_url}"


SITES: Mapping[str, str] = MappingProxyType(
    {"localhost": "127.0.0.1", "192.168.1.20": "192.168.1.20", "app.example.com": "11.0.0.1"}
)
"""The IP address of each host in the table of pages: the browser's own machine, a private address, a public one."""

PAGES = (
    WebPage("http", "localhost", "http://127.0.0.1:8400", "yes", "yes"),
    WebPage("https", "localhost", "http://127.0.0.1:8400", "yes", "yes"),
    WebPage("http", "192.168.1.20", "http://127.0.0.1:8400", "yes", "yes"),
    WebPage("http", "192.168.1.20", "http://192.168.1.20:8400", "yes", "yes"),
    WebPage("https", "192.168.1.20", "http://192.168.1.20:8400", "yes", "no"),
    WebPage("https", "192.168.1.20", "http://my-laptop:8400", "no", "no"),
    WebPage("https", "192.168.1.20", "http://my-laptop.local:8400", "yes", "no"),
    WebPage("https", "192.168.1.20", "https://192.168.1.20/mock", "yes", "yes"),
    WebPage("https", "app.example.com", "http://127.0.0.1:8400", "asks", "asks"),
    WebPage("https", "app.example.com", "http://192.168.1.20:8400", "asks", "no"),
    WebPage("https", "app.example.com", "https://192.168.1.20/mock", "asks", "asks"),
    WebPage("http", "app.example.com", "http://127.0.0.1:8400", "no", "asks"),
)


def tables(results: Mapping[str, Mapping[str, Connections]]) -> Mapping[str, str]:
    """Return both tables of the page by name, as Markdown."""
    drawn = {"connections": _connections(results), "pages": _pages()}
    return {name: "\n".join(["", *rows, "", ""]) for name, rows in drawn.items()}


def _connections(results: Mapping[str, Mapping[str, Connections]]) -> Sequence[str]:
    return [
        f"| network | {' | '.join(CLIENTS.values())} |",
        f"|---|{'---|' * len(CLIENTS)}",
        *(
            f"| {network.title} | {' | '.join(_cell(results[name][client]) for client in CLIENTS)} |"
            for name, network in NETWORKS.items()
        ),
    ]


def _cell(connections: Connections) -> str:
    return f"{median(connections['ms']):.0f} ms" if connections["error"] is None else "no"


def _pages() -> Sequence[str]:
    return [
        "| page | mock | Chromium | Firefox | camera |",
        "|---|---|---|---|---|",
        *(
            f"| `{page.scheme}://{page.site}` | `{page.api_url}` | {page.chromium} | {page.firefox} | "
            f"{'yes' if page.has_camera else 'no'} |"
            for page in PAGES
        ),
    ]
