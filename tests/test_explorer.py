"""The explorer answers as the classifier does, encodes only what is new, and says what is wrong in a sentence."""

import ast
import asyncio
import copy
import importlib
import io
import os
import pickle
import re
import subprocess
import sys
from dataclasses import replace
from html import unescape

import numpy as np
import pytest
from test_browser import HOSTILE, NEEDS_BROWSER, what_a_browser_does

import zsc
from zsc.explorer import ExplorerSession, PromptExplorer
from zsc.explorer.panel import as_code, html, save_prompts
from zsc.explorer.session import as_lines, fill, from_lines
from zsc.files import printable

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
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", markup))).strip()


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
        assert [c.image for c in answer.cards] == list(fresh.errors["image"])
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
        assert notes["red"][0].startswith("negation, “not red”") and notes["green"][0].startswith("too long, “red red")
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
        assert [c.proba for c in answer.cards] == pytest.approx(sorted(top)[:12])
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

    def test_a_copy_forgets_nothing_and_shares_nothing(self, session, colours):
        texts, templates = session.start
        session.ask(texts, templates)
        other = copy.deepcopy(session)
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

    def test_the_file_is_read_back(self, session, tmp_path):
        answer = session.ask(*session.start, "sum")
        path = save_prompts(answer, tmp_path / "mine.yaml")
        back = zsc.ClassPrompts.load(path)
        assert back.texts == answer.prompts.texts and back.pooling == "sum"
        wrong = {
            "mine.yaml": "is there already",
            "mine.txt": "end the file's name with .yaml",
            "no/a.yaml": "no folder",
        }
        for name, reason in wrong.items():
            with pytest.raises(ValueError, match=reason):
                save_prompts(answer, tmp_path / name)


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
        assert "the most confident mistakes (1 of 1)" in text(gallery) and "wrong: blue → red" in text(gallery)
        assert gallery.count("data:image/jpeg;base64,") == 1

    def test_recall_and_confusion(self, explorer):
        assert "red 1.00 of 4" in text(explorer.texts["recall"])
        rows = text(explorer.texts["confusion"])
        assert rows.endswith("red green blue red 4 0 0 green 0 4 0 blue 1 0 3")

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
        assert explorer.answer.prompts.texts["blue"] == ["a photo of a blue"] and explorer.templates.value == ""
        assert explorer.back.value == 0

    def test_export_buttons(self, explorer, tmp_path):
        explorer.file.value = str(tmp_path / "prompts.yaml")
        explorer.save.click()
        assert "written" in explorer.texts["message"] and (tmp_path / "prompts.yaml").exists()
        explorer.save.click()
        assert "is there already" in explorer.texts["message"]
        for name in ("~nobody-at-all/prompts.yaml", "nul\x00.yaml"):
            explorer.file.value = name
            explorer.save.click()
            assert "written" not in explorer.texts["message"]
        assert "clipboard" in explorer.copy.value and "zsc.ClassPrompts" in explorer.copy.value

    def test_own_picture_tab(self, explorer, colour_dataset):
        content = io.BytesIO()
        colour_dataset.paths[0].save(content, "PNG")
        explorer.own.take(content.getvalue(), "<mine>.png")
        assert "&lt;mine&gt;.png" in explorer.own.picture.value
        assert text(explorer.own.bars.value).startswith("probability, relative to these prompts red 1.00")
        explorer.boxes["green"].value = "red"
        assert text(explorer.own.bars.value).endswith("red 0.50 green 0.50 blue 0.00")
        explorer.own.take(b"no picture", "notes.txt")
        assert "notes.txt: not a picture" in explorer.own.bars.value and explorer.own.picture.value == ""

    def test_an_own_picture_is_classified_as_one_of_the_data_set(self, explorer, colour_dataset):
        content = io.BytesIO()
        colour_dataset.paths[1].save(content, "PNG")
        explorer.own.take(content.getvalue(), "mine.png")
        proba = explorer.answer.classifier.predict_proba(explorer.own.embedded)
        np.testing.assert_allclose(proba, explorer.answer.evaluation.proba[1:2], atol=1e-6)
        assert "green 1.00 red 0.00 blue 0.00" in text(explorer.own.bars.value)

    def test_without_labels(self, embeddings, colours):
        explorer = PromptExplorer(replace(embeddings, labels=np.full(12, -1)), colours)
        assert text(explorer.texts["accuracy"]).startswith("12 pictures, no labels")
        assert "accuracy" not in text(explorer.texts["accuracy"])
        assert "the least sure pictures" in explorer.texts["gallery"]
        assert explorer.texts["confusion"] == "" and "no labels" in repr(explorer)

    def test_every_text_is_escaped(self, embeddings, colours):
        names = ["<b>red</b>", "green & co", '"blue"']
        prompts = {names[0]: "red", names[1]: "green", names[2]: "blue"}
        explorer = PromptExplorer(replace(embeddings, class_names=names, dataset="<i>"), colours, prompts)
        explorer.boxes[names[0]].value = "not <script> red"
        page = explorer._repr_mimebundle_()["text/html"]
        assert "<b>red" not in page and "<script" not in page and "<i>" not in page
        assert "&lt;b&gt;red&lt;/b&gt;" in page
        assert "<script" not in explorer.copy.value + explorer.texts[f"notes of {names[0]}"]

    def test_names_that_are_no_utf8_are_shown(self, embeddings, colours):
        names = ["caf\udce9", "nul\x00", "turn\u202e"]
        prompts = dict(zip(names, ["red", "green", "not blue \x07"], strict=True))
        explorer = PromptExplorer(replace(embeddings, class_names=names, dataset="d\udce9"), colours, prompts)
        page = explorer._repr_mimebundle_()["text/html"] + explorer.copy.value + explorer.code.value
        page += "".join(explorer.texts.values()) + "".join(box.value for box in explorer.boxes.values())
        assert page.encode() and "caf\\xe9" in page and "\x00" not in page and "\u202e" not in page

    def test_many_classes_list_their_confused_pairs(self, embeddings, colours):
        names = [f"class {k}" for k in range(200)]
        prompts = {name: ["red", "green", "blue"][k % 3] for k, name in enumerate(names)}
        labels = np.array([3, 1, 2, 3, 1, 2, 3, 1, 2, 6, 1, 2])
        session = ExplorerSession(replace(embeddings, class_names=names, labels=labels), colours, prompts)
        answer = session.ask(*session.start)
        shown = html.confusion(answer)
        assert "200 classes: the pairs that are confused most" in shown and "class 3 → class 0 3" in text(shown)
        assert shown.count("<td") < 50 and answer.counts.sum() == 12 and len(answer.counts) == 200

    def test_it_shows_as_a_widget_and_as_a_page(self, explorer):
        bundle = explorer._repr_mimebundle_()
        assert "application/vnd.jupyter.widget-view+json" in bundle
        assert bundle["text/plain"].startswith("PromptExplorer(colours test, colours: accuracy 0.917 (11 of 12)")
        assert "tried so far: 1" in bundle["text/html"]

    def test_it_waits_until_the_reader_pauses(self, explorer, monkeypatch):
        monkeypatch.setattr("zsc.explorer.panel.ANSWER_AFTER", 0.05)
        monkeypatch.setattr("zsc.explorer.panel.REMEMBER_AFTER", 0.2)
        asked = []
        ask = explorer.session.ask
        monkeypatch.setattr(explorer.session, "ask", lambda *a: asked.append(a) or ask(*a))

        async def type_slowly():
            for typed in ("y", "ye", "yellow"):
                explorer.boxes["blue"].value = typed
            await asyncio.sleep(0.1)
            assert len(asked) == 1 and len(explorer.session.tried) == 1
            await asyncio.sleep(0.3)
            assert len(explorer.session.tried) == 2

        asyncio.run(type_slowly())

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
    parts = [*explorer.texts.values(), explorer.own.picture.value, explorer.own.bars.value, explorer.copy.value]
    path = tmp_path / "panel.html"
    path.write_text(f'<!doctype html><meta charset="utf-8">{"".join(parts)}', encoding="utf-8")
    seen = what_a_browser_does(path, tmp_path, click=".zsc-copy")
    assert seen.dialogs == [] and seen.requests == [path.as_uri()] and not seen.foreign
    assert name in seen.text and prompt in seen.text
    assert seen.attributes("data-code") == [explorer.code.value]

    def test_pictures_whose_names_are_no_utf8_are_shown(self, embeddings, colours, tmp_path):
        paths = [os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9%d.png" % k) for k in range(12)]
        for path, picture in zip(paths, embeddings.paths, strict=True):
            picture.save(path)
        gallery = PromptExplorer(replace(embeddings, paths=paths), colours)._outputs["gallery"].value
        assert gallery.count("data:image/jpeg") == 1 and "cannot be opened" not in gallery


def test_ipywidgets_is_asked_for_in_a_sentence(embeddings, colours, monkeypatch):
    def refuse(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(ImportError, match=r"the explorer needs ipywidgets: pip install 'ipywidgets>=8'"):
        PromptExplorer(embeddings, colours)


@pytest.mark.slow
def test_importing_the_explorer_needs_no_widgets_and_no_torch():
    code = "import sys; sys.modules['ipywidgets'] = None; import zsc.explorer; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_no_mistakes_is_said(embeddings, colours):
    session = ExplorerSession(embeddings.head(3), colours)
    answer = session.ask(*session.start)
    assert "no mistakes" in html.cards(answer, []) and html.notes([]) == ""
