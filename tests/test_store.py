"""Embeddings are kept by content: nothing stale, nothing twice, nothing half, whatever happens to the process."""

import hashlib
import inspect
import json
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
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ColourEncoder
from embed_slowly import mark
from PIL import Image

import zsc
from zsc import embeddings as job
from zsc import store as store_file
from zsc.parts import DamagedPartWarning, ForeignPartWarning, StoreWarning
from zsc.store import EmbeddingStore, PathIndex, clear, file_key, stores

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


@pytest.fixture
def settled(monkeypatch):
    """Take files that were written just now for old ones."""
    monkeypatch.setattr(store_file, "SETTLED_NS", 0)


def test_embedded_once(dataset, tmp_path, settled, monkeypatch):
    fresh = zsc.embed_images(ColourEncoder(), dataset, batch_size=4, progress=False)
    first, count = embed(dataset, tmp_path / "store")
    assert count == 30
    np.testing.assert_array_equal(first.values, fresh.values)

    def opened(*args, **kwargs):
        raise AssertionError("a picture was opened")

    monkeypatch.setattr("zsc.embeddings.read_source", opened)
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
        with pytest.raises(ValueError, match="on_error='ignore'; .* raise, skip, record"):
            zsc.embed_images(ColourEncoder(), dataset, on_error="ignore")


@pytest.mark.slow
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
        finished, marks = set(), self.marks(dataset)
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
            kept = EmbeddingStore(store, ColourEncoder().fingerprint, 3)
            finished = {mark for digest, mark in marks.items() if digest in kept}  # in parts that are whole
        log.write_text("")
        assert self.run(tmp_path, store, log).wait() == 0
        assert not finished & set(log.read_text().split()) and len(finished) > 16
        kept, count = embed(dataset, store)
        assert count == 0
        np.testing.assert_array_equal(kept.values, undisturbed.values)  # bit for bit
        assert not list(store.rglob("*.damaged"))

    def marks(self, dataset):
        """Name each picture, by its digest, with the mark that the log uses."""
        transform = ColourEncoder().transform
        return {
            hashlib.sha256(path.read_bytes()).digest(): mark(transform(zsc.open_image(path))) for path in dataset.paths
        }

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

    def test_a_damaged_index_only_costs_reading(self, dataset, tmp_path, settled):
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


def write_vectors(folder, vectors, record=None, **columns):
    """Write a part with a digest of zeros, as the first version wrote it, or with what is asked for."""
    folder.mkdir(parents=True, exist_ok=True)
    kind = pa.list_(pa.float32(), len(vectors[0]))
    table = pa.table({"digest": pa.array([bytes(32)], pa.binary(32)), "values": pa.array(vectors, kind)} | columns)
    table = table.replace_schema_metadata(None if record is None else {"zsc": json.dumps(record)})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    data = sink.getvalue().to_pybytes()
    part = folder / f"part-{hashlib.sha256(data).hexdigest()[:32]}.parquet"
    part.write_bytes(data)
    return part


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
        with pytest.raises(ValueError, match="values has a row of length 3"):
            store.add([b"a" * 32], np.array([[3, 0]]))
        store.make()
        part = write_vectors(store.folder, [[3, 0]])
        assert "not unit vectors" in store.verify()[0].problem
        store = EmbeddingStore(tmp_path, "f", 2)
        with pytest.warns(ForeignPartWarning, match=f"{part.name}: its rows are not unit vectors"):
            assert not store.get([bytes(32)])[1].any()
        assert part.exists() and bytes(32) not in store

    def test_the_index_knows_unchanged_files_only(self, tmp_path, settled):
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


def colour_file(path, colour):
    """Write a bitmap of one colour: all of them have the same size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), colour).save(path, format="BMP")
    return path


def one(path, store, model=None):
    """Embed one picture."""
    found = zsc.embed_images(model or ColourEncoder(), zsc.ImageDataset([path], [-1], []), store, progress=False)
    return found.values[0].round(3).tolist()


def in_place(path, colour):
    colour_file(path, colour)


def by_rename(path, colour):
    colour_file(path.with_name("new.bmp"), colour).replace(path)


def through_a_link(path, colour):
    os.link(path, path.with_name("link.bmp"))
    colour_file(path.with_name("link.bmp"), colour)


class TestIdentity:
    """A changed picture never gets its old embedding, whatever its name, size and time say."""

    @pytest.mark.parametrize("change", [in_place, by_rename, through_a_link])
    @pytest.mark.parametrize("remembered", [True, False])
    def test_a_picture_changed_behind_its_time(self, tmp_path, change, remembered, monkeypatch):
        path, store = colour_file(tmp_path / "a.bmp", "red"), tmp_path / "store"
        os.utime(path, (1e9, 1e9))
        if remembered:
            monkeypatch.setattr(store_file, "SETTLED_NS", 0)
            time.sleep(0.05)
        assert one(path, store) == [1, 0, 0]
        assert PathIndex(store).lookup([path]) == [hashlib.sha256(path.read_bytes()).digest() if remembered else None]
        change(path, "blue")
        os.utime(path, (1e9, 1e9))
        assert one(path, store) == [0, 0, 1]

    def test_a_file_that_was_just_changed_is_not_remembered(self, tmp_path, monkeypatch):
        path = colour_file(tmp_path / "a.bmp", "red")
        os.utime(path, (1e9, 1e9))  # the change of the inode still shows
        assert file_key(path) is None
        now = path.stat().st_ctime_ns
        monkeypatch.setattr(store_file.time, "time_ns", lambda: now + 1_900_000_000)
        assert file_key(path) is None
        monkeypatch.setattr(store_file.time, "time_ns", lambda: now + 2_100_000_000)
        assert file_key(path) == file_key(str(path)) == (os.fsencode(path), *file_key(path)[1:])
        assert file_key("http://example.org/a.png") is None and file_key(b"bytes") is None and file_key("\0") is None
        later = now + 10**12
        os.utime(path, ns=(later, later))  # a time to come cannot be told from a later change
        assert file_key(path) is None

    def test_each_part_of_the_key_counts(self, tmp_path, settled):
        key = file_key(colour_file(tmp_path / "a.bmp", "red"))
        index = PathIndex(tmp_path)
        index.add([(key, b"d" * 32)])
        for field in key._fields:
            other = b"/other" if field == "path" else getattr(key, field) + 1
            assert PathIndex(tmp_path)._known.get(key._replace(**{field: other})) is None
        assert PathIndex(tmp_path)._known.get(key) == b"d" * 32

    def test_the_home_folder_and_a_file_named_like_it(self, tmp_path, monkeypatch, settled):
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        monkeypatch.chdir(tmp_path)
        colour_file(tmp_path / "home/a.bmp", "red")
        assert one("~/a.bmp", tmp_path / "store") == [1, 0, 0]
        assert file_key("~/a.bmp") == file_key(tmp_path / "home/a.bmp")
        colour_file(tmp_path / "~/a.bmp", "blue")
        assert one("~/a.bmp", tmp_path / "store") == [0, 0, 1]
        assert one(str(colour_file(tmp_path / "~$b.bmp", "blue").relative_to(tmp_path)), tmp_path / "store") == [
            0,
            0,
            1,
        ]


class TestNames:
    """File names are bytes."""

    def test_names_that_are_no_utf8(self, tmp_path, settled, monkeypatch):
        names = [b"caf\xe9.bmp", b"\xff\xfe.bmp", "\u96ea.bmp".encode("gb18030"), "caf\xe9.bmp".encode()]
        paths = [
            colour_file(Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + n)), (40 * i, 9, 0))
            for i, n in enumerate(names)
        ]
        paths.append(Path(os.fsdecode(os.fsencode(tmp_path) + b"/gone\xe9.bmp")))
        dataset = zsc.ImageDataset(paths, [0] * 5, ["\udce9"])
        first = zsc.embed_images(ColourEncoder(), dataset, tmp_path / "store", on_error="record", progress=False)
        assert first.failures["index"].tolist() == [4] and "no such file" in first.failures["error"][0]
        monkeypatch.setattr("zsc.embeddings.read_source", None)  # no picture is opened any more
        again = zsc.embed_images(ColourEncoder(), dataset[:4], tmp_path / "store", progress=False)
        np.testing.assert_array_equal(again.values, first.values[:4])
        loaded = zsc.ImageEmbeddings.load(first.save(tmp_path / os.fsdecode(b"saved\xe9.parquet")))
        assert loaded.paths == first.paths == paths and loaded.class_names == first.class_names
        assert loaded.failures.equals(first.failures) and loaded.data_digest == first.data_digest


class TestOtherVersions:
    """What another version or program wrote is read where it can be, and else left as it is and named."""

    fingerprint = ColourEncoder().fingerprint

    @pytest.mark.parametrize(
        ("make", "reason"),
        [
            (lambda f: write_vectors(f, [[1, 0, 0]], note=["x"]), "does not hold the columns"),
            (lambda f: write_vectors(f, [[1, 0, 0, 0]]), "does not hold the columns"),
            (
                lambda f: write_vectors(f, [[1, 0, 0]], {"kind": "embeddings", "format": 2}),
                r"a newer version of zsc \(format 2",
            ),
            (lambda f: write_vectors(f, [[1, 0, 0]], {"kind": "embeddings", "format": "x"}), "a newer version of zsc"),
            (lambda f: write_vectors(f, [[1, 0, 0]], {"kind": "captions", "format": 1}), "does not hold the columns"),
            (lambda f: write_vectors(f, [[1, 0, 0]]).rename(f / "part-00000.parquet"), "has a name that no part"),
            (lambda f: write_vectors(f, [[1, 0, 0]], {"format": 9}).rename(f / f"part-{'0' * 32}.parquet"), "newer"),
        ],
    )
    @pytest.mark.parametrize("place", [fingerprint, "paths"])
    def test_a_part_that_is_not_ours(self, dataset, tmp_path, make, reason, place):
        made = make(tmp_path / "store" / place)
        part = made if made is not None else next((tmp_path / "store" / place).iterdir())
        before = part.read_bytes()
        with pytest.warns(ForeignPartWarning, match=f"{part.name}: .*{reason}.*left as it is"):
            embeddings, count = embed(dataset, tmp_path / "store")
        assert count == 30 and not embeddings.failed.any() and part.read_bytes() == before
        if place != "paths":
            with pytest.warns(ForeignPartWarning):
                kept = EmbeddingStore(tmp_path / "store", place, 3)
            assert sorted(bool(c.problem) for c in kept.verify()) == [False, True]

    def test_the_first_version_goes_on(self, tmp_path, settled):
        """Its parts had no format number, its index no time of the inode, its model.json no kind."""
        path, store = colour_file(tmp_path / "a.bmp", "red"), tmp_path / "store"
        model = CountingEncoder()
        digest = hashlib.sha256(path.read_bytes()).digest()
        folder = store / model.fingerprint
        write_vectors(folder, [[0, 0, 1]], digest=pa.array([digest], pa.binary(32)))
        about = {k: getattr(model.info, k) for k in FIRST_KEYS}
        (folder / "model.json").write_text(json.dumps(about))
        status = path.stat()
        columns = {"path": [str(path)], "size": [status.st_size], "mtime": [status.st_mtime_ns]}
        sink = pa.BufferOutputStream()
        pq.write_table(pa.table({**columns, "digest": pa.array([b"?" * 32], pa.binary(32))}), sink)
        data = sink.getvalue().to_pybytes()
        old = store / "paths" / f"part-{hashlib.sha256(data).hexdigest()[:32]}.parquet"
        old.parent.mkdir()
        old.write_bytes(data)
        assert one(path, store, model) == [0, 0, 1] and model.count == 0  # kept, found by content
        assert old.read_bytes() == data
        assert [(f, a["name"]) for f, a in stores(store)] == [(folder, "colours")]
        assert clear(store).removed == [folder] and not list(store.iterdir())

    def test_what_is_written_says_what_it_is(self, dataset, tmp_path, settled):
        embed(dataset, tmp_path / "store")
        about = json.loads((tmp_path / "store" / self.fingerprint / "model.json").read_text())
        assert (about["kind"], about["format"], about["fingerprint"]) == ("zsc embeddings", 1, self.fingerprint)
        for part in (tmp_path / "store").rglob("part-*.parquet"):
            record = json.loads(pq.read_schema(part).metadata[b"zsc"])
            assert record == {"kind": "paths" if part.parent.name == "paths" else "embeddings", "format": 1}

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("{}", "does not describe kept embeddings"),
            ("[1]", "does not describe kept embeddings"),
            ('{"name": "x', "is damaged"),
            ("[" * 100_000, "is damaged"),
            ('{"kind": "zsc embeddings", "format": 2}', "a newer version of zsc"),
            ('{"kind": "zsc embeddings", "format": 1, "fingerprint": "00"}', "was renamed or copied"),
            ('{"kind": "zsc embeddings", "format": 1, "name": 3}', "names no model"),
        ],
    )
    def test_a_folder_that_is_not_ours(self, dataset, tmp_path, text, reason):
        embed(dataset, tmp_path / "store")
        other = tmp_path / "store" / "0123456789abcdef"
        other.mkdir()
        (other / "model.json").write_text(text)
        with pytest.warns(ForeignPartWarning, match=f"{other.name}: .*{reason}"):
            assert [f.name for f, _ in stores(tmp_path / "store")] == [self.fingerprint]

    def test_a_cut_description_is_written_again(self, dataset, tmp_path):
        embed(dataset[:3], tmp_path / "store")
        description = tmp_path / "store" / self.fingerprint / "model.json"
        description.write_text(description.read_text()[:20])
        embed(dataset, tmp_path / "store")
        assert [a["name"] for _, a in stores(tmp_path / "store")] == ["colours"]


FIRST_KEYS = ("name", "library", "embed_dim", "image_size", "context_length", "logit_scale", "weights_sha256", "device",
              "precision", "engine")  # fmt: skip


class TestSeveralDamagedParts:
    def test_embedded_again_in_the_same_run(self, dataset, tmp_path, monkeypatch):
        """The pictures lie under new paths: each is found to be kept before its part is looked at."""
        monkeypatch.setattr(job, "PART_ROWS", 8)
        before, _ = embed(dataset, tmp_path / "store")
        parts = sorted((tmp_path / "store" / ColourEncoder().fingerprint).glob("part-*.parquet"))
        for part in parts[:3]:
            data = bytearray(part.read_bytes())
            data[data.index(np.float32(pq.read_table(part)["values"][0][0].as_py()).tobytes())] ^= 1
            part.write_bytes(bytes(data))
        shutil.move(tmp_path / "pictures", tmp_path / "moved")
        moved = zsc.ImageDataset.from_folder(tmp_path / "moved")
        (tmp_path / "moved/a/0004.png").unlink()  # and one goes while the others are mended
        with pytest.warns(DamagedPartWarning) as caught:
            after = zsc.embed_images(CountingEncoder(), moved, tmp_path / "store", batch_size=4, on_error="record",
                                     progress=False)  # fmt: skip
        assert {str(w.message).partition(":")[0] for w in caught} == {str(p) for p in parts[:3]}
        assert np.flatnonzero(after.failed).tolist() == [moved.paths.index(tmp_path / "moved/a/0004.png")]
        np.testing.assert_allclose(after.values[~after.failed], before.values[~after.failed], atol=1e-6)
        assert embed(moved.select(~after.failed), tmp_path / "store")[1] == 0
        kept = EmbeddingStore(tmp_path / "store", before.fingerprint, 3)
        assert not [c for c in kept.verify() if c.problem]


class TestClear:
    """Only what can be proved to be ours goes."""

    @pytest.fixture
    def store(self, dataset, tmp_path, settled):
        embed(dataset, tmp_path / "store")
        embed(dataset, tmp_path / "store", fingerprint_salt="2")
        return tmp_path / "store"

    def files(self, folder):
        return {str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir()}

    def test_all_of_ours(self, store):
        first = store / ColourEncoder().fingerprint
        part = next(first.glob("part-*"))
        part.with_suffix(".damaged").write_bytes(b"?")
        (first / f"part-{'0' * 32}.parquet").write_bytes(b"cut short")
        (first / f".{part.name}.{2**22 + 1}.0.tmp").write_bytes(b"half")  # as the first version named them
        assert len(clear(store, first.name).removed) == 1 and not first.exists() and (store / "paths").exists()
        done = clear(store)
        assert len(done.removed) == 1 and not done.left and not list(store.iterdir())
        assert clear(store) == type(done)()

    @pytest.mark.parametrize("description", ['{"format": "layers-model"}', "{}", "[]", '{"kind": "zsc embeddings"}'])
    def test_folders_of_others(self, tmp_path, description):
        for name in ("tfjs", "0123456789abcdef"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "model.json").write_text(description)
            (tmp_path / name / "shard.bin").write_text("weights")
        (tmp_path / "paths").mkdir()
        (tmp_path / "paths/notes.txt").write_text("notes")
        before = self.files(tmp_path)
        done = clear(tmp_path)
        assert not done.removed and {p.name for p, _ in done.left} == {"tfjs", "0123456789abcdef"}
        assert self.files(tmp_path) == before

    def test_files_of_others_in_our_folders(self, store, tmp_path):
        first = store / ColourEncoder().fingerprint
        (first / "notes.txt").write_text("notes")
        (first / "part-list.parquet").write_text("a list of parts")
        (first / "sub").mkdir()
        (tmp_path / "elsewhere.parquet").write_text("linked")
        (first / f"part-{'1' * 32}.parquet").symlink_to(tmp_path / "elsewhere.parquet")
        newer = write_vectors(first, [[1, 0, 0]], {"kind": "embeddings", "format": 2})
        other = write_vectors(store / "paths", [[1, 0, 0]])
        done = clear(store)
        left = {"notes.txt", "part-list.parquet", "sub", f"part-{'1' * 32}.parquet", newer.name}
        assert {p.name for p, _ in done.left} == left | {other.name} and all(reason for _, reason in done.left)
        assert {p.name for p in first.iterdir()} == left | {"model.json"}  # which says whose newer part it is
        assert [p.name for p in (store / "paths").iterdir()] == [other.name]
        assert (tmp_path / "elsewhere.parquet").read_text() == "linked" and len(list(store.iterdir())) == 2

    def test_a_linked_folder_is_left(self, store, tmp_path):
        shutil.move(store / ColourEncoder().fingerprint, tmp_path / "elsewhere")
        (store / ColourEncoder().fingerprint).symlink_to(tmp_path / "elsewhere")
        before = self.files(tmp_path / "elsewhere")
        assert len(clear(store).removed) == 1 and self.files(tmp_path / "elsewhere") == before

    def test_a_file_that_is_being_written_is_left(self, store):
        from zsc.files import _HOST

        first = store / ColourEncoder().fingerprint
        alive = first / f".part-x.parquet.{_HOST}-{os.getppid()}-0.zsc-tmp"
        dead = first / f".part-x.parquet.{_HOST}-{2**22 + 1}-0.zsc-tmp"
        for path in (alive, dead):
            path.write_bytes(b"half")
        assert [p for p, _ in clear(store).left] == [alive] and not dead.exists()


class TestWriting:
    """Nothing half, nothing left over; a store that cannot be written to is read as it is."""

    def test_no_temporary_file_stays(self, dataset, tmp_path, monkeypatch):
        from zsc import files

        def full(descriptor):
            raise OSError(28, "No space left on device")

        (tmp_path / "store" / ColourEncoder().fingerprint).mkdir(parents=True)
        with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left on device"):
            patch.setattr(files.os, "fsync", full)
            embed(dataset, tmp_path / "store")
        assert not [p for p in (tmp_path / "store").rglob("*") if p.is_file()]
        assert embed(dataset, tmp_path / "store")[1] == 30

    def test_what_a_killed_run_left_is_swept(self, dataset, tmp_path):
        from zsc.files import _HOST

        for name in (ColourEncoder().fingerprint, "paths"):
            folder = tmp_path / "store" / name
            folder.mkdir(parents=True)
            (folder / f".part-x.parquet.{_HOST}-{2**22 + 1}-0.zsc-tmp").write_bytes(b"half")
        embed(dataset, tmp_path / "store")
        assert not list((tmp_path / "store").rglob("*.zsc-tmp"))

    @pytest.fixture
    def read_only(self, monkeypatch):
        """Refuse writing, also to the administrator, to whom the rights of a folder say nothing."""

        def refuse():
            def refused(*args, **kwargs):
                raise OSError(30, "Read-only file system")

            monkeypatch.setattr("zsc.store.write_whole", refused)
            monkeypatch.setattr("zsc.store.os.access", lambda path, mode: False)
            monkeypatch.setattr(Path, "replace", refused)

        return refuse

    def test_a_read_only_store_is_readable(self, dataset, tmp_path, settled, read_only):
        before, _ = embed(dataset, tmp_path / "store")
        shutil.move(tmp_path / "pictures", tmp_path / "moved")
        moved = zsc.ImageDataset.from_folder(tmp_path / "moved")
        read_only()
        with pytest.warns(StoreWarning, match="30 paths could not be remembered .Read-only file system"):
            after, count = embed(moved, tmp_path / "store")
        assert count == 0
        np.testing.assert_array_equal(after.values, before.values)

    def test_one_sentence_where_it_must_be_written(self, dataset, tmp_path, read_only):
        embed(dataset[:3], tmp_path / "store")
        read_only()
        with pytest.raises(
            OSError, match="store cannot be written to .it is read-only., and not all pictures"
        ) as caught:
            embed(dataset, tmp_path / "store")
        assert str(caught.value).startswith(str(tmp_path / "store"))
        with pytest.raises(OSError, match="cannot be written to"):
            embed(dataset, tmp_path / "none")

    def test_a_damaged_part_of_a_read_only_store(self, dataset, tmp_path, read_only):
        embed(dataset, tmp_path / "store")
        part = next((tmp_path / "store" / ColourEncoder().fingerprint).glob("part-*"))
        part.write_bytes(part.read_bytes()[:-9])
        read_only()
        with pytest.warns(DamagedPartWarning, match="could not be set aside .Read-only file system"):
            EmbeddingStore(tmp_path / "store", ColourEncoder().fingerprint, 3)

    def test_opening_writes_nothing(self, tmp_path):
        assert len(EmbeddingStore(tmp_path / "store", "f", 2, {"name": "x"})) == 0
        assert PathIndex(tmp_path / "store").lookup(["x"]) == [None] and not (tmp_path / "store").exists()

    @pytest.mark.parametrize("store", ["", "  ", 3, b"x"])
    def test_what_is_no_folder(self, dataset, store):
        with pytest.raises(TypeError, match="store=.*; pass a folder, or None to keep nothing"):
            embed(dataset, store)

    def test_a_file_is_no_folder(self, dataset, tmp_path):
        (tmp_path / "store").write_text("x")
        with pytest.raises(NotADirectoryError, match="store is a file; pass a folder"):
            embed(dataset, tmp_path / "store")


def unit_rows(n, dim=8, seed=0):
    rows = np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def digests_of(n, first=0):
    """Make n digests, every tenth one that of a text."""
    plain = [hashlib.sha256(str(i).encode()).digest() for i in range(first, first + n)]
    return [EmbeddingStore.key_of([i]) if i % 10 == 0 else digest for i, digest in enumerate(plain, first)]


FINGERPRINT = "0123456789abcdef"


class TestCompacted:
    """Full parts and a file of keys: the same answers, whatever stands beside them, is killed, or is damaged."""

    @pytest.fixture(autouse=True)
    def small_parts(self, monkeypatch):
        """Let 128 rows of 8 float32 be a full part."""
        monkeypatch.setattr(store_file, "PART_BYTES", 128 * 8 * 4)

    def keys(self, store):
        (found,) = store.folder.glob("keys-*.zsc")
        return found

    def open(self, folder):
        return EmbeddingStore(folder, FINGERPRINT, 8)

    @pytest.fixture
    def kept(self, tmp_path):
        """Keep 400 vectors in 40 parts, of which each shares 5 with the next."""
        digests, values = digests_of(400), unit_rows(400)
        store = self.open(tmp_path)
        for start in range(0, 400, 10):
            store.add(digests[start : start + 15], values[start : start + 15])
        return tmp_path, digests, values

    def check(self, store, digests, values):
        """Check that all are there once, and bit-equal, by every way that leads to them."""
        found, is_there = store.get([b"?" * 32, None, *digests])
        assert is_there.tolist() == [False, False] + [True] * len(digests)
        np.testing.assert_array_equal(found[2:], values)
        assert len(store) == len(digests) and store.texts == sum(d.startswith(b"zsc text") for d in digests)
        assert all(d in store for d in digests) and b"?" * 32 not in store and "x" not in store
        batches = list(store.scan(7))
        scanned = [d for some, _ in batches for d in some]
        assert sorted(scanned) == sorted(digests) and max(len(some) for some, _ in batches) <= 7
        place = {d: i for i, d in enumerate(digests)}
        np.testing.assert_array_equal(np.concatenate([v for _, v in batches]), values[[place[d] for d in scanned]])

    def test_the_same_answers(self, kept):
        folder, *rows = kept
        before, old = self.open(folder), self.open(folder)
        self.check(before, *rows)
        new = before.compact()
        assert [p for p in new if not p.exists()] == [] and sorted(new) == sorted(before.parts)
        assert [pq.read_metadata(p).num_rows for p in new] == [128, 128, 128, 16]
        self.check(before, *rows)
        self.check(self.open(folder), *rows)
        self.check(old, *rows)  # it has the old list: the rows are found in the new parts
        assert not [c for c in before.verify() if c.problem]
        assert before.compact() == new  # the full ones stay; the same bytes, the same name
        self.check(self.open(folder), *rows)

    def test_what_comes_later_is_found_and_put_to_the_large(self, kept):
        folder, digests, values = kept
        store = self.open(folder)
        store.compact()
        more, other = digests_of(50, first=1000), unit_rows(50, seed=1)
        for opened in (store, self.open(folder)):
            opened.add([*more, *digests[:3]], np.concatenate([other, values[:3]]))  # three are there already
            everything = [*digests, *more], np.concatenate([values, other])
            self.check(opened, *everything)
        self.check(self.open(folder), *everything)
        store.compact()
        self.check(self.open(folder), *everything)

    def test_equal_beginnings_and_ends_and_zeros_mislead_nobody(self, tmp_path):
        keys = [b"\0" * 16, b"a" + b"\0" * 15, b"a\0a" + b"\0" * 13, b"\xff" * 16, b"a" * 15 + b"\0", b"a" * 16]
        digests = [b"12345678" + key + b"87654321" for key in keys]
        values = unit_rows(6)
        store = self.open(tmp_path)
        store.add(digests[:3], values[:3])
        store.compact()
        store.add(digests[2:5], values[2:5])
        for opened in (store, self.open(tmp_path)):
            found, is_there = opened.get(digests)
            assert is_there.tolist() == [True] * 5 + [False] and len(opened) == 5
            np.testing.assert_array_equal(found[:5], values[:5])
        store.compact()
        self.check(self.open(tmp_path), digests[:5], values[:5])

    @pytest.mark.parametrize("missing", ["keys", "a full part", "nothing", "two files of keys"])
    def test_keys_that_do_not_fit_the_parts(self, kept, missing):
        folder, digests, values = kept
        store = self.open(folder)
        first, *_ = store.compact()
        keys = self.keys(store)
        if missing == "keys":
            keys.unlink()
        elif missing == "a full part":
            gone = pq.read_table(first)["digest"].to_pylist()
            first.unlink()
            keep = [i for i, d in enumerate(digests) if d not in gone]
            digests, values = [digests[i] for i in keep], values[keep]
        else:  # the keys of a moment before
            old = keys.read_bytes()
            store.add(digests_of(90, first=1000), unit_rows(90, seed=1))
            digests, values = [*digests, *digests_of(90, first=1000)], np.concatenate([values, unit_rows(90, seed=1)])
            store.compact()
            if missing == "nothing":
                self.keys(store).unlink()
            keys.write_bytes(old)
        self.check(self.open(folder), digests, values)
        self.open(folder).compact()
        self.check(self.open(folder), digests, values)

    def test_half_precision(self, kept):
        folder, digests, values = kept
        store = self.open(folder)
        store.compact("float16")
        store.add(digests_of(20, first=1000), unit_rows(20, seed=1))
        opened = self.open(folder)
        kinds = [str(pq.read_schema(p).field("values").type.value_type) for p in opened.parts]
        assert (
            sorted(kinds) == ["float"] + ["halffloat"] * 4
            and sorted(map(opened.parts.dtype, opened.parts))[-1] == "float32"
        )
        found, is_there = opened.get(digests)
        assert is_there.all() and found.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
        assert 0 < np.abs(found - values).max() < 5e-4 and np.abs(found @ found.T - values @ values.T).max() < 1e-3
        half = opened.get(digests)[0]
        opened.compact()
        np.testing.assert_array_equal(self.open(folder).get(digests)[0], half)  # nothing is lost a second time
        with pytest.raises(ValueError, match="dtype='int8'; dtype must be one of float32, float16"):
            store.compact("int8")

    def test_each_damaged_byte_is_found_and_never_returned(self, kept):
        """Every 61st byte of a full part, each bit of a byte in turn."""
        folder, digests, values = kept
        store = self.open(folder)
        part = store.compact()[0]
        whole, place = part.read_bytes(), {d: i for i, d in enumerate(digests)}
        inside = pq.read_table(part)["digest"].to_pylist()
        for at in range(0, len(whole), 61):
            damaged = bytearray(whole)
            damaged[at] ^= 1 << at % 8
            part.write_bytes(bytes(damaged))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", StoreWarning)
                opened = self.open(folder)
                assert [c.path for c in opened.verify() if c.problem] == [part], at
                found, is_there = opened.get(inside[::5])
                for digest, value in zip(np.array(inside, dtype=object)[::5][is_there], found[is_there], strict=True):
                    np.testing.assert_array_equal(value, values[place[digest]], err_msg=str(at))
                part.with_suffix(".damaged").unlink(missing_ok=True)
            part.write_bytes(whole)
        self.check(self.open(folder), digests, values)

    def test_ten_damaged_bytes_of_the_keys(self, kept):
        folder, *rows = kept
        store = self.open(folder)
        store.compact()
        keys = self.keys(store)
        whole = keys.read_bytes()
        for at in np.linspace(0, len(whole) - 1, 10).astype(int):
            keys.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
            with pytest.warns(StoreWarning, match=r"keys-.*: its bytes are not those .* until 'zsc store compact'"):
                opened = self.open(folder)
            self.check(opened, *rows)
            assert [c.path for c in opened.verify() if c.problem] == [keys]
        for content in (b"", whole[:100]):
            keys.write_bytes(content)
            with pytest.warns(StoreWarning, match="keys-"):
                self.check(self.open(folder), *rows)
        with pytest.warns(StoreWarning):
            self.open(folder).compact()
        assert not [c for c in self.open(folder).verify() if c.problem]

    @pytest.mark.parametrize("full", [False, True])
    def test_a_damaged_part_costs_what_it_alone_held(self, kept, full):
        """What another small part holds, too, outlives the compaction that meets the damage."""
        folder, digests, values = kept
        victim = self.open(folder).compact()[1] if full else min((folder / FINGERPRINT).glob("part-*"))
        parts = {p: pq.read_table(p)["digest"].to_pylist() for p in (folder / FINGERPRINT).glob("part-*")}
        opened, whole = self.open(folder), bytearray(victim.read_bytes())
        place = whole.index(parts[victim][3] if full else values[digests.index(parts[victim][3])].tobytes())
        whole[place] ^= 4
        victim.write_bytes(bytes(whole))
        with pytest.warns(StoreWarning, match="set aside"):
            opened.compact()
        alone = {*parts[victim]} - {d for p, some in parts.items() if p != victim for d in some}
        left = [i for i, d in enumerate(digests) if d not in alone]
        assert len(alone) > 0 and (full or len(alone) < len(parts[victim]))
        for _ in range(2):
            self.check(self.open(folder), [digests[i] for i in left], values[left])
            self.open(folder).compact()

    def test_a_part_of_which_as_many_rows_as_a_full_one_has_count(self, tmp_path):
        """Those that another part holds, too, are not counted twice."""
        digests, values, seen = digests_of(140), unit_rows(140), set()
        for k in range(8):
            store = self.open(tmp_path / str(k))
            parts = [store.add(digests, values), store.add(digests[k : k + 12], values[k : k + 12])]
            seen.add(min(parts) == parts[1])  # then the small one owns twelve, and 128 are left
            store.compact()
            self.check(self.open(tmp_path / str(k)), digests, values)
        assert seen == {False, True}

    def test_the_same_part_again(self, tmp_path):
        digests, values = digests_of(20), unit_rows(20)
        store = self.open(tmp_path)
        assert store.add(digests, values) == store.add(digests, values)
        self.check(store, digests, values)
        store.add([digests[0], digests[0]], values[[0, 0]])
        for opened in (store, self.open(tmp_path)):
            self.check(opened, digests, values)
        store.compact()
        self.check(self.open(tmp_path), digests, values)

    def test_a_scan_that_is_overtaken_says_so(self, kept):
        folder, digests, _ = kept
        store = self.open(folder)
        batches = store.scan(5)
        next(batches)
        self.open(folder).compact()
        with pytest.raises(OSError, match="was compacted by another process meanwhile; start again"):
            list(batches)
        store.get(digests[:1])

    @pytest.mark.parametrize("moment", ["new parts", "keys", "first old part"])
    def test_stopped_at_each_step(self, kept, monkeypatch, moment):
        folder, *rows = kept
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):

            def stop(*args, **kwargs):
                raise KeyboardInterrupt

            if moment == "new parts":
                patch.setattr(EmbeddingStore, "_write_keys", stop)
            elif moment == "keys":
                patch.setattr(Path, "unlink", stop)
            else:
                unlink, seen = Path.unlink, []

                def second(path, **options):
                    if path.name.startswith("part-"):
                        seen.append(path)
                    return stop() if len(seen) == 2 else unlink(path, **options)

                patch.setattr(Path, "unlink", second)
            self.open(folder).compact()
        assert len(list((folder / FINGERPRINT).glob("part-*"))) > 40  # old ones and new ones
        self.check(self.open(folder), *rows)
        self.open(folder).compact()
        self.check(self.open(folder), *rows)
        assert len(list((folder / FINGERPRINT).glob("part-*"))) == 4
        (folder / FINGERPRINT / "model.json").write_text('{"kind": "zsc embeddings", "name": "x", "embed_dim": 8}')
        assert len(clear(folder).removed) == 1 and not list(folder.iterdir())

    @pytest.mark.slow
    def test_five_kills_of_writers_and_compactions(self, tmp_path):
        """Two processes, one that adds and one that compacts, are killed five times; what was told as kept is there."""
        clock, told = random.Random(0), tmp_path / "told"
        told.write_text("")
        for round_ in range(5):
            both = [
                subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(told), what, str(round_)],
                                 env=os.environ | {"PYTHONPATH": f"{HERE.parent}:{HERE}"})
                for what in ("add", "compact")
            ]  # fmt: skip
            before = told.read_text().count("\n")
            while told.read_text().count("\n") < before + 3 and both[0].poll() is None:
                time.sleep(0.01)
            time.sleep(clock.uniform(0, 0.3))
            for process in both:
                process.kill()
                assert process.wait() == -signal.SIGKILL
        numbers = [int(line) for line in told.read_text().split("\n")[:-1]]
        assert len(numbers) >= 15
        digests = [d for n in numbers for d in digests_of(10, first=1000 * (1 + n))]
        values = np.concatenate([unit_rows(10, seed=n) for n in numbers])
        place = {d: i for i, d in enumerate(digests)}
        values, digests = values[list(place.values())], list(place)
        store = self.open(tmp_path)
        found, is_there = store.get(digests)
        assert is_there.all()
        np.testing.assert_array_equal(found, values)
        scanned = [d for some, _ in store.scan() for d in some]
        assert len(scanned) == len(set(scanned)) == len(store) and not [c for c in store.verify() if c.problem]
        store.compact()
        np.testing.assert_array_equal(self.open(tmp_path).get(digests)[0], values)


HELPERS = inspect.getsource(unit_rows) + inspect.getsource(digests_of)
WRITER = f"""
import hashlib, sys
import numpy as np
from zsc import store as store_file
from zsc.store import EmbeddingStore
{HELPERS}
folder, told, what, round_ = sys.argv[1:]
store_file.PART_BYTES = 128 * 32
for n in range(10_000 * int(round_), 10_000 * int(round_) + 9_999):
    store = EmbeddingStore(folder, {FINGERPRINT!r}, 8)
    if what == "compact":
        store.compact()
    else:
        own = [d for d in digests_of(10, first=1000 * (1 + n))]
        store.add(own, unit_rows(10, seed=n))
        with open(told, "a") as file:
            file.write(str(n) + chr(10))
"""
