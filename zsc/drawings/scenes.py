"""Backgrounds: plain and banded walls, rooms, and landscapes. Each says in words what it is, for the captions."""

from __future__ import annotations

from random import Random

from zsc.drawings.canvas import WHITE, Canvas, Colour, arc, darker, lighter, lobes, mix

WALLS: dict[str, Colour] = {
    "white": (238, 235, 228), "grey": (172, 174, 178), "blue": (120, 164, 208), "light blue": (186, 216, 235),
    "green": (140, 184, 140), "yellow": (240, 212, 122), "pink": (236, 184, 190), "red": (190, 92, 84),
    "purple": (164, 140, 190), "beige": (222, 204, 176), "dark": (66, 68, 78), "orange": (232, 164, 100),
}  # fmt: skip
SKY: Colour = (172, 212, 238)


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


def paint(canvas: Canvas, rng: Random, place: str) -> None:
    """Paint a place of `PLACES`, or a wall by its colour in `WALLS`."""
    if place in PLACES:
        PLACES[place](canvas, rng)
    else:
        _wall(canvas, rng, place)


def _vary(colour: Colour, rng: Random) -> Colour:
    r, g, b = (v * rng.uniform(0.92, 1.06) for v in colour)
    return r, g, b
