"""Tests of `EndedOrder`."""

from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.core.ended_order import EndedOrder

steps = st.lists(st.tuples(st.sampled_from(["begin", "end", "drop", "drop oldest"]), st.integers(0, 20)), max_size=60)


@given(steps)
def test_oldest_ended_record_matches_a_simple_model(steps: list[tuple[str, int]]) -> None:
    order, begun, ended = EndedOrder(), list[str](), dict[str, int]()
    for number, (step, place) in enumerate(steps):
        running = [key for key in begun if key not in ended]
        if step == "begin":
            begun.append(f"{number}")
            order.begin(f"{number}")
        elif step == "end" and running:
            key = running[place % len(running)]
            ended[key] = place
            order.end(key, place)
        elif step == "drop" and begun:
            key = begun.pop(place % len(begun))
            ended.pop(key, None)
            order.drop(key)
        elif step == "drop oldest" and (oldest := order.oldest) is not None:
            begun.remove(oldest)
            del ended[oldest]
            order.drop(oldest)
        assert order.oldest == next((key for key in begun if key in ended), None)
        assert (len(order), order.bytes) == (len(ended), sum(ended.values()))


def test_dropped_records_take_no_memory() -> None:
    order = EndedOrder()
    order.begin("oldest")
    order.end("oldest")
    for number in range(1000):
        order.begin(f"{number}")
        order.end(f"{number}")
        order.drop(f"{number}")

    assert len(order._heap) < 20
