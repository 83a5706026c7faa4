"""Class names x templates, files in and out, the published sets."""

import json
import re

import pytest

from zsc.prompts import ClassPrompts, default_prompts, prompt_set, prompt_set_names


def test_from_names_fills_every_template_class_by_class():
    prompts = ClassPrompts.from_names(["cat", "dog"], ["a {}", "{} photo"])
    assert prompts.prompts == ("a cat", "cat photo", "a dog", "dog photo")
    assert prompts.owners == (0, 0, 1, 1)
    assert prompts.starts.tolist() == [0, 2]
    assert len(prompts) == 4 and list(prompts)[0] == "a cat"


def test_from_texts_takes_one_text_or_several():
    prompts = ClassPrompts.from_texts({"cat": "a cat", "wild": ["a lion", "a fox"]})
    assert prompts.class_names == ("cat", "wild") and prompts.owners == (0, 1, 1)
    assert prompts.texts == {"cat": ["a cat"], "wild": ["a lion", "a fox"]}


@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_saved_and_loaded_again(tmp_path, suffix):
    prompts = ClassPrompts.from_texts({"no glasses": "face, bare", "Ärger": ["a", "b"]}, pooling="max", name="mine")
    assert ClassPrompts.load(prompts.save(tmp_path / f"p.{suffix}")) == prompts


def test_a_file_may_hold_the_classes_alone(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("cat: a photo of a cat\nwild: [a lion, a tiger]\n")
    loaded = ClassPrompts.load(path)
    assert loaded.prompts == ("a photo of a cat", "a lion", "a tiger") and loaded.name == "mine"
    path.with_suffix(".json").write_text(json.dumps({"cat": "c", "dog": "d"}))
    assert ClassPrompts.load(path.with_suffix(".json")).prompts == ("c", "d")


def test_a_file_may_hold_names_and_templates(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: x\npooling: max\nclasses: [cat, dog]\n")
    assert ClassPrompts.load(path) == ClassPrompts.from_texts(
        {"cat": "a photo of a cat", "dog": "a photo of a dog"}, pooling="max", name="x"
    )
    path.write_text("classes: [cat, dog]\ntemplates: ['a {}', 'my {}']\n")
    assert ClassPrompts.load(path).prompts == ("a cat", "my cat", "a dog", "my dog")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "holds no prompts"),
        ("- a\n- b\n", "holds no prompts"),
        ("cat: a cat\n", "at least two"),
        ("cat: a cat\ndog: []\n", "class 'dog' has no prompt"),
        ("no: no glasses\nyes: glasses\n", "class name False is empty or no text"),
        ("cat: a cat\ndog: ''\n", "prompt '' is empty"),
        ("cat: [a cat\n", "not a YAML or JSON file"),
        ("cat: a cat\ndog: 3\n", "class 'dog' has the prompt 3; pass a text or a list of texts"),
        ("cat: a cat\ndog: {a: b}\n", "class 'dog' has the prompt {'a': 'b'}"),
        ("cat: a cat\ndog: a dog\ncat: a kitten\n", "'cat' is given twice"),
        ("cat: a cat\ndog: 2020-13-45\n", "month must be in 1..12"),
        ("classes: {cat: a, dog: b}\npoolin: max\n", "unknown: poolin; accepted beside classes: are templates"),
        ("pooling: max\ntemplates: ['a {}']\n", "no classes: in it"),
        ("classes: {cat: a, dog: b}\ntemplates: ['a {}']\n", "templates: goes with a list of class names"),
        ("classes: cat\n", "classes: holds 'cat'"),
        ("classes: {cat: a, dog: b}\npooling: best\n", "pooling='best'; accepted are mean, max, sum"),
    ],
)
def test_a_wrong_file_is_one_sentence_that_names_it(tmp_path, text, reason):
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=re.escape(reason)) as caught:
        ClassPrompts.load(path)
    assert "p.yaml" in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.yaml: no such prompts file"):
        ClassPrompts.load(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("names", "templates", "reason"),
    [
        (["cat"], ["a {}"], "1 class given"),
        (["cat", "cat"], ["a {}"], "class name given twice: cat"),
        (["cat", " "], ["a {}"], "class name ' ' is empty"),
        (["cat", "dog"], ["a photo"], "exactly one {}"),
        (["cat", "dog"], ["{} and {}"], "exactly one {}"),
        (["cat", "dog"], [], "no templates given"),
    ],
)
def test_wrong_names_and_templates(names, templates, reason):
    with pytest.raises(ValueError, match=re.escape(reason)):
        ClassPrompts.from_names(names, templates)


def test_one_text_is_no_list_of_names():
    with pytest.raises(TypeError, match="pass a list of names"):
        ClassPrompts.from_names("cats")


def test_braces_in_a_class_name_stay():
    assert ClassPrompts.from_names(["{x}", "dog"], "a {}").prompts[0] == "a {x}"


def test_the_published_sets_are_the_tutorials():
    assert prompt_set_names() == ["glasses-1", "glasses-2", "glasses-3", "afhq-a", "afhq-b", "imagenette"]
    assert prompt_set("glasses-3").prompts == ("photo of a man with no glasses", "photo of a man with glasses")
    assert prompt_set("afhq-a").texts["wild"] == ["a photo of a wild animal"]
    assert len(prompt_set("afhq-b")) == 8 and prompt_set("afhq-b").pooling == "max"
    assert "a photo of a English springer" in prompt_set("imagenette").prompts  # as the tutorial has it
    with pytest.raises(ValueError, match="no prompt set 'x'; there are glasses-1"):
        prompt_set("x")


def test_default_prompts_are_the_tutorials_first_where_the_classes_agree():
    assert default_prompts(["dog", "cat", "wild"], "afhq").name == "afhq-a"
    assert default_prompts(["cat", "dog", "wild"], "afhq_v2").name == "afhq-a"
    assert default_prompts(["cat", "dog"], "afhq").prompts == ("a photo of a cat", "a photo of a dog")
    assert default_prompts(["cat", "dog"]).prompts == ("a photo of a cat", "a photo of a dog")
