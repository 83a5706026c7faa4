"""What a figure says is read back from it; it computes nothing."""

import html
import os
import pickle
import re
import sys
import textwrap

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
from IPython.core.formatters import DisplayFormatter
from IPython.core.pylabtools import print_figure
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox
from matplotlib.text import Text
from nbconvert import HTMLExporter
from PIL import Image, ImageFile
from scipy.stats import binomtest, ttest_1samp
from seaborn.utils import relative_luminance
from skimage.color import rgb2lab
from sklearn.decomposition import PCA

import zsc
from zsc import plots
from zsc.plots import style
from zsc.selection import compare_right


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def evaluation(colours, colour_dataset):
    return zsc.ZeroShotClassifier(["red", "green", "blue"], colours).evaluate(colour_dataset)


@pytest.fixture
def results(evaluation):
    return evaluation.table


def captions(figure):
    return [ax.get_xlabel() for ax in figure.axes if ax.get_xlabel()]


def test_gallery_in_the_given_order(evaluation, results):
    figure = plots.gallery(evaluation)
    texts = captions(figure)
    first, last = results.iloc[0], results.iloc[11]
    second = max(("green", "blue"), key=lambda name: first[f"proba_{name}"])
    assert len(texts) == 12
    assert texts[0] == f"right: red\np = {first['proba']:.2f}\nthen {second}, {first[f'proba_{second}']:.2f}"
    assert texts[-1] == f"wrong: blue → red\np = {last['proba']:.2f}\nthen green, {last['proba_green']:.2f}"
    assert figure.get_suptitle() == "12 pictures, colours test, classified by colours"
    shown = figure.axes[11].images[0].get_array()
    assert np.abs(shown[0, 0] - np.array([204, 153, 26])).max() <= 1  # the orange picture itself


def test_right_and_wrong_differ_in_words_and_in_colour(results):
    figure = plots.gallery(results)
    right, wrong = figure.axes[0], figure.axes[11]
    assert to_hex(right.spines["left"].get_edgecolor()).upper() == plots.RIGHT
    assert to_hex(wrong.spines["left"].get_edgecolor()).upper() == plots.WRONG
    assert right.get_xlabel().startswith("right") and wrong.get_xlabel().startswith("wrong")
    assert [t.get_text() for t in right.texts] == ["✓"] and [t.get_text() for t in wrong.texts] == ["✗"]


def test_gallery_selections(results):
    assert [t.split("\n")[0] for t in captions(plots.gallery(results, only="errors"))] == ["wrong: blue → red"]
    assert plots.gallery(results, only="errors").get_suptitle() == "1 wrong of 12"
    right = captions(plots.gallery(results, only="correct"))
    assert len(right) == 11 and all(t.startswith("right") for t in right)
    shares = [
        float(re.search(r"p = ([.\d]+)", t)[1]) for t in captions(plots.gallery(results, only="unsure", max_images=5))
    ]
    assert len(shares) == 5 and shares == sorted(shares)
    with pytest.raises(ValueError, match="only must be one of errors, correct, unsure"):
        plots.gallery(results, only="wrong")


def test_gallery_without_errors_says_so(results):
    assert plots.gallery(results.head(3), only="errors").get_suptitle() == "0 wrong of 3"


def test_gallery_without_labels(colours, colour_dataset):
    table = zsc.ZeroShotClassifier(["red", "green", "blue"], colours).predict(list(colour_dataset.paths[:2]))
    assert captions(plots.gallery(table))[0].startswith("red\np = ")
    assert captions(plots.gallery(table, only="errors")) == []


def test_gallery_of_a_table(evaluation, results):
    assert captions(plots.gallery(results)) == captions(plots.gallery(evaluation))
    assert plots.gallery(results).get_suptitle() == "12 pictures"
    named = plots.gallery(results.assign(model="m", dataset="d"), only="errors").get_suptitle()
    assert named == "1 wrong of 12, d, classified by m"
    bare = results[["image", "y_true", "y_pred", "proba"]]
    with pytest.raises(ValueError, match="has no columns proba_<class> to name its classes; pass class_names="):
        plots.gallery(bare)
    assert len(captions(plots.gallery(bare, class_names=["red", "green", "blue"]))) == 12


def test_prediction_bars():
    ax = plots.prediction(np.zeros((8, 8, 3), np.uint8), {"a cat": 0.25, "a dog": 0.75}, title="conse")
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a dog", "a cat"]  # the likeliest on top
    assert [b.get_width() for b in ax.patches] == [0.75, 0.25] and ax.yaxis_inverted()
    assert {t.get_text() for t in ax.texts} == {"0.25", "0.75"}
    assert ax.get_title() == "conse" and "relative to these prompts" in ax.get_xlabel()


def test_similarity_map():
    ax = plots.similarity(np.array([[0.1, 0.22], [0.3, 0.4]]), ["cat.png", "dog.png"], ["a cat", "a dog"], title="m")
    assert [t.get_text() for t in ax.texts] == ["0.10", "0.22", "0.30", "0.40"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["a cat", "a dog"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["cat.png", "dog.png"] and ax.get_title() == "m"


def test_no_character_is_a_formula(results):
    figure = plots.gallery(results, class_names=[r"$\foo$", "a$b", "c"], title="$x$")
    figure.canvas.draw()
    assert r"\$\foo\$" in captions(figure)[0]
    plots.prediction(np.zeros((8, 8, 3), np.uint8), {"$_$": 0.3, "b": 0.7}).figure.canvas.draw()


def test_sizes_and_paths_that_make_no_sense(results, tmp_path):
    with pytest.raises(ValueError, match="columns=0"):
        plots.gallery(results, columns=0)
    wrong = {"noext": "no name for a picture", "": "no name for", "no/folder/a.png": "there is no folder"}
    for name, reason in wrong.items():
        with pytest.raises(ValueError, match=reason):
            plots.check_picture_path(tmp_path / name)


def test_saved_as_a_picture(results, tmp_path):
    path = plots.save(plots.gallery(results), tmp_path / "g.png")
    assert zsc.open_image(path).width > 500
    assert not plt.get_fignums()


@pytest.mark.parametrize("suffix", plots.PICTURE_SUFFIXES)
def test_saved_whole_by_suffix_and_the_same_each_time(suffix, tmp_path):
    table = pd.DataFrame([[3, 1], [0, 2]], index=["a", "b"], columns=["a", "b"])
    paths = [plots.save(plots.confusion(table), tmp_path / f"{k}.{suffix.upper()}") for k in range(2)]
    starts = {
        "png": b"\x89PNG",
        "jpg": b"\xff\xd8",
        "jpeg": b"\xff\xd8",
        "pdf": b"%PDF",
        "svg": b"<?xml",
        "webp": b"RIFF",
    }
    assert paths[0].read_bytes().startswith(starts[suffix]) and paths[0].read_bytes() == paths[1].read_bytes()
    assert sorted(tmp_path.iterdir()) == sorted(paths)


def test_a_figure_that_cannot_be_drawn_leaves_the_old_picture(tmp_path):
    path = plots.save(plots.prediction(np.zeros((8, 8, 3), np.uint8), {"a": 0.4, "b": 0.6}), tmp_path / "p.png")
    old = path.read_bytes()
    figure = plt.figure()
    figure.text(0.5, 0.5, r"$\nonsense$")
    with pytest.raises(ValueError, match="nonsense"):
        plots.save(figure, path)
    assert path.read_bytes() == old and list(tmp_path.iterdir()) == [path] and not plt.get_fignums()


LONG = ["no glasses", "a parachute over a very wide green field", "church", *[f"class number {i}" for i in range(7)]]


def words(artists):
    return [artist.get_text() for artist in artists]


def overlaps(artists, figure):
    """List the pairs of texts whose boxes overlap as they are drawn."""
    figure.canvas.draw()
    boxes = [(a.get_text(), a.get_window_extent()) for a in artists if a.get_text() and a.get_visible()]
    return [(s, t) for i, (s, a) in enumerate(boxes) for t, b in boxes[i + 1 :] if a.overlaps(b)]


class TestPictures:
    def test_sample_grid(self, colour_dataset):
        figure = plots.sample_grid(colour_dataset, max_images=4, columns=3)
        assert captions(figure) == ["red", "green", "blue", "red"] and len(figure.axes) == 6
        assert figure.get_suptitle() == "colours test: 4 of 12 pictures"
        unlabelled = zsc.ImageDataset(colour_dataset.paths[:1], [-1], ["red"], name="mine")
        assert captions(plots.sample_grid(unlabelled)) == ["no label"]
        with pytest.raises(ValueError, match="max_images=0"):
            plots.sample_grid(colour_dataset, max_images=0)

    def test_sample_grid_of_embeddings(self, colours, colour_dataset):
        embeddings = zsc.embed_images(colours, colour_dataset, progress=False)
        assert plots.sample_grid(embeddings).get_suptitle() == "colours test: 12 pictures"

    def test_a_picture_that_is_lost_spoils_no_figure(self, results, tmp_path):
        table = results.head(2).copy()
        table["image"] = [tmp_path / "gone.png", results["image"][1]]
        figure = plots.gallery(table)
        assert "cannot be opened" in words(figure.axes[0].texts) and figure.axes[1].images
        assert "cannot be opened" not in words(figure.axes[1].texts)

    def test_a_prediction_that_failed_is_shown_as_such(self, results):
        table = results.head(2).copy()
        table["y_pred"] = pd.array([pd.NA, 1], dtype="Int64")
        table.loc[0, "proba"] = np.nan
        assert captions(plots.gallery(table))[0] == "cannot be opened"
        assert len(captions(plots.gallery(table, only="errors"))) == 0
        assert len(captions(plots.gallery(table, only="unsure"))) == 1

    def test_classes_that_look_alike_have_a_bar_each(self):
        scores = {"cat": 0.5, "cat ": 0.3, " cat": 0.1, "cat\n": 0.06, "ca\u200bt": 0.04}
        ax = plots.prediction(np.zeros((8, 8, 3), np.uint8), scores)
        assert [round(b.get_width(), 2) for b in ax.patches] == [0.5, 0.3, 0.1, 0.06, 0.04]
        assert [round(b.get_y() + b.get_height() / 2) for b in ax.patches] == list(range(5))
        assert len(ax.get_yticklabels()) == 5

    def test_what_is_not_shown_is_said(self, results):
        assert plots.gallery(results, max_images=5).get_suptitle() == "12 pictures\nthe first 5 are shown"
        wrong = plots.gallery(results, only="correct", max_images=5).get_suptitle()
        assert wrong == "11 right of 12\nthe first 5 are shown"
        with pytest.raises(ValueError, match="columns=2000; columns must be a whole number from 1 to 40"):
            plots.gallery(results, columns=2000)
        with pytest.raises(ValueError, match=r"max_images=2.5"):
            plots.gallery(results, max_images=2.5)

    def test_a_pipe_and_an_empty_file_spoil_no_figure(self, tmp_path):
        os.mkfifo(tmp_path / "pipe.png")
        (tmp_path / "empty.jpg").touch()
        assert plots.thumbnail(tmp_path / "empty.jpg") is None and plots.thumbnail(tmp_path / "pipe.png") is None

    def test_thumbnails_are_small_squares_and_upright(self, tmp_path):
        wide = np.zeros((100, 400, 3), np.uint8)
        wide[:, 150:250] = 255
        assert (plots.thumbnail(wide) == 255).all() and plots.thumbnail(wide).shape == (100, 100, 3)
        turned = Image.new("RGB", (64, 64), "white")
        turned.paste("black", (0, 0, 64, 32))  # the upper half; orientation 3 turns it down
        exif = Image.Exif()
        exif[0x0112] = 3
        turned.save(tmp_path / "turned.jpg", exif=exif, quality=100)
        shown = plots.thumbnail(tmp_path / "turned.jpg")
        assert shown[5, 32].mean() > 200 and shown[-5, 32].mean() < 50
        assert plots.thumbnail(tmp_path / "gone.jpg") is None and plots.thumbnail(tmp_path) is None

    def test_a_large_photograph_is_read_at_size(self, tmp_path, monkeypatch):
        rng = np.random.default_rng(0)
        small = Image.fromarray(rng.integers(0, 256, (300, 400, 3), dtype=np.uint8))
        small.resize((4000, 3000)).save(tmp_path / "large.jpg")
        sizes = []
        load = ImageFile.ImageFile.load
        monkeypatch.setattr(ImageFile.ImageFile, "load", lambda image: (sizes.append(image.size), load(image))[1])
        assert plots.thumbnail(tmp_path / "large.jpg").shape == (256, 256, 3)
        assert 0 < max(max(size) for size in sizes) < 2000  # of 4000

    def test_prediction_of_ten_long_names(self):
        ax = plots.prediction(np.zeros((8, 8, 3), np.uint8), dict.fromkeys(LONG, 0.1), title="a model")
        assert len(ax.patches) == 10
        assert not overlaps(ax.get_yticklabels(), ax.figure)


class TestMaps:
    @pytest.mark.parametrize("k", [2, 3, 10])
    def test_confusion(self, k):
        counts = np.arange(k * k).reshape(k, k)
        table = pd.DataFrame(counts, index=LONG[:k], columns=LONG[:k])
        ax = plots.confusion(table, title="Confusion, made-up, none")
        assert words(ax.texts) == ["", *(str(n) for n in range(1, k * k))]  # a blank for 0
        assert [w.replace("\n", " ") for w in words(ax.get_xticklabels())] == LONG[:k]
        assert [w.replace("\n", " ") for w in words(ax.get_yticklabels())] == LONG[:k]
        assert ax.get_xlabel() == "predicted class" and ax.get_ylabel() == "true class"
        assert ax.get_title().replace("\n", " ") == f"Confusion, made-up, none, n = {counts.sum():,}"
        boxes = [p.get_bbox() for p in ax.patches]
        assert [(int(b.x0), int(b.y0)) for b in boxes] == [(i, i) for i in range(k)]
        assert all(
            0 < b.x0 % 1 < b.x1 % 1 and 0 < b.y0 % 1 < b.y1 % 1 for b in boxes
        )  # inside: none is cut at the edge
        assert not overlaps(ax.get_yticklabels(), ax.figure)

    def test_confusion_in_shares_of_the_true_class(self):
        table = pd.DataFrame([[3, 1, 0], [0, 0, 0], [1, 1, 2]], index=list("abc"), columns=list("abc"))
        ax = plots.confusion(table, show="shares")
        assert words(ax.texts) == ["0.75", "0.25", "0.00", "-", "-", "-", "0.25", "0.25", "0.50"]
        assert ax.get_title() == "Confusion, shares, n = 8"
        with pytest.raises(ValueError, match="show must be one of counts, shares"):
            plots.confusion(table, show="percent")

    def test_confusion_draws_where_it_is_told(self):
        _, axes = plt.subplots(1, 2)
        assert plots.confusion(pd.DataFrame([[1, 0], [0, 1]]), ax=axes[1]) is axes[1]

    def test_embedding_map(self):
        points = np.array([[0, 0], [1, 1], [2, 2], [0.5, 0]])
        labels, kinds = [0, 1, -1, 0], ["image", "image", "image", "text"]
        ax = plots.embedding_map(points, labels, class_names=["cat", "dog"], modality=kinds, title="PCA, m, d")
        assert words(ax.get_legend().get_texts()) == [
            "cat", "dog", "no label", "small: picture", "large, dark edge: text"
        ]  # fmt: skip
        drawn = [c.get_offsets().tolist() for c in ax.collections]
        assert drawn == [[[0, 0]], [[0.5, 0]], [[1, 1]], [], [[2, 2]], []]  # picture and text of cat, dog, no label
        sizes = [c.get_sizes()[0] for c in ax.collections]
        assert sizes[1] > 3 * sizes[0] and ax.get_title() == "PCA, m, d"
        assert to_hex(ax.collections[0].get_facecolor()[0]) == to_hex(ax.collections[1].get_facecolor()[0])

    def test_embedding_map_of_names_and_of_many_classes(self):
        names = [f"class {i}" for i in range(10)]
        ax = plots.embedding_map(np.zeros((10, 2)), names)
        assert words(ax.get_legend().get_texts()) == names
        looks = {(h.get_color(), h.get_marker()) for h in ax.get_legend().legend_handles}
        assert len(looks) == 10

    def test_embedding_map_refuses_what_does_not_fit(self):
        with pytest.raises(ValueError, match="points holds 3 and labels holds 2; both must hold the same number"):
            plots.embedding_map(np.zeros((3, 2)), [0, 1])
        with pytest.raises(ValueError, match="modality must hold image or text"):
            plots.embedding_map(np.zeros((1, 2)), [0], modality=["sound"])

    @pytest.mark.parametrize("k", [2, 3, 10])
    def test_similarity_of_long_names(self, k):
        ax = plots.similarity(np.zeros((k, k)), LONG[:k], LONG[:k], title="m")
        assert not overlaps(ax.get_yticklabels(), ax.figure)
        assert k > 4 or not overlaps(ax.get_xticklabels(), ax.figure)


class TestComparisons:
    @pytest.mark.parametrize("k", [2, 3, 10])
    def test_before_after(self, k):
        names = LONG[:k]
        before = pd.DataFrame({"recall": np.full(k, 0.5), "precision": np.full(k, 1.0)}, index=names)
        after = before.assign(recall=[0.9, 0.44, *[0.5] * (k - 2)]).iloc[::-1]
        ax = plots.before_after(before, after, names=("prompts A", "prompts B"))
        assert words(ax.texts) == ["+0.400 not tested", "-0.060 not tested", *["no change"] * (k - 2)]
        assert [w.replace("\n", " ") for w in words(ax.get_yticklabels())] == names
        assert ax.get_title() == "Recall of each class, prompts A and prompts B"
        assert ax.get_xlabel() == "recall: ○ prompts A, ● prompts B"
        assert [row[:, 0].tolist() for row in bars(ax)[:2]] == [[0.5, 0.9], [0.44, 0.5]]
        dots = [c.get_offsets()[:2, 0].tolist() for c in ax.collections if isinstance(c, PathCollection)]
        assert dots == [[0.5, 0.5], [0.9, 0.44]]
        assert not overlaps([*ax.get_yticklabels(), *ax.texts], ax.figure)

    def test_before_after_of_a_class_that_was_never_said(self):
        before = pd.DataFrame({"precision": [0.5, np.nan]}, index=["cat", "dog"])
        ax = plots.before_after(before, before.fillna(0.9), metric="precision")
        assert words(ax.texts) == ["no change", "not defined"]

    def test_a_baseline_far_below_presses_no_interval_together(self):
        table = pd.DataFrame({"accuracy": [0.95, 0.93], "low": [0.94, 0.92], "high": [0.96, 0.94]}, index=["a", "b"])
        for floor, said in ((0.2, "not drawn, far below: always"), (0.9, "dotted: always")):
            ax = plots.ranking(table.assign(baseline=floor))
            assert f"{said} naming the most frequent class, {floor:.3f}" in ax.get_xlabel()
            assert np.ptp(ax.get_xlim()) < 0.2

    def test_rows_with_what_is_not_defined_stay_in_the_order_of_the_table(self):
        before = pd.DataFrame({"recall": [0.1, np.nan, 0.3, 0.4, 0.2]}, index=list("abcde"))
        ax = plots.before_after(before, before.fillna(0.5) + 0.1)
        assert words(ax.get_yticklabels()) == list("abcde") and words(ax.texts)[1] == "not defined"

    def test_a_baseline_that_is_said_to_be_drawn_is_seen(self):
        table = pd.DataFrame({"accuracy": [0.5, 0.9], "low": [0.45, 0.87], "high": [0.55, 0.93]}, index=["a", "b"])
        ax = plots.ranking(table.assign(baseline=0.1))
        assert "dotted" in ax.get_xlabel() and ax.get_xlim()[0] < 0.1

    def test_before_after_refuses(self):
        table = pd.DataFrame({"recall": [1.0]}, index=["a"])
        with pytest.raises(ValueError, match="metric must be one of recall, precision, f1"):
            plots.before_after(table, table, metric="accuracy")
        with pytest.raises(ValueError, match="lacks f1"):
            plots.before_after(table, table, metric="f1")
        with pytest.raises(ValueError, match=r"before has the classes \['a'\], after \['b'\]"):
            plots.before_after(table, table.rename(index={"a": "b"}))

    def test_ranking(self):
        table = pd.DataFrame({"accuracy": [0.5, 0.9], "low": [0.4, 0.85], "high": [0.6, 0.95]}, index=["bare", LONG[1]])
        ax = plots.ranking(table.assign(model="m", dataset="d"))
        assert [w.replace("\n", " ") for w in words(ax.get_yticklabels())] == [LONG[1], "bare"]  # the best on top
        assert ax.yaxis_inverted()
        assert words(ax.texts) == ["0.900 (0.850 to 0.950)", "0.500 (0.400 to 0.600)"]
        assert ax.get_title() == "Prompts in the order of their accuracy, d, classified by m"
        assert not overlaps([*ax.get_yticklabels(), *ax.texts], ax.figure)
        with pytest.raises(ValueError, match=r"the table lacks low, high \(it has accuracy\)"):
            plots.ranking(table[["accuracy"]])

    def test_ranking_shows_what_always_one_class_gives(self):
        table = pd.DataFrame({"accuracy": [0.5, 0.9], "low": [0.4, 0.85], "high": [0.6, 0.95]}, index=["bare", "best"])
        ax = plots.ranking(table.assign(baseline=0.6))
        assert ax.lines[-1].get_xdata() == pytest.approx([0.6, 0.6])
        assert "dotted: always naming the most frequent class, 0.600" in ax.get_xlabel()
        paired = {"difference": [np.nan, 0.4], "difference_low": [np.nan, 0.3], "difference_high": [np.nan, 0.5]}
        ax = plots.ranking(table.assign(baseline=0.6, **paired))
        assert ax.lines[-1].get_xdata() == pytest.approx([0.1, 0.1])  # from the reference, 0.5


class TestTexts:
    def test_what_fits_is_never_cut(self):
        rng = np.random.default_rng(0)
        for _ in range(2000):
            text = " ".join("x" * n for n in rng.integers(1, 15, rng.integers(1, 20)))
            width, lines = int(rng.integers(15, 40)), int(rng.integers(1, 6))
            fits = len(textwrap.wrap(text, width)) <= lines
            broken = style.wrap(text, width, lines)
            assert (broken.replace("\n", " ") == text) if fits else broken.endswith("..."), (text, width, lines)
            assert max(map(len, broken.split("\n"))) <= width and broken.count("\n") < lines

    def test_a_part_of_a_figure_is_drawn_on_and_told_with_the_whole(self, tmp_path):
        left, right = plt.figure().subfigures(1, 2)
        points = np.random.default_rng(0).random((20, 2))
        ax = plots.embedding_map(points, [0, 1] * 10, class_names=["a", "b"], ax=left.subplots(), title="t")
        plots.reliability(pd.DataFrame({"confidence": [0.5], "accuracy": [0.5], "n": [9]}), ax=right.subplots())
        assert plots.describe(ax) == plots.describe(left) and "Reliability" in plots.describe(ax)
        assert plots.save(ax, tmp_path / "part.png").stat().st_size > 5000

    def test_what_is_drawn_no_more_is_told_no_more(self, evaluation):
        ax = plots.confusion(evaluation)
        ax.figure.clear()
        plots.reliability(evaluation, ax=ax.figure.subplots())
        assert "Confusion" not in plots.describe(ax.figure) and "Reliability" in plots.describe(ax.figure)


class TestCurves:
    def test_seeds_that_agree_exactly_have_a_band_of_no_width(self):
        table = pd.DataFrame({"shots": [1, 1, 1, 2, 2, 2], "seed": [0, 1, 2] * 2, "accuracy": [0.5] * 3 + [1.0] * 3})
        ax = plots.few_shot(table)
        assert ax.collections[1].get_datalim(ax.transData).ymax <= 1

    def test_reliability(self):
        table = pd.DataFrame({"confidence": [0.3, 0.6, np.nan], "accuracy": [0.2, 0.9, np.nan], "count": [7, 40, 0]})
        ax = plots.reliability(table, title="Reliability, m, d")
        assert words(ax.texts) == ["7", "40"] and ax.get_title() == "Reliability, m, d, n = 47"
        assert "confidence" in ax.get_xlabel() and "accuracy" in ax.get_ylabel()
        assert words(ax.get_legend().get_texts()) == ["perfectly calibrated", "the model, n pictures"]
        assert words(plots.reliability(table.rename(columns={"count": "n"})).texts) == ["7", "40"]

    def test_curves_of_an_evaluation_and_of_its_tables(self, evaluation):
        for result in (evaluation, evaluation.reliability):
            assert sum(int(w) for w in words(plots.reliability(result).texts)) == 12
        for result in (evaluation, evaluation.coverage):
            last = plots.coverage(result).lines[0].get_xydata()[-1]
            assert last.tolist() == [1.0, evaluation.accuracy]
        whose = ", colours test, classified by colours"
        whose += ", n = 12"
        for drawn, what in ((plots.reliability, "Reliability"), (plots.confusion, "Confusion, counts")):
            assert drawn(evaluation).get_title().replace("\n", " ") == what + whose
        title = plots.before_after(evaluation, evaluation).get_title().replace("\n", " ")
        assert title == "Recall of each class, before and after" + whose
        assert plots.reliability(evaluation.reliability).get_title() == "Reliability, n = 12"

    def test_coverage(self):
        table = pd.DataFrame({"threshold": [0.9, 0.5, 0.1], "coverage": [0.25, 0.5, 1], "accuracy": [1, 0.9, 0.8]})
        ax = plots.coverage(table)
        assert words(ax.texts) == ["p ≥ 0.90", "p ≥ 0.50", "p ≥ 0.10"]
        assert (
            ax.get_xlabel() == "coverage: share of pictures answered" and ax.get_title() == "Accuracy against coverage"
        )
        assert ax.lines[0].get_xydata().tolist() == [[0.25, 1], [0.5, 0.9], [1, 0.8]]

    def test_few_shot(self):
        table = pd.DataFrame({"shots": [1, 1, 16, 16], "seed": [0, 1, 0, 1], "accuracy": [0.4, 0.6, 0.8, 0.9]})
        ax = plots.few_shot(table, zero_shot=0.7, title="Few-shot, m, d")
        assert words(ax.get_xticklabels()) == ["1", "16"] and ax.get_title() == "Few-shot, m, d"
        assert words(ax.texts) == ["few-shot, mean of seeds", "zero-shot, 0.700"]  # at the ends of the lines
        np.testing.assert_allclose(ax.lines[0].get_ydata(), [0.5, 0.85])
        kept = plots.few_shot(table.assign(zero_shot=0.5), lines={"all 800": 0.95})
        assert words(kept.texts) == ["all 800, 0.950", "few-shot, mean of seeds", "zero-shot, 0.500"]  # as they stand
        assert [line.get_ydata()[0] for line in kept.lines[-2:]] == [0.5, 0.95]
        floor = plots.few_shot(table.assign(zero_shot=0.5, baseline=0.4))
        assert "majority class, 0.400" in words(floor.texts)
        both = pd.concat([table.assign(method="linear probe"), table.assign(method="Tip-Adapter")])
        ax = plots.few_shot(both)  # the methods agree, their names do not meet
        assert words(ax.texts) == ["linear probe", "Tip-Adapter"] and not overlaps([*ax.texts, ax.title], ax.figure)
        assert len({line.get_linestyle() for line in ax.lines}) == 2

    def test_learning_curve(self):
        table = pd.DataFrame({"step": [0, 10, 20], "loss": [3.0, 2.0, 1.0], "accuracy": [0.1, np.nan, 0.75]})
        figure = plots.learning_curve(table.assign(model="toy", dataset="drawn"))
        top, bottom = figure.axes
        assert words(top.texts) == ["1.000"] and words(bottom.texts) == ["0.750"]
        assert top.get_ylabel() == "loss" and bottom.get_ylabel() == "accuracy"
        assert bottom.get_xlabel() == "step of training" and list(bottom.lines[0].get_xdata()) == [0, 20]
        assert figure.get_suptitle() == "Learning curve, drawn, classified by toy"

    def test_empty_tables_are_refused(self):
        with pytest.raises(ValueError, match="coverage: the table is empty"):
            plots.coverage(pd.DataFrame(columns=["threshold", "coverage", "accuracy"]))


def test_names_with_dollars_are_drawn_everywhere():
    names = [r"$\foo$", "a$b"]
    report = pd.DataFrame({"recall": [0.1, 0.2]}, index=names)
    table = pd.DataFrame({"accuracy": [0.5, 0.6], "low": 0.1, "high": 0.9}, index=names)
    drawn = [
        plots.confusion(pd.DataFrame([[1, 0], [0, 1]], index=names, columns=names)),
        plots.before_after(report, report, names=("$x$", "$y_$")),
        plots.ranking(table, title="$"),
        plots.embedding_map(np.eye(2), names, modality=["image", "text"]),
    ]
    for ax in drawn:
        ax.figure.canvas.draw()


NAMES = [f"a rather long name of class number {k}" for k in range(2000)]
RNG = np.random.default_rng(0)
PIXELS = np.zeros((8, 8, 3), np.uint8)
SCORES = pd.DataFrame(
    {"recall": RNG.random(200), "accuracy": RNG.random(200), "low": 0.0, "high": 1.0}, index=NAMES[:200]
)


def mixed_up(k):
    """Make a confusion table of k classes whose worst pair is 3 taken for 5, twelve times."""
    counts = np.random.default_rng(0).poisson(0.2, (k, k)) + 20 * np.eye(k, dtype=int)
    counts[3, 5] = 12
    return pd.DataFrame(counts, index=NAMES[:k], columns=NAMES[:k])


def many_pictures():
    return zsc.ImageDataset([np.zeros((16, 16, 3), np.uint8)] * 500, np.arange(500) % 200, NAMES[:200], name="many")


MANY = {
    "confusion of 31": lambda: plots.confusion(mixed_up(31)),
    "confusion of 200": lambda: plots.confusion(mixed_up(200)),
    "confusion of 1000": lambda: plots.confusion(mixed_up(1000), show="shares"),
    "similarity of 15 x 2000": lambda: plots.similarity(RNG.random((15, 2000)), NAMES[:15], NAMES),
    "similarity of 200 x 2000": lambda: plots.similarity(RNG.random((200, 2000)), NAMES[:200], NAMES),
    "before and after of 200": lambda: plots.before_after(SCORES, SCORES.assign(recall=0.5)),
    "ranking of 2000": lambda: plots.ranking(pd.concat([SCORES] * 10).set_axis(NAMES)),
    "prediction of 2000": lambda: plots.prediction(PIXELS, dict(zip(NAMES, RNG.random(2000), strict=True))),
    "map of 200": lambda: plots.embedding_map(RNG.random((4000, 2)), np.arange(4000) % 200, class_names=NAMES[:200]),
    "map of 2000 texts": lambda: plots.embedding_map(RNG.random((2000, 2)), NAMES, modality=["text"] * 2000),
    "grid of 500": lambda: plots.sample_grid(many_pictures(), max_images=10**9),
    "few-shot of 200 methods": lambda: plots.few_shot(
        pd.DataFrame({"shots": np.arange(400), "seed": 0, "accuracy": 0.5, "method": np.repeat(NAMES[:200], 2)})
    ),
    "reliability of 2000 bins": lambda: plots.reliability(
        pd.DataFrame({"confidence": np.linspace(0, 1, 2000), "accuracy": 0.5, "count": 5})
    ),
    "endless names": lambda: plots.confusion(pd.DataFrame(np.eye(2, dtype=int), ["x" * 9999, "w " * 9999], ["a", "b"])),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:constrained_layout not applied")
@pytest.mark.parametrize("draw", MANY.values(), ids=MANY)
def test_many_classes_draw_what_can_be_read(draw, tmp_path):
    """However much there is, a figure has a bounded size and a bounded number of texts."""
    drawn = draw()
    figure = getattr(drawn, "figure", drawn)
    texts = [t for t in figure.findobj(Text) if t.get_text()]
    assert len(texts) < 700
    with Image.open(plots.save(drawn, tmp_path / "many.png")) as picture:
        assert max(picture.size) < 12_000 and picture.width < 2000


def test_a_large_confusion_is_a_square_map_without_texts_in_its_cells():
    for k in (31, 200):
        ax = plots.confusion(mixed_up(k))
        ax.figure.canvas.draw()
        box, title, below = (artist.get_window_extent() for artist in (ax, ax.title, ax.xaxis.label))
        assert not ax.texts and 0.8 < box.width / box.height < 1.25 and len(ax.get_yticklabels()) <= 40
        assert title.y1 <= ax.figure.bbox.height and below.y0 >= 0  # nothing is cut
        shown = ax.collections[0].get_array()
        assert shown.shape == (k, k) and shown[3, 5] == pytest.approx(12 / mixed_up(k).iloc[3].sum())
        worst = f"{k} classes; most confused:\na rather lo…ass number 3 → a rather lo…ass number 5 (12)\n"
        assert worst.replace("\n", " ") in ax.get_title().replace("\n", " ")
        places = [int(t) for t in ax.get_yticks()]
        assert [w.get_text() for w in ax.get_yticklabels()] == [f"a rather lo…{NAMES[p][-12:]}" for p in places]
    assert len(plots.confusion(mixed_up(15)).texts) == 225 and not plots.confusion(mixed_up(16)).texts
    perfect = pd.DataFrame(np.eye(40, dtype=int), NAMES[:40], NAMES[:40])
    assert plots.confusion(perfect).get_title().endswith("40 classes; no mistakes")


def test_confused_pairs_are_the_same_of_an_evaluation_and_of_its_table():
    rng = np.random.default_rng(0)
    evaluation = zsc.evaluation.evaluate(rng.integers(0, 40, 500), rng.dirichlet(np.ones(40), 500), NAMES[:40])
    pairs = plots.confused_pairs(evaluation)
    pd.testing.assert_frame_equal(pairs, plots.confused_pairs(evaluation.confusion))
    assert pairs["pictures"].sum() == 500 - evaluation.correct and pairs["pictures"].is_monotonic_decreasing
    top = pairs.iloc[0]
    assert evaluation.confusion.loc[top["true"], top["predicted"]] == top["pictures"]
    assert plots.confused_pairs(pd.DataFrame(np.eye(2), ["a", "b"], ["a", "b"])).empty
    both = plots.few_shot(pd.DataFrame({"shots": 1, "seed": 0, "accuracy": 0.5, "model": ["m", "n"]}))
    assert both.get_title() == "Few-shot against zero-shot, classified by m and n"


@pytest.mark.slow
def test_what_many_classes_leave_out_is_said():
    said = {
        "before and after of 200": "the 40 of 200 classes that change most",
        "ranking of 2000": "the 40 best of 2000",
        "prediction of 2000": "the 40 likeliest of 2000",
        "similarity of 15 x 2000": "15 x 2000 cosines; some of the names are shown",
        "map of 200": "200 classes, of which the legend names 40; some share a look",
        "few-shot of 200 methods": "the legend names 40 of 200 methods",
    }
    for name, words_ in said.items():
        assert words_ in MANY[name]().get_title().replace("\n", " "), name
    assert MANY["grid of 500"]().get_suptitle().startswith("many: 200 of 500 pictures")


def test_names_of_any_kind_are_drawn():
    names = pd.Index(["caf\udce9", "nul\x00\x1b[31m", "turn\u202e", "two\nlines"], dtype=object)
    ax = plots.confusion(pd.DataFrame(np.eye(4, dtype=int), names, names), title="t\udce9")
    ax.figure.canvas.draw()
    assert words(ax.get_yticklabels()) == ["caf\\xe9", "nul\\x00\\x1b[31m", "turn\\u202e", "two lines"]
    assert ax.get_title() == "t\\xe9, n = 4"


def test_labels_of_a_map_are_taken_by_position():
    points = np.zeros((3, 2))
    for wrong in ([0, 1, 2], [0, 1, -2], [0.0, 1.0, 1.7]):
        with pytest.raises(ValueError, match="with 2 class names they must be 0 to 1, or -1"):
            plots.embedding_map(points, wrong, class_names=["cat", "dog"])
    ax = plots.embedding_map(points, [0, 1, -1], class_names=["no label", "dog"])
    assert words(ax.get_legend().get_texts()) == ["no label", "dog", "no label"]
    with pytest.raises(ValueError, match="rows holds 2 and row_labels holds 3; both must hold the same number"):
        plots.similarity(np.zeros((2, 3)), list("abc"), list("de"))
    with pytest.raises(ValueError, match="before holds 'a' more than once"):
        plots.before_after(*[pd.DataFrame({"recall": [0.1, 0.2]}, index=["a", "a"])] * 2)


MACHADO = {  # what is seen without green, without red cones (Machado, Oliveira and Fernandes, 2009)
    "deuteranope": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "protanope": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "anyone": np.eye(3),
}


def seen_by(eyes, colour):
    """Turn a colour into CIE L*a*b* as some eyes see it."""
    srgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(MACHADO[eyes]) @ linear, 0, 1)
    return rgb2lab(np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055))


def contrast(first, second):
    """Compute the contrast of two colours as WCAG does: from 1 to 21; text asks for 4.5, a shape for 3."""
    low, high = sorted(float(relative_luminance(colour)) for colour in (first, second))
    return (high + 0.05) / (low + 0.05)


class TestColours:
    @pytest.mark.parametrize("eyes", MACHADO)
    def test_the_palette_differs_for_all_eyes(self, eyes):
        seen = [seen_by(eyes, colour) for colour in plots.PALETTE]
        gaps = [np.linalg.norm(a - b) for i, a in enumerate(seen) for b in seen[i + 1 :]]
        assert min(gaps) > 24  # of Okabe and Ito's eight it is 18 for a deuteranope
        assert np.linalg.norm(seen_by(eyes, plots.RIGHT) - seen_by(eyes, plots.WRONG)) > 60

    def test_shapes_and_words_stand_out_from_white(self):
        assert contrast("#767676", "white") == pytest.approx(4.54, abs=0.01)  # WCAG's own example
        assert min(contrast(colour, "white") for colour in plots.PALETTE) >= 3
        for colour in (plots.RIGHT, plots.WRONG, plots.NEUTRAL):
            assert contrast(style.TEXT_TONES.get(colour, colour), "white") >= 4.5

    @pytest.mark.parametrize("colours", ["Blues", "cividis"])
    def test_numbers_can_be_read_on_every_cell(self, colours):
        cells = plt.get_cmap(colours)(np.linspace(0, 1, 256))
        assert min(contrast(style.text_on(cell), cell) for cell in cells) >= 4.5
        values = np.linspace(0, 1, 25).reshape(5, 5)
        table = pd.DataFrame((100 * values).astype(int), list("abcde"), list("abcde"))
        for ax in (plots.confusion(table), plots.similarity(values, list("abcde"), list("vwxyz"))):
            drawn = zip(ax.texts, ax.collections[0].get_facecolors(), strict=True)
            assert min(contrast(text.get_color(), face) for text, face in drawn) >= 4.5

    def test_captions_of_a_gallery_can_be_read(self, results):
        for ax in plots.gallery(results).axes[:12]:
            assert contrast(ax.xaxis.label.get_color(), "white") >= 4.5
            (mark,) = ax.texts
            assert contrast(mark.get_color(), mark.get_bbox_patch().get_facecolor()) >= 4.5

    def test_the_style_is_for_our_figures_only(self, results):
        before = dict(plt.rcParams)
        ax = plots.coverage(pd.DataFrame({"threshold": [0.5], "coverage": [1.0], "accuracy": [0.8]}))
        assert dict(plt.rcParams) == before
        assert not ax.spines["top"].get_visible() and ax.title.get_fontsize() == plots.STYLE["axes.titlesize"]

    def test_what_the_first_figure_of_a_notebook_turns_on_stays_on(self, monkeypatch):
        """A notebook's backend is chosen when the first figure is made, and then shows all that follow."""
        monkeypatch.setitem(plt.rcParams, "interactive", False)
        style.styled(lambda: plt.rcParams.update({"interactive": True}))()
        assert plt.rcParams["interactive"]


def binomial(correct, n):
    return tuple(binomtest(correct, n).proportion_ci(method="wilson"))


def bars(ax):
    """Return the ends of the error bars of an Axes, one row for each."""
    lines = [c for c in ax.collections if isinstance(c, LineCollection)]
    return np.concatenate([np.sort(line.get_segments(), axis=1) for line in lines])


def band(ax):
    """Return x, low and high of the shaded band of an Axes."""
    (shape,) = [c for c in ax.collections if isinstance(c, PolyCollection) and len(c.get_paths())]
    xy = shape.get_paths()[0].vertices
    return {x: (xy[xy[:, 0] == x, 1].min(), xy[xy[:, 0] == x, 1].max()) for x in np.unique(xy[:, 0])}


class TestIntervals:
    def test_reliability_has_a_bar_per_bin_and_no_line_between(self):
        table = pd.DataFrame({"confidence": [0.3, 0.5, 0.7, 0.9], "accuracy": [1 / 3, 0.5, 0.6, 0.95]})
        ax = plots.reliability(table.assign(count=[3, 10, 20, 40]))
        ends = [tuple(row[:, 1]) for row in bars(ax)]
        np.testing.assert_allclose(ends, [binomial(1, 3), binomial(5, 10), binomial(12, 20), binomial(38, 40)])
        assert [line.get_linestyle() for line in ax.lines] == ["--", "None", "None", "None"]  # the diagonal; no zigzag

    def test_coverage_has_a_band_and_marks_the_threshold(self, evaluation):
        table = evaluation.coverage
        ax = plots.coverage(evaluation, threshold=0.5)
        found = band(ax)
        for row in table.itertuples():
            assert found[row.coverage] == pytest.approx(binomial(round(row.accuracy * row.n), row.n))
        kept = table[table["threshold"] >= 0.5].iloc[0]
        (mark,) = [line for line in ax.lines if line.get_marker() == "D"]
        assert mark.get_xydata().tolist() == [[kept["coverage"], kept["accuracy"]]]
        words_ = f"threshold 0.5: {kept['coverage']:.0%} answered, accuracy {kept['accuracy']:.3f}"
        assert words(ax.get_legend().get_texts()) == [words_] and words_ in plots.describe(ax)
        assert plots.coverage(evaluation, threshold=1).get_legend() is None  # no picture is that sure
        assert not plots.coverage(table.drop(columns="n")).collections

    def test_few_shot_has_a_band_over_seeds(self):
        values = {1: [0.6, 0.7, 0.71], 4: [0.8, 0.82, 0.81], 8: [0.9, 0.9]}
        rows = [{"shots": n, "seed": k, "accuracy": v} for n, given in values.items() for k, v in enumerate(given)]
        found = band(plots.few_shot(pd.DataFrame(rows)))
        for n in (1, 4):
            wanted = ttest_1samp(values[n], 0).confidence_interval(0.95)
            assert found[n] == pytest.approx((wanted.low, wanted.high))
        assert set(found) == {1, 4}  # two seeds tell nothing

    def test_learning_curve_has_a_band_and_what_guessing_gives(self):
        table = pd.DataFrame({"step": [0, 1, 2], "loss": [4.2, 3.0, 2.0], "accuracy": [1 / 64, np.nan, 0.25]})
        top, bottom = plots.learning_curve(table, batch_size=64, accuracy_label="accuracy in the batch").axes
        assert band(bottom)[0] == pytest.approx(binomial(1, 64)) and band(bottom)[2] == pytest.approx(binomial(16, 64))
        assert top.lines[-1].get_ydata() == pytest.approx([np.log(64)] * 2)
        assert bottom.lines[-1].get_ydata() == pytest.approx([1 / 64] * 2)
        assert words(top.get_legend().get_texts()) == ["guessing: log 64 = 4.16"]
        assert bottom.get_ylabel() == "accuracy in the batch" and bottom.get_ylim()[1] < 0.5
        with pytest.raises(ValueError, match="batch_size=1"):
            plots.learning_curve(table, batch_size=1)

    def test_axes_go_where_the_values_are(self):
        close = pd.DataFrame({"accuracy": [0.89, 0.9], "low": 0.87, "high": 0.93}, index=["a", "b"])
        assert plots.ranking(close).get_xlim() == pytest.approx((0.85, 0.95))
        assert plots.ranking(close.assign(low=0.1)).get_xlim() == pytest.approx((-0.02, 1.02))
        shots = pd.DataFrame({"shots": [1, 2], "seed": 0, "accuracy": [0.9, 0.96]})
        assert plots.few_shot(shots).get_ylim() == pytest.approx((0.88, 0.98))
        assert plots.few_shot(shots, zero_shot=0.2).get_ylim() == pytest.approx((-0.02, 1.02))

    def test_n_stands_in_every_title(self, evaluation):
        few = pd.DataFrame({"shots": [1], "seed": 0, "accuracy": 0.5, "n": 1200})
        ranked = compare_right({"a": evaluation.right, "b": ~evaluation.right})
        drawn = [plots.reliability, plots.coverage, plots.confusion, lambda e: plots.before_after(e, e)]
        titles = [draw(evaluation).get_title() for draw in drawn] + [plots.ranking(ranked).get_title()]
        assert all(re.search(r", n = 12$", title) for title in titles), titles
        assert plots.few_shot(few).get_title() == "Few-shot against zero-shot, n = 1,200"
        assert plots.coverage(evaluation, title="mine").get_title() == "mine, n = 12"
        assert plots.coverage(evaluation, title="mine (n = 12)").get_title() == "mine (n = 12)"


class TestManyAndLong:
    def test_the_most_frequent_confusions_as_bars(self):
        ax = plots.confusion(mixed_up(50), top=3)
        pairs = plots.confused_pairs(mixed_up(50)).head(3)
        assert [bar.get_width() for bar in ax.patches] == pairs["pictures"].tolist() and ax.yaxis_inverted()
        names = [w.replace("\n", " ") for w in words(ax.get_yticklabels())]
        assert names == [f"{p.true} → {p.predicted}" for p in pairs.itertuples()]
        assert words(ax.texts)[0] == f"12 of {mixed_up(50).iloc[3].sum():.0f}"
        assert ax.get_title().startswith("The 3 most frequent of ")
        assert plots.confusion(pd.DataFrame(np.eye(2, dtype=int)), top=5).get_title().endswith("no mistakes")
        with pytest.raises(ValueError, match="top=0; top must be a whole number from 1 to 40"):
            plots.confusion(mixed_up(6), top=0)

    def test_the_colours_of_a_confusion_end_where_the_shares_do(self):
        half = pd.DataFrame(np.full((50, 50), 1), NAMES[:50], NAMES[:50])
        ax = plots.confusion(half)
        assert ax.collections[0].get_clim() == pytest.approx((0, 0.02))
        width, height = ax.figure.get_size_inches()
        assert max(width, height) <= 8  # as wide as a page

    def test_rows_are_as_high_as_their_names(self):
        names = ["a prompt that goes on and on " * 6, "short", "brief", "another prompt that is long " * 5]
        table = pd.DataFrame({"accuracy": [0.9, 0.8, 0.7, 0.6], "low": 0.5, "high": 1.0}, index=names)
        report = pd.DataFrame({"recall": [0.9, 0.8, 0.7, 0.6]}, index=names)
        for ax in (
            plots.ranking(table),
            plots.before_after(report, report),
            plots.prediction(PIXELS, dict(zip(names, [0.4, 0.3, 0.2, 0.1], strict=True))),
        ):
            assert not overlaps(ax.get_yticklabels(), ax.figure)
            assert np.ptp(np.diff(ax.get_yticks())) > 0.3  # the rows differ in height

    def test_ranking_draws_paired_differences(self):
        rng = np.random.default_rng(0)
        base = rng.random(300) < 0.9
        table = compare_right({"bare": base, "best": base | (rng.random(300) < 0.5), "same": base, "hat": ~base})
        ax = plots.ranking(table)
        assert words(ax.get_yticklabels()) == ["best", "bare", "same", "hat"]
        best, hat = table.loc["best"], table.loc["hat"]
        said = words(ax.texts)
        ends = f"({best['difference_low']:+.3f} to {best['difference_high']:+.3f})"
        assert said[0] == f"{best['accuracy']:.3f}, {best['difference']:+.3f} {ends} better"
        assert said[1].endswith("the reference") and said[2].endswith("not told apart") and said[3].endswith("worse")
        assert [row[:, 0].tolist() for row in bars(ax)][::3] == [
            pytest.approx([row["difference_low"], row["difference_high"]]) for row in (best, hat)
        ]
        tones = [to_hex(line.get_color()).upper() for line in ax.lines if line.get_marker() == "o"]
        assert tones == [plots.RIGHT, plots.NEUTRAL, plots.NEUTRAL, plots.WRONG]
        assert ax.get_xlabel().startswith("difference of accuracy to bare\non the same pictures")
        accuracies = plots.ranking(table[["accuracy", "low", "high"]])
        assert words(accuracies.texts)[0].startswith(f"{best['accuracy']:.3f} (")

    def test_a_correction_that_overrules_an_interval_is_named(self):
        base = np.arange(100) < 80
        six, seven = (base | (np.arange(100) >= 100 - more) for more in (6, 7))
        several = compare_right({"bare": base, "seven": seven, "same": base, "too": base, "also": base})
        (row,) = several.loc[["seven"]].itertuples()
        assert row.difference_low > 0 and row.p_value < 0.05 < row.p_adjusted
        said = words(plots.ranking(several).texts)
        assert said[0].endswith("not told apart\nafter Holm's correction") and said[2].endswith("0.037) not told apart")
        assert words(plots.ranking(compare_right({"bare": base, "six": six})).texts)[0].endswith("better")

    def test_a_change_of_one_picture_is_not_called_better(self):
        y, names = np.repeat([0, 1], 50), ["cat", "dog"]
        first, second = np.full((100, 2), 0.5), np.full((100, 2), 0.5)
        first[:, 0] = np.r_[np.full(49, 0.9), 0.1, np.full(50, 0.9)]
        second[:, 0] = np.r_[np.full(50, 0.9), np.full(50, 0.1)]
        before, after = (zsc.evaluation.evaluate(y, np.c_[p[:, 0], 1 - p[:, 0]], names) for p in (first, second))
        ax = plots.before_after(before, after)
        assert words(ax.texts) == ["+0.020 not told apart, 1 of 50", "+1.000 better, 50 of 50"]
        assert [to_hex(t.get_color()).upper() for t in ax.texts] == [plots.NEUTRAL, plots.RIGHT]
        assert words(plots.before_after(before.report, after.report).texts)[0] == "+0.020 not tested, 1 of 50"

    def test_only_a_recall_of_the_same_pictures_is_tested(self):
        y, names = np.repeat([0, 1], 50), ["cat", "dog"]
        before, after = (zsc.evaluation.evaluate(y, np.eye(2)[given], names) for given in (1 - y, y))
        assert words(plots.before_after(before, after).texts)[0] == "+1.000 better, 50 of 50"
        turned = zsc.evaluation.evaluate(1 - y, np.eye(2)[1 - y], names[::-1])  # the same classes in another order
        assert words(plots.before_after(before, turned).texts)[0] == "+1.000 better, 50 of 50"
        untested = [plots.before_after(before, after, metric=metric) for metric in ("precision", "f1")]
        untested.append(plots.before_after(before, after.select(range(99))))
        y = np.array([[1, 0], [0, 1], [1, 1]])
        several = [zsc.evaluation.Evaluation(y, p, names, thresholds=[0.5, 0.5]) for p in (1 - y * 0.9, y * 0.9)]
        untested.append(plots.before_after(*several))
        for ax in untested:
            assert words(ax.texts)[0].startswith("+1.000 not tested")

    def test_a_title_that_fits_the_figure_stands_in_one_line(self):
        title = "Prompts in the order of their accuracy, drawn-animals test, classified by the model toy"
        table = pd.DataFrame({"accuracy": [0.5, 0.9], "low": [0.4, 0.85], "high": [0.6, 0.95]}, index=["bare", LONG[1]])
        for given, lines in ((title, 1), (f"{title}, which goes on", 2), (title * 3, 4)):
            ax = plots.ranking(table, title=given)
            ax.figure.canvas.draw()
            box = ax.title.get_window_extent()
            assert box.x0 > 0 and box.x1 < ax.figure.bbox.width and ax.get_title().count("\n") + 1 <= lines, given
        left = plots.ranking(table, ax=plt.figure(figsize=(12, 4)).add_subplot(1, 2, 1), title="mine")
        left.figure.canvas.draw()
        middles = [(box.x0 + box.x1) / 2 for box in (left.title.get_window_extent(), left.get_window_extent())]
        assert middles[0] == pytest.approx(middles[1])  # beside others it stands over its own

    def test_titles_break_at_words_and_evenly(self):
        ax = plots.embedding_map(
            np.eye(2), ["a", "b"], title="PCA, 61% of the variance: toy on drawn-animals test " * 2
        )
        lines = ax.get_title().split("\n")
        assert len(lines) > 1 and not any(line.endswith("-") for line in lines)
        assert min(map(len, lines)) > 0.6 * max(map(len, lines))
        assert style.wrap("a title of several words test", 26) == "a title of several\nwords test"

    def test_letters_that_no_font_has_do_not_warn(self, recwarn):
        names = ["\N{CAT FACE} cat", "\u732b", "\u72ac", "\u05e9\u05dc\u05d5\u05dd", "\N{THAI CHARACTER KO KAI}"]
        ax = plots.prediction(PIXELS, dict.fromkeys(names, 0.2), title="\u732b")
        ax.figure.canvas.draw()
        assert not [w for w in recwarn if "Glyph" in str(w.message)]
        assert len(set(words(ax.get_yticklabels()))) == 5 and "\N{CAT FACE} cat" in words(ax.get_yticklabels())
        assert "\u732b" in plots.describe(ax)  # the description has every letter

    def test_little_is_not_nothing(self):
        ax = plots.prediction(PIXELS, {"a": 0.996, "b": 0.0039, "c": 0.0})
        assert words(ax.texts) == ["1.00", "< 0.01", "0.00"]


class TestPicturesInWords:
    def test_a_grid_marks_its_query_and_notes(self, colour_dataset):
        figure = plots.sample_grid(colour_dataset.head(3), notes=["", "cosine 0.62", "cosine 0.55"], query=0)
        assert captions(figure) == ["the query: red", "green\ncosine 0.62", "blue\ncosine 0.55"]
        assert words(figure.axes[0].texts) == ["?"] and not figure.axes[1].texts
        edges = [ax.spines["left"].get_linewidth() for ax in figure.axes[:3]]
        assert edges[0] > 2 * edges[1] == 2 * edges[2]
        with pytest.raises(ValueError, match="pictures holds 3 and notes holds 1; both must hold the same number"):
            plots.sample_grid(colour_dataset.head(3), notes=["a"])
        with pytest.raises(ValueError, match="query=3; query must be a whole number from 0 to 2"):
            plots.sample_grid(colour_dataset.head(3), query=3)

    def test_captions_break_where_a_reader_would(self):
        row = {"y_true": 0, "y_pred": 1, "proba": 0.7, "y_pred_token": "a photo of a fox"}
        row |= {"proba_wild animal": 0.28, "proba_photographer": 0.7}
        names = ["wild animal", "photographer"]
        text, _ = plots.caption(row, names)
        assert text == "wrong: wild animal\n→ photographer\np = 0.70\nthen wild animal, 0.28"
        assert plots.caption(row, ["glasses", "no glasses"])[0].startswith("wrong: glasses\n→ no glasses\n")
        assert plots.caption(row, ["the class 2", "the class 1"])[0].startswith("wrong: the class 2\n→ the class 1\n")
        other, _ = plots.caption(row | {"y_pred": 0}, names)
        assert other.endswith("then\nphotographer, 0.70")  # the number stays with its name
        assert plots.caption(row, names, prompt=True)[0].endswith("\nby “a photo of a fox”")

    def test_a_gallery_shows_the_prompt_that_decided(self, evaluation):
        assert captions(plots.gallery(evaluation, prompts=True))[0].count("\n") == 3
        assert "by “" not in "".join(captions(plots.gallery(evaluation)))


class TestMapsInWords:
    def test_pictures_stand_at_the_rows(self, tmp_path):
        pictures = [np.full((30, 60, 3), 200, np.uint8), tmp_path / "gone.png", Image.new("RGB", (9, 9), "red")]
        ax = plots.similarity(np.eye(3)[:, :2] / 3, list("abc"), ["x", "y"], pictures=pictures)
        ax.figure.canvas.draw()
        boxes = [a for a in ax.artists if isinstance(a, AnnotationBbox)]
        assert [box.xy for box in boxes] == [(0, 0.5), (0, 1.5), (0, 2.5)]
        shown = [np.asarray(box.offsetbox.get_data())[0, 0].tolist() for box in boxes]
        assert shown == [[200] * 3, [235] * 3, [255, 0, 0]]  # one that is lost is grey
        names = [t.get_window_extent() for t in ax.get_yticklabels()]
        for box, name in zip(boxes, names, strict=True):
            seen = box.get_window_extent()
            assert name.x1 < seen.x0 < seen.x1 < ax.get_window_extent().x0 + 1
            assert name.y0 < (seen.y0 + seen.y1) / 2 < name.y1
        with pytest.raises(ValueError, match="rows holds 3 and pictures holds 1"):
            plots.similarity(np.eye(3), list("abc"), list("xyz"), pictures=pictures[:1])

    def test_the_highest_of_each_row_is_framed(self):
        values = np.array([[0.1, 0.3, 0.2], [0.9, 0.3, 0.2]])
        ax = plots.similarity(values, ["a", "b"], ["x", "y", "z"])
        assert [(int(p.get_x()), int(p.get_y())) for p in ax.patches] == [(1, 0), (0, 1)]
        assert not plots.similarity(values[:, :1], ["a", "b"], ["x"]).patches

    def test_colours_begin_at_zero_or_where_they_are_told(self):
        low = np.array([[0.36, 0.41, 0.52]])
        assert plots.similarity(low, ["a"], list("xyz")).collections[0].get_clim() == (0, 0.52)
        assert plots.similarity(low - 0.5, ["a"], list("xyz")).collections[0].get_clim() == pytest.approx((-0.14, 0.02))
        ax = plots.similarity(low, ["a"], list("xyz"), limits=(-0.5, 1))
        assert ax.collections[0].get_clim() == (-0.5, 1)

    def test_of_a_symmetric_table_half_is_drawn(self):
        values = np.array([[1, 0.5, 0.2], [0.5, 1, 0.3], [0.2, 0.3, 1]])
        ax = plots.similarity(values, list("abc"), list("abc"))
        assert words(ax.texts) == ["1.00", "0.50", "1.00", "0.20", "0.30", "1.00"] and not ax.patches
        assert len(plots.similarity(values, list("abc"), list("xyz")).texts) == 9

    def test_islands_are_named_where_they_lie(self):
        rng = np.random.default_rng(0)
        middles = np.array([[0, 0], [20, 0], [0, 20]])
        points = np.concatenate([rng.normal(m, 1, (40, 2)) for m in middles])
        points[0] = [60, 60]  # a stray picture does not move the name
        ax = plots.embedding_map(points, np.repeat(["cat", "dog", "wild"], 40))
        assert words(ax.texts) == ["cat", "dog", "wild"] and not len(ax.get_xticks()) and not len(ax.get_yticks())
        assert ax.get_xlabel() == ax.get_ylabel() == ""
        for text, middle in zip(ax.texts, middles, strict=True):
            assert np.linalg.norm(np.array(text.xy) - middle) < 2

    def test_names_on_a_map_never_overlap(self):
        ax = plots.embedding_map(np.random.default_rng(0).random((200, 2)) / 50, np.repeat(NAMES[:20], 10))
        assert 0 < len(ax.texts) < 20 and not overlaps(ax.texts, ax.figure)

    def test_texts_carry_their_names_and_partners_are_joined(self):
        points = np.array([[0, 0], [1, 1], [0.5, 0.2], [0.9, 1.2]])
        kinds = ["image", "image", "text", "text"]
        options = {"modality": kinds, "names": ["", "", "a cat", "a dog"], "pairs": [(0, 2), (1, 3)]}
        ax = plots.embedding_map(points, ["cat", "dog"] * 2, **options)
        assert {t.get_text(): tuple(t.xy) for t in ax.texts} == {"a cat": (0.5, 0.2), "a dog": (0.9, 1.2)}
        hairs = [line for line in ax.lines if line.get_linewidth() < 1]
        assert [line.get_xydata().tolist() for line in hairs] == [[[0, 0], [0.5, 0.2]], [[1, 1], [0.9, 1.2]]]
        with pytest.raises(ValueError, match="points holds 4 and names holds 1"):
            plots.embedding_map(points, list("abcd"), names=["a"])
        with pytest.raises(ValueError, match="pairs runs from 0 to 4"):
            plots.embedding_map(points, list("abcd"), pairs=[(0, 4)])

    def test_a_legend_of_many_fits_a_small_part_of_a_figure(self):
        figure, axes = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
        many = pd.DataFrame({"shots": [1, 2] * 30, "seed": 0, "accuracy": 0.5, "method": np.repeat(NAMES[:30], 2)})
        plots.embedding_map(np.random.default_rng(0).random((60, 2)), NAMES[:30] * 2, ax=axes[0])
        plots.few_shot(many, ax=axes[1])
        figure.canvas.draw()
        assert all(ax.get_legend().get_window_extent().height < figure.bbox.height for ax in axes)

    def test_many_texts_do_not_cover_the_pictures(self):
        few, many = (
            plots.embedding_map(np.zeros((2 * n, 2)), ["a"] * 2 * n, modality=["image"] * n + ["text"] * n)
            for n in (5, 100)
        )
        sizes = [[c.get_sizes()[0] for c in ax.collections] for ax in (few, many)]
        assert sizes[0][1] > 3 * sizes[1][1] > 3 * sizes[1][0]


DESCRIBED = {
    "confusion": (lambda e: plots.confusion(e), "11 right of 12 pictures of 3 classes; most confused: blue → red (1)"),
    "reliability": (lambda e: plots.reliability(e), "accuracy 0.917, in "),
    "coverage": (lambda e: plots.coverage(e), "accuracy 0.917 where 100% are answered"),
    "before": (lambda e: plots.before_after(e, e), "red no change; green no change; blue no change"),
    "gallery": (lambda e: plots.gallery(e, only="errors"), "classified by colours: wrong: blue → red p = "),
    "ranking": (lambda e: plots.ranking(compare_right({"a": e.right, "b": e.right})), "of 2, a 0.917; b 0.917"),
    "prediction": (lambda _: plots.prediction(PIXELS, {"$a$": 0.9, "b": 0.1}), "probabilities: $a$ 0.90, b 0.10"),
    "similarity": (lambda _: plots.similarity(np.eye(2), ["a", "b"], ["x", "y"]), "2 x 2 cosines from 0.00 to 1.00"),
    "map": (lambda _: plots.embedding_map(np.eye(2), ["a", "b"]), "2 pictures of 2 classes in two dimensions"),
    "few-shot": (lambda _: plots.few_shot(FEW, zero_shot=0.4), "mean of seeds 0.500 to 0.700, zero-shot, 0.400"),
    "learning": (lambda _: plots.learning_curve(LOG), "loss from 3.000 to 1.000, accuracy from 0.100 to 0.750"),
}
FEW = pd.DataFrame({"shots": [1, 2], "seed": 0, "accuracy": [0.5, 0.7]})
LOG = pd.DataFrame({"step": [0, 20], "loss": [3.0, 1.0], "accuracy": [0.1, 0.75]})


class TestDescriptions:
    @pytest.mark.parametrize("name", DESCRIBED)
    def test_a_figure_says_what_it_shows(self, name, evaluation):
        draw, said = DESCRIBED[name]
        drawn = draw(evaluation)
        told = plots.describe(drawn)
        assert said in told and told.endswith(".") and "\n" not in told
        title = getattr(drawn, "get_suptitle", getattr(drawn, "get_title", None))()
        assert told.startswith(title.replace("\n", " "))
        assert plots.describe(drawn.figure) == told

    def test_several_axes_and_figures_of_others(self, evaluation):
        figure, (left, right) = plt.subplots(1, 2)
        plots.confusion(evaluation, ax=left)
        assert "11 right" in plots.describe(figure)
        plots.coverage(evaluation, ax=right)
        assert plots.describe(figure).count("n = 12: ") == 2
        assert plots.describe(plt.figure()) == "a figure"
        assert plots.describe(plt.subplots()[1].set(title="mine")[0].axes) == "mine"

    def test_a_notebook_keeps_the_description_as_alternative_text(self, evaluation):
        ax = plots.confusion(evaluation)
        formatter = DisplayFormatter()
        formatter.formatters["image/png"].for_type(Figure, lambda figure: print_figure(figure, base64=True))
        data, metadata = formatter.format(ax.figure)
        output = nbformat.v4.new_output("display_data", data=data, metadata=metadata)
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=[output])])
        page, _ = HTMLExporter(template_name="classic").from_notebook_node(notebook)
        (alt,) = re.findall(r'<img alt="([^"]*)"', page)
        assert html.unescape(alt) == plots.describe(ax) and "11 right of 12" in alt

    def test_a_figure_of_the_caller_carries_its_description_and_can_be_kept(self, evaluation):
        figure, ax = plt.subplots()
        told = plots.describe(plots.confusion(evaluation, ax=ax))
        assert figure._repr_mimebundle_() == ({}, {"image/png": {"alt": told}})
        kept = pickle.loads(pickle.dumps(figure))
        assert kept.axes[0].get_title() == ax.get_title()

    def test_a_file_says_what_it_shows(self, evaluation, tmp_path):
        told = plots.describe(plots.confusion(evaluation))
        paths = {k: plots.save(plots.confusion(evaluation), tmp_path / f"c.{k}") for k in ("png", "svg", "pdf")}
        with Image.open(paths["png"]) as picture:
            known = picture.text
        assert known["Description"] == told and known["Software"].startswith("zsc, Matplotlib ")
        assert known["Title"] == "Confusion, counts, colours test, classified by colours, n = 12"
        assert known["Model"] == "colours" and known["Dataset"] == "colours test"
        svg = html.unescape(paths["svg"].read_text(encoding="utf-8"))
        assert told in svg and "model colours; dataset colours test" in svg
        assert b"classified by colours" in paths["pdf"].read_bytes()

    def test_pictures_for_print(self, evaluation, tmp_path):
        sizes = []
        for dpi in (110, 300):
            with Image.open(plots.save(plots.coverage(evaluation), tmp_path / "c.png", dpi=dpi)) as picture:
                sizes.append(picture.width)
                assert picture.info["dpi"][0] == pytest.approx(dpi, abs=1)
        assert sizes == [880, 2400]
        with pytest.raises(ValueError, match="dpi=5000; dpi must be a whole number from 20 to 600"):
            plots.save(plots.coverage(evaluation), tmp_path / "c.png", dpi=5000)


class TestMapWidget:
    """What a browser is told, and what it tells; tests/test_browser.py draws a lasso in one."""

    @pytest.fixture
    def shown(self, colours, colour_dataset):
        pytest.importorskip("jscatter")
        embeddings = zsc.embed_images(colours, colour_dataset, progress=False)
        values, labels = embeddings.values.copy(), embeddings.labels.copy()
        values[2], labels[3] = np.nan, -1  # a picture that failed, and one that nobody labelled
        paths = [f"<b>{i}.png" for i in range(len(values))]
        paths[5] = embeddings.paths[5]
        names, about = embeddings.class_names, (colours.name, colours.fingerprint)
        embeddings = zsc.ImageEmbeddings(values, paths, labels, names, *about)
        answers = zsc.ZeroShotClassifier(["red", "green", "blue"], colours).answer(embeddings)
        return embeddings, answers, plots.map_widget(embeddings, answers)

    def test_it_colours_by_what_is_known(self, shown):
        embeddings, answers, found = shown
        usable = np.delete(np.arange(12), 2)
        assert found.colour.options == ("class", "prediction", "right or wrong", "probability")
        table = found.scatter.widget.data
        assert list(table.index) == list(usable)
        names = np.array([*embeddings.class_names, "no label"])
        assert list(table["class"]) == list(names[embeddings.labels[usable]])
        right = (answers.y_pred == answers.y_true)[usable]
        said = np.where(embeddings.labels[usable] < 0, "no label", np.where(right, "right", "wrong"))
        assert list(table["right or wrong"]) == list(said) and set(said) == {"right", "wrong", "no label"}
        assert np.allclose(table["probability"], answers.proba.max(axis=1)[usable])
        found.colour.value = "right or wrong"
        drawn = {to_hex(colour) for colour in found.scatter.widget.color}
        assert drawn == {style.RIGHT.lower(), style.WRONG.lower(), style.NEUTRAL.lower()}
        assert plots.map_widget(embeddings).colour.options == ("class",)

    def test_a_selection_is_rows_of_the_embeddings(self, shown):
        found = shown[-1]
        assert len(found.rows) == 0 and "0 of 11 pictures selected" in found._small.value
        found.scatter.widget.selection = np.array([4, 2], dtype=np.uint32)  # of the drawn points, as a lasso sends them
        assert list(found.rows) == [3, 5]  # row 2 is not drawn
        assert "2 of 11 pictures selected" in found._small.value and found._small.value.count("<img") == 2
        assert "&lt;b&gt;3.png" in found._small.value and "<b>" not in found._small.value

    def test_the_pointer_shows_the_picture(self, shown):
        embeddings, _, found = shown
        found.scatter.widget.hovering = 4
        (uri,) = re.findall(r'src="([^"]+)"', found._large.value)
        assert uri == zsc.images.picture_uri(embeddings.paths[5], 224) and uri.startswith("data:image/jpeg")
        found.scatter.widget.hovering = None
        assert found._large.value == ""

    def test_points_are_the_principal_components(self, shown):
        embeddings, _, found = shown
        table = found.scatter.widget.data
        expected = PCA(2).fit_transform(embeddings.values[table.index])
        for ours, theirs in zip(table[["x", "y"]].to_numpy().T, expected.T, strict=True):
            assert np.allclose(ours, theirs, atol=1e-5) or np.allclose(ours, -theirs, atol=1e-5)

    def test_points_of_another_method(self, shown):
        embeddings = shown[0]
        points = np.arange(24.0).reshape(12, 2)
        table = plots.map_widget(embeddings, points=points).scatter.widget.data
        assert np.array_equal(table[["x", "y"]], np.delete(points, 2, axis=0))
        with pytest.raises(ValueError, match="12.*11|11.*12"):
            plots.map_widget(embeddings, points=points[1:])

    def test_a_page_without_python_shows_the_figure(self, shown, monkeypatch):
        told = []
        monkeypatch.setattr("IPython.display.display", lambda bundle, raw: told.append(bundle))
        shown[-1]._ipython_display_()
        assert set(told[0]) == {"application/vnd.jupyter.widget-view+json", "image/png", "text/plain"}

    def test_what_is_not_installed_is_named(self, shown, monkeypatch):
        monkeypatch.setitem(sys.modules, "jscatter", None)
        with pytest.raises(ImportError, match=r"jscatter.*pip install 'zsc-clip\[widgets\]'"):
            plots.map_widget(shown[0])
