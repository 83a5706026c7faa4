"""A small drawing board in Pillow: flat shapes in coordinates from -1 to 1, turned, scaled and lit as one.

It draws at twice the size that it returns, which smooths the edges, and knows nothing of faces and animals.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from PIL import Image, ImageDraw

Colour = tuple[float, float, float]
Point = tuple[float, float]

_BOARD = 256  # pixels a side; of the finished drawing half as many
_CIRCLE = [(math.cos(a * math.tau / 36), math.sin(a * math.tau / 36)) for a in range(36)]

BLACK: Colour = (25, 22, 24)
WHITE: Colour = (250, 248, 242)


class Canvas:
    """A drawing under way: x goes right, y goes down, both from -1 to 1; `light` multiplies every colour."""

    def __init__(self, light: Colour = (1.0, 1.0, 1.0)) -> None:
        self.light = light
        self.image = Image.new("RGB", (_BOARD, _BOARD))
        self.pen = ImageDraw.Draw(self.image)
        self.place()

    def place(self, angle: float = 0.0, scale: float = 1.0, dx: float = 0.0, dy: float = 0.0) -> None:
        """Turn (degrees), scale and shift everything that is drawn from now on."""
        turn = math.radians(angle)
        half = _BOARD / 2
        self.unit = half * scale
        self.cos, self.sin = self.unit * math.cos(turn), self.unit * math.sin(turn)
        self.x0, self.y0 = half * (1 + dx), half * (1 + dy)

    def polygon(self, points: Iterable[Point], colour: Colour, rounds: int = 0) -> None:
        """Fill the shape with these corners, which are cut off `rounds` times (Chaikin)."""
        shape = list(points)
        for _ in range(rounds):
            shape = [
                (a * p[0] + (1 - a) * q[0], a * p[1] + (1 - a) * q[1])
                for p, q in zip(shape, [*shape[1:], shape[0]], strict=True)
                for a in (0.75, 0.25)
            ]
        self.pen.polygon(self._pixels(shape), fill=self._ink(colour))

    def twins(self, points: Sequence[Point], colour: Colour, rounds: int = 0) -> None:
        """Fill the mirror image of a shape, and the shape; their corners are cut off `rounds` times."""
        for side in (-1, 1):
            self.polygon([(side * x, y) for x, y in points], colour, rounds)

    def ellipse(self, x: float, y: float, rx: float, ry: float, colour: Colour, *, turn: float = 0.0) -> None:
        """Fill an ellipse around (x, y), itself turned by `turn` degrees."""
        self.polygon(oval(x, y, rx, ry, turn), colour)

    def pair(self, x: float, y: float, rx: float, ry: float, colour: Colour, *, turn: float = 0.0) -> None:
        """Fill an ellipse around (-x, y) and its mirror image around (x, y)."""
        self.ellipse(-x, y, rx, ry, colour, turn=-turn)
        self.ellipse(x, y, rx, ry, colour, turn=turn)

    def line(self, points: Iterable[Point], colour: Colour, width: float) -> None:
        """Draw a line of a width with round corners and ends."""
        pixels, ink = self._pixels(points), self._ink(colour)
        thick = max(1, round(width * self.unit))
        self.pen.line(pixels, fill=ink, width=thick, joint="curve" if len(pixels) > 2 else None)
        if thick > 3:
            r = thick / 2 - 0.5
            for x, y in (pixels[0], pixels[-1]):
                self.pen.ellipse((x - r, y - r, x + r, y + r), fill=ink)

    def rectangle(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """Fill an upright rectangle (turned as the whole drawing is)."""
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], colour)

    def finish(self) -> Image.Image:
        """Return the drawing, 128 pixels a side."""
        return self.image.reduce(2)

    def _pixels(self, points: Iterable[Point]) -> list[Point]:
        c, s, x0, y0 = self.cos, self.sin, self.x0, self.y0
        return [(x0 + c * x - s * y, y0 + s * x + c * y) for x, y in points]

    def _ink(self, colour: Colour) -> tuple[int, int, int]:
        r, g, b = (min(255, max(0, round(v * f))) for v, f in zip(colour, self.light, strict=True))
        return r, g, b


def oval(x: float, y: float, rx: float, ry: float, turn: float = 0.0) -> list[Point]:
    """List the corners of an ellipse around (x, y), turned by `turn` degrees."""
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    return [(x + rx * c * cos - ry * s * sin, y + rx * c * sin + ry * s * cos) for c, s in _CIRCLE]


def arc(  # noqa: PLR0917
    x: float, y: float, rx: float, ry: float, start: float, stop: float, steps: int = 10
) -> list[Point]:
    """List points along an ellipse from `start` to `stop` degrees; 0 is right, 90 is down."""
    angles = (math.radians(start + (stop - start) * i / steps) for i in range(steps + 1))
    return [(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles]


def lobes(x: float, y: float, rx: float, ry: float, number: int, depth: float) -> list[Point]:  # noqa: PLR0917
    """List the corners of an ellipse with `number` bumps: curls, manes, clouds."""
    angles = [math.tau * i / (number * 5) for i in range(number * 5)]
    radii = [1 + depth * abs(math.sin(a * number / 2)) for a in angles]
    return [(x + rx * r * math.cos(a), y + ry * r * math.sin(a)) for a, r in zip(angles, radii, strict=True)]


def rounded(x: float, y: float, rx: float, ry: float, corner: float = 0.35) -> list[Point]:
    """List the corners of a rectangle with rounded corners around (x, y); `corner` is a share of the short side."""
    r = corner * min(rx, ry)
    corners = ((rx - r, ry - r, 0), (r - rx, ry - r, 90), (r - rx, r - ry, 180), (rx - r, r - ry, 270))
    return [point for cx, cy, start in corners for point in arc(x + cx, y + cy, r, r, start, start + 90, 3)]


def mirrored(points: Sequence[Point]) -> list[Point]:
    """Complete a right half, listed from top to bottom, with its mirror image."""
    return [*points, *((-x, y) for x, y in reversed(points))]


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """Mix two colours; `share` is the other's."""
    r, g, b = (a + (o - a) * share for a, o in zip(one, other, strict=True))
    return r, g, b


def darker(colour: Colour, by: float = 0.2) -> Colour:
    """Mix a colour with black."""
    return mix(colour, BLACK, by)


def lighter(colour: Colour, by: float = 0.2) -> Colour:
    """Mix a colour with white."""
    return mix(colour, WHITE, by)
