"""The same embedding job on Ray, for when one machine is not enough (extra `cluster`); see docs/cluster.md.

The driver lists the pictures, and Ray's actors run `embed_images` on chunks of neighbours: vectors go from
them into one store that all machines see, and only row, digest and error come back. A run that was stopped, or lost a
worker, goes on: what is in the store is neither read nor embedded again.
"""

import hashlib
import logging
import os
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from zsc.checks import check_choice, check_count, needed_for
from zsc.datasets import ImageDataset
from zsc.embeddings import KIND, ON_ERROR, PART_ROWS, ImageEmbeddings, embed_images, failure_table, name_of
from zsc.files import printable
from zsc.images import ImageError
from zsc.models import Encoder, as_encoder
from zsc.parts import write_table
from zsc.progress import Progress, bar
from zsc.store import MANIFEST, EmbeddingStore, PathIndex


def embed_on_cluster(
    source: ImageDataset | str | Path | Sequence[str | Path], *, on_error: str = "record", **options: Any
) -> ImageEmbeddings:
    """Embed pictures with the options of `run_on_cluster`, and load the result into memory, in the order of `source`.

    That is a data set; a folder of pictures or a list of files and URLs, without labels; or Parquet (`from_parquet`).
    """
    if isinstance(source, (str, Path)):
        tables = [source] if str(source).endswith(".parquet") else sorted(Path(source).glob("*.parquet"))
        source = ImageDataset.from_parquet(*tables) if tables else ImageDataset.from_pictures(source)
    elif not isinstance(source, ImageDataset):
        source = ImageDataset([*source], None, [], name="list")  # type: ignore[arg-type]
    embeddings = ImageEmbeddings.load(run_on_cluster(source, on_error=on_error, **options)[2])
    return embeddings.without_failed() if on_error == "skip" else embeddings


def run_on_cluster(
    dataset: ImageDataset, *,
    model: Encoder | str | Path | Callable[[], Encoder], output: str | Path, address: str | None = None,
    batch_size: int = 32, workers: int | None = None, on_error: str = "raise", actors: int = 2,
    gpus_per_actor: float = 0, progress: Progress = True,
) -> tuple[Encoder, pd.DataFrame, Path]:  # fmt: skip
    """Embed a data set on a Ray cluster: the same vectors, labels, order and failures as by `embed_images`.

    Options are as there, but that no picture may be in memory, that `workers` are threads of each actor, and that
    `model` may be a function, too, which each actor calls. `output` is the store's folder, which all machines see under
    this path: beside its parts a ``manifest-*.parquet`` for each data set lists the pictures, without vectors.
    `address` is that of a running cluster, as "host:6379" (None: start or join one here); at most `actors` encoders
    work side by side, each on GPUs of its own. RuntimeError says why Ray ended the run: what it embedded is kept.
    """
    check_choice(on_error, ON_ERROR, "on_error")
    batch_size, actors = check_count(batch_size, "batch_size"), check_count(actors, "actors")
    check_count(workers or 0, "workers", low=0)
    paths, output, n = dataset.paths, Path(output).resolve(), len(dataset)
    if not n or not all(isinstance(path, (str, os.PathLike)) for path in paths):
        told = "the pictures are in memory, where no cluster can read them" if n else "it holds no picture to embed"
        raise ValueError(f"{dataset.name}: {told}; pass files or URLs, or use embed_images.")
    pa.set_memory_pool(pa.system_memory_pool())  # Arrow's own keeps what it was given back
    encoder, store = _opened(model, output)
    store.make()
    digests = [digest if digest in store else None for digest in PathIndex(output).lookup(paths)]
    errors: dict[int, str] = {}
    size = batch_size * -(-min(PART_ROWS, -(-n // actors)) // batch_size)  # whole batches, as on one machine
    spans = [slice(k, k + size) for k in range(0, n, size)]
    head = repr((dataset.name, dataset.split_name, [*dataset.class_names], dataset.labels.tobytes()))
    its_digest = hashlib.sha256(os.fsencode(head))
    for span in spans:
        its_digest.update(b"".join(b"\0" + name for name in _names(paths[span])))
    if None in digests:
        rows = ([s.start, _names(paths[s]), [d or b"" for d in digests[s]]] for s in spans if None in digests[s])
        chunks = (pa.table([[cell] for cell in row], ["first", "path", "digest"]) for row in rows)
        shown = bar(progress, n, "images", initial=n - digests.count(None))
        with shown, _running(address, gpus_per_actor) as ray:
            results = ray.data.from_arrow_refs([ray.put(chunk) for chunk in chunks]).map_batches(
                _Embedder,
                fn_constructor_args=(model, output, Path.cwd(), {"batch_size": batch_size, "workers": workers}),
                batch_size=1,
                batch_format="pyarrow",
                compute=ray.data.ActorPoolStrategy(min_size=1, max_size=actors),
                num_cpus=0.5,  # no limit: with a whole core each, two actors on two cores would wait for a third
                num_gpus=gpus_per_actor,
            )
            for table in results.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
                for row, digest, error in zip(*(column.to_pylist() for column in table.columns), strict=True):
                    shown.update(digests[row] is None and row not in errors)
                    digests[row] = digest or None
                    if error and on_error == "raise":
                        raise ImageError(error)
                    if error:
                        errors[row] = error
    _, store = _opened(encoder, output)  # as the actors left it
    if lost := [row for row, digest in enumerate(digests) if row not in errors and digest not in store]:
        told = f"{len(lost)} of {n} pictures have no embedding in {printable(store.folder)}"
        raise OSError(f"{told}, such as {name_of(paths[lost[0]])}; run it again, it goes on.")
    failures = failure_table((row, name_of(paths[row]), errors[row]) for row in sorted(errors))
    about = {"kind": KIND, "dim": store.dim, "model": encoder.name, "fingerprint": encoder.fingerprint}
    about |= {"class_names": [*dataset.class_names], "dataset": f"{dataset.name} {dataset.split_name}".strip()}
    kinds = ["path" if isinstance(path, os.PathLike) else "text" for path in paths]
    names = pa.chunked_array([_names(paths[span]) for span in spans])
    columns = {"image": names, "kind": kinds, "label": dataset.labels, "digest": pa.array(digests, pa.binary(32))}
    about["failures"] = failures.to_dict("records")
    manifest = write_table(store.folder / MANIFEST.replace("*", f"-{its_digest.hexdigest()[:16]}"), columns, about)
    return encoder, failures, manifest


def _names(paths: Sequence[Any]) -> list[bytes]:
    """Write paths as bytes, which may be any: all of them at once only where they are asked for."""
    return [os.fsdecode(path).encode(errors="surrogatepass") for path in paths]


def _opened(model: Any, output: Path) -> tuple[Encoder, EmbeddingStore]:
    encoder = as_encoder(model() if callable(model) else model)
    return encoder, EmbeddingStore(output, encoder.fingerprint, encoder.embed_dim, asdict(encoder.info))


class _Embedder:
    """One actor: loads the model once, then embeds chunk after chunk into the store."""

    def __init__(self, model: Any, output: Path, cwd: Path, options: dict[str, Any]) -> None:
        with suppress(OSError):
            os.chdir(cwd)  # so that names mean here what they mean to the driver, where the machines share the folder
        self.model, self.store = _opened(model, output)
        self.index, self.options = PathIndex(output, read=False), options | {"on_error": "record", "progress": False}

    def __call__(self, table: pa.Table) -> pa.Table:
        """Embed the pictures of one chunk; return row, digest and error of each, as far as there are."""
        first, names, digests = (column[0].as_py() for column in table.columns)
        dataset = ImageDataset([name.decode(errors="surrogatepass") for name in names], None, [])  # type: ignore[arg-type]
        made = embed_images(self.model, dataset, (self.store, self.index, digests), **self.options)
        errors = dict(zip(made.failures["index"], made.failures["error"], strict=True))
        rows = {"row": range(first, first + len(names)), "digest": [digest or b"" for digest in made.digests or ()]}
        return pa.table({**rows, "error": [errors.get(row, "") for row in range(len(names))]})


@contextmanager
def _running(address: str | None, gpus: float) -> Iterator[Any]:
    """Start or join Ray for one run; what was started ends with it, settings are put back, errors are one sentence."""
    with needed_for("embedding on a cluster", "cluster"):
        import ray.data
    logs = {log: log.level for log in map(logging.getLogger, ("ray", "ray.data"))}
    if is_ours := not ray.is_initialized():
        try:  # what Ray would try for minutes
            if address not in (None, "auto", "local"):
                host, _, port = address.removeprefix("ray://").rpartition(":")
                socket.create_connection((host, int(port)), timeout=5).close()
        except (OSError, ValueError, OverflowError) as error:
            ways = "pass host:port of a head that 'ray start --head' has started, or none to start Ray here"
            raise ConnectionError(f"no Ray cluster answers at {address} ({error}); {ways}.") from None
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
        yield ray
    except ray.exceptions.RayError as error:
        cause = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip().rpartition("\n")[2].strip(" .")  # its last line
        raise RuntimeError(f"Ray ended the run ({printable(cause)}); mend that and run again: it goes on.") from error
    finally:
        context.enable_progress_bars = bars
        if is_ours:
            ray.shutdown()
        for log, level in logs.items():
            log.setLevel(level)
