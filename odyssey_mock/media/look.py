"""`Look`: which panel and stamp are drawn over the picture of a stream's frames, and in which fonts."""

from dataclasses import dataclass

from odyssey_mock.settings import Fonts, Overlay, Settings


@dataclass(frozen=True, slots=True)
class Look:
    """What is drawn over the picture of a stream's frames, and in which fonts.

    Attributes:
        overlay: what is drawn over the picture. `full`: a panel with the prompt, and the stamp; `stamp`: only the
            stamp; `none`: nothing.
        fonts: the fonts of the panel's text. `machine`: Pillow's font and the fonts of this machine; `bundled`: only
            Pillow's font, so that frames are the same on every machine.
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
