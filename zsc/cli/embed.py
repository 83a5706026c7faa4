"""`zsc embed`: a data set embedded once, on this machine or on a cluster."""

import time
from argparse import Namespace
from pathlib import Path

from zsc.cli import _options
from zsc.cli._options import option
from zsc.cli._printing import Outcome
from zsc.datasets import ImageDataset
from zsc.embeddings import ImageEmbeddings

OPTIONS = (
    *_options.DATASET,
    _options.MODEL,
    option("--engine", default="torch", help="torch, or openvino (on the CPU)"),
    _options.output("--store", "folder", "the folder that keeps embeddings", _options.STORE),
    option("--batch-size", type=_options.whole(1), default=32, metavar="N", help="pictures at once"),
    option("--workers", type=_options.whole(1), metavar="N", help="threads that open pictures"),
    option("--cluster", nargs="?", const="local", metavar="ADDRESS",
           help="run on a Ray cluster; without ADDRESS, start one on this machine"),
    _options.on_error("record", default=None, note=", record keeps its row; left out: raise, on a cluster record"),
)  # fmt: skip


def run(arguments: Namespace) -> Outcome:
    """Embed a data set and keep the result; what is kept already costs nothing."""
    if arguments.cluster and (arguments.engine != "torch" or arguments.on_error not in (None, "record")):
        raise ValueError("--cluster embeds with --engine torch and --on-error record only; leave the other out.")
    dataset, start = _options.chosen_dataset(arguments), time.perf_counter()
    if arguments.cluster:
        embeddings = _on_cluster(arguments, dataset)
    else:
        arguments.on_error = arguments.on_error or "raise"
        model = _options.chosen_model(arguments, engine=arguments.engine)
        options = {"batch_size": arguments.batch_size, "workers": arguments.workers}
        embeddings = _options.embedded(arguments, model, dataset, **options)
    seconds, failures = time.perf_counter() - start, embeddings.failures
    name = f"{dataset.name} {dataset.split_name}".strip()
    place = f"on Ray, {len(failures)} failed, " if arguments.cluster else ""
    took = f"{len(dataset)} pictures by {embeddings.model} {place}in {seconds:.1f} s"
    data = {
        "model": embeddings.model,
        "fingerprint": embeddings.fingerprint,
        "dataset": name,
        "pictures": len(dataset),
        "store": arguments.store,
        "seconds": round(seconds, 3),
    }
    return Outcome(data, [f"{name}: {took}", f"kept in {arguments.store}"], 0, dataset, failures)


def _on_cluster(arguments: Namespace, dataset: ImageDataset) -> ImageEmbeddings:
    from zsc.cluster import embed_on_cluster

    if not all(isinstance(path, (str, Path)) for path in dataset.paths):
        raise ValueError(f"{dataset.name}: the pictures are in memory, where no cluster can read them; omit --cluster.")
    return embed_on_cluster(
        [str(Path(path).resolve()) for path in dataset.paths],
        model=arguments.model,
        output=arguments.store,
        address=None if arguments.cluster == "local" else arguments.cluster,
        batch_size=arguments.batch_size,
        actors=arguments.workers or 2,
    )
