"""Tests that a stream is encoded once per requested codec and frame."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.media.encoder import Codec, EncoderError
from odyssey_mock.media.encoders import Encoders
from odyssey_mock.media.scene import Renderer
from odyssey_mock.media.timeline import Size, Timeline

SIZE = Size(88, 160)
RENDERER = Renderer(Timeline(tag=1, size=SIZE, prompt="A cat"))

CODECS: Mapping[str, Codec] = {"h264": "h264", "vp8": "vp8"}


@given(st.lists(st.tuples(st.sets(st.sampled_from(sorted(CODECS))), st.booleans()), max_size=12))
def test_each_frame_is_encoded_once_per_codec(frames: list[tuple[set[str], bool]]) -> None:
    encoders = Encoders(SIZE, 20, None)
    seen: dict[Codec, int] = {}
    for index, (names, keyframe) in enumerate(frames):
        codecs = {CODECS[name] for name in names}
        packets = encoders.encode(RENDERER.render(index), index, codecs, keyframe=keyframe)
        assert set(packets) == codecs
        for codec, packet in packets.items():
            assert packet.pts == index
            assert packet.is_keyframe or (codec in seen and not keyframe)
            seen[codec] = seen.get(codec, 0) + 1
    assert encoders.frames == seen
    encoders.close()
    assert encoders.frames == seen, f"expected the frame counts {seen} unchanged after close(), got {encoders.frames}"


def test_closed_encoders_reject_frames() -> None:
    encoders = Encoders(SIZE, 20, None)
    encoders.encode(RENDERER.render(0), 0, {"h264"}, keyframe=True)
    encoders.close()
    encoders.close()
    with pytest.raises(EncoderError, match="expected an open encoder"):
        encoders.encode(RENDERER.render(1), 1, {"h264"}, keyframe=False)
