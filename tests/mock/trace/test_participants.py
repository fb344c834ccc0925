"""Tests of the participants of a trace, and of pairs of records of one message."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from odyssey_client.trace import TraceEvent
from odyssey_mock.trace.participants import Participants, copies, pairs
from tests.support.traces import OTHER_SESSION, SESSION, event, exchange, failed_events, message


def paired(*events: TraceEvent) -> list[tuple[TraceEvent, TraceEvent]]:
    return [(events[sent], events[received]) for sent, received in pairs(events).items()]


def test_columns_are_test_clients_and_server() -> None:
    assert Participants(failed_events()).columns == ("test", "client", "client 1", "client 2", "server")


def test_hosts_of_a_simulated_test_are_participants() -> None:
    events = [
        event(0, "call", "connect", actor="client-10"),
        event(0, "call", "connect", actor="client-2"),
        event(1, "state", "session connected", "server", actor="odyssey"),
    ]
    assert Participants(events).columns == ("client-2", "client-10", "odyssey")


def test_event_of_a_session_belongs_to_its_client() -> None:
    known = [event(0, "call", "connect", actor=name, session=session) for name, session in (("a", "1"), ("b", "2"))]
    sent = event(1, "channel", "x", "server", session="2", sender="server")
    unknown = event(1, "log", "INFO", actor=None, session="1")
    participants = Participants([*known, sent, unknown])
    assert participants.ends(sent) == ("server", "b")
    assert participants.of(unknown) == "a"


def test_unnamed_event_belongs_to_the_only_client() -> None:
    unnamed = event(1, "log", "INFO", actor=None)
    assert Participants([event(0, "call", "connect"), unnamed]).of(unnamed) == "client 1"


def test_server_event_about_a_client_stays_there() -> None:
    sent = event(1, "channel", "x", "server", actor="client 1", sender="client")
    assert Participants([event(0, "call", "connect"), sent]).ends(sent) == ("client 1", "server")


def test_equal_content_decides_which_messages_are_one() -> None:
    lost, sent = (message(at, "channel", "interact", "client", "client", prompt=str(at)) for at in (1, 2))
    arrived = message(3, "channel", "interact", "client", "server", prompt="2")
    assert paired(lost, sent, arrived) == [(sent, arrived)]


def test_messages_of_different_sessions_are_different() -> None:
    sent = message(1, "channel", "interact", "client", "client")
    other = event(2, "channel", "interact", "server", session=OTHER_SESSION, sender="client", data=sent.data)
    assert paired(sent, other) == []


def test_unknown_session_and_shortened_content_match() -> None:
    sent = event(1, "channel", "interact", sender="client", data={"message": {"prompt": "a cat"}})
    arrived = event(2, "channel", "interact", "server", session=SESSION, sender="client", data={"message": {}})
    assert paired(sent, arrived) == [(sent, arrived)]


def test_message_cannot_arrive_before_it_is_sent() -> None:
    sent = message(2, "channel", "interact", "client", "client")
    arrived = message(1, "channel", "interact", "client", "server")
    assert paired(arrived, sent) == []


def test_candidate_has_two_names() -> None:
    sent = event(1, "sdp", "candidate", sender="client", session=SESSION, data={"candidate": "x"})
    arrived = message(1.1, "sdp", "ice_candidate", "client", "server")
    assert paired(sent, arrived) == [(sent, arrived)]


def test_exchange_is_paired_with_the_server_record() -> None:
    sent = exchange(1, "GET /x", 2, 200)
    assert paired(sent, event(1.9, "http", "GET /x", "server")) != []
    assert paired(sent, event(1.9, "http", "GET /y", "server")) == []


def test_exchange_is_paired_by_its_path() -> None:
    data = {"method": "GET", "url": "/ping/eu"}
    arrived = event(1.9, "http", "GET /ping/{region}", "server", data=data)
    assert paired(exchange(1, "GET /ping/us", 2, 200), arrived) == []
    assert paired(exchange(1, "GET /ping/eu", 2, 200), arrived) != []


def test_description_that_is_also_a_message_counts_once() -> None:
    message_of_client = message(1.1, "signaling", "offer", "server", "client", sdp="v=0")
    copy = event(1.2, "sdp", "offer", sender="server", session=SESSION, data={"sdp": "v=0"})
    sent = message(1, "sdp", "offer", "server", "server", sdp="v=0")
    assert copies([sent, message_of_client, copy, copy]) == {2}
    assert paired(sent, message_of_client, copy) == [(sent, message_of_client)]


recorded = st.builds(
    event,
    st.integers(0, 5),
    st.sampled_from(["channel", "signaling"]),
    st.sampled_from(["a", "b"]),
    st.sampled_from(["client", "server"]),
    sender=st.sampled_from(["client", "server"]),
    session=st.sampled_from([None, SESSION, OTHER_SESSION]),
    data=st.fixed_dictionaries({"message": st.sampled_from([{}, {"x": 1}])}),
)


@given(st.lists(recorded, max_size=12))
def test_each_record_is_in_one_pair_at_most(events: Sequence[TraceEvent]) -> None:
    found = pairs(events)
    assert len({*found, *found.values()}) == 2 * len(found)
    for sent, received in ((events[sent], events[received]) for sent, received in found.items()):
        assert (sent.lane, sent.name, sent.sender) == (received.lane, received.name, received.sender)
        assert sent.side == sent.sender != received.side
        assert sent.session == received.session or None in {sent.session, received.session}
