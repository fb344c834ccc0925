"""Tests of `odyssey_mock.core.redaction`: which secrets are found in which texts, and how they are masked."""

import base64
import importlib
import logging
import pkgutil
import re
import sys
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import aioice
import aiortc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.accounts.accounts import TEST_KEYS
from odyssey_mock.core.entropy import RememberingEntropy, SeededEntropy
from odyssey_mock.core.journal import NAME_LIMIT, Journal
from odyssey_mock.core.redaction import (
    JSON,
    LIBRARY_LOGGERS,
    REDACTED,
    TEST_KEY_PREFIXES,
    Secrets,
    cleaned,
    get_logger,
    is_secret_name,
    masked_json,
    watch_library_logs,
    without_keys,
)
from tests.support.echoed_secrets import ENCODINGS, leaks, random_secrets
from tests.support.work_counts import instructions_of


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("keys: [ody_hush", "keys: [ody_..."),
        ("ody_a-b_C ody_d", "ody_... ody_..."),
        ("api_key_ody_hush", "api_key_ody_..."),
        ("ody_suspended_hush", "ody_..."),
        ("keys that begin with ody_suspended are", "keys that begin with ody_suspended are"),
        ("melody_maker", "melody_maker"),
        ("odyssey_mock", "odyssey_mock"),
    ],
)
def test_keys_are_replaced_and_other_words_kept(message: str, expected: str) -> None:
    assert without_keys(message) == expected


def test_prefixes_are_those_of_the_test_keys() -> None:
    assert set(TEST_KEY_PREFIXES) == set(TEST_KEYS)


SECRET = "q7Vw2-Zr9_Kd4mXs8LtB"


@given(st.text(), random_secrets(), st.sampled_from(sorted(ENCODINGS)), st.text())
def test_encoded_secret_is_masked(before: str, secret: str, encoding: str, after: str) -> None:
    secrets = Secrets()
    secrets.add(secret)
    assert not leaks(secrets.masked(f"{before} {ENCODINGS[encoding](secret)} {after}"), secret)


@given(st.text(st.characters(max_codepoint=0x2FFF)).filter(lambda text: "ody_" not in text.lower()))
def test_text_without_secrets_is_kept(text: str) -> None:
    secrets = Secrets()
    for each in (SECRET, "ody_key_of_a_test", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.9sX2-kd8_Lq0"):
        secrets.add(each)
    assert secrets.masked(text) == text
    assert not secrets.are_in(text)


def test_signature_is_masked_and_similar_uuid_is_not() -> None:
    signature = "7b74c616ec114a9f0d3be85c29f1a6b7" * 2
    secrets = Secrets()
    secrets.add(signature)
    shown = "7b74c616-ec11-46f2-a942-03fc49c82b1b"
    assert secrets.masked(f"{shown} {signature} {signature[5:21].upper()}.") == f"{shown} {REDACTED} {REDACTED}."


def test_only_signature_of_web_token_is_secret() -> None:
    secrets = Secrets()
    secrets.add(f"eyJhbGciOiJIUzI1NiJ9.{'zdWIiOiIxIn0' * 200}.{SECRET}")
    assert secrets.masked(f"hbGciOiJIUzI1NiJ9 zdWIiOiIxIn0 {SECRET}") == f"hbGciOiJIUzI1NiJ9 zdWIiOiIxIn0 {REDACTED}"


@pytest.mark.parametrize("key", ["ody_key_of_a_test", "ody_key_of_two_tests", "ody_key_of_three_tests"])
@pytest.mark.parametrize("encoding", ["base64", "base64 in the middle", "hex"])
def test_encoded_key_of_words_is_masked(key: str, encoding: str) -> None:
    secrets = Secrets()
    secrets.add(key)
    assert secrets.masked(f"{ENCODINGS[encoding](key)} {key[4:]}") == f"{REDACTED} {key[4:]}"


def test_secrets_of_mock_are_masked_in_journal() -> None:
    journal = Journal(lambda: 0.0, 10)
    journal.secrets.add(SECRET)
    data: JSON = {"x": [f"<{SECRET}>", {SECRET: SECRET[4:12]}], "script_url": "http://a/b?c=d"}
    entry = journal.record("note", f"type {SECRET}", {"message": data})
    assert entry.name == f"type {REDACTED}"
    assert entry.data == {
        "message": {"x": [f"<{REDACTED}>", {REDACTED: REDACTED}], "script_url": f"http://a/b?{REDACTED}"}
    }


def test_secret_is_masked_before_name_is_cut() -> None:
    journal = Journal(lambda: 0.0, 10)
    journal.secrets.add(SECRET)
    begin = "-" * (NAME_LIMIT - 5)
    assert journal.record("note", f"{begin}{SECRET}").name == f"{begin}{REDACTED}"


def test_values_of_secret_names_are_hidden() -> None:
    assert cleaned({"control_token": {"from": "abc", "n": 1}}) == {"control_token": {"from": REDACTED, "n": 1}}
    assert cleaned({"tokens": 3, "keyframe": "a", "notoken": "b"}) == {"tokens": 3, "keyframe": "a", "notoken": "b"}


def test_kept_secrets_stay_known_when_forgotten() -> None:
    secrets, entropy = Secrets(limit=4), SeededEntropy(1)
    tokens = [entropy.token(16) for _ in range(6)]
    for token in tokens[:4]:
        secrets.add(token)
    kept = secrets.kept
    assert secrets.kept is kept
    for token in tokens[4:]:
        secrets.add(token)

    assert [each.are_in(tokens[0]) for each in (secrets, kept)] == [False, True]
    assert [secrets.kept.are_in(token) for token in (tokens[0], tokens[5])] == [False, True]


def test_oldest_secrets_are_forgotten() -> None:
    secrets = Secrets(limit=4)
    entropy = SeededEntropy(1)
    tokens = [entropy.token(16) for _ in range(6)]
    for token in tokens:
        secrets.add(token)
        secrets.add("short")
    # The fifth is one too many: the latest half of `limit` is kept, and the sixth follows.
    assert [secrets.masked(token) for token in tokens] == [*tokens[:3], REDACTED, REDACTED, REDACTED]


def test_tokens_are_remembered_and_tags_are_not() -> None:
    secrets = Secrets()
    entropy = RememberingEntropy(SeededEntropy(1), secrets)
    assert secrets.masked(f"{entropy.token(16)} ") == f"{REDACTED} "
    tag, identifier = entropy.token(6), entropy.uuid()
    assert secrets.masked(f"{tag} {identifier}") == f"{tag} {identifier}"
    assert 0 <= entropy.number(3) < 8


def test_log_of_the_mock_is_redacted(caplog: pytest.LogCaptureFixture) -> None:
    secrets = Secrets()
    secrets.add(SECRET)
    logger = get_logger("odyssey_mock.test")
    with caplog.at_level(logging.DEBUG, "odyssey_mock.test"):
        try:
            raise ValueError(SECRET)
        except ValueError:
            logger.exception("at %s", f"http://a/b?token=c&d={SECRET}")
        logger.debug("nothing secret: %s", 7)
    assert SECRET not in caplog.text
    assert f"at http://a/b?token={REDACTED}&d={REDACTED}" in caplog.text
    assert caplog.records[-1].args == (7,)


def test_mock_may_start_during_log_call() -> None:
    logger = get_logger("odyssey_mock.test")
    record = logger.makeRecord(logger.name, logging.WARNING, __file__, 1, "nothing secret", (), None)
    started = [Secrets()]

    def start(*_: object) -> Any:  # Any: a trace function, which returns itself
        """Start a mock before each line that the filter executes, where another thread may run."""
        started.append(Secrets())
        return start

    trace = sys.gettrace()
    sys.settrace(start)
    try:
        assert logger.filter(record)
    finally:
        sys.settrace(trace)
    assert len(started) > 1


def test_every_logger_of_the_package_is_redacted() -> None:
    loggers = [each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger)]
    unfiltered = [each.name for each in loggers if each.name.partition(".")[0] == "odyssey_mock" and not each.filters]
    assert unfiltered == []


def masked(secret: str, text: str) -> str:
    """Return the text with one secret masked."""
    secrets = Secrets()
    secrets.add(secret)
    return secrets.masked(text)


def encoded(text: str, times: int) -> str:
    """Return a text that was encoded with base64 a number of times."""
    for _ in range(times):
        text = base64.b64encode(text.encode()).decode()
    return text


def hexadecimal(text: str, times: int) -> str:
    for _ in range(times):
        text = text.encode().hex()
    return text


@pytest.mark.parametrize("encode", [encoded, hexadecimal])
def test_two_encodings_are_removed(encode: Callable[[str, int], str]) -> None:
    assert masked(SECRET, f"a {encode(SECRET, 1)} b") == f"a {REDACTED} b"
    assert masked(SECRET, f"a {encode(SECRET, 2)} b") == f"a {REDACTED} b"
    assert masked(SECRET, encode(SECRET, 3)) == encode(SECRET, 3)


def test_each_kind_of_escape_is_tried() -> None:
    once = "".join(f"%{ord(each):02x}" for each in SECRET)
    assert masked(SECRET, f"a {once.replace('%', '%25')}&#65; b") == f"a {REDACTED} b"


def test_escapes_of_json_in_json_are_removed() -> None:
    escaped = "".join(f"\\\\u{ord(each):04x}" for each in SECRET)
    assert masked(SECRET, f"a {escaped} b") == f"a {REDACTED} b"


@pytest.mark.parametrize("before", ["", "Z", "Zy", "Zyx"])
def test_encoded_secret_may_follow_other_characters(before: str) -> None:
    assert masked(SECRET, f"a {before}{encoded(SECRET, 1)} b") == f"a {REDACTED} b"
    assert masked(SECRET, f"a xyz-{hexadecimal(SECRET, 1)} b") == f"a xyz-{REDACTED} b"
    assert masked(SECRET, f"a 7{hexadecimal(SECRET, 1)} b") == f"a {REDACTED} b"


def test_characters_behind_an_encoded_secret_are_ignored() -> None:
    assert masked("q7Vw2Zr9", f"a {encoded('xq7Vw2Zr9', 1)}A b") == f"a {REDACTED} b"


@pytest.mark.parametrize("secret", ["k>>>>>>>9", "k????????9"])
def test_both_alphabets_of_base64_are_known(secret: str) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        assert masked(secret, f"a {encode(secret.encode()).decode()} b") == f"a {REDACTED} b"


def test_each_piece_of_a_secret_is_masked() -> None:
    for start in range(len(SECRET) - 7):
        for before in ("", ".", "..", "..."):
            assert masked(SECRET, f"{before}{SECRET[start : start + 8]}!") == f"{before}{REDACTED}!"
    for before in ("", ".", "..", "..."):
        shorter = f"{before}{SECRET[-7:]}"
        assert masked(SECRET, shorter) == shorter


def test_each_piece_of_hexadecimal_digits_is_masked() -> None:
    secret = "7b74c616ec114a9f0d3be85c29f1a6b7"
    for start in range(len(secret) - 15):
        assert masked(secret, f"a {secret[start : start + 16]}.") == f"a {REDACTED}."


def test_words_before_a_random_part_are_kept() -> None:
    secret = f"abcdefgh_{SECRET}"
    assert masked(secret, f"gh_{SECRET[:5]}.") == f"{REDACTED}."
    assert masked(secret, f"fgh_{SECRET[:4]}.") == f"fgh_{SECRET[:4]}."


def test_secrets_of_words_are_masked_as_a_whole() -> None:
    secrets = Secrets()
    for each in ("my_control_token", "the_other_token"):
        secrets.add(each)
    assert secrets.masked("a my_control_token b the_other_token") == f"a {REDACTED} b {REDACTED}"
    assert secrets.masked("the_other_toke") == "the_other_toke"


def test_words_with_the_same_beginning_are_masked() -> None:
    secrets = Secrets()
    for each in ("my_control_token", "my_control_key", "my_control_name"):
        secrets.add(each)
    for each in ("my_control_token", "my_control_key", "my_control_name"):
        assert secrets.masked(f"a {each} b") == f"a {REDACTED} b"


names = st.lists(st.sampled_from(["alpha", "beta", "Gamma", "x"]), min_size=2, max_size=4).map("-".join)


@given(
    st.lists(names, min_size=1, max_size=5), st.lists(names | st.text("-al xÄ", max_size=5), max_size=6).map("".join)
)
def test_masked_words_match_a_simple_search(names: list[str], text: str) -> None:
    secrets = Secrets()
    for name in names:
        secrets.add(name)
    hidden = {
        place
        for name in names
        if len(name) >= 8
        for start in range(len(text))
        if text[start:].lower().startswith(name.lower())
        for place in range(start, start + len(name))
    }
    shown = "".join("\0" if place in hidden else letter for place, letter in enumerate(text))
    assert secrets.masked(text) == re.sub("\0+", REDACTED, shown)


@pytest.mark.parametrize("text", ["Nothing " * 50, '{"message":"ody_key of a test","WithCapitalLetters":"ody_key_"}'])
def test_search_takes_no_longer_with_many_secrets(text: str) -> None:
    few, many = Secrets(), Secrets()
    few.add("ody_key_of_test_0")
    for number in range(1000):
        many.add(f"ody_key_of_test_{number % 10}_number_{number // 10}")
    assert many.masked("ody_key_of_test_7_number_77") == "ody_..."
    assert many.are_in("ODY_key_of_test_7_number_77")

    assert instructions_of(lambda: many.are_in(text)) < 2 * instructions_of(lambda: few.are_in(text))


def test_shortest_and_longest_secrets_are_masked() -> None:
    assert masked("q7Vw2Zr9", "a q7Vw2Zr9 b") == f"a {REDACTED} b"
    assert masked("q7Vw2Zr", "a q7Vw2Zr b") == "a q7Vw2Zr b"
    entropy = SeededEntropy(1)
    begin, end = entropy.token(3 * 1024)[:1024], entropy.token(24)
    for head in ("", "eyJhbGciOiJIUzI1NiJ9."):
        assert masked(f"{head}{begin}{end}"[: len(head) + 1024 + 24], f"a {end} b") == f"a {end} b"
    assert masked(begin + end, f"a {begin[-8:]} b") == f"a {REDACTED} b"
    assert masked(begin + end, f"a {begin[-7:]}{end[0]} b") == f"a {begin[-7:]}{end[0]} b"
    assert masked(f"{SECRET}.{end}", f"a {SECRET} b {end}") == f"a {REDACTED} b {REDACTED}"


def test_latest_half_of_the_secrets_is_kept() -> None:
    secrets = Secrets(limit=6)
    tokens = [SeededEntropy(number).token(16) for number in range(7)]
    for token in tokens:
        secrets.add(token)
    assert [secrets.masked(token) == REDACTED for token in tokens] == [False] * 4 + [True] * 3


def test_a_mock_remembers_1024_secrets() -> None:
    secrets = Secrets()
    entropy = SeededEntropy(1)
    tokens = [entropy.token(16) for _ in range(1025)]
    for token in tokens[:-1]:
        secrets.add(token)
    assert secrets.masked(tokens[0]) == REDACTED
    secrets.add(tokens[-1])
    assert secrets.masked(tokens[0]) == tokens[0]


def test_adjacent_secrets_are_masked_as_one() -> None:
    secrets = Secrets()
    for each in ("q7Vw2Zr9", "k3Xm8Lt5"):
        secrets.add(each)
    assert secrets.masked("a q7Vw2Zr9k3Xm8Lt5 b") == f"a {REDACTED} b"


def test_any_web_token_is_masked() -> None:
    assert Secrets().masked("a eyJhbGciOiJIUzI1NiJ9.eyJzdWIi.c2ln b") == f"a {REDACTED} b"


@pytest.mark.parametrize("words", ["access token", "id token", "client secret", "user password", "amz signature"])
def test_secret_names_are_known_in_each_notation(words: str) -> None:
    camel = words.title().replace(" ", "")
    for name in (*(words.replace(" ", mark) for mark in "_-."), camel, camel[0].lower() + camel[1:]):
        assert cleaned({name: "hush"}) == {name: REDACTED}
        assert cleaned(f"http://a/b?{name}=hush&c=d") == f"http://a/b?{name}={REDACTED}&c=d"


@pytest.mark.parametrize(
    "name", ["accesstoken", "x-csrftoken", "passphrase", "passwords", "secrets", "cookies", "encryption_key", "apiKeys"]
)
def test_further_secret_names_are_known(name: str) -> None:
    assert cleaned({name: "hush"}) == {name: REDACTED}


@pytest.mark.parametrize(
    "name",
    [
        "apiKey",
        "my_api_key",
        "x-api-key",
        "private_key",
        "secretKey",
        "credentials",
        "ice-pwd",
        "Set-Cookie",
        "IDToken",
    ],
)
def test_secret_names_may_have_several_words(name: str) -> None:
    assert cleaned({name: "hush"}) == {name: REDACTED}


@pytest.mark.parametrize("name", ["tokens", "tokenizer", "monkey", "retryKey", "error_code", "cosignature", "insig"])
def test_names_that_contain_a_secret_word_are_kept(name: str) -> None:
    assert cleaned({name: "shown"}) == {name: "shown"}
    assert cleaned(f"http://a/b?{name}=shown") == f"http://a/b?{name}=shown"


def test_secret_names_have_a_maximum_length() -> None:
    longest = "x" * 94 + ".token"
    assert is_secret_name(longest)
    assert not is_secret_name(f"x{longest}")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (True, True),
        (7, 7),
        (0.5, 0.5),
        (float("inf"), "inf"),
        (MappingProxyType({"a": None}), {"a": None}),
        ((1, "ody_hush"), [1, "ody_..."]),
        ({"token": ["abc", {"b": "c"}, 3, None]}, {"token": [REDACTED, {"b": REDACTED}, 3, None]}),
        ({"script_url": 7}, {"script_url": 7}),
        ("http://user:hush@a/b", "http://***@a/b"),
        ("half of a cat \ud83d", r"half of a cat \ud83d"),
        ("caf\u00e9 \U0001f408", "caf\u00e9 \U0001f408"),
    ],
)
def test_json_is_cleaned(value: JSON, shown: JSON) -> None:
    assert cleaned(value) == shown


def test_only_texts_of_json_are_masked() -> None:
    secrets = Secrets()
    secrets.add(SECRET)
    value: JSON = {SECRET: [1, 0.5, None, True, (SECRET, {"a": SECRET})]}
    assert masked_json(value, secrets) == {REDACTED: [1, 0.5, None, True, [REDACTED, {"a": REDACTED}]]}


def test_error_that_was_not_raised_is_redacted(caplog: pytest.LogCaptureFixture) -> None:
    secrets = Secrets()
    secrets.add(SECRET)
    get_logger("odyssey_mock.test").error("failed", exc_info=ValueError(SECRET))
    assert f"ValueError: {REDACTED}" in caplog.text


def test_every_logger_of_the_webrtc_libraries_is_redacted() -> None:
    found = set()
    for package in (aioice, aiortc):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            logger = getattr(importlib.import_module(module.name), "logger", None)
            found |= {logger.name} if isinstance(logger, logging.Logger) else set()
    assert found <= set(LIBRARY_LOGGERS)
    watch_library_logs()
    assert [name for name in found if not logging.getLogger(name).filters] == []
