"""List the pictures of folders. What is passed over is counted, with the reason and examples: nothing gets lost unsaid.

A picture is what `open_image` opens: by its suffix, or by its first bytes where the suffix says nothing. Links are
followed, each folder once. What other programs leave behind (Thumbs.db, __MACOSX, unfinished downloads) and hidden
files are no pictures, and are counted all the same: a file browser counts them, too.
"""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from zsc.datasets.names import fold, natural_key
from zsc.files import printable
from zsc.images import HEIC_ADVICE, image_suffixes, is_picture_by_content

_LITTER = frozenset({
    "$recycle.bin", "#recycle", "@__thumb", "@eadir", "__macosx", "__pycache__", "desktop.ini", "ehthumbs.db", "icon\r",
    "lost+found", "system volume information", "thumbs.db", "thumbs.db:encryptable",
})  # fmt: skip
_LEFT_OVER = (".bak", ".crdownload", ".download", ".old", ".orig", ".part", ".partial", ".swp", ".tmp", "~")
_HEIF = (".heic", ".heics", ".heif", ".hif", ".avif", ".avifs")
_RAW = (".arw", ".cr2", ".cr3", ".crw", ".dng", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".srw", ".x3f")
_DRAWN = (".ai", ".djvu", ".emf", ".eps", ".pdf", ".ps", ".svg", ".svgz", ".wmf")
_ADVICE = (
    dict.fromkeys(_HEIF, HEIC_ADVICE)
    | dict.fromkeys(_RAW, "camera raw: needs export as JPEG or PNG")
    | dict.fromkeys(_DRAWN, "a drawing or document: needs export as PNG")
)


@dataclass
class PassedOver:
    """What a listing left out: for each kind and reason how many, and up to three examples."""

    folder: Path
    _found: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    _counts: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(self, kind: str, reason: str, path: str) -> None:
        """Count one file or folder."""
        self._counts[kind, reason] = self._counts.get((kind, reason), 0) + 1
        examples = self._found.setdefault((kind, reason), [])
        if len(examples) < 3:
            examples.append(printable(os.path.relpath(path, self.folder)))

    def update(self, other: PassedOver) -> None:
        """Add what another listing of the same folder left out."""
        for what, count in other._counts.items():
            self._counts[what] = self._counts.get(what, 0) + count
            self._found[what] = (self._found.get(what, []) + other._found[what])[:3]

    @property
    def notes(self) -> dict[str, str]:
        """The note for a data set; empty where nothing was left out."""
        return {"passed over": str(self)} if self._counts else {}

    def __str__(self) -> str:
        folders = sum(n for (kind, _), n in self._counts.items() if kind.endswith("folder"))
        files = sum(self._counts.values()) - folders
        total = [f"{n} {what}{'s' if n > 1 else ''}" for n, what in ((files, "file"), (folders, "folder")) if n]
        kinds = []
        for (kind, reason), n in sorted(self._counts.items(), key=lambda item: (-item[1], item[0])):
            many = "s" if n > 1 and kind.endswith(("file", "folder", "link", "picture")) else ""
            such_as = "; such as" if n > len(self._found[kind, reason]) else ":"
            kinds.append(f"{n} {kind}{many} ({reason}{such_as} {', '.join(self._found[kind, reason])})")
        return f"{' and '.join(total)}: {', '.join(kinds)}" if total else ""


@dataclass(frozen=True)
class Listing:
    """The pictures of a folder and the folders below it.

    Attributes
    ----------
    pictures
        Path of each picture, and where it really lies; the two differ where links lead.
    passed
        What was passed over.
    """

    pictures: list[tuple[str, str]]
    passed: PassedOver


@dataclass(frozen=True)
class _Level:
    """One folder's own entries: folders to look into, pictures, and pictures that are links."""

    folders: list[os.DirEntry[str]]
    files: list[str]
    links: list[str]


def list_pictures(folder: Path, *, base: Path | None = None, order: Callable[[str], str] = natural_key) -> Listing:
    """List the pictures in a folder and the folders below it.

    Parameters
    ----------
    folder
        Where to look.
    base
        What examples of what is passed over are named from, and not looked into again; the folder itself where None.
    order
        What paths are sorted by.

    Returns
    -------
    Listing
        A picture that is reached twice by links is listed once, where it really lies.
    """
    base = base or folder
    passed = PassedOver(base)
    seen = {_identity(base)} if base != folder else set()
    waiting, linked = [(str(folder), os.path.realpath(folder))], list[tuple[str, str]]()
    found: dict[str, str] = {}  # where it really lies -> path
    links: list[str] = []
    while waiting or linked:
        place, real = waiting.pop() if waiting else linked.pop(0)  # links last: what lies here is listed as lying here
        identity = _identity(place)
        if identity in seen:
            passed.add("folder", "a link to one that is listed already", place)
            continue
        seen.add(identity)
        level = _look_into(place, passed)
        found |= {os.path.join(real, file.rpartition(os.sep)[2]): file for file in level.files}
        links += level.links
        for entry in reversed(level.folders):
            if entry.is_symlink():
                linked.append((entry.path, os.path.realpath(entry.path)))
            else:
                waiting.append((entry.path, os.path.join(real, entry.name)))
    for link in sorted(links, key=order):
        target = os.path.realpath(link)
        if target in found:
            passed.add("link", "to a picture that is listed already", link)
        else:
            found[target] = link
    return Listing(sorted(((path, real) for real, path in found.items()), key=lambda two: (order(two[0]), two)), passed)


def look_at_top(folder: Path) -> tuple[list[Path], list[Path], PassedOver]:
    """Give the sub-folders of a folder, the pictures that lie in it directly, and what else was passed over."""
    if not os.access(folder, os.R_OK | os.X_OK):
        raise PermissionError(f"{printable(folder)}: the folder cannot be read; check its rights.")
    passed = PassedOver(folder)
    level = _look_into(str(folder), passed)
    return [Path(e.path) for e in level.folders], [Path(p) for p in sorted(level.files + level.links)], passed


def image_files(folder: Path) -> list[Path]:
    """List the pictures in a folder and the folders below it, sorted as text, as published data sets are."""
    return [Path(path) for path, _ in list_pictures(folder, order=str).pictures]


def class_folders(folder: Path) -> list[Path]:
    """List the sub-folders of a folder that may be classes, sorted by name."""
    return look_at_top(folder)[0]


def read_classes(folder: Path, names: Sequence[str], how_to_get: str) -> tuple[list[Path], np.ndarray, dict[str, str]]:
    """Read the pictures of published class folders.

    Parameters
    ----------
    folder
        Holds one folder per class; the case of their names does not matter.
    names
        The K folder names, in the order of the labels.
    how_to_get
        One sentence for the error: how to get the data set.

    Returns
    -------
    tuple
        N paths, class by class, each class sorted by name as text; their labels, shape (N,); notes on what was passed
        over.

    Raises
    ------
    FileNotFoundError
        If a folder is missing or holds no picture.
    ValueError
        If two folders are one class, such as "cat" and "CAT".
    """
    folders, loose, passed = look_at_top(folder) if folder.is_dir() else ([], [], PassedOver(folder))
    present = by_class(folders, names)
    missing = [n for n in names if n not in present]
    if missing:
        some = f", missing {', '.join(missing)}" if len(missing) < len(names) else ""
        raise FileNotFoundError(f"no images under {folder}; expected folders {', '.join(names)}{some}. {how_to_get}")
    for picture in loose:
        passed.add("loose picture", "in none of the class folders", str(picture))
    for other in set(folders) - set(present.values()):
        passed.add("folder", "no class of this data set", str(other))
    paths, labels = [], []
    for label, name in enumerate(names):
        listing = list_pictures(present[name], base=folder, order=str)
        if not listing.pictures:
            raise FileNotFoundError(f"no images under {present[name]}; the class is empty. {how_to_get}")
        passed.update(listing.passed)
        paths += [Path(path) for path, _ in listing.pictures]
        labels += [label] * len(listing.pictures)
    return paths, np.array(labels, dtype=np.int64), passed.notes


def by_class(folders: Sequence[Path], names: Sequence[str]) -> dict[str, Path]:
    """Find the folder of each published class, whatever the case of its name; refuse two folders of one class."""
    wanted = {name.lower(): name for name in names}
    present: dict[str, Path] = {}
    for folder in folders:
        name = wanted.get(fold(folder.name).lower())
        if name in present:
            raise ValueError(
                f"{folder.parent}: the folders {printable(present[name].name)!r} and {printable(folder.name)!r} are "
                f"one class, {name}; put their pictures into one folder."
            )
        if name is not None:
            present[name] = folder
    return present


def first_existing(candidates: Sequence[Path], marker: str) -> Path | None:
    """Give the first folder that holds `marker`, or None."""
    return next((c for c in candidates if (c / marker).exists()), None)


def check_split(split: str | None, accepted: Sequence[str], default: str) -> str:
    """Give the split, or the default for None; refuse a name that was not published."""
    if split is not None and split not in accepted:
        raise ValueError(f"split={split!r}; split must be one of {', '.join(accepted)}.")
    return split or default


def _look_into(place: str, passed: PassedOver) -> _Level:
    """Sort the entries of one folder, by name, into folders, pictures and what is passed over."""
    suffixes, level = image_suffixes(), _Level([], [], [])
    try:
        with os.scandir(place) as entries:
            here = sorted(entries, key=lambda e: e.name)
    except OSError as error:
        passed.add("folder", f"cannot be read, {error.strerror}", place)
        return level
    for entry in here:
        is_folder = _is(entry.is_dir)
        why = _why_not(entry, is_folder, suffixes)
        if why:
            passed.add(*why, entry.path)
        elif is_folder:
            level.folders.append(entry)
        else:
            (level.links if entry.is_symlink() else level.files).append(entry.path)
    if not here and _suffix(place) in suffixes:
        passed.add("folder", "empty, and named like a picture", place)
    return level


def _why_not(entry: os.DirEntry[str], is_folder: bool, suffixes: frozenset[str]) -> tuple[str, str] | None:
    """Say of what kind an entry is that is passed over, and why; None for a picture and for a folder to look into."""
    what, suffix = "folder" if is_folder else "file", _suffix(entry.name)
    if entry.name.startswith("."):
        return f"hidden {what}", "the name begins with a dot"
    is_lock = entry.name.startswith("~$") and suffix not in suffixes  # of an office program
    if entry.name.lower() in _LITTER or (not is_folder and (is_lock or entry.name.lower().endswith(_LEFT_OVER))):
        return what, "left by other programs"
    if is_folder:
        return None
    if not _is(entry.is_file):
        is_broken = entry.is_symlink() and not Path(entry.path).exists()
        return ("link", "to a file that is not there") if is_broken else ("file", "a device, pipe or socket")
    if suffix in suffixes or (_says_nothing(suffix) and is_picture_by_content(entry.path)):
        return None
    return suffix or "without a suffix", _ADVICE.get(suffix, "no picture")


def _says_nothing(suffix: str) -> bool:
    return suffix not in _ADVICE and mimetypes.guess_type(f"x{suffix}")[0] is None


def _is(question: Callable[[], bool]) -> bool:
    try:
        return question()
    except OSError:  # a link that leads to itself
        return False


def _identity(place: str | Path) -> tuple[int, int] | str:
    try:
        status = Path(place).stat()
    except OSError:
        return os.path.realpath(place)
    return (status.st_dev, status.st_ino) if status.st_ino else os.path.realpath(place)


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()
