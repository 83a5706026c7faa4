"""The command line: `zsc ...` or `python -m zsc ...`. The only room that prints.

Exit codes: 0 done, 1 failed (one sentence on standard error), 2 bad usage; `reproduce --offline` 3 where something is
missing. `--json` prints the result as data.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from zsc import __version__


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv
        The words after the program's name; those of the process where None.

    Returns
    -------
    int
        The exit code: 0, or 1 where the command failed. Bad usage exits with 2.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal that lacks a letter is no reason to stop
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments) or 0
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, TypeError, OSError, ImportError, ArithmeticError, RuntimeError) as error:
        print(f"zsc: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("zsc: stopped; what has come is kept, run it again to go on.", file=sys.stderr)
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    from zsc.cli import catalogue, compare, judge, keep, reproduce

    parser = argparse.ArgumentParser(prog="zsc", description="Zero-shot image classification with CLIP.")
    parser.add_argument("--version", action="version", version=f"zsc {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    judge.add_to(commands)
    compare.add_to(commands)
    keep.add_to(commands)
    catalogue.add_to(commands)
    reproduce.add_to(commands)
    return parser
