"""Tests of the request for a simulation: one script, several scripts or a URL, validation, and resized images."""

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from odyssey_client.errors import ScriptError, ScriptFault
from odyssey_client.media import image_source as images
from odyssey_client.scripts.request import script_fields
from odyssey_client.scripts.script import Script
from tests.support.scripts import IMAGE, broken_scripts, json_values, valid_scripts

CAT = Script().start("A cat").wait(3).end()
ON_THE_WIRE = [{"timestamp_ms": 0, "start": {"prompt": "A cat"}}, {"timestamp_ms": 3000, "end": {}}]


def fields(portrait: bool = True, **sources: Any) -> dict[str, Any]:
    given_by_name = {"script": None, "scripts": None, "script_url": None, **sources}
    return script_fields(portrait=portrait, **given_by_name)


def paths(**sources: Any) -> list[str]:
    with pytest.raises(ScriptError) as caught:
        fields(**sources)
    return [fault.path for fault in caught.value.faults]


def starting_with(image: object) -> list[dict[str, Any]]:
    return [{"timestamp_ms": 0, "start": {"prompt": "A cat", "image": image}}, {"timestamp_ms": 3000.0, "end": {}}]


def encoded(kind: str) -> bytes:
    out = io.BytesIO()
    picture = Image.new("RGB", (30, 20), "red")
    if kind == "HEIF":
        pillow_heif.from_pillow(picture).save(out)
    else:
        picture.save(out, kind)
    return out.getvalue()


def sent(script: Any, portrait: bool = True) -> Image.Image:
    """Create the request for a script; return the image of the script's first entry, decoded from its `data:` URL."""
    url = fields(portrait, script=script)["script"][0]["start"]["image"]
    head, _, body = url.partition(",")
    assert head in {"data:image/jpeg;base64", "data:image/png;base64"}
    return Image.open(io.BytesIO(base64.b64decode(body, validate=True)))


def test_script_is_sent_with_integer_times() -> None:
    assert fields(script=CAT) == {"script": ON_THE_WIRE}
    as_floats = [{**entry, "timestamp_ms": float(str(entry["timestamp_ms"]))} for entry in ON_THE_WIRE]
    assert json.dumps(fields(script=as_floats)) == json.dumps({"script": ON_THE_WIRE})


def test_batch_keeps_order_of_scripts_and_entries() -> None:
    dog = Script().start("A dog").wait(1).end()
    assert fields(scripts=(CAT, [entry.to_dict() for entry in dog.entries])) == {
        "scripts": [ON_THE_WIRE, [entry.to_dict() for entry in dog.entries]]
    }


@pytest.mark.parametrize("url", ["http://localhost/a.json", "https://user@host:8443/a?b=c#d", "http://[::1]:80/é x"])
def test_url_is_sent_unchanged(url: str) -> None:
    assert fields(script_url=url) == {"script_url": url}


def test_scheme_of_url_is_sent_in_lowercase() -> None:
    assert fields(script_url="HTTPS://Host/A") == {"script_url": "https://Host/A"}


@pytest.mark.parametrize(
    "url",
    [
        *(7, True, [], {}, "", "cat.json", "//host/a", "ftp://host/a", "http:", "http://", "http:///a", "http://?a"),
        *("http://host:x", "http://host:70000", "http://host:0", "http://[", "http://a b/", "http://host/\n"),
        *(" http://host", "http://host/\ud800", "file:///etc/passwd", "data:,a", b"http://host"),
        *(
            "http://a%41/",
            "http://user@a\\b/",
            "http://a\u3000b/",
            "http://[v1.a]/",
            "http://a[::1]/",
            "http://[::1]a/",
        ),
    ],
)
def test_invalid_url_is_a_fault(url: Any) -> None:
    assert paths(script_url=url) == ["script_url"]


def test_error_does_not_contain_the_url() -> None:
    with pytest.raises(ScriptError) as caught:
        fields(script_url="ftp://host/a?signature=secret")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "sources",
    [
        {},
        {"script": CAT, "scripts": [CAT]},
        {"script": [], "script_url": "no address"},
        {"script": CAT, "scripts": [CAT], "script_url": "http://host/"},
    ],
)
def test_exactly_one_source_is_required(sources: dict[str, Any]) -> None:
    assert paths(**sources) == ["simulate"]
    with pytest.raises(ScriptError, match=" and ".join(sources) or "none of them"):
        fields(**sources)


@pytest.mark.parametrize("scripts", [[], (), {}, "cat.json", b"[]", 7, CAT, {"a": CAT}])
def test_batch_must_be_non_empty_array(scripts: Any) -> None:
    assert paths(scripts=scripts) == ["scripts"]


def test_error_has_faults_of_all_scripts() -> None:
    wrong: Any = [{"timestamp_ms": 0, "start": {"prompt": "A", "image": "no.png"}}, {"timestamp_ms": 0, "end": {}}]
    assert paths(scripts=[[], CAT, wrong, Script().start("A cat"), None]) == [
        "scripts[0]",
        "scripts[2][0].start.image",
        "scripts[2][1].timestamp_ms",
        "scripts[3][0]",
        "scripts[4]",
    ]


@pytest.mark.parametrize("portrait", [True, False])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF", "HEIF"])
def test_images_of_all_formats_get_stream_size(kind: str, portrait: bool) -> None:
    assert sent(starting_with(encoded(kind)), portrait).size == ((704, 1280) if portrait else (1280, 704))


def test_images_of_all_types_become_data_urls(tmp_path: Path) -> None:
    content = encoded("PNG")
    path = tmp_path / "picture"
    path.write_bytes(content)
    url = "data:image/png;base64," + base64.b64encode(content).decode()
    picture = Image.open(io.BytesIO(content))
    for image in (path, str(path), content, bytearray(content), url, io.BytesIO(content), picture, np.asarray(picture)):
        assert sent(starting_with(image)).size == (704, 1280)
        if isinstance(image, io.BytesIO):
            image.seek(0)
        assert sent(Script().start("A cat", image=image).wait(3).end()).size == (704, 1280)


def test_broken_image_is_a_fault_at_its_path() -> None:
    large = bytes(images.MAX_IMAGE_BYTES + 1)
    broken = (
        encoded("PNG")[:40],
        b"",
        b"no image",
        large,
        "no.png",
        "data:image/png;base64,",
        np.zeros((2, 2)),
        7,
        None,
    )
    assert paths(scripts=[starting_with(image) for image in broken]) == [
        f"scripts[{index}][0].start.image" for index in range(len(broken))
    ]


def test_decompression_bomb_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_IMAGE_PIXELS", 599)  # the image has 30 x 20 = 600 pixels
    with pytest.raises(ScriptError, match=r"^script\[0\]\.start\.image: .* megapixels"):
        fields(script=starting_with(encoded("PNG")))


def test_script_can_be_sent_in_both_orientations() -> None:
    script = Script().start("A cat", image=IMAGE).wait(3).end()
    assert (sent(script, True).size, sent(script, False).size) == ((704, 1280), (1280, 704))


@given(valid_scripts())
def test_valid_script_is_sent_unchanged_except_image(script: list[dict[str, Any]]) -> None:
    went = fields(script=script)["script"]
    assert [without_image(entry) for entry in went] == [without_image(entry) for entry in script]
    assert ["image" in entry.get("start", {}) for entry in went] == [
        "image" in entry.get("start", {}) for entry in script
    ]
    assert all(type(entry["timestamp_ms"]) is int for entry in went)


@given(st.one_of(broken_scripts(), json_values()))
def test_script_and_request_have_same_faults(value: Any) -> None:
    if value is None:
        return  # None means that no script was given
    assert faults_of(lambda: Script.of(value)) == faults_of(lambda: fields(script=value))


def faults_of(judge: Callable[[], object]) -> tuple[ScriptFault, ...]:
    try:
        judge()
    except ScriptError as error:
        return error.faults
    return ()


def without_image(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {key: each for key, each in value.items() if key != "image"} if isinstance(value, dict) else value
        for name, value in entry.items()
    }
