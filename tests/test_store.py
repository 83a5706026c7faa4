"""Embeddings are kept by content: nothing stale, nothing twice, nothing half, whatever happens to the process."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import ColourEncoder
from embed_slowly import mark
from PIL import Image

import zsc
from zsc.embeddings import job
from zsc.store import DamagedPartWarning, EmbeddingStore, PathIndex

HERE = Path(__file__).parent


def make_pictures(folder, n=30, seed=0):
    """Write n small pictures of two classes, all different."""
    rng = np.random.default_rng(seed)
    for i in range(n):
        path = folder / ("ab"[i % 2]) / f"{i:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)).save(path)
    return zsc.ImageDataset.from_folder(folder)


class CountingEncoder(ColourEncoder):
    """Counts the pictures that it is given."""

    count = 0

    def encode_pixels(self, pixels):
        self.count += len(pixels)
        return super().encode_pixels(pixels)


def embed(dataset, store, **options):
    model = CountingEncoder(**options)
    embeddings = zsc.embed_images(model, dataset, store, batch_size=4, progress=False)
    return embeddings, model.count


@pytest.fixture
def dataset(tmp_path):
    return make_pictures(tmp_path / "pictures")


def test_embedded_once(dataset, tmp_path, monkeypatch):
    fresh = zsc.embed_images(ColourEncoder(), dataset, batch_size=4, progress=False)
    first, count = embed(dataset, tmp_path / "store")
    assert count == 30
    np.testing.assert_array_equal(first.values, fresh.values)

    def opened(*args, **kwargs):
        raise AssertionError("a picture was opened")

    monkeypatch.setattr("zsc.embeddings.streaming.read_source", opened)
    second, count = embed(dataset, tmp_path / "store")
    assert count == 0
    np.testing.assert_array_equal(second.values, fresh.values)
    assert second.labels.tolist() == dataset.labels.tolist() and second.paths == dataset.paths


def test_by_content_not_by_name(dataset, tmp_path):
    embed(dataset, tmp_path / "store")
    shutil.copytree(tmp_path / "pictures", tmp_path / "renamed")
    for i, path in enumerate(sorted((tmp_path / "renamed").rglob("*.png"))):
        path.rename(path.with_name(f"other{i}.png"))
    _, count = embed(zsc.ImageDataset.from_folder(tmp_path / "renamed"), tmp_path / "store")
    assert count == 0
    _, count = embed(dataset[3:9], tmp_path / "store")
    assert count == 0


def test_a_picture_changed_in_place_is_embedded_again(dataset, tmp_path):
    before, _ = embed(dataset, tmp_path / "store")
    path = dataset.paths[5]
    status = path.stat()
    Image.new("RGB", (9, 9), "red").save(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000))
    after, count = embed(dataset, tmp_path / "store")
    assert count == 1
    np.testing.assert_allclose(after.values[5], [1, 0, 0], atol=1e-6)
    changed = np.abs(after.values - before.values).max(axis=1) > 0
    assert changed.tolist() == [i == 5 for i in range(30)]


def test_another_model_never_gets_these(dataset, tmp_path):
    embed(dataset, tmp_path / "store")
    _, count = embed(dataset, tmp_path / "store", fingerprint_salt="other weights")
    assert count == 30


def test_equal_pictures_are_encoded_once_a_block(tmp_path):
    dataset = make_pictures(tmp_path / "p", n=4)
    twice = zsc.ImageDataset([dataset.paths[0]] * 4 + list(dataset.paths), np.zeros(8, int), ["a", "b"])
    embeddings, count = embed(twice, tmp_path / "store")
    assert count <= 5
    for row in (1, 2, 3, 4):
        np.testing.assert_array_equal(embeddings.values[row], embeddings.values[0])


def test_pictures_in_memory_are_kept_too(tmp_path, colour_dataset):
    embed(colour_dataset, tmp_path / "store")
    assert embed(colour_dataset, tmp_path / "store")[1] == 0


class TestFailures:
    @pytest.fixture
    def damaged(self, dataset):
        dataset.paths[7].write_bytes(b"no picture")
        dataset.paths[20].unlink()
        return dataset

    def test_raise_keeps_what_was_embedded(self, damaged, tmp_path):
        with pytest.raises(zsc.ImageError, match="not a picture that Pillow can read") as caught:
            embed(damaged, tmp_path / "store")
        assert str(damaged.paths[7]) in str(caught.value)
        _, count = embed(damaged[:4], tmp_path / "store")
        assert count == 0

    @pytest.mark.parametrize("kept", [False, True])
    def test_record_keeps_the_row(self, damaged, tmp_path, kept):
        store = tmp_path / "store" if kept else None
        embeddings = zsc.embed_images(ColourEncoder(), damaged, store, on_error="record", progress=False)
        assert len(embeddings) == 30 and np.flatnonzero(embeddings.failed).tolist() == [7, 20]
        assert embeddings.labels.tolist() == damaged.labels.tolist()
        assert embeddings.failures["index"].tolist() == [7, 20]
        assert "no such file" in embeddings.failures["error"][1]
        table = zsc.ZeroShotClassifier(["red", "green"], ColourEncoder()).predict(embeddings)
        assert table["y_pred"].isna().tolist() == [i in (7, 20) for i in range(30)]
        assert table["proba"].isna().sum() == 2 and table["y_pred_token"].isna().sum() == 2
        evaluation = zsc.ZeroShotClassifier({"a": "red", "b": "green"}, ColourEncoder()).evaluate(embeddings)
        assert evaluation.n == 28

    def test_skip_leaves_the_row_out_and_shifts_no_label(self, damaged, tmp_path):
        embeddings = zsc.embed_images(ColourEncoder(), damaged, on_error="skip", progress=False)
        kept = [i for i in range(30) if i not in (7, 20)]
        assert embeddings.paths == [damaged.paths[i] for i in kept]
        assert embeddings.labels.tolist() == damaged.labels[kept].tolist() and len(embeddings.failures) == 2

    def test_unknown(self, dataset):
        with pytest.raises(ValueError, match="on_error='ignore'; accepted are raise, skip, record"):
            zsc.embed_images(ColourEncoder(), dataset, on_error="ignore")


class TestKilled:
    def run(self, tmp_path, store, log, *words):
        command = [
            sys.executable,
            str(HERE / "embed_slowly.py"),
            str(tmp_path / "pictures"),
            str(store),
            str(log),
            *words,
        ]
        return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(HERE)}, stderr=subprocess.PIPE)

    def test_ten_times_then_to_the_end(self, tmp_path):
        dataset = make_pictures(tmp_path / "pictures", n=1500)
        undisturbed = zsc.embed_images(ColourEncoder(), dataset, batch_size=4, progress=False)
        store, log, clock = tmp_path / "store", tmp_path / "log", random.Random(0)
        finished = set()
        for _ in range(10):
            log.write_text("")
            process = self.run(tmp_path, store, log)
            while not log.read_text() and process.poll() is None:
                time.sleep(0.01)
            time.sleep(clock.uniform(0, 0.3))
            process.kill()
            assert process.wait() == -signal.SIGKILL
            process.stderr.close()
            assert not finished & set(log.read_text().split())  # nothing of a finished part is encoded again
            finished = self.encoded_in_parts(dataset, store)
        log.write_text("")
        assert self.run(tmp_path, store, log).wait() == 0
        assert not finished & set(log.read_text().split()) and len(finished) > 16
        kept, count = embed(dataset, store)
        assert count == 0
        np.testing.assert_array_equal(kept.values, undisturbed.values)  # bit for bit
        assert not list(store.rglob("*.damaged"))

    def encoded_in_parts(self, dataset, store):
        """Say which pictures are in finished parts, by the mark that the log uses."""
        kept = EmbeddingStore(store, ColourEncoder().fingerprint, 3)
        transform = ColourEncoder().transform
        marks = {}
        for path in dataset.paths:
            from zsc.embeddings.streaming import digest_of_content

            marks[digest_of_content(path.read_bytes())] = mark(transform(zsc.open_image(path)))
        return {mark for digest, mark in marks.items() if digest in kept}

    def test_two_at_once_over_overlapping_halves(self, tmp_path):
        dataset = make_pictures(tmp_path / "pictures", n=80)
        store = tmp_path / "store"
        both = [
            self.run(tmp_path, store, tmp_path / f"log{i}", *part) for i, part in enumerate((("0", "55"), ("25", "80")))
        ]
        assert [p.wait() for p in both] == [0, 0]
        for process in both:
            process.stderr.close()
        kept = EmbeddingStore(store, ColourEncoder().fingerprint, 3)
        assert not [p for p in kept.verify() if p.problem] and len(kept) == 80
        embeddings, count = embed(dataset, store)
        assert count == 0
        fresh = zsc.embed_images(ColourEncoder(), dataset, batch_size=4, progress=False)
        np.testing.assert_allclose(embeddings.values, fresh.values, atol=1e-6)


class TestDamage:
    @pytest.mark.parametrize("where", [0.05, 0.5, 0.97])
    def test_a_flipped_byte_is_found_told_and_mended(self, dataset, tmp_path, where, monkeypatch):
        monkeypatch.setattr(job, "PART_ROWS", 8)
        before, _ = embed(dataset, tmp_path / "store")
        folder = tmp_path / "store" / ColourEncoder().fingerprint
        part = sorted(folder.glob("part-*.parquet"))[0]
        data = bytearray(part.read_bytes())
        data[int(len(data) * where)] ^= 0x10
        part.write_bytes(bytes(data))
        rows = 8
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DamagedPartWarning)
            problems = [
                p for p in EmbeddingStore(tmp_path / "store", ColourEncoder().fingerprint, 3).verify() if p.problem
            ]
        assert [p.path for p in problems] == [part] or not part.exists()
        with (
            pytest.warns(DamagedPartWarning, match=f"{part.name}: .* set aside")
            if part.exists()
            else warnings.catch_warnings()
        ):
            after, count = embed(dataset, tmp_path / "store")
        assert 0 < count <= rows
        np.testing.assert_allclose(after.values, before.values, atol=1e-6)
        assert list(folder.glob("*.damaged"))
        again, count = embed(dataset, tmp_path / "store")
        assert count == 0 and not [
            p for p in EmbeddingStore(tmp_path / "store", again.fingerprint, 3).verify() if p.problem
        ]

    def test_a_damaged_index_only_costs_reading(self, dataset, tmp_path):
        embed(dataset, tmp_path / "store")
        part = next((tmp_path / "store/paths").glob("*.parquet"))
        part.write_bytes(part.read_bytes()[:-20])
        with pytest.warns(DamagedPartWarning):
            _, count = embed(dataset, tmp_path / "store")
        assert count == 0

    def test_left_over_temporary_files_do_no_harm(self, dataset, tmp_path):
        embed(dataset, tmp_path / "store")
        folder = tmp_path / "store" / ColourEncoder().fingerprint
        (folder / ".part-x.parquet.1.0.tmp").write_bytes(b"half")
        assert embed(dataset, tmp_path / "store")[1] == 0


class TestStore:
    def test_vectors_come_back(self, tmp_path):
        store = EmbeddingStore(tmp_path, "f", 2)
        a, b = b"a" * 32, b"b" * 32
        store.add([a, b], np.array([[1, 0], [0, 1]]))
        for opened in (store, EmbeddingStore(tmp_path, "f", 2)):
            values, found = opened.get([b, None, b"c" * 32, a])
            assert values.tolist() == [[0, 1], [0, 0], [0, 0], [1, 0]] and found.tolist() == [True, False, False, True]
            assert a in opened and b"c" * 32 not in opened and len(opened) == 2
        with pytest.raises(ValueError, match=r"values have shape \(1, 2\); 2 digests"):
            store.add([a, b], np.ones((1, 2)))

    def test_parts_are_plain_parquet(self, tmp_path):
        part = EmbeddingStore(tmp_path, "f", 2).add([b"a" * 32], np.array([[1, 0]]))
        table = pq.read_table(part)
        assert (
            table.column_names == ["digest", "values"]
            and str(table.schema.field("digest").type) == "fixed_size_binary[32]"
        )
        assert table["values"].to_pylist() == [[1.0, 0.0]]

    def test_verify_tells_rows_that_are_no_unit_vectors(self, tmp_path):
        store = EmbeddingStore(tmp_path, "f", 2)
        store.add([b"a" * 32], np.array([[3, 0]]))
        assert "no unit vectors" in store.verify()[0].problem

    def test_the_index_knows_unchanged_files_only(self, tmp_path):
        from zsc.store import file_key

        path = tmp_path / "a.png"
        path.write_bytes(b"1")
        index = PathIndex(tmp_path)
        index.add([(file_key(path), b"d" * 32)])
        again = PathIndex(tmp_path)
        assert again.lookup([path, str(path), "gone", object()]) == [b"d" * 32, b"d" * 32, None, None]
        path.write_bytes(b"22")
        assert again.lookup([path]) == [None]
        parts = len(list((tmp_path / "paths").glob("*.parquet")))
        again.add([(file_key(tmp_path / "a.png"), b"e" * 32)])
        again.add([(file_key(tmp_path / "a.png"), b"e" * 32)])  # nothing new
        assert len(list((tmp_path / "paths").glob("*.parquet"))) == parts + 1


class TestSaved:
    def test_saved_and_loaded(self, dataset, tmp_path):
        dataset.paths[7].write_bytes(b"no picture")
        embeddings = zsc.embed_images(ColourEncoder(), dataset, on_error="record", progress=False)
        loaded = zsc.ImageEmbeddings.load(embeddings.save(tmp_path / "mine.parquet"))
        np.testing.assert_array_equal(loaded.values, embeddings.values)
        assert loaded.paths == embeddings.paths and loaded.labels.tolist() == embeddings.labels.tolist()
        assert loaded.class_names == ["a", "b"] and loaded.fingerprint == embeddings.fingerprint
        assert loaded.failures["image"].tolist() == [str(dataset.paths[7])] and loaded.dataset == embeddings.dataset

    def test_no_such_file(self, tmp_path):
        with pytest.raises(ValueError, match=r"mine\.parquet: no file of embeddings that can be read"):
            zsc.ImageEmbeddings.load(tmp_path / "mine.parquet")
        (tmp_path / "mine.parquet").write_bytes(b"half")
        with pytest.raises(ValueError, match="no file of embeddings"):
            zsc.ImageEmbeddings.load(tmp_path / "mine.parquet")
