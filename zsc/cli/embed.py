"""`zsc embed`: a data set embedded once, on this machine or on a cluster."""

import time
from argparse import Namespace
from functools import partial
from typing import Any

from zsc.cli import _options
from zsc.cli._options import option
from zsc.cli._printing import Outcome
from zsc.models import load_model

OPTIONS = (
    *_options.DATASET,
    _options.MODEL,
    option("--engine", default="torch", help="torch, or openvino (on the CPU)"),
    option("--store", writes="folder", default=_options.STORE, help="the folder that keeps embeddings"),
    option("--batch-size", type=_options.whole(1), default=32, metavar="N", help="pictures at once"),
    option("--workers", type=_options.whole(1), metavar="N", help="threads that open pictures"),
    option("--cluster", nargs="?", const="local", metavar="ADDRESS",
           help="run on a Ray cluster; without ADDRESS, start one on this machine"),
    option("--actors", type=_options.whole(1), metavar="N", help="on a cluster: encoders side by side (2)"),
    option("--gpus", type=float, metavar="N", help="on a cluster: GPUs of each encoder (0)"),
    _options.on_error("record", note=", record keeps its row"),
)  # fmt: skip


def run(arguments: Namespace) -> Outcome:
    """Embed a data set and keep the result; what is kept already costs nothing."""
    dataset, start = _options.chosen_dataset(arguments), time.perf_counter()
    options: dict[str, Any] = {"batch_size": arguments.batch_size, "workers": arguments.workers}
    more = dict[str, Any]()
    if arguments.cluster:
        from zsc.cluster import run_on_cluster

        load = partial(load_model, arguments.model, engine=arguments.engine)
        options |= {"on_error": arguments.on_error, "progress": arguments.progress}
        options |= {"actors": arguments.actors or 2, "gpus_per_actor": arguments.gpus or 0}
        options["address"] = None if arguments.cluster == "local" else arguments.cluster
        model, failures, more["manifest"] = run_on_cluster(dataset, model=load, output=arguments.store, **options)
    elif arguments.actors or arguments.gpus:
        raise ValueError("--actors and --gpus are for a cluster; add --cluster, or leave them out.")
    else:
        model = _options.chosen_model(arguments, engine=arguments.engine)
        failures = _options.embedded(arguments, model, dataset, **options).failures
    seconds = time.perf_counter() - start
    name = f"{dataset.name} {dataset.split_name}".strip()
    place = f"on Ray, {len(failures)} failed, " if arguments.cluster else ""
    took = f"{len(dataset)} pictures by {model.name} {place}in {seconds:.1f} s"
    data = {"model": model.name, "fingerprint": model.fingerprint, "dataset": name, "pictures": len(dataset)}
    data |= {"store": arguments.store, "seconds": round(seconds, 3), **more}
    lines = [f"{name}: {took}", f"kept in {arguments.store}", *(f"listed in {path}" for path in more.values())]
    return Outcome(data, lines, 0, dataset, failures)
