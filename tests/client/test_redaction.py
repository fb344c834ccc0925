"""Tests of `odyssey_client.redaction`: which secrets are found in which texts, and how they are masked."""

import base64
import copy
import importlib
import json as jsonlib
import logging
import pickle
import pkgutil
import sys
import threading
from collections.abc import Callable
from itertools import product
from urllib.parse import quote

import aioice
import aiortc
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from odyssey_client import errors
from odyssey_client.connection.messages import MessageError
from odyssey_client.connection.signaling import SignalingLostError
from odyssey_client.models import JSON
from odyssey_client.redaction import (
    JSON_LIMIT,
    LIBRARY_LOGGERS,
    MASK,
    PIECE,
    TEXT_LIMIT,
    Secrets,
    get_logger,
    library_call,
    received,
    redacted,
    redacted_json,
    remember,
    remember_url,
    watch_library_logs,
    without_query,
)
from tests.support.echoed_secrets import ENCODINGS, leaks, random_secrets

SECRET = "q7Vw2-Zr9_Kd4mXs8LtB"


@pytest.fixture(autouse=True)
def _remembered() -> None:
    # Before each test: other tests remember so many secrets that older ones are forgotten.
    remember(SECRET)


@given(st.text(), random_secrets(), st.sampled_from(sorted(ENCODINGS)), st.text())
def test_encoded_secret_is_masked(before: str, secret: str, encoding: str, after: str) -> None:
    remember(secret)
    shown = redacted(f"{before} {ENCODINGS[encoding](secret)} {after}")
    assert not leaks(shown, secret), shown


@given(random_secrets(), st.sampled_from(sorted(ENCODINGS)), st.data())
def test_piece_of_encoded_secret_is_masked(secret: str, encoding: str, data: st.DataObject) -> None:
    remember(secret)
    start = data.draw(st.integers(0, len(secret) - PIECE))
    end = data.draw(st.integers(start + PIECE, len(secret)))
    assert not leaks(redacted(f"x {ENCODINGS[encoding](secret[start:end])}..."), secret)


@pytest.mark.parametrize("encode", [ENCODINGS["base64"], ENCODINGS["hex"], lambda text: quote(quote(text, safe=""))])
def test_secret_encoded_twice_is_masked(encode: object) -> None:
    assert callable(encode)
    assert not leaks(redacted(f"got {encode(ENCODINGS['base64'](SECRET))}"), SECRET)
    assert redacted(f"got {encode(SECRET)} here") == f"got {MASK} here"
    assert redacted(f"got {encode(encode(SECRET))} here") == f"got {MASK} here"


@pytest.mark.parametrize("encodings", list(product(["base64", "hex"], repeat=3)), ids="-".join)
def test_secret_encoded_three_times_is_masked(encodings: tuple[str, ...]) -> None:
    text = SECRET
    for encoding in encodings:
        text = ENCODINGS[encoding](text)
    assert redacted(f"got {text} here") == "got *** here"


def test_adjacent_secrets_get_one_mask() -> None:
    remember("mP4tXc81-Lw6Hn")
    assert redacted(f"got {SECRET}mP4tXc81-Lw6Hn here") == "got *** here"


@pytest.mark.parametrize("before", ["", "x", "xy", "xyz", "xyzw"])
def test_encoded_secret_after_other_characters_is_masked(before: str) -> None:
    secret = "q7>Vw?2Z>r9?Kd>4m?Xs>8L?"  # every fourth digit of its base64 is + or /, or - or _
    remember(secret)
    for encoded in (
        base64.b64encode(secret.encode()).decode(),
        base64.urlsafe_b64encode(secret.encode()).decode(),
    ):
        assert redacted(f"at {before}{encoded} now") == f"at {MASK} now"
    assert redacted(f"at {'abcd'[: len(before)]}{secret.encode().hex()} now") == f"at {MASK} now"


@given(st.text(st.characters(max_codepoint=0x2FFF)).filter(lambda text: "ody_" not in text.lower()))
@example("The service rejected the token of the session (401)")
@example("3f2a1c9e-7d6b-4a5e-8f90-123456789abc and 2026-11-29T20:15:00Z")
def test_text_without_secrets_is_kept(text: str) -> None:
    assert redacted(text) == text


def test_secret_of_words_is_masked_whole() -> None:
    remember("ody_concurrent_limit_of_a_test", "спектакль-без-зрителей")
    assert redacted("Maximum concurrent sessions (5) reached") == "Maximum concurrent sessions (5) reached"
    remember("ody_monthly_limit_8fK2mXq9")
    assert redacted("MONTHLY_LIMIT_REACHED") == "MONTHLY_LIMIT_REACHED"
    assert redacted("8fK2mXq9 of ody_monthly_limit_8fK2mXq9") == f"{MASK} of {MASK}"
    assert redacted("key ODY_concurrent_LIMIT_of_a_test!") == f"key {MASK}!"
    assert redacted("спектакль-без-зрителей, спектакль-для-зрителей") == f"{MASK}, спектакль-для-зрителей"


@pytest.mark.parametrize("key", ["ody_key_of_a_test", "ody_key_of_two_tests", "ody_key_of_three_tests"])
@pytest.mark.parametrize("encoding", ["base64", "base64 in the middle", "hex"])
def test_encoded_secret_of_words_is_masked(key: str, encoding: str) -> None:
    remember(key)
    assert redacted(f"{ENCODINGS[encoding](key)} {key[4:]}") == f"{MASK} {key[4:]}"


def test_encoded_secret_before_other_character_is_masked() -> None:
    remember("ody_key_of_my_test")
    assert redacted(f"{base64.b64encode(b'ody_key_of_my_test').decode()}x") == MASK


def test_secret_in_hexadecimal_escapes_is_masked() -> None:
    escaped = "".join(f"\\x{ord(character):02x}" for character in SECRET)
    assert redacted(f"got {escaped} here") == f"got {MASK} here"


def test_unknown_key_and_json_web_token_are_masked() -> None:
    assert redacted("key ody_NeverRemembered7") == f"key {MASK}"
    assert redacted("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_1 expired") == f"{MASK} expired"
    assert redacted("parody_of_something ody_...") == "parody_of_something ody_..."


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see https://user:pw@host/a/b?c=d#e now", f"see https://host/a/b?{MASK} now"),
        ("see https://user:pw@host now", "see https://host now"),
        ("see https://user:pw@host/@me/x", "see https://host/@me/x"),
        ("ws://host:1/x?token=abc", f"ws://host:1/x?{MASK}"),
        ("https://host/a/b.", "https://host/a/b."),
        ("Authorization: Bearer abc", f"Authorization: {MASK}"),
        ("got 'Set-Cookie: a=b; c=d'", f"got 'Set-Cookie: {MASK}'"),
        ("Bearer abcdefgh-1 is invalid", f"Bearer {MASK} is invalid"),
        ("spectator_token=abc&x=1", f"spectator_token={MASK}&x=1"),
        ('{"credential": "abc", "x": 1}', f'{{"credential": "{MASK}", "x": 1}}'),
        ("the token: expired; Odyssey(api_key=...)", "the token: expired; Odyssey(api_key=...)"),
    ],
)
def test_received_text_is_masked_by_name(text: str, shown: str) -> None:
    assert received(text) == shown


@pytest.mark.parametrize(
    "name",
    [
        *("accesskey", "access_key", "apikey", "api_key", "auth", "credential", "key", "pass", "passwd"),
        *("password", "pwd", "secret", "sig", "Signature", "token", "X-Amz-Signature", "spectator.token"),
        *("accessToken", "sessionToken", "icePwd", "turnCredential"),
        *("IDToken", "SASToken", "TURNPassword", "JWTSecret", "myIDToken"),
    ],
)
@pytest.mark.parametrize("plural", ["", "s"])
def test_value_is_masked_by_its_name(name: str, plural: str) -> None:
    name += plural
    assert received(f"see {name}=abc&x=1") == f"see {name}=***&x=1"
    assert received(f'{{"{name}": "abc", "x": 1}}') == f'{{"{name}": "***", "x": 1}}'
    assert redacted_json({name: "abc", "x": "abc"}) == {name: "***", "x": "abc"}


@pytest.mark.parametrize("name", ["keyboard", "monkey", "Expires", "compass", "design", "tokenizer", "MONKEY"])
def test_value_with_similar_name_is_shown(name: str) -> None:
    assert received(f"see {name}=abc&x=1") == f"see {name}=abc&x=1"
    assert redacted_json({name: "abc"}) == {name: "abc"}


def test_name_with_line_break_is_a_name() -> None:
    assert redacted_json({"a\nsession.token": "abc"}) == {"a\nsession.token": "***"}


@pytest.mark.parametrize("name", ["authorization", "Proxy-Authorization", "cookie", "Set-Cookie", "cookies"])
def test_header_in_json_is_masked_by_its_name(name: str) -> None:
    assert redacted_json({name: "abc", "x": "abc"}) == {name: "***", "x": "abc"}


@pytest.mark.parametrize("name", ["Authorization", "proxy-authorization", "Cookie", "Set-Cookie", "cookie2"])
def test_header_is_masked_up_to_line_end(name: str) -> None:
    assert received(f"{name}: a=b; c d\nHost: x") == f"{name}: ***\nHost: x"


def test_json_is_masked_by_name_value_and_depth() -> None:
    deep: JSON = "bottom"
    for _ in range(5000):
        deep = [deep]
    body: JSON = {"X-Sig": "abc", "tokens": ["abc"], "n": [1, None, True], SECRET: f"<{SECRET}>", "deep": deep}
    shown = redacted_json(body)
    assert isinstance(shown, dict)
    assert "bottom" not in repr(shown.pop("deep"))
    assert shown == {"X-Sig": MASK, "tokens": MASK, "n": [1, None, True], MASK: f"<{MASK}>"}


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=4)))
def test_json_without_secrets_is_kept(value: JSON) -> None:
    assert redacted_json(value) == value


@pytest.mark.parametrize(("length", "shown"), [(20_000, "." * 20_000), (20_001, "." * 19_999 + "…")])
def test_text_above_limit_ends_in_ellipsis(length: int, shown: str) -> None:
    assert received("." * length) == shown


def test_json_is_kept_up_to_its_limits() -> None:
    assert redacted_json("." * 100_000) != "…"
    assert redacted_json("." * 100_001) == "…"
    # A list, and each of its items, counts as one character.
    cut = "." * 19_999 + "…"
    assert redacted_json(["." * 99_998, 1, 2]) == [cut, 1]
    assert redacted_json(["." * 99_996, []]) == [cut, []]
    assert redacted_json(["." * 99_997, []]) == [cut, "…"]
    assert redacted_json({"." * 99_998: 1, "x": 2}) == {cut: 1, "…": 2}


@pytest.mark.parametrize(("depth", "shown"), [(16, "[" * 16 + "]" * 16), (17, "[" * 16 + "'…'" + "]" * 16)])
def test_json_is_kept_up_to_its_depth_limit(depth: int, shown: str) -> None:
    lists: JSON = []
    objects: JSON = {}
    for _ in range(depth - 1):
        lists, objects = [lists], {"": objects}

    assert str(redacted_json(lists)) == shown
    assert str(redacted_json(objects)).replace("'': ", "") == shown.replace("[", "{").replace("]", "}")


def test_empty_values_are_shown() -> None:
    body: JSON = {"token": None, "key": True, "sig": "", "pwd": 0, "secret": [], "password": "x"}

    shown: JSON = {"token": None, "key": True, "sig": "", "pwd": "***", "secret": "***", "password": "***"}
    assert redacted_json(body) == shown


def test_long_texts_are_cut() -> None:
    assert len(received("ab " * TEXT_LIMIT)) == TEXT_LIMIT
    assert len(jsonlib.dumps(redacted_json(["a b" * 1000] * 1000))) < JSON_LIMIT * 1.1
    assert len(jsonlib.dumps(redacted_json({f"{n} b": {} for n in range(200_000)}))) < JSON_LIMIT * 2


def test_hexadecimal_secret_masks_no_similar_uuid() -> None:
    secret = "7b74c616ec114a9f0d3be85c29f1a6b7" * 2
    secrets = Secrets()
    secrets.add(secret, token := "8f14e45f-ceea-467f-a0e6-0c1d2e3f4a5b")
    assert secrets.spans("7b74c616-ec11-46f2-a942-03fc49c82b1b, 8f14e45f-0000-4000-8000-000000000000") == []
    assert secrets.spans(f"{secret[5:21].upper()} {token}") == [(0, 16), (17, 53)]


def test_shorter_values_are_no_secrets() -> None:
    secrets = Secrets()
    secrets.add("x8Fk2mQ", "k3v9X2m7")

    assert secrets.spans("x8Fk2mQ and k3v9X2m7") == [(12, 20)]


def test_end_of_very_long_secret_is_not_remembered() -> None:
    secrets = Secrets()
    value = "".join(f"{number * 7919 % 10007:04}xQ" for number in range(1000))
    secrets.add(value)

    assert secrets.spans(value) == [(0, 4096)]


def test_older_half_of_secrets_is_forgotten() -> None:
    secrets = Secrets(limit=6)
    values = [f"{number}{SECRET[::-1]}"[:PIECE] for number in range(7)]

    secrets.add(*values[:6])
    assert [bool(secrets.spans(each)) for each in values] == [True] * 6 + [False]
    secrets.add(values[6])
    assert [bool(secrets.spans(each)) for each in values] == [False] * 4 + [True] * 3


def test_256_secrets_are_remembered() -> None:
    secrets = Secrets()
    values = [f"{number:03}{SECRET[::-1]}"[:PIECE] for number in range(257)]

    secrets.add(*values[:256])
    assert secrets.spans(values[0])
    secrets.add(values[256])
    assert not secrets.spans(values[0])
    assert secrets.spans(values[256])


def test_mask_is_three_asterisks() -> None:
    assert redacted(f"key {SECRET}") == "key ***"


def test_oldest_secrets_are_forgotten() -> None:
    secrets = Secrets(limit=4)
    values = [f"{number}{SECRET[::-1]}{number}" for number in range(6)]
    secrets.add("short", None, *values)
    assert not secrets.spans(values[0][:PIECE])
    assert secrets.spans(f"is {values[-1]}") == [(3, 3 + len(values[-1]))]


def test_forgetting_secrets_never_unmasks_a_recent_one() -> None:
    secrets = Secrets(limit=100)
    secrets.add(SECRET)
    has_missed, is_over = threading.Event(), threading.Event()

    def search() -> None:
        while not is_over.is_set():
            if not secrets.spans(SECRET):
                has_missed.set()

    searching = threading.Thread(target=search)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        searching.start()
        for number in range(3000):
            secrets.add(f"{number:04}{SECRET[::-1]}", SECRET)
    finally:
        sys.setswitchinterval(interval)
        is_over.set()
        searching.join()
    assert not has_missed.is_set()


def test_secrets_of_url_are_remembered() -> None:
    remember_url("https://user:7Zq%40w0rd-p1@host/a?X-Amz-Signature=9f8e7d6c5b4a39281706&Expires=1732912345")
    assert redacted("7Zq@w0rd-p1 or 9f8e7d6c5b4a3928") == f"{MASK} or {MASK}"
    assert redacted("at 1732912345") == "at 1732912345"
    remember_url("http://[not-a-url")


def test_secret_of_url_may_have_equal_signs() -> None:
    remember_url("https://host/a?sig=Qm4xV9t2Lk7==")
    assert redacted("at Qm4xV9t2Lk7== now") == "at *** now"


def test_first_100_parameters_of_url_are_remembered() -> None:
    remember_url("https://host/a?" + "x=1&" * 99 + "sig=Hd82kQpX0v&token=Zr5tWn3Yb1")
    assert redacted("Hd82kQpX0v, Zr5tWn3Yb1") == "***, Zr5tWn3Yb1"


def test_url_is_shown_without_user_and_query() -> None:
    assert without_query("https://user:pw@host:8/a/b?c#d") == "https://host:8/a/b"
    assert without_query("host/a?sig=abc") == "host/a"
    assert without_query("https://user:pw@host/http://x/y?z") == "https://host/http://x/y"
    assert without_query(f"https://host/{SECRET}") == f"https://host/{MASK}"


MAKERS: tuple[Callable[[], errors.OdysseyError], ...] = (
    lambda: errors.OdysseyError(SECRET, code=SECRET, detail={"a": [SECRET, {SECRET: 1}]}, request_id=SECRET),
    lambda: errors.UnexpectedResponseError(SECRET, path=SECRET, expected=SECRET, got=SECRET, request_id=SECRET),
    lambda: errors.OdysseyStreamError(SECRET, SECRET, detail=SECRET),
    lambda: errors.OdysseyUsageError(SECRET, action=SECRET, action_url=f"http://a/{SECRET}", details={SECRET: SECRET}),
    lambda: errors.ScriptError([errors.ScriptFault(SECRET, SECRET, SECRET)], detail=[SECRET]),
    lambda: SignalingLostError(1011, SECRET),
    lambda: MessageError(SECRET, kind=SECRET),
)


@pytest.mark.parametrize("make", MAKERS)
def test_error_contains_no_secret(make: Callable[[], errors.OdysseyError]) -> None:
    error = make()
    error.add_note(f"see {SECRET}")
    for each in (error, copy.copy(error), pickle.loads(pickle.dumps(error))):
        texts = [str(each), repr(each), repr(each.args), repr(vars(each))]
        assert [text for text in texts if leaks(text, SECRET)] == []


def test_own_logger_masks_message_and_traceback(caplog: pytest.LogCaptureFixture) -> None:
    logger = get_logger("odyssey_client.test")
    with caplog.at_level(logging.DEBUG, "odyssey_client.test"):
        try:
            raise ValueError(f"handler of the application: {SECRET}")
        except ValueError:
            logger.exception("failed for %s", base64.b64encode(SECRET.encode()).decode())
        logger.debug("nothing secret: %s", 7)
    assert not leaks(caplog.text, SECRET)
    assert "Traceback" in caplog.text
    assert f"handler of the application: {MASK}" in caplog.text
    assert caplog.records[-1].args == (7,)


def test_every_logger_of_the_package_is_redacted() -> None:
    loggers = [each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger)]
    unfiltered = [each.name for each in loggers if each.name.partition(".")[0] == "odyssey_client" and not each.filters]
    assert unfiltered == []


def test_exception_that_was_not_raised_is_masked(caplog: pytest.LogCaptureFixture) -> None:
    get_logger("odyssey_client.test").error("failed", exc_info=ValueError(SECRET))
    assert caplog.messages == ["failed"]
    assert f"ValueError: {MASK}" in caplog.text


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (
            "receive_response_headers.complete return_value=(b'HTTP/1.1', 407, b'x', [(b'Proxy', b'pw')])",
            "receive_response_headers.complete status=407",
        ),
        ("connect_tcp.started host='127.0.0.1' port=80", "connect_tcp.started"),
    ],
)
def test_records_of_httpcore_are_shortened_in_library_call(
    message: str, shown: str, caplog: pytest.LogCaptureFixture
) -> None:
    watch_library_logs()
    logger = logging.getLogger("httpcore.http11")
    with caplog.at_level(logging.DEBUG, logger.name):
        with library_call():
            logger.debug(message)
        logger.debug(message)

    assert caplog.messages == [shown, message]


@pytest.mark.parametrize("name", ["aioice.ice", "aiortc.rtcsctptransport"])
def test_records_of_other_libraries_are_masked(name: str, caplog: pytest.LogCaptureFixture) -> None:
    watch_library_logs()
    with caplog.at_level(logging.DEBUG, name), library_call():
        logging.getLogger(name).debug("sent %s", SECRET)

    assert caplog.messages == [f"sent {MASK}"]


def test_every_module_of_the_libraries_is_watched() -> None:
    found = {f"httpcore.{each}" for each in ("connection", "http11", "http2", "proxy", "socks")}
    for package in (aioice, aiortc):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            logger = getattr(importlib.import_module(module.name), "logger", None)
            found |= {logger.name} if isinstance(logger, logging.Logger) else set()
    watch_library_logs()

    assert set(LIBRARY_LOGGERS) == found
    assert [name for name in found if not logging.getLogger(name).filters] == []
