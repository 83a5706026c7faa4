"""A small drawing board in Pillow, and backgrounds: flat shapes from -1 to 1, at twice the size for smooth edges."""

import math
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Colour = Sequence[float]  # red, green, blue, up to 255
Point = tuple[float, float]

_BOARD = 256  # pixels a side; of the finished drawing half as many
_CIRCLE = [(math.cos(a * math.tau / 36), math.sin(a * math.tau / 36)) for a in range(36)]

BLACK: Colour = (25, 22, 24)
WHITE: Colour = (250, 248, 242)


class Canvas:
    """A drawing under way: x goes right, y goes down, both from -1 to 1; `light` multiplies every colour.

    With `masks` a shape is filled with the number of its part, not its colour. `states` keeps where the chances of each
    part begin; in a second drawing that is given them each part begins there again.
    """

    def __init__(self, *, masks: bool = False, states: dict[str, Any] | None = None) -> None:
        self.light: Colour = (1.0, 1.0, 1.0)
        self.states = states
        self.image = Image.new("L" if masks else "RGB", (_BOARD, _BOARD))
        self.pen = ImageDraw.Draw(self.image)
        self.numbers: dict[str, int] = {}  # of the parts that were begun
        self.begin("background")
        self.place()

    def begin(self, part: str, rng: Random | None = None) -> None:
        """Name the part that is drawn from now on; `rng` is what its chances come from."""
        self.number = self.numbers.setdefault(part, len(self.numbers))
        if rng is not None and self.states is not None:
            rng.setstate(self.states.setdefault(part, rng.getstate()))

    def paint(self, rng: Random, place: str) -> None:
        """Paint a place of `PLACES`, or a wall by its colour in `WALLS`."""
        if place in PLACES:
            PLACES[place](self, rng)
        else:
            _wall(self, rng, place)

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

    def masks(self) -> dict[str, NDArray[np.bool_]]:
        """Return which pixels of the drawing show something of each part, shape (128, 128) each; edges are shared."""
        board = np.asarray(self.image)
        quarters = np.stack([board[i::2, j::2] for i in (0, 1) for j in (0, 1)])
        return {part: (quarters == number).any(axis=0) for part, number in self.numbers.items()}

    def _pixels(self, points: Iterable[Point]) -> list[Point]:
        c, s, x0, y0 = self.cos, self.sin, self.x0, self.y0
        return [(x0 + c * x - s * y, y0 + s * x + c * y) for x, y in points]

    def _ink(self, colour: Colour) -> int | tuple[int, ...]:
        if self.image.mode == "L":
            return self.number
        return tuple(min(255, max(0, round(v * f))) for v, f in zip(colour, self.light, strict=True))


def oval(x: float, y: float, rx: float, ry: float, turn: float = 0.0) -> list[Point]:
    """List the corners of an ellipse around (x, y), turned by `turn` degrees."""
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    return [(x + rx * c * cos - ry * s * sin, y + rx * c * sin + ry * s * cos) for c, s in _CIRCLE]


def arc(x: float, y: float, rx: float, ry: float, start: float, stop: float, steps: int = 10) -> list[Point]:  # noqa: PLR0917
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
    return [a + (o - a) * share for a, o in zip(one, other, strict=True)]


def darker(colour: Colour, by: float = 0.2) -> Colour:
    """Mix a colour with black."""
    return mix(colour, BLACK, by)


def lighter(colour: Colour, by: float = 0.2) -> Colour:
    """Mix a colour with white."""
    return mix(colour, WHITE, by)


# Backgrounds: plain and banded walls, rooms, and landscapes. Each says in words what it is, for the captions.

WALLS: dict[str, Colour] = {
    "white": (238, 235, 228), "grey": (172, 174, 178), "blue": (120, 164, 208), "light blue": (186, 216, 235),
    "green": (140, 184, 140), "yellow": (240, 212, 122), "pink": (236, 184, 190), "red": (190, 92, 84),
    "purple": (164, 140, 190), "beige": (222, 204, 176), "dark": (66, 68, 78), "orange": (232, 164, 100),
}  # fmt: skip
SKY: Colour = (172, 212, 238)


def _vary(colour: Colour, rng: Random) -> Colour:
    return [v * rng.uniform(0.92, 1.06) for v in colour]


def _wall(canvas: Canvas, rng: Random, name: str) -> None:
    colour = _vary(WALLS[name], rng)
    canvas.rectangle(-2, -2, 2, 2, colour)
    other = (lighter if rng.random() < 0.5 else darker)(colour, rng.uniform(0.08, 0.22))
    kind = rng.random()
    if kind < 0.25:
        for i in range(8):
            canvas.rectangle(-2, -1 + i * 2 / 8, 2, 2, mix(colour, other, i / 8 * 1.6))
    elif kind < 0.4:
        gap = rng.uniform(0.25, 0.45)
        for i in range(-6, 7):
            canvas.rectangle(i * gap, -2, (i + 0.5) * gap, 2, other)
    elif kind < 0.55:
        for _ in range(7):
            x, y, r = rng.uniform(-1.1, 1.1), rng.uniform(-1.1, 1.1), rng.uniform(0.08, 0.3)
            canvas.ellipse(x, y, r, r, other)
    elif kind < 0.68:
        x, y = rng.choice((-0.75, 0.75)), rng.uniform(-0.8, -0.4)
        canvas.rectangle(x - 0.26, y - 0.26, x + 0.26, y + 0.26, darker(other, 0.4))
        canvas.rectangle(x - 0.2, y - 0.2, x + 0.2, y + 0.2, lighter(_vary(SKY, rng), 0.2))


def _meadow(canvas: Canvas, rng: Random) -> None:
    horizon = rng.uniform(-0.2, 0.45)
    canvas.rectangle(-2, -2, 2, 2, _vary(SKY, rng))
    for _ in range(rng.randrange(3)):
        canvas.polygon(lobes(rng.uniform(-1, 1), rng.uniform(-0.9, -0.4), 0.28, 0.12, 6, 0.25), WHITE)
    green = _vary((122, 170, 84), rng)
    canvas.ellipse(rng.uniform(-0.6, 0.6), horizon + 0.55, 1.9, 0.7, darker(green, 0.15))
    canvas.rectangle(-2, horizon + 0.25, 2, 2, green)
    petals = rng.choice(((245, 200, 70), (240, 120, 140), WHITE))
    for _ in range(rng.choice((0, 0, 9))):
        canvas.ellipse(rng.uniform(-1, 1), rng.uniform(horizon + 0.35, 1), 0.04, 0.04, petals)


def _forest(canvas: Canvas, rng: Random) -> None:
    green = _vary((88, 128, 82), rng)
    canvas.rectangle(-2, -2, 2, 2, lighter(green, 0.3))
    for _ in range(5):
        x, w = rng.uniform(-1.1, 1.1), rng.uniform(0.05, 0.12)
        canvas.rectangle(x - w, -2, x + w, 2, _vary((112, 84, 62), rng))
    for _ in range(5):
        shape = lobes(rng.uniform(-1.1, 1.1), rng.uniform(-1.2, -0.6), 0.4, 0.3, 8, 0.2)
        canvas.polygon(shape, darker(green, rng.uniform(0, 0.3)))
    canvas.rectangle(-2, rng.uniform(0.5, 0.8), 2, 2, darker(green, 0.25))


def _snow(canvas: Canvas, rng: Random) -> None:
    sky = _vary((184, 200, 216), rng)
    canvas.rectangle(-2, -2, 2, 2, sky)
    canvas.ellipse(-0.7, 0.8, 1.2, 0.9, lighter(sky, 0.5))
    canvas.ellipse(0.9, 0.9, 1.3, 0.8, lighter(sky, 0.75))
    for _ in range(16):
        canvas.ellipse(rng.uniform(-1, 1), rng.uniform(-1, 1), 0.03, 0.03, WHITE)


def _savanna(canvas: Canvas, rng: Random) -> None:
    canvas.rectangle(-2, -2, 2, 2, _vary((244, 206, 146), rng))
    canvas.ellipse(rng.uniform(-0.9, 0.9), rng.uniform(-0.9, -0.5), 0.2, 0.2, (252, 236, 176))
    tree = rng.choice((-0.8, 0.8))
    canvas.rectangle(tree - 0.03, -0.2, tree + 0.03, 0.5, (110, 84, 58))
    canvas.polygon(lobes(tree, -0.25, 0.34, 0.12, 7, 0.2), (112, 130, 70))
    canvas.rectangle(-2, rng.uniform(0.25, 0.5), 2, 2, _vary((206, 172, 98), rng))


def _sofa(canvas: Canvas, rng: Random) -> None:
    _wall(canvas, rng, rng.choice(("white", "beige", "light blue", "grey")))
    colour = _vary(rng.choice(((150, 90, 84), (92, 124, 150), (130, 140, 98), (196, 160, 112))), rng)
    top = rng.uniform(-0.35, 0.1)
    canvas.polygon([(-2, 2), *arc(0, top + 0.3, 1.25, 0.3, 180, 360), (2, 2)], colour)
    canvas.rectangle(-2, 0.7, 2, 2, darker(colour, 0.15))


def _beach(canvas: Canvas, rng: Random) -> None:
    canvas.rectangle(-2, -2, 2, 2, _vary(SKY, rng))
    canvas.rectangle(-2, rng.uniform(-0.2, 0.1), 2, 2, _vary((86, 152, 184), rng))
    canvas.rectangle(-2, rng.uniform(0.4, 0.7), 2, 2, _vary((232, 212, 164), rng))


PLACES = {"meadow": _meadow, "forest": _forest, "snow": _snow, "savanna": _savanna, "sofa": _sofa, "beach": _beach}
