"""The explorer answers as the classifier does, encodes only what is new, and says what is wrong in a sentence.

What is shown and what can be pressed follows from one state: for every fault the tests ask what still stands there.
"""

import ast
import asyncio
import copy
import importlib
import io
import json
import os
import pickle
import re
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timezone
from html import unescape
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from test_browser import HOSTILE, NEEDS_BROWSER, browser_page, what_a_browser_does

import zsc
from zsc.explorer import ExplorerSession, PromptExplorer
from zsc.explorer.panel import bars_of, html
from zsc.explorer.session import ANY, WRONG_CLASS, as_code, as_lines, fill, from_lines
from zsc.files import printable
from zsc.plots.style import RIGHT, WRONG
from zsc.report import PAGES

pytest.importorskip("ipywidgets", reason="no ipywidgets here: make setup")


@pytest.fixture
def embeddings(colours, colour_dataset):
    return zsc.embed_images(colours, colour_dataset, progress=False)


@pytest.fixture
def session(embeddings, colours):
    return ExplorerSession(embeddings, colours)


@pytest.fixture
def explorer(embeddings, colours):
    return PromptExplorer(embeddings, colours)


def text(markup):
    inline = re.sub("</?bdi>", "", markup)
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", inline))).strip()


class TestSealed:
    def test_a_sealed_half_has_no_say_until_it_is_opened(self, embeddings, colours, tmp_path):
        explorer = PromptExplorer(embeddings, colours, sealed=0.5)
        session = explorer.session
        n, sealed = len(embeddings), session.sealed
        assert explorer.answer.evaluation.n == len(session.embeddings) == n - len(sealed)
        both = np.concatenate([sealed.values, session.embeddings.values])
        assert sorted(map(tuple, both)) == sorted(map(tuple, embeddings.values))
        assert explorer.sealed is None and explorer.unseal.layout.display == ""
        for word in ("green", "blue", "red"):
            explorer.boxes["red"].value = word
        explorer.unseal.click()
        found = explorer.sealed
        expected = zsc.ZeroShotClassifier(explorer.answer.prompts, colours).evaluate(sealed)
        np.testing.assert_array_equal(found.proba, expected.proba)
        np.testing.assert_array_equal(found.y_true, expected.y_true)
        told, opened = found.made_by.other, explorer.answer.evaluation.accuracy
        assert told == {"open_accuracy": opened, "optimism": opened - found.accuracy, "tries": 3, "looks": 1}
        assert (
            f"accuracy {found.accuracy:.3f}" in explorer.texts["message"]
            and "3 tries, look 1" in explorer.texts["message"]
        )
        explorer.unseal.click()
        assert explorer.sealed.made_by.other["looks"] == 2
        kept = zsc.Evaluation.load(explorer.sealed.save(tmp_path / "sealed.json"))
        assert (
            kept.made_by.other == explorer.sealed.made_by.other
            and kept.made_by.part == f"sealed: {len(sealed)} pictures"
        )
        page = zsc.report.html_report(kept)
        assert all(word in page for word in ("open_accuracy", "optimism", "tries", "looks", "sealed: "))

    @pytest.mark.slow
    def test_the_open_half_flatters_and_the_sealed_one_does_not(self):
        """Readers who try 40 pairs of sentences on 30 drawings each; the truth is that of the other drawings."""
        from benchmarks.sealed import type_and_look

        model = zsc.load_model("toy")
        drawings = zsc.embed_images(model, zsc.load_dataset("drawn-glasses", n=800, seed=5), progress=False)
        found = np.array([type_and_look(drawings, model, 60, 40, seed) for seed in range(80)])
        error = found.std(axis=0) / len(found) ** 0.5
        assert found[:, 0].mean() > 2 * error[0] > 0
        flattered = found[:, 0] - found[:, 1]  # of the same reader
        assert flattered.mean() > 2 * flattered.std() / len(found) ** 0.5 > 0
        assert abs(found[:, 1].mean()) < 3 * error[1] and found[:, 2].mean() >= 0.8

    def test_classes_that_were_renamed_or_left_out_are_so_there_as_well(self, embeddings, colours):
        explorer = PromptExplorer(embeddings, colours, sealed=0.4)
        explorer.rename("red", "rouge")
        explorer.leave_out("blue")
        explorer.unseal.click()
        assert explorer.sealed.class_names == ["rouge", "green"]
        assert explorer.sealed.n == np.isin(explorer.session.sealed.labels, [0, 1]).sum()

    def test_a_click_that_was_on_its_way_is_no_look(self, embeddings, colours):
        explorer = PromptExplorer(embeddings, colours, sealed=0.5)
        explorer.boxes["red"].value = ""
        explorer.unseal.click()
        assert explorer.unseal.disabled and explorer.sealed is None and explorer.session.looks == 0

    def test_without_a_seal_or_labels(self, explorer, embeddings, colours):
        assert explorer.unseal.layout.display == "none" and explorer.session.sealed is None
        with pytest.raises(ValueError, match="nothing is sealed; pass sealed=0.5"):
            explorer.session.unseal(explorer.answer)
        bare = replace(embeddings, labels=np.full(len(embeddings), -1))
        with pytest.raises(ValueError, match="sealed needs labelled pictures in both parts"):
            ExplorerSession(bare, colours, sealed=0.5)
        with pytest.raises((TypeError, ValueError), match="sealed"):
            ExplorerSession(embeddings, colours, sealed=1.5)


class TestSession:
    def test_it_begins_with_the_default_template(self, session):
        assert session.start == ({"red": "red", "green": "green", "blue": "blue"}, "a photo of a {}")

    def test_it_begins_with_the_tutorials_prompts_or_with_the_given_ones(self, embeddings, colours):
        animals = replace(embeddings, class_names=["cat", "dog", "wild"], dataset="afhq val")
        colours.tokenizer.limit = 99
        given = {"red": ["red thing", "red ball"], "green": "green", "blue": "blue"}
        assert ExplorerSession(embeddings, colours, given).start[0]["red"] == "red thing\nred ball"
        with pytest.raises(StopIteration):  # the colours' model knows no cat; the prompts are the tutorial's
            ExplorerSession(animals, colours).ask({"cat": "a photo of a cat", "dog": "x", "wild": "y"})
        assert ExplorerSession(animals, colours).start[0]["wild"] == "a photo of a wild animal"
        assert ExplorerSession(animals, colours).start[1] == ""

    @pytest.mark.parametrize("pooling", ["mean", "max", "sum"])
    def test_answers_are_the_classifiers(self, session, embeddings, colours, pooling):
        texts = {"red": "red\nyellow", "green": "green", "blue": "blue\ngrey"}
        answer = session.ask(texts, "a {} thing\none {} ball", pooling)
        prompts = {
            "red": ["a red thing", "one red ball", "a yellow thing", "one yellow ball"],
            "green": ["a green thing", "one green ball"],
            "blue": ["a blue thing", "one blue ball", "a grey thing", "one grey ball"],
        }
        fresh = zsc.ZeroShotClassifier(prompts, colours, pooling=pooling).evaluate(embeddings)
        assert answer.prompts.texts == prompts and answer.prompts.pooling == pooling
        np.testing.assert_allclose(answer.evaluation.proba, fresh.proba, atol=1e-6)
        assert answer.evaluation.accuracy == fresh.accuracy
        assert answer.cards["row"].tolist() == fresh.errors["index"].tolist()
        assert answer.counts.to_dict() == fresh.confusion.sum().to_dict()

    def test_only_new_prompts_are_encoded(self, session, colours):
        texts, templates = session.start
        session.ask(texts, templates)
        colours.texts_seen.clear()
        session.ask({**texts, "red": "red ball"}, templates)
        session.ask(texts, templates)
        assert colours.texts_seen == ["a photo of a red ball"]
        assert not colours.image_batches[1:]  # the pictures were embedded once, before

    def test_history_counts_each_try_once(self, session):
        texts, templates = session.start
        for one in (texts, {**texts, "blue": "yellow"}, texts):
            session.remember(session.ask(one, templates))
        session.remember(session.ask(texts, templates, "max"))
        table = session.history
        assert list(table.index) == [1, 2, 3] and list(table["pooling"]) == ["mean", "mean", "max"]
        assert table["changed"][2] == "blue: a photo of a yellow" and "red: a photo of a red" in table["prompts"][2]
        first = session.tried[0].evaluation
        assert table["accuracy"][1] == first.accuracy and (table["low"][1], table["high"][1]) == first.interval

    def test_warnings(self, session):
        long = "red " * 20
        notes = session.ask({"red": "not red", "green": long, "blue": "blue"}).notes
        assert notes["red"][0].startswith("negation, 'not red'") and notes["green"][0].startswith("too long, 'red red")
        assert "22 tokens, the model reads 16" in notes["green"][0] and "blue" not in notes

    def test_without_labels(self, embeddings, colours):
        bare = replace(embeddings, labels=np.full(12, -1), class_names=[])
        with pytest.raises(ValueError, match="have no class names; pass prompts="):
            ExplorerSession(bare, colours)
        session = ExplorerSession(bare, colours, {"warm": "red", "cold": ["blue", "green"]})
        answer = session.ask(*session.start)
        assert answer.evaluation is None and answer.counts.sum() == 12
        top = (
            zsc.ZeroShotClassifier({"warm": "red", "cold": ["blue", "green"]}, colours).predict_proba(bare).max(axis=1)
        )
        assert answer.cards["proba"].tolist() == pytest.approx(sorted(top)[:12])
        session.remember(answer)
        assert session.history["accuracy"].isna().all()

    def test_some_labels_are_enough(self, embeddings, colours):
        labels = embeddings.labels.copy()
        labels[6:] = -1
        session = ExplorerSession(replace(embeddings, labels=labels), colours)
        assert session.ask(*session.start).evaluation.n == 6

    def test_failed_pictures_are_left_out(self, embeddings, colours):
        values = embeddings.values.copy()
        values[0] = np.nan
        session = ExplorerSession(replace(embeddings, values=values), colours)
        assert session.ask(*session.start).evaluation.n == 11
        with pytest.raises(ValueError, match="the embeddings hold no picture"):
            ExplorerSession(replace(embeddings, values=np.full_like(values, np.nan)), colours)

    def test_what_does_not_fit_is_refused(self, session, embeddings):
        with pytest.raises(ValueError, match="class 'red' has no prompt"):
            session.ask({"red": " \n", "green": "green", "blue": "blue"})
        with pytest.raises(ValueError, match="template 'a photo' must be a text with exactly one {}"):
            session.ask(session.start[0], "a photo")
        other = type(session.model)(fingerprint_salt="x")
        with pytest.raises(ValueError, match="embed the pictures with the same model"):
            PromptExplorer(embeddings, other)
        with pytest.raises(ValueError, match="classes"):
            PromptExplorer(embeddings, session.model, {"red": "red", "green": "green"})

    def test_boxes_and_templates(self):
        assert fill({"a": " x \n\ny\nx", "b": "z"}).texts == {
            "a": ["x", "y", "x"],
            "b": ["z"],
        }  # as a classifier counts
        assert fill({"a": "x", "b": "y"}, "one {}\n\n two {} ").texts == {
            "a": ["one x", "two x"], "b": ["one y", "two y"]
        }  # fmt: skip


ODD = [  # names and prompts that have ended a line, a literal, a page or a file somewhere
    'pets\nimport os; os.abort() #', "a'b", 'a"b', "a'b\"c", "{red}", "back\\slash \\n", "tail\\", "\u2028red",
    "red\u2029x", "nul\x00red", "\r\nred", "\x85red", "\x0b\x0c", "caf\udce9 red", "\ud83d red", "\U0001f600 red",
    "\u202ered",
    "\"\"\"", "# red", "__import__('os')", " red ", "\xa0red\xa0", "\t red", "two\nlines red", "</script><b>red",
]  # fmt: skip


class TestLines:
    """Prompts become lines of a box and come back as they were, whatever they hold."""

    @pytest.mark.parametrize(
        "texts", [[text] for text in ODD if text.strip()] + [ODD, ["x", "x", "y"], [" ".join(ODD)]]
    )
    def test_there_and_back(self, texts):
        texts = [text for text in texts if text.strip()]
        lines = as_lines(texts)
        assert from_lines(lines) == texts and len(lines.splitlines()) == len(texts)
        assert as_lines(from_lines(lines)) == lines and lines.encode()  # a browser gets UTF-8

    def test_any_text(self):
        rng = np.random.default_rng(0)
        letters = [*"ab \\nrtxu02\n\r\t'\"{}", "\x00", "\x1c", "\x85", "\u2028", "\udce9", "\xa0", "\U0001f600"]
        for _ in range(2000):
            texts = ["".join(rng.choice(letters, rng.integers(1, 9))) for _ in range(rng.integers(1, 4))]
            texts = [text for text in texts if text.strip()]
            assert from_lines(as_lines(texts)) == texts

    def test_plain_prompts_stand_as_they_are(self):
        assert as_lines(["a photo of a cat", "ein Löwe"]) == "a photo of a cat\nein Löwe"
        assert from_lines("C:\\dir \\q") == ["C:\\dir \\q"]  # no escape of ours

    @pytest.mark.parametrize("break_", ["\n", "\r\n", "\u2028", "\x0b"])
    def test_the_first_answer_is_that_of_the_given_prompts(self, embeddings, colours, break_):
        given = {
            n: [f"two{break_}lines {n} {k}" for k in range(17 if n == "red" else 1)] for n in ("red", "green", "blue")
        }
        explorer = PromptExplorer(embeddings, colours, given)
        assert explorer.answer.prompts.texts == given
        right = zsc.ZeroShotClassifier(given, colours).evaluate(embeddings)
        np.testing.assert_allclose(explorer.answer.evaluation.proba, right.proba, atol=1e-6)
        explorer.boxes["red"].value = "yellow"
        explorer.back.value = 1
        assert explorer.answer.prompts.texts == given

    def test_repeated_prompts_and_names_with_breaks(self, embeddings, colours):
        given = {"red": ["red", "red", "blue"], "green": ["green"], "blue": [" blue "]}
        assert PromptExplorer(embeddings, colours, given).answer.prompts.texts == given
        names = ["red\none", " green", "blue \\n"]
        session = ExplorerSession(replace(embeddings, class_names=names), colours)
        assert session.ask(*session.start).prompts.texts == {n: [f"a photo of a {n}"] for n in names}

    def test_prompts_that_are_only_named_like_the_template_are_kept(self, embeddings, colours):
        given = zsc.ClassPrompts.from_texts({"red": "red x", "green": "green", "blue": "blue"}, name="a photo of a {}")
        assert ExplorerSession(embeddings, colours, given).start == (
            {"red": "red x", "green": "green", "blue": "blue"}, ""
        )  # fmt: skip


class TestCopies:
    @pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy, lambda x: pickle.loads(pickle.dumps(x))])
    def test_answers_and_sessions(self, session, copied):
        answer = session.ask(*session.start)
        session.remember(answer)
        again = copied(answer)
        assert (
            again.prompts == answer.prompts and again.notes == answer.notes and again.classifier.model.name == "colours"
        )
        assert (again.evaluation.proba == answer.evaluation.proba).all() and as_code(again) == as_code(answer)
        other = copied(session)
        assert len(other.tried) == 1 and other.ask(*other.start).evaluation.accuracy == answer.evaluation.accuracy

    def test_a_copy_shares_nothing(self, session, colours):
        texts, templates = session.start
        session.ask(texts, templates)
        other = copy.deepcopy(session)
        other.ask(texts, templates)
        other.model.texts_seen.clear()
        other.ask({**texts, "red": "red ball"}, templates)
        assert other.model.texts_seen == ["a photo of a red ball"]
        colours.texts_seen.clear()
        session.ask({**texts, "red": "red ball"}, templates)
        assert colours.texts_seen == ["a photo of a red ball"]


def calls_of(code):
    """List what a code calls and imports, and how many statements it has."""
    tree = ast.parse(code)
    calls = [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return calls, [ast.unparse(n) for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom))], len(tree.body)


class TestExport:
    @pytest.mark.parametrize("text", ODD)
    def test_no_text_becomes_code(self, embeddings, colours, monkeypatch, text):
        said = text.encode(errors="ignore").decode()  # a prompt is UTF-8; a name, a model and a data set may not be
        given = {f"red {text}": [f"red {said}", f"{said} red"], "green": "green", "blue": np.str_("blue")}
        colours.info = replace(colours.info, name=f"model {text}")
        mine = replace(embeddings, dataset=f"data {text}", class_names=list(given))
        answer = PromptExplorer(mine, colours, given).answer
        code = as_code(answer)
        assert calls_of(code) == (["zsc.ClassPrompts.from_texts", "zsc.ZeroShotClassifier"], ["import zsc"], 3)
        monkeypatch.setattr("zsc.models.load_model", lambda name: {f"model {text}": colours}[name])
        made = {}
        exec(compile(code.encode(), "code", "exec"), made)
        assert made["prompts"].texts == answer.prompts.texts and made["clf"].pooling == answer.classifier.pooling
        comment = code.splitlines()[2]
        assert comment.startswith(f"# {printable(f'model {text} on data {text}')}: accuracy ")

    def test_the_code_makes_the_same_classifier(self, session, colours, embeddings, monkeypatch):
        answer = session.ask({"red": 'red "quoted" \\n', "green": "green\nyellow", "blue": "blue"}, "", "max")
        monkeypatch.setattr("zsc.models.load_model", lambda name: {"colours": colours}[name])
        made = {}
        exec(compile(as_code(answer), "code", "exec"), made)
        assert made["clf"].prompts.texts == answer.prompts.texts and made["clf"].pooling == "max"
        assert made["clf"].evaluate(embeddings).accuracy == answer.evaluation.accuracy
        assert f"# colours on colours test: accuracy {answer.evaluation.accuracy:.3f}" in as_code(answer)
        assert "truncate=True" not in as_code(answer)
        assert "truncate=True" in as_code(session.ask({"red": "red " * 20, "green": "green", "blue": "blue"}))

    def test_the_file_is_read_back(self, explorer, tmp_path):
        explorer.pooling.value, explorer.file.value = "sum", f" {tmp_path / 'mine.yaml'} "
        explorer.save.click()
        back = zsc.ClassPrompts.load(tmp_path / "mine.yaml")
        assert back.texts == explorer.answer.prompts.texts and back.pooling == "sum"
        wrong = {
            "mine.yaml": "is there already",
            "mine.txt": "end it with .yaml",
            "no/a.yaml": "no folder",
        }
        for name, reason in wrong.items():
            explorer.file.value = str(tmp_path / name)
            explorer.save.click()
            assert reason in explorer.texts["message"], name


class TestPanel:
    def test_typing_changes_what_is_shown(self, explorer):
        before = explorer.texts
        assert text(before["accuracy"]).startswith("accuracy 0.917 (11 of 12), 95 % interval 0.646 to 0.985")
        explorer.boxes["blue"].value = "yellow"
        shown = explorer.texts
        assert text(shown["accuracy"]).startswith(f"accuracy {explorer.answer.evaluation.accuracy:.3f}")
        assert explorer.answer.evaluation.correct == 12  # the orange picture is nearest to yellow
        for name in ("accuracy", "recall", "confusion", "gallery", "history"):
            assert shown[name] != before[name], name
        assert "tried so far: 2" in shown["history"] and "yellow" in shown["history"]
        assert "blue: a photo of a yellow" in shown["history"] and '"a photo of a yellow"' in explorer.code.value

    def test_gallery_shows_the_mistakes_in_words(self, explorer):
        gallery = explorer.texts["gallery"]
        assert "the most confident mistakes: 1 to 1 of 1" in text(gallery) and "wrong: blue → red" in text(gallery)
        assert gallery.count("data:image/jpeg;base64,") == 1

    def test_recall_and_confusion(self, explorer):
        assert "red 1.000 of 4, 0.510 to 1.000" in text(explorer.texts["recall"])
        rows = text(explorer.texts["confusion"])
        assert "red green blue red 4 0 0 green 0 4 0 blue 1 0 3" in rows

    def test_a_sentence_where_there_is_no_answer(self, explorer):
        answer = explorer.answer
        explorer.boxes["red"].value = ""
        assert "class 'red' has no prompt" in text(explorer.texts["accuracy"])
        assert explorer.answer is answer
        explorer.boxes["red"].value = "red"
        assert text(explorer.texts["accuracy"]).startswith("accuracy")

    def test_warnings_stand_under_their_box(self, explorer):
        explorer.boxes["green"].value = "not green"
        assert "negation" in explorer.texts["notes of green"] and explorer.texts["notes of red"] == ""

    def test_templates_and_pooling(self, explorer):
        explorer.templates.value = "a {} ball"
        assert explorer.answer.prompts.texts["red"] == ["a red ball"]
        explorer.pooling.value = "max"
        assert explorer.answer.classifier.pooling == "max"

    def test_going_back(self, explorer):
        explorer.boxes["blue"].value = "yellow"
        explorer.back.value = 1
        assert explorer.answer.prompts.texts["blue"] == ["a photo of a blue"]
        assert explorer.templates.value == "a photo of a {}" and explorer.boxes["blue"].value == "blue"
        assert explorer.back.value == 1 and len(explorer.session.tried) == 2

    def test_export_buttons(self, explorer, tmp_path):
        explorer.file.value = str(tmp_path / "prompts.yaml")
        explorer.save.click()
        assert (
            f"written: {tmp_path / 'prompts.yaml'}" in explorer.texts["message"]
            and (tmp_path / "prompts.yaml").exists()
        )
        assert "warn" not in explorer.texts["message"]
        explorer.save.click()
        assert "is there already" in explorer.texts["message"] and "warn" in explorer.texts["message"]
        for name in ("~nobody-at-all/prompts.yaml", "nul\x00.yaml"):
            explorer.file.value = name
            explorer.save.click()
            assert "written" not in explorer.texts["message"]
        assert "clipboard" in explorer.copy.value and "zsc.ClassPrompts" in explorer.copy.value

    def test_own_picture_tab(self, explorer, colour_dataset):
        content = io.BytesIO()
        colour_dataset.paths[0].save(content, "PNG")
        explorer.own.take(content.getvalue(), "<mine>.png")
        assert "&lt;mine&gt;.png" in explorer.own.shown.value
        assert "<mine>.png probability, relative to these prompts red 1.000" in text(explorer.own.shown.value)
        explorer.boxes["green"].value = "red"
        assert text(explorer.own.shown.value).endswith("red 0.500 green 0.500 blue 0.000")
        explorer.own.take(b"no picture", "notes.txt")
        assert "notes.txt: not a picture" in explorer.own.shown.value and "<img" not in explorer.own.shown.value

    def test_an_own_picture_is_classified_as_one_of_the_data_set(self, explorer, colour_dataset):
        content = io.BytesIO()
        colour_dataset.paths[1].save(content, "PNG")
        explorer.own.take(content.getvalue(), "mine.png")
        proba = explorer.answer.classifier.predict_proba(explorer.own.embedded)
        np.testing.assert_allclose(proba, explorer.answer.evaluation.proba[1:2], atol=1e-6)
        assert "green 1.000 red 0.000 blue 0.000" in text(explorer.own.shown.value)

    def test_without_labels(self, embeddings, colours):
        explorer = PromptExplorer(replace(embeddings, labels=np.full(12, -1)), colours)
        assert text(explorer.texts["accuracy"]).startswith("12 pictures, no labels")
        assert "accuracy" not in text(explorer.texts["accuracy"])
        assert "the least confident pictures: 1 to 12 of 12" in explorer.texts["gallery"]
        assert explorer.texts["confusion"] == "" and "no labels" in repr(explorer)

    def test_every_text_is_escaped(self, embeddings, colours):
        names = ["<b>red</b>", "green & co", '"blue"']
        prompts = {names[0]: "red", names[1]: "green", names[2]: "blue"}
        explorer = PromptExplorer(replace(embeddings, class_names=names, dataset="<i>"), colours, prompts)
        explorer.boxes[names[0]].value = "not <script> red"
        page = explorer._still()["text/html"]
        assert "<b>red" not in page and "<script" not in page and "<i>" not in page
        assert "&lt;b&gt;red&lt;/b&gt;" in page
        assert "<script" not in explorer.copy.value + explorer.texts[f"notes of {names[0]}"]

    def test_names_that_are_no_utf8_are_shown(self, embeddings, colours):
        names = ["caf\udce9", "nul\x00", "turn\u202e"]
        prompts = dict(zip(names, ["red", "green", "not blue \x07"], strict=True))
        explorer = PromptExplorer(replace(embeddings, class_names=names, dataset="d\udce9"), colours, prompts)
        page = explorer._still()["text/html"] + explorer.copy.value + explorer.code.value
        page += "".join(explorer.texts.values()) + "".join(box.value for box in explorer.boxes.values())
        assert page.encode() and "caf\\xe9" in page and "\x00" not in page and "\u202e" not in page

    def test_many_classes_list_their_confused_pairs(self, embeddings, colours):
        names = [f"class {k}" for k in range(200)]
        prompts = {name: ["red", "green", "blue"][k % 3] for k, name in enumerate(names)}
        labels = np.array([3, 1, 2, 3, 1, 2, 3, 1, 2, 6, 1, 2])
        session = ExplorerSession(replace(embeddings, class_names=names, labels=labels), colours, prompts)
        answer = session.ask(*session.start)
        shown = html.confusion(answer)
        assert "most frequent confusions" in shown and "class 3 → class 0 3" in text(shown)
        assert shown.count("<td") < 50 and answer.counts.sum() == 12 and len(answer.counts) == 200

    def test_it_shows_as_a_widget_and_as_a_page(self, explorer, monkeypatch):
        shown = []
        monkeypatch.setattr("IPython.display.display", lambda bundle, **options: shown.append((bundle, options)))
        explorer._ipython_display_()
        (live, _), (still, options) = shown
        assert "application/vnd.jupyter.widget-view+json" in live and options == {"raw": True, "display_id": True}
        for bundle in (live, still):
            assert bundle["text/plain"].startswith("PromptExplorer(colours test, colours: accuracy 0.917 (11 of 12)")
        assert "tried so far: 1" in still["text/html"]

    def test_it_waits_until_the_reader_pauses(self, explorer, monkeypatch):
        monkeypatch.setattr("zsc.explorer.panel.ANSWER_AFTER", 0.05)
        monkeypatch.setattr("zsc.explorer.panel.REMEMBER_AFTER", 0.2)
        done, ask, remember = [], explorer.session.ask, explorer.session.remember
        monkeypatch.setattr(explorer.session, "ask", lambda *a: done.append("ask") or ask(*a))
        monkeypatch.setattr(explorer.session, "remember", lambda *a: done.append("remember") or remember(*a))

        async def type_slowly():
            for typed in ("y", "ye", "yellow"):
                explorer.boxes["blue"].value = typed
            assert done == []
            while "remember" not in done:
                await asyncio.sleep(0.01)
            assert done == ["ask", "remember"] and len(explorer.session.tried) == 2

        asyncio.run(type_slowly())

    def test_a_button_acts_on_what_was_typed_a_moment_ago(self, embeddings, colours):
        async def type_and_press():
            explorer = PromptExplorer(embeddings, colours, keep=None, sealed=0.5)
            explorer.boxes["blue"].value = "yellow"
            explorer.unseal.click()
            assert explorer.sealed.made_by.prompts["blue"] == ["a photo of a yellow"]
            explorer.boxes["blue"].value = ""
            explorer.unseal.click()
            assert explorer.fault and explorer.session.looks == 1

        asyncio.run(type_and_press())

    def test_an_answer_on_some_pictures_claims_no_digest_of_all(self, explorer):
        whole = explorer.answer.result.made_by.data_digest
        assert whole and whole == explorer.session.embeddings.data_digest
        explorer.leave_out("blue")
        assert explorer.answer.result.made_by.data_digest == "" and explorer.answer.result.n < 12

    def test_a_lost_picture_spoils_nothing(self, embeddings, colours, tmp_path):
        lost = replace(embeddings, paths=[tmp_path / f"{i}.png" for i in range(12)])
        assert "cannot be opened" in PromptExplorer(lost, colours).texts["gallery"]

    def test_pictures_whose_names_are_no_utf8_are_shown(self, embeddings, colours, tmp_path):
        paths = [os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9%d.png" % k) for k in range(12)]
        for path, picture in zip(paths, embeddings.paths, strict=True):
            picture.save(path)
        gallery = PromptExplorer(replace(embeddings, paths=paths), colours).texts["gallery"]
        assert gallery.count("data:image/jpeg") == 1 and "cannot be opened" not in gallery


@pytest.mark.slow
@NEEDS_BROWSER
def test_hostile_texts_are_inert_in_a_browser(embeddings, colours, tmp_path):
    name, prompt = HOSTILE
    prompts = {name: f"red {prompt}", "green": "green", "blue": "blue"}
    explorer = PromptExplorer(replace(embeddings, class_names=list(prompts), dataset=name), colours, prompts)
    explorer.boxes[name].value = f"not {prompt} red"
    picture = io.BytesIO()
    embeddings.paths[0].save(picture, "PNG")
    explorer.own.take(picture.getvalue(), f"{name}.png")
    parts = [*explorer.texts.values(), explorer.own.shown.value, explorer.copy.value]
    path = tmp_path / "panel.html"
    path.write_text(f'<!doctype html><meta charset="utf-8">{"".join(parts)}', encoding="utf-8")
    seen = what_a_browser_does(path, tmp_path, click=".zsc-copy")
    assert seen.dialogs == [] and seen.requests == [path.as_uri()] and not seen.foreign
    assert name in seen.text and prompt in seen.text
    assert seen.attributes("data-code") == [explorer.code.value]


def test_ipywidgets_is_asked_for_in_a_sentence(embeddings, colours, monkeypatch):
    def refuse(name):
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(importlib, "import_module", refuse)
    words = r"the explorer needs the package ipywidgets, .*: pip install 'zsc-clip\[widgets\]'"
    with pytest.raises(ImportError, match=words):
        PromptExplorer(embeddings, colours)


@pytest.mark.slow
def test_importing_the_explorer_needs_no_widgets_and_no_torch():
    code = "import sys; sys.modules['ipywidgets'] = None; import zsc.explorer; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_no_mistakes_is_said(embeddings, colours):
    assert "no mistakes" in PromptExplorer(embeddings.head(3), colours).texts["gallery"]
    session = ExplorerSession(embeddings.head(3), colours)
    answer = session.ask(*session.start)
    assert answer.cards.empty and html.notes([]) == ""


FAULTS = {  # what a reader types, or a model raises: the box at fault and the words that are said
    "an empty box": ("red", lambda e: e.boxes["red"], " \n", "class 'red' has no prompt"),
    "half a character": ("red", lambda e: e.boxes["red"], "red \\ud83d", "half a character"),
    "a template without {}": ("", lambda e: e.templates, "a photo", "exactly one {}"),
    "a template with two": ("", lambda e: e.templates, "a {} of {}", "exactly one {}"),
    "a model that fails": (None, lambda e: e.boxes["blue"], "broken", "RuntimeError: CUDA out of memory"),
}


class TestOneState:
    """An answer that is no longer the present one is marked, and can be neither copied nor exported."""

    @pytest.fixture
    def fragile(self, explorer, colours, monkeypatch):
        encode = type(colours).encode_texts

        def encode_or_fail(self, texts, **options):
            if any("broken" in text for text in texts):
                raise RuntimeError("CUDA out of\nmemory")
            return encode(self, texts, **options)

        monkeypatch.setattr(type(colours), "encode_texts", encode_or_fail)
        return explorer

    @pytest.mark.parametrize("fault", FAULTS)
    def test_every_fault(self, fragile, fault, tmp_path, caplog):
        at_fault, widget_of, typed, words = FAULTS[fault]
        picture, explorer = Image.new("RGB", (40, 30), "red"), fragile
        explorer.own.take(picture, "mine.png")
        explorer.file.value = str(tmp_path / "prompts.yaml")
        answer, before, good = explorer.answer, explorer.texts, widget_of(explorer).value
        widget_of(explorer).value = typed
        shown = explorer.texts
        assert words in text(shown["accuracy"]) and "accuracy 0" not in text(shown["accuracy"])
        assert explorer.answer is answer and explorer.fault[0] == at_fault
        for name in ("recall", "confusion", "gallery"):
            assert "of the last complete prompts" in shown[name] and "of the last" not in before[name], name
        assert "of the last complete prompts" in explorer.own.shown.value
        boxes = {**explorer.boxes, "": explorer.templates}
        assert [name for name, box in boxes.items() if "zsc-wrong" in box._dom_classes] == [at_fault] * (
            at_fault is not None
        )
        assert at_fault is None or words in text(shown[f"notes of {at_fault}"])
        assert explorer.code.value == "" and explorer.save.disabled and explorer.back.value == 0
        assert "disabled" in explorer.copy.value and "from_texts" not in explorer.copy.value
        explorer.save.click()  # a click that was on its way
        assert not (tmp_path / "prompts.yaml").exists() and len(explorer.session.tried) == 1
        assert (fault == "a model that fails") == ("CUDA out of" in caplog.text)  # with its trace
        widget_of(explorer).value = good
        assert explorer.fault is None and not explorer.save.disabled and "disabled" not in explorer.copy.value
        assert explorer.back.value == 1 and "from_texts" in explorer.code.value
        assert not any("of the last complete" in page for page in [*explorer.texts.values(), explorer.own.shown.value])
        assert not any("zsc-wrong" in box._dom_classes for box in boxes.values())

    def test_a_panel_whose_drawing_fails_says_so(self, explorer, monkeypatch, caplog):
        monkeypatch.setattr(explorer, "_show_gallery", lambda: 1 / 0)
        explorer.boxes["blue"].value = "yellow"
        assert "ZeroDivisionError: division by zero" in explorer.texts["message"] and "Traceback" in caplog.text

    def test_an_own_picture_that_the_model_cannot_take(self, explorer, monkeypatch):
        def fail(*_, **__):
            raise RuntimeError("no memory")

        monkeypatch.setattr(type(explorer.answer.classifier), "embed", fail)
        explorer.own.take(Image.new("RGB", (9, 9)), "mine.png")
        assert "RuntimeError: no memory" in explorer.own.shown.value and "<img" not in explorer.own.shown.value

    def test_each_result_names_its_prompts_and_no_page_that_is_kept_a_time(self, explorer):
        assert "for a photo of a red | a photo of a green" in text(explorer.texts["accuracy"])
        assert " ms" not in text(explorer.texts["accuracy"] + explorer._still()["text/html"])


class TestTries:
    """A try is what was typed: texts, templates, pooling, classes."""

    def test_going_back_restores_what_was_typed(self, explorer):
        explorer.boxes["blue"].value = "yellow"
        explorer.pooling.value = "max"
        explorer.templates.value = ""
        explorer.back.value = 2
        assert (explorer.boxes["blue"].value, explorer.templates.value) == ("yellow", "a photo of a {}")
        assert explorer.pooling.value == "mean" and explorer.back.value == 2 and len(explorer.session.tried) == 4
        explorer.templates.value = "a drawing of a {}"
        assert explorer.answer.prompts.texts["red"] == ["a drawing of a red"] and explorer.back.value == 5

    def test_the_list_says_which_try_and_how_good(self, explorer):
        explorer.boxes["blue"].value = "yellow"
        labels = [words for words, _ in explorer.back.options]
        assert labels[1].startswith("try 1: accuracy 0.917 (11 of 12)") and labels[2].startswith(
            "try 2: accuracy 1.000"
        )
        assert explorer.back.value == 2

    def test_a_template_within_a_template_is_warned_about(self, explorer):
        explorer.boxes["red"].value = "a photo of a red"
        assert "a template within a template, 'a photo of a a photo of a red'" in text(explorer.texts["notes of red"])
        explorer.templates.value = "a drawing of a {}"
        assert "'a drawing of a a photo of a red'" in text(explorer.texts["notes of red"])
        explorer.templates.value = "{} thing"
        explorer.boxes["red"].value = "red thing"
        assert "within a template" in explorer.texts["notes of red"]
        explorer.templates.value = ""
        assert explorer.texts["notes of red"] == ""

    def test_what_cannot_be_passed_here_is_not_advised(self, explorer):
        explorer.boxes["red"].value = "red " * 20
        note = text(explorer.texts["notes of red"])
        assert "truncate=True" not in note and "the rest is not read" in note

    def test_the_history_says_how_many_there_are(self, explorer):
        for k in range(9):
            explorer.boxes["blue"].value = f"blue {'ball ' * k}"
        assert "tried so far: 9, of which the last 8" in explorer.texts["history"]

    def test_without_labels_it_counts_what_moved(self, embeddings, colours):
        explorer = PromptExplorer(replace(embeddings, labels=np.full(12, -1)), colours)
        first = explorer.answer.result
        explorer.boxes["blue"].value = "yellow"
        moved = int((first.y_pred != explorer.answer.result.y_pred).sum())
        assert moved > 0 and explorer.session.history["moved"].tolist()[1:] == [moved]
        history = text(explorer.texts["history"])
        assert "better than it is" not in history and "accuracy" not in history and f" {moved} mean" in history

    def test_classes_come_go_and_change_their_names(self, explorer, embeddings, colours):
        explorer.leave_out("blue")
        assert [*explorer.boxes] == ["red", "green"] and explorer.answer.evaluation.n == 8
        fresh = zsc.ZeroShotClassifier({n: f"a photo of a {n}" for n in ("red", "green")}, colours)
        some = replace(embeddings.select(embeddings.labels < 2), class_names=["red", "green"])
        assert explorer.answer.evaluation.accuracy == fresh.evaluate(some).accuracy
        explorer.add_class("something else", "grey")
        assert explorer.answer.result.class_names == ["red", "green", "something else"]
        assert explorer.answer.evaluation.n == 8 and "something else" not in explorer.texts["recall"]
        explorer.rename("red", "warm")
        assert [*explorer.boxes] == ["warm", "green", "something else"] and explorer.boxes["warm"].value == "red"
        assert explorer.answer.evaluation.n == 8 and "notes of red" not in explorer.texts
        assert len(explorer.session.tried) == 4 and "without blue" in explorer.session.history["changed"][2]
        assert explorer.session.history["n"].tolist() == [12, 8, 8, 8]
        explorer.back.value = 1
        assert [*explorer.boxes] == ["red", "green", "blue"] and explorer.answer.evaluation.n == 12
        explorer.boxes["red"].value = "yellow"  # the boxes live on
        assert len(explorer.session.tried) == 5

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda e: (e.leave_out("red"), e.leave_out("green")), "classes holds 1; pass two or more"),
            (lambda e: e.add_class("red"), "classes holds 'red' more than once; pass different names"),
            (lambda e: e.add_class("  "), "holds '  ' at position 3; pass non-empty texts"),
            (lambda e: e.rename("red", ""), "holds '' at position 0; pass non-empty texts"),
            (lambda e: e.rename("red", "green"), "more than once"),
            (lambda e: (e.leave_out("green"), e.rename("red", "green")), "another class of the data set"),
        ],
    )
    def test_classes_that_cannot_be(self, explorer, change, words):
        with pytest.raises(ValueError, match=words):
            change(explorer)
        assert explorer.fault is None

    def test_the_buttons_of_classes(self, explorer):
        add, rename, leave_out = explorer._changes
        explorer.name.value = "grey"
        add.click()
        assert explorer.boxes["grey"].value == "grey"
        explorer.which.value, explorer.name.value = "grey", "dark"
        rename.click()
        explorer.which.value = "dark"
        leave_out.click()
        assert [*explorer.boxes] == ["red", "green", "blue"]
        add.click(), add.click()
        assert "the list of classes holds 'dark' more than once" in text(explorer.texts["message"])


class TestKeep:
    """Work survives a restart."""

    def test_tries_are_asked_again(self, embeddings, colours, tmp_path):
        path = tmp_path / "tries.json"
        first = PromptExplorer(embeddings, colours, keep=path)
        assert not path.exists()  # nobody has tried anything yet
        first.boxes["blue"].value = "yellow"
        first.rename("red", "warm")
        again = PromptExplorer(embeddings, colours, keep=path)
        assert again.session.history["prompts"].tolist() == first.session.history["prompts"].tolist()
        assert again.session.history["accuracy"].tolist() == first.session.history["accuracy"].tolist()
        assert again.boxes["blue"].value == "yellow" and [*again.boxes] == ["warm", "green", "blue"]
        assert again.back.value == 3 and str(path) in again.texts["history"]
        given = {"red": "red", "green": "green", "blue": "grey"}
        assert PromptExplorer(embeddings, colours, given, keep=path).boxes["blue"].value == "grey"

    def test_two_explorers_lose_nothing(self, embeddings, colours, tmp_path):
        path = tmp_path / "tries.json"
        one, other = (PromptExplorer(embeddings, colours, keep=path) for _ in range(2))
        one.boxes["blue"].value = "yellow"
        other.boxes["green"].value = "grey"
        assert len(PromptExplorer(embeddings, colours, keep=path).session.tried) == 3

    @pytest.mark.parametrize("content", ["{", "[]", '{"kind": "zsc tries", "dataset": "cats", "tries": []}',
                                         '{"kind": "zsc tries", "dataset": "colours test", "tries": [3]}',
                                         '{"kind": "zsc tries", "dataset": "colours test", "tries": 3}',
                                         '{"kind": "zsc tries", "dataset": "colours test", "tries": [{"texts": [1], '
                                         '"templates": "", "pooling": "mean", "of": {}}]}',
                                         '{"kind": "zsc tries", "dataset": "colours test", "tries": [{"texts": '
                                         '{"red": "a", "blue": 3}, "templates": "", "pooling": "mean", "of": {}}]}',
                                         '{"kind": "zsc tries", "dataset": "colours test", "tries": [{"of": {}}]}',
                                         '{"kind": "zsc tries", "dataset": "colours test", "tries": [{"texts": {}, '
                                         '"templates": "", "pooling": "mean", "of": {"red": "cat"}}]}'])  # fmt: skip
    def test_other_files_are_refused_and_stay(self, embeddings, colours, tmp_path, content):
        path = tmp_path / "tries.json"
        path.write_text(content)
        with pytest.raises(
            ValueError, match=r"tries\.json: holds no tries of these pictures; remove it, or pass another"
        ):
            PromptExplorer(embeddings, colours, keep=path)
        assert path.read_text() == content

    def test_a_file_that_cannot_be_written_is_said(self, embeddings, colours, tmp_path):
        explorer = PromptExplorer(embeddings, colours, keep=tmp_path / "no" / "tries.json")
        explorer.boxes["blue"].value = "yellow"
        assert "The tries are not kept" in explorer.texts["history"] and explorer.fault is None

    def test_other_pictures_of_the_same_name_have_a_file_of_their_own(self, embeddings, colours, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)

        async def names_of(*parts):
            return [PromptExplorer(replace(part, dataset=""), colours).keep.name for part in parts]

        renamed = replace(embeddings, class_names=["red", "green", "yellow"])
        found = asyncio.run(names_of(embeddings, renamed, embeddings.head(9), embeddings))
        assert len({*found}) == 3 and found[0] == found[3] and all(name.startswith("pictures-") for name in found)

    def test_beside_the_notebook_by_default(self, embeddings, colours, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("zsc.explorer.panel.ANSWER_AFTER", 0.01)
        monkeypatch.setattr("zsc.explorer.panel.REMEMBER_AFTER", 0.02)

        async def a_notebook(typed, **options):
            explorer = PromptExplorer(embeddings, colours, **options)
            explorer.boxes["blue"].value = typed
            await asyncio.sleep(0.3)
            return explorer

        PromptExplorer(embeddings, colours).boxes["blue"].value = "yellow"  # a script
        asyncio.run(a_notebook("yellow", keep=None))
        assert not [*tmp_path.iterdir()]
        asyncio.run(a_notebook("yellow"))
        (path,) = tmp_path.iterdir()
        assert path.name.startswith("colours-test-") and path.name.endswith(".tries.json")
        later = asyncio.run(a_notebook("blue"))
        assert path.name in later.texts["history"] and later.reload.description == "bring back 2 kept tries"
        later.reload.click()
        assert later.boxes["blue"].value == "yellow" and later.reload.layout.display == "none"
        later.boxes["blue"].value = "grey"
        assert len(later.session.tried) == 3 and len(json.loads(path.read_text())["tries"]) == 3

    def test_odd_names_are_kept(self, embeddings, colours, tmp_path):
        names = ["caf\udce9", "nul\x00", "turn\u202e"]
        prompts = dict(zip(names, ["red", "green", "blue"], strict=True))
        mine = replace(embeddings, class_names=names, dataset="d\udce9")
        explorer = PromptExplorer(mine, colours, prompts, keep=tmp_path / "tries.json")
        explorer.boxes[names[2]].value = "yellow"
        again = PromptExplorer(mine, colours, prompts, keep=tmp_path / "tries.json")
        assert [one.texts for one in again.session.tried] == [one.texts for one in explorer.session.tried]
        assert len(again.session.tried) == 2

    def test_the_still_form_follows_the_tries(self, explorer, monkeypatch):
        kept = []
        shown = SimpleNamespace(update=lambda bundle, raw: kept.append(bundle))
        monkeypatch.setattr(explorer, "_shown", [shown])
        explorer.boxes["blue"].value = "sheet of yellow paper"
        assert "sheet of yellow paper" in text(kept[-1]["text/html"]) and "text/plain" in kept[-1]


class Page(HTMLParser):
    """Read a page as a screen reader or a reader without styles does: what lacks a name, rows, words."""

    def __init__(self, markup):
        super().__init__()
        self.nameless, self.rows, self.open = [], [], []
        self.feed(str(markup))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if (tag == "img" and not found.get("alt")) or (tag == "th" and "scope" not in found):
            self.nameless.append(self.get_starttag_text()[:200])
        if self.open[-1:] == ["table"] and tag != "caption" and not self.captioned:
            self.nameless.append("a table without a caption")
        self.captioned = tag != "table" and (tag == "caption" or getattr(self, "captioned", False))
        self.rows += [[]] if tag == "tr" else []
        self.open += [] if tag in ("img", "br", "input") else [tag]

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if "tr" in self.open and data.strip():
            self.rows[-1].append(data.strip())


def stripped(markup):
    """Take away what a notebook that is not trusted loses: style elements and classes."""
    return re.sub(r' (class|onclick)="[^"]*"', "", re.sub(r"<style>.*?</style>", "", str(markup), flags=re.DOTALL))


class TestNames:
    """Everything has a name; the still form can be read without styles, classes and a kernel."""

    def test_every_picture_table_and_heading_has_a_name(self, explorer, embeddings, colours):
        explorer.own.take(embeddings.paths[0], "mine.png")
        bare = PromptExplorer(replace(embeddings, labels=np.full(12, -1)), colours)
        for one in (explorer, bare):
            pages = [*one.texts.values(), one.own.shown.value, one._still()["text/html"]]
            assert [page.nameless for page in map(Page, pages) if page.nameless] == []
        assert 'alt="blue, taken for red"' in explorer.texts["gallery"]
        assert 'alt="said to be green"' in bare.texts["gallery"]
        assert Page("<table><tr><th>x</th></tr></table><img>").nameless  # the reader sees

    def test_every_control_has_a_name(self, explorer):
        seen, todo = [], [explorer.widget]
        while todo:
            widget = todo.pop()
            todo += getattr(widget, "children", ())
            if type(widget).__name__ in ("Textarea", "Text", "Dropdown", "FileUpload", "Button"):
                seen.append(widget)
        assert len(seen) > 15 and all(widget.description.strip() for widget in seen)
        assert explorer.own.upload.tooltip  # else the browser says null

    def test_changes_are_announced(self, explorer):
        assert 'role="status"' in explorer.texts["accuracy"] and 'role="status"' in explorer.copy.value
        explorer.boxes["red"].value = ""
        assert 'role="status"' in explorer.texts["accuracy"]
        explorer.boxes["red"].value = "red"
        explorer.file.value = "x.txt"
        explorer.save.click()
        assert 'role="status"' in explorer.texts["message"]

    def test_the_still_form_without_styles(self, explorer):
        explorer.boxes["green"].value = "not green"
        page = Page(stripped(explorer._still()["text/html"]))
        words = [" ".join(row) for row in page.rows]
        assert "blue a photo of a blue" in words and "green a photo of a not green" in words
        assert "wrong: blue → red p = " + f"{explorer.answer.cards['proba'][0]:.3f}" in words  # one row per card
        assert any(row.startswith("blue → red 1") for row in words) and any("0.750 of 4" in row for row in words)
        shown = stripped(explorer._still()["text/html"])
        assert "95 % interval 0.646 to 0.985" in text(shown) and "tried so far: 2" in text(shown)
        assert shown.count('"white-space:nowrap"') == 3 + 1 + 2  # bars, cards, tries: no number over two lines
        assert shown.count("height:11px; background:#0072B2") == 3 and "<button" not in shown and "<style" not in shown

    def test_texts_of_any_direction(self, embeddings, colours):
        names = ["חתול", "green", "blue"]
        prompts = dict(zip(names, ["red", "green", "blue"], strict=True))
        explorer = PromptExplorer(replace(embeddings, class_names=names), colours, prompts)
        for page in (explorer.texts["recall"], explorer._still()["text/html"], explorer.texts["gallery"]):
            assert re.search(r'dir="auto"[^<]*(<[^>]*>[^<]*)*חתול', page)
        assert "unicode-bidi: plaintext" in html.style("x")

    def test_names_from_right_to_left_keep_their_side_of_an_arrow(self, embeddings, colours):
        names = ["חתול", "ירוק", "כחול"]
        prompts = dict(zip(names, ["red", "green", "blue"], strict=True))
        explorer = PromptExplorer(replace(embeddings, class_names=names), colours, prompts)
        pair = "<bdi>כחול</bdi> → <bdi>חתול</bdi>"
        pages = [
            explorer.texts["gallery"],
            html.pairs(explorer.answer.evaluation, True),
            explorer._still()["text/html"],
        ]
        assert [page.count(pair) for page in pages] == [1, 1, 2]
        explorer.true.value, explorer.said.value = 2, 0
        assert "of <bdi>כחול</bdi> said to be <bdi>חתול</bdi>" in explorer.texts["gallery"]

    def test_contrast(self):
        def light(colour):
            parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
            parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
            return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

        def contrast(one, other):
            high, low = sorted([light(one), light(other)], reverse=True)
            return (high + 0.05) / (low + 0.05)

        def over(colour, ground, share):
            pairs = [(int(colour[k : k + 2], 16), int(ground[k : k + 2], 16)) for k in (1, 3, 5)]
            return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in pairs)

        assert contrast("#000000", "#ffffff") == pytest.approx(21)
        tones = PAGES.get_template("tones.css.j2").module
        for ground, ink, wrong in (
            ("#ffffff", "#222222", tones.LIGHT["wrong"]),
            ("#212121", "#dedede", tones.DARK["wrong"]),
        ):
            assert contrast(wrong, ground) >= 4.5 and contrast(over(ink, ground, 0.8), ground) >= 4.5
            assert min(contrast(RIGHT, ground), contrast(WRONG, ground), contrast("#888888", ground)) >= 3
            assert all(contrast(ink, over(RIGHT, ground, share)) >= 4.5 for share in (0, 0.25, 0.5, 0.75))
        assert contrast(WRONG, "#ffffff") < 4.5  # why there is another one for texts
        assert ".75 * count" in (panel := (panel_source())) and f"color: {WRONG}" not in panel


def panel_source():
    return importlib.resources.files("zsc").joinpath("explorer/panel.html.j2").read_text(encoding="utf-8")


class TestPictures:
    """What is counted can be looked at."""

    def test_every_cell_has_its_pictures(self, embeddings, colours):
        labels = np.array([0, 1, 2, 1, 2, 0, 0, 0, 1, 2, 2, 1])
        explorer = PromptExplorer(replace(embeddings, labels=labels), colours)
        answer = explorer.answer
        counts = answer.evaluation.confusion.to_numpy()
        for true in range(3):
            for said in range(3):
                rows = answer.rows(true, said)
                assert len(rows) == counts[true, said]
                proba = answer.show(rows)["proba"].tolist()
                assert proba == sorted(proba, reverse=True)
                assert answer.rows(true, said, unsure=True) == sorted(rows, key=lambda i: answer.result.proba[i].max())
            assert len(answer.rows(true)) == counts[true].sum() and len(answer.rows(said=true)) == counts[:, true].sum()
        assert len(answer.rows(said=WRONG_CLASS)) == counts.sum() - np.trace(counts) and len(answer.rows()) == 12

    def test_the_buttons_name_places_of_the_lists(self, explorer):
        def chosen(button):
            places = dict(re.findall(r'data-(\w+)="(\d+)"', button))
            return {name: getattr(explorer, name).options[int(k)][0] for name, k in places.items()}

        recall = re.findall(r"<button[^>]*>", explorer.texts["recall"])
        assert [chosen(one) for one in recall] == [{"true": n, "said": "any class"} for n in ("red", "green", "blue")]
        cells = re.findall(r"<button[^>]*>(\d+)", explorer.texts["confusion"])
        pairs = [chosen(one) for one in re.findall(r"<button[^>]*>", explorer.texts["confusion"])]
        assert cells == ["4", "4", "1", "3"]
        assert pairs[2] == {"true": "blue", "said": "red"}
        listed = html.pairs(explorer.answer.evaluation, True)
        assert chosen(re.search(r"<button[^>]*>", listed)[0]) == {"true": "blue", "said": "red"}

    def test_choosing_fills_the_gallery(self, explorer):
        explorer.true.value, explorer.said.value = 2, 0
        assert "the most confident pictures of blue said to be red: 1 to 1 of 1" in text(explorer.texts["gallery"])
        explorer.said.value = ANY
        assert text(explorer.texts["gallery"]).count("right: blue") == 3
        explorer.true.value = ANY
        explorer.order.value = True
        assert "the least confident pictures: 1 to 12 of 12" in text(explorer.texts["gallery"])

    def test_pages(self, embeddings, colours):
        many = embeddings.select(np.tile(np.arange(12), 3))
        explorer = PromptExplorer(many, colours)
        explorer.said.value = ANY
        assert (
            "1 to 12 of 36" in explorer.texts["gallery"] and explorer.earlier.disabled and not explorer.later.disabled
        )
        explorer.later.click(), explorer.later.click()
        assert "25 to 36 of 36" in explorer.texts["gallery"] and explorer.later.disabled
        explorer.earlier.click()
        assert "13 to 24 of 36" in explorer.texts["gallery"]
        explorer.said.value = 1
        assert ": 1 to 12 of " in explorer.texts["gallery"]

    def test_without_labels_the_pictures_said_to_be_of_a_class(self, embeddings, colours):
        explorer = PromptExplorer(replace(embeddings, labels=np.full(12, -1)), colours)
        assert explorer.true.layout.display == "none"
        place = int(re.findall(r'data-said="(\d+)"', explorer.texts["recall"])[1])
        explorer.said.index = place
        n = explorer.answer.counts["green"]
        assert f"pictures said to be green: 1 to {n} of {n}" in text(explorer.texts["gallery"])

    def test_a_choice_survives_an_answer_and_not_its_class(self, explorer):
        explorer.true.value = 2
        explorer.boxes["red"].value = "yellow"
        assert explorer.true.value == 2
        explorer.leave_out("blue")
        assert explorer.true.value == ANY and explorer.said.value == WRONG_CLASS


class TestManyAndLong:
    @pytest.mark.parametrize("n", [2, 11, 12, 17, 30, 200])
    @pytest.mark.parametrize("length", [1, 120])
    def test_any_number_of_classes(self, embeddings, colours, n, length):
        names = [f"{'n' * length} {k}" for k in range(n)]
        prompts = {name: ["red", "green", "blue"][k % 3] for k, name in enumerate(names)}
        labels = np.arange(12) % n
        explorer = PromptExplorer(replace(embeddings, class_names=names, labels=labels), colours, prompts)
        shown = explorer.texts
        assert ("most frequent confusions" in shown["confusion"]) == (n >= 12)
        assert shown["confusion"].count("<tr>") <= 12 and Page(shown["confusion"]).nameless == []
        rows = bars_of(explorer.answer)
        assert len(rows) == min(n, 12)
        found = explorer.answer.evaluation.report
        assert all(row.recall == found["recall"][row.Index] for row in rows.itertuples())
        assert (f'title="{names[0]}"' in shown["recall"]) == (length > 30)  # cut by the page, whole at hand
        parts = [*shown.values(), explorer.code.value, explorer.copy.value, explorer._still()["text/html"]]
        assert sum(map(len, parts)) < 200_000 * (1 if length == 1 else 2)

    def test_the_worst_first_and_the_rest_at_hand(self, embeddings, colours):
        names = [f"class {k}" for k in range(20)]
        labels = np.arange(40) % 20
        many = replace(embeddings.select(np.arange(40) % 12), class_names=names, labels=labels)
        prompts = {name: ["red", "green", "blue"][k % 3] for k, name in enumerate(names)}
        explorer = PromptExplorer(many, colours, prompts)
        shares = bars_of(explorer.answer)["recall"].tolist()
        assert shares == sorted(shares) and len(shares) == 20 and shares[0] < shares[-1]
        assert "worst first" in explorer.texts["recall"] and "the other 8" in explorer.texts["recall"]
        bare = PromptExplorer(replace(many, labels=np.full(40, -1)), colours, prompts)
        counts = bars_of(bare.answer)["n"].tolist()
        assert counts == sorted(counts, reverse=True) and "most first" in bare.texts["recall"]


class TestUploads:
    def test_limits_are_said_and_the_widget_lives_on(self, explorer):
        hint = " ".join(w.value for w in explorer.own.widget.children if hasattr(w, "value"))
        assert "at most 10 MB" in hint and "the machine where Python runs" in hint and "goes nowhere else" not in hint
        before = explorer.own.upload
        explorer.own.again.click()
        assert explorer.own.upload is not before and explorer.own.upload in explorer.own._row.children
        assert "more than 10 MB does not get through" in explorer.own.shown.value
        picture = io.BytesIO()
        Image.new("RGB", (40, 30), "red").save(picture, "PNG")
        explorer.own.upload.value = [{"name": "a.png", "type": "image/png", "size": 9, "content": picture.getvalue(),
                                      "last_modified": datetime.now(timezone.utc)}]  # fmt: skip
        assert "a.png" in explorer.own.shown.value and "warn" not in explorer.own.shown.value

    def test_a_path_of_any_size(self, explorer, tmp_path):
        path = tmp_path / "big.png"
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (1900, 1900, 3), dtype=np.uint8)).save(path)
        assert path.stat().st_size > 10_000_000
        explorer.own.path.value = f" {path} "
        assert "big.png" in explorer.own.shown.value and "probability" in explorer.own.shown.value
        explorer.own.path.value = str(tmp_path / "none.png")
        assert "none.png" in explorer.own.shown.value and "<img" not in explorer.own.shown.value


def test_old_widgets_are_told_what_to_install(embeddings, colours, monkeypatch):
    import ipywidgets

    monkeypatch.setattr(ipywidgets, "__version__", "7.7.1")
    with pytest.raises(ImportError, match=r"needs ipywidgets>=8, this is 7\.7\.1: pip install .*, then restart"):
        PromptExplorer(embeddings, colours)


COPIES = {  # what a browser can do -> what is said
    "navigator.clipboard.writeText = () => Promise.resolve()": "copied",
    "navigator.clipboard.writeText = () => Promise.reject(1)": "copied",  # by the older way
    "navigator.clipboard.writeText = () => Promise.reject(1); document.execCommand = () => false": "not copied",
    "Object.defineProperty(navigator, 'clipboard', {value: undefined})": "copied",
    "Object.defineProperty(navigator, 'clipboard', {}); document.execCommand = () => false": "not copied",
}


@pytest.mark.slow
@NEEDS_BROWSER
def test_a_page_in_a_browser(embeddings, colours, tmp_path):
    """What was copied is said; the still form fits 350 pixels, and everything in it has a name."""
    explorer = PromptExplorer(embeddings, colours)
    path = tmp_path / "page.html"
    head = '<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    still = stripped(explorer._still()["text/html"])
    path.write_text(
        f'{head}{html.style("x")}<div class="zsc-panel">{explorer.copy.value}</div>{still}', encoding="utf-8"
    )
    with browser_page(tmp_path) as page:
        for script, words in COPIES.items():
            page.goto(path.as_uri())
            page.evaluate(f"() => {{ {script} }}")
            page.locator(".zsc-copy").click()
            page.locator(".zsc-copy + [role=status]", has_text=re.compile(f"^{words}")).wait_for(timeout=5000)
        for width in (1280, 390, 350):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
        tree = page.locator("body").aria_snapshot()
        assert re.findall(r"- (?:textbox|combobox|button|img|table|tab|rowheader)\b(?! [\"'])", tree) == []
        broken = page.locator("td").evaluate_all(  # at 350 pixels: each number with its interval in one line
            """cells => cells.filter(cell => {
                const range = document.createRange(); range.selectNodeContents(cell);
                const lines = new Set([...range.getClientRects()].map(r => r.top)).size;
                return lines > 1 && /^(p = |[-.0-9]+ (of|to) )/.test(cell.innerText);
            }).length"""
        )
        assert broken == 0
        page.emulate_media(forced_colors="active")
        assert page.locator(".zsc-copy").evaluate("b => getComputedStyle(b).borderTopStyle") == "solid"
        assert 'img "blue, taken for red"' in tree and 'table "prompts, pooling mean"' in tree
