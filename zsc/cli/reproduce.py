"""`zsc reproduce`: the tutorials again, their numbers beside ours; the work is in the checkout's `reproduction/`."""

import importlib
import os
import sys
from argparse import Namespace
from pathlib import Path

from zsc.cli import _options
from zsc.cli._options import option
from zsc.cli._printing import Outcome, say

CHECKOUT = Path(__file__).resolve().parents[2]  # of the project, where this is run from one
OPTIONS = (
    option("names", nargs="*", default=["all"], metavar="TUTORIAL", help="glasses, afhq, imagenette, or all"),
    option("--offline", action="store_true", help="download nothing: say what is missing; exit code 3 if any"),
    _options.ROOT,
    option("--output", writes="folder", default=Path("reproduced"), help="gets notebooks, evaluations, reports"),
    option("--compare", nargs=2, type=Path, metavar="FILE", help="two evaluations: say what differs, and why"),
)
KEEPS = "what was fetched and embedded is kept, run it again to go on."


def run(arguments: Namespace) -> Outcome:
    """Run the tutorials on real CLIP and real data, and lay their numbers beside ours."""
    if not (CHECKOUT / "reproduction").is_dir():
        told = "zsc reproduce needs the project's notebooks and published numbers; this is an installed package"
        raise FileNotFoundError(f"{told}: clone the project and run it there.")
    sys.path.insert(0, str(CHECKOUT))
    command = importlib.import_module("reproduction.command")
    os.environ.pop("MPLBACKEND", None)  # the kernels of the notebooks have their own
    return Outcome(*command.run(arguments, report=say, progress=arguments.progress))
