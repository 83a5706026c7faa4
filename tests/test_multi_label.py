"""Classes that do not exclude each other: labels from files and drawings, sigmoids, thresholds, and what is judged.

Oracles: scikit-learn for every metric, transformers' own logits for the sigmoid, a known truth for thresholds.
"""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import ColourEncoder, colour_picture
from scipy.special import expit
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    precision_recall_fscore_support,
    precision_score,
    recall_score,
)
from test_families import siglip

import zsc
from zsc.calibration import choose_threshold
from zsc.drawings import draw
from zsc.evaluation import Evaluation
from zsc.plots import gallery, sample_grid
from zsc.report import write_report
from zsc.scoring import ClassMismatchError
from zsc.statistics import wilson_interval

SEVERAL = "do not exclude each other"
FACES = {
    "glasses": "a person with glasses",
    "hat": ["a person in a cap", "a person in a beanie", "a person in a straw hat"],
    "woman": "a photo of a woman",
    "beard": "a man with a beard",
}


@pytest.fixture(scope="module")
def faces():
    """Three hundred drawn faces, embedded by the toy model once."""
    dataset = zsc.load_dataset("drawn-glasses", n=300, attributes=True)
    return zsc.embed_images("toy", dataset, batch_size=64, progress=False)


def mixed(weights):
    """A picture of some of the three colours."""
    return colour_picture([0.8 if weight else 0.1 for weight in weights])


@pytest.fixture
def colour_sets():
    """Forty pictures that show each of red, green and blue, or not; none is black."""
    rng = np.random.default_rng(3)
    labels = np.array([row for row in rng.integers(0, 2, (60, 3)) if row.any()][:40])
    return zsc.ImageDataset([mixed(row) for row in labels], labels, ["red", "green", "blue"], name="sets")


class TestData:
    @pytest.fixture
    def folder(self, tmp_path):
        for name in ("a.png", "b.png", "c.png"):
            colour_picture((1, 0, 0)).save(tmp_path / name)
        return tmp_path

    def read(self, folder, text, **options):
        (folder / "l.csv").write_text(text, encoding="utf-8")
        return zsc.ImageDataset.from_csv(folder / "l.csv", image_column="image", **options)

    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    def test_columns_and_a_separator_say_the_same(self, folder, delimiter):
        rows = [["image", "hat", "old", "glasses"], ["a.png", "1", "x", "0"], ["b.png", "TRUE", "", "1.0"],
                ["c.png", "0", "", "false"]]  # fmt: skip
        text = "\n".join(delimiter.join(row) for row in rows)
        columns = self.read(folder, text, label_columns=["glasses", "hat"])
        cells = self.read(folder, 'image,label\na.png,hat\nb.png,"hat; glasses"\nc.png,\n',
                          label_column="label", label_separator=";")  # fmt: skip
        for dataset in (columns, cells):
            assert dataset.class_names == ["glasses", "hat"]
            assert dataset.labels.tolist() == [[0, 1], [1, 1], [0, 0]]
            assert [path.name for path in dataset.paths] == ["a.png", "b.png", "c.png"]

    def test_names_order_and_indices_of_the_values(self, folder):
        options = {"label_column": "label", "label_separator": "|"}
        found = self.read(folder, "image,label\na.png,2|0\nb.png,x\n", class_names=["y", "x", "z"], **options)
        assert found.class_names == ["y", "x", "z"] and found.labels.tolist() == [[1, 0, 1], [0, 1, 0]]

    @pytest.mark.parametrize(
        ("text", "options", "message"),
        [
            ("image,hat\na.png,1\nb.png,yes\n", {"label_columns": ["hat"]}, "holds 'yes' in line 3; write 1"),
            ("image,hat\na.png,1\nb.png,\n", {"label_columns": ["hat"]}, "column 'hat' holds '' in line 3"),
            ("image,hat\na.png,-1\n", {"label_columns": ["hat"]}, "holds '-1' in line 2"),
            ("image,hat\na.png,1\n", {"label_columns": ["hat", "cap"]}, "no column cap; the header has image, hat"),
            ("image,l\na.png,x;y\nb.png,x;;y\n", {"label_column": "l", "label_separator": ";"}, "is empty in line 3"),
            ("image,l\na.png,x;q\n", {"label_column": "l", "label_separator": ";", "class_names": ["x", "y"]},
             "unknown labels 'q' .*line 2"),
            ("image,l\na.png,x;y\na.png,y\n", {"label_column": "l", "label_separator": ";"},
             "one label in line 2 and another in line 3"),
            ("image,l\na.png,x\n", {"label_column": "l", "label_separator": ""}, "label_separator=''; pass what"),
            ("image,l\na.png,1\n", {"label_columns": ["l"], "label_separator": ";"}, "label_separator=';'; pass what"),
            ("image,l\na.png,1\n", {"label_columns": ["l"], "class_names": ["x"]}, "class_names goes with label_col"),
        ],
    )  # fmt: skip
    def test_a_bad_file_is_refused_by_its_line(self, folder, text, options, message):
        with pytest.raises(ValueError, match=message):
            self.read(folder, text, **options)

    @pytest.mark.parametrize("options", [{}, {"label_columns": []}, {"label_column": "l", "label_columns": ["l"]}])
    def test_one_of_the_two_ways(self, folder, options):
        with pytest.raises(TypeError, match="pass label_column or label_columns, or label_column=None"):
            self.read(folder, "image,l\na.png,1\n", **options)

    def test_a_matrix_stays_with_its_pictures(self, colour_sets):
        first, second = colour_sets.split(0.5, seed=4)
        assert len(first) == len(second) == 20
        for part in (first, second, colour_sets.sample(9), colour_sets.head(3), pickle.loads(pickle.dumps(first))):
            for picture, label in part:
                np.testing.assert_array_equal(np.asarray(picture)[0, 0] > 99, label == 1)
        patterns = [tuple(row) for row in colour_sets.labels.tolist()]
        for pattern in set(patterns):  # parts hold every combination in the same shares
            there = sum(tuple(row) == pattern for row in first.labels.tolist())
            assert abs(there - patterns.count(pattern) / 2) <= 1
        assert not colour_sets.labels.flags.writeable
        frame = colour_sets.to_frame()
        assert list(frame.columns) == ["image", "class_name"]
        assert frame["class_name"][0] == "; ".join(np.array(colour_sets.class_names)[colour_sets.labels[0] == 1])

    @pytest.mark.parametrize("labels", [[[0, 2, 0]], [[0, 1]], [[0.5, 0, 1]], [["1", "0", "0"]], [[0, -2, 1]]])
    def test_other_matrices_are_refused(self, labels):
        with pytest.raises(ValueError, match="labels (has shape|must hold 1 where a class applies)"):
            zsc.ImageDataset([colour_picture((1, 0, 0))], np.array(labels), ["red", "green", "blue"])

    @pytest.mark.parametrize("kind", ["glasses", "animals"])
    def test_drawn_attributes_are_of_the_same_pictures(self, kind):
        plain = zsc.load_dataset(f"drawn-{kind}", n=30)
        several = zsc.load_dataset(f"drawn-{kind}", n=30, attributes=True)
        assert [p.tobytes() for p in plain.paths] == [p.tobytes() for p in several.paths]
        assert several.labels.shape == (30, len(several.class_names)) and plain.labels.shape == (30,)
        drawing = draw("faces" if kind == "glasses" else "animals", 7, seed=1)
        assert list(drawing.attributes.values()) == several.labels[7].astype(bool).tolist()
        if kind == "glasses":
            np.testing.assert_array_equal(several.labels[:, several.class_names.index("glasses")], plain.labels)

    def test_captions_of_what_is_there(self):
        """The words of a caption never name what the attributes deny."""
        for kind, words in (
            ("faces", {"sunglasses": "sunglasses", "beanie": "hat"}),
            ("animals", {"collar": "collar"}),
        ):
            told = 0
            for drawing in (draw(kind, number) for number in range(150)):
                for word, attribute in words.items():
                    if word in drawing.caption.lower().split():
                        told += 1
                        assert drawing.attributes[attribute], drawing.caption
            assert told > 3

    def test_embeddings_keep_the_matrix(self, colour_sets, colours, tmp_path):
        embeddings = zsc.embed_images(colours, colour_sets, progress=False)
        again = zsc.ImageEmbeddings.load(embeddings.save(tmp_path / "e.parquet"))
        np.testing.assert_array_equal(again.labels, colour_sets.labels)
        assert again.labels.dtype == np.int8 and again.data_digest == embeddings.data_digest
        changed = np.array(colour_sets.labels)
        changed[0, 0] = 1 - changed[0, 0]
        other = zsc.embed_images(colours, replace(colour_sets, labels=changed), progress=False)
        assert other.data_digest != embeddings.data_digest

    def test_search_and_pictures_name_all_that_apply(self, colour_sets, colours):
        embeddings = zsc.embed_images(colours, colour_sets, progress=False)
        found = zsc.search(embeddings, text="red", model=colours, k=3)
        np.testing.assert_array_equal(found["class"], colour_sets.to_frame()["class_name"][found["index"]])
        grid = sample_grid(replace(colour_sets, labels=np.eye(40, 3, dtype=int)), max_images=4)
        assert [axes.get_xlabel() for axes in grid.axes[:4]] == ["red", "green", "blue", "none"]
        with pytest.raises(ValueError, match=SEVERAL):
            gallery(random_result())

    def test_what_needs_one_label_per_picture_says_so(self, colour_sets, colours, tmp_path):
        embeddings = zsc.embed_images(colours, colour_sets, progress=False)
        candidates = {"a": ["red", "green", "blue"], "b": ["the red", "the green", "the blue"]}
        with pytest.raises(ValueError, match="several of the classes .* multi_label=True"):
            zsc.compare_prompts(embeddings, candidates, model=colours)
        with pytest.raises(ValueError, match="one label per picture"):
            zsc.PromptExplorer(embeddings, colours)
        with pytest.raises(ValueError, match="labels has shape .*one label per picture"):
            zsc.probes.linear_probe(embeddings, embeddings)
        one_label = zsc.ZeroShotClassifier(["red", "green", "blue"], colours)
        with pytest.raises(ClassMismatchError, match="several of the classes .* multi_label=True"):
            one_label.evaluate(embeddings)
        answer = one_label.answer(embeddings)
        assert (answer.y_true == -1).all() and answer.made_by.matched_by.startswith("not at all: a picture may have")


def random_result(seed=0, n=200, k=4):
    """Scores with ties, a class that nothing shows, one that is never answered."""
    rng = np.random.default_rng(seed)
    y_true = (rng.random((n, k)) < [0.5, 0.1, 0.3, 0.0][:k]).astype(int)
    scores = np.round(0.2 * y_true + rng.normal(0, 0.2, (n, k)), 2)
    return Evaluation(y_true, scores, list("abcd")[:k], thresholds=[0.2, 0.1, np.inf, 0.4][:k])


class TestEvaluation:
    @pytest.mark.parametrize("seed", range(5))
    def test_equals_scikit_learn(self, seed):
        result = random_result(seed)
        y_true, yes, report = result.y_true, (result.proba >= result.thresholds).astype(int), result.report
        np.testing.assert_array_equal(result.y_pred, yes)
        precision, recall, _, support = precision_recall_fscore_support(y_true, yes, zero_division=np.nan)
        for name, values in (("precision", precision), ("recall", recall), ("support", support)):
            np.testing.assert_allclose(report[name], values, err_msg=name)
        average = [average_precision_score(y_true[:, k], result.proba[:, k]) for k in range(3)]
        np.testing.assert_allclose(report["average_precision"], [*average, np.nan])
        macro = average_precision_score(y_true[:, :3], result.proba[:, :3], average="macro")
        assert result.mean_average_precision == pytest.approx(macro, abs=1e-12)
        assert result.macro_recall == pytest.approx(recall[:3].mean())
        right = (y_true & yes).sum(axis=0)
        for name, of in (("precision", yes.sum(axis=0)), ("recall", y_true.sum(axis=0))):
            low_high = report[[f"{name}_low", f"{name}_high"]].to_numpy()
            for k in range(4):
                expected = wilson_interval(int(right[k]), int(of[k])) if of[k] else (np.nan, np.nan)
                np.testing.assert_allclose(low_high[k], expected)
        np.testing.assert_array_equal(report["answered"], yes.sum(axis=0))

    def test_what_is_left_out_is_told(self):
        told = random_result().summary()
        assert "In no picture, and left out: d." in told and "Never answered with yes: c" in told
        assert told.startswith(f"mean average precision {random_result().mean_average_precision:.3f} (3 classes")

    def test_written_and_read(self, tmp_path):
        result = replace(random_result(), images=[f"{i}.png" for i in range(200)], made_by={"model": "m"})
        again = Evaluation.load(result.save(tmp_path / "r.json"))
        for name in ("y_true", "proba", "thresholds", "y_pred"):
            np.testing.assert_array_equal(getattr(again, name), getattr(result, name), err_msg=name)
        pd.testing.assert_frame_equal(again.report, result.report)
        assert again.images == result.images and again.summary() == result.summary()
        one = Evaluation(result.y_true[:, :1], result.proba[:, :1], ["a"], thresholds=0.2)
        assert Evaluation.load(one.save(tmp_path / "one.json")).class_names == ["a"]
        with pytest.raises(ValueError, match=r"r\.parquet: .* kept as JSON; end it with \.json"):
            result.save(tmp_path / "r.parquet")
        with pytest.raises(ValueError, match=SEVERAL):
            write_report(result, tmp_path / "r.html")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["one.json", "r.json"]

    @pytest.mark.parametrize("name", ["accuracy", "interval", "confusion", "errors", "right", "log_loss", "brier",
                                      "calibration_error", "reliability", "coverage", "majority_baseline"])  # fmt: skip
    def test_metrics_of_one_label_are_refused(self, name):
        with pytest.raises(ValueError, match=f"{SEVERAL}.*mean_average_precision"):
            getattr(random_result(), name)

    def test_the_other_ways_round(self):
        for refused in (lambda e: e.top_k(1), lambda e: e.abstain(0.5), lambda e: zsc.suspect_labels(e)):
            with pytest.raises(ValueError, match=SEVERAL):
                refused(random_result())
        one_label = Evaluation([0, 1], np.eye(2), ["a", "b"])
        with pytest.raises(ValueError, match="one label per picture; mean_average_precision needs multi_label=True"):
            one_label.mean_average_precision  # noqa: B018
        with pytest.raises(ValueError, match="class_names holds 1; pass two or more"):
            Evaluation([0, 0], [[1.0], [1.0]], ["a"])
        with pytest.raises(ValueError, match="y_true has shape"):
            Evaluation([0, 1], np.eye(2), ["a", "b", "c"], thresholds=0.5)
        with pytest.raises(ValueError, match="thresholds=.* one number, or one for each of the 2 classes"):
            Evaluation([[0, 1]], [[0.1, 0.2]], ["a", "b"], thresholds=[0.1, 0.2, 0.3])

    def test_rows_without_an_answer_or_a_label(self):
        result = random_result()
        proba, y_true = np.array(result.proba), np.array(result.y_true)
        proba[3], y_true[5, 1] = np.nan, -1
        partly = replace(result, proba=proba, y_true=y_true)
        assert (partly.y_pred[3] == -1).all() and partly.table["y_pred"][3] is None
        with pytest.raises(ValueError, match="1 of 200 pictures have no label"):
            partly.report  # noqa: B018
        kept = partly.select(~partly.failed & (partly.y_true >= 0).all(axis=1))
        assert kept.n == 198 and 0 < kept.mean_average_precision < 1
        assert partly.select([]).n == 0 and "no pictures" in repr(partly.select([]))

    def test_the_table_names_all_that_apply(self):
        table = random_result().table
        assert list(table.columns) == ["image", "y_true", "y_pred", *(f"score_{name}" for name in "abcd")]
        row = random_result().y_pred[7]
        assert table["y_pred"][7] == "; ".join(name for name, is_yes in zip("abcd", row, strict=True) if is_yes)


class TestClassifier:
    def test_a_class_alone(self, colours, colour_sets):
        alone = zsc.ZeroShotClassifier(["red"], colours, multi_label=True, thresholds=0.6)
        result = alone.evaluate(colour_sets)  # the data set has two more classes
        np.testing.assert_array_equal(result.y_true, colour_sets.labels[:, :1])
        cosines = colours.encode_images(colour_sets.paths) @ colours.encode_texts(["red"]).T
        np.testing.assert_array_equal(result.y_pred == 1, cosines >= 0.6)
        table = alone.predict([colour_picture((1, 0, 0)), colour_picture((0, 0, 1))])
        assert table["y_pred"].tolist() == ["red", ""] and table["y_true"].tolist() == [None, None]
        assert alone.classify(colour_picture((1, 0, 0)))["y_pred"][0] == "red"
        for one in (["red"], {"red": "the red"}, zsc.ClassPrompts.from_names(["red"])):
            with pytest.raises(ValueError, match="class_names holds 1; pass two or more"):
                zsc.ZeroShotClassifier(one, colours)

    def test_one_label_per_picture_is_a_special_case(self, colours, colour_dataset):
        clf = zsc.ZeroShotClassifier(["blue", "red"], colours, multi_label=True, thresholds=0.8)
        result = clf.evaluate(colour_dataset)
        np.testing.assert_array_equal(result.y_true[:, 0], colour_dataset.labels == 2)
        np.testing.assert_array_equal(result.y_true[:, 1], colour_dataset.labels == 0)
        unlabelled = replace(colour_dataset, labels=None)
        assert (clf.answer(unlabelled).y_true == -1).all()
        with pytest.raises(ValueError, match="12 of 12 pictures have no label"):
            clf.evaluate(unlabelled)

    def test_a_class_that_the_data_set_lacks(self, colours, colour_sets):
        clf = zsc.ZeroShotClassifier(["red", "yellow"], colours, multi_label=True, thresholds=0.5)
        with pytest.raises(ClassMismatchError, match=r"classes \['red', 'yellow'\] are not among the data set's"):
            clf.evaluate(colour_sets)

    def test_nothing_is_answered_before_thresholds_are_there(self, colours, colour_sets):
        clf = zsc.ZeroShotClassifier(["red", "green", "blue"], colours, multi_label=True)
        colours.image_batches.clear()
        for ask in (clf.predict, clf.evaluate, clf.answer):
            with pytest.raises(ValueError, match="colours gives cosines.*call fit_thresholds"):
                ask(colour_sets)
        with pytest.raises(ValueError, match="trained with a softmax.*multi_label=True.*fit_thresholds"):
            clf.predict_proba(colour_sets)
        assert not colours.image_batches  # nothing was embedded in vain
        with pytest.raises(ValueError, match="thresholds are for classes that do not exclude each other"):
            zsc.ZeroShotClassifier(["red", "green"], colours, thresholds=0.5)

    def test_a_picture_that_cannot_be_opened(self, colours, colour_sets, tmp_path):
        (tmp_path / "bad.png").write_bytes(b"no picture")
        paths = [*colour_sets.paths[:5], tmp_path / "bad.png"]
        dataset = zsc.ImageDataset(paths, colour_sets.labels[:6], colour_sets.class_names)
        clf = zsc.ZeroShotClassifier(["red", "green", "blue"], colours, multi_label=True, thresholds=0.5)
        table = clf.predict(dataset, on_error="record")
        assert len(table) == 6 and table["y_pred"][5] is None
        result = clf.evaluate(dataset, on_error="record")
        assert result.n == 5 and result.made_by.left_out == 1 and result.made_by.other["scores"] == "cosine"

    def test_sigmoid_of_a_known_geometry(self, colour_sets):
        encoder = ColourEncoder(logit_scale=20.0)
        encoder.info = replace(encoder.info, logit_bias=-12.0)
        clf = zsc.ZeroShotClassifier(["red", "green", "blue"], encoder, multi_label=True)
        cosines = clf.predict_scores(colour_sets).astype(float)
        expected = expit(20 * cosines - 12)
        np.testing.assert_allclose(clf.predict_proba(colour_sets), expected, rtol=1e-12)
        result = clf.evaluate(colour_sets)
        np.testing.assert_array_equal(result.y_pred == 1, expected >= 0.5)
        assert result.made_by.other["scores"] == "sigmoid" and (result.thresholds == 0.5).all()
        np.testing.assert_allclose(clf.predict_proba(colour_sets, kind="softmax").sum(axis=1), 1)
        with pytest.raises(ValueError, match="kind='logits'; kind must be one of softmax, sigmoid"):
            clf.predict_proba(colour_sets, kind="logits")
        with pytest.raises(ValueError, match="pooling='sum' gives no cosines for a sigmoid"):
            zsc.ZeroShotClassifier(["red", "green"], encoder, pooling="sum").predict_proba(colour_sets, kind="sigmoid")
        alone = zsc.ZeroShotClassifier(["red"], encoder, multi_label=True)
        assert alone.predict_proba(colour_sets).shape == (40, 1)
        with pytest.raises(ValueError, match="class_names holds 1; pass two or more"):
            alone.predict_proba(colour_sets, kind="softmax")  # would be 1 whatever the picture shows

    @torch.inference_mode()
    def test_sigmoid_is_the_publishers(self, tmp_path, pictures):
        torch.manual_seed(0)
        model, images, tokenizer = siglip(tmp_path)
        model.logit_bias.data.fill_(-1.5)
        for part in (model.eval(), images, tokenizer):
            part.save_pretrained(tmp_path)
        encoder = zsc.load_model(f"hf:{tmp_path}", device="cpu")
        texts = ["a photo of a cat", "a dog", "the english springer"]
        tokens = tokenizer(texts, padding="max_length", max_length=16, truncation=True, return_tensors="pt")
        pixels = images(images=pictures, return_tensors="pt")["pixel_values"]
        theirs = torch.sigmoid(model(input_ids=tokens["input_ids"], pixel_values=pixels).logits_per_image).numpy()
        one_label = zsc.ZeroShotClassifier(texts, encoder)
        np.testing.assert_allclose(one_label.predict_proba(pictures, kind="sigmoid"), theirs, atol=1e-5)
        several = zsc.ZeroShotClassifier(texts, encoder, multi_label=True)
        np.testing.assert_allclose(several.answer(pictures).proba, theirs, atol=1e-5)
        assert abs(theirs - one_label.predict_proba(pictures)).max() > 0.05  # the softmax says something else


def population(seed, n=200_000):
    """Scores whose truth is known: precision falls from .99 as the threshold does."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=n)
    labels = (rng.random(n) < 0.99 * expit(4 * scores - 1)).astype(int)
    order = np.argsort(-scores)
    return scores, labels, -scores[order], np.cumsum(0.99 * expit(4 * scores[order] - 1)) / np.arange(1, n + 1)


class TestThresholds:
    def resampled(self, choose, repeats=200, n=600):
        """Choose on `n` pictures again and again; return the true precision at each threshold that was found."""
        scores, labels, falling, precision = population(0)
        rng, found = np.random.default_rng(1), []
        for _ in range(repeats):
            rows = rng.integers(0, len(scores), n)
            threshold = choose(labels[rows], scores[rows])
            if threshold < np.inf:
                found.append(precision[max(np.searchsorted(falling, -threshold, side="right") - 1, 0)])
        return np.array(found)

    def test_a_wished_precision_is_met_on_new_data(self):
        met = self.resampled(lambda y, s: choose_threshold(y, s, 0.9)) >= 0.9
        assert len(met) > 100 and met.mean() >= 0.9

    def test_the_first_choice_that_looks_good_would_not(self):
        """What the bound is for: the lowest threshold with an empirical precision of .9 misses it half of the time."""

        def naive(labels, scores):
            precision, _, thresholds = precision_recall_curve(labels, scores)
            return thresholds[np.flatnonzero(precision[:-1] >= 0.9)[0]]

        assert (self.resampled(naive) >= 0.9).mean() < 0.7

    def test_a_class_that_cannot_be_told_is_never_answered(self):
        """With a constant precision just under the wished one, every threshold is wrong."""
        rng = np.random.default_rng(2)
        wrong = [choose_threshold(rng.random(400) < 0.89, rng.normal(size=400)) < np.inf for _ in range(200)]
        assert np.mean(wrong) <= 0.1

    def test_the_threshold_is_a_point_of_scikit_learns_curve(self):
        scores, labels = (values[:1500] for values in population(5)[:2])
        threshold = choose_threshold(labels, scores)
        precisions, recalls, thresholds = precision_recall_curve(labels, scores)
        at = np.searchsorted(thresholds, threshold)
        yes = scores >= threshold
        assert precisions[at] == pytest.approx(precision_score(labels, yes)) and precisions[at] > 0.9
        assert recalls[at] == pytest.approx(recall_score(labels, yes))
        assert 0.3 < recalls[at] < 1  # it is a low one, not the safest

    @pytest.mark.parametrize("flat", [0.5, np.float32(0.3)])
    def test_equal_scores_are_not_told_apart(self, flat):
        labels = np.r_[np.ones(500, int), np.zeros(500, int)]
        assert choose_threshold(labels, np.full(1000, flat)) == np.inf
        two = np.r_[np.full(500, 0.9), np.full(500, 0.1)]
        assert 0.1 < choose_threshold(labels, two) <= 0.9

    @pytest.mark.parametrize(("n", "never"), [(2, True), (28, True), (40, False), (100, False)])
    def test_how_many_pictures_it_takes(self, n, never):
        scores = np.arange(n, dtype=float)
        assert (choose_threshold(np.ones(n, int), scores) == np.inf) == never

    def test_wishes_that_are_none(self):
        labels, scores = np.ones(50, int), np.arange(50.0)
        for options in ({"precision": 1.0}, {"precision": 0}, {"confidence": 1}):
            with pytest.raises(ValueError, match=f"{next(iter(options))}=.* must be a fraction"):
                choose_threshold(labels, scores, **options)
        with pytest.raises(ValueError, match="y_true holds 50 and scores holds 49"):
            choose_threshold(labels, scores[:49])

    def test_drawn_faces_two_hundred_times(self, faces):
        """Resamples of drawn faces whose whole population is known: each class meets its wish in nine of ten."""
        clf = zsc.ZeroShotClassifier(FACES, "toy", multi_label=True)
        labels, scores = clf._tied(faces.labels, faces.class_names)[0], clf.predict_scores(faces)
        rng, met = np.random.default_rng(7), []
        for _ in range(200):
            rows = rng.integers(0, len(faces), 500)
            for k in range(len(FACES)):
                threshold = choose_threshold(labels[rows, k], scores[rows, k])
                if threshold < np.inf:
                    met.append((k, precision_score(labels[:, k], scores[:, k] >= threshold) >= 0.9))
        table = pd.DataFrame(met, columns=["k", "met"]).groupby("k")["met"].agg(["mean", "size"])
        assert (table["mean"] >= 0.9).all() and (table["size"] > 150).sum() >= 2

    def test_drawn_faces_against_scikit_learn(self, faces):
        clf = zsc.ZeroShotClassifier(FACES, "toy", multi_label=True)
        result = clf.fit_thresholds(faces, 0.9, share=0.6, seed=2)
        assert result.n == 120 and result.made_by.part == "held out: 120 of 300 pictures"
        assert result.made_by.other["wished_precision"] == 0.9
        columns = [faces.class_names.index(name) for name in clf.class_names]
        rows = [faces.paths.index(image) for image in result.images]
        y_true, scores = faces.labels[rows][:, columns], clf.predict_scores(faces)[rows]
        np.testing.assert_array_equal(result.y_true, y_true)
        assert result.mean_average_precision == pytest.approx(average_precision_score(y_true, scores, average="macro"))
        assert result.mean_average_precision > y_true.mean() + 0.3  # the toy knows these words
        yes = scores >= result.thresholds
        answered = yes.any(axis=0)
        assert answered[0] and result.report["precision"].iloc[0] > 0.85
        expected = [precision_score(y_true[:, k], yes[:, k]) for k in np.flatnonzero(answered)]
        np.testing.assert_allclose(result.report["precision"][answered], expected)
        again = zsc.ZeroShotClassifier(FACES, "toy", multi_label=True).fit_thresholds(faces, 0.9, share=0.6, seed=2)
        np.testing.assert_array_equal(again.thresholds, result.thresholds)

    def test_the_part_that_is_judged_had_no_say(self, colours, colour_sets):
        clf = zsc.ZeroShotClassifier(["red", "green", "blue"], colours, multi_label=True)
        embeddings = zsc.embed_images(colours, colour_sets, progress=False)
        held_out = clf.fit_thresholds(embeddings, 0.5, confidence=0.8, share=0.7)
        spoilt = np.array(embeddings.labels)
        rows = [embeddings.paths.index(image) for image in held_out.images]
        spoilt[rows] = 1 - spoilt[rows]
        before = clf.thresholds
        clf.fit_thresholds(replace(embeddings, labels=spoilt), 0.5, confidence=0.8, share=0.7)
        assert (before < np.inf).any()
        np.testing.assert_array_equal(clf.thresholds, before)

    def test_they_are_kept_and_refuse_another_model(self, colours, colour_sets, tmp_path):
        prompts = ["red", "green", "blue"]
        clf = zsc.ZeroShotClassifier(prompts, colours, multi_label=True)
        chosen = clf.fit_thresholds(colour_sets, 0.5, confidence=0.8)
        kept = Evaluation.load(chosen.save(tmp_path / "thresholds.json"))
        for given in (chosen, kept):
            same = zsc.ZeroShotClassifier(prompts, colours, multi_label=True, thresholds=given)
            np.testing.assert_array_equal(same.thresholds, clf.thresholds)
        for options in ({"model": ColourEncoder(fingerprint_salt="other")}, {"prompts": ["red", "blue", "green"]},
                        {"prompts": ["the red", "green", "blue"]}, {"pooling": "max"}):  # fmt: skip
            asked = {"prompts": prompts, "model": colours, "multi_label": True, "thresholds": kept} | options
            with pytest.raises(ValueError, match="the thresholds were chosen for colours .*fit_thresholds"):
                zsc.ZeroShotClassifier(**asked)
        one_label = zsc.ZeroShotClassifier(prompts, colours)
        with pytest.raises(ValueError, match="pass multi_label=True"):
            one_label.fit_thresholds(colour_sets)

    @pytest.mark.parametrize("labels", [None, [[1, 0, -1]] * 40])
    def test_labels_that_are_missing(self, colours, colour_sets, labels):
        clf = zsc.ZeroShotClassifier(["red", "green", "blue"], colours, multi_label=True)
        with pytest.raises(ValueError, match="40 of 40 pictures have no label"):
            clf.fit_thresholds(replace(colour_sets, labels=None if labels is None else np.array(labels)))

    def test_too_few_pictures(self, colours, colour_sets):
        clf = zsc.ZeroShotClassifier(["red", "green", "blue"], colours, multi_label=True)
        with pytest.raises(ValueError, match="1 pictures leave no part"):
            clf.fit_thresholds(colour_sets.head(1))
        result = clf.fit_thresholds(colour_sets)
        assert np.isinf(clf.thresholds).all() and "Never answered with yes: red, green, blue." in result.summary()
