"""The patterns of a drawn animal's fur: stripes, spots, patches, masks and the lion's mane."""

from __future__ import annotations

from random import Random

from zsc.toy.canvas import BLACK, Canvas, Colour, arc, darker, lighter, lobes, mix, smooth


def draw_mane(canvas: Canvas, rng: Random, colour: Colour) -> None:
    """Draw a lion's mane behind its head."""
    number = rng.choice((13, 15, 17))
    canvas.polygon(lobes(0, 0.08, 0.82, 0.86, number, 0.12), darker(colour, 0.2))
    canvas.polygon(lobes(0, 0.04, 0.7, 0.72, number, 0.12), colour)
    canvas.polygon(lobes(0, 0.0, 0.6, 0.6, number - 2, 0.08), lighter(colour, 0.16))


def draw_pattern(
    canvas: Canvas, rng: Random, pattern: str, *, fur: Colour, under: Colour, marks: Colour, wide: float
) -> None:
    """Draw the markings on a head; an unknown or empty name draws none."""
    if pattern in ("tabby", "stripes"):
        _stripes(canvas, pattern, under, marks, wide)
    elif pattern in ("spots", "rosettes"):
        _spots(canvas, rng, pattern, fur=fur, marks=marks, wide=wide)
    elif pattern == "patches":
        _patches(canvas, rng, marks, wide)
    elif pattern == "curls":
        canvas.polygon(lobes(0, -0.5, 0.34, 0.22, 9, 0.18), lighter(fur, 0.12))
        for x in (-0.2, 0.0, 0.2):
            canvas.line(arc(x, -0.5, 0.08, 0.06, 180, 350, 6), marks, 0.025)
    elif pattern == "wrinkles":
        for i in range(3):
            canvas.line(arc(0, -0.12 - 0.1 * i, 0.2, 0.08, 210, 330, 6), mix(fur, marks, 0.5), 0.03)
    else:
        _masks(canvas, pattern, fur=fur, under=under, marks=marks, wide=wide)


def _stripes(canvas: Canvas, pattern: str, under: Colour, marks: Colour, wide: float) -> None:
    thick = 0.06 if pattern == "stripes" else 0.04
    if pattern == "stripes":
        for side in (-1, 1):
            canvas.ellipse(side * 0.34 * wide, 0.3, 0.19, 0.2, under)
            canvas.ellipse(side * 0.22 * wide, -0.22, 0.1, 0.07, under)
    for x in (-0.13, 0.0, 0.13):
        canvas.line([(x, -0.42), (x * 0.6, -0.22)], marks, thick)
    if pattern == "stripes":
        canvas.line([(-0.2, -0.36), (0.2, -0.36)], marks, thick)
    for side in (-1, 1):
        for i in range(4 if pattern == "stripes" else 2):
            y = -0.22 + i * 0.2 if pattern == "stripes" else 0.1 + i * 0.14
            canvas.line([(side * 0.53 * wide, y), (side * 0.36 * wide, y + 0.05)], marks, thick)
        if pattern == "stripes":
            for i in range(3):
                canvas.line([(side * 0.55, 0.85 + i * 0.16), (side * 0.2, 0.8 + i * 0.18)], marks, 0.07)


def _spots(canvas: Canvas, rng: Random, pattern: str, *, fur: Colour, marks: Colour, wide: float) -> None:
    is_leopard = pattern == "rosettes"
    places = [(-0.42, 0.12), (0.42, 0.12), (-0.4, 0.3), (0.4, 0.3), (-0.3, -0.3), (0.3, -0.3), (-0.12, -0.36),
              (0.12, -0.36), (0.0, -0.26), (-0.45, -0.08), (0.45, -0.08), (-0.28, 0.44), (0.28, 0.44),
              (-0.35, 0.85), (0.0, 0.8), (0.3, 0.9), (-0.15, 0.95), (0.45, 0.78), (-0.5, 0.8)]  # fmt: skip
    for near_x, near_y in places if is_leopard else rng.sample(places, 13):
        x, y, r = near_x * wide + rng.uniform(-0.03, 0.03), near_y + rng.uniform(-0.03, 0.03), rng.uniform(0.04, 0.06)
        if is_leopard:
            canvas.ellipse(x, y, r, r * 0.9, marks)
            canvas.ellipse(x, y, r * 0.45, r * 0.4, darker(fur, 0.18))
        else:
            canvas.ellipse(x, y, r * rng.uniform(0.8, 1.5), r, marks, turn=rng.uniform(0, 90))


def _patches(canvas: Canvas, rng: Random, marks: Colour, wide: float) -> None:
    side = rng.choice((-1, 1))
    canvas.polygon(smooth([(side * 0.08, -0.4), (side * 0.42, -0.36), (side * 0.46, 0.1), (side * 0.16, 0.12)]), marks)
    other = mix(marks, BLACK, 0.7 if rng.random() < 0.5 else 0.1)
    canvas.ellipse(-side * 0.36 * wide, -0.22, 0.15, 0.15, other, turn=30)
    canvas.ellipse(-side * 0.2, 0.9, 0.2, 0.14, other)


def _masks(canvas: Canvas, pattern: str, *, fur: Colour, under: Colour, marks: Colour, wide: float) -> None:
    if pattern == "mask":
        canvas.ellipse(0, 0.16, 0.36, 0.34, mix(under, fur, 0.2))
        for side in (-1, 1):
            canvas.polygon(smooth([(side * 0.16, -0.38), (side * 0.45, -0.8), (side * 0.52, -0.2)], 1), marks)
    elif pattern == "blaze":
        canvas.polygon(smooth([(0, -0.46), (0.08, -0.2), (0.3, 0.2), (0.3, 0.5), (0, 0.62),
                               (-0.3, 0.5), (-0.3, 0.2), (-0.08, -0.2)]), under)  # fmt: skip
    elif pattern == "saddle":
        canvas.ellipse(0, 0.22, 0.3, 0.38, mix(under, fur, 0.15))
        canvas.polygon(smooth([(0, -0.3), (0.3, -0.5), (-0.3, -0.5)], 1), mix(marks, fur, 0.3))
    elif pattern in ("cheeks", "wolf"):
        for side in (-1, 1):
            low = [(side * 0.08, 0.16), (side * 0.5 * wide, 0.04), (side * 0.62 * wide, 0.2), (side * 0.3, 0.46)]
            canvas.polygon(smooth([*low, (side * 0.04, 0.6)], 1), under)
            if pattern == "wolf":
                canvas.ellipse(side * 0.2 * wide, -0.2, 0.09, 0.045, under, turn=side * 20)
        if pattern == "wolf":
            canvas.polygon(smooth([(0, -0.1), (0.2, -0.48), (-0.2, -0.48)], 1), mix(marks, fur, 0.3))
