"""Tests of SDP fragments with trickled candidates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.rtc.sdp_fragment import Fragment, FragmentError, parse_fragment, ufrags_of

ONE = "candidate:1 1 udp 2130706431 192.0.2.1 50000 typ host"
OTHER = "candidate:2 1 udp 1694498815 198.51.100.1 50001 typ srflx raddr 192.0.2.1 rport 50000"


@pytest.mark.parametrize("end", ["\r\n", "\n"])
@pytest.mark.parametrize(
    ("lines", "ufrags", "candidates"),
    [
        ([f"a={ONE}"], set(), [(ONE, None)]),
        (["a=ice-ufrag:abcd"], {"abcd"}, []),
        (["a=ice-ufrag:abcd", "a=ice-pwd:secret", "m=video 9 RTP/AVP 0", "a=mid:0"], {"abcd"}, []),
        (["a=ice-ufrag: abcd ", "a=mid: 0 ", f"a={ONE}"], {"abcd"}, [(ONE, "0")]),
        (["m=audio 9 RTP/AVP 0", "a=mid:1", f"a={ONE}", f"a={OTHER}"], set(), [(ONE, "1"), (OTHER, "1")]),
        (
            ["m=audio 9 RTP/AVP 0", "a=mid:a", f"a={ONE}", "m=video 9 RTP/AVP 0", f"a={OTHER}"],
            set(),
            [(ONE, "a"), (OTHER, None)],
        ),
        (
            [
                "m=audio 9 X 0",
                "a=mid:a",
                "a=ice-ufrag:aaaa",
                f"a={ONE}",
                "m=video 9 X 0",
                "a=mid:b",
                "a=ice-ufrag:bbbb",
            ],
            {"aaaa", "bbbb"},
            [(ONE, "a")],
        ),
        (["v=0", "", f"a={ONE}", "a=end-of-candidates", "b=AS:1", "x="], set(), [(ONE, None)]),
        (["a=candidate", "i=candidate:no attribute"], set(), [("candidate", None)]),
    ],
)
def test_fragment_has_user_names_and_candidates(
    lines: list[str], ufrags: set[str], candidates: list[tuple[str, str | None]], end: str
) -> None:
    read = Fragment(frozenset(ufrags), tuple(candidates))
    assert parse_fragment("".join(line + end for line in lines)) == read
    assert (bare := parse_fragment(end.join(lines))) == read, (
        f"expected the same result without the final line break, {read}; got {bare}"
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", r"expected a=ice-ufrag or a=candidate lines, got neither"),
        ("\r\n\r\n", "got neither"),
        ("a=end-of-candidates\r\n", "got neither"),
        ("m=video 9 RTP/AVP 0\r\na=mid:0\r\n", "got neither"),
        ("nonsense", "line 1: expected an SDP line such as .* got 'nonsense'"),
        (f"a={ONE}\r\na\r\n", "line 2: expected an SDP line"),
        (f"a={ONE}\n\n =x\n a=b", "line 4: "),
        ("{" + "x" * 300, r"got '\{x{39}'$"),
    ],
)
def test_invalid_fragment_error_names_the_line(text: str, why: str) -> None:
    with pytest.raises(FragmentError, match=why):
        parse_fragment(text)


# All characters except the line ends of SDP. The other line ends of `str.splitlines` (form feed, U+2028) are ordinary
# text in SDP.
VALUES = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=20)
TOKENS = VALUES.map(str.strip)
CANDIDATES = VALUES.map("candidate:".__add__)
SECTIONS = st.tuples(st.none() | TOKENS, st.lists(CANDIDATES, max_size=3))


@given(
    st.text()
    | st.lists(st.sampled_from(["a=", "m=", "candidate:", "ice-ufrag:", "mid:", "\r", "\n", "x"])).map("".join)
)
def test_any_text_is_parsed_or_rejected(text: str) -> None:
    try:
        fragment = parse_fragment(text)
    except FragmentError:
        return
    assert fragment.ufrags or fragment.candidates


@given(
    st.frozensets(TOKENS, max_size=2),
    st.lists(CANDIDATES, max_size=2),
    st.lists(SECTIONS),
    st.sampled_from(["\r\n", "\n"]),
)
def test_parsing_returns_what_was_written(
    ufrags: frozenset[str], first: list[str], sections: list[tuple[str | None, list[str]]], end: str
) -> None:
    lines = [f"a=ice-ufrag:{ufrag}" for ufrag in ufrags] + [f"a={each}" for each in first]
    expected: list[tuple[str, str | None]] = [(each, None) for each in first]
    for mid, candidates in sections:
        lines.append("m=video 9 UDP/TLS/RTP/SAVPF 0")
        lines += [] if mid is None else [f"a=mid:{mid}"]
        lines += [f"a={each}" for each in candidates]
        expected += [(each, mid) for each in candidates]
    text = "".join(line + end for line in lines)
    if ufrags or expected:
        assert parse_fragment(text) == Fragment(ufrags, tuple(expected))
    else:
        with pytest.raises(FragmentError):
            parse_fragment(text)


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_user_names_of_all_sections_are_returned(end: str) -> None:
    lines = [
        "v=0",
        "a=ice-ufrag:top",
        "m=audio",
        "a=ice-ufrag:one ",
        "a=ice-pwd:x",
        "m=video",
        "a=ice-ufrag:one",
        "a=x",
    ]
    assert ufrags_of(end.join(lines)) == {"top", "one"}
    assert ufrags_of("") == frozenset()
