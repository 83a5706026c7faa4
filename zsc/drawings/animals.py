"""Animals: what a drawn animal looks like (`Animal`), by chance from a seed: cats, dogs and five wild kinds.

The kinds of a class differ as they do in life; a wolf is nearer to a husky than to a lion.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from zsc.drawings.canvas import BLACK, WHITE, Canvas, Colour, Point, arc, darker, lighter, lobes, mirrored, mix, smooth
from zsc.drawings.scenes import paint


@dataclass(frozen=True)
class Kind:
    """What all animals of a kind share.

    Attributes
    ----------
    animal
        The word that people use: "cat", "dog", "lion", ...
    names
        Other words for this kind, such as a breed, each fit for "a ...".
    coat
        The coat in a word or two, fit for "a ... cat"; empty for none.
    fur, under, marks
        Colours of the fur, of cheeks and muzzle, and of stripes or spots.
    head, ears, pattern
        Which shapes are drawn (see `muzzles` and `pelts`).
    places
        Where such an animal is met.
    """

    animal: str
    names: tuple[str, ...]
    coat: str
    fur: Colour
    under: Colour
    marks: Colour
    head: str
    ears: str
    pattern: str
    places: tuple[str, ...]


_HOME = ("sofa", "sofa", "meadow", "white", "grey", "light blue", "green", "beige", "pink", "yellow", "dark", "snow")
_YARD = ("meadow", "meadow", "forest", "beach", "sofa", "white", "grey", "blue", "green", "beige", "dark", "snow")
_WARM = ("savanna", "savanna", "meadow", "forest", "dark", "beige", "green")
_COOL = ("forest", "forest", "snow", "meadow", "dark", "grey", "green")
_ORANGE, _CREAM, _GREY, _DARK = (226, 142, 64), (246, 230, 204), (140, 142, 148), (44, 42, 46)
_BROWN, _TAN, _RED = (122, 82, 54), (206, 164, 112), (204, 98, 44)

KINDS: dict[str, tuple[Kind, ...]] = {
    "cat": (
        Kind("cat", ("tabby", "tabby cat"), "striped", (158, 132, 104), _CREAM, (88, 68, 52),
             "cat", "cat", "tabby", _HOME),
        Kind("cat", ("tabby", "tabby cat"), "grey", (150, 148, 144), WHITE, (84, 82, 82), "cat", "cat", "tabby", _HOME),
        Kind("cat", ("ginger cat", "ginger tom"), "orange", _ORANGE, _CREAM, (184, 98, 34),
             "cat", "cat", "tabby", _HOME),
        Kind("cat", ("black cat",), "black", _DARK, (58, 56, 60), _DARK, "cat", "cat", "", _HOME),
        Kind("cat", ("white cat", "persian cat"), "white", (240, 236, 228), WHITE, _GREY, "cat", "cat", "", _HOME),
        Kind("cat", ("siamese", "siamese cat"), "cream", (234, 216, 188), (94, 72, 60), (94, 72, 60),
             "cat", "cat", "mask", _HOME),
        Kind("cat", ("calico cat",), "spotted", WHITE, WHITE, (214, 130, 58), "cat", "cat", "patches", _HOME),
        Kind("cat", ("tuxedo cat",), "black and white", _DARK, WHITE, WHITE, "cat", "cat", "blaze", _HOME),
    ),
    "dog": (
        Kind("dog", ("golden retriever", "retriever"), "golden", (222, 174, 104), (240, 208, 152), (190, 138, 74),
             "dog", "floppy", "", _YARD),
        Kind("dog", ("labrador",), "black", (52, 48, 50), (74, 68, 68), _DARK, "dog", "floppy", "", _YARD),
        Kind("dog", ("labrador", "chocolate labrador"), "brown", _BROWN, (150, 108, 76), (92, 58, 38),
             "dog", "floppy", "", _YARD),
        Kind("dog", ("dalmatian",), "spotted", (244, 242, 236), WHITE, _DARK, "dog", "floppy", "spots", _YARD),
        Kind("dog", ("beagle",), "brown and white", (186, 124, 72), WHITE, (128, 78, 46),
             "dog", "floppy", "blaze", _YARD),
        Kind("dog", ("pug",), "beige", (216, 184, 142), (62, 54, 52), (62, 54, 52), "pug", "small", "wrinkles", _YARD),
        Kind("dog", ("poodle",), "curly", (206, 176, 150), (226, 202, 178), (176, 142, 116),
             "dog", "curly", "curls", _YARD),
        Kind("dog", ("terrier", "jack russell"), "white and brown", WHITE, WHITE, (168, 104, 60),
             "dog", "folded", "patches", _YARD),
        Kind("dog", ("husky", "sled dog"), "grey and white", (98, 104, 116), WHITE, (98, 104, 116),
             "dog", "pointed", "blaze", _YARD),
        Kind("dog", ("german shepherd", "shepherd dog"), "black and tan", _TAN, (66, 52, 46), (66, 52, 46),
             "dog", "pointed", "saddle", _YARD),
    ),
    "lion": (
        Kind("lion", ("male lion", "big cat", "cat"), "", (218, 168, 96), (242, 220, 174), (132, 78, 40),
             "big cat", "round", "mane", _WARM),
        Kind("lion", ("male lion", "big cat", "cat"), "", (206, 152, 84), (238, 214, 170), (92, 56, 36),
             "big cat", "round", "mane", _WARM),
        Kind("lion", ("lioness", "big cat", "cat"), "", (216, 172, 110), (244, 226, 188), (190, 140, 84),
             "big cat", "round", "", _WARM),
    ),
    "tiger": (
        Kind("tiger", ("bengal tiger", "big cat", "cat"), "orange", (230, 136, 46), WHITE, (36, 28, 28),
             "big cat", "round", "stripes", _WARM),
        Kind("tiger", ("siberian tiger", "big cat", "cat"), "orange", (222, 146, 66), WHITE, (44, 34, 32),
             "big cat", "round", "stripes", _COOL),
        Kind("tiger", ("white tiger", "big cat", "cat"), "white", (236, 232, 224), WHITE, (52, 48, 52),
             "big cat", "round", "stripes", _COOL),
    ),
    "leopard": (
        Kind("leopard", ("leopard", "big cat", "cat"), "spotted", (226, 178, 96), (246, 230, 196), (72, 46, 30),
             "big cat", "round", "rosettes", _WARM),
        Kind("leopard", ("snow leopard", "big cat", "cat"), "grey", (204, 204, 206), WHITE, (84, 84, 90),
             "big cat", "round", "rosettes", _COOL),
    ),
    "fox": (
        Kind("fox", ("red fox",), "red", _RED, WHITE, (58, 40, 36), "fox", "pointed", "cheeks", _COOL),
        Kind("fox", ("red fox",), "orange", (220, 124, 54), WHITE, (72, 46, 38), "fox", "pointed", "cheeks", _COOL),
        Kind("fox", ("arctic fox",), "white", (238, 238, 240), WHITE, (190, 194, 202),
             "fox", "pointed", "cheeks", ("snow", "snow", "grey")),
    ),
    "wolf": (
        Kind("wolf", ("grey wolf", "timber wolf"), "grey", (134, 130, 126), (222, 216, 206), (84, 80, 80),
             "wolf", "pointed", "wolf", _COOL),
        Kind("wolf", ("grey wolf",), "brown", (142, 118, 96), (226, 212, 190), (90, 72, 60),
             "wolf", "pointed", "wolf", _COOL),
        Kind("wolf", ("white wolf",), "white", (226, 224, 220), WHITE, (170, 168, 168),
             "wolf", "pointed", "wolf", ("snow", "forest", "grey", "dark")),
    ),
}  # fmt: skip
WILD = ("lion", "tiger", "leopard", "fox", "wolf")
EYES: dict[str, tuple[Colour, ...]] = {
    "cat": ((120, 170, 84), (214, 176, 60), (96, 160, 204)), "dog": ((86, 54, 34), (64, 42, 30)),
    "wolf": ((222, 182, 70), (206, 166, 84)), "fox": ((196, 136, 50), (170, 112, 44)),
    "lion": ((190, 140, 60),), "tiger": ((206, 176, 80),), "leopard": ((176, 186, 100), (196, 164, 70)),
}  # fmt: skip


@dataclass(frozen=True)
class Animal:
    """What a drawn animal looks like.

    Attributes
    ----------
    kind
        What all of its kind share.
    fur, eyes
        Its own colours.
    age
        "young" or empty.
    mood
        "happy" (the mouth open), "sleepy" (the eyes nearly shut) or empty.
    collar
        A colour by name, or empty.
    place
        The background.
    """

    kind: Kind
    fur: Colour
    eyes: Colour
    age: str
    mood: str
    collar: str
    place: str

    @property
    def label(self) -> int:
        """0 cat, 1 dog, 2 wild: the order of AFHQ's folders."""
        return {"cat": 0, "dog": 1}.get(self.kind.animal, 2)


def random_animal(rng: Random) -> Animal:
    """Make up an animal; cats, dogs and wild ones are equally likely, and so are the five wild ones."""
    group = rng.choice(("cat", "dog", "wild"))
    kind = rng.choice(KINDS[rng.choice(WILD) if group == "wild" else group])
    is_siamese = kind.pattern == "mask" and group == "cat"
    eyes = ((96, 160, 204),) if is_siamese or "husky" in kind.names else EYES[kind.animal]
    return Animal(
        kind=kind,
        fur=mix(kind.fur, rng.choice((BLACK, WHITE, _BROWN)), rng.uniform(0, 0.12)),
        eyes=rng.choice(eyes),
        age="young" if rng.random() < 0.2 else "",
        mood=rng.choice(("", "", "", "happy", "sleepy") if group != "dog" else ("", "", "happy", "happy", "sleepy")),
        collar=rng.choice(("red", "blue", "green")) if group != "wild" and rng.random() < 0.3 else "",
        place=rng.choice(kind.places),
    )


def draw_animal(animal: Animal, rng: Random) -> Canvas:
    """Draw an animal's head and shoulders, a little turned and shifted, in some light."""
    kind, bright = animal.kind, rng.uniform(0.82, 1.1)
    canvas = Canvas((bright * rng.uniform(0.95, 1.06), bright, bright * rng.uniform(0.93, 1.05)))
    paint(canvas, rng, animal.place)
    canvas.place(rng.uniform(-13, 13), rng.uniform(0.98, 1.26), rng.uniform(-0.1, 0.1), rng.uniform(0.0, 0.16))
    wide = rng.uniform(0.94, 1.06) * (1.06 if animal.age else 1.0)
    if kind.pattern == "mane":
        draw_mane(canvas, rng, kind.marks)
    canvas.ellipse(0, 1.15, 0.62 * wide, 0.66, mix(animal.fur, BLACK, 0.14))
    if kind.pattern not in ("stripes", "rosettes", "spots"):
        canvas.ellipse(0, 1.1, 0.3, 0.5, mix(kind.under, animal.fur, 0.25))
    draw_collar(canvas, animal.collar)
    draw_ears(canvas, kind.ears, animal.fur, kind.marks, wide)
    draw_head(canvas, kind.head, animal.fur, wide)
    draw_pattern(canvas, rng, kind.pattern, fur=animal.fur, under=kind.under, marks=kind.marks, wide=wide)
    eyes_wide = wide * (1.06 if animal.age else 1.0)
    draw_eyes(canvas, rng, kind.head, colour=animal.eyes, mood=animal.mood, wide=eyes_wide)
    draw_snout(canvas, rng, kind.head, fur=animal.fur, under=kind.under, mood=animal.mood)
    if kind.ears in ("floppy", "curly"):
        draw_ears(canvas, kind.ears + " front", animal.fur, kind.marks, wide)
    return canvas


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
