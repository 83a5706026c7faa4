"""Hair and beards of the drawn people."""

from __future__ import annotations

from random import Random

from zsc.toy.canvas import Canvas, Colour, arc, darker, lighter, lobes, mirrored, mix, oval, smooth

HAIR: dict[str, Colour] = {
    "black": (38, 32, 34), "brown": (104, 68, 44), "blond": (226, 188, 112), "red": (184, 86, 42),
    "grey": (150, 150, 152), "white": (228, 226, 222),
}  # fmt: skip


def draw_hair_behind(canvas: Canvas, style: str, colour: Colour) -> None:
    """Draw what lies behind the head and neck."""
    back = darker(colour, 0.14)
    if style == "long":
        canvas.polygon(smooth(mirrored([(0.0, -0.62), (0.5, -0.46), (0.56, 0.2), (0.5, 0.86), (0.3, 0.9)])), back)
    elif style == "wavy":
        for side in (-1, 1):
            for i in range(5):
                canvas.ellipse(side * (0.42 + 0.05 * (i % 2)), -0.2 + i * 0.23, 0.19, 0.2, back)
    elif style == "bob":
        canvas.polygon(smooth(mirrored([(0.0, -0.64), (0.5, -0.5), (0.56, 0.1), (0.52, 0.46), (0.2, 0.5)])), back)
    elif style == "bun":
        canvas.ellipse(0, -0.66, 0.21, 0.19, colour)
        canvas.line(arc(0, -0.66, 0.12, 0.1, 200, 340, 6), back, 0.02)
    elif style == "ponytail":
        canvas.polygon(smooth([(0.2, -0.6), (0.62, -0.42), (0.68, 0.2), (0.54, 0.62), (0.46, 0.1), (0.4, -0.3)]), back)
    elif style == "afro":
        canvas.polygon(lobes(0, -0.22, 0.57, 0.53, 13, 0.1), colour)
    elif style == "curly":
        canvas.polygon(lobes(0, -0.16, 0.47, 0.47, 10, 0.14), back)


def draw_hair(canvas: Canvas, rng: Random, style: str, colour: Colour, wide: float) -> None:
    """Draw what lies on the head; a part, a fringe or curls."""
    if style == "bald":
        canvas.polygon(oval(-0.12, -0.4, 0.08, 0.035, -25), (255, 244, 232))
        return
    shine = lighter(colour, 0.16)
    w = wide * 1.08
    if style in ("curly", "afro"):
        canvas.polygon(lobes(0, -0.44, w * 0.98, 0.17, 8, 0.3), colour)
        for x in (-0.22, 0.02, 0.24):
            canvas.line(arc(x, -0.5, 0.07, 0.05, 190, 340, 5), shine, 0.022)
        return
    if style == "spiky":
        spikes = [(-w, -0.12)]
        for i in range(7):
            x = -w + (i + 0.5) * w / 3.5
            spikes += [(x, -0.72 - 0.1 * (1 - abs(x) / w)), (x + w / 7, -0.4 - 0.14 * (1 - abs(x) / w))]
        spikes[-1] = (w, -0.12)
        canvas.polygon([*spikes, (w * 0.86, -0.3), (0, -0.36), (-w * 0.86, -0.3)], colour)
        return
    side = rng.choice((-1, 1))
    low = rng.uniform(-0.36, -0.28)
    if style in ("short", "parted"):
        top = -0.6 if style == "short" else -0.66
        line = [(-w, -0.06), (-w * 1.03, -0.34), (-w * 0.7, top), (0, top - 0.05), (w * 0.7, top), (w * 1.03, -0.34)]
        fringe = [(w, -0.06), (w * 0.86, -0.26), (side * w * 0.45, low - 0.08), (-w * 0.2, low), (-w * 0.86, -0.26)]
    else:
        line = [(-w, 0.12), (-w * 1.08, -0.3), (-w * 0.75, -0.62), (0, -0.68), (w * 0.75, -0.62), (w * 1.08, -0.3)]
        part = side * w * rng.uniform(0.0, 0.45)
        fringe = [(w, 0.12), (w * 0.88, -0.16), (w * 0.5, low), (part, -0.44), (-w * 0.5, low), (-w * 0.88, -0.16)]
    canvas.polygon(smooth([*line, *fringe], 1), colour)
    canvas.line(arc(side * 0.06, -0.4, w * 0.6, 0.17, 215, 300, 6), shine, 0.03)


def draw_beard(canvas: Canvas, beard: str, colour: Colour, skin: Colour, *, wide: float, tall: float) -> None:
    """Draw a beard, a moustache, a goatee or stubble."""
    hair = darker(colour, 0.08)
    if beard in ("beard", "stubble"):
        colour = hair if beard == "beard" else mix(skin, hair, 0.28)
        low = tall * 1.12 if beard == "beard" else tall * 0.99
        half = [(wide * 0.62, 0.13), (wide * 1.02, 0.02), (wide * 1.04, tall * 0.4), (wide * 0.74, low * 0.86)]
        canvas.polygon(smooth([*mirrored([(0.06, 0.17), *half, (wide * 0.3, low)])], 1), colour)
        canvas.ellipse(0, 0.25, 0.17, 0.07, skin if beard == "beard" else colour)
    if beard == "goatee":
        canvas.polygon(oval(0, tall * 0.8, 0.12, 0.13), hair)
    if beard in ("moustache", "goatee", "beard"):
        for side in (-1, 1):
            canvas.polygon(oval(side * 0.085, 0.165, 0.105, 0.036, side * 14), hair)
