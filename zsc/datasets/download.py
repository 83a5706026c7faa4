"""Published data sets: what was published, how its folder is read, got from the first good source, and checked.

Every attempt is reported in a line. An archive is checked, unpacked in a folder of its own, and put in place by one
rename: a data set's folder is complete or not there, whatever happens. What has come of an archive is kept, and the
next call goes on from it.
"""

import contextlib
import errno
import gzip
import json
import logging
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import requests
from requests.auth import AuthBase, HTTPBasicAuth

from zsc.checks import check_choice
from zsc.datasets.base import ImageDataset
from zsc.datasets.listing import Passed, list_classes, tell
from zsc.files import FULL, DownloadError, fetch, forget, locked, printable, refuse_full_disk, shown, wrong_digest
from zsc.images import ImageError, describe, local_path, open_image, read_source
from zsc.progress import Progress, bar, each

Report = Callable[[str], object]
KAGGLE_INPUT = Path("/kaggle/input")  # where Kaggle's own notebooks mount data sets
TRUSTED: str | tuple[str, ...] = "https://www.kaggle.com/"  # nobody else is sent the login
_log = logging.getLogger("zsc")
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO)
_NAME = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.EISDIR, errno.ENOTDIR, errno.EEXIST)
_FILTER: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # 3.14's default, had early


class ArchiveError(ValueError):
    """An archive that is damaged, dangerous, or holds something else; nothing of it stays."""


@dataclass(frozen=True)
class Source:
    """One place that serves a data set's archive: what `--source` calls it, and its address.

    `base` is the environment variable that changes the beginning of the address, for mirrors, and that beginning.
    `login` sends the user's Kaggle credentials; the source is passed over where there are none.
    """

    name: str
    base: Sequence[str]
    path: str
    login: bool = False

    @property
    def archive(self) -> str:
        """A file name for the archive; sources with the same path serve the same file."""
        name = self.path.partition("?")[0].rpartition("/")[2]
        return name if "." in name else f"{name}.zip"

    @property
    def url(self) -> str:
        """The whole address, with the base as the environment has it."""
        variable, default = self.base
        return f"{(os.environ.get(variable, '').strip() or default).rstrip('/')}/{self.path}"


@dataclass(frozen=True)
class Published:
    """One form of a data set, as in published.yaml, in folders ``SPLIT/CLASS``; others override `read` and `look`."""

    dataset: str  # the name that `load_dataset` is given
    folder: str  # its folder under the root
    marker: str  # what lies right inside of that
    page: str  # where its authors say how to get it
    sources: Sequence[Source]  # where to get it, in order
    counts: Mapping[str, Mapping[str, int]]  # split -> class name -> number of pictures, the split to evaluate first
    class_names: Mapping[str, str]  # class folder -> class name, in order
    notes: Mapping[str, str]  # source, licence and label errors
    name: str = ""  # what the `ImageDataset` is called, if not as `dataset`
    options: Mapping[str, object] = field(default_factory=dict)  # what tells it from other forms, such as the version
    elsewhere: Sequence[str] = ()  # other places under the root or on Kaggle
    checksum: str | None = None  # the archive's "md5:...", if one was published
    extras: Sequence[str] = ()  # further options of `read`

    @property
    def how_to_get(self) -> str:
        """Two ways to get it, as the end of a message."""
        options = "".join(f" --{name} {value}" for name, value in self.options.items())
        return f"Run 'zsc download {self.dataset}{options}', or fetch it by hand from {self.page}."

    def find(self, root: Path) -> Path:
        """Find its folder under a root or on Kaggle; where there is none, name the one that would be there."""
        places = [base / place for base in (root, KAGGLE_INPUT) for place in (self.folder, *self.elsewhere)]
        return next((place for place in places if (place / self.marker).exists()), places[0])

    def read(self, folder: Path, split: str) -> ImageDataset:
        """Read a split from the data set's own folder: class by class, each sorted by name as text.

        FileNotFoundError says which class or picture is missing, and how to get the data set.
        """
        place, passed = folder / split, list[Passed]()
        listed = list_classes(place, list(self.class_names), passed)
        missing = [name for name in self.class_names if not listed.get(name)]
        if missing:
            some = f", missing {', '.join(missing)}" if len(missing) < len(self.class_names) else ""
            expected = f"expected folders {', '.join(self.class_names)}{some}"
            raise FileNotFoundError(f"no images under {printable(place)}; {expected}. {self.how_to_get}")
        labels = np.repeat(np.arange(len(listed)), list(map(len, listed.values())))
        paths = [path for paths in listed.values() for path in paths]
        return self.dataset_of(paths, labels, split, {"passed over": tell(passed, place)})

    def count(self, folder: Path) -> int:
        """Count the pictures of all splits, each of which must be complete."""
        return sum(len(self.read(folder, split)) for split in self.counts)

    def look(self, folder: Path) -> tuple[list[tuple[str, str, Path]], list[str]]:
        """List split, class and path of each picture that is there, and what is named by a table and not there."""
        found = ((split, list_classes(folder / split, list(self.class_names), [])) for split in self.counts)
        return [(s, self.class_names[n], path) for s, listed in found for n in listed for path in listed[n]], []

    def dataset_of(self, paths: list[Path], labels: np.ndarray, split: str, notes: Mapping[str, str]) -> ImageDataset:
        """Make the data set of a split, with what was published about it."""
        names, name = list(self.class_names.values()), self.name or self.dataset
        return ImageDataset(paths, labels, names, name=name, split_name=split, notes={**self.notes, **notes})


def download_published(
    form: Published, root: Path, source: str | None, archive: Path | None, *, report: Report | None, progress: Progress
) -> Path:
    """Download and unpack a published data set, unless it is there already; see `zsc.datasets.download_dataset`."""
    wait, report = report or _log.warning, report or _log.info
    folder, sources = root / form.folder, {s.name: s for s in form.sources}
    if source is not None:
        check_choice(source, list(sources), "source")
    if there := _complete_folder(form, root, report):  # before anything is written: it may be another user's
        return there
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder, report=wait):
            for stale in folder.parent.glob(f".{folder.name}.unpacking-*"):  # what a killed run left
                shutil.rmtree(stale, ignore_errors=True)
            if there := _complete_folder(form, root, report):  # another process may have fetched it meanwhile
                return there
            if archive is not None:
                report(f"{form.dataset}: unpacking {printable(archive)}.")
                if archive.is_file() and wrong_digest(archive, form.checksum):
                    why = f"its {str(form.checksum).replace(':', ' is not ', 1)}, that of the published archive"
                    raise ArchiveError(f"{printable(archive)}: {why}; fetch it again.")
                return unpack(archive, form, folder, progress)
            return _try_each([sources[source]] if source else form.sources, form, folder, report, progress)
    except DownloadError:
        raise
    except OSError as error:
        words = str(error)  # which tells all, where there is no strerror
        if error.errno in FULL:
            words = f"the disk of {printable(root)} is full; make room and run it again, it goes on from there."
        elif error.strerror is not None:
            words = f"{printable(root)} cannot be written to ({error.strerror}); choose another folder with --root."
        raise DownloadError(words) from error


def _complete_folder(form: Published, root: Path, report: Report) -> Path | None:
    """Find a complete copy; None where there is nothing, and an error where there is a part of one."""
    place, folder = form.find(root), root / form.folder
    try:
        found = form.count(place)
    except (FileNotFoundError, ValueError) as error:
        if not os.path.lexists(folder):
            return None
        told = f"{printable(folder)} is there but not complete ({error})"
        raise DownloadError(f"{told}; move it away, or mend it, and run this again.") from error
    published = sum(sum(counts.values()) for counts in form.counts.values())
    rest = f" It has {found:,} of {published:,} pictures; 'zsc datasets check {form.dataset}' says which are missing."
    report(f"{form.dataset}: already there, in {printable(place)}." + (rest if found < published else ""))
    return place


def _try_each(sources: Sequence[Source], form: Published, folder: Path, report: Report, progress: Progress) -> Path:
    tried = []
    for source in sources:
        archive = folder.parent / ".download" / source.archive
        try:
            address, auth = shown(source.url), kaggle_login(report) if source.login else None
            if source.login and auth is None:
                raise DownloadError("No Kaggle credentials on this machine, passed over.")
            if source.login and not may_log_in(source.url):
                raise DownloadError(f"{address} is not Kaggle's, so that no login is sent there, passed over.")
            report(f"{source.name}: {address}")
            # the note is kept, since unpacking may be stopped: then it is not fetched again
            shown_by = partial(bar, progress)
            options: dict[str, Any] = {"checksum": form.checksum, "auth": auth, "progress": shown_by, "report": report}
            fetch(source.url, archive, keep_note=True, **options)
            unpack(archive, form, folder, progress)
            forget(archive)
            return folder
        except (DownloadError, ArchiveError) as error:
            if isinstance(error, ArchiveError):
                forget(archive)  # it would fail again
            elif error.errno in FULL:
                raise  # the next source's copy would need the same room
            report(f"{source.name}: failed. {error}")
            tried.append(f"{source.name}: {str(error).removesuffix('.')}")
        finally:
            with contextlib.suppress(OSError):  # unless something in it is kept
                archive.parent.rmdir()
    raise DownloadError(
        f"{form.dataset} could not be downloaded; tried: {'; '.join(tried)}. Three ways on: fetch the archive by hand "
        f"from {form.page} and run 'zsc download {form.dataset} --from FILE'; set {form.sources[0].base[0]} to a "
        f"mirror's address, or log in to Kaggle (KAGGLE_API_TOKEN or kaggle.json); or put an unpacked copy at {folder}."
    )


class _Member(NamedTuple):
    name: str
    size: int
    is_plain: bool  # a file or a folder
    entry: Any


def unpack(archive: Path, form: Published, folder: Path, progress: Progress) -> Path:
    """Unpack a zip, or a tar of any compression: the highest folder in it that holds the marker becomes `folder`.

    Before, the data set in it is read as a whole. ArchiveError says what is wrong, or not complete.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _opened(archive) as (members, _):
        for member in members:
            path = PurePosixPath(member.name.replace("\\", "/"))
            if path.is_absolute() or ".." in path.parts:
                raise _refused(archive, member, "would leave the folder")
            if ":" in member.name:
                raise _refused(archive, member, "has a colon, which names a drive on Windows: would leave the folder")
            if not member.is_plain:
                raise _refused(archive, member, "is a link or a device")
        if archive.suffix in (".tgz", ".gz"):
            with gzip.open(archive) as stream:
                while stream.read(1 << 20):  # to the end, where gzip keeps its checksum
                    pass
    refuse_full_disk(folder.parent, sum(m.size for m in members), f"{archive.name} unpacks to")
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.unpacking-", dir=folder.parent))
    try:
        with _opened(archive) as (members, extract):  # both kinds of archive tell of a file that is not whole
            for member in each(members, progress, "files", desc="unpacking"):
                try:
                    extract(member.entry, staging)
                except OSError as error:
                    if error.errno not in _NAME:
                        raise
                    fault = f"has a name that cannot be used here ({error.strerror}): too long, or twice in the archive"
                    raise _refused(archive, member, fault) from error
        found = [p.parent for p in staging.rglob(form.marker) if "__MACOSX" not in p.parts]
        if not found:
            raise ArchiveError(f"{archive.name}: holds no folder with {form.marker} in it; it is another archive.")
        inside = min(found, key=lambda p: (len(p.parts), str(p)))  # the highest
        try:
            form.count(inside)
        except (FileNotFoundError, ValueError) as error:
            raise ArchiveError(f"{archive.name}: the data set in it is not complete. {error}") from error
        inside.chmod(0o755)  # mkdtemp's own is for its owner alone
        inside.rename(folder)
        return folder
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@contextlib.contextmanager
def _opened(archive: Path) -> Iterator[tuple[list[_Member], Callable[[Any, Path], object]]]:
    """Open an archive: its members, and what extracts one; whatever is wrong with it becomes one sentence."""
    if not archive.is_file():
        raise ArchiveError(f"{printable(archive)}: no such file; pass the archive that you fetched.")
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                infos = opened.infolist()  # the upper bits of the Unix mode say what is neither a link nor a device
                members = [_Member(i.filename, i.file_size, i.external_attr >> 28 & 15 in (0, 4, 8), i) for i in infos]
                yield members, opened.extract
        elif tarfile.is_tarfile(archive):
            with tarfile.open(archive) as tar:
                members = [_Member(m.name, m.size, m.isreg() or m.isdir(), m) for m in tar]
                yield members, partial(tar.extract, set_attrs=False, **_FILTER)
        else:
            size = archive.stat().st_size
            raise ArchiveError(f"{printable(archive)}: no archive, or cut short ({size:,} bytes); fetch it again.")
    except ArchiveError:
        raise
    except Exception as error:  # the modules raise many kinds for what is damaged
        if isinstance(error, OSError) and error.errno in _DISK:  # not the archive's fault
            raise
        why = f"damaged or cut short ({error}); fetch it again."
        if "encrypted" in str(error) or "password" in str(error):
            why = "encrypted, which the published archive is not; fetch that one."
        elif isinstance(error, NotImplementedError):
            why = f"packed in a way that Python does not know ({error}); fetch the published archive."
        raise ArchiveError(f"{printable(archive)}: {why}") from error


def _refused(archive: Path, member: _Member, fault: str) -> ArchiveError:
    name = member.name if len(member.name) <= 100 else f"{member.name[:60]}...{member.name[-30:]}"
    return ArchiveError(f"{printable(archive)}: refused, its member {name!r} {fault}.")


@dataclass(frozen=True)
class _Token(AuthBase):
    """An access token; requests drops the header where an address redirects to another host."""

    token: str = field(repr=False)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


def kaggle_login(report: Report) -> AuthBase | None:
    """Find the user's Kaggle credentials, for requests to send; None where there are none.

    They are KAGGLE_API_TOKEN, KAGGLE_USERNAME and KAGGLE_KEY, or kaggle.json; `report` is told where that file is
    damaged or can be read by others, and never the credentials.
    """
    file = Path(os.environ.get("KAGGLE_CONFIG_DIR") or local_path("~/.kaggle")) / "kaggle.json"
    if os.name == "posix" and os.access(file, os.R_OK) and file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        report(f"kaggle: others on this machine can read {printable(file)}; run chmod 600 {printable(file)}.")
    try:
        token, username, key = ((value or "").strip() for value in _credentials(file))
        if not token and bool(username) != bool(key):
            raise ValueError("one of the two is empty")
    except (ValueError, OSError, TypeError, KeyError, AttributeError):
        report(f"kaggle: {printable(file)} cannot be read as Kaggle's credentials; fetch it again from Kaggle.")
        return None
    if not all(text.isascii() and text.isprintable() for text in (token, username, key)):
        report("kaggle: the credentials hold letters that no credentials have; copy them again from Kaggle.")
        return None
    return _Token(token) if token else HTTPBasicAuth(username, key) if username else None


def _credentials(file: Path) -> tuple[str | None, str | None, str | None]:
    """Find token, user name and key; empty where there are none."""
    try:
        from kagglehub.config import get_kaggle_credentials

        found = get_kaggle_credentials()
    except RuntimeError:  # it looks for the home directory, and there is none
        known = os.environ.get
        return known("KAGGLE_API_TOKEN"), known("KAGGLE_USERNAME"), known("KAGGLE_KEY")
    except ValueError:
        read = json.loads(file.read_bytes())  # which knows the marks that Windows' editors put before a text
        return "", read["username"], read["key"]
    return (found.api_key, found.username, found.key) if found else ("", "", "")


def may_log_in(url: str) -> bool:
    """Tell whether an address may be sent the login: one that begins with Kaggle's own, to the slash after the host."""
    return url.startswith(TRUSTED)


@dataclass(frozen=True, eq=False)
class DatasetCheck:
    """What was found of a data set."""

    folder: Path
    counts: pd.DataFrame  # one row per split and class: found and published
    missing: list[str]  # tables, and what they name, that are not there
    unreadable: pd.DataFrame  # one row per picture that cannot be opened: image and error
    duplicates: pd.DataFrame  # one row per set of equal files: splits, classes and images
    bytes: int  # of all pictures together

    @property
    def problems(self) -> list[str]:
        """What is wrong, one sentence each; equal files within a split and class are no problem."""
        rows = self.counts.itertuples(index=False)
        found = [f"{split} {name}: {n} of {published} pictures" for split, name, n, published in rows if n < published]
        if self.missing:
            found.append(f"{len(self.missing)} files are named but missing, such as {self.missing[0]}")
        if len(self.unreadable):
            found.append(f"{len(self.unreadable)} pictures cannot be opened, such as {self.unreadable['image'][0]}")
        for column, what in (("splits", "in two splits"), ("classes", "in two classes")):
            twice = [row["images"] for row in self.duplicates.to_dict("records") if len(row[column]) > 1]
            if twice:
                found.append(f"{len(twice)} pictures are {what}, such as {' and '.join(twice[0][:2])}")
        return found


def check_published(form: Published, root: Path, *, progress: Progress = True) -> DatasetCheck:
    """Count the pictures of each split and class, open every one, and find equal files, also across splits."""
    folder = root / form.folder
    if not folder.is_dir():
        raise FileNotFoundError(f"no {printable(folder)}. {form.how_to_get}")
    rows, missing = form.look(folder)
    files = pd.DataFrame(rows, columns=["split", "class", "image"])
    with ThreadPoolExecutor(4) as pool:  # Pillow decodes without Python's lock
        answers = pool.map(_examine, files["image"])
        found = list(each(answers, progress, "images", len(files), desc="opening"))
    files["image"] = files["image"].map(str)
    files[["bytes", "digest", "error"]] = pd.DataFrame(found, columns=["bytes", "digest", "error"], dtype=object)
    unreadable = files.loc[files["error"].notna(), ["image", "error"]].reset_index(drop=True)
    equal = files[files.duplicated("digest", keep=False)].groupby("digest", sort=False)
    duplicates = [(sorted({*same["split"]}), sorted({*same["class"]}), [*same["image"]]) for _, same in equal]
    there = files.groupby(["split", "class"]).size()
    expected = [(split, name, n) for split, classes in form.counts.items() for name, n in classes.items()]
    counts = pd.DataFrame(expected, columns=["split", "class", "published"])
    counts.insert(2, "found", [int(there.get(cell[:2], 0)) for cell in expected])
    equal_files = pd.DataFrame(duplicates, columns=["splits", "classes", "images"])
    return DatasetCheck(folder, counts, missing, unreadable, equal_files, int(files["bytes"].sum()))


def _examine(path: Path) -> tuple[int, str | None, str | None]:
    """Find a picture's size, its digest (None for a file that cannot be read), and why it cannot be opened."""
    content, problem = b"", None
    try:
        content = read_source(path)
        open_image(content, name=describe(path))
    except ImageError as error:
        problem = str(error)
    return len(content), sha256(content).hexdigest() if content else None, problem
