"""ICC profiles for tests, written by the specification (ICC.1:2010)."""

import struct

import numpy as np

_D50 = (0.9642, 1.0, 0.8249)
_SRGB_CURVE = struct.pack(
    ">4s4xHH5i", b"para", 3, 0, *(round(each * 65536) for each in (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))
)

P3_TO_SRGB = np.array([[1.22494, -0.22494, 0], [-0.04206, 1.04206, 0], [-0.01964, -0.07864, 1.09827]])
"""The matrix from linear Display P3 to linear sRGB; both have the white point D65 and the same curve."""


def _xyz(*values: float) -> bytes:
    return struct.pack(">4s4x3i", b"XYZ ", *(round(value * 65536) for value in values))


def _gamma(value: float) -> bytes:
    return struct.pack(">4s4xIH", b"curv", 1, round(value * 256))


def profile(space: bytes, tags: dict[bytes, bytes], *, kind: bytes = b"mntr", pcs: bytes = b"XYZ ") -> bytes:
    """Return a profile for the color space `space` with these tags."""
    table, body = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        body += bytes(-len(body) % 4)
        table += struct.pack(">4sII", name, start + len(body), len(data))
        body += data
    size = start + len(body)
    header = struct.pack(">I4xI4s4s4s12x4s28x", size, 0x02400000, kind, space, pcs, b"acsp")
    header += struct.pack(">3i", *(round(value * 65536) for value in _D50))
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def rgb_profile(red: bytes, green: bytes, blue: bytes, curve: bytes, padding: int = 0) -> bytes:
    """Return a profile for RGB with these primaries; a private tag of `padding` bytes makes it larger."""
    tags = {b"wtpt": _xyz(*_D50), b"rXYZ": red, b"gXYZ": green, b"bXYZ": blue}
    tags |= {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}
    return profile(b"RGB ", tags | ({b"zzzz": b"data" + bytes(padding)} if padding else {}))


def display_p3(padding: int = 0) -> bytes:
    red, green, blue = (0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407)
    return rgb_profile(_xyz(*red), _xyz(*green), _xyz(*blue), _SRGB_CURVE, padding)


def adobe_rgb() -> bytes:
    red, green, blue = (0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)
    return rgb_profile(_xyz(*red), _xyz(*green), _xyz(*blue), _gamma(2.19921875))


def linear_gray() -> bytes:
    """Return a gray profile with gamma 1."""
    return profile(b"GRAY", {b"wtpt": _xyz(*_D50), b"kTRC": _gamma(1)})


def red_cyan() -> bytes:
    """Return a CMYK profile that shows cyan ink alone as red, no ink as white, and every other combination as black."""
    identity = [65536 if each % 4 == 0 else 0 for each in range(9)]
    ramp = bytes(range(256))
    red, white, black = (138, 208, 195), (255, 128, 128), (0, 128, 128)  # CIELAB: L of 0..255, a and b plus 128
    corners = [white if inks == 0 else red if inks == 0b1000 else black for inks in range(16)]  # bits: C, M, Y, K
    table = struct.pack(">4s4x4B9i", b"mft1", 4, 3, 2, 0, *identity)
    table += 4 * ramp + bytes(value for corner in corners for value in corner) + 3 * ramp
    return profile(b"CMYK", {b"wtpt": _xyz(*_D50), b"A2B0": table}, kind=b"prtr", pcs=b"Lab ")


def p3_in_srgb(color: tuple[int, int, int]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the sRGB color of a Display P3 color, both as levels of 0..255."""
    encoded = np.array(color) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    converted = (P3_TO_SRGB @ linear).clip(0, 1)
    shown: np.ndarray[tuple[int], np.dtype[np.float64]]
    shown = 255 * np.where(converted <= 0.0031308, 12.92 * converted, 1.055 * converted ** (1 / 2.4) - 0.055)
    return shown
