"""The encoders of one stream: each frame is encoded once per codec in use, for any number of receivers."""

from collections import Counter
from collections.abc import Collection, Mapping
from types import MappingProxyType

import av

from odyssey_mock.media.encoder import Codec, VideoEncoder, VideoPacket
from odyssey_mock.media.timeline import Size


class Encoders:
    """The encoders of one stream, one per codec, created on first use. Not thread-safe.

    Args:
        size: size of every frame.
        fps: frames per second.
        bitrate: maximum bits per second of each encoder; None: the codec's default.
    """

    def __init__(self, size: Size, fps: int, bitrate: int | None) -> None:
        self.size = size
        self._fps = fps
        self._bitrate = bitrate
        self._encoders: dict[Codec, VideoEncoder] = {}
        self._earlier: Counter[Codec] = Counter()
        """Number of frames that were encoded before the latest call of `rest`, by codec."""

    @property
    def frames(self) -> Mapping[Codec, int]:
        """Number of frames encoded so far, by codec; also available after `close`."""
        now = {codec: encoder.frames for codec, encoder in self._encoders.items()}
        return MappingProxyType({codec: self._earlier[codec] + now.get(codec, 0) for codec in {**self._earlier, **now}})

    def encode(
        self, frame: av.VideoFrame, index: int, codecs: Collection[Codec], *, keyframe: bool
    ) -> Mapping[Codec, VideoPacket]:
        """Encode `frame` as frame `index` in each of `codecs`, and return the packets by codec.

        The first packet in a codec is a key frame, even if `keyframe` is false.

        Raises:
            EncoderError: the frame has another size or pixel format, `index` is not above the previous one, or the
                encoders are closed.
        """
        return {codec: self._encoder(codec).encode(frame, index, keyframe=keyframe) for codec in codecs}

    def are_open(self, codecs: Collection[Codec]) -> bool:
        """Return whether frames were already encoded in all of `codecs`, so that no encoder must be created."""
        return all(codec in self._encoders for codec in codecs)

    def rest(self) -> None:
        """Free the encoders until the next frame, which will be a key frame."""
        self._earlier.update({codec: encoder.frames for codec, encoder in self._encoders.items()})
        self.close()
        self._encoders.clear()

    def close(self) -> None:
        """Free the encoders. A second call has no effect."""
        for encoder in self._encoders.values():
            encoder.close()

    def _encoder(self, codec: Codec) -> VideoEncoder:
        if codec not in self._encoders:
            self._encoders[codec] = VideoEncoder(codec, self.size, self._fps, self._bitrate)
        return self._encoders[codec]
