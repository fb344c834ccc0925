from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.impairment.network_path import HEADERS, NetworkPath
from odyssey_mock.impairment.profile import TRAFFIC, Impairment, TrafficKind

SEEDS = st.text(max_size=8)
KINDS: st.SearchStrategy[TrafficKind] = st.sampled_from(TRAFFIC)
SENT = st.lists(st.tuples(KINDS, st.integers(1, 1500), st.floats(0, 0.1)), max_size=60)
"""Packets: kind, size, and seconds since the previous one."""


def losses(impairment: Impairment, seed: str, packets: int, kind: TrafficKind = "media") -> list[bool]:
    path = NetworkPath(impairment, seed)
    return [not path.datagram(kind, 1000, number / 100, number / 100) for number in range(packets)]


def runs(lost: Sequence[bool]) -> list[int]:
    """Return the lengths of the runs of lost packets."""
    text = "".join("x" if each else " " for each in lost)
    return [len(each) for each in text.split()]


def test_unimpaired_path_delivers_at_once() -> None:
    path = NetworkPath(Impairment(), "")
    assert path.datagram("media", 1200, 5.0, 5.0) == (5.0,)
    assert path.message("signaling", 1200, 6.0) == 6.0


@given(SEEDS, st.floats(0.05, 0.5))
def test_random_loss_has_its_rate(seed: str, loss: float) -> None:
    lost = losses(Impairment(loss=loss), seed, 500)
    # Six standard deviations of the binomial distribution
    assert abs(sum(lost) / 500 - loss) < 6 * (loss * (1 - loss) / 500) ** 0.5


@pytest.mark.parametrize(("loss", "burst"), [(0.05, 3), (0.1, 8), (0.3, 2)])
def test_bursts_have_their_loss_and_length(loss: float, burst: float) -> None:
    lost = losses(Impairment(loss=loss, loss_burst=burst), "seed", 20_000)
    lengths = runs(lost)
    assert abs(sum(lost) / 20_000 - loss) < 0.2 * loss, f"expected a loss near {loss}, got {sum(lost) / 20_000}"
    mean = sum(lengths) / len(lengths)
    assert abs(mean - burst) < 0.2 * burst, f"expected bursts of about {burst} packets, got {mean}"


def test_independent_losses_have_short_bursts() -> None:
    lengths = runs(losses(Impairment(loss=0.1), "seed", 10_000))
    assert 1.05 < sum(lengths) / len(lengths) < 1.2  # 1 / (1 - loss) = 1.11


@given(SEEDS)
def test_everything_is_lost_with_loss_1(seed: str) -> None:
    assert all(losses(Impairment(loss=1, loss_burst=2), seed, 50))


def test_expected_packets_are_lost() -> None:
    path = NetworkPath(Impairment(loss=0.1), "7")
    for number in range(100):
        path.datagram("media", 1000, number / 100, 0.0)
    assert [*path.counts["media"].lost_numbers] == [12, 49, 52, 64, 74, 89, 99]


@given(SEEDS, SENT, SENT, st.sampled_from([None, 3.0]))
def test_losses_depend_only_on_seed_and_number(
    seed: str,
    sent: list[tuple[TrafficKind, int, float]],
    other: list[tuple[TrafficKind, int, float]],
    burst: float | None,
) -> None:
    """Other traffic, sizes, times and further impairments change nothing."""
    alone = NetworkPath(Impairment(loss=0.3, loss_burst=burst), seed)
    mixed = NetworkPath(Impairment(loss=0.3, loss_burst=burst, delay=0.1, jitter=0.1, reorder=0.5, duplicate=0.5), seed)
    media = [each for each in [*sent, *other] if each[0] == "media"]
    for _, size, _ in media:
        alone.datagram("media", size, 0.0, 0.0)
    now = 0.0
    for kind, size, later in [*sent, *other]:
        now += later
        mixed.datagram(kind, size + 1, now, now)
    assert mixed.counts["media"].lost_numbers == alone.counts["media"].lost_numbers


@given(SEEDS, SENT)
def test_jitter_keeps_order_and_stays_in_its_range(seed: str, sent: list[tuple[TrafficKind, int, float]]) -> None:
    path = NetworkPath(Impairment(delay=0.1, jitter=0.05), seed)
    now = latest = 0.0
    for kind, size, later in sent:
        now += later
        (due,) = path.datagram(kind, size, now, now)
        assert due >= latest
        # A packet that waits for an earlier one is at most as late as that one.
        assert now + 0.05 - 1e-9 <= due <= max(latest, now + 0.15 + 1e-9)
        latest = due


def test_reordered_packets_overtake_delayed_ones() -> None:
    path = NetworkPath(Impairment(delay=0.1, reorder=0.25), "seed")
    delays = [round(path.datagram("media", 1000, number / 100, 0.0)[0] - number / 100, 6) for number in range(1000)]
    assert set(delays) == {0.0, 0.1}
    assert 200 < delays.count(0.0) < 300


def test_duplicates_have_their_rate() -> None:
    path = NetworkPath(Impairment(duplicate=0.2), "seed")
    copies = [len(path.datagram("media", 1000, number / 100, 0.0)) for number in range(1000)]
    assert set(copies) == {1, 2}
    assert 150 < copies.count(2) < 250


@given(SEEDS, SENT, st.floats(10e3, 10e6), st.floats(0.01, 1))
def test_rate_and_queue_are_bounds(
    seed: str, sent: list[tuple[TrafficKind, int, float]], rate: float, queue: float
) -> None:
    path = NetworkPath(Impairment(rate=rate, queue=queue), seed)
    now = end = 0.0
    bits = dropped = 0
    for kind, size, later in sent:
        now += later
        due = path.datagram(kind, size, now, now)
        if not due:
            dropped += 1
            assert end - now > queue, "a packet was dropped although the queue was not full"
            continue
        bits += (size + HEADERS) * 8
        end = due[0]
        own = (size + HEADERS) * 8 / rate
        assert now + own - 1e-9 <= end <= now + queue + own + 1e-9
    assert bits <= end * rate * (1 + 1e-9) + 1e-6, "more bits were delivered than the rate permits"
    assert dropped == sum(each.dropped for each in path.counts.values())


def test_rate_delays_packets_one_after_the_other() -> None:
    path = NetworkPath(Impairment(rate=8000, queue=3), "")
    assert [path.datagram("media", 1000 - HEADERS, 0.0, 0.0) for _ in range(5)] == [(1.0,), (2.0,), (3.0,), (4.0,), ()]


def test_nothing_passes_during_a_silence() -> None:
    path = NetworkPath(Impairment(silence=20, silence_after=10, silence_every=60), "")
    passed = [bool(path.datagram("stun", 100, float(second), float(second))) for second in range(100)]
    assert passed == [True] * 10 + [False] * 20 + [True] * 40 + [False] * 20 + [True] * 10


def test_single_silence_does_not_repeat() -> None:
    impairment = Impairment(silence=20, silence_after=10)
    assert [impairment.silence_left(elapsed) for elapsed in (9, 10, 15, 29.5, 30, 1000)] == [0, 20, 15, 0.5, 0, 0]


@given(SEEDS, st.lists(st.tuples(st.integers(1, 5000), st.floats(0, 0.5)), max_size=30), st.floats(0, 1))
def test_messages_of_reliable_connections_arrive_in_order(
    seed: str, sent: list[tuple[int, float]], loss: float
) -> None:
    path = NetworkPath(Impairment(loss=loss, delay=0.05, jitter=0.05, rate=1e6, reorder=0.5, duplicate=0.5), seed)
    now = latest = 0.0
    for size, later in sent:
        now += later
        due = path.message("signaling", size, now)
        assert due >= max(now, latest)
        latest = due


def test_lost_message_is_sent_again_after_retransmission_timeout() -> None:
    path = NetworkPath(Impairment(loss=1), "")
    # 0.2 s, doubled five times: 0.2 + 0.4 + 0.8 + 1.6 + 3.2 + 6.4
    assert round(path.message("signaling", 100, 0.0), 6) == 12.6
    counts = path.counts["signaling"]
    assert (counts.packets, counts.lost, counts.lost_numbers) == (1, 1, [1])


@given(SEEDS, st.floats(0, 0.9), st.integers(0, 30))
def test_late_messages_are_the_lost_ones(seed: str, loss: float, messages: int) -> None:
    """Each message counts once, however often TCP sends it again. A minute later, no message waits for it."""
    path = NetworkPath(Impairment(loss=loss), seed)
    late = [number for number in range(1, messages + 1) if path.message("signaling", 100, number * 60.0) > number * 60]
    assert path.counts["signaling"].lost_numbers == late
    assert path.counts["signaling"].lost == len(late)


@given(SEEDS, st.floats(0, 1))
def test_messages_hold_up_no_other_kinds(seed: str, loss: float) -> None:
    mixed = NetworkPath(Impairment(loss=loss, delay=0.05), seed)
    without = NetworkPath(Impairment(loss=loss, delay=0.05), seed)
    for number in range(20):
        now = number / 100
        mixed.message("signaling", 100, now)
        assert mixed.datagram("media", 1000, now, now) == without.datagram("media", 1000, now, now)
        assert mixed.message("data_channels", 100, now) == without.message("data_channels", 100, now)


def test_datagrams_pass_a_lost_message() -> None:
    path = NetworkPath(Impairment(loss=0.3, delay=0.05), "8")
    assert round(path.message("signaling", 100, 0.0), 6) == 0.35  # lost once: 0.3 s late
    assert path.datagram("media", 1000, 0.01, 0.01) == (0.01 + 0.05,)
