"""Files, for every room: write one whole or not at all, lock one, fetch one, digest one, show its name.

The transfer is requests'; its retries with growing pauses are urllib3's. What has come stays in `NAME.part` until the
file is complete and its checksum is right; then it is renamed, last of all. No message holds a login or a signed URL.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import logging
import os
import re
import shutil
import socket
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit, urlunsplit

import requests
from filelock import FileLock, Timeout
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from tqdm.auto import tqdm
from urllib3.exceptions import HTTPError
from urllib3.util.retry import Retry

_log = logging.getLogger("zsc")
CHUNK = 1 << 16
RESERVE = 64 * 2**20  # bytes that stay free
TEMPORARY = re.compile(r"\..+\.(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-\d+\.zsc-tmp")
_HOST = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]  # pids of other machines mean nothing here
_COUNTER = itertools.count()
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
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a file in it.")
    if path.exists() and (not path.is_file() or os.path.abspath(path).startswith(("/dev/", "/proc/"))):
        with path.open("ab") as file:  # what a shell has redirected may hold text already
            _put(file, data)
        return path
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name[:150]}.{_HOST}-{os.getpid()}-{next(_COUNTER)}.zsc-tmp")
    try:
        with temporary.open("xb") as file:
            _put(file, data)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        temporary.replace(target)
        _sync_folder(target.parent)
    except OSError as error:
        raise type(error)(error.errno, f"{path} could not be written ({error.strerror}); the old file, if there was "
                          "one, is as it was; make room, or choose another folder") from error  # fmt: skip
    finally:
        temporary.unlink(missing_ok=True)
    return path


def sweep(folder: str | Path) -> list[Path]:
    """Remove the temporary files that killed runs of `write_whole` left in a folder; those of live ones stay.

    A file counts as dead if its process on this machine is gone, or if it is a week old and of another machine.
    """
    dead = []
    for path in sorted(Path(folder).glob(".*.zsc-tmp")):
        named = TEMPORARY.fullmatch(path.name)
        with contextlib.suppress(OSError):
            if named and _is_dead(named["host"], int(named["pid"]), path.stat().st_mtime):
                path.unlink()
                dead.append(path)
    return dead


@contextmanager
def locked(path: str | Path, *, report: Callable[[str], object] | None = None, patience: float = 2.0) -> Iterator[None]:
    """Hold the lock of a file or folder, so that one process at a time makes it.

    Parameters
    ----------
    path
        What is guarded. The lock is ``.NAME.lock`` beside it, with rights that let every user of the folder take it.
    report
        Called with one line if another process holds the lock for longer than `patience`; None logs it as a warning,
        which reaches standard error where logging was not set up.
    patience
        Seconds of silence.
    """
    path = Path(path)
    lock = FileLock(path.with_name(f".{path.name}.lock"), mode=0o666)
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        (report or _log.warning)(f"another process is making {path}; waiting for it (its lock: {lock.lock_file}).")
        lock.acquire()
    try:
        with contextlib.suppress(OSError):  # another user's lock file keeps that user's rights
            Path(lock.lock_file).chmod(0o666)
        yield
    finally:
        lock.release()


def printable(text: object) -> str:
    r"""Show a text that came from outside: control characters and bytes that are no UTF-8 become escapes.

    Examples
    --------
    >>> printable("caf\udce9\x1b[31m.png")
    'caf\\xe9\\x1b[31m.png'
    """
    return "".join(c if not _needs_escape(c) else _escape(c) for c in str(text))


def _needs_escape(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in _DIRECTION


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else ascii(character)[1:-1]


_DIRECTION = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # these turn a line around


def _encoded(path: Path, text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        piece = printable(text[max(0, error.start - 20) : error.end + 20])
        raise ValueError(f"{path}: cannot be written as UTF-8 (near {piece!r}); mend that text.") from error


def _put(file: BinaryIO, data: bytes | Callable[[BinaryIO], object]) -> None:
    if callable(data):
        data(file)
    else:
        file.write(data)


def _sync_folder(folder: Path) -> None:
    """Let the disk have the new name, too, where the system can."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _is_dead(host: str, pid: int, changed: float) -> bool:
    if host != _HOST or os.name != "posix":  # elsewhere than on POSIX, os.kill ends a process
        return time.time() - changed > 7 * 86_400
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
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
    timeout: tuple[float, float] = (6.0, 20.0),
    progress: bool = True,
    attempts: int = 4,
) -> Path:
    """Fetch a URL into a file, going on from an earlier try where there is one.

    Parameters
    ----------
    url
        An http or https address.
    path
        Where the file shall lie; its folder is made.
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

    Returns
    -------
    Path
        `path`, complete.

    Raises
    ------
    DownloadError
        If the file could not be fetched whole. What has come stays in ``NAME.part``, and the next call goes on there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    where = f"{shown(url)} (for {path.name} in {path.parent})"
    if path.exists():  # fetched before, and stopped before it was used
        path.replace(part)
    with requests.Session() as session, _unlogged():
        session.auth = auth
        session.mount("http://", HTTPAdapter(max_retries=_RETRY))
        session.mount("https://", HTTPAdapter(max_retries=_RETRY))
        for attempt in range(1, attempts + 1):
            try:
                _transfer(session, url, part, timeout, progress)
                break
            except requests.RequestException as error:
                if attempt == attempts or not _worth_another_try(error):
                    raise DownloadError(f"{where}: could not be fetched ({reason(error)}).") from None
                time.sleep(_RETRY.backoff_factor * attempt)
            except (ValueError, UnicodeError, HTTPError) as error:  # an address, login or header that makes no sense
                raise DownloadError(f"{where}: could not be fetched ({type(error).__name__}).") from None
    _check(part, checksum, where)
    return part.replace(path)


def digest_of(path: Path, algorithm: str = "sha256") -> str:
    """Compute the checksum of a file, in hexadecimal."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def shown(url: str) -> str:
    """Give an address as it may be shown: without a login, and without what may be a signature."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


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


class _BrokenOffError(requests.ConnectionError):
    """A transfer that ended before the file did."""


def _transfer(session: requests.Session, url: str, part: Path, timeout: tuple[float, float], progress: bool) -> None:
    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with session.get(url, headers=headers, stream=True, timeout=timeout) as reply:
        if reply.status_code == requests.codes.requested_range_not_satisfiable:
            if reply.headers.get("Content-Range", "").endswith(f"/{have}"):
                return  # nothing is missing
            part.unlink()  # what is here is not the beginning of what is there
            raise _BrokenOffError("the part on disk is larger than the file; starting again")
        reply.raise_for_status()
        start = have if reply.headers.get("Content-Range", "").startswith(f"bytes {have}-") else 0
        if reply.status_code == requests.codes.partial_content and not start:
            raise _BrokenOffError("the server sent another part than was asked for")
        rest = int(reply.headers.get("Content-Length", 0))
        _refuse_full_disk(part, rest)
        with part.open("ab" if start else "wb") as file:
            bar = tqdm(total=start + rest or None, initial=start, unit="B", unit_scale=True, disable=not progress)
            with bar:
                bar.set_description(part.stem)
                for block in reply.iter_content(CHUNK):
                    file.write(block)
                    bar.update(len(block))
    if rest and part.stat().st_size != start + rest:
        raise _BrokenOffError(f"broke off at {part.stat().st_size} of {start + rest} bytes")


def _refuse_full_disk(part: Path, size: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if size + RESERVE > free:
        raise DownloadError(
            f"{part.stem} needs {size / 1e9:.2f} GB more and {part.parent} has {free / 1e9:.2f} GB free; make room, or "
            "choose another folder."
        )


def _check(part: Path, checksum: str | None, where: str) -> None:
    if checksum is None:
        return
    algorithm, _, expected = checksum.partition(":")
    found = digest_of(part, algorithm)
    if found != expected:
        part.unlink()
        raise DownloadError(
            f"{where}: arrived with {algorithm} {found}, expected {expected}; it was thrown away, try again."
        )


def _was_connected(error: requests.RequestException) -> bool:
    text = str(error).lower()
    return not any(sign in text for sign in ("failed to resolve", "failed to establish", "proxyerror", "unreachable"))


def _worth_another_try(error: requests.RequestException) -> bool:
    """Tell a connection that broke off from an answer that would come again."""
    if isinstance(error, requests.HTTPError | requests.Timeout | requests.exceptions.InvalidURL | ValueError):
        return False
    return _was_connected(error)
