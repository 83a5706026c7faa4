"""Class names x templates, files in and out, the published sets."""

import json
import re
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zsc
from zsc.cli import _options
from zsc.explorer.session import ExplorerSession
from zsc.prompts import (
    ClassPrompts,
    advice_on,
    check_prompts,
    default_prompts,
    prompt_set,
    prompt_set_names,
    template_set,
    template_set_names,
)
from zsc.prompts.prompts import load_many


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


ODD = ["name", "source", "dataset", "classes", "templates", "pooling", "yes", "null", "~", "1", "010", "2020-01-01",
       "<<", "*a", "&a", "# no", "a: b", "- a", "{}", "%", "🐈", "\x85", "a\x85b", "a\u2028b", "\x7f", "a\tb", " a",
       "a ", "a\nb", "a\r\nb", "\ufeffx", "é", "e\u0301", "k" * 2000, "a b " * 400, "'", '"', "\\", "\udce9",
       "\U0010ffff"]  # fmt: skip
TEXTS = st.one_of(st.sampled_from(ODD), st.text(min_size=1)).filter(lambda text: text.strip())
PROMPTS = TEXTS.filter(lambda text: not re.search("[\ud800-\udfff]", text))


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(TEXTS, st.lists(PROMPTS, min_size=1, max_size=3), min_size=2, max_size=6),
    st.one_of(st.just(""), TEXTS),
    st.sampled_from([None, "max"]),
    st.sampled_from(["yaml", "json", "JSON"]),
)
def test_whatever_is_saved_comes_back(texts, name, pooling, suffix):
    prompts = ClassPrompts.from_texts(texts, pooling=pooling, name=name)
    with tempfile.TemporaryDirectory() as folder:
        path = prompts.save(Path(folder, f"other name.{suffix}"))
        assert ClassPrompts.load(path) == prompts


class TestJson:
    def write(self, path, text):
        path.write_text(text, encoding="utf-8")
        return path

    def test_it_is_read_as_json(self, tmp_path):
        texts = {"cat": ["a 🐈"], "k" * 2000: ["a dog", "x\x7fy"], "wild": ["\u0085 z"]}
        for options in ({"indent": "\t"}, {"ensure_ascii": True}, {"ensure_ascii": False, "indent": 1}):
            path = self.write(tmp_path / "p.json", json.dumps(texts, **options))
            assert ClassPrompts.load(path).texts == texts
        assert ClassPrompts.load(self.write(tmp_path / "bom.JSON", "\ufeff" + json.dumps(texts))).texts == texts

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ('{"cat": "a", "dog": "b", "cat": "c"}', "'cat' is given twice"),
            ('{"cat": NaN, "dog": "b"}', "NaN is no number in JSON"),
            ('{"cat": Infinity, "dog": "b"}', "Infinity is no number"),
            ("cat: a cat\ndog: a dog\n", "it is no JSON: Expecting value"),
            ("[" * 100_000, "nested too deeply"),
            ('["cat", "dog"]', "holds no prompts"),
            ('{"cat": null, "dog": "b"}', "class 'cat' has the prompt None"),
        ],
    )
    def test_what_is_wrong_is_one_sentence(self, tmp_path, text, reason):
        with pytest.raises(ValueError, match=re.escape(reason)) as caught:
            ClassPrompts.load(self.write(tmp_path / "p.json", text))
        assert "p.json" in str(caught.value) and "\n" not in str(caught.value)


class TestClassesOfOddNames:
    @pytest.mark.parametrize("name", ["name", "source", "dataset", "templates", "pooling", "classes"])
    def test_a_class_called_as_a_keyword(self, tmp_path, name):
        path = tmp_path / "p.yaml"
        path.write_text(f"{name}: a photo of it\ncat: a cat\n")
        assert ClassPrompts.load(path).texts == {name: ["a photo of it"], "cat": ["a cat"]}

    def test_what_could_be_either_is_refused_and_says_how(self, tmp_path):
        path = tmp_path / "p.yaml"
        for text in (
            "classes: [a, b]\ncat: a cat\n",
            "name: a tag\nsource: a spring\n",
            "classes: [cat, dog]\ntemplate: 'a {}'",
        ):
            path.write_text(text)
            with pytest.raises(
                ValueError, match="a class of such a name goes, with the others, as 'class: prompt' under"
            ):
                ClassPrompts.load(path)
        path.write_text("classes:\n  name: a tag\n  source: a spring\n")
        assert ClassPrompts.load(path).class_names == ("name", "source")

    def test_two_candidates_of_one_name(self, tmp_path):
        path = tmp_path / "c.yaml"
        inner = "{cat: a, dog: b}"
        path.write_text(f"1: {inner}\n'1': {inner}\n")
        with pytest.raises(ValueError, match="the file holds '1' more than once"):
            load_many(path)
        path.write_text(f"yes: {inner}\n'1': {inner}\n")
        with pytest.raises(ValueError, match="the key True is not a text; put it in quotes"):
            load_many(path)
        path.write_text(f"a: {inner}\nname: {{name: a tag, cat: b}}\n")
        assert load_many(path)["name"].class_names == ("name", "cat")


class TestYamlWithoutSurprises:
    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("a: &a [x, x]\nb: &b [*a, *a]\n", "*a is an alias; write out what it stands for"),
            ("a: &x [b]\nc: *x\n", "*x is an alias"),
            ("base: &b {x: y}\nc:\n  <<: *b\n", "is an alias"),
            ("<<: {a: b}\nc: d\n", "<<: merges keys, which is not read"),
            ("null: a\n~: b\n", "the key None is not a text; put it in quotes"),
            ("[" * 3000, "nested too deeply"),
            ("a: " + "{b: " * 3000, "nested too deeply"),
            ("classes: [cat, dog]\ntemplates: []\n", "no templates given"),
            ("classes: [cat, dog]\ntemplates: {a: b}\n", "templates is a dict, where order decides"),
            ("classes: {cat: a, dog: b}\nname: [x]\n", "name: holds ['x']; put it in quotes"),
            ("cat: !!python/object/apply:os.getcwd []\ndog: b\n", "not a YAML or JSON file"),
        ],
    )
    def test_what_is_wrong_is_one_sentence(self, tmp_path, text, reason):
        path = tmp_path / "p.yaml"
        path.write_text(text)
        for read in (ClassPrompts.load, load_many):
            with pytest.raises(ValueError, match=r"p\.yaml: ") as caught:
                read(path)
            assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
        with pytest.raises(ValueError, match=re.escape(reason)):
            ClassPrompts.load(path)

    def test_nine_levels_of_ten(self, tmp_path):
        lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
        lines += [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
        path = tmp_path / "p.yaml"
        path.write_text("\n".join(lines))
        with pytest.raises(ValueError, match="is an alias"):
            ClassPrompts.load(path)


class TestWriting:
    def test_a_failed_write_leaves_the_old_file(self, tmp_path):
        path = ClassPrompts.from_names(["cat", "dog"]).save(tmp_path / "p.yaml")
        before = path.read_bytes()
        (tmp_path / "p.yaml").chmod(0o600)
        with pytest.raises(OSError, match="gone"):
            ClassPrompts.from_names(["a", "b"]).save(tmp_path / "gone" / "p.yaml")
        assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["p.yaml"]

    def test_half_a_character_is_refused_before_any_file_is_opened(self):
        with pytest.raises(ValueError, match=r"prompt 'x\\ud83d' holds half a character"):
            ClassPrompts.from_texts({"a": "x\ud83d", "b": "y"})


class TestContainers:
    @pytest.mark.parametrize(
        "names", [{"cat", "dog"}, frozenset({"cat", "dog"}), {"cat": 1, "dog": 2}, {"cat": 1}.keys()]
    )
    def test_names_without_order_are_refused(self, names):
        for make in (ClassPrompts.from_names, lambda n: ClassPrompts(n, ("a", "b"), (0, 1))):
            with pytest.raises(TypeError, match="class_names is a .*, where order decides; pass a list of texts"):
                make(names)

    def test_so_are_templates_and_prompts(self):
        with pytest.raises(TypeError, match="templates is a set, where order decides"):
            ClassPrompts.from_names(["cat", "dog"], {"a {}", "the {}"})
        with pytest.raises(TypeError, match="class 'cat' has the prompt {"):
            ClassPrompts.from_texts({"cat": {"a", "b"}, "dog": "c"})

    def test_generators_series_and_arrays_go_by_place(self):
        expected = ClassPrompts.from_names(["cat", "dog"], ["a {}", "the {}"])
        for kind in (
            iter,
            np.array,
            tuple,
            lambda texts: pd.Series(texts, index=[1, 0]),
            lambda texts: (t for t in texts),
        ):
            assert ClassPrompts.from_names(kind(["cat", "dog"]), kind(["a {}", "the {}"])) == expected
            texts = {"cat": kind(["a cat", "the cat"]), "dog": kind(["a dog", "the dog"])}
            assert ClassPrompts.from_texts(texts) == expected

    def test_direct_construction_is_checked_and_copied(self):
        names, prompts = ["cat", "dog"], ["a", "b"]
        made = ClassPrompts(names, prompts, np.array([0, 1]))
        names.clear()
        prompts[0] = "z"
        assert made == ClassPrompts(("cat", "dog"), ("a", "b"), (0, 1)) and hash(made)
        for owners, reason in (
            ([0.0, 1.0], "owners holds float64"), ([False, True], "owners holds bool"), ([0, 2], "owners runs from"),
            ([0], "2 prompts for 1 owners"), ([1, 0], "in the order of the classes"), ([0, 0], "at least one prompt"),
        ):  # fmt: skip
            with pytest.raises(ValueError, match=reason):
                ClassPrompts(("cat", "dog"), ("a", "b"), owners)


@pytest.mark.slow
def test_many_classes_cost_no_square(tmp_path):
    names = [f"class {i}" for i in range(20_000)]  # seconds; a quarter of an hour where each is compared with each
    prompts = ClassPrompts.from_names(names)
    assert list(prompts.texts) == names
    assert ClassPrompts.load(prompts.save(tmp_path / "p.yaml")) == prompts
    assert len(check_prompts(ClassPrompts.from_texts(dict.fromkeys(names, "the same")))) == len(names)
    with pytest.raises(ValueError, match="class_names holds 'class 7' more than once"):
        ClassPrompts.from_names([*names, "class 7"])


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
        ("cat: a cat\ndog: []\n", "class 'dog' has no prompt"),
        ("no: no glasses\nyes: glasses\n", "the key False is not a text; put it in quotes"),
        ("cat: a cat\ndog: ''\n", "prompt '' is empty"),
        ("cat: [a cat\n", "not a YAML or JSON file"),
        ("cat: a cat\ndog: 3\n", "class 'dog' has the prompt 3; pass a text or a list of texts"),
        ("cat: a cat\ndog: {a: b}\n", "class 'dog' has the prompt {'a': 'b'}"),
        ("cat: a cat\ndog: a dog\ncat: a kitten\n", "'cat' is given twice"),
        ("cat: a cat\ndog: 2020-13-45\n", "month must be in 1..12"),
        ("classes: {cat: a, dog: b}\npoolin: max\n", "unknown: poolin; beside classes: there may be templates"),
        ("pooling: max\ntemplates: ['a {}']\n", "no classes: in it"),
        ("classes: {cat: a, dog: b}\ntemplates: ['a {}']\n", "templates: goes with a list of class names"),
        ("classes: cat\n", "classes: holds 'cat'"),
        ("classes: {cat: a, dog: b}\npooling: best\n", "pooling='best'; pooling must be one of mean, max, sum"),
    ],
)
def test_a_wrong_file_is_one_sentence_that_names_it(tmp_path, text, reason):
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=re.escape(reason)) as caught:
        ClassPrompts.load(path)
    assert "p.yaml" in str(caught.value) and "\n" not in str(caught.value)


def test_a_class_alone_is_written_and_read(tmp_path):
    alone = ClassPrompts.from_names(["dog"], ["a photo of a {}"])
    assert alone.texts == {"dog": ["a photo of a dog"]}
    assert ClassPrompts.load(alone.save(tmp_path / "p.yaml")) == alone


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.yaml: no such prompts file"):
        ClassPrompts.load(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("names", "templates", "reason"),
    [
        ([], ["a {}"], "class_names holds 0; pass one or more"),
        (["cat", "cat"], ["a {}"], "class_names holds 'cat' more than once"),
        (["cat", " "], ["a {}"], "class_names holds ' ' at position 1"),
        (["cat", "dog"], ["a photo"], "exactly one {}"),
        (["cat", "dog"], ["{} and {}"], "exactly one {}"),
        (["cat", "dog"], [], "no templates given"),
    ],
)
def test_wrong_names_and_templates(names, templates, reason):
    with pytest.raises(ValueError, match=re.escape(reason)):
        ClassPrompts.from_names(names, templates)


def test_one_text_is_no_list_of_names():
    with pytest.raises(TypeError, match="pass a list of texts"):
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

    @pytest.mark.parametrize(
        ("languages", "text", "warning"),
        [
            ("English", "一只猫", "no English script"), ("English", "a cat", ""),
            ("English", "a γ", "no English script"), ("many", "一只猫", ""), ("many", "собака", ""),
            ("many", "kedi γάτα", ""), ("many", "a cat", ""),
            ("Chinese", "一只猫", ""), ("Chinese", "一张iPhone的照片", ""), ("Chinese", "42 %", ""),
            ("Chinese", "a photo of a cat", "no Chinese script"), ("Chinese", "собака", "no Chinese script"),
        ],
    )  # fmt: skip
    def test_scripts_are_those_of_the_model(self, languages, text, warning, colours):
        """A multilingual model reads all; a Chinese one wants a letter of its own, beside names in Latin."""
        colours.info = replace(colours.info, languages=languages)
        prompts = ClassPrompts.from_texts({"a": text, "b": "10 %"})
        for table in (advice_on(prompts, colours), _options.advice_on(colours, prompts)):
            assert table["warning"].tolist() == ([warning] if warning else [])
            assert all(f"learned from {languages} captions; write it in {languages}" in a for a in table["advice"])

    @pytest.mark.parametrize(("languages", "warnings"), [("English", 1), ("many", 0)])
    def test_so_are_a_classifiers_and_the_explorers(self, languages, warnings, colours, colour_dataset):
        colours.info = replace(colours.info, languages=languages)
        texts = {"red": "a red 猫", "green": "green", "blue": "blue"}
        assert len(zsc.ZeroShotClassifier(texts, colours).advice) == warnings
        session = ExplorerSession(zsc.embed_images(colours, colour_dataset, progress=False), colours)
        assert len(session.ask(texts).notes) == warnings

    @pytest.mark.parametrize("text", ["a photo of a cat", "café", "northern nose", "a knot", "golf ball", "notebook"])
    def test_what_is_not(self, text):
        assert check_prompts(ClassPrompts.from_texts({"a": text, "b": "a plain sentence"})).empty

    def test_ids_of_imagenet_and_numbers_of_folders(self):
        names = ["n01440764", "n02102040-springer", "0", "001.Albatross", "ground_beetle", "Straße_Nr"]
        table = check_prompts(ClassPrompts.from_names([*names, "tench"]))
        assert table["class_name"].tolist() == names and set(table["warning"]) == {"no phrase"}
        assert "an ImageNet id" in table["advice"][0] and "--prompts-file" in table["advice"][1]
        assert "write it as people would" in table["advice"][2]

    def test_a_number_inside_another_is_no_label(self):
        assert check_prompts(ClassPrompts.from_texts({"1": "10 dogs", "b": "a cat"})).empty

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
