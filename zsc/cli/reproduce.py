"""`zsc reproduce`: the tutorials again, their numbers beside ours."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import pandas as pd

from zsc.cli import parts
from zsc.cli.outputs import add_output
from zsc.cli.printing import print_json, records, say, say_table
from zsc.evaluation import Evaluation
from zsc.reproduction import Need, ReproductionError, explain_differences, needs, tutorials
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
    add_output(one, "--output", "folder", default=Path("reproduction"), help="gets notebooks, evaluations, reports")
    one.set_defaults(keeps="what was fetched and embedded is kept, run it again to go on.")
    one.add_argument("--compare", nargs=2, type=Path, metavar="FILE", help="two evaluations: say what differs, and why")


def reproduce(arguments: argparse.Namespace) -> int:
    """Run the tutorials on real CLIP and real data, and lay their numbers beside ours."""
    if arguments.compare:
        return _compare(arguments)
    wanted = tutorials(arguments.names or ["all"])
    if arguments.offline:
        return _offline(needs(wanted, arguments.data_root), arguments)
    import matplotlib  # noqa: F401  # has taken the backend that this program wants; the notebooks have their own

    os.environ.pop("MPLBACKEND", None)
    failure = None
    try:
        table = run(
            wanted,
            arguments.data_root,
            arguments.output,
            report=say,
            progress=parts.show_progress(arguments),
        )
    except ReproductionError as error:  # what the others gave is shown all the same
        table, failure = error.table, error
    if arguments.json:
        print_json(arguments.out, {"rows": records(table), **table.attrs})
    elif len(table):
        _say_table(table)
        say("", f"saved {arguments.output / 'table.csv'}, with notebooks, evaluations and reports beside it")
    if failure is not None:
        raise failure
    return 0


def _say_table(table: pd.DataFrame) -> None:
    for (tutorial, model, dataset), part in table.groupby(["tutorial", "model", "dataset"], sort=False, dropna=False):
        first = part.iloc[0]
        weights = str(first["weights_sha256"])[:12]
        say("", f"{tutorial}: {model} ({first['library']}, weights {weights}) on {dataset}")
        say(f"  data digest {str(first['data_digest'])[:12]}, {first['seconds']:.0f} s")
        shown = part[list(SHOWN)].round(3).astype(object).where(part[list(SHOWN)].notna(), "")
        say_table(shown, index=False)
        reasons = part.loc[part["reason"] != "", ["verdict", "reason"]].itertuples(index=False)
        for judged, reason in dict.fromkeys((row.verdict == "no verdict", row.reason) for row in reasons):
            say(f"  {'no verdict, it is of something else' if judged else 'where it differs'}: {reason}")
    versions = ", ".join(f"{name} {version}" for name, version in table.attrs["versions"].items())
    say("", f"made with {versions}, on {table.attrs['hardware']['processor']}")


def _offline(found: list[Need], arguments: argparse.Namespace) -> int:
    missing = [need for need in found if not need.is_here]
    if arguments.json:
        print_json(arguments.out, [vars(need) for need in found])
        return MISSING if missing else 0
    for need in missing:
        say(
            f"{need.item}: {need.state} (for {', '.join(need.tutorials)})",
            f"  size    {need.size}",
            f"  expect  {need.check}",
            f"  from    {need.source}",
            f"  {'unpack' if need.is_archive else 'put at'}  {need.place}",
        )
    if missing:
        names = ", ".join(need.item for need in found if need.is_here) or "nothing"
        absent = sum(need.is_missing for need in missing)
        words = [f"{absent} of {len(found)} missing"] if absent else []
        if absent < len(missing):
            words.append(f"{len(missing) - absent} of {len(found)} there but not whole")
        say("", f"{', '.join(words)}; here: {names}. {_ways_on(absent, len(missing) - absent)}")
        return MISSING
    say("everything is here; run it without --offline.")
    return 0


def _ways_on(absent: int, broken: int) -> str:
    ways = ["What is missing is downloaded without --offline."] if absent else []
    if broken:
        ways.append("What is there but not whole is not replaced: complete it, or move it away and it is downloaded.")
    return " ".join(ways)


def _compare(arguments: argparse.Namespace) -> int:
    first, second = (Evaluation.load(path) for path in arguments.compare)
    lines = explain_differences(first, second)
    if arguments.json:
        names = dict(zip(("first", "second"), arguments.compare, strict=True))
        print_json(arguments.out, {**names, "differences": lines})
    else:
        say(*lines)
    return 0
