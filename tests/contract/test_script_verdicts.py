"""Tests that client and mock, which validate scripts with separate code, report errors at the same paths."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from odyssey_client.errors import ScriptError
from odyssey_client.scripts.request import script_fields
from odyssey_mock.http.errors import answer_to
from odyssey_mock.simulations.request import InvalidRequestError, read_request
from tests.support.scripts import NO_IMAGES, broken_scripts, valid_scripts

type Sources = Mapping[str, Any]  # Any: tests draw any JSON

START = {"timestamp_ms": 0, "start": {"prompt": "A cat"}}
END = {"timestamp_ms": 3000, "end": {}}


def faults_of_the_client(sources: Sources) -> set[str]:
    given_by_name = {name: sources.get(name) for name in ("script", "scripts", "script_url")}
    try:
        script_fields(**given_by_name, portrait=True)
    except ScriptError as error:
        return {fault.path for fault in error.faults}
    return set()


def faults_of_the_mock(sources: Sources) -> set[str]:
    try:
        read_request({**sources, "portrait": True, "output_video": True})
    except InvalidRequestError as error:
        refusal = answer_to(error)
    else:
        return set()
    assert refusal.status == 422
    assert isinstance(refusal.detail, list)
    return {_path(fault["loc"]) for fault in refusal.detail}


def _path(loc: list[str | int]) -> str:
    """Convert an error path of the mock to the client's format.

    For example, `["body", "scripts", 1, 3, "end"]` becomes `scripts[1][3].end`.
    """
    source, *rest = loc
    assert source == "body"
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in rest).removeprefix(".")
    return path or "simulate"


@given(valid_scripts())
def test_valid_script_passes_client_and_mock(script: object) -> None:
    assert faults_of_the_client({"script": script}) == faults_of_the_mock({"script": script}) == set()


@given(broken_scripts())
@example([])
@example([END])
@example([START])
@example([START, START, END])
@example([START, END, END])
@example([{**START, "timestamp_ms": 3000.0}, {"timestamp_ms": True, "end": {}}])
@example([{"timestamp_ms": 0, "start": {"prompt": "\ud800"}}, {"timestamp_ms": 0, "end": None}])
@example([{"timestamp_ms": 2**53, "start": {"prompt": "A", "image": None}}, {"end": {}, "interact": {}}])
def test_client_and_mock_find_same_faults_in_script(script: object) -> None:
    if script is None:
        return  # for the client, None is a missing script, which `test_client_and_mock_check_script_sources` covers
    assert faults_of_the_client({"script": script}) == faults_of_the_mock({"script": script})


@given(st.lists(st.one_of(valid_scripts(), broken_scripts()), max_size=3))
def test_client_and_mock_find_same_faults_in_batch(scripts: list[object]) -> None:
    assert faults_of_the_client({"scripts": scripts}) == faults_of_the_mock({"scripts": scripts})


@pytest.mark.parametrize("image", NO_IMAGES)
def test_client_and_mock_reject_invalid_image_urls(image: str) -> None:
    script = [{"timestamp_ms": 0, "start": {"prompt": "A cat", "image": image}}, END]
    verdicts = faults_of_the_client({"script": script}), faults_of_the_mock({"script": script})
    assert verdicts == ({"script[0].start.image"}, {"script[0].start.image"})


@pytest.mark.parametrize(
    ("sources", "faults"),
    [
        ({}, {"simulate"}),
        ({"script": [START, END], "script_url": "http://localhost/script.json"}, {"simulate"}),
        ({"script": [START, END], "scripts": [[START, END]]}, {"simulate"}),
        ({"scripts": []}, {"scripts"}),
        ({"scripts": [[]]}, {"scripts[0]"}),
        ({"scripts": {"a": 1}}, {"scripts"}),
        ({"script": "cat.json"}, {"script"}),
        ({"script_url": 7}, {"script_url"}),
        ({"script_url": "ftp://localhost/script.json"}, {"script_url"}),
        ({"script_url": "http://"}, {"script_url"}),
        ({"script_url": "http://a%41/"}, {"script_url"}),
        ({"script_url": "http://a\\b/"}, {"script_url"}),
        ({"script_url": "http://a b/"}, {"script_url"}),
        ({"script_url": "http://host:0/"}, {"script_url"}),
        ({"script_url": "http://host:65536/"}, {"script_url"}),
        ({"script_url": "http://["}, {"script_url"}),
        ({"script_url": "http://[v1.a]/"}, {"script_url"}),
        ({"script_url": "http://a[::1]/"}, {"script_url"}),
        ({"script_url": "http://[fe80::1%25eth0]/"}, {"script_url"}),
        ({"script_url": "https://example.com/script.json"}, set()),
        ({"script_url": "HTTP://user:p%41ss@[::1]:80/a%20b?c\\d#%"}, set()),
    ],
)
def test_client_and_mock_check_script_sources(sources: Sources, faults: set[str]) -> None:
    assert faults_of_the_client(sources) == faults_of_the_mock(sources) == faults


@settings(max_examples=500)
@given(
    st.sampled_from(["http", "HTTPS", "ftp", "http:"]),
    st.text(st.sampled_from("ha[]:@/?#%\\ .01\uff0f\u2100\x00\x7f\t\ud800é"), max_size=8),
    st.sampled_from(["", "/", "/script.json", "/a b?c#d"]),
)
@example("http", "[:]", "/")
@example("http", "[1.2.3.4]", "/")
@example("http", "a:", "/")
@example("http", "[@0", "")
@example("http", "[a]@0", "")
@example("http", "\u2100@0", "")
def test_client_and_mock_agree_on_script_urls(scheme: str, host: str, rest: str) -> None:
    sources = {"script_url": f"{scheme}://{host}{rest}"}
    assert faults_of_the_client(sources) == faults_of_the_mock(sources)
