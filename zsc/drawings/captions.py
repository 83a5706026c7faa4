"""Captions as people write them: sentences, phrases and tags that name some of what a drawing shows.

One in four captions of people with glasses leaves them out; one in seven captions of people without glasses says so, as
people seldom list what is not there. Wild animals are called by their kind, never "a wild animal".
"""

from collections.abc import Sequence
from random import Random

from zsc.drawings.animals import Animal
from zsc.drawings.faces import Face
from zsc.files import read_yaml

SAYS_GLASSES, SAYS_NO_GLASSES = 0.75, 0.14
SAYS_ANIMAL = {"pet": 0.03, "wild": 0.005}
_WORDS = read_yaml(__file__, "captions.yaml")


def caption_face(face: Face, rng: Random) -> str:
    """Write a caption for a face."""
    glasses, kind = _glasses(face, rng), rng.random()
    write = _tags if kind < 0.1 else _sentence if kind < 0.3 else _phrase
    return write(face, glasses, rng)


def _place_words(place: str, rng: Random) -> str:
    if place in _WORDS["places"]:
        return rng.choice(_WORDS["places"][place])
    what, colour = rng.choice(("in front of {} wall", "before {} wall", "on {} background")), _with_article(place)
    return what.format(colour)


def _with_article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _listed(things: Sequence[str]) -> str:
    return things[0] if len(things) == 1 else f"{', '.join(things[:-1])} and {things[-1]}"


def _glasses(face: Face, rng: Random) -> str:
    if not face.glasses:
        return rng.choice(_WORDS["bare"]) if rng.random() < SAYS_NO_GLASSES else ""
    if rng.random() > SAYS_GLASSES:
        return ""
    plain = ["glasses", "glasses", "glasses", "{} glasses", "spectacles"] if face.glasses != "sunglasses" else []
    return str(rng.choice(plain + _WORDS["glasses"][face.glasses])).format(face.frame)


def _phrase(face: Face, glasses: str, rng: Random) -> str:
    """Write "a photo of a smiling young man with a beard and glasses, in the forest"."""
    noun = "face" if rng.random() < 0.12 else rng.choice(_WORDS["people"][face.person][face.age])
    if rng.random() < 0.35:
        noun = f"{rng.choice(_WORDS['moods'][face.mood])} {noun}"
    has = []
    if rng.random() < 0.4:
        has.append(_WORDS["hair"][face.hair].format(face.hair_name))
    if face.beard and rng.random() < 0.6:
        has.append(rng.choice(_WORDS["beards"][face.beard]))
    tail, denies = "", glasses.startswith("no ")
    if denies and rng.random() < 0.5:
        tail = rng.choice((" without glasses", " without glasses", " not wearing glasses"))
    elif denies or (glasses and rng.random() < 0.6):
        has.append(glasses)
    elif glasses:
        tail = f" {rng.choice(('wearing', 'in'))} {glasses}"
    rng.shuffle(has)
    words = rng.choice(_WORDS["openers"]) + _with_article(noun) + (f" with {_listed(has)}" if has else "") + tail
    if face.hat and rng.random() < 0.7:
        words += f" in {_with_article(face.hat)}"
    elif rng.random() < 0.25:
        words += f" in a {face.clothes_colour} {face.clothes}"
    return words + (f", {_place_words(face.place, rng)}" if rng.random() < 0.3 else "")


def _sentence(face: Face, glasses: str, rng: Random) -> str:
    """Write "She smiles, has long hair and wears glasses."."""
    noun = rng.choice(_WORDS["people"][face.person][face.age])
    mine = f"my {noun}" if noun.startswith("grand") else f"the same {noun}"
    who = rng.choice((f"this {noun}", f"the {noun}", "he" if face.person == "man" else "she", mine))
    said = []
    if rng.random() < 0.5:
        said.append({"smiling": "smiles", "laughing": "laughs"}.get(face.mood, f"looks {face.mood}"))
    if rng.random() < 0.5:
        said.append(f"has {_WORDS['hair'][face.hair].format(face.hair_name)}")
    if glasses:
        said.append(f"{rng.choice(('wears', 'has')) if glasses[:2] != 'no' else 'wears'} {glasses}")
    if rng.random() < 0.3 or not said:
        said.append(f"wears a {face.clothes_colour} {face.clothes}")
    rng.shuffle(said)
    where = f" {_place_words(face.place, rng)}" if rng.random() < 0.2 else ""
    sentence = f"{who} {_listed(said)}{where}."
    return sentence[0].upper() + sentence[1:]


def _tags(face: Face, glasses: str, rng: Random) -> str:
    """Write "woman, glasses, long brown hair"."""
    tags = [
        rng.choice((face.person, face.person, "face", "portrait")),
        _WORDS["hair"][face.hair].format(face.hair_name),
        rng.choice(_WORDS["moods"][face.mood]),
    ]
    tags = rng.sample(tags, rng.choice((1, 2, 3)))
    tags += [words for words in (glasses, face.beard) if words]
    rng.shuffle(tags)
    return ", ".join(tags)


def caption_animal(animal: Animal, rng: Random) -> str:
    """Write a caption for an animal."""
    group = "wild" if animal.label == 2 else "pet"
    noun = _noun(animal, group, rng)
    if rng.random() < 0.2:
        noun = f"{rng.choice(_WORDS['praise'][group])} {noun}"
    has = []
    if animal.kind.pattern in _WORDS["traits"] and rng.random() < 0.25:
        has.append(rng.choice(_WORDS["traits"][animal.kind.pattern]))
    if animal.collar and rng.random() < 0.6:
        has.append(f"a {animal.collar} collar")
    if animal.mood and rng.random() < 0.5:
        has.append("its mouth open" if animal.mood == "happy" else "its eyes closed")
    words = noun + (f" with {_listed(has)}" if has else "")
    if rng.random() < 0.4:
        words += f" {_place_words(animal.place, rng)}"
    kind = rng.random()
    if kind < 0.08:
        tags = (animal.kind.coat or "big", animal.age or "portrait", "wildlife" if group == "wild" else "pet")
        return ", ".join([noun, *rng.sample(tags, 2)])
    if kind < 0.2:
        words = rng.choice(_WORDS["leads"][group]) + words
    elif kind < 0.32:  # "The fox looks at us in the snow."
        where = f" {_place_words(animal.place, rng)}" if rng.random() < 0.4 else ""
        start = rng.choice((f"the {noun}", f"this {noun}", _with_article(noun)))
        words = f"{start} {rng.choice(_WORDS['does'][animal.mood])}{where}."
    else:
        return rng.choice(_WORDS["openers"]) + _with_article(words)
    return words[0].upper() + words[1:]


def _noun(animal: Animal, group: str, rng: Random) -> str:
    kind = animal.kind
    if rng.random() < SAYS_ANIMAL[group]:
        return "animal" if group == "wild" else rng.choice(("animal", "animal", "rescue animal"))
    if animal.age and rng.random() < 0.6:
        return rng.choice(_WORDS["young"][kind.animal])
    if rng.random() < 0.35:
        return rng.choice(kind.names)
    if kind.coat and rng.random() < 0.35:
        return f"{kind.coat} {kind.animal}"
    return kind.animal
