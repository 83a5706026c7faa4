"""download_dataset: get a published data set, from the first source that gives it whole.

Every attempt is reported in a line. A data set's folder is complete or not there, whatever happens; what has come of an
archive is kept, and the next call goes on from it.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from requests.auth import AuthBase

from zsc.datasets.archives import ArchiveError, unpack
from zsc.datasets.base import ImageDataset
from zsc.datasets.kaggle_login import kaggle_login, may_log_in
from zsc.datasets.published import Published, Source, find_published
from zsc.datasets.readers import load_splits, read_splits
from zsc.files import FULL, DownloadError, digest_of, fetch, forget, locked, printable, shown
from zsc.images import local_path

Report = Callable[[str], None]
_log = logging.getLogger("zsc")


def download_dataset(
    name: str,
    root: str | Path = "data",
    *,
    version: int | None = None,
    size: str | None = None,
    source: str | None = None,
    from_file: str | Path | None = None,
    report: Report | None = None,
    progress: bool = True,
) -> Path:
    """Download and unpack a published data set, unless it is there already.

    Parameters
    ----------
    name
        "glasses", "afhq" or "imagenette".
    root
        The folder that holds the data sets.
    version, size
        afhq: 1 or 2. imagenette: "320px", "160px" or "full". None takes the first.
    source
        Only this source; None tries all, in their order.
    from_file
        An archive that was fetched by hand, instead of a source.
    report
        Called with a line for each attempt, and if another process is at it; None logs them.
    progress
        Show bars.

    Returns
    -------
    Path
        The data set's folder.

    Raises
    ------
    DownloadError
        If no source gave it whole, or it cannot be written; the message says what was tried and three ways on.
    ArchiveError
        If `from_file` is damaged, dangerous or another archive.
    ValueError
        If there is no such name, version, size or source.
    """
    wait, report = report or _log.warning, report or _log.info
    form = find_published(name, version=version, size=size)
    folder = local_path(root) / form.folder
    sources = _choose(form, source)
    there = _complete_folder(form, folder, report)  # before anything is written: the folder may be another user's
    if there is not None:
        return there
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder, report=wait):
            return _acquire(form, folder, sources, from_file, report=report, progress=progress)
    except DownloadError:
        raise
    except OSError as error:
        if error.errno in FULL:
            words = f"the disk of {printable(root)} is full; make room and run it again, it goes on from there."
        elif error.strerror is None:  # told already
            words = str(error)
        else:
            words = f"{printable(root)} cannot be written to ({error.strerror}); choose another folder with --root."
        raise DownloadError(words) from error


def _acquire(
    form: Published,
    folder: Path,
    sources: list[Source],
    from_file: str | Path | None,
    *,
    report: Report,
    progress: bool,
) -> Path:
    for stale in folder.parent.glob(f".{folder.name}.unpacking-*"):  # what a killed run left
        shutil.rmtree(stale, ignore_errors=True)
    there = _complete_folder(form, folder, report)  # another process may have fetched it meanwhile
    if there is not None:
        return there
    if from_file is None:
        return _try_each(sources, form, folder, report, progress)
    report(f"{form.dataset}: unpacking {printable(from_file)}.")
    if form.checksum is not None and Path(from_file).is_file():
        algorithm, _, expected = form.checksum.partition(":")
        if digest_of(Path(from_file), algorithm) != expected:
            raise ArchiveError(
                f"{printable(from_file)}: its {algorithm} is not {expected}, that of the published archive; fetch it "
                "again."
            )
    return _unpack(Path(from_file), form, folder, progress)


def _try_each(sources: list[Source], form: Published, folder: Path, report: Report, progress: bool) -> Path:
    tried = []
    for source in sources:
        auth = kaggle_login(report) if source.login else None
        if source.login and auth is None:
            report(f"{source.name}: no Kaggle credentials on this machine, passed over.")
            tried.append(f"{source.name}: no credentials")
            continue
        if source.login and not may_log_in(source.url):
            report(f"{source.name}: {shown(source.url)} is not Kaggle's, so that no login is sent there; passed over.")
            tried.append(f"{source.name}: not Kaggle's address")
            continue
        report(f"{source.name}: {shown(source.url)}")
        try:
            return _fetch_and_unpack(source, auth, form, folder, report=report, progress=progress)
        except (DownloadError, ArchiveError) as error:
            if isinstance(error, DownloadError) and error.errno in FULL:
                raise  # the next source's copy would need the same room
            report(f"{source.name}: failed. {error}")
            tried.append(f"{source.name}: {str(error).removesuffix('.')}")
    _remove_if_empty(folder.parent / ".download")
    raise DownloadError(_ways_on(form, folder, tried))


def _fetch_and_unpack(
    source: Source, auth: AuthBase | None, form: Published, folder: Path, *, report: Report, progress: bool
) -> Path:
    store = folder.parent / ".download"
    path = store / source.archive
    archive = fetch(
        source.url,
        path,
        checksum=form.checksum,
        auth=auth,
        progress=progress,
        report=report,
        keep_note=True,  # unpacking may be stopped: then it is not fetched again
    )
    try:
        _unpack(archive, form, folder, progress)
    except ArchiveError:
        forget(archive)  # it would fail again
        raise
    forget(archive)
    _remove_if_empty(store)
    return folder


def _remove_if_empty(store: Path) -> None:
    if store.is_dir() and not any(store.iterdir()):
        store.rmdir()


def _unpack(archive: Path, form: Published, folder: Path, progress: bool) -> Path:
    def check(inside: Path) -> None:
        try:
            read_splits(form, inside)
        except (FileNotFoundError, ValueError) as error:
            raise ArchiveError(f"{archive.name}: the data set in it is not complete. {error}") from error

    return unpack(archive, folder, form.marker, check=check, progress=progress)


def _complete_folder(form: Published, folder: Path, report: Report) -> Path | None:
    """Find a complete copy; None where there is nothing, and an error where there is a part of one."""
    try:
        splits = load_splits(form, folder.parent)
    except (FileNotFoundError, ValueError) as error:
        if not folder.exists() and not folder.is_symlink():
            return None
        raise DownloadError(
            f"{printable(folder)} is there but not complete ({error}); move it away, or mend it, and run this again."
        ) from error
    place = folder if folder.exists() else _folder_of(splits)
    found, published = sum(map(len, splits)), sum(sum(counts.values()) for counts in form.counts.values())
    rest = f" It has {found:,} of {published:,} pictures; 'zsc datasets check {form.dataset}' says which are missing."
    report(f"{form.dataset}: already there, in {printable(place)}." + (rest if found < published else ""))
    return place


def _folder_of(splits: list[ImageDataset]) -> Path:
    """Name the folder that all pictures of a copy in another layout have in common."""
    return Path(
        os.path.commonpath([path.parent for split in splits for path in split.paths[:: max(1, len(split) // 9)]])
    )


def _choose(form: Published, source: str | None) -> list[Source]:
    names = [s.name for s in form.sources]
    if source is not None and source not in names:
        raise ValueError(f"source={source!r}; the source of {form.dataset} must be one of {', '.join(names)}.")
    return [s for s in form.sources if source in (None, s.name)]


def _ways_on(form: Published, folder: Path, tried: list[str]) -> str:
    variable = form.sources[0].base[0]
    return (
        f"{form.dataset} could not be downloaded; tried: {'; '.join(tried)}. Three ways on: fetch the archive by hand "
        f"(data/{form.dataset}.md says where) and run 'zsc download {form.dataset} --from FILE'; set {variable} to a "
        f"mirror's address, or log in to Kaggle (KAGGLE_API_TOKEN or kaggle.json); or put an unpacked copy at {folder}."
    )
