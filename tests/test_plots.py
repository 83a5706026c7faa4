"""What a figure says is read back from it; it computes nothing."""

import os
import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text
from PIL import Image, ImageFile

import zsc
from zsc import plots


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
    assert figure.get_suptitle() == "colours test, classified by colours: 12 pictures"
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
    assert plots.gallery(results, only="errors").get_suptitle().endswith("1 wrong of 12")
    right = captions(plots.gallery(results, only="correct"))
    assert len(right) == 11 and all(t.startswith("right") for t in right)
    shares = [
        float(re.search(r"p = ([.\d]+)", t)[1]) for t in captions(plots.gallery(results, only="unsure", max_images=5))
    ]
    assert len(shares) == 5 and shares == sorted(shares)
    with pytest.raises(ValueError, match="only must be one of errors, correct, unsure"):
        plots.gallery(results, only="wrong")


def test_gallery_without_errors_says_so(results):
    figure = plots.gallery(results.head(3), only="errors")
    assert [t.get_text() for t in figure.axes[0].texts] == ["no errors to show"]


def test_gallery_without_labels(colours, colour_dataset):
    table = zsc.ZeroShotClassifier(["red", "green", "blue"], colours).predict(list(colour_dataset.paths[:2]))
    assert captions(plots.gallery(table))[0].startswith("red\np = ")
    assert captions(plots.gallery(table, only="errors")) == []


def test_gallery_of_a_table(evaluation, results):
    assert captions(plots.gallery(results)) == captions(plots.gallery(evaluation))
    assert plots.gallery(results).get_suptitle() == "pictures: 12 pictures"
    named = plots.gallery(results.assign(model="m", dataset="d"), only="errors").get_suptitle()
    assert named == "d, classified by m: 1 wrong of 12"
    bare = results[["image", "y_true", "y_pred", "proba"]]
    with pytest.raises(ValueError, match="has no columns proba_<class> to name its classes; pass class_names="):
        plots.gallery(bare)
    assert len(captions(plots.gallery(bare, class_names=["red", "green", "blue"]))) == 12


def test_prediction_bars():
    ax = plots.prediction(np.zeros((8, 8, 3), np.uint8), {"a cat": 0.25, "a dog": 0.75}, title="conse")
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a cat", "a dog"]  # drawn upwards: the likeliest on top
    assert [b.get_width() for b in ax.patches] == [0.25, 0.75]
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
    wrong = {"noext": "no name for a picture", "": "no name for", "no/folder/a.png": "is missing or cannot"}
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
        assert [round(b.get_width(), 2) for b in ax.patches] == [0.04, 0.06, 0.1, 0.3, 0.5]
        assert [round(b.get_y() + b.get_height() / 2) for b in ax.patches] == list(range(5))
        assert len(ax.get_yticklabels()) == 5

    def test_what_is_not_shown_is_said(self, results):
        assert plots.gallery(results, max_images=5).get_suptitle().endswith("12 pictures; the first 5 are shown")
        wrong = plots.gallery(results, only="correct", max_images=5).get_suptitle()
        assert wrong.endswith("11 right of 12; the first 5 are shown")
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
        assert all(0 < b.x0 % 1 < b.x1 % 1 and 0 < b.y0 % 1 < b.y1 % 1 for b in boxes)  # inside: none is cut at the edge
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
        assert drawn == [[[0, 0]], [[0.5, 0]], [[1, 1]], [[2, 2]]]  # cat: picture, text; dog; no label
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
        with pytest.raises(ValueError, match=r"points of shape \(3, 2\) for 2 labels"):
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
        assert words(ax.texts) == ["+0.40 better", "-0.06 worse", *["no change"] * (k - 2)]
        assert [w.replace("\n", " ") for w in words(ax.get_yticklabels())] == names
        assert ax.get_title() == "Recall of each class, prompts A and prompts B" and ax.get_xlabel() == "recall"
        assert words(ax.figure.legends[0].get_texts()) == ["prompts A", "prompts B"]
        ends = [line.get_xdata() for line in ax.lines if len(line.get_xdata()) == 2]
        assert [list(e) for e in ends[:2]] == [[0.5, 0.9], [0.5, 0.44]]
        assert not overlaps([*ax.get_yticklabels(), *ax.texts], ax.figure)

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


class TestCurves:
    def test_reliability(self):
        table = pd.DataFrame({"confidence": [0.3, 0.6, np.nan], "accuracy": [0.2, 0.9, np.nan], "count": [7, 40, 0]})
        ax = plots.reliability(table, title="Reliability, m, d")
        assert words(ax.texts) == ["7", "40"] and ax.get_title() == "Reliability, m, d, n = 47"
        assert "confidence" in ax.get_xlabel() and "accuracy" in ax.get_ylabel()
        assert words(ax.get_legend().get_texts()) == ["perfectly calibrated", "the model, n pictures", "n below 10"]
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
        assert words(kept.texts)[-2:] == ["zero-shot, 0.500", "all 800, 0.950"]
        assert [line.get_ydata()[0] for line in kept.lines[-2:]] == [0.5, 0.95]
        both = pd.concat([table.assign(method="linear probe"), table.assign(method="Tip-Adapter")])
        ax = plots.few_shot(both)  # the methods agree, their names do not meet
        assert words(ax.texts) == ["linear probe", "Tip-Adapter"] and not overlaps(ax.texts, ax.figure)
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
        assert not ax.texts and ax.get_aspect() == 1 and len(ax.get_yticklabels()) <= 40
        shown = ax.images[0].get_array()
        assert shown.shape == (k, k) and shown[3, 5] == pytest.approx(12 / mixed_up(k).iloc[3].sum())
        worst = "most confused:\na rather lo…ass number 3 → a rather lo…ass number 5 (12)\n"
        assert f"n = {mixed_up(k).to_numpy().sum():,.0f}\n{k} classes; {worst}" in ax.get_title()
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
        with pytest.raises(ValueError, match="with 2 class names they must lie in 0 to 1, or be -1"):
            plots.embedding_map(points, wrong, class_names=["cat", "dog"])
    ax = plots.embedding_map(points, [0, 1, -1], class_names=["no label", "dog"])
    assert words(ax.get_legend().get_texts()) == ["no label", "dog", "no label"]
    with pytest.raises(ValueError, match=r"values has shape \(2, 3\) for 3 row labels and 2 column labels"):
        plots.similarity(np.zeros((2, 3)), list("abc"), list("de"))
    with pytest.raises(ValueError, match="before holds 'a' more than once"):
        plots.before_after(*[pd.DataFrame({"recall": [0.1, 0.2]}, index=["a", "a"])] * 2)


def as_a_deuteranope(colour):
    """Turn a colour into what is seen without green cones (Machado, Oliveira and Fernandes, 2009), sRGB in [0, 1]."""
    matrix = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    srgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(matrix) @ linear, 0, 1)
    return np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)


def test_colours_differ_for_the_colour_blind():
    seen = [as_a_deuteranope(colour) for colour in plots.PALETTE]
    gaps = [np.abs(a - b).max() for i, a in enumerate(seen) for b in seen[i + 1 :]]
    assert min(gaps) > 0.15
    assert np.abs(as_a_deuteranope(plots.RIGHT) - as_a_deuteranope(plots.WRONG)).max() > 0.5
