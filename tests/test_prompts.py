"""Class names x templates, files in and out, the published sets."""

import json
import re

import pytest

from zsc.prompts import (
    ClassPrompts,
    check_prompts,
    default_prompts,
    prompt_set,
    prompt_set_names,
    template_set,
    template_set_names,
)


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
    assert prompt_set_names() == [
        "glasses-1",
        "glasses-2",
        "glasses-3",
        "afhq-a",
        "afhq-b",
        "imagenette",
        "imagenette-edited",
    ]
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


class TestTemplates:
    def test_openais_two_sets(self):
        from open_clip import zero_shot_metadata as published

        assert list(template_set("imagenet-80")) == [t("{}") for t in published.OPENAI_IMAGENET_TEMPLATES]
        assert list(template_set("imagenet-7")) == [t("{}") for t in published.SIMPLE_IMAGENET_TEMPLATES]
        assert set(template_set("imagenet-7")) <= set(template_set("imagenet-80"))

    def test_every_set_makes_prompts(self):
        for name in template_set_names():
            prompts = ClassPrompts.from_names(["cat", "dog"], name)
            assert len(prompts) == 2 * len(template_set(name)) and all("{}" not in p for p in prompts)
        assert ClassPrompts.from_names(["cat", "dog"], "name only").prompts == ("cat", "dog")

    def test_an_unknown_one(self):
        with pytest.raises(ValueError, match="no template set 'birds'; there are name only, a photo of a {}"):
            template_set("birds")
        with pytest.raises(ValueError, match="template 'birds' must be a text with exactly one {}"):
            ClassPrompts.from_names(["a", "b"], "birds")

    @pytest.mark.parametrize(
        ("name", "article"),
        [("English springer", "an"), ("tench", "a"), ("unicorn", "a"), ("umbrella", "an"), ("European fox", "a"),
         ("hourglass", "an"), ("horse", "a"), ("one-eyed cat", "a"), ("onion", "an"), ("ewe", "a"), ("eel", "an"),
         ("utensil", "a"), ("uniform", "a"), ("uninvited guest", "an"), ("U-boat", "a"), ("heirloom", "an")],
    )  # fmt: skip
    def test_articles(self, name, article):
        prompts = ClassPrompts.from_names([name, "dog"], ["a photo of a {}.", "the {}"], articles=True)
        assert prompts.prompts[:2] == (f"a photo of {article} {name}.", f"the {name}")
        assert ClassPrompts.from_names([name, "dog"], "a photo of a {}").prompts[0] == f"a photo of a {name}"

    def test_the_edited_names_keep_the_published_classes(self):
        edited, published = prompt_set("imagenette-edited"), prompt_set("imagenette")
        assert edited.class_names == published.class_names
        changed = [b for a, b in zip(published.prompts, edited.prompts, strict=True) if a != b]
        assert changed == ["a photo of a English Springer Spaniel", "a photo of a chainsaw"]
        assert default_prompts(edited.class_names, "imagenette").name == "imagenette"


class TestAdvice:
    @pytest.mark.parametrize(
        ("text", "warning"),
        [
            ("a face without glasses", "negation"), ("no glasses", "negation"), ("a man who isn't smiling", "negation"),
            ("ein Hund, 犬", "no English script"), ("собака", "no English script"),
            ("n01440764", "no phrase"), ("cassette_player", "no phrase"), ("garbageTruck", "no phrase"),
            ("class12", "no phrase"), ("7", "no phrase"),
        ],
    )  # fmt: skip
    def test_what_is_warned_of(self, text, warning):
        table = check_prompts(ClassPrompts.from_texts({"a": text, "b": "a plain sentence"}))
        assert table["warning"].tolist() == [warning] and table["prompt"].tolist() == [text]
        assert table["class_name"].tolist() == ["a"] and table["advice"][0].endswith(".")

    @pytest.mark.parametrize("text", ["a photo of a cat", "café", "northern nose", "a knot", "golf ball", "notebook"])
    def test_what_is_not(self, text):
        assert check_prompts(ClassPrompts.from_texts({"a": text, "b": "a plain sentence"})).empty

    def test_a_label_inside_a_template(self):
        table = check_prompts(ClassPrompts.from_names(["n01440764", "tench"]))
        assert table["warning"].tolist() == ["no phrase"] and "'n01440764' reads like a label" in table["advice"][0]

    def test_doubles(self):
        table = check_prompts(ClassPrompts.from_texts({"a": ["A  cat", "x y"], "b": ["a cat", "z w", "z w"]}))
        assert table["warning"].tolist() == ["duplicate"] * 3
        assert table["advice"].str.contains("also a prompt of").sum() == 2
        assert "given 2 times for this class" in table["advice"][2]

    def test_lengths(self):
        prompts = ClassPrompts.from_texts({"a": "word " * 80, "b": "short"})
        table = check_prompts(prompts, count_tokens=lambda t: len(t.split()) + 2)
        assert table["warning"].tolist() == ["too long"] and "82 tokens, the model reads 77" in table["advice"][0]
        assert check_prompts(prompts).empty
