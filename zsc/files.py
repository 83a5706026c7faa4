"""Files, for every room: write one whole or not at all, lock one, fetch one, digest one, show its name.

What has come of a file that is fetched stays in `NAME.part`, beside a note of which file it is the beginning of, until
it is complete and its checksum is right; it gets its name last of all. No message holds a login or a signed URL.
"""

import errno
import hashlib
import itertools
import json
import logging
import os
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import requests
import yaml
from filelock import FileLock, SoftFileLock, Timeout
from requests.auth import AuthBase
from tqdm.auto import tqdm
from urllib3 import exceptions as urllib3_errors
from urllib3.util import parse_url
from urllib3.util.url import Url

_log = logging.getLogger("zsc")
RESERVE = 64 * 2**20  # bytes that stay free
LOOK = 8 * 2**20  # free space is looked at again whenever so many bytes have been written
Bar: TypeAlias = "bool | Callable[..., Any]"
LIMIT = 32 * 2**30  # no published file is larger: a body without an end is not what was asked for
PAUSE = 0.5  # seconds before a second attempt, twice as many before each further one
FULL = (errno.ENOSPC, errno.EDQUOT)
TEMPORARY = re.compile(r"\..*\.(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-\d+\.zsc-tmp", re.DOTALL)
CHUNK = 1 << 16
_COUNTER = itertools.count()
_SWEPT: set[Path] = set()  # folders, once per process
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069]")
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
    link is followed; what is no regular file, such as ``/dev/stdout``, is written to directly. ValueError says that a
    text cannot be UTF-8, before anything is opened, and OSError why a file could not be written.
    """
    path = Path(path)
    data = _encoded(path, content) if isinstance(content, str) else content
    put = data if callable(data) else lambda file: file.write(data)
    try:
        target = Path(os.path.realpath(path))
    except ValueError:
        raise ValueError(f"{printable(path)!r} cannot be the name of a file; choose another.") from None
    if os.path.isdir(target):  # noqa: PTH112  (pathlib's raises)
        raise IsADirectoryError(f"{printable(path)} is a folder; name a file in it.")
    temporary = _beside(target, f".{_HOST}-{os.getpid()}-{next(_COUNTER)}.zsc-tmp")
    try:
        is_stream = os.path.abspath(path).startswith(("/dev/std", "/dev/fd/", "/proc/"))
        if path.exists() and (is_stream or not path.is_file()):
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
        _sync(temporary, os.O_RDWR)
        temporary.replace(target)
        with suppress(OSError):  # not every system can do so for folders
            _sync(target.parent, os.O_RDONLY)
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


def _beside(path: Path, ending: str) -> Path:
    """Name a hidden file beside another; names have at most 255 bytes."""
    return path.with_name(f".{path.name.encode(errors='ignore')[:150].decode(errors='ignore')}{ending}")


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
    if machine == _HOST and os.name == "posix":  # elsewhere than on POSIX, os.kill ends a process
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, OverflowError):
            return True
        except PermissionError:  # another user's
            pass
    return time.time() - changed > 7 * 86_400


@contextmanager
def locked(path: str | Path, *, report: Callable[[str], object] | None = None, patience: float = 2.0) -> Iterator[None]:
    """Hold the lock of a file or folder, so that one process at a time makes it.

    The lock is ``.NAME.lock`` beside it while somebody holds it, with rights that let every user of the folder take it.
    `report` is called with one line if another process holds it for more than `patience` seconds; None logs a warning.
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


@cache
def read_yaml(beside: str, name: str) -> Any:
    """Read a YAML file that lies beside a module of ours, by libyaml where it is: in a twentieth of the time."""
    text = Path(beside).with_name(name).read_text(encoding="utf-8")
    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def digest_of(path: Path, algorithm: str = "sha256") -> str:
    """Compute the checksum of a file, in hexadecimal."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def wrong_digest(path: Path, checksum: str | None) -> str:
    """Compute the digest of a file that is not the published one; empty where it is, or none was published."""
    algorithm, _, expected = (checksum or "").partition(":")
    found = digest_of(path, algorithm) if algorithm else ""
    return "" if found == expected.lower() else found


def expanded(path: str | Path) -> Path:
    """Put the home directory in place of `~`; without one the path stays as it is, that of a file that is not there."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  (pathlib's raises)


def check_path(path: str | Path, endings: Sequence[str], what: str) -> Path:
    """Refuse a path that no such file can be written to, before the work that leads to the file."""
    path = expanded(path)
    if path.is_dir() or path.suffix.lower() not in endings:
        possible = f"{', '.join(endings[:-1])} or {endings[-1]}"
        raise ValueError(f"{printable(path)}: no name for {what}; end it with {possible}.")
    if not os.access(path.parent, os.W_OK):
        words = f"there is no folder {printable(path.parent)} that takes new files; make it, or choose another."
        raise ValueError(f"{printable(path)}: {words}")
    return path


def printable(text: object) -> str:
    r"""Show a text that came from outside: control characters and bytes that are not UTF-8 become escapes.

    Examples
    --------
    >>> printable("caf\udce9\x1b[31m.png")
    'caf\\xe9\\x1b[31m.png'
    """
    return UNPRINTABLE.sub(_escape, str(text))


def in_cell(value: object) -> str:
    """Show a value in a table: a number with three decimals, "-" where there is none."""
    text = f"{value:.3f}" if isinstance(value, float) else printable(value)
    return "-" if text in {"nan", "None", "<NA>"} and not isinstance(value, str) else text


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else ascii(found[0])[1:-1]


def shown(url: str) -> str:
    """Show an address without a login, and without what may be a signature."""
    parts = _parsed(url)
    if url.startswith(("s3://", "gs://", "file://")):
        return printable(url)  # in which neither stands
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


def judged(error: Exception) -> tuple[str, bool]:
    """Say in a few words, never with an address, why a transfer failed; and whether another try may be answered."""
    inner = error.args[0] if error.args else None
    cause = getattr(inner, "reason", inner)  # of the last attempt of urllib3, which requests wrapped
    if isinstance(error, requests.HTTPError):
        status = error.response.status_code
        return f"HTTP {status}", status in (500, 502, 503, 504)
    if isinstance(error, requests.exceptions.ProxyError) or isinstance(cause, urllib3_errors.NewConnectionError):
        return "no network, or the host cannot be reached", False
    if isinstance(error, requests.Timeout) or isinstance(cause, urllib3_errors.TimeoutError):
        return "timed out", not isinstance(error, requests.Timeout)
    if isinstance(error, _BrokenOffError):
        return str(error), True
    if isinstance(error, (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        return f"the connection broke off, {type(error).__name__}", True
    return "the address, the login or the server's answer makes no sense", False


class _BrokenOffError(requests.ConnectionError):
    """A transfer that ended before the file did."""


def refuse_full_disk(folder: Path, size: int, what: str) -> None:
    """Refuse to write where less than `RESERVE` would stay free: OSError, with both sizes."""
    free = shutil.disk_usage(folder).free
    if size + RESERVE > free:
        told = f"{what} {size / 1e9:.2f} GB, and {printable(folder)} has {free / 1e9:.2f} GB free"
        raise OSError(f"{told}; make room, or choose another folder.")


def fetch(
    url: str, path: Path, *,
    checksum: str | None = None, auth: AuthBase | None = None, timeout: tuple[float, float] = (3.05, 20.0),
    progress: Bar = True, attempts: int = 4, limit: int = LIMIT, report: Callable[[str], object] | None = None,
    keep_note: bool = False,
) -> Path:  # fmt: skip
    """Fetch an http(s) address into a file, going on from an earlier try of the same file where there is one.

    One process at a time fetches a file; `report` is told of waiting, as in `locked`. `checksum` is what was published,
    as "sha256:..." or "md5:...". A login, `auth`, does not go to where the address redirects. `timeout` has the seconds
    to wait for a connection, and for each further block; a connection that breaks off is taken up again, `attempts`
    times in all; a body of more than `limit` bytes is not kept. `progress` shows a bar, or
    makes one (`zsc.progress.bar` with its first argument). With `keep_note`, another call asks whether the file
    has changed instead of fetching it again; see `forget`. DownloadError says why a file could not be fetched whole.
    """
    path = Path(path)
    transfer = _Transfer(url, path, checksum, limit)
    if _parsed(url) is None:
        raise transfer.error(f"no address to fetch from; give one such as https://host/{printable(path.name)}.")
    if path.is_dir():
        raise transfer.error("there is a folder of that name; move it away, or choose another place.")
    was_there = path.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path, report=report), quiet_session(auth) as session:
            if not path.exists() or (wrong_digest(path, checksum) if checksum else was_there):
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


class _Transfer:
    """A file on its way: `part` holds what has come of it, and `note` says of which file that is the beginning."""

    def __init__(self, url: str, path: Path, checksum: str | None, limit: int) -> None:
        self.url, self.path, self.checksum, self.limit = url, path, checksum, limit
        self.part, self.note = path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.part.json")
        self.url_digest = hashlib.sha256(str(url).encode(errors="replace")).hexdigest()  # the address may hold a login

    def error(self, words: object) -> DownloadError:
        """Say what went wrong with which file."""
        file = f"{printable(self.path.name)} in {printable(self.path.parent)}"
        return DownloadError(f"{shown(self.url)} (for {file}): {words}")

    def get_whole(self, session: requests.Session, attempts: int, **options: Any) -> None:
        """Fetch what is missing until the checksum is right, and give the file its name."""
        if self.path.exists() and self._begun_of():  # fetched before: what it is can be asked
            self.path.replace(self.part)
        for _ in range(2 if self.part.exists() else 1):  # an old beginning may have been another file's
            self._try_often(session, attempts, options)
            if not (wrong := wrong_digest(self.part, self.checksum)):
                self.part.replace(self.path)
                return
            self.drop()
        algorithm, _, expected = str(self.checksum).partition(":")
        raise self.error(f"arrived with {algorithm} {wrong}, expected {expected}; it was thrown away, try again.")

    def drop(self) -> None:
        self.part.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    def disk_full(self) -> DownloadError:
        """Say that the disk is full; what could not be gone on from is removed."""
        then = f"it goes on from {self.part.name} there"
        if not (self.part.exists() and self._can_tell()):
            self.drop()
            then = f"{self.part.name} there was removed"
        error = self.error(f"the disk of {printable(self.path.parent)} is full; make room and run it again, {then}.")
        error.errno = errno.ENOSPC
        return error

    def _begun_of(self) -> str:
        """Read from the note which state of the file was begun; empty if there is no note of this address."""
        try:
            known = json.loads(self.note.read_bytes())
            return str(known["validator"]) if (known["format"], known["url"]) == (1, self.url_digest) else ""
        except (OSError, ValueError, TypeError, KeyError):
            return ""

    def _can_tell(self) -> bool:
        """Tell whether a changed file would show, so that a part can be gone on from."""
        return bool(self.checksum or self._begun_of())

    def _try_often(self, session: requests.Session, attempts: int, options: dict[str, Any]) -> None:
        for attempt in range(1, attempts + 1):
            try:
                self._ask(session, **options)
                return
            except (requests.RequestException, ValueError, urllib3_errors.HTTPError) as error:
                why, may_pass = judged(error)
                if attempt == attempts or not may_pass:
                    raise self.error(f"could not be fetched ({why}).") from None
                time.sleep(PAUSE * 2 ** (attempt - 1))

    def _ask(self, session: requests.Session, timeout: tuple[float, float], progress: Bar) -> None:
        """Ask for what is missing, and write it down as it comes."""
        if not self._can_tell():
            self.drop()
        have, begun = self.part.stat().st_size if self.part.exists() else 0, self._begun_of()
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers |= {"Range": f"bytes={have}-"} | ({"If-Range": begun} if begun else {})
        with session.get(self.url, headers=headers, stream=True, timeout=timeout) as reply:
            is_rest = reply.status_code == requests.codes.partial_content
            is_past_end = bool(have) and reply.status_code == requests.codes.requested_range_not_satisfiable
            length, now = reply.headers.get("Content-Range", "").rpartition("/")[2], _validator(reply)
            is_other = (is_past_end and length != str(have)) or (
                have and (is_rest or is_past_end) and begun and now and begun != now
            )
            if not (is_past_end or is_other):
                reply.raise_for_status()
                self._receive(reply, have if is_rest else 0, progress)
        if is_other:  # than the one that was begun
            self.drop()
            self._ask(session, timeout, progress)

    def _receive(self, reply: requests.Response, start: int, progress: Bar) -> None:
        """Write a body behind the `start` bytes that are there; a compression that was not asked for is undone."""
        if self.path.name.endswith((".gz", ".tgz")):  # a server may take the file's own compression for its own
            reply.raw.headers.pop("Content-Encoding", "")
        packed = reply.headers.get("Content-Encoding", "").strip().lower().replace("identity", "")
        rest = 0 if packed else int(reply.headers.get("Content-Length", 0))
        total, name = start + rest if rest else None, printable(self.path.name)
        if packed not in ("", "gzip", "x-gzip", "deflate"):
            told = f"the server sent {name} packed as {printable(packed)}, which was not asked for and cannot be read"
            raise self.error(f"{told} here; use another source.")
        if start + rest > self.limit:
            raise self._too_large()
        if start and (packed or not reply.headers.get("Content-Range", "").startswith(f"bytes {start}-")):
            if packed:  # what has come was undone, so that no further byte fits it
                self.drop()
            raise _BrokenOffError("the server sent another part than was asked for")
        refuse_full_disk(self.path.parent, rest, f"{name} needs another")
        if not start:
            self.drop()
            known = {"format": 1, "url": self.url_digest, "validator": "" if packed else _validator(reply)}
            write_whole(self.note, json.dumps(known))
        bar: Any = progress if callable(progress) else partial(tqdm, disable=not progress)
        shown = bar(total=total, unit="B", initial=start, unit_scale=True, desc=name)
        have = looked = start
        with shown, self.part.open("ab") as file:
            for block in reply.iter_content(CHUNK):
                file.write(block)
                have += len(block)
                shown.update(len(block))
                if have > self.limit:
                    raise self._too_large()
                if have - looked >= LOOK:
                    looked = have
                    if shutil.disk_usage(self.path.parent).free < RESERVE:
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if total and have != total:
            raise _BrokenOffError(f"broke off at {have} of {total} bytes")

    def _too_large(self) -> DownloadError:
        self.drop()
        told = f"has more than {self.limit:,} bytes, the most that it can have; it is another file, and what had come"
        return self.error(f"{told}, {self.part.name}, was removed.")


def _validator(reply: requests.Response) -> str:
    """Find what tells one state of a file on its server from another: the strong ETag, or when it was changed."""
    etag = str(reply.headers.get("ETag", ""))
    return etag if etag.startswith('"') else str(reply.headers.get("Last-Modified", ""))
