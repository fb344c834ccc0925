"""Video of streams: rendering of frames from a timeline, frame stamps, and encoding once for all receivers."""

from odyssey_mock.media.encoder import Codec, EncoderError, VideoEncoder, VideoPacket
from odyssey_mock.media.picture import PictureError
from odyssey_mock.media.scene import Renderer
from odyssey_mock.media.stamp import FrameStamp, draw_stamp, read_stamp
from odyssey_mock.media.timeline import Change, Moment, Size, Timeline, TimelineError

__all__ = [
    "Change",
    "Codec",
    "EncoderError",
    "FrameStamp",
    "Moment",
    "PictureError",
    "Renderer",
    "Size",
    "Timeline",
    "TimelineError",
    "VideoEncoder",
    "VideoPacket",
    "draw_stamp",
    "read_stamp",
]
