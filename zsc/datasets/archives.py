"""Unpack an archive into a data set's folder: checked first, in a folder of its own, put in place by one rename.

Whatever goes wrong, the data set's folder is either complete or not there.
"""

from __future__ import annotations

import errno
import gzip
import lzma
import os
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from tqdm.auto import tqdm

from zsc.files import printable, refuse_full_disk

_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    lzma.LZMAError,
    EOFError,
    zlib.error,
    OSError,
    RuntimeError,
    ValueError,
)
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO)
_NAME = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.EISDIR, errno.ENOTDIR, errno.EEXIST)
_LONGEST = 255  # bytes in a file's name, on every usual disk
_FILTER: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # 3.14's default, had early


class ArchiveError(ValueError):
    """An archive that is damaged, dangerous, or holds something else; nothing of it stays."""


class _Member(NamedTuple):
    name: str
    size: int
    is_file: bool
    is_folder: bool


def unpack(archive: Path, folder: Path, marker: str, *, check: Callable[[Path], None], progress: bool = True) -> Path:
    """Unpack an archive so that `folder` is the folder in it that holds `marker`.

    Parameters
    ----------
    archive
        A zip, or a tar with or without compression.
    folder
        Where the data set shall be; must not exist yet.
    marker
        Name of a file or folder that tells the data set's own folder, however deep the archive has it.
    check
        Called with the unpacked folder before it is put in place; raises where the data set is not complete.
    progress
        Show a bar.

    Returns
    -------
    Path
        `folder`.

    Raises
    ------
    ArchiveError
        If the archive cannot be read whole, has members that would leave the folder, or holds no such data set.
    OSError
        If the disk is full.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    members = _checked_members(archive)
    refuse_full_disk(folder.parent, sum(m.size for m in members), f"{archive.name} unpacks to")
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.unpacking-", dir=folder.parent))
    try:
        _extract(archive, staging, progress)
        _compare(archive, staging, members)
        inside = _find(staging, marker)
        if inside is None:
            raise ArchiveError(f"{archive.name}: holds no folder with {marker} in it; it is another archive.")
        check(inside)
        inside.chmod(0o755)  # mkdtemp's own is for its owner alone
        inside.rename(folder)
        return folder
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def is_archive(path: Path) -> bool:
    """Tell whether a file begins and ends like a zip, or begins like a tar."""
    return zipfile.is_zipfile(path) or tarfile.is_tarfile(path)


def _checked_members(archive: Path) -> list[_Member]:
    """List the members of an archive, refusing those that could write outside of the folder."""
    if not archive.is_file():
        raise ArchiveError(f"{printable(archive)}: no such file; pass the archive that you fetched.")
    try:
        if not is_archive(archive):
            raise ArchiveError(
                f"{printable(archive)}: no archive, or cut short ({archive.stat().st_size:,} bytes); fetch it again."
            )
        members = list(_members(archive))
    except ArchiveError:
        raise
    except _DAMAGED as error:
        raise _unreadable(archive, error) from error
    for member in members:
        fault = _fault(member)
        if fault:
            raise ArchiveError(f"{printable(archive)}: refused, its member {_short(member.name)} {fault}.")
    return members


def _fault(member: _Member) -> str:
    """Say why a member is not unpacked; empty where nothing speaks against it."""
    path = PurePosixPath(member.name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        return "would leave the folder"
    if ":" in member.name:
        return "has a colon, which names a drive on Windows and would leave the folder there"
    if "\0" in member.name:
        return "has a NUL in its name, which no file can have"
    if any(len(os.fsencode(part)) > _LONGEST for part in path.parts):
        return f"has a name of more than {_LONGEST} bytes, which no file can have"
    return "" if member.is_file or member.is_folder else "is a link or a device"


def _short(name: str) -> str:
    return repr(name if len(name) <= 100 else f"{name[:60]}...{name[-30:]}")


def _unreadable(archive: Path, error: Exception) -> ArchiveError:
    """Say what is wrong with an archive that Python's own modules do not read."""
    if "encrypted" in str(error) or "password" in str(error):
        return ArchiveError(f"{printable(archive)}: encrypted, which the published archive is not; fetch that one.")
    if isinstance(error, NotImplementedError):
        return ArchiveError(
            f"{printable(archive)}: packed in a way that Python does not know ({error}); fetch the published archive, "
            "or unpack it with another program."
        )
    return ArchiveError(f"{printable(archive)}: damaged or cut short ({error}); fetch it again.")


def _members(archive: Path) -> Iterator[_Member]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                kind = (info.external_attr >> 28) & 0xF  # the upper bits of the Unix mode: 0xA is a link
                plain = kind in (0, 4, 8)
                yield _Member(info.filename or ".", info.file_size, plain and not info.is_dir(), info.is_dir())
        return
    with tarfile.open(archive) as opened_tar:
        for member in opened_tar:
            yield _Member(member.name or ".", member.size, member.isreg(), member.isdir())


def _extract(archive: Path, staging: Path, progress: bool) -> None:
    name = ""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                for info in tqdm(opened.infolist(), desc="unpacking", unit="files", disable=not progress):
                    name = info.filename
                    opened.extract(info, staging)  # checks each file's CRC
            return
        with tarfile.open(archive) as opened_tar:
            for member in tqdm(opened_tar, desc="unpacking", unit="files", disable=not progress):
                name = member.name
                opened_tar.extract(member, staging, set_attrs=False, **_FILTER)
    except _DAMAGED as error:
        if isinstance(error, OSError) and error.errno in _DISK:  # not the archive's fault
            raise
        if isinstance(error, OSError) and error.errno in _NAME:
            raise ArchiveError(
                f"{printable(archive)}: refused, its member {_short(name)} has a name that cannot be used here "
                f"({error.strerror}): too long for this disk, or twice in the archive."
            ) from error
        raise _unreadable(archive, error) from error


def _compare(archive: Path, staging: Path, members: list[_Member]) -> None:
    """Refuse an archive of which not every file came out at its size, or whose compressed stream does not end well."""
    for member in {m.name: m for m in members}.values():  # of two of one name, the last one stays
        file = staging / member.name
        if member.is_file and (not file.is_file() or file.stat().st_size != member.size):
            raise ArchiveError(
                f"{printable(archive)}: damaged, {_short(member.name)} did not come out whole; fetch it again."
            )
    if archive.suffix in (".tgz", ".gz"):
        try:
            with gzip.open(archive) as stream:
                while stream.read(1 << 20):  # to the end, where gzip keeps its checksum
                    pass
        except _DAMAGED as error:
            raise _unreadable(archive, error) from error


def _find(staging: Path, marker: str) -> Path | None:
    """Find the highest folder that holds `marker`."""
    found = [p.parent for p in staging.rglob(marker) if "__MACOSX" not in p.parts]
    return min(found, key=lambda p: (len(p.parts), str(p)), default=None)
