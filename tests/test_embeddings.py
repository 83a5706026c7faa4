"""Embeddings keep their rows, labels and names together."""

import os
import sys
import threading

import numpy as np
import pytest

import zsc


def test_rows_stand_in_the_data_sets_order(colours, colour_dataset):
    embeddings = zsc.embed_images(colours, colour_dataset, batch_size=5, progress=False)
    one_by_one = np.concatenate([colours.encode_images(p) for p in colour_dataset.paths])
    np.testing.assert_allclose(embeddings.values, one_by_one, atol=1e-6)
    assert embeddings.values.shape == (12, 3) and embeddings.values.dtype == np.float32
    assert embeddings.labels.tolist() == colour_dataset.labels.tolist()
    assert embeddings.class_names == colour_dataset.class_names and embeddings.failures.empty
    assert embeddings.model == "colours" and embeddings.fingerprint == colours.fingerprint
    assert repr(embeddings) == "ImageEmbeddings(colours test: 12 x 3 by colours)"


@pytest.mark.skipif(sys.platform != "linux", reason="priorities are of threads only on Linux")
def test_opening_gives_way_to_the_encoder(colours, colour_dataset, monkeypatch):
    def priority():
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    ours, seen = priority(), {"opening": set(), "encoding": set()}
    transform, embed = colours.transform, colours.embed_pixels
    monkeypatch.setattr(colours, "transform", lambda image: seen["opening"].add(priority()) or transform(image))
    monkeypatch.setattr(colours, "embed_pixels", lambda pixels: seen["encoding"].add(priority()) or embed(pixels))
    zsc.embed_images(colours, colour_dataset, batch_size=5, progress=False)
    assert seen["encoding"] == {ours} == {priority()}
    assert seen["opening"] == {min(ours + 10, 19)}


def test_head_and_select(colours, colour_dataset):
    embeddings = zsc.embed_images(colours, colour_dataset, progress=False)
    part = embeddings.select([3, 1])
    np.testing.assert_array_equal(part.values, embeddings.values[[3, 1]])
    assert part.paths == [colour_dataset.paths[3], colour_dataset.paths[1]] and part.labels.tolist() == [0, 1]
    assert len(embeddings.head(5)) == 5 and len(embeddings.head(50)) == 12
    with pytest.raises(ValueError, match="n=0"):
        embeddings.head(0)


def test_wrong_arguments_are_named(colours, colour_dataset):
    with pytest.raises(TypeError, match="model is the str 'conse'; pass an encoder"):
        zsc.embed_images("conse", colour_dataset)
    with pytest.raises(TypeError, match="dataset is a list; pass an ImageDataset"):
        zsc.embed_images(colours, colour_dataset.paths)
    assert zsc.ImageEmbeddings([[1, 0]], ["x"], [0], ["a", "b"]).values.dtype == np.float32


def test_nothing_to_embed(colours):
    with pytest.raises(ValueError, match="holds no picture"):
        zsc.embed_images(colours, zsc.ImageDataset([], np.array([], int), ["a", "b"]))


def test_parts_that_do_not_fit():
    with pytest.raises(ValueError, match=r"values of shape \(2, 3\) for 1 paths and 2 labels"):
        zsc.ImageEmbeddings(np.zeros((2, 3)), ["x"], np.zeros(2, int), ["a", "b"])


def test_a_model_that_gives_no_numbers_is_told(colours, monkeypatch):
    monkeypatch.setattr(colours, "embed_pixels", lambda pixels: pixels.mean(dim=(2, 3)) * float("nan"))
    with pytest.raises(FloatingPointError, match="colours gave embeddings that are no numbers"):
        colours.encode_images([np.zeros((4, 4, 3), np.uint8)])


def test_texts_must_be_texts(colours):
    with pytest.raises(TypeError, match="text 1 is a int"):
        colours.encode_texts(["red", 3])
    with pytest.raises(ValueError, match="batch_size=0"):
        colours.encode_texts(["red"], batch_size=0)
    assert colours.encode_texts("red thing").shape == (1, 3)  # one text, not nine characters
