"""One contract for all loaders, on small copies of the real layouts; then what is special to each."""

import time

import numpy as np
import pandas as pd
import pytest
from layouts import WNIDS, make_classes, make_glasses
from PIL import Image

import zsc
from zsc.datasets import afhq, glasses, imagenette


def touch(path, colour=(200, 10, 10)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), colour).save(path, format="PNG" if path.suffix.lower() == ".png" else "JPEG")


def build(name, root):
    """Lay out one data set; give the arguments that load it."""
    if name == "glasses":
        make_glasses(root / "glasses")
        return {"name": "glasses"}
    if name == "afhq":
        make_classes(root / "afhq/val", ["cat", "dog", "wild"], ".jpg", "flickr")
        return {"name": "afhq"}
    if name == "afhq_v2":
        make_classes(root / "afhq_v2/test", ["cat", "dog", "wild"], ".png", "flickr")
        return {"name": "afhq", "version": 2}
    folder = imagenette.FOLDERS[name]
    make_classes(root / folder / "val", WNIDS, ".JPEG", "ILSVRC2012_val")
    return {"name": "imagenette", "size": name}


EXPECTED = {  # pictures, class names, first picture, a folder to take away, that empties a class
    "glasses": (12, ["no glasses", "glasses"], "face-1.png", "glasses/faces-spring-2020"),
    "afhq": (9, ["cat", "dog", "wild"], "flickr_cat_000001.jpg", "afhq/val/dog"),
    "afhq_v2": (9, ["cat", "dog", "wild"], "flickr_cat_000001.png", "afhq_v2/test/dog"),
    "320px": (30, list(imagenette.CLASS_NAMES.values()), None, "imagenette2-320/val/n03028079"),
    "160px": (30, list(imagenette.CLASS_NAMES.values()), None, "imagenette2-160/val/n03028079"),
    "full": (30, list(imagenette.CLASS_NAMES.values()), None, "imagenette2/val/n03028079"),
}


@pytest.fixture(params=EXPECTED)
def case(request, tmp_path):
    return request.param, tmp_path, build(request.param, tmp_path)


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
            FileNotFoundError, match=r"expected .* Run 'zsc download \w+.* or see data/\w+\.md"
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
        monkeypatch.setattr(glasses, "KAGGLE_INPUT", tmp_path)
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
        make_classes(tmp_path / "e/afhq/val", ["cat", "dog", "wild"], ".jpg")  # now it is version 1
        with pytest.raises(FileNotFoundError):
            zsc.load_dataset("afhq", tmp_path / "e", version=2)
        monkeypatch.setattr(afhq, "KAGGLE_INPUT", tmp_path / "c")
        assert len(zsc.load_dataset("afhq", tmp_path / "nothing")) == 9

    def test_the_splits_of_a_version(self, tmp_path):
        with pytest.raises(ValueError, match="split='test'; split must be one of val, train"):
            zsc.load_dataset("afhq", tmp_path, split="test")
        with pytest.raises(ValueError, match="split='val'; split must be one of test, train"):
            zsc.load_dataset("afhq", tmp_path, split="val", version=2)
        with pytest.raises(ValueError, match="version=3; version must be 1 or 2"):
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
        with pytest.raises(ValueError, match="data set 'afhq': got an unexpected keyword argument 'size'"):
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
            (["x"], [0, 1], ["a", "b"], "1 pictures for labels of shape"),
            (["x"], [2], ["a", "b"], "labels run from 2 to 2; with 2 class names they must lie in 0 to 1"),
            (["x"], [0], ["a", "a"], "class_names holds 'a' more than once"),
            (["x"], [0.7], ["a", "b"], "labels hold float64 values; pass indices"),
            (["x"], ["a"], ["a", "b"], "labels hold .* values; pass indices"),
            ("x", [0], ["a", "b"], "paths is the one text 'x'"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, paths, labels, names, reason):
        with pytest.raises((TypeError, ValueError), match=reason):
            zsc.ImageDataset(paths, np.array(labels), names)


class TestOwnPictures:
    def test_from_folder(self, tmp_path):
        for name in ("b/2.JPG", "b/10.jpg", "a ä/deep/1.png", "a ä/.hidden.png", "b/notes.txt", ".git/x.png"):
            touch(tmp_path / "mine" / name) if not name.endswith(".txt") else (tmp_path / "mine" / name).write_text("x")
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
            touch(tmp_path / f"faces/face-{i}.png")
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
            touch(tmp_path / name)
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
        touch(tmp_path / "a.png")
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
            touch(tmp_path / f"{chr(97 + i)}.png")
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


def test_twenty_thousand_files_are_quick(tmp_path):
    """A guard against a quadratic slip only: the limit is far above what it takes."""
    folder = tmp_path / "many/a"
    folder.mkdir(parents=True)
    for i in range(20_000):
        (folder / f"{i}.jpg").touch()
    start = time.perf_counter()
    assert len(zsc.ImageDataset.from_folder(tmp_path / "many")) == 20_000
    assert time.perf_counter() - start < 10
