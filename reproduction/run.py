"""reproduce: download what is missing, run the tutorials' notebooks on real models and data, compare the numbers.

Nothing here computes a result: the notebooks do, with the same cells that a reader runs, and leave evaluations in
`results`, by name. Cheap checks run before anything is downloaded; the table is written after each tutorial.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import logging
import os
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pandas as pd

from reproduction.needs import needs
from reproduction.tutorials import CHECKOUT, Tutorial
from reproduction.verdicts import rows
from zsc.datasets import download_dataset, find_published
from zsc.evaluation import Evaluation, environment
from zsc.files import digest_of, locked, write_whole
from zsc.models.weights import get_weights
from zsc.report import write_report

Report = Callable[[str], None]
KIND, FORMAT = "zsc reproduction", 1
PARAMETERS = ("MODEL", "DATASET", "ROOT", "STORE", "LIMIT")
ELSEWHERE = "move it away, or choose another --output."
QUIET = ["--log-level=ERROR"]  # kernels warn that they listen on TCP without encryption; it is loopback
_log = logging.getLogger("zsc")


class ReproductionError(RuntimeError):
    """Some tutorials failed; `table` holds the rows of those that did not."""

    def __init__(self, message: str, table: pd.DataFrame) -> None:
        super().__init__(message)
        self.table = table


def reproduce(
    wanted: Sequence[Tutorial],
    root: str | Path = "data",
    output: str | Path = "reproduced",
    *,
    report: Report | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Run tutorials and compare their results with the published numbers.

    Parameters
    ----------
    wanted
        The tutorials (see `tutorials`).
    root
        The folder of the data sets; embeddings are stored in its `embeddings/`.
    output
        The folder for the results: one folder per tutorial, with the executed notebook, the evaluations and their HTML
        reports; and `table.csv` and `table.json`, which keep the rows of tutorials that were run earlier.
    report, progress
        `report` is called with one line per step (None logs them); `progress` shows progress bars.

    Returns
    -------
    pd.DataFrame
        One row per published number: tutorial, claim, metric, published, ours, low, high, difference, verdict, reason,
        n, model, library, fingerprint, weights_sha256, dataset, data_digest, seconds, notebook_sha256, finished.

    Raises
    ------
    ImportError
        If a package needed to run notebooks is missing.
    ValueError
        If a notebook, the output folder or an older table in it is invalid, or weights or a data set are incomplete;
        raised before anything is downloaded.
    ReproductionError
        If a tutorial fails; the others were run, and their rows are in the table.
    """
    report = report or _log.info
    root, output = Path(root).resolve(), Path(output).resolve()
    check_first(wanted, root, output)
    found: list[dict[str, Any]] = []
    failed = []
    with locked(output / "table.json", report=report):
        for tutorial in wanted:
            _keep(output, tutorial, [])  # so that no row of an earlier run is mistaken for one of this run
            try:
                new = _one(tutorial, root, output / tutorial.name, report, progress)
            except (RuntimeError, OSError, ValueError) as error:
                failed.append(f"{tutorial.name}: {error}")
                report(f"  failed: {error}")
                continue
            _keep(output, tutorial, new)
            found += new
    table = pd.DataFrame(found)
    if failed:
        done = ", ".join(dict.fromkeys(row["tutorial"] for row in found)) or "none"
        raise ReproductionError(f"{' '.join(failed)} Tutorials that ran to their end: {done}.", table)
    return table


def check_first(wanted: Sequence[Tutorial], root: Path, output: Path) -> None:
    """Run the cheap checks before downloading gigabytes; see `reproduce` for what is raised."""
    for package in ("papermill", "ipykernel"):
        if importlib.util.find_spec(package) is None:
            raise ImportError(f"running notebooks needs {package}: pip install 'zsc-clip[notebooks]'.")
    for tutorial in wanted:
        known = parameter_names(tutorial.notebook)
        if missing := [name for name in PARAMETERS if name not in known]:
            raise ValueError(
                f"{tutorial.notebook}: its cell tagged 'parameters' does not set {', '.join(missing)}; without it the "
                "notebook would not run on the tutorial's model and data; restore it."
            )
    if wrong := [need for need in needs(wanted, root) if not need.is_here and not need.is_missing]:
        words = " ".join(f"{need.item} in {need.place}: {need.state}." for need in wrong)
        raise ValueError(
            f"{words} What is there is neither used nor replaced: complete it, or move it away and it is fetched."
        )
    for folder in (output, *(output / tutorial.name for tutorial in wanted)):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"{folder} cannot be made ({error.strerror}); choose another --output.") from error
        if not os.access(folder, os.W_OK):
            raise ValueError(f"{folder} cannot be written to; choose another --output.")
    _read_rows(output)


def _one(tutorial: Tutorial, root: Path, output: Path, report: Report, progress: bool) -> list[dict[str, Any]]:
    report(f"{tutorial.name}: {tutorial.title}")
    report(f"  weights of {tutorial.model}: {get_weights(tutorial.model).name}")
    _get_data(tutorial, root, report, progress)
    start = time.perf_counter()
    run_notebook(tutorial, root, output, progress=progress)
    seconds = time.perf_counter() - start
    report(f"  {tutorial.notebook.name}: {seconds:.0f} s")
    run = {
        "seconds": round(seconds, 1),
        "notebook_sha256": digest_of(tutorial.notebook),
        "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    found = []
    for result in tutorial.results:
        evaluation = Evaluation.load(output / result.file)
        write_report(evaluation, output / Path(result.file).with_suffix(".html"))
        found += [{"tutorial": tutorial.name, **row, **run} for row in rows(tutorial, result, evaluation)]
    return found


def _get_data(tutorial: Tutorial, root: Path, report: Report, progress: bool) -> None:
    """Download the data set if it is missing, and check that it is complete."""
    data = needs([tutorial], root)[-1]
    if data.is_missing:
        options: dict[str, Any] = dict(find_published(tutorial.dataset).options)
        download_dataset(tutorial.dataset, root, **options, report=report, progress=progress)
        data = needs([tutorial], root)[-1]
    if not data.is_here:
        raise ValueError(f"{data.item} in {data.place}: {data.state}; it must hold {data.check}.")
    report(f"  {data.item} {tutorial.split}: {data.check.partition(' (')[0]}")


def _read_rows(output: Path) -> list[dict[str, Any]]:
    """Read the rows of a table that an earlier run wrote; an empty list if there is no table."""
    path = output / "table.json"
    if not path.exists():
        return []
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = list(content["rows"])
        is_table = all(isinstance(row["tutorial"], str) for row in found) and content.get("kind", KIND) == KIND
        version = content.get("format", 0)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path}: no table of 'zsc reproduce' ({error}); {ELSEWHERE}") from error
    if not is_table or version not in (0, FORMAT):
        raise ValueError(f"{path}: a table of {'another version' if is_table else 'something else'}; {ELSEWHERE}")
    return found


def _keep(output: Path, tutorial: Tutorial, new: list[dict[str, Any]]) -> None:
    """Write the table with new rows for one tutorial, and the rows of the others unchanged."""
    plain = json.loads(pd.DataFrame(new).to_json(orient="records", double_precision=15))
    every = [row for row in _read_rows(output) if row["tutorial"] != tutorial.name] + plain
    content = {"kind": KIND, "format": FORMAT, "rows": every, **environment()}
    write_whole(output / "table.json", json.dumps(content, indent=2, ensure_ascii=False))
    write_whole(output / "table.csv", pd.DataFrame(every).to_csv(index=False) if every else "")


def run_notebook(tutorial: Tutorial, root: Path, output: Path, *, progress: bool = True) -> None:
    """Run a tutorial's notebook with the real model and data set; save it, executed, and its `results`.

    Raises
    ------
    RuntimeError
        If a cell fails; the message names the error, and the notebook is saved up to that cell.
    """
    import nbformat
    import papermill

    output.mkdir(parents=True, exist_ok=True)
    for result in tutorial.results:  # so that no result of an earlier run is mistaken for one of this run
        for suffix in (".json", ".html"):
            (output / result.file).with_suffix(suffix).unlink(missing_ok=True)
    executed = output / tutorial.notebook.name
    values = (tutorial.model, tutorial.dataset, str(root), str(root / "embeddings"), None)
    notebook = nbformat.read(tutorial.notebook, as_version=4)
    saving = f"for name, evaluation in results.items():\n    evaluation.save({str(output)!r} + f'/{{name}}.json')"
    notebook.cells.append(nbformat.v4.new_code_cell(saving))  # no reader of the lesson needs it
    nbformat.write(notebook, executed)
    try:
        papermill.execute_notebook(
            str(executed),
            str(executed),
            parameters=dict(zip(PARAMETERS, values, strict=True)),
            kernel_name="python3",
            language="python",
            cwd=str(CHECKOUT / "notebooks"),
            progress_bar=progress,
            extra_arguments=QUIET,
        )
    except papermill.PapermillExecutionError as error:
        words = f"{tutorial.notebook.name} failed: {error.ename}: {error.evalue} (see {executed})."
        raise RuntimeError(words) from error


def parameter_names(notebook: Path) -> list[str]:
    """List the names set in a notebook's cell tagged `parameters`; raise ValueError if the file is not a notebook."""
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        tagged = [c for c in cells if "parameters" in c["metadata"].get("tags", [])]
        return assigned_names("\n".join("".join(c["source"]) for c in tagged))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SyntaxError) as error:
        raise ValueError(f"{notebook}: cannot be read as a notebook ({error}); restore it.") from error


def assigned_names(source: str) -> list[str]:
    """List the names that Python source assigns, whatever the spacing and annotations."""
    nodes = [node for node in ast.parse(source).body if not (isinstance(node, ast.AnnAssign) and node.value is None)]
    names = [name for node in nodes for name in ast.walk(node) if isinstance(name, ast.Name)]
    return [name.id for name in names if isinstance(name.ctx, ast.Store)]
