"""The classifier on a model of known geometry: pictures are colours, texts name them."""

import re

import numpy as np
import pandas as pd
import pytest
from conftest import COLOURS, ColourEncoder, colour_picture
from scipy.special import softmax

import zsc
from zsc import ClassPrompts, ZeroShotClassifier

COLUMNS = ["image", "y_true", "y_pred", "y_pred_token", "proba"]
RGB = ["red", "green", "blue"]


def test_predictions_and_probabilities_by_hand(colours, colour_dataset):
    clf = ZeroShotClassifier(RGB, colours)
    table = clf.predict(colour_dataset)
    assert list(table) == [*COLUMNS, "proba_red", "proba_green", "proba_blue"]
    images = np.array([np.asarray(p).reshape(-1, 3).mean(axis=0) for p in colour_dataset.paths])
    cosines = images / np.linalg.norm(images, axis=1, keepdims=True) @ np.array([COLOURS[c] for c in RGB]).T
    expected = softmax(14.3 * cosines, axis=1)  # the model's own scale, not 100
    np.testing.assert_allclose(table[[f"proba_{c}" for c in RGB]], expected, atol=1e-5)
    np.testing.assert_allclose(clf.predict_proba(colour_dataset), expected, atol=1e-5)
    np.testing.assert_allclose(clf.predict_scores(colour_dataset), cosines, atol=1e-5)
    assert table["y_pred"].tolist() == [0, 1, 2] * 3 + [0, 1, 0]
    assert table["y_true"].tolist() == colour_dataset.labels.tolist()
    np.testing.assert_allclose(table["proba"], expected.max(axis=1), atol=1e-5)


def test_the_scale_is_the_models_own(colour_dataset):
    mild, sharp = (ZeroShotClassifier(RGB, ColourEncoder(scale)) for scale in (14.3, 100.0))
    assert mild.predict_proba(colour_dataset).max() < sharp.predict_proba(colour_dataset).max()
    ratio = np.log(mild.predict_proba(colour_dataset)[0, 0] / mild.predict_proba(colour_dataset)[0, 1])
    scores = mild.predict_scores(colour_dataset)
    assert ratio == pytest.approx(14.3 * (scores[0, 0] - scores[0, 1]), rel=1e-4)


def test_one_picture(colours):
    clf = ZeroShotClassifier(["a red thing", "a blue thing"], colours)
    row = clf.classify(colour_picture(COLOURS["blue"]))
    assert list(row) == COLUMNS and len(row) == 1
    assert row["y_pred"][0] == 1 and row["y_pred_token"][0] == "a blue thing" and pd.isna(row["y_true"][0])
    assert clf.classify(colour_picture(COLOURS["blue"]), y_true=0)["y_true"][0] == 0
    with pytest.raises(ValueError, match="labels runs? from 5 to 5"):
        clf.classify(colour_picture(COLOURS["blue"]), y_true=5)


def test_the_text_is_encoded_once_and_pictures_in_batches(colours, colour_dataset):
    clf = ZeroShotClassifier(RGB, colours)
    clf.predict(colour_dataset, batch_size=5)
    clf.evaluate(colour_dataset)
    assert colours.texts_seen == RGB
    assert colours.image_batches == [5, 5, 2, 12]


def test_validate_is_the_tutorials(colours, colour_dataset, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    accuracy, table = ZeroShotClassifier(RGB, colours).validate(colour_dataset, max_images=12)
    assert accuracy == pytest.approx(11 / 12) and len(table) == 12
    assert "12/12" in capsys.readouterr().err  # the progress bar
    assert ZeroShotClassifier(RGB, colours).validate(colour_dataset, max_images=4)[1].shape[0] == 4
    unlabelled = zsc.ImageDataset(colour_dataset.paths, np.full(12, -1), RGB)
    with pytest.raises(ValueError, match="12 of 12 pictures have no label; use predict"):
        ZeroShotClassifier(RGB, colours).validate(unlabelled)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
@pytest.mark.parametrize("pooling", ["mean", "max", "sum"])
def test_permuting_the_classes_changes_nothing(colours, colour_dataset, order, pooling):
    straight = ClassPrompts.from_texts({c: [f"a {c} thing", f"{c} again"] for c in RGB})
    permuted = ClassPrompts.from_texts({RGB[i]: straight.texts[RGB[i]] for i in order})
    first = ZeroShotClassifier(straight, colours, pooling=pooling).evaluate(colour_dataset)
    second = ZeroShotClassifier(permuted, colours, pooling=pooling).evaluate(colour_dataset)
    assert first.accuracy == second.accuracy == pytest.approx(11 / 12)
    pd.testing.assert_frame_equal(first.report, second.report.loc[RGB])
    table = ZeroShotClassifier(permuted, colours, pooling=pooling).predict(colour_dataset)
    names = np.array(permuted.class_names)
    assert (names[table["y_true"]] == np.array(RGB)[colour_dataset.labels]).all()


def test_two_classes(colours):
    dataset = zsc.ImageDataset([colour_picture(COLOURS[c]) for c in ("red", "blue")], np.array([0, 1]), ["red", "blue"])
    evaluation = ZeroShotClassifier(["red", "blue"], colours).evaluate(dataset)
    assert evaluation.accuracy == 1 and evaluation.report.shape == (2, 4) and evaluation.errors.empty


def test_the_best_prompt_of_the_predicted_class_is_the_token(colours):
    prompts = ClassPrompts.from_texts({"warm": ["red", "yellow"], "cold": ["blue"]}, pooling="max")
    clf = ZeroShotClassifier(prompts, colours)
    assert clf.pooling == "max"  # the rule the prompts bring along
    table = clf.predict([colour_picture(COLOURS["yellow"]), colour_picture(COLOURS["red"])])
    assert table["y_pred_token"].tolist() == ["yellow", "red"] and table["y_pred"].tolist() == [0, 0]


def test_kept_embeddings_serve_many_questions(colours, colour_dataset):
    embeddings = zsc.embed_images(colours, colour_dataset, progress=False)
    before = len(colours.image_batches)
    for prompts in (RGB, ["a red thing", "a green thing", "a blue thing"]):
        fresh = ZeroShotClassifier(prompts, colours).predict(colour_dataset)
        before += 1
        pd.testing.assert_frame_equal(ZeroShotClassifier(prompts, colours).predict(embeddings), fresh)
        assert len(colours.image_batches) == before


def test_embeddings_of_another_model_are_refused(colours, colour_dataset):
    embeddings = zsc.embed_images(ColourEncoder(fingerprint_salt="x"), colour_dataset, progress=False)
    with pytest.raises(
        ValueError, match=r"the embeddings were made by colours .* embed the pictures with the same model"
    ):
        ZeroShotClassifier(RGB, colours).predict(embeddings)


def test_results_say_what_made_them(colours, colour_dataset):
    clf = ZeroShotClassifier(RGB, colours)
    for made_by in (clf.answer(list(colour_dataset.paths)).made_by, clf.evaluate(colour_dataset).made_by):
        assert made_by.model == "colours" and made_by.dataset.strip() in ("pictures", "colours test")
        assert made_by.library == "tests" and made_by.precision == "float32" and made_by.fingerprint
        assert made_by.prompts == {c: [c] for c in RGB} and made_by.pooling == "mean" and made_by.versions["numpy"]
    assert not clf.predict(colour_dataset).attrs


def test_texts_in_another_order_than_the_classes_change_nothing(colours, colour_dataset):
    texts = ["a red thing", "a green thing", "a blue thing"]
    straight = ZeroShotClassifier(texts, colours).evaluate(colour_dataset)
    turned = ZeroShotClassifier([texts[1], texts[2], texts[0]], colours).evaluate(colour_dataset)
    assert straight.accuracy == turned.accuracy == pytest.approx(11 / 12)
    assert straight.made_by.matched_by == turned.made_by.matched_by == "name"
    with pytest.raises(zsc.scoring.ClassMismatchError, match="would stand for the class 'red' but names 'green'"):
        ZeroShotClassifier(["a green thing", "a red thing", "a grey thing"], colours).evaluate(colour_dataset)


def test_classes_matched_by_position_are_told(colours, caplog):
    pictures = [colour_picture(COLOURS[c]) for c in ("red", "blue")]
    dataset = zsc.ImageDataset(pictures, np.array([0, 1]), ["rot", "bleu"])
    clf = ZeroShotClassifier(["a red thing", "a blue thing"], colours)
    evaluation = clf.evaluate(dataset)
    assert evaluation.accuracy == 1 and evaluation.made_by.matched_by == "position"
    assert evaluation.summary().endswith("Classes were matched by position.")
    assert "classes matched by position: 'rot' = 'a red thing', 'bleu' = 'a blue thing'" in caplog.text
    caplog.clear()
    assert clf.answer(dataset).made_by.matched_by == "position" and "by position" in caplog.text
    assert clf.answer(pictures).made_by.matched_by == ""


@pytest.mark.parametrize(
    ("prompts", "error", "reason"),
    [
        ("red", TypeError, "pass a list of texts"),
        ([1, 2], TypeError, "pass a list of texts"),
        ([["red"], ["blue"]], TypeError, "pass a list of texts"),
        ({"red": 1, "blue": "blue"}, TypeError, "class 'red' has the prompt 1"),
        (["red"], ValueError, "class_names holds 1; pass two or more"),
        (["red", "red"], ValueError, "prompts holds 'red' more than once"),
        ({"red", "blue"}, TypeError, "where order decides; pass a list of texts, a mapping of class to prompts"),
        (frozenset(["red", "blue"]), TypeError, "where order decides"),
        ({"red": 1}.keys(), TypeError, "where order decides"),
        ({"a": {"red", "green"}, "b": "blue"}, TypeError, "class 'a' has the prompt {"),
        (["red " + "very " * 20, "blue"], ValueError, "23 tokens, limit 16"),
    ],
)
def test_wrong_prompts(colours, prompts, error, reason):
    with pytest.raises(error, match=re.escape(reason)):
        ZeroShotClassifier(prompts, colours)


def test_long_prompts_are_cut_only_on_request(colours):
    clf = ZeroShotClassifier(["red " + "very " * 20, "blue"], colours, truncate=True)
    assert clf.text_embeddings.shape == (2, 3)


def test_an_unknown_pooling(colours):
    with pytest.raises(ValueError, match="pooling='best'; pooling must be one of mean, max, sum"):
        ZeroShotClassifier(RGB, colours, pooling="best")


def test_a_picture_that_cannot_be_opened_is_named(colours, tmp_path):
    with pytest.raises(zsc.ImageError, match=r"gone\.png: no such file"):
        ZeroShotClassifier(RGB, colours).predict([colour_picture((1, 0, 0)), tmp_path / "gone.png"])


def test_prompts_as_a_mapping_or_a_generator(colours):
    clf = ZeroShotClassifier({"warm": ["red", "yellow"], "cold": "blue"}, colours)
    assert clf.class_names == ["warm", "cold"] and colours.texts_seen == ["red", "yellow", "blue"]
    assert ZeroShotClassifier((c for c in RGB), colours).class_names == RGB


def test_pictures_in_any_kind_of_list(colours, tmp_path):
    paths = []
    for name in ("red", "blue"):
        colour_picture(COLOURS[name]).save(tmp_path / f"{name}.png")
        paths.append(str(tmp_path / f"{name}.png"))
    clf = ZeroShotClassifier(RGB, colours)
    stack = np.stack([np.asarray(zsc.open_image(p)) for p in paths])
    for pictures in (paths, tuple(paths), np.array(paths), pd.Series(paths), (p for p in paths), stack):
        assert clf.predict(pictures)["y_pred"].tolist() == [0, 2]
    assert clf.predict(paths[1])["y_pred"].tolist() == [2]
    assert clf.predict(stack[1])["y_pred"].tolist() == [2]


def test_other_classes_are_asked_freely_but_not_judged(colours, colour_dataset):
    clf = ZeroShotClassifier(["yellow", "grey"], colours)
    answer = clf.answer(colour_dataset)
    assert answer.table["y_true"].isna().all()
    assert answer.made_by.matched_by.startswith("not at all: the data set's classes")
    for judge in (clf.evaluate, clf.validate):
        with pytest.raises(ValueError, match="are not the classifier's"):
            judge(colour_dataset)


def test_what_cannot_be_judged_is_refused_before_it_is_embedded(colours, colour_dataset):
    clf = ZeroShotClassifier(RGB, colours)
    unlabelled = zsc.ImageDataset(colour_dataset.paths, np.full(12, -1), RGB)
    for pictures, error, reason in (
        (unlabelled, ValueError, "12 of 12 pictures have no label"),
        (list(colour_dataset.paths), TypeError, "a list has no labels"),
        (zsc.ImageDataset([], np.array([], int), RGB), ValueError, "there are no pictures to judge"),
    ):
        with pytest.raises(error, match=reason):
            clf.evaluate(pictures)
    assert not colours.image_batches


@pytest.fixture
def broken(tmp_path):
    """Six pictures as files, of which the second is missing and the fifth is no picture."""
    paths, labels = [], np.array([0, 1, 2, 0, 1, 2])
    for i, k in enumerate(labels):
        paths.append(tmp_path / f"{i}.png")
        colour_picture(COLOURS[RGB[k]]).save(paths[-1])
    paths[1].unlink()
    paths[4].write_bytes(b"no picture")
    return zsc.ImageDataset(paths, labels, RGB, name="broken")


class TestPicturesThatCannotBeOpened:
    def test_the_run_ends_unless_one_says_otherwise(self, colours, broken):
        clf = ZeroShotClassifier(RGB, colours)
        for call in (clf.predict, clf.evaluate, clf.validate):
            with pytest.raises(zsc.ImageError, match=r"1\.png: no such file"):
                call(broken)
            with pytest.raises(ValueError, match="on_error='ignore'; on_error must be one of raise, skip, record"):
                call(broken, on_error="ignore")
        with pytest.raises(zsc.ImageError):
            clf.classify(broken.paths[1])

    def test_the_others_are_answered(self, colours, broken):
        clf = ZeroShotClassifier(RGB, colours)
        answer = clf.answer(broken, on_error="record")
        table = answer.table
        assert table["y_pred"].isna().tolist() == [False, True, False, False, True, False]
        assert table["y_true"].tolist() == broken.labels.tolist() and answer.made_by.left_out == 2
        assert table["proba"].isna().sum() == 2 and table["y_pred_token"].isna().sum() == 2
        answer = clf.answer(broken, on_error="skip")
        assert answer.table["y_pred"].tolist() == [0, 2, 0, 2] and answer.made_by.left_out == 2
        assert answer.made_by.other["left_out_examples"][0].startswith(str(broken.paths[1]))
        row = clf.classify(broken.paths[4], on_error="record")
        assert list(row) == COLUMNS and row["y_pred"].isna().all() and len(row) == 1

    @pytest.mark.parametrize("on_error", ["skip", "record"])
    def test_the_result_says_how_many_were_left_out(self, colours, broken, on_error):
        clf = ZeroShotClassifier(RGB, colours)
        embeddings = zsc.embed_images(colours, broken, on_error=on_error, progress=False)
        for evaluation in (clf.evaluate(broken, on_error=on_error), clf.evaluate(embeddings)):
            assert evaluation.n == 4 and evaluation.accuracy == 1 and evaluation.made_by.left_out == 2
            assert "Left out, as they cannot be opened: 2 pictures." in evaluation.summary()
            assert len(evaluation.to_dict()["left_out_examples"]) == 2
        accuracy, table = clf.validate(broken, on_error=on_error)
        assert accuracy == 1 and len(table) == (4 if on_error == "skip" else 6)

    def test_nothing_left_out_is_said_too(self, colours, colour_dataset):
        evaluation = ZeroShotClassifier(RGB, colours).evaluate(colour_dataset, on_error="skip")
        assert evaluation.made_by.left_out == 0 and "left_out_examples" not in evaluation.made_by.to_dict()
        assert "Left out" not in evaluation.summary()

    @pytest.mark.parametrize("on_error", ["skip", "record"])
    def test_all_of_them(self, colours, tmp_path, on_error):
        gone = zsc.ImageDataset([tmp_path / "a.png", tmp_path / "b.png"], np.array([0, 1]), RGB)
        clf = ZeroShotClassifier(RGB, colours)
        for judge in (clf.evaluate, clf.validate):
            with pytest.raises(
                ValueError, match=r"none of the 2 pictures can be opened; first: .*a\.png: no such file"
            ):
                judge(gone, on_error=on_error)
        assert len(clf.predict(gone, on_error=on_error)) == (0 if on_error == "skip" else 2)


class TestTheTableInFiles:
    @pytest.mark.parametrize("suffix", ["parquet", "feather", "json", "csv"])
    def test_every_format_takes_it(self, colours, broken, tmp_path, suffix):
        sources = [str(broken.paths[0]), broken.paths[2], broken.paths[1]]
        dataset = zsc.ImageDataset(sources, np.array([0, -1, 1]), RGB)
        table = ZeroShotClassifier(RGB, colours).predict(dataset, on_error="record")
        assert table["image"].tolist() == [str(source) for source in sources]
        path = tmp_path / f"table.{suffix}"
        if suffix == "json":
            table.to_json(path, orient="records")
            back = pd.read_json(path)
        else:
            getattr(table, f"to_{suffix}")(path)
            back = getattr(pd, f"read_{suffix}")(path)
        assert back["image"].tolist() == table["image"].tolist()

    def test_a_class_whose_name_is_no_utf8(self, colours, colour_dataset):
        clf = ZeroShotClassifier({"caf\udce9": "red", "green": "green", "blue": "blue"}, colours)
        assert "proba_caf\udce9" in clf.predict(colour_dataset) and clf.advice.empty

    def test_what_is_in_memory_stays_what_it_is(self, colours):
        picture = colour_picture(COLOURS["red"])
        assert ZeroShotClassifier(RGB, colours).predict([picture])["image"][0] is picture


class TestNothingGivenOutChangesTheClassifier:
    def test_arrays_are_read_only(self, colours):
        clf = ZeroShotClassifier(RGB, colours)
        for array in (clf.class_weights, clf.text_embeddings):
            with pytest.raises(ValueError, match="read-only"):
                array[:] = 0

    def test_names_and_tables_are_copies(self, colours, colour_dataset):
        clf = ZeroShotClassifier(RGB, colours)
        clf.class_names.reverse()
        answer = clf.answer(colour_dataset)
        table = answer.table
        table["y_pred"] = 7
        assert answer.table["y_pred"].max() == 2
        del clf.advice["advice"]
        assert clf.class_names == RGB and clf.prompts.texts["red"] == ["red"] and "advice" in clf.advice

    def test_what_was_passed_in_may_change_later(self, colours):
        names = list(RGB)
        clf = ZeroShotClassifier(names, colours)
        names.clear()
        assert clf.class_names == RGB


def test_prompts_that_cancel_are_refused_when_the_classifier_is_made(monkeypatch, colours):
    monkeypatch.setitem(COLOURS, "anti", (-1, 0, 0))
    prompts = {"odd": ["red", "anti"], "blue": "blue"}
    with pytest.raises(ValueError, match="the 2 prompts of the class 'odd' cancel each other out"):
        ZeroShotClassifier(prompts, colours)
    assert ZeroShotClassifier(prompts, colours, pooling="max").predict([colour_picture((1, 0, 0))])["y_pred"][0] == 0


class TestAdvice:
    def test_ids_and_bare_numbers(self, colours):
        clf = ZeroShotClassifier({"n01440764": "a photo of a n01440764 red", "0": "blue 0"}, colours)
        assert clf.advice["warning"].tolist() == ["no phrase", "no phrase"]
        assert "prompts file" in clf.advice["advice"][0] and "n01440764" in clf.advice["advice"][0]

    def test_lengths_are_those_of_the_model(self, colours):
        clf = ZeroShotClassifier(["red " + "very " * 20, "blue"], colours, truncate=True)
        assert clf.advice["warning"].tolist() == ["too long"] and "the model reads 16" in clf.advice["advice"][0]
        assert ZeroShotClassifier(RGB, colours).advice.empty


def test_toy_on_files_that_are_no_drawings_says_once_that_it_guesses(tmp_path, caplog):
    from zsc import classifier

    classifier._tell.cache_clear()
    (picture, _), *_ = drawn = zsc.load_dataset("drawn-animals", n=4, seed=0)
    picture.save(tmp_path / "a.png")
    clf = zsc.ZeroShotClassifier(["a cat", "a dog"], "toy")
    clf.answer(drawn)
    assert not caplog.records
    clf.answer([tmp_path / "a.png"])
    clf.answer([tmp_path / "a.png"])
    assert [r.getMessage() for r in caplog.records] == [
        "the model toy knows only the drawings of this project; on anything else it guesses"
    ]
