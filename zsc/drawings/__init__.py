"""Pictures whose truth is known: faces and animals, drawn and captioned by kind, split, seed and number alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from zsc.checks import check_choice
from zsc.drawings import animals, faces
from zsc.drawings.canvas import Canvas
from zsc.drawings.captions import caption_animal, caption_face

KINDS = ("faces", "animals")
SPLITS = ("test", "train")
CHANGES: dict[str, dict[str, Any]] = {"faces": faces.LOOKS["changes"], "animals": animals.LOOKS["changes"]}


@dataclass(frozen=True, eq=False)
class Drawing:
    """A picture, and what somebody might write below it."""

    picture: Image.Image  # RGB, 128 pixels a side
    caption: str
    label: int  # of a face 0 for no glasses and 1 for glasses; of an animal 0 for cat, 1 for dog and 2 for wild
    attributes: Mapping[str, bool]  # what it shows, by the same names for all of a kind; none excludes another
    recipe: tuple[str, str, Mapping[str, bool]] = field(repr=False)  # the kind, the name of the chances, the changes

    @cached_property
    def parts(self) -> Mapping[str, NDArray[np.bool_]]:
        """Where each part can be seen, such as glasses, eyes or background: shape (128, 128)."""
        return _draw(*self.recipe, masks=True)[1].masks()


def draw(
    kind: str, number: int, *, split: str = "test", seed: int = 0, change: Mapping[str, bool] | None = None
) -> Drawing:
    """Draw picture `number`, from 0, of an endless series of "faces" or "animals", and write its caption.

    The toy model learns from the split "train" and never sees "test"; another seed is another series.

    `change` draws the same picture with other attributes, such as {"glasses": True}, and every other part as it was; a
    change to what is so already changes nothing. Of faces "glasses" (never into sunglasses), "beard" (of anybody),
    "hat" (with the hair that it covers) and "smile" (mouth and eyes) can be changed; of animals "collar", "open mouth"
    and "closed eyes"; other attributes not alone. Label and caption are those of the changed picture.

    Examples
    --------
    >>> drawing = draw("faces", 3, change={"glasses": True})
    >>> drawing.picture.size, drawing.label, bool(drawing.parts["glasses"].any())
    ((128, 128), 1, True)
    """
    check_choice(kind, KINDS, "kind")
    check_choice(split, SPLITS, "split")
    for attribute, is_shown in (change := dict(change or {})).items():
        check_choice(attribute, list(CHANGES[kind]), "change")
        if not isinstance(is_shown, (bool, np.bool_)):
            raise TypeError(f"change[{attribute!r}]={is_shown!r}; pass True to show it or False to leave it out.")
    name = f"{kind}/{split}/{seed}/{number}"
    shown, canvas = _draw(kind, name, change)
    caption = (caption_face if kind == "faces" else caption_animal)(shown, Random(f"{name}/caption"))
    return Drawing(canvas.finish(), caption, shown.label, shown.attributes, (kind, name, change))


def _draw(kind: str, name: str, change: Mapping[str, bool], *, masks: bool = False) -> tuple[Any, Canvas]:
    """Make up a face or an animal and draw it: first unchanged, where it changes, so that the chances are known."""
    is_face, looks = kind == "faces", Random(name)
    shown: Any = faces.random_face(looks) if is_face else animals.random_animal(looks)
    changed = shown
    for attribute, is_shown in change.items():
        if shown.attributes[attribute] != is_shown:
            what, values, bare = CHANGES[kind][attribute]
            value = Random(f"{name}/change/{attribute}").choice(values) if is_shown else bare
            changed = replace(changed, **{what: value})
    paint: Any = faces.draw_face if is_face else animals.draw_animal
    states: dict[str, Any] | None = None
    if changed != shown:
        paint(shown, looks, Canvas(states=(states := {})))
    return changed, paint(changed, looks, Canvas(masks=masks, states=states))
