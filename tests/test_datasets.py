"""One contract for all loaders, on small copies of the real layouts; then what is special to each.

What a listing or a table leaves out is told; a data set cannot be changed; numbers in names sort as numbers.
"""

import contextlib
import copy
import dataclasses
import inspect
import io
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from layouts import FORMS, WNIDS, make, make_classes, make_glasses, picture
from PIL import Image

import zsc
from zsc.datasets import PUBLISHED, download, published
from zsc.datasets.listing import name_order, natural_key

THINGS = ["tench", "English springer", "cassette player", "chain saw", "church", "French horn", "garbage truck",
          "gas pump", "golf ball", "parachute"]  # fmt: skip
EXPECTED = {  # pictures, class names, first picture, a folder to take away, that empties a class
    "glasses": (27, ["no glasses", "glasses"], "face-1.png", "glasses/faces-spring-2020"),
    "afhq": (9, ["cat", "dog", "wild"], "flickr_cat_000001.jpg", "afhq/val/dog"),
    "afhq_v2": (9, ["cat", "dog", "wild"], "flickr_cat_000001.png", "afhq_v2/test/dog"),
    "imagenette-320px": (30, THINGS, None, "imagenette2-320/val/n03028079"),
    "imagenette-160px": (30, THINGS, None, "imagenette2-160/val/n03028079"),
    "imagenette-full": (30, THINGS, None, "imagenette2/val/n03028079"),
}


@pytest.fixture(params=EXPECTED)
def case(request, tmp_path):
    make(request.param, tmp_path)
    return request.param, tmp_path, FORMS[request.param]


class TestContract:
    def test_order_labels_and_names(self, case):
        name, root, arguments = case
        count, class_names, first, _ = EXPECTED[name]
        dataset = zsc.load_dataset(root=root, **arguments)
        assert len(dataset) == count and dataset.class_names == class_names
        assert all(p.is_file() for p in dataset.paths)
        assert first is None or dataset.paths[0].name == first
        assert dataset.labels.dtype == np.int64 and set(dataset.labels) == set(range(len(class_names)))
        assert dataset.notes["source"] and dataset.notes["licence"]
        if name != "glasses":
            assert (np.diff(dataset.labels) >= 0).all()
            assert dataset.paths == sorted(dataset.paths)

    def test_the_labels_are_those_on_disk(self, case):
        name, root, arguments = case
        for path, label in zsc.load_dataset(root=root, **arguments):
            if name == "glasses":
                assert label == int(path.stem.removeprefix("face-")) % 2
            else:
                on_disk = WNIDS.index(path.parent.name) if "imagenette" in str(path) else None
                assert label == (["cat", "dog", "wild"].index(path.parent.name) if on_disk is None else on_disk)

    def test_a_missing_folder_is_told_with_the_way_to_get_it(self, case):
        _, root, arguments = case
        with pytest.raises(
            FileNotFoundError, match=r"expected .* Run 'zsc download \w+.* or fetch it by hand from https://\w+"
        ) as caught:
            zsc.load_dataset(root=root / "elsewhere", **arguments)
        assert "elsewhere" in str(caught.value)

    def test_a_wrong_split_names_the_accepted_ones(self, case):
        _, root, arguments = case
        with pytest.raises(ValueError, match=r"split='validation'; split must be one of .*train"):
            zsc.load_dataset(root=root, split="validation", **arguments)

    def test_stray_files_are_passed_over(self, case):
        name, root, arguments = case
        before = zsc.load_dataset(root=root, **arguments).paths
        folder = before[0].parent
        for stray in (".DS_Store", "._face-1.png", "Thumbs.db", "notes.txt"):
            (folder / stray).write_bytes(b"x")
        (folder.parent / ".ipynb_checkpoints").mkdir()
        (folder.parent / "__MACOSX").mkdir()
        assert zsc.load_dataset(root=root, **arguments).paths == before

    def test_a_missing_and_an_empty_class_are_named(self, case):
        name, root, arguments = case
        taken = root / EXPECTED[name][3]
        files = [p for p in taken.rglob("*") if p.is_file()]
        for file in files:
            file.unlink()
        with pytest.raises(FileNotFoundError, match="missing|no images under"):
            zsc.load_dataset(root=root, **arguments)
        for folder in sorted((p for p in taken.rglob("*") if p.is_dir()), reverse=True):
            folder.rmdir()
        taken.rmdir()
        with pytest.raises(FileNotFoundError, match="missing"):
            zsc.load_dataset(root=root, **arguments)


class TestGlasses:
    def test_the_first_are_the_lowest_ids(self, tmp_path):
        make_glasses(tmp_path / "glasses")
        names = [p.name for p in zsc.load_dataset("glasses", tmp_path).head(11).paths]
        assert names == [f"face-{i}.png" for i in range(1, 12)]  # not 1, 10, 11, 2

    @pytest.mark.parametrize(
        "folder", ["glasses", "glasses-or-no-glasses", "datasets/jeffheaton/glasses-or-no-glasses"]
    )
    @pytest.mark.parametrize("doubled", [True, False])
    def test_published_and_kaggle_layouts(self, tmp_path, monkeypatch, folder, doubled):
        make_glasses(tmp_path / folder, doubled=doubled)
        assert len(zsc.load_dataset("glasses", tmp_path)) == 12
        monkeypatch.setattr(download, "KAGGLE_INPUT", tmp_path)
        assert len(zsc.load_dataset("glasses", tmp_path / "nothing")) == 12

    def test_the_test_split_has_no_labels(self, tmp_path):
        make_glasses(tmp_path / "glasses")
        dataset = zsc.load_dataset("glasses", tmp_path, split="test")
        assert [p.name for p in dataset.paths] == ["face-13.png", "face-14.png", "face-15.png"]
        assert (dataset.labels == -1).all()

    def test_a_face_that_is_missing_is_named(self, tmp_path):
        make_glasses(tmp_path / "glasses")
        (tmp_path / "glasses/faces-spring-2020/faces-spring-2020/face-7.png").unlink()
        with pytest.raises(FileNotFoundError, match=r"1 of 12 pictures .* missing: .*face-7\.png"):
            zsc.load_dataset("glasses", tmp_path)

    def test_other_columns_and_labels_are_refused(self, tmp_path):
        make_glasses(tmp_path / "glasses")
        csv = tmp_path / "glasses/train.csv"
        frame = pd.read_csv(csv, usecols=["id", "glasses"])
        frame.assign(glasses=2).to_csv(csv, index=False)
        with pytest.raises(
            ValueError, match=r"train.csv: line 2 holds '2' in column glasses; .* whole number from 0 to 1"
        ):
            zsc.load_dataset("glasses", tmp_path)
        frame.drop(columns="glasses").to_csv(csv, index=False)
        with pytest.raises(ValueError, match="train.csv: no column glasses; the header has id"):
            zsc.load_dataset("glasses", tmp_path)


class TestAfhq:
    def test_capitalised_folders_and_nested_archives(self, tmp_path, monkeypatch):
        make_classes(tmp_path / "a/afhq/val", ["Cat", "Dog", "Wild"], ".jpg")
        make_classes(tmp_path / "b/afhq/afhq/val", ["cat", "dog", "wild"], ".jpg")
        make_classes(tmp_path / "c/animal-faces/afhq/val", ["cat", "dog", "wild"], ".jpg")
        make_classes(tmp_path / "d/afhq_v2/afhq/test", ["cat", "dog", "wild"], ".png")
        assert zsc.load_dataset("afhq", tmp_path / "a").class_names == ["cat", "dog", "wild"]
        assert len(zsc.load_dataset("afhq", tmp_path / "b")) == len(zsc.load_dataset("afhq", tmp_path / "c")) == 9
        assert len(zsc.load_dataset("afhq", tmp_path / "d", version=2)) == 9
        make_classes(tmp_path / "e/afhq/test", ["cat", "dog", "wild"], ".png")
        assert len(zsc.load_dataset("afhq", tmp_path / "e", version=2)) == 9
        monkeypatch.setattr(download, "KAGGLE_INPUT", tmp_path / "c")
        assert len(zsc.load_dataset("afhq", tmp_path / "nothing")) == 9

    def test_the_splits_of_a_version(self, tmp_path):
        with pytest.raises(ValueError, match="split='test'; split must be one of val, train"):
            zsc.load_dataset("afhq", tmp_path, split="test")
        with pytest.raises(ValueError, match="split='val'; split must be one of test, train"):
            zsc.load_dataset("afhq", tmp_path, split="val", version=2)
        with pytest.raises(ValueError, match="version=3; version must be one of 1, 2"):
            zsc.load_dataset("afhq", tmp_path, version=3)


class TestLoadDataset:
    def test_samples_are_there(self):
        samples = zsc.load_dataset("samples")
        assert len(samples) == 17 and len(set(samples.class_names)) == 17
        for path in samples.paths:
            zsc.open_image(path)

    def test_unknown_name_option_and_download(self, tmp_path):
        with pytest.raises(
            ValueError, match="no data set 'cifar'; it must be one of samples, glasses, afhq, imagenette"
        ):
            zsc.load_dataset("cifar")
        with pytest.raises(ValueError, match="data set 'afhq' has no option size; it must be one of version"):
            zsc.load_dataset("afhq", tmp_path, size="320px")
        with pytest.raises(ValueError, match="size='64px'; size must be one of 320px, 160px, full"):
            zsc.load_dataset("imagenette", tmp_path, size="64px")


def numbered(n=20, classes=3):
    return zsc.ImageDataset([f"{i}.png" for i in range(n)], np.arange(n) % classes, ["a", "b", "c"][:classes], name="n")


class TestImageDataset:
    def test_items_slices_and_iteration(self):
        dataset = numbered()
        assert dataset[4] == ("4.png", 1) and dataset[-1] == ("19.png", 1)
        assert dataset[2:8:2].paths == ["2.png", "4.png", "6.png"]
        assert list(dataset)[5] == dataset[5]
        assert repr(dataset) == "ImageDataset(n: 20 pictures, 3 classes)"

    def test_head_and_sample(self):
        dataset = numbered()
        assert dataset.head(3).paths == ["0.png", "1.png", "2.png"] and len(dataset.head(99)) == 20
        drawn = dataset.sample(8, seed=1)
        assert drawn.paths == dataset.sample(8, seed=1).paths != dataset.sample(8, seed=2).paths
        assert len(set(drawn.paths)) == 8 and all(int(p[:-4]) % 3 == k for p, k in drawn)
        with pytest.raises(ValueError, match="n=21; n must be a whole number from 1 to 20"):
            dataset.sample(21)
        with pytest.raises(ValueError, match="n=0"):
            dataset.head(0)

    @pytest.mark.parametrize("fraction", [0.1, 0.5, 0.73])
    def test_split_keeps_the_shares_and_loses_nothing(self, fraction):
        dataset = zsc.ImageDataset([str(i) for i in range(157)], np.repeat([0, 1, 2], [100, 50, 7]), ["a", "b", "c"])
        first, second = dataset.split(fraction, seed=3)
        assert sorted(first.paths + second.paths) == sorted(dataset.paths)
        assert abs(len(first) - 157 * fraction) < 1
        for k, size in enumerate([100, 50, 7]):
            assert abs((first.labels == k).sum() - size * fraction) <= 1
        assert first.paths == dataset.split(fraction, seed=3)[0].paths != dataset.split(fraction, seed=4)[0].paths

    def test_split_of_singletons(self):
        dataset = zsc.ImageDataset([str(i) for i in range(17)], np.arange(17), [str(i) for i in range(17)])
        assert {len(dataset.split(0.5, seed=s)[0]) for s in range(20)} == {8, 9}

    def test_to_frame(self):
        frame = zsc.ImageDataset(["x", "y"], np.array([1, -1]), ["a", "b"]).to_frame()
        assert (
            frame["class_name"][0] == "b"
            and frame["class_name"].isna()[1]
            and list(frame) == ["image", "label", "class_name"]
        )

    @pytest.mark.parametrize(
        ("paths", "labels", "names", "reason"),
        [
            (["x"], [0, 1], ["a", "b"], "paths holds 1 and labels holds 2"),
            (["x"], [2], ["a", "b"], "labels runs from 2 to 2"),
            (["x"], [0], ["a", "a"], "class_names holds 'a' more than once"),
            (["x"], [0.7], ["a", "b"], "labels holds float64 values"),
            (["x"], ["a"], ["a", "b"], "labels holds .* values"),
            ("x", [0], ["a", "b"], "paths is the one text 'x'"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, paths, labels, names, reason):
        with pytest.raises((TypeError, ValueError), match=reason):
            zsc.ImageDataset(paths, np.array(labels), names)


class TestOwnPictures:
    def test_from_folder(self, tmp_path):
        for name in ("b/2.JPG", "b/10.jpg", "a ä/deep/1.png", "a ä/.hidden.png", "b/notes.txt", ".git/x.png"):
            picture(tmp_path / "mine" / name) if not name.endswith(".txt") else (tmp_path / "mine" / name).write_text(
                "x"
            )
        dataset = zsc.ImageDataset.from_folder(tmp_path / "mine")
        assert dataset.class_names == ["a ä", "b"] and dataset.name == "mine"
        assert [p.name for p in dataset.paths] == ["1.png", "2.JPG", "10.jpg"] and dataset.labels.tolist() == [0, 1, 1]

    def test_from_folder_errors(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="no such folder"):
            zsc.ImageDataset.from_folder(tmp_path / "none")
        with pytest.raises(ValueError, match="no sub-folders"):
            zsc.ImageDataset.from_folder(tmp_path)
        (tmp_path / "empty").mkdir()
        with pytest.raises(ValueError, match="no pictures in empty"):
            zsc.ImageDataset.from_folder(tmp_path)

    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    def test_from_csv(self, tmp_path, delimiter):
        for i in (1, 2, 10):
            picture(tmp_path / f"faces/face-{i}.png")
        rows = [["id", "extra", "glasses"], ["10", "x", "1"], ["1", "y", "0"], ["2", "z", "1"]]
        (tmp_path / "l.csv").write_text("\n".join(delimiter.join(r) for r in rows), encoding="utf-8-sig")
        dataset = zsc.ImageDataset.from_csv(
            tmp_path / "l.csv", image_column="id", label_column="glasses", image_pattern="faces/face-{}.png",
            class_names=["bare", "glasses"],
        )  # fmt: skip
        assert [p.name for p in dataset.paths] == ["face-10.png", "face-1.png", "face-2.png"]
        assert dataset.labels.tolist() == [1, 0, 1] and dataset.class_names == ["bare", "glasses"]

    def test_from_csv_names_values_and_mappings(self, tmp_path):
        for name in ("NA.png", "b.png"):
            picture(tmp_path / name)
        (tmp_path / "l.csv").write_text("file,kind\nNA.png,wild\nb.png,cat\n")
        options = {"image_column": "file", "label_column": "kind"}
        dataset = zsc.ImageDataset.from_csv(tmp_path / "l.csv", **options)
        assert dataset.class_names == ["cat", "wild"] and dataset.labels.tolist() == [1, 0]
        mapped = zsc.ImageDataset.from_csv(tmp_path / "l.csv", class_names={"wild": "lion", "cat": "cat"}, **options)
        assert mapped.class_names == ["lion", "cat"] and mapped.labels.tolist() == [0, 1]
        bare = zsc.ImageDataset.from_csv(tmp_path / "l.csv", image_column="file", label_column=None)
        assert bare.labels.tolist() == [-1, -1]

    def test_from_csv_errors(self, tmp_path):
        csv = tmp_path / "l.csv"
        options = {"image_column": "file", "label_column": "kind"}
        with pytest.raises(FileNotFoundError, match="no such file"):
            zsc.ImageDataset.from_csv(csv, **options)
        csv.write_text("name,kind\n")
        with pytest.raises(ValueError, match="no column file; the header has name, kind"):
            zsc.ImageDataset.from_csv(csv, **options)
        csv.write_text("file,kind\n" + "".join(f"{i}.png,cat\n" for i in range(25)))
        with pytest.raises(FileNotFoundError, match=r"25 of 25 pictures .*l\.csv are missing: .*/9\.png and 15 more"):
            zsc.ImageDataset.from_csv(csv, **options)
        picture(tmp_path / "a.png")
        csv.write_text("file,kind\na.png,cow\n")
        with pytest.raises(
            ValueError, match="column 'kind' holds unknown labels 'cow' .*line 2.*; .* one of 'cat', 'dog'"
        ):
            zsc.ImageDataset.from_csv(csv, class_names=["cat", "dog"], **options)
        with pytest.raises(ValueError, match="exactly one {}"):
            zsc.ImageDataset.from_csv(csv, image_pattern="x", **options)

    def test_from_csv_numbers_as_names(self, tmp_path):
        rows = "".join(f"{chr(97 + i)}.png,{i}\n" for i in range(12))
        for i in range(12):
            picture(tmp_path / f"{chr(97 + i)}.png")
        (tmp_path / "l.csv").write_text(f"file, kind\n{rows}")
        options = {"image_column": "file", "label_column": "kind"}
        assert zsc.ImageDataset.from_csv(tmp_path / "l.csv", **options).labels.tolist() == list(range(12))
        shifted = [str(i) for i in range(11, -1, -1)]  # names that look like other indices: the names count
        assert zsc.ImageDataset.from_csv(tmp_path / "l.csv", class_names=shifted, **options).labels[0] == 11

    def test_from_csv_urls_and_encodings(self, tmp_path):
        (tmp_path / "l.csv").write_text("file,kind\nhttp://127.0.0.1:9/a/b.png,cat\nhttp://127.0.0.1:9/c.png,dog\n")
        options = {"image_column": "file", "label_column": "kind"}
        assert zsc.ImageDataset.from_csv(tmp_path / "l.csv", **options).paths[0] == "http://127.0.0.1:9/a/b.png"
        (tmp_path / "l.csv").write_bytes("file,kind\nä.png,cat\n".encode("latin-1"))
        with pytest.raises(ValueError, match=r"l\.csv: .*UTF-8"):
            zsc.ImageDataset.from_csv(tmp_path / "l.csv", **options)

    def test_from_huggingface(self):
        datasets = pytest.importorskip("datasets")
        features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
        pictures = [Image.new("RGB", (4, 4), c) for c in ("red", "green", "blue")]
        hf_dataset = datasets.Dataset.from_dict({"image": pictures, "label": [1, 0, 1]}, features=features)
        dataset = zsc.ImageDataset.from_huggingface(hf_dataset)
        assert dataset.class_names == ["cat", "dog"] and dataset.labels.tolist() == [1, 0, 1]
        assert zsc.open_image(dataset.paths[2]).getpixel((0, 0)) == (0, 0, 255)
        with pytest.raises(ValueError, match="no column picture; it has image, label"):
            zsc.ImageDataset.from_huggingface(hf_dataset, image_column="picture")
        with pytest.raises(ValueError, match="has no class names"):
            zsc.ImageDataset.from_huggingface(hf_dataset, label_column="image")


def data_set_of(root, *files):
    for name in files:
        picture(root / name)
    return zsc.ImageDataset.from_folder(root)


def from_csv(folder, text, pictures=("a.png", "b.png", "c.png"), **options):
    for name in pictures:
        picture(folder / name)
    (folder / "l.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return zsc.ImageDataset.from_csv(folder / "l.csv", **{"image_column": "image", "label_column": "label"} | options)


class TestPassedOver:
    """The number of pictures is never a surprise: each file is read, or counted with a reason, or refused."""

    def test_what_opens_is_listed(self, tmp_path):
        files = ["cat/a.jpg", "cat/b.jfif", "cat/c.jpe", "cat/d.JPEG", "cat/e.jpg_large", "cat/no suffix"]
        dataset = data_set_of(tmp_path, *files, "dog/f.png")
        for kind, name in (("PPM", "g.ppm"), ("JPEG2000", "h.jp2"), ("TGA", "i.tga")):
            Image.new("RGB", (4, 4)).save(tmp_path / "dog" / name, kind)
        dataset = zsc.ImageDataset.from_folder(tmp_path)
        assert len(dataset) == 10 and dataset.notes == {}
        for path in dataset.paths:
            zsc.open_image(path)

    def test_what_does_not_is_counted_with_reasons_and_examples(self, tmp_path):
        picture(tmp_path / "cat/a.jpg")
        picture(tmp_path / "dog/a.jpg")
        for name in ("cat/1.HEIC", "cat/2.heic", "cat/3.heic", "cat/4.heic", "cat/x.CR2", "dog/scan.pdf", "dog/v.mp4"):
            (tmp_path / name).write_bytes(b"abc")
        for name in (
            "cat/Thumbs.db",
            "dog/~$letter.docx",
            "dog/b.jpg.crdownload",
            "dog/a.jpg~",
            "dog/._a.jpg",
            "README",
        ):
            (tmp_path / name).write_bytes(b"abc")
        for name in ("__MACOSX", "dog/@eaDir", "dog/.ipynb_checkpoints", "$RECYCLE.BIN"):
            picture(tmp_path / name / "thumb.jpg")
        dataset = zsc.ImageDataset.from_folder(tmp_path)
        told = dataset.notes["passed over"]
        assert len(dataset) == 2 and told.startswith("13 files and 4 folders: ")
        assert (
            "4 .heic (needs conversion to JPEG or PNG, or the package pillow-heif; such as cat/1.HEIC, cat/2.heic"
            in told
        )
        assert "cat/4.heic" not in told and "1 .cr2 (camera raw: needs export as JPEG: cat/x.CR2)" in told
        assert (
            "4 files (left by other programs; such as cat/Thumbs.db" in told
            and "1 .mp4 (no picture: dog/v.mp4)" in told
        )
        assert "1 hidden file (the name begins with a dot: dog/._a.jpg)" in told and "1 without a suffix" in told
        assert dataset.head(1).notes == dataset.notes

    def test_pictures_beside_the_class_folders_are_refused(self, tmp_path):
        for i in range(3):
            picture(tmp_path / f"IMG_{i}.jpg")
        with pytest.raises(ValueError, match="no sub-folders, and 3 pictures lie in the folder itself"):
            zsc.ImageDataset.from_folder(tmp_path)
        with pytest.raises(
            ValueError, match=r"3 pictures lie beside the 2 class folders, such as IMG_0\.jpg; move them"
        ):
            data_set_of(tmp_path, "cat/a.png", "dog/a.png")

    def test_a_class_of_other_files_says_what_they_are(self, tmp_path):
        picture(tmp_path / "cat/a.png")
        (tmp_path / "phone").mkdir()
        (tmp_path / "phone/a.heic").write_bytes(b"x")
        with pytest.raises(ValueError, match=r"no pictures in phone \(1 file: 1 \.heic \(needs conversion"):
            zsc.ImageDataset.from_folder(tmp_path)

    def test_links_are_followed_and_each_picture_counts_once(self, tmp_path):
        picture(tmp_path / "elsewhere/x.png")
        picture(tmp_path / "elsewhere/deep/y.png")
        root = tmp_path / "mine"
        picture(root / "cat/a.png")
        picture(root / "dog/a.png")
        (root / "cat/more").symlink_to(tmp_path / "elsewhere")
        (root / "cat/again").symlink_to("..", target_is_directory=True)  # holds all, itself too
        (root / "dog/loop").symlink_to(".", target_is_directory=True)
        (root / "dog/best.png").symlink_to("a.png")
        (root / "dog/gone.png").symlink_to("nowhere.png")
        (root / "dog/itself.png").symlink_to("itself.png")
        (root / "wild").symlink_to(tmp_path / "elsewhere2")
        picture(tmp_path / "elsewhere2/z.png")
        dataset = zsc.ImageDataset.from_folder(root)
        assert [p.name for p in dataset.paths] == ["a.png", "y.png", "x.png", "a.png", "z.png"]
        assert dataset.class_names == ["cat", "dog", "wild"] and dataset.labels.tolist() == [0, 0, 0, 1, 2]
        told = dataset.notes["passed over"]
        assert "2 folders (a link to one that is listed already: cat/again, dog/loop)" in told
        assert "2 links (to a file that is not there: dog/gone.png, dog/itself.png)" in told
        assert "1 link (to a picture that is listed already: dog/best.png)" in told

    def test_a_link_that_puts_a_picture_into_two_classes_is_refused(self, tmp_path):
        picture(tmp_path / "cat/a.png")
        picture(tmp_path / "dog/b.png")
        (tmp_path / "dog/more").symlink_to("../cat", target_is_directory=True)
        with pytest.raises(ValueError, match=r"cat/a\.png and dog/more/a\.png are one picture by a link"):
            zsc.ImageDataset.from_folder(tmp_path)

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
    def test_what_is_named_like_a_picture_and_is_none(self, tmp_path):
        picture(tmp_path / "cat/a.png")
        picture(tmp_path / "cat/album.jpg/b.png")
        (tmp_path / "cat/empty.png").mkdir()
        os.mkfifo(tmp_path / "cat/pipe.jpg")
        dataset = zsc.ImageDataset.from_folder(tmp_path)
        assert [p.name for p in dataset.paths] == ["a.png", "b.png"]
        assert "1 file (a device, pipe or socket: cat/pipe.jpg)" in dataset.notes["passed over"]
        assert "1 folder (empty, and named like a picture: cat/empty.png)" in dataset.notes["passed over"]

    def test_a_folder_that_cannot_be_read_is_told(self, tmp_path, monkeypatch):
        picture(tmp_path / "cat/a.png")
        picture(tmp_path / "cat/secret/b.png")
        scan = os.scandir

        def refusing(place):
            if str(place).endswith("secret"):
                raise PermissionError(13, "Permission denied", str(place))
            return scan(place)

        monkeypatch.setattr(os, "scandir", refusing)
        dataset = zsc.ImageDataset.from_folder(tmp_path)
        assert dataset.notes["passed over"] == "1 folder: 1 folder (cannot be read, Permission denied: cat/secret)"

    def test_published_sets_tell_as_well(self, tmp_path):
        make_classes(tmp_path / "afhq/val", ["cat", "dog", "wild"], ".jpg")
        (tmp_path / "afhq/val/cat/phone.heic").write_bytes(b"x")
        picture(tmp_path / "afhq/val/loose.png")
        picture(tmp_path / "afhq/val/lynx/a.png")
        dataset = zsc.load_dataset("afhq", tmp_path)
        told = dataset.notes["passed over"]
        assert len(dataset) == 9 and told.startswith("2 files and 1 folder: ")
        assert "cat/phone.heic" in told and "loose.png" in told and "no class of this data set: lynx" in told
        assert "passed over" not in PUBLISHED["afhq"].notes

    @pytest.mark.parametrize("twin", ["CAT", "cat ", "Cat\u200b"])
    def test_a_published_class_in_two_folders_is_refused(self, tmp_path, twin):
        make_classes(tmp_path / "afhq/val", ["cat", "dog", "wild", twin], ".jpg")
        with pytest.raises(ValueError, match="the folders .* and .* are one class, cat"):
            zsc.load_dataset("afhq", tmp_path)


class TestNames:
    def test_numbers_sort_as_numbers_by_every_door(self, tmp_path):
        names = [str(k) for k in range(12)]
        assert data_set_of(tmp_path / "f", *(f"{k}/a.png" for k in names)).class_names == names
        rows = "".join(f"{k}.png,{k}\n" for k in reversed(names))
        dataset = from_csv(tmp_path, f"image,label\n{rows}", pictures=[f"{k}.png" for k in names])
        assert dataset.class_names == names and dataset.labels.tolist() == list(range(11, -1, -1))

    @pytest.mark.parametrize(
        "names",
        [
            ["class 2", "class 10", "class 100"],
            ["-10", "-2", "0", "0.25", "0.5", "1", "7th", "10th"],
            ["0.25mm", "0.5mm", "2mm", "10mm"],
            ["v1.9.9", "v1.10.1"],
            ["001", "002", "010", "100"],
            ["n01440764", "n02102040", "n03888257"],
            ["Dog", "a", "cat", "d\u0301", "\u00e9"],
            ["a (1)", "a (2)", "a (10)", "a-b", "a1", "ab"],
            ["\u0661", "\u0662", "\u0661\u0660"],  # 1, 2, 10 in Arabic
            ["1" * 400, "2" * 400],
        ],
        ids=str,
    )
    def test_order(self, names):
        assert sorted(names[1:] + names[:1], key=name_order) == names

    def test_names_without_numbers_and_padded_ones_keep_their_order(self):
        rng = np.random.default_rng(0)
        alphabet = list("abAB _-.(~zé")
        words = ["".join(rng.choice(alphabet, rng.integers(1, 6))) for _ in range(300)]
        padded = [f"{w}{rng.integers(0, 1000):04}" for w in words]
        assert sorted(words, key=name_order) == sorted(words) and sorted(padded, key=natural_key) == sorted(padded)

    @pytest.mark.parametrize(
        "odd", ["cat ", " cat", "cat\u00a0", "\ufeffcat", "c\u200bat", "cat\t", "\u202acat\u202c", "cat\u3000"]
    )
    def test_what_cannot_be_seen_makes_no_class(self, tmp_path, odd):
        dataset = from_csv(tmp_path, f"image,label\na.png,cat\nb.png,{odd}\nc.png,dog\n")
        assert dataset.class_names == ["cat", "dog"] and dataset.labels.tolist() == [0, 0, 1]
        assert zsc.ImageDataset(["x"], [0], [odd, "dog"]).class_names == ["cat", "dog"]
        with pytest.raises(ValueError, match="'cat' more than once"):
            zsc.ImageDataset(["x"], [0], ["cat", odd])

    def test_folders_that_read_alike_are_one_class_and_told(self, tmp_path):
        dataset = data_set_of(tmp_path, "caf\u00e9/a.png", "cafe\u0301/b.png", "cat/c.png", "cat\u00a0/d.png")
        assert dataset.class_names == ["caf\u00e9", "cat"] and dataset.labels.tolist() == [0, 0, 1, 1]
        assert sorted(p.name for p in dataset.paths) == ["a.png", "b.png", "c.png", "d.png"]
        assert "cat" in dataset.notes["read as one class"] and "caf" in dataset.notes["read as one class"]

    def test_case_is_told(self, tmp_path):
        assert (
            "'Cat' and 'cat' differ only in case"
            in data_set_of(tmp_path, "Cat/a.png", "cat/b.png").notes["class names"]
        )
        assert "class names" in zsc.ImageDataset(["x"], [0], ["STRASSE", "stra\u00dfe"]).notes
        assert "class names" not in zsc.ImageDataset(["x"], [0], ["cat", "car"]).notes

    def test_a_name_that_is_no_utf_8(self, tmp_path):
        picture(tmp_path / os.fsdecode(b"caf\xe9") / os.fsdecode(b"\xe9.png"))
        dataset = data_set_of(tmp_path, "dog/a.png")
        assert dataset.class_names == [r"caf\xe9", "dog"]
        dataset.class_names[0].encode()
        assert zsc.open_image(dataset.paths[0]).size == (12, 12)


class TestFrozen:
    def test_what_is_passed_in_is_copied(self):
        paths, labels, names, notes = ["a", "b"], np.array([0, 1]), ["cat", "dog"], {"source": "x"}
        dataset = zsc.ImageDataset(paths, labels, names, notes=notes)
        paths.reverse(), names.reverse(), notes.clear()
        labels[:] = 0
        assert dataset.paths == ["a", "b"] and dataset.class_names == ["cat", "dog"]
        assert dataset.labels.tolist() == [0, 1] and dataset.notes == {"source": "x"}

    def test_what_is_given_out_changes_nothing(self):
        dataset = zsc.load_dataset("samples")
        part = dataset.select([0, 1])
        for change in (
            lambda: part.class_names.append("z"),
            lambda: part.paths.clear(),
            lambda: part.labels.fill(0),
            lambda: part.notes.update(licence="x"),
            lambda: dataset.notes.__setitem__("licence", "x"),
        ):
            with contextlib.suppress(TypeError, ValueError, AttributeError):
                change()
        assert len(part.class_names) == len(dataset.class_names) == 17 and len(part.paths) == 2
        assert part.labels.tolist() == [0, 1] and "free" in zsc.load_dataset("samples").notes["licence"]

    def test_copies_are_equal_and_frozen(self):
        dataset = zsc.ImageDataset(["a", Path("b")], [0, -1], ["cat"], notes={"source": "x"})
        for copied in (pickle.loads(pickle.dumps(dataset)), copy.deepcopy(dataset), dataclasses.replace(dataset)):
            assert copied.paths == dataset.paths and copied.class_names == ["cat"] and copied.notes == {"source": "x"}
            assert copied.labels.tolist() == [0, -1] and not copied.labels.flags.writeable

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            (({"a", "b"}, [0, 1], ["x", "y"]), "paths is a set"),
            ((["a"], [0], {"x", "y"}), "class_names is a set"),
            ((["a"], [0], dict.fromkeys("xy").keys()), "class_names is a dict_keys"),
            ((["a"], [0], "cat"), "class_names is the one text 'cat'"),
            ((["a"], {0}, ["x"]), "labels is a set"),
            ((["a"], [True], ["x"]), "labels holds bool values"),
            ((["a"], [None], ["x"]), "labels holds object values"),
            ((["a"], [np.uint64(2**64 - 1)], ["x"]), "labels runs from 18446744073709551615"),
            ((["a"], [0], [None]), "class_names holds None at position 0"),
            ((["a"], [0], ["x", " "]), "class_names holds '' at position 1"),
            ((["a"], [0], ["x"], None), "name=None; name must be a text"),
        ],
    )
    def test_what_does_not_fit(self, arguments, reason):
        with pytest.raises((TypeError, ValueError), match=reason):
            zsc.ImageDataset(*arguments)

    def test_what_does_fit(self):
        labels = pd.Series([1, 0], dtype="Int64", index=[7, 3])
        dataset = zsc.ImageDataset(pd.Series(["a", "b"], index=[9, 8]), labels, pd.Index(["x", "y"]))
        assert dataset[0] == ("a", 1) and dataset.class_names == ["x", "y"]
        assert zsc.ImageDataset(["a"], None, []).labels.tolist() == [-1]
        assert zsc.ImageDataset(["a"], [1], [10, np.int64(20)]).class_names == ["10", "20"]

    def test_select_understands_masks_and_refuses_what_it_would_cut(self):
        dataset = numbered()
        assert dataset.select(dataset.labels == 0).paths == [f"{i}.png" for i in range(0, 20, 3)]
        assert dataset.select([True] + [False] * 19).paths == dataset[[0]].paths == ["0.png"]
        assert dataset.select([-1, 0]).paths == ["19.png", "0.png"] and len(dataset.select([])) == 0
        for rows, reason in (
            ([1.7], "float64"),
            ([True, False], "mask of 2 bools for 20"),
            ([20], "0 to 19"),
            ({1}, "set"),
        ):
            with pytest.raises((TypeError, ValueError), match=reason):
                dataset.select(rows)
        with pytest.raises(IndexError, match="index 20 is out of range"):
            dataset[20]
        with pytest.raises(ValueError, match="seed=-1; seed must be a whole number"):
            dataset.sample(2, seed=-1)
        with pytest.raises(ValueError, match="fraction=1.5"):
            dataset.split(1.5)


class TestDoors:
    """`from_folder`, `from_csv` and `from_huggingface` say what they take, and make what they are called on."""

    def test_signatures_are_the_real_ones(self):
        parameters = inspect.signature(zsc.ImageDataset.from_csv).parameters
        assert {"image_column", "label_column", "image_pattern", "class_names", "name"} < set(parameters)
        assert "label_column" in inspect.signature(zsc.ImageDataset.from_huggingface).parameters
        assert "image_pattern" in inspect.getdoc(zsc.ImageDataset.from_csv)

    def test_a_subclass_makes_its_own(self, tmp_path):
        class Mine(zsc.ImageDataset):
            pass

        picture(tmp_path / "cat/a.png")
        (tmp_path / "l.csv").write_text("image,label\ncat/a.png,cat\n")
        assert type(Mine.from_folder(tmp_path)) is Mine
        assert type(Mine.from_csv(tmp_path / "l.csv", image_column="image", label_column="label")) is Mine

    def test_a_function_that_gives_a_picture_is_a_picture(self, tmp_path):
        picture(tmp_path / "a.png")
        assert zsc.open_image(lambda: tmp_path / "a.png").size == (12, 12)


class TestTables:
    @pytest.mark.parametrize(
        ("text", "names"),
        [
            ("sep=;\nimage;label\na.png;cat\n", ["cat"]),
            ('"sep=^"\r\nimage^label\r\na.png^cat\r\n', ["cat"]),
            ("\ufeffimage , label\u00a0\na.png , cat\n", ["cat"]),
            ("image,label\na.png,cat,,\n", ["cat"]),
            ('image,label\na.png,"wild, big"\n', ["wild, big"]),
            ("image,label\n\n,\na.png,NA\n", ["NA"]),
            ("x;image;label\n1;a.png;cat,dog\n", ["cat,dog"]),
            ("image,label\ra.png,cat\r", ["cat"]),
        ],
    )
    def test_what_spreadsheets_write(self, tmp_path, text, names):
        dataset = from_csv(tmp_path, text)
        assert [p.name for p in dataset.paths] == ["a.png"] and dataset.class_names == names

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("image,label\nb.png,cat\na.png,wild, big\n", "line 3 has 3 fields where the header has 2; put quotes"),
            ("image,label,x\na.png,wild\n", "line 2 has 2 fields where the header has 3"),
            ("sep=;\nimage;label\na.png;x;y\n", "line 3 has 3 fields"),
            ("image,label,label\na.png,cat,dog\n", "the header has the column 'label' twice"),
            ("image,label,label \na.png,cat,dog\n", "the header has the column 'label' twice"),
            ("image,label\n", "no rows below the header"),
            ("", "no column image, label; the header has nothing"),
            ("image,label\na.png,\n", "column 'label' is empty in line 2"),
            ("image,label\n ,cat\n", "line 2 names no picture"),
            ('image,label\na.png,"cat\nb.png,dog\n', "cannot be read as CSV at line 3"),
            ("image,label\na.png,cat\nb.png,dog\n./a.png,dog\n", "a.png has one label in line 2 and another in line 4"),
        ],
    )
    def test_what_would_lose_something_is_refused(self, tmp_path, text, reason):
        with pytest.raises(ValueError, match=rf"l\.csv: .*{reason}"):
            from_csv(tmp_path, text)

    def test_a_picture_that_is_named_twice_is_told(self, tmp_path):
        dataset = from_csv(tmp_path, "image,label\na.png,cat\nb.png,cat\n./a.png,cat\n")
        assert len(dataset) == 3 and dataset.notes["named twice"].startswith("1 row names a picture that another row")

    def test_class_names_have_an_order(self, tmp_path):
        text = "image,label\na.png,1\nb.png,0\n"
        assert from_csv(tmp_path, text, class_names=["x ", "y"]).class_names == ["x", "y"]
        for names, kind in (({"x", "y"}, "a set"), ("xy", "the one text 'xy'"), ({"a": 1}.keys(), "a dict_keys")):
            with pytest.raises(TypeError, match=f"class_names is {kind}"):
                from_csv(tmp_path, text, class_names=names)
        with pytest.raises(ValueError, match="class_names gives '1' two names"):
            from_csv(tmp_path, text, class_names={1: "x", "1 ": "y"})

    def test_numbers_are_texts(self, tmp_path):
        dataset = from_csv(
            tmp_path, "image,label\n1.9,0\n", ["face-1.9.png", "face-1.png"], image_pattern="face-{}.png"
        )
        assert dataset.paths[0].name == "face-1.9.png"

    @pytest.mark.parametrize(
        ("rows", "reason"),
        [
            (["1.9,0", "2.2,1"], "line 2 holds '1.9' in column id"),
            (["1,0", "x,1"], "line 3 holds 'x' in column id"),
            (["1,0", ",1"], "line 3 holds '' in column id"),
            (["0,0"], "line 2 holds '0' in column id; it must be a whole number from 1 to 5000"),
            (["5001,0"], "line 2 holds '5001'"),
            (["-3,0"], "line 2 holds '-3'"),
            (["1,0", "2,1", "1,1"], "id 1 stands in the lines 2 and 4"),
            (["1,0.5"], "line 2 holds '0.5' in column glasses"),
            (["1,0,7"], "line 2 has 3 fields"),
        ],
    )
    def test_ids_of_glasses_are_whole_and_different(self, tmp_path, rows, reason):
        make_glasses(tmp_path / "glasses")
        (tmp_path / "glasses/train.csv").write_text("\n".join(["id,glasses", *rows]))
        with pytest.raises(ValueError, match=rf"train\.csv: {reason}"):
            zsc.load_dataset("glasses", tmp_path)


class TestHuggingFace:
    @pytest.fixture
    def hf_dataset(self):
        datasets = pytest.importorskip("datasets")
        buffer = io.BytesIO()
        Image.new("RGB", (20, 10), "red").save(buffer, "PNG")
        cells = [{"bytes": buffer.getvalue(), "path": "a.png"}, {"bytes": b"broken", "path": "b.png"}]
        features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat ", "dog"])})
        return datasets.Dataset.from_dict({"image": cells, "label": [1, None]}, features=features)

    def check(self, dataset):
        assert dataset.class_names == ["cat", "dog"] and dataset.labels.tolist() == [1, -1]
        assert dataset.notes["without a label"] == "1 of 2 pictures"
        assert zsc.open_image(dataset.paths[0]).getpixel((0, 0)) == (255, 0, 0)
        with pytest.raises(zsc.ImageError, match="image of row 1: not a picture"):
            zsc.open_image(dataset.paths[1])

    def test_a_broken_picture_fails_when_it_is_opened(self, hf_dataset):
        import datasets

        self.check(zsc.ImageDataset.from_huggingface(hf_dataset))
        self.check(zsc.ImageDataset.from_huggingface(hf_dataset.cast_column("image", datasets.Image(decode=False))))
        self.check(zsc.ImageDataset.from_huggingface(hf_dataset.with_format("numpy")))
        self.check(pickle.loads(pickle.dumps(zsc.ImageDataset.from_huggingface(hf_dataset))))

    def test_paths_and_bytes(self, hf_dataset, tmp_path):
        import datasets

        Image.new("RGB", (4, 4), (0, 0, 255)).save(tmp_path / "a.png")
        label = datasets.ClassLabel(names=["cat", "dog"])
        for kind, cell in (("string", str(tmp_path / "a.png")), ("binary", (tmp_path / "a.png").read_bytes())):
            features = datasets.Features({"image": datasets.Value(kind), "label": label})
            rows = datasets.Dataset.from_dict({"image": [cell], "label": [0]}, features=features)
            assert zsc.open_image(zsc.ImageDataset.from_huggingface(rows).paths[0]).getpixel((0, 0)) == (0, 0, 255)

    def test_streams_and_splits_are_named(self, hf_dataset):
        import datasets

        with pytest.raises(
            ValueError, match="IterableDataset cannot be counted or read twice; load it with streaming=F"
        ):
            zsc.ImageDataset.from_huggingface(hf_dataset.to_iterable_dataset())
        with pytest.raises(ValueError, match="DatasetDict of train, test; pass one split"):
            zsc.ImageDataset.from_huggingface(datasets.DatasetDict(train=hf_dataset, test=hf_dataset))

    def test_in_a_run_it_is_one_failure(self, hf_dataset, colours):
        embeddings = zsc.embed_images(
            colours, zsc.ImageDataset.from_huggingface(hf_dataset), store=None, on_error="record", progress=False
        )
        assert embeddings.failures["index"].tolist() == [1] and np.isfinite(embeddings.values[0]).all()


@pytest.mark.slow
def test_twenty_thousand_files(tmp_path):
    folder = tmp_path / "many/a"
    folder.mkdir(parents=True)
    for i in range(20_000):
        (folder / f"{i}.jpg").touch()
    dataset = zsc.ImageDataset.from_folder(tmp_path / "many")
    assert [p.stem for p in dataset.paths] == [str(i) for i in range(20_000)]


class TestPublishedNumbers:
    ROOT = Path(__file__).parent.parent

    def test_every_table_is_read_and_stands_on_the_card(self):
        card = (self.ROOT / "data/reference/README.md").read_text(encoding="utf-8")
        rows = {path.stem: len(published(path.stem)) for path in (self.ROOT / "data/reference").glob("*.csv")}
        assert len(rows) == 8 and rows["openclip_zero_shot"] == 121 and rows["clip_decisions_counts"] == 78
        for name in rows:
            assert name in published.__doc__ and (
                f"`{name}`" in card or f"`{name.removeprefix('clip_decisions')}`" in card
            )

    def test_figures_that_the_card_quotes(self):
        """Sums over the tables give what the publications say."""
        counts = published("clip_decisions_counts").groupby("set").sum(numeric_only=True)
        assert (counts["vit_b32"] / counts["n"]).round(3)[["sketch", "cue-conflict"]].tolist() == [0.916, 0.441]
        assert round(counts.loc["sketch", "resnet50"] / counts.loc["sketch", "n"], 3) == 0.596
        words = published("clip_vitb32_text_cosines").set_index("a ...")
        assert words.loc["mouse"].drop("mouse").idxmax() == "rodent" and words.loc["cat", "kitten"] == 0.9417
        probe = published("clip_probe").set_index(["checkpoint", "dataset"])
        zoo = published("openclip_zero_shot").set_index(["architecture", "tag"])
        assert probe.loc[("ViT-B-32", "imagenet"), "zero_shot"] == zoo.loc[("ViT-B-32", "openai"), "imagenet"]

    def test_an_unknown_table_is_told_with_those_there_are(self):
        with pytest.raises(
            ValueError, match="name='probe'; name must be one of clip_decisions_confusion, .*clip_probe"
        ):
            published("probe")

    @pytest.mark.slow
    def test_the_tables_are_in_the_wheel(self, tmp_path):
        wheel = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "-w", str(tmp_path), str(self.ROOT)]
        done = subprocess.run(wheel, check=False, capture_output=True, text=True)
        if "hatchling" in done.stderr:
            pytest.skip("pip builds with hatchling, which is not on this machine and cannot be fetched")
        assert done.returncode == 0, done.stderr
        zipfile.ZipFile(next(tmp_path.glob("*.whl"))).extractall(tmp_path / "site")
        code = "import zsc.datasets as d; print(d.__file__, len(d.published('openclip_zero_shot')))"
        done = subprocess.run(
            [sys.executable, "-c", code], check=False, capture_output=True, text=True, cwd=tmp_path / "site"
        )
        assert done.stdout.split() == [str(tmp_path / "site/zsc/datasets/__init__.py"), "121"], done.stderr
