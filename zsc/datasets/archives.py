"""Unpack an archive into a data set's folder: checked first, in a folder of its own, put in place by one rename.

Whatever goes wrong, the data set's folder is either complete or not there.
"""

from __future__ import annotations

import errno
import gzip
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from zsc.files import printable, refuse_full_disk
from zsc.progress import Progress, each

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO)
_NAME = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.EISDIR, errno.ENOTDIR, errno.EEXIST)
_FILTER: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # 3.14's default, had early


class ArchiveError(ValueError):
    """An archive that is damaged, dangerous, or holds something else; nothing of it stays."""


class _Member(NamedTuple):
    name: str
    size: int
    is_plain: bool  # a file or a folder
    entry: Any


def unpack(
    archive: Path, folder: Path, marker: str, *, check: Callable[[Path], None], progress: Progress = True
) -> Path:
    """Unpack a zip, or a tar of any compression: the highest folder in it that holds `marker` becomes `folder`.

    `check` is called with that before, and raises where the data set is not complete; ArchiveError says what is wrong.
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
        found = [p.parent for p in staging.rglob(marker) if "__MACOSX" not in p.parts]
        if not found:
            raise ArchiveError(f"{archive.name}: holds no folder with {marker} in it; it is another archive.")
        inside = min(found, key=lambda p: (len(p.parts), str(p)))  # the highest
        check(inside)
        inside.chmod(0o755)  # mkdtemp's own is for its owner alone
        inside.rename(folder)
        return folder
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@contextmanager
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
