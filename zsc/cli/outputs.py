"""The files and folders that a command writes: checked before any work, written so that one failure costs no other."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDERS = ("folder", "store")
INPUTS = ("images", "prompts_file", "compare", "from_file")  # options that name files to be read


def add_output(parser: argparse.ArgumentParser, flag: str, kind: str = "file", **options: Any) -> None:
    """Add an option that names what a command writes.

    Parameters
    ----------
    flag
        Such as "--save".
    kind
        "file", "picture" or "page" (their suffixes are looked at), "folder", or "store": a folder that may also be
        read only, where all that is asked for is in it.
    """
    added = parser.add_argument(flag, type=Path, metavar="FOLDER" if kind in FOLDERS else "FILE", **options)
    parser.set_defaults(outputs={**(parser.get_default("outputs") or {}), added.dest: kind})


def check_outputs(arguments: argparse.Namespace) -> None:
    """Refuse what cannot be written to, before the work that leads to it.

    Raises
    ------
    ValueError
        If a folder is missing or read-only, a name does not fit, or a file is named twice or is also read.
    """
    taken = {_real(path): "a file that is read" for path in _inputs(arguments)}
    for option, kind in getattr(arguments, "outputs", {}).items():
        path = getattr(arguments, option)
        if path is None:
            continue
        try:
            _CHECKS[kind](path)
        except OSError as error:
            raise ValueError(f"{path}: cannot be written to ({error.strerror or error}); choose another.") from error
        if kind not in FOLDERS and (not path.exists() or path.is_file()):
            flag = f"--{option.replace('_', '-')}"
            if _real(path) in taken:
                raise ValueError(f"{flag} {path} is also {taken[_real(path)]}; name another file.")
            taken[_real(path)] = f"what {flag} names"


def write_all(arguments: argparse.Namespace, writers: dict[str, Callable[[Path], Path]]) -> list[str]:
    """Write each file that was asked for, note it in `arguments.written`; give what went wrong with the others.

    Parameters
    ----------
    writers
        Option -> a function that writes to the path it is given.
    """
    arguments.written, problems = {}, []
    for option, write in writers.items():
        path = getattr(arguments, option)
        if path is None:
            continue
        try:
            arguments.written[option] = write(path)
        except (OSError, ValueError) as error:
            problems.append(error.strerror if isinstance(error, OSError) and error.strerror else str(error))
    return problems


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise ValueError(f"{path}: this is a folder; name a file in it.")
    if not path.parent.is_dir():
        raise ValueError(f"{path}: there is no folder {path.parent}; make it, or choose another.")
    if path.exists() and not os.access(path, os.W_OK):
        raise ValueError(f"{path}: exists and may not be written to; choose another name.")
    if not path.exists() or path.is_file():
        _try(path, path.parent)


def _check_picture(path: Path) -> None:
    from zsc.plots import check_picture_path

    _check_file(path)
    check_picture_path(path)


def _check_page(path: Path) -> None:
    from zsc.report import check_report_path

    _check_file(path)
    check_report_path(path)


def _check_folder(path: Path) -> None:
    """Refuse a folder that cannot be made, or cannot be written to."""
    _check_store(path)
    if path.is_dir():
        _try(path, path)


def _check_store(path: Path) -> None:
    """Refuse a folder that cannot be made; one that is there may hold all that is asked for."""
    there = next(p for p in (path, *path.absolute().parents) if os.path.lexists(p))
    if not there.is_dir():
        raise ValueError(f"{path}: {there} is a file and no folder; choose another.")
    if there != path:
        _try(path, there)


def _try(path: Path, folder: Path) -> None:
    """Write a file without a name into a folder: rights, read-only disks and quotas have more to say than a flag."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(f"{path}: the folder {folder} cannot be written to ({error.strerror}).") from error


def _inputs(arguments: argparse.Namespace) -> list[Path]:
    found = [getattr(arguments, option, None) for option in INPUTS]
    return [Path(item) for each in found if each for item in (each if isinstance(each, (list, tuple)) else [each])]


def _real(path: Path) -> str:
    return os.path.normcase(os.path.realpath(path))


_CHECKS = {
    "file": _check_file,
    "picture": _check_picture,
    "page": _check_page,
    "folder": _check_folder,
    "store": _check_store,
}
