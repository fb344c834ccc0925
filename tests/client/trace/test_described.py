"""Python values as JSON in traces."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from odyssey_client import BroadcastInfo, OdysseyEventHandlers, Script, SimulationJobStatus
from odyssey_client.trace.described import LONGEST_TEXT, described, error_text, set_fields, why


@dataclass
class Nested:
    secret: str = field(repr=False, default="hidden")
    inner: object = None


class Hostile:
    @property
    def shape(self) -> object:
        raise RuntimeError("no shape")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (3, 3),
        (1.5, 1.5),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        ("A cat", "A cat"),
        ("data:image/png;base64,AAAA", {"type": "data URL", "size": 26}),
        (b"\x89PNG", {"type": "bytes", "size": 4}),
        (Path("a/cat.jpg"), "a/cat.jpg"),
        (Image.new("RGB", (4, 3)), {"type": "Image", "size": [4, 3]}),
        (np.zeros((3, 4, 3), np.uint8), {"type": "ndarray", "size": [3, 4, 3]}),
        (SimulationJobStatus.FAILED, "failed"),
        (print, "print"),
        (ValueError("got 3"), "ValueError: got 3"),
        (Nested(inner=[1, {"a": (2,)}]), {"inner": [1, {"a": [2]}]}),
        (Hostile(), {"type": "Hostile"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_value_is_described(value: object, expected: object) -> None:
    assert described(value) == expected
    json.dumps(described(value), allow_nan=False)


def test_long_text_is_cut_with_its_length() -> None:
    shown = described("x" * 100_000)

    assert isinstance(shown, str)
    assert shown == "x" * LONGEST_TEXT + "… (100,000 characters)"


def test_secret_fields_are_left_out() -> None:
    info = BroadcastInfo("http://a.example/x", "a-secret-token")

    assert "a-secret-token" not in json.dumps(described(info))


def test_script_is_described_without_images() -> None:
    script = Script().start("A cat", image=b"\x89PNG" * 1000).wait(1).end()
    shown = json.dumps(described(script))

    assert '"A cat"' in shown
    assert len(shown) < 1000


def test_endless_structure_is_cut() -> None:
    loop: list[object] = []
    loop.append(loop)

    assert json.dumps(described(loop)) == "[[[[[[" + '{"type": "list"}' + "]]]]]]"
    assert len(str(described(list(range(1000))))) < 500


def test_handlers_are_those_that_are_set() -> None:
    assert set_fields(OdysseyEventHandlers(on_error=print)) == {"on_error": print}
    assert set_fields(None) == {}


def test_error_without_message_is_its_class() -> None:
    assert error_text(TimeoutError()) == "TimeoutError"


def test_reason_of_a_transition_has_its_error() -> None:
    @dataclass
    class Lost:
        error: Exception

    assert why(Lost(ValueError("broken"))) == "Lost: broken"
    assert why(Nested()) == "Nested"
