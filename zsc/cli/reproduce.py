"""`zsc reproduce`: the tutorials again, their numbers beside ours."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from zsc.cli import parts
from zsc.evaluation import Evaluation
from zsc.reproduction import Need, explain_differences, needs, tutorials
from zsc.reproduction import reproduce as run

MISSING = 3
SHOWN = ("claim", "metric", "published", "ours", "low", "high", "difference", "verdict", "n")


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    one = parts.add_command(commands, "reproduce", reproduce)
    one.add_argument("names", nargs="*", default=["all"], metavar="TUTORIAL", help="glasses, afhq, imagenette, or all")
    one.add_argument("--offline", action="store_true", help="download nothing: say what is missing; exit code 3 if any")
    one.add_argument(
        "--data-root", "--root", type=Path, default=Path("data"), help="the folder that holds the data sets"
    )
    one.add_argument("--output", type=Path, default=Path("reproduction"), help="gets notebooks, evaluations, reports")
    one.add_argument("--compare", nargs=2, type=Path, metavar="FILE", help="two evaluations: say what differs, and why")


def reproduce(arguments: argparse.Namespace) -> int:
    """Run the tutorials on real CLIP and real data, and lay their numbers beside ours."""
    if arguments.compare:
        return _compare(arguments)
    wanted = tutorials(arguments.names or ["all"])
    if arguments.offline:
        return _offline(needs(wanted, arguments.data_root), arguments)
    stream = sys.stderr if arguments.json else sys.stdout
    table = run(
        wanted,
        arguments.data_root,
        arguments.output,
        report=lambda line: print(line, file=stream, flush=True),
        progress=parts.show_progress(arguments),
    )
    if arguments.json:
        parts.print_json({"rows": parts.records(table), **table.attrs})
        return 0
    _print_table(table)
    print(f"\nsaved {arguments.output / 'table.csv'}, with notebooks, evaluations and reports beside it")
    return 0


def _print_table(table: pd.DataFrame) -> None:
    for (tutorial, model, dataset), part in table.groupby(["tutorial", "model", "dataset"], sort=False):
        first = part.iloc[0]
        print(f"\n{tutorial}: {model} ({first['library']}, weights {first['weights_sha256'][:12]}) on {dataset}")
        print(f"  data digest {str(first['data_digest'])[:12]}, {first['seconds']:.0f} s")
        shown = part[list(SHOWN)].round(3).astype(object).where(part[list(SHOWN)].notna(), "")
        print(shown.to_string(index=False))
        for reason in dict.fromkeys(r for r in part["reason"] if r):
            print(f"  where it differs: {reason}")
    versions = ", ".join(f"{name} {version}" for name, version in table.attrs["versions"].items())
    print(f"\nmade with {versions}, on {table.attrs['hardware']['processor']}")


def _offline(found: list[Need], arguments: argparse.Namespace) -> int:
    missing = [need for need in found if not need.is_here]
    if arguments.json:
        parts.print_json([{**vars(need), "place": str(need.place)} for need in found])
        return MISSING if missing else 0
    for need in missing:
        print(f"{need.item}: {need.state} (for {', '.join(need.tutorials)})")
        print(f"  size    {need.size}\n  expect  {need.check}\n  from    {need.source}\n  put at  {need.place}")
    if missing:
        names = ", ".join(need.item for need in found if need.is_here) or "nothing"
        print(f"\n{len(missing)} of {len(found)} missing; here: {names}. Without --offline they are downloaded.")
        return MISSING
    print("everything is here; run it without --offline.")
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    first, second = (Evaluation.load(path) for path in arguments.compare)
    lines = explain_differences(first, second)
    if arguments.json:
        parts.print_json(
            {"first": str(arguments.compare[0]), "second": str(arguments.compare[1]), "differences": lines}
        )
    else:
        print("\n".join(lines))
    return 0
