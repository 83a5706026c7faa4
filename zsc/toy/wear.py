"""What the drawn people wear: clothes, hats and glasses."""

from __future__ import annotations

from random import Random

from zsc.toy.canvas import BLACK, WHITE, Canvas, Colour, arc, darker, lighter, mirrored, mix, oval, rounded, smooth

CLOTHES = {
    "man": ("shirt", "t-shirt", "sweater", "suit", "hoodie"),
    "woman": ("blouse", "t-shirt", "sweater", "dress", "hoodie"),
}
DYES: dict[str, Colour] = {
    "white": (236, 234, 228), "black": (50, 48, 54), "blue": (64, 104, 172), "red": (188, 58, 54),
    "green": (72, 134, 88), "yellow": (232, 188, 66), "purple": (122, 84, 150), "grey": (140, 144, 150),
}  # fmt: skip


def draw_clothes(canvas: Canvas, rng: Random, kind: str, colour: str, skin: Colour) -> None:
    """Draw shoulders in a garment of a colour."""
    dye = DYES[colour]
    shade = darker(dye, 0.25)
    half = [(0.13, 0.56), (0.3, 0.6), (0.72, 0.7), (0.88, 0.98), (0.92, 1.6)]
    canvas.polygon(smooth(mirrored(half), 1), dye)
    if kind in ("t-shirt", "dress", "blouse"):
        deep = 0.13 if kind == "t-shirt" else 0.22
        canvas.polygon(arc(0, 0.56, 0.2, deep, 0, 180, 8), darker(skin, 0.06))
        if kind == "dress":
            for _ in range(12):
                canvas.ellipse(rng.uniform(-0.7, 0.7), rng.uniform(0.82, 1.0), 0.03, 0.03, lighter(dye, 0.6))
    elif kind == "sweater":
        canvas.polygon(rounded(0, 0.58, 0.22, 0.07, 0.9), shade)
        for i in range(rng.choice((0, 3))):
            canvas.rectangle(-0.85, 0.76 + i * 0.13, 0.85, 0.81 + i * 0.13, lighter(dye, 0.4))
    elif kind == "hoodie":
        canvas.polygon(smooth(mirrored([(0.2, 0.48), (0.42, 0.62), (0.16, 0.78)]), 1), shade)
        for side in (-1, 1):
            canvas.line([(side * 0.08, 0.72), (side * 0.09, 0.95)], WHITE, 0.025)
    else:
        inner = WHITE if kind == "suit" else darker(skin, 0.06)
        canvas.polygon([(-0.16, 0.53), (0.16, 0.53), (0, 0.98 if kind == "suit" else 0.76)], inner)
        if kind == "suit":
            tie = rng.choice(((170, 36, 44), (40, 66, 130), (36, 36, 40)))
            canvas.polygon([(-0.045, 0.6), (0.045, 0.6), (0.06, 1.2), (-0.06, 1.2)], tie)
        for side in (-1, 1):
            lapel = [(side * 0.15, 0.5), (side * 0.3, 0.6), (side * 0.2, 0.8), (0, 0.98 if kind == "suit" else 0.76)]
            canvas.polygon(lapel, darker(dye, 0.15) if kind == "suit" else lighter(dye, 0.3))


def draw_hat(canvas: Canvas, kind: str, *, hair: str, hair_colour: Colour, colour: str, wide: float) -> None:
    """Draw a cap, a beanie or a straw hat, with some hair below it."""
    dye = mix(DYES[colour], (90, 70, 60), 0.2)
    if hair != "bald":
        for side in (-1, 1):
            canvas.ellipse(side * wide * 0.96, -0.18, 0.07, 0.16, hair_colour)
    if kind == "straw hat":
        straw: Colour = (226, 194, 124)
        canvas.polygon(arc(0, -0.3, wide * 0.95, 0.42, 180, 360, 12), straw)
        canvas.rectangle(-wide * 0.93, -0.42, wide * 0.93, -0.3, dye)
        canvas.ellipse(0, -0.3, wide * 1.7, 0.09, darker(straw, 0.08))
    elif kind == "cap":
        canvas.polygon(arc(0, -0.26, wide * 1.07, 0.38, 180, 360, 12), dye)
        canvas.polygon(oval(0.12, -0.27, wide * 1.05, 0.075), darker(dye, 0.3))
    else:
        canvas.polygon(arc(0, -0.24, wide * 1.09, 0.46, 180, 360, 12), dye)
        canvas.polygon(rounded(0, -0.27, wide * 1.12, 0.085, 0.8), lighter(dye, 0.25))
        canvas.ellipse(0, -0.72, 0.09, 0.09, lighter(dye, 0.35))


def draw_glasses(canvas: Canvas, rng: Random, kind: str, colour: Colour, *, apart: float, wide: float) -> None:
    """Draw glasses of a kind: rims, bridge and temples, and dark lenses for sunglasses."""
    y, x = -0.06 + rng.uniform(-0.01, 0.015), apart + 0.012
    width = {"thin": 0.026, "round": 0.038, "square": 0.042, "thick": 0.07, "sunglasses": 0.04}[kind]
    is_round = kind == "round" or (kind in ("thin", "sunglasses") and rng.random() < 0.5)
    rx = rng.uniform(0.145, 0.165) if kind != "thin" else rng.uniform(0.135, 0.155)
    ry = rx * (rng.uniform(0.92, 1.0) if is_round else rng.uniform(0.7, 0.82))
    for side in (-1, 1):
        rim = oval(side * x, y, rx, ry) if is_round else rounded(side * x, y, rx, ry, 0.45)
        if kind == "sunglasses":
            canvas.polygon(rim, mix(BLACK, colour, 0.2))
            canvas.polygon(
                [(side * x - 0.07, y - 0.06), (side * x, y - 0.06), (side * x - 0.05, y + 0.02)], (96, 98, 108)
            )
        elif rng.random() < 0.5:
            glint = [(side * x + 0.03, y - ry * 0.6), (side * x + 0.07, y - ry * 0.6), (side * x + 0.02, y - ry * 0.1)]
            canvas.polygon(glint, WHITE)
        canvas.ring(rim, colour, width)
        canvas.line([(side * (x + rx), y - 0.02), (side * (wide + 0.02), y - 0.045)], colour, max(width * 0.8, 0.03))
    canvas.line(arc(0, y, max(x - rx, 0.02), 0.04, 180, 360, 5), colour, max(width * 0.8, 0.03))
