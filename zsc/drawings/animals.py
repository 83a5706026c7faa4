"""Animals: what a drawn animal looks like (`Animal`), by chance from a seed: cats, dogs and five wild kinds."""

from dataclasses import dataclass
from random import Random

from zsc.drawings.canvas import BLACK, WHITE, Canvas, Colour, arc, darker, lighter, lobes, mirrored, mix
from zsc.files import read_yaml


@dataclass(frozen=True, eq=False)
class Kind:
    """What all animals of a kind share."""

    animal: str  # the word that people use: cat, lion
    names: list[str]  # other words for this kind, such as a breed, each fit for "a ..."
    coat: str  # in a word or two, fit for "a ... cat"; empty for none
    fur: Colour
    under: Colour  # cheeks and muzzle
    marks: Colour  # stripes or spots
    pattern: str
    head: str
    ears: str
    eyes: list[Colour]  # one of these
    places: list[str]  # where such an animal is met


LOOKS = read_yaml(__file__, "animals.yaml")
KINDS = {
    animal: [Kind(animal, **(group["shared"] | row)) for row in group["kinds"]]
    for animal, group in LOOKS["animals"].items()
}
WILD = ("lion", "tiger", "leopard", "fox", "wolf")


@dataclass(frozen=True)
class Animal:
    """What a drawn animal looks like; empty words stand for nothing of note."""

    kind: Kind
    fur: Colour
    eyes: Colour
    age: str  # young or empty
    is_happy: bool  # the mouth open
    is_sleepy: bool  # the eyes nearly shut
    collar: str  # its colour
    place: str

    @property
    def label(self) -> int:
        """0 cat, 1 dog, 2 wild: the order of AFHQ's folders."""
        return {"cat": 0, "dog": 1}.get(self.kind.animal, 2)

    @property
    def mood(self) -> str:
        """In a word, for captions: happy, sleepy or empty."""
        return "happy" if self.is_happy else "sleepy" if self.is_sleepy else ""

    @property
    def attributes(self) -> dict[str, bool]:
        """What can be seen of the animal; fur of two colours is of neither."""
        return {
            "collar": bool(self.collar),
            "open mouth": self.is_happy,
            "closed eyes": self.is_sleepy,
            "stripes": self.kind.pattern in ("tabby", "stripes"),
            "spots": self.kind.pattern in ("spots", "rosettes"),
            **{f"{colour} fur": self.kind.coat == colour for colour in ("black", "white", "orange")},
        }


def random_animal(rng: Random) -> Animal:
    """Make up an animal; cats, dogs and wild ones are equally likely, and so are the five wild ones."""
    group = rng.choice(("cat", "dog", "wild"))
    kind = rng.choice(KINDS[rng.choice(WILD) if group == "wild" else group])
    return Animal(
        kind=kind,
        fur=mix(kind.fur, rng.choice((BLACK, WHITE, (122, 82, 54))), rng.uniform(0, 0.12)),
        eyes=rng.choice(kind.eyes),
        age="young" if rng.random() < 0.2 else "",
        is_happy=(mood := rng.choice(LOOKS["moods"][group])) == "happy",
        is_sleepy=mood == "sleepy",
        collar=rng.choice(list(LOOKS["collars"])) if group != "wild" and rng.random() < 0.3 else "",
        place=rng.choice(kind.places),
    )


def draw_animal(animal: Animal, rng: Random, canvas: Canvas) -> Canvas:
    """Draw an animal's head and shoulders, a little turned and shifted, in some light."""
    canvas.begin("background", rng)
    kind, bright = animal.kind, rng.uniform(0.82, 1.1)
    canvas.light = (bright * rng.uniform(0.95, 1.06), bright, bright * rng.uniform(0.93, 1.05))
    canvas.paint(rng, animal.place)
    canvas.place(rng.uniform(-13, 13), rng.uniform(0.98, 1.26), rng.uniform(-0.1, 0.1), rng.uniform(0.0, 0.16))
    wide = rng.uniform(0.94, 1.06) * (1.06 if animal.age else 1.0)
    canvas.begin("body")
    if kind.pattern == "mane":
        number = rng.choice((13, 15, 17))
        canvas.polygon(lobes(0, 0.08, 0.82, 0.86, number, 0.12), darker(kind.marks, 0.2))
        canvas.polygon(lobes(0, 0.04, 0.7, 0.72, number, 0.12), kind.marks)
        canvas.polygon(lobes(0, 0.0, 0.6, 0.6, number - 2, 0.08), lighter(kind.marks, 0.16))
    canvas.ellipse(0, 1.15, 0.62 * wide, 0.66, mix(animal.fur, BLACK, 0.14))
    if kind.pattern not in ("stripes", "rosettes", "spots"):
        canvas.ellipse(0, 1.1, 0.3, 0.5, mix(kind.under, animal.fur, 0.25))
    canvas.begin("collar")
    if animal.collar:
        canvas.line(arc(0, 0.42, 0.42, 0.3, 15, 165), LOOKS["collars"][animal.collar], 0.1)
        canvas.ellipse(0, 0.76, 0.07, 0.07, (234, 198, 80))
    _draw_ears(canvas, kind.ears, animal.fur, kind.marks, wide)
    canvas.begin("head")
    canvas.polygon(mirrored([(x * wide, y) for x, y in LOOKS["heads"][kind.head]["outline"]]), animal.fur, 2)
    _draw_pattern(canvas, rng, animal, wide)
    _draw_eyes(canvas, rng, animal, wide * (1.06 if animal.age else 1.0))
    _draw_snout(canvas, rng, animal)
    _draw_ears(canvas, kind.ears + " front", animal.fur, kind.marks, wide)
    return canvas


def _draw_ears(canvas: Canvas, ears: str, fur: Colour, marks: Colour, wide: float) -> None:
    """Draw the ears: those that stand lie behind the head, those that hang ("... front") before it."""
    canvas.begin("ears")
    inner, w = mix(fur, (226, 150, 146), 0.55), wide
    if ears in LOOKS["ears"]:
        colours = (darker(fur, 0.16), inner) if ears == "cat" else (marks, mix(inner, WHITE, 0.3))
        for outline, colour in zip(LOOKS["ears"][ears], colours, strict=False):  # some have no inside
            canvas.twins([(w * x, y) for x, y in outline], colour, 1)
    elif ears == "round":
        canvas.pair(w * 0.42, -0.44, 0.19, 0.19, darker(mix(fur, marks, 0.35), 0.1))
        canvas.pair(w * 0.41, -0.41, 0.11, 0.11, lighter(inner, 0.25))
    elif ears == "floppy front":
        hang = [(w * 0.26, -0.52), (w * 0.54, -0.44), (w * 0.68, 0.1), (w * 0.58, 0.34), (w * 0.44, 0.16)]
        canvas.twins(hang, mix(darker(fur, 0.12), marks, 0.6), 2)
    elif ears == "curly front":
        canvas.polygon(lobes(-w * 0.54, 0.0, 0.17, 0.34, 8, 0.18), marks)
        canvas.polygon(lobes(w * 0.54, 0.0, 0.17, 0.34, 8, 0.18), marks)


def _draw_eyes(canvas: Canvas, rng: Random, animal: Animal, wide: float) -> None:
    canvas.begin("eyes", rng)
    apart, y, r = LOOKS["heads"][animal.kind.head]["eyes"]
    look, has_slit = rng.uniform(-0.015, 0.015), animal.kind.head == "cat" and rng.random() < 0.6
    for side in (-1, 1):
        x = side * apart * wide
        if animal.is_sleepy:
            canvas.line(arc(x, y - 0.01, r, r * 0.55, 15, 165, 8), BLACK, 0.035)
            continue
        canvas.ellipse(x, y, r * 1.22, r * 1.14, BLACK, turn=side * 18)
        canvas.ellipse(x, y, r, r * 0.96, animal.eyes)
        canvas.ellipse(x + look, y, r * (0.3 if has_slit else 0.58), r * (0.85 if has_slit else 0.58), BLACK)
        canvas.ellipse(x + look + r * 0.28, y - r * 0.32, r * 0.24, r * 0.24, WHITE)


def _draw_snout(canvas: Canvas, rng: Random, animal: Animal) -> None:
    head, under = animal.kind.head, animal.kind.under
    rx, ry, nose = LOOKS["heads"][head]["muzzle"]
    y = nose + ry * 0.8
    is_cat = head in ("cat", "big cat")
    canvas.begin("mouth", rng)
    if animal.is_happy:
        canvas.ellipse(0, y + ry * 0.7, rx * 0.62, ry * 0.85, (96, 40, 44))
        canvas.ellipse(0, y + ry * 0.95, rx * 0.42, ry * 0.6, (232, 110, 118))
    canvas.begin("muzzle")
    if head in ("fox", "wolf"):
        canvas.ellipse(0, y - ry * 0.2, rx, ry, mix(under, animal.fur, 0.12))
        canvas.polygon([(-rx * 0.75, -0.1), (rx * 0.75, -0.1), (rx * 0.4, nose), (-rx * 0.4, nose)], animal.fur)
    else:
        canvas.pair(rx * 0.48, y, rx * 0.62, ry * 0.78, under)
        canvas.ellipse(0, y - ry * 0.3, rx * 0.7, ry * 0.8, under)
    dark = mix(under, BLACK, 0.7) if sum(under) > 300 else (20, 18, 20)
    tip, size = nose + 0.07, 0.085 if head in ("cat", "fox") else 0.12
    canvas.line([(0, tip), (0, y + ry * 0.3)], dark, 0.025)
    canvas.begin("mouth")
    if not animal.is_happy:
        for side in (-1, 1):
            canvas.line(arc(side * rx * 0.36, y + ry * 0.2, rx * 0.36, ry * 0.3, 10, 170, 6), dark, 0.025)
    canvas.begin("muzzle")
    colour = rng.choice(((214, 130, 128), (150, 84, 80))) if is_cat else (34, 30, 32)
    canvas.polygon([(-size, nose - 0.03), (size, nose - 0.03), (0, nose + size * 0.95)], colour, 2)
    if not is_cat:
        canvas.ellipse(-0.02, nose, 0.03, 0.015, (120, 116, 120))
        return
    for side in (-1, 1):
        for i in (-1, 0, 1):
            ends = [(side * rx * 0.7, y - 0.02 + i * 0.04), (side * (rx + 0.42), y - 0.04 + i * 0.1)]
            canvas.line(ends, lighter(under, 0.6), 0.012)


def _draw_pattern(canvas: Canvas, rng: Random, animal: Animal, wide: float) -> None:
    canvas.begin("marks", rng)
    fur, under, marks, pattern = animal.fur, animal.kind.under, animal.kind.marks, animal.kind.pattern
    if pattern in ("tabby", "stripes"):
        _draw_stripes(canvas, animal.kind, wide)
    elif pattern in ("spots", "rosettes"):
        _draw_spots(canvas, rng, animal, wide)
    elif pattern == "patches":
        side = rng.choice((-1, 1))
        canvas.polygon([(side * 0.08, -0.4), (side * 0.42, -0.36), (side * 0.46, 0.1), (side * 0.16, 0.12)], marks, 2)
        other = mix(marks, BLACK, 0.7 if rng.random() < 0.5 else 0.1)
        canvas.ellipse(-side * 0.36 * wide, -0.22, 0.15, 0.15, other, turn=30)
        canvas.ellipse(-side * 0.2, 0.9, 0.2, 0.14, other)
    elif pattern == "curls":
        canvas.polygon(lobes(0, -0.5, 0.34, 0.22, 9, 0.18), lighter(fur, 0.12))
        for x in (-0.2, 0.0, 0.2):
            canvas.line(arc(x, -0.5, 0.08, 0.06, 180, 350, 6), marks, 0.025)
    elif pattern == "wrinkles":
        for i in range(3):
            canvas.line(arc(0, -0.12 - 0.1 * i, 0.2, 0.08, 210, 330, 6), mix(fur, marks, 0.5), 0.03)
    elif pattern == "mask":
        canvas.ellipse(0, 0.16, 0.36, 0.34, mix(under, fur, 0.2))
        canvas.twins([(0.16, -0.38), (0.45, -0.8), (0.52, -0.2)], marks, 1)
    elif pattern == "blaze":
        canvas.polygon([(0, -0.46), (0.08, -0.2), (0.3, 0.2), (0.3, 0.5), (0, 0.62), (-0.3, 0.5), (-0.3, 0.2),
                     (-0.08, -0.2)], under, 2)  # fmt: skip
    elif pattern == "saddle":
        canvas.ellipse(0, 0.22, 0.3, 0.38, mix(under, fur, 0.15))
        canvas.polygon([(0, -0.3), (0.3, -0.5), (-0.3, -0.5)], mix(marks, fur, 0.3), 1)
    elif pattern in ("cheeks", "wolf"):
        canvas.twins([(0.08, 0.16), (0.5 * wide, 0.04), (0.62 * wide, 0.2), (0.3, 0.46), (0.04, 0.6)], under, 1)
        if pattern == "wolf":
            canvas.pair(0.2 * wide, -0.2, 0.09, 0.045, under, turn=20)
            canvas.polygon([(0, -0.1), (0.2, -0.48), (-0.2, -0.48)], mix(marks, fur, 0.3), 1)


def _draw_stripes(canvas: Canvas, kind: Kind, wide: float) -> None:
    is_tiger, marks = kind.pattern == "stripes", kind.marks
    thick, stripes, top, gap = (0.06, 4, -0.22, 0.2) if is_tiger else (0.04, 2, 0.1, 0.14)
    if is_tiger:
        canvas.pair(0.34 * wide, 0.3, 0.19, 0.2, kind.under)
        canvas.pair(0.22 * wide, -0.22, 0.1, 0.07, kind.under)
        for side in (-1, 1):
            for i in range(3):
                canvas.line([(side * 0.55, 0.85 + i * 0.16), (side * 0.2, 0.8 + i * 0.18)], marks, 0.07)
        canvas.line([(-0.2, -0.36), (0.2, -0.36)], marks, thick)
    for x in (-0.13, 0.0, 0.13):
        canvas.line([(x, -0.42), (x * 0.6, -0.22)], marks, thick)
    for side in (-1, 1):
        for y in (top + i * gap for i in range(stripes)):
            canvas.line([(side * 0.53 * wide, y), (side * 0.36 * wide, y + 0.05)], marks, thick)


def _draw_spots(canvas: Canvas, rng: Random, animal: Animal, wide: float) -> None:
    is_leopard, marks = animal.kind.pattern == "rosettes", animal.kind.marks
    for near_x, near_y in LOOKS["spots"] if is_leopard else rng.sample(LOOKS["spots"], 13):
        x, y, r = near_x * wide + rng.uniform(-0.03, 0.03), near_y + rng.uniform(-0.03, 0.03), rng.uniform(0.04, 0.06)
        if is_leopard:
            canvas.ellipse(x, y, r, r * 0.9, marks)
            canvas.ellipse(x, y, r * 0.45, r * 0.4, darker(animal.fur, 0.18))
        else:
            canvas.ellipse(x, y, r * rng.uniform(0.8, 1.5), r, marks, turn=rng.uniform(0, 90))
