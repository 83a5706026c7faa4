"""The output of `zsc reproduce`: (data, lines, exit code)."""

from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from reproduction.differences import explain_differences
from reproduction.needs import Need, needs
from reproduction.run import ReproductionError, reproduce
from reproduction.tutorials import tutorials
from zsc.cli._printing import table_lines
from zsc.evaluation import Evaluation, environment

MISSING = 3  # the exit code
SHOWN = ["claim", "metric", "published", "ours", "low", "high", "difference", "verdict", "n"]
Shown = tuple[Any, list[str], int, Exception | None]


def run(arguments: Namespace, *, report: Callable[[str], None], progress: bool) -> Shown:
    """Carry out what the options ask for: compare two files, list what is missing, or run tutorials."""
    if arguments.compare:
        lines = explain_differences(*(Evaluation.load(path) for path in arguments.compare))
        names = dict(zip(("first", "second"), arguments.compare, strict=True))
        return {**names, "differences": lines}, lines, 0, None
    wanted = tutorials(arguments.names or ["all"])
    if arguments.offline:
        found = needs(wanted, arguments.data_root)
        code = 0 if all(need.is_here for need in found) else MISSING
        return [vars(need) for need in found], list(_what_is_missing(found)), code, None
    failure = None
    try:
        table = reproduce(wanted, arguments.data_root, arguments.output, report=report, progress=progress)
    except ReproductionError as error:  # show what the others returned all the same
        table, failure = error.table, error
    return {"rows": table, **environment()}, list(_numbers(table, arguments.output)), 0, failure


def _numbers(table: pd.DataFrame, output: Path) -> Iterator[str]:
    if table.empty:
        return
    for (tutorial, model, dataset), part in table.groupby(["tutorial", "model", "dataset"], sort=False, dropna=False):
        first = part.iloc[0]
        yield from ("", f"{tutorial}: {model} ({first['library']}, weights {first['weights_sha256']:.12}) on {dataset}")
        yield f"  data digest {first['data_digest']:.12}, {first['seconds']:.0f} s"
        yield from table_lines(part[SHOWN])
        for row in part[part["reason"] != ""].drop_duplicates("reason").to_dict("records"):
            what = "no verdict, different setup" if row["verdict"] == "no verdict" else "possible cause"
            yield f"  {what}: {row['reason']}"
    made = environment()
    versions = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
    yield from ("", f"made with {versions}, on {made['hardware']['processor']}")
    yield from ("", f"saved {output / 'table.csv'}, and notebooks, evaluations and reports next to it")


def _what_is_missing(found: list[Need]) -> Iterator[str]:
    absent = [need for need in found if need.is_missing]
    broken = [need for need in found if not need.is_missing and not need.is_here]
    for need in sorted([*absent, *broken], key=found.index):
        yield f"{need.item}: {need.state} (for {', '.join(need.tutorials)})"
        yield from (f"  size    {need.size}", f"  expect  {need.check}", f"  from    {need.source}")
        yield f"  {'unpack' if need.is_archive else 'put at'}  {need.place}"
    if not absent and not broken:
        yield "everything is here; run it without --offline."
        return
    words = [f"{len(absent)} of {len(found)} missing"] if absent else []
    words += [f"{len(broken)} of {len(found)} there but not whole"] if broken else []
    names = ", ".join(need.item for need in found if need.is_here) or "nothing"
    ways = ["What is missing is downloaded without --offline."] if absent else []
    if broken:
        ways.append("What is there but not whole is not replaced: complete it, or move it away and it is downloaded.")
    yield from ("", f"{', '.join(words)}; here: {names}. {' '.join(ways)}")
