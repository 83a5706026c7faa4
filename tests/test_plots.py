"""What a figure says is read back from it; it computes nothing."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

import zsc
from zsc import plots


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def results(colours, colour_dataset):
    return zsc.ZeroShotClassifier(["red", "green", "blue"], colours).predict(colour_dataset)


def captions(figure):
    return [ax.get_xlabel() for ax in figure.axes if ax.get_xlabel()]


def test_gallery_in_the_tables_order(results):
    figure = plots.gallery(results)
    texts = captions(figure)
    assert len(texts) == 12 and texts[0] == f"right: red\np = {results['proba'][0]:.2f}"
    assert texts[-1] == f"wrong: blue → red\np = {results['proba'][11]:.2f}"
    assert figure.get_suptitle() == "colours test, classified by colours: 12 pictures"
    shown = figure.axes[11].images[0].get_array()
    assert np.abs(shown[0, 0] - np.array([204, 153, 26])).max() <= 1  # the orange picture itself


def test_right_and_wrong_differ_in_words_and_in_colour(results):
    figure = plots.gallery(results)
    right, wrong = figure.axes[0], figure.axes[11]
    assert to_hex(right.spines["left"].get_edgecolor()).upper() == plots.RIGHT
    assert to_hex(wrong.spines["left"].get_edgecolor()).upper() == plots.WRONG
    assert right.get_xlabel().startswith("right") and wrong.get_xlabel().startswith("wrong")


def test_gallery_selections(results):
    assert captions(plots.gallery(results, only="errors")) == [f"wrong: blue → red\np = {results['proba'][11]:.2f}"]
    assert plots.gallery(results, only="errors").get_suptitle().endswith("1 wrong of 12")
    right = captions(plots.gallery(results, only="correct"))
    assert len(right) == 11 and all(t.startswith("right") for t in right)
    shares = [float(t.split("p = ")[1]) for t in captions(plots.gallery(results, only="unsure", max_images=5))]
    assert len(shares) == 5 and shares == sorted(shares)
    with pytest.raises(ValueError, match="only='wrong'; accepted are None, errors, correct, unsure"):
        plots.gallery(results, only="wrong")


def test_gallery_without_errors_says_so(results):
    figure = plots.gallery(results.head(3), only="errors")
    assert [t.get_text() for t in figure.axes[0].texts] == ["no errors to show"]


def test_gallery_without_labels(colours, colour_dataset):
    table = zsc.ZeroShotClassifier(["red", "green", "blue"], colours).predict(list(colour_dataset.paths[:2]))
    assert captions(plots.gallery(table))[0].startswith("red\np = ")
    assert captions(plots.gallery(table, only="errors")) == []


def test_gallery_needs_the_names(results):
    bare = pd.DataFrame(results)
    bare.attrs = {}
    with pytest.raises(ValueError, match="pass class_names=clf.class_names"):
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
