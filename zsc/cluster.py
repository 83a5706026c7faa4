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

from zsc.embeddings import ImageEmbeddings
from zsc.embeddings.embedded import failure_table
from zsc.embeddings.streaming import Prepared, encode_block, prepare
from zsc.images import image_suffixes
from zsc.store import EmbeddingStore
from zsc.store.clearing import MANIFEST

if TYPE_CHECKING:
    from zsc.models import Encoder

# Ray's bookkeeping, not a limit: with a whole core claimed by each, two actors on two cores would wait for ever for a
# third to read the files.
_CPUS_PER_ACTOR = 0.5


class _Embedder:
    """One actor: loads the model once, then embeds batch after batch into the store."""

    def __init__(self, model: str | Callable[[], Encoder], output: str) -> None:
        self.model = _load(model)
        self.store = EmbeddingStore(output, self.model.fingerprint, self.model.embed_dim, asdict(self.model.info))

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Embed a batch of files; give place, path, digest and error of each."""
        block = encode_block(self.model, [self._prepare(i, data) for i, data in enumerate(batch["bytes"])])
        if block.embeddings:
            self.store.add(list(block.embeddings), np.stack(list(block.embeddings.values())))
        return {
            "path": batch["path"],
            "digest": np.array([p.digest or b"" for p in block.pictures], dtype=object),
            "error": np.array([str(p.error or "") for p in block.pictures], dtype=object),
        }

    def _prepare(self, index: int, data: bytes) -> Prepared:
        return prepare(index, bytes(data), self.model.transform, self.store)


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
    """Embed pictures on a Ray cluster.

    Parameters
    ----------
    source
        A folder, a list of files, or a Parquet table with a column of image bytes ("bytes", or "image" as Hugging Face
        writes it) and one of paths ("path"); local, or any URI that pyarrow reads (``s3://...``, ``gs://...``).
    model
        A name for `load_model`, or a function that gives an encoder; called once in each actor.
    output
        The store's folder, on a file system that every actor sees.
    address
        Of a running cluster; None starts one on this machine, or joins the one that is running.
    batch_size
        Pictures that go through an encoder at once.
    actors
        How many encoders work side by side.
    gpus_per_actor
        GPUs that each of them takes.

    Returns
    -------
    ImageEmbeddings
        A row a picture in the order of the paths, without labels; pictures that failed are recorded.

    Raises
    ------
    ImportError
        If ray is not installed.
    """
    ray_data = _start(address)
    encoder = _load(model)  # for its fingerprint; the actors load their own
    output = Path(output).resolve()
    files = _read(ray_data, source, blocks=4 * actors)
    results = files.map_batches(
        _Embedder,
        fn_constructor_kwargs={"model": model, "output": str(output)},
        batch_size=batch_size,
        compute=ray_data.ActorPoolStrategy(min_size=1, max_size=actors),
        num_cpus=_CPUS_PER_ACTOR,
        num_gpus=gpus_per_actor,
    )
    rows = sorted(results.take_all(), key=lambda row: str(row["path"]))
    _write_manifest(rows, output, encoder)
    return ImageEmbeddings.load(output / encoder.fingerprint / MANIFEST)


def _write_manifest(rows: Sequence[dict[str, Any]], output: Path, encoder: Encoder) -> None:
    store = EmbeddingStore(output, encoder.fingerprint, encoder.embed_dim, asdict(encoder.info))
    values, found = store.get([row["digest"] or None for row in rows])
    lost = [row["path"] for row, is_there in zip(rows, found, strict=True) if not is_there and not row["error"]]
    if lost:
        raise OSError(f"{len(lost)} embeddings are not in {output}, such as {lost[0]}; run it again, it goes on.")
    values[~found] = np.nan
    failures = [(i, str(row["path"]), str(row["error"])) for i, row in enumerate(rows) if row["error"]]
    embeddings = ImageEmbeddings(
        values,
        [_source(str(row["path"])) for row in rows],
        np.full(len(rows), -1),
        [],
        model=encoder.name,
        fingerprint=encoder.fingerprint,
        dataset="cluster",
        failures=failure_table(failures),
    )
    store.make()
    embeddings.save(store.folder / MANIFEST)


def _source(path: str) -> str | Path:
    return path if "://" in path else Path(path)


def _read(ray_data: Any, source: str | Path | Sequence[str | Path], blocks: int) -> Any:
    """Give a Ray data set with the columns path and bytes, in enough blocks for every actor."""
    if isinstance(source, (str, Path)) and _is_table(str(source)):
        return ray_data.read_parquet(str(source), override_num_blocks=blocks).map_batches(
            _table_columns, batch_format="pyarrow"
        )
    paths = [str(source)] if isinstance(source, (str, Path)) else [str(p) for p in source]
    suffixes = sorted({s.removeprefix(".") for s in image_suffixes()})
    return ray_data.read_binary_files(paths, include_paths=True, file_extensions=suffixes, override_num_blocks=blocks)


def _is_table(source: str) -> bool:
    return source.endswith(".parquet") or (Path(source).is_dir() and any(Path(source).glob("*.parquet")))


def _table_columns(table: pa.Table) -> pa.Table:
    """Find bytes and paths in a table: columns bytes and path, or an image column of both."""
    names = table.column_names
    if "image" in names and pa.types.is_struct(table.schema.field("image").type):
        flat = table["image"].combine_chunks().flatten()
        kinds = [field.name for field in table.schema.field("image").type]
        found = dict(zip(kinds, flat, strict=True))
    else:
        found = {"bytes": table["bytes"] if "bytes" in names else table["image"]}
        if "path" in names:
            found["path"] = table["path"]
    if "path" not in found:
        raise ValueError(f"the table has the columns {', '.join(names)}; add one named path, so that rows have names.")
    return pa.table({"path": found["path"], "bytes": found["bytes"]})


def _load(model: str | Callable[[], Encoder]) -> Encoder:
    if callable(model):
        return model()
    from zsc.models import load_model

    return load_model(model)


def _start(address: str | None) -> Any:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ImportError("embedding on a cluster needs ray: pip install 'zsc-clip[cluster]'.") from error
    if not ray.is_initialized():
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    return ray.data
