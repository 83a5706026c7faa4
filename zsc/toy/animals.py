"""Animals: what a drawn animal looks like (`Animal`), by chance from a seed: cats, dogs and five wild kinds.

The kinds of a class differ as they do in life; a wolf is nearer to a husky than to a lion.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from zsc.toy.canvas import BLACK, WHITE, Canvas, Colour, mix
from zsc.toy.muzzles import draw_collar, draw_ears, draw_eyes, draw_head, draw_snout
from zsc.toy.pelts import draw_mane, draw_pattern
from zsc.toy.scenes import paint


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
