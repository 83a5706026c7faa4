"""Pictures whose truth is known: faces and animals, drawn and captioned by kind, split, seed and number alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from PIL import Image

from zsc.checks import check_choice
from zsc.drawings.animals import draw_animal, random_animal
from zsc.drawings.captions import caption_animal, caption_face
from zsc.drawings.faces import draw_face, random_face

KINDS = ("faces", "animals")
SPLITS = ("test", "train")


@dataclass(frozen=True, eq=False)
class Drawing:
    """A picture, and what somebody might write below it."""

    picture: Image.Image  # RGB, 128 pixels a side
    caption: str
    label: int  # of a face 0 for no glasses and 1 for glasses; of an animal 0 for cat, 1 for dog and 2 for wild
    attributes: Mapping[str, bool]  # what it shows, by the same names for all of a kind; none excludes another


def draw(kind: str, number: int, *, split: str = "test", seed: int = 0) -> Drawing:
    """Draw picture `number`, from 0, of an endless series of "faces" or "animals", and write its caption.

    The toy model learns from the split "train" and never sees "test"; another seed is another series.

    Examples
    --------
    >>> drawing = draw("animals", 3)
    >>> drawing.picture.size, drawing.label in (0, 1, 2)
    ((128, 128), True)
    """
    check_choice(kind, KINDS, "kind")
    check_choice(split, SPLITS, "split")
    name = f"{kind}/{split}/{seed}/{number}"
    looks, words = Random(name), Random(f"{name}/caption")
    if kind == "faces":
        face = random_face(looks)
        return Drawing(draw_face(face, looks).finish(), caption_face(face, words), face.label, face.attributes)
    animal = random_animal(looks)
    return Drawing(draw_animal(animal, looks).finish(), caption_animal(animal, words), animal.label, animal.attributes)
