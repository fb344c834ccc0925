"""Tests of the validation of job requests (protocol.md sections 2 and 8)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.http.errors import answer_to
from odyssey_mock.simulations.request import InvalidRequestError, JobRequest, read_request
from odyssey_mock.simulations.script_url import URL_LIMIT
from odyssey_mock.simulations.scripts import Script, ScriptAction

START = {"timestamp_ms": 0, "start": {"prompt": "A cat"}}
END = {"timestamp_ms": 9000, "end": {}}
URL = "http://localhost:8000/cat.json"

GOOD = [START, END]
CAT = Script((ScriptAction(0, "start", "A cat"), ScriptAction(9000, "end")))


def faults_of(body: Any) -> dict[tuple[str | int, ...], str]:
    """Return the validation errors of a job request, as a dict from the `loc` of each error to its type."""
    with pytest.raises(InvalidRequestError) as caught:
        read_request(body)
    answer = answer_to(caught.value)
    assert answer.status == 422
    faults: Any = answer.detail
    assert all(fault.keys() == {"loc", "msg", "type"} and fault["msg"] for fault in faults)
    by_place = {tuple(fault["loc"]): str(fault["type"]) for fault in faults}
    assert len(by_place) == len(faults), f"expected at most one error for each `loc`, got {faults}"
    return by_place


@pytest.mark.parametrize(
    ("body", "request_"),
    [
        ({"script": GOOD}, JobRequest((CAT,), None, portrait=True, bypass=False)),
        ({"script": GOOD, "portrait": False}, JobRequest((CAT,), None, portrait=False, bypass=False)),
        ({"scripts": [GOOD, GOOD]}, JobRequest((CAT, CAT), None, portrait=True, bypass=False)),
        ({"script_url": URL}, JobRequest(None, URL, portrait=True, bypass=False)),
        ({"script_url": URL, "bypass_vlm_expansion": True}, JobRequest(None, URL, portrait=True, bypass=True)),
        ({"script": GOOD, "output_video": False, "x": 1}, JobRequest((CAT,), None, portrait=True, bypass=False)),
    ],
)
def test_valid_request_is_parsed(body: dict[str, Any], request_: JobRequest) -> None:
    assert read_request(body) == request_


def test_length_of_a_url_is_limited() -> None:
    longest = URL.ljust(URL_LIMIT, "a")
    assert read_request({"script_url": longest}).script_url == longest
    assert faults_of({"script_url": f"{longest}a"}) == {("body", "script_url"): "url_parsing"}


@pytest.mark.parametrize("body", [None, [], [GOOD], "script", 7, True])
def test_body_must_be_an_object(body: object) -> None:
    assert faults_of(body) == {("body",): "dict_type"}


@pytest.mark.parametrize(
    "sources",
    [
        {},
        {"script": GOOD, "scripts": [GOOD]},
        {"script": GOOD, "script_url": URL},
        {"scripts": [GOOD], "script_url": URL},
        {"script": GOOD, "scripts": [GOOD], "script_url": URL},
    ],
)
def test_exactly_one_script_source_is_required(sources: dict[str, Any]) -> None:
    assert faults_of(sources) == {("body",): "value_error"}


def test_null_source_counts_as_a_value() -> None:
    assert faults_of({"script": GOOD, "scripts": None, "script_url": None}) == {
        ("body",): "value_error",
        ("body", "scripts"): "list_type",
        ("body", "script_url"): "string_type",
    }


@pytest.mark.parametrize(
    ("scripts", "faults"),
    [
        ({"0": GOOD}, {("body", "scripts"): "list_type"}),
        ("cat", {("body", "scripts"): "list_type"}),
        ([], {("body", "scripts"): "too_short"}),
        ([[]], {("body", "scripts", 0): "too_short"}),
        ([GOOD, None, GOOD], {("body", "scripts", 1): "list_type"}),
        (
            [[START], GOOD, [START, {"timestamp_ms": 3000, "interact": {}}, END]],
            {("body", "scripts", 0, 0): "value_error", ("body", "scripts", 2, 1, "interact", "prompt"): "missing"},
        ),
    ],
)
def test_faults_name_the_script_of_the_batch(scripts: object, faults: dict[tuple[str | int, ...], str]) -> None:
    assert faults_of({"scripts": scripts}) == faults


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        (None, "string_type"),
        (7, "string_type"),
        ([URL], "string_type"),
        ("", "url_parsing"),
        ("cat.json", "url_parsing"),
        ("//localhost/cat.json", "url_parsing"),
        ("ftp://localhost/cat.json", "url_parsing"),
        ("file:///etc/passwd", "url_parsing"),
        ("data:application/json,[]", "url_parsing"),
        ("http://", "url_parsing"),
        ("http:///cat.json", "url_parsing"),
        ("http:cat.json", "url_parsing"),
        ("https://user:s3cret@/cat.json", "url_parsing"),
        (" http://localhost/", "url_parsing"),
        ("http://local host\n/", "url_parsing"),
        ("http://localhost:s3cret/", "url_parsing"),
        ("http://localhost:0/", "url_parsing"),
        ("http://localhost:65536/", "url_parsing"),
        ("http://\ud800/", "url_parsing"),
        ("http://localhost/\ud800", "url_parsing"),
    ],
)
def test_script_url_must_be_http_with_host(url: object, kind: str) -> None:
    body = {"script_url": url}
    assert faults_of(body) == {("body", "script_url"): kind}
    with pytest.raises(InvalidRequestError) as caught:
        read_request(body)  # type: ignore[arg-type]  # lists of lists are JSON
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("url", [URL, "HTTPS://Example.COM", "http://[::1]:8000/a?b#c", "https://u:p@example.com/"])
def test_script_url_is_kept_unchanged(url: str) -> None:
    assert read_request({"script_url": url}).script_url == url


@pytest.mark.parametrize("field", ["portrait", "output_video", "bypass_vlm_expansion"])
@pytest.mark.parametrize("value", [None, 0, 1, "true", [], {}])
def test_flags_must_be_booleans(field: str, value: object) -> None:
    assert faults_of({"script": GOOD, field: value}) == {("body", field): "bool_type"}


def test_all_faults_are_reported_at_once() -> None:
    body = {"script": [START], "scripts": [[END]], "script_url": "ftp://x", "portrait": 1, "bypass_vlm_expansion": 0}
    assert faults_of(body) == {
        ("body",): "value_error",
        ("body", "script", 0): "value_error",
        ("body", "scripts", 0, 0): "value_error",
        ("body", "scripts", 0, 0, "timestamp_ms"): "value_error",
        ("body", "script_url"): "url_parsing",
        ("body", "portrait"): "bool_type",
        ("body", "bypass_vlm_expansion"): "bool_type",
    }


NAMES = st.sampled_from(["script", "scripts", "script_url", "portrait", "output_video", "bypass_vlm_expansion"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.sampled_from([URL, GOOD]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES | st.dictionaries(NAMES, VALUES))
def test_any_body_is_valid_or_has_faults(body: Any) -> None:
    try:
        request = read_request(body)
    except InvalidRequestError:
        assert all(place[0] == "body" for place in faults_of(body))
    else:
        assert (request.scripts is None) != (request.script_url is None)
        assert request.scripts != ()


@pytest.mark.parametrize(
    "body", [{"script": [{}] * 500}, {"scripts": [[{}]] * 500}], ids=["one script", "many scripts"]
)
def test_further_faults_are_only_counted(body: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read_request(body)
    *listed, last = caught.value.faults
    assert [fault["loc"][2] for fault in listed] == [index for index in range(50) for _ in range(2)], (
        "expected the faults of the first 50 entries: timestamp_ms and the action of each"
    )
    assert last == {"loc": ["body"], "msg": "and 900 more", "type": "too_many_errors"}


def test_long_unknown_keys_are_shortened() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read_request(
            {
                "script": [
                    {"timestamp_ms": 0, "start": {"prompt": "A cat"}, "k" * 5000: 1},
                    {"timestamp_ms": 9000, "end": {}},
                ]
            }
        )
    (fault,) = caught.value.faults
    assert fault["loc"] == ["body", "script", 0, "k" * 200]
