"""Tests of which frames become key frames, compared with a simple model."""

from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.media.keyframes import Keyframes

REQUESTS = st.lists(st.sampled_from(["want", "lost", "skip", "frame"]), max_size=80)


def test_only_the_first_frame_is_a_key_frame() -> None:
    keyframes = Keyframes(gap=3)
    assert [keyframes.take(slot) for slot in range(5)] == [True, False, False, False, False]


@given(st.integers(0, 12), REQUESTS)
def test_gap_applies_to_losses_only(gap: int, requests: list[str]) -> None:
    keyframes = Keyframes(gap)
    wanted, lost, slot, last = True, False, 0, -gap
    for request in requests:
        match request:
            case "want":
                keyframes.want()
                wanted = True
            case "lost":
                keyframes.lost()
                lost = True
            case "skip":
                slot += 5
            case "frame":
                made = keyframes.take(slot)
                assert made == (wanted or (lost and slot - last >= gap))
                if made:
                    wanted = lost = False
                    last = slot
                slot += 1


@given(st.integers(1, 12), st.integers(1, 5))
def test_gap_is_kept_for_any_number_of_losses(gap: int, many: int) -> None:
    keyframes = Keyframes(gap)
    made = []
    for slot in range(60):
        for _ in range(many):
            keyframes.lost()
        if keyframes.take(slot):
            made.append(slot)
    assert made == list(range(0, 60, gap))
