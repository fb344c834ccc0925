"""How the frames of a stream look apart from their prompts and their start image."""

from dataclasses import dataclass

from odyssey_mock.settings import Fonts, Overlay, Settings


@dataclass(frozen=True, slots=True)
class Look:
    """The settings of a stream's frames.

    Attributes:
        overlay: what is drawn over the picture: `full` is a panel with the prompt, and the stamp; `stamp` is only the
            stamp; `none` is nothing.
        fonts: the fonts of the panel's text: `machine` includes the fonts of this machine; `bundled` is only the font
            of Pillow, so that frames are the same on every machine.
    """

    overlay: Overlay = "full"
    fonts: Fonts = "bundled"

    @property
    def has_panel(self) -> bool:
        """Whether a panel shows the prompt."""
        return self.overlay == "full"

    @property
    def has_stamp(self) -> bool:
        """Whether frames carry a stamp."""
        return self.overlay != "none"


def look_of(settings: Settings) -> Look:
    """Return the look of the streams of a mock with these settings."""
    return Look(overlay=settings.overlay, fonts=settings.fonts)
