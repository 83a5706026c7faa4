"""Embeddings keep their rows, labels and names together."""

import contextlib
import copy
import dataclasses
import io
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ColourEncoder, colour_picture
from PIL import Image
from test_store import make_pictures

import zsc
from zsc.embeddings import Picture, PictureName, failure_table, read_content
from zsc.images import ImageError

HERE = Path(__file__).parent


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
    with pytest.raises(TypeError, match="model is 3; pass an encoder .*or a name"):
        zsc.embed_images(3, colour_dataset)
    with pytest.raises(TypeError, match="dataset is a list; pass an ImageDataset"):
        zsc.embed_images(colours, list(colour_dataset.paths))
    for name, value, low in (("batch_size", 0, 1), ("workers", -1, 0), ("workers", 1.5, 0)):
        with pytest.raises(ValueError, match=f"{name}={value}; {name} must be a whole number of {low} or more"):
            zsc.embed_images("no model is loaded for this", colour_dataset, **{name: value})


def test_a_model_by_name(colours, colour_dataset, monkeypatch):
    monkeypatch.setattr("zsc.models.load_model", {"colours": colours}.__getitem__)
    assert zsc.embed_images("colours", colour_dataset, progress=False).fingerprint == colours.fingerprint


def test_nothing_to_embed(colours):
    with pytest.raises(ValueError, match="holds no picture"):
        zsc.embed_images(colours, zsc.ImageDataset([], np.array([], int), ["a", "b"]))


def test_parts_that_do_not_fit():
    with pytest.raises(ValueError, match=r"values of shape \(2, 3\) for 1 paths and 2 labels"):
        zsc.ImageEmbeddings(np.eye(2, 3), ["x"], np.zeros(2, int), ["a", "b"])


def test_a_model_that_gives_no_numbers_is_told(colours, monkeypatch):
    monkeypatch.setattr(colours, "embed_pixels", lambda pixels: pixels.mean(dim=(2, 3)) * float("nan"))
    with pytest.raises(FloatingPointError, match="colours computed embeddings that are not finite"):
        colours.encode_images([np.zeros((4, 4, 3), np.uint8)])


def test_texts_must_be_texts(colours):
    with pytest.raises(TypeError, match="text 1 is .*int"):
        colours.encode_texts(["red", 3])
    with pytest.raises(ValueError, match="batch_size=0"):
        colours.encode_texts(["red"], batch_size=0)
    assert colours.encode_texts("red thing").shape == (1, 3)  # one text, not nine characters


@pytest.fixture
def dataset(tmp_path):
    return make_pictures(tmp_path / "pictures")


def three(**changes):
    """Three rows, all of whose fields are set."""
    fields = {
        "values": np.eye(3, dtype=np.float32),
        "paths": ["a", "b", "c"],
        "labels": np.array([0, 1, -1]),
        "class_names": ["x", "y"],
        "failures": failure_table([(3, "d", "gone")]),
        "digests": [b"1" * 32, None, b"3" * 32],
    }
    return zsc.ImageEmbeddings(**fields | changes)


class TestItsOwn:
    """What was passed in or given out by somebody else changes nothing."""

    def test_copied_in(self):
        given = {
            "values": np.eye(3, dtype=np.float32),
            "paths": ["a", "b", "c"],
            "labels": np.array([0, 1, -1]),
            "class_names": ["x", "y"],
            "failures": failure_table([(3, "d", "gone")]),
            "digests": [b"1" * 32, None, b"3" * 32],
        }
        embeddings = zsc.ImageEmbeddings(**given)
        given["values"][:] = 0
        given["labels"][:] = 1
        for name in ("paths", "class_names", "digests"):
            given[name].clear()
        given["failures"].loc[0, "error"] = "other"
        assert_equal(embeddings, three())
        view = np.zeros((3, 3), np.float32)
        np.fill_diagonal(view, 1)
        locked = view[:]
        locked.flags.writeable = False
        embeddings = three(values=locked)
        view[:] = 0  # a read-only view of what somebody else can write
        assert_equal(embeddings, three())

    @pytest.mark.parametrize(
        "make",
        [
            lambda e: e,
            lambda e: e.select([0, 2]),
            lambda e: e.head(1),
            lambda e: pickle.loads(pickle.dumps(e)),
            copy.copy,
            copy.deepcopy,
            dataclasses.replace,
        ],
    )
    def test_nothing_is_shared_and_arrays_are_read_only(self, make):
        first = three()
        second = make(first)
        for array in (second.values, second.labels):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0
        for name in ("class_names", "paths", "digests"):
            with pytest.raises(TypeError, match="read-only"):
                getattr(second, name).append("z")
        if second is not first:
            second.failures.loc[0, "error"] = "other"
        assert_equal(first, three())

    def test_embedded_ones_too(self, colours, colour_dataset):
        embeddings = zsc.embed_images(colours, colour_dataset, progress=False)
        assert not embeddings.values.flags.writeable and not embeddings.labels.flags.writeable
        embeddings.failures.loc[0] = (1, "a", "b")
        assert embeddings.without_failed() is embeddings and embeddings.head(3).failures is not embeddings.failures


def assert_equal(a, b):
    np.testing.assert_array_equal(a.values, b.values)
    np.testing.assert_array_equal(a.labels, b.labels)
    assert a.failures.equals(b.failures) and a.failures.dtypes.equals(b.failures.dtypes)
    for name in ("paths", "class_names", "model", "fingerprint", "dataset", "digests"):
        assert getattr(a, name) == getattr(b, name), name
    assert [type(p) for p in a.paths] == [type(p) for p in b.paths]


NAN = float("nan")


class TestChecked:
    @pytest.mark.parametrize(
        ("changes", "error", "reason"),
        [
            ({"values": [[1, 0], [0.9, 0.1], [5, 5]]}, ValueError, r"row of length 7.071 \(row 2\)"),
            ({"values": np.zeros((3, 2))}, ValueError, "row of length 0"),
            ({"values": [[1, 0], [NAN, 1], [0, 1]]}, ValueError, "values"),
            ({"values": [[1, 0], [1, NAN], [0, 1]]}, ValueError, "values"),
            ({"values": [[1, 0], [np.inf, 0], [0, 1]]}, ValueError, "values"),
            ({"values": [["a", "b"]] * 3}, ValueError, "values holds <U1 values"),
            ({"values": [[1, 0], [1], [0, 1]]}, ValueError, "values is ragged"),
            ({"values": np.empty((3, 0))}, ValueError, "values"),
            ({"values": np.ones(3)}, ValueError, r"values has shape \(3,\)"),
            (
                {"labels": [0, 9, 0]},
                ValueError,
                "labels runs from 0 to 9; labels must lie in 0 to 1",
            ),
            ({"labels": [0, -2, 0]}, ValueError, "labels runs from -2 to 0"),
            ({"labels": [0, 0.5, 1]}, ValueError, "labels holds float64 values"),
            ({"labels": [True, False, True]}, ValueError, "labels holds bool values"),
            ({"labels": ["x", "y", "x"]}, ValueError, "labels holds <U1 values"),
            ({"class_names": "xy"}, TypeError, "class_names is the one text 'xy'"),
            ({"class_names": {"x", "y"}}, TypeError, "class_names is a set"),
            ({"class_names": ["x", "x"]}, ValueError, "class_names holds 'x' more than once"),
            ({"class_names": [1, 2]}, ValueError, "class_names holds 1"),
            ({"class_names": ["x", ""]}, ValueError, "class_names holds ''"),
            ({"paths": "abc"}, TypeError, "paths is the one text 'abc'"),
            ({"paths": {"a", "b", "c"}}, TypeError, "paths is a set"),
            ({"digests": [b"1"]}, ValueError, "digests holds 1 for 3 pictures"),
            ({"digests": ["1", "2", "3"]}, ValueError, "digests"),
            ({"model": None}, TypeError, "model=None; model must be a text"),
            ({"failures": []}, TypeError, "failures is .* the columns index, image, error"),
            (
                {"failures": pd.DataFrame({"index": [1.5], "image": ["a"], "error": ["b"]})},
                ValueError,
                "failures.index=1.5",
            ),
        ],
    )
    def test_wrong_ones(self, changes, error, reason):
        with pytest.raises(error, match=reason) as caught:
            three(**changes)
        assert "\n" not in str(caught.value)

    def test_right_ones(self):
        assert three(values=[[1, 0], [NAN, NAN], [0, 1]]).failed.tolist() == [False, True, False]
        assert three(values=np.full((3, 2), NAN)).failed.all()
        assert three(values=np.eye(3, dtype=np.float16)).values.dtype == np.float32
        assert three(values=[[1, 0], [0, 1], [1, 0]], labels=np.array([1, 0, 1], np.uint8)).labels.dtype == np.int64
        empty = zsc.ImageEmbeddings(np.empty((0, 4)), [], [], [])
        assert len(empty) == 0 and empty.data_digest == "" and not empty.failed.any()
        frame = pd.DataFrame({"p": ["a", "b", "c"], "k": [0, 1, -1]}, index=[2, 1, 0])
        assert three(paths=frame["p"]).paths == ["a", "b", "c"] and three(labels=frame["k"]).labels.tolist() == [
            0,
            1,
            -1,
        ]

    def test_select(self):
        embeddings = three()
        mask = [True, False, True]
        for rows in ([0, 2], mask, np.array(mask), slice(0, None, 2), pd.Series([0, 2], [5, 6]), (i for i in (0, 2)),
                     [0, -1], embeddings.labels < 1):  # fmt: skip
            part = embeddings.select(rows)
            assert (
                part.paths == ["a", "c"] and part.labels.tolist() == [0, -1] and part.digests == [b"1" * 32, b"3" * 32]
            )
        assert len(embeddings.select([])) == 0 and embeddings.select([1, 1]).paths == ["b", "b"]
        for rows in ([0.0, 1.7], ["a"], {0, 1}, "01", None):
            with pytest.raises(TypeError, match="indices"):
                embeddings.select(rows)
        for rows in ([True, False], [3], [-4], [[0, 1]]):
            with pytest.raises(ValueError, match="indices"):
                embeddings.select(rows)
        with pytest.raises(ValueError, match="n=2.5"):
            embeddings.head(2.5)


class TestDigest:
    """Two pictures that open as different ones have different digests, whatever they are."""

    def palette(self, alpha):
        image = Image.new("P", (4, 4), 0)
        image.putpalette([255, 0, 0, alpha] * 4, "RGBA")
        return image

    def turned(self, orientation):
        image = colour_picture((1, 0, 0), (4, 6))
        image.putpixel((0, 0), (0, 0, 255))
        exif = Image.Exif()
        exif[0x0112] = orientation
        image.info["exif"] = exif.tobytes()
        return image

    def transparent(self, index):
        image = Image.new("P", (4, 4), 1)
        image.putpalette([255, 0, 0, 0, 255, 0])
        image.info["transparency"] = index
        return image

    def test_different_pictures(self, tmp_path):
        grey = np.arange(12, dtype=np.uint8)
        pictures = [
            *(self.palette(alpha) for alpha in (255, 128, 0)),
            *(self.turned(o) for o in (1, 3, 6, 8)),
            *(self.transparent(i) for i in (0, 1)),
            grey.reshape(3, 4), grey.reshape(4, 3), grey.reshape(2, 6),
            np.dstack([grey.reshape(3, 4)] * 2 + [grey.reshape(3, 4) + 1]),
            np.asfortranarray(grey.reshape(3, 4)).T,
            Image.new("LA", (4, 4), (9, 255)), Image.new("LA", (4, 4), (9, 9)),
            Image.new("CMYK", (4, 4), (9, 9, 9, 9)), Image.new("RGBA", (4, 4), (9, 9, 9, 9)),
            Image.new("I;16", (4, 4), 9 * 257), Image.new("F", (4, 4), 0.5), Image.new("1", (4, 4)),
        ]  # fmt: skip
        opened = {(zsc.open_image(p).size, zsc.open_image(p).tobytes()) for p in pictures}
        assert len({read_content(p)[1] for p in pictures}) == len(opened) > 17
        dataset = zsc.ImageDataset([self.palette(255), self.palette(0)], [0, 1], ["a", "b"])
        embeddings = zsc.embed_images(ColourEncoder(), dataset, tmp_path / "store", progress=False)
        np.testing.assert_allclose(embeddings.values, [[1, 0, 0], [3**-0.5] * 3], atol=1e-3)

    def test_equal_pictures_in_any_form(self, tmp_path):
        image = colour_picture((0.2, 0.4, 0.6))
        image.save(tmp_path / "a.png")
        array = np.asarray(image)
        assert len({read_content(c)[1] for c in (image, array, np.asfortranarray(array), image.convert("RGBA"))}) == 1
        data = (tmp_path / "a.png").read_bytes()
        with (tmp_path / "a.png").open("rb") as file:
            file.seek(7)
            same = {read_content(c)[1] for c in (data, bytearray(data), memoryview(data), file, io.BytesIO(data))}
            assert file.tell() == 7 and len(same) == 1
            assert read_content(file)[1] in same and file.tell() == 7
        with pytest.raises(zsc.ImageError, match="no picture"):
            read_content(3)[1]

    def test_one_object_many_times(self, tmp_path, colours):
        """An open file or a lazy picture has one place; threads must not read it at once."""
        big = np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)
        Image.fromarray(big).save(tmp_path / "a.png")
        with (tmp_path / "a.png").open("rb") as file, Image.open(tmp_path / "a.png") as lazy:
            dataset = zsc.ImageDataset([file, lazy] * 40, [-1] * 80, [])
            embeddings = zsc.embed_images(colours, dataset, workers=8, batch_size=7, progress=False)
        assert len(set(embeddings.digests)) == 2 and not embeddings.failed.any()

    def test_of_the_data(self):
        assert three().data_digest != three(labels=[1, 0, -1]).data_digest
        assert three(class_names=["\udce9", "y"]).data_digest != three().data_digest


class Odd:
    """Raises what it was made with, from whatever is asked of it."""

    def __init__(self, error):
        self.error = error

    def read(self, *size):
        raise self.error

    @property
    def name(self):
        raise self.error


def closed_picture():
    image = colour_picture((1, 0, 0))
    image.close()
    return image


def unwritable_exif():
    image = colour_picture((1, 0, 0))
    image.getexif()[0x0112] = object()
    return image


class TestOnError:
    """Whatever one picture raises becomes its failure; the others go on."""

    @pytest.mark.parametrize(
        "source",
        [
            Odd(RuntimeError("odd")), Odd(MemoryError()), Odd(RecursionError("deep")), Odd(AssertionError()),
            io.StringIO("text"), closed_picture(), None, 5, "~$draft.png", "~nobody/x.png", "\0", "", "x" * 5000,
            "\ud800.png", b"", bytearray(b"x"), memoryview(bytes(8))[::2], np.zeros((0, 4), np.uint8),
            np.array(["a"]), {}, lambda: None, "http://[::1", Path(),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("store", [True, False])
    def test_odd_pictures(self, dataset, tmp_path, source, store):
        mixed = zsc.ImageDataset([*dataset.paths[:5], source, *dataset.paths[5:9]], [0] * 10, ["a"])
        options = {"store": tmp_path / "store" if store else None, "progress": False, "batch_size": 4}
        found = zsc.embed_images(ColourEncoder(), mixed, on_error="record", **options)
        assert np.flatnonzero(found.failed).tolist() == [5] and found.failures["index"].tolist() == [5]
        assert "\n" not in found.failures["error"][0] and found.failures["error"][0].endswith(".")
        assert len(zsc.embed_images(ColourEncoder(), mixed, on_error="skip", **options)) == 9
        with pytest.raises(zsc.ImageError):
            zsc.embed_images(ColourEncoder(), mixed, on_error="raise", **options)
        reloaded = zsc.ImageEmbeddings.load(found.save(tmp_path / "saved.parquet"))
        assert reloaded.failures.equals(found.failures)

    def test_exif_that_cannot_be_written_loses_nothing(self, colours):
        assert len(zsc.embed_images(colours, zsc.ImageDataset([unwritable_exif()], [-1], []), progress=False)) == 1

    def test_a_transform_that_fails(self, dataset, monkeypatch, colours):
        def odd(image):
            if image.getpixel((0, 0)) == zsc.open_image(dataset.paths[3]).getpixel((0, 0)):
                raise MemoryError
            return ColourEncoder().transform(image)

        monkeypatch.setattr(colours, "transform", odd)
        found = zsc.embed_images(colours, dataset, on_error="record", progress=False)
        assert (
            found.failures["index"].tolist() == [3] and "needs more memory than there is" in found.failures["error"][0]
        )

    @pytest.mark.parametrize("batch_size", [1, 4, 32])
    def test_a_picture_that_the_encoder_cannot_take(self, dataset, batch_size, colours):
        black = zsc.ImageDataset([*dataset.paths[:6], Image.new("RGB", (9, 9))], [0] * 7, ["a"])
        with contextlib.suppress(FloatingPointError):
            colours.encode_images(black.paths[6])
        found = zsc.embed_images(colours, black, batch_size=batch_size, on_error="record", progress=False)
        assert np.flatnonzero(found.failed).tolist() == [6] and "PIL image 9x9: " in found.failures["error"][0]
        with pytest.raises(zsc.ImageError, match="PIL image 9x9: .*not finite"):
            zsc.embed_images(colours, black, batch_size=batch_size, progress=False)

    def test_an_encoder_that_fails_is_not_a_picture(self, dataset, colours, monkeypatch):
        def broken(pixels):
            raise RuntimeError("no such layer")

        monkeypatch.setattr(colours, "encode_pixels", broken)
        with pytest.raises(RuntimeError, match="no such layer"):
            zsc.embed_images(colours, dataset, on_error="record", progress=False)

    def test_a_batch_that_is_too_large_is_told(self, dataset, colours, monkeypatch):
        def small(pixels):
            if len(pixels) > 1:
                raise RuntimeError("out of memory")
            return ColourEncoder().encode_pixels(pixels)

        monkeypatch.setattr(colours, "encode_pixels", small)
        with pytest.warns(RuntimeWarning, match="30 pictures failed together .* pass a smaller batch_size"):
            found = zsc.embed_images(colours, dataset, progress=False)
        np.testing.assert_allclose(
            found.values, zsc.embed_images(ColourEncoder(), dataset, progress=False).values, atol=1e-6
        )

    def test_an_interrupt_passes(self, dataset, colours, monkeypatch, tmp_path):
        def interrupted(pixels):
            if len(colours.image_batches) == 3:
                raise KeyboardInterrupt
            return ColourEncoder.encode_pixels(colours, pixels)

        monkeypatch.setattr(colours, "encode_pixels", interrupted)
        with pytest.raises(KeyboardInterrupt):
            zsc.embed_images(colours, dataset, tmp_path / "store", on_error="skip", batch_size=4, progress=False)
        monkeypatch.undo()
        colours.image_batches.clear()
        zsc.embed_images(colours, dataset, tmp_path / "store", batch_size=4, progress=False)
        assert sum(colours.image_batches) == 30 - 12  # what was embedded is kept


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_a_picture_raises_never_hangs_a_run(colours, error):
    def picture():
        raise error

    dataset = zsc.ImageDataset([picture], None, [])
    with pytest.raises(zsc.ImageError, match=error.__name__):
        zsc.embed_images(colours, dataset, progress=False)


@pytest.mark.slow
def test_an_interrupt_ends_a_run_whose_picture_hangs(tmp_path):
    """One picture never ends to be read; what was embedded before is on the disk, and the process ends."""
    make_pictures(tmp_path / "pictures", n=12)
    command = [
        sys.executable,
        HERE / "embed_slowly.py",
        tmp_path / "pictures",
        tmp_path / "store",
        tmp_path / "log",
        "--hang",
    ]
    process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(HERE)}, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not (tmp_path / "log").exists():
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    try:
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode != 0 and "KeyboardInterrupt" in said
    parts = list((tmp_path / "store" / ColourEncoder().fingerprint).glob("part-*.parquet"))
    assert sum(len(pq.read_table(part)) for part in parts) == 4


ABOUT = {"class_names": ["x"], "model": "m", "fingerprint": "f", "dataset": "d",
         "failures": [{"index": "3", "image": "c.png", "error": "gone"}]}  # fmt: skip


class TestSaved:
    def test_saved_and_loaded(self, dataset, tmp_path):
        dataset.paths[7].write_bytes(b"no picture")
        embeddings = zsc.embed_images(ColourEncoder(), dataset, on_error="record", progress=False)
        loaded = zsc.ImageEmbeddings.load(embeddings.save(tmp_path / "mine.parquet"))
        assert_equal(loaded, embeddings)
        assert loaded.failures["index"].tolist() == [7] and loaded.failed[7]
        assert_equal(zsc.ImageEmbeddings.load(loaded.save(tmp_path / "again.parquet")), embeddings)
        assert [p.name for p in tmp_path.glob("*.p*")] in (
            ["again.parquet", "mine.parquet"],
            ["mine.parquet", "again.parquet"],
        )

    def test_types_come_back(self, tmp_path):
        paths = [
            "https://example.org/a.png?x=1&y=//2",
            "a/b.png",
            Path("a/b.png"),
            "caf\udce9.png",
            Path("caf\udce9.png"),
            " ",
        ]
        embeddings = zsc.ImageEmbeddings(np.eye(6), paths, [0] * 6, ["x"], failures=failure_table([(3, "a", "b")]))
        loaded = zsc.ImageEmbeddings.load(embeddings.save(tmp_path / "mine.parquet"))
        assert_equal(loaded, embeddings)
        assert loaded.failures["index"].tolist() == [3] and loaded.digests is None

    def test_pictures_in_memory_come_back_as_their_names(self, tmp_path, colours):
        dataset = zsc.ImageDataset([colour_picture((1, 0, 0)), np.ones((4, 4), np.uint8), "x"][:2], [0, 0], ["x"])
        embeddings = zsc.embed_images(colours, dataset, progress=False)
        loaded = zsc.ImageEmbeddings.load(embeddings.save(tmp_path / "a.parquet"))
        for again in (
            loaded,
            pickle.loads(pickle.dumps(loaded)),
            zsc.ImageEmbeddings.load(loaded.save(tmp_path / "b.parquet")),
        ):
            assert again.paths == ["PIL image 12x10", "a ndarray"]
            assert all(isinstance(p, PictureName) for p in again.paths)
        assert loaded.digests == embeddings.digests

    @pytest.mark.parametrize("n", [0, 3])
    def test_none_and_all_failed(self, tmp_path, n):
        embeddings = zsc.ImageEmbeddings(np.full((n, 5), NAN), ["x"] * n, [-1] * n, [], digests=[None] * n)
        assert_equal(zsc.ImageEmbeddings.load(embeddings.save(tmp_path / "mine.parquet")), embeddings)

    def write(self, path, about, **columns):
        given = {"image": ["https://x.org/a.png", "a.png"], "label": pa.array([0, -1], pa.int64()),
                 "values": pa.array([[1, 0], [0, 1]], pa.list_(pa.float32(), 2))} | columns  # fmt: skip
        table = pa.table({k: v for k, v in given.items() if v is not None})
        pq.write_table(
            table.replace_schema_metadata({"zsc": about if isinstance(about, str) else json.dumps(about)}), path
        )
        return path

    def test_a_file_of_the_first_version(self, tmp_path):
        loaded = zsc.ImageEmbeddings.load(self.write(tmp_path / "old.parquet", ABOUT))
        assert loaded.paths == ["https://x.org/a.png", Path("a.png")] and loaded.digests is None
        assert loaded.failures.equals(failure_table([(3, "c.png", "gone")])) and loaded.labels.tolist() == [0, -1]

    @pytest.mark.parametrize(
        ("changes", "columns", "reason"),
        [
            (
                {"format": 2},
                {},
                r"was written by a newer version of zsc \(format 2; this version reads 1\): update zsc",
            ),
            ({"version": 7}, {}, "holds 'version', so that a newer version of zsc wrote it"),
            ({"kind": "embeddings", "format": 1}, {}, "does not hold saved embeddings"),
            ({"class_names": None}, {}, "class_names"),
            ({"class_names": "ab"}, {}, "class_names is the one text"),
            ({"model": 5}, {}, "model=5"),
            ({"failures": 5}, {}, "no file of embeddings that can be read"),
            ({"failures": [{"index": "x"}]}, {}, "no file of embeddings that can be read"),
            ({}, {"values": None}, "values is missing"),
            ({}, {"label": None}, "label is missing"),
            ({}, {"image": None}, "image is missing"),
            ({}, {"label": ["a", "b"]}, "labels holds"),
            ({}, {"label": pa.array([0, None], pa.int64())}, "labels holds"),
            ({}, {"label": pa.array([0, 10**15], pa.int64())}, "labels runs from 0 to 1000000000000000"),
            ({}, {"values": pa.array([[1, 0], [3, 4]], pa.list_(pa.float32(), 2))}, "row of length 5"),
            ({}, {"values": ["a", "b"]}, "no file of embeddings"),
            ({}, {"kind": ["path", "cloud"]}, "no file of embeddings"),
            ({}, {"digest": ["a", "b"]}, "digests"),
        ],
    )
    def test_files_of_another_kind(self, tmp_path, changes, columns, reason):
        path = self.write(tmp_path / "odd.parquet", ABOUT | changes, **columns)
        with pytest.raises(ValueError, match=reason) as caught:
            zsc.ImageEmbeddings.load(path)
        assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)

    @pytest.mark.parametrize("text", ["", "[" * 100_000, "[]", "null", "{}", '{"failures": []}'])
    def test_metadata_of_another_kind(self, tmp_path, text):
        with pytest.raises(ValueError, match=r"odd\.parquet: does not hold saved embeddings"):
            zsc.ImageEmbeddings.load(self.write(tmp_path / "odd.parquet", text))

    def test_no_such_file(self, tmp_path):
        with pytest.raises(ValueError, match=r"mine\.parquet: no file of embeddings that can be read \(No such file"):
            zsc.ImageEmbeddings.load(tmp_path / "mine.parquet")
        (tmp_path / "mine.parquet").write_bytes(b"half")
        with pytest.raises(ValueError, match="no file of embeddings"):
            zsc.ImageEmbeddings.load(tmp_path / "mine.parquet")
        with pytest.raises(ValueError, match="holds 0 files"):
            zsc.ImageEmbeddings.load(tmp_path)

    def test_an_old_file_stays_whole_where_the_new_one_cannot_be_written(self, tmp_path, monkeypatch):
        path = three().save(tmp_path / "mine.parquet")

        def full(descriptor):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("zsc.files.os.fsync", full)
        with pytest.raises(OSError, match=r"mine\.parquet could not be written"):
            three(labels=[1, 1, 1]).save(path)
        assert_equal(zsc.ImageEmbeddings.load(path), three()) and os.listdir(tmp_path) == ["mine.parquet"]


def test_a_refusal_that_names_no_picture_gets_its_name():
    picture, named = Picture(0, "strip.png"), ImageError("strip.png: no picture")
    picture.fail(ImageError("a picture of 1 x 9 pixels is too thin"))
    assert str(picture.error) == "strip.png: a picture of 1 x 9 pixels is too thin"
    picture.fail(named)
    assert picture.error is named
