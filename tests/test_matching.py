"""Classes are matched by what they name: permuting or respelling prompts never changes which class is which."""

import itertools
import logging
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zsc.scoring import ClassMismatchError, match_by


class TestNames:
    def test_same_names_in_any_order(self):
        assert match_by(["cat", "dog", "wild"], ["wild", "Cat", "dog "]).index.tolist() == [1, 2, 0]
        assert match_by(["cat"], ["dog", "cat"]).by == "name" and not match_by(["cat"], ["dog", "cat"]).note

    def test_more_classes_than_the_data_set_has(self):
        assert match_by(["dog"], ["cat", "dog", "none of these"]).index.tolist() == [1]
        assert match_by(["cat", "dog"], ["a lion", "a photo of a dog", "a photo of a cat"]).index.tolist() == [2, 1]

    def test_names_that_differ_in_case_only(self):
        assert match_by(["Cat", "cat"], ["cat", "Cat"]).index.tolist() == [1, 0]

    @pytest.mark.parametrize("names", [["cat"], ["cat", "cow"], ["a", "b", "c"], ["a lion", "a cat", "a wolf"]])
    def test_other_classes_are_refused(self, names):
        with pytest.raises(ValueError, match="are not the classifier's"):
            match_by(["cat", "dog"], names)

    def test_the_index_is_read_only(self):
        with pytest.raises(ValueError, match="read-only"):
            match_by(["a", "b"], ["b", "a"]).index[0] = 0

    def test_containers_without_order_are_refused(self):
        with pytest.raises(TypeError, match="where order decides"):
            match_by(["cat", "dog"], {"cat", "dog"})
        with pytest.raises(TypeError, match="the one text"):
            match_by("cd", ["c", "d"])


PAIRS = [  # the classes of a data set, and texts for them in their order
    (["gas_pump", "golf_ball"], ["gas pump", "golf ball"]),
    (["gasPump", "GolfBall"], ["a photo of a gas pump", "a photo of a golf ball"]),
    (["Gas-Pump", "golf.ball"], ["a gas pump", "a golf ball"]),
    (["pet_cat", "pet_dog"], ["pet cat", "pet dog"]),
    (["pet_cat", "pet_dog"], ["a photo of a cat", "a photo of a dog"]),
    (["cat", "catfish"], ["a photo of a cat", "a photo of a catfish"]),
    (["man", "woman"], ["a man", "a photo of a woman"]),
    (["male", "female"], ["a male face", "a female face"]),
    (["dog", "hot dog"], ["a photo of a dog", "a photo of a hot dog"]),
    (["dog", "hotdog"], ["a photo of a dog", "a photo of a hot dog"]),
    (["a dog", "an apple"], ["dog", "apple"]),
    (["HTTPServer", "FTPServer"], ["an http server", "an ftp server"]),
    (["iPhone", "Galaxy"], ["a photo of an iphone", "a photo of a galaxy"]),
    (["corn", "acorn"], ["a photo of a corn", "a photo of a acorn"]),
    (["chain saw", "chair"], ["a photo of a chainsaw", "a photo of a chair"]),
    (["cat on dog", "dog on cat"], ["a photo of a cat on dog", "a photo of a dog on cat"]),
    (["n01440764-tench", "n02102040-english_springer"], ["a tench", "an English springer"]),
    (["001.Black_footed_Albatross", "002.Laysan_Albatross"], ["a Laysan albatross", "a black-footed albatross"][::-1]),
    (["glass", "glasses"], ["a glass", "glasses"]),
    (["mouse", "house"], ["a photo of mouses", "a photo of houses"]),
    (["class 1", "class 2", "class 10"], ["01", "02", "10"]),
    (["0", "1", "2"], ["the digit 0", "the digit 1", "the digit 2"]),
    (["1.5", "5.1", "-5"], ["size 1.5", "size 5.1", "size -5"]),
    (["a", "b", "c"], ["the letter A", "the letter B", "the letter C"]),
    (["C", "C++", "🐈"], ["a C", "a C++", "a 🐈"]),
    (["normal", "abnormal"], ["a normal x-ray", "an abnormal x-ray"]),
    # what is denied
    (["no glasses", "glasses"], ["photo of a man with no glasses", "photo of a man with glasses"]),
    (["no_glasses", "glasses"], ["a man who doesn't wear glasses", "a man with glasses"]),
    (["noglasses", "glasses"], ["face without glasses", "face with glasses"]),
    (["without_mask", "with_mask"], ["a person without a mask", "a person wearing a mask"]),
    (["masked", "unmasked"], ["a masked face", "an unmasked face"]),
    (["no", "yes"], ["no tumour", "yes, a tumour"]),
    (["cat", "dog"], ["a cat, no dog", "a dog, no cat"]),
    (["cat", "dog"], ["no doubt a cat", "no doubt a dog"]),
    (["ohne Brille", "Brille"], ["ein Gesicht ohne Brille", "ein Gesicht mit Brille"]),
    (["sans lunettes", "lunettes"], ["un visage sans lunettes", "un visage avec des lunettes"]),
    (["sin gafas", "con gafas"], ["una cara sin gafas", "una cara con gafas"]),
    (["очки", "без очков"], ["человек в очках", "человек без очков"]),
    (["没有眼镜", "眼镜"], ["不戴眼镜的人", "戴眼镜的人"]),
    (["眼鏡なし", "眼鏡"], ["眼鏡をかけていない人", "眼鏡をかけている人"]),
    # other languages and scripts
    (["Katze", "Hund"], ["ein Foto einer Katze", "das Foto eines Hundes"]),
    (["Löwe", "Bär"], ["ein Loewe", "ein Baer"]),
    (["cafe", "bar"], ["un café", "un bar"]),
    (["resume", "résumé"], ["a photo of a resume", "a photo of a résumé"]),
    (["Straße", "İstanbul"], ["STRASSE", "istanbul"]),
    (["ｃａｔ", "e\u0301cole"], ["cat", "École"]),
    (["c\u200bat", "dog\ufeff"], ["cat", "dog"]),
    (["кошка", "собака"], ["фотография кошки", "фотография собаки"]),
    (["猫", "狗"], ["一张猫的照片", "一张狗的照片"]),
    (["猫", "熊猫"], ["一张猫的照片", "一张熊猫的照片"]),
    (["ネコ", "イヌ"], ["ねこの写真", "いぬの写真"]),
    (["고양이", "개"], ["고양이의 사진", "개의 사진"]),
    (["แมว", "หมา"], ["ภาพถ่ายของแมว", "ภาพถ่ายของหมา"]),
    (["قطة", "كلب"], ["صورة القطة", "صورة الكلب"]),
    (["γάτα", "σκύλος"], ["φωτογραφία γάτας", "φωτογραφία σκύλου"]),
]


@pytest.mark.parametrize(("names", "texts"), PAIRS)
def test_every_order_of_the_texts_gives_the_same_pairs(names, texts):
    for order in itertools.permutations(range(len(names))):
        match = match_by(names, [texts[i] for i in order])
        assert [order[j] for j in match.index] == list(range(len(names))) and match.by == "name"
        swapped = match_by([names[i] for i in order], texts)
        assert swapped.index.tolist() == list(order)


NOUNS = ["cat", "dog", "hot dog", "catfish", "golf ball", "gas pump", "ball", "church", "tench", "great white shark",
         "shark", "résumé", "box", "Hund", "猫", "熊猫", "собака", "no hat", "hat", "bus stop", "7", "70"]  # fmt: skip
SPELLINGS = [str, str.upper, str.title, lambda n: n.replace(" ", "_"), lambda n: n.replace(" ", "-"),
             lambda n: n.title().replace(" ", ""), lambda n: f" {n}  "]  # fmt: skip
FRAMES = [
    "{}",
    "a photo of a {}",
    "a photo of the {}, a type of thing.",
    "ein Foto von einem {}",
    "一张{}的照片",
    "una foto de un {}",
]


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(NOUNS), min_size=2, unique=True), st.data())
def test_random_orders_and_spellings(names, data):
    """Each name in a spelling of its own, all texts in one frame and in a random order."""
    order = data.draw(st.permutations(range(len(names))))
    ours = [data.draw(st.sampled_from(SPELLINGS))(name) for name in names]
    frame = data.draw(st.sampled_from(FRAMES))
    match = match_by(ours, [frame.format(names[i]) for i in order])
    assert match.by == "name" and [order[j] for j in match.index] == list(range(len(names)))


POSITIONS = [
    (["cat", "dog"], ["Katze", "Hund"]),
    (["0", "1", "2"], ["zero", "one", "two"]),
    (["no glasses", "glasses"], ["ohne Brille", "mit Brille"]),
    (["bare", "glasses"], ["without glasses", "with glasses"]),
    (["cat", "dog", "wild"], ["a photo of a cat", "a photo of a dog", "a photo of a lion"]),
    (["positive", "negative"], ["a photo of a tumour", "a photo of tissue"]),
    (["man", "woman"], ["a guy", "a woman"]),
]


@pytest.mark.parametrize(("names", "texts"), POSITIONS)
def test_position_is_the_last_resort_and_is_told(names, texts, caplog):
    match = match_by(names, texts)
    assert match.index.tolist() == list(range(len(names))) and match.by == "position"
    assert match.note.startswith(f"classes matched by position: {names[0]!r} = {texts[0]!r}")
    assert match.note.endswith("tie prompts to classes: ClassPrompts.from_texts({class name: prompt, ...}).")
    with caplog.at_level(logging.WARNING, "zsc"):
        match.tell()
    assert caplog.messages == [match.note]


@pytest.mark.parametrize(
    ("names", "texts"),
    [
        (["cat", "dog"], ["a photo of a dog", "a photo of a kitten"]),
        (["cat", "dog", "wild"], ["a photo of a dog", "a photo of a cat", "a photo of a lion"]),
        (["no glasses", "glasses"], ["mit Brille", "ohne Brille"]),
        (["bare", "glasses"], ["with glasses", "without glasses"]),
        (["no", "yes"], ["with tumour", "without tumour"]),
        (["horse", "bug"], ["a pony", "a horsefly"]),
        (["gas_pump", "golf_ball"], ["the ball", "the thing"]),
        (["猫", "犬"], ["犬の写真", "子ねこの写真"]),
    ],
)
def test_a_text_that_names_another_class_than_the_one_in_its_place(names, texts):
    with pytest.raises(ClassMismatchError, match="would stand for the class .* but names .*; tie prompts") as caught:
        match_by(names, texts)
    assert "\n" not in str(caught.value)


def test_messages_stay_short():
    with pytest.raises(ClassMismatchError) as caught:
        match_by([f"class {i}" for i in range(2000)], ["x" * 10_000, "y"])
    assert len(str(caught.value)) < 600


def test_many_classes_whose_names_contain_each_other():
    from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES

    names = list(dict.fromkeys(IMAGENET_CLASSNAMES))
    order = np.random.default_rng(0).permutation(len(names))
    for frame in ("{}", "a photo of a {}", "itap of the {}."):
        ours = [name.replace(" ", "_") for name in names]
        match = match_by(ours, [frame.format(names[i]) for i in order])
        assert match.by == "name" and (order[match.index] == np.arange(len(names))).all()


def test_names_that_are_equal_in_all_spellings_are_not_guessed():
    with pytest.raises(ClassMismatchError, match=re.escape("are not the classifier's")):
        match_by(["hot dog", "hot_dog"], ["hot-dog", "hotdog"])
