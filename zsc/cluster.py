"""The same embedding job on Ray, for when one machine is not enough (extra `cluster`); see docs/cluster.md.

The driver lists the pictures, and Ray's actors run `Job`, one machine's own, on chunks of neighbours: vectors go from
them into one store that all machines see, and only row, digest and error come back. A run that was stopped, or lost a
worker, goes on: what is in the store is neither read nor embedded again.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd
import pyarrow as pa

from zsc.checks import check_choice, check_count, needed_for
from zsc.datasets import ImageDataset
from zsc.embeddings import KIND, ON_ERROR, PART_ROWS, ImageEmbeddings, Job, failure_table, name_of, store_of
from zsc.files import printable
from zsc.images import ImageError
from zsc.models import as_encoder
from zsc.progress import Progress, bar
from zsc.store import MANIFEST, PathIndex, write_table

if TYPE_CHECKING:
    from zsc.models import Encoder

_RESULT = pa.schema({"row": pa.int64(), "digest": pa.binary(), "error": pa.string()})


class ClusterRun(NamedTuple):
    """What a run did: model, pictures that failed (as in `ImageEmbeddings`), and the file that its `load` reads."""

    model: str
    fingerprint: str
    failures: pd.DataFrame
    manifest: Path


def embed_on_cluster(
    source: ImageDataset | str | Path | Sequence[str | Path], *, on_error: str = "record", **options: Any
) -> ImageEmbeddings:
    """Embed pictures on a Ray cluster with the options of `run_on_cluster`, and load the result into memory.

    `source` is a data set, with its labels; a folder, of which every picture is taken, or a list of files and URLs,
    both without labels; or what `ImageDataset.from_shards` reads. Rows are in its order.
    """
    if isinstance(source, (str, Path)):
        is_folder = Path(source).is_dir() and not any(Path(source).glob("*.parquet"))
        source = ImageDataset.from_pictures(source) if is_folder else ImageDataset.from_shards(source)
    elif not isinstance(source, ImageDataset):
        source = ImageDataset([*source], None, [], name="list")  # type: ignore[arg-type]
    embeddings = ImageEmbeddings.load(run_on_cluster(source, on_error=on_error, **options).manifest)
    return embeddings.without_failed() if on_error == "skip" else embeddings


def run_on_cluster(
    dataset: ImageDataset,
    *,
    model: Encoder | str | Path | Callable[[], Encoder],
    output: str | Path,
    address: str | None = None,
    batch_size: int = 32,
    workers: int | None = None,
    on_error: str = "raise",
    actors: int = 2,
    gpus_per_actor: float = 0,
    progress: Progress = True,
) -> ClusterRun:
    """Embed a data set on a Ray cluster: the same vectors, labels, order and failures as by `embed_images`.

    Parameters
    ----------
    dataset, batch_size, workers, on_error, progress
        As in `embed_images`, but that no picture may be in memory; `workers` are threads of each actor.
    model
        As in `embed_images`, or a function that makes an encoder. Each actor loads its own, from its machine's disk.
    output
        The store's folder, which every machine sees under this path. A ``manifest-*.parquet`` for each data set, beside
        the parts, lists its pictures; their vectors stay in the parts.
    address
        That of a running cluster, as "host:6379"; None starts or joins one on this machine.
    actors, gpus_per_actor
        Encoders that work side by side, at most; and how many GPUs each has for itself.

    ValueError or OSError says what is not possible, and RuntimeError why Ray ended the run: what it embedded is kept.
    """
    check_choice(on_error, ON_ERROR, "on_error")
    for name, count in (("batch_size", batch_size), ("actors", actors)):
        check_count(count, name)
    workers = check_count(workers or 0, "workers", low=0) or min(os.cpu_count() or 1, 8)
    paths, output = dataset.paths, Path(output).resolve()
    if not paths or not all(isinstance(path, (str, os.PathLike)) for path in paths):
        told = "the pictures are in memory, where no cluster can read them" if paths else "it holds no picture to embed"
        raise ValueError(f"{dataset.name}: {told}; pass files or URLs, or use embed_images.")
    encoder = _load(model)
    store = store_of(encoder, output)
    store.make()
    digests = [digest if digest in store else None for digest in PathIndex(output).lookup(paths)]
    errors: dict[int, str] = {}
    manifest = store.folder / MANIFEST.replace("*", f"-{_digest_of(dataset)}")
    if missing := digests.count(None):
        listing = manifest.with_name(manifest.name.replace("manifest", "listing"))
        size = batch_size * -(-min(PART_ROWS, -(-len(paths) // actors)) // batch_size)  # batches as on one machine
        firsts = [k for k in range(0, len(paths), size) if None in digests[k : k + size]]
        chunks = {"path": [[*map(os.fsencode, paths[k : k + size])] for k in firsts]}
        write_table(listing, {"first": firsts, **chunks, "digest": [digests[k : k + size] for k in firsts]}, {})
        options = {"model": model, "output": output, "batch_size": batch_size, "workers": workers, "cwd": Path.cwd()}
        shown = bar(progress, len(paths), "images", initial=len(paths) - missing)
        with shown, _ray_data(address, gpus_per_actor) as ray_data:
            results = ray_data.read_parquet(str(listing), override_num_blocks=len(firsts)).map_batches(
                _Embedder,
                fn_constructor_kwargs=options,
                batch_size=1,
                batch_format="pyarrow",
                compute=ray_data.ActorPoolStrategy(min_size=1, max_size=actors),
                num_cpus=0.5,  # no limit: with a whole core each, two actors on two cores would wait for a third
                num_gpus=gpus_per_actor,
            )
            for table in results.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
                for row, digest, error in zip(*(table[name].to_pylist() for name in _RESULT.names), strict=True):
                    if error and on_error == "raise":
                        raise ImageError(error)
                    shown.update(digests[row] is None and row not in errors)
                    digests[row] = digest
                    errors |= {row: error} if error else {}
        listing.unlink()
    return _counted(dataset, encoder, manifest, digests, errors)


def _load(model: Any) -> Encoder:
    return as_encoder(model() if callable(model) else model)


def _digest_of(dataset: ImageDataset) -> str:
    """Return what tells the manifests of data sets apart."""
    head = repr((dataset.name, dataset.split_name, [*dataset.class_names], dataset.labels.tobytes()))
    return hashlib.sha256(b"\0".join([os.fsencode(head), *map(os.fsencode, dataset.paths)])).hexdigest()[:16]


def _counted(
    dataset: ImageDataset,
    encoder: Encoder,
    manifest: Path,
    digests: list[bytes | None],
    errors: dict[int, str],
) -> ClusterRun:
    """Count what came out against what went in, and write the manifest."""
    store = store_of(encoder, manifest.parents[1])  # as the actors left it
    lost = [row for row, digest in enumerate(digests) if row not in errors and digest not in store]
    if lost:
        told = f"{len(lost)} of {len(digests)} pictures have no embedding in {printable(store.folder)}"
        raise OSError(f"{told}, such as {name_of(dataset.paths[lost[0]])}; run it again, it goes on.")
    failures = failure_table((row, name_of(dataset.paths[row]), errors[row]) for row in sorted(errors))
    about = {"kind": KIND, "dim": store.dim, "model": encoder.name, "fingerprint": encoder.fingerprint}
    about |= {"class_names": [*dataset.class_names], "dataset": f"{dataset.name} {dataset.split_name}".strip()}
    columns = {
        "image": [os.fsencode(path) for path in dataset.paths],
        "kind": ["path" if isinstance(path, os.PathLike) else "text" for path in dataset.paths],
        "label": dataset.labels,
        "digest": digests,
    }
    write_table(manifest, columns, about | {"failures": failures.to_dict("records")})
    return ClusterRun(encoder.name, encoder.fingerprint, failures, manifest)


class _Embedder:
    """One actor: loads the model once, then embeds chunk after chunk into the store."""

    def __init__(self, model: Any, output: Path, batch_size: int, workers: int, cwd: Path) -> None:
        with suppress(OSError):
            os.chdir(cwd)  # so that names mean here what they mean to the driver, where the machines share the folder
        self.model, self.batch_size, self.workers = _load(model), batch_size, workers
        self.store, self.index = store_of(self.model, output), PathIndex(output, read=False)

    def __call__(self, table: pa.Table) -> pa.Table:
        """Embed the pictures of one chunk; return row, digest and error of each."""
        first, names, digests = (table[name][0].as_py() for name in table.column_names)
        dataset = ImageDataset([*map(os.fsdecode, names)], None, [])  # type: ignore[arg-type]
        job = Job(self.model, dataset, self.store, self.index, digests)
        job.run(self.batch_size, self.workers, raise_errors=False, progress=False)
        errors, rows = {index: error for index, _, error in job.failures}, range(len(names))
        return pa.table([[first + row for row in rows], job.digests, [*map(errors.get, rows)]], schema=_RESULT)


@contextmanager
def _ray_data(address: str | None, gpus: float) -> Iterator[Any]:
    """Start or join Ray for one run; what was started ends with it, settings are put back, errors are one sentence."""
    with needed_for("embedding on a cluster", "cluster"):
        import ray.data
    is_ours, levels = not ray.is_initialized(), {name: logging.getLogger(name).level for name in ("ray", "ray.data")}
    if is_ours:
        _check_reachable(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    elif address not in (None, "auto", there := ray.get_runtime_context().gcs_address):
        raise ValueError(f"address={address!r}, but Ray runs in this process at {there}; call ray.shutdown() first.")
    context = ray.data.DataContext.get_current()
    bars, context.enable_progress_bars = context.enable_progress_bars, False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        most = max(node["Resources"].get("GPU", 0) for node in ray.nodes() if node["Alive"])
        if gpus > most:
            told = f"{gpus:g} GPUs per encoder are asked for, and no machine of the cluster has more than {most:g}"
            raise ValueError(f"{told}; ask for fewer, or add a machine that has them.")
        yield ray.data
    except ray.exceptions.RayError as error:
        raise RuntimeError(f"Ray ended the run ({_cause(error)}); mend that and run it again: it goes on.") from error
    finally:
        context.enable_progress_bars = bars
        if is_ours:
            ray.shutdown()
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def _check_reachable(address: str | None) -> None:
    """Refuse at once what Ray would try for minutes."""
    if address in (None, "auto", "local"):
        return
    host, _, port = str(address).removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, ValueError, OverflowError) as error:
        ways = "pass host:port of a head that 'ray start --head' has started, or none to start Ray here"
        raise ConnectionError(f"no Ray cluster answers at {address} ({error}); {ways}.") from None


def _cause(error: BaseException) -> str:
    """Find the last sentence of what Ray says over many lines."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip().splitlines()
    return printable(lines[-1].strip().rstrip(".")) if lines else type(error).__name__
