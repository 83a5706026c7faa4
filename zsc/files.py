"""Files, for every room: write one whole or not at all, lock one, fetch one, digest one, show its name.

The transfer is requests'; its retries with growing pauses are urllib3's. What has come stays in `NAME.part`, beside a
note of whose beginning it is, until it is complete and its checksum is right; then it is renamed, last of all. No
message holds a login or a signed URL.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import itertools
import json
import logging
import os
import re
import shutil
import socket
import time
import unicodedata
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import requests
from filelock import FileLock, SoftFileLock, Timeout
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from tqdm.auto import tqdm
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url
from urllib3.util.retry import Retry
from urllib3.util.url import Url

_log = logging.getLogger("zsc")
CHUNK = 1 << 16
RESERVE = 64 * 2**20  # bytes that stay free
LOOK = 8 * 2**20  # the disk is looked at again whenever so many bytes have been written
LIMIT = 32 * 2**30  # no published file is larger: a body without an end is not what was asked for
FULL = (errno.ENOSPC, errno.EDQUOT)
TEMPORARY = re.compile(r"\..*\.(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-\d+\.zsc-tmp", re.DOTALL)
_WEEK = 7 * 86_400
_COUNTER = itertools.count()
_SWEPT: set[Path] = set()  # folders, once a process
_RETRY = Retry(  # of answers that ask to come again; what breaks off is taken up below, where it broke
    total=4,
    connect=0,
    read=0,
    other=0,
    backoff_factor=0.5,
    status_forcelist=(500, 502, 503, 504),
    raise_on_status=False,
    respect_retry_after_header=False,
)


class DownloadError(OSError):
    """A file that could not be fetched whole; the message names the URL, the file and its folder."""


def write_whole(path: str | Path, content: bytes | str | Callable[[BinaryIO], object]) -> Path:
    """Write a file whole or not at all: an old file stays as it was until its successor is on the disk.

    Parameters
    ----------
    path
        The file; a link is followed. What is no regular file, such as ``/dev/stdout``, is written to directly.
    content
        Bytes; a text, which becomes UTF-8; or a function that writes to the open binary file it is given.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ValueError
        If a text cannot be written as UTF-8; nothing was opened then.
    OSError
        If the folder is missing, read-only or full; nothing of the new file stays, and the message names the file.
    """
    path = Path(path)
    data = _encoded(path, content) if isinstance(content, str) else content
    target = _target(path)
    temporary = _beside(target, f".{_HOST}-{os.getpid()}-{next(_COUNTER)}.zsc-tmp")
    try:
        if path.exists() and (not path.is_file() or os.path.abspath(path).startswith(_STREAMS)):
            with path.open("ab") as file:  # what a shell has redirected may hold text already
                _put(file, data)
            return path
        _sweep_once(target.parent)
        with temporary.open("xb") as file:
            if target.exists():
                _take_rights(target, temporary)
            _put(file, data)
        _sync(temporary)
        temporary.replace(target)
        _sync(target.parent)
    except OSError as error:
        raise _told(error, path, (temporary, target)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return path


def sweep(folder: str | Path) -> list[Path]:
    """Remove the temporary files that killed runs of `write_whole` left in a folder; those of live ones stay.

    A file counts as dead if its process on this machine is gone, or if nobody has written to it for a week.
    """
    dead = []
    for path in sorted(Path(folder).glob(".*.zsc-tmp")):
        named = TEMPORARY.fullmatch(path.name)
        with contextlib.suppress(OSError):
            if named and _is_dead(named["host"], int(named["pid"]), path.lstat().st_mtime):
                path.unlink()
                dead.append(path)
    return dead


@contextmanager
def locked(path: str | Path, *, report: Callable[[str], object] | None = None, patience: float = 2.0) -> Iterator[None]:
    """Hold the lock of a file or folder, so that one process at a time makes it.

    Parameters
    ----------
    path
        What is guarded; a link is followed. The lock is ``.NAME.lock`` beside it while somebody holds it, with rights
        that let every user of the folder take it.
    report
        Called with one line if another process holds the lock for longer than `patience`; None logs it as a warning,
        which reaches standard error where logging was not set up.
    patience
        Seconds of silence.

    Raises
    ------
    OSError
        If there can be no lock, since the folder is missing or cannot be written to; the message names what is guarded.
    """
    path = Path(os.path.realpath(path))
    lock = FileLock(_beside(path, ".lock"), mode=0o666)
    try:
        path.parent.stat()  # the lock would make the folder
        _acquire(lock, path, report or _log.warning, patience)
    except OSError as error:
        raise _told(error, path, (Path(lock.lock_file), path.parent)) from error
    try:
        yield
    finally:
        if not isinstance(lock, SoftFileLock):
            with contextlib.suppress(OSError):  # whoever waits for it sees that it is gone, and makes the next
                Path(lock.lock_file).unlink()
        lock.release()


def _acquire(lock: Any, path: Path, report: Callable[[str], object], patience: float) -> None:
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        report(f"another process is making {printable(path)}; waiting for it (its lock: {printable(lock.lock_file)}).")
        lock.acquire()


def expanded(path: str | Path) -> Path:
    """Put the home directory in place of `~`; without one the path stays as it is, that of a file that is not there."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  (pathlib's raises)


def printable(text: object) -> str:
    r"""Show a text that came from outside: control characters and bytes that are no UTF-8 become escapes.

    Examples
    --------
    >>> printable("caf\udce9\x1b[31m.png")
    'caf\\xe9\\x1b[31m.png'
    """
    text = str(text)
    return text if text.isprintable() else "".join(_escape(c) if _needs_escape(c) else c for c in text)


def _needs_escape(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in _DIRECTION


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else ascii(character)[1:-1]


_DIRECTION = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # these turn a line around
_STREAMS = ("/dev/std", "/dev/fd/", "/proc/")
_ADVICE = {
    **dict.fromkeys(FULL, "make room, or choose another folder"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "choose a place that you may write to"),
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR), "make its folder first, or name another"),
    errno.EISDIR: "it is a folder: name a file in it",
    errno.ENAMETOOLONG: "choose a shorter name",
}


def _machine() -> str:
    """Name what process numbers belong to: this machine since its start, and this container."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:8]


_HOST = _machine()


def _beside(path: Path, ending: str) -> Path:
    """Name a hidden file beside another; names have at most 255 bytes."""
    return path.with_name(f".{path.name.encode(errors='ignore')[:150].decode(errors='ignore')}{ending}")


def _target(path: Path) -> Path:
    """Follow links to where the bytes shall lie."""
    try:
        target = Path(os.path.realpath(path))
        os.lstat(target)
    except FileNotFoundError:
        return target
    except ValueError:
        raise ValueError(f"{printable(path)!r} cannot be the name of a file; choose another.") from None
    except OSError as error:
        raise _told(error, path, (target,)) from error
    if target.is_dir():
        raise IsADirectoryError(f"{printable(path)} is a folder; name a file in it.")
    return target


def _take_rights(old: Path, new: Path) -> None:
    """Refuse to replace a file that is write-protected; give its successor the same rights before anything is in it."""
    if not os.access(old, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(old))
    shutil.copymode(old, new)


def _sweep_once(folder: Path) -> None:
    if folder not in _SWEPT:
        _SWEPT.add(folder)
        sweep(folder)


def _told(error: OSError, path: Path, ours: tuple[Path, ...]) -> OSError:
    """Say which file could not be written, why, and what to do; an error that is not about our file stays as it is."""
    name = error.filename
    about_us = not isinstance(name, str | bytes | os.PathLike) or Path(os.fsdecode(name)) in (path, *ours)
    if error.strerror is None or not about_us or isinstance(error, BrokenPipeError):
        return error
    kind = type(error) if type(error).__module__ == "builtins" else OSError
    advice = _ADVICE.get(error.errno or 0, "choose another folder")
    told = kind(f"{printable(path)} could not be written ({error.strerror}); {advice}.")
    told.errno = error.errno
    return told


def _encoded(path: Path, text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        piece = printable(text[max(0, error.start - 20) : error.end + 20])
        raise ValueError(f"{printable(path)}: cannot be written as UTF-8 (near {piece!r}); mend that text.") from error


def _put(file: BinaryIO, data: bytes | Callable[[BinaryIO], object]) -> None:
    if callable(data):
        data(file)
    else:
        file.write(data)


def _sync(path: Path) -> None:
    """Let the disk have a file, or the names in a folder; a system that cannot do so for folders goes without."""
    is_folder = path.is_dir()
    try:
        descriptor = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError:
        if not is_folder:
            raise


def _is_dead(machine: str, pid: int, changed: float) -> bool:
    if time.time() - changed > _WEEK:
        return True
    if machine != _HOST or os.name != "posix":  # elsewhere than on POSIX, os.kill ends a process
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:
        return False
    return False


def fetch(
    url: str,
    path: Path,
    *,
    checksum: str | None = None,
    auth: AuthBase | None = None,
    timeout: tuple[float, float] = (3.05, 20.0),
    progress: bool = True,
    attempts: int = 4,
    limit: int = LIMIT,
    report: Callable[[str], object] | None = None,
    keep_note: bool = False,
) -> Path:
    """Fetch a URL into a file, going on from an earlier try of the same file where there is one.

    Parameters
    ----------
    url
        An http or https address.
    path
        Where the file shall lie; its folder is made. One process at a time fetches it.
    checksum
        What was published, as "sha256:..." or "md5:..." in hexadecimal; None where nothing was.
    auth
        A login, sent to the address itself and not to where it redirects.
    timeout
        Seconds to wait for the connection, and seconds of silence after which it is given up.
    progress
        Show a bar with size and rate.
    attempts
        How often a connection that broke off is taken up again.
    limit
        A body of more bytes than this is not what was asked for, and is not kept.
    report
        Told if another process is fetching the file; see `locked`.
    keep_note
        Leave a note beside the file of what it is, so that another call asks whether it has changed instead of fetching
        it again; `forget` removes both.

    Returns
    -------
    Path
        `path`, complete.

    Raises
    ------
    DownloadError
        If the file could not be fetched whole. What has come stays in ``NAME.part``, and the next call goes on there,
        provided that the server or `checksum` can tell that it is still the same file.
    """
    path = Path(path)
    part = _Part(path.with_name(path.name + ".part"), url, checksum)
    where = f"{shown(url)} (for {printable(path.name)} in {printable(path.parent)})"
    if _parsed(url) is None:
        raise DownloadError(f"{where}: no address to fetch from; give one such as https://host/{path.name}.")
    if path.is_dir():
        raise DownloadError(f"{where}: there is a folder of that name; move it away, or choose another place.")
    was_there = path.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path, report=report), _session(auth) as session:
            if path.exists() and (_is_right(path, checksum) if checksum else not was_there):
                return path  # fetched by another process meanwhile
            _get_whole(_Transfer(session, part, timeout, progress, limit), path, where, attempts)
            part.drop(keep_note=keep_note)
            return path
    except DownloadError:
        raise
    except OSError as error:
        if error.errno in FULL:
            raise _disk_full(part) from error
        told = _told(error, part.path, (path, part.path, part.note, *path.parents))
        raise DownloadError(f"{where}: {told}") from error


def _get_whole(transfer: _Transfer, path: Path, where: str, attempts: int) -> None:
    part = transfer.part
    if path.exists() and part.known().get("validator"):  # fetched before: what it is can be asked
        path.replace(part.path)
    went_on = part.path.exists()
    for _ in range(2 if went_on else 1):  # an old beginning may have been another file's: then once more from the start
        _try_often(transfer, where, attempts)
        found = part.unpacked(where)
        if part.checksum is None or _is_right(found, part.checksum):
            found.replace(path)
            return
        digest = digest_of(found, part.checksum.partition(":")[0])
        part.drop()
    algorithm, _, expected = str(part.checksum).partition(":")
    raise DownloadError(
        f"{where}: arrived with {algorithm} {digest}, expected {expected}; it was thrown away, try again."
    )


def _try_often(transfer: _Transfer, where: str, attempts: int) -> None:
    for attempt in range(1, attempts + 1):
        try:
            transfer.run()
            return
        except requests.RequestException as error:
            if attempt == attempts or not _worth_another_try(error):
                raise DownloadError(f"{where}: could not be fetched ({reason(error)}).") from None
            time.sleep(_RETRY.backoff_factor * attempt)
        except (ValueError, UnicodeError, HTTPError) as error:  # a login or header that makes no sense
            raise DownloadError(f"{where}: could not be fetched ({type(error).__name__}).") from None


@dataclass(frozen=True)
class _Part:
    """What has come of a file, `NAME.part`; and of which file it is the beginning, `NAME.part.json`."""

    path: Path
    url: str
    checksum: str | None

    @property
    def note(self) -> Path:
        return self.path.with_name(self.path.name + ".json")

    def known(self) -> dict[str, Any]:
        """Read the note; empty if there is none for this address, or none that can be read."""
        try:
            known = json.loads(self.note.read_bytes())
            return known if (known["format"], known["url"]) == (1, self._url_digest) else {}
        except (OSError, ValueError, TypeError, KeyError):
            return {}

    def begin(self, reply: requests.Response, total: int | None, encoding: str) -> None:
        """Throw away what was here, and note of which file the next bytes are the beginning."""
        self.drop()
        known = {"format": 1, "url": self._url_digest, "validator": _validator(reply), "total": total}
        write_whole(self.note, json.dumps(known | {"encoding": encoding}))

    def have(self) -> int:
        """Count the bytes that can be gone on from: the server or the checksum must be able to tell a changed file."""
        if self.path.exists() and not (self.checksum or self.known().get("validator")):
            self.drop()
        return self.path.stat().st_size if self.path.exists() else 0

    def drop(self, *, keep_note: bool = False) -> None:
        self.path.unlink(missing_ok=True)
        if not keep_note:
            self.note.unlink(missing_ok=True)

    def unpacked(self, where: str) -> Path:
        """Undo a server's compression that was not asked for; a file that is an archive itself stays as it is."""
        right = self.checksum is not None and _is_right(self.path, self.checksum)
        if not self.known().get("encoding") or right or self.path.stem.endswith((".gz", ".tgz")):
            return self.path
        plain = self.path.with_name(self.path.name + "-plain")
        try:
            with gzip.open(self.path) as packed, plain.open("wb") as file:
                sum(_pour(iter(lambda: packed.read(CHUNK), b""), file, self))
        except (gzip.BadGzipFile, EOFError, zlib.error):
            plain.unlink(missing_ok=True)
            self.drop()
            raise DownloadError(f"{where}: arrived compressed, and damaged; it was thrown away, try again.") from None
        return plain.replace(self.path)

    @property
    def _url_digest(self) -> str:
        return hashlib.sha256(self.url.encode(errors="replace")).hexdigest()  # the address may hold a login


def forget(path: Path) -> None:
    """Remove a fetched file, and the note of what it is that `fetch` may have left beside it."""
    path.unlink(missing_ok=True)
    _Part(path.with_name(path.name + ".part"), "", None).drop()


@dataclass(frozen=True)
class _Transfer:
    """One file on its way."""

    session: requests.Session
    part: _Part
    timeout: tuple[float, float]
    progress: bool
    limit: int

    def run(self) -> None:
        """Ask for what is missing, and write it down as it comes."""
        have, known = self.part.have(), self.part.known()
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            headers |= {"If-Range": known["validator"]} if known.get("validator") else {}
        with self.session.get(self.part.url, headers=headers, stream=True, timeout=self.timeout) as reply:
            if not (have and _is_another(reply, have, known)):
                self._receive(reply, have)
                return
        self.part.drop()
        self.run()

    def _receive(self, reply: requests.Response, have: int) -> None:
        if have and reply.status_code == requests.codes.requested_range_not_satisfiable:
            return  # nothing is missing
        reply.raise_for_status()
        start = have if reply.status_code == requests.codes.partial_content else 0
        if reply.status_code == requests.codes.partial_content and not _starts_at(reply, have):
            raise _BrokenOffError("the server sent another part than was asked for")
        encoding = reply.raw.headers.pop("Content-Encoding", "").strip().lower()  # so that the bytes stay as they come
        rest = int(reply.headers.get("Content-Length", 0))
        self._refuse(start + rest, rest, encoding)
        if not start:
            self.part.begin(reply, rest or None, encoding)
        self._write(reply, start, rest)

    def _refuse(self, total: int, rest: int, encoding: str) -> None:
        name = self.part.path.stem
        if encoding not in ("", "identity", "gzip", "x-gzip"):
            raise DownloadError(f"{shown(self.part.url)}: the server sent {name} packed as {printable(encoding)}, "
                                "which was not asked for and cannot be read here; use another source.")  # fmt: skip
        if total > self.limit:
            raise DownloadError(f"{shown(self.part.url)}: {name} would have {total / 1e9:.1f} GB, more than the "
                                f"{self.limit / 1e9:.1f} GB that it can have; it is another file.")  # fmt: skip
        refuse_full_disk(self.part.path.parent, rest, f"{name} needs another")

    def _write(self, reply: requests.Response, start: int, rest: int) -> None:
        total = start + rest if rest else None
        path = self.part.path
        bar = tqdm(total=total, initial=start, unit="B", unit_scale=True, disable=not self.progress, desc=path.stem)
        with bar, path.open("ab") as file:
            for size in _pour(reply.iter_content(CHUNK), file, self.part, self.limit - start):
                bar.update(size)
        if total and path.stat().st_size != total:
            raise _BrokenOffError(f"broke off at {path.stat().st_size} of {total} bytes")


def _pour(blocks: Iterable[bytes], file: BinaryIO, part: _Part, limit: int = LIMIT) -> Iterator[int]:
    """Write blocks to a file, and look at the disk and at the limit as they come; give each block's size."""
    written = looked = 0
    for block in blocks:
        file.write(block)
        written += len(block)
        if written > limit:
            part.drop()
            raise DownloadError(
                f"{shown(part.url)}: {part.path.stem} had no end after {written:,} bytes; it is no such file, and what "
                f"had come, {printable(part.path)}, was removed."
            )
        if written - looked >= LOOK:
            looked = written
            if shutil.disk_usage(part.path.parent).free < RESERVE:
                raise _disk_full(part)
        yield len(block)


def _disk_full(part: _Part) -> DownloadError:
    """Say that the disk is full; what has come of a file of unknown length goes, since it may never fit."""
    keep = part.path.exists() and part.known().get("total") and part.have()
    if not keep:
        part.drop()
    error = DownloadError(
        f"the disk of {printable(part.path.parent)} is full; make room and run it again, "
        + (f"it goes on from {part.path.name} there." if keep else f"{part.path.name} there was removed.")
    )
    error.errno = errno.ENOSPC
    return error


def refuse_full_disk(folder: Path, size: int, what: str) -> None:
    """Refuse to write where less than `RESERVE` would stay free.

    Raises
    ------
    OSError
        With both sizes.
    """
    free = shutil.disk_usage(folder).free
    if size + RESERVE > free:
        raise OSError(
            f"{what} {size / 1e9:.2f} GB, and {printable(folder)} has {free / 1e9:.2f} GB free; make room, or choose "
            "another folder."
        )


def _is_another(reply: requests.Response, have: int, known: dict[str, Any]) -> bool:
    """Tell whether an answer to a question for the rest is about another file than the one begun."""
    total = reply.headers.get("Content-Range", "").rpartition("/")[2]
    if reply.status_code == requests.codes.requested_range_not_satisfiable:
        if total != str(have):
            return True
    elif reply.status_code != requests.codes.partial_content:
        return False
    pairs = (known.get("validator"), _validator(reply)), (known.get("total"), int(total) if total.isdigit() else None)
    return any(old and new and old != new for old, new in pairs)


def _starts_at(reply: requests.Response, place: int) -> bool:
    return bool(place) and reply.headers.get("Content-Range", "").startswith(f"bytes {place}-")


def _validator(reply: requests.Response) -> str:
    """Give what tells one state of a file on its server from another: the strong ETag, or when it was changed."""
    etag = str(reply.headers.get("ETag", ""))
    return etag if etag.startswith('"') else str(reply.headers.get("Last-Modified", ""))


def digest_of(path: Path, algorithm: str = "sha256") -> str:
    """Compute the checksum of a file, in hexadecimal."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _is_right(path: Path, checksum: str) -> bool:
    algorithm, _, expected = checksum.partition(":")
    return digest_of(path, algorithm) == expected.lower()


def shown(url: str) -> str:
    """Give an address as it may be shown: without a login, and without what may be a signature."""
    parts = _parsed(url)
    if parts is None:
        return printable(str(url).partition("?")[0].rpartition("@")[2])[:100]
    return printable(Url(parts.scheme, None, parts.host, parts.port, parts.path).url)


def _parsed(url: str) -> Url | None:
    """Take an address apart as the library does that will use it; None if it is none of the web."""
    try:
        parts = parse_url(url)
    except (HTTPError, ValueError, TypeError, AttributeError):
        return None
    return parts if parts.scheme in ("http", "https") and parts.host else None


def reason(error: requests.RequestException) -> str:
    """Say in a few words why a transfer failed; never with an address, which may be signed."""
    if isinstance(error, requests.HTTPError):
        return f"HTTP {error.response.status_code}"
    if isinstance(error, requests.Timeout) or "timed out" in str(error).lower():
        return "timed out"
    if isinstance(error, _BrokenOffError):
        return str(error)
    if isinstance(error, ValueError):
        return "the address makes no sense"
    if not _was_connected(error):
        return "no network, or the host cannot be reached"
    return f"the connection broke off, {type(error).__name__}"


@contextmanager
def _unlogged() -> Iterator[None]:
    """Keep urllib3 from logging addresses, which may be signed."""

    def nothing(record: logging.LogRecord) -> bool:
        return False

    logger = logging.getLogger("urllib3.connectionpool")
    logger.addFilter(nothing)
    try:
        yield
    finally:
        logger.removeFilter(nothing)


@contextmanager
def _session(auth: AuthBase | None) -> Iterator[requests.Session]:
    with requests.Session() as session, _unlogged():
        session.auth = auth
        session.mount("http://", HTTPAdapter(max_retries=_RETRY))
        session.mount("https://", HTTPAdapter(max_retries=_RETRY))
        yield session


class _BrokenOffError(requests.ConnectionError):
    """A transfer that ended before the file did."""


def _was_connected(error: requests.RequestException) -> bool:
    text = str(error).lower()
    return not any(sign in text for sign in ("failed to resolve", "failed to establish", "proxyerror", "unreachable"))


def _worth_another_try(error: requests.RequestException) -> bool:
    """Tell a connection that broke off from an answer that would come again."""
    if isinstance(error, requests.HTTPError | requests.Timeout | requests.exceptions.InvalidURL | ValueError):
        return False
    return _was_connected(error)
