"""The same job on a local Ray cluster of two workers: the same numbers, nothing lost, nothing twice."""

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ColourEncoder
from test_store import make_pictures

import zsc

ray = pytest.importorskip("ray")
from zsc.cluster import embed_on_cluster

pytestmark = pytest.mark.slow


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


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """Two cores on this machine; the workers find the tests' modules, and see no network."""
    path = f"{Path(__file__).parent}{os.pathsep}{Path(__file__).parents[1]}"
    patch = pytest.MonkeyPatch()
    patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(
        num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error",
        runtime_env={"env_vars": {"PYTHONPATH": path}}, object_store_memory=200 * 2**20,
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


def encoded(log):
    return sum(int(line.split()[1]) for line in log.read_text().splitlines()) if log.exists() else 0


def run(source, tmp_path, pause=0.0, **options):
    log = str(tmp_path / "log")
    return embed_on_cluster(
        source, model=lambda: WatchedEncoder(log, pause), output=tmp_path / "out", batch_size=4, **options
    )


def test_the_same_numbers(dataset, tmp_path):
    embeddings = run(dataset.paths, tmp_path)
    here = zsc.embed_images(ColourEncoder(), dataset, progress=False)
    order = np.argsort([str(p) for p in dataset.paths])
    assert [str(p) for p in embeddings.paths] == [str(dataset.paths[i]) for i in order]
    np.testing.assert_allclose(embeddings.values, here.values[order], atol=1e-5)
    loaded = zsc.ImageEmbeddings.load(tmp_path / "out")
    np.testing.assert_array_equal(loaded.values, embeddings.values)
    assert zsc.ZeroShotClassifier(["red", "green"], ColourEncoder()).predict(loaded).shape[0] == 40
    before = encoded(tmp_path / "log")
    assert before == 40
    run(dataset.paths, tmp_path)
    assert encoded(tmp_path / "log") == before  # nothing is embedded again


def test_a_folder_with_bad_pictures(dataset, tmp_path):
    dataset.paths[7].write_bytes(b"no picture")
    embeddings = run(tmp_path / "pictures", tmp_path)
    assert len(embeddings) == 40 and embeddings.failed.sum() == 1
    assert "not a picture" in embeddings.failures["error"][0]
    assert embeddings.failures["image"][0].endswith(dataset.paths[7].name)


def test_a_table_with_bytes(dataset, tmp_path):
    rows = {"image": [{"bytes": p.read_bytes(), "path": p.name} for p in dataset.paths[:10]]}
    pq.write_table(pa.table(rows), tmp_path / "t.parquet")
    embeddings = run(tmp_path / "t.parquet", tmp_path)
    here = zsc.embed_images(ColourEncoder(), dataset[:10], progress=False)
    order = np.argsort([p.name for p in dataset.paths[:10]])
    np.testing.assert_allclose(embeddings.values, here.values[order], atol=1e-5)


def test_a_killed_worker_loses_nothing(dataset, tmp_path):
    log = tmp_path / "log"

    def kill_one():
        while not (log.exists() and log.read_text().count("\n") >= 2):
            time.sleep(0.02)
        os.kill(int(log.read_text().split()[0]), signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    embeddings = run(dataset.paths, tmp_path, pause=0.2)
    killer.join()
    here = zsc.embed_images(ColourEncoder(), dataset, progress=False)
    order = np.argsort([str(p) for p in dataset.paths])
    np.testing.assert_allclose(embeddings.values, here.values[order], atol=1e-5)
    assert len({line.split()[0] for line in log.read_text().splitlines()}) >= 2
