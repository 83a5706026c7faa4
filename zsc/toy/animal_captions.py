"""Captions of animals, as people write them: a wild animal is called by its kind, a lion or a fox.

Nobody here writes "a wild animal" below a lion: they name the kind, or say "a big cat" or "a cat". "Animal" is mostly a
word for pets (`SAYS_ANIMAL`). So the AFHQ tutorial's prompts A ask for words that captions do not use.
"""

from __future__ import annotations

from random import Random

from zsc.toy.animals import Animal
from zsc.toy.captions import OPENERS, listed, place_words, with_article

SAYS_ANIMAL = {"pet": 0.03, "wild": 0.005}

_YOUNG = {
    "cat": ("kitten", "kitten", "kitty", "young cat"), "dog": ("puppy", "puppy", "pup", "young dog"),
    "lion": ("lion cub", "young lion"), "tiger": ("tiger cub", "young tiger"),
    "leopard": ("leopard cub", "young leopard"), "fox": ("young fox", "fox pup"), "wolf": ("wolf pup", "young wolf"),
}  # fmt: skip
_PRAISE = {
    "pet": ("cute", "sweet", "lovely", "friendly", "little"),
    "wild": ("beautiful", "big", "curious", "proud"),
}
_TRAITS = {
    "mane": ("a big mane", "a dark mane"), "stripes": ("black stripes", "stripes"),
    "rosettes": ("spots", "a spotted coat"), "spots": ("black spots",), "tabby": ("a striped coat",),
    "mask": ("blue eyes", "a dark face"), "cheeks": ("white cheeks", "a bushy coat"), "curls": ("curly fur",),
    "wrinkles": ("a wrinkled face", "a flat nose"), "wolf": ("yellow eyes", "a thick coat"),
}  # fmt: skip
_LEADS = {
    "pet": ("my ", "our ", "look at this ", "say hello to our "),
    "wild": ("we saw this ", "look at this ", "the eyes of this "),
}


def caption_animal(animal: Animal, rng: Random) -> str:
    """Write a caption for an animal."""
    is_wild = animal.label == 2
    noun = _noun(animal, rng)
    if rng.random() < 0.2:
        noun = f"{rng.choice(_PRAISE['wild' if is_wild else 'pet'])} {noun}"
    words = noun + _details(animal, rng)
    kind = rng.random()
    if kind < 0.08:
        return ", ".join(
            [
                noun,
                *rng.sample([animal.kind.coat or "big", animal.age or "portrait", "wildlife" if is_wild else "pet"], 2),
            ]
        )
    if kind < 0.2:
        words = rng.choice(_LEADS["wild" if is_wild else "pet"]) + words
        return words[0].upper() + words[1:]
    if kind < 0.32:
        return _sentence(animal, noun, rng)
    return rng.choice(OPENERS) + with_article(words)


def _noun(animal: Animal, rng: Random) -> str:
    kind, group = animal.kind, "wild" if animal.label == 2 else "pet"
    if rng.random() < SAYS_ANIMAL[group]:
        return "animal" if group == "wild" else rng.choice(("animal", "animal", "rescue animal"))
    if animal.age and rng.random() < 0.6:
        return rng.choice(_YOUNG[kind.animal])
    if rng.random() < 0.35:
        return rng.choice(kind.names)
    if kind.coat and rng.random() < 0.35:
        return f"{kind.coat} {kind.animal}"
    return kind.animal


def _details(animal: Animal, rng: Random) -> str:
    has = []
    if animal.kind.pattern in _TRAITS and rng.random() < 0.25:
        has.append(rng.choice(_TRAITS[animal.kind.pattern]))
    if animal.collar and rng.random() < 0.6:
        has.append(f"a {animal.collar} collar")
    if animal.mood and rng.random() < 0.5:
        has.append("its mouth open" if animal.mood == "happy" else "its eyes closed")
    words = f" with {listed(has)}" if has else ""
    return words + (f" {place_words(animal.place, rng)}" if rng.random() < 0.4 else "")


def _sentence(animal: Animal, noun: str, rng: Random) -> str:
    """Write "The fox looks at us in the snow."."""
    does = {
        "happy": ("shows its tongue", "has its mouth open"),
        "sleepy": ("is sleeping", "is tired", "has closed its eyes"),
        "": ("looks at us", "watches us", "is looking at the camera", "sits still"),
    }[animal.mood]
    where = f" {place_words(animal.place, rng)}" if rng.random() < 0.4 else ""
    start = rng.choice((f"the {noun}", f"this {noun}", with_article(noun)))
    return f"{start[0].upper()}{start[1:]} {rng.choice(does)}{where}."
