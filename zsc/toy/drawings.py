"""Drawings with captions, made from a seed: the same seed gives the same picture and caption.

A drawing is named by its kind, split, seed and number; the pictures of "train" and "test" come from different random
streams, so that no picture is in both.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from PIL import Image

from zsc.toy.animal_captions import caption_animal
from zsc.toy.animals import draw_animal, random_animal
from zsc.toy.captions import caption_face
from zsc.toy.faces import draw_face, random_face

KINDS = ("faces", "animals")
SPLITS = ("test", "train")


@dataclass(frozen=True, eq=False)
class Drawing:
    """A picture and what somebody might write below it.

    Attributes
    ----------
    picture
        RGB, 128 pixels a side.
    caption
        One sentence, phrase or list of tags.
    label
        faces: 0 no glasses, 1 glasses; animals: 0 cat, 1 dog, 2 wild.
    """

    picture: Image.Image
    caption: str
    label: int


def draw(kind: str, number: int, *, split: str = "test", seed: int = 0) -> Drawing:
    """Draw one picture and write its caption.

    Parameters
    ----------
    kind
        "faces" or "animals".
    number
        Which one of the endless series, from 0.
    split
        "train" (what the toy model learns from) or "test" (never shown to it).
    seed
        Another seed, another series.

    Raises
    ------
    ValueError
        If there is no such kind or split.

    Examples
    --------
    >>> drawing = draw("animals", 3)
    >>> drawing.picture.size, drawing.label in (0, 1, 2)
    ((128, 128), True)
    """
    if kind not in KINDS:
        raise ValueError(f"no drawings of {kind!r}; accepted are {', '.join(KINDS)}.")
    if split not in SPLITS:
        raise ValueError(f"no split {split!r} of drawings; accepted are {', '.join(SPLITS)}.")
    name = f"{kind}/{split}/{seed}/{number}"
    looks, words = Random(name), Random(f"{name}/caption")
    if kind == "faces":
        face = random_face(looks)
        return Drawing(draw_face(face, looks).finish(), caption_face(face, words), face.label)
    animal = random_animal(looks)
    return Drawing(draw_animal(animal, looks).finish(), caption_animal(animal, words), animal.label)
