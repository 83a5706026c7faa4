"""One command, run: streams, warnings and the caller's environment beforehand; afterwards the exit code."""

from __future__ import annotations

import argparse
import contextlib
import dis
import logging
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

from zsc import __version__
from zsc.cli import INTERRUPTED, catalogue, compare, judge, keep, parts, reproduce
from zsc.cli.outputs import check_outputs
from zsc.cli.printing import ReaderLeftError, complain, open_streams, put

PACKAGE = Path(__file__).resolve().parents[1]


def run(argv: Sequence[str] | None, interrupts: Sequence[int] = ()) -> int:
    """Run one command; give its exit code.

    Parameters
    ----------
    argv
        The words after the program's name; those of the process where None.
    interrupts
        Filled by the caller when the user interrupts.
    """
    open_streams()
    arguments = argparse.Namespace(debug=False)
    with warnings.catch_warnings(), _notes_in_a_line():
        try:
            try:
                parser().parse_args(argv, arguments)
            finally:
                put("", sys.stdout)  # what --help prints, before Python ends and nobody can be told
            return _command(arguments)
        except ReaderLeftError:
            return 0
        except (Exception, KeyboardInterrupt) as error:
            if arguments.debug:
                traceback.print_exc()
            if interrupts or isinstance(error, KeyboardInterrupt):
                complain(f"zsc: {parts.stopped(arguments)}")
                return INTERRUPTED
            complain(f"zsc: {sentence(error)}")
            return 1


def parser() -> argparse.ArgumentParser:
    """Make the parser of all commands."""
    root = parts.Parser(prog="zsc", description="Zero-shot image classification with CLIP.")
    root.add_argument("--version", action="version", version=f"zsc {__version__}")
    root.add_argument("--debug", action="store_true", help="show the traceback of what went wrong")
    commands = root.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for room in (judge, compare, keep, catalogue, reproduce):
        room.add_to(commands)
    return root


def sentence(error: BaseException) -> str:
    """Word an error: by its own sentence where one was meant for the user; else that zsc has a fault, and where."""
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return f"not enough memory ({error or 'none left'}); ask for less at once: --batch-size, --limit."
    if _is_meant(error) and not (isinstance(error, OSError) and error.errno):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        name = f"{error.filename}: " if error.filename and str(error.filename) not in error.strerror else ""
        return name + error.strerror
    if isinstance(error, (OSError, ImportError)):
        return str(error)
    return (
        f"{type(error).__name__} at {_place(error)} ({error}); this is a fault of zsc, not of yours: please report it "
        "(--debug shows the traceback)."
    )


def _command(arguments: argparse.Namespace) -> int:
    arguments.out = sys.stdout
    with contextlib.redirect_stdout(sys.stderr) if arguments.json else contextlib.nullcontext():
        check_outputs(arguments)
        code: int = arguments.run(arguments) or 0
    put("", sys.stdout)
    return code


def _is_meant(error: BaseException) -> bool:
    """Tell an error that zsc raised by a `raise` of its own from one that nobody foresaw."""
    last = _frames(error)[-1:]
    if not last or not _is_ours(last[0]):
        return False
    return last[0].tb_frame.f_code.co_code[last[0].tb_lasti] == dis.opmap["RAISE_VARARGS"]


def _place(error: BaseException) -> str:
    """Name the last line of zsc that an error came through."""
    ours = [frame for frame in _frames(error) if _is_ours(frame)]
    if not ours:
        return "an unknown place"
    return f"{Path(ours[-1].tb_frame.f_code.co_filename).relative_to(PACKAGE.parent)}:{ours[-1].tb_lineno}"


def _frames(error: BaseException) -> list[TracebackType]:
    frames, here = [], error.__traceback__
    while here is not None:
        frames.append(here)
        here = here.tb_next
    return frames


def _is_ours(frame: TracebackType) -> bool:
    return Path(frame.tb_frame.f_code.co_filename).is_relative_to(PACKAGE)


class _Lines(logging.Handler):
    """Prints what is logged as a line on standard error, once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.seen: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record."""
        if (text := record.getMessage()) not in self.seen:
            self.seen.add(text)
            complain(f"zsc: note: {text}")


@contextlib.contextmanager
def _notes_in_a_line() -> Iterator[None]:
    """Let warnings, and what zsc logs, reach standard error as lines of one form."""
    log, lines = logging.getLogger("zsc"), _Lines()
    log.addHandler(lines)
    if not sys.warnoptions:  # the user has asked for nothing else
        warnings.simplefilter("default", UserWarning)
    warnings.showwarning = lambda message, *_, **__: complain(f"zsc: note: {message}")
    try:
        yield
    finally:
        log.removeHandler(lines)
