"""The nearest pictures to a text, a picture or a row: by their places, by true cosines, equal ones by index."""

import io

import numpy as np
import pandas as pd
import pytest
from conftest import COLOURS, ColourEncoder, colour_picture

import zsc
from zsc.retrieval import search

RGB = ["red", "green", "blue"]


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


def unit(values):
    values = np.asarray(values, np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def bare(values, paths=None):
    return zsc.ImageEmbeddings(values, range(len(values)) if paths is None else paths, [-1] * len(values), [])


def test_by_text_by_picture_by_row(embeddings, model):
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


def test_every_kind_of_picture(embeddings, model, tmp_path):
    path = tmp_path / "q.png"
    embeddings.paths[4].save(path)
    for query in (path, path.read_bytes(), io.BytesIO(path.read_bytes()), np.asarray(embeddings.paths[4])):
        assert search(embeddings, query, k=1, model=model)["index"][0] == 4
    assert search(embeddings, np.int64(4), k=1)["index"].tolist() == search(embeddings, 4, k=1)["index"].tolist()


@pytest.mark.parametrize("n", [1001, 4099, 7])
@pytest.mark.parametrize("d", [3, 128, 512])
def test_equal_pictures_have_equal_cosines_and_go_by_index(n, d):
    """A matrix product gives the rows at the end of a block other last bits, and cosines above 1."""
    rng = np.random.default_rng(n + d)
    values = unit(rng.normal(size=(n, d)))
    places = [1, n // 2, n - 3, n - 1]
    values[places] = values[0]
    found = search(bare(values), 0, k=n)
    assert found["index"].tolist()[:4] == places and found["cosine"].nunique() == n - 1 - 3
    assert found["cosine"].between(-1, 1).all() and found["cosine"][0] == pytest.approx(1, abs=1e-6)
    kept = rng.permutation(np.arange(1, n))  # the same rows elsewhere, and fewer of them
    again = search(bare(values[[0, *kept[: n // 2]]]), 0, k=n)
    cosine_of = dict(zip(found["index"], found["cosine"], strict=True))
    assert again["cosine"].tolist() == [cosine_of[kept[i - 1]] for i in again["index"]]
    order = np.lexsort((found["index"], -found["cosine"]))
    assert order.tolist() == list(range(n - 1))


def test_a_row_that_is_not_quite_of_length_1_is_no_nearer():
    values = np.array([[1, 0], [0.8, 0.6], [0.8, 0.6]], np.float32) * np.array([[1], [1.009], [0.991]], np.float32)
    found = search(bare(values), 0)
    np.testing.assert_allclose(found["cosine"], [0.8, 0.8], atol=1e-6)
    assert search(bare(np.array([[1.004, 0], [1.004, 0]])), 0)["cosine"].tolist() == [1.0]


PATHS = ["p0", "p1", "p2", "p3"]


@pytest.mark.parametrize(
    "paths", [pd.Series(PATHS, index=[3, 2, 1, 0]), np.array(PATHS), (p for p in PATHS), tuple(PATHS), pd.Index(PATHS)]
)
def test_pictures_are_told_by_their_places(paths):
    embeddings = zsc.ImageEmbeddings(np.eye(4)[[0, 1, 2, 2]], paths, pd.Series([0, 0, 1, 1], [3, 2, 1, 0]), ["x", "y"])
    found = search(embeddings, 2, k=1)
    assert (found["image"][0], found["class"][0]) == ("p3", "y")


def test_failed_rows_are_left_out():
    values = np.array([[1, 0], [np.nan, np.nan], [0, 1]])
    assert search(bare(values), 0)["index"].tolist() == [2]
    with pytest.raises(ValueError, match="query=1; this picture failed and has no embedding"):
        search(bare(values), 1)
    assert search(bare(values[:2]), 0).empty


@pytest.mark.parametrize(
    ("query", "options", "reason"),
    [
        (90, {}, "query=90; query must be a whole number from 0 to 89"),
        (-1, {}, "query=-1; query must be a whole number from 0 to 89"),
        ("", {}, "the text is ''; say in words what to look for"),
        ("green", {"k": 0}, "k=0; k must be a whole number of 1 or more"),
        ("green", {"k": "2"}, "k='2'; k must be a whole number"),
        (4, {"k": 2.5}, "k=2.5; k must be a whole number"),
        (4, {"k": True}, "k=True; k must be a whole number"),
        (__file__, {}, "is a file, and a str is read as a text; pass image="),
    ],
)
def test_wrong_input(query, options, reason, embeddings, model):
    with pytest.raises(ValueError, match=reason):
        search(embeddings, query, **{"model": model, **options})


@pytest.mark.parametrize("query", [4.0, True, np.True_, np.float32(4), None, ["green"], {"green"}])
def test_what_is_no_query(query, embeddings):
    with pytest.raises(TypeError, match="pass a text, a row number, or one picture"):
        search(embeddings, query, model="no model is loaded for this")


def test_what_is_asked_for_may_be_named(embeddings, model, tmp_path):
    path = tmp_path / "q.png"
    embeddings.paths[4].save(path)
    for named, short in (({"text": "green"}, "green"), ({"row": 4}, 4), ({"image": path}, path)):
        pd.testing.assert_frame_equal(
            search(embeddings, **named, k=5, model=model), search(embeddings, short, k=5, model=model)
        )
    assert search(embeddings, image=str(path), k=1, model=model)["index"][0] == 4
    for wrong in ({"text": "green", "row": 4}, {}, {"query": 4, "image": path}):
        with pytest.raises(TypeError, match="pass a text, a row number, or one picture, as text=, row= or image=; got"):
            search(embeddings, **wrong, model="no model is loaded for this")
    for wrong in ({"text": 5}, {"text": " "}):
        with pytest.raises(ValueError, match="the text is .*; say in words what to look for"):
            search(embeddings, **wrong, model="no model is loaded for this")
    with pytest.raises(ValueError, match="row=True; row must be a whole number"):
        search(embeddings, row=True)


def test_another_model_or_none(embeddings):
    with pytest.raises(ValueError, match="the embeddings were made by colours"):
        search(embeddings, "green", model=ColourEncoder(fingerprint_salt="x"))
    with pytest.raises(ValueError, match="the embeddings name no model; pass model="):
        search(bare(np.eye(2)), "green")
    with pytest.raises(TypeError, match="embeddings is a ndarray; pass embeddings: zsc.embed_images"):
        search(embeddings.values, "green")
