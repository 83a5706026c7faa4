"""The parts of a drawn animal's face: head, ears, eyes, snout and collar."""

from __future__ import annotations

from random import Random

from zsc.toy.canvas import BLACK, WHITE, Canvas, Colour, Point, arc, darker, lighter, lobes, mirrored, mix, smooth

_PINK: Colour = (226, 150, 146)
_HEADS: dict[str, list[Point]] = {  # right halves, from top to bottom
    "cat": [(0.0, -0.44), (0.34, -0.42), (0.54, -0.1), (0.56, 0.2), (0.36, 0.46), (0.1, 0.52)],
    "big cat": [(0.0, -0.48), (0.36, -0.44), (0.54, -0.1), (0.56, 0.24), (0.36, 0.52), (0.14, 0.62)],
    "dog": [(0.0, -0.52), (0.36, -0.46), (0.48, -0.1), (0.44, 0.24), (0.3, 0.54), (0.12, 0.62)],
    "pug": [(0.0, -0.48), (0.4, -0.44), (0.54, -0.06), (0.54, 0.28), (0.36, 0.52), (0.12, 0.56)],
    "fox": [(0.0, -0.4), (0.36, -0.38), (0.52, -0.04), (0.66, 0.16), (0.3, 0.42), (0.1, 0.62)],
    "wolf": [(0.0, -0.48), (0.34, -0.46), (0.5, -0.08), (0.64, 0.22), (0.38, 0.46), (0.16, 0.66)],
}
_SNOUTS: dict[str, tuple[float, float, float]] = {  # half width and height of the muzzle, height of the nose
    "cat": (0.17, 0.13, 0.13), "big cat": (0.25, 0.2, 0.14), "dog": (0.23, 0.23, 0.14), "pug": (0.28, 0.22, 0.1),
    "fox": (0.13, 0.2, 0.34), "wolf": (0.19, 0.25, 0.25),
}  # fmt: skip
_EYES: dict[str, tuple[float, float, float]] = {  # half distance, height, size
    "cat": (0.235, -0.06, 0.115), "big cat": (0.225, -0.1, 0.078), "dog": (0.19, -0.1, 0.08),
    "pug": (0.26, -0.05, 0.11), "fox": (0.23, 0.0, 0.075), "wolf": (0.2, -0.08, 0.07),
}  # fmt: skip
_COLLARS: dict[str, Colour] = {"red": (200, 48, 48), "blue": (52, 96, 180), "green": (62, 140, 84)}


def draw_head(canvas: Canvas, head: str, fur: Colour, wide: float) -> None:
    """Draw the bare head in the colour of the fur."""
    canvas.polygon(smooth(mirrored([(x * wide, y) for x, y in _HEADS[head]])), fur)


def draw_ears(canvas: Canvas, ears: str, fur: Colour, marks: Colour, wide: float) -> None:
    """Draw the ears: those that stand lie behind the head, those that hang before it."""
    inner, back = mix(fur, _PINK, 0.55), darker(fur, 0.16)
    for side in (-1, 1):
        s = side * wide
        if ears == "cat":
            canvas.polygon(smooth([(s * 0.12, -0.36), (s * 0.46, -0.86), (s * 0.56, -0.12), (s * 0.3, -0.1)], 1), back)
            canvas.polygon(smooth([(s * 0.24, -0.36), (s * 0.44, -0.72), (s * 0.48, -0.24)], 1), inner)
        elif ears == "pointed":
            canvas.polygon(smooth([(s * 0.1, -0.34), (s * 0.4, -0.92), (s * 0.54, -0.1), (s * 0.3, -0.1)], 1), marks)
            canvas.polygon(smooth([(s * 0.24, -0.34), (s * 0.39, -0.74), (s * 0.46, -0.22)], 1), mix(inner, WHITE, 0.3))
        elif ears == "round":
            canvas.ellipse(s * 0.42, -0.44, 0.19, 0.19, darker(mix(fur, marks, 0.35), 0.1))
            canvas.ellipse(s * 0.41, -0.41, 0.11, 0.11, lighter(inner, 0.25))
        elif ears == "small":
            canvas.polygon(smooth([(s * 0.28, -0.5), (s * 0.62, -0.44), (s * 0.56, -0.04), (s * 0.42, -0.2)], 1), marks)
        elif ears == "folded":
            fold = [(s * 0.14, -0.42), (s * 0.46, -0.72), (s * 0.66, -0.24), (s * 0.44, -0.3)]
            canvas.polygon(smooth(fold, 1), marks)
        elif ears == "floppy front":
            hang = [(s * 0.26, -0.52), (s * 0.54, -0.44), (s * 0.68, 0.1), (s * 0.58, 0.34), (s * 0.44, 0.16)]
            canvas.polygon(smooth(hang), mix(darker(fur, 0.12), marks, 0.6))
        elif ears == "curly front":
            canvas.polygon(lobes(s * 0.54, 0.0, 0.17, 0.34, 8, 0.18), marks)


def draw_eyes(canvas: Canvas, rng: Random, head: str, *, colour: Colour, mood: str, wide: float) -> None:
    """Draw two eyes that look somewhere, open or sleepy."""
    apart, y, r = _EYES[head]
    look, has_slit = rng.uniform(-0.015, 0.015), head == "cat" and rng.random() < 0.6
    for side in (-1, 1):
        x = side * apart * wide
        if mood == "sleepy":
            canvas.line(arc(x, y - 0.01, r, r * 0.55, 15, 165, 8), BLACK, 0.035)
            continue
        canvas.ellipse(x, y, r * 1.22, r * 1.14, BLACK, turn=side * 18)
        canvas.ellipse(x, y, r, r * 0.96, colour)
        canvas.ellipse(x + look, y, r * (0.3 if has_slit else 0.58), r * (0.85 if has_slit else 0.58), BLACK)
        canvas.ellipse(x + look + r * 0.28, y - r * 0.32, r * 0.24, r * 0.24, WHITE)


def draw_snout(canvas: Canvas, rng: Random, head: str, *, fur: Colour, under: Colour, mood: str) -> None:
    """Draw muzzle, nose, mouth and, for cats, whiskers."""
    rx, ry, nose = _SNOUTS[head]
    y = nose + ry * 0.8
    is_cat = head in ("cat", "big cat")
    if mood == "happy":
        canvas.ellipse(0, y + ry * 0.7, rx * 0.62, ry * 0.85, (96, 40, 44))
        canvas.ellipse(0, y + ry * 0.95, rx * 0.42, ry * 0.6, (232, 110, 118))
    if head in ("fox", "wolf"):
        canvas.ellipse(0, y - ry * 0.2, rx, ry, mix(under, fur, 0.12))
        canvas.polygon([(-rx * 0.75, -0.1), (rx * 0.75, -0.1), (rx * 0.4, nose), (-rx * 0.4, nose)], fur)
    else:
        for side in (-1, 1):
            canvas.ellipse(side * rx * 0.48, y, rx * 0.62, ry * 0.78, under)
        canvas.ellipse(0, y - ry * 0.3, rx * 0.7, ry * 0.8, under)
    dark = mix(under, BLACK, 0.7) if sum(under) > 300 else (20, 18, 20)
    tip, size = nose + 0.07, 0.085 if head in ("cat", "fox") else 0.12
    canvas.line([(0, tip), (0, y + ry * 0.3)], dark, 0.025)
    if mood != "happy":
        for side in (-1, 1):
            canvas.line(arc(side * rx * 0.36, y + ry * 0.2, rx * 0.36, ry * 0.3, 10, 170, 6), dark, 0.025)
    colour = rng.choice(((214, 130, 128), (150, 84, 80))) if is_cat else (34, 30, 32)
    canvas.polygon(smooth([(-size, nose - 0.03), (size, nose - 0.03), (0, nose + size * 0.95)], 2), colour)
    if not is_cat:
        canvas.ellipse(-0.02, nose, 0.03, 0.015, (120, 116, 120))
        return
    for side in (-1, 1):
        for i in (-1, 0, 1):
            end = (side * (rx + 0.42), y - 0.04 + i * 0.1)
            canvas.line([(side * rx * 0.7, y - 0.02 + i * 0.04), end], lighter(under, 0.6), 0.012)


def draw_collar(canvas: Canvas, colour: str) -> None:
    """Draw a collar with a tag, where there is one."""
    if colour:
        canvas.line(arc(0, 0.42, 0.42, 0.3, 15, 165), _COLLARS[colour], 0.1)
        canvas.ellipse(0, 0.76, 0.07, 0.07, (234, 198, 80))
