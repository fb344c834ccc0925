"""Which frames decode by themselves because somebody asked, told by a model that keeps every request."""

from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.media.keyframes import Keyframes

REQUESTS = st.lists(st.sampled_from(["want", "lost", "skip", "frame"]), max_size=80)


def test_the_first_frame_is_one_and_the_next_are_none() -> None:
    keyframes = Keyframes(gap=3)
    assert [keyframes.take(slot) for slot in range(5)] == [True, False, False, False, False]


@given(st.integers(0, 12), REQUESTS)
def test_who_begins_is_served_at_once_and_who_lost_a_picture_as_soon_as_the_gap_allows(
    gap: int, requests: list[str]
) -> None:
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
def test_however_many_complain_in_every_frame_the_gap_is_kept(gap: int, many: int) -> None:
    keyframes = Keyframes(gap)
    made = []
    for slot in range(60):
        for _ in range(many):
            keyframes.lost()
        if keyframes.take(slot):
            made.append(slot)
    assert made == list(range(0, 60, gap))
