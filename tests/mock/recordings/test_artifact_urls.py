"""Tests of presigned URLs: only unmodified URLs are accepted, and only until they expire."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.core.clock import ManualClock
from odyssey_mock.recordings.artifact_urls import ArtifactUrls, UrlError

BASE = "http://127.0.0.1:8400"
CLOCK = ManualClock()
URLS = ArtifactUrls(CLOCK, lambda: "secret", lambda: 3600)


def made(urls: ArtifactUrls = URLS, stream_id: str = "7d9c", artifact: str = "video.mp4") -> bytes:
    """Return the path and query of a new presigned URL."""
    url = urls.make(BASE, stream_id, artifact)
    assert url.startswith(f"{BASE}/artifacts/")
    return url.removeprefix(BASE).encode()


def check(target: bytes, urls: ArtifactUrls = URLS) -> None:
    """Split a URL into path and query, and check both, as the server does."""
    path, _, query = target.partition(b"?")
    urls.check(path, query)


def test_unmodified_url_is_accepted() -> None:
    check(made())


@given(stream_id=st.text(st.characters(exclude_categories=["Cs"]), min_size=1), artifact=st.text("abc.4", min_size=1))
def test_any_stream_id_is_accepted(stream_id: str, artifact: str) -> None:
    target = made(stream_id=stream_id, artifact=artifact)
    assert target.count(b"/") == 3
    check(target)


async def test_expiry_is_rounded_up_to_seconds() -> None:
    clock = ManualClock(1000.75)
    urls = ArtifactUrls(clock, lambda: "secret", lambda: 1)
    target = made(urls)
    await clock.advance(1)
    check(target, urls)
    await clock.advance(0.25)
    with pytest.raises(UrlError, match="expired"):
        check(target, urls)


CHANGES: dict[str, Callable[[bytes, int, int], bytes]] = {
    "another": lambda target, place, byte: target[:place] + bytes([byte]) + target[place + 1 :],
    "added": lambda target, place, byte: target[:place] + bytes([byte]) + target[place:],
    "missing": lambda target, place, byte: target[:place] + target[place + 1 :],
}


@given(change=st.sampled_from(sorted(CHANGES)), place=st.integers(0, len(made()) - 1), byte=st.integers(0, 255))
def test_url_with_changed_byte_is_rejected(change: str, place: int, byte: int) -> None:
    target = made()
    changed = CHANGES[change](target, place, byte)
    if changed != target:
        with pytest.raises(UrlError, match="signature of this URL is invalid"):
            check(changed)


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda target: target + b"&more=1",
        lambda target: target.replace(b"?", b"?more=1&"),
        lambda target: target + target[target.index(b"&signature=") :],
        lambda target: target.upper(),
        lambda target: target.replace(b"video", b"%76ideo"),
        lambda target: target.replace(b"signature", b"Signature"),
        lambda target: b"?" + target,
        lambda target: target[: target.index(b"&")],
        lambda target: target[: target.index(b"?")],
        lambda target: b"",
    ],
)
def test_other_spelling_of_url_is_rejected(rewrite: Callable[[bytes], bytes]) -> None:
    with pytest.raises(UrlError):
        check(rewrite(made()))


def test_signature_is_invalid_for_other_artifact() -> None:
    _, _, signature = made(artifact="preview.mp4").partition(b"&signature=")
    target, mark, _ = made().partition(b"&signature=")
    with pytest.raises(UrlError):
        check(target + mark + signature)


async def test_url_is_valid_until_its_expiry() -> None:
    clock = ManualClock()
    urls = ArtifactUrls(clock, lambda: "secret", lambda: 3600)
    target = made(urls)
    assert f"expires={clock.time() + 3600:.0f}&" in target.decode()
    await clock.advance(3599.999)
    check(target, urls)
    await clock.advance(0.001)
    with pytest.raises(UrlError, match="expired 0 s ago"):
        check(target, urls)


def test_url_of_another_server_is_rejected() -> None:
    with pytest.raises(UrlError):
        check(made(), ArtifactUrls(CLOCK, lambda: "another secret", lambda: 3600))


def test_error_does_not_reveal_the_signature() -> None:
    target = made()
    signature = target.rpartition(b"=")[2].decode()
    with pytest.raises(UrlError) as refused:
        check(target[:-1])
    assert signature[:8] not in str(refused.value)
    assert signature not in repr(URLS)
