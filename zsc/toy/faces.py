"""Faces: what a drawn person looks like (`Face`), by chance from a seed, and the drawing of it.

Whether someone wears glasses depends on nothing else here: half do, whatever their age, hair or clothes.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from zsc.toy.canvas import BLACK, WHITE, Canvas, Colour, arc, darker, lighter, mirrored, mix, oval, smooth
from zsc.toy.scenes import paint
from zsc.toy.wear import CLOTHES, draw_clothes, draw_glasses, draw_hat
from zsc.toy.wigs import HAIR, draw_beard, draw_hair, draw_hair_behind

SKIN: tuple[Colour, ...] = (
    (248, 220, 198), (240, 204, 174), (226, 182, 146), (200, 152, 112), (164, 116, 82), (124, 84, 60), (92, 62, 46),
)  # fmt: skip
EYES: tuple[Colour, ...] = ((84, 58, 40), (60, 44, 36), (84, 128, 168), (98, 130, 84), (120, 120, 112))
STYLES = {
    "man": ("short", "short", "parted", "parted", "curly", "spiky", "bald", "long", "afro"),
    "woman": ("long", "long", "wavy", "bob", "bun", "ponytail", "curly", "short", "afro"),
}
BEARDS = ("", "", "", "", "beard", "beard", "moustache", "stubble", "goatee")
MOODS = ("smiling", "smiling", "smiling", "laughing", "serious", "serious", "sad", "surprised")
GLASSES = ("round", "square", "thin", "thick", "sunglasses")
FRAMES: dict[str, Colour] = {
    "black": (24, 22, 24), "brown": (104, 62, 36), "red": (182, 34, 40), "blue": (36, 70, 150),
    "golden": (190, 144, 40), "silver": (130, 136, 146),
}  # fmt: skip
PLACES = (
    "white", "grey", "blue", "light blue", "green", "yellow", "pink", "red", "purple", "beige", "dark", "orange",
    "meadow", "meadow", "forest", "beach", "snow", "sofa",
)  # fmt: skip


@dataclass(frozen=True)
class Face:
    """What a drawn person looks like.

    Attributes
    ----------
    person, age
        "man" or "woman"; "young", "" or "old".
    hair, hair_name, hair_colour
        The style, the colour's name and the colour.
    beard, mood, hat
        As words; empty for none.
    glasses, frame
        The kind of glasses, or empty for none; the frame's colour by name.
    clothes, clothes_colour
        As words.
    place
        The background: a colour or a place.
    skin, eyes
        Colours.
    """

    person: str
    age: str
    hair: str
    hair_name: str
    hair_colour: Colour
    beard: str
    mood: str
    hat: str
    glasses: str
    frame: str
    clothes: str
    clothes_colour: str
    place: str
    skin: Colour
    eyes: Colour

    @property
    def label(self) -> int:
        """0 for no glasses, 1 for glasses, as in the published data set."""
        return int(bool(self.glasses))


def random_face(rng: Random) -> Face:
    """Make up a person."""
    person = rng.choice(("man", "woman"))
    age = rng.choice(("young", "young", "", "", "", "old"))
    tone = rng.randrange(len(SKIN))
    names = ["grey", "white"] if age == "old" else ["black", "black", "brown", "brown"]
    if age != "old" and tone < 4:
        names += ["blond", "blond", "red", "brown"]
    name = rng.choice(names)
    kind = rng.choice(GLASSES) if rng.random() < 0.5 else ""
    frames = ("black", "black", "brown", "golden", "silver") if kind in ("thin", "sunglasses") else tuple(FRAMES)
    return Face(
        person=person,
        age=age,
        hair=rng.choice(STYLES[person]),
        hair_name=name,
        hair_colour=mix(HAIR[name], rng.choice((BLACK, WHITE)), rng.uniform(0, 0.15)),
        beard=rng.choice(BEARDS) if person == "man" and age != "young" else "",
        mood=rng.choice(MOODS),
        hat=rng.choice(("cap", "beanie", "straw hat")) if rng.random() < 0.15 else "",
        glasses=kind,
        frame=rng.choice(frames),
        clothes=rng.choice(CLOTHES[person]),
        clothes_colour=rng.choice(("white", "black", "blue", "red", "green", "yellow", "purple", "grey")),
        place=rng.choice(PLACES),
        skin=SKIN[tone],
        eyes=rng.choice(EYES[:2] if tone > 3 else EYES),
    )


def draw_face(face: Face, rng: Random) -> Canvas:
    """Draw a person, a little turned and shifted, in some light."""
    bright = rng.uniform(0.84, 1.1)
    canvas = Canvas((bright * rng.uniform(0.96, 1.05), bright, bright * rng.uniform(0.94, 1.04)))
    paint(canvas, rng, face.place)
    scale = rng.uniform(1.1, 1.38)
    canvas.place(rng.uniform(-9, 9), scale, rng.uniform(-0.09, 0.09), rng.uniform(0.0, 0.13))
    wide, tall = rng.uniform(0.37, 0.44), rng.uniform(0.49, 0.55)
    draw_hair_behind(canvas, face.hair, face.hair_colour)
    canvas.rectangle(-0.16, 0.2, 0.16, 0.72, darker(face.skin, 0.18))
    draw_clothes(canvas, rng, face.clothes, face.clothes_colour, face.skin)
    _draw_head(canvas, face, wide, tall)
    draw_beard(canvas, face.beard, face.hair_colour, face.skin, wide=wide, tall=tall)
    _draw_mouth(canvas, rng, face)
    nose = darker(face.skin, 0.2)
    canvas.line(arc(0, 0.06, rng.uniform(0.05, 0.08), 0.055, 20, 160, 6), nose, 0.025)
    apart = rng.uniform(0.165, 0.195)
    _draw_eyes(canvas, rng, face, apart)
    if face.hat:
        draw_hat(canvas, face.hat, hair=face.hair, hair_colour=face.hair_colour, colour=face.clothes_colour, wide=wide)
    else:
        draw_hair(canvas, rng, face.hair, face.hair_colour, wide)
    if face.glasses:
        draw_glasses(canvas, rng, face.glasses, FRAMES[face.frame], apart=apart, wide=wide)
    return canvas


def _draw_head(canvas: Canvas, face: Face, wide: float, tall: float) -> None:
    for side in (-1, 1):
        canvas.ellipse(side * wide * 0.98, 0.0, 0.075, 0.11, darker(face.skin, 0.08))
    jaw = 0.74 if face.person == "man" else 0.62
    half = [(0.0, -tall), (wide * 0.75, -tall * 0.9), (wide * 1.06, -tall * 0.2), (wide * 1.02, tall * 0.35),
            (wide * jaw, tall * 0.82), (wide * 0.25, tall)]  # fmt: skip
    canvas.polygon(smooth(mirrored(half)), face.skin)
    blush = mix(face.skin, (226, 100, 90), 0.22)
    for side in (-1, 1):
        canvas.ellipse(side * wide * 0.62, 0.15, 0.085, 0.06, blush)
    if face.age == "old":
        for side in (-1, 1):
            canvas.line([(side * 0.16, 0.12), (side * 0.24, 0.24)], darker(face.skin, 0.16), 0.02)
        canvas.line([(-0.14, -0.3), (0.14, -0.3)], darker(face.skin, 0.13), 0.02)


def _draw_eyes(canvas: Canvas, rng: Random, face: Face, apart: float) -> None:
    look, open_ = rng.uniform(-0.02, 0.02), 0.075 if face.mood == "surprised" else rng.uniform(0.052, 0.064)
    brow = darker(mix(face.hair_colour, face.skin, 0.15), 0.25)
    tilt = {"sad": -0.045, "serious": 0.02}.get(face.mood, 0.0)
    raised = 0.05 if face.mood == "surprised" else 0.0
    thick = 0.042 if face.person == "man" else 0.026
    for side in (-1, 1):
        x, y = side * apart, -0.07
        if face.mood == "laughing":
            canvas.line(arc(x, y + 0.025, 0.075, 0.06, 190, 350, 8), darker(face.skin, 0.75), 0.03)
        else:
            canvas.ellipse(x, y, 0.08, open_, WHITE)
            canvas.ellipse(x + look, y, 0.047, 0.05, face.eyes)
            canvas.ellipse(x + look, y, 0.025, 0.027, BLACK)
            canvas.ellipse(x + look + 0.016, y - 0.018, 0.012, 0.012, WHITE)
            if face.person == "woman":
                canvas.line(arc(x, y, 0.085, open_ + 0.008, 185, 355, 8), BLACK, 0.022)
        inner, outer = (x - side * 0.09, -0.19 - raised + tilt), (x + side * 0.09, -0.185 - raised - tilt)
        canvas.line([inner, (x, -0.215 - raised), outer], brow, thick)


def _draw_mouth(canvas: Canvas, rng: Random, face: Face) -> None:
    lips = mix(face.skin, (176, 60, 64), 0.6 if face.person == "woman" else 0.35)
    if face.person == "woman" and rng.random() < 0.3:
        lips = (190, 36, 52)
    y, w = 0.25, rng.uniform(0.11, 0.15)
    if face.mood == "laughing":
        canvas.polygon(arc(0, y - 0.03, w + 0.02, 0.14, 0, 180, 10), darker(lips, 0.55))
        canvas.rectangle(-w * 0.85, y - 0.03, w * 0.85, y + 0.012, WHITE)
    elif face.mood == "smiling":
        if rng.random() < 0.5:
            canvas.line(arc(0, y - 0.06, w, 0.1, 20, 160), darker(lips, 0.25), 0.032)
        else:
            canvas.polygon(arc(0, y - 0.03, w, 0.09, 0, 180, 10), lips)
            canvas.polygon(arc(0, y - 0.025, w * 0.8, 0.05, 0, 180, 8), WHITE)
    elif face.mood == "sad":
        canvas.line(arc(0, y + 0.09, w * 0.8, 0.08, 205, 335), darker(lips, 0.25), 0.032)
    elif face.mood == "surprised":
        canvas.polygon(oval(0, y + 0.03, 0.06, 0.08), darker(lips, 0.6))
    else:
        canvas.line([(-w * 0.8, y), (w * 0.8, y + rng.uniform(-0.015, 0.015))], darker(lips, 0.2), 0.034)
        canvas.line([(-w * 0.35, y + 0.05), (w * 0.35, y + 0.05)], lighter(lips, 0.15), 0.02)
