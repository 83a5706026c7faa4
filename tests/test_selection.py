"""Prompts compared and chosen on a model of known geometry; candidates in every form; controls; search."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import COLOURS, ColourEncoder, colour_picture

import zsc
from zsc.prompts import ClassPrompts, prompt_set
from zsc.retrieval import search
from zsc.selection import (
    as_candidates,
    choose_prompts,
    compare_prompts,
    greedy_templates,
    load_candidates,
    random_words_control,
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
            ({"x": ["a", "b"]}, "candidate 'x': 2 texts for 3 classes; accepted are"),
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
        found = load_candidates(path)
        assert found["bare"].prompts == ("cat", "dog") and found["many"].pooling == "max"
        assert [c.name for c in found.values()] == ["bare", "many"]
        path.write_text("bare: cat\n")
        with pytest.raises(ValueError, match=r"c\.yaml: 'bare' holds 'cat'; write its prompts under it"):
            load_candidates(path)
        path.write_text("bare: {cat: cat}\n")
        with pytest.raises(ValueError, match=r"c\.yaml: candidate 'bare': 1 class given"):
            load_candidates(path)


class TestCompare:
    def test_against_evaluations_one_by_one(self, embeddings, model):
        table = compare_prompts(embeddings, {"bad": BAD, "good": GOOD}, model=model)
        for name, prompts in (("bad", BAD), ("good", GOOD)):
            evaluation = zsc.ZeroShotClassifier(prompts, model).evaluate(embeddings)
            assert table.loc[name, "accuracy"] == evaluation.accuracy
            assert (table.loc[name, "low"], table.loc[name, "high"]) == evaluation.interval
            assert table.loc[name, "macro_recall"] == pytest.approx(evaluation.macro_recall)
        assert table.loc["good", "verdict"] == "better than bad" and table.loc["good", "p_value"] < 0.001
        assert table.attrs["model"] == "colours" and table.attrs["prompts"]["good"]["red"] == ["red"]

    def test_the_order_of_classes_and_pictures_changes_nothing(self, embeddings, model):
        first = compare_prompts(embeddings, {"bad": BAD, "good": GOOD}, model=model)
        turned = {name: dict(reversed(p.items())) for name, p in (("bad", BAD), ("good", GOOD))}
        order = np.random.default_rng(0).permutation(len(embeddings))
        second = compare_prompts(embeddings.select(order), turned, model=model)
        assert first["accuracy"].equals(second["accuracy"]) and first["p_value"].equals(second["p_value"])

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
        assert choice.evaluation.n == 45 and choice.evaluation.about["part"] == "held out: 45 of 90 pictures"
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


class TestControls:
    def test_random_words(self, embeddings, model):
        options = {"model": model, "template": "a {} which has {}."}
        table = random_words_control(embeddings, draws=5, per_class=2, seed=1, **options)
        good = zsc.ZeroShotClassifier(GOOD, model).evaluate(embeddings)
        assert len(table) == 5 and (table["accuracy"] == good.accuracy).all()  # this model reads the colour only
        assert table["description"].is_unique and table["description"].str.fullmatch("[a-z]{3,8} [a-z]{3,8}").all()
        assert table.equals(random_words_control(embeddings, draws=5, per_class=2, seed=1, **options))
        assert not table.equals(random_words_control(embeddings, draws=5, per_class=2, seed=2, **options))
        words = random_words_control(embeddings, draws=3, words=["tail", "fur"], **options)
        assert words["description"].str.fullmatch("(tail|fur) (tail|fur)").all()
        bad = random_words_control(embeddings, class_names=["red", "grey", "yellow"], draws=1, **options)
        assert bad["accuracy"][0] == zsc.ZeroShotClassifier(BAD, model).evaluate(embeddings).accuracy

    @pytest.mark.parametrize(
        ("options", "reason"),
        [
            ({"template": "a {}"}, "accepted is a text with two {}"),
            ({"draws": 0}, "draws=0"),
            ({"class_names": ["red"]}, "class_names holds 1; the data set has 3 classes"),
        ],
    )
    def test_wrong_input(self, options, reason, embeddings, model):
        with pytest.raises(ValueError, match=re.escape(reason)):
            random_words_control(embeddings, model=model, **options)


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
        table = greedy_templates(embeddings, templates, model=model, held_out=embeddings.head(30))
        assert table["template"].tolist()[0] == "a {}" and set(table["template"]) == set(templates)
        for step in range(4):
            prompts = ClassPrompts.from_names(RGB, table["template"][: step + 1].tolist())
            clf = zsc.ZeroShotClassifier(prompts, model)
            assert table["accuracy"][step] == clf.evaluate(embeddings).accuracy
            assert table["held_out_accuracy"][step] == clf.evaluate(embeddings.head(30)).accuracy
        assert len(greedy_templates(embeddings, templates, model=model, max_templates=2)) == 2

    def test_wrong_input(self, embeddings, model):
        with pytest.raises(ValueError, match="max_templates=3; with 1 templates accepted are 1 to 1"):
            greedy_templates(embeddings, "a {}", model=model, max_templates=3)
        other = zsc.ImageEmbeddings(embeddings.values, embeddings.paths, embeddings.labels, ["a", "b", "c"])
        with pytest.raises(ValueError, match="held_out has the classes"):
            greedy_templates(embeddings, "a {}", model=model, held_out=other)
        bare = zsc.ImageEmbeddings(
            embeddings.values, embeddings.paths, np.full(90, -1), RGB, fingerprint=model.fingerprint
        )
        with pytest.raises(ValueError, match="embeddings.labels runs from -1 to -1"):
            greedy_templates(bare, "a {}", model=model)


class TestSearch:
    def test_by_text_by_picture_by_row(self, embeddings, model):
        found = search(embeddings, "something green", k=5, model=model)
        cosines = embeddings.values @ np.array([0, 1, 0], np.float32)
        assert found["index"].tolist() == np.argsort(-cosines, kind="stable")[:5].tolist()
        np.testing.assert_allclose(found["cosine"], np.sort(cosines)[::-1][:5], atol=1e-6)
        assert (found["class"] == "green").all()
        found = search(embeddings, colour_picture((0, 0, 1)), k=3, model=model)
        assert (found["class"] == "blue").all()
        found = search(embeddings, 4, k=200)
        assert len(found) == 89 and 4 not in found["index"].tolist()
        assert search(embeddings, embeddings.paths[4], k=1, model=model)["index"][0] == 4

    @pytest.mark.parametrize(
        ("query", "options", "reason"),
        [
            (90, {}, "query=90; rows run from 0 to 89"),
            ("", {}, "query is an empty text"),
            ("green", {"k": 0}, "k=0; ask for at least one picture"),
            (__file__, {}, "is a file, and a str is read as a text; pass Path"),
        ],
    )
    def test_wrong_input(self, query, options, reason, embeddings, model):
        with pytest.raises(ValueError, match=reason):
            search(embeddings, query, **{"model": model, **options})

    def test_another_model(self, embeddings):
        with pytest.raises(ValueError, match="the embeddings were made by colours"):
            search(embeddings, "green", model=ColourEncoder(fingerprint_salt="x"))


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
    assert (table["verdict"].iloc[1:] == "15 images cannot tell it from A").all()
