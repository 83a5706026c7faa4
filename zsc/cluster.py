"""The same embedding job on Ray, for when one machine is not enough (extra `cluster`).

Actors read, decode, embed, and write parts into one store on a file system that all of them see; the driver keeps a
manifest: path, digest and error of each picture, in order. What is in the store is never embedded again, so that a run
that was stopped, or lost a worker, goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from zsc.checks import needed_for
from zsc.embeddings import ImageEmbeddings, encode, failure_table, prepare
from zsc.images import image_suffixes
from zsc.models import as_encoder
from zsc.store import MANIFEST, EmbeddingStore

if TYPE_CHECKING:
    from zsc.models import Encoder


def embed_on_cluster(
    source: str | Path | Sequence[str | Path],
    *,
    model: str | Callable[[], Encoder],
    output: str | Path,
    address: str | None = None,
    batch_size: int = 32,
    actors: int = 2,
    gpus_per_actor: float = 0,
) -> ImageEmbeddings:
    """Embed pictures on a Ray cluster: one row each in the order of the paths, no labels, and failures recorded.

    `source` is a folder, a list of files, or a Parquet table with the columns "bytes" (or "image", as Hugging Face
    writes it) and "path"; local, or any URI that pyarrow reads (``s3://...``). `model` is a name for `load_model`, or a
    function that makes one. `output` is the store's folder, which every actor sees; `address` is that of a running
    cluster (None: start or join one here). `actors` encoders work side by side, each on `batch_size` pictures at once
    and on `gpus_per_actor` GPUs.
    """
    ray_data = _start(address)
    output = Path(output).resolve()
    driver = _Embedder(model, output)  # the actors load their own
    results = _read(ray_data, source, blocks=4 * actors).map_batches(
        _Embedder,
        fn_constructor_kwargs={"model": model, "output": output},
        batch_size=batch_size,
        compute=ray_data.ActorPoolStrategy(min_size=1, max_size=actors),
        num_cpus=0.5,  # no limit: with a whole core each, two actors on two cores would wait for a third to read files
        num_gpus=gpus_per_actor,
    )
    return driver.write_manifest(sorted(results.take_all(), key=lambda row: str(row["path"])))


def _start(address: str | None) -> Any:
    with needed_for("embedding on a cluster", "cluster"):
        import ray.data
    if not ray.is_initialized():
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    return ray.data


def _read(ray_data: Any, source: str | Path | Sequence[str | Path], blocks: int) -> Any:
    """Read a Ray data set with the columns path and bytes, in enough blocks for every actor."""
    paths = [str(source)] if isinstance(source, (str, Path)) else [str(p) for p in source]
    first = Path(paths[0]) if len(paths) == 1 else Path()
    if isinstance(source, (str, Path)) and (first.suffix == ".parquet" or any(first.glob("*.parquet"))):
        table = ray_data.read_parquet(paths[0], override_num_blocks=blocks)
        return table.map_batches(_table_columns, batch_format="pyarrow")
    suffixes = sorted(suffix.removeprefix(".") for suffix in image_suffixes())
    return ray_data.read_binary_files(paths, include_paths=True, file_extensions=suffixes, override_num_blocks=blocks)


def _table_columns(table: pa.Table) -> pa.Table:
    """Find bytes and paths in a table: columns bytes and path, or an image column of both."""
    found = {name: table[name] for name in table.column_names}
    if "image" in found and pa.types.is_struct(found["image"].type):
        image = found["image"]
        found = {field.name: pc.struct_field(image, field.name) for field in image.type}
    if "path" not in found:
        raise ValueError(f"the table has the columns {', '.join(found)}; add one named path, so that rows have names.")
    return pa.table({"path": found["path"], "bytes": found.get("bytes", found.get("image"))})


class _Embedder:
    """One actor: loads the model once, then embeds batch after batch into the store."""

    def __init__(self, model: str | Callable[[], Encoder], output: Path) -> None:
        self.model = as_encoder(model() if callable(model) else model)
        self.store = EmbeddingStore(output, self.model.fingerprint, self.model.embed_dim, asdict(self.model.info))

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Embed a batch of files; return path, digest and error of each."""
        read = [prepare(i, bytes(data), self.model.transform, self.store) for i, data in enumerate(batch["bytes"])]
        pictures = encode(self.model, read)
        new = {p.digest: p.embedding for p in pictures if p.embedding is not None and p.error is None}
        if new:
            self.store.add(list(new), np.stack(list(new.values())))
        return {
            "path": batch["path"],
            "digest": np.array([p.digest for p in pictures], dtype=object),
            "error": np.array([str(p.error or "") for p in pictures], dtype=object),
        }

    def write_manifest(self, rows: Sequence[dict[str, Any]]) -> ImageEmbeddings:
        """Put together what all actors wrote, and save it beside their parts."""
        old = self.store
        self.store = EmbeddingStore(old.folder.parent, old.folder.name, old.dim, old.about)  # as the actors left it
        values, found = self.store.get([row["digest"] or None for row in rows])
        lost = [row["path"] for row, is_there in zip(rows, found, strict=True) if not is_there and not row["error"]]
        if lost:
            some = f"{len(lost)} embeddings are not in {self.store.folder}, such as that of {lost[0]}"
            raise OSError(f"{some}; run it again, it goes on.")
        values[~found] = np.nan
        paths = [str(row["path"]) for row in rows]
        embeddings = ImageEmbeddings(
            values,
            [path if "://" in path else Path(path) for path in paths],
            np.full(len(rows), -1),
            [],
            model=self.model.name,
            fingerprint=self.model.fingerprint,
            dataset="cluster",
            failures=failure_table((i, paths[i], str(row["error"])) for i, row in enumerate(rows) if row["error"]),
        )
        self.store.make()
        embeddings.save(self.store.folder / MANIFEST)
        return embeddings
