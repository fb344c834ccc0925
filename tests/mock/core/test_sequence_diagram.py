"""Tests of sequence diagrams: their text, their lifelines and their maximum width."""

from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.core.sequence_diagram import WIDTH, DiagramEvent, diagram, natural_order

SERVER = "odyssey"
WORLD = "world"
"""A participant without a column."""


def test_small_run_has_the_pinned_diagram() -> None:
    events = [
        DiagramEvent(0.0, "client-0", "connect()"),
        DiagramEvent(0.0, "client-0", "POST /auth/token", SERVER),
        DiagramEvent(0.0204, SERVER, "200", "client-0"),
        DiagramEvent(0.5, "client-1", "connect_to_stream()"),
        DiagramEvent(0.75, WORLD, "cut", details={"between": ["client-0", SERVER], "seconds": 3.5}),
        DiagramEvent(4.25, SERVER, "session held", details={"session": "ab12"}),
        DiagramEvent(
            4.25, SERVER, "interactive_stream_error", "client-1", {"reason": "the host of this broadcast has gone"}
        ),
        DiagramEvent(4.3, "client-0", "hello", "client-1"),
        DiagramEvent(4.3, "client-1", "GET /", SERVER),
    ]
    # fmt: off
    assert diagram(events, ["client-0", "client-1", SERVER], width=100) == (
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
    assert diagram([], [SERVER]) == ""


def test_columns_without_events_have_a_lifeline() -> None:
    assert diagram([DiagramEvent(1.0, "client", "connect()")], ["client", SERVER]) == (
        "   seconds  client                                odyssey\n     1.000  | * connect()                         |"
    )


def test_numbers_in_names_are_ordered_as_numbers() -> None:
    assert sorted(["client-10", "odyssey", "client-2", "client-1"], key=natural_order) == [
        "client-1",
        "client-2",
        "client-10",
        "odyssey",
    ]


def test_more_clients_get_narrower_columns() -> None:
    count = 9
    events = [DiagramEvent(float(n), f"client-{n}", "POST /sessions/token", SERVER) for n in range(count)]
    rows = diagram(events, [*(f"client-{n}" for n in range(count)), SERVER]).splitlines()
    assert max(map(len, rows)) <= WIDTH
    arrows = [row for row in rows if ">" in row]
    starts = [row.rstrip().index("|-") for row in arrows]
    assert starts == sorted(set(starts))
    assert len(arrows) == count
    assert all("POST /sessions/token" in row for row in arrows)


def test_control_characters_are_escaped() -> None:
    said = "a\nb\x1b[2J\u2028c"
    rows = diagram([DiagramEvent(0.0, who, said) for who in ("client", WORLD)], ["client", SERVER]).splitlines()
    assert [row.partition("a\\nb")[2].partition("c")[0] for row in rows[1:]] == ["\\x1b[2J\\u2028"] * 2
    assert len(rows) == 3


def test_message_to_self_or_world_is_a_note() -> None:
    events = [DiagramEvent(0.0, "client", "ping", to) for to in ("client", WORLD)]
    rows = diagram(events, ["client", SERVER]).splitlines()
    assert [row[12:20] for row in rows[1:]] == ["| * ping"] * 2


columns = [*(f"client-{n}" for n in range(5)), SERVER]
names = st.sampled_from([WORLD, *columns])
texts = st.text(max_size=150)


@given(
    events=st.lists(
        st.builds(
            DiagramEvent,
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
def test_any_diagram_is_within_the_width(events: list[DiagramEvent], width: int) -> None:
    drawn = diagram(events, columns, width=width)
    assert all(len(row) <= width for row in drawn.split("\n"))
    assert drawn == diagram(list(events), columns, width=width)
    rows = [row for row in drawn.split("\n")[1:] if not row[12:].startswith(":")]
    assert len(rows) == len(events)
