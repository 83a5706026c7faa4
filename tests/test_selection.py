"""Prompts compared and chosen on a model of known geometry; candidates in every form; controls."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import COLOURS, ColourEncoder, colour_picture

import zsc
from zsc.prompt_search import greedy_templates
from zsc.prompts import ClassPrompts, prompt_set
from zsc.prompts.prompts import load_descriptions, load_many
from zsc.selection import (
    as_candidates,
    choose_prompts,
    compare_prompts,
    descriptions_control,
    random_words_verdict,
)

RGB = ["red", "green", "blue"]
GOOD = {"red": "red", "green": "green", "blue": "blue"}
BAD = {"red": "red", "green": "grey", "blue": "yellow"}


@pytest.fixture(scope="module")
def model():
    return ColourEncoder()


@pytest.fixture(scope="module")
def embeddings(model):
    """Ninety pictures near their colour."""
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    pictures = [colour_picture(np.clip(np.array(COLOURS[RGB[k]]) + rng.uniform(0, 0.45, 3), 0, 1)) for k in labels]
    dataset = zsc.ImageDataset(pictures, labels, RGB, name="colours", split_name="test")
    return zsc.embed_images(model, dataset, progress=False)


class TestCandidates:
    def test_every_form(self):
        ready = ClassPrompts.from_names(RGB)
        found = as_candidates(
            {"ready": ready, "map": GOOD, "template": "a {} dot", "set": "pets", "several": ["{}", "my {}"],
             "texts": ["a", "b", "c"], "name only": "name only"}, RGB,
        )  # fmt: skip
        assert found["ready"] is ready and found["map"].texts["green"] == ["green"]
        assert found["template"].prompts[0] == "a red dot"
        assert found["set"].prompts[0] == "a photo of a red, a type of pet."
        assert len(found["several"]) == 6 and found["texts"].texts == {"red": ["a"], "green": ["b"], "blue": ["c"]}
        assert found["name only"].prompts == ("red", "green", "blue")

    @pytest.mark.parametrize(
        ("given", "reason"),
        [
            ({}, "candidates is empty or no mapping"),
            (["{}"], "candidates is empty or no mapping"),
            ({"x": ["a", "b"]}, "candidate 'x': 2 texts for 3 classes; a candidate must be"),
            ({1: "{}", "1": "a {}"}, "candidates holds '1' more than once"),
            ({"x": "no such set"}, "candidate 'x': "),
            ({"x": 5}, "candidate 'x': "),
            ({"x": {"red": []}}, "candidate 'x': class 'red' has no prompt"),
        ],
    )
    def test_wrong_ones(self, given, reason):
        with pytest.raises(ValueError, match=reason):
            as_candidates(given, RGB)

    def test_from_a_file(self, tmp_path):
        path = tmp_path / "c.yaml"
        path.write_text("bare: {cat: cat, dog: dog}\nmany:\n  pooling: max\n  classes: {cat: [a, b], dog: c}\n")
        found = load_many(path)
        assert found["bare"].prompts == ("cat", "dog") and found["many"].pooling == "max"
        assert [c.name for c in found.values()] == ["bare", "many"]
        path.write_text("bare: cat\n")
        with pytest.raises(ValueError, match=r"c\.yaml: 'bare' holds 'cat'; write its"):
            load_many(path)
        path.write_text("bare: {cat: cat}\n")
        with pytest.raises(ValueError, match=r"c\.yaml: candidate 'bare': .*1"):
            load_many(path)


class TestCompare:
    def test_against_evaluations_one_by_one(self, embeddings, model):
        table = compare_prompts(embeddings, {"bad": BAD, "good": GOOD}, model=model)
        for name, prompts in (("bad", BAD), ("good", GOOD)):
            evaluation = zsc.ZeroShotClassifier(prompts, model).evaluate(embeddings)
            assert table.loc[name, "accuracy"] == evaluation.accuracy
            assert (table.loc[name, "low"], table.loc[name, "high"]) == evaluation.interval
            assert table.loc[name, "macro_recall"] == pytest.approx(evaluation.macro_recall)
        assert table.loc["good", "verdict"] == "better than 'bad'" and table.loc["good", "p_value"] < 0.001
        row = table.loc["good"]
        assert (row["model"], row["dataset"], row["reference"]) == ("colours", "colours test", "bad")
        assert row["prompts"]["red"] == ["red"] and (row["pooling"], row["matched_by"]) == ("mean", "name")

    def test_the_order_of_classes_and_pictures_changes_nothing(self, embeddings, model):
        first = compare_prompts(embeddings, {"bad": BAD, "good": GOOD}, model=model)
        turned = {name: dict(reversed(p.items())) for name, p in (("bad", BAD), ("good", GOOD))}
        order = np.random.default_rng(0).permutation(len(embeddings))
        second = compare_prompts(embeddings.select(order), turned, model=model)
        assert first["accuracy"].equals(second["accuracy"]) and first["p_value"].equals(second["p_value"])

    def test_a_table_of_hopeless_prompts_says_so(self, model):
        """Two pictures in three are red, and prompts that find nothing but red are right as often."""
        labels = np.array([0, 0, 0, 0, 1, 2] * 10)
        pictures = [colour_picture(COLOURS["red"]) for _ in labels]
        embeddings = zsc.embed_images(model, zsc.ImageDataset(pictures, labels, RGB), progress=False)
        table = compare_prompts(embeddings, {"blind": GOOD, "turned": {"red": "blue", "green": "red", "blue": "red"}},
                                model=model)  # fmt: skip
        assert (table["baseline"] == 40 / 60).all() and table["accuracy"].tolist() == [40 / 60, 10 / 60]
        than = "than always naming the most frequent class (0.667)"
        assert table["verdict"].tolist() == [
            f"reference; not shown to be better {than}", f"worse than 'blind'; worse {than}"
        ]  # fmt: skip

    def test_a_good_prompt_is_not_called_hopeless(self, embeddings, model):
        table = compare_prompts(embeddings, {"good": GOOD, "again": GOOD}, model=model)
        assert (table["baseline"] == 1 / 3).all() and not table["verdict"].str.contains("frequent").any()
        assert table.loc["again", "difference_low"] < 0 < table.loc["again", "difference_high"]

    def test_no_picture_is_opened(self, embeddings, model):
        before = len(model.image_batches)
        compare_prompts(embeddings, {"bad": BAD, "good": GOOD}, model=model)
        assert len(model.image_batches) == before

    def test_another_models_embeddings_are_refused(self, embeddings):
        with pytest.raises(ValueError, match="embed the pictures with the same model"):
            compare_prompts(embeddings, {"bad": BAD, "good": GOOD}, model=ColourEncoder(fingerprint_salt="x"))


class TestChoose:
    def test_the_report_is_on_pictures_that_had_no_say(self, embeddings, model):
        choice = choose_prompts(embeddings, {"bad": BAD, "good": GOOD}, model=model, seed=3)
        assert choice.name == "good" and choice.prompts.texts["blue"] == ["blue"] and choice.prompts.name == "good"
        assert choice.evaluation.n == 45 and choice.evaluation.made_by.part == "held out: 45 of 90 pictures"
        assert choice.held_out_accuracy == choice.evaluation.accuracy
        assert choice.optimism == pytest.approx(choice.chosen_accuracy - choice.held_out_accuracy)
        assert "chosen on one part: good" in choice.summary() and "95 % interval" in choice.summary()
        again = choose_prompts(embeddings, {"bad": BAD, "good": GOOD}, model=model, seed=3)
        assert again.splits.equals(choice.splits)
        other = choose_prompts(embeddings, {"bad": BAD, "good": GOOD}, model=model, seed=4)
        assert other.evaluation.images != choice.evaluation.images

    def test_repeated_and_crossed(self, embeddings, model):
        options = {"model": model, "repeats": 3, "cross_fit": True}
        choice = choose_prompts(embeddings, {"bad": BAD, "good": GOOD}, **options)
        assert len(choice.splits) == 6 and "chosen in 6 of 6 splits: good" in choice.summary()

    @pytest.mark.parametrize("options", [{"repeats": 2}, {"cross_fit": True}, {"repeats": 20, "cross_fit": True}])
    def test_nothing_that_had_a_say_is_called_held_out(self, embeddings, model, options):
        choice = choose_prompts(embeddings, {"bad": BAD, "good": GOOD}, model=model, **options)
        assert choice.evaluation is None and "no evaluation is held out" in repr(choice)
        assert "95 %" not in choice.summary() and f"no say {choice.held_out_accuracy:.3f}" in choice.summary()

    @pytest.mark.parametrize(
        ("options", "reason"),
        [
            ({"seed": "q"}, "seed='q'; seed must be a whole number from 0"),
            ({"seed": -1}, "seed=-1; seed must be"),
            ({"repeats": 2.5}, "repeats=2.5; repeats must be"),
            ({"repeats": True}, "repeats=True; repeats must be"),
            ({"share": 1.5}, "share=1.5"),
            ({"share": "half"}, "share='half'"),
        ],
    )
    def test_wrong_input(self, options, reason, embeddings, model):
        with pytest.raises(ValueError, match=reason):
            choose_prompts(embeddings, {"bad": BAD, "good": GOOD}, model=model, **options)

    @pytest.mark.parametrize("ask", [choose_prompts, compare_prompts, greedy_templates])
    def test_what_is_no_embeddings_is_refused(self, ask, embeddings, model):
        arguments = ["a {}"] if ask is greedy_templates else [{"good": GOOD}]
        with pytest.raises(TypeError, match="embeddings is a ndarray; pass embeddings: zsc.embed_images"):
            ask(embeddings.values, *arguments, model=model)


class OddEncoder(ColourEncoder):
    """Reads "wrong" as another colour than the one that is named."""

    def embed_tokens(self, tokens):
        turned = {"red": "green", "green": "blue", "blue": "red"}
        texts = [" ".join(turned.get(w, w) for w in t.split()) if "wrong" in t else t for t in tokens]
        return super().embed_tokens(texts)


class TestGreedy:
    def test_the_best_template_comes_first_and_the_ensemble_is_the_mean(self, embeddings):
        model = OddEncoder()
        templates = ["wrong {}", "a {}", "the wrong {}", "the {}"]
        choosing, others = embeddings.select(np.arange(30, 90)), embeddings.head(30)
        table = greedy_templates(choosing, templates, model=model, held_out=others)
        assert table["template"].tolist()[0] == "a {}" and set(table["template"]) == set(templates)
        for step in range(4):
            prompts = ClassPrompts.from_names(RGB, table["template"][: step + 1].tolist())
            clf = zsc.ZeroShotClassifier(prompts, model)
            assert table["accuracy"][step] == clf.evaluate(choosing).accuracy
            assert table["held_out_accuracy"][step] == clf.evaluate(others).accuracy
        assert len(greedy_templates(embeddings, templates, model=model, max_templates=2)) == 2

    def test_held_out_pictures_that_chose_are_told(self, embeddings, model):
        with pytest.warns(UserWarning, match="30 of 30 pictures of held_out are in embeddings as well"):
            greedy_templates(embeddings, "a {}", model=model, held_out=embeddings.head(30))
        part = embeddings.select(np.arange(10, 90))
        with pytest.warns(UserWarning, match="20 of 30 pictures of held_out"):
            greedy_templates(part, "a {}", model=model, held_out=embeddings.head(30))

    def test_wrong_input(self, embeddings, model):
        for steps in (3, 0, 1.0):
            with pytest.raises(ValueError, match=f"max_templates={steps}; max_templates must be a whole number from 1"):
                greedy_templates(embeddings, "a {}", model=model, max_templates=steps)
        with pytest.raises(TypeError, match="class_names is the one text 'abc'"):
            greedy_templates(embeddings, "a {}", model=model, class_names="abc")
        other = zsc.ImageEmbeddings(embeddings.values, embeddings.paths, embeddings.labels, ["a", "b", "c"])
        with pytest.raises(ValueError, match="held_out has the classes"):
            greedy_templates(embeddings, "a {}", model=model, held_out=other)
        bare = zsc.ImageEmbeddings(
            embeddings.values, embeddings.paths, np.full(90, -1), RGB, fingerprint=model.fingerprint
        )
        with pytest.raises(ValueError, match="embeddings.labels runs from -1 to -1"):
            greedy_templates(bare, "a {}", model=model)


@pytest.mark.skipif(
    not Path("../shared/data/afhq").is_dir(), reason="the 15 AFHQ photographs are not part of the project"
)
def test_the_fifteen_photographs(conse):
    """AFHQ's story in small: prompts A against B, and what 15 pictures can tell."""
    embeddings = zsc.embed_images(conse, zsc.load_dataset("afhq", "../shared/data"), progress=False)
    b = prompt_set("afhq-b")
    candidates = {"A": prompt_set("afhq-a"), "B max": b, "B mean": dataclasses.replace(b, pooling="mean")}
    table = compare_prompts(embeddings, candidates, model=conse)
    assert table["accuracy"].round(2).tolist() == [0.87, 1.0, 0.87]
    assert (table["verdict"].iloc[1:] == "15 images cannot tell it from 'A'").all()


class WordsEncoder(ColourEncoder):
    """A text's embedding is the mean of the colours it names; without any it is grey."""

    def embed_tokens(self, tokens):
        self.texts_seen += tokens
        words = [[w for w in re.findall("[a-z]+", text) if w in COLOURS] or ["grey"] for text in tokens]
        return torch.tensor(np.array([np.mean([COLOURS[w] for w in each], axis=0) for each in words])).float()


class TestDescriptions:
    """The words that tell the classes apart have three to five letters; each has companions of its length."""

    ABC = ("cat", "dog", "fox")
    FILLED = "big old odd shy wet dry hot tall tiny fast wide bold calm cold warm quick round shiny sharp short small"
    USELESS = "four paws/soft fur", "long tail/wet nose", "keen eyes/sly face"

    @pytest.fixture(scope="class")
    def animals(self, embeddings):
        return dataclasses.replace(embeddings, class_names=list(self.ABC))

    def write(self, folder, content):
        path = folder / "file.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    def useless(self, folder):
        texts = (text.split("/") for text in self.USELESS)
        return load_descriptions(self.write(folder, dict(zip(self.ABC, texts, strict=True))), self.ABC)

    def test_features_are_joined_as_in_dclip(self, tmp_path):
        content = {"Cat": ["four legs", "a long tail", "often asleep", "used as a pet."], "dog": [], "eel": ["fins"]}
        prompts = load_descriptions(self.write(tmp_path, content), ["cat", "dog"])
        assert prompts.name == "file" and prompts.texts == {
            "cat": ["a photo of a cat, which has four legs.", "a photo of a cat, which is a long tail.",
                    "a photo of a cat, which often asleep.", "a photo of a cat, which is used as a pet."],
            "dog": ["a photo of a dog."],
        }  # fmt: skip

    def test_sentences_stay_as_they_are(self, tmp_path):
        content = {"cat": ["A cat has whiskers.", "It purrs."], "dog": ["A Dog barks.", "dogs run"]}
        assert load_descriptions(self.write(tmp_path, content), ["cat", "dog"]).texts == content

    def test_a_file_that_is_none_is_named(self, tmp_path):
        with pytest.raises(ValueError, match=r"file\.json: class 'cat' has the prompt 5; pass a text"):
            load_descriptions(self.write(tmp_path, {"cat": 5, "dog": "a"}), ["cat", "dog"])

    def test_telling_words_beat_random_words(self, animals, tmp_path):
        content = {c: [word, *self.FILLED.split()] for c, word in zip(self.ABC, RGB, strict=True)}
        prompts = load_descriptions(self.write(tmp_path, content), self.ABC)
        table = descriptions_control(animals, prompts, model=WordsEncoder(), draws=99)
        p, _ = random_words_verdict(table)
        assert table[0] == 1 and len(table) == 100 and p == pytest.approx(table.count(1) / 100)
        assert p < 0.1 and np.mean(table[1:]) < 0.7  # three colours are often dealt rightly by luck

    @pytest.mark.parametrize(("worse", "says"), [(99, "beats"), (95, "does not beat")])
    def test_the_verdict_counts_draws(self, worse, says):
        p, verdict = random_words_verdict([0.8] + [0.7] * worse + [0.8] * (99 - worse))
        assert p == pytest.approx((100 - worse) / 100)
        assert verdict.startswith(f"{says} random words of equal number and length, p = {p:.2g} (0.800; 99 draws")

    def test_useless_words_do_not(self, animals, tmp_path):
        prompts = self.useless(tmp_path)
        p, verdict = random_words_verdict(descriptions_control(animals, prompts, model=WordsEncoder(), draws=19))
        assert p == 1 and verdict.startswith("does not beat random words")

    def test_number_and_length_are_equal_and_shared_words_stay(self, animals, tmp_path):
        prompts = self.useless(tmp_path)
        model = WordsEncoder()
        descriptions_control(animals, prompts, model=model, draws=3)
        drawn = model.texts_seen[6:]  # each text once per draw
        assert 12 < len(drawn) <= 18 and set(drawn) - set(prompts.prompts)
        shapes = {(own[: own.index("has")], *map(len, own.split())) for own in prompts.prompts}
        assert all((text[: text.index("has")], *map(len, text.split())) in shapes for text in drawn)
