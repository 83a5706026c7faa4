"""One command: its outputs are looked at, it is run, its result is printed and written; then the exit code."""

import contextlib
import importlib
import logging
import os
import signal
import sys
import tempfile
import traceback
import warnings
from argparse import SUPPRESS, Namespace
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import shtab

from zsc.cli._options import FOLDERS, Parser
from zsc.cli._printing import Outcome, ReaderLeftError, complain, labelled, open_streams, print_json, put, say
from zsc.files import check_path

COMMANDS = (
    "demo", "doctor", "classify", "sort", "evaluate", "explain", "audit", "compare", "search", "label", "embed",
    "store", "datasets", "models", "download", "reproduce",
)  # fmt: skip
INPUTS = ("images", "prompts_file", "compare", "from_file")  # options that name files to be read
WRITTEN = {"save": "Evaluation", "figure": "Picture", "html": "Report", "output": "Picture", "csv": "Table"}
PACKAGE = Path(__file__).resolve().parents[1]
OURS = (str(PACKAGE), str(PACKAGE.with_name("reproduction")))


def run(argv: Sequence[str] | None, interrupts: Sequence[int] = ()) -> int:
    """Run one command and return the exit code; the caller appends to `interrupts` when the user interrupts."""
    open_streams()
    arguments = Namespace(debug=False, written={})
    with warnings.catch_warnings(), _notes_in_a_line():
        try:
            try:
                parser(sys.argv[1:] if argv is None else argv).parse_args(argv, arguments)
            finally:
                put("", sys.stdout)  # what --help prints, before Python ends and nobody can be told
            return _command(arguments)
        except ReaderLeftError:
            return 0
        except (Exception, KeyboardInterrupt) as error:
            if arguments.debug:
                traceback.print_exc()
            is_stopped = bool(interrupts) or isinstance(error, KeyboardInterrupt)
            complain(f"zsc: {stopped(arguments) if is_stopped else sentence(error)}")
            return 128 + signal.SIGINT if is_stopped else 1


def parser(words: Sequence[str] = ()) -> Parser:
    """Make the parser of all commands, or of the one that the words name; a command's help is `run`'s first line."""
    named = next((word for word in words if not word.startswith("-")), "")  # the others take a second to import
    root = Parser(prog="zsc", description="Zero-shot image classification with CLIP.")
    root.add_argument("--version", action="version", version=f"zsc {version('zsc-clip')}")
    root.add_argument("--debug", action="store_true", help="show the traceback of what went wrong")
    shtab.add_argument_to(root, "--print-completion", help="print what completes words in this shell, and end")
    commands = root.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name in [named] if named in COMMANDS else COMMANDS:
        command = importlib.import_module(f"zsc.cli.{name}")
        line = str(command.run.__doc__).partition("\n")[0]
        one = commands.add_parser(name, help=line, description=line)
        one.add_argument("--json", action="store_true", help="print the result as JSON")
        one.add_argument("--quiet", action="store_true", help="do not show how far the work is")
        one.add_argument("--debug", action="store_true", default=SUPPRESS, help=SUPPRESS)
        one.add_options(command.OPTIONS)
        one.set_defaults(run=command.run, keeps=getattr(command, "KEEPS", ""))
    return root


def _command(arguments: Namespace) -> int:
    out, problems = sys.stdout, []
    arguments.progress = not (arguments.json or arguments.quiet)
    with contextlib.redirect_stdout(sys.stderr) if arguments.json else contextlib.nullcontext():
        check_outputs(arguments)
        outcome: Outcome = arguments.run(arguments)
        for option, write in outcome.writers.items():
            if (path := getattr(arguments, option)) is not None:
                try:
                    arguments.written[option] = write(path)
                except (OSError, ValueError) as error:  # the other files are written, the result is printed
                    problems.append(getattr(error, "strerror", None) or str(error))
    if arguments.json:
        data = outcome.as_data()
        print_json(out, {**data, "written": arguments.written} if outcome.writers else data)
    else:
        say(*outcome.as_lines())
        say(*(labelled(WRITTEN[option], path.resolve()) for option, path in arguments.written.items()))
    if outcome.error or problems:
        raise outcome.error or ValueError("; ".join(problems))
    return outcome.code


def check_outputs(arguments: Namespace) -> None:
    """Refuse what cannot be written to, is named twice or is also read, before the work that leads to it."""
    found = [getattr(arguments, option, None) or () for option in INPUTS]
    files = [name for each in found for name in ([each] if isinstance(each, (str, Path)) else each)]
    taken = dict.fromkeys(map(os.path.realpath, files), "a file that is read")
    for option, kind in getattr(arguments, "outputs", {}).items():
        path, flag = getattr(arguments, option), f"--{option.replace('_', '-')}"
        if path is None:
            continue
        try:
            _check_output(path, kind)
        except OSError as error:
            raise ValueError(f"{path}: cannot be written to ({error.strerror or error}); choose another.") from error
        if kind not in FOLDERS and (path.is_file() or not path.exists()):
            if there := taken.get(os.path.realpath(path)):
                raise ValueError(f"{flag} {path} is also {there}; name another file.")
            taken[os.path.realpath(path)] = f"what {flag} names"


def _check_output(path: Path, kind: str) -> None:
    """Try with a file without a name: it tells more of rights, read-only disks and quotas than a flag does."""
    if kind in FOLDERS:
        folder = next(p for p in (path, *path.absolute().parents) if os.path.lexists(p))
        is_tried = folder != path or kind == "folder"
        if not folder.is_dir():
            raise ValueError(f"{path}: {folder} is a file and no folder; choose another.")
    else:
        folder, is_tried = path.parent, path.is_file() or not path.exists()
        if path.is_dir():
            raise ValueError(f"{path}: this is a folder; name a file in it.")
        if not folder.is_dir():
            raise ValueError(f"{path}: there is no folder {folder}; make it, or choose another.")
        if path.exists() and not os.access(path, os.W_OK):
            raise ValueError(f"{path}: exists and may not be written to; choose another name.")
    if kind in ("picture", "page", "table"):
        from zsc import plots, report, spreadsheet

        if kind == "picture":
            plots.check_picture_path(path)
        else:
            check_path(path, report.SUFFIXES if kind == "page" else spreadsheet.ENDINGS, f"a {kind}")
    if is_tried:
        tempfile.TemporaryFile(dir=folder).close()


def stopped(arguments: Namespace) -> str:
    """Say what an interrupted command leaves behind: what was written, and what a second run need not do again."""
    text, store = "stopped", getattr(arguments, "store", None)
    if arguments.written:
        text += f"; written: {', '.join(map(str, arguments.written.values()))}"
    if keeps := getattr(arguments, "keeps", ""):
        return f"{text}; {keeps}"
    if not hasattr(arguments, "on_error") or getattr(arguments, "action", "compare") != "compare":
        return f"{text}."  # it embeds nothing
    if store is None:
        return f"{text}; no embedding is kept (with --store FOLDER they would be)."
    if any(store.glob("*/part-*.parquet")):
        return f"{text}; what was embedded is kept in {store}, run the same command again to go on."
    return f"{text}; nothing was embedded yet."


def sentence(error: BaseException) -> str:
    """Word an error: by its own sentence where one was meant for the user; else that zsc has a fault, and where."""
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return f"not enough memory ({error or 'none left'}); ask for less at once: --batch-size, --limit."
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if frame.filename.startswith(OURS)]
    is_meant = ours[-1:] == frames[-1:] and str(frames[-1].line).startswith("raise ")
    if isinstance(error, OSError) and error.strerror and (error.errno or not is_meant):
        name = f"{error.filename}: " if error.filename and str(error.filename) not in error.strerror else ""
        return name + error.strerror
    if is_meant or isinstance(error, (OSError, ImportError)):
        return str(error)
    place = f"{Path(ours[-1].filename).relative_to(PACKAGE.parent)}:{ours[-1].lineno}" if ours else "an unknown place"
    told = f"{type(error).__name__} at {place} ({error}); this is a fault of zsc, not of yours"
    return f"{told}: please report it (--debug shows the traceback)."


@contextlib.contextmanager
def _notes_in_a_line() -> Iterator[None]:
    """Let warnings, and what zsc logs, reach standard error as lines of one form, each once."""
    told: set[str] = set()

    def note(message: object, *_: object, **__: object) -> None:
        if str(message) not in told:
            told.add(str(message))
            complain(f"zsc: note: {message}")

    log, handler = logging.getLogger("zsc"), logging.Handler(logging.WARNING)
    handler.emit = lambda record: note(record.getMessage())  # type: ignore[method-assign]
    log.addHandler(handler)
    warnings.showwarning = note
    if not sys.warnoptions:  # the user has asked for nothing else
        warnings.simplefilter("default", UserWarning)
    try:
        yield
    finally:
        log.removeHandler(handler)
