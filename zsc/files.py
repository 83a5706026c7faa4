"""Files, for every room: write one whole or not at all, lock one, fetch one, digest one, show its name.

What has come of a file that is fetched stays in `NAME.part`, beside a note of which file it is the beginning of, until
it is complete and its checksum is right; it gets its name last of all. No message holds a login or a signed URL.
"""

from __future__ import annotations

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
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import requests
from filelock import FileLock, SoftFileLock, Timeout
from requests.auth import AuthBase
from tqdm.auto import tqdm
from urllib3 import exceptions as urllib3_errors
from urllib3.util import parse_url
from urllib3.util.url import Url

_log = logging.getLogger("zsc")
RESERVE = 64 * 2**20  # bytes that stay free
LOOK = 8 * 2**20  # free space is looked at again whenever so many bytes have been written
LIMIT = 32 * 2**30  # no published file is larger: a body without an end is not what was asked for
PAUSE = 0.5  # seconds before a second attempt, twice as many before each further one
FULL = (errno.ENOSPC, errno.EDQUOT)
TEMPORARY = re.compile(r"\..*\.(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-\d+\.zsc-tmp", re.DOTALL)
CHUNK = 1 << 16
_WEEK = 7 * 86_400
_COUNTER = itertools.count()
_SWEPT: set[Path] = set()  # folders, once per process
_STREAMS = ("/dev/std", "/dev/fd/", "/proc/")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069]")
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
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:8]


_HOST = _machine()


class DownloadError(OSError):
    """A file that could not be fetched whole; the message names the URL, the file and its folder."""


def write_whole(path: str | Path, content: bytes | str | Callable[[BinaryIO], object]) -> Path:
    """Write a file whole or not at all: an old file stays as it was until its successor is on the disk.

    `content` is bytes; a text, which becomes UTF-8; or a function that writes to the open binary file it is given. A
    link is followed; what is no regular file, such as ``/dev/stdout``, is written to directly.

    ValueError says that a text cannot be UTF-8, before anything is opened. OSError names the file and says why it could
    not be written; nothing of it stays then.
    """
    path = Path(path)
    data = _encoded(path, content) if isinstance(content, str) else content
    put = data if callable(data) else lambda file: file.write(data)
    target = _target(path)
    temporary = _beside(target, f".{_HOST}-{os.getpid()}-{next(_COUNTER)}.zsc-tmp")
    try:
        if path.exists() and (not path.is_file() or os.path.abspath(path).startswith(_STREAMS)):
            with path.open("ab") as file:  # what a shell has redirected may hold text already
                put(file)
            return path
        if target.parent not in _SWEPT:
            _SWEPT.add(target.parent)
            sweep(target.parent)
        with temporary.open("xb") as file:
            if target.exists():
                if not os.access(target, os.W_OK):  # replacing it would not ask
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))
                shutil.copymode(target, temporary)  # before anything is in it
            put(file)
        _sync(temporary)
        temporary.replace(target)
        _sync(target.parent)
    except OSError as error:
        raise _told(error, path, temporary, target) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    return path


def _encoded(path: Path, text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        piece = printable(text[max(0, error.start - 20) : error.end + 20])
        raise ValueError(f"{printable(path)}: cannot be written as UTF-8 (near {piece!r}); mend that text.") from error


def _target(path: Path) -> Path:
    """Follow links to where the bytes shall lie."""
    target = path
    try:
        target = Path(os.path.realpath(path))
        is_folder = os.path.lexists(target) and os.lstat(target) and target.is_dir()
    except ValueError:
        raise ValueError(f"{printable(path)!r} cannot be the name of a file; choose another.") from None
    except OSError as error:
        raise _told(error, path, target) from error
    if is_folder:
        raise IsADirectoryError(f"{printable(path)} is a folder; name a file in it.")
    return target


def _beside(path: Path, ending: str) -> Path:
    """Name a hidden file beside another; names have at most 255 bytes."""
    return path.with_name(f".{path.name.encode(errors='ignore')[:150].decode(errors='ignore')}{ending}")


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


def _told(error: OSError, path: Path, *ours: Path) -> OSError:
    """Say which file could not be written, why, and what to do; an error that is not about our file stays as it is."""
    name = error.filename
    is_ours = not isinstance(name, str | bytes | os.PathLike) or Path(os.fsdecode(name)) in (path, *ours)
    if error.strerror is None or not is_ours or isinstance(error, BrokenPipeError):
        return error
    advice = _ADVICE.get(error.errno or 0, "choose another folder")
    told = type(error)(f"{printable(path)} could not be written ({error.strerror}); {advice}.")
    told.errno = error.errno
    return told


def sweep(folder: str | Path) -> list[Path]:
    """Remove the temporary files that killed runs of `write_whole` left in a folder; those of live ones stay.

    A file counts as dead if its process on this machine is gone, or if nobody has written to it for a week.
    """
    dead = []
    for path in sorted(Path(folder).glob(".*.zsc-tmp")):
        named = TEMPORARY.fullmatch(path.name)
        with suppress(OSError):
            if named and _is_dead(named["host"], int(named["pid"]), path.lstat().st_mtime):
                path.unlink()
                dead.append(path)
    return dead


def _is_dead(machine: str, pid: int, changed: float) -> bool:
    if time.time() - changed > _WEEK:
        return True
    if machine == _HOST and os.name == "posix":  # elsewhere than on POSIX, os.kill ends a process
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, OverflowError):
            return True
        except OSError:
            pass
    return False


@contextmanager
def locked(path: str | Path, *, report: Callable[[str], object] | None = None, patience: float = 2.0) -> Iterator[None]:
    """Hold the lock of a file or folder, so that one process at a time makes it.

    The lock is ``.NAME.lock`` beside it while somebody holds it, with rights that let every user of the folder take it.
    `report` is called with one line if another process holds it for more than `patience` seconds; None logs a warning.
    OSError says that there can be no lock, since the folder is missing or cannot be written to.
    """
    path = Path(os.path.realpath(path))
    lock = FileLock(_beside(path, ".lock"), mode=0o666)
    place = Path(lock.lock_file)
    try:
        path.parent.stat()  # the lock would make the folder
        try:
            lock.acquire(timeout=patience)
        except Timeout:
            tell = report or _log.warning
            tell(f"another process is making {printable(path)}; waiting for it (its lock: {printable(place)}).")
            lock.acquire()
    except OSError as error:
        raise _told(error, path, place, path.parent) from error
    try:
        yield
    finally:
        if not isinstance(lock, SoftFileLock):
            with suppress(OSError):  # whoever waits for it sees that it is gone, and makes the next
                place.unlink()
        lock.release()


def digest_of(path: Path, algorithm: str = "sha256") -> str:
    """Compute the checksum of a file, in hexadecimal."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def expanded(path: str | Path) -> Path:
    """Put the home directory in place of `~`; without one the path stays as it is, that of a file that is not there."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  (pathlib's raises)


def printable(text: object) -> str:
    r"""Show a text that came from outside: control characters and bytes that are not UTF-8 become escapes.

    Examples
    --------
    >>> printable("caf\udce9\x1b[31m.png")
    'caf\\xe9\\x1b[31m.png'
    """
    return _UNPRINTABLE.sub(_escape, str(text))


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else ascii(found[0])[1:-1]


def shown(url: str) -> str:
    """Show an address without a login, and without what may be a signature."""
    parts = _parsed(url)
    if parts is None:
        return printable(str(url).partition("?")[0].rpartition("@")[2])[:100]
    return printable(Url(parts.scheme, None, parts.host, parts.port, parts.path).url)


def _parsed(url: str) -> Url | None:
    """Take an http(s) address apart as the library does that will use it; None if it is something else."""
    try:
        parts = parse_url(url)
    except (urllib3_errors.HTTPError, ValueError, TypeError, AttributeError):
        return None
    return parts if parts.scheme in ("http", "https") and parts.host else None


def reason(error: Exception) -> str:
    """Say in a few words why a transfer failed; never with an address, which may be signed."""
    if isinstance(error, requests.HTTPError):
        return f"HTTP {error.response.status_code}"
    if _is_unreachable(error):
        return "no network, or the host cannot be reached"
    if isinstance(error, requests.Timeout) or isinstance(_cause(error), urllib3_errors.TimeoutError):
        return "timed out"
    if isinstance(error, _BrokenOffError):
        return str(error)
    if isinstance(error, (ValueError, urllib3_errors.HTTPError)):
        return "the address, the login or the server's answer makes no sense"
    return f"the connection broke off, {type(error).__name__}"


def _cause(error: Exception) -> object:
    """Find what requests wrapped: urllib3's error, or the reason of its last attempt."""
    inner = error.args[0] if error.args else None
    return getattr(inner, "reason", inner)


def _is_unreachable(error: Exception) -> bool:
    return isinstance(error, requests.exceptions.ProxyError) or isinstance(
        _cause(error), urllib3_errors.NewConnectionError
    )


class _BrokenOffError(requests.ConnectionError):
    """A transfer that ended before the file did."""


def refuse_full_disk(folder: Path, size: int, what: str) -> None:
    """Refuse to write where less than `RESERVE` would stay free: OSError, with both sizes."""
    free = shutil.disk_usage(folder).free
    if size + RESERVE > free:
        raise OSError(
            f"{what} {size / 1e9:.2f} GB, and {printable(folder)} has {free / 1e9:.2f} GB free; make room, or choose "
            "another folder."
        )


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
    """Fetch an http(s) address into a file, going on from an earlier try of the same file where there is one.

    The folder is made, and one process at a time fetches a file; `report` is told of waiting, as in `locked`.
    `checksum` is what was published, as "sha256:..." or "md5:...". A login, `auth`, goes to the address itself and not
    to where it redirects. `timeout` has the seconds to wait for a connection, and for each further block; a connection
    that breaks off is taken up again, `attempts` times in all; a body of more than `limit` bytes is not kept.
    With `keep_note`, another call asks whether the file has changed instead of fetching it again; see `forget`.

    DownloadError says why a file could not be fetched whole. What has come stays in ``NAME.part``, and the next call
    goes on there, provided that the server or the checksum can tell that it is still the same file.
    """
    transfer = _Transfer(url, Path(path), checksum, limit)
    path = transfer.path
    if _parsed(url) is None:
        raise transfer.error(f"no address to fetch from; give one such as https://host/{printable(path.name)}.")
    if path.is_dir():
        raise transfer.error("there is a folder of that name; move it away, or choose another place.")
    was_there = path.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path, report=report), quiet_session(auth) as session:
            if not path.exists() or (transfer.wrong_digest(path) if checksum else was_there):
                transfer.get_whole(session, attempts, timeout=timeout, progress=progress)
            if not keep_note:
                transfer.note.unlink(missing_ok=True)
    except DownloadError:
        raise
    except OSError as error:
        if error.errno in FULL:
            raise transfer.disk_full() from error
        raise transfer.error(_told(error, transfer.part, path, transfer.note, *path.parents)) from error
    return path


def forget(path: Path) -> None:
    """Remove a fetched file, and the note of what it is that `fetch` may have left beside it."""
    path.unlink(missing_ok=True)
    _Transfer("", path, None, LIMIT).drop()


@contextmanager
def quiet_session(auth: AuthBase | None = None) -> Iterator[requests.Session]:
    """Open a session, and keep urllib3 from logging addresses, which may be signed."""
    logger, silence = logging.getLogger("urllib3.connectionpool"), logging.Filter("zsc")  # only what is called so
    logger.addFilter(silence)
    try:
        with requests.Session() as session:
            session.auth = auth
            yield session
    finally:
        logger.removeFilter(silence)


@dataclass(frozen=True)
class _Transfer:
    """A file on its way: `part` holds what has come of it, and `note` says of which file that is the beginning."""

    url: str
    path: Path
    checksum: str | None
    limit: int

    @property
    def part(self) -> Path:
        return self.path.with_name(f"{self.path.name}.part")

    @property
    def note(self) -> Path:
        return self.path.with_name(f"{self.path.name}.part.json")

    def error(self, words: object) -> DownloadError:
        """Say what went wrong with which file."""
        file = f"{printable(self.path.name)} in {printable(self.path.parent)}"
        return DownloadError(f"{shown(self.url)} (for {file}): {words}")

    def get_whole(self, session: requests.Session, attempts: int, **options: Any) -> None:
        """Fetch what is missing until the checksum is right, and give the file its name."""
        if self.path.exists() and self._known().get("validator"):  # fetched before: what it is can be asked
            self.path.replace(self.part)
        for _ in range(2 if self.part.exists() else 1):  # an old beginning may have been another file's
            self._try_often(session, attempts, options)
            self._unpack()
            wrong = self.wrong_digest(self.part)
            if not wrong:
                self.part.replace(self.path)
                return
            self.drop()
        algorithm, _, expected = str(self.checksum).partition(":")
        raise self.error(f"arrived with {algorithm} {wrong}, expected {expected}; it was thrown away, try again.")

    def wrong_digest(self, path: Path) -> str:
        """Compute the digest of a file that is not the published one; empty where it is, or none was published."""
        algorithm, _, expected = (self.checksum or "").partition(":")
        found = digest_of(path, algorithm) if algorithm else ""
        return "" if found == expected.lower() else found

    def drop(self) -> None:
        self.part.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    def disk_full(self) -> DownloadError:
        """Say that the disk is full; what has come of a file of unknown length goes, since it may never fit."""
        keep = self.part.exists() and self._known().get("total") and (self.checksum or self._known().get("validator"))
        if not keep:
            self.drop()
        then = f"it goes on from {self.part.name} there" if keep else f"{self.part.name} there was removed"
        error = self.error(f"the disk of {printable(self.path.parent)} is full; make room and run it again, {then}.")
        error.errno = errno.ENOSPC
        return error

    def _known(self) -> dict[str, Any]:
        """Read the note; empty if there is none for this address, or none that can be read."""
        try:
            known = json.loads(self.note.read_bytes())
            return known if (known["format"], known["url"]) == (1, self._url_digest) else {}
        except (OSError, ValueError, TypeError, KeyError):
            return {}

    @property
    def _url_digest(self) -> str:
        return hashlib.sha256(self.url.encode(errors="replace")).hexdigest()  # the address may hold a login

    def _try_often(self, session: requests.Session, attempts: int, options: dict[str, Any]) -> None:
        for attempt in range(1, attempts + 1):
            try:
                self._ask(session, **options)
                return
            except (requests.RequestException, ValueError, urllib3_errors.HTTPError) as error:
                if attempt == attempts or not _may_pass(error):
                    raise self.error(f"could not be fetched ({reason(error)}).") from None
                time.sleep(PAUSE * 2 ** (attempt - 1))

    def _ask(self, session: requests.Session, timeout: tuple[float, float], progress: bool) -> None:
        """Ask for what is missing, and write it down as it comes."""
        known = self._known()
        if not (self.checksum or known.get("validator")):  # nothing could tell a changed file
            self.drop()
        have = self.part.stat().st_size if self.part.exists() else 0
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            headers |= {"If-Range": known["validator"]} if known.get("validator") else {}
        with session.get(self.url, headers=headers, stream=True, timeout=timeout) as reply:
            is_past_end = reply.status_code == requests.codes.requested_range_not_satisfiable
            is_rest = reply.status_code == requests.codes.partial_content
            is_same = not have or not (is_past_end or is_rest) or _is_same(reply, have, known)
            if is_same and not (have and is_past_end):
                reply.raise_for_status()
                self._receive(reply, have if is_rest else 0, progress)
        if not is_same:
            self.drop()
            self._ask(session, timeout, progress)

    def _receive(self, reply: requests.Response, start: int, progress: bool) -> None:
        """Write a body behind the `start` bytes that are there; the rest of a file must begin where they end."""
        encoding = reply.raw.headers.pop("Content-Encoding", "").strip().lower()  # so that the bytes stay as they come
        rest = int(reply.headers.get("Content-Length", 0))
        total = start + rest if rest else None
        name = printable(self.path.name)
        if encoding not in ("", "identity", "gzip", "x-gzip"):
            raise self.error(f"the server sent {name} packed as {printable(encoding)}, which was not asked for and "
                             "cannot be read here; use another source.")  # fmt: skip
        if start + rest > self.limit:
            size, most = (start + rest) / 1e9, self.limit / 1e9
            raise self.error(f"{name} would have {size:.1f} GB, more than the {most:.1f} GB that it can have; it is "
                             "another file.")  # fmt: skip
        if start and not reply.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            raise _BrokenOffError("the server sent another part than was asked for")
        refuse_full_disk(self.path.parent, rest, f"{name} needs another")
        if not start:
            self.drop()
            known = {"format": 1, "url": self._url_digest, "validator": _validator(reply), "total": total}
            write_whole(self.note, json.dumps(known | {"encoding": encoding}))
        bar = tqdm(total=total, initial=start, unit="B", unit_scale=True, disable=not progress, desc=name)
        with bar, self.part.open("ab") as file:
            for size in self._pour(reply.iter_content(CHUNK), file, self.limit - start):
                bar.update(size)
        if total and self.part.stat().st_size != total:
            raise _BrokenOffError(f"broke off at {self.part.stat().st_size} of {total} bytes")

    def _pour(self, blocks: Iterable[bytes], file: BinaryIO, limit: int) -> Iterator[int]:
        """Write blocks to a file, with an eye on the limit and on the disk; yield the size of each."""
        written = looked = 0
        for block in blocks:
            file.write(block)
            written += len(block)
            if written > limit:
                self.drop()
                raise self.error(f"had no end after {written:,} bytes; it is another file, and what had come, "
                                 f"{self.part.name}, was removed.")  # fmt: skip
            if written - looked >= LOOK:
                looked = written
                if shutil.disk_usage(self.path.parent).free < RESERVE:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            yield len(block)

    def _unpack(self) -> None:
        """Undo a server's compression that was not asked for; a file that is an archive itself stays as it is."""
        is_packed = self._known().get("encoding") and not self.path.name.endswith((".gz", ".tgz"))
        if is_packed and not (self.checksum and not self.wrong_digest(self.part)):
            try:
                with gzip.open(self.part) as packed:
                    blocks = iter(lambda: packed.read(CHUNK), b"")
                    write_whole(self.part, lambda file: sum(self._pour(blocks, file, self.limit)))
            except (gzip.BadGzipFile, EOFError, zlib.error):
                self.drop()
                raise self.error("arrived compressed, and damaged; it was thrown away, try again.") from None


def _may_pass(error: Exception) -> bool:
    """Tell a connection that broke off, or a server that is busy, from an answer that would come again."""
    if isinstance(error, requests.HTTPError):
        return error.response.status_code in (500, 502, 503, 504)
    broke_off = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)
    return isinstance(error, broke_off) and not isinstance(error, requests.Timeout) and not _is_unreachable(error)


def _is_same(reply: requests.Response, have: int, known: dict[str, Any]) -> bool:
    """Tell whether an answer about the rest of a file is about the file that was begun."""
    total = reply.headers.get("Content-Range", "").rpartition("/")[2]
    if reply.status_code == requests.codes.requested_range_not_satisfiable and total != str(have):
        return False
    pairs = (known.get("validator"), _validator(reply)), (known.get("total"), int(total) if total.isdigit() else None)
    return all(not old or not new or old == new for old, new in pairs)


def _validator(reply: requests.Response) -> str:
    """Find what tells one state of a file on its server from another: the strong ETag, or when it was changed."""
    etag = str(reply.headers.get("ETag", ""))
    return etag if etag.startswith('"') else str(reply.headers.get("Last-Modified", ""))
