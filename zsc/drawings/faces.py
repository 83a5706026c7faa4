"""Faces: what a drawn person looks like (`Face`), by chance from a seed, and the drawing of it.

Whether someone wears glasses depends on nothing else here: half do, whatever their age, hair or clothes.
"""

from dataclasses import dataclass
from random import Random

from zsc.drawings.canvas import BLACK, WHITE, Canvas, Colour, arc, darker, lighter, lobes, mirrored, mix, oval, rounded
from zsc.files import read_yaml

LOOKS = read_yaml(__file__, "faces.yaml")


@dataclass(frozen=True)
class Face:
    """What a drawn person looks like, in words and colours; empty words stand for none."""

    person: str  # man or woman
    age: str  # young, empty or old
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
    place: str  # the background: a wall's colour or a place
    skin: Colour
    eyes: Colour

    @property
    def label(self) -> int:
        """0 for no glasses, 1 for glasses, as in the published data set."""
        return int(bool(self.glasses))

    @property
    def attributes(self) -> dict[str, bool]:
        """What can be seen of the face."""
        return {
            "glasses": bool(self.glasses),
            "sunglasses": self.glasses == "sunglasses",
            "hat": bool(self.hat),
            "beard": self.beard in ("beard", "goatee"),
            "smile": self.mood in ("smiling", "laughing"),
            "woman": self.person == "woman",
            "blond hair": self.hair_name == "blond" and self.hair != "bald",
        }


def random_face(rng: Random) -> Face:
    """Make up a person."""
    person = rng.choice(("man", "woman"))
    age = rng.choice(LOOKS["ages"])
    tone = rng.randrange(len(LOOKS["skin"]))
    names = ["grey", "white"] if age == "old" else ["black", "black", "brown", "brown"]
    if age != "old" and tone < 4:
        names += ["blond", "blond", "red", "brown"]
    name = rng.choice(names)
    kind = rng.choice(list(LOOKS["glasses"])) if rng.random() < 0.5 else ""
    frames = LOOKS["fine frames"] if kind in ("thin", "sunglasses") else list(LOOKS["frames"])
    return Face(
        person=person,
        age=age,
        hair=rng.choice(LOOKS["hair"][person]),
        hair_name=name,
        hair_colour=mix(LOOKS["hair colours"][name], rng.choice((BLACK, WHITE)), rng.uniform(0, 0.15)),
        beard=rng.choice(LOOKS["beards"]) if person == "man" and age != "young" else "",
        mood=rng.choice(LOOKS["moods"]),
        hat=rng.choice(LOOKS["hats"]) if rng.random() < 0.15 else "",
        glasses=kind,
        frame=rng.choice(frames),
        clothes=rng.choice(LOOKS["clothes"][person]),
        clothes_colour=rng.choice(list(LOOKS["dyes"])),
        place=rng.choice(LOOKS["places"]),
        skin=LOOKS["skin"][tone],
        eyes=rng.choice(LOOKS["eyes"][:2] if tone > 3 else LOOKS["eyes"]),
    )


def draw_face(face: Face, rng: Random, canvas: Canvas) -> Canvas:
    """Draw a person, a little turned and shifted, in some light."""
    canvas.begin("background", rng)
    bright = rng.uniform(0.84, 1.1)
    canvas.light = (bright * rng.uniform(0.96, 1.05), bright, bright * rng.uniform(0.94, 1.04))
    canvas.paint(rng, face.place)
    scale, angle = rng.uniform(1.1, 1.38), rng.uniform(-9, 9)
    canvas.place(angle, scale, rng.uniform(-0.09, 0.09), rng.uniform(0.0, 0.13))
    wide, tall = rng.uniform(0.37, 0.44), rng.uniform(0.49, 0.55)
    _draw_hair_behind(canvas, face.hair, face.hair_colour)
    canvas.rectangle(-0.16, 0.2, 0.16, 0.72, darker(face.skin, 0.18))
    _draw_clothes(canvas, rng, face)
    _draw_head(canvas, face, wide, tall)
    _draw_beard(canvas, face, wide, tall)
    _draw_mouth(canvas, rng, face)
    canvas.begin("nose", rng)
    canvas.line(arc(0, 0.06, rng.uniform(0.05, 0.08), 0.055, 20, 160, 6), darker(face.skin, 0.2), 0.025)
    canvas.begin("eyes", rng)
    apart = rng.uniform(0.165, 0.195)
    _draw_eyes(canvas, rng, face, apart)
    canvas.begin("hat")
    canvas.begin("hair", rng)
    if face.hat:
        _draw_hat(canvas, face, wide)
    else:
        _draw_hair(canvas, rng, face.hair, face.hair_colour, wide)
    canvas.begin("glasses", rng)
    if face.glasses:
        _draw_glasses(canvas, rng, face, apart, wide)
    return canvas


def _draw_head(canvas: Canvas, face: Face, wide: float, tall: float) -> None:
    canvas.begin("head")
    canvas.pair(wide * 0.98, 0.0, 0.075, 0.11, darker(face.skin, 0.08))
    jaw = 0.74 if face.person == "man" else 0.62
    half = [(0.0, -tall), (wide * 0.75, -tall * 0.9), (wide * 1.06, -tall * 0.2), (wide * 1.02, tall * 0.35),
            (wide * jaw, tall * 0.82), (wide * 0.25, tall)]  # fmt: skip
    canvas.polygon(mirrored(half), face.skin, 2)
    canvas.pair(wide * 0.62, 0.15, 0.085, 0.06, mix(face.skin, (226, 100, 90), 0.22))  # blush
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
    canvas.begin("mouth", rng)
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
        canvas.ellipse(0, y + 0.03, 0.06, 0.08, darker(lips, 0.6))
    else:
        canvas.line([(-w * 0.8, y), (w * 0.8, y + rng.uniform(-0.015, 0.015))], darker(lips, 0.2), 0.034)
        canvas.line([(-w * 0.35, y + 0.05), (w * 0.35, y + 0.05)], lighter(lips, 0.15), 0.02)


def _draw_clothes(canvas: Canvas, rng: Random, face: Face) -> None:
    canvas.begin("clothes", rng)
    kind, skin, dye = face.clothes, face.skin, LOOKS["dyes"][face.clothes_colour]
    canvas.polygon(mirrored([(0.13, 0.56), (0.3, 0.6), (0.72, 0.7), (0.88, 0.98), (0.92, 1.6)]), dye, 1)
    if kind in ("t-shirt", "dress", "blouse"):
        deep = 0.13 if kind == "t-shirt" else 0.22
        canvas.polygon(arc(0, 0.56, 0.2, deep, 0, 180, 8), darker(skin, 0.06))
        if kind == "dress":
            for _ in range(12):
                canvas.ellipse(rng.uniform(-0.7, 0.7), rng.uniform(0.82, 1.0), 0.03, 0.03, lighter(dye, 0.6))
    elif kind == "sweater":
        canvas.polygon(rounded(0, 0.58, 0.22, 0.07, 0.9), darker(dye, 0.25))
        for i in range(rng.choice((0, 3))):
            canvas.rectangle(-0.85, 0.76 + i * 0.13, 0.85, 0.81 + i * 0.13, lighter(dye, 0.4))
    elif kind == "hoodie":
        canvas.polygon(mirrored([(0.2, 0.48), (0.42, 0.62), (0.16, 0.78)]), darker(dye, 0.25), 1)
        for side in (-1, 1):
            canvas.line([(side * 0.08, 0.72), (side * 0.09, 0.95)], WHITE, 0.025)
    elif kind == "suit":
        canvas.polygon([(-0.16, 0.53), (0.16, 0.53), (0, 0.98)], WHITE)
        tie = rng.choice(((170, 36, 44), (40, 66, 130), (36, 36, 40)))
        canvas.polygon([(-0.045, 0.6), (0.045, 0.6), (0.06, 1.2), (-0.06, 1.2)], tie)
        canvas.twins([(0.15, 0.5), (0.3, 0.6), (0.2, 0.8), (0, 0.98)], darker(dye, 0.15))
    else:
        canvas.polygon([(-0.16, 0.53), (0.16, 0.53), (0, 0.76)], darker(skin, 0.06))
        canvas.twins([(0.15, 0.5), (0.3, 0.6), (0.2, 0.8), (0, 0.76)], lighter(dye, 0.3))


def _draw_hat(canvas: Canvas, face: Face, wide: float) -> None:
    dye = mix(LOOKS["dyes"][face.clothes_colour], (90, 70, 60), 0.2)
    if face.hair != "bald":
        canvas.pair(wide * 0.96, -0.18, 0.07, 0.16, face.hair_colour)
    canvas.begin("hat")
    if face.hat == "straw hat":
        straw = (226, 194, 124)
        canvas.polygon(arc(0, -0.3, wide * 0.95, 0.42, 180, 360, 12), straw)
        canvas.rectangle(-wide * 0.93, -0.42, wide * 0.93, -0.3, dye)
        canvas.ellipse(0, -0.3, wide * 1.7, 0.09, darker(straw, 0.08))
    elif face.hat == "cap":
        canvas.polygon(arc(0, -0.26, wide * 1.07, 0.38, 180, 360, 12), dye)
        canvas.ellipse(0.12, -0.27, wide * 1.05, 0.075, darker(dye, 0.3))
    else:
        canvas.polygon(arc(0, -0.24, wide * 1.09, 0.46, 180, 360, 12), dye)
        canvas.polygon(rounded(0, -0.27, wide * 1.12, 0.085, 0.8), lighter(dye, 0.25))
        canvas.ellipse(0, -0.72, 0.09, 0.09, lighter(dye, 0.35))


def _draw_glasses(canvas: Canvas, rng: Random, face: Face, apart: float, wide: float) -> None:
    kind, colour = face.glasses, LOOKS["frames"][face.frame]
    y, x = -0.06 + rng.uniform(-0.01, 0.015), apart + 0.012
    width = LOOKS["glasses"][kind]
    is_round = kind == "round" or (kind in ("thin", "sunglasses") and rng.random() < 0.5)
    rx = rng.uniform(0.145, 0.165) if kind != "thin" else rng.uniform(0.135, 0.155)
    ry = rx * (rng.uniform(0.92, 1.0) if is_round else rng.uniform(0.7, 0.82))
    for side in (-1, 1):
        rim = oval(side * x, y, rx, ry) if is_round else rounded(side * x, y, rx, ry, 0.45)
        if kind == "sunglasses":
            canvas.polygon(rim, mix(BLACK, colour, 0.2))
            glint = [(side * x - 0.07, y - 0.06), (side * x, y - 0.06), (side * x - 0.05, y + 0.02)]
            canvas.polygon(glint, (96, 98, 108))
        elif rng.random() < 0.5:
            glint = [(side * x + 0.03, y - ry * 0.6), (side * x + 0.07, y - ry * 0.6), (side * x + 0.02, y - ry * 0.1)]
            canvas.polygon(glint, WHITE)
        canvas.line([*rim, rim[0], rim[1]], colour, width)
        canvas.line([(side * (x + rx), y - 0.02), (side * (wide + 0.02), y - 0.045)], colour, max(width * 0.8, 0.03))
    canvas.line(arc(0, y, max(x - rx, 0.02), 0.04, 180, 360, 5), colour, max(width * 0.8, 0.03))


def _draw_hair_behind(canvas: Canvas, style: str, colour: Colour) -> None:
    canvas.begin("hair")
    back = darker(colour, 0.14)
    if shape := LOOKS["behind"].get(style):
        canvas.polygon(shape if style == "ponytail" else mirrored(shape), back, 2)
    elif style == "wavy":
        for i in range(5):
            canvas.pair(0.42 + 0.05 * (i % 2), -0.2 + i * 0.23, 0.19, 0.2, back)
    elif style == "bun":
        canvas.ellipse(0, -0.66, 0.21, 0.19, colour)
        canvas.line(arc(0, -0.66, 0.12, 0.1, 200, 340, 6), back, 0.02)
    elif style == "afro":
        canvas.polygon(lobes(0, -0.22, 0.57, 0.53, 13, 0.1), colour)
    elif style == "curly":
        canvas.polygon(lobes(0, -0.16, 0.47, 0.47, 10, 0.14), back)


def _draw_hair(canvas: Canvas, rng: Random, style: str, colour: Colour, wide: float) -> None:
    if style == "bald":
        canvas.begin("head")
        canvas.ellipse(-0.12, -0.4, 0.08, 0.035, (255, 244, 232), turn=-25)
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
    canvas.polygon([*line, *fringe], colour, 1)
    canvas.line(arc(side * 0.06, -0.4, w * 0.6, 0.17, 215, 300, 6), shine, 0.03)


def _draw_beard(canvas: Canvas, face: Face, wide: float, tall: float) -> None:
    canvas.begin("beard")
    beard, skin, hair = face.beard, face.skin, darker(face.hair_colour, 0.08)
    if beard in ("beard", "stubble"):
        colour = hair if beard == "beard" else mix(skin, hair, 0.28)
        low = tall * 1.12 if beard == "beard" else tall * 0.99
        half = [(wide * 0.62, 0.13), (wide * 1.02, 0.02), (wide * 1.04, tall * 0.4), (wide * 0.74, low * 0.86)]
        canvas.polygon(mirrored([(0.06, 0.17), *half, (wide * 0.3, low)]), colour, 1)
        canvas.ellipse(0, 0.25, 0.17, 0.07, skin if beard == "beard" else colour)
    if beard == "goatee":
        canvas.ellipse(0, tall * 0.8, 0.12, 0.13, hair)
    if beard in ("moustache", "goatee", "beard"):
        canvas.pair(0.085, 0.165, 0.105, 0.036, hair, turn=14)
