"""Excerpts of JSON that a client sent, for the journal."""

from odyssey_mock.core.strict_json import JSON, items_in

SHOWN_ITEMS = 5_000
"""Maximum number of values in the JSON that the journal shows. Recording 5,000 values takes about 10 ms."""
SHOWN_STRING = 64 << 10
"""Number of characters of a string that the journal shows."""
SHOWN_IMAGE = 64
"""Number of characters of a `data:` URL that the journal shows."""


def excerpt(text: str | bytes | bytearray, value: JSON) -> JSON:
    """Return `value`, parsed from the JSON in `text`, with shortened strings; an object with its size if it is large.

    Recording a value costs much more time than parsing it.
    """
    if items_in(text) > SHOWN_ITEMS:
        unit = "characters" if isinstance(text, str) else "bytes"
        return {"omitted": f"{len(text)} {unit} of JSON with more than {SHOWN_ITEMS} values"}
    return shortened(value)


def shortened(value: JSON) -> JSON:
    """Return a copy of `value` in which long strings and images are cut."""
    match value:
        case str() if value.startswith("data:"):
            return value[:SHOWN_IMAGE]
        case str() if len(value) > SHOWN_STRING:
            return f"{value[:SHOWN_STRING]}... and {len(value) - SHOWN_STRING} characters more"
        case list():
            return [shortened(each) for each in value]
        case dict():
            return {key[:SHOWN_STRING]: shortened(each) for key, each in value.items()}
        case _:
            return value
