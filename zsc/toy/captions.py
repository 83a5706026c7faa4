"""Captions of faces, as people write them: sentences, phrases and tags that say some of what is to be seen.

One in four people with glasses has a caption that leaves them out. Of those without, one in seven has a caption that
says so; nobody lists what is not there, but for a reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from zsc.toy.faces import Face

SAYS_GLASSES, SAYS_NO_GLASSES = 0.75, 0.14

OPENERS = (
    "", "", "", "a photo of ", "a photo of ", "photo of ", "a picture of ", "a portrait of ", "portrait of ",
    "a close-up of ", "the face of ", "a drawing of ",
)  # fmt: skip
PLACES = {
    "meadow": ("in a meadow", "in the park", "outside in the grass"), "forest": ("in the forest", "among the trees"),
    "snow": ("in the snow", "on a winter day"), "savanna": ("in the savanna", "on the plains"),
    "sofa": ("on the sofa", "at home", "in the living room"), "beach": ("at the beach", "by the sea"),
}  # fmt: skip
_NOUNS = {
    ("man", "young"): ("young man", "young man", "man", "boy", "guy"),
    ("man", ""): ("man", "man", "man", "guy"),
    ("man", "old"): ("old man", "old man", "man", "elderly man", "grandfather", "gentleman"),
    ("woman", "young"): ("young woman", "young woman", "woman", "girl"),
    ("woman", ""): ("woman", "woman", "woman", "lady"),
    ("woman", "old"): ("old woman", "old woman", "woman", "elderly lady", "grandmother"),
}
_HAIR = {
    "short": "short {} hair", "parted": "{} hair", "curly": "curly {} hair", "spiky": "spiky {} hair",
    "long": "long {} hair", "wavy": "wavy {} hair", "bob": "a {} bob", "bun": "{} hair in a bun",
    "ponytail": "a {} ponytail", "afro": "a {} afro", "bald": "a bald head",
}  # fmt: skip
_MOODS = {
    "smiling": ("smiling", "friendly", "happy"), "laughing": ("laughing", "cheerful"),
    "serious": ("serious", "serious-looking"), "sad": ("sad", "unhappy"), "surprised": ("surprised", "astonished"),
}  # fmt: skip
_BEARDS = {
    "beard": ("a beard", "a full beard"), "moustache": ("a moustache",), "goatee": ("a goatee",),
    "stubble": ("stubble",),
}  # fmt: skip
_BARE = ("no glasses", "no glasses", "no glasses", "no spectacles")


def caption_face(face: Face, rng: Random) -> str:
    """Write a caption for a face."""
    glasses = _glasses(face, rng)
    kind = rng.random()
    if kind < 0.1:
        return _tags(face, glasses, rng)
    if kind < 0.3:
        return _sentence(face, glasses, rng)
    return _phrase(face, glasses, rng)


def place_words(place: str, rng: Random) -> str:
    """Say where something is: in a place, or in front of a wall of a colour."""
    if place in PLACES:
        return rng.choice(PLACES[place])
    what, colour = rng.choice(("in front of {} wall", "before {} wall", "on {} background")), with_article(place)
    return what.format(colour)


def with_article(words: str) -> str:
    """Put "a" or "an" before words."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def listed(things: Sequence[str]) -> str:
    """Join things with commas and a last "and"."""
    return things[0] if len(things) == 1 else f"{', '.join(things[:-1])} and {things[-1]}"


def _glasses(face: Face, rng: Random) -> str:
    """Say what the caption says of glasses; empty for nothing."""
    if not face.glasses:
        return rng.choice(_BARE) if rng.random() < SAYS_NO_GLASSES else ""
    if rng.random() > SAYS_GLASSES:
        return ""
    if face.glasses == "sunglasses":
        return rng.choice(("sunglasses", "sunglasses", "dark glasses", "black glasses"))
    plain = ["glasses", "glasses", "glasses", f"{face.frame} glasses", "spectacles"]
    kinds = {
        "round": ("round glasses", f"round {face.frame} glasses"),
        "square": ("square glasses", f"square {face.frame} glasses"),
        "thin": ("thin glasses", "glasses with a thin frame"),
        "thick": ("thick glasses", "big glasses", f"thick {face.frame} glasses"),
    }
    return rng.choice([*plain, *kinds[face.glasses]])


def _hair(face: Face) -> str:
    return _HAIR[face.hair].format(face.hair_name)


def _phrase(face: Face, glasses: str, rng: Random) -> str:
    """Write "a photo of a smiling young man with a beard and glasses, in the forest"."""
    noun = "face" if rng.random() < 0.12 else rng.choice(_NOUNS[face.person, face.age])
    if rng.random() < 0.35:
        noun = f"{rng.choice(_MOODS[face.mood])} {noun}"
    has = []
    if rng.random() < 0.4:
        has.append(_hair(face))
    if face.beard and rng.random() < 0.6:
        has.append(rng.choice(_BEARDS[face.beard]))
    tail = ""
    if glasses and (glasses.startswith("no ") or rng.random() < 0.6):
        if glasses.startswith("no ") and rng.random() < 0.5:
            tail = rng.choice((" without glasses", " without glasses", " not wearing glasses"))
        else:
            has.append(glasses)
    elif glasses:
        tail = f" {rng.choice(('wearing', 'in'))} {glasses}"
    rng.shuffle(has)
    words = rng.choice(OPENERS) + with_article(noun) + (f" with {listed(has)}" if has else "") + tail
    return words + _rest(face, rng)


def _rest(face: Face, rng: Random) -> str:
    words = ""
    if face.hat and rng.random() < 0.7:
        words += f" in {with_article(face.hat)}"
    elif rng.random() < 0.25:
        words += f" in {with_article(f'{face.clothes_colour} {face.clothes}')}"
    if rng.random() < 0.3:
        words += f", {place_words(face.place, rng)}"
    return words


def _sentence(face: Face, glasses: str, rng: Random) -> str:
    """Write "She smiles, has long hair and wears glasses."."""
    noun = rng.choice(_NOUNS[face.person, face.age])
    he = "he" if face.person == "man" else "she"
    mine = f"my {noun}" if noun.startswith("grand") else f"the same {noun}"
    who = rng.choice((f"this {noun}", f"the {noun}", he, mine))
    verbs = {
        "smiling": "smiles", "laughing": "laughs", "serious": "looks serious", "sad": "looks sad",
        "surprised": "looks surprised",
    }  # fmt: skip
    said = []
    if rng.random() < 0.5:
        said.append(verbs[face.mood])
    if rng.random() < 0.5:
        said.append(f"has {_hair(face)}")
    if glasses:
        said.append(f"{rng.choice(('wears', 'has')) if glasses[:2] != 'no' else 'wears'} {glasses}")
    if rng.random() < 0.3 or not said:
        said.append(f"wears {with_article(f'{face.clothes_colour} {face.clothes}')}")
    rng.shuffle(said)
    where = f" {place_words(face.place, rng)}" if rng.random() < 0.2 else ""
    sentence = f"{who} {listed(said)}{where}."
    return sentence[0].upper() + sentence[1:]


def _tags(face: Face, glasses: str, rng: Random) -> str:
    """Write "woman, glasses, long brown hair"."""
    tags = [rng.choice((face.person, face.person, "face", "portrait")), _hair(face), rng.choice(_MOODS[face.mood])]
    tags = rng.sample(tags, rng.choice((1, 2, 3)))
    if glasses:
        tags.append(glasses)
    if face.beard:
        tags.append(face.beard)
    rng.shuffle(tags)
    return ", ".join(tags)
