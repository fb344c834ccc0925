"""Presets: lists of faults for situations that applications should survive, such as a bad network."""

from collections.abc import Mapping
from dataclasses import dataclass

from odyssey_mock.core.strict_json import JSON


@dataclass(frozen=True, slots=True)
class Preset:
    """A list of faults with a name.

    Attributes:
        name: the name, for forms.
        means: text that describes what a client experiences.
        faults: the faults, each as `Fault.of` accepts it.
    """

    name: str
    means: str
    faults: tuple[Mapping[str, JSON], ...]


PRESETS = (
    Preset(
        "Bad network",
        "requests take a second, one of ten frames is lost, and frames stall now and then",
        (
            {"at": "rest.*", "do": "delay", "seconds": 1},
            {"at": "peer.frame", "do": "drop", "probability": 0.1},
            {"at": "peer.frame", "do": "freeze", "probability": 0.05},
        ),
    ),
    Preset(
        "Lost connection",
        "five seconds after the connection, the media peer stops sending and receiving, and closes nothing",
        ({"at": "peer.connected", "do": "vanish", "seconds": 5, "times": 1},),
    ),
    Preset(
        "Lost signaling",
        "five seconds after the connection, the signaling socket is closed",
        ({"at": "signaling.connected", "do": "close", "code": 1011, "seconds": 5, "times": 1},),
    ),
    Preset(
        "Tunnel",
        "five seconds after the connection, nothing passes on it for 20 seconds; a new connection is not impaired",
        (
            {
                "at": "peer.connected",
                "do": "impair",
                "network_profile": {"silence": 20},
                "duration": 20,
                "seconds": 5,
                "times": 1,
            },
        ),
    ),
    Preset(
        "No capacity",
        "three requests for a session get a 503, then one gets a session",
        (
            {
                "at": "rest.sessions.request",
                "do": "status",
                "status": 503,
                "detail": "No available sessions",
                "times": 3,
            },
        ),
    ),
    Preset(
        "Rate limited",
        "two requests for a token get a 429 that asks for a pause of two seconds",
        (
            {
                "at": "rest.auth.token",
                "do": "status",
                "status": 429,
                "detail": "Too many requests; retry in 2 seconds",
                "retry_after": 2,
                "times": 2,
            },
        ),
    ),
    Preset(
        "Moderation",
        "content moderation rejects the next start and the next interaction",
        tuple(
            {
                "at": at,
                "do": "error",
                "reason": "moderation_failed",
                "message": "Failed to run content moderation",
                "times": 1,
            }
            for at in ("stream.start", "stream.interact")
        ),
    ),
    Preset(
        "Quota used up",
        "the next stream cannot start because the quota of the account is used up",
        (
            {
                "at": "stream.start",
                "do": "error",
                "reason": "quota_exceeded",
                "message": "The quota of the account is used up",
                "times": 1,
            },
        ),
    ),
    Preset(
        "Failing stream",
        "the model fails five seconds after the start of the next stream",
        (
            {
                "at": "stream.running",
                "do": "error",
                "reason": "model_error",
                "message": "The model failed",
                "seconds": 5,
                "times": 1,
            },
        ),
    ),
    Preset(
        "Slow replies",
        "starts and interactions are acknowledged three seconds late",
        (
            {"at": "stream.start", "do": "late", "seconds": 3},
            {"at": "stream.interact", "do": "late", "seconds": 3},
        ),
    ),
    Preset(
        "Broken proxy",
        "three REST calls get an HTML page of a proxy instead of JSON",
        ({"at": "rest.*", "do": "not_json", "body": "<html>Bad gateway</html>", "times": 3},),
    ),
    Preset(
        "Restarting server",
        "the next request takes the server away for ten seconds",
        ({"at": "server", "do": "away", "seconds": 10, "times": 1},),
    ),
    Preset(
        "Failing simulations",
        "the next simulation job loses its worker, and the one after it fails",
        (
            {"at": "job.processing", "do": "lose_worker", "times": 1},
            {"at": "job.processing", "do": "fail", "message": "The model failed", "times": 1},
        ),
    ),
)
"""All presets, in the order in which a form shows them."""
