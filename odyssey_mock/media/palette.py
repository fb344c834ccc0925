"""Choice of a scene from prompts. Tables map words to hour, land and weather; a hash of the prompt chooses the rest."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from odyssey_mock.media.canvas import Color, mix
from odyssey_mock.media.hash_noise import fraction

type Hour = Literal["day", "dawn", "sunset", "night"]
type Land = Literal["hills", "mountains", "forest", "desert", "sea", "city", "space"]
type Weather = Literal["clear", "clouds", "snow", "rain"]


def _by_word[T: str](table: Mapping[T, str]) -> dict[str, T]:
    return {word: meaning for meaning, words in table.items() for word in words.split()}


_HOURS: Mapping[str, Hour] = _by_word(
    {
        "day": "day daylight noon midday afternoon sunny bright summer",
        "dawn": "dawn sunrise morning daybreak pink spring pastel",
        "sunset": "sunset sunsets sets dusk evening twilight golden orange autumn fire lava volcano mars",
        "night": "night nights nighttime midnight dark moon moonlight moonlit moonrise stars starry neon "
        "lantern lanterns",
    }
)
_LANDS: Mapping[str, Land] = _by_word(
    {
        "hills": "hill hills meadow meadows field fields grass garden farm valley village park countryside "
        "cat dog horse",
        "mountains": "mountain mountains alps alpine peak peaks cliff cliffs volcano glacier ice arctic castle temple",
        "forest": "forest forests wood woods tree trees jungle pine pines fox deer bear wolf elf",
        "desert": "desert deserts dune dunes sand sandy sahara canyon cactus camel pyramid pyramids mars",
        "sea": "sea seas ocean oceans lake beach coast island islands water wave waves harbour harbor boat ship "
        "fish river whale",
        "city": "city cities town street streets skyline skyscraper skyscrapers tokyo paris london york building "
        "buildings neon cyberpunk car cars robot robots",
        "space": "space galaxy galaxies planet planets cosmos cosmic nebula alien aliens orbit astronaut "
        "astronauts spaceship",
    }
)
_WEATHERS: Mapping[str, Weather] = _by_word(
    {
        "clear": "clear cloudless sunny",
        "clouds": "cloud clouds cloudy overcast fog foggy mist misty sky dragon balloon",
        "snow": "snow snowy snowfall snowing winter blizzard ice christmas",
        "rain": "rain rainy raining rainfall storm stormy thunderstorm drizzle",
    }
)

_FAIR: tuple[Weather, ...] = ("clear", "clouds")


@dataclass(frozen=True, slots=True)
class Scenery:
    """The scene to paint.

    Attributes:
        hour, land, weather: the time of day, the landscape and the weather of the scene.
        seed: determines the shapes of the scene, and is the same throughout a stream.
        accent: color of details such as balloons and the caption's label; changes with each interaction.
    """

    hour: Hour
    land: Land
    weather: Weather
    seed: str
    accent: Color

    @property
    def body(self) -> tuple[float, float]:
        """Position of the sun or moon, as shares (0 to 1) of the frame's width and height."""
        low = {"day": 0.16, "night": 0.17, "dawn": 0.4, "sunset": 0.42}[self.hour]
        return 0.26 + 0.48 * fraction("body", self.seed), low + 0.05 * fraction("height", self.seed)


@dataclass(frozen=True, slots=True)
class Light:
    """The light at one time of day: the colors of the sky and of the sun or moon, and how much other colors show."""

    zenith: Color
    middle: Color
    horizon: Color
    strength: float
    body: Color


LIGHTS: Mapping[Hour, Light] = {
    "day": Light((52, 120, 200), (120, 182, 232), (218, 238, 246), 1.0, (255, 250, 224)),
    "dawn": Light((74, 92, 158), (222, 152, 176), (255, 218, 178), 0.72, (255, 240, 214)),
    "sunset": Light((46, 38, 96), (206, 88, 96), (255, 188, 104), 0.55, (255, 232, 170)),
    "night": Light((8, 12, 34), (20, 32, 76), (58, 78, 130), 0.24, (240, 242, 250)),
}

ACCENTS: tuple[Color, ...] = (
    (255, 138, 76),
    (255, 203, 82),
    (120, 214, 140),
    (92, 200, 236),
    (150, 150, 255),
    (255, 132, 176),
)


def scenery(prompts: tuple[str, ...]) -> Scenery:
    """Choose the scenery of a stream from its prompts, oldest first.

    Words of later prompts override words of earlier prompts. After "a sea at sunset", the prompt "make it snow" changes
    only the weather.
    """
    start = prompts[0]
    words = [word for prompt in reversed(prompts) for word in _spoken(prompt)]
    return Scenery(
        hour=_first(words, _HOURS) or _chosen(get_args(Hour.__value__), "hour", start),
        land=_first(words, _LANDS) or _chosen(get_args(Land.__value__), "land", start),
        weather=_first(words, _WEATHERS) or _chosen(_FAIR, "weather", start),
        seed=start,
        # Each prompt advances by 1 to len(ACCENTS) - 1 colors, so successive interactions never have the same color.
        accent=ACCENTS[
            sum(1 + int(fraction("accent", prompt) * (len(ACCENTS) - 1)) for prompt in prompts) % len(ACCENTS)
        ],
    )


def lit(color: Color, light: Light, haze: float = 0.0) -> Color:
    """Return `color` as it looks in `light`; `haze` (0 to 1) is the share of the horizon's color in the result."""
    shade = mix(light.zenith, color, light.strength)
    return mix((shade[0] * 0.96, shade[1] * 0.96, shade[2] * 0.98), light.horizon, haze)


def _spoken(prompt: str) -> list[str]:
    # Prompts may be very long; only the beginning is used.
    return re.findall(r"\w+", prompt[:2000].lower())


def _first[T: str](words: list[str], table: Mapping[str, T]) -> T | None:
    return next((table[word] for word in words if word in table), None)


def _chosen[T: str](choices: tuple[T, ...], what: str, prompt: str) -> T:
    return choices[int(fraction(what, prompt) * len(choices))]
