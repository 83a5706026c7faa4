"""reproduce: fetch what is missing, run the tutorials' notebooks on the real thing, lay the numbers beside theirs.

Nothing here computes a result: the notebooks do, with the same cells that a reader runs, and save evaluations.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from zsc.datasets import download_dataset, load_dataset
from zsc.datasets.published import find_published
from zsc.evaluation import Evaluation
from zsc.models.weights import get_weights
from zsc.provenance import environment
from zsc.report import write_report
from zsc.reproduction.tutorials import CHECKOUT, Tutorial
from zsc.reproduction.verdicts import rows

Report = Callable[[str], None]
_log = logging.getLogger("zsc")


def reproduce(
    wanted: Sequence[Tutorial],
    root: str | Path = "data",
    output: str | Path = "reproduction",
    *,
    report: Report | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Run tutorials again and compare.

    Parameters
    ----------
    wanted
        The tutorials (see `tutorials`).
    root
        The folder that holds the data sets; embeddings are kept in its `embeddings/`.
    output
        Gets a folder a tutorial, with the executed notebook, the evaluations and their HTML reports; and `table.csv`
        and `table.json` of all.
    report
        Called with a line for each step; None logs them.
    progress
        Show bars.

    Returns
    -------
    pd.DataFrame
        A row a published number: tutorial, claim, metric, published, ours, low, high, difference, verdict, reason, n,
        model, library, fingerprint, weights_sha256, dataset, data_digest, seconds. `attrs` has versions and hardware.
    """
    report = report or _log.info
    root, output = Path(root).resolve(), Path(output).resolve()
    found: list[dict[str, Any]] = []
    for tutorial in wanted:
        found += _one(tutorial, root, output / tutorial.name, report=report, progress=progress)
    table = pd.DataFrame(found)
    table.attrs |= environment()
    output.mkdir(parents=True, exist_ok=True)
    table.to_csv(output / "table.csv", index=False)
    content = {"rows": json.loads(table.to_json(orient="records")), **table.attrs}
    (output / "table.json").write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")
    return table


def _one(tutorial: Tutorial, root: Path, output: Path, *, report: Report, progress: bool) -> list[dict[str, Any]]:
    report(f"{tutorial.name}: {tutorial.title}")
    report(f"  weights of {tutorial.model}: {get_weights(tutorial.model).name}")
    _get_data(tutorial, root, report, progress)
    start = time.perf_counter()
    run_notebook(tutorial, root, output, progress=progress)
    seconds = time.perf_counter() - start
    report(f"  {tutorial.notebook.name}: {seconds:.0f} s")
    found = []
    for result in tutorial.results:
        evaluation = Evaluation.load(output / result.file)
        write_report(evaluation, output / Path(result.file).with_suffix(".html"))
        found += [{"tutorial": tutorial.name, **row, "seconds": round(seconds, 1)} for row in rows(result, evaluation)]
    return found


def _get_data(tutorial: Tutorial, root: Path, report: Report, progress: bool) -> None:
    """Load the data set as it is; fetch it where it is missing."""
    options: dict[str, Any] = dict(find_published(tutorial.dataset).options)
    try:
        dataset = load_dataset(tutorial.dataset, root, **options)
    except FileNotFoundError:
        download_dataset(tutorial.dataset, root, **options, report=report, progress=progress)
        dataset = load_dataset(tutorial.dataset, root, **options)
    report(f"  data set {dataset.name} {dataset.split_name}: {len(dataset)} pictures")


def run_notebook(tutorial: Tutorial, root: Path, output: Path, *, progress: bool = True) -> Path:
    """Run a tutorial's notebook with the real model and data set; keep it executed beside its results.

    Raises
    ------
    ImportError
        If papermill is not installed.
    RuntimeError
        If a cell fails; the message says which error, and the notebook is kept up to there.
    """
    try:
        import papermill
    except ImportError as error:
        raise ImportError("running notebooks needs papermill: pip install -e '.[notebooks]'.") from error
    output.mkdir(parents=True, exist_ok=True)
    for result in tutorial.results:
        (output / result.file).unlink(missing_ok=True)  # no result of an earlier run is taken for this one's
    executed = output / tutorial.notebook.name
    parameters = {
        "MODEL": tutorial.model,
        "DATASET": tutorial.dataset,
        "ROOT": str(root),
        "STORE": str(root / "embeddings"),
        "LIMIT": None,
        "RESULTS": str(output),
    }
    known = _parameters(tutorial.notebook)
    try:
        papermill.execute_notebook(
            str(tutorial.notebook),
            str(executed),
            parameters={k: v for k, v in parameters.items() if k in known},
            kernel_name="python3",
            language="python",
            cwd=str(CHECKOUT / "notebooks"),
            progress_bar=progress,
        )
    except papermill.PapermillExecutionError as error:
        raise RuntimeError(
            f"{tutorial.notebook.name} failed: {error.ename}: {error.evalue} (see {executed})."
        ) from error
    return executed


def _parameters(notebook: Path) -> list[str]:
    """List the names that a notebook's `parameters` cell sets."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    tagged = [c for c in cells if "parameters" in c["metadata"].get("tags", [])]
    source = "".join("".join(c["source"]) for c in tagged)
    return re.findall(r"^([A-Z_]+) =", source, re.MULTILINE)
