"""Which pictures and labels there are, as plain lists: in a folder, in a CSV file, in a Hugging Face data set.

Every file that is named but missing is an error, and so is a row that is too long or too short: labels can never shift
against pictures. What a folder holds beside pictures is told in the notes. Class names are read as people read them.
"""

import contextlib
import csv as csv_module
import io
import mimetypes
import os
import re
import tarfile
import unicodedata
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq

from zsc.checks import as_list, check_choice, short
from zsc.files import printable
from zsc.images import HEIC_ADVICE, as_utf8, image_suffixes, is_picture_by_content, is_url, local_path, open_url

Passed = tuple[str, str, str]  # kind, reason and path of what is no picture
_SEPARATOR = re.compile(r'\s*"?sep=(.)"?[\s,;|]*', re.IGNORECASE)  # how Excel names the delimiter, in a first line
_INVISIBLE = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u180e\u200b\u2060\ufeff]")
_MARKS = "\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # join or turn: not at an end
_NUMBER = re.compile(r"(?<![.\d])(\d+)\.(\d+)(?!\.?\d)|(\d+)")
_WHOLE = re.compile(r"[-+\u2212]?\d+(\.\d+)?")
_LITTER = frozenset({
    "$recycle.bin", "#recycle", "@__thumb", "@eadir", "__macosx", "__pycache__", "desktop.ini", "ehthumbs.db", "icon\r",
    "lost+found", "system volume information", "thumbs.db", "thumbs.db:encryptable",
})  # fmt: skip
_LEFT = "left by other programs"
_REASONS = {  # why a file of a suffix is passed over
    suffix: reason
    for reason, suffixes in {
        _LEFT: ".bak .crdownload .download .old .orig .part .partial .swp .tmp",
        HEIC_ADVICE: ".heic .heics .heif .hif .avif .avifs",
        "camera raw: needs export as JPEG": ".arw .cr2 .cr3 .crw .dng .nef .nrw .orf .pef .raf .raw .rw2 .srw .x3f",
        "a drawing or document: needs export as PNG": ".ai .djvu .emf .eps .pdf .ps .svg .svgz .wmf",
    }.items()
    for suffix in suffixes.split()
}


class Listed(NamedTuple):
    """N pictures, their labels (N,) or None, the K class names, and what is to be told; an empty note is none."""

    paths: list[Any]
    labels: np.ndarray | None
    class_names: list[str]
    notes: dict[str, str]


def fold(name: Any) -> str:
    r"""Read a name as people do: "\ufeffgas\u00a0pump " is "gas pump", and letters are composed (NFC)."""
    text = _INVISIBLE.sub("", unicodedata.normalize("NFC", as_utf8(str(name))))
    return " ".join(" ".join(text.split()).strip(_MARKS).split())


def name_order(name: str) -> tuple[bool, float, str, str]:
    """Sort names: whole numbers by value, then the others as `natural_key` does: 0.5, 9, 10, class 2, class 10."""
    is_number = _WHOLE.fullmatch(name) is not None
    return not is_number, float(name.replace("\u2212", "-")) if is_number else 0.0, natural_key(name), name


def natural_key(text: str) -> str:
    """Sort texts with their numbers by value; texts whose numbers are equally long sort as they did."""
    return _NUMBER.sub(lambda m: _sortable(m[3]) if m[3] else f"{_sortable(m[1])}.{m[2]}", text)


def _sortable(digits: str) -> str:
    """Write a whole number so that texts compare as numbers do: its length before it; after a 0, as digits sort."""
    value = "".join(str(unicodedata.decimal(d)) for d in digits).lstrip("0")
    return f"0{chr(0x100 + len(value))}{value}"


def look_alikes(names: Iterable[str]) -> str:
    """Tell in one sentence which names differ only in case, or in what can hardly be seen; empty where none do."""
    groups = defaultdict(list)
    for name in names:
        key = unicodedata.normalize("NFKC", name).casefold()
        groups["".join(c for c in key if unicodedata.category(c) != "Cf")].append(repr(printable(name)))
    found = [" and ".join(group) for group in groups.values() if len(group) > 1]
    told = f"{_some(found, 3)} differ only in case or in what can hardly be seen; each counts as a class"
    return told if found else ""


def read_folder(folder: Path) -> Listed:
    """List a folder with one sub-folder per class; see `ImageDataset.from_folder`."""
    passed: list[Passed] = []
    where, (folders, loose) = printable(folder), _look_at_top(folder, passed)
    lie = "1 picture lies" if len(loose) == 1 else f"{len(loose) or 'no'} pictures lie"
    if not folders:
        ways = "put the pictures of each class into a folder named as the class"
        raise ValueError(f"{where}: no sub-folders, and {lie} in the folder itself; {ways}.")
    if loose:
        told = f"{lie} beside the {len(folders)} class folders, such as {printable(loose[0].name)}"
        raise ValueError(f"{where}: {told}; move them into a class folder, or elsewhere, so that none is left out.")
    groups = defaultdict(list)
    for inside in folders:
        groups[fold(inside.name)].append(inside)
    names = sorted(groups, key=name_order)
    found, empty = list[tuple[int, str, str]](), []
    for label, inside in ((label, inside) for label, name in enumerate(names) for inside in groups[name]):
        here = list[Passed]()
        pictures = list_pictures(inside, here, base=folder)
        found += [(label, *picture) for picture in pictures]
        passed += here
        if not pictures:
            empty.append(printable(inside.name) + (f" ({tell(here, folder)})" if here else ""))
    if empty:
        ways = "add some, or take the folder away (or hide it with a dot)"
        raise ValueError(f"{where}: no pictures in {_some(empty)}; {ways}.")
    _refuse_two_classes(folder, names, found)
    merged = [" and ".join(repr(printable(f.name)) for f in some) for some in groups.values() if len(some) > 1]
    notes = {"passed over": tell(passed, folder), "read as one class": "; ".join(merged)}
    return Listed([Path(path) for _, path, _ in found], np.array([label for label, *_ in found]), names, notes)


def read_pictures(folder: Path) -> Listed:
    """List all pictures of a folder and of those below it; see `ImageDataset.from_pictures`."""
    _check_folder(folder)
    passed: list[Passed] = []
    paths = [Path(path) for path, _ in list_pictures(folder, passed)]
    told = tell(passed, folder)
    if not paths:
        where = f"{printable(folder)}: no pictures{f' ({told})' if told else ''}"
        raise ValueError(f"{where}; name a folder that holds some.")
    return Listed(paths, None, [], {"passed over": told})


def _refuse_two_classes(folder: Path, names: Sequence[str], found: Iterable[tuple[int, str, str]]) -> None:
    """Refuse a picture that links put into two classes."""
    owner: dict[str, tuple[int, str]] = {}
    for label, path, real in found:
        its_label, other = owner.setdefault(real, (label, path))
        if its_label != label:
            two = " and ".join(printable(os.path.relpath(p, folder)) for p in (other, path))
            told = f"{two} are one picture by a link, in the classes {names[its_label]!r} and {names[label]!r}"
            raise ValueError(f"{printable(folder)}: {told}; take one of them away.")


def read_csv(
    csv: Path, image_column: str, labels_in: str | Sequence[str] | None, image_pattern: str,
    class_names: Sequence[str] | Mapping[Any, str] | None, *,
    separator: str | None = None,
) -> Listed:  # fmt: skip
    """List the pictures of a CSV file, and their labels in one column or in several; see `ImageDataset.from_csv`."""
    columns = [labels_in] if isinstance(labels_in, str) else list(labels_in or ())
    several = labels_in is not None and not isinstance(labels_in, str)
    if separator is not None and (several or not columns or not separator.strip()):
        raise ValueError(f"label_separator={separator!r}; pass what stands between the labels in label_column, as ';'.")
    if several and class_names is not None:
        raise ValueError("class_names goes with label_column; the classes of label_columns are called as the columns.")
    if image_pattern.count("{}") != 1:
        raise ValueError(f"image_pattern={image_pattern!r} must hold exactly one {{}} for the value of {image_column}.")
    lines, (values, *labelled) = read_columns(csv, [image_column, *columns])
    if "" in values:
        line = f"{printable(csv)}: line {lines[values.index('')]}"
        raise ValueError(f"{line} names no picture in column {image_column!r}; fill it in, or take the row out.")
    places = [image_pattern.replace("{}", value) for value in values]
    paths = [place if is_url(place) else csv.parent / place for place in places]
    check_present([p for p in paths if isinstance(p, Path)], f"named in {printable(csv)}")
    cells = [[fold(value) for value in column] for column in labelled] or [[]]
    wheres = [f"{printable(csv)}: column {column!r}" for column in columns] or [""]
    if several:
        flags = [_to_flags(texts, lines, where) for texts, where in zip(cells, wheres, strict=True)]
        labels, names = np.stack(flags, axis=1), [fold(column) for column in columns]
    elif separator is not None:
        labels, names = _to_matrix(cells[0], separator, class_names, lines, wheres[0])
    else:
        labels, names = _to_labels(cells[0], class_names, lines, wheres[0])
    twice = _check_twice(csv, lines, paths, labels if labelled else np.zeros(len(paths)))
    return Listed(paths, labels if labelled else None, names, {"named twice": twice})


def _as_url(file: str | Path) -> str:
    return file if isinstance(file, str) and is_url(file) else f"file://{local_path(file).resolve()}"


def read_shards(shards: Sequence[str | Path], class_names: Any) -> Listed:
    """List the pictures in tar files, and their labels; see `ImageDataset.from_shards`."""
    keys, known, suffixes = dict[str, str](), dict[str, str](), image_suffixes()  # URL of a picture -> its key -> label
    for url in map(_as_url, shards):
        try:
            with open_url(url) as file, tarfile.open(fileobj=file, mode="r:") as tar:
                for member in tar:
                    folder, _, name = member.name.rpartition("/")
                    key, ending = f"{url}#{folder}/{name.partition('.')[0]}", os.path.splitext(name)[1].lower()
                    if member.isreg() and ending in suffixes:
                        keys[f"{url}#{member.name},offset={member.offset_data},size={member.size}"] = key
                    elif ending == ".cls" and (label := tar.extractfile(member)):
                        known[key] = fold(label.read().decode(errors="replace"))
                if file.read_at(512, tar.offset) != bytes(512):
                    raise tarfile.ReadError("its end is missing")
        except tarfile.TarError as error:
            raise ValueError(
                f"{printable(url)}: no whole, plain tar file ({error}); unpack it, or write it again."
            ) from error
    if not keys:
        raise ValueError(f"{len(shards)} shards hold no pictures; pass tar files of KEY.jpg, or another, and KEY.cls.")
    values = [known.get(key, "") for key in keys.values()] if known else []
    labels = _to_labels(values, class_names, range(1, len(values) + 1), "the label") if values else (None, [])
    return Listed([*keys], labels[0], labels[1], {})


def read_tables(tables: Sequence[str | Path]) -> Listed:
    """List the pictures in Parquet tables, or named there, and their labels; see `ImageDataset.from_parquet`."""
    paths, values = list[str](), list[str]()
    for table in tables:
        url = _as_url(table)
        with open_url(url) as file, pq.ParquetFile(file) as opened:
            names, rows_of = opened.schema_arrow.names, opened.metadata.row_group
            if {"image", "bytes"} & {*names}:
                groups = [(group, rows_of(group).num_rows) for group in range(opened.num_row_groups)]
                paths += [f"{url}#group={group},row={row}" for group, rows in groups for row in range(rows)]
            elif "path" in names:
                paths += opened.read(["path"])["path"].to_pylist()
            else:
                told = f"{printable(table)}: the table has the columns {', '.join(names)}"
                raise ValueError(f"{told}; pictures must be in a column image or bytes, or be named in path.")
            values += map(fold, opened.read(["label"])["label"].to_pylist()) if "label" in names else ()
    labels = _to_labels(values, None, range(1, len(values) + 1), "label") if values else (None, [])
    return Listed(paths, labels[0], labels[1], {})


def read_columns(csv: Path, columns: Sequence[str]) -> tuple[list[int], list[list[str]]]:
    """Read columns of a CSV file: the line in which each of the N rows ends, and the N values of each, stripped.

    Rows of nothing at all are left out. FileNotFoundError or ValueError says what is wrong, and in which line.
    """
    where = printable(csv)
    if not csv.is_file():
        raise FileNotFoundError(f"{where}: no such file; pass a CSV file with a header line.")
    try:
        text = csv.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{where}: not UTF-8 text ({error.reason}); save it as CSV in UTF-8.") from error
    first, _, rest = text.replace("\r\n", "\n").replace("\r", "\n").partition("\n")
    said = _SEPARATOR.fullmatch(first)
    wanted = [fold(column) for column in columns]
    table, header = _open_table(rest if said else f"{first}\n{rest}", said[1] if said else ",;\t|", wanted, where)
    twice = [column for column in wanted if header.count(column) > 1]
    if twice:
        raise ValueError(f"{where}: the header has the column {twice[0]!r} twice; rename one of them.")
    try:
        rows = [(table.line_num + bool(said), row) for row in table if any(map(str.strip, row))]
    except csv_module.Error as error:
        line = table.line_num + bool(said)
        raise ValueError(f"{where}: cannot be read as CSV at line {line} ({error}); save it again as CSV.") from error
    if not rows:
        raise ValueError(f"{where}: no rows below the header; write one row per picture.")
    for line, row in rows:
        if len(row) < len(header) or any(map(str.strip, row[len(header) :])):  # a delimiter at the end adds nothing
            told = f"line {line} has {len(row)} fields where the header has {len(header)}"
            ways = f"put quotes around a value that holds {table.dialect.delimiter!r}, or mend the row"
            raise ValueError(f"{where}: {told}; {ways}.")
    places = [header.index(column) for column in wanted]
    return [line for line, _ in rows], [[row[place].strip() for _, row in rows] for place in places]


def _open_table(text: str, delimiters: str, wanted: Sequence[str], where: str) -> tuple[Any, list[str]]:
    """Open a table by the delimiter under which its header has the columns that are wanted; also return the header."""
    longest: list[str] = []
    for delimiter in delimiters:
        table = csv_module.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True, strict=True)
        header: list[str] = []
        with contextlib.suppress(csv_module.Error):  # by a delimiter that is not this table's
            header = next(([fold(c) for c in row] for row in table if any(map(str.strip, row))), [])
        if set(wanted) <= set(header):
            return table, header
        longest = max(longest, header, key=len)
    missing, has = ", ".join(c for c in wanted if c not in longest), ", ".join(map(printable, longest[:20]))
    raise ValueError(f"{where}: no column {missing}; the header has {has or 'nothing'}.")


def _to_labels(
    values: Sequence[str], class_names: Sequence[str] | Mapping[Any, str] | None, lines: Sequence[int], where: str
) -> tuple[np.ndarray, list[str]]:
    """Turn a column of texts into labels (N,) and class names (K)."""
    if "" in values:
        raise ValueError(f"{where} is empty in line {lines[values.index('')]}; write a label, or take the row out.")
    if isinstance(class_names, Mapping):
        pairs = [(fold(value), fold(name)) for value, name in class_names.items()]
        names = list(dict.fromkeys(name for _, name in pairs))
        known = {value: names.index(name) for value, name in pairs}
        if two := [value for value, name in pairs if names[known[value]] != name]:
            raise ValueError(f"class_names gives {short(two[0])} two names; give each value one.")
    else:
        given = sorted(set(values), key=name_order) if class_names is None else class_names
        names = [fold(name) for name in as_list(given, "class_names", "names")]
        known = {str(i): i for i in range(len(names))} | {name: i for i, name in enumerate(names)}  # names win
    if unknown := sorted(set(values) - set(known)):
        told = f"{_some([repr(printable(u)) for u in unknown])} (first in line {lines[values.index(unknown[0])]})"
        raise ValueError(f"{where} holds unknown labels {told}; labels must be one of {', '.join(map(repr, names))}.")
    return np.array([known[value] for value in values], dtype=np.int64), names


def _to_flags(values: Sequence[str], lines: Sequence[int], where: str) -> np.ndarray:
    """Turn a column that says whether a class applies into 1 and 0, shape (N,)."""
    known = {"1": 1, "true": 1, "1.0": 1, "0": 0, "false": 0, "0.0": 0}
    flags = [known.get(value.lower(), -1) for value in values]
    if -1 in flags:
        told = f"{where} holds {printable(repr(values[flags.index(-1)]))} in line {lines[flags.index(-1)]}"
        raise ValueError(f"{told}; write 1 where the class applies and 0 where it does not.")
    return np.array(flags, dtype=np.int8)


def _to_matrix(
    texts: Sequence[str], separator: str, class_names: Any, lines: Sequence[int], where: str
) -> tuple[np.ndarray, list[str]]:
    """Turn a column of several labels per cell, or none, into labels (N, K) and class names (K)."""
    cells = [(i, fold(one)) for i, text in enumerate(texts) if text for one in text.split(separator)]
    found, names = _to_labels([one for _, one in cells], class_names, [lines[i] for i, _ in cells], where)
    labels = np.zeros((len(texts), len(names)), dtype=np.int8)
    labels[[i for i, _ in cells], found] = 1
    return labels, names


def _check_twice(csv: Path, lines: Sequence[int], paths: Sequence[str | Path], labels: np.ndarray) -> str:
    """Refuse a picture with two labels; tell of pictures that stand twice with one."""
    first, twice = dict[str, int](), []
    for i, path in enumerate(paths):
        seen = first.setdefault(path if isinstance(path, str) else os.path.normpath(path), i)
        if not np.array_equal(labels[seen], labels[i]):
            two = f"one label in line {lines[seen]} and another in line {lines[i]}"
            raise ValueError(f"{printable(csv)}: {printable(path)} has {two}; keep one of the two rows.")
        if seen != i:
            twice.append(printable(path))
    rows = "1 row names a picture" if len(twice) == 1 else f"{len(twice)} rows name a picture"
    return f"{rows} that another row names: {_some(twice, 3)}; each row counts" if twice else ""


def check_present(paths: Sequence[Path], where: str) -> None:
    """Refuse files that are not there, naming the first ten."""
    missing = [printable(path) for path in paths if not path.exists()]
    if missing:
        told = f"{len(missing)} of {len(paths)} pictures {where} are missing: {_some(missing)}"
        raise FileNotFoundError(f"{told}; put them there, or take their rows out.")


def read_huggingface(hf_dataset: Any, image_column: str, label_column: str) -> Listed:
    """List the pictures of a Hugging Face data set; see `ImageDataset.from_huggingface`."""
    kind = type(hf_dataset).__name__
    if hasattr(hf_dataset, "keys"):
        raise ValueError(f"this is a {kind} of {', '.join(map(str, hf_dataset))}; pass one split.")
    if not hasattr(hf_dataset, "__len__") or not hasattr(hf_dataset, "with_format"):
        ways = "load it with streaming=False, or make a datasets.Dataset of the rows that you want"
        raise ValueError(f"a {kind} cannot be counted or read twice; {ways}.")
    features = getattr(hf_dataset, "features", None) or {}
    missing = [c for c in (image_column, label_column) if c not in features]
    if missing:
        raise ValueError(f"the data set has no column {', '.join(missing)}; it has {', '.join(features)}.")
    class_names = getattr(features[label_column], "names", None)
    if not class_names:
        raise ValueError(f"column {label_column!r} has no class names; cast it to datasets.ClassLabel first.")
    plain = hf_dataset.with_format(None)
    labels = np.array([-1 if k is None else k for k in plain[label_column]], dtype=np.int64)
    pictures = plain.select_columns([image_column])
    if hasattr(features[image_column], "decode"):
        pictures = pictures.cast_column(image_column, type(features[image_column])(decode=False))
    without = int((labels < 0).sum())
    notes = {"without a label": f"{without} of {len(labels)} pictures" if without else ""}
    paths = [HuggingFacePicture(pictures, image_column, row) for row in range(len(pictures))]
    return Listed(paths, labels, class_names, notes)


@dataclass(frozen=True, eq=False, repr=False)
class HuggingFacePicture:
    """One row of a Hugging Face data set, as a picture source that is read when it is opened."""

    rows: Any
    column: str
    row: int

    @property
    def name(self) -> str:
        """What messages and tables call it."""
        return f"{self.column} of row {self.row}"

    def __call__(self) -> Any:
        """Read the cell: a mapping of bytes and path, bytes, or a path."""
        return self.rows[self.row][self.column]


def list_classes(folder: Path, names: Sequence[str], passed: list[Passed]) -> dict[str, list[Path]]:
    """List the pictures of published class folders, in any case, each sorted by name as text; a missing one is none."""
    folders, loose = _look_at_top(folder, passed) if folder.is_dir() else ([], [])
    passed += [("loose picture", "in none of the class folders", str(picture)) for picture in loose]
    wanted, present = {name.lower(): name for name in names}, dict[str, Path]()
    for inside in folders:
        name = wanted.get(fold(inside.name).lower())
        if name is None:
            passed.append(("folder", "no class of this data set", str(inside)))
        elif present.setdefault(name, inside) is not inside:
            two = " and ".join(repr(printable(p.name)) for p in (present[name], inside))
            raise ValueError(f"{folder}: the folders {two} are one class, {name}; put their pictures into one folder.")
    listings = {n: list_pictures(present[n], passed, base=folder, order=str) for n in names if n in present}
    return {name: [Path(path) for path, _ in pictures] for name, pictures in listings.items()}


def list_pictures(
    folder: Path, passed: list[Passed], *, base: Path | None = None, order: Callable[[str], str] = natural_key
) -> list[tuple[str, str]]:
    """List the pictures in a folder and the folders below it: the path of each, and where it really lies.

    Links are followed, but not into `base` or where one has been already, and a picture is listed once.
    """
    seen = {os.path.realpath(base)} if base else set()
    waiting, linked = deque([str(folder)]), deque[str]()
    found: dict[str, str] = {}  # where it really lies -> path
    links: list[str] = []
    while waiting or linked:
        place = waiting.popleft() if waiting else linked.popleft()  # what lies here is listed as lying here
        real = os.path.realpath(place)
        if real in seen:
            passed.append(("folder", "a link to one that is listed already", place))
            continue
        seen.add(real)
        folders, files = _look_into(place, passed)
        for entry in folders:
            (linked if entry.is_symlink() else waiting).append(entry.path)
        links += [entry.path for entry in files if entry.is_symlink()]
        found |= {os.path.join(real, entry.name): entry.path for entry in files if not entry.is_symlink()}
    for link in sorted(links, key=order):
        if found.setdefault(os.path.realpath(link), link) != link:
            passed.append(("link", "to a picture that is listed already", link))
    return sorted(((path, real) for real, path in found.items()), key=lambda two: (order(two[0]), two))


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise FileNotFoundError(f"{printable(folder)}: no such folder; pass one of pictures, or of a folder per class.")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise PermissionError(f"{printable(folder)}: the folder cannot be read; check its rights.")


def _look_at_top(folder: Path, passed: list[Passed]) -> tuple[list[Path], list[Path]]:
    """List the sub-folders of a folder and the pictures that lie in it directly, both sorted by name."""
    _check_folder(folder)
    folders, files = _look_into(str(folder), passed)
    return [Path(e.path) for e in folders], [Path(e.path) for e in files]


def _look_into(place: str, passed: list[Passed]) -> tuple[list[os.DirEntry[str]], list[os.DirEntry[str]]]:
    """Sort the entries of one folder, by name, into folders, pictures and what is passed over."""
    suffixes = image_suffixes()
    try:
        with os.scandir(place) as entries:
            here = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        passed.append(("folder", f"cannot be read, {error.strerror}", place))
        return [], []
    if not here and Path(place).suffix.lower() in suffixes:
        passed.append(("folder", "empty, and named like a picture", place))
    folders, files = list[os.DirEntry[str]](), list[os.DirEntry[str]]()
    for entry in here:
        real = Path(entry.path) if entry.is_symlink() else entry  # which survives a link that leads to itself
        if why := _why_not(entry, real, suffixes):
            passed.append((*why, entry.path))
        else:
            (folders if real.is_dir() else files).append(entry)
    return folders, files


def _why_not(entry: os.DirEntry[str], real: Path | os.DirEntry[str], known: frozenset[str]) -> tuple[str, str] | None:
    """Say of what kind an entry is that is passed over, and why; None for a picture and for a folder to look into."""
    what, name = "folder" if real.is_dir() else "file", entry.name.lower()
    suffix = os.path.splitext(name)[1]
    if name.startswith("."):
        return f"hidden {what}", "the name begins with a dot"
    if name in _LITTER:
        return what, _LEFT
    if not real.is_dir() and not real.is_file():
        is_broken = entry.is_symlink() and not Path(entry.path).exists()
        return ("link", "to a file that is not there") if is_broken else ("file", "a device, pipe or socket")
    if real.is_dir() or suffix in known:
        return None
    is_left = name.startswith("~$") or name.endswith("~")  # a lock of an office program, a copy of an editor
    reason = _LEFT if is_left else _REASONS.get(suffix, "no picture")
    says_nothing = reason == "no picture" and mimetypes.guess_type(f"x{suffix}")[0] is None
    if says_nothing and is_picture_by_content(entry.path):
        return None
    return what if reason == _LEFT else suffix or "without a suffix", reason


def tell(passed: Sequence[Passed], base: Path) -> str:
    """Say how many files and folders were passed over, of which kinds and why, with three examples; "" for none."""
    groups = defaultdict(list)
    for kind, reason, path in passed:
        groups[kind, reason].append(path)
    folders = sum(kind.endswith("folder") for kind, *_ in passed)
    kinds = []
    for (kind, reason), paths in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])):
        many = "s" if len(paths) > 1 and kind.endswith(("file", "folder", "link", "picture")) else ""
        examples = ", ".join(printable(os.path.relpath(path, base)) for path in paths[:3])
        kinds.append(f"{len(paths)} {kind}{many} ({reason}{'; such as' if len(paths) > 3 else ':'} {examples})")
    counts = ((len(passed) - folders, "file"), (folders, "folder"))
    total = " and ".join(f"{n} {what}{'s' if n > 1 else ''}" for n, what in counts if n)
    return f"{total}: {', '.join(kinds)}" if passed else ""


def check_split(split: str | None, possible: Sequence[str]) -> str:
    """Choose the first split for None; refuse a name that was not published."""
    return possible[0] if split is None else check_choice(split, possible, "split")


def _some(texts: Sequence[str], n: int = 10) -> str:
    return ", ".join(texts[:n]) + (f" and {len(texts) - n} more" if len(texts) > n else "")
