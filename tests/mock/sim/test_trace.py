"""Tests of the sequence diagram of a run: its text, its lifelines and its maximum width."""

from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.sim.trace import WIDTH, WORLD, TraceLine, diagram

SERVER = "odyssey"


def test_small_run_has_the_pinned_diagram() -> None:
    lines = [
        TraceLine(0.0, "client-0", "connect()"),
        TraceLine(0.0, "client-0", "POST /auth/token", SERVER),
        TraceLine(0.0204, SERVER, "200", "client-0"),
        TraceLine(0.5, "client-1", "connect_to_stream()"),
        TraceLine(0.75, WORLD, "cut", details={"between": ["client-0", SERVER], "seconds": 3.5}),
        TraceLine(4.25, SERVER, "session held", details={"session": "ab12"}),
        TraceLine(
            4.25, SERVER, "interactive_stream_error", "client-1", {"reason": "the host of this broadcast has gone"}
        ),
        TraceLine(4.3, "client-0", "hello", "client-1"),
        TraceLine(4.3, "client-1", "GET /", SERVER),
    ]
    # fmt: off
    assert diagram(lines, width=100) == (
        "   seconds  client-0              client-1              odyssey\n"
        "     0.000  | * connect()         |                     |\n"
        "            |------------ POST /auth/token ------------>|\n"
        "     0.020  |<------------------ 200 -------------------|\n"
        "     0.500  |                     | * connect_to_stream()\n"
        '     0.750  == cut (between=["client-0", "odyssey"], seconds=3.5) ==================================\n'
        "            :                     :                     :\n"
        '     4.250  |                     |                     | * session held (session="ab12")\n'
        "            |                     |<--------------------| interactive_stream_error (reason="
        '"the hos…\n'
        "     4.300  |------ hello ------->|                     |\n"
        "            |                     |------ GET / ------->|"
    )
    # fmt: on


def test_diagram_without_lines_is_empty() -> None:
    assert diagram([]) == ""


def test_server_always_has_a_lifeline() -> None:
    assert diagram([TraceLine(1.0, "client", "connect()")]).splitlines()[0].split() == ["seconds", "client", SERVER]


def test_clients_are_in_natural_order_before_the_server() -> None:
    lines = [TraceLine(0.0, who, "x") for who in ("client-10", SERVER, "client-2", "client-1")]
    assert diagram(lines).splitlines()[0].split() == ["seconds", "client-1", "client-2", "client-10", SERVER]


def test_more_clients_get_narrower_columns() -> None:
    count = 9
    lines = [TraceLine(float(n), f"client-{n}", "POST /sessions/token", SERVER) for n in range(count)]
    rows = diagram(lines).splitlines()
    assert max(map(len, rows)) <= WIDTH
    arrows = [row for row in rows if ">" in row]
    starts = [row.rstrip().index("|-") for row in arrows]
    assert starts == sorted(set(starts))
    assert len(arrows) == count
    assert all("POST /sessions/token" in row for row in arrows)


def test_control_characters_are_escaped() -> None:
    said = "a\nb\x1b[2J\u2028c"
    rows = diagram([TraceLine(0.0, "client", said), TraceLine(0.0, WORLD, said)]).splitlines()
    assert [row.partition("a\\nb")[2].partition("c")[0] for row in rows[1:]] == ["\\x1b[2J\\u2028"] * 2
    assert len(rows) == 3


def test_message_to_self_or_world_is_a_note() -> None:
    rows = diagram([TraceLine(0.0, "client", "ping", "client"), TraceLine(0.0, "client", "ping", WORLD)]).splitlines()
    assert [row[12:20] for row in rows[1:]] == ["| * ping"] * 2


names = st.sampled_from([WORLD, SERVER, *(f"client-{n}" for n in range(5))])
texts = st.text(max_size=150)


@given(
    lines=st.lists(
        st.builds(
            TraceLine,
            at=st.floats(0, 99_999),
            who=names,
            what=texts,
            to=st.none() | names,
            details=st.none() | st.dictionaries(texts, st.integers() | texts, max_size=2),
        ),
        max_size=8,
    ),
    width=st.integers(90, 200),
)
def test_any_trace_is_drawn_within_the_width(lines: list[TraceLine], width: int) -> None:
    drawn = diagram(lines, width=width)
    assert all(len(row) <= width for row in drawn.split("\n"))
    assert drawn == diagram(list(lines), width=width)
    rows = [row for row in drawn.split("\n")[1:] if not row[12:].startswith(":")]
    assert len(rows) == len(lines)
