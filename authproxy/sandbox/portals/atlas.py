"""PURE: a map of Slovenia as a drawing of 600 by 400 units: its outline, and the position of a point in it.

The border is coarse: good enough for a picture.
"""

from __future__ import annotations

WIDTH, HEIGHT = 600, 400
_WEST, _EAST, _SOUTH, _NORTH = 13.3, 16.7, 45.35, 46.95
# Longitude and latitude, clockwise from the Predil pass, a point every 20 km or so.
_BORDER = (
    (13.38, 46.30),
    (13.44, 46.42),
    (13.70, 46.52),
    (14.15, 46.44),
    (14.43, 46.44),
    (14.57, 46.39),
    (14.87, 46.60),
    (15.05, 46.65),
    (15.45, 46.63),
    (15.65, 46.69),
    (15.85, 46.72),
    (16.02, 46.68),
    (16.00, 46.83),
    (16.11, 46.87),
    (16.34, 46.84),
    (16.37, 46.72),
    (16.52, 46.55),
    (16.60, 46.48),
    (16.30, 46.52),
    (16.25, 46.38),
    (16.05, 46.38),
    (15.78, 46.22),
    (15.65, 46.21),
    (15.60, 46.05),
    (15.70, 45.92),
    (15.68, 45.84),
    (15.45, 45.81),
    (15.30, 45.70),
    (15.37, 45.64),
    (15.35, 45.48),
    (15.22, 45.43),
    (14.93, 45.52),
    (14.68, 45.53),
    (14.60, 45.66),
    (14.42, 45.50),
    (14.10, 45.48),
    (13.90, 45.44),
    (13.60, 45.46),
    (13.57, 45.53),
    (13.72, 45.60),
    (13.90, 45.63),
    (13.80, 45.74),
    (13.60, 45.82),
    (13.62, 45.96),
    (13.48, 46.02),
    (13.63, 46.18),
    (13.40, 46.21),
)


def position(latitude: float, longitude: float) -> tuple[int, int]:
    """Units from the left and from the top."""
    return (
        round((longitude - _WEST) / (_EAST - _WEST) * WIDTH),
        round((_NORTH - latitude) / (_NORTH - _SOUTH) * HEIGHT),
    )


def outline() -> str:
    """The border as the `points` of an SVG polygon."""
    return " ".join(f"{x},{y}" for x, y in (position(latitude, longitude) for longitude, latitude in _BORDER))
