"""The same job on a local Ray cluster of two workers: one machine's numbers, nothing lost, nothing twice."""

import contextlib
import gzip
import io
import json
import logging
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ColourEncoder
from pyarrow import fs
from servers import Cutter
from test_store import make_pictures

import zsc
from zsc.images import ImageError
from zsc.store import EmbeddingStore, clear

ray = pytest.importorskip("ray")
from zsc import cluster as cluster_file
from zsc.cluster import embed_on_cluster, run_on_cluster

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
PATH = f"{HERE}{os.pathsep}{HERE.parent}"


class WatchedEncoder(ColourEncoder):
    """Writes down which process encodes what, and takes its time."""

    def __init__(self, log, pause=0.0):
        super().__init__()
        self.log, self.pause = log, pause

    def encode_pixels(self, pixels):
        with Path(self.log).open("a", encoding="utf-8") as log:
            log.write(f"{os.getpid()} {len(pixels)}\n")
        time.sleep(self.pause)
        return super().encode_pixels(pixels)


@pytest.fixture(scope="module")
def real_ray():
    """Two cores on this machine; the workers find the tests' modules, and see no network."""
    patch = pytest.MonkeyPatch()
    patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(
        num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error",
        runtime_env={"env_vars": {"PYTHONPATH": PATH}}, object_store_memory=200 * 2**20,
    )  # fmt: skip
    yield
    ray.shutdown()
    patch.undo()


@pytest.fixture
def no_network():
    """Ray talks to itself over this machine's own address."""


@pytest.fixture
def dataset(tmp_path):
    return make_pictures(tmp_path / "pictures", n=40)


class OneProcess:
    """What `run_on_cluster` asks of Ray, in this process: one actor, the last chunk first."""

    data = property(lambda self: self)

    def put(self, chunk):
        return chunk

    def from_arrow_refs(self, chunks):
        self.chunks = chunks
        return self

    def ActorPoolStrategy(self, **_):
        return None

    def map_batches(self, actor, fn_constructor_args, **_):
        self.actor, self.arguments = actor, fn_constructor_args
        return self

    def iter_batches(self, **_):
        actor = self.actor(*self.arguments)
        return map(actor, reversed(self.chunks))


@pytest.fixture
def one_process(monkeypatch):
    """Run chunk after chunk here: what does not depend on Ray itself is tested in a tenth of the time."""
    monkeypatch.setattr(cluster_file, "_running", lambda *_: contextlib.nullcontext(OneProcess()))


@pytest.fixture
def no_ray(monkeypatch):
    """Fail where Ray would be asked for anything."""
    monkeypatch.setattr(cluster_file, "_running", lambda *_: pytest.fail("Ray was asked"))


def encoded(log):
    return sum(int(line.split()[1]) for line in log.read_text().splitlines()) if log.exists() else 0


def run(source, tmp_path, pause=0.0, batch_size=4, **options):
    log = str(tmp_path / "log")
    options = {"progress": False, "output": tmp_path / "out", **options}
    return embed_on_cluster(source, model=lambda: WatchedEncoder(log, pause), batch_size=batch_size, **options)


def check_same(ours, dataset, batch_size=4):
    """Check that everything is what one machine makes of a data set, to the last bit."""
    here = zsc.embed_images(ColourEncoder(), dataset, batch_size=batch_size, on_error="record", progress=False)
    np.testing.assert_array_equal(ours.values, here.values)
    assert [*map(os.fspath, ours.paths)] == [*map(os.fspath, here.paths)]
    assert ours.labels.tolist() == here.labels.tolist() and ours.class_names == here.class_names
    assert ours.digests == here.digests and ours.data_digest == here.data_digest != ""
    assert ours.dataset == here.dataset and ours.failures.equals(here.failures)


def test_what_one_machine_makes(dataset, tmp_path, monkeypatch, real_ray):
    """Vectors, labels, order (numbers by value), names of failures; and again, only what failed is tried."""
    for i in (0, 10, 9):
        dataset.paths[i].rename(dataset.paths[i].with_name(f"{i}.png"))
    broken, gone = sorted((tmp_path / "pictures" / "b").iterdir())[3:5]
    dataset = zsc.ImageDataset.from_folder(tmp_path / "pictures")
    broken.write_bytes(b"no picture")
    gone.unlink()
    told = []
    ours = run(dataset, tmp_path, progress=lambda n, total: told.append((n, total)))
    check_same(ours, dataset)
    assert ours.failures["image"].tolist() == [str(broken), str(gone)]
    assert told[-1] == (40, 40) and encoded(tmp_path / "log") == 38
    check_same(zsc.ImageEmbeddings.load(tmp_path / "out"), dataset)
    assert zsc.ZeroShotClassifier(["red", "green"], ColourEncoder()).predict(ours, on_error="skip").shape[0] == 38
    with pytest.raises(ImageError, match=f"{broken.name}: not a picture"):
        run(dataset, tmp_path, on_error="raise")
    assert encoded(tmp_path / "log") == 38
    monkeypatch.setattr(cluster_file, "_running", lambda *_: pytest.fail("Ray was asked"))
    left = dataset[[i for i in range(40) if i not in set(ours.failures["index"])]]
    again = run(left, tmp_path)
    assert (
        again.values.tolist() == ours.without_failed().values.tolist() and again.labels.tolist() == left.labels.tolist()
    )


def test_every_name_that_one_machine_takes(dataset, tmp_path, one_process):
    names = ["noext", "b.jfif", "e?f.png", "_DSC1.png", "caf\udce9.png", "10.png", "9.png", "gone.png"]
    paths = [tmp_path / name for name in names]
    for path, picture in zip(paths[:-1], dataset.paths, strict=False):
        path.write_bytes(picture.read_bytes())
    twice = zsc.ImageDataset([*paths, paths[0]], None, [], name="list")
    ours = run([str(path) for path in twice.paths], tmp_path)
    check_same(ours, twice)
    assert ours.failures["index"].tolist() == [7] and len(ours) == 9


def test_a_folder(tmp_path, monkeypatch, no_ray):
    """Every picture but those with hidden names, those in `_sub` among them; what is kept is not sent to Ray."""
    monkeypatch.setattr("zsc.store.SETTLED_NS", 0)
    dataset = make_pictures(tmp_path / "pictures" / "_sub", n=6)
    (tmp_path / "pictures" / ".h.png").write_bytes(dataset.paths[0].read_bytes())
    listed = zsc.ImageDataset.from_pictures(tmp_path / "pictures")
    zsc.embed_images(ColourEncoder(), listed, tmp_path / "out", batch_size=4, progress=False)
    ours = run(tmp_path / "pictures", tmp_path)
    check_same(ours, listed)
    assert len(ours) == 6


def test_two_data_sets_in_one_store(tmp_path, one_process):
    """Each has its own manifest; parts hold hundreds of rows; nothing of a stopped run stays; all of it can go."""
    many = make_pictures(tmp_path / "many", n=1100, seed=5)
    store = tmp_path / "out"
    first = run(many, tmp_path, batch_size=32, actors=1)
    check_same(first, many, batch_size=32)
    (folder,) = {path.parent for path in store.glob("*/model.json")}
    rows = [len(pq.read_table(part)) for part in folder.glob("part-*.parquet")]
    assert sorted(rows) == [76, 512, 512]
    second = run(many.head(1050), tmp_path, batch_size=32)
    manifests = sorted(folder.glob("*manifest*"))
    assert len(manifests) == 2
    with pytest.raises(ValueError, match="holds 2 files"):
        zsc.ImageEmbeddings.load(store)
    assert {len(zsc.ImageEmbeddings.load(path)) for path in manifests} == {1100, 1050} == {len(first), len(second)}
    part = max(folder.glob("part-*"), key=lambda path: path.stat().st_size)
    part.unlink()
    with pytest.raises(ValueError, match="512 of its vectors are not in the store"):
        zsc.ImageEmbeddings.load(manifests[0])
    assert clear(store).left == [] and not folder.exists()


def test_a_killed_worker_loses_nothing(dataset, tmp_path, real_ray):
    log = tmp_path / "log"

    def kill_one():
        while not (log.exists() and log.read_text().count("\n") >= 2):
            time.sleep(0.02)
        os.kill(int(log.read_text().split()[0]), signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    ours = run(dataset, tmp_path, pause=0.2)
    killer.join()
    check_same(ours, dataset)
    assert len({line.split()[0] for line in log.read_text().splitlines()}) >= 2


def test_a_killed_driver_loses_nothing(tmp_path, real_ray):
    """What it had embedded is neither read nor embedded again."""
    dataset, log = make_pictures(tmp_path / "pictures", n=1200), tmp_path / "log"
    code = (
        "import ray, sys, test_cluster as t, zsc; from pathlib import Path\n"
        f"ray.init(address={ray.get_runtime_context().gcs_address!r}, log_to_driver=False,"
        f" runtime_env={{'env_vars': {{'PYTHONPATH': {PATH!r}}}}})\n"
        f"place = Path({str(tmp_path)!r})\n"
        "t.run(zsc.ImageDataset.from_folder(place / 'pictures'), place, .05, 32, actors=1)"
    )
    driver = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": PATH}, stderr=-3, stdout=-3
    )
    while driver.poll() is None and not [*(tmp_path / "out").glob("[0-9a-f]*/part-*")]:
        time.sleep(0.02)
    driver.kill()
    assert driver.wait() == -signal.SIGKILL
    pids = {line.split()[0] for line in log.read_text().splitlines()}
    while any(Path("/proc", pid).exists() for pid in pids):  # until Ray has ended its actors
        time.sleep(0.1)
    before = encoded(log)
    assert 512 <= before <= 1200
    kept = sum(len(pq.read_table(part)) for part in (tmp_path / "out").glob("[0-9a-f]*/part-*"))
    ours = run(dataset, tmp_path, batch_size=32)
    check_same(ours, dataset, batch_size=32)
    assert encoded(log) - before == 1200 - kept <= 688
    rows = [
        row for part in (tmp_path / "out").glob("[0-9a-f]*/part-*") for row in pq.read_table(part)["digest"].to_pylist()
    ]
    assert len(rows) == len(set(rows)) == 1200


class TestWhatCannotBe:
    @pytest.mark.parametrize(("options", "words"), [
        ({"address": "10.255.255.1:6379"}, "Ray runs in this process at .*; call ray.shutdown"),
        ({"gpus_per_actor": 1}, "1 GPUs per encoder are asked for, and no machine of the cluster has more than 0"),
        ({"actors": 0}, "actors"),
        ({"batch_size": 0}, "batch_size"),
        ({"on_error": "stop"}, "on_error"),
    ])  # fmt: skip
    def test_options(self, dataset, tmp_path, real_ray, options, words):
        begun, bars = time.monotonic(), ray.data.DataContext.get_current().enable_progress_bars
        level = logging.getLogger("ray.data").level
        with pytest.raises(ValueError, match=words):
            run(dataset, tmp_path, **options)
        assert time.monotonic() - begun < 5
        assert ray.data.DataContext.get_current().enable_progress_bars == bars
        assert logging.getLogger("ray.data").level == level and ray.is_initialized()

    @pytest.mark.parametrize("address", ["127.0.0.1:6399", "ray://127.0.0.1:6399", "nonsense", "host:99999999"])
    def test_a_cluster_that_is_not_there(self, dataset, tmp_path, monkeypatch, address):
        begun = time.monotonic()
        monkeypatch.setattr(ray, "is_initialized", lambda: False)
        with pytest.raises(ConnectionError, match=f"no Ray cluster answers at {address}.*pass host:port"):
            run(dataset, tmp_path, address=address)
        assert time.monotonic() - begun < 8

    def test_sources(self, tmp_path):
        with pytest.raises(ValueError, match="list: it holds no picture to embed"):
            run([], tmp_path)
        with pytest.raises(ValueError, match="in memory, where no cluster"):
            run(zsc.load_dataset("drawn-glasses", n=3), tmp_path)

    def test_a_model_that_no_worker_can_load(self, dataset, tmp_path, real_ray):
        driver = os.getpid()

        def load():
            if os.getpid() != driver:
                raise OSError("the disk has no weights; fetch them")
            return ColourEncoder()

        with pytest.raises(RuntimeError) as caught:
            run_on_cluster(dataset, model=load, output=tmp_path / "out", progress=False)
        assert str(caught.value) == (
            "Ray ended the run (OSError: the disk has no weights; fetch them); mend that and run again: it goes on."
        )

    def test_what_is_lost_is_told(self, dataset, tmp_path, monkeypatch, one_process):
        """What went in is counted against what came out, whatever Ray says."""

        monkeypatch.setattr(
            OneProcess, "iter_batches", lambda *_, **__: iter([pa.table([[0], [b"x" * 32], [""]], list("abc"))])
        )
        with pytest.raises(OSError, match="40 of 40 pictures have no embedding in .*0000.png; run it again"):
            run(dataset, tmp_path)


def test_the_command(tmp_path):
    """Ray is started and ended; the same options, counts, failures and vectors as without --cluster."""
    make_pictures(tmp_path / "pictures", n=40)
    words = ["embed", "--folder", "pictures", "--model", "toy", "--limit", "30", "--batch-size", "8", "--json"]
    said = []
    for more in (["--store", "ours", "--cluster", "--workers", "1"], ["--store", "theirs"]):
        environment = {**os.environ, "PYTHONPATH": PATH, "RAY_USAGE_STATS_ENABLED": "0"}
        done = subprocess.run(  # noqa: PLW1510
            [sys.executable, "-m", "zsc", *words, *more], cwd=tmp_path, capture_output=True, text=True, env=environment
        )
        assert done.returncode == 0, done.stderr
        said.append(json.loads(done.stdout))
    ours, theirs = said
    listed = zsc.ImageEmbeddings.load(ours["manifest"])
    assert {k: ours[k] for k in ("model", "fingerprint", "dataset", "pictures", "failures")} == {
        k: theirs[k] for k in ("model", "fingerprint", "dataset", "pictures", "failures")
    }
    dataset = zsc.ImageDataset.from_folder(tmp_path / "pictures").head(30)
    values, found = EmbeddingStore(tmp_path / "theirs", ours["fingerprint"], listed.values.shape[1]).get(listed.digests)
    np.testing.assert_array_equal(listed.values, values)
    assert found.all() and listed.labels.tolist() == dataset.labels.tolist() and listed.dataset == "pictures"


@pytest.fixture(scope="module")
def s3():
    """An S3 server on loopback, in memory, behind a proxy that cuts connections."""
    patch = pytest.MonkeyPatch()
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    proxy = Cutter(server.get_host_and_port()[1])
    for name, value in {"ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "y", "EC2_METADATA_DISABLED": "true",
                        "DEFAULT_REGION": "us-east-1", "ENDPOINT_URL": f"http://{proxy.address}"}.items():  # fmt: skip
        patch.setenv(f"AWS_{name}", value)
    yield proxy
    proxy.close()
    server.stop()
    patch.undo()
    zsc.images._file_system.cache_clear()


def put(paths, bucket):
    system = fs.S3FileSystem(endpoint_override=os.environ["AWS_ENDPOINT_URL"], allow_bucket_creation=True)
    system.create_dir(bucket)
    for path in paths:
        with system.open_output_stream(f"{bucket}/{path.name}") as file:
            file.write(path.read_bytes())


class TestPicturesThatAreNoFiles:
    def test_a_bucket(self, tmp_path, s3, one_process):
        """By a CSV listing, as on one machine; cut connections are tried again, and what is gone is told."""
        dataset = make_pictures(tmp_path / "pictures", n=40)
        put(dataset.paths, "bucket")
        odd = dataset.paths[0].with_name("a b#1%20@2x.png")
        odd.write_bytes(dataset.paths[0].read_bytes())
        put([odd], "bucket")
        names = [path.name for path in dataset.paths] + [odd.name, "gone.png"]
        rows = [f"s3://bucket/{name},{name < '0020'}" for name in names]
        (tmp_path / "list.csv").write_text("\n".join(["image,label", *rows]))
        listed = zsc.ImageDataset.from_csv(tmp_path / "list.csv", image_column="image", label_column="label")
        s3.cuts = 3
        ours = run(listed, tmp_path)
        assert s3.broken == 3
        check_same(ours, listed)
        assert ours.failures["image"].tolist() == ["s3://bucket/gone.png"]
        assert ours.failures["error"][0].startswith("s3://bucket/gone.png: cannot be read (Path does not exist")
        np.testing.assert_array_equal(ours.values[40], ours.values[0])
        before = encoded(tmp_path / "log")
        s3.cuts = 10**9
        run(listed.head(2), tmp_path)  # with no connection: failures, and no error that ends the run
        assert encoded(tmp_path / "log") == before
        s3.cuts = 0
        assert run(listed.head(40), tmp_path).failed.sum() == 0 and encoded(tmp_path / "log") == before  # by content

    @pytest.mark.parametrize("where", ["file", "bucket"])
    def test_tables(self, tmp_path, s3, one_process, where):
        """As Hugging Face writes them, without paths, in several groups; nothing is left out, or named as another."""
        dataset = make_pictures(tmp_path / "pictures", n=40)
        content = [path.read_bytes() for path in dataset.paths]
        tables = [tmp_path / f"part-{k}.parquet" for k in range(2)]
        for k, table in enumerate(tables):
            images = [{"bytes": data, "path": None} for data in content[20 * k : 20 * k + 20]]
            images[3] = {"bytes": None, "path": None}
            columns = {"image": images, "label": [("dog", "cat")[i % 2] for i in range(20)]}
            pq.write_table(pa.table(columns), table, row_group_size=7)
        put(tables, "tables")
        urls = [f"s3://tables/{table.name}" for table in tables]
        listed = zsc.ImageDataset.from_parquet(*(tables if where == "file" else urls))
        assert len(listed) == 40 and listed.class_names == ["cat", "dog"] and listed.labels[:2].tolist() == [1, 0]
        ours = run(listed, tmp_path)
        check_same(ours, listed)
        assert ours.failures["index"].tolist() == [3, 23] and "without bytes and path" in ours.failures["error"][0]
        assert len(set(ours.paths)) == 40 and ours.paths[29].endswith("part-1.parquet#group=1,row=2")
        plain = zsc.embed_images(ColourEncoder(), dataset, batch_size=4, progress=False)
        good = [i for i in range(40) if i not in (3, 23)]
        np.testing.assert_array_equal(ours.values[good], plain.values[good])
        assert zsc.open_image(ours.paths[29]).tobytes() == zsc.open_image(dataset.paths[29]).tobytes()
        if where == "file":
            check_same(run(tmp_path, tmp_path), zsc.ImageDataset.from_parquet(*tables))  # a folder of tables

    @pytest.mark.parametrize("where", ["file", "bucket"])
    def test_shards(self, tmp_path, s3, one_process, where):
        """As webdataset writes them: keys in folders, with dots, labels before and behind, other members between."""
        dataset = make_pictures(tmp_path / "pictures", n=12)
        shards = [tmp_path / f"train-{k:06}.tar" for k in range(2)]
        for k, shard in enumerate(shards):
            with tarfile.open(shard, "w", format=tarfile.PAX_FORMAT) as tar:
                for i in range(6 * k, 6 * k + 6):
                    name, label = f"a.b/ü {i % 6}", ("dog", "cat")[i % 2].encode()
                    content = {"cls": label, "JPG": dataset.paths[i].read_bytes(), "json": b"{}", "seg.npy": b"x" * 700}
                    for ending in content if i % 3 else reversed(content):
                        member = tarfile.TarInfo(f"{name}.{ending}")
                        member.size = len(content[ending])
                        tar.addfile(member, io.BytesIO(content[ending]))
                tar.addfile(tarfile.TarInfo("folder.jpg/"))
        put(shards, "shards")
        urls = [f"s3://shards/{shard.name}" for shard in shards]
        listed = zsc.ImageDataset.from_shards(*(shards if where == "file" else urls))
        assert listed.name == "train-000000" and listed.class_names == ["cat", "dog"]
        assert listed.labels.tolist() == [1, 0] * 6 and "train-000001.tar#a.b/ü 3.JPG,offset=" in listed.paths[9]
        assert [zsc.open_image(p).tobytes() for p in listed.paths] == [
            zsc.open_image(p).tobytes() for p in dataset.paths
        ]
        ours = run(listed, tmp_path)
        check_same(ours, listed)
        here = zsc.embed_images(ColourEncoder(), dataset, batch_size=4, progress=False)
        np.testing.assert_array_equal(ours.values, here.values)

    def test_shards_that_are_none(self, tmp_path):
        shard, content = tmp_path / "s.tar", (tmp_path / "pictures")
        with tarfile.open(shard, "w", format=tarfile.USTAR_FORMAT) as tar:
            for path in make_pictures(content, n=3).paths:
                tar.add(path, path.name)
        assert (zsc.ImageDataset.from_shards(shard, name="x").labels == -1).all()
        whole, cut = shard.read_bytes(), tmp_path / "cut.tar"
        sizes = [zsc.ImageDataset.from_shards(shard).paths[k] for k in range(3)]
        ends = [int(path.rpartition("offset=")[2].partition(",")[0]) - 512 for path in sizes]  # right before a member
        for n in (*ends[1:], ends[1] + 100, ends[2] + 600, len(whole[: ends[2]]) - 1):
            cut.write_bytes(whole[:n])
            with pytest.raises(ValueError, match="cut.tar: no whole, plain tar file"):
                zsc.ImageDataset.from_shards(cut)
        for content in (b"", b"x" * 3000, gzip.compress(whole)):
            cut.write_bytes(content)
            with pytest.raises(ValueError, match="cut.tar: no whole, plain tar file"):
                zsc.ImageDataset.from_shards(shard, cut)
        with tarfile.open(cut, "w"):
            pass
        with pytest.raises(ValueError, match="1 shards hold no pictures; pass tar files of KEY.jpg"):
            zsc.ImageDataset.from_shards(cut)
        cut.write_bytes(whole.replace(b"PNG", b"GNP"))  # the listing of s.tar outlives its pictures
        with pytest.raises(zsc.ImageError, match="cut.tar#"):
            zsc.open_image(zsc.ImageDataset.from_shards(cut).paths[0])
        with pytest.raises(ValueError, match="the label"):  # one picture has a label, the others have none
            with tarfile.open(shard, "a") as tar:
                member = tarfile.TarInfo(f"{make_pictures(tmp_path / 'pictures', n=3).paths[0].stem}.cls")
                member.size = 3
                tar.addfile(member, io.BytesIO(b"cat"))
            zsc.ImageDataset.from_shards(shard)

    def test_tables_of_names_and_others(self, tmp_path):
        dataset = make_pictures(tmp_path / "pictures", n=4)
        names = [str(path) for path in dataset.paths]
        pq.write_table(pa.table({"path": names, "label": [0, 0, 10, 9]}), tmp_path / "n.parquet")
        listed = zsc.ImageDataset.from_parquet(tmp_path / "n.parquet")
        assert listed.paths == names
        assert listed.class_names == ["0", "9", "10"] and listed.labels.tolist() == [0, 0, 2, 1]
        pq.write_table(pa.table({"x": [1], "y": [2]}), tmp_path / "x.parquet")
        with pytest.raises(ValueError, match="x.parquet: the table has the columns x, y; pictures must be in"):
            zsc.ImageDataset.from_parquet(tmp_path / "x.parquet")
