"""Embed on a local Ray cluster: is the driver's memory flat, is all as on one machine, and what does a kill cost?

Usage: python -m benchmarks.cluster [N] [PICTURES]. First 10,000 and N (100,000) tiny pictures in Parquet tables go
through a stub encoder, and the driver's peak memory is read; the larger table lies in a bucket, too. Then PICTURES
(1,000) photographs with two broken ones, in a folder and in a bucket of an S3 server on loopback, are embedded by
`toy`; a worker, the driver and connections are killed once each, and every vector, label, failure and the order must be
one machine's. What must be equal is asserted.
Needs the extra dev (moto).
"""

from __future__ import annotations

import io
import logging
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from pyarrow import fs

os.environ["OMP_NUM_THREADS"] = "1"  # Ray gives an actor one thread; another number of them adds up in another order
ACTORS, DIM = 2, 512
S3 = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_DEFAULT_REGION": "us-east-1",
      "AWS_EC2_METADATA_DISABLED": "true"}  # fmt: skip


@dataclass(frozen=True)
class Info:
    name: str = "stub"
    embed_dim: int = DIM


class Stub:
    """An encoder without a network: a picture's first numbers, made a unit vector."""

    info, name, embed_dim, fingerprint = Info(), "stub", DIM, "0123456789abcdef"

    def transform(self, image: Image.Image) -> np.ndarray:
        return np.resize(np.asarray(image, np.float32), DIM) + 1

    def encode_pixels(self, pixels: list[np.ndarray]) -> np.ndarray:
        rows = np.stack(pixels)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    encode_images = encode_texts = encode_pixels


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        one_run(*sys.argv[2:])
        return
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    pictures = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        with bucket("photographs") as (system, proxy):
            memory(place, sorted({min(10_000, n), n}), system)
            real(place, pictures, system, proxy)


def one_run(kind: str, source: str, output: str, batch_size: str) -> None:
    """Run one embedding as a driver of its own; its last line is for the parent."""
    import zsc
    from zsc.cluster import run_on_cluster

    dataset = zsc.ImageDataset.from_parquet(source) if kind == "stub" else listed(source)
    begun = time.perf_counter()
    options = {"output": output, "batch_size": int(batch_size), "on_error": "record", "actors": ACTORS}
    _, failures, manifest = run_on_cluster(dataset, model=Stub if kind == "stub" else "toy", **options)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{time.perf_counter() - begun:.1f} {peak:.0f} {len(failures)} {manifest}")


def listed(source: str):
    import zsc

    if source.endswith(".csv"):
        return zsc.ImageDataset.from_csv(source, image_column="image", label_column="label")
    return zsc.ImageDataset.from_folder(source)


def start(*words: object) -> subprocess.Popen[str]:
    words = (sys.executable, "-m", "benchmarks.cluster", "--one", *map(str, words))
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def ended(process: subprocess.Popen[str], what: str) -> tuple[float, float, Path]:
    out, _ = process.communicate()
    assert process.returncode == 0, what
    seconds, peak, failed, manifest = out.splitlines()[-1].split(maxsplit=3)
    print(f"  {what:52} {float(seconds):7.1f} s, driver's peak {float(peak):5.0f} MB, {failed} failed", flush=True)
    return float(seconds), float(peak), Path(manifest)


def memory(place: Path, sizes: list[int], system: fs.S3FileSystem) -> None:
    """Compare the driver's peak memory at two sizes of a data set, in a file and in a bucket."""
    for where in ("a file", "a bucket"):
        peaks = []
        for n in sizes:
            table, output = place / f"{n}.parquet", place / f"store {n} {where}"
            if where == "a file":
                with pq.ParquetWriter(table, pa.schema({"bytes": pa.binary()})) as writer:
                    for first in range(0, n, 512):
                        writer.write_table(pa.table({"bytes": [png(i) for i in range(first, min(n, first + 512))]}))
                with system.open_output_stream(f"photographs/{table.name}") as file:
                    file.write(table.read_bytes())
            source = table if where == "a file" else f"s3://photographs/{table.name}"
            peaks.append(ended(start("stub", source, output, 64), f"{n:,} items listed in {where}, stub encoder")[1])
            rows = sum(pq.read_metadata(part).num_rows for part in output.glob("[0-9a-f]*/part-*"))
            assert rows == n, f"{rows} of {n} vectors"
        print(f"  {peaks[-1] - peaks[0]:+.0f} MB between them (at most 50)")


def png(i: int) -> bytes:
    pixels = np.frombuffer(i.to_bytes(12, "little"), np.uint8).reshape(2, 2, 3)
    Image.fromarray(pixels).save(buffer := io.BytesIO(), "PNG")
    return buffer.getvalue()


def real(place: Path, n: int, system: fs.S3FileSystem, proxy: Any) -> None:
    """Embed photographs in a folder and in a bucket, kill what can be killed, and compare with one machine."""
    import zsc
    from benchmarks.folder import jpeg

    bodies = [jpeg(photo) for photo in zsc.load_dataset("samples").paths]
    for i in range(n):
        path = place / "in" / ("a", "b")[i % 2] / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\xff\xd8 broken" if i in (5, n - 3) else bodies[i % len(bodies)] + i.to_bytes(4, "little"))
    dataset = zsc.ImageDataset.from_folder(place / "in")
    begun = time.perf_counter()
    here = zsc.embed_images("toy", dataset, on_error="record", progress=False)
    print(f"  {f'{n} photographs, one machine':52} {time.perf_counter() - begun:7.1f} s")

    def same(manifest: Path, names: list[str]) -> None:
        ours = zsc.ImageEmbeddings.load(manifest)
        np.testing.assert_array_equal(ours.values, here.values)
        assert ours.digests == here.digests and [*map(str, ours.paths)] == names
        assert ours.labels.tolist() == here.labels.tolist() and ours.class_names == here.class_names
        assert ours.failures["index"].tolist() == here.failures["index"].tolist()

    folder, names = place / "in", [str(path) for path in dataset.paths]
    same(ended(start("toy", folder, place / "plain", 32), "a folder")[2], names)
    same(ended(start("toy", folder, place / "plain", 32), "again: only the broken ones")[2], names)
    for victim in ("worker", "driver"):
        output = place / victim
        process = start("toy", folder, output, 32)
        while not [*output.glob("[0-9a-f]*/part-*")] and process.poll() is None:
            time.sleep(0.01)
        kill(process, victim)
        process = process if victim == "worker" else start("toy", folder, output, 32)
        same(ended(process, f"a folder, the {victim} killed at the first part")[2], names)
        rows = sum(pq.read_metadata(part).num_rows for part in output.glob("[0-9a-f]*/part-*"))
        print(f"    {rows} vectors of {n - len(here.failures)} pictures are kept")
    rows = ["image,label"]
    for path, label in dataset:
        rows.append(f"s3://photographs/{path.name},{dataset.class_names[label]}")
        with system.open_output_stream(f"photographs/{path.name}") as file:
            file.write(path.read_bytes())
    (place / "list.csv").write_text("\n".join(rows))
    names = [row.partition(",")[0] for row in rows[1:]]
    proxy.every = 50
    same(ended(start("toy", place / "list.csv", place / "s3", 32), "S3, every 50th answer broken off")[2], names)
    print(f"    {proxy.broken} connections broken off")


def kill(driver: subprocess.Popen[str], victim: str) -> None:
    """Kill a driver, or an actor of it, with SIGKILL."""
    if victim == "worker":
        for about in Path("/proc").glob("[0-9]*/cmdline"):
            if b"MapWorker" in about.read_bytes() and descends(int(about.parent.name), driver.pid):
                os.kill(int(about.parent.name), signal.SIGKILL)
                return
        raise AssertionError("no worker found")
    driver.kill()
    driver.wait()


def descends(pid: int, ancestor: int) -> bool:
    while pid > 1 and pid != ancestor:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return pid == ancestor


@contextmanager
def bucket(name: str) -> Iterator[tuple[fs.S3FileSystem, Any]]:
    """Make a bucket on loopback, behind a proxy that can break answers off."""
    from moto.server import ThreadedMotoServer

    from tests.servers import Cutter

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    proxy = Cutter(server.get_host_and_port()[1])
    os.environ |= S3 | {"AWS_ENDPOINT_URL": f"http://{proxy.address}"}
    system = fs.S3FileSystem(endpoint_override=os.environ["AWS_ENDPOINT_URL"], allow_bucket_creation=True)
    system.create_dir(name)
    yield system, proxy
    server.stop()


if __name__ == "__main__":
    main()
