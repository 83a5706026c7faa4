"""ImageDataset: image paths, labels and class names, and nothing else.

Knows no prompts, transforms or models, and opens no picture. Labels are indices into `class_names`; -1 means that a
picture has no label. Where classes do not exclude each other, labels are a matrix with one column per class.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
import pandas as pd

from zsc import checks
from zsc.datasets import listing
from zsc.files import printable
from zsc.images import local_path, name_of

UNLABELLED = -1


@dataclass(frozen=True, eq=False)
class ImageDataset(checks.ReadOnly):
    """N pictures, their labels, and the names of the K classes; checked, copied and read-only.

    A label is an index into `class_names`, (N,), int64; -1 for none (None: no picture has one). Where a picture may
    have several classes or none, labels are (N, K), int8: 1 for each that applies, 0 for the others. TypeError or
    ValueError says what is of another type, number, range or order, or that two names are one.
    """

    paths: Sequence[Any]  # N picture sources, whatever `open_image` opens
    labels: np.ndarray
    class_names: list[str]  # K different names, without white space around them
    name: str = "images"  # such as "afhq"
    split_name: str = ""  # as published, such as "val"
    notes: Mapping[str, str] = field(default_factory=dict)  # source, licence, label errors, what was passed over

    def __post_init__(self) -> None:
        paths = checks.FrozenList(checks.as_list(self.paths, "paths", "pictures"))
        given = checks.as_list(self.class_names, "class_names", "names")
        is_name = [isinstance(n, (str, int, np.integer)) and not isinstance(n, bool) for n in given]
        read = [listing.fold(n) if ok else n for n, ok in zip(given, is_name, strict=True)]
        names = checks.FrozenList(checks.check_class_names(read, low=0))
        labels: Any = [UNLABELLED] * len(paths) if self.labels is None else self.labels
        labels = labels if hasattr(labels, "__array__") else checks.as_list(labels, "labels", "whole numbers")
        labels = checks.frozen(checks.check_dataset_labels(labels, len(names)))
        checks.check_same_length(paths=paths, labels=labels)
        for value, what in ((self.name, "name"), (self.split_name, "split_name")):
            if not isinstance(value, str):
                raise TypeError(f"{what}={checks.short(value)}; {what} must be a text.")
        if not isinstance(self.notes, Mapping):
            raise TypeError(f"notes is a {type(self.notes).__name__}; pass a mapping of texts.")
        notes = {what: note for what, note in {**self.notes, "class names": listing.look_alikes(names)}.items() if note}
        vars(self).update(paths=paths, labels=labels, class_names=names, notes=checks.FrozenDict(notes))

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, index: int) -> tuple[Any, Any]: ...
    @overload
    def __getitem__(self, index: slice | Sequence[int] | np.ndarray) -> "ImageDataset": ...
    def __getitem__(self, index: int | slice | Sequence[int] | np.ndarray) -> "tuple[Any, Any] | ImageDataset":
        """Return `(path, label)` of one picture, or the data set of a slice, of indices or of a mask."""
        if not isinstance(index, (int, np.integer)) or isinstance(index, bool):
            return self.select(index)  # type: ignore[arg-type]
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range; {self.name!r} has {len(self)} pictures.")
        label = self.labels[index]
        return self.paths[index], label if self.labels.ndim == 2 else int(label)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        split = f" {self.split_name}" if self.split_name else ""
        return f"ImageDataset({self.name}{split}: {len(self)} pictures, {len(self.class_names)} classes)"

    def select(self, indices: Sequence[int] | np.ndarray | slice) -> "ImageDataset":
        """Keep the pictures at `indices` (see `as_indices`), in that order; the class names stay."""
        rows = checks.as_indices(indices, len(self))
        return replace(self, paths=[self.paths[i] for i in rows], labels=self.labels[rows])

    def head(self, n: int) -> "ImageDataset":
        """Keep the first `n` pictures, or all where there are fewer."""
        return self.select(range(min(checks.check_count(n, "n"), len(self))))

    def sample(self, n: int, *, seed: int = 0) -> "ImageDataset":
        """Draw `n` pictures at random without replacement; they keep the data set's order."""
        rng = np.random.default_rng(checks.check_count(seed, "seed", low=0))
        return self.select(np.sort(rng.choice(len(self), checks.check_count(n, "n", high=len(self)), replace=False)))

    def split(self, fraction: float, *, seed: int = 0) -> "tuple[ImageDataset, ImageDataset]":
        """Divide at random into two parts that hold the classes in the same shares; the same seed gives the same parts.

        The first part gets floor or ceil of `fraction` x N pictures, and of each class floor or ceil of its share, give
        or take one.
        """
        checks.check_fraction(fraction, "fraction")
        rng = np.random.default_rng(checks.check_count(seed, "seed", low=0))
        order = np.lexsort((rng.random(len(self)), *np.atleast_2d(self.labels.T)))  # class by class, shuffled within
        steps = np.floor(np.arange(len(self) + 1) * fraction + rng.random())  # systematic sampling along that order
        chosen = np.zeros(len(self), dtype=bool)
        chosen[order] = np.diff(steps) > 0
        return self.select(np.flatnonzero(chosen)), self.select(np.flatnonzero(~chosen))

    def corrected(self, csv: str | Path) -> "ImageDataset":
        """Apply a CSV file of corrections: columns image, as in `to_frame` (in memory "picture 17"), and label.

        The label is a class name; an empty one takes the label away. Of several rows of a picture the last one counts.
        ValueError names the line of an unknown picture or class. No picture is changed, and no row moves.
        """
        lines, (images, classes) = listing.read_columns(local_path(csv), ["image", "label"])
        labels, rows = np.array(self.labels), defaultdict[str, list[int]](list)
        for row, path in enumerate(self.paths):
            rows[name_of(path, row).strip()].append(row)
        places = {name: k for k, name in enumerate(["", *self.class_names], UNLABELLED)}
        for line, image, name in zip(lines, images, map(listing.fold, classes), strict=True):
            if image not in rows or name not in places or labels.ndim == 2:
                told = f"{printable(csv)}: line {line} gives {checks.short(image)} the class {checks.short(name)}"
                names = checks.short(self.class_names)
                raise ValueError(f"{told}; name a picture of {self.name!r}, and one of {names}.")
            labels[rows[image]] = places[name]
        note = {f"corrected by {Path(csv).name}": f"{(labels != self.labels).sum()} of {len(self)} labels"}
        return replace(self, labels=labels, notes={**self.notes, **note})

    def merge_classes(self, groups: Mapping[str, Sequence[str]]) -> "ImageDataset":
        """Make one class of several, as in {"wild": ["lion", "tiger"]}, in the place of the first; the others stay."""
        olds = [old for group in groups.values() for old in checks.as_list(group, "groups", "class names")]
        new = {old: name for name, group in groups.items() for old in group}
        merged = [new.get(name, name) for name in self.class_names]
        clash = {*groups} & ({*self.class_names} - {*olds})
        if len(new) < len(olds) or clash or not {*olds} <= {*self.class_names} or self.labels.ndim == 2:
            told = f"groups={checks.short(groups)} must name classes of {checks.short(self.class_names)}, each once"
            raise ValueError(f"{told}, and no other class as the new one; a picture must have one label.")
        names = list(dict.fromkeys(merged))
        return replace(self, labels=np.array([*map(names.index, merged), UNLABELLED])[self.labels], class_names=names)

    def to_frame(self) -> pd.DataFrame:
        """Return a table with one row per picture: image, label (unless it may have several) and class_name."""
        labels = {"label": self.labels} if self.labels.ndim == 1 else {}
        names = pd.Series(class_texts(self.labels, self.class_names), dtype=object)
        return pd.DataFrame({"image": pd.Series(self.paths, dtype=object), **labels, "class_name": names})

    @classmethod
    def from_folder(cls, folder: str | Path, *, name: str | None = None) -> "ImageDataset":
        """Load a folder with one sub-folder per class; the notes say what was passed over, and why.

        The sub-folders' names are the class names, numbers sorted by their value; pictures may lie in folders below
        them, and links are followed. The data set is called as the folder unless it has a `name`.

        FileNotFoundError or ValueError says that there is no such folder, sub-folder or picture in one of them, that
        pictures lie beside them, or that links put a picture into two classes.
        """
        folder = local_path(folder)
        return cls._of(listing.read_folder(folder), name or listing.fold(folder.resolve().name))

    @classmethod
    def from_pictures(cls, folder: str | Path, *, name: str | None = None) -> "ImageDataset":
        """Load all pictures of a folder and of those below it, without labels; else as `from_folder`."""
        folder = local_path(folder)
        return cls._of(listing.read_pictures(folder), name or listing.fold(folder.resolve().name))

    @classmethod
    def from_csv(
        cls, csv: str | Path, *,
        image_column: str, label_column: str | None = "", label_columns: Sequence[str] | None = None,
        label_separator: str | None = None, image_pattern: str = "{}",
        class_names: Sequence[str] | Mapping[Any, str] | None = None, name: str | None = None,
    ) -> "ImageDataset":  # fmt: skip
        """Load pictures and labels listed in a CSV file, after which the data set is called unless it has a `name`.

        The file has a header line, and comma, semicolon, tab or bar between the columns, or what a first line "sep=;"
        says. The picture of a row is the value in `image_column`, put into `image_pattern`: a path from the file's
        folder, such as ``"faces/face-{}.png"``, or a URL. Its class is the value in `label_column` (None: no labels), a
        class name or an index into `class_names`, which may also be a mapping of the values in the file to names.
        Names that are not given are the sorted values.

        A picture may have several classes, or none: `label_columns` names one column per class, of 1 and 0 (or true and
        false); or `label_separator` stands between the values in `label_column`, as ";" in "cat;dog" (empty: none).

        FileNotFoundError or ValueError names the line, and what in it is missing, unknown, empty or there twice.
        """
        csv = local_path(csv)
        if (label_column == "") == (not label_columns):
            raise TypeError("pass label_column or label_columns, or label_column=None for pictures without labels.")
        columns = checks.check_texts(label_columns, "label_columns") if label_columns else label_column
        listed = listing.read_csv(csv, image_column, columns, image_pattern, class_names, separator=label_separator)
        return cls._of(listed, name or listing.fold(csv.stem))

    @classmethod
    def from_parquet(cls, *tables: str | Path, name: str | None = None) -> "ImageDataset":
        """Load pictures in, or named by, Parquet files or URLs: columns image, bytes or path; and label for classes."""
        return cls._of(listing.read_tables(tables), name or listing.fold(Path(tables[0]).stem))

    @classmethod
    def from_shards(
        cls, *shards: str | Path, class_names: Sequence[str] | Mapping[Any, str] | None = None, name: str | None = None
    ) -> "ImageDataset":
        """Load tar files or URLs as webdataset writes them: KEY.jpg, or another picture, and KEY.cls, its label.

        Pictures stay there and are read when they are opened. `class_names` are as in `from_csv`.
        """
        return cls._of(listing.read_shards(shards, class_names), name or listing.fold(Path(shards[0]).stem))

    @classmethod
    def from_huggingface(
        cls, hf_dataset: Any, *, image_column: str = "image", label_column: str = "label", name: str = "huggingface"
    ) -> "ImageDataset":
        """Take one split of a ``datasets.Dataset``: pictures are read when they are opened; a ``ClassLabel`` column."""
        return cls._of(listing.read_huggingface(hf_dataset, image_column, label_column), name)

    @classmethod
    def _of(cls, listed: listing.Listed, name: str) -> "ImageDataset":
        return cls(listed.paths, listed.labels, listed.class_names, name=name, notes=listed.notes)  # type: ignore[arg-type]


def class_texts(labels: np.ndarray, class_names: Sequence[str]) -> list[str | None]:
    """Name the class of each picture, or all that apply ("hat; glasses"); None for no label."""
    names = np.array([*class_names, None], dtype=object)  # label -1 picks the None at the end
    if labels.ndim == 1:
        return names[labels].tolist()
    return ["; ".join(names[:-1][row == 1]) if (row >= 0).any() else None for row in labels]
