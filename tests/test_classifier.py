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
    with pytest.raises(ValueError, match="labels run from 5 to 5"):
        clf.classify(colour_picture(COLOURS["blue"]), y_true=5)


def test_the_text_is_encoded_once_and_pictures_in_batches(colours, colour_dataset):
    clf = ZeroShotClassifier(RGB, colours)
    clf.predict(colour_dataset, batch_size=5)
    clf.evaluate(colour_dataset)
    assert colours.texts_seen == RGB
    assert colours.image_batches == [5, 5, 2, 12]


def test_validate_is_the_tutorials(colours, colour_dataset, capsys):
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
    for about in (clf.predict(colour_dataset).attrs, clf.evaluate(colour_dataset).about):
        assert about["model"] == "colours" and about["dataset"] == "colours test" and about["pooling"] == "mean"
        assert about["library"] == "tests" and about["precision"] == "float32" and about["fingerprint"]
        assert about["prompts"] == {c: [c] for c in RGB}


def test_prompts_in_another_order_than_the_classes_are_refused(colours, colour_dataset):
    with pytest.raises(ValueError, match="would stand for the class"):
        ZeroShotClassifier(["a green thing", "a red thing", "a blue thing"], colours).evaluate(colour_dataset)


@pytest.mark.parametrize(
    ("prompts", "error", "reason"),
    [
        ("red", TypeError, "pass a list of texts"),
        ([1, 2], TypeError, "pass a list of texts"),
        ([["red"], ["blue"]], TypeError, "pass a list of texts"),
        ({"red": 1, "blue": "blue"}, TypeError, "class 'red' has the prompt 1"),
        (["red"], ValueError, "1 class given"),
        (["red", "red"], ValueError, "hold a text twice"),
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
    with pytest.raises(ValueError, match="pooling='best'; accepted are mean, max, sum"):
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
    assert clf.predict(colour_dataset)["y_true"].isna().all()
    for judge in (clf.evaluate, clf.validate):
        with pytest.raises(ValueError, match="are not the classifier's"):
            judge(colour_dataset)


def test_what_cannot_be_judged_is_refused_before_it_is_embedded(colours, colour_dataset):
    clf = ZeroShotClassifier(RGB, colours)
    unlabelled = zsc.ImageDataset(colour_dataset.paths, np.full(12, -1), RGB)
    for pictures, error, reason in (
        (unlabelled, ValueError, "12 of 12 pictures have no label"),
        (colour_dataset.paths, TypeError, "a list has no labels"),
        (zsc.ImageDataset([], np.array([], int), RGB), ValueError, "0 of 0 pictures"),
    ):
        with pytest.raises(error, match=reason):
            clf.evaluate(pictures)
    assert not colours.image_batches
