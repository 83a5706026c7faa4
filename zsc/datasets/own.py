"""The user's own pictures as an ImageDataset: from a folder, from a CSV file, from a Hugging Face data set.

Every file that is named but missing is an error, so that labels can never shift against pictures.
"""

from __future__ import annotations

import csv as csv_module
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zsc.datasets.base import UNLABELLED, ImageDataset
from zsc.datasets.folders import class_folders, image_files
from zsc.images import is_url


def from_folder(folder: str | Path, *, name: str | None = None) -> ImageDataset:
    """Load a folder with one sub-folder a class.

    Parameters
    ----------
    folder
        Its sub-folders' names, sorted, are the class names; pictures may lie in folders below them.
    name
        The data set's name; the folder's own where None.

    Raises
    ------
    FileNotFoundError
        If the folder is missing.
    ValueError
        If it has no sub-folders, or one of them holds no picture.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; pass a folder with one sub-folder of pictures a class.")
    classes = class_folders(folder)
    if not classes:
        raise ValueError(f"{folder}: no sub-folders; put the pictures of each class into a folder named as the class.")
    files = [image_files(c) for c in classes]
    empty = [c.name for c, found in zip(classes, files, strict=True) if not found]
    if empty:
        raise ValueError(
            f"{folder}: no pictures in {', '.join(empty)}; add some, or take the folder away (or hide it with a dot)."
        )
    labels = np.repeat(np.arange(len(classes)), [len(found) for found in files])
    paths = [path for found in files for path in found]
    return ImageDataset(paths, labels, [c.name for c in classes], name=name or folder.resolve().name)


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
        The file, with a header line; comma, semicolon, tab or bar between the columns. Only two columns are read.
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
        If a column is missing or a label is unknown.
    """
    csv = Path(csv).expanduser()
    if image_pattern.count("{}") != 1:
        raise ValueError(f"image_pattern={image_pattern!r} must hold exactly one {{}} for the value of {image_column}.")
    frame = _read_columns(csv, [c for c in (image_column, label_column) if c is not None])
    if (frame[image_column] == "").any():
        row = int((frame[image_column] == "").to_numpy().argmax()) + 2
        raise ValueError(f"{csv}: line {row} names no picture in column {image_column!r}; fill it in, or take it out.")
    places = [image_pattern.replace("{}", value) for value in frame[image_column]]
    paths = [place if is_url(place) else csv.parent / place for place in places]
    check_present([p for p in paths if isinstance(p, Path)], f"named in {csv}")
    if label_column is None:
        labels, names = np.full(len(paths), UNLABELLED), list(class_names or [])
    else:
        labels, names = _to_labels(frame[label_column], class_names, label_column)
    return ImageDataset(paths, labels, names, name=name or csv.stem)


def from_huggingface(
    hf_dataset: Any, *, image_column: str = "image", label_column: str = "label", name: str = "huggingface"
) -> ImageDataset:
    """Take the pictures of a Hugging Face data set into memory.

    Parameters
    ----------
    hf_dataset
        One split of a ``datasets.Dataset``, with a column of images and a ``ClassLabel`` column.
    image_column, label_column
        Their names.
    name
        The data set's name.

    Raises
    ------
    ValueError
        If a column is missing or the labels have no names.
    """
    features = getattr(hf_dataset, "features", None) or {}
    missing = [c for c in (image_column, label_column) if c not in features]
    if missing:
        raise ValueError(
            f"the data set has no column {', '.join(missing)}; it has {', '.join(features) or 'none (pass one split)'}."
        )
    class_names = getattr(features[label_column], "names", None)
    if not class_names:
        raise ValueError(f"column {label_column!r} has no class names; cast it to datasets.ClassLabel first.")
    return ImageDataset(list(hf_dataset[image_column]), np.asarray(hf_dataset[label_column]), class_names, name=name)


def check_present(paths: Sequence[Path], where: str) -> None:
    """Refuse files that are not there, naming the first ten; each folder is listed once, so that it is fast."""
    listed: dict[str, set[str]] = {}
    missing = []
    for path in map(str, paths):
        parent, file = os.path.split(path)
        if parent not in listed:
            listed[parent] = set(os.listdir(parent or os.curdir)) if Path(parent).is_dir() else set()
        if file not in listed[parent]:
            missing.append(path)
    if missing:
        more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
        raise FileNotFoundError(
            f"{len(missing)} of {len(paths)} pictures {where} are missing: {', '.join(missing[:10])}{more}; "
            "put them there, or take their rows out."
        )


def _read_columns(csv: Path, columns: list[str]) -> pd.DataFrame:
    if not csv.is_file():
        raise FileNotFoundError(f"{csv}: no such file; pass a CSV file with a header line.")
    try:
        with csv.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
    except UnicodeDecodeError as error:
        raise ValueError(f"{csv}: not UTF-8 text ({error.reason}); save it as CSV in UTF-8.") from error
    try:
        delimiter = csv_module.Sniffer().sniff(header, delimiters=",;\t|").delimiter
    except csv_module.Error:  # a single column has no delimiter to find
        delimiter = ","
    present = next(csv_module.reader([header], delimiter=delimiter, skipinitialspace=True), [])
    missing = [c for c in columns if c not in present]
    if missing:
        raise ValueError(f"{csv}: no column {', '.join(missing)}; the header has {', '.join(present[:20])}.")
    try:
        return pd.read_csv(
            csv,
            sep=delimiter,
            usecols=columns,
            dtype=str,
            keep_default_na=False,
            encoding="utf-8-sig",
            skipinitialspace=True,
            index_col=False,
        )
    except (UnicodeDecodeError, pd.errors.ParserError) as error:
        raise ValueError(f"{csv}: cannot be read as CSV in UTF-8 ({error}); save it again as such.") from error


def _by_number(text: str) -> tuple[float, str]:
    """Sort whole numbers by their value, before all other texts."""
    return (float(text), text) if text.isdecimal() else (float("inf"), text)


def _to_labels(
    values: pd.Series, class_names: Sequence[str] | Mapping[Any, str] | None, column: str
) -> tuple[np.ndarray, list[str]]:
    """Turn a column of texts into labels (N,) and class names (K)."""
    if class_names is None:
        names = sorted(set(values) - {""}, key=_by_number)
        known = {n: i for i, n in enumerate(names)}
    elif isinstance(class_names, Mapping):
        names = list(dict.fromkeys(class_names.values()))
        known = {str(value): names.index(n) for value, n in class_names.items()}
    else:
        names = list(class_names)
        known = {str(i): i for i in range(len(names))} | {str(n): i for i, n in enumerate(names)}  # names win
    unknown = sorted(set(values) - set(known))
    if unknown:
        shown = ", ".join(repr(u) for u in unknown[:10])
        raise ValueError(f"column {column!r} holds unknown labels {shown}; accepted are {', '.join(map(repr, names))}.")
    return values.map(known).to_numpy(dtype=np.int64), [str(n) for n in names]
