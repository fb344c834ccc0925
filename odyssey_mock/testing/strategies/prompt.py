"""Valid prompts, including texts that often break software."""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Literal, get_args

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from odyssey_mock.prompts.markers import PromptMarkers, markers_of

type Trial = Literal["error", "moderated", "stall", "slow"]
"""A kind of test prompt, which contains a marker that the mock reacts to."""

TRIALS: tuple[Trial, ...] = get_args(Trial.__value__)

LONGEST_PROMPT = 20_000
"""Number of characters that always fit into one message of a data channel, however JSON escapes them."""
SLOWEST_MS = 2000
"""Maximum milliseconds in a drawn `[slow:MS]`."""

PLAIN = ("A cat", "It looks out of the window", "Snow falls on the harbour, slow push in")
ODD = (
    "",
    " ",
    "\n",
    "A cat\nthat looks out\r\nof the window\n",
    "\tA cat \u00a0\u200b\u3000",
    "Crème brûlée",
    "Cre\u0300me",  # the same accent as a separate character
    "猫が窓の外を見ている",
    "חתול מביט מהחלון",
    "A cat called \u202eeldoon\u202c",  # reversed by an override
    "قطة تنظر من النافذة",
    "🐈",
    "👩🏽\u200d🚀 on the 🌕",  # one character on the screen, four code points
    "Z\u0334\u0321\u0350\u035da\u0337\u0322\u0301l\u0336\u0317g\u0335o\u0338",
    "\x00",
    "\x07\x1b[31mA red cat\x1b[0m\x7f",
    "\ufeffA cat\ufffe\uffff",
    '{"type": "interactive_stream_end"}',
    "A \"cat\" \\ a 'dog' \\u0000 \\n",
    "<script>alert(1)</script> & <b>",
    "'; DROP TABLE prompts; --",
    "%s %d {0} {prompt} ${HOME} $(id) `id`",
    "../../etc/passwd",
    "null",
    "[error:] [slow:soon] [Stall] [error]",  # similar to the mock's test prompts, but none of them
)
"""Valid but unusual prompts."""

_REPEATED = ("A cat looks out of the window. ", "x", "猫", "🐈", "\n")
_CHARACTERS = st.characters(exclude_categories=["Cs"])  # UTF-8 cannot encode lone surrogates
_USUAL_LENGTH = 40
_LONGEST_TEXT = 200
"""Largest `min_size` for which each character is drawn separately; for longer prompts that is too slow."""
_MARK_ROOM = 40
"""Maximum number of characters of the marker in a test prompt."""
_NO_TRIAL = PromptMarkers()

_REASON = st.sampled_from(["model crash", "moderation", "quota_exceeded"]) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="[]"), min_size=1, max_size=20
).filter(lambda reason: bool(reason.strip()))
_MARKS: Mapping[str, SearchStrategy[str]] = MappingProxyType(
    {
        "error": _REASON.map(lambda reason: f"[error:{reason}]"),
        "moderated": st.sampled_from(["[moderated]", "[moderated:end]"]),
        "stall": st.just("[stall]"),
        "slow": st.integers(0, SLOWEST_MS).map(lambda ms: f"[slow:{ms}]"),
    }
)


def prompts(*, min_size: int = 0, max_size: int = 2000, trials: Collection[Trial] = ()) -> SearchStrategy[str]:
    r"""Draw a prompt that client and service accept: plain, empty, long, multi-line, emoji, right-to-left or code.

    ::

        @given(prompts())
        def test_caption_shows_every_prompt(prompt): ...

        @given(prompts(trials=["error"]))
        def test_application_shows_why_start_failed(prompt): ...

    Args:
        min_size: Minimum number of characters.
        max_size: Maximum number of characters, up to `LONGEST_PROMPT`.
        trials: The kinds of test prompts to draw in addition, from `TRIALS`. The mock reacts to their markers
            (`[error:REASON]`, `[moderated]`, `[stall]`, `[slow:MS]`). By default none are drawn.

    Raises:
        ValueError: the sizes are invalid, `max_size` leaves no room for the marker of a test prompt, or a kind in
            `trials` is unknown.
    """
    if not 0 <= min_size <= max_size <= LONGEST_PROMPT:
        raise ValueError(f"expected 0 <= min_size <= max_size <= {LONGEST_PROMPT}, got {min_size} and {max_size}")
    if unknown := [each for each in trials if each not in _MARKS]:
        raise ValueError(f"unknown kind of prompt marker {unknown[0]!r}; known: {', '.join(TRIALS)}")
    if not trials:
        return _harmless(min_size, max_size)
    if max_size - min_size < _MARK_ROOM:
        raise ValueError(
            f"max_size must be at least {_MARK_ROOM} above min_size, for the marker of a test prompt, got "
            f"min_size={min_size} and max_size={max_size}"
        )
    around = _harmless(min_size, max_size - _MARK_ROOM)
    mark = st.one_of([_MARKS[each] for each in TRIALS if each in trials])
    return st.one_of(
        _harmless(min_size, max_size),
        st.builds(lambda text, mark, is_first: mark + text if is_first else text + mark, around, mark, st.booleans()),
    )


def _harmless(min_size: int, max_size: int) -> SearchStrategy[str]:
    usual = min(max_size, max(min_size, _USUAL_LENGTH))
    kinds: list[SearchStrategy[str]] = [
        st.sampled_from(fitting)
        for texts in (PLAIN, ODD)
        if (fitting := [text for text in texts if min_size <= len(text) <= max_size])
    ]
    if min_size <= _LONGEST_TEXT:
        kinds.append(st.text(_CHARACTERS, min_size=min_size, max_size=usual))
    kinds.append(st.builds(_repeated, st.sampled_from(_REPEATED), st.integers(usual, max_size)))
    return st.one_of(kinds).filter(lambda prompt: markers_of(prompt) == _NO_TRIAL)


def _repeated(text: str, length: int) -> str:
    return (text * -(-length // len(text)))[:length]
