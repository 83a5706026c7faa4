"""clear: take kept embeddings away. Only what can be proved to be ours is removed; all else stays, and is told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq

from zsc.files import TEMPORARY, sweep
from zsc.store import path_index
from zsc.store.kept import DESCRIPTION, candidates, layout
from zsc.store.parts import (
    ASIDE,
    PART,
    DamagedPartError,
    ForeignPartError,
    Layout,
    open_part,
    record_of,
    why,
)

MANIFEST = "manifest.parquet"  # what a cluster writes beside its parts
_FIRST_TEMPORARY = re.compile(r"\.(part-[0-9a-f]{32}\.parquet|model\.json)\.\d+\.\d+\.tmp")


@dataclass(frozen=True)
class Cleared:
    """What `clear` did: the models' folders whose embeddings are gone; and each file or folder that stays, and why."""

    removed: list[Path] = field(default_factory=list)
    left: list[tuple[Path, str]] = field(default_factory=list)


def clear(folder: str | Path, fingerprint: str | None = None) -> Cleared:
    """Remove kept embeddings.

    Parameters
    ----------
    folder
        The folder of all models' embeddings.
    fingerprint
        Only this model's; None removes those of every model, and the index of paths.

    Returns
    -------
    Cleared
        What is gone, and what was left because nothing proves that zsc wrote it, or because it is newer or in use.
    """
    done = Cleared()
    for place, about, problem in candidates(folder):
        if fingerprint not in (None, place.name):
            continue
        if about is None:
            done.left.append((place, problem))
            continue
        left = list(_clear_files(place, layout(about["embed_dim"])))
        if not any(path.name.startswith("part-") for path, _ in left):  # else it says whose they are
            left += _remove(place / DESCRIPTION)
        _remove_if_empty(place)
        done.removed.append(place)
        done.left.extend(left)
    paths = Path(folder) / "paths"
    if fingerprint is None:
        left = list(_clear_files(paths, path_index.LAYOUT)) if (holds_index := _holds_index(paths)) else []
        done.left.extend(left)
        if holds_index or done.removed:
            _remove_if_empty(paths)
    return done


def _clear_files(folder: Path, kind: Layout) -> Iterator[tuple[Path, str]]:
    """Remove the files that are ours; give the others, and why they stay."""
    sweep(folder)
    for path in sorted(folder.iterdir()):
        if path.name == DESCRIPTION:
            continue
        reason = _why_not_ours(path, kind)
        if reason:
            yield path, reason
        else:
            yield from _remove(path)


def _why_not_ours(path: Path, kind: Layout) -> str:
    if path.is_symlink() or not path.is_file():
        return "was not written by zsc"
    if ASIDE.fullmatch(path.name) or _FIRST_TEMPORARY.fullmatch(path.name):
        return ""
    if TEMPORARY.fullmatch(path.name):
        return "is being written by another process"
    if path.name == MANIFEST and _fingerprint_in(path) == path.parent.name:
        return ""
    if not PART.fullmatch(path.name):
        return "was not written by zsc"
    with suppress(DamagedPartError, FileNotFoundError):
        try:
            open_part(path, kind, [], check=False)
        except ForeignPartError as error:
            return str(error)
    return ""


def _fingerprint_in(path: Path) -> str:
    try:
        return str(record_of(pq.read_schema(path)).get("fingerprint"))
    except Exception:  # whatever it is, it is no manifest
        return ""


def _holds_index(paths: Path) -> bool:
    parts = [] if paths.is_symlink() else sorted(paths.glob("part-*"))
    return any(not _why_not_ours(part, path_index.LAYOUT) for part in parts)


def _remove(path: Path) -> list[tuple[Path, str]]:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        return [(path, f"cannot be removed ({why(error)})")]
    return []


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()
