"""The user's own pictures as an ImageDataset: from a folder, from a CSV file, from a Hugging Face data set.

Every file that is named but missing is an error, and so is a row that is too long or too short: labels can never shift
against pictures. What a folder holds beside pictures stands in the data set's notes.
"""

from __future__ import annotations

import csv as csv_module
import io
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zsc.checks import as_list, short
from zsc.datasets.base import UNLABELLED, ImageDataset
from zsc.datasets.folders import Listing, PassedOver, list_pictures, look_at_top
from zsc.datasets.names import fold, name_order
from zsc.files import printable
from zsc.images import is_url, local_path

_DELIMITERS = ",;\t|"
_SEPARATOR = re.compile(r'\s*"?sep=(.)"?[\s,;|]*', re.IGNORECASE)  # how Excel names the delimiter, in a first line


def from_folder(folder: str | Path, *, name: str | None = None) -> ImageDataset:
    """Load a folder with one sub-folder per class.

    Parameters
    ----------
    folder
        Its sub-folders' names are the class names, numbers sorted by their value; pictures may lie in folders below
        them, and links are followed. Folders whose names differ in what cannot be seen are one class.
    name
        The data set's name; the folder's own where None.

    Returns
    -------
    ImageDataset
        Its notes say what was passed over: "3 files: 2 .heic (needs conversion ...), 1 .pdf (...)".

    Raises
    ------
    FileNotFoundError
        If the folder is missing.
    ValueError
        If it has no sub-folders, if pictures lie beside them, if one of them holds no picture, or if links put a
        picture into two classes.
    """
    folder = local_path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{printable(folder)}: no such folder; pass a folder with one sub-folder of pictures per class."
        )
    folders, loose, passed = look_at_top(folder)
    _refuse_loose(folder, folders, loose)
    groups: dict[str, list[Path]] = {}
    for inside in folders:
        groups.setdefault(fold(inside.name), []).append(inside)
    class_names = sorted(groups, key=name_order)
    listings = [[list_pictures(f, base=folder) for f in groups[c]] for c in class_names]
    _refuse_empty(folder, [(f, x) for c, some in zip(class_names, listings, strict=True)
                           for f, x in zip(groups[c], some, strict=True)])  # fmt: skip
    for listing in (x for some in listings for x in some):
        passed.update(listing.passed)
    found = [[picture for listing in some for picture in listing.pictures] for some in listings]
    _refuse_two_classes(folder, class_names, found)
    merged = [" and ".join(repr(printable(f.name)) for f in some) for some in groups.values() if len(some) > 1]
    notes = passed.notes | ({"read as one class": "; ".join(merged)} if merged else {})
    paths = [Path(path) for some in found for path, _ in some]
    labels = np.repeat(np.arange(len(found)), [len(some) for some in found])
    return ImageDataset(paths, labels, class_names, name=name or fold(folder.resolve().name), notes=notes)


def from_csv(
    csv: str | Path,
    *,
    image_column: str,
    label_column: str | None,
    image_pattern: str = "{}",
    class_names: Sequence[str] | Mapping[Any, str] | None = None,
    name: str | None = None,
) -> ImageDataset:
    """Load pictures and labels listed in a CSV file.

    Parameters
    ----------
    csv
        The file, with a header line; comma, semicolon, tab or bar between the columns, or what a first line "sep=;"
        says. Only two columns are read. White space around names and labels does not count.
    image_column
        Names the picture of each row, put into `image_pattern`.
    label_column
        The class of each row: a class name, or an index where `class_names` is given. None: no labels.
    image_pattern
        Path with ``{}`` for the image column's value, from the CSV file's folder, such as ``"faces/face-{}.png"``; or
        a URL, which is fetched when the picture is opened.
    class_names
        The names in label order; or a mapping of the values in the file to names. None: the sorted values.
    name
        The data set's name; the file's own where None.

    Raises
    ------
    FileNotFoundError
        If the CSV file or a picture is missing; the first ten are named.
    ValueError
        If a column is missing or stands twice, a row is too long or too short, a label is unknown or empty, or one
        picture has two labels; the message names the line.
    """
    csv = local_path(csv)
    if image_pattern.count("{}") != 1:
        raise ValueError(f"image_pattern={image_pattern!r} must hold exactly one {{}} for the value of {image_column}.")
    lines, columns = read_columns(csv, [c for c in (image_column, label_column) if c is not None])
    for line, value in zip(lines, columns[0], strict=True):
        if not value:
            raise ValueError(
                f"{printable(csv)}: line {line} names no picture in column {image_column!r}; fill it in, or take the "
                "row out."
            )
    places = [image_pattern.replace("{}", value) for value in columns[0]]
    paths = [place if is_url(place) else csv.parent / place for place in places]
    check_present([p for p in paths if isinstance(p, Path)], f"named in {printable(csv)}")
    if label_column is None:
        labels = np.full(len(paths), UNLABELLED)
        names = [] if class_names is None else list(_known_names(class_names)[1])
    else:
        labels, names = _to_labels(columns[1], class_names, f"{printable(csv)}: column {label_column!r}", lines)
    notes = _check_twice(csv, lines, paths, labels)
    return ImageDataset(paths, labels, names, name=name or fold(csv.stem), notes=notes)


def from_huggingface(
    hf_dataset: Any, *, image_column: str = "image", label_column: str = "label", name: str = "huggingface"
) -> ImageDataset:
    """Take the pictures of a Hugging Face data set, each of which is read when it is opened.

    Parameters
    ----------
    hf_dataset
        One split of a ``datasets.Dataset``, with a column of images and a ``ClassLabel`` column; any format.
    image_column, label_column
        Their names. A label that is None becomes -1.
    name
        The data set's name.

    Returns
    -------
    ImageDataset
        Its pictures are read from the data set one at a time, undecoded: a broken one fails when it is opened.

    Raises
    ------
    ValueError
        If it is a stream or several splits, if a column is missing, or if the labels have no names.
    """
    if hasattr(hf_dataset, "keys"):
        raise ValueError(f"this is a {type(hf_dataset).__name__} of {', '.join(map(str, hf_dataset))}; pass one split.")
    if not hasattr(hf_dataset, "__len__") or not hasattr(hf_dataset, "with_format"):
        raise ValueError(
            f"a {type(hf_dataset).__name__} cannot be counted or read twice; load it with streaming=False, or make a "
            "datasets.Dataset of the rows that you want."
        )
    features = getattr(hf_dataset, "features", None) or {}
    missing = [c for c in (image_column, label_column) if c not in features]
    if missing:
        raise ValueError(f"the data set has no column {', '.join(missing)}; it has {', '.join(features)}.")
    class_names = getattr(features[label_column], "names", None)
    if not class_names:
        raise ValueError(f"column {label_column!r} has no class names; cast it to datasets.ClassLabel first.")
    plain = hf_dataset.with_format(None)
    labels = np.array([UNLABELLED if k is None else k for k in plain[label_column]], dtype=np.int64)
    pictures = plain.select_columns([image_column])
    if hasattr(features[image_column], "decode"):
        pictures = pictures.cast_column(image_column, type(features[image_column])(decode=False))
    paths = [HuggingFacePicture(pictures, image_column, row) for row in range(len(pictures))]
    without = int((labels == UNLABELLED).sum())
    notes = {"without a label": f"{without} of {len(labels)} pictures"} if without else {}
    return ImageDataset(paths, labels, class_names, name=name, notes=notes)


@dataclass(frozen=True, eq=False, repr=False)
class HuggingFacePicture(Mapping[str, Any]):
    """One row of a Hugging Face data set as a picture source: a mapping of bytes and path, read when it is used."""

    rows: Any
    column: str
    row: int

    @property
    def name(self) -> str:
        """What messages and tables call it."""
        return f"{self.column} of row {self.row}"

    def __getitem__(self, key: str) -> Any:
        cell = self.rows[self.row][self.column]
        if isinstance(cell, Mapping):
            return cell[key]
        if key == "path":
            return cell if isinstance(cell, str) else None
        return None if isinstance(cell, str) else cell

    def __iter__(self) -> Any:
        return iter(("bytes", "path"))

    def __len__(self) -> int:
        return 2

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return self.name


def check_present(paths: Sequence[Path], where: str) -> None:
    """Refuse files that are not there, naming the first ten; each folder is listed once, so that it is fast."""
    listed: dict[str, set[str]] = {}
    missing = []
    for path in map(str, paths):
        parent, file = os.path.split(path)
        if parent not in listed:
            listed[parent] = set(os.listdir(parent or os.curdir)) if Path(parent).is_dir() else set()
        if file not in listed[parent] and not _exists(path):  # a disk may spell names in other ways
            missing.append(printable(path))
    if missing:
        more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
        raise FileNotFoundError(
            f"{len(missing)} of {len(paths)} pictures {where} are missing: {', '.join(missing[:10])}{more}; "
            "put them there, or take their rows out."
        )


def read_columns(csv: Path, columns: Sequence[str]) -> tuple[list[int], list[list[str]]]:
    """Read columns of a CSV file as texts, without white space around them.

    Returns
    -------
    tuple
        The line in which each of the N rows ends, and the N values of each column asked for. Rows of nothing at all
        are passed over.

    Raises
    ------
    FileNotFoundError
        If the file is missing.
    ValueError
        If it is no CSV in UTF-8, has no rows, a column is missing or stands twice, or a row has more or fewer fields
        than the header.
    """
    if not csv.is_file():
        raise FileNotFoundError(f"{printable(csv)}: no such file; pass a CSV file with a header line.")
    try:
        text = csv.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{printable(csv)}: not UTF-8 text ({error.reason}); save it as CSV in UTF-8.") from error
    first, _, rest = text.replace("\r\n", "\n").replace("\r", "\n").partition("\n")
    said = _SEPARATOR.fullmatch(first)
    body, start = (rest, 1) if said else (f"{first}\n{rest}", 0)
    wanted = [fold(c) for c in columns]
    delimiter, header = _find_header(body, said[1] if said else _DELIMITERS, wanted, csv)
    places = [_place_of(column, header, csv) for column in wanted]
    lines, found = [], []
    for line, row in _rows(body, delimiter, csv)[1:]:
        extra = any(field.strip() for field in row[len(header) :])  # a delimiter at the end of a row adds nothing
        if extra or len(row) < len(header):
            raise ValueError(
                f"{printable(csv)}: line {line + start} has {len(row)} fields where the header has {len(header)}; put "
                f"quotes around a value that holds {delimiter!r}, or mend the row."
            )
        lines.append(line + start)
        found.append([fold(row[p]) if i else row[p].strip() for i, p in enumerate(places)])
    if not lines:
        raise ValueError(f"{printable(csv)}: no rows below the header; write one row per picture.")
    return lines, [list(column) for column in zip(*found, strict=True)]


def _rows(body: str, delimiter: str, csv: Path) -> list[tuple[int, list[str]]]:
    """Cut a table into rows, each with the line it ends in; rows without any text are left out."""
    reader = csv_module.reader(io.StringIO(body), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        return [(reader.line_num, row) for row in reader if any(field.strip() for field in row)]
    except csv_module.Error as error:
        raise ValueError(
            f"{printable(csv)}: cannot be read as CSV at line {reader.line_num} ({error}); save it again as CSV."
        ) from error


def _find_header(body: str, delimiters: str, wanted: Sequence[str], csv: Path) -> tuple[str, list[str]]:
    """Give the delimiter under which the header has the columns that are wanted, and the header."""
    headers = {}
    for delimiter in delimiters:
        reader = csv_module.reader(io.StringIO(body), delimiter=delimiter, skipinitialspace=True)
        headers[delimiter] = [fold(c) for c in next((row for row in reader if any(map(str.strip, row))), [])]
        if set(wanted) <= set(headers[delimiter]):
            return delimiter, headers[delimiter]
    header = max(headers.values(), key=len)
    missing = ", ".join(c for c in wanted if c not in header)
    has = ", ".join(map(printable, header[:20])) or "nothing"
    raise ValueError(f"{printable(csv)}: no column {missing}; the header has {has}.")


def _place_of(column: str, header: Sequence[str], csv: Path) -> int:
    if header.count(column) > 1:
        raise ValueError(f"{printable(csv)}: the header has the column {column!r} twice; rename one of them.")
    return header.index(column)


def _to_labels(
    values: Sequence[str], class_names: Sequence[str] | Mapping[Any, str] | None, where: str, lines: Sequence[int]
) -> tuple[np.ndarray, list[str]]:
    """Turn a column of texts into labels (N,) and class names (K)."""
    if "" in values:
        raise ValueError(f"{where} is empty in line {lines[values.index('')]}; write a label, or take the row out.")
    if class_names is None:
        names = sorted(set(values), key=name_order)
        known = {n: i for i, n in enumerate(names)}
    else:
        known, names = _known_names(class_names)
    unknown = sorted(set(values) - set(known))
    if unknown:
        some = ", ".join(repr(printable(u)) for u in unknown[:10])
        line = lines[values.index(unknown[0])]
        raise ValueError(
            f"{where} holds unknown labels {some} (first in line {line}); labels must be one of "
            f"{', '.join(map(repr, names))}."
        )
    return np.array([known[v] for v in values], dtype=np.int64), names


def _known_names(class_names: Sequence[str] | Mapping[Any, str]) -> tuple[dict[str, int], list[str]]:
    """Give the label of each value that may stand in a table, and the class names."""
    if not isinstance(class_names, Mapping):
        names = [fold(n) for n in as_list(class_names, "class_names", "names")]
        return {str(i): i for i in range(len(names))} | {n: i for i, n in enumerate(names)}, names  # names win
    names = list(dict.fromkeys(map(fold, class_names.values())))
    known: dict[str, int] = {}
    for value, class_name in class_names.items():
        label = names.index(fold(class_name))
        if known.setdefault(fold(value), label) != label:
            raise ValueError(f"class_names gives {short(fold(value))} two names; give each value one.")
    return known, names


def _check_twice(csv: Path, lines: Sequence[int], paths: Sequence[Any], labels: np.ndarray) -> dict[str, str]:
    """Refuse a picture with two labels; tell of pictures that stand twice with one."""
    first: dict[str, int] = {}
    twice = []
    for i, path in enumerate(paths):
        seen = first.setdefault(path if isinstance(path, str) else os.path.normpath(path), i)
        if labels[seen] != labels[i]:
            raise ValueError(
                f"{printable(csv)}: {printable(path)} has one label in line {lines[seen]} and another in line "
                f"{lines[i]}; keep one of the two rows."
            )
        if seen != i:
            twice.append(printable(path))
    if not twice:
        return {}
    rows = "1 row names a picture" if len(twice) == 1 else f"{len(twice)} rows name a picture"
    return {"named twice": f"{rows} that another row names: {', '.join(twice[:3])}; each row counts"}


def _refuse_loose(folder: Path, folders: Sequence[Path], loose: Sequence[Path]) -> None:
    if not folders:
        has = f"{len(loose)} pictures" if loose else "no pictures"
        raise ValueError(
            f"{printable(folder)}: no sub-folders, and {has} in the folder itself; put the pictures of each class into "
            "a folder named as the class."
        )
    if loose:
        raise ValueError(
            f"{printable(folder)}: {len(loose)} {'picture lies' if len(loose) == 1 else 'pictures lie'} beside the "
            f"{len(folders)} class folders, such as {printable(loose[0].name)}; move them into a class folder, or "
            "elsewhere, so that none is left out."
        )


def _refuse_empty(folder: Path, listings: Sequence[tuple[Path, Listing]]) -> None:
    empty = [(f, listing.passed) for f, listing in listings if not listing.pictures]
    if empty:
        told = ", ".join(_empty(f, passed) for f, passed in empty[:10])
        more = f" and {len(empty) - 10} more" if len(empty) > 10 else ""
        raise ValueError(
            f"{printable(folder)}: no pictures in {told}{more}; add some, or take the folder away (or hide it with a "
            "dot)."
        )


def _empty(folder: Path, passed: PassedOver) -> str:
    return printable(folder.name) + (f" ({passed})" if str(passed) else "")


def _refuse_two_classes(folder: Path, class_names: Sequence[str], found: Sequence[Sequence[tuple[str, str]]]) -> None:
    """Refuse a picture that links put into two classes."""
    if all(path == real for some in found for path, real in some) and not folder.is_symlink():
        return
    owner: dict[str, tuple[str, str]] = {}
    for class_name, some in zip(class_names, found, strict=True):
        for path, real in some:
            other, its_class = owner.setdefault(real, (path, class_name))
            if its_class != class_name:
                one, two = (printable(os.path.relpath(p, folder)) for p in (other, path))
                raise ValueError(
                    f"{printable(folder)}: {one} and {two} are one picture by a link, in the classes {its_class!r} and "
                    f"{class_name!r}; take one of them away."
                )


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False
