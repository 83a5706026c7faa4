"""A folder of pictures sorted into class folders, and put back: `sort_folder`, `undo_sort`.

All that will be done is written into one file first, `PLAN` in the new folder. What of it is done can be seen from the
files themselves, so that a run that was stopped goes on, and everything can be undone.
"""

import filecmp
import json
import os
import re
import shutil
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd

from zsc.checks import check_choice, check_fraction
from zsc.classifier import ZeroShotClassifier
from zsc.datasets import ImageDataset
from zsc.embeddings import embed_images
from zsc.files import expanded, printable, write_whole
from zsc.images import picture_uri
from zsc.models.base import Encoder
from zsc.progress import Progress, each
from zsc.report import PAGES
from zsc.spreadsheet import NONE, answer_table

PLAN = ".zsc-sort.json"
FORMAT = 1
WAYS = ("link", "copy", "move")
NOT_SURE = "not sure"
OURS = b'<meta name="generator" content="zsc sort">'  # in a contact sheet
KEPT = ("class", "probability", "margin", "error")  # of an answer
SHOWN, PIXELS = 300, 160  # pictures of a contact sheet, and their longer side
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')  # in names of files, on some system
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # Windows'


def sort_folder(
    folder: str | Path, prompts: Any, into: str | Path, *,
    model: Encoder | str = "auto", how: str = "link", margin: float = 0.0, share: float = 0.0,
    none_of_these: tuple[str, float] | None = None, store: str | Path | None = None, dry_run: bool = False,
    progress: Progress = True,
) -> pd.DataFrame:  # fmt: skip
    """Sort the pictures of a folder, also of those below it, into one folder per class; return what was done.

    The table has one row per picture: source, target, class, probability, margin, error. A picture that cannot be
    opened stays where it is. Nothing is overwritten: a name that is taken gets a number. Each class also gets a contact
    sheet, a page beside its folder. Run it again with the same folders after a stop, and it goes on.

    `into` is a new folder, not inside `folder`, nor around it; `prompts`, `model` and `store` are as in
    `ZeroShotClassifier`. `how` "link" makes links to the pictures, "copy" copies, "move" moves them (what is a link
    stays, and gets a link); `dry_run` only says what would be done. Pictures whose two highest probabilities differ by
    less than `margin`, and the `share` of the pictures with the smallest difference, go into the folder "not sure";
    those below a number, of a score of `zsc.calibration.familiarity` such as "mcm", into "none of these".

    ValueError says that a folder cannot be used, or that another sorting into it was begun; OSError what the system
    refused, and then nothing is lost.
    """
    folder, into = expanded(folder), expanded(into)
    check_choice(how, WAYS, "how")
    margin, share = check_fraction(margin, "margin", ends=True), check_fraction(share, "share", ends=True)
    one, other = (Path(os.path.realpath(each)) for each in (folder, into))
    if one == other or one in other.parents or other in one.parents:
        raise ValueError(f"{printable(into)} lies inside {printable(folder)}, or around it; name a folder elsewhere.")
    clf, options = ZeroShotClassifier(prompts, model), {"store": store, "progress": progress}
    asked = {"folder": str(one), "how": how, "margin": margin, "share": share, "model": clf.model.fingerprint,
             "prompts": {name: list(texts) for name, texts in clf.prompts.texts.items()}}  # fmt: skip
    asked |= {"none_of_these": list(none_of_these)} if none_of_these else {}
    is_begun = (into / PLAN).exists()
    plan: dict[str, Any] = _read_plan(into) if is_begun else {"format": FORMAT, "asked": asked}
    if plan["asked"] != asked:
        told = "holds another sorting; undo it (zsc sort --undo), or name another folder."
        raise ValueError(f"{printable(into)} {told}")
    if not is_begun:
        plan |= _planned(folder, into, clf, asked, options)
    table = pd.DataFrame(plan["rows"], dtype=object).astype({"probability": float, "margin": float})
    if not dry_run:
        into.mkdir(parents=True, exist_ok=True)
        if not is_begun:
            write_whole(into / PLAN, json.dumps(plan, indent=1))
        for row in each(_moved(plan), progress, "images"):
            _put(Path(row["source"]), into / row["target"], how)
        for name, page in plan["pages"].items():
            _write_page(into, name, page, [row for row in _moved(plan) if row["folder"] == name])
    return table


def undo_sort(into: str | Path, *, progress: Progress = True) -> list[str]:
    """Undo `sort_folder`: pictures go back, links, copies, pages and folders that it made are removed; nothing else.

    Returns one sentence for each file that stays, since it is not as it was left: the plan stays, too, then.
    """
    into = expanded(into)
    plan, stays = _read_plan(into), []
    how = plan["asked"]["how"]
    for row in each(_moved(plan)[::-1], progress, "images"):
        source, target = Path(row["source"]), into / row["target"]
        way = "link" if source.is_symlink() and how == "move" else how
        halfway = way == "move" and _is_same(source, target)  # a run was stopped before the second was removed
        if not halfway and not _is_done(source, target, way):
            if os.path.lexists(target):
                stays.append(f"{printable(target)}: not as it was left; it stays.")
        elif halfway or way != "move":
            target.unlink()
        else:
            source.parent.mkdir(parents=True, exist_ok=True)
            _move(target, source)
    for page in plan["pages"].values():
        if _is_ours(into / page):
            (into / page).unlink()
    if not stays:
        (into / PLAN).unlink()
    for made in (*plan["pages"], *plan["made"]):
        with suppress(OSError):  # what holds something else stays
            (into / made).rmdir()
    return stays


def _planned(
    folder: Path, into: Path, clf: ZeroShotClassifier, asked: Mapping[str, Any], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Classify the pictures, and choose for each a name that is not taken."""
    dataset = ImageDataset.from_pictures(folder)
    embeddings = embed_images(clf.model, dataset, on_error="record", **options)
    reasons = dict(zip(embeddings.failures["index"], embeddings.failures["error"], strict=True))
    strange = clf.is_strange(embeddings, asked.get("none_of_these"))
    table = answer_table(clf.answer(embeddings), reasons, strange)
    known = table["margin"][~strange].dropna()
    least = max(asked["margin"], known.quantile(asked["share"])) if len(known) else 0
    unsure = ~strange & (table["margin"] < least)
    taken = {_folded(name) for name in os.listdir(into)} if into.is_dir() else set()
    names = dict.fromkeys([*clf.class_names, NONE, None])  # None: not sure
    folders = {name: _free(_file_name(name or NOT_SURE), taken) for name in names}
    inside: dict[str, set[str]] = {folder: set() for folder in folders.values()}
    rows = []
    for i, (path, said) in enumerate(zip(dataset.paths, table.to_dict("records"), strict=True)):
        row = {"source": str(path), "target": None, "folder": None} | {key: said[key] for key in KEPT}
        if said["error"] is None:
            row["folder"] = folders[None if unsure[i] else said["class"]]
            name = _free(os.fsencode(Path(path).name).decode(errors="replace"), inside[row["folder"]])
            row["target"] = f"{row['folder']}/{name}"
        rows.append(row)
    pages = {one: _free(f"{one}.html", taken) for one, put in inside.items() if put}
    return {"rows": rows, "pages": pages, "made": [] if into.exists() else ["."]}


def _moved(plan: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [row for row in plan["rows"] if row["target"]]


def _read_plan(into: Path) -> dict[str, Any]:
    try:
        plan: dict[str, Any] = json.loads((into / PLAN).read_text(encoding="utf-8"))
        if plan["format"] != FORMAT:
            raise ValueError(f"{printable(into / PLAN)} was written by another version of zsc ({plan['format']}).")
    except (OSError, KeyError, json.JSONDecodeError) as error:
        told = f"nothing was sorted into this folder, or its {PLAN} is damaged"
        raise ValueError(f"{printable(into)}: {told}.") from error
    return plan


def _folded(name: str) -> str:
    """Return what a name is on systems that see no difference between cases, or between ways to write a letter."""
    return unicodedata.normalize("NFC", name).casefold()


def _file_name(name: str) -> str:
    """Turn a class name into one that every system takes for a folder."""
    name = _FORBIDDEN.sub("_", name).strip(" .")[:100] or "_"
    return f"_{name}" if _RESERVED.fullmatch(name) else name


def _free(name: str, taken: set[str]) -> str:
    """Return the name, with a number where it is taken, and take it."""
    stem, suffix = os.path.splitext(name)
    number, free = 1, name
    while _folded(free) in taken:
        number += 1
        free = f"{stem} ({number}){suffix}"
    taken.add(_folded(free))
    return free


def _is_same(one: Path, other: Path) -> bool:
    return one.is_file() and other.is_file() and filecmp.cmp(one, other, shallow=False)


def _is_done(source: Path, target: Path, how: str) -> bool:
    if how == "link":
        return target.is_symlink() and os.path.realpath(target) == os.path.realpath(source)
    if how == "move":
        return target.is_file() and not os.path.lexists(source)
    return _is_same(source, target)


def _put(source: Path, target: Path, how: str) -> None:
    how = "link" if source.is_symlink() and how == "move" else how  # a relative link that is moved would lead nowhere
    if _is_done(source, target, how):
        if how == "copy":
            shutil.copystat(source, target)  # a run may have been stopped before it did
        return
    target.parent.mkdir(exist_ok=True)
    if how == "move" and _is_same(source, target):
        shutil.copystat(source, target)
        source.unlink()  # a move to another disk was stopped between its two halves
    elif os.path.lexists(target):
        raise FileExistsError(f"{printable(target)} has come there meanwhile; move it away, and run this again.")
    elif how == "move":
        _move(source, target)
    elif how == "copy":
        _copy(source, target)
    else:
        try:
            target.symlink_to(os.path.relpath(os.path.realpath(source), os.path.realpath(target.parent)))
        except OSError as error:
            raise OSError(f"{printable(target)}: no link can be made here ({error.strerror}); use 'copy'.") from error


def _move(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError:  # another disk
        _copy(source, target)
        source.unlink()


def _copy(source: Path, target: Path) -> None:
    """Copy with times and rights; the name appears when all of it is there."""

    def write(file: BinaryIO) -> None:
        with source.open("rb") as original:
            shutil.copyfileobj(original, file, 1 << 20)
        file.flush()
        os.utime(file.name, ns=(about.st_atime_ns, about.st_mtime_ns))

    about = source.stat()
    write_whole(target, write)
    shutil.copystat(source, target)  # rights, too, which may forbid to write


def _is_ours(page: Path) -> bool:
    return page.is_file() and OURS in page.read_bytes()


def _write_page(into: Path, name: str, page: str, rows: list[dict[str, Any]]) -> None:
    """Write the contact sheet of a folder, the most certain pictures first."""
    if os.path.lexists(into / page) and not _is_ours(into / page):
        raise FileExistsError(f"{printable(into / page)} has come there meanwhile; move it away, and run this again.")
    rows = sorted(rows, key=lambda row: -row["margin"])
    cards = [row | {"uri": picture_uri(into / row["target"], PIXELS)} for row in rows[:SHOWN]]
    template = PAGES.get_template("contact.html.j2")
    write_whole(into / page, template.render(name=name, n=len(rows), cards=cards, shown=SHOWN))
